"""Frames per second of the remembered world, stage by stage: all cameras of a log, the ego 2 m beside its path.

    python benchmarks/world.py SOURCE ROOT [ID]

For example `pandaset ../shared/data/pandaset`. Prints the median and the 95th percentile over steps, wall clock, on all
threads, and the CPU time of a set of frames; at two sizes. The first run of a log builds its memory.
"""

from __future__ import annotations

import sys
import time

import numba
import numpy as np
import torch

from drivesim import parts
from drivesim.evaluation.views import Shift, moment
from drivesim.generation.remembered.world import MemoryWorld
from drivesim.types import Scenario, State

STAGES = ("layout", "depth", "choose", "blend", "compose")
FRAMES = 30
LEFT = Shift("", 2.0, 0.0)


def main(name: str, root: str, id: str | None = None) -> None:
    torch.set_num_threads(1)
    source = parts.build({**parts.read("scenarios", name), "root": root})
    scenario = source.load(id or source.ids()[0])
    generator = MemoryWorld()
    for what in ("remember (builds what is not on disk)", "remember again"):
        start = time.perf_counter()
        world = generator.remember(scenario)
        print(f"{what:40}{time.perf_counter() - start:8.2f} s")
    steps = np.linspace(scenario.start, scenario.steps - 1, FRAMES).round().astype(int)
    for width, height in ((400, 224), (800, 448)):
        cameras = [c.resized(width, height) for c in scenario.scene.briefing.cameras]
        generator.render(beside(scenario, int(steps[0])), world, cameras)
        laps: dict[str, list[float]] = {}
        for step in steps:
            state, before, cpu = beside(scenario, int(step)), time.perf_counter(), time.process_time()
            generator.render(state, world, cameras, lambda stage, s, laps=laps: laps.setdefault(stage, []).append(s))
            laps.setdefault("all", []).append(time.perf_counter() - before)
            laps.setdefault("CPU", []).append(time.process_time() - cpu)
        print(f"\n{len(cameras)} x {height} x {width} on {numba.get_num_threads()} threads: "
              f"{1 / np.median(laps['all']):.1f} sets of frames/s")  # fmt: skip
        for stage in (*STAGES, "all", "CPU"):
            half, most = 1e3 * np.quantile(laps[stage], (0.5, 0.95))
            print(f"  {stage:10}{half:8.1f} ms   p95 {most:8.1f} ms")


def beside(scenario: Scenario, step: int) -> State:
    """The log's state with the ego 2 m to its left, whoever stands there."""
    state = moment(scenario, step * scenario.scene.briefing.dt)
    vehicle, agents = scenario.scene.briefing.vehicle, state.agents.map(torch.clone)
    moved = vehicle.box_from_ego(vehicle.world_from_ego(agents[0]) @ LEFT.matrix())
    for name, value in zip(("xy", "z", "yaw", "pitch", "roll"), moved, strict=True):
        getattr(agents, name)[0] = value
    return state.replace(agents=agents)


if __name__ == "__main__":
    main(*sys.argv[1:])
