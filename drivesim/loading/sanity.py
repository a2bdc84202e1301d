"""Does a loaded scenario hold together? What every part of the simulator may take for granted."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import InputError
from ..threads import one_thread
from ..types import Agents, Briefing, Map, Polylines, Scenario, Scenery, Signals

FARTHEST = 1e5
"""Of anything from the world's origin [m]: beyond it a coordinate is damage, not a place."""

FASTEST = 150.0
"""Of any agent [m/s]; the fastest road cars reach 130."""


WIDEST = 20_000
"""Of a photo, to either side [px]."""


@one_thread()
def check(scenario: Scenario) -> Scenario:
    """The scenario itself; InputError says what of it cannot be: numbers, shapes, indices."""
    for problem in _problems(scenario):
        raise InputError(f"{scenario.id}: {problem}; the log is damaged")
    return scenario


def _problems(scenario: Scenario) -> Iterator[str]:
    scene, log = scenario.scene, scenario.log
    yield from _log(log, scenario)
    yield from _map(scene.map)
    yield from _signals(scene.signals, len(scene.map.lanes))
    yield from _scenery(scene.scenery)
    yield from _briefing(scene.briefing)
    route = scene.briefing.route
    if route.ndim != 2 or route.shape[1:] != (2,) or len(route) < 2 or _wild(route):
        yield "its route is no line of places"


def _briefing(briefing: Briefing) -> Iterator[str]:
    car = briefing.vehicle
    if not all(0 < x < 100 for x in (car.length, car.width, car.height, car.wheelbase)):
        yield f"its ego is {car.length} x {car.width} x {car.height} m with a wheelbase of {car.wheelbase} m"
    if not abs(car.rear_axle_to_center) < 100 or not 0 < briefing.dt < 10:
        yield "its ego has no rear axle, or its steps no length"
    for camera in briefing.cameras:
        lens, mount = camera.intrinsics, camera.ego_from_camera
        sound = lens.shape == (3, 3) and mount.shape == (4, 4) and not _wild(lens) and not _wild(mount)
        if not sound or not all(0 < x <= WIDEST for x in (camera.width, camera.height)) or not lens[0, 0] > 0:
            yield f"its camera {camera.name} is none"
    if any(goal.area.ndim != 2 or goal.area.shape[1:] != (2,) or _wild(goal.area) for goal in briefing.goals):
        yield "a goal is no area"


def _log(log: Agents, scenario: Scenario) -> Iterator[str]:
    steps, agents = log.valid.shape
    if not 0 <= scenario.start < steps - 1 or len(scenario.track_ids) != agents:
        yield f"{steps} steps from {scenario.start} on with {agents} agents and {len(scenario.track_ids)} names"
        return
    shapes = {"xy": (2,), "velocity": (2,), "size": (3,)}
    for name in ("xy", "z", "yaw", "pitch", "roll", "velocity", "size", "kind"):
        values = getattr(log, name)
        if values.shape != (steps, agents, *shapes.get(name, ())):
            yield f"{name} of its agents has the shape {tuple(values.shape)}"
            return
        here = values[log.valid]
        if here.is_floating_point() and not bool(torch.isfinite(here).all()):
            yield f"{name} of an agent is not a number"
    if _wild(log.xy[log.valid]) or _wild(log.z[log.valid]):
        yield "an agent is out of this world"
    if bool((log.size[log.valid] <= 0).any()) or bool((log.size[log.valid] > 100).any()):
        yield "an agent has no size, or more than 100 m"
    if bool((log.velocity[log.valid].norm(dim=-1) > FASTEST).any()):
        yield f"an agent moves faster than {FASTEST:.0f} m/s"
    if not bool(log.valid[:, 0].all()):
        yield "the ego is missing at a step"


def _map(map: Map) -> Iterator[str]:
    lanes, n = map.lanes, len(map.lanes)
    for name in ("drivable", "crosswalks", "markings"):
        yield from _lines(getattr(map, name), f"its map's {name}")
    yield from _lines(lanes.center, "its map's lanes")
    if any(len(x) != n for x in (lanes.width, lanes.speed_limit, lanes.intersection)):
        yield f"its {n} lanes have {len(lanes.width)} widths"
    elif n and not bool((lanes.width > 0).all() & (lanes.width < 100).all()):
        yield "a lane's width is no width"
    if n and int(lanes.center.offsets.diff().min()) < 2:
        yield "a lane has fewer than two points"
    yield from _indices(lanes.successors, n, "a lane's successor")
    yield from _indices(lanes.neighbours[:, :2], n, "a lane's neighbour")
    yield from _indices(map.stops.lane[map.stops.lane >= 0], n, "the lane of a stop line")
    if _wild(map.stops.xy):
        yield "a stop line is no place"
    ground = map.ground
    if ground.z.ndim != 2 or min(ground.z.shape) < 2 or not ground.cell > 0 or _wild(ground.z) or _wild(ground.origin):
        yield "its ground is no grid of heights"


def _lines(lines: Polylines, what: str) -> Iterator[str]:
    offsets = lines.offsets
    if len(offsets) < 1 or int(offsets[0]) != 0 or bool((offsets.diff() < 0).any()):
        yield f"{what} are no lines"
    elif int(offsets[-1]) != len(lines.points) or len(lines.kind) != len(offsets) - 1:
        yield f"{what} do not fit their points"
    elif _wild(lines.points):
        yield f"{what} hold a coordinate that is not a place"


def _signals(signals: Signals, lanes: int) -> Iterator[str]:
    yield from _indices(signals.lane, lanes, "the lane of a signal")
    if not len(signals.lane) == len(signals.stop_xy) == len(signals.head) == signals.state.shape[1]:
        yield "its signals' lanes, stop lines, heads and states do not fit together"
    if _wild(signals.stop_xy) or _wild(signals.head):
        yield "a signal is at no place"


def _scenery(scenery: Scenery) -> Iterator[str]:
    yield from _lines(scenery.footprints, "its scenery")
    if _wild(scenery.base) or _wild(scenery.height) or _wild(scenery.prop_xyz):
        yield "its scenery holds a coordinate that is not a place"


def _indices(values: Tensor, count: int, what: str) -> Iterator[str]:
    if values.numel() and (int(values.min()) < 0 or int(values.max()) >= count):
        yield f"{what} is not among its {count} lanes"


def _wild(values: Tensor) -> bool:
    return bool(values.numel()) and not bool((values.abs() <= FARTHEST).all())
