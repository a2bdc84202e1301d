"""What is painted on the road, as straight strips that the shader integrates over each pixel's footprint.

A strip is exact at any distance: no texture holds it, so lane lines stay crisp near the bumper and fade evenly far
away. A grid lists the strips near each place.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from shapely.geometry.base import BaseGeometry

from ..geometry import heading, polyline_yaw
from ..types import Lanes, Map, Marking, Semantic
from .compiling import inlined
from .ground import borders

CELL = 4.0  # [m] of the grid that lists strips and shadows
REACH = 1.0  # [m] a strip is listed this far around itself: half of the widest footprint that is integrated
AWAY_CELL = 0.5  # [m] of the raster of distances to the road
LINE = 0.15  # [m] width of a lane line
DASH, PERIOD = 3.0, 9.0  # [m] of a dashed line: paint and repetition
BAR, GAP = 0.5, 0.6  # [m] of a zebra crossing
STOP = 0.4  # [m] width of a stop line


class Ink(IntEnum):
    WHITE = 0
    YELLOW = 1
    ZEBRA = 2


_YELLOW, _ZEBRA = int(Ink.YELLOW), int(Ink.ZEBRA)
_MARKING, _CROSSWALK = int(Semantic.MARKING), int(Semantic.CROSSWALK)


class Paint(NamedTuple):
    """Strips by place, and how far from the road a place lies."""

    origin: np.ndarray  # (2,) float64 lower corner of both grids [m]
    rows: int
    columns: int
    starts: np.ndarray  # (rows * columns + 1,) int32 into `items`
    items: np.ndarray  # int32 strips, cell by cell
    strips: np.ndarray  # (S, 9) float32: x, y, ux, uy, length, half width, dash, period, phase [m]
    ink: np.ndarray  # (S,) uint8, an Ink
    away: np.ndarray  # (rows * 8, columns * 8) uint8 distance to the road [dm], at most 25.5 m


def paint(map: Map, area: BaseGeometry, bounds: tuple[float, float, float, float]) -> Paint:
    strips, ink = _strips(map)
    origin = np.floor((np.array(bounds[:2]) - 30.0) / CELL) * CELL
    columns, rows = (np.ceil((np.array(bounds[2:]) + 30.0 - origin) / CELL).astype(int)).tolist()
    reach = REACH + strips[:, 5]
    a = strips[:, :2].astype(float)
    b = a + strips[:, 2:4] * strips[:, 4:5]
    low, high = np.minimum(a, b) - reach[:, None], np.maximum(a, b) + reach[:, None]
    starts, items = cell_lists(low, high, origin, rows, columns)
    return Paint(origin, rows, columns, starts, items, strips, ink, _away(area, origin, rows, columns))


def cell_lists(
    low: np.ndarray, high: np.ndarray, origin: np.ndarray, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the rectangles low..high (N, 2) touch each grid cell: starts (cells + 1,), items, int32."""
    first = np.floor((low - origin) / CELL).astype(np.int64).clip(0, [columns - 1, rows - 1])
    last = np.floor((high - origin) / CELL).astype(np.int64).clip(0, [columns - 1, rows - 1])
    span = last - first + 1
    count = span.prod(1) if len(span) else np.zeros(0, np.int64)
    who = np.repeat(np.arange(len(low)), count)
    place = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    cell = (first[who, 1] + place // span[who, 0]) * columns + first[who, 0] + place % span[who, 0]
    order = np.argsort(cell, kind="stable")
    starts = np.zeros(rows * columns + 1, np.int32)
    starts[1:] = np.cumsum(np.bincount(cell, minlength=rows * columns))
    return starts, who[order].astype(np.int32)


@inlined
def painted(paint, x, y, ax, ay, bx, by, r, g, b, fresh):
    """Lay the strips near (x, y) over the linear colour r, g, b; `fresh` (about 0.5..1) is how well paint holds.

    (ax, ay) and (bx, by) are the two edges of the pixel's footprint. Coverage is the product of two box-filtered
    profiles, along and across each strip. Returns the colour and the class that shows, 0 for bare road.
    """
    gx, gy = (x - paint.origin[0]) / CELL, (y - paint.origin[1]) / CELL
    if not (gx >= 0 and gy >= 0 and gx < paint.columns and gy < paint.rows):
        return r, g, b, 0
    cell = int(gy) * paint.columns + int(gx)
    white, yellow, zebra = 0.0, 0.0, False
    strips = paint.strips
    for j in range(paint.starts[cell], paint.starts[cell + 1]):
        i = paint.items[j]
        ux, uy, length, half = strips[i, 2], strips[i, 3], strips[i, 4], strips[i, 5]
        rx, ry = x - strips[i, 0], y - strips[i, 1]
        s, t = rx * ux + ry * uy, ry * ux - rx * uy
        if paint.ink[i] == _ZEBRA and 0 <= s <= length and abs(t) <= (BAR + GAP) / 2:
            zebra = True
        wide = min(max(abs(ay * ux - ax * uy) + abs(by * ux - bx * uy), 1e-3), 2 * REACH)
        across = min(t + wide / 2, half) - max(t - wide / 2, -half)
        if across <= 0:
            continue
        long = min(max(abs(ax * ux + ay * uy) + abs(bx * ux + by * uy), 1e-3), 2 * REACH)
        filled = _filled(s - long / 2, s + long / 2, length, strips[i, 6], strips[i, 7], strips[i, 8])
        cover = across / wide * filled / long
        if paint.ink[i] == _YELLOW:
            yellow += cover
        else:
            white += cover
    white, yellow = min(white, 1.0), min(yellow, 1.0)
    fresh = min(max(fresh, 0.55), 0.97)
    r, g, b = r + white * fresh * (0.62 - r), g + white * fresh * (0.62 - g), b + white * fresh * (0.61 - b)
    r, g, b = (
        r + yellow * fresh * (0.60 - r),
        g + yellow * fresh * (0.38 - g),
        b + yellow * fresh * (0.035 - b),
    )
    return r, g, b, _CROSSWALK if zebra else (_MARKING if white + yellow > 0.5 else 0)


@inlined
def _filled(a, b, length, dash, period, phase):
    """Metres of paint between places a and b along a strip."""
    a, b = max(a, 0.0), min(b, length)
    if b <= a:
        return 0.0
    if dash == 0:
        return b - a
    a, b = a + phase, b + phase
    first, last = math.floor(a / period), math.floor(b / period)
    return (last - first) * dash + min(b - last * period, dash) - min(a - first * period, dash)


def _strips(map: Map) -> tuple[np.ndarray, np.ndarray]:
    parts: list[tuple[np.ndarray, int]] = []
    lines = [(map.markings.line(i), int(map.markings.kind[i])) for i in range(len(map.markings))]
    for line, kind in lines or _habit(map.lanes):
        parts += _line(line[:, :2].double().numpy(), Marking(kind))
    for i in range(len(map.crosswalks)):
        parts += _zebra(map.crosswalks.line(i)[:, :2].double().numpy(), map.lanes)
    parts = [(rows, ink) for rows, ink in parts if len(rows) and np.isfinite(rows).all()]
    if not parts:
        return np.zeros((0, 9), np.float32), np.zeros(0, np.uint8)
    ink = np.concatenate([np.full(len(rows), ink, np.uint8) for rows, ink in parts])
    return np.concatenate([rows for rows, _ in parts]).astype(np.float32), ink


def _line(line: np.ndarray, kind: Marking) -> list[tuple[np.ndarray, int]]:
    ink = Ink.YELLOW if kind in (Marking.SOLID_YELLOW, Marking.DASHED_YELLOW, Marking.DOUBLE_YELLOW) else Ink.WHITE
    if kind == Marking.STOP_LINE:
        return [(_stroke(line, STOP), ink)]
    if kind in (Marking.DOUBLE_WHITE, Marking.DOUBLE_YELLOW):
        return [(_stroke(line, LINE * 0.8, shift), ink) for shift in (-LINE, LINE)]
    dashed = kind in (Marking.DASHED_WHITE, Marking.DASHED_YELLOW)
    return [(_stroke(line, LINE, 0.0, DASH if dashed else 0.0), ink)]


def _stroke(line: np.ndarray, width: float, shift: float = 0.0, dash: float = 0.0) -> np.ndarray:
    """Strips (n, 9) along a polyline, in pieces of at most 8 m; `shift` to the left; `dash` 0 is solid."""
    line = line[np.r_[True, np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-3]]
    if len(line) < 2:
        return np.zeros((0, 9))
    step = np.diff(line, axis=0)
    length = np.linalg.norm(step, axis=1)
    pieces = np.ceil(length / 8.0).astype(int)
    who = np.repeat(np.arange(len(step)), pieces)
    part = np.arange(len(who)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    unit = (step / length[:, None])[who]
    size = (length / pieces)[who]
    start = line[:-1][who] + unit * (part * size)[:, None] + shift * np.stack([-unit[:, 1], unit[:, 0]], 1)
    phase = (np.cumsum(length) - length)[who] + part * size
    constant = np.tile([width / 2, dash, PERIOD if dash else 1.0], (len(who), 1))
    return np.concatenate([start, unit, size[:, None], constant, (phase % PERIOD)[:, None]], 1)


def _zebra(ring: np.ndarray, lanes: Lanes) -> list[tuple[np.ndarray, int]]:
    """Bars that run along the traffic, side by side across the walking direction."""
    if len(ring) < 3 or not np.isfinite(ring).all():
        return []
    along = _traffic(ring, lanes)
    across = np.array([-along[1], along[0]])
    s, t = ring @ across, ring @ along
    following = np.roll(np.arange(len(ring)), -1)
    rows = []
    span = s.max() - s.min()
    count = max(int((span - BAR) / (BAR + GAP)), 0) + 1
    begin = (s.max() + s.min()) / 2 - (count - 1) / 2 * (BAR + GAP)
    for at in begin + (BAR + GAP) * np.arange(count):
        cut = (s > at) != (s[following] > at)
        if not cut.any():
            continue
        share = (at - s[cut]) / (s[following] - s)[cut]
        ends = np.sort(t[cut] + share * (t[following] - t)[cut])
        for a, b in zip(ends[::2], ends[1::2], strict=False):
            line = np.stack([at * across + a * along, at * across + b * along])
            rows.append(_stroke(line, BAR))
    return [(np.concatenate(rows), Ink.ZEBRA)] if rows else []


def _traffic(ring: np.ndarray, lanes: Lanes) -> np.ndarray:
    """Direction of the cars over a crossing: that of the nearest lane, else the crossing's short side."""
    middle = ring.mean(0)
    points = lanes.center.points[:, :2].double().numpy()
    centered = ring - middle
    _, axes = np.linalg.eigh(centered.T @ centered)  # ascending: the short side first
    short = axes[:, 0]
    if not len(points):
        return short
    nearest = np.linalg.norm(points - middle, axis=1)
    i = int(nearest.argmin())
    lane = int(np.searchsorted(lanes.center.offsets.numpy(), i, side="right")) - 1
    line = lanes.center.line(lane)[:, :2].double().numpy()
    if nearest[i] > 15.0 or len(line) < 2:
        return short
    k = min(max(i - int(lanes.center.offsets[lane]), 0), len(line) - 2)
    ahead = line[k + 1] - line[k]
    return axes[:, int(np.abs(ahead @ axes).argmax())]


def _habit(lanes: Lanes) -> list[tuple[torch.Tensor, int]]:
    """Markings that lanes usually have, where a map tells none: dashes between, solid lines at the sides."""
    lines = []
    sides = {(a, side) for a, _, side in lanes.neighbours.tolist()}
    for i in range(len(lanes)):
        center = lanes.center.line(i)[:, :2]
        if bool(lanes.intersection[i]) or len(center) < 2:
            continue
        left = heading(polyline_yaw(center) + torch.pi / 2) * lanes.width[i] / 2
        if (i, 1) not in sides:
            lines.append((center + left, int(Marking.SOLID_YELLOW)))
        kind = Marking.DASHED_WHITE if (i, -1) in sides else Marking.SOLID_WHITE
        lines.append((center - left, int(kind)))
    return lines


def _away(area: BaseGeometry, origin: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Distance to the road at the middle of each raster cell [dm], uint8: even-odd scan lines, then a transform."""
    height, width = rows * 8, columns * 8
    flips = np.zeros((height, width + 1), np.uint8)
    for ring in borders(area):
        a = (ring - origin) / AWAY_CELL - 0.5
        b = np.roll(a, -1, 0)
        first = np.ceil(np.minimum(a[:, 1], b[:, 1])).astype(int).clip(0, height)
        last = np.ceil(np.maximum(a[:, 1], b[:, 1])).astype(int).clip(0, height)
        count = np.maximum(last - first, 0)
        who = np.repeat(np.arange(len(a)), count)
        row = first[who] + np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
        share = (row - a[who, 1]) / (b[who, 1] - a[who, 1])
        column = np.ceil(a[who, 0] + share * (b[who, 0] - a[who, 0])).astype(int).clip(0, width)
        np.add.at(flips, (row, column), 1)
    inside = (np.cumsum(flips, 1, dtype=np.uint8)[:, :-1] & 1).astype(bool)
    if not inside.any():
        return np.full((height, width), 255, np.uint8)
    distance = distance_transform_edt(~inside) * (AWAY_CELL * 10) - AWAY_CELL * 5
    return np.clip(distance, 0, 255).astype(np.uint8)
