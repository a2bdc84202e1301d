"""The challenge: its bins, its weights, and how the log is judged under the rollouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .features import Features
from .kinematics import central_and
from .likelihood import Histogram, bernoulli, mean_likelihood

BINS = {
    "linear_speed": Histogram(0.0, 25.0, 10),
    "linear_acceleration": Histogram(-12.0, 12.0, 11),
    "angular_speed": Histogram(-0.628, 0.628, 11),
    "angular_acceleration": Histogram(-3.14, 3.14, 11),
    "distance_to_nearest_object": Histogram(-5.0, 40.0, 10),
    "time_to_collision": Histogram(0.0, 5.0, 10),
    "distance_to_road_edge": Histogram(-20.0, 40.0, 10),
}
"""Of the challenges of 2024 and 2025 (waymo-open-dataset 99a4cb3, sim_agents_metrics)."""

_WEIGHTS_2025 = {
    "linear_speed": 0.05, "linear_acceleration": 0.05, "angular_speed": 0.05, "angular_acceleration": 0.05,
    "distance_to_nearest_object": 0.10, "collision_indication": 0.25, "time_to_collision": 0.10,
    "distance_to_road_edge": 0.05, "offroad_indication": 0.25, "traffic_light_violation": 0.05,
}  # fmt: skip
WEIGHTS = {
    2025: _WEIGHTS_2025,
    2024: {**_WEIGHTS_2025, "distance_to_road_edge": 0.10, "traffic_light_violation": 0.0},
}
"""Of the features in the meta metric, by the year of the challenge."""


def compare(
    log: Features, simulated: Features, vehicles: np.ndarray, year: int = 2025
) -> tuple[dict[str, float], np.ndarray]:
    """Likelihood of each feature of the log (1, E, N) under the rollouts (R, E, N), and the weighted mean over those
    with a value at every step (N,).

    `vehicles` (E,) says for whom times to collision (since 2025) and red lights count.
    """
    there = log.there[0]
    speeds = central_and(there)
    counts = dict.fromkeys(BINS, there) | dict.fromkeys(("linear_speed", "angular_speed"), speeds)
    counts |= {name: central_and(speeds) for name in ("linear_acceleration", "angular_acceleration")}
    if year >= 2025:
        counts["time_to_collision"] = there & vehicles[:, None]
    found, steps = {}, {}
    for name, bins in BINS.items():
        likely = bins.log_likelihood(getattr(log, name)[0], getattr(simulated, name))
        found[name] = mean_likelihood(likely, counts[name])
        steps[name] = [mean_likelihood(likely[:, k], counts[name][:, k]) for k in range(there.shape[1])]
    for name in ("collision_indication", "offroad_indication", "traffic_light_violation"):
        counted = there & vehicles[:, None] if name == "traffic_light_violation" else there
        logged, driven = ((getattr(x, name) & counted).any(-1) for x in (log, simulated))
        found[name] = float(np.exp(bernoulli(logged[0], driven).mean()))
    weights, table = np.array([WEIGHTS[year][name] for name in steps]), np.array(list(steps.values()))
    known = np.where(np.isnan(table), 0.0, weights[:, None]).sum(0)
    series = np.nansum(table * weights[:, None], 0) / np.where(known > 0, known, np.nan)
    return {name: found[name] for name in WEIGHTS[2025]}, series


def weighted(likelihoods: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The weighted mean; a feature that no agent has (a time to collision without vehicles) is left out."""
    known = {name: weights[name] for name, x in likelihoods.items() if not np.isnan(x)}
    return sum(weight * likelihoods[name] for name, weight in known.items()) / sum(known.values())
