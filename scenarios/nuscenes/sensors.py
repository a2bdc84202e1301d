"""Ego poses, cameras, photos and sweeps of a scene."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drivesim import rigs
from drivesim.errors import InputError
from drivesim.geometry import apply
from drivesim.recordings import photo
from drivesim.types import Camera, RecordedSweep, SensorLog

from .rows import Recorded
from .world import World, matrices

LIDAR = "LIDAR_TOP"
NATIVE = (1600, 900)  # [px] of all six cameras
RANGE = 300.0  # [m]; the lidar sees up to 100, what is farther is no point


def ego_poses(recorded: Mapping[str, Recorded], zero: int) -> tuple[np.ndarray, Tensor]:
    """Times (n,) [s] and map_from_ego (n, 4, 4) where the lidar, or else another sensor, fired.

    One sensor's poses are evenly spaced; all of them together come in bursts that would roughen what is fitted.
    """
    if not recorded:
        raise InputError("sample_data.json lists no sensor data for it, so there are no ego poses")
    chosen = recorded.get(LIDAR) or max(recorded.values(), key=lambda r: len(r.time))
    stamps, first = np.unique(chosen.time, return_index=True)
    return (stamps - zero) * 1e-6, matrices(chosen.ego[first])


def cameras_of(recorded: Mapping[str, Recorded], width: int, height: int) -> tuple[tuple[Camera, ...], list[str]]:
    """The scene's own cameras at `width` x `height`, clockwise from the front, and what was wrong with them."""
    around = [camera.name for camera in rigs.rig("nuscenes")]
    seen = [name for name in recorded if name.startswith("CAM")]
    blind = [name for name in seen if not _can_see(recorded[name].lens[0])]
    names = [n for n in around if n in seen and n not in blind] + [n for n in seen if n not in (*around, *blind)]
    problems = [f"{name} has no intrinsics in calibrated_sensor.json and is left out" for name in blind]
    if not names:
        return rigs.rig("nuscenes", width, height), [*problems, "no camera in the tables: the nuScenes rig is used"]
    return tuple(_camera(recorded[name], 0, width, height) for name in names), problems


def _can_see(lens: np.ndarray) -> bool:
    return bool(np.isfinite(lens).all() and (np.abs(lens) < 1e6).all() and lens[0] > 0 and lens[4] > 0)


def _camera(sensor: Recorded, row: int, width: int, height: int) -> Camera:
    intrinsics = torch.from_numpy(sensor.lens[row].reshape(3, 3).copy())
    native = sensor.size[row].tolist() if (sensor.size[row] > 0).all() else NATIVE
    return Camera(sensor.channel, *native, intrinsics, matrices(sensor.mount[row : row + 1])[0]).resized(width, height)


def files_there(root: Path, files: Sequence[str]) -> np.ndarray:
    """Bytes (n,) of files below a folder; -1 for those that are not there or lie elsewhere."""
    return np.array([_size(f"{root}/{name}") if _below(name) else -1 for name in files], dtype=np.int64)


def _below(name: str) -> bool:
    return not name.startswith("/") and ".." not in name and "\0" not in name


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return -1


def sensor_log(
    recorded: Mapping[str, Recorded], root: Path, cameras: Sequence[Camera], world: World
) -> tuple[SensorLog | None, str, list[str]]:
    """Handles on the files that are there, how many those are, and what is missing or broken."""
    images, sweeps, problems, named, broken = {}, [], [], 0, 0
    for camera in cameras:
        sensor = recorded.get(camera.name)
        if sensor is None:
            continue
        there = np.flatnonzero(files_there(root, sensor.files) > 0)
        named += len(sensor.files)
        own = {int(c): _camera(sensor, int(i), camera.width, camera.height)
               for c, i in zip(*np.unique(sensor.calibration, return_index=True), strict=True)}  # fmt: skip
        time, poses = _world_from_sensor(sensor, there, world)
        handles = [photo(root / sensor.files[i], own[int(sensor.calibration[i])], float(t), pose)
                   for i, t, pose in zip(there, time, poses, strict=True)]  # fmt: skip
        if handles:
            images[camera.name] = tuple(handles)
    if LIDAR in recorded:
        sensor = recorded[LIDAR]
        size, named = files_there(root, sensor.files), named + len(sensor.files)
        broken = int(((size >= 0) & ((size % 20 != 0) | (size == 0))).sum())
        there = np.flatnonzero((size > 0) & (size % 20 == 0))
        time, poses = _world_from_sensor(sensor, there, world)
        sweeps = [RecordedSweep(float(t), pose[:3, 3], partial(read_sweep, root / sensor.files[i], pose))
                  for i, t, pose in zip(there, time, poses, strict=True)]  # fmt: skip
    count = sum(map(len, images.values())) + len(sweeps)
    if named - count - broken:
        problems.append(f"{named - count - broken} of {named} photos and sweeps that the tables name are not there")
    if broken:
        problems.append(f"{broken} lidar files are cut short and left out; download them again")
    return (SensorLog(images, tuple(sweeps)) if count else None), f"sensor files:{count} of {named}", problems


def _world_from_sensor(sensor: Recorded, rows: np.ndarray, world: World) -> tuple[np.ndarray, Tensor]:
    """When rows were recorded (n,) [s] and where the sensor was then (n, 4, 4)."""
    time = world.seconds(sensor.time[rows])
    return time, world.place(matrices(sensor.ego[rows]), time) @ matrices(sensor.mount[rows])


def read_sweep(path: Path, world_from_sensor: Tensor) -> Tensor:
    """Points (N, 3) float32, world, of a .pcd.bin file: rows of x y z intensity ring."""
    try:
        values = np.fromfile(path, dtype=np.float32)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); restore it or load the scene again") from None
    if len(values) % 5:
        raise InputError(f"{path}: holds {len(values)} numbers, not rows of five; download it again")
    local = torch.from_numpy(values.reshape(-1, 5)[:, :3].astype(np.float64))
    local = local[(local.norm(dim=1) < RANGE)]  # NaN is not
    if not len(local):
        raise InputError(f"{path}: holds no point within {RANGE:.0f} m; download it again")
    return apply(world_from_sensor, local).float()
