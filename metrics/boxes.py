"""Boxes of a drive against the ego's and against planned ones, compiled: who touches whom, now and further on."""

from __future__ import annotations

import numba
import numpy as np
import torch

from drivesim.geometry import heading
from drivesim.traffic.boxes import touch
from drivesim.types import Agents

from .drive import kept


@kept
def boxes(agents: Agents) -> np.ndarray:
    """Boxes (..., A, 6) float64 of agents: x, y, direction, half length, half width; NaN for who is absent."""
    found = torch.cat([agents.xy, heading(agents.yaw), agents.size[..., :2] / 2], -1)
    return found.masked_fill(~agents.valid[..., None], torch.nan).double().contiguous().numpy()


@numba.njit(error_model="numpy", _nrt=False)
def _touch(a, x, y, b):
    """Whether a box and another one (6,), its centre at x, y, share a point."""
    reach = a[4] + a[5] + b[4] + b[5]  # few are so near, and this is cheap
    if not (abs(a[0] - x) <= reach and abs(a[1] - y) <= reach):
        return False
    return touch(a[0], a[1], a[2], a[3], a[4], a[5], x, y, b[2], b[3], b[4], b[5])


@numba.njit(cache=True, error_model="numpy")
def touching_first(boxes):
    """Which of boxes (N, A, 6) touch the first of their row, bool (N, A)."""
    rows, agents, _ = boxes.shape
    out = np.zeros((rows, agents), np.bool_)
    for t in range(rows):
        for a in range(1, agents):
            out[t, a] = _touch(boxes[t, 0], boxes[t, a, 0], boxes[t, a, 1], boxes[t, a])
    return out


@numba.njit(cache=True, error_model="numpy")
def first_touches(boxes, closing, mask, times):
    """The first of `times` (P,) at which boxes (N, A, 6), moved by their `closing` velocity (N, A, 2), touch the first
    of their row, (N, A); inf for never and where not `mask` (N, A)."""
    rows, agents, _ = boxes.shape
    out = np.full((rows, agents), np.inf)
    for t in range(rows):
        for a in range(agents):
            if not mask[t, a]:
                continue
            for time in times:
                x, y = boxes[t, a, 0] + time * closing[t, a, 0], boxes[t, a, 1] + time * closing[t, a, 1]
                if _touch(boxes[t, 0], x, y, boxes[t, a]):
                    out[t, a] = time
                    break
    return out


@numba.njit(cache=True, error_model="numpy")
def meeting(placed, rows, boxes, who):
    """Whether each box of `placed` (K, 6) touches any of boxes (N, A, 6) in its row (K,), of those in `who` (N, A)."""
    out = np.zeros(len(placed), np.bool_)
    for k in range(len(placed)):
        t = rows[k]
        for a in range(boxes.shape[1]):
            if who[t, a] and _touch(placed[k], boxes[t, a, 0], boxes[t, a, 1], boxes[t, a]):
                out[k] = True
                break
    return out
