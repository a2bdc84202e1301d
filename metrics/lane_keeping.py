"""Lane keeping."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from drivesim.roadmap import RoadMap
from drivesim.types import Event, Rollout, Scenario, Score

from .contacts import at_intersection
from .drive import judged_ego, not_judged, only, over_steps, unfit
from .lanes import run_length

VERSION = "1"


def lane_keeping(rollouts: Sequence[Rollout], scenario: Scenario, limit: float = 0.5, duration: float = 2.0) -> Score:
    """0 if the ego is more than `limit` [m] beside a lane's middle for `duration` [s] in a row, else 1 (NAVSIM v2, LK).

    0.5 m and 2.0 s are NAVSIM's (0a380a9); steps at intersections are skipped and neither add nor break the row.
    Differs: the middle is that of the nearest lane that runs along the ego's heading, not of a planner's route; more
    than 4 m from any counts as beside. Series: distance from the middle, left positive [m], NaN where skipped.
    """
    rollout = only(rollouts, "lane_keeping")
    map = scenario.scene.map
    reason = unfit(rollout) or ("" if len(map.lanes) else "the map has no lanes")
    if reason:
        return not_judged("lane_keeping", reason, VERSION)
    ego = judged_ego(rollout)
    skipped = at_intersection(map, ego.xy)
    _, _, lateral = RoadMap.of(map).nearest_lane(ego.xy, ego.yaw)
    beside = torch.isnan(lateral) | (lateral.abs() > limit)
    run, most = run_length(beside, skipped), round(duration / rollout.dt)
    events = []
    if bool((run >= most).any()):
        step = int((run >= most).int().argmax())
        detail = {
            "beside": round(float(lateral[step]), 3),  # [m], left positive
            "seconds": round(int(run.max()) * rollout.dt, 3),
            "rule": f"at most {limit} m beside the lane's middle for {duration} s in a row",
            "source": "NAVSIM 0a380a9, lane keeping",
            "lost": 1.0,
            "kept_by": f"{float(lateral[step].abs()) - limit:.2f} m further {'right' if lateral[step] > 0 else 'left'}",
        }
        place = tuple(round(x, 3) for x in ego.xy[step].tolist())
        events.append(Event("beside_lane", rollout.start + step, (0,), place, detail))
    return Score(
        "lane_keeping", float(not events), better="more",
        series=over_steps(lateral.masked_fill(skipped, torch.nan), rollout),
        shows="distance from the lane's middle, left positive [m]", evidence=tuple(events), version=VERSION,
    )  # fmt: skip
