"""Places on routes (B, A, P, 2): points a metre apart, straight on beyond both ends."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.traffic.following import SPACING, STRAY


def last_segment(length: Tensor) -> Tensor:
    """Index (B, A) of the last segment of routes of `length` (B, A)."""
    return (length / SPACING + 0.5).long().sub(1).clamp_min(0)


def at(points: Tensor, length: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Places and unit directions (B, A, K, 2) of routes at arc lengths (B, A, K)."""
    i = torch.minimum((s / SPACING).floor().long().clamp_min(0), last_segment(length)[..., None])
    start, end = _pick(points, i), _pick(points, i + 1)
    step = end - start
    xy = start + step * (s / SPACING - i)[..., None]
    return xy, step / step.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def locate(points: Tensor, length: Tensor, xy: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Arc length and distance (B, A) of places (B, A, 2), each on its own route.

    Only what lies within STRAY metres of the arc lengths `near` (B, A) counts, everything where they are NaN.
    """
    last = last_segment(length)
    k = torch.arange(points.shape[2] - 1, device=points.device)
    far = (k - torch.minimum(near, SPACING * last)[..., None]).abs() > STRAY
    with torch.no_grad():
        square = _square(points[:, :, :-1], points[:, :, 1:], xy[:, :, None])
        best = torch.where(far | (k > last[..., None]), torch.inf, square).argmin(-1)
    start, end = (_pick(points, i[..., None])[:, :, 0] for i in (best, best + 1))
    return _along(start, end, xy, best, last)


def distances(points: Tensor, length: Tensor, xy: Tensor, near: Tensor) -> Tensor:
    """Distance (B, A, M, W) of places (B, W, 2) from routes, within STRAY metres of arc lengths `near` (B, A, M)."""
    last = last_segment(length)[..., None]
    middle = torch.minimum(near, SPACING * last)
    first = (middle - STRAY).ceil().long()
    window = first[..., None] + torch.arange(2 * int(STRAY) + 1, device=points.device)
    far = (window - middle[..., None]).abs() > STRAY
    k = torch.minimum(window.clamp_min(0), last[..., None])
    far = (far | (k != window))[:, :, :, None]
    start, end = (_pick(points, i.flatten(2)).unflatten(2, k.shape[2:])[:, :, :, None] for i in (k, k + 1))
    xy = xy[:, None, None, :, None]
    best = torch.where(far, torch.inf, _square(start, end, xy)).argmin(-1, keepdim=True)
    index = best[..., None].expand(*best.shape, 2)
    start, end = (x.expand(*index.shape[:4], *x.shape[-2:]).gather(-2, index)[..., 0, :] for x in (start, end))
    k = k[:, :, :, None].expand(*best.shape[:4], -1).gather(-1, best)[..., 0]
    return _along(start, end, xy[..., 0, :], k, last[..., None])[1]


def _along(start: Tensor, end: Tensor, xy: Tensor, index: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Arc length and distance (...) of places (..., 2) on the segments (...) of these indices."""
    step, relative = end - start, xy - start
    place = (relative * step).sum(-1) / step.square().sum(-1).clamp_min(1e-9)
    low, high = torch.where(index > 0, 0.0, -torch.inf), torch.where(index < last, 1.0, torch.inf)
    place = torch.minimum(torch.maximum(place, low), high)
    away = (relative - place[..., None] * step).norm(dim=-1)
    return SPACING * index + place * step.norm(dim=-1), away


def _square(start: Tensor, end: Tensor, xy: Tensor) -> Tensor:
    """Squared distance (...) of places (..., 2) from segments."""
    step, relative = end - start, xy - start
    place = (relative * step).sum(-1) / step.square().sum(-1).clamp_min(1e-9)
    return (relative - place.clamp(0, 1)[..., None] * step).square().sum(-1)


def _pick(points: Tensor, i: Tensor) -> Tensor:
    """Points (B, A, K, 2) of routes (B, A, P, 2) by index (B, A, K)."""
    return points.gather(2, i[..., None].expand(*i.shape, 2))
