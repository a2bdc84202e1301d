"""A tf.Example of the Motion dataset as a Log (https://waymo.com/open/data/motion/tfexample).

Tensors of fixed shape, padded: 128 agents, 10 past, 1 current and 80 future steps, 16 lights a step, 20,000 or 30,000
points of the map, of which large scenes have more: then lines end early. Neither links between lanes nor speed limits
nor the lanes of stop signs are there.
"""

from __future__ import annotations

import numpy as np

from drivesim.errors import InputError
from drivesim.types import DT, Kind

from .log import KINDS, MOST_STEPS, Lane, Lights, Log, Roads, Tracks, named
from .messages import parse

_PARTS = ("past", "current", "future")
_BIKE_LANE, _LANES, _PAINT, _EDGES = 3, range(0, 4), range(5, 14), range(14, 17)
_STOP_SIGN, _CROSSWALK, _DRIVEWAY = 17, 18, 20
"""Of roadgraph_samples/type; 19 are speed bumps. A kind of paint less 5 is its RoadLineType."""

APART = 3.0
"""Points of a feature are 0.5 m apart; where they are more than this [m], what lay between was left out."""


class _Features:
    """Values by name, as arrays."""

    def __init__(self, record: bytes) -> None:
        entries = parse("Example", record).features.feature
        self._found = {entry.key: entry.value for entry in entries}

    def get(self, name: str, *shape: int) -> np.ndarray:
        if name not in self._found:
            raise ValueError(f"has no feature {name}")
        feature = self._found[name]
        values = feature.int64_list.value if feature.HasField("int64_list") else feature.float_list.value
        array = np.array(values, np.int64 if feature.HasField("int64_list") else np.float64)
        if array.size % max(int(np.prod([n for n in shape if n > 0])), 1):
            raise ValueError(f"has {array.size} values of {name}, which is no multiple of {shape}")
        return array.reshape(shape)

    def has(self, name: str) -> bool:
        return name in self._found


def read_example(record: bytes, where: str) -> Log:
    """Log of a record; InputError naming `where` it is from."""
    try:
        features = _Features(record)
        kind = features.get("state/type", -1)
        real = kind > 0
        past, tracks = _tracks(features, kind, real)
        ego = np.flatnonzero(features.get("state/is_sdc", -1)[real] == 1) if features.has("state/is_sdc") else []
        steps = tracks.valid.shape[1]
        return Log(
            time=_times(features, real, steps), current=past, ego=int(ego[0]) if len(ego) else None,
            tracks=tracks, roads=_roads(features), lights=_lights(features, steps),
        )  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error}; the record is damaged or of another kind") from None


def _series(features: _Features, name: str, agents: int) -> np.ndarray:
    """A state (A, T) over past, present and future."""
    return np.concatenate([features.get(f"state/{part}/{name}", agents, -1) for part in _PARTS], 1)


def _tracks(features: _Features, kind: np.ndarray, real: np.ndarray) -> tuple[int, Tracks]:
    names = ("x", "y", "z", "bbox_yaw", "velocity_x", "velocity_y", "length", "width", "height", "valid")
    past = features.get("state/past/x", len(kind), -1).shape[1]
    series = [_series(features, name, len(kind))[real] for name in names]
    if len({x.shape for x in series}) > 1 or series[0].shape[1] > MOST_STEPS:
        raise ValueError("has states of different length")
    x, y, z, yaw, vx, vy, length, width, height, valid = series
    ids = features.get("state/id", -1)[real] if features.has("state/id") else np.arange(int(real.sum()))
    names = [str(int(i)) if np.isfinite(i) else "?" for i in ids]
    return past, Tracks(
        ids=named(names),
        kind=[KINDS.get(int(k), Kind.OBJECT) for k in kind[real]],
        center=np.stack([x, y, z], -1), yaw=yaw, velocity=np.stack([vx, vy], -1),
        size=np.stack([length, width, height], -1), valid=valid == 1,
    )  # fmt: skip


def _times(features: _Features, real: np.ndarray, steps: int) -> np.ndarray:
    """Time stamps stand with each agent, -1 where it is not there; 10 Hz where they say nothing."""
    if not features.has("state/current/timestamp_micros"):
        return np.arange(steps) * DT
    stamps = _series(features, "timestamp_micros", len(real))[real]
    time = stamps.max(0, initial=-1) * 1e-6
    if len(time) != steps or (time < 0).any() or not (np.diff(time) > 0).all():
        return np.arange(steps) * DT
    return time - time[0]


def _roads(features: _Features) -> Roads:
    xyz = features.get("roadgraph_samples/xyz", -1, 3)
    kind, id = (features.get(f"roadgraph_samples/{name}", -1) for name in ("type", "id"))
    valid = features.get("roadgraph_samples/valid", -1) == 1
    if not len(xyz) == len(kind) == len(id) == len(valid):
        raise ValueError("has a map with arrays of different length")
    xyz, kind, id = xyz[valid], kind[valid].astype(np.int64), id[valid].astype(np.int64)
    step = np.hypot(*np.diff(xyz[:, :2], axis=0).T)
    closed = (kind == _CROSSWALK) | (kind == _DRIVEWAY)
    cut = (np.diff(id) != 0) | (np.diff(kind) != 0) | ((step > APART) & ~closed[1:])
    roads, seen = Roads(), set()
    for rows in np.split(np.arange(len(xyz)), np.flatnonzero(cut) + 1) if len(xyz) else ():
        line, what, name = xyz[rows], int(kind[rows[0]]), int(id[rows[0]])
        if what in _LANES:
            # the later part of a lane that was torn gets a number of its own
            own = name if name not in seen else -1 - int(rows[0])
            seen.add(own)
            roads.lanes.append(Lane(own, line, bicycle=what == _BIKE_LANE))
        elif what in _PAINT:
            roads.paint.append((what - 5, line))
        elif what in _EDGES:
            roads.edges.append(line)
        elif what == _STOP_SIGN:
            roads.signs.append(((), line[0]))
        elif what == _CROSSWALK:
            roads.crosswalks.append(line)
        elif what == _DRIVEWAY:
            roads.driveways.append(line)
    return roads


def _lights(features: _Features, steps: int) -> Lights:
    seen, before = [], 0
    for part in _PARTS:
        if not features.has(f"traffic_light_state/{part}/state"):
            break
        names = ("state", "id", "valid", "x", "y", "z")
        rows = [features.get(f"traffic_light_state/{part}/{name}", -1) for name in names]
        count = len(features.get(f"state/{part}/valid", -1)) // max(len(features.get("state/type", -1)), 1)
        if len({len(x) for x in rows}) > 1 or not count or len(rows[0]) % count:
            raise ValueError("has traffic lights with arrays of different length")
        wide = len(rows[0]) // count
        for k in np.flatnonzero((rows[2] == 1) & np.isfinite(rows[1])):
            place = tuple(float(x[k]) for x in rows[3:])
            seen.append((before + int(k) // max(wide, 1), int(rows[1][k]), max(int(rows[0][k]), 0), place))
        before += count
    return Lights.of(seen, steps)
