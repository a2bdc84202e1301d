"""`drivesim convert`: scenarios of any source in files that others read, or that load faster."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, NotDrivable
from .options import add_filters, add_source, filter_of, sources

if TYPE_CHECKING:
    from ..catalog import Filter

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
    out = Path(words[-1]).expanduser()
    found, rest = sources(words[:-1], options, "drivesim convert {name} {root} OUT")
    if rest:
        raise InputError(f"{rest[0]}: one source, one root and one folder to write to are expected")
    wanted, write = filter_of(filters), _writer(to, sensors)
    made = _prepared(out)
    written, wrong = 0, 0
    try:
        chosen = _chosen([wrapped(part, window, stride, ego) for _, _, part in found], ids, wanted)
        for id, told, good in _converted(chosen, limit, write, out, sensors):
            print(f"{id}  {told}", flush=True)
            written, wrong = written + good, wrong + (not good)
    finally:
        if made and not written:
            with suppress(OSError):
                out.rmdir()
    if not written:
        raise InputError("nothing was written")
    print(f"{written} scenario{'s' * (written != 1)} in {out.resolve()}")
    return 1 if wrong else 0


def _prepared(out: Path) -> bool:
    """Make the folder; whether it was not there. InputError for a place that cannot be written."""
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            return made
    except FileExistsError:
        raise InputError(f"{out}: this is a file; give a folder to write to") from None
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror or error}; choose another place") from None


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


def _chosen(sections: Sequence[Any], ids: Sequence[str] | None, wanted: Filter) -> list[tuple[Any, list[str]]]:
    """Sources with the scenarios that are asked for and pass the filter. InputError for an id that none of them has,
    and if the filter leaves nothing.
    """
    from .. import parts
    from ..catalog import Sieve, scan
    from ..windows import full_id, nearest

    readers = [parts.build(part) for part in sections]
    known = [source.ids() for source in readers]
    for id in ids or ():
        if not any(full_id(source, id) in own for source, own in zip(readers, known, strict=True)):
            raise InputError(f"--id: no scenario {id}; {nearest(id, [id for own in known for id in own])}")
    chosen, sieves = [], []
    for part, source, own in zip(sections, readers, known, strict=True):
        left_out = source.undrivable() if hasattr(source, "undrivable") else {}
        named = own if ids is None else [id for id in dict.fromkeys(full_id(source, id) for id in ids) if id in own]
        asked = [id for id in named if id not in left_out]
        if wanted:
            sieve = Sieve(wanted, len(asked))
            with closing(scan(part, asked)) as entries:
                asked = [entry.id for entry in entries if sieve.takes(entry)]
            sieves.append(sieve.told())
        chosen.append((source, asked))
    if sieves and not any(asked for _, asked in chosen):
        raise InputError("; ".join(sieves))
    return chosen


def _converted(
    chosen: Sequence[tuple[Any, list[str]]], limit: int, write: Write, out: Path, sensors: bool
) -> Iterator[tuple[str, str, bool]]:
    """Per scenario: its id, what came of it in words, whether it was written; the first `limit` (0: all) of all."""
    done = 0
    for source, id in ((source, id) for source, asked in chosen for id in asked):
        if limit and done == limit:
            return
        try:
            scenario = source.load(id)
            paths = write(scenario, out)
        except NotDrivable as error:
            yield id, f"left out: {str(error).removeprefix(f'{id}: ')}", False
            continue
        except InputError as error:
            yield id, f"failed: {str(error).removeprefix(f'{id}: ')}", False
            continue
        done += 1
        size = sum(path.stat().st_size for path in paths) / 1e6
        log = scenario.sensors
        bare = sensors and not (log and (log.sweeps or any(log.images.values())))
        told = f"{', '.join(path.name for path in paths)} ({size:.2f} MB)"
        yield id, told + ", without sensors: it has no recordings" * bare, True
