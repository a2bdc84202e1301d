"""What of a map proposals are judged by: areas of lanes and of all that is drivable, the route and its lanes."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.kernels import SegmentGrid, nearest_segment
from drivesim.roadmap import lane_areas
from drivesim.traffic.area import Areas, areas_of
from drivesim.types import Lanes, Map, Polylines, Vehicle

CELL = 8.0
"""Side of the cells that list the lanes near them [m]."""

FOLLOWED = 0.8
"""Share of a lane beside the route that must lie along it, where lanes part: at intersections and behind lights."""

ALONG = np.pi / 4
"""Most by which a lane on the route turns from it [rad]."""

_ROADS: weakref.WeakKeyDictionary[Map, dict[float, Road]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Road:
    """Areas of one map, indexed. Area 0 is all that is drivable, 1 + i is lane i: centre line widened by half its
    width to both sides. What crosses an intersection is one (NAVSIM has polygons of their own for them)."""

    areas: Areas
    drivable: bool  # whether the map says what is
    crossing: np.ndarray  # (L,) bool, the lane crosses an intersection
    rings: np.ndarray  # (P, 2) of lanes, one behind the other [m]
    offsets: np.ndarray  # (L + 1,) into them
    origin: np.ndarray  # (2,) lower corner of the cells [m]
    shape: tuple[int, int]  # columns, rows
    starts: np.ndarray  # (cells + 1,)
    items: np.ndarray  # lanes that a vehicle whose middle is in the cell may touch

    @staticmethod
    def of(map: Map, vehicle: Vehicle) -> Road:
        """Of a map, for a vehicle of this size; one is kept per map."""
        reach = float(np.ceil(np.hypot(vehicle.length, vehicle.width) / 2 + vehicle.rear_axle_to_center))
        known = _ROADS.setdefault(map, {})
        if reach not in known:
            known[reach] = Road._built(map, reach)
        return known[reach]

    @staticmethod
    def _built(map: Map, reach: float) -> Road:
        rings = lane_areas(map.lanes)
        areas = areas_of([map, *(map.replace(drivable=Polylines.of([ring])) for ring in rings)])
        offsets = np.cumsum([0, *(len(ring) for ring in rings)])
        points = torch.cat(rings).double().numpy() if rings else np.zeros((0, 2))
        low = points.min(0) - reach if rings else np.zeros(2)
        high = points.max(0) + reach if rings else np.zeros(2)
        columns, rows = (np.floor((high - low) / CELL).astype(int) + 1).tolist()
        count = np.zeros(columns * rows + 1, np.int64)
        _list(points, offsets, low, columns, rows, reach, count, np.zeros(0, np.int64))
        starts = np.cumsum(count)
        items = np.empty(starts[-1], np.int64)
        _list(points, offsets, low, columns, rows, reach, starts[:-1].copy(), items)
        crossing = map.lanes.intersection.numpy().astype(np.bool_)
        return Road(areas, len(map.drivable) > 0, crossing, points, offsets, low, (columns, rows), starts, items)


@numba.njit(cache=True)
def _list(points, offsets, low, columns, rows, reach, place, items):
    """Put every lane once into each cell within `reach` of one of its pieces; or count, one cell later, where there
    are no items. A ring has its left side, then its right side backwards."""
    last = np.full(columns * rows, -1, np.int64)
    for lane in range(len(offsets) - 1):
        first, end = offsets[lane], offsets[lane + 1]
        for i in range((end - first) // 2 - 1):
            x0 = y0 = np.inf
            x1 = y1 = -np.inf
            for k in (first + i, first + i + 1, end - 1 - i, end - 2 - i):
                x0, x1 = min(x0, points[k, 0]), max(x1, points[k, 0])
                y0, y1 = min(y0, points[k, 1]), max(y1, points[k, 1])
            column0, column1 = int((x0 - reach - low[0]) // CELL), int((x1 + reach - low[0]) // CELL)
            row0, row1 = int((y0 - reach - low[1]) // CELL), int((y1 + reach - low[1]) // CELL)
            for row in range(max(row0, 0), min(row1, rows - 1) + 1):
                for column in range(max(column0, 0), min(column1, columns - 1) + 1):
                    k = row * columns + column
                    if last[k] == lane:
                        continue
                    last[k] = lane
                    if len(items):
                        items[place[k]] = lane
                        place[k] += 1
                    else:
                        place[k + 1] += 1


@dataclass(frozen=True, eq=False)
class Course:
    """The line that progress is measured on, and the lanes that it goes along."""

    line: np.ndarray  # (R, 2) world [m]
    s: np.ndarray  # (R,) arc length [m]
    lanes: np.ndarray  # (L,) bool, on the route

    @staticmethod
    def of(map: Map, route: Tensor, signalled: Tensor | None = None) -> Course:
        """Of a route (R, 2); `signalled` are lanes with a light. A route of one point is no course: ValueError."""
        line = route.double().numpy()
        line = line[np.r_[True, np.hypot(*np.diff(line, axis=0).T) > 1e-6]]
        if len(line) < 2:
            raise ValueError("a course needs a route of two points or more")
        s = np.r_[0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
        return Course(line, s, on_route(map, line, signalled))


def on_route(map: Map, line: np.ndarray, signalled: Tensor | None = None) -> np.ndarray:
    """Which lanes (L,) a route (R, 2) goes along: NAVSIM's lanes of the route's road blocks.

    A lane counts if a piece of it holds the route and has its direction; where lanes part, at intersections and behind
    lights, nearly all of what lies beside the route must, or it leads from a lane that counts to another. Lanes beside
    one that counts, in its direction, are of the same road block.
    """
    lanes = map.lanes
    if not len(lanes):
        return np.zeros(0, bool)
    points, offsets = lanes.center.points[:, :2].double().numpy(), lanes.center.offsets.numpy()
    owner = np.repeat(np.arange(len(lanes)), np.diff(offsets))
    half, grid = lanes.width.double().numpy() / 2, SegmentGrid.of(line[:-1], line[1:])
    near = nearest_segment(grid, points, reach=float(half.max()) + 1e-6)[0] >= 0
    mine = np.flatnonzero((np.bincount(owner, near, len(lanes)) > 0)[owner])  # points of the lanes that it comes to
    owner = owner[mine]
    ahead = _ahead(points, offsets, mine, owner)
    segment, place, distance = nearest_segment(grid, points[mine])
    step = (line[1:] - line[:-1])[segment]
    cross, dot = step[:, 0] * ahead[:, 1] - step[:, 1] * ahead[:, 0], (step * ahead).sum(1)
    same = np.abs(np.arctan2(cross, dot)) < ALONG
    beyond = ((segment == 0) & (place <= 0)) | ((segment == len(line) - 2) & (place >= 1))
    held = same & (distance <= half[owner]) & ~beyond
    beside = np.bincount(owner, ~beyond, len(lanes))
    share = np.bincount(owner, held, len(lanes)) / np.maximum(beside, 1)
    parting = _parting(lanes, signalled)
    followed = _with_neighbours(np.where(parting, share >= FOLLOWED, share > 0), lanes.neighbours.numpy())
    return followed | (parting & _between(followed, lanes.successors.numpy()))


def _ahead(points: np.ndarray, offsets: np.ndarray, index: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Where the centre line leads at points `index` (n,) of lines (P, 2), each of its lane `owner` (n,)."""
    return points[np.minimum(index + 1, offsets[owner + 1] - 1)] - points[np.maximum(index - 1, offsets[owner])]


def _parting(lanes: Lanes, signalled: Tensor | None) -> np.ndarray:
    """Which lanes (L,) lie where lanes part: at intersections and behind lights."""
    parting = lanes.intersection.numpy().astype(bool).copy()
    if signalled is not None:
        parting[signalled[(signalled >= 0) & (signalled < len(lanes))].numpy()] = True
    return parting


def _with_neighbours(lanes: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Lanes (L,) and all that are beside them, and beside those."""
    found = lanes.copy()
    while len(neighbours):
        more = found.copy()
        more[neighbours[found[neighbours[:, 0]], 1]] = True
        if (more == found).all():
            break
        found = more
    return found


def _between(lanes: np.ndarray, successors: np.ndarray) -> np.ndarray:
    """Which lanes (L,) lead from one of `lanes` (L,) to one of them."""
    behind, ahead = np.zeros_like(lanes), np.zeros_like(lanes)
    if len(successors):
        behind[successors[lanes[successors[:, 0]], 1]] = True
        ahead[successors[lanes[successors[:, 1]], 0]] = True
    return behind & ahead
