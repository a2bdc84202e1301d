"""Map features as a Map, completed where the file is silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
import torch

from drivesim import loading
from drivesim.types import Ground, LaneKind, Lanes, Map, Polylines

from .datasets import DataSet
from .drawn import Drawn
from .record import points, text

NARROWEST, WIDEST, HALF = 1.0, 8.0, 3.0
"""Widths [m] outside of which a number in a file is no lane's; a side farther than HALF lies beyond a shoulder."""


def build(
    drawn: Drawn, features: Mapping[str, Mapping[str, Any]], dataset: DataSet, ground: Ground, driven: Sequence
) -> tuple[Map, dict[str, int], dict[str, float]]:
    """The Map, the index of each lane's id in it, and what was inferred; `driven` paths (n, 3), the ego's
    first and each with a point beyond either end, serve where there is no lane."""
    inferred: dict[str, float] = {}
    index = {name: i for i, name in enumerate(drawn.lanes)}
    if index:
        lanes = _lanes(drawn, features, index, dataset, inferred)
    else:
        lanes = loading.lanes_from_paths(driven)
        inferred["lanes"] = 0.3
    drivable = _drivable(drawn, lanes, driven, inferred)
    markings = Polylines.of(
        [torch.from_numpy(line) for line, _ in drawn.markings], [int(kind) for _, kind in drawn.markings], dims=3
    )
    crosswalks = Polylines.of([torch.from_numpy(ring) for ring in drawn.crosswalks])
    return Map(lanes, drivable, crosswalks, markings, ground), index, inferred


def _lanes(
    drawn: Drawn,
    features: Mapping[str, Mapping[str, Any]],
    index: Mapping[str, int],
    dataset: DataSet,
    inferred: dict[str, float],
) -> Lanes:
    rows, lines = [features[name] for name in index], list(drawn.lanes.values())
    links = _links(rows, index)
    if not links:
        links, inferred["successors"] = loading.infer_links(lines)
    widths = _widths(drawn, rows, lines, links, 50.0 if dataset.exact else HALF, inferred)
    beside = _beside(rows, lines, index)
    if not beside:
        beside, inferred["neighbours"] = loading.infer_neighbours(lines, widths)
    crossing = [
        text(row.get("type")) == "LANE_SURFACE_UNSTRUCTURE" or (dataset.connectors and row.get("interpolating") is True)
        for row in rows
    ]
    kinds = [_kind(row) for row in rows]
    limits = [_limit(row) if dataset.limits else np.nan for row in rows]
    return loading.make_lanes(lines, widths.tolist(), limits, crossing, links, beside, kinds)


def _kind(row: Mapping[str, Any]) -> LaneKind:
    if text(row.get("type")) == "LANE_BIKE_LANE":
        return LaneKind.BICYCLE
    return LaneKind.BUS if text(row.get("lane_kind")) == "BUS" else LaneKind.VEHICLE  # as drivesim writes it


def _limit(row: Mapping[str, Any]) -> float:
    """[m/s]; NaN where the file has none or 0."""
    for key, unit in (("speed_limit_mph", 0.44704), ("speed_limit_kmh", 1 / 3.6)):
        value = row.get(key)
        if isinstance(value, int | float | np.number) and 0.0 < value < 300.0:
            return float(value) * unit
    return np.nan


def _links(rows: Sequence[Mapping[str, Any]], index: Mapping[str, int]) -> list[tuple[int, int]]:
    """Pairs (lane, next) that either of the two names."""
    links = set()
    for i, row in enumerate(rows):
        links |= {(i, index[n]) for n in _names(row.get("exit_lanes")) if n in index}
        links |= {(index[n], i) for n in _names(row.get("entry_lanes")) if n in index}
    return sorted(links)


def _names(value: Any) -> list[str]:
    """Ids of a list of ids, or of Waymo's neighbours, which are dicts."""
    if not isinstance(value, list | tuple | np.ndarray) or len(value) > 1000:
        return []
    return [text(x.get("feature_id") if isinstance(x, dict) else x) for x in value]


def _beside(
    rows: Sequence[Mapping[str, Any]], lines: Sequence[np.ndarray], index: Mapping[str, int]
) -> list[tuple[int, int, int]]:
    """Stated neighbours of the same direction: (lane, other, side)."""
    found = []
    for i, row in enumerate(rows):
        for key, side in (("left_neighbor", 1), ("right_neighbor", -1)):
            others = sorted({index[n] for n in _names(row.get(key)) if n in index and index[n] != i})
            found += [(i, j, side) for j in others if _same_way(lines[i], lines[j])]
    return found


def _same_way(a: np.ndarray, b: np.ndarray) -> bool:
    return float((a[-1] - a[0])[:2] @ (b[-1] - b[0])[:2]) > 0


def _widths(
    drawn: Drawn,
    rows: Sequence[Mapping[str, Any]],
    lines: Sequence[np.ndarray],
    links: Sequence[tuple[int, int]],
    half: float,
    inferred: dict[str, float],
) -> np.ndarray:
    """Widths (L,) [m]: stated, else of the lane's own polygon, else of the lanes it links, else of lines beside it."""
    width = np.array([_stated_width(row, line, half) for row, line in zip(rows, lines, strict=True)])
    said = np.isfinite(width)
    if said.all():
        return width
    around: dict[int, list[float]] = {}
    for a, b in links:
        around.setdefault(a, []).append(width[b])
        around.setdefault(b, []).append(width[a])
    for i in np.flatnonzero(~said):
        linked = [w for w in around.get(int(i), []) if np.isfinite(w)]
        if linked:
            width[i] = np.mean(linked)
    silent = ~np.isfinite(width)
    guess, confidence = loading.infer_widths(lines, [line for line, _ in drawn.markings] + drawn.edges + drawn.borders)
    width = np.where(silent, guess, width)
    inferred["widths"] = float((said.sum() + 0.8 * (~said & ~silent).sum() + confidence * silent.sum()) / len(width))
    return width


def _stated_width(row: Mapping[str, Any], line: np.ndarray, half: float) -> float:
    """Of `width`, a number or distances to both sides (n, 2) with 0 for unknown; else of the polygon's area."""
    value = row.get("width")
    if isinstance(value, int | float | np.number):
        return float(value) if NARROWEST < value < WIDEST else np.nan
    sides = points(value)
    if sides is not None:
        halves = [x[(x > NARROWEST / 2) & (x < half)] for x in sides.T[:2]]
        halves = [float(np.median(x)) for x in halves if len(x) > len(sides) / 4]
        if halves:
            return 2 * float(np.mean(halves))
    ring = points(row.get("polygon"))
    if ring is None or len(ring) < 3:
        return np.nan
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    mean = area / float(np.hypot(*np.diff(line[:, :2], axis=0).T).sum())
    return mean if NARROWEST < mean < WIDEST else np.nan


def _drivable(drawn: Drawn, lanes: Lanes, driven: Sequence, inferred: dict[str, float]) -> Polylines:
    """The stated rings if the ego drove within them, else what the road edges bound, else the lanes."""
    if drawn.borders and _holds(drawn.borders, driven[0][1:-1, :2]):
        return Polylines.of([torch.from_numpy(ring) for ring in drawn.borders])
    if drawn.edges:
        area, inferred["drivable area"] = loading.area_from_edges(drawn.edges, lanes)
    else:
        area, inferred["drivable area"] = loading.area_from_lanes(lanes), 0.5
    lots = [shapely.make_valid(shapely.Polygon(ring[:, :2])) for ring in drawn.driveways]
    return loading.rings(shapely.union_all([area, *lots]))


def _holds(rings: Sequence[np.ndarray], path: np.ndarray) -> bool:
    """Whether more than half of a path (n, 2) lies inside an odd number of rings."""
    count = np.zeros(len(path), dtype=int)
    for ring in rings:
        a, b = ring[:, :2], np.roll(ring[:, :2], -1, axis=0)
        up = (a[:, 1] > path[:, 1:]) != (b[:, 1] > path[:, 1:])
        rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
        at = a[:, 0] + (path[:, 1:] - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
        count += (up & (path[:, :1] < at)).sum(1)
    return float((count % 2).mean()) > 0.5
