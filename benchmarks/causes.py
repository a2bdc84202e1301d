"""Who ran into whom, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from drivesim.dynamics.contacts import overlaps
from drivesim.geometry import rotate, wrap_angle
from drivesim.types import CYCLES, OBJECTS, WALKERS, Agents, is_kind

STANDS = 0.3
"""Slower is standing [m/s]."""

PARKED = 2.0
"""Whose log covers less is parked [m]."""

APPEARED = 10
"""Steps after which one has been there long enough for others to mind him."""


@dataclass(frozen=True)
class Collision:
    """The first contact of an agent."""

    agent: int
    other: int
    step: int
    cause: str
    logged_now: bool  # their boxes overlap in the log at this step
    logged_ever: bool  # or at some step


def touches(agents: Agents, decided: torch.Tensor) -> torch.Tensor:
    """(T, A, A) who overlaps whom, from when the first of the two has left its log; `decided` (T, A)."""
    reacted = decided.long().cumsum(0) > 0
    touch = torch.stack([overlaps(a) for a in agents])
    return touch & (reacted[:, :, None] | reacted[:, None])  # before that it is the log


def collisions(
    agents: Agents, log: Agents, decided: torch.Tensor, touch: torch.Tensor, logged: torch.Tensor, who: torch.Tensor
) -> list[Collision]:
    """The first contact of each of `who` (A,), if there is one; agents and log (T, A), contacts (T, A, A)."""
    out, struck = [], first_contact(touch)
    for i in torch.nonzero(touch.any(-1).any(0) & who)[:, 0].tolist():
        step = int(touch[:, i].any(-1).long().argmax())
        others = torch.nonzero(touch[step, i])[:, 0]
        near = (agents.xy[step, others] - agents.xy[step, i]).norm(dim=-1)
        j = int(others[near.argmin()])
        cause = cause_of(agents, log, decided, struck, step, i, j)
        out.append(Collision(i, j, step, cause, bool(logged[step, i, j]), bool(logged[:, i, j].any())))
    return out


def first_contact(touch: torch.Tensor) -> torch.Tensor:
    """(A,) step of each agent's first contact, the number of steps where there is none."""
    any_ = touch.any(-1)
    return torch.where(any_.any(0), any_.long().argmax(0), len(touch))


def cause_of(agents: Agents, log: Agents, decided, struck, step: int, i: int, j: int) -> str:
    """In a few words, how i and j came to touch at a step; the same for (j, i)."""
    pair = torch.tensor([i, j])
    now, kind = agents[step][pair], agents.kind[step, pair]
    afoot, cycles = is_kind(kind, WALKERS), is_kind(kind, CYCLES)
    if bool((struck[pair] < step - 1).any()):
        return "one had been hit before"
    if 0 in (i, j):
        return "with the ego"
    if bool(is_kind(kind, OBJECTS).any()):
        return "with a thing"
    whole = log.valid[:, pair]
    moved = [float((x[-1] - x[0]).norm()) for x in (log.xy[whole[:, k], pair[k]] for k in (0, 1)) if len(x)]
    parked = [m < PARKED and not bool(decided[step, k]) for m, k in zip(moved, (i, j), strict=False)]
    deaf = [not bool(decided[step, k]) for k in (i, j)]
    if bool(afoot.all()):
        return "two on foot" + (", one by its log" if any(deaf) else "")
    if bool(afoot.any()):
        k = int(afoot.long().argmin())  # who is not on foot
        return "on foot with " + ("a parked one" if parked[k] else "one by its log" if deaf[k] else "a driver")
    appeared = ~agents.valid[max(step - APPEARED, 0), pair]
    if bool(appeared.any()) and step > 0:
        return "one had just appeared"
    if any(parked):
        return "with a parked one"
    ends = ", one by its log" if any(deaf) else ""
    return ("with a cycle: " if bool(cycles.any()) else "") + relation(now) + ends


def relation(now: Agents) -> str:
    """Of two (2,) who touch: how they lie to each other."""
    turn = float(wrap_angle(now.yaw[1] - now.yaw[0]).abs())
    if turn > 2.6:
        return "oncoming"
    if turn > 0.8:
        return "crossing"
    local = [rotate(now.xy[1 - k] - now.xy[k], -now.yaw[k]) for k in (0, 1)]
    behind = 0 if float(local[0][0]) > 0 else 1
    half = float(now.size[:, 1].sum()) / 2
    beside = abs(float(local[behind][1]))
    if beside < 0.6 * half:
        return "one behind the other" if turn < 0.3 else "merging"
    return "side by side" if turn < 0.3 else "merging"
