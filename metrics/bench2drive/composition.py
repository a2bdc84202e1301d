"""From a route's infractions to the leaderboard's numbers (leaderboard/utils/statistics_manager.py and tools/)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

PENALTIES = {
    "collisions_pedestrian": 0.5, "collisions_vehicle": 0.6, "collisions_layout": 0.65, "red_light": 0.7,
    "stop_infraction": 0.8, "scenario_timeouts": 0.7, "yield_emergency_vehicle_infractions": 0.7,
}  # fmt: skip
"""Factor per infraction."""
MIN_SPEED = 0.7
"""Least factor of driving too slowly, in CARLA's leaderboard 2; Bench2Drive does not use it."""
ENDINGS = ("route_dev", "vehicle_blocked", "route_timeout")
"""Infractions that end a route without a factor."""
ROUTES = 220
"""Of the benchmark, by which it divides even where fewer were driven."""
FASTEST = 1000.0
"""Speed shares above this are dropped [%]."""
ABILITIES = ("overtaking", "merging", "emergency_brake", "give_way", "traffic_sign")


def driving_score(
    route: float,
    infractions: Mapping[str, int],
    outside_lanes: float = 0.0,
    min_speed: Sequence[float] = (),
    leaderboard: bool = False,
) -> float:
    """Route completion `route` [%] times the factor of every infraction, by the record's names, 0 to 100.

    `outside_lanes`: share of the route driven outside its lanes [%], x (1 - share). `min_speed`: shares of the
    neighbours' speed [%], each x (1 - 0.3 (1 - share)), which counts with `leaderboard` (CARLA's) alone. ValueError
    for names unknown and numbers that are not finite.
    """
    if not all(map(math.isfinite, (route, outside_lanes, *min_speed))):
        raise ValueError("driving_score: a number is not finite")
    unknown = set(infractions) - set(PENALTIES) - set(ENDINGS)
    if unknown:
        raise ValueError(f"driving_score: no such infraction: {', '.join(sorted(unknown))}")
    factor = math.prod(PENALTIES[name] ** count for name, count in infractions.items() if name in PENALTIES)
    factor *= 1 - outside_lanes / 100
    if leaderboard:
        factor *= math.prod(1 - (1 - MIN_SPEED) * (1 - share / 100) for share in min_speed)
    return round(max(route * factor, 0.0), 6)


def success(route: float, infractions: Mapping[str, int], outside_lanes: float = 0.0) -> bool:
    """Whether the route was completed without any infraction but driving slowly."""
    left = any(count for name, count in infractions.items() if name != "min_speed_infractions")
    return route >= 100 and not left and outside_lanes == 0


def mean_driving_score(scores: Iterable[float], routes: int = ROUTES) -> float:
    """Over all routes of the benchmark: one that was not driven counts as 0."""
    return sum(scores) / routes


def efficiency(shares: Iterable[float]) -> float | None:
    """Mean of the ego's speed shares [%] at the checkpoints; None without any. (The peer divides by zero where all are
    dropped.)"""
    kept = [share for share in shares if share <= FASTEST]
    return sum(kept) / len(kept) if kept else None


def ability(routes: Iterable[tuple[Sequence[str], bool]]) -> dict[str, float]:
    """Success rate per ability, and their mean as `mean`, of routes as (their abilities, success)."""
    won: dict[str, list[bool]] = {}
    for names, passed in routes:
        for name in names:
            if name not in ABILITIES:
                raise ValueError(f"ability: no such ability: {name}")
            won.setdefault(name, []).append(passed)
    rates = {name: sum(won[name]) / len(won[name]) for name in ABILITIES if name in won}
    return {**rates, "mean": sum(rates.values()) / len(rates)} if rates else {}
