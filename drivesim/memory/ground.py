"""A closed surface of ground: where the sweeps saw it, at the height they saw; between their rings, interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..lidar.ground import Cloud, Grid, ground_height, height_above
from ..roadmap import RoadMap
from ..types import Ground, Map

CELL = 0.2
"""Finest cell of the surface [m]; a point's height there is good to a centimetre or two."""

THICK = 0.25
"""What lies so close to the ground's known height may be ground [m]."""

KNOWN = 0.08
"""Points so close to the surface are the surface [m]."""

_RINGS = ((20.0, 1), (45.0, 2), (np.inf, 4))  # up to this far from the path [m], so many fine cells make one surfel
_FILL = 5.0  # [m] from the nearest seen cell up to which the surface goes on
_MARGIN = 90.0  # [m] around the path


@dataclass(frozen=True, eq=False)
class Surface:
    """Heights on a grid of fine cells."""

    grid: Grid
    z: np.ndarray  # (rows, columns) float32 [m]; NaN where there is none
    hits: np.ndarray  # (rows, columns) int32; 0 where it is interpolated
    apart: np.ndarray  # (rows, columns) float32, distance from the ego's path [m]

    def height(self, xyz: np.ndarray) -> np.ndarray:
        """Height (n,) of points (n, 3) above the surface; NaN where there is none."""
        flat, inside = self.grid.index(xyz)
        return np.where(inside, xyz[:, 2] - self.z.ravel()[flat], np.nan)


def reference(ground: Ground, xyz: np.ndarray, path: np.ndarray) -> Ground:
    """The map's ground if the sweeps' points (n, 3) near the path (T, 3) lie on it, else one made from them."""
    near = xyz[(np.abs(xyz - path[len(path) // 2].astype(np.float32))[:, :2] < 15).all(1)]
    above = height_above(ground, near)
    if len(near) < 100 or np.mean(np.abs(above) < THICK) > 0.25:
        return ground
    return ground_height(Cloud(xyz, np.zeros(len(xyz), np.uint8)), path)


def surface(xyz: np.ndarray, ground: Ground, map: Map, path: np.ndarray) -> Surface:
    """From the standing points (n, 3) of all sweeps; path (T, 3): the ego's, on the ground.

    Where no sweep tells where the ground ends, it is the map's drivable area.
    """
    grid = Grid.around(path[:, :2], _MARGIN, 4 * CELL)
    grid = Grid(grid.origin, CELL, (4 * grid.shape[0], 4 * grid.shape[1]))
    rough = _sampled(ground, grid)
    flat, inside = grid.index(xyz)
    above = xyz[:, 2] - rough.ravel()[flat]
    low = inside & (np.abs(above) < THICK)
    hits, rest = _lowest(flat[low], above[low], rough.size)
    hits, rest = hits.reshape(grid.shape), rest.reshape(grid.shape)
    rest = _closed(rest, hits) if hits.any() else np.zeros(grid.shape)
    driven = np.zeros(grid.shape, bool)
    driven.ravel()[grid.index(_dense(path))[0]] = True
    apart = (CELL * ndimage.distance_transform_edt(~driven)).astype(np.float32)
    if hits.any():
        there = (CELL * ndimage.distance_transform_edt(hits == 0) < _FILL) | (apart < _FILL)
    else:
        there = _road(map, grid) & (apart < _MARGIN)
    z = np.where(there, rough + rest, np.nan)
    return Surface(grid, z.astype(np.float32), hits.astype(np.int32), apart)


def _road(map: Map, grid: Grid) -> np.ndarray:
    """Cells (rows, columns) on the map's drivable area."""
    rows, columns = np.indices(grid.shape)
    centers = torch.from_numpy(grid.centers(rows.ravel(), columns.ravel())).float()
    return RoadMap.of(map).inside(centers).numpy().reshape(grid.shape)


def _dense(path: np.ndarray) -> np.ndarray:
    """Points (n, 2) every 0.1 m or so along a path."""
    steps = [np.linspace(a, b, 2 + int(10 * np.linalg.norm(b - a))) for a, b in zip(path[:-1], path[1:], strict=True)]
    return np.concatenate([path[:1], *steps])[:, :2]


def _sampled(ground: Ground, grid: Grid) -> np.ndarray:
    """Heights (rows, columns) at the cells' middles, bilinear."""
    rows, columns = np.indices(grid.shape)
    at = grid.centers(rows.ravel(), columns.ravel()) - ground.origin.double().numpy()
    place = (at / ground.cell)[:, ::-1].T
    return ndimage.map_coordinates(ground.z.double().numpy(), place, order=1, mode="nearest").reshape(grid.shape)


def _lowest(flat: np.ndarray, above: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """hits and mean height (size,) of each cell's points that lie less than 6 cm above its low ones."""
    floor = np.full(size, np.inf)
    np.minimum.at(floor, flat, above)
    count = np.bincount(flat, minlength=size)
    mean = np.bincount(flat, above, size) / np.maximum(count, 1)
    floor = np.maximum(floor, mean - 0.04)  # one point below the road lowers nobody
    close = above < floor[flat] + 0.06
    hits = np.bincount(flat[close], minlength=size)
    return hits, np.bincount(flat[close], above[close], size) / np.maximum(hits, 1)


def _closed(rest: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Seen cells keep their height, calmed by their neighbours; the others take the weighted mean of those around."""
    weight = np.minimum(hits, 20).astype(np.float64)
    out = np.full(rest.shape, np.nan)
    for sigma in (0.7, 1.5, 3.0, 6.0, 12.0, 30.0):
        mass = ndimage.gaussian_filter(weight, sigma, truncate=3)
        mean = ndimage.gaussian_filter(weight * rest, sigma, truncate=3) / np.maximum(mass, 1e-12)
        out = np.where(np.isnan(out) & (mass > 0.02), mean, out)
    return np.nan_to_num(out)


def discs(found: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """xyz (n, 3), normal (n, 3), radius (n,) and the share of a cell's fine cells that were seen (n,)."""
    parts, closest = [], 0.0
    for farthest, times in _RINGS:
        cell = CELL * times
        blocks = tuple(s // times for s in found.grid.shape)
        shape = (blocks[0], times, blocks[1], times)
        known = np.isfinite(found.z)
        count = known.reshape(shape).sum((1, 3))
        z = np.where(known, found.z, 0).reshape(shape).sum((1, 3)) / np.maximum(count, 1)
        apart = found.apart.reshape(found.apart.shape[0] // 4, 4, -1, 4).min((1, 3))  # rings meet at whole blocks
        apart = np.repeat(np.repeat(apart, 4 // times, 0), 4 // times, 1)
        chosen = (2 * count >= times * times) & (apart >= closest) & (apart < farthest)
        filled = np.where(count > 0, z, np.nan)
        normal = _normals(filled, cell)[chosen]
        rows, columns = np.nonzero(chosen)
        xy = Grid(found.grid.origin, cell, blocks).centers(rows, columns)
        seen = (found.hits > 0).reshape(shape).mean((1, 3))[chosen]
        parts.append((np.column_stack([xy, z[chosen]]), normal, np.full(len(xy), 0.75 * cell), seen))
        closest = farthest
    xyz, normal, radius, seen = (np.concatenate(columns).astype(np.float32) for columns in zip(*parts, strict=True))
    return xyz, normal, radius, seen


def _normals(z: np.ndarray, cell: float) -> np.ndarray:
    """(rows, columns, 3), unit, upwards; by what differences there are."""
    slopes = []
    for axis in (1, 0):
        ahead = np.full(z.shape, np.nan)
        step = np.diff(z, axis=axis) / cell
        first, last = [slice(None)] * 2, [slice(None)] * 2
        first[axis], last[axis] = slice(0, -1), slice(1, None)
        ahead[tuple(first)] = step
        behind = np.full(z.shape, np.nan)
        behind[tuple(last)] = step
        both = np.stack([ahead, behind])
        count = np.isfinite(both).sum(0)
        slopes.append(np.clip(np.nan_to_num(both).sum(0) / np.maximum(count, 1), -1, 1))
    normal = np.stack([-slopes[0], -slopes[1], np.ones(z.shape)], -1)
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)
