"""People on foot: they keep their logged way until somebody is in it, then a social force moves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import box_corners, heading, rotate
from drivesim.struct import Struct, tensor
from drivesim.traffic.following import at, locate, uniform
from drivesim.types import WALKERS, Agents, Scenario, State, is_kind

from .clearance import clearance
from .stride import STEPS, stride

SLOWEST, FASTEST = 0.8, 2.5
"""Speeds that walkers like [m/s]; one who ran in the log may run."""


HURRIES = 1.8
"""Who gets out of the way [m/s]."""

SOON = 0.6
"""Bodies on wheels are kept away from where they are, and from where they will be after this time [s]."""

AHEAD = (1.5, 3.0, 4.5, 6.0, 8.0)
"""On their path, to which walkers go: the nearest of these that is free [m]."""

ROOM = 0.8
"""From the nearest body, within which a walker goes along its side instead of towards it [m]."""


APART = 0.05
"""From anybody, the least that walkers like, however close they came in the log [m]."""


Expected = Callable[[Tensor], Agents]
"""Where all agents will be (K, A) in so many steps (K,)."""


class Paths(Struct):
    """Where walkers went in the log, and how fast."""

    points: Tensor = tensor(event=2)  # (A, P, 2)
    length: Tensor = tensor()  # (A,)
    speed: Tensor = tensor()  # (A,) [m/s]
    walks: Tensor = tensor()  # (A,) bool
    apart: Tensor = tensor(event=1)  # (A, A) least distance between the middles of two who walk; inf for others [m]


@dataclass(frozen=True)
class Walkers:
    """Social force (Helbing, Molnar 1995): a pull to the wished velocity, a push away from bodies near by.

    Before stepping into the way of somebody who will not have stopped, a walker waits; one with `yields` False walks
    on as if nobody came. Those who walk together in the log do not push each other apart. Whatever the force says, the
    stride is one that touches nobody (`stride`). Relaxation time is the paper's; strength and range of the push are
    those of Johansson, Helbing and Shukla 2007 (circular: 0.42 m range), cut to what makes a walker turn round a
    standing car.
    """

    yields: bool = True
    relaxation: float = 0.5  # [s]
    push: float = 3.0  # at contact [m/s^2]
    range: float = 0.4  # over which the push falls to a third [m]
    horizon: float = 3.0  # looked ahead for who comes [s]
    margin: float = 0.6  # kept to who comes [m]

    def begin(self, scenario: Scenario) -> Paths:
        log, n = scenario.log, scenario.log.valid.shape[1]
        walks = is_kind(log.kind.amax(0), WALKERS)
        lines, speed = [], torch.full((n,), 1.3)
        for i in range(n):
            seen = log.xy[log.valid[:, i], i]
            moved = walks[i] and len(seen) > 1 and float((seen[1:] - seen[:-1]).norm(dim=-1).sum()) > 2.0
            lines.append(uniform(seen) if moved else None)
            pace = log.velocity[log.valid[:, i], i].norm(dim=-1)
            if moved and bool((pace > 0.3).any()):
                speed[i] = pace[pace > 0.3].mean().clamp(SLOWEST, FASTEST)
        lines = [x if x is not None and len(x) > 2 else None for x in lines]
        longest = max([len(x) for x in lines if x is not None] + [3])
        still = torch.zeros(longest, 2)
        points = [still if x is None else torch.cat([x, x[-1:].expand(longest - len(x), 2)]) for x in lines]
        length = torch.tensor([0.0 if x is None else float(len(x) - 1) for x in lines])
        return Paths(torch.stack(points), length, speed, walks, _apart(log, walks))

    def drive(
        self,
        paths: Paths,
        state: State,
        who: Tensor,
        expected: Callable[[Tensor], Agents],
        people: np.ndarray,
        dt: float,
    ) -> Tensor:
        """Acceleration vectors (N, 2) of walkers `who` (N,) indices.

        `expected` says where everybody will be, `people` (A,) AGENT what they can do.
        """
        agents = state.agents
        me, wheels = agents[who], agents.valid & ~is_kind(agents.kind, WALKERS)
        boxes = Agents.cat([agents, expected(torch.tensor([round(SOON / dt)]))[0, wheels]])
        local, near = _from_boxes(me, boxes)
        near[torch.arange(len(who)), who] = torch.inf
        near = torch.where(boxes.valid, near.nan_to_num(torch.inf), torch.inf)
        wish = self._wish(paths, agents, who)
        if self.yields:
            coming = expected(torch.arange(5, round(self.horizon / dt) + 1, 5))
            wish = self._wary(agents, coming, who, wish)
        wish = _round(wish, me, boxes, local, near)
        wished = (wish - me.velocity) / self.relaxation
        strength = self.push * torch.exp(-(near + _usual(paths, agents, who, near)).clamp_min(0) / self.range)
        pushed = (strength[..., None] * local.nan_to_num(0)).sum(1)
        pushed = pushed * (4.0 / pushed.norm(dim=-1, keepdim=True).clamp_min(4.0))
        soon = expected(torch.arange(STEPS + 1))
        heeded = soon.valid if self.yields else soon.valid & is_kind(agents.kind, WALKERS)
        return stride(agents, people, who, wished + pushed, soon.replace(valid=heeded), dt)

    def _wish(self, paths: Paths, agents: Agents, who: Tensor) -> Tensor:
        """Velocity (N, 2) of `who` (N,) to the next place of the own path on which nobody stands, if it has one."""
        points, length, me = paths.points[who], paths.length[who], agents[who]
        s, _ = locate(points, me.xy)
        places, _ = at(points, length, s[:, None] + torch.tensor(AHEAD))
        stands = agents.valid & (agents.velocity.norm(dim=-1) < 0.3)
        local = rotate(places[:, :, None] - agents.xy, -agents.yaw).abs() - agents.size[:, :2] / 2
        radius = me.size[:, None, None, :2].amax(-1) / 2
        taken = (local.clamp_min(0).norm(dim=-1) < radius) & stands & (torch.arange(len(stands)) != who[:, None, None])
        first = (~taken.any(-1)).long().argmax(1)
        course = torch.nn.functional.normalize(places[torch.arange(len(who)), first] - me.xy, dim=-1)
        return torch.where((length > 0)[:, None], course * paths.speed[who, None], 0.0)

    def _wary(self, agents: Agents, coming: Agents, who: Tensor, wish: Tensor) -> Tensor:
        """Wished velocities (N, 2) of `who` (N,), who wait where one faster than a walker, of those `coming` (K, A)
        every half second, will be on their way, and get out of the way where he would run into them as they stand."""
        wheels = ~is_kind(agents.kind, WALKERS) & (agents.velocity.norm(dim=-1) > 0.5)
        if not bool(wheels.any()):
            return wish
        coming = coming[:, wheels]
        seconds = 0.5 * torch.arange(1, len(coming.valid) + 1)
        mine = agents[who].map(lambda x: x.expand(len(seconds), *x.shape))
        walked = mine.replace(xy=mine.xy + seconds[:, None, None] * wish)
        meet = clearance(walked, coming).amin((0, 2)) < self.margin
        hit = clearance(mine, coming) < 0.2  # (K, N, M)
        first = hit.transpose(0, 1).flatten(1).long().argmax(1)  # who is the first, and when
        box = coming[first // hit.shape[2], first % hit.shape[2]]
        left = heading(box.yaw + torch.pi / 2)
        side = torch.where(((agents.xy[who] - box.xy) * left).sum(-1) < 0, -1.0, 1.0)
        aside = (side * wish.norm(dim=-1).clamp_min(HURRIES))[:, None] * left
        return torch.where(hit.any(0).any(1)[:, None], aside, torch.where(meet[:, None], 0.0, wish))


def _apart(log: Agents, walks: Tensor) -> Tensor:
    """Least distance (A, A) in the log (T, A) between two who walk; inf for others."""
    out = torch.full((len(walks), len(walks)), torch.inf)
    rows = torch.nonzero(walks)[:, 0]
    for i in rows.tolist():
        distance = (log.xy[:, rows] - log.xy[:, i, None]).norm(dim=-1).nan_to_num(torch.inf)
        out[i, rows] = distance.amin(0)
    return out


def _usual(paths: Paths, agents: Agents, who: Tensor, near: Tensor) -> Tensor:
    """By how much (N, B) nearer than ROOM those who walk together come without a push, of boxes at `near` (N, B): as
    near as they did in the log, short of contact."""
    half = agents.size[:, :2].amin(-1) / 2
    logged = paths.apart[who] - half[who, None] - half
    out = torch.zeros_like(near)
    out[:, : len(half)] = (ROOM - logged.clamp_min(APART)).nan_to_num(0).clamp_min(0)
    return torch.where(near < APART, 0.0, out)


def _from_boxes(me: Agents, agents: Agents) -> tuple[Tensor, Tensor]:
    """Directions (N, A, 2) away from each box and distances (N, A) from the walker's own disc."""
    relative = rotate(me.xy[:, None] - agents.xy, -agents.yaw)
    edge = torch.maximum(torch.minimum(relative, agents.size[:, :2] / 2), -agents.size[:, :2] / 2)
    away = rotate(relative - edge, agents.yaw)
    distance = away.norm(dim=-1)
    centre = torch.nn.functional.normalize(me.xy[:, None] - agents.xy, dim=-1)
    direction = torch.where((distance > 1e-3)[..., None], away / distance.clamp_min(1e-3)[..., None], centre)
    return direction, distance - me.size[:, None, :2].amax(-1) / 2


def _round(wish: Tensor, me: Agents, boxes: Agents, away: Tensor, near: Tensor) -> Tensor:
    """Wished velocities (N, 2) that do not lead into the nearest of `boxes` (B,) within ROOM, but along its side, the
    shorter way round it; on the right where both are as long.

    Walkers `me` (N,) are `near` (N, B) to the boxes and led `away` (N, B, 2) from them. Who goes ahead of one as fast
    is not in the way.
    """
    distance, which = near.min(1)
    normal, box = away[torch.arange(len(wish)), which], boxes[which]
    into = ((wish - box.velocity.nan_to_num(0)) * normal).sum(-1)
    left = torch.nn.functional.normalize(torch.stack([-wish[:, 1], wish[:, 0]], -1), dim=-1)
    corners = box_corners(box.xy, box.yaw, box.size) - me.xy[:, None]
    beside = (corners * left[:, None]).sum(-1)
    side = torch.where(beside.amax(-1) + beside.amin(-1) < -0.05, 1.0, -1.0)
    tangent = torch.stack([-normal[:, 1], normal[:, 0]], -1)
    tangent = tangent * (side * torch.where((tangent * left).sum(-1) < 0, -1.0, 1.0))[:, None]
    blocked = (distance < ROOM) & (into < -0.1) & ((wish * normal).sum(-1) < 0)
    return torch.where(blocked[:, None], tangent * wish.norm(dim=-1, keepdim=True), wish)
