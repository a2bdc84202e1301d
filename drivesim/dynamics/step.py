"""One step of the world: bodies obey physics; where nobody decides, the log does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap, heading
from drivesim.protocols import BodyModel
from drivesim.types import Action, Agents, Body, Cause, Map, State, Vehicle

from .attitude import Attitude

HOLD_BACK_BRAKING = 4.0
"""What drivers are expected to brake with when somebody appears [m/s^2]."""


def step(
    state: State,
    decisions: Sequence[tuple[BodyModel, Action]],
    log: tuple[Agents, Body],
    attitude: Attitude,
    map: Map,
    dt: float,
    vehicle: Vehicle,
) -> State:
    """The state (one scene) one step later.

    `decisions` pair each action with the body model that gives its command a meaning; where several decide for an
    agent the first wins. `log` is what was recorded one step ahead: agents and bodies for which nobody decides.
    """
    agents, body = log
    decided = torch.zeros_like(state.agents.valid)
    for model, action in decisions:
        mask = action.valid & state.agents.valid & ~decided
        moved, moved_body = model.step(state.agents, state.body, action.command, dt, vehicle)
        moved = attitude.settle(moved, map).replace(valid=state.agents.valid)
        agents, body = Agents.where(mask, moved, agents), Body.where(mask, moved_body, body)
        decided = decided | mask
    astray = decided & ~((agents.xy - log[0].xy).norm(dim=-1) < 0.1)
    agents = _hold_back(agents, state.agents.valid, astray)
    return state.replace(agents=agents, body=body, step=state.step + 1)


def _hold_back(agents: Agents, before: Tensor, astray: Tensor) -> Agents:
    """Keep absent who would appear inside a body that has left its log (`astray`), or could not avoid it by braking."""
    new = agents.valid & ~before
    if not bool(new.any()) or not bool(astray.any()):
        return agents
    ahead = heading(agents.yaw)
    closing = ((agents.velocity[:, None] - agents.velocity) * ahead[:, None]).sum(-1).clamp_min(0)  # (A, A) of a row
    room = closing.square() / (2 * HOLD_BACK_BRAKING)
    hit = _reach_of(agents, room) & agents.valid[None] & astray[None]
    hit = hit | (_reach_of(agents, room) & astray[:, None] & agents.valid[:, None]).T
    blocked = new & hit.any(1)
    return absent(agents, blocked)


def _reach_of(agents: Agents, room: Tensor) -> Tensor:
    """Whether box a, made longer ahead by `room` (A, A) metres, touches box b: (A, A)."""
    longer = agents.size[:, None, :2] + torch.stack([room, torch.zeros_like(room)], -1)
    middle = agents.xy[:, None] + heading(agents.yaw)[:, None] * room[..., None] / 2
    swept = box_corners(middle, agents.yaw[:, None].expand_as(room), longer)
    return boxes_overlap(swept, box_corners(agents.xy, agents.yaw, agents.size)[None])


def absent(agents: Agents, mask: Tensor) -> Agents:
    """Agents (..., A) with those of `mask` (..., A) gone: NaN and not valid."""
    nan = agents.map(lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x)
    nan = nan.replace(valid=torch.zeros_like(agents.valid), size=agents.size)
    return Agents.where(mask, nan, agents)


def end_of_log(state: State, steps: int) -> State:
    """Done when there is no further logged step to go to."""
    over = state.step >= steps - 1
    return state.replace(cause=torch.where(over, int(Cause.END_OF_LOG), state.cause))
