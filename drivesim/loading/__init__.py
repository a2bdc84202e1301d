"""From what a log says to the nouns: tracks to agents, shapes to rings, driven paths to lanes and a route.

Shared by the scenario sources, so that every format is resampled, typed, completed and routed in the same way.
"""

from .completion import area_from_edges, area_from_lanes, infer_links, infer_neighbours, infer_widths, support
from .compose import compose
from .fingerprints import fingerprint
from .heights import ground_from_points
from .lamps import signals_at
from .lanes import lanes_from_paths, make_lanes, rings
from .paths import measured, resample
from .route import command_of, route_along, route_length
from .sanity import check
from .tracks import Track, assemble
from .vehicles import vehicle_of

__all__ = [
    "Track",
    "area_from_edges",
    "area_from_lanes",
    "assemble",
    "check",
    "command_of",
    "compose",
    "fingerprint",
    "ground_from_points",
    "infer_links",
    "infer_neighbours",
    "infer_widths",
    "lanes_from_paths",
    "make_lanes",
    "measured",
    "resample",
    "rings",
    "route_along",
    "route_length",
    "signals_at",
    "support",
    "vehicle_of",
]
