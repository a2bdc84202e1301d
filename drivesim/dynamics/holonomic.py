"""Pedestrians: they step wherever they like, as fast as legs allow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import heading, wrap_angle
from drivesim.types import Agents, Body, Vehicle

from .limits import bounded, limits_of


@dataclass(frozen=True)
class Holonomic:
    """Command (..., A, 2): acceleration vector, world [m/s^2].

    Its length is at most the kind's braking, speed grows at most by the kind's acceleration and up to its top speed.
    The body turns towards where it goes at the kind's yaw rate; slower than `turning` it keeps looking where it looks.
    """

    friction: float = 1.0  # of the dry road's, see limits.Road
    turning: float = 0.3  # [m/s]

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        limits = limits_of(agents.kind, self.friction, agents.yaw.dtype)
        before = agents.velocity
        speed = before.norm(dim=-1)
        pushed = before + dt * _within(command, limits.braking)
        top = torch.minimum(limits.speed, speed + limits.acceleration * dt)
        top = torch.maximum(top, torch.minimum(speed, speed - limits.braking * dt))
        velocity = _within(pushed, top)

        going = velocity.norm(dim=-1) > self.turning
        course = torch.atan2(torch.where(going, velocity[..., 1], 0.0), torch.where(going, velocity[..., 0], 1.0))
        turn = bounded(wrap_angle(course - agents.yaw), limits.yaw_rate * dt)
        turn = torch.where(going, turn, 0.0)
        yaw = wrap_angle(agents.yaw + turn)
        moved = agents.replace(xy=agents.xy + (before + velocity) / 2 * dt, yaw=yaw, velocity=velocity)
        acceleration = ((velocity - before) / dt * heading(yaw)).sum(-1)
        return moved, body.replace(
            steering=torch.zeros_like(body.steering), acceleration=acceleration, yaw_rate=turn / dt
        )


def _within(vector: Tensor, most: Tensor) -> Tensor:
    """Vectors (..., 2) shortened to at most `most` (...)."""
    length = vector.norm(dim=-1)
    scale = torch.where(length > most, most / length.clamp_min(1e-9), 1.0)
    return vector * scale[..., None]
