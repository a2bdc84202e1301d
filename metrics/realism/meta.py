"""The realism meta metric: a weighted mean of how likely the log is under the rollouts, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drivesim.types import CYCLES, VEHICLES, WALKERS, Event, Rollout, Scenario, Score, is_kind

from .challenge import WEIGHTS, compare, weighted
from .features import Features, Tracks, displacement, measure

VERSION = "1"
NAME = "realism"

MOVING = 2.0
"""Who moves less than this after the start is not evaluated unless named [m]."""


def realism(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    year: int = 2025,
    agents: Sequence[str] | None = None,
    horizon: float = 8.0,
) -> Score:
    """How much like the log the traffic of many rollouts of one scenario is, 0 to 1 (Waymo sim agents challenge).

    sum over features of weight * exp(mean log-likelihood of the logged values under the rollouts). The challenge takes
    32 rollouts and `horizon` 8 s. Evaluated are the tracks named by `agents`, else `evaluated(scenario)`; all who are
    there at the start are around them. Series: likelihood of the log at each step, over the features that have one; as
    long as the longest rollout.
    Evidence: an event per feature with its likelihood, and one with the rates and the displacement.

    ValueError for rollouts of another scenario, for none, for another `year` and for agents that cannot be evaluated.
    """
    start = _same_start(rollouts, scenario)
    if year not in WEIGHTS:
        raise ValueError(f"{NAME} knows the weights of {', '.join(map(str, WEIGHTS))}, not of {year}")
    around = torch.nonzero(scenario.log.valid[start])[:, 0].tolist()
    chosen = evaluated(scenario, start) if agents is None else _named(agents, scenario, around)
    if reason := _unfit(scenario, start, chosen):
        return Score(NAME, float("nan"), valid=False, reason=reason, version=VERSION)
    last = min(scenario.steps, start + 1 + round(horizon / scenario.scene.briefing.dt))
    who = np.searchsorted(around, chosen)
    log = Tracks.of([scenario.log[:, around]], last)
    drives = Tracks.of([rollout.agents[:, around] for rollout in rollouts], last)
    logged = measure(log, who, start, scenario.scene)
    simulated = measure(drives, who, start, scenario.scene)
    vehicles = is_kind(scenario.log.kind[start, chosen], VEHICLES).numpy()
    likelihoods, series = compare(logged, simulated, vehicles, year)
    facts = {"rollouts": len(rollouts), **_rates(logged, simulated), **_errors(displacement(drives, log, who, start))}
    details = {name: {"likelihood": round(x, 4), "weight": WEIGHTS[year][name]} for name, x in likelihoods.items()}
    place = tuple(round(x, 3) for x in scenario.log.xy[start, 0].tolist())
    longest = max(len(rollout.agents.valid) for rollout in rollouts)
    return Score(
        NAME, weighted(likelihoods, WEIGHTS[year]), better="more", series=_along(series, start, longest),
        shows="likelihood of the log", version=VERSION,
        evidence=tuple(Event(x, start, tuple(chosen), place, d) for x, d in {**details, NAME: facts}.items()),
    )  # fmt: skip


def evaluated(scenario: Scenario, start: int | None = None, most: int = 8) -> list[int]:
    """Agents that are evaluated: the ego, and of the road users who are there at the start and move afterwards the
    `most` nearest to it. Sorted. (Waymo's scenes name up to 8 tracks beside the ego; other logs do not.)
    """
    log, start = scenario.log, scenario.start if start is None else start
    road_users = is_kind(log.kind[start], (*VEHICLES, *CYCLES, *WALKERS)) & log.valid[start]
    apart = (log.xy[start:] - log.xy[start]).norm(dim=-1).masked_fill(~log.valid[start:], 0.0)
    moving = torch.nonzero(road_users & (apart.amax(0) >= MOVING))[:, 0]
    moving = moving[moving != 0]
    distance = (log.xy[start, moving] - log.xy[start, 0]).norm(dim=-1)
    return sorted([0, *moving[distance.argsort(stable=True)[:most]].tolist()])


def _along(series: np.ndarray, start: int, steps: int) -> Tensor:
    """The series (N,) of the steps after `start`, over the steps (T,) of a rollout."""
    out = torch.full((steps,), torch.nan)
    out[start + 1 : start + 1 + len(series)] = torch.from_numpy(series[: max(steps - start - 1, 0)]).float()
    return out


def _rates(log: Features, simulated: Features) -> dict[str, float]:
    """Share of the evaluated agents that collide, leave the road, run a red light at least once while the log has
    them; in the rollouts and in the log."""
    names = {
        "collision_rate": "collision_indication", "offroad_rate": "offroad_indication",
        "red_light_rate": "traffic_light_violation",
    }  # fmt: skip
    rates = {}
    for rate, name in names.items():
        rates[rate] = round(float((getattr(simulated, name) & log.there).any(-1).mean()), 4)
        rates[f"log_{rate}"] = round(float((getattr(log, name) & log.there).any(-1).mean()), 4)
    return rates


def _errors(displacements: np.ndarray) -> dict[str, float]:
    """Displacement from the log [m]: mean over rollouts and agents, and of the best rollout."""
    each = np.nanmean(displacements, -1)
    return {"displacement": round(float(each.mean()), 3), "least_displacement": round(float(each.min()), 3)}


def _same_start(rollouts: Sequence[Rollout], scenario: Scenario) -> int:
    if not rollouts:
        raise ValueError(f"{NAME} needs rollouts; the challenge takes 32 of a scenario")
    if other := {(r.scenario_id, r.fingerprint) for r in rollouts} - {(scenario.id, scenario.fingerprint)}:
        raise ValueError(f"{NAME} of {scenario.id} was given rollouts of {', '.join(sorted(x for x, _ in other))}")
    starts = {rollout.start for rollout in rollouts}
    if len(starts) > 1:
        raise ValueError(f"{NAME} was given rollouts that start at different steps: {sorted(starts)}")
    return starts.pop()


def _named(names: Sequence[str], scenario: Scenario, around: list[int]) -> list[int]:
    known = {name: i for i, name in enumerate(scenario.track_ids)}
    wrong = [name for name in names if known.get(name) not in around]
    if wrong or not names:
        raise ValueError(f"{NAME} cannot evaluate {', '.join(wrong) or 'nobody'}: not there at the start")
    return sorted({known[name] for name in names})


def _unfit(scenario: Scenario, start: int, chosen: list[int]) -> str:
    """Why the log is no yardstick; empty if it is."""
    if scenario.steps - start - 1 < 5:
        return f"the log ends {max(scenario.steps - start - 1, 0)} steps after the start; accelerations need 5"
    if not bool(scenario.log.valid[start + 1 :, chosen].any()):
        return "the log does not show how anyone went on from the start"
    if not len(scenario.scene.map.drivable):
        return "the map has no drivable area, so that nobody can be on or off the road"
    return ""
