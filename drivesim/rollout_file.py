"""One rollout as one Parquet file, bit for bit and without pickles.

One row per step. Columns `agents.*` and `body.*` are lists over the agents (with xy, velocity and size interleaved),
columns `plan.*` are empty but at the steps at which a plan was made. The rest of the rollout is JSON in the schema's
metadata under `drivesim`, along with a digest of everything, so that a damaged file is never taken for a drive.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from . import parquet
from .errors import InputError
from .types import Agents, Body, Cause, Event, Plan, Rollout, Vehicle

FORMAT = 4
READ = (2, 3, FORMAT)
"""Formats that can be read: the second knows of no contacts, neither it nor the third of open loop."""
_STATE = {
    "agents.xy": 2, "agents.z": 1, "agents.yaw": 1, "agents.pitch": 1, "agents.roll": 1, "agents.velocity": 2,
    "agents.size": 3, "agents.kind": 1, "agents.valid": 1, "body.steering": 1, "body.acceleration": 1,
    "body.yaw_rate": 1,
}  # fmt: skip
"""Numbers per agent in each column."""
_PLAN = ("plan.poses", "plan.time", "plan.proposals")
_TYPES = (pa.float32(), pa.float64(), pa.int64(), pa.bool_())


def encode(rollout: Rollout, key: str) -> bytes:
    """The file's bytes; equal rollouts give equal bytes. ValueError if its plans do not fit its steps or each other."""
    steps, agents = rollout.agents.valid.shape
    if len(set(rollout.plan_steps)) != len(rollout.plans) or not all(0 <= s < steps for s in rollout.plan_steps):
        raise ValueError(f"plans at steps {rollout.plan_steps} of a rollout of {steps} steps")
    for step, plan in zip(rollout.plan_steps, rollout.plans, strict=True):
        if plan.proposals is not None and plan.proposals.shape[1:] != plan.poses.shape:
            raise ValueError(f"proposals {tuple(plan.proposals.shape)} beside {tuple(plan.poses.shape)} at step {step}")
    columns = {name: _state_column(rollout, name, steps, agents) for name in _STATE}
    columns |= {name: _plan_column(rollout, name, steps) for name in _PLAN}
    table = pa.table(columns)
    meta = {
        "format": FORMAT, "key": key, "agents": agents,
        "scenario_id": rollout.scenario_id, "fingerprint": rollout.fingerprint, "seed": rollout.seed,
        "start": rollout.start, "dt": rollout.dt, "cause": Cause(rollout.cause).name,
        "vehicle": dataclasses.asdict(rollout.vehicle), "versions": dict(rollout.versions),
        "contacts": [dataclasses.asdict(event) for event in rollout.contacts], "loop": rollout.loop,
    }  # fmt: skip
    meta["digest"] = _digest(meta, table)
    buffer = io.BytesIO()
    parquet.write(table, meta, buffer)
    return buffer.getvalue()


def read(path: Path, key: str) -> Rollout:
    """Rollout of a file; InputError with its name if it is missing, damaged, too large or not the one of `key`."""
    try:
        return _decode(path, key)
    except FileNotFoundError:
        raise InputError(f"{path}: no such rollout; run the job again") from None
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable rollout ({reason}); delete it and run again") from None


def _decode(path: Path, key: str) -> Rollout:
    table, meta = parquet.read(path)
    if meta.get("format") not in READ:
        raise ValueError(f"format {meta.get('format')}, this version reads {READ[0]} to {READ[-1]}")
    if table.schema.names != [*_STATE, *_PLAN]:
        raise ValueError("unknown columns")
    if not all(pa.types.is_list(t) and t.value_type in _TYPES for t in table.schema.types):
        raise ValueError("columns of unknown type")
    if meta.pop("digest") != _digest(meta, table):
        raise ValueError("its content does not match its digest")
    if meta["key"] != key:
        raise ValueError(f"holds the rollout of {meta['key']}")
    return _rollout(table, meta)


def _rollout(table: pa.Table, meta: dict[str, Any]) -> Rollout:
    shape = (len(table), meta["agents"])
    parts: dict[str, dict[str, Tensor]] = {"agents": {}, "body": {}}
    for name, width in _STATE.items():
        part, field = name.split(".")
        values = _tensor(table[name].combine_chunks())
        parts[part][field] = values.reshape(shape if width == 1 else (*shape, width))
    plans, plan_steps = _plans(table)
    return Rollout(
        scenario_id=meta["scenario_id"], fingerprint=meta["fingerprint"], seed=meta["seed"], start=meta["start"],
        dt=meta["dt"], agents=Agents(**parts["agents"]), body=Body(**parts["body"]), plans=plans,
        plan_steps=plan_steps, vehicle=Vehicle(**meta["vehicle"]), cause=Cause[meta["cause"]],
        versions=meta["versions"], contacts=tuple(_event(event) for event in meta.get("contacts", ())),
        loop=meta.get("loop", "closed"),
    )  # fmt: skip


def _event(entry: dict[str, Any]) -> Event:
    return Event(entry["kind"], entry["step"], tuple(entry["agents"]), tuple(entry["xy"]), entry["detail"])


def _plans(table: pa.Table) -> tuple[tuple[Plan, ...], tuple[int, ...]]:
    poses, time, proposals = (table[name].combine_chunks() for name in _PLAN)
    steps = [i for i in range(len(table)) if poses[i].is_valid]
    plans = []
    for i in steps:
        when = _tensor(time.slice(i, 1))
        others = _tensor(proposals.slice(i, 1)).reshape(-1, len(when), 3) if proposals[i].is_valid else None
        plans.append(Plan(_tensor(poses.slice(i, 1)).reshape(-1, 3), when, others))
    return tuple(plans), tuple(steps)


def _state_column(rollout: Rollout, name: str, steps: int, agents: int) -> pa.ListArray:
    part, field = name.split(".")
    values = getattr(getattr(rollout, part), field)
    return _lists([row.reshape(agents * _STATE[name]) for row in values.reshape(steps, -1)], values.dtype)


def _plan_column(rollout: Rollout, name: str, steps: int) -> pa.ListArray:
    rows: list[Tensor | None] = [None] * steps
    for step, plan in zip(rollout.plan_steps, rollout.plans, strict=True):
        value = getattr(plan, name.split(".")[1])
        rows[step] = None if value is None else value.reshape(-1)
    dtypes = {row.dtype for row in rows if row is not None}
    return _lists(rows, dtypes.pop() if len(dtypes) == 1 else torch.float64 if dtypes else torch.float32)


def _lists(rows: Sequence[Tensor | None], dtype: torch.dtype) -> pa.ListArray:
    filled = [row.detach().cpu().to(dtype).numpy() for row in rows if row is not None]
    values = pa.array(np.concatenate(filled) if filled else torch.zeros(0, dtype=dtype).numpy(), from_pandas=False)
    if values.type not in _TYPES:
        raise TypeError(f"a rollout holds no {dtype}")
    ends = np.cumsum([0] + [0 if row is None else len(row) for row in rows]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array([row is None for row in rows], pa.bool_()))


def _tensor(column: pa.ListArray) -> Tensor:
    values = column.flatten().to_numpy(zero_copy_only=False)
    return torch.from_numpy(np.array(values))  # a copy: arrow's memory is read-only


def _digest(meta: dict[str, Any], table: pa.Table) -> str:
    """Of all that the file holds, whatever the encoding."""
    digest = hashlib.blake2b(json.dumps(meta, sort_keys=True).encode(), digest_size=16)
    for name in table.column_names:
        column = table[name].combine_chunks()
        digest.update(np.asarray(column.value_lengths().fill_null(-1)).tobytes())
        digest.update(column.flatten().to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()
