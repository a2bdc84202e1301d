"""Plans that were made elsewhere, from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from drivesim import plan_file
from drivesim.errors import InputError, PlannerFailure
from drivesim.geometry import to_frame
from drivesim.plan_file import Planned
from drivesim.types import Briefing, Observation, Plan, Scenario

NEAR, FAST = 10.0, 70.0
"""A plan's first pose is at most so far from the logged ego [m], and so much farther a second [m/s]."""
SHOWN = 8
"""Steps that an error lists."""


@dataclass
class Trajectories:
    """Plays back a file of trajectories, each at its step; made for loop=open. See docs/open_loop.md."""

    path: Path
    every: float | None = None  # [s] between plans; null: the file's smallest gap
    missing: Literal["fail", "skip"] = "fail"  # what a step without a trajectory does

    sensors = ()
    period = 0.1  # `play` says at which steps there are plans
    privileged = True  # the ego's pose in the world

    def __post_init__(self) -> None:
        self._file = plan_file.read(self.path)  # a broken file is refused before anything is driven
        self._plans: dict[int, Planned] | None = None

    def recorded(self) -> list[str]:
        """Scenarios that the file has trajectories of."""
        return list(self._file)

    def play(self, scenario: Scenario) -> list[int]:
        """Steps of the scenario at which there are plans; InputError where the file does not fit it."""
        if scenario.id not in self._file:
            some = ", ".join(list(self._file)[:SHOWN]) + (", ..." if len(self._file) > SHOWN else "")
            raise InputError(f"{self.path} has no trajectories of {scenario.id}; it has {some}")
        dt, self._plans = scenario.scene.briefing.dt, {}
        self._origin = scenario.origin.double()
        logged = scenario.scene.briefing.vehicle.rear_axle(scenario.log[:, 0].poses)
        for planned in self._file[scenario.id]:
            where, step = f"{self.path}, {planned.where}", self._step(planned, dt)
            if step >= scenario.steps:
                raise InputError(f"{where}: step {step}, but {scenario.id} has steps 0 to {scenario.steps - 1}")
            if step in self._plans:
                raise InputError(f"{where}: a second trajectory for step {step}; see {self._plans[step].where}")
            self._plans[step] = planned
            _near(planned, self._in_ego(planned, logged[step]), where)
        return self._due(scenario, dt)

    def reset(self, briefing: Briefing) -> None:
        if self._plans is None:
            raise PlannerFailure(f"{self.path}: it was not told which scenario to play; it cannot be asked alone")

    def plan(self, observation: Observation) -> Plan:
        assert self._plans is not None and observation.world is not None
        planned = self._plans[observation.step]
        poses = self._in_ego(planned, observation.world.ego_pose)
        return Plan(poses.float(), torch.from_numpy(planned.times).float())

    def _step(self, planned: Planned, dt: float) -> int:
        return planned.step if planned.step is not None else round(planned.time / dt)  # type: ignore[operator]

    def _in_ego(self, planned: Planned, ego: torch.Tensor) -> torch.Tensor:
        """Poses (H, 3) float64 in the frame of the ego at pose (3,) of the world."""
        poses = torch.from_numpy(planned.poses.copy())
        if planned.frame == "ego":
            return poses
        if planned.frame == "global":
            poses[:, :2] -= self._origin[:2]
        return to_frame(poses, ego.double())

    def _due(self, scenario: Scenario, dt: float) -> list[int]:
        """The steps to plan at: from the start on, `every` so often, to the last with the plans' horizon of log to
        come, or the file's last if that is later; holes are refused or left. One alone is played as it is."""
        assert self._plans is not None
        there = sorted(k for k in self._plans if scenario.start <= k < scenario.steps - 1)
        if not there:
            raise InputError(f"{self.path}: all trajectories of {scenario.id} are outside the steps at which plans are "
                             f"made, {scenario.start} to {scenario.steps - 2}")  # fmt: skip
        gap = self._gap(there, dt)
        horizon = max(round(float(self._plans[k].times[-1]) / dt) for k in there)
        last = max(there[-1], scenario.steps - 1 - horizon) if len(there) > 1 else there[-1]
        wanted = range(scenario.start, last + 1, gap)
        lacking = [k for k in wanted if k not in self._plans]
        if lacking and self.missing == "fail":
            told = ", ".join(map(str, lacking[:SHOWN])) + (", ..." if len(lacking) > SHOWN else "")
            raise InputError(f"{self.path}: {scenario.id} lacks a trajectory at {len(lacking)} of {len(wanted)} steps "
                             f"({told}), one every {gap * dt:g} s from step {scenario.start} to {last}; it reaches "
                             f"to step {there[-1]}, and {len(self._plans) - len(there)} of its rows are outside the "
                             "steps at which plans are made; add them, or leave "
                             "these steps out by planner.missing=skip")  # fmt: skip
        return [k for k in there if self.every is None or k in wanted]

    def _gap(self, there: list[int], dt: float) -> int:
        if self.every is None:
            return int(np.diff(there).min()) if len(there) > 1 else 1
        gap = round(self.every / dt)
        if gap < 1 or abs(self.every / dt - gap) > 1e-6:
            raise InputError(f"planner.every={self.every}: a multiple of {dt} s is expected")
        return gap


def _near(planned: Planned, poses: torch.Tensor, where: str) -> None:
    """Refuse a plan that begins where no ego can be: its frame is another, or its unit."""
    away, allowed = float(poses[0, :2].norm()), NEAR + FAST * float(planned.times[0])
    if away > allowed:
        raise InputError(f"{where}: the first pose is {away:.0f} m from the ego, {planned.times[0]:g} s after "
                         f"planning; are these metres in the frame {planned.frame!r}? "
                         f"({', '.join(plan_file.FRAMES)} are known)")  # fmt: skip
