"""PandaSet's cuboids as tracks.

A cuboid was drawn around points of a turning lidar. The Pandar64 turns clockwise, passes the rear of the car at the
time stamp of a sweep and the front half a turn earlier (its points' own times say so), so that a cuboid holds for the
moment at which the beam passed it. Beside moving cars that moves boxes by up to a metre.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from drivesim.errors import InputError
from drivesim.loading import Track
from drivesim.types import Kind

from .recording import LIDAR, Poses, columns

TURN = 0.1
"""Time of one turn of the Pandar64 [s]."""

FORWARD = 0.05
"""How long before a sweep's time stamp the beam of the Pandar64 looks forward [s]; the front camera fires then."""

SOLID = -0.02
"""The same for the middle of the PandarGT's picture, which is taken a little after the time stamp [s]."""

KINDS = {
    "Car": Kind.CAR, "Pickup Truck": Kind.TRUCK, "Medium-sized Truck": Kind.TRUCK, "Semi-truck": Kind.TRUCK,
    "Towed Object": Kind.TRAILER, "Motorcycle": Kind.MOTORCYCLE, "Motorized Scooter": Kind.MOTORCYCLE,
    "Other Vehicle - Construction Vehicle": Kind.CONSTRUCTION, "Other Vehicle - Uncommon": Kind.CAR,
    "Other Vehicle - Pedicab": Kind.BICYCLE, "Emergency Vehicle": Kind.CAR, "Bus": Kind.BUS,
    "Personal Mobility Device": Kind.BICYCLE, "Bicycle": Kind.BICYCLE, "Train": Kind.BUS, "Trolley": Kind.BUS,
    "Tram / Subway": Kind.BUS, "Pedestrian": Kind.PEDESTRIAN, "Pedestrian with Object": Kind.PEDESTRIAN,
    "Animals - Bird": Kind.ANIMAL, "Animals - Other": Kind.ANIMAL, "Pylons": Kind.CONE, "Cones": Kind.CONE,
    "Road Barriers": Kind.BARRIER, "Temporary Construction Barriers": Kind.BARRIER,
}  # fmt: skip
"""What is not listed (signs, rolling containers, ...) is an OBJECT."""

_NUMBERS = tuple(f"{part}.{axis}" for part in ("position", "dimensions") for axis in "xyz") + ("yaw",)


def read_tracks(files: Mapping[int, Path], poses: Poses, start: float) -> list[Track]:
    """One track per object, in PandaSet's world, times since `start` (Unix). Longest-seen and nearest come as they
    come: sorted by uuid.

    An object that both lidars saw has two uuids, linked as siblings: one track, the Pandar64's box where there is one.
    """
    rows = _Rows()
    for frame, path in files.items():
        if frame < len(poses.time):
            rows.add(frame, path)
    joined = rows.families()
    beam = _beam_times(poses, rows)
    families: dict[str, list[int]] = {}
    for i, uuid in enumerate(rows.uuid):
        families.setdefault(joined[uuid], []).append(i)
    return [_track(name, rows, members, beam, poses.time, start) for name, members in sorted(families.items())]


class _Rows:
    """The cuboids of all frames, one after the other."""

    def __init__(self) -> None:
        self.uuid: list[str] = []
        self.label: list[str] = []
        self.sibling: list[str] = []
        self.sensor: list[int] = []
        self.frame: list[int] = []
        self.numbers: list[np.ndarray] = []  # each (7,): x y z, width length height, yaw

    def add(self, frame: int, path: Path) -> None:
        uuid, label, *numbers = columns(path, "uuid", "label", *_NUMBERS)
        try:
            table = np.stack([c.astype(float) for c in numbers], 1)
        except (TypeError, ValueError):
            raise InputError(f"{path}: its cuboids are not numbers; download it again") from None
        bad = np.flatnonzero(~np.isfinite(table).all(1) | (table[:, 3:6] <= 0).any(1))
        if len(bad):
            raise InputError(f"{path}: cuboid {uuid[bad[0]]} of frame {frame} has a pose or size that is no number")
        self.uuid += [str(u) for u in uuid]
        self.label += [str(name) for name in label]
        self.frame += [frame] * len(table)
        self.numbers += list(table)
        self._add_siblings(path, len(table))

    def _add_siblings(self, path: Path, count: int) -> None:
        try:
            sibling, sensor = columns(path, "cuboids.sibling_id", "cuboids.sensor_id")
        except InputError:  # sequences without the front lidar's annotation lack both
            self.sibling += ["-"] * count
            self.sensor += [-1] * count
            return
        self.sibling += [str(s) for s in sibling]
        self.sensor += [int(s) if s == s else -1 for s in sensor.tolist()]

    def families(self) -> dict[str, str]:
        """uuid -> the name of its object: the smallest uuid among its siblings that the Pandar64 saw, if any."""
        parent = {uuid: uuid for uuid in self.uuid}

        def root(uuid: str) -> str:
            while parent[uuid] != uuid:
                uuid = parent[uuid]
            return uuid

        front = {uuid for uuid, sensor in zip(self.uuid, self.sensor, strict=True) if sensor == 1}
        for uuid, sibling in zip(self.uuid, self.sibling, strict=True):
            if sibling in parent:
                first, second = sorted((root(uuid), root(sibling)), key=lambda u: (u in front, u))
                parent[second] = first
        return {uuid: root(uuid) for uuid in parent}


def _beam_times(poses: Poses, rows: _Rows) -> np.ndarray:
    """When each cuboid was hit (n,), Unix: from its direction, seen from the lidar."""
    if not rows.frame:
        return np.zeros(0)
    frame = np.array(rows.frame)
    world_from_pose = poses.matrices()[frame]
    offset = np.array(rows.numbers)[:, :3] - world_from_pose[:, :3, 3]
    seen = np.einsum("nji,nj->ni", world_from_pose[:, :3, :3], offset) - LIDAR
    leftward = np.arctan2(-seen[:, 0], seen[:, 1])
    turning = -FORWARD - TURN * leftward / (2 * np.pi)
    return poses.time[frame] + np.where(np.array(rows.sensor) == 1, -SOLID, turning)


def _track(name: str, rows: _Rows, members: list[int], beam: np.ndarray, frames: np.ndarray, start: float) -> Track:
    best: dict[int, int] = {}
    for i in members:
        other = best.get(rows.frame[i])
        if other is None or (rows.sensor[other] == 1 and rows.sensor[i] != 1):
            best[rows.frame[i]] = i
    chosen = [best[frame] for frame in sorted(best)]
    kept = chosen[:1]
    for i in chosen[1:]:  # an object that crosses the lidar's seam behind the car can be hit twice at one moment
        if beam[i] - beam[kept[-1]] > 0.02:
            kept.append(i)
    table = np.array([rows.numbers[i] for i in kept])
    width, length, height = np.median(table[:, 3:6], axis=0)
    xyz = table[:, :3] - [0, 0, 0.5] * table[:, 3:6]
    middle = frames[[rows.frame[kept[0]], rows.frame[kept[-1]]]] - FORWARD
    time, xyz, yaw = _reach(beam[kept], xyz, table[:, 6] + np.pi / 2, middle)
    label = Counter(rows.label[i] for i in kept).most_common(1)[0][0]
    zero = np.zeros(len(time))
    return Track(
        name,
        KINDS.get(label, Kind.OBJECT),
        np.array([length, width, height]),
        time - start,
        xyz,
        yaw,
        zero,
        zero,
    )


def _reach(
    time: np.ndarray, xyz: np.ndarray, yaw: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extend a track by half a frame at constant velocity, to the middle of the first and last sweep it is seen in."""
    if len(time) < 2:
        return time, xyz, yaw
    if time[0] - middle[0] > 1e-3:
        before = xyz[0] + (xyz[1] - xyz[0]) * (middle[0] - time[0]) / (time[1] - time[0])
        time, xyz, yaw = np.append(middle[0], time), np.vstack([before, xyz]), np.append(yaw[0], yaw)
    if middle[1] - time[-1] > 1e-3:
        after = xyz[-1] + (xyz[-1] - xyz[-2]) * (middle[1] - time[-1]) / (time[-1] - time[-2])
        time, xyz, yaw = np.append(time, middle[1]), np.vstack([xyz, after]), np.append(yaw, yaw[-1])
    return time, xyz, yaw
