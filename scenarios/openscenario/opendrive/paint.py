"""What is painted on the road: lane markings and crosswalks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from drivesim.types import Marking

from .attributes import number
from .roads import Road
from .sampling import Strip

if TYPE_CHECKING:
    from .network import Network

_WHITE = {
    "solid": Marking.SOLID_WHITE, "broken": Marking.DASHED_WHITE, "solid solid": Marking.DOUBLE_WHITE,
    "solid broken": Marking.DOUBLE_WHITE, "broken solid": Marking.DOUBLE_WHITE,
    "broken broken": Marking.DASHED_WHITE, "botts dots": Marking.DASHED_WHITE,
}  # fmt: skip
"""Double lines that one side may cross are drawn as the stricter; none, curb, edge, grass and custom paint nothing."""

_YELLOW = {
    Marking.SOLID_WHITE: Marking.SOLID_YELLOW, Marking.DASHED_WHITE: Marking.DASHED_YELLOW,
    Marking.DOUBLE_WHITE: Marking.DOUBLE_YELLOW,
}  # fmt: skip


def markings(network: Network) -> list[tuple[np.ndarray, Marking]]:
    """Painted lines (n, 3) in the file's coordinates."""
    out = []
    for (road, section), strip in network.strips.items():
        for id, lane in sorted(network.roads[road].sections[section].lanes.items()):
            ends = [*(start for start, _, _ in lane.marks[1:]), math.inf]
            for (start, type, colour), end in zip(lane.marks, ends, strict=False):
                marking = _WHITE.get(type)
                line = _cut(strip, id, start, end)
                if marking is not None and line is not None:
                    out.append((line, _YELLOW[marking] if colour in ("yellow", "orange") else marking))
    return out


def _cut(strip: Strip, id: int, start: float, end: float) -> np.ndarray | None:
    """A lane's outer border between two places; None if the section holds less than 5 cm of it."""
    start, end = max(start, float(strip.s[0])), min(end, float(strip.s[-1]))
    if end - start < 0.05:
        return None
    s = np.concatenate([[start], strip.s[(strip.s > start + 1e-3) & (strip.s < end - 1e-3)], [end]])
    return np.column_stack([np.interp(s, strip.s, strip.edges[id][:, k]) for k in range(3)])


def crosswalks(network: Network) -> list[np.ndarray]:
    """Rings (n, 2) in the file's coordinates."""
    out = []
    for road in network.roads.values():
        for element in road.element.findall("objects/object"):
            if element.get("type", "").strip() == "crosswalk":
                out += [ring for ring in _outlines(road, element) if len(ring) > 2]
    return out


def _outlines(road: Road, element: Element) -> Iterator[np.ndarray]:
    s = np.array([np.clip(number(element, "s"), 0.0, road.length)])
    base = road.xyz(s, np.array([number(element, "t", 0.0)]))[0, :2]
    yaw = float(road.plan.pose(s)[2][0]) + number(element, "hdg", 0.0)
    turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    outlines = element.findall("outline") + element.findall("outlines/outline")
    for outline in outlines:
        local = [(number(c, "u"), number(c, "v")) for c in outline.findall("cornerLocal")]
        along = [(number(c, "s"), number(c, "t")) for c in outline.findall("cornerRoad")]
        if local:
            yield _open(base + np.array(local) @ turn)
        elif along:
            place = np.array(along)
            yield _open(road.xyz(np.clip(place[:, 0], 0.0, road.length), place[:, 1])[:, :2])
    half = np.array([number(element, "length", 0.0), number(element, "width", 0.0)]) / 2
    if not outlines and (half > 0).all():
        yield base + np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half @ turn


def _open(ring: np.ndarray) -> np.ndarray:
    """Without a last point that repeats the first."""
    return ring[:-1] if len(ring) > 1 and np.allclose(ring[0], ring[-1], atol=1e-3) else ring
