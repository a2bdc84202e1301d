"""Kinematic bicycle about the rear axle."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import heading, wrap_angle
from drivesim.types import Agents, Body, Vehicle

WHEELBASE_PER_LENGTH = 0.6
"""Of other agents, whose axles no log states; the reference vehicle (types.Vehicle) has 3.089 / 5.176 = 0.597."""

REAR_AXLE_PER_LENGTH = 0.28
"""Box centre ahead of the rear axle, likewise (1.461 / 5.176 = 0.282)."""


def axles(agents: Agents, vehicle: Vehicle) -> tuple[Tensor, Tensor]:
    """Wheelbase (..., A) and distance from the rear axle to the box centre (..., A); agent 0 is `vehicle`."""
    ego = torch.arange(agents.yaw.shape[-1], device=agents.yaw.device) == 0
    length = agents.size[..., 0]
    wheelbase = torch.where(ego, vehicle.wheelbase, WHEELBASE_PER_LENGTH * length)
    return wheelbase, torch.where(ego, vehicle.rear_axle_to_center, REAR_AXLE_PER_LENGTH * length)


@dataclass(frozen=True)
class Bicycle:
    """Command (..., A, 2): acceleration [m/s^2] and steering angle [rad], each reached through a first-order lag.

    Euler steps with the speed and steering of the step's start, as nuPlan and NAVSIM define the model; their lags
    and steering limit are the defaults. `forward_only` keeps traffic from rolling backwards when it brakes.
    """

    acceleration_lag: float = 0.2  # [s]
    steering_lag: float = 0.05  # [s]
    max_steering: float = torch.pi / 3  # [rad]
    forward_only: bool = False

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        wheelbase, rear = axles(agents, vehicle)
        speed, yaw = agents.speed, agents.yaw
        acceleration = _lag(body.acceleration, command[..., 0], self.acceleration_lag, dt)
        steering = _lag(body.steering, command[..., 1], self.steering_lag, dt)
        steering = steering.clamp(-self.max_steering, self.max_steering)

        axle = agents.xy - rear[..., None] * heading(yaw) + dt * speed[..., None] * heading(yaw)
        new_yaw = wrap_angle(yaw + dt * speed * torch.tan(body.steering) / wheelbase)
        new_speed = speed + dt * acceleration
        if self.forward_only:
            new_speed = new_speed.clamp_min(0)
            acceleration = (new_speed - speed) / dt
        yaw_rate = new_speed * torch.tan(steering) / wheelbase

        ahead, left = heading(new_yaw), heading(new_yaw + torch.pi / 2)
        velocity = new_speed[..., None] * ahead + (yaw_rate * rear)[..., None] * left
        moved = agents.replace(xy=axle + rear[..., None] * ahead, yaw=new_yaw, velocity=velocity)
        return moved, body.replace(steering=steering, acceleration=acceleration, yaw_rate=yaw_rate)


def _lag(now: Tensor, target: Tensor, lag: float, dt: float) -> Tensor:
    return now + dt / (dt + lag) * (target - now)
