"""Argoverse 2 sensor logs and motion-forecasting scenarios as scenarios."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drivesim import loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.lidar.sweeps import scenery_from_sweeps
from drivesim.types import Scenario, SensorLog

from . import logs
from .boxes import VEHICLE, Poses, read_boxes, tracks_of
from .cities import place_of
from .forecasting import read_forecast
from .logs import Log
from .roads import read_map
from .sensors import own_cameras, sensors_of

START = 10  # a second of history before the planner takes over

UNANNOTATED = "it has no annotations.feather, so nobody to meet (logs of the test split come without)"

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

    def undrivable(self) -> dict[str, str]:
        """Sensor logs of the test split, and those of the lidar and map change data sets: nobody else is annotated."""
        logs_ = logs.everything(self._root)
        return {id: UNANNOTATED for id, log in sorted(logs_.items()) if not (log.forecast or log.annotations.is_file())}

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
        if not log.annotations.is_file():
            raise NotDrivable(f"{log.annotations}: not there; {UNANNOTATED}")
        poses = Poses.read(folder / "city_SE3_egovehicle.feather")
        boxes, zero, steps = read_boxes(log.annotations, poses)
        origin = poses.at(np.array([zero]))[0, :3, 3]
        road = read_map(folder / "map", origin.numpy())
        cameras = own_cameras(folder, self.height) or rigs.rig(self.rig, self.width, self.height)
        sensors = sensors_of(folder, cameras, poses, origin, zero)
        try:
            scenario = loading.compose(
                id=log.id, source="argoverse2", fingerprint=self.fingerprint(log.id),
                tracks=tracks_of(boxes, poses, origin, zero), steps=steps, start=START, map=road, vehicle=VEHICLE,
                cameras=cameras, licence=LICENCE, origin=origin, sensors=sensors, tags=self._tags(folder, sensors),
                place=place_of(_city(folder), origin.numpy()),
            )  # fmt: skip
        except InputError as error:
            raise type(error)(f"{folder}: {error}") from None
        scenery = scenery_from_sweeps(sensors.sweeps if sensors else (), scenario.log, road)
        return replace(scenario, scene=replace(scenario.scene, scenery=scenery))

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
