"""Lanelets as the file has them, in the file's coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from drivesim.types import LaneKind

from .elements import number, points, reference, references, texts

MOST = 20_000
"""Lanelets of a file."""
LONGEST, WIDEST = 50_000.0, 90.0  # [m]
WALKED = {"sidewalk", "crosswalk"}


@dataclass(frozen=True, eq=False)
class StopLine:
    xy: np.ndarray  # (2, 2) its ends
    signs: tuple[str, ...]
    lights: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Lanelet:
    id: str
    left: np.ndarray  # (n, 2)
    right: np.ndarray  # (n, 2)
    successors: tuple[str, ...]
    predecessors: tuple[str, ...]
    beside: dict[int, tuple[str, bool]]  # side (+1 left, -1 right): lanelet, whether it runs the same way
    types: frozenset[str]
    users: frozenset[str]
    speed_limit: float  # [m/s], NaN where the lanelet has none of its own
    paint: dict[int, str]  # side: line marking
    signs: tuple[str, ...]
    lights: tuple[str, ...]
    stop: StopLine | None

    @property
    def center(self) -> np.ndarray:
        return (self.left + self.right) / 2

    @property
    def width(self) -> float:
        return float(np.hypot(*(self.left - self.right).T).mean())

    @property
    def ring(self) -> np.ndarray:
        return np.concatenate([self.right, self.left[::-1]])

    @property
    def driven(self) -> bool:
        """Whether vehicles or cycles drive here: neither pavement, crossing nor rails."""
        return not (self.types & WALKED or (self.users and self.users <= {"pedestrian", "train"}))

    @property
    def kind(self) -> LaneKind:
        if "bicycleLane" in self.types or (self.users and self.users <= {"bicycle", "pedestrian"}):
            return LaneKind.BICYCLE
        if "busLane" in self.types or (self.users and self.users <= {"bus", "taxi", "priorityVehicle"}):
            return LaneKind.BUS
        return LaneKind.VEHICLE


def read_lanelets(root: Element, problems: list[str]) -> dict[str, Lanelet]:
    """By id; one that cannot be read is left out with a line in `problems`."""
    lanelets: dict[str, Lanelet] = {}
    elements = root.findall("lanelet")
    if len(elements) > MOST:
        raise ValueError(f"it has {len(elements)} lanelets, more than any scene")
    for element in elements:
        name = (element.get("id") or "").strip()
        try:
            if not name or name in lanelets:
                raise ValueError("its id is missing or given twice")
            lanelets[name] = _lanelet(element, name)
        except ValueError as error:
            problems.append(f"lanelet {name or 'without id'} left out: {error}")
    return lanelets


def _lanelet(element: Element, name: str) -> Lanelet:
    left, right = (_bound(element.find(tag), tag) for tag in ("leftBound", "rightBound"))
    if len(left) != len(right):
        share = np.union1d(_shares(left), _shares(right))
        left, right = _at(left, share), _at(right, share)
    across = np.hypot(*(left - right).T).mean()
    if not 0.1 < across < WIDEST:
        raise ValueError(f"it is {across:.1f} m wide")
    limit = element.find("speedLimit")
    speed = number(limit, "speedLimit") if limit is not None else np.nan
    adjacent = {+1: element.find("adjacentLeft"), -1: element.find("adjacentRight")}
    return Lanelet(
        id=name, left=left, right=right,
        successors=tuple(references(element, "successor")),
        predecessors=tuple(references(element, "predecessor")),
        beside={side: (reference(a), a.get("drivingDir") == "same") for side, a in adjacent.items() if a is not None},
        types=texts(element, "laneletType"),
        users=texts(element, "userOneWay") | texts(element, "userBidirectional"),
        speed_limit=speed if speed > 0 else np.nan,
        paint={
            side: mark.strip()
            for side, tag in ((+1, "leftBound"), (-1, "rightBound"))
            if (mark := element.findtext(f"{tag}/lineMarking"))
        },
        signs=tuple(references(element, "trafficSignRef")),
        lights=tuple(references(element, "trafficLightRef")),
        stop=_stop(element.find("stopLine"), left[-1], right[-1]),
    )  # fmt: skip


def _bound(element: Element | None, what: str) -> np.ndarray:
    line = points(element, what)
    if len(line) < 2:
        raise ValueError(f"{what} has fewer than two points")
    if lengths(line)[-1] > LONGEST:
        raise ValueError(f"{what} is {lengths(line)[-1]:.0f} m long")
    return line


def _stop(element: Element | None, left: np.ndarray, right: np.ndarray) -> StopLine | None:
    """A stop line; one without points of its own lies across the lanelet's end."""
    if element is None:
        return None
    ends = points(element, "stopLine")
    ends = ends if len(ends) == 2 else np.array([left, right])
    return StopLine(ends, tuple(references(element, "trafficSignRef")), tuple(references(element, "trafficLightRef")))


def lengths(line: np.ndarray) -> np.ndarray:
    """Way (n,) from a line's start to each of its points."""
    return np.concatenate([[0.0], np.hypot(*np.diff(line[:, :2], axis=0).T).cumsum()])


def _shares(line: np.ndarray) -> np.ndarray:
    s = lengths(line)
    return s / s[-1] if s[-1] > 0 else np.linspace(0, 1, len(line))


def _at(line: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    own = _shares(line)
    return np.column_stack([np.interp(shares, own, line[:, i]) for i in range(2)])
