"""The middle of one lane, as a line to move along."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

Key = tuple[str, int, int]
"""Road, number of the lane section, lane id; 0 is the reference line."""


class Spot(NamedTuple):
    """A place and how it lies on a lane, if it does."""

    x: float
    y: float
    z: float
    yaw: float
    line: Key | None = None
    u: float = 0.0  # along the line [m]
    offset: float = 0.0  # left of the line [m]
    turned: float = 0.0  # yaw beyond that of the line
    pitch: float = 0.0


class Point(NamedTuple):
    """A place of a line."""

    x: float
    y: float
    z: float
    yaw: float
    climb: float  # dz/du
    bend: float  # dyaw/du


@dataclass(frozen=True, eq=False)
class Line:
    """The middle of a lane in one section, in the direction of its traffic."""

    direction: int  # +1 along the road's reference line, -1 against it
    length: float
    u: list[float]  # (n,) along the line
    points: list[list[float]]  # (n, 4) x, y, z, yaw (unwrapped)
    s: list[float]  # (n,) along the road
    t: list[float]  # (n,) beside its reference line

    def at(self, u: float) -> Point:
        i, share = self._segment(u)
        a, b = self.points[i], self.points[i + 1]
        x, y, z, yaw = (p + share * (q - p) for p, q in zip(a, b, strict=True))
        span = self.u[i + 1] - self.u[i]
        return Point(x, y, z, yaw, (b[2] - a[2]) / span, (b[3] - a[3]) / span)

    def road_at(self, u: float) -> tuple[float, float]:
        """s and t of the line's middle."""
        i, share = self._segment(u)
        s, t = self.s, self.t
        return s[i] + share * (s[i + 1] - s[i]), t[i] + share * (t[i + 1] - t[i])

    def u_of(self, s: float) -> float:
        """Place along the line at `s` of its road, beyond its ends where that is."""
        low, high = min(self.s[0], self.s[-1]), max(self.s[0], self.s[-1])
        inside = min(max(s, low), high)
        signed = [self.direction * x for x in (self.s[0], inside, self.s[-1])]
        i = min(max(bisect_right(self.s, signed[1], key=lambda x: self.direction * x) - 1, 0), len(self.s) - 2)
        share = (inside - self.s[i]) / (self.s[i + 1] - self.s[i])
        return self.u[i] + share * (self.u[i + 1] - self.u[i]) + self.direction * (s - inside)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The place along the line beside which a point lies, beyond the ends where it lies there, and how far to the
        left of it."""
        xy = self._xy
        i = int(((xy[:, 0] - x) ** 2 + (xy[:, 1] - y) ** 2).argmin())
        u, last = self.u[i], self.length
        for _ in range(4):
            p = self.at(u)
            c, s = math.cos(p.yaw), math.sin(p.yaw)
            along, offset = (x - p.x) * c + (y - p.y) * s, (y - p.y) * c - (x - p.x) * s
            beyond = (u == 0.0 and along < 0) or (u == last and along > 0)
            if abs(along) < 1e-6 or beyond:
                break
            u = min(max(u + along / max(1.0 - p.bend * offset, 0.2), 0.0), last)
        return u + along, offset

    @cached_property
    def _xy(self) -> np.ndarray:
        return np.array(self.points)[:, :2]

    def _segment(self, u: float) -> tuple[int, float]:
        i = min(max(bisect_right(self.u, u) - 1, 0), len(self.u) - 2)
        return i, (u - self.u[i]) / (self.u[i + 1] - self.u[i])
