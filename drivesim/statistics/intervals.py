"""A mean with its confidence interval, over scenarios and the seeds within them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 9999
SEED = 0
"""Of the bootstrap and of sampled permutations, so that the same results give the same table."""
FEW = 20
"""Fewer scenarios than this earn a warning: with 5 to 30 clusters the cluster bootstrap's intervals are too narrow
(Cameron, Gelbach and Miller 2008), and Wilson's at 20 still reaches from 0.84 to 1 where every scenario was passed."""


@dataclass(frozen=True)
class Estimate:
    """A mean over rollouts and the interval that holds the mean over all such scenarios."""

    mean: float
    low: float  # NaN, as `high`, where one scenario alone says nothing of others
    high: float
    n: int  # rollouts
    scenarios: int
    method: str  # of the interval
    warnings: tuple[str, ...] = ()


def estimate(values: Sequence[float], scenarios: Sequence[Hashable], rate: bool | None = None) -> Estimate:
    """Mean of `values` (n,) and its 95 % interval; `scenarios` (n,) names the scenario of each.

    Rates (`is_rate` unless told) get Wilson's interval, other scores a bootstrap that draws scenarios with all their
    seeds (BCa, 9999 resamples, fixed seed). ValueError where there is nothing, or a value that is not finite.
    """
    totals, counts = by_scenario(values, scenarios)
    rate = is_rate(values) if rate is None else rate
    mean = float(totals.sum() / counts.sum())
    warnings = (few(len(counts)),) if len(counts) < FEW else ()
    if rate:
        low, high = wilson(mean, effective(totals, counts))
        method = "Wilson" if len(counts) == counts.sum() else "Wilson, sample size by the spread between scenarios"
    else:
        low, high = bootstrap(totals, counts)
        method = "bootstrap by scenario (BCa)"
        if low == high:
            warnings += ("all scenarios have the same value: the interval knows no other",)
    return Estimate(mean, low, high, int(counts.sum()), len(counts), method, warnings)


def is_rate(values: Sequence[float], unit: str = "") -> bool:
    """Whether scores are yes or no: no unit, and nothing but 0 and 1."""
    return not unit and set(map(float, values)) <= {0.0, 1.0}


def few(scenarios: int) -> str:
    return f"{scenarios} scenario{'s' * (scenarios != 1)}, fewer than {FEW}: too few to trust the interval"


def by_scenario(values: Sequence[float], scenarios: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of rollouts of each scenario, both (K,), in order of appearance."""
    if not len(values) or not np.isfinite(np.asarray(values, float)).all():
        raise ValueError("finite values are needed, at least one")
    index = {name: i for i, name in enumerate(dict.fromkeys(scenarios))}
    place = [index[name] for name in scenarios]
    return np.bincount(place, np.asarray(values, float)), np.bincount(place).astype(float)


def wilson(rate: float, n: float) -> tuple[float, float]:
    """Wilson's score interval of a rate seen in `n` trials; `n` need not be whole (Wilson 1927)."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # where all or none succeeded, the near end is the rate itself, whatever the arithmetic leaves over
    return (0.0 if rate == 0 else middle - half), (1.0 if rate == 1 else middle + half)


def effective(totals: np.ndarray, counts: np.ndarray) -> float:
    """How many independent trials the seeds within scenarios are worth, from K to n (Korn and Graubard 1998).

    n over the design effect: the variance of the rate between scenarios over that of independent trials. Where the
    rate is 0 or 1 there is no spread to learn from, and each scenario counts once.
    """
    n, k = counts.sum(), len(counts)
    rate = totals.sum() / n
    if n == k or not 0 < rate < 1:
        return float(k)
    between = k / (k - 1) * np.sum((totals - rate * counts) ** 2) / n**2 if k > 1 else math.inf
    return float(np.clip(rate * (1 - rate) / between if between > 0 else n, k, n))


def bootstrap(totals: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Interval of sum(totals) / sum(counts) if scenarios, totals and counts (K,), are drawn anew; NaN for one alone."""
    from scipy import stats

    means = totals / counts
    if len(counts) == 1:
        return math.nan, math.nan
    if np.ptp(means) <= 1e-12 * max(1.0, float(np.abs(means).max())):
        return float(means[0]), float(means[0])

    def mean(totals: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
        return totals.sum(axis) / counts.sum(axis)

    for method in ("BCa", "percentile"):  # BCa has no answer where the resamples fall on one side of the mean
        with np.errstate(all="ignore"):
            found = stats.bootstrap(
                (totals, counts), mean, paired=True, vectorized=True, n_resamples=RESAMPLES, batch=1000,
                confidence_level=CONFIDENCE, method=method, random_state=np.random.default_rng(SEED),
            ).confidence_interval  # fmt: skip
        if np.isfinite(found).all():
            break
    return float(found[0]), float(found[1])
