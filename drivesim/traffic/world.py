"""Thousands of scenes that are advanced together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from drivesim.dynamics.logged import logged_bodies
from drivesim.errors import InputError
from drivesim.traffic.following import IDM
from drivesim.traffic.population import Population
from drivesim.types import Body, Scenario

from .crowd import crowd
from .kernel.advance import step_scenes
from .records import Records, motion, records_of
from .tables import Drivers, Progress, drivers_of

_THREADS = 1


def set_threads(count: int) -> None:
    """Over how many threads `step` spreads scenes; results do not depend on it."""
    import numba

    global _THREADS
    if not 1 <= count <= numba.config.NUMBA_NUM_THREADS:
        raise InputError(f"{count} threads: 1 to {numba.config.NUMBA_NUM_THREADS} are possible here")
    numba.set_num_threads(count)
    _THREADS = count


def spreads(batch: Batch) -> bool:
    """Whether kernels run over several threads on this batch."""
    return _THREADS > 1 and len(batch) > 1


@dataclass(frozen=True, eq=False)
class World:
    """What does not change: scenes, their drivers' routes and manners, the log."""

    scenarios: tuple[Scenario, ...]
    drivers: tuple[Drivers, ...]
    bodies: tuple[Body, ...]  # (T, A) of the log
    driver: IDM = IDM()

    @staticmethod
    def of(
        scenarios: Sequence[Scenario], seed: int = 0, agents: int | None = None, population: Population | None = None,
        moving: float = 2.0,
    ) -> World:  # fmt: skip
        """Scenes to advance together; with `agents` each keeps the ego and those that come nearest to its logged way.

        Manners are drawn from the `population` (all alike but for 10 % in pace and headway if none is given), and
        branches from the lane graph, by the seed; who moves less than `moving` metres in its log is parked.
        """
        if not scenarios:
            raise InputError("there is no scenario to make traffic of")
        population = population or Population.clones(IDM(), 0.1)
        kept = tuple(crowd(s, agents) if agents else s for s in scenarios)
        style = [population.draw(s.log.kind.amax(0), seed) for s in kept]
        drivers = tuple(drivers_of(s, seed, x, moving) for s, x in zip(kept, style, strict=True))
        return World(kept, drivers, tuple(logged_bodies(s) for s in kept), population.driver)

    def __len__(self) -> int:
        return len(self.scenarios)

    @property
    def agents(self) -> int:
        """Agents per scene; scenes with fewer have rows that are never valid."""
        return self.records.agents.shape[1]

    @cached_property
    def records(self) -> Records:
        return records_of(self.scenarios, self.drivers, self.bodies)

    def start(self, which: Tensor | Sequence[int] | None = None) -> Batch:
        """A batch of the scenes `which` (B,) at their start, each scene once if none are named."""
        chosen = np.arange(len(self)) if which is None else np.asarray(which, np.int64)
        if chosen.ndim != 1 or len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise InputError(f"which scenes: indices from 0 to {len(self) - 1} are expected")
        now, stood = self._starts
        steps = self.records.scenes["start"][chosen].copy()
        return Batch(self, chosen.copy(), now[chosen], stood[chosen], steps)

    @cached_property
    def _starts(self) -> tuple[np.ndarray, np.ndarray]:
        """Everybody (U, A) at the start of its scene, and seconds stood (U, A, M)."""
        most = self.agents
        now = np.zeros((len(self), most), self._row(0).dtype)
        for name in ("x", "y", "yaw", "vx", "vy", "s"):
            now[name] = np.nan
        for u in range(len(self)):
            row = self._row(u)
            now[u, : len(row)] = row
        return now, np.zeros((len(self), most, self.records.most_lines))

    def _row(self, u: int) -> np.ndarray:
        scenario = self.scenarios[u]
        return motion(scenario.log[scenario.start], self.bodies[u][scenario.start], Progress.none(self.drivers[u]))


@dataclass(frozen=True, eq=False)
class Batch:
    """B scenes now. Tensors are views: read them, and advance by `step`."""

    world: World
    which: np.ndarray  # (B,) int64, index of each scene in the world
    now: np.ndarray  # (B, A) records.MOTION
    stood: np.ndarray  # (B, A, M)
    steps: np.ndarray  # (B,) int64

    def __len__(self) -> int:
        return len(self.which)

    def _column(self, name: str) -> Tensor:
        return torch.from_numpy(self.now[name])

    @property
    def step(self) -> Tensor:
        """(B,) int64"""
        return torch.from_numpy(self.steps)

    @property
    def done(self) -> Tensor:
        """(B,) bool: the log is over; such a scene stays as it is."""
        return torch.from_numpy(self.steps >= self.world.records.scenes["steps"][self.which] - 1)

    @property
    def xy(self) -> Tensor:
        """(B, A, 2) middle of the boxes, world [m]; NaN where absent, as all of the following."""
        return torch.stack([self._column("x"), self._column("y")], -1)

    @property
    def velocity(self) -> Tensor:
        """(B, A, 2) [m/s]"""
        return torch.stack([self._column("vx"), self._column("vy")], -1)

    @property
    def size(self) -> Tensor:
        """(B, A, 2) length and width [m]"""
        return torch.stack([self._column("length"), self._column("width")], -1)

    @property
    def yaw(self) -> Tensor:
        """(B, A) [rad]"""
        return self._column("yaw")

    @property
    def speed(self) -> Tensor:
        """(B, A) along the heading [m/s]"""
        yaw = self.now["yaw"]
        return torch.from_numpy(self.now["vx"] * np.cos(yaw) + self.now["vy"] * np.sin(yaw))

    @property
    def steering(self) -> Tensor:
        """(B, A) [rad]"""
        return self._column("steering")

    @property
    def s(self) -> Tensor:
        """(B, A) arc length on the own route [m], NaN where not known (yet)."""
        return self._column("s")

    @property
    def valid(self) -> Tensor:
        """(B, A) bool: is there"""
        return self._column("valid")

    @property
    def collides(self) -> Tensor:
        """(B, A) bool: its box overlaps another's"""
        return self._column("collides")

    @property
    def off_road(self) -> Tensor:
        """(B, A) bool: a corner of its box, if it has wheels, is outside the drivable area"""
        return self._column("off_road")

    def rows(self, which: np.ndarray | Tensor) -> Batch:
        """The scenes `which` (K,) of this batch, by index or mask."""
        which = np.asarray(which)
        return replace(
            self, which=self.which[which], now=self.now[which], stood=self.stood[which], steps=self.steps[which]
        )


def step(batch: Batch, actions: Tensor | np.ndarray | None = None) -> Batch:
    """The batch a step later.

    actions (B, A, 2): acceleration [m/s^2] and steering angle [rad] of what has wheels, acceleration vector of who
    walks, cut to what each kind can do; NaN where the agent decides for itself: drivers by IDM, everybody else by the
    log. Scenes do not see each other, and results do not depend on how many there are.
    """
    now = batch.now.view(np.uint8).copy().view(batch.now.dtype)  # field by field it would take ten times as long
    stood, steps = batch.stood.copy(), batch.steps.copy()
    if actions is None:
        given = np.full((*now.shape, 2), np.nan)
    else:
        given = np.ascontiguousarray(actions, np.float64)
        if given.shape != (*now.shape, 2):
            raise InputError(f"actions of shape {given.shape}; {(*now.shape, 2)} is expected")
    r, world = batch.world.records, batch.world
    a = r.areas
    step_scenes(spreads(batch))(
        now, stood, steps, batch.which, given, r.scenes, r.agents, r.points, r.corridors, r.lines, r.zones, r.log,
        r.signals, r.walks, r.rings, a.records, a.starts, a.items, a.parity, a.segments, world.driver.max_braking,
        world.driver.exponent,
    )  # fmt: skip
    return Batch(world, batch.which, now, stood, steps)
