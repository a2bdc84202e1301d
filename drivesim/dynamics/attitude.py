"""How bodies rest on the ground: real logs tilt by 2 to 5 degrees, and cameras see it."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.roadmap import RoadMap
from drivesim.struct import Struct, tensor
from drivesim.types import Agents, Map


class Attitude(Struct):
    """What a log's height, pitch and roll were beyond those of the ground below: the residual along each track."""

    xy: Tensor = tensor(event=1)  # (T, A, 2) where it was seen; inf where the agent was absent
    residual: Tensor = tensor(event=1)  # (T, A, 3) z, pitch, roll minus the ground's

    @staticmethod
    def of(log: Agents, map: Map) -> Attitude:
        seen = torch.stack([log.z, log.pitch, log.roll], -1)
        residual = seen - ground_pose(log, map)
        mask = log.valid[..., None]
        return Attitude(torch.where(mask, log.xy, torch.inf), torch.where(mask, residual, 0.0))

    def settle(self, agents: Agents, map: Map) -> Agents:
        """Agents (A,) with z, pitch and roll of the ground under them plus the residual of the nearest logged place.

        On a logged pose this is what was logged there, when it was there first.
        """
        distance = (self.xy - agents.xy.nan_to_num(0)).square().sum(-1)
        nearest = distance.argmin(0)
        residual = self.residual[nearest, torch.arange(len(nearest))]
        z, pitch, roll = (ground_pose(agents, map) + residual).unbind(-1)
        return agents.replace(z=z, pitch=pitch, roll=roll)


def ground_pose(agents: Agents, map: Map) -> Tensor:
    """z, pitch, roll (..., A, 3) of bodies that rest on the ground where the agents are."""
    road = RoadMap.of(map)
    return torch.stack([road.ground(agents.xy), *road.slope(agents.xy, agents.yaw)], -1)
