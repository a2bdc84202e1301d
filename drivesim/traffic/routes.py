"""Lines that agents follow: where the log saw them go, then on along the lane graph, branches drawn at random."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from drivesim.geometry import heading, polyline_yaw
from drivesim.loading import route_along
from drivesim.roadmap import RoadMap
from drivesim.types import CYCLES, VEHICLES, Agents, Kind, LaneKind, Map, Scenario, is_kind

from .following import SPACING, uniform

DRIVERS = tuple(k for k in (*VEHICLES, *CYCLES) if k != Kind.TRAILER)
"""Who drives by itself; a trailer goes where it is pulled, which only its log knows."""

BEFORE = 10.0
"""Of a route, behind the place where the log first saw its agent [m]."""

BEYOND = (80.0, 400.0)
"""Of a route, after the end of what was logged [m]: at least, at most. In between it lasts for the drive's rest."""

EASE = 12.0
"""Over which a route comes from the end of the logged path to the centre of its lane [m]."""

U_TURN = np.deg2rad(120.0)


def drives(scenario: Scenario, i: int, moving: float) -> bool:
    """Whether agent i can be given to a driver: a road user of that kind that does not reverse and is not parked.

    Parked is who moves less than `moving` metres and does not stand in a lane of a map with signals or stop lines.
    """
    seen = _seen(scenario, i)
    if i == 0 or not len(seen.yaw) or not bool(is_kind(seen.kind[:1], DRIVERS)):
        return False
    travel = (seen.velocity * heading(seen.yaw)).sum(-1) * scenario.scene.briefing.dt
    if float(travel.clamp_max(0).sum()) < -1.0:
        return False  # it reverses, which no route describes
    return float((seen.xy[-1] - seen.xy[0]).norm()) >= moving or _waits(scenario, seen)


def route_of(scenario: Scenario, i: int, rng: np.random.Generator) -> tuple[Tensor, float]:
    """The route (P, 2) of agent i, a point every SPACING metres, and the arc length of its way that was logged."""
    seen = _seen(scenario, i)
    yaw = float(seen.yaw[0])
    line = route_along(scenario.scene.map, seen.xy.double().numpy(), beyond=0.0, before=BEFORE, yaw=yaw, center=False)
    logged = uniform(line)
    bicycle = bool(is_kind(seen.kind[:1], CYCLES))
    left = (scenario.steps - 1 - int(torch.nonzero(scenario.log.valid[:, i]).max())) * scenario.scene.briefing.dt
    beyond = min(max(BEYOND[0] + left * max(float(seen.speed.max()), 10.0), BEYOND[0]), BEYOND[1])
    tail = onward(scenario.scene.map, logged.double().numpy(), beyond, rng, bicycle)
    known = len(logged) - 1
    return rounded(torch.cat([logged, torch.from_numpy(tail).float()]), known), SPACING * known


def rounded(line: Tensor, known: int) -> Tensor:
    """A line (m, 2) as a route (P, 2): the first `known` points stay as they are; the lanes' corners behind them, and
    the step from one to the other, are rounded."""
    whole = uniform(line)
    soft = torch.from_numpy(gaussian_filter1d(whole.double().numpy(), 2.0, axis=0, mode="nearest")).float()
    share = ((torch.arange(len(whole)) - known + 6) / 6).clamp(0, 1)[:, None]
    return uniform(share * soft + (1 - share) * whole)


def onward(map: Map, line: np.ndarray, beyond: float, rng: np.random.Generator, bicycle: bool = False) -> np.ndarray:
    """Points (n, 2) that lead on from the end of `line` (m, 2) for `beyond` metres along its lane and successors.

    Where lanes branch, one is drawn by `rng`: none that turns back, and no bicycle lane for motor traffic. Where no
    lane is near or the lanes end, it goes straight on.
    """
    road, end = RoadMap.of(map), line[-1]
    step = end - line[max(len(line) - 4, 0)]
    step = step / max(float(np.hypot(*step)), 1e-9)
    here = torch.from_numpy(np.array([end])).float()
    yaw = torch.tensor([float(np.arctan2(step[1], step[0]))])
    lane, s, _ = road.nearest_lane(here, yaw, reach=3.0, turn=np.pi / 4)
    straight = end + step * np.arange(1, beyond + 1)[:, None]
    if int(lane) < 0:
        return straight
    draw = lambda _, following: following[int(rng.integers(len(following)))]  # noqa: E731
    way = along_lanes(map, int(lane), float(s), beyond + EASE, draw, bicycle)
    if len(way) < 2:
        return straight
    offset = end - way[0]
    side = np.array([-step[1], step[0]])
    travelled = np.concatenate([[0], np.hypot(*np.diff(way, axis=0).T).cumsum()])
    u = np.clip(travelled / EASE, 0, 1)
    fade = (1 + 2 * u) * (1 - u) ** 2
    way = way + (offset @ side) * side * fade[:, None]
    return straight_on(way, beyond)[1:]


def straight_on(way: np.ndarray, length: float) -> np.ndarray:
    """A way (n, 2), n >= 2, continued in its last direction where it is shorter than `length` metres."""
    short = length - float(np.hypot(*np.diff(way, axis=0).T).sum())
    if short <= 1:
        return way
    last = way[-1] - way[-2]
    last = last / max(float(np.hypot(*last)), 1e-9)
    return np.concatenate([way, way[-1] + last * np.arange(1, short)[:, None]])


def end_of_road(map: Map, points: Tensor, logged: float) -> float:
    """Arc length at which a route (P, 2) leaves the drivable area after its logged part; inf where it does not."""
    if not len(map.drivable):
        return float("inf")
    first = int(logged / SPACING) + 1
    outside = torch.nonzero(~RoadMap.of(map).inside(points[first:]))
    return SPACING * (first + int(outside[0])) if len(outside) else float("inf")


def along_lanes(
    map: Map, lane: int, s: float, length: float, choose: Callable[[int, list[int]], int], bicycle: bool = False
) -> np.ndarray:
    """Points (n, 2) of centre lines from arc length `s` of `lane` on, for `length` metres or until the lanes end.

    `choose(lane, following)` names the one of its successors to take; see `onward` for who is no successor.
    """
    road = RoadMap.of(map)
    part = _center(road, lane)
    along = np.concatenate([[0], np.hypot(*np.diff(part, axis=0).T).cumsum()])
    start = np.array([[np.interp(s, along, part[:, k]) for k in (0, 1)]])
    way, total = [start, part[along > s + 0.1]], float(along[-1] - s)
    while total < length:
        following = following_lanes(map, lane, bicycle)
        if not following:
            break
        lane = choose(lane, following)
        part = _center(road, lane)
        way.append(part[1:])
        total += float(np.hypot(*np.diff(part, axis=0).T).sum())
        if len(way) > 200:  # a ring of very short lanes
            break
    points = np.concatenate(way)
    keep = np.concatenate([[True], np.hypot(*np.diff(points, axis=0).T) > 1e-3])
    return points[keep]


def following_lanes(map: Map, lane: int, bicycle: bool = False) -> list[int]:
    """Successors that a driver may take: none that turns back, and no bicycle lane for motor traffic."""
    road = RoadMap.of(map)
    return [j for j in road.successors(lane) if _fit(map, road, lane, j, bicycle)]


def _fit(map: Map, road: RoadMap, lane: int, other: int, bicycle: bool) -> bool:
    if not bicycle and int(map.lanes.center.kind[other]) == int(LaneKind.BICYCLE):
        return int(map.lanes.center.kind[lane]) == int(LaneKind.BICYCLE)
    yaw = polyline_yaw(torch.from_numpy(_center(road, other)))
    return abs(float((yaw[-1] - yaw[0] + torch.pi) % (2 * torch.pi) - torch.pi)) < U_TURN


def _center(road: RoadMap, lane: int) -> np.ndarray:
    return road.center(lane)[:, :2].double().numpy()


def _seen(scenario: Scenario, i: int) -> Agents:
    log = scenario.log[:, i]
    return log[log.valid]


def _waits(scenario: Scenario, seen: Agents) -> bool:
    """Whether a body that never moves stands in a lane of a map with signals or stop lines: held up, not parked."""
    map = scenario.scene.map
    if not len(scenario.scene.signals.lane) and not len(map.stops):
        return False
    lane, _, lateral = RoadMap.of(map).nearest_lane(seen.xy[0], seen.yaw[0], turn=0.35)
    return int(lane) >= 0 and abs(float(lateral)) < 0.8
