"""The next stride of people on foot: as near to what they want as goes without touching anybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from drivesim.traffic.boxes import touch
from drivesim.traffic.kernel.bodies import walk
from drivesim.traffic.kernel.compiled import compiled
from drivesim.traffic.kernel.routes import device, length
from drivesim.traffic.records import MOTION
from drivesim.types import Agents

STEPS = 6
"""Ahead, within which who walks stands if he brakes now, whatever his speed."""

MARGIN = 0.05
"""Kept to others [m]."""

ROUNDS = 4
"""In which choices that do not go together are made again."""

TURNS = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 1.6, -1.6, 2.4, -2.4, 3.14, 0.0, 0.5, -0.5, 1.0, -1.0])
SHARES = np.array([1.0] * 10 + [0.5] * 5)
"""Strides that are thought of: turned from the wished one [rad], and shares of its speed. Standing is one more."""

SLOW = 0.6
"""Who hardly moves gets out of the way at this speed [m/s]."""

CHANGE = 0.3
"""Over which a walker changes to another velocity [s]."""

CLOSER = 0.01
"""By which those who touch already may come nearer: boxes are not exact [m]."""


def stride(agents: Agents, people: np.ndarray, who: Tensor, wish: Tensor, soon: Agents, dt: float) -> Tensor:
    """Acceleration vectors (N, 2) near `wish` (N, 2) after which walkers `who` (N,) of `agents` (A,) can stand before
    they touch anybody.

    `people` (A,) AGENT say what they can do, `soon` (1 + STEPS, A) is where everybody is now and will be in the next
    steps. Who is in contact already does not come nearer. Where nothing helps it is what touches latest. They choose
    one after the other, each knowing what the others before him chose, until all choices go together.
    """
    now = np.zeros(len(agents.valid), MOTION)
    for name, column in (("x", agents.xy[:, 0]), ("y", agents.xy[:, 1]), ("yaw", agents.yaw)):
        now[name] = column.numpy()
    for name, column in zip(("vx", "vy", "length", "width"), (*agents.velocity.T, *agents.size.T[:2]), strict=True):
        now[name] = column.numpy()
    place = torch.cat([soon.xy, soon.yaw[..., None]], -1).double().numpy()
    out = _strides()(now, people, who.numpy(), wish.double().numpy(), place, soon.valid.numpy(), dt)
    return torch.from_numpy(out).to(wish.dtype)


@device
def neighbours(i, now, place, there, near):
    """Fill near (A,) with whom agent i may touch within STEPS; returns how many."""
    count, me = 0, now[i]
    speed, half = length(me.vx, me.vy) + 1.0, length(me.length, me.width) / 2
    for j in range(len(now)):
        if j == i or not there[0, j]:
            continue
        reach = half + length(now[j].length, now[j].width) / 2
        reach += 0.1 * STEPS * speed + length(place[-1, j, 0] - place[0, j, 0], place[-1, j, 1] - place[0, j, 1])
        if length(place[0, j, 0] - me.x, place[0, j, 1] - me.y) < reach:
            near[count] = j
            count += 1
    return count


@device
def apart(me, other, x, y, yaw, margin):
    """Whether a walker and a body at (x, y, yaw) keep more than `margin`."""
    return not touch(
        me.x, me.y, np.cos(me.yaw), np.sin(me.yaw), me.length / 2 + margin, me.width / 2 + margin,
        x, y, np.cos(yaw), np.sin(yaw), other.length / 2, other.width / 2,
    )  # fmt: skip


@device
def badness(i, ax, ay, now, people, place, there, near, count, trial, way, dt):
    """How much agent i touches others who accelerates by (ax, ay) and then brakes: 0 is not at all, soon is worse than
    late. Writes where that leads into way (1 + STEPS, 3)."""
    trial[0] = now[i]
    me, total = trial[0], 0
    for k in range(STEPS + 1):
        if k > 0:
            walk(me, people[i], ax, ay, dt)
            ax, ay = -me.vx / dt, -me.vy / dt
        way[k, 0], way[k, 1], way[k, 2] = me.x, me.y, me.yaw
    for n in range(count):
        j = near[n]
        other, x, y, yaw = now[j], place[0, j, 0], place[0, j, 1], place[0, j, 2]
        closed = not apart(now[i], other, x, y, yaw, 0.0)
        margin = MARGIN if apart(now[i], other, x, y, yaw, MARGIN) else 0.0
        least = length(x - now[i].x, y - now[i].y) - CLOSER
        for k in range(1, STEPS + 1):
            if not there[k, j]:
                break
            me.x, me.y, me.yaw = way[k, 0], way[k, 1], way[k, 2]
            x, y, yaw = place[k, j, 0], place[k, j, 1], place[k, j, 2]
            if closed and length(x - me.x, y - me.y) < least or not closed and not apart(me, other, x, y, yaw, margin):
                total += STEPS + 1 - k
    return total


@device
def choose(i, wish, now, people, place, there, near, count, trial, way, dt):
    """The acceleration for agent i that touches least, and of those the nearest to its wish."""
    me = now[i]
    ux, uy = me.vx + CHANGE * wish[0], me.vy + CHANGE * wish[1]
    speed = length(ux, uy)
    course = np.arctan2(uy, ux) if speed > 0.1 else me.yaw
    best, bx, by = np.inf, wish[0], wish[1]
    for c in range(-1, len(TURNS) + 1):
        ax, ay, tx, ty = wish[0], wish[1], ux, uy
        if c == len(TURNS):
            ax, ay, tx, ty = -me.vx / dt, -me.vy / dt, 0.0, 0.0
        elif c >= 0:
            pace = SHARES[c] * max(speed, SLOW)
            tx, ty = pace * np.cos(course + TURNS[c]), pace * np.sin(course + TURNS[c])
            ax, ay = (tx - me.vx) / CHANGE, (ty - me.vy) / CHANGE
        value = 1e3 * badness(i, ax, ay, now, people, place, there, near, count, trial, way, dt)
        value += length(tx - ux, ty - uy)
        if value < best:
            best, bx, by = value, ax, ay
        if value == 0.0:
            break
    return bx, by


def _entry(sources: str) -> Callable:
    def strides(now, people, who, wish, soon, there, dt):
        """Accelerations (N, 2); arguments as of `stride`, soon (1 + STEPS, A, 3) and there (1 + STEPS, A)."""
        assert sources
        out, place = wish.copy(), soon.copy()
        near, way, trial = np.empty(len(now), np.int64), np.empty((STEPS + 1, 3)), now[:1].copy()
        for turn in range(ROUNDS):
            calm = True
            for n in range(len(who)):
                i = who[n]
                count = neighbours(i, now, place, there, near)
                ax, ay = out[n, 0], out[n, 1]
                bad = count and badness(i, ax, ay, now, people, place, there, near, count, trial, way, dt) > 0
                if bad:
                    ax, ay = choose(i, wish[n], now, people, place, there, near, count, trial, way, dt)
                    if turn == ROUNDS - 1:
                        ax, ay = -now[i].vx / dt, -now[i].vy / dt
                    calm = False
                if bad or turn == 0:
                    badness(i, ax, ay, now, people, place, there, near, count, trial, way, dt)
                    place[:, i], out[n, 0], out[n, 1] = way, ax, ay
            if calm:
                break
        return out

    return strides


@cache
def _strides() -> Callable:
    return compiled(_entry)
