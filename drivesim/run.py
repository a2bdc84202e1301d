"""From jobs to a report, with words on the way: drive what is not stored yet, film it, print the table."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from . import drive, parts, sweep
from .errors import InputError
from .generation.layout import NoImages
from .report.entry import Entry
from .report.page import write_report
from .storage import Job, Outcome, Store, canonical, job_of, parse, scores_of
from .work import Work

FILMED = 8
"""Rollouts of a run that are filmed in any case; beyond them, those that crashed or left the road."""

MUST_HOLD = ("collision", "drivable_area")
"""Metrics whose 0 is a failure to look at."""

COMMANDS = "commands.txt"
"""In `out`: the commands of its runs, one a line."""

console = Console(highlight=False, soft_wrap=True)


def run(work: Work, command: str) -> int:
    """Drive, report and tell; returns the exit code, 0 or 1. InputError if nothing could be driven."""
    store = Store(work.out)
    _announce(work)
    with _bar() as bar:
        listener = Listener(bar, work)
        summary = sweep.run(work.jobs, store, listener.drive, work.workers, listener.done)
    rows = [store.row(key) for key in summary.keys if store.has(key) or not summary.interrupted]
    if summary.interrupted:
        console.print(f"interrupted with {len(rows)} of {len(summary.keys)} done; to go on: {command} out={work.out}")
        return 1
    if rows and all(row["status"] == "skipped" for row in rows):
        reasons = {**work.skipped, **{row["scenario"]: row["cause"] for row in rows}}
        raise InputError("nothing to drive: " + "; ".join(f"{id}: {cause}" for id, cause in reasons.items()))
    refused = [row for row in rows if _is_refusal(row, store.sidecar(row["key"]))]
    if rows and len(refused) == len(rows):
        raise InputError("; ".join(dict.fromkeys(row["cause"] for row in refused)))
    with open(store.out / COMMANDS, "a") as file:
        file.write(command + "\n")
    page = report(store, commands(store.out), first=summary.keys, beside=_not_driven(work))
    console.print(table(rows))
    console.print(f"report: {page.resolve()}")
    return 1 if work.broken or any(row["status"] == "failed" for row in rows) else 0


def _not_driven(work: Work) -> list[Entry]:
    """What was asked for and never became a job, once per planner."""
    causes = {id: f"skipped: {why}" for id, why in work.skipped.items()}
    causes |= {id: f"failed: {why}" for id, why in work.broken.items()}
    pairs = dict.fromkeys((_source(job), job.planner_name) for job in work.jobs)
    return [Entry(id, source, "", planner, 0, cause) for id, cause in causes.items() for source, planner in pairs]


def _source(job: Job) -> str:
    """The module of the source's class names the format: scenarios.pandaset.PandaSet."""
    return str(job.source["_target_"]).split(".")[-2]


def _is_refusal(row: Mapping[str, Any], sidecar: Mapping[str, Any]) -> bool:
    """Whether the user's input was wrong, which shows only in the drive: a camera that a log does not have, say."""
    last = sidecar.get("traceback", "").rstrip().rpartition("\n")[2]
    return bool(row["technical"]) and last.startswith(f"{InputError.__module__}.{InputError.__name__}:")


def report(store: Store, command: str, first: Sequence[str] = (), beside: Sequence[Entry] = ()) -> Path:
    """Write `report.html` of all that a store holds and of what is `beside` it.

    Rollouts in `first` (all if empty) come first, and some of them are filmed.
    """
    rows = store.rows()
    order = {key: i for i, key in enumerate(first)}
    rows.sort(key=lambda row: order.get(row["key"], len(order)))
    filmed = _to_film([row for row in rows if not order or row["key"] in order])
    entries: list[Entry] = []
    with _bar() as bar:
        task = bar.add_task("filming", total=len(filmed))
        for row in rows:
            entries.append(_entry(store, row, row["key"] in filmed))
            bar.advance(task, row["key"] in filmed)
    return write_report(store.out / "report.html", [*entries, *beside], command)


def commands(out: str | Path) -> str:
    """What was typed to fill a store, in order."""
    file = Path(out) / COMMANDS
    return "\n".join(dict.fromkeys(file.read_text().splitlines())) if file.is_file() else "unknown"


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Metric x planner: the mean over the rollouts to which it applies, below the counts of rollouts."""
    groups = {p: [row for row in rows if row["planner"] == p] for p in dict.fromkeys(row["planner"] for row in rows)}
    shown = Table("", *groups)
    for status, told in (("ok", "driven"), ("failed", "failed"), ("skipped", "skipped")):
        counts = [sum(row["status"] == status for row in mine) for mine in groups.values()]
        if any(counts) or status == "ok":
            shown.add_row(told, *(f"{n} of {len(mine)}" for n, mine in zip(counts, groups.values(), strict=True)))
    shown.add_section()
    for name in dict.fromkeys(score["name"] for row in rows for score in row["scores"]):
        shown.add_row(name, *(_mean(mine, name) for mine in groups.values()))
    return shown


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    scores = [score for row in rows for score in row["scores"] if score["name"] == name]
    values = [s["value"] for s in scores if s["valid"] and math.isfinite(s["value"])]
    if not values:
        return "does not apply"
    of = f" (n={len(values)})" if len(values) < len(scores) else ""
    return f"{sum(values) / len(values):.3g}{scores[0]['unit'] and ' ' + scores[0]['unit']}{of}"


def _to_film(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    driven = [row for row in rows if row["status"] == "ok"]
    failed = [
        row for row in driven if any(s["name"] in MUST_HOLD and s["valid"] and s["value"] == 0 for s in row["scores"])
    ]
    return {row["key"] for row in (*driven[:FILMED], *failed)}


def _entry(store: Store, row: Mapping[str, Any], filmed: bool) -> Entry:
    job, timing = job_of(row), store.sidecar(row["key"])
    source = _source(job)
    told = {"timing": {k: v for k, v in timing.items() if k not in ("plan_s", "traceback")} | _latency(timing)}
    if row["status"] != "ok":
        status = f"{row['status']}: {row['cause']}"
        return Entry(row["scenario"], source, row["licence"], row["planner"], row["seed"], status, **told)
    rollout, scores = store.load_rollout(row["key"]), scores_of(row)
    if filmed:
        generator = _generator(canonical(job.generation)) if job.generation else None
        return Entry.of(drive.load(job), rollout, row["planner"], scores, generator, **told)
    end = rollout.cause.name.lower().replace("_", " ")
    return Entry(
        row["scenario"], source, row["licence"], row["planner"], row["seed"], scores=scores, dt=rollout.dt,
        steps=len(rollout.agents.valid), start=rollout.start, end=end, versions=rollout.versions, **told,
    )  # fmt: skip


@functools.lru_cache(maxsize=2)
def _generator(part: str) -> Any:
    """The part's generator; None if it makes no images."""
    generator = parts.build(parse(part))
    return None if isinstance(generator, NoImages) else generator


def _latency(timing: Mapping[str, Any]) -> dict[str, float]:
    seconds = sorted(timing.get("plan_s", ()))
    if not seconds:
        return {}
    return {"plan median ms": 1e3 * seconds[len(seconds) // 2], "plan worst ms": 1e3 * seconds[-1]}


def _announce(work: Work) -> None:
    console.print(f"{len(work.jobs)} rollout{'s' * (len(work.jobs) > 1)} into {work.out}")
    for id, reason in work.skipped.items():
        console.print(f"skipped {id}: {reason}", markup=False)
    for id, reason in work.broken.items():
        console.print(f"cannot be read {id}: {reason}", markup=False)


class Listener:
    """Tells how far the run is: a bar where there is a terminal, else a line per rollout."""

    def __init__(self, bar: Progress, work: Work) -> None:
        self.bar, self.count, self.licences = bar, 0, set()
        self.total = len({job.key for job in work.jobs})
        self.drive: Callable[[Job], Outcome] = drive.drive if work.workers else self._drive
        self.task = bar.add_task("starting", total=self.total)
        self.begun = time.perf_counter()

    def done(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        if outcome.licence and (job.source["_target_"], outcome.licence) not in self.licences:
            self.licences.add((job.source["_target_"], outcome.licence))
            console.print(f"data licence: {outcome.licence}", markup=False)
        status = outcome.status + (f": {outcome.cause}" if outcome.cause else "")
        console.print(f"{self.count}/{self.total} {_called(job)}: {status}", markup=False)
        self.bar.update(self.task, total=self.total, completed=self.count, description="driving")

    def _drive(self, job: Job) -> Outcome:
        """`drive` in this process, with a bar over its steps."""
        if not self.bar.live.is_started:
            console.print(f"driving {_called(job)}", markup=False)
        self.bar.update(self.task, description=f"loading {_called(job)}", total=None)
        steps = drive.load(job).steps
        self.bar.update(self.task, description=f"driving {_called(job)}", total=steps)
        return drive.drive(job, lambda step, *_: self.bar.update(self.task, completed=step + 1))


def _called(job: Job) -> str:
    return f"{job.scenario} with {job.planner_name}, seed {job.seed}"


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        yield bar
