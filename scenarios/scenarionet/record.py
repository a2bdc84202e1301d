"""One file as plain arrays, every shape and number checked.

The layout is that of `ScenarioDescription` in MetaDrive; keys that its `sanity_check` does not ask for may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.errors import InputError, NotDrivable
from drivesim.restricted_pickle import read_pickle

MOST_CELLS, MOST_POINTS, MOST_FEATURES = 5_000_000, 5_000_000, 200_000
"""Tracks times steps, points of the map, map features; the largest real files have a hundredth of that."""

FARTHEST = 100_000.0
"""From the ego [m]; what is farther is an error."""

FASTEST = 150.0
"""[m/s]; what is logged faster is an error."""

_STANDING = ("TRAFFIC_LIGHT", "GROUND", "INVISIBLE_WALL")  # objects of the simulator that are no road users


@dataclass(frozen=True, eq=False)
class Recorded:
    """One road user as in the file: rows that are valid and finite. Sizes are NaN where the file has none."""

    type: str
    word: str  # its type in the data set's own words
    row: np.ndarray  # (n,) step of each row
    position: np.ndarray  # (n, 3); z is 0 where the file has none
    heading: np.ndarray  # (n,) [rad]
    velocity: np.ndarray | None  # (n, 2) [m/s], NaN where unknown
    size: np.ndarray  # (3,) length, width, height, medians [m]
    pitch: np.ndarray | None  # (n,) [rad]; only in files of drivesim
    roll: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Record:
    path: Path
    version: str
    metadata: Mapping[str, Any]
    time: np.ndarray  # (T,) [s] from the first step
    ego: str
    tracks: Mapping[str, Recorded]
    features: Mapping[str, Mapping[str, Any]]
    lights: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]


def read_record(path: Path) -> Record:
    """Raises InputError naming the file where it is not of this layout, NotDrivable where it has no ego."""
    content = read_pickle(path)
    parts = ("tracks", "map_features", "metadata")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), dict) for key in parts):
        raise InputError(f"{path}: holds no ScenarioNet scenario (a dict with tracks, map_features and metadata)")
    metadata, problems = content["metadata"], []
    states = {text(key): value for key, value in content["tracks"].items() if _is_actor(value)}
    ego = _ego(path, metadata, states)
    try:
        steps = len(states[ego]["state"]["position"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: the ego {ego} has no positions ({error})") from None
    if steps * len(states) > MOST_CELLS or len(content["map_features"]) > MOST_FEATURES:
        raise InputError(f"{path}: {len(states)} tracks of {steps} steps and a map that size are no real scenario")
    time = _times(path, metadata, steps, problems)
    tracks = _tracks(path, states, steps, ego, problems)
    features = {text(k): v for k, v in content["map_features"].items() if isinstance(v, dict)}
    _bound_points(path, features)
    lights = content.get("dynamic_map_states")
    lights = {text(k): v for k, v in lights.items() if isinstance(v, dict)} if isinstance(lights, dict) else {}
    version = text(content.get("version"))
    return Record(path, version, metadata, time, ego, tracks, features, lights, tuple(problems))


def _is_actor(value: Any) -> bool:
    return isinstance(value, dict) and text(value.get("type")) not in _STANDING


def text(value: Any) -> str:
    """A name as the file has it, a number's digits; "" for anything else, however deep it may be nested."""
    if isinstance(value, str):
        return value[:200]
    return str(value) if isinstance(value, int | np.integer) and abs(value) < 2**63 else ""


def _ego(path: Path, metadata: Mapping[str, Any], states: Mapping[str, Any]) -> str:
    named = metadata.get("sdc_id")
    names = [text(named)] if named is not None else ["ego", "AV", "default_agent"]
    for name in names:
        if name in states:
            return name
    raise NotDrivable(f"{path}: its ego (metadata sdc_id {names[0]!r}) is not among the {len(states)} tracks")


def _times(path: Path, metadata: Mapping[str, Any], steps: int, problems: list[str]) -> np.ndarray:
    """Seconds from the first step: of `ts`, which some converters write in micro- or nanoseconds, or at 10 Hz."""
    stamps = column(metadata.get("ts"), steps)
    if stamps is not None and steps > 1:
        gap = np.diff(stamps)
        for unit in (1.0, 1e-6, 1e-9):
            if (gap > 0).all() and 0.005 <= np.median(gap) * unit <= 2.0:
                time = (stamps - stamps[0]) * unit
                if time[-1] > 3600.0:
                    raise InputError(f"{path}: lasts {time[-1]:.0f} s; a scenario of more than an hour is not read")
                return time
    problems.append("no usable time stamps: 10 steps a second taken")
    return np.arange(steps) * 0.1


def _tracks(path: Path, states: Mapping[str, Any], steps: int, ego: str, problems: list[str]) -> dict[str, Recorded]:
    own, _ = _recorded(states[ego], steps, None)
    if own is None:
        raise InputError(f"{path}: the ego {ego} has no valid poses of {steps} steps")
    near = np.median(own.position, axis=0)
    tracks, unread, cut = {}, [], 0
    for name, value in states.items():
        track, lost = _recorded(value, steps, near)
        cut += track is not None and lost > 0
        if track is not None:
            tracks[name] = track
        elif name == ego:
            raise InputError(f"{path}: the ego {ego} jumps by more than {FARTHEST / 1000:.0f} km")
        else:
            unread.append(name)
    if unread:
        problems.append(f"{len(unread)} tracks without usable poses left out ({', '.join(sorted(unread)[:3])} ...)")
    if cut:
        problems.append(f"{cut} tracks have steps that are no places nearby; absent there")
    return tracks


def _recorded(value: Mapping[str, Any], steps: int, near: np.ndarray | None) -> tuple[Recorded | None, int]:
    """A track, None if it has no pose at all, and how many valid steps are no numbers or far from `near` (3,)."""
    state = value.get("state")
    state = state if isinstance(state, dict) else {}
    position, heading = points(state.get("position"), steps), column(state.get("heading"), steps)
    valid = column(state.get("valid"), steps) if "valid" in state else np.ones(steps)
    if position is None or heading is None or valid is None or len(position) != steps:
        return None, 0
    if position.shape[1] == 2:
        position = np.column_stack([position, np.zeros(steps)])
    said = np.nan_to_num(valid) > 0.5
    sound = np.isfinite(position).all(1) & np.isfinite(heading) & (np.abs(heading) < 1e3)
    if near is not None:
        sound &= (np.abs(position - near) < FARTHEST).all(1)
    row = np.flatnonzero(said & sound)
    if not len(row):
        return None, 0
    velocity = points(state.get("velocity"), steps)
    velocity = velocity[row, :2] if velocity is not None and len(velocity) == steps else None
    if velocity is not None:
        velocity[~(np.abs(velocity) < FASTEST)] = np.nan  # estimated there
    sizes = [column(state.get(key), steps) for key in ("length", "width", "height")]
    size = np.array([_median(x[row]) if x is not None else math.nan for x in sizes])
    lean = [column(state.get(key), steps) for key in ("pitch", "roll")]
    pitch, roll = (np.nan_to_num(x[row]) if x is not None else None for x in lean)
    about = value.get("metadata")
    word = text(about.get("type")) if isinstance(about, dict) else ""
    track = Recorded(
        text(value.get("type")), word, row, position[row], heading[row], velocity, size, pitch, roll
    )  # fmt: skip
    return track, int((said & ~sound).sum())


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values) & (values > 0.0)]
    return float(np.median(values)) if len(values) else math.nan


def column(value: Any, steps: int) -> np.ndarray | None:
    """(steps,) float64 of an array (steps,) or (steps, 1), or a list of numbers; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value.reshape(-1).astype(np.float64) if value.size == steps else None
    if not isinstance(value, list | tuple) or len(value) != steps:
        return None
    if not all(isinstance(x, int | float | np.integer | np.floating | np.bool_) for x in value):
        return None
    return np.array([float(x) if abs(x) < 1e300 else math.nan for x in value])


def points(value: Any, most: int = MOST_POINTS) -> np.ndarray | None:
    """(n, 2) or (n, 3) float64 of an array or of a list of short rows of numbers; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        if value.ndim != 2 or value.shape[1] < 2 or len(value) > most:
            return None
        return value[:, :3].astype(np.float64)
    if not isinstance(value, list | tuple | np.ndarray) or len(value) > most or not len(value):
        return None
    width = len(value[0]) if hasattr(value[0], "__len__") else 0
    if not 2 <= width <= 4:
        return None
    rows = [column(x, width) for x in value]
    return np.stack(rows)[:, :3] if all(x is not None for x in rows) else None  # type: ignore[arg-type]


def _bound_points(path: Path, features: Mapping[str, Mapping[str, Any]]) -> None:
    """A small pickle may name one long line a million times."""
    lines = (f.get(key) for f in features.values() for key in ("polyline", "polygon"))
    total = sum(len(x) for x in lines if isinstance(x, list | tuple) or (isinstance(x, np.ndarray) and x.ndim))
    if total > MOST_POINTS:
        raise InputError(f"{path}: a map of {total} points is no real scenario's")
