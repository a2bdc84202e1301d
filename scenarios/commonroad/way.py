"""The way of the reference drive: lanelets from the start to the goal, and a smooth line along them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from scipy.ndimage import gaussian_filter1d

from drivesim.types import Goal

from .lanelets import lengths
from .roads import Roads

CHANGE = 15.0
"""What a lane change costs in a route [m of detour]."""
STEP = 0.5  # between points of the line [m]


def lane_at(roads: Roads, xy: np.ndarray, yaw: float) -> int | None:
    """Lane in which a vehicle stands: of those that hold the place the one that runs most like it; else the nearest
    within 5 m that runs within 60 degrees of it."""
    best, found = np.inf, None
    for lane in range(len(roads.lanelets)):
        line = roads.center(lane)
        distance = np.hypot(*(line - xy).T)
        if distance.min() > 5.0 + max(np.diff(lengths(line)).max(), 0.0):
            continue
        way = shapely.LineString(line)
        gap, s = way.distance(shapely.Point(xy)), way.project(shapely.Point(xy))
        turn = abs((_yaw_at(line, s) - yaw + np.pi) % (2 * np.pi) - np.pi)
        cost = turn + (0.0 if roads.area(lane).covers(shapely.Point(xy)) else 1.0 + gap)
        if turn < np.deg2rad(60) and gap < 5.0 and cost < best:
            best, found = cost, lane
    return found


def _yaw_at(line: np.ndarray, s: float) -> float:
    i = int(np.clip(np.searchsorted(lengths(line), s, side="right") - 1, 0, len(line) - 2))
    step = line[i + 1] - line[i]
    return float(np.arctan2(step[1], step[0]))


def route(roads: Roads, start: int, goals: Iterable[Goal]) -> list[int] | None:
    """Lanes from `start` to the nearest that has a goal's area on it; None where no way leads there."""
    areas = [shapely.make_valid(shapely.Polygon(g.area.double().numpy())) for g in goals if len(g.area)]
    if not areas:
        return [start]
    targets = set()
    for lane in range(len(roads.lanelets)):
        line = shapely.LineString(roads.center(lane))
        if any(area.intersects(line) for area in areas):
            targets.add(lane)
    if not targets:  # beside all centre lines
        polygons = [shapely.make_valid(roads.area(lane)) for lane in range(len(roads.lanelets))]
        targets = {i for i, p in enumerate(polygons) if any(p.intersects(a) for a in areas)}
    return _shortest(roads, start, targets)


def _shortest(roads: Roads, start: int, targets: set[int]) -> list[int] | None:
    edges: dict[int, list[tuple[int, float]]] = {}
    for a, b in roads.map.lanes.successors.tolist():
        edges.setdefault(a, []).append((b, float(lengths(roads.center(a))[-1])))
    for a, b, _ in roads.map.lanes.neighbours.tolist():
        edges.setdefault(a, []).append((b, CHANGE))
    cost, before, queue = {start: 0.0}, {start: start}, [(0.0, start)]
    while queue:
        so_far, lane = heapq.heappop(queue)
        if lane in targets:
            path = [lane]
            while path[-1] != start:
                path.append(before[path[-1]])
            return path[::-1]
        for other, price in edges.get(lane, ()):
            if so_far + price < cost.get(other, np.inf):
                cost[other], before[other] = so_far + price, lane
                heapq.heappush(queue, (cost[other], other))
    return None


def line_along(
    roads: Roads, path: Sequence[int], yaw: float, reach: float, aim: np.ndarray | None, wait: float, swerve: float
) -> np.ndarray:
    """Points (n, 2) every STEP metres, at least `reach` metres on from the origin, which it leaves along `yaw`.

    It eases onto the first lane, after `wait` metres changes lanes over `swerve` metres each, and ends beside the
    last lane's centre where `aim` (2,), if given, lies.
    """
    strands = _strands(roads, path, reach)
    if aim is not None:
        strands[-1] = _shifted(strands[-1], aim)
    line = np.arange(0.0, reach + swerve, STEP)[:, None] * np.array([[np.cos(yaw), np.sin(yaw)]])
    at = 0.0
    for i, strand in enumerate(strands):
        if i > 0:  # not before the lane to change to begins
            begins = float(shapely.LineString(line).project(shapely.Point(strand[0])))
            at = max(at + (wait if i == 1 else swerve), begins)
        line = _blended(line, at, swerve, strand, reach)
    return line


def _strands(roads: Roads, path: Sequence[int], reach: float) -> list[np.ndarray]:
    """Centre lines of the stretches of the path without a lane change, each led on beyond its end."""
    after: dict[int, list[int]] = {}
    for a, b in roads.map.lanes.successors.tolist():
        after.setdefault(a, []).append(b)
    groups = [[path[0]]]
    for a, b in zip(path[:-1], path[1:], strict=True):
        if b in after.get(a, ()):
            groups[-1].append(b)
        else:
            groups.append([b])
    return [_led_on(roads, group, after, reach) for group in groups]


def _led_on(roads: Roads, lanes: Sequence[int], after: dict[int, list[int]], reach: float) -> np.ndarray:
    lanes, line = list(lanes), _joined([roads.center(i) for i in lanes])
    while lengths(line)[-1] < reach + 100.0:
        step = line[-1] - line[-2]
        onward = [(roads.center(j), j) for j in after.get(lanes[-1], ()) if j not in lanes]
        if not onward:
            break
        best, lane = max(onward, key=lambda c: _unit(c[0][1] - c[0][0]) @ _unit(step))
        lanes.append(lane)
        line = _joined([line, best])
    return np.concatenate([line, line[-1:] + _unit(line[-1] - line[-2]) * (reach + 100.0)])


def _joined(lines: Sequence[np.ndarray]) -> np.ndarray:
    line = np.concatenate(lines)
    return line[np.concatenate([[True], np.hypot(*np.diff(line, axis=0).T) > 1e-3])]


def _unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.hypot(*v)), 1e-9)


def even(line: np.ndarray, spacing: float) -> np.ndarray:
    """The line with points every `spacing` metres."""
    s = lengths(line)
    grid = np.arange(0.0, s[-1], spacing)
    return np.column_stack([np.interp(grid, s, line[:, i]) for i in range(2)])


def _shifted(strand: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """The strand moved sideways onto `aim`, by at most a lane's half."""
    line = even(strand, STEP)
    k = int(np.hypot(*(line - aim).T).argmin())
    way = np.gradient(line, axis=0)
    normal = np.column_stack([-way[:, 1], way[:, 0]]) / np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    return line + np.clip((aim - line[k]) @ normal[k], -1.8, 1.8) * normal


def _blended(line: np.ndarray, at: float, blend: float, strand: np.ndarray, reach: float) -> np.ndarray:
    """`line` up to `at`, then over `blend` metres onto `strand`, first and second derivatives continuous."""
    strand = even(strand, STEP)
    smooth = gaussian_filter1d(strand, 1.5 / STEP, axis=0, mode="nearest")  # corners of coarse bounds
    smooth[0], smooth[-1] = strand[0], strand[-1]
    first = int(round(at / STEP))
    begin = line[min(first, len(line) - 1)]
    near = shapely.LineString(smooth).project(shapely.Point(begin))
    grid = np.arange(0.0, max(reach - at, 0.0) + blend, STEP)
    s, own = lengths(smooth), lengths(line)
    target = np.column_stack([np.interp(near + grid, s, smooth[:, i]) for i in range(2)])
    source = np.column_stack([np.interp(at + grid, own, line[:, i]) for i in range(2)])
    beyond = np.maximum(at + grid - own[-1], 0.0)[:, None] * _unit(line[-1] - line[-2])
    u = np.clip(grid / blend, 0.0, 1.0)[:, None]
    weight = u**3 * (10 - 15 * u + 6 * u**2)
    return even(np.concatenate([line[:first], (1 - weight) * (source + beyond) + weight * target]), STEP)
