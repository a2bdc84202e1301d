"""Actions of a storyboard as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from .positions import Position
from .profiles import Dynamics
from .shapes import Clothoids, Shape


@dataclass(frozen=True)
class SetSpeed:
    """To a speed, or to another entity's plus or times `value`; `continuous` goes on tracking it."""

    dynamics: Dynamics
    value: float
    reference: str = ""
    factor: bool = False
    continuous: bool = False


@dataclass(frozen=True)
class SpeedProfile:
    """From speed to speed, each in its time."""

    entries: tuple[tuple[float, float], ...]  # speed, seconds
    reference: str = ""


@dataclass(frozen=True)
class KeepDistance:
    """Behind or ahead of another entity, by metres or by seconds."""

    reference: str
    distance: float | None
    seconds: float | None
    freespace: bool
    continuous: bool
    side: int  # +1 ahead of it, -1 behind it, 0 on whatever side it is at the start
    acceleration: float
    deceleration: float
    fastest: float


@dataclass(frozen=True)
class ChangeLane:
    """To a lane of the road by its id, or `lane` lanes to the left of another entity's."""

    dynamics: Dynamics
    lane: int
    reference: str = ""
    offset: float = 0.0


@dataclass(frozen=True)
class OffsetLane:
    """To a distance from the lane's middle, of its own or of another entity's lane."""

    shape: str
    sharpest: float  # lateral acceleration [m/s^2]
    offset: float
    reference: str = ""
    continuous: bool = False


@dataclass(frozen=True)
class FollowTrajectory:
    """Along a line, at its times where `timed`."""

    shape: Shape
    closed: bool
    timed: bool
    absolute: bool  # times count from the start of the simulation
    scale: float
    offset: float
    begin: float  # metres along it


@dataclass(frozen=True)
class Synchronize:
    """Be at a place when another entity is at its own; `final` is absolute, or relative to the other's speed."""

    master: str
    there: Position
    here: Position
    final: float | None
    relative: str  # "", delta or factor
    tolerances: tuple[float, float] = (0.0, 0.0)  # of the master and of itself: so far before the place is there [m]


@dataclass(frozen=True)
class Teleport:
    position: Position


@dataclass(frozen=True)
class TakeRoute:
    """Waypoints; of one alone the way there from wherever the entity is."""

    points: tuple[Position, ...]


@dataclass(frozen=True)
class Presence:
    """An entity comes (at a place) or goes."""

    entity: str
    position: Position | None


@dataclass(frozen=True)
class SetValue:
    """A parameter or variable gets a value, or is added to or multiplied."""

    name: str
    operation: str  # set, add, multiply
    value: str


@dataclass(frozen=True)
class Nothing:
    """What moves nobody."""


Act = (
    SetSpeed | SpeedProfile | KeepDistance | ChangeLane | OffsetLane | FollowTrajectory | Synchronize | Teleport
    | TakeRoute | Presence | SetValue | Nothing
)  # fmt: skip


def independent(act: Act) -> bool:
    """Whether an action is the same wherever everybody else is."""
    if isinstance(act, SetSpeed):
        return not act.reference
    if isinstance(act, FollowTrajectory):
        own = isinstance(act.shape, Clothoids) and act.shape.bends[0].at is None
        return not own and not any(p.entity for p in act.shape.points)
    if isinstance(act, Teleport | Presence):
        return act.position is None or not act.position.entity
    return isinstance(act, SetValue | Nothing)
