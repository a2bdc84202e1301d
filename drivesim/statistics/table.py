"""Drives as a table of planners and metrics: what enters a mean, and what is only counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..types import Score
from .intervals import Estimate, estimate, is_rate
from .paired import Difference, compare


@dataclass(frozen=True)
class Drive:
    """One rollout as statistics see it."""

    planner: str
    scenario: str  # what pairs it with another planner's
    seed: int
    status: str = "ok"  # ok | failed | skipped
    technical: bool = False  # failed through no fault of the planner
    scores: Mapping[str, Score] = field(default_factory=dict)
    world: str = ""  # what it was driven in, in words


@dataclass(frozen=True)
class Cell:
    """A metric of a planner. Only `estimate` is about scores; the rest says what is not in it."""

    estimate: Estimate | None  # None where nothing is left to average
    failed: int
    technical: int  # of those failed
    skipped: int
    not_applicable: int
    reasons: Mapping[str, int] = field(default_factory=dict)  # why it did not apply, and how often
    unit: str = ""
    better: str = ""  # "more" or "less"; empty where no score says
    version: str = ""  # of the metric; several are joined by a comma

    @property
    def warnings(self) -> tuple[str, ...]:
        """The estimate's, and that a mean over survivors flatters."""
        found = self.estimate.warnings if self.estimate else ()
        asked = self.failed + self.not_applicable + (self.estimate.n if self.estimate else 0)
        if self.failed:
            found += (f"{self.failed} of {asked} drives failed: in no mean",)
        if "," in self.version:
            found += (f"the mean mixes versions {self.version} of the metric",)
        return found


def cells(drives: Sequence[Drive]) -> dict[tuple[str, str], Cell]:
    """The cell of each (planner, metric), both in order of appearance."""
    found = {}
    for planner in dict.fromkeys(drive.planner for drive in drives):
        mine = [drive for drive in drives if drive.planner == planner]
        for name in dict.fromkeys(name for drive in drives for name in drive.scores):
            found[planner, name] = _cell(mine, name, rate_of(drives, name))
    return found


def warnings(cells: Mapping[tuple[str, str], Cell]) -> list[str]:
    """Each warning of a table once; before it whom it is about, unless that is every planner."""
    about: dict[str, dict[str, None]] = {}
    for (planner, _), cell in cells.items():
        for warning in cell.warnings:
            about.setdefault(warning, {})[planner] = None
    everybody = len({planner for planner, _ in cells})
    return [f"{', '.join(who)}: {text}" if len(who) < everybody else text for text, who in about.items()]


def paired(drives: Sequence[Drive], a: str, b: str, name: str) -> Difference | str:
    """The metric of planner `a` less that of `b` where both have it; in words why they cannot be compared."""
    mine, theirs = ([d for d in drives if d.planner == planner] for planner in (a, b))
    versions = [sorted({s.version for _, s in counted(x, name)}) for x in (mine, theirs)]
    if not all(versions):
        return f"no score that counts of {a if not versions[0] else b}"
    if versions[0] != versions[1]:
        return f"versions of the metric differ: {', '.join(versions[0])} and {', '.join(versions[1])}"
    values = [{(d.scenario, d.seed): s.value for d, s in counted(x, name)} for x in (mine, theirs)]
    if not values[0].keys() & values[1].keys():
        return "no scenario and seed in common to which it applies"
    found = compare(*values, rate=rate_of(drives, name))
    only = len(values[0].keys() ^ values[1].keys())
    told = f"{only} drive{'s' * (only != 1)} without a counterpart {'are' if only != 1 else 'is'} left out"
    return replace(found, warnings=(*found.warnings, told)) if only else found


def rate_of(drives: Sequence[Drive], name: str) -> bool:
    """Whether a metric is a rate: over all planners, so that they are judged by the same method."""
    scores = [score for _, score in counted(drives, name)]
    return is_rate([score.value for score in scores], next((score.unit for score in scores), ""))


def counted(drives: Sequence[Drive], name: str) -> Iterator[tuple[Drive, Score]]:
    """Drives whose score enters averages: driven, the score applies, and it is a number."""
    for drive in drives:
        score = drive.scores.get(name)
        if drive.status == "ok" and score is not None and score.valid and math.isfinite(score.value):
            yield drive, score


def _cell(mine: Sequence[Drive], name: str, rate: bool) -> Cell:
    there = list(counted(mine, name))
    measured = [drive.scores[name] for drive in mine if drive.status == "ok" and name in drive.scores]
    left_out = [score for score in measured if not (score.valid and math.isfinite(score.value))]
    reasons = Counter(s.reason if not s.valid else f"its value is {s.value}" for s in left_out)
    return Cell(
        estimate([s.value for _, s in there], [d.scenario for d, _ in there], rate) if there else None,
        sum(drive.status == "failed" for drive in mine),
        sum(drive.status == "failed" and drive.technical for drive in mine),
        sum(drive.status == "skipped" for drive in mine),
        len(left_out), dict(reasons), next((s.unit for s in measured if s.unit), ""),
        next((s.better for s in measured if s.better), ""),
        ", ".join(sorted({score.version for score in measured})),
    )  # fmt: skip
