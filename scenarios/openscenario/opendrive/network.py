"""A road network in the coordinates of its file: places on it, what lies at a place, its lanes and their graph."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely

from drivesim.errors import InputError
from drivesim.types import Map

from . import surface
from .geodesy import latitude_longitude
from .links import Junction, Key, successors, without
from .roads import DRIVABLE, Lane, Road, Section
from .sampling import MOST, Strip, sample
from .signs import Sign, signs

THINNEST = 0.3
"""Lanes that are nowhere wider [m] are place holders."""

SHORTEST = 0.05
"""Shorter lanes [m] are seams between sections; their neighbours are linked across them."""

MEETS = 2.0
"""Lanes said to follow each other that lie farther apart [m] are not linked."""


@dataclass(frozen=True, eq=False)
class Network:
    """What an OpenDRIVE file holds. Build through `read_opendrive`."""

    name: str
    roads: dict[str, Road]
    junctions: dict[str, Junction]
    projection: dict[str, float] | None
    shift: tuple[float, float, float]  # x, y, heading of the file's coordinates in the projection's
    problems: list[str] = field(default_factory=list)

    def position(
        self, road: str, s: float, lane: int = 0, offset: float = 0.0, lateral: float | None = None
    ) -> tuple[float, float, float, float]:
        """x, y, z, yaw at `s` on a road: `offset` metres left (seen along the reference line) of the centre of a lane,
        or `lateral` metres left of the reference line. Lane 0 is the reference line with its lane offset.

        The yaw is that of the reference line, turned around for lanes that drive against it. InputError for a place
        that does not exist.
        """
        found, section, s = self.at(road, s, lane if lateral is None else 0)
        turn = 0.0
        if lateral is None:
            lateral = float(self._middle(found, section, lane, s)) + offset
            turn = math.pi if lane and found.direction(section.lanes[lane]) < 0 else 0.0
        at = np.array([s])
        x, y, z = found.xyz(at, np.array([lateral]))[0]
        yaw = float(found.plan.pose(at)[2][0]) + turn
        return float(x), float(y), float(z), (yaw + math.pi) % (2 * math.pi) - math.pi

    def at(self, road: str, s: float, lane: int = 0) -> tuple[Road, Section, float]:
        """A road, its section at `s`, and `s` within its length. InputError for a place or lane that does not exist."""
        found = self._road(road)
        if not -0.01 <= s <= found.length + 0.01:
            raise InputError(f"{self.name}: road {road} has no s = {s:g} m; it is {found.length:.2f} m long")
        s = min(max(float(s), 0.0), found.length)
        section = found.sections[found.section_at(s)]
        if lane and lane not in section.lanes:
            ids = ", ".join(str(i) for i in sorted(section.lanes) if i)
            raise InputError(f"{self.name}: road {road} has no lane {lane} at s = {s:g} m; its lanes are {ids}")
        return found, section, s

    def lanes_at(self, x: float, y: float) -> list[Key]:
        """The map's lanes that hold a place or lie within 5 cm of it."""
        found = self._areas.query(shapely.Point(x, y), predicate="dwithin", distance=0.05)
        return [self.lane_index[i] for i in sorted(found.tolist())]

    def lane_of(self, road: str, lane: int, s: float) -> int | None:
        """Index of a lane among the map's lanes; None if it is none that one drives on."""
        found = self.roads.get(road)
        return None if found is None else self._index.get((road, found.section_at(s), lane))

    def path(self, lane_index: int) -> np.ndarray:
        """Centre line (n, 3) of a lane of the map, in the direction of its traffic."""
        return self._sides[lane_index].mean(0)

    def borders(self, lane_index: int) -> tuple[np.ndarray, np.ndarray]:
        """Left and right border (n, 3) of a lane of the map, in the direction of its traffic."""
        left, right = self._sides[lane_index]
        return left, right

    def map(self, origin: np.ndarray) -> Map:
        """The Map in the world frame whose origin lies at `origin` (3,) of the file's coordinates."""
        return surface.build(self, np.asarray(origin, dtype=np.float64))

    def signals(self, origin: np.ndarray) -> list[Sign]:
        """Traffic lights, stop and yield signs, one for every lane that they rule, in the world frame."""
        return signs(self, np.asarray(origin, dtype=np.float64))

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude and longitude [deg] of the coordinates' origin, where the file says it."""
        return self.place_of(0.0, 0.0)

    def place_of(self, x: float, y: float) -> tuple[float, float] | None:
        """Latitude and longitude [deg] of a place."""
        if self.projection is None:
            return None
        dx, dy, turn = self.shift
        c, n = math.cos(turn), math.sin(turn)
        return latitude_longitude(c * x - n * y + dx, n * x + c * y + dy, self.projection)

    @cached_property
    def strips(self) -> dict[tuple[str, int], Strip]:
        """Every section drawn, by road and number."""
        out, left = {}, MOST
        for road in self.roads.values():
            for number in range(len(road.sections)):
                try:
                    strip = sample(road, number, left)
                except InputError as error:
                    raise InputError(f"road {road.id}: {error}") from None
                left -= strip.s.size * len(strip.edges)
                out[road.id, number] = strip
        return out

    @cached_property
    def lane_index(self) -> list[tuple[str, int, int]]:
        """(road, section, lane id) of the map's lanes."""
        keys = [
            (road.id, i, id)
            for road in self.roads.values()
            for i, x in enumerate(road.sections)
            for id in x.lanes
            if id
        ]
        return [key for key in sorted(keys, key=self._order) if self.lane(key).type in DRIVABLE and self._counts(key)]

    @cached_property
    def successors(self) -> list[tuple[int, int]]:
        """Pairs (lane, next lane) of the map's lanes."""
        told: list[str] = []
        pairs = without(successors(self.roads, self.junctions, told), lambda key: key not in self._index)
        out, far = [], []
        for a, b in sorted((self._index[a], self._index[b]) for a, b in pairs):
            gap = float(np.hypot(*(self.path(b)[0] - self.path(a)[-1])[:2]))
            (out if gap <= MEETS else far).append((a, b))
        if far:
            a, b = (self.lane_index[i] for i in far[0])
            told.append(
                f"{len(far)} links of lanes more than {MEETS:g} m apart are left out, the first from lane "
                f"{a[2]} of road {a[0]} to lane {b[2]} of road {b[0]}"
            )
        self.problems.extend(told)
        return out

    def lane(self, key: Key) -> Lane:
        return self.roads[key[0]].sections[key[1]].lanes[key[2]]

    def _road(self, id: str) -> Road:
        if id not in self.roads:
            known = ", ".join(sorted(self.roads)[:8])
            raise InputError(f"{self.name}: there is no road {id!r}; there are {known}")
        return self.roads[id]

    def _order(self, key: Key) -> tuple[int, int, int]:
        return self._place[key[0]], key[1], key[2]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {id: i for i, id in enumerate(self.roads)}

    @cached_property
    def _index(self) -> dict[Key, int]:
        return {key: i for i, key in enumerate(self.lane_index)}

    def _counts(self, key: Key) -> bool:
        """Whether a lane is long and wide enough to be one."""
        inner, outer = self._pair(key)
        wide = np.linalg.norm(outer - inner, axis=1).max() > THINNEST
        middle = (inner + outer)[:, :2] / 2
        return bool(wide and np.hypot(*np.diff(middle, axis=0).T).sum() > SHORTEST)

    def _pair(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """Inner and outer border (n, 3) of a lane along s."""
        edges = self.strips[key[0], key[1]].edges
        return edges[self.roads[key[0]].sections[key[1]].inner(key[2])], edges[key[2]]

    @cached_property
    def _sides(self) -> list[np.ndarray]:
        """Left and right border (2, n, 3) of each of the map's lanes in its direction."""
        out = []
        for key in self.lane_index:
            inner, outer = self._pair(key)
            along = np.stack([outer, inner] if key[2] > 0 else [inner, outer])
            backwards = self.roads[key[0]].direction(self.lane(key)) < 0
            out.append(along[::-1, ::-1] if backwards else along)
        return out

    @cached_property
    def _areas(self) -> shapely.STRtree:
        return shapely.STRtree([surface.ring(left, right) for left, right in self._sides])

    def _middle(self, road: Road, section: Section, lane: int, s: float) -> float:
        """t of the middle of a lane."""
        edges = road.edges(section, np.array([s]))
        return float(edges[section.inner(lane)][0] + edges[lane][0]) / 2 if lane else float(edges[0][0])
