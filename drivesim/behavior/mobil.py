"""Traffic that changes lanes: MOBIL on top of the drivers that follow their routes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drivesim.dynamics.logged import logged_bodies
from drivesim.dynamics.road_users import RoadUsers
from drivesim.memory.history import History
from drivesim.struct import Struct, tensor
from drivesim.traffic.following import SPACING
from drivesim.traffic.records import records_of
from drivesim.traffic.routes import BEFORE
from drivesim.traffic.tables import Drivers
from drivesim.types import VEHICLES, Action, Agents, Event, Scenario, Scene, State, is_kind

from .idm import IDMTraffic, Minds
from .lane_choice import Choice, Why, choose, lane_end
from .lane_graph import LaneGraph
from .mixed import Mixed
from .outlook import Outlook
from .reroute import put, rerouted


class Changes(Struct):
    """What drivers know about lanes, and the changes they made (written step by step)."""

    seed: Tensor = tensor()  # () int64
    phase: Tensor = tensor()  # (A,) int64 step within a period at which each one decides
    wanted: Tensor = tensor(event=1)  # (A, L) bool: lanes that lead where its log goes
    goal: Tensor = tensor(event=1)  # (A, L) bool: those in which its log ends
    logged: Tensor = tensor()  # (A,) arc length up to which the route is known to be road [m]
    until: Tensor = tensor()  # (A,) arc length at which the change under way is complete; -inf without
    rests: Tensor = tensor()  # (A,) int64 step before which it does not change again
    made: Tensor = tensor(event=1)  # (E, 5) int64: step, agent, lane it left, lane it went to, a Why


class LaneChangers(Minds):
    """What traffic knows and remembers that changes lanes."""

    changes: Changes = tensor(default=None)
    scenario: Any = None  # Scenario: routes are made from it on the way
    bodies: Any = None  # Body (T, A), as logged


@dataclass(frozen=True)
class MOBIL:
    """Minimizing Overall Braking Induced by Lane changes (Kesting, Treiber, Helbing 2007).

    A driver changes when the gain in its own acceleration, plus `politeness` times what that costs or gives the old
    and the new follower, exceeds `threshold`, and nobody has to brake harder than `safe_braking` for it. With `bias`
    the right lane is preferred by that much; `keep_right` forbids passing on the right, as in Europe. Politeness,
    threshold and safe braking are the paper's; the bias is 0.3 there, on roads where one keeps right.

    A change is a smooth path into the middle of the other lane that takes `duration` seconds (people take 1 to 13 s,
    5 to 6 on average: Toledo and Zohar 2007, NGSIM), and `rest` seconds pass before the next. `traffic` (`IDMTraffic`
    or `Mixed`) says who decides at all and how it drives.
    """

    traffic: IDMTraffic | Mixed = field(default_factory=IDMTraffic)
    politeness: float = 0.2
    threshold: float = 0.1  # [m/s^2]
    safe_braking: float = 4.0  # [m/s^2]
    bias: float = 0.0  # to the right [m/s^2]
    keep_right: bool = False
    period: float = 0.5  # between two looks at the other lanes [s]
    duration: float = 5.0  # [s]
    rest: float = 5.0  # [s]
    body: RoadUsers = field(default_factory=RoadUsers)

    def begin(self, state: State, scenario: Scenario, seed: int) -> State:
        begun = self.traffic.begin(state, scenario, seed)
        minds, every = begun.mind, _steps(self.period, scenario.scene.briefing.dt)
        assert isinstance(minds, Minds)
        known = {f.name: getattr(minds, f.name) for f in fields(minds)}
        changes = _changes_of(minds, scenario, seed, every)
        mind = LaneChangers(**known, changes=changes, scenario=scenario, bodies=logged_bodies(scenario))
        return begun.replace(mind=mind)

    def act(self, state: State, history: History, scene: Scene) -> tuple[Action, State]:
        minds = state.mind
        assert isinstance(minds, LaneChangers)
        return self.traffic.act(state.replace(mind=self._changed(minds, state, scene)), history, scene)

    def _changed(self, minds: LaneChangers, state: State, scene: Scene) -> LaneChangers:
        """With new routes of those who change lanes now."""
        due = self._due(minds, state, scene)
        if not len(due):
            return minds
        outlook = Outlook.of(minds, state, scene, getattr(self.traffic, "traffic", self.traffic).driver)
        before = minds
        for i in due.tolist():
            stop = lane_end(outlook, i)
            if stop < float(minds.drivers.end[i]) - 1.0:
                minds = minds.replace(drivers=_waiting(minds.drivers, i, stop))
        wanted = [c for i in due.tolist() if (c := choose(self, outlook, i)) is not None]
        taken: list[Choice] = []
        for choice in sorted(wanted, key=lambda c: (-c.gain, c.agent)):
            if all(_apart(choice, other, state.agents) for other in taken):
                taken.append(choice)
                minds = _take(minds, choice, state, _steps(self.duration + self.rest, outlook.dt))
        if minds is before:
            return minds
        return minds.replace(records=records_of([minds.scenario], [minds.drivers], [minds.bodies]))

    def _due(self, minds: LaneChangers, state: State, scene: Scene) -> Tensor:
        """Who (N,) looks at the other lanes now: it drives by itself, does not rest and has no change under way."""
        agents, changes, s, step = state.agents, minds.changes, minds.progress.s, int(state.step)
        every = _steps(self.period, scene.briefing.dt)
        fit = minds.switches.done & minds.drivers.active & agents.valid & is_kind(agents.kind, VEHICLES)
        free = (changes.rests <= step) & (changes.until < s)  # never true where s is NaN
        return torch.nonzero(fit & free & (changes.phase == step % every))[:, 0]


def events(minds: LaneChangers, scenario: Scenario, agents: Agents) -> tuple[Event, ...]:
    """The lane changes as events, in order; `agents` (T, A) of the drive say where."""
    out = []
    for step, who, left, to, why in minds.changes.made.tolist():
        x, y = agents.xy[step, who].tolist()
        detail = {"track": scenario.track_ids[who], "from": left, "to": to, "why": Why(why).name.lower()}
        out.append(Event("lane_change", step, (who,), (x, y), detail))
    return tuple(out)


def _changes_of(minds: Minds, scenario: Scenario, seed: int, every: int) -> Changes:
    """Of drivers at the start: nobody has changed."""
    drivers, n = minds.drivers, len(minds.drivers.length)
    graph = LaneGraph.of(scenario.scene.map)
    logged = torch.minimum(drivers.along[-1], drivers.length)
    lead = np.ones((2, n, graph.count), bool)
    phase = torch.zeros(n, dtype=torch.int64)
    for i in torch.nonzero(is_kind(scenario.log.kind.amax(0), VEHICLES) & drivers.active)[:, 0].tolist():
        phase[i] = int(np.random.default_rng([seed, i, 2]).integers(every))
        last = max(int(logged[i] / SPACING), int(BEFORE / SPACING) + 1)
        lead[:, i] = graph.wanted(drivers.points[i, int(BEFORE / SPACING) : last + 1])
    return Changes(
        seed=torch.tensor(seed), phase=phase, wanted=torch.from_numpy(lead[0]), goal=torch.from_numpy(lead[1]),
        logged=logged, until=torch.full((n,), -torch.inf), rests=torch.zeros(n, dtype=torch.int64),
        made=torch.zeros(0, 5, dtype=torch.int64),
    )  # fmt: skip


def _take(minds: LaneChangers, choice: Choice, state: State, rests: int) -> LaneChangers:
    """With the route of `choice`, which is written down; what past states know stays as it is."""
    i, step, changes, change = choice.agent, int(state.step), minds.changes, choice.change
    done = change.s + change.length
    drivers, progress = rerouted(
        minds.drivers, minds.progress, i, (change.points, change.s, done), state.agents, minds.scenario,
        torch.from_numpy(choice.follows),
    )  # fmt: skip
    seen = torch.nonzero(minds.scenario.log.valid[:, i])[:, 0]
    drivers = drivers.replace(last=put(drivers.last, i, int(seen.max())))
    row = torch.tensor([[step, i, choice.left, choice.to, int(choice.why)]])
    changes = changes.replace(
        logged=put(changes.logged, i, -torch.inf), until=put(changes.until, i, done),
        rests=put(changes.rests, i, step + rests), made=torch.cat([changes.made, row]),
    )  # fmt: skip
    return minds.replace(drivers=drivers, progress=progress, changes=changes)


def _waiting(drivers: Drivers, i: int, stop: float) -> Drivers:
    """With driver `i`, whose lane ends, waiting at arc length `stop`: even after its log it does not leave there."""
    return drivers.replace(end=put(drivers.end, i, stop), last=put(drivers.last, i, torch.iinfo(torch.int64).max))


def _apart(a: Choice, b: Choice, agents: Agents) -> bool:
    """Whether two changes at the same moment have nothing to do with each other."""
    near = 2.0 * float(agents.velocity[[a.agent, b.agent]].norm(dim=-1).max()) + 20.0
    return float((agents.xy[a.agent] - agents.xy[b.agent]).norm()) > near


def _steps(seconds: float, dt: float) -> int:
    return max(round(seconds / dt), 1)
