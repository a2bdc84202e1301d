"""What of a map expansion lies around a drive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from drivesim.loading import infer_links, infer_neighbours, make_lanes, rings
from drivesim.types import Ground, Lanes, Map, Polylines, StopKind, Stops

from .heights import heights
from .layers import Layers, open_layers


def map_from_vectors(
    path: Path, low: np.ndarray, high: np.ndarray, ground: Ground, origin: np.ndarray
) -> tuple[Map, dict[str, float], list[str]]:
    """Map in the world frame of what touches a rectangle (map frame), what of it was inferred, and what is wrong.

    `origin` (2,) is the world's in the map frame.
    """
    layers = open_layers(path, path.stat().st_mtime_ns)
    patch = shapely.box(*low, *high)
    place = lambda line: np.column_stack([line - origin, heights(ground, line - origin)])  # noqa: E731
    lanes, kept, inferred = _lanes(layers, patch, place)
    area = shapely.union_all([layers.drivable[i] & patch for i in _near(layers.drivable, patch)])
    crossings = [part for i in _near(layers.crossings, patch) for part in shapely.get_parts(layers.crossings[i])]
    crossings = [torch.from_numpy(shapely.get_coordinates(p.exterior)[:-1] - origin)
                 for p in crossings if isinstance(p, shapely.Polygon)]  # fmt: skip
    seen = [layers.painted[i] for i in _near(layers.strokes, patch)]
    painted = [(torch.from_numpy(place(line)), int(marking)) for line, marking in seen]
    markings = Polylines.of([line for line, _ in painted], [kind for _, kind in painted], dims=3)
    stops = _stops(layers, kept, patch, origin)
    road = Map(
        lanes, rings(shapely.transform(area, lambda p: p - origin)), Polylines.of(crossings), markings, ground, stops
    )
    return road, inferred, layers.problems


def _near(shapes: Sequence[BaseGeometry], patch: BaseGeometry) -> list[int]:
    """Which shapes touch the patch."""
    return np.flatnonzero(shapely.intersects(np.array(shapes, dtype=object), patch)).tolist()


def _lanes(layers: Layers, patch: shapely.Polygon, place) -> tuple[Lanes, list[int], dict[str, float]]:
    """Lanes that touch the patch, which of the map's they are, and the confidence in what the file does not say."""
    kept = _near(layers.curves, patch)
    index = {old: new for new, old in enumerate(kept)}
    lines = [layers.lines[i] for i in kept]
    inferred = {} if layers.surveyed else {"lanes": 0.8}  # the middle of a surveyed area
    if layers.links is None:
        links, inferred["successors"] = infer_links(lines)
    else:
        links = [(index[a], index[b]) for a, b in layers.links if a in index and b in index]
    plain = [new for new, old in enumerate(kept) if not layers.connector[old]]
    beside, sure = infer_neighbours([lines[i] for i in plain], [layers.widths[kept[i]] for i in plain])
    if beside:
        inferred["neighbours"] = sure
    lanes = make_lanes(
        [place(line) for line in lines], [layers.widths[i] for i in kept],
        intersection=[layers.connector[i] for i in kept], successors=links,
        neighbours=sorted((plain[a], plain[b], side) for a, b, side in beside), kinds=[layers.kinds[i] for i in kept],
    )  # fmt: skip
    return lanes, kept, inferred


def _stops(layers: Layers, kept: list[int], patch: shapely.Polygon, origin: np.ndarray) -> Stops:
    """A stop for each lane whose centre line crosses a stop area, halfway through it; connectors count where no lane
    does, and an area that none crosses rules lane -1."""
    lines = layers.curves[kept]
    tree, found = shapely.STRtree(lines), []
    for area, kind in (layers.stops[i] for i in _near([area for area, _ in layers.stops], patch)):
        crossed = sorted(int(i) for i in tree.query(area, predicate="intersects"))
        crossed = [i for i in crossed if not layers.connector[kept[i]]] or crossed
        for lane in crossed:
            inside = lines[lane] & area
            if inside.length > 0.2:
                at = lines[lane].interpolate(lines[lane].project(inside.centroid))
                found.append((lane, (at.x, at.y), kind))
        if not crossed:
            found.append((-1, (area.centroid.x, area.centroid.y), kind))
    if not found:
        return Stops.none()
    lane, xy, kind = zip(*found, strict=True)
    kinds = torch.tensor([int(StopKind(k)) for k in kind])
    return Stops(torch.tensor(lane), torch.from_numpy(np.array(xy) - origin).float(), kinds)
