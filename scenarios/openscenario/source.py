"""OpenSCENARIO files as scenarios."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from drivesim import loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.types import Light, Place, Scenario, Signals, StopKind

from .folders import find, looks_like, scan
from .lines import Lines
from .opendrive import Network
from .player import Play
from .recording import Recording, axle, ego_entity, record, track_of, vehicle
from .script import LiveStory
from .storyboard import Storyboard, depends_on, read_storyboard

LONGEST = 600.0
"""Seconds that a storyboard may be played for."""


@dataclass(frozen=True)
class OpenScenario:
    """OpenSCENARIO XML files (1.0 to 1.3) in the folder `root` or below it, or one file, with the OpenDRIVE file and
    the catalogues that they refer to.

    The log is the storyboard played as it says, the ego too; in the closed loop it is played live (`Scenario.script`).
    `ego` names the entity for the planner: by default the one called Ego or hero, else the first with a controller,
    else the first vehicle. A story whose stop trigger does not come ends after `seconds`. Cameras are the preset
    `rig` at `width` x `height` px.
    """

    root: str
    ego: str = ""
    seconds: float = 60.0
    rig: str = "nuscenes"
    width: int = 400  # [px]
    height: int = 224  # [px]

    @staticmethod
    def recognizes(root: Path) -> bool:
        return looks_like(root)

    def ids(self) -> list[str]:
        return sorted(scan(Path(self.root)))

    def undrivable(self) -> dict[str, str]:
        return {id: entry.reason for id, entry in scan(Path(self.root)).items() if entry.reason}

    def fingerprint(self, id: str) -> str:
        options = (self.ego, f"{self.seconds:g}", self.rig, f"{self.width}x{self.height}")
        return loading.fingerprint(depends_on(find(Path(self.root), id).path), *options)

    def load(self, id: str) -> Scenario:
        if not 1.0 <= self.seconds <= LONGEST:
            raise InputError(f"scenarios.seconds={self.seconds}: 1 to {LONGEST:.0f} s are expected")
        entry = find(Path(self.root), id)
        if entry.reason:
            raise NotDrivable(f"{entry.path}: {entry.reason}")
        board = read_storyboard(entry.path, self.ego)
        try:
            return self._scenario(id, board, Lines(board.roads))
        except (OverflowError, ZeroDivisionError, RecursionError) as error:
            raise InputError(f"{entry.path}: cannot be played ({error}); its numbers are damaged") from None

    def _scenario(self, id: str, board: Storyboard, lines: Lines) -> Scenario:
        network = lines.network
        problems = [*board.problems, *network.problems]
        entity = ego_entity(board.entities[board.ego], problems)
        board = replace(board, entities={**board.entities, board.ego: entity})
        car = vehicle(entity)
        play = Play(board, lines)
        here = play.bodies[board.ego]
        if not here.present:
            raise NotDrivable(f"{board.file}: the ego {board.ego} has no place at the start")
        ahead = axle(entity, car)
        origin = np.array([here.x + ahead * math.cos(here.yaw), here.y + ahead * math.sin(here.yaw), here.z])
        told = record(play, self.seconds)
        steps = _ego_steps(told, board)
        tracks = [track_of(n, told.tracks[n], board.entities[n], origin) for n in _order(told, board)]
        return loading.compose(
            id=id, source="openscenario", fingerprint=self.fingerprint(id), tracks=tracks, steps=steps, start=0,
            max_gap=0.15, map=network.map(origin), vehicle=car, cameras=rigs.rig(self.rig, self.width, self.height),
            signals=_signals(network, origin, steps), licence=board.licence, origin=origin,
            tags=("storyboard", f"cameras:{self.rig} preset"), place=_place(network, origin),
            problems=[*problems, *told.problems], script=LiveStory(board, lines, tuple(origin.tolist()), told.gaps),
        )  # fmt: skip


def _order(told: Recording, board: Storyboard) -> list[str]:
    """Names of the tracks, the ego's first."""
    return [board.ego, *(name for name in told.tracks if name != board.ego)]


def _ego_steps(told: Recording, board: Storyboard) -> int:
    """Steps until the story ends or the ego is taken out of it."""
    there = np.round(told.tracks[board.ego][:, 0] * 10).astype(int)
    gaps = np.flatnonzero(there != np.arange(len(there)))
    steps = int(gaps[0]) if len(gaps) else len(there)
    if steps < told.steps:
        told.problems.append(f"the ego {board.ego} leaves the story at {steps / 10:.1f} s: it ends there")
    return steps


def _signals(network: Network, origin: np.ndarray, steps: int) -> Signals:
    """Traffic lights where they stand; what they show is not known."""
    lights = [x for x in network.signals(origin) if x.kind == StopKind.SIGNAL]
    if not lights:
        return Signals.none()
    return Signals(
        torch.tensor([x.lane for x in lights], dtype=torch.int64),
        torch.tensor(np.array([x.stop_xy for x in lights])).float(),
        torch.tensor(np.array([x.head for x in lights])).float(),
        torch.full((steps, len(lights)), int(Light.UNKNOWN), dtype=torch.int64),
    )


def _place(network: Network, origin: np.ndarray) -> Place:
    name = network.name.partition(".")[0]
    where = network.place_of(float(origin[0]), float(origin[1]))
    return Place(name, *where) if where is not None else Place(name)
