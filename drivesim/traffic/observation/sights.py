"""What is observed and does not move: the kinds of agents, and points of lanes, cell by cell."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
import torch

from drivesim.geometry import along_polyline, arc_length
from drivesim.types import CYCLES, VEHICLES, WALKERS, Map, Scenario, is_kind

from ..world import World
from .layout import KINDS, LANE_REACH, LANE_SPACING

CELL = LANE_REACH / 2
"""Side of a cell [m]: what is in reach lies in the 5 x 5 around."""

GRID = np.dtype([("x", np.float64), ("y", np.float64), ("columns", np.int64), ("rows", np.int64), ("first", np.int64)])
"""Of one map: its lower corner [m], shape, and first cell."""


@dataclass(frozen=True, eq=False)
class Sights:
    """Of U scenes with A agents."""

    kinds: np.ndarray  # (U, A) int8 into KINDS, -1 for things and empty rows
    grids: np.ndarray  # (U,) GRID
    starts: np.ndarray  # (cells + 1,) int64 into `lanes`
    lanes: np.ndarray  # (n, 5) float32 x, y, cos, sin, width [m], cell by cell

    @staticmethod
    def of(world: World) -> Sights:
        """Those of a world, kept as long as the world."""
        if world not in _CACHE:
            _CACHE[world] = _sights(world)
        return _CACHE[world]


_CACHE: weakref.WeakKeyDictionary[World, Sights] = weakref.WeakKeyDictionary()


def _sights(world: World) -> Sights:
    kinds = np.full((len(world), world.agents), -1, np.int8)
    grids = np.zeros(len(world), GRID)
    starts, lanes, known = [np.zeros(1, np.int64)], [np.zeros((0, 5), np.float32)], {}
    cells = points = 0
    for u, scenario in enumerate(world.scenarios):
        kinds[u, : scenario.log.valid.shape[1]] = _kinds(scenario)
        map = scenario.scene.map
        if map not in known:
            grid, counts, rows = _indexed(map)
            grid["first"] = cells
            known[map] = grid
            starts.append(counts.cumsum() + points)
            lanes.append(rows)
            cells, points = cells + len(counts), points + len(rows)
        grids[u] = known[map]
    return Sights(kinds, grids, np.concatenate(starts), np.concatenate(lanes))


def _kinds(scenario: Scenario) -> np.ndarray:
    kind = scenario.log.kind.amax(0)
    out = torch.full_like(kind, -1)
    for k, group in enumerate((VEHICLES, CYCLES, WALKERS)):
        out[is_kind(kind, group)] = k
    assert len(KINDS) == 3
    return out.numpy()


def _indexed(map: Map) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The grid () of one map, points in each cell, and the points cell by cell, in a cell lane by lane."""
    rows = np.concatenate([np.zeros((0, 5), np.float32), *(_lane(map, i) for i in range(len(map.lanes)))])
    grid = np.zeros((), GRID)
    if not len(rows):
        return grid, np.zeros(0, np.int64), rows
    low, high = rows[:, :2].min(0).astype(np.float64), rows[:, :2].max(0)
    columns, lines = ((high - low) // CELL).astype(int) + 1
    cell = ((rows[:, :2] - low) // CELL).astype(int) @ (1, columns)
    grid["x"], grid["y"], grid["columns"], grid["rows"] = *low, columns, lines
    return grid, np.bincount(cell, minlength=columns * lines), rows[np.argsort(cell, kind="stable")]


def _lane(map: Map, i: int) -> np.ndarray:
    """Points (n, 5) of a lane, LANE_SPACING apart, from its start on."""
    line = map.lanes.center.line(i)[:, :2].double()
    xy, yaw = along_polyline(line, torch.arange(0, float(arc_length(line)[-1]), LANE_SPACING, dtype=torch.float64))
    width = map.lanes.width[i].nan_to_num(0).expand(len(xy))
    return torch.cat([xy, torch.stack([yaw.cos(), yaw.sin(), width], -1)], -1).float().numpy()
