"""Piecewise cubic polynomials: elevation, lane offset, superelevation, lane widths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from .attributes import number


@dataclass(frozen=True, eq=False)
class Cubics:
    """a + b d + c d^2 + e d^3 with d = s - start; each record holds until the next one starts, zero without records."""

    start: np.ndarray  # (n,) increasing road coordinate s [m]
    abcd: np.ndarray  # (n, 4)

    @staticmethod
    def read(records: Iterable[Element], key: str = "s", base: float = 0.0) -> Cubics:
        """From elements with attributes a, b, c, d that start at `base` + `key`."""
        rows = [(base + number(r, key, 0.0), *(number(r, x, 0.0) for x in "abcd")) for r in records]
        table = np.array(sorted(rows, key=lambda row: row[0]), dtype=np.float64).reshape(-1, 5)
        return Cubics(table[:, 0], table[:, 1:])

    def __call__(self, s: np.ndarray) -> np.ndarray:
        """Values (...) at s (...); of records that start at the same s the last one counts."""
        s = np.asarray(s, dtype=np.float64)
        if not len(self.start):
            return np.zeros_like(s)
        i = np.maximum(np.searchsorted(self.start, s, side="right") - 1, 0)
        d = np.maximum(s - self.start[i], 0.0)
        a, b, c, e = self.abcd[i].T if s.ndim else self.abcd[i]
        return a + d * (b + d * (c + d * e))
