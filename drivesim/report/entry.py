"""One rollout, or its failure, as the report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from drivesim import tags
from drivesim.protocols import WorldGenerator
from drivesim.types import DT, Event, Rollout, Scenario, Score

from . import birdseye, film


@dataclass(frozen=True, eq=False)
class Entry:
    """What was asked for and what came of it. A failure has a status with its cause and nothing else."""

    scenario: str  # id
    source: str
    licence: str
    planner: str
    seed: int
    status: str = "ok"  # or "failed: ..." or "skipped: ..." with the cause
    tags: tuple[str, ...] = ()  # computed, see drivesim.tags
    scores: Sequence[Score] = ()
    videos: Mapping[str, bytes] = field(default_factory=dict)  # mp4 by name: "mosaic", "birdseye"
    comparison: film.Comparison | None = None
    timing: Mapping[str, Any] = field(default_factory=dict)  # the sidecar: latencies, host
    dt: float = DT  # [s]
    steps: int = 0  # of the rollout
    start: int = 0  # step at which the planner took over
    end: str = ""  # why the rollout ended
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what the source says of the scenario
    world: str = ""  # what it was driven in, in words

    @property
    def lost(self) -> list[str]:
        """Names of the metrics that lost all of their points."""
        return [score.name for score in self.scores if score.lost == 1]

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @property
    def skipped(self) -> bool:
        """Whether there was nothing to drive: neither run nor failed."""
        return self.status.startswith("skipped")

    @property
    def duration(self) -> float:
        """From the first step to the last [s]."""
        return max(self.steps - 1, 0) * self.dt

    @staticmethod
    def of(
        scenario: Scenario,
        rollout: Rollout,
        planner: str,
        scores: Sequence[Score] = (),
        generator: WorldGenerator | None = None,
        timing: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Film a rollout: from above always, through its cameras where there are a generator and cameras."""
        events = _happenings(scores, last=rollout.agents.valid.shape[0] - 1)
        videos, comparison = {}, None
        if generator is not None and scenario.scene.briefing.cameras:
            videos["mosaic"] = film.mosaic(scenario, rollout, generator)
            comparison = film.compare(scenario, rollout, generator)
        videos["birdseye"] = birdseye.film(scenario, rollout, events=events)
        return Entry(
            scenario.id, scenario.source, scenario.licence, planner, rollout.seed, "ok", tags.tags(scenario),
            tuple(scores), videos, comparison, timing or {}, rollout.dt, rollout.agents.valid.shape[0], rollout.start,
            ended(rollout), rollout.versions, scenario.tags,
        )  # fmt: skip


def ended(rollout: Rollout) -> str:
    """Why a rollout ended, and whether the ego had run into anybody by then."""
    told = rollout.cause.name.lower().replace("_", " ")
    own = [event for event in rollout.contacts if 0 in event.agents]
    if not own:
        return told
    who, when = max(own[0].agents), own[0].step * rollout.dt
    more = f" and {len(own) - 1} more" if len(own) > 1 else ""
    return f"{told}; contact with agent {who} at {when:.1f} s, {own[0].detail['speed']:.1f} m/s{more}"


def loses(score: Score) -> bool:
    """Whether a score's evidence tells of something lost; a perfect score's evidence only shows how it came about."""
    return not score.perfect


def _happenings(scores: Sequence[Score], last: int) -> list[Event]:
    """Events to ring in the film. One of the ego alone at the last step sums a drive up: nothing happens there."""
    lost = [event for score in scores if loses(score) for event in score.evidence]
    return [event for event in lost if event.step < last or any(agent != 0 for agent in event.agents)]
