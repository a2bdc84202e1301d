"""The reference drive: how the ego, of which the format gives a start and goals alone, could have driven.

Along the way a speed controller heads for the goal within its time, keeps to limits, slows down for bends and red
lights and follows what is recorded ahead of it. It stands in for the recording that other formats have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from drivesim.loading import Track
from drivesim.types import DT, Goal, Kind, Signals, Vehicle

from .lanelets import lengths
from .obstacles import on_steps
from .pace import Others, allowed_speeds, area_of, bars_on, center_of, profile, target_of
from .roads import Roads
from .way import STEP, lane_at, line_along, route


@dataclass(frozen=True)
class Style:
    """One way to drive it."""

    wait: float = 0.0  # [s] before a lane change
    swerve: float = 3.0  # [s] that it takes: most drivers' lie between 2 and 8
    headway: float = 0.8  # [s] to the one ahead; recorded motorway traffic keeps under a second often


STYLES = (
    Style(), Style(headway=0.4), Style(wait=1.0), Style(wait=2.0), Style(wait=3.0, headway=0.5), Style(swerve=2.0),
    Style(swerve=5.0), Style(wait=4.5, headway=0.4), Style(wait=1.0, swerve=5.0, headway=0.4),
)  # fmt: skip
"""Tried in this order until one arrives and touches nobody."""


@dataclass(frozen=True, eq=False)
class Drive:
    track: Track
    confidence: float
    problems: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Try:
    poses: np.ndarray  # (T, 3) of the box centre
    speed: np.ndarray  # (T,)
    touched: tuple[str, float] | None  # whom, when [s]
    missed: bool
    short: float  # distance [m] to the goal's centre at the best moment

    @property
    def cost(self) -> tuple:
        return (self.touched is not None) + self.missed, self.touched is not None, round(self.short, 3)


def reference_drive(
    roads: Roads, vehicle: Vehicle, yaw: float, speed: float, goals: Sequence[Goal], others: Sequence[Track],
    signals: Signals, steps: int,
) -> Drive:  # fmt: skip
    """The ego's track over `steps` steps; its rear axle starts at the world's origin."""
    begin = lane_at(roads, vehicle.rear_axle_to_center * np.array([np.cos(yaw), np.sin(yaw)]), yaw)
    lanes = None if begin is None else route(roads, begin, goals)
    lost = []
    if begin is None:
        lost = ["the ego starts beside all lanes: its reference drive goes straight on"]
    elif lanes is None:
        lost = ["no lanes lead from the ego's start to its goal: its reference drive follows its lane"]
    lanes = lanes or ([] if begin is None else [begin])
    others = [t for t in (on_steps(track, steps) for track in others) if len(t.time)]
    best: _Try | None = None
    for style in STYLES:
        attempt = _attempt(roads, lanes, vehicle, yaw, speed, goals, others, signals, steps, style)
        best = attempt if best is None or attempt.cost < best.cost else best
        if best.cost[0] == 0:
            break
    if best.touched:
        lost.append(f"the ego's reference drive touches obstacle {best.touched[0]} at {best.touched[1]:.1f} s")
    if best.missed:
        lost.append("the ego's reference drive does not reach its goal as asked")
    confidence = 0.6 * (0.5 if best.touched else 1.0) * (0.5 if best.missed or not lanes else 1.0)
    return Drive(_track(best, vehicle), confidence, tuple(lost))


def _attempt(
    roads: Roads, lanes: Sequence[int], vehicle: Vehicle, yaw: float, speed: float, goals: Sequence[Goal],
    others: Sequence[Track], signals: Signals, steps: int, style: Style,
) -> _Try:  # fmt: skip
    line = _line(roads, lanes, yaw, speed, _reach(goals, speed, steps, roads, lanes), goals, style)
    target = target_of(line, speed, goals, vehicle.rear_axle_to_center, steps)
    allowed = allowed_speeds(line, roads, lanes, target)
    ahead, bars = Others(line, others, vehicle, steps), bars_on(line, lanes, signals, vehicle)
    s, v = profile(speed, target, allowed, ahead, bars, steps, style.headway)
    poses = _poses(line, s, yaw, vehicle)
    areas = [center_of(g) for g in goals if len(g.area)]
    short = min((float(np.hypot(*(poses[:, :2] - a).T).min()) for a in areas), default=0.0)
    return _Try(poses, v, _touched(poses, vehicle, others), not _arrives(poses, v, goals), short)


def _reach(goals: Sequence[Goal], speed: float, steps: int, roads: Roads, lanes: Sequence[int]) -> float:
    limits = [float(x) for x in roads.map.lanes.speed_limit[list(lanes)] if x > 0]
    fastest = max([speed, 15.0, *(g.speed[0] for g in goals if math.isfinite(g.speed[0])), *limits])
    return min(fastest * steps * DT, 5000.0) + 30.0


def _line(
    roads: Roads, lanes: Sequence[int], yaw: float, speed: float, reach: float, goals: Sequence[Goal], style: Style
) -> np.ndarray:
    """Points of the rear axle's way every STEP metres."""
    if not lanes:
        return np.arange(0.0, reach, STEP)[:, None] * np.array([[np.cos(yaw), np.sin(yaw)]])
    small = [g for g in goals if len(g.area) and area_of(g).area < 60.0]
    # a place in the lane is aimed at; larger areas are whole lanes, whose middle is their centre line
    aim = center_of(small[0]) if small else None
    return line_along(roads, lanes, yaw, reach, aim, wait=style.wait * speed, swerve=max(style.swerve * speed, 8.0))


def _poses(line: np.ndarray, s: np.ndarray, yaw: float, vehicle: Vehicle) -> np.ndarray:
    """Poses (T, 3) of the box centre, for the rear axle at `s` (T,) along the line."""
    way, along = np.gradient(line, axis=0), lengths(line)
    own = np.unwrap(np.arctan2(way[:, 1], way[:, 0]))
    own += 2 * np.pi * np.round((yaw - own[0]) / (2 * np.pi))
    own[0] = yaw
    look = np.interp(s, along, own)
    axle = np.column_stack([np.interp(s, along, line[:, i]) for i in range(2)])
    ahead = np.column_stack([np.cos(look), np.sin(look)])
    return np.column_stack([axle + vehicle.rear_axle_to_center * ahead, look])


def _track(drive: _Try, vehicle: Vehicle) -> Track:
    look = drive.poses[:, 2]
    ahead, left = (np.column_stack([np.cos(look + a), np.sin(look + a)]) for a in (0.0, np.pi / 2))
    turn = np.gradient(look, DT)[:, None] if len(look) > 1 else np.zeros((len(look), 1))
    velocity = drive.speed[:, None] * ahead + vehicle.rear_axle_to_center * turn * left
    size = np.array([vehicle.length, vehicle.width, vehicle.height])
    xyz = np.column_stack([drive.poses[:, :2], np.zeros(len(look))])
    return Track.flat("ego", Kind.CAR, size, np.arange(len(look)) * DT, xyz, look, velocity)


def _touched(poses: np.ndarray, vehicle: Vehicle, others: Sequence[Track]) -> tuple[str, float] | None:
    """Who is touched first, and when."""
    ego = _boxes(poses, np.array([vehicle.length, vehicle.width]))
    first: tuple[float, str] | None = None
    for track in others:
        step = np.rint(track.time / DT).astype(int)
        on = (step >= 0) & (step < len(poses))
        step, pose = step[on], np.column_stack([track.xyz[on, :2], track.yaw[on]])
        near = np.hypot(*(pose[:, :2] - poses[step, :2]).T) < (vehicle.length + float(np.hypot(*track.size[:2]))) / 2
        if near.any():
            hits = shapely.intersects(_boxes(pose[near], track.size[:2]), ego[step[near]])
            if hits.any():
                when = float(step[near][hits.argmax()]) * DT
                first = min(first, (when, track.id)) if first else (when, track.id)
    return (first[1], first[0]) if first else None


def _boxes(poses: np.ndarray, size: np.ndarray) -> np.ndarray:
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * size / 2
    c, s = np.cos(poses[:, 2]), np.sin(poses[:, 2])
    turn = np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2)
    return shapely.polygons(corners @ turn + poses[:, None, :2])


def _arrives(poses: np.ndarray, speed: np.ndarray, goals: Sequence[Goal]) -> bool:
    """Whether some step fulfils a goal; also where there is no goal."""
    time = np.arange(len(poses)) * DT
    for goal in goals:
        there = (time >= goal.time[0] - 1e-6) & (time <= goal.time[1] + 1e-6)
        there &= (speed >= goal.speed[0]) & (speed <= goal.speed[1])
        if math.isfinite(goal.yaw[0]):
            there &= (poses[:, 2] - goal.yaw[0]) % (2 * np.pi) <= goal.yaw[1] - goal.yaw[0]
        if len(goal.area):
            there &= shapely.contains_xy(area_of(goal), poses[:, 0], poses[:, 1])
        if there.any():
            return True
    return not goals
