"""Versions and abilities."""

from __future__ import annotations

import os
import platform
import shutil

from ..canaries import algebra
from ..versions import release
from .finding import Finding

PACKAGES = (
    "drivesim", "torch", "numpy", "scipy", "numba", "ray", "hydra-core", "av", "pyarrow", "shapely", "nuscenes-devkit",
)  # fmt: skip


LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where cgroups of version 2 and 1 tell their limit of memory."""


def python() -> Finding:
    return Finding("python", True, f"{platform.python_version()} on {platform.platform()}")


def packages() -> Finding:
    found = {name: release(name) for name in PACKAGES}
    missing = [name for name, version in found.items() if version.startswith("unknown")]
    return Finding("packages", not missing, ", ".join(f"{name} {version}" for name, version in found.items()))


def processor() -> Finding:
    cores = f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} cores for this process"
    return Finding("processor", True, f"{_model()}, {cores}")


def _model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.machine()


def blas() -> Finding:
    """The libraries that compute with matrices; which kernels they chose is what goes wrong on new processors."""
    import numpy as np

    built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    told = [f"numpy with {built.get('name', 'a library that it does not name')} {built.get('version', '')}".strip()]
    try:  # tells more, and is there wherever scikit-learn is
        from threadpoolctl import threadpool_info

        told += [f"{x['internal_api']} for {x['architecture']}" for x in threadpool_info() if "architecture" in x]
    except ImportError:
        pass
    told += [f"{name}={os.environ[name]}" for name in ("OPENBLAS_CORETYPE", "MKL_CBWR") if name in os.environ]
    return Finding("BLAS", True, ", ".join(dict.fromkeys(told)))


def memory() -> Finding:
    free = min(_available(), _allowed()) / 1e9
    return Finding("memory", free > 1, f"{free:.1f} GB free, at least 1 GB per worker is wanted")


def _available() -> float:
    """Bytes that may be had without swapping, the page cache's among them."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            entries = dict(line.split(":", 1) for line in file if ":" in line)
        return 1024.0 * int(entries["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _allowed() -> float:
    """Bytes that a container grants to all in it; inf without a limit."""
    for name in LIMITS:
        try:
            with open(name, encoding="utf-8") as file:
                return float(int(file.read()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return float("inf")


def gpu() -> Finding:
    """Without one all runs; one that inverts matrices wrong is no help to a planner."""
    import torch

    if not torch.cuda.is_available():
        return Finding("GPU", False, "none, the CPU is used", needed=False)
    name = f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / 1e9:.0f} GB"
    wrong = [answer.told() for answer in algebra.on("cuda") if not answer.right]
    return Finding("GPU", not wrong, "; ".join([name, *wrong[:1]]))


def video() -> Finding:
    import numpy as np

    from ..report.video import decode, encode

    video = encode(np.full((64, 64, 3), shade, np.uint8) for shade in (40, 120, 200))
    off = np.abs(decode(video)[:, 32, 32].astype(int) - [[40], [120], [200]]).max()
    return Finding("video", bool(off < 12), f"H.264 is written and read back (off by {off} of 255)")


def browser() -> Finding:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    told = path or "no chromium: the test that plays reports is skipped"
    return Finding("browser", path is not None, told, needed=False)
