"""Softens the stairs where one thing ends and another begins, after the idea of FXAA (Lottes 2009).

Each pixel sees one triangle, so silhouettes come out as stairs. Where the brightness jumps at such a border, the stair
is followed to both of its ends and the pixel takes the share of its neighbour that the true edge would have given it.
Textures and road paint are filtered already and are left alone.
"""

from __future__ import annotations

import numpy as np

from ..types import Semantic
from .compiling import compiled, inlined

LEAST, SHARE = 14, 0.10  # smallest jump that is treated: 8-bit steps, and as a share of the brighter side
STEPS = 8  # [px] how far a stair is followed to each side

_ROAD, _CROSSWALK = int(Semantic.ROAD), int(Semantic.CROSSWALK)


@compiled
def soften(rows, raw, depth, semantics, instance, out):
    """Write rows [a, b) of `out` (3, h, w) from `raw` (3, h, w), both uint8; green stands for brightness."""
    _, height, width = raw.shape
    for y in range(rows[0], rows[1]):
        for x in range(width):
            for k in range(3):
                out[k, y, x] = raw[k, y, x]
            if x == 0 or y == 0 or x == width - 1 or y == height - 1:
                continue
            c, n, s = int(raw[1, y, x]), int(raw[1, y - 1, x]), int(raw[1, y + 1, x])
            w, e = int(raw[1, y, x - 1]), int(raw[1, y, x + 1])
            high, low = max(c, n, s, w, e), min(c, n, s, w, e)
            if high - low < max(LEAST, SHARE * high):
                continue
            level = abs(n + s - 2 * c) >= abs(w + e - 2 * c)  # the edge runs along the row
            before, after = (n, s) if level else (w, e)
            side = -1 if abs(before - c) >= abs(after - c) else 1
            oy, ox = (side, 0) if level else (0, side)
            if not _border(depth, semantics, instance, y, x, y + oy, x + ox):
                continue
            share = _share(raw, y, x, oy, ox, 0 if level else 1, 1 if level else 0)
            if share > 0:
                for k in range(3):
                    mixed = raw[k, y, x] + share * (float(raw[k, y + oy, x + ox]) - raw[k, y, x])
                    out[k, y, x] = int(mixed + 0.5)


@inlined
def _border(depth, semantics, instance, y, x, j, i):
    """Whether two neighbours show different things, or parts of one agent."""
    if instance[y, x] >= 0 or instance[y, x] != instance[j, i]:
        return True
    a, b = semantics[y, x], semantics[j, i]
    if a != b and not (_ROAD <= a <= _CROSSWALK and _ROAD <= b <= _CROSSWALK):
        return True
    near, far = min(depth[y, x], depth[j, i]), max(depth[y, x], depth[j, i])
    return far > 1.05 * near


@inlined
def _share(raw, y, x, oy, ox, ay, ax):
    """How much of the neighbour at (oy, ox) belongs into the pixel, for a stair that runs along (ay, ax)."""
    _, height, width = raw.shape
    here, there = float(raw[1, y, x]), float(raw[1, y + oy, x + ox])
    middle, limit = (here + there) / 2, abs(here - there) / 4
    ends = np.inf
    nearest, toward, total = np.inf, 0.0, 0.0
    for sign in (-1, 1):
        off, step = 0.0, 0
        while step < STEPS:
            step += 1
            j, i = y + sign * step * ay, x + sign * step * ax
            if not (0 <= j < height and 0 <= i < width and 0 <= j + oy < height and 0 <= i + ox < width):
                break
            off = (float(raw[1, j, i]) + raw[1, j + oy, i + ox]) / 2 - middle
            if abs(off) >= limit:
                break
        total += step
        if step < nearest:
            nearest, toward = float(step), off
            ends = abs(off)
    if ends < limit or (toward < 0) == (here < middle):  # no end in sight, or the stair turns the other way
        return 0.0
    return 0.5 - nearest / total
