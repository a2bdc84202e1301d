"""How this folder's kernels are compiled: cached on disk, without the lock of the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numba

_SOURCES = blake2b(b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()[:12]


def compiled(function: Callable) -> Callable:
    """A kernel. Its cache holds constants and helpers of other files too, which numba does not watch: so its name, by
    which the cache is found, carries a hash of all of them."""
    function.__qualname__ += f"_{_SOURCES}"
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")
