"""Ways that cross the ego's, and what makes it wait."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..types import VEHICLES, Kind, Light, StopKind
from .manoeuvres import STANDS, turns
from .scene import Recording, Situation, members

WALKS = 0.5  # [m/s] Euro NCAP's slowest crossing walkers have 3 km/h
CROSSES_WITHIN = 30.0  # [m] ahead of the ego's front
ONCOMING = 50.0  # [m] who is farther leaves a gap of some 4 s at 50 km/h, which drivers accept (HCM: 4.1 s)
DRIVES = 2.0  # [m/s] who stands or creeps lets the ego pass
OPPOSITE = np.pi / 6  # who heads elsewhere comes from another arm of the junction
BEFORE_TURN = 4.0  # [s] in which the ego may wait in the junction
QUEUE = 40.0  # [m] to the stop line: some five cars
OVERRUN = 3.0  # [m] that the front may stand beyond the line
BESIDE = 1.75  # [m] half a lane: the line across the ego's own lane, not the next one's
WAITS = 2.0  # [s]


def crossing_pedestrian(r: Recording) -> Iterator[Situation]:
    """A walker gets from one side of the ego's way to the other, ahead of it."""
    walkers = r.among(Kind.PEDESTRIAN)
    d = r.d[:, walkers]
    ahead = r.s[:, walkers] - r.front[:, None]
    passes = ((d[1:] >= 0) != (d[:-1] >= 0)) & (ahead[1:] > 0) & (ahead[1:] < CROSSES_WITHIN)
    passes &= (np.abs(r.speed[1:, walkers]) > WALKS) & (np.abs(d[1:] - d[:-1]) < 1.0)  # no leap to another part of it
    across = r.reach[1][:, walkers] + r.half_width
    for t, i in np.argwhere(passes) + (1, 0):
        taken = np.flatnonzero(np.abs(d[:, i]) < across[:, i])
        first = last = int(t)
        if len(taken):
            near = taken[np.abs(taken - t) < r.steps(5.0)]
            first, last = int(near.min(initial=t)), int(near.max(initial=t))
        agent = int(np.flatnonzero(walkers)[i])
        yield Situation("crossing_pedestrian", first, last, (agent,), float(ahead[t, i]), "m ahead")


def unprotected_turn(r: Recording) -> Iterator[Situation]:
    """A turn towards the side on which oncoming vehicles drive, across their way: where they stand it is protected.

    Which side that is comes from where they are, so that it holds for traffic on the left as well.
    """
    oncoming_kinds = r.among(*VEHICLES) & r.traffic
    for turn in turns(r):
        if turn.name == "u_turn" or turn.last >= len(r.speed):
            continue
        side = 1 if turn.name == "turn_left" else -1
        entry, yaw = r.xy[turn.first, 0], r.yaw[turn.first, 0]
        steps = slice(max(0, turn.first - r.steps(BEFORE_TURN)), turn.last + 1)
        relative = r.xy[steps] - entry
        ahead = relative @ np.array([np.cos(yaw), np.sin(yaw)])
        left = relative @ np.array([-np.sin(yaw), np.cos(yaw)])
        opposite = np.cos(r.yaw[steps] - yaw) < -np.cos(OPPOSITE)
        comes = opposite & (ahead > 0) & (ahead < ONCOMING) & (side * left > 0) & (side * left < 15.0)
        comes &= (r.speed[steps] > DRIVES) & oncoming_kinds
        comes[comes] = r.meets_way(r.xy[steps][comes], r.yaw[steps][comes], ONCOMING)
        if comes.any():
            nearest = float(ahead[comes].min())
            who = members(np.flatnonzero(comes.any(0)))
            yield Situation("unprotected_turn", turn.first, turn.last, who, nearest, "m to the oncoming")


def waiting_at_light(r: Recording) -> Iterator[Situation]:
    """The ego stands, and the light that rules its way within a queue's length shows red, yellow or a flashing red."""
    signals = r.scenario.scene.signals
    steps = len(r.speed)
    if not len(signals.lane) or not len(signals.state):
        return
    stop = _stops(r, signals.stop_xy.double().numpy(), signals.lane.numpy())
    state = np.full((steps, len(stop)), int(Light.UNKNOWN))
    known = signals.state[:steps].numpy()
    state[: len(known)] = known
    closed = np.isin(state, [int(Light.RED), int(Light.YELLOW), int(Light.FLASHING_RED)])
    away = stop - r.front[:, None]
    waits = (np.abs(r.speed[:, 0]) < STANDS) & (closed & (away > -OVERRUN) & (away < QUEUE)).any(1)
    for first, last in r.lasting(waits, WAITS):
        yield Situation("waiting_at_light", first, last, (), (last - first + 1) * r.dt, "s")


def stop_sign(r: Recording) -> Iterator[Situation]:
    """The ego's front passes a stop sign's line, or stands within 6 m before it."""
    stops = r.scenario.scene.map.stops
    signs = stops.kind.numpy() == int(StopKind.STOP_SIGN)
    for line in _stops(r, stops.xy.double().numpy()[signs], stops.lane.numpy()[signs]):
        away = line - r.front
        near = np.flatnonzero((away < 6.0) & (away > -1.0))
        if len(near) and (away[near[0]] > away[near[-1]] or np.abs(r.speed[near, 0]).min() < STANDS):
            slowest = float(np.abs(r.speed[near, 0]).min())
            yield Situation("stop_sign", int(near[0]), int(near[-1]), (), slowest, "m/s at the slowest")


def _stops(r: Recording, xy: np.ndarray, lane: np.ndarray) -> np.ndarray:
    """Where on the ego's way stop lines (N, 2) of lanes (N,) lie (N,); NaN beside it and for the other direction."""
    if not len(xy):
        return np.zeros(0)
    s, d, direction = r.on_way(xy)
    yaw = np.full(len(xy), np.nan)
    for i in np.flatnonzero(lane >= 0):
        line = r.road.center(int(lane[i]))[:, :2].double().numpy()
        near = min(int(np.hypot(*(line - xy[i]).T).argmin()), len(line) - 2)
        yaw[i] = np.arctan2(*(line[near + 1] - line[near])[::-1])
    against = np.cos(yaw - direction) < np.cos(np.pi / 4)  # False where the lane is not known
    return np.where((np.abs(d) < BESIDE) & ~against, s, np.nan)
