"""Where the logs of both kinds lie under a root, found by names alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from drivesim import files
from drivesim.errors import InputError

DEPTH = 3
"""Folders between a root and its logs at most: argoverse2/sensor/val/<log>."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
"""What logs are called: uuids, as a rule."""
LOOKS = 400
"""Folder entries that `recognizes` looks at."""


@dataclass(frozen=True)
class Log:
    id: str
    path: Path  # folder of a sensor log, parquet file of a forecasting scenario

    @property
    def forecast(self) -> bool:
        return self.path.suffix == ".parquet"

    @property
    def annotations(self) -> Path:
        """Everybody's boxes in a sensor log."""
        return self.path / "annotations.feather"

    @property
    def archive(self) -> Path:
        """Map of a forecasting scenario."""
        return self.path.with_name(f"log_map_archive_{self.id}.json")


def at(path: Path) -> list[Log]:
    """The logs that a folder or file is or directly holds as files."""
    if path.is_file():
        return [Log(name, path)] if (name := _scenario(path)) and files.first_bytes(path, 4) == b"PAR1" else []
    named = path / f"scenario_{path.name}.parquet"
    if named.is_file():
        return [Log(path.name, named)]
    if (path / "city_SE3_egovehicle.feather").is_file() or (path / "annotations.feather").is_file():
        return [Log(path.name or path.resolve().name, path)]
    return []


def under(root: Path, depth: int = DEPTH) -> Iterator[Log]:
    """All logs at most `depth` folders down, folder by folder in order of names."""
    own = at(root)
    if own or not root.is_dir():
        yield from own
        return
    entries = sorted(root.iterdir())
    yield from (Log(name, p) for p in entries if (name := _scenario(p)) and p.is_file())
    if depth:
        for folder in entries:
            if folder.is_dir():
                yield from under(folder, depth - 1)


def looks_like(root: Path) -> bool:
    """Whether the first folders, one in each, hold a log."""
    try:
        return _looks_like(root, DEPTH)
    except OSError:
        return False


def _looks_like(root: Path, depth: int) -> bool:
    if at(root):
        return True
    if not root.is_dir():
        return False
    entries = sorted(islice(root.iterdir(), LOOKS))
    if any(_scenario(p) and at(p) for p in entries[:50]):
        return True
    return depth > 0 and any(_looks_like(folder, depth - 1) for folder in [p for p in entries if p.is_dir()][:8])


def everything(root: Path) -> dict[str, Log]:
    """Logs by id; of two with one id the first."""
    if not root.exists():
        raise InputError(f"{root}: no such folder; scenarios.root is the folder of the Argoverse 2 logs")
    logs: dict[str, Log] = {}
    for log in under(root):
        logs.setdefault(log.id, log)
    if not logs:
        raise InputError(
            f"{root}: no Argoverse 2 sensor log (a folder with city_SE3_egovehicle.feather) and no forecasting "
            f"scenario (scenario_<id>.parquet) in it"
        )
    return logs


def find(root: Path, id: str) -> Log:
    """The log of an id: where the data set has it, else wherever it is."""
    if root.is_dir() and NAME.fullmatch(id):
        for pattern in ("", "*/", "*/*/"):
            for folder in sorted(root.glob(f"{pattern}{id}")):
                for log in at(folder):
                    if log.id == id:
                        return log
    logs = everything(root)
    if id not in logs:
        raise InputError(f"no Argoverse 2 log '{id[:80]}' under {root}; there are {', '.join(sorted(logs)[:4])} ...")
    return logs[id]


def _scenario(path: Path) -> str:
    """Id of a forecasting scenario's file, "" for other files."""
    name, start, end = path.name, "scenario_", ".parquet"
    return name[len(start) : -len(end)] if name.startswith(start) and name.endswith(end) else ""
