"""The road at a moment, as all see it who choose lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from drivesim.roadmap import RoadMap
from drivesim.traffic.following import IDM, SPACING, at
from drivesim.types import Agents, Map, Scene, State

from .lane_gaps import Around
from .lane_graph import LaneGraph

if TYPE_CHECKING:
    from .mobil import LaneChangers

SOON = 3.0
"""Ahead on their routes, at which others are taken to be in a lane already [s]."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """The road at a moment: what all who choose lanes at it look at."""

    minds: LaneChangers
    map: Map
    graph: LaneGraph
    around: Around
    lane: np.ndarray  # (A,) int64, -1 for none
    place: np.ndarray  # (A,) arc length on it [m]
    aside: np.ndarray  # (A,) from its middle [m]
    s: np.ndarray  # (A,) arc length on the own route
    line: np.ndarray  # (A,) arc length of the next line on it: light, sign, crosswalk; inf for none
    step: int
    dt: float

    @staticmethod
    def of(minds: LaneChangers, state: State, scene: Scene, driver: IDM) -> Outlook:
        agents, dt = state.agents, scene.briefing.dt
        lane, place, aside = RoadMap.of(scene.map).nearest_lane(agents.xy, agents.yaw, turn=torch.pi / 4)
        s = minds.progress.s + dt * agents.speed.nan_to_num(0)
        return Outlook(
            minds, scene.map, LaneGraph.of(scene.map), _around(minds, agents, s, driver), lane.numpy(),
            place.numpy(), aside.numpy(), s.numpy(), _next_line(minds, s).numpy(), int(state.step), dt,
        )  # fmt: skip


def _around(minds: LaneChangers, agents: Agents, s: Tensor, driver: IDM) -> Around:
    """All bodies, their manners and where their routes will have them."""
    routes, speed = minds.drivers, agents.speed.nan_to_num(0)
    style, index = routes.style, (s.nan_to_num(0) / SPACING).long()
    reacts = minds.switches.done & routes.active & agents.valid
    desired = routes.limit.gather(1, index.clamp(0, routes.limit.shape[1] - 1)[:, None])[:, 0]
    travel = torch.where(minds.changes.until > s, minds.changes.until - s, SOON * speed).clamp_min(0)
    later = at(routes.points, routes.length, (s + travel)[:, None])[0][:, 0]
    later = torch.where((s.isnan() | (routes.length == 0))[:, None], torch.nan, later)
    return Around(
        xy=agents.xy.double().numpy(), yaw=agents.yaw.double().numpy(), velocity=agents.velocity.double().numpy(),
        half=(agents.size[:, :2] / 2).double().numpy(), valid=agents.valid.numpy(), later=later.double().numpy(),
        travel=travel.double().numpy(), reacts=reacts.numpy(),
        desired=torch.where(reacts, desired, speed).double().numpy(), 
        acceleration=style.acceleration.double().numpy(), braking=style.braking.double().numpy(),
        headway=minds.progress.headway.double().numpy(), gap=style.gap.double().numpy(), exponent=driver.exponent,
    )  # fmt: skip


def _next_line(minds: LaneChangers, s: Tensor) -> Tensor:
    """Arc length (A,) of the next line on each route, inf for none."""
    arcs = minds.drivers.lines.s
    return torch.where(arcs > s[:, None], arcs, torch.inf).amin(1)
