"""Heights that nuScenes leaves out: how the ego climbed, and the ground that everything stands on.

nuScenes localises in the plane: the ego is at height zero all along, and what stands up the road is annotated higher
than it will be when the ego gets there. Put back together from two witnesses that agree within decimetres: things
that stand still have one height, and a car climbs where its nose points.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve

from drivesim.loading import Track
from drivesim.types import Ground

CELL = 1.0  # [m]
MOST = 2000  # cells along a side; larger areas get larger cells
FAINT = 1e-3  # weight at which half a box is believed, that of one at about 80 m
SURE = 15.0  # [m]; boxes farther from the ego count less, heights there hang on a hundredth of a radian


def climb(tracks: Sequence[Track]) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) [s] and the ego's height (n,) above its first; `tracks` as annotated, `tracks[0]` is the ego."""
    ego, others = tracks[0], tracks[1:]
    path = np.hypot(*np.diff(ego.xyz[:, :2], axis=0).T)
    slope = -np.sin(ego.pitch)
    guess = np.concatenate([[0], np.cumsum(path * (slope[1:] + slope[:-1]) / 2)])
    still = [t for t in others if len(t.time) > 3 and np.ptp(t.xyz[:, :2], axis=0).max() < 1.0]
    knots = np.unique(np.concatenate([t.time for t in still])) if still else np.zeros(1)
    knots = knots[(knots >= ego.time[0]) & (knots <= ego.time[-1])]
    if len(knots) < 2:
        return ego.time, guess - np.interp(0.0, ego.time, guess)
    known = _solve(still, knots, ego, np.interp(knots, ego.time, guess))
    rise = guess + np.interp(ego.time, knots, known - np.interp(knots, ego.time, guess))
    return ego.time, rise - np.interp(0.0, ego.time, rise)


def _solve(still: list[Track], knots: np.ndarray, ego: Track, guess: np.ndarray) -> np.ndarray:
    """Ego heights at the knots (k,) that give everything in `still` one height, by least squares.

    Unknown are the ego's heights and one height per thing; weak rows ask for the steps of `guess` between knots.
    """
    rows, steps = [], len(knots) - 1
    for track in still:
        eye = np.column_stack([np.interp(track.time, ego.time, ego.xyz[:, j]) for j in range(2)])
        weight = 1 / (1 + (np.hypot(*(track.xyz[:, :2] - eye).T) / SURE) ** 2)
        inside = np.isin(track.time, knots)
        if inside.any():
            rows.append((np.searchsorted(knots, track.time[inside]), weight[inside], track.xyz[inside, 2]))
    thing = np.repeat(np.arange(len(rows)), [len(at) for at, _, _ in rows])
    knot, weight, z = (np.concatenate(column) for column in zip(*rows, strict=True))
    n, k, size = len(knot), np.arange(steps), len(knots) + len(rows)
    line = np.concatenate([np.arange(n), np.arange(n), n + k, n + k, [n + steps]])
    column = np.concatenate([knot, len(knots) + thing, k + 1, k, [0]])
    value = np.concatenate([weight, -weight, np.ones(steps), -np.ones(steps), [1.0]])
    matrix = csr_matrix((value, (line, column)), shape=(n + steps + 1, size))
    right = np.concatenate([-weight * z, np.diff(guess), guess[:1]])
    return spsolve((matrix.T @ matrix).tocsc(), matrix.T @ right)[: len(knots)]


def ground_under(tracks: Sequence[Track]) -> Ground:
    """The ground follows the ego's path and, away from it, the feet of what stands there, the nearer the surer."""
    ego, others = tracks[0], tracks[1:]
    feet = np.concatenate([np.zeros((0, 3)), *(t.xyz for t in others)])
    time = np.concatenate([np.zeros(0), *(t.time for t in others)])
    eye = np.column_stack([np.interp(time, ego.time, ego.xyz[:, i]) for i in range(2)])
    weight = 1 / (1 + (np.hypot(*(feet[:, :2] - eye).T) / SURE) ** 2) ** 2
    points = np.concatenate([ego.xyz, feet])
    weight = np.concatenate([np.full(len(ego.xyz), 100.0), weight])
    low = np.floor(points[:, :2].min(0)) - 20.0
    extent = points[:, :2].max(0) + 20.0 - low
    cell = max(CELL, float(extent.max()) / MOST)
    shape = tuple(np.ceil(extent / cell).astype(int)[::-1] + 1)
    column, row = np.round((points[:, :2] - low) / cell).astype(int).T
    mass, z = np.zeros(shape), np.zeros(shape)
    np.add.at(mass, (row, column), weight)
    for reach in (40.0, 10.0, 3.0):  # coarse to fine: each round corrects what the one before left over
        left = np.zeros(shape)
        np.add.at(left, (row, column), weight * (points[:, 2] - z[row, column]))
        blur = partial(gaussian_filter, sigma=reach / cell, truncate=6, mode="constant")
        least = FAINT * cell**2 / (2 * np.pi * reach**2)  # what one faint box leaves at its own place
        z = z + blur(left) / (blur(mass) + least)
    return Ground(torch.from_numpy(low).float(), cell, torch.from_numpy(z).float())


def heights(ground: Ground, xy: np.ndarray) -> np.ndarray:
    """Height (n,) under points (n, 2)."""
    place = (xy - ground.origin.double().numpy()) / ground.cell
    return map_coordinates(ground.z.double().numpy(), place.T[::-1], order=1, mode="nearest")
