"""Where routes meet. Who goes first there is decided in `traffic.kernel.conflicts`."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.struct import Struct, tensor

from .following import SPACING

SAME_WAY = 0.6
"""Least angle between routes in a stretch that both use: below it they share a way there, above it they cross [rad]."""

MARGIN = 1.0
"""Between one body's leaving a place where routes meet and another's coming there [s]."""

FAR = 60.0
"""From a place where routes meet, nobody thinks of it yet [m]."""


class Zones(Struct):
    """Stretches that two routes share, each seen from both sides: zone z is where agent `me[z]` meets `other[z]`."""

    me: Tensor = tensor()  # (Z,) int64
    other: Tensor = tensor()  # (Z,) int64
    begin: Tensor = tensor()  # (Z,) arc length on my route at which I come into the other's way [m]
    end: Tensor = tensor()  # (Z,) and at which I am out of it
    other_begin: Tensor = tensor()  # (Z,) the same on the other's route
    other_end: Tensor = tensor()  # (Z,)
    merges: Tensor = tensor()  # (Z,) bool: both go on in the same direction


def find_zones(points: Tensor, length: Tensor, width: Tensor, start: Tensor) -> Zones:
    """All zones of routes (A, P, 2) of `length` (A,) for bodies of `width` (A,), who are at `start` (A,) or further."""
    count = (length.numpy() / SPACING + 0.5).astype(np.int64) + 1
    first = np.clip((start.numpy() / SPACING).astype(np.int64), 0, None)
    line = points.double().numpy()
    rows = [np.zeros((0, 7))]
    boxes = [
        (line[i, : count[i]].min(0), line[i, : count[i]].max(0)) if count[i] > 1 else None for i in range(len(line))
    ]
    for i in range(len(line)):
        for j in range(i + 1, len(line)):
            if boxes[i] is None or boxes[j] is None:
                continue
            reach = float(width[i] + width[j]) / 2 + 0.2
            if (boxes[i][0] > boxes[j][1] + reach).any() or (boxes[j][0] > boxes[i][1] + reach).any():
                continue
            a, b = line[i, first[i] : count[i]], line[j, first[j] : count[j]]
            if len(a) < 2 or len(b) < 2:
                continue
            for z in _shared(a, b, reach):
                z[:2] += first[i]
                z[2:4] += first[j]
                rows.append([[i, j, *z]])
                rows.append([[j, i, z[2], z[3], z[0], z[1], z[4]]])
    table = np.concatenate(rows)
    who = torch.from_numpy(table[:, :2].astype(np.int64))
    at = torch.from_numpy(table[:, 2:6] * SPACING).float()
    return Zones(who[:, 0], who[:, 1], *at.unbind(1), torch.from_numpy(table[:, 6] < SAME_WAY))


@numba.njit(cache=True)
def _shared(a, b, reach):
    """Runs of points of `a` within `reach` of `b`: [first, last of a, first, last of b, least angle between them]."""
    out = []
    inside, i0, last, j0, j1, angle = False, 0, 0, 0, 0, 0.0
    for i in range(len(a)):
        low, high, best, nearest = -1, -1, reach * reach, -1
        j = 0
        while j < len(b):
            d = (a[i, 0] - b[j, 0]) ** 2 + (a[i, 1] - b[j, 1]) ** 2
            if d <= reach * reach:
                # a run of `a` meets one stretch of `b`: another pass of `b` far away begins a zone of its own later
                if low < 0 or j - high <= 8:
                    low = j if low < 0 else low
                    high = j
                if d < best:
                    best, nearest = d, j
                j += 1
            else:
                j += max(1, int((np.sqrt(d) - reach) * 0.6))
        if low >= 0 and inside and (low > j1 + 8 or high < j0 - 8):
            out.append(np.array([i0, last, j0, j1, angle]))
            inside = False
        if low >= 0:
            k, m = max(i, 1), max(nearest if nearest >= 0 else low, 1)
            turn = np.arctan2(a[k, 1] - a[k - 1, 1], a[k, 0] - a[k - 1, 0])
            turn -= np.arctan2(b[m, 1] - b[m - 1, 1], b[m, 0] - b[m - 1, 0])
            turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
            if not inside:
                inside, i0, j0, j1, angle = True, i, low, high, turn
            angle = min(angle, turn)
            j0, j1, last = min(j0, low), max(j1, high), i
        elif inside and i - last > 3:
            out.append(np.array([i0, last, j0, j1, angle]))
            inside = False
    if inside:
        out.append(np.array([i0, last, j0, j1, angle]))
    return out
