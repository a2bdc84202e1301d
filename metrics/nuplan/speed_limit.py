"""Speed limit compliance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.types import Event, Map, Rollout, Scenario, Score

from ..drive import judged_ego, not_judged, only, over_steps, unfit
from ..lanes import lanes_followed
from ..time_to_collision import spans

VERSION = "1"
SOURCE = "nuPlan e924167, speed_limit_compliance"


def speed_limit(rollouts: Sequence[Rollout], scenario: Scenario, overspeed: float = 2.23) -> Score:
    """max(0, 1 - sum(excess dt) / (max(`overspeed`, 0.001) T)): how much and how long too fast (nuPlan e924167).

    The excess [m/s] is the rear axle's speed above the limit where the box centre is: that of its lane, or at an
    intersection the largest among the lanes that lead into and out of those it may be in. T is the drive's duration;
    2.23 m/s, 5 mph, is nuPlan's. Where no limit is known, or the ego is in no lane, there is no excess. Differs: not
    valid where no limit is known at any step (nuPlan: 1). Series: speed above the limit, at least 0 [m/s].
    """
    rollout = only(rollouts, "speed_limit")
    if reason := unfit(rollout, steps=2):
        return not_judged("speed_limit", reason, VERSION)
    ego, map = judged_ego(rollout), scenario.scene.map
    limit = limits(map, lanes_followed(ego, map, rollout.vehicle)).to(ego.xy)
    if not bool(torch.isfinite(limit).any()):
        return not_judged("speed_limit", "the map states no speed limit where the ego drove", VERSION)
    excess = (ego.speed.abs() - limit).clamp_min(0).nan_to_num(0)
    series = over_steps(excess.masked_fill(torch.isnan(limit), torch.nan), rollout)
    events = []
    for first, last in spans(excess > 0):
        worst = first + int(excess[first : last + 1].round(decimals=3).argmax())  # the first of equals
        detail = {
            "excess": round(float(excess[worst]), 3),  # [m/s]
            "speed": round(float(ego.speed[worst].abs()), 3),
            "limit": round(float(limit[worst]), 3),
            "first_step": rollout.start + first,
            "last_step": rollout.start + last,
            "lost": round(1 - speed_limit_score(excess[first : last + 1], rollout.dt, len(excess), overspeed), 4),
            "rule": f"excess over the limit, weighed against {overspeed} m/s for the whole drive",
            "source": SOURCE,
            "kept_by": f"speed below {float(limit[worst]):.1f} m/s",
        }
        place = tuple(round(x, 3) for x in ego.xy[worst].tolist())
        events.append(Event("too_fast", rollout.start + worst, (0,), place, detail))
    return Score(
        "speed_limit", speed_limit_score(excess, rollout.dt, len(excess), overspeed), better="more", series=series,
        shows="speed above the limit [m/s]", evidence=tuple(events), version=VERSION,
    )  # fmt: skip


def speed_limit_score(excess: Tensor, dt: float, count: int, overspeed: float = 2.23) -> float:
    """The score of excess speeds (m,) [m/s] in a drive of `count` steps of `dt` [s]; 1 for a drive of one step."""
    if count < 2:
        return 1.0
    return max(0.0, 1 - float(excess.sum()) * dt / (max(overspeed, 1e-3) * (count - 1) * dt))


def limits(map: Map, route: list[list[int]]) -> Tensor:
    """The limit (n,) at each step of a route [m/s]; NaN where it is not known.

    At an intersection it is not known where any lane before or after has none; a lane there without neighbours has its
    own.
    """
    known, crossing = map.lanes.speed_limit.tolist(), map.lanes.intersection.tolist()
    beside: dict[int, list[int]] = {}
    for a, b in map.lanes.successors.tolist():
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)

    def limit(lanes: list[int]) -> float:
        if not lanes:
            return torch.nan
        asked = [known[j] for i in lanes for j in beside.get(i, [i])] if crossing[lanes[0]] else [known[lanes[0]]]
        return torch.nan if any(x != x for x in asked) else max(asked)

    return torch.tensor([limit(lanes) for lanes in route], dtype=torch.float64)
