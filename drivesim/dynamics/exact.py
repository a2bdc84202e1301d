"""A body that is where it is told to be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import wrap_angle
from drivesim.types import Agents, Body, Vehicle

from .bicycle import axles


@dataclass(frozen=True)
class Exact:
    """Command (..., A, 3): x, y, yaw of the box centre at the end of the step, world. For research and for tests."""

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        velocity = (command[..., :2] - agents.xy) / dt
        moved = agents.replace(xy=command[..., :2], yaw=command[..., 2], velocity=velocity)
        acceleration = (moved.speed - agents.speed) / dt
        wheelbase, _ = axles(agents, vehicle)
        turn = wrap_angle(moved.yaw - agents.yaw) / dt
        steering = torch.atan(turn * wheelbase / moved.speed.abs().clamp_min(1.0))  # that a bicycle would have had
        return moved, body.replace(acceleration=acceleration, steering=steering, yaw_rate=turn)
