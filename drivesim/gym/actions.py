"""From an action of a policy to acceleration and steering of the ego."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from drivesim.errors import InputError


@dataclass(frozen=True)
class Pedals:
    """What actions mean. Bodies cut it to what they can do: limits of the kind, grip in bends, steering rate."""

    acceleration: float = 4.0  # of an action of 1 [m/s^2]
    braking: float = 8.0  # of an action of -1 [m/s^2]
    steering: float = 0.5  # angle of the front wheels of an action of 1, left [rad]
    accelerations: tuple[float, ...] = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)  # of the grid
    steerings: tuple[float, ...] = (-1.0, -0.4, -0.15, -0.05, 0.0, 0.05, 0.15, 0.4, 1.0)  # likewise

    def __post_init__(self) -> None:
        if not (self.acceleration > 0 and self.braking > 0 and 0 < self.steering < np.pi / 2):
            raise InputError("pedals: acceleration and braking above 0 and steering within a right angle are expected")
        grid = np.array([*self.accelerations, *self.steerings])
        if not (self.accelerations and self.steerings and (np.abs(grid) <= 1).all()):
            raise InputError("pedals: accelerations and steerings of the grid from -1 to 1 are expected")

    def space(self, action: str) -> spaces.Space:
        """Of the actions: "continuous" is a Box of acceleration and steering, "discrete" the grid's cells, the steering
        running faster."""
        if action == "continuous":
            return spaces.Box(-1.0, 1.0, (2,), np.float32)
        if action == "discrete":
            return spaces.Discrete(len(self.accelerations) * len(self.steerings))
        raise InputError(f"action={action}: continuous or discrete is expected")

    def commands(self, actions: Any, action: str) -> np.ndarray:
        """Acceleration [m/s^2] and steering [rad] (B, 2) of actions (B, 2), cut to [-1, 1], or (B,) of the grid."""
        if action == "discrete":
            cells = np.asarray(actions)
            count = len(self.accelerations) * len(self.steerings)
            if cells.dtype.kind not in "iu" or ((cells < 0) | (cells >= count)).any():
                raise InputError(f"action {actions}: a whole number from 0 to {count - 1} is expected")
            row, column = np.divmod(cells, len(self.steerings))
            share = np.stack([np.array(self.accelerations)[row], np.array(self.steerings)[column]], -1)
        else:
            share = np.asarray(actions, np.float64)
            if share.shape[-1:] != (2,) or not np.isfinite(share).all():
                raise InputError(f"action {actions}: two finite numbers, acceleration and steering, are expected")
        share = share.clip(-1, 1)
        pedal = np.where(share[..., 0] > 0, self.acceleration, self.braking)
        return np.stack([share[..., 0] * pedal, share[..., 1] * self.steering], -1)
