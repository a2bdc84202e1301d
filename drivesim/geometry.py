"""Frames, boxes, overlap and polylines, for any batch prefix.

World: x east, y north, z up. Body: x forward, y left, z up. Camera: x right, y down, z forward.
Rotations are Rz(yaw) @ Ry(pitch) @ Rx(roll): a positive pitch lowers the nose, a positive roll lowers the right side.
Transforms are named by both ends: `world_from_ego @ p_ego`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def wrap_angle(angle: Tensor) -> Tensor:
    """Into [-pi, pi)."""
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


def heading(yaw: Tensor) -> Tensor:
    """Unit vector (..., 2) that points along `yaw` (...)."""
    return torch.stack([torch.cos(yaw), torch.sin(yaw)], -1)


def rotate(xy: Tensor, yaw: Tensor) -> Tensor:
    """Rotate vectors (..., 2) by `yaw` (...), counter-clockwise."""
    c, s = torch.cos(yaw), torch.sin(yaw)
    x, y = xy[..., 0], xy[..., 1]
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def to_frame(poses: Tensor, origin: Tensor) -> Tensor:
    """Planar poses (..., 3) of x, y, yaw seen from the frame `origin` (..., 3)."""
    xy = rotate(poses[..., :2] - origin[..., :2], -origin[..., 2])
    return torch.cat([xy, wrap_angle(poses[..., 2:] - origin[..., 2:])], -1)


def from_frame(poses: Tensor, origin: Tensor) -> Tensor:
    """Inverse of `to_frame`."""
    xy = rotate(poses[..., :2], origin[..., 2]) + origin[..., :2]
    return torch.cat([xy, wrap_angle(poses[..., 2:] + origin[..., 2:])], -1)


def rotation_from_euler(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """(..., 3, 3) from angles (...)."""
    cy, sy = torch.cos(yaw), torch.sin(yaw)
    cp, sp = torch.cos(pitch), torch.sin(pitch)
    cr, sr = torch.cos(roll), torch.sin(roll)
    rows = [
        torch.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], -1),
        torch.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], -1),
        torch.stack([-sp, cp * sr, cp * cr], -1),
    ]
    return torch.stack(rows, -2)


def euler_from_rotation(rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """yaw, pitch, roll (...) of rotations (..., 3, 3); |pitch| < pi/2."""
    yaw = torch.atan2(rotation[..., 1, 0], rotation[..., 0, 0])
    pitch = torch.asin((-rotation[..., 2, 0]).clamp(-1, 1))
    roll = torch.atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    return yaw, pitch, roll


def rotation_from_quaternion(wxyz: Tensor) -> Tensor:
    """(..., 3, 3) from quaternions (..., 4), normalised first."""
    w, x, y, z = (wxyz / wxyz.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def transform(rotation: Tensor, translation: Tensor) -> Tensor:
    """(..., 4, 4) from a rotation (..., 3, 3) and a translation (..., 3)."""
    top = torch.cat([rotation, translation[..., None]], -1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom[..., 3] = 1
    return torch.cat([top, bottom], -2)


def invert(matrix: Tensor) -> Tensor:
    """Inverse of rigid transforms (..., 4, 4)."""
    rotation = matrix[..., :3, :3].transpose(-1, -2)
    return transform(rotation, -(rotation @ matrix[..., :3, 3:]).squeeze(-1))


def apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Transform points (..., N, 3) by (..., 4, 4)."""
    return points @ matrix[..., :3, :3].transpose(-1, -2) + matrix[..., None, :3, 3]


def box_corners(xy: Tensor, yaw: Tensor, size: Tensor) -> Tensor:
    """Corners (..., 4, 2) of boxes with centre (..., 2), yaw (...), size (..., 2+) length width.

    Order: front left, front right, rear right, rear left.
    """
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]], dtype=xy.dtype, device=xy.device)
    offsets = signs * size[..., None, :2] / 2
    return rotate(offsets, yaw[..., None]) + xy[..., None, :]


def boxes_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Whether convex quadrilaterals given by corners (..., 4, 2) overlap; touching counts, NaN never does.

    Separating axis theorem over the two edge normals of each rectangle.
    """
    gap = torch.full(torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]), -torch.inf, dtype=a.dtype, device=a.device)
    for box in (a, b):
        for i in (0, 1):
            axis = (box[..., i, :] - box[..., i + 1, :])[..., None, :]
            pa, pb = (a * axis).sum(-1), (b * axis).sum(-1)
            gap = torch.maximum(gap, torch.maximum(pa.amin(-1) - pb.amax(-1), pb.amin(-1) - pa.amax(-1)))
    return gap <= 0


def arc_length(points: Tensor) -> Tensor:
    """Distance along polylines (..., N, 2+) from their first point, (..., N)."""
    steps = (points[..., 1:, :] - points[..., :-1, :]).norm(dim=-1)
    return torch.cat([torch.zeros_like(steps[..., :1]), steps.cumsum(-1)], -1)


def project_to_polyline(xy: Tensor, line: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest place of points (..., 2) on one polyline (N, 2).

    Returns arc length s (...), signed lateral distance (...) with left positive, and the tangent's yaw (...).
    Points beyond an end keep that end's s; the distance is then the one to the end.
    """
    start, step = line[:-1], line[1:] - line[:-1]
    length = step.norm(dim=-1).clamp_min(1e-9)
    relative = xy[..., None, :] - start
    t = ((relative * step).sum(-1) / length**2).clamp(0, 1)
    offset = relative - t[..., None] * step
    best = offset.square().sum(-1).argmin(-1)
    pick = lambda x: x.gather(-1, best[..., None]).squeeze(-1)  # noqa: E731
    distance = pick(offset.norm(dim=-1))
    cross = step[..., 0] * relative[..., 1] - step[..., 1] * relative[..., 0]
    s = arc_length(line)[best] + pick(t) * length[best]
    side = torch.where(pick(cross) < 0, -1.0, 1.0)
    tangent = torch.atan2(step[..., 1], step[..., 0])[best]
    return s, distance * side, tangent


def along_polyline(line: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Point (..., 2) and tangent yaw (...) of one polyline (N, 2) at arc length s (...), clamped to its ends."""
    lengths = arc_length(line)
    s = s.clamp(0, float(lengths[-1]))
    i = (torch.searchsorted(lengths, s.contiguous(), right=True) - 1).clamp(0, len(line) - 2)
    step = line[i + 1] - line[i]
    span = (lengths[i + 1] - lengths[i]).clamp_min(1e-9)
    xy = line[i] + step * ((s - lengths[i]) / span)[..., None]
    return xy, torch.atan2(step[..., 1], step[..., 0])


def polyline_yaw(line: Tensor) -> Tensor:
    """Direction (n,) at each vertex of a polyline (n, 2): the mean of the two segments that meet there."""
    step = torch.nn.functional.normalize(line[1:] - line[:-1], dim=-1)
    mean = torch.cat([step[:1], step[1:] + step[:-1], step[-1:]])
    return torch.atan2(mean[:, 1], mean[:, 0])
