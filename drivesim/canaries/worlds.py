"""The straight road on which the canaries' drives take place."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..types import (
    DT,
    Agents,
    Body,
    Briefing,
    Cause,
    Command,
    Ground,
    Kind,
    Lanes,
    Map,
    Polylines,
    Rollout,
    Scenario,
    Scene,
    Scenery,
    Signals,
    Vehicle,
)

VEHICLE = Vehicle(length=5.0, width=2.0, height=1.5, wheelbase=3.0, rear_axle_to_center=1.5)
"""The ego's and everybody's box: round numbers, so that contacts can be worked out in one's head."""


def road(half: float = 20.0) -> Map:
    """One lane along y = 0, 4 m wide, from x = -100 to 300 m; drivable up to `half` [m] to either side of it."""
    line = torch.tensor([[-100.0, 0.0, 0.0], [300.0, 0.0, 0.0]])
    none = torch.zeros(0, dtype=torch.int64)
    lanes = Lanes(
        Polylines.of([line], dims=3), torch.tensor([4.0]), torch.tensor([math.nan]), torch.tensor([False]),
        none.reshape(0, 2), none.reshape(0, 3),
    )  # fmt: skip
    ring = torch.tensor([[-100.0, -half], [300.0, -half], [300.0, half], [-100.0, half]])
    return Map(lanes, Polylines.of([ring]), Polylines.of([]), Polylines.of([], dims=3), Ground.flat())


def track(steps: int, xy: tuple[float, float], yaw: float = 0.0, speed: float = 0.0, gain: float = 0.0) -> Agents:
    """A car (steps,) that starts with its centre at `xy` and drives along `yaw`, gaining `gain` [m/s^2]."""
    t = DT * torch.arange(steps, dtype=torch.float64)
    ahead = torch.tensor([math.cos(yaw), math.sin(yaw)], dtype=torch.float64)
    start = torch.tensor(xy, dtype=torch.float64)
    place, velocity = start + (speed * t + gain * t**2 / 2)[:, None] * ahead, (speed + gain * t)[:, None] * ahead
    zero, size = torch.zeros(steps), torch.tensor([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    return Agents(
        place.float(), zero, torch.full((steps,), yaw), zero, zero, velocity.float(), size.expand(steps, 3),
        torch.full((steps,), int(Kind.CAR)), torch.ones(steps, dtype=torch.bool),
    )  # fmt: skip


def driven(ego: Agents, *others: Agents, log: Agents | None = None, half: float = 20.0) -> tuple[Rollout, Scenario]:
    """A drive of the tracks (T,), ego first, on `road(half)`; the ego's `log` is the drive itself unless given."""
    agents = Agents.stack([ego, *others], dim=1)
    logged = Agents.stack([log or ego, *others], dim=1)
    route = torch.tensor([[-100.0, 0.0], [300.0, 0.0]])
    scene = Scene(road(half), Scenery.none(), Signals.none(), Briefing(route, Command.STRAIGHT, VEHICLE, ()))
    names = ("ego", *(str(i) for i in range(1, agents.yaw.shape[1])))
    origin: Tensor = torch.zeros(3, dtype=torch.float64)
    scenario = Scenario("canary", "canary", "0" * 32, scene, logged, names, 0, None, origin, "none")
    zero = torch.zeros_like(agents.yaw)
    rollout = Rollout(
        scenario.id, scenario.fingerprint, 0, 0, DT, agents, Body(zero, zero), (), (), VEHICLE, Cause.END_OF_LOG
    )
    return rollout, scenario
