"""The body of traffic: what has wheels rolls, who walks walks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from drivesim.types import WALKERS, Agents, Body, Vehicle, is_kind

from .bicycle import Bicycle, axles
from .holonomic import Holonomic
from .limits import GRAVITY, bounded, limits_of


@dataclass(frozen=True)
class RoadUsers:
    """Command (..., A, 2): acceleration and steering angle of what has wheels, acceleration vector of walkers.

    Wheels obey at once, within what their kind can do on a road of this `friction` (limits.Road): brakes, drive and
    power, angle and rate of the steering, lateral acceleration.
    """

    friction: float = 1.0  # of the dry road's
    wheels: Bicycle = field(default_factory=lambda: Bicycle(0.0, 0.0, forward_only=True))
    feet: Holonomic = field(default_factory=Holonomic)

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        walks = is_kind(agents.kind, WALKERS)
        possible = self._possible(agents, body, command, dt, axles(agents, vehicle)[0])
        moved, after = self.wheels.step(agents, body, possible, dt, vehicle)
        walked, afoot = replace(self.feet, friction=self.friction).step(agents, body, command, dt, vehicle)
        return Agents.where(walks, walked, moved), Body.where(walks, afoot, after)

    def _possible(self, agents: Agents, body: Body, command: Tensor, dt: float, wheelbase: Tensor) -> Tensor:
        """Commands (..., A, 2) of wheels cut to their kind's limits."""
        limits, speed = limits_of(agents.kind, self.friction, agents.yaw.dtype), agents.speed
        drive = torch.minimum(limits.acceleration, limits.power / speed.abs().clamp_min(0.1))
        acceleration = torch.minimum(torch.maximum(command[..., 0], -limits.braking), drive)
        lateral = torch.minimum(limits.lateral, limits.grip * GRAVITY)
        most = torch.atan(wheelbase * lateral / speed.square().clamp_min(1e-2))
        steering = bounded(command[..., 1], torch.minimum(limits.steering, most))
        turn = limits.steering_rate * dt
        steering = torch.minimum(torch.maximum(steering, body.steering - turn), body.steering + turn)
        return torch.stack([acceleration, steering], -1)
