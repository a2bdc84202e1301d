"""A driver and the smooth line it follows along connected lanes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from drivesim.types import Kind

from . import curves
from .lanes import Network

SPACING = 0.5
"""Of path samples [m]."""
LATERAL = 1.6
"""Most acceleration to the side in bends [m/s^2]."""


@dataclass
class Path:
    """Where a driver goes: samples every `SPACING` metres along its lanes."""

    lanes: list[int]
    starts: np.ndarray  # (K,) arc length at which each lane begins
    xy: np.ndarray  # (n, 2)
    yaw: np.ndarray  # (n,) unwrapped
    speed: np.ndarray  # (n,) at most, for limits and bends [m/s]

    @property
    def length(self) -> float:
        return SPACING * (len(self.xy) - 1)


@dataclass
class Driver:
    kind: Kind
    size: tuple[float, float, float]
    axles: tuple[float, float]  # wheelbase, and box centre ahead of the rear axle [m]
    path: Path
    s: float  # rear axle along the path at the start [m]
    headway: float = 1.4  # [s]
    eager: float = 1.0  # factor on the speed limit

    @property
    def front(self) -> float:
        return self.axles[1] + self.size[0] / 2

    @property
    def back(self) -> float:
        return self.size[0] / 2 - self.axles[1]


def make_path(net: Network, lanes: list[int], left: float = 0.0, eager: float = 1.0, cap: float = 99.0) -> Path:
    """A smooth line along connected lanes, `left` metres beside their centres, no faster than `cap` [m/s]."""
    points, starts, limits, s = [], [], [], 0.0
    for i in lanes:
        line = net.lanes[i].line
        starts.append(s)
        limits.append(net.lanes[i].limit)
        s += net.lanes[i].length
        points.append(line if i == lanes[-1] else line[:-1])
    raw = np.concatenate(points)
    along = curves.lengths(raw)
    spline = CubicSpline(along, raw)
    grid = np.arange(0, along[-1], SPACING)
    d1, d2 = spline(grid, 1), spline(grid, 2)
    yaw = np.unwrap(np.arctan2(d1[:, 1], d1[:, 0]))
    bend = np.abs(d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]) / np.maximum(np.hypot(*d1.T) ** 3, 1e-9)
    aside = gaussian_filter1d(
        left / (1 + (8 * bend) ** 2), 6.0, mode="nearest"
    )  # who keeps to the edge does not cut corners
    xy = spline(grid) + aside[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    limit = np.array(limits)[np.searchsorted(starts, grid, side="right") - 1] * eager
    speed = np.minimum(np.minimum(limit, cap), np.sqrt(LATERAL / np.maximum(bend, 1e-4)))
    for k in range(len(speed) - 2, -1, -1):  # brake in time
        speed[k] = min(speed[k], np.sqrt(speed[k + 1] ** 2 + 2 * 1.3 * SPACING))
    return Path(lanes, np.array(starts), xy, yaw, speed)
