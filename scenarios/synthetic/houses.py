"""Buildings in rows along the streets, with gardens between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely

from drivesim.types import Material, Prop

from . import curves
from .streets import Street

SIDEWALK = 2.8
"""Width kept free beside the kerb [m]."""

# parts of a lot tried in turn: from and to along its front, depth
_FITS = (
    (0, 1, 1),
    (0, 1, 0.6),
    (0, 0.7, 1),
    (0, 0.7, 0.6),
    (0, 0.45, 0.8),
    (0.3, 1, 1),
    (0.3, 1, 0.6),
    (0.55, 1, 0.8),
)


@dataclass
class Stage:
    """Prisms and props in town coordinates; heights above the ground where they stand."""

    rings: list[np.ndarray] = field(default_factory=list)  # (n, 2) counter-clockwise
    materials: list[Material] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    props: list[tuple[Prop, float, float, float, float, float]] = field(default_factory=list)  # x y yaw width height

    def build(self, corners: np.ndarray, material: Material, height: float) -> None:
        ring = shapely.geometry.polygon.orient(shapely.Polygon(corners)).exterior
        self.rings.append(shapely.get_coordinates(ring)[:-1])
        self.materials.append(material)
        self.heights.append(float(height))

    def put(self, prop: Prop, xy: np.ndarray, yaw: float, width: float, height: float) -> None:
        self.props.append((prop, float(xy[0]), float(xy[1]), float(yaw), float(width), float(height)))


class Site:
    """The ground beside the streets while it is being built on."""

    def __init__(self, rng: np.random.Generator, road: shapely.Geometry) -> None:
        self.rng, self.road, self.stage = rng, road, Stage()
        self.kept = road.buffer(SIDEWALK, quad_segs=4)
        shapely.prepare(self.kept)
        self._taken, self._count = np.empty(4096, object), 0

    @property
    def taken(self) -> np.ndarray:
        return self._taken[: self._count]

    def take(self, corners: np.ndarray) -> bool:
        """Claim a plot; False if it is not free."""
        shape = shapely.Polygon(corners)
        if self.kept.intersects(shape) or shapely.intersects(shape, self.taken).any():
            return False
        self._taken[self._count] = shape
        self._count += 1
        return True

    def tree(self, place: np.ndarray) -> None:
        height = self.rng.uniform(4.5, 10.0)
        self.stage.put(Prop.TREE, place, self.rng.uniform(0, 6.28), height * self.rng.uniform(0.45, 0.65), height)


def build_row(site: Site, street: Street, side: int, storeys: float) -> None:
    """Lots along one side of a street: mostly houses wall to wall, some gardens."""
    rng = site.rng
    s, alley = 6.0, rng.uniform(0.0, 0.4)
    while s < street.length - 10:
        wide, deep = rng.uniform(9, 21), rng.uniform(9, 15)
        near = street.edge(side, s + wide / 2) + SIDEWALK + rng.choice([0.05, 0.4, 2.5], p=[0.6, 0.25, 0.15])
        if rng.random() < 0.86:
            s += _house(site, _lot(street, side, s, s + wide, near, near + deep), storeys) * wide
        else:
            _garden(site, street, side, s, wide, near)
            s += wide
        s += 0.05 if rng.random() > alley else rng.uniform(1.5, 4.0)


def close_view(site: Site, street: Street) -> None:
    """Houses across the end of a street that leaves the town, so that the view ends at a wall."""
    end, yaw = street.pose(street.length)
    ahead, left = curves.direction(yaw), curves.direction(yaw + np.pi / 2)
    for place in (-22.0, 0.0, 22.0):
        start = end + ahead * site.rng.uniform(7, 10) + left * (place - 10.5)
        _house(
            site,
            np.stack([start + 21 * left, start, start + 14 * ahead, start + 21 * left + 14 * ahead]),
            4.0,
        )


def _lot(street: Street, side: int, start: float, end: float, near: float, far: float) -> np.ndarray:
    """Corners (4, 2) of a lot beside a street, its first two at the street."""
    at, yaw = street.pose((start + end) / 2)
    ahead, out = curves.direction(yaw), side * curves.direction(yaw + np.pi / 2)
    half = (end - start) / 2
    return at + np.array([(-half, near), (half, near), (half, far), (-half, far)]) @ np.stack([ahead, out])


def _house(site: Site, lot: np.ndarray, storeys: float) -> float:
    """A house on a lot, or on a part of it that is still free; returns the share of the front that is then done."""
    along, deep = lot[1] - lot[0], lot[3] - lot[0]
    back = deep / np.hypot(*deep)
    for push in (0.0, 0.5, 1.0, 1.6):  # out of the sidewalk where a bend brings it near
        if not site.kept.intersects(shapely.LineString(lot[:2] + push * back)):
            lot = lot + push * back
            break
    for start, end, depth in _FITS:
        fit = lot[0] + np.array([[start, 0], [end, 0], [end, depth], [start, depth]]) @ np.stack([along, deep])
        area = (end - start) * depth * np.hypot(*along) * np.hypot(*deep)
        if area > 40 and site.take(fit):
            floors = max(1, round(storeys + site.rng.normal(0, 0.9)))
            height = floors * site.rng.uniform(2.9, 3.4) + site.rng.uniform(0.3, 1.2)
            site.stage.build(_footprint(site.rng, fit), Material.FACADE, height)
            return end
    return 0.2


def _footprint(rng: np.random.Generator, lot: np.ndarray) -> np.ndarray:
    """The lot itself, or with a wing missing at the back, or with a step in the front."""
    along, deep = lot[1] - lot[0], lot[3] - lot[0]
    style, cut, step = rng.random(), rng.uniform(0.35, 0.65), rng.uniform(0.1, 0.2)
    if style < 0.2:
        shape = [(0, 0), (1, 0), (1, 1), (cut, 1), (cut, 0.5), (0, 0.5)]
    elif style < 0.35:
        shape = [(0, 0), (cut, 0), (cut, step), (1, step), (1, 1), (0, 1)]
    else:
        return lot
    return lot[0] + np.array(shape) @ np.stack([along, deep])


def _garden(site: Site, street: Street, side: int, s: float, wide: float, near: float) -> None:
    """A hedge or a fence at the street, trees and bushes behind it."""
    rng = site.rng
    if not site.take(_lot(street, side, s + 0.5, s + wide - 0.5, near, near + 10)):
        return
    material = Material.HEDGE if rng.random() < 0.65 else Material.FENCE
    depth = 0.7 if material == Material.HEDGE else 0.12
    bound = _lot(street, side, s + 0.5, s + wide - 0.5, near, near + depth)
    site.stage.build(bound, material, rng.uniform(0.9, 1.8))
    for _ in range(int(rng.integers(2, 5))):
        place, _ = street.pose(s + rng.uniform(2, wide - 2), side * (near + rng.uniform(3, 9)))
        if rng.random() < 0.6:
            site.tree(place)
        else:
            site.stage.put(Prop.BUSH, place, rng.uniform(0, 6.28), rng.uniform(1.0, 2.2), rng.uniform(0.7, 1.6))
