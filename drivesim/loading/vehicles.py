"""The ego's body where a log gives its box alone."""

from __future__ import annotations

from ..types import Vehicle

WHEELBASE = 0.60
"""Wheelbase over length. Passenger cars lie between 0.57 and 0.63; the Pacifica of nuPlan has 3.089 / 5.176 = 0.597."""

FORWARD = 0.28
"""Box centre ahead of the rear axle over length; the Pacifica's 1.461 / 5.176 = 0.282."""


def vehicle_of(length: float, width: float, height: float) -> Vehicle:
    """A car of this size [m] with axles at the places usual for a passenger car."""
    return Vehicle(length, width, height, WHEELBASE * length, FORWARD * length)
