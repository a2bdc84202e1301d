"""The planner's side of a drive: when it is asked, what it gets to see, what it may answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from .errors import InputError, PlannerFailure
from .geometry import rotate, to_frame
from .loading import command_of
from .memory.history import History
from .protocols import Planner, WorldGenerator
from .types import Camera, EgoHistory, Frame, Frames, Observation, Plan, Privileged, Scenario, State, Vehicle

T = TypeVar("T")

PAST = 20
"""Steps of its own past that the planner gets: 2 s, as nuPlan's history buffer holds."""


class Asked:
    """A planner that is asked along a drive."""

    def __init__(self, scenario: Scenario, planner: Planner, generation: WorldGenerator | None) -> None:
        # told before its attributes are read: who plays back plans from elsewhere has a period per scenario
        self.steps = _played(scenario, planner) if hasattr(planner, "play") else None
        briefing = scenario.scene.briefing
        self.cameras, self.every = choose_cameras(planner.sensors, briefing.cameras), _every(planner, briefing.dt)
        if self.cameras and generation is None:
            raise InputError("the planner looks at cameras: choose a world generator (generation=raster)")
        self.planner, self.generation, self.start, self.dt = planner, generation, scenario.start, briefing.dt
        self.given = _given(scenario, planner)  # it may write into what it gets: the world and its yardstick are ours
        self.world = generation.remember(scenario) if generation and self.cameras else None
        self.frames: dict[str, Frame] = {}

    def reset(self, step: int) -> None:
        _guarded("reset", step, lambda: self.planner.reset(self.given.scene.briefing))

    def plan(self, state: State, history: History) -> tuple[Plan | None, float]:
        """The plan made at this state and the seconds it took; None where none is due."""
        now = int(state.step)
        due = (now - self.start) % self.every == 0 if self.steps is None else now in self.steps
        if not due:
            return None, 0.0
        late = [c for c in self.cameras if _is_due(c, self.frames.get(c.name), now * self.dt)]
        if late and self.generation:
            fresh, self.world = self.generation.render(state, self.world, late)  # GENERATION and MEMORY
            self.frames.update(fresh)
        observation = observe(self.given, state, history, dict(self.frames), self.planner)
        begun = time.perf_counter()
        plan = _guarded("plan", now, lambda: self.planner.plan(observation))  # the system under test
        seconds = time.perf_counter() - begun
        return check_plan(plan, now), seconds


def observe(scenario: Scenario, state: State, history: History, frames: Frames, planner: Planner) -> Observation:
    """What the planner may see of the state."""
    scene, briefing = scenario.scene, scenario.scene.briefing
    pose = briefing.vehicle.rear_axle(state.agents.poses[0])
    now = int(state.step)
    route = rotate(briefing.route - pose[:2], -pose[2].expand(len(briefing.route)))
    world = None
    if planner.privileged:
        future = None
        if getattr(planner, "oracle", False):
            future = briefing.vehicle.rear_axle(scenario.log[now + 1 :, 0].poses)
        known = scene.signals.replace(state=scene.signals.state[: now + 1].clone())
        world = Privileged(state.agents.map(torch.clone), pose, scene.map, known, now, future)
    past = ego_history(history, briefing.vehicle, briefing.dt)
    return Observation(now, now * briefing.dt, past, frames, route, command_of(briefing.route, pose[:2]), world)


def ego_history(history: History, vehicle: Vehicle, dt: float) -> EgoHistory:
    """The last 2 s of the ego's own motion, in its present frame."""
    agents, body = history.agents(PAST)[:, 0], history.body(PAST)[:, 0]
    axle = vehicle.rear_axle(agents.poses)
    n = len(axle)
    velocity = rotate(agents.velocity, -agents.yaw)
    yaw_rate = agents.speed * torch.tan(body.steering) / vehicle.wheelbase
    velocity = velocity - torch.stack([torch.zeros(n), yaw_rate * vehicle.rear_axle_to_center], -1)
    time = (torch.arange(n) - (n - 1)) * dt
    return EgoHistory(time, to_frame(axle, axle[-1]), velocity, body.acceleration, body.steering)


def _given(scenario: Scenario, planner: Planner) -> Scenario:
    """The scenario with copies of whatever a planner gets hold of."""
    scene, briefing = scenario.scene, scenario.scene.briefing
    cameras = tuple(
        replace(c, intrinsics=c.intrinsics.clone(), ego_from_camera=c.ego_from_camera.clone()) for c in briefing.cameras
    )
    map = scene.map.map(torch.clone) if planner.privileged else scene.map
    signals = scene.signals.map(torch.clone)
    briefing = replace(briefing, route=briefing.route.clone(), cameras=cameras)
    return replace(scenario, scene=replace(scene, map=map, signals=signals, briefing=briefing))


def choose_cameras(sensors: Sequence[str], cameras: tuple[Camera, ...]) -> list[Camera]:
    """The cameras that a planner's `sensors` name: "*" is all, "front" the one that looks most straight ahead.

    Raises InputError that names a camera which is not there.
    """
    there = {c.name: c for c in cameras}
    wanted: dict[str, Camera] = {}
    for name in sensors:
        if name == "*":
            wanted |= there
        elif name == "front" and name not in there and cameras:
            ahead = max(cameras, key=lambda c: float(c.ego_from_camera[0, 2]))
            wanted[ahead.name] = ahead
        elif name in there:
            wanted[name] = there[name]
        else:
            raise InputError(f"the planner wants camera {name}; this log has {', '.join(there) or 'none'}")
    return list(wanted.values())


HORIZON = 30.0
"""Longest plan that is accepted [s]; the field plans for 3 to 8."""
MOST_POSES, MOST_PROPOSALS = 1000, 20_000
"""Of a plan; the largest vocabularies of trajectories in the field have 16384."""


def check_plan(plan: Plan, step: int) -> Plan:
    """The plan as float32 of our own, without gradient; PlannerFailure says what is wrong with it."""
    if not isinstance(plan, Plan):
        raise PlannerFailure(f"planner returned {type(plan).__name__} instead of a Plan at step {step}")
    parts = [plan.poses, plan.time, *([] if plan.proposals is None else [plan.proposals])]
    if not all(isinstance(x, Tensor) and not x.is_complex() for x in parts):
        raise PlannerFailure(f"planner returned poses, time or proposals that are no tensor of numbers at step {step}")
    poses, t, *others = (x.detach().to("cpu", torch.float32, copy=True) for x in parts)
    if poses.ndim != 2 or poses.shape[1] != 3 or len(poses) == 0 or t.shape != poses.shape[:1]:
        shapes = f"poses {tuple(poses.shape)} and time {tuple(t.shape)}"
        raise PlannerFailure(f"planner returned {shapes} at step {step}; wanted (H, 3) and (H,) with H >= 1")
    if len(poses) > MOST_POSES:
        raise PlannerFailure(f"planner returned {len(poses)} poses at step {step}; {MOST_POSES} are the most")
    if not bool(torch.isfinite(poses).all()) or not bool(torch.isfinite(t).all()):
        raise PlannerFailure(f"planner returned a pose or time that is not a number at step {step}")
    if not bool((t.diff(prepend=torch.zeros(1)) > 0).all()):
        raise PlannerFailure(f"planner returned times that are not positive and increasing at step {step}")
    if float(t[-1]) > HORIZON:
        raise PlannerFailure(
            f"planner returned a plan of {float(t[-1]):.0f} s at step {step}; {HORIZON:.0f} s is the most"
        )
    if others and (others[0].ndim != 3 or others[0].shape[1:] != poses.shape):
        raise PlannerFailure(f"planner returned proposals that are not of shape (N, {len(poses)}, 3) at step {step}")
    if others and len(others[0]) > MOST_PROPOSALS:
        raise PlannerFailure(
            f"planner returned {len(others[0])} proposals at step {step}; {MOST_PROPOSALS} are the most"
        )
    if others and not bool(torch.isfinite(others[0]).all()):
        raise PlannerFailure(f"planner returned a proposal with what is not a number at step {step}")
    return Plan(poses, t, *others)


def _played(scenario: Scenario, planner: Planner) -> frozenset[int]:
    """Steps at which a planner that plays back says it has plans. What it finds wrong with its input is its word."""
    told = lambda: list(planner.play(scenario))  # noqa: E731
    steps = _guarded("play", scenario.start, told, passed=(PlannerFailure, InputError))
    first, end = scenario.start, scenario.steps - 1
    for k in steps:
        if type(k) is not int or not first <= k < end:
            raise PlannerFailure(f"planner's play returned {k!r:.60}; steps from {first} to {end - 1} are expected")
    return frozenset(steps)


def _guarded(what: str, step: int, call: Callable[[], T], passed: tuple[type[Exception], ...] = (PlannerFailure,)) -> T:
    try:
        return call()
    except passed:
        raise
    except Exception as error:
        raise PlannerFailure(f"planner raised {type(error).__name__} in {what} at step {step}: {error}") from error


def _is_due(camera: Camera, last: Frame | None, now: float) -> bool:
    return last is None or now - last.time >= 1 / camera.rate - 1e-6


def _every(planner: Planner, dt: float) -> int:
    """Steps between plans."""
    steps = planner.period / dt
    if not (math.isfinite(steps) and round(steps) >= 1 and abs(steps - round(steps)) < 1e-6):
        raise InputError(f"the planner's period is {planner.period} s; a multiple of {dt} s is expected")
    return round(steps)
