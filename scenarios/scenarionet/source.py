"""ScenarioNet files as scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from drivesim import loading, rigs
from drivesim.errors import InputError
from drivesim.roadmap import RoadMap
from drivesim.types import DT, Ground, Kind, Map, Scenario, Vehicle

from .boxes import World, disagreement, stretch, track_of, vehicle_of
from .database import Database, find, holds_scenarios
from .datasets import DataSet, dataset_of, place_of
from .drawn import Drawn, draw, height_at, settle
from .lamps import signals_of, stops_of
from .record import Record, Recorded, column, read_record, text
from .roads import build

MAX_GAP = 0.25
"""Seconds without an observation that are bridged: one missing step. The files say at which steps somebody is there."""

MOVED = 0.1
"""A file of drivesim whose ego starts farther from the origin [m] has been moved."""

MISPOINTED = np.deg2rad(30.0)


@dataclass(frozen=True)
class ScenarioNet:
    """The scenarios of a database under `root`: its folder, a folder of such, or one `sd_*.pkl`.

    Cameras are the preset `rig`, by default that of the data set which a file was converted from.
    """

    root: str
    rig: str = ""
    width: int = 400  # [px]
    height: int = 224  # [px]

    @staticmethod
    def recognizes(root: Path) -> bool:
        return holds_scenarios(Path(root))

    def ids(self) -> list[str]:
        database = self._database()
        return sorted({*database.paths, *database.lost})

    def undrivable(self) -> dict[str, str]:
        """Files that a mapping names but that are not to be had."""
        return dict(sorted(self._database().lost.items()))

    def fingerprint(self, id: str) -> str:
        return self._hash(self._path(id))

    def load(self, id: str) -> Scenario:
        path = self._path(id)
        try:
            return self._compose(id, path, read_record(path))
        except InputError as error:
            message = str(error)
            raise type(error)(message if str(path) in message else f"{path}: {message}") from None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(f"{path}: damaged ({type(error).__name__}: {error}); download it again") from None

    def _compose(self, id: str, path: Path, record: Record) -> Scenario:
        dataset = dataset_of(record.metadata, record.version)
        vehicle, mended = vehicle_of(record, dataset)
        first, last = stretch(record.tracks[record.ego])
        steps = int((record.time[last] - record.time[first]) / DT + 0.5) + 1
        ahead = vehicle.rear_axle_to_center if dataset.at_rear_axle else 0.0
        road, index, world, inferred, problems = _lay_out(record, dataset, vehicle, ahead, first, last)
        tracks, strange = _tracks(record, world, vehicle, ahead, dataset, inferred)
        signals, lost = signals_of(record.lights, index, road.lanes, _rows(record, first, last, steps), world.origin)
        problems += [*strange, *([mended] if mended else [])]
        if lost:
            problems.append(f"{lost} traffic lights rule no lane of the map; left out")
        if first > 0 or last < len(record.time) - 1:
            problems.append(f"the ego is there from step {first} to {last} of {len(record.time)}; cut to that")
        rig = self.rig or dataset.rig
        return loading.compose(
            id=id, source="scenarionet", fingerprint=self._hash(path), tracks=tracks, steps=steps, map=road,
            vehicle=vehicle, cameras=rigs.rig(rig, self.width, self.height), licence=dataset.licence,
            origin=_before_centring(record, world.origin), start=_start(record, dataset),
            max_gap=1.5 * DT if dataset.exact else MAX_GAP, signals=signals,
            tags=(_kind_of_data(record, dataset), f"dataset:{dataset.name}", f"cameras:{rig} preset"),
            place=place_of(dataset, record.metadata, *world.origin[:2]), inferred=inferred,
            problems=(*record.problems, *problems),
        )  # fmt: skip

    def _hash(self, path: Path) -> str:
        return loading.fingerprint([path], self.rig, f"{self.width}x{self.height}")

    def _database(self) -> Database:
        return find(Path(self.root).expanduser())

    def _path(self, id: str) -> Path:
        database = self._database()
        if id in database.lost:
            raise InputError(f"{self.root}: {id}: {database.lost[id]}")
        if id not in database.paths:
            some = ", ".join(sorted(database.paths)[:4])
            raise InputError(f"no ScenarioNet scenario '{id}' under {self.root}; there are {some} ...")
        return database.paths[id]


def _lay_out(
    record: Record, dataset: DataSet, vehicle: Vehicle, ahead: float, first: int, last: int
) -> tuple[Map, dict[str, int], World, dict[str, float], list[str]]:
    """The map in a world that starts at the ego's rear axle at row `first`, the index of its lanes by their ids, that
    world, what was inferred and what was left out."""
    ego = record.tracks[record.ego]
    row = int(np.flatnonzero(ego.row == first)[0])
    yaw, position = ego.heading[row], ego.position[row]
    axle = position[:2] + (ahead - vehicle.rear_axle_to_center) * np.array([np.cos(yaw), np.sin(yaw)])
    if dataset.exact and np.hypot(*axle) < MOVED:
        axle = np.zeros(2)  # the file's frame is a world already, unless MetaDrive has moved it since
    drawn = draw(record.features, axle)
    climbs = _climbs(record, drawn)
    z = position[2] - vehicle.height / 2 if climbs else _lane_height(drawn, position[:2] - axle)
    origin = np.array([*axle, 0.0 if dataset.exact and abs(z) < MOVED else z])
    settle(drawn, origin[2])
    ground, driven = _ground(record, drawn, origin, climbs), _driven(record, ego, origin)
    road, index, inferred = build(drawn, record.features, dataset, ground, driven)
    road = road.replace(stops=stops_of(record.features, index, road.lanes, origin))
    world = World(origin, first, last, climbs, dataset.exact, _under(road))
    spoilt = [f"{drawn.spoilt} map features without a usable line or ring left out"] if drawn.spoilt else []
    return road, index, world, {**_inferred_before(record, dataset), **inferred}, spoilt


def _kind_of_data(record: Record, dataset: DataSet) -> str:
    tags = record.metadata.get("tags")
    made = dataset.exact and not (isinstance(tags, list) and "real" in [text(tag) for tag in tags])
    return "synthetic" if made or dataset.name == "metadrive" else "real"


def _start(record: Record, dataset: DataSet) -> int:
    """Step at which the planner takes over: a second from the first, or what drivesim wrote."""
    stated = record.metadata.get("current_time_index")
    return stated if dataset.exact and isinstance(stated, int) and 0 <= stated < 10_000 else 10


def _rows(record: Record, first: int, last: int, steps: int) -> np.ndarray:
    """(steps,) row of the file nearest in time to each step."""
    time = record.time[first : last + 1] - record.time[first]
    after = np.clip(np.searchsorted(time, np.arange(steps) * DT), 1, max(len(time) - 1, 1))
    near = np.arange(steps) * DT - time[after - 1] <= time[np.minimum(after, len(time) - 1)] - np.arange(steps) * DT
    return np.where(near, after - 1, np.minimum(after, len(time) - 1)) + first


def _climbs(record: Record, drawn: Drawn) -> bool:
    """Whether the boxes' heights are real: they differ, and so does the road's (if there is one)."""
    z = np.concatenate([track.position[:, 2] for track in record.tracks.values()])
    return bool(np.ptp(z) > 0.05) and (drawn.climbs or not drawn.lanes)


def _lane_height(drawn: Drawn, xy: np.ndarray) -> float:
    return float(height_at(drawn, xy[None])[0]) if drawn.climbs else 0.0


def _ground(record: Record, drawn: Drawn, origin: np.ndarray, climbs: bool) -> Ground:
    if drawn.climbs:
        return loading.ground_from_points(np.concatenate(list(drawn.lanes.values())))
    if not climbs:
        return Ground.flat()
    feet = [t.position - origin - [0.0, 0.0, t.size[2] / 2] for t in record.tracks.values()]
    return loading.ground_from_points(np.concatenate(feet))


def _driven(record: Record, ego: Recorded, origin: np.ndarray) -> list[np.ndarray]:
    """Paths (n, 3) of the ego and of all vehicles that move, 20 m longer at both ends, for a file without lanes."""
    vehicles = [t for t in record.tracks.values() if t.type == "VEHICLE" and t is not ego]
    moving = [t for t in vehicles if np.ptp(t.position[:, :2], axis=0).max() > 5.0]
    paths = []
    for track in (ego, *moving):
        ends = [
            track.position[i] + reach * np.array([np.cos(track.heading[i]), np.sin(track.heading[i]), 0.0])
            for i, reach in ((0, -20.0), (-1, 20.0))
        ]
        paths.append(np.concatenate([ends[:1], track.position, ends[1:]]) - origin)
    return paths


def _under(road: Map) -> Callable[[np.ndarray], np.ndarray]:
    query = RoadMap.of(road)
    return lambda xy: query.ground(torch.from_numpy(xy).float()).double().numpy()


def _tracks(
    record: Record, world: World, vehicle: Vehicle, ahead: float, dataset: DataSet, inferred: dict[str, float]
) -> tuple[list[loading.Track], list[str]]:
    """The tracks, the ego's first, and what is wrong with them."""
    tracks, guessed = [], 0
    for name in [record.ego, *(n for n in record.tracks if n != record.ego)]:
        is_ego = name == record.ego
        found = track_of(name, record.tracks[name], record, world, vehicle if is_ego else None, ahead * is_ego)
        if found is not None:
            tracks.append(found[0])
            guessed += not found[1]
    if guessed:
        inferred["sizes"] = 1.0 - guessed / len(tracks)
    if dataset.name == "argoverse2":
        inferred["sizes"] = 0.3  # the converter gives all of a type the same size
    if not world.climbs:
        inferred["heights"] = 0.3
    off = disagreement([t for t in tracks if t.kind in (Kind.CAR, Kind.TRUCK, Kind.BUS)])
    problems = []
    if off > MISPOINTED:
        problems.append(f"headings differ from where vehicles go by {np.rad2deg(off):.0f} degrees (median)")
    return tracks, problems


def _inferred_before(record: Record, dataset: DataSet) -> dict[str, float]:
    """What had been inferred when drivesim wrote the file: it has not become surveyed since."""
    stated = record.metadata.get("inferred")
    if not dataset.exact or not isinstance(stated, dict):
        return {}
    return {text(k): v for k, v in list(stated.items())[:20] if isinstance(v, float) and 0.0 <= v <= 1.0}


def _before_centring(record: Record, origin: np.ndarray) -> np.ndarray:
    """The world's origin in the coordinates that the file had before MetaDrive moved it, where it says so."""
    stated = column(record.metadata.get("origin"), 3)
    old = column(record.metadata.get("old_origin_in_current_coordinate"), 2)
    if stated is not None and np.isfinite(stated).all():
        return origin + stated
    return origin - [*old, 0.0] if old is not None and np.isfinite(old).all() else origin
