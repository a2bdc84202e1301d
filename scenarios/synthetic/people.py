"""Pedestrians: along the sidewalks, and over the crosswalks while their light lets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import curves
from .lights import WALK, Plan
from .town import Town

_CLEAR = 2.3  # a lane is taken while someone is this close to its middle [m]


@dataclass
class Walker:
    """A polyline walked at a steady pace, with a stop at arc length `wait` until `go`."""

    line: np.ndarray  # (n, 2)
    pace: float  # [m/s]
    s: float  # where it is at time 0 if it never waited [m]
    size: tuple[float, float, float]
    wait: float = np.inf
    go: float = 0.0

    def along(self, time: np.ndarray) -> np.ndarray:
        """Arc length (T,) at times (T,) [s]."""
        free = self.s + self.pace * time
        if not np.isfinite(self.wait):
            return free
        return np.where(time < self.go, np.minimum(free, self.wait), self.wait + self.pace * (time - self.go))


def _body(rng: np.random.Generator) -> tuple[float, float, float]:
    return float(rng.uniform(0.45, 0.6)), float(rng.uniform(0.5, 0.65)), float(rng.uniform(1.55, 1.9))


def stroll(rng: np.random.Generator, town: Town, near: np.ndarray, count: int) -> list[Walker]:
    """People on the sidewalks within 70 m of the points `near` (n, 2); each direction keeps its own side."""
    lines = [loop[::way] for way, aside in ((1, 1.3), (-1, 2.3)) for loop in town.sidewalks[aside]]
    starts = [np.arange(0, curves.lengths(line)[-1], 9.0) for line in lines]
    spots = np.concatenate([curves.at(line, s) for line, s in zip(lines, starts, strict=True)])
    places = [(k, s) for k, each in enumerate(starts) for s in each]
    close = np.flatnonzero(curves.distance(spots, near) < 70)
    walkers = []
    for index in rng.permutation(close)[:count]:
        k, s = places[index]
        walkers.append(Walker(_from(lines[k], s), float(rng.uniform(1.0, 1.6)), 60.0, _body(rng)))
    return walkers


def _from(loop: np.ndarray, s: float) -> np.ndarray:
    """60 m before and after arc length s of a closed line."""
    total = curves.lengths(loop)[-1]
    return curves.at(loop, (s + np.arange(-60.0, 60.5, 0.5)) % total)


def cross(rng: np.random.Generator, town: Town, walk: tuple[int, int], plan: Plan, around: float) -> Walker:
    """Someone who comes along the sidewalk, waits at the kerb for the green around a time, and crosses."""
    _, axis = town.walks[walk]
    axis = axis if rng.random() < 0.5 else axis[::-1]
    ahead = (axis[1] - axis[0]) / np.hypot(*(axis[1] - axis[0]))
    aside = rng.uniform(-0.8, 0.8) * np.array([-ahead[1], ahead[0]])
    start, end = axis[0] - 0.6 * ahead + aside, axis[1] + 0.6 * ahead + aside
    loops = town.sidewalks[1.8]
    before = _leg(rng, loops, start - 1.2 * ahead)[::-1]
    after = _leg(rng, loops, end + 1.2 * ahead)
    corner = np.concatenate([before, [start, end], after])
    line = curves.cut(corner, 0, curves.lengths(corner)[-1], 0.5)
    wait = float(curves.lengths(np.concatenate([before, [start]]))[-1])
    go = plan.onset((walk[1] + 1) % 2, around) + float(rng.uniform(0.8, WALK))
    pace = float(rng.uniform(1.2, 1.6))
    early = rng.uniform(0.0, 12.0)  # how long it has to wait
    return Walker(line, pace, wait - pace * (go - early), _body(rng), wait, go)


def _leg(rng: np.random.Generator, loops: list[np.ndarray], start: np.ndarray) -> np.ndarray:
    """30 m of sidewalk that lead away from a point, one way or the other."""
    loop = min(loops, key=lambda x: float(np.hypot(*(x - start).T).min()))
    s = curves.lengths(loop)[int(np.hypot(*(loop - start).T).argmin())]
    way = rng.choice([-1.0, 1.0])
    return curves.at(loop, (s + way * np.arange(0.5, 30.0, 0.5)) % curves.lengths(loop)[-1])


def windows(town: Town, crossers: list[tuple[tuple[int, int], Walker]]) -> dict[int, list[tuple[float, float]]]:
    """Lane -> times between which someone is on the crosswalk in front of it."""
    net, walks = town.net, town.walks
    out: dict[int, list[tuple[float, float]]] = {}
    for (number, arm), walker in crossers:
        _, axis = walks[number, arm]
        start = curves.at(walker.line, walker.wait)
        span = np.hypot(*(axis[1] - axis[0])) + 1.2
        ahead = (curves.at(walker.line, walker.wait + span) - start) / span
        for lanes, tip in ((net.inbound[number, arm], -1), (net.outbound[number, arm], 0)):
            for lane in lanes:
                place = float((net.lanes[lane].line[tip] - start) @ ahead)
                first, last = max(place - _CLEAR, 0.0), min(place + _CLEAR, span)
                out.setdefault(lane, []).append((walker.go + first / walker.pace, walker.go + last / walker.pace))
    return out
