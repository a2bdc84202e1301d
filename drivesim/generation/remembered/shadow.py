"""Places around agents' boxes: the dark under a car, and what a car hid that has gone."""

from __future__ import annotations

import numpy as np

from .compiling import compiled

UNDER, SOFT = 0.55, 0.25
"""Share of its light that ground loses under a box, and the distance [m] at which less than half of that is left."""


HALO = 0.4
"""Around a box that an agent has left, so far [m] a photo's pixel may still show it or its shadow."""


@compiled
def darken(rgb, depth, ground, lens, box_from_camera, half):
    """Darken ground pixels (h, w) bool of rgb (h, w, 3) float32 around boxes (n, 4, 4) of half sizes (n, 2) [m]."""
    height, width = depth.shape
    reach = 4 * SOFT
    for b in range(len(box_from_camera)):
        m = box_from_camera[b]
        r0, r1, c0, c1 = _extent(m, half[b, 0] + reach, half[b, 1] + reach, lens, height, width, 0.5)
        for row in range(r0, r1):
            for column in range(c0, c1):
                if not ground[row, column]:
                    continue
                z = depth[row, column]
                x, y = (column + 0.5 - lens[2]) / lens[0] * z, (row + 0.5 - lens[3]) / lens[1] * z
                bx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
                by = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
                bz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                if abs(bz) > 0.5 or abs(bx) > half[b, 0] + reach or abs(by) > half[b, 1] + reach:
                    continue
                ox, oy = max(abs(bx) - half[b, 0] + 0.15, 0.0), max(abs(by) - half[b, 1] + 0.15, 0.0)
                off = (ox * ox + oy * oy) / (SOFT * SOFT)
                keep = np.float32(1 - UNDER * np.exp(-off))
                for c in range(3):
                    rgb[row, column, c] *= keep


@compiled
def uncover(provenance, depth, still, lens, box_from_camera, half, height_of):
    """Make holes (provenance 0) of pixels still (h, w) bool of the standing world in or closely around boxes (n, 4, 4)
    of half sizes (n, 2) and heights (n,) [m]: photos show there who stood in them."""
    height, width = depth.shape
    for b in range(len(box_from_camera)):
        m = box_from_camera[b]
        r0, r1, c0, c1 = _extent(m, half[b, 0] + HALO, half[b, 1] + HALO, lens, height, width, height_of[b] + 0.2)
        for row in range(r0, r1):
            for column in range(c0, c1):
                z = depth[row, column]
                if not still[row, column] or not z < np.inf:
                    continue
                x, y = (column + 0.5 - lens[2]) / lens[0] * z, (row + 0.5 - lens[3]) / lens[1] * z
                bx = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
                by = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
                bz = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                if abs(bx) < half[b, 0] + HALO and abs(by) < half[b, 1] + HALO and -0.4 < bz < height_of[b] + 0.2:
                    provenance[row, column] = 0


@compiled
def _extent(m, x, y, lens, height, width, top):
    """Rows and columns (ends excluded) in which the flat box of half sizes x, y and its surroundings can be seen."""
    u0, u1, v0, v1 = np.inf, -np.inf, np.inf, -np.inf
    behind = 0
    for corner in range(8):
        px, py = (x if corner & 1 else -x) - m[0, 3], (y if corner & 2 else -y) - m[1, 3]
        pz = (top if corner & 4 else -0.5) - m[2, 3]
        z = m[0, 2] * px + m[1, 2] * py + m[2, 2] * pz
        if z < 0.1:
            behind += 1
            continue
        u = (m[0, 0] * px + m[1, 0] * py + m[2, 0] * pz) / z * lens[0] + lens[2]
        v = (m[0, 1] * px + m[1, 1] * py + m[2, 1] * pz) / z * lens[1] + lens[3]
        u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    if behind == 8:
        return 0, 0, 0, 0
    if behind:
        return 0, height, 0, width
    r0, c0 = int(max(np.floor(v0), 0)), int(max(np.floor(u0), 0))
    return r0, int(min(np.ceil(v1) + 1, height)), c0, int(min(np.ceil(u1) + 1, width))
