"""Tokens to rows, and whose rows do not fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.errors import InputError

LARGEST = 1e6
"""Coordinates [m] beyond it are no coordinates: the maps measure some kilometres."""


@dataclass
class Faults:
    """What is wrong in the rows of each scene, by its number."""

    fatal: dict[int, str] = field(default_factory=dict)  # why it cannot be loaded, the first reason
    problems: dict[int, list[str]] = field(default_factory=dict)  # what is left out of it

    def blame(self, bad: np.ndarray, scene: np.ndarray, tell: Callable[[int], str]) -> None:
        """Note for each scene (n,) the first of its rows that is `bad` (n,)."""
        rows = np.flatnonzero(bad & (scene >= 0))
        for s, first in zip(*np.unique(scene[rows], return_index=True), strict=True):
            self.fatal.setdefault(int(s), tell(int(rows[first])))

    def note(self, bad: np.ndarray, scene: np.ndarray, tell: Callable[[int, int], str]) -> None:
        """The same for what is only left out; `tell` gets the row and how many there are."""
        rows = np.flatnonzero(bad & (scene >= 0))
        for s, first, count in zip(*np.unique(scene[rows], return_index=True, return_counts=True), strict=True):
            self.problems.setdefault(int(s), []).append(tell(int(rows[first]), int(count)))


class Column:
    """Text of a large table, gathered piece by piece as Arrow does: a tenth of the memory of Python's strings."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []

    def add(self, texts: Iterable[str]) -> None:
        import pyarrow as pa

        self._pieces.append(pa.array(list(texts), pa.large_string()))

    def whole(self) -> Any:
        """A ChunkedArray."""
        import pyarrow as pa

        return pa.chunked_array(self._pieces, pa.large_string())


def arrow(tokens: Any) -> Any:
    """Strings as Arrow has them."""
    import pyarrow as pa

    return tokens if isinstance(tokens, pa.Array | pa.ChunkedArray) else pa.array(list(tokens), pa.large_string())


def find(tokens: Any, known: Any) -> np.ndarray:
    """Where `tokens` are among the `known` ones (n,) int64; -1 for nowhere."""
    import pyarrow.compute as pc

    return pc.index_in(arrow(tokens), value_set=arrow(known)).fill_null(-1).to_numpy().astype(np.int64)


def unique(folder: Path, name: str, tokens: Any) -> Any:
    """The tokens of a table as Arrow has them; InputError if one is there twice."""
    import pyarrow.compute as pc

    array = arrow(tokens)
    if pc.count_distinct(array).as_py() != len(array):
        counted = pc.value_counts(array)
        twice = next(x["values"].as_py() for x in counted if x["counts"].as_py() > 1)
        raise InputError(f"{folder / f'{name}.json'}: two rows have the token {twice}; download it again")
    return array


def at(values: np.ndarray, rows: np.ndarray, nowhere: Any = -1) -> np.ndarray:
    """`values[rows]`, with `nowhere` for row -1."""
    return np.concatenate([values, np.full_like(values, nowhere, shape=(1, *values.shape[1:]))])[rows]


def floats(rows: Sequence[Any], names: tuple[str, ...], width: int) -> np.ndarray:
    """Tuples of numbers of the rows side by side (n, width)."""
    if not rows:
        return np.zeros((0, width))
    columns = [np.fromiter(chain.from_iterable([getattr(r, n) for r in rows]), np.float64) for n in names]
    return np.column_stack([c.reshape(len(rows), -1) for c in columns])


def is_pose(rows: np.ndarray) -> np.ndarray:
    """Whether rows (n, 7) are positions and unit quaternions (n,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        unit = np.abs(np.linalg.norm(rows[:, 3:], axis=1) - 1) < 0.01
        return np.isfinite(rows).all(1) & (np.abs(rows[:, :3]) < LARGEST).all(1) & unit
