"""Conflict areas: where the strip that the ego's box swept crosses the strip of another, and when each was in it."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import heading
from drivesim.struct import Struct, tensor
from drivesim.traffic.boxes import touch
from drivesim.types import Agents

CROSSING = math.radians(30)
"""Paths cross if their directions differ by at least this, and by at most 180 degrees less this, where they meet: who
drives one behind the other, or merges, shares a strip and no conflict area. Own choice."""
FINE = 1 / 256
"""Part of a step to which entering and leaving is found."""


class Conflicts(Struct):
    """One per agent whose path crosses the ego's.

    Times in s since the first step, boxes in between move linearly.
    """

    who: Tensor = tensor()  # (K,) int64
    ego_enters: Tensor = tensor()  # (K,)
    ego_leaves: Tensor = tensor()  # (K,) that of the last step if it is still there
    other_enters: Tensor = tensor()  # (K,)
    other_leaves: Tensor = tensor()  # (K,)
    xy: Tensor = tensor(event=1)  # (K, 2) middle of the area, world [m]

    @property
    def ego_first(self) -> Tensor:
        """Whether (K,) the ego was the first to enter."""
        return self.ego_enters <= self.other_enters

    @property
    def post_encroachment_time(self) -> Tensor:
        """PET (K,) [s]: the second enters less the first leaves; negative where both were in the area at once."""
        return torch.where(self.ego_first, self.other_enters - self.ego_leaves, self.ego_enters - self.other_leaves)


def conflicts(agents: Agents, there: Tensor, dt: float) -> Conflicts:
    """Conflict areas of agents (n, A) with the ego over the whole drive; `there` (n, A) bool says who counts when.

    The area is shared by both strips: the ego is in it while its box touches a place that the other's box covers at any
    time, and the other likewise. Each pair has one, from the first entry to the last exit.
    """
    half = agents.size[..., :2] / 2
    boxes = torch.cat([agents.xy, heading(agents.yaw), half], -1).double()
    boxes = boxes.masked_fill(~there[..., None], torch.nan).transpose(0, 1).contiguous().numpy()
    found, times, places = _crossings(boxes, math.cos(CROSSING))
    who = torch.from_numpy(found).nonzero()[:, 0]
    times, places = torch.from_numpy(times)[who] * dt, torch.from_numpy(places)[who]
    return Conflicts(who, *times.T, places)


@numba.njit(cache=True, error_model="numpy")
def _crossings(boxes, aligned):
    """For boxes (A, n, 6) of x, y, cos, sin, half length, half width: who crosses, when in steps, and where."""
    agents, n, _ = boxes.shape
    found, times, places = np.zeros(agents, np.bool_), np.zeros((agents, 4)), np.zeros((agents, 2))
    ego = boxes[0]
    mine, theirs = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    for a in range(1, agents):
        other = boxes[a]
        mine[:], theirs[:] = False, False
        x0, y0, x1, y1 = np.inf, np.inf, -np.inf, -np.inf
        for j in range(n):
            reach = other[j, 4] + other[j, 5]
            if np.isfinite(other[j, 0]):
                x0, x1 = min(x0, other[j, 0] - reach), max(x1, other[j, 0] + reach)
                y0, y1 = min(y0, other[j, 1] - reach), max(y1, other[j, 1] + reach)
        count, x, y = 0, 0.0, 0.0
        for i in range(n):
            e = ego[i]
            reach = e[4] + e[5]
            if not (x0 - reach <= e[0] <= x1 + reach and y0 - reach <= e[1] <= y1 + reach):
                continue
            for j in range(n):
                if _crosswise(e, other[j], aligned) and _touch(e, other[j]):
                    mine[i], theirs[j] = True, True
                    count, x, y = count + 1, x + (e[0] + other[j, 0]) / 2, y + (e[1] + other[j, 1]) / 2
        if count:
            found[a] = True
            places[a, 0], places[a, 1] = x / count, y / count
            times[a, 0], times[a, 1] = _stay(ego, mine, other, theirs)
            times[a, 2], times[a, 3] = _stay(other, theirs, ego, mine)
    return found, times, places


@numba.njit(error_model="numpy")
def _crosswise(a, b, aligned):
    """Whether two boxes are near each other and their directions cross."""
    dx, dy, reach = b[0] - a[0], b[1] - a[1], a[4] + a[5] + b[4] + b[5]
    return dx * dx + dy * dy <= reach * reach and abs(a[2] * b[2] + a[3] * b[3]) <= aligned


@numba.njit(error_model="numpy")
def _touch(a, b):
    return touch(a[0], a[1], a[2], a[3], a[4], a[5], b[0], b[1], b[2], b[3], b[4], b[5])


@numba.njit(error_model="numpy")
def _stay(one, steps, strip, covered):
    """When `one` (n, 6) begins and ends to touch the boxes of `strip` at its `covered` steps, as it does at `steps`."""
    first, last = -1, -1
    for i in range(len(steps)):
        if steps[i]:
            first, last = i if first < 0 else first, i
    return _edge(one, first, first - 1, strip, covered), _edge(one, last, last + 1, strip, covered)


@numba.njit(error_model="numpy")
def _edge(one, touching, clear, strip, covered):
    """The step, with its fraction, up to which `one` touches the strip on its way from one step to the next."""
    if clear < 0 or clear >= len(one) or not np.isfinite(one[clear, 0]):
        return float(touching)
    low, high = 0.0, 1.0
    while high - low > FINE:
        share = (low + high) / 2
        box = one[touching] + share * (one[clear] - one[touching])
        turn = np.hypot(box[2], box[3])
        box[2], box[3] = box[2] / turn, box[3] / turn
        hit = False
        for j in range(len(strip)):
            if covered[j] and _touch(box, strip[j]):
                hit = True
                break
        low, high = (share, high) if hit else (low, share)
    return touching + (clear - touching) * low
