"""Who is ahead on the own route."""

from __future__ import annotations

import numpy as np

from drivesim.traffic.following import SPACING

from ..corridors import DISCS
from ..tables import WIDER
from .routes import device, length, segment

X, Y, COS, SIN, HALF_LENGTH, HALF_WIDTH, RADIUS, VX, VY = range(9)
"""Columns of boxes that drivers look at."""


@device
def put(boxes, j, x, y, agent_now, cos, sin):
    boxes[X, j], boxes[Y, j], boxes[COS, j], boxes[SIN, j] = x, y, cos, sin
    boxes[HALF_LENGTH, j], boxes[HALF_WIDTH, j] = agent_now.length / 2, agent_now.width / 2
    boxes[RADIUS, j] = length(boxes[HALF_LENGTH, j], boxes[HALF_WIDTH, j])
    boxes[VX, j], boxes[VY, j] = agent_now.vx, agent_now.vy


@device
def boxes_seen(now, agents, cos, sin, boxes, owner):
    """Fill boxes (5 A, 9) and whose they are (5 A,): all agents, those on foot where they will be in 1, 2 and 3 s, and
    where those who move without a route will be in 1 s. Returns how many."""
    count = 0
    for i in range(len(now)):
        if now[i].valid:
            put(boxes, count, now[i].x, now[i].y, now[i], cos[i], sin[i])
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
            put(boxes, count, me.x + t * me.vx, me.y + t * me.vy, me, cos[i], sin[i])
            owner[count] = -1
            count += 1
    return count


@device
def distance_to_box(x, y, boxes, j):
    dx, dy = x - boxes[X, j], y - boxes[Y, j]
    ox = max(abs(boxes[COS, j] * dx + boxes[SIN, j] * dy) - boxes[HALF_LENGTH, j], 0.0)
    oy = max(abs(boxes[COS, j] * dy - boxes[SIN, j] * dx) - boxes[HALF_WIDTH, j], 0.0)
    return length(ox, oy)


@device
def disc_at(points, agent, base, share, k):
    """Middle (x, y) of disc k; the first is where the nose is `share` of a segment after route point `base`."""
    m = min(max(base + k, 0), max(agent.points - 2, 0))
    t = share + (base + k - m)
    a, b = points[agent.route + m], points[agent.route + m + 1]
    ax, ay = np.float64(a.nose_x), np.float64(a.nose_y)
    return ax + (b.nose_x - ax) * t, ay + (b.nose_y - ay) * t


@device
def in_corridor(corridor, room, boxes, near):
    """Mark near (N,) those boxes (9, N) that come nearer than `room` to the corridor: one pass without branches, which
    the compiler makes a vector loop."""
    xs, ys, radii = boxes[X], boxes[Y], boxes[RADIUS]
    x, y, cos, sin = np.float64(corridor.x), np.float64(corridor.y), np.float64(corridor.cos), np.float64(corridor.sin)
    half_length, half_width = corridor.half_length + room, corridor.half_width + room
    for j in range(len(near)):
        dx, dy, r = xs[j] - x, ys[j] - y, radii[j]
        near[j] = (abs(dx * cos + dy * sin) <= half_length + r) & (abs(dy * cos - dx * sin) <= half_width + r)


@device
def listed(i, me, cos, sin, boxes, owner, near, candidates):
    """Fill candidates (N,) with the boxes `near` (N,) that are ahead and not agent i's own; who is straight ahead comes
    first, because most others are further away than it. Returns how many."""
    count, soonest, straight = 0, np.inf, 0
    for j in range(len(near)):
        if not near[j] or owner[j] == i:
            continue
        dx, dy = boxes[X, j] - me.x, boxes[Y, j] - me.y
        along = dx * cos + dy * sin
        if not along > 0:
            continue
        candidates[count] = j
        if along < soonest and abs(dy * cos - dx * sin) < 2.0:
            soonest, straight = along, count
        count += 1
    if count:
        candidates[0], candidates[straight] = candidates[straight], candidates[0]
    return count


@device
def first_touch(j, k, last, radius, points, agent, base, share, boxes):
    """First disc from k to `last` that touches box j, and by how much it is in it (negative); DISCS if none does."""
    reach = boxes[RADIUS, j] + radius
    while k <= last and k < DISCS:
        x, y = disc_at(points, agent, base, share, k)
        dx, dy = x - boxes[X, j], y - boxes[Y, j]
        free = np.sqrt(dx * dx + dy * dy) - reach
        if free <= 0:
            free = distance_to_box(x, y, boxes, j) - radius
            if free <= 0:
                return k, free
        k += int(free / agent.swing - 1e-6) + 1  # no disc is nearer by more than that than the one before
    return DISCS, np.inf


@device
def leader_of(i, s, off, now, agents, cos, sin, points, corridors, boxes, owner, near, candidates):
    """Free way before whoever is ahead on the route of agent i, inf if nobody, and that one's speed along it.

    A disc as wide as the follower (and 0.1 m to each side) goes with its front while it drives on metre by metre.
    s is the follower's arc length, `off` its distance beside the route; near, candidates (N,) are scratch for N boxes.
    """
    me, agent, c, sn = now[i], agents[i], cos[i], sin[i]
    radius = me.width / 2 + WIDER
    base = int(np.floor(s / SPACING))
    share = s / SPACING - base
    most = me.length / 2 + off + 0.01  # the first disc is no further from the follower, the next ones a swing each
    k = min(max(base, 0), agent.points - 1)
    beyond = abs(base - k) * agent.swing  # where it is off the ends of its route, discs go on as far from the corridor
    in_corridor(corridors[agent.route + k], radius + beyond, boxes, near)
    first, nearest, leader = DISCS, np.inf, -1
    for n in range(listed(i, me, c, sn, boxes, owner, near, candidates)):
        j = candidates[n]
        dx, dy = boxes[X, j] - me.x, boxes[Y, j] - me.y
        # discs that are nearer to the follower than the box is cannot touch it
        k = max(int((np.sqrt(dx * dx + dy * dy) - boxes[RADIUS, j] - radius - most) / agent.swing), 0)
        k, free = first_touch(j, k, first, radius, points, agent, base, share, boxes)
        if k < first or k == first < DISCS and (free < nearest or free == nearest and j < leader):
            first, nearest, leader = k, free, j
    if leader < 0:
        return np.inf, 0.0
    back = 0.0
    if first > 0:
        x, y = disc_at(points, agent, base, share, first - 1)
        outside = min(max(distance_to_box(x, y, boxes, leader) - radius, 0.0), 1e3)
        back = SPACING * -nearest / max(-nearest + outside, 1e-6)
    k = segment(agent, s + first * SPACING)
    a, b = points[k], points[k + 1]
    dx, dy = np.float64(b.nose_x) - a.nose_x, np.float64(b.nose_y) - a.nose_y
    way = max(length(dx, dy), 1e-12)
    return first * SPACING - back, max((boxes[VX, leader] * dx + boxes[VY, leader] * dy) / way, 0.0)
