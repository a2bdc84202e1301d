"""What the ego makes of a wish: NAVSIM's LQR tracker and kinematic bicycle for many proposals at once.

The numbers are those of `control.LQR` and `dynamics.Bicycle`, whose constants are used. NAVSIM (0a380a9) fits the
reference once over the whole proposal, where a closed loop fits it anew at every step; here the two fits are solved as
what they are: that of speed is the same matrix for every proposal, that of curvature is tridiagonal.
"""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

from drivesim.control.lqr import LQR
from drivesim.control.profile import INITIAL_CURVATURE_PENALTY
from drivesim.dynamics.bicycle import Bicycle
from drivesim.types import DT, Vehicle

STEPS = 40
"""Of a roll-out: 4 s (NAVSIM)."""


def roll_out(
    proposals: np.ndarray, time: np.ndarray, start: np.ndarray, vehicle: Vehicle, steps: int = STEPS, dt: float = DT,
    tracker: LQR | None = None,
) -> np.ndarray:  # fmt: skip
    """States (N, steps + 1, 7) of an ego that starts at `start` (7,) and follows each of `proposals` (N, H, 3).

    Proposals are poses of the rear axle in the world at `time` (H,) seconds from now, linear in between, and kept after
    the last. Unless the first is now, they begin where the ego is, as NAVSIM has it.
    """
    tracker, body = tracker or LQR(), (tracker or LQR()).body
    reference = sampled(proposals, time, start, dt * np.arange(steps + 1))
    return _roll_out(
        reference, np.ascontiguousarray(start, np.float64), _speed_fit(steps, dt, tracker.jerk_penalty), dt,
        vehicle.wheelbase, _numbers(tracker, body),
    )  # fmt: skip


def sampled(proposals: np.ndarray, time: np.ndarray, start: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Poses (N, K, 3) of proposals (N, H, 3) at the times `at` (K,), from `start` (7,) on unless their first is now."""
    poses, time = np.asarray(proposals, np.float64), np.asarray(time, np.float64)
    if time[0] > 1e-9:
        now = np.broadcast_to(start[:3], (len(poses), 1, 3))
        poses, time = np.concatenate([now, poses], 1), np.concatenate([[0.0], time])
    after = np.clip(np.searchsorted(time, at - 1e-9), 1, len(time) - 1)
    share = np.clip((at - time[after - 1]) / (time[after] - time[after - 1]), 0, 1)[:, None]
    a, change = poses[:, after - 1], poses[:, after] - poses[:, after - 1]
    change[..., 2] = (change[..., 2] + np.pi) % (2 * np.pi) - np.pi
    return np.ascontiguousarray(a + share * change)


@lru_cache(maxsize=8)
def _speed_fit(n: int, dt: float, penalty: float) -> np.ndarray:
    """(n, n): from displacements along the heading to speeds over the same steps.

    The least squares of `control.profile.speed_profile`: the headings cancel in its normal equations.
    """
    sums = dt * np.tri(n)
    sums[:, 0] = 1
    change = np.zeros((max(n - 2, 0), n))
    for i in range(n - 2):
        change[i, i + 1 : i + 3] = -1.0, 1.0
    normal = dt**2 * sums.T @ sums + penalty * change.T @ change
    return np.ascontiguousarray(sums @ np.linalg.solve(normal, dt * sums.T))


def _numbers(tracker: LQR, body: Bicycle) -> np.ndarray:
    """The constants of tracker and body in the order in which `_roll_out` takes them."""
    return np.array([
        tracker.steps, tracker.speed_cost, tracker.acceleration_cost, *tracker.lateral_cost, tracker.steering_rate_cost,
        tracker.curvature_rate_penalty, tracker.stop_speed, tracker.stop_gain, body.acceleration_lag, body.steering_lag,
        body.max_steering,
    ])  # fmt: skip


@numba.njit(error_model="numpy", _nrt=False)
def _wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


@numba.njit(cache=True, error_model="numpy")
def _profiles(poses, fit, dt, rate_penalty, speeds, curvatures):
    """Speeds (n,) and curvatures (n,) of the steps between poses (n + 1, 3)."""
    n = len(speeds)
    along = np.empty(n)
    for i in range(n):
        dx, dy = poses[i + 1, 0] - poses[i, 0], poses[i + 1, 1] - poses[i, 1]
        along[i] = dx * np.cos(poses[i, 2]) + dy * np.sin(poses[i, 2])
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += fit[i, j] * along[j]
        speeds[i] = total
    # forward elimination and back substitution of the tridiagonal normal equations
    link, diagonal = rate_penalty / dt**2, np.empty(n)
    for i in range(n):
        diagonal[i] = (dt * speeds[i]) ** 2 + link * ((i > 0) + (i < n - 1))
        turn = _wrapped(poses[i + 1, 2] - poses[i, 2])
        curvatures[i] = dt * speeds[i] * turn
        if i == 0:
            diagonal[i] += INITIAL_CURVATURE_PENALTY
        else:
            share = link / diagonal[i - 1]
            diagonal[i] -= share * link
            curvatures[i] += share * curvatures[i - 1]
    curvatures[n - 1] /= diagonal[n - 1]
    for i in range(n - 2, -1, -1):
        curvatures[i] = (curvatures[i] + link * curvatures[i + 1]) / diagonal[i]


@numba.njit(error_model="numpy", _nrt=False)
def _steering_rate(state, reference, acceleration, curvatures, now, ahead, dt, wheelbase, q0, q1, q2, cost):
    """One rate for the next `ahead` steps that brings lateral and heading error down: one-step LQR (NAVSIM)."""
    dx, dy, yaw = state[0] - reference[0], state[1] - reference[1], reference[2]
    e0, e1, e2 = -dx * np.sin(yaw) + dy * np.cos(yaw), _wrapped(state[2] - yaw), state[5]
    b0, b1, b2 = 0.0, 0.0, 0.0
    last = len(curvatures) - 1
    for k in range(ahead):
        v = state[3] + k * dt * acceleration
        kappa = curvatures[min(now + k, last)]
        e0, e1 = e0 + dt * v * e1, e1 + dt * v * (e2 / wheelbase - kappa)
        b0, b1, b2 = b0 + dt * v * b1, b1 + dt * v * b2 / wheelbase, b2 + dt
    e1 = _wrapped(e1)
    return -(b0 * q0 * e0 + b1 * q1 * e1 + b2 * q2 * e2) / (b0 * q0 * b0 + b1 * q1 * b1 + b2 * q2 * b2 + cost)


@numba.njit(cache=True, error_model="numpy")
def _roll_out(reference, start, fit, dt, wheelbase, numbers):
    ahead, speed_cost, acceleration_cost = int(numbers[0]), numbers[1], numbers[2]
    q0, q1, q2, cost, rate_penalty, stop_speed, stop_gain = numbers[3:10]
    lag, steering_lag, most = dt / (dt + numbers[10]), dt / (dt + numbers[11]), numbers[12]
    count, steps = reference.shape[0], reference.shape[1] - 1
    out = np.empty((count, steps + 1, 7))
    speeds, curvatures = np.empty(steps), np.empty(steps)
    gain = speed_cost * ahead * dt / (speed_cost * (ahead * dt) ** 2 + acceleration_cost)
    for n in range(count):
        _profiles(reference[n], fit, dt, rate_penalty, speeds, curvatures)
        out[n, 0] = start
        for i in range(steps):
            state, then = out[n, i], out[n, i + 1]
            wanted = speeds[min(i + ahead, steps - 1)]
            if wanted <= stop_speed and state[3] <= stop_speed:
                acceleration, rate = -stop_gain * (state[3] - wanted), 0.0
            else:
                acceleration = gain * (wanted - state[3])
                rate = _steering_rate(
                    state, reference[n, i], acceleration, curvatures, i, ahead, dt, wheelbase, q0, q1, q2, cost
                )
            then[0] = state[0] + dt * state[3] * np.cos(state[2])
            then[1] = state[1] + dt * state[3] * np.sin(state[2])
            then[2] = _wrapped(state[2] + dt * state[3] * np.tan(state[5]) / wheelbase)
            then[4] = state[4] + lag * (acceleration - state[4])
            then[3] = state[3] + dt * then[4]
            then[5] = min(max(state[5] + steering_lag * dt * rate, -most), most)
            then[6] = then[3] * np.tan(then[5]) / wheelbase
    return out
