"""Tracks as logged to agents on the grid of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from ..errors import InputError
from ..types import DT, Agents, Kind
from .paths import runs


@dataclass(frozen=True, eq=False)
class Track:
    """One road user as logged: numpy float64, times in seconds since step 0, angles in radians, world frame."""

    id: str
    kind: Kind
    size: np.ndarray  # (3,) length, width, height [m]
    time: np.ndarray  # (n,) increasing
    xyz: np.ndarray  # (n, 3) centre of the box's bottom
    yaw: np.ndarray  # (n,)
    pitch: np.ndarray  # (n,)
    roll: np.ndarray  # (n,)
    velocity: np.ndarray | None = None  # (n, 2) as logged [m/s], world frame; None where the log has none

    @staticmethod
    def flat(
        id: str,
        kind: Kind,
        size: np.ndarray,
        time: np.ndarray,
        xyz: np.ndarray,
        yaw: np.ndarray,
        velocity: np.ndarray | None = None,
    ) -> Track:
        """A track of a format that knows no pitch and roll."""
        level = np.zeros(len(time))
        return Track(id, kind, size, time, xyz, yaw, level, level.copy(), velocity)


def assemble(tracks: Sequence[Track], steps: int, dt: float = DT, max_gap: float = 1.1) -> Agents:
    """Agents (T, A) on the grid k * dt; `tracks[0]` is the ego.

    Poses and logged velocities are interpolated linearly (angles along the shorter way) between observations that
    are at most `max_gap` seconds apart; elsewhere the agent is absent (NaN). Velocities that a log does not have are
    the slope of a parabola fitted to the positions within 0.4 s.
    Raises InputError where a track has NaN, or times that do not increase.
    """
    columns = np.stack([_on_grid(track, np.arange(steps) * dt, max_gap) for track in tracks], 1)  # (T, A, 8) float64
    poses = torch.from_numpy(columns[..., :6])
    valid = torch.isfinite(poses).all(-1)
    size = torch.tensor(np.stack([t.size for t in tracks]), dtype=torch.float32).expand(steps, -1, -1)
    kind = torch.tensor([int(t.kind) for t in tracks]).expand(steps, -1)
    x, y, z, yaw, pitch, roll = poses.float().unbind(-1)
    velocity = torch.from_numpy(_velocities(columns, dt)).float()
    return Agents(torch.stack([x, y], -1), z, yaw, pitch, roll, velocity, size.clone(), kind.clone(), valid)


def _on_grid(track: Track, grid: np.ndarray, max_gap: float) -> np.ndarray:
    poses = np.column_stack([track.xyz, track.yaw, track.pitch, track.roll])
    velocity = np.full((len(poses), 2), np.nan) if track.velocity is None else track.velocity
    if not np.isfinite(poses).all():
        bad = int(np.flatnonzero(~np.isfinite(poses).all(1))[0])
        raise InputError(f"track {track.id} has a pose that is not a number at {track.time[bad]:.2f} s: {poses[bad]}")
    if len(track.time) > 1 and not (np.diff(track.time) > 0).all():
        raise InputError(f"track {track.id} has times that do not increase")
    poses[:, 3:] = np.unwrap(poses[:, 3:], axis=0)
    poses = np.column_stack([poses, velocity])
    after = np.clip(np.searchsorted(track.time, grid), 1, max(len(track.time) - 1, 1))
    before = after - 1
    if len(track.time) == 1:
        after = before
    # an observation stands for the grid point next to it, half a step to either side
    tolerance = 0.5 * (grid[1] - grid[0]) if len(grid) > 1 else 0.05
    t0, t1 = track.time[before], track.time[after]
    share = np.clip((grid - t0) / np.maximum(t1 - t0, 1e-9), 0, 1)
    out = poses[before] + share[:, None] * (poses[after] - poses[before])
    near = np.minimum(np.abs(grid - t0), np.abs(grid - t1)) <= tolerance
    bridged = (t1 - t0 <= max_gap) & (grid >= t0) & (grid <= t1)
    out[~(near | bridged)] = np.nan
    out[:, 3:6] = (out[:, 3:6] + np.pi) % (2 * np.pi) - np.pi
    return out


def _velocities(columns: np.ndarray, dt: float) -> np.ndarray:
    """Logged velocities (T, A, 2), and where an agent has none the smoothed slopes of each stretch of positions; zero
    where a stretch is one step, NaN where the agent is absent.

    Raw differences would turn a centimetre of box jitter into 0.1 m/s and worse.
    """
    there, out = np.isfinite(columns[..., :6]).all(-1), columns[..., 6:].copy()
    unknown = there & ~np.isfinite(out).all(-1)
    for agent in np.flatnonzero(unknown.any(0)):
        for first, last in runs(there[:, agent]):
            part = slice(first, last + 1)
            estimated = slopes(columns[part, agent, :2], dt)
            out[part, agent] = np.where(unknown[part, agent, None], estimated, out[part, agent])
    out[~there] = np.nan
    return out


def slopes(x: np.ndarray, dt: float, reach: float = 0.4) -> np.ndarray:
    """Rates of change (n, k) of samples (n, k) every `dt`: parabolas fitted to what lies within `reach` seconds (a
    Savitzky-Golay filter whose first and last parabolas serve the ends)."""
    half = min(round(reach / dt), (len(x) - 1) // 2)
    if len(x) < 3:
        return np.repeat(np.diff(x, axis=0) / dt, 2, axis=0) if len(x) == 2 else np.zeros_like(x)
    weights, width = _slope_weights(half), 2 * half + 1
    inner = np.lib.stride_tricks.sliding_window_view(x, width, axis=0) @ weights[half]
    return np.concatenate([weights[:half] @ x[:width], inner, weights[half + 1 :] @ x[-width:]]) / dt


@cache
def _slope_weights(half: int) -> np.ndarray:
    """Row i: the slope at sample i - half of the parabola through 2 half + 1 samples, per sample."""
    at = np.arange(-half, half + 1)[:, None]
    return np.hstack([np.zeros_like(at), np.ones_like(at), 2 * at]) @ np.linalg.pinv(at ** np.arange(3))
