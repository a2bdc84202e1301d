"""The line to follow, and the instruction that goes with it."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from ..errors import InputError
from ..geometry import along_polyline, polyline_yaw, project_to_polyline
from ..roadmap import RoadMap
from ..types import Command, Map
from .paths import smooth, span, unit

ROUTE = 300.0
"""Routes are a multiple of this long [m]."""

BRANCH = 20.0
"""By how many metres behind a fork its ways have parted."""


def route_length(driven: float) -> float:
    """Length [m] of the route ahead of the start for a log that drove `driven` metres."""
    return ROUTE * math.ceil((driven + 60.0) / ROUTE)


def route_along(
    map: Map,
    path: np.ndarray,
    beyond: float | None = None,
    before: float = 10.0,
    yaw: float | None = None,
    center: bool = True,
) -> Tensor:
    """The line (R, 2) to follow, about a point per metre: from `before` metres behind a logged path's start
    to `beyond` metres after its end.

    By default it goes on until it is a multiple of ROUTE metres long, at least 60 m after the path's end: its length
    must not tell a planner how far the log drove.

    Where the path runs along lanes (within 2.5 m and 60 degrees) the line is their centre, else the path itself, and
    the changes are smoothed over a few metres. It goes on along the straightest successors, else straight on.
    With `center=False` the path is kept as driven and only its continuation follows lanes.
    An ego that stands still all the time (under 1 m) gets its route from its `yaw`; InputError if that is None.
    """
    line = smooth(np.column_stack([path[:, :2], np.zeros(len(path))]), 1.0)[:, :2]
    if span(line) < 1.0:
        if yaw is None:
            raise InputError("a route needs a path of at least 1 m, or the yaw of an ego that stands still")
        line = path[0, :2] + np.arange(4)[:, None] * np.array([np.cos(yaw), np.sin(yaw)])
    road = RoadMap.of(map)
    tangent = polyline_yaw(torch.from_numpy(line)).float()
    lane, s, _ = road.nearest_lane(torch.from_numpy(line).float(), tangent, reach=2.5)
    normal = np.column_stack([-np.sin(tangent), np.cos(tangent)])
    if center:
        shift = np.where(lane.numpy()[:, None] >= 0, _toward_center(road, lane, s, line, normal), 0.0)
        line = line + normal * gaussian_filter1d(shift[:, 0], 4.0, mode="nearest")[:, None]
    if beyond is None:
        beyond = route_length(span(line)) - span(line)
    ahead = _onward(road, int(lane[-1]), line, beyond) if int(lane[-1]) >= 0 else None
    step = unit(line[-1] - line[max(len(line) - 4, 0)])
    tail = ahead if ahead is not None else line[-1] + step * np.arange(1, beyond)[:, None]
    head = line[0] - unit(line[min(3, len(line) - 1)] - line[0]) * np.arange(before, 0, -1)[:, None]
    return torch.from_numpy(np.concatenate([head, line, tail])).float()


def _toward_center(road: RoadMap, lane: Tensor, s: Tensor, line: np.ndarray, normal: np.ndarray) -> np.ndarray:
    center = np.array(line)
    for i in torch.unique(lane[lane >= 0]).tolist():
        mask = (lane == i).numpy()
        center[mask] = along_polyline(road.center(i)[:, :2], s[lane == i])[0].double().numpy()
    return ((center - line) * normal).sum(1, keepdims=True)


def _onward(road: RoadMap, lane: int, line: np.ndarray, beyond: float) -> np.ndarray | None:
    """Points ahead of the line's end along its lane and the straightest successors; straight on where they end."""
    step = unit(line[-1] - line[max(len(line) - 4, 0)])
    here = smooth(road.center(lane).double().numpy(), 1.0)[:, :2]
    ahead = here[int(np.hypot(*(here - line[-1]).T).argmin()) :]
    ahead = ahead[int(((ahead[:3] - line[-1]) @ step < 0.5).sum()) :]
    seen = {lane}
    while span(ahead) < beyond:
        following = [j for j in road.successors(lane) if j not in seen]
        if not following:
            break
        end = ahead[-1] - ahead[-2] if len(ahead) > 1 else step
        lane = max(following, key=lambda j: _toward(road.center(j)[:, :2].double().numpy()) @ unit(end))
        seen.add(lane)
        ahead = np.concatenate([ahead, smooth(road.center(lane).double().numpy(), 1.0)[int(len(ahead) > 0) :, :2]])
    if len(ahead) < 2:
        return None
    # ease the lateral offset between the line's end and the centre line out over 10 m
    side = np.array([-step[1], step[0]])
    fade = np.clip(1 - np.arange(1, len(ahead) + 1) / 10, 0, 1)
    ahead = ahead + ((line[-1] - ahead[0]) @ side) * side * fade[:, None]
    short = beyond - span(ahead)
    if short > 1:
        ahead = np.concatenate([ahead, ahead[-1] + unit(ahead[-1] - ahead[-2]) * np.arange(1, short)[:, None]])
    return ahead[: int(beyond) + 1]


def _toward(line: np.ndarray) -> np.ndarray:
    """Where a lane (n, 2) leads over its first BRANCH metres, (2,): those that branch off all begin alike."""
    way = np.hypot(*np.diff(line, axis=0).T).cumsum()
    return unit(line[min(int(np.searchsorted(way, BRANCH)) + 1, len(line) - 1)] - line[0])


def command_of(route: Tensor, ego: Tensor, within: float = 30.0) -> Command:
    """Where the route (R, 2) turns over the next `within` metres from the ego (2,): more than 20 degrees is a turn."""
    s, _, yaw = project_to_polyline(ego, route)
    _, later = along_polyline(route, s + within)
    turn = float((later - yaw + torch.pi) % (2 * torch.pi) - torch.pi)
    if abs(turn) < np.deg2rad(20):
        return Command.STRAIGHT
    return Command.LEFT if turn > 0 else Command.RIGHT
