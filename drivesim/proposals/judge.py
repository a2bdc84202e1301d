"""Sub-scores of rolled-out proposals, with where, when and with whom each lost (NAVSIM v1.1 and v2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray as Array

from drivesim.types import DT, Light, Signals, Vehicle

from . import kernel
from .comfort import accelerations, motions, within
from .places import CROSSING, OFF_ROAD, OFF_ROUTE, on_red, places
from .road import Course, Road
from .states import YAW, centers
from .tracks import Tracks

LOOK_AHEAD = np.array([0, 3, 6, 9])
"""Steps later at which an ego that keeps its motion must meet nobody (NAVSIM)."""


@dataclass(frozen=True)
class Rules:
    """What the versions of NAVSIM differ in, and their code from their text. Defaults: v1.1, by its text."""

    collide_from_start: bool = False  # tracks that overlap at the first step count, too
    first_seen: bool = False  # a track has the speed that it was first seen with
    oncoming_steps: int = 10  # that displacement off the route is summed over: 1.0 s
    spare_crossings: bool = False  # no displacement counts on intersections (v2)
    last_look: int | None = None  # last step from which the motion is projected; None is all
    lateral: bool = True  # lateral acceleration is that of the bend, and not 0
    windows: tuple[int, int] = (8, 15)  # of the filters of acceleration and jerk, in steps
    stopped: float = 0.05  # [m/s] up to which a contact is with who stands
    slow: float = 5e-3  # [m/s] below which nobody is projected
    ahead: float = math.radians(30)
    behind: float = math.radians(150)
    oncoming: tuple[float, float] = (2.0, 6.0)  # [m] from which driving direction is 0.5, and 0
    aside: float = 0.5  # [m] beside the route beyond which the lane is not kept
    aside_steps: int = 20  # in a row: 2.0 s

    @staticmethod
    def of(version: int, form: str = "strict") -> Rules:
        """Of NAVSIM `version` 1 or 2; `form` "strict" is its text, "peer" its code."""
        peer = form == "peer"
        return Rules(
            collide_from_start=peer, first_seen=peer, oncoming_steps=11 if peer else 10, spare_crossings=version == 2,
            last_look=31 if version == 2 else None, lateral=not peer,
            windows=(1000, 1000) if peer and version == 1 else (8, 15),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Judgement:
    """Sub-scores (N,) of N proposals and what they come from; steps are those of the roll-out, -1 for never."""

    no_collision: Array  # 1, 0.5 or 0
    contact: Array  # (N, A) step of each track's first contact; -2 for who is left alone
    contact_kind: Array  # (N, A) a kernel.STOPPED_EGO ... LATERAL
    contact_fault: Array  # (N, A) bool
    on_road: Array
    off_road_step: Array
    off_road_corner: Array  # as in states.boxes
    direction: Array  # 1, 0.5 or 0
    oncoming: Array  # [m] most in a window
    oncoming_step: Array  # at which it was most
    time_to_collision: Array
    ahead_step: Array  # from which a meeting is ahead
    ahead_track: Array  # with whom, as a column of the tracks
    ahead_later: Array  # steps later
    progress: Array  # [m], not below 0
    lane: Array
    lane_step: Array
    aside: Array  # (N, K) distance from the route, left positive [m]
    lights: Array
    light_step: Array
    light: Array  # which signal
    comfort: Array
    motion: dict[str, Array] = field(repr=False)  # (N, K) each
    flags: Array = field(repr=False)  # (N, K)

    def __len__(self) -> int:
        return len(self.no_collision)

    def at_fault(self) -> Array:
        """First step (N,) of a contact at fault; inf for never."""
        return np.where(self.contact_fault, self.contact.astype(np.float64), np.inf).min(-1, initial=np.inf)


def judge(
    states: Array, tracks: Tracks, road: Road, course: Course, vehicle: Vehicle, rules: Rules | None = None,
    red: tuple[Array, Array] | None = None, dt: float = DT,
) -> Judgement:  # fmt: skip
    """Judge states (N, K, 7) among tracks (T, A) of the same steps, on a road with a course.

    `red` are lights over the steps and their lanes, see `red_lights`. Without tracks at a step nobody is met then.
    On a map that does not say what is drivable nobody is off the road.
    """
    rules, rear = rules or Rules(), vehicle.rear_axle_to_center
    box, area = (vehicle.length / 2, vehicle.width / 2, rear), _areas(road)
    flags, corner = places(
        states, *box, road.drivable, road.crossing, course.lanes, road.origin, *road.shape, road.starts, road.items,
        *area,
    )  # fmt: skip
    met, kind, fault = kernel.contacts(
        states, flags, tracks.boxes, _speeds(tracks, rules), tracks.static, *box, rules.stopped, rules.behind,
        rules.collide_from_start,
    )  # fmt: skip
    until = states.shape[1] if rules.last_look is None else rules.last_look + 1
    ahead = kernel.projected(
        states, flags, tracks.boxes, *box, until, LOOK_AHEAD, dt, rules.slow, rules.ahead, rules.behind, met
    )
    middle, off = centers(states, vehicle), (flags & OFF_ROAD) > 0
    place, aside = kernel.along(middle, course.line, course.s, np.nan)
    away, _ = kernel.longest_away(aside, (flags & CROSSING) > 0, rules.aside, rules.aside_steps)
    oncoming, oncoming_step = _oncoming(middle, flags, rules)
    crossed, light = (np.full(len(states), -1),) * 2
    if red is not None and len(red[1]):
        crossed, light = on_red(states, *box, *red, road.rings, road.offsets, *area)
    cost = np.where(tracks.static, 0.5, 0.0)
    motion = _motions(states, rules, dt)
    least, most = rules.oncoming
    return Judgement(
        no_collision=np.where(fault, cost, 1.0).min(-1, initial=1.0), contact=met, contact_kind=kind,
        contact_fault=fault, on_road=1.0 - off.any(-1), off_road_step=_first(off),
        off_road_corner=corner[np.arange(len(off)), off.argmax(-1)],
        direction=np.where(oncoming < least, 1.0, np.where(oncoming < most, 0.5, 0.0)), oncoming=oncoming,
        oncoming_step=oncoming_step, time_to_collision=1.0 - (ahead[0] >= 0), ahead_step=ahead[0],
        ahead_track=ahead[1], ahead_later=ahead[2], progress=np.maximum(place[:, -1] - place[:, 0], 0),
        lane=1.0 - (away >= 0), lane_step=away, aside=aside, lights=1.0 - (crossed >= 0), light_step=crossed,
        light=light, comfort=within(motion).astype(np.float64), motion=motion, flags=flags,
    )  # fmt: skip


def red_lights(signals: Signals, course: Course, first: int, steps: int) -> tuple[Array, Array, Array]:
    """Which lights of lanes on the course are red (steps, S) from the log's step `first` on, their lanes (S,), and
    which signals they are (S,). Flashing red is a stop sign."""
    lane = signals.lane.numpy()
    known = np.flatnonzero((lane >= 0) & (lane < len(course.lanes)))
    known = known[course.lanes[lane[known]]]
    state = np.stack([signals.at(first + k).numpy()[known] for k in range(steps)])
    return np.ascontiguousarray(state == int(Light.RED)), lane[known], known


def _areas(road: Road) -> tuple[Array, ...]:
    areas = road.areas
    return areas.records, areas.starts, areas.items, areas.parity, areas.segments


def _speeds(tracks: Tracks, rules: Rules) -> Array:
    """(T, A) by which a track counts as stopped."""
    if not rules.first_seen or not len(tracks):
        return tracks.speed
    first = (~np.isnan(tracks.boxes[:, 0])).argmax(0)
    return np.broadcast_to(tracks.speed[first, np.arange(len(first))], tracks.speed.shape).copy()


def _first(mask: Array) -> Array:
    return np.where(mask.any(-1), mask.argmax(-1), -1)


def _oncoming(middle: Array, flags: Array, rules: Rules) -> tuple[Array, Array]:
    """Most that each (N,) moved while in no lane of the route, in a window of steps [m], and when (N,)."""
    off = (flags & OFF_ROUTE) > 0
    if rules.spare_crossings:
        off &= (flags & CROSSING) == 0
    moved = np.zeros(off.shape)
    moved[:, 1:] = np.hypot(*np.moveaxis(middle[:, 1:] - middle[:, :-1], -1, 0))
    total = np.cumsum(np.where(off, moved, 0.0), -1)
    before = np.zeros_like(total)
    before[:, rules.oncoming_steps :] = total[:, : -rules.oncoming_steps]
    window = total - before
    step = window.argmax(-1)
    return window[np.arange(len(step)), step], step


def _motions(states: Array, rules: Rules, dt: float) -> dict[str, Array]:
    along, aside = accelerations(states, None if rules.lateral else 1)
    return motions(along, aside, states[..., YAW], dt, rules.windows)
