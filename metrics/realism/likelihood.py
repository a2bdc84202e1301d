"""How likely the logged values are under the distribution of the simulated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Histogram:
    """Equal bins from `low` to `high`; what lies beyond counts in the outermost. `pseudocount` is added to each."""

    low: float
    high: float
    bins: int
    pseudocount: float = 0.1

    def place(self, x: np.ndarray) -> np.ndarray:
        """Bin of each value; a value between two bins is in the upper one."""
        edges = np.linspace(self.low, self.high, self.bins + 1)
        return np.clip(np.searchsorted(edges, x, side="right") - 1, 0, self.bins - 1)

    def log_likelihood(self, log: np.ndarray, simulated: np.ndarray) -> np.ndarray:
        """Of each logged value (E, T) among all the simulated ones (R, E, T) of its agent, over rollouts and steps.

        Simulated values that are NaN do not count; NaN where the logged value is.
        """
        agents = len(log)
        known = ~np.isnan(simulated)
        owner = np.broadcast_to(np.arange(agents)[:, None], simulated.shape)
        index = owner[known] * self.bins + self.place(simulated[known])
        counts = np.bincount(index, minlength=agents * self.bins).reshape(agents, self.bins) + self.pseudocount
        with np.errstate(divide="ignore"):  # without a pseudocount an empty bin is impossible: -inf
            share = np.log(counts / counts.sum(-1, keepdims=True))
        out = np.take_along_axis(share, self.place(np.nan_to_num(log)), -1)
        return np.where(np.isnan(log), np.nan, out)


BERNOULLI_PSEUDOCOUNT = 0.001
"""Waymo's default, which the challenge keeps for what happens or not."""


def bernoulli(log: np.ndarray, simulated: np.ndarray, pseudocount: float = BERNOULLI_PSEUDOCOUNT) -> np.ndarray:
    """Log-likelihood (E,) of what happened to each agent or not (E,) among its rollouts (R, E), all bool."""
    same = (simulated == log).sum(0) + pseudocount
    return np.log(same / (len(simulated) + 2 * pseudocount))


def mean_likelihood(log_likelihood: np.ndarray, counts: np.ndarray) -> float:
    """exp of the mean log-likelihood over the entries that count; NaN if none does."""
    values = log_likelihood[counts & ~np.isnan(log_likelihood)]
    return float(np.exp(values.mean())) if len(values) else float("nan")
