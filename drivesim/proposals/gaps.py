"""Distances between boxes, rings and lines: how far a leader is, and who is in the way. Numba."""

from __future__ import annotations

import numba
import numpy as np

from drivesim.traffic.boxes import touch

SIGNS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])


@numba.njit(error_model="numpy", _nrt=False)
def to_segment(x, y, ax, ay, bx, by):
    """Square of the distance from a point to a segment [m^2]."""
    ex, ey, rx, ry = bx - ax, by - ay, x - ax, y - ay
    square = ex * ex + ey * ey
    t = min(max((rx * ex + ry * ey) / square, 0.0), 1.0) if square > 0 else 0.0
    return (rx - t * ex) ** 2 + (ry - t * ey) ** 2


@numba.njit(error_model="numpy", _nrt=False)
def to_box(x, y, cx, cy, cos, sin, half_length, half_width):
    """Square of the distance from a point to a box [m^2], 0 inside."""
    dx, dy = x - cx, y - cy
    u = max(abs(dx * cos + dy * sin) - half_length, 0.0)
    v = max(abs(dy * cos - dx * sin) - half_width, 0.0)
    return u * u + v * v


@numba.njit(error_model="numpy", _nrt=False)
def box_to_segment(cx, cy, cos, sin, half_length, half_width, ax, ay, bx, by):
    """Square of the distance from a box to a segment [m^2], 0 where they meet."""
    ex, ey = bx - ax, by - ay
    length = np.sqrt(ex * ex + ey * ey)
    along, aside = (ex / length, ey / length) if length > 0 else (1.0, 0.0)
    if touch(cx, cy, cos, sin, half_length, half_width, (ax + bx) / 2, (ay + by) / 2, along, aside, length / 2, 0.0):
        return 0.0
    best = min(to_box(ax, ay, cx, cy, cos, sin, half_length, half_width),
               to_box(bx, by, cx, cy, cos, sin, half_length, half_width))  # fmt: skip
    for c in range(4):
        u, v = SIGNS[c, 0] * half_length, SIGNS[c, 1] * half_width
        best = min(best, to_segment(cx + u * cos - v * sin, cy + u * sin + v * cos, ax, ay, bx, by))
    return best


@numba.njit(error_model="numpy", _nrt=False)
def box_to_box(x0, y0, cos0, sin0, l0, w0, x1, y1, cos1, sin1, l1, w1):
    """Distance between two boxes [m], 0 where they meet; half lengths and half widths."""
    if touch(x0, y0, cos0, sin0, l0, w0, x1, y1, cos1, sin1, l1, w1):
        return 0.0
    best = np.inf
    for c in range(4):
        u, v = SIGNS[c, 0], SIGNS[c, 1]
        px, py = x0 + u * l0 * cos0 - v * w0 * sin0, y0 + u * l0 * sin0 + v * w0 * cos0
        best = min(best, to_box(px, py, x1, y1, cos1, sin1, l1, w1))
        px, py = x1 + u * l1 * cos1 - v * w1 * sin1, y1 + u * l1 * sin1 + v * w1 * cos1
        best = min(best, to_box(px, py, x0, y0, cos0, sin0, l0, w0))
    return np.sqrt(best)


@numba.njit(error_model="numpy", _nrt=False)
def in_ring(x, y, ring):
    """Whether a point lies in a ring (n, 2)."""
    odd, j = False, len(ring) - 1
    for i in range(len(ring)):
        if (ring[i, 1] > y) != (ring[j, 1] > y):
            at = ring[i, 0] + (y - ring[i, 1]) / (ring[j, 1] - ring[i, 1]) * (ring[j, 0] - ring[i, 0])
            odd ^= at > x
        j = i
    return odd


@numba.njit(error_model="numpy", _nrt=False)
def box_to_ring(x, y, cos, sin, half_length, half_width, ring):
    """Distance from a box to the area in a ring (n, 2) [m], 0 where they meet."""
    if in_ring(x, y, ring):
        return 0.0
    best, j = np.inf, len(ring) - 1
    for i in range(len(ring)):
        best = min(best, box_to_segment(x, y, cos, sin, half_length, half_width,
                                        ring[j, 0], ring[j, 1], ring[i, 0], ring[i, 1]))  # fmt: skip
        j = i
    return np.sqrt(best)


@numba.njit(cache=True, error_model="numpy")
def box_in_ring(x, y, cos, sin, half_length, half_width, ring):
    """Whether all corners of a box lie in a ring (n, 2)."""
    for c in range(4):
        u, v = SIGNS[c, 0] * half_length, SIGNS[c, 1] * half_width
        if not in_ring(x + u * cos - v * sin, y + u * sin + v * cos, ring):
            return False
    return True
