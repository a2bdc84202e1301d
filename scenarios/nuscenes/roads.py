"""The road of a scene: the map expansion where it is, else the map picture and where traffic drove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
import torch

from drivesim.loading import Track, lanes_from_paths, make_lanes, rings
from drivesim.types import VEHICLES, Ground, Lanes, Map, Polylines

from .expansion import Expansion
from .heights import ground_under, heights
from .raster import drivable_in_picture

MARGIN = 100.0  # [m] of road around the ego's path
LANE = 3.5  # [m]


def read_road(vectors: Path, picture: Path, tracks: Sequence[Track], origin: np.ndarray) -> tuple[Map, str]:
    """Map in the world frame and a word on where it comes from; `tracks[0]` is the ego, `origin` (3,) in the map's."""
    ego = tracks[0].xyz
    ground = ground_under(tracks)
    low, high = ego[:, :2].min(0) - MARGIN + origin[:2], ego[:, :2].max(0) + MARGIN + origin[:2]
    if vectors.is_file():
        return _from_vectors(Expansion(vectors, low, high), ground, origin[:2]), "map:expansion"
    driven = [t.xyz for t in tracks if t.kind in VEHICLES]
    if picture.is_file():
        area = shapely.transform(drivable_in_picture(picture, low, high), lambda p: p - origin[:2])
        # the picture's white is drivable surface and, beside it, some pavement
        word = "map:raster, lanes from driven paths"
    else:
        area, word = shapely.Polygon(), "map:none, road and lanes from driven paths"
    lines = [shapely.LineString(p[:, :2]) for p in driven if np.ptp(p[:, :2], axis=0).max() > 5.0 or p is ego]
    area = shapely.union_all([area, shapely.union_all(lines).buffer(LANE / 2 if picture.is_file() else LANE)])
    lanes = _lifted(lanes_from_paths(driven, LANE), ground)
    return Map(lanes, rings(area), Polylines.of([]), Polylines.of([], dims=3), ground), word


def _from_vectors(source: Expansion, ground: Ground, origin: np.ndarray) -> Map:
    place = lambda line: np.column_stack([line - origin, heights(ground, line - origin)])  # noqa: E731
    lanes = source.lanes()
    lanes["lines"] = [place(line) for line in lanes["lines"]]
    painted = [(torch.from_numpy(place(line)), int(marking)) for line, marking in source.markings()]
    area = shapely.transform(source.drivable(), lambda p: p - origin)
    crosswalks = [torch.from_numpy(ring - origin) for ring in source.crosswalks()]
    markings = Polylines.of([line for line, _ in painted], [kind for _, kind in painted], dims=3)
    return Map(make_lanes(**lanes), rings(area), Polylines.of(crosswalks), markings, ground)


def _lifted(lanes: Lanes, ground: Ground) -> Lanes:
    """Lanes laid on the ground: the paths of others carry the heights of their boxes."""
    points = lanes.center.points.clone()
    points[:, 2] = torch.from_numpy(heights(ground, points[:, :2].double().numpy())).float()
    return lanes.replace(center=lanes.center.replace(points=points))
