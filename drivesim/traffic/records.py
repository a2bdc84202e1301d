"""The tables of many scenes as flat arrays of records, the form that the kernel reads.

Scenes lie one behind the other in every array; a scene's record, and each agent's, says where its own part begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.dynamics.limits import limits_of
from drivesim.traffic.following import SPACING
from drivesim.types import CYCLES, WALKERS, Agents, Body, Scenario, is_kind

from .area import Areas, areas_of
from .corridors import clearances, corridors
from .tables import Drivers, Progress

F, I, BOOL = np.float64, np.int64, np.bool_  # noqa: E741

MOTION = np.dtype(
    [(name, F) for name in ("x", "y", "yaw", "vx", "vy", "steering", "acceleration", "length", "width", "s", "headway")]
    + [(name, BOOL) for name in ("valid", "settled", "decided", "collides", "off_road")]
    + [("_", np.uint8, 3)]  # fills up to eight bytes: without holes arrays copy and compare as bytes
)
"""An agent now: world [m], [rad], [m/s]; `s` arc length on its route, NaN where unknown."""

AGENT = np.dtype(
    [(name, I) for name in ("route", "points", "line", "lines", "zone", "zones", "last")]
    + [(name, F) for name in ("reach", "end", "acceleration", "braking", "gap", "swing")]
    + [(name, F) for name in ("most_acceleration", "most_braking", "power", "most_speed")]
    + [(name, F) for name in ("most_steering", "steering_rate", "most_lateral", "yaw_rate")]
    + [(name, BOOL) for name in ("active", "walks", "cycles")],
    align=True,
)
"""An agent for good: where its route (`points` of `reach` metres), lines and zones begin; manners and limits; `swing`
is the longest way of its nose between two points [m]."""

POINT = np.dtype([(name, np.float32) for name in ("x", "y", "axle_x", "axle_y", "nose_x", "nose_y", "limit", "clear")])
"""Of a route; `clear` as in corridors.clearances, of the segment that begins there."""

LINE = np.dtype([("s", F), ("kind", I), ("ref", I)])

ZONE = np.dtype(
    [("other", I), ("begin", F), ("end", F), ("other_begin", F), ("other_end", F), ("merges", BOOL)], align=True
)
"""Where an agent's route meets another's; an agent's zones lie in the order of `begin`."""

LOGGED = np.dtype(
    [(n, np.float32) for n in ("x", "y", "yaw", "vx", "vy", "steering", "acceleration", "length", "width", "along")]
    + [("valid", BOOL)],
    align=True,
)
"""An agent at a step of its log."""

WALK = np.dtype([("first", I), ("count", I)])
"""A crosswalk's ring."""

SCENE = np.dtype(
    [(name, I) for name in ("log", "start", "steps", "signal", "signals", "signal_steps", "walk", "walks", "area")]
    + [(name, F) for name in ("dt", "wheelbase", "rear")],
    align=True,
)
"""A scene: where its parts begin and how many they are."""


@dataclass(frozen=True, eq=False)
class Records:
    """All tables of U scenes with A agents each."""

    scenes: np.ndarray  # (U,) SCENE
    agents: np.ndarray  # (U, A) AGENT
    points: np.ndarray  # POINT
    corridors: np.ndarray  # CORRIDOR of each point
    lines: np.ndarray  # LINE
    zones: np.ndarray  # ZONE
    log: np.ndarray  # (rows, A) LOGGED
    signals: np.ndarray  # int8, a Light: step by step, signal by signal
    walks: np.ndarray  # WALK
    rings: np.ndarray  # (n, 2) float64
    areas: Areas
    most_lines: int  # of any agent


def records_of(scenarios: Sequence[Scenario], drivers: Sequence[Drivers], bodies: Sequence[Body]) -> Records:
    """Records of scenes with their drivers and logged bodies (T, A); scenes with fewer agents get empty rows."""
    most = max(s.log.valid.shape[1] for s in scenarios)
    parts = [_Scene(s, d, b, most) for s, d, b in zip(scenarios, drivers, bodies, strict=True)]
    areas = areas_of([s.scene.map for s in scenarios])
    scenes = np.concatenate([p.scene for p in parts])
    agents = np.stack([p.agents for p in parts])
    log, points, ahead, signals = (_chained(parts, name) for name in ("log", "points", "corridors", "signals"))
    lines, zones, walks, rings = (_chained(parts, name) for name in ("lines", "zones", "walks", "rings"))
    _begin(scenes["log"], [len(p.log) for p in parts])
    _begin(scenes["signal"], [len(p.signals) for p in parts])
    _begin(scenes["walk"], [len(p.walks) for p in parts])
    for name in ("points", "lines", "zones"):
        column = {"points": "route", "lines": "line", "zones": "zone"}[name]
        first = np.cumsum([0, *[len(getattr(p, name)) for p in parts]])[:-1]
        agents[column] += first[:, None]
    first = np.cumsum([0, *[len(p.rings) for p in parts]])[:-1]
    walks["first"] += np.repeat(first, [len(p.walks) for p in parts])
    scenes["area"] = areas.of_map
    return Records(
        scenes, agents, points, ahead, lines, zones, log, signals, walks, rings, areas,
        max(int(agents["lines"].max()), 1),
    )  # fmt: skip


def _chained(parts: list[_Scene], name: str) -> np.ndarray:
    return np.ascontiguousarray(np.concatenate([getattr(p, name) for p in parts]))


def _begin(column: np.ndarray, counts: list[int]) -> None:
    column[:] = np.cumsum([0, *counts])[:-1]


class _Scene:
    """Records of one scene, counted from zero."""

    def __init__(self, scenario: Scenario, drivers: Drivers, body: Body, most: int) -> None:
        scene, briefing = scenario.scene, scenario.scene.briefing
        n = scenario.log.valid.shape[1]
        self.agents = np.zeros(most, AGENT)
        self.scene = np.zeros(1, SCENE)
        self._agents(self.agents[:n], scenario, drivers)
        self.log = np.zeros((scenario.steps, most), LOGGED)
        for name in ("x", "y", "yaw", "vx", "vy"):
            self.log[name] = np.nan
        _fill(self.log[:, :n], _logged(scenario.log, body, drivers))
        self.signals = scene.signals.state.to(torch.int8).numpy().reshape(-1)
        self.rings = scene.map.crosswalks.points[:, :2].double().numpy()
        offsets = scene.map.crosswalks.offsets.numpy()
        self.walks = np.zeros(len(scene.map.crosswalks), WALK)
        self.walks["first"], self.walks["count"] = offsets[:-1], np.diff(offsets)
        _fill(
            self.scene,
            {
                "start": scenario.start, "steps": scenario.steps, "signals": len(scene.signals.lane),
                "signal_steps": len(scene.signals.state), "walks": len(self.walks), "dt": briefing.dt,
                "wheelbase": briefing.vehicle.wheelbase, "rear": briefing.vehicle.rear_axle_to_center,
            },
        )  # fmt: skip

    def _agents(self, rows: np.ndarray, scenario: Scenario, drivers: Drivers) -> None:
        kind = scenario.log.kind.amax(0)
        limits, style = limits_of(kind, dtype=torch.float64), drivers.style
        count = torch.where(drivers.length > 0, (drivers.length + 1.5).long(), 0)
        there = drivers.lines.s.isfinite()
        lines, zones = there.sum(1), torch.bincount(drivers.zones.me, minlength=len(rows))
        before = lambda x: torch.cumsum(x, 0) - x  # noqa: E731
        _fill(
            rows,
            {
                "route": before(count), "points": count, "line": before(lines), "lines": lines,
                "zone": before(zones), "zones": zones, "last": drivers.last, "reach": drivers.length,
                "end": drivers.end, "acceleration": style.acceleration, "braking": style.braking, "gap": style.gap,
                "swing": (drivers.nose[:, 1:] - drivers.nose[:, :-1]).norm(dim=-1).amax(1).clamp_min(SPACING),
                "most_acceleration": limits.acceleration, "most_braking": limits.braking, "power": limits.power,
                "most_speed": limits.speed, "most_steering": limits.steering, "steering_rate": limits.steering_rate,
                "most_lateral": limits.lateral, "yaw_rate": limits.yaw_rate, "active": drivers.active,
                "walks": is_kind(kind, WALKERS), "cycles": is_kind(kind, CYCLES),
            },
        )  # fmt: skip
        on_route = torch.arange(drivers.points.shape[1]) < count[:, None]
        limit = torch.stack([drivers.limit, torch.zeros_like(drivers.limit)], -1)
        flat = torch.cat([drivers.points, drivers.axle, drivers.nose, limit], -1)[on_route].float().numpy()
        self.points = np.ascontiguousarray(flat).view(POINT)[:, 0]
        self.points["clear"] = clearances(flat[:, 0:2], rows["route"], rows["points"])
        self.corridors = corridors(flat[:, 4:6], rows["route"], rows["points"])
        self.lines = np.zeros(int(lines.sum()), LINE)
        _fill(self.lines, {name: getattr(drivers.lines, name)[there] for name in ("s", "kind", "ref")})
        nearest = torch.sort(drivers.zones.begin, stable=True).indices
        order = nearest[torch.sort(drivers.zones.me[nearest], stable=True).indices]
        self.zones = np.zeros(len(order), ZONE)
        names = ("other", "begin", "end", "other_begin", "other_end", "merges")
        _fill(self.zones, {name: getattr(drivers.zones, name)[order] for name in names})


def _logged(log: Agents, body: Body, drivers: Drivers) -> dict[str, Tensor]:
    return {
        "x": log.xy[..., 0], "y": log.xy[..., 1], "yaw": log.yaw, "vx": log.velocity[..., 0],
        "vy": log.velocity[..., 1], "steering": body.steering, "acceleration": body.acceleration,
        "length": log.size[..., 0], "width": log.size[..., 1], "along": drivers.along, "valid": log.valid,
    }  # fmt: skip


def motion(agents: Agents, body: Body, progress: Progress) -> np.ndarray:
    """Agents (..., A) as an array (..., A) of MOTION."""
    out = np.zeros(agents.valid.shape, MOTION)
    _fill(
        out,
        {
            "x": agents.xy[..., 0], "y": agents.xy[..., 1], "yaw": agents.yaw, "vx": agents.velocity[..., 0],
            "vy": agents.velocity[..., 1], "steering": body.steering, "acceleration": body.acceleration,
            "length": agents.size[..., 0], "width": agents.size[..., 1], "s": progress.s,
            "headway": progress.headway, "valid": agents.valid, "settled": progress.settled,
        },
    )  # fmt: skip
    return out


def _fill(rows: np.ndarray, columns: dict[str, object]) -> None:
    for name, value in columns.items():
        rows[name] = value.detach().numpy() if isinstance(value, Tensor) else value
