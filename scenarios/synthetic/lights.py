"""Traffic lights: two phases a crossing, each lane's head at the far side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from drivesim.types import DT, Light

from . import curves
from .lanes import Network
from .streets import Crossing, Street

YELLOW, CLEARANCE = 3.5, 2.0
"""Length of yellow and of all-red [s]."""
WALK = 4.0
"""Pedestrians set off in the first seconds of a green [s]."""


@dataclass
class Plan:
    """Phases of one crossing: arms 0 and 2 first, then arms 1 and 3."""

    green: tuple[float, float]  # [s]
    offset: float  # time at which a cycle starts [s]

    @property
    def cycle(self) -> float:
        return sum(self.green) + 2 * (YELLOW + CLEARANCE)

    def onset(self, axis: int, before: float) -> float:
        """Start of the last green of an axis at or before a time [s]."""
        first = self.offset + axis * (self.green[0] + YELLOW + CLEARANCE)
        return first + np.floor((before - first) / self.cycle) * self.cycle

    def light(self, arm: int, time: float) -> Light:
        """What an arm shows at a time [s]; a step's light is the one that begins with it."""
        axis = arm % 2
        start = self.offset + axis * (self.green[0] + YELLOW + CLEARANCE)
        since = (time + 1e-6 - start) % self.cycle
        if since < self.green[axis]:
            return Light.GREEN
        return Light.YELLOW if since < self.green[axis] + YELLOW else Light.RED


def draw_plans(rng: np.random.Generator, crossings: list[Crossing]) -> list[Plan]:
    plans = []
    for _ in crossings:
        green = (float(rng.uniform(9, 15)), float(rng.uniform(9, 15)))
        plans.append(Plan(green, float(rng.uniform(0, 35))))
    return plans


def heads(
    crossings: list[Crossing], streets: list[Street], net: Network, road: shapely.Geometry
) -> dict[int, np.ndarray]:
    """Inbound lane -> x, y, height above the ground, yaw of its lamp head.

    Heads stand on poles beyond the crossing: at the right kerb, and at the left one for the left of two lanes.
    """
    out = {}
    for (number, arm), lanes in net.inbound.items():
        crossing = crossings[number]
        ahead = crossing.yaw + (arm + 2) * np.pi / 2
        left = curves.direction(ahead + np.pi / 2)
        across = max(streets[s].half for k, (s, _) in crossing.arms.items() if (k - arm) % 2)
        far = crossing.xy + curves.direction(ahead) * crossing.reach.get((arm + 2) % 4, across + 1.2)
        for place, lane in enumerate(lanes):
            side = -1 if place == len(lanes) - 1 else 1
            edge = streets[crossing.arms[arm][0]].half + 0.9
            while shapely.dwithin(road, shapely.Point(far + side * edge * left), 0.6):
                edge += 0.2
            out[lane] = np.array([*(far + side * edge * left), 3.6, ahead + np.pi])
    return out


def timetable(plans: list[Plan], net: Network, ruled: list[int], seconds: float) -> np.ndarray:
    """States (T, S) of the connectors `ruled` at every step."""
    steps = range(int(round(seconds / DT)) + 1)
    arms = {(net.lanes[c].crossing, net.lanes[c].arm) for c in ruled}
    column = {(x, arm): [int(plans[x].light(arm, k * DT)) for k in steps] for x, arm in sorted(arms)}
    return np.array([column[net.lanes[c].crossing, net.lanes[c].arm] for c in ruled]).T
