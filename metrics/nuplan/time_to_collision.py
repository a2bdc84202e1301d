"""Time to collision within bound, with nuPlan's lanes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.types import Agents, Event, Kind, Map, Rollout, Scenario, Score

from ..contacts import STOPPED, bearing
from ..drive import judged, judged_ego, not_judged, only, over_steps, track_name, unfit
from ..lanes import Places
from ..time_to_collision import SOURCE, kept_by, projected, relevant, spans
from .at_fault import Collisions

VERSION = "1"
SLOW = 0.005
"""An ego not faster than this has no time to collision [m/s] (nuPlan)."""


def time_to_collision_within_bound(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    bound: float = 0.95,
    horizon: float = 3.0,
    time_step: float = 0.1,
    stopped_speed: float = STOPPED,
    ignore_start: bool = False,
) -> Score:
    """1 if the least time to collision stays above `bound` [s], else 0 (nuPlan e924167; all constants are its own).

    As `metrics.time_to_collision`, but with nuPlan's lanes: tracks beside the ego count while its corners are not in
    common or connected lanes or its rear axle is at an intersection, and a contact's fault is judged alike. The time is
    0 at the step of an at-fault collision. Differs: on a map without lanes only tracks ahead count. Series: time to
    collision [s], NaN where there is none within the horizon.
    """
    rollout = only(rollouts, "time_to_collision_within_bound")
    if reason := unfit(rollout):
        return not_judged("time_to_collision_within_bound", reason, VERSION)
    agents, map = judged(rollout), scenario.scene.map
    places = Places.of(judged_ego(rollout), map, rollout.vehicle)
    times = projected(agents, relevant(agents, beside(map, places), rollout.vehicle, SLOW), horizon, time_step)
    met = Collisions.of(agents, map, rollout.vehicle, places, stopped_speed)
    struck = (torch.arange(len(agents.yaw))[:, None] == met.step) & met.fault & (met.step >= int(ignore_start))
    times = times.masked_fill(struck, 0)
    least, who = times.min(-1)
    low, rules = spans(least <= bound), (bound, horizon, time_step)
    return Score(
        "time_to_collision_within_bound", float(not low),
        better="more", series=over_steps(least.masked_fill(torch.isinf(least), torch.nan), rollout),
        shows="time to collision [s]",
        evidence=tuple(_event(rollout, scenario, agents, least, who, span, rules) for span in low), version=VERSION,
    )  # fmt: skip


def beside(map: Map, places: Places) -> Tensor:
    """Whether tracks beside the ego count, at each step (n,)."""
    if not len(map.lanes):
        return torch.zeros(len(places.centre), dtype=torch.bool)
    return ~places.together | places.rear_axle[:, map.lanes.intersection].any(-1)


def _event(
    rollout: Rollout,
    scenario: Scenario,
    agents: Agents,
    least: Tensor,
    who: Tensor,
    span: tuple[int, int],
    rules: tuple[float, float, float],
) -> Event:
    bound, horizon, time_step = rules
    worst = span[0] + int(least[span[0] : span[1] + 1].argmin())
    other = int(who[worst])
    detail = {
        "time_to_collision": round(float(least[worst]), 3),  # [s]
        "track": track_name(scenario.track_ids, other),
        "kind": Kind(int(agents.kind[worst, other])).name.lower(),
        "bearing": round(float(bearing(agents[worst, 0], agents[worst, other], rollout.vehicle)), 3),  # [rad]
        "first_step": rollout.start + span[0],
        "last_step": rollout.start + span[1],
        "ego_speed": round(float(agents[worst, 0].speed), 3),
        "track_speed": round(float(agents.velocity[worst, other].norm()), 3),
        "lost": 1.0,
        "rule": f"time to collision above {bound} s at every step",
        "source": SOURCE,
        "kept_by": kept_by(agents[worst][[0, other]], float(least[worst]), bound, horizon, time_step),
    }
    place = tuple(round(x, 3) for x in agents.xy[worst, other].tolist())
    return Event("time_to_collision", rollout.start + worst, (0, other), place, detail)
