"""Waymax's metrics of one drive's ego. Each has its value per step as the series; how steps make one number is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import arc_length
from drivesim.loading.paths import resample, resample_all
from drivesim.roadmap import RoadMap
from drivesim.types import Agents, Event, Map, Rollout, Scenario, Score

from ..contacts import corners, touching
from ..drive import judged, judged_ego, logged_ego, not_judged, only, over_steps, track_name, unfit
from . import primitives
from .primitives import FARTHER_THAN_OFF_ROUTE, FROM_ROUTE, MAX_ACCELERATION, MAX_CURVATURE, WRONG_WAY

VERSION = "1"
SPACING = 0.5
"""Between the points of ways, which are measured to as points [m]; Waymax's road graph has one about every 0.5 m."""
SAME = 1.5
"""A lane whose points lie within this of the route is on it [m]."""


def overlap(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """1 if the ego's box ever overlaps another box, else 0 (Waymax 48b33d7, overlap): whoever's fault it is, from the
    start on, touching included."""
    rollout = only(rollouts, "waymax_overlap")
    if reason := unfit(rollout):
        return not_judged("waymax_overlap", reason, VERSION)
    agents = judged(rollout)
    hit = touching(agents)
    at = hit.any(-1)
    events = ()
    if bool(at.any()):
        step = int(at.int().argmax())
        who = int(hit[step].int().argmax())
        told = {"track": track_name(scenario.track_ids, who), "steps": int(at.sum()), "lost": 1.0}
        rule = ("boxes overlap: 1 (Waymax, overlap)", "no contact")
        events = (_event("overlap", rollout, agents[..., 0], step, rule, agents=(0, who), **told),)
    return _score("waymax_overlap", at.double(), at.double().amax(), rollout, "overlap", events)


def off_road(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """1 if a corner of the ego is ever off the road, else 0 (Waymax 48b33d7, offroad). Series: signed distance of the
    worst corner to the road's edge, positive off the road [m].

    Differs: the edge is the border of our drivable area, measured to its segments; Waymax measures to the nearest
    point of a road edge (`road_edge_distance`)."""
    rollout = only(rollouts, "waymax_off_road")
    reason = unfit(rollout) or ("" if len(scenario.scene.map.drivable) else "the map has no drivable area")
    if reason:
        return not_judged("waymax_off_road", reason, VERSION)
    ego = judged_ego(rollout)
    distance = -RoadMap.of(scenario.scene.map).border_distance(corners(ego)).amin(-1)
    rule = ("signed distance of a corner > 0: 1 (Waymax, offroad)", "{value:.2f} m farther in")
    events = _worst("off_road", rollout, ego, distance, distance > 0, rule, lost=1.0)
    return _score("waymax_off_road", distance, (distance > 0).any().double(), rollout, "off the road [m]", events)


def wrong_way(rollouts: Sequence[Rollout], scenario: Scenario, limit: float = WRONG_WAY) -> Score:
    """The greatest distance to the nearest lane that the ego could take from where it begins, where that is `limit`
    [m] or more, else 0 (Waymax 48b33d7, wrong way). Lanes: those under the start, and all that they lead to or that
    lie beside those in the same direction."""
    rollout = only(rollouts, "waymax_wrong_way")
    ways = unfit(rollout) or _reachable(scenario.scene.map, judged_ego(rollout)[0])
    if isinstance(ways, str):
        return not_judged("waymax_wrong_way", ways, VERSION)
    ego = judged_ego(rollout)
    map = scenario.scene.map
    value = primitives.wrong_way_distance(ego.xy, _points(map, _close(map, ways, ego.xy, limit)), limit)
    if bool((value > 0).any()):  # then the nearest may be any of them
        value = primitives.wrong_way_distance(ego.xy, _points(map, ways), limit)
    rule = (f"{limit} m or more from every lane that can be reached (Waymax, WRONG_WAY_THRES)", "{over:.2f} m nearer")
    events = _worst("wrong_way", rollout, ego, value, value > 0, rule, limit)
    return _score("waymax_wrong_way", value, value.amax(), rollout, "from a legal lane [m]", events, unit="m")


def off_route(
    rollouts: Sequence[Rollout], scenario: Scenario, limit: float = FROM_ROUTE, margin: float = FARTHER_THAN_OFF_ROUTE
) -> Score:
    """The greatest distance to the route where the ego is off it, else 0 (Waymax 48b33d7, off route): farther than
    `limit` [m], or `margin` [m] farther from it than from a lane that could be taken and is not on it."""
    rollout = only(rollouts, "waymax_off_route")
    route = unfit(rollout) or _route(scenario)
    if isinstance(route, str):
        return not_judged("waymax_off_route", route, VERSION)
    ego = judged_ego(rollout)
    near = bool((primitives.nearest_point(ego.xy, route) <= min(limit, margin)).all())  # no other way can be nearer
    ways = [] if near else _reachable(scenario.scene.map, ego[0])
    others = _points(scenario.scene.map, [] if isinstance(ways, str) else _off(scenario.scene.map, ways, route))
    value = primitives.off_route_distance(ego.xy, route, others, limit, margin)
    rule = (f"more than {limit} m from the route, or {margin} m farther than from another way (Waymax, off route)",
            "back on the route, {value:.2f} m away")  # fmt: skip
    events = _worst("off_route", rollout, ego, value, value > 0, rule)
    return _score("waymax_off_route", value, value.amax(), rollout, "off the route [m]", events, unit="m")


def progression(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """Where along the route the ego is at the end, 0 at the log's first place and 1 at its last; more is possible
    (Waymax 48b33d7, progression). Measured by the nearest points of the briefing's route."""
    rollout = only(rollouts, "waymax_progression")
    route = unfit(rollout) or _route(scenario)
    logged = logged_ego(scenario)
    logged = logged.xy[logged.valid & torch.isfinite(logged.xy).all(-1)]
    if not isinstance(route, str) and not len(logged):
        route = "the log does not show how the ego drove"
    if isinstance(route, str):
        return not_judged("waymax_progression", route, VERSION)
    ego = judged_ego(rollout)
    value = primitives.progression(ego.xy, route, logged[0], logged[-1])
    events = ()
    if float(value[-1]) < 1:
        rule = ("place along the route between the log's first and last (Waymax, progression)", "driving on")
        end = float(value[-1])
        told = {"value": round(end, 4), "lost": round(min(1 - end, 1.0), 6)}
        events = (_event("progression", rollout, ego, len(value) - 1, rule, **told),)
    return _score("waymax_progression", value, value[-1], rollout, "share of the logged way", events,
                  better="more")  # fmt: skip


def log_divergence(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """Mean distance between the ego and its log at the same step [m] (Waymax 48b33d7, log divergence), over the steps
    that the log has."""
    rollout = only(rollouts, "waymax_log_divergence")
    if reason := unfit(rollout):
        return not_judged("waymax_log_divergence", reason, VERSION)
    ego, log = judged_ego(rollout), logged_ego(scenario, rollout.start)
    count = min(len(ego.yaw), len(log.yaw))
    there = log.valid[:count] & torch.isfinite(log.xy[:count]).all(-1)
    if not bool(there.any()):
        return not_judged("waymax_log_divergence", "the log does not show how the ego drove on", VERSION)
    value = torch.full((len(ego.yaw),), torch.nan, dtype=torch.float64)
    value[:count] = (ego.xy[:count] - log.xy[:count]).norm(dim=-1).masked_fill(~there, torch.nan)
    rule = ("distance to the log at the same step (Waymax, log divergence)", "staying with the log")
    events = _worst("log_divergence", rollout, ego, value.nan_to_num(0), value > 0, rule)
    return _score("waymax_log_divergence", value, value.nanmean(), rollout, "from the log [m]", events, unit="m")


def infeasibility(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    acceleration: float = MAX_ACCELERATION,
    curvature: float = MAX_CURVATURE,
) -> Score:
    """1 if a step ever needs more acceleration [m/s^2] or curvature [1/m] than a car has, else 0 (Waymax 48b33d7,
    kinematic infeasibility): by the inverse of its bicycle, from velocities of the box centre, 0.001 allowed for."""
    rollout = only(rollouts, "waymax_infeasibility")
    if reason := unfit(rollout, steps=2):
        return not_judged("waymax_infeasibility", reason, VERSION)
    ego = judged_ego(rollout)
    a, k = primitives.bicycle_inverse(ego.yaw, ego.velocity, rollout.dt)
    bad = torch.cat([torch.zeros(1, dtype=torch.bool),
                     primitives.infeasible(ego.yaw, ego.velocity, rollout.dt, acceleration, curvature)])  # fmt: skip
    events = ()
    if bool(bad.any()):
        step = int(bad.int().argmax())
        rule = (f"|a| > {acceleration} m/s^2 or |curvature| > {curvature} 1/m (Waymax, max_acc, max_steering)",
                "both within their bounds")  # fmt: skip
        told = {"acceleration": round(float(a[step - 1]), 3), "curvature": round(float(k[step - 1]), 4)}
        events = (_event("infeasible", rollout, ego, step, rule, steps=int(bad.sum()), lost=1.0, **told),)
    return _score("waymax_infeasibility", bad.double(), bad.any().double(), rollout, "infeasible", events)


def _score(
    name: str,
    series: Tensor,
    value: Tensor,
    rollout: Rollout,
    shows: str,
    events: tuple[Event, ...],
    unit: str = "",
    better: Literal["more", "less"] = "less",
) -> Score:
    return Score(
        name, float(value), unit=unit, better=better, series=over_steps(series, rollout), shows=shows,
        evidence=events, version=VERSION,
    )  # fmt: skip


def _event(
    kind: str,
    rollout: Rollout,
    ego: Agents,
    step: int,
    rule: tuple[str, str],
    agents: tuple[int, ...] = (0,),
    **told: object,
) -> Event:
    place = tuple(round(x, 3) for x in ego.xy[step].tolist()) if ego.xy.dim() == 2 else (0.0, 0.0)
    return Event(kind, rollout.start + step, agents, place, {**told, "rule": rule[0], "kept_by": rule[1]})


def _worst(
    kind: str,
    rollout: Rollout,
    ego: Agents,
    value: Tensor,
    where: Tensor,
    rule: tuple[str, str],
    limit: float = 0.0,
    lost: float = 0.0,
) -> tuple[Event, ...]:
    """The worst step of a quantity, if it is anything anywhere; `lost`: points, where the score has any."""
    if not bool(where.any()):
        return ()
    step = int(value.argmax())
    worst = float(value[step])
    told = {
        "value": round(worst, 3),
        "first_step": rollout.start + int(where.int().argmax()),
        "steps": int(where.sum()),
        "lost": lost,
    }
    kept = rule[1].format(value=worst, over=worst - limit)
    return (_event(kind, rollout, ego, step, (rule[0], kept), **told),)


def _route(scenario: Scenario) -> Tensor | str:
    """Points of the briefing's route (N, 2), or why there are none."""
    route = scenario.scene.briefing.route.double()
    if len(route) < 2 or float(arc_length(route)[-1]) <= 0:
        return "the briefing has no route"
    return torch.from_numpy(resample(route[:, :2].numpy(), SPACING))


def _reachable(map: Map, ego: Agents) -> list[int] | str:
    """Lanes that the ego () could take from where it is, or why there are none."""
    road = RoadMap.of(map)
    seen = road.lanes_at(ego.xy[None])[0].nonzero()[:, 0].tolist()
    if not seen:
        nearest = int(road.nearest_lane(ego.xy[None], ego.yaw[None])[0])
        seen = [nearest] if nearest >= 0 else []
    if not seen:
        return "the ego does not begin on a lane" if len(map.lanes) else "the map has no lanes"
    found, ahead = set(seen), list(seen)
    sides: tuple[Callable[[int], int | None], ...] = (road.left, road.right)
    while ahead:
        lane = ahead.pop()
        beside = [side(lane) for side in sides]
        new = {x for x in (*road.successors(lane), *beside) if x is not None} - found
        found |= new
        ahead += sorted(new)
    return sorted(found)


def _off(map: Map, lanes: list[int], route: Tensor) -> list[int]:
    """Those of some lanes that are not on the route: half their points or more are farther than SAME from it."""
    if not lanes:
        return []
    points, owner = _owned(map, lanes)
    away = (primitives.nearest_point(points, route) > SAME).double()
    mean = torch.bincount(owner, away, len(lanes)) / torch.bincount(owner, minlength=len(lanes)).clamp_min(1)
    return [lane for lane, share in zip(lanes, mean.tolist(), strict=True) if share >= 0.5]


def _points(map: Map, lanes: list[int]) -> Tensor:
    """Points (N, 2) of centre lines."""
    return _owned(map, lanes)[0] if lanes else torch.zeros(0, 2, dtype=torch.float64)


def _close(map: Map, lanes: list[int], xy: Tensor, reach: float) -> list[int]:
    """Those of some lanes that may come within `reach` [m] of points (n, 2), by the rectangles about both."""
    points, starts = map.lanes.center.points[:, :2].double().numpy(), map.lanes.center.offsets[:-1].numpy()
    above = np.maximum.reduceat(points, starts) >= (xy.amin(0) - reach).numpy()
    below = np.minimum.reduceat(points, starts) <= (xy.amax(0) + reach).numpy()
    near = (above & below).all(-1).tolist()
    return [lane for lane in lanes if near[lane]]


def _owned(map: Map, lanes: list[int]) -> tuple[Tensor, Tensor]:
    """Points (N, 2) of centre lines, and which of `lanes` each is of (N,)."""
    points, owner = resample_all([map.lanes.center.line(i)[:, :2].double().numpy() for i in lanes], SPACING)
    return torch.from_numpy(points), torch.from_numpy(owner)
