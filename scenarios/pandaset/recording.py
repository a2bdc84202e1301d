"""PandaSet's files as arrays: poses, time stamps, sweeps. Its own world axes and pose frame; nothing is shifted yet.

World: metres, x east, y north, z up, origin at the first pose. Pose frame (`lidar/poses.json`): x right, y forward,
z up, origin at the middle of the rear axle (pandaset-devkit issue 71), which the sweeps put a tyre's radius above
the road; both lidars' points come in world coordinates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from drivesim.errors import InputError
from drivesim.files import read_bytes
from drivesim.restricted_pickle import read_frame
from drivesim.types import Place

EGO_FROM_POSE = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""Rotation from PandaSet's x right, y forward to x forward, y left."""

LIDAR = np.array([0.0, 1.49, 1.74])
"""Pandar64 in the pose frame [m]: where the 64 beams of sequence 002's sweeps meet; used for directions only."""

TYRE = 0.35
"""Height of the rear axle above the road [m] (Chrysler Pacifica, 235/65 R17 under load), where no sweep tells it."""


@dataclass(frozen=True, eq=False)
class Poses:
    """A sensor's poses with their time stamps, rigid transforms into PandaSet's world."""

    time: np.ndarray  # (n,) [s] Unix
    position: np.ndarray  # (n, 3)
    rotation: Rotation  # n

    def at(self, time: np.ndarray) -> np.ndarray:
        """(m, 4, 4) at times (m,): interpolated, and within a frame of the ends extrapolated."""
        known = np.clip(time, self.time[0], self.time[-1])
        out = np.tile(np.eye(4), (len(time), 1, 1))
        if len(self.time) == 1:
            out[:, :3, :3], out[:, :3, 3] = self.rotation.as_matrix(), self.position
            return out
        out[:, :3, :3] = Slerp(self.time, self.rotation)(known).as_matrix()
        out[:, :3, 3] = np.column_stack([np.interp(time, self.time, self.position[:, i]) for i in range(3)])
        for end, other in ((0, 1), (-1, -2)):
            velocity = (self.position[end] - self.position[other]) / (self.time[end] - self.time[other])
            beyond = (time - self.time[end]) * (1 if end else -1) > 0
            out[beyond, :3, 3] += (time[beyond] - self.time[end])[:, None] * velocity
        return out

    def matrices(self) -> np.ndarray:
        """(n, 4, 4) as recorded."""
        return self.at(self.time)


def read_poses(folder: Path) -> Poses:
    """`poses.json` and `timestamps.json` of one sensor; InputError names file and frame of anything unusable."""
    path = folder / "poses.json"
    time = _floats(folder / "timestamps.json")
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: holds no list of poses; download it again")
    values = np.array([_pose(path, i, row) for i, row in enumerate(rows)])
    if len(time) != len(values):
        raise InputError(f"{path}: {len(values)} poses but {len(time)} time stamps beside it; download both again")
    bad = np.flatnonzero(~np.isfinite(values).all(1) | (np.linalg.norm(values[:, 3:], axis=1) < 0.5))
    if len(bad):
        raise InputError(f"{path}: the pose of frame {bad[0]} is not a number; leave this sequence out")
    return Poses(time, values[:, :3], Rotation.from_quat(values[:, [4, 5, 6, 3]]))


def _pose(path: Path, frame: int, row: Any) -> list[float]:
    try:
        position, heading = row["position"], row["heading"]
        return [float(position[k]) for k in "xyz"] + [float(heading[k]) for k in "wxyz"]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: frame {frame} has no readable position and heading; download it again") from None


def _floats(path: Path) -> np.ndarray:
    try:
        time = np.array(read_json(path), float).reshape(-1)
    except (TypeError, ValueError):
        raise InputError(f"{path}: holds no list of time stamps; download it again") from None
    bad = np.flatnonzero(~np.isfinite(time))
    late = np.flatnonzero(np.diff(time) <= 0) + 1
    if len(bad) or len(late):
        raise InputError(f"{path}: the time stamp of frame {[*bad, *late][0]} is missing or not after the one before")
    return time


def read_json(path: Path) -> Any:
    try:
        return json.loads(read_bytes(path, 2**27))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON ({error}); download it again") from None


def read_place(path: Path) -> Place:
    """Where the first frame was taken, by `meta/gps.json`; unknown where it is missing or no place on earth."""
    if not path.is_file():
        return Place()
    try:
        first = read_json(path)[0]
        latitude, longitude = float(first["lat"]), float(first["long"])
    except (LookupError, TypeError, ValueError):
        raise InputError(f"{path}: its first row has no lat and long; download it again or delete it") from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return Place()
    # the drives were made in two places: San Francisco, and El Camino Real south of it
    return Place("san-francisco" if latitude > 37.68 else "el-camino-real", latitude, longitude)


def numbered(folder: Path, *suffixes: str) -> dict[int, Path]:
    """Frame number -> file, for files named like 07.pkl.gz."""
    if not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.iterdir()):
        number, _, suffix = path.name.partition(".")
        if number.isascii() and number.isdigit() and suffix in suffixes:
            found[int(number)] = path
    return found


def columns(path: Path, *names: str) -> list[np.ndarray]:
    """Columns of a pickled frame; InputError if one is missing."""
    frame = read_frame(path)
    missing = [name for name in names if name not in frame]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]!r}, only {', '.join(frame) or 'none'}")
    return [frame[name] for name in names]


def read_sweep(path: Path) -> np.ndarray:
    """Points (n, 3) float32 of both lidars in PandaSet's world; those that are not numbers are left out."""
    try:
        points = np.stack([c.astype(np.float32) for c in columns(path, "x", "y", "z")], 1)
    except (TypeError, ValueError):
        raise InputError(f"{path}: its points are not numbers; download it again") from None
    return points


def read_moments(path: Path) -> np.ndarray | None:
    """When each of those points was hit (n,) [s] Unix; None where the file does not tell."""
    frame = read_frame(path)
    if "t" not in frame:
        return None
    try:
        return frame["t"].astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{path}: its points' times are not numbers; download it again") from None
