"""How far the nearest other box is, and how soon the one ahead would be hit."""

from __future__ import annotations

import math

import numba
import numpy as np

ROUNDING = 0.7
"""Corners of a box are rounded by this share of half its shorter side: 0 is a rectangle, 1 a capsule. As Waymo does."""
LONGEST = 5.0
"""Times to collision are cut here [s]; also that of an agent that closes in on nobody."""
ALIGNED = math.radians(75.0)
"""Whom one follows differs in heading by at most this [rad]..."""
WELL_ALIGNED = math.radians(10.0)
SMALL_OVERLAP = 0.5
"""...and by at most WELL_ALIGNED where it overlaps the own straight path by no more than this [m]."""


def nearest_object(boxes: np.ndarray, there: np.ndarray, who: np.ndarray, rounding: float = ROUNDING) -> np.ndarray:
    """Signed distance (R, E, T) [m] from agents `who` (E,) to the nearest other; negative is how deep they overlap.

    `boxes` (R, A, T, 5) are x, y, yaw, length, width in R rollouts, `there` (R, A, T) bool. A box is its rectangle
    with corners rounded by `rounding`. NaN where the agent is absent, inf where nobody else is there.
    """
    half = boxes[..., 3:5] / 2
    round_off = rounding * half.min(-1)
    cores = np.concatenate([boxes[..., :2], _heading(boxes[..., 2]), half - round_off[..., None]], -1)
    reach = np.sqrt((half**2).sum(-1))
    return _nearest(np.ascontiguousarray(cores), round_off, reach, there, who)


@numba.njit(cache=True)
def _nearest(cores, round_off, reach, there, who):
    rollouts, agents, steps, _ = cores.shape
    out = np.full((rollouts, len(who), steps), np.nan)
    for r in range(rollouts):
        for e in range(len(who)):
            i = who[e]
            for t in range(steps):
                if not there[r, i, t]:
                    continue
                best = np.inf
                for j in range(agents):
                    if j == i or not there[r, j, t]:
                        continue
                    apart = np.hypot(cores[r, j, t, 0] - cores[r, i, t, 0], cores[r, j, t, 1] - cores[r, i, t, 1])
                    if apart - reach[r, i, t] - reach[r, j, t] >= best:
                        continue
                    gap = _gap(cores[r, i, t], cores[r, j, t]) - round_off[r, i, t] - round_off[r, j, t]
                    best = min(best, gap)
                out[r, e, t] = best
    return out


@numba.njit(cache=True)
def _gap(a, b):
    """Signed distance of two rectangles (x, y, cos, sin, half length, half width): that of the origin to their
    Minkowski difference."""
    apart = -np.inf  # along the axes that could separate them
    for one, two in ((a, b), (b, a)):
        dx, dy = two[0] - one[0], two[1] - one[1]
        c = abs(one[2] * two[2] + one[3] * two[3])
        s = abs(one[2] * two[3] - one[3] * two[2])
        along = abs(dx * one[2] + dy * one[3]) - one[4] - c * two[4] - s * two[5]
        across = abs(dy * one[2] - dx * one[3]) - one[5] - s * two[4] - c * two[5]
        apart = max(apart, along, across)
    if apart <= 0:
        return apart
    nearest = np.inf  # two rectangles apart are nearest at a corner of one of them
    for one, two in ((a, b), (b, a)):
        for sl, sw in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
            x = two[0] + sl * two[4] * two[2] - sw * two[5] * two[3] - one[0]
            y = two[1] + sl * two[4] * two[3] + sw * two[5] * two[2] - one[1]
            beyond = max(abs(x * one[2] + y * one[3]) - one[4], 0.0)
            beside = max(abs(y * one[2] - x * one[3]) - one[5], 0.0)
            nearest = min(nearest, beyond * beyond + beside * beside)
    return np.sqrt(nearest)


def time_to_collision(boxes: np.ndarray, speed: np.ndarray, there: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Time (R, E, T) [s] until agents `who` (E,) reach the one they follow if both keep their speeds (R, A, T) [m/s].

    Followed is the nearest whose box begins ahead of the own front, overlaps the own straight path, and heads the same
    way (see the constants). LONGEST where there is none, where it is not approached, and where a speed is not known.
    NaN where the agent is absent. `boxes` and `there` as for `nearest_object`.
    """
    return _following(np.ascontiguousarray(boxes), speed, there, who)


@numba.njit(cache=True)
def _following(boxes, speed, there, who):
    rollouts, agents, steps, _ = boxes.shape
    out = np.full((rollouts, len(who), steps), np.nan)
    for r in range(rollouts):
        for e in range(len(who)):
            i = who[e]
            for t in range(steps):
                if not there[r, i, t]:
                    continue
                me, ahead, leader = boxes[r, i, t], np.inf, -1
                c, s = np.cos(me[2]), np.sin(me[2])
                for j in range(agents):
                    if j == i or not there[r, j, t]:
                        continue
                    gap = _distance_ahead(me, c, s, boxes[r, j, t])
                    if gap < ahead:
                        ahead, leader = gap, j
                out[r, e, t] = LONGEST
                if leader >= 0:
                    closing = speed[r, i, t] - speed[r, leader, t]
                    if closing > 0:
                        out[r, e, t] = min(ahead / closing, LONGEST)
    return out


@numba.njit(cache=True)
def _distance_ahead(me, c, s, other):
    """From the front of `me` to the rear of a box that it follows; inf if it does not."""
    dx, dy = other[0] - me[0], other[1] - me[1]
    turn = abs((other[2] - me[2] + np.pi) % (2 * np.pi) - np.pi)
    along, across = abs(np.cos(turn)), abs(np.sin(turn))
    gap = c * dx + s * dy - (me[3] + along * other[3] + across * other[4]) / 2
    aside = abs(c * dy - s * dx) - (me[4] + across * other[3] + along * other[4]) / 2
    limit = ALIGNED if aside < -SMALL_OVERLAP else WELL_ALIGNED
    return gap if gap > 0 and aside < 0 and turn <= limit else np.inf


def _heading(yaw: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(yaw), np.sin(yaw)], -1)
