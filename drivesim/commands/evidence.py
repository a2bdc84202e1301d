"""The evidence of scores in plain words, most lost first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..types import Event, Rollout, Score

FIRST = (("rule", "rule"), ("source", "source"), ("kept_by", "kept by"))
"""Details that have a line of their own, with its heading."""
TOLD = {"rule", "source", "kept_by", "lost", "weight", "factor", "part", "track", "kind"}
"""Details that stand elsewhere than in the line of all others."""


SHOWN = 3
"""Events of a kind that are told in full."""


@dataclass(frozen=True)
class Drive:
    """A drive to be explained: its scores, or why there are none."""

    title: str
    scores: Sequence[Score]
    rollout: Rollout | None


def told(drive: Drive, all: bool = False) -> Iterator[str]:
    """A drive in lines. Scores that lost nothing are one line, unless `all`."""
    yield drive.title
    lost = sorted(drive.scores, key=lambda score: -points_lost(score))
    full = [score for score in lost if _is_full(score) and not all]
    for score in (score for score in lost if score.valid and score not in full):
        yield from _score(score, drive.rollout)
    for whole, words in ((True, "nothing lost"), (False, "no evidence of a loss")):
        names = [f"{score.name} {_number(score.value)}" for score in full if score.perfect == whole]
        if names:
            yield f"  {words}: {', '.join(names)}"
    for score in (score for score in lost if not score.valid):
        yield f"  {score.name} v{score.version} does not apply: {score.reason}"


def points_lost(score: Score) -> float:
    """Share of the points that a score lost, by evidence of what happened; 0 without any."""
    return score.lost if score.evidence else 0.0


def _is_full(score: Score) -> bool:
    """Whether there is no loss to tell of: all points kept, or evidence of none lost."""
    return score.perfect or (bool(score.better) and not score.unit and score.valid and not score.evidence)


def _score(score: Score, rollout: Rollout | None) -> Iterator[str]:
    lost, unit = points_lost(score), score.unit and f" {score.unit}"
    yield f"  {score.name} v{score.version}: {_number(score.value)}{unit}" + (f", {_number(lost)} lost" * (lost > 0))
    events = sorted(score.evidence, key=lambda event: (-_lost(event), event.step))
    parts = {event.kind for event in events if _is_part(event)}
    below: dict[str, list[Event]] = {}
    for event in events:
        if not _is_part(event) and event.detail.get("part") in parts:
            below.setdefault(event.detail["part"], []).append(event)
    for event in events:
        if _is_part(event):
            yield from _event(event, rollout, 4)
            yield from _causes(below.get(event.kind, ()), rollout, 6)
    yield from _causes([e for e in events if not _is_part(e) and e.detail.get("part") not in parts], rollout, 4)


def _causes(events: Sequence[Event], rollout: Rollout | None, indent: int) -> Iterator[str]:
    """Events in lines, the first `SHOWN` of a kind: what goes on for many steps is told often enough."""
    seen: Counter[str] = Counter()
    for event in events:
        seen[event.kind] += 1
        if seen[event.kind] <= SHOWN:
            yield from _event(event, rollout, indent)
    for kind, count in seen.items():
        if count > SHOWN:
            last = max(event.step for event in events if event.kind == kind)
            yield f"{' ' * indent}{kind}: {count - SHOWN} more, the last at {_when(last, rollout)}"


def _is_part(event: Event) -> bool:
    """Whether an event is a sub-score, which has a weight in the sum or is a factor of it."""
    return "weight" in event.detail or "factor" in event.detail


def _lost(event: Event) -> float:
    lost = event.detail.get("lost", 0.0)
    return float(lost) if isinstance(lost, int | float) and math.isfinite(lost) else 0.0


def _event(event: Event, rollout: Rollout | None, indent: int) -> Iterator[str]:
    detail, space = dict(event.detail), " " * indent
    head = event.kind + (f" of {detail['part']}" if detail.get("part") and indent < 6 else "")
    if _is_part(event):
        role = f"weight {_value(detail['weight'])}" if "weight" in detail else f"factor {_value(detail['factor'])}"
        head += f" {_value(detail.pop('value'))} ({role})" if "value" in detail else f" ({role})"
    lost = f", {_number(_lost(event))} lost" * (_lost(event) > 0)
    at = f"({event.xy[0]:.1f}, {event.xy[1]:.1f})"
    yield f"{space}{head}{lost}: {_when(event.step, rollout)} at {at}{_who(event, rollout)}"
    for key, name in FIRST:
        if detail.get(key):
            yield f"{space}  {name + ':':8} {detail[key]}"
    rest = [f"{key.replace('_', ' ')} {_value(value)}" for key, value in detail.items() if key not in TOLD]
    if rest:
        yield f"{space}  {'details:':8} {', '.join(rest)}"


def _when(step: int, rollout: Rollout | None) -> str:
    return f"step {step}" if rollout is None else f"{step * rollout.dt:.1f} s (step {step})"


def _who(event: Event, rollout: Rollout | None) -> str:
    """The others of an event: kind, the log's name for the track, number in the rollout."""
    others = [agent for agent in event.agents if agent != 0]
    if not others:
        return ""
    if len(others) > 1:
        return f", with agents {', '.join(map(str, others))}"
    kind, track = event.detail.get("kind") or _kind(others[0], event.step, rollout), event.detail.get("track")
    return f", with {kind or 'agent'} {others[0]}" + (f" (track {track})" if track is not None else "")


def _kind(agent: int, step: int, rollout: Rollout | None) -> str:
    from ..types import Kind

    if rollout is None or not (0 <= agent < rollout.agents.kind.shape[1] and 0 <= step < len(rollout.agents.kind)):
        return ""
    return Kind(int(rollout.agents.kind[step, agent])).name.lower()


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if math.isfinite(value) else str(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return f"({', '.join(f'{key} {_value(item)}' for key, item in value.items())})"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_value, value))}]"
    return _number(value) if isinstance(value, float) else str(value).replace("_", " ")
