"""Which scenes to take, and why the others were not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from .. import tags
from ..errors import InputError
from ..parts import among, convert
from ..types import Kind
from .entry import DRIVABLE, UNREADABLE, Entry

EARTH = 6_371_000.0
"""Mean radius [m]."""
RADIUS = 1000.0
"""[m] of `near` where none is given."""

_LAYERS: dict[str, Callable[[Entry], int]] = {
    "photos": lambda e: e.photos,
    "lidar": lambda e: e.sweeps,
    "lights": lambda e: e.lights,
    "goals": lambda e: e.goals,
    "storyboard": lambda e: e.storyboard,
    "crosswalks": lambda e: e.map.get("crosswalks", 0),
    "stops": lambda e: e.map.get("stops", 0),
    "markings": lambda e: e.map.get("markings", 0),
    "links": lambda e: e.map.get("successors", 0),
    "heights": lambda e: e.map.get("ground heights", 0),
}
KINDS = tuple(kind.name.lower() for kind in Kind)
HAS = (*KINDS, *_LAYERS)
"""What `has` may name: kinds of agents other than the ego, recordings, and layers of the map."""


@dataclass(frozen=True)
class Filter:
    """What a scene must be like; everything that is given must hold. Lists may be given as one text."""

    tag: list[str] | str | None = None  # all of these, see drivesim.tags.NAMES
    has: list[str] | str | None = None  # all of these, see HAS
    min_agents: int | None = None  # the ego not counted
    max_agents: int | None = None
    min_seconds: float | None = None
    max_seconds: float | None = None
    map: str | None = None  # the name of the city or map, or a part of it
    near: list[float] | None = None  # latitude, longitude [deg] and perhaps a radius [m]

    def __post_init__(self) -> None:
        set_ = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        set_("tag", list(tags.named(_several(self.tag))))
        set_("has", [name.strip().lower() for name in _several(self.has)])
        for name in ("min_agents", "max_agents", "min_seconds", "max_seconds"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(f"{name.replace('_', ' ')} {getattr(self, name)}: 0 or more is expected")
        for name in self.has or ():
            if name not in HAS:
                raise InputError(f"has {name}: no such thing; {among(name, HAS)}")
        if self.near is not None and not _place(self.near):
            raise InputError(f"near {self.near}: latitude,longitude in degrees and perhaps a radius in metres")

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return any(getattr(self, f.name) not in (None, []) for f in fields(self))

    def refusal(self, entry: Entry) -> str | None:
        """Why a scene is not taken, in words that follow "N scenes"; None if it is."""
        if entry.status != DRIVABLE:
            return "cannot be read" if entry.status == UNREADABLE else "cannot be driven"
        agents = sum(entry.agents.values())
        for name in self.has or ():
            if not (_LAYERS[name](entry) if name in _LAYERS else entry.agents.get(name, 0)):
                return f"had no {name}"
        for name in self.tag or ():
            if name not in entry.tags:
                return f"had no {name}"
        if self.min_agents is not None and agents < self.min_agents:
            return f"had fewer than {self.min_agents} agents"
        if self.max_agents is not None and agents > self.max_agents:
            return f"had more than {self.max_agents} agents"
        if self.min_seconds is not None and entry.seconds < self.min_seconds:
            return f"were shorter than {self.min_seconds:g} s"
        if self.max_seconds is not None and entry.seconds > self.max_seconds:
            return f"were longer than {self.max_seconds:g} s"
        return self._elsewhere(entry)

    def _elsewhere(self, entry: Entry) -> str | None:
        if self.map is not None and self.map.lower() not in entry.place.lower():
            return f"were not of {self.map}" if entry.place else "did not say their place"
        if self.near is not None:
            if entry.latitude is None or entry.longitude is None:
                return "did not say where on earth"
            latitude, longitude, radius = (*self.near, RADIUS)[:3]
            if _distance(latitude, longitude, entry.latitude, entry.longitude) > radius:
                return f"were farther than {radius:g} m from {latitude:g},{longitude:g}"
        return None

    @staticmethod
    def read(values: Mapping[str, Any], where: str = "scenarios.") -> Filter:
        """Of loosely typed values; InputError names the one that does not fit."""
        return Filter(**{k: convert(f"{where}{k}", v, TYPES[k]) for k, v in values.items() if v is not None})


TYPES: dict[str, Any] = {
    "tag": list[str] | str | None, "has": list[str] | str | None, "min_agents": int | None, "max_agents": int | None,
    "min_seconds": float | None, "max_seconds": float | None, "map": str | None, "near": list[float] | None,
}  # fmt: skip
"""Of the filter's fields, as a configuration gives them."""


class Sieve:
    """A filter that remembers what it took away; of `total` scenes, where that is known."""

    def __init__(self, filter: Filter, total: int | None = None) -> None:
        self.filter, self.total = filter, total
        self.seen, self.left = 0, 0
        self.removed: Counter[str] = Counter()

    def takes(self, entry: Entry) -> bool:
        self.seen += 1
        reason = self.filter.refusal(entry)
        if reason is None:
            self.left += 1
        else:
            self.removed[reason] += 1
        return reason is None

    def told(self) -> str:
        """`0 of 412 scenes left: 400 had no pedestrian, 12 cannot be driven`; a search that stopped early says so."""
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(self.removed.items(), key=lambda x: (-x[1], x[0])))
        early = f" (looked at {self.seen} of {self.total})" if self.total and self.seen < self.total else ""
        count = f"{self.left} of {self.seen} scene{'s' * (self.seen != 1)} left{early}"
        return count + (f": {reasons}" if reasons else "")


def _several(names: list[str] | str | None) -> list[str]:
    given = [] if names is None else [names] if isinstance(names, str) else names
    return [name for words in given for name in words.split(",")]


def _place(near: list[float]) -> bool:
    whole = len(near) in (2, 3) and all(math.isfinite(x) for x in near)
    return whole and abs(near[0]) <= 90 and abs(near[1]) <= 360 and (len(near) == 2 or near[2] > 0)


def _distance(lat0: float, lon0: float, lat1: float, lon1: float) -> float:
    """Along the great circle [m]."""
    a, b = math.radians(lat0), math.radians(lat1)
    across = math.radians(lon1 - lon0)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(across / 2) ** 2
    return 2 * EARTH * math.asin(min(1.0, math.sqrt(h)))
