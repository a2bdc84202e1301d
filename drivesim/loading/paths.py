"""Polylines in numpy: smoothed, measured, cut into runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..errors import InputError

LONGEST = 2e5
"""Of any line of a log [m]: the drives of the field are at most some tens of kilometres."""


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Inclusive (first, last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def smooth(path: np.ndarray, spacing: float) -> np.ndarray:
    """Points (n, 3) every `spacing` metres along a path, standing still and jitter removed."""
    keep = [0]
    for i in range(1, len(path)):
        if np.hypot(*(path[i] - path[keep[-1]])[:2]) >= 0.1:
            keep.append(i)
    kept = path[keep]
    if len(kept) < 2:
        return kept
    s = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(kept[:, :2], axis=0).T))])
    grid = np.linspace(0, s[-1], max(int(round(measured(s[-1]) / spacing)), 1) + 1)
    line = np.column_stack([np.interp(grid, s, kept[:, i]) for i in range(kept.shape[1])])
    if len(line) > 3:
        inner = gaussian_filter1d(line, 1.5, axis=0, mode="nearest")
        line[1:-1] = inner[1:-1]
    return line


def span(path: np.ndarray) -> float:
    return float(np.hypot(*np.diff(path[:, :2], axis=0).T).sum()) if len(path) > 1 else 0.0


def unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.hypot(*v)), 1e-9)


def resample(path: np.ndarray, spacing: float) -> np.ndarray:
    """Points (n, k), at least two, about every `spacing` metres along a path as it is."""
    s = np.concatenate([[0], np.hypot(*np.diff(path[:, :2], axis=0).T).cumsum()])
    grid = np.linspace(0, s[-1], max(int(np.ceil(measured(s[-1]) / spacing)), 1) + 1)
    return np.column_stack([np.interp(grid, s, path[:, i]) for i in range(path.shape[1])])


def resample_all(paths: Sequence[np.ndarray], spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """`resample` of many paths (n_i, k) at once: all points (m, k), path by path, and the path of each (m,)."""
    sizes = np.array([len(path) for path in paths])
    points = np.concatenate(paths)
    step = np.hypot(*np.diff(points[:, :2], axis=0).T)
    step[np.cumsum(sizes)[:-1] - 1] = 1.0  # keeps the arc lengths of two paths apart
    s = np.concatenate([[0.0], np.cumsum(step)])
    first, last = s[np.cumsum(sizes) - sizes], s[np.cumsum(sizes) - 1]
    measured(s[-1] if len(s) else 0.0, LONGEST * 100)
    count = np.maximum(np.ceil((last - first) / spacing), 1).astype(int) + 1
    place = np.repeat(np.arange(len(paths)), count)
    share = (np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)) / (count[place] - 1)
    at = first[place] + share * (last - first)[place]
    return np.column_stack([np.interp(at, s, points[:, i]) for i in range(points.shape[1])]), place


def measured(length: float, longest: float = LONGEST) -> float:
    """The length of a line [m]; InputError if it is none that a road has: it would be cut into too many pieces."""
    if not length <= longest:
        raise InputError(f"a line is {length:.3g} m long; the log is damaged")
    return float(length)
