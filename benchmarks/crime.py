"""Compare time to collision, headway and worst-case time with commonroad-crime over random car-following situations.

    python -m venv DIR && DIR/bin/pip install "commonroad-crime==0.4.5"
    python benchmarks/crime.py --peer DIR/bin/python [--count 200] [--seed 0]

That environment's Python builds each situation as a CommonRoad scenario and measures it (`--answer`, which imports
commonroad-crime alone). The peer rounds: to 0.01 m and s, time headway and worst-case time to its step of 0.1 s. The
exit code is 1 if a difference is more than that rounding.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import random
import subprocess
import sys

STEPS, DT, LENGTH, WIDTH = 120, 0.1, 4.0, 2.0
ALLOWED = {"HW": 0.011, "TTC": 0.011, "THW": DT + 1e-6, "WTTC": DT / 2 + 1e-6}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer", help="Python of an environment with commonroad-crime")
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--answer", action="store_true", help="measure situations from stdin with commonroad-crime")
    chosen = options.parse_args()
    if chosen.answer:
        situations = json.load(sys.stdin)
        with contextlib.redirect_stdout(io.StringIO()):
            answers = [answer(s) for s in situations]
        print(json.dumps(answers))
        return 0
    if not chosen.peer:
        options.error("--peer is needed: the Python of an environment with commonroad-crime")
    draw = random.Random(chosen.seed)
    situations = [situation(draw) for _ in range(chosen.count)]
    command = [chosen.peer, "-W", "ignore", __file__, "--answer"]
    done = subprocess.run(command, input=json.dumps(situations), capture_output=True, text=True)
    if done.returncode:
        print(f"{chosen.peer} could not answer:\n{done.stderr.strip()[-2000:]}", file=sys.stderr)
        return 1
    return compare(situations, json.loads(done.stdout.strip().splitlines()[-1]))


def situation(draw: random.Random) -> dict:
    """Two cars in one lane: places of their centres [m], speeds [m/s] and accelerations [m/s^2] of either sign."""
    speeds = [draw.uniform(6, 25), draw.uniform(6, 25)]
    pushes = [draw.choice([0.0, draw.uniform(-0.4, 0.4)]) for _ in speeds]
    return {"places": [0.0, draw.uniform(8, 60)], "speeds": speeds, "accelerations": pushes}


def answer(s: dict) -> dict:
    """What commonroad-crime measures at step 1."""
    import numpy as np
    from commonroad.geometry.shape import Rectangle
    from commonroad.prediction.prediction import TrajectoryPrediction
    from commonroad.scenario.lanelet import Lanelet
    from commonroad.scenario.obstacle import DynamicObstacle, ObstacleType
    from commonroad.scenario.scenario import Scenario
    from commonroad.scenario.state import CustomState, InitialState
    from commonroad.scenario.trajectory import Trajectory
    from commonroad_crime import measure
    from commonroad_crime.data_structure.configuration import CriMeConfiguration

    along = np.linspace(-50, 900, 191)
    line = lambda y: np.stack([along, np.full_like(along, y)], -1)  # noqa: E731
    scenario = Scenario(DT)
    scenario.add_objects(Lanelet(line(2.0), line(0.0), line(-2.0), 1))
    for i, (place, v, a) in enumerate(zip(s["places"], s["speeds"], s["accelerations"], strict=True)):
        states = [
            {
                "position": np.array([place + v * t + a * t * t / 2, 0.0]), "orientation": 0.0, "velocity": v + a * t,
                "acceleration": a, "yaw_rate": 0.0, "slip_angle": 0.0, "time_step": k,
            }
            for k, t in enumerate(np.arange(STEPS) * DT)
        ]  # fmt: skip
        later = [CustomState(**state, velocity_y=0.0, acceleration_y=0.0) for state in states[1:]]
        shape = Rectangle(LENGTH, WIDTH)
        prediction = TrajectoryPrediction(Trajectory(1, later), shape)
        scenario.add_objects(
            DynamicObstacle(10 + i, ObstacleType.CAR, shape, InitialState(**states[0]), prediction)
        )  # fmt: skip
    scenario.assign_obstacles_to_lanelets()
    config = CriMeConfiguration()
    config.vehicle.ego_id = 10
    config.update(sce=scenario)
    found = {name: float(getattr(measure, name)(config).compute(11, 1)) for name in ALLOWED}
    return {**found, "a_max": float(config.vehicle.params.longitudinal.a_max)}


def compare(situations: list[dict], answers: list[dict]) -> int:
    mine = [ours(s, a["a_max"]) for s, a in zip(situations, answers, strict=True)]
    print(f"{'measure':8} {'situations':>10} {'finite':>7} {'difference':>11} {'allowed':>8} {'never unlike':>13}")
    bad = 0
    for name, allowed in ALLOWED.items():
        rows = [(a[name], b[name]) for a, b in zip(answers, mine, strict=True)]
        finite = [abs(x - y) for x, y in rows if math.isfinite(x) and math.isfinite(y)]
        unlike = sum(math.isfinite(x) != math.isfinite(y) for x, y in rows)
        print(f"{name:8} {len(rows):10} {len(finite):7} {max(finite):11.4f} {allowed:8.3f} {unlike:13}")
        bad += max(finite) > allowed or unlike > 0
    return int(bad > 0)


def ours(s: dict, a_max: float) -> dict:
    """The same at step 1, as the peer's states begin there with lateral parts.

    Its TTC starts from the gap in whole centimetres and takes the size of the leader's acceleration, so that a leader
    that brakes pulls away: so does this one.
    """
    import torch

    from metrics.criticality import time

    t = DT * torch.arange(1, STEPS, dtype=torch.float64)
    x, v, a = (torch.tensor(s[k], dtype=torch.float64) for k in ("places", "speeds", "accelerations"))
    places = x[:, None] + v[:, None] * t + a[:, None] * t**2 / 2
    speed = v + a * DT
    gap = places[1, 0] - places[0, 0] - LENGTH
    until = time.time_to_collision_accelerating(
        gap.round(decimals=2), speed[0] - speed[1], a[0] - a[1].abs(), form="peer"
    )
    rear = torch.full_like(t, float(places[1, 0]) - LENGTH / 2)
    headway = time.time_headway_driven(places[0], torch.tensor(LENGTH / 2, dtype=torch.float64), rear, DT)[0]
    reach = torch.tensor(2 * math.hypot(LENGTH / 6, WIDTH / 2), dtype=torch.float64)
    offset, zero = torch.stack([gap + LENGTH, gap * 0]), gap * 0
    closing = torch.stack([speed[1] - speed[0], zero])
    worst = time.worst_time_to_collision(offset, closing, reach, zero + 2 * a_max)
    return {"HW": float(gap), "TTC": float(until), "THW": float(headway), "WTTC": float(worst)}


if __name__ == "__main__":
    sys.exit(main())
