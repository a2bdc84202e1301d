"""Who touches the ego, when, how, and whose fault it is; how far the others are. For agents of any batch prefix.

Definitions follow nuPlan (nuplan-devkit e924167, no_ego_at_fault_collisions) and NAVSIM (0a380a9, no at-fault
collision), which agree on them; see docs/metrics.md.
"""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap, heading
from drivesim.roadmap import RoadMap
from drivesim.struct import Struct, tensor
from drivesim.types import OBJECTS, Agents, Map, Vehicle, is_kind

from .boxes import boxes, touching_first
from .drive import kept

STOPPED = 0.05
"""Speed up to which a road user counts as stopped at a contact [m/s] (nuPlan, NAVSIM)."""
BEHIND = math.radians(150)
"""A track is behind if it is seen from the rear axle at more than this from the heading [rad] (nuPlan, NAVSIM)."""


class Contact(IntEnum):
    """How the ego and a track touched first."""

    STOPPED_EGO = 0
    STOPPED_TRACK = 1
    REAR = 2
    FRONT = 3
    LATERAL = 4


class Contacts(Struct):
    """Each track's first contact with the ego. Where `step` is -1 there is none and the rest means nothing."""

    step: Tensor  # (A,) int64
    kind: Tensor  # (A,) int64, a Contact
    at_fault: Tensor  # (A,) bool
    several_lanes: Tensor  # (A,) bool, the ego is
    off_road: Tensor  # (A,) bool, a corner of the ego is
    ego: Agents = tensor(event=1)  # (A,) at the contact
    track: Agents = tensor(event=1)  # (A,)


def contacts(
    agents: Agents, map: Map, vehicle: Vehicle, stopped: float = STOPPED, ignore_start: bool = True
) -> Contacts:
    """First contacts of agents (n, A) on a map. With `ignore_start`, one at the first step is nobody's fault."""
    return _contacts(agents, map, vehicle, stopped, ignore_start)


@kept
def _contacts(agents: Agents, map: Map, vehicle: Vehicle, stopped: float, ignore_start: bool) -> Contacts:
    step = first_contacts(agents)
    ego, track = at_steps(agents, step.clamp_min(0))
    kind, met = contact_types(ego, track, vehicle, stopped), step >= 0
    several, off = torch.zeros_like(met), torch.zeros_like(met)
    boxes = corners(ego)[met]
    several[met], off[met] = in_several_lanes(map, boxes), off_road(map, boxes)
    fault = at_fault(kind, several, off) & (step >= int(ignore_start))
    return Contacts(step, kind, fault, several, off, ego, track)


@kept
def corners(agents: Agents) -> Tensor:
    """Corners (..., 4, 2) of the boxes; NaN where the agent is absent."""
    there = agents.valid[..., None, None]
    return box_corners(agents.xy, agents.yaw, agents.size).masked_fill(~there, torch.nan)


@kept
def touching(agents: Agents) -> Tensor:
    """Whether the ego's box and each agent's (..., A) share a point; False for the ego and who is absent."""
    hits = touching_first(boxes(agents).reshape(-1, agents.yaw.shape[-1], 6))
    return torch.from_numpy(hits).reshape(agents.yaw.shape)


def pairs(agents: Agents, which: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (K, 4, 2) of the ego and of each agent of (..., A) of `which` (..., A) there are K."""
    *lead, _ = which.nonzero().unbind(-1)
    return corners(agents[..., 0])[tuple(lead)], corners(agents[which])


@kept
def first_contacts(agents: Agents) -> Tensor:
    """First step (..., A) at which each agent of (..., T, A) touches the ego; -1 for never."""
    hits = touching(agents)
    return torch.where(hits.any(-2), hits.int().argmax(-2), -1)


def at_steps(agents: Agents, step: Tensor) -> tuple[Agents, Agents]:
    """The ego and each agent, both (..., A), of agents (..., T, A) at each agent's own step (..., A)."""
    *lead, last = torch.meshgrid(*(torch.arange(n) for n in step.shape), indexing="ij")
    return agents[(*lead, step, torch.zeros_like(last))], agents[(*lead, step, last)]


def contact_types(ego: Agents, track: Agents, vehicle: Vehicle, stopped: float = STOPPED) -> Tensor:
    """The Contact (...) of an ego and a track (...) that touch.

    The first that holds: the ego is stopped; the track is stopped or a static object; the track is behind, seen from
    the rear axle; the front bumper's line meets the track's box; else lateral.
    """
    kinds = torch.full(ego.yaw.shape, int(Contact.LATERAL))
    kinds[bumper_meets(ego, track)] = int(Contact.FRONT)
    kinds[bearing(ego, track, vehicle) > BEHIND] = int(Contact.REAR)
    still = (track.velocity.norm(dim=-1) <= stopped) | is_kind(track.kind, OBJECTS)
    kinds[still] = int(Contact.STOPPED_TRACK)
    kinds[ego.speed.abs() <= stopped] = int(Contact.STOPPED_EGO)
    return kinds


def at_fault(kinds: Tensor, several_lanes: Tensor, off_road: Tensor) -> Tensor:
    """Whether contacts (...) could have been prevented by the ego: front, with a stopped track, or lateral while
    the ego is in several lanes or off the drivable area."""
    always = (kinds == Contact.FRONT) | (kinds == Contact.STOPPED_TRACK)
    return always | ((kinds == Contact.LATERAL) & (several_lanes | off_road))


def impact_speed(ego: Agents, track: Agents) -> Tensor:
    """Speed (...) at which the two meet [m/s]: sqrt(v1^2 + v2^2 - 2 v1 v2 cos dpsi) where both move along their
    headings (nuPlan's form); a track that moves otherwise counts by its velocity. Objects stand still."""
    velocity = track.velocity.masked_fill(is_kind(track.kind, OBJECTS)[..., None], 0)
    return (ego.speed[..., None] * heading(ego.yaw) - velocity).norm(dim=-1)


def bearing(ego: Agents, track: Agents, vehicle: Vehicle) -> Tensor:
    """Angle (...) in [0, pi] between the ego's heading and the line from its rear axle to the track's centre."""
    offset = track.xy - vehicle.rear_axle(ego.poses)[..., :2]
    ahead = (offset * heading(ego.yaw)).sum(-1)
    aside = (offset * heading(ego.yaw + torch.pi / 2)).sum(-1)
    return torch.atan2(aside.abs(), ahead)


def bumper_meets(ego: Agents, track: Agents) -> Tensor:
    """Whether the line between the ego's front corners meets the track's box (...): separating axes."""
    line, box = corners(ego)[..., :2, :], corners(track)
    angles = torch.stack([ego.yaw, ego.yaw + torch.pi / 2, track.yaw, track.yaw + torch.pi / 2], -1)
    axes = heading(angles).transpose(-1, -2)  # (..., 2, 4)
    a, b = line @ axes, box @ axes
    gap = torch.maximum(a.amin(-2) - b.amax(-2), b.amin(-2) - a.amax(-2))
    return gap.amax(-1) <= 0


@kept
def nearest(agents: Agents) -> Tensor:
    """Distance (...) from the ego's box to the nearest other box of agents (..., A) [m]; inf where there is none."""
    centres = (agents.xy - agents.xy[..., :1, :]).norm(dim=-1)
    others = agents.valid & agents.valid[..., :1]
    others[..., 0] = False
    centres = centres.masked_fill(~others, torch.inf)
    reach = agents.size[..., :2].norm(dim=-1) / 2
    # no box is farther than its centre, and none nearer than its circle: few can be the nearest
    asked = others & (centres - reach - reach[..., :1] <= centres.amin(-1, keepdim=True))
    return clearance(agents, asked).amin(-1)


def clearance(agents: Agents, asked: Tensor) -> Tensor:
    """Distance (..., A) from the ego's box to each agent's [m]; 0 on contact, inf for who is absent or not `asked`."""
    mine, theirs = pairs(agents, asked)
    gap = torch.minimum(_corner_to_edge(mine, theirs), _corner_to_edge(theirs, mine))
    result = torch.full(asked.shape, torch.inf, dtype=mine.dtype)
    result[asked] = gap.masked_fill(boxes_overlap(mine, theirs), 0).nan_to_num(torch.inf)
    return result


def _corner_to_edge(a: Tensor, b: Tensor) -> Tensor:
    """Least distance (...) from the corners of `a` (..., 4, 2) to the edges of `b` (..., 4, 2)."""
    edge = b.roll(-1, -2) - b
    relative = a[..., :, None, :] - b[..., None, :, :]
    share = (relative * edge[..., None, :, :]).sum(-1) / edge.square().sum(-1)[..., None, :].clamp_min(1e-12)
    offset = relative - share.clamp(0, 1)[..., None] * edge[..., None, :, :]
    return offset.square().sum(-1).amin((-1, -2)).sqrt()


def in_several_lanes(map: Map, boxes: Tensor) -> Tensor:
    """Whether boxes with corners (..., 4, 2) lie in several lanes (...).

    Corners in more than one lane's area while no lane holds all four (NAVSIM); a lane and the one it leads to count
    as one here, because a car that drives on from one to the next is not between lanes (nuPlan's connected lanes).
    """
    return several_lanes(map, RoadMap.of(map).lanes_at(boxes))


def several_lanes(map: Map, held: Tensor) -> Tensor:
    """As `in_several_lanes`, of boxes whose corners are in lanes `held` (..., 4, L)."""
    asked = held.flatten(0, -2).any(0)
    first, then = map.lanes.successors[asked[map.lanes.successors].all(-1)].T  # others hold no corner
    whole = held.all(-2).any(-1) | (held[..., first] | held[..., then]).all(-2).any(-1)
    return (held.any(-2).sum(-1) > 1) & ~whole


def off_road(map: Map, boxes: Tensor) -> Tensor:
    """Whether any corner of boxes (..., 4, 2) is off the drivable area (...); False where a map has none."""
    if not len(map.drivable):
        return torch.zeros(boxes.shape[:-2], dtype=torch.bool)
    return ~RoadMap.of(map).inside(boxes).all(-1)


def at_intersection(map: Map, xy: Tensor) -> Tensor:
    """Whether points (..., 2) lie on a lane that crosses an intersection (...)."""
    return RoadMap.of(map).lanes_at(xy)[..., map.lanes.intersection].any(-1)
