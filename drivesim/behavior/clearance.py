"""How near bodies come to each other in the next seconds, as the log has it and as it is going to be."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import heading, rotate, wrap_angle
from drivesim.struct import Struct, tensor
from drivesim.traffic.following import at
from drivesim.types import WALKERS, Agents, Body, State, is_kind

DISCS = 4
"""That cover a box from end to end, each as wide as the box: corners stick out, by 0.2 of the width, which is small
beside what the next seconds hold."""

BESIDE = 3.0
"""Its route, up to which a body is taken to follow it [m]."""

ALONG = 0.6
"""Angle to its route up to which it does [rad]."""

ON_LOG = 0.1
"""From its logged place, up to which a body follows its log [m]."""


class Ways(Struct):
    """Routes that bodies follow, and where on them they are."""

    points: Tensor = tensor(event=2)  # (A, P, 2), as in `following.Routes`
    length: Tensor = tensor()  # (A,) [m], 0 where there is none
    s: Tensor = tensor()  # (A,) arc length now, a step ago is near enough; NaN where unknown


def clearance(a: Agents, b: Agents) -> Tensor:
    """Distance (..., N, M) [m] between boxes a (..., N) and b (..., M), negative where they overlap; inf for absent.

    Those of `a` are rounded: a row of discs.
    """
    half_width = a.size[..., 1] / 2
    reach = (a.size[..., 0] / 2 - half_width).clamp_min(0)
    place = torch.linspace(-1, 1, DISCS)
    discs = a.xy[..., None, :] + (place * reach[..., None])[..., None] * heading(a.yaw)[..., None, :]  # (..., N, D, 2)
    local = rotate(discs[..., None, :] - b.xy[..., None, None, :, :], -b.yaw[..., None, None, :])
    beyond = local.abs() - b.size[..., None, None, :, :2] / 2
    outside, inside = beyond.clamp_min(0).norm(dim=-1), beyond.amax(-1).clamp_max(0)
    distance = (outside + inside).amin(-2) - half_width[..., None]
    there = a.valid[..., :, None] & b.valid[..., None, :]
    return torch.where(there, distance, torch.inf)


def ahead(agents: Agents, body: Body, seconds: Tensor, ways: Ways | None = None) -> Agents:
    """Agents (A,) as they will be (K, A) after `seconds` (K,): along their ways, straight on where they have none,
    braking as they do now."""
    t = seconds[:, None]
    speed, change = agents.velocity.norm(dim=-1), body.acceleration.nan_to_num(0).clamp_max(0)
    halt = torch.where(change < -0.1, speed / (-change).clamp_min(0.1), torch.inf)  # nobody brakes into reverse
    t = torch.minimum(t, halt)
    travel = speed * t + change * t.square() / 2
    course = agents.velocity / speed.clamp_min(1e-3)[:, None]
    grown = agents.map(lambda x: x.expand(len(seconds), *x.shape))
    grown = grown.replace(xy=agents.xy + travel[..., None] * course)
    return grown if ways is None else _along(grown, agents, ways, travel)


def expected(state: State, log: Agents, decides: Tensor, ways: Ways | None, dt: float, steps: Tensor) -> Agents:
    """Agents (K, A) after `steps` (K,): who follows its log (T, A) stays on it, the others (`decides`, and the ego)
    as in `ahead`."""
    agents, now = state.agents, int(state.step)
    will = ahead(agents, state.body, steps * dt, ways)
    here = log[min(now, len(log.valid) - 1)]
    follows = ~decides & ((agents.xy - here.xy).norm(dim=-1) < ON_LOG)
    follows[0] = False
    known = now + steps < len(log.valid)
    logged = log[(now + steps).clamp_max(len(log.valid) - 1)]
    return Agents.where(follows & known[:, None], logged, will)


def _along(grown: Agents, agents: Agents, ways: Ways, travel: Tensor) -> Agents:
    """`grown` (K, A) with those who follow a route moved `travel` (K, A) metres along it, beside it as they are now."""
    rows = torch.nonzero((ways.length > 0) & ~ways.s.isnan() & agents.valid & ~is_kind(agents.kind, WALKERS))[:, 0]
    if not len(rows):
        return grown
    s = ways.s[rows, None].to(agents.xy.dtype)
    place, yaw = at(ways.points[rows], ways.length[rows], torch.cat([s, s + travel[:, rows].T], 1))
    off = (place[:, 0] - agents.xy[rows]).norm(dim=-1)
    on = (off < BESIDE) & (wrap_angle(yaw[:, 0] - agents.yaw[rows]).abs() < ALONG)
    rows, place, yaw = rows[on], place[on], yaw[on]
    xy, turned = grown.xy.clone(), grown.yaw.clone()
    xy[:, rows] = agents.xy[rows] + (place[:, 1:] - place[:, :1]).transpose(0, 1)
    turned[:, rows] = wrap_angle(agents.yaw[rows] + (yaw[:, 1:] - yaw[:, :1]).T)
    return grown.replace(xy=xy, yaw=turned)
