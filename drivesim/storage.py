"""The result store: what was driven, found again by what was asked for.

    out/results/<key>.json      one canonical row per job: status, cause, licence, scores with evidence, the job itself
    out/rollouts/<key>.parquet  the rollout, bit for bit (`rollout_file`)
    out/sidecar/<key>.json      latencies, host, wall time, attempts: what no two runs share, outside any comparison

A key is a hash of the job, so equal jobs meet in the same files, and equal jobs write equal bytes to results/ and
rollouts/. Every file appears at once or not at all: it is written under a name ending in .tmp, which readers ignore,
and then renamed. The row comes last and makes the rollout count. A stored drive is never replaced, a stored failure
only by a later attempt.

JSON knows no NaN: such numbers are the strings "NaN", "Infinity" and "-Infinity" (which most tools cast back to a
number), and a text that happens to be one of these gets a backslash in front. `rows` undoes both.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import rollout_file
from .errors import InputError
from .types import Event, Rollout, Score

FORMAT = 2
"""Of rows. The first had no number, and its scores do not say whether more is better: they are read as such."""
_NON_FINITE = re.compile(r"\\*(NaN|Infinity|-Infinity)")
_MAX_ROW = 1 << 28  # bytes; a row of ten metrics over a thousand steps takes less than one thousandth of it


@dataclass(frozen=True)
class Job:
    """One drive to be done, as plain data: configs are dicts with a `_target_`, None or {} stands for none."""

    source: Mapping[str, Any]
    scenario: str  # id within the source
    fingerprint: str  # of the scenario's content
    planner: Mapping[str, Any]
    planner_name: str
    generation: Mapping[str, Any] | None = None
    behavior: Mapping[str, Any] | None = None
    control: Mapping[str, Any] | None = None
    metrics: Sequence[Mapping[str, Any]] = ()
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)  # of everything that may change a bit of the result
    on_collision: str = "continue"  # or "stop"
    loop: str = "closed"  # or "open"

    def __post_init__(self) -> None:
        _ = self.key  # refuses at once what is not plain data

    @cached_property
    def key(self) -> str:
        """Hash of the job's content, 32 hex digits; also the name of its files."""
        return hashlib.blake2b(canonical(self).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a job."""

    rollout: Rollout | None = None
    scores: Sequence[Score] = ()
    status: str = "ok"  # ok | failed | skipped (the scene cannot be driven)
    cause: str = ""
    technical: bool = False  # failed through no fault of the planner: worth another attempt
    licence: str = ""
    sidecar: Mapping[str, Any] = field(default_factory=dict)


class Store:
    """Results in a folder. What the folder already holds stays; raises InputError if it cannot be written to, unless it
    is to be read alone."""

    def __init__(self, out: str | Path, read_only: bool = False) -> None:
        self.out = Path(out)
        self._results, self._rollouts, self._sidecar = (self.out / n for n in ("results", "rollouts", "sidecar"))
        if not read_only:
            self._open()

    def _open(self) -> None:
        try:
            for folder in (self._results, self._rollouts, self._sidecar):
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".{uuid.uuid4().hex}.tmp"
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise InputError(f"out={self.out}: cannot write there ({error.strerror}); choose another folder") from None

    def rollout_path(self, key: str) -> Path:
        return self._rollouts / f"{_checked(key)}.parquet"

    def has(self, key: str) -> bool:
        """Whether the job needs no further attempt: driven and stored, skipped, or failed by the planner's fault."""
        if not self._row_path(key).exists():
            return False
        row = self.row(key)
        return self.rollout_path(key).exists() if row["status"] == "ok" else not row["technical"]

    def save(
        self,
        job: Job,
        rollout: Rollout,
        scores: Sequence[Score],
        sidecar: Mapping[str, Any] | None = None,
        licence: str = "",
    ) -> None:
        """Store a drive. Raises InputError if another drive is stored under the same key, or the disk refuses."""
        row = _row(job, "ok", "", False, licence, scores)
        drive = rollout_file.encode(rollout, job.key)
        if self.has(job.key) and self.row(job.key)["status"] == "ok":
            if (self._row_path(job.key).read_bytes(), self.rollout_path(job.key).read_bytes()) != (
                row,
                drive,
            ):
                raise InputError(f"{self._row_path(job.key)} holds other results of the same job; choose another out")
            return
        _write(self.rollout_path(job.key), drive)
        _write(self._sidecar / f"{job.key}.json", _json(sidecar or {}))
        _write(self._row_path(job.key), row)

    def save_failure(
        self,
        job: Job,
        cause: str,
        sidecar: Mapping[str, Any] | None = None,
        technical: bool = False,
        status: str = "failed",
        licence: str = "",
    ) -> None:
        """Store that a job came to nothing and why. A drive that is stored already stays."""
        if self.has(job.key) and self.row(job.key)["status"] == "ok":
            return
        _write(self._sidecar / f"{job.key}.json", _json(sidecar or {}))
        _write(self._row_path(job.key), _row(job, status, cause, technical, licence, ()))

    def load_rollout(self, key: str) -> Rollout:
        """The rollout exactly as it was saved; InputError if it is missing or damaged."""
        return rollout_file.read(self.rollout_path(key), key)

    def row(self, key: str) -> dict[str, Any]:
        """The canonical row of one job; InputError if it is missing or damaged."""
        return self._read(self._row_path(key))

    def rows(self) -> list[dict[str, Any]]:
        """All rows, sorted by scenario, planner, seed and key."""
        rows = [self._read(path) for path in self._results.glob("*.json")]
        return sorted(rows, key=lambda r: (r["scenario"], r["planner"], r["seed"], r["key"]))

    def sidecar(self, key: str) -> dict[str, Any]:
        """What is known of how the job was run; empty if nothing was kept."""
        path = self._sidecar / f"{_checked(key)}.json"
        return self._read(path, columns=()) if path.exists() else {}

    def _row_path(self, key: str) -> Path:
        return self._results / f"{_checked(key)}.json"

    @staticmethod
    def _read(
        path: Path, columns: Sequence[str] = ("key", "status", "technical", "scenario", "planner", "seed")
    ) -> Any:
        try:
            if path.stat().st_size > _MAX_ROW:
                raise ValueError("too large")
            row = parse(path.read_text(encoding="utf-8"))
            if not isinstance(row, dict) or not all(c in row for c in columns):
                raise ValueError("not a result row")
            if columns and row["key"] != path.stem:
                raise ValueError(f"holds the row of {row['key']}")
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: not a readable result ({error}); delete it and run again") from None
        if columns and row.get("format", 1) not in range(1, FORMAT + 1):
            told = f"is of format {row['format']}, this drivesim reads up to {FORMAT}"
            raise InputError(f"{path} {told}: use the drivesim that wrote it")
        return row


def job_of(row: Mapping[str, Any]) -> Job:
    """The job of a row. Its `_target_`s are code to be run: build them only from a store you trust."""
    return Job(**{**row["job"], "metrics": tuple(row["job"]["metrics"])})


def scores_of(row: Mapping[str, Any]) -> tuple[Score, ...]:
    """The scores of a row; series come back as float32."""
    return tuple(_score(entry) for entry in row["scores"])


def _score(entry: Mapping[str, Any]) -> Score:
    events = (Event(e["kind"], e["step"], tuple(e["agents"]), tuple(e["xy"]), e["detail"]) for e in entry["evidence"])
    series = None if entry["series"] is None else torch.tensor(entry["series"], dtype=torch.float32)
    return Score(**{**entry, "series": series, "evidence": tuple(events)})


def _row(job: Job, status: str, cause: str, technical: bool, licence: str, scores: Sequence[Score]) -> bytes:
    return _json(
        {
            "format": FORMAT, "key": job.key, "status": status, "cause": cause, "technical": technical,
            "licence": licence, "scenario": job.scenario, "fingerprint": job.fingerprint,
            "planner": job.planner_name, "seed": job.seed, "scores": list(scores), "job": job,
        }
    )  # fmt: skip


def canonical(value: Any) -> str:
    """JSON with one spelling per content: sorted keys, no spaces. TypeError for what is not plain data."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse(text: str) -> Any:
    """Inverse of `canonical`, but for what was no plain data to begin with."""
    return _restored(json.loads(text))


def _json(value: Any) -> bytes:
    return (canonical(value) + "\n").encode()


def _plain(value: Any) -> Any:
    """Dataclasses, mappings, sequences, arrays, scalars as plain data; numbers that JSON cannot say are spelt out."""
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if np.isfinite(number) else {"nan": "NaN", "inf": "Infinity"}.get(str(number), "-Infinity")
    if isinstance(value, str):
        return "\\" + value if _NON_FINITE.fullmatch(value) else value
    if isinstance(value, Mapping):
        if not all(isinstance(k, str) for k in value):
            raise TypeError(f"keys must be text, not {sorted(map(repr, value))}")
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, torch.Tensor | np.ndarray | np.bool_):
        return _plain(value.tolist())
    if isinstance(value, Sequence):
        return [_plain(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    raise TypeError(f"{value!r} is no plain data ({type(value).__name__})")


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _restored(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_restored(v) for v in value]
    if isinstance(value, str) and _NON_FINITE.fullmatch(value):
        return value[1:] if value.startswith("\\") else float(value.replace("Infinity", "inf"))
    return value


def _checked(key: str) -> str:
    """A key is part of a path: nothing but hex digits."""
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        raise InputError(f"{key!r} is no key of a result (32 hex digits)")
    return key


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power cut after the rename leaves an empty file under the final name
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); what was stored before it is kept") from None
    finally:
        temporary.unlink(missing_ok=True)
