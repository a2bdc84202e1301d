"""The ground from scattered heights."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from ..types import Ground

CELL = 3.0  # [m]
MARGIN = 30.0  # beyond the outermost point [m]
MOST = 1024
"""Cells along a side; larger areas get larger cells."""


def ground_from_points(xyz: np.ndarray, fallback_z: float = 0.0) -> Ground:
    """A smooth ground through points (n, 3), carried on beyond them: means of cells, and where a cell has no point the
    means of ever larger ones. Flat at `fallback_z` without points."""
    xyz = xyz[np.isfinite(xyz).all(1)]
    if not len(xyz):
        return Ground.flat(fallback_z)
    low, high = xyz[:, :2].min(0) - MARGIN, xyz[:, :2].max(0) + MARGIN
    cell = max(CELL, float((high - low).max()) / MOST)
    columns, rows = (np.ceil((high - low) / cell).astype(int) + 1).tolist()
    x, y = np.rint((xyz[:, :2] - low) / cell).astype(int).T
    level = float(np.median(xyz[:, 2]))
    place = y * columns + x
    mass = np.bincount(place, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
    moment = np.bincount(place, xyz[:, 2] - level, minlength=rows * columns).reshape(rows, columns)
    known = mass > 0
    z = _filled(moment, mass)
    for _ in range(3):  # smooth where nothing is known, keep the measured cells
        z = np.where(known, np.divide(moment, mass, out=z.copy(), where=known), gaussian_filter(z, 1.0, mode="nearest"))
    z = gaussian_filter(z, 0.5, mode="nearest")
    return Ground(torch.from_numpy(low).float(), cell, torch.from_numpy(z + level).float())


def _filled(moment: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Means, and for empty cells the mean of the smallest block of 2^k cells around them that has any."""
    mean = np.divide(moment, mass, out=np.zeros_like(mass), where=mass > 0)
    if mass.all() or max(mass.shape) == 1:
        return mean
    pad = [(0, n % 2) for n in mass.shape]
    halves = [np.pad(x, pad).reshape((mass.shape[0] + 1) // 2, 2, -1, 2).sum((1, 3)) for x in (moment, mass)]
    coarse = gaussian_filter(_filled(*halves), 0.7, mode="nearest")
    coarse = coarse.repeat(2, 0).repeat(2, 1)[: mass.shape[0], : mass.shape[1]]
    return np.where(mass > 0, mean, coarse)
