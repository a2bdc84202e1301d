"""Drivers: each follows a route and minds leaders, lines, crosswalks and those who come first where routes meet."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import heading, rotate
from drivesim.roadmap import RoadMap
from drivesim.struct import Struct, tensor
from drivesim.types import WALKERS, Agents, Body, Scenario, Scene, State, Vehicle, is_kind

from .bicycle import Bicycle, axles
from .conflicts import Traffic, Zones, find_zones, give_way
from .following import (
    IDM,
    SPACING,
    Routes,
    at,
    lane_limits,
    lane_yaws,
    locate,
    look_ahead,
    speed_limits,
    stop_lines,
    uniform,
    with_steps_of_walkers,
)
from .holonomic import Holonomic
from .limits import limits_of
from .routes import BEFORE, drives, end_of_road, route_of
from .rules import Lines, crosswalk_gap, line_gap, lines_of, minor, stand

ON_ROUTE = 3.0
"""Beside its route, up to which a body is taken to follow it [m]."""

SHORTEST = 0.6
"""Headway that a driver ever keeps [s]."""

LATERAL = 4.0
"""Acceleration in bends that no driver exceeds [m/s^2]; `IDM.lateral` is what they like."""


@dataclass(frozen=True)
class RoadUsers:
    """Command (..., A, 2): acceleration and steering angle of what has wheels, acceleration vector of walkers."""

    wheels: Bicycle = field(default_factory=lambda: Bicycle(0.0, 0.0, forward_only=True))
    feet: Holonomic = field(default_factory=Holonomic)

    def step(self, agents: Agents, body: Body, command: Tensor, dt: float, vehicle: Vehicle) -> tuple[Agents, Body]:
        walks = is_kind(agents.kind, WALKERS)
        moved, after = self.wheels.step(agents, body, command, dt, vehicle)
        walked, afoot = self.feet.step(agents, body, command, dt, vehicle)
        return Agents.where(walks, walked, moved), Body.where(walks, afoot, after)


class Drivers(Struct):
    """What drivers know from the start, and how far each has come (`s` and the lines' `stood`, written by `place`)."""

    routes: Routes = tensor()
    lines: Lines = tensor()
    end: Tensor = tensor()  # (A,) arc length at which the road ends; inf where it does not
    zones: Zones | None = None
    axle: Tensor = tensor(event=2, default=None)  # (A, P, 2) where the rear axle is, for the box's middle on the route
    last: Tensor = tensor(default=None)  # (A,) int64, step at which the log loses the agent for good
    travelled: Tensor = tensor(default=None)  # (T, A) way along the log since the agent was first seen [m]
    s: Tensor = tensor(default=None)  # (A,) arc length now; NaN where not yet on the route
    settled: Tensor = tensor(default=None)  # (A,) bool: has taken over from the log


def drivers_of(scenario: Scenario, seed: int, driver: IDM, variation: float, moving: float) -> Drivers:
    """Routes, rules and places where routes meet, for everybody who drives; row 0 is the ego's announced route."""
    log, scene, n = scenario.log, scenario.scene, scenario.log.valid.shape[1]
    lines: list[Tensor | None] = [uniform(scene.briefing.route)]
    logged = [float(len(lines[0]))]
    draws = np.zeros((n, 2))
    for i in range(1, n):
        rng = np.random.default_rng([seed, i])
        draws[i] = rng.standard_normal(2)
        line, known = route_of(scenario, i, rng) if drives(scenario, i, moving) else (None, 0.0)
        lines.append(line)
        logged.append(known)
    longest = max([len(line) for line in lines if line is not None] + [5])
    points = torch.stack([padded(line, longest) for line in lines])
    length = torch.tensor([SPACING * (len(line) - 1) if line is not None else 0.0 for line in lines])
    end = [end_of_road(scene.map, x[: round(float(m)) + 1], k) for x, m, k in zip(points, length, logged, strict=True)]
    pace, headway = (1 + variation * torch.from_numpy(draws.clip(-2, 2)).float()).unbind(1)
    cruise = _cruise(scenario, points) * pace[:, None]
    light = stop_lines(points, length, scene.signals, lane_yaws(scene.signals, RoadMap.of(scene.map)))
    active = length > 0
    active[0] = False
    routes = Routes(points, length, speed_limits(points, cruise, driver.lateral, driver.braking), light, driver.headway * headway, active)
    start = torch.where(active, BEFORE - 5.0, 0.0)
    end = torch.tensor(end)
    zones = find_zones(points, torch.minimum(length, end), log.size[..., 1].nan_to_num(0).amax(0), start)
    step = (log.xy[1:] - log.xy[:-1]).norm(dim=-1).nan_to_num(0)
    travelled = torch.cat([torch.zeros(1, n), step.cumsum(0)])
    size = log.size.nan_to_num(0).amax(0)
    _, rear = axles(log[0].replace(size=size), scene.briefing.vehicle)
    last = scenario.steps - 1 - log.valid.flip(0).long().argmax(0)
    ruled = lines_of(points, length, light, scene.map)
    end = torch.minimum(end, length)
    nowhere, nobody = torch.full((n,), torch.nan), torch.zeros(n, dtype=torch.bool)
    return Drivers(routes, ruled, end, zones, trailing(points, rear), last, travelled, nowhere, nobody)


def trailing(points: Tensor, rear: Tensor) -> Tensor:
    """Places (A, P, 2) of rear axles `rear` (A,) metres behind the middle that moves along routes (A, P, 2)."""
    line, out = points.double(), torch.empty(points.shape, dtype=torch.float64)
    back, rear = line[:, 0] - line[:, 1], rear.double()[:, None]
    for k in range(points.shape[1]):
        back = torch.nn.functional.normalize(back, dim=-1) * rear
        out[:, k] = line[:, k] + back
        if k + 1 < points.shape[1]:
            back = out[:, k] - line[:, k + 1]
    return out.float()


def place(drivers: Drivers, state: State, dt: float) -> Tensor:
    """Find everybody's arc length (into `drivers.s`); returns how far beside the own route each is (A,)."""
    agents, routes, step = state.agents, drivers.routes, int(state.step)
    expected = BEFORE + drivers.travelled[min(step, len(drivers.travelled) - 1)]
    expected[0] = torch.nan
    near = torch.where(drivers.s.isnan(), expected, drivers.s)
    has = agents.valid & (routes.length > 0)
    off = torch.full_like(agents.yaw, torch.inf)
    for who, around in ((has & ~near.isnan(), True), (has & near.isnan(), False)):
        rows = torch.nonzero(who)[:, 0]
        if len(rows):
            s, lateral = locate(routes.points[rows], agents.xy[rows], near[rows] if around else None)
            drivers.s[rows], off[rows] = s, lateral.abs()
    rows = torch.nonzero(has & routes.active)[:, 0]
    front = drivers.s[rows] + agents.size[rows, 0] / 2
    stand(drivers.lines, rows, front, agents.speed[rows].abs(), dt)
    return off


def drive(drivers: Drivers, state: State, scene: Scene, decides: Tensor, driver: IDM) -> Tensor:
    """Commands (A, 2) of acceleration and steering for those who decide (A,) bool; NaN for the others.

    Whoever does not decide keeps its way and speed, and the others give way to it. Who comes to the end of its road
    after the end of its log no longer decides either, and so leaves the world.
    """
    agents, routes, dt = state.agents, drivers.routes, scene.briefing.dt
    off = place(drivers, state, dt)
    command = torch.full((*agents.yaw.shape, 2), torch.nan)
    who = torch.nonzero(decides & routes.active & agents.valid)[:, 0]
    if not len(who):
        return command
    here = torch.where(drivers.s.isnan(), 0.0, drivers.s)
    speed = agents.speed.nan_to_num(0).clamp_min(0)
    desired = routes.limit.gather(1, (here / SPACING).long().clamp(0, routes.limit.shape[1] - 1)[:, None])[:, 0]
    me, s, v, mine = agents[who], here[who], speed[who], drivers.lines[who]
    front = s + me.size[:, 0] / 2
    gap, leader = leaders(drivers, agents, who, s)
    _settle(drivers, who, gap, v, driver)
    stop = line_gap(mine, front, v, scene.signals.at(int(state.step)), driver)
    walk = crosswalk_gap(mine, routes.points[who], front, me.size, v, agents, scene, driver)
    over = int(state.step) >= drivers.last[who]  # nothing but the map's end is ahead: it may leave the world there
    road = torch.where(over, torch.inf, (drivers.end[who] - front).clamp_min(0.1))
    stop = torch.minimum(torch.minimum(stop, walk), road)
    free = torch.full_like(agents.yaw, torch.inf)
    free[who] = torch.minimum(gap, stop)
    signed = torch.zeros_like(agents.valid)
    signed[who] = minor(mine, s)
    there = agents.valid & (routes.length > 0) & (off < ON_ROUTE)
    half = agents.size[:, 0] / 2
    deaf = torch.ones_like(agents.valid)
    deaf[who] = False
    traffic = Traffic(here, half, speed, torch.where(deaf, speed, desired), free, signed, deaf, there)

    headway, limit = drivers.routes.headway[who], desired[who]
    least = driver.accelerate(v, limit, gap, leader, headway)
    # a line is reached to within half a metre; a leader is kept at the standstill gap
    least = torch.minimum(
        least, driver.accelerate(v, limit, stop + driver.gap - 0.5, torch.zeros_like(v), 0.5 * headway)
    )
    if drivers.zones is not None and len(drivers.zones.me):
        zone, room, pace = give_way(drivers.zones, traffic, driver.acceleration, driver.max_braking)
        k = drivers.zones.me[zone]
        wish = driver.accelerate(speed[k], desired[k], room, pace, 0.5 * routes.headway[k])
        whole = torch.full_like(agents.yaw, torch.inf)
        whole.scatter_reduce_(0, k, wish, "amin")
        least = torch.minimum(least, whole[who])
    limits = limits_of(me.kind)
    least = torch.minimum(torch.maximum(least, -limits.braking), limits.acceleration)
    wish = torch.stack([least, steer(drivers, agents, who, s, scene.briefing.vehicle)], -1)
    leaves = over & (front >= drivers.end[who] - 3.0)
    command[who] = torch.where(leaves[:, None], torch.nan, wish)
    return command


def _settle(drivers: Drivers, who: Tensor, gap: Tensor, speed: Tensor, driver: IDM) -> None:
    """Drivers (N,) who take over behind a leader keep the headway that the log left them with, if it is the shorter:
    a real driver who follows closely does not brake at once because a model would keep more distance."""
    fresh = ~drivers.settled[who]
    left = ((gap - driver.gap) / speed.clamp_min(0.1)).clamp_min(SHORTEST)
    now = drivers.routes.headway[who]
    drivers.routes.headway[who] = torch.where(fresh, torch.minimum(now, left), now)
    drivers.settled[who] = True


def leaders(drivers: Drivers, agents: Agents, who: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Free way (N,) before whoever is ahead on the route of each of `who` (N,), and that one's speed (N,).

    Ahead is whose middle is ahead of one's own: of two who touch side by side, the one behind waits.
    """
    strange = agents.valid & (drivers.routes.length == 0) & (agents.velocity.norm(dim=-1) > 0.5)
    strange = strange & ~is_kind(agents.kind, WALKERS)  # moves, and nobody knows where
    later = agents[strange]
    seen = Agents.cat([with_steps_of_walkers(agents), later.replace(xy=later.xy + later.velocity)])
    me = agents[who]
    ahead = ((seen.xy - me.xy[:, None]) * heading(me.yaw)[:, None]).sum(-1) > 0
    other = seen.valid & ahead & (torch.arange(len(seen.valid)) != who[:, None])
    routes = drivers.routes
    return look_ahead(routes.points[who], routes.length[who], s, me.size, seen, other)


def steer(drivers: Drivers, agents: Agents, who: Tensor, s: Tensor, vehicle: Vehicle) -> Tensor:
    """Angles (N,) that bring the rear axles of `who` (N,) to a point of the route 0.6 s, at least 3 m, ahead."""
    wheelbase, rear = (x[who] for x in axles(agents, vehicle))
    me, routes, limits = agents[who], drivers.routes, limits_of(agents.kind[who])
    speed = me.speed.abs()
    reach = torch.maximum(0.6 * speed, (0.7 * me.size[:, 0]).clamp_min(3.0))
    target, _ = at(drivers.axle[who], routes.length[who], (s + reach)[:, None])
    axle = me.xy - rear[:, None] * heading(me.yaw)
    local = rotate(target[:, 0] - axle, -me.yaw)
    angle = torch.atan(2 * wheelbase * local[:, 1] / local.square().sum(-1).clamp_min(1.0))
    most = torch.atan(wheelbase * torch.minimum(limits.lateral, torch.tensor(LATERAL)) / speed.square().clamp_min(1e-2))
    most = torch.minimum(most, limits.steering)
    return torch.maximum(torch.minimum(angle, most), -most)


def padded(line: Tensor | None, n: int) -> Tensor:
    """A line (m, 2) as (n, 2): its last point again and again, or zeros where there is none."""
    return torch.zeros(n, 2) if line is None else torch.cat([line, line[-1:].expand(n - len(line), 2)])


def _cruise(scenario: Scenario, points: Tensor) -> Tensor:
    """Speed (A, P) each driver would like: the lane's limit where known, else the fastest it was logged at."""
    log, lanes = scenario.log, scenario.scene.map.lanes
    fastest = torch.where(log.valid, log.speed, 0.0).amax(0).clamp_min(5.0)
    cruise = fastest[:, None].expand(points.shape[:2]).clone()
    if not bool(lanes.speed_limit.isnan().all()):
        known = (points[:, 1:] != points[:, :-1]).any(2).any(1)
        cruise[known] = lane_limits(points[known], lanes, RoadMap.of(scenario.scene.map), cruise[known])
    cycles = ~is_kind(log.kind.amax(0), WALKERS) & (limits_of(log.kind.amax(0)).power < 13.0)  # they pedal
    own = torch.where(cycles, fastest, torch.inf)
    return torch.minimum(cruise, own[:, None])
