"""The report of a result store. Films are made once and kept beside the results:

out/films/<key>.<name>.mp4   mosaic, birdseye, comparison
out/films/<key>.json         what the films alone do not tell
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import drive, parts, statistics
from ..errors import InputError
from ..generation.layout import NoImages
from ..generation.photos import Photos
from ..simulator import one_thread
from ..storage import Job, Store, canonical, job_of, parse, scores_of
from .entry import Entry, ended
from .film import Comparison
from .page import write_report
from .video import save

FILMED = 8
"""Rollouts of a run that are filmed in any case; beyond them, those that crashed or left the road."""

MUST_HOLD = ("collision", "drivable_area")
"""Metrics whose 0 is a failure to look at."""

COMMANDS = "commands.txt"
"""In `out`: the commands of its runs, one a line."""

Tell = Callable[[int, int, str], None]
"""Told before each film: how many are done, of how many, and what was amiss with the last one (mostly nothing)."""


def report(
    store: Store,
    first: Sequence[str] = (),
    beside: Sequence[Entry] = (),
    again: bool = False,
    tell: Tell = lambda done, total, amiss: None,
) -> Path:
    """Write `report.html` of all that a store holds, and of what is `beside` it.

    Rollouts in `first` (all if empty) come first; those of them that are worth it are filmed, unless they have been
    and not `again`. Raises InputError if the store cannot be read or written to.
    """
    rows = store.rows()
    order = {key: i for i, key in enumerate(first)}
    rows.sort(key=lambda row: order.get(row["key"], len(order)))
    to_film = _worth([row for row in rows if not order or row["key"] in order])
    to_film = [key for key in to_film if again or not _note(store, key).exists()]
    for i, key in enumerate(to_film):
        amiss = _film(store, key)
        tell(i + 1, len(to_film), amiss)
    names = [drive.planner for drive in statistics.drives({"": rows})]  # with what tells settings of one planner apart
    entries = [_entry(store, row, name) for row, name in zip(rows, names, strict=True)]
    current = {row["planner"]: name for row, name in zip(rows, names, strict=True) if row["key"] in order}
    beside = [replace(entry, planner=current.get(entry.planner, entry.planner)) for entry in beside]
    return write_report(store.out / "report.html", [*entries, *beside], commands(store.out))


def commands(out: Path) -> str:
    """What was typed to fill a store, in order and without repeats."""
    file = out / COMMANDS
    return "\n".join(dict.fromkeys(file.read_text(encoding="utf-8").splitlines())) if file.is_file() else "unknown"


def source_name(job: Job) -> str:
    """The module of the source's class names the format: scenarios.pandaset.PandaSet."""
    return str(job.source["_target_"]).split(".")[-2]


def _worth(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of rollouts to film: the first ones, and those that failed at driving."""
    driven = [row for row in rows if row["status"] == "ok"]
    failed = [
        row for row in driven if any(s["name"] in MUST_HOLD and s["valid"] and s["value"] == 0 for s in row["scores"])
    ]
    return list(dict.fromkeys(row["key"] for row in (*driven[:FILMED], *failed)))


@one_thread()
def _film(store: Store, key: str) -> str:
    """Film a rollout and keep the films; returns why it could not be done: its log is gone, say."""
    row = store.row(key)
    job = job_of(row)
    try:
        generator = _generator(canonical(job.generation)) if job.generation else None
        entry = Entry.of(drive.load(job), store.load_rollout(key), row["planner"], scores_of(row), generator)
    except InputError as error:
        return f"{row['scenario']} cannot be filmed: {error}"
    compared = entry.comparison
    films = {**entry.videos, **({"comparison": compared.video} if compared else {})}
    note = {"tags": entry.tags, "notes": entry.notes, "films": list(films)}
    if compared:
        note |= {"comparison": {f: getattr(compared, f) for f in ("size", "cells", "steps", "missing")}}
    _note(store, key).parent.mkdir(exist_ok=True)
    for name, video in films.items():
        save(_video(store, key, name), video)
    save(_note(store, key), json.dumps(note, indent=1).encode())  # comes last and makes the films count
    return ""


def _entry(store: Store, row: Mapping[str, Any], planner: str) -> Entry:
    key, timing = row["key"], store.sidecar(row["key"])
    told = {k: v for k, v in timing.items() if k not in ("plan_s", "traceback")} | _latency(timing)
    asked = (row["scenario"], source_name(job_of(row)), row["licence"], planner, row["seed"])
    world = statistics.world(row["job"])
    if row["status"] != "ok":
        return Entry(*asked, f"{row['status']}: {row['cause']}", timing=told, world=world)
    rollout = store.load_rollout(key)
    note = json.loads(_note(store, key).read_bytes()) if _note(store, key).exists() else {"films": ()}
    if "notes" not in note:  # of an earlier version, whose tags were the source's own words
        note = {**note, "tags": (), "notes": note.get("tags", ())}
    videos = {name: _video(store, key, name).read_bytes() for name in note["films"]}
    compared = videos.pop("comparison", None)
    return Entry(
        *asked, tags=tuple(note["tags"]), notes=tuple(note["notes"]), scores=scores_of(row), videos=videos,
        timing=told, dt=rollout.dt,
        comparison=Comparison(compared, **note["comparison"]) if compared else None,
        steps=len(rollout.agents.valid), start=rollout.start, versions=rollout.versions,
        end=ended(rollout), world=world,
    )  # fmt: skip


def _note(store: Store, key: str) -> Path:
    return store.out / "films" / f"{key}.json"


def _video(store: Store, key: str, name: str) -> Path:
    return store.out / "films" / f"{key}.{Path(name).name}.mp4"


@functools.lru_cache(maxsize=2)
def _generator(part: str) -> Any:
    """The part's generator, or what draws where it shows photos; None if it makes no images."""
    generator = parts.build(parse(part))
    generator = generator.drawer if isinstance(generator, Photos) else generator
    return None if isinstance(generator, NoImages) else generator


def _latency(timing: Mapping[str, Any]) -> dict[str, float]:
    seconds = sorted(timing.get("plan_s", ()))
    if not seconds:
        return {}
    return {"plan median ms": 1e3 * seconds[len(seconds) // 2], "plan worst ms": 1e3 * seconds[-1]}
