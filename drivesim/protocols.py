"""The plug-in points. Inherit nothing: write the methods, add a yaml, and the contract tests run over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from .memory.history import History
from .types import (
    Action,
    Agents,
    Body,
    Briefing,
    Camera,
    Frames,
    Observation,
    Plan,
    Rollout,
    Scenario,
    Scene,
    Score,
    State,
    Trajectory,
    Vehicle,
)


class ScenarioSource(Protocol):
    """One log format. Cheap to build and to pickle; reads only in its methods.

    Beside these methods a source may have `undrivable() -> dict[id, reason]`: what it knows of its scenes that cannot
    be driven without loading them.
    """

    @staticmethod
    def recognizes(root: Path) -> bool:
        """Whether a folder or file is of this format: a quick look at names and first bytes that never raises."""
        ...

    def ids(self) -> list[str]:
        """All scenarios under the root, sorted, drivable or not; raises InputError if there is no data."""
        ...

    def fingerprint(self, id: str) -> str:
        """Hash of what `load` would read, without loading it."""
        ...

    def load(self, id: str) -> Scenario:
        """Raises InputError with what, where and what to do; a scene that cannot be driven raises NotDrivable."""
        ...


class Planner(Protocol):
    """The system under test.

    Who plays back plans that were made elsewhere has `play(scenario) -> Iterable[int]` beside these: it is told the
    scenario before anything else, and says at which steps it has plans. Then `period` says nothing.
    """

    sensors: Sequence[str]  # names of the cameras it looks at; "*" is all, "front" the one that looks straight ahead
    period: float  # seconds between plans, a multiple of dt
    privileged: bool  # whether observation.world is filled; with `oracle = True` also its future (expert only)

    def reset(self, briefing: Briefing) -> None: ...

    def plan(self, observation: Observation) -> Plan: ...


class WorldGenerator(Protocol):
    """Makes what cameras see. The world is whatever the generator remembers of the scenario."""

    def remember(self, scenario: Scenario) -> Any: ...

    def render(self, state: State, world: Any, cameras: Sequence[Camera]) -> tuple[Frames, Any]:
        """Frames of one scene's state (no batch prefix) and the world with what was added to it."""
        ...


class BodyModel(Protocol):
    """Physics of bodies."""

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        """Agents (..., A) and bodies one step later under `command` (..., A, K); pure. `vehicle` is agent 0's."""
        ...


class AgentBehavior(Protocol):
    """Decides for agents other than the ego; `Action.valid` says for whom."""

    body: BodyModel

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        """Put into `state.mind` what is drawn once."""
        ...

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        """What the others do for one step, and the state with what they remember of it (`mind`)."""
        ...


class Script(Protocol):
    """A scenario's own storyboard (`Scenario.script`): whom it directs, no behaviour decides for."""

    body: BodyModel

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        """Put into `state.story` where the story starts."""
        ...

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        """What the directed agents do for one step, and the state with the story one step further."""
        ...


class Controller(Protocol):
    """From the plan to an action of the ego."""

    body: BodyModel

    def track(self, state: State, trajectory: Trajectory, dt: float, vehicle: Vehicle) -> Action:
        """What the ego (agent 0) does for one step to follow the trajectory."""
        ...


class Metric(Protocol):
    """A function. Most take one rollout; realism takes many.

    One that judges plans, and not how they were driven, has `judges_plans = True`: only such apply in open loop.
    """

    def __call__(self, rollouts: Sequence[Rollout], scenario: Scenario) -> Score: ...
