"""What is known of the data sets that are published in this layout, and does not stand in the files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivesim.types import Place, Vehicle

from .record import text

# The Renault Zoe (maker's data; a rear overhang of 0.66 m is assumed for the box centre).
ZOE = Vehicle(length=4.084, width=1.730, height=1.562, wheelbase=2.588, rear_axle_to_center=1.38)

# The Ford Fusion of Argoverse: the ego box published for scenario mining, the maker's wheelbase, a rear overhang of
# 1.06 m assumed. The converter gives every vehicle the same made-up size.
FUSION = Vehicle(length=4.877, width=2.0, height=1.473, wheelbase=2.85, rear_axle_to_center=1.38)

PACIFICA = Vehicle()


@dataclass(frozen=True)
class DataSet:
    """The data set that a file was converted from."""

    name: str
    rig: str = "nuscenes"
    licence: str = "not stated in the file; ask whoever made it"
    vehicle: Vehicle | None = None  # the ego's where the file does not say it; None takes the logged box
    at_rear_axle: bool = False  # whether the ego's position is its rear axle; else its box centre, as everybody's
    limits: bool = True  # whether speed limits are the map's; some converters write one number for all lanes
    connectors: bool = True  # whether `interpolating` marks lanes in intersections
    exact: bool = False  # whether it was written by this project: nothing in it is to be mended


_KNOWN = (
    DataSet(
        "nuscenes",
        "nuscenes",
        "CC BY-NC-SA 4.0 and the nuScenes terms of use (non-commercial), nuscenes.org/terms-of-use",
        ZOE,
        at_rear_axle=True,  # the table `ego_pose` as it is
        limits=False,
    ),
    DataSet("waymo", "waymo", "Waymo Dataset License Agreement for Non-Commercial Use, waymo.com/open/terms"),
    DataSet(
        "nuplan",
        "nuscenes",
        "CC BY-NC-SA 4.0 and the nuPlan terms of use (non-commercial), nuscenes.org/terms-of-use",
        PACIFICA,
    ),
    DataSet(
        "argoverse2",
        "argoverse2",
        "CC BY-NC-SA 4.0 (Argoverse 2, argoverse.org/about.html#terms-of-use)",
        FUSION,
        limits=False,
        connectors=False,
    ),
    DataSet("metadrive", licence="Apache-2.0 (made by the MetaDrive simulator)"),
    DataSet("drivesim", exact=True),
)

_ALIASES = {"av2": "argoverse2", "argoverse": "argoverse2", "pg": "metadrive"}


def dataset_of(metadata: Mapping[str, Any], version: str) -> DataSet:
    """By the name in the metadata, else by the version, which converters make of it; a licence stated there counts."""
    words = [text(metadata.get(key)) for key in ("dataset", "coordinate")] + [version]
    found = DataSet(words[0] or "unknown")
    for word in (word.lower() for word in words):
        names = [*(d.name for d in _KNOWN), *_ALIASES]
        name = next((n for n in names if word == n or (len(n) > 3 and word.startswith(n))), None)
        if name:
            found = next(d for d in _KNOWN if d.name == _ALIASES.get(name, name))
            break
    licence = metadata.get("licence", metadata.get("license"))
    return replace(found, licence=licence[:500]) if isinstance(licence, str) and licence else found


EARTH = 6378137.0
"""Radius that the nuScenes devkit uses for its maps [m]."""

# South-west corners of the nuScenes maps (devkit, scripts/export_poses.py) [deg].
_CORNERS = {
    "boston-seaport": (42.336849169438615, -71.05785369873047),
    "singapore-onenorth": (1.2882100868743724, 103.78475189208984),
    "singapore-hollandvillage": (1.2993652317780957, 103.78217697143555),
    "singapore-queenstown": (1.2782562240223188, 103.76741409301758),
}


def place_of(dataset: DataSet, metadata: Mapping[str, Any], x: float, y: float) -> Place:
    """Where a point in the file's coordinates lies; known of nuScenes, unless the file was moved to the ego."""
    name = text(metadata.get("map"))
    north, east = metadata.get("latitude"), metadata.get("longitude")
    if dataset.exact and isinstance(north, float) and isinstance(east, float):
        return Place(name, north, east)
    corner = _CORNERS.get(name) if dataset.name == "nuscenes" else None
    if corner is None or math.hypot(x, y) < 1.0:
        return Place(name)
    south, bearing = math.radians(corner[0]), math.atan2(x, y)
    far = math.hypot(x, y) / EARTH
    latitude = math.asin(math.sin(south) * math.cos(far) + math.cos(south) * math.sin(far) * math.cos(bearing))
    east = math.atan2(
        math.sin(bearing) * math.sin(far) * math.cos(south), math.cos(far) - math.sin(south) * math.sin(latitude)
    )
    return Place(name, math.degrees(latitude), corner[1] + math.degrees(east))
