"""Waymax's definitions as pure functions (waymax 48b33d7, metrics/ and dynamics/bicycle_model.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap, heading, wrap_angle

MAX_ACCELERATION, MAX_CURVATURE = 10.4, 0.3
"""Beyond which a step is infeasible [m/s^2, 1/m] (comfort.py)."""
EPSILON = 1e-3
"""Added to both (comfort.py)."""
SLOW = 0.6
"""Below this speed there is no curvature, and at it or below the new yaw is the recorded one [m/s] (bicycle_model)."""
Z_STRETCH = 2.0
"""Heights count so many times, so that a bridge's edges are not those of the road below (roadgraph.py)."""
WRONG_WAY = 3.5
"""From the nearest lane that the ego could take [m] (roadgraph.py)."""
FROM_ROUTE, FARTHER_THAN_OFF_ROUTE = 5.0, 2.0
"""Off route: farther from the route than this, or so much farther from it than from another way [m] (route.py)."""


def overlaps(xy: Tensor, yaw: Tensor, size: Tensor, valid: Tensor | None = None) -> Tensor:
    """Whether each box (..., A) overlaps another: centres (..., A, 2), yaw (..., A), length and width (..., A, 2)."""
    boxes = box_corners(xy.double(), yaw.double(), size.double())
    hit = boxes_overlap(boxes[..., :, None, :, :], boxes[..., None, :, :, :])
    hit &= ~torch.eye(hit.shape[-1], dtype=torch.bool)
    if valid is not None:
        hit &= valid[..., :, None] & valid[..., None, :]
    return hit.any(-1)


def road_edge_distance(points: Tensor, edges: Tensor, directions: Tensor, ids: Tensor | None = None) -> Tensor:
    """Signed distance (...) of points (..., 2 or 3) to the nearest road edge point (N, 2 or 3), positive off the road.

    `directions` (N, 2 or 3) are unit tangents, with the road on their left; `ids` (N,) say which points make one line,
    all of one without them. Where the point before is of the same line the side is the more inward of both tangents'.
    """
    points, edges, directions = points.double(), edges.double(), directions.double()
    gap = edges - points[..., None, :]
    stretch = torch.ones(gap.shape[-1], dtype=gap.dtype)
    stretch[2:] = Z_STRETCH
    near = (gap * stretch).square().sum(-1).argmin(-1)
    before = (near - 1).clamp_min(0)
    out = points[..., :2] - edges[near][..., :2]
    side, side_before = _cross(out, directions[near]), _cross(out, directions[before])
    same = torch.ones_like(near, dtype=torch.bool) if ids is None else ids[near] == ids[before]
    return out.norm(dim=-1) * torch.where(same & (side_before < side), side_before, side).sign()


def wrong_way_distance(xy: Tensor, ways: Tensor, limit: float = WRONG_WAY) -> Tensor:
    """Distance (...) of points (..., 2) to the nearest of the points (N, 2) of all ways that the ego could take [m]; 0
    below `limit`."""
    least = nearest_point(xy, ways)
    return torch.where(least < limit, 0.0, least)


def off_route_distance(
    xy: Tensor, route: Tensor, others: Tensor, limit: float = FROM_ROUTE, margin: float = FARTHER_THAN_OFF_ROUTE
) -> Tensor:
    """Distance (...) of points (..., 2) to the points (N, 2) of the route, where they are off it, else 0 [m]; `others`
    (M, 2), perhaps none, are points of ways off the route."""
    on, off = nearest_point(xy, route), nearest_point(xy, others)
    return torch.where((on > limit) | (on - off > margin), on, 0.0)


def progression(xy: Tensor, route: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Progress (...) of points (..., 2) between the logged `first` and `last` place (2,) along a route (N, 2), by the
    nearest of its points; 1 where the log makes none."""
    s = torch.cat([route.new_zeros(1), (route[1:] - route[:-1]).norm(dim=-1).cumsum(0)]).double()
    place = lambda p: s[torch.cdist(p.double().reshape(-1, 2), route.double()).argmin(-1)].reshape(p.shape[:-1])  # noqa: E731
    begin, end = place(first), place(last)
    return torch.ones(xy.shape[:-1]).double() if end == begin else (place(xy) - begin) / (end - begin)


def bicycle_forward(
    pose: Tensor,
    velocity: Tensor,
    acceleration: Tensor,
    curvature: Tensor,
    dt: float = 0.1,
    limits: tuple[float, float] = (6.0, 0.3),
) -> tuple[Tensor, Tensor]:
    """Pose (..., 3) and velocity (..., 2) one step of Waymax's bicycle later; both actions (...) are clipped."""
    a, k = acceleration.clamp(-limits[0], limits[0]), curvature.clamp(-limits[1], limits[1])
    speed, yaw = velocity.norm(dim=-1), pose[..., 2]
    xy = pose[..., :2] + velocity * dt + 0.5 * a[..., None] * heading(yaw) * dt**2
    turned = wrap_angle(yaw + k * (speed * dt + 0.5 * a * dt**2))
    return torch.cat([xy, turned[..., None]], -1), (speed + a * dt)[..., None] * heading(turned)


def bicycle_inverse(yaw: Tensor, velocity: Tensor, dt: float = 0.1) -> tuple[Tensor, Tensor]:
    """Acceleration [m/s^2] and curvature [1/m] (..., T - 1) of the steps of yaw (..., T) and velocity (..., T, 2)."""
    speed = velocity.norm(dim=-1)
    before, after = speed[..., :-1], speed[..., 1:]
    acceleration = (after - before) / dt
    course = torch.atan2(velocity[..., 1:, 1], velocity[..., 1:, 0])
    turn = wrap_angle(torch.where(after <= SLOW, yaw[..., 1:], course) - yaw[..., :-1])
    curvature = turn / (before * dt + 0.5 * acceleration * dt**2)
    return acceleration, torch.where((before < SLOW) | (after < SLOW), 0.0, curvature)


def infeasible(
    yaw: Tensor,
    velocity: Tensor,
    dt: float = 0.1,
    acceleration: float = MAX_ACCELERATION,
    curvature: float = MAX_CURVATURE,
) -> Tensor:
    """Whether steps (..., T - 1) need more acceleration or curvature than a car has."""
    a, k = bicycle_inverse(yaw, velocity, dt)
    return (a.abs() > acceleration + EPSILON) | (k.abs() > curvature + EPSILON)


def nearest_point(xy: Tensor, points: Tensor) -> Tensor:
    """Distance (...) of points (..., 2) to the nearest of points (N, 2); inf where there is none."""
    if not len(points):
        return torch.full(xy.shape[:-1], torch.inf, dtype=torch.float64)
    from scipy.spatial import cKDTree

    asked = xy.double().reshape(-1, 2)
    known = torch.isfinite(asked).all(-1)
    distance = torch.full(known.shape, torch.nan, dtype=torch.float64)
    distance[known] = torch.from_numpy(cKDTree(points.double().numpy()).query(asked[known].numpy())[0])
    return distance.reshape(xy.shape[:-1])


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
