"""Parameters of one logged driver: the Intelligent Driver Model driven beside the log until it comes closest.

Trajectory calibration after Kesting and Treiber 2008 ("Calibrating car-following models by using trajectory data") and
Treiber and Kesting 2013, chapter 17: the follower is simulated over the whole episode behind the logged leader; what is
made small is the mixed error of the gap, (simulated - logged) / sqrt(logged * mean logged), and the absolute error of
the speed. All episodes of a track are fitted together.

Short logs do not tell all parameters. A weak prior (`PRIOR`) keeps those that an episode does not inform where they
are, and the curvature of the error says which they were: a parameter counts only if its posterior standard deviation is
below `KNOWN`, it is not at a bound, and the model drives like the log at all (`POOR`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from scipy.optimize import least_squares

from drivesim.traffic.following import IDM
from drivesim.types import CYCLES, WALKERS, Kind

from .episodes import Episode, Track, bend, braking, episodes, free_speed, standstill_gap, walking_speed

FITTED = ("acceleration", "braking", "headway", "gap", "desired")
"""What is calibrated, in this order; `desired` is the desired speed [m/s], a nuisance here: traffic hides it."""

BOUNDS = {"acceleration": (0.1, 6.0), "braking": (0.1, 6.0), "headway": (0.1, 5.0), "gap": (0.1, 8.0)}
"""Kesting and Treiber's."""

PLAUSIBLE = {"pace": (0.4, 1.6), "braking": (0.3, 6.0), "lateral": (0.5, 4.0)}
"""What is seen directly counts within these: beyond, boxes jitter, or it is an emergency and not a style."""

PRIOR = 0.7
"""Standard deviation of the logarithms about the model's defaults: a factor of two either way is nothing special."""

KNOWN = 0.25
"""Largest posterior standard deviation of a logarithm for a parameter to count: known to a quarter."""

POOR = 0.3
"""Root mean square mixed error of the gaps above which the model does not describe a driver."""

GAP_ERROR, SPEED_ERROR = 0.1, 0.5
"""What the model is expected to miss: mixed error of the gap; speed [m/s]. Kesting and Treiber find 11 to 29 %."""

BELIEF = 4.0
"""Observations that this expectation is worth; the error of the track itself decides where it is long."""

MEMORY = 1.0
"""Time over which errors of the model are alike [s]: a second of samples is no ten observations."""


@dataclass(frozen=True)
class Driver:
    """What one track tells of its driver."""

    id: str
    kind: Kind
    values: dict[str, float]  # parameters that the track informs
    unknown: dict[str, str] = field(default_factory=dict)  # the others, each with the reason
    episodes: int = 0
    error: float = np.nan  # root mean square mixed error of the gaps


def drive_of(track: Track) -> Driver:
    """Everything that a track tells: seen directly where that is possible, else calibrated."""
    if track.kind in WALKERS:
        speed = walking_speed(track)
        return _sorted(track, {"speed": (speed, "walks for less than 3 s")})
    found, stretches = {}, episodes(track)
    speed, limit = free_speed(track, slow=1.5 if track.kind in CYCLES else 5.0)
    found["speed"] = (speed, "never free to choose its speed")
    found["pace"] = (speed / limit, "no limit known" if np.isfinite(speed) else "never free to choose its speed")
    found["lateral"] = (bend(track), "no free turn")
    stood = standstill_gap(track)
    fit = calibrate(stretches, gap=stood, desired=_desired(track, speed))
    for name in FITTED[:4]:
        found[name] = (fit.values.get(name, np.nan), fit.unknown.get(name, ""))
    for name, seen in (("gap", stood), ("braking", braking(track))):
        if np.isfinite(seen):
            found[name] = (seen, "")
    driver = _sorted(track, found)
    return Driver(driver.id, driver.kind, driver.values, driver.unknown, len(stretches), fit.error)


def _sorted(track: Track, found: dict[str, tuple[float, str]]) -> Driver:
    for name, (low, high) in PLAUSIBLE.items():
        value = found.get(name, (np.nan, ""))[0]
        if np.isfinite(value) and not low <= value <= high:
            found[name] = (np.nan, "not plausible")
    values = {name: float(value) for name, (value, _) in found.items() if np.isfinite(value)}
    return Driver(track.id, track.kind, values, {name: why for name, (_, why) in found.items() if name not in values})


def _desired(track: Track, free: float) -> float:
    """Desired speed [m/s]: as seen on the free road, else the limit (or 50 km/h), no less than the fastest seen."""
    if np.isfinite(free):
        return max(free, 1.0)
    limit = np.nanmedian(track.limit) if np.isfinite(track.limit).any() else 13.9
    return max(float(limit), 1.05 * float(track.speed.max()))


@dataclass(frozen=True)
class Fit:
    """A calibration: parameters that the episodes inform, why the others do not count, and how close it comes."""

    values: dict[str, float]
    unknown: dict[str, str]
    error: float


def calibrate(
    stretches: Sequence[Episode], driver: IDM | None = None, gap: float = np.nan, desired: float = 13.9
) -> Fit:
    """The driver model's parameters over all episodes of one track, `gap` [m] held where it is known.

    `driver` is where the search starts and what the prior is about; the desired speed is searched about `desired`
    [m/s], within a quarter.
    """
    if not stretches:
        return Fit({}, dict.fromkeys(FITTED[:4], "no episode"), np.nan)
    driver = driver or IDM()
    middle = np.log([driver.acceleration, driver.braking, driver.headway, driver.gap, desired])
    spread = np.array([PRIOR, PRIOR, PRIOR, PRIOR, 0.25])
    if np.isfinite(gap):
        middle[3], spread[3] = np.log(np.clip(gap, 0.2, 7.9)), 0.05
    bounds = np.log([BOUNDS[name] for name in FITTED[:4]] + [(0.5 * desired, 2.0 * desired)]).T
    laws = (driver.exponent, driver.max_braking)

    def misses(logs: np.ndarray) -> np.ndarray:
        parts = [_misses(stretch, np.exp(logs), laws) for stretch in stretches]
        return np.concatenate([*parts, (logs - middle) / spread])

    found = least_squares(misses, middle.clip(*(bounds + [[1e-6], [-1e-6]])), bounds=bounds, diff_step=1e-3)
    values = np.exp(found.x)
    error, scale = _error(stretches, values, laws), _scale(stretches, found.fun[:-5])
    information = found.jac[:-5].T @ found.jac[:-5] / scale + np.diag(spread**-2)
    doubt = np.sqrt(np.diag(np.linalg.inv(information)))
    known, unknown = {}, {}
    for k, name in enumerate(FITTED[:4]):
        if error > POOR:
            unknown[name] = "the model does not drive like this"
        elif doubt[k] > KNOWN:
            unknown[name] = "not told by the episodes"
        elif min(abs(found.x[k] - bounds[:, k])) < 0.01:
            unknown[name] = "at a bound"
        else:
            known[name] = float(values[k])
    return Fit(known, unknown, error)


def _scale(stretches: Sequence[Episode], misses: np.ndarray) -> float:
    """Variance of the misses in units of what is expected: one, seen BELIEF times."""
    count = sum(len(x.s) * (1 if np.isinf(x.rear).all() else 2) * x.dt / MEMORY for x in stretches)
    return float((BELIEF + np.sum(misses**2)) / (BELIEF + count))


def _misses(stretch: Episode, values: np.ndarray, laws: tuple[float, float]) -> np.ndarray:
    """Errors of gap and speed in units of what is expected, weighted so that MEMORY seconds count as one."""
    s, speed = _simulated(stretch, values, laws)
    weight = np.sqrt(stretch.dt / MEMORY)
    off = (speed - stretch.speed) * weight / SPEED_ERROR
    if np.isinf(stretch.rear).all():
        return off
    return np.concatenate([(stretch.s - s) * weight / (GAP_ERROR * _measure(stretch)), off])


def _measure(stretch: Episode) -> np.ndarray:
    """What an error of the gap is compared with (n,) [m]: sqrt(logged gap * mean logged gap)."""
    gap = np.maximum(stretch.rear - stretch.s + (2.0 if stretch.line else 0.0), 0.5)
    return np.sqrt(gap * gap.mean())


def _error(stretches: Sequence[Episode], values: np.ndarray, laws: tuple[float, float]) -> float:
    """Root mean square mixed error of the gaps; of free starts, of the way against its length."""
    parts = []
    for stretch in stretches:
        s, _ = _simulated(stretch, values, laws)
        free = np.isinf(stretch.rear).all()
        parts.append((s - stretch.s) / (max(stretch.s[-1] - stretch.s[0], 1.0) if free else _measure(stretch)))
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2)))


def _simulated(stretch: Episode, values: np.ndarray, laws: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Way and speed (n,) of the model from where the log begins; a line is driven to as `drivers.drive` does."""
    acceleration, braking, headway, gap, desired = values
    rear = stretch.rear
    if stretch.line:
        rear, headway = rear + gap, 0.5 * headway
    start = stretch.s[0], stretch.speed[0]
    return simulate(*start, rear, stretch.leader, stretch.dt, acceleration, braking, headway, gap, desired, *laws)


@njit(cache=True)
def simulate(
    s, speed, rear, leader, dt, acceleration, braking, headway, gap, desired, exponent=4.0, max_braking=6.0
):  # fmt: skip
    """Way and speed (n,) of `following.IDM` from `s` and `speed` on, behind rear ends (n,) that go at `leader` (n,).

    Ballistic steps: speed with the acceleration of the step, way with the mean of both speeds; nobody reverses.
    """
    n = len(rear)
    ways, speeds = np.empty(n), np.empty(n)
    for k in range(n):
        ways[k], speeds[k] = s, speed
        wanted = gap + max(0.0, speed * headway + speed * (speed - leader[k]) / (2 * np.sqrt(acceleration * braking)))
        free = (speed / desired) ** exponent
        change = acceleration * (1 - free - (wanted / max(rear[k] - s, 0.1)) ** 2)
        change = min(max(change, -max_braking), acceleration)
        after = max(speed + change * dt, 0.0)
        s += (speed + after) / 2 * dt
        speed = after
    return ways, speeds
