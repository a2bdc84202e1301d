"""The photos of a memory as the kernels want them: in one list, and what a half-size pixel shows in one number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...memory.remembered import Remembered

NEAREST = 0.3
"""Depths are kept as inverse ones, in 16 bits up to that of this distance [m]; 0 is no depth, 1 is none beside some."""

UNIT = 65535 * NEAREST  # inverse depth [1/m] times this is what is kept

MARGIN = 2
"""Half-size pixels around what has depth in which a thing may go on that the lidar missed."""

_SPOT = 0.4  # [m] photos of one camera that were taken closer together than this show the same sides of things


@dataclass(frozen=True, eq=False)
class Bank:
    """N photos of all cameras."""

    memory: Remembered
    rgb: tuple[np.ndarray, ...]  # by camera (P, h, w, 3) uint8
    seen: tuple[np.ndarray, ...]  # by camera (P, h/2, w/2) uint32: inverse depth, and above it 0 for an unusable pixel,
    # 1 for the standing world, 2 + agent
    camera: np.ndarray  # (N,) int32, which of these
    number: np.ndarray  # (N,) int32, which photo of it
    time: np.ndarray  # (N,) float64 [s since step 0]
    world_from_camera: np.ndarray  # (N, 4, 4) float64
    lens: np.ndarray  # (N, 4) float64: fx, fy, cx, cy [px]
    size: np.ndarray  # (N, 2) float32: width, height [px]
    gain: np.ndarray  # (N, 3) float32
    spot: np.ndarray  # (N,) int32: photos of one camera from nearly one place have the same number
    shown: np.ndarray  # (N, A) int32: half-size pixels that show an agent
    colours: np.ndarray  # (N, A, 4) float32 of each agent in the mean exposure: sum of rgb, and of how many pixels
    camera_from_world: np.ndarray  # (N, 3, 4) float64
    photo_from_box: np.ndarray  # (N, A, 3, 4) float64: to the camera, when the photo was taken; NaN where no agent was

    @property
    def names(self) -> list[str]:
        return [photos.camera for photos in self.memory.photos]

    @staticmethod
    def of(memory: Remembered) -> Bank:
        agents = memory.world_from_box.shape[1]
        count = [len(photos.time) for photos in memory.photos]
        total = sum(count)

        def joined(parts: list[np.ndarray], *shape: int) -> np.ndarray:
            return np.concatenate([np.zeros((0, *shape)), *parts])

        packed = [_packed(photos) for photos in memory.photos]
        shown = [
            np.bincount((words >> 16).ravel(), minlength=agents + 2)[2 : agents + 2] for p in packed for words in p
        ]
        spot, first = [], 0
        for photos in memory.photos:
            spot.append(first + _spots(photos.world_from_camera[:, :3, 3]))
            first = int(spot[-1].max(initial=first)) + 1
        lens = [np.tile([k[0, 0], k[1, 1], k[0, 2], k[1, 2]], (n, 1)) for k, n in
                zip((p.intrinsics for p in memory.photos), count, strict=True)]  # fmt: skip
        size = [np.tile([p.rgb.shape[2], p.rgb.shape[1]], (n, 1)) for p, n in zip(memory.photos, count, strict=True)]
        pose = joined([p.world_from_camera for p in memory.photos], 4, 4)
        camera_from_world = np.ascontiguousarray(np.linalg.inv(pose)[:, :3])
        boxes = np.array([memory.boxes_at(t) for p in memory.photos for t in p.time]).reshape(total, agents, 4, 4)
        nothing = (np.zeros((1, 2, 2, 3), np.uint8),), (np.zeros((1, 1, 1), np.uint32),)
        return Bank(
            memory,
            tuple(locked(p.rgb) for p in memory.photos) or tuple(map(locked, nothing[0])),
            tuple(map(locked, packed)) or tuple(map(locked, nothing[1])),
            np.repeat(np.arange(len(count)), count).astype(np.int32),
            np.concatenate([np.zeros(0), *(np.arange(n) for n in count)]).astype(np.int32),
            joined([p.time for p in memory.photos]),
            pose,
            joined(lens, 4),
            joined(size, 2).astype(np.float32),
            joined([p.gain for p in memory.photos], 3).astype(np.float32),
            joined(spot).astype(np.int32),
            np.array(shown, np.int32).reshape(total, agents),
            _colours(memory, agents).reshape(total, agents, 4),
            camera_from_world,
            camera_from_world[:, None] @ boxes,
        )

    def tint(self, allowed: np.ndarray) -> np.ndarray:
        """Mean colour (A, 3) of each agent in the allowed (N,) photos, mean exposure; NaN where none shows it."""
        sums = self.colours[allowed].sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return sums[:, :3] / sums[:, 3:]

    def exposure(self, camera: str, time: float, allowed: np.ndarray) -> np.ndarray:
        """Gain (3,) of a camera at a time: between those of its allowed photos before and after; 1 if it has none."""
        if camera not in self.names:
            return np.ones(3, np.float32)
        own = np.flatnonzero(allowed & (self.camera == self.names.index(camera)))
        if not len(own):
            return np.ones(3, np.float32)
        logs = np.log(self.gain[own].astype(np.float64))
        return np.exp([np.interp(time, self.time[own], logs[:, k]) for k in range(3)]).astype(np.float32)


def _colours(memory: Remembered, agents: int) -> np.ndarray:
    """(N * A * 4,) by every fourth half-size pixel."""
    rows_of = []
    for photos in memory.photos:
        for i in range(len(photos.time)):
            rows, columns = np.nonzero((photos.owner[i] >= 0)[::2, ::2] & photos.usable[i][::2, ::2])
            who = photos.owner[i][2 * rows, 2 * columns]
            colour = photos.rgb[i][4 * rows, 4 * columns] / photos.gain[i]
            parts = [np.bincount(who, weight, agents)[:agents] for weight in (*colour.T, None)]
            rows_of.append(np.stack(parts, 1))
    return np.array(rows_of, np.float32)


def _packed(photos) -> np.ndarray:
    out = np.empty(photos.depth.shape, np.uint32)
    for i in range(len(out)):
        with np.errstate(divide="ignore"):
            inverse = np.minimum(np.rint(UNIT / photos.depth[i].astype(np.float32)), 65535).astype(np.uint32)
        beside = ndimage.binary_dilation(inverse > 0, iterations=MARGIN) & (inverse == 0)
        inverse[beside] = 1
        who = np.where(photos.usable[i], photos.owner[i].astype(np.int32) + 2, 0).astype(np.uint32)
        out[i] = inverse | (who << 16)
    return out


def _spots(place: np.ndarray) -> np.ndarray:
    """(P,) numbers that grow whenever the camera has gone _SPOT since the last one."""
    out = np.zeros(len(place), np.int64)
    start = 0
    for i in range(1, len(place)):
        far = np.linalg.norm(place[i] - place[start]) > _SPOT
        start = i if far else start
        out[i] = out[i - 1] + far
    return out


def locked(array: np.ndarray) -> np.ndarray:
    """Read-only whether mapped or not: one type for the kernels."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
