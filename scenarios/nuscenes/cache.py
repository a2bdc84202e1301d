"""The columns of a release on disk, opened by mapping them into memory: nothing is read before it is asked for.

They lie in `$DRIVESIM_CACHE/nuscenes`, else `$XDG_CACHE_HOME/drivesim/nuscenes`, else `~/.cache/drivesim/nuscenes`, one
folder for each state of a release's tables (about 0.6 GB for v1.0-trainval); the KEEP last used ones stay. They may be
removed at any time. Where none can be written the columns are built in memory.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from drivesim.errors import InputError
from drivesim.files import cache_folder

from .index import Columns, Contents, SceneEntry, build, digest
from .tables import TABLES

FORMAT = 1
"""Of the folders; another one means another key."""

KEEP = 6
PATIENCE = 600.0  # [s] for another process that builds the same

SHAPES = {
    "sample_time": ("<i8", ()), "data_time": ("<i8", ()), "data_key": ("|b1", ()), "data_channel": ("<i2", ()),
    "data_calibration": ("<i4", ()), "data_size": ("<i4", (2,)), "data_pose": ("<f8", (7,)),
    "file_offset": ("<i8", ()), "file_name": ("|u1", ()), "calibration_channel": ("<i2", ()),
    "calibration": ("<f8", (16,)), "instance_token": ("|S", ()), "instance_category": ("<i4", ()),
    "box_sample": ("<i4", ()), "box_instance": ("<i4", ()), "box_pose": ("<f8", (7,)), "box_size": ("<f8", (3,)),
}  # fmt: skip


class Damaged(Exception):
    """What lies in the cache is not what was written there."""


UNFIT = (OSError, ValueError, Damaged, msgspec.MsgspecError)
"""What opening a folder of columns raises where it is not there or not whole."""


@dataclass(frozen=True, eq=False)
class Index:
    """An open release."""

    contents: Contents
    columns: Columns
    home: Path | None  # its folder in the cache; None where there is none
    note: str = ""  # why there is none

    def entry(self, name: str) -> SceneEntry | None:
        return next((s for s in self.contents.scenes if s.name == name), None)


def open_index(folder: Path) -> Index:
    """The columns of a folder of tables; kept per process until a table changes on disk."""
    stamps = []
    for name in TABLES:
        path = folder / f"{name}.json"
        try:
            about = path.stat()
        except OSError:
            raise InputError(
                f"{path}: not there; nuScenes needs all of its tables; is the download complete?"
            ) from None
        stamps.append((name, about.st_size, about.st_mtime_ns))
    return _open(folder.resolve(), tuple(stamps), cache_folder("nuscenes"))


def checked(folder: Path, name: str) -> tuple[Index, SceneEntry]:
    """The release and a scene's entry, whose rows are as they were written. InputError for an unknown scene."""
    for _ in range(2):
        index = open_index(folder)
        entry = index.entry(name)
        if entry is None:
            raise InputError(f"{folder / 'scene.json'}: no scene '{name}' in it; `ids()` lists what there is")
        with suppress(ValueError, IndexError):
            if index.home is None or digest(entry, index.columns) == entry.digest:
                return index, entry
        _open.cache_clear()
        shutil.rmtree(index.home, ignore_errors=True)
    raise InputError(f"{index.home}: does not keep what is written there; set DRIVESIM_CACHE to a sound disk")


@lru_cache(maxsize=2)
def _open(folder: Path, stamps: tuple, root: Path | None) -> Index:
    place = hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()
    state = hashlib.blake2b(repr((FORMAT, stamps)).encode(), digest_size=8).hexdigest()
    if root is None:
        return Index(*_built(folder), None, "there is no folder for a cache")
    home = root / f"{folder.name}-{place}-{state}"
    with suppress(*UNFIT):
        return _mapped(home)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f"{home.name}.lock"):
            with suppress(*UNFIT):  # another process was quicker
                return _mapped(home)
            found = _built(folder)
            try:
                _write(home, *found)
                return _mapped(home)
            except UNFIT as error:
                return Index(*found, None, f"{home} cannot be written ({error})")
    except OSError as error:
        return Index(*_built(folder), None, f"{root} cannot be written ({error})")


def _built(folder: Path) -> tuple[Contents, Columns]:
    try:
        contents, columns = build(folder)
    except UnicodeError as error:
        raise InputError(f"{folder}: a table holds text that is none ({error}); download it again") from None
    return contents, {name: columns[name] for name in SHAPES}


def _mapped(home: Path) -> Index:
    head, _, body = (home / "contents.json").read_bytes().partition(b"\n")
    if hashlib.blake2b(body, digest_size=16).hexdigest().encode() != head:
        raise Damaged(home)
    columns = {}
    for name, (kind, tail) in SHAPES.items():
        column = _load(home / f"{name}.npy")
        if not column.dtype.str.startswith(kind) or column.shape[1:] != tail:
            raise Damaged(home)
        columns[name] = column
    with suppress(OSError):
        os.utime(home)  # so that the longest unused are the first to go
    return Index(msgspec.json.decode(body, type=Contents), columns, home)


def _load(path: Path) -> np.ndarray:
    """Maps the column; raises ValueError for what is no array of plain numbers or bytes."""
    with path.open("rb") as file:
        if not file.read(6) == np.lib.format.MAGIC_PREFIX:
            raise ValueError(path)
        file.seek(0)
        try:
            return np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
        except ValueError:
            return np.lib.format.read_array(file, allow_pickle=False)  # what is empty cannot be mapped


def _write(home: Path, contents: Contents, columns: Columns) -> None:
    """Into a folder beside, renamed when whole; what it replaces and what is old goes."""
    fresh = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        for name in SHAPES:
            np.save(fresh / f"{name}.npy", columns[name], allow_pickle=False)
        body = msgspec.json.encode(contents)
        head = hashlib.blake2b(body, digest_size=16).hexdigest().encode()
        (fresh / "contents.json").write_bytes(head + b"\n" + body)
        shutil.rmtree(home, ignore_errors=True)
        fresh.rename(home)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _prune(home)


def _prune(home: Path) -> None:
    """Remove older states of the same tables, all but the KEEP last used releases, and what a killed build left."""
    now, kept = time.time(), [home]
    with suppress(OSError):
        others = [(p.stat().st_mtime, p) for p in home.parent.iterdir() if p.is_dir() and p != home]
        for used, path in sorted(others, key=lambda pair: (-pair[0], pair[1].name)):
            if path.name.startswith("."):
                stays = now - used < 3600
            else:
                stays = len(kept) < KEEP and path.name.rpartition("-")[0] != home.name.rpartition("-")[0]
                kept += [path] * stays
            if not stays:
                shutil.rmtree(path, ignore_errors=True)
                path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that dies with the process. Without one, or out of patience, two build the same: no harm is done."""
    with path.open("w") as file:
        try:
            import fcntl

            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
        except (ImportError, OSError):
            pass
        yield


def remember(index: Index, name: str, key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` gave for this key before, else what it gives now; one file for each name."""
    if index.home is None:
        return make()
    path = index.home / "derived" / name
    head = hashlib.blake2b(key.encode(), digest_size=16).digest()
    with suppress(OSError):
        data = path.read_bytes()
        body = data[32:]
        if data[:32] == head + hashlib.blake2b(body, digest_size=16).digest():
            return body
    body = make()
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(head + hashlib.blake2b(body, digest_size=16).digest() + body)
        os.replace(file.name, path)
    return body
