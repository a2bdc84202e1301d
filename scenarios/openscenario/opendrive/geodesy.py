"""Latitude and longitude from the simple projections that OpenDRIVE files name."""

from __future__ import annotations

import math

from .attributes import LARGEST

_A, _F = 6378137.0, 1 / 298.257223563
"""Semi-major axis [m] and flattening of WGS 84; GRS 80 differs by 0.1 mm."""


def projection(text: str | None) -> dict[str, float] | None:
    """Parameters lat_0, lon_0 [deg], k, x_0, y_0 [m] of a proj string of +proj=tmerc or utm; None for others."""
    words = dict(part.lstrip("+").partition("=")[::2] for part in (text or "").split())
    try:
        if words.get("proj") == "utm":
            zone = int(words["zone"])
            north = 1e7 if "south" in words else 0.0
            out = {"lat_0": 0.0, "lon_0": 6.0 * zone - 183.0, "k": 0.9996, "x_0": 5e5, "y_0": north, "utm": 1.0}
        elif words.get("proj") == "tmerc":
            out = {name: float(words.get(name, 0.0)) for name in ("lat_0", "lon_0", "x_0", "y_0")}
            out["k"] = float(words.get("k", words.get("k_0", 1.0)))
        else:
            return None
    except (KeyError, ValueError):
        return None
    sane = all(abs(x) < LARGEST for x in out.values()) and out["k"] > 0 and abs(out["lat_0"]) <= 90
    return out if sane and abs(out["lon_0"]) <= 360 else None


def latitude_longitude(x: float, y: float, proj: dict[str, float]) -> tuple[float, float] | None:
    """Inverse transverse Mercator (Krueger's series to n^3, millimetres within 1000 km of the meridian), degrees.

    None where the point cannot be one of the projection: UTM eastings lie between 100 and 900 km.
    """
    if "utm" in proj and not (1e5 <= x <= 9e5 and 0 <= y <= 1e7):
        return None
    n = _F / (2 - _F)
    mean = _A / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    beta = (n / 2 - 2 * n**2 / 3 + 37 * n**3 / 96, n**2 / 48 + n**3 / 15, 17 * n**3 / 480)
    delta = (2 * n - 2 * n**2 / 3 - 2 * n**3, 7 * n**2 / 3 - 8 * n**3 / 5, 56 * n**3 / 15)
    xi = (y - proj["y_0"]) / (proj["k"] * mean) + _meridian(math.radians(proj["lat_0"]), n)
    eta = (x - proj["x_0"]) / (proj["k"] * mean)
    if abs(eta) > 1 or abs(xi) > math.pi / 2:
        return None
    xi1 = xi - sum(b * math.sin(2 * j * xi) * math.cosh(2 * j * eta) for j, b in enumerate(beta, 1))
    eta1 = eta - sum(b * math.cos(2 * j * xi) * math.sinh(2 * j * eta) for j, b in enumerate(beta, 1))
    chi = math.asin(math.sin(xi1) / math.cosh(eta1))
    latitude = chi + sum(d * math.sin(2 * j * chi) for j, d in enumerate(delta, 1))
    longitude = math.radians(proj["lon_0"]) + math.atan2(math.sinh(eta1), math.cos(xi1))
    return math.degrees(latitude), (math.degrees(longitude) + 180) % 360 - 180


def _meridian(latitude: float, n: float) -> float:
    """Rectifying latitude [rad]: the way from the equator along a meridian over the mean radius."""
    c = 2 * math.sqrt(n) / (1 + n)
    t = math.sinh(math.atanh(math.sin(latitude)) - c * math.atanh(c * math.sin(latitude))) if latitude else 0.0
    xi = math.atan(t) if abs(latitude) < math.pi / 2 else latitude
    alpha = (n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16, 13 * n**2 / 48 - 3 * n**3 / 5, 61 * n**3 / 240)
    return xi + sum(a * math.sin(2 * j * xi) for j, a in enumerate(alpha, 1))
