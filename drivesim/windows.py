"""Other drives in the same log: stretches of it, and the drives of other agents. Each is a source around a source."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import parts
from .errors import InputError, NotDrivable
from .loading import command_of, fingerprint, route_along, vehicle_of
from .loading.compose import SHORTEST
from .loading.paths import runs
from .types import DT, VEHICLES, Agents, Goal, Map, Place, Polylines, Scenario, Scenery, SensorLog, Signals, is_kind

_AT = re.compile(r"(.+)@(\d+\.\d)s")


def full_id(source: Any, id: str) -> str:
    """The id as the source lists it: for the drive of another agent, the id of the recorded drive will do as well."""
    return source.full_id(id) if hasattr(source, "full_id") else id


def nearest(id: str, ids: Sequence[str]) -> str:
    """`did you mean a, b?` of some thousand ids, for one that is none of them."""
    near = [known for known in ids if id in known] or difflib.get_close_matches(id, ids[:5000], n=3)
    if near:
        return f"did you mean {', '.join(near[:3])}?"
    more = f", ... {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"there are {', '.join(ids[:3])}{more}" if ids else "there are none"


@dataclass(frozen=True)
class Windows:
    """Stretches of `seconds`, one every `stride` seconds, of each scenario of a source; ids are `<id>@<begin>s`.

    source: the part (`_target_` and options) of the source. The history before the planner takes over is part of a
    stretch; what is left at the end of a log and is shorter than `seconds` is not driven.
    """

    source: Any
    seconds: float
    stride: float | None = None  # None: one stretch after the other

    def __post_init__(self) -> None:
        if not 2.0 <= self.seconds <= 3600.0:
            raise InputError(f"scenarios.window={self.seconds}: seconds from 2 to 3600 are expected")
        if self.stride is not None and not DT <= self.stride <= 3600.0:
            raise InputError(f"scenarios.stride={self.stride}: seconds from {DT} on are expected")

    @staticmethod
    def recognizes(root: Path) -> bool:
        return False  # it cuts what another source has read

    def ids(self) -> list[str]:
        """Of all scenarios that can be driven; each is loaded once to learn how long it is."""
        every = round((self.stride or self.seconds) / DT)
        found = []
        for id in self._reader.ids():
            last = self._steps(id) - self._length
            found += [f"{id}@{k * DT:.1f}s" for k in range(0, last + 1, every)]
        if not found:
            raise InputError(f"scenarios.window={self.seconds}: no scenario is that long")
        return sorted(found)

    def undrivable(self) -> dict[str, str]:
        return self._reader.undrivable() if hasattr(self._reader, "undrivable") else {}

    def fingerprint(self, id: str) -> str:
        base, begin = self._parse(self.full_id(id))
        return fingerprint([], self._reader.fingerprint(base), f"from {begin}, {self._length} steps")

    def load(self, id: str) -> Scenario:
        id = self.full_id(id)
        base, begin = self._parse(id)
        whole = self._load(base)
        if begin + self._length > whole.steps:
            raise InputError(f"{id}: {base} ends after {(whole.steps - 1) * DT:.1f} s")
        return replace(restart(whole, begin, begin + self._length), id=id, fingerprint=self.fingerprint(id))

    def full_id(self, id: str) -> str:
        match = _AT.fullmatch(id)
        return f"{full_id(self._reader, match[1])}@{match[2]}s" if match else full_id(self._reader, id)

    @cached_property
    def _reader(self) -> Any:
        return parts.build(self.source) if isinstance(self.source, Mapping) else self.source

    @property
    def _length(self) -> int:
        return round(self.seconds / DT) + 1

    def _parse(self, id: str) -> tuple[str, int]:
        match = _AT.fullmatch(id)
        if not match:
            raise InputError(f"no window '{id}'; windows are named <scenario>@<seconds>s, such as {id}@0.0s")
        return match[1], round(float(match[2]) / DT)

    def _load(self, id: str) -> Scenario:
        if self._kept.get("id") != id:
            self._kept.update(id=id, scenario=self._reader.load(id))
        return self._kept["scenario"]

    @cached_property
    def _kept(self) -> dict[str, Any]:
        """The scenario cut last: its windows are usually driven one after the other."""
        return {}

    def _steps(self, id: str) -> int:
        if id in self.undrivable():
            return 0
        try:
            return self._load(id).steps
        except NotDrivable:
            return 0


@dataclass(frozen=True)
class AsEgo:
    """The scenarios of a source, driven as another of their agents: `ego` is its track id. Ids are `<id>#<ego>`, so
    that the drives are not taken for the recorded car's; `<id>` alone is understood.

    The scenario lasts as long as that agent was seen without a gap. The recorded photos are left out: they are
    another car's. Axles lie where they usually do in a box of its size.
    """

    source: Any
    ego: str

    @staticmethod
    def recognizes(root: Path) -> bool:
        return False

    def ids(self) -> list[str]:
        return [self.full_id(id) for id in self._reader.ids()]

    def undrivable(self) -> dict[str, str]:
        reasons = self._reader.undrivable() if hasattr(self._reader, "undrivable") else {}
        return {self.full_id(id): reason for id, reason in reasons.items()}

    def full_id(self, id: str) -> str:
        return full_id(self._reader, id.removesuffix(self._mark)) + self._mark

    def fingerprint(self, id: str) -> str:
        return fingerprint([], self._reader.fingerprint(self._base(id)), f"ego {self.ego}")

    def load(self, id: str) -> Scenario:
        id = self.full_id(id)
        whole = self._reader.load(self._base(id))
        if self.ego not in whole.track_ids:
            raise NotDrivable(f"{id}: no track {self.ego}; {nearest(self.ego, whole.track_ids)}")
        agent = whole.track_ids.index(self.ego)
        track = whole.log[:, agent]
        kind = track.kind[track.valid.nonzero()[0, 0]] if bool(track.valid.any()) else track.kind[0]
        if not bool(is_kind(kind, VEHICLES)):
            raise NotDrivable(f"{id}: track {self.ego} is no motor vehicle and cannot be the ego")
        first, last = max(runs(track.valid.numpy()), key=lambda run: run[1] - run[0])
        if (last - first) < whole.start + round(SHORTEST / DT):
            raise NotDrivable(f"{id}: track {self.ego} is seen for {(last - first) * DT:.1f} s without a gap")
        return replace(restart(whole, first, last + 1, agent), id=id, fingerprint=self.fingerprint(id))

    @property
    def _mark(self) -> str:
        return "#" + re.sub(r"[/\\]|\.\.", "_", self.ego)  # an id is a file's name too

    def _base(self, id: str) -> str:
        """The reader's own id."""
        return self.full_id(id).removesuffix(self._mark)

    @cached_property
    def _reader(self) -> Any:
        return parts.build(self.source) if isinstance(self.source, Mapping) else self.source


def restart(scenario: Scenario, first: int, stop: int, ego: int = 0) -> Scenario:
    """The scenario from step `first` up to but not including `stop`, driven as agent `ego`, with the world's origin at
    that agent's first pose. Agents that are never there are left out.

    Raises NotDrivable for a scenario with a storyboard: it cannot begin in the middle.
    """
    if scenario.script is not None:
        raise NotDrivable(f"{scenario.id}: a storyboard can be neither cut nor driven as another agent")
    briefing = scenario.scene.briefing
    log = scenario.log[first:stop]
    there = log.valid.any(0)
    order = [ego, *(i for i in range(log.valid.shape[1]) if i != ego and bool(there[i]))]
    log = log[:, order]
    vehicle = briefing.vehicle if ego == 0 else vehicle_of(*log.size[0, 0].tolist())
    shift = vehicle.world_from_ego(log[0, 0].to(torch.float64))[:3, 3]
    log = _agents(log, shift)
    road = _map(scenario.scene.map, shift)
    route = route_along(road, log.xy[:, 0].double().numpy(), yaw=float(log.yaw[0, 0]))
    command = command_of(route, log.xy[scenario.start, 0])
    begin = first * briefing.dt
    problems = () if ego == 0 else ("the recorded photos are another car's and left out",)
    goals = tuple(_goal(goal, shift, begin) for goal in briefing.goals) if ego == 0 else ()
    scene = replace(
        scenario.scene, map=road, scenery=_scenery(scenario.scene.scenery, shift),
        signals=_signals(scenario.scene.signals, shift, first, stop),
        briefing=replace(briefing, route=route, command=command, vehicle=vehicle, goals=goals),
    )  # fmt: skip
    return replace(
        scenario, scene=scene, log=log, track_ids=tuple(scenario.track_ids[i] for i in order),
        sensors=_sensors(scenario.sensors, shift, begin, own=ego == 0), origin=scenario.origin + shift,
        place=_place(scenario.place, shift), problems=(*scenario.problems, *problems),
    )  # fmt: skip


def _agents(log: Agents, shift: Tensor) -> Agents:
    return log.replace(xy=(log.xy.double() - shift[:2]).float(), z=(log.z.double() - shift[2]).float())


def _lines(lines: Polylines, shift: Tensor) -> Polylines:
    return lines.replace(points=(lines.points.double() - shift[: lines.points.shape[1]]).float())


def _map(map: Map, shift: Tensor) -> Map:
    ground = map.ground.replace(
        origin=(map.ground.origin.double() - shift[:2]).float(), z=(map.ground.z.double() - shift[2]).float()
    )
    return map.replace(
        lanes=map.lanes.replace(center=_lines(map.lanes.center, shift)), drivable=_lines(map.drivable, shift),
        crosswalks=_lines(map.crosswalks, shift), markings=_lines(map.markings, shift), ground=ground,
        stops=map.stops.replace(xy=(map.stops.xy.double() - shift[:2]).float()),
    )  # fmt: skip


def _scenery(scenery: Scenery, shift: Tensor) -> Scenery:
    return scenery.replace(
        footprints=_lines(scenery.footprints, shift), base=(scenery.base.double() - shift[2]).float(),
        prop_xyz=(scenery.prop_xyz.double() - shift).float(),
    )  # fmt: skip


def _signals(signals: Signals, shift: Tensor, first: int, stop: int) -> Signals:
    head = signals.head.double()
    head = torch.cat([head[:, :3] - shift, head[:, 3:]], -1).float()
    return signals.replace(
        stop_xy=(signals.stop_xy.double() - shift[:2]).float(), head=head, state=signals.state[first:stop]
    )


def _goal(goal: Goal, shift: Tensor, begin: float) -> Goal:
    time = (goal.time[0] - begin, goal.time[1] - begin)
    return replace(goal, area=(goal.area.double() - shift[:2]).float(), time=time)


def _sensors(sensors: SensorLog | None, shift: Tensor, begin: float, own: bool) -> SensorLog | None:
    """Handles keep what they read; a sweep's points are moved as they are read."""
    if sensors is None:
        return None
    images = {
        name: tuple(
            replace(image, time=image.time - begin, world_from_camera=_moved(image.world_from_camera, shift))
            for image in log
        )
        for name, log in sensors.images.items()
    }
    sweeps = tuple(
        replace(sweep, time=sweep.time - begin, origin=sweep.origin - shift, read=_Shifted(sweep.read, shift))
        for sweep in sensors.sweeps
    )
    return SensorLog(images if own else {}, sweeps)


def _moved(pose: Tensor, shift: Tensor) -> Tensor:
    pose = pose.clone()
    pose[:3, 3] -= shift.to(pose)
    return pose


@dataclass(frozen=True, eq=False)
class _Shifted:
    """Points of a sweep in the moved world."""

    read: Any
    shift: Tensor

    def __call__(self) -> Tensor:
        return (self.read().double() - self.shift).float()


def _place(place: Place, shift: Tensor) -> Place:
    """Moved by metres to the east and north; a degree of latitude has 111.32 km."""
    latitude = place.latitude + float(shift[1]) / 111_320
    longitude = place.longitude + float(shift[0]) / (
        111_320 * max(float(torch.cos(torch.tensor(latitude).deg2rad())), 1e-3)
    )
    return Place(place.name, latitude, longitude)
