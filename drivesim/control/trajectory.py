"""Plans as trajectories of the world."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import from_frame, wrap_angle
from drivesim.types import Plan, Trajectory


def anchor(plan: Plan, ego_pose: Tensor) -> Trajectory:
    """A plan made now by an ego whose rear axle is at `ego_pose` (..., 3); the present pose becomes its first."""
    here = torch.zeros_like(plan.poses[..., :1, :])
    poses = from_frame(torch.cat([here, plan.poses], -2), ego_pose[..., None, :])
    time = torch.cat([torch.zeros_like(plan.time[..., :1]), plan.time], -1)
    return Trajectory(poses, time)


def pose_at(trajectory: Trajectory, time: Tensor) -> Tensor:
    """Poses (..., N, 3) at times (N,) from now, linear in between; the last pose is kept after the end."""
    knots = trajectory.time.contiguous()
    time = time.to(knots).expand(*knots.shape[:-1], -1).contiguous()
    after = torch.searchsorted(knots, time).clamp(1, knots.shape[-1] - 1)
    before = after - 1
    t0, t1 = knots.gather(-1, before), knots.gather(-1, after)
    share = ((time - t0) / (t1 - t0)).clamp(0, 1)[..., None]
    take = lambda i: trajectory.poses.gather(-2, i[..., None].expand(*i.shape, 3))  # noqa: E731
    a, b = take(before), take(after)
    xy = a[..., :2] + share * (b[..., :2] - a[..., :2])
    yaw = wrap_angle(a[..., 2:] + share * wrap_angle(b[..., 2:] - a[..., 2:]))
    return torch.cat([xy, yaw], -1)
