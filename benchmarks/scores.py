"""What scores cost, on one core: `python benchmarks/scores.py [--repeats 9]`

First PDMS: the roll-out by LQR and bicycle, and its sub-scores, among 64 tracks on a map of 300 polygons; for one
trajectory beside a reference that is known, and for 64 at once. Then every metric that has a yaml on one drive of 20 s
with 60 agents, with the map's own tables built and nothing else kept from the run before. Medians of CPU time on one
thread, targets beside; the exit code is 1 where one is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import drivesim
from drivesim.config import part
from drivesim.proposals.judge import Rules, judge
from drivesim.proposals.road import Course, Road
from drivesim.proposals.roll_out import STEPS, roll_out
from drivesim.proposals.score import pdms, progress_v1
from drivesim.proposals.tracks import Tracks
from drivesim.types import Agents, Ground, Kind, Lanes, Map, Polylines, Rollout, Scenario, Vehicle

CONF = Path(drivesim.__file__).parent / "conf" / "metrics"
TRACKS, LANES, SECTIONS, SECTION = 64, 13, 23, 20.0  # 13 lanes x 23 sections of 20 m and the drivable area: 300
TIMES = 0.5 * np.arange(1, 9)
TARGETS = {"one": 1.0, "many": 25.0, "suite": 100.0}  # [ms]


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    work()  # kernels compile or load from the cache
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return 1e3 * statistics.median(taken)


def road() -> Map:
    """A bend of many lanes in short sections, half of them on an intersection."""
    angles = np.linspace(0, SECTIONS * SECTION / 300, SECTIONS * 10 + 1) - 0.1
    line = lambda i, a: np.stack([(300 - 3.5 * i) * np.sin(a), 300 - (300 - 3.5 * i) * np.cos(a), 0 * a], -1)  # noqa: E731
    centers = [
        torch.from_numpy(line(i, angles[10 * k : 10 * k + 11])).float() for k in range(SECTIONS) for i in range(LANES)
    ]
    ring = np.concatenate([line(-0.5, angles), line(LANES - 0.5, angles)[::-1]])[:, :2]
    index = torch.arange(SECTIONS * LANES)
    lanes = Lanes(
        center=Polylines.of(centers, dims=3), width=torch.full((len(index),), 3.5),
        speed_limit=torch.full((len(index),), 13.9), intersection=index % 2 == 0,
        successors=torch.stack([index[:-LANES], index[LANES:]], -1), neighbours=torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip
    drivable = Polylines.of([torch.from_numpy(ring).float()])
    return Map(lanes, drivable, Polylines.of([]), Polylines.of([], dims=3), Ground.flat())


def crowd(draw: np.random.Generator) -> Agents:
    """An ego and 64 others along the bend, over what PDMS looks at; of the ego's lane only what is behind is taken."""
    steps, lane = STEPS + 10, draw.integers(1, LANES, TRACKS + 1)
    arc = draw.uniform(-30, 150, TRACKS + 1)[None] + 0.1 * np.arange(steps)[:, None] * draw.uniform(0, 12, TRACKS + 1)
    arc, lane = np.where(np.arange(TRACKS + 1) < 4, arc % 20 - 40, arc), np.where(np.arange(TRACKS + 1) < 4, 0, lane)
    radius, angle = np.broadcast_to(300 - 3.5 * lane, arc.shape), arc / 300
    xy = np.stack([radius * np.sin(angle), 300 - radius * np.cos(angle)], -1)
    shape, tensor = angle.shape, lambda x: torch.from_numpy(np.asarray(x)).float()
    zero = torch.zeros(shape)
    return Agents(
        xy=tensor(xy), z=zero, yaw=tensor(angle), pitch=zero, roll=zero, velocity=tensor(np.gradient(xy, 0.1, axis=0)),
        size=torch.tensor([4.6, 1.9, 1.6]).expand(*shape, 3), kind=torch.full(shape, int(Kind.CAR)),
        valid=torch.ones(shape, dtype=torch.bool),
    )  # fmt: skip


def plans(count: int, draw: np.random.Generator) -> np.ndarray:
    """Poses (N, 8, 3) on arcs about the bend, most of them in the ego's lane."""
    speed, curvature = draw.uniform(5, 12, (count, 1)), 1 / 300 + draw.normal(0, 0.001, (count, 1))
    s = speed * TIMES
    return np.stack([np.sin(curvature * s) / curvature, (1 - np.cos(curvature * s)) / curvature, curvature * s], -1)


def navsim(repeats: int) -> dict[str, float]:
    draw, vehicle, map = np.random.default_rng(0), Vehicle(), road()
    tracks, ground = Tracks.of(crowd(draw)), Road.of(map, vehicle)
    angles = np.linspace(0, 0.7, 200)
    line = torch.from_numpy(np.stack([300 * np.sin(angles), 300 - 300 * np.cos(angles)], -1)).float()
    course, start = Course.of(map, line), np.array([0.0, 0, 0, 8, 0, 0, 0])
    reference = roll_out(plans(1, draw), TIMES, start, vehicle)

    def score(proposals: np.ndarray) -> np.ndarray:
        states = np.concatenate([reference, roll_out(proposals, TIMES, start, vehicle)])
        judged = judge(states, tracks, ground, course, vehicle, Rules.of(1))
        product = judged.no_collision * judged.on_road
        return pdms({
            "NC": judged.no_collision, "DAC": judged.on_road, "TTC": judged.time_to_collision, "C": judged.comfort,
            "EP": progress_v1(judged.progress, product), "DDC": judged.direction,
        })[1:]  # fmt: skip

    one, many = plans(1, draw), plans(64, draw)
    found = f"64 score {score(many).mean():.2f} on average"
    print(f"PDMS among {len(tracks.index)} tracks, {len(map.lanes) + 1} polygons; {found}")
    return {
        "one": milliseconds(lambda: score(one), 20 * repeats), "many": milliseconds(lambda: score(many), repeats)
    }  # fmt: skip


def long_drive() -> tuple[Scenario, Rollout]:
    """20 s of the town among 60 agents: those of a long log, the farthest left out, or some that stand far away."""
    scenario = drivesim.load("synthetic", duration=20.0)
    scenario = with_agents(scenario, 60)
    return scenario, drivesim.simulate(scenario, drivesim.planner("idm"), behavior=part("behavior", "replay"))


def with_agents(scenario: Scenario, count: int) -> Scenario:
    log = scenario.log
    index = torch.arange(count) % log.valid.shape[1]
    copies = log[:, index]
    away = 30.0 * (torch.arange(count) // log.valid.shape[1])  # copies drive beside those they were made of
    copies = copies.replace(xy=copies.xy + away[None, :, None])
    names = tuple(f"{scenario.track_ids[i]}-{k}" for k, i in enumerate(index.tolist()))
    return replace(scenario, log=copies, track_ids=names)


def suite(repeats: int) -> float:
    """All metrics, one after the other, on one rollout that nobody has looked at yet."""
    scenario, rollout = long_drive()
    metrics = {path.stem: part("metrics", path.stem) for path in sorted(CONF.glob("*.yaml"))}
    print(f"\n{len(metrics)} metrics on {rollout.dt * (len(rollout.agents.valid) - 1 - rollout.start):.0f} s "
          f"with {rollout.agents.valid.shape[1]} agents, {len(rollout.plans)} plans")  # fmt: skip
    taken, found = {name: [] for name in metrics}, {}
    for k in range(repeats + 1):
        fresh = [replace(rollout)], replace(scenario)
        for name, metric in metrics.items():
            begun = time.process_time()
            found[name] = metric(*fresh)
            if k:  # in the first round kernels compile or load from the cache
                taken[name].append(1e3 * (time.process_time() - begun))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in sorted(medians.items(), key=lambda item: -item[1]):
        score = found[name]
        print(f"  {name:30} {median:8.2f} ms   {f'{score.value:.3g}' if score.valid else score.reason}")
    return sum(medians.values())


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--repeats", type=int, default=9)
    repeats = arguments.parse_args().repeats
    torch.set_num_threads(1)
    taken = navsim(repeats)
    words = {"one": "one trajectory", "many": "64 trajectories", "suite": "all metrics"}
    row = lambda key: f"  {words[key]:30} {taken[key]:8.2f} ms   target {TARGETS[key]:g} ms"  # noqa: E731
    print(row("one"), row("many"), sep="\n")
    taken["suite"] = suite(repeats)
    print(row("suite"))
    return int(any(taken[key] > target for key, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main())
