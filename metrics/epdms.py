"""EPDMS, NAVSIM v2's score of a plan, single stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from drivesim.errors import InputError
from drivesim.proposals import comfort, score
from drivesim.proposals.judge import Judgement, Rules
from drivesim.proposals.states import YAW
from drivesim.types import Plan, Rollout, Scenario, Score

from .drive import not_judged, only
from .navsim.compose import composed
from .navsim.evidence import Judged
from .navsim.frame import APART, PAST, Frame, frames_of, next_plan

VERSION = "1"
SOURCE = "NAVSIM v2 (0a380a9), EPDMS"
FORMS = ("strict", "peer")
NO_SECOND = "no second plan was made 0.5 s later"


def epdms(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    each: float | None = None,
    form: Literal["strict", "peer"] = "strict",
    human: bool = True,
) -> Score:
    """NC x DAC x DDC x TLC x (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16 of a plan, 0 to 1 (NAVSIM v2, 0a380a9).

    The plan made at `rollout.start`, rolled out over 4 s while the log goes on; with `each` [s] the mean over the plans
    of the drive, as in `pdms`. EC compares it with the plan made 0.5 s later; without one EC and its weight are left
    out, as NAVSIM does. `human`: a sub-score counts as 1 where the logged ego's own is 0 (on the log only; products are
    taken after it). `form` "strict" is the text, "peer" NAVSIM's code: see docs/benchmarks.md.
    Series: the score of each plan at its step. Not valid where `pdms` is not, and where no lane is on the route.
    The two-stage pseudo-simulation is `metrics.navsim.stages`.
    """
    rollout = only(rollouts, "epdms")
    check(form, each)
    frames, reason = frames_of(rollout, scenario, each)
    if reason := reason or unfit(*frames[0]):
        return not_judged("epdms", reason, VERSION)
    found = []
    for frame, plan in frames:
        second = next_plan(frame, rollout)
        found.append(judged(frame, plan, form, human, second))
    return _score(found, form, human, len(rollout.agents.valid))


epdms.judges_plans = True


def score_trajectory(
    scenario: Scenario,
    step: int,
    plan: Plan,
    second: Plan | None = None,
    form: Literal["strict", "peer"] = "strict",
    human: bool = True,
    reference: np.ndarray | None = None,
) -> Score:
    """EPDMS of one plan made at a step of the log; `second` is one made 0.5 s later, from the log's ego there.

    `reference`: states (41, 7) of PDM-Closed from there, if known.
    """
    check(form)
    if not 0 <= step < scenario.steps:
        raise InputError(f"step {step}: {scenario.id} has steps 0 to {scenario.steps - 1}")
    frame = Frame.of_log(scenario, step)
    if reason := unfit(frame, plan):
        return not_judged("epdms", reason, VERSION)
    later = None
    if second is not None and step + APART < scenario.steps:
        later = Frame(scenario, frame.agents, frame.ego, step + APART, True).rolled(second), APART
    return _score([judged(frame, plan, form, human, later, reference)], form, human, None)


def judged(
    frame: Frame,
    plan: Plan,
    form: str = "strict",
    human: bool = True,
    second: tuple[np.ndarray, int] | None = None,
    reference: np.ndarray | None = None,
) -> Judged:
    """A plan's sub-scores beside PDM-Closed's and, on the log, the human's."""
    rules, dt = Rules.of(2, form), frame.scenario.scene.briefing.dt
    if reference is None:
        reference = frame.reference(2 if form == "peer" else 1)
    states = [reference, frame.rolled(plan)]
    driven = frame.human() if human else None
    j = frame.judge([*states, driven] if driven is not None else states, rules)
    product = (j.no_collision * j.on_road * j.direction * j.lights)[:2]
    motion, before = history(frame, states[1], form)
    parts = _parts(j, 1, score.progress_v2(j.progress[:2], product)[1], motion)
    difference = None
    if second is not None:
        difference = comfort.differences(states[1], *second, dt, bend=form == "strict")
        parts["EC"] = float(comfort.alike(difference))
    if driven is not None:
        own = history(frame, driven, form)[0] if form == "strict" else None  # the peer gives the human no past
        parts = score.human_filter(parts, _parts(j, 2, 1.0, own))
    return Judged(
        frame, states[1], j, 1, parts, rules, float((j.progress[:2] * product)[0]), SOURCE, motion, before, difference
    )  # fmt: skip


def history(frame: Frame, states: np.ndarray, form: str) -> tuple[dict[str, np.ndarray], int]:
    """What comfort is judged on: the past and then the plan, and how many steps of the past.

    The peer's code loses the last step of the past, and judges the box's middle.
    """
    dt, vehicle = frame.scenario.scene.briefing.dt, frame.vehicle
    past = frame.past(PAST)
    past = past if form == "strict" else past[:-1]
    all_, driven = np.concatenate([past, states]), len(past) + 1
    if form == "strict":
        return comfort.motions(*comfort.accelerations(all_), all_[:, YAW], dt), len(past)
    size = np.hypot(*comfort.accelerations(all_, driven))
    middle = comfort.of_centre(all_, driven, vehicle.rear_axle_to_center, dt)
    return comfort.motions(*middle, all_[:, YAW], dt, size=size), len(past)


def _parts(j: Judgement, row: int, progress: float, motion: Mapping[str, np.ndarray] | None) -> dict[str, float]:
    """Sub-scores of one row; EC is NaN until a second plan is there."""
    return {
        "NC": float(j.no_collision[row]),
        "DAC": float(j.on_road[row]),
        "DDC": float(j.direction[row]),
        "TLC": float(j.lights[row]),
        "EP": float(progress),
        "TTC": float(j.time_to_collision[row]),
        "LK": float(j.lane[row]),
        "HC": 1.0 if motion is None else float(comfort.within(motion)),
        "EC": float("nan"),
    }


def _score(frames: Sequence[Judged], form: str, human: bool, steps: int | None) -> Score:
    left_out = {"EC": NO_SECOND} if np.isnan(frames[0].parts["EC"]) else {}
    lights = len(frames[0].frame.scenario.scene.signals.lane)
    notes = {
        "form": form,
        "human_filter": human and all(frame.frame.logged for frame in frames),
        "left_out": left_out,
        "not_covered": "" if lights else "traffic lights: the log has none",
    }
    return composed(
        "epdms", frames, score.epdms, score.EPDMS_MULTIPLIERS, score.EPDMS_WEIGHTS, steps, f"{VERSION} {form}", notes
    )


def unfit(frame: Frame, plan: Plan) -> str:
    """Why a plan has no EPDMS; empty if it has."""
    return frame.unfit(plan) or ("" if frame.course.lanes.any() else "no lane of the map is on the route")


def check(form: str, each: float | None = None) -> None:
    """Refuse options that are not known: InputError."""
    if form not in FORMS:
        raise InputError(f"epdms: form={form!r} is not known; say {' or '.join(FORMS)}")
    if each is not None and not each > 0:
        raise InputError(f"epdms: each={each} s; how often plans are scored is a positive time")
