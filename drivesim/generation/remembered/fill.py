"""What nobody saw: smooth from what is around it (push-pull, Gortler et al. 1996)."""

from __future__ import annotations

import numpy as np

from .compiling import compiled


@compiled
def push_pull(values, weight):
    """Values (h, w, C) float32 where weight (h, w) is one; elsewhere, in place, what their surroundings suggest.

    Down a pyramid of means, and up again into what is still empty, bilinear. Nothing changes if all weights are zero.
    """
    height, width, channels = values.shape
    if height <= 1 and width <= 1:
        return
    h, w = (height + 1) // 2, (width + 1) // 2
    small, mass = np.zeros((h, w, channels), np.float32), np.zeros((h, w), np.float32)
    for row in range(height):
        for column in range(width):
            a = weight[row, column]
            if a > 0:
                mass[row // 2, column // 2] += a
                for c in range(channels):
                    small[row // 2, column // 2, c] += a * values[row, column, c]
    for row in range(h):
        for column in range(w):
            a = mass[row, column]
            if a > 0:
                for c in range(channels):
                    small[row, column, c] /= a
                mass[row, column] = min(a, np.float32(1))
    push_pull(small, mass)
    for row in range(height):
        r = (row - np.float32(0.5)) * np.float32(0.5)
        r0 = int(np.floor(r))
        fr = r - r0
        ra, rb = min(max(r0, 0), h - 1), min(max(r0 + 1, 0), h - 1)
        for column in range(width):
            a = weight[row, column]
            if a >= 1:
                continue
            k = (column - np.float32(0.5)) * np.float32(0.5)
            k0 = int(np.floor(k))
            fc = k - k0
            ca, cb = min(max(k0, 0), w - 1), min(max(k0 + 1, 0), w - 1)
            for c in range(channels):
                above = small[ra, ca, c] * (1 - fc) + small[ra, cb, c] * fc
                below = small[rb, ca, c] * (1 - fc) + small[rb, cb, c] * fc
                values[row, column, c] = a * values[row, column, c] + (1 - a) * (above * (1 - fr) + below * fr)
            weight[row, column] = np.float32(1)
