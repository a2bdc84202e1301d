"""What one may ask of a map: inside, distance to the border, ground height, lanes here, their graph, the nearest lane.

The queries take world points of any batch prefix. Point in polygon and nearest segment run in numba over a uniform
grid index (exact tests, the grid only prunes); everything else is torch.
"""

from __future__ import annotations

import weakref
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .geometry import heading, polyline_yaw
from .kernels import SegmentGrid, crossings, nearest_segment
from .types import Lanes, Map, Polylines

_CACHE: weakref.WeakKeyDictionary[Map, RoadMap] = weakref.WeakKeyDictionary()


class RoadMap:
    """Queries on one Map. Build through `RoadMap.of`, which keeps one per map."""

    def __init__(self, map: Map) -> None:
        self._ground, self._lanes, self._drivable = map.ground, map.lanes, map.drivable

    @staticmethod
    def of(map: Map) -> RoadMap:
        if map not in _CACHE:
            _CACHE[map] = RoadMap(map)
        return _CACHE[map]

    # the surface

    def inside(self, xy: Tensor) -> Tensor:
        """Whether points (..., 2) lie on the drivable area (...): inside an odd number of rings."""
        return torch.from_numpy(crossings(self._borders, _rows(xy)) % 2 == 1).reshape(xy.shape[:-1])

    def border_distance(self, xy: Tensor) -> Tensor:
        """Distance (...) of points (..., 2) to the nearest drivable border [m], positive inside, negative outside.

        -inf where the map has no drivable area at all.
        """
        if not len(self._borders.a):
            return torch.full(xy.shape[:-1], -torch.inf)
        _, _, distance = nearest_segment(self._borders, _rows(xy))
        distance = torch.from_numpy(distance).float().reshape(xy.shape[:-1])
        return torch.where(self.inside(xy), distance, -distance)

    def ground(self, xy: Tensor) -> Tensor:
        """Height of the ground (...) under points (..., 2), bilinear, constant beyond the grid."""
        z = self._ground.z
        place = (xy - self._ground.origin.to(xy)) / self._ground.cell
        limit = torch.tensor([z.shape[1] - 1, z.shape[0] - 1], dtype=xy.dtype)
        place = torch.minimum(place.nan_to_num(0).clamp_min(0), limit)
        low = torch.minimum(place.floor(), limit - 1).clamp_min(0)
        fx, fy = (place - low).unbind(-1)
        x, y = low.long().unbind(-1)
        x1, y1 = (x + 1).clamp_max(z.shape[1] - 1), (y + 1).clamp_max(z.shape[0] - 1)
        below = z[y, x] * (1 - fx) + z[y, x1] * fx
        above = z[y1, x] * (1 - fx) + z[y1, x1] * fx
        return below * (1 - fy) + above * fy

    def slope(self, xy: Tensor, yaw: Tensor, reach: float = 1.0) -> tuple[Tensor, Tensor]:
        """Pitch and roll (...) of a body that rests on the ground at (..., 2) with this yaw (...)."""
        ahead, left = reach * heading(yaw), reach * heading(yaw + torch.pi / 2)
        rise = self.ground(xy + ahead) - self.ground(xy - ahead)
        lean = self.ground(xy + left) - self.ground(xy - left)
        return -torch.atan(rise / (2 * reach)), torch.atan(lean / (2 * reach))

    # lanes

    def center(self, lane: int) -> Tensor:
        """Centre line (n, 3) of a lane."""
        return self._lanes.center.line(lane)

    def successors(self, lane: int) -> list[int]:
        return self._graph.get(lane, [])

    def left(self, lane: int) -> int | None:
        return self._sides.get((lane, 1))

    def right(self, lane: int) -> int | None:
        return self._sides.get((lane, -1))

    def lanes_at(self, xy: Tensor) -> Tensor:
        """Which lanes' areas hold points (..., 2): bool (..., L)."""
        flat, (low, high) = _rows(xy), self._extents
        held = np.zeros((len(flat), len(self._areas)), bool)
        known = flat[np.isfinite(flat).all(-1)]
        if len(known):
            for lane in ((low <= known.max(0)) & (high >= known.min(0))).all(-1).nonzero()[0]:
                held[:, lane] = crossings(self._areas[lane], flat) % 2 == 1
        return torch.from_numpy(held).reshape(*xy.shape[:-1], len(self._areas))

    def nearest_lane(
        self, xy: Tensor, yaw: Tensor, reach: float = 4.0, turn: float = torch.pi / 3
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Lane that a body at (..., 2) with this yaw (...) follows.

        The nearest centre line within `reach` [m] whose tangent differs from `yaw` by less than `turn` [rad].
        Returns lane (...) int64 (-1 for none), arc length s (...) on it and lateral offset (...), left positive.
        """
        grid, owner, before, length = self._centers
        points = _rows(xy)
        i, place, distance = nearest_segment(grid, points, _angles(yaw), turn, reach)
        found = i >= 0
        lane = np.where(found, owner[i] if len(owner) else -1, -1)
        s, lateral = np.full((2, len(points)), np.nan)
        k, step, relative = i[found], (grid.b - grid.a)[i[found]], points[found] - grid.a[i[found]]
        s[found] = before[k] + place[found] * length[k]
        left = step[:, 0] * relative[:, 1] - step[:, 1] * relative[:, 0] >= 0
        lateral[found] = np.where(left, 1, -1) * distance[found]
        shape = xy.shape[:-1]
        s, lateral = torch.from_numpy(s).float(), torch.from_numpy(lateral).float()
        return torch.from_numpy(lane).reshape(shape), s.reshape(shape), lateral.reshape(shape)

    # indices, each built once when first asked for

    @cached_property
    def _borders(self) -> SegmentGrid:
        return SegmentGrid.of_rings(self._drivable)

    @cached_property
    def _areas(self) -> list[SegmentGrid]:
        return [SegmentGrid.of_rings(Polylines.of([area])) for area in lane_areas(self._lanes)]

    @cached_property
    def _extents(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corners (L, 2) of the lanes' areas."""
        low, high = ([f(grid.a, axis=0) for grid in self._areas] for f in (np.min, np.max))
        return np.reshape(low, (-1, 2)), np.reshape(high, (-1, 2))

    @cached_property
    def _graph(self) -> dict[int, list[int]]:
        ahead: dict[int, list[int]] = {}
        for a, b in self._lanes.successors.tolist():
            ahead.setdefault(a, []).append(b)
        return ahead

    @cached_property
    def _sides(self) -> dict[tuple[int, int], int]:
        return {(a, side): b for a, b, side in self._lanes.neighbours.tolist()}

    @cached_property
    def _centers(self) -> tuple[SegmentGrid, np.ndarray, np.ndarray, np.ndarray]:
        """All centre-line segments: their grid, lane (S,), arc length before each (S,) and length (S,)."""
        parts = []
        for i in range(len(self._lanes)):
            line = self.center(i)[:, :2].double().numpy()
            length = np.hypot(*np.diff(line, axis=0).T)
            parts.append((line[:-1], line[1:], np.full(len(length), i), np.cumsum(length) - length, length))
        if not parts:
            empty = np.zeros(0)
            return SegmentGrid.of(np.zeros((0, 2)), np.zeros((0, 2))), empty.astype(np.int64), empty, empty
        a, b, owner, before, length = (np.concatenate(x) for x in zip(*parts, strict=True))
        return SegmentGrid.of(a, b), owner, before, length


def lane_areas(lanes: Lanes) -> list[Tensor]:
    """The ring (2n, 2) that each lane covers: its centre line widened by half its width to both sides."""
    areas = []
    for i in range(len(lanes)):
        line = lanes.center.line(i)
        normal = heading(polyline_yaw(line[:, :2])) @ _QUARTER
        half = lanes.width[i] / 2
        areas.append(torch.cat([line[:, :2] + half * normal, (line[:, :2] - half * normal).flip(0)]))
    return areas


_QUARTER = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])  # row vectors times this turn left by 90 degrees


def _rows(xy: Tensor) -> np.ndarray:
    return np.ascontiguousarray(xy.reshape(-1, 2).double().numpy())


def _angles(yaw: Tensor) -> np.ndarray:
    return np.ascontiguousarray(yaw.reshape(-1).double().numpy())
