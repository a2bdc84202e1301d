"""What traffic signs mean for lanelets: limits, stops and yields. Signs are told by the ids of their country."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from drivesim.types import StopKind

from .elements import text

LIMIT = {"274", "274.1", "R2-1", "r301", "3.24", "R15", "C43", "B14", "B31", "\u03a1-32"}
"""Germany and the made-up Zamunda (and 274 in whatever country), USA, Spain, Russia, Argentina, Belgium, France,
Croatia, Greece (its R is a rho)."""
KINDS = {
    **dict.fromkeys(("206", "R1-1", "r2"), StopKind.STOP_SIGN),
    **dict.fromkeys(("205", "R1-2", "r1"), StopKind.YIELD),
}


@dataclass(frozen=True)
class Sign:
    limit: float = math.nan  # [m/s]
    kind: StopKind | None = None


def read_signs(root: Element) -> dict[str, Sign]:
    """By id. A limit's additional value is in m/s in every country, as CommonRoad's own rule checkers take it."""
    signs = {}
    for element in root.findall("trafficSign"):
        limit, kind = math.nan, None
        for part in element.findall("trafficSignElement"):
            name = text(part, "trafficSignID")
            if name in LIMIT:
                limit = _speed(text(part, "additionalValue"))
            kind = KINDS.get(name, kind)
        signs[(element.get("id") or "").strip()] = Sign(limit, kind)
    return signs


def _speed(value: str) -> float:
    try:
        speed = float(value)
    except ValueError:
        return math.nan
    return speed if 0 < speed < 100 else math.nan
