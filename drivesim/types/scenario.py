"""Something to drive: a scene, and the log of what happened in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

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
class Goal:
    """What counts as arrived, where a log says so; limits are inclusive, infinite where it does not."""

    area: Tensor  # (n, 2) ring that the ego's box centre must reach, world [m]; (0, 2) for anywhere
    time: tuple[float, float] = (0.0, math.inf)  # [s] since step 0
    yaw: tuple[float, float] = (-math.inf, math.inf)  # from, counter-clockwise to [rad]
    speed: tuple[float, float] = (-math.inf, math.inf)  # [m/s]


@dataclass(frozen=True, eq=False)
class Briefing:
    """What a driver may know before setting off."""

    route: Tensor  # (R, 2) line to follow, world [m]; starts behind or at the ego, ends beyond its goal
    command: Command
    vehicle: Vehicle
    cameras: tuple[Camera, ...]
    dt: float = DT
    goals: tuple[Goal, ...] = ()  # reaching any of them is arriving


@dataclass(frozen=True, eq=False)
class Scene:
    """The world without its future."""

    map: Map
    scenery: Scenery
    signals: Signals
    briefing: Briefing


@dataclass(frozen=True)
class Place:
    """Where on earth."""

    name: str = ""  # city or map, as the data set calls it
    latitude: float = math.nan  # [deg] of the world's origin; NaN where the log does not say
    longitude: float = math.nan


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
    place: Place = Place()
    inferred: Mapping[str, float] = field(default_factory=dict)  # what the log did not say: confidence 0..1
    problems: tuple[str, ...] = ()  # what was left out or mended while loading, in plain words
    script: Any = None  # a protocols.Script: the scenario's own storyboard; it overrules the behaviour

    @property
    def steps(self) -> int:
        return self.log.valid.shape[0]
