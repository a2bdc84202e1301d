"""Which lanes a drive is in: its lane step by step, how far along and beside it, whether the car is in one lane.

The rules of nuPlan (nuplan-devkit e924167, get_route and the common or connected lanes of the corners), on the areas
that this map gives its lanes: their centre line widened by half their mean width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import project_to_polyline, wrap_angle
from drivesim.roadmap import RoadMap
from drivesim.types import Agents, Map, Vehicle

from .contacts import corners
from .drive import kept

NEAR = 5.0
"""How far beside its last lane a car on an intersection still follows it [m] (nuPlan)."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where the ego is on a map, each (n, ..., L): which lanes hold the point. Found once, used by many scores."""

    centre: Tensor  # (n, L) bool
    corners: Tensor  # (n, 4, L) bool: front left, front right, rear right, rear left
    rear_axle: Tensor  # (n, L) bool
    together: Tensor  # (n,) bool: the corners are in common or connected lanes

    @staticmethod
    def of(ego: Agents, map: Map, vehicle: Vehicle) -> Places:
        """Of the ego (n,)."""
        return _places(ego, map, vehicle)


@kept
def _places(ego: Agents, map: Map, vehicle: Vehicle) -> Places:
    rear = vehicle.rear_axle(ego.poses)[:, None, :2]
    held = RoadMap.of(map).lanes_at(torch.cat([corners(ego), ego.xy[:, None], rear], 1))
    return Places(held[:, 4], held[:, :4], held[:, 5], in_common_lanes(map, held[:, :4]))


@kept
def lanes_followed(ego: Agents, map: Map, vehicle: Vehicle) -> list[list[int]]:
    """`followed_lanes` of the box centre of an ego (n,)."""
    return followed_lanes(map, ego.xy, Places.of(ego, map, vehicle).centre)


def followed_lanes(map: Map, xy: Tensor, held: Tensor) -> list[list[int]]:
    """The lanes that points xy (n, 2) of a drive follow, at each step; none or several is possible.

    `held` (n, L) says which lanes hold them. A point stays in the lanes of the step before while they hold it, then
    goes to what follows them; else it is looked up: one lane outside intersections, or all lanes that cross one.
    Where it leaves a lane of an intersection by less than 5 m into another one, it keeps it. Looking back, several
    lanes of an intersection are narrowed to those that lead where the drive went on.
    """
    graph, crossing = RoadMap.of(map), map.lanes.intersection.tolist()
    inside = [np.flatnonzero(row).tolist() for row in held.numpy()]
    route: list[list[int]] = []
    for t, here in enumerate(inside):
        before = route[-1] if route else []
        lanes = [i for i in before if i in here]
        if not lanes and len(before) == 1:
            lanes = [i for i in graph.successors(before[0]) if i in here]
        if not lanes:
            lanes = [i for i in here if not crossing[i]] or here
            if t > 1 and before and crossing[before[0]] and lanes and crossing[lanes[0]]:
                lanes = [i for i in before if _beside_area(map, i, xy[t]) < NEAR] or lanes
        route.append(lanes)
    return _narrowed(route, map)


def _narrowed(route: list[list[int]], map: Map) -> list[list[int]]:
    leads = {tuple(edge) for edge in map.lanes.successors.tolist()}
    for t in range(len(route) - 2, -1, -1):
        now, then = route[t], route[t + 1]
        if len(now) <= 1 or not then:
            continue
        if len(now) > len(then) and set(then) <= set(now):
            route[t] = then
        elif kept := [i for i in now if (i, then[0]) in leads]:
            route[t] = kept
    return route


def _beside_area(map: Map, lane: int, point: Tensor) -> float:
    line = map.lanes.center.line(lane)[:, :2].to(point)
    return float(project_to_polyline(point, line)[1].abs() - map.lanes.width[lane] / 2)


def one_lane(map: Map, route: list[list[int]], xy: Tensor, yaw: Tensor) -> Tensor:
    """One lane (n,) of each step of a route; -1 for none.

    Of several the one of the step before, else the one whose direction is nearest to `yaw` (n,). nuPlan takes the first
    in its database; where lanes overlap, a driver in any of them follows the traffic.
    """
    picked: list[int] = []
    for t, lanes in enumerate(route):
        if picked and picked[-1] in lanes:
            picked.append(picked[-1])
        elif len(lanes) <= 1:
            picked.append(lanes[0] if lanes else -1)
        else:
            lines = [map.lanes.center.line(i)[:, :2].to(xy) for i in lanes]
            turns = [float(wrap_angle(project_to_polyline(xy[t], line)[2] - yaw[t]).abs()) for line in lines]
            picked.append(lanes[turns.index(min(turns))])
    return torch.tensor(picked)


def along(map: Map, lanes: Tensor, xy: Tensor) -> Tensor:
    """Arc length (n,) of points (n, 2) on the centre lines of their lanes (n,) [m]; NaN where the lane is -1."""
    s = torch.full(lanes.shape, torch.nan, dtype=xy.dtype)
    for lane in lanes[lanes >= 0].unique().tolist():
        at = lanes == lane
        s[at] = project_to_polyline(xy[at], map.lanes.center.line(lane)[:, :2].to(xy))[0]
    return s


def in_common_lanes(map: Map, held: Tensor) -> Tensor:
    """Whether the corners (n, 4) of a car share a lane, or lie in lanes that lead into each other (n,) (nuPlan).

    `held` (n, 4, L) in the order of `corners`. False where any corner is in no lane at all. The corners are connected
    if the rear ones are in the same lane or in one that leads to the other's, and some lane is at once where a front
    corner is or comes from and where the opposite rear corner is or goes to, for both diagonals.
    """
    common = held.all(-2).any(-1)
    asked = held.flatten(0, -2).any(0)  # the lanes that matter are these and those before and after them
    edges = map.lanes.successors[(asked[map.lanes.successors]).any(-1)]
    lanes = torch.cat([asked.nonzero()[:, 0], edges.flatten()]).unique()
    held, (first, then) = held[..., lanes], torch.searchsorted(lanes, edges.T.contiguous())
    front_left, front_right, rear_right, rear_left = held.unbind(-2)

    def spread(lanes: Tensor, start: Tensor, end: Tensor) -> Tensor:
        reached = torch.zeros(lanes.shape, dtype=torch.int64).index_add_(-1, end, lanes[..., start].long())
        return lanes | (reached > 0)

    right, left = spread(rear_right, first, then), spread(rear_left, first, then)
    rear = ((rear_left & right) | (rear_right & left)).any(-1)
    diagonal = spread(front_left, then, first) & right & spread(front_right, then, first) & left
    return (common | (rear & diagonal.any(-1))) & held.any(-1).all(-1)


def run_length(mask: Tensor, skipped: Tensor) -> Tensor:
    """How many steps in a row (n,) a mask (n,) has held; steps that are `skipped` (n,) neither add nor break."""
    counts, count = [], 0
    for on, skip in zip(mask.tolist(), skipped.tolist(), strict=True):
        count = count if skip else (count + 1 if on else 0)
        counts.append(count)
    return torch.tensor(counts)
