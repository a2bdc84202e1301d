"""How far a path is from another: errors of plans and drives against what was logged.

Pure functions of any batch prefix: average and final displacement error, heading error, miss rate and their
best-of-modes forms as nuPlan (e924167), Waymo and Argoverse use them; positions in the same frame [m], angles [rad].
"""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import wrap_angle


def displacement(path: Tensor, other: Tensor) -> Tensor:
    """Distance (..., T) of points (..., T, 2+) from those of the same step [m]."""
    return (path[..., :2] - other[..., :2]).norm(dim=-1)


def heading_error(yaw: Tensor, other: Tensor) -> Tensor:
    """Absolute difference (...) of angles (...), 0 to pi [rad]."""
    return wrap_angle(yaw - other).abs()


def pose_error(poses: Tensor, other: Tensor, heading_weight: float = 2.5) -> Tensor:
    """Distance plus weighted heading error (..., T) of poses (..., T, 3); 2.5 m/rad is nuPlan's weight."""
    return displacement(poses, other) + heading_weight * heading_error(poses[..., 2], other[..., 2])


def average_displacement(errors: Tensor, there: Tensor | None = None) -> Tensor:
    """ADE (...) of errors (..., T), over the steps that are `there` (..., T); NaN where there is none."""
    there = torch.ones_like(errors, dtype=torch.bool) if there is None else there
    return errors.masked_fill(~there, 0).sum(-1) / there.sum(-1)


def final_displacement(errors: Tensor, there: Tensor | None = None) -> Tensor:
    """FDE (...): the error at the last step that is `there`; NaN where there is none."""
    there = torch.ones_like(errors, dtype=torch.bool) if there is None else there
    steps = torch.arange(errors.shape[-1], device=errors.device)
    last = torch.where(there, steps, -1).amax(-1)
    value = errors.gather(-1, last.clamp_min(0)[..., None]).squeeze(-1)
    return torch.where(last >= 0, value, torch.nan)


def miss_rate(errors: Tensor, limit: float) -> Tensor:
    """Share of the items (N, ...) whose largest error over the last dimension is more than `limit` [m]."""
    return (errors.amax(-1) > limit).double().mean(0)


def best_mode(errors: Tensor) -> Tensor:
    """minADE (...) of errors (..., K, T): the least average among K modes."""
    return average_displacement(errors).amin(-1)


def best_final(errors: Tensor) -> Tensor:
    """minFDE (...) of errors (..., K, T): the least final error among K modes."""
    return final_displacement(errors).amin(-1)
