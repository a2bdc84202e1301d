"""How a value goes from one to another: the standard's dynamics shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .nodes import Node

SHAPES = ("step", "linear", "sinusoidal", "cubic")

PEAK = {"linear": 1.0, "sinusoidal": math.pi / 2, "cubic": 1.5, "step": 1.0}
"""Largest slope of each shape over its mean slope: a `rate` is the largest that occurs."""


@dataclass(frozen=True)
class Dynamics:
    """Shape, and over how much time, distance or at what rate."""

    shape: str = "step"
    dimension: str = "time"
    value: float = 0.0  # [s], [m], or units per second

    def duration(self, change: float, speed: float) -> float:
        """Seconds for a change of that much, at a mean speed where a distance is given; infinite if that is 0."""
        if self.shape == "step" or change == 0 and self.dimension == "rate":
            return 0.0
        if self.dimension == "time":
            return self.value
        if self.dimension == "rate":
            return abs(change) * PEAK[self.shape] / self.value if self.value else math.inf
        return self.value / abs(speed) if speed else math.inf


def read_dynamics(node: Node) -> Dynamics:
    shape = node.choice("dynamicsShape", SHAPES)
    dimension = node.choice("dynamicsDimension", ("time", "distance", "rate"), "time")
    value = abs(node.number("value", 0.0))  # files of the field write decelerations as negative rates
    # a rate of 0 changes nothing and never ends
    return Dynamics("step" if value == 0 and dimension != "rate" else shape, dimension, value)


def share(shape: str, progress: float) -> float:
    """How much of the change is done at a progress from 0 to 1."""
    x = min(max(progress, 0.0), 1.0)
    if shape == "sinusoidal":
        return (1 - math.cos(math.pi * x)) / 2
    if shape == "cubic":
        return x * x * (3 - 2 * x)
    return x if shape == "linear" else 1.0
