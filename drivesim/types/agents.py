"""Who is on the road, and the ego's own vehicle."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from ..geometry import euler_from_rotation, heading, rotation_from_euler, transform
from ..struct import Struct, tensor

DT = 0.1
"""Length of a step [s]. Every log is resampled to it; nothing else states it."""


class Kind(IntEnum):
    """What an agent is."""

    CAR = 0
    TRUCK = 1
    BUS = 2
    TRAILER = 3
    CONSTRUCTION = 4
    MOTORCYCLE = 5
    BICYCLE = 6
    PEDESTRIAN = 7
    ANIMAL = 8
    CONE = 9
    BARRIER = 10
    OBJECT = 11


VEHICLES = (Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.TRAILER, Kind.CONSTRUCTION, Kind.MOTORCYCLE)
CYCLES = (Kind.BICYCLE,)
WALKERS = (Kind.PEDESTRIAN, Kind.ANIMAL)
OBJECTS = (Kind.CONE, Kind.BARRIER, Kind.OBJECT)


def is_kind(kind: Tensor, kinds: tuple[Kind, ...]) -> Tensor:
    """Mask (...) of the entries of `kind` (...) that are one of `kinds`."""
    return torch.isin(kind, torch.tensor([int(k) for k in kinds], dtype=kind.dtype, device=kind.device))


class Agents(Struct):
    """Boxes of all road users; agent 0 is the ego."""

    xy: Tensor = tensor(event=1)  # (..., A, 2) box centre, world [m]
    z: Tensor = tensor()  # (..., A) bottom of the box, world [m]
    yaw: Tensor = tensor()  # (..., A) world [rad]
    pitch: Tensor = tensor()  # (..., A) nose down positive [rad]
    roll: Tensor = tensor()  # (..., A) right side down positive [rad]
    velocity: Tensor = tensor(event=1)  # (..., A, 2) of the box centre, world [m/s]
    size: Tensor = tensor(event=1)  # (..., A, 3) length, width, height [m]
    kind: Tensor = tensor()  # (..., A) int64, a Kind
    valid: Tensor = tensor()  # (..., A) bool

    @property
    def poses(self) -> Tensor:
        """Planar poses (..., A, 3): x, y, yaw of the box centre, world."""
        return torch.cat([self.xy, self.yaw[..., None]], -1)

    @property
    def speed(self) -> Tensor:
        """Signed speed along the heading (..., A) [m/s]."""
        return (self.velocity * heading(self.yaw)).sum(-1)

    @property
    def world_from_box(self) -> Tensor:
        """(..., A, 4, 4); the box frame's origin is the centre of the box's bottom."""
        rotation = rotation_from_euler(self.yaw, self.pitch, self.roll)
        return transform(rotation, torch.cat([self.xy, self.z[..., None]], -1))


@dataclass(frozen=True)
class Vehicle:
    """The ego's body. Defaults: the Chrysler Pacifica of nuPlan and NAVSIM (metrics compare with them)."""

    length: float = 5.176  # [m]
    width: float = 2.297  # [m]
    height: float = 1.777  # [m]
    wheelbase: float = 3.089  # [m]
    rear_axle_to_center: float = 1.461  # box centre ahead of the rear axle [m]

    def rear_axle(self, poses: Tensor) -> Tensor:
        """Planar poses (..., 3) of the rear axle from those of the box centre."""
        return torch.cat([poses[..., :2] - self.rear_axle_to_center * heading(poses[..., 2]), poses[..., 2:]], -1)

    def center(self, poses: Tensor) -> Tensor:
        """Planar poses (..., 3) of the box centre from those of the rear axle."""
        return torch.cat([poses[..., :2] + self.rear_axle_to_center * heading(poses[..., 2]), poses[..., 2:]], -1)

    def world_from_ego(self, ego: Agents) -> Tensor:
        """(..., 4, 4) of the ego frame, for `ego = agents[..., 0]`."""
        box = ego.world_from_box
        shift = torch.eye(4, dtype=box.dtype, device=box.device)
        shift[0, 3] = -self.rear_axle_to_center
        return box @ shift

    def box_from_ego(self, world_from_ego: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Inverse of `world_from_ego`: xy (..., 2), z, yaw, pitch, roll (...) of the ego's box."""
        shift = torch.eye(4, dtype=world_from_ego.dtype, device=world_from_ego.device)
        shift[0, 3] = self.rear_axle_to_center
        box = world_from_ego @ shift
        yaw, pitch, roll = euler_from_rotation(box[..., :3, :3])
        return box[..., :2, 3], box[..., 2, 3], yaw, pitch, roll
