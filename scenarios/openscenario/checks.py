"""What a condition asks: of the time, of values, of entities among each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .bodies import Body
from .distances import POINT, Extent, across_road, along_road, corners, gap, in_entity, overlap, straight
from .entities import Entity
from .expressions import typed
from .lines import Lines
from .positions import Position

RULES: dict[str, Callable[[float, float], bool]] = {
    "greaterThan": lambda a, b: a > b + 1e-9, "lessThan": lambda a, b: a < b - 1e-9,
    "equalTo": lambda a, b: abs(a - b) <= 1e-6, "notEqualTo": lambda a, b: abs(a - b) > 1e-6,
    "greaterOrEqual": lambda a, b: a >= b - 1e-9, "lessOrEqual": lambda a, b: a <= b + 1e-9,
}  # fmt: skip


class World(Protocol):
    """What conditions may look at."""

    lines: Lines
    entities: Mapping[str, Entity]
    extents: Mapping[str, Extent]
    bodies: Mapping[str, Body]
    variables: Mapping[str, str]

    @property
    def time(self) -> float: ...

    def place(self, position: Position) -> Body:
        """A place as a body that stands there."""
        ...

    def track_of(self, name: str) -> Any:
        """The trajectory that an entity follows, None without one."""
        ...


class Test(Protocol):
    def holds(self, world: World) -> set[str] | None:
        """None for no, else the entities that make it true."""
        ...


class Check(Protocol):
    def of(self, name: str, world: World) -> bool:
        """Whether it holds for an entity."""
        ...


@dataclass(frozen=True)
class TimeIs:
    value: float
    rule: str

    def holds(self, world: World) -> set[str] | None:
        return set() if RULES[self.rule](world.time, self.value) else None


@dataclass(frozen=True)
class ValueIs:
    """A parameter or variable, compared as a number where both are, else as text."""

    name: str
    value: str
    rule: str

    def holds(self, world: World) -> set[str] | None:
        a, b = typed(world.variables[self.name]), typed(self.value)
        if isinstance(a, str) or isinstance(b, str):
            same = str(a) == str(b)
            return set() if {"equalTo": same, "notEqualTo": not same}.get(self.rule, False) else None
        return set() if RULES[self.rule](float(a), float(b)) else None


@dataclass(frozen=True)
class Never:
    """What is asked of a player that it is not: a verdict on the drive."""

    def holds(self, world: World) -> set[str] | None:
        return None


@dataclass(frozen=True)
class ByEntity:
    """A check of any or all of some entities."""

    names: tuple[str, ...]
    rule: str
    check: Check

    def holds(self, world: World) -> set[str] | None:
        there = [n for n in self.names if world.bodies[n].present]
        yes = {n for n in there if self.check.of(n, world)}
        if self.rule == "none":
            return None if yes else set()
        return yes if yes and (self.rule == "any" or len(yes) == len(self.names)) else None


@dataclass(frozen=True)
class Measure:
    """How a distance is measured."""

    freespace: bool
    system: str  # entity, road, lane
    type: str  # longitudinal, lateral, straight

    def between(self, a: str, other: str | Body, world: World) -> float | None:
        """Signed distance from an entity to another or to a place (straight ones have no sign)."""
        body, target = world.bodies[a], world.bodies[other] if isinstance(other, str) else other
        if not target.present:
            return None
        own, size = world.extents[a], world.extents[other] if isinstance(other, str) else POINT
        sizes = (own, size) if self.freespace else None
        if self.type == "straight":
            return gap(corners(body, own), corners(target, size)) if sizes else straight(body, target)
        if self.system == "entity":
            return in_entity(body, target, sizes, self.type == "lateral")
        if self.type == "lateral":
            return across_road(body, target, world.lines, sizes)
        return along_road(body, target, world.lines, sizes, self.system == "lane")


@dataclass(frozen=True)
class Near:
    """Distance to an entity or a position."""

    target: str | Position
    measure: Measure
    value: float
    rule: str

    def of(self, name: str, world: World) -> bool:
        target = self.target if isinstance(self.target, str) else world.place(self.target)
        way = self.measure.between(name, target, world)
        return way is not None and RULES[self.rule](abs(way), self.value)


@dataclass(frozen=True)
class Headway:
    """Seconds until an entity is where another one ahead of it is now."""

    target: str
    measure: Measure
    value: float
    rule: str

    def of(self, name: str, world: World) -> bool:
        way, speed = self.measure.between(name, self.target, world), world.bodies[name].speed
        return way is not None and way >= 0 and speed > 1e-3 and RULES[self.rule](way / speed, self.value)


@dataclass(frozen=True)
class Collision:
    """Seconds until two meet if both go on as they do."""

    target: str | Position
    measure: Measure
    value: float
    rule: str

    def of(self, name: str, world: World) -> bool:
        target = self.target if isinstance(self.target, str) else world.place(self.target)
        way = self.measure.between(name, target, world)
        if way is None:
            return False
        body, other = world.bodies[name], world.bodies[target] if isinstance(target, str) else target
        closing = _closing(body, other, self.measure)
        return abs(closing) > 1e-6 and way / closing >= 0 and RULES[self.rule](way / closing, self.value)


def _closing(a: Body, b: Body, measure: Measure) -> float:
    """Speed at which the signed distance from a to b shrinks."""
    turn = b.yaw - a.yaw
    if measure.type == "lateral":
        return -b.speed * math.sin(turn)
    if measure.type == "longitudinal":
        return a.speed - b.speed * math.cos(turn)
    dx, dy = b.x - a.x, b.y - a.y
    far = max(math.hypot(dx, dy), 1e-9)
    vx = a.speed * math.cos(a.yaw) - b.speed * math.cos(b.yaw)
    vy = a.speed * math.sin(a.yaw) - b.speed * math.sin(b.yaw)
    return (vx * dx + vy * dy) / far


@dataclass(frozen=True)
class Reached:
    position: Position
    tolerance: float

    def of(self, name: str, world: World) -> bool:
        place = world.place(self.position)
        return place.present and straight(world.bodies[name], place) <= self.tolerance + 1e-6


@dataclass(frozen=True)
class Touches:
    """Boxes that overlap: with one entity, or with any of a type."""

    target: str
    type: str

    def of(self, name: str, world: World) -> bool:
        own = corners(world.bodies[name], world.extents[name])
        for other, body in world.bodies.items():
            entity = world.entities[other]
            kind = "vehicle" if entity.vehicle else "pedestrian" if entity.walks else "miscellaneous"
            wanted = other == self.target or kind == self.type
            near = body.present and other != name and straight(body, world.bodies[name]) < 250
            if wanted and near and overlap(own, corners(body, world.extents[other])):
                return True
        return False


@dataclass(frozen=True)
class Own:
    """A value of the entity's own body."""

    quantity: str
    value: float
    rule: str
    reference: str = ""

    def of(self, name: str, world: World) -> bool:
        body = world.bodies[name]
        now = float(getattr(body, self.quantity))
        if self.reference:
            if not world.bodies[self.reference].present:
                return False
            now -= float(getattr(world.bodies[self.reference], self.quantity))
        return RULES[self.rule](now, self.value)
