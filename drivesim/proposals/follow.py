"""IDM along a path among forecast tracks and red lights, as PDM-Closed rolls its proposals out. Numba."""

from __future__ import annotations

import numba
import numpy as np

from .gaps import box_to_box, box_to_ring, box_to_segment, to_segment

STRIDE = 4
"""Every how many points of a path are looked at first; they lie about a metre apart, and every place on the path
within as many metres of one."""


@numba.njit(error_model="numpy", _nrt=False)
def _pose(path, s):
    """Pose at arc length s of a path (P, 4) of x, y, yaw, s, linear in between; kept beyond its ends."""
    i = min(max(np.searchsorted(path[:, 3], s) - 1, 0), len(path) - 2)
    a, b = path[i], path[i + 1]
    t = min(max((s - a[3]) / (b[3] - a[3]), 0.0), 1.0)
    turn = (b[2] - a[2] + np.pi) % (2 * np.pi) - np.pi
    return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * turn


@numba.njit(error_model="numpy", _nrt=False)
def _in_the_way(path, first, last, width, x, y, cos, sin, half_length, half_width):
    """Arc length of a box's middle on a path if the box is within `width` of its piece [first, last], else -1."""
    reach, best, near = np.hypot(half_length, half_width) + width, np.inf, first
    far = np.inf  # every few points first: most tracks are nowhere near
    for i in range(first, last + STRIDE, STRIDE):
        j = min(i, last)
        far = min(far, (x - path[j, 0]) ** 2 + (y - path[j, 1]) ** 2)
    if far > (reach + STRIDE) ** 2:
        return -1.0
    for i in range(first, last):
        d = to_segment(x, y, path[i, 0], path[i, 1], path[i + 1, 0], path[i + 1, 1])
        if d < best:
            best, near = d, i
    if not best <= reach * reach:
        return -1.0
    found = False
    for i in range(first, last):
        if to_segment(x, y, path[i, 0], path[i, 1], path[i + 1, 0], path[i + 1, 1]) > reach * reach:
            continue
        d = box_to_segment(x, y, cos, sin, half_length, half_width,
                           path[i, 0], path[i, 1], path[i + 1, 0], path[i + 1, 1])  # fmt: skip
        if d <= width * width:
            found = True
            break
    if not found:
        return -1.0
    ex, ey = path[near + 1, 0] - path[near, 0], path[near + 1, 1] - path[near, 1]
    t = min(max(((x - path[near, 0]) * ex + (y - path[near, 1]) * ey) / (ex * ex + ey * ey), 0.0), 1.0)
    return path[near, 3] + t * (path[near + 1, 3] - path[near, 3])


@numba.njit(cache=True, error_model="numpy")
def places_of_red(path, first, last, width, rings, offsets):
    """Arc length (R,) of the middle of rings on a path if they come within `width` of its piece, else -1."""
    out = np.full(len(offsets) - 1, -1.0)
    for r in range(len(out)):
        ring = rings[offsets[r] : offsets[r + 1]]
        met = False
        for i in range(first, last):
            dx, dy = path[i + 1, 0] - path[i, 0], path[i + 1, 1] - path[i, 1]
            length = np.hypot(dx, dy)
            if box_to_ring((path[i, 0] + path[i + 1, 0]) / 2, (path[i, 1] + path[i + 1, 1]) / 2,
                           dx / length, dy / length, length / 2, 0.0, ring) <= width:  # fmt: skip
                met = True
                break
        if not met:
            continue
        x, y, best = ring[:, 0].mean(), ring[:, 1].mean(), np.inf
        for i in range(len(path) - 1):
            d = to_segment(x, y, path[i, 0], path[i, 1], path[i + 1, 0], path[i + 1, 1])
            if d < best:
                ex, ey = path[i + 1, 0] - path[i, 0], path[i + 1, 1] - path[i, 1]
                t = min(max(((x - path[i, 0]) * ex + (y - path[i, 1]) * ey) / (ex * ex + ey * ey), 0.0), 1.0)
                best, out[r] = d, path[i, 3] + t * (path[i + 1, 3] - path[i, 3])
    return out


@numba.njit(error_model="numpy", _nrt=False)
def _same(one, other, a):
    """Whether track `a` is where it was: boxes (6, A) of two steps."""
    return (one[0, a] == other[0, a] and one[1, a] == other[1, a]
            and one[2, a] == other[2, a] and one[3, a] == other[3, a])  # fmt: skip


@numba.njit(error_model="numpy", _nrt=False)
def _tracks_on(path, first, last, width, box, before, ignored, known, out):
    """Arc length (A,) into `out` of tracks that are in the way, -1 for who is not. Who has not moved since the boxes
    `before` has kept its place, if places are `known`."""
    for a in range(len(out)):
        if known and _same(box, before, a):
            continue
        out[a] = -1.0
        if not ignored[a] and not np.isnan(box[0, a]):
            out[a] = _in_the_way(path, first, last, width,
                                 box[0, a], box[1, a], box[2, a], box[3, a], box[4, a], box[5, a])  # fmt: skip


@numba.njit(error_model="numpy", _nrt=False)
def _leader(
    pose, s, half_length, half_width, rear, track, box, speed, yaw, static, red, red_ignored, rings, offsets
):  # fmt: skip
    """Gap to the nearest ahead of an ego with its rear axle at `pose`, arc length s, and its speed along the ego's
    heading; an infinite gap to nobody."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    x, y = pose[0] + rear * cos, pose[1] + rear * sin
    nearest, ahead = np.inf, 0.0
    for a in range(len(track)):
        if track[a] > s:
            d = box_to_box(x, y, cos, sin, half_length, half_width,
                           box[0, a], box[1, a], box[2, a], box[3, a], box[4, a], box[5, a])  # fmt: skip
            if d < nearest:
                nearest, ahead = d, 0.0 if static[a] else speed[a] * np.cos(yaw[a] - pose[2])
    for r in range(len(red)):
        if red[r] > s and not red_ignored[r]:
            d = box_to_ring(x, y, cos, sin, half_length, half_width, rings[offsets[r] : offsets[r + 1]])
            if d < nearest:
                nearest, ahead = d, 0.0
    return nearest, ahead


@numba.njit(cache=True, error_model="numpy")
def follow(
    path, place, speed, wanted, steps, dt, reach, gap, headway, acceleration, braking, exponent, half_length,
    half_width, rear, boxes, speeds, yaws, static, ignored, rings, offsets, red_ignored,
):  # fmt: skip
    """Poses (M, steps + 1, 3) of the rear axle of an ego that drives at `wanted` speeds (M,) along a path (P, 4).

    It starts at arc length `place` with `speed`. A track (T, 6, A) or a red lane ahead that stands in its way within
    `reach` metres of that place is its leader, the nearest first; without any it would stop at the path's end.
    """
    out, track = np.empty((len(wanted), steps + 1, 3)), np.empty(boxes.shape[2])
    first = min(max(np.searchsorted(path[:, 3], place) - 1, 0), len(path) - 2)
    last = min(max(np.searchsorted(path[:, 3], place + reach), first + 1), len(path) - 1)
    s, v = np.full(len(wanted), place), np.full(len(wanted), speed)
    red = places_of_red(path, first, last, half_width, rings, offsets)
    for m in range(len(wanted)):
        out[m, 0] = _pose(path, place)
    for k in range(1, steps + 1):
        row = min(k, len(boxes) - 1)
        _tracks_on(path, first, last, half_width, boxes[row], boxes[row - 1], ignored, k > 1, track)
        for m in range(len(wanted)):
            nearest, ahead = _leader(out[m, k - 1], s[m], half_length, half_width, rear, track, boxes[row],
                                     speeds[row], yaws[row], static, red, red_ignored, rings, offsets)  # fmt: skip
            if nearest == np.inf:
                nearest = path[-1, 3] - s[m] - half_length
            safe = gap + v[m] * headway + v[m] * (v[m] - ahead) / (2 * np.sqrt(acceleration * braking))
            free = (v[m] / wanted[m]) ** exponent
            a = acceleration * (1 - free - (safe / max(nearest, gap)) ** 2)
            s[m] += dt * v[m]
            v[m] = max(v[m] + dt * min(max(a, -braking), acceleration), 0.0)
            out[m, k] = _pose(path, s[m])
    return out
