"""Two planners on the same scenarios and seeds: who is better, by how much, and could it be chance."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from .intervals import CONFIDENCE, FEW, RESAMPLES, SEED, bootstrap, by_scenario, few, is_rate, wilson

ALPHA = 1 - CONFIDENCE
EXACT = 16
"""Up to so many scenarios that differ, all 2^k signs are tried; beyond, 9999 drawn ones."""

Pair = tuple[Hashable, int]
"""What two planners have in common: scenario and seed."""


@dataclass(frozen=True)
class Change:
    """A pair in which the two differ."""

    scenario: Hashable
    seed: int
    a: float
    b: float


@dataclass(frozen=True)
class Difference:
    """The first planner less the second, over the pairs that both have driven and to which the score applies."""

    a: float  # mean of the first
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int  # pairs
    scenarios: int
    interval: str  # method of the interval
    test: str  # that p is of
    more: tuple[Change, ...]  # where the first has more, largest difference first
    less: tuple[Change, ...]
    warnings: tuple[str, ...] = ()


def compare(a: Mapping[Pair, float], b: Mapping[Pair, float], rate: bool | None = None) -> Difference:
    """Compare the scores of two planners on the pairs in both; ValueError if there is none.

    One seed per scenario and rates: McNemar's exact test and Newcombe's interval. Else: permutation test that flips the
    sign of a scenario's whole difference, and the bootstrap by scenario. Two-sided.
    """
    pairs = [pair for pair in a if pair in b]
    if not pairs:
        raise ValueError("the two have no scenario and seed in common")
    first, second = (np.array([x[pair] for pair in pairs], float) for x in (a, b))
    apart = first - second
    totals, counts = by_scenario(apart, [scenario for scenario, _ in pairs])
    rate = is_rate([*first, *second]) if rate is None else rate
    if rate and len(counts) == len(pairs):
        wins, losses = int((apart > 0).sum()), int((apart < 0).sum())
        both, none = int((first * second).sum()), int(((1 - first) * (1 - second)).sum())
        p, (low, high) = mcnemar(wins, losses), newcombe(both, wins, losses, none)
        test, interval = "McNemar, exact", "Newcombe, paired rates"
    else:
        (p, test), (low, high) = sign_flip(totals), bootstrap(totals, counts)
        interval = "bootstrap by scenario (BCa)"
    order = sorted(range(len(pairs)), key=lambda i: -abs(apart[i]))
    changes = [(apart[i], Change(*pairs[i], float(first[i]), float(second[i]))) for i in order]
    return Difference(
        float(first.mean()), float(second.mean()), float(apart.mean()), low, high, p, len(pairs), len(counts),
        interval, test, tuple(c for d, c in changes if d > 0), tuple(c for d, c in changes if d < 0),
        _warnings(totals, counts, p),
    )  # fmt: skip


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p of so many pairs that flipped either way: the binomial test of a fair coin."""
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def sign_flip(differences: np.ndarray) -> tuple[float, str]:
    """Two-sided p that the sum of the scenarios' differences (K,) is 0 because either sign was as likely, and how."""
    from scipy.stats import permutation_test

    moved = differences[np.abs(differences) > 1e-12]
    if not len(moved):
        return 1.0, "sign-flip permutation by scenario, exact"
    if len(moved) == 1:
        return 1.0, "sign-flip permutation by scenario, exact"  # two signs, two sums as far from 0
    exact = len(moved) <= EXACT
    found = permutation_test(
        (moved,), lambda x, axis=-1: x.sum(axis), permutation_type="samples", vectorized=True, batch=1000,
        n_resamples=2 ** len(moved) if exact else RESAMPLES, random_state=np.random.default_rng(SEED),
    )  # fmt: skip
    how = "exact" if exact else f"{RESAMPLES} drawn"
    return float(min(found.pvalue, 1.0)), f"sign-flip permutation by scenario, {how}"


def newcombe(both: int, first: int, second: int, none: int) -> tuple[float, float]:
    """Interval of the difference of two rates over the same trials (Newcombe 1998, method 10).

    Counts of trials that both passed, only the first, only the second, none. Wilson's intervals of the two rates,
    joined by their correlation, with continuity corrected where that is positive.
    """
    n = both + first + second + none
    p1, p2 = (both + first) / n, (both + second) / n
    (l1, u1), (l2, u2) = wilson(p1, n), wilson(p2, n)
    product = (both + first) * (second + none) * (both + second) * (first + none)
    cross = both * none - first * second
    if cross > 0:
        cross = max(cross - n / 2, 0)
    phi = cross / math.sqrt(product) if product else 0.0
    side = lambda x, y: math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))  # noqa: E731
    low, high = p1 - p2 - side(p1 - l1, u2 - p2), p1 - p2 + side(u1 - p1, p2 - l2)
    return max(low, -1.0), min(high, 1.0)


def _warnings(totals: np.ndarray, counts: np.ndarray, p: float) -> tuple[str, ...]:
    """What the sample is too small for."""
    found = [few(len(counts))] if len(counts) < FEW else []
    moved = int((np.abs(totals) > 1e-12).sum())
    if 2.0 ** (1 - moved) >= ALPHA:
        told = "no scenario differs" if not moved else f"{moved} scenario{'s differ' if moved > 1 else ' differs'}"
        found.append(f"{told}: below 6 that do, no p-value can fall under {ALPHA:.2g}")
    elif p >= ALPHA and (needed := _needed(totals, counts)):
        found.append(f"not told apart from chance; a difference of this size needs some {needed} scenarios")
    return tuple(found)


def _needed(totals: np.ndarray, counts: np.ndarray) -> int:
    """Scenarios to see the difference at 95 % confidence with 80 % power, if their spread stays what it is."""
    from scipy.stats import norm

    means = totals / counts
    if abs(mean := float(means.mean())) < 1e-12:
        return 0
    z = float(norm.ppf(1 - ALPHA / 2) + norm.ppf(0.8))
    needed = (z * float(means.std(ddof=1)) / mean) ** 2
    return math.ceil(needed) if len(counts) < needed < 1e6 else 0
