"""Reactive traffic: drivers follow their own route by IDM, walkers give way to bodies; the rest follows the log."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from drivesim.dynamics.logged import logged_bodies
from drivesim.dynamics.road_users import RoadUsers
from drivesim.memory.history import History
from drivesim.struct import Struct, tensor
from drivesim.traffic.drive import drive
from drivesim.traffic.following import IDM
from drivesim.traffic.population import Population
from drivesim.traffic.records import records_of
from drivesim.traffic.tables import Drivers, Progress, drivers_of
from drivesim.types import DT, Action, Agents, Scenario, Scene, State

from .clearance import Ways, expected
from .switching import Switches, Why, look
from .walkers import Paths, Walkers


class Minds(Struct):
    """What traffic knows and remembers over a drive."""

    drivers: Drivers = tensor()
    progress: Progress = tensor()
    paths: Paths = tensor()
    switches: Switches = tensor()
    log: Agents = tensor(event=1)  # (T, A)
    records: Any = None  # the drivers' tables as the kernel reads them


@dataclass(frozen=True)
class IDMTraffic:
    """Each driver follows the path of its own log and then the lanes on from there, at its own speed and distance.

    Manners are drawn from the rollout's seed: from `population`, a file of `drivesim fit-traffic` or a shipped one's
    name, and where it tells nothing as `driver` has it, pace and headway varied by `variation` (standard deviation over
    mean). So are the branches taken after the end of the log. Desired speeds are the lane's limit, else the fastest the
    log shows. Who never moves and is not held up by a light or sign is parked and stays; who reverses follows the log,
    and so do walkers until somebody who left his log would touch them.
    """

    driver: IDM = field(default_factory=IDM)
    walkers: Walkers = field(default_factory=Walkers)
    variation: float = 0.1
    population: str = ""
    moving: float = 2.0  # shorter logged paths are parked [m]
    body: RoadUsers = field(default_factory=RoadUsers)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        minds = begin(self, state, scenario, seed)
        switches, drives = minds.switches.map(torch.clone), minds.drivers.active
        switches.step[drives], switches.why[drives] = int(state.step), int(Why.BEGIN)
        return state.replace(mind=minds.replace(switches=switches))

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        return act(self, state)


def begin(traffic: IDMTraffic, state: State, scenario: Scenario, seed: int) -> Minds:
    """Minds of traffic in which nobody has left its log yet."""
    people = Population.read(traffic.population) if traffic.population else Population()
    people = replace(people, driver=traffic.driver, variation=traffic.variation)
    drivers = drivers_of(scenario, seed, people.draw(scenario.log.kind.amax(0), seed), traffic.moving)
    records = records_of([scenario], [drivers], [logged_bodies(scenario)])
    switches = Switches.none(state.agents.valid.shape[-1])
    return Minds(drivers, Progress.none(drivers), traffic.walkers.begin(scenario), switches, scenario.log, records)


def act(traffic: IDMTraffic, state: State) -> tuple[Action, State]:
    """What those do who have left their log, and the state with what they remember of it; before that, see whose log
    is not true any more."""
    assert isinstance(state.mind, Minds)
    minds = state.mind
    drivers = minds.drivers
    switches = minds.switches.map(torch.clone)  # written below; the states of the past keep theirs
    ways = Ways(drivers.points, drivers.length, minds.progress.s)
    look(switches, minds.log, state, drivers.active | minds.paths.walks, ways)
    decides = switches.done & state.agents.valid
    command, progress = drive(minds.records, minds.progress, state, decides, traffic.driver)
    walkers = torch.nonzero(decides & minds.paths.walks)[:, 0]
    if len(walkers):
        ways = ways.replace(s=progress.s)
        soon = partial(expected, state, minds.log, decides, ways, DT)
        command[walkers] = traffic.walkers.drive(minds.paths, state, walkers, soon, minds.records.agents[0], DT)
    return Action(command, _known(command)), state.replace(mind=minds.replace(progress=progress, switches=switches))


def _known(command: Tensor) -> Tensor:
    return ~command.isnan().any(-1)
