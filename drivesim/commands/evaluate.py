"""`drivesim evaluate world`: how good a world generator's pictures are, against photos that it may not use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .options import add_source, sources
from .words import clean, console

EXAMPLE = "drivesim evaluate world {name} {root}"


def add(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="how good generated pictures are")
    what = parser.add_subparsers(required=True, metavar="what")
    parser = what.add_parser(
        "world", help="pictures against photos that the generator may not use", description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("words", nargs="+", metavar="ROOT [ID] | NAME [ROOT] [ID]",
                        help="a folder or file of any known format, or a source and its folder")  # fmt: skip
    add_source(parser)
    parser.add_argument("--generation", default="memory", metavar="NAME",
                        help="the generator of the row `full` (memory); none: baselines alone")  # fmt: skip
    parser.add_argument("--gap", type=float, action="append", dest="gaps", metavar="S",
                        help="no photo within so many seconds (0.25); again for more; the first has all")  # fmt: skip
    parser.add_argument("--from-frame", type=int, metavar="K",
                        help="the first step (from which on the ego drives at 2 m/s)")  # fmt: skip
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="at most so many steps, spread evenly (all)")
    parser.add_argument("--beside", type=int, default=3, metavar="N",
                        help="steps at which the ego is put beside its log (3)")  # fmt: skip
    for name, default in (("width", 400), ("height", 224)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="PX", help=f"of a picture ({default})")
    parser.add_argument("--perceptual", type=int, default=1, metavar="N",
                        help="LPIPS-HEDVGG of so many pictures per camera, seconds each (1)")  # fmt: skip
    parser.add_argument("--json", dest="as_json", metavar="FILE", help="every figure, for programs")
    parser.add_argument("--csv", dest="as_csv", metavar="FILE")
    parser.add_argument("--pictures", metavar="DIR", help="recorded, full, difference, provenance of every step")
    parser.set_defaults(run=run)


def run(
    words: Sequence[str], options: Sequence[str] = (), window: float | None = None, stride: float | None = None,
    ego: str | None = None, generation: str = "memory", gaps: Sequence[float] | None = None,
    from_frame: int | None = None, frames: int = 0, beside: int = 3, width: int = 400, height: int = 224,
    perceptual: int = 1, as_json: str | None = None, as_csv: str | None = None, pictures: str | None = None,
) -> int:  # fmt: skip
    """Draws recorded moments anew without the photos taken next to them, and compares: the generator, the nearest
    photo that may be used, the layout, coloured lidar points; by camera, by where pixels are from, moving things apart.
    In the town, whose recordings are exact (`synthetic --arg sensors=true`), also from places beside the log."""
    from ..evaluation.figures import spread, write_csv, write_json
    from ..evaluation.perceptual import missing
    from ..evaluation.plates import Plates
    from ..evaluation.tables import tables
    from ..evaluation.views import SLOW, first_frame
    from ..evaluation.world import Plan, evaluate

    _positive(frames=frames, beside=beside, perceptual=perceptual)
    if min(width, height) < 32 or any(gap < 0 for gap in gaps or ()):
        raise InputError("--width and --height are 32 px or more, --gap 0 s or more")
    for file in filter(None, (as_json, as_csv)):
        if not Path(file).absolute().parent.is_dir():
            raise InputError(f"{file}: there is no such folder; make it or choose another place")
    scenario = _scenario(words, options, window, stride, ego)
    first = first_frame(scenario) if from_frame is None else from_frame
    if not 0 <= first < scenario.steps:
        raise InputError(f"--from-frame {first}: {scenario.id} has the steps 0 to {scenario.steps - 1}")
    steps = spread(range(first, scenario.steps), frames)
    plan = Plan(scenario, _generator(generation), steps, spread(steps, beside) if beside else [],
                tuple(gaps or (0.25,)), width, height, 0 if missing() else perceptual)  # fmt: skip
    why = f" (the ego drives at {SLOW:g} m/s from there on)" * (from_frame is None and first > 0)
    print(f"{clean(scenario.id)}: steps {first} to {scenario.steps - 1}{why}, {len(steps)} of them, {width}x{height}")
    found = list(evaluate(plan, _watching(Plates(Path(pictures)) if pictures else None)))
    out = console()
    for table in tables(found):
        out.print(_rich(table))
    out.print(f"LPIPS-HEDVGG: {missing() or f'of {perceptual} pictures per camera'}; PSNR [dB]: means over pictures")
    about = {"scenario": scenario.id, "fingerprint": scenario.fingerprint, "generation": generation, "steps": steps,
             "gaps": list(plan.gaps), "width": width, "height": height}  # fmt: skip
    if as_json:
        write_json(found, about, as_json)
    if as_csv:
        write_csv(found, as_csv)
    return 0


def _scenario(words, options, window, stride, ego) -> Any:
    from .. import parts
    from ..catalog import detect_one
    from ..work import wrapped
    from .view import load

    found, rest = sources(words, options, EXAMPLE)
    if len(found) > 1:
        detect_one(words[1] if words[0] == "auto" else words[0], EXAMPLE)
    if len(rest) > 1:
        raise InputError(f"{rest[1]}: one scenario is expected")
    ((_, _, part),) = found
    return load(parts.build(wrapped(part, window, stride, ego)), rest[0] if rest else None)


def _generator(name: str) -> Any:
    from .. import parts

    if name == "none":
        return None
    return parts.build(parts.check("--generation", parts.read("generation", name)))


def _watching(show: Any) -> Any:
    """`show`, and on a terminal where the evaluation has come."""

    def watch(where: str, shots: Sequence[Any]) -> None:
        if sys.stderr.isatty() and shots:
            print(f"\r\033[K{where}: step {shots[0].step}", end="\r", file=sys.stderr, flush=True)
        if show:
            show(where, shots)

    return watch


def _positive(**values: int) -> None:
    for name, value in values.items():
        if value < 0:
            raise InputError(f"--{name} {value}: 0 or more is expected")


def _rich(table: Any) -> Any:
    from rich.table import Table

    out = Table(table.headings[0], title=table.title, title_justify="left")
    for heading in table.headings[1:]:
        out.add_column(clean(heading), justify="right")
    for row in table.rows:
        out.add_row(*map(clean, row))
    return out
