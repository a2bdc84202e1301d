"""One sqlite log: where its scenarios begin, and the rows of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drivesim.errors import InputError, NotDrivable
from drivesim.files import open_sqlite
from drivesim.loading.sanity import FARTHEST

from .geopackage import number, whole

GAP = 1.0
"""A scenario ends where a log pauses for longer [s]."""

MOST = 4_000_000
"""Rows of a table in one scenario; ten minutes with 300 boxes at 20 Hz are 3.6 million."""

AROUND_THE_EARTH = 4e7
"""Of a coordinate in a plane of the earth [m]."""

LATEST = 2**53
"""Of the times [us]: the year 2255."""

_BOXES = """
SELECT lp.timestamp - ?1, hex(lb.track_token), c.name, lb.x, lb.y, lb.z, lb.length, lb.width, lb.height, lb.yaw
FROM lidar_pc AS lp JOIN lidar_box AS lb ON lb.lidar_pc_token = lp.token
LEFT JOIN track AS t ON t.token = lb.track_token LEFT JOIN category AS c ON c.token = t.category_token
WHERE lp.timestamp BETWEEN ?1 AND ?2
"""
_EGO = """
SELECT lp.timestamp - ?1, e.x, e.y, e.z, e.qw, e.qx, e.qy, e.qz, e.epsg
FROM lidar_pc AS lp JOIN ego_pose AS e ON e.token = lp.ego_pose_token
WHERE lp.timestamp BETWEEN ?1 AND ?2 ORDER BY lp.timestamp
"""
_LIGHTS = """
SELECT lp.timestamp - ?1, s.lane_connector_id, s.status
FROM lidar_pc AS lp JOIN traffic_light_status AS s ON s.lidar_pc_token = lp.token
WHERE lp.timestamp BETWEEN ?1 AND ?2 ORDER BY lp.timestamp
"""
_TAGS = """
SELECT DISTINCT s.type FROM lidar_pc AS lp JOIN scenario_tag AS s ON s.lidar_pc_token = lp.token
WHERE lp.timestamp BETWEEN ?1 AND ?2
"""
_ROADBLOCKS = """
SELECT s.roadblock_ids FROM lidar_pc AS lp JOIN scene AS s ON s.token = lp.scene_token
WHERE lp.timestamp BETWEEN ?1 AND ?2 ORDER BY lp.timestamp LIMIT 1
"""
_PHOTOS = """
SELECT i.timestamp - ?1, c.channel, i.filename_jpg, e.x, e.y, e.z, e.qw, e.qx, e.qy, e.qz
FROM image AS i JOIN camera AS c ON c.token = i.camera_token JOIN ego_pose AS e ON e.token = i.ego_pose_token
WHERE i.timestamp BETWEEN ?1 AND ?2 ORDER BY i.timestamp
"""
_CAMERAS = "SELECT channel, translation, rotation, intrinsic, distortion, width, height FROM camera ORDER BY channel"


@dataclass(frozen=True, eq=False)
class Excerpt:
    """The rows of one scenario; times in seconds since its first lidar_pc, places as logged."""

    path: Path
    names: tuple[str, ...]  # what the log calls its map and its city
    time: np.ndarray  # (n,) of the ego's poses, which are stamped with their lidar_pc as the devkit does
    ego: np.ndarray  # (n, 7) x, y, z, qw, qx, qy, qz of the rear axle
    epsg: int
    track: np.ndarray  # (m,) hexadecimal tokens
    category: np.ndarray  # (m,) names
    boxes: np.ndarray  # (m, 8) time, x, y, z of the centre, length, width, height, yaw
    lights: list[tuple[float, int, str]]  # time, lane connector, status
    tags: tuple[str, ...]
    cameras: list[tuple]  # rows of `camera`: channel, four pickles, width, height
    photos: list[tuple]  # time [us], channel, file name, pose


def starts(path: Path, seconds: float) -> list[str]:
    """Tokens, in hexadecimal, of the lidar_pc at which the log's scenarios begin: one after the other, and again after
    a pause. What is left at the end counts if it is at least half as long."""
    tokens, time = _frames(path)
    if not len(time):
        raise NotDrivable(f"{path}: no lidar_pc with a time in it")
    found = []
    edges = np.flatnonzero(np.diff(time) > GAP * 1e6) + 1
    for run in np.split(np.arange(len(time)), edges):
        begin, last = int(run[0]), int(run[-1])
        while begin <= last:
            left = (time[last] - time[begin]) * 1e-6
            if left < seconds / 2 and begin != run[0]:
                break
            found.append(tokens[begin])
            begin = int(np.searchsorted(time, time[begin] + seconds * 1e6))
    return found


def names_of(path: Path) -> tuple[str, ...]:
    """What a log calls its map and its city."""
    with open_sqlite(path) as connection:
        return _names(connection, _columns(connection))


def _frames(path: Path) -> tuple[list[str], np.ndarray]:
    """Tokens and times (n,) int64 [us] of the log's lidar_pc, by time."""
    with open_sqlite(path) as connection:
        query = "SELECT timestamp, token FROM lidar_pc WHERE timestamp BETWEEN 0 AND ? LIMIT ?"
        rows = connection.execute(query, (LATEST, MOST)).fetchall()
    rows = sorted((t, token) for t, token in rows if isinstance(t, int) and isinstance(token, bytes) and token)
    return [token.hex() for _, token in rows], np.array([t for t, _ in rows], dtype=np.int64)


def read_excerpt(path: Path, token: str, seconds: float, sensors: bool) -> Excerpt:
    """What the log holds from the lidar_pc `token` on, for `seconds` or up to a pause; with the cameras and the names
    of their photos if `sensors`."""
    with open_sqlite(path) as connection:
        there = _columns(connection)
        zero, end = _span(connection, path, token, seconds)

        def rows(query: str, *needs: str) -> list[tuple]:
            if not there >= set(needs):
                return []
            found = connection.execute(query, (zero, end)).fetchmany(MOST)
            if len(found) == MOST:
                raise InputError(f"{path}: more than {MOST} rows in {seconds:g} s; no log of nuPlan holds as much")
            return found

        time, ego, epsg = _poses(rows(_EGO), path)
        track, category, boxes = _boxes(rows(_BOXES))
        lights = [(number(t) * 1e-6, whole(i), str(s)) for t, i, s in rows(_LIGHTS, "traffic_light_status.status")]
        tags = sorted({str(row[0]) for row in rows(_TAGS, "scenario_tag.type") if row[0]})
        blocks = [str(row[0]) for row in rows(_ROADBLOCKS, "scene.roadblock_ids") if row[0]]
        cameras = connection.execute(_CAMERAS).fetchmany(64) if sensors and "camera.distortion" in there else []
        return Excerpt(
            path, _names(connection, there), time, ego, epsg, track, category, boxes,
            [(t, i, s) for t, i, s in lights if i is not None],
            (*tags, *(f"roadblocks:{','.join(b.replace(',', ' ').split())}" for b in blocks)),
            cameras, rows(_PHOTOS, "image.filename_jpg", "camera.channel") if sensors else [],
        )  # fmt: skip


def _span(connection: Any, path: Path, token: str, seconds: float) -> tuple[int, int]:
    """First and last time [us] of the scenario that begins at a lidar_pc."""
    query = "SELECT timestamp FROM lidar_pc WHERE token = ?"
    found = connection.execute(query, (bytes.fromhex(token),)).fetchone()
    if found is None or not isinstance(found[0], int) or not 0 <= found[0] <= LATEST:
        raise InputError(f"{path}: no lidar_pc {token} with a time; `ids()` lists where scenarios begin")
    zero = found[0]
    query = "SELECT timestamp FROM lidar_pc WHERE timestamp BETWEEN ? AND ? ORDER BY timestamp LIMIT ?"
    time = np.array([row[0] for row in connection.execute(query, (zero, zero + int(seconds * 1e6), MOST))])
    pauses = np.flatnonzero(np.diff(time) > GAP * 1e6)
    return zero, int(time[pauses[0]] if len(pauses) else time[-1])


def _columns(connection: Any) -> set[str]:
    """What of the optional tables is there, as table.column: older logs lack some."""
    tables = ("log", "scene", "scenario_tag", "traffic_light_status", "camera", "image", "ego_pose")
    return {f"{t}.{row[1]}" for t in tables for row in connection.execute(f"PRAGMA table_info({t})").fetchmany(100)}


def _names(connection: Any, there: set[str]) -> tuple[str, ...]:
    columns = [c for c in ("map_version", "location") if f"log.{c}" in there]
    found = connection.execute(f"SELECT {', '.join(columns)} FROM log").fetchone() if columns else None
    return tuple(str(x) for x in found or () if x)


def _poses(rows: Sequence[tuple], path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    values = _table([row[:8] for row in rows], 8)
    bad = np.flatnonzero(~np.isfinite(values).all(1))
    if len(bad):
        raise InputError(f"{path}: the ego's pose at {values[bad[0], 0] * 1e-6:.2f} s holds no number")
    off = np.abs(np.linalg.norm(values[:, 4:], axis=1) - 1)
    if len(off) and off.max() > 0.01:
        raise InputError(f"{path}: the ego's pose at {values[off.argmax(), 0] * 1e-6:.2f} s has no unit quaternion")
    far = np.abs(values[:, 1:4] - values[:1, 1:4]).max(axis=1) > FARTHEST
    far |= np.abs(values[:, 1:4]).max(axis=1) > AROUND_THE_EARTH
    if far.any():
        raise InputError(f"{path}: the ego's pose at {values[far.argmax(), 0] * 1e-6:.2f} s is out of this world")
    if not len(values) or values[0, 0] != 0:
        raise InputError(f"{path}: the first lidar_pc of the scenario has no ego_pose")
    time, first = np.unique(values[:, 0], return_index=True)
    return time * 1e-6, values[first, 1:], whole(rows[0][8]) or 0


def _boxes(rows: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    track = np.array([str(row[1]).lower() for row in rows], dtype=str)
    category = np.array([str(row[2] or "") for row in rows], dtype=str)
    values = _table([(row[0], *row[3:]) for row in rows], 8)
    values[:, 0] *= 1e-6
    return track, category, values


def _table(rows: Sequence[tuple], columns: int) -> np.ndarray:
    """Rows as float64 (n, columns), NaN where a value is no number."""
    try:
        return np.array(rows, dtype=np.float64).reshape(-1, columns)
    except (TypeError, ValueError, OverflowError):
        return np.array([[number(x) for x in row] for row in rows], dtype=np.float64).reshape(-1, columns)
