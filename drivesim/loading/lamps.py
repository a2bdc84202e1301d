"""Traffic lights of logs that say which lane they rule but not where the lamps hang."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..types import Lanes, Signals

HEIGHT = 5.0
"""Of a lamp head above its stop line [m]: the least clearance of heads over a road is 4.6 m (US MUTCD 4D.15, 15 ft)."""


def signals_at(lanes: Lanes, lane: Sequence[int], stop_xy: np.ndarray, state: np.ndarray) -> Signals:
    """Signals of lanes (S,) with stop lines (S, 2) and states (T, S); the heads hang above the stop lines and shine
    against the traffic."""
    heads = []
    for i, xy in zip(lane, stop_xy, strict=True):
        line = lanes.center.line(int(i)).double().numpy()
        k = min(int(np.hypot(*(line[:, :2] - xy).T).argmin()), len(line) - 2)
        along = line[k + 1, :2] - line[k, :2]
        heads.append((*xy, line[k, 2] + HEIGHT, math.atan2(0.0 - along[1], 0.0 - along[0])))
    return Signals(
        torch.as_tensor(list(lane), dtype=torch.int64),
        torch.as_tensor(np.asarray(stop_xy)).float().reshape(-1, 2),
        torch.tensor(heads).float().reshape(-1, 4),
        torch.as_tensor(np.asarray(state)).to(torch.int64),
    )
