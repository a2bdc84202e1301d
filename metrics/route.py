"""Where a drive is on its route: how far beside it, and how much of it is done. Pure functions of any batch prefix."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import arc_length, project_to_polyline

from .progress import REACH, follow


def route_distance(xy: Tensor, route: Tensor) -> Tensor:
    """Distance (...) of points (..., 2) from a route (R, 2) [m]."""
    return project_to_polyline(xy, route)[1].abs()


def route_completion(xy: Tensor, route: Tensor, corridor: float = torch.inf) -> Tensor:
    """Share (...), 0 to 1, of what lay ahead on a route (R, 2) that points (..., T, 2) have passed (CARLA).

    The farthest place counts; points more than `corridor` [m] beside the route do not.
    """
    made = follow(xy, route, REACH, corridor).cummax(-1).values[..., -1]
    ahead = arc_length(route)[-1] - project_to_polyline(xy[..., 0, :], route)[0]
    return torch.where(ahead > 0, made / ahead.clamp_min(1e-9), 1.0).clamp(0, 1)


def log_completion(xy: Tensor, log: Tensor, share: float = 0.9) -> Tensor:
    """Route completion (...), 0 to 1, of a last position (..., 2) among logged ones (N, 2) (HUGSIM).

    (index of the nearest logged position + 1) / (`share` N).
    """
    nearest = (xy[..., None, :] - log).norm(dim=-1).argmin(-1)
    return ((nearest + 1) / (share * len(log))).clamp_max(1)
