"""The loops of `judge` over tracks and along the route: whom the ego meets, how far it gets. Numba, one proposal after
the other."""

from __future__ import annotations

import numba
import numpy as np

from drivesim.traffic.boxes import touch

from .places import AXLE_CROSSING, OFF_ROAD, SEVERAL_LANES

STOPPED_EGO, STOPPED_TRACK, REAR, FRONT, LATERAL = range(5)
"""How two met, in the order in which it is asked."""

WINDOW = 25.0
"""How much farther than it moved a projection on the route may jump in a step [m]: a route may come by twice."""


@numba.njit(error_model="numpy", _nrt=False)
def bearing(x, y, cos, sin, to_x, to_y):
    """Angle in [0, pi] between a heading and the line from (x, y) to a point [rad]."""
    dx, dy = to_x - x, to_y - y
    return np.arctan2(abs(dy * cos - dx * sin), dx * cos + dy * sin)


@numba.njit(error_model="numpy", _nrt=False)
def _meeting(x, y, cos, sin, half_length, half_width, rear, speed, box, a, track_speed, static, stopped, behind):
    """How an ego with its middle at (x, y) and track `a` of boxes (6, A) met."""
    if speed <= stopped:
        return STOPPED_EGO
    if static or track_speed <= stopped:
        return STOPPED_TRACK
    if bearing(x - rear * cos, y - rear * sin, cos, sin, box[0, a], box[1, a]) > behind:
        return REAR
    front_x, front_y = x + half_length * cos, y + half_length * sin
    if touch(
        front_x, front_y, cos, sin, 0.0, half_width,
        box[0, a], box[1, a], box[2, a], box[3, a], box[4, a], box[5, a],
    ):  # fmt: skip
        return FRONT
    return LATERAL


@numba.njit(cache=True, error_model="numpy")
def contacts(states, flags, boxes, speeds, static, half_length, half_width, rear, stopped, behind, from_start):
    """Each track's first contact with each proposal: step (N, A), -1 for none, how they met and whose fault it is.

    `from_start` False: who is touched at the first step is left alone for good, and stands with step -2.
    """
    count, steps, tracks = states.shape[0], min(states.shape[1], boxes.shape[0]), boxes.shape[2]
    step = np.full((count, tracks), -1, np.int16)
    kind, fault = np.zeros((count, tracks), np.int8), np.zeros((count, tracks), np.bool_)
    circle = np.hypot(half_length, half_width)
    for n in range(count):
        for k in range(steps):
            yaw = states[n, k, 2]
            cos, sin = np.cos(yaw), np.sin(yaw)
            x, y = states[n, k, 0] + rear * cos, states[n, k, 1] + rear * sin
            box = boxes[k]
            for a in range(tracks):
                dx, dy = box[0, a] - x, box[1, a] - y
                reach = circle + box[4, a] + box[5, a]
                if not dx * dx + dy * dy <= reach * reach or step[n, a] != -1:
                    continue
                if not touch(
                    x, y, cos, sin, half_length, half_width,
                    box[0, a], box[1, a], box[2, a], box[3, a], box[4, a], box[5, a],
                ):  # fmt: skip
                    continue
                if k == 0 and not from_start:
                    step[n, a] = -2
                    continue
                how = _meeting(x, y, cos, sin, half_length, half_width, rear, abs(states[n, k, 3]), box, a,
                               speeds[k, a], static[a], stopped, behind)  # fmt: skip
                step[n, a], kind[n, a] = k, how
                beside = (flags[n, k] & (SEVERAL_LANES | OFF_ROAD)) != 0
                fault[n, a] = how in (FRONT, STOPPED_TRACK) or (how == LATERAL and beside)
    return step, kind, fault


@numba.njit(cache=True, error_model="numpy")
def projected(states, flags, boxes, half_length, half_width, rear, until, ahead, dt, slow, front, behind, met):
    """First step (N,) at which an ego that kept its motion would meet a track, who (N,) and how many steps later (N,).

    `met` (N, A) is -2 for who is left alone; `until` is the first step that is not asked, `ahead` (F,) the steps of
    the look ahead.
    """
    count, total, tracks = states.shape[0], boxes.shape[0], boxes.shape[2]
    step, who, later = np.full(count, -1, np.int64), np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    circle = np.hypot(half_length, half_width)
    left_alone = np.empty(tracks, np.bool_)
    for n in range(count):
        left_alone[:] = met[n] == -2
        for k in range(min(until, states.shape[1])):
            yaw, speed = states[n, k, 2], abs(states[n, k, 3])
            if speed < slow:
                continue
            cos, sin = np.cos(yaw), np.sin(yaw)
            axle_x, axle_y = states[n, k, 0], states[n, k, 1]
            between = (flags[n, k] & (SEVERAL_LANES | OFF_ROAD | AXLE_CROSSING)) != 0
            for f in range(len(ahead)):
                if step[n] >= 0 or k + ahead[f] >= total:
                    break
                way = rear + speed * dt * ahead[f]
                x, y, box = axle_x + way * cos, axle_y + way * sin, boxes[k + ahead[f]]
                for a in range(tracks):
                    dx, dy = box[0, a] - x, box[1, a] - y
                    reach = circle + box[4, a] + box[5, a]
                    if not dx * dx + dy * dy <= reach * reach or left_alone[a]:
                        continue
                    if not touch(
                        x, y, cos, sin, half_length, half_width,
                        box[0, a], box[1, a], box[2, a], box[3, a], box[4, a], box[5, a],
                    ):  # fmt: skip
                        continue
                    angle = bearing(axle_x, axle_y, cos, sin, box[0, a], box[1, a])
                    if angle < front or (between and not angle > behind):
                        step[n], who[n], later[n] = k, a, ahead[f]
                        break
                    left_alone[a] = True
            if step[n] >= 0:
                break
    return step, who, later


@numba.njit(cache=True, error_model="numpy")
def along(points, line, s, near):
    """Arc length and signed distance, left positive, of points (N, K, 2) on a line (R, 2) with arc lengths (R,).

    The first point of a proposal is projected on the line near the arc length `near`, on all of it where that is NaN;
    each further one near the one before.
    """
    count, steps, last = points.shape[0], points.shape[1], len(line) - 2
    place, aside = np.empty((count, steps)), np.empty((count, steps))
    for n in range(count):
        low, high = 0, last
        if not np.isnan(near):
            low = min(max(np.searchsorted(s, near - WINDOW) - 1, 0), last)
            high = min(np.searchsorted(s, near + WINDOW), last)
        for k in range(steps):
            x, y, best = points[n, k, 0], points[n, k, 1], np.inf
            for i in range(low, high + 1):
                ex, ey = line[i + 1, 0] - line[i, 0], line[i + 1, 1] - line[i, 1]
                rx, ry = x - line[i, 0], y - line[i, 1]
                t = min(max((rx * ex + ry * ey) / (ex * ex + ey * ey), 0.0), 1.0)
                d = (rx - t * ex) ** 2 + (ry - t * ey) ** 2
                if d < best:
                    best = d
                    place[n, k] = s[i] + t * (s[i + 1] - s[i])
                    aside[n, k] = np.sqrt(d) if ex * ry - ey * rx >= 0 else -np.sqrt(d)
            if k + 1 < steps:
                moved = np.hypot(points[n, k + 1, 0] - x, points[n, k + 1, 1] - y)
                low = min(max(np.searchsorted(s, place[n, k] - WINDOW - moved) - 1, 0), last)
                high = min(np.searchsorted(s, place[n, k] + WINDOW + moved), last)
    return place, aside


@numba.njit(cache=True, error_model="numpy")
def longest_away(aside, skipped, limit, enough):
    """First step (N,) at which `enough` steps in a row have been more than `limit` aside (N, K), -1 for none, and the
    most such steps (N,). Steps that are `skipped` (N, K) neither count nor break the row."""
    count, steps = aside.shape
    step, most = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    for n in range(count):
        row = 0
        for k in range(steps):
            if skipped[n, k]:
                continue
            row = row + 1 if abs(aside[n, k]) > limit else 0
            most[n] = max(most[n], row)
            if row == enough and step[n] < 0:
                step[n] = k
    return step, most
