"""`drivesim view`: one scene from above, to see in one look whether a load is right."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from ..errors import InputError, NotDrivable
from .options import add_source, sources

EXAMPLE = "drivesim view {name} {root}"


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "view", help="a scene from above, as a picture or a page", description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("words", nargs="+", metavar="ROOT [ID] | NAME [ROOT] [ID]",
                        help="a folder or file of any known format, or a source and its folder; the first scene that "
                        "can be driven unless an id is given")  # fmt: skip
    add_source(parser)
    parser.add_argument("--step", type=int, metavar="K", help="of the log; where a planner takes over")
    parser.add_argument("--out", metavar="FILE", help="in .png or .html (a page with a slider); <id>.png")
    parser.set_defaults(run=run)


def run(
    words: Sequence[str], options: Sequence[str] = (), window: float | None = None, stride: float | None = None,
    ego: str | None = None, step: int | None = None, out: str | None = None,
) -> int:  # fmt: skip
    """Draws a scene from above: map with directions, tracks with past and future, lights, goals, camera views,
    and beside it what was read, what was worked out, and what was wrong."""
    from .. import parts
    from ..catalog import Entry, detect_one
    from ..report import view
    from ..work import wrapped

    found, rest = sources(words, options, EXAMPLE)
    if len(found) > 1:
        detect_one(words[1] if words[0] == "auto" else words[0], EXAMPLE)
    if len(rest) > 1:
        raise InputError(f"{rest[1]}: one scenario is expected")
    ((_, _, part),) = found
    scenario = load(parts.build(wrapped(part, window, stride, ego)), rest[0] if rest else None)
    name = re.sub(r"[^\w.@-]", "_", scenario.id)
    path = view.write(scenario, out or f"{name}.png", step, Entry.of(scenario).told())
    print(path.resolve())
    return 0


def load(source: Any, id: str | None) -> Any:
    """The scenario asked for, else the first that can be driven."""
    from ..windows import full_id, nearest

    if id is not None:
        id, ids = full_id(source, id), source.ids()
        left_out = source.undrivable() if hasattr(source, "undrivable") else {}
        if id in left_out:
            raise NotDrivable(f"{id}: {left_out[id]}")
        if id not in ids:
            raise InputError(f"no scenario {id}; {nearest(id, ids)}")
        return source.load(id)
    reasons = []
    for candidate in source.ids():
        try:
            return source.load(candidate)
        except NotDrivable as error:
            reasons.append(f"{candidate}: {str(error).removeprefix(f'{candidate}: ')}")
    raise InputError("nothing to see: " + "; ".join(reasons[:5]))
