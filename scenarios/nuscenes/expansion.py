"""The vector maps of the map expansion (maps/expansion/<location>.json, version 1.3) through the devkit."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from drivesim.errors import InputError
from drivesim.types import LaneKind, Marking

_MARKINGS = {
    "SINGLE_SOLID_WHITE": Marking.SOLID_WHITE,
    "SINGLE_ZIGZAG_WHITE": Marking.SOLID_WHITE,
    "DOUBLE_SOLID_WHITE": Marking.DOUBLE_WHITE,
    "SINGLE_DASHED_WHITE": Marking.DASHED_WHITE,
    "DOUBLE_DASHED_WHITE": Marking.DASHED_WHITE,
    "SINGLE_SOLID_YELLOW": Marking.SOLID_YELLOW,
    "DOUBLE_SOLID_YELLOW": Marking.DOUBLE_YELLOW,
}  # NIL paints nothing


@lru_cache(maxsize=1)
def open_expansion(path: Path, stamp: int) -> Any:
    """The devkit's `NuScenesMap`; `stamp` is the file's time, so that a new file is read anew."""
    from nuscenes.map_expansion.map_api import NuScenesMap

    try:
        return NuScenesMap(dataroot=str(path.parents[2]), map_name=path.stem)
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read as json ({error}); download it again") from None
    except Exception as error:  # the devkit raises a bare Exception for old versions
        raise InputError(f"{path}: the devkit refuses this map ({type(error).__name__}: {error})") from None


class Expansion:
    """What of a vector map lies within a rectangle (map frame, metres)."""

    def __init__(self, path: Path, low: np.ndarray, high: np.ndarray) -> None:
        self.api = open_expansion(path, path.stat().st_mtime_ns)
        self.patch = shapely.box(*low, *high)
        self.yellow = path.stem.startswith("boston")

    def drivable(self) -> BaseGeometry:
        tokens = [token for row in self.api.drivable_area for token in row["polygon_tokens"]]
        return shapely.union_all([p for p in map(self._polygon, tokens) if p.intersects(self.patch)]) & self.patch

    def crosswalks(self) -> list[np.ndarray]:
        """Rings (n, 2)."""
        polygons = [self._polygon(row["polygon_token"]) for row in self.api.ped_crossing]
        return [shapely.get_coordinates(p.exterior)[:-1] for p in _parts(polygons) if p.intersects(self.patch)]

    def lanes(self) -> dict[str, Any]:
        """Arguments for `make_lanes`: centres (n, 2), widths, links, neighbours, kinds."""
        from nuscenes.map_expansion.arcline_path_utils import discretize_lane

        names, lines, widths, crossing, kinds = [], [], [], [], []
        for row in [*self.api.lane, *self.api.lane_connector]:
            area = self._polygon(row["polygon_token"])
            path = self.api.arcline_path_3.get(row["token"], [])
            if not path or not area.intersects(self.patch):
                continue
            line = np.array(discretize_lane(path, 1.0))[:, :2]
            line = line[np.concatenate([[True], np.hypot(*np.diff(line, axis=0).T) > 0.05])]
            if len(line) < 2:
                continue
            connector = "lane_type" not in row
            length = float(np.hypot(*np.diff(line, axis=0).T).sum())
            names.append(row["token"])
            lines.append(line)
            widths.append(float(np.clip(area.area / length, 2.0, 6.0)) if not connector else 3.5)
            crossing.append(connector)
            kinds.append({"BUS": LaneKind.BUS, "BIKE": LaneKind.BICYCLE}.get(row.get("lane_type"), LaneKind.VEHICLE))
        index = {name: i for i, name in enumerate(names)}
        links = [
            (index[name], index[other])
            for name in names
            for other in self.api.connectivity.get(name, {}).get("outgoing", [])
            if other in index  # the published maps have a few dangling links
        ]
        return {
            "lines": lines, "width": widths, "intersection": crossing, "kinds": kinds, "successors": links,
            "neighbours": _neighbours(lines, widths, crossing),
        }  # fmt: skip

    def markings(self) -> list[tuple[np.ndarray, Marking]]:
        """Lines (n, 2): lane dividers by their type, road dividers by the country's habit, stop lines."""
        found = [piece for row in self.api.lane_divider for piece in self._divider(row)]
        middle = Marking.DOUBLE_YELLOW if self.yellow else Marking.DOUBLE_WHITE
        found += [(self._line(row["line_token"]), middle) for row in self.api.road_divider]
        for row in self.api.stop_line:
            polygon = self._polygon(row["polygon_token"])
            if row["stop_line_type"] in ("STOP_SIGN", "TRAFFIC_LIGHT", "YIELD") and not polygon.is_empty:
                found.append((_long_axis(polygon), Marking.STOP_LINE))
        return [(line, m) for line, m in found if len(line) > 1 and shapely.LineString(line).intersects(self.patch)]

    def _divider(self, row: dict[str, Any]) -> list[tuple[np.ndarray, Marking]]:
        """Stretches of one type; a segment starts at its node and runs to the next."""
        segments = row["lane_divider_segments"]
        nodes = np.array([self._node(s["node_token"]) for s in segments]).reshape(-1, 2)
        types = [_MARKINGS.get(s["segment_type"]) for s in segments[:-1]]
        pieces, start = [], 0
        for i in range(1, len(types) + 1):
            if i == len(types) or types[i] != types[start]:
                if types[start] is not None:
                    pieces.append((nodes[start : i + 1], types[start]))
                start = i
        return pieces

    def _node(self, token: str) -> tuple[float, float]:
        node = self.api.get("node", token)
        return node["x"], node["y"]

    def _line(self, token: str) -> np.ndarray:
        return np.array([self._node(t) for t in self.api.get("line", token)["node_tokens"]]).reshape(-1, 2)

    def _polygon(self, token: str) -> BaseGeometry:
        return shapely.make_valid(self.api.extract_polygon(token))


def _parts(shapes: list[BaseGeometry]) -> list[shapely.Polygon]:
    return [p for shape in shapes for p in shapely.get_parts(shape) if isinstance(p, shapely.Polygon)]


def _long_axis(polygon: BaseGeometry) -> np.ndarray:
    """Middle line (2, 2) along the longer side of a stop area."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))[:4]
    if len(corners) < 4:
        return corners[:0]
    if np.hypot(*(corners[1] - corners[0])) > np.hypot(*(corners[2] - corners[1])):
        corners = np.roll(corners, 1, axis=0)
    return np.stack([corners[0] + corners[1], corners[2] + corners[3]]) / 2


def _neighbours(lines: list[np.ndarray], widths: list[float], crossing: list[bool]) -> list[tuple[int, int, int]]:
    """Lanes beside each other, same direction; the format does not say it. Seen from each lane's middle."""
    found = []
    for i, line in enumerate(lines):
        if crossing[i]:
            continue
        middle, ahead = _tangent(line, len(line) // 2)
        for side in (1, -1):
            beside = middle + side * widths[i] * np.array([-ahead[1], ahead[0]])
            best, reach = None, 0.5 * widths[i]
            for j, other in enumerate(lines):
                if j == i or crossing[j] or np.abs(other - beside).max(1).min() > 5.0:
                    continue
                place, along = _tangent(other, int(np.hypot(*(other - beside).T).argmin()))
                away = abs(float(along[0] * (beside - place)[1] - along[1] * (beside - place)[0]))
                if float(along @ ahead) > 0.94 and away < reach:  # within 20 degrees
                    best, reach = j, away
            if best is not None:
                found.append((i, best, side))
    return found


def _tangent(line: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Point k of a line and the unit vector along it there."""
    step = line[min(k + 1, len(line) - 1)] - line[max(k - 1, 0)]
    return line[k], step / np.hypot(*step)
