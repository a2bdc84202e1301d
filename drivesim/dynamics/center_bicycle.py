"""Kinematic bicycle about the centre of gravity, within the limits of its kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import heading, wrap_angle
from drivesim.types import Agents, Body, Vehicle

from .bicycle import _lag, axles
from .limits import bounded, lateral_bound, limits_of, next_speed, next_steering

GRAVITY_SHARE = 0.54
"""Centre of gravity ahead of the rear axle over the wheelbase: 1.67 / 3.089 of nuPlan's Pacifica; the BMW 320i of
CommonRoad has 0.55, the VW Vanagon 0.53."""


def arc(xy: Tensor, course: Tensor, length: Tensor, turn: Tensor) -> Tensor:
    """End (..., 2) of an arc from `xy` that sets out along `course` (...), `length` (...) long, and turns by `turn`."""
    chord = length * torch.sinc(turn / (2 * torch.pi))
    return xy + chord[..., None] * heading(course + turn / 2)


@dataclass(frozen=True)
class CenterBicycle:
    """Command (..., A, 2): acceleration of the centre of gravity [m/s^2] and steering angle [rad].

    Wheels roll without slip: the centre of gravity moves at the angle beta to the heading, tan(beta) = tan(steering)
    l_r / L, on a circle of curvature sin(beta) / l_r, and keeps its speed when it steers. A step is the exact arc.
    Where the tyres cannot hold that curvature the path is wider: lateral acceleration stays within friction and kind.
    """

    acceleration_lag: float = 0.0  # [s]
    steering_lag: float = 0.0  # [s]
    friction: float = 1.0  # of the dry road's, see limits.Road
    gravity_share: float = GRAVITY_SHARE
    forward_only: bool = False

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        limits = limits_of(agents.kind, self.friction, agents.yaw.dtype)
        if self.forward_only:
            limits = limits.replace(reverse=torch.zeros_like(limits.reverse))
        wheelbase, rear = axles(agents, vehicle)
        to_gravity = self.gravity_share * wheelbase
        speed = self._speed(agents, body, wheelbase, to_gravity)
        wish = _lag(body.acceleration, command[..., 0], self.acceleration_lag, dt)
        new_speed = next_speed(speed, wish, limits, dt)
        acceleration = (new_speed - speed) / dt
        steering = next_steering(body.steering, command[..., 1], self.steering_lag, limits, dt)

        beta = torch.atan(self.gravity_share * torch.tan(steering))
        fastest = torch.maximum(speed**2, new_speed**2).clamp_min(1e-3)
        curvature = bounded(torch.sin(beta) / to_gravity, lateral_bound(acceleration, limits) / fastest)
        beta = torch.asin((curvature * to_gravity).clamp(-0.999, 0.999))

        way = (speed + new_speed) / 2 * dt
        center = agents.xy + (to_gravity - rear)[..., None] * heading(agents.yaw)
        center = arc(center, agents.yaw + beta, way, curvature * way)
        yaw = wrap_angle(agents.yaw + curvature * way)
        yaw_rate = curvature * new_speed
        ahead, left = heading(yaw), heading(yaw + torch.pi / 2)
        velocity = (new_speed * torch.cos(beta))[..., None] * ahead + (yaw_rate * rear)[..., None] * left
        moved = agents.replace(xy=center - (to_gravity - rear)[..., None] * ahead, yaw=yaw, velocity=velocity)
        return moved, body.replace(steering=steering, acceleration=acceleration, yaw_rate=yaw_rate)

    def _speed(self, agents: Agents, body: Body, wheelbase: Tensor, to_gravity: Tensor) -> Tensor:
        """Signed speed (..., A) of the centre of gravity of bodies whose rear wheels roll straight on."""
        ahead = agents.speed
        rolling = ahead * torch.tan(body.steering) / wheelbase
        sideways = to_gravity * torch.where(body.yaw_rate.isnan(), rolling, body.yaw_rate)
        square = ahead**2 + sideways**2
        moving = square > 0
        root = torch.where(moving, square, 1.0).sqrt()  # whose slope at rest is not a number
        return torch.where(moving, torch.where(ahead < 0, -root, root), ahead)
