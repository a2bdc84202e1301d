"""Lines at which a route has to wait: lights, stop signs, yields, crosswalks."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.kernels import SegmentGrid, crossings
from drivesim.roadmap import RoadMap
from drivesim.struct import Struct, tensor
from drivesim.types import CYCLES, WALKERS, Agents, Light, Map, Polylines, Scene, StopKind, is_kind

from .following import IDM, SPACING, at, locate

STANDS = 0.5
"""Slower is standing [m/s]: a driver who comes to a stop before a sign need not reach zero."""

REACH = 4.0
"""Before a stop line, within which a driver who stands has stopped for it [m]."""

STOPS_FOR = 1.0
"""How long one stands at a stop sign [s]."""

MINOR = 25.0
"""Before and after its sign, within which a driver gives way to those who have none [m]."""

BESIDE = 2.5
"""From the middle of a line to a route that passes it [m]."""


class Lines(Struct):
    """Where each route passes stop lines and crosswalks, and what happened there so far (written by `stand`)."""

    sign: Tensor = tensor(event=1)  # (A, N) arc length at each of `Map.stops`; inf where not on the route
    kind: Tensor = tensor(event=1)  # (A, N) int64, a StopKind
    light: Tensor = tensor(event=1)  # (A, S) arc length of the stop line of each signal
    walk: Tensor = tensor(event=1)  # (A, C) arc length at which the route enters each crosswalk
    stood: Tensor = tensor(event=1)  # (A, N) seconds that the agent has stood at each sign
    stood_light: Tensor = tensor(event=1)  # (A, S) and at each signal's line


def lines_of(points: Tensor, length: Tensor, light: Tensor, map: Map) -> Lines:
    """Of routes (A, P, 2) with `length` (A,) and the signals' stop lines `light` (A, S)."""
    stops = map.stops
    ruled = torch.isin(stops.kind, torch.tensor([int(StopKind.STOP_SIGN), int(StopKind.YIELD)]))
    xy, lane, kind = stops.xy[ruled], stops.lane[ruled], stops.kind[ruled]
    sign = passes(points, length, xy, lane, RoadMap.of(map))
    return Lines(
        sign, kind.expand(sign.shape), light, entries(points, length, map.crosswalks), torch.zeros_like(sign),
        torch.zeros_like(light),
    )  # fmt: skip


def entries(points: Tensor, length: Tensor, crosswalks: Polylines) -> Tensor:
    """Arc length (A, C) at which routes (A, P, 2) first enter each crosswalk; inf where they do not."""
    out = torch.full((len(points), len(crosswalks)), torch.inf)
    flat = points.reshape(-1, 2).double().numpy()
    for c in range(len(crosswalks)):
        grid = SegmentGrid.of_rings(Polylines.of([crosswalks.line(c)]))
        inside = torch.from_numpy(crossings(grid, flat) % 2 == 1).reshape(points.shape[:2])
        out[:, c] = torch.where(inside.any(1), SPACING * inside.long().argmax(1), torch.inf)
    return torch.where(out < length[:, None], out, torch.inf)


def stand(lines: Lines, who: Tensor, front: Tensor, speed: Tensor, dt: float) -> None:
    """Write down who (N,) of the agents, with its bumper at arc length `front` (N,), stands at a line now."""
    for arcs, stood in ((lines.sign, lines.stood), (lines.light, lines.stood_light)):
        distance = arcs[who] - front[:, None]
        there = (distance < REACH) & (distance > -1.0) & (speed < STANDS)[:, None]
        stood[who] = torch.where(there, stood[who] + dt, stood[who])


def line_gap(lines: Lines, front: Tensor, speed: Tensor, lights: Tensor, driver: IDM) -> Tensor:
    """Distance (N,) from the bumpers to the next line that holds back, inf if none; `lights` (S,)."""
    sign, light = lines.sign - front[:, None], lines.light - front[:, None]
    holds = (lines.kind == int(StopKind.STOP_SIGN)) & (lines.stood < STOPS_FOR)
    late = light < (speed.square() / (2 * driver.braking))[:, None]
    red = (lights == int(Light.RED)) | ((lights == int(Light.YELLOW)) & ~late)
    red = red | ((lights == int(Light.FLASHING_RED)) & (lines.stood_light < STOPS_FOR))
    gaps = torch.cat([torch.where(holds, sign, torch.inf), torch.where(red, light, torch.inf)], 1)
    cannot = gaps < (speed.square() / (2 * driver.max_braking))[:, None] - 1.0  # it comes too late: it drives over
    return _least(torch.where((gaps > -0.5) & ~cannot, gaps, torch.inf))


def minor(lines: Lines, s: Tensor) -> Tensor:
    """Whether a stop or yield sign rules the next or the last few metres (N,) of a route."""
    near = (lines.sign - s[:, None]).abs() < MINOR
    return near.any(1)


def crosswalk_gap(
    lines: Lines, points: Tensor, front: Tensor, size: Tensor, speed: Tensor, agents: Agents, scene: Scene, driver: IDM
) -> Tensor:
    """Distance (N,) to the next crosswalk on which somebody walks, or is about to step, into the follower's way.

    Counted is who is on the crosswalk now or within 2 s, and is in the way (a metre beside the body) or walks to it.
    Who can no longer stop goes on.
    """
    rings, none = scene.map.crosswalks, torch.full_like(front, torch.inf)
    on_foot = agents[(is_kind(agents.kind, WALKERS) | is_kind(agents.kind, CYCLES)) & agents.valid]
    ahead = lines.walk - front[:, None]
    wanted = ((ahead > -0.5) & (ahead < 60)).any(0)
    if not bool(wanted.any()) or not len(on_foot.yaw):
        return none
    out = none
    for c in torch.nonzero(wanted)[:, 0].tolist():
        ring = SegmentGrid.of_rings(Polylines.of([rings.line(c)]))
        later = torch.stack([on_foot.xy + t * on_foot.velocity for t in (0.0, 1.0, 2.0)])
        inside = torch.from_numpy(crossings(ring, later.reshape(-1, 2).double().numpy()) % 2 == 1)
        walking = on_foot[inside.reshape(3, -1).any(0)]
        if not len(walking.yaw):
            continue
        rows = torch.nonzero((ahead[:, c] > -0.5) & (ahead[:, c] < 60))[:, 0]
        held = _in_the_way(points[rows], lines.walk[rows, c], size[rows, 1], walking)
        distance = ahead[rows, c] - 1.0
        stops = speed[rows].square() / (2 * driver.max_braking) < distance.clamp_min(0) + 0.5
        out[rows] = torch.where(held & stops, torch.minimum(out[rows], distance.clamp_min(0.1)), out[rows])
    return out


def _in_the_way(points: Tensor, entry: Tensor, width: Tensor, walking: Agents) -> Tensor:
    """Whether one of the walkers (W,) is, or walks, into the way of routes (N, P, 2) behind their `entry` (N,)."""
    n, w = len(points), len(walking.yaw)
    here = walking.xy.repeat(n, 1), (walking.xy + walking.velocity).repeat(n, 1)
    lines, near = points.repeat_interleave(w, 0), (entry + 2.0).repeat_interleave(w)
    now, soon = (locate(lines, xy, near)[1].reshape(n, w).abs() for xy in here)
    clear = (width / 2 + 1.0)[:, None]
    return ((now < clear) | ((soon < now - 0.2) & (now < 8.0))).any(1)


def passes(points: Tensor, length: Tensor, xy: Tensor, lane: Tensor, road: RoadMap) -> Tensor:
    """Arc length (A, N) at which routes pass lines (N,) in the direction of their lanes; inf where they do not."""
    out = torch.full((len(points), len(xy)), torch.inf)
    for i in range(len(xy)):
        s, lateral = locate(points, xy[i].expand(len(points), 2))
        _, yaw = at(points, length, s[:, None])
        same = torch.ones(len(points), dtype=torch.bool)
        if int(lane[i]) >= 0:
            step = _tangent(road.center(int(lane[i]))[:, :2], xy[i])
            same = step @ torch.stack([torch.cos(yaw[:, 0]), torch.sin(yaw[:, 0])]) > 0.7
        there = (lateral.abs() < BESIDE) & same & (s > 0) & (s < length)
        out[:, i] = torch.where(there, s, torch.inf)
    return out


def _tangent(line: Tensor, xy: Tensor) -> Tensor:
    k = int((line[:-1] + line[1:] - 2 * xy).norm(dim=-1).argmin())
    return torch.nn.functional.normalize(line[k + 1] - line[k], dim=0)


def _least(gaps: Tensor) -> Tensor:
    """Least of (N, K), at least a hand's width; inf where there is none."""
    return gaps.clamp_min(0.1).amin(1) if gaps.shape[1] else torch.full(gaps.shape[:1], torch.inf)
