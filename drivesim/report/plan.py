"""Where the plan that holds at a step lies in the world."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from torch import Tensor

from drivesim.geometry import from_frame
from drivesim.types import Plan, Rollout


def plan_at(rollout: Rollout, step: int) -> tuple[Plan, int] | None:
    """The plan that holds at `step` and the step at which it was made; None while the log drives."""
    i = bisect_right(rollout.plan_steps, step) - 1
    return (rollout.plans[i], rollout.plan_steps[i]) if i >= 0 else None


def plan_line(rollout: Rollout, step: int) -> tuple[np.ndarray, np.ndarray] | None:
    """What is still ahead of the current plan: rear-axle points (n, 2) world [m] and time (n,) [s] from `step`.

    The first point is where the plan wants the ego now. None without a plan or when it is over.
    """
    found = plan_at(rollout, step)
    if found is None:
        return None
    plan, made = found
    age = (step - made) * rollout.dt
    xy = in_world(rollout, made, plan.poses)[:, :2].double().numpy()
    start = rollout.vehicle.rear_axle(rollout.agents[made, 0].poses)[:2].double().numpy()
    xy = np.concatenate([start[None], xy])
    time = np.concatenate([[0.0], plan.time.double().numpy()]) - age
    if not np.isfinite(xy).all() or time[-1] <= 0:
        return None
    now = np.array([np.interp(0.0, time, xy[:, i]) for i in (0, 1)])
    ahead = time > 1e-6
    return np.concatenate([now[None], xy[ahead]]), np.concatenate([[0.0], time[ahead]])


def in_world(rollout: Rollout, made: int, poses: Tensor) -> Tensor:
    """Poses (..., 3) of a plan made at step `made`, in the world frame."""
    origin = rollout.vehicle.rear_axle(rollout.agents[made, 0].poses)
    return from_frame(poses, origin.expand(poses.shape))


def resample(line: np.ndarray, time: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """The polyline (n, 2) with a point every `spacing` [m] or less along it, and the time (m,) at each."""
    lengths = np.hypot(*np.diff(line, axis=0).T)
    s = np.concatenate([[0.0], np.cumsum(lengths)])
    keep = np.concatenate([[True], lengths > 1e-6])
    s, line, time = s[keep], line[keep], time[keep]
    even = np.linspace(0.0, s[-1], max(2, int(np.ceil(s[-1] / spacing)) + 1))
    return np.stack([np.interp(even, s, line[:, i]) for i in (0, 1)], -1), np.interp(even, s, time)


def normals(line: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 2) to the left of a polyline (n, 2) of distinct points, both segments' mean at a vertex."""
    step = np.diff(line, axis=0)
    step /= np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    mean = np.concatenate([step[:1], step[1:] + step[:-1], step[-1:]])
    mean /= np.maximum(np.hypot(*mean.T), 1e-9)[:, None]
    return np.stack([-mean[:, 1], mean[:, 0]], -1)


def longest_reach(rollout: Rollout) -> float:
    """How far the plans reach from the ego at most [m]; 0 without plans."""
    reach = [float(p.poses[..., :2].norm(dim=-1).nan_to_num(0).amax()) for p in rollout.plans if p.poses.numel()]
    return max(reach, default=0.0)
