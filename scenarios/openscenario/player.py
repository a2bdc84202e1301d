"""Plays a storyboard in fine steps: what triggers, what runs, where everybody is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivesim.errors import InputError

from .actions import FollowTrajectory, Presence, SetSpeed, SetValue, Teleport
from .bodies import Body
from .distances import Extent, extent
from .driving import driven
from .entities import Entity
from .line import Spot
from .lines import Lines
from .positions import Position, place
from .running import Shift, Stage, Track
from .starting import start, start_global
from .storyboard import Element, Storyboard
from .watching import COMPLETE, FINE, RUNNING, STANDBY, holds

NOWHERE = Body(Spot(0.0, 0.0, 0.0, 0.0))
"""Of who is not there."""


@dataclass(frozen=True)
class Story:
    """How far a play has come: immutable, so that a rollout can be forked at any step."""

    step: int
    bodies: tuple[tuple[str, Body], ...]
    stages: tuple[tuple[str, tuple[int, Stage]], ...]
    ways: tuple[tuple[str, tuple[int, Shift | Track]], ...]
    states: tuple[int, ...]
    counts: tuple[int, ...]
    memory: tuple[tuple[int, tuple], ...]
    changes: tuple[tuple[int, int, int, str], ...]
    variables: tuple[tuple[str, str], ...]
    over: bool
    driven: bool
    names: tuple[str, ...] = ()  # of the agents, the ego's first


class Play:
    """A storyboard being played. A World for conditions and for running actions."""

    def __init__(self, board: Storyboard, lines: Lines, story: Story | None = None, strict: bool = True) -> None:
        self.board, self.lines, self.strict = board, lines, strict
        self.entities: dict[str, Entity] = board.entities
        self.extents: dict[str, Extent] = {name: extent(e) for name, e in board.entities.items()}
        self.places: dict[Position, Body] = {}
        self.unwatched = board.unwatched
        self.awake: list[int] | None = None  # elements to visit as long as nothing changes; None for all
        self.under_way: set[int] | None = None  # actions under way when nothing else was complete
        self.told: list[str] = []
        self.triggered: set[str] = set()
        if story is None:
            self._begin()
        else:
            self._resume(story)

    @property
    def time(self) -> float:
        return round(self.step * FINE, 9)

    def place(self, position: Position) -> Body:
        if position.entity:
            try:
                return Body(place(position, self.lines, self.bodies), present=self.bodies[position.entity].present)
            except InputError:
                return NOWHERE  # off the road for now
        if position not in self.places:
            self.places[position] = Body(place(position, self.lines, self.bodies), present=True)
        return self.places[position]

    def track_of(self, name: str) -> Track | None:
        way = self.ways.get(name)
        return way[1] if way is not None and isinstance(way[1], Track) and not way[1].times else None

    def limited(self, name: str, speed: float) -> float:
        fastest = self.entities[name].fastest
        return min(max(speed, -fastest), fastest)

    def set_speed(self, name: str, number: int, stage: Stage | None) -> None:
        """What sets the speed of an entity from now on; whatever did so before has ended."""
        self.stages.pop(name, None)
        way = self.ways.get(name)
        if way is not None and isinstance(way[1], Track) and way[1].times:
            self._leave(name)
        if stage is not None:
            self.stages[name] = (number, stage)

    def set_way(self, name: str, number: int, way: Shift | Track | None) -> None:
        """Where an entity goes beside its lane from now on; whatever said so before has ended."""
        self._leave(name)
        if way is not None:
            self.ways[name] = (number, way)

    def drop(self, name: str) -> None:
        """End whatever moves an entity."""
        self.stages.pop(name, None)
        self._leave(name)

    def _leave(self, name: str) -> None:
        """End the way of an entity. Along a trajectory it is not located in every step: it goes on from where it is."""
        _, way = self.ways.pop(name, (0, None))
        led = isinstance(way, Track) and not way.waiting and self.bodies[name].present
        if led and not (self.driven and name == self.board.ego):
            self.bodies[name] = self.bodies[name]._replace(spot=self.lines.locate(*way.at()))

    def freeze(self, names: tuple[str, ...] = ()) -> Story:
        return Story(
            self.step, tuple(self.bodies.items()), tuple(self.stages.items()), tuple(self.ways.items()),
            tuple(self.states), tuple(self.counts), tuple(self.memory.items()), tuple(self.changes),
            tuple(self.variables.items()), self.over, self.driven, names,
        )  # fmt: skip

    def tick(self) -> None:
        """Decide what happens now, then go one fine step on."""
        if not self.over:
            self._decide()
        self._advance()

    def drive_ego(self, spot: Spot, speed: float, acceleration: float, velocity: tuple[float, float]) -> None:
        """Put the ego where a planner has driven it: from now on the story only looks at it."""
        body = self.bodies[self.board.ego]
        self.driven = True
        self.bodies[self.board.ego] = body._replace(
            spot=spot, speed=speed, acceleration=acceleration, velocity=velocity, present=True
        )

    # The beginning

    def _resume(self, story: Story) -> None:
        self.step, self.over, self.driven = story.step, story.over, story.driven
        self.bodies, self.stages, self.ways = dict(story.bodies), dict(story.stages), dict(story.ways)
        self.states, self.counts, self.memory = list(story.states), list(story.counts), dict(story.memory)
        self.changes, self.variables = list(story.changes), dict(story.variables)

    def _begin(self) -> None:
        self.step, self.over, self.driven = 0, False, False
        self.bodies: dict[str, Body] = dict.fromkeys(self.entities, NOWHERE)
        self.stages: dict[str, tuple[int, Stage]] = {}
        self.ways: dict[str, tuple[int, Shift | Track]] = {}
        self.states = [STANDBY] * len(self.board.elements)
        self.counts = [0] * len(self.board.elements)
        self.memory: dict[int, tuple] = {}
        self.changes: list[tuple[int, int, int, str]] = []  # step, number in sequence, element, transition
        self.variables: dict[str, str] = dict(self.board.variables)
        for condition in self.board.conditions:  # a place that does not exist is told before anything runs
            check = getattr(condition.test, "check", None)
            for aim in (getattr(check, "position", None), getattr(check, "target", None)):
                if isinstance(aim, Position) and not aim.entity:
                    self.place(aim)
        self._place_all()
        for name, body in self.bodies.items():
            c, s = math.cos(body.yaw), math.sin(body.yaw)
            self.bodies[name] = body._replace(jumped=False, velocity=(body.speed * c, body.speed * s))

    def _place_all(self) -> None:
        """The initial actions: all places first, those that others are relative to before them, then the rest."""
        waiting = [(n, a) for n, a in self.board.init if isinstance(a, Teleport)]
        while waiting:
            ready = [(n, a) for n, a in waiting if not a.position.entity or self.bodies[a.position.entity].present]
            if not ready:
                raise InputError(f"{self.board.file}: Init: {waiting[0][0]} is placed relative to who has no place")
            for name, action in ready:
                start(self, action, name, -1)
            waiting = [x for x in waiting if x not in ready]
        # speeds that are relative to others' come after those
        for name, action in sorted(self.board.init, key=lambda x: isinstance(x[1], SetSpeed) and bool(x[1].reference)):
            if isinstance(action, Presence | SetValue):
                start_global(self, action)
            elif name and not isinstance(action, Teleport):
                start(self, action, name, -1)

    # What triggers

    def _decide(self) -> None:
        self.changes = [c for c in self.changes if c[0] >= self.step - 1]
        self._complete()
        if self.board.stop is not None and holds(self, self.board.stop):
            self.over = True
            self.stages = {}
            for name in list(self.ways):
                self._leave(name)
            return
        stories = self.board.stories
        if self.board.stop is None and stories and all(self.states[x.number] == COMPLETE for x in stories):
            self.over = True  # as players do where nothing says when to stop
        self._visit_all()

    def _visit_all(self) -> None:
        """Visit all elements in their order; while nothing changes only those that may start or stop."""
        elements, begin = self.board.elements, 0
        if self.awake is not None:
            for number in self.awake:
                self._visit(elements[number])
                if self.awake is None:
                    begin = number + 1
                    break
            else:
                return
        for e in elements[begin:]:
            self._visit(e)
        self.awake = [e.number for e in elements if self._may(e)]

    def _may(self, e: Element) -> bool:
        """Whether a visit may do anything in the states that all are in."""
        state = self.states[e.number]
        under = e.parent < 0 or self.states[e.parent] == RUNNING
        waits = state == STANDBY or (state == RUNNING and e.type == "act" and e.stop is not None)
        return e.type != "action" and under and waits

    def _visit(self, e: Element) -> None:
        asleep = e.start is not None and e.stop is None and self.time < e.start.asleep_until
        if asleep or not self._may(e):
            return
        state = self.states[e.number]
        if state == STANDBY and e.type == "event":
            if holds(self, e.start):
                self._start_event(e)
        elif state == STANDBY and (e.type != "act" or holds(self, e.start)):
            self._change(e, RUNNING, "start")
        elif e.stop is not None and holds(self, e.stop):
            self._stop(e)

    def _start_event(self, e: Element) -> None:
        elements = self.board.elements
        others = [elements[i] for i in elements[e.parent].children if i != e.number and self.states[i] == RUNNING]
        if others and e.priority == "skip":
            self.changes.append((self.step, self._sequence(), e.number, "skip"))
            return
        for other in others if e.priority in ("overwrite", "override") else ():
            self._stop(other)
            if self.counts[other.number] < other.repeats:
                self.states[other.number] = STANDBY
        group = elements[elements[e.parent].parent]
        actors = dict.fromkeys([*group.actors, *(sorted(self.triggered) if group.triggering else [])])
        self.counts[e.number] += 1
        self._change(e, RUNNING, "start")
        for i in e.children:
            self._change(elements[i], RUNNING, "start")
            self._act(elements[i], list(actors))

    def _act(self, e: Element, actors: list[str]) -> None:
        if isinstance(e.action, Presence | SetValue):
            start_global(self, e.action)
            return
        for name in actors:
            if not self.bodies[name].present and not isinstance(e.action, Teleport | FollowTrajectory):
                continue
            try:
                start(self, e.action, name, e.number)  # type: ignore[arg-type]
            except InputError as error:
                if self.strict:
                    raise InputError(f"{self.board.file}: action '{e.name}' at {self.time:.2f} s: {error}") from None
                self.told.append(f"action '{e.name}' could not start at {self.time:.2f} s: {error}")

    def _complete(self) -> None:
        """End what has come to its end, from actions up to stories."""
        running = {n for n, _ in self.stages.values()} | {n for n, _ in self.ways.values()}
        if running == self.under_way:
            return
        self.under_way = running
        for e in reversed(self.board.elements):
            if self.states[e.number] != RUNNING:
                continue
            if e.type == "action":
                if e.number not in running:
                    self._change(e, COMPLETE, "end")
            elif all(self.states[i] == COMPLETE for i in e.children):
                self._end(e)

    def _end(self, e: Element) -> None:
        if e.type == "maneuverGroup":
            self.counts[e.number] += 1
        again = e.type in ("event", "maneuverGroup") and self.counts[e.number] < e.repeats
        self._change(e, STANDBY if again else COMPLETE, "end")
        if again and e.type == "maneuverGroup":
            for i in self._below(e):
                self.states[i], self.counts[i] = STANDBY, 0

    def _stop(self, e: Element) -> None:
        """Stop an element and all below it."""
        self.awake = self.under_way = None
        below = set(self._below(e)) | {e.number}
        self.stages = {k: v for k, v in self.stages.items() if v[0] not in below}
        for name in [k for k, v in self.ways.items() if v[0] in below]:
            self._leave(name)
        for i in sorted(below):
            if self.states[i] == RUNNING:
                self._change(self.board.elements[i], COMPLETE, "stop")
            self.states[i] = COMPLETE

    def _below(self, e: Element) -> list[int]:
        out = list(e.children)
        for i in e.children:
            out += self._below(self.board.elements[i])
        return out

    def _change(self, e: Element, state: int, transition: str) -> None:
        self.awake = self.under_way = None
        self.states[e.number] = state
        self.changes.append((self.step, self._sequence(), e.number, transition))
        if transition == "start":
            for i in e.children:  # an event that is executed again starts afresh
                self.states[i] = STANDBY if e.type == "event" else self.states[i]

    def _sequence(self) -> int:
        return self.changes[-1][1] + 1 if self.changes else self.step * 100_000

    # Where everybody goes

    def _advance(self) -> None:
        self.bodies = {name: driven(self, name, b) if b.present else b for name, b in self.bodies.items()}
        self.step += 1
