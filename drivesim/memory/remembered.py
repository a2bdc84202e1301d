"""What a log's sensors saw, kept so that cameras elsewhere can see it again: geometry from lidar, looks from photos.

Everything that a photo shows belongs to an owner: the standing world (-1) or an agent of the log. A surfel lies in its
owner's frame, so that one rule draws all: put the owner where the simulation has it now, and look up the colour where
a photo saw that very point of the owner. `shelf.remember(scenario)` gives the memory of a log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

STANDING = -1
"""Owner of what does not move."""


@dataclass(frozen=True, eq=False)
class Surfels:
    """Small oriented discs, N of them."""

    xyz: np.ndarray  # (N, 3) float32 [m]: world for the standing, the agent's box frame for the others
    normal: np.ndarray  # (N, 3) float32, towards who saw it; unit
    radius: np.ndarray  # (N,) float32 [m]
    semantic: np.ndarray  # (N,) uint8, a Semantic
    owner: np.ndarray  # (N,) int32, STANDING or the index of an agent in the scenario's log; sorted
    confidence: np.ndarray  # (N,) float32, 0..1: how often it was hit, and how little it scatters
    mirrored: np.ndarray  # (N,) bool: the other half of a symmetric agent; nobody saw it


@dataclass(frozen=True, eq=False)
class Photos:
    """The photos of one camera, P of them by time, all of one size."""

    camera: str
    intrinsics: np.ndarray  # (3, 3) float64, at this size; undistorted
    time: np.ndarray  # (P,) float64 [s since step 0]
    world_from_camera: np.ndarray  # (P, 4, 4) float64, at the photo's own time
    rgb: np.ndarray  # (P, h, w, 3) uint8, as taken; memory-mapped
    gain: np.ndarray  # (P, 3) float32; rgb / gain is what the log's mean exposure would have shown (in 0..255, linear)
    depth: np.ndarray  # (P, h/2, w/2) float16 along the optical axis [m], of the surfels seen from there; inf: nothing
    owner: np.ndarray  # (P, h/2, w/2) int16, whose surfel that is; STANDING where nothing is
    usable: np.ndarray  # (P, h/2, w/2) bool: no moving agent's margin, no bonnet, no pixel that light does not reach


@dataclass(frozen=True, eq=False)
class Remembered:
    """The memory of one log."""

    surfels: Surfels
    photos: tuple[Photos, ...]
    world_from_box: np.ndarray  # (T, A, 4, 4) float64, the log's boxes by step; NaN where an agent is not there
    dt: float  # [s] between steps
    problems: tuple[str, ...] = ()  # what is not remembered and why, in plain words

    def boxes_at(self, time: float) -> np.ndarray:
        """world_from_box (A, 4, 4) at a time between steps [s since step 0]; NaN where an agent is not there."""
        return between(self.world_from_box, time / self.dt)


def between(world_from_box: np.ndarray, step: float) -> np.ndarray:
    """Poses (A, 4, 4) at a fractional step of poses (T, A, 4, 4); NaN where an agent is not there.

    Half a step before its first pose and after its last an agent goes on as it moved beside it.
    """
    last = len(world_from_box) - 1
    if not -0.5 - 1e-6 <= step <= last + 0.5 + 1e-6:
        return np.full_like(world_from_box[0], np.nan)
    nearest = min(max(int(np.floor(step + 0.5)), 0), last)
    before = min(int(np.floor(step)), max(last - 1, 0)) if step >= 0 else 0
    out = world_from_box[nearest].copy()
    for start in (nearest - 1, nearest, before):  # the best pair that knows an agent has the last word
        if 0 <= start < last:
            both = np.isfinite(world_from_box[[start, start + 1, nearest]]).all((0, 2, 3))
            out[both] = _along(*world_from_box[start : start + 2, both], step - start)
    return out


def _along(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Rigid poses (n, 4, 4) a share of the way between two, along a straight line, turning evenly; beyond 0..1 too."""
    out = first.copy()
    if len(first):
        turn = Rotation.from_matrix(first[:, :3, :3].transpose(0, 2, 1) @ second[:, :3, :3]).as_rotvec()
        out[:, :3, :3] = first[:, :3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
        out[:, :3, 3] = (1 - share) * first[:, :3, 3] + share * second[:, :3, 3]
    return out
