"""People on foot: they keep their logged way until somebody is in it, then a social force moves them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.geometry import rotate
from drivesim.struct import Struct, tensor
from drivesim.traffic.following import at, locate, uniform
from drivesim.types import DT, WALKERS, Agents, Scenario, State, is_kind

from .clearance import ahead, clearance

SLOWEST, FASTEST = 0.8, 2.5
"""Speeds that walkers like [m/s]; one who ran in the log may run."""


SOON = 0.6
"""Bodies on wheels are kept away from where they are, and from where they will be after this time [s]."""

CLOSING = 0.3
"""Time that a walker keeps to touching anybody, at the speed at which they come nearer [s]."""

NEAREST = 6
"""Bodies around that a walker heeds so."""

ROOM = 0.8
"""From the nearest body, within which a walker goes along its side instead of towards it [m]."""


class Paths(Struct):
    """Where walkers went in the log, and how fast."""

    points: Tensor = tensor(event=2)  # (A, P, 2)
    length: Tensor = tensor()  # (A,)
    speed: Tensor = tensor()  # (A,) [m/s]
    walks: Tensor = tensor()  # (A,) bool


@dataclass(frozen=True)
class Walkers:
    """Social force (Helbing, Molnar 1995): a pull to the wished velocity, a push away from bodies near by.

    Before stepping into the way of somebody who will not have stopped, a walker waits; one with `yields` False walks
    on as if nobody came. Relaxation time is the paper's; strength and range of the push are those of Johansson,
    Helbing and Shukla 2007 (circular: 0.42 m range), cut to what makes a walker turn round a standing car.
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
        return Paths(torch.stack(points), length, speed, walks)

    def drive(self, paths: Paths, state: State, who: Tensor) -> Tensor:
        """Acceleration vectors (N, 2) of walkers `who` (N,) indices."""
        agents = state.agents
        me = agents[who]
        wish = self._wish(paths, me, who)
        wheels = agents.valid & ~is_kind(agents.kind, WALKERS)
        boxes = Agents.cat([agents, ahead(agents, state.body, torch.tensor([SOON]))[0, wheels]])
        local, near = _from_boxes(me, boxes)
        near[torch.arange(len(who)), who] = torch.inf
        near = torch.where(boxes.valid, near.nan_to_num(torch.inf), torch.inf)
        if self.yields:
            wish = torch.where(self._comes(state, who, wish)[:, None], 0.0, wish)
        wish = _round(wish, local, near)
        wished = (wish - me.velocity) / self.relaxation
        strength = self.push * torch.exp(-near.clamp_min(0) / self.range)
        pushed = (strength[..., None] * local.nan_to_num(0)).sum(1)
        pushed = pushed * (4.0 / pushed.norm(dim=-1, keepdim=True).clamp_min(4.0))
        heeded = near if self.yields else torch.where(is_kind(boxes.kind, WALKERS), near, torch.inf)
        velocity = _apart(me.velocity + DT * (wished + pushed), local, heeded, boxes.velocity)
        return (velocity - me.velocity) / DT

    def _wish(self, paths: Paths, me: Agents, who: Tensor) -> Tensor:
        """Velocity (N, 2) along the own path; none where there is no path or it is over."""
        points, length = paths.points[who], paths.length[who]
        s, _ = locate(points, me.xy)
        target, _ = at(points, length, (s + 1.5)[:, None])
        course = torch.nn.functional.normalize(target[:, 0] - me.xy, dim=-1)
        return torch.where((length > 0)[:, None], course * paths.speed[who, None], 0.0)

    def _comes(self, state: State, who: Tensor, wish: Tensor) -> Tensor:
        """Whether somebody faster than a walker will be where each of `who` (N,) would walk."""
        agents = state.agents
        seconds = torch.arange(0.5, self.horizon + 0.01, 0.5)
        wheels = ~is_kind(agents.kind, WALKERS) & (agents.velocity.norm(dim=-1) > 0.5)
        if not bool(wheels.any()):
            return torch.zeros(len(who), dtype=torch.bool)
        coming = ahead(agents, state.body, seconds)[:, wheels]
        mine = agents[who].map(lambda x: x.expand(len(seconds), *x.shape))
        walked = mine.replace(xy=mine.xy + seconds[:, None, None] * wish)
        meet = clearance(walked, coming).amin((0, 2)) < self.margin
        stay = clearance(mine, coming).amin((0, 2)) < 0.2  # standing still would not help: get out of the way
        return meet & ~stay


def _from_boxes(me: Agents, agents: Agents) -> tuple[Tensor, Tensor]:
    """Directions (N, A, 2) away from each box and distances (N, A) from the walker's own disc."""
    relative = rotate(me.xy[:, None] - agents.xy, -agents.yaw)
    edge = torch.maximum(torch.minimum(relative, agents.size[:, :2] / 2), -agents.size[:, :2] / 2)
    away = rotate(relative - edge, agents.yaw)
    distance = away.norm(dim=-1)
    centre = torch.nn.functional.normalize(me.xy[:, None] - agents.xy, dim=-1)
    direction = torch.where((distance > 1e-3)[..., None], away / distance.clamp_min(1e-3)[..., None], centre)
    return direction, distance - me.size[:, None, :2].norm(dim=-1) / 2  # corners of the box count, not its sides alone


def _apart(velocity: Tensor, away: Tensor, near: Tensor, theirs: Tensor) -> Tensor:
    """Velocities (N, 2) that come no nearer to any box than it takes CLOSING to touch, as it moves now, and that leave
    one which is touched. `away` (N, A, 2), `near` (N, A) and `theirs` (A, 2) are directions, distances, velocities.

    The nearest boxes are heeded one after the other, the nearest last and so most.
    """
    count = min(NEAREST, near.shape[1])
    distance, which = near.topk(count, dim=1, largest=False)
    row = torch.arange(len(near))
    for _ in range(3):
        for k in range(count - 1, -1, -1):
            normal, other = away[row, which[:, k]].nan_to_num(0), theirs[which[:, k]].nan_to_num(0)
            most = distance[:, k] / CLOSING  # speed at which it may come nearer
            lack = -most - ((velocity - other) * normal).sum(-1)
            velocity = velocity + lack.clamp_min(0).nan_to_num(0)[:, None] * normal
    return velocity


def _round(wish: Tensor, away: Tensor, near: Tensor) -> Tensor:
    """Wished velocities (N, 2) that do not lead into the nearest body within ROOM, but along its side."""
    distance, which = near.min(1)
    normal = away[torch.arange(len(wish)), which]
    into = (wish * normal).sum(-1)
    tangent = torch.stack([-normal[:, 1], normal[:, 0]], -1)
    side = torch.where((wish * tangent).sum(-1) < 0, -1.0, 1.0)
    along = side[:, None] * tangent * wish.norm(dim=-1, keepdim=True)
    return torch.where(((distance < ROOM) & (into < 0))[:, None], along, wish)
