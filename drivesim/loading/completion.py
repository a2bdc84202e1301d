"""What a log does not say of its road, worked out, each with a confidence from 0 (a guess) to 1 (as good as given).

The confidences go into `Scenario.inferred`, so that nobody takes an inferred road for a surveyed one.
"""

from __future__ import annotations

import shapely
from shapely.geometry.base import BaseGeometry

from ..roadmap import lane_areas
from ..types import Lanes

Link = tuple[int, int]
Beside = tuple[int, int, int]


def area_from_lanes(lanes: Lanes) -> BaseGeometry:
    """The union of all lanes' areas, hairline gaps closed."""
    areas = [shapely.make_valid(shapely.Polygon(ring.double().numpy())) for ring in lane_areas(lanes)]
    return shapely.union_all(areas).buffer(0.3, join_style="mitre").buffer(-0.3, join_style="mitre")
