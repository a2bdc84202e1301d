"""PDM-Closed: the planner that the progress of PDMS is measured against (Dauner et al. 2023; NAVSIM 0a380a9)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from drivesim.geometry import polyline_yaw
from drivesim.roadmap import RoadMap
from drivesim.types import DT, Agents, Map, Vehicle

from .follow import follow
from .gaps import box_in_ring
from .judge import LOOK_AHEAD, Judgement, Rules, judge
from .kernel import along, contacts
from .road import Course, Road
from .roll_out import STEPS, roll_out
from .score import epdms, pdms, progress_v1
from .states import ACCELERATION, SPEED, YAW, X, Y, centers
from .tracks import Tracks

BEYOND = 100.0
"""How far a path goes straight on behind the route's end [m]."""


@dataclass(frozen=True, eq=False)
class Choice:
    """What PDM-Closed decided: a plan, and what it was chosen from."""

    poses: np.ndarray  # (H, 3) rear axle, world
    time: np.ndarray  # (H,) seconds from now; the first is now
    proposals: np.ndarray  # (N, H, 3)
    scores: np.ndarray  # (N,)
    judgement: Judgement
    braking: bool  # for an emergency, instead of any proposal


@dataclass(frozen=True)
class PDMClosed:
    """Five speeds times three offsets from the route; the best by NAVSIM's score on forecasts; emergency brake."""

    fractions: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the speed limit
    offsets: tuple[float, ...] = (0.0, -1.0, 1.0)  # beside the route, left positive [m]
    fallback: float = 15.0  # where the lane states no limit [m/s]
    gap: float = 1.0  # IDM at standstill [m]
    headway: float = 1.5  # [s]
    acceleration: float = 1.5  # [m/s^2]
    braking: float = 3.0  # [m/s^2]
    exponent: float = 10.0  # of speed over wanted speed
    radius: float = 100.0  # within which tracks count [m]
    horizon: float = 8.0  # of the plan, at least 4 s [s]
    reach: float = 8.0  # at the highest wanted speed: how far along a path leaders are looked for [s]
    version: int = 1  # of NAVSIM, whose score decides: 1 is PDMS, 2 EPDMS without what needs a past
    emergency: float = 2.0  # the best's first contact at fault is at most this far away [s]
    emergency_speed: float = 5.0  # up to which one brakes for it [m/s]

    def choose(
        self, start: np.ndarray, now: Agents, map: Map, course: Course, red: np.ndarray, vehicle: Vehicle,
        near: float = np.nan, dt: float = DT,
    ) -> Choice:  # fmt: skip
        """The plan of an ego in state `start` (7,) among agents `now` (A,), itself the first.

        `red` are the lanes on the course whose light is red; `near` the arc length where it last was, if known.
        """
        road, steps = Road.of(map, vehicle), round(self.horizon / dt)
        tracks = Tracks.forecast(now, max(steps, STEPS + int(LOOK_AHEAD[-1])), dt, self.radius)
        wanted = np.array(self.fractions) * self._limit(map, start)
        obstacles = _obstacles(start, tracks, road, red, vehicle)
        proposals = np.concatenate([
            self._follow(path, wanted, steps, start, near, obstacles, vehicle, dt)
            for path in _paths(course, map, self.offsets, vehicle.length / 2 + vehicle.rear_axle_to_center)
        ])  # fmt: skip
        time = dt * np.arange(steps + 1)
        states = roll_out(proposals[:, : STEPS + 1], time[: STEPS + 1], start, vehicle, STEPS, dt)
        lights = np.ones((STEPS + 1, len(red)), bool), red  # they stay as they are
        judged = judge(states, tracks, road, course, vehicle, Rules.of(self.version), lights, dt)
        scores = self._scores(judged)
        best = int(scores.argmax())
        hurry = judged.at_fault()[best] * dt <= self.emergency and start[SPEED] <= self.emergency_speed
        poses = self._brake(start, time) if hurry else proposals[best]
        return Choice(poses, time, proposals, scores, judged, bool(hurry))

    def _scores(self, judged: Judgement) -> np.ndarray:
        """Of proposals (N,), compared with each other."""
        parts = {"NC": judged.no_collision, "DAC": judged.on_road, "TTC": judged.time_to_collision}
        if self.version == 1:
            product = judged.no_collision * judged.on_road
            return np.asarray(pdms({**parts, "C": judged.comfort, "EP": progress_v1(judged.progress, product)}))
        parts |= {"DDC": judged.direction, "TLC": judged.lights, "LK": judged.lane, "HC": np.ones(len(judged))}
        product = judged.no_collision * judged.on_road * judged.direction * judged.lights
        return np.asarray(epdms({**parts, "EP": progress_v1(judged.progress, product)}))

    def _follow(
        self, path: np.ndarray, wanted: np.ndarray, steps: int, start: np.ndarray, near: float, obstacles: tuple,
        vehicle: Vehicle, dt: float,
    ) -> np.ndarray:  # fmt: skip
        """Poses (M, steps + 1, 3) at `wanted` speeds (M,) along a path (P, 4), by IDM."""
        line, s = np.ascontiguousarray(path[:, :2]), np.ascontiguousarray(path[:, 3])
        place, _ = along(start[None, None, :2], line, s, near)
        return follow(
            path, float(place[0, 0]), float(start[SPEED]), wanted, steps, dt, wanted.max() * self.reach, self.gap,
            self.headway, self.acceleration, self.braking, self.exponent, vehicle.length / 2, vehicle.width / 2,
            vehicle.rear_axle_to_center, *obstacles,
        )  # fmt: skip

    def _limit(self, map: Map, start: np.ndarray) -> float:
        """Speed limit of the lane that the ego is in [m/s]."""
        where = torch.from_numpy(start[None, :2].copy()), torch.from_numpy(start[None, YAW].copy())
        lane = int(RoadMap.of(map).nearest_lane(*where)[0])
        limit = float(map.lanes.speed_limit[lane]) if lane >= 0 else np.nan
        return limit if np.isfinite(limit) and limit > 0 else self.fallback

    def _brake(self, start: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Poses (H, 3) straight ahead at the constant speed that makes the tracker brake as hard as comfort allows."""
        speed, low, high = start[SPEED], -4.05, 2.40
        if speed > 0.2:
            wanted = 1.1 * (speed + float(np.clip(-10 * speed, low, high)))
        else:
            wanted = float(np.clip(-4 * speed - start[ACCELERATION], low, high))
        way = wanted * time
        cos, sin = np.cos(start[YAW]), np.sin(start[YAW])
        return np.stack([start[X] + way * cos, start[Y] + way * sin, np.full_like(way, start[YAW])], -1)


def _obstacles(
    start: np.ndarray, tracks: Tracks, road: Road, red: np.ndarray, vehicle: Vehicle
) -> tuple[np.ndarray, ...]:
    """Tracks and lanes with a red light as `follow` takes them. Who is in contact with the ego is no leader, nor is a
    lane that holds all of the ego."""
    half, rear = (vehicle.length / 2, vehicle.width / 2), vehicle.rear_axle_to_center
    met, _, _ = contacts(
        start[None, None], np.zeros((1, 1), np.uint8), tracks.boxes[:1], tracks.speed[:1], tracks.static, *half, rear,
        0.0, np.pi, False,
    )  # fmt: skip
    rings = [road.rings[road.offsets[i] : road.offsets[i + 1]] for i in red]
    middle, cos, sin = centers(start, vehicle), np.cos(start[YAW]), np.sin(start[YAW])
    entered = np.array([box_in_ring(*middle, cos, sin, *half, ring) for ring in rings], bool)
    return (
        tracks.boxes, tracks.speed, tracks.yaw, tracks.static, met[0] == -2,
        np.concatenate(rings) if rings else np.zeros((0, 2)), np.cumsum([0, *map(len, rings)]), entered,
    )  # fmt: skip


@lru_cache(maxsize=4)
def _paths(course: Course, map: Map, offsets: tuple[float, ...], front: float) -> tuple[np.ndarray, ...]:
    """Lines (P, 4) of x, y, yaw, arc length beside the route, a point per metre, and straight on behind its end.

    Where the known road ends for good they end, as NAVSIM's end with the route's lanes: `front` metres earlier, as far
    as a vehicle reaches ahead of its rear axle. What a log did not drive is no obstacle.
    """
    even = np.r_[np.arange(0, course.s[-1], 1.0), course.s[-1]]
    even = even[np.r_[np.diff(even) > 1e-6, True]]
    line = np.stack([np.interp(even, course.s, course.line[:, i]) for i in (0, 1)], -1)
    step = (line[-1] - line[-2]) / np.hypot(*(line[-1] - line[-2]))
    line = np.concatenate([line, line[-1] + step * np.arange(1, BEYOND + 1)[:, None]])
    line = line[: _known(line, map, front)]
    yaw = polyline_yaw(torch.from_numpy(line)).numpy()
    left = np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    paths = []
    for offset in offsets:
        xy = line + offset * left
        s = np.r_[0.0, np.cumsum(np.maximum(np.hypot(*np.diff(xy, axis=0).T), 1e-6))]
        paths.append(np.column_stack([xy, yaw, s]))
    return tuple(paths)


def _known(line: np.ndarray, map: Map, front: float) -> int:
    """How many points of a line (P, 2), one per metre, lie before the end of the drivable area; all of them where the
    map has none, or none of it beside the line."""
    on_road = np.flatnonzero(RoadMap.of(map).inside(torch.from_numpy(line)).numpy())
    if not len(on_road) or on_road[-1] == len(line) - 1:
        return len(line)
    return max(int(on_road[-1] + 1 - np.ceil(front)), 2)
