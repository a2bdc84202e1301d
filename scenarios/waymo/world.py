"""A Log as a Scenario: the ego, the world's origin, agents, lights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from drivesim import loading
from drivesim.errors import NotDrivable
from drivesim.loading import Track
from drivesim.loading.paths import runs
from drivesim.roadmap import RoadMap
from drivesim.types import DT, VEHICLES, Kind, Lanes, Light, Map, Scenario, Signals

from .log import Lane, Log, Roads
from .roads import build

FLEET = (5.286, 2.332, 2.33)
"""Length, width and height [m] of the ego's box in all scenes of the dataset."""

HEIGHTS = {Kind.CAR: 1.6, Kind.PEDESTRIAN: 1.75, Kind.BICYCLE: 1.75, Kind.OBJECT: 1.0}
"""Of boxes in scenes without heights [m]: usual ones."""

LICENCE = "Waymo Dataset License Agreement for Non-Commercial Use (waymo.com/open/terms)"

HISTORY = 10  # steps before the planner takes over

_LIGHTS = np.array([
    Light.UNKNOWN, Light.RED, Light.YELLOW, Light.GREEN, Light.RED, Light.YELLOW, Light.GREEN,
    Light.FLASHING_RED, Light.FLASHING_YELLOW,
])  # fmt: skip
"""Of TrafficSignalLaneState.State; an arrow counts for its lane as a round light does."""


@dataclass(frozen=True, eq=False)
class Ego:
    track: int
    first: int  # steps in which it is there without a gap
    stop: int
    sure: float  # 1 where the log names it
    told: tuple[str, ...]


def scenario_of(log: Log, id: str, fingerprint: str, cameras: tuple, tags: tuple[str, ...]) -> Scenario:
    """Raises NotDrivable for a log without a usable ego."""
    ego = choose_ego(log, id)
    tracks, window = log.tracks, slice(ego.first, ego.stop)
    zero = log.time[ego.first]
    size = _size(log, ego.track)
    vehicle = loading.vehicle_of(*size)
    place, yaw = tracks.center[ego.track, ego.first].copy(), tracks.yaw[ego.track, ego.first]
    place[2] = place[2] - size[2] / 2 if log.has_heights else 0.0
    origin = place - vehicle.rear_axle_to_center * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    agents = [_track(log, i, window, zero, origin) for i in _order(log, ego, window)]
    roads = _moved(log.roads, origin)
    heights = _ground_points(roads, agents[0]) if log.has_heights else None
    road, index, inferred, told = build(roads, heights)
    steps = int(round((log.time[ego.stop - 1] - zero) / DT)) + 1
    signals, lost = _signals(log, road.lanes, index, window, zero, steps, origin)
    inferred["ground"] = _resting(road, agents) if log.has_heights else 0.0
    if ego.sure < 1:
        inferred["ego"] = ego.sure
    return loading.compose(
        id=id, source="waymo", fingerprint=fingerprint, tracks=agents, steps=steps, map=road, vehicle=vehicle,
        cameras=cameras, licence=LICENCE, origin=torch.from_numpy(origin), signals=signals, inferred=inferred,
        start=max(int(round((log.time[min(log.current, len(log.time) - 1)] - zero) / DT)), HISTORY),
        problems=(*log.problems, *ego.told, *told, *lost), tags=tags,
    )  # fmt: skip


def choose_ego(log: Log, id: str) -> Ego:
    """The log's own ego; else the last track with the fleet's box that is always there; else the vehicle that is
    always there and moves farthest."""
    tracks, track, sure, told = log.tracks, log.ego, 1.0, []
    if track is None:
        always = [i for i, kind in enumerate(tracks.kind) if kind in VEHICLES and tracks.valid[i].all()]
        fleet = [i for i in always if np.abs(np.array(_size(log, i)[:2]) - FLEET[:2]).max() < 0.02]
        if not always:
            raise NotDrivable(f"{id}: does not say who the ego is, and no vehicle is there at all steps")
        track = fleet[-1] if fleet else max(always, key=lambda i: _moves(tracks.center[i]))
        sure = 0.95 if fleet else 0.3
        why = "the last with the box of the fleet's cars" if fleet else "the vehicle that moves farthest"
        told.append(f"the scene does not say who the ego is: track {tracks.ids[track]} is taken, {why}")
    stretches = runs(tracks.valid[track])
    if not stretches:
        why = "".join(f"; {told}" for told in log.problems[:3])
        raise NotDrivable(f"{id}: its ego, track {tracks.ids[track]}, is never there{why}")
    first, last = max(stretches, key=lambda run: run[1] - run[0])
    if last - first + 1 < len(log.time):
        told.append(f"cut to {log.time[first]:.1f} .. {log.time[last]:.1f} s, where the ego is there without a gap")
    return Ego(track, first, last + 1, sure, tuple(told))


def _moves(center: np.ndarray) -> float:
    return float(np.hypot(*(center[-1] - center[0])[:2]))


def _size(log: Log, track: int) -> tuple[float, float, float]:
    """Median box of a track."""
    tracks = log.tracks
    valid = tracks.valid[track]
    length, width, height = np.median(tracks.size[track, valid if valid.any() else slice(None)], axis=0)
    if not np.isfinite(height) or height <= 0:
        fleet = abs(length - FLEET[0]) < 0.02 and abs(width - FLEET[1]) < 0.02
        height = FLEET[2] if fleet else HEIGHTS[tracks.kind[track]]
    return float(length), float(width), float(height)


def _order(log: Log, ego: Ego, window: slice) -> list[int]:
    there = np.flatnonzero(log.tracks.valid[:, window].any(1))
    return [ego.track, *(int(i) for i in there if i != ego.track)]


def _track(log: Log, i: int, window: slice, zero: float, origin: np.ndarray) -> Track:
    tracks, size = log.tracks, np.array(_size(log, i))
    valid = tracks.valid[i, window]
    bottom = tracks.center[i, window][valid] - origin
    bottom[:, 2] = bottom[:, 2] - size[2] / 2 if log.has_heights else 0.0
    velocity = tracks.velocity[i, window][valid]
    return Track.flat(
        tracks.ids[i], tracks.kind[i], size, log.time[window][valid] - zero, bottom,
        tracks.yaw[i, window][valid], velocity,
    )  # fmt: skip


def _moved(roads: Roads, origin: np.ndarray) -> Roads:
    lanes = [Lane(x.id, x.line - origin, x.bicycle, x.speed_limit, x.joins, x.exits, x.beside) for x in roads.lanes]
    return Roads(
        lanes, roads.linked, [(kind, x - origin) for kind, x in roads.paint], [x - origin for x in roads.edges],
        [(ids, x - origin) for ids, x in roads.signs], [x - origin for x in roads.crosswalks],
        [x - origin for x in roads.driveways],
    )  # fmt: skip


def _ground_points(roads: Roads, ego: Track) -> np.ndarray:
    return np.concatenate([*(lane.line for lane in roads.lanes), ego.xyz])


def _resting(road: Map, agents: list[Track]) -> float:
    """Share of boxes that stand on the ground, to a hand's width."""
    bottom = torch.from_numpy(np.concatenate([track.xyz for track in agents])).float()
    return float(((RoadMap.of(road).ground(bottom[:, :2]) - bottom[:, 2]).abs() < 0.2).float().mean())


def _signals(
    log: Log, lanes: Lanes, index: dict[int, int], window: slice, zero: float, steps: int, origin: np.ndarray
) -> tuple[Signals, list[str]]:
    lights = log.lights
    known = [i for i, lane in enumerate(lights.lane.tolist()) if lane in index]
    lost = [f"the traffic light of lane {lane} left out: no such lane" for lane in lights.lane if lane not in index]
    if not known:
        return Signals.none(), lost
    time = log.time[window] - zero
    nearest = np.abs(time[None] - np.arange(steps)[:, None] * DT).argmin(1)
    state = _LIGHTS[np.where((lights.state < 0) | (lights.state > 8), 0, lights.state)[window][nearest][:, known]]
    lane = [index[int(lights.lane[i])] for i in known]
    return loading.signals_at(lanes, lane, lights.stop[known, :2] - origin[:2], state), lost
