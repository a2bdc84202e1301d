"""The log's own cameras and lazy handles on its photos."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drivesim.errors import InputError
from drivesim.files import inside
from drivesim.geometry import rotation_from_quaternion, transform
from drivesim.recordings import photo
from drivesim.restricted_pickle import Refused, loads
from drivesim.types import Camera, SensorLog

from .boxes import ground_poses
from .logs import Excerpt

# The devkit pickles lists under names of its own (nuplan/database/common/data_types.py), which the restricted reader
# does not admit; here they become the plain lists they are. `c` names a class in the protocols 2 and 3; the later ones
# put two texts and the class on the numbered memo, so that three lists take their numbers and are dropped.
_MODULE, _NAMES = rb"nuplan\.database\.common\.data_types", rb"(?:Translation|Rotation|CameraIntrinsic)"
_CLASSIC = re.compile(rb"c" + _MODULE + rb"\n" + _NAMES + rb"\n(?:q.|r....)?\)\x81", re.DOTALL)
_LATER = re.compile(rb"\x8c." + _MODULE + rb"\x94\x8c." + _NAMES + rb"\x94\x93\x94\)\x81", re.DOTALL)
_FRAME = re.compile(rb"\A(\x80[\x04\x05])\x95.{8}", re.DOTALL)


def own_cameras(log: Excerpt, height: int, lift: float) -> tuple[Camera, ...]:
    """The calibrated cameras, `height` px high, in the ego frame that lies `lift` metres below the logged one.

    Raises Refused where a calibration is no plain list of numbers, or makes no camera.
    """
    return tuple(_camera(row, height, lift) for row in log.cameras)


def _camera(row: tuple, height: int, lift: float) -> Camera:
    channel, width, tall = str(row[0]), row[5], row[6]
    place, turn, lens, distortion = (
        torch.from_numpy(_numbers(blob, shape))
        for blob, shape in zip(row[1:5], ((3,), (4,), (3, 3), (-1,)), strict=True)
    )
    sizes = all(isinstance(x, int | float) and 1 <= x <= 20_000 for x in (width, tall))
    if not sizes or abs(float(turn.norm()) - 1) > 0.01 or float(lens[0, 0]) <= 0 or float(lens[1, 1]) <= 0:
        raise Refused(f"the calibration of {channel} is none of a camera")
    if len(distortion) > 5:
        raise Refused(f"the lens of {channel} has {len(distortion)} coefficients instead of k1 k2 p1 p2 k3")
    place[2] += lift
    mount = transform(rotation_from_quaternion(turn), place)
    native = Camera(channel, int(width), int(tall), lens, mount, tuple(distortion.tolist()))
    return native.resized(max(round(native.width * height / native.height), 1), height)


def _numbers(blob: Any, shape: tuple[int, ...]) -> np.ndarray:
    """float64 of a pickled list or array of this shape."""
    if not isinstance(blob, bytes):
        raise Refused("a calibration is missing")
    plain = _LATER.sub(b"]\x940]\x940]\x940]", _CLASSIC.sub(b"]", blob))
    values = loads(_FRAME.sub(rb"\1", plain) if plain != blob else blob)
    try:
        found = np.array(values, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"a calibration holds no numbers ({error})") from None
    if not np.isfinite(found).all():
        raise Refused("a calibration is not finite")
    return found


def photos_on_disk(
    log: Excerpt, folder: Path, cameras: tuple[Camera, ...], origin: torch.Tensor, lift: float
) -> tuple[SensorLog | None, int]:
    """Handles on the photos in `sensor_blobs`, and how many that the log names are not there. Each is posed by the
    ego_pose that the log links it to."""
    by_name = {camera.name: camera for camera in cameras}
    images: dict[str, list] = {name: [] for name in by_name}
    lost = 0
    for row in log.photos:
        camera, pose, path = by_name.get(str(row[1])), _pose(row[3:]), _file(folder, str(row[2]))
        if camera is None or pose is None or path is None:
            lost += 1
            continue
        world_from_ego = ground_poses(pose[None], lift)[0]
        world_from_ego[:3, 3] -= origin
        images[camera.name].append(photo(path, camera, row[0] * 1e-6, world_from_ego @ camera.ego_from_camera))
    taken = {name: tuple(found) for name, found in images.items() if found}
    return (SensorLog(taken) if taken else None), lost


def _file(folder: Path, name: str) -> Path | None:
    """The file of that name, if there is one inside the folder."""
    try:
        path = inside(folder, name)
        return path if path.is_file() else None
    except (InputError, ValueError, OSError):  # leads elsewhere, or cannot be a name
        return None


def _pose(values: tuple) -> np.ndarray | None:
    if not all(isinstance(v, int | float) for v in values):
        return None
    pose = np.array(values, dtype=np.float64)
    return pose if np.isfinite(pose).all() and abs(np.linalg.norm(pose[3:]) - 1) < 0.01 else None
