"""How fast the reference drive goes along its line: towards the goal in time, within limits, behind others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from drivesim.loading import Track
from drivesim.types import DT, Goal, Light, Signals, Vehicle

from .lanelets import lengths
from .roads import Roads
from .way import STEP

GAS, BRAKE, HARD = 2.5, 3.0, 7.0
"""Brisk acceleration and braking, and the hardest braking to keep off others [m/s^2]."""
LATERAL = 4.0
"""In bends [m/s^2]: what drivers rarely exceed."""
GAP = 2.0
"""To the one ahead at rest [m]."""
SIDE = 0.3
"""Room beside the ego within which somebody is ahead of it [m]."""


@dataclass(frozen=True)
class Target:
    """Where on the line the rear axle should be when, and how fast."""

    s: float
    time: float
    speed: tuple[float, float]


def area_of(goal: Goal) -> shapely.Geometry:
    return shapely.make_valid(shapely.Polygon(goal.area.double().numpy()))


def center_of(goal: Goal) -> np.ndarray:
    area = area_of(goal)
    inside = area.centroid if area.covers(area.centroid) else area.representative_point()
    return np.array([inside.x, inside.y])


def target_of(line: np.ndarray, speed: float, goals: Sequence[Goal], rear: float, steps: int) -> Target | None:
    """The goal that lies first on the line; None if none lies there or near."""
    s, found = lengths(line), []
    way = np.gradient(line, axis=0)
    center = line + rear * way / np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    for goal in goals:
        if not len(goal.area):
            continue
        inside = shapely.contains_xy(area_of(goal), center[:, 0], center[:, 1])
        if not inside.any():  # passing beside a small area is the next best
            apart = np.hypot(*(center - center_of(goal)).T)
            inside = (apart == apart.min()) & (apart < 5.0)
        if inside.any():
            first = int(inside.argmax())
            last = first + int((~inside[first:]).argmax()) if not inside[first:].all() else len(line) - 1
            end = (steps - 1) * DT
            when = max(end if math.isinf(goal.time[1]) else (goal.time[0] + min(goal.time[1], end)) / 2, DT)
            found.append((s[first], s[last], when, goal.speed))
    if not found:
        return None
    low, high, when, allowed = min(found)
    margin = min((high - low) / 2, 3.0)
    natural = (speed + min(max(speed, allowed[0]), allowed[1])) / 2 * when
    return Target(float(np.clip(natural, low + margin, high - margin)), when, allowed)


def allowed_speeds(line: np.ndarray, roads: Roads, lanes: Sequence[int], target: Target | None) -> np.ndarray:
    """The speed (n,) that limits and bends allow along the line, braking ahead of them in time."""
    allowed = np.full(len(line), 40.0)
    limit = roads.map.lanes.speed_limit[list(lanes)].double().numpy() if lanes else np.zeros(0)
    if len(limit):
        tree = cKDTree(np.concatenate([roads.center(i) for i in lanes]))
        owner = np.repeat(np.arange(len(lanes)), [len(roads.center(i)) for i in lanes])
        own = limit[owner[tree.query(line)[1]]]
        allowed = np.where(np.isfinite(own), np.maximum(own, target.speed[0] if target else 0.0), allowed)
    smooth = gaussian_filter1d(line, 3.0 / STEP, axis=0, mode="nearest")
    yaw = np.unwrap(np.arctan2(*np.gradient(smooth, axis=0).T[::-1]))
    bend = np.abs(np.gradient(yaw)) / STEP
    allowed = np.minimum(allowed, np.sqrt(LATERAL / np.maximum(bend, 1e-4)))
    squared = allowed**2
    ramp = 2 * BRAKE * STEP * np.arange(len(line))
    return np.sqrt(np.minimum.accumulate((squared + ramp)[::-1])[::-1] - ramp)


class Others:
    """Who is ahead of the ego on its line, step by step."""

    def __init__(self, line: np.ndarray, others: Sequence[Track], vehicle: Vehicle, steps: int) -> None:
        self.front = vehicle.rear_axle_to_center + vehicle.length / 2
        s, way = lengths(line), np.gradient(line, axis=0)
        yaw = np.arctan2(way[:, 1], way[:, 0])
        boxes = [np.full((len(t.yaw), 2), t.size[:2]) for t in others]
        rows = [
            np.column_stack([np.rint(t.time / DT), t.xyz[:, :2], t.yaw, _along(t), box])
            for t, box in zip(others, boxes, strict=True)
        ]
        table = np.concatenate([np.zeros((0, 7)), *rows])
        step, xy, turn, speed, size = table[:, 0].astype(int), table[:, 1:3], table[:, 3], table[:, 4], table[:, 5:]
        near, k = cKDTree(line).query(xy, distance_upper_bound=8.0) if len(xy) else (np.zeros(0), np.zeros(0, int))
        k = np.minimum(k, len(line) - 1)
        askew = turn - yaw[k]
        side = np.abs(np.cos(askew)) * size[:, 1] / 2 + np.abs(np.sin(askew)) * size[:, 0] / 2
        back = np.abs(np.cos(askew)) * size[:, 0] / 2 + np.abs(np.sin(askew)) * size[:, 1] / 2
        offset = np.abs(np.sin(yaw[k]) * (xy - line[k])[:, 0] - np.cos(yaw[k]) * (xy - line[k])[:, 1])
        ahead = (offset < side + vehicle.width / 2 + SIDE) & (near < np.inf) & (step >= 0) & (step < steps)
        order = np.argsort(step[ahead], kind="stable")
        self.rear, self.speed = (s[k] - back)[ahead][order], (speed * np.cos(askew))[ahead][order]
        self.starts = np.searchsorted(step[ahead][order], np.arange(steps + 1))

    def lead(self, step: int, s: float) -> tuple[float, float] | None:
        """Gap [m] and speed of the nearest ahead of the rear axle at `s`."""
        rows = slice(self.starts[step], self.starts[step + 1])
        gap = self.rear[rows] - s - self.front
        ahead = np.flatnonzero(gap > -1.0)
        if not len(ahead):
            return None
        i = int(ahead[gap[ahead].argmin()])
        return float(max(gap[i], 0.1)), float(self.speed[rows][i])


def _along(track: Track) -> np.ndarray:
    """Speeds (n,) along the yaw: as logged, else from the way."""
    velocity = track.velocity
    if velocity is None:
        if len(track.time) < 2:
            return np.zeros(len(track.time))
        velocity = np.gradient(track.xyz[:, :2], track.time, axis=0)
    return velocity[:, 0] * np.cos(track.yaw) + velocity[:, 1] * np.sin(track.yaw)


def bars_on(
    line: np.ndarray, lanes: Sequence[int], signals: Signals, vehicle: Vehicle
) -> list[tuple[float, np.ndarray]]:
    """Stop lines on the way: where the rear axle stands with the nose there, and when they are red or yellow (T,)."""
    found, front = [], vehicle.rear_axle_to_center + vehicle.length / 2
    for i, lane in enumerate(signals.lane.tolist()):
        if lane in lanes:
            xy = signals.stop_xy[i].double().numpy()
            s = STEP * int(np.hypot(*(line - xy).T).argmin()) - front
            found.append((s, np.isin(signals.state[:, i].numpy(), (int(Light.RED), int(Light.YELLOW)))))
    return found


def profile(
    speed: float, target: Target | None, allowed: np.ndarray, others: Others,
    bars: Sequence[tuple[float, np.ndarray]], steps: int, headway: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Way (T,) and speed (T,) of the rear axle along the line."""
    s, v = np.zeros(steps), np.zeros(steps)
    v[0] = max(speed, 0.0)
    for k in range(steps - 1):
        limit = allowed[min(int(s[k] / STEP), len(allowed) - 1)]
        want = _wish(target, s[k], v[k], k * DT, min(limit, max(speed, 15.0)))
        want = min(want, max((limit - v[k]) / 0.5, -BRAKE))
        leads = [
            others.lead(k, s[k]),
            *((at - s[k], 0.0) for at, shut in bars if shut[min(k, len(shut) - 1)] and at > s[k]),
        ]
        want = min([want, *(_following(v[k], *lead, headway) for lead in leads if lead)])
        a = float(np.clip(want, -HARD, GAS + 1.0))
        v[k + 1] = max(v[k] + a * DT, 0.0)
        s[k + 1] = s[k] + (v[k] + v[k + 1]) / 2 * DT
    return s, v


def _wish(target: Target | None, s: float, v: float, time: float, cruise: float) -> float:
    """Acceleration towards the goal: the least that arrives in time, with a speed that the goal allows."""
    left = (target.time - time) if target else -1.0
    if target is None or left < 2 * DT:
        return float(np.clip((cruise - v) / 2.0, -BRAKE, GAS)) if target is None else 0.0
    way = target.s - s
    free = 1.5 * way / left - v / 2  # the speed at the goal if only arriving counts
    end = float(np.clip(free, max(target.speed[0], 0.0), max(target.speed[1], 0.0)))
    return float(np.clip((6 * way - 2 * left * (2 * v + end)) / left**2, -BRAKE, GAS))


def _following(v: float, gap: float, lead: float, headway: float) -> float:
    """Acceleration of the Intelligent Driver Model (Treiber et al. 2000) without a wish of its own."""
    wanted = GAP + max(v * headway + v * (v - lead) / (2 * math.sqrt(GAS * BRAKE)), 0.0)
    return GAS * (1 - (wanted / max(gap, 0.1)) ** 2)
