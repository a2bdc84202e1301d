"""A controller that is always exactly on the plan."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from drivesim.dynamics.exact import Exact
from drivesim.types import Action, State, Trajectory, Vehicle

from .trajectory import pose_at


@dataclass(frozen=True)
class Perfect:
    """The ego is put where the plan says it will be one step later. For research and for tests."""

    body: Exact = field(default_factory=Exact)

    def track(self, state: State, trajectory: Trajectory, dt: float, vehicle: Vehicle) -> Action:
        target = vehicle.center(pose_at(trajectory, torch.tensor([dt]))[..., 0, :])
        command = torch.full((*state.agents.yaw.shape, 3), torch.nan)
        command[..., 0, :] = target
        valid = torch.zeros_like(state.agents.valid)
        valid[..., 0] = True
        return Action(command, valid)
