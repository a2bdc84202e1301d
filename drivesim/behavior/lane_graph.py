"""The lane graph as a driver who chooses lanes sees it: where lanes come from, how far they lead where it wants."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cached_property

import numpy as np
from torch import Tensor

from drivesim.geometry import polyline_yaw
from drivesim.roadmap import RoadMap
from drivesim.traffic.routes import along_lanes, following_lanes
from drivesim.types import LaneKind, Map

HORIZON = 250.0
"""Ahead, beyond which drivers do not mind where a lane leads [m]."""

ON_LANE = 2.0
"""Beside a centre line, up to which a route uses that lane [m]."""

_CACHE: weakref.WeakKeyDictionary[Map, LaneGraph] = weakref.WeakKeyDictionary()


class LaneGraph:
    """Lanes of one Map for motor traffic. Build through `LaneGraph.of`, which keeps one per map."""

    def __init__(self, map: Map) -> None:
        self.count, self._center, self._kind = len(map.lanes), map.lanes.center, map.lanes.center.kind
        self._pairs, self._beside, self._map = map.lanes.successors, map.lanes.neighbours, weakref.ref(map)
        self._lines: dict[int, np.ndarray] = {}

    @staticmethod
    def of(map: Map) -> LaneGraph:
        if map not in _CACHE:
            _CACHE[map] = LaneGraph(map)
        return _CACHE[map]

    def line(self, lane: int) -> np.ndarray:
        """Centre line (n, 2)."""
        if lane not in self._lines:
            self._lines[lane] = np.ascontiguousarray(self._center.line(lane)[:, :2].double().numpy())
        return self._lines[lane]

    @cached_property
    def length(self) -> np.ndarray:
        """Of each lane (L,) [m]."""
        return np.array([np.hypot(*np.diff(self.line(i), axis=0).T).sum() for i in range(self.count)])

    @cached_property
    def following(self) -> list[list[int]]:
        map = self._map()
        assert map is not None
        return [following_lanes(map, i) for i in range(self.count)]

    @cached_property
    def before(self) -> list[list[int]]:
        out: list[list[int]] = [[] for _ in range(self.count)]
        for lane, following in enumerate(self.following):
            for j in following:
                out[j].append(lane)
        return out

    @cached_property
    def road(self) -> np.ndarray:
        """A number (L,) that lanes share which lie side by side."""
        group = np.arange(self.count)
        for a, b, _ in self._beside.tolist():
            group[group == group[b]] = group[a]
        return group

    def for_cars(self, lane: int) -> bool:
        return int(self._kind[lane]) == int(LaneKind.VEHICLE)

    def wanted(self, points: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Lanes that lead along a way (P, 2), and those in which it ends: two masks (L,).

        A lane beside one that the way uses leads there too. Both are full where the way's end is on no lane.
        """
        map = self._map()
        assert map is not None
        yaw = polyline_yaw(points)
        lane, _, _ = RoadMap.of(map).nearest_lane(points, yaw, reach=ON_LANE, turn=np.pi / 6)
        if int(lane[-1]) < 0:
            return np.ones((2, self.count), bool)
        used = np.unique(np.concatenate([lane[lane >= 0].numpy(), self._covered(points.double().numpy())]))
        return np.isin(self.road, self.road[used]), self.road == self.road[int(lane[-1])]

    def _covered(self, way: np.ndarray) -> np.ndarray:
        """Lanes half of which, at least, lies along a way (P, 2): where lanes overlap, the nearest tells only one."""
        step = np.append(np.diff(way, axis=0), [way[-1] - way[-2]], 0)
        out = []
        for lane in range(self.count):
            line = self.line(lane)
            tangent = np.append(np.diff(line, axis=0), [line[-1] - line[-2]], 0)
            away = ((line[:, None] - way) ** 2).sum(-1)
            near = away.argmin(1)
            along = (tangent * step[near]).sum(-1) > 0
            if ((away.min(1) < ON_LANE**2) & along).mean() >= 0.5:
                out.append(lane)
        return np.array(out, np.int64)

    def reach(self, lane: int, s: float, wanted: np.ndarray, goal: np.ndarray) -> float:
        """How far [m] one gets from arc length `s` of `lane` along wanted lanes, and any lanes behind a goal;
        HORIZON at most."""
        known: dict[tuple[int, bool], float] = {}
        return min(float(self.length[lane]) - s + self._onward(lane, bool(goal[lane]), wanted, goal, known), HORIZON)

    def _onward(self, lane: int, free: bool, wanted: np.ndarray, goal: np.ndarray, known: dict) -> float:
        """The same from a lane's end on, `free` once the goal has been reached."""
        if (lane, free) not in known:
            known[lane, free] = HORIZON  # whoever comes round to it again is on a ring
            ways = [
                self.length[j] + self._onward(j, free or bool(goal[j]), wanted, goal, known)
                for j in self.following[lane]
                if free or wanted[j]
            ]
            known[lane, free] = min(max(ways, default=0.0), HORIZON)
        return known[lane, free]

    def ahead(
        self, lane: int, s: float, length: float, wanted: np.ndarray, goal: np.ndarray, rng: np.random.Generator | None
    ) -> np.ndarray:
        """Points (n, 2) on from arc length `s` of `lane`, where they branch toward the goal; of ways that are as good
        one is drawn by `rng` (the first without)."""
        map, reached = self._map(), [bool(goal[lane])]
        assert map is not None
        known: dict[tuple[int, bool], float] = {}

        def choose(_: int, following: list[int]) -> int:
            free = reached[0]
            fit = [j for j in following if free or wanted[j]] or following
            far = [float(self.length[j] + self._onward(j, free or bool(goal[j]), wanted, goal, known)) for j in fit]
            best = [j for j, x in zip(fit, far, strict=True) if x >= min(max(far), HORIZON)]
            picked = best[int(rng.integers(len(best)))] if rng is not None and len(best) > 1 else best[0]
            reached[0] = free or bool(goal[picked])
            return picked

        return along_lanes(map, lane, s, length, choose)

    def behind(self, lane: int, s: float, length: float) -> np.ndarray:
        """Points (n, 2) that lead to arc length `s` of `lane`, from about `length` metres before, by the straightest
        predecessors; the last point is short of `s`."""
        part = self.line(lane)
        along = np.concatenate([[0], np.hypot(*np.diff(part, axis=0).T).cumsum()])
        way, total = [part[along < s - 0.1]], s
        while total < length and self.before[lane]:
            lane = min(self.before[lane], key=self._turn_into(lane))
            way.append(self.line(lane)[:-1])
            total += float(self.length[lane])
            if len(way) > 100:  # a ring of very short lanes
                break
        return np.concatenate(way[::-1])

    def _turn_into(self, lane: int) -> Callable[[int], float]:
        first = self.line(lane)
        straight = np.arctan2(*(first[1] - first[0])[::-1])

        def turn(other: int) -> float:
            line = self.line(other)
            yaw = np.arctan2(*(line[1] - line[0])[::-1])
            return float(abs((yaw - straight + np.pi) % (2 * np.pi) - np.pi))

        return turn
