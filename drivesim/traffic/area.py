"""Whether points lie on the drivable area, for many maps at once: exact, about one table look-up a point.

Every cell of a uniform grid knows whether its centre is inside and which border segments pass through it. From a point
one walks within its cell to the centre, along x and then along y; each border crossed changes sides.

A border that runs through a point leaves it inside where the area lies to its right or, along x, above: of an
axis-parallel rectangle the left and the lower side belong to it, as in `RoadMap.inside`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from drivesim.errors import InputError
from drivesim.kernels import SegmentGrid
from drivesim.types import Map

CELL = 2.0
"""Side of a cell [m]: most hold no border, and the grid of a city block still fits a core's cache."""

MOST_CELLS = 4_000_000
"""Of one map (20 MB); a larger one gets larger cells."""

MARGIN = 1e-6
"""A segment is listed in a cell that it misses by less [m], so that rounding never loses a crossing."""

AREA = np.dtype(
    [("x", np.float64), ("y", np.float64), ("cell", np.float64)]
    + [("columns", np.int64), ("rows", np.int64), ("first", np.int64)]
)
"""The grid of one map: lower corner and cell [m], shape, and its first cell."""


@dataclass(frozen=True, eq=False)
class Areas:
    """Drivable areas of maps, one behind the other."""

    of_map: np.ndarray  # (maps,) int64 row of `records` for each map given; a map given twice is stored once
    records: np.ndarray  # AREA
    starts: np.ndarray  # (cells + 1,) int32 into `items`
    items: np.ndarray  # int32 into `segments`, cell by cell
    parity: np.ndarray  # (cells,) uint8: 1 where the cell's centre is inside
    segments: np.ndarray  # (S, 4) float64 x, y of the lower and x, y of the upper end [m]

    def inside(self, which: int, xy: np.ndarray) -> np.ndarray:
        """Whether points (..., 2) lie on the area of the `which`-th map given (...); NaN never does."""
        points = np.ascontiguousarray(xy, np.float64).reshape(-1, 2)
        area = self.records[self.of_map[which] : self.of_map[which] + 1]
        return _inside(area, self.starts, self.items, self.parity, self.segments, points).reshape(xy.shape[:-1])


def areas_of(maps: Sequence[Map]) -> Areas:
    """The drivable areas of maps, indexed. Of a map without any, every point is outside."""
    row: dict[Map, int] = {}
    for map in maps:
        row.setdefault(map, len(row))
    records = np.zeros(len(row), AREA)
    starts, items = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    parity, segments = [np.zeros(0, np.uint8)], [np.zeros((0, 4))]
    cell_count = item_count = segment_count = 0
    for k, map in enumerate(row):
        begins, listed, odd, borders = _indexed(map, records[k : k + 1])
        records["first"][k] = cell_count
        starts.append(begins[1:] + item_count)
        items.append(listed + segment_count)
        parity.append(odd)
        segments.append(borders)
        cell_count, item_count, segment_count = (
            cell_count + len(odd), item_count + len(listed), segment_count + len(borders),
        )  # fmt: skip
    if item_count > np.iinfo(np.int32).max:
        raise InputError(f"the borders of {len(row)} maps are too many for one world: make several of fewer scenes")
    return Areas(
        np.array([row[map] for map in maps], np.int64), records, np.concatenate(starts).astype(np.int32),
        np.concatenate(items).astype(np.int32), np.concatenate(parity), np.concatenate(segments),
    )  # fmt: skip


def _indexed(map: Map, record: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Starts, items, parity and segments of one map; fills its record (1,), all but `first`."""
    borders = SegmentGrid.of_rings(map.drivable)
    upwards = (borders.a[:, 1] <= borders.b[:, 1])[:, None]  # a border judges alike from both sides
    segments = np.hstack([np.where(upwards, borders.a, borders.b), np.where(upwards, borders.b, borders.a)])
    ends = segments.reshape(-1, 2)
    low, high = (ends.min(0), ends.max(0)) if len(ends) else (np.zeros(2), np.zeros(2))
    extent = high - low
    cell = max(CELL, float(np.sqrt(extent.prod() / MOST_CELLS)), float(extent.max()) / MOST_CELLS)
    columns, rows = ((extent // cell).astype(int) + 1).tolist() if len(ends) else (0, 0)
    record[["x", "y", "cell", "columns", "rows"]] = (*low, cell, columns, rows)
    count = np.zeros(columns * rows + 1, np.int64)
    _list(segments, *low, cell, columns, rows, count, np.zeros(0, np.int64))
    starts = np.cumsum(count)
    items = np.empty(starts[-1], np.int64)
    _list(segments, *low, cell, columns, rows, starts[:-1].copy(), items)
    return starts, items, _centres(segments, *low, cell, columns, rows), segments


@numba.njit(error_model="numpy", _nrt=False)
def _right(ax, ay, bx, by, x, y):
    """Whether a segment from below to above (x, y), a the lower end, passes to its right."""
    a, b = ax > x, bx > x
    if a == b:
        return a
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0


@numba.njit(error_model="numpy", _nrt=False)
def _above(ax, ay, bx, by, x, y):
    """Whether a segment from left to right of (x, y), or back, passes above it; in agreement with `_right`."""
    a, b = ay > y, by > y
    if a == b:
        return a
    return _right(ax, ay, bx, by, x, y) != (bx > ax)


@numba.njit(error_model="numpy", _nrt=False)
def inside(area, starts, items, parity, segments, x, y):
    """Whether a point lies on one area (a record of AREA); NaN never does.

    Both legs of the way judge their common corner alike, so that rounding there cancels; only that at the point
    itself is left.
    """
    column, row = (x - area.x) / area.cell, (y - area.y) / area.cell
    if not (column >= 0 and row >= 0 and column < area.columns and row < area.rows):
        return False
    i, j = int(column), int(row)
    k = area.first + j * area.columns + i
    odd = parity[k] != 0
    begin, end = starts[k], starts[k + 1]
    if begin == end:
        return odd
    cx, cy = area.x + (i + 0.5) * area.cell, area.y + (j + 0.5) * area.cell
    for n in range(begin, end):
        m = items[n]
        ax, ay, bx, by = segments[m, 0], segments[m, 1], segments[m, 2], segments[m, 3]
        if (ay > y) != (by > y):
            odd ^= _right(ax, ay, bx, by, x, y) != _right(ax, ay, bx, by, cx, y)
        if (ax > cx) != (bx > cx):
            odd ^= _above(ax, ay, bx, by, cx, y) != _above(ax, ay, bx, by, cx, cy)
    return odd


@numba.njit(cache=True, error_model="numpy")
def _inside(area, starts, items, parity, segments, points):
    out = np.empty(len(points), np.bool_)
    for n in range(len(points)):
        out[n] = inside(area[0], starts, items, parity, segments, points[n, 0], points[n, 1])
    return out


@numba.njit(cache=True, error_model="numpy")
def _list(segments, x, y, cell, columns, rows, place, items):
    """Put every segment into the cells that it passes: at `place` (cells,), moved on; or count, one cell later, where
    there are no items."""
    for m in range(len(segments)):
        ax, ay, bx, by = segments[m, 0] - x, segments[m, 1] - y, segments[m, 2] - x, segments[m, 3] - y
        dx, dy = bx - ax, by - ay
        first = max(int(np.floor((min(ax, bx) - MARGIN) / cell)), 0)
        last = min(int(np.floor((max(ax, bx) + MARGIN) / cell)), columns - 1)
        low = max(int(np.floor((min(ay, by) - MARGIN) / cell)), 0)
        high = min(int(np.floor((max(ay, by) + MARGIN) / cell)), rows - 1)
        reach = (cell / 2 + MARGIN) * (abs(dx) + abs(dy))
        for j in range(low, high + 1):
            for i in range(first, last + 1):
                cx, cy = (i + 0.5) * cell, (j + 0.5) * cell
                if abs(dx * (cy - ay) - dy * (cx - ax)) > reach:
                    continue
                k = j * columns + i
                if len(items):
                    items[place[k]] = m
                    place[k] += 1
                else:
                    place[k + 1] += 1


@numba.njit(cache=True, error_model="numpy")
def _centres(segments, x, y, cell, columns, rows):
    """Which cells' centres are inside, (cells,) uint8: a ray from each towards +x crosses an odd number of segments."""
    odd = np.zeros((rows, columns), np.uint8)
    for m in range(len(segments)):
        ax, ay, bx, by = segments[m, 0], segments[m, 1], segments[m, 2], segments[m, 3]
        low = max(int((min(ay, by) - y) / cell - 1), 0)
        high = min(int((max(ay, by) - y) / cell + 1), rows - 1)
        for j in range(low, high + 1):
            cy = y + (j + 0.5) * cell
            if (ay > cy) == (by > cy):
                continue
            at = ax + (cy - ay) / (by - ay) * (bx - ax)
            i = min(max(int((at - x) / cell), 0), columns - 1)  # the last centre to the left, give or take one
            while i + 1 < columns and _right(ax, ay, bx, by, x + (i + 1.5) * cell, cy):
                i += 1
            while i >= 0 and not _right(ax, ay, bx, by, x + (i + 0.5) * cell, cy):
                i -= 1
            if i >= 0:
                odd[j, i] ^= 1
    for j in range(rows):
        for i in range(columns - 2, -1, -1):
            odd[j, i] ^= odd[j, i + 1]
    return odd.reshape(-1)
