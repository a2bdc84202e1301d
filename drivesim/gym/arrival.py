"""When an ego has arrived."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from drivesim.traffic import World
from drivesim.traffic.observation import place
from drivesim.types import Goal

SHORTEST = 5.0
"""A log whose ego makes less good along its route has no place to arrive at [m]."""


def logged_progress(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Arc lengths (U,) on the route at which the log's ego is at the start, and at last."""
    batch, begin = world.start(), None
    r = world.records
    s = np.full(len(world), np.nan)
    for k in range(int((r.scenes["steps"] - r.scenes["start"]).max())):
        steps = np.minimum(r.scenes["start"] + k, r.scenes["steps"] - 1)
        row = r.log[r.scenes["log"] + steps, 0]
        for name in ("x", "y", "valid"):
            batch.now[name][:, 0] = row[name]
        found = place(batch, 1, s[:, None])[0][:, 0].numpy()
        s = np.where(np.isnan(found), s, found)
        begin = s if begin is None else begin
    return begin, s


def reached(goals: Sequence[Goal], xy: np.ndarray, yaw: float, speed: float, time: float) -> bool:
    """Whether a body at xy (2,) is where and as one of the goals asks for."""
    return any(_reached(goal, xy, yaw, speed, time) for goal in goals)


def _reached(goal: Goal, xy: np.ndarray, yaw: float, speed: float, time: float) -> bool:
    low, high = goal.yaw
    turned = high - low >= 2 * np.pi or (yaw - low) % (2 * np.pi) <= (high - low)
    timely = goal.time[0] <= time <= goal.time[1] and goal.speed[0] <= speed <= goal.speed[1]
    return bool(turned and timely and (not len(goal.area) or _inside(goal.area, xy)))


def _inside(ring: torch.Tensor, xy: np.ndarray) -> bool:
    a = ring.double().numpy()
    b = np.roll(a, -1, 0)
    spans = (a[:, 1] > xy[1]) != (b[:, 1] > xy[1])
    a, b = a[spans], b[spans]
    right = a[:, 0] + (xy[1] - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]) > xy[0]
    return right.sum() % 2 == 1
