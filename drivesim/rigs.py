"""Camera rigs of the field, for logs without calibration.

Facts, rounded. Positions and attitudes hold for the ego frame of this project: x forward, y left, z up, origin at the
rear axle on the ground. Every camera is a pinhole because the images of all four data sets are published
undistorted, Waymo's excepted, whose slight distortion is left out.

nuScenes: calibration of the Boston car n008 (`calibrated_sensor` table); its ego frame is the one above.
Waymo: nominal values of the Open Dataset paper (Sun et al. 2020): 50.4 degrees across, side images 886 rows high,
    roof mount 2.1 m above the ground; individual cars differ by a few centimetres and tenths of a degree.
Argoverse 2: calibration of sensor log 7fab2350; its frame starts at the rear axle's centre, 0.32 m above the ground.
PandaSet: mean of inv(lidar pose) @ camera pose over scene 002 (1920x1080). The pose has x right, y forward,
    z up, its origin 0.32 m above the ground (a plane through the lidar points beside the car), taken as the rear
    axle's centre; converted here.
"""

from __future__ import annotations

import torch

from .errors import InputError
from .geometry import rotation_from_quaternion, transform
from .types import Camera

# name, (width, height) [px], (fx, fy, cx, cy) [px], position [m], attitude of the optical frame (quaternion w x y z)
_View = tuple[
    str,
    tuple[int, int],
    tuple[float, float, float, float],
    tuple[float, float, float],
    tuple[float, float, float, float],
]

# fmt: off
_RIGS: dict[str, tuple[_View, ...]] = {
    "nuscenes": (
        ("CAM_FRONT", (1600, 900), (1252.8, 1252.8, 826.6, 470.0),
         (1.722, 0.005, 1.495), (0.50772, -0.49734, 0.49837, -0.49648)),
        ("CAM_FRONT_RIGHT", (1600, 900), (1256.7, 1256.7, 817.8, 452.0),
         (1.581, -0.499, 1.517), (0.20335, -0.19146, 0.67857, -0.67936)),
        ("CAM_BACK_RIGHT", (1600, 900), (1250.0, 1250.0, 825.4, 462.5),
         (1.059, -0.467, 1.551), (0.13819, -0.13797, -0.68933, 0.69763)),
        ("CAM_BACK", (1600, 900), (796.9, 796.9, 857.8, 476.9),
         (0.055, 0.011, 1.568), (0.5068, -0.49776, -0.49878, 0.49659)),
        ("CAM_BACK_LEFT", (1600, 900), (1255.0, 1255.0, 829.6, 467.2),
         (1.049, 0.483, 1.562), (0.70486, -0.69073, -0.11209, 0.11617)),
        ("CAM_FRONT_LEFT", (1600, 900), (1257.9, 1257.9, 827.2, 450.9),
         (1.575, 0.501, 1.507), (0.68121, -0.66875, 0.21017, -0.21108)),
    ),
    "waymo": (
        ("FRONT", (1920, 1280), (2040, 2040, 960, 640),
         (1.54, 0.0, 2.11), (0.5, -0.5, 0.5, -0.5)),
        ("FRONT_LEFT", (1920, 1280), (2040, 2040, 960, 640),
         (1.49, 0.1, 2.11), (0.65328, -0.65328, 0.2706, -0.2706)),
        ("FRONT_RIGHT", (1920, 1280), (2040, 2040, 960, 640),
         (1.49, -0.1, 2.11), (0.2706, -0.2706, 0.65328, -0.65328)),
        ("SIDE_LEFT", (1920, 886), (2040, 2040, 960, 443),
         (1.43, 0.11, 2.11), (0.70711, -0.70711, 0.0, 0.0)),
        ("SIDE_RIGHT", (1920, 886), (2040, 2040, 960, 443),
         (1.43, -0.11, 2.11), (0.0, 0.0, 0.70711, -0.70711)),
    ),
    "argoverse2": (
        ("ring_front_center", (1550, 2048), (1776.0, 1776.0, 778.0, 1013.5),
         (1.635, 0.003, 1.718), (0.50165, -0.49862, 0.50107, -0.49866)),
        ("ring_front_left", (2048, 1550), (1687.5, 1687.5, 1031.4, 768.3),
         (1.546, 0.204, 1.714), (0.63704, -0.66889, 0.27686, -0.26478)),
        ("ring_front_right", (2048, 1550), (1685.9, 1685.9, 1028.0, 766.2),
         (1.551, -0.199, 1.718), (0.26403, -0.27729, 0.67026, -0.63573)),
        ("ring_rear_left", (2048, 1550), (1683.9, 1683.9, 1029.0, 765.8),
         (1.09, 0.126, 1.739), (0.60189, -0.60346, -0.36996, 0.36973)),
        ("ring_rear_right", (2048, 1550), (1689.2, 1689.2, 1027.0, 770.8),
         (1.101, -0.127, 1.735), (0.36836, -0.36822, -0.60371, 0.60354)),
        ("ring_side_left", (2048, 1550), (1688.2, 1688.2, 1027.7, 765.5),
         (1.306, 0.276, 1.727), (0.68773, -0.72148, -0.05929, 0.05454)),
        ("ring_side_right", (2048, 1550), (1686.8, 1686.8, 1029.0, 764.8),
         (1.306, -0.279, 1.716), (0.05609, -0.0536, -0.72336, 0.6861)),
        ("stereo_front_left", (2048, 1550), (1689.6, 1689.6, 1024.5, 764.0),
         (1.625, 0.251, 1.511), (0.50084, -0.49903, 0.50067, -0.49946)),
        ("stereo_front_right", (2048, 1550), (1690.5, 1690.5, 1023.9, 767.0),
         (1.631, -0.248, 1.51), (0.50335, -0.49919, 0.4985, -0.49894)),
    ),
    "pandaset": (
        ("front_camera", (1920, 1080), (1970.0, 1970.0, 969.5, 482.8),
         (0.853, 0.0, 2.129), (0.49718, -0.50496, 0.49332, -0.50444)),
        ("front_left_camera", (1920, 1080), (929.8, 930.1, 971.7, 507.5),
         (1.517, 0.645, 1.854), (0.68073, -0.67786, 0.19644, -0.1963)),
        ("front_right_camera", (1920, 1080), (930.0, 930.0, 964.6, 462.9),
         (1.489, -0.601, 1.924), (0.2009, -0.19119, 0.67517, -0.68355)),
        ("left_camera", (1920, 1080), (930.5, 930.1, 991.2, 541.1),
         (0.555, 0.535, 1.9), (0.71287, -0.70115, -0.01222, 0.00698)),
        ("right_camera", (1920, 1080), (922.5, 922.4, 944.6, 517.1),
         (0.593, -0.695, 1.873), (0.00966, -0.0077, 0.70164, -0.71242)),
        ("back_camera", (1920, 1080), (933.5, 934.7, 896.0, 506.9),
         (-0.248, -0.032, 1.974), (0.49228, -0.49247, -0.50579, 0.50922)),
    ),
}
# fmt: on


def rig(name: str, width: int = 400, height: int = 224) -> tuple[Camera, ...]:
    """The cameras of a preset, all `width` x `height` px.

    The whole native picture is scaled to that size, so both fields of view stay as they are; where the aspect ratio
    differs from the native one, pixels are not square (fx != fy). Raises InputError for an unknown name.
    """
    if name not in _RIGS:
        raise InputError(f"unknown camera rig '{name}'; choose one of {', '.join(sorted(_RIGS))}")
    if width < 1 or height < 1:
        raise InputError(f"camera rig '{name}': the image size {width}x{height} px must be positive")
    return tuple(_camera(*view).resized(width, height) for view in _RIGS[name])


def _camera(name, size, focal, position, attitude) -> Camera:
    fx, fy, cx, cy = focal
    intrinsics = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    rotation = rotation_from_quaternion(torch.tensor(attitude, dtype=torch.float64))
    return Camera(name, *size, intrinsics, transform(rotation, torch.tensor(position, dtype=torch.float64)))
