"""Where the pixels of one picture lie in another one, by depth and poses, and whether both pictures agree there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from ..camera import project, rays
from .pictures import squared_error, within
from .views import View

SAME = 0.05  # two depths that differ by a smaller share are one surface


class Carried(NamedTuple):
    """Where each pixel of a picture a is in a picture b."""

    place: np.ndarray  # (h, w, 2) column and row in b [px], pixel centres at +0.5; 0 where not visible
    visible: np.ndarray  # (h, w) bool: in b, and nothing in front of it


def carried(a: View, depth_a: np.ndarray, b: View, depth_b: np.ndarray) -> Carried:
    """Of what stands still. Depths (h, w) along each camera's own axis [m]; inf is never visible."""
    known = np.isfinite(depth_a)
    local = rays(a.camera).numpy() * np.where(known, depth_a, 1.0)[..., None]
    b_from_a = np.linalg.inv(b.world_from_camera) @ a.world_from_camera
    points = local.reshape(-1, 3) @ b_from_a[:3, :3].T + b_from_a[:3, 3]
    pixel, deep = (x.numpy() for x in project(b.camera, torch.from_numpy(points)))
    place, deep = pixel.reshape(*depth_a.shape, 2), deep.reshape(depth_a.shape)
    with np.errstate(invalid="ignore"):
        inside = ((place >= 0.5) & (place <= [b.camera.width - 0.5, b.camera.height - 0.5])).all(-1)
    place = np.where(inside[..., None], place, 0.5)
    there = depth_b[place[..., 1].astype(int), place[..., 0].astype(int)]
    with np.errstate(invalid="ignore"):
        same = np.abs(there - deep) < SAME * deep
    return Carried(place, known & inside & same)


def fetched(picture: np.ndarray, found: Carried) -> np.ndarray:
    """(h, w, 3) float64: what picture b shows at those places, between pixels by bilinear weights."""
    at = [found.place[..., 1] - 0.5, found.place[..., 0] - 0.5]
    return np.stack([map_coordinates(picture[..., k].astype(float), at, order=1, mode="nearest") for k in range(3)], -1)


def disagreement(a: np.ndarray, b: np.ndarray, found: Carried, region: np.ndarray) -> float:
    """Mean squared difference, in 8-bit steps, of what both pictures show of the same places within a region of a."""
    return within(squared_error(fetched(b, found), a), region & found.visible)


def still(a: View, b: View, found: Carried) -> np.ndarray:
    """(h, w) bool: visible pixels of a that no moving agent covers in either picture."""
    other = b.moving[found.place[..., 1].astype(int), found.place[..., 0].astype(int)]
    return found.visible & ~a.moving & ~other
