"""Centre lines of lanes: from arcs and straights, or from a lane's area and its edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LONGEST = 5000.0  # [m] of a lane; a longer one is a broken number

_TURN = {"L": 1.0, "S": 0.0, "R": -1.0}


def arcline(paths: Sequence[dict[str, Any]], spacing: float = 1.0) -> np.ndarray:
    """Points (n, 2), at most `spacing` metres apart, along paths of three pieces each: arcs to the left or right, and
    straights. Raises ValueError or KeyError for what is none."""
    line = np.concatenate([_points(path, spacing) for path in paths])
    line = line[np.concatenate([[True], np.hypot(*np.diff(line, axis=0).T) > 0.05])]
    if len(line) < 2 or not np.isfinite(line).all() or np.abs(line).max() > 1e6:
        raise ValueError("no line")
    return line


def _points(path: dict[str, Any], spacing: float) -> np.ndarray:
    x, y, yaw = (float(v) for v in path["start_pose"])
    radius, lengths = float(path["radius"]), [float(v) for v in path["segment_length"]]
    turns = [_TURN[letter] for letter in path["shape"]]
    if not (len(lengths) == len(turns) == 3 and min(lengths) > -1e-6 and sum(lengths) < LONGEST and radius > 0.1):
        raise ValueError("no path of arcs and straights")
    parts = [np.array([[x, y]])]
    for length, turn in zip(lengths, turns, strict=True):
        s = np.linspace(0, max(length, 0.0), max(math.ceil(length / spacing), 1) + 1)[1:]
        bend = turn / radius * s
        chord = s * np.sinc(bend / (2 * np.pi))  # an arc's chord has the mean of both directions
        points = np.array([x, y]) + chord[:, None] * np.column_stack([np.cos(yaw + bend / 2), np.sin(yaw + bend / 2)])
        (x, y), yaw = points[-1], yaw + float(bend[-1])
        parts.append(points)
    return np.concatenate(parts)


def between_edges(ring: np.ndarray, entry: np.ndarray, exit: np.ndarray, spacing: float = 2.0) -> np.ndarray:
    """Middle line (n, 2) of a lane with the area `ring` (m, 2), from its `entry` edge (k, 2) to its `exit` edge.

    Raises ValueError where the edges are not at both ends of the area.
    """
    area = np.cross(ring - ring[0], np.roll(ring, -1, 0) - ring[0]).sum()
    ring = ring if area > 0 else ring[::-1]  # counter-clockwise: what runs from entry to exit is the right side
    a, b, c, d = (int(np.hypot(*(ring - p).T).argmin()) for p in (entry[0], entry[-1], exit[0], exit[-1]))
    for start, other in ((a, b), (b, a)):
        for stop, end in ((c, d), (d, c)):
            right, left = _walk(start, stop, len(ring)), _walk(end, other, len(ring))
            if not set(right) & set(left):
                sides = ring[right], ring[left][::-1]
                longest = max(np.hypot(*np.diff(s, axis=0).T).sum() for s in sides)
                if longest > LONGEST:
                    raise ValueError("too long")
                count = max(math.ceil(longest / spacing), 1) + 1
                line = (_even(sides[0], count) + _even(sides[1], count)) / 2
                if len(line) > 1 and np.hypot(*(line[-1] - line[0])) > 0.1:
                    return line
    raise ValueError("edges that are no ends")


def _walk(start: int, stop: int, count: int) -> list[int]:
    """Indices of a ring from one to another, forwards."""
    return [(start + i) % count for i in range((stop - start) % count + 1)]


def _even(line: np.ndarray, count: int) -> np.ndarray:
    s = np.concatenate([[0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    grid = np.linspace(0, s[-1], count)
    return np.column_stack([np.interp(grid, s, line[:, i]) for i in range(2)])
