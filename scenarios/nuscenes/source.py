"""nuScenes scenes as scenarios."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from drivesim import loading
from drivesim.errors import InputError, NotDrivable
from drivesim.lidar.sweeps import scenery_from_sweeps
from drivesim.types import DT, Briefing, Scenario, Scene, Signals

from .boxes import MAX_GAP, VEHICLE, agent_tracks, ego_track, smoothed
from .heights import climb
from .roads import read_road
from .sensors import Rows, cameras_of, ego_poses, recorded_between, recorded_rows, sensor_log
from .tables import TABLES, open_tables, read_table, table_folder
from .world import World

START = 10  # a second of history before the planner takes over

LICENCE = "CC BY-NC-SA 4.0 and the nuScenes terms of use (non-commercial), nuscenes.org/terms-of-use"


@dataclass(frozen=True)
class NuScenes:
    """The scenes of a release under `root` (which holds v1.0-mini, v1.0-trainval or v1.0-test, samples and maps).

    Key frames at 2 Hz are joined to 10 Hz by splines through the annotated poses. The planar localisation of the data
    set is given its height back (`heights.climb`); at step 0 and in x, y and all angles the world is the tables'.
    """

    root: str
    version: str = ""  # "" takes the largest release that is there
    width: int = 400  # [px] of all six cameras
    height: int = 224  # [px]

    def ids(self) -> list[str]:
        folder = table_folder(self.root, self.version)
        names = sorted(row["name"] for row in read_table(folder, "scene"))
        if not names:
            raise InputError(f"{folder / 'scene.json'}: lists no scene")
        return names

    def undrivable(self) -> dict[str, str]:
        """Scenes that `load` refuses, with the reason."""
        folder = table_folder(self.root, self.version)
        times: dict[str, list[int]] = {}
        for row in read_table(folder, "sample"):
            times.setdefault(row["scene_token"], []).append(row["timestamp"])
        reasons = ((row["name"], _refusal(times.get(row["token"], []))) for row in read_table(folder, "scene"))
        return {name: reason for name, reason in sorted(reasons) if reason}

    def fingerprint(self, id: str) -> str:
        """Of tables and maps, and of which sweeps are there: scenery is made of them. Photos change no drive."""
        folder = table_folder(self.root, self.version)
        maps = [p for pattern in ("*.png", "expansion/*.json") for p in sorted((folder.parent / "maps").glob(pattern))]
        files = [p for p in (folder / f"{name}.json" for name in TABLES) if p.is_file()]
        content = _hash_files(tuple((p, p.stat().st_mtime_ns) for p in [*files, *maps]))
        scene = next((row["token"] for row in read_table(folder, "scene") if row["name"] == id), None)
        times = [row["timestamp"] for row in read_table(folder, "sample") if row["scene_token"] == scene]
        sweeps = recorded_between(folder.parent, min(times), max(times)) if times else ""
        return loading.fingerprint([], content, sweeps, f"{self.width}x{self.height}", id)

    def load(self, id: str) -> Scenario:
        tables = open_tables(self.root, self.version)
        folder = table_folder(self.root, self.version)
        try:
            return self._load(id, tables, folder)
        except KeyError as error:
            raise InputError(f"{folder}: {id} refers to a row or column that is not there: {error}") from None

    def _load(self, id: str, tables: Any, folder: Path) -> Scenario:
        scene, samples = _scene(tables, id, folder)
        refusal = _refusal([s["timestamp"] for s in samples])
        if refusal:
            raise NotDrivable(f"{id}: {refusal}")
        recorded = recorded_rows(tables, samples)
        world, tracks = _tracks(tables, samples, recorded)
        steps = int(world.seconds(samples[-1]["timestamp"]) / DT + 1e-3) + 1
        agents = loading.assemble(tracks, steps, max_gap=MAX_GAP)
        if not agents.valid[:, 0].all():
            gap = int((~agents.valid[:, 0]).nonzero()[0])
            raise InputError(f"{folder / 'ego_pose.json'}: {id} has no pose of the ego at {gap * DT:.1f} s")
        log = tables.get("log", scene["log_token"])
        picture = tables.get("map", log["map_token"])["picture"]
        vectors = folder.parent / "maps" / "expansion" / f"{log['location']}.json"
        road, word = read_road(vectors, picture, tracks, world.origin.numpy())
        cameras = cameras_of(tables, recorded, self.width, self.height)
        sensors, files = sensor_log(tables, folder.parent, recorded, cameras, world)
        scenery = scenery_from_sweeps(sensors.sweeps if sensors else (), agents, road)
        route = loading.route_along(road, agents.xy[:, 0].double().numpy(), yaw=float(agents.yaw[0, 0]))
        command = loading.command_of(route, agents.xy[START, 0])
        return Scenario(
            id=id, source="nuscenes", fingerprint=self.fingerprint(id),
            scene=Scene(road, scenery, Signals.none(), Briefing(route, command, VEHICLE, cameras)),
            log=agents, track_ids=tuple(t.id for t in tracks), start=START, sensors=sensors,
            origin=world.origin, licence=LICENCE,
            tags=("real", f"city:{log['location']}", word, "heights:rebuilt", files),
        )  # fmt: skip


def _scene(tables: Any, id: str, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a scene and its key frames in order."""
    scene = next((row for row in tables.scene if row["name"] == id), None)
    if scene is None:
        raise InputError(f"{folder / 'scene.json'}: no scene '{id}' in it; `ids()` lists what there is")
    samples = sorted((s for s in tables.sample if s["scene_token"] == scene["token"]), key=lambda s: s["timestamp"])
    return scene, samples


def _tracks(tables: Any, samples: list[dict[str, Any]], recorded: Rows) -> tuple[World, list[loading.Track]]:
    """The world frame and the tracks of all in it, the ego first."""
    stamps, map_from_ego = ego_poses(tables, recorded)
    zero = samples[0]["timestamp"]
    origin = map_from_ego[int(np.abs(stamps - zero).argmin()), :3, 3].clone()
    flat = World(origin, zero, np.zeros(1), np.zeros(1))
    read = lambda world: [  # noqa: E731
        ego_track(world, stamps, map_from_ego),
        *agent_tracks(tables, samples, world),
    ]
    world = replace(flat, **dict(zip(("time", "rise"), climb(read(flat)), strict=True)))
    return world, [smoothed(track) for track in read(world)]


def _refusal(timestamps: list[int]) -> str:
    """Why key frames at these times [us] cannot be driven; "" if they can."""
    if len(timestamps) < 2:
        return f"{len(timestamps)} key frame{'s' * (len(timestamps) != 1)}; driving needs two seconds of them"
    seconds = (max(timestamps) - min(timestamps)) * 1e-6
    if seconds < START * DT + 1.0:
        return f"{seconds:.1f} s of key frames; driving needs {START * DT + 1.0:.0f} s"
    return ""


@lru_cache(maxsize=4)
def _hash_files(files: tuple[tuple[Path, int], ...]) -> str:
    """Tables are large and shared by all scenes: hashed once per process and change of a file."""
    return loading.fingerprint([path for path, _ in files])
