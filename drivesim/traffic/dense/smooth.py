"""Collision and off-road as distances with gradients: what the flags of `step` jump over, these lead through."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import box_corners, heading
from drivesim.types import Agents

from .decide import FARTHEST, there_or_zero
from .rules import odd_crossings
from .tables import Tables

EDGE = 0.01
"""Cosine and sine below which the turn between two boxes is rounded off."""


def apart(a: Agents, b: Agents, softness: float = 0.1) -> Tensor:
    """Smooth distance (...) [m] between boxes of `a` and `b` (...), negative where they overlap: by how much.

    The greatest gap along the boxes' four axes (separating axis theorem), which is their distance where one lies
    beside the other, and less where corner faces corner. Maximum and modulus are rounded off so that it is never
    more than the exact one, nor less by more than 2.4 `softness` [m] and 1 % of the boxes' half perimeter.
    """
    d, turn = b.xy - a.xy, b.yaw - a.yaw
    c, s = (torch.sqrt(x.square() + EDGE**2) for x in (torch.cos(turn), torch.sin(turn)))
    (length, width), (length_b, width_b) = ((x.size[..., :2] / 2).unbind(-1) for x in (a, b))
    along = lambda yaw: torch.sqrt((d * heading(yaw)).sum(-1).square() + softness**2) - softness  # noqa: E731
    gaps = torch.stack([
        along(a.yaw) - length - length_b * c - width_b * s,
        along(a.yaw + torch.pi / 2) - width - length_b * s - width_b * c,
        along(b.yaw) - length_b - length * c - width * s,
        along(b.yaw + torch.pi / 2) - width_b - length * s - width * c,
    ], -1)  # fmt: skip
    return -least(-gaps, softness, at_most=False)


def clearance(agents: Agents, softness: float = 0.1) -> Tensor:
    """Smooth distance (B, A) [m] of each box to the nearest other one, negative where they overlap; see `apart`.

    inf where nobody else is there, NaN for who is absent.
    """
    valid, n = agents.valid, agents.valid.shape[1]
    agents = there_or_zero(agents)
    one, other = (agents.map(lambda x, k=k: x.unsqueeze(k)) for k in (2, 1))
    both = valid[:, :, None] & valid[:, None] & ~torch.eye(n, dtype=torch.bool, device=valid.device)
    value = least(torch.where(both, apart(one, other, softness), FARTHEST), softness)
    return torch.where(valid, torch.where(both.any(-1), value, torch.inf), torch.nan)


def margin(tables: Tables, agents: Agents, softness: float = 0.1) -> Tensor:
    """Smooth distance (B, A) [m] from the corners of boxes to the border of the drivable area, negative outside of it.

    The least of the four corners, rounded off: never more than the exact one, nor less by more than 1.4 `softness`.
    -inf where a map has no drivable area, NaN for who is absent.
    """
    valid, agents = agents.valid, there_or_zero(agents)
    corners = box_corners(agents.xy, agents.yaw, agents.size)
    a, b = tables.border_a, tables.border_b
    if not a.shape[1]:
        return torch.where(valid, -torch.inf, torch.nan)
    with torch.no_grad():
        places = corners.flatten(1, 2)[:, :, None]
        inside = odd_crossings(a[:, None], b[:, None], places)
        nearest = _distance(a[:, None], b[:, None], places).nan_to_num(torch.inf).argmin(-1)
    index = nearest[..., None].expand(-1, -1, 2)
    distance = _distance(a.gather(1, index), b.gather(1, index), corners.flatten(1, 2)).nan_to_num(torch.inf)
    signed = torch.where(inside, distance, -distance).unflatten(1, corners.shape[1:3])
    value = torch.where(signed.isinf().any(-1), -torch.inf, least(signed.clamp(-FARTHEST, FARTHEST), softness))
    return torch.where(valid, value, torch.nan)


def least(x: Tensor, softness: float, at_most: bool = True) -> Tensor:
    """Smooth least of (..., N): `at_most` the exact one, less by up to `softness` log N; or else more by that."""
    shift = 0.0 if at_most else softness * float(torch.tensor(x.shape[-1]).log())
    return shift - softness * torch.logsumexp(-x / softness, -1)


def _distance(a: Tensor, b: Tensor, xy: Tensor) -> Tensor:
    """Distance (...) of places (..., 2) from segments a -> b (..., 2)."""
    step, relative = b - a, xy - a
    place = ((relative * step).sum(-1) / step.square().sum(-1).clamp_min(1e-12)).clamp(0, 1)
    return (relative - place[..., None] * step).norm(dim=-1)
