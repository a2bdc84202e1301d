"""What a step is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COMFORT = 3.0
"""Acceleration, along and across, whose square counts as one unit of discomfort [m/s^2]."""


@dataclass(frozen=True)
class Weights:
    """The reward is the sum of these terms; all weights are positive, signs are in the words.

    Own choice: a crash costs what 25 m of the way earn, arriving is worth as much, and comfort decides between drives
    that are equal in that.
    """

    progress: float = 0.2  # + per metre along the route
    arrival: float = 5.0  # + once, where the log's ego or the goal is
    collision: float = 5.0  # - once
    off_road: float = 5.0  # - once
    red_light: float = 5.0  # - for each stop line passed on red
    discomfort: float = 0.05  # - per second, times the squares of acceleration along and across over COMFORT
    speeding: float = 0.05  # - per second and m/s above what lane and bends allow


@dataclass(frozen=True)
class Moment:
    """A step of B egos; what is a bool only at the step at which it happens."""

    gain: np.ndarray  # (B,) made good along the route [m]
    acceleration: np.ndarray  # (B,) along the heading [m/s^2]
    lateral: np.ndarray  # (B,) across [m/s^2]
    excess: np.ndarray  # (B,) above the speed allowed [m/s], not below 0
    arrived: np.ndarray  # (B,) bool
    collision: np.ndarray  # (B,) bool
    off_road: np.ndarray  # (B,) bool
    red_light: np.ndarray  # (B,) bool


def terms(weights: Weights, now: Moment, dt: np.ndarray) -> dict[str, np.ndarray]:
    """The reward's terms by name, each (B,) float64; dt (B,) [s]."""
    effort = (now.acceleration / COMFORT) ** 2 + (now.lateral / COMFORT) ** 2
    return {
        "progress": weights.progress * now.gain,
        "arrival": weights.arrival * now.arrived,
        "collision": -weights.collision * now.collision,
        "off_road": -weights.off_road * now.off_road,
        "red_light": -weights.red_light * now.red_light,
        "discomfort": -weights.discomfort * effort * dt,
        "speeding": -weights.speeding * now.excess * dt,
    }
