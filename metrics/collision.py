"""No at-fault collision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.geometry import heading
from drivesim.types import OBJECTS, Agents, Event, Kind, Rollout, Scenario, Score, is_kind

from .contacts import STOPPED, Contact, Contacts, contacts, corners, impact_speed, nearest
from .drive import judged, not_judged, only, over_steps, track_name, unfit

VERSION = "1"
SOURCE = "NAVSIM 0a380a9, no at-fault collision; nuPlan e924167, no_ego_at_fault_collisions"


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
        "collision",
        value,
        better="more",
        series=series,
        shows="distance to the nearest box [m]",
        evidence=events,
        version=VERSION,
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
        **_judged(met, i, stopped_speed, ignore_start),
    }
    name = "contact_at_start" if ignore_start and step == 0 else "collision"
    return Event(name, rollout.start + step, (0, i), _meeting(corners(ego), corners(track)), detail)


RULES = {
    Contact.STOPPED_EGO: "a contact while the ego stands (up to {stopped} m/s) is not its fault",
    Contact.STOPPED_TRACK: "a contact with who stands (up to {stopped} m/s), or with an object, is the ego's fault",
    Contact.REAR: "a contact with a track more than 150 degrees off the heading is not the ego's fault",
    Contact.FRONT: "a contact that the front bumper's line meets is the ego's fault",
    Contact.LATERAL: "a lateral contact is the ego's fault while it is in several lanes or off the drivable area",
}


def _judged(met: Contacts, i: int, stopped: float, ignore_start: bool) -> dict[str, object]:
    """What the contact with agent `i` costs, by which rule, and what would have kept the points."""
    kind = Contact(int(met.kind[i]))
    at_start = ignore_start and int(met.step[i]) == 0
    rule = "a contact at the start is nobody's fault" if at_start else RULES[kind].format(stopped=stopped)
    found = {"lost": 0.0, "rule": rule, "source": SOURCE}
    if not met.at_fault[i]:
        return found
    apart = " or ".join(f"{way:.2f} m further {side}" for side, way in ways_out(met.ego[i], met.track[i]).items())
    lanes = ", or all of it in one lane and on the drivable area" if kind == Contact.LATERAL else ""
    lost = 0.5 if bool(is_kind(met.track.kind[i], OBJECTS)) else 1.0
    return {**found, "lost": lost, "kept_by": f"the ego {apart} at this step{lanes}"}


def ways_out(ego: Agents, track: Agents) -> dict[str, float]:
    """How far the ego's box must go back, and to its nearer side, until it only touches the track's [m]."""
    yaw = torch.stack([ego.yaw, ego.yaw + torch.pi / 2, track.yaw, track.yaw + torch.pi / 2])
    axes = heading(yaw)  # (4, 2): boxes are apart once they are on one of them
    mine, theirs = corners(ego) @ axes.T, corners(track) @ axes.T
    over, under = mine.amax(0) - theirs.amin(0), theirs.amax(0) - mine.amin(0)
    ways = {}
    for side, angle in (("back", torch.pi), ("left", torch.pi / 2), ("right", -torch.pi / 2)):
        rate = axes @ heading(ego.yaw + angle)
        away = torch.where(rate < 0, over, under) / rate.abs().clamp_min(1e-9)
        ways[side] = max(float(away.min()), 0.0)
    aside = min("left", "right", key=lambda side: ways[side])
    return {"back": ways["back"], aside: ways[aside]}


def _meeting(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Centre of the area that two boxes (4, 2) share."""
    from shapely.geometry import Polygon

    shared = Polygon(a.tolist()).intersection(Polygon(b.tolist()))
    point = shared.centroid if not shared.is_empty else Polygon(a.tolist()).centroid
    return round(point.x, 3), round(point.y, 3)
