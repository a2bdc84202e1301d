"""What the kernel knows beforehand of every point of a route: where the way ahead lies, and how unmistakable it is."""

from __future__ import annotations

import numba
import numpy as np

from .following import SPACING, STRAY

HORIZON = 60.0
"""Looked ahead for a leader [m]."""

DISCS = int(HORIZON / SPACING)

CORRIDOR = np.dtype([(name, np.float32) for name in ("x", "y", "cos", "sin", "half_length", "half_width")])
"""Box around all places of the nose from a point of a route to HORIZON after it [m]."""

ROUNDING = 8 * 2.0**-24
"""Relative to coordinates, how much wider a corridor is than it needs to be, for single precision; and by 1 cm."""

WINDOW = int(2 * STRAY / SPACING) + 2
"""Segments before and after the one that a body is found on among which it was looked for, at most."""


def corridors(noses: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """CORRIDOR of each point of routes: noses (P, 2) of all, one after the other, beginning at `starts` (A,)."""
    out = np.zeros(len(noses), CORRIDOR)
    _corridors(np.ascontiguousarray(noses, np.float64), starts, counts, out)
    return out


def clearances(points: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Squared distance (P,) [m^2] from each segment of routes (P, 2) up to which a body has no nearer one but perhaps
    its neighbours, within the WINDOW; 0 where there is no segment or the route comes back."""
    return _clearances(np.ascontiguousarray(points, np.float64), starts, counts)


@numba.njit(cache=True, error_model="numpy")
def _corridors(noses, starts, counts, out):
    places = np.empty((DISCS + 1, 2))
    for i in range(len(starts)):
        line = noses[starts[i] : starts[i] + counts[i]]
        for k in range(len(line)):
            for m in range(DISCS + 1):  # the last segment goes straight on, as in kernel.leaders.disc_at
                last = min(k + m, max(len(line) - 2, 0))
                places[m] = line[last] + (line[min(last + 1, len(line) - 1)] - line[last]) * (k + m - last)
            _bound(places, out[starts[i] + k])


@numba.njit(error_model="numpy")
def _bound(places, corridor):
    """Box around places (N, 2), as long as they are from first to last."""
    dx, dy = places[-1] - places[0]
    way = max(np.sqrt(dx * dx + dy * dy), 1e-9)
    corridor.cos, corridor.sin = dx / way, dy / way
    cos, sin = np.float64(corridor.cos), np.float64(corridor.sin)
    along, beside = places[:, 0] * cos + places[:, 1] * sin, places[:, 1] * cos - places[:, 0] * sin
    u, v = (along.min() + along.max()) / 2, (beside.min() + beside.max()) / 2
    room = 0.01 + ROUNDING * np.abs(places).max()
    corridor.x, corridor.y = u * cos - v * sin, u * sin + v * cos
    corridor.half_length = (along.max() - along.min()) / 2 + room
    corridor.half_width = (beside.max() - beside.min()) / 2 + room


@numba.njit(cache=True, error_model="numpy")
def _clearances(points, starts, counts):
    out = np.zeros(len(points), np.float32)
    for i in range(len(starts)):
        line = points[starts[i] : starts[i] + counts[i]]
        for k in range(len(line) - 1):
            middle, step = (line[k] + line[k + 1]) / 2, line[k + 1] - line[k]
            least = np.inf
            for m in range(max(k - WINDOW, 0), min(k + WINDOW + 1, len(line) - 1)):
                if abs(m - k) > 1:
                    least = min(least, _distance(middle, line[m], line[m + 1]))
            # from a body that is d beside the segment its middle is at most half a segment further
            room = (least - np.sqrt(step[0] ** 2 + step[1] ** 2) / 2) / 2 - 1e-3
            out[starts[i] + k] = min(max(room, 0.0), STRAY) ** 2
    return out


@numba.njit(error_model="numpy")
def _distance(place, a, b):
    dx, dy, rx, ry = b[0] - a[0], b[1] - a[1], place[0] - a[0], place[1] - a[1]
    t = min(max((rx * dx + ry * dy) / max(dx * dx + dy * dy, 1e-9), 0.0), 1.0)
    return np.sqrt((rx - t * dx) ** 2 + (ry - t * dy) ** 2)
