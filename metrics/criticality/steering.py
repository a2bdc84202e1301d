"""What steering a situation demands. Pure functions over tensors (...) that broadcast; SI units, left is positive."""

from __future__ import annotations

import torch
from torch import Tensor

LATERAL = 8.0
"""Lateral acceleration that tyres give on a dry road [m/s^2]: as much as they give in a full brake."""


def required_lateral_acceleration(
    time: Tensor,
    offset: Tensor,
    room: Tensor,
    velocity: Tensor | float = 0.0,
    acceleration: Tensor | float = 0.0,
) -> Tensor:
    """a_lat_req (...) [m/s^2] >= 0: least constant lateral acceleration to be past the other's side when they would
    meet (Jansson 2005, 5.3.8).

    `time` (...) [s] to collision; `offset` (...) [m] of the other's centre to the left of the own path, with lateral
    `velocity` [m/s] and `acceleration` [m/s^2]; `room` (...) [m] that must lie between the centres: half of both
    widths. 0 where the time is inf or they pass anyway, inf at time 0. commonroad-crime takes the smaller size of the
    two sides' accelerations even where none is needed.
    """
    square = time.square()
    there = offset + velocity * time + acceleration * square / 2  # where the other will be
    needed = (room - there.abs()).clamp_min(0)
    result = torch.where(square > 0, 2 * needed / torch.where(square > 0, square, 1.0), torch.inf)
    result = torch.where(needed > 0, result, 0.0)
    never = torch.isinf(time)
    return torch.where(torch.isnan(time) | torch.isnan(offset), torch.nan, torch.where(never, 0.0, result))


def steer_threat_number(required: Tensor, available: float = LATERAL) -> Tensor:
    """STN (...): required lateral acceleration over the one there is (Jansson 2005); from 1 on steering is too late."""
    return required / available


def time_to_steer(time: Tensor, offset: Tensor, room: Tensor, available: float = LATERAL) -> Tensor:
    """TTS (...) [s]: how long one may still go straight on before steering at `available` [m/s^2] just passes the
    other (Hillenbrand et al. 2006): TTC - sqrt(2 way / available), by the nearer side.

    Arguments as in `required_lateral_acceleration`, the other keeping its offset. inf where they never meet; negative
    where it is already too late.
    """
    way = (room - offset.abs()).clamp_min(0)
    return time - (2 * way / available).sqrt()


def time_to_react(*latest: Tensor) -> Tensor:
    """TTR (...) [s]: the latest of the manoeuvres that still avoid (TTB, TTS, TTK ...), so how long one may wait."""
    return torch.stack(torch.broadcast_tensors(*latest), -1).amax(-1)
