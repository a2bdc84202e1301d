"""The ego's poses and everybody's boxes as tracks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim import loading
from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import euler_from_rotation, transform
from drivesim.types import DT, Kind, Vehicle

from .files import QUATERNION, TRANSLATION, read_table, transforms

# The Ford Fusion of the fleet. Length, width and height are those of the ego box that Argoverse publishes for
# scenario mining, the wheelbase is the maker's; a rear overhang of 1.06 m is assumed for the box centre.
VEHICLE = Vehicle(length=4.877, width=2.0, height=1.473, wheelbase=2.85, rear_axle_to_center=1.38)

# The log's ego frame starts at the rear axle's centre; measured against the ground height of three logs (median).
AXLE_HEIGHT = 0.32  # [m]

_KINDS = {
    "REGULAR_VEHICLE": Kind.CAR,
    **dict.fromkeys(("LARGE_VEHICLE", "BOX_TRUCK", "TRUCK", "TRUCK_CAB"), Kind.TRUCK),
    **dict.fromkeys(("BUS", "SCHOOL_BUS", "ARTICULATED_BUS", "RAILED_VEHICLE"), Kind.BUS),
    **dict.fromkeys(("VEHICULAR_TRAILER", "MESSAGE_BOARD_TRAILER", "TRAFFIC_LIGHT_TRAILER"), Kind.TRAILER),
    "MOTORCYCLE": Kind.MOTORCYCLE,
    **dict.fromkeys(("BICYCLE", "WHEELED_DEVICE"), Kind.BICYCLE),
    # riders have boxes of their own beside those of what they ride
    **dict.fromkeys(("PEDESTRIAN", "BICYCLIST", "MOTORCYCLIST", "WHEELED_RIDER"), Kind.PEDESTRIAN),
    **dict.fromkeys(("STROLLER", "WHEELCHAIR", "OFFICIAL_SIGNALER"), Kind.PEDESTRIAN),
    **dict.fromkeys(("DOG", "ANIMAL"), Kind.ANIMAL),
    **dict.fromkeys(("CONSTRUCTION_CONE", "CONSTRUCTION_BARREL"), Kind.CONE),
}  # signs, bollards and what the format may add later are objects


@dataclass(frozen=True, eq=False)
class Poses:
    """The ego's poses in the city frame, moved down to the ground."""

    time: np.ndarray  # (n,) int64 [ns], increasing
    city_from_ego: Tensor  # (n, 4, 4) float64

    @staticmethod
    def read(path: Path) -> Poses:
        table = read_table(path, ("timestamp_ns", *QUATERNION, *TRANSLATION))
        if not len(table["timestamp_ns"]):
            raise InputError(f"{path}: holds no pose")
        time, first = np.unique(table["timestamp_ns"], return_index=True)
        down = torch.eye(4, dtype=torch.float64)
        down[2, 3] = -AXLE_HEIGHT
        return Poses(time, (transforms(table, path) @ down)[torch.from_numpy(first)])

    def at(self, time: np.ndarray) -> Tensor:
        """(m, 4, 4) at times [ns], interpolated; the end poses beyond the ends."""
        if len(self.time) == 1 or not len(time):
            return self.city_from_ego[:1].expand(len(time), 4, 4)
        clock, slerp = self._turning
        when = np.clip((np.asarray(time) - self.time[0]) * 1e-9, clock[0], clock[-1])
        xyz = self.city_from_ego[:, :3, 3].numpy()
        place = np.column_stack([np.interp(when, clock, xyz[:, i]) for i in range(3)])
        return transform(torch.from_numpy(slerp(when).as_matrix()), torch.from_numpy(place))

    @cached_property
    def _turning(self) -> tuple[np.ndarray, Any]:
        from scipy.spatial.transform import Rotation, Slerp

        clock = (self.time - self.time[0]) * 1e-9
        return clock, Slerp(clock, Rotation.from_matrix(self.city_from_ego[:, :3, :3].numpy()))


@dataclass(frozen=True, eq=False)
class Boxes:
    """All annotated boxes in the city frame."""

    track: np.ndarray  # (n,) uuid
    category: np.ndarray  # (n,)
    time: np.ndarray  # (n,) int64 [ns]
    size: np.ndarray  # (n, 3) [m]
    bottom: Tensor  # (n, 3) centre of the bottom
    euler: tuple[Tensor, Tensor, Tensor]  # yaw, pitch, roll, each (n,)


def read_boxes(path: Path, poses: Poses) -> tuple[Boxes, int, int]:
    """The boxes, the time of step 0 [ns] and the number of steps."""
    sizes = ("length_m", "width_m", "height_m")
    table = read_table(path, ("timestamp_ns", "track_uuid", "category", *sizes, *QUATERNION, *TRANSLATION))
    time = table["timestamp_ns"]
    if not len(time):
        raise NotDrivable(f"{path}: no box in it")
    zero, last = int(time.min()), int(time.max())
    if zero < poses.time[0] - 10**8 or last > poses.time[-1] + 10**8:
        raise InputError(f"{path}: boxes lie outside the time of the ego's poses; the files belong to different logs")
    moments, which = np.unique(time, return_inverse=True)
    ego_from_box = transforms(table, path)
    size = np.column_stack([table[c] for c in sizes]).astype(np.float64)
    ego_from_box[:, 2, 3] += AXLE_HEIGHT
    city_from_box = poses.at(moments)[torch.from_numpy(which)] @ ego_from_box
    bottom = city_from_box[:, :3, 3] - city_from_box[:, :3, 2] * torch.from_numpy(size[:, 2:] / 2)
    euler = euler_from_rotation(city_from_box[:, :3, :3])
    boxes = Boxes(table["track_uuid"], table["category"], time, size, bottom, euler)
    return boxes, zero, int((last - zero) * 1e-9 / DT + 0.5) + 1


def tracks_of(boxes: Boxes, poses: Poses, origin: Tensor, zero: int) -> list[loading.Track]:
    """The tracks, the ego's first; `origin` (3,) is the world's in the city frame."""
    tracks = [_ego_track(poses, origin, zero)]
    yaw, pitch, roll = (x.numpy() for x in boxes.euler)
    xyz, time = (boxes.bottom - origin).numpy(), (boxes.time - zero) * 1e-9
    order = np.lexsort((time, boxes.track.astype(str)))
    names, first = np.unique(boxes.track.astype(str)[order], return_index=True)
    for name, rows in zip(names, np.split(order, first[1:]), strict=True):
        category = boxes.category[rows[0]]
        if category == "EGO_VEHICLE":  # some releases list the ego among the boxes
            continue
        rows = rows[np.concatenate([[True], np.diff(time[rows]) > 0])]
        size, kind = np.median(boxes.size[rows], axis=0), _KINDS.get(category, Kind.OBJECT)
        tracks.append(loading.Track(name, kind, size, time[rows], xyz[rows], yaw[rows], pitch[rows], roll[rows]))
    return tracks


def _ego_track(poses: Poses, origin: Tensor, zero: int) -> loading.Track:
    world_from_ego = poses.city_from_ego.clone()
    world_from_ego[:, :3, 3] -= origin
    xy, z, yaw, pitch, roll = VEHICLE.box_from_ego(world_from_ego)
    xyz = torch.cat([xy, z[:, None]], -1).numpy()
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    time = (poses.time - zero) * 1e-9
    return loading.Track("ego", Kind.CAR, size, time, xyz, yaw.numpy(), pitch.numpy(), roll.numpy())
