"""Which files of a folder are scenarios."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from drivesim import files
from drivesim.errors import InputError
from drivesim.restricted_pickle import read_pickle

MAPPING, SUMMARY = "dataset_mapping.pkl", "dataset_summary.pkl"

DEEP = 5
"""Folders down to which files are looked for without a mapping."""

_NUMBERED = re.compile(r"\d+\.pkl")


@dataclass
class Database:
    paths: dict[str, Path] = field(default_factory=dict)  # id -> file
    lost: dict[str, str] = field(default_factory=dict)  # id -> why a file that the mapping names cannot be read


def looks_like_scenario(path: Path) -> bool:
    """By name and first bytes: `sd_*.pkl`, or `0.pkl` as MetaDrive exports them."""
    if path.name.startswith("sd_") and path.name.endswith(".pkl"):
        return files.first_bytes(path, 1) == b"\x80"
    if not _NUMBERED.fullmatch(path.name):
        return False
    start = files.first_bytes(path, 400)
    return start[:1] == b"\x80" and any(x in start for x in (b"map_features", b"tracks", b"version"))


def holds_scenarios(root: Path) -> bool:
    """A quick look; never raises."""
    try:
        if root.is_file():
            return root.name in (MAPPING, SUMMARY) or looks_like_scenario(root)
        if not root.is_dir():
            return False
        if (root / MAPPING).is_file():
            return True
        found = itertools.islice(files.walk(root, (".pkl",), DEEP, most=20_000), 100)
        return any(p.name == MAPPING or (_named(p, root) and looks_like_scenario(p)) for p in found)
    except OSError:
        return False


def find(root: Path) -> Database:
    """Of a file, of a database folder, whose mapping says which files belong to it, or of a folder of such."""
    if root.is_file() and root.name not in (MAPPING, SUMMARY):
        if files.first_bytes(root, 1) != b"\x80" and root.suffix != ".pkl":
            raise InputError(f"{root}: is no pickle; scenarios.root is a ScenarioNet database or file")
        return Database({_id(root): root})
    folder = root.parent if root.is_file() else root
    if not folder.is_dir():
        raise InputError(f"{root}: no such file or folder; scenarios.root is a ScenarioNet database or file")
    table = folder / MAPPING
    database = _mapped(folder, table.stat().st_mtime_ns) if table.is_file() else _unmapped(folder)
    if not database.paths and not database.lost:
        raise InputError(f"{folder}: no ScenarioNet scenario (sd_*.pkl) in it")
    return database


@lru_cache(maxsize=4)
def _mapped(folder: Path, changed: int) -> Database:
    """Kept while the mapping file stays as it was at `changed`: it may list a hundred thousand files."""
    mapping = read_pickle(folder / MAPPING)
    if not isinstance(mapping, dict) or not all(isinstance(x, str) for pair in mapping.items() for x in pair):
        raise InputError(f"{folder / MAPPING}: holds no mapping of file names to folders")
    database = Database()
    for name in sorted(mapping):
        id = _id(Path(name))
        try:
            path = files.inside(folder, f"{mapping[name]}/{name}" if mapping[name] else name)
        except (InputError, ValueError, OSError):
            database.lost[id] = (
                f"lies outside the folder, in {mapping[name][:80]!r}; take the folder above as scenarios.root"
            )
            continue
        if path.is_file():
            database.paths[id] = path
        else:
            database.lost[id] = "the mapping names it, but the file is not there; is the download complete?"
    return database


def _unmapped(folder: Path) -> Database:
    by_id: dict[str, list[Path]] = {}
    for path in files.walk(folder, (".pkl",), DEEP):
        if _named(path, folder):
            by_id.setdefault(_id(path), []).append(path)
    database = Database()
    for id, paths in by_id.items():
        for path in paths:  # files of the same name are told apart by their folders
            parts = path.relative_to(folder).parts[:-1] if len(paths) > 1 else ()
            database.paths["~".join((*parts, id))] = path
    return database


def _named(path: Path, folder: Path) -> bool:
    """Whether a file below a folder is called like a scenario."""
    return path.name.startswith("sd_") or (path.parent == folder and bool(_NUMBERED.fullmatch(path.name)))


def _id(path: Path) -> str:
    return path.name.removesuffix(".pkl").removeprefix("sd_")
