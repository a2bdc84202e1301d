"""Key frames at 2 Hz as tracks that move smoothly at 10 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import euler_from_rotation
from drivesim.loading import Track
from drivesim.types import DT, Kind, Vehicle

from .rows import Boxes
from .world import World, matrices

# The Renault Zoe of the fleet (maker's data; a rear overhang of 0.66 m is assumed for the box centre).
VEHICLE = Vehicle(length=4.084, width=1.730, height=1.562, wheelbase=2.588, rear_axle_to_center=1.38)

MAX_GAP = 1.1  # [s]; one missing key frame is bridged, two are not

REACH = 400.0  # [m] from the ego; beyond, no lidar and no annotator sees anything

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


def ego_track(world: World, time: np.ndarray, map_from_ego: Tensor) -> Track:
    """From poses (n, 4, 4) of the rear axle at times (n,) [s]."""
    xy, z, yaw, pitch, roll = VEHICLE.box_from_ego(world.place(map_from_ego, time))
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    xyz = torch.cat([xy, z[:, None]], -1).numpy()
    return Track("ego", Kind.CAR, size, time, xyz, yaw.numpy(), pitch.numpy(), roll.numpy())


def agent_tracks(boxes: Boxes, world: World, ego: Track) -> tuple[list[Track], list[str]]:
    """All annotated road users of the key frames, by instance token, and what was left out."""
    time = world.seconds(boxes.time)
    size = boxes.size[:, [1, 0, 2]]  # w l h -> l w h
    box = world.place(matrices(boxes.pose), time)
    bottom = (box[:, :3, 3] - box[:, :3, 2] * torch.from_numpy(size[:, 2:] / 2)).numpy()
    yaw, pitch, roll = (angle.numpy() for angle in euler_from_rotation(box[:, :3, :3]))
    eye = np.column_stack([np.interp(time, ego.time, ego.xyz[:, i]) for i in range(2)])
    near = np.hypot(*(bottom[:, :2] - eye).T) < REACH
    problems = [f"{(~near).sum()} boxes left out that lie more than {REACH:.0f} m from the ego"] * bool((~near).any())
    tracks = []
    for thing, (name, category) in enumerate(zip(boxes.names, boxes.categories, strict=True)):
        rows = slice(*np.searchsorted(boxes.thing, [thing, thing + 1]))
        mine = np.arange(rows.start, rows.stop)[near[rows]]
        if not len(mine):
            continue
        mine = mine[np.concatenate([[True], np.diff(time[mine]) > 0])]
        extent = np.median(size[mine], axis=0)
        tracks.append(
            Track(name, kind_of(category), extent, time[mine], bottom[mine], yaw[mine], pitch[mine], roll[mine])
        )
    return sorted(tracks, key=lambda t: t.id), problems


def lifted(track: Track, world: World) -> Track:
    """A track of the flat world at its height."""
    return replace(track, xyz=track.xyz + np.outer(world.lift(track.time), [0.0, 0.0, 1.0]))


def smoothed(tracks: Sequence[Track]) -> list[Track]:
    """Tracks with the steps of the 10 Hz grid filled in between their key frames; those of the same times together."""
    together: dict[bytes, list[int]] = {}
    for i, track in enumerate(tracks):
        together.setdefault(track.time.tobytes(), []).append(i)
    out = list(tracks)
    for members in together.values():
        poses = [np.column_stack([t.xyz, t.yaw, t.pitch, t.roll]) for t in (tracks[i] for i in members)]
        time, rows = smooth(tracks[members[0]].time, np.stack(poses, 1))
        for k, i in enumerate(members):
            xyz, yaw, pitch, roll = rows[:, k, :3], *rows[:, k, 3:].T
            out[i] = replace(tracks[i], time=time, xyz=xyz, yaw=yaw, pitch=pitch, roll=roll)
    return out


def smooth(time: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses (n, ..., 6) x y z yaw pitch roll with the steps of the grid filled in.

    Straight lines between key frames half a second apart would jerk at each of them and cut corners by decimetres; a
    modified Akima spline runs through the same poses, does not overshoot, and keeps still what stands still.
    """
    from scipy.interpolate import Akima1DInterpolator

    poses = np.concatenate([poses[..., :3], np.unwrap(poses[..., 3:], axis=0)], -1)
    flat = poses.reshape(len(poses), -1)
    cuts = np.flatnonzero(np.diff(time) > MAX_GAP) + 1
    times, rows = [], []
    for t, p in zip(np.split(time, cuts), np.split(flat, cuts), strict=True):
        grid = np.arange(np.ceil(t[0] / DT - 1e-6), np.floor(t[-1] / DT + 1e-6) + 1) * DT
        inside = grid[(grid > t[0]) & (grid < t[-1])]
        full = np.union1d(t, inside[np.abs(inside[:, None] - t).min(1) > 1e-6] if len(inside) else inside)
        times.append(full)
        rows.append(Akima1DInterpolator(t, p, method="makima")(full) if len(t) > 2 else _linear(full, t, p))
    out = np.concatenate(rows)
    return np.concatenate(times), out.reshape(len(out), *poses.shape[1:])


def _linear(at: np.ndarray, time: np.ndarray, poses: np.ndarray) -> np.ndarray:
    return np.column_stack([np.interp(at, time, column) for column in poses.T])
