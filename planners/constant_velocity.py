"""Keep speed and heading."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from drivesim.types import Briefing, Observation, Plan


@dataclass
class ConstantVelocity:
    """The field's lower bound: straight on at the present speed."""

    horizon: float = 4.0  # [s]
    period: float = 0.1
    sensors: tuple[str, ...] = ()
    privileged: bool = False

    def reset(self, briefing: Briefing) -> None:
        self._dt = briefing.dt

    def plan(self, observation: Observation) -> Plan:
        time = torch.arange(1, round(self.horizon / self._dt) + 1) * self._dt
        x = observation.ego.velocity[-1, 0] * time
        return Plan(torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], -1), time)
