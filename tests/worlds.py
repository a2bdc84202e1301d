"""Small worlds for tests: a straight road, tracks on it, a scenario, a rollout, and the same world moved elsewhere.

road = straight_road(lanes=2)
s = scenario(track((0, 0), speed=5), track((20, 0)), track((0, 3.5), speed=5), map=road)
r = rollout(s, track((0, 0), speed=10), *tracks_of(s)[1:])
s2, r2 = move(s, angle=1.0, shift=(100.0, -50.0)), move(r, 1.0, (100.0, -50.0))
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from drivesim.geometry import heading, rotate, wrap_angle
from drivesim.types import (
    DT,
    Agents,
    Body,
    Briefing,
    Camera,
    Cause,
    Command,
    Ground,
    Kind,
    Lanes,
    Map,
    Polylines,
    Rollout,
    Scenario,
    Scene,
    Scenery,
    Signals,
    Vehicle,
)

STEPS = 41
SIZES = {
    Kind.CAR: (4.6, 1.9, 1.6), Kind.TRUCK: (8.0, 2.5, 3.2), Kind.BUS: (12.0, 2.6, 3.2), Kind.BICYCLE: (1.8, 0.6, 1.7),
    Kind.PEDESTRIAN: (0.6, 0.6, 1.75), Kind.CONE: (0.4, 0.4, 0.7), Kind.BARRIER: (2.0, 0.5, 1.0),
}  # fmt: skip


def straight_road(lanes: int = 2, length: float = 200.0, width: float = 3.5, behind: float = 50.0) -> Map:
    """Lanes along +x from x = -behind to length - behind; lane i is centred on y = i * width; flat at z = 0.

    Drivable: the lanes' rectangle, y from -width/2 to (lanes - 1/2) * width. No intersection, no markings.
    """
    x = torch.linspace(-behind, length - behind, int(length // 5) + 1)
    centers = [torch.stack([x, torch.full_like(x, i * width), torch.zeros_like(x)], -1) for i in range(lanes)]
    left = [(i, i + 1, 1) for i in range(lanes - 1)]
    right = [(i + 1, i, -1) for i in range(lanes - 1)]
    graph = Lanes(
        center=Polylines.of(centers, dims=3),
        width=torch.full((lanes,), width),
        speed_limit=torch.full((lanes,), 13.9),
        intersection=torch.zeros(lanes, dtype=torch.bool),
        successors=torch.zeros(0, 2, dtype=torch.int64),
        neighbours=torch.tensor(left + right, dtype=torch.int64).reshape(-1, 3),
    )
    low, high, first, last = -width / 2, (lanes - 0.5) * width, -behind, length - behind
    ring = torch.tensor([[first, low], [last, low], [last, high], [first, high]])
    return Map(graph, Polylines.of([ring]), Polylines.of([]), Polylines.of([], dims=3), Ground.flat())


def track(
    xy: tuple[float, float],
    yaw: float = 0.0,
    speed: float = 0.0,
    acceleration: float = 0.0,
    kind: Kind = Kind.CAR,
    size: tuple[float, float, float] | None = None,
    steps: int = STEPS,
    valid: slice | None = None,
) -> Agents:
    """One agent (T,) whose box centre starts at `xy` and drives straight along `yaw` [rad] at `speed` [m/s]
    with constant `acceleration` [m/s^2]; present only at the steps of the slice `valid`."""
    t = torch.arange(steps) * DT
    angle = torch.full((steps,), float(yaw))
    way = speed * t + acceleration * t**2 / 2
    return path(
        torch.tensor(xy, dtype=torch.float32) + way[:, None] * heading(angle), angle,
        (speed + acceleration * t)[:, None] * heading(angle), kind, size, valid,
    )  # fmt: skip


def path(
    xy: Tensor,
    yaw: Tensor,
    velocity: Tensor | None = None,
    kind: Kind = Kind.CAR,
    size: tuple[float, float, float] | None = None,
    valid: slice | None = None,
) -> Agents:
    """One agent (T,) along box centres `xy` (T, 2) with `yaw` (T,); velocities by differences unless given."""
    steps = len(xy)
    velocity = torch.gradient(xy, spacing=DT, dim=0)[0] if velocity is None else velocity
    there = torch.zeros(steps, dtype=torch.bool)
    there[valid or slice(None)] = True
    zero = torch.zeros(steps)
    size = size or SIZES.get(kind, SIZES[Kind.CAR])
    agents = Agents(
        xy=xy.float(), z=zero, yaw=wrap_angle(yaw.float()), pitch=zero, roll=zero, velocity=velocity.float(),
        size=torch.tensor(size).expand(steps, 3), kind=torch.full((steps,), int(kind)), valid=there,
    )  # fmt: skip
    absent = agents.map(lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x)
    return Agents.where(there, agents, absent)


def scenario(
    ego: Agents,
    *others: Agents,
    map: Map | None = None,
    route: Tensor | None = None,
    start: int = 0,
    vehicle: Vehicle | None = None,
    cameras: tuple[Camera, ...] = (),
    signals: Signals | None = None,
    id: str = "test",
) -> Scenario:
    """A log of these tracks (T,). The ego's box becomes the vehicle's; the route defaults to the line y = 0, x from
    -50 to 150 m."""
    vehicle = vehicle or Vehicle()
    box = torch.tensor([vehicle.length, vehicle.width, vehicle.height]).expand(len(ego.yaw), 3)
    log = Agents.stack([ego.replace(size=box), *others], dim=1)
    route = torch.tensor([[-50.0, 0.0], [150.0, 0.0]]) if route is None else route
    briefing = Briefing(route, Command.STRAIGHT, vehicle, cameras)
    scene = Scene(map or straight_road(), Scenery.none(), signals or Signals.none(), briefing)
    names = ("ego", *(f"track {i}" for i in range(1, len(others) + 1)))
    return Scenario(
        id, "test", "0" * 32, scene, log, names, start, None, torch.zeros(3, dtype=torch.float64), "none",
    )  # fmt: skip


def tracks_of(scenario: Scenario) -> list[Agents]:
    """The agents of the log one by one, each (T,)."""
    return [scenario.log[..., i] for i in range(len(scenario.track_ids))]


def rollout(scenario: Scenario, *tracks: Agents, start: int | None = None) -> Rollout:
    """A drive of these tracks (T,), ego first; the log itself when none is given."""
    size = scenario.log.size[0, 0]
    ego = [tracks[0].replace(size=size.expand(len(tracks[0].yaw), 3))] if tracks else []
    agents = Agents.stack([*ego, *tracks[1:]], dim=1) if tracks else scenario.log
    zero = torch.zeros_like(agents.yaw)
    return Rollout(
        scenario.id, scenario.fingerprint, 0, scenario.start if start is None else start,
        scenario.scene.briefing.dt, agents, Body(zero, zero), (), (), scenario.scene.briefing.vehicle,
        Cause.END_OF_LOG,
    )  # fmt: skip


def move(thing: Any, angle: float, shift: tuple[float, float]) -> Any:
    """The same Agents, Map, Scenario or Rollout in a world turned by `angle` about the origin, then shifted."""
    turn = lambda xy: rotate(xy, torch.full(xy.shape[:-1], float(angle), dtype=xy.dtype))  # noqa: E731
    place = lambda xy: turn(xy) + torch.tensor(shift, dtype=xy.dtype)  # noqa: E731
    lines = lambda p: p.replace(points=torch.cat([place(p.points[:, :2]), p.points[:, 2:]], -1))  # noqa: E731
    if isinstance(thing, Agents):
        return thing.replace(xy=place(thing.xy), velocity=turn(thing.velocity), yaw=wrap_angle(thing.yaw + angle))
    if isinstance(thing, Map):
        if thing.ground.z.max() > thing.ground.z.min():
            raise ValueError("a grid of heights cannot be turned: use flat ground")
        lanes = thing.lanes.replace(center=lines(thing.lanes.center))
        return thing.replace(
            lanes=lanes, drivable=lines(thing.drivable), crosswalks=lines(thing.crosswalks),
            markings=lines(thing.markings),
        )  # fmt: skip
    if isinstance(thing, Rollout):
        return replace(thing, agents=move(thing.agents, angle, shift))
    if isinstance(thing, Scenario):
        briefing = replace(thing.scene.briefing, route=place(thing.scene.briefing.route))
        signals = thing.scene.signals
        head = torch.cat([place(signals.head[:, :2]), signals.head[:, 2:3], signals.head[:, 3:] + angle], -1)
        signals = signals.replace(stop_xy=place(signals.stop_xy), head=head)
        scene = Scene(move(thing.scene.map, angle, shift), Scenery.none(), signals, briefing)
        return replace(thing, scene=scene, log=move(thing.log, angle, shift))
    raise TypeError(f"cannot move a {type(thing).__name__}")
