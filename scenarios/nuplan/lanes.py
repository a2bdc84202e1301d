"""Lanes and the connectors between them as one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from drivesim import loading
from drivesim.types import LaneKind, Lanes

from .layers import Layers

PASSED_THROUGH = (3, 4, 5)
"""Types of `intersections` where lanes merely branch, merge or go on (`IntersectionType` of the devkit)."""

NARROW, WIDE = 1.0, 12.0

LANE, CONNECTOR = "lane", "connector"
Key = tuple[str, int | None]


@dataclass(frozen=True)
class Road:
    """The graph, and what of it had to be worked out."""

    lanes: Lanes
    index: dict[Key, int]  # lane of a fid: lanes and connectors count on their own
    inferred: dict[str, float]
    problems: tuple[str, ...]


def read_lanes(layers: Layers, origin: np.ndarray, heights) -> Road:
    """`origin` (3,) is the world's; `heights` gives world z (n,) at world places (n, 2)."""
    lines, problems = _lines(layers)
    index = {key: i for i, key in enumerate(lines)}
    centers = [shapely.get_coordinates(line) - origin[:2] for line in lines.values()]
    widths, known = _widths(layers, lines, origin)
    inferred = {} if known == 1.0 else {"widths": known}
    successors = _successors(layers, index)
    if not successors and len(centers) > 1:
        successors, inferred["successors"] = loading.infer_links(centers)
    lanes = loading.make_lanes(
        [np.column_stack([xy, heights(xy)]) for xy in centers],
        widths,
        speed_limit=_limits(layers, index),
        intersection=_crossing(layers, index),
        successors=successors,
        neighbours=_neighbours(layers, index),
        kinds=_kinds(layers, index),
    )
    return Road(lanes, index, inferred, tuple(problems))


def _lines(layers: Layers) -> tuple[dict[Key, shapely.LineString], list[str]]:
    """Centre lines of lanes, then of connectors, each by fid."""
    paths, found, odd = layers["baseline_paths"], {}, 0
    owners = zip(paths.ids("lane_fid"), paths.ids("lane_connector_fid"), strict=True)
    shapes = shapely.segmentize(shapely.simplify(paths.shape, 0.02), 5.0)
    for (lane, connector), shape in zip(owners, shapes, strict=True):
        key = (LANE, lane) if lane is not None else (CONNECTOR, connector)
        parts = [p for p in shapely.get_parts(shape) if isinstance(p, shapely.LineString) and p.length > 0.1]
        if key[1] is None or not parts:
            odd += 1
        else:
            found.setdefault(key, max(parts, key=lambda p: p.length))
    problems = [f"{odd} baseline_paths left out: they belong to no lane or have no length"] if odd else []
    wanted = {(LANE, i) for i in layers["lanes_polygons"].ids("lane_fid")}
    wanted |= {(CONNECTOR, int(i)) for i in layers["lane_connectors"].fid}
    bare = len(wanted - found.keys() - {(LANE, None)})
    if bare:
        problems.append(f"{bare} lanes left out: they have no baseline_path")
    return dict(sorted(found.items(), key=lambda item: (item[0][0] != LANE, item[0][1]))), problems


def _widths(layers: Layers, lines: dict[Key, shapely.LineString], origin: np.ndarray) -> tuple[list[float], float]:
    """Area over length of the lanes' polygons; by the boundaries beside them for lanes without. The second value is the
    share of lanes with a polygon, and of the others as far as they have boundaries."""
    areas = {}
    for name, column, kind in (
        ("lanes_polygons", "lane_fid", LANE),
        ("gen_lane_connectors_scaled_width_polygons", "lane_connector_fid", CONNECTOR),
    ):
        for fid, shape in zip(layers[name].ids(column), layers[name].shape, strict=True):
            areas.setdefault((kind, fid), shapely.area(shape))
    widths = [areas.get(key, np.nan) / line.length for key, line in lines.items()]
    bare = [i for i, width in enumerate(widths) if not NARROW <= width <= WIDE]
    if not bare:
        return widths, 1.0
    edges = [shapely.get_coordinates(shape) - origin[:2] for shape in layers["boundaries"].shape]
    centers = [shapely.get_coordinates(line) - origin[:2] for line in lines.values()]
    guessed, sure = loading.infer_widths([centers[i] for i in bare], edges)
    for i, width in zip(bare, guessed.tolist(), strict=True):
        widths[i] = width
    return widths, 1 - len(bare) / len(widths) * (1 - sure)


def _successors(layers: Layers, index: dict[Key, int]) -> list[tuple[int, int]]:
    """A connector goes from the lane that is left, `exit_lane_fid`, to the one that is entered, `entry_lane_fid`."""
    connectors, found = layers["lane_connectors"], []
    columns = (connectors.fid.tolist(), connectors.ids("exit_lane_fid"), connectors.ids("entry_lane_fid"))
    for fid, left, entered in zip(*columns, strict=True):
        chain = [index.get(key) for key in ((LANE, left), (CONNECTOR, fid), (LANE, entered))]
        found += [(a, b) for a, b in zip(chain[:-1], chain[1:], strict=True) if a is not None and b is not None]
    return found


def _neighbours(layers: Layers, index: dict[Key, int]) -> list[tuple[int, int, int]]:
    """Lanes of a group are counted from left to right."""
    rows = layers["lanes_polygons"]
    columns = (rows.ids("lane_fid"), rows.ids("lane_group_fid"), rows.ids("lane_index"))
    place = {(group, k): index[LANE, fid] for fid, group, k in zip(*columns, strict=True)
             if (LANE, fid) in index and group is not None and k is not None}  # fmt: skip
    beside = [(i, place.get((group, k + 1))) for (group, k), i in place.items()]
    pairs = [(a, b) for a, b in beside if b is not None]
    return [(a, b, -1) for a, b in pairs] + [(b, a, 1) for a, b in pairs]


def _limits(layers: Layers, index: dict[Key, int]) -> list[float]:
    found = _by_lane(layers, index, "speed_limit_mps", "speed_limit_mps")
    return [v if 0 < v < 60 else np.nan for v in found]


def _kinds(layers: Layers, index: dict[Key, int]) -> list[LaneKind]:
    """Only lanes have a type; 1 is a lane for bicycles (py123d, who looked at all four maps)."""
    return [LaneKind.BICYCLE if v == 1 else LaneKind.VEHICLE for v in _by_lane(layers, index, "lane_type_fid", None)]


def _crossing(layers: Layers, index: dict[Key, int]) -> list[bool]:
    areas = layers["intersections"]
    types = dict(zip(areas.fid.tolist(), areas.ids("intersection_type_fid"), strict=True))
    where = _by_lane(layers, index, None, "intersection_fid")
    return [
        kind == CONNECTOR and types.get(int(v) if np.isfinite(v) else -1) not in PASSED_THROUGH
        for (kind, _), v in zip(index, where, strict=True)
    ]


def _by_lane(layers: Layers, index: dict[Key, int], lane: str | None, connector: str | None) -> Sequence[float]:
    """A column of `lanes_polygons` and one of `lane_connectors` in the order of the lanes; NaN where there is none."""
    values = np.full(len(index), np.nan)
    lanes, connectors = layers["lanes_polygons"], layers["lane_connectors"]
    for kind, rows, fids, column in (
        (LANE, lanes, lanes.ids("lane_fid"), lane),
        (CONNECTOR, connectors, connectors.fid.tolist(), connector),
    ):
        if column:
            for fid, value in zip(fids, rows.numbers(column), strict=True):
                if (kind, fid) in index:
                    values[index[kind, fid]] = value
    return values.tolist()
