"""Walls above what the lidar reaches: they go on upwards as far as photos from several places agree that they do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from ..types import Semantic
from .remembered import STANDING, Photos, Surfels

CELL, STEP = 0.5, 0.3
"""Across [m] and upwards [m] between the new discs."""

HIGHEST = 9.0
"""So far a wall may go on [m]."""

_RIM = np.radians(3.0)  # below the highest elevation that the lidar sees: there the view of a wall ends, not the wall
_PHOTOS = 12  # of each camera, evenly over its way
_APART = 0.7  # [m] between photos that are compared
_DOUBT = 1.0  # [grey levels] by which a wall must explain the photos better than the far distance does


def grown(found: Surfels, photos: Sequence[Photos], seats: np.ndarray) -> Surfels:
    """The surfels, and new ones above walls that end at the rim of the view from the lidar's seats (S, 3)."""
    foot, normal = _tops(found, seats)
    steps = int(HIGHEST / STEP)
    if not len(foot) or not photos:
        return found
    rise = np.zeros((steps, 3))
    rise[:, 2] = STEP * (np.arange(steps) + 0.5)
    spots = foot[:, None] + rise
    better = _evidence(spots.reshape(-1, 3), np.repeat(normal, steps, 0), photos).reshape(len(foot), steps)
    total = np.cumsum(better - _DOUBT, axis=1)
    top = np.where(total.max(1) > 3 * _DOUBT, total.argmax(1) + 1, 0)
    kept = np.arange(steps) < _evened(foot, normal, top)[:, None]
    return _with(found, spots[kept], np.repeat(normal[:, None], steps, 1)[kept])


def _evened(foot: np.ndarray, normal: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Steps (n,) that columns rise: plain plaster tells no distance, so each rises at least as most beside it do."""
    beside = cKDTree(foot[:, :2]).query_ball_point(foot[:, :2], 4 * CELL)
    out = top.copy()
    for i, near in enumerate(beside):
        alike = [k for k in near if normal[k] @ normal[i] > 0.9]
        out[i] = max(top[i], int(np.median(top[alike])))
    return out


def _tops(found: Surfels, seats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Highest places (n, 3) and horizontal normals (n, 3) of walls that reach the rim of the lidar's view."""
    wall = (found.owner == STANDING) & (found.semantic == Semantic.BUILDING) & (np.abs(found.normal[:, 2]) < 0.25)
    if not wall.any() or not len(seats):
        return np.zeros((0, 3)), np.zeros((0, 3))
    xyz, normal = found.xyz[wall].astype(np.float64), found.normal[wall].astype(np.float64)
    cell = np.floor(xyz[:, :2] / CELL).astype(np.int64)
    _, group = np.unique(cell, axis=0, return_inverse=True)
    group = group.ravel()
    n = group.max() + 1
    top, low = np.full(n, -np.inf), np.full(n, np.inf)
    np.maximum.at(top, group, xyz[:, 2])
    np.minimum.at(low, group, xyz[:, 2])
    high = xyz[:, 2] > top[group] - 1.5
    count = np.bincount(group, high, n)
    mean = lambda v: np.stack([np.bincount(group, high * c, n) / np.maximum(count, 1) for c in v.T], 1)  # noqa: E731
    place, facing = mean(xyz), mean(normal) * [1, 1, 0]
    length = np.linalg.norm(facing, axis=1)
    place[:, 2] = top
    offset = place[:, None] - seats[:: max(len(seats) // 20, 1)]
    elevation = np.arctan2(offset[..., 2], np.linalg.norm(offset[..., :2], axis=-1)).max(1)
    rim = np.percentile(elevation, 98) - _RIM
    use = (elevation > rim) & (count >= 6) & (top - low > 1.5) & (length > 0.9)
    return place[use], facing[use] / length[use, None]


def _evidence(spots: np.ndarray, normal: np.ndarray, photos: Sequence[Photos]) -> np.ndarray:
    """By how many grey levels (n,) photos agree better on spots (n, 3) than on the far distance behind them."""
    near, far, count = np.zeros((3, len(spots)))
    for bank in photos:
        place = bank.world_from_camera[:, :3, 3]
        passed = np.append(0, np.cumsum(np.linalg.norm(np.diff(place, axis=0), axis=1)))
        if passed[-1] < _APART:
            continue
        wanted = np.linspace(0, passed[-1], _PHOTOS)
        chosen = np.unique(np.abs(passed[:, None] - wanted).argmin(0))
        shown = [_colour(bank, i, spots, np.ones(len(spots))) for i in chosen]
        facing = [((place[i] - spots) * normal).sum(1) > 0.2 for i in chosen]
        for a, i in enumerate(chosen):
            for b, j in enumerate(chosen):
                if np.linalg.norm(place[i] - place[j]) < _APART:
                    continue
                behind, reached = _colour(bank, j, spots - place[i], np.zeros(len(spots)))
                use = shown[a][1] & shown[b][1] & reached & facing[a]
                near[use] += np.abs(shown[a][0] - shown[b][0]).mean(-1)[use]
                far[use] += np.abs(shown[a][0] - behind).mean(-1)[use]
                count += use
    return (far - near) / np.maximum(count, 1)


def _colour(bank: Photos, i: int, xyz: np.ndarray, one: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a photo shows (n, 3) of homogeneous points (n, 3), (n,), and which of them it sees (n,)."""
    local = np.column_stack([xyz, one]) @ np.linalg.inv(bank.world_from_camera[i]).T[:, :3]
    z = np.maximum(local[:, 2], 1e-6)
    k, (height, width) = bank.intrinsics, bank.rgb.shape[1:3]
    column = np.floor(k[0, 0] * local[:, 0] / z + k[0, 2])
    row = np.floor(k[1, 1] * local[:, 1] / z + k[1, 2])
    seen = (local[:, 2] > 0.05) & (column >= 1) & (column < width - 1) & (row >= 1) & (row < height - 1)
    row, column = np.where(seen, row, 1).astype(int), np.where(seen, column, 1).astype(int)
    total = np.zeros((len(xyz), 3), np.float32)
    for dr, dc in ((-1, 0), (0, 0), (1, 0), (0, -1), (0, 1)):
        total += bank.rgb[i][row + dr, column + dc]
    return total / 5, seen


def _with(found: Surfels, xyz: np.ndarray, normal: np.ndarray) -> Surfels:
    n = len(xyz)
    new = Surfels(
        xyz.astype(np.float32), normal.astype(np.float32), np.full(n, 0.36, np.float32),
        np.full(n, int(Semantic.BUILDING), np.uint8), np.full(n, STANDING, np.int32), np.full(n, 0.2, np.float32),
        np.zeros(n, bool),
    )  # fmt: skip
    names = Surfels.__dataclass_fields__
    return Surfels(*(np.concatenate([getattr(new, name), getattr(found, name)]) for name in names))
