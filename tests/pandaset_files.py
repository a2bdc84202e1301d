"""Writes a small PandaSet sequence: a straight street, driven along +x at 5 m/s, in the data set's own layout."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from PIL import Image

from .frames import pickled_frame

AXLE = 0.33  # the pose frame above the road [m]
SPEED = 5.0
CAMERA = np.array([0.0, 0.85, 1.8])  # in the pose frame: x right, y forward


def write_sequence(root: Path, name: str = "001", frames: int = 16, classes: bool = True, old: bool = False) -> Path:
    folder = root / name
    times = 1.5e9 + 0.1 * np.arange(frames)
    _write_poses(
        folder / "lidar", times, [(SPEED * (t - times[0]), 0.0, 0.0) for t in times], (0.5**0.5, 0, 0, -(0.5**0.5))
    )
    shutter = times - 0.05
    seats = [(SPEED * (t - times[0]) + CAMERA[1], 0.0, CAMERA[2]) for t in shutter]
    # optical axes: z along world x, x along -y, y along -z
    _write_poses(folder / "camera" / "front_camera", shutter, seats, (0.5, -0.5, 0.5, -0.5))
    focal = {"fx": 200.0, "fy": 200.0, "cx": 96.0, "cy": 54.0}
    (folder / "camera" / "front_camera" / "intrinsics.json").write_text(json.dumps(focal))
    for k in range(frames):
        Image.new("RGB", (192, 108), (k, 100, 50)).save(folder / "camera" / "front_camera" / f"{k:02d}.jpg")
        _write(folder / "annotations" / "cuboids" / f"{k:02d}.pkl.gz", cuboids(0.1 * k), old)
    for k in range(0, frames, 5):
        points, label = sweep(k)
        columns = {"x": points[:, 0], "y": points[:, 1], "z": points[:, 2], "i": label, "d": np.zeros(len(label), int)}
        _write(folder / "lidar" / f"{k:02d}.pkl.gz", columns, old)
        if classes:
            _write(folder / "annotations" / "semseg" / f"{k:02d}.pkl.gz", {"class": label}, old)
    return folder


def mover(t):
    """x of a car ahead that drives at 10 m/s, at a time since the time stamp of frame 0."""
    return 12.0 + 10.0 * t


def cuboids(t: float) -> dict[str, np.ndarray]:
    """Of the frame stamped `t`: each box where it was when the beam of the Pandar64 passed it."""
    ego = SPEED * t
    rows = [  # uuid, label, sibling, sensor, x, y, z, yaw: 0 is along +y
        ("m-roof", "Car", "m-front", 0, mover(t - 0.05), 0.0, 0.42, -np.pi / 2),
        ("m-front", "Car", "m-roof", 1, mover(t + 0.02), 0.0, 0.42, -np.pi / 2),
        ("parked", "Pickup Truck", "-", -1, 10.0, -4.5, 0.42, np.pi / 2),
        ("beside", "Bus", "-", -1, SPEED * (t - 0.075) + 1.49, 60.0, 0.42, -np.pi / 2),
        ("walker", "Pedestrian", "-", -1, 20.0, 7.0, 0.52, 0.0),
    ]
    rows = [r for r in rows if r[0] != "m-front" or ego > 1.0]
    names = (
        "uuid",
        "label",
        "cuboids.sibling_id",
        "cuboids.sensor_id",
        "position.x",
        "position.y",
        "position.z",
        "yaw",
    )
    frame = {n: np.array([r[i] for r in rows], object if i < 3 else None) for i, n in enumerate(names)}
    width = np.where(frame["label"] == "Pedestrian", 0.7, 2.0)
    frame |= {"dimensions.x": width, "dimensions.y": 2.2 * width, "dimensions.z": np.where(width < 1, 1.7, 1.5)}
    return frame


def sweep(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Road (7) to 6 m either side, pavements (11), a wall (41) 10 m to the left, a marking (8) between the lanes."""
    rng = np.random.default_rng(seed)
    road = np.column_stack([rng.uniform(-30, 50, 20000), rng.uniform(-6, 6, 20000), np.full(20000, -AXLE)])
    side = rng.choice([-1, 1], 8000) * rng.uniform(6, 9, 8000)
    walk = np.column_stack([rng.uniform(-30, 50, 8000), side, np.full(8000, 0.15 - AXLE)])
    wall = np.column_stack([rng.uniform(-20, 40, 8000), np.full(8000, 10.0), rng.uniform(-AXLE, 7.7, 8000)])
    paint = np.column_stack([rng.uniform(0, 30, 1500), np.full(1500, 1.8), np.full(1500, -AXLE)])
    parts = [(road, 7), (walk, 11), (wall, 41), (paint, 8)]
    points = np.concatenate([p for p, _ in parts]) + rng.normal(0, 0.01, (37500, 3))
    return points, np.concatenate([np.full(len(p), c, np.uint8) for p, c in parts])


def _write(path: Path, columns: dict[str, np.ndarray], old: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(pickled_frame(columns, protocol=3 if old else 5, old=old), 1))


def _write_poses(folder: Path, times, positions, wxyz) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    heading = dict(zip("wxyz", wxyz, strict=True))
    poses = [{"position": dict(zip("xyz", p, strict=True)), "heading": heading} for p in positions]
    (folder / "poses.json").write_text(json.dumps(poses))
    (folder / "timestamps.json").write_text(json.dumps(list(times)))
