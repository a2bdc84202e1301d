"""Motion-forecasting scenarios (https://argoverse.github.io/user-guide/datasets/motion_forecasting.html)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from drivesim import loading
from drivesim.errors import InputError, NotDrivable
from drivesim.loading import Track
from drivesim.roadmap import RoadMap
from drivesim.types import DT, Ground, Kind, Map

from .boxes import VEHICLE
from .files import read_parquet
from .roads import VectorMap, read_archive

EGO = "AV"
FARTHEST, FASTEST = 20_000.0, 100.0
"""From the ego's start [m], and of anybody [m/s]."""
REACH = 1.4
"""To either side [m] over which the ground tilts who stands on it: half a wheelbase."""
LAST = 10_000
"""Time steps beyond this are none; scenarios have 110."""

# The format has no sizes. Those of vehicles, buses, pedestrians, static and riderless ones are medians of the boxes of
# REGULAR_VEHICLE, BUS, PEDESTRIAN, BOLLARD and BICYCLE in three sensor logs of Argoverse 2, heights with their riders
# and the rest estimated.
_KINDS = {
    "vehicle": (Kind.CAR, (4.03, 1.87, 1.61)),
    "bus": (Kind.BUS, (11.58, 2.94, 3.0)),
    "motorcyclist": (Kind.MOTORCYCLE, (2.0, 0.8, 1.7)),
    "cyclist": (Kind.BICYCLE, (1.75, 0.65, 1.75)),
    "riderless_bicycle": (Kind.BICYCLE, (1.62, 0.53, 1.2)),
    "pedestrian": (Kind.PEDESTRIAN, (0.67, 0.72, 1.78)),
    "construction": (Kind.CONE, (0.4, 0.4, 0.8)),
    "static": (Kind.OBJECT, (0.43, 0.34, 0.95)),
}
_OTHER = (Kind.OBJECT, (0.5, 0.5, 1.0))  # background, unknown and what the format may add

_NUMBERS = ("timestep", "position_x", "position_y", "heading", "velocity_x", "velocity_y")


@dataclass(frozen=True, eq=False)
class Forecast:
    """A scenario in the world frame."""

    tracks: list[Track]  # the ego's first
    steps: int
    map: Map
    origin: np.ndarray  # (3,) of the world in the city frame
    city: str
    focal: str  # id of the track that is to be predicted
    problems: list[str]


def read_forecast(scenario: Path, archive: Path) -> Forecast:
    table = read_parquet(scenario, ("track_id", "object_type", "city", "focal_track_id", *_NUMBERS))
    names = np.array([str(x) for x in table["track_id"]])
    try:
        rows = np.column_stack([np.asarray(table[c], dtype=np.float64) for c in _NUMBERS])
    except (TypeError, ValueError) as error:
        raise InputError(f"{scenario}: a column does not hold numbers ({error}); download it again") from None
    rows, order = _ordered(rows, names)
    names, kinds = names[order], np.array([str(x) for x in table["object_type"]])[order]
    ego = rows[names == EGO]
    if len(ego) < 2:
        raise NotDrivable(f"{scenario}: has no track '{EGO}' of the ego")
    if not _sound(ego, ego[0]) or ego[:, 0].min() < 0:
        raise InputError(f"{scenario}: the ego's track holds values that are no poses; download it again")
    first, steps = ego[0, 0], int(ego[-1, 0] - ego[0, 0]) + 1
    level = np.array([*ego[0, 1:3], 0.0])  # the AV's positions are those of its rear axle: they turn about it
    vector = read_archive(archive, level)
    ground = loading.ground_from_points(vector.heights)
    origin = level + [0.0, 0.0, float(RoadMap.of(vector.on(ground)).ground(torch.zeros(2)))]
    map = _lifted(vector, ground, float(origin[2]))
    problems: list[str] = []
    tracks = [_ego_track(ego, first, origin)]
    for name in dict.fromkeys(names.tolist()):
        mine = names == name
        if name in (EGO, "ego"):
            continue
        if not _sound(rows[mine], ego[0]):
            problems.append(f"track {name} left out: it holds values that are no poses")
            continue
        tracks.append(_track(name, kinds[mine][0], rows[mine], first, origin))
    tracks = _standing(tracks, map)
    return Forecast(tracks, steps, map, origin, _first(table["city"]), _first(table["focal_track_id"]), problems)


def _first(column: np.ndarray) -> str:
    return str(column[0]) if len(column) and column[0] is not None else ""


def _ordered(rows: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by track and time, the first of several at one time; and where they were."""
    order = np.lexsort((rows[:, 0], names))
    kept, named = rows[order], names[order]
    fresh = np.concatenate([[True], (np.diff(kept[:, 0]) != 0) | (named[1:] != named[:-1])])[: len(kept)]
    return kept[fresh], order[fresh]


def _sound(rows: np.ndarray, start: np.ndarray) -> bool:
    """Whether poses are numbers, and within a city and a scenario of the ego's `start`."""
    if not np.isfinite(rows[:, :4]).all() or np.abs(start[1:3]).max() > 1e7:
        return False
    near = np.abs(rows[:, 1:3] - start[1:3]).max() < FARTHEST
    return bool(near and np.abs(rows[:, 0]).max() <= LAST and not (np.abs(rows[:, 4:]) > FASTEST).any())


def _lifted(vector: VectorMap, ground: Ground, z: float) -> Map:
    """The map with height `z` taken for zero."""
    down = torch.tensor([0.0, 0.0, z])
    lanes = vector.lanes.replace(center=vector.lanes.center.replace(points=vector.lanes.center.points - down))
    markings = vector.markings.replace(points=vector.markings.points - down)
    return VectorMap(lanes, vector.area, vector.crosswalks, markings, vector.heights).on(ground.replace(z=ground.z - z))


def _track(name: str, kind: str, rows: np.ndarray, first: float, origin: np.ndarray) -> Track:
    what, size = _KINDS.get(kind, _OTHER)
    velocity = rows[:, 4:] if np.isfinite(rows[:, 4:]).all() else None
    xyz = np.column_stack([rows[:, 1:3] - origin[:2], np.zeros(len(rows))])
    return Track.flat(name, what, np.array(size), (rows[:, 0] - first) * DT, xyz, rows[:, 3], velocity)


def _ego_track(rows: np.ndarray, first: float, origin: np.ndarray) -> Track:
    yaw, time = np.unwrap(rows[:, 3]), (rows[:, 0] - first) * DT
    ahead, left = (np.column_stack([np.cos(yaw + a), np.sin(yaw + a)]) for a in (0.0, np.pi / 2))
    center = rows[:, 1:3] - origin[:2] + VEHICLE.rear_axle_to_center * ahead
    velocity = rows[:, 4:] + VEHICLE.rear_axle_to_center * np.gradient(yaw, time)[:, None] * left
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    known = velocity if np.isfinite(velocity).all() else None
    return Track.flat("ego", Kind.CAR, size, time, np.column_stack([center, np.zeros(len(rows))]), yaw, known)


def _standing(tracks: Sequence[Track], map: Map) -> list[Track]:
    """The tracks on the ground, as tilted as that is: asked once for all, which is what takes the time."""
    place = torch.from_numpy(np.concatenate([t.xyz[:, :2] for t in tracks])).float()
    look = torch.from_numpy(np.concatenate([t.yaw for t in tracks])).float()
    road = RoadMap.of(map)
    ends = np.cumsum([len(t.time) for t in tracks])[:-1]
    z, pitch, roll = (
        np.split(x.double().numpy(), ends) for x in (road.ground(place), *road.slope(place, look, reach=REACH))
    )
    return [
        replace(t, xyz=np.column_stack([t.xyz[:, :2], z[i]]), pitch=pitch[i], roll=roll[i])
        for i, t in enumerate(tracks)
    ]
