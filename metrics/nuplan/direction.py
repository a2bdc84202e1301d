"""Driving direction compliance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.types import Event, Map, Rollout, Scenario, Score

from ..drive import judged_ego, not_judged, only, over_steps, unfit
from ..lanes import along, lanes_followed, one_lane

VERSION = "1"
SOURCE = "nuPlan e924167, driving_direction_compliance"


def driving_direction(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    compliance: float = 2.0,
    violation: float = 6.0,
    horizon: float = 1.0,
    form: str = "peer",
) -> Score:
    """1 if the ego moves less than `compliance` [m] against its lanes in every `horizon` [s], 0.5 below `violation`.

    Else 0 (nuPlan e924167, driving_direction_compliance; 2 m, 6 m and 1 s are its constants). The movement is that of
    the box centre along the centre line of the lane that it is in; in no lane there is none. `form`: "peer" gives
    nuPlan's number, which adds one more step than the horizon has and loses the first two steps in every new lane;
    "strict" adds the steps of the horizon and loses none. Series: movement along the lanes in the last `horizon` [m].
    """
    rollout = only(rollouts, "driving_direction")
    if form not in ("peer", "strict"):
        raise InputError(f"driving_direction: form={form!r} is not known; say peer or strict")
    map = scenario.scene.map
    reason = unfit(rollout) or ("" if len(map.lanes) else "the map has no lanes")
    if reason:
        return not_judged("driving_direction", reason, VERSION)
    ego = judged_ego(rollout)
    lanes = one_lane(map, lanes_followed(ego, map, rollout.vehicle), ego.xy, ego.yaw)
    steps = int(horizon / rollout.dt + 1e-6)
    made = (steps_of_peer if form == "peer" else steps_along)(map, lanes, ego.xy)
    moved = window_sums(made, steps + (form == "peer"))
    worst = int(moved.argmin())
    back = max(0.0, -float(moved[worst]))
    value = direction_score(back, compliance, violation)
    rule = {"compliance": compliance, "violation": violation, "horizon": horizon, "form": form}
    detail = {
        "against_lane": round(back, 3),  # [m]
        "lane": int(lanes[worst]),
        "rule": f"less than {compliance} m against the lane in {horizon} s for 1, less than {violation} m for 0.5",
        "source": SOURCE,
        "lost": 1 - value,
        "kept_by": f"{back - compliance:.2f} m less against the lane's direction within {horizon} s",
        **rule,
    }
    place = tuple(round(x, 3) for x in ego.xy[worst].tolist())
    events = (Event("against_lane", rollout.start + worst, (0,), place, detail),) if value < 1 else ()
    return Score(
        "driving_direction", value, better="more", series=over_steps(moved, rollout), evidence=events,
        shows=f"movement along the lanes in the last {horizon:g} s [m]", version=VERSION,
    )  # fmt: skip


def direction_score(back: float, compliance: float = 2.0, violation: float = 6.0) -> float:
    """The score of the largest movement against the lanes [m]."""
    return 1.0 if back < compliance else 0.5 if back < violation else 0.0


def window_sums(made: Tensor, count: int) -> Tensor:
    """Sum (n,) of each step's value (n,) and those before it, `count` in all, fewer at the beginning."""
    total = torch.cat([made.new_zeros(1), made.cumsum(0)])
    last = torch.arange(1, len(made) + 1)
    return total[last] - total[(last - count).clamp_min(0)]


def steps_along(map: Map, lanes: Tensor, xy: Tensor) -> Tensor:
    """How far each step took points (n, 2) along the lane (n,) that they are in at its end [m]; 0 in none."""
    made = torch.zeros(len(xy), dtype=xy.dtype)
    made[1:] = (along(map, lanes[1:], xy[1:]) - along(map, lanes[1:], xy[:-1])).nan_to_num(0)
    return made


def steps_of_peer(map: Map, lanes: Tensor, xy: Tensor) -> Tensor:
    """As nuPlan counts: the first two steps in a lane, other than the drive's first lane, count nothing; back in the
    same lane after steps in none, the way made meanwhile counts at once; so does nothing at arc length 0."""
    places = along(map, lanes, xy).tolist()
    made, lane, place = [], int(lanes[0]), None
    for here, s in zip(lanes.tolist(), places, strict=True):
        if here < 0:
            made.append(0.0)
        elif here == lane:
            made.append(s - place if place is not None and s else 0.0)
            place = s
        else:
            made.append(0.0)
            lane, place = here, None
    return torch.tensor(made, dtype=xy.dtype)
