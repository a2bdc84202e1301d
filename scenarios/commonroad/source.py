"""CommonRoad files as scenarios, one per planning problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from drivesim import files, loading, rigs
from drivesim.errors import InputError, NotDrivable
from drivesim.types import DT, Goal, Place, Scenario, Vehicle

from .catalog import Entry, find, looks_like, scan
from .drive import reference_drive
from .elements import number
from .lanelets import read_lanelets
from .lights import read_signals
from .obstacles import Clock, obstacles, read_scenery, read_tracks
from .roads import build
from .signs import read_signs
from .tasks import Task, goals_of, read_tasks

# Length, width and the way from the centre of gravity, which stands for the box centre, to the axles: vehicles 1 to 3
# of the CommonRoad vehicle models (Althoff and Wuersching 2020, appendix A). Heights are those of the makers.
VEHICLES = {
    1: Vehicle(length=4.298, width=1.674, height=1.40, wheelbase=2.3927, rear_axle_to_center=1.5088),  # Ford Escort
    2: Vehicle(length=4.508, width=1.610, height=1.42, wheelbase=2.5789, rear_axle_to_center=1.4227),  # BMW 320i
    3: Vehicle(length=4.569, width=1.844, height=1.93, wheelbase=2.4719, rear_axle_to_center=1.3211),  # VW Vanagon
}
VERSIONS = ("2018b", "2020a")
LONGEST = 300.0
"""Seconds of a scenario; goals that leave more time do not make it longer."""
UNTIMED = 30.0
LICENCE = "terms of the file's authors and source (commonroad.in.tum.de)"


@dataclass(frozen=True)
class CommonRoad:
    """CommonRoad XML files, gzipped or not, in the folder `root` or below it, or one file.

    The ego is vehicle `vehicle` of the CommonRoad vehicle models (1 Ford Escort, 2 BMW 320i, 3 VW Vanagon), seen
    through the camera preset `rig` at `width` x `height` px. The files have no drive of the ego: its log is a
    reference drive from its initial state to its goal.
    """

    root: str
    vehicle: int = 2
    rig: str = "nuscenes"
    width: int = 400  # [px]
    height: int = 224  # [px]

    @staticmethod
    def recognizes(root: Path) -> bool:
        return looks_like(root)

    def ids(self) -> list[str]:
        return sorted(scan(Path(self.root)))

    def undrivable(self) -> dict[str, str]:
        return {id: entry.reason for id, entry in scan(Path(self.root)).items() if entry.reason}

    def fingerprint(self, id: str) -> str:
        entry = find(Path(self.root), id)
        return loading.fingerprint([entry.path], entry.task, str(self.vehicle), self.rig, f"{self.width}x{self.height}")

    def load(self, id: str) -> Scenario:
        entry = find(Path(self.root), id)
        if self.vehicle not in VEHICLES:
            raise InputError(f"CommonRoad has no vehicle {self.vehicle}; choose one of {sorted(VEHICLES)}")
        try:
            return self._scenario(id, entry, files.read_xml(entry.path))
        except (ValueError, OverflowError) as error:
            raise InputError(f"{entry.path}: {error}; not as CommonRoad documents it") from None

    def _scenario(self, id: str, entry: Entry, root: Element) -> Scenario:
        task, dt = _task(root, entry), _checked(root, entry.path)
        vehicle, problems = VEHICLES[self.vehicle], list[str]()
        origin = task.xy - vehicle.rear_axle_to_center * np.array([math.cos(task.yaw), math.sin(task.yaw)])
        clock = Clock(dt, task.step)
        lanelets = read_lanelets(root, problems)
        roads = build(root, lanelets, read_signs(root), origin, problems)
        if not roads.lanelets:
            raise NotDrivable(f"{entry.path}: has no lanelet for vehicles")
        goals = goals_of(task, lanelets, origin, clock)
        end = _end(goals, entry.path, problems)
        steps = math.floor(end / DT + 1e-6) + 1
        others = read_tracks(root, origin, clock, end, problems)
        _refuse_without_traffic(root, entry.path)
        signals = read_signals(root, roads, clock.zero + np.arange(steps) * DT / dt, problems)
        drive = reference_drive(roads, vehicle, task.yaw, task.speed, goals, others, signals, steps)
        return loading.compose(
            id=id, source="commonroad", fingerprint=self.fingerprint(id),
            tracks=[drive.track, *others], steps=steps, start=0, max_gap=max(1.1, 1.1 * dt),
            map=roads.map, vehicle=vehicle, cameras=rigs.rig(self.rig, self.width, self.height),
            signals=signals, scenery=read_scenery(root, origin, problems), goals=goals,
            licence=_licence(root), origin=np.array([*origin, 0.0]),
            tags=_tags(root, self.rig), place=_place(root, origin),
            inferred={"ego": drive.confidence, "heights": 0.5, "ground": 0.5, **roads.inferred},
            problems=("the ego's log is a reference drive, not a recording", *drive.problems, *problems),
        )  # fmt: skip


def _checked(root: Element, path: Path) -> float:
    """The seconds of a time step."""
    version = root.get("commonRoadVersion", "")
    if root.tag != "commonRoad":
        raise InputError(f"{path}: is no CommonRoad file, its root is '{root.tag}'")
    if version not in VERSIONS:
        raise InputError(f"{path}: CommonRoad version '{version}' is not read; convert it to {' or '.join(VERSIONS)}")
    try:
        dt = float(root.get("timeStepSize", "nan"))
    except ValueError:
        dt = math.nan
    if not 0.001 <= dt <= 5.0:
        raise InputError(f"{path}: its time step {root.get('timeStepSize')} is not between 0.001 and 5 s")
    return dt


def _task(root: Element, entry: Entry) -> Task:
    if entry.reason:
        raise NotDrivable(f"{entry.path}: {entry.reason}")
    tasks = [t for t in read_tasks(root) if t.id == entry.task or not entry.task]
    if not tasks:
        raise NotDrivable(f"{entry.path}: has no planning problem {entry.task}")
    return tasks[0]


def _end(goals: Sequence[Goal], path: Path, problems: list[str]) -> float:
    """Latest time [s] at which a goal can be reached."""
    if not goals:
        raise NotDrivable(f"{path}: its planning problem has no goal")
    end = max(g.time[1] for g in goals)
    if math.isinf(end):
        problems.append(f"its goal has no time; the scenario ends after {UNTIMED:.0f} s")
        end = UNTIMED
    if end > LONGEST:
        problems.append(f"its goal leaves {end:.0f} s; the scenario ends after {LONGEST:.0f} s")
    return min(end, LONGEST)


def _refuse_without_traffic(root: Element, path: Path) -> None:
    """Interactive scenarios have their traffic from a simulator, set-based ones as sets: nothing to replay."""
    moving = [e for e, moves in obstacles(root) if moves and e.tag != "phantomObstacle"]
    if moving and not any(e.find("trajectory") is not None for e in moving):
        sets = any(e.find("occupancySet") is not None for e in moving)
        kind = "sets of places" if sets else "initial states alone (an interactive scenario)"
        raise NotDrivable(f"{path}: its {len(moving)} moving obstacles have {kind}, no trajectories to replay")


def _licence(root: Element) -> str:
    stated = {key: " ".join((root.get(key) or "").split())[:300] for key in ("source", "author", "affiliation")}
    return "; ".join([LICENCE, *(f"{key}: {value}" for key, value in stated.items() if value)])


def _tags(root: Element, rig: str) -> tuple[str, ...]:
    listed = (root.get("tags") or "").split()
    for element in root.iterfind("scenarioTags/*"):
        listed.append(element.tag)
    own = sorted({f"commonroad:{tag}" for tag in listed})
    benchmark = root.get("benchmarkID") or ""
    cooperative = ("cooperative",) if benchmark.startswith("C-") else ()
    return ("reference drive", f"map:{_map(benchmark)}", *cooperative, f"cameras:{rig} preset", *own)


def _map(benchmark: str) -> str:
    """Country and map of a benchmark id such as C-USA_US101-3_3_T-1: USA_US101-3."""
    return "_".join(benchmark.removeprefix("C-").split("_")[:2])


def _place(root: Element, origin: np.ndarray) -> Place:
    """The location of 2020a files lies at their coordinates' origin; 999 stands for unknown."""
    name, place = _map(root.get("benchmarkID") or ""), root.find("location")
    if place is None:
        return Place(name)
    try:
        latitude, longitude = (number(place.find(tag), tag) for tag in ("gpsLatitude", "gpsLongitude"))
    except ValueError:
        return Place(name)
    if abs(latitude) > 89 or abs(longitude) > 180:
        return Place(name)
    if np.hypot(*origin) < 50_000:  # farther off the coordinates are a projection's, and the location is the scene's
        latitude += float(np.rad2deg(origin[1] / 6_371_000))
        longitude += float(np.rad2deg(origin[0] / (6_371_000 * math.cos(math.radians(latitude)))))
    return Place(name, latitude, longitude)
