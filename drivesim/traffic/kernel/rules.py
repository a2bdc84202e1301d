"""Lines at which a driver waits."""

from __future__ import annotations

import numpy as np

from drivesim.traffic.rules import MINOR, REACH, STANDS, STOPS_FOR
from drivesim.types import Light

from ..tables import LineKind
from .routes import device, locate

STOP, YIELD, LIGHT, CROSSWALK = int(LineKind.STOP), int(LineKind.YIELD), int(LineKind.LIGHT), int(LineKind.CROSSWALK)
RED, YELLOW, FLASHING_RED = int(Light.RED), int(Light.YELLOW), int(Light.FLASHING_RED)


@device
def stand(lines, agent, stood, front, speed, dt):
    """Write down whether an agent whose bumper is at arc length `front` stands at a line."""
    if speed >= STANDS:
        return
    for k in range(agent.lines):
        distance = lines[agent.line + k].s - front
        if distance < REACH and distance > -1.0:
            stood[k] += dt


@device
def line_gap(lines, agent, stood, front, speed, lights, max_braking):
    """Distance from the bumper to the next sign or light that holds back, inf if none; `lights` are the states now."""
    best = np.inf
    braking, least = speed * speed / (2 * agent.braking), speed * speed / (2 * max_braking)
    for k in range(agent.lines):
        line = lines[agent.line + k]
        distance = line.s - front
        if distance <= -0.5 or distance < least - 1.0 or distance >= best:
            continue  # behind, or it comes too late: it drives over
        holds = line.kind == STOP and stood[k] < STOPS_FOR
        if line.kind == LIGHT:
            light = lights[line.ref] if line.ref < len(lights) else 0
            holds = light == RED or light == YELLOW and distance >= braking
            holds = holds or light == FLASHING_RED and stood[k] < STOPS_FOR
        if holds:
            best = distance
    return max(best, 0.1)


@device
def is_minor(lines, agent, s):
    """Whether a stop or yield sign rules the next or the last metres of the route."""
    for k in range(agent.lines):
        line = lines[agent.line + k]
        if (line.kind == STOP or line.kind == YIELD) and abs(line.s - s) < MINOR:
            return True
    return False


@device
def in_ring(rings, first, count, x, y):
    inside = False
    for k in range(count):
        a, b = rings[first + k], rings[first + (k + 1) % count]
        if (a[1] > y) != (b[1] > y) and a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > x:
            inside = not inside
    return inside


@device
def people_of(now, agents, people):
    """Fill people (A,) with who is there on foot or on a bicycle. Returns how many."""
    count = 0
    for i in range(len(now)):
        if now[i].valid and (agents[i].walks or agents[i].cycles):
            people[count] = i
            count += 1
    return count


@device
def people_on(walk, rings, now, people, on):
    """Fill `on` with who of the people is on the crosswalk now or will be in 1 or 2 s. Returns how many."""
    count = 0
    for i in people:
        for t in range(3):
            if in_ring(rings, walk.first, walk.count, now[i].x + t * now[i].vx, now[i].y + t * now[i].vy):
                on[count] = i
                count += 1
                break
    return count


@device
def held_by(me, agent, entry, width, points, now, on):
    """Whether one of the people `on` a crosswalk but `me` is in the way behind its `entry`, or walks there."""
    for i in on:
        if i == me:
            continue
        _, lateral = locate(points, agent, now[i].x, now[i].y, entry + 2.0)
        beside = abs(lateral)
        if beside < width / 2 + 1.0:
            return True
        _, lateral = locate(points, agent, now[i].x + now[i].vx, now[i].y + now[i].vy, entry + 2.0)
        if abs(lateral) < beside - 0.2 and beside < 8.0:
            return True
    return False
