"""Numba kernels for point queries against line segments: exact tests, pruned by a uniform grid."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from .types import Polylines


@dataclass(frozen=True, eq=False)
class SegmentGrid:
    """Segments a -> b (S, 2) float64, listed by the grid cells that their bounding boxes touch."""

    a: np.ndarray
    b: np.ndarray
    origin: np.ndarray  # (2,) lower corner [m]
    cell: float  # [m]
    shape: tuple[int, int]  # rows (y), columns (x)
    starts: np.ndarray  # (rows * columns + 1,) int64 into `items`
    items: np.ndarray  # segment indices, cell by cell

    @staticmethod
    def of_rings(rings: Polylines) -> SegmentGrid:
        points, offsets = rings.points[:, :2].double().numpy(), rings.offsets.numpy()
        following = np.arange(1, len(points) + 1)
        filled = offsets[1:] > offsets[:-1]
        following[offsets[1:][filled] - 1] = offsets[:-1][filled]
        return SegmentGrid.of(points, points[following] if len(points) else points)

    @staticmethod
    def of(a: np.ndarray, b: np.ndarray) -> SegmentGrid:
        if not len(a):
            return SegmentGrid(a, b, np.zeros(2), 1.0, (1, 1), np.zeros(2, np.int64), np.zeros(0, np.int64))
        low, high = np.minimum(a, b), np.maximum(a, b)
        origin, extent = low.min(0), high.max(0) - low.min(0)
        cell = float(max(extent.max() / 256, np.sqrt(extent.prod() / len(a)), 0.5))
        columns, rows = (np.floor(extent / cell).astype(int) + 1).tolist()
        first = np.floor((low - origin) / cell).astype(np.int64)
        last = np.floor((high - origin) / cell).astype(np.int64)
        starts, items = _fill(first, last, rows, columns)
        return SegmentGrid(
            np.ascontiguousarray(a), np.ascontiguousarray(b), origin, cell, (rows, columns), starts, items
        )


@numba.njit(cache=True)
def _fill(first, last, rows, columns):
    count = np.zeros(rows * columns + 1, np.int64)
    for i in range(len(first)):
        for y in range(first[i, 1], last[i, 1] + 1):
            for x in range(first[i, 0], last[i, 0] + 1):
                count[y * columns + x + 1] += 1
    starts = np.cumsum(count)
    place = starts[:-1].copy()
    items = np.empty(starts[-1], np.int64)
    for i in range(len(first)):
        for y in range(first[i, 1], last[i, 1] + 1):
            for x in range(first[i, 0], last[i, 0] + 1):
                items[place[y * columns + x]] = i
                place[y * columns + x] += 1
    return starts, items


def crossings(grid: SegmentGrid, points: np.ndarray) -> np.ndarray:
    """How many segments a ray from each point (N, 2) towards +x crosses, (N,) int64. NaN points cross none."""
    return _crossings(grid.a, grid.b, grid.origin, grid.cell, *grid.shape, grid.starts, grid.items, points)


@numba.njit(cache=True)
def _crossings(a, b, origin, cell, rows, columns, starts, items, points):
    out = np.zeros(len(points), np.int64)
    for n in range(len(points)):
        px, py = points[n, 0], points[n, 1]
        row = np.floor((py - origin[1]) / cell)
        if not (row >= 0 and row < rows) or not px < origin[0] + columns * cell:
            continue
        left = max(int(np.floor((px - origin[0]) / cell)), 0)
        for x in range(left, columns):
            k = int(row) * columns + x
            for j in range(starts[k], starts[k + 1]):
                i = items[j]
                y0, y1 = a[i, 1], b[i, 1]
                if (y0 > py) == (y1 > py):
                    continue
                at = a[i, 0] + (py - y0) / (y1 - y0) * (b[i, 0] - a[i, 0])
                # a segment is listed in every cell it touches: count it only in the cell of its crossing
                column = min(max(int(np.floor((at - origin[0]) / cell)), 0), columns - 1)
                if at > px and column == x:
                    out[n] += 1
    return out


def nearest_segment(
    grid: SegmentGrid, points: np.ndarray, yaw: np.ndarray | None = None, turn: float = np.pi, reach: float = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest segment of each point (N, 2): index (N,), place along it 0..1 (N,), distance (N,) [m].

    With `yaw` (N,) only segments whose direction differs from it by at most `turn` [rad] count. Index -1 and NaN
    where no segment lies within `reach` [m], and for points that are NaN.
    """
    yaw = np.zeros(len(points)) if yaw is None else yaw
    cos = -2.0 if turn >= np.pi else float(np.cos(turn))
    return _nearest(
        grid.a, grid.b, grid.origin, grid.cell, *grid.shape, grid.starts, grid.items, points, yaw, cos, reach
    )


@numba.njit(cache=True)
def _nearest(a, b, origin, cell, rows, columns, starts, items, points, yaw, cos, reach):
    index = np.full(len(points), -1, np.int64)
    place = np.full(len(points), np.nan)
    distance = np.full(len(points), np.nan)
    for n in range(len(points)):
        px, py = points[n, 0], points[n, 1]
        if not (np.isfinite(px) and np.isfinite(py) and np.isfinite(yaw[n])):
            continue
        hx, hy = np.cos(yaw[n]), np.sin(yaw[n])
        cx = int(min(max(np.floor((px - origin[0]) / cell), 0), columns - 1))
        cy = int(min(max(np.floor((py - origin[1]) / cell), 0), rows - 1))
        best, best_i, best_t = reach * reach, -1, 0.0
        for ring in range(max(rows, columns) + 1):
            # cells of this ring are at least this far from the point, also from one beside the grid
            free = (ring - 1) * cell
            if ring > 0 and best <= free * free:
                break
            for y in range(max(cy - ring, 0), min(cy + ring, rows - 1) + 1):
                for x in range(max(cx - ring, 0), min(cx + ring, columns - 1) + 1):
                    if max(abs(x - cx), abs(y - cy)) != ring:
                        continue
                    k = y * columns + x
                    for j in range(starts[k], starts[k + 1]):
                        i = items[j]
                        ex, ey = b[i, 0] - a[i, 0], b[i, 1] - a[i, 1]
                        square = ex * ex + ey * ey
                        if cos > -1.5 and ex * hx + ey * hy < cos * np.sqrt(square):
                            continue
                        rx, ry = px - a[i, 0], py - a[i, 1]
                        t = min(max((rx * ex + ry * ey) / square, 0.0), 1.0) if square > 0 else 0.0
                        d = (rx - t * ex) ** 2 + (ry - t * ey) ** 2
                        if d < best:
                            best, best_i, best_t = d, i, t
        if best_i >= 0:
            index[n], place[n], distance[n] = best_i, best_t, np.sqrt(best)
    return index, place, distance


def first_hits(grid: SegmentGrid, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Share (N,) of the way from `start` to `stop` (N, 2) at which the first segment is met, NaN where none is."""
    return _first_hits(grid.a, grid.b, grid.origin, grid.cell, *grid.shape, grid.starts, grid.items, start, stop)


@numba.njit(cache=True)
def _first_hits(a, b, origin, cell, rows, columns, starts, items, start, stop):
    out = np.full(len(start), np.nan)
    for n in range(len(start)):
        px, py = start[n, 0], start[n, 1]
        dx, dy = stop[n, 0] - px, stop[n, 1] - py
        if not (np.isfinite(px) and np.isfinite(py) and np.isfinite(dx) and np.isfinite(dy)):
            continue
        x0 = int(max(np.floor((min(px, px + dx) - origin[0]) / cell), 0))
        x1 = int(min(np.floor((max(px, px + dx) - origin[0]) / cell), columns - 1))
        y0 = int(max(np.floor((min(py, py + dy) - origin[1]) / cell), 0))
        y1 = int(min(np.floor((max(py, py + dy) - origin[1]) / cell), rows - 1))
        best = np.inf
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                k = y * columns + x
                for j in range(starts[k], starts[k + 1]):
                    i = items[j]
                    ex, ey = b[i, 0] - a[i, 0], b[i, 1] - a[i, 1]
                    cross = dx * ey - dy * ex
                    if cross == 0:
                        continue
                    rx, ry = a[i, 0] - px, a[i, 1] - py
                    t, u = (rx * ey - ry * ex) / cross, (rx * dy - ry * dx) / cross
                    if 0 <= t <= 1 and 0 <= u <= 1 and t < best:
                        best = t
        if best <= 1:
            out[n] = best
    return out
