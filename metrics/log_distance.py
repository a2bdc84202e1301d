"""Distance from the log: how far the ego drives from where it was recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from drivesim.types import Event, Rollout, Scenario, Score

from .displacement import average_displacement, displacement, final_displacement, heading_error
from .drive import judged, logged_ego, not_judged, only, over_steps, unfit

VERSION = "1"


def log_distance(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """Mean distance of the ego's box centre from the logged one at the same step [m] (nuPlan, ego_expert_L2_error).

    Over the steps that the log has. The evidence has the final and the largest distance, the share of steps more than
    4 m off (AlpaSim's max_dist_to_gt) and the mean heading error. Not a score of quality: 0 is the log itself.
    Series: the distance [m].
    """
    rollout = only(rollouts, "log_distance")
    log = logged_ego(scenario, rollout.start)
    there = log.valid & torch.isfinite(log.xy).all(-1)
    count = min(len(rollout.agents.valid) - rollout.start, len(there))
    reason = unfit(rollout) or ("" if there[:count].any() else "the log does not show the ego from the start on")
    if reason:
        return not_judged("log_distance", reason, VERSION)
    ego, there = judged(rollout)[:count, 0], there[:count]
    errors = displacement(ego.xy, log.xy[:count]).masked_fill(~there, torch.nan)
    turn = heading_error(ego.yaw, log.yaw[:count])[there]
    worst = int(errors.nan_to_num(-1).argmax())
    detail = {
        "largest": round(float(errors[worst]), 3),  # [m]
        "final": round(float(final_displacement(errors, there)), 3),
        "heading": round(float(turn.mean()), 4),  # [rad]
        "beyond_4_m": round(float((errors[there] > 4).double().mean()), 4),
    }
    series = torch.full((len(rollout.agents.valid) - rollout.start,), torch.nan, dtype=errors.dtype)
    series[:count] = errors
    place = tuple(round(x, 3) for x in ego.xy[worst].tolist())
    return Score(
        "log_distance", float(average_displacement(errors, there)), unit="m", better="less",
        series=over_steps(series, rollout), shows="distance from the log [m]", version=VERSION,
        evidence=(Event("off_log", rollout.start + worst, (0,), place, detail),),
    )  # fmt: skip
