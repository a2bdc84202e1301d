"""Plane curves as dense polylines (n, 2) in float64."""

from __future__ import annotations

import numpy as np

_STRETCH = np.linspace(1.0, 2.2, 13)


def direction(yaw: float) -> np.ndarray:
    return np.array([np.cos(yaw), np.sin(yaw)])


def lengths(line: np.ndarray) -> np.ndarray:
    """Arc length (n,) at every vertex."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])


def yaws(line: np.ndarray) -> np.ndarray:
    """Unwrapped direction (n,) at every vertex."""
    step = np.gradient(line, axis=0)
    return np.unwrap(np.arctan2(step[:, 1], step[:, 0]))


def at(line: np.ndarray, s: np.ndarray | float) -> np.ndarray:
    """Points (..., 2) at arc lengths s (...), clamped to the ends."""
    along = lengths(line)
    return np.stack([np.interp(s, along, line[:, 0]), np.interp(s, along, line[:, 1])], -1)


def cut(line: np.ndarray, start: float, end: float, spacing: float) -> np.ndarray:
    """The part between two arc lengths, sampled about every `spacing` metres."""
    return at(line, np.linspace(start, end, max(int(round((end - start) / spacing)) + 1, 3)))


def shift(line: np.ndarray, left: float | np.ndarray) -> np.ndarray:
    """The parallel curve `left` metres to the left."""
    yaw = yaws(line)
    return line + np.asarray(left)[..., None] * np.stack([-np.sin(yaw), np.cos(yaw)], -1)


def strip(line: np.ndarray, right: float, left: float) -> np.ndarray:
    """Ring (2n, 2), counter-clockwise, between two parallels of a line (`right` < `left`)."""
    return np.concatenate([shift(line, right), shift(line, left)[::-1]])


def blend(start: np.ndarray, yaw0: float, end: np.ndarray, yaw1: float, spacing: float) -> np.ndarray:
    """Quintic from pose to pose with no curvature at its ends, so that steering never jumps at a joint.

    Of a family of end-tangent lengths the member with the smallest peak curvature is taken.
    """
    t = np.linspace(0, 1, 81)[:, None]
    leave, arrive = t - 6 * t**3 + 8 * t**4 - 3 * t**5, -4 * t**3 + 7 * t**4 - 3 * t**5
    rise = 10 * t**3 - 15 * t**4 + 6 * t**5
    tangents = np.hypot(*(end - start)) * (leave * direction(yaw0) + arrive * direction(yaw1))
    lines = start + rise * (end - start) + _STRETCH[:, None, None] * tangents
    peak = np.abs(curvature(lines)).max(1)
    line = lines[int(np.argmin(np.round(peak, 9)))]
    return cut(line, 0.0, lengths(line)[-1], spacing)


def curvature(line: np.ndarray) -> np.ndarray:
    """Signed curvature (..., n) [1/m] of lines (..., n, 2), left positive."""
    d1 = np.gradient(line, axis=-2)
    d2 = np.gradient(d1, axis=-2)
    cross = d1[..., 0] * d2[..., 1] - d1[..., 1] * d2[..., 0]
    return cross / np.maximum(np.hypot(d1[..., 0], d1[..., 1]) ** 3, 1e-9)


def distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance (n,) of each point (n, 2) to the nearest of the others (m, 2)."""
    return np.hypot(*(points[:, None] - others[None]).transpose(2, 0, 1)).min(1)
