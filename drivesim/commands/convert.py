"""`drivesim convert`: scenarios of any source in files that others read, or that load faster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import InputError, NotDrivable
from .options import add_filters, add_source, filter_of, sources

TARGETS = {
    "drivesim": "our own file, all of a scenario",
    "scenarionet": "ScenarioNet's database of pickles",
    "openscenario": "an OpenSCENARIO storyboard with its OpenDRIVE road",
}


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "convert", help="scenarios of any source as files", description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    told = "; ".join(f"{name}: {about}" for name, about in TARGETS.items())
    parser.add_argument("words", nargs="+", metavar="ROOT OUT | NAME [ROOT] OUT",
                        help="what to read, as in `drivesim scenarios`, and the folder to write to")  # fmt: skip
    parser.add_argument("--to", choices=TARGETS, default="drivesim", help=told)
    parser.add_argument("--id", action="append", dest="ids", metavar="ID", help="only this scenario (several: repeat)")
    parser.add_argument("--sensors", action="store_true", help="photos and sweeps too (our own file alone)")
    add_source(parser)
    add_filters(parser)
    parser.set_defaults(run=run)


def run(
    words: Sequence[str], to: str = "drivesim", ids: Sequence[str] | None = None, sensors: bool = False,
    options: Sequence[str] = (), window: float | None = None, stride: float | None = None, ego: str | None = None,
    limit: int = 0, **filters: Any,
) -> int:  # fmt: skip
    """Writes every scenario that can be driven and passes the filters; what was lost is in docs/scenarios.md.

    Licence and provenance go along: what comes out may be used as what went in. Exit code 0, 1 if a scenario could not
    be read or written, 2 if nothing was written.
    """
    from ..work import wrapped

    if len(words) < 2:
        raise InputError(f"{words[0]}: a source and the folder to write to are expected")
    if limit < 0:
        raise InputError("--limit is 0 or more")
    found, rest = sources(words[:-1], options)
    if rest:
        raise InputError(f"{rest[0]}: one source, one root and one folder to write to are expected")
    wanted, write, out = filter_of(filters), _writer(to, sensors), Path(words[-1]).expanduser()
    written, wrong = 0, 0
    for part in found.values():
        for id, told, good in _converted(wrapped(part, window, stride, ego), ids, wanted, limit, write, out):
            print(f"{id}  {told}", flush=True)
            written, wrong = written + good, wrong + (not good)
    if not written:
        raise InputError("nothing was written")
    print(f"{written} scenario{'s' * (written != 1)} in {out.resolve()}")
    return 1 if wrong else 0


Write = Callable[[Any, Path], list[Path]]


def _writer(to: str, sensors: bool) -> Write:
    if sensors and to != "drivesim":
        raise InputError(f"--sensors: {to} files hold none")
    if to == "scenarionet":
        from ..export import scenarionet

        return scenarionet.write
    if to == "openscenario":
        from ..export import openx

        return openx.write
    from ..export import own

    return lambda scenario, folder: own.write(scenario, folder, sensors)


def _converted(
    part: Any, ids: Sequence[str] | None, wanted: Any, limit: int, write: Write, out: Path
) -> Iterator[tuple[str, str, bool]]:
    """Per scenario: its id, what came of it in words, whether it was written."""
    from .. import parts
    from ..catalog import Sieve, scan

    source, sieve = parts.build(part), Sieve(wanted)
    known = source.ids()
    for id in ids or ():
        if id not in known:
            raise InputError(f"--id: no scenario {id}; {parts.among(id, known)}")
    left_out = source.undrivable() if hasattr(source, "undrivable") else {}
    asked = [id for id in (ids or known) if id not in left_out]
    if wanted:
        with closing(scan(part, asked)) as entries:
            asked = [entry.id for entry in entries if sieve.takes(entry)]
        if not asked:
            raise InputError(sieve.told())
    done = 0
    for id in asked:
        if limit and done == limit:
            return
        try:
            paths = write(source.load(id), out)
        except NotDrivable as error:
            yield id, f"left out: {error}", False
            continue
        except InputError as error:
            yield id, f"failed: {error}", False
            continue
        done += 1
        yield (
            id,
            f"{', '.join(path.name for path in paths)} ({sum(p.stat().st_size for p in paths) / 1e6:.2f} MB)",
            True,
        )
