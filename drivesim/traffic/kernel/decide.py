"""What drivers of one scene do for one step."""

from __future__ import annotations

import numpy as np

from drivesim.dynamics.bicycle import REAR_AXLE_PER_LENGTH, WHEELBASE_PER_LENGTH
from drivesim.traffic.conflicts import FAR
from drivesim.traffic.following import SPACING

from .conflicts import first_ahead, give_way
from .leaders import boxes_seen, leader_of
from .routes import allocates, axle_at, device, locate
from .rules import CROSSWALK, held_by, is_minor, line_gap, people_on, stand

ON_ROUTE = 3.0
"""Beside its route, up to which a body is taken to follow it [m]."""

SHORTEST = 0.6
"""Headway that a driver ever keeps [s]."""

EAGER = 0.25
"""Share of its acceleration that a driver who follows has left, at least: it would be faster without the leader."""

LATERAL = 4.0
"""Acceleration in bends that no driver exceeds [m/s^2]; `Styles.lateral` is what they like."""


@device
def calm(speed, desired, exponent):
    """Share of the gap that a driver may wish for and still keep its speed: where the model is in balance."""
    return np.sqrt(max(1 - (speed / max(desired, 0.1)) ** exponent, EAGER))


@device
def idm(agent, speed, desired, gap, leader, headway, max_braking, exponent):
    """Acceleration behind a leader of speed `leader` that is `gap` metres ahead (inf: none); see following.IDM."""
    closing = speed * (speed - leader) / (2 * np.sqrt(agent.acceleration * agent.braking))
    wanted = agent.gap + max(speed * headway + closing, 0.0)
    ratio = speed / max(desired, 0.1)
    free = ratio * ratio * ratio * ratio if exponent == 4.0 else ratio**exponent
    value = agent.acceleration * (1 - free - (wanted / max(gap, 0.1)) ** 2)
    return min(max(value, -max_braking), agent.acceleration)


@device
def place(now, stood, agents, points, lines, expected, cos, sin, off, dt):
    """Find everybody's arc length, how far beside its route it is (A,), and who stands at a line."""
    for i in range(len(now)):
        me, agent = now[i], agents[i]
        off[i] = np.inf
        if not me.valid or agent.points == 0:
            continue
        near = me.s
        if np.isnan(near) and i > 0:
            near = np.float64(expected[i].along)
        s, lateral = locate(points, agent, me.x, me.y, near)
        now[i].s = s
        off[i] = abs(lateral)
        if agent.active:
            speed = abs(me.vx * cos[i] + me.vy * sin[i])
            stand(lines, agent, stood[i], s + me.length / 2, speed, dt)


@device
def steer(me, agent, points, wheelbase, rear, cos, sin):
    """Angle that brings the rear axle to a point of the route 0.6 s, at least 3 m, ahead."""
    speed = abs(me.vx * cos + me.vy * sin)
    reach = max(0.6 * speed, max(0.7 * me.length, 3.0))
    x, y = axle_at(points, agent, me.s + reach)
    dx, dy = x - (me.x - rear * cos), y - (me.y - rear * sin)
    ahead, left = cos * dx + sin * dy, cos * dy - sin * dx
    angle = np.arctan(2 * wheelbase * left / max(ahead * ahead + left * left, 1.0))
    most = np.arctan(wheelbase * min(agent.most_lateral, LATERAL) / max(speed * speed, 1e-2))
    most = min(most, agent.most_steering)
    return min(max(angle, -most), most)


@device
def yield_to_walkers(i, now, agents, points, lines, walks, rings, on, gap, speed, max_braking):
    """The lesser of `gap` and the way to the next crosswalk on which somebody walks into the way of driver i."""
    me, agent = now[i], agents[i]
    for k in range(agent.lines):
        line = lines[agent.line + k]
        if line.kind != CROSSWALK:
            continue
        ahead = line.s - (me.s + me.length / 2)
        distance = ahead - 1.0
        stops = speed * speed / (2 * max_braking) < max(distance, 0.0) + 0.5
        if not (ahead > -0.5 and ahead < 60.0 and stops) or distance >= gap:
            continue
        if people_on(walks[line.ref], rings, now, agents, on) and held_by(i, agent, line.s, me.width, points, now, on):
            gap = max(distance, 0.1)
    return gap


@allocates
def decide(
    now, stood, decides, step, scene, agents, points, lines, zones, log, signals, walks, rings, cos, sin, command,
    max_braking, exponent,
):  # fmt: skip
    """Fill command (A, 2) of acceleration and steering for those who decide (A,) bool; NaN for the others.

    Writes down into now (A,) and stood (A, M) what drivers remember. See docs/dynamics.md for the rules.
    """
    n = len(now)
    off, speed, desired, half = np.empty(n), np.zeros(n), np.zeros(n), np.zeros(n)
    here, free, gap, stop, pace, style = (
        np.zeros(n),
        np.full(n, np.inf),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
    )
    there, minor, deaf, on = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.ones(n, np.bool_), np.zeros(n, np.bool_)
    place(now, stood, agents, points, lines, log[scene.log + min(step, scene.steps - 1)], cos, sin, off, scene.dt)
    lights = signals[:0]
    if step < scene.signal_steps:
        lights = signals[scene.signal + step * scene.signals : scene.signal + (step + 1) * scene.signals]
    boxes, owner, candidates = np.empty((9, 5 * n)), np.empty(5 * n, np.int64), np.empty(5 * n, np.int64)
    boxes = boxes[:, : boxes_seen(now, agents, cos, sin, boxes, owner)]
    near = np.empty(boxes.shape[1], np.bool_)
    walks = walks[scene.walk : scene.walk + scene.walks]
    for i in range(n):
        me, agent = now[i], agents[i]
        command[i, 0] = command[i, 1] = np.nan
        if not me.valid:
            continue
        half[i], style[i] = me.length / 2, agent.acceleration
        here[i] = 0.0 if np.isnan(me.s) else me.s
        speed[i] = max(me.vx * cos[i] + me.vy * sin[i], 0.0)
        there[i] = agent.points > 0 and off[i] < ON_ROUTE
        if not (decides[i] and agent.active):
            desired[i] = speed[i]
            continue
        deaf[i] = False
        desired[i] = points[agent.route + min(max(int(here[i] / SPACING), 0), agent.points - 1)].limit
        gap[i], pace[i] = leader_of(i, here[i], off[i], now, agents, cos, sin, points, boxes, owner, near, candidates)
        if not me.settled:
            left = max((calm(speed[i], desired[i], exponent) * gap[i] - agent.gap) / max(speed[i], 0.1), SHORTEST)
            now[i].headway = min(me.headway, left)
            now[i].settled = True
        front = here[i] + half[i]
        stop[i] = line_gap(lines, agent, stood[i], front, speed[i], lights, max_braking)
        stop[i] = yield_to_walkers(
            i, now, agents, points, lines, walks, rings, on, stop[i], speed[i], max_braking
        )  # fmt: skip
        if step < agent.last:  # later nothing but the map's end is ahead: it may leave the world there
            stop[i] = min(stop[i], max(agent.end - front, 0.1))
        free[i] = min(gap[i], stop[i])
        minor[i] = is_minor(lines, agent, here[i])
    for i in range(n):
        me, agent = now[i], agents[i]
        if deaf[i] or step >= agent.last and here[i] + half[i] >= agent.end - 3.0:
            continue
        headway = me.headway
        least = idm(agent, speed[i], desired[i], gap[i], pace[i], headway, max_braking, exponent)
        # a line is reached to within half a metre; a leader is kept at the standstill gap
        line = idm(agent, speed[i], desired[i], stop[i] + agent.gap - 0.5, 0.0, 0.5 * headway, max_braking, exponent)
        least = min(least, line)
        for z in range(first_ahead(zones, agent, here[i] + half[i]), agent.zone + agent.zones):
            if zones[z].begin - here[i] - half[i] >= FAR:
                break
            room, at = give_way(
                i, zones[z], here, half, speed, desired, free, minor, deaf, there, style, max_braking
            )  # fmt: skip
            if not np.isnan(room):
                wish = idm(agent, speed[i], desired[i], room, at, 0.5 * headway, max_braking, exponent)
                least = min(least, wish)
        command[i, 0] = min(max(least, -agent.most_braking), agent.most_acceleration)
        wheelbase, rear = scene.wheelbase, scene.rear
        if i > 0:
            wheelbase, rear = WHEELBASE_PER_LENGTH * me.length, REAR_AXLE_PER_LENGTH * me.length
        command[i, 1] = steer(me, agent, points, wheelbase, rear, cos[i], sin[i])
