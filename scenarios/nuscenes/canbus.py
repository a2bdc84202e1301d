"""The CAN bus expansion (can_bus/scene-NNNN_*.json): the ego's velocity as the car measured it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drivesim import files
from drivesim.errors import InputError
from drivesim.loading import Track

from .boxes import VEHICLE
from .world import World

LIMIT = 1 << 26
"""Bytes of a message file; the largest real ones have some MB."""

STALE = 0.6  # [s] between messages over which nothing is interpolated: the slowest come at 2 Hz
AGREE = 1.0  # [m/s] that the median may differ from how fast the localised poses move

KMH = 1 / 3.6


def message_files(root: Path, scene: str) -> list[Path]:
    """The message files that are read, the best first; scenes without any are usual."""
    names = ("pose", "zoe_veh_info", "vehicle_monitor")
    return [p for p in (root / "can_bus" / f"{scene}_{name}.json" for name in names) if p.is_file()]


def with_velocity(ego: Track, root: Path, scene: str, world: World) -> tuple[Track, str, list[str]]:
    """The ego's track with its measured velocity, which file it comes from ("" for none), and what was wrong.

    The poses' own slope is kept where no message is near, and everywhere if the two disagree: some scenes' messages
    belong to another drive.
    """
    problems = []
    for path in message_files(root, scene):
        try:
            time, *speeds = _messages(path, world)
        except InputError as error:
            problems.append(f"CAN bus not used: {error}")
            continue
        around = _between(ego.time, time)
        if around.sum() < 2:
            problems.append(f"CAN bus not used: {path.name} holds nothing from the time of the scene")
            continue
        forward, left = (np.interp(ego.time, time, x) for x in speeds)
        moved = np.hypot(*np.gradient(ego.xyz[:, :2], ego.time, axis=0).T)
        if np.median(np.abs(np.hypot(forward, left) - moved)[around]) > AGREE:
            problems.append(f"CAN bus not used: the speeds in {path.name} are not those of the ego's poses")
            continue
        turning = np.gradient(np.unwrap(ego.yaw), ego.time)
        left = left + turning * VEHICLE.rear_axle_to_center  # the box centre swings around the rear axle
        c, s = np.cos(ego.yaw), np.sin(ego.yaw)
        velocity = np.column_stack([c * forward - s * left, s * forward + c * left])
        velocity[~around] = np.nan
        return replace(ego, velocity=velocity), path.stem.removeprefix(f"{scene}_"), problems
    return ego, "", problems


def _between(at: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Whether there are messages at most STALE apart on both sides of times (n,)."""
    after = np.clip(np.searchsorted(time, at), 1, len(time) - 1)
    return (at >= time[0] - 0.05) & (at <= time[-1] + 0.05) & (time[after] - time[after - 1] <= STALE)


def _messages(path: Path, world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (n,) [s], velocity forward and to the left (n,) [m/s]; rows that say no numbers are left out."""
    rows = files.read_json(path, LIMIT)
    found = [_reading(row) for row in rows] if isinstance(rows, list) else []
    table = np.array([x for x in found if x is not None], dtype=np.float64).reshape(-1, 3)
    with np.errstate(invalid="ignore"):
        table = table[np.isfinite(table).all(1) & (np.abs(table[:, 1:]) < 100).all(1)]
    time, first = np.unique(world.seconds(table[:, 0]), return_index=True)
    if len(time) < 2:
        raise InputError(f"{path}: holds no messages with a time and a speed")
    return time, *table[first, 1:].T


def _reading(row: Any) -> tuple[float, float, float] | None:
    try:
        if "vel" in row:
            return float(row["utime"]), float(row["vel"][0]), float(row["vel"][1])
        return float(row["utime"]), float(row.get("odom_speed", row.get("vehicle_speed"))) * KMH, 0.0
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return None
