"""Triggers: groups of conditions, each a test with an edge and a delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .catalogs import Catalogs
from .checks import BY_ENTITY, ByEntity, Check, Test, TimeIs, ValueIs, read_rule
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


class TriggerReader:
    """Reads the triggers of one storyboard; what is not supported is refused by name."""

    def __init__(
        self, names: Mapping[str, object], selections: Mapping[str, list[str]], catalogs: Catalogs, variables: set[str]
    ) -> None:
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
        test = self._by_value(inner.only()) if inner.tag == "ByValueCondition" else self._by_entity(inner)
        condition = Condition(len(self.conditions), node.label(), edge, delay, test)
        self.conditions.append(condition)
        return condition

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
