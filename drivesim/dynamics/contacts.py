"""Bodies that touch, and those that a log starts in contact."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap
from drivesim.types import Agents, Scenario


def touching(agents: Agents, who: Tensor | None = None) -> Tensor:
    """Pairs (N, 2) of agents (A,), each i < j, whose boxes share ground; only those with one of `who` (A,) in them.

    Who is absent touches nobody.
    """
    near = (agents.xy[:, None] - agents.xy).norm(dim=-1)
    reach = agents.size[:, :2].norm(dim=-1) / 2
    close = (near <= reach[:, None] + reach) & agents.valid[:, None] & agents.valid
    if who is not None:
        close &= who[:, None] | who
    pairs = torch.nonzero(close.triu(1))
    if not len(pairs):
        return pairs
    corners = box_corners(agents.xy, agents.yaw, agents.size)
    return pairs[boxes_overlap(corners[pairs[:, 0]], corners[pairs[:, 1]])]


def overlaps(agents: Agents) -> Tensor:
    """Which boxes of agents (A,) share ground (A, A); nobody touches himself, who is absent touches nobody."""
    i, j = touching(agents).unbind(1)
    out = torch.zeros(len(agents.valid), len(agents.valid), dtype=torch.bool)
    out[i, j] = True
    return out | out.T


def touching_at_start(scenario: Scenario) -> Tensor:
    """Pairs of agents (A, A) that are in contact when the later of the two first appears, from the start on."""
    log = scenario.log[scenario.start :]
    before = torch.zeros_like(log.valid[0])
    out = torch.zeros(len(before), len(before), dtype=torch.bool)
    for now in log:
        new = now.valid & ~before
        if bool(new.any()):
            touch = overlaps(now)
            out |= touch & (new[:, None] | new)
        before = before | now.valid
    return out


def contacts_at_start(scenario: Scenario) -> tuple[str, ...]:
    """Who starts in contact with whom, in the words of `Scenario.problems`."""
    pairs = torch.nonzero(touching_at_start(scenario).triu()).tolist()
    name = scenario.track_ids
    return tuple(f"{name[a]} and {name[b]} are in contact when the log starts them" for a, b in pairs)
