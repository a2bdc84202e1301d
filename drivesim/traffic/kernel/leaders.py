"""Who is ahead on the own route."""

from __future__ import annotations

import numpy as np

from drivesim.dynamics.following import SPACING

from .routes import device, length, point_at, segment

HORIZON = 60.0
"""Looked ahead for a leader [m]."""

X, Y, COS, SIN, HALF_LENGTH, HALF_WIDTH, RADIUS, VX, VY = range(9)
"""Columns of boxes that drivers look at."""


@device
def put(box, x, y, agent_now, cos, sin):
    box[X], box[Y], box[COS], box[SIN] = x, y, cos, sin
    box[HALF_LENGTH], box[HALF_WIDTH] = agent_now.length / 2, agent_now.width / 2
    box[RADIUS] = length(box[HALF_LENGTH], box[HALF_WIDTH])
    box[VX], box[VY] = agent_now.vx, agent_now.vy


@device
def boxes_seen(now, agents, cos, sin, boxes, owner):
    """Fill boxes (5 A, 9) and whose they are (5 A,): all agents, those on foot where they will be in 1, 2 and 3 s, and
    where those who move without a route will be in 1 s. Returns how many."""
    count = 0
    for i in range(len(now)):
        if now[i].valid:
            put(boxes[count], now[i].x, now[i].y, now[i], cos[i], sin[i])
            owner[count] = i
            count += 1
    for i in range(len(now)):
        if not now[i].valid:
            continue
        me = now[i]
        later = 0
        if agents[i].walks:
            later = 3
        elif agents[i].points == 0 and length(me.vx, me.vy) > 0.5:
            later = 1
        for t in range(1, later + 1):
            put(boxes[count], me.x + t * me.vx, me.y + t * me.vy, me, cos[i], sin[i])
            owner[count] = -1
            count += 1
    return count


@device
def distance_to_box(x, y, box):
    dx, dy = x - box[X], y - box[Y]
    ox = max(abs(box[COS] * dx + box[SIN] * dy) - box[HALF_LENGTH], 0.0)
    oy = max(abs(box[COS] * dy - box[SIN] * dx) - box[HALF_WIDTH], 0.0)
    return length(ox, oy)


@device
def leader_of(i, s, off, now, agents, cos, sin, points, boxes, owner, count, candidates):
    """Free way before whoever is ahead on the route of agent i, inf if nobody, and that one's speed along it.

    A disc as wide as the follower (and 0.1 m to each side) goes along the route from its front in steps of a metre.
    s is the follower's arc length, `off` its distance beside the route; candidates (5 A,) is scratch.
    """
    me, agent = now[i], agents[i]
    radius = me.width / 2 + 0.1
    begin = s + me.length / 2 - radius
    discs, last, base = int(HORIZON / SPACING), max(agent.points - 2, 0), int(np.floor(begin / SPACING))
    share = begin / SPACING - base
    first, nearest, leader = discs, np.inf, -1
    most = me.length / 2 + off + 0.01  # the first disc is no further from the follower, the next ones a metre each
    ahead, soonest, straight = 0, np.inf, 0
    for j in range(count):
        box = boxes[j]
        dx, dy = box[X] - me.x, box[Y] - me.y
        along, limit = dx * cos[i] + dy * sin[i], discs + most + box[RADIUS] + radius
        if owner[j] == i or not along > 0 or dx * dx + dy * dy > limit * limit:
            continue
        candidates[ahead] = j
        if along < soonest and abs(dy * cos[i] - dx * sin[i]) < 2.0:
            soonest, straight = along, ahead
        ahead += 1
    for n in range(ahead):
        # who is straight ahead goes first: most others are further away than it
        j = candidates[straight if n == 0 else 0 if n == straight else n]
        box = boxes[j]
        dx, dy = box[X] - me.x, box[Y] - me.y
        reach = box[RADIUS] + radius
        # discs that are nearer to the follower than the box is cannot touch it
        k = max(int(np.sqrt(dx * dx + dy * dy) - reach - most), 0)
        while k <= first and k < discs:
            m = min(max(base + k, 0), last)
            t = share + (base + k - m)
            a, b = points[agent.route + m], points[agent.route + m + 1]
            ax, ay = np.float64(a.x), np.float64(a.y)
            dx, dy = ax + (b.x - ax) * t - box[X], ay + (b.y - ay) * t - box[Y]
            free = np.sqrt(dx * dx + dy * dy) - reach
            if free <= 0:
                ox = max(abs(box[COS] * dx + box[SIN] * dy) - box[HALF_LENGTH], 0.0)
                oy = max(abs(box[COS] * dy - box[SIN] * dx) - box[HALF_WIDTH], 0.0)
                free = np.sqrt(ox * ox + oy * oy) - radius
                if free <= 0:
                    if k < first or free < nearest or free == nearest and j < leader:
                        first, nearest, leader = k, free, j
                    break
            k += int(free / SPACING - 1e-6) + 1  # each disc is at most a metre nearer than the one before
    if leader < 0:
        return np.inf, 0.0
    at, box = begin + first * SPACING, boxes[leader]
    back = 0.0
    if first > 0:
        x, y = point_at(points, agent, at - SPACING)
        outside = min(max(distance_to_box(x, y, box) - radius, 0.0), 1e3)
        back = SPACING * -nearest / max(-nearest + outside, 1e-6)
    k = segment(agent, at)
    dx, dy = np.float64(points[k + 1].x) - points[k].x, np.float64(points[k + 1].y) - points[k].y
    way = max(length(dx, dy), 1e-12)
    return first * SPACING - back, max((box[VX] * dx + box[VY] * dy) / way, 0.0)
