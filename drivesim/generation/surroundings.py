"""What the ground shows by its place alone: paving beside the road, grass away from it, shadows under things."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..types import Semantic
from .compiling import inlined
from .paint import AWAY_CELL, CELL, Paint, cell_lists
from .textures import Texture, texel

SIDEWALK_WIDTH = 2.6  # [m] paving beside the road where a map says nothing of sidewalks
SOFT = 0.8  # [m] width of a shadow's edge

_SIDEWALK, _TERRAIN = int(Semantic.SIDEWALK), int(Semantic.TERRAIN)
_PAVING, _GRASS, _STAINS = int(Texture.PAVING), int(Texture.GRASS), int(Texture.STAINS)


class Shadows(NamedTuple):
    """Soft dark rectangles on the ground, listed by the cells of the paint's grid."""

    starts: np.ndarray  # (cells + 1,) int32
    items: np.ndarray  # int32
    boxes: np.ndarray  # (N, 7) float32 x, y, cos, sin of the yaw, half length, half width, darkness


def shadows(paint: Paint, boxes: np.ndarray) -> Shadows:
    """From rectangles (N, 7)."""
    reach = np.hypot(boxes[:, 4], boxes[:, 5])[:, None] + SOFT / 2
    starts, items = cell_lists(boxes[:, :2] - reach, boxes[:, :2] + reach, paint.origin, paint.rows, paint.columns)
    return Shadows(starts, items, boxes.astype(np.float32))


@inlined
def light_on(paint, shadows, x, y):
    """Share of light (0..1) that reaches the ground at (x, y)."""
    gx, gy = (x - paint.origin[0]) / CELL, (y - paint.origin[1]) / CELL
    if not (gx >= 0 and gy >= 0 and gx < paint.columns and gy < paint.rows):
        return 1.0
    cell = int(gy) * paint.columns + int(gx)
    light = 1.0
    box = shadows.boxes
    for j in range(shadows.starts[cell], shadows.starts[cell + 1]):
        i = shadows.items[j]
        rx, ry, c, s = x - box[i, 0], y - box[i, 1], box[i, 2], box[i, 3]
        u, v = abs(rx * c + ry * s) - box[i, 4], abs(ry * c - rx * s) - box[i, 5]
        out = math.sqrt(max(u, 0.0) ** 2 + max(v, 0.0) ** 2) + min(max(u, v), 0.0)
        edge = min(max(0.5 - out / SOFT, 0.0), 1.0)
        light *= 1 - box[i, 6] * edge * edge * (3 - 2 * edge)
    return light


@inlined
def beside(atlas, paint, x, y, spot):
    """Linear rgb and class of the ground off the road; `spot` is the width of the footprint [m]."""
    if _from_road(paint, x, y) < SIDEWALK_WIDTH:
        r, g, b = texel(atlas, _PAVING, x / 4.0, y / 4.0, spot / 4.0)
        return r, g, b, _SIDEWALK
    r, g, b = texel(atlas, _GRASS, x / 6.0, y / 6.0, spot / 6.0)
    stain, _, _ = texel(atlas, _STAINS, x / 61.0, y / 61.0, spot / 61.0)
    return 2 * stain * r, 2 * stain * g, 2 * stain * b, _TERRAIN


@inlined
def _from_road(paint, x, y):
    """Distance to the road [m], bilinear; 25.5 at most and beyond the raster."""
    gx, gy = (x - paint.origin[0]) / AWAY_CELL - 0.5, (y - paint.origin[1]) / AWAY_CELL - 0.5
    rows, columns = paint.away.shape
    if not (gx >= 0 and gy >= 0 and gx < columns - 1 and gy < rows - 1):
        return 25.5
    i, j = int(gy), int(gx)
    fy, fx = gy - i, gx - j
    low = paint.away[i, j] * (1 - fx) + paint.away[i, j + 1] * fx
    high = paint.away[i + 1, j] * (1 - fx) + paint.away[i + 1, j + 1] * fx
    return (low * (1 - fy) + high * fy) * 0.1
