"""A map expansion file (maps/expansion/<location>.json, versions 1.0 to 1.3) as shapes; read once per process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from drivesim import files
from drivesim.errors import InputError
from drivesim.types import LaneKind, Marking, StopKind

from .arclines import arcline, between_edges

WIDTH = 3.5
"""Of connectors without neighbours in the graph [m]: between the 3.0 and 3.66 m of AASHTO's lanes."""

_MARKINGS = {
    "SINGLE_SOLID_WHITE": Marking.SOLID_WHITE,
    "SINGLE_ZIGZAG_WHITE": Marking.SOLID_WHITE,
    "DOUBLE_SOLID_WHITE": Marking.DOUBLE_WHITE,
    "SINGLE_DASHED_WHITE": Marking.DASHED_WHITE,
    "DOUBLE_DASHED_WHITE": Marking.DASHED_WHITE,
    "SINGLE_SOLID_YELLOW": Marking.SOLID_YELLOW,
    "SINGLE_DASHED_YELLOW": Marking.DASHED_YELLOW,
    "DOUBLE_SOLID_YELLOW": Marking.DOUBLE_YELLOW,
    "DOUBLE_DASHED_YELLOW": Marking.DASHED_YELLOW,
}  # NIL paints nothing

_STOPS = {
    "STOP_SIGN": StopKind.STOP_SIGN,
    "YIELD": StopKind.YIELD,
    "TRAFFIC_LIGHT": StopKind.SIGNAL,
    "PED_CROSSING": StopKind.CROSSWALK,
    "TURN_STOP": StopKind.CROSSWALK,  # where those who turn wait for pedestrians: its cues are crossings
}

_LANES = {"BUS": LaneKind.BUS, "BIKE": LaneKind.BICYCLE}

Painted = tuple[np.ndarray, Marking]


@dataclass
class Layers:
    """All of one map, in its own frame; the lanes first, then the connectors."""

    lines: list[np.ndarray] = field(default_factory=list)  # centre lines (n, 2)
    widths: list[float] = field(default_factory=list)
    kinds: list[LaneKind] = field(default_factory=list)
    connector: list[bool] = field(default_factory=list)
    links: list[tuple[int, int]] | None = None  # None where the version knows none
    drivable: list[BaseGeometry] = field(default_factory=list)
    crossings: list[BaseGeometry] = field(default_factory=list)
    stops: list[tuple[BaseGeometry, StopKind]] = field(default_factory=list)
    painted: list[Painted] = field(default_factory=list)
    surveyed: bool = True  # whether the file gives centre lines
    problems: list[str] = field(default_factory=list)

    @cached_property
    def curves(self) -> np.ndarray:
        """The centre lines as shapes (n,)."""
        return np.array([shapely.LineString(line) for line in self.lines], dtype=object)

    @cached_property
    def strokes(self) -> np.ndarray:
        """What is painted as shapes (n,)."""
        return np.array([shapely.LineString(line) for line, _ in self.painted], dtype=object)


@lru_cache(maxsize=2)
def open_layers(path: Path, stamp: int) -> Layers:
    """The shapes of a file; `stamp` is the file's time, so that a new file is read anew."""
    content = files.read_json(path)
    try:
        return _Reader(path, content).layers()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.GEOSException) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: is not a nuScenes map expansion ({reason}); download it again") from None


class _Reader:
    def __init__(self, path: Path, content: Any) -> None:
        self.path, self.content, self.out = path, content, Layers()
        self.node = {row["token"]: i for i, row in enumerate(content["node"])}
        self.xy = np.array([[row["x"], row["y"]] for row in content["node"]], dtype=np.float64).reshape(-1, 2)
        self.line = {row["token"]: row["node_tokens"] for row in content["line"]}
        self.polygon = {row["token"]: row for row in content["polygon"]}  # the published maps have a null among them

    def layers(self) -> Layers:
        """Raises what a file of another schema makes fail; single bad records are left out and counted."""
        out = self.out
        drivable = [token for row in self.content["drivable_area"] for token in row["polygon_tokens"]]
        out.drivable = self._each("drivable_area polygon", drivable, self._area)
        # where cars park they also drive
        out.drivable += self._each("carpark_area", self._layer("carpark_area"), self._own_area)
        out.crossings = self._each("ped_crossing", self._layer("ped_crossing"), self._own_area)
        known = [row for row in self._layer("stop_line") if row.get("stop_line_type") in _STOPS]
        out.stops = self._each("stop_line", known, lambda r: (self._own_area(r), _STOPS[r["stop_line_type"]]))
        self._lanes()
        middle = Marking.DOUBLE_YELLOW if self.path.stem.startswith("boston") else Marking.DOUBLE_WHITE
        dividers = self._each("lane_divider", self._layer("lane_divider"), self._divider)
        roads = self._each(
            "road_divider", self._layer("road_divider"), lambda r: self._points(self.line[r["line_token"]])
        )
        bars = [(self._long_axis(area), Marking.STOP_LINE) for area, kind in out.stops if kind != StopKind.CROSSWALK]
        found = [*(piece for pieces in dividers for piece in pieces), *((line, middle) for line in roads), *bars]
        out.painted = [(line, marking) for line, marking in found if len(line) > 1]
        return out

    def _layer(self, name: str) -> list[dict[str, Any]]:
        return self.content.get(name) or []

    def _each(self, what: str, rows: Sequence[Any], read: Callable[[Any], Any]) -> list[Any]:
        found, lost = [], 0
        for row in rows:
            try:
                found.append(read(row))
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, shapely.GEOSException):
                lost += 1
        if lost:
            self.out.problems.append(f"{lost} {what} records of {self.path.name} left out: broken or not whole")
        return found

    def _points(self, tokens: Sequence[Any]) -> np.ndarray:
        xy = self.xy[[self.node[t] for t in tokens]]
        if not (np.isfinite(xy).all() and (np.abs(xy) < 1e6).all()):
            raise ValueError("a node without a place")
        return xy

    def _area(self, token: Any) -> BaseGeometry:
        row = self.polygon[token]
        holes = [self._points(hole["node_tokens"]) for hole in row.get("holes") or []]
        area = shapely.Polygon(self._points(row["exterior_node_tokens"]), [h for h in holes if len(h) > 2])
        area = area if area.is_valid else shapely.make_valid(area)
        if area.is_empty:
            raise ValueError("nothing inside")
        return area

    def _own_area(self, row: dict[str, Any]) -> BaseGeometry:
        return self._area(row["polygon_token"])

    def _lanes(self) -> None:
        out, paths = self.out, self.content.get("arcline_path_3")
        out.surveyed = bool(paths)
        names: list[Any] = []
        read = self._curve if paths else self._middle
        for what in ("lane", "lane_connector") if paths else ("lane",):
            for token, line, width, kind in self._each(what, self._layer(what), read):
                names.append(token)
                out.lines.append(line)
                out.widths.append(width)
                out.kinds.append(kind)
                out.connector.append(what == "lane_connector")
        if self.content.get("connectivity"):
            index = {name: i for i, name in enumerate(names)}
            following = {n: (self.content["connectivity"].get(n) or {}).get("outgoing") or [] for n in names}
            # the published maps have a few dangling links
            out.links = [(index[n], index[m]) for n in names for m in following[n] if m in index]
            self._connector_widths()

    def _connector_widths(self) -> None:
        """Those of the lanes that they join: the areas of connectors overlap each other."""
        out = self.out
        joined: dict[int, list[float]] = {}
        for a, b in out.links or ():
            for this, other in ((a, b), (b, a)):
                if out.connector[this] and not out.connector[other]:
                    joined.setdefault(this, []).append(out.widths[other])
        for i, widths in joined.items():
            out.widths[i] = float(np.mean(widths))

    def _curve(self, row: dict[str, Any]) -> tuple[Any, np.ndarray, float, LaneKind]:
        line = arcline(self.content["arcline_path_3"][row["token"]])
        if "lane_type" not in row:
            return row["token"], line, WIDTH, LaneKind.VEHICLE
        return (
            row["token"],
            line,
            self._width(self._own_area(row), line),
            _LANES.get(row["lane_type"], LaneKind.VEHICLE),
        )

    def _middle(self, row: dict[str, Any]) -> tuple[Any, np.ndarray, float, LaneKind]:
        """Versions before 1.2 give areas and the edges where traffic comes in and goes out."""
        edges = (self._points(self.line[row[f"{end}_edge_line_token"]]) for end in ("from", "to"))
        area = self._own_area(row)
        line = between_edges(shapely.get_coordinates(area.exterior.normalize())[:-1], *edges)
        return row["token"], line, self._width(area, line), _LANES.get(row.get("lane_type"), LaneKind.VEHICLE)

    @staticmethod
    def _width(area: BaseGeometry, line: np.ndarray) -> float:
        return float(np.clip(area.area / np.hypot(*np.diff(line, axis=0).T).sum(), 2.0, 6.0))

    def _divider(self, row: dict[str, Any]) -> list[Painted]:
        """Stretches of one type; a segment starts at its node and runs to the next."""
        segments = row["lane_divider_segments"]
        nodes = self._points([s["node_token"] for s in segments])
        types = [_MARKINGS.get(s["segment_type"]) for s in segments[:-1]]
        pieces, start = [], 0
        for i in range(1, len(types) + 1):
            if i == len(types) or types[i] != types[start]:
                if types[start] is not None:
                    pieces.append((nodes[start : i + 1], types[start]))
                start = i
        return pieces

    @staticmethod
    def _long_axis(area: BaseGeometry) -> np.ndarray:
        """Middle line (2, 2) along the longer side of a stop area."""
        corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(area))[:4]
        if len(corners) < 4:
            return corners[:0]
        if np.hypot(*(corners[1] - corners[0])) > np.hypot(*(corners[2] - corners[1])):
            corners = np.roll(corners, 1, axis=0)
        return np.stack([corners[0] + corners[1], corners[2] + corners[3]]) / 2
