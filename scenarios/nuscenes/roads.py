"""The road of a scene: the map expansion where it is, else the map picture and where traffic drove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import torch

from drivesim.loading import Track, lanes_from_paths, rings
from drivesim.types import VEHICLES, Lanes, Map, Polylines

from .expansion import map_from_vectors
from .heights import ground_under, heights
from .raster import drivable_in_picture

MARGIN = 100.0  # [m] of road around the ego's path
LANE = 3.5  # [m]
WIDEST = 3000.0  # [m] of map picture along a side, which is a gigapixel


@dataclass(frozen=True, eq=False)
class Road:
    map: Map
    word: str  # where it comes from
    inferred: dict[str, float]
    problems: list[str]


Keep = Callable[[str, Callable[[], bytes]], bytes]
"""`keep(key, make)`: what `make` gave for the key before, else what it gives now."""


def read_road(vectors: Path, picture: Path | None, tracks: Sequence[Track], origin: np.ndarray, keep: Keep) -> Road:
    """Map in the world frame; `tracks[0]` is the ego, `origin` (3,) in the map's."""
    ego = tracks[0].xyz
    ground = ground_under(tracks)
    inferred = {"ground": 0.7 if len(tracks) > 1 else 0.4}  # what stands there agrees within decimetres
    low, high = ego[:, :2].min(0) - MARGIN + origin[:2], ego[:, :2].max(0) + MARGIN + origin[:2]
    if vectors.is_file():
        road, more, problems = map_from_vectors(vectors, low, high, ground, origin[:2])
        if len(road.lanes) and len(road.drivable):
            return Road(road, "map:expansion", inferred | more, problems)
    problems, area, sure = [], shapely.Polygon(), 0.3
    if vectors.is_file():
        problems.append(f"{vectors.name} has no road where the ego drives; not used")
    if (high - low).max() > WIDEST:
        problems.append(f"the ego drives over more than {WIDEST:.0f} m; the map picture is not used")
    elif picture is not None and picture.is_file():
        area = shapely.transform(_pictured(picture, low, high, keep), lambda p: p - origin[:2])
        if not area.is_empty:
            sure = 0.8
        else:
            problems.append(f"{picture.name} shows no road where the ego drives; not used")
    driven = [t.xyz for t in tracks if t.kind in VEHICLES]
    lines = [shapely.LineString(p[:, :2]) for p in driven if np.ptp(p[:, :2], axis=0).max() > 5.0 or p is ego]
    lines = shapely.simplify(np.array(lines, dtype=object), 0.05)  # what stands still jitters by centimetres
    area = shapely.union_all([area, shapely.union_all(lines).buffer(LANE / 2 if sure > 0.5 else LANE)])
    lanes = lanes_from_paths(driven, LANE)
    lanes = _lifted(lanes, lambda xy: heights(ground, xy))
    # the picture's white is drivable surface and, beside it, some pavement
    word = "map:raster, lanes from driven paths" if sure > 0.5 else "map:none, road and lanes from driven paths"
    inferred |= {"drivable area": sure, "lanes": 0.5, "successors": 0.5, "widths": 0.0}
    return Road(Map(lanes, rings(area), Polylines.of([]), Polylines.of([], dims=3), ground), word, inferred, problems)


def _pictured(picture: Path, low: np.ndarray, high: np.ndarray, keep: Keep) -> shapely.geometry.base.BaseGeometry:
    """The drivable area in a picture; unpacking the rows up to it takes half a second, so the outlines are kept."""
    about = picture.stat()
    key = f"1 {picture.name} {about.st_size} {about.st_mtime_ns} {low.tolist()} {high.tolist()}"
    return shapely.from_wkb(keep(key, lambda: shapely.to_wkb(drivable_in_picture(picture, low, high))))


def _lifted(lanes: Lanes, height: Callable[[np.ndarray], np.ndarray]) -> Lanes:
    """Lanes laid on the ground: the paths of others carry the heights of their boxes."""
    points = lanes.center.points.clone()
    points[:, 2] = torch.from_numpy(height(points[:, :2].double().numpy())).float()
    return lanes.replace(center=lanes.center.replace(points=points))
