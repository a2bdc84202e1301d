"""Who goes first where routes meet."""

from __future__ import annotations

import numpy as np

from drivesim.traffic.conflicts import FAR, MARGIN

from .routes import device


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
def give_way(i, zone, s, half, speed, desired, free, minor, deaf, there, accelerations, max_braking):
    """Gap to keep before a zone, NaN if agent i need not give way there, and the speed behind it.

    What decides, each (A,): arc length, half the body's length, speed, desired speed, way to what already stops it,
    a sign at the next junction, will not give way, is on its route; accelerations that drivers like.
    """
    j = zone.other
    d, od = zone.begin - s[i] - half[i], zone.other_begin - s[j] - half[j]
    oout = zone.other_end - s[j] + half[j]
    if not (there[i] and there[j] and oout > 0 and od < FAR):
        return np.nan, 0.0
    out = zone.end - s[i] + half[i]
    within = od <= 0
    if not within and (free[j] <= od + 0.5 or deaf[j] and speed[j] < 0.3):
        return np.nan, 0.0  # who will be stopped before the zone by something else does not come
    arrive = when(d, speed[i], desired[i], accelerations[i], deaf[i])
    their_leave = when(oout, speed[j], desired[j], accelerations[j], deaf[j])
    if not arrive < their_leave + MARGIN:
        return np.nan, 0.0
    leave = when(out, speed[i], desired[i], accelerations[i], deaf[i])
    their = when(od, speed[j], desired[j], accelerations[j], deaf[j])
    if not their < leave + MARGIN:
        return np.nan, 0.0
    first = arrive < their or arrive == their and i < j
    if minor[i] != minor[j]:
        first = minor[j]
    cannot = speed[i] * speed[i] / (2 * max_braking) > d + 0.5
    they_cannot = speed[j] * speed[j] / (2 * max_braking) > od + 0.5
    if cannot != they_cannot:
        first = cannot
    if first and not deaf[j] and not within:
        return np.nan, 0.0
    if not (zone.merges and not (cannot and not within)):
        return max(d, 0.1), 0.0
    if within:
        return max(d - zone.other_begin + s[j] - half[j], 0.1), speed[j]
    # who merges may roll up to the merge, so as to be there when the other's rear has gone by
    passed = when(od + 2 * half[j], speed[j], desired[j], accelerations[j], deaf[j])
    return max(d, 0.1), min(speed[j], max(d, 0.0) / max(passed, 0.1))
