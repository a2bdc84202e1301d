"""Cyclists: they go where they point, and turn as fast as speed and balance allow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import heading, wrap_angle
from drivesim.types import Agents, Body, Vehicle

from .bicycle import _lag, axles
from .center_bicycle import arc
from .limits import bounded, lateral_bound, limits_of, next_speed


@dataclass(frozen=True)
class Unicycle:
    """Command (..., A, 2): acceleration [m/s^2] and yaw rate [rad/s]. The box's centre moves along the heading.

    A wheel that stands cannot turn: the yaw rate is bounded by speed over the smallest radius of the kind's steering,
    by lateral acceleration, and by the kind's own bound. A step is the exact arc; lean is not modelled.
    """

    friction: float = 1.0  # of the dry road's, see limits.Road
    acceleration_lag: float = 0.0  # [s]
    yaw_rate_lag: float = 0.0  # [s]
    forward_only: bool = True

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        limits = limits_of(agents.kind, self.friction, agents.yaw.dtype)
        if self.forward_only:
            limits = limits.replace(reverse=torch.zeros_like(limits.reverse))
        wheelbase, _ = axles(agents, vehicle)
        speed = agents.speed
        wish = _lag(body.acceleration, command[..., 0], self.acceleration_lag, dt)
        new_speed = next_speed(speed, wish, limits, dt)
        acceleration = (new_speed - speed) / dt

        fastest = torch.maximum(speed.abs(), new_speed.abs())
        slowest = torch.minimum(speed.abs(), new_speed.abs())
        most = torch.minimum(limits.yaw_rate, slowest * torch.tan(limits.steering) / wheelbase)
        most = torch.minimum(most, lateral_bound(acceleration, limits) / fastest.clamp_min(1e-3))
        before = torch.where(body.yaw_rate.isnan(), 0.0, body.yaw_rate)
        yaw_rate = bounded(_lag(before, command[..., 1], self.yaw_rate_lag, dt), most)

        turn = yaw_rate * dt
        xy = arc(agents.xy, agents.yaw, (speed + new_speed) / 2 * dt, turn)
        yaw = wrap_angle(agents.yaw + turn)
        moved = agents.replace(xy=xy, yaw=yaw, velocity=new_speed[..., None] * heading(yaw))
        steering = torch.atan(yaw_rate * wheelbase / new_speed.abs().clamp_min(1.0))  # that a bicycle would have had
        return moved, body.replace(steering=steering, acceleration=acceleration, yaw_rate=yaw_rate)
