"""Lines traced through lidar points as seen from above: painted markings, walls, fences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from ..types import Marking


def traced(points: np.ndarray, step: float, width: float, shortest: float, longest: float = 200.0) -> list[np.ndarray]:
    """Lines (n, 3) through points (N, 3), longer than `shortest` metres.

    From the place with most points on, a line grows to both ends as long as the next `step` metres hold points within
    `width` of its direction; then it takes what lies within 1.5 `width` of it. Ties go to the lower index.
    """
    if len(points) == 0:
        return []
    first, count = _occupied(points, width / 2)
    cloud = points[first].astype(float)
    tree, free = cKDTree(cloud[:, :2]), np.ones(len(cloud), bool)
    lines = []
    for seed in np.argsort(-count, kind="stable").tolist():
        if not free[seed]:
            continue
        line = _trace(cloud, tree, free, seed, step, width, int(longest / step))
        near = tree.query_ball_point(_dense(line), 1.5 * width)
        free[np.concatenate([np.array(n, int) for n in near])] = False
        free[seed] = False
        if np.hypot(*np.diff(line[:, :2], axis=0).T).sum() >= shortest:
            lines.append(line)
    return lines


def _dense(line: np.ndarray) -> np.ndarray:
    """The line (n, 2) with three more points between any two."""
    share = np.arange(0, len(line) - 0.75, 0.25)
    return np.stack([np.interp(share, np.arange(len(line)), line[:, i]) for i in (0, 1)], 1)


def _occupied(points: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """For each square cell that holds points (N, 2+): the first of them and how many."""
    column, row = (np.floor(points[:, i] / cell).astype(np.int64) for i in (0, 1))
    _, first, count = np.unique((row << 32) + column, return_index=True, return_counts=True)
    return first, count


def _trace(cloud: np.ndarray, tree: cKDTree, free, seed: int, step: float, width: float, steps: int) -> np.ndarray:
    near = np.array(tree.query_ball_point(cloud[seed, :2], 1.2 * step))
    near = near[free[near]]
    spread = cloud[near, :2] - cloud[near, :2].mean(0)
    direction = np.linalg.eigh(spread.T @ spread + 1e-9 * np.eye(2))[1][:, 1]
    inline = np.abs((cloud[near, :2] - cloud[seed, :2]) @ [-direction[1], direction[0]]) < width
    center = cloud[near[inline]].mean(0)
    ahead = _grow(cloud, tree, free, center, direction, step, width, steps)
    behind = _grow(cloud, tree, free, center, -direction, step, width, steps)
    return np.array(behind[::-1] + [center] + ahead)


def _grow(cloud, tree, free, start, direction, step: float, width: float, steps: int) -> list[np.ndarray]:
    """Points from `start` on, each about a step ahead on the middle of what lies there."""
    line, at = [], start
    for _ in range(steps):
        near = np.array(tree.query_ball_point(at[:2] + 0.75 * step * direction, 0.75 * step), dtype=int)
        offset = cloud[near, :2] - at[:2]
        along, across = offset @ direction, offset @ [-direction[1], direction[0]]
        ok = free[near] & (along > 0.2 * step) & (np.abs(across) < width)
        if ok.sum() < 2:
            break
        middle, reach = cloud[near[ok]].mean(0), along[ok].max()
        turn = (middle - at)[:2] / np.hypot(*(middle - at)[:2])
        direction = direction + 0.4 * (turn - direction)
        direction = direction / np.hypot(*direction)
        at = np.append(at[:2] + direction * min(reach, step), middle[2])
        line.append(at)
        if reach < 0.6 * step:
            break
    return line


def painted_lines(points: np.ndarray) -> list[np.ndarray]:
    """Lines (n, 3) of a metre or more through points (N, 3) on paint; every dash is a line of its own."""
    lines = traced(points, step=0.5, width=0.2, shortest=1.0)
    for line in lines:
        line[1:-1] = gaussian_filter1d(line, min(len(line) / 4, 3.0), axis=0, mode="nearest")[1:-1]
    return lines


def paint_kinds(lines: Sequence[np.ndarray], paths: Sequence[np.ndarray], reach: float = 6.0) -> list[int]:
    """A Marking for each line: yellow where traffic passes it to both sides in opposite directions, else white.

    Lidar tells no colour; the rule is that of American roads. paths (n, 3): where vehicles drove.
    """
    steps = np.concatenate([np.diff(p[:, :2], axis=0) for p in paths])
    places = np.concatenate([p[:-1, :2] for p in paths])
    moving = np.hypot(*steps.T) > 0.05
    steps, places = steps[moving], places[moving]
    kinds = []
    for line in lines:
        middle, along = line[len(line) // 2, :2], line[-1, :2] - line[0, :2]
        along = along / max(float(np.hypot(*along)), 1e-9)
        offset = places - middle
        side = offset @ [-along[1], along[0]]
        near = (np.abs(offset @ along) < 15) & (np.abs(side) < reach)
        flow = steps @ along
        left, right = flow[near & (side > 0)].sum(), flow[near & (side < 0)].sum()
        kinds.append(int(Marking.SOLID_YELLOW if left * right < 0 else Marking.SOLID_WHITE))
    return kinds


def wall_lines(points: np.ndarray) -> list[np.ndarray]:
    """Lines (n, 3) of two metres or more along walls and fences, through points (N, 3) on them."""
    return traced(points, step=1.0, width=0.3, shortest=2.0)


def straight(lines: Sequence[np.ndarray], points: np.ndarray, width: float = 0.25) -> list[np.ndarray]:
    """Those lines whose points keep to them: more within `width` than to the sides, up to four times as far."""
    if not lines or not len(points):
        return []
    kept = []
    tree = cKDTree(points[_occupied(points, 0.2)[0], :2])
    for line in lines:
        near = [tree.query_ball_point(_dense(line), r) for r in (width, 4 * width)]
        inner, outer = (len({i for found in n for i in found}) for n in near)
        if inner > outer - inner:
            kept.append(line)
    return kept
