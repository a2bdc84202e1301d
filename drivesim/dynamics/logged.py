"""What a log's motion implies about its bodies."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import wrap_angle
from drivesim.types import Body, Scenario

from .bicycle import axles


def logged_bodies(scenario: Scenario) -> Body:
    """Steering and acceleration (T, A) that the log's motion implies: a bicycle that makes the logged turns."""
    log, vehicle, dt = scenario.log, scenario.scene.briefing.vehicle, scenario.scene.briefing.dt
    wheelbase, _ = axles(log, vehicle)
    speed = log.speed
    turn = wrap_angle(log.yaw[1:] - log.yaw[:-1]) / dt
    turn = torch.cat([turn, turn[-1:]]).nan_to_num(0) if len(turn) else torch.zeros_like(log.yaw)
    steering = torch.atan(turn * wheelbase / speed.abs().clamp_min(1.0)) * (speed.abs() > 0.5)
    return Body(steering.nan_to_num(0).clamp(-0.6, 0.6), _rate(speed, dt))


def _rate(x: Tensor, dt: float) -> Tensor:
    """Backward difference (T, A): what has brought the value to where it is; zero where unknown."""
    change = (x[1:] - x[:-1]) / dt
    return torch.cat([change[:1], change]).nan_to_num(0) if len(change) else torch.zeros_like(x)
