"""Time to collision over a whole drive: how long, and how far, below a threshold (Minderhoud and Bovy 2001)."""

from __future__ import annotations

from torch import Tensor


def time_exposed(times: Tensor, threshold: float, dt: float) -> Tensor:
    """TET (...) [s]: for how long times to collision (..., T) [s] lie in 0 <= TTC < threshold; NaN and inf do not.

    Each of the steps, `dt` [s] apart, stands for one `dt`.
    """
    return ((times >= 0) & (times < threshold)).to(times).sum(-1) * dt


def time_integrated(times: Tensor, threshold: float, dt: float) -> Tensor:
    """TIT (...) [s^2]: integral of threshold - TTC over those steps."""
    below = (times >= 0) & (times < threshold)
    return (threshold - times).masked_fill(~below, 0).sum(-1) * dt
