"""Positions of a storyboard: absolute, on roads and lanes, relative to an entity, along a route."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from drivesim.errors import InputError

from .bodies import Body
from .catalogs import Catalogs
from .line import Key, Spot
from .lines import Lines
from .nodes import Node


@dataclass(frozen=True)
class Orientation:
    """Yaw [rad], against the world or against what the position lies on."""

    yaw: float = 0.0
    absolute: bool = False
    given: bool = False


@dataclass(frozen=True)
class Position:
    """One of the standard's positions, named by its element; which fields count depends on it."""

    kind: str
    where: str  # in the file, for complaints
    orientation: Orientation = Orientation()
    entity: str = ""
    road: str = ""
    lane: int = 0
    s: float = 0.0
    t: float = 0.0  # to the left [m]; of LanePosition, from the lane's middle
    x: float = 0.0
    y: float = 0.0
    z: float | None = None
    route: tuple[Position, ...] = ()


def read_position(node: Node, names: Mapping[str, object], catalogs: Catalogs) -> Position:
    """The choice inside a <Position>."""
    inner = node.only()
    where, orientation = inner.where, _orientation(inner)
    kind, number = inner.tag, inner.number
    if kind.startswith("Relative"):
        entity = inner.text("entityRef")
        if entity not in names:
            inner.fail(f"names the entity '{entity}', which there is not")
    if kind == "WorldPosition":
        z = number("z") if inner.element.get("z") is not None else None
        turn = Orientation(number("h", 0.0), True, inner.element.get("h") is not None)
        return Position(kind, where, turn, x=number("x"), y=number("y"), z=z)
    if kind in ("RelativeWorldPosition", "RelativeObjectPosition"):
        return Position(kind, where, orientation, entity, x=number("dx"), y=number("dy"), z=number("dz", 0.0))
    if kind == "RoadPosition":
        return Position(kind, where, orientation, road=inner.text("roadId"), s=number("s"), t=number("t"))
    if kind == "RelativeRoadPosition":
        return Position(kind, where, orientation, entity, s=number("ds"), t=number("dt"))
    if kind == "LanePosition":
        road, lane = inner.text("roadId"), inner.whole("laneId")
        return Position(kind, where, orientation, road=road, lane=lane, s=number("s"), t=number("offset", 0.0))
    if kind == "RelativeLanePosition":
        along = number("ds") if inner.element.get("ds") is not None else number("dsLane")
        return Position(kind, where, orientation, entity, lane=inner.whole("dLane"), s=along, t=number("offset", 0.0))
    if kind == "RoutePosition":
        return _on_route(inner, orientation, names, catalogs)
    inner.refuse()


def read_route(node: Node, names: Mapping[str, object], catalogs: Catalogs) -> tuple[Position, ...]:
    """Waypoints of a <Route> given in `node` or in a catalogue."""
    route = catalogs.resolve(node, "Route")
    if route is None:
        node.fail("has no Route")
    points = [read_position(x.need("Position"), names, catalogs) for x in route.all("Waypoint")]
    return tuple(points) if len(points) > 1 else node.fail("has a route of fewer than two waypoints")


def _on_route(node: Node, orientation: Orientation, names: Mapping[str, object], catalogs: Catalogs) -> Position:
    route = read_route(node.need("RouteRef"), names, catalogs)
    place = node.need("InRoutePosition").only()
    if place.tag in ("FromLaneCoordinates", "LaneCoord"):
        s, lane = place.number("pathS"), place.whole("laneId")
        return Position(
            node.tag, node.where, orientation, lane=lane, s=s, t=place.number("laneOffset", 0.0), route=route
        )
    if place.tag == "FromRoadCoordinates":
        return Position(
            "RoutePosition", node.where, orientation, s=place.number("pathS"), t=place.number("t", 0.0), route=route
        )
    place.refuse()


def _orientation(node: Node) -> Orientation:
    inner = node.get("Orientation")
    if inner is None:
        return Orientation()
    absolute = inner.choice("type", ("relative", "absolute"), "absolute") == "absolute"
    return Orientation(inner.number("h", 0.0), absolute, True)


def place(position: Position, lines: Lines, bodies: Mapping[str, Body]) -> Spot:
    """Where a position is now. InputError for a place that the road network does not have."""
    try:
        return _turned(_place(position, lines, bodies), position)
    except InputError as error:
        raise InputError(f"{position.where}: {error}") from None


def _place(p: Position, lines: Lines, bodies: Mapping[str, Body]) -> Spot:
    if p.kind == "WorldPosition":
        spot = lines.locate(p.x, p.y, p.z or 0.0, p.orientation.yaw)
        return spot if p.z is None or abs(p.z) < 1e-6 or spot.line else spot._replace(z=p.z)
    if p.kind == "LanePosition":
        return lines.on_lane(p.road, p.lane, p.s, p.t)
    if p.kind == "RoadPosition":
        return lines.on_road(p.road, p.s, p.t)
    if p.kind == "RoutePosition":
        return _along_route(p, lines, bodies)
    other = bodies[p.entity]
    if p.kind == "RelativeWorldPosition":
        return lines.locate(other.x + p.x, other.y + p.y, other.z + (p.z or 0.0), other.yaw)
    if p.kind == "RelativeObjectPosition":
        c, s = math.cos(other.yaw), math.sin(other.yaw)
        return lines.locate(other.x + c * p.x - s * p.y, other.y + s * p.x + c * p.y, other.z, other.yaw)
    base = lines.road_of(other.spot)
    if base is None:
        raise InputError(f"{p.entity} is on no lane")
    if p.kind == "RelativeRoadPosition":
        road, s, t = base
        return lines.on_road(road, s + p.s, t + p.t)
    return _beside(p, lines, other, base)


def _beside(p: Position, lines: Lines, other: Body, base: tuple[str, float, float]) -> Spot:
    """A RelativeLanePosition: along the lanes in the entity's direction, then lanes to its left."""
    road, s, t = base
    lane = lines.lane_beside(road, s, t)
    key = lines.key_of(road, lane, s)
    line = lines.line(key)
    if line is None:
        raise InputError(f"{p.entity} is on no lane")
    ahead = 1 if math.cos(other.turned) >= 0 else -1
    key, u, rest = lines.move(key, line.u_of(s), p.s * ahead, other.route)
    if abs(rest) > 0.01:
        raise InputError(f"the road ends {abs(rest):.1f} m before it")
    line = lines.line(key)
    assert line is not None
    target = next_lane(key[2], p.lane * ahead * line.direction)
    at = line.road_at(u)[0]
    spot = lines.on_lane(key[0], target, at)
    return lines.on_lane(key[0], target, at, p.t, math.pi if math.cos(spot.yaw - other.yaw) < 0 else 0.0)


def next_lane(lane: int, by: int) -> int:
    """Id of the lane `by` lanes to the left along the reference line; there is no lane 0 between."""
    target = lane + by
    return target if lane * target > 0 or by == 0 else target + (1 if by > 0 else -1)


def _along_route(p: Position, lines: Lines, bodies: Mapping[str, Body]) -> Spot:
    keys = waypoint_keys(p.route, lines, bodies)
    if not keys:
        raise InputError("the route is on no lane")
    start = place(p.route[0], lines, bodies)
    assert start.line is not None
    route = lines.roads_between(keys)
    ahead = 1.0 if math.cos(start.turned) >= 0 else -1.0
    key, u, rest = lines.move(start.line, start.u, ahead * p.s, route)
    if abs(rest) > 0.01:
        raise InputError(f"the route ends {abs(rest):.1f} m before pathS = {p.s:g} m")
    line = lines.line(key)
    assert line is not None
    s = line.road_at(u)[0]
    return lines.on_lane(key[0], p.lane, s, p.t) if p.lane else lines.on_road(key[0], s, p.t)


def waypoint_keys(route: tuple[Position, ...], lines: Lines, bodies: Mapping[str, Body]) -> list[Key]:
    """Lanes of the waypoints that are on lanes."""
    spots = [place(x, lines, bodies) for x in route]
    return [x.line for x in spots if x.line is not None]


def _turned(spot: Spot, p: Position) -> Spot:
    """With the yaw that the position's orientation says."""
    turn = p.orientation
    if not turn.given or p.kind == "WorldPosition":
        return spot
    yaw = turn.yaw if turn.absolute else spot.yaw + turn.yaw
    change = yaw - spot.yaw
    wrap = lambda a: (a + math.pi) % (2 * math.pi) - math.pi  # noqa: E731
    return spot._replace(yaw=wrap(yaw), turned=wrap(spot.turned + change))
