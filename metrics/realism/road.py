"""How far boxes are beyond the edge of the road, and who runs a red light."""

from __future__ import annotations

import numpy as np
import torch

from drivesim.geometry import box_corners
from drivesim.kernels import SegmentGrid, nearest_segment
from drivesim.roadmap import RoadMap
from drivesim.types import LaneKind, Lanes, Light, Map, Signals


def edge_distance(boxes: np.ndarray, there: np.ndarray, map: Map) -> np.ndarray:
    """Signed distance (...) [m] of the worst corner of boxes (..., 5) to the edge of the road: negative on the road.

    The edge is the border of the drivable area. NaN where nobody is `there` (...).
    """
    out, now = np.full(there.shape, np.nan), torch.from_numpy(boxes[there])
    if len(now):
        corners = box_corners(now[:, :2], now[:, 2], now[:, 3:])
        out[there] = -RoadMap.of(map).border_distance(corners).amin(-1).double().numpy()
    return out


def red_light_runs(xy: np.ndarray, lanes: Lanes, signals: Signals) -> np.ndarray:
    """Whether (..., T) centres (..., T, 2), NaN where absent, pass a red light's stop point at a step.

    That is: the light is red, the lane that it rules is the nearest at this step, and the stop point lies behind,
    while it lay ahead at the step before; ahead and behind as seen along the lane at the stop point.
    """
    runs = np.zeros(xy.shape[:-1], bool)
    for s, red in enumerate(_red(signals, xy.shape[-2])):
        if not red.any():
            continue
        lane, stop = int(signals.lane[s]), signals.stop_xy[s].double().numpy()
        along = (xy - stop) @ _direction(lanes, lane, stop)
        passed = np.zeros_like(runs)
        passed[..., 1:] = (along[..., :-1] < 0) & (along[..., 1:] >= 0)
        passed &= red
        if passed.any():
            passed[passed] = _nearest_lane(lanes, xy[passed]) == lane
            runs |= passed
    return runs


def _red(signals: Signals, steps: int) -> np.ndarray:
    """Which lights are red (S, T); a light is not known to be after its plan ends."""
    red = np.zeros((len(signals.lane), steps), bool)
    state = signals.state[:steps].numpy()
    red[:, : len(state)] = (state == int(Light.RED)).T
    return red


def _direction(lanes: Lanes, lane: int, place: np.ndarray) -> np.ndarray:
    """Unit vector (2,) along the segment of a lane that is nearest to a place (2,)."""
    line = lanes.center.line(lane)[:, :2].double().numpy()
    i, _, _ = nearest_segment(SegmentGrid.of(line[:-1], line[1:]), place[None])
    step = line[i[0] + 1] - line[i[0]]
    return step / max(float(np.hypot(*step)), 1e-9)


def _nearest_lane(lanes: Lanes, xy: np.ndarray) -> np.ndarray:
    """Lane (N,), whatever its direction, whose centre line is nearest to points (N, 2); bicycle lanes do not count."""
    roads = [i for i in range(len(lanes)) if int(lanes.center.kind[i]) != LaneKind.BICYCLE]
    lines = [lanes.center.line(i)[:, :2].double().numpy() for i in roads]
    a, b = (np.concatenate(ends) for ends in zip(*((line[:-1], line[1:]) for line in lines), strict=True))
    owner = np.repeat(roads, [len(line) - 1 for line in lines])
    return owner[nearest_segment(SegmentGrid.of(a, b), np.ascontiguousarray(xy))[0]]
