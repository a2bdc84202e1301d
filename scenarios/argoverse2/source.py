"""Argoverse 2 sensor logs as scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drivesim import loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.lidar.sweeps import scenery_from_sweeps
from drivesim.types import DT, Briefing, Scenario, Scene, SensorLog, Signals

from .boxes import VEHICLE, Poses, agents_of, read_boxes
from .roads import read_map
from .sensors import own_cameras, sensors_of

START = 10  # a second of history before the planner takes over

LICENCE = "CC BY-NC-SA 4.0 (Argoverse 2, argoverse.org/about.html#terms-of-use)"


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
        poses = Poses.read(log / "city_SE3_egovehicle.feather")
        boxes, zero, steps = read_boxes(log / "annotations.feather", poses)
        if steps < START + 2:
            raise NotDrivable(f"{log}: {steps} frames at 10 Hz; at least {START + 2} are needed")
        origin = poses.at(np.array([zero]))[0, :3, 3]
        agents, ids = agents_of(boxes, poses, origin, zero, steps)
        if not agents.valid[:, 0].all():
            gap = int((~agents.valid[:, 0]).nonzero()[0])
            raise InputError(f"{log / 'city_SE3_egovehicle.feather'}: no pose of the ego at {gap * DT:.1f} s")
        road = read_map(log / "map", origin.numpy())
        cameras = own_cameras(log, self.height) or rigs.rig(self.rig, self.width, self.height)
        sensors = sensors_of(log, cameras, poses, origin, zero)
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
            raise InputError(f"{root}: no such folder; scenarios.root is the folder of the Argoverse 2 sensor logs")
        for depth in ("", "*", "*/*"):
            logs = {p.resolve().name: p for p in sorted(root.glob(depth) if depth else [root]) if _is_log(p)}
            if logs:
                return logs
        raise InputError(f"{root}: no Argoverse 2 sensor log (a folder with city_SE3_egovehicle.feather) in it")

    def _log(self, id: str) -> Path:
        logs = self._logs()
        if id not in logs:
            raise InputError(
                f"no Argoverse 2 log '{id}' under {self.root}; there are {', '.join(sorted(logs)[:4])} ..."
            )
        return logs[id]

    def _tags(self, log: Path, sensors: SensorLog | None) -> tuple[str, ...]:
        city = next((p.name.split("____")[-1].split("_")[0] for p in sorted(log.glob("map/log_map_archive_*"))), "")
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
