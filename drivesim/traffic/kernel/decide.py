"""What drivers of one scene do for one step."""

from __future__ import annotations

import numpy as np

from drivesim.dynamics.bicycle import REAR_AXLE_PER_LENGTH, WHEELBASE_PER_LENGTH
from drivesim.traffic.conflicts import FAR
from drivesim.traffic.following import SPACING

from .conflicts import DRIVER, first_ahead, give_way
from .leaders import boxes_seen, leader_of
from .routes import allocates, axle_at, device, locate
from .rules import CROSSWALK, held_by, is_minor, line_gap, people_of, people_on, stand

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
def yield_to_walkers(i, now, agents, points, lines, walks, rings, people, on, gap, speed, max_braking):
    """The lesser of `gap` and the way to the next crosswalk on which one of `people` walks into the way of driver i."""
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
        count = people_on(walks[line.ref], rings, now, people, on)
        if count and held_by(i, agent, line.s, me.width, points, now, on[:count]):
            gap = max(distance, 0.1)
    return gap


@device
def known(drivers, decides, now, agents, points, off, cos, sin):
    """Fill drivers (A,) with all that does not depend on others."""
    for i in range(len(now)):
        me, agent, driver = now[i], agents[i], drivers[i]
        driver.half = driver.s = driver.speed = driver.desired = driver.acceleration = 0.0
        driver.free = driver.wish = np.inf
        driver.there = driver.minor = False
        driver.deaf = True
        if not me.valid:
            continue
        driver.half, driver.acceleration = me.length / 2, agent.acceleration
        driver.s = 0.0 if np.isnan(me.s) else me.s
        driver.desired = driver.speed = max(me.vx * cos[i] + me.vy * sin[i], 0.0)
        driver.there = agent.points > 0 and off[i] < ON_ROUTE
        if decides[i] and agent.active:
            driver.deaf = False
            k = min(max(int(driver.s / SPACING), 0), agent.points - 1)
            driver.desired = points[agent.route + k].limit


@device
def yields(i, drivers, agent, zones, headway, max_braking, exponent):
    """What driver i does, given what it wishes to do, where others cross its way."""
    me, least = drivers[i], drivers[i].wish
    front = me.s + me.half
    for z in range(first_ahead(zones, agent, front), agent.zone + agent.zones):
        zone = zones[z]
        if zone.begin - me.s - me.half >= FAR:
            break
        room, at = give_way(zone, me, drivers[zone.other], i < zone.other, max_braking)
        if not np.isnan(room):
            wish = idm(agent, me.speed, me.desired, room, at, 0.5 * headway, max_braking, exponent)
            least = min(least, wish)
    return least


@device
def act(drivers, step, scene, now, agents, points, zones, cos, sin, command, max_braking, exponent):
    """Fill command (A, 2) once everybody knows what all wish to do."""
    for i in range(len(now)):
        me, agent, driver = now[i], agents[i], drivers[i]
        command[i, 0] = command[i, 1] = np.nan
        if driver.deaf or step >= agent.last and driver.s + driver.half >= agent.end - 3.0:
            continue
        least = yields(i, drivers, agent, zones, me.headway, max_braking, exponent)
        command[i, 0] = min(max(least, -agent.most_braking), agent.most_acceleration)
        wheelbase, rear = scene.wheelbase, scene.rear
        if i > 0:
            wheelbase, rear = WHEELBASE_PER_LENGTH * me.length, REAR_AXLE_PER_LENGTH * me.length
        command[i, 1] = steer(me, agent, points, wheelbase, rear, cos[i], sin[i])


@allocates
def decide(
    now, stood, decides, step, scene, agents, points, corridors, lines, zones, log, signals, walks, rings, cos, sin,
    command, max_braking, exponent,
):  # fmt: skip
    """Fill command (A, 2) of acceleration and steering for those who decide (A,) bool; NaN for the others.

    Writes down into now (A,) and stood (A, M) what drivers remember. See docs/dynamics.md for the rules.
    """
    n = len(now)
    off, drivers, people, on = np.empty(n), np.empty(n, DRIVER), np.empty(n, np.int64), np.empty(n, np.int64)
    place(now, stood, agents, points, lines, log[scene.log + min(step, scene.steps - 1)], cos, sin, off, scene.dt)
    known(drivers, decides, now, agents, points, off, cos, sin)
    people = people[: people_of(now, agents, people)]
    lights = signals[:0]
    if step < scene.signal_steps:
        lights = signals[scene.signal + step * scene.signals : scene.signal + (step + 1) * scene.signals]
    boxes, owner, candidates = np.empty((9, 5 * n)), np.empty(5 * n, np.int64), np.empty(5 * n, np.int64)
    boxes = boxes[:, : boxes_seen(now, agents, cos, sin, boxes, owner)]
    near = np.empty(boxes.shape[1], np.bool_)
    walks = walks[scene.walk : scene.walk + scene.walks]
    for i in range(n):
        if drivers[i].deaf:
            continue
        me, agent, driver = now[i], agents[i], drivers[i]
        speed, desired, front = driver.speed, driver.desired, driver.s + driver.half
        gap, pace = leader_of(
            i, driver.s, off[i], now, agents, cos, sin, points, corridors, boxes, owner, near, candidates
        )  # fmt: skip
        if not me.settled:
            left = max((calm(speed, desired, exponent) * gap - agent.gap) / max(speed, 0.1), SHORTEST)
            me.headway = min(me.headway, left)
            me.settled = True
        stop = line_gap(lines, agent, stood[i], front, speed, lights, max_braking)
        stop = yield_to_walkers(i, now, agents, points, lines, walks, rings, people, on, stop, speed, max_braking)
        if step < agent.last:  # later nothing but the map's end is ahead: it may leave the world there
            stop = min(stop, max(agent.end - front, 0.1))
        driver.free = min(gap, stop)
        driver.minor = is_minor(lines, agent, driver.s)
        # a line is reached to within half a metre; a leader is kept at the standstill gap
        driver.wish = min(
            idm(agent, speed, desired, gap, pace, me.headway, max_braking, exponent),
            idm(agent, speed, desired, stop + agent.gap - 0.5, 0.0, 0.5 * me.headway, max_braking, exponent),
        )
    act(drivers, step, scene, now, agents, points, zones, cos, sin, command, max_braking, exponent)
