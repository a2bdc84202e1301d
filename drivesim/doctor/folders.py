"""Where this process may write."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from ..files import cache_folder
from .finding import Finding

DISK = 2.0
"""GB that a first run wants: kernels' cache, rollouts, report."""


def disk() -> Finding:
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    where = (
        "here" if not (why := cannot_write(Path.cwd())) else f"here, where nothing can be written ({why}): give out="
    )
    return Finding(
        "disk", free > DISK and not why, f"{free:.1f} GB free {where}, {DISK:g} GB are wanted", bool(not why)
    )


def kernels() -> Finding:
    """Without this cache every process compiles for tens of seconds."""
    from .. import kernels

    folder = kernels._crossings.stats.cache_path
    why = cannot_write(Path(folder))
    mend = f": cannot be written ({why}); set NUMBA_CACHE_DIR to a folder of your own" if why else ""
    return Finding("cache of kernels", not why, f"{folder}{mend}")


def data() -> Finding:
    """Works without: every look at a folder then reads all of it."""
    folder = cache_folder("")
    why = "no home" if folder is None else cannot_write(folder)
    mend = f": cannot be written ({why}); set DRIVESIM_CACHE to a folder of your own" if why else ""
    return Finding("cache of data", not why, f"{folder}{mend}", needed=False)


def cannot_write(folder: Path) -> str:
    """Why nothing can be written to a folder, which is made if need be; empty if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{uuid.uuid4().hex}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""
