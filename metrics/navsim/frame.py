"""One frame: an ego about to follow a plan, and what then happens around it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from drivesim.dynamics.logged import logged_bodies
from drivesim.geometry import from_frame
from drivesim.proposals.closed import PDMClosed
from drivesim.proposals.judge import Judgement, Rules, judge, red_lights
from drivesim.proposals.road import Course, Road
from drivesim.proposals.roll_out import STEPS, roll_out
from drivesim.proposals.states import ego_states
from drivesim.proposals.tracks import Tracks
from drivesim.types import Agents, Body, Plan, Rollout, Scenario, Scene, Vehicle

from ..drive import unfit

SECONDS = 4.0
"""Of a plan that are judged (NAVSIM)."""
AFTER = 9
"""Steps of the tracks behind a plan's end that the look ahead of v1.1 reaches."""
PAST = 15
"""Steps of the human's past that history comfort sees: 1.5 s (NAVSIM v2)."""
APART = 5
"""Steps between two plans that extended comfort compares: 0.5 s (NAVSIM v2)."""
SLACK = 0.05
"""By how much a plan may fall short of 4 s [s]."""

_COURSES: weakref.WeakKeyDictionary[Scene, Course] = weakref.WeakKeyDictionary()
_REFERENCES: weakref.WeakKeyDictionary[Scenario, dict[tuple[int, int], np.ndarray]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Frame:
    """The world (T, A) from before `step` on as it happens, and the ego (T,) in it as it came to `step`."""

    scenario: Scenario
    agents: Agents  # (T, A)
    ego: np.ndarray  # (T, 7), true up to `step`
    step: int
    logged: bool  # the ego is where its log has it, and so are the others

    @staticmethod
    def of_log(scenario: Scenario, step: int) -> Frame:
        """What NAVSIM judges: the log goes on whatever the plan says."""
        return Frame(scenario, scenario.log, _states(scenario, scenario.log, logged_bodies(scenario)), step, True)

    @property
    def vehicle(self) -> Vehicle:
        return self.scenario.scene.briefing.vehicle

    @property
    def start(self) -> np.ndarray:
        """State (7,) of the ego."""
        return self.ego[self.step]

    @cached_property
    def tracks(self) -> Tracks:
        return Tracks.of(self.agents[self.step : self.step + STEPS + AFTER + 1])

    @cached_property
    def road(self) -> Road:
        return Road.of(self.scenario.scene.map, self.vehicle)

    @cached_property
    def course(self) -> Course:
        scene = self.scenario.scene
        if scene not in _COURSES:
            _COURSES[scene] = Course.of(scene.map, scene.briefing.route, scene.signals.lane)
        return _COURSES[scene]

    @cached_property
    def red(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lights over the steps of a roll-out, their lanes, and which signals they are."""
        return red_lights(self.scenario.scene.signals, self.course, self.step, STEPS + 1)

    def rolled(self, plan: Plan) -> np.ndarray:
        """States (41, 7) of the ego that follows a plan."""
        pose = torch.from_numpy(self.start[:3])
        poses = from_frame(plan.poses.double(), pose).numpy()
        return roll_out(poses[None], plan.time.double().numpy(), self.start, self.vehicle)[0]

    def reference(self, version: int = 1) -> np.ndarray:
        """States (41, 7) of PDM-Closed from here on, judging by NAVSIM `version`; kept for frames of a log.

        NAVSIM's has no emergency brake.
        """
        known = _REFERENCES.setdefault(self.scenario, {}) if self.logged else {}
        if (self.step, version) not in known:
            red, lanes, _ = self.red
            planner = PDMClosed(horizon=SECONDS, emergency=-np.inf, version=version)
            choice = planner.choose(
                self.start, self.agents[self.step], self.scenario.scene.map, self.course, lanes[red[0]], self.vehicle
            )
            known[self.step, version] = roll_out(choice.poses[None], choice.time, self.start, self.vehicle)[0]
        return known[self.step, version]

    def past(self, steps: int = PAST) -> np.ndarray:
        """States (n, 7) of the ego before this frame, at most `steps`, as far back as they are known."""
        before = self.ego[max(self.step - steps, 0) : self.step]
        known = np.isfinite(before).all(-1)
        return before[len(known) - int(known[::-1].cumprod().sum()) :]

    def human(self) -> np.ndarray | None:
        """States (41, 7) of an ego that follows the log, given at 2 Hz as NAVSIM has it; None where the log ends."""
        ahead = self.ego[self.step + 5 : self.step + STEPS + 1 : 5, :3]
        if not self.logged or len(ahead) < STEPS // 5 or not np.isfinite(ahead).all():
            return None
        return roll_out(ahead[None], 0.5 * np.arange(1, len(ahead) + 1), self.start, self.vehicle)[0]

    def judge(self, states: Sequence[np.ndarray], rules: Rules) -> Judgement:
        """Of states (41, 7) each."""
        red, lanes, _ = self.red
        return judge(np.stack(states), self.tracks, self.road, self.course, self.vehicle, rules, (red, lanes))

    def unfit(self, plan: Plan | None = None) -> str:
        """Why a plan cannot be judged here; empty if it can."""
        dt, known = self.scenario.scene.briefing.dt, len(self.agents.valid) - 1 - self.step
        if abs(dt - 0.1) > 1e-9:
            return f"the world's steps are {dt:g} s long; this score is defined at 0.1 s"
        if not len(self.scenario.scene.map.drivable):
            return "the map has no drivable area"
        if len(self.scenario.scene.briefing.route) < 2:
            return "the briefing has no route"
        if known < STEPS:
            return f"the world is known for {max(known, 0) * dt:.1f} s after step {self.step}; {SECONDS:g} s are judged"
        if not np.isfinite(self.start).all():
            return f"the ego is absent or not finite at step {self.step}"
        if plan is not None and float(plan.time[-1]) < SECONDS - SLACK:
            return f"the plan of step {self.step} reaches {float(plan.time[-1]):.1f} s; {SECONDS:g} s are judged"
        return ""


def frames_of(rollout: Rollout, scenario: Scenario, each: float | None) -> tuple[list[tuple[Frame, Plan]], str]:
    """Frames of a drive with their plans, and why there are none.

    Without `each` the first plan against the log; else the plans made about every `each` seconds, as long as 4 s of the
    drive are left, against what happened in the drive.
    """
    if reason := unfit(rollout) or ("" if rollout.plans else "the rollout has no plans, which this score is about"):
        return [], reason
    made = [(k, p) for k, p in zip(rollout.plan_steps, rollout.plans, strict=True) if k >= rollout.start]
    if each is None:
        step, plan = made[0]
        frame = Frame.of_log(scenario, step)
        if step != rollout.start:
            return [], f"the first plan was made at step {step}, not at the start, step {rollout.start}"
        return ([], reason) if (reason := frame.unfit(plan)) else ([(frame, plan)], "")
    ego, frames, due = _states(scenario, rollout.agents, rollout.body), [], rollout.start
    for step, plan in made:
        if step < due:
            continue
        frame = Frame(scenario, rollout.agents, ego, step, rollout.loop == "open")
        if reason := frame.unfit(plan):
            break
        frames.append((frame, plan))
        due = step + max(round(each / rollout.dt), 1)
    return frames, "" if frames else reason


def next_plan(frame: Frame, rollout: Rollout) -> tuple[np.ndarray, int] | None:
    """States (41, 7) of the last plan made up to 0.5 s after a frame's, and how many steps later; None without one."""
    later = [i for i, k in enumerate(rollout.plan_steps) if frame.step < k <= frame.step + APART]
    if not later or float(rollout.plans[later[-1]].time[-1]) < SECONDS - SLACK:
        return None
    step = rollout.plan_steps[later[-1]]
    ego = _states(frame.scenario, rollout.agents, rollout.body)
    then = Frame(frame.scenario, rollout.agents, ego, step, False)
    return then.rolled(rollout.plans[later[-1]]), step - frame.step


def _states(scenario: Scenario, agents: Agents, body: Body) -> np.ndarray:
    return ego_states(agents[:, 0], body[:, 0], scenario.scene.briefing.vehicle)
