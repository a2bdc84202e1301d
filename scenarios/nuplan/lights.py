"""What the traffic lights showed: nuPlan states it by lane connector, worked out from how traffic moved."""

from __future__ import annotations

import numpy as np

from drivesim.loading import signals_at
from drivesim.types import DT, Lanes, Light, Signals

_STATES = {"green": Light.GREEN, "yellow": Light.YELLOW, "red": Light.RED}

LASTS = 0.5
"""A status is good for this long [s]; they come with each lidar_pc, every 0.05 s."""


def signals_of(
    seen: list[tuple[float, int, str]], lines: dict[int, tuple[int, np.ndarray]], lanes: Lanes, steps: int
) -> tuple[Signals, int]:
    """Signals from (time, lane connector, status) and from lane and stop line by connector; and how many connectors
    with a light the map around the drive does not hold."""
    by_connector: dict[int, list[tuple[float, str]]] = {}
    for time, connector, status in seen:
        by_connector.setdefault(connector, []).append((time, status.lower()))
    known = sorted(by_connector.keys() & lines.keys())
    state = np.full((steps, len(known)), int(Light.UNKNOWN))
    grid = np.arange(steps) * DT
    for column, connector in enumerate(known):
        rows = sorted(by_connector[connector])
        time = np.array([t for t, _ in rows])
        shown = np.array([int(_STATES.get(s, Light.UNKNOWN)) for _, s in rows])
        last = np.searchsorted(time, grid + DT / 2, side="right") - 1
        fresh = (last >= 0) & (grid - time[last] <= LASTS)
        state[fresh, column] = shown[last[fresh]]
    stop_xy = np.array([lines[c][1] for c in known]).reshape(-1, 2)
    return signals_at(lanes, [lines[c][0] for c in known], stop_xy, state), len(by_connector) - len(known)
