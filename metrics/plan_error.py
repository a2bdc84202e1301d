"""How far plans are from what was then driven in the log: ADE, FDE and miss rate of a planner in open loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.geometry import from_frame
from drivesim.types import Event, Plan, Rollout, Scenario, Score

from .displacement import average_displacement, displacement, final_displacement
from .displacement import miss_rate as share_missed
from .drive import kept, logged_ego, not_judged, only, precise, unfit

VERSION = "1"
ON_LOG = 0.5
"""An ego farther off its logged pose plans from elsewhere: its plan cannot be compared with the log [m]."""
SLACK = 0.05
"""By how much a plan may fall short of the horizon [s]."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Distances (F, H) of F plans from the logged path at times (H,), and the steps of the plans."""

    distance: Tensor
    times: np.ndarray
    steps: list[int]


def ade(rollouts: Sequence[Rollout], scenario: Scenario, horizon: float = 3.0, interval: float = 0.5) -> Score:
    """Average displacement error: mean distance of the planned rear axle from the logged one [m].

    Every `interval` [s] up to `horizon` [s], then over all plans that have so much of the log to come; with the
    defaults the L2 of 3 s as ST-P3 and VAD average it on nuScenes. Not valid where a plan ends before the horizon or
    is made more than 0.5 m off the logged pose: it is no open-loop plan then. Series: the error of each plan [m].
    """
    found = _errors(rollouts, scenario, "ade", horizon, interval)
    if isinstance(found, Score):
        return found
    rule = f"mean distance from the log every {interval:g} s up to {horizon:g} s"
    return _mean("ade", average_displacement(found.distance), found, rollouts[0], rule, "L2 of ST-P3 and VAD")


def fde(rollouts: Sequence[Rollout], scenario: Scenario, horizon: float = 3.0) -> Score:
    """Final displacement error: distance of the planned rear axle from the logged one at `horizon` [s], in metres.

    Mean over the plans as in `ade`; with the default the L2 at 3 s as UniAD reports it. Series: the error of each plan
    [m].
    """
    found = _errors(rollouts, scenario, "fde", horizon, horizon)
    if isinstance(found, Score):
        return found
    rule = f"distance from the log at {horizon:g} s"
    return _mean("fde", final_displacement(found.distance), found, rollouts[0], rule, "L2 of UniAD")


def miss_rate(
    rollouts: Sequence[Rollout], scenario: Scenario, horizon: float = 3.0, interval: float = 0.5, limit: float = 2.0
) -> Score:
    """Miss rate: share of the plans that are somewhere more than `limit` [m] from the log up to `horizon` [s].

    Plans as in `ade`; the largest error decides, as in nuPlan, with the 2 m of Argoverse. Series: that error [m].
    """
    found = _errors(rollouts, scenario, "miss_rate", horizon, interval)
    if isinstance(found, Score):
        return found
    worst, rollout = found.distance.amax(-1), rollouts[0]
    why = {
        "rule": f"a plan misses that is anywhere more than {limit:g} m from the log", "lost": round(1 / len(worst), 6),
        "source": "nuPlan e924167, miss rate; 2 m: Argoverse", "kept_by": f"this plan within {limit:g} m of the log",
    }  # fmt: skip
    events = [_event(found, i, rollout, why) for i in (worst > limit).nonzero()[:, 0].tolist()]
    return Score(
        "miss_rate", float(share_missed(found.distance, limit)), better="less", series=_series(worst, found, rollout),
        shows="largest distance of the plan [m]", evidence=tuple(events), version=VERSION,
    )  # fmt: skip


for metric in (ade, fde, miss_rate):
    metric.judges_plans = True  # type: ignore[attr-defined]


def _errors(
    rollouts: Sequence[Rollout], scenario: Scenario, name: str, horizon: float, interval: float
) -> Errors | Score:
    """Errors of all plans that can be compared, or a score that says why there are none."""
    rollout = only(rollouts, name)
    if not 0 < interval <= horizon:
        raise InputError(f"{name}: horizon={horizon:g} s and interval={interval:g} s; 0 < interval <= horizon is meant")
    found = unfit(rollout) or _compared(rollout, scenario, horizon, interval)
    return not_judged(name, found, VERSION) if isinstance(found, str) else found


@kept
def _compared(rollout: Rollout, scenario: Scenario, horizon: float, interval: float) -> Errors | str:
    """Errors of all plans that have the `horizon` [s] of the log to come, or why they cannot be compared."""
    log, vehicle, ahead = logged_ego(scenario), rollout.vehicle, round(horizon / rollout.dt)
    missing = np.concatenate([[0], np.cumsum(~log.valid.numpy())])
    which = [
        i for i, step in enumerate(rollout.plan_steps)
        if step + ahead < len(log.valid) and missing[step + ahead + 1] == missing[step]
    ]  # fmt: skip
    if not which:
        return f"no plan was made with {horizon:g} s of the log still to come"
    steps, plans = [rollout.plan_steps[i] for i in which], [rollout.plans[i] for i in which]
    starts, axle = vehicle.rear_axle(precise(rollout.agents[steps, 0]).poses), vehicle.rear_axle(log.poses)
    if reason := _apart(starts, axle[steps], plans, steps, horizon):
        return reason
    times = interval * np.arange(1, int(horizon / interval + 1e-6) + 1)
    planned = torch.from_numpy(_planned(plans, starts, times))
    places, known = np.array(steps)[:, None] + times / rollout.dt, torch.isfinite(axle).all(-1).numpy()
    driven = np.stack([np.interp(places, np.flatnonzero(known), x) for x in axle[known, :2].numpy().T], -1)
    return Errors(displacement(planned, torch.from_numpy(driven)), times, steps)


def _apart(starts: Tensor, logged: Tensor, plans: Sequence[Plan], steps: Sequence[int], horizon: float) -> str:
    """Why the first plan that cannot be compared with the log cannot; empty if all can. Poses (F, 3) of the rear axle
    in the drive and in the log."""
    for off, plan, step in zip((starts - logged)[:, :2].norm(dim=-1).tolist(), plans, steps, strict=True):
        if off > ON_LOG:
            return f"the ego is {off:.2f} m off its log at step {step}; plans are compared up to {ON_LOG:g} m"
        if (end := float(plan.time[-1])) < horizon - SLACK:
            return f"the plan of step {step} reaches {end:.1f} s, this score needs {horizon:g} s"
    return ""


def _planned(plans: Sequence[Plan], starts: Tensor, times: np.ndarray) -> np.ndarray:
    """Positions (F, H, 2) of plans made at the poses `starts` (F, 3), at `times` (H,): between their poses."""
    lengths = [len(plan.time) for plan in plans]
    poses = from_frame(
        torch.cat([plan.poses for plan in plans]).double(), starts.repeat_interleave(torch.tensor(lengths), 0)
    )
    paths = np.split(poses.numpy(), np.cumsum(lengths)[:-1])
    found = np.empty((len(plans), len(times), 2))
    for k, (plan, path) in enumerate(zip(plans, paths, strict=True)):
        rows = np.concatenate([starts[k : k + 1].numpy(), path])
        known = np.isfinite(rows).all(-1)
        time = np.concatenate([[0.0], plan.time.double().numpy()])[known]
        for axis in (0, 1):
            found[k, :, axis] = np.interp(times, time, rows[known, axis])
    return found


def _mean(name: str, errors: Tensor, found: Errors, rollout: Rollout, rule: str, source: str) -> Score:
    """The mean of errors (F,), with the worst plan as evidence."""
    worst = _event(found, int(errors.argmax()), rollout, {"rule": rule, "source": source})
    return Score(
        name, float(errors.mean()), unit="m", better="less", series=_series(errors, found, rollout),
        shows=f"{rule} [m]", evidence=(worst,), version=VERSION,
    )  # fmt: skip


def _series(errors: Tensor, found: Errors, rollout: Rollout) -> Tensor:
    """Errors (F,) at the steps of their plans (T,)."""
    series = torch.full((len(rollout.agents.valid),), torch.nan)
    series[found.steps] = errors.float()
    return series


def _event(found: Errors, i: int, rollout: Rollout, why: Mapping[str, object]) -> Event:
    """How far plan `i` is from the log."""
    step, far = found.steps[i], found.distance[i]
    detail = {
        **why, "mean": round(float(far.mean()), 3), "final": round(float(far[-1]), 3),
        "largest": round(float(far.max()), 3), "seconds_ahead": round(float(found.times[int(far.argmax())]), 3),
        "plans": len(found.steps),
    }  # fmt: skip
    xy = tuple(round(x, 3) for x in rollout.agents.xy[step, 0].tolist())
    return Event("plan_off_log", step, (0,), xy, detail)
