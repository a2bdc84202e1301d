"""Waymax's metrics (waymax 48b33d7), one score each: not marks but quantities, most of them better when lower."""

from .primitives import (
    bicycle_forward,
    bicycle_inverse,
    infeasible,
    off_route_distance,
    overlaps,
    road_edge_distance,
    wrong_way_distance,
)
from .scores import infeasibility, log_divergence, off_road, off_route, overlap, progression, wrong_way

__all__ = [
    "bicycle_forward", "bicycle_inverse", "infeasibility", "infeasible", "log_divergence", "off_road", "off_route",
    "off_route_distance", "overlap", "overlaps", "progression", "road_edge_distance", "wrong_way",
    "wrong_way_distance",
]  # fmt: skip
