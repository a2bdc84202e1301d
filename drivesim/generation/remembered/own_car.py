"""The car that carries the cameras, where they see it: its own photos show it best, for it moves with them."""

from __future__ import annotations

import numpy as np

from ...types import Camera, Provenance, Semantic
from .bank import Bank
from .blend import sample

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
    shown = np.empty((int(own.sum()), 3), np.float32)
    sample(bank.rgb[number][bank.number[best]], u[own], v[own], px / fx, shown)
    draft.rgb[own] = np.clip(shown * gain, 0, 255)
    draft.depth[own] = _top(view, ray)[own]
    draft.semantics[own], draft.instance[own] = int(Semantic.VEHICLE), 0
    now = abs(bank.time[best] - view.time) <= view.half_step
    draft.provenance[own] = int(Provenance.OBSERVED if now else Provenance.REPROJECTED)


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
