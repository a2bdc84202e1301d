"""`drivesim scenarios`: what a folder holds, scene by scene, and which of it passes the filters."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .options import add_filters, add_source, filter_of, sources

if TYPE_CHECKING:
    from ..catalog import Entry, Sieve

SHOWN = 3  # problems of a scene, licences of a folder; --json has all
_TRAFFIC = ("car", "truck", "bus", "trailer", "construction", "motorcycle")  # named first


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "scenarios", help="what a folder or a source holds", description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("words", nargs="+", metavar="ROOT | NAME [ROOT]",
                        help="a folder or file of any known format, or a source and its folder")  # fmt: skip
    add_source(parser)
    add_filters(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="processes (all cores); 0 reads in this one")
    parser.add_argument("--json", action="store_true", dest="as_json", help="everything, for programs")
    parser.set_defaults(run=run)


def run(
    words: Sequence[str], options: Sequence[str] = (), window: float | None = None, stride: float | None = None,
    ego: str | None = None, limit: int = 0, workers: int | None = None, as_json: bool = False, **filters: Any,
) -> int:  # fmt: skip
    """Lists every scene of a folder: length, agents, sensors, map, lights, place, tags, problems.

    Filters hold together; what they remove is told. Exit code 0, 1 if a scene could not be read, 2 if none is left.
    """
    from ..catalog import Sieve
    from ..work import wrapped

    if filters.get("tag") == ["?"]:
        return _tags()
    wanted = filter_of(filters)
    found, rest = sources(words, options)
    if rest:
        raise InputError(f"{rest[0]}: one source and one root are expected")
    workers = _cores() if workers is None else workers
    if limit < 0 or workers < 0:
        raise InputError("--limit and --workers are 0 or more")
    sections, sieves, broken = [], [], False
    for name, root, part in found:
        sieve = Sieve(wanted)
        part = wrapped(part, window, stride, ego)
        try:
            entries = _listed(name, root, part, sieve, limit, workers, quiet=as_json)
        except InputError as error:  # of one folder among several: the others are listed
            if len(found) == 1:
                raise
            print(f"{name} in {root}: {error}", file=sys.stderr)
            broken = True
            continue
        sections.append({"source": name, "root": root, "part": part, "scenes": [entry.plain() for entry in entries],
                         "seen": sieve.seen, "removed": dict(sieve.removed)})  # fmt: skip
        sieves.append(sieve)
    if as_json:
        print(json.dumps(sections, indent=1, allow_nan=False))
    if wanted and not any(sieve.left for sieve in sieves):
        raise InputError("; ".join(sieve.told() for sieve in sieves))
    return 1 if broken or any(scene["status"] == "unreadable" for s in sections for scene in s["scenes"]) else 0


def _listed(name: str, root: str, part: Any, sieve: Sieve, limit: int, workers: int, quiet: bool) -> list[Entry]:
    """Entries that pass, printed as they come unless `quiet`, and a summary below."""
    from .. import parts
    from ..catalog import known_ids, scan

    ids = known_ids(parts.build(part))
    sieve.total = len(ids)
    if not quiet:
        print(f"{name}{f' in {root}' * bool(root)}: {len(ids)} scene{'s' * (len(ids) != 1)}", flush=True)
    taken = []
    with closing(scan(part, ids, workers)) as entries:
        for entry in _watched(entries, len(ids)):
            if sieve.filter and not sieve.takes(entry):
                continue
            taken.append(entry)
            if not quiet:
                print(line(entry), flush=True)
            if limit and len(taken) == limit:
                break
    if not quiet and (taken or not sieve.filter):
        print(_summary(taken, sieve))
    return taken


def _watched(entries: Iterable[Entry], total: int) -> Iterator[Entry]:
    """With a bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from entries
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("looking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        for entry in entries:
            bar.advance(task)
            yield entry


def line(entry: Entry) -> str:
    """A scene in one line, with its problems below."""
    if entry.status != "drivable":
        told = "cannot be driven" if entry.status == "not drivable" else "cannot be read"
        return f"{_clean(entry.id)}  {told}: {_clean(entry.reason)}"
    ranked = sorted(entry.agents.items(), key=lambda x: (x[0] not in _TRAFFIC, -x[1]))
    kinds = ", ".join(f"{n} {kind}" for kind, n in ranked)
    sensors = "".join(word for word, n in ((" with photos", entry.photos), (", lidar", entry.sweeps)) if n)
    inferred = ", ".join(f"{name} {confidence:.2f}" for name, confidence in entry.inferred.items())
    columns = (
        f"{entry.seconds:.1f} s", f"{_counted(sum(entry.agents.values()), 'agents')}{f' ({kinds})' * bool(kinds)}",
        f"{_counted(entry.cameras, 'cameras')}{sensors}", _layers(entry), _clean(entry.place),
        _clean(", ".join(entry.tags)),
        f"worked out: {_clean(inferred)}" * bool(inferred),
    )  # fmt: skip
    more = len(entry.problems) - SHOWN
    problems = [*entry.problems[:SHOWN], *([f"and {more} more (--json)"] if more > 0 else [])]
    return "\n".join(
        ["  ".join([_clean(entry.id), *filter(None, columns)]), *(f"    ! {_clean(problem)}" for problem in problems)]
    )


def _counted(count: int, names: str) -> str:
    from ..catalog.entry import counted

    return counted(count, names)


def _layers(entry: Entry) -> str:
    layers = [_counted(entry.map.get("lanes", 0), "lanes")]
    layers += [] if entry.map.get("successors") else ["without links"]
    layers += [] if entry.map.get("drivable rings") else ["no drivable area"]
    layers += [_counted(n, name) for name, n in (("crosswalks", entry.map.get("crosswalks")), ("lights", entry.lights),
               ("stops", entry.map.get("stops")), ("goals", entry.goals)) if n]  # fmt: skip
    return ", ".join([*layers, *(["storyboard"] if entry.storyboard else [])])


def _summary(taken: Sequence[Entry], sieve: Sieve) -> str:
    good = [entry for entry in taken if entry.status == "drivable"]
    seconds = sum(entry.seconds for entry in good)
    long = f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
    lines = [f"{len(good)} of {len(taken)} can be driven, {long} in all"]
    licences = list(dict.fromkeys(entry.licence for entry in good))
    lines += [f"licence: {_clean(licence)}" for licence in licences[:SHOWN]]
    lines += [f"licence: {len(licences) - SHOWN} more (--json)"] * (len(licences) > SHOWN)
    counted = Counter(tag for entry in good for tag in entry.tags)
    if counted:
        lines.append("tags: " + ", ".join(f"{tag} {n}" for tag, n in counted.most_common()))
    return "\n".join(lines + ([sieve.told()] if sieve.filter else []))


def _tags() -> int:
    from ..tags import NAMES

    width = max(map(len, NAMES))
    print("\n".join(f"{name:<{width}}  {about}" for name, about in NAMES.items()))
    return 0


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _clean(text: str) -> str:
    """What a log calls itself, without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in text)
