"""Which lane goes on into which: through sections, roads and junctions, by the ends that touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from .attributes import label, whole
from .roads import Contact, Lane, Road

Key = tuple[str, int, int]
"""Road, number of its section, id of the lane."""

Touch = tuple[Key, str, Key, str]
"""Two lanes, and which end of each ("start" or "end" of its section along s) meets the other's."""


@dataclass(frozen=True, eq=False)
class Connection:
    """A way through a junction: lanes of the incoming road and of the one they touch."""

    incoming: str
    road: str  # the connecting road; in a direct junction the linked one
    end: str  # which end of it touches, "" where the file does not say
    lanes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Junction:
    id: str
    type: str
    connections: tuple[Connection, ...]


def read_junction(element: Element) -> Junction:
    """One <junction>."""
    found = []
    for x in element.findall("connection"):
        road = x.get("connectingRoad") or x.get("linkedRoad")
        if road is None or x.get("incomingRoad") is None:
            continue  # of a virtual junction
        pairs = tuple((whole(y, "from"), whole(y, "to")) for y in x.findall("laneLink"))
        found.append(Connection(label(x, "incomingRoad"), road.strip(), x.get("contactPoint", "").strip(), pairs))
    return Junction(label(element, "id"), element.get("type", "default").strip(), tuple(found))


def successors(roads: dict[str, Road], junctions: dict[str, Junction], problems: list[str]) -> set[tuple[Key, Key]]:
    """Pairs (lane, next lane) in the direction of traffic, of lanes of all types that exist at both ends."""
    out = set()
    for a, end_a, b, end_b in _touches(roads, junctions, problems):
        one, two = _lane(roads, a), _lane(roads, b)
        if one is None or two is None:
            continue
        leaves = end_a == _exit(roads[a[0]], one)
        enters = end_b != _exit(roads[b[0]], two)
        if leaves and enters:
            out.add((a, b))
        elif not leaves and not enters:
            out.add((b, a))
    return out


def without(pairs: set[tuple[Key, Key]], dropped: Callable[[Key], bool]) -> list[tuple[Key, Key]]:
    """The pairs among lanes that are kept, with bridges over those that are not."""
    ahead: dict[Key, list[Key]] = {}
    for a, b in sorted(pairs):
        ahead.setdefault(a, []).append(b)
    out = []
    for a in sorted(x for x in ahead if not dropped(x)):
        open_, seen = list(ahead[a]), set(ahead[a])
        while open_:
            b = open_.pop()
            if not dropped(b):
                out.append((a, b))
                continue
            more = [x for x in ahead.get(b, []) if x not in seen]
            seen.update(more)
            open_ += more
    return sorted(set(out))


def _touches(roads: dict[str, Road], junctions: dict[str, Junction], problems: list[str]) -> Iterator[Touch]:
    for road in roads.values():
        for i in range(len(road.sections) - 1):
            yield from _between_sections(road, i)
        for end, contact in road.contacts.items():
            if contact.type == "junction":
                if contact.id not in junctions:
                    problems.append(f"road {road.id} leads to junction {contact.id}, which does not exist")
            elif contact.id not in roads:
                problems.append(f"road {road.id} leads to road {contact.id}, which does not exist")
            else:
                yield from _between_roads(road, end, contact, roads[contact.id])
    for junction in junctions.values():
        if junction.type == "virtual":
            problems.append(f"junction {junction.id} is a virtual one: turns off its main road are not linked")
            continue
        for connection in junction.connections:
            ends = [x for x in (connection.incoming, connection.road) if x not in roads]
            if ends:
                problems.append(f"junction {junction.id} connects road {ends[0]}, which does not exist")
            else:
                yield from _through(junction, connection, roads)


def _between_sections(road: Road, i: int) -> Iterator[Touch]:
    here, there = road.sections[i], road.sections[i + 1]
    for lane in here.lanes.values():
        onward = (lane.id,) if lane.side in there.continues else lane.successors
        for id in onward:
            yield (road.id, i, lane.id), "end", (road.id, i + 1, id), "start"
    for lane in there.lanes.values():
        for id in () if lane.side in there.continues else lane.predecessors:
            yield (road.id, i + 1, lane.id), "start", (road.id, i, id), "end"


def _between_roads(road: Road, end: str, contact: Contact, other: Road) -> Iterator[Touch]:
    meets = contact.end if contact.end in ("start", "end") else nearest_end(road, end, other)
    mine, its = _last(road, end), _last(other, meets)
    for lane in road.sections[mine].lanes.values():
        for id in lane.predecessors if end == "start" else lane.successors:
            yield (road.id, mine, lane.id), end, (other.id, its, id), meets


def _through(junction: Junction, connection: Connection, roads: dict[str, Road]) -> Iterator[Touch]:
    road, other = roads[connection.incoming], roads[connection.road]
    mine = [e for e, c in road.contacts.items() if c.type == "junction" and c.id == junction.id]
    meets = connection.end
    if meets not in ("start", "end"):
        meets = nearest_end(road, mine[0], other) if mine else nearest_end(other, "start", road)
    end = nearest_end(other, meets, road, tuple(mine))
    here, there = _last(road, end), _last(other, meets)
    for one, two in connection.lanes:
        yield (road.id, here, one), end, (other.id, there, two), meets


def nearest_end(road: Road, end: str, other: Road, among: tuple[str, ...] = ()) -> str:
    """The end of `other`, of those in `among` if any, that lies nearest to an end of `road`."""
    place = _end_xy(road, end)
    return min(among or ("start", "end"), key=lambda e: float(np.hypot(*(_end_xy(other, e) - place))))


def _end_xy(road: Road, end: str) -> np.ndarray:
    s = np.array([0.0 if end == "start" else road.length])
    return road.xyz(s, road.offset(s))[0, :2]


def _last(road: Road, end: str) -> int:
    return 0 if end == "start" else len(road.sections) - 1


def _lane(roads: dict[str, Road], key: Key) -> Lane | None:
    return roads[key[0]].sections[key[1]].lanes.get(key[2])


def _exit(road: Road, lane: Lane) -> str:
    return "end" if road.direction(lane) > 0 else "start"
