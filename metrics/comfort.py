"""Comfort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from drivesim.proposals.comfort import filtered
from drivesim.types import Agents, Event, Rollout, Scenario, Score, Vehicle

from .drive import judged_ego, not_judged, only, over_steps, unfit

VERSION = "1"
SOURCE = "nuPlan e924167, ego_is_comfortable; NAVSIM 0a380a9, C"
UNITS = {
    "longitudinal_acceleration": "m/s^2",
    "lateral_acceleration": "m/s^2",
    "jerk": "m/s^3",
    "longitudinal_jerk": "m/s^3",
    "yaw_rate": "rad/s",
    "yaw_acceleration": "rad/s^2",
}


def comfort(
    rollouts: Sequence[Rollout],
    scenario: Scenario,
    longitudinal_acceleration: tuple[float, float] = (-4.05, 2.40),
    lateral_acceleration: float = 4.89,
    jerk: float = 8.37,
    longitudinal_jerk: float = 4.13,
    yaw_rate: float = 0.95,
    yaw_acceleration: float = 1.93,
) -> Score:
    """1 if six motions of the ego stay strictly within their bounds at every step, else 0 (nuPlan e924167, NAVSIM C).

    Bounds in m/s^2, m/s^3, rad/s and rad/s^2, all from nuPlan; all but the first are on absolute values. See
    `motions` for what is measured. Series: the longitudinal acceleration [m/s^2]. Needs 4 steps for its filters.
    """
    rollout = only(rollouts, "comfort")
    if reason := unfit(rollout, steps=4):
        return not_judged("comfort", reason, VERSION)
    low, high = longitudinal_acceleration
    bounds = {
        "longitudinal_acceleration": (low, high),
        "lateral_acceleration": (-lateral_acceleration, lateral_acceleration),
        "jerk": (-jerk, jerk),
        "longitudinal_jerk": (-longitudinal_jerk, longitudinal_jerk),
        "yaw_rate": (-yaw_rate, yaw_rate),
        "yaw_acceleration": (-yaw_acceleration, yaw_acceleration),
    }
    ego = judged_ego(rollout)
    values = motions(*rear_axle_motion(ego, rollout.vehicle, rollout.dt), rollout.dt)
    beyond = {name: np.maximum(values[name] - most, least - values[name]) for name, (least, most) in bounds.items()}
    events = tuple(
        _event(name, values[name], excess, bounds[name], ego, rollout)
        for name, excess in beyond.items()
        if excess.max() >= 0
    )
    series = over_steps(torch.from_numpy(values["longitudinal_acceleration"]), rollout)
    return Score(
        "comfort",
        float(not events),
        better="more",
        series=series,
        shows="longitudinal acceleration [m/s²]",
        evidence=events,
        version=VERSION,
    )


def _event(
    name: str,
    values: np.ndarray,
    excess: np.ndarray,
    bounds: tuple[float, float],
    ego: Agents,
    rollout: Rollout,
) -> Event:
    """The worst step of a motion that leaves its bounds; `excess` (n,) is how far it is beyond them."""
    worst = int(excess.argmax())
    value, words = float(values[worst]), name.replace("_", " ")
    high = value >= bounds[1]
    detail = {
        "value": round(value, 3),
        "limit": bounds[1 if high else 0],
        "unit": UNITS[name],
        "first_step": rollout.start + int((excess >= 0).argmax()),
        "steps_beyond": int((excess >= 0).sum()),
        "lost": 1.0,
        "rule": f"{words} strictly between {bounds[0]} and {bounds[1]} {UNITS[name]} at every step",
        "source": SOURCE,
        "kept_by": f"{words} {'below' if high else 'above'} {bounds[1 if high else 0]} {UNITS[name]}: "
        f"{float(excess[worst]):.2f} {UNITS[name]} {'less' if high else 'more'} at this step",
    }
    place = tuple(round(x, 3) for x in ego.xy[worst].tolist())
    return Event(name, rollout.start + worst, (0,), place, detail)


def rear_axle_motion(ego: Agents, vehicle: Vehicle, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Acceleration (..., n, 2) of the rear axle along and left of the heading [m/s^2], and yaw (..., n) [rad].

    The velocity of the box centre, less what turning about the rear axle adds to it, differentiated in the world.
    """
    yaw = np.unwrap(ego.yaw.numpy(), axis=-1)
    rate = np.gradient(yaw, dt, axis=-1)
    aside = np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    velocity = ego.velocity.numpy() - vehicle.rear_axle_to_center * rate[..., None] * aside
    acceleration = np.gradient(velocity, dt, axis=-2)
    along = acceleration[..., 0] * np.cos(yaw) + acceleration[..., 1] * np.sin(yaw)
    return np.stack([along, (acceleration * aside).sum(-1)], -1), yaw


def motions(acceleration: np.ndarray, yaw: np.ndarray, dt: float) -> dict[str, np.ndarray]:
    """The six motions (..., n) that comfort bounds, from accelerations (..., n, 2) and yaw (..., n).

    Savitzky-Golay as nuPlan sets it: accelerations window 8, order 2; jerk is the derivative of the filtered
    acceleration, window 15, order 2; yaw rate window 5, order 2; yaw acceleration window 5, order 3; no window is
    longer than the drive; rounded to 8 decimals.
    """
    along, aside = acceleration[..., 0], acceleration[..., 1]
    unwrapped = np.unwrap(yaw, axis=-1)
    return {
        "longitudinal_acceleration": smooth(along),
        "lateral_acceleration": smooth(aside),
        "jerk": slope(smooth(np.hypot(along, aside)), dt, window=15),
        "longitudinal_jerk": slope(smooth(along), dt, window=15),
        "yaw_rate": slope(unwrapped, dt, window=5),
        "yaw_acceleration": slope(unwrapped, dt, window=5, order=3, derivative=2),
    }


def smooth(values: np.ndarray, window: int = 8, order: int = 2) -> np.ndarray:
    """Values (..., n) after the filter."""
    return slope(values, 1.0, window, order, derivative=0)


def slope(values: np.ndarray, dt: float, window: int, order: int = 2, derivative: int = 1) -> np.ndarray:
    """A derivative (..., n) of values (..., n) at steps of `dt` [s], by the filter."""
    return filtered(values, window, order, derivative, dt)
