"""What a result depends on beside its configuration. Imports nothing heavy."""

from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def release(package: str = "drivesim") -> str:
    """Version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown (not installed)"


def versions(of: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Releases of what computes, and hashes of the source of the core and of the given parts' packages."""
    packages = {"drivesim", *(target.partition(".")[0] for part in of for target in _targets(part))}
    found = {name: release(name) for name in ("numpy", "torch", "numba")}
    found["python"] = ".".join(map(str, sys.version_info[:2]))
    return {**found, **{name: _digest(name) for name in sorted(packages)}}


def contents(part: Any, name: str = "") -> dict[str, str]:
    """Hashes of the files that options of a part name (weights, a population), by option: they may change in place."""
    if isinstance(part, Mapping):
        parts = {f"{name}.{key}".strip("."): value for key, value in part.items()}
        return {key: digest for at, value in parts.items() for key, digest in contents(value, at).items()}
    if not isinstance(part, str | Path) or not str(part) or not _is_file(part):
        return {}
    with Path(part).expanduser().open("rb") as file:
        return {name: hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()}


def _is_file(name: str | Path) -> bool:
    try:
        return Path(name).expanduser().is_file()
    except (OSError, ValueError):  # too long, or no path at all
        return False


def _targets(part: Any) -> Iterator[str]:
    """Every `_target_` in a part and in the parts inside it: a planner in a child process, say."""
    if isinstance(part, Mapping):
        if part.get("_target_"):
            yield str(part["_target_"]).replace(":", ".")
        for value in part.values():
            yield from _targets(value)


@functools.cache
def _digest(package: str) -> str:
    """Hash of a package's (or a lone module's) Python files, and of the populations that it ships."""
    module = importlib.import_module(package)
    folder = Path(next(iter(getattr(module, "__path__", [])), Path(module.__file__ or "").parent))
    whole = hasattr(module, "__path__")
    files = [*folder.rglob("*.py"), *folder.glob("conf/traffic/*.yaml")] if whole else [Path(module.__file__ or "")]
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(files):
        name = file.relative_to(folder).as_posix()
        if not name.startswith("report/"):  # how results are shown changes none of them
            digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
