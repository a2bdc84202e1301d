"""One step of the world: bodies obey physics; where nobody decides, the log does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.geometry import box_corners, boxes_overlap, heading
from drivesim.protocols import BodyModel
from drivesim.types import Action, Agents, Body, Cause, Map, State, Vehicle

from .attitude import Attitude
from .contact import meet, on_leash, rebound, spin_of
from .slide import slide

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
    agent the first wins. Whoever is struck slides, whatever is decided. `log` is what was recorded one step ahead:
    agents and bodies for which nobody decides.
    """
    before, state = state, rebound(state, dt, vehicle)
    agents, body = log
    decided = slides = state.struck & state.agents.valid
    if bool(slides.any()):
        slid, slid_body = slide(state.agents, state.body, spin_of(state.agents, state.body, vehicle), dt)
        slid = attitude.settle(slid, map).replace(valid=state.agents.valid)
        agents, body = Agents.where(slides, slid, agents), Body.where(slides, slid_body, body)
    for model, action in decisions:
        mask = action.valid & state.agents.valid & ~decided
        moved, moved_body = model.step(state.agents, state.body, action.command, dt, vehicle)
        moved = attitude.settle(moved, map).replace(valid=state.agents.valid)
        agents, body = Agents.where(mask, moved, agents), Body.where(mask, moved_body, body)
        decided = decided | mask
    if _ego_has_met(state):
        agents = on_leash(agents, state.agents, dt)
    real = (decided & ~((agents.xy - log[0].xy).norm(dim=-1) < 0.1)) | slides
    agents = _hold_back(agents, state.agents.valid, real)
    state = state.replace(agents=agents, body=body, step=state.step + 1)
    return meet(before, state, real, dt, vehicle)


def _hold_back(agents: Agents, before: Tensor, real: Tensor) -> Agents:
    """Keep absent who would appear inside a body that has left its log (`real`), or could not avoid it by braking."""
    new = torch.nonzero(agents.valid & ~before)[:, 0]
    others = torch.nonzero(agents.valid & real)[:, 0]
    if not len(new) or not len(others):
        return agents
    mine, theirs = agents[new], agents[others]
    hit = (_reaches(mine, theirs) | _reaches(theirs, mine).T).any(1)
    blocked = torch.zeros_like(before)
    blocked[new[hit]] = True
    return absent(agents, blocked)


def _reaches(a: Agents, b: Agents) -> Tensor:
    """Whether boxes a (N,), made longer ahead by the way they need to brake to the speed of b (M,), touch b: (N, M)."""
    closing = ((a.velocity[:, None] - b.velocity) * heading(a.yaw)[:, None]).sum(-1).clamp_min(0)
    room = closing.square() / (2 * HOLD_BACK_BRAKING)
    longer = a.size[:, None, :2] + torch.stack([room, torch.zeros_like(room)], -1)
    middle = a.xy[:, None] + heading(a.yaw)[:, None] * room[..., None] / 2
    swept = box_corners(middle, a.yaw[:, None].expand_as(room), longer)
    return boxes_overlap(swept, box_corners(b.xy, b.yaw, b.size)[None])


def absent(agents: Agents, mask: Tensor) -> Agents:
    """Agents (..., A) with those of `mask` (..., A) gone: NaN and not valid."""
    nan = agents.map(lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x)
    nan = nan.replace(valid=torch.zeros_like(agents.valid), size=agents.size)
    return Agents.where(mask, nan, agents)


def end_of_log(state: State, steps: int) -> State:
    """Done when there is no further logged step to go to."""
    over = state.step >= steps - 1
    return state.replace(cause=torch.where(over, int(Cause.END_OF_LOG), state.cause))


def collided(state: State) -> State:
    """Done when the ego is in contact."""
    return state.replace(cause=torch.full_like(state.cause, int(Cause.COLLISION))) if _ego_has_met(state) else state


def _ego_has_met(state: State) -> bool:
    """Whether the ego has been in contact with anybody so far."""
    return any(0 in event.agents for event in state.contacts)
