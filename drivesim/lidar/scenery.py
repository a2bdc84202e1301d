"""What stands beside the road, from lidar: buildings, walls, fences, trees, poles, signs.

Points are gathered in columns of half a metre. Without classes their shape tells what they are: what keeps to a line
when seen from above is a wall, anything else a plant.
"""

from __future__ import annotations

import numpy as np
import shapely
import torch
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from ..types import Ground, Material, Polylines, Prop, Scenery
from .ground import Cloud, Grid, Mask, Surface, height_above
from .lines import straight, wall_lines

CELL = 0.5  # [m]
REACH = 110.0  # how far from the ego's path scenery is built [m]
CEILING = np.tan(np.deg2rad(14.0))
"""Slope above which roof lidars of the field see nothing (Pandar64: +15 degrees): what reaches it goes on above."""

THICK = 0.4  # of walls, of which one side is seen [m]
LOW = 2.2  # plants below are bushes and hedges [m]
CLEAR = 4.0  # what hangs higher may hang over the road [m]


def scenery_of(cloud: Cloud, ground: Ground, drivable: BaseGeometry, path: np.ndarray) -> Scenery:
    """Scenery around the ego's path (n, 2). Nothing is put on the drivable area but what hangs well above it."""
    place = _Place(Grid.around(path, REACH, CELL), ground, drivable, path)
    kinds = (Surface.BUILDING, Surface.STATIC, Surface.PLANT, Surface.SIGN)
    building, static, plant, sign = (place.standing(cloud.of(kind)) for kind in kinds)
    built = _Built(place)
    if not cloud.classified:
        points = place.standing(cloud.xyz)
        lines = straight(wall_lines(points.tall()), points.xyz)
        near = points.beside(lines)
        building, plant = points.of(near), points.of(~near)
        plant = plant.of(~_poles(built, plant))
    _walls(built, building, storey=1.5, below=6.0)  # parked cars and trees hide the foot of many a house
    _walls(built, static, storey=0.5, below=2.0)
    _poles(built, static)
    _boards(built, static)
    _plants(built, plant)
    _signs(built, sign)
    return built.scenery()


class _Points:
    """Points that stand up, and per cell of the grid how many there are, their lowest and highest."""

    def __init__(self, grid: Grid, xyz: np.ndarray, height: np.ndarray) -> None:
        self.grid, self.xyz, self.height = grid, xyz, height
        self.flat, _ = grid.index(xyz)
        self.count = grid.count(xyz)
        self.low = grid.reduce(xyz, height, np.minimum)
        self.high = grid.reduce(xyz, height, np.maximum)

    def of(self, mask: Mask) -> _Points:
        return _Points(self.grid, self.xyz[mask], self.height[mask])

    def tall(self, below: float = 2.0) -> np.ndarray:
        """Points (n, 3) of columns that reach from `below` some height to a metre or more above the ground."""
        column = (self.count >= 3) & (self.low < below) & (self.high > 1.0)
        return self.xyz[column.ravel()[self.flat]]

    def beside(self, lines: list[np.ndarray], reach: float = 0.5) -> Mask:
        """Which points lie within `reach` of a line (n,)."""
        if not lines:
            return np.zeros(len(self.xyz), bool)
        area = shapely.union_all([shapely.LineString(line[:, :2]).buffer(reach) for line in lines])
        shapely.prepare(area)
        cells = np.unique(self.flat)
        rows, columns = np.divmod(cells, self.grid.shape[1])
        held = np.zeros(self.grid.shape[0] * self.grid.shape[1], bool)
        held[cells] = shapely.contains_xy(area, *self.grid.centers(rows, columns).T)
        return held[self.flat]


class _Place:
    """Where scenery is built: the grid, the ground under its cells, the road, and how far up the lidar saw."""

    def __init__(self, grid: Grid, ground: Ground, drivable: BaseGeometry, path: np.ndarray) -> None:
        self.grid, self.ground, self.path = grid, ground, path
        self.road = drivable.buffer(-0.3)  # for what stands on a point
        self.lane = drivable.buffer(-1.2)  # for walls, which the border of the drivable area may touch
        shapely.prepare(self.road)
        rows, columns = np.indices(grid.shape)
        xy = grid.centers(rows.ravel(), columns.ravel())
        self.z = -height_above(ground, np.column_stack([xy, np.zeros(len(xy))])).reshape(grid.shape)
        far = np.max([np.hypot(*(xy - end).T) for end in path[[0, len(path) // 2, -1]]], axis=0)
        self.view = 2.0 + CEILING * far.reshape(grid.shape)

    def standing(self, xyz: np.ndarray) -> _Points:
        height = height_above(self.ground, xyz)
        keep = (height > 0.3) & (height < 80) & self.grid.index(xyz)[1]
        return _Points(self.grid, xyz[keep], height[keep])

    def free(self, x: float, y: float) -> bool:
        return not shapely.contains_xy(self.road, x, y)

    def at(self, image: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Values (n,) of a raster at points (n, 2)."""
        return image.ravel()[self.grid.index(xy)[0]]


class _Built:
    """Prisms and props as they are found."""

    def __init__(self, place: _Place) -> None:
        self.place = place
        self.rings: list[np.ndarray] = []
        self.prisms: list[tuple[float, float, int]] = []  # base, height, Material
        self.props: list[tuple[float, ...]] = []  # x, y, z, yaw, width, height, Prop

    def prism(self, shape: BaseGeometry, base: float, height: float, material: Material) -> None:
        for polygon in shapely.get_parts(shape):
            if isinstance(polygon, shapely.Polygon) and polygon.area > 0.3:
                ring = shapely.geometry.polygon.orient(polygon).exterior
                self.rings.append(shapely.get_coordinates(ring)[:-1])
                self.prisms.append((base, height, int(material)))

    def prop(self, xy: np.ndarray, yaw: float, width: float, height: float, kind: Prop) -> None:
        if self.place.free(*xy):
            z = float(self.place.at(self.place.z, xy[None])[0])
            self.props.append((*xy, z, yaw, width, height, int(kind)))

    def scenery(self) -> Scenery:
        prisms = np.array(self.prisms).reshape(-1, 3)
        props = torch.tensor(np.array(self.props).reshape(-1, 7), dtype=torch.float32)
        footprints = Polylines.of([torch.from_numpy(r) for r in self.rings], [int(k) for k in prisms[:, 2]])
        base, height = (torch.tensor(prisms[:, i], dtype=torch.float32) for i in (0, 1))
        return Scenery(footprints, base, height, props[:, :3], props[:, 3], props[:, 4:6], props[:, 6].to(torch.int64))


def _walls(built: _Built, points: _Points, storey: float, below: float) -> None:
    """Walls along traced lines, in pieces of one height each, in whole `storey`s [m]."""
    place = built.place
    roof = _roof(points, place.view, 2 * storey)
    for line in wall_lines(points.tall(below)):
        line = _resampled(shapely.LineString(line[:, :2]).simplify(0.2))
        height = ndimage.median_filter(place.at(roof, (line[:-1] + line[1:]) / 2), 5, mode="nearest")
        steps = np.maximum(np.rint(height / storey), 1).astype(int)
        cuts = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
        for first, last in zip(cuts[:-1], cuts[1:], strict=True):
            piece = line[first : last + 1]
            tall = storey * float(steps[first])
            shape = shapely.LineString(piece).simplify(0.05).buffer(THICK / 2, cap_style="flat", join_style="mitre")
            house = storey > 1 and tall > 2.5
            material = Material.FACADE if house else Material.FENCE if tall <= 3 and storey < 1 else Material.CONCRETE
            built.prism(shape.difference(place.lane), float(place.at(place.z, piece).min()), tall, material)


def _roof(points: _Points, view: np.ndarray, reach: float) -> np.ndarray:
    """Height of what stands within `reach` of each cell; where that leaves the view, that of the wall farther on."""
    high = np.where(points.count > 0, points.high, 0.0)
    cut = (high > view - 1.5) & (high > 1.5)
    roof = ndimage.maximum_filter(high, max(round(reach / CELL), 3))
    return np.where(ndimage.maximum_filter(cut, 3), ndimage.maximum_filter(high, round(24 / CELL)), roof)


def _resampled(line: shapely.LineString, spacing: float = 1.0) -> np.ndarray:
    """Points (n, 2) about every `spacing` metres, two at least."""
    n = max(round(line.length / spacing), 1)
    return shapely.get_coordinates(shapely.line_interpolate_point(line, np.linspace(0, line.length, n + 1)))


def _clusters(points: _Points, mask: Mask) -> list[tuple[np.ndarray, np.ndarray]]:
    """Connected cells of a mask: their indices (n, 2) and their points' indices, cluster by cluster."""
    label, n = ndimage.label(mask, np.ones((3, 3)))
    owner = label.ravel()[points.flat]
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(1, n + 2))
    cells = [
        np.argwhere(label[where] == i) + [s.start for s in where]
        for i, where in enumerate(ndimage.find_objects(label), 1)
    ]
    return [(cells[i], order[starts[i] : starts[i + 1]]) for i in range(n)]


def _poles(built: _Built, points: _Points) -> Mask:
    """What is tall and hardly wider than a column, on its own; which points that took (n,)."""
    taken = np.zeros(len(points.xyz), bool)
    for cells, own in _clusters(points, (points.count >= 2) & (points.low < 2.0)):
        top = points.height[own].max()
        if len(cells) > 6 or np.ptp(cells, axis=0).max() > 2 or top < 2.5:
            continue
        trunk = points.xyz[own[points.height[own] < 2.5], :2].astype(float)
        if len(trunk) > 3 and trunk.std(0).max() < 0.3:
            width = float(np.clip(2.5 * np.hypot(*trunk.std(0)), 0.08, 0.4))
            built.prop(trunk.mean(0), 0.0, width, float(top), Prop.POLE)
            taken[own] = True
    return taken


def _boards(built: _Built, points: _Points) -> None:
    """Things of some size that begin more than 2 m above the ground: boards, roofs of shelters; wires are left out."""
    place = built.place
    for cells, _ in _clusters(points, (points.count >= 6) & (points.low >= 2.0)):
        low, high = (float(np.median(image[tuple(cells.T)])) for image in (points.low, points.high))
        if len(cells) >= 8 and high - low > 1.0:
            shape = shapely.MultiPoint(place.grid.centers(*cells.T)).minimum_rotated_rectangle.buffer(CELL / 3)
            shape = shape if low > CLEAR else shape.difference(place.lane)
            built.prism(shape, float(place.z[tuple(cells.T)].min()) + low, high - low, Material.CONCRETE)


def _plants(built: _Built, points: _Points) -> None:
    """Trees at the tops of canopies, low plants as bushes, long rows of them as hedges."""
    place = built.place
    for cells, _ in _clusters(points, points.count >= 2):
        tops = points.high[tuple(cells.T)]
        if len(cells) < 3:
            continue
        if tops.max() < LOW and np.ptp(cells, axis=0).max() * CELL > 4:
            mask = np.zeros(place.grid.shape, bool)
            mask[tuple(cells.T)] = True
            shape = place.grid.polygons(mask).simplify(CELL).difference(place.lane)
            base, height = float(place.z[tuple(cells.T)].min()), float(np.percentile(tops, 80))
            built.prism(shape, base, height, Material.HEDGE)
        else:
            _crowns(built, cells, tops)


def _crowns(built: _Built, cells: np.ndarray, tops: np.ndarray) -> None:
    """One tree or bush for each peak of a canopy, as wide as the cells that are nearest to it."""
    corner = cells.min(0)
    image = np.zeros(np.ptp(cells, axis=0) + 1)
    image[tuple((cells - corner).T)] = tops
    smooth = ndimage.gaussian_filter(image, 1.0)
    peak = (smooth == ndimage.maximum_filter(smooth, 9 if tops.max() > LOW else 5)) & (image > 0)
    peaks = np.argwhere(peak) + corner if peak.any() else cells[[int(tops.argmax())]]
    owner = np.hypot(*(cells[:, None] - peaks[None]).transpose(2, 0, 1)).argmin(1)
    for k in range(len(peaks)):
        own = cells[owner == k]
        if len(own) < 2:
            continue
        height = float(tops[owner == k].max())
        width = float(np.clip(2.3 * np.sqrt(len(own) / np.pi) * CELL, 0.6, 9.0))
        xy = built.place.grid.centers(*own.mean(0))
        built.prop(xy, 0.0, width, height, Prop.TREE if height > LOW else Prop.BUSH)


def _signs(built: _Built, points: _Points) -> None:
    """Signs on posts, facing the nearest part of the path."""
    path = built.place.path
    for _, own in _clusters(points, points.count >= 2):
        xy, top = points.xyz[own, :2].astype(float), float(points.height[own].max())
        if not 1.0 < top < 5.0 or len(own) < 5:
            continue
        center = xy.mean(0)
        to_path = path[np.hypot(*(path - center).T).argmin()] - center
        axes = np.linalg.eigh(np.cov((xy - center).T) + 1e-6 * np.eye(2))[1]
        normal = axes[:, 0] * (1.0 if axes[:, 0] @ to_path >= 0 else -1.0)
        width = float(np.clip(np.ptp((xy - center) @ axes[:, 1]), 0.3, 2.0))
        built.prop(center, float(np.arctan2(normal[1], normal[0])), width, top, Prop.SIGN)
