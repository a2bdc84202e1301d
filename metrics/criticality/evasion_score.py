"""Scores of what is predicted: time to react, and worst-case time to collision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from drivesim.geometry import heading
from drivesim.types import OBJECTS, Agents, Rollout, Scenario, Score, is_kind

from ..drive import not_judged, only, over_steps, unfit
from .evasion import Manoeuvres, evasion
from .exceeding import VERSION, number, share_kept
from .following import situation
from .scores import positive
from .time import worst_time_to_collision as worst_times


def time_to_react(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    bound: float = 0.5,
    full_brake: float = Manoeuvres.full_brake,
    kickdown: float = Manoeuvres.kickdown,
    lateral: float = Manoeuvres.lateral,
    horizon: float = Manoeuvres.horizon,
) -> Score:
    """Share of the steps at which the ego may wait at least `bound` [s] more before it has to react.

    TTR is the latest of time to brake, to kickdown and to steer (Hillenbrand et al. 2006, Tamke et al. 2011), each the
    latest start of that manoeuvre after which the ego, a kinematic bicycle, touches nobody within `horizon` [s], while
    all others keep their velocities. 0.5 s: own choice, a plan of 2 Hz has one chance left. Without a predicted
    collision it is infinite. commonroad-crime 0.4.5 lets the ego start from its planned path and the others drive as
    logged.
    Series: time to react [s], 0 where it is too late, NaN where no collision is predicted.
    """
    name = "time_to_react"
    rollout = only(rollouts, name)
    can = Manoeuvres(full_brake, kickdown, lateral, horizon=horizon)
    positive(name, bound=bound, **asdict(can))
    if reason := unfit(rollout):
        return not_judged(name, reason, VERSION)
    met = situation(rollout, scenario)
    agents, found = met.agents, evasion(met.agents, met.there, rollout.vehicle, can)
    values = found.react

    def explain(t: int) -> dict:
        ways = {"brake": found.brake[t], "kickdown": found.kickdown[t], "steer": found.steer[t]}
        best = max(ways, key=lambda way: float(ways[way]))
        times = {f"time_to_{way}": number(x) if math.isfinite(float(x)) else None for way, x in ways.items()}
        late = not math.isfinite(float(values[t]))
        side = (" to the left" if bool(found.left[t]) else " to the right") if best == "steer" else ""
        when = f"{bound:.2f} s earlier or more" if late else f"{bound - float(values[t]):.2f} s earlier"
        return {
            "value": None if late else number(values[t]), "bound": bound, "unit": "s", "avoidable": not late,
            "time_to_collision": number(found.collision[t]), **times, "full_brake": full_brake, "kickdown": kickdown,
            "lateral": lateral, "horizon": horizon, "kept_by": f"{best}{side} {when}" if values[t] < bound else "",
        }  # fmt: skip

    shown = torch.where(found.who >= 0, values.clamp_min(0), torch.nan)
    if not bool((found.who >= 0).any()):  # never on a collision course
        return Score(
            name, 1.0, better="more", series=over_steps(shown, rollout), shows="time to react [s]", version=VERSION
        )
    return share_kept(
        name, rollout, scenario, agents, found.who, values, values < bound, explain, "time to react [s]",
        f"TTR of {bound} s or more", series=shown, of_all=True,
    )  # fmt: skip


def worst_time_to_collision(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    bound: float = 0.5,
    acceleration: float = 9.81,
) -> Score:
    """Share of the steps with somebody near at which the worst-case time to collision is at least `bound` [s].

    WTTC (Wachenfeld et al. 2016): each box is covered by three discs along its length, everybody may accelerate at up
    to `acceleration` [m/s^2] (theirs: friction 1) in any direction; objects stand still. 0.5 s: own choice, the
    measure is meant to find situations, not to judge them. commonroad-crime 0.4.5 takes one such disc at the centre,
    which misses the ends of a vehicle.
    """
    name = "worst_time_to_collision"
    rollout = only(rollouts, name)
    positive(name, bound=bound, acceleration=acceleration)
    if reason := unfit(rollout):
        return not_judged(name, reason, VERSION)
    met = situation(rollout, scenario)
    agents, (values, who) = met.agents, _worst_times(met.agents, met.there, acceleration)

    def explain(t: int) -> dict:
        ego, other = agents[t, 0], agents[t, who[t]]
        return {
            "value": number(values[t]), "bound": bound, "unit": "s", "acceleration": acceleration,
            "centres_apart": number((other.xy - ego.xy).norm()), "kept_by": "more distance, or closing in more slowly",
        }  # fmt: skip

    return share_kept(
        name, rollout, scenario, agents, who, values, values < bound, explain, "worst-case time to collision [s]",
        f"WTTC of {bound} s or more, all accelerating by up to {acceleration} m/s^2 (Wachenfeld et al. 2016)",
    )  # fmt: skip


def _worst_times(agents: Agents, there: Tensor, acceleration: float) -> tuple[Tensor, Tensor]:
    """Least worst-case time (n,) of all others of agents (n, A), and whose it is (n,); inf and -1 where nobody is.

    Nobody can be met sooner than the circle about its box. So the one whose circle is first is worked out exactly, and
    then all whose circles come before that.
    """
    steps = torch.arange(len(there))
    soonest = _circles(agents[:, :1], agents, acceleration).masked_fill(~there, torch.inf)
    least, first = soonest.min(-1)
    some = torch.isfinite(least)
    exact = torch.full_like(soonest, torch.inf)
    exact[steps[some], first[some]] = _discs(agents[steps[some], 0], agents[steps[some], first[some]], acceleration)
    more = (soonest < exact.amin(-1, keepdim=True)) & torch.isinf(exact) & there
    step, who = torch.nonzero(more, as_tuple=True)
    exact[step, who] = _discs(agents[step, 0], agents[step, who], acceleration)
    values, who = exact.min(-1)
    return values, torch.where(some, who, -1)


def _circles(ego: Agents, other: Agents, acceleration: float) -> Tensor:
    """A time (...) before which the circles about two boxes cannot meet, as if they drove straight at each other."""
    velocity, both = _velocity(other) - ego.velocity, _accelerations(other, acceleration)
    reach = (ego.size[..., :2].norm(dim=-1) + other.size[..., :2].norm(dim=-1)) / 2
    left = ((other.xy - ego.xy).norm(dim=-1) - reach).clamp_min(0)
    speed = velocity.norm(dim=-1)
    return 2 * left / (speed + (speed.square() + 2 * both * left).sqrt()).clamp_min(1e-12)


def _discs(ego: Agents, other: Agents, acceleration: float) -> Tensor:
    """Worst-case time (N,) of boxes, each covered by three discs along its length."""
    velocity, both = _velocity(other) - ego.velocity, _accelerations(other, acceleration)
    thirds = torch.tensor([-1 / 3, 0.0, 1 / 3], dtype=torch.float64)
    places = [x.xy[:, None] + (thirds * x.size[:, :1])[..., None] * heading(x.yaw)[:, None] for x in (ego, other)]
    radii = [torch.hypot(x.size[:, 0] / 6, x.size[:, 1] / 2) for x in (ego, other)]
    offset = places[1][:, None] - places[0][:, :, None]  # (N, 3, 3, 2)
    spread = [x[:, None, None].expand(offset.shape[:3]) for x in (sum(radii), both)]
    times = worst_times(offset, velocity[:, None, None].expand_as(offset), *spread)
    return times.amin((-1, -2)) if len(times) else times.new_zeros(0)


def _velocity(agents: Agents) -> Tensor:
    return agents.velocity.masked_fill(is_kind(agents.kind, OBJECTS)[..., None], 0)


def _accelerations(other: Agents, acceleration: float) -> Tensor:
    """Sum (N,) of what the ego and the other can do; objects can do nothing."""
    return torch.where(is_kind(other.kind, OBJECTS), 1.0, 2.0).double() * acceleration
