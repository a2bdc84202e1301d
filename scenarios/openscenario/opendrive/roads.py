"""Roads, their lane sections and lanes, as a file states them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import numpy as np

from drivesim.errors import InputError
from drivesim.types import LaneKind

from .attributes import label, length, number, whole
from .cubics import Cubics
from .curves import PlanView, read_plan_view

LONGEST = 1e6
"""Of a road [m]."""

WIDEST = 500.0
"""Of a lane [m]: plazas have been drawn as lanes."""

_CAR, _BUS, _BIKE = LaneKind.VEHICLE, LaneKind.BUS, LaneKind.BICYCLE
DRIVABLE = {
    "driving": _CAR, "entry": _CAR, "exit": _CAR, "onRamp": _CAR, "offRamp": _CAR, "connectingRamp": _CAR,
    "slipLane": _CAR, "mwyEntry": _CAR, "mwyExit": _CAR, "bidirectional": _CAR, "taxi": _CAR, "HOV": _CAR,
    "shared": _CAR, "bus": _BUS, "biking": _BIKE,
}  # fmt: skip
"""Types of lanes that become lanes."""

SURFACE = {*DRIVABLE, "parking", "stop"}
"""Types of lanes that one may drive on; `stop` is the hard shoulder of a motorway."""

_UNITS = {"m/s": 1.0, "mph": 0.44704, "km/h": 1 / 3.6, "kmh": 1 / 3.6}


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane in one section; left of the reference line ids are positive, right of it negative."""

    id: int
    type: str
    extent: Cubics  # width, or where `border` the distance of its outer border from the centre lane
    border: bool
    reversed: bool  # traffic runs against what the road's rule says
    predecessors: tuple[int, ...]
    successors: tuple[int, ...]
    marks: tuple[tuple[float, str, str], ...]  # s from which on the outer border is painted, type, colour
    speeds: tuple[tuple[float, float], ...]  # s from which on the limit [m/s] holds

    @property
    def side(self) -> int:
        return (self.id > 0) - (self.id < 0)


@dataclass(frozen=True, eq=False)
class Section:
    """Lanes between two places of a road. Where a side of it only carries the section before on, `continues` has it."""

    start: float
    end: float
    lanes: dict[int, Lane]
    continues: frozenset[int]  # sides, +1 left and -1 right

    def inner(self, id: int) -> int:
        """The lane beside a lane towards the middle of the road, 0 the middle itself."""
        return max((x for x in (0, *self.lanes) if 0 <= x * (1 if id > 0 else -1) < abs(id)), key=abs)


@dataclass(frozen=True, eq=False)
class Contact:
    """What a road's end meets."""

    type: str  # road or junction
    id: str
    end: str  # start or end of the other road, "" where the file does not say


@dataclass(frozen=True, eq=False)
class Road:
    id: str
    length: float
    junction: str  # "" outside of junctions
    right_hand: bool
    plan: PlanView
    elevation: Cubics
    superelevation: Cubics
    offset: Cubics
    sections: tuple[Section, ...]
    contacts: dict[str, Contact]  # by its own end, "start" and "end"
    limits: tuple[tuple[float, float], ...]  # s from which on the road's limit [m/s] holds
    element: Element = field(repr=False)  # for its signals and objects

    def section_at(self, s: float) -> int:
        """The section that holds s; at a border the later one."""
        starts = [x.start for x in self.sections]
        return max(int(np.searchsorted(starts, s, side="right")) - 1, 0)

    def direction(self, lane: Lane) -> int:
        """+1 where a lane's traffic runs along the reference line, -1 against it."""
        along = 1 if (lane.id < 0) == self.right_hand else -1
        return -along if lane.reversed else along

    def edges(self, section: Section, s: np.ndarray) -> dict[int, np.ndarray]:
        """Lateral place t (n,) of the outer border of every lane of a section at s (n,); of lane 0, of its middle.

        At a section's end what holds before it counts: the next one may start with a jump.
        """
        s = np.minimum(s, max(section.end - 1e-7, section.start))
        out = {0: self.offset(s)}
        for side in (1, -1):
            inner = out[0]
            for id in sorted((i for i in section.lanes if i * side > 0), key=abs):
                lane = section.lanes[id]
                reach = np.abs(lane.extent(s)) if lane.border else np.maximum(lane.extent(s), 0.0)
                inner = out[0] + side * reach if lane.border else inner + side * reach
                if not (np.abs(inner) < WIDEST).all():
                    raise InputError(f"lane {id} at s = {section.start:g} m reaches beyond {WIDEST:g} m")
                out[id] = inner
        return out

    def xyz(self, s: np.ndarray, *t: np.ndarray) -> np.ndarray:
        """Points (n, 3) at s (n,) and lateral t (n,), on the banked road; (k, n, 3) for k of them."""
        x, y, yaw = self.plan.pose(s)
        bank, height = self.superelevation(s), self.elevation(s)
        left = np.column_stack([-np.sin(yaw) * np.cos(bank), np.cos(yaw) * np.cos(bank), np.sin(bank)])
        points = np.column_stack([x, y, height]) + np.stack(t)[..., None] * left
        return points[0] if len(t) == 1 else points


def read_road(element: Element, problems: list[str]) -> Road:
    """One <road>; InputError where it has no usable geometry or lanes."""
    span = length(element, "length")
    if not 0 < span <= LONGEST:
        raise InputError(f"is {span:g} m long; at most {LONGEST:g} m are read")
    lanes = element.find("lanes")
    if lanes is None:
        raise InputError("has no lanes")
    profile = element.find("lateralProfile")
    if profile is not None and (profile.find("shape") is not None or profile.find("crossfall") is not None):
        problems.append("its crossfall or shape is not read: the road is flat or banked across")
    junction = element.get("junction", "-1").strip()
    plan = read_plan_view(element.find("planView"), problems)
    drawn = plan.pieces[-1].s + plan.pieces[-1].length
    if abs(drawn - span) > 0.1:
        problems.append(f"is said to be {span:.2f} m long, its reference line {drawn:.2f} m")
    span = min(span, drawn)  # a road goes as far as it is drawn
    return Road(
        id=label(element, "id"), length=span, junction="" if junction in ("-1", "") else junction,
        right_hand=element.get("rule", "RHT") != "LHT", plan=plan,
        elevation=Cubics.read(element.findall("elevationProfile/elevation")),
        superelevation=Cubics.read(element.findall("lateralProfile/superelevation")),
        offset=Cubics.read(lanes.findall("laneOffset")),
        sections=_sections(lanes, span), contacts=_contacts(element),
        limits=tuple(sorted((number(x, "s", 0.0), _speed(x.find("speed"))) for x in element.findall("type"))),
        element=element,
    )  # fmt: skip


def _sections(lanes: Element, span: float) -> tuple[Section, ...]:
    records = sorted(lanes.findall("laneSection"), key=lambda x: number(x, "s"))
    records = [x for x in records if number(x, "s") < span]
    if not records:
        raise InputError("has no lane section")
    starts = [max(number(x, "s"), 0.0) for x in records]
    starts[0] = 0.0
    out: list[Section] = []
    for record, start, end in zip(records, starts, [*starts[1:], span], strict=True):
        sides = {side: record.find(name) for side, name in ((1, "left"), (-1, "right"))}
        single = record.get("singleSide", "false").strip() in ("true", "1")
        kept = frozenset(side for side, x in sides.items() if x is None and single and out)
        found = [record.find("center"), *(x for x in sides.values() if x is not None)]
        read = [_lane(x, number(record, "s")) for group in found if group is not None for x in group.findall("lane")]
        read += [x for x in (out[-1].lanes.values() if out else ()) if x.side in kept]
        lanes_here = {lane.id: lane for lane in read}
        if len(lanes_here) < len(read):
            raise InputError(f"the lane section at s = {start:g} m has two lanes of the same id")
        out.append(Section(start, end, lanes_here, kept))
    return tuple(x for x in out if x.end > x.start)


def _lane(element: Element, base: float) -> Lane:
    widths, borders = element.findall("width"), element.findall("border")
    link = element.find("link")
    ends = [
        tuple(whole(x, "id") for x in (link.findall(name) if link is not None else ()))
        for name in ("predecessor", "successor")
    ]
    marks = [
        (base + number(x, "sOffset", 0.0), x.get("type", "none").strip(), x.get("color", "standard").strip())
        for x in element.findall("roadMark")
    ]
    speeds = [(base + number(x, "sOffset", 0.0), _speed(x)) for x in element.findall("speed")]
    return Lane(
        id=whole(element, "id"), type=element.get("type", "none").strip(),
        extent=Cubics.read(widths or borders, "sOffset", base), border=bool(borders and not widths),
        reversed=element.get("direction", "standard") == "reversed", predecessors=ends[0], successors=ends[1],
        marks=tuple(sorted(marks)), speeds=tuple(sorted(speeds)),
    )  # fmt: skip


def _speed(element: Element | None) -> float:
    """A limit [m/s]; NaN where there is none or it is no number."""
    if element is None:
        return math.nan
    try:
        value = float(element.get("max", "")) * _UNITS[element.get("unit", "m/s").strip() or "m/s"]
    except (ValueError, KeyError):
        return math.nan  # "no limit", "undefined"
    return value if 0 < value < 200 else math.nan


def _contacts(element: Element) -> dict[str, Contact]:
    out = {}
    for end, name in (("start", "predecessor"), ("end", "successor")):
        link = element.find(f"link/{name}")
        if link is not None:
            other = link.get("contactPoint", "").strip()
            out[end] = Contact(link.get("elementType", "road").strip(), label(link, "elementId"), other)
    return out


def speed_limit(road: Road, section: Section, lane: Lane) -> float:
    """The limit [m/s] in the middle of a lane: its own, else the road's; NaN where neither says."""
    middle = (section.start + section.end) / 2
    for limits in (lane.speeds, road.limits):
        holding = [limit for start, limit in limits if start <= middle]
        if holding and not math.isnan(holding[-1]):
            return holding[-1]
    return math.nan
