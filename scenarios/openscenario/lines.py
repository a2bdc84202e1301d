"""The middles of lanes as lines to move along: dense, measured, linked; every type of lane, pavements too."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .line import Key, Line, Spot
from .opendrive import Network, read_opendrive

SPACING = 0.5
"""Between points [m]: the chord of a turn of 10 m radius is then 3 mm off its arc."""

MOST = 100_000
"""Points of a line; longer ones are drawn coarser."""

FARTHEST = 3000.0
"""Along roads a way is looked for up to here [m]."""


@dataclass(frozen=True, eq=False)
class Lines:
    """All lines of the road network in a file, drawn when first asked for. Pickled they are the file's path."""

    roads: Path
    _drawn: dict[Key, Line | None] = field(default_factory=dict, repr=False)

    @cached_property
    def network(self) -> Network:
        return read_opendrive(self.roads)

    def __reduce__(self) -> tuple[Any, ...]:
        return Lines, (self.roads,)

    def line(self, key: Key) -> Line | None:
        """None for a lane that has no length."""
        if key not in self._drawn:
            self._drawn[key] = self._draw(key)
        return self._drawn[key]

    def key_of(self, road: str, lane: int, s: float) -> Key:
        """The lane at `s` of a road; InputError where there is none."""
        found, _, _ = self.network.at(road, s, lane)
        return road, found.section_at(min(max(s, 0.0), found.length - 1e-6)), lane

    def spot(self, key: Key, u: float, offset: float, turned: float = 0.0) -> Spot:
        """The place `offset` metres left of a line; `turned` is the yaw against the line's."""
        line = self.line(key)
        assert line is not None
        p = line.at(u)
        yaw = _wrapped(p.yaw + turned)
        pitch = -math.atan(p.climb * math.cos(turned))
        return Spot(
            p.x - offset * math.sin(p.yaw), p.y + offset * math.cos(p.yaw), p.z, yaw, key, u, offset, turned, pitch
        )

    def on_lane(self, road: str, lane: int, s: float, offset: float = 0.0, turned: float = 0.0) -> Spot:
        """The place of a LanePosition: `offset` to the left along the reference line, `turned` against the traffic's
        direction."""
        key = self.key_of(road, lane, s)
        line = self.line(key)
        if line is None:
            x, y, z, yaw = self.network.position(road, s, lane, offset)
            return Spot(x, y, z, _wrapped(yaw + turned))
        return self.spot(key, line.u_of(s), offset * line.direction, turned)

    def on_road(self, road: str, s: float, t: float, turned: float = 0.0) -> Spot:
        """The place of a RoadPosition: on the lane that is there, `turned` against the reference line."""
        self.network.at(road, s)
        lane = self.lane_beside(road, s, t)
        key = self.key_of(road, lane, s)
        line = self.line(key)
        if line is None:
            x, y, z, yaw = self.network.position(road, s, lateral=t)
            return Spot(x, y, z, _wrapped(yaw + turned))
        u = line.u_of(s)
        offset = (t - line.road_at(u)[1]) * line.direction
        return self.spot(key, u, offset, _wrapped(turned + (0.0 if line.direction > 0 else math.pi)))

    def locate(self, x: float, y: float, z: float, yaw: float) -> Spot:
        """A place and the driving lane that it lies on, if any."""
        best: tuple[tuple[bool, float], Spot] | None = None
        for key in self.network.lanes_at(x, y):
            line = self.line(key)
            if line is None:
                continue
            u, offset = line.nearest(x, y)
            p = line.at(u)
            turned = _wrapped(yaw - p.yaw)
            rank = (math.cos(turned) < 0.5, abs(offset))  # one that leads where the body looks, then the nearest
            if best is None or rank < best[0]:
                best = rank, Spot(x, y, p.z, yaw, key, u, offset, turned, -math.atan(p.climb * math.cos(turned)))
        return best[1] if best else Spot(x, y, z, yaw)

    def lane_beside(self, road: str, s: float, t: float) -> int:
        """Id of the lane that holds t; beyond the outermost lanes these, and 0 where a road has none."""
        found = self.network.roads[road]
        section = found.sections[found.section_at(min(max(s, 0.0), found.length - 1e-6))]
        edges = {id: float(e[0]) for id, e in found.edges(section, np.array([s])).items()}
        side = 1 if t > edges[0] else -1
        ids = sorted((i for i in section.lanes if i * side > 0), key=abs)
        if not ids:
            ids = sorted((i for i in section.lanes if i), key=abs)
        return next((i for i in ids if (edges[i] - t) * side >= 0), ids[-1] if ids else 0)

    def road_of(self, spot: Spot) -> tuple[str, float, float] | None:
        """Road, s and t of a place on a lane."""
        if spot.line is None:
            return None
        line = self.line(spot.line)
        assert line is not None
        s, t = line.road_at(spot.u)
        return spot.line[0], s, t + spot.offset * line.direction

    def following(self, key: Key, forward: bool = True) -> list[Key]:
        """Lanes that a lane leads to, or comes from."""
        graph = self._links[0 if forward else 1]
        if key in graph:
            return graph[key]
        road, number, lane = key
        line = self.line(key)
        step = (line.direction if line else 1) * (1 if forward else -1)
        sections = self.network.roads[road].sections
        near = number + step
        if 0 <= near < len(sections) and lane in sections[near].lanes and self.line((road, near, lane)):
            return [(road, near, lane)]
        return []

    def onward(self, key: Key, route: tuple[str, ...], forward: bool = True) -> Key | None:
        """The lane to go on with: along a route's roads, else the straightest."""
        options = [k for k in self.following(key, forward) if self.line(k) is not None]
        if not options:
            return None
        if route:
            here = route.index(key[0]) if key[0] in route else -1
            later = [k for k in options if k[0] == key[0] or k[0] in route[here + 1 :]]
            options = later or options
        return min(options, key=lambda k: (self._turn(k), k))

    def move(self, key: Key, u: float, by: float, route: tuple[str, ...] = ()) -> tuple[Key, float, float]:
        """`by` metres along the lanes from a place (backwards if negative): where that is, and what was left to go
        when the road ended."""
        for _ in range(10_000):
            line = self.line(key)
            assert line is not None
            u += by
            if 0.0 <= u <= line.length:
                return key, u, 0.0
            forward = u > line.length
            rest = u - line.length if forward else u
            after = self.onward(key, route, forward)
            if after is None:
                return key, line.length if forward else 0.0, rest
            key, by = after, rest
            u = 0.0 if forward else self.line(key).length  # type: ignore[union-attr]
        return key, u, by

    def ahead(self, start: Key, u: float, road: str, s: float, route: tuple[str, ...] = ()) -> float | None:
        """Metres along the lanes from a place to `s` of a road, on the shortest way forward; None without one."""
        if start[0] == road and (line := self.line(start)) is not None:
            gap = (s - line.road_at(u)[0]) * line.direction
            if gap >= 0:
                return gap if not self._within(start, s) else line.u_of(s) - u
        queue, seen = deque([(start, -u)]), {start}
        best: float | None = None
        while queue:
            key, far = queue.popleft()
            line = self.line(key)
            assert line is not None
            if key[0] == road and self._within(key, s) and (key != start or line.u_of(s) >= u):
                found = far + line.u_of(s)
                best = found if best is None else min(best, found)
                continue
            if far + line.length > (FARTHEST if best is None else best):
                continue
            for k in self.following(key):
                if k not in seen and self.line(k) is not None:
                    seen.add(k)
                    queue.append((k, far + line.length))
        return best

    def roads_between(self, waypoints: list[Key]) -> tuple[str, ...]:
        """Roads from waypoint to waypoint by the fewest lanes, lane changes allowed; InputError-free: what cannot be
        reached is jumped to."""
        roads: list[str] = [waypoints[0][0]] if waypoints else []
        for a, b in zip(waypoints, waypoints[1:], strict=False):
            roads += self._roads(a, b)[1:] or ([b[0]] if b[0] != roads[-1] else [])
        return tuple(roads)

    def _roads(self, start: Key, goal: Key) -> list[str]:
        queue, before = deque([start]), {start: start}
        while queue:
            key = queue.popleft()
            if key[:2] == goal[:2] or (key[0] == goal[0] and key[2] * goal[2] > 0):
                way = [key[0]]
                while before[key] != key:
                    key = before[key]
                    if key[0] != way[-1]:
                        way.append(key[0])
                return way[::-1]
            beside = [(key[0], key[1], key[2] + d) for d in (1, -1)]
            for k in [*self.following(key), *(k for k in beside if k in self._links[0])]:
                if k not in before and self._same_way(key, k):
                    before[k] = key
                    queue.append(k)
        return []

    def _same_way(self, a: Key, b: Key) -> bool:
        first, second = self.line(a), self.line(b)
        return second is not None and (a[:2] != b[:2] or (first is not None and first.direction == second.direction))

    def _within(self, key: Key, s: float) -> bool:
        section = self.network.roads[key[0]].sections[key[1]]
        return section.start - 1e-6 <= s <= section.end + 1e-6

    def _turn(self, key: Key) -> float:
        line = self.line(key)
        assert line is not None
        return round(abs(_wrapped(line.points[-1][3] - line.points[0][3])), 4)

    @cached_property
    def _links(self) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
        """Of the driving lanes: what follows, and what comes before."""
        keys = self.network.lane_index
        ahead: dict[Key, list[Key]] = {k: [] for k in keys}
        behind: dict[Key, list[Key]] = {k: [] for k in keys}
        for a, b in self.network.successors:
            ahead[keys[a]].append(keys[b])
            behind[keys[b]].append(keys[a])
        return ahead, behind

    def _draw(self, key: Key) -> Line | None:
        road = self.network.roads[key[0]]
        section = road.sections[key[1]]
        if key[2] and key[2] not in section.lanes:
            return None
        span = section.end - section.start
        s = np.linspace(section.start, section.end, min(max(math.ceil(span / SPACING), 2), MOST) + 1)
        edges = road.edges(section, s)
        t = (edges[section.inner(key[2])] + edges[key[2]]) / 2 if key[2] else edges[0]
        direction = road.direction(section.lanes[key[2]]) if key[2] else 1
        columns = np.column_stack([road.xyz(s, t), s, t])[::direction]
        step = np.hypot(*np.diff(columns[:, :2], axis=0).T)
        columns = columns[np.concatenate([[True], step > 1e-6])]
        if len(columns) < 3:
            return None
        u = np.concatenate([[0.0], np.hypot(*np.diff(columns[:, :2], axis=0).T).cumsum()])
        slope = np.gradient(columns[:, :2], u, axis=0, edge_order=2)
        yaw = np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))
        points = np.column_stack([columns[:, :3], yaw])
        return Line(
            direction, float(u[-1]), u.tolist(), points.tolist(), columns[:, 3].tolist(), columns[:, 4].tolist()
        )


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi
