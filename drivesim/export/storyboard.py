"""A log as an OpenSCENARIO storyboard in which everybody follows a trajectory in time."""

from __future__ import annotations

import datetime
import math
import re
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import numpy as np
import torch

from ..geometry import rotation_from_euler
from ..loading.paths import runs
from ..loading.vehicles import vehicle_of
from ..types import VEHICLES, WALKERS, Kind, Scenario

if TYPE_CHECKING:
    from scenariogeneration import xosc

EGO = "Ego"

_CATEGORY = {
    Kind.CAR: "car", Kind.TRUCK: "truck", Kind.BUS: "bus", Kind.TRAILER: "trailer", Kind.CONSTRUCTION: "truck",
    Kind.MOTORCYCLE: "motorbike", Kind.BICYCLE: "bicycle",
}  # fmt: skip

FASTEST, STEEPEST = 100.0, 20.0
"""Limits of a vehicle's performance, m/s and m/s^2: none, as far as a log goes."""


def storyboard(scenario: Scenario, roads: str) -> Element:
    """The <OpenSCENARIO> element; `roads` is the file of the road network beside it."""
    from scenariogeneration import xosc

    names = _names(scenario)
    entities, init = xosc.Entities(), xosc.Init()
    act = xosc.Act("drive", _at("start", 0.0))
    for i, name in enumerate(names):
        ahead = _add(entities, scenario, i, name)
        log = scenario.log[:, i]
        poses = _reference(log, ahead)
        spans = runs(log.valid.numpy())
        if not spans:
            continue
        if spans[0][0] == 0:
            init.add_init_action(name, xosc.TeleportAction(_position(poses[0])))
            jump = xosc.TransitionDynamics(xosc.DynamicsShapes.step, xosc.DynamicsDimension.time, 0)
            init.add_init_action(name, xosc.AbsoluteSpeedAction(float(log.speed[0]), jump))
        group = xosc.ManeuverGroup(f"{name} group")
        group.add_actor(name)
        group.add_maneuver(_maneuver(name, poses, spans, scenario))
        act.add_maneuver_group(group)
    dt = scenario.scene.briefing.dt
    board = xosc.StoryBoard(init, _at("end of log", (scenario.steps - 1) * dt, "stop"))
    board.add_act(act)
    told = f"{scenario.id} of {scenario.source}, fingerprint {scenario.fingerprint}; licence: {scenario.licence}"
    whole = xosc.Scenario(
        told, "drivesim", xosc.ParameterDeclarations(), entities, board, xosc.RoadNetwork(roads), xosc.Catalog(),
        osc_minor_version=2, license=xosc.License(scenario.licence), creation_date=datetime.datetime(2000, 1, 1),
    )  # fmt: skip
    return whole.get_element()


def _names(scenario: Scenario) -> list[str]:
    """Unique names without characters that OpenSCENARIO gives a meaning; the ego is `Ego`."""
    out = [EGO]
    for id in scenario.track_ids[1:]:
        name = base = re.sub(r"[^\w.-]", "_", str(id)) or "_"
        while name in out:
            name = base = f"{base}_"
        out.append(name)
    return out


def _add(entities: xosc.Entities, scenario: Scenario, i: int, name: str) -> float:
    """Declare an agent; returns how far its box's centre lies ahead of its reference point [m]: of vehicles that is
    under the middle of the rear axle."""
    from scenariogeneration import xosc

    log = scenario.log[:, i]
    first = int(log.valid.int().argmax())
    kind = Kind(int(log.kind[first]))
    length, width, height = (max(float(x), 0.05) if math.isfinite(x) else 0.05 for x in log.size[first].tolist())
    if i == 0 or kind in VEHICLES or kind == Kind.BICYCLE:
        car = scenario.scene.briefing.vehicle if i == 0 else vehicle_of(length, width, height)
        ahead = car.rear_axle_to_center
        wheel = min(0.7, 0.5 * height)
        axles = [xosc.Axle(0.6, wheel, 0.9 * width, x, wheel / 2) for x in (car.wheelbase, 0.0)]
        box = xosc.BoundingBox(width, length, height, ahead, 0, height / 2)
        category = getattr(xosc.VehicleCategory, _CATEGORY.get(kind, "car"))
        thing: Any = xosc.Vehicle(name, category, box, *axles, FASTEST, STEEPEST, STEEPEST)
        thing.add_property("kind", kind.name)
    else:
        ahead, box = 0.0, xosc.BoundingBox(width, length, height, 0, 0, height / 2)
        if kind in WALKERS:
            category = xosc.PedestrianCategory.animal if kind == Kind.ANIMAL else xosc.PedestrianCategory.pedestrian
            thing = xosc.Pedestrian(name, 80, category, box, name)
        else:
            barrier = kind == Kind.BARRIER
            category = xosc.MiscObjectCategory.barrier if barrier else xosc.MiscObjectCategory.obstacle
            thing = xosc.MiscObject(name, 10, category, box)
        thing.add_property("kind", kind.name)
    entities.add_scenario_object(name, thing)
    return ahead


def _reference(log: Any, ahead: float) -> np.ndarray:
    """x, y, z, yaw, pitch, roll (T, 6) of an agent's reference point."""
    angles = [x.double() for x in (log.yaw, log.pitch, log.roll)]
    forward = rotation_from_euler(*angles)[..., 0]
    place = torch.cat([log.xy, log.z[:, None]], -1).double() - ahead * forward
    return torch.cat([place, torch.stack(angles, -1)], -1).numpy()


def _position(pose: np.ndarray) -> xosc.WorldPosition:
    from scenariogeneration import xosc

    return xosc.WorldPosition(*(round(float(x), 6) for x in pose))


def _maneuver(name: str, poses: np.ndarray, spans: list[tuple[int, int]], scenario: Scenario) -> xosc.Maneuver:
    """For each stretch of presence: appear, follow the log, and be gone when it ends before the log does.

    What is logged at a step holds for half a step to either side, so that a player with other steps sees it too.
    """
    from scenariogeneration import xosc

    dt, last = scenario.scene.briefing.dt, scenario.steps - 1
    maneuver = xosc.Maneuver(f"{name} drive")
    for n, (begin, end) in enumerate(spans):
        event = xosc.Event(f"{name} appears {n}" if begin else f"{name} starts", xosc.Priority.parallel)
        event.add_trigger(_at(f"{name} from {n}", (begin - 0.5) * dt))
        if begin:
            event.add_action(f"{name} add {n}", xosc.AddEntityAction(name, _position(poses[begin])))
        if end > begin:
            event.add_action(f"{name} follow {n}", _follow(f"{name} {n}", poses, begin, end, dt))
        if begin or end > begin:
            maneuver.add_event(event)
        if end < last:
            gone = xosc.Event(f"{name} leaves {n}", xosc.Priority.parallel)
            gone.add_trigger(_at(f"{name} to {n}", (end + 0.5) * dt))
            gone.add_action(f"{name} delete {n}", xosc.DeleteEntityAction(name))
            maneuver.add_event(gone)
    return maneuver


def _follow(name: str, poses: np.ndarray, begin: int, end: int, dt: float) -> xosc.FollowTrajectoryAction:
    from scenariogeneration import xosc

    steps = range(begin, end + 1)
    line = xosc.Polyline([round(k * dt, 6) for k in steps], [_position(poses[k]) for k in steps])
    trajectory = xosc.Trajectory(name, False)
    trajectory.add_shape(line)
    return xosc.FollowTrajectoryAction(
        trajectory, xosc.FollowingMode.position, xosc.ReferenceContext.absolute, 1.0, 0.0
    )


def _at(name: str, time: float, point: str = "start") -> xosc.ValueTrigger:
    """At a time of the simulation; half a millisecond early, so that rounding does not delay it by a step."""
    from scenariogeneration import xosc

    rule = xosc.SimulationTimeCondition(max(round(time, 6) - 5e-4, 0.0), xosc.Rule.greaterOrEqual)
    return xosc.ValueTrigger(name, 0, xosc.ConditionEdge.none, rule, point)
