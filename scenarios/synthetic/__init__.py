"""An endless supply of seeded towns to drive in: the embedded default, with no data to download."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.loading import command_of, fingerprint
from drivesim.rigs import rig
from drivesim.types import Briefing, Scenario, Scene

from . import world
from .cast import EGO, draw_cast, draw_situation
from .drives import Drive, record, tags
from .recordings import Lidar, Recorder
from .town import Town

VERSION = "1"  # of what a seed makes; part of the fingerprint
START = 10  # the planner takes over after a second of history
LICENCE = "Apache-2.0 (made by drivesim, free to publish)"


@dataclass(frozen=True)
class Synthetic:
    """Seeded towns with traffic. Ids are town-0000, town-0001, ...; any number loads, `ids` lists the first `count`.

    duration: length of the log [s]; width, height: of the cameras' pictures [px], which are nuScenes' six.
    sensors: whether photos and lidar sweeps come with the log, exact drawings of the layout at every step; then
    beams: of the lidar, 32 or 64; reach: how far it sees [m]; noise: of its distances, standard deviation [m].
    """

    seed: int = 0
    duration: float = 12.0
    count: int = 100
    width: int = 400
    height: int = 224
    sensors: bool = False
    beams: int = 64
    reach: float = 120.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        Lidar(self.beams, self.reach, self.noise)
        if not 2.0 <= self.duration <= 30.0:
            raise InputError(f"scenarios.duration={self.duration}: a town's log lasts 2 to 30 seconds")
        if self.count < 1 or self.seed < 0:
            raise InputError(f"scenarios.count={self.count}, seed={self.seed}: count is 1 or more, seed 0 or more")

    @staticmethod
    def recognizes(root: Path) -> bool:
        return False  # it has no files

    def ids(self) -> list[str]:
        return [f"town-{i:04d}" for i in range(self.count)]

    def fingerprint(self, id: str) -> str:
        _number(id)
        silent = {"count", *(() if self.sensors else ("sensors", "beams", "reach", "noise"))}
        options = sorted((key, value) for key, value in asdict(self).items() if key not in silent)
        return fingerprint([], f"synthetic {VERSION} {id} {options}")

    def load(self, id: str) -> Scenario:
        seeds = np.random.SeedSequence([self.seed, _number(id)]).spawn(2)
        town = Town(np.random.default_rng(seeds[0]))
        drive = _drive(town, seeds[1], self.duration)
        origin = world.axle_origin(drive, town.hills)
        route = world.route(drive, origin)
        log = world.agents(drive, town.hills, origin)
        briefing = Briefing(route, command_of(route, log.xy[START, 0]), EGO, rig("nuscenes", self.width, self.height))
        scene = Scene(
            world.town_map(town, origin),
            world.scenery(town.stage, town.hills, origin),
            world.signals(town, drive.cast.plans, origin, self.duration),
            briefing,
        )
        scenario = Scenario(
            id, "synthetic", self.fingerprint(id), scene, log, tuple(drive.names), START, None,
            torch.from_numpy(origin), LICENCE, tags(town.net, drive),
        )  # fmt: skip
        if not self.sensors:
            return scenario
        return replace(scenario, sensors=Recorder(scenario, Lidar(self.beams, self.reach, self.noise)).log())


def _drive(town: Town, seeds: np.random.SeedSequence, duration: float) -> Drive:
    """The first of a row of drawn casts in which the ego gets on; another situation after every eight."""
    for row in seeds.spawn(6):
        situation = draw_situation(np.random.default_rng(row))
        for seed in row.spawn(8):
            cast = draw_cast(np.random.default_rng(seed), town, situation, duration)
            drive = record(town, cast, duration)
            if drive is not None:
                return drive
    raise NotDrivable("no cast of this town lets the ego through its crossing: take another id or a longer duration")


def _number(id: str) -> int:
    match = re.fullmatch(r"town-(\d{4,9})", id)
    if not match:
        raise InputError(f"no town is called {id!r}: ids are town-0000, town-0001, ... (any number of 4 to 9 digits)")
    return int(match[1])
