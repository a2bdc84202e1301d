"""What was there once and is not there any more: points of movers that have no box, exhaust, spray.

Every sweep says of the directions that it looked into how far they are free. A voxel that few sweeps hit and that the
rays of many others went through does not stand there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_COLUMNS, _ROWS = 1440, 160  # of a panorama: 0.25 degrees wide
_LOW, _HIGH = -0.45, 0.25  # [rad] of its rows; 0.25 degrees high
_NEAR, _FAR = 2.0, 60.0  # [m] between which a direction's cell is small enough to speak of a voxel


@dataclass(frozen=True, eq=False)
class View:
    """How far a sweep saw."""

    origin: np.ndarray  # (3,) [m]
    free: np.ndarray  # (rows, columns) float32, to the nearest point in that direction [m]; NaN where there is none


def view(xyz: np.ndarray, origin: np.ndarray) -> View:
    """Of all points (n, 3) of a sweep, also those on agents: what lies before them is free."""
    cell, inside, far = _direction(xyz, origin)
    out = np.full(_ROWS * _COLUMNS, np.inf, np.float32)
    np.minimum.at(out, cell[inside], far[inside])
    return View(origin, np.where(np.isfinite(out), out, np.nan).reshape(_ROWS, _COLUMNS))


def passed(xyz: np.ndarray, size: np.ndarray, views: Sequence[View]) -> np.ndarray:
    """How many sweeps (n,) looked through voxels (n, 3) of edge `size` (n,): all that they saw in that direction and
    beside it lies clearly behind."""
    count = np.zeros(len(xyz), np.int32)
    for sweep in views:
        cell, inside, far = _direction(xyz, sweep.origin)
        behind = inside & (far > _NEAR) & (far < _FAR)
        row, column = cell // _COLUMNS, cell % _COLUMNS
        seen = np.zeros(len(xyz), np.int8)
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                there = sweep.free[np.clip(row + dr, 0, _ROWS - 1), (column + dc) % _COLUMNS]
                seen += np.isfinite(there)
                behind &= ~(there < far + 0.3 + 2 * size)  # a direction without a point forbids nothing
        count += behind & (seen >= 3)
    return count


def ghosts(sweeps: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """Which voxels are none, by in how many sweeps they were hit (n,) and through how many one looked (n,)."""
    return passed > 2 * sweeps


def _direction(xyz: np.ndarray, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat cell (n,), whether it is in the picture (n,), and distance (n,)."""
    x, y, z = (xyz - origin.astype(np.float32)).T
    flat = np.hypot(x, y)
    column = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * _COLUMNS).astype(np.int64) % _COLUMNS
    row = np.floor((np.arctan2(z, flat) - _LOW) / (_HIGH - _LOW) * _ROWS).astype(np.int64)
    inside = (row >= 0) & (row < _ROWS)
    return np.where(inside, row * _COLUMNS + column, 0), inside, np.hypot(flat, z)
