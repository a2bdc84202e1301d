"""Which pixels of a photo may be used: not those that a mover or its shadow touches, not the ego's own bonnet."""

from __future__ import annotations

import numba
import numpy as np
from scipy import ndimage

from .remembered import Photos, between

MARGIN = 0.2
"""Around a mover's box [m]: there a pixel may show the mover, though no surfel of it says so."""

SHADOW = 0.8
"""On the ground around a mover's box [m]: as far as a contact shadow and a low sun's half shade reach."""

MOVES = 0.5
"""An agent that strays farther than this within the log [m] is a mover, also while it waits."""

_SAME = 1.0  # [m] the ego must have moved between two photos that are to tell what is the ego's own
_PAIRS = 24


def movers(world_from_box: np.ndarray) -> np.ndarray:
    """Agents (n,) other than the ego that ever move, of poses (T, A, 4, 4)."""
    place = world_from_box[:, 1:, :3, 3]
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(place, 0), np.fmax.reduce(place, 0)
        return 1 + np.flatnonzero((high - low).max(-1, initial=0) > MOVES)


def spare_movers(photos: Photos, world_from_box: np.ndarray, size: np.ndarray, dt: float) -> None:
    """Take from `usable` what movers may touch and is not their own; size (T, A, 3) [m].

    A pixel more is taken around; the movers' own pixels stay.
    """
    moving = movers(world_from_box)
    lens = np.linalg.inv(photos.intrinsics) @ np.diag([2.0, 2.0, 1.0])  # of half-size pixels
    for i, time in enumerate(photos.time):
        boxes = between(world_from_box, time / dt)
        here = moving[np.isfinite(boxes[moving]).all((1, 2))]
        box_from_camera = np.linalg.inv(boxes[here]) @ photos.world_from_camera[i]
        extent = size[min(max(round(time / dt), 0), len(size) - 1), here]
        usable = photos.usable[i].copy()
        _spare(box_from_camera, extent, here, lens, photos.depth[i].astype(np.float32), photos.owner[i], usable)
        own = np.isin(photos.owner[i], here)
        photos.usable[i] = ~ndimage.binary_dilation(own | ~usable) | (own & usable)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spare(box_from_camera, extent, agent, lens, depth, owner, usable):
    """Rays that meet a box before they meet what they show, and ground beside it."""
    height, width = depth.shape
    ray, eye, low, high = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for a in range(len(agent)):
        m = box_from_camera[a]
        for k in range(3):
            half = extent[a, k] / 2
            low[k] = -half - MARGIN if k < 2 else 0.0
            high[k] = half + MARGIN if k < 2 else extent[a, 2] + MARGIN
            eye[k] = m[k, 3]
        first, last, left, right = _extent(m, low, high, lens, height, width)
        for row in range(first, last):
            for column in range(left, right):
                if not usable[row, column] or owner[row, column] == agent[a]:
                    continue
                x, y = column + 0.5, row + 0.5
                enter, leave = 0.0, np.inf
                for k in range(3):
                    ray[k] = 0.0
                    for j in range(3):
                        ray[k] += m[k, j] * (lens[j, 0] * x + lens[j, 1] * y + lens[j, 2])
                    one, two = (low[k] - eye[k]) / ray[k], (high[k] - eye[k]) / ray[k]
                    enter, leave = max(enter, min(one, two)), min(leave, max(one, two))
                z = depth[row, column]
                if enter < leave and enter < z:
                    usable[row, column] = False
                elif z < np.inf:
                    beside = abs(eye[0] + z * ray[0]) < extent[a, 0] / 2 + SHADOW
                    beside &= abs(eye[1] + z * ray[1]) < extent[a, 1] / 2 + SHADOW
                    if beside and abs(eye[2] + z * ray[2]) < 0.4:
                        usable[row, column] = False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _extent(box_from_camera, low, high, lens, height, width):
    """Pixels first row, last, left, right (ends excluded) in which a box and its shadow can be seen."""
    u0, u1, v0, v1, behind = np.inf, -np.inf, np.inf, -np.inf, 0
    for corner in range(8):
        x, y, z = 0.0, 0.0, 0.0
        for k in range(3):
            far = SHADOW if k < 2 else 0.5
            place = (high[k] + far if corner >> k & 1 else low[k] - far) - box_from_camera[k, 3]
            x += box_from_camera[k, 0] * place
            y += box_from_camera[k, 1] * place
            z += box_from_camera[k, 2] * place
        if z < 0.1:
            behind += 1
            continue
        u, v = (x / z - lens[0, 2]) / lens[0, 0], (y / z - lens[1, 2]) / lens[1, 1]
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    if behind == 8:
        return 0, 0, 0, 0
    if behind:
        return 0, height, 0, width
    left, right = int(max(np.floor(u0), 0)), int(min(np.ceil(u1) + 1, width))
    return int(max(np.floor(v0), 0)), int(min(np.ceil(v1) + 1, height)), left, right


def own_car(photos: Photos, moving: np.ndarray) -> np.ndarray:
    """Pixels (h/2, w/2) that show the car which carries the camera; `moving` are the movers (n,), which tell nothing.

    They are the same in photos taken a metre and more apart, while what the depth says should be seen there differs.
    From the topmost such pixel of a column down to the picture's border it is all car. No verdict (nothing) where
    the car does not move.
    """
    shape = photos.depth.shape[1:]
    place = photos.world_from_camera[:, :3, 3]
    total, count = np.zeros(shape), np.zeros(shape)
    for i, j in _apart(place):
        one, two = _small(photos.rgb[i]), _small(photos.rgb[j])
        warped, known = _as_seen_from(photos, i, j, two)
        same, moved = np.abs(one - two).mean(-1), np.abs(one - warped).mean(-1)
        known &= photos.usable[i] & ~np.isin(photos.owner[i], moving)
        total += np.where(known, np.clip(moved - same, -30, 30), 0)
        count += known
    if not count.any():
        return np.zeros(shape, bool)
    mass = ndimage.gaussian_filter(count, 2)
    score = ndimage.gaussian_filter(total, 2) / np.maximum(mass, 1e-9)
    return _bonnet(np.where(mass > 0.25 * count.max(), score, 0.0))


def _bonnet(score: np.ndarray) -> np.ndarray:
    """What hangs together with the lower border and is mostly sure, filled down to it."""
    own = ndimage.binary_closing(np.pad(score > 4, ((0, 3), (0, 0)), mode="edge"), iterations=3)[:-3]
    parts, count = ndimage.label(own)
    area = np.bincount(parts.ravel(), minlength=count + 1)
    sure = np.bincount(parts.ravel(), (score > 8).ravel(), minlength=count + 1) > 0.3 * area
    border = np.unique(parts[-3:])
    own = np.isin(parts, [p for p in border if p and sure[p] and area[p] > 0.005 * own.size])
    if not own.any():
        return own
    own = ndimage.binary_dilation(own, iterations=2)
    columns = np.flatnonzero(own.any(0))
    nearest = columns[np.abs(np.arange(own.shape[1])[:, None] - columns).argmin(1)]
    close = np.abs(np.arange(own.shape[1]) - nearest) < 0.08 * own.shape[1]  # at its ends a bonnet fades into the road
    top = np.where(close, own.argmax(0)[nearest], own.shape[0])
    return np.arange(own.shape[0])[:, None] >= top


def _apart(place: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of photos between which the camera moved, each as close as that allows, and in both orders: what a bonnet
    hides is seen above it before, ahead of the car, or after, behind it."""
    pairs = []
    for i in range(len(place)):
        far = np.flatnonzero(np.linalg.norm(place[i + 1 :] - place[i], axis=1) > _SAME)
        if len(far):
            pairs.append((i, i + 1 + int(far[0])))
    chosen = pairs[:: max(2 * len(pairs) // _PAIRS, 1)]
    return chosen + [(j, i) for i, j in chosen]


def _small(rgb: np.ndarray) -> np.ndarray:
    """(h/2, w/2, 3) float32, means of 2 x 2 pixels."""
    h, w = rgb.shape[0] // 2, rgb.shape[1] // 2
    return rgb.reshape(h, 2, w, 2, 3).mean((1, 3), dtype=np.float32)


def _as_seen_from(photos: Photos, i: int, j: int, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What photo j, at half size `other`, shows of the places that photo i sees; and where it can tell."""
    height, width = photos.depth.shape[1:]
    k = photos.intrinsics / [[2.0], [2.0], [1.0]]
    rows, columns = np.indices((height, width))
    rays = np.stack([columns + 0.5, rows + 0.5, np.ones((height, width))], -1) @ np.linalg.inv(k).T
    depth = photos.depth[i].astype(np.float64)
    there = np.isfinite(depth)
    points = rays * np.where(there, depth, 1)[..., None]
    move = np.linalg.inv(photos.world_from_camera[j]) @ photos.world_from_camera[i]
    points = points @ move[:3, :3].T + move[:3, 3]
    z = np.maximum(points[..., 2], 1e-3)
    pixel = points @ k.T
    x, y = pixel[..., 0] / z - 0.5, pixel[..., 1] / z - 0.5
    inside = there & (points[..., 2] > 0.5) & (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    at = [np.where(inside, y, 0), np.where(inside, x, 0)]
    shown = np.stack([ndimage.map_coordinates(other[..., c], at, order=1) for c in range(3)], -1)
    return shown, inside & (z > 0.5)
