"""Observations of many scenes, in scalar loops; `dense` is the torch form."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
import numpy as np

from drivesim.traffic.following import SPACING
from drivesim.types import Light

from ..kernel import routes
from ..kernel.routes import device, locate, segment
from ..tables import LineKind
from . import layout
from .layout import FAR, LANE_REACH, LANES, LOOK, NEIGHBOURS
from .sights import CELL

AHEAD = np.array(layout.AHEAD)
OWN, ROUTE, POINTS, LIGHT, STOP, YIELD, CROSSWALK, OTHERS, LANE = layout.starts().values()
IS_LIGHT, IS_STOP, IS_YIELD = int(LineKind.LIGHT), int(LineKind.STOP), int(LineKind.YIELD)
SHOWS = np.array([int(x) for x in (Light.GREEN, Light.YELLOW, Light.RED, Light.FLASHING_YELLOW, Light.FLASHING_RED)])
PASSED = -0.5
"""How far over a line a bumper may be and the line still counts [m]."""


@device
def insert(distance, who, count, d, k):
    """Put k at distance d into the nearest ones so far; of equals the first stays ahead. Returns how many there are."""
    if count == len(who):
        if not d < distance[count - 1]:
            return count
        count -= 1
    j = count
    while j > 0 and distance[j - 1] > d:
        distance[j], who[j] = distance[j - 1], who[j - 1]
        j -= 1
    distance[j], who[j] = d, k
    return count + 1


@device
def see_self(out, me, kind, cos, sin):
    out[OWN], out[OWN + 1], out[OWN + 2] = me.vx * cos + me.vy * sin, me.steering, me.acceleration
    out[OWN + 3], out[OWN + 4] = me.length, me.width
    if kind >= 0:
        out[OWN + 5 + kind] = 1
    out[OWN + 8] = 1


@device
def limit_at(points, agent, s):
    k = segment(agent, s)
    t = min(max(s / SPACING - (k - agent.route), 0.0), 1.0)
    low = np.float64(points[k].limit)
    return low + (points[k + 1].limit - low) * t


@device
def place_of(me, agent, points, near):
    """Arc length, way to the left of the route, and the speed allowed there; NaN without a route."""
    if not me.valid or agent.points == 0:
        return np.nan, np.nan, np.nan
    s, left = locate(points, agent, me.x, me.y, near)
    return s, left, limit_at(points, agent, s)


@device
def see_route(out, me, agent, points, s, left, limit, cos, sin):
    k = segment(agent, s)
    a, b = points[k], points[k + 1]
    dx, dy = np.float64(b.x) - a.x, np.float64(b.y) - a.y
    way = max(np.sqrt(dx * dx + dy * dy), 1e-12)
    out[ROUTE], out[ROUTE + 3], out[ROUTE + 5] = left, limit, 1
    out[ROUTE + 1], out[ROUTE + 2] = (dx * cos + dy * sin) / way, (dy * cos - dx * sin) / way
    out[ROUTE + 4] = agent.end - (s + me.length / 2)
    for i in range(len(AHEAD)):
        at = s + AHEAD[i]
        if at > agent.reach:
            break
        k = segment(agent, at)
        t = at / SPACING - (k - agent.route)
        a, b = points[k], points[k + 1]
        ax, ay = np.float64(a.x), np.float64(a.y)
        dx, dy = ax + (b.x - ax) * t - me.x, ay + (b.y - ay) * t - me.y
        j = POINTS + 4 * i
        out[j], out[j + 1], out[j + 3] = dx * cos + dy * sin, dy * cos - dx * sin, 1
        out[j + 2] = limit_at(points, agent, at)


@device
def see_lines(out, agent, lines, front, lights):
    """The next line of each kind; lines lie nearest first."""
    for k in range(agent.lines):
        line = lines[agent.line + k]
        distance = line.s - front
        if not (distance > PASSED and distance < FAR):
            continue
        if line.kind == IS_LIGHT:
            if out[LIGHT + 6] == 0:
                out[LIGHT], out[LIGHT + 6] = distance, 1
                state = lights[line.ref] if line.ref < len(lights) else 0
                for j in range(len(SHOWS)):
                    if state == SHOWS[j]:
                        out[LIGHT + 1 + j] = 1
            continue
        j = STOP if line.kind == IS_STOP else (YIELD if line.kind == IS_YIELD else CROSSWALK)
        if out[j + 1] == 0:
            out[j], out[j + 1] = distance, 1


@device
def see_others(out, i, now, kinds, cos, sin, distance, who):
    me, count = now[i], 0
    for j in range(len(now)):
        if j == i or not now[j].valid:
            continue
        dx, dy = now[j].x - me.x, now[j].y - me.y
        d = dx * dx + dy * dy
        if d < FAR * FAR:
            count = insert(distance, who, count, d, j)
    c, s = cos[i], sin[i]
    for n in range(count):
        j, k = who[n], OTHERS + 12 * n
        it = now[j]
        dx, dy, vx, vy = it.x - me.x, it.y - me.y, it.vx - me.vx, it.vy - me.vy
        out[k], out[k + 1] = dx * c + dy * s, dy * c - dx * s
        out[k + 2], out[k + 3] = cos[j] * c + sin[j] * s, sin[j] * c - cos[j] * s
        out[k + 4], out[k + 5] = vx * c + vy * s, vy * c - vx * s
        out[k + 6], out[k + 7] = it.length, it.width
        if kinds[j] >= 0:
            out[k + 8 + kinds[j]] = 1
        out[k + 11] = 1


@device
def see_lanes(out, me, grid, starts, lanes, cos, sin, distance, who):
    x, y = me.x + LOOK * cos, me.y + LOOK * sin
    column, row, count = int(np.floor((x - grid.x) / CELL)), int(np.floor((y - grid.y) / CELL)), 0
    first, last = max(column - 2, 0), min(column + 2, grid.columns - 1)
    if first > last:
        return
    for j in range(max(row - 2, 0), min(row + 2, grid.rows - 1) + 1):
        k = grid.first + j * grid.columns
        for n in range(starts[k + first], starts[k + last + 1]):
            dx, dy = lanes[n, 0] - x, lanes[n, 1] - y
            d = dx * dx + dy * dy
            if d < LANE_REACH * LANE_REACH:
                count = insert(distance, who, count, d, n)
    for n in range(count):
        lane, k = lanes[who[n]], LANE + 6 * n
        dx, dy, c, s = lane[0] - me.x, lane[1] - me.y, np.float64(lane[2]), np.float64(lane[3])
        out[k], out[k + 1] = dx * cos + dy * sin, dy * cos - dx * sin
        out[k + 2], out[k + 3] = c * cos + s * sin, s * cos - c * sin
        out[k + 4], out[k + 5] = lane[4], 1


@device
def observe_scene(
    out, now, near, lights, agents, points, lines, kinds, grid, starts, lanes, most, normalised, cos, sin, distance,
    nearest, spans, nearby,
):  # fmt: skip
    """Fill out (n, D) with what the first n agents observe; the last six are scratch."""
    for i in range(len(now)):
        cos[i], sin[i] = np.cos(now[i].yaw), np.sin(now[i].yaw)
    for i in range(len(out)):
        row, me, agent = out[i], now[i], agents[i]
        row[:] = 0
        if not me.valid:
            continue
        see_self(row, me, kinds[i], cos[i], sin[i])
        s, left, limit = place_of(me, agent, points, near[i])
        if agent.points > 0:
            see_route(row, me, agent, points, s, left, limit, cos[i], sin[i])
            see_lines(row, agent, lines, s + me.length / 2, lights)
        see_others(row, i, now, kinds, cos, sin, distance, nearest)
        see_lanes(row, me, grid, starts, lanes, cos[i], sin[i], spans, nearby)
        for k in range(len(most)):
            value = min(max(row[k], -most[k]), most[k])
            row[k] = value / most[k] if normalised else value


def _observe(sources: str) -> Callable:
    def observe_scenes(
        out, now, near, steps, which, scenes, agents, points, lines, signals, kinds, grids, starts, lanes, most,
        normalised,
    ):  # fmt: skip
        """Fill out (B, n, D) with what the first n agents of scenes (B,) observe; near (B, n) is where about each is
        on its route, NaN for anywhere."""
        assert sources
        for b in numba.prange(len(which)):
            u, n = which[b], now.shape[1]
            cos, sin = np.empty(n), np.empty(n)
            distance, nearest = np.empty(NEIGHBOURS), np.empty(NEIGHBOURS, np.int64)
            spans, nearby = np.empty(LANES), np.empty(LANES, np.int64)
            scene, lights = scenes[u], signals[:0]
            if steps[b] < scene.signal_steps:
                first = scene.signal + steps[b] * scene.signals
                lights = signals[first : first + scene.signals]
            observe_scene(
                out[b], now[b], near[b], lights, agents[u], points, lines, kinds[u], grids[u], starts, lanes, most,
                normalised, cos, sin, distance, nearest, spans, nearby,
            )  # fmt: skip

    return observe_scenes


def _place(sources: str) -> Callable:
    def place_scenes(out, now, near, which, agents, points):
        """Fill out (B, n, 3) with arc length, way to the left and speed limit of the first n agents."""
        assert sources
        for b in range(len(which)):
            for i in range(out.shape[1]):
                out[b, i] = place_of(now[b, i], agents[which[b], i], points, near[b, i])

    return place_scenes


@cache
def _sources() -> str:
    """Hash of what the kernel is compiled from: numba looks at the file of an entry alone, see `kernel.compiled`."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), Path(routes.__file__), here.parent / "records.py", here.parent / "tables.py"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@cache
def observe_scenes(parallel: bool) -> Callable:
    """The kernel; `parallel` spreads scenes over numba's threads."""
    return numba.njit(cache=True, parallel=parallel, error_model="numpy")(_observe(_sources()))


@cache
def place_scenes() -> Callable:
    """Where agents are on their routes."""
    return numba.njit(cache=True, error_model="numpy")(_place(_sources()))
