"""The storyboard live: what triggers depends on where the planner has driven the ego."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from drivesim.dynamics.exact import Exact
from drivesim.memory.history import History
from drivesim.types import Action, Scenario, Scene, State

from .lines import Lines
from .player import Play, Story
from .recording import axle, box
from .storyboard import Storyboard
from .watching import PER_STEP

APART, TURNED = 0.05, 0.02
"""An ego within so many metres and radians of where the storyboard has it is where the storyboard has it: within a
step the story then moves it by its own actions. Beyond, the ego is the planner's for the rest of the story."""


@dataclass(frozen=True, eq=False)
class LiveStory:
    """A Script (drivesim.protocols). Everybody but the ego is where the story puts them; actions for the ego are
    clocks that other elements may wait for, and nothing else. An entity whom the story adds or deletes at another
    time than in the log comes and goes as in the log: agents cannot be added to a running simulation."""

    board: Storyboard
    lines: Lines
    origin: tuple[float, float, float]
    gaps: frozenset[tuple[str, int]] = frozenset()  # absent in the log for the step in which they are put elsewhere
    body: Exact = field(default_factory=Exact)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        play = Play(self.board, self.lines, strict=False)
        for _ in range(int(state.step) * PER_STEP):
            play.tick()
        return state.replace(story=play.freeze(scenario.track_ids))

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        story: Story = state.story
        play = Play(self.board, self.lines, story, strict=False)
        self._look_at_ego(play, state, scene)
        for _ in range(PER_STEP):
            play.tick()
        command = np.full((len(story.names), 3), np.nan)
        valid = np.zeros(len(story.names), dtype=bool)
        for i, name in enumerate(story.names[1:], 1):
            if play.bodies[name].present and (name, play.step // PER_STEP) not in self.gaps:
                x, y, _, yaw, _ = box(play.bodies[name], self.board.entities[name])
                command[i] = x - self.origin[0], y - self.origin[1], yaw
                valid[i] = True
        action = Action(torch.from_numpy(command).float(), torch.from_numpy(valid) & state.agents.valid)
        return action, state.replace(story=play.freeze(story.names))

    def _look_at_ego(self, play: Play, state: State, scene: Scene) -> None:
        car, entity = scene.briefing.vehicle, self.board.entities[self.board.ego]
        x, y, yaw = (float(v) for v in car.rear_axle(state.agents.poses[0]).double())
        back = axle(entity, car)
        x += self.origin[0] - back * math.cos(yaw)
        y += self.origin[1] - back * math.sin(yaw)
        body = play.bodies[self.board.ego]
        turn = (yaw - body.yaw + math.pi) % (2 * math.pi) - math.pi
        if not play.driven and math.hypot(x - body.x, y - body.y) < APART and abs(turn) < TURNED:
            return
        speed = float(state.agents.speed[0])
        spot = self.lines.locate(x, y, body.z, yaw)
        moving = (speed * math.cos(yaw), speed * math.sin(yaw))
        play.drive_ego(spot, speed, float(state.body.acceleration[0]), moving)
