"""Compare the RSS distances with ad-rss over random situations.

    python -m venv DIR && DIR/bin/pip install "ad-rss==5.0.0"
    python benchmarks/rss.py --peer DIR/bin/python [--count 4000] [--seed 0]

ad-rss is a C++ library with its own numpy-free wheels, so it lives in an environment of its own: this script draws the
situations, has that environment's Python answer them (`--answer`, which imports ad-rss alone), and prints the largest
difference for each distance. The exit code is 1 if one is above a micrometre or ad-rss judges a situation otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys

KINDS = ("same", "opposite", "lateral")
TOLERANCE = 1e-6  # [m]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peer", help="Python of an environment with ad-rss")
    options.add_argument("--count", type=int, default=4000, help="situations of each kind")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--answer", action="store_true", help="answer situations from stdin with ad-rss")
    chosen = options.parse_args()
    if chosen.answer:
        json.dump([answer(s) for s in json.load(sys.stdin)], sys.stdout)
        return 0
    if not chosen.peer:
        options.error("--peer is needed: the Python of an environment with ad-rss")
    draw = random.Random(chosen.seed)
    situations = [situation(draw, kind) for kind in KINDS for _ in range(chosen.count)]
    command = [chosen.peer, "-W", "ignore", __file__, "--answer"]
    done = subprocess.run(command, input=json.dumps(situations), capture_output=True, text=True)
    if done.returncode:
        print(f"{chosen.peer} could not answer: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return 1
    return compare(situations, json.loads(done.stdout[done.stdout.index("[") :]))


def situation(draw: random.Random, kind: str) -> dict:
    """Two road users with their own response times, under parameters about ad-rss's defaults; SI units."""
    most = draw.choice([None, draw.uniform(5, 40)])  # a speed limit, or none
    braking = draw.uniform(2, 6)
    return {
        "kind": kind,
        "speeds": [draw.choice([0.0, draw.uniform(0, 40)]) if kind != "lateral" else draw.uniform(-3, 3) for _ in "ab"],
        "responses": [draw.uniform(0.05, 2.5), draw.uniform(0.05, 2.5)],
        "distance": draw.uniform(0, 150 if kind != "lateral" else 8),
        "accelerate": draw.uniform(0.5, 5),
        "brake_min": braking,
        "brake_max": braking + draw.uniform(0, 6),
        "brake_min_correct": draw.uniform(1, braking),
        "lateral_accelerate": draw.uniform(0.05, 1),
        "lateral_brake": draw.uniform(0.2, 3),
        "speed_limit": most,
    }


def answer(s: dict) -> tuple[float, bool]:
    """Safe distance and whether the distance is safe, by ad-rss. The first of the two is the one in front, the one in
    his lane, or the left one."""
    import ad_rss

    rss, physics = ad_rss.rss, ad_rss.physics
    distance = physics.Distance(0.0)
    calculate = {
        "same": rss.structured.calculateSafeLongitudinalDistanceSameDirection,
        "opposite": rss.structured.calculateSafeLongitudinalDistanceOppositeDirection,
        "lateral": rss.structured.calculateSafeLateralDistance,
    }[s["kind"]]
    if not calculate(user(rss, physics, s, 0), user(rss, physics, s, 1), distance):
        raise ValueError(f"ad-rss refuses {s}")
    return distance.mDistance, s["distance"] > distance.mDistance  # as its own check does


def user(rss, physics, s: dict, i: int):
    """One road user as ad-rss describes it: lateral speeds count to the right, braking is negative."""
    state = rss.core.RelativeObjectState()
    state.object_type = rss.world.ObjectType.OtherVehicle
    velocity, dynamics = state.structured_object_state.velocity, state.dynamics
    along, aside = (0.0, -s["speeds"][i]) if s["kind"] == "lateral" else (s["speeds"][i], 0.0)
    velocity.speed_lon_min = velocity.speed_lon_max = physics.Speed(along)
    velocity.speed_lat_min = velocity.speed_lat_max = physics.Speed(aside)
    dynamics.alpha_lon.accel_max = physics.Acceleration(s["accelerate"])
    dynamics.alpha_lon.brake_min = physics.Acceleration(-s["brake_min"])
    dynamics.alpha_lon.brake_max = physics.Acceleration(-s["brake_max"])
    dynamics.alpha_lon.brake_min_correct = physics.Acceleration(-s["brake_min_correct"])
    dynamics.alpha_lat.accel_max = physics.Acceleration(s["lateral_accelerate"])
    dynamics.alpha_lat.brake_min = physics.Acceleration(-s["lateral_brake"])
    dynamics.response_time = physics.Duration(s["responses"][i])
    dynamics.max_speed_on_acceleration = physics.Speed(100.0 if s["speed_limit"] is None else s["speed_limit"])
    _fill(state, physics)
    return state


def _fill(state, physics) -> None:
    """What these distances do not use, but ad-rss wants to be numbers."""
    dynamics, where, structured = state.dynamics, state.unstructured_object_state, state.structured_object_state
    dynamics.lateral_fluctuation_margin = physics.Distance(0.0)
    dynamics.min_longitudinal_safety_distance = physics.Distance(0.0)
    unstructured = dynamics.unstructured_settings
    unstructured.pedestrian_turning_radius = physics.Distance(2.0)
    unstructured.drive_away_max_angle = physics.Angle(2.4)
    unstructured.vehicle_yaw_rate_change = physics.AngularAcceleration(0.3)
    unstructured.vehicle_min_radius = physics.Distance(3.5)
    unstructured.vehicle_trajectory_calculation_step = physics.Duration(0.2)
    structured.distance_to_enter_intersection = physics.Distance(0.0)
    structured.distance_to_leave_intersection = physics.Distance(1000.0)
    structured.is_in_correct_lane, structured.has_priority = True, False
    where.yaw, where.steering_angle = physics.Angle(0.0), physics.Angle(0.0)
    where.yaw_rate = physics.AngularVelocity(0.0)
    where.dimension.length, where.dimension.width = physics.Distance(4.0), physics.Distance(2.0)
    where.center_point.x = where.center_point.y = physics.Distance(0.0)
    where.speed_range.minimum = where.speed_range.maximum = physics.Speed(0.0)


def compare(situations: list[dict], answers: list) -> int:
    print(f"{'distance':10} {'situations':>10} {'safe':>7} {'largest difference':>20} {'judged otherwise':>17}")
    worst = 0
    for kind in KINDS:
        rows = [(s, a) for s, a in zip(situations, answers, strict=True) if s["kind"] == kind]
        gaps = [abs(ours(s) - distance) for s, (distance, _) in rows]
        unlike = sum((s["distance"] > ours(s)) != safe for s, (_, safe) in rows)
        safe = sum(safe for _, (_, safe) in rows)
        print(f"{kind:10} {len(rows):10} {safe:7} {max(gaps):18.1e} m {unlike:17}")
        worst += max(gaps) > TOLERANCE or unlike > 0
    return int(worst > 0)


def ours(s: dict) -> float:
    """Our safe distance; without the margin, which ad-rss adds to the boxes."""
    import math

    import torch

    from metrics.criticality.rss import Rss, lateral, opposite_direction, same_direction

    rules = Rss(
        accelerate=s["accelerate"], brake_min=s["brake_min"], brake_max=s["brake_max"],
        brake_min_correct=s["brake_min_correct"], lateral_accelerate=s["lateral_accelerate"],
        lateral_brake=s["lateral_brake"], margin=0.0, speed_limit=s["speed_limit"] or math.inf,
    )  # fmt: skip
    first, second = (torch.tensor(v, dtype=torch.float64) for v in s["speeds"])
    if s["kind"] == "same":
        return float(same_direction(second, first, rules, s["responses"][1]))
    way = opposite_direction if s["kind"] == "opposite" else lateral
    return float(way(first, second, rules, *s["responses"]))


if __name__ == "__main__":
    sys.exit(main())
