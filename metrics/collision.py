"""No at-fault collision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.types import OBJECTS, Agents, Event, Kind, Rollout, Scenario, Score, is_kind

from .contacts import STOPPED, Contact, Contacts, contacts, corners, impact_speed, nearest
from .drive import judged, not_judged, only, over_steps, track_name, unfit

VERSION = "1"


def collision(
    rollouts: Sequence[Rollout], scenario: Scenario, stopped_speed: float = STOPPED, ignore_start: bool = True
) -> Score:
    """1 without an at-fault collision, 0.5 if all were with static objects, 0 otherwise (NAVSIM 0a380a9, NC).

    Each track counts once, at its first contact with the ego from `rollout.start` on. Tracks that overlap the ego at
    the start are ignored for good (`ignore_start`; nuPlan counts them), but stand in the evidence as
    `contact_at_start`. `stopped_speed` [m/s]: up to it a road user counts as stopped (nuPlan and NAVSIM: 0.05).
    Series: distance from the ego's box to the nearest other box [m].
    """
    rollout = only(rollouts, "collision")
    if reason := unfit(rollout):
        return not_judged("collision", reason, VERSION)
    agents = judged(rollout)
    met = contacts(agents, scenario.scene.map, rollout.vehicle, stopped_speed, ignore_start)
    who = [i for i in met.step.argsort(stable=True).tolist() if met.step[i] >= 0]
    events = tuple(_event(met, i, rollout, scenario, stopped_speed, ignore_start) for i in who)
    gap = nearest(agents)
    series = over_steps(gap.masked_fill(torch.isinf(gap), torch.nan), rollout)
    value = float(no_at_fault_collision(met.track, met.at_fault))
    return Score(
        "collision", value, series=series, shows="distance to the nearest box [m]", evidence=events, version=VERSION
    )


def no_at_fault_collision(track: Agents, fault: Tensor) -> Tensor:
    """The score (...) of tracks (..., A) at their first contact, `fault` (..., A) those at fault: 1, 0.5 or 0."""
    cost = torch.where(is_kind(track.kind, OBJECTS), 0.5, 0.0)
    return torch.where(fault, cost, 1.0).amin(-1)


def _event(
    met: Contacts, i: int, rollout: Rollout, scenario: Scenario, stopped_speed: float, ignore_start: bool
) -> Event:
    """What happened at the first contact with agent `i`."""
    ego, track, step = met.ego[i], met.track[i], int(met.step[i])
    speed = float(impact_speed(ego, track))
    detail = {
        "type": Contact(int(met.kind[i])).name.lower(),
        "at_fault": bool(met.at_fault[i]),
        "track": track_name(scenario.track_ids, i),
        "kind": Kind(int(track.kind)).name.lower(),
        "impact_speed": round(speed, 3),  # [m/s]
        "delta_v": round(speed / 2, 3),  # [m/s], between equal masses (nuPlan)
        "ego_speed": round(float(ego.speed), 3),
        "track_speed": round(float(track.velocity.norm()), 3),
        "several_lanes": bool(met.several_lanes[i]),
        "off_road": bool(met.off_road[i]),
        "stopped_speed": stopped_speed,
    }
    name = "contact_at_start" if ignore_start and step == 0 else "collision"
    return Event(name, rollout.start + step, (0, i), _meeting(corners(ego), corners(track)), detail)


def _meeting(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Centre of the area that two boxes (4, 2) share."""
    from shapely.geometry import Polygon

    shared = Polygon(a.tolist()).intersection(Polygon(b.tolist()))
    point = shared.centroid if not shared.is_empty else Polygon(a.tolist()).centroid
    return round(point.x, 3), round(point.y, 3)
