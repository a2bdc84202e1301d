"""Everybody seen from the path that the ego drives: how far along it, how far aside, how wide, how fast."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import along_polyline, arc_length, heading, project_to_polyline, wrap_angle
from drivesim.kernels import SegmentGrid, nearest_segment
from drivesim.struct import Struct, tensor
from drivesim.types import OBJECTS, Agents, is_kind

SPACING = 0.5
"""Least distance between points of the driven path [m]: finer, noise would bend it. Own choice."""
BEHIND, BEYOND = 30.0, 120.0
"""How far the path goes on straight behind the drive's start, and along the route beyond its end [m]. Own choice."""
REACH = 15.0
"""Who is farther from the path than this is not seen on it [m]: half a lorry across and a lane more. Own choice."""
ON_ROUTE = 3.0
"""Up to this far from the route, a lane's width, the ego is taken to go on along it [m]. Own choice."""


class Along(Struct):
    """Agents on a path. NaN for who is absent or farther than REACH from it."""

    s: Tensor = tensor()  # (..., A) place of the box centre along the path [m]
    d: Tensor = tensor()  # (..., A) distance to the left of it [m]
    half_length: Tensor = tensor()  # (..., A) how far the box reaches along the path from its centre [m]
    half_width: Tensor = tensor()  # (..., A) and to either side [m]
    speed: Tensor = tensor()  # (..., A) along the path [m/s]
    aside: Tensor = tensor()  # (..., A) to the left [m/s]
    acceleration: Tensor = tensor()  # (..., A) along the path [m/s^2]


def driven_path(ego: Agents, route: Tensor) -> Tensor:
    """The path (P, 2) of the ego (n,): a straight run-up, the centres that it drove forwards, and the route from there.

    The route is followed at the distance from it that the ego has at the end; an ego that ends off the route, or has
    none, goes straight on.
    """
    way = heading(ego.yaw)
    forward = (ego.xy[1:] - ego.xy[:-1]).mul(way[:-1]).sum(-1)
    most = torch.cat([forward.new_zeros(1), forward.cumsum(0)]).cummax(0).values
    mark = (most / SPACING).floor()
    keep = torch.cat([torch.ones(1, dtype=torch.bool), mark[1:] > mark[:-1]])
    run_up = ego.xy[:1] - BEHIND * way[:1]
    return torch.cat([run_up, ego.xy[keep], _onward(ego.xy[-1], ego.yaw[-1], route.double())])


def _onward(xy: Tensor, yaw: Tensor, route: Tensor) -> Tensor:
    """Where (k, 2) the path leads from its end on."""
    ahead = torch.arange(SPACING, BEYOND, 2.0, dtype=xy.dtype)
    straight = xy + ahead[:, None] * heading(yaw)
    if len(route) < 2:
        return straight
    s, d, tangent = project_to_polyline(xy, route)
    left = arc_length(route)[-1] - s - 1e-6
    if abs(float(d)) > ON_ROUTE or abs(float(wrap_angle(tangent - yaw))) > torch.pi / 3 or float(left) < 2.0:
        return straight
    points, turn = along_polyline(route, s + ahead[ahead < left])
    return points + d * heading(turn + torch.pi / 2)


def seen_along(agents: Agents, path: Tensor, dt: float) -> Along:
    """Agents (n, A) on a path (P, 2): each at the nearest place of it, the ego where the path also heads its way.

    A path that crosses itself counts with the part that is nearest. Accelerations are differences of speeds over the
    steps to either side at which the agent is there, 0 where there is none. Objects stand still.
    """
    points = path.numpy()
    grid = SegmentGrid.of(np.ascontiguousarray(points[:-1]), np.ascontiguousarray(points[1:]))
    xy = torch.where(agents.valid[..., None], agents.xy, torch.nan).numpy()
    index, place, _ = nearest_segment(grid, np.ascontiguousarray(xy.reshape(-1, 2)), reach=REACH)
    ego = np.ascontiguousarray(xy[:, 0]), agents.yaw[:, 0].contiguous().numpy()
    own, share, _ = nearest_segment(grid, *ego, turn=np.pi / 3)
    index, place = index.reshape(xy.shape[:2]), place.reshape(xy.shape[:2])
    index[:, 0], place[:, 0] = np.where(own >= 0, own, index[:, 0]), np.where(own >= 0, share, place[:, 0])
    i = torch.from_numpy(index).clamp_min(0)
    step = path[1:] - path[:-1]
    length = step.norm(dim=-1).clamp_min(1e-9)
    way = (step / length[:, None])[i]
    left = torch.stack([-way[..., 1], way[..., 0]], -1)
    s = arc_length(path)[i] + torch.from_numpy(place) * length[i]
    d = ((agents.xy - path[i] - torch.from_numpy(place)[..., None] * step[i]) * left).sum(-1)
    cos, sin = (heading(agents.yaw) * way).sum(-1).abs(), (heading(agents.yaw) * left).sum(-1).abs()
    half = agents.size[..., :2] / 2
    velocity = agents.velocity.masked_fill(is_kind(agents.kind, OBJECTS)[..., None], 0)
    seen = torch.from_numpy(index) >= 0
    speed = torch.where(seen, (velocity * way).sum(-1), torch.nan)
    return Along(
        s, torch.where(seen, d, torch.nan), half[..., 0] * cos + half[..., 1] * sin,
        half[..., 0] * sin + half[..., 1] * cos, speed, (velocity * left).sum(-1), _slope(speed, dt),
    )  # fmt: skip


def _slope(values: Tensor, dt: float) -> Tensor:
    """Derivative (n, ...) over steps: mean of the differences before and after that there are, else 0."""
    change = torch.diff(values, dim=0) / dt
    edge = torch.full_like(values[:1], torch.nan)
    return torch.stack([torch.cat([edge, change]), torch.cat([change, edge])]).nanmean(0).nan_to_num(0)
