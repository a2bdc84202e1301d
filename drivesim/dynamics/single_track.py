"""Dynamic single-track: tyres slip, slide, and hold only what friction lets them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import heading, rotate, wrap_angle
from drivesim.types import Agents, Body, Vehicle

from .bicycle import _lag, axles
from .limits import GRAVITY, Limits, bounded, lateral_bound, limits_of, next_speed, next_steering

SUBSTEP = 0.02
"""Longest step of integration [s]: tyres settle at stiffness * g / speed, 54 1/s at 4 m/s; the midpoint bears 100."""

Motion = tuple[Tensor, Tensor, Tensor]
"""Velocity of the centre of gravity ahead and left [m/s], yaw rate [rad/s], each (..., A)."""


@dataclass(frozen=True)
class SingleTrack:
    """Command (..., A, 2): acceleration [m/s^2] and steering angle [rad], as for the kinematic bicycles.

    Lateral forces grow linearly with the slip angle and saturate at what friction leaves beside the longitudinal
    force (`sharpness` 4 keeps them within 1 % of linear up to 45 % of it). Loads move with the acceleration where
    `load_transfer`. Below `blend` the motion is pulled to rolling without slip, which slip angles cannot describe.

    Sources: stiffness per load 21.92 1/rad, centre of gravity, yaw inertia (l_f l_r per mass) and height 0.575 of
    1.38 m are the BMW 320i of the CommonRoad vehicle models (2020a, vehicle 2), which has the same stiffness in front
    and is neutral; production cars understeer by 1 to 4 deg/g (Gillespie 1992): 2 deg/g is taken, off the front.
    """

    acceleration_lag: float = 0.0  # [s]
    steering_lag: float = 0.0  # [s]
    friction: float = 1.0  # of the dry road's, see limits.Road
    stiffness: float = 21.92  # of the rear axle per load [1/rad]
    understeer: float = 0.035  # gradient [rad per g]
    gravity_share: float = 0.552  # centre of gravity ahead of the rear axle over the wheelbase
    inertia: float = 0.995  # yaw inertia over mass * l_f * l_r
    height: float = 0.417  # centre of gravity above the ground over the box's height
    load_transfer: bool = True
    blend: tuple[float, float] = (2.0, 4.0)  # rolls below the first, slips above the second [m/s]
    sharpness: float = 4.0

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        limits = limits_of(agents.kind, self.friction, agents.yaw.dtype)
        wheelbase, rear = axles(agents, vehicle)
        to_gravity = self.gravity_share * wheelbase
        motion, xy, yaw = self._motion(agents, body, wheelbase, rear), agents.xy, agents.yaw
        xy = xy + (to_gravity - rear)[..., None] * heading(yaw)
        start, steering, acceleration = motion[0], body.steering, body.acceleration
        n = math.ceil(dt / SUBSTEP - 1e-9)
        h = dt / n
        for _ in range(n):
            acceleration = _lag(acceleration, command[..., 0], self.acceleration_lag, h)
            steering = next_steering(steering, command[..., 1], self.steering_lag, limits, h)
            after = self._advance(motion, acceleration, steering, agents, wheelbase, limits, h)
            ahead, left, rate = ((a + b) / 2 for a, b in zip(motion, after, strict=True))
            xy = xy + h * rotate(torch.stack([ahead, left], -1), yaw + rate * h / 2)
            yaw, motion = yaw + rate * h, after
        ahead, left, rate = motion
        yaw = wrap_angle(yaw)
        velocity = rotate(torch.stack([ahead, left + rate * (rear - to_gravity)], -1), yaw)
        moved = agents.replace(xy=xy - (to_gravity - rear)[..., None] * heading(yaw), yaw=yaw, velocity=velocity)
        return moved, body.replace(steering=steering, acceleration=(ahead - start) / dt, yaw_rate=rate)

    def _motion(self, agents: Agents, body: Body, wheelbase: Tensor, rear: Tensor) -> Motion:
        """Of the centre of gravity; who comes without yaw rate (from a log) rolls."""
        ahead, left = rotate(agents.velocity, -agents.yaw).unbind(-1)
        unknown = body.yaw_rate.isnan()
        rolling = ahead * torch.tan(body.steering) / wheelbase
        rate = torch.where(unknown, rolling, body.yaw_rate)
        to_gravity = self.gravity_share * wheelbase
        left = torch.where(unknown, rolling * to_gravity, left + rate * (to_gravity - rear))
        return ahead, left, rate

    def _advance(
        self, motion: Motion, acceleration: Tensor, steering: Tensor, agents: Agents, wheelbase: Tensor,
        limits: Limits, h: float,
    ) -> Motion:  # fmt: skip
        """One substep: the midpoint rule where tyres slip, a plastic pull to rolling where they roll."""
        a = (next_speed(motion[0], acceleration, limits, h) - motion[0]) / h
        height = self.height * agents.size[..., 2] if self.load_transfer else torch.zeros_like(a)
        forces = (a, steering, wheelbase, height, limits)
        middle = _add(motion, self.derivative(motion, *forces), h / 2)
        slipping = _add(motion, self.derivative(middle, *forces), h)
        rolling = self._roll(motion, a, steering, wheelbase, limits, h)
        low, high = self.blend
        share = ((motion[0] ** 2 + motion[1] ** 2 - low**2) / (high**2 - low**2)).clamp(0, 1)
        share = share * share * (3 - 2 * share)
        ahead, left, rate = (r + share * (s - r) for r, s in zip(rolling, slipping, strict=True))
        return ahead, left, rate

    def derivative(
        self, motion: Motion, a: Tensor, steering: Tensor, wheelbase: Tensor, height: Tensor, limits: Limits
    ) -> Motion:
        """Accelerations ahead and left in the turning body frame [m/s^2] and of yaw [rad/s^2].

        `a` is the pedals' share; `height` (...) of the centre of gravity [m], 0 for loads that stay. Per unit of mass
        throughout. A body that would roll over slides instead: tyres hold no more than the kind's lateral bound.
        """
        ahead, left, rate = motion
        l_r = self.gravity_share * wheelbase
        l_f = wheelbase - l_r
        shift = a * height
        load_f = ((GRAVITY * l_r - shift) / wheelbase).clamp_min(0)
        load_r = ((GRAVITY * l_f + shift) / wheelbase).clamp_min(0)
        c, s = torch.cos(steering), torch.sin(steering)
        side_f, side_r = left + l_f * rate, left - l_r * rate
        slip_f = -torch.atan2(side_f * c - ahead * s, (ahead * c + side_f * s).abs() + 1e-3)
        slip_r = -torch.atan2(side_r, ahead.abs() + 1e-3)
        front = 1 / (1 / self.stiffness + self.understeer)
        rest = lateral_bound(a, limits) / GRAVITY  # friction that the pedals leave
        force_f = self._saturated(front * load_f * slip_f, rest * load_f)
        force_r = self._saturated(self.stiffness * load_r * slip_r, rest * load_r)
        push_f, push_r = a * load_f / GRAVITY, a * load_r / GRAVITY  # along the wheels, as the loads are
        inertia = self.inertia * l_f * l_r
        return (
            rate * left + push_r + push_f * c - force_f * s,
            -rate * ahead + push_f * s + force_f * c + force_r,
            (l_f * (push_f * s + force_f * c) - l_r * force_r) / inertia,
        )

    def _saturated(self, force: Tensor, most: Tensor) -> Tensor:
        """Nearly linear well below `most` and never above."""
        share = force / most.clamp_min(1e-6)
        return force / (1 + share.abs() ** self.sharpness) ** (1 / self.sharpness)

    def _roll(self, motion: Motion, a: Tensor, steering: Tensor, wheelbase: Tensor, limits: Limits, h: float) -> Motion:
        """Towards the nearest motion (in energy) without slip, as far as friction pulls in one substep."""
        ahead, left, rate = motion
        l_r = self.gravity_share * wheelbase
        inertia = self.inertia * l_r * (wheelbase - l_r)
        most = lateral_bound(a, limits) / (ahead**2).clamp_min(1e-3)
        k = bounded(torch.tan(steering) / wheelbase, most)
        u = (ahead + l_r * k * left + inertia * k * rate) / (1 + (l_r * k) ** 2 + inertia * k**2) + a * h
        goal = (u, l_r * k * u, k * u)
        pull = limits.grip * GRAVITY * h
        gap = torch.maximum((goal[1] - left).abs(), (goal[2] - rate).abs() * inertia / (wheelbase / 2))
        share = (pull / gap.clamp_min(1e-9)).clamp(max=1)
        ahead, left, rate = (x + share * (g - x) for x, g in zip(motion, goal, strict=True))
        return ahead, left, rate


def _add(motion: Motion, slope: Motion, h: float) -> Motion:
    ahead, left, rate = (x + h * dx for x, dx in zip(motion, slope, strict=True))
    return ahead, left, rate
