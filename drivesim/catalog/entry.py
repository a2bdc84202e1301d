"""One scene of a catalog: what there is of it, in plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from .. import tags
from ..errors import InputError, NotDrivable
from ..types import Kind, Scenario

DRIVABLE, NOT_DRIVABLE, UNREADABLE = "drivable", "not drivable", "unreadable"


@dataclass(frozen=True)
class Entry:
    """A scene, whether or not it can be driven; `reason` says why not, and what follows is then empty."""

    id: str
    status: str  # drivable | not drivable | unreadable
    reason: str = ""
    fingerprint: str = ""
    seconds: float = 0.0
    agents: Mapping[str, int] = field(default_factory=dict)  # by kind, the ego not counted
    cameras: int = 0
    photos: int = 0
    sweeps: int = 0  # of lidars
    map: Mapping[str, int] = field(default_factory=dict)  # how many of each layer; a layer that is not there has 0
    lights: int = 0
    goals: int = 0
    storyboard: bool = False
    licence: str = ""
    place: str = ""
    latitude: float | None = None  # [deg]
    longitude: float | None = None
    tags: tuple[str, ...] = ()  # computed, see drivesim.tags
    situations: tuple[Mapping[str, Any], ...] = ()  # what the tags come from: name, first, last, agents, value, unit
    notes: tuple[str, ...] = ()  # what the source says of it
    inferred: Mapping[str, float] = field(default_factory=dict)  # what the log did not say, with confidence
    problems: tuple[str, ...] = ()

    @staticmethod
    def of(scenario: Scenario) -> Entry:
        """Describe a scenario that has been loaded."""
        scene, sensors, place = scenario.scene, scenario.sensors, scenario.place
        found = tags.situations(scenario)
        names = {situation.name for situation in found}
        return Entry(
            scenario.id, DRIVABLE, fingerprint=scenario.fingerprint,
            seconds=round((scenario.steps - 1) * scene.briefing.dt, 3), agents=_agents(scenario),
            cameras=len(scene.briefing.cameras),
            photos=sum(len(images) for images in sensors.images.values()) if sensors else 0,
            sweeps=len(sensors.sweeps) if sensors else 0,
            map=_layers(scenario), lights=len(scene.signals.lane), goals=len(scene.briefing.goals),
            storyboard=scenario.script is not None, licence=scenario.licence, place=place.name,
            latitude=_number(place.latitude), longitude=_number(place.longitude),
            tags=tuple(name for name in tags.NAMES if name in names),
            situations=tuple({**asdict(s), "agents": [scenario.track_ids[i] for i in s.agents]} for s in found),
            notes=tuple(scenario.tags), inferred=dict(scenario.inferred), problems=tuple(scenario.problems),
        )  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """As JSON would spell it."""
        return asdict(self)

    def told(self) -> list[tuple[str, str]]:
        """What there is of a drivable scene, (name, words), but for its id and licence; nothing empty."""
        known = self.latitude is not None and self.longitude is not None
        where = f"{self.place} {self.latitude:.5f}, {self.longitude:.5f}" if known else self.place
        layers = [counted(n, name) for name, n in (*self.map.items(), ("lights", self.lights)) if n]
        recorded = [counted(n, name) for name, n in (("photos", self.photos), ("lidar sweeps", self.sweeps)) if n]
        told = [
            ("length", f"{self.seconds:.1f} s"),
            ("place", where.strip()),
            ("agents", ", ".join(f"{n} {kind}" for kind, n in self.agents.items()) or "the ego alone"),
            ("map", ", ".join(layers)),
            ("sensors", ", ".join([counted(self.cameras, "cameras"), *recorded])),
            ("tags", ", ".join(self.tags)),
            ("notes", ", ".join(self.notes)),
            ("worked out", ", ".join(f"{name} {confidence:.2f}" for name, confidence in self.inferred.items())),
            *(("problem", problem) for problem in self.problems),
        ]
        return [(name, text) for name, text in told if text]

    @staticmethod
    def read(data: Mapping[str, Any]) -> Entry:
        """Inverse of `plain`; TypeError for something else."""
        values = dict(data)
        for key in ("tags", "situations", "notes", "problems"):
            values[key] = tuple(values.get(key, ()))
        return Entry(**values)


def counted(count: int, names: str) -> str:
    """`2 crosswalks`, `1 crosswalk`."""
    return f"{count} {names if count != 1 else names.removesuffix('s')}"


def examine(source: Any, id: str) -> Entry:
    """Load one scene of a source and describe it. Whatever goes wrong is the entry's reason."""
    try:
        return Entry.of(source.load(id))
    except NotDrivable as error:
        return Entry(id, NOT_DRIVABLE, _told(id, error))
    except InputError as error:
        return Entry(id, UNREADABLE, _told(id, error))
    except Exception as error:  # of a plug-in: this scene's, not the catalog's end
        return Entry(id, UNREADABLE, f"reading it raised {type(error).__name__}: {error}")


def _told(id: str, error: Exception) -> str:
    return str(error).removeprefix(f"{id}: ")


def _agents(scenario: Scenario) -> dict[str, int]:
    valid = scenario.log.valid
    seen = valid.int().argmax(0)
    kinds = scenario.log.kind[seen, torch.arange(valid.shape[1])][1:]
    counted = Counter(kinds[valid.any(0)[1:]].tolist())
    return {Kind(kind).name.lower(): counted[kind] for kind in sorted(counted)}


def _layers(scenario: Scenario) -> dict[str, int]:
    road = scenario.scene.map
    heights = road.ground.z
    return {
        "lanes": len(road.lanes), "successors": len(road.lanes.successors), "neighbours": len(road.lanes.neighbours),
        "intersection lanes": int(road.lanes.intersection.sum()), "drivable rings": len(road.drivable),
        "crosswalks": len(road.crosswalks), "markings": len(road.markings), "stops": len(road.stops),
        "ground heights": heights.numel() if bool((heights != heights.flatten()[0]).any()) else 0,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
