"""Bench2Drive's smoothness (tools/efficiency_smoothness_benchmark.py)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from drivesim.types import Agents, Event, Rollout, Scenario, Score

from ..comfort import rear_axle_motion
from ..drive import judged_ego, not_judged, only, over_steps, unfit

VERSION = "1"
SEGMENT = 20
"""Steps of a segment; a shorter rest is dropped, unless it is all there is."""
WINDOW, ORDER = 7, 2
"""Of the Savitzky-Golay filters."""
BOUNDS = {
    "longitudinal_acceleration": (-4.05, 2.40), "lateral_acceleration": (-4.89, 4.89), "jerk": (-8.37, 8.37),
    "longitudinal_jerk": (-4.13, 4.13), "yaw_acceleration": (-1.93, 1.93), "yaw_rate": (-0.95, 0.95),
}  # fmt: skip
"""nuPlan's [m/s^2, m/s^3, rad/s^2, rad/s], strict."""

Rows = NDArray[np.float64]


def smoothness(rollouts: Sequence[Rollout], scenario: Scenario, form: Literal["strict", "peer"] = "strict") -> Score:
    """Share of segments of 20 steps in which six motions stay strictly within nuPlan's bounds (Bench2Drive 087f74f).

    `strict`: yaw rate in rad/s, yaw acceleration is its derivative. `peer` reproduces the code: the yaw rate in deg/s
    is unwrapped as if it were an angle in radians, bounded as if it were rad/s, and the yaw acceleration is that same
    number, smoothed but never differentiated. Motion: of the rear axle, as in `comfort`. Series: 1 within the bounds.
    """
    rollout = only(rollouts, "bench2drive_smoothness")
    if reason := unfit(rollout, steps=ORDER + 1):
        return not_judged("bench2drive_smoothness", reason, VERSION)
    ego = judged_ego(rollout)
    acceleration, yaw = rear_axle_motion(ego, rollout.vehicle, rollout.dt)
    rate = np.degrees(np.gradient(yaw, rollout.dt))
    parts = segments(len(yaw))
    index = np.array([range(a, b) for a, b in parts])
    together = measured(acceleration[index], rate[index], rollout.dt, form)
    found = [{name: values[k] for name, values in together.items()} for k in range(len(parts))]
    series = np.full(len(yaw), np.nan)
    events = []
    for (a, b), motions in zip(parts, found, strict=True):
        series[a:b] = float(within(motions))
        broken = [name for name in BOUNDS if not within(motions, (name,))]
        events += [_event(name, motions[name], a, ego, rollout, 1 / len(parts)) for name in broken]
    value = float(np.mean([within(motions) for motions in found]))
    return Score(
        "bench2drive_smoothness", value, better="more", series=over_steps(torch.from_numpy(series), rollout),
        shows="segment within the bounds", evidence=tuple(events), version=f"{VERSION} {form}",
    )  # fmt: skip


def smooth_share(
    acceleration: Rows, yaw_rate: Rows, dt: float = 0.1, form: Literal["strict", "peer"] = "strict"
) -> float:
    """Share of smooth segments, of accelerations (n, 2) along and across [m/s^2] and yaw rate (n,) [deg/s], as CARLA
    gives it."""
    return float(np.mean([is_smooth(acceleration[a:b], yaw_rate[a:b], dt, form) for a, b in segments(len(yaw_rate))]))


def is_smooth(acceleration: Rows, yaw_rate: Rows, dt: float = 0.1, form: str = "strict") -> bool:
    """Whether one segment is smooth; see `smooth_share`."""
    return within(measured(acceleration, yaw_rate, dt, form))


def segments(count: int) -> list[tuple[int, int]]:
    """First and last (exclusive) step of each."""
    if count <= SEGMENT:
        return [(0, count)]
    return [(a, a + SEGMENT) for a in range(0, count - SEGMENT + 1, SEGMENT)]


def measured(acceleration: Rows, yaw_rate: Rows, dt: float, form: str) -> dict[str, Rows]:
    """The six motions (..., n) of segments: accelerations (..., n, 2), yaw rates (..., n). ValueError for fewer than
    three steps."""
    window = min(WINDOW, yaw_rate.shape[-1])
    if window <= ORDER:
        raise ValueError(f"smoothness: {yaw_rate.shape[-1]} steps are fewer than the filter needs")
    smooth = lambda x, d=0: x @ _filter(x.shape[-1], window, d, dt)  # noqa: E731
    along, across = smooth(acceleration[..., 0]), smooth(acceleration[..., 1])
    total = smooth(np.hypot(acceleration[..., 0], acceleration[..., 1]))
    rate = np.unwrap(yaw_rate) if form == "peer" else np.radians(yaw_rate)
    return {
        "longitudinal_acceleration": along, "lateral_acceleration": across, "jerk": smooth(total, 1),
        "longitudinal_jerk": smooth(along, 1), "yaw_acceleration": smooth(rate, 0 if form == "peer" else 1),
        "yaw_rate": smooth(rate),
    }  # fmt: skip


@lru_cache(maxsize=16)
def _filter(count: int, window: int, derivative: int, dt: float) -> Rows:
    """(n, n): `count` values times this are filtered."""
    from scipy.signal import savgol_filter

    return savgol_filter(np.eye(count), window, ORDER, deriv=derivative, delta=dt)


def within(motions: dict[str, Rows], names: Sequence[str] = tuple(BOUNDS)) -> bool:
    return all(bool(((motions[n] > BOUNDS[n][0]) & (motions[n] < BOUNDS[n][1])).all()) for n in names)


def _event(name: str, values: Rows, first: int, ego: Agents, rollout: Rollout, lost: float) -> Event:
    low, high = BOUNDS[name]
    worst = int(np.maximum(values - high, low - values).argmax())
    limit = high if values[worst] >= high else low
    place = tuple(round(x, 3) for x in ego.xy[first + worst].tolist())
    detail = {
        "value": round(float(values[worst]), 3), "limit": limit, "lost": round(lost, 6),
        "rule": f"{low} < {name} < {high} in each segment of {SEGMENT} steps (Bench2Drive, nuPlan's bounds)",
        "kept_by": f"{name} {'below' if limit == high else 'above'} {limit}",
    }  # fmt: skip
    return Event(name, rollout.start + first + worst, (0,), place, detail)
