"""nuPlan's closed-loop score (CLS), non-reactive and reactive."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.types import Event, Rollout, Scenario, Score

from ..comfort import comfort
from ..drivable_area import drivable_area
from ..drive import judged, not_judged, only, over_steps, precise, unfit
from ..progress import progress
from .aggregate import weighted
from .at_fault import no_ego_at_fault_collisions
from .direction import driving_direction
from .speed_limit import speed_limit
from .time_to_collision import time_to_collision_within_bound

VERSION = "1"
SOURCE = "nuPlan e924167, closed-loop weighted average"
MULTIPLIERS = (
    "no_ego_at_fault_collisions",
    "drivable_area_compliance",
    "ego_is_making_progress",
    "driving_direction_compliance",
)
WEIGHTS = {
    "ego_progress_along_expert_route": 5.0,
    "time_to_collision_within_bound": 5.0,
    "speed_limit_compliance": 4.0,
    "ego_is_comfortable": 2.0,
}
OUTSIDE = 0.3
"""How far outside the drivable area a corner is at fault [m] (nuPlan, max_violation_threshold)."""
MOVING = 0.01
"""Distance from its log from which a track does not replay it [m]; own choice, above float32 at the map's border."""


def nuplan_cls(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    traffic: str = "auto",
    form: str = "peer",
    least_progress: float = 0.2,
    ignore_start: bool = False,
) -> Score:
    """nuPlan's closed-loop score of one drive, 0 to 1 (nuplan-devkit e924167, closed-loop weighted average).

    The product of four multipliers (`MULTIPLIERS`) times the mean of four parts weighted 5, 5, 4 and 2 (`WEIGHTS`).
    Parts that do not apply are left out, as nuPlan leaves out None; the evidence `composition` has their reasons. It
    says also which traffic drove, "non_reactive" (the tracks replay their log) or "reactive" (IDM in nuPlan): `traffic`
    "auto" tells by the tracks that nobody has touched yet. Further evidence: each part with its weight, or as a
    factor, and what it alone takes from a full score; and the parts' own, where they lost something.
    `least_progress` is the share of the expert's progress that makes progress; `form` see `driving_direction`. Series:
    the product of the first, second and fourth multiplier up to each step.
    """
    rollout = only(rollouts, "nuplan_cls")
    if traffic not in ("auto", "non_reactive", "reactive"):
        raise InputError(f"nuplan_cls: traffic={traffic!r} is not known; say auto, non_reactive or reactive")
    if reason := unfit(rollout):
        return not_judged("nuplan_cls", reason, VERSION)
    scores = parts(rollout, scenario, form, least_progress, ignore_start)
    value = weighted({name: score.value for name, score in scores.items()}, WEIGHTS, MULTIPLIERS)
    if math.isnan(value):
        reasons = "; ".join(f"{name}: {scores[name].reason}" for name in WEIGHTS)
        return not_judged("nuplan_cls", f"none of the weighted parts applies ({reasons})", VERSION)
    drove = traffic if traffic != "auto" else which_traffic(rollout, scenario)
    place = tuple(round(x, 3) for x in judged(rollout).xy[-1, 0].tolist())
    last = len(rollout.agents.valid) - 1
    left_out = {name: score.reason for name, score in scores.items() if not score.valid}
    detail = {"traffic": drove, "left_out": left_out, "source": SOURCE}
    total = sum(weight for name, weight in WEIGHTS.items() if scores[name].valid)
    counted = [
        Event(name, last, (0,), place, role(name, score.value, total)) for name, score in scores.items() if score.valid
    ]
    why = (
        replace(event, detail={**event.detail, "part": name})
        for name, score in scores.items() if score.value < 1 for event in score.evidence
    )  # fmt: skip
    return Score(
        "nuplan_cls", value, better="more", series=over_steps(gates(scores, rollout), rollout),
        shows="multipliers so far",
        evidence=(Event("composition", last, (0,), place, detail), *counted, *why), version=VERSION,
    )  # fmt: skip


def parts(
    rollout: Rollout,
    scenario: Scenario,
    form: str = "peer",
    least_progress: float = 0.2,
    ignore_start: bool = False,
) -> dict[str, Score]:
    """The eight parts by nuPlan's names, each a Score with its evidence."""
    drives = [rollout]
    made = progress(drives, scenario)
    return {
        "no_ego_at_fault_collisions": no_ego_at_fault_collisions(drives, scenario, ignore_start=ignore_start),
        "drivable_area_compliance": drivable_area(drives, scenario, tolerance=OUTSIDE),
        "ego_is_making_progress": making_progress(made, least_progress),
        "driving_direction_compliance": driving_direction(drives, scenario, form=form),
        "ego_progress_along_expert_route": made,
        "time_to_collision_within_bound": time_to_collision_within_bound(drives, scenario, ignore_start=ignore_start),
        "speed_limit_compliance": speed_limit(drives, scenario),
        "ego_is_comfortable": comfort(drives, scenario),
    }


def making_progress(made: Score, least: float = 0.2) -> Score:
    """1 if the score of progress `made` along the expert's route is at least `least`, else 0; its evidence is kept."""
    value = float(made.value >= least) if made.valid else math.nan
    events = tuple(
        replace(event, detail={**event.detail, **_enough(event, least, value)}) if event.kind == "progress" else event
        for event in made.evidence
    )
    return made.replace(name="ego_is_making_progress", value=value, series=None, evidence=events, version=VERSION)


def _enough(event: Event, least: float, value: float) -> dict[str, object]:
    """What the progress of an event costs as a gate, and what would have kept it."""
    missing = least * max(event.detail["expert"], event.detail["least"]) - event.detail["ego"]
    found = {"lost": 1 - value, "rule": f"at least {least:.0%} of the expert's progress", "source": SOURCE}
    return found if value else {**found, "kept_by": f"{missing:.2f} m more along the route by this step"}


def role(name: str, value: float, total: float) -> dict[str, float]:
    """How a part counts: as a factor, or with its weight among `total`, and what it alone takes from a full score."""
    if name in MULTIPLIERS:
        return {"factor": round(value, 6), "lost": round(1 - value, 6)}
    weight = WEIGHTS[name]
    return {"value": round(value, 6), "weight": weight, "lost": round(weight * (1 - value) / total, 6)}


def gates(scores: Mapping[str, Score], rollout: Rollout) -> Tensor:
    """Product (n,) of the multipliers that can change during the drive, each as of its own evidence."""
    steps = torch.arange(rollout.start, len(rollout.agents.valid))
    product = torch.ones(len(steps))
    for name in set(MULTIPLIERS) - {"ego_is_making_progress"}:
        score = scores[name]
        lost = [e.step for e in score.evidence if e.detail.get("at_fault", True)]
        if score.valid and score.value < 1 and lost:
            product = torch.where(steps >= min(lost), product * score.value, product)
    return product


def which_traffic(rollout: Rollout, scenario: Scenario) -> str:
    """Non-reactive if every other agent is where its log has it until somebody touches it, else reactive."""
    first, end = rollout.start, min(len(rollout.agents.valid), len(scenario.log.valid))
    count = min(rollout.agents.valid.shape[1], scenario.log.valid.shape[1])
    drove = precise(rollout.agents[first:end, 1:count])
    logged = precise(scenario.log[first:end, 1:count])
    free = torch.ones_like(drove.valid)
    for event in rollout.contacts:
        for agent in event.agents:
            if 0 < agent < count:
                free[max(event.step - first, 0) :, agent - 1] = False
    apart = (drove.xy - logged.xy).norm(dim=-1) > MOVING
    moved = (drove.valid & logged.valid & apart) | (drove.valid != logged.valid)
    return "reactive" if bool((moved & free).any()) else "non_reactive"
