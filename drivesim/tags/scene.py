"""A recording as the definitions of tags see it: every agent in the frame of the way that the ego takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ..kernels import SegmentGrid, first_hits, nearest_segment
from ..loading.paths import runs
from ..roadmap import RoadMap
from ..types import CYCLES, VEHICLES, Kind, Scenario

SPACING = 0.5  # between points of the way [m]: what a standing car's jitter does not reach
AHEAD = 60.0  # how far the way goes on beyond the ego's last place [m]
BEHIND = 10.0  # and before its first [m]
NEAR, FAR = 60.0, 30.0  # agents farther from the ego, or beside its way, are not looked at [m]


@dataclass(frozen=True)
class Situation:
    """Something that the ego meets."""

    name: str  # one of tags.NAMES
    first: int  # step
    last: int  # step, included
    agents: tuple[int, ...]  # others that take part, by index in the log
    value: float  # the figure that the definition measures
    unit: str  # of it, with what it is: "s time gap"


@dataclass(frozen=True, eq=False)
class Recording:
    """Arrays of a log of T steps and A agents; s is the distance along the ego's way, d to the left of it [m]."""

    scenario: Scenario
    dt: float
    xy: np.ndarray  # (T, A, 2)
    yaw: np.ndarray  # (T, A)
    speed: np.ndarray  # (T, A) along the heading [m/s]
    size: np.ndarray  # (T, A, 2)
    kind: np.ndarray  # (A,)
    valid: np.ndarray  # (T, A)

    @staticmethod
    def of(scenario: Scenario) -> Recording:
        log = scenario.log
        valid = log.valid.numpy()
        seen = valid.argmax(0)
        kind = log.kind.numpy()[seen, np.arange(valid.shape[1])]
        xy, yaw, velocity, size = (x.numpy().astype(float) for x in (log.xy, log.yaw, log.velocity, log.size))
        speed = velocity[..., 0] * np.cos(yaw) + velocity[..., 1] * np.sin(yaw)
        return Recording(scenario, scenario.scene.briefing.dt, xy, yaw, speed, size[..., :2], kind, valid)

    def steps(self, seconds: float) -> int:
        return max(1, round(seconds / self.dt))

    def lasting(self, mask: np.ndarray, seconds: float) -> list[tuple[int, int]]:
        """Stretches (first, last) of a mask (T,) that last at least this long."""
        return [(a, b) for a, b in runs(mask) if b - a + 1 >= self.steps(seconds)]

    def among(self, *kinds: Kind) -> np.ndarray:
        """Agents (A,) of these kinds, the ego not among them."""
        mask = np.isin(self.kind, [int(kind) for kind in kinds])
        mask[0] = False
        return mask

    @property
    def traffic(self) -> np.ndarray:
        """Vehicles and cycles (A,) that move at some time: the parked ones are no traffic."""
        fastest = np.where(self.valid, np.abs(self.speed), 0.0).max(0)
        return self.among(*VEHICLES, *CYCLES) & (fastest > 1.0)

    # the ego's way

    @cached_property
    def way(self) -> np.ndarray:
        """The line (K, 2) that the ego drove, `BEHIND` before and `AHEAD` beyond it: along the route, else straight."""
        xy, yaw = self.xy[:, 0], self.yaw[:, 0]
        kept = [xy[0]]
        for point in xy[1:]:
            if np.hypot(*(point - kept[-1])) >= SPACING:
                kept.append(point)
        before = xy[0] - BEHIND * np.array([np.cos(yaw[0]), np.sin(yaw[0])])
        return np.vstack([before, kept, self._beyond(kept[-1], yaw[-1])])

    def _beyond(self, end: np.ndarray, yaw: float) -> np.ndarray:
        forward = np.array([np.cos(yaw), np.sin(yaw)])
        straight = end + np.array([[AHEAD / 2], [AHEAD]]) * forward
        route = self.scenario.scene.briefing.route.double().numpy()
        if len(route) < 2:
            return straight
        grid = SegmentGrid.of(route[:-1], route[1:])
        index, _, distance = nearest_segment(grid, end[None], np.array([yaw]), np.pi / 4, 3.0)
        rest = route[index[0] + 1 :]
        rest = rest[(rest - end) @ forward > 1.0] if len(rest) and index[0] >= 0 else rest[:0]
        if not len(rest):
            return straight
        away = np.cumsum(np.hypot(*np.diff(np.vstack([end, rest]), axis=0).T))
        return rest[: int(np.searchsorted(away, AHEAD)) + 1]

    @cached_property
    def _grid(self) -> SegmentGrid:
        return SegmentGrid.of(self.way[:-1], self.way[1:])

    def on_way(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """s, d and the way's direction (N,) where it passes points (N, 2); NaN beyond its ends and beside."""
        a, b = self.way[:-1], self.way[1:]
        length = np.hypot(*(b - a).T)
        before = np.cumsum(length) - length
        points = np.ascontiguousarray(points)
        index, place, distance = nearest_segment(self._grid, points, reach=FAR)
        off = (index < 0) | ((index == 0) & (place <= 0)) | ((index == len(a) - 1) & (place >= 1))
        i = np.where(off, 0, index)
        step, relative = (b - a)[i], points - a[i]
        side = np.where(step[:, 0] * relative[:, 1] - step[:, 1] * relative[:, 0] >= 0, 1.0, -1.0)
        found = before[i] + place * length[i], side * distance, np.arctan2(step[:, 1], step[:, 0])
        s, d, direction = (np.where(off, np.nan, x) for x in found)
        return s, d, direction

    def meets_way(self, xy: np.ndarray, yaw: np.ndarray, reach: float) -> np.ndarray:
        """Whether one who goes straight on from (N, 2) along `yaw` (N,) crosses the way within `reach` metres (N,)."""
        ahead = xy + reach * np.stack([np.cos(yaw), np.sin(yaw)], -1)
        return np.isfinite(first_hits(self._grid, np.ascontiguousarray(xy), ahead))

    def at(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points (..., 2) and directions (...) of the way at distances (...) along it."""
        length = np.hypot(*np.diff(self.way, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(length)])
        xy = np.stack([np.interp(s, along, self.way[:, i]) for i in (0, 1)], -1)
        segment = np.clip(np.searchsorted(along, s, "right") - 1, 0, len(length) - 1)
        step = np.diff(self.way, axis=0)[segment]
        return xy, np.arctan2(step[..., 1], step[..., 0])

    @cached_property
    def _placed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        s, d, turned = (np.full(self.valid.shape, np.nan) for _ in range(3))
        near = self.valid & (np.abs(self.xy - self.xy[:, :1]).max(-1) < NEAR)
        s[near], d[near], direction = self.on_way(self.xy[near])
        turned[near] = (self.yaw[near] - direction + np.pi) % (2 * np.pi) - np.pi
        return s, d, turned

    @property
    def s(self) -> np.ndarray:
        """Distance along the way (T, A); the ego's never decreases."""
        return self._placed[0]

    @property
    def d(self) -> np.ndarray:
        """To the left of the way (T, A)."""
        return self._placed[1]

    @property
    def turned(self) -> np.ndarray:
        """Heading against the way's direction (T, A) in [-pi, pi)."""
        return self._placed[2]

    @cached_property
    def ego_s(self) -> np.ndarray:
        """(T,) of the ego's centre."""
        moved = np.hypot(*(self.xy[:, 0] - self.xy[0, 0]).T)
        s = np.where(np.isfinite(self.s[:, 0]), self.s[:, 0], BEHIND + moved)
        return np.maximum.accumulate(s)

    @property
    def front(self) -> np.ndarray:
        return self.ego_s + self.size[0, 0, 0] / 2

    @property
    def half_width(self) -> float:
        return float(self.size[0, 0, 1] / 2)

    @cached_property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Half of what each box takes along and across the way (T, A)."""
        length, width = self.size[..., 0] / 2, self.size[..., 1] / 2
        cos, sin = np.abs(np.cos(self.turned)), np.abs(np.sin(self.turned))
        return length * cos + width * sin, length * sin + width * cos

    @cached_property
    def gap(self) -> np.ndarray:
        """From the ego's front to the rear of each box along the way (T, A)."""
        return self.s - self.reach[0] - self.front[:, None]

    @cached_property
    def lead(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Who is next ahead in the ego's way (T,), -1 for nobody; gap (T,) and speed along the way (T,).

        Its centre lies in the swath of the ego and it heads the same way within 45 degrees.
        """
        ahead = self.among(*VEHICLES, *CYCLES) & (np.abs(self.d) < self.half_width) & (self.s > self.ego_s[:, None])
        ahead &= np.abs(self.turned) < np.pi / 4
        gap = np.where(ahead, np.maximum(self.gap, 0.0), np.inf)
        who = gap.argmin(1)
        rows = np.arange(len(who))
        nearest = gap[rows, who]
        speed = (self.speed * np.cos(self.turned))[rows, who]
        return np.where(np.isfinite(nearest), who, -1), nearest, speed

    # the ego's lane

    @cached_property
    def road(self) -> RoadMap:
        return RoadMap.of(self.scenario.scene.map)

    @cached_property
    def lane(self) -> tuple[np.ndarray, np.ndarray]:
        """Lane that the ego follows (T,), -1 for none, and its offset to the left in it (T,)."""
        xy, yaw = (torch.from_numpy(np.ascontiguousarray(x)) for x in (self.xy[:, 0], self.yaw[:, 0]))
        lane, _, lateral = self.road.nearest_lane(xy, yaw)
        return lane.numpy(), lateral.double().numpy()


def members(agents: np.ndarray) -> tuple[int, ...]:
    """Indices without repeats and without -1, in the order of the log."""
    return tuple(int(i) for i in np.unique(agents) if i >= 0)
