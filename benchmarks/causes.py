"""Who ran into whom, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from drivesim.dynamics.contacts import overlaps
from drivesim.geometry import rotate, wrap_angle
from drivesim.types import CYCLES, OBJECTS, WALKERS, Agents, Rollout, is_kind

STANDS = 0.3
"""Slower is standing [m/s]."""

PARKED = 2.0
"""Whose log covers less is parked [m]."""

APPEARED = 10
"""Steps after which one has been there long enough for others to mind him."""


@dataclass(frozen=True)
class Collision:
    """The first contact of an agent: that which the log did not bring about, if there is one."""

    agent: int
    other: int
    step: int
    cause: str
    new: bool  # it began in the drive, and the boxes do not overlap in the log at this step
    logged: bool  # they do at some step


def touches(agents: Agents, decided: torch.Tensor) -> torch.Tensor:
    """(T, A, A) who overlaps whom, from when the first of the two has left its log; `decided` (T, A)."""
    reacted = decided.long().cumsum(0) > 0
    touch = torch.stack([overlaps(a) for a in agents])
    return touch & (reacted[:, :, None] | reacted[:, None])  # before that it is the log


def begun(agents: Agents, touch: torch.Tensor, logged: torch.Tensor) -> torch.Tensor:
    """Those of `touch` (T, A, A) that the log has not brought about: they begin while somebody decides, and the pair
    does not overlap in the log then."""
    before = torch.stack([overlaps(a) for a in agents[:-1]])
    return torch.cat([touch[:1], touch[1:] & ~before]) & ~logged


def collisions(
    agents: Agents, log: Agents, decided: torch.Tensor, struck: torch.Tensor, touch: torch.Tensor, new: torch.Tensor,
    logged: torch.Tensor, who: torch.Tensor,
) -> list[Collision]:  # fmt: skip
    """The first contact of each of `who` (A,), if there is one; agents and log (T, A), contacts (T, A, A)."""
    out = []
    for i in torch.nonzero(touch.any(-1).any(0) & who)[:, 0].tolist():
        fresh = bool(new[:, i].any())
        mine = (new if fresh else touch)[:, i]
        step = int(mine.any(-1).long().argmax())
        others = torch.nonzero(mine[step])[:, 0]
        near = (agents.xy[step, others] - agents.xy[step, i]).norm(dim=-1)
        j = int(others[near.argmin()])
        cause = cause_of(agents, log, decided, struck, step, i, j)
        out.append(Collision(i, j, step, cause, fresh, bool(logged[:, i, j].any())))
    return out


def first_hits(rollout: Rollout) -> torch.Tensor:
    """(A,) step, counted from the start of the drive, at which each agent was first struck; past the end if never."""
    out = torch.full(rollout.agents.valid.shape[1:], len(rollout.agents.valid))
    for event in reversed(rollout.contacts):
        out[list(event.agents)] = event.step - rollout.start
    return out


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
