"""How near bodies come to each other in the next seconds, as the log has it and as it is going to be."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import heading, rotate
from drivesim.types import Agents, Body

DISCS = 4
"""That cover a box from end to end, each as wide as the box: corners stick out, by 0.2 of the width, which is small
beside what the next seconds hold."""


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


def ahead(agents: Agents, body: Body, seconds: Tensor) -> Agents:
    """Agents (A,) as they will be (K, A) after `seconds` (K,): straight on, speeding up or braking as they do now."""
    t = seconds[:, None]
    speed, change = agents.velocity.norm(dim=-1), body.acceleration.nan_to_num(0).clamp_max(0)
    halt = torch.where(change < -0.1, speed / (-change).clamp_min(0.1), torch.inf)  # nobody brakes into reverse
    t = torch.minimum(t, halt)
    way = speed * t + change * t.square() / 2
    course = agents.velocity / speed.clamp_min(1e-3)[:, None]
    grown = agents.map(lambda x: x.expand(len(seconds), *x.shape))
    return grown.replace(xy=agents.xy + way[..., None] * course)
