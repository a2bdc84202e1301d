"""The rollout's own past: a pure, growing record of states and plans."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drivesim.types import Agents, Body, Plan, State


@dataclass(frozen=True, eq=False)
class History:
    """States of every step so far, the present one last, and the plans with the step at which each was made."""

    states: tuple[State, ...] = ()
    plans: tuple[Plan, ...] = ()
    plan_steps: tuple[int, ...] = ()

    def add(self, state: State) -> History:
        return replace(self, states=(*self.states, state))

    def add_plan(self, plan: Plan, step: int) -> History:
        return replace(self, plans=(*self.plans, plan), plan_steps=(*self.plan_steps, step))

    def agents(self, last: int | None = None) -> Agents:
        """(T, ..., A) of all steps, or of the `last` ones."""
        return Agents.stack([s.agents for s in self.states[-(last or len(self.states)) :]])

    def body(self, last: int | None = None) -> Body:
        return Body.stack([s.body for s in self.states[-(last or len(self.states)) :]])
