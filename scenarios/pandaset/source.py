"""PandaSet sequences as scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drivesim import rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.loading import Track, assemble, check, command_of, fingerprint, route_along
from drivesim.types import (
    DT,
    Briefing,
    Camera,
    Kind,
    RecordedImage,
    RecordedSweep,
    Scenario,
    Scene,
    SensorLog,
    Signals,
    Vehicle,
)

from .cameras import read_cameras
from .cuboids import FORWARD, read_tracks
from .recording import EGO_FROM_POSE, LIDAR, Poses, numbered, read_moments, read_place, read_poses, read_sweep
from .street import Street, read_street

VEHICLE = Vehicle()
"""The Chrysler Pacifica of the fleet: the one whose size is the default."""

START = 10
"""A second of history before the planner takes over."""

LICENCE = "CC BY 4.0 + PandaSet terms (Hesai and Scale AI, https://pandaset.org)"


@dataclass(frozen=True)
class PandaSet:
    """The folder that holds PandaSet's sequences (001, 002, ...), each with camera, lidar, annotations and meta.

    Step 0 is the middle of the first sweep, when the front camera's first photo was taken: 0.05 s before the time
    stamp that the sweep's end gives frame 0. So the cuboids ahead of the car, its own pose and the front photo of
    frame k belong to step k, and the other cameras' photos lie within half a step.
    """

    root: str = ""
    width: int = 400  # of the planner's cameras [px]
    height: int = 224

    @staticmethod
    def recognizes(root: Path) -> bool:
        try:
            return bool(PandaSet(str(root)).ids())
        except (InputError, OSError):
            return False

    def ids(self) -> list[str]:
        return sorted(self._sequences())

    def fingerprint(self, id: str) -> str:
        folder = self._folder(id)
        files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
        read = [p for p in files if p.suffix != ".jpg"] + [p for p in [_lines(folder)] if p.is_file()]
        photos = [f"{p.relative_to(folder)} {p.stat().st_size}" for p in files if p.suffix == ".jpg"]
        return fingerprint(read, *photos, f"{self.width}x{self.height}")

    def load(self, id: str) -> Scenario:
        folder = self._folder(id)
        poses = read_poses(folder / "lidar")
        if len(poses.time) < 2:
            raise NotDrivable(f"{folder}: one frame; a drive needs two at least")
        start = float(poses.time[0]) - FORWARD
        steps = int((poses.time[-1] - start) / DT + 1e-6) + 1
        if steps < 3:
            raise NotDrivable(f"{folder}: {poses.time[-1] - poses.time[0]:.2f} s; a drive needs 0.3 s at least")
        cuboids = numbered(folder / "annotations" / "cuboids", "pkl.gz", "pkl")
        if not cuboids:
            raise InputError(f"{folder / 'annotations' / 'cuboids'}: no cuboids in it; is the download complete?")
        others = read_tracks(cuboids, poses, start)
        street = read_street(folder, _lines(folder), poses, others, start)
        world_from_ego = _world_from_ego(poses.at(start + np.arange(steps) * DT), street.axle)
        origin = world_from_ego[0, :3, 3].copy()
        world_from_ego[:, :3, 3] -= origin
        others = [_shifted(track, origin) for track in others]
        log = assemble([_ego(world_from_ego), *others], steps)
        seen = log.valid.any(0)
        log, names = log[:, seen], ["ego", *(t.id for t in others)]
        map, scenery, inferred = street.build(log, origin, world_from_ego[:, :3, 3])
        cameras, images = read_cameras(folder / "camera", poses, street.axle, start, origin)
        route = route_along(map, log.xy[:, 0].double().numpy(), yaw=float(log.yaw[0, 0]))
        begin = min(START, (steps - 1) // 2)
        views = [c.resized(self.width, self.height) for c in cameras]
        views = views or list(rigs.rig("pandaset", self.width, self.height))
        briefing = Briefing(route, command_of(route, log.xy[begin, 0]), VEHICLE, tuple(views))
        return check(Scenario(
            id=id, source="pandaset", fingerprint=self.fingerprint(id),
            scene=Scene(map, scenery, Signals.none(), briefing),
            log=log, track_ids=tuple(n for n, s in zip(names, seen.tolist(), strict=True) if s), start=begin,
            sensors=SensorLog(images, _sweeps(folder, poses, start, origin)),
            origin=torch.from_numpy(origin), licence=LICENCE, tags=_tags(street, cameras),
            place=read_place(folder / "meta" / "gps.json"), inferred=inferred,
            problems=_missing(images, len(poses.time)),
        ))  # fmt: skip

    def _sequences(self) -> dict[str, Path]:
        if not self.root:
            raise InputError("scenarios.root is not given: name the folder that holds PandaSet's sequences (001, ...)")
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; scenarios.root is the folder of PandaSet's sequences (001, ...)")
        for folders in ([root], root.iterdir()):
            found = {p.resolve().name: p for p in folders if (p / "lidar").is_dir() and (p / "camera").is_dir()}
            if found:
                return found
        raise InputError(f"{root}: no PandaSet sequence (a folder like 001 with lidar and camera) in it")

    def _folder(self, id: str) -> Path:
        sequences = self._sequences()
        if id not in sequences:
            known = sorted(sequences)
            raise InputError(f"no PandaSet sequence {id!r} in {self.root}; there are {', '.join(known[:8])}")
        return sequences[id]


def _lines(folder: Path) -> Path:
    """Lane lines, where somebody drew some: beside the sequences."""
    return folder.parent / "lanes_3d_world" / f"{folder.resolve().name}.json"


def _world_from_ego(world_from_pose: np.ndarray, axle: float) -> np.ndarray:
    """Poses (T, 4, 4) of the ego frame from those of PandaSet's: axes turned, origin lowered to the road."""
    pose_from_ego = np.eye(4)
    pose_from_ego[:3, :3] = EGO_FROM_POSE.T
    pose_from_ego[2, 3] = -axle
    return world_from_pose @ pose_from_ego


def _ego(world_from_ego: np.ndarray) -> Track:
    """The ego's box, on the grid of steps already."""
    xy, z, yaw, pitch, roll = VEHICLE.box_from_ego(torch.from_numpy(world_from_ego))
    time = np.arange(len(world_from_ego)) * DT
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    xyz = np.column_stack([xy.numpy(), z.numpy()])
    return Track("ego", Kind.CAR, size, time, xyz, *(a.numpy() for a in (yaw, pitch, roll)))


def _shifted(track: Track, origin: np.ndarray) -> Track:
    return replace(track, xyz=track.xyz - origin)


def _sweeps(folder: Path, poses: Poses, start: float, origin: np.ndarray) -> tuple[RecordedSweep, ...]:
    world_from_pose = poses.matrices()
    seats = world_from_pose[:, :3, :3] @ LIDAR + world_from_pose[:, :3, 3] - origin
    return tuple(
        RecordedSweep(
            float(poses.time[i] - FORWARD - start),
            torch.from_numpy(seats[i]),
            partial(_shifted_sweep, path, origin),
            partial(_moments, path, float(poses.time[i] - FORWARD)),
        )
        for i, path in numbered(folder / "lidar", "pkl.gz", "pkl").items()
        if i < len(poses.time)
    )


def _shifted_sweep(path: Path, origin: np.ndarray) -> Tensor:
    xyz = read_sweep(path)
    xyz = xyz[np.isfinite(xyz).all(1)]
    return torch.from_numpy(xyz - origin.astype(np.float32))


def _moments(path: Path, middle: float) -> Tensor:
    """When the points were hit after the middle of their sweep (n,) [s]; zero where the file does not tell."""
    known = np.isfinite(read_sweep(path)).all(1)
    moments = read_moments(path)
    if moments is None:
        return torch.zeros(int(known.sum()))
    return torch.from_numpy((moments[known] - middle).astype(np.float32))


def _tags(street: Street, cameras: list[Camera]) -> tuple[str, ...]:
    return (
        "real",
        f"cameras:{'own' if cameras else 'pandaset preset'}",
        f"sweeps:{street.sweeps}",
        f"lanes:{street.lanes_from}",
    )


def _missing(images: Mapping[str, Sequence[RecordedImage]], frames: int) -> tuple[str, ...]:
    """Cameras that have photos, but not one a frame."""
    short = {name: len(log) for name, log in sorted(images.items()) if 0 < len(log) < frames}
    return tuple(f"{name} has photos of {count} of {frames} frames" for name, count in short.items())
