"""Lanelets and signs as a Map in the world frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from drivesim.loading import make_lanes, rings
from drivesim.types import Ground, LaneKind, Map, Marking, Polylines, StopKind, Stops

from .elements import references
from .lanelets import Lanelet
from .signs import Sign

_PAINT = {
    "dashed": Marking.DASHED_WHITE,
    "broad_dashed": Marking.DASHED_WHITE,
    "solid": Marking.SOLID_WHITE,
    "broad_solid": Marking.SOLID_WHITE,
}  # no_marking and unknown paint nothing
WAYS_ON = {
    f"{name}{way.capitalize()}": way for name in ("successors", "outgoing") for way in ("left", "straight", "right")
}
"""What an incoming group of an intersection calls the lanelets behind it; new files of 2020a say `outgoing`."""
FARTHEST = 60_000.0  # from the ego's start [m]
FLAT = 0.0
"""The format knows no heights that its files use."""


@dataclass(frozen=True, eq=False)
class Roads:
    """Lanelets that are driven, in the order of the map's lanes, and what was worked out of them."""

    lanelets: tuple[Lanelet, ...]
    index: Mapping[str, int]  # lanelet id to lane
    origin: np.ndarray  # (2,)
    map: Map
    inferred: Mapping[str, float]

    def center(self, lane: int) -> np.ndarray:
        """Centre line (n, 2), world."""
        return self.lanelets[lane].center - self.origin

    def area(self, lane: int) -> shapely.Polygon:
        """The lane's polygon, world."""
        return shapely.Polygon(self.lanelets[lane].ring - self.origin)


def build(
    root: Element, lanelets: Mapping[str, Lanelet], signs: Mapping[str, Sign], origin: np.ndarray, problems: list[str]
) -> Roads:
    """`origin` (2,) is the world's origin in the file's coordinates."""
    far = [x.id for x in lanelets.values() if np.abs(x.ring - origin).max() > FARTHEST]
    if far:
        problems.append(f"{len(far)} lanelets left out: they lie beyond {FARTHEST / 1000:.0f} km of the ego")
        lanelets = {name: x for name, x in lanelets.items() if name not in far}
    driven = tuple(x for x in lanelets.values() if x.driven)
    index = {x.id: i for i, x in enumerate(driven)}
    inferred: dict[str, float] = {}
    crossing = _intersections(root, driven, index, inferred)
    lanes = make_lanes(
        [np.column_stack([x.center - origin, np.full(len(x.left), FLAT)]) for x in driven],
        [x.width for x in driven],
        speed_limit=[_limit(x, signs) for x in driven],
        intersection=crossing,
        successors=_links(driven, index),
        neighbours=[
            (index[x.id], index[other], side)
            for x in driven
            for side, (other, same) in x.beside.items()
            if same and other in index and other != x.id
        ],
        kinds=[x.kind for x in driven],
    )
    crossings = {name for e in root.iterfind("intersection/crossing") for name in references(e, "crossingLanelet")}
    walked = [
        torch.from_numpy(x.ring - origin) for x in lanelets.values() if "crosswalk" in x.types or x.id in crossings
    ]
    map = Map(
        lanes=lanes,
        drivable=rings(_drivable(driven, origin)),
        crosswalks=Polylines.of(walked),
        markings=_markings(driven, crossing, index, origin, inferred),
        ground=Ground.flat(FLAT),
        stops=_stops(driven, signs, origin),
    )
    if len(driven) < len(lanelets) - len(walked):
        problems.append(f"{len(lanelets) - len(walked) - len(driven)} pavements or rails are no lanes")
    return Roads(driven, index, origin, map, inferred)


def _links(driven: Sequence[Lanelet], index: Mapping[str, int]) -> list[tuple[int, int]]:
    """Both ends may state a link; either is enough."""
    links = {(x.id, j) for x in driven for j in x.successors} | {(j, x.id) for x in driven for j in x.predecessors}
    return sorted((index[a], index[b]) for a, b in links if a in index and b in index and a != b)


def _limit(lanelet: Lanelet, signs: Mapping[str, Sign]) -> float:
    """The strictest limit [m/s] that the lanelet states or its signs do; NaN for none."""
    stated = [lanelet.speed_limit, *(signs[s].limit for s in lanelet.signs if s in signs)]
    return float(np.nanmin(stated)) if np.isfinite(stated).any() else np.nan


def _intersections(
    root: Element, driven: Sequence[Lanelet], index: Mapping[str, int], inferred: dict[str, float]
) -> list[bool]:
    """Which lanes lie on intersections: as stated, else those that cross another at an angle."""
    ways = {name for e in root.iterfind("intersection/incoming") for tag in WAYS_ON for name in references(e, tag)}
    stated = [x.id in ways or "intersection" in x.types for x in driven]
    if any(stated):
        return stated
    areas = shapely.polygons([shapely.linearrings(x.ring) for x in driven]) if driven else np.array([])
    areas = shapely.make_valid(areas)
    a, b = shapely.STRtree(areas).query(areas, predicate="intersects")
    ahead = np.array([x.center[-1] - x.center[0] for x in driven]).reshape(-1, 2)
    ahead = ahead / np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    apart = (a < b) & (np.abs((ahead[a] * ahead[b]).sum(1)) < np.cos(np.deg2rad(15)))
    a, b = a[apart], b[apart]
    shared = shapely.area(shapely.intersection(areas[a], areas[b])) > 2.0
    inferred["intersections"] = 0.7
    return np.isin(np.arange(len(driven)), np.concatenate([a[shared], b[shared]])).tolist()


def _drivable(driven: Sequence[Lanelet], origin: np.ndarray) -> BaseGeometry:
    """Union of the true polygons, hairline gaps closed; cycle lanes are no road."""
    rings_ = [shapely.linearrings(x.ring - origin) for x in driven if x.kind != LaneKind.BICYCLE]
    areas = shapely.make_valid(shapely.polygons(rings_)) if rings_ else np.array([])
    union = shapely.union_all(areas)
    return union.buffer(0.1, join_style="mitre").buffer(-0.1, join_style="mitre")


def _markings(
    driven: Sequence[Lanelet],
    crossing: Sequence[bool],
    index: Mapping[str, int],
    origin: np.ndarray,
    inferred: dict[str, float],
) -> Polylines:
    """Painted bounds, each once: neighbours share theirs. Files that state no paint at all get what is usual, which
    on intersections is none."""
    guess = not any(x.paint for x in driven)
    found: dict[bytes, tuple[np.ndarray, Marking]] = {}
    for lanelet, amid in zip(driven, crossing, strict=True):
        if guess and amid:
            continue
        for side, bound in ((+1, lanelet.left), (-1, lanelet.right)):
            paint = _usual(lanelet, side, index) if guess else _PAINT.get(lanelet.paint.get(side, ""))
            if paint is not None:
                line = bound - origin
                decimetres = np.round(line[[0, -1]] * 10).astype(np.int64)
                key = min(decimetres.tobytes(), decimetres[::-1].tobytes())
                found.setdefault(key, (line, paint))
    lines = list(found.values())
    lines += [(x.stop.xy - origin, Marking.STOP_LINE) for x in driven if x.stop]
    if guess and found:
        inferred["markings"] = 0.5
    flat = [torch.from_numpy(np.column_stack([line, np.full(len(line), FLAT)])) for line, _ in lines]
    return Polylines.of(flat, [int(paint) for _, paint in lines], dims=3)


def _usual(lanelet: Lanelet, side: int, index: Mapping[str, int]) -> Marking | None:
    """Between lanes of one way dashes, towards oncoming ones a double line, at the rim a solid one."""
    other, same = lanelet.beside.get(side, ("", False))
    if other not in index:
        return Marking.SOLID_WHITE if len(lanelet.predecessors) < 2 and len(lanelet.successors) < 2 else None
    return Marking.DASHED_WHITE if same else Marking.DOUBLE_YELLOW


def _stops(driven: Sequence[Lanelet], signs: Mapping[str, Sign], origin: np.ndarray) -> Stops:
    lane, xy, kinds = [], [], []
    for i, lanelet in enumerate(driven):
        kind = _reason(lanelet, signs)
        if kind is not None:
            ends = lanelet.stop.xy if lanelet.stop else np.array([lanelet.left[-1], lanelet.right[-1]])
            lane.append(i)
            xy.append(ends.mean(0) - origin)
            kinds.append(int(kind))
    return Stops(
        torch.tensor(lane, dtype=torch.int64),
        torch.from_numpy(np.array(xy).reshape(-1, 2)).float(),
        torch.tensor(kinds, dtype=torch.int64),
    )


def _reason(lanelet: Lanelet, signs: Mapping[str, Sign]) -> StopKind | None:
    """Why one stops at the end of a lanelet: what its stop line refers to, else what the lanelet does."""
    stop = lanelet.stop
    for lights, named in ((stop.lights, stop.signs) if stop else ((), ()), (lanelet.lights, lanelet.signs)):
        kinds = [signs[s].kind for s in named if s in signs and signs[s].kind is not None]
        if lights or kinds:
            return StopKind.SIGNAL if lights else min(kinds)
    return None
