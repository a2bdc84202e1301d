"""What stands beside the road, for logs that have a map and recorded sweeps without classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from ..types import DT, Agents, Map, Polylines, RecordedSweep, Scenery
from .ground import Cloud, Grid, Surface
from .scenery import scenery_of

SWEEPS = 24
"""How many sweeps are read, spread evenly over the log; more change little."""


def scenery_from_sweeps(sweeps: Sequence[RecordedSweep], log: Agents, map: Map) -> Scenery:
    """Scenery around the ego's path in the `log` (T, A); none where there are no sweeps.

    Points on road users are left out. Raises what the sweeps' `read` raises.
    """
    if not sweeps:
        return Scenery.none()
    chosen = np.unique(np.linspace(0, len(sweeps) - 1, SWEEPS).round().astype(int))
    xyz = np.concatenate([_standing(sweeps[i], log) for i in chosen])
    cloud = Cloud(xyz, np.full(len(xyz), int(Surface.UNKNOWN), np.uint8))
    ego = log.xy[log.valid[:, 0], 0].double().numpy()
    return scenery_of(cloud, map.ground, _area(map.drivable), ego)


RANGE = 400.0
"""Farther than any automotive lidar sees [m]."""


def _standing(sweep: RecordedSweep, log: Agents) -> np.ndarray:
    """Points (n, 3) of a sweep that lie on no road user of that moment; what no lidar can see is left out."""
    xyz = sweep.read().numpy()
    with np.errstate(invalid="ignore"):
        xyz = xyz[(np.abs(xyz - sweep.origin.numpy()) < RANGE).all(1)]
    if not len(xyz):
        return xyz
    now = log[min(max(round(sweep.time / DT), 0), log.valid.shape[0] - 1)]
    boxes = torch.cat([now.poses, now.size[:, :2]], -1)[now.valid].double().numpy()
    grid = Grid.around(xyz[:, :2].astype(float), 1.0, 0.25)
    flat, inside = grid.index(xyz)
    return xyz[inside & ~grid.covered(boxes, 0.3).ravel()[flat]]


def _area(rings: Polylines) -> BaseGeometry:
    """The polygon that rings bound under the even-odd rule."""
    area = shapely.Polygon()
    for i in range(len(rings)):
        area = area.symmetric_difference(shapely.make_valid(shapely.Polygon(rings.line(i).double().numpy())))
    return area
