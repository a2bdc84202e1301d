"""One step of many scenes: who decides, bodies, who appears, collisions, off the road."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numba
import numpy as np

from drivesim.dynamics.bicycle import REAR_AXLE_PER_LENGTH, WHEELBASE_PER_LENGTH
from drivesim.dynamics.step import HOLD_BACK_BRAKING

from ..area import inside
from ..boxes import touch
from .bodies import follow, roll, vanish, walk
from .compiled import compiled
from .decide import decide, place
from .routes import allocates, device, length

ASTRAY = 0.1
"""From its logged place, beyond which a body has left its log [m]; as in dynamics.step."""


@device
def move(now, step, scene, agents, log, cos, sin, command):
    """Everybody one step on: by command (A, 2), and by the log where that is NaN."""
    row = log[scene.log + step + 1]
    for i in range(len(now)):
        me, agent = now[i], agents[i]
        before = me.valid
        if before and not np.isnan(command[i, 0]):
            wheelbase, rear = scene.wheelbase, scene.rear
            if i > 0:
                wheelbase, rear = WHEELBASE_PER_LENGTH * me.length, REAR_AXLE_PER_LENGTH * me.length
            if agent.walks:
                walk(me, agent, command[i, 0], command[i, 1], scene.dt)
            else:
                roll(me, agent, wheelbase, rear, cos[i], sin[i], command[i, 0], command[i, 1], scene.dt)
            now[i].decided = True
        else:
            follow(me, row[i])
            now[i].decided = False


@device
def hold_back(now, before, step, scene, log):
    """Keep absent who would appear inside a body that has left its log, or could not avoid it by braking."""
    row = log[scene.log + step + 1]
    n = len(now)
    for i in range(n):
        if not now[i].valid or before[i]:
            continue
        for j in range(n):
            there, logged = now[j], row[j]
            if i == j or not there.valid or not there.decided:
                continue
            if logged.valid and length(there.x - logged.x, there.y - logged.y) < ASTRAY:
                continue
            if reaches(now[i], there) or reaches(there, now[i]):
                before[i] = True  # whoever is held back does not hold back others
                vanish(now[i])
                break


@device
def reaches(a, b):
    """Whether body a, made longer ahead by the way it needs to brake to the speed of b, touches b."""
    cos, sin, other_cos, other_sin = np.cos(a.yaw), np.sin(a.yaw), np.cos(b.yaw), np.sin(b.yaw)
    closing = max((a.vx - b.vx) * cos + (a.vy - b.vy) * sin, 0.0)
    room = closing * closing / (2 * HOLD_BACK_BRAKING)
    return touch(
        a.x + cos * room / 2, a.y + sin * room / 2, cos, sin, (a.length + room) / 2, a.width / 2,
        b.x, b.y, other_cos, other_sin, b.length / 2, b.width / 2,
    )  # fmt: skip


@device
def check(now, scene, agents, areas, starts, items, parity, segments, cos, sin, reach):
    """Write down who collides and who is off the road. cos, sin, reach (A,) are scratch."""
    n = len(now)
    for i in range(n):
        now[i].collides = now[i].off_road = False
        reach[i] = -1.0
        if now[i].valid:
            cos[i], sin[i] = np.cos(now[i].yaw), np.sin(now[i].yaw)
            reach[i] = length(now[i].length, now[i].width) / 2
    area = areas[scene.area]
    for i in range(n):
        if reach[i] < 0:
            continue
        a, c, s = now[i], cos[i], sin[i]
        for j in range(i + 1, n):
            if reach[j] < 0:
                continue
            b = now[j]
            dx, dy, r = b.x - a.x, b.y - a.y, reach[i] + reach[j]
            if dx * dx + dy * dy > r * r:
                continue
            if touch(
                a.x, a.y, c, s, a.length / 2, a.width / 2, b.x, b.y, cos[j], sin[j], b.length / 2, b.width / 2
            ):  # fmt: skip
                now[i].collides = now[j].collides = True
        if not agents[i].walks:
            fx, fy, lx, ly = c * a.length / 2, s * a.length / 2, -s * a.width / 2, c * a.width / 2
            on = inside(area, starts, items, parity, segments, a.x + fx + lx, a.y + fy + ly)
            on = on and inside(area, starts, items, parity, segments, a.x + fx - lx, a.y + fy - ly)
            on = on and inside(area, starts, items, parity, segments, a.x - fx + lx, a.y - fy + ly)
            on = on and inside(area, starts, items, parity, segments, a.x - fx - lx, a.y - fy - ly)
            now[i].off_road = not on


@allocates
def advance_scene(
    now, stood, step, actions, scene, agents, points, corridors, lines, zones, log, signals, walks, rings,
    areas, starts, items, parity, segments, max_braking, exponent,
):  # fmt: skip
    """One scene one step on, in place: now (A,), stood (A, M); actions (A, 2), NaN where nobody acts."""
    n = len(now)
    cos, sin, reach = np.empty(n), np.empty(n), np.empty(n)
    command = np.empty((n, 2))
    decides, before = np.empty(n, np.bool_), np.empty(n, np.bool_)
    any_driver = False
    for i in range(n):
        before[i] = now[i].valid
        cos[i], sin[i] = np.cos(now[i].yaw), np.sin(now[i].yaw)
        decides[i] = np.isnan(actions[i, 0]) and before[i] and agents[i].active
        any_driver |= decides[i]
    if any_driver:
        decide(
            now, stood, decides, step, scene, agents, points, corridors, lines, zones, log, signals, walks, rings,
            cos, sin, command, max_braking, exponent,
        )  # fmt: skip
    else:
        expected = log[scene.log + min(step, scene.steps - 1)]
        place(now, stood, agents, points, lines, expected, cos, sin, reach, scene.dt)
        command[:] = np.nan
    for i in range(n):
        if not np.isnan(actions[i, 0]):
            command[i] = actions[i]
    move(now, step, scene, agents, log, cos, sin, command)
    hold_back(now, before, step, scene, log)
    check(now, scene, agents, areas, starts, items, parity, segments, cos, sin, reach)


def _step(sources: str) -> Callable:
    def step_scenes(
        now, stood, steps, which, actions, scenes, agents, points, corridors, lines, zones, log, signals, walks, rings,
        areas, starts, items, parity, segments, max_braking, exponent,
    ):  # fmt: skip
        """Scenes (B,) one step on, in place. A scene whose log is over stays as it is."""
        assert sources
        for b in numba.prange(len(which)):
            u = which[b]
            if steps[b] >= scenes[u].steps - 1:
                continue
            advance_scene(
                now[b], stood[b], steps[b], actions[b], scenes[u], agents[u], points, corridors, lines, zones, log,
                signals, walks, rings, areas, starts, items, parity, segments, max_braking, exponent,
            )  # fmt: skip
            steps[b] += 1

    return step_scenes


@cache
def step_scenes(parallel: bool) -> Callable:
    """The kernel's step; `parallel` spreads scenes over numba's threads."""
    return compiled(_step, parallel)


def _commands(sources: str) -> Callable:
    def commands(
        now, stood, decides, step, scene, agents, points, corridors, lines, zones, log, signals, walks, rings,
        max_braking, exponent,
    ):  # fmt: skip
        """What drivers of one scene do: acceleration and steering (A, 2); writes into now (A,) and stood (A, M)."""
        assert sources
        cos, sin, command = np.cos(now.yaw), np.sin(now.yaw), np.empty((len(now), 2))
        decide(
            now, stood, decides, step, scene[0], agents, points, corridors, lines, zones, log, signals, walks, rings,
            cos, sin, command, max_braking, exponent,
        )  # fmt: skip
        return command

    return commands


@cache
def commands() -> Callable:
    """The kernel's decisions alone, for bodies that move otherwise."""
    return compiled(_commands)
