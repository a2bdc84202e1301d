"""Recorded road users as tracks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drivesim import loading
from drivesim.types import DT, Kind, Vehicle

from .datasets import DataSet
from .record import Record, Recorded

_TYPES = {
    "VEHICLE": Kind.CAR,
    "PEDESTRIAN": Kind.PEDESTRIAN,
    "CYCLIST": Kind.BICYCLE,
    "TRAFFIC_CONE": Kind.CONE,
    "TRAFFIC_BARRIER": Kind.BARRIER,
}  # OTHER, TRAFFIC_OBJECT, BUILDING, UNSET and what MetaDrive may add later are objects

# nuScenes files carry the data set's own categories beside MetaDrive's coarse types
_CATEGORIES = {
    "human": Kind.PEDESTRIAN,
    "animal": Kind.ANIMAL,
    "vehicle.emergency.ambulance": Kind.TRUCK,
    "vehicle.truck": Kind.TRUCK,
    "vehicle.bus": Kind.BUS,
    "vehicle.trailer": Kind.TRAILER,
    "vehicle.construction": Kind.CONSTRUCTION,
    "vehicle.motorcycle": Kind.MOTORCYCLE,
    "vehicle.bicycle": Kind.BICYCLE,
    "vehicle": Kind.CAR,
    "movable_object.trafficcone": Kind.CONE,
    "movable_object.barrier": Kind.BARRIER,
    "movable_object": Kind.OBJECT,
}

# length, width, height where a file has no sizes: medians of the three Waymo and seven nuScenes sample files, rounded
_TYPICAL = {
    Kind.CAR: (4.7, 2.0, 1.7),
    Kind.PEDESTRIAN: (0.8, 0.7, 1.75),
    Kind.BICYCLE: (1.8, 0.7, 1.6),
    Kind.CONE: (0.4, 0.4, 1.0),
    Kind.BARRIER: (0.6, 2.5, 1.0),
}
_TYPICAL_OBJECT = (1.0, 1.0, 1.0)

LARGEST = 60.0  # [m]

KEY = 5
"""The nuScenes converter draws straight lines between key frames, KEY steps apart."""


def kind_of(track: Recorded) -> Kind:
    if track.word in Kind.__members__:  # as drivesim writes it
        return Kind[track.word]
    parts = track.word.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    found = next((_CATEGORIES[name] for name in names if name in _CATEGORIES), None)
    return found if found is not None else _TYPES.get(track.type, Kind.OBJECT)


def size_of(track: Recorded, kind: Kind) -> tuple[np.ndarray, bool]:
    """Length, width, height (3,), and whether all three stood in the file."""
    typical = np.array(_TYPICAL.get(kind, _TYPICAL_OBJECT))
    sound = (track.size > 0.05) & (track.size < LARGEST)
    return np.where(sound, track.size, typical), bool(sound.all())


def vehicle_of(record: Record, dataset: DataSet) -> tuple[Vehicle, str]:
    """The ego's body, and what was mended of its size, "" for nothing.

    The nuScenes converter writes the ego's size, which it has as (length, width), as if it were (width, length) like
    everybody else's: a nuScenes ego that is wider than long has them swapped.
    """
    length, width, height = (float(x) for x in size_of(record.tracks[record.ego], Kind.CAR)[0])
    mended = ""
    if dataset.name == "nuscenes" and width > length:
        length, width = width, length
        mended = "the converter swapped the ego's length and width; swapped back"
    stated = _stated_vehicle(record, length, width, height)
    if stated is not None:
        return stated, mended
    known = dataset.vehicle
    if known is not None and (abs(known.length - length) < 0.1 or dataset.name == "argoverse2"):
        return known, mended
    return loading.vehicle_of(length, width, height), mended


def _stated_vehicle(record: Record, length: float, width: float, height: float) -> Vehicle | None:
    """From `ego_vehicle_parameters`, which nuPlan files and those of drivesim have."""
    about = record.metadata.get("ego_vehicle_parameters")
    if not isinstance(about, dict):
        return None
    numbers = {k: float(v) for k, v in about.items() if isinstance(v, int | float | np.integer | np.floating)}
    wheelbase = numbers.get("wheel_base", 0.0)
    axle = numbers.get("rear_axle_to_center", numbers.get("length", 0.0) / 2 - numbers.get("rear_length", np.nan))
    if not (0.5 < wheelbase < 10.0 and abs(axle) < 10.0):
        return None
    logged = {"length": length, "width": width, "height": height}
    size = [numbers[k] if abs(numbers.get(k, np.inf) - x) < 0.1 else x for k, x in logged.items()]
    return Vehicle(*size, wheelbase, axle)


@dataclass(frozen=True, eq=False)
class World:
    """Where the scenario's world lies in the file."""

    origin: np.ndarray  # (3,) the ego's first rear-axle pose on the ground
    first: int  # row of the file's steps that is step 0
    last: int  # the last row that is used
    climbs: bool  # whether the file's heights are real; else everybody stands on the ground
    exact: bool  # whether poses and velocities are taken as they are
    ground: Callable[[np.ndarray], np.ndarray]  # world xy (n, 2) -> height (n,)


def stretch(track: Recorded) -> tuple[int, int]:
    """First and last row of the longest stretch without a gap."""
    parts = np.split(track.row, np.flatnonzero(np.diff(track.row) > 1) + 1)
    longest = max(parts, key=len)
    return int(longest[0]), int(longest[-1])


def track_of(
    name: str, track: Recorded, record: Record, world: World, ego: Vehicle | None, shift: float
) -> tuple[loading.Track, bool] | None:
    """A Track and whether its size stood in the file; `ego` is given for the ego alone, whose box centre lies
    `shift` metres ahead of the logged position. None outside the world's time."""
    kind = kind_of(track)
    size, known = size_of(track, kind)
    if ego is not None:
        kind, size = Kind.CAR, np.array([ego.length, ego.width, ego.height])
    keep = (track.row >= world.first) & (track.row <= world.last)
    if not keep.any():
        return None
    time = record.time[track.row[keep]] - record.time[world.first]
    yaw, place = track.heading[keep], track.position[keep] - world.origin
    velocity, through = (None if track.velocity is None else track.velocity[keep]), False
    if not world.exact:
        place, yaw, through = _through_key_frames(time, place, yaw, track.row[keep])
        velocity = None if through or velocity is None else _logged(velocity, place, time)
    place = place + shift * np.column_stack([np.cos(yaw), np.sin(yaw), np.zeros(len(yaw))])
    place[:, 2] = place[:, 2] - size[2] / 2 if world.climbs else world.ground(place[:, :2])
    lean = [np.zeros(len(yaw)) if x is None or through else x[keep] for x in (track.pitch, track.roll)]
    return loading.Track(name, kind, size, time, place, yaw, *lean, velocity), known


def _logged(velocity: np.ndarray, place: np.ndarray, time: np.ndarray) -> np.ndarray | None:
    """Logged velocities (n, 2), None where they are raw differences of the positions or do not fit the motion."""
    if len(time) < 3:
        return velocity
    moved = np.diff(place[:, :2], axis=0) / np.diff(time)[:, None]
    off = np.hypot(*(velocity[:-1] - moved).T)
    near = np.diff(time) < 0.25
    if (
        not near.any()
        or np.median(off[near]) < 1e-4
        or np.median(off[near]) > 1.0 + 0.3 * np.median(np.hypot(*moved.T))
    ):
        return None
    return velocity


def _through_key_frames(
    time: np.ndarray, place: np.ndarray, yaw: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Poses on a spline through the key frames, where the file holds straight lines between them.

    Straight lines would jerk at each key frame and cut corners by decimetres; a modified Akima spline runs through
    the same poses, does not overshoot, and keeps still what stands still.
    """
    from scipy.interpolate import Akima1DInterpolator

    yaw = np.unwrap(yaw)
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(row) > 1) + 1, [len(row)]])
    place, yaw, any_line = place.copy(), yaw.copy(), False
    for a, b in zip(cuts[:-1], cuts[1:], strict=True):
        key = np.flatnonzero(row[a:b] % KEY == 0) + a
        if len(key) < 3:
            continue
        inner = slice(int(key[0]), int(key[-1]) + 1)
        poses = np.column_stack([place[inner], yaw[inner]])
        lines = np.column_stack([np.interp(time[inner], time[key], c[key]) for c in (*place.T, yaw)])
        bends = np.abs(np.diff(place[key, :2], n=2, axis=0)).max() > 1e-6
        if not bends or np.abs(poses - lines)[:, :3].max() > 1e-6:
            continue
        bent = Akima1DInterpolator(time[key], np.column_stack([place[key], yaw[key]]), method="makima")(time[inner])
        place[inner], yaw[inner], any_line = bent[:, :3], bent[:, 3], True
    return place, yaw, any_line


def disagreement(tracks: list[loading.Track]) -> float:
    """Median angle [rad] between where vehicles faster than 2 m/s point and where they go; 0 where none moves."""
    off = []
    for track in tracks:
        step = np.diff(track.xyz[:, :2], axis=0)
        speed = np.hypot(*step.T) / np.maximum(np.diff(track.time), DT / 10)
        turn = np.arctan2(step[:, 1], step[:, 0]) - track.yaw[:-1]
        fast = (speed > 2.0) & (speed < 60.0)
        off.append(np.abs((turn[fast] + np.pi) % (2 * np.pi) - np.pi))
    every = np.concatenate(off) if off else np.zeros(0)
    return float(np.median(every)) if len(every) else 0.0
