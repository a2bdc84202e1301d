"""Coloured lidar points, drawn: the naive answer to what a camera elsewhere sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from ..camera import project
from ..types import Camera, RecordedImage, Scenario
from .figures import spread
from .painters import Drawn, allowed
from .regions import covered_points, moving_agents
from .views import View, moment

VOXEL = 0.1  # [m] one lidar point is kept in a cube of this size
SPLAT = 0.08  # [m] half a side of the square that a point is drawn as
SWEEPS = 30  # how many are read, spread evenly over the log; more change little


@dataclass(eq=False)
class Splats:
    """Lidar points in the colour that a photo shows there, drawn as squares: the naive answer.

    A point of a sweep takes the colour of the allowed photo, of any camera, that was taken next to the sweep and has
    the point in it, without asking what stands in between. Points on agents that move are left out; holes take the
    nearest pixel's colour.
    """

    scenario: Scenario
    name: str = "lidar splats"
    _colors: dict = field(default_factory=dict)

    @cached_property
    def _points(self) -> list[tuple[float, np.ndarray]]:
        """Time and points (n, 3) of each sweep, one per voxel over all of them."""
        movers, taken, out = moving_agents(self.scenario.log), np.zeros(0, np.int64), []
        for sweep in spread(self.scenario.sensors.sweeps, SWEEPS):
            xyz = sweep.read().numpy()
            xyz = xyz[np.isfinite(xyz).all(1)].astype(float)
            xyz = xyz[~covered_points(xyz, moment(self.scenario, sweep.time).agents, movers)]
            cell = np.floor(xyz / VOXEL).astype(np.int64) + 2**19
            key = (cell[:, 0] << 42) | (cell[:, 1] << 21) | cell[:, 2]
            key, first = np.unique(key, return_index=True)
            new = ~np.isin(key, taken)
            taken = np.concatenate([taken, key[new]])
            out.append((sweep.time, xyz[first[new]]))
        return out

    def draw(self, view: View, gap: float) -> Drawn | None:
        parts = [self._painted(i, view.time, gap) for i in range(len(self._points))]
        xyz, rgb = (np.concatenate([p[k] for p in parts]) for k in (0, 1)) if parts else (np.zeros((0, 3)),) * 2
        pixel, depth = projected(view.camera, view.world_from_camera, xyz)
        inside = np.isfinite(pixel).all(1)
        if not inside.any():
            return None
        return _splatted(view.camera, pixel[inside], depth[inside], rgb[inside])

    def _painted(self, sweep: int, time: float, gap: float) -> tuple[np.ndarray, np.ndarray]:
        """Points of a sweep and their colours, those that a photo shows."""
        taken, xyz = self._points[sweep]
        key, photos = [sweep], []
        for _, images in sorted(self.scenario.sensors.images.items()):
            best = min(allowed(images, time, gap), key=lambda image: abs(image.time - taken), default=None)
            key.append(best.time if best else None)
            photos += [best] if best else []
        key = tuple(key)
        if key not in self._colors:
            if len(self._colors) > 4 * len(self._points):
                self._colors.clear()
            self._colors[key] = _colored(xyz, photos)
        return self._colors[key]


def _colored(xyz: np.ndarray, photos: Sequence[RecordedImage]) -> tuple[np.ndarray, np.ndarray]:
    rgb, known = np.zeros((len(xyz), 3), np.uint8), np.zeros(len(xyz), bool)
    for photo in photos:
        pixel, _ = projected(photo.camera, photo.world_from_camera.numpy(), xyz)
        here = np.isfinite(pixel).all(1) & ~known
        if here.any():
            column, row = np.floor(pixel[here]).astype(int).T
            rgb[here] = photo.read().numpy()[:, row, column].T
            known |= here
    return xyz[known], rgb[known]


def projected(camera: Camera, world_from_camera: np.ndarray, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2), NaN outside the picture, and depth (n,) of points in the world."""
    local = (xyz - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    pixel, depth = (x.numpy() for x in project(camera, torch.from_numpy(local)))
    with np.errstate(invalid="ignore"):
        outside = ~((pixel >= 0) & (pixel < [camera.width, camera.height])).all(1)
    pixel[outside] = np.nan
    return pixel, depth


def _splatted(camera: Camera, pixel: np.ndarray, depth: np.ndarray, rgb: np.ndarray) -> Drawn:
    """Squares, the nearest in front."""
    h, w = camera.height, camera.width
    nearness, color = np.full((h, w), np.inf, np.float32), np.zeros((h, w, 3), np.uint8)
    order = np.argsort(-depth, kind="stable")
    column, row = np.floor(pixel[order]).astype(int).T
    depth, rgb = depth[order], rgb[order]
    reach = np.clip(float(camera.intrinsics[0, 0]) * SPLAT / depth, 0, 4).astype(int)
    for ring in range(5):
        wide = reach >= ring
        rows, columns, deep, colors = row[wide], column[wide], depth[wide].astype(np.float32), rgb[wide]
        for dy, dx in _ring(ring):
            y, x = rows + dy, columns + dx
            there = np.flatnonzero((y >= 0) & (y < h) & (x >= 0) & (x < w))
            there = there[deep[there] < nearness[y[there], x[there]]]
            nearness[y[there], x[there]] = deep[there]  # of several in one pixel the last one stays: the nearest
            color[y[there], x[there]] = colors[there]
    hole = np.isinf(nearness)
    if hole.any():
        at = distance_transform_edt(hole, return_distances=False, return_indices=True)
        color = color[at[0], at[1]]
    return Drawn(color, nearness)


def _ring(r: int) -> list[tuple[int, int]]:
    """Steps from a pixel to those on the rim of a square around it."""
    return [(dy, dx) for dy in range(-r, r + 1) for dx in range(-r, r + 1) if max(abs(dy), abs(dx)) == r]
