"""PandaSet's cameras: calibration from their logged poses, photos read when asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from scipy.spatial.transform import Rotation
from torch import Tensor

from drivesim.errors import InputError
from drivesim.recordings import photo
from drivesim.types import Camera, RecordedImage

from .recording import EGO_FROM_POSE, Poses, numbered, read_json, read_poses

NAMES = (
    "front_camera",
    "front_left_camera",
    "front_right_camera",
    "left_camera",
    "right_camera",
    "back_camera",
)
PIXELS = 2**25
"""Largest photo whose size is believed; PandaSet's have 2 million pixels."""


def read_cameras(
    folder: Path, ego: Poses, axle: float, start: float, origin: np.ndarray
) -> tuple[list[Camera], dict[str, tuple[RecordedImage, ...]]]:
    """Calibrated cameras at their photos' size, and their photos.

    ego: poses of the pose frame; axle: its height above the road [m]; start: Unix time of step 0;
    origin (3,): of the project's world in PandaSet's. Cameras whose folder is missing are left out, and so are photos.
    """
    cameras, images = [], {}
    for name in NAMES:
        if not (folder / name / "poses.json").is_file():
            continue
        poses = read_poses(folder / name)
        photos = numbered(folder / name, "jpg", "jpeg", "png")
        intrinsics = _intrinsics(folder / name / "intrinsics.json")
        width, height = _size(photos, intrinsics)
        camera = Camera(name, width, height, torch.from_numpy(intrinsics), _mounting(ego, poses, axle), (), 10.0)
        world_from_camera = poses.matrices()
        world_from_camera[:, :3, 3] -= origin
        cameras.append(camera)
        images[name] = tuple(
            photo(path, camera, float(poses.time[i] - start), torch.from_numpy(world_from_camera[i]))
            for i, path in photos.items()
            if i < len(poses.time)
        )
    return cameras, images


def _mounting(ego: Poses, camera: Poses, axle: float) -> Tensor:
    """ego_from_camera (4, 4): the median over frames of where the camera sits at its own time stamps."""
    known = (camera.time >= ego.time[0] - 0.15) & (camera.time <= ego.time[-1] + 0.15)
    if not known.any():
        raise InputError("the cameras' time stamps lie outside those of lidar/timestamps.json; leave this sequence out")
    world_from_pose = ego.at(camera.time[known])
    relative = np.linalg.inv(world_from_pose) @ camera.matrices()[known]
    out = np.eye(4)
    out[:3, :3] = EGO_FROM_POSE @ Rotation.from_matrix(relative[:, :3, :3]).mean().as_matrix()
    out[:3, 3] = EGO_FROM_POSE @ np.median(relative[:, :3, 3], axis=0) + [0, 0, axle]
    return torch.from_numpy(out)


def _intrinsics(path: Path) -> np.ndarray:
    values = read_json(path)
    try:
        fx, fy, cx, cy = (float(values[k]) for k in ("fx", "fy", "cx", "cy"))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: needs the numbers fx, fy, cx and cy; download it again") from None
    if not (np.isfinite([fx, fy, cx, cy]).all() and min(fx, fy) > 0):
        raise InputError(f"{path}: fx, fy, cx, cy = {fx, fy, cx, cy} is no camera; download it again")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _size(photos: dict[int, Path], intrinsics: np.ndarray) -> tuple[int, int]:
    """Width and height of the photos [px]; without any, 1920 x 1080 or what halving it suits the intrinsics best."""
    for path in photos.values():
        try:
            with Image.open(path) as image:
                if image.width * image.height <= PIXELS:
                    return image.size
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError):
            continue
    halvings = max(round(np.log2(960 / intrinsics[0, 2])), 0)
    return 1920 >> halvings, 1080 >> halvings
