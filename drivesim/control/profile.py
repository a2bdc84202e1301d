"""Speed and curvature along a sequence of poses, by regularised least squares (as nuPlan's tracker defines them)."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import wrap_angle

INITIAL_CURVATURE_PENALTY = 1e-10
"""Just enough to make the normal equations regular for a vehicle that stands still (nuPlan)."""


def speed_profile(poses: Tensor, dt: float, jerk_penalty: float) -> Tensor:
    """Speeds (..., N) over the N steps between poses (..., N + 1, 3), float64.

    Unknowns are the first speed and N - 1 accelerations; displacements along the step's first heading are fitted
    and the differences of accelerations are penalised.
    """
    n = poses.shape[-2] - 1
    step = poses[..., 1:, :2] - poses[..., :-1, :2]
    yaw = poses[..., :-1, 2]
    sums = _running_sums(n, dt, poses)
    rows = dt * torch.cat([yaw.cos()[..., None] * sums, yaw.sin()[..., None] * sums], -2)
    target = torch.cat([step[..., 0], step[..., 1]], -1)
    change = torch.zeros(max(n - 2, 0), n, dtype=poses.dtype)
    for i in range(n - 2):
        change[i, i + 1], change[i, i + 2] = -1.0, 1.0
    return _fit(rows, target, jerk_penalty * change.T @ change, sums)


def curvature_profile(poses: Tensor, speeds: Tensor, dt: float, rate_penalty: float) -> Tensor:
    """Curvatures (..., N) [1/m] over the same steps: unknowns are the first and its N - 1 penalised rates."""
    n = speeds.shape[-1]
    turn = wrap_angle(poses[..., 1:, 2] - poses[..., :-1, 2])
    sums = _running_sums(n, dt, poses)
    rows = dt * speeds[..., None] * sums
    penalty = torch.full((n,), rate_penalty, dtype=poses.dtype)
    penalty[0] = INITIAL_CURVATURE_PENALTY
    return _fit(rows, turn, torch.diag(penalty), sums)


def _running_sums(n: int, dt: float, like: Tensor) -> Tensor:
    """(n, n): from (first value, n - 1 rates) to n values."""
    sums = dt * torch.ones(n, n, dtype=like.dtype).tril()
    sums[:, 0] = 1
    return sums


def _fit(rows: Tensor, target: Tensor, penalty: Tensor, sums: Tensor) -> Tensor:
    normal = rows.transpose(-1, -2) @ rows + penalty
    right = rows.transpose(-1, -2) @ target[..., None]
    return (sums @ torch.linalg.pinv(normal, hermitian=True) @ right)[..., 0]
