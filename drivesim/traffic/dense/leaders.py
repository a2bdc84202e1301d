"""Who is ahead on the own route."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from drivesim.geometry import heading
from drivesim.traffic.following import SPACING
from drivesim.types import WALKERS, Agents, is_kind

from ..tables import WIDER, Drivers
from .routes import at

HORIZON = 60
"""Discs that look for a leader, SPACING apart."""


class Boxes(NamedTuple):
    """What drivers look at: all agents, then each of them where it will be in 1, 2 and 3 s."""

    xy: Tensor  # (B, 4 A, 2)
    yaw: Tensor  # (B, 4 A)
    half: Tensor  # (B, 4 A, 2) of length and width
    velocity: Tensor  # (B, 4 A, 2)
    there: Tensor  # (B, 4 A) bool: who walks will be in all these places, who moves without a route in the first
    owner: Tensor  # (4 A,) whose box of now it is, -1 for later ones


def boxes_of(agents: Agents, drivers: Drivers) -> Boxes:
    """Of agents (B, A) whose absent ones are zeros."""
    n, walks = agents.valid.shape[1], is_kind(agents.kind, WALKERS)
    strange = ~walks & (drivers.length == 0) & (agents.velocity.norm(dim=-1) > 0.5)  # nobody knows where it goes
    later = torch.stack([walks | strange, walks, walks], -1) & agents.valid[..., None]
    seconds = torch.arange(1, 4, device=agents.xy.device)[:, None]
    places = agents.xy[:, :, None] + seconds * agents.velocity[:, :, None]
    again = lambda x: torch.cat([x, x.repeat_interleave(3, 1)], 1)  # noqa: E731
    owner = torch.arange(n, device=agents.xy.device)
    return Boxes(
        torch.cat([agents.xy, places.flatten(1, 2)], 1), again(agents.yaw), again(agents.size[..., :2] / 2),
        again(agents.velocity), torch.cat([agents.valid, later.flatten(1)], 1),
        torch.cat([owner, torch.full((3 * n,), -1, device=owner.device)]),
    )  # fmt: skip


def leaders(drivers: Drivers, agents: Agents, s: Tensor) -> tuple[Tensor, Tensor]:
    """Free way (B, A) before whoever is ahead on each one's route, inf if nobody, and that one's speed along it (B, A).

    A disc as wide as the follower (and 0.1 m to each side) goes with its front while it drives on metre by metre.
    Of the boxes that the first disc touches the nearest leads; where between that disc and the one before they touch
    is found by that box's own distances. Ahead is whose middle is ahead of one's own.
    """
    boxes = boxes_of(agents, drivers)
    radius = agents.size[..., 1] / 2 + WIDER
    with torch.no_grad():
        hit, first, who = _search(drivers, agents, boxes, s, radius)
    before = (first - 1).clamp_min(0)
    discs, way = at(drivers.nose, drivers.length, s[..., None] + SPACING * torch.stack([before, first], -1))
    box = [x.gather(1, who) for x in (boxes.xy[..., 0], boxes.xy[..., 1], boxes.yaw)]
    half, velocity = (x.gather(1, who[..., None].expand(*who.shape, 2)) for x in (boxes.half, boxes.velocity))
    middle, yaw = torch.stack(box[:2], -1), box[2]
    free = _distance(discs, middle[:, :, None], yaw[:, :, None], half[:, :, None]) - radius[..., None]
    outside, inside = free[..., 0].clamp(0, 1e3), (-free[..., 1]).clamp_min(0)
    back = torch.where(first > 0, SPACING * inside / (inside + outside).clamp_min(1e-6), 0.0)
    speed = (velocity * way[:, :, 1]).sum(-1).clamp_min(0)
    return torch.where(hit, SPACING * first - back, torch.inf), torch.where(hit, speed, 0.0)


def _search(
    drivers: Drivers, agents: Agents, boxes: Boxes, s: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Whether a box is touched (B, A), by which disc first, and which box."""
    toward = heading(agents.yaw)
    offset = boxes.xy[:, None] - agents.xy[:, :, None]
    ahead = (offset * toward[:, :, None]).sum(-1) > 0
    own = boxes.owner == torch.arange(agents.valid.shape[1], device=s.device)[:, None]
    counts = ahead & boxes.there[:, None] & ~own
    k = torch.arange(HORIZON, device=s.device)
    discs, _ = at(drivers.nose, drivers.length, s[..., None] + SPACING * k)
    distance = _distance(
        discs[:, :, :, None], boxes.xy[:, None, None], boxes.yaw[:, None, None], boxes.half[:, None, None]
    )
    distance = torch.where(counts[:, :, None], distance - radius[..., None, None], torch.inf)
    nearest, who = distance.min(-1)
    first = (nearest <= 0).long().argmax(-1)
    return (nearest <= 0).any(-1), first, who.gather(2, first[..., None])[..., 0]


def _distance(points: Tensor, xy: Tensor, yaw: Tensor, half: Tensor) -> Tensor:
    """Distance (...) from points (..., 2) to boxes; 0 inside."""
    dx, dy = (points - xy).unbind(-1)
    cos, sin = torch.cos(yaw), torch.sin(yaw)
    ahead = ((cos * dx + sin * dy).abs() - half[..., 0]).clamp_min(0)
    left = ((cos * dy - sin * dx).abs() - half[..., 1]).clamp_min(0)
    return torch.stack([ahead, left], -1).norm(dim=-1)
