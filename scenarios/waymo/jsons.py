"""Scenes as GPUDrive and Nocturne write them: json, one scene a file.

There are three kinds, and one reader for all: Nocturne's (x and y alone, headings in degrees, no height, no ids, no
traffic lights, no kinds of map features), the later one (heights, ids of map features, lights, headings in degrees),
and GPUDrive's (headings in radians, ids of tracks, metadata with the ego's index). No kind has links between lanes or
the lanes of stop signs.
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from drivesim.errors import InputError
from drivesim.files import read_bytes, read_json
from drivesim.types import DT, Kind

from .log import MOST_STATES, MOST_STEPS, Lane, Lights, Log, Roads, Tracks, named

_KINDS = {"vehicle": Kind.CAR, "pedestrian": Kind.PEDESTRIAN, "cyclist": Kind.BICYCLE}
_STATES = {
    "arrow_stop": 1, "arrow_caution": 2, "arrow_go": 3, "stop": 4, "caution": 5, "go": 6,
    "flashing_stop": 7, "flashing_caution": 8,
}  # fmt: skip
_ABSENT = (-10_000.0, 1e-4)
"""What stands for "no value", beside `valid`: of GPUDrive and of its forerunner."""

_NAN = float("nan")


class _Point(msgspec.Struct, gc=False):
    x: float | None = _NAN
    y: float | None = _NAN
    z: float | None = _NAN


class _Object(msgspec.Struct):
    position: list[_Point]
    heading: list[float | None]
    length: float
    width: float
    velocity: list[_Point] = []
    valid: list[bool] | None = None
    height: float | None = None
    type: str = "unset"
    id: int | None = None
    is_sdc: bool = False


class _Road(msgspec.Struct):
    geometry: list[_Point]
    type: str
    id: int | None = None
    map_element_id: int | None = None


class _Light(msgspec.Struct):
    state: list[str | int]
    x: list[float]
    y: list[float]
    z: list[float] = []
    time_index: list[int] | None = None


class _Metadata(msgspec.Struct):
    sdc_track_index: int | None = None


class _Scene(msgspec.Struct):
    objects: list[_Object]
    roads: list[_Road] = []
    tl_states: dict[str, _Light] | None = None
    metadata: _Metadata | None = None


_DECODER = msgspec.json.Decoder(_Scene, strict=False)


def is_scene(head: bytes) -> bool:
    """Whether a file's first bytes begin a scene of this kind: its name, and objects with positions soon after."""
    return head.lstrip()[:1] == b"{" and re.search(rb'"objects"\s*:\s*\[\s*(\{|\])', head) is not None


def scene_id(head: bytes) -> str:
    """The scenario's id, where a file's first bytes state it."""
    found = re.search(rb'"scenario_id"\s*:\s*"([^"]{1,64})"', head)
    return found[1].decode(errors="replace") if found else ""


def read_scene(path: Path) -> Log:
    data = read_bytes(path)
    try:
        try:
            scene = _DECODER.decode(data)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # json as Python writes it may hold NaN
            scene = msgspec.convert(read_json(path), _Scene, strict=False)
        return _log(scene)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path}: is no GPUDrive or Nocturne scene ({error})") from None


def _log(scene: _Scene) -> Log:
    objects = scene.objects
    steps = max((len(x.position) for x in objects), default=0)
    if steps > MOST_STEPS or steps * len(objects) > MOST_STATES:
        raise ValueError(f"{len(objects)} objects over {steps} steps")
    tracks = _tracks(objects, steps)
    ego = scene.metadata.sdc_track_index if scene.metadata else None
    if ego is None:
        ego = next((i for i, x in enumerate(objects) if x.is_sdc), None)
    if ego is not None and not 0 <= ego < len(objects):
        raise ValueError(f"names object {ego} of {len(objects)} as its ego")
    return Log(
        time=np.arange(steps) * DT, current=10, ego=ego, tracks=tracks, roads=_roads(scene.roads),
        lights=_lights(scene.tl_states or {}, steps),
    )  # fmt: skip


def _tracks(objects: list[_Object], steps: int) -> Tracks:
    for i, x in enumerate(objects):
        if len({len(x.position), len(x.heading), steps}) > 1 or len(x.velocity) not in (0, steps):
            raise ValueError(f"object {i} has {len(x.position)} positions and {len(x.heading)} headings of {steps}")
        if x.valid is not None and len(x.valid) != steps:
            raise ValueError(f"object {i} has {len(x.valid)} valid flags for {steps} steps")
    shape = (len(objects), steps)
    center = _points(chain.from_iterable(x.position for x in objects)).reshape(*shape, 3)
    nowhere = [_Point()] * steps
    velocity = _points(chain.from_iterable(x.velocity or nowhere for x in objects)).reshape(*shape, 3)[..., :2]
    yaw = np.array([x.heading for x in objects], np.float64).reshape(shape)
    valid = np.array([[True] * steps if x.valid is None else x.valid for x in objects], bool).reshape(shape)
    for mark in _ABSENT:
        valid &= ~(center[..., :2] == mark).all(-1)
        velocity = np.where((velocity == mark).all(-1, keepdims=True), np.nan, velocity)
    size = np.array([(x.length, x.width, _NAN if x.height is None else x.height) for x in objects], np.float64)
    ids = [str(i if x.id is None else x.id) for i, x in enumerate(objects)]
    return Tracks(
        ids=named(ids),
        kind=[_KINDS.get(x.type, Kind.OBJECT) for x in objects],
        center=center, yaw=_radians(yaw, velocity, valid), velocity=velocity,
        size=np.repeat(size.reshape(-1, 1, 3), steps, 1), valid=valid,
    )  # fmt: skip


def _radians(yaw: np.ndarray, velocity: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Headings are in whichever unit fits how agents move; where none does, in degrees if one is beyond two turns."""
    seen = valid & np.isfinite(yaw)
    turned = np.deg2rad(yaw)
    moving = seen & (np.hypot(velocity[..., 0], velocity[..., 1]) > 2.0)
    if not moving.any():
        return turned if seen.any() and np.abs(yaw[seen]).max() > 4 * np.pi else yaw
    along = np.arctan2(velocity[moving][:, 1], velocity[moving][:, 0])
    fits, degrees = (np.cos(x[moving] - along).sum() for x in (yaw, turned))
    return turned if degrees > fits else yaw


def _points(points: Any) -> np.ndarray:
    """(n, 3) with NaN for what is not there."""
    return np.array([(p.x, p.y, p.z) for p in points], np.float64).reshape(-1, 3)


def _roads(features: list[_Road]) -> Roads:
    points = _points(chain.from_iterable(x.geometry for x in features))
    points[~np.isfinite(points[:, 2]), 2] = 0.0
    lines = np.split(points, np.cumsum([len(x.geometry) for x in features])[:-1]) if features else []
    roads = Roads()
    for i, (feature, line) in enumerate(zip(features, lines, strict=True)):
        kind = feature.map_element_id
        if feature.type == "lane":
            roads.lanes.append(Lane(i if feature.id is None else feature.id, line, bicycle=kind == 3))
        elif feature.type == "road_line":
            roads.paint.append((-1 if kind is None else kind - 5, line))
        elif feature.type == "road_edge":
            roads.edges.append(line)
        elif feature.type == "stop_sign":
            roads.signs.extend(((), place) for place in line[:1])
        elif feature.type == "crosswalk":
            roads.crosswalks.append(line)
        elif feature.type == "driveway":
            roads.driveways.append(line)
    return roads


def _lights(lights: dict[str, _Light], steps: int) -> Lights:
    seen = []
    for lane, light in lights.items():
        z = light.z or [0.0] * len(light.x)
        when = range(len(light.state)) if light.time_index is None else light.time_index
        if len({len(x) for x in (light.state, light.x, light.y, z, when)}) > 1 or not lane.lstrip("-").isdigit():
            raise ValueError(f"the traffic light of lane {lane} has rows of different length")
        for step, state, *place in zip(when, light.state, light.x, light.y, z, strict=True):
            seen.append((step, int(lane), state if isinstance(state, int) else _STATES.get(state, 0), tuple(place)))
    return Lights.of(seen, steps)
