"""Frames per second of the layout raster: six cameras, a seeded street of 80 000 triangles.

    python benchmarks/raster.py [seed]

Prints the median over repeats, wall clock and CPU, for all threads and for one; the time to remember the scene; and,
for visibility alone, the ratio to the plain numpy reference on a small soup of triangles.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import numba
import numpy as np
import torch

from drivesim.generation.layout import LayoutRaster, LayoutWorld
from drivesim.generation.mesh import Mesh, geometry
from drivesim.generation.rasterizer import View, see, triangles
from drivesim.generation.reference import see_plainly
from drivesim.generation.stage import instances
from drivesim.generation.surfaces import Surface
from drivesim.rigs import rig
from drivesim.types import (
    Agents,
    Body,
    Briefing,
    Command,
    Ground,
    Kind,
    Lanes,
    Map,
    Material,
    Polylines,
    Prop,
    Scenario,
    Scene,
    Scenery,
    Signals,
    State,
    Vehicle,
)


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    scenario, state = street(np.random.default_rng(seed))
    start = time.perf_counter()
    world = LayoutRaster().remember(scenario)
    print(f"remember, first time in this process      {time.perf_counter() - start:8.2f} s")
    seconds, _ = timed(lambda: LayoutRaster().remember(scenario), 3)
    print(f"remember                                  {seconds:8.2f} s")
    print(f"triangles placed                          {placed(world, state):8d}")
    start = time.perf_counter()
    LayoutRaster().render(state, world, rig("nuscenes"))
    print(f"first frame (compiles or loads kernels)   {time.perf_counter() - start:8.2f} s")
    for width, height in ((400, 224), (800, 448)):
        cameras = rig("nuscenes", width, height)
        threads = numba.get_num_threads()
        all_wall, _ = timed(lambda c=cameras: LayoutRaster().render(state, world, c), 15)
        one_wall, one_cpu = timed(lambda c=cameras: LayoutRaster(threads=1).render(state, world, c), 15)
        print(
            f"6 x {height} x {width}: {1 / all_wall:6.1f} frames/s on {threads} threads, {1 / one_wall:6.1f} on one "
            f"({1000 * one_cpu:.0f} CPU-ms a frame), ratio {one_wall / all_wall:.2f}"
        )
    against_numpy(seed)


def against_numpy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform((-6, -4, 2), (6, 4, 20), (2000, 1, 3)) + rng.normal(0, 0.4, (2000, 3, 3))
    faces = np.arange(6000).reshape(-1, 3)
    soup = Mesh(
        points.reshape(-1, 3),
        np.ones((6000, 3)),
        np.zeros((6000, 2)),
        faces,
        np.full(2000, int(Surface.TYRE)),
    )
    shown = instances([(0, 2000, np.eye(4)[:3], (1, 1, 1), np.array([0, 0, 10.0]), 30.0)], [(-1, 0)])
    view = View(np.eye(4)[:3], np.array([80.0, 80.0, 50.0, 28.0]), 100, 56)
    shape = (view.height, view.width)
    nearness, front = np.empty(shape, np.float32), np.empty(shape, np.int32)
    mesh = geometry(soup)

    def fast() -> None:
        see(triangles(mesh, shown, view), (0, view.height), nearness, front)

    fast()
    ours, _ = timed(fast, 9)
    plain, _ = timed(lambda: see_plainly(mesh, shown, view), 1)
    print(
        f"visibility of 2000 triangles at 56 x 100: {1000 * ours:.2f} ms, plain numpy {1000 * plain:.0f} ms, "
        f"ratio {plain / ours:.0f}"
    )


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall and CPU seconds."""
    wall, cpu = [], []
    for _ in range(repeats):
        a, b = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - a)
        cpu.append(time.process_time() - b)
    return median(wall), median(cpu)


def placed(world: LayoutWorld, state: State) -> int:
    """Triangles of everything that stands in the scene."""
    moving = {name: count for name, (_, count, _) in world.stage.runs.items()}
    return int(world.stage.still.count.sum()) + (len(state.agents.valid) - 1) * moving["sedan"]


def street(rng: np.random.Generator) -> tuple[Scenario, State]:
    """A straight street of 300 m: two lanes each way, houses, trees and parked cars until the count is reached."""
    x = torch.linspace(-150, 150, 61)
    centers = [torch.stack([x, torch.full_like(x, y), torch.zeros_like(x)], -1) for y in (-1.75, 1.75)]
    lanes = Lanes(
        Polylines.of(centers, dims=3), torch.tensor([3.5, 3.5]), torch.tensor([13.9, 13.9]),
        torch.zeros(2, dtype=torch.bool), torch.zeros(0, 2, dtype=torch.int64), torch.tensor([[0, 1, 1], [1, 0, -1]]),
    )  # fmt: skip
    area = Polylines.of([torch.tensor([[-150.0, -6], [150, -6], [150, 6], [-150, 6]])])
    map = Map(lanes, area, Polylines.of([]), Polylines.of([], dims=3), Ground.flat())
    houses = [
        torch.tensor([[x, y], [x + 13, y], [x + 13, y + 12], [x, y + 12]]).float()
        for y in (-24.0, 12.0) for x in range(-150, 150, 15)
    ]  # fmt: skip
    trees = 12
    foot = np.stack([rng.uniform(-150, 150, trees), rng.choice([-8.5, 8.5], trees), np.zeros(trees)], 1)
    scenery = Scenery(
        Polylines.of(houses, [int(Material.FACADE)] * len(houses)), torch.zeros(len(houses)),
        torch.from_numpy(rng.uniform(6, 24, len(houses))).float(), torch.from_numpy(foot).float(), torch.zeros(trees),
        torch.from_numpy(rng.uniform((3, 5), (6, 9), (trees, 2))).float(), torch.full((trees,), int(Prop.TREE)),
    )  # fmt: skip
    n = 70
    xy = torch.from_numpy(np.stack([np.linspace(-140, 140, n), rng.choice([-4.6, -1.75, 1.75, 4.6], n)], 1)).float()
    xy[0] = torch.tensor([0.0, -1.75])
    zero = torch.zeros(n)
    size = torch.tensor([4.7, 1.85, 1.45]).expand(n, 3)
    kind, valid = torch.full((n,), int(Kind.CAR)), torch.ones(n, dtype=torch.bool)
    agents = Agents(xy, zero, zero, zero, zero, torch.zeros(n, 2), size, kind, valid)
    briefing = Briefing(centers[0][:, :2], Command.STRAIGHT, Vehicle(), rig("nuscenes"))
    scenario = Scenario(
        "street", "benchmark", "", Scene(map, scenery, Signals.none(), briefing), agents[None],
        tuple(str(i) for i in range(n)), 0, None, torch.zeros(3), "",
    )  # fmt: skip
    return scenario, State(agents, Body(zero, zero), torch.tensor(0), torch.tensor(0))


if __name__ == "__main__":
    main()
