"""Points of many sweeps merged: those that share a voxel become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Merged:
    """One row for each voxel that holds points."""

    xyz: np.ndarray  # (n, 3) float32, mean of the points
    view: np.ndarray  # (n, 3) float32, unit, from there to who saw it
    range: np.ndarray  # (n,) float32, from how far [m]
    hits: np.ndarray  # (n,) int32, points
    sweeps: np.ndarray  # (n,) int32, different sweeps with points in it
    cell: np.ndarray  # (n,) float32, edge of the voxel [m]

    def __getitem__(self, rows: np.ndarray) -> Merged:
        return Merged(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def merge(xyz: np.ndarray, seat: np.ndarray, sweep: np.ndarray, cell: np.ndarray) -> Merged:
    """Merge points (n, 3) that sensors at `seat` (n, 3) saw in sweeps number `sweep` (n,), ascending.

    cell (n,): edge of the voxel that a point goes to [m]; voxels of another edge are others.
    """
    key = keys(xyz, cell)
    order = np.argsort(key, kind="stable")  # sweeps stay ascending within a voxel
    key, sweep, xyz, seat = key[order], sweep[order], xyz[order], seat[order]
    new, fresh = np.ones((2, len(key)), bool)
    new[1:] = key[1:] != key[:-1]
    fresh[1:] = new[1:] | (sweep[1:] != sweep[:-1])
    first, group = np.flatnonzero(new), np.cumsum(new) - 1
    count = np.bincount(group, minlength=len(first)).astype(np.int32)
    mean = _mean(xyz, group, count)
    ray = _mean(seat, group, count) - mean
    far = np.linalg.norm(ray, axis=1)
    return Merged(
        mean.astype(np.float32),
        (ray / np.maximum(far, 1e-6)[:, None]).astype(np.float32),
        far.astype(np.float32),
        count,
        np.bincount(group, fresh, len(first)).astype(np.int32),
        cell[order][first].astype(np.float32),
    )


def keys(xyz: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """One int64 for each voxel: 17 bits an axis (kilometres, even of small voxels), and above them its edge."""
    index = np.floor(xyz / cell[:, None]).astype(np.int64) & 0x1FFFF
    return (np.rint(cell * 100).astype(np.int64) << 51) | (index[:, 0] << 34) | (index[:, 1] << 17) | index[:, 2]


def _mean(values: np.ndarray, group: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(group, column, len(count)) / count for column in values.T.astype(np.float64)], 1)
