"""Lanes as OpenDRIVE: each a road with one lane about its reference line, tied by roads' links and junctions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import numpy as np
import shapely
import torch

from ..errors import InputError
from ..geometry import polyline_yaw
from ..types import LaneKind, Lanes, Scenario

if TYPE_CHECKING:
    from scenariogeneration import xodr

BULGE = 0.02
"""A smooth curve through a lane's points may leave the straight between two of them by so much [m], else the straight
is written."""

STRAIGHT, LEVEL = 0.001, 0.01
"""Points are left out of a line where it stays this close without them [m], in plan and in height."""

SEAM = 0.01
"""Points closer than this [m] are one."""


def road_network(scenario: Scenario) -> Element:
    """The <OpenDRIVE> element; road i is lane i of the map."""
    from scenariogeneration import xodr

    lanes = scenario.scene.map.lanes
    lines = {i: x for i in range(len(lanes)) if len(x := _distinct(lanes.center.line(i).double().numpy())) > 1}
    if not lines:
        raise InputError(f"{scenario.id}: has no lanes to make roads of")
    network = xodr.OpenDrive(scenario.id, revMinor="7", geo_reference=_projection(scenario))
    links = [(a, b) for a, b in lanes.successors.tolist() if a in lines and b in lines]
    ties = list(_ties(sorted(set(links)), lanes))
    inside = _crossings(ties, lanes, len(lanes))
    roads = {i: _road(i, line, lanes, inside.get(i, -1)) for i, line in lines.items()}
    for road in roads.values():
        network.add_road(road)
    for junction in _tie(ties, roads, inside, 2 * len(lanes)):
        network.add_junction(junction)
    element = network.get_element()
    header = element.find("header")
    if header is not None:
        header.set("date", "2000-01-01T00:00:00")  # the same scenario gives the same file
    return element


def _projection(scenario: Scenario) -> str | None:
    latitude, longitude = scenario.place.latitude, scenario.place.longitude
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None
    return f"+proj=tmerc +lat_0={latitude:.9f} +lon_0={longitude:.9f} +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"


def _distinct(line: np.ndarray) -> np.ndarray:
    """Without points that repeat the one before or lie on the straight between others."""
    keep = [0]
    for i in range(1, len(line)):
        if np.hypot(*(line[i] - line[keep[-1]])[:2]) > SEAM:
            keep.append(i)
    return line[keep]


def _road(number: int, line: np.ndarray, lanes: Lanes, junction: int) -> xodr.Road:
    from scenariogeneration import xodr

    view, s = _plan_view(line)
    kinds = {LaneKind.BUS: xodr.LaneType.bus, LaneKind.BICYCLE: xodr.LaneType.biking}
    kind = kinds.get(LaneKind(int(lanes.center.kind[number])), xodr.LaneType.driving)
    width = float(lanes.width[number])
    section = xodr.LaneSection(0, xodr.Lane(xodr.LaneType.none))
    section.add_right_lane(xodr.Lane(kind, a=width))
    beside = xodr.Lanes()
    beside.add_laneoffset(xodr.LaneOffset(0, a=width / 2))
    beside.add_lanesection(section)
    road = xodr.Road(number, view, beside, road_type=junction, name=f"lane {number}")
    for place, height, slope in _profile(s, line[:, 2]):
        road.add_elevation(place, height, slope, 0, 0)
    limit = float(lanes.speed_limit[number])
    road.add_type(xodr.RoadType.town, 0, speed=limit if math.isfinite(limit) else None)
    view.adjust_geometries()
    return road


def _plan_view(line: np.ndarray) -> tuple[xodr.PlanView, np.ndarray]:
    """A smooth curve through the points (n, 3), and s of each of them."""
    from scenariogeneration import xodr

    kept = _corners(line[:, :2], STRAIGHT)
    xy, yaw = line[kept, :2], polyline_yaw(torch.from_numpy(line[:, :2])).numpy()[kept]
    view, s = xodr.PlanView(), [0.0]
    for i in range(len(xy) - 1):
        shape, x, y, heading, length = _piece(xy[i], xy[i + 1], float(yaw[i]), float(yaw[i + 1]))
        view.add_fixed_geometry(shape, x, y, heading, s[-1])
        s.append(s[-1] + length)
    straight = np.concatenate([[0.0], np.hypot(*np.diff(line[:, :2], axis=0).T).cumsum()])
    return view, np.interp(straight, straight[kept], s)


def _corners(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Indices of the points (n, 2) that a line through some of them needs to stay this close to all."""
    kept = shapely.get_coordinates(shapely.simplify(shapely.LineString(points), tolerance, preserve_topology=False))
    at, out = 0, []
    for place in kept:
        while not np.array_equal(points[at], place):
            at += 1
        out.append(at)
        at = min(at + 1, len(points) - 1)
    return np.array(out)


def _piece(a: np.ndarray, b: np.ndarray, start: float, end: float) -> tuple[Any, float, float, float, float]:
    """The Hermite cubic from a to b with directions `start` and `end`, or the straight where that is as good."""
    from scenariogeneration import xodr

    chord = float(np.hypot(*(b - a)))
    along = math.atan2(b[1] - a[1], b[0] - a[0])
    out, into = ((x - along + math.pi) % (2 * math.pi) - math.pi for x in (start, end))
    if max(abs(out), abs(into)) < 1e-4 or chord * (abs(out) + abs(into)) / 8 > BULGE:
        return xodr.Line(chord), float(a[0]), float(a[1]), along, chord
    turn = into - out
    left, ahead = -chord * math.sin(out), chord * math.cos(out)  # the chord seen from the start's direction
    du, dv = chord * math.cos(turn), chord * math.sin(turn)
    u = (0.0, chord, 3 * ahead - 2 * chord - du, chord + du - 2 * ahead)
    v = (0.0, 0.0, 3 * left - dv, dv - 2 * left)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    p = (nodes + 1) / 2
    speed = np.hypot(*(x[1] + 2 * x[2] * p + 3 * x[3] * p * p for x in (u, v)))
    length = float((speed * weights).sum() / 2)
    return xodr.ParamPoly3(*u, *v, "normalized", length), float(a[0]), float(a[1]), start, length


def _profile(s: np.ndarray, z: np.ndarray) -> Iterator[tuple[float, float, float]]:
    """Start, height and slope of straight stretches of a profile."""
    kept = _corners(np.column_stack([s, z]), LEVEL)
    for i, j in zip(kept[:-1], kept[1:], strict=True):
        yield float(s[i]), float(z[i]), float((z[j] - z[i]) / (s[j] - s[i]))


@dataclass(frozen=True)
class Tie:
    """Lanes whose ends meet lanes' starts, all in one place."""

    ends: tuple[int, ...]
    starts: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    kind: str  # road, entry (into a crossing), exit (of one), direct


def _ties(links: list[tuple[int, int]], lanes: Lanes) -> Iterator[Tie]:
    """Groups of links that share ends or starts."""
    group = _Groups()
    for a, b in links:
        group.join(("end", a), ("start", b))
    together: dict[Any, list[tuple[int, int]]] = {}
    for a, b in links:
        together.setdefault(group.of(("end", a)), []).append((a, b))
    crossing = lanes.intersection.tolist()
    for pairs in together.values():
        ends, starts = sorted({a for a, _ in pairs}), sorted({b for _, b in pairs})
        inside, outside = [crossing[i] for i in ends], [crossing[i] for i in starts]
        if all(outside) and not any(inside):
            kind = "entry"
        elif all(inside) and not any(outside) and len(pairs) == len(ends):
            kind = "exit"
        else:
            kind = "road" if len(pairs) == 1 else "direct"
        yield Tie(tuple(ends), tuple(starts), tuple(pairs), kind)


def _crossings(ties: list[Tie], lanes: Lanes, first: int) -> dict[int, int]:
    """Junction of each lane that lies in a crossing: those that share an entry or an exit share it."""
    group = _Groups()
    members = [i for i, inside in enumerate(lanes.intersection.tolist()) if inside]
    for tie in ties:
        through = {"entry": tie.starts, "exit": tie.ends}.get(tie.kind, ())
        for other in through[1:]:
            group.join(through[0], other)
    names: dict[Any, int] = {}
    return {i: names.setdefault(group.of(i), first + len(names)) for i in members}


def _tie(ties: list[Tie], roads: dict[int, xodr.Road], inside: dict[int, int], spare: int) -> list[xodr.Junction]:
    """Link the roads; returns the junctions."""
    from scenariogeneration import xodr

    road, junction = xodr.ElementType.road, xodr.ElementType.junction
    start, end = xodr.ContactPoint.start, xodr.ContactPoint.end
    found: dict[int, xodr.Junction] = {}
    for tie in ties:
        if tie.kind == "road" or tie.kind == "exit":
            for a, b in tie.links:
                roads[a].add_successor(road, b, start)
                _lane(roads[a]).add_link("successor", -1)
        if tie.kind == "road":
            (a, b), *_ = tie.links
            roads[b].add_predecessor(road, a, end)
            _lane(roads[b]).add_link("predecessor", -1)
            continue
        direct = tie.kind == "direct"
        number = spare + len(found) if direct else inside[(tie.starts if tie.kind == "entry" else tie.ends)[0]]
        if number not in found:
            kind = xodr.JunctionType.direct if direct else xodr.JunctionType.default
            found[number] = xodr.Junction(f"junction {number}", number, kind)
        for a in tie.ends if tie.kind != "exit" else ():
            roads[a].add_successor(junction, number)
        for b in tie.starts if tie.kind != "entry" else ():
            roads[b].add_predecessor(junction, number)
        for a, b in tie.links if tie.kind != "exit" else ():
            connection = xodr.Connection(a, b, start)
            connection.add_lanelink(-1, -1)
            found[number].add_connection(connection)
        if tie.kind == "entry":
            for b in tie.starts:  # a way through a crossing has one way in, though lanes that merge may share it
                a = min(x for x, y in tie.links if y == b)
                roads[b].add_predecessor(road, a, end)
                _lane(roads[b]).add_link("predecessor", -1)
    named = {i for i in inside.values() if i not in found}
    return [*found.values(), *(xodr.Junction(f"junction {i}", i) for i in sorted(named))]


def _lane(road: xodr.Road) -> xodr.Lane:
    return road.lanes.lanesections[0].rightlanes[0]


class _Groups:
    """Things joined pair by pair (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Any, Any] = {}

    def of(self, x: Any) -> Any:
        while (above := self._above.get(x, x)) != x:
            self._above[x] = self._above.get(above, above)
            x = above
        return x

    def join(self, a: Any, b: Any) -> None:
        self._above[self.of(a)] = self.of(b)
