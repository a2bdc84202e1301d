"""What braking a situation demands. Pure functions over tensors (...) that broadcast; SI units."""

from __future__ import annotations

import torch
from torch import Tensor

from .time import time_to_collision

FULL_BRAKE = 8.0
"""Deceleration of a full brake on a dry road [m/s^2] (RSS's brake_max of ad-rss; commonroad-crime's car has 11.5)."""


def deceleration_to_avoid_crash(gap: Tensor, closing: Tensor) -> Tensor:
    """DRAC (...) [m/s^2] >= 0: closing^2 / (2 gap), the follower's constant deceleration that brings both to one speed
    just as they would touch (Almqvist et al. 1991); 0 unless closing, inf where they touch and close in."""
    needed = closing.clamp_min(0).square() / (2 * torch.where(gap > 0, gap, 1.0))
    needed = torch.where((gap <= 0) & (closing > 0), torch.inf, needed)
    return torch.where(torch.isnan(gap) | torch.isnan(closing), torch.nan, needed)


def required_acceleration(gap: Tensor, closing: Tensor, leader_acceleration: Tensor, form: str = "strict") -> Tensor:
    """a_long_req (...) [m/s^2] <= 0: min(a_leader - closing^2 / (2 gap), 0) (Jansson 2005).

    The follower's constant acceleration that takes the closing speed to zero as the gap closes, while the leader keeps
    its own; negative brakes. While the gap grows only the leader's own braking counts (`form="strict"`);
    `form="peer"` is commonroad-crime 0.4.5, which squares the speed difference also where the gap grows.
    """
    closing = closing.abs() if form == "peer" else closing
    return (leader_acceleration - deceleration_to_avoid_crash(gap, closing)).clamp_max(0)


def brake_threat_number(required: Tensor, full_brake: float = FULL_BRAKE) -> Tensor:
    """BTN (...): required longitudinal acceleration over the one there is (Jansson 2005); from 1 on braking alone is
    too late. `required` (...) <= 0 [m/s^2], `full_brake` > 0 the deceleration that the follower has."""
    return -required / full_brake


def time_to_brake(gap: Tensor, closing: Tensor, full_brake: float = FULL_BRAKE) -> Tensor:
    """TTB (...) [s]: how long the follower may still go on before a full brake just avoids the collision, both at
    constant speeds until then (Hillenbrand et al. 2006): TTC - closing / (2 full_brake).

    inf unless closing; negative where it is already too late. The leader keeps its speed.
    """
    return time_to_collision(gap, closing) - closing.clamp_min(0) / (2 * full_brake)
