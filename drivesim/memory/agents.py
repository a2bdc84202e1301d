"""Agents as surfels in their own boxes: all that the sweeps saw of each, and for vehicles its mirror image."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..types import VEHICLES, WALKERS
from . import voxels
from .patches import BEAMS, Patches, patches

FINE, COARSE = 0.05, 0.2
"""Edge of an agent's voxels [m]: 0.04 and 6 mm for each metre from which it was seen at its nearest, within these."""

MOST = 8000
"""Surfels of one agent; the least sure go."""

_ALONE = 0.25  # [m] from what was seen, a mirrored surfel is of use


def shell(xyz: np.ndarray, seat: np.ndarray, sweep: np.ndarray, kind: int) -> tuple[Patches, np.ndarray]:
    """Discs in the box frame of the points (n, 3) of one agent, and which of them are mirrored (m,).

    The points were seen from `seat` (n, 3) in sweeps number `sweep` (n,), all in the box frame. People and animals
    change shape: only the sweep with most points is kept.
    """
    if kind in WALKERS and len(xyz):
        best = np.bincount(sweep).argmax()
        xyz, seat, sweep = xyz[sweep == best], seat[sweep == best], sweep[sweep == best]
    nearest = np.percentile(np.linalg.norm(seat - xyz, axis=1), 5) if len(xyz) else 0.0
    cell = round(float(np.clip(0.04 + 0.006 * nearest, FINE, COARSE)), 2)
    found = _together(voxels.merge(xyz, seat, sweep, np.full(len(xyz), cell, np.float32)))
    if len(found.xyz) > MOST:
        found = found[np.sort(np.argsort(-found.hits, kind="stable")[:MOST])]
    seen = patches(found)
    if kind not in VEHICLES or not len(seen.xyz):
        return seen, np.zeros(len(seen.xyz), bool)
    mirror = _mirror(seen)
    return Patches.cat([seen, mirror]), np.repeat([False, True], [len(seen.xyz), len(mirror.xyz)])


def _together(found: voxels.Merged) -> voxels.Merged:
    """Without points that nothing is near: antennas, dust, what the box holds of others."""
    if len(found.xyz) < 4:
        return found[:0]
    apart = cKDTree(found.xyz).query(found.xyz, 4)[0][:, 3]
    return found[apart < np.maximum(3 * found.cell, 0.8 * BEAMS * found.range)]


def _mirror(seen: Patches) -> Patches:
    """The mirror image of what was seen, where the other side was not."""
    flip = np.array([1, -1, 1], np.float32)
    other = seen.xyz * flip
    use = cKDTree(seen.xyz).query(other)[0] > _ALONE
    return Patches(other[use], seen.normal[use] * flip, seen.radius[use], seen.flat[use], seen.hits[use])
