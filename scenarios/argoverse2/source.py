"""Argoverse 2 sensor logs and motion-forecasting scenarios as scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivesim import loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.lidar.sweeps import scenery_from_sweeps
from drivesim.types import DT, Briefing, Scenario, Scene, SensorLog, Signals

from . import logs
from .boxes import VEHICLE, Poses, agents_of, read_boxes
from .cities import place_of
from .forecasting import read_forecast
from .logs import Log
from .roads import read_map
from .sensors import own_cameras, sensors_of

START = 10  # a second of history before the planner takes over

LICENCE = "CC BY-NC-SA 4.0 (Argoverse 2, argoverse.org/about.html#terms-of-use)"


@dataclass(frozen=True)
class Argoverse2:
    """Sensor logs and motion-forecasting scenarios under `root`: the folder of the logs, one log, one scenario's
    parquet file, or a folder above `train`, `val` and `test`.

    A log with calibration is seen through its own cameras, `height` px high and as wide as their aspect ratio
    says; one without through the preset `rig` at `width` x `height`.
    """

    root: str
    rig: str = "nuscenes"
    width: int = 400  # [px]
    height: int = 224  # [px]

    @staticmethod
    def recognizes(root: Path) -> bool:
        return logs.looks_like(root)

    def ids(self) -> list[str]:
        return sorted(logs.everything(self._root))

    def fingerprint(self, id: str) -> str:
        log = logs.find(self._root, id)
        options = (self.rig, f"{self.width}x{self.height}")
        if log.forecast:
            return loading.fingerprint([p for p in (log.path, log.archive) if p.is_file()], *options)
        files = [
            *sorted(log.path.glob("*.feather")),
            *sorted(log.path.glob("calibration/*")),
            *sorted(log.path.glob("map/*")),
        ]
        recorded = sorted(f"{p.relative_to(log.path)} {p.stat().st_size}" for p in log.path.glob("sensors/**/*.*"))
        return loading.fingerprint(files, *recorded, *options)

    def load(self, id: str) -> Scenario:
        log = logs.find(self._root, id)
        return self._forecast(log) if log.forecast else self._sensor_log(log)

    @property
    def _root(self) -> Path:
        return Path(self.root).expanduser()

    def _forecast(self, log: Log) -> Scenario:
        scene = read_forecast(log.path, log.archive)
        return loading.compose(
            id=log.id, source="argoverse2", fingerprint=self.fingerprint(log.id),
            tracks=scene.tracks, steps=scene.steps, start=START, map=scene.map, vehicle=VEHICLE,
            cameras=rigs.rig(self.rig, self.width, self.height), licence=LICENCE, origin=scene.origin,
            tags=("real", "forecasting", f"city:{scene.city}", f"focal:{scene.focal}", f"cameras:{self.rig} preset"),
            place=place_of(scene.city, scene.origin),
            inferred={"sizes": 0.5, "ground": 0.8}, problems=scene.problems,
        )  # fmt: skip

    def _sensor_log(self, log: Log) -> Scenario:
        folder = log.path
        poses = Poses.read(folder / "city_SE3_egovehicle.feather")
        boxes, zero, steps = read_boxes(folder / "annotations.feather", poses)
        if steps < START + 2:
            raise NotDrivable(f"{folder}: {steps} frames at 10 Hz; at least {START + 2} are needed")
        origin = poses.at(np.array([zero]))[0, :3, 3]
        agents, ids = agents_of(boxes, poses, origin, zero, steps)
        if not agents.valid[:, 0].all():
            gap = int((~agents.valid[:, 0]).nonzero()[0])
            raise InputError(f"{folder / 'city_SE3_egovehicle.feather'}: no pose of the ego at {gap * DT:.1f} s")
        road = read_map(folder / "map", origin.numpy())
        cameras = own_cameras(folder, self.height) or rigs.rig(self.rig, self.width, self.height)
        sensors = sensors_of(folder, cameras, poses, origin, zero)
        scenery = scenery_from_sweeps(sensors.sweeps if sensors else (), agents, road)
        route = loading.route_along(road, agents.xy[:, 0].double().numpy(), yaw=float(agents.yaw[0, 0]))
        command = loading.command_of(route, agents.xy[START, 0])
        return Scenario(
            id=log.id, source="argoverse2", fingerprint=self.fingerprint(log.id),
            scene=Scene(road, scenery, Signals.none(), Briefing(route, command, VEHICLE, cameras)),
            log=agents, track_ids=tuple(ids), start=START, sensors=sensors, origin=origin, licence=LICENCE,
            tags=self._tags(folder, sensors), place=place_of(_city(folder), origin.numpy()),
        )  # fmt: skip

    def _tags(self, folder: Path, sensors: SensorLog | None) -> tuple[str, ...]:
        own = (folder / "calibration" / "intrinsics.feather").is_file()
        sweeps = len(sensors.sweeps) if sensors else 0
        return (
            "real",
            f"city:{_city(folder)}",
            "cameras:own" if own else f"cameras:{self.rig} preset",
            f"sweeps:{sweeps}",
        )


def _city(folder: Path) -> str:
    return next((p.name.split("____")[-1].split("_")[0] for p in sorted(folder.glob("map/log_map_archive_*"))), "")
