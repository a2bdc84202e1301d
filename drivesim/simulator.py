"""The loop: the only place where the five modules meet. It never knows who is asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from .asking import Asked
from .behavior.replay import Replay
from .control.lqr import LQR
from .control.trajectory import anchor
from .dynamics.attitude import Attitude
from .dynamics.logged import logged_bodies
from .dynamics.step import collided, end_of_log, step
from .errors import InputError
from .memory.history import History
from .protocols import AgentBehavior, Controller, Planner, WorldGenerator
from .threads import one_thread
from .types import (
    Body,
    Cause,
    Frames,
    Plan,
    Rollout,
    Scenario,
    State,
    Trajectory,
)
from .versions import release

Watch = Callable[[int, State, Frames, Plan | None, float], None]
"""Called after each step's plan: step, state, frames the planner saw, its newest plan, seconds it took."""

ON_COLLISION = ("continue", "stop")
"""What a rollout may do when the ego is in contact: go on as physics has it, or end with Cause.COLLISION."""

LOOPS = ("closed", "open")
"""Closed: the ego drives what it plans, and the others react. Open: all follow the log; plans are kept, not driven."""


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
    loop: str = "closed",
) -> Rollout:
    """Drive a scenario from its `start` to the end of its log, or to the ego's first contact (`on_collision="stop"`).

    Without `behavior` the others replay the log; without `control` an LQR follows the plan; without `generation`
    only planners that look at no camera can drive. With `loop="open"` the ego and all others follow the log whatever
    the plans say, and neither `behavior` nor `control` has a part. Raises PlannerFailure when the planner breaks its
    contract and InputError when the parts do not fit together.
    """
    check_loop(loop, on_collision)
    log_body = logged_bodies(scenario)
    asked = Asked(scenario, planner, generation)
    state, history = start_state(scenario, log_body)
    if loop == "open":
        world: _Logged | _Driven = _Logged(scenario, log_body)
    else:
        world = _Driven(scenario, log_body, behavior or Replay(), control or LQR(), on_collision)
        state = world.begin(state, seed)
    asked.reset(int(state.step))
    while not bool(state.done):
        plan, seconds = asked.plan(state, history)
        if plan is not None:
            history = history.add_plan(plan, int(state.step))
        if watch:
            watch(int(state.step), state, asked.frames, plan, seconds)
        state = world.move(state, history, plan)
        history = history.add(state)
    return _rollout(scenario, history, seed, state, loop)


def check_loop(loop: str, on_collision: str) -> None:
    """InputError for what is no loop, no answer to a collision, or does not go together."""
    if on_collision not in ON_COLLISION:
        raise InputError(f"on_collision={on_collision}: {' or '.join(ON_COLLISION)} is expected")
    if loop not in LOOPS:
        raise InputError(f"loop={loop}: {' or '.join(LOOPS)} is expected")
    if loop == "open" and on_collision != "continue":
        raise InputError(f"on_collision={on_collision}: in open loop the log goes on to its end; leave it out")


class _Driven:
    """Closed loop: the ego drives its plans, the others decide, bodies obey physics."""

    def __init__(
        self, scenario: Scenario, body: Body, behavior: AgentBehavior, control: Controller, on_collision: str
    ) -> None:
        self.scenario, self.log_body, self.behavior, self.control = scenario, body, behavior, control
        self.attitude = Attitude.of(scenario.log, scenario.scene.map)
        self.on_collision = on_collision
        self.trajectory: Trajectory | None = None

    def begin(self, state: State, seed: int) -> State:
        state = self.behavior.begin(state, self.scenario, seed)
        return self.scenario.script.begin(state, self.scenario, seed) if self.scenario.script else state

    def move(self, state: State, history: History, plan: Plan | None) -> State:
        """The state one step later, with the newest plan (None: none was made now) for the ego."""
        scene, script, now = self.scenario.scene, self.scenario.script, int(state.step)
        briefing = scene.briefing
        if plan is not None:
            self.trajectory = anchor(plan, briefing.vehicle.rear_axle(state.agents.poses[0]))
        if self.trajectory is None:
            raise InputError(f"{self.scenario.id}: there is no plan at step {now}, where the closed loop begins")
        ego = self.control.track(state, self.trajectory, briefing.dt, briefing.vehicle)  # CONTROL: wish to action
        others, state = self.behavior.act(state, history, scene)  # DYNAMICS: who else decides
        decisions = [(self.control.body, ego), (self.behavior.body, others)]
        if script:
            directed, state = script.act(state, history, scene)
            decisions.insert(1, (script.body, directed))
        recorded = (self.scenario.log[now + 1], self.log_body[now + 1])
        state = step(state, decisions, recorded, self.attitude, scene.map, briefing.dt, briefing.vehicle)
        state = end_of_log(state, self.scenario.steps)
        self.trajectory = self.trajectory.replace(time=self.trajectory.time - briefing.dt)
        return collided(state) if self.on_collision == "stop" else state


class _Logged:
    """Open loop: the log goes on, whatever is planned."""

    def __init__(self, scenario: Scenario, body: Body) -> None:
        self.scenario, self.log_body = scenario, body

    def move(self, state: State, history: History, plan: Plan | None) -> State:
        return end_of_log(_logged(self.scenario, self.log_body, int(state.step) + 1), self.scenario.steps)


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


def _logged(scenario: Scenario, body: Body, k: int) -> State:
    return State(scenario.log[k], body[k], torch.tensor(k), torch.tensor(int(Cause.RUNNING)))


def _rollout(scenario: Scenario, history: History, seed: int, state: State, loop: str) -> Rollout:
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
        loop=loop,
    )


def versions() -> Mapping[str, str]:
    """What else the numbers of a rollout depend on."""
    return {name: release(name) for name in ("drivesim", "torch", "numpy", "numba")}
