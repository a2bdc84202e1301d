"""Entries of the kernel, compiled when first called and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba


@cache
def sources() -> str:
    """Hash of everything the kernel is compiled from.

    numba looks at the file of an entry alone; as a closure variable of the entry this makes its cache follow the
    functions and constants of the others, too.
    """
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(here.parent.glob("*.py"))]
    files += sorted((here.parent.parent / "dynamics").glob("*.py"))
    return hashlib.sha256(b"".join(x.read_bytes() for x in files)).hexdigest()


def compiled(entry: Callable[[str], Callable], parallel: bool = False) -> Callable:
    """The function that `entry` makes, which must name its argument, compiled.

    `parallel` is not part of numba's key either: without it here the one form would be loaded for the other.
    """
    return numba.njit(cache=True, parallel=parallel, error_model="numpy")(entry(f"{sources()} {parallel}"))
