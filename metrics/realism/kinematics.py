"""Speeds and accelerations by central differences."""

from __future__ import annotations

import numpy as np


def central_difference(x: np.ndarray) -> np.ndarray:
    """(x[k + 1] - x[k - 1]) / 2 along the last axis (..., T); NaN at both ends and where a neighbour is NaN."""
    out = np.full(x.shape, np.nan)
    out[..., 1:-1] = (x[..., 2:] - x[..., :-2]) / 2
    return out


def central_and(there: np.ndarray, ends: bool = False) -> np.ndarray:
    """Whether both neighbours of a step are there, along the last axis (..., T); `ends` at the first and last step."""
    out = np.full(there.shape, ends)
    out[..., 1:-1] = there[..., 2:] & there[..., :-2]
    return out


def linear(position: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Speed [m/s] and its change [m/s^2], both (..., T), of positions (..., T, 2 or 3) [m]."""
    moved = central_difference(np.moveaxis(position, -1, 0))
    speed = np.sqrt((moved**2).sum(0)) / dt
    return speed, central_difference(speed) / dt


def angular(yaw: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Yaw rate [rad/s] and its change [rad/s^2], both (..., T), of headings (..., T) [rad].

    The change over two steps is taken the short way round: turns up to pi / 2 per step can be told apart.
    """
    turned = _half_turns(central_difference(yaw))
    return turned / dt, _half_turns(central_difference(turned)) / dt**2


def _half_turns(angle: np.ndarray) -> np.ndarray:
    """Into [-pi/2, pi/2)."""
    return (2 * angle + np.pi) % (2 * np.pi) / 2 - np.pi / 2
