"""One parameter over many drivers: a truncated normal or lognormal law, fitted robustly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from drivesim.errors import InputError

FAMILIES = ("normal", "lognormal")

TAIL = 0.01
"""Share of the data at either end that sets the truncation: nobody is drawn more extreme than that."""


@dataclass(frozen=True)
class Distribution:
    """A normal law of the value, or of its logarithm, cut off at `least` and `most`."""

    family: str  # one of FAMILIES
    center: float  # median before the cut, in the parameter's unit
    spread: float  # standard deviation before the cut; of the logarithm where lognormal
    least: float
    most: float
    tracks: int = 0  # that it was fitted to
    ks: float = float("nan")  # Kolmogorov-Smirnov distance to them

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"family {self.family}: {' or '.join(FAMILIES)} is expected")
        if not np.isfinite([self.center, self.spread, self.least, self.most]).all() or not self.spread > 0:
            raise InputError("center, spread, least and most must be numbers, spread above 0")
        if not self.least < self.most:
            raise InputError(f"least {self.least:g} must be below most {self.most:g}")
        if not self.least > 0 or not self.center > 0:
            raise InputError("center and least must be above 0")
        low, high = ndtr(self._score(np.array([self.least, self.most])))
        if not high - low > 1e-3:
            raise InputError(f"next to nothing of the law lies between least {self.least:g} and most {self.most:g}")

    def quantile(self, share: np.ndarray | float) -> np.ndarray:
        """Values at shares in [0, 1], of any shape."""
        low, high = ndtr(self._score(np.array([self.least, self.most])))
        score = self.spread * ndtri(low + np.asarray(share) * (high - low))
        value = self.center * np.exp(score) if self.family == "lognormal" else self.center + score
        return np.clip(value, self.least, self.most)

    def share(self, value: np.ndarray | float) -> np.ndarray:
        """Share of drivers at or below `value`, of any shape: the inverse of `quantile`."""
        low, high = ndtr(self._score(np.array([self.least, self.most])))
        inside = np.clip(np.asarray(value, dtype=float), self.least, self.most)
        return (ndtr(self._score(inside)) - low) / (high - low)

    def density(self, value: np.ndarray) -> np.ndarray:
        """Per unit of the parameter; 0 beyond the cut."""
        low, high = ndtr(self._score(np.array([self.least, self.most])))
        bell = np.exp(-(self._score(value) ** 2) / 2) / (np.sqrt(2 * np.pi) * self.spread * (high - low))
        bell = bell / value if self.family == "lognormal" else bell
        return np.where((value >= self.least) & (value <= self.most), bell, 0.0)

    def _score(self, value: np.ndarray) -> np.ndarray:
        away = np.log(value / self.center) if self.family == "lognormal" else value - self.center
        return away / self.spread

    @staticmethod
    def fit(values: np.ndarray, family: str) -> Distribution:
        """To positive values (n,), at least 3 and not all alike (InputError): the quantiles from 10 % to 90 % of the
        cut law come as close as possible to those of the data, so that single wild tracks move nothing."""
        values = np.sort(np.asarray(values, dtype=float))
        if len(values) < 3 or not values[0] > 0 or not values[-1] > values[0] * (1 + 1e-6):
            raise InputError("a distribution needs three positive values or more that differ")
        least, most = np.quantile(values, [TAIL, 1 - TAIL])
        x = np.log(values) if family == "lognormal" else values
        shares = np.linspace(0.1, 0.9, 17)
        seen = np.quantile(x, shares)
        scale = max(float(np.std(x)), 1e-6)

        def law(p: np.ndarray) -> Distribution:
            center = float(np.exp(p[0])) if family == "lognormal" else float(p[0])
            return Distribution(family, center, float(np.exp(p[1])), float(least), float(most), len(values))

        def misses(p: np.ndarray) -> np.ndarray:
            told = law(p).quantile(shares)
            return ((np.log(told) if family == "lognormal" else told) - seen) / scale

        # the centre stays among the data, the spread near theirs: what lies beyond the cut is not told by them
        start, low, high = (float(np.median(x)), np.log(scale)), np.quantile(x, 0.25), np.quantile(x, 0.75)
        bounds = ([min(low, start[0] - 1e-6), np.log(scale / 10)], [max(high, start[0] + 1e-6), np.log(1.5 * scale)])
        found = law(least_squares(misses, start, bounds=bounds).x)
        return Distribution(**{**vars(found), "ks": distance(values, found)})


def distance(values: np.ndarray, law: Distribution) -> float:
    """Kolmogorov-Smirnov: largest difference between the share of the data (n,) and the law's."""
    values = np.sort(values)
    told, n = law.share(values), len(values)
    return float(max((np.arange(1, n + 1) / n - told).max(), (told - np.arange(n) / n).max()))


def likely(tracks: int) -> float:
    """Largest distance that 95 % of samples of this size keep from their own fitted normal law (Lilliefors 1967)."""
    return 0.886 / np.sqrt(tracks)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of the Gaussian copula of two parameters (n,): from Spearman's rank correlation, 2 sin(pi r / 6); 0 where chance
    explains it (|r| below 2 / sqrt(n))."""
    r = float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
    return 2 * np.sin(np.pi * r / 6) if abs(r) > 2 / np.sqrt(len(a)) else 0.0
