"""Merged points to oriented discs that close: turned and sized by their neighbours, with new ones between the rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .voxels import Merged, keys, merge

NEIGHBOURS = 12

BEAMS = 0.045
"""Widest angle between two beams of a lidar [rad] (2 to 2.5 degrees at the rim of common 32- and 64-beam ones): up
to this share of the distance a flat surface is taken to go on between two points of it."""

_NOISE = 0.05  # [m] the most that a point is moved
_SECTORS = 6
_COARSE = 4  # edge of the voxels that show the wider neighbourhood, in fine ones


@dataclass(frozen=True, eq=False)
class Patches:
    """Oriented discs, n of them."""

    xyz: np.ndarray  # (n, 3) float32 [m]
    normal: np.ndarray  # (n, 3) float32, unit, to the viewer's side
    radius: np.ndarray  # (n,) float32 [m]
    flat: np.ndarray  # (n,) float32, 0..1: how much its neighbours lie on one plane
    hits: np.ndarray  # (n,) int32, points of the sweeps; 0 for what lies between them

    def __getitem__(self, rows: np.ndarray) -> Patches:
        return Patches(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @staticmethod
    def cat(parts: list[Patches]) -> Patches:
        return Patches(*(np.concatenate([getattr(p, n) for p in parts]) for n in Patches.__dataclass_fields__))


def patches(found: Merged) -> Patches:
    """Discs of merged points, and between them.

    The normal is that of the plane through the neighbours (where one ring alone is near: through the wider ones);
    where they lie on none (leaves, wires) it turns to the viewer.
    """
    n = len(found.xyz)
    if n < 4:
        return Patches(found.xyz, found.view, 0.7 * found.cell, np.zeros(n, np.float32), found.hits)
    coarse = merge(found.xyz, found.xyz, np.zeros(n, np.int32), _COARSE * found.cell).xyz
    fine, wide = _nearest(found.xyz, found.xyz), _nearest(coarse, found.xyz)
    parts, bridges = [], []
    for start in range(0, n, 65536):
        rows = slice(start, start + 65536)
        here = found[rows]
        near = _offsets(found.xyz, fine[rows], here.xyz, 8 * here.cell)
        far = _offsets(coarse, wide[rows], here.xyz, np.maximum(BEAMS * here.range, 3 * here.cell))
        normal, flat = _planes(near, far, here.view)
        gaps = _sectors(near, normal, here.cell)[0]
        across, which = _sectors(far, normal, here.cell)
        place, radius = _calmed(here, near, normal, flat), _radii(gaps, across, flat, here)
        parts.append(Patches(place, normal, radius, flat, here.hits))
        bridges.append(_between(here, parts[-1], gaps, across, far, which))
    every = Patches.cat(parts + [bridge for bridge, _ in bridges])
    key = keys(every.xyz, np.concatenate([found.cell] + [cell for _, cell in bridges]))
    order = np.lexsort((-every.hits, key))  # of each voxel the surest
    return every[np.sort(order[np.append(True, key[order][1:] != key[order][:-1])])]


def _nearest(points: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(n, k) rows of the nearest points; where there are fewer, the nearest again."""
    near = cKDTree(points).query(of, min(NEIGHBOURS, len(points)))[1]
    return near.reshape(len(of), -1)


def _offsets(points: np.ndarray, near: np.ndarray, here: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """(m, k, 3) float64 from here (m, 3) to its neighbours; zero for those beyond the limit (m,)."""
    offset = points[near].astype(np.float64) - here[:, None]
    offset[np.linalg.norm(offset, axis=-1) > limit[:, None]] = 0.0
    return offset


def _planes(near: np.ndarray, far: np.ndarray, view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """normal (m, 3) and flatness (m,) from offsets (m, k, 3)."""
    values, normal = _spread(near)
    line = values[:, 1] < 0.03 * values[:, 2]  # one ring alone: any plane through it would do
    values[line], normal[line] = _spread(far[line])
    flat = 1 - 3 * values[:, 0] / np.maximum(values.sum(1), 1e-12)  # 0: a ball, 1: a plane
    flat = np.where(values[:, 1] < 0.03 * values[:, 2], 0.0, np.clip(flat, 0, 1))
    normal = normal * np.where((normal * view).sum(1) < 0, -1.0, 1.0)[:, None]
    share = np.clip((flat - 0.4) / 0.4, 0, 1)[:, None]
    normal = share * normal + (1 - share) * view
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return normal.astype(np.float32), flat.astype(np.float32)


def _spread(offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal variances (m, 3), ascending, and the axis of the smallest (m, 3); neighbours at zero do not count."""
    weight = (offset != 0).any(-1)[..., None].astype(np.float64)
    mean = (weight * offset).sum(1, keepdims=True) / np.maximum(weight.sum(1, keepdims=True), 1)
    centred = weight * (offset - mean)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))
    return np.maximum(values, 0), vectors[:, :, 0]


def _sectors(offset: np.ndarray, normal: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (m, 6) to the nearest neighbour in each sector around the normal, and which it is (m, 6)."""
    helper = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(helper, normal)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    x, y = (np.einsum("nki,ni->nk", offset, axis) for axis in (side, np.cross(normal, side)))
    length = np.hypot(x, y)
    length[length < 0.3 * cell[:, None]] = np.inf
    sector = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    lengths = np.where(sector[:, None] == np.arange(_SECTORS)[:, None], length[:, None], np.inf)
    return lengths.min(-1), lengths.argmin(-1)


def _calmed(here: Merged, near: np.ndarray, normal: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Points (m, 3) of a flat surface moved onto it: lidars err by centimetres, which voxels show as two layers."""
    weight = (near != 0).any(-1)
    off = np.einsum("nki,ni->n", near, normal) / (weight.sum(1) + 1)
    off = np.where(flat > 0.7, np.clip(off, -_NOISE, _NOISE), 0.0)
    return (here.xyz + off[:, None] * normal).astype(np.float32)


def _radii(gaps: np.ndarray, across: np.ndarray, flat: np.ndarray, here: Merged) -> np.ndarray:
    """(m,) [m]: discs of a surface meet their fourth nearest neighbour around, so that they do not grow over its rim;
    leaves amid others, which nothing bridges, reach a little towards the next ring."""
    fourth = np.sort(gaps, axis=1)[:, 3]
    fourth = np.where(np.isfinite(fourth), fourth, here.cell)
    rough = np.minimum(np.sort(across, axis=1)[:, 2], 0.6 * BEAMS * here.range)
    loose = np.where((flat < 0.6) & np.isfinite(across).all(1), np.minimum(0.5 * rough, 4 * here.cell), 0.0)
    return np.maximum(np.clip(0.6 * fourth, 0.85 * here.cell, 1.5 * here.cell), loose).astype(np.float32)


def _between(here: Merged, own: Patches, gaps, across, far, which) -> tuple[Patches, np.ndarray]:
    """New discs on the way to the next point of the same flat surface, and their voxels' edges."""
    row, sector = np.nonzero((own.flat > 0.7)[:, None] & (gaps > 1.8 * here.cell[:, None]) & np.isfinite(across))
    step = far[row, which[row, sector]]
    length = np.linalg.norm(step, axis=1)
    level = np.abs((step * own.normal[row]).sum(1)) < 0.02 + 0.06 * length
    row, step, length = row[level], step[level], length[level]
    cell = here.cell[row]
    count = np.ceil(length / cell).astype(int) - 1
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
    share = number / np.repeat(count + 1, count)
    xyz = here.xyz[np.repeat(row, count)] + share[:, None] * np.repeat(step, count, 0)
    row = np.repeat(row, count)
    new = Patches(
        xyz.astype(np.float32), own.normal[row], (0.85 * here.cell[row]).astype(np.float32), own.flat[row],
        np.zeros(len(row), np.int32),
    )  # fmt: skip
    return new, here.cell[row]
