"""Triggers: groups of conditions, each a test with an edge and a delay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .catalogs import Catalogs
from .checks import ByEntity, Check, Never, Test, TimeIs, ValueIs
from .conditions import BY_ENTITY, read_rule
from .nodes import Node

EDGES = ("rising", "falling", "risingOrFalling", "none")

TYPES = ("story", "act", "maneuverGroup", "maneuver", "event", "action")
STATES = {
    "completeState": "complete", "runningState": "running", "standbyState": "standby",
    "startTransition": "start", "endTransition": "end", "stopTransition": "stop", "skipTransition": "skip",
}  # fmt: skip


@dataclass(frozen=True)
class ElementIs:
    """An element of the storyboard is in a state or has just changed its state."""

    type: str
    name: str
    state: str
    where: str


@dataclass(frozen=True)
class Condition:
    number: int  # of all conditions of the storyboard
    name: str
    edge: str
    delay: float  # [s]
    test: Test | ElementIs


@dataclass(frozen=True)
class Trigger:
    """True when all conditions of any group are."""

    groups: tuple[tuple[Condition, ...], ...]

    @cached_property
    def asleep_until(self) -> float:
        """Seconds before which it cannot be true and need not be looked at: it only waits for a time."""
        return min(max((_asleep(c) for c in group), default=0.0) for group in self.groups) if self._clocked else 0.0

    @property
    def _clocked(self) -> bool:
        return all(_asleep(c) > -math.inf for group in self.groups for c in group)


def _asleep(c: Condition) -> float:
    late = isinstance(c.test, TimeIs) and c.test.rule in ("greaterThan", "greaterOrEqual")
    return c.test.value - 1e-6 if late and c.edge == "none" and c.delay == 0 else -math.inf  # type: ignore[union-attr]


class TriggerReader:
    """Reads the triggers of one storyboard; what is not supported is refused by name."""

    def __init__(
        self,
        names: Mapping[str, object],
        selections: Mapping[str, list[str]],
        catalogs: Catalogs,
        variables: set[str],
        problems: list[str],
    ) -> None:
        self.problems = problems
        self.names, self.selections, self.catalogs, self.variables = names, selections, catalogs, variables
        self.conditions: list[Condition] = []

    def read(self, node: Node | None) -> Trigger | None:
        """None where there is no trigger, or one without conditions."""
        groups = (
            [tuple(self._condition(x) for x in g.all("Condition")) for g in node.all("ConditionGroup")] if node else []
        )
        groups = [g for g in groups if g]
        return Trigger(tuple(groups)) if groups else None

    def _condition(self, node: Node) -> Condition:
        edge, delay = node.choice("conditionEdge", EDGES, "none"), node.number("delay", 0.0)
        if delay < 0:
            node.fail("has a negative delay")
        inner = node.only()
        test: Test | ElementIs
        if node.label().startswith("criteria_"):
            test = self._criterion(node)
        else:
            test = self._by_value(inner.only()) if inner.tag == "ByValueCondition" else self._by_entity(inner)
        condition = Condition(len(self.conditions), node.label(), edge, delay, test)
        self.conditions.append(condition)
        return condition

    def _criterion(self, node: Node) -> Never:
        """Of CARLA's scenario runner: conditions of this name list what it judges a drive by and never come true."""
        told = "the criteria of CARLA's scenario runner in its stop trigger are left out"
        if told not in self.problems:
            self.problems.append(told)
        return Never()

    def _by_value(self, node: Node) -> Test | ElementIs:
        if node.tag == "SimulationTimeCondition":
            return TimeIs(node.number("value"), read_rule(node))
        if node.tag == "StoryboardElementStateCondition":
            type = node.choice("storyboardElementType", TYPES)
            state = STATES[node.choice("state", STATES)]
            return ElementIs(type, node.text("storyboardElementRef"), state, node.where)
        if node.tag in ("ParameterCondition", "VariableCondition"):
            name = node.reference("parameterRef" if node.tag == "ParameterCondition" else "variableRef")
            if name not in self.variables:
                node.fail(f"names '{name}', which is not declared")
            return ValueIs(name, node.text("value"), read_rule(node))
        node.refuse()

    def _by_entity(self, node: Node) -> ByEntity:
        if node.tag != "ByEntityCondition":
            node.refuse()
        who = node.need("TriggeringEntities")
        names: list[str] = []
        for x in who.all("EntityRef"):
            name = x.text("entityRef")
            names += self.selections.get(name, [name])
            if name not in self.names and name not in self.selections:
                x.fail(f"names the entity '{name}', which there is not")
        inner = node.need("EntityCondition").only()
        if inner.tag not in BY_ENTITY:
            inner.refuse()
        check: Check = BY_ENTITY[inner.tag](inner, self.names, self.catalogs)
        return ByEntity(tuple(names), who.choice("triggeringEntitiesRule", ("any", "all", "none"), "any"), check)
