"""One scenario as one Parquet file, bit for bit and without pickles: `<id>.scenario.parquet`.

One row per tensor of the Scenario: `name` (the path of its field, such as `log.xy` or `scene.map.lanes.center.points`),
`dtype`, `shape`, and `data` (its values, little-endian, row-major). What is no tensor is JSON in the schema's
metadata under `drivesim`, with licence, provenance (`made_from`) and a digest of everything. Recorded photos and lidar
sweeps, if they are taken along, are rows of `<id>.sensors.parquet` beside it (`sensor_file`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from . import parquet
from .errors import InputError
from .loading.sanity import check
from .struct import Struct
from .types import Agents, Briefing, Camera, Command, Goal, Map, Place, Scenario, Scene, Scenery, Signals, Vehicle
from .versions import release

FORMAT = 1
SUFFIX = ".scenario.parquet"
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "bool": torch.bool}
_STRUCTS: dict[str, type[Struct]] = {
    "log": Agents, "scene.map": Map, "scene.scenery": Scenery, "scene.signals": Signals,
}  # fmt: skip


def write(scenario: Scenario, path: Path) -> None:
    """Write a scenario without its sensors' recordings. A storyboard stays behind: the agents then follow the log."""
    tensors, values = {}, {}
    for prefix, struct in zip(_STRUCTS, (scenario.log, *_scene(scenario)), strict=True):
        _flatten(struct, prefix, tensors, values)
    briefing = scenario.scene.briefing
    tensors |= {"briefing.route": briefing.route, "origin": scenario.origin}
    tensors |= {f"briefing.goals.{i}": goal.area for i, goal in enumerate(briefing.goals)}
    for i, camera in enumerate(briefing.cameras):
        tensors |= {f"cameras.{i}.intrinsics": camera.intrinsics, f"cameras.{i}.pose": camera.ego_from_camera}
    table = _table(tensors)
    meta = {"format": FORMAT, "values": values, **_description(scenario)}
    meta["digest"] = _digest(meta, table)
    temporary = path.with_name(f".{path.name}.tmp")
    parquet.write(table, meta, temporary)
    temporary.replace(path)


def read(path: Path) -> Scenario:
    """The scenario of a file, without sensors, with the fingerprint of what it was made from; InputError with its
    name if it is missing, damaged or too large."""
    try:
        table, meta = parquet.read(path)
        _expect(meta)
        if meta.pop("digest") != _digest(meta, table):
            raise ValueError("its content does not match its digest")
        return check(_scenario(_tensors(table), meta))
    except Exception as error:
        raise _unreadable(path, error) from None


def describe(path: Path) -> dict[str, Any]:
    """What a file says of itself (id, licence, digest, ...) without reading its tensors."""
    try:
        _, meta = parquet.describe(path)
        _expect(meta)
        return meta
    except Exception as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> Exception:
    """An InputError for whatever a damaged file can make of the reader; other errors are bugs of ours."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file")
    if isinstance(error, InputError):
        return InputError(f"{path}: {error}")
    known = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
    if not isinstance(error, known):
        return error
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{path}: not a readable scenario ({reason}); convert the log again")


def _expect(meta: Mapping[str, Any]) -> None:
    if meta.get("format") != FORMAT:
        raise ValueError(f"format {meta.get('format')}, this version reads {FORMAT}")


def _scene(scenario: Scenario) -> tuple[Map, Scenery, Signals]:
    return scenario.scene.map, scenario.scene.scenery, scenario.scene.signals


def _description(scenario: Scenario) -> dict[str, Any]:
    briefing = scenario.scene.briefing
    limits = lambda goal: [[_spelled(x) for x in pair] for pair in (goal.time, goal.yaw, goal.speed)]  # noqa: E731
    camera = lambda c: [c.name, c.width, c.height, list(c.distortion), c.rate]  # noqa: E731
    made_from = {"source": scenario.source, "fingerprint": scenario.fingerprint, "drivesim": release("drivesim")}
    storyboard = ("the storyboard was left behind: the agents follow its log",) if scenario.script else ()
    return {
        "id": scenario.id, "source": scenario.source, "made_from": made_from, "licence": scenario.licence,
        "track_ids": list(scenario.track_ids), "start": scenario.start, "steps": scenario.steps, "dt": briefing.dt,
        "command": briefing.command.name, "vehicle": dataclasses.asdict(briefing.vehicle),
        "goals": [limits(goal) for goal in briefing.goals], "cameras": [camera(c) for c in briefing.cameras],
        "tags": list(scenario.tags), "inferred": dict(scenario.inferred),
        "problems": [*scenario.problems, *storyboard],
        "place": [scenario.place.name, _spelled(scenario.place.latitude), _spelled(scenario.place.longitude)],
    }  # fmt: skip


def _scenario(tensors: dict[str, Tensor], meta: dict[str, Any]) -> Scenario:
    structs = [_rebuild(kind, prefix, tensors, meta["values"]) for prefix, kind in _STRUCTS.items()]
    log, road, scenery, signals = structs
    cameras = tuple(
        Camera(
            str(name),
            int(width),
            int(height),
            tensors[f"cameras.{i}.intrinsics"],
            tensors[f"cameras.{i}.pose"],
            tuple(map(float, bent)),
            float(rate),
        )
        for i, (name, width, height, bent, rate) in enumerate(meta["cameras"])
    )
    goals = tuple(
        Goal(tensors[f"briefing.goals.{i}"], *((_number(low), _number(high)) for low, high in limits))
        for i, limits in enumerate(meta["goals"])
    )
    briefing = Briefing(
        tensors["briefing.route"], Command[meta["command"]], _vehicle(meta), cameras, float(meta["dt"]), goals
    )
    name, latitude, longitude = meta["place"]
    return Scenario(
        id=str(meta["id"]), source=str(meta["source"]), fingerprint=str(meta["made_from"]["fingerprint"]),
        scene=Scene(road, scenery, signals, briefing),
        log=log, track_ids=tuple(map(str, meta["track_ids"])), start=int(meta["start"]), sensors=None,
        origin=tensors["origin"], licence=str(meta["licence"]), tags=tuple(map(str, meta["tags"])),
        place=Place(str(name), _number(latitude), _number(longitude)),
        inferred={str(k): float(v) for k, v in meta["inferred"].items()}, problems=tuple(map(str, meta["problems"])),
    )  # fmt: skip


def _vehicle(meta: dict[str, Any]) -> Vehicle:
    return Vehicle(**{name: float(value) for name, value in meta["vehicle"].items()})


def _spelled(value: float) -> float | str:
    """JSON has no infinities and no NaN."""
    return value if math.isfinite(value) else str(value)


def _number(value: float | str) -> float:
    return float(value)


def _flatten(struct: Struct, prefix: str, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    for field in dataclasses.fields(struct):  # type: ignore[arg-type]
        value, name = getattr(struct, field.name), f"{prefix}.{field.name}"
        if isinstance(value, Struct):
            _flatten(value, name, tensors, values)
        elif isinstance(value, Tensor):
            tensors[name] = value
        else:
            values[name] = value


def _rebuild(kind: type[Struct], prefix: str, tensors: dict[str, Tensor], values: dict[str, Any]) -> Any:
    hints, parts = get_type_hints(kind), {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name, hint = f"{prefix}.{field.name}", hints[field.name]
        if isinstance(hint, type) and issubclass(hint, Struct):
            parts[field.name] = _rebuild(hint, name, tensors, values)
        else:
            parts[field.name] = tensors[name] if hint is Tensor else values[name]
    return kind(**parts)


def _table(tensors: dict[str, Tensor]) -> pa.Table:
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
    return pa.table(
        {
            "name": pa.array(arrays, pa.string()),
            "dtype": pa.array([str(a.dtype) for a in arrays.values()], pa.string()),
            "shape": pa.array([list(a.shape) for a in arrays.values()], pa.list_(pa.int64())),
            "data": pa.array([a.tobytes() for a in arrays.values()], pa.large_binary()),
        }
    )


def _tensors(table: pa.Table) -> dict[str, Tensor]:
    tensors = {}
    columns = (table[name].to_pylist() for name in ("name", "dtype", "shape", "data"))
    for name, dtype, shape, data in zip(*columns, strict=True):
        if dtype not in _DTYPES or any(n < 0 for n in shape):
            raise ValueError(f"{name} is {dtype} of shape {shape}")
        values = np.frombuffer(bytearray(data), dtype=np.dtype(dtype).newbyteorder("<"))
        tensors[name] = torch.from_numpy(values.reshape(shape))  # of the two reshapes the one that raises ValueError
    return tensors


def _digest(meta: dict[str, Any], table: pa.Table) -> str:
    rows = zip(*(table[c].to_pylist() for c in ("name", "dtype", "shape")), strict=True)
    return parquet.digest({**meta, "rows": [list(row) for row in rows]}, *table["data"].to_pylist())
