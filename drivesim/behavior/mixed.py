"""Traffic that replays its log as long as that is true, and reacts from then on."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivesim.dynamics.road_users import RoadUsers
from drivesim.memory.history import History
from drivesim.types import Action, Scenario, Scene, State

from .idm import IDMTraffic, act, begin


@dataclass(frozen=True)
class Mixed:
    """Everybody follows the log until somebody who left his own makes it untrue (see `switching`), then drives by
    `traffic`, from the pose and speed that the log left it with.

    Where the ego keeps to its log nobody switches, and the drive is the log. Who switched, when, why and because of
    whom stands in `state.mind.switches`.
    """

    traffic: IDMTraffic = field(default_factory=IDMTraffic)
    body: RoadUsers = field(default_factory=RoadUsers)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        return state.replace(mind=begin(self.traffic, state, scenario, seed))

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        return act(self.traffic, state)
