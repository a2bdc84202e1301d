"""Intelligent driver along the route."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from drivesim.geometry import to_frame, wrap_angle
from drivesim.roadmap import RoadMap
from drivesim.traffic.following import (
    IDM as Driver,
)
from drivesim.traffic.following import (
    SPACING,
    STRAY,
    at,
    ease,
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
from drivesim.types import Briefing, Observation, Plan, Privileged

BRAKES = 10.0
"""Harder than any road vehicle brakes [m/s^2]: a dry road gives 8 to 9."""


@dataclass
class IDM:
    """Follows the route at the speed that leader, lights, limit and curves allow; it sees the world's true state.

    The plan rolls the model out against a leader that goes on braking as it does, else keeps its speed; an offset
    from the route eases out over `settle` seconds of travel.
    """

    driver: Driver = field(default_factory=lambda: Driver(lateral=1.2))  # gentle in bends: the LQR tracker is soft
    cruise: float = 13.9  # where no lane states a limit, or as fast as it goes at the start [m/s]
    horizon: float = 4.0  # [s]
    settle: float = 1.5  # [s]
    period: float = 0.1
    sensors: tuple[str, ...] = ()
    privileged: bool = True

    def reset(self, briefing: Briefing) -> None:
        self._dt = briefing.dt
        self._route = uniform(briefing.route)[None]
        self._length = torch.tensor([SPACING * (self._route.shape[1] - 1)])
        self._limit: Tensor | None = None
        self._s: Tensor | None = None  # where on the route the last plan was made
        self._leader: Tensor | None = None  # (1,) its speed at the last plan
        self._slowing = torch.zeros(1)  # acceleration of the leader, never above 0 [m/s^2]

    def plan(self, observation: Observation) -> Plan:
        world = observation.world
        assert world is not None
        speed = observation.ego.velocity[-1:, 0].clamp_min(0)
        if self._limit is None:
            self._limit, self._stop = self._rules(world, float(speed))
        s = self._progress(world.agents.xy[:1])
        gap, leader = self._obstacle(world, s, speed)
        self._watch(leader)
        travel = self._roll_out(s, speed, gap, leader) - s
        poses = self._poses(world.ego_pose, travel, float(speed))
        return Plan(poses, torch.arange(1, len(poses) + 1) * self._dt)

    def _progress(self, xy: Tensor) -> Tensor:
        """Arc length (1,) of the box centre. A route that crosses itself is followed in order, from its start on."""
        if self._s is None:
            place, lateral = locate(self._route, xy, torch.tensor([STRAY]))
            self._s = place if abs(float(lateral[0])) < 5.0 else locate(self._route, xy)[0]
        self._s, _ = locate(self._route, xy, self._s)
        return self._s

    def _rules(self, world: Privileged, speed: float) -> tuple[Tensor, Tensor]:
        """Allowed speed (1, P) and stop lines (1, S) along the route."""
        road = RoadMap.of(world.map)
        cruise = torch.full(self._route.shape[:2], max(self.cruise, speed))
        limit = lane_limits(self._route, world.map.lanes, road, cruise)
        stop = stop_lines(self._route, self._length, world.signals, lane_yaws(world.signals, road))
        return speed_limits(self._route, limit, self.driver.lateral, self.driver.braking), stop

    def _obstacle(self, world: Privileged, s: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
        """Gap (1,) to what ends the way ahead and its speed (1,): the leader or a stop line."""
        seen = with_steps_of_walkers(world.agents)
        other = (seen.valid & (torch.arange(len(seen.valid)) != 0))[None]
        size = world.agents.size[:1]
        gap, leader = look_ahead(self._route, self._length, s, size, seen, other)
        red = red_gap(self._stop, s + size[:, 0] / 2, speed, world.signals.at(world.step), self.driver)
        return torch.minimum(gap, red), torch.where(red < gap, 0.0, leader)

    def _watch(self, leader: Tensor) -> None:
        """How hard the leader brakes, smoothed; another leader shows as a jump of the speed."""
        change = (leader - self._leader) / self.period if self._leader is not None else torch.zeros(1)
        same = change.abs() <= BRAKES
        self._slowing = torch.where(same, 0.5 * (self._slowing + change.clamp_max(0.0)), 0.0)
        self._leader = leader

    def _roll_out(self, s: Tensor, speed: Tensor, gap: Tensor, leader: Tensor) -> Tensor:
        """Arc lengths (H,) of the box centre over the horizon."""
        places = []
        assert self._limit is not None
        headway = torch.full_like(s, self.driver.headway)
        for _ in range(round(self.horizon / self._dt)):
            limit = self._limit[:, min(max(int(s[0] / SPACING), 0), self._limit.shape[1] - 1)]
            a = self.driver.accelerate(speed, limit, gap, leader, headway)
            following = (speed + self._dt * a).clamp_min(0)
            moved = self._dt * (speed + following) / 2
            s, speed, gap = s + moved, following, gap + self._dt * leader - moved
            leader = (leader + self._dt * self._slowing).clamp_min(0)
            places.append(s)
        return torch.cat(places)

    def _poses(self, pose: Tensor, travel: Tensor, speed: float) -> Tensor:
        """Poses (H, 3) of the rear axle in the ego frame after `travel` (H,) metres along the route.

        The present offset and slope ease out over the `settle` time along a cubic.
        """
        s, lateral = locate(self._route, pose[None, :2], self._s)
        _, here = at(self._route, self._length, s[:, None])
        slope = torch.tan(wrap_angle(pose[2] - here[0, 0]).clamp(-1.2, 1.2))
        xy, yaw = at(self._route, self._length, (s + travel)[None])
        offset, lean = ease(lateral, slope, travel, max(self.settle * speed, 8.0))
        normal = torch.stack([-torch.sin(yaw[0]), torch.cos(yaw[0])], -1)
        poses = torch.cat([xy[0] + offset[:, None] * normal, (yaw[0] + torch.atan(lean))[:, None]], -1)
        return to_frame(poses, pose)
