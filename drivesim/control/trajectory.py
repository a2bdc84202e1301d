"""Plans as trajectories of the world."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import from_frame, wrap_angle
from drivesim.types import Plan, Trajectory

FINE = 0.2
"""A plan whose first pose is at most this far ahead [s] says where the ego should be now, too."""


def anchor(plan: Plan, ego_pose: Tensor) -> Trajectory:
    """A plan (no batch prefix) made now by an ego whose rear axle is at `ego_pose` (3,).

    A fine plan is drawn back to the present along its first step, so that the tracker sees how far the ego is beside
    it (a tracker that always starts on its plan never corrects anything); a coarse one starts at the present pose, as
    NAVSIM has it.
    """
    poses, time = plan.poses, plan.time
    now = torch.zeros_like(poses[:1])
    if len(time) > 1 and float(time[0]) <= FINE:
        step = torch.cat([poses[1:2, :2] - poses[:1, :2], wrap_angle(poses[1:2, 2:] - poses[:1, 2:])], -1)
        now = poses[:1] - step * (time[0] / (time[1] - time[0]))
    return Trajectory(from_frame(torch.cat([now, poses]), ego_pose), torch.cat([torch.zeros_like(time[:1]), time]))


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
