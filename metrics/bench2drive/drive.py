"""Bench2Drive's driving score of a rollout, as far as a rollout has what it judges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.geometry import arc_length
from drivesim.roadmap import RoadMap
from drivesim.types import OBJECTS, WALKERS, Agents, Event, Map, Rollout, Scenario, Score, is_kind

from ..contacts import Contact, contacts
from ..drive import judged, judged_ego, logged_ego, not_judged, only, over_steps, track_name, unfit
from ..progress import follow
from ..signals import red_line_crossings
from .composition import PENALTIES, driving_score, success

VERSION = "1"
LEAST = 5.0
"""Of a route that can be completed [m]: shorter ones say nothing."""
CLOSE = 1.0
"""A route counts as completed this far before its end [%] (CARLA's leaderboard)."""
NOT_COVERED = "stop signs, scenario time-outs, emergency vehicles, blocked and deviating agents"
"""What needs a scripted leaderboard."""
RULE = "route completion x penalties, Bench2Drive 087f74f, statistics_manager.py"


def bench2drive(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """Driving score, 0 to 100: route completion [%] times a factor per infraction (Bench2Drive 087f74f).

    Route: the briefing's, as far as the log drove it (99 % are all of it). Infractions: whoever the ego
    touches while it moves (person 0.5, vehicle or bicycle 0.6, object 0.65), each red light passed (0.7), the share
    of the way that the centre is off the road or against its lane. Not covered: stop signs, scenario time-outs,
    emergency vehicles, agents blocked or off course, which need a scripted leaderboard. `success` is in the evidence.
    Series: route completion [%].
    """
    rollout = only(rollouts, "bench2drive")
    found = driven_route(rollout, scenario)
    if isinstance(found, str):
        return not_judged("bench2drive", found, VERSION)
    route, length = found
    agents = judged(rollout)
    done = (100 * follow(agents.xy[:, 0], route) / length).clamp(0, 100)
    done = torch.where(done >= 100 - CLOSE, 100.0, done)
    completed = float(done.amax())
    outside, where = outside_lanes(scenario.scene.map, judged_ego(rollout))
    events = [*_collisions(rollout, scenario, agents), *_red_lights(rollout, scenario, agents)]
    counts = {name: sum(e.kind == name for e in events) for name in PENALTIES}
    if outside > 0:
        what = f"{outside:.2f} % of the way outside lanes"
        first = int(where.int().argmax())
        lost = _event("outside_route_lanes", rollout, agents, first, (0,), what, 1 - outside / 100, "keeping to lanes")
        events.append(lost)
    value = driving_score(completed, counts, outside)
    place = tuple(round(x, 3) for x in agents.xy[-1, 0].tolist())
    detail = {
        "route_completion": round(completed, 3), "penalty": round(value / completed, 4) if completed else 1.0,
        "success": success(completed, counts, outside), "not_covered": NOT_COVERED,
        "lost": round(1 - completed / 100, 6), "rule": RULE,
        "kept_by": f"{length * (100 - completed) / 100:.1f} m farther along the route",
    }  # fmt: skip
    events.append(Event("route", rollout.start + len(done) - 1, (0,), place, detail))
    return Score(
        "bench2drive", value, unit="%", better="more", series=over_steps(done, rollout), shows="route completion [%]",
        evidence=tuple(events), version=VERSION,
    )  # fmt: skip


def driven_route(rollout: Rollout, scenario: Scenario) -> tuple[Tensor, float] | str:
    """The briefing's route (R, 2) and how much of it the log drove from the start on [m]; or why a drive cannot be
    judged by it."""
    if reason := unfit(rollout):
        return reason
    route, logged = scenario.scene.briefing.route.double(), logged_ego(scenario, rollout.start)
    there = logged.valid & torch.isfinite(logged.xy).all(-1)
    if len(route) < 2 or float(arc_length(route)[-1]) <= 0:
        return "the briefing has no route"
    if not bool(there.any()):
        return "the log does not show how far the route goes"
    length = float(follow(logged.xy[there], route).amax())
    if length < LEAST:
        return f"the log drives {length:.1f} m of the route, {LEAST:g} m are needed"
    return route, length


def outside_lanes(map: Map, ego: Agents) -> tuple[float, Tensor]:
    """Share [%] of the way that the centre of the ego (n,) is off the road or against its lane, and where (n,).

    0 on a map without lanes and drivable area."""
    road = RoadMap.of(map)
    held = road.lanes_at(ego.xy).any(-1)
    out = torch.zeros_like(held)
    if len(map.drivable):
        out |= ~road.inside(ego.xy) & ~held
    if len(map.lanes):
        along, _, _ = road.nearest_lane(ego.xy, ego.yaw, turn=torch.pi / 2)
        out |= held & (along < 0)
    step = (ego.xy[1:] - ego.xy[:-1]).norm(dim=-1)
    total = float(step.sum())
    return (100 * float(step[out[1:]].sum()) / total if total > 1e-6 else 0.0), out


def _collisions(rollout: Rollout, scenario: Scenario, agents: Agents) -> list[Event]:
    met = contacts(agents, scenario.scene.map, rollout.vehicle, ignore_start=True)
    found = []
    for i in met.step.argsort(stable=True).tolist():
        if met.step[i] < 1 or int(met.kind[i]) == Contact.STOPPED_EGO:
            continue
        kind = met.track[i].kind
        name = "collisions_pedestrian" if bool(is_kind(kind, WALKERS)) else "collisions_vehicle"
        name = "collisions_layout" if bool(is_kind(kind, OBJECTS)) else name
        event = _event(name, rollout, agents, int(met.step[i]), (0, i), name, PENALTIES[name], "no contact")
        found.append(Event(event.kind, event.step, event.agents, event.xy,
                           {"track": track_name(scenario.track_ids, i), **event.detail}))  # fmt: skip
    return found


def _red_lights(rollout: Rollout, scenario: Scenario, agents: Agents) -> list[Event]:
    signals = scenario.scene.signals
    if not len(signals.lane):
        return []
    crossed = red_line_crossings(judged_ego(rollout), scenario.scene.map, signals, rollout.start)
    return [
        _event("red_light", rollout, agents, step, (0,), "red_light", PENALTIES["red_light"], "stopping at the line")
        for step in crossed.any(-1).nonzero()[:, 0].tolist()
    ]


def _event(
    kind: str, rollout: Rollout, agents: Agents, step: int, who: tuple[int, ...], what: str, factor: float, kept: str
) -> Event:
    place = tuple(round(x, 3) for x in agents.xy[step, who[-1]].tolist())
    detail = {
        "factor": round(factor, 4), "lost": round(1 - factor, 6),
        "rule": f"{what}: x {factor:g} (Bench2Drive 087f74f)", "kept_by": kept,
    }  # fmt: skip
    return Event(kind, rollout.start + step, who, place, detail)
