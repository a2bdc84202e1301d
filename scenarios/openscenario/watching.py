"""Whether triggers are true: conditions with their edges and delays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivesim.types import DT

from .triggers import Condition, ElementIs, Trigger

if TYPE_CHECKING:
    from .player import Play

FINE = 0.01
"""Seconds of a step of the story: the one in which the reference player states its times."""

PER_STEP = round(DT / FINE)

STANDBY, RUNNING, COMPLETE = range(3)
_STATES = {"standby": STANDBY, "running": RUNNING, "complete": COMPLETE}


def holds(play: Play, trigger: Trigger | None) -> bool:
    """Whether a trigger is true now; what has none starts at once."""
    if trigger is None:
        return True
    play.triggered = set()
    # every condition looks every time, so that its edges and delays are right
    results = [[_met(play, c) for c in group] for group in trigger.groups]
    return any(all(x) for x in results)


def _met(play: Play, c: Condition) -> bool:
    last, seen, past = play.memory.get(c.number, (None, -1, ()))
    if isinstance(c.test, ElementIs):
        now, seen, last = _element_is(play, c, seen, last)
    else:
        who = c.test.holds(play)
        now = who is not None
        play.triggered |= who or set()
    result = now
    if c.edge != "none":
        rose, fell = last is False and now, last is True and not now
        result = {"rising": rose, "falling": fell, "risingOrFalling": rose or fell}[c.edge]
    if c.delay > 0:
        if not past or past[-1][1] != result:
            past = (*past, (play.step, result))
        then = play.step - round(c.delay / FINE)
        while len(past) > 1 and past[1][0] <= then:
            past = past[1:]
        result = past[0][1] if past[0][0] <= then else False
    play.memory[c.number] = (now, seen, past)
    return result


def _element_is(play: Play, c: Condition, seen: int, last: bool | None) -> tuple[bool, int, bool | None]:
    """Whether elements are in a state, or changed so since this condition last looked."""
    assert isinstance(c.test, ElementIs)
    numbers = play.board.refers[c.number]
    if c.test.state in _STATES:
        return any(play.states[i] == _STATES[c.test.state] for i in numbers), seen, last
    fresh = [x for x in play.changes if x[1] > seen]
    found = any(x[2] in numbers and x[3] == c.test.state for x in fresh)
    # a transition is an edge by itself: before it there was none
    return found, play.changes[-1][1] if play.changes else seen, False
