"""Whose points are a sweep's? The log's boxes cut them, each box where it was when the beam passed it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import RecordedSweep
from .remembered import STANDING, between

RANGE = 250.0
"""Farther than any automotive lidar sees well [m]; stray numbers beyond it are no points."""

GROWN = 0.12
"""How much wider than its box an agent may be [m]: boxes are drawn by hand around points that scatter."""

WAKE = 0.6
"""Around the box of a moving agent [m]: mirrors, loads and points of a wrong moment, which belong to nobody."""

MOVING = 0.5
"""Speed from which an agent counts as moving [m/s]: slower boxes jitter as much."""

_SOLE, _TYRE = 0.03, 0.1  # [m] above a box's bottom: below these is ground, in between what may be either
_OWN = 0.3  # [m] around the ego's box, so much is the ego


@dataclass(frozen=True, eq=False)
class Boxes:
    """The log's agents as boxes that move."""

    world_from_box: np.ndarray  # (T, A, 4, 4) float64; NaN where not there
    size: np.ndarray  # (T, A, 3) length, width, height [m]
    dt: float  # [s]

    def around(self, time: float, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Poses (A, 4, 4) at a time, `reach` seconds earlier and as much later; NaN for who is not there.

        Who is not there a little earlier or later was then where it is now.
        """
        now, before, after = (between(self.world_from_box, (time + d) / self.dt) for d in (0.0, -reach, reach))
        for other in (before, after):
            lost = ~np.isfinite(other).all((1, 2))
            other[lost] = now[lost]
        return now, before, after

    def sizes_at(self, time: float) -> np.ndarray:
        """(A, 3) at the nearest step."""
        return self.size[min(max(round(time / self.dt), 0), len(self.size) - 1)]

    def swept(self, xyz: np.ndarray) -> np.ndarray:
        """Which points (n, 3) of the world lie in a box at some step, a hand inside it and well above the ground."""
        out = np.zeros(len(xyz), bool)
        order = np.argsort(xyz[:, 0], kind="stable")
        easting = xyz[order, 0]
        last: dict[int, np.ndarray] = {}
        for step, a in np.argwhere(np.isfinite(self.world_from_box).all((2, 3))):
            pose, size = self.world_from_box[step, a], self.size[step, a]
            if a in last and np.abs(pose - last[a]).max() < 0.05:
                continue  # stands where it stood
            last[a] = pose
            far = np.linalg.norm(size) / 2
            first, end = np.searchsorted(easting, [pose[0, 3] - far, pose[0, 3] + far])
            k = order[first:end]
            k = k[np.abs(xyz[k, 1] - pose[1, 3]) < far]
            local = (xyz[k].astype(np.float64) - pose[:3, 3]) @ pose[:3, :3]
            inside = (np.abs(local[:, :2]) < size[:2] / 2 - 0.1).all(1)
            out[k[inside & (local[:, 2] > 0.3) & (local[:, 2] < size[2])]] = True
        return out


@dataclass(frozen=True, eq=False)
class Cut:
    """Points of one sweep with their owners; those on the ego and in the wake of movers are left out."""

    world: np.ndarray  # (n, 3) float32
    xyz: np.ndarray  # (n, 3) float32: world for the standing, the agent's box frame for the others
    seat: np.ndarray  # (n, 3) float32, where the sensor was, in the same frame
    owner: np.ndarray  # (n,) int32


REACH = 0.06
"""Boxes are followed this long to both sides of a sweep's time [s]; the points' own times lead a little farther."""


def cut(sweep: RecordedSweep, boxes: Boxes) -> Cut:
    """Read a sweep and cut it. Raises what the sweep's `read` raises."""
    world = sweep.read().numpy().astype(np.float32, copy=False)
    moment = np.zeros(len(world), np.float32) if sweep.moments is None else sweep.moments().numpy()
    origin = sweep.origin.numpy()
    with np.errstate(invalid="ignore"):
        near = (np.abs(world - origin) < RANGE).all(1)
    world, moment = world[near], moment[near]
    owner, local = np.full(len(world), STANDING, np.int32), world.copy()
    own, wake = np.zeros((2, len(world)), bool)
    seat = np.broadcast_to(origin.astype(np.float32), world.shape).copy()
    now, before, after = boxes.around(sweep.time, REACH)
    size = boxes.sizes_at(sweep.time)
    order = np.argsort(world[:, 0], kind="stable")
    easting = world[order, 0]
    for a in np.flatnonzero(np.isfinite(now).all((1, 2))):
        step = after[a, :3, 3] - before[a, :3, 3]
        moving = np.linalg.norm(step) > MOVING * 2 * REACH
        margin = _OWN if a == 0 else GROWN
        far = np.linalg.norm(size[a]) / 2 + WAKE + np.linalg.norm(step)
        first, last = np.searchsorted(easting, [now[a, 0, 3] - far, now[a, 0, 3] + far])
        k = order[first:last]
        k = k[np.abs(world[k, 1] - now[a, 1, 3]) < far]
        xyz, eye = _in_box(world[k], origin, moment[k], now[a], before[a], after[a])
        beyond = np.abs(xyz - [0, 0, size[a, 2] / 2]) - size[a] / 2  # how far outside each pair of faces
        high = xyz[:, 2] > _TYRE
        inside = (beyond < margin).all(1)
        foot, inside = inside & ~high & (xyz[:, 2] > _SOLE), inside & high
        if a == 0:
            own[k[inside]] = True
            continue
        owner[k[inside]], local[k[inside]], seat[k[inside]] = a, xyz[inside], eye[inside]
        wake[k[foot]] = True
        if moving:
            wake[k[high & (beyond < WAKE).all(1)]] = True
    keep = ~own & ((owner != STANDING) | ~wake)
    return Cut(world[keep], local[keep], seat[keep], owner[keep])


def _in_box(world, origin, moment, now, before, after) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3), each of its own moment (n,) [s], and the sensor then, in the frame of a box that moves."""
    share = (moment[:, None] / REACH).astype(np.float64)
    place = now[:3, 3] + share * (after[:3, 3] - before[:3, 3]) / 2
    turn = np.arctan2(after[1, 0], after[0, 0]) - np.arctan2(before[1, 0], before[0, 0])
    turn = -share[:, 0] * ((turn + np.pi) % (2 * np.pi) - np.pi) / 2
    out = []
    for points in (world.astype(np.float64), np.broadcast_to(origin, world.shape)):
        x, y, z = ((points - place) @ now[:3, :3]).T
        c, s = np.cos(turn), np.sin(turn)
        out.append(np.stack([c * x - s * y, s * x + c * y, z], 1))
    return out[0], out[1]
