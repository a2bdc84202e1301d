"""Places on a route: points a metre apart, straight on beyond both ends."""

from __future__ import annotations

import numba
import numpy as np

from drivesim.traffic.following import SPACING, STRAY

device = numba.njit(inline="never", error_model="numpy", _nrt=False)
"""Functions of the kernel that allocate nothing: `_nrt=False` spares the counting of references to every array that
they are given. Only the kernel's entries are cached on disk, see `compiled.py`."""

allocates = numba.njit(inline="never", error_model="numpy")
"""The others, that make scratch arrays."""


@device
def length(x, y):
    return np.sqrt(x * x + y * y)


@device
def segment(agent, s):
    """Index of the segment that holds arc length s, the first or last one beyond the ends."""
    last = max(agent.points - 2, 0)
    return agent.route + min(max(int(np.floor(s / SPACING)), 0), last)


@device
def point_at(points, agent, s):
    """Place (x, y) of the box's middle at arc length s."""
    i = segment(agent, s)
    t = s / SPACING - (i - agent.route)
    a, b = points[i], points[i + 1]
    ax, ay = np.float64(a.x), np.float64(a.y)
    return ax + (b.x - ax) * t, ay + (b.y - ay) * t


@device
def axle_at(points, agent, s):
    """Place (x, y) of the rear axle when the box's middle is at arc length s."""
    i = segment(agent, s)
    t = s / SPACING - (i - agent.route)
    a, b = points[i], points[i + 1]
    ax, ay = np.float64(a.axle_x), np.float64(a.axle_y)
    return ax + (b.axle_x - ax) * t, ay + (b.axle_y - ay) * t


@device
def to_segment(points, k, x, y):
    """Squared distance of (x, y) to the segment from point k on, and the place along it, beyond 0..1 past its ends."""
    a, b = points[k], points[k + 1]
    dx, dy = np.float64(b.x) - a.x, np.float64(b.y) - a.y
    rx, ry = x - a.x, y - a.y
    t = (rx * dx + ry * dy) / max(dx * dx + dy * dy, 1e-9)
    clamped = min(max(t, 0.0), 1.0)
    return (rx - clamped * dx) ** 2 + (ry - clamped * dy) ** 2, t


@device
def downhill(points, route, x, y, first, end, k):
    """Segment between first and end, from k on in the direction in which they come nearer, of whose neighbours none is
    nearer; of equals, the first. Its squared distance and the place along it."""
    best = k
    closest, place = to_segment(points, route + k, x, y)
    while best < end:
        d, t = to_segment(points, route + best + 1, x, y)
        if d >= closest:
            break
        best, closest, place = best + 1, d, t
    if best > k:
        return best, closest, place
    while best > first:
        d, t = to_segment(points, route + best - 1, x, y)
        if d > closest:
            break
        best, closest, place = best - 1, d, t
    return best, closest, place


@device
def outwards(points, route, x, y, first, end, begin):
    """The same of all segments between first and end, from `begin` on both ways, skipping what cannot be nearer:
    segments are a metre long."""
    best, closest, place, k, least = begin, np.inf, 0.0, begin, np.inf
    while k <= end:
        d, t = to_segment(points, route + k, x, y)
        if d < closest:
            best, closest, place, least = k, d, t, np.sqrt(d)
            k += 1
        else:
            k += max(int(np.sqrt(d) - least - 1e-6), 0) + 1
    k = begin - 1
    while k >= first:
        d, t = to_segment(points, route + k, x, y)
        if d <= closest:
            best, closest, place, least = k, d, t, np.sqrt(d)
            k -= 1
        else:
            k -= max(int(np.sqrt(d) - least - 1e-6), 0) + 1
    return best, closest, place


@device
def locate(points, agent, x, y, near):
    """Arc length and lateral offset, left positive, of (x, y); only within STRAY of `near`, unless that is NaN."""
    last = max(agent.points - 2, 0)
    route, first, end, begin = agent.route, 0, last, 0
    known = not np.isnan(near)
    best, closest, place = 0, np.inf, 0.0
    if known:
        middle = min(near, SPACING * last)
        first = max(int(np.ceil((middle - STRAY) / SPACING)), 0)
        end = min(max(int(np.floor((middle + STRAY) / SPACING)), 0), last)
        begin = min(max(int(middle / SPACING), first), end)
        best, closest, place = downhill(points, route, x, y, first, end, begin)
    if closest >= points[route + best].clear:  # another stretch may be nearer
        best, closest, place = outwards(points, route, x, y, first, end, begin)
    a, b = points[route + best], points[route + best + 1]
    dx, dy = np.float64(b.x) - a.x, np.float64(b.y) - a.y
    rx, ry = x - a.x, y - a.y
    if best > 0:
        place = max(place, 0.0)
    if best < last:
        place = min(place, 1.0)
    lateral = np.sqrt((rx - place * dx) ** 2 + (ry - place * dy) ** 2)
    if dx * ry - dy * rx < 0:
        lateral = -lateral
    return SPACING * best + place * np.sqrt(dx * dx + dy * dy), lateral
