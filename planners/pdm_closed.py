"""PDM-Closed, the strongest rule-based planner of the field."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from drivesim.geometry import to_frame
from drivesim.proposals.closed import PDMClosed as Model
from drivesim.proposals.judge import red_lights
from drivesim.proposals.kernel import along
from drivesim.proposals.road import Course
from drivesim.proposals.states import centers
from drivesim.types import Briefing, Map, Observation, Plan, Signals


@dataclass
class PDMClosed:
    """Judges 15 proposals (5 speeds x 3 offsets from the route) by their PDMS and follows the best; it sees the
    world's true state, and forecasts that everybody keeps speed and heading (Dauner et al. 2023)."""

    model: Model = field(default_factory=Model)
    period: float = 0.1
    sensors: tuple[str, ...] = ()
    privileged: bool = True

    def reset(self, briefing: Briefing) -> None:
        self._briefing = briefing
        self._course: Course | None = None
        self._place = np.nan  # arc length on the route at the last plan

    def plan(self, observation: Observation) -> Plan:
        world, vehicle = observation.world, self._briefing.vehicle
        assert world is not None
        course = self._course = self._course or self._built(world.map, world.signals)
        start = _start(observation, vehicle.wheelbase)
        place, _ = along(centers(start, vehicle)[None, None], course.line, course.s, self._place)
        self._place = float(place[0, 0])
        red, lanes, _ = red_lights(world.signals, course, world.step, 1)
        choice = self.model.choose(
            start, world.agents, world.map, course, lanes[red[0]], vehicle, self._place, self._briefing.dt
        )
        seen = lambda poses: to_frame(torch.from_numpy(poses), torch.from_numpy(start[:3])).float()  # noqa: E731
        time = torch.from_numpy(choice.time[1:]).float()
        return Plan(seen(choice.poses[1:]), time, seen(choice.proposals[:, 1:]))

    def _built(self, map: Map, signals: Signals) -> Course:
        return Course.of(map, self._briefing.route, signals.lane)


def _start(observation: Observation, wheelbase: float) -> np.ndarray:
    """The ego's state (7,) now, world."""
    ego, world = observation.ego, observation.world
    assert world is not None
    speed, steering = float(ego.velocity[-1, 0]), float(ego.steering[-1])
    pose = world.ego_pose.double().tolist()
    return np.array([*pose, speed, float(ego.acceleration[-1]), steering, speed * np.tan(steering) / wheelbase])
