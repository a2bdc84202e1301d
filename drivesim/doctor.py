"""What a machine has and whether it computes right."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from .versions import release

DISK = 2.0
"""GB that a first run wants: kernels' cache, rollouts, report."""


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    told: str
    needed: bool = True


def examine() -> list[Finding]:
    """All findings; an examination that raises is a finding that says so."""
    examinations: dict[str, Callable[[], Finding]] = {
        "python": _python, "packages": _packages, "processor": _processor, "memory": _memory, "disk": _disk,
        "torch device": _device, "linear algebra": _algebra, "compiled kernels": _kernels, "video": _video,
        "browser": _browser,
    }  # fmt: skip
    findings = []
    for name, examination in examinations.items():
        try:
            findings.append(examination())
        except Exception as error:
            findings.append(Finding(name, False, f"{type(error).__name__}: {error}"))
    return findings


def _python() -> Finding:
    return Finding("python", True, f"{platform.python_version()} on {platform.platform()}")


def _packages() -> Finding:
    names = (
        "drivesim",
        "torch",
        "numpy",
        "numba",
        "ray",
        "hydra-core",
        "av",
        "pyarrow",
        "shapely",
        "nuscenes-devkit",
    )
    found = {name: release(name) for name in names}
    missing = [name for name, version in found.items() if version.startswith("unknown")]
    return Finding("packages", not missing, ", ".join(f"{name} {version}" for name, version in found.items()))


def _processor() -> Finding:
    return Finding("processor", True, f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores for this process")


def _memory() -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return Finding("memory", free > 1, f"{free:.1f} GB free, at least 1 GB per worker is wanted")


def _disk() -> Finding:
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    return Finding("disk", free > DISK, f"{free:.1f} GB free here, {DISK:g} GB are wanted")


def _device() -> Finding:
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "none, CPU is used"
    return Finding("torch device", torch.cuda.is_available(), name, needed=False)


def _algebra() -> Finding:
    """Known answers: some builds of numpy's linear algebra are silently wrong on newer processors."""
    import numpy as np

    matrix = np.random.default_rng(0).normal(size=(40, 40)) + 40 * np.eye(40)
    worst = max(np.abs(f(matrix) @ matrix - np.eye(40)).max() for f in (np.linalg.inv, np.linalg.pinv))
    return Finding("linear algebra", bool(worst < 1e-9), f"inverse of a known matrix is off by {worst:.1e}")


def _kernels() -> Finding:
    import torch

    from .geometry import box_corners, boxes_overlap

    xy, yaw, size = torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.zeros(2), torch.tensor([[4.0, 2.0]] * 2)
    corners = box_corners(xy, yaw, size)
    import numba

    @numba.njit
    def add(a: float, b: float) -> float:
        return a + b

    right = bool(boxes_overlap(corners[0], corners[1])) and add(1.0, 2.0) == 3.0
    return Finding("compiled kernels", right, "numba compiles" if right else "a known answer is wrong")


def _video() -> Finding:
    import numpy as np

    from .report.video import decode, encode

    video = encode(np.full((64, 64, 3), shade, np.uint8) for shade in (40, 120, 200))
    off = np.abs(decode(video)[:, 32, 32].astype(int) - [[40], [120], [200]]).max()
    return Finding("video", bool(off < 12), f"H.264 is written and read back (off by {off} of 255)")


def _browser() -> Finding:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return Finding(
        "browser",
        path is not None,
        path or "no chromium: the test that plays reports is skipped",
        needed=False,
    )
