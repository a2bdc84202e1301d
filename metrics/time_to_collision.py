"""Time to collision within bound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.geometry import heading
from drivesim.types import OBJECTS, Agents, Event, Kind, Map, Rollout, Scenario, Score, Vehicle, is_kind

from .boxes import boxes, first_touches
from .contacts import (
    BEHIND,
    bearing,
    contacts,
    corners,
    first_contacts,
    off_road,
    several_lanes,
)
from .drive import judged, judged_ego, kept, not_judged, only, over_steps, track_name, unfit
from .lanes import Places

VERSION = "1"
SOURCE = "nuPlan e924167, time_to_collision_within_bound"
STRIDE = 0.1
"""Steps in which a speed that would have kept the bound is looked for [m/s]."""
AHEAD = math.radians(30)
"""A track is ahead if it is seen from the rear axle at less than this from the heading [rad] (nuPlan, NAVSIM)."""


def time_to_collision(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    bound: float = 0.95,
    horizon: float = 3.0,
    time_step: float = 0.1,
    stopped_speed: float = 0.005,
    ignore_start: bool = True,
) -> Score:
    """1 if the least time to collision stays above `bound` [s], else 0 (nuPlan e924167).

    At each step the ego and the tracks go on with constant velocity and heading, checked every `time_step` [s] up to
    but without `horizon` [s]. Only tracks ahead count, and those beside while the ego is in several lanes, off the
    drivable area or at an intersection. An ego not faster than `stopped_speed` [m/s] has none; a track that the ego
    has touched is left out from then on; at the step of an at-fault collision the time is 0 (not for contacts at the
    start with `ignore_start`, as in `collision`). All constants are nuPlan's.
    Series: time to collision [s], NaN where there is none within the horizon.
    """
    rollout = only(rollouts, "time_to_collision")
    if not 0 < time_step <= horizon:
        raise InputError(f"time_to_collision: time_step={time_step} must be more than 0 and at most horizon={horizon}")
    if reason := unfit(rollout):
        return not_judged("time_to_collision", reason, VERSION)
    agents, map = judged(rollout), scenario.scene.map
    beside = _beside_counts(judged_ego(rollout), map, rollout.vehicle)
    times = projected(agents, relevant(agents, beside, rollout.vehicle, stopped_speed), horizon, time_step)
    met = contacts(agents, map, rollout.vehicle, ignore_start=ignore_start)
    struck = (torch.arange(len(agents.yaw))[:, None] == met.step) & met.at_fault
    times = times.masked_fill(struck, 0)
    least, who = times.min(-1)
    series = over_steps(least.masked_fill(torch.isinf(least), torch.nan), rollout)
    low = least <= bound
    events = [
        _event(rollout, scenario, agents, least, who, span, {"bound": bound, "horizon": horizon}, time_step)
        for span in spans(low)
    ]
    value = float(not low.any())
    return Score(
        "time_to_collision",
        value,
        better="more",
        series=series,
        shows="time to collision [s]",
        evidence=tuple(events),
        version=VERSION,
    )


def relevant(agents: Agents, beside: Tensor, vehicle: Vehicle, stopped_speed: float = 0.005) -> Tensor:
    """Which agents (..., T, A) the ego may run into: ahead, or not behind where `beside` (..., T) counts."""
    ego = agents[..., :1]
    angle = _bearings(agents, vehicle)
    mask = (angle < AHEAD) | (beside[..., None] & (angle <= BEHIND))
    mask &= agents.valid & ego.valid & (ego.speed.abs() > stopped_speed)
    first = first_contacts(agents)[..., None, :]
    step = torch.arange(agents.yaw.shape[-2])[:, None]
    mask &= (first < 0) | (step < first)
    mask[..., 0] = False
    return mask


@kept
def _bearings(agents: Agents, vehicle: Vehicle) -> Tensor:
    """Angle (..., A) between the ego's heading and each agent, seen from the rear axle."""
    return bearing(agents[..., :1], agents, vehicle)


def projected(agents: Agents, mask: Tensor, horizon: float = 3.0, time_step: float = 0.1) -> Tensor:
    """Time (..., A) until ego and agent overlap if both go on as they are [s]; inf for none and where not `mask`."""
    count = max(math.ceil((horizon - time_step) / time_step - 1e-9), 0)
    times = time_step * torch.arange(1, count + 1, dtype=torch.float64)
    who, closing = agents.yaw.shape[-1], _closing(agents)
    asked = np.ascontiguousarray(mask.reshape(-1, who).numpy())
    found = first_touches(boxes(agents).reshape(-1, who, 6), closing.reshape(-1, who, 2).numpy(), asked, times.numpy())
    return torch.from_numpy(found).reshape(mask.shape)


@kept
def _closing(agents: Agents) -> Tensor:
    """Velocity (..., A, 2) of agents seen from the ego, float64; objects stand still."""
    velocity = agents.velocity.masked_fill(is_kind(agents.kind, OBJECTS)[..., None], 0)
    ego = agents[..., :1]
    return (velocity - ego.speed[..., None] * heading(ego.yaw)).double().contiguous()


def spans(mask: Tensor) -> list[tuple[int, int]]:
    """First and last index of each run of True in a mask (n,)."""
    edge = torch.diff(torch.nn.functional.pad(mask.int(), (1, 1)))
    return list(zip((edge == 1).nonzero()[:, 0].tolist(), ((edge == -1).nonzero()[:, 0] - 1).tolist(), strict=True))


def _beside_counts(ego: Agents, map: Map, vehicle: Vehicle) -> Tensor:
    """Whether the ego (n,) is in several lanes, off the drivable area, or with its rear axle at an intersection."""
    places = Places.of(ego, map, vehicle)
    crossing = places.rear_axle[:, map.lanes.intersection].any(-1)
    return several_lanes(map, places.corners) | off_road(map, corners(ego)) | crossing


def _event(
    rollout: Rollout,
    scenario: Scenario,
    agents: Agents,
    least: Tensor,
    who: Tensor,
    span: tuple[int, int],
    rule: dict,
    time_step: float,
) -> Event:
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
        **rule,
        "lost": 1.0,
        "rule": f"time to collision above {rule['bound']} s at every step",
        "source": SOURCE,
        "kept_by": kept_by(agents[worst][[0, other]], float(least[worst]), **rule, time_step=time_step),
    }
    place = tuple(round(x, 3) for x in agents.xy[worst, other].tolist())
    return Event("time_to_collision", rollout.start + worst, (0, other), place, detail)


def kept_by(pair: Agents, time: float, bound: float, horizon: float, time_step: float) -> str:
    """The highest speed of the ego, tried every `STRIDE`, below which the time to this track is above the bound.

    `pair` (2,): the ego and the track at the worst step, where the time was `time` [s].
    """
    if time == 0:
        return "no at-fault contact at this step"
    speed = float(pair.speed[0])
    slower = STRIDE * torch.arange(math.ceil(abs(speed) / STRIDE), dtype=pair.yaw.dtype) * math.copysign(1, speed)
    drives = pair[None].map(lambda x: x.expand(len(slower), *x.shape[1:]))
    velocity = drives.velocity.clone()
    velocity[:, 0] = slower[:, None] * heading(pair.yaw[0])
    asked = torch.tensor([False, True]).expand(len(slower), 2)
    safe = projected(drives.replace(velocity=velocity), asked, horizon, time_step)[:, 1] > bound
    safe[0] = True  # who stands has no time to collision
    last = int(safe.int().cumprod(0).sum()) - 1
    return f"the ego at {abs(float(slower[last])):.1f} m/s or less" if last else "the ego standing"
