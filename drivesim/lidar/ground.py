"""A map from lidar, for logs without one: the height of the ground and where one can drive.

Works from points with classes where a data set has them, else from geometry alone. Everything happens on rasters in
the world frame; rows run along y, columns along x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..types import Ground

Mask = NDArray[np.bool_]


class Surface(IntEnum):
    """What a lidar point lies on."""

    UNKNOWN = 0
    ROAD = 1
    MARKING = 2
    WALK = 3  # pavements
    GROUND = 4  # any other ground
    BUILDING = 5
    PLANT = 6
    SIGN = 7
    STATIC = 8  # fences, walls, poles
    IGNORED = 9  # road users, reflections, smoke


FLOOR = (Surface.ROAD, Surface.MARKING, Surface.WALK, Surface.GROUND)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points of many sweeps, world frame."""

    xyz: np.ndarray  # (N, 3) float32
    surface: np.ndarray  # (N,) uint8, a Surface

    @property
    def classified(self) -> bool:
        return bool((self.surface != Surface.UNKNOWN).any())

    def of(self, *kinds: Surface) -> np.ndarray:
        """The points (n, 3) on these surfaces."""
        return self.xyz[np.isin(self.surface, [int(k) for k in kinds])]


@dataclass(frozen=True)
class Grid:
    """Square cells; cell [row, column] covers origin + cell * (column, row) onwards."""

    origin: tuple[float, float]  # [m]
    cell: float  # [m]
    shape: tuple[int, int]  # rows (y), columns (x)

    @staticmethod
    def around(xy: np.ndarray, margin: float, cell: float) -> Grid:
        """Covers points (n, 2) and `margin` metres beyond."""
        low = np.floor((xy.min(0) - margin) / cell) * cell
        columns, rows = np.ceil((xy.max(0) + margin - low) / cell).astype(int).tolist()
        return Grid((float(low[0]), float(low[1])), cell, (rows, columns))

    def index(self, xy: np.ndarray) -> tuple[np.ndarray, Mask]:
        """Flat cell index (n,) of points (n, 2+), and which of them lie on the grid."""
        column = np.floor((xy[:, 0] - self.origin[0]) / self.cell)
        row = np.floor((xy[:, 1] - self.origin[1]) / self.cell)
        inside = (column >= 0) & (column < self.shape[1]) & (row >= 0) & (row < self.shape[0])
        flat = np.where(inside, row * self.shape[1] + column, 0)
        return np.nan_to_num(flat).astype(np.int64), inside

    def count(self, xy: np.ndarray) -> np.ndarray:
        """Points per cell, (rows, columns)."""
        flat, inside = self.index(xy)
        return np.bincount(flat[inside], minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    def reduce(self, xy: np.ndarray, values: np.ndarray, ufunc: np.ufunc) -> np.ndarray:
        """`np.minimum` or `np.maximum` of values (n,) per cell, (rows, columns), NaN where there are none."""
        flat, inside = self.index(xy)
        start = np.inf if ufunc is np.minimum else -np.inf
        out = np.full(self.shape[0] * self.shape[1], start)
        ufunc.at(out, flat[inside], values[inside].astype(float))
        return np.where(np.isfinite(out), out, np.nan).reshape(self.shape)

    def centers(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(n, 2) of cells."""
        return np.stack([self.origin[0] + (columns + 0.5) * self.cell, self.origin[1] + (rows + 0.5) * self.cell], -1)

    def covered(self, boxes: np.ndarray, margin: float = 0.0) -> Mask:
        """Cells under boxes (n, 5): x, y, yaw, length, width [m, rad], widened by `margin` to all sides."""
        points = []
        for x, y, yaw, length, width in boxes:
            half = length / 2 + margin, width / 2 + margin
            u, v = np.meshgrid(*(np.arange(-h, h + self.cell / 2, self.cell / 2) for h in half))
            u, v = u.ravel(), v.ravel()
            c, s = np.cos(yaw), np.sin(yaw)
            points.append(np.stack([x + c * u - s * v, y + s * u + c * v], 1))
        return self.count(np.concatenate(points)) > 0 if points else np.zeros(self.shape, bool)

    def polygons(self, mask: Mask, smooth: float = 0.0) -> BaseGeometry:
        """The cells of a mask as a polygon; `smooth` takes the stairs off its border [m]."""
        edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        rows, first = np.nonzero(edges == 1)
        last = np.nonzero(edges == -1)[1]
        x, y = self.origin[0], self.origin[1]
        low = self.cell * rows + y
        runs = shapely.box(x + first * self.cell, low, x + last * self.cell, low + self.cell)
        area = shapely.union_all(runs)
        if smooth:
            area = area.buffer(smooth, join_style="mitre").simplify(1.2 * self.cell).buffer(-smooth, join_style="mitre")
        return area


def ground_height(cloud: Cloud, path: np.ndarray, margin: float = 100.0, cell: float = 0.5) -> Ground:
    """Height of the ground around a driven path (n, 3) on the ground, `margin` metres to all sides.

    Classified floor is averaged cell by cell; without classes, the lowest points that a morphological opening with
    growing windows (up to 20 m, so that no truck counts as ground) leaves within a gentle slope.
    """
    grid = Grid.around(path[:, :2], margin, cell)
    floor = cloud.of(*FLOOR) if cloud.classified else _lowest(cloud.xyz, grid)
    floor = np.concatenate([floor, path.astype(np.float32)])
    flat, inside = grid.index(floor)
    size = grid.shape[0] * grid.shape[1]
    count = np.bincount(flat[inside], minlength=size).reshape(grid.shape)
    total = np.bincount(flat[inside], floor[inside, 2], minlength=size).reshape(grid.shape)
    with np.errstate(invalid="ignore"):
        z = total / count
    z[np.abs(z - ndimage.median_filter(_filled(z), 9)) > 0.5] = np.nan
    return Ground(torch.tensor(grid.origin) + cell / 2, cell, torch.from_numpy(_smoothed(z)).float())


def height_above(ground: Ground, xyz: np.ndarray) -> np.ndarray:
    """Height (n,) of points (n, 3) above the nearest sample of the ground."""
    z, origin = ground.z.numpy(), ground.origin.numpy()
    place = np.rint((xyz[:, :2] - origin) / ground.cell).astype(np.int64)
    x, y = np.clip(place[:, 0], 0, z.shape[1] - 1), np.clip(place[:, 1], 0, z.shape[0] - 1)
    return xyz[:, 2] - z[y, x]


def _lowest(xyz: np.ndarray, grid: Grid) -> np.ndarray:
    """Points on the ground, by opening the raster of lowest heights with growing windows."""
    low = grid.reduce(xyz, xyz[:, 2], np.minimum)
    seen = np.isfinite(low)
    low = _filled(low)
    median = ndimage.median_filter(low, 9)
    low = np.where(low < median - 0.5, median, low)  # echoes from below the road
    surface, floor = low, seen.copy()
    for window in (3, 5, 9, 17, 41):
        opened = ndimage.grey_opening(surface, window)
        floor &= surface - opened < 0.1 + 0.05 * window * grid.cell
        surface = opened
    level = ndimage.median_filter(_filled(np.where(floor, low, np.nan)), 3)
    flat, inside = grid.index(xyz)
    return xyz[inside & (np.abs(xyz[:, 2] - level.ravel()[flat]) < 0.12) & floor.ravel()[flat]]


def _filled(z: np.ndarray) -> np.ndarray:
    """NaN cells take the value of the nearest known one."""
    known = np.isfinite(z)
    if not known.any():
        return np.zeros_like(z)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return z[tuple(nearest)]


def _smoothed(z: np.ndarray) -> np.ndarray:
    """Known cells smoothed a little, unknown ones a lot: the more, the farther off what is known."""
    known = np.isfinite(z)
    filled = _filled(z)
    distance = ndimage.distance_transform_edt(~known)
    out = filled
    for sigma, beyond in ((1.0, 0.0), (3.0, 2.0), (9.0, 8.0)):
        weight = ndimage.gaussian_filter(np.where(known, 1.0, 0.01), sigma)
        blurred = ndimage.gaussian_filter(np.where(known, 1.0, 0.01) * filled, sigma) / weight
        out = np.where(distance >= beyond, blurred, out)
    return out


def drivable_area(
    cloud: Cloud,
    ground: Ground,
    driven: Sequence[np.ndarray],
    boxes: np.ndarray,
    ego: BaseGeometry,
    cell: float = 0.25,
) -> BaseGeometry:
    """Where one can drive.

    driven: paths (n, 2+) of vehicles; boxes (m, 5): x, y, yaw, length, width of every vehicle box in the log (their
    ground is hidden from the lidar, yet road); ego: what the ego swept. Where somebody drove it is drivable, whatever
    the lidar says.
    """
    grid = Grid.around(np.array(ego.bounds).reshape(2, 2), 80.0, cell)
    solid = _solid(cloud, ground, grid)
    under = grid.covered(boxes, 0.3)
    if cloud.classified:
        road = grid.count(cloud.of(Surface.ROAD, Surface.MARKING))
        walk = grid.count(cloud.of(Surface.WALK, Surface.GROUND))
        barred = ndimage.binary_opening((walk > road) & ~under, iterations=1) | (solid & ~under & (road == 0))
        seen = (road > walk) | under
    else:
        level, kerbs = _level(cloud, ground, grid, driven)
        barred, seen = (solid | kerbs) & ~under, level | under
    area = _closed(seen, 1.5 / cell) & ~barred
    area = _reached(ndimage.binary_opening(area, np.ones((5, 5))) | under, grid, ego, driven)
    # what looks like a kerb in the midst of the road is noise, a pavement or a thing is not
    area = _without_pockets(area, barred if cloud.classified else solid & ~under, 60.0 / cell**2)
    shape = grid.polygons(area, smooth=0.4)
    lanes = [shapely.LineString(path[:, :2]).buffer(1.5, cap_style="flat") for path in driven]
    return shapely.union_all([shape, ego.buffer(0.3, join_style="mitre"), *lanes]).buffer(0)


def _solid(cloud: Cloud, ground: Ground, grid: Grid) -> Mask:
    """Cells in which something stands: several points between bumper and roof height."""
    kinds = (Surface.BUILDING, Surface.STATIC, Surface.PLANT, Surface.SIGN, Surface.UNKNOWN)
    xyz = cloud.of(*kinds)
    height = height_above(ground, xyz)
    return grid.count(xyz[(height > 0.3) & (height < 2.0)]) >= 3


def _level(
    cloud: Cloud, ground: Ground, grid: Grid, driven: Sequence[np.ndarray], reach: float = 8.0
) -> tuple[Mask, Mask]:
    """Without classes: flat cells at most `reach` off where vehicles drove, and the kerbs that bound them."""
    floor = cloud.xyz[np.abs(height_above(ground, cloud.xyz)) < 0.12]
    low, high = (grid.reduce(floor, floor[:, 2], f) for f in (np.minimum, np.maximum))
    seen = np.isfinite(low)
    top = ndimage.maximum_filter(np.where(seen, high, -np.inf), 3)
    bottom = ndimage.minimum_filter(np.where(seen, low, np.inf), 3)
    step = seen & (top - bottom >= 0.1)
    label, _ = ndimage.label(step, np.ones((3, 3)))
    kerbs = step & (np.bincount(label.ravel())[label] > 3 * 3.0 / grid.cell)  # three cells wide, 3 m long
    flat = _closed(seen & ~step, 1.0 / grid.cell) & ~kerbs
    lines = np.concatenate([_dense(p[:, :2], grid.cell) for p in driven])
    near = ndimage.distance_transform_edt(grid.count(lines) == 0) * grid.cell < reach
    return ndimage.binary_opening(flat & near, np.ones((5, 5))), kerbs


def _closed(mask: Mask, radius: float) -> Mask:
    """Morphological closing by a disc, radius in cells."""
    grown = ndimage.distance_transform_edt(~mask) <= radius
    return ndimage.distance_transform_edt(np.pad(grown, 1, constant_values=True))[1:-1, 1:-1] > radius


def _without_pockets(area: Mask, barred: Mask, largest: float) -> Mask:
    """Fill holes of up to `largest` cells unless a fifth of them is barred."""
    label, n = ndimage.label(~area)
    size = np.bincount(label.ravel(), minlength=n + 1)
    share = np.bincount(label.ravel(), barred.ravel(), minlength=n + 1) / np.maximum(size, 1)
    fill = (size <= largest) & (share < 0.2)
    fill[0] = False
    return area | fill[label]


def _reached(area: Mask, grid: Grid, ego: BaseGeometry, driven: Sequence[np.ndarray]) -> Mask:
    """The parts on which somebody drove; what is left is yards and roofs of parked cars."""
    label, n = ndimage.label(area)
    xy = np.concatenate([shapely.get_coordinates(ego), *(_dense(p[:, :2], grid.cell) for p in driven)])
    flat, inside = grid.index(xy)
    size = np.bincount(label.ravel(), minlength=n + 1) * grid.cell**2
    keep = (np.bincount(label.ravel()[flat[inside]], minlength=n + 1) > 0) & (size > 4)
    keep[0] = False
    return keep[label]


def _dense(xy: np.ndarray, spacing: float) -> np.ndarray:
    """Points every `spacing` metres along a path (n, 2)."""
    s = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    grid = np.arange(0, s[-1] + spacing, spacing)
    return np.stack([np.interp(grid, s, xy[:, 0]), np.interp(grid, s, xy[:, 1])], 1)
