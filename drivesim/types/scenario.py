"""Something to drive: a scene, and the log of what happened in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from .agents import DT, Agents, Vehicle
from .map import Map, Scenery, Signals
from .sensors import Camera, SensorLog


class Command(IntEnum):
    """High-level instruction, as a navigation system would give it."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


@dataclass(frozen=True, eq=False)
class Briefing:
    """What a driver may know before setting off."""

    route: Tensor  # (R, 2) line to follow, world [m]; starts behind or at the ego, ends beyond its goal
    command: Command
    vehicle: Vehicle
    cameras: tuple[Camera, ...]
    dt: float = DT


@dataclass(frozen=True, eq=False)
class Scene:
    """The world without its future."""

    map: Map
    scenery: Scenery
    signals: Signals
    briefing: Briefing


@dataclass(frozen=True, eq=False)
class Scenario:
    """Something to drive."""

    id: str
    source: str  # name of the ScenarioSource
    fingerprint: str  # hash of the content it was loaded from
    scene: Scene
    log: Agents  # (T, A), as recorded, at briefing.dt
    track_ids: tuple[str, ...]  # (A,) names of the agents in the log; the first is the ego's
    start: int  # step at which the planner takes over; before it is history
    sensors: SensorLog | None
    origin: Tensor  # (3,) float64: source coordinates of the world's origin
    licence: str
    tags: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return self.log.valid.shape[0]
