"""Many drives at once: what the single and the vectorised environment have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drivesim.errors import InputError
from drivesim.geometry import box_corners
from drivesim.traffic import World, step
from drivesim.traffic.boxes import overlaps
from drivesim.traffic.observation import column, most, observe, place
from drivesim.types import Scenario

from .arrival import SHORTEST, logged_progress, reached
from .rewards import Moment, Weights, terms

CORRIDOR = 10.0
"""Beside the route, up to which way along it is progress [m], as in `metrics.progress`."""

ENDS = ("collision", "off_road", "arrived")
"""What ends a drive by default, most telling first; red_light may, too."""

DISTANCE, RED = column("light", "distance")[0], column("light", "red")[0]

CAUSES = ("collision", "off_road", "red_light", "arrived")


@dataclass(frozen=True)
class Outcome:
    """Of a step of B drives."""

    reward: np.ndarray  # (B,) float64
    terminated: np.ndarray  # (B,) bool
    truncated: np.ndarray  # (B,) bool


class Drives:
    """B drives through scenes of one world. Row b is the same whatever the others are."""

    def __init__(
        self, scenarios: Sequence[Scenario], count: int, agents: int | None, seed: int, weights: Weights,
        ends: Sequence[str],
    ) -> None:  # fmt: skip
        wrong = [end for end in ends if end not in CAUSES]
        if wrong:
            raise InputError(f"ends: {wrong[0]} is none of {', '.join(CAUSES)}")
        if agents is not None and agents < 1:
            raise InputError(f"agents={agents}: 1 (the ego alone) or more is expected")
        self.world = World.of(scenarios, seed=seed, agents=agents)
        self.weights, self.ends = weights, tuple(ends)
        self.dt = np.array([s.scene.briefing.dt for s in self.world.scenarios])
        self.begins, self.aims = logged_progress(self.world)
        self.clear = np.stack(_clear_at_start(self.world), -1)
        self.batch = self.world.start(np.zeros(count, np.int64))
        self.s, self.made = np.zeros((2, count))  # where on the route; made good since the start [m]
        self.touched = np.zeros((count, 2), bool)  # has been in contact, has been off the road
        self.free = np.zeros((count, 2), bool)  # has been out of contact, has been on the road
        self.arrived, self.ran_red = np.zeros((2, count), bool)
        self.terms: dict[str, np.ndarray] = {}
        self.begin(np.arange(count), np.zeros(count, np.int64))

    def begin(self, rows: np.ndarray, which: np.ndarray) -> None:
        """Put drives `rows` (K,) at the start of scenes `which` (K,)."""
        fresh, old = self.world.start(which), self.batch
        now, stood, steps, scene = old.now.copy(), old.stood.copy(), old.steps.copy(), old.which.copy()
        now[rows], stood[rows], steps[rows], scene[rows] = fresh.now, fresh.stood, fresh.steps, which
        self.batch = replace(old, now=now, stood=stood, steps=steps, which=scene)
        self.s[rows], self.made[rows] = self.begins[which], 0.0
        self.touched[rows], self.free[rows], self.arrived[rows] = False, self.clear[which], False
        self.ran_red[rows] = False
        still = np.zeros(len(scene))
        nothing = terms(self.weights, Moment(*[still] * 4, *[still > 0] * 4), still)
        self.terms = {name: self.terms.get(name, still).copy() for name in nothing}
        for value in self.terms.values():
            value[rows] = 0.0
        self.seen = self._sees()

    def advance(self, commands: np.ndarray) -> Outcome:
        """One step under the egos' commands (B, 2): acceleration [m/s^2], steering [rad]."""
        before, which = self.batch, self.batch.which
        actions = np.full((*before.now.shape, 2), np.nan)
        actions[:, 0] = commands
        self.batch = step(before, actions)
        ego, dt = self.batch.now[:, 0], self.dt[which]
        s, left, limit = (x[:, 0].numpy() for x in place(self.batch, 1, self.s[:, None]))
        made = np.where(np.abs(left) <= CORRIDOR, s - self.begins[which], self.made)
        red = self._passes_red(s - self.s)
        self.ran_red = self.ran_red | red
        gain, self.s, self.made = made - self.made, s, made
        hit = self._happened(np.stack([ego["collides"], ego["off_road"]], -1))
        arrived = self._arrives() & ~self.arrived
        self.arrived |= arrived
        speed = self.batch.speed[:, 0].numpy()
        turn = (ego["yaw"] - before.now["yaw"][:, 0] + np.pi) % (2 * np.pi) - np.pi
        now = Moment(
            gain, ego["acceleration"], speed * turn / dt, np.maximum(speed - limit, 0.0), arrived, hit[:, 0], hit[:, 1],
            red,
        )  # fmt: skip
        self.terms, self.seen = terms(self.weights, now, dt), self._sees()
        over = self._happenings()
        terminated = np.any([over[end] for end in self.ends], 0) if self.ends else np.zeros(len(s), bool)
        return Outcome(sum(self.terms.values()), terminated, self.batch.done.numpy() & ~terminated)

    def observe(self) -> np.ndarray:
        """What the egos observe (B, D) float32."""
        return self.seen.copy()

    def _sees(self) -> np.ndarray:
        return observe(self.batch, 1, near=self.s[:, None])[:, 0].numpy()

    def info(self) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
        """What is told beside the reward, each (B,)."""
        which = self.batch.which
        scenarios, aim = self.world.scenarios, self.aims[which] - self.begins[which]
        return {
            "scenario": np.array([scenarios[u].id for u in which], object),
            "step": self.batch.steps.copy(),
            "cause": self._causes(),
            **{name: value.copy() for name, value in self._happenings().items()},
            "progress": self.made.copy(),  # [m]
            "expert_progress": aim,  # of the log's ego, in all [m]
            "speed": self.batch.speed[:, 0].numpy().copy(),  # [m/s]
            "reward_terms": {name: value.copy() for name, value in self.terms.items()},
        }

    def _happenings(self) -> dict[str, np.ndarray]:
        """What has happened to each drive so far."""
        touched = self.touched
        return {
            "collision": touched[:, 0], "off_road": touched[:, 1], "red_light": self.ran_red, "arrived": self.arrived,
        }  # fmt: skip

    def _passes_red(self, way: np.ndarray) -> np.ndarray:
        """Whether bumpers have passed a line that showed red in `way` (B,) metres."""
        distance = self.seen[:, DISTANCE] * most()[DISTANCE]
        return (self.seen[:, RED] > 0) & (distance >= 0) & (distance < way)

    def _happened(self, now: np.ndarray) -> np.ndarray:
        """Which of contact and off-road (B, 2) begin for the first time; what the log starts in does not count."""
        first = now & self.free & ~self.touched
        self.touched = self.touched | first
        self.free = self.free | ~now
        return first

    def _arrives(self) -> np.ndarray:
        which, batch = self.batch.which, self.batch
        aim = self.aims[which] - self.begins[which]
        out = (aim >= SHORTEST) & (self.made >= aim)
        for b, u in enumerate(which):
            goals = self.world.scenarios[u].scene.briefing.goals
            if goals:
                ego, time = batch.now[b, 0], batch.steps[b] * self.dt[u]
                speed = float(np.hypot(ego["vx"], ego["vy"]))
                out[b] = reached(goals, np.array([ego["x"], ego["y"]]), ego["yaw"], speed, time)
        return out

    def _causes(self) -> np.ndarray:
        """Why each drive is over, "" while it is not."""
        out = np.full(len(self.batch), "", object)
        out[self.batch.done.numpy()] = "end_of_log"
        happened = self._happenings()
        for end in reversed(CAUSES):
            if end in self.ends:
                out[happened[end]] = end
        return out


def _clear_at_start(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Whether the egos (U,) start out of contact, and on the road."""
    batch = world.start()
    boxes = np.stack([batch.now[name] for name in ("x", "y", "yaw", "length", "width")], -1)
    corners = box_corners(batch.xy[:, 0], batch.yaw[:, 0], batch.size[:, 0]).numpy()
    on_road = [world.records.areas.inside(u, corners[u]).all() for u in range(len(world))]
    return ~overlaps(boxes)[:, 0].any(1), np.array(on_road)
