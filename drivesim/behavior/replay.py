"""Everybody but the ego follows the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from drivesim.dynamics.exact import Exact
from drivesim.memory.history import History
from drivesim.types import Action, Scenario, Scene, State


@dataclass(frozen=True)
class Replay:
    """Nobody decides: all follow the log, whatever the ego does, until somebody runs into them."""

    body: Exact = field(default_factory=Exact)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        return state

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        agents = state.agents
        return Action(torch.full((*agents.yaw.shape, 3), torch.nan), torch.zeros_like(agents.valid)), state
