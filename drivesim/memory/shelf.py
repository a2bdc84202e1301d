"""Memories on disk, built once per log: folders of plain .npy files that are mapped, not read.

`$DRIVESIM_CACHE/memory`, else `~/.cache/drivesim/memory` (XDG). A folder's name is a hash of what was recorded, the
settings and the version of what builds them: what has changed is not found again. It is built beside its place and
renamed when whole; a lock lets a second builder wait for the first. The longest unused go when all are too large.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..files import cache_folder
from ..types import Scenario
from .build import Progress, Settings, build
from .photos import New
from .remembered import Photos, Remembered, Surfels

VERSION = 7
"""Of what is built and how it is kept; another number finds none of the old ones again."""

GIGABYTES = 20.0
"""Of all memories together, by default."""

_DEAD = 86400.0
"""After so long [s] nobody builds any more."""

_PHOTOS = tuple(Photos.__dataclass_fields__)
_SURFELS = tuple(Surfels.__dataclass_fields__)


def remember(
    scenario: Scenario,
    settings: Settings | None = None,
    *,
    folder: Path | None = None,
    gigabytes: float = GIGABYTES,
    progress: Progress = lambda what, share: None,
) -> Remembered:
    """The memory of a scenario's log: from the cache, or built and kept there.

    folder: of the cache; where there is none and none can be made, the memory is built and kept nowhere.
    """
    settings = settings or Settings()
    root = folder or cache_folder("memory")
    place = root / key(scenario, settings) if root else None
    if place is None or not _writable(place.parent):
        return build(scenario, settings, lambda name, shape, kind: np.empty(shape, kind), progress)
    with _lock(place.with_suffix(".lock")):
        found = load(place)
        if found is None:
            _keep(place, lambda new: build(scenario, settings, new, progress))
            _evict(place, gigabytes * 2**30)
            found = load(place)
    if found is None:
        raise OSError(f"{place}: what was written there cannot be read back; is the disk full or broken?")
    return found


def key(scenario: Scenario, settings: Settings) -> str:
    """Name of a memory: of the scenario's content, where its sensors were and when, the settings, the version."""
    digest = hashlib.blake2b(digest_size=16)
    told = [VERSION, scenario.fingerprint, asdict(settings)]
    digest.update(json.dumps(told, sort_keys=True).encode())
    log = scenario.log
    tensors = [log.world_from_box, log.valid, log.size, scenario.scene.map.ground.z]
    sensors = scenario.sensors
    for _, images in sorted(sensors.images.items()) if sensors else ():
        tensors += [x for i in images for x in (i.world_from_camera, i.camera.intrinsics)]
        told = [[i.camera.name, i.camera.width, i.camera.height, i.camera.distortion, i.time] for i in images]
        digest.update(json.dumps(told).encode())
    for sweep in sensors.sweeps if sensors else ():
        tensors.append(sweep.origin)
        digest.update(json.dumps([sweep.time, sweep.moments is None]).encode())
    for x in tensors:
        digest.update(str(tuple(x.shape)).encode() + np.ascontiguousarray(x.numpy()).tobytes())
    return digest.hexdigest()


def load(place: Path) -> Remembered | None:
    """A memory that was kept; None if it is not there, not whole or not readable."""
    try:
        told = json.loads((place / "memory.json").read_bytes())
        arrays = {}
        for name, (shape, kind) in told["arrays"].items():
            array = np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if list(array.shape) != shape or array.dtype.str != kind:
                return None
            arrays[name] = array
        os.utime(place / "memory.json")  # the longest unused goes first
        photos = tuple(
            Photos(name, *(arrays[f"photos.{i}.{field}"] for field in _PHOTOS[1:]))
            for i, name in enumerate(told["cameras"])
        )
        surfels = Surfels(*(np.array(arrays[f"surfels.{field}"]) for field in _SURFELS))
        boxes = np.array(arrays["world_from_box"])
        return Remembered(surfels, photos, boxes, float(told["dt"]), tuple(told["problems"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _keep(place: Path, make: Callable[[New], Remembered]) -> None:
    """Build beside `place` and put it there when it is whole."""
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    aside.mkdir(parents=True)
    try:
        made = _write(aside, make)
        (aside / "memory.json").write_text(json.dumps(made))
        shutil.rmtree(place, ignore_errors=True)  # damaged or half gone
        aside.replace(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(folder: Path, make: Callable[[New], Remembered]) -> dict:
    """Build into a folder; what `memory.json` tells of it."""

    def new(name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
        empty = 0 in shape  # cannot be mapped
        return np.empty(shape, kind) if empty else np.lib.format.open_memmap(folder / f"{name}.new", "w+", kind, shape)

    built, arrays = make(new), {}
    parts = {f"surfels.{field}": getattr(built.surfels, field) for field in _SURFELS}
    for i, photos in enumerate(built.photos):
        parts |= {f"photos.{i}.{field}": getattr(photos, field) for field in _PHOTOS[1:]}
    for name, array in {**parts, "world_from_box": built.world_from_box}.items():
        path, grown = folder / f"{name}.npy", folder / f"{name}.new"
        if isinstance(array, np.memmap) and grown.is_file() and np.load(grown, "r").shape == array.shape:
            array.flush()
            grown.rename(path)
        else:
            np.save(path, array, allow_pickle=False)
        arrays[name] = [list(array.shape), array.dtype.str]
    for path in folder.glob("*.new"):
        path.unlink()
    cameras = [photos.camera for photos in built.photos]
    return {"cameras": cameras, "dt": built.dt, "problems": list(built.problems), "arrays": arrays}


def _evict(kept: Path, most: float) -> None:
    """Remove the longest unused memories beside `kept` until all take `most` bytes, and what dead builders left."""
    for aside in kept.parent.glob(".*"):
        with contextlib.suppress(OSError):
            if time.time() - aside.stat().st_mtime > _DEAD:
                shutil.rmtree(aside)
    found = []
    for told in kept.parent.glob("*/memory.json"):
        with contextlib.suppress(OSError):
            size = sum(p.stat().st_size for p in told.parent.iterdir())
            found.append((told.stat().st_mtime, size, told.parent))
    total = sum(size for _, size, _ in found)
    for _, size, folder in sorted(found):
        if total > most and folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)
            total -= size


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time; it goes with its process. Where there are no such locks, both build."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # some network file systems have none
            yield
            return
        yield
