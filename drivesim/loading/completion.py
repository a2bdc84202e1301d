"""What a log does not say of its road, worked out, each with a confidence from 0 (a guess) to 1 (as good as given).

The confidences go into `Scenario.inferred`, so that nobody takes an inferred road for a surveyed one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from ..kernels import SegmentGrid, first_hits, nearest_segment
from ..roadmap import lane_areas
from ..types import Lanes
from .paths import resample, resample_all

Link = tuple[int, int]
Beside = tuple[int, int, int]

MEET = 1.0
"""A lane that starts this close [m] to another's end, and heads within TURN like it, goes on from it."""

TURN = np.deg2rad(30.0)

WIDTH = 3.5
"""Of a lane of which nothing is known [m]: between the 3.0 and 3.66 m of AASHTO's urban and rural lanes."""

NARROWEST, WIDEST = 2.2, 6.0

KERB = 8.0
"""How far [m] from a lane's centre its side of the road may reach: half a lane, a parking lane and a shoulder."""


def infer_links(lines: Sequence[np.ndarray]) -> tuple[list[Link], float]:
    """Successors among lanes with centre lines (n, 2+): pairs (lane, next), where an end meets a start.

    The confidence is the share of lane ends that go on, of those that do not lie at the rim of the map.
    """
    if not lines:
        return [], 0.0
    starts, ends = np.array([x[0, :2] for x in lines]), np.array([x[-1, :2] for x in lines])
    out_of, into = np.array([_heading(x[-2:]) for x in lines]), np.array([_heading(x[:2]) for x in lines])
    links = []
    for a, near in enumerate(cKDTree(starts).query_ball_point(ends, MEET)):
        links += [(a, b) for b in sorted(near) if a != b and out_of[a] @ into[b] > np.cos(TURN)]
    low, high = np.concatenate([starts, ends]).min(0) + 15.0, np.concatenate([starts, ends]).max(0) - 15.0
    inner = ((ends > low) & (ends < high)).all(1)
    going = np.isin(np.arange(len(lines)), [a for a, _ in links])
    return links, float((going & inner).sum() / max(inner.sum(), 1)) if inner.any() else float(going.mean())


def infer_neighbours(lines: Sequence[np.ndarray], widths: Sequence[float]) -> tuple[list[Beside], float]:
    """Lanes beside each other in the same direction: (lane, other, side), side +1 left and -1 right.

    A neighbour lies where a lane of both mean widths would, for more than half of the lane's length. The confidence
    is the share of neighbours that agree: whose neighbour on the other side is the lane.
    """
    if not lines:
        return [], 0.0
    points, lane = resample_all([x[:, :2] for x in lines], 2.0)
    inner = lane[1:] == lane[:-1]
    a, b, owner = points[:-1][inner], points[1:][inner], lane[1:][inner]
    along = (b - a) / np.maximum(np.linalg.norm(b - a, axis=1, keepdims=True), 1e-9)
    middle, yaw = (a + b) / 2, np.arctan2(along[:, 1], along[:, 0])
    width = np.asarray(widths, dtype=np.float64)[owner]
    grid, counts = SegmentGrid.of(a, b), np.bincount(owner, minlength=len(lines))
    found = []
    for side in (1, -1):
        beside = middle + side * width[:, None] * np.column_stack([-along[:, 1], along[:, 0]])
        near, _, _ = nearest_segment(grid, np.ascontiguousarray(beside), yaw, TURN / 2, 1.3)
        seen = (near >= 0) & (owner[near] != owner)
        pairs, votes = np.unique(np.column_stack([owner[seen], owner[near[seen]]]), axis=0, return_counts=True)
        for lane in np.unique(pairs[:, 0]) if len(pairs) else ():
            mine = pairs[:, 0] == lane
            best = int(votes[mine].argmax())
            if votes[mine][best] > counts[lane] / 2:
                found.append((int(lane), int(pairs[mine][best, 1]), side))
    agreed = {(b, a, -side) for a, b, side in found}
    return found, len(agreed & set(found)) / len(found) if found else 1.0


def infer_widths(lines: Sequence[np.ndarray], boundaries: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Widths (L,) of lanes with centre lines (n, 2+) from the painted lines and kerbs (m, 2+) to both sides.

    Where only one side has a line the lane is taken to be symmetric; where none has, WIDTH. The confidence is the
    share of lanes with a line on one side at least.
    """
    edges = _segments(boundaries)
    if not lines or not len(edges.a):
        return np.full(len(lines), WIDTH), 0.0
    reach = WIDEST / 2 + 0.5
    place, normal, owner = _stations(lines, 4.0)
    halves = np.array(
        [
            _medians(first_hits(edges, place, place + side * reach * normal) * reach, owner, len(lines))
            for side in (1, -1)
        ]
    )
    halves[halves < NARROWEST / 4] = np.nan  # a line that runs along the lane's middle bounds nothing
    known = np.isfinite(halves).any(0)
    mean = np.where(np.isfinite(halves), halves, 0).sum(0) / np.maximum(np.isfinite(halves).sum(0), 1)
    return np.where(known, np.clip(2 * mean, NARROWEST, WIDEST), WIDTH), float(known.mean())


def support(lanes: Lanes, paths: Sequence[np.ndarray]) -> float:
    """How well driven paths (n, 2+) bear lanes out: the share of the lanes' length that two or more of them ran along,
    within half a lane and TURN. The confidence of lanes that were made from such paths."""
    if not len(lanes):
        return 0.0
    place, normal, _ = _stations([lanes.center.line(i).double().numpy() for i in range(len(lanes))], 2.0)
    yaw, count = np.arctan2(-normal[:, 0], normal[:, 1]), np.zeros(len(place), dtype=int)
    for path in paths:
        driven = _segments([path])
        if len(driven.a):
            count += nearest_segment(driven, np.ascontiguousarray(place), yaw, TURN, WIDTH / 2)[0] >= 0
    return float((count >= 2).mean())


def area_from_lanes(lanes: Lanes) -> BaseGeometry:
    """The union of all lanes' areas, hairline gaps closed."""
    if not len(lanes):
        return shapely.MultiPolygon()
    areas = shapely.polygons([shapely.linearrings(ring.double().numpy()) for ring in lane_areas(lanes)])
    return _closed(shapely.union_all(shapely.make_valid(areas)))


def area_from_edges(edges: Sequence[np.ndarray], lanes: Lanes) -> tuple[BaseGeometry, float]:
    """The drivable area between road edges (n, 2+) that have the road on their left, with lanes on it.

    From each lane the area reaches sideways to the first edge within KERB metres; where there is none, to the
    lane's own border. The confidence is the share of the area's border that runs along edges.
    """
    lines = [lanes.center.line(i).double().numpy() for i in range(len(lanes))]
    kerbs = _segments(edges)
    if not lines or not len(kerbs.a):
        return area_from_lanes(lanes), 0.0
    place, normal, owner = _stations(lines, 1.0)
    half = lanes.width.double().numpy()[owner] / 2
    rims = []
    for side in (1, -1):
        hit = first_hits(kerbs, place, place + side * KERB * normal) * KERB
        hit = np.where(np.isfinite(hit), np.maximum(hit, 0.5), half)
        rims.append(place + side * hit[:, None] * normal)
    ring = np.lexsort((np.concatenate([np.arange(len(place)), -np.arange(len(place))]), np.repeat([0, 1], len(place)),
                       np.concatenate([owner, owner])))  # fmt: skip
    strips = shapely.polygons(shapely.linearrings(np.concatenate(rims)[ring], indices=np.repeat(owner, 2)))
    area = _closed(shapely.union_all(shapely.make_valid(shapely.simplify(strips, 0.05, preserve_topology=False))))
    area = _without_pretended_islands(area, kerbs)
    return area, _share_along(shapely.get_parts(shapely.boundary(area)), kerbs)


def _without_pretended_islands(area: BaseGeometry, kerbs: SegmentGrid, largest: float = 200.0) -> BaseGeometry:
    """Holes up to `largest` m^2 without a kerb are crossings' middles that no lane happens to touch."""
    parts = []
    for polygon in shapely.get_parts(area):
        holes = [h for h in polygon.interiors if shapely.Polygon(h).area > largest or _share_along([h], kerbs) > 0.1]
        parts.append(shapely.Polygon(polygon.exterior, holes))
    return shapely.multipolygons(parts)


def _share_along(borders: Sequence[BaseGeometry], kerbs: SegmentGrid, reach: float = 0.5) -> float:
    """Share of borders that runs within `reach` metres of kerbs."""
    points = [resample(shapely.get_coordinates(border), 1.0) for border in borders]
    if not points:
        return 0.0
    along, _, _ = nearest_segment(kerbs, np.ascontiguousarray(np.concatenate(points)), reach=reach)
    return float((along >= 0).mean())


def _closed(area: BaseGeometry, gap: float = 0.3) -> BaseGeometry:
    return area.buffer(gap, join_style="mitre").buffer(-gap, join_style="mitre")


def _heading(step: np.ndarray) -> np.ndarray:
    along = step[-1, :2] - step[0, :2]
    return along / max(float(np.hypot(*along)), 1e-9)


def _segments(lines: Sequence[np.ndarray]) -> SegmentGrid:
    """Of polylines (n, 2+)."""
    flat = [np.asarray(x, dtype=np.float64)[:, :2] for x in lines if len(x) > 1]
    if not flat:
        return SegmentGrid.of(np.zeros((0, 2)), np.zeros((0, 2)))
    points = np.concatenate(flat)
    inner = np.ones(len(points) - 1, bool)
    inner[np.cumsum([len(x) for x in flat])[:-1] - 1] = False  # from one line's end to the next one's start
    return SegmentGrid.of(points[:-1][inner], points[1:][inner])


def _stations(lines: Sequence[np.ndarray], spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (n, 2) along all lanes, the normals there (n, 2), left positive, and the lanes (n,)."""
    place, owner = resample_all([x[:, :2] for x in lines], spacing)
    first = np.concatenate([[True], owner[1:] != owner[:-1]])
    last = np.concatenate([first[1:], [True]])
    index = np.arange(len(place))
    along = place[np.where(last, index, index + 1)] - place[np.where(first, index, index - 1)]
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return place, np.column_stack([-along[:, 1], along[:, 0]]), owner


def _medians(values: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Median (count,) of the finite values (n,) of each owner (n,), NaN where it has none."""
    known = np.isfinite(values)
    values, owner = values[known], owner[known]
    order = np.lexsort((values, owner))
    sizes = np.bincount(owner, minlength=count)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    out, some = np.full(count, np.nan), sizes > 0
    low, high = start + (sizes - 1) // 2, start + sizes // 2
    out[some] = (values[order][low[some]] + values[order][high[some]]) / 2
    return out
