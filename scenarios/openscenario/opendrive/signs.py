"""Traffic lights and signs, and the lanes that they rule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from drivesim.errors import InputError
from drivesim.types import StopKind

from .attributes import number, whole
from .roads import Road

if TYPE_CHECKING:
    from .network import Network

LIGHTS = {"1000001", "1000008", "1000009", "1000010", "1000011", "1000012"}
"""Of OpenDRIVE's own catalogue: the lights that rule vehicles."""

STOP, YIELD = {"206", "R1-1"}, {"205", "R1-2"}
"""Of the German and of the United States' catalogue."""

APPROACH = 30.0
"""A light that stands at most so far [m] before a junction rules the ways into it."""


@dataclass(frozen=True, eq=False)
class Sign:
    """A light or sign over one of the map's lanes, in the world frame."""

    id: str  # as the file has it
    kind: StopKind
    lane: int  # that a light keeps from being entered; that a stop or yield sign holds up
    stop_xy: np.ndarray  # (2,) where one waits
    head: np.ndarray  # (4,) x, y, z, yaw that it shines to


@dataclass(frozen=True)
class _Use:
    """A signal, or a reference to one, on a road."""

    id: str
    kind: StopKind
    road: Road
    s: float
    ways: tuple[int, ...]  # directions of traffic along s that it rules
    lanes: tuple[tuple[int, int], ...]  # from, to; all without
    head: tuple[float, float, float, float]


def signs(network: Network, origin: np.ndarray) -> list[Sign]:
    """All lights, stop and yield signs, in the order of the roads, each lane of a light once."""
    ahead: dict[int, list[int]] = {}
    for a, b in network.successors:
        ahead.setdefault(a, []).append(b)
    out: dict[tuple[str, int], Sign] = {}
    for use in _uses(network):
        for key, lane in _ruled(network, use):
            for index, xy in _entries(network, use, key, lane, ahead):
                head = np.array(use.head) - np.append(origin, 0.0)
                out.setdefault((use.id, index), Sign(use.id, use.kind, index, xy - origin[:2], head))
    return list(out.values())


def _uses(network: Network) -> Iterator[_Use]:
    placed: dict[str, tuple[StopKind, tuple[float, float, float, float]]] = {}
    for road in network.roads.values():
        for element in road.element.findall("signals/signal"):
            kind = _kind(element)
            id = element.get("id", "").strip()
            if kind is not None:
                head = _head(road, element)
                placed[id] = kind, head
                yield _use(id, kind, road, element, head)
    for road in network.roads.values():
        for element in road.element.findall("signals/signalReference"):
            id = element.get("id", "").strip()
            if id in placed:
                yield _use(id, placed[id][0], road, element, placed[id][1])


def _use(id: str, kind: StopKind, road: Road, element: Element, head: tuple[float, float, float, float]) -> _Use:
    ways = {"+": (1,), "-": (-1,)}.get(element.get("orientation", "none").strip(), (1, -1))
    lanes = []
    for x in element.findall("validity"):
        ends = whole(x, "fromLane"), whole(x, "toLane")
        lanes.append((min(ends), max(ends)))
    return _Use(id, kind, road, float(np.clip(number(element, "s"), 0.0, road.length)), ways, tuple(lanes), head)


def _kind(element: Element) -> StopKind | None:
    type, subtype = (element.get(name, "").strip() for name in ("type", "subtype"))
    names = {type, f"{type}-{subtype}"}
    if names & LIGHTS:
        return StopKind.SIGNAL
    return StopKind.STOP_SIGN if names & STOP else StopKind.YIELD if names & YIELD else None


def _head(road: Road, element: Element) -> tuple[float, float, float, float]:
    s = np.array([np.clip(number(element, "s"), 0.0, road.length)])
    x, y, z = road.xyz(s, np.array([number(element, "t", 0.0)]))[0]
    along = float(road.plan.pose(s)[2][0]) + number(element, "hOffset", 0.0)
    yaw = along + (math.pi if element.get("orientation", "+").strip() != "-" else 0.0)
    middle = number(element, "zOffset", 0.0) + number(element, "height", 0.0) / 2
    return float(x), float(y), float(z) + middle, (yaw + math.pi) % (2 * math.pi) - math.pi


def _ruled(network: Network, use: _Use) -> Iterator[tuple[int, int]]:
    """Indices and ids of the map's lanes beside a signal that it rules."""
    number = use.road.section_at(min(use.s, use.road.length - 1e-6))
    for id, lane in sorted(use.road.sections[number].lanes.items()):
        index = network.lane_of(use.road.id, id, use.road.sections[number].start)
        valid = not use.lanes or any(a <= id <= b for a, b in use.lanes)
        if index is not None and valid and use.road.direction(lane) in use.ways:
            yield index, id


def _entries(
    network: Network, use: _Use, index: int, id: int, ahead: dict[int, list[int]]
) -> Iterator[tuple[int, np.ndarray]]:
    """The lanes that must not be entered, and where to wait."""
    line = network.path(index)[:, :2]
    inside = bool(use.road.junction)
    if use.kind == StopKind.SIGNAL and inside:
        yield index, line[0]
        return
    try:
        place = np.array(network.position(use.road.id, use.s, id)[:2])
    except InputError:
        place = line[-1]
    left = float(np.hypot(*(line[-1] - place)))
    into = [b for b in ahead.get(index, []) if network.roads[network.lane_index[b][0]].junction]
    if use.kind == StopKind.SIGNAL and into and left <= APPROACH:
        for b in into:
            yield b, place
    else:
        yield index, place
