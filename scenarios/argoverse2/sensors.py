"""Cameras, photos and sweeps of a log."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.geometry import apply, transform
from drivesim.loading.sanity import WIDEST
from drivesim.recordings import photo
from drivesim.types import Camera, RecordedSweep, SensorLog

from .boxes import AXLE_HEIGHT, Poses
from .files import QUATERNION, TRANSLATION, read_table, transforms
from .logs import NAME

# Where `up_lidar` sits in the log's ego frame, for logs without calibration.
LIDAR = (1.35, 0.0, 1.64)  # [m]


def own_cameras(log: Path, height: int) -> tuple[Camera, ...]:
    """The calibrated cameras, `height` px high; () for a log without calibration."""
    intrinsics, extrinsics = (log / "calibration" / f"{n}.feather" for n in ("intrinsics", "egovehicle_SE3_sensor"))
    if not intrinsics.is_file() and not extrinsics.is_file():
        return ()
    # k1 k2 k3 stay unused: the photos are published undistorted (av2-api issue 219)
    lens = read_table(intrinsics, ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px"))
    mount = read_table(extrinsics, ("sensor_name", *QUATERNION, *TRANSLATION))
    lift = transform(torch.eye(3, dtype=torch.float64), torch.tensor([0, 0, AXLE_HEIGHT], dtype=torch.float64))
    place = dict(zip(mount["sensor_name"], lift @ transforms(mount, extrinsics), strict=True))
    cameras = []
    for i, name in enumerate(lens["sensor_name"]):
        if name not in place:
            raise InputError(f"{extrinsics}: has no row for the camera {name}")
        fx, fy, cx, cy = (float(lens[k][i]) for k in ("fx_px", "fy_px", "cx_px", "cy_px"))
        wide, tall = (int(lens[k][i]) for k in ("width_px", "height_px"))
        if not (1 <= wide <= WIDEST and 1 <= tall <= WIDEST and fx > 0 and fy > 0 and NAME.fullmatch(name)):
            raise InputError(f"{intrinsics}: row {i} describes no camera ({name[:40]!r}, {wide} x {tall} px)")
        matrix = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
        native = Camera(name, wide, tall, matrix, place[name])
        cameras.append(native.resized(round(native.width * height / native.height), height))
    return tuple(cameras)


def sensors_of(log: Path, cameras: Sequence[Camera], poses: Poses, origin: Tensor, zero: int) -> SensorLog | None:
    """Handles on photos and sweeps with their poses in the world; None where the log has neither."""
    images = {}
    for camera in cameras:
        files, world_from_ego = _recorded(log / "sensors" / "cameras" / camera.name, "*.jpg", poses, origin)
        if files:
            images[camera.name] = tuple(
                photo(path, camera, (int(path.stem) - zero) * 1e-9, pose @ camera.ego_from_camera)
                for path, pose in zip(files, world_from_ego, strict=True)
            )
    files, world_from_ego = _recorded(log / "sensors" / "lidar", "*.feather", poses, origin)
    head = torch.tensor([*LIDAR[:2], LIDAR[2] + AXLE_HEIGHT], dtype=torch.float64)
    sweeps = tuple(
        RecordedSweep((int(path.stem) - zero) * 1e-9, apply(pose, head[None])[0], partial(_read_sweep, path, pose))
        for path, pose in zip(files, world_from_ego, strict=True)
    )
    return SensorLog(images, sweeps) if images or sweeps else None


def _recorded(folder: Path, pattern: str, poses: Poses, origin: Tensor) -> tuple[list[Path], Tensor]:
    """Files named by their time stamp, ordered by time, and world_from_ego (n, 4, 4) at those."""
    files = sorted((p for p in folder.glob(pattern) if p.stem.isdecimal()), key=lambda p: int(p.stem))
    files = [p for p in files if poses.time[0] <= int(p.stem) <= poses.time[-1]]
    world_from_ego = poses.at(np.array([int(p.stem) for p in files], dtype=np.int64)).clone()
    world_from_ego[:, :3, 3] -= origin
    return files, world_from_ego


def _read_sweep(path: Path, world_from_ego: Tensor) -> Tensor:
    """Points (N, 3) float32, world; the file's are in the log's ego frame at its time stamp."""
    table = read_table(path, ("x", "y", "z"))
    points = torch.from_numpy(np.column_stack([table[c].astype(np.float64) for c in ("x", "y", "z")]))
    points[:, 2] += AXLE_HEIGHT
    return apply(world_from_ego, points).float()
