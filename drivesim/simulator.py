"""The loop: the only place where the five modules meet. It never knows who is asking."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .behavior.replay import Replay
from .control.lqr import LQR
from .control.trajectory import anchor
from .dynamics.attitude import Attitude
from .dynamics.logged import logged_bodies
from .dynamics.step import collided, end_of_log, step
from .errors import InputError, PlannerFailure
from .geometry import rotate, to_frame
from .loading import command_of
from .memory.history import History
from .protocols import AgentBehavior, Controller, Planner, WorldGenerator
from .threads import one_thread
from .types import (
    Body,
    Camera,
    Cause,
    EgoHistory,
    Frame,
    Frames,
    Observation,
    Plan,
    Privileged,
    Rollout,
    Scenario,
    State,
    Trajectory,
    Vehicle,
)
from .versions import release

Watch = Callable[[int, State, Frames, Plan | None, float], None]
"""Called after each step's plan: step, state, frames the planner saw, its newest plan, seconds it took."""

ON_COLLISION = ("continue", "stop")
"""What a rollout may do when the ego is in contact: go on as physics has it, or end with Cause.COLLISION."""

PAST = 20
"""Steps of its own past that the planner gets: 2 s, as nuPlan's history buffer holds."""


@one_thread()
def simulate(
    scenario: Scenario,
    planner: Planner,
    generation: WorldGenerator | None = None,
    behavior: AgentBehavior | None = None,
    control: Controller | None = None,
    seed: int = 0,
    watch: Watch | None = None,
    on_collision: str = "continue",
) -> Rollout:
    """Drive a scenario from its `start` to the end of its log, or to the ego's first contact (`on_collision="stop"`).

    Without `behavior` the others replay the log; without `control` an LQR follows the plan; without `generation`
    only planners that look at no camera can drive. Raises PlannerFailure when the planner breaks its contract and
    InputError when the parts do not fit together.
    """
    if on_collision not in ON_COLLISION:
        raise InputError(f"on_collision={on_collision}: {' or '.join(ON_COLLISION)} is expected")
    behavior, control = behavior or Replay(), control or LQR()
    scene, briefing = scenario.scene, scenario.scene.briefing
    cameras, every = choose_cameras(planner.sensors, briefing.cameras), _every(planner, briefing.dt)
    if cameras and generation is None:
        raise InputError("the planner looks at cameras: choose a world generator (generation=raster)")
    log_body = logged_bodies(scenario)
    attitude = Attitude.of(scenario.log, scene.map)
    world = generation.remember(scenario) if generation and cameras else None

    state, history = start_state(scenario, log_body)
    state = behavior.begin(state, scenario, seed)
    state = scenario.script.begin(state, scenario, seed) if scenario.script else state
    frames: dict[str, Frame] = {}
    trajectory: Trajectory | None = None
    given = _given(scenario, planner)  # a planner may write into what it gets: the world and its yardstick are ours
    _guarded("reset", int(state.step), lambda: planner.reset(given.scene.briefing))
    while not bool(state.done):
        now, plan, seconds = int(state.step), None, 0.0
        if trajectory is None or (now - scenario.start) % every == 0:
            due = [c for c in cameras if _is_due(c, frames.get(c.name), now * briefing.dt)]
            if due and generation:
                fresh, world = generation.render(state, world, due)  # GENERATION and MEMORY
                frames.update(fresh)
            observation = observe(given, state, history, dict(frames), planner)
            begun = time.perf_counter()
            plan = _guarded("plan", now, lambda o=observation: planner.plan(o))  # the system under test
            seconds = time.perf_counter() - begun
            plan = check_plan(plan, now)
            trajectory = anchor(plan, briefing.vehicle.rear_axle(state.agents.poses[0]))
            history = history.add_plan(plan, now)
        if watch:
            watch(now, state, frames, plan, seconds)
        ego = control.track(state, trajectory, briefing.dt, briefing.vehicle)  # CONTROL: from wish to action
        others, state = behavior.act(state, history, scene)  # DYNAMICS: who else decides
        decisions = [(control.body, ego), (behavior.body, others)]
        if scenario.script:
            directed, state = scenario.script.act(state, history, scene)
            decisions.insert(1, (scenario.script.body, directed))
        recorded = (scenario.log[now + 1], log_body[now + 1])
        state = step(state, decisions, recorded, attitude, scene.map, briefing.dt, briefing.vehicle)
        state = end_of_log(state, scenario.steps)
        state = collided(state) if on_collision == "stop" else state
        trajectory = trajectory.replace(time=trajectory.time - briefing.dt)
        history = history.add(state)
    return _rollout(scenario, history, seed, state)


def start_state(scenario: Scenario, body: Body | None = None) -> tuple[State, History]:
    """The state at `scenario.start` and the history up to it, as logged."""
    body = body or logged_bodies(scenario)
    history = History()
    for k in range(scenario.start + 1):
        history = history.add(_logged(scenario, body, k))
    return end_of_log(history.states[-1], scenario.steps), history


def state_at(scenario: Scenario, rollout: Rollout, at: int) -> State:
    """A state of a stored rollout, to render it again: the world is a function of it."""
    return State(rollout.agents[at], rollout.body[at], torch.tensor(at), torch.tensor(int(Cause.RUNNING)))


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
    return Plan(poses, t, *others)


def _guarded(what: str, step: int, call: Callable) -> Plan:
    try:
        return call()
    except PlannerFailure:
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


def _logged(scenario: Scenario, body: Body, k: int) -> State:
    return State(scenario.log[k], body[k], torch.tensor(k), torch.tensor(int(Cause.RUNNING)))


def _rollout(scenario: Scenario, history: History, seed: int, state: State) -> Rollout:
    return Rollout(
        scenario_id=scenario.id,
        fingerprint=scenario.fingerprint,
        seed=seed,
        start=scenario.start,
        dt=scenario.scene.briefing.dt,
        agents=history.agents(),
        body=history.body(),
        plans=history.plans,
        plan_steps=history.plan_steps,
        vehicle=scenario.scene.briefing.vehicle,
        cause=Cause(int(state.cause)),
        contacts=state.contacts,
        versions=versions(),
    )


def versions() -> Mapping[str, str]:
    """What else the numbers of a rollout depend on."""
    return {name: release(name) for name in ("drivesim", "torch", "numpy", "numba")}
