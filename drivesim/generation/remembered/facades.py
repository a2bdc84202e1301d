"""Walls go on above what the lidar saw: as high as the photos agree that they do.

A lidar looks 10 to 15 degrees up, so that of a house across the street it sees the ground floor. The rest would be
drawn at infinity and slide along its own lower half. A column of wall is led upwards step by step, and at each step it
is asked which explains the photos better: the point on the wall, or what lies in its direction at infinity. It goes up
to where the sum of the answers is best. Where neither is better (plain sky), it stays as the lidar left it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from ...memory.discs import Discs, Placed, Seen, see
from ...memory.remembered import STANDING
from ...types import Semantic
from .bank import UNIT, Bank, locked
from .compiling import compiled

CELL = 0.4
"""Width of a column and height of a step [m]."""

STEPS = 45
"""So many steps a wall may go on."""

WORTH = 2.5
"""[8-bit steps] by which the wall must explain a step better than the sky does."""

CAPPED = 30.0
"""A step where the wall is wrong by more counts no more than this, so that a lamp or a wire ends no wall."""

REACH = 60.0
"""Farther photos [m] are not asked."""

_PHOTOS = 6
_LEAST = 5  # surfels of wall in a column that may go on


def add(bank: Bank, walls: Discs) -> Bank:
    """The bank, whose photos know of these walls where they knew of nothing."""
    placed = Placed(np.zeros(1, np.int64), np.full(1, len(walls.xyz)), np.eye(4)[None])
    seen = tuple(locked(album.copy()) for album in bank.seen)
    for p in range(len(bank.time) if len(walls.xyz) else 0):
        words = seen[bank.camera[p]].base[bank.number[p]]
        view = Seen.nothing(*words.shape)
        see(walls, placed, np.linalg.inv(bank.world_from_camera[p]), bank.lens[p] / 2, view)
        new = np.isfinite(view.depth) & (words & 0xFFFF == 0) & (words >> 16 == 1)
        words[new] += np.minimum(np.rint(UNIT / view.depth[new]), 65535).astype(np.uint32)
    return replace(bank, seen=seen)


def grow(bank: Bank) -> Discs:
    """Discs of the walls' upper parts; none where there are no photos."""
    foot, normal = _tops(bank.memory.surfels)
    if not len(foot) or not len(bank.time):
        return Discs.of(*(np.zeros(shape, np.float32) for shape in ((0, 3), (0, 3), (0,))))
    gain = np.zeros((len(foot), STEPS), np.float32)
    _judge(
        foot, normal, bank.camera_from_world, bank.world_from_camera[:, :3, 3].copy(), bank.lens, bank.rgb, bank.seen,
        bank.camera, bank.number, bank.gain, gain,
    )  # fmt: skip
    height = _heights(foot, gain)
    column = np.repeat(np.arange(len(foot)), height)
    step = np.arange(height.sum()) - np.repeat(np.cumsum(height) - height, height) + 1
    xyz = foot[column] + np.column_stack([np.zeros((len(step), 2)), step * CELL])
    order = np.lexsort((column, step // 8, (xyz[:, 0] // 8), (xyz[:, 1] // 8)))
    xyz, column = xyz[order], column[order]
    radius = np.full(len(xyz), 0.8 * CELL)
    return Discs.of(*(np.ascontiguousarray(x, np.float32) for x in (xyz, normal[column], radius)))


def _tops(surfels) -> tuple[np.ndarray, np.ndarray]:
    """The upper ends (n, 3) of the columns of wall, and their normals (n, 3), level."""
    wall = (surfels.owner == STANDING) & (surfels.semantic == int(Semantic.BUILDING))
    xyz, normal = surfels.xyz[wall].astype(np.float64), surfels.normal[wall].astype(np.float64)
    cell = np.floor(xyz[:, :2] / CELL).astype(np.int64)
    _, group, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    top = np.full(len(count), -np.inf)
    np.maximum.at(top, group, xyz[:, 2])
    low = np.full(len(count), np.inf)
    np.minimum.at(low, group, xyz[:, 2])
    upper = xyz[:, 2] > top[group] - 2.0
    weight = np.maximum(np.bincount(group, upper, len(count)), 1)
    place = np.stack([np.bincount(group, upper * xyz[:, k], len(count)) / weight for k in range(2)], 1)
    side = np.stack([np.bincount(group, upper * normal[:, k], len(count)) for k in range(2)], 1)
    length = np.linalg.norm(side, axis=1)
    good = (count >= _LEAST) & (top - low > 1.5) & (length > 0.6 * weight)
    level = np.column_stack([side / np.maximum(length, 1e-9)[:, None], np.zeros(len(side))])
    return np.column_stack([place, top])[good], level[good]


def _heights(foot: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Steps (n,) that each column goes on: where the sum of its gain, with that of its neighbours, is largest."""
    cell = np.floor(foot[:, :2] / CELL).astype(np.int64)
    cell -= cell.min(0) - 4
    rows = np.zeros((*(cell.max(0) + 5), STEPS), np.float32)
    rows[cell[:, 0], cell[:, 1]] = gain
    mass = np.zeros(rows.shape[:2], np.float32)
    mass[cell[:, 0], cell[:, 1]] = 1
    mean = ndimage.uniform_filter(rows, (7, 7, 1), mode="constant")[cell[:, 0], cell[:, 1]]
    mean /= np.maximum(ndimage.uniform_filter(mass, 7, mode="constant")[cell[:, 0], cell[:, 1]], 1e-6)[:, None]
    total = np.concatenate([np.zeros((len(foot), 1)), np.cumsum(mean - WORTH, axis=1)], 1)
    return total.argmax(1)


@compiled
def _judge(foot, normal, camera_from_world, eyes, lens, rgb, seen, camera, number, gain, out):
    """How much better (n, STEPS) the wall explains the photos than infinity does, in 8-bit steps."""
    chosen, score = np.empty(_PHOTOS, np.int64), np.empty(_PHOTOS)
    near, far, here = np.empty(3), np.empty(3), np.empty(3)
    for i in range(len(foot)):
        for step in range(STEPS):
            x, y, z = foot[i, 0], foot[i, 1], foot[i, 2] + (step + 1) * CELL
            count = _nearest(x, y, z, normal[i], camera_from_world, eyes, lens, seen, camera, number, chosen, score)
            if count < 2:
                continue
            total, pairs = 0.0, 0
            for a in range(count):
                p = chosen[a]
                _look(x, y, z, 1.0, camera_from_world[p], lens[p], rgb[camera[p]], number[p], gain[p], here)
                dx, dy, dz = x - eyes[p, 0], y - eyes[p, 1], z - eyes[p, 2]
                for b in range(count):
                    q = chosen[b]
                    if a == b:
                        continue
                    picture, m = rgb[camera[q]], camera_from_world[q]
                    if not _look(x, y, z, 1.0, m, lens[q], picture, number[q], gain[q], near):
                        continue
                    if not _look(
                        dx, dy, dz, 0.0, camera_from_world[q], lens[q], rgb[camera[q]], number[q], gain[q], far
                    ):
                        continue
                    wall = abs(near[0] - here[0]) + abs(near[1] - here[1]) + abs(near[2] - here[2])
                    sky = abs(far[0] - here[0]) + abs(far[1] - here[1]) + abs(far[2] - here[2])
                    total += min(max((sky - wall) / 3, -CAPPED), CAPPED)
                    pairs += 1
            if pairs:
                out[i, step] = total / pairs


@compiled
def _nearest(x, y, z, normal, camera_from_world, eyes, lens, seen, camera, number, chosen, score):
    """Photos that face the wall at a point and see nothing before it: the nearest, none from the spot of another."""
    count = 0
    for p in range(len(eyes)):
        dx, dy, dz = eyes[p, 0] - x, eyes[p, 1] - y, eyes[p, 2] - z
        apart = np.sqrt(dx * dx + dy * dy + dz * dz)
        if apart > REACH or dx * normal[0] + dy * normal[1] < 0.25 * apart:
            continue
        m = camera_from_world[p]
        deep = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        if deep < 0.5:
            continue
        u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / deep * lens[p, 0] + lens[p, 2]
        v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / deep * lens[p, 1] + lens[p, 3]
        shown = seen[camera[p]]
        row, column = int(np.floor(v / 2)), int(np.floor(u / 2))
        if row < 1 or column < 1 or row >= shown.shape[1] - 1 or column >= shown.shape[2] - 1:
            continue
        word = shown[number[p], row, column]
        if (word >> np.uint32(16)) != 1 or (word & np.uint32(0xFFFF)) != 0:
            continue
        twin = -1
        for k in range(count):
            q = chosen[k]
            ex, ey = eyes[p, 0] - eyes[q, 0], eyes[p, 1] - eyes[q, 1]
            if ex * ex + ey * ey < 0.0025 * apart * apart:  # less than three degrees tell no wall from the sky
                twin = k
        if twin >= 0:
            continue
        if count < _PHOTOS:
            k = count
            count += 1
        else:
            k = 0
            for j in range(count):
                if score[j] > score[k]:
                    k = j
            if apart >= score[k]:
                continue
        chosen[k], score[k] = p, apart
    return count


@compiled
def _look(x, y, z, w, m, lens, picture, number, gain, out):
    """Mean of 3 x 3 pixels of a photo around a point (w = 1) or a direction (w = 0); False where it is not in it."""
    deep = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3] * w
    if deep < 1e-3:
        return False
    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3] * w) / deep * lens[0] + lens[2]
    v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3] * w) / deep * lens[1] + lens[3]
    row, column = int(np.floor(v)), int(np.floor(u))
    if row < 1 or column < 1 or row >= picture.shape[1] - 1 or column >= picture.shape[2] - 1:
        return False
    for c in range(3):
        total = 0.0
        for dr in range(-1, 2):
            for dc in range(-1, 2):
                total += picture[number, row + dr, column + dc, c]
        out[c] = total / 9 / gain[c]
    return True
