"""The street grid of a town: crossings and the streets between them, before lanes are drawn on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import curves

CROSSWALK = (1.0, 4.0)
"""A crosswalk lies this far inside its stop line [m]."""
CORNER = 5.5
"""From the edge of a street to the far side of the crosswalks over it, less their width [m]."""
KERB = 8.0
"""Radius of the kerb at a corner [m]; wide enough for a right turn at a bicycle's distance from it."""
PARKING = 2.3
"""Width of a parking strip [m]."""


@dataclass
class Crossing:
    """Where streets meet. Arm k leaves towards `yaw + k * 90` degrees; a missing arm makes it a T."""

    xy: np.ndarray  # (2,)
    yaw: float
    arms: dict[int, tuple[int, bool]] = field(default_factory=dict)  # arm -> (street, whether it starts here)
    reach: dict[int, float] = field(default_factory=dict)  # arm -> distance of its stop line along the street


@dataclass
class Street:
    """A two-way street from crossing `a` to crossing `b`; `b` is None where it leaves the town."""

    a: int
    b: int | None
    line: np.ndarray  # (n, 2) centre, from a to b
    lanes: int  # each way
    width: float  # of one lane [m]
    limit: float  # [m/s]
    parking: tuple[bool, bool]  # right and left of the line's direction
    span: tuple[float, float] = (0.0, 0.0)  # arc lengths of the part between the crossings

    @cached_property
    def _along(self) -> tuple[np.ndarray, np.ndarray]:
        return curves.lengths(self.line), curves.yaws(self.line)

    @property
    def length(self) -> float:
        return float(self._along[0][-1])

    def pose(self, s: float, left: float = 0.0) -> tuple[np.ndarray, float]:
        """Point (2,) `left` metres beside the centre at arc length s, and the direction there."""
        along, yaws = self._along
        yaw = float(np.interp(s, along, yaws))
        xy = np.array([np.interp(s, along, self.line[:, 0]), np.interp(s, along, self.line[:, 1])])
        return xy + left * np.array([-np.sin(yaw), np.cos(yaw)]), yaw

    @property
    def half(self) -> float:
        """From the centre to the outer edge of the lanes [m]."""
        return self.lanes * self.width

    @property
    def parked_span(self) -> tuple[float, float]:
        """Arc lengths between which the parking strips run; empty on short streets."""
        return self.span[0] + 11.0, self.span[1] - 11.0

    def has_parking(self, side: int) -> bool:
        """Whether there is a strip at a side (-1 right, +1 left)."""
        low, high = self.parked_span
        return self.parking[0 if side < 0 else 1] and high - low > 14.0

    def edge(self, side: int, s: float) -> float:
        """Lateral distance of the kerb at arc length s [m], positive."""
        low, high = self.parked_span
        return self.half + (PARKING if self.has_parking(side) and low - 2 <= s <= high + 2 else 0.0)


def plan_streets(rng: np.random.Generator) -> tuple[list[Crossing], list[Street]]:
    """An irregular grid of 3 x 3 or 3 x 4 crossings, its outer streets leading out of the town."""
    shape = (3, int(rng.integers(3, 5)))
    profiles = [[_profile(rng) for _ in range(n)] for n in (shape[1], shape[0])]  # of rows, of columns
    if all(p[0] == 1 for p in profiles[0] + profiles[1]):
        profiles[0][1] = (2, 3.4, 50 / 3.6)
    crossings = _crossings(rng, shape)
    streets: list[Street] = []
    for (i, j), arm in _links(rng, shape):
        profile = profiles[0][j] if arm in (0, 2) else profiles[1][i]
        a = i * shape[1] + j
        b = None
        if arm in (0, 1) and (i + (arm == 0) < shape[0]) and (j + (arm == 1) < shape[1]):
            b = (i + (arm == 0)) * shape[1] + j + (arm == 1)
        line = _centre(rng, crossings[a], arm, None if b is None else crossings[b])
        parking = (bool(rng.random() < 0.65), bool(rng.random() < 0.65))
        crossings[a].arms[arm] = (len(streets), True)
        if b is not None:
            crossings[b].arms[arm + 2] = (len(streets), False)
        streets.append(Street(a, b, line, *profile, parking))
    _trim(crossings, streets)
    return crossings, streets


def _profile(rng: np.random.Generator) -> tuple[int, float, float]:
    """Lanes each way, lane width [m] and speed limit [m/s] of one street through the town."""
    lanes = 2 if rng.random() < 0.35 else 1
    limit = (30, 40, 50)[int(rng.integers(0, 3))] if lanes == 1 else 50
    return lanes, float(rng.uniform(3.2, 3.6)), limit / 3.6


def _crossings(rng: np.random.Generator, shape: tuple[int, int]) -> list[Crossing]:
    x, y = (np.concatenate([[0.0], np.cumsum(rng.uniform(76, 118, n - 1))]) for n in shape)
    bearing = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(bearing), np.sin(bearing)], [-np.sin(bearing), np.cos(bearing)]])
    places = [np.array([a - x.mean(), b - y.mean()]) + rng.uniform(-7, 7, 2) for a in x for b in y]
    return [Crossing(p @ turn, bearing + rng.uniform(-0.14, 0.14)) for p in places]


def _links(rng: np.random.Generator, shape: tuple[int, int]) -> list[tuple[tuple[int, int], int]]:
    """Streets to build as ((i, j), arm): eastern and northern links inside, all arms that lead out.

    Some are left out, but every crossing keeps three arms.
    """
    links, degree = [], np.full(shape, 4)
    for i in range(shape[0]):
        for j in range(shape[1]):
            for arm, (di, dj) in enumerate([(1, 0), (0, 1), (-1, 0), (0, -1)]):
                inside = 0 <= i + di < shape[0] and 0 <= j + dj < shape[1]
                if inside and arm > 1:
                    continue
                ends = [(i, j)] + ([(i + di, j + dj)] if inside else [])
                drop = rng.random() < (0.12 if inside else 0.3)
                if drop and all(degree[e] == 4 for e in ends):
                    for e in ends:
                        degree[e] -= 1
                    continue
                links.append(((i, j), arm))
    return links


def _centre(rng: np.random.Generator, a: Crossing, arm: int, b: Crossing | None) -> np.ndarray:
    """A smooth centre line that leaves and reaches its crossings along their arms; one in three bows out."""
    leave = a.yaw + arm * np.pi / 2
    if b is None:
        arrive = leave + rng.uniform(-0.35, 0.35)
        end = a.xy + rng.uniform(75, 105) * curves.direction((leave + arrive) / 2)
    else:
        arrive, end = b.yaw + arm * np.pi / 2, b.xy
    line = curves.blend(a.xy, leave, end, arrive, 1.0)
    if rng.random() < 0.35:
        t = np.linspace(0, 1, len(line))
        bow = rng.choice([-1.0, 1.0]) * rng.uniform(3.0, 7.0)
        line = curves.shift(line, bow * 64 * t**3 * (1 - t) ** 3)
    return curves.cut(line, 0.0, curves.lengths(line)[-1], 1.0)


def _trim(crossings: list[Crossing], streets: list[Street]) -> None:
    """Put every stop line behind the kerb corner and the crosswalk."""
    for crossing in crossings:
        half = {arm: streets[s].half for arm, (s, _) in crossing.arms.items()}
        for arm in crossing.arms:
            sides = [half[k] for k in ((arm + 1) % 4, (arm + 3) % 4) if k in half]
            crossing.reach[arm] = max(sides) + CORNER + CROSSWALK[1] - 0.8
    for index, street in enumerate(streets):
        ends = {True: 0.0, False: 0.0}
        for crossing in crossings:
            for arm, (s, starts) in crossing.arms.items():
                if s == index:
                    ends[starts] = crossing.reach[arm]
        street.span = (ends[True], street.length - ends[False])
