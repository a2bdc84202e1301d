"""The map around a drive, or what driven paths tell of it where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from scipy.ndimage import map_coordinates

from drivesim import loading
from drivesim.loading import Track
from drivesim.types import Ground, Lanes, Map, Marking, Polylines, StopKind, Stops

from .lanes import CONNECTOR, LANE, Road, read_lanes
from .layers import Layers

Heights = Callable[[np.ndarray], np.ndarray]

_AREAS = ("road_segments", "intersections", "generic_drivable_areas", "carpark_areas", "lane_groups_polygons")
"""The first four are what the devkit unites; lane groups lie inside road segments and stand in for missing ones."""

_STOPS = {
    0: StopKind.CROSSWALK,
    1: StopKind.STOP_SIGN,
    2: StopKind.SIGNAL,
    3: StopKind.YIELD,  # turn stop: wait there for who comes the other way
    4: StopKind.YIELD,
}  # `StopLineType` of the devkit; 5 is unknown

BEHIND, BEYOND = 10.0, 60.0  # [m]

_MARKINGS = {0: Marking.DASHED_WHITE, 2: Marking.SOLID_WHITE}
"""By `boundary_type_fid`; py123d and tactics2d read them so, and the other types paint nothing."""


@dataclass(frozen=True)
class World:
    """The map, and by lane connector where its light's stop line crosses it (2,)."""

    map: Map
    signal_lines: dict[int, tuple[int, np.ndarray]]  # connector -> its lane, place
    inferred: dict[str, float]
    problems: tuple[str, ...]


def heights_of(ground: Ground) -> Heights:
    """World z (n,) at world places (n, 2): bilinear, constant beyond the grid."""
    origin, z = ground.origin.double().numpy(), ground.z.double().numpy()

    def at(xy: np.ndarray) -> np.ndarray:
        return map_coordinates(z, ((xy[:, :2] - origin) / ground.cell).T[::-1], order=1, mode="nearest")

    return at


def ground_of(ego: Track, others: Sequence[Track]) -> Ground:
    """Through the bottoms of the ego's box and of vehicles within 60 m of it: the maps are flat."""
    points = [ego.xyz]
    for track in others:
        x, y = (np.interp(track.time, ego.time, ego.xyz[:, i]) for i in (0, 1))
        points.append(track.xyz[np.hypot(track.xyz[:, 0] - x, track.xyz[:, 1] - y) < 60.0])
    return loading.ground_from_points(np.concatenate(points))


def mapped(layers: Layers, origin: np.ndarray, ground: Ground) -> World | None:
    """None where the map has no lane near the drive. `origin` (3,): the world's, in the log's coordinates."""
    heights = heights_of(ground)
    road = read_lanes(layers, origin, heights)
    if not len(road.lanes):
        return None
    area, inferred = _drivable(layers, origin), dict(road.inferred)
    if area.is_empty:
        area, inferred["drivable area"] = loading.area_from_lanes(road.lanes), 0.5
    crossings = [
        torch.from_numpy(shapely.get_coordinates(p.exterior)[:-1] - origin[:2])
        for p in shapely.get_parts(layers["crosswalks"].shape)
        if isinstance(p, shapely.Polygon)
    ]
    stops, signal_lines = _stops(layers, road, origin)
    markings = _markings(layers, origin, heights)
    made = Map(road.lanes, loading.rings(area), Polylines.of(crossings), markings, ground, stops)
    return World(made, signal_lines, inferred, road.problems)


def unmapped(ego: Track, others: Sequence[Track], ground: Ground) -> World:
    """Lanes where vehicles drove; the ego's goes on straight at both ends, as far as a route at least does."""
    course = np.column_stack([np.cos(ego.yaw[[0, -1]]), np.sin(ego.yaw[[0, -1]]), [0.0, 0.0]])
    ends = ego.xyz[[0, -1]] + np.array([[-BEHIND], [BEYOND]]) * course
    paths = [np.concatenate([ends[:1], ego.xyz, ends[1:]]), *(t.xyz for t in others)]
    lanes = loading.lanes_from_paths(paths)
    sure = loading.support(lanes, paths)
    area = loading.area_from_lanes(lanes)
    made = Map(lanes, loading.rings(area), Polylines.of([]), Polylines.of([], dims=3), ground)
    inferred = {"lanes": sure, "successors": sure, "widths": 0.0, "drivable area": sure / 2}
    return World(made, {}, inferred, ())


def _drivable(layers: Layers, origin: np.ndarray) -> shapely.Geometry:
    shapes = np.concatenate([layers[name].shape for name in _AREAS])
    parts = shapely.get_parts(shapely.make_valid(shapes))
    area = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    area = area.buffer(0.1, join_style="mitre").buffer(-0.1, join_style="mitre")  # hairlines between neighbours
    return shapely.transform(area, lambda xy: xy - origin[:2])


def _markings(layers: Layers, origin: np.ndarray, heights: Heights) -> Polylines:
    rows, lines, kinds = layers["boundaries"], [], []
    for kind, shape in zip(rows.ids("boundary_type_fid"), rows.shape, strict=True):
        if kind not in _MARKINGS:
            continue
        for part in shapely.get_parts(shapely.segmentize(shapely.simplify(shape, 0.02), 10.0)):
            xy = shapely.get_coordinates(part) - origin[:2]
            if isinstance(part, shapely.LineString) and len(xy) > 1:
                lines.append(torch.from_numpy(np.column_stack([xy, heights(xy)])))
                kinds.append(int(_MARKINGS[kind]))
    return Polylines.of(lines, kinds, dims=3)


def _stops(layers: Layers, road: Road, origin: np.ndarray) -> tuple[Stops, dict[int, tuple[int, np.ndarray]]]:
    """Stop lines by lane, and those of traffic lights by lane connector."""
    rows = layers["stop_polygons"]
    shapes = dict(zip(rows.fid.tolist(), shapely.transform(rows.shape, lambda xy: xy - origin[:2]), strict=True))
    found: list[tuple[int, np.ndarray, StopKind]] = []
    columns = (rows.fid.tolist(), rows.ids("stop_polygon_type_fid"), rows.lists("lane_fids"))
    for (fid, kind, lanes), connectors in zip(
        zip(*columns, strict=True), rows.lists("lane_connector_fids"), strict=True
    ):
        if kind not in _STOPS:
            continue
        keys = [(LANE, i) for i in lanes] + [(CONNECTOR, i) for i in connectors if not lanes]
        ruled = [road.index[key] for key in keys if key in road.index]
        found += [(lane, crossing(shapes[fid], [_line(road.lanes, lane)]), _STOPS[kind]) for lane in ruled]
        if not ruled:
            found.append((-1, shapely.get_coordinates(shapely.centroid(shapes[fid]))[0], _STOPS[kind]))
    stops = Stops(
        torch.tensor([lane for lane, _, _ in found], dtype=torch.int64),
        torch.tensor(np.array([xy for _, xy, _ in found])).float().reshape(-1, 2),
        torch.tensor([int(kind) for _, _, kind in found], dtype=torch.int64),
    )
    return stops, _signal_lines(layers, road, shapes)


def _signal_lines(layers: Layers, road: Road, shapes: dict[int, shapely.Geometry]) -> dict[int, tuple[int, np.ndarray]]:
    """Where each connector's stop line crosses it or the lane that leads to it; else at the connector's start."""
    rows, found = layers["lane_connectors"], {}
    columns = (rows.fid.tolist(), rows.ids("exit_lane_fid"), rows.lists("traffic_light_stop_line_fids"))
    for fid, before, stop_lines in zip(*columns, strict=True):
        lane = road.index.get((CONNECTOR, fid))
        if lane is None:
            continue
        own, leading = _line(road.lanes, lane), road.index.get((LANE, before))
        lines = [own] if leading is None else [_line(road.lanes, leading), own]
        start = shapely.Point(shapely.get_coordinates(own)[0])
        near = sorted((start.distance(shapes[i]), i) for i in stop_lines if i in shapes)
        place = crossing(shapes[near[0][1]], lines) if near and near[0][0] < 30 else shapely.get_coordinates(start)[0]
        found[fid] = (lane, place)
    return found


def _line(lanes: Lanes, i: int) -> shapely.LineString:
    return shapely.linestrings(lanes.center.line(i)[:, :2].double().numpy())


def crossing(area: shapely.Geometry, lines: Sequence[shapely.LineString]) -> np.ndarray:
    """Place (2,) on lines in the middle of where they pass an area; the nearest one where they do not."""
    inside = [shapely.intersection(shapely.make_valid(area), line) for line in lines]
    passed = [x for x in inside if not x.is_empty]
    if passed:
        return shapely.get_coordinates(shapely.centroid(max(passed, key=shapely.length)))[0]
    line = min(lines, key=area.distance)
    return shapely.get_coordinates(
        shapely.line_interpolate_point(line, shapely.line_locate_point(line, area.centroid))
    )[0]
