"""NAVSIM v2's pseudo-simulation: what a plan leads to is judged from starts that were prepared near its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivesim.errors import InputError
from drivesim.proposals import comfort, score
from drivesim.proposals.states import X, Y
from drivesim.types import DT, Plan, Scenario

from .. import epdms
from .evidence import Judged
from .frame import APART, Frame


@dataclass(frozen=True, eq=False)
class Stage:
    """Plans made at a step of a scenario and 0.5 s before it, both with 4 s of the log to come.

    Second stages are scenarios of their own, in the same world frame as their first: other egos, synthetic or driven.
    """

    scenario: Scenario
    step: int
    now: Plan
    before: Plan


@dataclass(frozen=True)
class Group:
    """What one first stage came to."""

    value: float  # mean of `now` and `before`
    now: float  # first stage times the weighted mean of the second
    before: float
    first: tuple[float, float]  # scores of the first stage, now and before
    second: tuple[tuple[float, float], ...]  # of each second stage
    weights: tuple[tuple[float, float], ...]  # of each second stage; either column sums to 1


def pseudo_simulation(
    groups: Sequence[tuple[Stage, Sequence[Stage]]], form: Literal["strict", "peer"] = "strict"
) -> tuple[float, list[Group]]:
    """EPDMS of plans in two stages (NAVSIM v2, 0a380a9), and what it comes from: each a first stage with its second.

    For the frame and for the one 0.5 s before it: the score of its plan, times the mean of the second stages' scores,
    weighted by how near each starts to where the plan ends (`drivesim.proposals.score.stage_weights`). Their mean is
    the group's, the mean of the groups the score. EC compares the two plans of a stage and counts for both; the human
    filter counts in the first stage alone, whose scenes are recorded. InputError where a plan cannot be judged.
    """
    found = [_group(first, second, form) for first, second in groups]
    return score.pseudo_simulation([(group.now, group.before) for group in found]), found


def _group(first: Stage, second: Sequence[Stage], form: str) -> Group:
    one, others = _judged(first, form, True), [_judged(stage, form, False) for stage in second]
    values = [tuple(float(score.epdms(plan.parts)) for plan in pair) for pair in (one, *others)]
    weights, totals = [], []
    for k, plan in enumerate(one):
        end, starts = plan.states[-1, [X, Y]], np.array([pair[k].frame.start[[X, Y]] for pair in others])
        weights.append(score.stage_weights(end, starts))
        totals.append(score.two_stage(values[0][k], end, starts, np.array([pair[k] for pair in values[1:]])))
    pairs = tuple(tuple(map(float, pair)) for pair in zip(*weights, strict=True))
    return Group(float(np.mean(totals)), *totals, values[0], tuple(values[1:]), pairs)


def _judged(stage: Stage, form: str, human: bool) -> tuple[Judged, Judged]:
    """The plans of a stage, now and before, with the same EC."""
    epdms.check(form)
    frames = Frame.of_log(stage.scenario, stage.step), Frame.of_log(stage.scenario, stage.step - APART)
    plans = stage.now, stage.before
    for frame, plan in zip(frames, plans, strict=True):
        reason = "it begins before the log" if frame.step < 0 else epdms.unfit(frame, plan)
        if reason:
            raise InputError(f"{stage.scenario.id}: {reason}")
    now, before = (frame.rolled(plan) for frame, plan in zip(frames, plans, strict=True))
    alike = float(comfort.alike(comfort.differences(before, now, APART, DT, bend=form == "strict")))
    found = [epdms.judged(frame, plan, form, human) for frame, plan in zip(frames, plans, strict=True)]
    for one in found:
        one.parts["EC"] = alike
    return found[0], found[1]
