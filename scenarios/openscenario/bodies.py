"""An entity's body: where it is and how it moves when nothing but its lane tells it where to go."""

from __future__ import annotations

import math
from typing import NamedTuple

from .line import Key, Spot
from .lines import Lines

SEAM = 0.05
"""Lanes that follow each other with their middles this close [m] are one way; else a body keeps its place."""

ASIDE = 0.5
"""Cosine between heading and lane below which a body goes its own way: pedestrians cross, vehicles follow lanes."""


class Body(NamedTuple):
    """The reference point in the coordinates of the road network; immutable, so that a story can be kept."""

    spot: Spot
    speed: float = 0.0  # along the heading [m/s]
    acceleration: float = 0.0
    travelled: float = 0.0  # [m]
    still: float = 0.0  # seconds at a standstill
    ended: float = 0.0  # seconds at the end of its road
    astray: float = 0.0  # seconds off the road
    present: bool = False
    route: tuple[str, ...] = ()  # roads
    jumped: bool = False  # put here, not moved here, in this step
    velocity: tuple[float, float] = (0.0, 0.0)  # of the reference point, over the last step [m/s]
    turning: float = 0.0  # yaw rate [rad/s]

    @property
    def x(self) -> float:
        return self.spot.x

    @property
    def y(self) -> float:
        return self.spot.y

    @property
    def z(self) -> float:
        return self.spot.z

    @property
    def yaw(self) -> float:
        return self.spot.yaw

    @property
    def turned(self) -> float:
        return self.spot.turned

    @property
    def line(self) -> Key | None:
        return self.spot.line


def moved(body: Body, lines: Lines, way: float, sideways: float = 0.0, walks: bool = False) -> tuple[Spot, bool]:
    """The place after `way` metres (negative: backwards), `sideways` of them to the left along the lane, and
    whether the road has ended before. On a lane the body keeps its distance from the middle and heads along it; one
    that lies across is carried along as it lies, except for who `walks`: pedestrians go where they look."""
    spot = body.spot
    across = abs(math.cos(spot.turned)) < ASIDE and not sideways
    if spot.line is None or (across and walks):
        return straight_on(spot, way), False
    if way == 0.0 and sideways == 0.0:
        return spot, False
    line = lines.line(spot.line)
    assert line is not None
    facing = 1.0 if math.cos(spot.turned) >= 0 or across else -1.0
    stretch = max(1.0 - line.at(spot.u).bend * spot.offset, 0.1)
    along = math.copysign(math.sqrt(max(way * way - sideways * sideways, 0.0)), way) * facing
    key, u, rest = lines.move(spot.line, spot.u, along / stretch, body.route)
    offset = spot.offset
    if key != spot.line:
        before, after = lines.spot(spot.line, line.length if along > 0 else 0.0, offset), lines.line(key)
        assert after is not None
        start = after.at(0.0 if along > 0 else after.length)
        offset = (before.y - start.y) * math.cos(start.yaw) - (before.x - start.x) * math.sin(start.yaw)
        offset = spot.offset if abs(offset - spot.offset) < SEAM else offset
    lean = math.atan2(sideways, along) if along > 0 else math.atan2(-sideways, -along) if along < 0 else 0.0
    turned = spot.turned if across else lean + (0.0 if facing > 0 else math.pi)
    return lines.spot(key, u, offset + sideways, (turned + math.pi) % (2 * math.pi) - math.pi), abs(rest) > 1e-9


def straight_on(spot: Spot, way: float) -> Spot:
    dx, dy = way * math.cos(spot.yaw), way * math.sin(spot.yaw)
    if spot.line is None:
        return spot._replace(x=spot.x + dx, y=spot.y + dy)
    along, left = way * math.cos(spot.turned), way * math.sin(spot.turned)
    return spot._replace(x=spot.x + dx, y=spot.y + dy, u=spot.u + along, offset=spot.offset + left)
