"""Who goes first where routes meet."""

from __future__ import annotations

import numpy as np

from drivesim.traffic.conflicts import FAR, MARGIN

from .routes import device

DRIVER = np.dtype(
    [(name, np.float64) for name in ("s", "half", "speed", "desired", "acceleration", "free", "wish")]
    + [(name, np.bool_) for name in ("there", "minor", "deaf")],
    align=True,
)
"""What others see of an agent, in one line of the cache: arc length, half the body's length, speed, desired speed, the
acceleration that it likes, the way to what already stops it, what it would do if nobody crossed its way; it is on its
route, has a sign at the next junction, will not give way."""


@device
def first_ahead(zones, agent, front):
    """Index of the first of the agent's zones that its bumper has not entered by half a metre; bisection."""
    low, high = agent.zone, agent.zone + agent.zones
    while low < high:
        middle = (low + high) // 2
        if zones[middle].begin - front > -0.5:
            high = middle
        else:
            low = middle + 1
    return low


@device
def when(distance, speed, desired, acceleration, deaf):
    """Seconds until a body has gone `distance`, at its speed and then accelerating to the desired one."""
    distance = max(distance, 0.0)
    if deaf:
        return distance / max(speed, 0.1)
    top = max(desired, speed)
    reach = (top * top - speed * speed) / max(2 * acceleration, 1e-3)
    if distance < reach:
        return (-speed + np.sqrt(speed * speed + 2 * acceleration * distance)) / max(acceleration, 1e-3)
    return (top - speed) / max(acceleration, 1e-3) + (distance - reach) / max(top, 0.1)


@device
def give_way(zone, me, other, goes_first, max_braking):
    """Gap to keep before a zone, NaN if driver `me` need not give way to the other there, and the speed behind it.

    Both are DRIVERs; goes_first says who does if nothing else decides.
    """
    d, od = zone.begin - me.s - me.half, zone.other_begin - other.s - other.half
    oout = zone.other_end - other.s + other.half
    if not (me.there and other.there and oout > 0 and od < FAR):
        return np.nan, 0.0
    out = zone.end - me.s + me.half
    within = od <= 0
    if not within and (other.free <= od + 0.5 or other.deaf and other.speed < 0.3):
        return np.nan, 0.0  # who will be stopped before the zone by something else does not come
    arrive = when(d, me.speed, me.desired, me.acceleration, me.deaf)
    their_leave = when(oout, other.speed, other.desired, other.acceleration, other.deaf)
    if not arrive < their_leave + MARGIN:
        return np.nan, 0.0
    leave = when(out, me.speed, me.desired, me.acceleration, me.deaf)
    their = when(od, other.speed, other.desired, other.acceleration, other.deaf)
    if not their < leave + MARGIN:
        return np.nan, 0.0
    first = arrive < their or arrive == their and goes_first
    if me.minor != other.minor:
        first = other.minor
    cannot = me.speed * me.speed / (2 * max_braking) > d + 0.5
    they_cannot = other.speed * other.speed / (2 * max_braking) > od + 0.5
    if cannot != they_cannot:
        first = cannot
    if first and not other.deaf and not within:
        return np.nan, 0.0
    if not (zone.merges and not (cannot and not within)):
        return max(d, 0.1), 0.0
    if within:
        return max(d - zone.other_begin + other.s - other.half, 0.1), other.speed
    # who merges may roll up to the merge, so as to be there when the other's rear has gone by
    passed = when(od + 2 * other.half, other.speed, other.desired, other.acceleration, other.deaf)
    return max(d, 0.1), min(other.speed, max(d, 0.0) / max(passed, 0.1))
