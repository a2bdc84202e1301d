"""The lines that trajectories describe: polylines, clothoids one after the other, NURBS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from drivesim.errors import InputError

from .line import Spot
from .lines import Lines
from .nodes import Node
from .opendrive.curves import clothoid
from .positions import Position

MOST = 100_000
"""Vertices of a polyline."""

LONGEST, SPACING = 5000.0, 0.5
"""Of a curve and between the points that it is drawn with [m]."""

Vertex = tuple[float, float, float, float | None]
"""x, y, z, and the yaw where the shape says it."""

Placing = Callable[[Position], Spot]


@dataclass(frozen=True)
class Polyline:
    points: tuple[Position, ...]
    times: tuple[float, ...]  # of the points [s]

    def draw(self, place: Placing, here: Spot, lines: Lines) -> tuple[list[Vertex], tuple[float, ...]]:
        """The vertices and their times."""
        spots = [(place(p), p.orientation.given) for p in self.points]
        return [(s.x, s.y, s.z, s.yaw if given else None) for s, given in spots], self.times


@dataclass(frozen=True)
class Bend:
    """A clothoid: its curvature goes evenly from one value to another."""

    start: float  # [1/m]
    end: float
    length: float
    turn: float = 0.0  # from the direction in which it is joined on [rad]
    at: Position | None = None  # else where the one before ends


@dataclass(frozen=True)
class Clothoids:
    """The first one starts where the entity is if it has no place of its own."""

    bends: tuple[Bend, ...]
    times: tuple[float, ...]  # at the start of each and at the end [s]; () without

    @property
    def points(self) -> tuple[Position, ...]:
        return tuple(b.at for b in self.bends if b.at is not None)

    def draw(self, place: Placing, here: Spot, lines: Lines) -> tuple[list[Vertex], tuple[float, ...]]:
        x, y, yaw, z = here.x, here.y, here.yaw, here.z
        out: list[Vertex] = []
        times: list[float] = []
        for i, bend in enumerate(self.bends):
            if bend.at is not None:
                spot = place(bend.at)
                x, y, yaw, z = spot.x, spot.y, spot.yaw, spot.z
            yaw += bend.turn
            d = np.linspace(0.0, bend.length, math.ceil(bend.length / SPACING) + 1)
            u, v, turned = clothoid(bend.start, (bend.end - bend.start) / bend.length, bend.length)(d)
            c, s = math.cos(yaw), math.sin(yaw)
            xs, ys, yaws = x + c * u - s * v, y + s * u + c * v, yaw + turned
            first = 1 if out else 0
            out += _on_roads(np.column_stack([xs, ys, yaws])[first:], z, lines)
            if self.times:
                begin, end = self.times[i : i + 2]
                times += (begin + (end - begin) * d / bend.length)[first:].tolist()
            x, y, yaw = float(xs[-1]), float(ys[-1]), float(yaws[-1])
        return out, tuple(times)


@dataclass(frozen=True)
class Nurbs:
    """A rational B-spline; times are blended like the places."""

    order: int
    points: tuple[Position, ...]
    weights: tuple[float, ...]
    knots: tuple[float, ...]
    times: tuple[float, ...]

    def draw(self, place: Placing, here: Spot, lines: Lines) -> tuple[list[Vertex], tuple[float, ...]]:
        spots = [place(p) for p in self.points]
        rows = np.array([(s.x, s.y, t) for s, t in zip(spots, self.times or [0.0] * len(spots), strict=True)])
        around = float(np.hypot(*np.diff(rows[:, :2], axis=0).T).sum())
        if not 1e-6 < around <= LONGEST:
            raise InputError(f"the polygon of a Nurbs is {around:g} m long; at most {LONGEST:g} m are followed")
        weights = np.array(self.weights)[:, None]
        knots, last = np.array(self.knots), len(spots)
        curve = BSpline(knots, np.hstack([rows * weights, weights]), self.order - 1)
        count = max(math.ceil(around / SPACING), 8 * last)
        found = curve(np.linspace(knots[self.order - 1], knots[last], count + 1))
        if not (np.isfinite(found).all() and (found[:, 3] > 0).all()):
            raise InputError("the knots of a Nurbs leave parts of it without a place")
        xyt = found[:, :3] / found[:, 3:]
        yaw = np.arctan2(np.gradient(xyt[:, 1]), np.gradient(xyt[:, 0]))
        points = _on_roads(np.column_stack([xyt[:, :2], yaw]), spots[0].z, lines)
        return points, tuple(xyt[:, 2].tolist()) if self.times else ()


Shape = Polyline | Clothoids | Nurbs


def read_shape(node: Node, position: Callable[[Node], Position], timed: bool) -> Shape:
    """What <Shape> holds; it must have increasing times where it is `timed`."""
    readers = {"Polyline": _polyline, "Clothoid": _clothoid, "ClothoidSpline": _clothoid_spline, "Nurbs": _nurbs}
    inner = node.only()
    shape = readers[inner.tag](inner, position) if inner.tag in readers else inner.refuse()
    if timed and (not shape.times or any(b <= a for a, b in zip(shape.times, shape.times[1:], strict=False))):
        inner.fail("is to be followed in time, and its times do not increase")
    return shape


def _polyline(node: Node, position: Callable[[Node], Position]) -> Polyline:
    vertices = node.all("Vertex")
    if not 2 <= len(vertices) <= MOST:
        node.fail(f"has {len(vertices)} vertices; 2 to {MOST} are expected")
    points = tuple(position(v.need("Position")) for v in vertices)
    return Polyline(points, tuple(v.number("time", 0.0) for v in vertices))


def _clothoid(node: Node, position: Callable[[Node], Position]) -> Clothoids:
    start, length = node.number("curvature"), node.number("length")
    rate = node.number("curvaturePrime" if node.element.get("curvaturePrime") is not None else "curvatureDot")
    times = ()
    if node.element.get("startTime") is not None and node.element.get("stopTime") is not None:
        times = (node.number("startTime"), node.number("stopTime"))
    return _checked(node, (Bend(start, start + rate * length, length, 0.0, position(node.need("Position"))),), times)


def _clothoid_spline(node: Node, position: Callable[[Node], Position]) -> Clothoids:
    segments = node.all("ClothoidSplineSegment")
    places = [x.get("PositionStart") for x in segments]
    bends = tuple(
        Bend(
            x.number("curvatureStart"), x.number("curvatureEnd"), x.number("length"), x.number("hOffset", 0.0),
            position(p) if p else None,
        )
        for x, p in zip(segments, places, strict=True)
    )  # fmt: skip
    told = node.element.get("timeEnd") is not None and all(x.element.get("timeStart") is not None for x in segments)
    times = (*(x.number("timeStart") for x in segments), node.number("timeEnd")) if told else ()
    return _checked(node, bends, times)


def _checked(node: Node, bends: tuple[Bend, ...], times: tuple[float, ...]) -> Clothoids:
    if not bends or min(b.length for b in bends) < 1e-3 or sum(b.length for b in bends) > LONGEST:
        node.fail(f"has clothoids of no length, or of more than {LONGEST:g} m together")
    try:
        for b in bends:
            clothoid(b.start, (b.end - b.start) / b.length, b.length)
    except InputError as error:
        node.fail(str(error))
    return Clothoids(bends, times)


def _nurbs(node: Node, position: Callable[[Node], Position]) -> Nurbs:
    controls, order = node.all("ControlPoint"), node.whole("order")
    points = tuple(position(x.need("Position")) for x in controls)
    weights = tuple(x.number("weight", 1.0) for x in controls)
    knots = tuple(x.number("value") for x in node.all("Knot"))
    if not 2 <= order <= len(points) <= 1000 or len(knots) != len(points) + order:
        node.fail(f"has {len(points)} control points and {len(knots)} knots, which is none of order {order}")
    falls = any(b < a for a, b in zip(knots, knots[1:], strict=False))
    if falls or knots[order - 1] >= knots[len(points)] or min(weights) <= 0:
        node.fail("has knots that do not increase or weights that are not positive")
    timed = all(x.element.get("time") is not None for x in controls)
    return Nurbs(order, points, weights, knots, tuple(x.number("time") for x in controls) if timed else ())


def _on_roads(rows: np.ndarray, z: float, lines: Lines) -> list[Vertex]:
    """Vertices of x, y, yaw (n, 3) at the height of the road there, `z` off the road."""
    return [(x, y, lines.locate(x, y, z, yaw).z, yaw) for x, y, yaw in rows.tolist()]
