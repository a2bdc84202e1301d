"""Longitude and latitude to the metres of a UTM zone and back: the maps hold the former, the logs the latter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class TransverseMercator:
    """Krueger's series to the fourth order in the third flattening, as in Karney, "Transverse Mercator with an accuracy
    of a few nanometers" (2011), equations 7 to 36; within a micrometre over a UTM zone. Defaults: UTM north on WGS 84.
    """

    meridian: float  # central meridian [deg]
    northing: float = 0.0  # false northing [m]
    easting: float = 500_000.0  # false easting [m]
    scale: float = 0.9996  # on the central meridian
    radius: float = 6_378_137.0  # of the equator [m]
    flattening: float = 1 / 298.257223563

    def forward(self, lonlat: np.ndarray) -> np.ndarray:
        """x east, y north (n, 2) [m] of longitudes and latitudes (n, 2) [deg]."""
        turn = np.deg2rad(lonlat[:, 0] - self.meridian)
        tau = self._conformal(np.tan(np.deg2rad(lonlat[:, 1])))
        xi = np.arctan2(tau, np.cos(turn))
        eta = np.arcsinh(np.sin(turn) / np.hypot(tau, np.cos(turn)))
        place = xi + 1j * eta
        place = place + sum(a * np.sin(2 * (j + 1) * place) for j, a in enumerate(self._alpha))
        metres = self.scale * self._rectifying * place
        return np.column_stack([metres.imag + self.easting, metres.real + self.northing])

    def inverse(self, xy: np.ndarray) -> np.ndarray:
        """Longitudes and latitudes (n, 2) [deg] of places (n, 2) [m]."""
        east, north = xy[:, 0] - self.easting, xy[:, 1] - self.northing
        place = (north + 1j * east) / (self.scale * self._rectifying)
        place = place - sum(b * np.sin(2 * (j + 1) * place) for j, b in enumerate(self._beta))
        xi, eta = place.real, place.imag
        target = np.sin(xi) / np.hypot(np.sinh(eta), np.cos(xi))
        tau, squeeze = target.copy(), 1 - self._eccentricity**2
        for _ in range(5):  # Newton; three steps reach the last digit
            now = self._conformal(tau)
            slope = (1 + squeeze * tau**2) / (squeeze * np.hypot(1, tau) * np.hypot(1, now))
            tau = tau + (target - now) * slope
        turn = np.arctan2(np.sinh(eta), np.cos(xi))
        return np.column_stack([np.rad2deg(turn) + self.meridian, np.rad2deg(np.arctan(tau))])

    def _conformal(self, tau: np.ndarray) -> np.ndarray:
        """Tangent of the conformal latitude of one with tangent `tau`."""
        e = self._eccentricity
        sigma = np.sinh(e * np.arctanh(e * tau / np.hypot(1, tau)))
        return tau * np.hypot(1, sigma) - sigma * np.hypot(1, tau)

    @cached_property
    def _eccentricity(self) -> float:
        return math.sqrt(self.flattening * (2 - self.flattening))

    @cached_property
    def _third(self) -> float:
        return self.flattening / (2 - self.flattening)

    @cached_property
    def _rectifying(self) -> float:
        n = self._third
        return self.radius / (1 + n) * (1 + n**2 / 4 + n**4 / 64)

    @cached_property
    def _alpha(self) -> tuple[float, ...]:
        n = self._third
        return (
            n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16 + 41 * n**4 / 180,
            13 * n**2 / 48 - 3 * n**3 / 5 + 557 * n**4 / 1440,
            61 * n**3 / 240 - 103 * n**4 / 140,
            49561 * n**4 / 161280,
        )

    @cached_property
    def _beta(self) -> tuple[float, ...]:
        n = self._third
        return (
            n / 2 - 2 * n**2 / 3 + 37 * n**3 / 96 - n**4 / 360,
            n**2 / 48 + n**3 / 15 - 437 * n**4 / 1440,
            17 * n**3 / 480 - 37 * n**4 / 840,
            4397 * n**4 / 161280,
        )


def utm(epsg: int) -> TransverseMercator | None:
    """The zone of an EPSG code: 32601 to 32660 in the north, 32701 to 32760 in the south; None for any other."""
    for first, northing in ((32601, 0.0), (32701, 10_000_000.0)):
        if first <= epsg < first + 60:
            return TransverseMercator(6.0 * (epsg - first) - 177.0, northing)
    return None
