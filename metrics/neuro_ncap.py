"""NeuroNCAP's score: a crash avoided, or how much of its speed was taken off."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from drivesim.loading.coasting import coast, first_touch
from drivesim.types import CYCLES, VEHICLES, Agents, Event, Kind, Rollout, Scenario, Score, is_kind

from .contacts import nearest
from .drive import judged, not_judged, only, over_steps, precise, track_name, unfit

VERSION = "1"
SOURCE = "NeuroNCAP 00a3574, docs/evaluation-protocol-overview.md"


def neuro_ncap(rollouts: Sequence[Rollout], scenario: Scenario, form: Literal["strict", "peer"] = "strict") -> Score:
    """5 stars without a collision, else 4 max(0, 1 - impact speed / reference speed) (NeuroNCAP 00a3574).

    Impact: the first contact of the ego's box with a vehicle or bicycle, looked for every 0.05 s; its speed is the
    length of the relative velocity. Reference `strict` (the text): the speed at which an ego that takes no action,
    keeping its speed on the logged path, runs into somebody; `peer` (the code, whose test of an index is inverted):
    the last logged velocity of the ego less that of the one it hits, 4 s after the test's start. Not valid where
    taking no action is no crash: that is no crash test (see `scenarios=ncap`). Series: distance to the nearest box [m].
    """
    rollout = only(rollouts, "neuro_ncap")
    if reason := unfit(rollout, steps=2):
        return not_judged("neuro_ncap", reason, VERSION)
    reference, due = reference_speed(scenario, rollout.start, form)
    if reference is None:
        return not_judged("neuro_ncap", "no crash test: an ego that takes no action hits nothing", VERSION)
    agents = precise(rollout.agents)
    touch = first_touch(agents[:, 0], agents, counted(agents), rollout.start)
    gap = nearest(judged(rollout))
    events = ()
    if touch is not None:
        track = int(touch.agent)
        avoided = reference * (1 - 1 / 4)
        detail = {
            "impact_speed": round(touch.speed, 3), "reference_speed": round(reference, 3), "form": form,
            "ego_speed": round(float(touch.ego.velocity.norm()), 3),
            "track_speed": round(float(touch.other.velocity.norm()), 3),
            "track": track_name(scenario.track_ids, track), "kind": Kind(int(touch.other.kind)).name.lower(),
            "seconds": round((touch.step - rollout.start) * rollout.dt, 3), "due_at_seconds": due,
            "rule": f"5 without a collision, else 4 (1 - impact / reference); {SOURCE}",
            "kept_by": f"no contact (5 stars); an impact below {avoided:.2f} m/s gives more than 1 star",
        }  # fmt: skip
        step = min(math.ceil(touch.step), len(rollout.agents.yaw) - 1)
        place = tuple(round(x, 3) for x in touch.other.xy.tolist())
        events = (Event("impact", step, (0, track), place, detail),)
    return Score(
        "neuro_ncap", stars(touch.speed if touch else None, reference), unit="stars",
        better="more", series=over_steps(gap.masked_fill(torch.isinf(gap), torch.nan), rollout),
        shows="distance to the nearest box [m]", evidence=events, version=f"{VERSION} {form}",
    )  # fmt: skip


def stars(impact: float | None, reference: float) -> float:
    """The score of one run: `impact` speed [m/s], None without a collision, and the reference speed [m/s]."""
    if impact is None:
        return 5.0
    return 4.0 * max(0.0, 1.0 - impact / reference) if reference > 0 else 0.0


def mean_stars(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[float, dict[str, float]]:
    """The total and the score of each type of test, from scores `{type: {sequence: [run, ...]}}`: means of means, so
    that every type counts alike, and every sequence in it (scripts/aggregate_results.py, which also rounds each mean
    to 3 decimals). ValueError where there is no run."""
    types = {}
    for name, sequences in runs.items():
        means = [sum(scores) / len(scores) for scores in sequences.values() if len(scores)]
        if not means:
            raise ValueError(f"{name}: no run to take a mean of")
        types[name] = sum(means) / len(means)
    if not types:
        raise ValueError("no runs to take a mean of")
    return sum(types.values()) / len(types), types


def counted(agents: Agents) -> torch.Tensor:
    """Agents (..., A) that NeuroNCAP looks at: vehicles and bicycles, the ego aside."""
    who = is_kind(agents.kind, (*VEHICLES, *CYCLES)) & agents.valid
    who[..., 0] = False
    return who


def reference_speed(scenario: Scenario, start: int, form: str = "strict") -> tuple[float | None, float]:
    """Reference speed [m/s] and when the crash is due [s after `start`]; None where there is no crash."""
    log = precise(scenario.log)
    start = min(start, scenario.steps - 1)
    touch = first_touch(coast(log[:, 0], start, scenario.steps), log, counted(log), start)
    if touch is None:
        return None, math.nan
    due = round((touch.step - start) * scenario.scene.briefing.dt, 3)
    if form == "strict":
        return touch.speed, due
    frame = min(round(4.0 / scenario.scene.briefing.dt), scenario.steps - 1)
    other = log.velocity[frame, touch.agent].nan_to_num(0)
    return float((log.velocity[-1, 0] - other).norm()), due
