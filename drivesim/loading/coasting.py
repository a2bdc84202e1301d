"""The drive of an ego that takes no action: it keeps its speed on the logged path. What crash tests are measured by."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..geometry import box_corners, boxes_overlap, heading, wrap_angle
from ..struct import Struct, tensor
from ..types import DT, Agents

APART = 0.2
"""Points of the path nearer to each other than this are one [m]: the log of a car that stands trembles."""
SUBSTEPS = 2
"""Moments looked at per step: NeuroNCAP looks every 0.05 s."""


class Touch(Struct):
    """The first contact of an ego with others."""

    step: float  # in steps, a multiple of 1 / SUBSTEPS
    agent: int
    speed: float  # at which they meet [m/s]
    ego: Agents = tensor()  # () at the contact, as it was going before
    other: Agents = tensor()  # ()


def coast(ego: Agents, start: int, steps: int) -> Agents:
    """The ego (T,) as logged up to `start`, from there on with the speed it has then along the logged path, in float64.

    Where the path ends it goes straight on. `steps` is the length of what is returned.
    """
    ego = ego.map(lambda x: x.double() if x.is_floating_point() else x)
    path, yaw = _path(ego, start)
    speed = float(ego.velocity[start].norm())
    along = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    s = speed * DT * np.arange(steps - start)
    beyond = np.clip(s - along[-1], 0.0, None)[:, None] * np.array([np.cos(yaw[-1]), np.sin(yaw[-1])])
    xy = np.column_stack([np.interp(s, along, path[:, i]) for i in (0, 1)]) + beyond
    turn = torch.from_numpy(np.interp(s, along, yaw))
    past = ego[: start + 1]
    ahead = ego[torch.full((steps - start,), start)].replace(
        xy=torch.from_numpy(xy), yaw=turn, velocity=speed * heading(turn)
    )
    return Agents.cat([past[:-1], ahead])


def path_left(ego: Agents, start: int) -> float:
    """How far the logged ego (T,) drives on from `start` [m]."""
    return float(np.hypot(*np.diff(_path(ego, start)[0], axis=0).T).sum())


def first_touch(ego: Agents, others: Agents, who: Tensor, start: int) -> Touch | None:
    """When an ego (T,) first touches one of `who` (T, A) of others (T, A) from the step `start` on; None if never.

    Between two steps both move on evenly. Speeds are those of the step before: a contact changes them.
    """
    kept = _near(ego, others, start)
    others, who = others[:, kept], who[:, kept]
    count = (len(ego.yaw) - 1 - start) * SUBSTEPS + 1
    moment = torch.arange(count)
    before = start + torch.div(moment, SUBSTEPS, rounding_mode="floor")
    share = ((moment % SUBSTEPS) / SUBSTEPS).double()
    after = (before + (share > 0).long()).clamp_max(len(ego.yaw) - 1)
    mine, theirs = _between(ego, before, after, share), _between(others, before, after, share[:, None])
    reach = (mine.size[..., :2].norm(dim=-1)[:, None] + theirs.size[..., :2].norm(dim=-1)) / 2
    near = (theirs.xy - mine.xy[:, None]).norm(dim=-1) <= reach * 1.0001
    near &= who[before] & who[after] & others.valid[before] & others.valid[after]
    k, i = near.nonzero().unbind(-1)
    hit = boxes_overlap(_corners(mine[k]), _corners(theirs[k, i]))
    if not bool(hit.any()):
        return None
    first = int(k[hit][0])
    met = i[hit & (k == first)]
    going = max(int(before[first]) - int(share[first] == 0), start)
    speed = (ego.velocity[going].double() - others.velocity[going, met].double()).norm(dim=-1)
    agent = int(met[speed.argmax()])
    return Touch(
        start + first / SUBSTEPS, int(kept[agent]), float(speed.max()),
        mine[first].replace(velocity=ego.velocity[going]),
        theirs[first, agent].replace(velocity=others.velocity[going, agent]),
    )  # fmt: skip


def _near(ego: Agents, others: Agents, start: int) -> Tensor:
    """Indices (K,) of the agents of others (T, A) that come near enough to an ego (T,) to touch it between steps."""
    mine, theirs = ego.xy[start:].double(), others.xy[start:].double()
    gap = (theirs - mine[:, None]).norm(dim=-1).nan_to_num(torch.inf).amin(0)
    moved = lambda xy: torch.diff(xy, dim=0, append=xy[-1:]).norm(dim=-1).nan_to_num(0).amax(0)  # noqa: E731
    size = lambda agents: agents.size[start:, ..., :2].norm(dim=-1).nan_to_num(0).amax(0).double() / 2  # noqa: E731
    return (gap <= (size(ego) + size(others)) * 1.0001 + moved(mine) + moved(theirs)).nonzero()[:, 0]


def _path(ego: Agents, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 2) and unwrapped yaw (n,) of the logged ego from `start` on."""
    xy, yaw = ego.xy[start:].double().numpy(), np.unwrap(ego.yaw[start:].double().numpy())
    kept = [0]
    for i in range(1, len(xy)):
        if np.hypot(*(xy[i] - xy[kept[-1]])) >= APART:
            kept.append(i)
    return xy[kept], yaw[kept]


def _between(agents: Agents, before: Tensor, after: Tensor, share: Tensor) -> Agents:
    """Agents (n, ...) part of the way from the steps `before` to those `after` (n,)."""
    a, b = agents[before], agents[after]
    turn = wrap_angle(b.yaw.double() - a.yaw.double())
    xy = a.xy.double() + share[..., None] * (b.xy.double() - a.xy.double())
    return a.replace(xy=xy, yaw=a.yaw.double() + share * turn, size=a.size.double())


def _corners(agents: Agents) -> Tensor:
    return box_corners(agents.xy, agents.yaw, agents.size)
