"""A network as a Map: lanes, drivable area, crosswalks, paint and ground in the world frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from drivesim.loading import ground_from_points, make_lanes, rings
from drivesim.types import Ground, LaneKind, Lanes, Map, Polylines, StopKind, Stops

from .paint import crosswalks, markings
from .roads import DRIVABLE, SURFACE, speed_limit

if TYPE_CHECKING:
    from .network import Network

GAP = 0.05
"""Slits in the road up to twice this wide [m] are closed: they come from rounding at the seams of roads."""

ISLAND = 30.0
"""Holes between the ways through one junction up to this large [m^2] are asphalt."""


def build(network: Network, origin: np.ndarray) -> Map:
    """The Map in the frame whose origin is `origin` (3,)."""
    lanes = _lanes(network, origin)
    area = _drivable(network)
    walks = [torch.from_numpy(ring - origin[:2]) for ring in crosswalks(network)]
    painted = markings(network)
    lines = Polylines.of([torch.from_numpy(x - origin) for x, _ in painted], [int(k) for _, k in painted], dims=3)
    moved = shapely.transform(area, lambda xy: xy - origin[:2])
    return Map(lanes, rings(moved), Polylines.of(walks), lines, _ground(network, origin), _stops(network, origin))


def ring(left: np.ndarray, right: np.ndarray) -> BaseGeometry:
    """The area between two borders (n, 2+)."""
    return shapely.make_valid(shapely.Polygon(np.concatenate([left[:, :2], right[::-1, :2]])))


def _lanes(network: Network, origin: np.ndarray) -> Lanes:
    keys = network.lane_index
    index = {key: i for i, key in enumerate(keys)}
    roads = [network.roads[road] for road, _, _ in keys]
    lanes = [network.lane(key) for key in keys]
    limits = [
        speed_limit(road, road.sections[key[1]], lane) for road, key, lane in zip(roads, keys, lanes, strict=True)
    ]
    return make_lanes(
        [network.path(i) - origin for i in range(len(keys))],
        [_mean_width(*network.borders(i)) for i in range(len(keys))],
        limits,
        [bool(road.junction) for road in roads],
        network.successors,
        _neighbours(network, index),
        [DRIVABLE[lane.type] for lane in lanes],
    )


def _mean_width(left: np.ndarray, right: np.ndarray) -> float:
    step = np.hypot(*np.diff((left + right)[:, :2] / 2, axis=0).T)
    width = np.hypot(*(left - right)[:, :2].T)
    return float(((width[:-1] + width[1:]) / 2 * step).sum() / step.sum())


def _neighbours(network: Network, index: dict[tuple[str, int, int], int]) -> list[tuple[int, int, int]]:
    """(lane, other, side) of lanes next to each other that run the same way; a cycle path is no lane to change to."""
    out = []
    for (road, section, id), i in index.items():
        mine = network.lane((road, section, id))
        for step in (1, -1):
            other = id + step or step  # lane 0 has no width
            j = index.get((road, section, other))
            if j is None or LaneKind.BICYCLE in (
                DRIVABLE[mine.type],
                DRIVABLE[network.lane((road, section, other)).type],
            ):
                continue
            way = network.roads[road].direction(mine)
            if way == network.roads[road].direction(network.lane((road, section, other))):
                out.append((i, j, step * way))
    return out


def _drivable(network: Network) -> BaseGeometry:
    """The union of all that vehicles may drive on, in the file's coordinates."""
    parts: dict[str, list[BaseGeometry]] = {}
    for (road, number), strip in network.strips.items():
        found = network.roads[road]
        for id, lane in found.sections[number].lanes.items():
            if lane.side and lane.type in SURFACE:
                inner = strip.edges[found.sections[number].inner(id)]
                parts.setdefault(found.junction, []).append(ring(inner, strip.edges[id]))
    areas = [_closed(shapely.union_all(list(x))) for x in parts.values()]
    names = list(parts)
    areas = [_filled(area) if name else area for name, area in zip(names, areas, strict=True)]
    return _closed(shapely.union_all(areas))


def _closed(area: BaseGeometry) -> BaseGeometry:
    return area.buffer(GAP, join_style="mitre").buffer(-GAP, join_style="mitre")


def _filled(area: BaseGeometry) -> BaseGeometry:
    """Without the small holes."""
    polygons = [p for p in shapely.get_parts(area) if isinstance(p, shapely.Polygon) and not p.is_empty]
    kept = [shapely.Polygon(p.exterior, [h for h in p.interiors if shapely.Polygon(h).area > ISLAND]) for p in polygons]
    return shapely.union_all(kept)


def _ground(network: Network, origin: np.ndarray) -> Ground:
    points = np.concatenate([x for strip in network.strips.values() for x in strip.edges.values()]) - origin
    if np.ptp(points[:, 2]) < 1e-3:
        return Ground.flat(float(points[0, 2]))
    return ground_from_points(points)


def _stops(network: Network, origin: np.ndarray) -> Stops:
    found = [x for x in network.signals(origin) if x.kind != StopKind.SIGNAL]
    if not found:
        return Stops.none()
    return Stops(
        torch.tensor([x.lane for x in found]),
        torch.from_numpy(np.stack([x.stop_xy for x in found])).float(),
        torch.tensor([int(x.kind) for x in found]),
    )
