"""Traffic lights and their cycles as Signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from drivesim.loading import signals_at
from drivesim.types import Light, Signals

from .elements import number, references, text
from .lanelets import Lanelet
from .roads import WAYS_ON, Roads

_COLOURS = {"green": Light.GREEN, "yellow": Light.YELLOW, "red": Light.RED, "redYellow": Light.RED}
_WAYS = {
    "left": {"left"}, "straight": {"straight"}, "right": {"right"}, "leftStraight": {"left", "straight"},
    "straightRight": {"straight", "right"}, "leftRight": {"left", "right"},
}  # fmt: skip
LONGEST = 10_000_000
"""Steps of a cycle; more is no traffic light."""
TURN = np.deg2rad(30)


@dataclass(frozen=True, eq=False)
class TrafficLight:
    ways: frozenset[str]  # which turns it rules
    ends: np.ndarray  # (n,) steps from the cycle's start at which its phases end
    colours: tuple[Light, ...]
    offset: float  # steps at which the first phase starts

    def at(self, steps: np.ndarray) -> np.ndarray:
        """States at steps of the file."""
        if not len(self.ends):
            return np.full(len(steps), int(Light.UNKNOWN))
        clock = np.floor(steps + 1e-6) - self.offset
        phase = np.searchsorted(self.ends, clock % self.ends[-1], side="right")
        return np.array([int(c) for c in self.colours])[np.minimum(phase, len(self.ends) - 1)]


def read_signals(root: Element, roads: Roads, file_steps: np.ndarray, problems: list[str]) -> Signals:
    """Signals of the lanes behind each light at our steps, given as (fractional) steps (T,) of the file."""
    lights = {}
    for element in root.findall("trafficLight"):
        name = (element.get("id") or "").strip()
        try:
            lights[name] = _light(element)
        except ValueError as error:
            problems.append(f"traffic light {name} left out: {error}")
    turns = _turns(root)
    ruled: dict[tuple[int, int], TrafficLight] = {}  # the lane before and the lane behind
    for before, behind in roads.map.lanes.successors.tolist():
        lanelet = roads.lanelets[before]
        named = {*lanelet.lights, *(lanelet.stop.lights if lanelet.stop else ())}
        way = _way(lanelet, roads.lanelets[behind], turns)
        own = [lights[name] for name in sorted(named & set(lights)) if way in lights[name].ways]
        if own:  # the light for the fewest turns has the last word
            ruled[before, behind] = min(own, key=lambda light: len(light.ways))
    if not ruled:
        return Signals.none()
    lines = [roads.lanelets[a].stop.xy if roads.lanelets[a].stop else _end(roads.lanelets[a]) for a, _ in ruled]
    state = np.stack([light.at(file_steps) for light in ruled.values()], 1)
    return signals_at(
        roads.map.lanes, [b for _, b in ruled], np.array([x.mean(0) for x in lines]) - roads.origin, state
    )


def _end(lanelet: Lanelet) -> np.ndarray:
    return np.array([lanelet.left[-1], lanelet.right[-1]])


def _light(element: Element) -> TrafficLight:
    ways = frozenset(_WAYS.get(text(element, "direction", "all"), {"left", "straight", "right"}))
    cycle = element.find("cycle")
    phases = cycle.findall("cycleElement") if cycle is not None else []
    if text(element, "active", "true") in ("false", "0") or not phases:
        return TrafficLight(ways, np.zeros(0), (), 0.0)
    durations = [number(p.find("duration"), "duration") for p in phases]
    if min(durations) <= 0 or sum(durations) > LONGEST:
        raise ValueError("a phase has no or no plausible duration")
    offset = cycle.find("timeOffset")
    colours = tuple(_COLOURS.get(text(p, "color"), Light.UNKNOWN) for p in phases)
    return TrafficLight(
        ways, np.cumsum(durations), colours, number(offset, "timeOffset") if offset is not None else 0.0
    )


def _turns(root: Element) -> Mapping[tuple[str, str], str]:
    """Turn of (lanelet before, lanelet behind) as the intersections state it."""
    turns = {}
    for incoming in root.iterfind("intersection/incoming"):
        for tag, way in WAYS_ON.items():
            for after in references(incoming, tag):
                turns.update({(before, after): way for before in references(incoming, "incomingLanelet")})
    return turns


def _way(before: Lanelet, behind: Lanelet, turns: Mapping[tuple[str, str], str]) -> str:
    if (before.id, behind.id) in turns:
        return turns[before.id, behind.id]
    into, out = before.center[-1] - before.center[-2], behind.center[-1] - behind.center[-2]
    turn = np.arctan2(into[0] * out[1] - into[1] * out[0], into @ out)
    return "straight" if abs(turn) < TURN else "left" if turn > 0 else "right"
