"""nuScenes scenes as scenarios."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from drivesim import loading
from drivesim.errors import InputError, NotDrivable
from drivesim.lidar.sweeps import scenery_from_sweeps
from drivesim.types import DT, Map, Scenario, Scenery, SensorLog

from . import tables
from .boxes import MAX_GAP, VEHICLE, agent_tracks, ego_track, lifted, smoothed
from .cache import open_index, remember
from .canbus import message_files, with_velocity
from .heights import climb
from .names import check_names
from .roads import Road, read_road
from .rows import SceneRows
from .sensors import LIDAR, cameras_of, ego_poses, files_there, sensor_log
from .world import World, place_of

START = 10  # a second of history before the planner takes over

LONGEST = 600.0  # [s] between the first and the last key frame; scenes have 20
FASTEST = 100.0  # [m/s] between two poses of the ego

LICENCE = "CC BY-NC-SA 4.0 and the nuScenes terms of use (non-commercial), nuscenes.org/terms-of-use"


@dataclass(frozen=True)
class NuScenes:
    """The scenes of a release under `root` (which holds v1.0-mini, v1.0-trainval or v1.0-test, samples and maps).

    Key frames at 2 Hz are joined to 10 Hz by splines through the annotated poses. The planar localisation of the data
    set is given its height back (`heights.climb`); at step 0 and in x, y and all angles the world is the tables'.
    The tables are read once and kept as columns on disk (`cache`). Releases without boxes are driven alone.
    """

    root: str
    version: str = ""  # "" takes the largest release that is there
    width: int = 400  # [px] of all six cameras
    height: int = 224  # [px]

    @staticmethod
    def recognizes(root: Path) -> bool:
        return tables.looks_like(Path(root))

    def ids(self) -> list[str]:
        folder = self._folder()
        names = [row.name for row in tables.read_table(folder, "scene", tables.Scene)]
        check_names(folder / "scene.json", names)
        return sorted(names)

    def undrivable(self) -> dict[str, str]:
        """Scenes that `load` refuses, with the reason."""
        index = open_index(self._folder())
        times = index.columns["sample_time"]
        reasons = ((s.name, s.fault or _refusal(times[slice(*s.samples)])) for s in index.contents.scenes)
        return {name: reason for name, reason in sorted(reasons) if reason}

    def fingerprint(self, id: str) -> str:
        """Of the scene's rows and maps, and of which sweeps are there: scenery is made of them. Photos change no
        drive."""
        folder = self._folder()
        return self._fingerprint(SceneRows.of(folder, id), folder.parent)

    def load(self, id: str) -> Scenario:
        folder = self._folder()
        rows = SceneRows.of(folder, id)
        if refusal := _refusal(rows.time):
            raise NotDrivable(f"{id}: {refusal}")
        try:
            return self._load(rows, folder.parent)
        except InputError as error:
            if id in str(error) or str(folder.parent) in str(error):
                raise
            raise type(error)(f"{folder}: {id}: {error}") from None

    def _folder(self) -> Path:
        return tables.table_folder(self.root, self.version)

    def _load(self, rows: SceneRows, root: Path) -> Scenario:
        world, tracks, problems = _tracks(rows)
        tracks[0], measured, more = with_velocity(tracks[0], root, rows.name, world)
        problems += more
        road = _road(rows, root, tracks, world)
        cameras, unseen = cameras_of(rows.recorded, self.width, self.height)
        sensors, files, missing = sensor_log(rows.recorded, root, cameras, world)
        steps = int(world.seconds(int(rows.time[-1])) / DT + 1e-3) + 1
        scenery, more = _scenery(sensors, tracks, steps, road.map)
        problems += more
        return loading.compose(
            id=rows.name, source="nuscenes", fingerprint=self._fingerprint(rows, root), tracks=tracks, steps=steps,
            map=road.map, vehicle=VEHICLE, cameras=cameras, licence=LICENCE, origin=world.origin, start=START,
            max_gap=MAX_GAP, sensors=sensors, scenery=scenery,
            tags=("real", f"city:{rows.location}", road.word, "heights:rebuilt", files,
                  *([f"can_bus:{measured}"] if measured else []), *([] if rows.annotated else ["boxes:none"])),
            place=place_of(rows.location, float(world.origin[0]), float(world.origin[1])),
            inferred={"heights": 0.8 if len(tracks) > 1 else 0.5, **road.inferred},
            problems=[*rows.problems, *problems, *road.problems, *unseen, *missing],
        )  # fmt: skip

    def _fingerprint(self, rows: SceneRows, root: Path) -> str:
        used = [_vectors(root, rows.location), _picture(root, rows.picture), *message_files(root, rows.name)]
        content = [_hash(p, p.stat().st_size, p.stat().st_mtime_ns) for p in used if p is not None and p.is_file()]
        sweeps = rows.recorded.get(LIDAR)
        there = files_there(root, sweeps.files) if sweeps else np.zeros(0, np.int64)
        swept = " ".join(f"{sweeps.time[i]}:{there[i]}" for i in np.flatnonzero(there >= 0)) if sweeps else ""
        return loading.fingerprint([], rows.digest, *content, swept, f"{self.width}x{self.height}", rows.name)


def _tracks(rows: SceneRows) -> tuple[World, list[loading.Track], list[str]]:
    """The world frame, the tracks of all in it, the ego first, and what was left out."""
    zero = int(rows.time[0])
    time, map_from_ego = ego_poses(rows.recorded, zero)
    moved = np.hypot(*np.diff(map_from_ego[:, :2, 3].numpy(), axis=0).T)
    if (moved > FASTEST * np.diff(time) + 5.0).any():
        jump = int((moved - FASTEST * np.diff(time)).argmax())
        raise InputError(f"the poses of the ego in ego_pose.json jump by {moved[jump]:.0f} m at {time[jump]:.2f} s")
    origin = map_from_ego[int(np.abs(time).argmin()), :3, 3].clone()
    flat = World(origin, zero, np.zeros(1), np.zeros(1))
    ego = ego_track(flat, time, map_from_ego)
    others, problems = agent_tracks(rows.boxes, flat, ego)
    if not rows.annotated:
        problems.append("this release has no boxes: the ego drives alone")
    if rows.index.note:
        problems.append(f"the tables are read anew by each process: {rows.index.note}")
    world = replace(flat, **dict(zip(("time", "rise"), climb([ego, *others]), strict=True)))
    return world, smoothed([lifted(track, world) for track in (ego, *others)]), problems


def _road(rows: SceneRows, root: Path, tracks: list[loading.Track], world: World) -> Road:
    keep = partial(remember, rows.index, rows.name)
    return read_road(_vectors(root, rows.location), _picture(root, rows.picture), tracks, world.origin.numpy(), keep)


def _scenery(
    sensors: SensorLog | None, tracks: list[loading.Track], steps: int, road: Map
) -> tuple[Scenery, list[str]]:
    """What stands beside the road, where there are sweeps; for the eye alone, so that a broken sweep sinks nothing."""
    if sensors is None or not sensors.sweeps:
        return Scenery.none(), []
    try:
        return scenery_from_sweeps(sensors.sweeps, loading.assemble(tracks, steps, max_gap=MAX_GAP), road), []
    except InputError as error:
        return Scenery.none(), [f"no scenery: {error}"]


def _vectors(root: Path, location: str) -> Path:
    plain = location if location.replace("-", "").replace("_", "").isalnum() else "nowhere"
    return root / "maps" / "expansion" / f"{plain}.json"


def _picture(root: Path, name: str) -> Path | None:
    return root / name if name and files_there(root, [name])[0] > 0 else None


def _refusal(stamps: np.ndarray) -> str:
    """Why key frames at these times [us] cannot be driven; "" if they can."""
    if len(stamps) < 2:
        return f"{len(stamps)} key frame{'s' * (len(stamps) != 1)}; driving needs two seconds of them"
    seconds = float(stamps[-1] - stamps[0]) * 1e-6
    if seconds < START * DT + 1.0:
        return f"{seconds:.1f} s of key frames; driving needs {START * DT + 1.0:.0f} s"
    if seconds > LONGEST:
        return f"its key frames in sample.json lie {seconds:.3g} s apart; no scene is longer than {LONGEST:.0f} s"
    return ""


@lru_cache(maxsize=16)
def _hash(path: Path, size: int, stamp: int) -> str:
    """Maps are shared by many scenes: hashed once per process and change of a file."""
    return loading.fingerprint([path])
