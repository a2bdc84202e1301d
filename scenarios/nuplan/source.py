"""nuPlan's logs as scenarios."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from drivesim import loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.loading import Track
from drivesim.restricted_pickle import Refused
from drivesim.types import DT, Camera, Place, Scenario, SensorLog

from .boxes import VEHICLE, axle_height, ego_track, ground_poses, on_wheels, other_tracks
from .cameras import own_cameras, photos_on_disk
from .folders import CITIES, city_of, logs, looks_like_nuplan, map_of, photos_of
from .layers import read_layers
from .lights import signals_of
from .logs import Excerpt, names_of, read_excerpt, starts
from .projection import TransverseMercator, utm
from .roads import World, ground_of, mapped, unmapped

LICENCE = "CC BY-NC-SA 4.0 + nuPlan terms (Motional, https://www.nuscenes.org/terms-of-use)"

_ID = re.compile(r"(.+)-([0-9a-f]{2,32})")


@dataclass(frozen=True)
class NuPlan:
    """Logs under `root`: nuPlan's folder `dataset`, `nuplan-v1.1` or `splits`, one split, or one db.

    A log is cut into scenarios of `seconds`; their ids are the log's name and the token of their first lidar_pc. Any
    other lidar_pc of the log may be asked for in the same way. `maps` is the folder of maps or one map.gpkg where none
    is beside or above the logs, nor where NUPLAN_MAPS_ROOT points. A log with photos on disk is seen through its own
    cameras, `height` px high; one without through the preset `rig` at `width` x `height`.
    """

    root: str
    seconds: float = 20.0
    maps: str = ""
    rig: str = "nuscenes"
    width: int = 400  # [px]
    height: int = 224

    def __post_init__(self) -> None:
        if not 2.0 <= self.seconds <= 600.0:
            raise InputError(f"scenarios.seconds={self.seconds}: 2 to 600 seconds are expected")

    @staticmethod
    def recognizes(root: Path) -> bool:
        try:
            return looks_like_nuplan(root)
        except OSError:
            return False

    def ids(self) -> list[str]:
        return sorted([*self._found[0], *self._found[1]])

    def undrivable(self) -> dict[str, str]:
        """Logs, by name, in which no scenario can be found."""
        return dict(self._found[1])

    def fingerprint(self, id: str) -> str:
        """Of the options and the files' sizes, first and last pages: sqlite counts its changes on the first."""
        path, _ = self._begin(id)
        road, photos = map_of(path, names_of(path), self.maps), photos_of(path)
        parts = [_gist(file) for file in (path, road) if file]
        cameras = sorted(p.name for p in (photos / path.stem).iterdir()) if photos else []
        size = f"{self.width}x{self.height}"
        return loading.fingerprint([], id, *parts, *cameras, f"{self.seconds:g} s", self.rig, size)

    def load(self, id: str) -> Scenario:
        path, token = self._begin(id)
        folder = photos_of(path)
        log = read_excerpt(path, token, self.seconds, sensors=folder is not None)
        lift, told = axle_height(log)
        poses = ground_poses(log.ego, lift)
        origin = poses[0, :3, 3].clone()
        poses[:, :3, 3] -= origin
        ego, others = ego_track(log, poses), other_tracks(log, origin.numpy())
        world, plane, problems = self._world(log, origin.numpy(), ego, others)
        steps = int(log.time[-1] / DT + 0.5) + 1
        heights = {"ground": 0.7, "axle height": 0.8 if told else 0.5}
        signals, strange = signals_of(log.lights, world.signal_lines, world.map.lanes, steps)
        if strange:
            problems.append(f"traffic lights of {strange} lane connectors left out: the map holds none of these")
        cameras, sensors, more = self._cameras(log, folder, origin, lift)
        return loading.compose(
            id=id, source="nuplan", fingerprint=self.fingerprint(id), tracks=[ego, *others], steps=steps,
            map=world.map, vehicle=VEHICLE, cameras=cameras, licence=LICENCE, origin=origin, signals=signals,
            sensors=sensors, tags=("real", f"city:{city_of(log.names)}", *log.tags),
            place=_place(log, plane, origin.numpy()), inferred={**heights, **world.inferred},
            problems=(*problems, *world.problems, *more),
        )  # fmt: skip

    def _world(
        self, log: Excerpt, origin: np.ndarray, ego: Track, others: list[Track]
    ) -> tuple[World, TransverseMercator | None, list[str]]:
        city, wheels = city_of(log.names), on_wheels(others)
        plane, ground = utm(CITIES.get(city, log.epsg)), ground_of(ego, wheels)
        path, problem = (
            map_of(log.path, log.names, self.maps),
            f"no map of '{city}' found: lanes are where traffic drove",
        )
        if path is not None:
            layers = read_layers(path, log.ego[:, :2], plane)
            world = mapped(layers, origin, ground)
            if world is not None:
                return world, plane, []
            problem = f"{path} holds no lane near the drive: lanes are where traffic drove"
        return unmapped(ego, wheels, ground), plane, [problem]

    def _cameras(self, log: Excerpt, folder: Path | None, origin: torch.Tensor, lift: float) -> tuple[
        tuple[Camera, ...], SensorLog | None, list[str]
    ]:  # fmt: skip
        preset = rigs.rig(self.rig, self.width, self.height)
        if folder is None or not log.photos:
            return preset, None, []
        try:
            cameras = own_cameras(log, self.height, lift)
        except Refused as error:
            return preset, None, [f"cameras are the preset {self.rig}, and photos are left out: {error}"]
        sensors, lost = photos_on_disk(log, folder, cameras, origin, lift)
        told = [f"{lost} of {len(log.photos)} photos are not in {folder.name}"] if lost else []
        return (cameras, sensors, told) if sensors else (preset, None, told)

    @cached_property
    def _logs(self) -> dict[str, Path]:
        root = Path(self.root).expanduser()
        if not root.exists():
            raise InputError(f"{root}: no such folder; scenarios.root is the folder of nuPlan's logs, or one db")
        found = logs(root)
        if not found:
            raise InputError(f"{root}: no nuPlan log (nuplan-v1.1/splits/*/*.db, sqlite) in it")
        return found

    @cached_property
    def _found(self) -> tuple[list[str], dict[str, str]]:
        """Ids of what can be driven, and reasons by name for the logs that cannot."""
        good, bad = [], {}
        for name, path in self._logs.items():
            try:
                good += [f"{name}-{token}" for token in dict.fromkeys(starts(path, self.seconds))]
            except InputError as error:
                bad[name] = str(error)
        if not good and len(bad) == 1:
            raise InputError(next(iter(bad.values())))
        return good, bad

    def _begin(self, id: str) -> tuple[Path, str]:
        match = _ID.fullmatch(id)
        if id in self._logs and not (match and match[1] in self._logs):
            raise NotDrivable(self.undrivable().get(id, f"{id}: a log; scenarios in it are {id}-<token of a lidar_pc>"))
        if not match or match[1] not in self._logs or len(match[2]) % 2:
            some = ", ".join(sorted(self._logs)[:3])
            raise InputError(f"no nuPlan scenario '{id}' under {self.root}; ids are <log>-<token>, logs are {some} ...")
        return self._logs[match[1]], match[2]


def _place(log: Excerpt, plane: TransverseMercator | None, origin: np.ndarray) -> Place:
    if plane is None:
        return Place(city_of(log.names))
    longitude, latitude = plane.inverse(origin[None, :2])[0].tolist()
    return Place(city_of(log.names), latitude, longitude)


def _gist(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(1 << 16)
        file.seek(max(size - (1 << 16), 0))
        return f"{size} {first.hex()} {file.read(1 << 16).hex()}"
