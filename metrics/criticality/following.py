"""Whom the ego follows: at each step the nearest road user or object in the strip that its box will sweep."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from drivesim.struct import Struct, tensor
from drivesim.types import Agents, Rollout, Scenario

from ..contacts import first_contacts
from ..drive import judged
from .path import Along, driven_path, seen_along


class Following(Struct):
    """The ego and its leader. Where `who` is -1 there is none and the rest is NaN."""

    who: Tensor = tensor()  # (n,) int64, the leader's index
    gap: Tensor = tensor()  # (n,) from the ego's front to its rear along the ego's path, at least 0 [m]
    speed: Tensor = tensor()  # (n,) of the ego along the path [m/s]
    closing: Tensor = tensor()  # (n,) speed of the ego less that of the leader [m/s]
    acceleration: Tensor = tensor()  # (n,) of the leader along the path [m/s^2]
    closing_acceleration: Tensor = tensor()  # (n,) of the ego less that of the leader [m/s^2]
    offset: Tensor = tensor()  # (n,) of the leader's centre to the left of the ego's [m]
    aside: Tensor = tensor()  # (n,) leader's lateral speed less the ego's, left positive [m/s]
    room: Tensor = tensor()  # (n,) half of both widths across the path [m]
    along: Tensor = tensor()  # (n,) place of the ego's centre on its path [m]
    front: Tensor = tensor()  # (n,) how far the ego's front is ahead of it [m]


class Situation(Struct):
    """A drive from its start on, as the ego meets it; worked out once for all scores."""

    agents: Agents = tensor(event=1)  # (n, A)
    there: Tensor = tensor()  # (n, A) bool: the others that are present and have not touched the ego
    on: Along = tensor(event=1)  # (n, A) seen from the ego's path
    lead: Following = tensor()  # (n,)


_CACHE: weakref.WeakKeyDictionary[Rollout, tuple[weakref.ref, Situation]] = weakref.WeakKeyDictionary()


def situation(rollout: Rollout, scenario: Scenario) -> Situation:
    """What all measures start from; the ego must be there at all steps.

    The path is the one that the ego drove (`driven_path`), so a leader in a bend is one that is in the way, and a car
    on the straight line ahead of it is not. A track is left out after its first contact with the ego, and for good if
    they touch at the start.
    """
    kept = _CACHE.get(rollout)
    if kept is not None and kept[0]() is scenario:
        return kept[1]
    agents = judged(rollout)
    on = seen_along(agents, driven_path(agents[..., 0], scenario.scene.briefing.route), rollout.dt)
    there = agents.valid & ~touched(agents)
    there[:, 0] = False
    found = Situation(agents, there, on, following(on, there))
    _CACHE[rollout] = weakref.ref(scenario), found
    return found


def following(on: Along, there: Tensor) -> Following:
    """The ego's leaders among agents (n, A) on its path, `there` (n, A) saying who counts.

    Who comes towards the ego on its path is a leader with a negative speed.
    """
    gap = on.s - on.half_length - on.s[:, :1] - on.half_length[:, :1]
    least, who = gap.masked_fill(~leaders(on, there), torch.inf).min(-1)
    found = torch.isfinite(least)
    take = lambda x: torch.where(found, x.gather(-1, who[:, None])[:, 0], torch.nan)  # noqa: E731
    speed, acceleration = take(on.speed), take(on.acceleration)
    return Following(
        torch.where(found, who, -1), take(gap).clamp_min(0), on.speed[:, 0], on.speed[:, 0] - speed, acceleration,
        on.acceleration[:, 0] - acceleration, take(on.d) - on.d[:, 0], take(on.aside) - on.aside[:, 0],
        take(on.half_width) + on.half_width[:, 0], on.s[:, 0], on.half_length[:, 0],
    )  # fmt: skip


def leaders(on: Along, there: Tensor) -> Tensor:
    """Which agents (n, A) are in the strip of the path as wide as the ego, with their centre ahead of the ego's."""
    beside = (on.d - on.d[:, :1]).abs() < on.half_width + on.half_width[:, :1]
    return there & beside & (on.s > on.s[:, :1])


def touched(agents: Agents) -> Tensor:
    """Which agents (n, A) have touched the ego before, or did so at the first step."""
    first = first_contacts(agents)
    step = torch.arange(len(agents.yaw))[:, None]
    return (first == 0) | ((first >= 0) & (step > first))
