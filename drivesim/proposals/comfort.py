"""Comfort of many drives at once: Savitzky-Golay filters as matrices, NAVSIM's bounds, and what two plans differ by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from .states import ACCELERATION, SPEED, YAW, YAW_RATE

DECIMALS = 8
"""Filtered values are rounded to this many decimals (nuPlan, NAVSIM)."""

BOUNDS: Mapping[str, tuple[float, float]] = {
    "longitudinal_acceleration": (-4.05, 2.40),
    "lateral_acceleration": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),
    "longitudinal_jerk": (-4.13, 4.13),
    "yaw_rate": (-0.95, 0.95),
    "yaw_acceleration": (-1.93, 1.93),
}
"""Strict bounds [m/s^2, m/s^2, m/s^3, m/s^3, rad/s, rad/s^2] (nuPlan, NAVSIM)."""

UNITS = dict(zip(BOUNDS, ("m/s^2", "m/s^2", "m/s^3", "m/s^3", "rad/s", "rad/s^2"), strict=True))

ALIKE: Mapping[str, float] = {"acceleration": 0.7, "jerk": 0.5, "yaw_rate": 0.1, "yaw_acceleration": 0.1}
"""Largest root mean square by which two plans may differ [m/s^2, m/s^3, rad/s, rad/s^2] (NAVSIM v2, EC)."""

ALIKE_UNITS = dict(zip(ALIKE, ("m/s^2", "m/s^3", "rad/s", "rad/s^2"), strict=True))


@lru_cache(maxsize=64)
def _filter(n: int, window: int, order: int, derivative: int, dt: float) -> np.ndarray:
    """(n, n): rows of values times this are filtered; no window is longer than the drive."""
    from scipy.signal import savgol_filter

    return savgol_filter(np.eye(n), min(window, n), order, deriv=derivative, delta=dt, axis=-1)


def filtered(values: np.ndarray, window: int, order: int = 2, derivative: int = 0, dt: float = 1.0) -> np.ndarray:
    """Values (..., n) after the filter, rounded."""
    return np.round(values @ _filter(values.shape[-1], window, order, derivative, dt), DECIMALS)


def motions(
    along: np.ndarray,
    aside: np.ndarray,
    yaw: np.ndarray,
    dt: float,
    windows: tuple[int, int] = (8, 15),
    size: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """The six motions (..., n) that comfort bounds, from accelerations along and left of the heading, and the yaw.

    `windows` are those of acceleration and jerk; that of the acceleration that jerk is made of is always 8. `size` is
    the length of the acceleration, where it is of another point.
    """
    yaw = np.unwrap(yaw)
    size = np.hypot(along, aside) if size is None else size
    return {
        "longitudinal_acceleration": filtered(along, windows[0]),
        "lateral_acceleration": filtered(aside, windows[0]),
        "jerk": filtered(filtered(size, 8), windows[1], 2, 1, dt),
        "longitudinal_jerk": filtered(filtered(along, 8), windows[1], 2, 1, dt),
        "yaw_rate": filtered(yaw, 5, 2, 1, dt),
        "yaw_acceleration": filtered(yaw, 5, 3, 2, dt),
    }


def within(motion: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether every motion (..., n) stays strictly within its bounds (...)."""
    kept = [((x > BOUNDS[name][0]) & (x < BOUNDS[name][1])).all(-1) for name, x in motion.items()]
    return np.logical_and.reduce(kept)


def accelerations(states: np.ndarray, driven: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Along and left of the heading (..., n) of the rear axle [m/s^2]; that to the left keeps it in its bend.

    With `driven` only that many steps at the front have one to the left: NAVSIM's bicycle says that its own is 0.
    """
    aside = states[..., SPEED] * states[..., YAW_RATE]
    if driven is not None:
        aside = np.where(np.arange(states.shape[-2]) < driven, aside, 0.0)
    return states[..., ACCELERATION], aside


def of_centre(states: np.ndarray, driven: int, reach: float, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of a point `reach` metres ahead of the rear axle: turning adds to both (NAVSIM v2's code)."""
    along, aside = accelerations(states, driven)
    rate = states[..., YAW_RATE]
    change = np.diff(rate, axis=-1, prepend=rate[..., :1]) / dt
    return along - rate**2 * reach, aside + change * reach


def differences(one: np.ndarray, other: np.ndarray, apart: int, dt: float, bend: bool = True) -> dict[str, float]:
    """Root mean square by which a plan differs from one made `apart` steps later, both as states (K, 7), where they
    overlap. Yaw acceleration is filtered with order 2 here (NAVSIM v2). `bend` False: lateral acceleration is 0."""
    parts = []
    for states, first in ((one[apart:], 0), (other[: len(other) - apart], 1)):
        along, aside = accelerations(states, None if bend else first)
        size, yaw = filtered(np.hypot(along, aside), 8), np.unwrap(states[:, YAW])
        parts.append(
            {
                "acceleration": size,
                "jerk": filtered(size, 15, 2, 1, dt),
                "yaw_rate": filtered(yaw, 5, 2, 1, dt),
                "yaw_acceleration": filtered(yaw, 5, 2, 2, dt),
            }
        )
    return {name: float(np.sqrt(np.mean((parts[0][name] - parts[1][name]) ** 2))) for name in ALIKE}


def alike(difference: Mapping[str, float]) -> bool:
    """Whether two plans differ by no more than extended comfort allows."""
    return all(difference[name] <= limit for name, limit in ALIKE.items())
