"""Bench2Drive's efficiency: the ego's speed as a share of the other traffic's, from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from drivesim.types import CYCLES, VEHICLES, Agents, Event, Rollout, Scenario, Score, is_kind

from ..drive import judged, judged_ego, not_judged, only, over_steps
from ..progress import follow
from .composition import FASTEST, efficiency
from .drive import driven_route

VERSION = "1"
CHECKPOINTS = 20
"""On a route (leaderboard/scenarios/route_scenario.py)."""
RECORDED = 0.95
"""Share of the route from which on its end is a checkpoint, too (MinimumSpeedRouteTest)."""
PARKED = 2.0
"""Who is never farther than this from where it was first is parked [m]. Own choice; CARLA's parked cars are props."""
SOURCE = "Bench2Drive 087f74f, MinimumSpeedRouteTest and tools/efficiency_smoothness_benchmark.py"


class Checkpoint(NamedTuple):
    """What was measured since the one before."""

    first: int  # step
    last: int  # step, exclusive: the one at which it is passed
    ego: float  # mean speed while there were others [m/s]
    others: float  # mean over steps of the others' mean speed [m/s]; 0 for nobody, or where all stand

    @property
    def share(self) -> float:
        """The ego's speed in per cent of the others'; 100 without others, or where they stand (the peer's rule)."""
        return round(100 * self.ego / self.others, 2) if self.others > 0 else 100.0


def speed_efficiency(rollouts: Sequence[Rollout], scenario: Scenario) -> Score:
    """Mean of the ego's speed in per cent of the other traffic's, between 20 checkpoints (Bench2Drive 087f74f).

    The route, as far as the log drove it, has a checkpoint after each twentieth passed. Its share is the mean speed of
    the ego since the one before over the mean speed of the others: vehicles and cycles that are there, the parked
    aside. 100 where nobody is there or all stand; shares above 1000 are dropped. More than 100 is possible. Not valid
    without a route, before the first checkpoint, and where nobody else ever drives. Series: the stretch's share [%].

    Differs: others are all that the drive knows (the peer: its background traffic, which it keeps about the ego; actors
    of its scenarios do not count there).
    """
    name = "bench2drive_efficiency"
    rollout = only(rollouts, name)
    found = driven_route(rollout, scenario)
    if isinstance(found, str):
        return not_judged(name, found, VERSION)
    route, length = found
    agents = judged(rollout)
    others = traffic(agents)
    passed = checkpoints(
        follow(agents.xy[:, 0], route), length, judged_ego(rollout).speed.abs(), mean_speed(agents, others)
    )
    kept = [point for point in passed if point.share <= FASTEST]
    value = efficiency([point.share for point in passed])
    if value is None or not bool(others.any()):
        why = (
            "nobody else drives" if not bool(others.any()) else f"the ego passes none of the {CHECKPOINTS} checkpoints"
        )
        return not_judged(name, why if kept or not passed else "the others all but stand", VERSION)
    series = torch.full((len(agents.yaw),), torch.nan, dtype=torch.float64)
    for point in passed:
        series[point.first : point.last] = point.share
    slow = [point for point in kept if point.share < 100]
    return Score(
        name, value, unit="%", better="more", series=over_steps(series, rollout),
        shows="speed as a share of the others' [%]", version=VERSION,
        evidence=tuple(_event(point, len(kept), agents, rollout) for point in slow),
    )  # fmt: skip


def traffic(agents: Agents) -> Tensor:
    """Who of agents (n, A) counts as other traffic, and when (n, A)."""
    there = agents.valid & is_kind(agents.kind, (*VEHICLES, *CYCLES))
    first = agents.xy.gather(0, there.int().argmax(0).reshape(1, -1, 1).expand(1, -1, 2))
    there &= (agents.xy - first).norm(dim=-1).masked_fill(~there, 0).amax(0) >= PARKED
    there[:, 0] = False
    return there


def mean_speed(agents: Agents, who: Tensor) -> Tensor:
    """Mean speed (n,) of those of agents (n, A) in `who` (n, A) [m/s]; NaN where there is nobody."""
    return agents.velocity.norm(dim=-1).masked_fill(~who, 0).sum(-1) / who.sum(-1)


def checkpoints(
    along: Tensor, length: float, ego: Tensor, others: Tensor, count: int = CHECKPOINTS
) -> list[Checkpoint]:
    """The checkpoints passed by an ego `along` (n,) a route of `length` [m], with its speed (n,) and the others' (n,),
    NaN where there is nobody."""
    found, first, begin = [], 0, 0.0
    way = along.cummax(0).values.tolist()
    for step, place in enumerate(way):
        if place - begin > length / count:
            found.append(_measured(first, step, ego, others))
            first, begin = step, place
    if way[-1] > RECORDED * length and first < len(way):
        found.append(_measured(first, len(way), ego, others))
    return found


def _measured(first: int, last: int, ego: Tensor, others: Tensor) -> Checkpoint:
    mine, theirs = ego[first:last], others[first:last]
    known = ~torch.isnan(theirs)
    if not bool(known.any()):
        return Checkpoint(first, last, float(mine.mean()), 0.0)
    return Checkpoint(first, last, float(mine[known].mean()), float(theirs[known].mean()))


def _event(point: Checkpoint, count: int, agents: Agents, rollout: Rollout) -> Event:
    step = point.last - 1
    detail = {
        "value": point.share, "lost": round((1 - point.share / 100) / count, 6), "speed": round(point.ego, 3),
        "speed_of_others": round(point.others, 3), "first_step": rollout.start + point.first,
        "rule": f"the ego's mean speed over the others', from checkpoint to checkpoint ({CHECKPOINTS} on the route)",
        "source": SOURCE, "kept_by": f"a mean speed of {point.others:.2f} m/s on this stretch",
    }  # fmt: skip
    place = tuple(round(x, 3) for x in agents.xy[step, 0].tolist())
    return Event("slower_than_others", rollout.start + step, (0,), place, detail)
