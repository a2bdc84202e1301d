"""The loops of `judge` over areas: in which lanes the ego is, whether on the road, and on a red light's. Numba."""

from __future__ import annotations

import numba
import numpy as np

from drivesim.traffic.area import inside

from .gaps import SIGNS
from .road import CELL

SEVERAL_LANES, OFF_ROAD, OFF_ROUTE, CROSSING, AXLE_CROSSING = 1, 2, 4, 8, 16
"""Flags of a state: its box lies in several lanes, a corner is off the road, its middle is in no lane of the route,
its middle lies on an intersection, its rear axle does."""


@numba.njit(error_model="numpy", _nrt=False)
def _points(state, half_length, half_width, rear, px, py):
    """Corners, middle and rear axle (6,) of the ego in a state (7,), into px and py."""
    cos, sin = np.cos(state[2]), np.sin(state[2])
    px[4], py[4] = state[0] + rear * cos, state[1] + rear * sin
    px[5], py[5] = state[0], state[1]
    for c in range(4):
        along, aside = SIGNS[c, 0] * half_length, SIGNS[c, 1] * half_width
        px[c], py[c] = px[4] + along * cos - aside * sin, py[4] + along * sin + aside * cos


@numba.njit(error_model="numpy", _nrt=False)
def _in_lanes(px, py, lanes, crossing, on_route, records, starts, items, parity, segments):
    """Flags of the ego at points (6,) among `lanes` (n,), all that it may touch."""
    touched, whole, followed, flag = 0, False, False, 0
    for m in range(len(lanes)):
        lane = lanes[m]
        area, held = records[lane + 1], 0
        for c in range(4):
            held += inside(area, starts, items, parity, segments, px[c], py[c])
        touched += held > 0
        whole |= held == 4
        if (on_route[lane] or crossing[lane]) and inside(area, starts, items, parity, segments, px[4], py[4]):
            followed |= on_route[lane]
            flag |= CROSSING * crossing[lane]
        if crossing[lane] and inside(area, starts, items, parity, segments, px[5], py[5]):
            flag |= AXLE_CROSSING
    if touched > 1 and not whole:
        flag |= SEVERAL_LANES
    return flag if followed else flag | OFF_ROUTE


@numba.njit(cache=True, error_model="numpy")
def places(
    states, half_length, half_width, rear, drivable, crossing, on_route, origin, columns, rows, near, listed,
    records, starts, items, parity, segments,
):  # fmt: skip
    """Flags (N, K) of states, and the first corner (N, K) that is off the road, -1 for none."""
    count, steps = states.shape[0], states.shape[1]
    flags, corner = np.empty((count, steps), np.uint8), np.full((count, steps), -1, np.int8)
    px, py, nowhere = np.empty(6), np.empty(6), listed[:0]
    for n in range(count):
        for k in range(steps):
            _points(states[n, k], half_length, half_width, rear, px, py)
            column, row, lanes = (px[4] - origin[0]) / CELL, (py[4] - origin[1]) / CELL, nowhere
            if column >= 0 and row >= 0 and column < columns and row < rows:
                cell = int(row) * columns + int(column)
                lanes = listed[near[cell] : near[cell + 1]]
            flags[n, k] = _in_lanes(px, py, lanes, crossing, on_route, records, starts, items, parity, segments)
            for c in range(4):
                if drivable and not inside(records[0], starts, items, parity, segments, px[c], py[c]):
                    flags[n, k] |= OFF_ROAD
                    corner[n, k] = c
                    break
    return flags, corner


@numba.njit(error_model="numpy", _nrt=False)
def _crosses(ax, ay, bx, by, cx, cy, dx, dy):
    """Whether segment a-b crosses c-d."""
    ab_c = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    ab_d = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
    cd_a = (dx - cx) * (ay - cy) - (dy - cy) * (ax - cx)
    cd_b = (dx - cx) * (by - cy) - (dy - cy) * (bx - cx)
    return ab_c * ab_d <= 0 and cd_a * cd_b <= 0 and (ab_c != ab_d or cd_a != cd_b)


@numba.njit(error_model="numpy", _nrt=False)
def _meets(px, py, area, ring, starts, items, parity, segments):
    """Whether the box with corners px, py (4,) meets an area, whose border is `ring` (n, 2)."""
    for c in range(4):
        if inside(area, starts, items, parity, segments, px[c], py[c]):
            return True
    for i in range(len(ring)):
        j = i + 1 if i + 1 < len(ring) else 0
        for c in range(4):
            d = c + 1 if c < 3 else 0
            if _crosses(px[c], py[c], px[d], py[d], ring[i, 0], ring[i, 1], ring[j, 0], ring[j, 1]):
                return True
    return False


@numba.njit(cache=True, error_model="numpy")
def on_red(states, half_length, half_width, rear, red, lanes, rings, offsets, records, starts, items, parity, segments):
    """First step (N,) at which the box meets the area of one of `lanes` (S,) that is red (K, S) then, and which (N,).

    -1 for none.
    """
    count, steps = states.shape[0], min(states.shape[1], red.shape[0])
    step, which = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    reach, px, py = np.hypot(half_length, half_width), np.empty(6), np.empty(6)
    for n in range(count):
        for k in range(steps):
            _points(states[n, k], half_length, half_width, rear, px, py)
            for r in range(len(lanes)):
                area, lane = records[lanes[r] + 1], lanes[r]
                if not red[k, r] or px[4] < area.x - reach or py[4] < area.y - reach:
                    continue
                if px[4] > area.x + area.columns * area.cell + reach or py[4] > area.y + area.rows * area.cell + reach:
                    continue
                if _meets(px, py, area, rings[offsets[lane] : offsets[lane + 1]], starts, items, parity, segments):
                    step[n], which[n] = k, r
                    break
            if step[n] >= 0:
                break
    return step, which
