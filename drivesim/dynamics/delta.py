"""Pose deltas, as much research on agents commands them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import rotate, wrap_angle
from drivesim.types import Agents, Body, Vehicle

from .bicycle import axles
from .limits import bounded, limits_of, next_speed


@dataclass(frozen=True)
class Delta:
    """Command (..., A, 3): forward [m], left [m] and turn [rad] of the box centre over the step, in its own frame.

    Free, it goes wherever it is told. `clamped`, the speed ahead changes as the kind can, the speed sideways by its
    lateral acceleration, and the yaw rate is the kind's at most; no wheel keeps it from going sideways.
    """

    clamped: bool = False
    friction: float = 1.0  # of the dry road's, see limits.Road

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        now = rotate(agents.velocity, -agents.yaw)
        ahead, left, turn = command.unbind(-1)
        if self.clamped:
            limits = limits_of(agents.kind, self.friction, agents.yaw.dtype)
            ahead = dt * next_speed(now[..., 0], (ahead / dt - now[..., 0]) / dt, limits, dt)
            side = torch.minimum(limits.lateral, limits.grip * 9.81) * dt
            left = dt * (now[..., 1] + bounded(left / dt - now[..., 1], side))
            turn = bounded(turn, limits.yaw_rate * dt)
        step = rotate(torch.stack([ahead, left], -1), agents.yaw)
        yaw = wrap_angle(agents.yaw + turn)
        moved = agents.replace(xy=agents.xy + step, yaw=yaw, velocity=step / dt)
        wheelbase, _ = axles(agents, vehicle)
        acceleration = (ahead / dt - now[..., 0]) / dt
        steering = torch.atan(turn / dt * wheelbase / (ahead / dt).abs().clamp_min(1.0))  # of a bicycle
        return moved, body.replace(steering=steering, acceleration=acceleration, yaw_rate=turn / dt)
