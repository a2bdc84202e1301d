"""Reactive traffic: drivers follow their own route by IDM, walkers give way to bodies; the rest follows the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from drivesim.memory.history import History
from drivesim.struct import Struct, tensor
from drivesim.types import Action, Agents, Scenario, Scene, State

from .drivers import Drivers, RoadUsers, drive, drivers_of
from .following import IDM
from .switching import Switches, Why, look
from .walkers import Paths, Walkers


class Minds(Struct):
    """What traffic remembers over a drive: `switches` and the drivers' progress are written step by step."""

    drivers: Drivers = tensor()
    paths: Paths = tensor()
    switches: Switches = tensor()
    log: Agents = tensor(event=1)  # (T, A)


@dataclass(frozen=True)
class IDMTraffic:
    """Each driver follows the path of its own log and then the lanes on from there, at its own speed and distance.

    Desired speeds (limit of the lane, else the fastest the log shows), headways, and the branches taken after the end
    of the log are drawn from the rollout's seed, the first two with `variation` (standard deviation over mean). Who
    never moves and is not held up by a light or sign is parked and stays; who reverses follows the log, and so do
    walkers until somebody who left his log would touch them.
    """

    driver: IDM = field(default_factory=IDM)
    walkers: Walkers = field(default_factory=Walkers)
    variation: float = 0.1
    moving: float = 2.0  # shorter logged paths are parked [m]
    body: RoadUsers = field(default_factory=RoadUsers)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        minds = begin(self, state, scenario, seed)
        drives = minds.drivers.routes.active
        minds.switches.step[drives], minds.switches.why[drives] = int(state.step), int(Why.BEGIN)
        return state.replace(mind=minds)

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        return act(self, state, scene)


def begin(traffic: IDMTraffic, state: State, scenario: Scenario, seed: int) -> Minds:
    """Minds of traffic in which nobody has left its log yet."""
    drivers = drivers_of(scenario, seed, traffic.driver, traffic.variation, traffic.moving)
    switches = Switches.none(state.agents.valid.shape[-1])
    return Minds(drivers, traffic.walkers.begin(scenario), switches, scenario.log)


def act(traffic: IDMTraffic, state: State, scene: Scene) -> tuple[Action, State]:
    """What those do who have left their log, and the state with what they remember of it; before that, see whose log
    is not true any more."""
    assert isinstance(state.mind, Minds)
    minds = _written_anew(state.mind)
    look(minds.switches, minds.log, state, minds.drivers.routes.active | minds.paths.walks)
    decides = minds.switches.done & state.agents.valid
    command = drive(minds.drivers, state, scene, decides, traffic.driver)
    walkers = torch.nonzero(decides & minds.paths.walks)[:, 0]
    if len(walkers):
        command[walkers] = traffic.walkers.drive(minds.paths, state, walkers)
    return Action(command, _known(command)), state.replace(mind=minds)


def _written_anew(minds: Minds) -> Minds:
    """With copies of what a step writes: the states of the past keep theirs."""
    drivers = minds.drivers
    lines = drivers.lines.replace(stood=drivers.lines.stood.clone(), stood_light=drivers.lines.stood_light.clone())
    routes = drivers.routes.replace(headway=drivers.routes.headway.clone())
    drivers = drivers.replace(routes=routes, lines=lines, s=drivers.s.clone(), settled=drivers.settled.clone())
    return minds.replace(drivers=drivers, switches=minds.switches.map(torch.clone))


def _known(command: Tensor) -> Tensor:
    return ~command.isnan().any(-1)
