"""How fast traffic is: the fused kernel, its geometry, and others' ways to the same answers, in one run.

    python benchmarks/traffic.py --data ../shared/data [--agents 32 128] [--scenes 64] [--scene 637f20cafde22ff8]

A real Waymo scene with lights, set to exactly N agents that are there at all 91 steps: those of the log that move (and
then those that do not), cut to N or extended by cars on free places of its lanes, driving along them. Rates are agents
times steps per CPU second of the process, on one thread unless said; medians over repeats of a whole drive.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from drivesim import traffic
from drivesim.config import source
from drivesim.geometry import along_polyline, arc_length, box_corners, boxes_overlap, heading
from drivesim.roadmap import RoadMap
from drivesim.traffic import dense
from drivesim.traffic.area import areas_of
from drivesim.traffic.boxes import overlaps
from drivesim.traffic.routes import drives
from drivesim.types import VEHICLES, Agents, Map, Scenario, is_kind

WORLDS = 4
"""Different extensions of the scene that a batch holds, so that it is not one scene many times."""

TARGETS = {
    ("idm", 32): 0.8e6, ("idm", 128): 0.45e6, ("acted", 32): 1.5e6, ("acted", 128): 0.75e6, ("observed", 32): 0.15e6,
}  # fmt: skip
"""Agent-steps a second that are wanted on one core, by work and agents."""


@dataclass
class Table:
    """What was measured, beside what was wanted."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, what: str, figure: str, target: str = "", note: str = "") -> None:
        self.rows.append((what, figure, target, note))
        print(f"{what:58} {figure:>14}  {target:>12}  {note}", flush=True)


@dataclass(frozen=True)
class Time:
    wall: float  # [s]
    cpu: float  # [s]


def timed(work: Callable[[], object], repeats: int, most: float = 5.0) -> Time:
    """Medians over `repeats`, fewer where they would take longer than `most` seconds; the first, untimed, warms up."""
    work()
    wall, cpu, begin = [], [], time.perf_counter()
    while len(wall) < repeats and (len(wall) < 3 or time.perf_counter() - begin < most):
        clock, process = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - clock)
        cpu.append(time.process_time() - process)
    return Time(median(wall), median(cpu))


def rate(count: float) -> str:
    return f"{count / 1e6:.2f} M/s" if count >= 1e5 else f"{count / 1e3:.2f} k/s"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder that holds `waymo`")
    options.add_argument("--scene", default="637f20cafde22ff8")
    options.add_argument("--agents", type=int, nargs="+", default=[32, 128])
    options.add_argument("--scenes", type=int, default=64, help="in a batch")
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--only", nargs="+", choices=["boxes", "area", "drives", "first"], default=[])
    options.add_argument("--first-step", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    torch.set_num_threads(1)
    scenario = source("waymo", given.data / "waymo").load(given.scene)
    if given.first_step:
        return first_step(scenario, given.agents[0])
    table = Table()
    print(f"{'':58} {'measured':>14}  {'target':>12}  scene {scenario.id}; load {os.getloadavg()[0]:.1f}")
    wanted = given.only or ["boxes", "area", "drives", "first"]
    if "boxes" in wanted:
        boxes(table, scenario, given.repeats)
    if "area" in wanted:
        points(table, scenario.scene.map, given.repeats)
    if "drives" in wanted:
        for agents in given.agents:
            closed_loop(table, scenario, agents, given.scenes, given.repeats)
    if "first" in wanted:
        fresh_process(table, given)


# scenes


def crowded(scenario: Scenario, count: int, seed: int) -> Scenario:
    """The scene with exactly `count` agents, all there at all steps, none in contact at the start."""
    log, rng = scenario.log, np.random.default_rng(seed)
    there = [i for i in range(log.valid.shape[1]) if bool(log.valid[:, i].all())]
    moves = [float((log.xy[-1, i] - log.xy[0, i]).norm()) >= 2.0 for i in range(log.valid.shape[1])]
    order = [0, *(i for i in there if i and moves[i]), *(i for i in there if i and not moves[i])]
    tracks: list[Agents] = []
    for track in (*(log[:, i] for i in order), *on_lanes(scenario, rng)):
        if len(tracks) == count:
            break
        if not any_contact(tracks, track, scenario.start):
            tracks.append(track)
    if len(tracks) < count:
        raise SystemExit(f"scene {scenario.id} has room for {len(tracks)} agents only")
    names = ("ego", *(f"agent {i}" for i in range(1, count)))
    return replace(scenario, log=Agents.stack(tracks, dim=1), track_ids=names)


def any_contact(tracks: list[Agents], track: Agents, step: int, room: float = 3.0) -> bool:
    """Whether a track, `room` metres longer and 0.4 m wider than it is, starts in contact with others."""
    if not tracks:
        return False
    size = track.size[step, :2] + torch.tensor([room, 0.4])
    rows = [torch.cat([t.xy[step], t.yaw[step, None], t.size[step, :2]]) for t in tracks]
    rows.append(torch.cat([track.xy[step], track.yaw[step, None], size]))
    return bool(overlaps(torch.stack(rows)[None].double().numpy())[0, -1].any())


def on_lanes(scenario: Scenario, rng: np.random.Generator, spacing: float = 9.0) -> list[Agents]:
    """Cars on places of the lanes, in drawn order, driving along the lane and its successors at a drawn speed."""
    map, log = scenario.scene.map, scenario.log
    road, sizes = RoadMap.of(map), log.size[:, is_kind(log.kind.amax(0), VEHICLES)][scenario.start]
    sizes = sizes[sizes.isfinite().all(-1)]
    places = [
        (k, s) for k in range(len(map.lanes)) for s in np.arange(3.0, float(arc_length(road.center(k))[-1]), spacing)
    ]
    tracks = []
    for p in rng.permutation(len(places)):
        lane, s = places[p]
        line = [road.center(lane)[:, :2]]
        while (after := road.successors(lane)) and sum(float(arc_length(x)[-1]) for x in line) < s + 120.0:
            lane = after[rng.integers(len(after))]
            line.append(road.center(lane)[1:, :2])
        line = torch.cat(line)
        speed = rng.uniform(2.0, 10.0)
        way = s + speed * scenario.scene.briefing.dt * torch.arange(scenario.steps)
        if float(arc_length(line)[-1]) <= float(way[-1]):
            continue
        xy, yaw = along_polyline(line, way)
        tracks.append(car(xy, yaw, speed, sizes[rng.integers(len(sizes))]))
    return tracks


def car(xy: torch.Tensor, yaw: torch.Tensor, speed: float, size: torch.Tensor) -> Agents:
    zero, steps = torch.zeros(len(yaw)), len(yaw)
    return Agents(
        xy=xy, z=zero, yaw=yaw, pitch=zero, roll=zero, velocity=speed * heading(yaw), size=size.expand(steps, 3),
        kind=torch.zeros(steps, dtype=torch.int64), valid=torch.ones(steps, dtype=torch.bool),
    )  # fmt: skip


def world_of(scenario: Scenario, agents: int) -> traffic.World:
    return traffic.World.of([crowded(scenario, agents, seed) for seed in range(WORLDS)], seed=0)


# geometry


def boxes(table: Table, scenario: Scenario, repeats: int, steps: int = 40, n: int = 64) -> None:
    """All pairs of 64 agents at 40 steps."""
    import shapely

    log = crowded(scenario, n, 0).log[:steps]
    rows = torch.cat([log.poses, log.size[..., :2]], -1).double()
    pairs = steps * n * (n - 1) // 2
    corners = box_corners(rows[..., :2], rows[..., 2], rows[..., 3:])
    i, j = torch.triu_indices(n, n, 1)
    found = overlaps(rows.numpy())
    ours = timed(lambda: overlaps(rows.numpy()), 5 * repeats)
    table.add(
        f"box overlap, {n} agents x {steps} steps, {pairs:,} pairs", rate(pairs / ours.cpu), "150 M/s",
        f"{int(found.sum()) // 2} overlap",
    )  # fmt: skip

    def trees() -> int:
        hits = 0
        for ring in corners.numpy():
            polygons = shapely.polygons(ring)
            a, b = shapely.STRtree(polygons).query(polygons, predicate="intersects")
            hits += int((a < b).sum())
        return hits

    def tensors() -> int:
        return int(boxes_overlap(corners[:, i], corners[:, j]).sum())

    for name, way in (("shapely STRtree", trees), ("geometry.boxes_overlap (torch)", tensors)):
        if way() != int(found.sum()) // 2:
            raise SystemExit(f"{name} finds {way()} overlaps, the kernel {int(found.sum()) // 2}")
        other = timed(way, repeats)
        table.add(f"  {name}", rate(pairs / other.cpu), "", f"{other.cpu / ours.cpu:.0f} times slower")


def points(table: Table, map: Map, repeats: int, count: int = 10_240) -> None:
    """Corners of boxes strewn over the map."""
    import shapely

    rng, rings = np.random.default_rng(0), map.drivable
    ends = rings.points[:, :2].double().numpy()
    xy = rng.uniform(ends.min(0) - 5, ends.max(0) + 5, (count, 2))
    edge = ends[rng.integers(len(ends), size=count)] + rng.normal(0, 1.5, (count, 2))
    began = time.perf_counter()
    areas = areas_of([map])
    built = time.perf_counter() - began
    polygon = shapely.Polygon()
    for k in range(len(rings)):
        polygon = polygon.symmetric_difference(shapely.Polygon(rings.line(k)[:, :2].double().numpy()))
    shapely.prepare(polygon)
    for where, at in (("anywhere", xy), ("near borders", edge)):
        ours = timed(lambda at=at: areas.inside(0, at), 5 * repeats)
        note = f"{areas.inside(0, at).mean():.0%} inside; index built in {1000 * built:.0f} ms"
        table.add(f"point in drivable area, {count:,} points {where}", rate(count / ours.cpu), "2 M/s", note)
        others = {
            "shapely contains_xy, prepared": lambda at=at: shapely.contains_xy(polygon, at[:, 0], at[:, 1]),
            "RoadMap.inside": lambda at=at: RoadMap.of(map).inside(torch.from_numpy(at)).numpy(),
        }
        for name, way in others.items():
            if not np.array_equal(way(), areas.inside(0, at)):
                raise SystemExit(
                    f"{name} and the kernel disagree about {int((way() != areas.inside(0, at)).sum())} points"
                )
            other = timed(way, repeats)
            table.add(f"  {name}", rate(count / other.cpu), "", f"{other.cpu / ours.cpu:.1f} times slower")


# drives


def drive(
    world: traffic.World, scenes: int, actions: np.ndarray | None = None, observe: bool = False
) -> Callable[[], object]:
    """A drive of a batch from its start to the end of the log."""
    first = world.start(np.arange(scenes) % len(world))
    steps = int(world.records.scenes["steps"][0] - first.steps[0]) - 1

    def whole() -> traffic.Batch:
        batch = first
        for _ in range(steps):
            batch = traffic.step(batch, actions)
            if observe:
                traffic.observe(batch)
        return batch

    whole.agent_steps = scenes * world.agents * steps
    return whole


def closed_loop(table: Table, scenario: Scenario, agents: int, scenes: int, repeats: int) -> None:
    world = world_of(scenario, agents)
    traffic.set_threads(1)
    who = np.mean([drives(s, i, 2.0) for s in world.scenarios for i in range(agents)])
    rng = np.random.default_rng(0)
    given = np.stack([rng.normal(0, 0.5, (scenes, agents)), rng.normal(0, 0.02, (scenes, agents))], -1)
    rows = {"idm": ("IDM on lane graph + lights + overlap + area", drive(world, scenes))}
    rows["acted"] = ("all bicycle by action + overlap + area", drive(world, scenes, given))
    if hasattr(traffic, "observe"):
        rows["observed"] = ("IDM + checks + observation of everybody", drive(world, scenes, None, True))
    speed = {}
    for name, (what, whole) in rows.items():
        taken = timed(whole, repeats)
        speed[name] = whole.agent_steps / taken.cpu
        end = whole()
        note = f"{rate(whole.agent_steps / taken.wall)} wall, {rate(speed[name] / agents)} scene-steps; at the end "
        note += f"{end.valid.double().mean():.0%} there, {end.collides.double().mean():.1%} in contact, "
        note += f"{end.off_road.double().mean():.1%} off the road"
        target = TARGETS.get((name, agents))
        table.add(f"{agents} agents x {scenes}: {what}", rate(speed[name]), rate(target) if target else "", note)
    print(f"  ({who:.0%} of the agents drive by themselves)")
    for name in ("idm", "acted"):
        alone = drive(world, 1, given[:1] if name == "acted" else None)
        single = alone.agent_steps / timed(alone, 3 * repeats).cpu
        table.add(f"{agents} agents x 1: {name}", rate(single), "70 %", f"{single / speed[name]:.0%} of the batch")
    torch_form(table, world, speed["idm"])
    two_threads(table, world, scenes, repeats, agents)


def torch_form(table: Table, world: traffic.World, ours: float, steps: int = 3) -> None:
    """The first steps of the world's scenes by `traffic.dense`, without gradients."""
    tables = dense.tables_of(world.scenarios, world.drivers)
    start = dense.start(tables)

    def some() -> None:
        now = start
        with torch.no_grad():
            for _ in range(steps):
                now = dense.step(tables, now)

    theirs = len(world) * world.agents * steps / timed(some, 3).cpu
    note = f"{ours / theirs:.0f} times slower"
    table.add(f"{world.agents} agents x {len(world)}: IDM in torch (traffic.dense)", rate(theirs), "", note)


def two_threads(table: Table, world: traffic.World, scenes: int, repeats: int, agents: int) -> None:
    """Best wall time of either, taken in turns: others' work only ever makes it longer."""
    import numba

    if numba.config.NUMBA_NUM_THREADS < 2:
        return table.add(f"{agents} agents x {scenes}: two threads against one", "one core", "1.5")
    whole, best = drive(world, scenes), {1: np.inf, 2: np.inf}
    for threads in (1, 2):
        traffic.set_threads(threads)
        whole()
    for _ in range(repeats):
        for threads in (1, 2):
            traffic.set_threads(threads)
            began = time.perf_counter()
            whole()
            best[threads] = min(best[threads], time.perf_counter() - began)
    traffic.set_threads(1)
    note = (
        f"{rate(whole.agent_steps / best[1])}, {rate(whole.agent_steps / best[2])} wall; load {os.getloadavg()[0]:.1f}"
    )
    table.add(f"{agents} agents x {scenes}: two threads against one", f"{best[1] / best[2]:.2f}", "1.5", note)


def first_step(scenario: Scenario, agents: int) -> None:
    """In a fresh process: seconds that the first step takes."""
    world = world_of(scenario, agents)
    batch = world.start([0])
    began = time.perf_counter()
    traffic.step(batch)
    first = time.perf_counter() - began
    began = time.perf_counter()
    traffic.step(batch)
    print(first, time.perf_counter() - began)


def fresh_process(table: Table, given: argparse.Namespace) -> None:
    command = [
        sys.executable,
        __file__,
        "--data",
        str(given.data),
        "--scene",
        given.scene,
        "--agents",
        "32",
        "--first-step",
    ]
    subprocess.run(command, check=True, capture_output=True)  # fills the cache
    took = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(3)]
    first, second = (median(float(x[k]) for x in took) for k in (0, 1))
    table.add(
        "first step of a process, kernel cached", f"{first:.2f} s", "0.5 s", f"the second takes {1e6 * second:.0f} us"
    )


if __name__ == "__main__":
    main()
