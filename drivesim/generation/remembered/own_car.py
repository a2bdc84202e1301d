"""The car that carries the cameras, where they see it: its own photos show it best, for it moves with them."""

from __future__ import annotations

import numpy as np

from ...types import Camera, Provenance, Semantic
from .bank import Bank

MOUNTED = (0.3, 5.0)
"""A camera that is mounted this much [m], [deg] beside the log's sees the car as that one did."""


def own_pixels(bank: Bank, number: int) -> np.ndarray | None:
    """Half-size pixels (h/2, w/2) bool of a camera's photos that can never be used; None if there are none."""
    photos = bank.memory.photos[number]
    never = ~photos.usable.any(0)
    return never if len(photos.time) > 4 and never.any() else None


def show(view, draft, log: tuple[Camera, ...]) -> None:
    """Put the car's own pixels into a draft, from the allowed photo of this camera that is next in time."""
    bank, eye = view.world.bank, view.eye
    name = eye.camera.name
    mount = next((c.ego_from_camera.double().numpy() for c in log if c.name == name), None)
    if mount is None or name not in bank.names or not _alike(mount, eye.camera.ego_from_camera.double().numpy()):
        return
    number = bank.names.index(name)
    mask = view.world.own[number]
    mine = np.flatnonzero(view.world.allowed & (bank.camera == number))
    if mask is None or not len(mine):
        return
    best = mine[np.abs(bank.time[mine] - view.time).argmin()]
    h, w = draft.depth.shape
    fx, fy, cx, cy = eye.lens
    ray = np.meshgrid((np.arange(w) + 0.5 - cx) / fx, (np.arange(h) + 0.5 - cy) / fy)
    px, py, qx, qy = bank.lens[best]
    u, v = ray[0] * px + qx, ray[1] * py + qy
    row, column = np.floor(v / 2).astype(int), np.floor(u / 2).astype(int)
    inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    own = inside & mask[np.where(inside, row, 0), np.where(inside, column, 0)]
    if not own.any():
        return
    gain = view.gain / bank.gain[best]
    draft.rgb[own] = np.clip(_smooth(bank.rgb[number][bank.number[best]], u[own], v[own], px / fx) * gain, 0, 255)
    draft.depth[own] = _top(view, ray)[own]
    draft.semantics[own], draft.instance[own] = int(Semantic.VEHICLE), 0
    now = abs(bank.time[best] - view.time) <= view.half_step
    draft.provenance[own] = int(Provenance.OBSERVED if now else Provenance.REPROJECTED)


def _smooth(picture: np.ndarray, u: np.ndarray, v: np.ndarray, size: float) -> np.ndarray:
    """Means (n, 3) of a photo over squares of `size` px around (u, v)."""
    high, wide = picture.shape[:2]
    total = np.zeros((len(u), 3), np.float32)
    for dv in (-0.25, 0.25):
        for du in (-0.25, 0.25):
            x = np.clip(u + du * size - 0.5, 0, wide - 1.001)
            y = np.clip(v + dv * size - 0.5, 0, high - 1.001)
            c, r = x.astype(int), y.astype(int)
            fx, fy = (x - c)[:, None], (y - r)[:, None]
            total += (picture[r, c] * (1 - fx) + picture[r, c + 1] * fx) * (1 - fy)
            total += (picture[r + 1, c] * (1 - fx) + picture[r + 1, c + 1] * fx) * fy
    return total / 4


def _top(view, ray) -> np.ndarray:
    """Depth (h, w) [m] at which rays meet the level of the bonnet: three quarters of the car's height."""
    box_from_camera = np.linalg.inv(view.boxes[0]) @ view.eye.world_from_camera
    down = box_from_camera[2, 0] * ray[0] + box_from_camera[2, 1] * ray[1] + box_from_camera[2, 2]
    high = box_from_camera[2, 3] - 0.75 * view.size[0, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(down < 0, high / -down, 0.5)
    return np.clip(depth, 0.3, view.size[0, 0]).astype(np.float32)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    turn = np.degrees(np.arccos(np.clip((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2, -1, 1)))
    return bool(np.linalg.norm(a[:3, 3] - b[:3, 3]) < MOUNTED[0] and turn < MOUNTED[1])
