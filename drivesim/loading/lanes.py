"""Shapes to rings, centre lines to lanes, driven paths to lanes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry
from torch import Tensor

from ..types import LaneKind, Lanes, Polylines
from .completion import infer_neighbours
from .paths import runs, smooth, span


def rings(geometry: BaseGeometry) -> Polylines:
    """Borders and holes of a (multi)polygon as rings (P, 2), for `Map.drivable` (even-odd)."""
    polygons = [p for p in shapely.get_parts(geometry) if isinstance(p, shapely.Polygon) and not p.is_empty]
    lines = [ring for p in polygons for ring in (p.exterior, *p.interiors)]
    return Polylines.of([torch.from_numpy(shapely.get_coordinates(line)[:-1]) for line in lines])


def lanes_from_paths(paths: Sequence[np.ndarray], width: float = 3.5, spacing: float = 1.0) -> Lanes:
    """Lanes from where traffic drove, for logs without a map.

    Paths (n, 3) are taken longest first. The part of a path that runs along a lane already found (within half a
    `width` and 30 degrees) belongs to that lane; each remaining stretch of 5 m or more becomes a lane of its own,
    from the last point beside the lane it leaves to the first beside the one it joins, and linked to both.
    """
    evened = sorted((q for q in (smooth(p, spacing) for p in paths) if span(q) >= 5.0), key=span, reverse=True)
    lines: list[np.ndarray] = []
    links: list[tuple[int, int]] = []
    for path in evened:
        owner = _owners(path, lines, width)
        for first, last in runs(owner < 0):
            if span(path[first : last + 1]) < 5.0:
                continue
            new = len(lines)
            if first > 0:
                links.append((int(owner[first - 1]), new))
            if last < len(path) - 1:
                links.append((new, int(owner[last + 1])))
            lines.append(path[max(first - 1, 0) : last + 2])
    return _split_at_links(lines, links, width)


def _split_at_links(lines: list[np.ndarray], links: list[tuple[int, int]], width: float) -> Lanes:
    """Cut lanes where others leave or join; a successor starts at most half a width beside its predecessor's end."""
    cuts: list[set[int]] = [{0, len(line) - 1} for line in lines]
    place = []
    for a, b in links:
        end_of_a = a < b  # the newer lane b leaves a, or the newer lane a joins b
        old, tip = (a, lines[b][0]) if end_of_a else (b, lines[a][-1])
        at = int(np.hypot(*(lines[old] - tip)[:, :2].T).argmin())
        cuts[old].add(at)
        place.append((a, b, old, at))
    pieces: list[np.ndarray] = []
    first: list[dict[int, int]] = []  # per line: cut -> the piece that starts there
    last: list[dict[int, int]] = []  # per line: cut -> the piece that ends there
    successors = []
    for line, marks in zip(lines, map(sorted, cuts), strict=True):
        first.append({})
        last.append({})
        for start, stop in zip(marks[:-1], marks[1:], strict=True):
            first[-1][start] = last[-1][stop] = len(pieces)
            if start:
                successors.append((len(pieces) - 1, len(pieces)))
            pieces.append(line[start : stop + 1])
    for a, b, old, at in place:
        source = last[a].get(at if old == a else len(lines[a]) - 1)
        target = first[b].get(at if old == b else 0)
        if source is not None and target is not None:
            successors.append((source, target))
    beside, _ = infer_neighbours(pieces, [width] * len(pieces))
    return make_lanes(pieces, [width] * len(pieces), successors=successors, neighbours=beside)


def make_lanes(
    lines: Sequence[np.ndarray | Tensor],
    width: Sequence[float],
    speed_limit: Sequence[float] | None = None,
    intersection: Sequence[bool] | None = None,
    successors: Sequence[tuple[int, int]] = (),
    neighbours: Sequence[tuple[int, int, int]] = (),
    kinds: Sequence[LaneKind] | None = None,
) -> Lanes:
    """Lanes from centre lines (n, 3) and plain lists; what is not given is unknown (NaN, False, VEHICLE)."""
    n = len(lines)
    return Lanes(
        center=Polylines.of(
            [torch.as_tensor(np.ascontiguousarray(x)) for x in lines],
            [int(k) for k in kinds] if kinds else None,
            dims=3,
        ),
        width=torch.tensor(list(width), dtype=torch.float32),
        speed_limit=torch.tensor(list(speed_limit) if speed_limit else [float("nan")] * n, dtype=torch.float32),
        intersection=torch.tensor(list(intersection) if intersection else [False] * n, dtype=torch.bool),
        successors=torch.tensor(list(successors), dtype=torch.int64).reshape(-1, 2),
        neighbours=torch.tensor(list(neighbours), dtype=torch.int64).reshape(-1, 3),
    )


def _owners(path: np.ndarray, lines: Sequence[np.ndarray], width: float) -> np.ndarray:
    """Line that each point of a path runs along, -1 for none."""
    owner, best = np.full(len(path), -1), np.full(len(path), width / 2)
    direction = np.gradient(path[:, :2], axis=0)
    for i, line in enumerate(lines):
        nearest = np.hypot(*(path[:, None, :2] - line[None, :, :2]).T).T
        k = nearest.argmin(1)
        along = np.gradient(line[:, :2], axis=0)[k]
        cos = (direction * along).sum(1) / np.maximum(np.hypot(*direction.T) * np.hypot(*along.T), 1e-9)
        distance = nearest[np.arange(len(path)), k]
        closer = (distance < best) & (cos > np.cos(np.deg2rad(30)))
        owner[closer], best[closer] = i, distance[closer]
    return owner
