"""Drivers on the lane graph: IDM on fixed paths, traffic lights, right of way by reservation, crosswalks.

A driver may enter a crossing only with a reservation, and two reservations never share a conflict zone: nearly all
collisions are ruled out before they are looked for. Straight and right turns ask before left turns. IDM: Treiber,
Hennecke, Helbing 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from drivesim.types import DT, Light

from .lanes import Network, crosswalk_on
from .lights import Plan
from .paths import SPACING, Driver

ACCELERATION, BRAKING, HARDEST = 1.5, 2.0, 3.5  # of drivers: usual, comfortable, most [m/s^2]
JERK = 4.0  # [m/s^3]
STANDSTILL = 2.0  # gap to a standing leader [m]
LOOK = 55.0  # from this far ahead a crossing is dealt with [m]


@dataclass
class Traffic:
    """All drivers at one time. `windows` says when people are in front of a lane: lane -> [(from, until)]."""

    net: Network
    plans: list[Plan]
    drivers: list[Driver]
    windows: dict[int, list[tuple[float, float]]]
    time: float
    held: dict[int, dict[int, tuple[int, float]]] = field(default_factory=dict)
    """Reservations: crossing -> driver -> connector and where it begins on the driver's path."""

    def __post_init__(self) -> None:
        n, most = len(self.drivers), max(len(d.path.lanes) for d in self.drivers)
        self.s = np.array([d.s for d in self.drivers])
        self.front, self.back = (np.array([getattr(d, k) for d in self.drivers]) for k in ("front", "back"))
        self.headway = np.array([d.headway for d in self.drivers])
        self.end = np.array([d.path.length for d in self.drivers])
        self.starts, self.lane = np.full((n, most), np.inf), np.full((n, most), -1)
        self.offset = np.full((n, len(self.net.lanes)), np.nan)  # arc length on path i at which lane l begins
        self.shared = np.full((n, len(self.net.lanes)), np.inf)  # how far lane l counts as path i's own
        self.gates: list[list[tuple[float, int]]] = []  # connectors on each path: start, connector
        for i in range(n):
            self._lay_out(i)
        self.profile = np.full((n, max(len(d.path.speed) for d in self.drivers)), 0.1)
        for i, driver in enumerate(self.drivers):
            self.profile[i, : len(driver.path.speed)] = driver.path.speed
        self.active = np.ones(n, bool)
        self.a = np.zeros(n)
        self.v = 0.9 * self._wanted()
        for i in range(n):  # those who start before a red light have begun to brake
            for dist, connector in self._ahead(i):
                lane = self.net.lanes[connector]
                if self.plans[lane.crossing].light(lane.arm, self.time) != Light.GREEN:
                    self.v[i] = min(self.v[i], np.sqrt(2 * 1.2 * max(dist - 2, 0)))

    def _lay_out(self, i: int) -> None:
        path = self.drivers[i].path
        self.starts[i, : len(path.lanes)], self.lane[i, : len(path.lanes)] = path.starts, path.lanes
        self.gates.append([])
        for start, lane in zip(path.starts, path.lanes, strict=True):
            self.offset[i, lane] = start
            if self.net.lanes[lane].crossing >= 0:
                self.gates[i].append((float(start), lane))
                for other, apart in self.net.parting[lane].items():
                    self.offset[i, other], self.shared[i, other] = start, apart

    def step(self) -> None:
        """One step of DT for everyone."""
        gap, closing = self._leaders()
        stop = self._stops()
        a = self._idm(gap, closing)
        a = np.minimum(a, self._idm(np.maximum(stop + STANDSTILL - 0.7, 0.1), self.v))
        a = np.clip(a, self.a - JERK * DT, self.a + JERK * DT)
        self.a = np.clip(a, -HARDEST, ACCELERATION)
        v = np.maximum(self.v + self.a * DT, 0.0)
        v[(v < 0.05) & (self.a < 0.05)] = 0.0
        self.a = np.where((v == 0) & (self.a < 0), 0.0, self.a)
        self.s = self.s + np.where(self.active, (self.v + v) / 2 * DT, 0.0)
        self.v = v
        self.time += DT
        self.active &= self.s + self.front < self.end - 1.0

    def _wanted(self) -> np.ndarray:
        place = np.clip(self.s / SPACING, 0, self.profile.shape[1] - 2)
        k = place.astype(int)
        row = np.arange(len(k))
        return self.profile[row, k] + (place - k) * (self.profile[row, k + 1] - self.profile[row, k])

    def _idm(self, gap: np.ndarray, closing: np.ndarray) -> np.ndarray:
        wanted = self._wanted()
        free = np.where(
            self.v <= wanted,
            ACCELERATION * (1 - (self.v / wanted) ** 4),
            np.maximum((wanted - self.v) / 0.5, -BRAKING),
        )
        safe = STANDSTILL + np.maximum(
            self.v * self.headway + self.v * closing / (2 * np.sqrt(ACCELERATION * BRAKING)), 0
        )
        return free - ACCELERATION * (safe / np.maximum(gap, 0.1)) ** 2

    def _leaders(self) -> tuple[np.ndarray, np.ndarray]:
        """Gap to the next vehicle on each driver's path and the speed at which it closes."""
        half = (self.front + self.back) / 2
        middle = self.s + (self.front - self.back) / 2
        ahead = np.full((len(self.s), len(self.s)), np.inf)
        for part in (-half, np.zeros_like(half), half):
            at = middle + part
            k = np.maximum((self.starts <= at[:, None]).sum(1) - 1, 0)
            row = np.arange(len(at))
            lane, along = self.lane[row, k], at - self.starts[row, k]
            distance = self.offset[:, lane] + along - part - middle[:, None]
            counts = (distance > 0) & (along <= self.shared[:, lane])
            ahead = np.where(counts, np.minimum(ahead, distance), ahead)
        ahead[:, ~self.active] = np.inf
        np.fill_diagonal(ahead, np.inf)
        leader = ahead.argmin(1)
        gap = ahead[np.arange(len(leader)), leader] - half - half[leader]
        return gap, self.v - self.v[leader]

    def _ahead(self, i: int) -> list[tuple[float, int]]:
        """The next stop line within sight: distance from the front bumper, connector behind it."""
        front = self.s[i] + self.front[i]
        for start, connector in self.gates[i]:
            if start > front - 1e-6:
                return [(start - front, connector)] if start - front < LOOK else []
        return []

    def _stops(self) -> np.ndarray:
        """Distance to where each driver has to stop now, inf for none."""
        stop = np.full(len(self.s), np.inf)
        self._release()
        waiting = [(dist, c, i) for i in np.flatnonzero(self.active).tolist() for dist, c in self._ahead(i)]
        waiting.sort(key=lambda w: (self.net.lanes[w[1]].turn == "left", w[0], w[2]))
        queue: dict[tuple[int, int], list[tuple[float, int]]] = {}
        for dist, connector, i in sorted(waiting):
            lane = self.net.lanes[connector]
            queue.setdefault((lane.crossing, self._source(i, connector)), []).append((dist, i))
        for dist, connector, i in waiting:
            lane = self.net.lanes[connector]
            before = [j for d, j in queue[lane.crossing, self._source(i, connector)] if d < dist]
            if not self._may_enter(i, connector, dist, before):
                stop[i] = dist
        for i in np.flatnonzero(self.active).tolist():
            stop[i] = min(stop[i], self._before_people(i))
        return stop

    def _source(self, i: int, connector: int) -> int:
        path = self.drivers[i].path.lanes
        return path[path.index(connector) - 1]

    def _may_enter(self, i: int, connector: int, dist: float, before: list[int]) -> bool:
        lane = self.net.lanes[connector]
        light = self.plans[lane.crossing].light(lane.arm, self.time)
        can_stop = dist > 0.45 * self.v[i] + self.v[i] ** 2 / (2 * 2.7)
        held = self.held.setdefault(lane.crossing, {})
        if light != Light.GREEN and (can_stop or light == Light.RED):
            held.pop(i, None)
            return False
        if i in held:
            return True
        if any(j not in held for j in before) or self._occupied(self._source(i, connector), dist + 6.0, self.v[i]):
            return False
        if any(other in self.net.conflicts[connector] for other, _ in held.values()):
            return False
        held[i] = (connector, self._gate(i, connector))
        return True

    def _gate(self, i: int, connector: int) -> float:
        return next(start for start, c in self.gates[i] if c == connector)

    def _release(self) -> None:
        """Give a reservation back once the rear bumper has left the last conflict zone."""
        for held in self.held.values():
            for i, (connector, start) in list(held.items()):
                last = max((end for _, end in self.net.conflicts[connector].values()), default=0.0)
                if not self.active[i] or self.s[i] - self.back[i] > start + last:
                    del held[i]

    def _before_people(self, i: int) -> float:
        """Distance to stop before the next crosswalk behind a connector, while someone is on it or about to be."""
        front = self.s[i] + self.front[i]
        for start, connector in self.gates[i]:
            near, far = crosswalk_on(self.net, connector)
            dist = start + near - 0.8 - front
            if dist < -0.3:
                continue
            if dist > 30 or dist < self.v[i] ** 2 / (2 * HARDEST):
                return np.inf
            exit_lane = self.net.lanes[connector].successors[0]
            reach = dist + far - near + 1.0 + self.front[i] + self.back[i]
            return dist if self._occupied(exit_lane, reach, self.v[i]) else np.inf
        return np.inf

    def _occupied(self, lane: int, reach: float, speed: float) -> bool:
        """Whether people are in front of a lane before `reach` metres are driven."""
        until = self.time + reach / max(speed, 3.0) + 1.0
        return any(a < until and b > self.time for a, b in self.windows.get(lane, ()))
