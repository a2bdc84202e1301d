"""What a Waymo scene says, whichever way it is written down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from drivesim.errors import InputError
from drivesim.loading.sanity import FASTEST
from drivesim.types import DT, Kind

MPH = 0.44704  # [m/s]

KINDS = {1: Kind.CAR, 2: Kind.PEDESTRIAN, 3: Kind.BICYCLE, 4: Kind.OBJECT}
"""Of Track.ObjectType: vehicle, pedestrian, cyclist, other."""

MOST_STEPS, MOST_STATES, MOST_POINTS = 20_000, 2_000_000, 5_000_000
"""No scene comes near: they have 91 steps, up to 1,000 tracks and some 30,000 points of the map."""

LONGEST_STEP, LONGEST_LINE, LONGEST = 200.0, 5_000.0, 200_000.0
"""Of the map [m]: between two points of a line, of a line, and of all lines together. Lines have a point every 0.5 m,
maps end some 250 m from their ego and have 20 km of lines."""

ANYWHERE = 1e7  # [m] coordinates beyond it are damage
FARTHEST = 20_000.0  # [m] of a feature from the traffic

MOST_BACK = 30.0
"""That a line may turn back in all [m]: real ones do so by some points, 0.5 m each; thousands of long ones would keep
the geometry busy for hours."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """Boxes of A agents at T times; NaN where a scene does not say."""

    ids: list[str]
    kind: list[Kind]
    center: np.ndarray  # (A, T, 3) of the box [m]; z is NaN in scenes without heights
    yaw: np.ndarray  # (A, T)
    velocity: np.ndarray  # (A, T, 2) [m/s]
    size: np.ndarray  # (A, T, 3) length, width, height [m]
    valid: np.ndarray  # (A, T) bool


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane's centre line and what goes with it; ids are those of the file."""

    id: int
    line: np.ndarray  # (n, 3) [m]
    bicycle: bool = False
    speed_limit: float = np.nan  # [m/s]
    joins: bool = False  # it interpolates between two other lanes, as they do in intersections
    exits: tuple[int, ...] = ()
    beside: tuple[tuple[int, int, int], ...] = ()  # id of the other lane, side (+1 left), points side by side


@dataclass(frozen=True, eq=False)
class Roads:
    """The map's features."""

    lanes: list[Lane] = field(default_factory=list)
    linked: bool = False  # whether lanes come with their exits and neighbours
    paint: list[tuple[int, np.ndarray]] = field(default_factory=list)  # RoadLineType (-1 unsaid), (n, 3)
    edges: list[np.ndarray] = field(default_factory=list)  # (n, 3), the road on their left
    signs: list[tuple[tuple[int, ...], np.ndarray]] = field(default_factory=list)  # stop signs: lanes, place (3,)
    crosswalks: list[np.ndarray] = field(default_factory=list)  # rings (n, 3)
    driveways: list[np.ndarray] = field(default_factory=list)  # rings (n, 3)


@dataclass(frozen=True, eq=False)
class Lights:
    """Traffic lights, one per lane that they rule."""

    lane: np.ndarray  # (S,) int64 id of the lane
    stop: np.ndarray  # (S, 3) where one stops [m]
    state: np.ndarray  # (T, S) int64 TrafficSignalLaneState.State, 0 where not reported

    @staticmethod
    def none(steps: int) -> Lights:
        return Lights(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((steps, 0), np.int64))

    @staticmethod
    def of(seen: list[tuple[int, int, int, tuple[float, float, float]]], steps: int) -> Lights:
        """From single sightings: step, lane, state, stop point."""
        seen = [x for x in seen if 0 <= x[0] < steps and max(map(abs, x[3][:2])) < ANYWHERE]
        lanes = sorted({lane for _, lane, _, _ in seen})
        if len(lanes) * steps > MOST_STATES:
            raise ValueError(f"has {len(lanes)} traffic lights over {steps} steps")
        column = {lane: i for i, lane in enumerate(lanes)}
        stop, state = np.zeros((len(lanes), 3)), np.zeros((steps, len(lanes)), np.int64)
        for step, lane, what, place in seen:
            stop[column[lane]] = place
            if what or not state[step, column[lane]]:
                state[step, column[lane]] = what
        return Lights(np.array(lanes, np.int64), stop, state)


@dataclass(frozen=True, eq=False)
class Log:
    """A scene in its own coordinates."""

    time: np.ndarray  # (T,) [s] since the first step
    current: int  # step at which the future begins
    ego: int | None  # index among the tracks; None where the scene does not say
    tracks: Tracks
    roads: Roads
    lights: Lights
    problems: tuple[str, ...] = ()

    @property
    def has_heights(self) -> bool:
        return bool(np.isfinite(self.tracks.center[..., 2][self.tracks.valid]).any())


def named(ids: list[str]) -> list[str]:
    """Names of tracks: their ids, or where two have the same, their numbers."""
    return ids if len(set(ids)) == len(ids) else [str(i) for i in range(len(ids))]


def checked(log: Log, where: str) -> Log:
    """The log with agents that are absent where their numbers are none, and without lines that are none.

    Raises InputError where it cannot be a scene at all.
    """
    time, tracks = log.time, log.tracks
    agents, steps = tracks.valid.shape
    if not agents or not steps:
        raise InputError(f"{where}: has {agents} tracks over {steps} steps; there is nothing to drive")
    if len(time) != steps or not np.isfinite(time).all() or not (np.diff(time) > 0).all():
        raise InputError(f"{where}: {len(time)} time stamps, not all increasing, for {steps} states of each track")
    if time[-1] > MOST_STEPS * DT or time[-1] / DT * agents > MOST_STATES:
        raise InputError(f"{where}: {agents} tracks over {time[-1]:.0f} s; the time stamps are damaged")
    flat = (np.abs(tracks.center[..., :2]) < ANYWHERE).all(-1) & np.isfinite(tracks.yaw)
    sized = np.isfinite(tracks.size[..., :2]).all(-1) & (tracks.size[..., :2] > 0).all(-1)
    valid = tracks.valid & flat & sized
    problems = list(log.problems)
    for i in np.flatnonzero((valid != tracks.valid).any(1)):
        problems.append(f"track {tracks.ids[i]}: {int((tracks.valid & ~valid)[i].sum())} states are no boxes, left out")
    for i in np.flatnonzero(_jumps(replace(tracks, valid=valid), time)):
        problems.append(f"track {tracks.ids[i]} left out: it jumps")
        valid[i] = False
    if not valid.any():
        raise InputError(f"{where}: none of its {agents} tracks is ever there; " + "; ".join(problems[:3]))
    roads, dropped = _sound(log.roads, np.median(tracks.center[valid][:, :2], axis=0), where)
    if dropped:
        problems.append(f"{dropped} map features without a usable shape left out")
    speed = np.hypot(tracks.velocity[..., 0], tracks.velocity[..., 1])
    velocity = np.where((speed < FASTEST)[..., None], tracks.velocity, np.nan)  # estimated where it cannot be
    return replace(log, tracks=replace(tracks, valid=valid, velocity=velocity), roads=roads, problems=tuple(problems))


def _jumps(tracks: Tracks, time: np.ndarray) -> np.ndarray:
    """Which tracks (A,) move faster than anything on wheels from one step to the next."""
    both = tracks.valid[:, 1:] & tracks.valid[:, :-1]
    center = np.where(tracks.valid[..., None], tracks.center[..., :2], 0.0)
    moved = np.hypot(*np.moveaxis(np.diff(center, axis=1), -1, 0))
    return (both & ~(moved < FASTEST * np.maximum(np.diff(time), DT))).any(1)


def _sound(roads: Roads, middle: np.ndarray, where: str) -> tuple[Roads, int]:
    """The roads without features of too few points or with impossible ones, and how many these are."""
    groups = [
        (roads.lanes, [x.line for x in roads.lanes], 1), (roads.paint, [line for _, line in roads.paint], 2),
        (roads.edges, roads.edges, 2), (roads.signs, [place[None] for _, place in roads.signs], 1),
        (roads.crosswalks, roads.crosswalks, 3), (roads.driveways, roads.driveways, 3),
    ]  # fmt: skip
    lines = [line for _, shapes, _ in groups for line in shapes]
    if not lines:
        return roads, 0
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    points = np.concatenate(lines)
    wild = ~(np.abs(points[:, :2] - middle) < FARTHEST).all(1) | ~(np.abs(points[:, 2]) < FARTHEST)
    points = np.where(wild[:, None], 0.0, points)
    step = np.where(owner[1:] == owner[:-1], np.hypot(*np.diff(points[:, :2], axis=0).T), 0.0)
    wild[1:] |= step > LONGEST_STEP
    wild |= np.bincount(owner, np.r_[0.0, step], len(lines))[owner] > LONGEST_LINE
    wild |= np.bincount(owner, _turned_back(points, owner), len(lines))[owner] > MOST_BACK
    bad = np.bincount(owner, wild, len(lines)) > 0
    if float(step[~bad[owner[1:]]].sum()) > LONGEST:
        raise InputError(f"{where}: its map has more than {LONGEST / 1000:.0f} km of lines; it is damaged")
    kept, at = [], 0
    for items, shapes, least in groups:
        fine = ~bad[at : at + len(shapes)]
        kept.append([x for x, line, ok in zip(items, shapes, fine, strict=True) if ok and len(line) >= least])
        at += len(shapes)
    lanes, paint, edges, signs, crosswalks, driveways = kept
    return Roads(lanes, roads.linked, paint, edges, signs, crosswalks, driveways), len(lines) - sum(map(len, kept))


def _turned_back(points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """By how much (n,) a line goes back at each vertex: the shorter of the steps there, if they turn by more than 90
    degrees, else 0."""
    along = np.diff(points[:, :2], axis=0)
    length = np.hypot(*along.T)
    back = np.zeros(len(points))
    turned = ((along[1:] * along[:-1]).sum(1) < 0) & (owner[2:] == owner[:-2])
    back[1:-1] = np.where(turned, np.minimum(length[1:], length[:-1]), 0.0)
    return back
