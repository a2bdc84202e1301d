"""Loop steps/s without cameras, on the synthetic town: `python benchmarks/loop.py [--repeats 3]`

Prints medians of CPU time on one thread, and each setting's cost over the baseline in the same run: a
constant-velocity planner among replayed traffic.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

import drivesim
from drivesim.config import part

SETTINGS = {
    "constant_velocity, replay": ("constant_velocity", "replay"),
    "idm, replay": ("idm", "replay"),
    "constant_velocity, idm": ("constant_velocity", "idm"),
    "idm, idm": ("idm", "idm"),
}


def measure(scenario, planner: str, behavior: str) -> float:
    """Seconds of CPU per step."""
    begun = time.process_time()
    rollout = drivesim.simulate(scenario, drivesim.planner(planner), behavior=part("behavior", behavior))
    return (time.process_time() - begun) / (len(rollout.agents.valid) - 1 - rollout.start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--repeats", type=int, default=3)
    repeats = arguments.parse_args().repeats
    torch.set_num_threads(1)
    scenario = drivesim.load("synthetic")
    print(f"{scenario.id}: {scenario.log.valid.shape[1]} agents, {scenario.steps} steps")
    for planner, behavior in SETTINGS.values():  # kernels compile or load from the cache
        measure(scenario, planner, behavior)
    times = {name: [] for name in SETTINGS}
    for _ in range(repeats):  # interleaved, so that a drift of the machine's speed meets all alike
        for name, parts in SETTINGS.items():
            times[name].append(measure(scenario, *parts))
    baseline = statistics.median(next(iter(times.values())))
    print(f"{'planner, traffic':28} {'steps/s':>8} {'ms/step':>8} {'x baseline':>11}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:28} {1 / median:8.0f} {1e3 * median:8.2f} {median / baseline:11.2f}")


if __name__ == "__main__":
    main()
