"""What the streets cover: drivable area, crosswalks, paint, and the hills below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import map_coordinates

from drivesim.types import Marking

from . import curves
from .lanes import Lane, Network
from .streets import CROSSWALK, KERB, PARKING, Crossing, Street

_SOLID_BEFORE_STOP = 18.0  # lane changes end this far ahead of a stop line [m]


@dataclass
class Hills:
    """Ground height on a grid; bilinear, as the map's own ground."""

    origin: np.ndarray  # (2,)
    cell: float
    z: np.ndarray  # (rows, columns)

    def height(self, xy: np.ndarray) -> np.ndarray:
        """z (...) under points (..., 2)."""
        place = (xy - self.origin) / self.cell
        flat = place.reshape(-1, 2)[:, ::-1].T
        return map_coordinates(self.z, flat, order=1, mode="nearest").reshape(xy.shape[:-1])

    def tilt(self, xy: np.ndarray, yaw: np.ndarray, reach: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Pitch and roll (...) of a body resting at (..., 2)."""
        ahead = reach * np.stack([np.cos(yaw), np.sin(yaw)], -1)
        left = np.stack([-ahead[..., 1], ahead[..., 0]], -1)
        rise, lean = (self.height(xy + d) - self.height(xy - d) for d in (ahead, left))
        return -np.arctan(rise / (2 * reach)), np.arctan(lean / (2 * reach))


def raise_hills(rng: np.random.Generator, bounds: tuple[float, float, float, float], cell: float = 2.0) -> Hills:
    """Five long waves, a few metres high in all; slopes stay below about 6 %."""
    low, high = np.array(bounds[:2]) - 60, np.array(bounds[2:]) + 60
    x = np.arange(low[0], high[0] + cell, cell)
    y = np.arange(low[1], high[1] + cell, cell)[:, None]
    z = np.zeros((len(y), len(x)))
    for wavelength in rng.uniform(180, 420, 5):
        angle, phase = rng.uniform(0, 2 * np.pi, 2)
        k = 2 * np.pi / wavelength
        z += 0.022 / k * rng.uniform(0.4, 1.0) * np.sin(k * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return Hills(low, cell, z)


def pave(crossings: list[Crossing], streets: list[Street]) -> shapely.Geometry:
    """Union of all road surfaces, parking strips included, kerbs rounded at the corners."""
    parts = []
    for street in streets:
        line = curves.cut(street.line, 0.0, street.length, 2.0)
        parts.append(shapely.Polygon(curves.strip(line, -street.half, street.half)))
        for side in (-1, 1):
            if street.has_parking(side):
                parts.append(shapely.Polygon(parking_ring(street, side)))
    for crossing in crossings:
        parts.append(shapely.Point(crossing.xy).buffer(3.0))
    union = shapely.unary_union(parts)
    return union.buffer(KERB, quad_segs=6).buffer(-KERB, quad_segs=6).buffer(0.02).simplify(0.02)


def parking_ring(street: Street, side: int) -> np.ndarray:
    line = curves.cut(street.line, *street.parked_span, 2.0)
    near, far = side * (street.half - 0.05), side * (street.half + PARKING)
    return curves.strip(line, min(near, far), max(near, far))


def crosswalks(crossings: list[Crossing], streets: list[Street], road: shapely.Geometry) -> dict:
    """(crossing, arm) -> (ring (n, 2), centre line (2, 2) from the right to the left kerb seen from the crossing)."""
    out = {}
    for number, crossing in enumerate(crossings):
        for arm, (s, starts) in crossing.arms.items():
            street, reach = streets[s], crossing.reach[arm]
            line = street.line if starts else street.line[::-1]
            part = curves.cut(line, reach - CROSSWALK[1], reach - CROSSWALK[0], 1.0)
            wide = street.half + 6.0
            ring = shapely.Polygon(curves.strip(part, -wide, wide)).intersection(road)
            ring = max(shapely.get_parts(ring), key=lambda p: p.area)
            across = shapely.LineString([curves.shift(part, d)[len(part) // 2] for d in (-wide, wide)])
            span = max(shapely.get_parts(across.intersection(road)), key=lambda p: p.length)
            out[number, arm] = (
                shapely.get_coordinates(shapely.geometry.polygon.orient(ring).exterior)[:-1],
                shapely.get_coordinates(span),
            )
    return out


def paint(streets: list[Street], net: Network, yellow: bool) -> list[tuple[np.ndarray, Marking]]:
    """Lines (n, 2) with what they are: centre lines, lane lines, parking lines and stop lines."""
    lines: list[tuple[np.ndarray, Marking]] = []
    for street in streets:
        centre = curves.cut(street.line, *street.span, 2.0)
        busy = street.lanes > 1 or street.limit > 12
        solid, dashed = (
            (Marking.DOUBLE_YELLOW, Marking.DASHED_YELLOW) if yellow else (Marking.SOLID_WHITE, Marking.DASHED_WHITE)
        )
        lines += _split(street, centre, 0.0, solid if busy else dashed, solid)
        for side in (-1, 1):
            for k in range(1, street.lanes):
                lines += _split(street, centre, side * k * street.width, Marking.DASHED_WHITE, Marking.SOLID_WHITE)
            if street.has_parking(side):
                part = curves.cut(street.line, *street.parked_span, 2.0)
                lines.append((curves.shift(part, side * street.half), Marking.SOLID_WHITE))
    return lines + [(_stop_line(lane), Marking.STOP_LINE) for lane in net.lanes if lane.street >= 0 and lane.successors]


def _split(street: Street, centre: np.ndarray, left: float, middle: Marking, ends: Marking) -> list:
    """One line along a street that is solid near its crossings."""
    line = curves.shift(centre, left)
    length = float(curves.lengths(line)[-1])
    if middle == ends or length < 2 * _SOLID_BEFORE_STOP + 10:
        return [(line, ends)]
    a, b = _SOLID_BEFORE_STOP, length - (_SOLID_BEFORE_STOP if street.b is not None else 0.0)
    parts = [(curves.cut(line, 0, a, 2.0), ends), (curves.cut(line, a, b, 2.0), middle)]
    return parts + ([(curves.cut(line, b, length, 2.0), ends)] if street.b is not None else [])


def _stop_line(lane: Lane) -> np.ndarray:
    """Across the end of a lane, the near edge of the bar before the lane's last point."""
    part = curves.cut(lane.line, lane.length - 1.0, lane.length, 0.25)
    return np.stack([curves.shift(part, d)[2] for d in (lane.width / 2 - 0.15, -lane.width / 2 + 0.15)])
