"""When an agent's log is no longer true, because somebody else has left his."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from drivesim.geometry import rotate, wrap_angle
from drivesim.struct import Struct, tensor
from drivesim.types import WALKERS, Agents, Event, Scenario, State, is_kind

from .clearance import Ways, ahead, clearance

ASTRAY = 0.3
"""From its logged place, beyond which a body has left its log [m]: the trackers stay within."""

CLOSE = 0.5
"""Between bodies, below which the logged future of one is not true any more, if it was more in the log [m]."""

CLOSER = 0.3
"""Than in the log, by which bodies have to come for the log to be untrue [m]."""

ON_FOOT = 2.0
"""How far ahead people on foot look [s]: they stop at once."""

TOUCH, SOON = 0.05, 0.6
"""Two on foot about to touch [m], this soon [s]: who follows the log minds who does not, however close they walked."""

LEADER = 3.0
"""From its logged place, beyond which a leader's follower needs to look for himself [m]."""


class Why(IntEnum):
    """Why an agent left its log."""

    BEGIN = 0  # it drove by itself from the start
    CONFLICT = 1  # on its logged way it would come closer to somebody than it did
    LEADER = 2  # the one it followed is elsewhere


class Switches(Struct):
    """Who left its log (written by `look`); each (A,) int64, -1 where it still follows its log."""

    step: Tensor = tensor()  # at which it did
    why: Tensor = tensor()  # a Why
    by: Tensor = tensor()  # the agent because of whom

    @staticmethod
    def none(n: int) -> Switches:
        return Switches(*(torch.full((n,), -1) for _ in range(3)))

    @property
    def done(self) -> Tensor:
        return self.step >= 0


def look(
    switches: Switches, log: Agents, state: State, fit: Tensor, ways: Ways | None = None, seconds: float = 3.0
) -> None:
    """Switch those of `fit` (A,) whose logged (T, A) next `seconds` are not true any more, given the state now.

    Who has left its log is expected to go on along its way (`ways`).
    """
    agents, now = state.agents, int(state.step)
    here = log[min(now, len(log.valid) - 1)]
    off = (agents.xy - here.xy).norm(dim=-1)
    astray = agents.valid & ~(off < ASTRAY)
    who = torch.nonzero(fit & agents.valid & ~switches.done & ~astray)[:, 0]
    others = torch.nonzero(astray)[:, 0]
    steps = torch.arange(3, round(seconds / 0.1) + 1, 3) + now
    steps = steps[steps < len(log.valid)]
    if not len(who) or not len(others) or not len(steps):
        return
    mine, theirs, due = log[steps][:, who], log[steps][:, others], 0.1 * (steps - now).float()
    coming = ahead(agents, state.body, due, ways)[:, others]
    will, was = clearance(mine, coming), clearance(mine, theirs)
    afoot, both = (is_kind(agents.kind[x], WALKERS) for x in (who, others))
    hit = (will < CLOSE) & (will < was - CLOSER) & (~afoot | (due <= ON_FOOT)[:, None])[..., None]
    hit |= (will < TOUCH) & (due <= SOON)[:, None, None] & (afoot[:, None] & both)
    lost = _leads(here[who], here[others]) & ~(off[others] < LEADER) & ~afoot[:, None]
    for reason, why in ((hit.any(0), Why.CONFLICT), (lost, Why.LEADER)):
        rows = torch.nonzero(reason.any(1) & ~switches.done[who])[:, 0]
        switches.step[who[rows]], switches.why[who[rows]] = now, int(why)
        switches.by[who[rows]] = others[reason[rows].long().argmax(1)]


def _leads(me: Agents, other: Agents) -> Tensor:
    """Whether each other (M,) is ahead of me (N,) in the same lane, within two seconds and ten metres: (N, M)."""
    local = rotate(other.xy - me.xy[:, None], -me.yaw[:, None])
    gap = local[..., 0] - other.size[:, 0] / 2 - me.size[:, None, 0] / 2
    same = wrap_angle(other.yaw - me.yaw[:, None]).abs() < 0.8
    reach = 10.0 + 2.0 * me.velocity.norm(dim=-1)
    return other.valid & same & (gap > -1.0) & (gap < reach[:, None]) & (local[..., 1].abs() < 1.5)


def events(switches: Switches, scenario: Scenario, agents: Agents) -> tuple[Event, ...]:
    """The switches as events, in order; `agents` (T, A) of the drive say where."""
    who = [i for i in switches.step.argsort(stable=True).tolist() if switches.why[i] > 0]
    name = scenario.track_ids
    out = []
    for i in who:
        step, by, why = int(switches.step[i]), int(switches.by[i]), Why(int(switches.why[i])).name.lower()
        x, y = agents.xy[step, i].tolist()
        out.append(Event("left_log", step, (i, by), (x, y), {"track": name[i], "why": why, "because_of": name[by]}))
    return tuple(out)
