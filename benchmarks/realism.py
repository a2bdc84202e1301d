"""Realism of traffic on real scenes: `python benchmarks/realism.py --data DIR [--rollouts 32] [--scenes N]`

Drives every scene with each behaviour of the traffic and each driver of the ego, and prints Waymo's sim agents meta
metric with its parts (metrics/realism), averaged over the scenes as the challenge does; the log against itself is the
most that can be reached. `--data` is a root of any format. A drive without draws is made once and counts as all of
its rollouts: it would be the same each time.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import drivesim
from drivesim import parts
from drivesim.catalog import part_of
from drivesim.config import part
from drivesim.errors import NotDrivable
from drivesim.geometry import arc_length, heading, to_frame, wrap_angle
from drivesim.memory.history import History
from drivesim.types import (
    Action,
    Agents,
    Body,
    Briefing,
    Cause,
    Observation,
    Plan,
    Rollout,
    Scenario,
    Scene,
    Score,
    State,
    Vehicle,
)
from metrics.realism import WEIGHTS, realism

SHORT = {
    "linear_speed": "speed", "linear_acceleration": "accel", "angular_speed": "turn", "angular_acceleration": "turn'",
    "distance_to_nearest_object": "object", "collision_indication": "collis", "time_to_collision": "ttc",
    "distance_to_road_edge": "edge", "offroad_indication": "offroad", "traffic_light_violation": "lights",
}  # fmt: skip


@dataclass(frozen=True)
class Straight:
    """A body that keeps velocity and heading whatever it is told; command (..., A, 1) means nothing."""

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        return agents.replace(xy=agents.xy + dt * agents.velocity), body


@dataclass(frozen=True)
class ConstantVelocity:
    """Everybody goes on as at the start: the lower bound of the field."""

    body: Straight = field(default_factory=Straight)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        return state

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        decides = state.agents.valid.clone()
        decides[..., 0] = False
        return Action(torch.zeros(*decides.shape, 1), decides), state


@dataclass
class PerturbedLog:
    """Drives the logged path, but faster or slower and to one side of it, by draws from `seed`.

    The share of the logged speed is normal(1, `pace`), the shift normal(0, `aside`) [m], both within two deviations;
    they set in over `ease` [s].
    """

    seed: int
    pace: float = 0.15
    aside: float = 0.4
    ease: float = 3.0  # [s]
    horizon: float = 4.0  # [s]
    period: float = 0.1
    sensors: tuple[str, ...] = ()
    privileged: bool = True
    oracle: bool = True

    def reset(self, briefing: Briefing) -> None:
        draws = np.random.default_rng(self.seed).standard_normal(2).clip(-2, 2)
        self._pace, self._shift = float(1 + self.pace * draws[0]), float(self.aside * draws[1])
        self._dt, self._logged = briefing.dt, None

    def plan(self, observation: Observation) -> Plan:
        world = observation.world
        assert world is not None and world.future is not None
        if self._logged is None:
            self._begin(world.ego_pose, world.future, observation.step)
        ahead = torch.arange(1, round(self.horizon / self._dt) + 1)
        steps = observation.step - self._first + ahead
        place, yaw = self._at(self._travelled(steps))
        set_in = (steps * self._dt / self.ease).clamp_max(1)
        left = torch.stack([-torch.sin(yaw), torch.cos(yaw)], -1)
        place = place + (self._shift * set_in**2 * (3 - 2 * set_in))[:, None] * left
        return Plan(to_frame(torch.cat([place, yaw[:, None]], -1), world.ego_pose), ahead * self._dt)

    def _begin(self, pose: Tensor, future: Tensor, step: int) -> None:
        logged = torch.cat([pose[None], future])
        self._logged = logged[torch.isfinite(logged).all(-1)]
        self._first, self._length = step, arc_length(self._logged[:, :2])
        set_in = (torch.arange(1, len(self._length)) * self._dt / self.ease).clamp_max(1)
        moves = self._length.diff() * (1 + (self._pace - 1) * set_in)
        self._driven = torch.cat([torch.zeros(1), moves.cumsum(0)])

    def _travelled(self, steps: Tensor) -> Tensor:
        """Metres along the logged path at `steps` after the first plan; the last speed goes on."""
        last = len(self._driven) - 1
        speed = self._driven[last] - self._driven[max(last - 1, 0)]
        return self._driven[steps.clamp_max(last)] + (steps - last).clamp_min(0) * speed

    def _at(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Place and heading on the logged path, straight on after its end."""
        length, logged = self._length, self._logged
        if len(logged) < 2 or float(length[-1]) <= 0:
            return logged[:1, :2] + s[:, None] * heading(logged[:1, 2]), logged[:1, 2].expand(len(s))
        i = (torch.searchsorted(length, s.contiguous(), right=True) - 1).clamp(0, len(length) - 2)
        share = ((s - length[i]) / (length[i + 1] - length[i]).clamp_min(1e-6)).clamp(0, 1)
        yaw = logged[i, 2] + share * wrap_angle(logged[i + 1, 2] - logged[i, 2])
        place = logged[i, :2] + share[:, None] * (logged[i + 1, :2] - logged[i, :2])
        return place + (s - length[-1]).clamp_min(0)[:, None] * heading(yaw), yaw


EGOS = {
    "log": (lambda seed: drivesim.planner("expert"), False),
    "idm": (lambda seed: drivesim.planner("idm"), False),
    "perturbed log": (PerturbedLog, True),
}
"""Who drives the ego, from a seed, and whether it draws."""


def behaviours() -> dict:
    """Who drives the others, and whether it draws; those of the library that are there."""
    known = {
        "replay": (lambda: part("behavior", "replay"), False),
        "mixed": (lambda: part("behavior", "mixed"), True),
        "idm": (lambda: part("behavior", "idm"), True),
        "constant velocity": (ConstantVelocity, False),
    }
    there = {*parts.choices("behavior"), "constant velocity"}
    return {name: x for name, x in known.items() if name in there}


def drives(scenario: Scenario, ego: str, behaviour: tuple, count: int) -> list[Rollout]:
    """`count` rollouts with seeds 0, 1, ..."""
    driver, ego_draws = EGOS[ego]
    traffic, traffic_draws = behaviour
    once = not (ego_draws or traffic_draws)
    seeds = range(1 if once else count)
    rollouts = [drivesim.simulate(scenario, driver(seed), behavior=traffic(), seed=seed) for seed in seeds]
    return rollouts * count if once else rollouts


def logged(scenario: Scenario, count: int) -> list[Rollout]:
    """The log as if it had been driven."""
    zero, briefing = torch.zeros_like(scenario.log.yaw), scenario.scene.briefing
    rollout = Rollout(
        scenario.id, scenario.fingerprint, 0, scenario.start, briefing.dt, scenario.log, Body(zero, zero), (), (),
        briefing.vehicle, Cause.END_OF_LOG,
    )  # fmt: skip
    return [rollout] * count


def row(scores: list[Score]) -> str:
    """Means over the scenes: meta metric, rates, displacement, parts."""
    facts = [score.evidence[-1].detail for score in scores]
    mean = lambda name: statistics.fmean(x[name] for x in facts)  # noqa: E731
    cells = [f"{statistics.fmean(score.value for score in scores):.4f}", f"{mean('displacement'):5.2f}"]
    cells += [f"{100 * mean(name):5.1f}" for name in ("collision_rate", "offroad_rate", "red_light_rate")]
    for name in SHORT:
        values = [e.detail["likelihood"] for score in scores for e in score.evidence[:-1] if e.kind == name]
        cells.append(f"{np.nanmean(values):6.3f}".rjust(len(SHORT[name])))
    return " ".join(cells)


def scenes(data: str, most: int) -> list[Scenario]:
    """Those that can be driven, at most `most` of them (0 for all), spread evenly over the root."""
    reader = parts.build(part_of(None, data))
    ids, found = reader.ids(), []
    for id in ids[:: max(len(ids) // most, 1)][:most] if most else ids:
        try:
            found.append(reader.load(id))
        except NotDrivable as reason:
            print(f"left out {id}: {reason}")
    return found


def judge(scenario: Scenario, traffic: dict, count: int, year: int) -> dict[tuple[str, str], Score]:
    """A score for the log itself and for every ego in every traffic; empty where the log is no yardstick."""
    own = realism(logged(scenario, count), scenario, year=year)
    if not own.valid:
        print(f"left out {scenario.id}: {own.reason}")
        return {}
    scores = {("the log itself", ""): own}
    for ego in EGOS:
        for name, behaviour in traffic.items():
            scores[ego, name] = realism(drives(scenario, ego, behaviour, count), scenario, year=year)
    return scores


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", required=True, help="root of the logs")
    arguments.add_argument("--rollouts", type=int, default=32)
    arguments.add_argument("--scenes", type=int, default=0, help="how many, spread over the root; 0 for all")
    arguments.add_argument("--minutes", type=float, default=math.inf, help="no further scene is begun after this time")
    arguments.add_argument("--year", type=int, default=2025, choices=sorted(WEIGHTS))
    arguments.add_argument("--each", action="store_true", help="also print the meta metric of every scene")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    traffic, judged = behaviours(), []
    begun, load = time.perf_counter(), os.getloadavg()[0]
    for scenario in scenes(options.data, options.scenes):
        if time.perf_counter() - begun > 60 * options.minutes:
            break
        scores = judge(scenario, traffic, options.rollouts, options.year)
        if scores and options.each:
            who = len(next(iter(scores.values())).evidence[0].agents)
            values = " ".join(f"{score.value:.3f}" for score in scores.values())
            print(f"{Path(scenario.id).name[-40:]:40} {who} agents  {values}", flush=True)
        judged += [scores] if scores else []
    if not judged:
        raise SystemExit("no scene can be judged")
    print(f"{len(judged)} scenes, {options.rollouts} rollouts, weights of {options.year}")
    print(f"{time.perf_counter() - begun:.0f} s; load {load:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    names = " ".join(name.rjust(6) for name in SHORT.values())
    print(f"{'ego':14} {'traffic':18} {'meta':6} {'ADE':>5} {'col%':>5} {'off%':>5} {'red%':>5} {names}")
    for ego, name in judged[0]:
        print(f"{ego:14} {name:18} {row([scores[ego, name] for scores in judged])}")


if __name__ == "__main__":
    main()
