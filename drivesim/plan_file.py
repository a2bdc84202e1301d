"""Files of trajectories that were planned elsewhere: JSON lines or Parquet, one plan a row. docs/open_loop.md has the
format. Nobody vouches for them: every number is looked at, and a complaint names the row."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from . import parquet
from .asking import HORIZON
from .errors import InputError
from .files import read_bytes
from .types import Plan

FRAMES = ("ego", "world", "global")
"""Ego: that of the moment of planning. World: the scenario's, whose origin is the ego's first pose. Global: the log's
own coordinates, world plus `Scenario.origin`."""

MOST_ROWS, MOST_POSES = 1_000_000, 1000
TURN = 4 * math.pi
"""Largest angle that is taken for radians."""
SHARED = ("frame", "times")
"""What the first line of JSON lines may say for all."""


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
            raise InputError(f"{path}, {where}: a second trajectory for the same moment of {scenario}; "
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
    for i, line in enumerate(read_bytes(path).split(b"\n")):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {i + 1}: no JSON ({error}); one object a line is expected") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {i + 1}: an object is expected, {{...}}")
        if i == 0 and "scenario" not in row and "poses" not in row:
            shared = {key: row[key] for key in SHARED if key in row}
            continue
        yield f"line {i + 1}", {**shared, **row}


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        table, _ = parquet.read(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error}); write it again") from None
    row = 0
    for batch in table.to_batches(max_chunksize=1000):
        for entry in batch.to_pylist():
            row += 1
            yield f"row {row}", {key: value for key, value in entry.items() if value is not None}


def _planned(row: Mapping[str, Any], where: str, short: str) -> tuple[str, Planned]:
    for key in ("scenario", "poses", "times"):
        if key not in row:
            raise InputError(f"{where}: has no {key!r}; scenario, step (or time), poses and times are expected")
    scenario = row["scenario"]
    if not isinstance(scenario, str) or not scenario:
        raise InputError(f"{where}: scenario is {scenario!r}; the id of a scenario is expected, a text")
    frame = row.get("frame", "ego")
    if frame not in FRAMES:
        raise InputError(f"{where}: frame is {frame!r}; {', '.join(FRAMES)} are known")
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
            raise InputError(f"{where}: step is {step!r}; a whole number is expected, 0 is the log's first")
        return step, None
    if isinstance(time, bool) or not isinstance(time, int | float):
        raise InputError(f"{where}: says neither step nor time [s] of the moment of planning")
    if not 0 <= time < 1e6:
        raise InputError(f"{where}: time is {str(time)[:20]}; seconds since the scenario's first step are expected, no "
                         "time stamp of a clock")  # fmt: skip
    return None, float(time)


def _numbers(value: Any, name: str, where: str) -> np.ndarray:
    try:
        numbers = np.asarray(value, dtype=np.float64)
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
    """Write plans (scenario, step, plan) in their ego frames; returns how many. The numbers come back bit for bit."""
    path = Path(path).expanduser()
    rows = [{"scenario": scenario, "step": step, "poses": plan.poses.double().tolist(),
             "times": plan.time.double().tolist()} for scenario, step, plan in plans]  # fmt: skip
    try:
        if path.suffix == ".parquet":
            poses = pa.list_(pa.list_(pa.float64()))
            kinds = {"scenario": pa.string(), "step": pa.int64(), "poses": poses, "times": pa.list_(pa.float64())}
            columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
            parquet.write(pa.table(columns), {}, path)
        elif path.suffix == ".jsonl":
            lines = [json.dumps({"frame": "ego"}), *(json.dumps(row) for row in rows)]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        else:
            raise InputError(f"{path}: a name that ends in .jsonl or .parquet is expected")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None
    return len(rows)
