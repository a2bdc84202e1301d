"""How nuPlan makes one number of many: parts to a score, scores to a benchmark. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping


def weighted(parts: Mapping[str, float | None], weights: Mapping[str, float], multipliers: Iterable[str] = ()) -> float:
    """The product of the `multipliers` times the weighted mean of the other parts (nuPlan e924167).

    Parts that are None or NaN do not apply and are left out; `weights` may give a `default` (else 1). NaN where no part
    is left for the mean (nuPlan says 0).
    """
    multipliers = set(multipliers)
    there = {name: value for name, value in parts.items() if value is not None and not math.isnan(value)}
    mean = {name: value for name, value in there.items() if name not in multipliers}
    weight = {name: weights.get(name, weights.get("default", 1.0)) for name in mean}
    if sum(weight.values()) <= 0:
        return math.nan
    product = math.prod(there[name] for name in there if name in multipliers)
    return product * math.fsum(weight[name] * mean[name] for name in mean) / math.fsum(weight.values())


def by_type(scores: Iterable[tuple[str, float]]) -> dict[str, tuple[float, int]]:
    """Mean score and number of scenarios of each type, from (type, score) pairs, in order of appearance."""
    groups: dict[str, list[float]] = {}
    for kind, score in scores:
        if math.isnan(score):
            raise ValueError(f"a scenario of type {kind!r} has no score: leave it out and say how many there were")
        groups.setdefault(kind, []).append(score)
    return {kind: (math.fsum(values) / len(values), len(values)) for kind, values in groups.items()}


def overall(types: Mapping[str, tuple[float, int]]) -> float:
    """The benchmark's score: the types' means weighted by their counts, which is the mean over all scenarios."""
    count = sum(n for _, n in types.values())
    return math.fsum(mean * n for mean, n in types.values()) / count if count else math.nan
