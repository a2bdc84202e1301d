"""Score of Responsibility-Sensitive Safety."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from drivesim.errors import InputError
from drivesim.roadmap import RoadMap
from drivesim.struct import Struct, tensor
from drivesim.types import Agents, Map, Rollout, Scenario, Score

from ..drive import not_judged, only, unfit
from .exceeding import VERSION, number, share_kept
from .following import Situation, situation
from .rss import Response, Rss, lateral, opposite_direction, proper_response, same_direction

IN_LANE = 2.0
"""The ego is in a lane of its direction if a centre line lies within this [m], half a wide lane. Own choice."""


class Pairs(Struct):
    """The ego with each other (n, A) on the ego's path. NaN and False where a pair is none of the ego's business."""

    judged: Tensor = tensor()  # bool: ahead or beside, within sight of the path
    gap: Tensor = tensor()  # bumper to bumper along the path, 0 beside each other [m]
    needed: Tensor = tensor()  # safe distance along the path [m]
    lateral_gap: Tensor = tensor()  # side to side, 0 one behind the other [m]
    lateral_needed: Tensor = tensor()  # safe distance sideways [m]
    opposite: Tensor = tensor()  # bool: it comes towards the ego
    left: Tensor = tensor()  # bool: it is to the left

    @property
    def share(self) -> Tensor:
        """How much of a safe distance there is (n, A), in the better of both directions; safe above 1."""
        part = torch.maximum(_part(self.gap, self.needed), _part(self.lateral_gap, self.lateral_needed))
        return torch.where(self.judged, part, torch.inf)


def rss(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    response: float = Rss.response,
    other_response: float = Rss.other_response,
    accelerate: float = Rss.accelerate,
    brake_min: float = Rss.brake_min,
    brake_max: float = Rss.brake_max,
    brake_min_correct: float = Rss.brake_min_correct,
    lateral_accelerate: float = Rss.lateral_accelerate,
    lateral_brake: float = Rss.lateral_brake,
    margin: float = Rss.margin,
    speed_limit: float = math.inf,
) -> Score:
    """Share of the steps with somebody ahead or beside at which the ego is in no dangerous situation (RSS-DS).

    Dangerous is who is neither far enough along the ego's path nor sideways (arXiv 1708.06374; parameters: see `Rss`).
    Who drives behind the ego must keep the distance himself and does not count. Who comes towards the ego is opposite,
    and the ego in its right if a lane of its direction is under it. Evidence: each dangerous stretch with both
    distances, the response that RSS asks for and whether the ego gave it. Series: share of the safe distance that there
    is, above 1 is safe. Intersections and unstructured traffic follow the same two distances, on the ego's path.
    """
    rollout = only(rollouts, "rss")
    rules = Rss(
        response, other_response, accelerate, brake_min, brake_max, brake_min_correct, lateral_accelerate,
        lateral_brake, margin, speed_limit,
    )  # fmt: skip
    check(rules)
    if reason := unfit(rollout):
        return not_judged("rss", reason, VERSION)
    met = situation(rollout, scenario)
    found = pairs(met, scenario.scene.map, rules)
    values, who = found.share.min(-1)
    who = torch.where(found.judged.any(-1), who, -1)
    safe, aside = found.gap > found.needed, found.lateral_gap > found.lateral_needed
    asked = proper_response((safe | ~found.judged).T, (aside | ~found.judged).T, rollout.dt, rules)

    def explain(t: int) -> dict:
        return {"value": number(values[t]), **_explain(found, met, asked, t, int(who[t]), rollout.dt, rules)}

    return share_kept(
        "rss", rollout, scenario, met.agents, who, values, asked.dangerous.any(0), explain,
        "share of the safe distance", "a safe distance along or across (RSS, arXiv 1708.06374)",
    )  # fmt: skip


def pairs(met: Situation, map: Map, rules: Rss) -> Pairs:
    """Distances and safe distances of the ego to everybody else, on the ego's path."""
    on, ego = met.on, met.on.map(lambda x: x[:, :1])
    ahead = on.s - on.half_length - ego.s - ego.half_length
    behind = ego.s - ego.half_length - on.s - on.half_length
    judged = met.there & torch.isfinite(on.d) & (behind <= 0)
    opposite, left = on.speed < 0, on.d >= ego.d
    same = same_direction(ego.speed, on.speed, rules)
    correct = ego_in_lane(met.agents[:, 0], map)[:, None]
    towards = torch.where(
        correct,
        opposite_direction(ego.speed, -on.speed, rules),
        opposite_direction(-on.speed, ego.speed, rules, rules.other_response, rules.response),
    )
    aside = torch.where(
        left,
        lateral(on.aside, ego.aside, rules, rules.other_response, rules.response),
        lateral(ego.aside, on.aside, rules, rules.response, rules.other_response),
    )
    between = ((on.d - ego.d).abs() - on.half_width - ego.half_width).clamp_min(0)
    return Pairs(judged, ahead.clamp_min(0), torch.where(opposite, towards, same), between, aside, opposite, left)


def ego_in_lane(ego: Agents, map: Map) -> Tensor:
    """Whether the ego (n,) is in a lane that leads its way; everywhere on a map without lanes."""
    if not len(map.lanes):
        return torch.ones_like(ego.valid)
    return RoadMap.of(map).nearest_lane(ego.xy, ego.yaw, reach=IN_LANE)[0] >= 0


def check(rules: Rss) -> None:
    """InputError for parameters that make no sense."""
    for name, value in asdict(rules).items():
        if not value >= 0 or (value == 0 and "brake" in name):
            raise InputError(f"rss: {name}={value} must be {'above 0' if 'brake' in name else '0 or more'}")
    if rules.brake_min > rules.brake_max:
        raise InputError(f"rss: brake_min={rules.brake_min} is more than brake_max={rules.brake_max}: swap them")


def _part(gap: Tensor, needed: Tensor) -> Tensor:
    """How much of a needed distance there is; without a need, anything is enough and nothing is just not."""
    free = torch.where(gap > 0, torch.inf, 1.0)
    return torch.where(needed > 0, gap / torch.where(needed > 0, needed, 1.0), free)


def _explain(found: Pairs, met: Situation, asked: Response, t: int, who: int, dt: float, rules: Rss) -> dict:
    pair = found[t, who]
    detail = {
        "gap": number(pair.gap), "safe_distance": number(pair.needed), "lateral_gap": number(pair.lateral_gap),
        "safe_lateral_distance": number(pair.lateral_needed), "direction": "opposite" if pair.opposite else "same",
        "side": "left" if pair.left else "right", "rules": asdict(rules),
    }  # fmt: skip
    if not asked.dangerous[who, t]:
        return detail
    more, wider = float(pair.needed - pair.gap), float(pair.lateral_needed - pair.lateral_gap)
    away = "right" if pair.left else "left"
    stretch = _stretch(asked.dangerous[who], t)
    along, aside = bool(asked.longitudinal[who, t]), bool(asked.lateral[who, t])
    kept = []
    if along:
        late = asked.most_acceleration[who, stretch] < 0
        ego = met.on.acceleration[stretch, 0], met.on.speed[stretch, 0]
        kept.append(bool(((ego[0] <= -rules.brake_min) | (ego[1] <= 0.05))[late].all()))
    if aside:
        late = asked.most_lateral[who, stretch] < 0
        drift = met.on.aside[stretch, 0] * (1 if pair.left else -1)
        kept.append(bool(((drift <= 0.05) | (_falling(drift, dt) >= rules.lateral_brake))[late].all()))
    return {
        **detail,
        "response": [*["brake"] * along, *["stop drifting " + ("left" if pair.left else "right")] * aside],
        "responded": all(kept),
        "since_step_of_danger": int(t - stretch.start),
        "kept_by": f"{more:.2f} m more distance, or {wider:.2f} m further {away}",
    }


def _stretch(mask: Tensor, t: int) -> slice:
    """The run of True in a mask (n,) that holds `t`."""
    before, after = (~mask[:t]).nonzero(), (~mask[t:]).nonzero()
    return slice(int(before[-1]) + 1 if len(before) else 0, t + int(after[0]) if len(after) else len(mask))


def _falling(speed: Tensor, dt: float) -> Tensor:
    """How fast a speed (n,) falls [m/s^2]."""
    return -torch.gradient(speed, spacing=dt)[0] if len(speed) > 1 else torch.zeros_like(speed)
