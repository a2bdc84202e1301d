"""From sub-scores to PDMS and EPDMS: NAVSIM's arithmetic, as pure functions of numbers and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy import ndarray as Array

PDMS_MULTIPLIERS = ("NC", "DAC")
PDMS_WEIGHTS: Mapping[str, float] = {"TTC": 5.0, "EP": 5.0, "C": 2.0, "DDC": 0.0}
"""Of NAVSIM v1.1 (3e8291b)."""
EPDMS_MULTIPLIERS = ("NC", "DAC", "DDC", "TLC")
EPDMS_WEIGHTS: Mapping[str, float] = {"EP": 5.0, "TTC": 5.0, "LK": 2.0, "HC": 2.0, "EC": 2.0}
"""Of NAVSIM v2 (0a380a9)."""
LEAST_PROGRESS = 5.0
"""Below it progress is not compared [m] (NAVSIM)."""
SPREAD = 0.1
"""Square of the width of the kernel that weighs second stages [m^2] (NAVSIM v2)."""


def pdms(parts: Mapping[str, float | Array]) -> float | Array:
    """NC x DAC x (5 TTC + 5 EP + 2 C + 0 DDC) / 12. DDC may be left out."""
    return _product_of_mean({"DDC": 1.0, **parts}, PDMS_MULTIPLIERS, PDMS_WEIGHTS)


def epdms(parts: Mapping[str, float | Array]) -> float | Array:
    """NC x DAC x DDC x TLC x (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16.

    Parts that are left out, or NaN, do not count, nor does their weight: EC where there is no second plan.
    """
    return _product_of_mean(parts, EPDMS_MULTIPLIERS, EPDMS_WEIGHTS)


def _product_of_mean(
    parts: Mapping[str, float | Array], multipliers: Sequence[str], weights: Mapping[str, float]
) -> float | Array:
    unknown = set(parts) - set(multipliers) - set(weights)
    if unknown:
        raise ValueError(f"parts {', '.join(sorted(unknown))} are not known; {[*multipliers, *weights]} are")
    there = {name: value for name, value in parts.items() if not np.all(np.isnan(value))}
    missing = [name for name in multipliers if name not in there]
    total = sum(weights[name] for name in there if name in weights)
    if missing or total == 0:
        raise ValueError(f"without {', '.join(missing or weights)} there is no score")
    product: float | Array = 1.0
    for name in multipliers:
        product = product * there[name]
    return product * sum(weights[name] * there[name] for name in there if name in weights) / total


def progress_v1(raw: Array, product: Array) -> Array:
    """EP (N,) of proposals compared with each other, from progress (N,) [m] and their product of multipliers (N,).

    Both by the product: share of the best; where that is 5 m or less, 1, and 0 for a product of 0 (NAVSIM v1.1).
    """
    made = np.asarray(raw, np.float64) * product
    best = made.max()
    return made / best if best > LEAST_PROGRESS else np.where(np.asarray(product) == 0, 0.0, 1.0)


def progress_v2(raw: Array, product: Array) -> Array:
    """EP (N,) as in NAVSIM v2: progress over the best product of progress and multipliers, at most 1; 1 where that is
    5 m or less."""
    best = (np.asarray(raw, np.float64) * product).max()
    return np.clip(np.asarray(raw) / best, 0.0, 1.0) if best > LEAST_PROGRESS else np.ones(len(raw))


def human_filter(parts: Mapping[str, float], human: Mapping[str, float]) -> dict[str, float]:
    """Parts, 1 where the human's own is 0; on recorded frames only, before anything is multiplied (NAVSIM #151)."""
    return {name: 1.0 if human.get(name) == 0 and not np.isnan(value) else value for name, value in parts.items()}


def mean_of_products(frames: Sequence[Mapping[str, float]], score=epdms) -> float:
    """The score of many frames: multiplied first, then averaged. Sub-scores averaged first give another number."""
    if not len(frames):
        raise ValueError("no frame to average over")
    return float(np.mean([score(parts) for parts in frames]))


def stage_weights(end: Array, starts: Array) -> Array:
    """Weights (M,) of second stages that start at (M, 2), of a first-stage plan that ends at (2,) [m].

    exp(-d^2 / (2 x 0.1)), normalised; uniform where the sum vanishes (NAVSIM v2).
    """
    starts = np.asarray(starts, np.float64).reshape(-1, 2)
    if not len(starts):
        raise ValueError("no second stage to weigh")
    weights = np.exp(-((starts - np.asarray(end, np.float64)) ** 2).sum(-1) / (2 * SPREAD))
    total = weights.sum()
    return np.full(len(weights), 1 / len(weights)) if np.isclose(total, 0) or np.isnan(total) else weights / total


def two_stage(first: float, end: Array, starts: Array, second: Array) -> float:
    """First-stage score times the weighted mean of second-stage scores (M,)."""
    return float(first * (stage_weights(end, starts) * np.asarray(second, np.float64)).sum())


def pseudo_simulation(groups: Sequence[Sequence[float]]) -> float:
    """NAVSIM v2's two-stage EPDMS: each group is the `two_stage` of a frame and of its predecessor 0.5 s earlier, which
    are averaged, then the groups."""
    if not len(groups) or not all(len(group) for group in groups):
        raise ValueError("no group to average over, or an empty one")
    return float(np.mean([np.mean(group) for group in groups]))
