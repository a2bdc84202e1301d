"""Ego poses, cameras, photos and sweeps of a scene."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim import rigs
from drivesim.errors import InputError
from drivesim.geometry import apply
from drivesim.recordings import photo
from drivesim.types import Camera, RecordedImage, RecordedSweep, SensorLog

from .world import World, poses_of

Rows = dict[str, list[dict[str, Any]]]
"""`sample_data` rows of one scene by channel, ordered by time."""


def recorded_rows(tables: Any, samples: Sequence[dict[str, Any]]) -> Rows:
    """What every sensor recorded at and between the key frames."""
    rows: Rows = {}
    for sample in samples:
        for channel, token in sample["data"].items():
            row = tables.get("sample_data", token)
            rows.setdefault(channel, []).append(row)
            while row["next"]:
                row = tables.get("sample_data", row["next"])
                if row["is_key_frame"]:
                    break
                rows[channel].append(row)
    return {channel: sorted(rows[channel], key=lambda r: r["timestamp"]) for channel in sorted(rows)}


def recorded_between(root: Path, first: int, last: int) -> str:
    """Time stamps [us] of the lidar files that are there, read off their names: no table need be opened."""
    folders = [p for p in (root / "samples/LIDAR_TOP", root / "sweeps/LIDAR_TOP") if p.is_dir()]
    stamps = [s for p in folders for s in _stamps(p, p.stat().st_mtime_ns) if first <= s <= last]
    return " ".join(map(str, stamps))


@lru_cache(maxsize=2)
def _stamps(folder: Path, changed: int) -> tuple[int, ...]:
    names = (name.removesuffix(".pcd.bin").split("__")[-1] for name in os.listdir(folder))
    return tuple(sorted(int(name) for name in names if name.isdigit()))


def ego_poses(tables: Any, rows: Rows) -> tuple[np.ndarray, Tensor]:
    """Time stamps (n,) [us] and map_from_ego (n, 4, 4) where the lidar, or else another sensor, fired.

    One sensor's poses are evenly spaced; all of them together come in bursts that would roughen what is fitted.
    """
    if not rows:
        raise InputError("the tables list no sensor data, so there are no ego poses")
    chosen = rows["LIDAR_TOP"] if "LIDAR_TOP" in rows else max(rows.values(), key=len)
    stamps, first = np.unique([row["timestamp"] for row in chosen], return_index=True)
    poses = [tables.get("ego_pose", chosen[i]["ego_pose_token"]) for i in first]
    return stamps, poses_of(poses, "ego_pose")


def cameras_of(tables: Any, rows: Rows, width: int, height: int) -> tuple[Camera, ...]:
    """The scene's own cameras at `width` x `height`, clockwise from the front."""
    around = [camera.name for camera in rigs.rig("nuscenes")]
    names = [name for name in around if name in rows] + [n for n in rows if n.startswith("CAM") and n not in around]
    if not names:
        raise InputError("the tables list no camera data for this scene")
    return tuple(_camera(tables, rows[name][0], width, height) for name in names)


def _camera(tables: Any, row: dict[str, Any], width: int, height: int) -> Camera:
    calibration = tables.get("calibrated_sensor", row["calibrated_sensor_token"])
    intrinsics = torch.tensor(calibration["camera_intrinsic"], dtype=torch.float64)
    if intrinsics.shape != (3, 3):
        raise InputError(f"calibrated_sensor.json: row {calibration['token']} of {row['channel']} has no intrinsics")
    mount = poses_of([calibration], "calibrated_sensor")[0]
    return Camera(row["channel"], row["width"], row["height"], intrinsics, mount).resized(width, height)


def sensor_log(
    tables: Any, root: Path, rows: Rows, cameras: Sequence[Camera], world: World
) -> tuple[SensorLog | None, str]:
    """Handles on the files that are there, and how many of those that the tables name."""
    images, sweeps = {}, []
    for camera in cameras:
        there = [row for row in rows[camera.name] if (root / row["filename"]).is_file()]
        if there:
            images[camera.name] = tuple(_photo(tables, root, row, camera, world) for row in there)
    for row in rows.get("LIDAR_TOP", []):
        path = root / row["filename"]
        if path.is_file():
            time, pose = _world_from_sensor(tables, row, world)
            sweeps.append(RecordedSweep(time, pose[:3, 3], partial(read_sweep, path, pose)))
    count = sum(map(len, images.values())) + len(sweeps)
    named = sum(len(rows.get(name, ())) for name in [c.name for c in cameras] + ["LIDAR_TOP"])
    return (SensorLog(images, tuple(sweeps)) if count else None), f"sensor files:{count} of {named}"


def _photo(tables: Any, root: Path, row: dict[str, Any], camera: Camera, world: World) -> RecordedImage:
    own = _camera(tables, row, camera.width, camera.height)
    return photo(root / row["filename"], own, *_world_from_sensor(tables, row, world))


def _world_from_sensor(tables: Any, row: dict[str, Any], world: World) -> tuple[float, Tensor]:
    """When a row was recorded [s] and where the sensor was then (4, 4)."""
    time = float(world.seconds(row["timestamp"]))
    ego = poses_of([tables.get("ego_pose", row["ego_pose_token"])], "ego_pose")
    mount = poses_of([tables.get("calibrated_sensor", row["calibrated_sensor_token"])], "calibrated_sensor")
    return time, (world.place(ego, np.array([time])) @ mount)[0]


def read_sweep(path: Path, world_from_sensor: Tensor) -> Tensor:
    """Points (N, 3) float32, world, of a .pcd.bin file: rows of x y z intensity ring."""
    try:
        values = np.fromfile(path, dtype=np.float32)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); restore it or load the scene again") from None
    if len(values) % 5:
        raise InputError(f"{path}: holds {len(values)} numbers, not rows of five; download it again")
    points = torch.from_numpy(values.reshape(-1, 5)[:, :3].astype(np.float64))
    return apply(world_from_sensor, points[torch.isfinite(points).all(1)]).float()
