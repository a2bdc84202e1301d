"""Argoverse 2 sensor logs as scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drivesim import loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import apply, euler_from_rotation, transform
from drivesim.lidar_sweeps import scenery_from_sweeps
from drivesim.recordings import photo
from drivesim.types import (
    DT,
    Agents,
    Briefing,
    Camera,
    Kind,
    RecordedSweep,
    Scenario,
    Scene,
    SensorLog,
    Signals,
    Vehicle,
)  # fmt: skip

from .files import QUATERNION, TRANSLATION, read_table, transforms
from .roads import read_map

# The Ford Fusion of the fleet. Length, width and height are those of the ego box that Argoverse publishes for
# scenario mining, the wheelbase is the maker's; a rear overhang of 1.06 m is assumed for the box centre.
VEHICLE = Vehicle(length=4.877, width=2.0, height=1.473, wheelbase=2.85, rear_axle_to_center=1.38)

# The log's ego frame starts at the rear axle's centre; measured against the ground height of three logs (median).
AXLE_HEIGHT = 0.32  # [m]

# Where `up_lidar` sits in the log's ego frame, for logs without calibration.
LIDAR = (1.35, 0.0, 1.64)  # [m]

START = 10  # a second of history before the planner takes over

LICENCE = "CC BY-NC-SA 4.0 (Argoverse 2, argoverse.org/about.html#terms-of-use)"

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


@dataclass(frozen=True)
class Argoverse2:
    """Sensor logs under `root`: the folder of the logs, one log, or the folder above `train`, `val` and `test`.

    A log with calibration is seen through its own cameras, `height` px high and as wide as their aspect ratio
    says; one without through the preset `rig` at `width` x `height`.
    """

    root: str
    rig: str = "nuscenes"
    width: int = 400  # [px]
    height: int = 224  # [px]

    def ids(self) -> list[str]:
        return sorted(self._logs())

    def fingerprint(self, id: str) -> str:
        log = self._log(id)
        files = [
            *sorted(log.glob("*.feather")),
            *sorted(log.glob("calibration/*")),
            *sorted(log.glob("map/*")),
        ]
        recorded = sorted(f"{p.relative_to(log)} {p.stat().st_size}" for p in log.glob("sensors/**/*.*"))
        return loading.fingerprint(files, *recorded, self.rig, f"{self.width}x{self.height}")

    def load(self, id: str) -> Scenario:
        log = self._log(id)
        poses = _Poses.read(log / "city_SE3_egovehicle.feather")
        tracks, zero, steps = _tracks(log / "annotations.feather", poses)
        if steps < START + 2:
            raise NotDrivable(f"{log}: {steps} frames at 10 Hz; at least {START + 2} are needed")
        origin = poses.at(np.array([zero]))[0, :3, 3]
        agents, ids = _agents(tracks, poses, origin, zero, steps)
        road = read_map(log / "map", origin.numpy())
        cameras = self._cameras(log)
        sensors = _sensors(log, cameras, poses, origin, zero)
        scenery = scenery_from_sweeps(sensors.sweeps if sensors else (), agents, road)
        route = loading.route_along(road, agents.xy[:, 0].double().numpy(), yaw=float(agents.yaw[0, 0]))
        command = loading.command_of(route, agents.xy[START, 0])
        return Scenario(
            id=id, source="argoverse2", fingerprint=self.fingerprint(id),
            scene=Scene(road, scenery, Signals.none(), Briefing(route, command, VEHICLE, cameras)),
            log=agents, track_ids=tuple(ids), start=START, sensors=sensors,
            origin=origin, licence=LICENCE, tags=self._tags(log, sensors),
        )  # fmt: skip

    def _logs(self) -> dict[str, Path]:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise InputError(
                f"{root}: no such folder; scenarios.root is the folder of the Argoverse 2 sensor logs"
            )
        for depth in ("", "*", "*/*"):
            logs = {p.resolve().name: p for p in sorted(root.glob(depth) if depth else [root]) if _is_log(p)}
            if logs:
                return logs
        raise InputError(
            f"{root}: no Argoverse 2 sensor log (a folder with city_SE3_egovehicle.feather) in it"
        )

    def _log(self, id: str) -> Path:
        logs = self._logs()
        if id not in logs:
            raise InputError(
                f"no Argoverse 2 log '{id}' under {self.root}; there are {', '.join(sorted(logs)[:4])} ..."
            )
        return logs[id]

    def _cameras(self, log: Path) -> tuple[Camera, ...]:
        intrinsics, extrinsics = (
            log / "calibration" / f"{n}.feather" for n in ("intrinsics", "egovehicle_SE3_sensor")
        )
        if not intrinsics.is_file() and not extrinsics.is_file():
            return rigs.rig(self.rig, self.width, self.height)
        # k1 k2 k3 stay unused: the photos are published undistorted (av2-api issue 219)
        lens = read_table(
            intrinsics, ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
        )
        mount = read_table(extrinsics, ("sensor_name", *QUATERNION, *TRANSLATION))
        lift = transform(
            torch.eye(3, dtype=torch.float64), torch.tensor([0, 0, AXLE_HEIGHT], dtype=torch.float64)
        )
        place = dict(zip(mount["sensor_name"], lift @ transforms(mount, extrinsics), strict=True))
        cameras = []
        for i, name in enumerate(lens["sensor_name"]):
            if name not in place:
                raise InputError(f"{extrinsics}: has no row for the camera {name}")
            fx, fy, cx, cy = (float(lens[k][i]) for k in ("fx_px", "fy_px", "cx_px", "cy_px"))
            matrix = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
            native = Camera(name, int(lens["width_px"][i]), int(lens["height_px"][i]), matrix, place[name])
            cameras.append(native.resized(round(native.width * self.height / native.height), self.height))
        return tuple(cameras)

    def _tags(self, log: Path, sensors: SensorLog | None) -> tuple[str, ...]:
        city = next(
            (p.name.split("____")[-1].split("_")[0] for p in sorted(log.glob("map/log_map_archive_*"))), ""
        )
        own = (log / "calibration" / "intrinsics.feather").is_file()
        sweeps = len(sensors.sweeps) if sensors else 0
        return (
            "real",
            f"city:{city}",
            "cameras:own" if own else f"cameras:{self.rig} preset",
            f"sweeps:{sweeps}",
        )


def _is_log(path: Path) -> bool:
    return (path / "city_SE3_egovehicle.feather").is_file() or (path / "annotations.feather").is_file()


@dataclass(frozen=True, eq=False)
class _Poses:
    """The ego's poses in the city frame, moved down to the ground."""

    time: np.ndarray  # (n,) int64 [ns], increasing
    city_from_ego: Tensor  # (n, 4, 4) float64

    @staticmethod
    def read(path: Path) -> _Poses:
        table = read_table(path, ("timestamp_ns", *QUATERNION, *TRANSLATION))
        if not len(table["timestamp_ns"]):
            raise InputError(f"{path}: holds no pose")
        time, first = np.unique(table["timestamp_ns"], return_index=True)
        down = torch.eye(4, dtype=torch.float64)
        down[2, 3] = -AXLE_HEIGHT
        return _Poses(time, (transforms(table, path) @ down)[torch.from_numpy(first)])

    def at(self, time: np.ndarray) -> Tensor:
        """(m, 4, 4) at times [ns], interpolated; the end poses beyond the ends."""
        from scipy.spatial.transform import Rotation, Slerp

        if len(self.time) == 1:
            return self.city_from_ego.expand(len(time), 4, 4)
        clock = (self.time - self.time[0]) * 1e-9
        when = np.clip((np.asarray(time) - self.time[0]) * 1e-9, clock[0], clock[-1])
        turn = Slerp(clock, Rotation.from_matrix(self.city_from_ego[:, :3, :3].numpy()))(when).as_matrix()
        xyz = self.city_from_ego[:, :3, 3].numpy()
        place = np.column_stack([np.interp(when, clock, xyz[:, i]) for i in range(3)])
        return transform(torch.from_numpy(turn), torch.from_numpy(place))


@dataclass(frozen=True, eq=False)
class _Boxes:
    """All annotated boxes in the city frame."""

    track: np.ndarray  # (n,) uuid
    category: np.ndarray  # (n,)
    time: np.ndarray  # (n,) int64 [ns]
    size: np.ndarray  # (n, 3) [m]
    bottom: Tensor  # (n, 3) centre of the bottom
    euler: tuple[Tensor, Tensor, Tensor]  # yaw, pitch, roll, each (n,)


def _tracks(path: Path, poses: _Poses) -> tuple[_Boxes, int, int]:
    """The boxes, the time of step 0 [ns] and the number of steps."""
    sizes = ("length_m", "width_m", "height_m")
    table = read_table(path, ("timestamp_ns", "track_uuid", "category", *sizes, *QUATERNION, *TRANSLATION))
    time = table["timestamp_ns"]
    if not len(time):
        raise NotDrivable(f"{path}: no box in it")
    zero, last = int(time.min()), int(time.max())
    if zero < poses.time[0] - 10**8 or last > poses.time[-1] + 10**8:
        raise InputError(
            f"{path}: boxes lie outside the time of the ego's poses; the files belong to different logs"
        )
    moments, which = np.unique(time, return_inverse=True)
    ego_from_box = transforms(table, path)
    size = np.column_stack([table[c] for c in sizes]).astype(np.float64)
    ego_from_box[:, 2, 3] += AXLE_HEIGHT
    city_from_box = poses.at(moments)[torch.from_numpy(which)] @ ego_from_box
    bottom = city_from_box[:, :3, 3] - city_from_box[:, :3, 2] * torch.from_numpy(size[:, 2:] / 2)
    euler = euler_from_rotation(city_from_box[:, :3, :3])
    boxes = _Boxes(table["track_uuid"], table["category"], time, size, bottom, euler)
    return boxes, zero, int((last - zero) * 1e-9 / DT + 0.5) + 1


def _agents(boxes: _Boxes, poses: _Poses, origin: Tensor, zero: int, steps: int) -> tuple[Agents, list[str]]:
    tracks = [_ego(poses, origin, zero)]
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
        tracks.append(
            loading.Track(name, kind, size, time[rows], xyz[rows], yaw[rows], pitch[rows], roll[rows])
        )
    return loading.assemble(tracks, steps), [t.id for t in tracks]


def _ego(poses: _Poses, origin: Tensor, zero: int) -> loading.Track:
    world_from_ego = poses.city_from_ego.clone()
    world_from_ego[:, :3, 3] -= origin
    xy, z, yaw, pitch, roll = VEHICLE.box_from_ego(world_from_ego)
    xyz = torch.cat([xy, z[:, None]], -1).numpy()
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    time = (poses.time - zero) * 1e-9
    return loading.Track("ego", Kind.CAR, size, time, xyz, yaw.numpy(), pitch.numpy(), roll.numpy())


def _sensors(
    log: Path, cameras: Sequence[Camera], poses: _Poses, origin: Tensor, zero: int
) -> SensorLog | None:
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
        RecordedSweep(
            (int(path.stem) - zero) * 1e-9, apply(pose, head[None])[0], partial(_read_sweep, path, pose)
        )
        for path, pose in zip(files, world_from_ego, strict=True)
    )
    return SensorLog(images, sweeps) if images or sweeps else None


def _recorded(folder: Path, pattern: str, poses: _Poses, origin: Tensor) -> tuple[list[Path], Tensor]:
    """Files named by their time stamp, ordered by time, and world_from_ego (n, 4, 4) at those."""
    files = sorted((p for p in folder.glob(pattern) if p.stem.isdigit()), key=lambda p: int(p.stem))
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
