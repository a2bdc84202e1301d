"""How this folder's kernels are compiled: cached on disk, without the lock of the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numba

_HERE = Path(__file__).parent
_SOURCES = blake2b(
    b"".join(p.read_bytes() for p in [*sorted(_HERE.glob("*.py")), *sorted(_HERE.parent.glob("types/*.py"))])
)


def compiled(function: Callable) -> Callable:
    """A kernel. Its cache holds helpers, records and constants of other files too, which numba does not watch:
    so its name, by which the cache is found, carries a hash of all of them."""
    function.__qualname__ += f"_{_SOURCES.hexdigest()[:12]}"
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")


def inlined(function: Callable) -> Callable:
    """A helper of kernels; inlined, else each call would copy the records that it is passed."""
    return numba.njit(function, nogil=True, error_model="numpy", forceinline=True)
