"""Key frames at 2 Hz as tracks that move smoothly at 10 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import euler_from_rotation
from drivesim.loading import Track
from drivesim.types import DT, Kind, Vehicle

from .world import World, poses_of

# The Renault Zoe of the fleet (maker's data; a rear overhang of 0.66 m is assumed for the box centre).
VEHICLE = Vehicle(length=4.084, width=1.730, height=1.562, wheelbase=2.588, rear_axle_to_center=1.38)

MAX_GAP = 1.1  # [s]; one missing key frame is bridged, two are not

_KINDS = {
    "human": Kind.PEDESTRIAN,  # people with what they push or stand on
    "animal": Kind.ANIMAL,
    "vehicle.car": Kind.CAR,
    "vehicle.emergency.police": Kind.CAR,
    "vehicle.emergency.ambulance": Kind.TRUCK,
    "vehicle.truck": Kind.TRUCK,
    "vehicle.bus": Kind.BUS,
    "vehicle.trailer": Kind.TRAILER,
    "vehicle.construction": Kind.CONSTRUCTION,
    "vehicle.motorcycle": Kind.MOTORCYCLE,
    "vehicle.bicycle": Kind.BICYCLE,
    "movable_object.trafficcone": Kind.CONE,
    "movable_object.barrier": Kind.BARRIER,
}  # debris, racks, things on wheels and what the format may add later are objects


def kind_of(category: str) -> Kind:
    parts = category.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((_KINDS[name] for name in names if name in _KINDS), Kind.OBJECT)


def ego_track(world: World, stamps: np.ndarray, map_from_ego: Tensor) -> Track:
    """From poses (n, 4, 4) of the rear axle at time stamps (n,) [us]."""
    time = world.seconds(stamps)
    xy, z, yaw, pitch, roll = VEHICLE.box_from_ego(world.place(map_from_ego, time))
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    xyz = torch.cat([xy, z[:, None]], -1).numpy()
    return Track("ego", Kind.CAR, size, time, xyz, yaw.numpy(), pitch.numpy(), roll.numpy())


def agent_tracks(tables: Any, samples: Sequence[dict[str, Any]], world: World) -> list[Track]:
    """All annotated road users of the key frames, by instance token."""
    seen: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for sample in samples:
        for token in sample["anns"]:
            row = tables.get("sample_annotation", token)
            seen.setdefault(row["instance_token"], []).append((sample["timestamp"], row))
    return [_agent(name, seen[name], world) for name in sorted(seen)]


def _agent(name: str, rows: list[tuple[int, dict[str, Any]]], world: World) -> Track:
    sizes = np.array([row["size"] for _, row in rows], dtype=np.float64)[:, [1, 0, 2]]  # w l h -> l w h
    time = world.seconds(np.array([stamp for stamp, _ in rows]))
    box = world.place(poses_of([row for _, row in rows], "sample_annotation"), time)
    bottom = box[:, :3, 3] - box[:, :3, 2] * torch.from_numpy(sizes[:, 2:] / 2)
    yaw, pitch, roll = (angle.numpy() for angle in euler_from_rotation(box[:, :3, :3]))
    kind = kind_of(rows[0][1]["category_name"])
    return Track(name, kind, np.median(sizes, axis=0), time, bottom.numpy(), yaw, pitch, roll)


def smoothed(track: Track) -> Track:
    """The track with the steps of the 10 Hz grid filled in between its key frames."""
    poses = np.column_stack([track.xyz, track.yaw, track.pitch, track.roll])
    time, poses = smooth(track.time, poses)
    return replace(track, time=time, xyz=poses[:, :3], yaw=poses[:, 3], pitch=poses[:, 4], roll=poses[:, 5])


def smooth(time: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses (n, 6) x y z yaw pitch roll with the steps of the grid filled in.

    Straight lines between key frames half a second apart would jerk at each of them and cut corners by decimetres; a
    modified Akima spline runs through the same poses, does not overshoot, and keeps still what stands still.
    """
    from scipy.interpolate import Akima1DInterpolator

    poses = np.column_stack([poses[:, :3], np.unwrap(poses[:, 3:], axis=0)])
    cuts = np.flatnonzero(np.diff(time) > MAX_GAP) + 1
    times, rows = [], []
    for t, p in zip(np.split(time, cuts), np.split(poses, cuts), strict=True):
        grid = np.arange(np.ceil(t[0] / DT - 1e-6), np.floor(t[-1] / DT + 1e-6) + 1) * DT
        inside = grid[(grid > t[0]) & (grid < t[-1])]
        full = np.union1d(t, inside[np.abs(inside[:, None] - t).min(1) > 1e-6] if len(inside) else inside)
        times.append(full)
        rows.append(Akima1DInterpolator(t, p, method="makima")(full) if len(t) > 2 else _linear(full, t, p))
    return np.concatenate(times), np.concatenate(rows)


def _linear(at: np.ndarray, time: np.ndarray, poses: np.ndarray) -> np.ndarray:
    return np.column_stack([np.interp(at, time, column) for column in poses.T])
