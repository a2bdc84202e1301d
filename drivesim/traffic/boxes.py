"""Which oriented boxes overlap: the separating axis theorem for one pair, and for all pairs of many scenes."""

from __future__ import annotations

import numba
import numpy as np

SLACK = 64 * 2.0**-24
"""Relative to coordinates and sizes, by how much single precision may be wrong about a gap: 24 roundings, doubled."""

LANES = 16
"""Rows of boxes are cut at multiples of it, so that wide registers are always full."""


@numba.njit(error_model="numpy", _nrt=False)
def touch(
    x0, y0, cos0, sin0, half_length0, half_width0, x1, y1, cos1, sin1, half_length1, half_width1
):  # fmt: skip
    """Whether two boxes share a point: touching counts, NaN never does, as in `geometry.boxes_overlap`.

    Centre [m], direction of the length, half the length and half the width [m] of each.
    """
    dx, dy = x1 - x0, y1 - y0
    c, s = abs(cos0 * cos1 + sin0 * sin1), abs(cos0 * sin1 - sin0 * cos1)
    return (
        abs(dx * cos0 + dy * sin0) <= half_length0 + half_length1 * c + half_width1 * s
        and abs(dy * cos0 - dx * sin0) <= half_width0 + half_length1 * s + half_width1 * c
        and abs(dx * cos1 + dy * sin1) <= half_length1 + half_length0 * c + half_width0 * s
        and abs(dy * cos1 - dx * sin1) <= half_width1 + half_length0 * s + half_width0 * c
    )


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """Which boxes (T, N, 5) of T scenes overlap: bool (T, N, N), symmetric; nobody overlaps himself.

    A box is x, y [m], yaw [rad], length, width [m]; one that is not finite overlaps nobody. Exact in float64.
    """
    boxes = np.ascontiguousarray(boxes, np.float64)
    x, y, yaw, length, width = np.moveaxis(boxes, -1, 0)
    return _overlaps(np.stack([x, y, np.cos(yaw), np.sin(yaw), length / 2, width / 2], 1))


@numba.njit(cache=True, error_model="numpy")
def _overlaps(boxes):
    """boxes (T, 6, N). Single precision finds the few pairs that may overlap, double precision decides them."""
    scenes, _, n = boxes.shape
    out = np.zeros((scenes, n, n), np.bool_)
    padded = -(-n // LANES) * LANES
    single, maybe = np.empty((6, padded), np.float32), np.empty(padded, np.bool_)
    for t in range(scenes):
        box = boxes[t]
        slack = _to_single(box, single)
        for i in range(n - 1):
            one = (single[0, i], single[1, i], single[2, i], single[3, i], single[4, i], single[5, i])
            single[0, i] = np.nan  # pairs with i are done
            begin = (i + 1) // LANES * LANES
            if _find(one, single, begin, slack, maybe) == 0:
                continue
            for j in range(i + 1, n):
                if maybe[j] and touch(
                    box[0, i], box[1, i], box[2, i], box[3, i], box[4, i], box[5, i],
                    box[0, j], box[1, j], box[2, j], box[3, j], box[4, j], box[5, j],
                ):  # fmt: skip
                    out[t, i, j] = out[t, j, i] = True
    return out


@numba.njit(error_model="numpy", _nrt=False)
def _to_single(box, single):
    """Round boxes (6, N), seen from the first one that is there. Returns how far off gaps then are at most [m]."""
    x, y, far = np.nan, np.nan, 0.0
    single[0] = np.nan
    single[1:] = 0
    for i in range(box.shape[1]):
        if not np.isfinite(box[0, i] + box[1, i] + box[2, i] + box[3, i] + box[4, i] + box[5, i]):
            continue
        if np.isnan(x):
            x, y = box[0, i], box[1, i]
        single[0, i], single[1, i] = box[0, i] - x, box[1, i] - y
        far = max(far, abs(box[0, i] - x), abs(box[1, i] - y), box[4, i], box[5, i])
        for k in range(2, 6):
            single[k, i] = box[k, i]
    return np.float32(SLACK * far)


@numba.njit(error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _find(one, others, begin, slack, maybe):
    """Write down which of the others (6, n), from `begin` on, may overlap the one, returns how many."""
    x0, y0, cos0, sin0, half_length0, half_width0 = one
    # views of whole rows: of these the compiler knows that they are contiguous, and vectorises
    x, y, cos, sin = others[0][begin:], others[1][begin:], others[2][begin:], others[3][begin:]
    half_length, half_width, found = others[4][begin:], others[5][begin:], maybe[begin:]
    zero = np.float32(0)
    count = zero  # a sum of floats is vectorised as they are, one of integers would be widened to 64 bits
    for j in range(x.shape[0]):
        dx, dy = x[j] - x0, y[j] - y0
        c, s = abs(cos0 * cos[j] + sin0 * sin[j]), abs(cos0 * sin[j] - sin0 * cos[j])
        gap0 = abs(dx * cos0 + dy * sin0) - (half_length0 + half_length[j] * c + half_width[j] * s)
        gap1 = abs(dy * cos0 - dx * sin0) - (half_width0 + half_length[j] * s + half_width[j] * c)
        gap2 = abs(dx * cos[j] + dy * sin[j]) - (half_length[j] + half_length0 * c + half_width0 * s)
        gap3 = abs(dy * cos[j] - dx * sin[j]) - (half_width[j] + half_length0 * s + half_width0 * c)
        hit = (gap0 <= slack) & (gap1 <= slack) & (gap2 <= slack) & (gap3 <= slack)
        found[j] = hit
        count += np.float32(1) if hit else zero
    return count
