"""The log's own driving."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import to_frame
from drivesim.types import Briefing, Observation, Plan


@dataclass
class Expert:
    """Plans what the logged driver did: an upper reference and a test of the loop, not a planner.

    `oracle` lets it see the logged future, which no other planner gets.
    """

    horizon: float = 4.0  # [s]
    period: float = 0.1
    sensors: tuple[str, ...] = ()
    privileged: bool = True
    oracle: bool = True

    def reset(self, briefing: Briefing) -> None:
        self._dt = briefing.dt

    def plan(self, observation: Observation) -> Plan:
        world = observation.world
        assert world is not None and world.future is not None
        steps = round(self.horizon / self._dt)
        poses = _going_on(world.ego_pose, world.future[:steps], steps)
        return Plan(to_frame(poses, world.ego_pose), torch.arange(1, steps + 1) * self._dt)


def _going_on(now: Tensor, future: Tensor, steps: int) -> Tensor:
    """The logged poses (steps, 3); where the log has a gap or has ended, the motion of its last step goes on."""
    poses = [now]
    move = torch.zeros(2)
    for k in range(steps):
        known = k < len(future) and bool(torch.isfinite(future[k]).all())
        pose = future[k] if known else torch.cat([poses[-1][:2] + move, poses[-1][2:]])
        move = pose[:2] - poses[-1][:2]
        poses.append(pose)
    return torch.stack(poses[1:])
