"""What an agent observes, column by column; all in its own frame: its box's middle, x forward, y left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

AHEAD = (5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)
"""Along the own route, at which it is observed [m]."""

NEIGHBOURS = 8
"""Others that are observed, nearest first."""

LANES = 16
"""Points of centre lines that are observed, nearest to a place LOOK metres ahead first."""

LOOK = 10.0
LANE_SPACING = 4.0
"""Of those points along their lane [m]."""

LANE_REACH = 20.0
"""From that place, up to which there are any [m]."""

FAR = 60.0
"""Beyond which neighbours and lines are not observed [m]."""

KINDS = ("vehicle", "bicycle", "walker")
"""What neighbours are told apart by; things are none of them."""


@dataclass(frozen=True)
class Column:
    name: str
    unit: str  # "" for a mask or a share
    most: float  # values are cut to [-most, most]; normalised, they are divided by it


@dataclass(frozen=True)
class Table:
    """Rows of the same columns, one after the other."""

    name: str
    rows: int
    columns: tuple[Column, ...]


def _columns(text: str) -> tuple[Column, ...]:
    """From `name:unit:most, ...`; a bare name is a mask or a share."""
    words = [word.strip() for word in text.split(",")]
    split = [word.split(":") if ":" in word else (word, "", 1) for word in words]
    return tuple(Column(name, unit, float(most)) for name, unit, most in split)


TABLES = (
    Table("own", 1, _columns(
        "speed:m/s:40, steering:rad:1, acceleration:m/s^2:10, length:m:20, width:m:5, vehicle, bicycle, walker, present"
    )),
    Table("route", 1, _columns("left:m:10, cos, sin, limit:m/s:40, road_end:m:60, present")),
    Table("ahead", len(AHEAD), _columns("x:m:60, y:m:60, limit:m/s:40, present")),
    Table("light", 1, _columns("distance:m:60, green, yellow, red, flashing_yellow, flashing_red, present")),
    Table("stop", 1, _columns("distance:m:60, present")),
    Table("yield", 1, _columns("distance:m:60, present")),
    Table("crosswalk", 1, _columns("distance:m:60, present")),
    Table("neighbours", NEIGHBOURS, _columns(
        "x:m:60, y:m:60, cos, sin, vx:m/s:60, vy:m/s:60, length:m:20, width:m:5, vehicle, bicycle, walker, present"
    )),
    Table("lanes", LANES, _columns("x:m:60, y:m:60, cos, sin, width:m:10, present")),
)  # fmt: skip
"""The observation. `present` is 1 where there is such a thing; where it is 0, so is the rest of the row.

own: speed along the heading; front wheels, left positive. route: how far the agent is to the left of it, its direction,
the speed that lane and bends allow here, and from the front bumper to the end of the road. ahead: places on the route
AHEAD metres on. light, stop, yield, crosswalk: the next line on the route, from the bumper, and what the light shows
(unknown: none of them). neighbours: middle, direction, velocity less the own one, size. lanes: points of centre lines
with their direction and the lane's width."""


@cache
def starts() -> dict[str, int]:
    """Where each table begins."""
    ends = np.cumsum([table.rows * len(table.columns) for table in TABLES]).tolist()
    return dict(zip((table.name for table in TABLES), [0, *ends], strict=False))


@cache
def size() -> int:
    """Numbers in an observation."""
    return sum(table.rows * len(table.columns) for table in TABLES)


@cache
def most() -> np.ndarray:
    """Bounds (D,) float32 of an observation in units."""
    rows = [[column.most for column in table.columns] * table.rows for table in TABLES]
    return np.concatenate(rows).astype(np.float32)


def column(table: str, name: str) -> list[int]:
    """Which numbers of an observation are a column of a table, one for each row."""
    found = next(t for t in TABLES if t.name == table)
    k = [c.name for c in found.columns].index(name)
    return [starts()[table] + row * len(found.columns) + k for row in range(found.rows)]
