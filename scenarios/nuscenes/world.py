"""Where the world frame lies in the frame of a nuScenes map, and on earth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import rotation_from_quaternion, transform
from drivesim.types import Place

ORIGINS = {
    "boston-seaport": (42.336849169438615, -71.05785369873047),
    "singapore-onenorth": (1.2882100868743724, 103.78475189208984),
    "singapore-hollandvillage": (1.2993652317780957, 103.78217697143555),
    "singapore-queenstown": (1.2782562240223188, 103.76741409301758),
}
"""Latitude and longitude [deg] of the maps' south-western corners, as nuscenes-devkit's map API documents them."""

EARTH = 6378137.0  # [m], WGS84's semi-major axis, with which the devkit exports poses


@dataclass(frozen=True, eq=False)
class World:
    """Origin, clock, and the height over time that the planar localisation of nuScenes leaves out."""

    origin: Tensor  # (3,) float64, map frame
    zero: int  # time stamp of step 0 [us]
    time: np.ndarray  # (n,) [s]
    rise: np.ndarray  # (n,) height to add [m]

    def seconds(self, stamp: Any) -> Any:
        return (stamp - self.zero) * 1e-6

    def lift(self, seconds: np.ndarray) -> np.ndarray:
        """Height (n,) to add at times (n,)."""
        return np.interp(seconds, self.time, self.rise)

    def place(self, map_from_x: Tensor, seconds: np.ndarray) -> Tensor:
        """world_from_x (n, 4, 4) of poses in the map frame at times (n,)."""
        out = map_from_x.clone()
        out[:, :3, 3] -= self.origin
        out[:, 2, 3] += torch.from_numpy(self.lift(seconds))
        return out


def matrices(poses: np.ndarray) -> Tensor:
    """(n, 4, 4) float64 of poses (n, 7): position, quaternion w x y z."""
    poses = torch.from_numpy(np.array(poses, dtype=np.float64))
    return transform(rotation_from_quaternion(poses[:, 3:]), poses[:, :3])


def place_of(location: str, x: float, y: float) -> Place:
    """Where a point of a map [m] is on earth; the map alone where its origin is not known."""
    if location not in ORIGINS:
        return Place(location)
    latitude, longitude = ORIGINS[location]
    return Place(
        location,
        latitude + math.degrees(y / EARTH),
        longitude + math.degrees(x / (EARTH * math.cos(math.radians(latitude)))),
    )
