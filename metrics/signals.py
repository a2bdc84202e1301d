"""Red lights and stop lines: who crosses them, when. Pure functions for boxes over steps."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import heading, project_to_polyline
from drivesim.roadmap import lane_areas
from drivesim.types import Agents, Light, Map, Signals

from .contacts import corners
from .drive import kept


def red(signals: Signals, first: int, count: int) -> Tensor:
    """Which lights (count, S) are red at the steps from `first` on; flashing red is a stop sign, not a red light."""
    on = torch.zeros(count, len(signals.lane), dtype=torch.bool)
    known = signals.state[max(first, 0) : first + count]
    on[max(-first, 0) :][: len(known)] = known == int(Light.RED)
    return on


def stop_line_crossings(
    front: Tensor, yaw: Tensor, middle: Tensor, direction: Tensor, width: Tensor, turn: float = torch.pi / 3
) -> Tensor:
    """Which stop lines (K,) the front (n, 2) of a car with heading (n,) crosses in the step that ends at each (n, K).

    A line of `width` (K,) lies across its `middle` (K, 2) and is crossed along `direction` (K,) [rad]: the front was
    before it one step earlier and is on or beyond it now, within its width, headed along it by less than `turn` [rad].
    """
    ahead = ((front[:, None] - middle) * heading(direction)).sum(-1)  # (n, K)
    aside = ((front[:, None] - middle) * heading(direction + torch.pi / 2)).sum(-1)
    with_it = (heading(yaw)[:, None] * heading(direction)).sum(-1) > torch.cos(torch.tensor(turn))
    crossed = torch.zeros_like(with_it)
    rise = (ahead[1:] - ahead[:-1]).clamp_min(1e-9)
    place = aside[:-1] - ahead[:-1] / rise * (aside[1:] - aside[:-1])  # where the path meets the line
    crossed[1:] = (ahead[:-1] < 0) & (ahead[1:] >= 0) & (place.abs() <= width / 2) & with_it[1:]
    return crossed


@kept
def red_line_crossings(ego: Agents, map: Map, signals: Signals, first: int) -> Tensor:
    """Which lights (n, S) the ego (n,) passes on red: its front crosses their stop line; step 0 is log step `first`."""
    box = corners(ego)
    front = (box[:, 0] + box[:, 1]) / 2
    known = (signals.lane >= 0) & (signals.lane < len(map.lanes))
    middle, result = signals.stop_xy.to(front), torch.zeros(len(front), len(signals.lane), dtype=torch.bool)
    on = red(signals, first, len(front))
    for s in (known & on.any(0) & _passed(front, middle, map, signals)).nonzero()[:, 0].tolist():
        lane = int(signals.lane[s])
        line = map.lanes.center.line(lane)[:, :2].to(front)
        direction = project_to_polyline(middle[s], line)[2][None]
        width = map.lanes.width[lane].to(front)[None]
        result[:, s] = stop_line_crossings(front, ego.yaw, middle[s, None], direction, width)[:, 0]
    return result & on


def _passed(front: Tensor, middle: Tensor, map: Map, signals: Signals) -> Tensor:
    """Which stop lines (S,) with their `middle` (S, 2) the front (n, 2) comes near enough to cross in one step."""
    if len(front) < 2 or not len(map.lanes):
        return torch.zeros(len(middle), dtype=torch.bool)
    widest = (front[1:] - front[:-1]).norm(dim=-1).amax() + map.lanes.width.amax() / 2
    return torch.cdist(middle, front).amin(-1) <= widest * 1.0001


def red_lane_contacts(ego: Agents, map: Map, signals: Signals, first: int) -> Tensor:
    """Which lights (n, S) the ego (n,) offends by NAVSIM's rule: its box meets a lane whose light is red."""
    import shapely

    on = red(signals, first, len(ego.yaw))
    asked = on & (signals.lane >= 0) & (signals.lane < len(map.lanes))
    result = torch.zeros_like(asked)
    if not asked.any():
        return result
    boxes = shapely.polygons(corners(ego).numpy())
    areas = lane_areas(map.lanes)
    for s in asked.any(0).nonzero()[:, 0].tolist():
        area = shapely.make_valid(shapely.polygons(areas[int(signals.lane[s])].double().numpy()))
        result[:, s] = torch.from_numpy(shapely.intersects(boxes, area))
    return result & asked
