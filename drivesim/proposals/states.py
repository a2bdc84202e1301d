"""Columns of the arrays of states (..., 7) of the ego, and where a roll-out begins."""

from __future__ import annotations

import numpy as np
import torch

from drivesim.types import Agents, Body, Vehicle

X, Y, YAW, SPEED, ACCELERATION, STEERING, YAW_RATE = range(7)
"""Rear axle, world [m, m, rad]; along the heading [m/s, m/s^2]; front wheels [rad]; [rad/s]."""


def ego_states(ego: Agents, body: Body, vehicle: Vehicle) -> np.ndarray:
    """States (..., 7) of the ego as it drove; its yaw rate is the one that its wheels give it."""
    pose = vehicle.rear_axle(ego.poses.double())
    speed, steering = ego.speed.double(), body.steering.double()
    rate = speed * torch.tan(steering) / vehicle.wheelbase
    columns = [*pose.unbind(-1), speed, body.acceleration.double(), steering, rate]
    return torch.stack(columns, -1).numpy()


def centers(states: np.ndarray, vehicle: Vehicle) -> np.ndarray:
    """Middle of the ego's box (..., 2) in states (..., 7)."""
    ahead = np.stack([np.cos(states[..., YAW]), np.sin(states[..., YAW])], -1)
    return states[..., :2] + vehicle.rear_axle_to_center * ahead


def boxes(states: np.ndarray, vehicle: Vehicle) -> np.ndarray:
    """Corners (..., 4, 2) of the ego's box: front left, front right, rear right, rear left."""
    ahead = np.stack([np.cos(states[..., YAW]), np.sin(states[..., YAW])], -1)[..., None, :]
    left = np.stack([-ahead[..., 1], ahead[..., 0]], -1)
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])
    along, aside = signs[:, :1] * vehicle.length / 2, signs[:, 1:] * vehicle.width / 2
    return centers(states, vehicle)[..., None, :] + along * ahead + aside * left
