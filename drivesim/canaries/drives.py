"""Drives whose scores were worked out by hand, given to the metrics as every drive is. All are 5 m long, 2 m wide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import parts
from ..proposals import score as formulas
from ..types import Agents, Score
from .answer import ROUNDING, Answer
from .worlds import VEHICLE, driven, track

SINGLE = 1e-4
"""Tolerance where positions of some 50 m are kept in single precision."""


def _judged(name: str, ego: Agents, *others: Agents, log: Agents | None = None, half: float = 20.0) -> Score:
    metric = parts.locate(f"metrics.{name}.{name}")
    rollout, scenario = driven(ego, *others, log=log, half=half)
    return metric([rollout], scenario)


def collision() -> Iterator[Answer]:
    """At 10 m/s from 0 towards a car that stands at 40.5 m: the boxes meet from 35.5 m on, first at step 36, at 10 m/s.
    Past one that stands 4 m aside there are 2 m between them."""
    ego = track(41, (0.0, 0.0), speed=10.0)
    hit = _judged("collision", ego, track(41, (40.5, 0.0)))
    yield Answer("score of a drive into a standing car", hit.value, 0.0)
    yield Answer(
        "step and speed of its contact", [(e.step, e.detail["impact_speed"]) for e in hit.evidence], [36, 10.0], 1e-3
    )
    past = _judged("collision", ego, track(41, (20.0, 4.0)))
    yield Answer("score of a drive past it", past.value, 1.0)
    yield Answer("distance from it alongside [m]", past.series[20], 2.0, SINGLE)


def off_road() -> Iterator[Answer]:
    """At 5 m/s on a 3-4-5 slant the front left corner is 2.5 x 0.6 + 1 x 0.8 = 2.3 m to the side of the centre, which
    moves aside by 0.3 m a step: past the border at 8.1 m from step 20 on, there by 0.2 m."""
    ego = track(31, (0.0, 0.0), yaw=math.atan2(3, 4), speed=5.0)
    left = _judged("drivable_area", ego, half=8.1)
    yield Answer("score of a drive off the road", left.value, 0.0)
    found = [(event.step, event.detail["outside_by"]) for event in left.evidence]
    yield Answer("step and distance of leaving it", found, [20, 0.2], 2e-3)
    yield Answer("score of the same drive on a wider road", _judged("drivable_area", ego, half=20.0).value, 1.0)


def time_to_collision() -> Iterator[Answer]:
    """6 m/s faster than who is 12.3 m ahead, bumper to bumper: 2.05 s at first, 2.1 in steps of 0.1; after 11 steps
    5.7 / 6 = 0.95, which is 1.0; after 12 0.85, which is 0.9 and no more above 0.95."""
    far = _judged("time_to_collision", track(12, (0.0, 0.0), speed=10.0), track(12, (17.3, 0.0), speed=4.0))
    yield Answer("score while 1.0 s are left", far.value, 1.0)
    near = _judged("time_to_collision", track(13, (0.0, 0.0), speed=10.0), track(13, (17.3, 0.0), speed=4.0))
    yield Answer("score once 0.9 s are left", near.value, 0.0)
    yield Answer("time to collision at first and last [s]", [near.series[0], near.series[12]], [2.1, 0.9], SINGLE)


def comfort() -> Iterator[Answer]:
    """Braking at 4 m/s^2 is within 4.05, at 4.1 it is not; filters keep what does not change."""
    soft = _judged("comfort", track(31, (0.0, 0.0), speed=15.0, gain=-4.0))
    yield Answer("score of braking at 4 m/s^2", soft.value, 1.0)
    yield Answer("acceleration [m/s^2] all the way", soft.series, [-4.0] * 31, 1e-3)
    hard = _judged("comfort", track(31, (0.0, 0.0), speed=15.0, gain=-4.1))
    yield Answer("score of braking at 4.1 m/s^2", hard.value, 0.0)
    yield Answer("bounds that it leaves", [event.detail["limit"] for event in hard.evidence], [-4.05])


def displacement() -> Iterator[Answer]:
    """1 m/s slower than the log for 4 s: 0 to 4 m behind, 2 m on average; 3 m aside and 4 m behind is 5 m off."""
    log = track(41, (0.0, 0.0), speed=10.0)
    slower = _judged("log_distance", track(41, (0.0, 0.0), speed=9.0), log=log)
    yield Answer("ADE [m] of a slower drive", slower.value, 2.0, SINGLE)
    yield Answer("its final distance [m]", slower.evidence[0].detail["final"], 4.0, 1e-3)
    aside = _judged("log_distance", track(41, (-4.0, 3.0), speed=10.0), log=log)
    yield Answer("ADE [m] of a drive 3 m aside, 4 m behind", aside.value, 5.0, SINGLE)


def pdms() -> Iterator[Answer]:
    """(5 + 5 x 0.4 + 2) / 12 = 0.75; half of it for hitting an object; 0 off the road. EPDMS has 16 of weight, and 14
    without a second plan.

    Through the kernels: rolled out at 10 m/s from a rear axle at 0, the front is at 4 m + 1 m a step. The tail of a car
    that stands at 40.1 m is at 37.6 m: met at step 34, at fault. Beside one 4 m aside it passes."""
    plan = {"NC": 1.0, "DAC": 1.0, "TTC": 1.0, "EP": 0.4, "C": 1.0}
    yield Answer("PDMS of a slow plan", formulas.pdms(plan), 0.75, ROUNDING)
    yield Answer("PDMS after hitting an object", formulas.pdms({**plan, "NC": 0.5}), 0.375, ROUNDING)
    yield Answer("PDMS off the road", formulas.pdms({**plan, "DAC": 0.0}), 0.0)
    more = {"NC": 1.0, "DAC": 1.0, "DDC": 0.5, "TLC": 1.0, "EP": 0.5, "TTC": 1.0, "LK": 0.0, "HC": 1.0}
    yield Answer("EPDMS", formulas.epdms({**more, "EC": 1.0}), 0.5 * 11.5 / 16, ROUNDING)
    yield Answer("EPDMS without a second plan", formulas.epdms(more), 0.5 * 9.5 / 14, ROUNDING)
    states, (step, _, fault) = _rolled_into_who_stands()
    yield Answer("places [m] of a plan rolled out at 10 m/s", states[0, :, :2], [[k, 0.0] for k in range(41)], 1e-3)
    yield Answer("step of its contacts, -1 for none", step, [[34, -1]])
    yield Answer("whether it is at fault", fault, [[True, False]])


def _rolled_into_who_stands() -> tuple[Any, tuple[Any, Any, Any]]:
    """States (1, 41, 7) of a plan straight ahead, and its contacts with two who stand."""
    from ..proposals import judge, kernel, roll_out

    time = 0.1 * np.arange(1, 41)
    plan = np.stack([10 * time, 0 * time, 0 * time], -1)[None]
    states = roll_out.roll_out(plan, time, np.array([0.0, 0, 0, 10, 0, 0, 0]), VEHICLE)
    box = np.array([[40.1, 20.0], [0.0, 4.0], [1.0, 1.0], [0.0, 0.0], [2.5, 2.5], [1.0, 1.0]])
    boxes, speeds, static = np.repeat(box[None], 41, 0), np.zeros((41, 2)), np.zeros(2, bool)
    rules, half = judge.Rules(), (VEHICLE.length / 2, VEHICLE.width / 2, VEHICLE.rear_axle_to_center)
    flags = np.zeros(states.shape[:2], np.uint8)
    return states, kernel.contacts(states, flags, boxes, speeds, static, *half, rules.stopped, rules.behind, False)
