"""PDMS, NAVSIM v1.1's score of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from drivesim.errors import InputError
from drivesim.proposals import score
from drivesim.proposals.judge import Rules
from drivesim.types import Plan, Rollout, Scenario, Score

from .drive import not_judged, only
from .navsim.compose import composed
from .navsim.evidence import Judged
from .navsim.frame import Frame, frames_of

VERSION = "1"
SOURCE = "NAVSIM v1.1 (3e8291b), PDMS"
FORMS = ("strict", "peer")


def pdms(
    rollouts: Sequence[Rollout], scenario: Scenario, each: float | None = None,
    form: Literal["strict", "peer"] = "strict",
) -> Score:  # fmt: skip
    """NC x DAC x (5 TTC + 5 EP + 2 C + 0 DDC) / 12 of a plan, 0 to 1 (NAVSIM v1.1, 3e8291b).

    The plan made at `rollout.start`, rolled out over 4 s by an LQR and a kinematic bicycle while the log goes on: what
    NAVSIM scores. With `each` [s] the mean over the plans made about that often, as long as 4 s of the drive are left,
    each against what then happened in the drive (DriveArena's closed-loop PDMS). Progress is measured against
    PDM-Closed from the same state. `form` "strict" is the text, "peer" NAVSIM's code: see docs/benchmarks.md.
    Series: the score of each plan at its step. Not valid for plans shorter than 4 s, where less than 4 s of the world
    are known, and on a map without a drivable area.
    """
    rollout = only(rollouts, "pdms")
    _check("pdms", form, each)
    frames, reason = frames_of(rollout, scenario, each)
    if reason:
        return not_judged("pdms", reason, VERSION)
    return _score([judged(frame, plan, form) for frame, plan in frames], form, len(rollout.agents.valid))


pdms.judges_plans = True


def score_trajectory(
    scenario: Scenario, step: int, plan: Plan, form: Literal["strict", "peer"] = "strict",
    reference: np.ndarray | None = None,
) -> Score:  # fmt: skip
    """PDMS of one plan made at a step of the log. `reference`: states (41, 7) of PDM-Closed from there, if known."""
    _check("pdms", form)
    frame = Frame.of_log(scenario, _step(scenario, step))
    if reason := frame.unfit(plan):
        return not_judged("pdms", reason, VERSION)
    return _score([judged(frame, plan, form, reference)], form, None)


def judged(frame: Frame, plan: Plan, form: str = "strict", reference: np.ndarray | None = None) -> Judged:
    """A plan's sub-scores beside PDM-Closed's."""
    rules = Rules.of(1, form)
    states = [frame.reference() if reference is None else reference, frame.rolled(plan)]
    j = frame.judge(states, rules)
    product = j.no_collision * j.on_road
    parts = {
        "NC": j.no_collision, "DAC": j.on_road, "TTC": j.time_to_collision,
        "EP": score.progress_v1(j.progress, product), "C": j.comfort,
        "DDC": j.direction if frame.course.lanes.any() else np.full(2, np.nan),
    }  # fmt: skip
    motion = {name: values[1] for name, values in j.motion.items()}
    return Judged(
        frame, states[1], j, 1, {name: float(x[1]) for name, x in parts.items()}, rules,
        float((j.progress * product)[0]), SOURCE, motion, 0,
    )  # fmt: skip


def _score(frames: Sequence[Judged], form: str, steps: int | None) -> Score:
    return composed(
        "pdms", frames, score.pdms, score.PDMS_MULTIPLIERS, score.PDMS_WEIGHTS, steps, f"{VERSION} {form}",
        {"form": form, "left_out": _left_out(frames[0])},
    )  # fmt: skip


def _left_out(frame: Judged) -> dict[str, str]:
    reasons = {"DDC": "no lane of the map is on the route"}
    return {name: reasons[name] for name, value in frame.parts.items() if np.isnan(value)}


def _check(name: str, form: str, each: float | None = None) -> None:
    if form not in FORMS:
        raise InputError(f"{name}: form={form!r} is not known; say {' or '.join(FORMS)}")
    if each is not None and not each > 0:
        raise InputError(f"{name}: each={each} s; how often plans are scored is a positive time")


def _step(scenario: Scenario, step: int) -> int:
    if not 0 <= step < scenario.steps:
        raise InputError(f"step {step}: {scenario.id} has steps 0 to {scenario.steps - 1}")
    return step
