"""From jobs to a report, with words on the way: drive what is not stored yet, film it, print the table."""

from __future__ import annotations

import math
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

from . import drive, statistics, sweep
from .errors import InputError
from .report.entry import Entry
from .report.stored import COMMANDS, report, source_name
from .storage import Job, Outcome, Store
from .types import Cause
from .work import Work

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
        again = command if " out=" in command else f"{command} out={work.out}"
        console.print(f"interrupted with {len(rows)} of {len(summary.keys)} done; to go on: {again}", markup=False)
        return 1
    if rows and all(row["status"] == "skipped" for row in rows):
        reasons = {**work.skipped, **{row["scenario"]: row["cause"] for row in rows}}
        raise InputError("nothing to drive: " + "; ".join(f"{id}: {cause}" for id, cause in reasons.items()))
    refused = [row for row in rows if store.sidecar(row["key"]).get("refused")]  # what only the drive could see
    if rows and len(refused) == len(rows):
        raise InputError("; ".join(dict.fromkeys(row["cause"] for row in refused)))
    with open(store.out / COMMANDS, "a", encoding="utf-8") as file:
        file.write(command + "\n")
    for licence in dict.fromkeys(row["licence"] for row in rows if row["licence"]):
        console.print(f"data licence: {licence}", markup=False)
    shown, notes = table(rows)
    console.print(shown)
    for note in notes:
        console.print(note, markup=False)
    page = film(store, summary.keys, _not_driven(work))  # the scores are known: nobody waits for the films to see them
    console.print(f"report: {page.resolve()}")
    return 1 if work.broken or any(row["status"] == "failed" for row in rows) else 0


def _not_driven(work: Work) -> list[Entry]:
    """What was asked for and never became a job, once per planner."""
    causes = {id: f"skipped: {why}" for id, why in work.skipped.items()}
    causes |= {id: f"failed: {why}" for id, why in work.broken.items()}
    pairs = dict.fromkeys((source_name(job), job.planner_name) for job in work.jobs)
    return [Entry(id, source, "", planner, 0, cause) for id, cause in causes.items() for source, planner in pairs]


def film(store: Store, first: Sequence[str] = (), beside: Sequence[Entry] = (), again: bool = False) -> Path:
    """Film what is worth it and write the report of a store (`report.stored`), with a bar on the way."""
    with _bar() as bar:
        task = bar.add_task("filming", total=None)

        def tell(done: int, total: int, amiss: str) -> None:
            if not bar.live.is_started:
                console.print(f"filmed {done} of {total}")
            bar.update(task, completed=done, total=total)
            if amiss:
                console.print(amiss, markup=False)

        return report(store, first, beside, again, tell)


def table(rows: Sequence[Mapping[str, Any]]) -> tuple[Table, list[str]]:
    """Metric x planner below the counts of rollouts, and what it is to be read with.

    A cell is the mean over the rollouts to which the metric applies with its 95 % interval, and how many they are
    where some are left out; `drivesim compare` shows the same estimates.
    """
    drives = statistics.drives({"": rows})
    cells = statistics.cells(drives)
    planners, metrics = (list(dict.fromkeys(names)) for names in ((d.planner for d in drives), (m for _, m in cells)))
    shown = Table("", *planners)
    for status, told in (("ok", "driven"), ("failed", "failed"), ("skipped", "skipped")):
        if status == "ok" or any(drive.status == status for drive in drives):
            shown.add_row(told, *(_counted(drives, planner, status) for planner in planners))
    shown.add_section()
    for metric in metrics:
        less = any(cells[planner, metric].better == "less" for planner in planners)
        shown.add_row(f"{metric} ↓" if less else metric, *(_cell(cells[planner, metric]) for planner in planners))
    notes = [f"! {text}" for text in statistics.warnings(cells)]
    return shown, notes + ["↓ less is better"] * any(cell.better == "less" for cell in cells.values())


def _counted(drives: Sequence[statistics.Drive], planner: str, status: str) -> str:
    mine = [drive for drive in drives if drive.planner == planner]
    there = [drive for drive in mine if drive.status == status]
    technical = sum(drive.technical for drive in there)
    return f"{len(there)} of {len(mine)}" + (f", {technical} technical" if technical else "")


def _cell(cell: statistics.Cell) -> str:
    """`0.85 [0.64, 0.95], 3 n/a`: what did not apply is in no mean."""
    found, left_out = cell.estimate, f", {cell.not_applicable} n/a" if cell.not_applicable else ""
    if found is None:
        return "does not apply" if cell.not_applicable else "–"
    interval = f" [{found.low:.3g}, {found.high:.3g}]" if math.isfinite(found.low) else ""
    return f"{found.mean:.3g}{cell.unit and ' ' + cell.unit}{interval}{left_out}"


def _announce(work: Work) -> None:
    console.print(f"{len(work.jobs)} rollout{'s' * (len(work.jobs) > 1)} into {work.out}")
    if work.sifted:
        console.print(work.sifted, markup=False)
    for id, reason in work.skipped.items():
        console.print(f"skipped {id}: {reason}", markup=False)
    for id, reason in work.broken.items():
        console.print(f"cannot be read {id}: {reason}", markup=False)


class Listener:
    """Tells how far the run is: a bar where there is a terminal, else a line per rollout."""

    def __init__(self, bar: Progress, work: Work) -> None:
        self.bar, self.count = bar, 0
        self.total = len({job.key for job in work.jobs})
        self.drive: Callable[[Job], Outcome] = drive.drive if work.workers else self._drive
        self.task = bar.add_task("driving", total=self.total)

    def done(self, job: Job, outcome: Outcome) -> None:
        self.count += 1
        status = outcome.status + (f": {outcome.cause}" if outcome.cause else "")
        if outcome.rollout is not None and outcome.rollout.cause == Cause.COLLISION:
            status += ", ended by a collision"
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
