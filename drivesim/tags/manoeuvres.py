"""What the ego does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..loading.paths import runs
from ..types import LaneKind
from .scene import Recording, Situation

TURN = np.pi / 6  # heading change that is no longer straight: Waymo Open Motion's trajectory types
U_TURN = np.pi * 5 / 6  # two left turns in a row reach 180 degrees too, but not without a straight between them
TIGHTEST_ROAD = 50.0  # [m] a wider arc is a bend of the road; turns at junctions have radii of 6 to 30 m
STRAIGHT = 5.0  # [m] straight on this long ends a turn
FAST = 60 / 3.6  # [m/s] beyond the limit of 50 km/h in towns (nuPlan's high_magnitude_speed begins at 9 m/s)
STANDS = 0.3  # [m/s] nuPlan counts as stopped below it (stopping_with_lead)
STANDS_FOR = 3.0  # [s]
HARD = 4.05  # [m/s^2] nuPlan's bound of comfortable braking
IN_LANE = 0.3  # of a lane's width: who is this close to the centre has arrived in it
LONGEST_CHANGE = 5.0  # [s] naturalistic lane changes take 2 to 8 s (Toledo and Zohar 2007), half of it to either side


def turns(r: Recording) -> Iterator[Situation]:
    """turn_left, turn_right, u_turn: the heading changes by `TURN` on an arc tighter than `TIGHTEST_ROAD`."""
    s = r.ego_s + 1e-6 * np.arange(len(r.ego_s))
    places = np.arange(s[0], s[-1], 1.0)
    if len(places) < 6:
        return
    yaw = np.interp(places, s, np.unwrap(r.yaw[:, 0]))
    bend = np.convolve(np.gradient(yaw), np.full(5, 0.2), "same")  # per metre
    for sign in (1, -1):
        for a, b in _bridged(sign * bend > 1 / TIGHTEST_ROAD, round(STRAIGHT)):
            angle = sign * (yaw[b] - yaw[a])
            if angle < TURN:
                continue
            name = "u_turn" if angle >= U_TURN else "turn_left" if sign > 0 else "turn_right"
            first, last = np.searchsorted(s, places[[a, b]])
            yield Situation(name, int(first), int(last), (), float(np.degrees(angle)), "degrees")


def _bridged(mask: np.ndarray, longest: int) -> list[tuple[int, int]]:
    """Stretches (first, last) of a mask, joined over gaps of at most `longest`."""
    joined: list[tuple[int, int]] = []
    for a, b in runs(mask):
        if joined and a - joined[-1][1] - 1 <= longest:
            joined[-1] = joined[-1][0], b
        else:
            joined.append((a, b))
    return joined


def lane_change(r: Recording) -> Iterator[Situation]:
    """From near the centre of a lane to near the centre of a neighbour of it, without a return within a second."""
    lane, lateral = r.lane
    widths, kinds = r.scenario.scene.map.lanes.width.numpy(), r.scenario.scene.map.lanes.center.kind.numpy()
    settled = (lane >= 0) & (np.abs(lateral) < IN_LANE * widths[lane]) if len(widths) else np.zeros(len(lane), bool)
    for t in np.flatnonzero((lane[1:] != lane[:-1]) & (lane[1:] >= 0) & (lane[:-1] >= 0)) + 1:
        a, b = int(lane[t - 1]), int(lane[t])
        if LaneKind.BICYCLE in (kinds[a], kinds[b]) or not _beside(r, a, b):
            continue
        begin, end = max(0, t - r.steps(LONGEST_CHANGE)), t + r.steps(LONGEST_CHANGE)
        before, after = np.flatnonzero(settled[begin:t]), np.flatnonzero(settled[t:end])
        if not len(before) or not len(after):
            continue
        first, last = int(begin + before[-1]), int(t + after[0])
        if a in lane[t : max(last + 1, t + r.steps(1.0))] or b in lane[first:t]:
            continue
        yield Situation("lane_change", first, last, (), (last - first) * r.dt, "s from lane to lane")


def _beside(r: Recording, a: int, b: int) -> bool:
    """Whether lane b lies beside a, or beside or behind what a leads to; branches of one lane do not count."""
    road = r.road
    if b in road.successors(a) or any({a, b} <= {*road.successors(x)} for x in _before(r, a)):
        return False
    sides = lambda lane: {road.left(lane), road.right(lane)} - {None}  # noqa: E731
    beside = sides(a) | {c for n in road.successors(a) for c in sides(n)}
    return b in beside | {n for c in sides(a) for n in road.successors(int(c))}


def _before(r: Recording, lane: int) -> list[int]:
    links = r.scenario.scene.map.lanes.successors
    return links[links[:, 1] == lane, 0].tolist()


def intersection(r: Recording) -> Iterator[Situation]:
    """On a lane of an intersection for half a second."""
    lane, _ = r.lane
    crossing = r.scenario.scene.map.lanes.intersection.numpy()
    inside = (lane >= 0) & crossing[lane] if len(crossing) else np.zeros(len(lane), bool)
    for first, last in r.lasting(inside, 0.5):
        yield Situation("intersection", first, last, (), (last - first + 1) * r.dt, "s")


def stationary(r: Recording) -> Iterator[Situation]:
    for first, last in r.lasting(np.abs(r.speed[:, 0]) < STANDS, STANDS_FOR):
        yield Situation("stationary", first, last, (), (last - first + 1) * r.dt, "s")


def high_speed(r: Recording) -> Iterator[Situation]:
    for first, last in r.lasting(r.speed[:, 0] > FAST, 1.0):
        yield Situation("high_speed", first, last, (), float(r.speed[first : last + 1, 0].max()), "m/s")


def hard_braking(r: Recording) -> Iterator[Situation]:
    """Braking over half a second, so that no single wrong speed counts."""
    half = r.steps(0.5)
    if len(r.speed) <= half:
        return
    braking = (r.speed[:-half, 0] - r.speed[half:, 0]) / (half * r.dt)
    for a, b in runs(braking > HARD):
        yield Situation("hard_braking", a, b + half, (), float(braking[a : b + 1].max()), "m/s^2")
