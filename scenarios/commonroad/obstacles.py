"""Obstacles as tracks in the world frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import shapely
import torch

from drivesim.loading import Track
from drivesim.types import DT, Kind, Material, Polylines, Scenery

from .elements import middle, text
from .shapes import Box, box_of, center_of, rings_of

_KINDS = {
    **dict.fromkeys(("car", "taxi", "priorityVehicle", "parkedVehicle"), Kind.CAR),
    "truck": Kind.TRUCK,
    **dict.fromkeys(("bus", "train"), Kind.BUS),
    "motorcycle": Kind.MOTORCYCLE,
    "bicycle": Kind.BICYCLE,
    "pedestrian": Kind.PEDESTRIAN,
    "constructionZone": Kind.BARRIER,
}  # unknown and what the format may add later are objects

# The format has no heights: those of a compact car, a rigid truck, a city bus, a rider, a person, a barrier.
_HEIGHTS = {
    Kind.CAR: 1.5, Kind.TRUCK: 3.2, Kind.BUS: 3.1, Kind.MOTORCYCLE: 1.6, Kind.BICYCLE: 1.7, Kind.PEDESTRIAN: 1.75,
    Kind.BARRIER: 1.0, Kind.OBJECT: 1.0,
}  # fmt: skip
_BUILT = {
    "building": (Material.FACADE, 8.0),
    "pillar": (Material.CONCRETE, 4.0),
    "median_strip": (Material.CONCRETE, 0.3),
}
_SILENT = ("roadBoundary",)
FARTHEST, FASTEST = 50_000.0, 120.0
"""From the ego's start [m], and of an obstacle [m/s]."""
MOST = 3_000_000
"""Obstacles times steps of a file; the largest published have some ten thousand."""


@dataclass(frozen=True, eq=False)
class States:
    """What an obstacle's states say, by time; NaN where they do not."""

    step: np.ndarray  # (n,) increasing
    xy: np.ndarray  # (n, 2) of the reference point
    yaw: np.ndarray  # (n,)
    speed: np.ndarray  # (n,) along the yaw
    sideways: np.ndarray  # (n,) to the left


@dataclass(frozen=True)
class Clock:
    """The file's time steps against our seconds."""

    dt: float  # [s] per step of the file
    zero: float  # step of the file at our time 0

    def seconds(self, step: np.ndarray) -> np.ndarray:
        return (step - self.zero) * self.dt


def read_tracks(root: Element, origin: np.ndarray, clock: Clock, end: float, problems: list[str]) -> list[Track]:
    """Tracks of static and dynamic obstacles up to `end` [s]; what is left out is told in `problems`."""
    tracks: list[Track] = []
    seen = {"ego"}
    refused: dict[str, list[str]] = {}
    listed = obstacles(root)
    if len(listed) * max(end / DT, 1.0) > MOST:
        raise ValueError(f"it has {len(listed)} obstacles over {end:.0f} s, more than any scene")
    for element, moves in listed:
        name = (element.get("id") or "").strip()
        reason = _refusal(element, moves)
        try:
            if not reason and (not name or name in seen):
                raise ValueError("its id is missing or given twice")
            seen.add(name)
            track = None if reason else _track(element, name, moves, origin, clock, end)
        except ValueError as error:
            reason = str(error)
        if reason:
            refused.setdefault(reason, []).append(name)
        elif track is not None:
            tracks.append(track)
    for reason, names in refused.items():
        some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        problems.append(f"{len(names)} obstacle{'s' * (len(names) > 1)} left out ({some}): {reason}")
    return tracks


def obstacles(root: Element) -> list[tuple[Element, bool]]:
    """All obstacles with a place, and whether they are dynamic."""
    old = [(e, text(e, "role") != "static") for e in root.findall("obstacle")]
    new = [(e, tag == "dynamicObstacle") for tag in ("staticObstacle", "dynamicObstacle") for e in root.findall(tag)]
    return old + new + [(e, True) for e in root.findall("phantomObstacle")]


def _refusal(element: Element, moves: bool) -> str:
    if element.tag == "phantomObstacle":
        return "phantom obstacles are sets of places, not road users"
    if moves and element.find("trajectory") is None and element.find("occupancySet") is not None:
        return "their future is a set of places (occupancySet), not a trajectory"
    if not moves and text(element, "type") in _SILENT:
        return "road boundaries are no boxes; the drivable area ends at the lanelets"
    return ""


def _track(element: Element, name: str, moves: bool, origin: np.ndarray, clock: Clock, end: float) -> Track | None:
    box, states = box_of(element.find("shape")), read_states(element)
    if moves:
        time = clock.seconds(states.step)
    else:  # stands there all the time
        time = np.arange(round(end / DT) + 1) * DT
        first = (states.xy, states.yaw, states.speed, states.sideways)
        states = States(time, *(np.repeat(x[:1], len(time), 0) for x in first))
    if np.abs(states.xy - origin).max() > FARTHEST or np.nanmax(np.abs(states.speed), initial=0.0) > FASTEST:
        raise ValueError(f"states beyond {FARTHEST / 1000:.0f} km or {FASTEST:.0f} m/s are damage")
    here = (time > -2.0) & (time < end + 2.0)
    if not here.any():
        return None
    kind = _KINDS.get(text(element, "type"), Kind.OBJECT)
    xy, yaw, velocity = _placed(states, box)
    xyz = np.column_stack([xy - origin, np.zeros(len(xy))])[here]
    velocity = velocity[here] if moves and np.isfinite(velocity[here]).all() else None
    size = np.array([box.length, box.width, _HEIGHTS[kind]])
    return Track.flat(name, kind, size, time[here], xyz, yaw[here], velocity)


def _placed(states: States, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Box centres (n, 2), yaws (n,) and velocities (n, 2)."""
    looks = states.yaw if np.isfinite(states.yaw).all() else _from_motion(states)
    ahead, left = (np.column_stack([np.cos(looks + a), np.sin(looks + a)]) for a in (0.0, np.pi / 2))
    xy = states.xy + ahead * box.center[0] + left * box.center[1]
    velocity = ahead * states.speed[:, None] + left * states.sideways[:, None]
    return xy, looks + box.turn, velocity


def _from_motion(states: States) -> np.ndarray:
    """Yaws (n,): stated, else along the way; where an obstacle stands, as it looked before or will look then."""
    known = np.isfinite(states.yaw)
    if len(states.step) > 1:
        way = np.gradient(states.xy, states.step, axis=0)
        moving = np.hypot(*way.T) > 0.05
    else:
        way, moving = np.ones((1, 2)) * [1, 0], np.zeros(1, bool)
    yaw = np.where(known, states.yaw, np.arctan2(way[:, 1], way[:, 0]))
    known = known | moving
    if not known.any():
        return np.zeros(len(yaw))
    at = np.flatnonzero(known)
    before = at[np.clip(np.searchsorted(at, np.arange(len(yaw)), side="right") - 1, 0, None)]
    return yaw[before]


def read_states(element: Element) -> States:
    """The initial state and those of the trajectory, ordered; of several at a time the first."""
    listed = [e for e in (element.find("initialState"), *element.iterfind("trajectory/state")) if e is not None]
    try:
        table = np.array([_state(e) for e in listed], dtype=np.float64).reshape(-1, 6)
    except (TypeError, IndexError):
        raise ValueError("a state has an empty value") from None
    if not len(table):
        raise ValueError("it has no state")
    if not np.isfinite(table[:, :3]).all():
        raise ValueError("a state's time or position is missing or no number")
    _, first = np.unique(table[:, 0], return_index=True)
    step, x, y, yaw, speed, sideways = table[first].T
    pointmass = np.isfinite(sideways) & ~np.isfinite(yaw)  # its velocities are those of the axes x and y
    yaw = np.where(pointmass, np.arctan2(sideways, speed), yaw)
    speed = np.where(pointmass, np.hypot(speed, sideways), speed)
    sideways = np.where(pointmass | ~np.isfinite(sideways), 0.0, sideways)
    return States(step, np.column_stack([x, y]), yaw, speed, sideways)


_VALUES = {"time": 0, "orientation": 3, "velocity": 4, "velocityY": 5}
_UNKNOWN = (np.nan,) * 6


def _state(element: Element) -> list[float]:
    """Time, x, y, yaw, speed and speed sideways. A file holds tens of thousands of states, nearly all of them a point
    and exact values: those are read without a look-up."""
    row = list(_UNKNOWN)
    for part in element:
        tag = part.tag
        if tag == "position":
            place = part[0]
            if place.tag == "point" and place[0].tag == "x" and place[1].tag == "y":
                row[1], row[2] = float(place[0].text), float(place[1].text)
            else:
                row[1], row[2] = center_of(part)
        elif tag in _VALUES:
            only = part[0]
            row[_VALUES[tag]] = float(only.text) if only.tag == "exact" else middle(part, tag)
    return row


def read_scenery(root: Element, origin: np.ndarray, problems: list[str]) -> Scenery:
    """Buildings, pillars and median strips."""
    rings, kinds, heights = [], [], []
    for element in root.findall("environmentObstacle"):
        material, height = _BUILT.get(text(element, "type"), _BUILT["pillar"])
        try:
            shape = element.find("shape")
            outlines = rings_of(shape) if shape is not None else []
        except ValueError as error:
            problems.append(f"environment obstacle {element.get('id')} left out: {error}")
            continue
        for ring in outlines:
            ring = ring if shapely.LinearRing(ring).is_ccw else ring[::-1]
            rings.append(torch.from_numpy(np.ascontiguousarray(ring - origin)))
            kinds.append(int(material))
            heights.append(height)
    base, height = torch.zeros(len(rings)), torch.tensor(heights)
    return Scenery.none().replace(footprints=Polylines.of(rings, kinds), base=base, height=height)


def on_steps(track: Track, steps: int) -> Track:
    """The track at our steps between its first and last observation."""
    first, last = (math.ceil(track.time[0] / DT - 1e-6), math.floor(track.time[-1] / DT + 1e-6))
    time = np.arange(max(first, 0), min(last, steps - 1) + 1) * DT
    at = lambda column: np.interp(time, track.time, column)  # noqa: E731
    xyz = np.column_stack([at(track.xyz[:, i]) for i in range(3)])
    velocity = None if track.velocity is None else np.column_stack([at(track.velocity[:, i]) for i in range(2)])
    return Track.flat(track.id, track.kind, track.size, time, xyz, at(np.unwrap(track.yaw)), velocity)
