"""Scores of the measures between the ego and its leader: each the share of steps on the safe side of a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drivesim.errors import InputError
from drivesim.types import Agents, Rollout, Scenario, Score

from ..drive import not_judged, only, unfit
from . import braking, exposure, steering, time
from .exceeding import VERSION, number, share_kept
from .following import Following, situation

FORMS = ("strict", "peer")


def time_headway(
    rollouts: Sequence[Rollout], scenario: Scenario, bound: float = 0.9, least_speed: float = 1.0, form: str = "strict"
) -> Score:
    """Share of the steps with a leader at which the time headway is at least `bound` [s].

    THW = gap / speed of the ego. 0.9 s is the headway from which Germany fines (BKatV: less than half of half the
    speedometer's value in metres). Up to `least_speed` [m/s] it counts as kept: a queue at a light is no tailgating
    (own choice). `form="peer"` (commonroad-crime 0.4.5) takes the time that the ego's front then took to pass the place
    of the leader's rear; in steps, and inf where it never did.
    """
    _known(form)
    positive("time_headway", bound=bound)
    rollout, agents, lead, reason = _lead("time_headway", rollouts, scenario)
    if reason:
        return not_judged("time_headway", reason, VERSION)
    if form == "peer":
        rear = lead.along + lead.front + lead.gap
        values = time.time_headway_driven(lead.along, lead.front[0], rear, rollout.dt)
    else:
        values = time.time_headway(lead.gap, lead.speed)

    def explain(t: int) -> dict:
        gap, speed = float(lead.gap[t]), float(lead.speed[t])
        return {
            "value": number(values[t]), "bound": bound, "unit": "s", "gap": number(gap), "ego_speed": number(speed),
            "kept_by": f"a speed below {gap / bound:.2f} m/s, or {max(bound * speed - gap, 0):.2f} m more distance",
        }  # fmt: skip

    beyond = (values < bound) & (lead.speed > least_speed)
    return share_kept(
        "time_headway", rollout, scenario, agents, lead.who, values, beyond, explain, "time headway [s]",
        f"THW of {bound} s or more above {least_speed} m/s (BKatV)",
    )  # fmt: skip


def time_exposed(
    rollouts: Sequence[Rollout], scenario: Scenario, threshold: float = 1.5, accelerating: bool = False
) -> Score:
    """1 less the share of the steps with a leader at which the time to collision with it is below `threshold` [s].

    TET and TIT (Minderhoud and Bovy 2001) stand in the evidence, in s and s^2. 1.5 s separates critical from normal
    traffic in Sacchi (2016) and El-Basyouny (2013). With `accelerating`, both keep their accelerations (Jansson 2005)
    instead of their speeds.
    """
    positive("time_exposed", threshold=threshold)
    rollout, agents, lead, reason = _lead("time_exposed", rollouts, scenario)
    if reason:
        return not_judged("time_exposed", reason, VERSION)
    values = time.time_to_collision(lead.gap, lead.closing)
    if accelerating:
        values = time.time_to_collision_accelerating(lead.gap, lead.closing, lead.closing_acceleration)
    exposed = number(exposure.time_exposed(values, threshold, rollout.dt))
    integrated = number(exposure.time_integrated(values, threshold, rollout.dt))

    def explain(t: int) -> dict:
        return {
            "value": number(values[t]), "threshold": threshold, "unit": "s", "gap": number(lead.gap[t]),
            "closing": number(lead.closing[t]), "time_exposed": exposed, "time_integrated": integrated,
            "kept_by": _slower(float(lead.gap[t]) / threshold),
        }  # fmt: skip

    return share_kept(
        "time_exposed", rollout, scenario, agents, lead.who, values, values < threshold, explain,
        "time to collision with the leader [s]", f"TTC of {threshold} s or more (Minderhoud and Bovy 2001)",
    )  # fmt: skip


def deceleration_to_avoid_crash(rollouts: Sequence[Rollout], scenario: Scenario, bound: float = 3.35) -> Score:
    """Share of the steps with a leader at which DRAC is at most `bound` [m/s^2]; 3.35 is Archer's (2005)."""
    name = "deceleration_to_avoid_crash"
    positive(name, bound=bound)
    rollout, agents, lead, reason = _lead(name, rollouts, scenario)
    if reason:
        return not_judged(name, reason, VERSION)
    values = braking.deceleration_to_avoid_crash(lead.gap, lead.closing)

    def explain(t: int) -> dict:
        return {
            "value": number(values[t]), "bound": bound, "unit": "m/s^2", "gap": number(lead.gap[t]),
            "closing": number(lead.closing[t]),
            "kept_by": _slower(math.sqrt(2 * float(lead.gap[t]) * bound), "at most"),
        }  # fmt: skip

    return share_kept(
        name, rollout, scenario, agents, lead.who, values, values > bound, explain,
        "deceleration to avoid a crash [m/s²]", f"DRAC of {bound} m/s^2 at most (Archer 2005)", rising=True,
    )  # fmt: skip


def brake_threat(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    bound: float = 1.0,
    full_brake: float = braking.FULL_BRAKE,
    form: str = "strict",
) -> Score:
    """Share of the steps with a leader at which the brake threat number is below `bound`.

    BTN is the deceleration required under the leader's own acceleration over `full_brake` [m/s^2] (Jansson 2005); from
    1 on braking alone no longer helps. `form="peer"`: see `braking.required_acceleration`.
    """
    _known(form)
    positive("brake_threat", bound=bound, full_brake=full_brake)
    rollout, agents, lead, reason = _lead("brake_threat", rollouts, scenario)
    if reason:
        return not_judged("brake_threat", reason, VERSION)
    required = braking.required_acceleration(lead.gap, lead.closing, lead.acceleration, form)
    values = braking.brake_threat_number(required, full_brake)

    def explain(t: int) -> dict:
        left = bound * full_brake + float(lead.acceleration[t])  # deceleration beyond the leader's own
        kept = _slower(math.sqrt(max(2 * float(lead.gap[t]) * left, 0)))
        alone = f"nothing at this step: the leader alone brakes at {-float(lead.acceleration[t]):.2f} m/s^2"
        return {
            "value": number(values[t]), "bound": bound, "required_acceleration": number(required[t]),
            "full_brake": full_brake, "gap": number(lead.gap[t]), "closing": number(lead.closing[t]),
            "leader_acceleration": number(lead.acceleration[t]),
            "kept_by": kept if left > 0 else alone,
        }  # fmt: skip

    return share_kept(
        "brake_threat", rollout, scenario, agents, lead.who, values, values >= bound, explain,
        "brake threat number", f"BTN below {bound} with a full brake of {full_brake} m/s^2 (Jansson 2005)", rising=True,
    )  # fmt: skip


def steer_threat(
    rollouts: Sequence[Rollout], scenario: Scenario, bound: float = 1.0, available: float = steering.LATERAL
) -> Score:
    """Share of the steps with a leader at which the steer threat number is below `bound`.

    STN is the lateral acceleration that takes the ego past the leader's nearer side by the time to collision, over
    `available` [m/s^2] (Jansson 2005); from 1 on steering alone no longer helps.
    """
    positive("steer_threat", bound=bound, available=available)
    rollout, agents, lead, reason = _lead("steer_threat", rollouts, scenario)
    if reason:
        return not_judged("steer_threat", reason, VERSION)
    until = time.time_to_collision(lead.gap, lead.closing)
    required = steering.required_lateral_acceleration(until, lead.offset, lead.room, lead.aside)
    values = steering.steer_threat_number(required, available)

    def explain(t: int) -> dict:
        then = float(lead.offset[t] + lead.aside[t] * until[t]) if math.isfinite(float(until[t])) else math.nan
        missing = max(float(lead.room[t]) - abs(then) - bound * available * float(until[t]) ** 2 / 2, 0)
        return {
            "value": number(values[t]), "bound": bound, "required_acceleration": number(required[t]),
            "available": available, "time_to_collision": number(until[t]), "offset": number(lead.offset[t]),
            "kept_by": f"{missing:.2f} m further {'right' if then >= 0 else 'left'}",
        }  # fmt: skip

    return share_kept(
        "steer_threat", rollout, scenario, agents, lead.who, values, values >= bound, explain,
        "steer threat number", f"STN below {bound} with {available} m/s^2 sideways (Jansson 2005)", rising=True,
    )  # fmt: skip


def _slower(limit: float, words: str = "at less than") -> str:
    """Keeping below a closing speed [m/s]; at none worth the name the gap is closed."""
    if limit < 0.005:
        return "not closing in"
    return f"closing in {words} {limit:.2f} m/s"


def positive(name: str, **options: float) -> None:
    for option, value in options.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}: {option}={value} must be a number above 0")


def _known(form: str) -> None:
    if form not in FORMS:
        raise InputError(f"form={form!r} is not one of {', '.join(FORMS)}")


def _lead(name: str, rollouts: Sequence[Rollout], scenario: Scenario) -> tuple[Rollout, Agents, Following, str]:
    """The drive, its agents from the start on, whom the ego follows, and why it cannot be judged."""
    rollout = only(rollouts, name)
    if reason := unfit(rollout):
        return rollout, rollout.agents, None, reason
    met = situation(rollout, scenario)
    return rollout, met.agents, met.lead, ""
