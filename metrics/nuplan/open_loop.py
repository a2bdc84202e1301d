"""nuPlan's open-loop score (OLS): plans against what the expert then drove."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.geometry import from_frame
from drivesim.types import Agents, Event, Plan, Rollout, Scenario, Score

from ..displacement import displacement, heading_error, miss_rate
from ..drive import judged, not_judged, only, precise, unfit
from .aggregate import weighted

VERSION = "1"
SOURCE = "nuPlan e924167, open-loop weighted average"
MULTIPLIERS = ("planner_miss_rate_within_bound",)
WEIGHTS = {
    "planner_expert_average_l2_error_within_bound": 1.0,
    "planner_expert_final_l2_error_within_bound": 1.0,
    "planner_expert_average_heading_error_within_bound": 2.0,
    "planner_expert_final_heading_error_within_bound": 2.0,
}
BOUNDS = dict(zip(WEIGHTS, (8.0, 8.0, 0.8, 0.8), strict=True))
"""Mean error at which each part is 0 [m, m, rad, rad] (nuPlan)."""
MISS_RATE = 0.3
"""Share of plans that may miss at any horizon (nuPlan)."""


def nuplan_ols(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    horizons: tuple[int, ...] = (3, 5, 8),
    misses: tuple[float, ...] = (6.0, 8.0, 16.0),
    on_log: float = 0.5,
) -> Score:
    """nuPlan's open-loop score of the plans of one drive along the log, 0 to 1 (nuplan-devkit e924167).

    Once a second a plan is compared every second with the logged poses of the box centre, up to 3, 5 and 8 s: average
    and final distance and heading error, each scored max(0, 1 - mean error over plans and horizons / bound), weighted
    1, 1, 2 and 2; times 1 if, at every horizon, at most 30 % of the plans are somewhere more than `misses` [m] away,
    else 0. Differs: moments without 8 s of log to come are left out (nuPlan's log goes on). Not valid where a plan does
    not reach the last horizon (less than a second may lack, as in nuPlan) or is made more than `on_log` [m] off the
    logged pose, because then it is no open-loop plan. Series: distance averaged over horizons, at each plan [m].
    """
    rollout = only(rollouts, "nuplan_ols")
    if len(horizons) != len(misses) or list(horizons) != sorted(set(horizons)) or min(horizons, default=0) < 1:
        raise InputError("nuplan_ols: horizons are whole seconds that increase, with as many misses")
    if reason := unfit(rollout):
        return not_judged("nuplan_ols", reason, VERSION)
    expert, frames = precise(scenario.log[:, 0]), compared(rollout, scenario.log[:, 0], horizons[-1])
    if reason := _unfit(rollout, frames, expert, horizons[-1], on_log):
        return not_judged("nuplan_ols", reason, VERSION)
    pairs = [plan_and_expert(rollout, i, expert, horizons[-1]) for i in frames]
    plans, logged = (torch.stack(x) for x in zip(*pairs, strict=True))  # (F, H, 3)
    distance, turn = displacement(plans, logged), heading_error(plans[..., 2], logged[..., 2])
    values, detail = open_loop_parts(distance, turn, horizons, misses)
    series = torch.full((len(rollout.agents.valid),), torch.nan)
    steps = [rollout.plan_steps[i] for i in frames]
    series[steps] = torch.stack([distance[:, :h].mean(-1) for h in horizons]).mean(0).float()
    return Score(
        "nuplan_ols", weighted(values, WEIGHTS, MULTIPLIERS), better="more", series=series,
        shows="distance of the plan from the log, mean of the horizons [m]",
        evidence=tuple(_events(values, detail, distance, steps, judged(rollout), rollout.start)), version=VERSION,
    )  # fmt: skip


nuplan_ols.judges_plans = True


def open_loop_parts(
    distance: Tensor, turn: Tensor, horizons: Sequence[int] = (3, 5, 8), misses: Sequence[float] = (6.0, 8.0, 16.0)
) -> tuple[dict[str, float], dict[str, float | list[float]]]:
    """The five parts, and the errors behind them, from errors (F, H) of F plans at the seconds 1 to H [m, rad]."""
    mean = lambda x, f: float(torch.stack([f(x[:, :h]) for h in horizons]).mean())  # noqa: E731
    average, final = (lambda x: x.mean(-1)), (lambda x: x[:, -1])
    errors = dict(zip(WEIGHTS, (mean(distance, average), mean(distance, final),
                                mean(turn, average), mean(turn, final)), strict=True))  # fmt: skip
    rates = [float(miss_rate(distance[:, :h], limit)) for h, limit in zip(horizons, misses, strict=True)]
    values = {name: max(0.0, 1 - errors[name] / BOUNDS[name]) for name in WEIGHTS}
    values[MULTIPLIERS[0]] = float(max(rates) <= MISS_RATE)
    return values, {**errors, MULTIPLIERS[0]: rates}


def compared(rollout: Rollout, log: Agents, horizon: int) -> list[int]:
    """Indices of the plans that are compared: one a second, while the log shows the ego `horizon` [s] on."""
    second, chosen = round(1 / rollout.dt), []
    for i, step in enumerate(rollout.plan_steps):
        ahead = log.valid[step : step + horizon * second + 1]
        due = not chosen or step - rollout.plan_steps[chosen[-1]] >= second
        if due and len(ahead) == horizon * second + 1 and bool(ahead.all()):
            chosen.append(i)
    return chosen


def plan_and_expert(rollout: Rollout, i: int, expert: Agents, horizon: int) -> tuple[Tensor, Tensor]:
    """Poses (H, 3) of the box centre that plan `i` wants at 1 to H seconds, and those of the log (T,); world."""
    step, plan, vehicle = rollout.plan_steps[i], rollout.plans[i], rollout.vehicle
    end = float(plan.time[-1])
    times = np.minimum(np.arange(1, horizon + 1, dtype=np.float64), end)
    start = vehicle.rear_axle(precise(rollout.agents[step, 0]).poses)
    ahead = torch.cat([torch.zeros(1, 3, dtype=torch.float64), plan.poses.double()])
    planned = _at(np.concatenate([[0.0], plan.time.double().numpy()]), ahead, times)
    logged = _at((np.arange(len(expert.yaw)) - step) * rollout.dt, expert.poses, times)
    return vehicle.center(from_frame(planned, start)), logged


def _at(time: np.ndarray, poses: Tensor, times: np.ndarray) -> Tensor:
    """Poses (H, 3) at `times` (H,), between those (n, 3) at `time` (n,)."""
    known = torch.isfinite(poses).all(-1).numpy()
    x, y, yaw = poses[known].numpy().T
    columns = [np.interp(times, time[known], column) for column in (x, y, np.unwrap(yaw))]
    return torch.from_numpy(np.stack(columns, -1))


def _unfit(rollout: Rollout, frames: list[int], expert: Agents, horizon: int, on_log: float) -> str:
    if not rollout.plans:
        return "the drive holds no plans"
    if not frames:
        return f"no plan was made with {horizon} s of the log still to come"
    for i in frames:
        step = rollout.plan_steps[i]
        off = float((precise(rollout.agents[step, 0]).xy - expert.xy[step]).norm())
        if off > on_log:
            return f"the ego is {off:.2f} m off its log at step {step}; open loop allows on_log={on_log:g} m"
        if _reach(rollout.plans[i]) <= horizon - 1:
            return f"the plan of step {step} reaches {_reach(rollout.plans[i]):.1f} s, this score needs {horizon} s"
    return ""


def _reach(plan: Plan) -> float:
    return float(plan.time[-1]) + 1e-6


def _events(
    values: Mapping[str, float],
    errors: Mapping[str, float | list[float]],
    distance: Tensor,
    steps: list[int],
    agents: Agents,
    start: int,
) -> list[Event]:
    """One event for each part that lost something, at the plan that was farthest from the log."""
    worst = int(distance.mean(-1).argmax())
    place = tuple(round(x, 3) for x in agents.xy[steps[worst] - start, 0].tolist())
    events = []
    for name, value in values.items():
        if value > 1 - 1e-6 or math.isnan(value):
            continue
        error, miss = errors[name], name in MULTIPLIERS
        bound, unit = (MISS_RATE, "of the plans") if miss else (BOUNDS[name], "m" if "l2" in name else "rad")
        detail = {
            "error_of": name,
            "value": round(value, 6),
            "lost": 1 - value if miss else round(WEIGHTS[name] * (1 - value) / sum(WEIGHTS.values()), 6),
            "error": [round(x, 4) for x in error] if isinstance(error, list) else round(error, 4),
            "plans": len(steps),
            "rule": f"at most {bound} {unit}" if miss else f"1 - error / {bound} {unit}",
            "source": SOURCE,
            "kept_by": f"this plan nearer to the log: {float(distance[worst].mean()):.2f} m off on average",
        }
        events.append(Event("plan_off_log", steps[worst], (0,), place, detail))
    return events
