"""Everything in a town that stands still, in town coordinates (numpy float64)."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import shapely

from . import curves
from .lanes import lay_lanes
from .lights import draw_plans, heads
from .scenery import furnish
from .streets import plan_streets
from .surface import crosswalks, paint, pave, raise_hills


class Town:
    def __init__(self, rng: np.random.Generator) -> None:
        self.crossings, self.streets = plan_streets(rng)
        self.net = lay_lanes(self.crossings, self.streets)
        self.road = pave(self.crossings, self.streets)
        self.hills = raise_hills(rng, self.road.bounds)
        self.walks = crosswalks(self.crossings, self.streets, self.road)
        self.plans = draw_plans(rng, self.crossings)
        self.heads = heads(self.crossings, self.streets, self.net, self.road)
        self.lines = paint(self.streets, self.net, yellow=bool(rng.random() < 0.6))
        self.stage = furnish(rng, self.streets, self.road, self.heads)

    @cached_property
    def slots(self) -> tuple[list[tuple[int, float]], np.ndarray]:
        """Places where a vehicle may start: (lane, arc length) and their points (n, 2)."""
        places, spots = [], []
        for i, lane in enumerate(self.net.lanes):
            if lane.street >= 0:
                s = np.arange(8.0, lane.length - 6, 4.0)
                places += [(i, float(x)) for x in s]
                spots.append(curves.at(lane.line, s))
        return places, np.concatenate(spots)

    @cached_property
    def sidewalks(self) -> dict[float, list[np.ndarray]]:
        """Closed lines around every block by their distance from the kerb [m]."""
        return {aside: self._loops(aside) for aside in (1.3, 1.8, 2.3)}

    def _loops(self, aside: float) -> list[np.ndarray]:
        wide = self.road.buffer(aside, quad_segs=8).simplify(0.05)
        rings = [r for p in shapely.get_parts(wide) for r in (p.exterior, *p.interiors)]
        return [shapely.get_coordinates(r.segmentize(1.0)) for r in rings]
