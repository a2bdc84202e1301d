"""Tests for any log: a road user that stands in the ego's way, comes towards it, or crosses its way.

NeuroNCAP wrote its tests by hand, for single scenes. These are built from the logged drive: an ego that keeps its
speed on the logged path is hit at a given time, whatever is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.errors import NotDrivable
from drivesim.loading.coasting import coast, path_left
from drivesim.roadmap import RoadMap
from drivesim.types import DT, VEHICLES, Agents, Kind, Scenario, is_kind

from .cast import Part, track
from .drawn import Run

KINDS = ("stationary", "frontal", "side")
TIME_JITTER = 0.5
"""By how much the time of the crash is drawn [s]."""
HISTORY = 1.0
"""Before the planner takes over [s]."""
AFTER = 4.0
"""How long the test goes on after the crash that is due [s]."""
SLOWEST = 3.0
"""Of an ego for which a crash test makes sense [m/s]."""
SPEED = (4.0, 8.0)
"""Of the actor, drawn between [m/s]; NeuroNCAP's oncoming car does 4 to 6."""
OVERLAP = 0.35
"""Offsets are up to this share of both widths (or of the ego's length, for a crossing actor): it cannot be missed."""
TURN = 0.25
"""By which an actor stands or crosses askew [rad]."""
BESIDE = 3.5
"""From where an oncoming actor drifts into the ego's way, left or right [m]: the next lane."""
DRIFT = 2.0
"""How long that takes [s]; it is over half a second before the crash."""
CAR = (4.6, 1.9, 1.6)
"""Of the actor on a log without other cars [m]."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """What differs from run to run; all but `body` are within -1 and 1."""

    body: float = 0.0  # 0 to 1: which of the log's cars lends its body
    time: float = 0.0
    speed: float = 0.0
    along: float = 0.0
    across: float = 0.0
    turn: float = 0.0
    side: float = -1.0

    @staticmethod
    def of(seed: int) -> Draw:
        numbers = np.random.default_rng(seed).uniform(-1, 1, 7)
        return Draw(abs(float(numbers[0])), *map(float, numbers[1:]))


def stage(kind: str, whole: Scenario, seed: int, jitter: bool, due: float) -> Run:
    """A run of a test of one of KINDS with the crash `due` seconds after taking over; without `jitter` the nominal one.

    NotDrivable if the log has no place for it.
    """
    draw = Draw.of(seed) if jitter else Draw()
    takeover = _takeover(whole, due + TIME_JITTER)
    time = due + draw.time * TIME_JITTER
    size, body = _body(whole, draw)
    first = takeover - round(HISTORY / DT)
    stop = min(takeover + round((due + TIME_JITTER + AFTER) / DT) + 1, whole.steps)
    ego = coast(whole.log[:, 0], takeover, whole.steps + round(60 / DT))
    moments = (np.arange(whole.steps) - takeover) * DT - time  # [s] since the crash
    way = _Way(ego, takeover + time / DT, whole)
    xy, yaw = {"stationary": _stationary, "frontal": _frontal, "side": _side}[kind](way, moments, size, draw)
    actor = track(xy, yaw, size, body, whole.scene.map)
    return Run(first, takeover, stop, (Part(f"ncap {kind}", actor),))


class _Way:
    """The way of the ego that takes no action, about the crash at step `at` (a fraction)."""

    def __init__(self, ego: Agents, at: float, whole: Scenario) -> None:
        self.length, self.width = (float(x) for x in ego.size[0, :2])
        self.road = RoadMap.of(whole.scene.map)
        xy, yaw = ego.xy.double().numpy(), np.unwrap(ego.yaw.double().numpy())
        s = np.concatenate([[0.0], np.hypot(*np.diff(xy, axis=0).T).cumsum()])
        self._s, self._xy, self._yaw = s, xy, yaw
        self._here = float(np.interp(at, np.arange(len(s)), s))

    def at(self, ahead: Rows | float, left: Rows | float = 0.0) -> tuple[Rows, Rows]:
        """Places and yaw so many metres ahead of the ego's centre at the crash, and left of its way."""
        s = self._here + np.asarray(ahead, dtype=float)
        xy = np.stack([np.interp(s, self._s, self._xy[:, i]) for i in (0, 1)], -1)
        yaw = np.interp(s, self._s, self._yaw)
        return xy + np.asarray(left)[..., None] * np.stack([-np.sin(yaw), np.cos(yaw)], -1), yaw


def _stationary(way: _Way, moments: Rows, size: tuple, draw: Draw) -> tuple[Rows, Rows]:
    """It stands in the ego's way."""
    left = draw.across * OVERLAP * (way.width + size[1])
    xy, yaw = way.at((way.length + size[0]) / 2, left)
    return np.tile(xy, (len(moments), 1)), np.full(len(moments), yaw + draw.turn * TURN)


def _frontal(way: _Way, moments: Rows, size: tuple, draw: Draw) -> tuple[Rows, Rows]:
    """It comes along the ego's way in the next lane, and drifts over."""
    speed = np.interp(draw.speed, (-1, 1), SPEED)
    ahead = (way.length + size[0]) / 2 - speed * moments
    share = np.clip((moments + DRIFT + 0.5) / DRIFT, 0, 1)
    still_beside = 1 - share**2 * (3 - 2 * share)
    left = draw.across * OVERLAP * (way.width + size[1]) + BESIDE * _oncoming(way) * still_beside
    xy, _ = way.at(ahead, left)
    step = np.diff(xy, axis=0)
    yaw = np.arctan2(step[:, 1], step[:, 0])
    return xy, np.append(yaw, yaw[-1])


def _side(way: _Way, moments: Rows, size: tuple, draw: Draw) -> tuple[Rows, Rows]:
    """It crosses the ego's way and meets its flank."""
    speed = np.interp(draw.speed, (-1, 1), SPEED)
    side = 1.0 if draw.side >= 0 else -1.0  # from the left or from the right
    target, yaw = way.at(0.0)
    yaw = float(yaw)
    target = target + draw.along * OVERLAP * way.length * np.array([np.cos(yaw), np.sin(yaw)])
    course = yaw - side * np.pi / 2 + draw.turn * TURN
    gap = size[0] / 2 + way.width / 2
    xy = target + (speed * moments - gap)[:, None] * np.array([np.cos(course), np.sin(course)])
    return xy, np.full(len(moments), course)


def _oncoming(way: _Way) -> float:
    """On which side of the ego's way the oncoming traffic drives: 1 left, -1 right; left where the map has none."""
    for side in (1.0, -1.0):
        xy, yaw = way.at(15.0, side * BESIDE)
        lane, _, _ = way.road.nearest_lane(torch.from_numpy(xy)[None], torch.tensor([float(yaw) + np.pi]), reach=2.0)
        if int(lane) >= 0:
            return side
    return 1.0


def _takeover(whole: Scenario, seconds: float) -> int:
    """The first step (looked at twice a second) at which the ego drives, with enough of its drive still to come."""
    ego = whole.log[:, 0]
    last = whole.steps - 1 - round((seconds + 1.0) / DT)
    for step in range(round(HISTORY / DT), last + 1, round(0.5 / DT)):
        speed = float(ego.speed[step])
        if speed >= SLOWEST and path_left(ego, step) >= speed * seconds:
            return step
    raise NotDrivable(
        f"{whole.id}: no crash test here: the ego nowhere drives {SLOWEST:g} m/s or more with a path ahead that would "
        f"take {seconds:g} s at that speed"
    )


def _body(whole: Scenario, draw: Draw) -> tuple[tuple[float, float, float], int]:
    """Size and kind of one of the log's cars, drawn."""
    log = whole.log
    cars = is_kind(log.kind, (Kind.CAR,)) & is_kind(log.kind, VEHICLES) & log.valid
    cars[:, 0] = False
    who = cars.any(0).nonzero()[:, 0].tolist()
    if not who:
        return CAR, int(Kind.CAR)
    agent = who[min(int(draw.body * len(who)), len(who) - 1)]
    seen = int(cars[:, agent].nonzero()[0, 0])
    length, width, height = log.size[seen, agent].tolist()
    return (length, width, height), int(Kind.CAR)
