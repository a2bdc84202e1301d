"""Who goes first where routes meet."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.struct import Struct, tensor
from drivesim.traffic.conflicts import FAR, MARGIN, Zones


class Traffic(Struct):
    """What decides who goes first, of all agents (B, A)."""

    s: Tensor = tensor()  # arc length of the middle on the own route [m]
    half: Tensor = tensor()  # of the body's length [m]
    speed: Tensor = tensor()  # [m/s]
    desired: Tensor = tensor()  # [m/s]
    free: Tensor = tensor()  # way to what already stops it, from the bumper [m]
    acceleration: Tensor = tensor()  # that it likes [m/s^2]
    minor: Tensor = tensor()  # bool: it has a stop or yield sign at the next junction
    deaf: Tensor = tensor()  # bool: it will not give way, whatever comes
    there: Tensor = tensor()  # bool: on its route


def give_way(zones: Zones, traffic: Traffic, braking: float) -> tuple[Tensor, Tensor, Tensor]:
    """In which zones somebody gives way (B, Z), the gap (B, Z) [m] to keep there and the speed (B, Z) behind it."""
    pick = lambda who: traffic.map(lambda x: x.gather(1, who.clamp_min(0)))  # noqa: E731
    me, other = pick(zones.me), pick(zones.other)
    d, od = zones.begin - me.s - me.half, zones.other_begin - other.s - other.half
    within = od <= 0
    with torch.no_grad():
        cannot = me.speed.square() / (2 * braking) > d + 0.5
        yields = (zones.me >= 0) & _yields(zones, me, other, d, od, cannot, braking)
    virtual, near = zones.merges & ~(cannot & ~within), d.clamp_min(0.1)
    behind = (d - zones.other_begin + other.s - other.half).clamp_min(0.1)
    gap = torch.where(virtual & within, behind, near)
    # who merges may roll up to the merge, so as to be there when the other's rear has gone by
    passed = _when(od + 2 * other.half, other).clamp_min(0.1)
    pace = torch.where(within, other.speed, torch.minimum(other.speed, d.clamp_min(0) / passed))
    return yields, gap, torch.where(virtual, pace, 0.0)


def _yields(
    zones: Zones, me: Traffic, other: Traffic, d: Tensor, od: Tensor, cannot: Tensor, braking: float
) -> Tensor:  # fmt: skip
    within = od <= 0
    out, oout = zones.end - me.s + me.half, zones.other_end - other.s + other.half
    coming = me.there & other.there & (d > -0.5) & (d < FAR) & (oout > 0) & (od < FAR)
    arrive, leave = _when(d, me), _when(out, me)
    their, their_leave = _when(od, other), _when(oout, other)
    # who will be stopped before the zone by something else does not come
    coming = coming & (within | ((other.free > od + 0.5) & ~(other.deaf & (other.speed < 0.3))))
    meet = (arrive < their_leave + MARGIN) & (their < leave + MARGIN)
    first = (arrive < their) | ((arrive == their) & (zones.me < zones.other))
    first = torch.where(me.minor != other.minor, other.minor, first)
    they_cannot = other.speed.square() / (2 * braking) > od + 0.5
    first = torch.where(cannot != they_cannot, cannot, first)
    return coming & meet & ~(first & ~other.deaf & ~within)


def _when(distance: Tensor, t: Traffic) -> Tensor:
    """Seconds (B, Z) until a body has gone `distance`, at its speed and then accelerating to the desired one."""
    distance, a = distance.clamp_min(0), t.acceleration
    top = torch.maximum(t.desired, t.speed)
    reach = (top.square() - t.speed.square()) / (2 * a).clamp_min(1e-3)
    during = (-t.speed + (t.speed.square() + 2 * a * distance).sqrt()) / a.clamp_min(1e-3)
    after = (top - t.speed) / a.clamp_min(1e-3) + (distance - reach) / top.clamp_min(0.1)
    steady = distance / t.speed.clamp_min(0.1)
    return torch.where(t.deaf, steady, torch.where(distance < reach, during, after))
