"""Lanes on the streets, connectors through the crossings, and where the connectors get in each other's way."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import curves
from .streets import CROSSWALK, Crossing, Street

APART = 3.05
"""Centre lines closer than this hinder each other: two vehicles' half widths and a margin [m]."""


@dataclass
class Lane:
    line: np.ndarray  # (n, 2)
    width: float
    limit: float  # [m/s]
    street: int = -1  # -1 for a connector
    forward: bool = True  # along its street's line
    place: int = 0  # 0 is the leftmost of its direction
    crossing: int = -1  # of a connector
    arm: int = -1  # that a connector comes from
    exit: int = -1  # arm that a connector leads to
    turn: str = ""  # of a connector: left, straight or right
    successors: list[int] = field(default_factory=list)

    @cached_property
    def length(self) -> float:
        return float(curves.lengths(self.line)[-1])


@dataclass
class Network:
    lanes: list[Lane]
    conflicts: dict[int, dict[int, tuple[float, float]]]  # connector -> other -> interval on the first [m]
    parting: dict[int, dict[int, float]]  # connector -> sibling -> arc length at which they are apart [m]
    inbound: dict[tuple[int, int], list[int]]  # (crossing, arm) -> lanes that end there, leftmost first
    outbound: dict[tuple[int, int], list[int]]  # (crossing, arm) -> lanes that start there

    def connectors(self) -> list[int]:
        return [i for i, lane in enumerate(self.lanes) if lane.crossing >= 0]


def lay_lanes(crossings: list[Crossing], streets: list[Street]) -> Network:
    net = Network([], {}, {}, {}, {})
    for index, street in enumerate(streets):
        centre = curves.cut(street.line, *street.span, 2.0)
        for forward in (True, False):
            for k in range(street.lanes):
                line = curves.shift(centre, -(k + 0.5) * street.width * (1 if forward else -1))
                line = line if forward else line[::-1].copy()
                net.lanes.append(Lane(line, street.width, street.limit, index, forward, k))
    for number, crossing in enumerate(crossings):
        for arm, (s, starts) in crossing.arms.items():
            mine = [i for i, lane in enumerate(net.lanes) if lane.street == s]
            net.outbound[number, arm] = [i for i in mine if net.lanes[i].forward == starts]
            net.inbound[number, arm] = [i for i in mine if net.lanes[i].forward != starts]
        _connect(net, number, crossing)
        _find_conflicts(net, number)
    return net


def _connect(net: Network, number: int, crossing: Crossing) -> None:
    for arm in crossing.arms:
        sources = net.inbound[number, arm]
        for turn, quarter in (("left", 3), ("straight", 2), ("right", 1)):
            target = (arm + quarter) % 4
            if target not in crossing.arms:
                continue
            exits = net.outbound[number, target]
            for a, b in _pairs(turn, sources, exits):
                start, end = net.lanes[a].line, net.lanes[b].line
                line = curves.blend(start[-1], curves.yaws(start)[-1], end[0], curves.yaws(end)[0], 1.0)
                lane = Lane(
                    line,
                    net.lanes[a].width,
                    net.lanes[a].limit,
                    crossing=number,
                    arm=arm,
                    exit=target,
                    turn=turn,
                )
                lane.successors.append(b)
                net.lanes[a].successors.append(len(net.lanes))
                net.lanes.append(lane)


def _pairs(turn: str, sources: list[int], exits: list[int]) -> list[tuple[int, int]]:
    """Left from the leftmost lane, right from the rightmost, straight on from each."""
    if turn == "left":
        return [(sources[0], exits[0])]
    if turn == "right":
        return [(sources[-1], exits[-1])]
    return list(zip(sources, exits, strict=False))


def _find_conflicts(net: Network, number: int) -> None:
    """Intervals in which two connectors run closer than `APART`, and where those from one lane part."""
    mine = [i for i in net.connectors() if net.lanes[i].crossing == number]
    source = {c: i for i, lane in enumerate(net.lanes) for c in lane.successors if c in mine}
    for a in mine:
        net.conflicts[a], net.parting[a] = {}, {}
        line = net.lanes[a].line
        for b in mine:
            if a == b:
                continue
            close = np.hypot(*(line[:, None] - net.lanes[b].line[None]).transpose(2, 0, 1)).min(1) < APART
            if not close.any():
                continue
            s = curves.lengths(line)[close]
            if source[a] == source[b]:
                net.parting[a][b] = float(s.max()) + 1.0
            else:
                net.conflicts[a][b] = (float(s.min()) - 1.0, float(s.max()) + 1.0)


def neighbours(net: Network) -> list[tuple[int, int, int]]:
    """(lane, other, side) of the lanes beside each other in one direction; side +1 is left."""
    by_place = {(lane.street, lane.forward, lane.place): i for i, lane in enumerate(net.lanes) if lane.street >= 0}
    out = []
    for (street, forward, place), i in by_place.items():
        for other, side in ((place - 1, 1), (place + 1, -1)):
            if (street, forward, other) in by_place:
                out.append((i, by_place[street, forward, other], side))
    return out


def crosswalk_on(net: Network, connector: int) -> tuple[float, float]:
    """Arc lengths on a connector between which it runs over the crosswalk of the arm it leads to [m]."""
    length = net.lanes[connector].length
    return length - CROSSWALK[1], length - CROSSWALK[0]
