"""Lines at which a route has to wait: lights, stop signs, yields, crosswalks."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.kernels import SegmentGrid, crossings
from drivesim.roadmap import RoadMap
from drivesim.types import Polylines

from .following import SPACING, at, locate

STANDS = 0.5
"""Slower is standing [m/s]: a driver who comes to a stop before a sign need not reach zero."""

REACH = 4.0
"""Before a stop line, within which a driver who stands has stopped for it [m]."""

STOPS_FOR = 1.0
"""How long one stands at a stop sign [s]."""

MINOR = 25.0
"""Before and after its sign, within which a driver gives way to those who have none [m]."""

BESIDE = 2.5
"""From the middle of a line to a route that passes it [m]."""


def entries(points: Tensor, length: Tensor, crosswalks: Polylines) -> Tensor:
    """Arc length (A, C) at which routes (A, P, 2) first enter each crosswalk; inf where they do not."""
    out = torch.full((len(points), len(crosswalks)), torch.inf)
    flat = points.reshape(-1, 2).double().numpy()
    for c in range(len(crosswalks)):
        grid = SegmentGrid.of_rings(Polylines.of([crosswalks.line(c)]))
        inside = torch.from_numpy(crossings(grid, flat) % 2 == 1).reshape(points.shape[:2])
        out[:, c] = torch.where(inside.any(1), SPACING * inside.long().argmax(1), torch.inf)
    return torch.where(out < length[:, None], out, torch.inf)


def passes(points: Tensor, length: Tensor, xy: Tensor, lane: Tensor, road: RoadMap) -> Tensor:
    """Arc length (A, N) at which routes pass lines (N,) in the direction of their lanes; inf where they do not."""
    out = torch.full((len(points), len(xy)), torch.inf)
    for i in range(len(xy)):
        s, lateral = locate(points, xy[i].expand(len(points), 2))
        _, yaw = at(points, length, s[:, None])
        same = torch.ones(len(points), dtype=torch.bool)
        if int(lane[i]) >= 0:
            step = _tangent(road.center(int(lane[i]))[:, :2], xy[i])
            same = step @ torch.stack([torch.cos(yaw[:, 0]), torch.sin(yaw[:, 0])]) > 0.7
        there = (lateral.abs() < BESIDE) & same & (s > 0) & (s < length)
        out[:, i] = torch.where(there, s, torch.inf)
    return out


def _tangent(line: Tensor, xy: Tensor) -> Tensor:
    k = int((line[:-1] + line[1:] - 2 * xy).norm(dim=-1).argmin())
    return torch.nn.functional.normalize(line[k + 1] - line[k], dim=0)
