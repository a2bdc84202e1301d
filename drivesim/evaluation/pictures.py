"""How far two pictures differ, over all pixels or within a region. Pictures are (h, w, 3) uint8."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

PEAK = 255.0

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
"""SSIM's constants (Wang, Bovik, Sheikh and Simoncelli 2004): a Gaussian of 11 x 11 px, and what steadies it."""

LEAST = 64  # pixels of a region without which it is not judged: less is noise


def squared_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(h, w) float64, the mean of the three channels' squares, in 8-bit steps."""
    return ((a.astype(np.float64) - b) ** 2).mean(-1)


def psnr(mean_square: float) -> float:
    """[dB] of a mean squared error in 8-bit steps; inf for none, NaN for NaN."""
    return float(10 * np.log10(PEAK**2 / mean_square)) if mean_square > 0 else np.inf + mean_square


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(h, w) float64: the structural similarity of the window around each pixel, mean of the three channels.

    NaN within half a window of the rim, where the window is not whole.
    """
    one, other = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _blurred(one), _blurred(other)
    aa, bb, ab = _blurred(one * one), _blurred(other * other), _blurred(one * other)
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    product = mean_a * mean_b
    square = mean_a**2 + mean_b**2
    similar = (2 * product + c1) * (2 * (ab - product) + c2) / ((square + c1) * (aa + bb - square + c2))
    out = np.full(similar.shape[:2], np.nan)
    r = WINDOW // 2
    out[r:-r, r:-r] = similar[r:-r, r:-r].mean(-1)
    return out


def within(values: np.ndarray, region: np.ndarray | None = None, least: int = LEAST) -> float:
    """Mean of values (h, w) over a region (h, w) bool, where they are numbers; NaN if it has fewer than `least`."""
    known = np.isfinite(values) if region is None else region & np.isfinite(values)
    return float(values[known].mean()) if known.sum() >= least else np.nan


def _gauss() -> np.ndarray:
    x = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(x**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def _blurred(image: np.ndarray) -> np.ndarray:
    return correlate1d(correlate1d(image, _gauss(), 0), _gauss(), 1)
