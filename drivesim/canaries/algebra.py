"""Linear algebra, and what of the house rests on it: the tracker and the filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from ..control.lqr import LQR
from ..types import Trajectory
from .answer import ROUNDING, Answer

SIZES = (3, 8, 17, 40, 64)
"""Small ones, those of the tracker (40), and sizes to both sides of the blocks that BLAS kernels work in."""
SINGLE = 1e-3
"""Tolerance of single precision, in which inverses of 64 x 64 are off by some 1e-6."""

Solver = Callable[[Any], Any]


def hadamard(n: int) -> np.ndarray:
    """Sylvester's matrix (n, n) of 1 and -1, n a power of 2: its inverse is itself over n, exactly."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def smaller(n: int) -> np.ndarray:
    """(n, n) of min(i, j), counted from 1: L L^T of the lower triangle of ones L."""
    place = np.arange(1.0, n + 1)
    return np.minimum(place[:, None], place)


def inverse_of_smaller(n: int) -> np.ndarray:
    """Its inverse: 2 along the diagonal but 1 at the end, -1 beside it (second differences)."""
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    matrix[-1, -1] = 1
    return matrix


def product() -> Iterator[Answer]:
    """Sums of i + k times k + j over k, which are n i j + (i + j) S1 + S2: whole numbers below 2^24."""
    for n in SIZES:
        k = np.arange(n, dtype=np.float64)
        table = k[:, None] + k
        s1, s2 = n * (n - 1) / 2, (n - 1) * n * (2 * n - 1) / 6
        known = n * k[:, None] * k + (k[:, None] + k) * s1 + s2
        yield Answer(f"numpy's product of {n} x {n}", table @ table, known)
        for kind in (torch.float64, torch.float32):
            given = torch.from_numpy(table).to(kind)
            yield Answer(f"torch's product of {n} x {n} in {kind}", (given @ given).double(), known)


def inverse() -> Iterator[Answer]:
    """Inverses that are known exactly, by every function that the house inverts or solves with."""
    for n in SIZES:
        yield from _inverses(f"min(i, j), {n} x {n}", smaller(n), inverse_of_smaller(n))
        if n & (n - 1) == 0:
            yield from _inverses(f"Hadamard's {n} x {n}", hadamard(n), hadamard(n) / n)


def _inverses(name: str, matrix: np.ndarray, known: np.ndarray) -> Iterator[Answer]:
    one = np.eye(len(matrix))
    numpys: dict[str, Solver] = {
        "inv": np.linalg.inv, "pinv": np.linalg.pinv, "solve": lambda m: np.linalg.solve(m, one),
        "lstsq": lambda m: np.linalg.lstsq(m, one, rcond=None)[0],
    }  # fmt: skip
    torches: dict[str, Solver] = {
        "inv": torch.linalg.inv, "pinv": torch.linalg.pinv,
        "solve": lambda m: torch.linalg.solve(m, torch.eye(len(m)).to(m)),
        "pinv(hermitian)": lambda m: torch.linalg.pinv(m, hermitian=True),
    }  # fmt: skip
    for function, solve in numpys.items():
        yield Answer(f"numpy.linalg.{function} of {name}", solve(matrix), known, ROUNDING)
    for function, solve in torches.items():
        yield Answer(f"torch.linalg.{function} of {name}", solve(torch.from_numpy(matrix)), known, ROUNDING)
    single = torch.linalg.inv(torch.from_numpy(matrix).float()).double()
    yield Answer(f"torch.linalg.inv of {name} in float32", single, known, SINGLE)


def factorisation() -> Iterator[Answer]:
    """L of min(i, j) is the triangle of ones; its inverse has the eigenvalues 2 - 2 cos((2 k - 1) pi / (2 n + 1))."""
    for n in SIZES:
        k = np.arange(1, n + 1)
        known = 2 - 2 * np.cos((2 * k - 1) * np.pi / (2 * n + 1))
        yield Answer(f"numpy.linalg.cholesky of {n} x {n}", np.linalg.cholesky(smaller(n)), np.tri(n), ROUNDING)
        found = np.linalg.eigvalsh(inverse_of_smaller(n))
        yield Answer(f"numpy.linalg.eigvalsh of {n} x {n}", found, known, ROUNDING)
        found = torch.linalg.eigvalsh(torch.from_numpy(inverse_of_smaller(n)))
        yield Answer(f"torch.linalg.eigvalsh of {n} x {n}", found, known, ROUNDING)


DT, STEPS, WHEELBASE = 0.1, 40, 3.0


def lqr() -> Iterator[Answer]:
    """Commands of nuPlan's tracker (its default costs, 10 steps ahead).

    Speed: the reference gains 1 m/s per second from 8 m/s, which the fit of speeds reproduces without a residual, so
    that the target is 9 m/s; the gain is 10 x 1 / (10 x 1^2 + 1), and 1.1 m/s too slow is 1 m/s^2.
    Steering: at 10 m/s a rate held for 1 s turns the wheels by 1, the car by 0.1^2 (10/3) 45 = 1.5 and moves it aside
    by 0.1^3 (100/3) 120 = 4, each per rad/s. The best rate is -(4 aside + 10 x 1.5 turned) / (4^2 + 10 x 1.5^2 + 1),
    where aside and turned are the errors after 1 s if nothing is done: an offset of 0.395 m stays; on a bend of
    0.0395/33 per metre the car, whose wheels are straight, strays by 45 and 10 times that.
    """
    gaining = np.concatenate([[0.0], np.cumsum(DT * (8.0 + DT * np.arange(STEPS)))])
    straight = np.stack([gaining, 0 * gaining, 0 * gaining], -1)
    acceleration, _ = _command(straight, (0.0, 0.0, 0.0), speed=7.9)
    yield Answer("acceleration [m/s^2] of a car 1.1 m/s too slow", acceleration, 1.0, ROUNDING)

    even = np.arange(STEPS + 1.0)  # 10 m/s
    ahead = np.stack([even, 0 * even, 0 * even], -1)
    acceleration, rate = _command(ahead, (0.0, 0.395, 0.0), speed=10.0)
    yield Answer("acceleration [m/s^2] of a car that keeps its speed", acceleration, 0.0, ROUNDING)
    yield Answer("steering rate [rad/s] of a car 0.395 m aside", rate, -0.04, ROUNDING)

    bend = 0.0395 / 33
    yaw = bend * even
    along = np.concatenate([np.zeros((1, 2)), np.cumsum(np.stack([np.cos(yaw), np.sin(yaw)], -1)[:-1], 0)])
    _, rate = _command(np.concatenate([along, yaw[:, None]], -1), (0.0, 0.0, 0.0), speed=10.0)
    yield Answer("steering rate [rad/s] into a bend", rate, 0.01, 1e-8)  # its fit leans to 0 by 1e-10 (nuPlan)


def _command(reference: np.ndarray, pose: tuple[float, float, float], speed: float) -> tuple[float, float]:
    time = DT * torch.arange(len(reference), dtype=torch.float64)
    asked = Trajectory(torch.from_numpy(reference), time)
    zero, at = torch.tensor(0.0, dtype=torch.float64), torch.tensor(pose, dtype=torch.float64)
    found = LQR().command(at, torch.tensor(speed, dtype=torch.float64), zero, asked, DT, WHEELBASE)
    return float(found[0]), float(found[1])


def savitzky_golay() -> Iterator[Answer]:
    """Weights of the filters as Savitzky and Golay (1964) printed them, and a parabola's slope, which they keep."""
    from scipy.signal import savgol_filter

    impulse = np.zeros(11)
    impulse[5] = 1
    smooth = np.array([0, 0, 0, -3, 12, 17, 12, -3, 0, 0, 0]) / 35
    slope = np.array([0, 0, 0, 2, 1, 0, -1, -2, 0, 0, 0]) / 10
    # at the ends the last whole window is fitted: an impulse at its edge has a share there, left out here
    inner = slice(2, -2)
    yield Answer("quadratic filter over 5", savgol_filter(impulse, 5, 2)[inner], smooth[inner], ROUNDING)
    yield Answer("slope over 5", savgol_filter(impulse, 5, 2, deriv=1)[inner], slope[inner], ROUNDING)
    t = DT * np.arange(41)
    for window in (5, 7, 15):
        found = savgol_filter(3 * t**2 - 2 * t + 1, window, 2, deriv=1, delta=DT)
        yield Answer(f"slope of a parabola over {window}", found, 6 * t - 2, ROUNDING)
    found = savgol_filter(t**3, 5, 3, deriv=2, delta=DT)
    yield Answer("second derivative of a cubic over 5", found, 6 * t, ROUNDING)


def on(device: str) -> Iterator[Answer]:
    """Product and inverse on a device of torch's."""
    for n in (8, 64):
        given = torch.from_numpy(hadamard(n)).to(device)
        yield Answer(f"torch's product of {n} x {n} on {device}", given @ given, n * np.eye(n))
        yield Answer(f"torch.linalg.inv of {n} x {n} on {device}", torch.linalg.inv(given), hadamard(n) / n, ROUNDING)
