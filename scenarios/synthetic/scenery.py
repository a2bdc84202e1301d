"""What stands beside the streets: houses, trees, lamps, signs and the poles of the lights."""

from __future__ import annotations

import numpy as np
import shapely

from drivesim.types import Prop

from . import curves
from .houses import Site, Stage, build_row, close_view
from .streets import Street


def furnish(
    rng: np.random.Generator, streets: list[Street], road: shapely.Geometry, heads: dict[int, np.ndarray]
) -> Stage:
    site = Site(rng, road)
    for street in streets:
        storeys = rng.uniform(2.0, 4.0) * (1.6 if street.lanes > 1 else 1.0)  # usual in this street
        for side in (-1, 1):
            build_row(site, street, side, storeys)
    for street in streets:
        if street.b is None:
            close_view(site, street)
    _plant_courtyards(site)
    for street in streets:
        for side in (-1, 1):
            _line_kerb(site, street, side)
    for x, y, height, yaw in sorted({tuple(head) for head in heads.values()}):
        back = curves.direction(yaw + np.pi) * 0.25
        site.stage.put(Prop.POLE, np.array([x, y]) + back, yaw, 0.16, height + 0.5)
    return site.stage


def _plant_courtyards(site: Site) -> None:
    """Trees where nothing else stands."""
    low_x, low_y, high_x, high_y = site.kept.bounds
    spots = site.rng.uniform([low_x, low_y], [high_x, high_y], (300, 2))
    spots = spots[~shapely.contains_xy(site.kept, spots[:, 0], spots[:, 1])]
    crowded = shapely.STRtree(site.taken).query(shapely.points(spots), predicate="dwithin", distance=3.0)[0]
    for spot in np.delete(spots, np.unique(crowded), 0)[:120]:
        site.tree(spot)


def _line_kerb(site: Site, street: Street, side: int) -> None:
    """Street trees, lamps and signs between the crossings."""
    rng, (low, high) = site.rng, street.span
    if rng.random() < 0.6:
        for s in np.arange(low + 5.0, high - 6.0, rng.uniform(8, 14)):
            if rng.random() < 0.85:
                _at_kerb(site, street, side, s, Prop.TREE, rng.uniform(1.9, 2.9), rng.uniform(4.8, 7.5))
    for s in np.arange(low + (7 if side < 0 else 19), high - 3, 26.0):
        _at_kerb(site, street, side, s, Prop.LAMP, 0.18, 6.5)
    for s in rng.uniform(low + 4, high - 4, int(rng.integers(0, 3))):
        _at_kerb(site, street, side, s, Prop.SIGN, 0.7, 2.6)


def _at_kerb(site: Site, street: Street, side: int, s: float, prop: Prop, width: float, height: float) -> None:
    place, yaw = street.pose(s, side * (street.edge(side, s) + 0.65))
    if not shapely.contains_xy(site.road, *place):
        faces = yaw + (np.pi if side < 0 else 0.0)  # signs face the traffic of their side
        site.stage.put(prop, place, faces, width, height)
