"""Traffic lights and stop signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from drivesim import loading
from drivesim.types import Lanes, Light, Signals, StopKind, Stops

from .record import column, text

_STATES = {
    "LANE_STATE_ARROW_STOP": Light.RED,
    "LANE_STATE_ARROW_CAUTION": Light.YELLOW,
    "LANE_STATE_ARROW_GO": Light.GREEN,
    "LANE_STATE_STOP": Light.RED,
    "LANE_STATE_CAUTION": Light.YELLOW,
    "LANE_STATE_GO": Light.GREEN,
    "LANE_STATE_FLASHING_STOP": Light.FLASHING_RED,
    "LANE_STATE_FLASHING_CAUTION": Light.FLASHING_YELLOW,
    "TRAFFIC_LIGHT_GREEN": Light.GREEN,
    "TRAFFIC_LIGHT_RED": Light.RED,
    "TRAFFIC_LIGHT_YELLOW": Light.YELLOW,
}  # LANE_STATE_UNKNOWN, TRAFFIC_LIGHT_UNKNOWN, None and what may be added later are unknown

REACH = 30.0
"""How far [m] from its lane a stop point or sign may stand."""


def signals_of(
    lights: Mapping[str, Mapping[str, Any]],
    index: Mapping[str, int],
    lanes: Lanes,
    rows: np.ndarray,
    origin: np.ndarray,
) -> tuple[Signals, int]:
    """Signals whose states at step k are the file's at row `rows[k]`, and how many name no lane of the map.

    A light stops traffic at its stop point, moved onto the lane; where it has none, at the lane's start.
    """
    lane, stop, states, lost = [], [], [], 0
    for name, light in lights.items():
        state = light.get("state")
        said = state.get("object_state") if isinstance(state, dict) else None
        ruled = _first(light.get("lane", state.get("lane") if isinstance(state, dict) else None))
        ruled = text(ruled) if text(ruled) in index else name
        if ruled not in index or not isinstance(said, list | tuple | np.ndarray) or len(said) <= int(rows.max()):
            lost += 1
            continue
        lane.append(index[ruled])
        stop.append(_stop_point(light, lanes, index[ruled], origin))
        states.append([int(_STATES.get(text(said[row]), Light.UNKNOWN)) for row in rows])
    if not lane:
        return Signals.none(), lost
    return loading.signals_at(lanes, lane, np.array(stop), np.array(states).T), lost


def _first(value: Any) -> Any:
    """Older files repeat the lane at every step, None where the light was not seen."""
    if isinstance(value, list | tuple | np.ndarray):
        return next((x for x in value if x is not None), None)
    return value


def _stop_point(light: Mapping[str, Any], lanes: Lanes, lane: int, origin: np.ndarray) -> np.ndarray:
    line = lanes.center.line(lane)[:, :2].double().numpy()
    place = light.get("stop_point")
    about = light.get("metadata")
    within = (
        isinstance(about, dict) and text(about.get("dataset")) == "nuplan"
    )  # written 8 m into the lane that it rules
    xy = None if within or place is None else _xy(place)
    if xy is None:
        return line[0]
    near = _nearest(line, xy - origin[:2])
    return near if np.hypot(*(near - (xy - origin[:2]))) < REACH else line[0]


def stops_of(
    features: Mapping[str, Mapping[str, Any]], index: Mapping[str, int], lanes: Lanes, origin: np.ndarray
) -> Stops:
    """Where the lanes that stop signs name pass the signs."""
    lane, xy = [], []
    for feature in features.values():
        place = _xy(feature.get("position")) if text(feature.get("type")) == "STOP_SIGN" else None
        if place is None or not (np.abs(place - origin[:2]) < 1e5).all():
            continue
        place = place - origin[:2]
        named = feature.get("lane")
        named = list(named) if isinstance(named, list | tuple | np.ndarray) and len(named) < 1000 else [named]
        for i in sorted({index[text(n)] for n in named if text(n) in index}) or [-1]:
            near = _nearest(lanes.center.line(i)[:, :2].double().numpy(), place) if i >= 0 else place
            lane.append(i)
            xy.append(near if np.hypot(*(near - place)) < REACH else place)
    if not lane:
        return Stops.none()
    kind = torch.full((len(lane),), int(StopKind.STOP_SIGN), dtype=torch.int64)
    return Stops(torch.tensor(lane, dtype=torch.int64), torch.from_numpy(np.array(xy)).float(), kind)


def _xy(value: Any) -> np.ndarray | None:
    size = len(value) if isinstance(value, list | tuple) else getattr(value, "size", 0)
    numbers = column(value, size) if 2 <= size <= 3 else None
    return numbers[:2] if numbers is not None and np.isfinite(numbers[:2]).all() else None


def _nearest(line: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Nearest place on a polyline (n, 2)."""
    step = np.diff(line, axis=0)
    share = ((xy - line[:-1]) * step).sum(1) / np.maximum((step**2).sum(1), 1e-12)
    places = line[:-1] + np.clip(share, 0, 1)[:, None] * step
    return places[int(np.hypot(*(places - xy).T).argmin())]
