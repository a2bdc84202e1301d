"""How bright a photo is beside the others, by the surfels that several photos see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from .remembered import STANDING, Photos, Surfels

SAMPLES = 20_000
"""Surfels that are looked up; more change gains by less than a hundredth."""

_ROUNDS = 6  # of reweighting
_SCALE = 0.1  # of a natural logarithm: what differs more than this from a surfel's colour counts less
_STEADY = 300.0  # sightings that the wish for even exposure weighs, between neighbours in time of one camera
_PRIOR = 2.0  # sightings that the wish for no correction weighs


def gains(bank: Sequence[Photos], surfels: Surfels) -> list[np.ndarray]:
    """(P, 3) float32 for each camera: its photos divided by them look alike where they show the same.

    The logarithm of what a photo shows of a surfel is the photo's gain plus the surfel's colour, each channel for
    itself; sightings that disagree (gloss, shadows, wrong depth) lose weight. The mean gain of all photos is one.
    """
    counts = [len(photos.time) for photos in bank]
    photo, surfel, colour = _sightings(bank, surfels)
    if not len(photo):
        return [np.ones((n, 3), np.float32) for n in counts]
    steady = _steady(counts)
    logs = np.stack([_fit(photo, surfel, np.log(colour[:, c]), sum(counts), steady) for c in range(3)], 1)
    return [np.exp(part).astype(np.float32) for part in np.split(logs - logs.mean(0), np.cumsum(counts)[:-1])]


def _sightings(bank: Sequence[Photos], surfels: Surfels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """photo (n,), counted over all cameras, surfel (n,) and colour (n, 3) of all usable sightings of some surfels."""
    standing = np.flatnonzero((surfels.owner == STANDING) & (surfels.confidence > 0.5))
    chosen = standing[:: max(len(standing) // SAMPLES, 1)]
    points = np.column_stack([surfels.xyz[chosen], np.ones(len(chosen))])
    photo, surfel, colour, number = [], [], [], 0
    for photos in bank:
        for i in range(len(photos.time)):
            found, rgb = _colours(photos, i, points)
            photo.append(np.full(len(found), number))
            surfel.append(found)
            colour.append(rgb)
            number += 1
    if not photo:
        return np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3))
    photo, surfel, colour = np.concatenate(photo), np.concatenate(surfel), np.concatenate(colour)
    fair = (colour > 8).all(1) & (colour < 245).all(1)
    return photo[fair], surfel[fair], colour[fair]


def _colours(photos: Photos, i: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which homogeneous points (n, 4) a photo sees, and the mean colour of 4 x 4 pixels there."""
    camera = points @ np.linalg.inv(photos.world_from_camera[i]).T[:, :3]
    z = np.maximum(camera[:, 2], 1e-3)
    k, (height, width) = photos.intrinsics, photos.depth.shape[1:]
    column = np.floor((k[0, 0] * camera[:, 0] / z + k[0, 2]) / 2).astype(np.int64)
    row = np.floor((k[1, 1] * camera[:, 1] / z + k[1, 2]) / 2).astype(np.int64)
    found = np.flatnonzero((camera[:, 2] > 1) & (column > 0) & (column < width) & (row > 0) & (row < height))
    row, column, z = row[found], column[found], z[found]
    seen = np.abs(photos.depth[i][row, column].astype(np.float32) - z) < 0.02 * z + 0.05
    seen &= photos.usable[i][row, column] & (photos.owner[i][row, column] == STANDING)
    found, row, column = found[seen], row[seen], column[seen]
    total = np.zeros((len(found), 3))
    for dr in range(-2, 2):
        for dc in range(-2, 2):
            total += photos.rgb[i][2 * row + dr, 2 * column + dc]
    return found, total / 16


def _steady(counts: Sequence[int]) -> np.ndarray:
    """(P, P) of the wish that neighbours in time of one camera have one exposure, and that all have the mean one."""
    out = _PRIOR * np.eye(sum(counts))
    start = 0
    for count in counts:
        for i in range(start, start + count - 1):
            out[i : i + 2, i : i + 2] += _STEADY * np.array([[1, -1], [-1, 1]])
        start += count
    return out


def _fit(photo: np.ndarray, surfel: np.ndarray, shown: np.ndarray, count: int, steady: np.ndarray) -> np.ndarray:
    """Gains (count,) in logarithms, from shown = gain of photo + colour of surfel; the colours are eliminated."""
    weight = np.ones(len(shown))
    many = int(surfel.max()) + 1
    gain = np.zeros(count)
    for _ in range(_ROUNDS):
        table = sparse.csr_matrix((weight, (photo, surfel)), (count, many))
        total = np.maximum(np.bincount(surfel, weight, many), 1e-9)
        known = np.bincount(surfel, weight * shown, many) / total
        shared = table @ sparse.diags(1 / total) @ table.T
        matrix = np.diag(np.bincount(photo, weight, count)) - shared.toarray() + steady
        gain = np.linalg.solve(matrix, np.bincount(photo, weight * (shown - known[surfel]), count))
        colour = np.bincount(surfel, weight * (shown - gain[photo]), many) / total
        off = (shown - gain[photo] - colour[surfel]) / _SCALE
        weight = 1 / (1 + off * off)
    return gain
