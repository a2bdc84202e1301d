"""What drivers know from the start (`Drivers`) and how far each has come (`Progress`)."""

from __future__ import annotations

from enum import IntEnum

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.dynamics.bicycle import axles
from drivesim.dynamics.limits import limits_of
from drivesim.roadmap import RoadMap
from drivesim.struct import Struct, tensor
from drivesim.traffic.conflicts import Zones, find_zones
from drivesim.traffic.following import SPACING, lane_limits, lane_yaws, speed_limits, stop_lines, uniform
from drivesim.traffic.routes import BEFORE, drives, end_of_road, route_of
from drivesim.traffic.rules import entries, passes
from drivesim.traffic.styles import Styles
from drivesim.types import WALKERS, Agents, Map, Scenario, Signals, StopKind, is_kind

WIDER = 0.1
"""Than its body, to each side, is the disc that a driver keeps free ahead [m]."""


class LineKind(IntEnum):
    """What a driver meets at a line."""

    NOTHING = 0  # padding
    STOP = 1
    YIELD = 2
    LIGHT = 3
    CROSSWALK = 4


class Lines(Struct):
    """Where each route passes lines, nearest first; padded with NOTHING at inf."""

    s: Tensor = tensor(event=1)  # (..., A, M) arc length [m]
    kind: Tensor = tensor(event=1)  # (..., A, M) int64, a LineKind
    ref: Tensor = tensor(event=1)  # (..., A, M) int64: which of Map.stops, of the signals, of Map.crosswalks


class Drivers(Struct):
    """Routes, rules and manners of all agents; row 0 is the ego, whose way is its announced route."""

    points: Tensor = tensor(event=2)  # (..., A, P, 2) way of the box's middle, every SPACING metres; padded by its end
    axle: Tensor = tensor(event=2)  # (..., A, P, 2) where the rear axle is then
    nose: Tensor = tensor(event=2)  # (..., A, P, 2) and a disc as wide as the body, within its front; see `noses`
    limit: Tensor = tensor(event=1)  # (..., A, P) speed that lane and curves allow [m/s]
    length: Tensor = tensor()  # (..., A) of the route [m], 0 where there is none
    end: Tensor = tensor()  # (..., A) arc length at which the road ends, at most the length
    last: Tensor = tensor()  # (..., A) int64, step at which the log loses the agent for good
    active: Tensor = tensor()  # (..., A) bool: drives by itself
    style: Styles = tensor()  # (..., A)
    lines: Lines = tensor()  # (..., A)
    zones: Zones = tensor()  # (..., Z); padding has me = -1
    along: Tensor = tensor(event=1)  # (..., T, A) arc length on the route at which the log has the agent [m]


class Progress(Struct):
    """What drivers remember of the drive so far."""

    s: Tensor = tensor()  # (..., A) arc length on the own route; NaN where not yet known
    settled: Tensor = tensor()  # (..., A) bool: has taken over from the log
    headway: Tensor = tensor()  # (..., A) [s]
    stood: Tensor = tensor(event=1)  # (..., A, M) seconds that it has stood at each line

    @staticmethod
    def none(drivers: Drivers) -> Progress:
        nowhere = torch.full_like(drivers.length, torch.nan)
        settled = torch.zeros_like(drivers.active)
        return Progress(nowhere, settled, drivers.style.headway.clone(), torch.zeros_like(drivers.lines.s))


def drivers_of(scenario: Scenario, seed: int, style: Styles, moving: float) -> Drivers:
    """Routes, rules and places where routes meet, for everybody who drives in the manner of `style` (A,).

    The branches that routes take after the end of the log are drawn from the seed. Whose logged path is shorter than
    `moving` metres is parked.
    """
    log, scene, n = scenario.log, scenario.scene, scenario.log.valid.shape[1]
    lines: list[Tensor | None] = [uniform(scene.briefing.route)]
    logged = [float(len(lines[0]))]
    for i in range(1, n):
        rng = np.random.default_rng([seed, i, 1])
        line, known = route_of(scenario, i, rng) if drives(scenario, i, moving) else (None, 0.0)
        lines.append(line)
        logged.append(known)
    points = stacked(lines)
    length = torch.tensor([SPACING * (len(line) - 1) if line is not None else 0.0 for line in lines])
    end = [end_of_road(scene.map, x[: round(float(m)) + 1], k) for x, m, k in zip(points, length, logged, strict=True)]
    active = length > 0
    active[0] = False
    size = log.size.nan_to_num(0).amax(0)
    along = BEFORE + torch.cat([torch.zeros(1, n), (log.xy[1:] - log.xy[:-1]).norm(dim=-1).nan_to_num(0).cumsum(0)])
    usual = torch.maximum(cruise(scenario, points, style.pace), logged_speeds(log, along, points.shape[1]))
    limit = speed_limits(points, usual, style.lateral, style.braking)
    last = (length / SPACING).round().long()[:, None]
    limit = limit.gather(1, torch.arange(points.shape[1]).expand(n, -1).minimum(last))  # padding is as its last point
    end = torch.minimum(torch.tensor(end), length)
    start = torch.where(active, BEFORE - 5.0, 0.0)
    axle = trailing(points, axles(log[0].replace(size=size), scene.briefing.vehicle)[1])
    return Drivers(
        points=points,
        axle=axle,
        nose=noses(points, axle, size),
        limit=limit,
        length=length,
        end=end,
        last=scenario.steps - 1 - log.valid.flip(0).long().argmax(0),
        active=active,
        style=style,
        lines=lines_of(points, length, scene.signals, scene.map),
        zones=find_zones(points, end, size[:, 1], start),
        along=along,
    )


def stacked(lines: list[Tensor | None]) -> Tensor:
    """Lines (m, 2) as (A, P, 2): each padded by its last point, zeros where there is none."""
    longest = max([len(line) for line in lines if line is not None] + [5])
    rows = [
        torch.zeros(longest, 2) if line is None else torch.cat([line, line[-1:].expand(longest - len(line), 2)])
        for line in lines
    ]
    return torch.stack(rows)


def trailing(points: Tensor, rear: Tensor) -> Tensor:
    """Places (A, P, 2) of rear axles `rear` (A,) metres behind the middle that moves along routes (A, P, 2)."""
    return torch.from_numpy(_trailing(points.double().numpy(), rear.double().numpy())).float()


@numba.njit(cache=True, error_model="numpy")
def _trailing(points, rear):
    out = np.empty_like(points)
    for i in range(len(points)):
        bx, by = points[i, 0, 0] - points[i, 1, 0], points[i, 0, 1] - points[i, 1, 1]
        for k in range(points.shape[1]):
            x, y = points[i, k]
            share = rear[i] / max(np.sqrt(bx * bx + by * by), 1e-12)
            out[i, k, 0], out[i, k, 1] = x + bx * share, y + by * share
            if k + 1 < points.shape[1]:
                bx, by = out[i, k, 0] - points[i, k + 1, 0], out[i, k, 1] - points[i, k + 1, 1]
    return out


def noses(points: Tensor, axle: Tensor, size: Tensor) -> Tensor:
    """Middles (A, P, 2) of discs that touch the front of bodies of `size` (A, 3) from within, as wide as these and
    WIDER to each side, whose middles and rear axles are at points and axle (A, P, 2).

    In a bend the front of a long body is far outside the way of its middle.
    """
    reach = size[:, 0] / 2 - (size[:, 1] / 2 + WIDER)
    return points + reach[:, None, None] * torch.nn.functional.normalize(points - axle, dim=-1)


def logged_speeds(log: Agents, along: Tensor, count: int) -> Tensor:
    """Speed (A, count) at which the log (T, A) passes the points of routes, `along` (T, A) them; 0 where it does not:
    whoever was faster than others, or than is allowed, likes to be so again."""
    out, s = np.zeros((log.valid.shape[1], count)), SPACING * np.arange(count)
    for i in range(len(out)):
        there = log.valid[:, i]
        if bool(there.any()):
            place, speed = along[there, i].double().numpy(), log.speed[there, i].double().numpy()
            out[i] = np.interp(s, place, speed, left=0.0, right=0.0)
    return torch.from_numpy(out.clip(0)).float()


def lines_of(points: Tensor, length: Tensor, signals: Signals, map: Map) -> Lines:
    """All lines that routes (A, P, 2) of `length` (A,) pass: stop signs, yields, lights, crosswalks."""
    stops, road = map.stops, RoadMap.of(map)
    ruled = torch.nonzero((stops.kind == int(StopKind.STOP_SIGN)) | (stops.kind == int(StopKind.YIELD)))[:, 0]
    sign = passes(points, length, stops.xy[ruled], stops.lane[ruled], road)
    light = stop_lines(points, length, signals, lane_yaws(signals, road))
    walk = entries(points, length, map.crosswalks)
    yields = stops.kind[ruled] == int(StopKind.YIELD)
    kind = torch.cat([
        torch.where(yields, int(LineKind.YIELD), int(LineKind.STOP)),
        torch.full((light.shape[1],), int(LineKind.LIGHT)),
        torch.full((walk.shape[1],), int(LineKind.CROSSWALK)),
    ])  # fmt: skip
    ref = torch.cat([ruled, torch.arange(light.shape[1]), torch.arange(walk.shape[1])])
    s, order = torch.cat([sign, light, walk], 1).sort(dim=1, stable=True)
    most = max(int(s.isfinite().sum(1).max()) if s.numel() else 0, 1)
    s = torch.nn.functional.pad(s, (0, 1), value=torch.inf)[:, :most]
    order = torch.nn.functional.pad(order, (0, 1))[:, :most]
    there = s.isfinite()
    pick = lambda x: torch.where(there, torch.nn.functional.pad(x, (0, 1))[order], 0)  # noqa: E731
    return Lines(s, pick(kind), pick(ref))


def cruise(scenario: Scenario, points: Tensor, pace: Tensor) -> Tensor:
    """Speed (A, P) that drivers like along routes: `pace` (A,) times the lane's limit where there is one, else the
    fastest that the agent was logged at; who pedals is never faster than that."""
    log, lanes = scenario.log, scenario.scene.map.lanes
    fastest = torch.where(log.valid, log.speed, 0.0).amax(0).clamp_min(5.0)
    out = fastest[:, None].expand(points.shape[:2]).clone()
    if not bool(lanes.speed_limit.isnan().all()):
        known = (points[:, 1:] != points[:, :-1]).any(2).any(1)
        nowhere = torch.full_like(out[known], torch.nan)
        limit = lane_limits(points[known], lanes, RoadMap.of(scenario.scene.map), nowhere) * pace[known, None]
        out[known] = torch.where(limit.isnan(), out[known], limit)
    cycles = ~is_kind(log.kind.amax(0), WALKERS) & (limits_of(log.kind.amax(0)).power < 13.0)
    return torch.minimum(out, torch.where(cycles, fastest, torch.inf)[:, None])
