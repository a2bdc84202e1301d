"""The lines and rings of a file's map features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from drivesim.types import Marking

from .record import points, text

LANES = ("LANE_SURFACE_STREET", "LANE_SURFACE_UNSTRUCTURE", "LANE_UNKNOWN", "LANE_FREEWAY", "LANE_BIKE_LANE")
EDGES = ("ROAD_EDGE_BOUNDARY", "ROAD_EDGE_MEDIAN")

# Lines that may be crossed from one side only are drawn as the stricter one; UNKNOWN_LINE paints nothing.
MARKINGS = {
    "ROAD_LINE_BROKEN_SINGLE_WHITE": Marking.DASHED_WHITE,
    "ROAD_LINE_SOLID_SINGLE_WHITE": Marking.SOLID_WHITE,
    "ROAD_LINE_SOLID_DOUBLE_WHITE": Marking.DOUBLE_WHITE,
    "ROAD_LINE_BROKEN_SINGLE_YELLOW": Marking.DASHED_YELLOW,
    "ROAD_LINE_BROKEN_DOUBLE_YELLOW": Marking.DASHED_YELLOW,
    "ROAD_LINE_SOLID_SINGLE_YELLOW": Marking.SOLID_YELLOW,
    "ROAD_LINE_SOLID_DOUBLE_YELLOW": Marking.DOUBLE_YELLOW,
    "ROAD_LINE_PASSING_DOUBLE_YELLOW": Marking.DOUBLE_YELLOW,
    "STOP_LINE": Marking.STOP_LINE,
}

FAR = 20_000.0
"""From the ego [m]: map points beyond are damage."""


@dataclass(eq=False)
class Drawn:
    """The shapes of a file in world xy; z is the file's."""

    lanes: dict[str, np.ndarray] = field(default_factory=dict)  # id -> centre line (n, 3); z is NaN where unknown
    markings: list[tuple[np.ndarray, Marking]] = field(default_factory=list)
    edges: list[np.ndarray] = field(default_factory=list)
    borders: list[np.ndarray] = field(default_factory=list)  # rings of a stated drivable area
    crosswalks: list[np.ndarray] = field(default_factory=list)
    driveways: list[np.ndarray] = field(default_factory=list)
    climbs: bool = False  # whether the lanes' heights are real
    spoilt: int = 0


def draw(features: Mapping[str, Mapping[str, Any]], xy: np.ndarray) -> Drawn:
    """All shapes with the point `xy` (2,) of the file at the world's origin; what is no line or ring is counted."""
    drawn = Drawn()
    for name, feature in features.items():
        type = text(feature.get("type"))
        lane = type in LANES
        if text(feature.get("marking")) == "STOP_LINE":  # as drivesim writes it
            type = "STOP_LINE"
        if lane or type in MARKINGS or type in EDGES:
            line = _line(feature.get("polyline"), xy)
            if line is None:
                drawn.spoilt += 1
            elif lane:
                drawn.lanes[name] = line
            elif name.startswith("boundary_") and len(line) > 3 and np.hypot(*(line[0] - line[-1])[:2]) < 0.01:
                drawn.borders.append(line[:-1])  # nuScenes, nuPlan and drivesim: rings of the drivable area's union
            elif type in EDGES:
                drawn.edges.append(line)
            else:
                drawn.markings.append((line, MARKINGS[type]))
        elif type in ("CROSSWALK", "DRIVEWAY"):
            ring = _line(feature.get("polygon"), xy)
            if ring is not None and np.hypot(*(ring[0] - ring[-1])[:2]) < 0.01:
                ring = ring[:-1]
            if ring is None or len(ring) < 3:
                drawn.spoilt += 1
            else:
                (drawn.crosswalks if type == "CROSSWALK" else drawn.driveways).append(ring)
    drawn.climbs = _climbs(list(drawn.lanes.values()))
    return drawn


def height_at(drawn: Drawn, xy: np.ndarray) -> np.ndarray:
    """The file's heights (n,) of the lane points nearest to places (n, 2)."""
    lanes = np.concatenate(list(drawn.lanes.values()))
    return lanes[cKDTree(lanes[:, :2]).query(xy)[1], 2]


def settle(drawn: Drawn, z: float) -> None:
    """Heights from the file's to the world's, whose origin is at `z`; 0 in a file without any."""
    for line in (*(line for line, _ in drawn.markings), *drawn.lanes.values()):
        if drawn.climbs:
            silent = ~np.isfinite(line[:, 2])
            if silent.any():
                line[silent, 2] = height_at(drawn, line[silent, :2])
            line[:, 2] -= z
        else:
            line[:, 2] = 0.0


def _line(value: Any, xy: np.ndarray) -> np.ndarray | None:
    """(n, 3) of at least two different points, z NaN where there is none; None where it is no line."""
    line = points(value)
    if line is None:
        return None
    if line.shape[1] == 2:
        line = np.column_stack([line, np.full(len(line), np.nan)])
    line[:, :2] -= xy
    sound = np.isfinite(line[:, :2]).all(1) & (np.abs(line[:, :2]) < FAR).all(1)
    line = line[sound]
    moved = np.hypot(*np.diff(line[:, :2], axis=0).T) > 1e-3 if len(line) > 1 else np.zeros(0, bool)
    line = line[np.concatenate([[True], moved])] if len(line) else line
    return line if len(line) > 1 else None


def _climbs(lines: Sequence[np.ndarray]) -> bool:
    """Whether the third column of the lanes is a height.

    The nuScenes converter leaves there what the devkit's lanes have: the direction.
    """
    if not lines:
        return False
    z = np.concatenate([line[:-1, 2] for line in lines])
    step = np.concatenate([np.diff(line[:, :2], axis=0) for line in lines])
    if not np.isfinite(z).all() or np.abs(z).max() > 1e4:
        return False
    off = (np.arctan2(step[:, 1], step[:, 0]) - z + np.pi) % (2 * np.pi) - np.pi
    return bool(np.median(np.abs(off)) > 0.1)
