"""Reactive traffic: vehicles and cyclists drive their own route by IDM; the rest follows the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import heading, rotate
from drivesim.loading import route_along
from drivesim.memory.history import History
from drivesim.roadmap import RoadMap
from drivesim.types import CYCLES, VEHICLES, Action, Agents, Kind, Scenario, Scene, State, is_kind

from .bicycle import Bicycle, axles
from .following import (
    IDM,
    SPACING,
    Routes,
    at,
    lane_limits,
    lane_yaws,
    locate,
    look_ahead,
    red_gap,
    speed_limits,
    stop_lines,
    uniform,
    with_steps_of_walkers,
)

DRIVERS = tuple(k for k in (*VEHICLES, *CYCLES) if k != Kind.TRAILER)
"""Who drives by itself; a trailer goes where it is pulled, which only its log knows."""


@dataclass(frozen=True)
class IDMTraffic:
    """Each driver follows the path of its own log and then the lanes on from there, at its own speed and distance.

    Desired speeds (limit of the lane, else the fastest the log shows) and headways vary by `variation` (standard
    deviation over mean) from agent to agent, drawn from the rollout's seed. Who never moves in a log without signals
    is parked and stays; who reverses follows the log.
    """

    driver: IDM = field(default_factory=IDM)
    variation: float = 0.1
    moving: float = 2.0  # shorter logged paths are parked [m]
    body: Bicycle = field(default_factory=lambda: Bicycle(0.0, 0.0, forward_only=True))

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        lines = [self._line(scenario, i) for i in range(scenario.log.valid.shape[1])]
        longest = max([len(line) for line in lines if line is not None], default=5)
        points = torch.stack([_padded(line, longest) for line in lines])
        length = torch.tensor([SPACING * (len(line) - 1) if line is not None else 0.0 for line in lines])
        draws = np.stack([np.random.default_rng([seed, i]).standard_normal(2) for i in range(len(lines))])
        pace, headway = (1 + self.variation * torch.from_numpy(draws.clip(-2, 2)).float()).unbind(1)
        cruise = self._cruise(scenario, points) * pace[:, None]
        signals = scenario.scene.signals
        routes = Routes(
            points=points,
            length=length,
            limit=speed_limits(points, cruise, self.driver),
            stop=stop_lines(points, length, signals, lane_yaws(signals, RoadMap.of(scenario.scene.map))),
            headway=self.driver.headway * headway,
            active=length > 0,
        )
        return state.replace(mind=routes)

    def act(self, state: State, history: History, scene: Scene) -> Action:
        agents, routes = state.agents, state.mind
        assert isinstance(routes, Routes)
        who = torch.nonzero(routes.active & agents.valid)[:, 0]
        command = torch.full((*agents.yaw.shape, 2), torch.nan)
        valid = torch.zeros_like(agents.valid)
        if len(who):
            command[who] = self._drive(agents, who, routes[who], int(state.step), scene)
            valid[who] = True
        return Action(command, valid)

    def _drive(self, agents: Agents, who: Tensor, routes: Routes, step: int, scene: Scene) -> Tensor:
        me = agents[who]
        s, _ = locate(routes.points, me.xy)
        seen = with_steps_of_walkers(agents)
        other = seen.valid & (torch.arange(len(seen.valid)) != who[:, None])
        gap, leader = look_ahead(routes.points, routes.length, s, me.size, seen, other)
        speed = me.speed.clamp_min(0)
        red = red_gap(routes.stop, s + me.size[:, 0] / 2, speed, scene.signals.at(step), self.driver)
        nearer = red < gap
        gap, leader = torch.where(nearer, red, gap), torch.where(nearer, 0.0, leader)
        place = (s / SPACING).long().clamp(0, routes.limit.shape[1] - 1)
        limit = routes.limit.gather(1, place[:, None])[:, 0]
        acceleration = self.driver.accelerate(speed, limit, gap, leader, routes.headway)
        return torch.stack([acceleration, self._steer(agents, who, routes, s, scene)], -1)

    def _steer(self, agents: Agents, who: Tensor, routes: Routes, s: Tensor, scene: Scene) -> Tensor:
        """Pure pursuit of a point 0.8 s ahead, at least 4 m."""
        wheelbase, rear = (x[who] for x in axles(agents, scene.briefing.vehicle))
        me = agents[who]
        reach = (0.8 * me.speed).clamp_min(4.0)
        target, _ = at(routes.points, routes.length, (s + reach)[:, None])
        axle = me.xy - rear[:, None] * heading(me.yaw)
        local = rotate(target[:, 0] - axle, -me.yaw)
        return torch.atan(2 * wheelbase * local[:, 1] / local.square().sum(-1).clamp_min(1.0))

    def _line(self, scenario: Scenario, i: int) -> Tensor | None:
        """The route of agent i, or None if it does not drive."""
        log = scenario.log[:, i]
        seen = log[log.valid]
        if i == 0 or not len(seen.yaw) or not bool(is_kind(seen.kind[:1], DRIVERS)):
            return None
        travel = (seen.velocity * heading(seen.yaw)).sum(-1) * scenario.scene.briefing.dt
        if float(travel.sum()) < -0.5:
            return None  # it reverses, which no route describes
        moved = float((seen.xy[-1] - seen.xy[0]).norm()) >= self.moving
        if not moved and not self._waits(scenario, seen):
            return None
        map = scenario.scene.map
        line = route_along(map, seen.xy.double().numpy(), beyond=150.0, yaw=float(seen.yaw[0]), center=False)
        return uniform(line)

    def _waits(self, scenario: Scenario, seen: Agents) -> bool:
        """Whether a body that never moves stands in a lane of a map with signals: held up, not parked."""
        if not len(scenario.scene.signals.lane):
            return False
        lane, _, lateral = RoadMap.of(scenario.scene.map).nearest_lane(seen.xy[0], seen.yaw[0], turn=0.35)
        return int(lane) >= 0 and abs(float(lateral)) < 0.8

    def _cruise(self, scenario: Scenario, points: Tensor) -> Tensor:
        """Speed (A, P) each driver would like: the lane's limit where known, else the fastest it was logged at."""
        log, lanes = scenario.log, scenario.scene.map.lanes
        fastest = torch.where(log.valid, log.speed, 0.0).amax(0).clamp_min(5.0)
        cruise = fastest[:, None].expand(points.shape[:2]).clone()
        if not bool(lanes.speed_limit.isnan().all()):
            drives = (points[:, 1:] != points[:, :-1]).any(2).any(1)
            road = RoadMap.of(scenario.scene.map)
            cruise[drives] = lane_limits(points[drives], lanes, road, cruise[drives])
        return cruise


def _padded(line: Tensor | None, n: int) -> Tensor:
    if line is None:
        return torch.zeros(n, 2)
    return torch.cat([line, line[-1:].expand(n - len(line), 2)])
