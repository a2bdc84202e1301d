"""Environments of gymnasium over the batched traffic: `DriveSim/ClosedLoop-v0`, single and vectorised.

import gymnasium
environment = gymnasium.make("drivesim.gym:DriveSim/ClosedLoop-v0", scenarios="synthetic", limit=4)
many = gymnasium.make_vec("drivesim.gym:DriveSim/ClosedLoop-v0", num_envs=64, limit=4)

gymnasium finds no environments by itself: write `drivesim.gym:` before the name, or import this package first.
"""

import gymnasium

from .actions import Pedals
from .environment import ClosedLoop
from .rewards import Weights
from .vector import ClosedLoopVector

ID = "DriveSim/ClosedLoop-v0"

__all__ = ["ClosedLoop", "ClosedLoopVector", "ID", "Pedals", "Weights"]

if ID not in gymnasium.registry:
    gymnasium.register(
        ID, entry_point="drivesim.gym.environment:ClosedLoop", vector_entry_point="drivesim.gym.vector:ClosedLoopVector"
    )
