"""Where on earth a city frame lies.

City coordinates are UTM easting and northing less those of the city's origin (av2-api, `geometry/utm.py`, whose
origins and zones these are). Near the origin that is a turn by the meridian convergence and a change of scale.
"""

from __future__ import annotations

import math

import numpy as np

from drivesim.types import Place

ORIGINS = {
    "ATX": (30.27464237939507, -97.7404457407424, 14),
    "DTW": (42.29993066912924, -83.17555750783717, 17),
    "MIA": (25.77452579915163, -80.19656914449405, 17),
    "PAO": (37.416065, -122.13571963362166, 10),
    "PIT": (40.44177902989321, -80.01294377242584, 17),
    "WDC": (38.889377, -77.0355047439081, 18),
}
"""Latitude, longitude [deg] and UTM zone (north)."""

NAMES = {
    "ATX": "Austin", "DTW": "Dearborn", "MIA": "Miami", "PAO": "Palo Alto", "PIT": "Pittsburgh", "WDC": "Washington DC",
}  # fmt: skip
_CODES = {name.lower().replace(" ", "-"): code for code, name in NAMES.items()} | {"detroit": "DTW"}

_A, _E2 = 6_378_137.0, 0.00669437999014  # WGS84: semi-major axis [m], eccentricity squared
_K0 = 0.9996  # UTM's scale on its central meridian


def place_of(city: str, xy: np.ndarray) -> Place:
    """Place of a point (2,) of a city frame; `city` is a code (PIT) or a name (pittsburgh). Off by less than
    a metre within 10 km of the origin; an unknown city has its name alone."""
    code = _CODES.get(city.strip().lower().replace(" ", "-").replace("_", "-"), city.strip().upper())
    if code not in ORIGINS:
        return Place(city)
    latitude, longitude, zone = ORIGINS[code]
    phi, off = math.radians(latitude), math.radians(longitude - (6 * zone - 183))
    bend = 1 - _E2 * math.sin(phi) ** 2
    normal, meridian = _A / math.sqrt(bend), _A * (1 - _E2) / bend**1.5  # radii of curvature [m]
    scale = _K0 * (1 + (off * math.cos(phi)) ** 2 * normal / (2 * meridian))
    turn = math.atan(math.tan(off) * math.sin(phi))
    east, north = float(xy[0]) / scale, float(xy[1]) / scale
    east, north = (
        east * math.cos(turn) + north * math.sin(turn),
        north * math.cos(turn) - east * math.sin(turn),
    )
    # half the change of the parallels' length on the way north, and their bend
    latitude += math.degrees(north / meridian - east**2 * math.tan(phi) / (2 * meridian * normal))
    longitude += math.degrees(east / (normal * math.cos(phi)) * (1 + north * math.tan(phi) / normal))
    return Place(NAMES[code], latitude, longitude)
