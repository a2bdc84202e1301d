"""Which pixels, and which lidar points, belong to agents."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..camera import rays
from ..types import Agents, Camera

MOVES = 1.0  # [m] an agent of the log that gets no farther than this stands, and belongs to the background
MARGIN = 0.15  # [m] by which a box is larger than what is labelled with it


def moving_agents(log: Agents) -> Tensor:
    """(A,) bool: who gets farther than MOVES from where it was first seen; never the ego: it is not in the picture."""
    first = log.valid.int().argmax(0)
    start = log.xy[first, torch.arange(log.xy.shape[1])]
    far = (log.xy - start).norm(dim=-1).nan_to_num(0).amax(0) > MOVES
    far[0] = False
    return far


def covered(
    camera: Camera, world_from_camera: np.ndarray, agents: Agents, who: Tensor, margin: float = MARGIN
) -> np.ndarray:
    """(h, w) bool: pixels whose ray meets the box of an agent among `who` (A,), whatever stands in front of it.

    Boxes are larger by `margin` [m] on each side.
    """
    out = np.zeros((camera.height, camera.width), bool)
    direction = rays(camera).numpy()
    boxes, sizes = agents.world_from_box.double().numpy(), agents.size.double().numpy()
    for i in (who & agents.valid).nonzero()[:, 0].tolist():
        if not (np.isfinite(boxes[i]).all() and np.isfinite(sizes[i]).all()):
            continue
        low = np.array([*(-sizes[i, :2] / 2), 0.0]) - margin
        high = np.array([*(sizes[i, :2] / 2), sizes[i, 2]]) + margin
        box_from_camera = np.linalg.inv(boxes[i]) @ world_from_camera
        part = _extent(camera, np.linalg.inv(box_from_camera), low, high)
        if part is not None:
            out[part] |= _meets(box_from_camera, direction[part], low, high)
    return out


def _extent(camera: Camera, camera_from_box: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple | None:
    """Rows and columns that hold all that is to be seen of a box; all of them if it reaches behind the camera."""
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    corners = corners @ camera_from_box[:3, :3].T + camera_from_box[:3, 3]
    if (corners[:, 2] < 0).all():
        return None
    if (corners[:, 2] < 0.1).any() or camera.distortion:
        return slice(None), slice(None)
    pixel = (corners / corners[:, 2:]) @ camera.intrinsics.double().numpy().T
    first, last = np.floor(pixel.min(0)).astype(int), np.ceil(pixel.max(0)).astype(int)
    if last[0] < 0 or last[1] < 0 or first[0] >= camera.width or first[1] >= camera.height:
        return None
    return slice(max(first[1], 0), last[1] + 1), slice(max(first[0], 0), last[0] + 1)


def covered_points(xyz: np.ndarray, agents: Agents, who: Tensor) -> np.ndarray:
    """(n,) bool: points (n, 3) of the world in the box of an agent among `who` (A,)."""
    out = np.zeros(len(xyz), bool)
    boxes, sizes = agents.world_from_box.double().numpy(), agents.size.double().numpy()
    for i in (who & agents.valid).nonzero()[:, 0].tolist():
        low, high = np.array([*(-sizes[i, :2] / 2), 0.0]), np.array([*(sizes[i, :2] / 2), sizes[i, 2]])
        reach = np.linalg.norm(sizes[i]) + MARGIN
        near = np.flatnonzero(np.abs(xyz[:, 0] - boxes[i, 0, 3]) < reach)
        near = near[np.abs(xyz[near, 1] - boxes[i, 1, 3]) < reach]
        local = (xyz[near] - boxes[i, :3, 3]) @ boxes[i, :3, :3]
        out[near] |= ((local > low - MARGIN) & (local < high + MARGIN)).all(1)
    return out


def _meets(box_from_camera: np.ndarray, direction: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether rays (h, w, 3) of a camera meet a box: the slab test."""
    along, eye = direction @ box_from_camera[:3, :3].T, box_from_camera[:3, 3]
    near, far = np.float64(0.0), np.float64(np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for k in range(3):
            one, other = (low[k] - eye[k]) / along[..., k], (high[k] - eye[k]) / along[..., k]
            near, far = np.maximum(near, np.minimum(one, other)), np.minimum(far, np.maximum(one, other))
    return near < far
