"""PandaSet sequences as scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drivesim import rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import euler_from_rotation
from drivesim.loading import Track, assemble, command_of, fingerprint, route_along
from drivesim.types import (
    DT, Briefing, Camera, Kind, RecordedSweep, Scenario, Scene, SensorLog, Signals, Vehicle,
)  # fmt: skip

from .cameras import read_cameras
from .cuboids import FORWARD, read_tracks
from .recording import EGO_FROM_POSE, LIDAR, TYRE, Poses, numbered, read_poses, read_sweep
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
        street = Street.read(folder, _lines(folder), poses, others, start)
        world_from_ego = _world_from_ego(poses.at(start + np.arange(steps) * DT), street.axle)
        origin = world_from_ego[0, :3, 3].copy()
        world_from_ego[:, :3, 3] -= origin
        others = [_shifted(track, origin) for track in others]
        log = assemble([_ego(world_from_ego), *others], steps)
        seen = log.valid.any(0)
        log, names = log[:, seen], ["ego", *(t.id for t in others)]
        map, scenery = street.build(log, origin, VEHICLE)
        cameras, images = read_cameras(folder / "camera", poses, street.axle, start, origin)
        route = route_along(map, log.xy[:, 0].double().numpy(), yaw=float(log.yaw[0, 0]))
        begin = min(START, (steps - 1) // 2)
        views = [c.resized(self.width, self.height) for c in cameras]
        views = views or list(rigs.rig("pandaset", self.width, self.height))
        briefing = Briefing(route, command_of(route, log.xy[begin, 0]), VEHICLE, tuple(views))
        return Scenario(
            id=id, source="pandaset", fingerprint=self.fingerprint(id),
            scene=Scene(map, scenery, Signals.none(), briefing),
            log=log, track_ids=tuple(n for n, s in zip(names, seen.tolist(), strict=True) if s), start=begin,
            sensors=SensorLog(images, _sweeps(folder, poses, start, origin)),
            origin=torch.from_numpy(origin), licence=LICENCE, tags=_tags(street, cameras),
        )  # fmt: skip
