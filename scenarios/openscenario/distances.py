"""Distances between bodies: straight, in the entity's frame, along the road; between points or between boxes."""

from __future__ import annotations

import math
from typing import NamedTuple

from .bodies import Body
from .entities import Entity
from .lines import Lines

Corner = tuple[float, float]


class Extent(NamedTuple):
    """How far a box reaches from its reference point [m]."""

    front: float
    rear: float  # negative behind the point
    left: float
    right: float  # negative to the right


POINT = Extent(0.0, 0.0, 0.0, 0.0)


def extent(entity: Entity) -> Extent:
    length, width, _ = entity.size
    x, y, _ = entity.center
    return Extent(x + length / 2, x - length / 2, y + width / 2, y - width / 2)


def corners(body: Body, size: Extent) -> list[Corner]:
    """Of the box seen from above, counter-clockwise."""
    c, s = math.cos(body.yaw), math.sin(body.yaw)
    places = ((size.front, size.left), (size.rear, size.left), (size.rear, size.right), (size.front, size.right))
    return [(body.x + c * x - s * y, body.y + s * x + c * y) for x, y in places]


def in_frame(body: Body, x: float, y: float) -> Corner:
    """A place forward and left of a body."""
    c, s = math.cos(body.yaw), math.sin(body.yaw)
    dx, dy = x - body.x, y - body.y
    return c * dx + s * dy, -s * dx + c * dy


def straight(a: Body, b: Body) -> float:
    return math.hypot(b.x - a.x, b.y - a.y)


def gap(a: list[Corner], b: list[Corner]) -> float:
    """Shortest distance of two convex boxes, 0 where they touch or overlap."""
    if overlap(a, b):
        return 0.0
    edges = [(p, q) for box in (a, b) for p, q in zip(box, box[1:] + box[:1], strict=True)]
    points = [*b, *a]
    near = math.inf
    for i, (p, q) in enumerate(edges):
        for x, y in points[:4] if i < 4 else points[4:]:
            ex, ey = q[0] - p[0], q[1] - p[1]
            span = ex * ex + ey * ey
            share = min(max(((x - p[0]) * ex + (y - p[1]) * ey) / span, 0.0), 1.0) if span else 0.0
            near = min(near, math.hypot(x - p[0] - share * ex, y - p[1] - share * ey))
    return near


def overlap(a: list[Corner], b: list[Corner]) -> bool:
    """Separating axes of two rectangles."""
    for box in (a, b):
        for i in (0, 1):
            ex, ey = box[i + 1][0] - box[i][0], box[i + 1][1] - box[i][1]
            if ex == 0.0 and ey == 0.0:
                continue
            pa, pb = [x * ex + y * ey for x, y in a], [x * ex + y * ey for x, y in b]
            if min(pa) > max(pb) or min(pb) > max(pa):
                return False
    return True


def in_entity(a: Body, b: Body, sizes: tuple[Extent, Extent] | None, lateral: bool) -> float:
    """Signed way from a to b along a's heading, or to its left; between the boxes where `sizes` are given (0 if they
    overlap in that direction)."""
    axis = 1 if lateral else 0
    if sizes is None:
        return in_frame(a, b.x, b.y)[axis]
    own, other = sizes
    low, high = (own.right, own.left) if lateral else (own.rear, own.front)
    places = [in_frame(a, x, y)[axis] for x, y in corners(b, other)]
    return _between(low, high, min(places), max(places))


def along_road(a: Body, b: Body, lines: Lines, sizes: tuple[Extent, Extent] | None, by_lane: bool) -> float | None:
    """Signed way from a to b along the road in a's direction: along s, or `by_lane` along the lane's middle. None
    where no lane leads from one to the other."""
    first, second = lines.road_of(a.spot), lines.road_of(b.spot)
    if first is None or second is None:
        return None
    assert a.line is not None and b.line is not None
    line = lines.line(a.line)
    assert line is not None
    facing = 1.0 if math.cos(a.turned) >= 0 else -1.0
    if first[0] == second[0]:
        way = (second[1] - first[1]) * line.direction * facing
        if by_lane and a.line[:2] == b.line[:2]:
            way = (line.u_of(second[1]) - a.spot.u) * facing
    else:
        ahead = lines.ahead(a.line, a.spot.u, second[0], second[1], a.route)
        behind = lines.ahead(b.line, b.spot.u, first[0], first[1], b.route)
        if ahead is None and behind is None:
            return None
        forward = ahead is not None and (behind is None or ahead <= behind)
        way = (ahead if forward else -behind) * facing  # type: ignore[operator]
    if sizes is None:
        return way
    own, other = sizes
    turn = b.yaw - a.yaw if first[0] == second[0] else 0.0
    c, s = math.cos(turn), math.sin(turn)
    reach = [c * x - s * y for x in (other.front, other.rear) for y in (other.left, other.right)]
    return _between(own.rear, own.front, way + min(reach), way + max(reach))


def across_road(a: Body, b: Body, lines: Lines, sizes: tuple[Extent, Extent] | None) -> float | None:
    """Signed difference of t; None where one is on no lane."""
    first, second = lines.road_of(a.spot), lines.road_of(b.spot)
    if first is None or second is None:
        return None
    if sizes is None:
        return second[2] - first[2]
    own, other = sizes
    return _between(first[2] + own.right, first[2] + own.left, second[2] + other.right, second[2] + other.left)


def _between(low: float, high: float, other_low: float, other_high: float) -> float:
    """Signed gap between two intervals, 0 where they overlap."""
    if other_low > high:
        return other_low - high
    return other_high - low if other_high < low else 0.0
