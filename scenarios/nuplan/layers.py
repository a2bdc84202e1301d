"""The layers of a map that a drive needs, around that drive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivesim.errors import InputError
from drivesim.files import open_sqlite

from .geopackage import GeoPackage, Layer
from .projection import TransverseMercator, utm

AROUND = 200.0
"""How far beyond the drive [m] the map is read."""

_LAYERS = {
    "baseline_paths": ("lane_fid", "lane_connector_fid"),
    "lanes_polygons": ("lane_fid", "lane_group_fid", "lane_index", "lane_type_fid", "speed_limit_mps"),
    "lane_connectors": (
        "exit_lane_fid", "entry_lane_fid", "intersection_fid", "speed_limit_mps", "traffic_light_stop_line_fids",
    ),
    "gen_lane_connectors_scaled_width_polygons": ("lane_connector_fid",),
    "boundaries": ("boundary_type_fid",),
    "intersections": ("intersection_type_fid",),
    "stop_polygons": ("stop_polygon_type_fid", "lane_fids", "lane_connector_fids"),
    "crosswalks": (),
    "road_segments": (),
    "lane_groups_polygons": (),
    "generic_drivable_areas": (),
    "carpark_areas": (),
}  # fmt: skip


@dataclass(frozen=True)
class Layers:
    """By name; metres in the plane of the log."""

    path: Path
    layers: dict[str, Layer]

    def __getitem__(self, name: str) -> Layer:
        return self.layers[name]


def read_layers(path: Path, drive: np.ndarray, plane: TransverseMercator | None) -> Layers:
    """What lies within AROUND metres of a drive's places (n, 2), in the plane that the map's `meta` table names, else
    in the given one."""
    with open_sqlite(path) as connection:
        plane = _plane(connection) or plane
        if plane is None:
            raise InputError(f"{path}: its table meta names no UTM zone (projectedCoordSystem, such as epsg:32611)")
        low, high = drive.min(0) - AROUND, drive.max(0) + AROUND
        metres = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        package = GeoPackage(connection, path, plane.forward, _degrees(plane, metres), metres)
        return Layers(path, {name: package.layer(name, columns) for name, columns in _LAYERS.items()})


def _plane(connection) -> TransverseMercator | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return None
    found = connection.execute("SELECT value FROM meta WHERE key = 'projectedCoordSystem'").fetchone()
    code = re.fullmatch(r"(?i)(?:epsg:)?\s*(\d{4,6})\s*", str(found[0])) if found else None
    return utm(int(code[1])) if code else None


def _degrees(plane: TransverseMercator, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """West, south, east, north of a box in the plane, by points along its border."""
    share = np.linspace(0, 1, 9)
    x, y = box[0] + share * (box[2] - box[0]), box[1] + share * (box[3] - box[1])
    rim = [(u, v) for u in x for v in y]
    lonlat = plane.inverse(np.array(rim))
    return (*lonlat.min(0).tolist(), *lonlat.max(0).tolist())
