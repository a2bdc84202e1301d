"""Files of trajectories that were planned elsewhere: JSON lines or Parquet, one plan a row. docs/open_loop.md has the
format. Nobody vouches for them: every number is looked at, and a complaint names the row."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import parquet
from .asking import HORIZON, MOST_POSES
from .errors import InputError
from .files import read_bytes
from .types import DT, Plan

FRAMES = ("ego", "world", "global")
"""Ego: that of the moment of planning. World: the scenario's, whose origin is the ego's first pose. Global: the log's
own coordinates, world plus `Scenario.origin`."""

MOST_ROWS = 1_000_000
TURN = 4 * math.pi
"""Largest angle that is taken for radians."""
SHARED = ("frame", "times")
"""What the first line of JSON lines may say for all."""
KEYS = ("scenario", "step", "time", "poses", "times", "frame")
"""What a row may say, beside keys that begin with x_, which are the writer's own."""


@dataclass(frozen=True, eq=False)
class Planned:
    """A trajectory as the file has it."""

    where: str  # in the file
    step: int | None
    time: float | None  # [s] since step 0, where the file gives no step
    frame: str
    poses: np.ndarray  # (H, 3) float64 rear axle x, y [m], yaw [rad], in `frame`
    times: np.ndarray  # (H,) float64 [s] from the moment of planning


def read(path: str | Path) -> Mapping[str, Sequence[Planned]]:
    """Trajectories by scenario, in the file's order. InputError names file, row and what is wrong with it."""
    path = Path(path).expanduser()
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a file of trajectories") from None
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> Mapping[str, Sequence[Planned]]:
    found: dict[str, list[Planned]] = {}
    seen: dict[tuple[str, int | None, float | None], str] = {}
    for count, (where, row) in enumerate(_rows(path)):
        if count >= MOST_ROWS:
            raise InputError(f"{path}: holds more than {MOST_ROWS} trajectories; split it")
        scenario, planned = _planned(row, f"{path}, {where}", where)
        at = scenario, planned.step, planned.time
        if at in seen:
            raise InputError(f"{path}, {where}: a second trajectory for the same moment of {_clipped(scenario)}; "
                             f"the first is {seen[at]}")  # fmt: skip
        seen[at] = where
        found.setdefault(scenario, []).append(planned)
    if not found:
        raise InputError(f"{path}: holds no trajectories")
    return found


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    if not re.search(r"\.jsonl?(\.gz)?$", path.name):
        raise InputError(f"{path}: .jsonl (JSON lines, .gz too) or .parquet is expected")
    shared: Mapping[str, Any] = {}
    for i, line in enumerate(io.BytesIO(read_bytes(path))):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {i + 1}: no JSON ({error}); one object a line is expected") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {i + 1}: an object is expected, {{...}}")
        if i == 0 and "scenario" not in row and "poses" not in row:
            _known(row, SHARED, f"{path}, line 1, which speaks for all")
            shared = {key: row[key] for key in SHARED if key in row}
            continue
        _known(row, KEYS, f"{path}, line {i + 1}")
        yield f"line {i + 1}", {**shared, **row}


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        table, _ = parquet.read(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error}); write it again") from None
    _known(table.column_names, KEYS, f"{path}, columns")
    if table.num_rows > MOST_ROWS:
        raise InputError(f"{path}: holds more than {MOST_ROWS} trajectories; split it")
    row = 0
    for batch in table.to_batches(max_chunksize=1000):
        for entry in batch.to_pylist():
            row += 1
            yield f"row {row}", {key: value for key, value in entry.items() if value is not None}


def _known(keys: Iterable[str], known: Sequence[str], where: str) -> None:
    """Refuse a key that nobody reads: it may be another, misspelt."""
    for key in keys:
        if key not in known and not key.startswith("x_"):
            raise InputError(f"{where}: {_clipped(key)} is no known key; {', '.join(known)} are, and your own begin "
                             "with x_")  # fmt: skip


def _clipped(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:57]}..."


def _planned(row: Mapping[str, Any], where: str, short: str) -> tuple[str, Planned]:
    for key in ("scenario", "poses", "times"):
        if key not in row:
            raise InputError(f"{where}: has no {key!r}; scenario, step (or time), poses and times are expected")
    scenario = row["scenario"]
    if not isinstance(scenario, str) or not scenario:
        raise InputError(f"{where}: scenario is {_clipped(scenario)}; the id of a scenario is expected, a text")
    frame = row.get("frame", "ego")
    if frame not in FRAMES:
        raise InputError(f"{where}: frame is {_clipped(frame)}; {', '.join(FRAMES)} are known")
    step, time = _moment(row, where)
    times = _numbers(row["times"], "times", where)
    poses = _numbers(row["poses"], "poses", where)
    if poses.ndim == times.ndim == 1 and len(poses) == 3 * len(times):
        poses = poses.reshape(-1, 3)
    if times.ndim != 1 or not 1 <= len(times) <= MOST_POSES or poses.shape != (len(times), 3):
        raise InputError(f"{where}: poses of shape {poses.shape} and times of shape {times.shape}; (H, 3) and (H,) are "
                         f"expected, x, y, yaw each, H from 1 to {MOST_POSES}")  # fmt: skip
    _sensible(poses, times, where)
    return scenario, Planned(short, step, time, frame, poses, times)


def _moment(row: Mapping[str, Any], where: str) -> tuple[int | None, float | None]:
    step, time = row.get("step"), row.get("time")
    if step is not None:
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise InputError(f"{where}: step is {_clipped(step)}; a whole number is expected, 0 is the log's first")
        if time is None:
            return step, None
    if isinstance(time, bool) or not isinstance(time, int | float):
        told = "says neither step nor time [s]" if time is None else f"time is {_clipped(time)}; seconds are expected:"
        raise InputError(f"{where}: {told} of the moment of planning")
    if not 0 <= time < 1e6:
        raise InputError(f"{where}: time is {str(time)[:20]}; seconds since the scenario's first step are expected, no "
                         "time stamp of a clock")  # fmt: skip
    if step is None:
        return None, float(time)
    if abs(time - step * DT) > DT / 2 + 1e-9:
        raise InputError(f"{where}: step {step} is at {step * DT:g} s, but time is {time:g} s; give one of them")
    return step, None


def _numbers(value: Any, name: str, where: str) -> np.ndarray:
    try:
        given = np.asarray(value, dtype=object)  # as float64, numpy would take texts and truth values for numbers
        if not set(map(type, given.ravel())) <= {int, float}:
            raise TypeError
        numbers = given.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(f"{where}: {name} is no list of numbers, or its rows differ in length") from None
    if not np.isfinite(numbers).all():
        raise InputError(f"{where}: {name} holds a number that is not finite")
    return numbers


def _sensible(poses: np.ndarray, times: np.ndarray, where: str) -> None:
    if not (np.diff(times, prepend=0.0) > 0).all():
        raise InputError(f"{where}: times must increase from above 0, the moment of planning")
    if times[-1] > HORIZON:
        raise InputError(f"{where}: the last time is {times[-1]:g} s; at most {HORIZON:g} s are expected (seconds from "
                         "the moment of planning, neither milliseconds nor a clock's)")  # fmt: skip
    if np.abs(poses[:, 2]).max() > TURN:
        raise InputError(f"{where}: a yaw of {np.abs(poses[:, 2]).max():g}; radians are expected, not degrees")


def write(path: str | Path, plans: Iterable[tuple[str, int, Plan]]) -> int:
    """Write plans (scenario, step, plan) in their ego frames; returns how many. The numbers come back bit for bit, but
    for a yaw that `read` would take for degrees: such a plan's are wrapped to [-pi, pi]."""
    path = Path(path).expanduser()
    rows = [{"scenario": scenario, "step": step, "poses": _wrapped(plan.poses.double().tolist()),
             "times": plan.time.double().tolist()} for scenario, step, plan in plans]  # fmt: skip
    if path.suffix not in (".parquet", ".jsonl"):
        raise InputError(f"{path}: a name that ends in .jsonl or .parquet is expected")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # whoever reads meanwhile sees the old file or the new
    try:
        if path.suffix == ".parquet":
            poses = pa.list_(pa.list_(pa.float64()))
            kinds = {"scenario": pa.string(), "step": pa.int64(), "poses": poses, "times": pa.list_(pa.float64())}
            columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
            parquet.write(pa.table(columns), {}, part)
        else:
            lines = [json.dumps({"frame": "ego"}), *(json.dumps(row) for row in rows)]
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        part.unlink(missing_ok=True)
    return len(rows)


def _wrapped(poses: list[list[float]]) -> list[list[float]]:
    if max(abs(yaw) for _, _, yaw in poses) <= TURN:
        return poses
    return [[x, y, math.remainder(yaw, 2 * math.pi)] for x, y, yaw in poses]
