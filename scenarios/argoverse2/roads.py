"""The vector map and the ground height of a log as a Map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError  # numpy's header reader lets it through
from typing import Any

import numpy as np
import shapely
import torch
from scipy.ndimage import gaussian_filter
from shapely.geometry.base import BaseGeometry

from drivesim.errors import InputError
from drivesim.loading import make_lanes, rings
from drivesim.types import Ground, LaneKind, Lanes, Map, Marking, Polylines

from .files import only, read_json

FARTHEST = 50_000.0  # from the ego's start [m]
WIDEST = 90.0  # of a lane [m]
PIXELS = 64_000_000  # of a ground raster; real ones have half a million
COARSER = 3  # pixels of the 0.3 m ground raster per cell of ours

_LANE_KINDS = {"VEHICLE": LaneKind.VEHICLE, "BUS": LaneKind.BUS, "BIKE": LaneKind.BICYCLE}
# Boundaries that may be crossed from one side only are drawn as the stricter one; SOLID_BLUE marks parking.
_MARKINGS = {
    "SOLID_WHITE": Marking.SOLID_WHITE,
    "SOLID_BLUE": Marking.SOLID_WHITE,
    "DASHED_WHITE": Marking.DASHED_WHITE,
    "DOUBLE_DASH_WHITE": Marking.DASHED_WHITE,
    "DASH_SOLID_WHITE": Marking.DOUBLE_WHITE,
    "SOLID_DASH_WHITE": Marking.DOUBLE_WHITE,
    "DOUBLE_SOLID_WHITE": Marking.DOUBLE_WHITE,
    "SOLID_YELLOW": Marking.SOLID_YELLOW,
    "DASHED_YELLOW": Marking.DASHED_YELLOW,
    "DOUBLE_DASH_YELLOW": Marking.DASHED_YELLOW,
    "DASH_SOLID_YELLOW": Marking.DOUBLE_YELLOW,
    "SOLID_DASH_YELLOW": Marking.DOUBLE_YELLOW,
    "DOUBLE_SOLID_YELLOW": Marking.DOUBLE_YELLOW,
}  # NONE and UNKNOWN paint nothing


@dataclass(frozen=True, eq=False)
class VectorMap:
    """What a map archive holds, in the world frame; all but the ground."""

    lanes: Lanes
    area: BaseGeometry
    crosswalks: Polylines
    markings: Polylines
    heights: np.ndarray  # (n, 3) points on the road

    def on(self, ground: Ground) -> Map:
        return Map(self.lanes, rings(self.area), self.crosswalks, self.markings, ground)


def read_map(folder: Path, origin: np.ndarray) -> Map:
    """Map of a sensor log's `map` folder in the world frame; `origin` (3,) is the world's in the city frame."""
    vector = read_archive(only(folder, "log_map_archive_*.json"), origin)
    return vector.on(_ground(folder, vector.area, origin))


def read_archive(path: Path, origin: np.ndarray) -> VectorMap:
    """The vector map of a sensor log or a forecasting scenario, which differ in fields that are not needed."""
    data = read_json(path)
    try:
        segments = list(data["lane_segments"].values())
        areas = [_points(a["area_boundary"], origin) for a in data["drivable_areas"].values()]
        crossings = [
            (_points(c["edge1"], origin), _points(c["edge2"], origin))
            for c in data.get("pedestrian_crossings", {}).values()
        ]
        lanes, markings = _lanes(segments, origin), _markings(segments, origin)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{path}: not an Argoverse 2 map ({type(error).__name__}: {error})") from None
    crosswalks = [torch.from_numpy(_crosswalk(*edges)) for edges in crossings if min(map(len, edges)) > 1]
    heights = np.concatenate([lanes.center.points.double().numpy(), *areas])
    return VectorMap(lanes, _drivable(areas), Polylines.of(crosswalks), markings, heights)


def _points(rows: Iterable[dict[str, float]], origin: np.ndarray) -> np.ndarray:
    points = np.array([[p["x"], p["y"], p["z"]] for p in rows], dtype=np.float64).reshape(-1, 3)
    points -= origin
    if not (np.abs(points) < FARTHEST).all():
        raise ValueError(f"a point is not a number or beyond {FARTHEST / 1000:.0f} km of the ego")
    return points


def _lanes(segments: list[dict[str, Any]], origin: np.ndarray) -> Lanes:
    index = {segment["id"]: i for i, segment in enumerate(segments)}
    centers, widths = [], []
    for segment in segments:
        left, right = (
            _points(segment["left_lane_boundary"], origin),
            _points(segment["right_lane_boundary"], origin),
        )
        count = max(int(np.ceil(max(_length(left), _length(right)) / 2.0)) + 1, 2)  # a point every 2 m at most
        left, right = _resample(left, count), _resample(right, count)
        centers.append((left + right) / 2)
        widths.append(float(np.hypot(*(left - right)[:, :2].T).mean()))
        if not 0 < widths[-1] < WIDEST:
            raise ValueError(f"lane segment {segment['id']} is {widths[-1]:.1f} m wide")
    successors = [(index[s["id"]], index[j]) for s in segments for j in s["successors"] if j in index]
    neighbours = [
        (i, index[segment[key]], side)
        for i, segment in enumerate(segments)
        for key, side in (("left_neighbor_id", 1), ("right_neighbor_id", -1))
        if segment[key] in index and _same_way(centers[i], centers[index[segment[key]]])
    ]
    kinds = [_LANE_KINDS.get(s["lane_type"], LaneKind.VEHICLE) for s in segments]
    crossing = [bool(s["is_intersection"]) for s in segments]
    return make_lanes(centers, widths, intersection=crossing, successors=successors, neighbours=neighbours, kinds=kinds)


def _same_way(a: np.ndarray, b: np.ndarray) -> bool:
    """Neighbours of the format may be oncoming."""
    return float((a[-1] - a[0])[:2] @ (b[-1] - b[0])[:2]) > 0


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*np.diff(line[:, :2], axis=0).T).sum())


def _resample(line: np.ndarray, count: int) -> np.ndarray:
    s = np.concatenate([[0], np.hypot(*np.diff(line[:, :2], axis=0).T).cumsum()])
    grid = np.linspace(0, s[-1], count)
    return np.column_stack([np.interp(grid, s, line[:, i]) for i in range(3)])


def _markings(segments: list[dict[str, Any]], origin: np.ndarray) -> Polylines:
    """Painted boundaries, each once: neighbours share theirs."""
    found: dict[bytes, tuple[np.ndarray, Marking]] = {}
    for segment in segments:
        for side in ("left", "right"):
            marking = _MARKINGS.get(segment[f"{side}_lane_mark_type"])
            line = _points(segment[f"{side}_lane_boundary"], origin)
            if marking is not None and len(line) > 1:
                decimetres = np.round(line[:, :2] * 10).astype(np.int64)
                key = min(decimetres.tobytes(), decimetres[::-1].tobytes())
                found.setdefault(key, (line, marking))
    lines = [torch.from_numpy(line) for line, _ in found.values()]
    return Polylines.of(lines, [int(marking) for _, marking in found.values()], dims=3)


def _drivable(areas: list[np.ndarray]) -> BaseGeometry:
    polygons = [shapely.make_valid(shapely.Polygon(a[:, :2])) for a in areas if len(a) > 2]
    union = shapely.union_all(polygons)
    return union.buffer(0.05, join_style="mitre").buffer(-0.05, join_style="mitre")  # closes hairline gaps


def _crosswalk(edge1: np.ndarray, edge2: np.ndarray) -> np.ndarray:
    """Ring (n, 2) around both edges, whichever way the second runs."""
    ring = np.concatenate([edge1, edge2[::-1]])[:, :2]
    if not shapely.Polygon(ring).is_valid:
        ring = np.concatenate([edge1, edge2])[:, :2]
    return ring


def _ground(folder: Path, drivable: BaseGeometry, origin: np.ndarray) -> Ground:
    """The ground height raster, coarser, and beyond the road smoothly continued.

    Pixel (i, j) covers one cell from `scale * (xy + t)` = (i, j) on. Off the road the raster's rims bend by metres,
    so heights count within 3 m of the drivable area alone.
    """
    path, placing = only(folder, "*_ground_height_surface____*.npy"), only(folder, "*___img_Sim2_city.json")
    sim = read_json(placing)
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")  # a header's huge shape allocates nothing
        if mapped.size > PIXELS or mapped.dtype.kind != "f":
            raise ValueError(f"its shape is {mapped.shape}, its type {mapped.dtype}")
        raster = np.array(mapped, dtype=np.float64)
        scale, shift, turn = (
            float(sim["s"]),
            np.array(sim["t"], float),
            np.array(sim["R"], float).reshape(2, 2),
        )
    except (OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, OverflowError, TokenError) as error:
        raise InputError(f"{path}: the ground height or {placing.name} cannot be read ({error})") from None
    if not np.allclose(turn, np.eye(2), atol=1e-6) or not scale > 0:
        raise InputError(f"{placing}: a rotated or mirrored ground raster is not supported")
    if raster.ndim != 2:
        raise InputError(f"{path}: is no picture of heights, its shape is {raster.shape}")
    corner, cell = -shift - origin[:2], COARSER / scale
    raster = np.pad(raster, [(0, -n % COARSER) for n in raster.shape], constant_values=np.nan)
    near = np.kron(_near(drivable, corner, cell, np.array(raster.shape) // COARSER), np.ones((COARSER, COARSER)))
    trusted = np.isfinite(raster) & (near > 0)
    if not trusted.any():
        raise InputError(f"{path}: holds no height near the drivable area; is it from another log?")
    level = float(np.median(raster[trusted]))
    blocks = lambda x: x.reshape(len(x) // COARSER, COARSER, -1, COARSER).sum((1, 3))  # noqa: E731
    z = level + _continued(blocks(np.where(trusted, raster - level, 0.0)), blocks(trusted.astype(float)), cell)
    return Ground(torch.from_numpy(corner + cell / 2).float(), cell, torch.from_numpy(z - origin[2]).float())


def _near(drivable: BaseGeometry, corner: np.ndarray, cell: float, shape: np.ndarray, reach: float = 3.0) -> np.ndarray:
    """Cells (rows, columns) whose centre lies within `reach` metres of an area."""
    x, y = (corner[i] + cell * (np.arange(n) + 0.5) for i, n in enumerate(shape[::-1]))
    wide = drivable.buffer(reach).simplify(cell / 4)
    shapely.prepare(wide)
    return shapely.contains_xy(wide, *np.meshgrid(x, y))


def _continued(moment: np.ndarray, mass: np.ndarray, cell: float) -> np.ndarray:
    """Means (h, w) where there is mass, carried on smoothly to where there is none: coarse to fine, each round corrects
    what the one before left over. The last ones also take out the 6 cm terraces of half floats at 100 m of altitude."""
    z, total = np.zeros_like(mass), mass.sum()
    for reach in (60.0, 20.0, 6.0, 2.0, 1.0):
        blur = _blur(mass.shape, reach / cell)
        z = z + blur(moment - mass * z) / (blur(mass) + 1e-9 * total)
    return z


def _blur(shape: tuple[int, ...], sigma: float) -> Callable[[np.ndarray], np.ndarray]:
    """A Gaussian filter with nothing beyond the border. Wide ones are two products with banded matrices: hundreds of
    times fewer steps than sliding a kernel as wide as the picture."""
    if sum(shape) > 200 * sigma:
        return partial(gaussian_filter, sigma=sigma, mode="constant", truncate=6)
    reach = int(6 * sigma + 0.5)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weight = np.concatenate([weight / weight.sum(), [0.0]])
    rows, columns = (
        weight[np.minimum(np.abs(np.subtract.outer(np.arange(n), np.arange(n))) + reach, 2 * reach + 1)] for n in shape
    )
    return lambda x: rows @ x @ columns
