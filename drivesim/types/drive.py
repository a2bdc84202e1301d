"""A drive: its states, what the planner gets and gives, what is stored, how it is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import torch
from torch import Tensor

from ..struct import Struct, tensor
from .agents import Agents, Vehicle
from .map import Map, Signals
from .scenario import Command
from .sensors import Frames


class Body(Struct):
    """What a body model remembers beside pose and velocity (slip is in the velocity: it need not point ahead)."""

    steering: Tensor = tensor()  # (..., A) angle of the front wheels, left positive [rad]
    acceleration: Tensor = tensor()  # (..., A) along the heading [m/s^2]
    yaw_rate: Tensor = tensor(default=None)  # (..., A) [rad/s]; NaN where nobody has said it, as on a log

    def __post_init__(self) -> None:
        if self.yaw_rate is None:
            object.__setattr__(self, "yaw_rate", torch.full_like(self.steering, torch.nan))


class Cause(IntEnum):
    """Why a rollout ended; RUNNING while it has not."""

    RUNNING = 0
    END_OF_LOG = 1
    COLLISION = 2  # of the ego, where `on_collision=stop`


@dataclass(frozen=True)
class Event:
    """Something that happened, with who, when and where."""

    kind: str
    step: int
    agents: tuple[int, ...]
    xy: tuple[float, float]
    detail: Mapping[str, Any] = field(default_factory=dict)


class State(Struct):
    """The world now."""

    agents: Agents = tensor(event=1)  # (..., A)
    body: Body = tensor(event=1)  # (..., A)
    step: Tensor = tensor()  # (...) int64
    cause: Tensor = tensor()  # (...) int64, a Cause
    mind: Struct | None = None  # what the behaviour drew at the start: routes, parameters
    story: Any = None  # how far the scenario's script has come; immutable
    struck: Tensor = tensor(event=1, default=None)  # (..., A) bool; hit by somebody, and driven by nobody since
    touching: tuple[tuple[int, int], ...] = ()  # pairs of agents in contact, each i < j
    contacts: tuple[Event, ...] = ()  # all that there have been

    def __post_init__(self) -> None:
        if self.struck is None:
            object.__setattr__(self, "struck", torch.zeros_like(self.agents.valid))

    @property
    def done(self) -> Tensor:
        return self.cause != int(Cause.RUNNING)


class Action(Struct):
    """What agents want to do for one step; `command` means what the body model says."""

    command: Tensor = tensor(event=1)  # (..., A, K)
    valid: Tensor = tensor()  # (..., A) bool; False: nobody decides, the agent follows its log


class EgoHistory(Struct):
    """The ego's own past, oldest first, the last row is now; ego frame of now."""

    time: Tensor  # (H,) [s], 0 is now
    poses: Tensor  # (H, 3) rear axle x, y, yaw
    velocity: Tensor  # (H, 2) of the rear axle, each in its own step's ego frame [m/s]
    acceleration: Tensor  # (H,) along the heading [m/s^2]
    steering: Tensor  # (H,) [rad]


@dataclass(frozen=True, eq=False)
class Privileged:
    """What no sensor tells; only for planners with `privileged = True`."""

    agents: Agents  # (A,) world
    ego_pose: Tensor  # (3,) rear axle x, y, yaw, world
    map: Map
    signals: Signals
    step: int
    future: Tensor | None = None  # (F, 3) logged rear-axle poses of the steps to come, world; only with `oracle = True`


@dataclass(frozen=True, eq=False)
class Observation:
    """What the planner gets."""

    step: int
    time: float  # [s] since step 0
    ego: EgoHistory
    frames: Frames
    route: Tensor  # (R, 2) ego frame [m]
    command: Command
    world: Privileged | None = None


class Plan(Struct):
    """A wish: poses of the rear axle in the ego frame of the moment of planning."""

    poses: Tensor = tensor(event=2)  # (H, 3) x forward, y left [m], yaw [rad]
    time: Tensor = tensor(event=1)  # (H,) seconds from now, increasing, first > 0
    proposals: Tensor | None = None  # (N, H, 3) others that were considered, to draw


class Trajectory(Struct):
    """A plan as the controller sees it: anchored in the world and in the present."""

    poses: Tensor = tensor(event=2)  # (..., K, 3) rear axle x, y, yaw, world
    time: Tensor = tensor(event=1)  # (..., K) seconds from now, increasing; the first is 0 or before


@dataclass(frozen=True, eq=False)
class Rollout:
    """A drive. Everything in it is deterministic; latencies and host live in a sidecar."""

    scenario_id: str
    fingerprint: str
    seed: int
    start: int  # step of agents[0] in the scenario's log is 0; the planner took over at `start`
    dt: float
    agents: Agents  # (T, A) history before `start` included
    body: Body  # (T, A)
    plans: tuple[Plan, ...]
    plan_steps: tuple[int, ...]  # step at which each plan was made
    vehicle: Vehicle
    cause: Cause
    versions: Mapping[str, str] = field(default_factory=dict)
    contacts: tuple[Event, ...] = ()  # who ran into whom, with the speed at which they met [m/s]
    loop: str = "closed"  # or "open": all followed the log, the plans were not driven


class Score(Struct):
    """A number with its reasons. `valid` False: the score does not apply, and `reason` says why."""

    name: str
    value: float  # NaN when not valid
    valid: bool = True
    reason: str = ""
    unit: str = ""
    better: Literal["more", "less", ""] = ""  # which values are; empty where nobody says
    series: Tensor | None = None  # (T,) over the rollout's steps; NaN where not defined
    shows: str = ""  # what the series is, with its unit
    evidence: tuple[Event, ...] = ()
    version: str = "1"

    def __post_init__(self) -> None:
        if self.better not in ("more", "less", ""):
            raise ValueError(f"score {self.name}: better={self.better!r} is neither 'more' nor 'less'")

    @property
    def lost(self) -> float:
        """Share of the points lost, 0 to 1; 0 where there are none to lose: it does not apply, says not what is better,
        or is measured in a unit."""
        share = self._share
        return min(max(share if self.better == "less" else 1 - share, 0.0), 1.0) if math.isfinite(share) else 0.0

    @property
    def perfect(self) -> bool:
        """Whether nothing could be better: all points, or nothing of what should be little."""
        if self.better == "less":
            return self.valid and self.value <= 0
        return self._share >= 1

    @property
    def _share(self) -> float:
        """The value as a share of 1; NaN for what is none."""
        shares = {"": 1.0, "%": 100.0}
        return self.value / shares[self.unit] if self.valid and self.better and self.unit in shares else math.nan
