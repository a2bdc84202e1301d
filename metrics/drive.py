"""What every score of one drive starts from: the drive itself, and the answer for a drive that cannot be judged."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from drivesim.types import Agents, Rollout, Scenario, Score

P = ParamSpec("P")
T = TypeVar("T")


def kept(function: Callable[P, T]) -> Callable[P, T]:
    """Let `function` work out once what many scores ask for: its result is kept as long as its first argument lives.

    That argument is compared by identity, the others must be hashable. The result must not hold the first argument, or
    neither would ever go, and is not to be written to."""
    memory: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    @wraps(function)
    def asked(about, *others, **named):  # noqa: ANN001, ANN202
        known, key = memory.setdefault(about, {}), (others, *named.items())
        if key not in known:
            known[key] = function(about, *others, **named)
        return known[key]

    return asked


def only(rollouts: Sequence[Rollout], name: str) -> Rollout:
    """The one rollout that the score `name` judges; ValueError for none or several."""
    if len(rollouts) != 1:
        raise ValueError(f"{name} judges one rollout at a time, but was given {len(rollouts)}: call it once for each")
    return rollouts[0]


def unfit(rollout: Rollout, steps: int = 1) -> str:
    """Why the ego's drive from `rollout.start` on cannot be judged; empty if it can. `steps` is the least number."""
    count = max(len(rollout.agents.valid) - rollout.start, 0)
    if count < steps:
        return f"the drive has {count} steps from step {rollout.start} on, this score needs {steps}"
    return _gap(rollout)


@kept
def _gap(rollout: Rollout) -> str:
    """Where the ego is not known from `rollout.start` on, in words; empty if nowhere."""
    there = rollout.agents.valid[rollout.start :, 0]
    if not bool(there.all()):
        return f"the ego is absent at step {rollout.start + int((~there).nonzero()[0])}"
    ego = rollout.agents[rollout.start :, 0]
    finite = torch.isfinite(torch.cat([ego.poses, ego.velocity], -1)).all(-1)
    if not bool(finite.all()):
        step = rollout.start + int((~finite).nonzero()[0])
        return f"the ego's pose or velocity is not finite at step {step}"
    return ""


def not_judged(name: str, reason: str, version: str) -> Score:
    return Score(name, float("nan"), valid=False, reason=reason, version=version)


@kept
def judged(rollout: Rollout) -> Agents:
    """Agents (n, A) from `rollout.start` on, in double precision: what came before is history.

    The same for every score, so that what follows from them is worked out once; not to be written to."""
    return precise(rollout.agents[rollout.start :])


@kept
def judged_ego(rollout: Rollout) -> Agents:
    """The ego (n,) of `judged`."""
    return judged(rollout)[..., 0]


@kept
def logged_ego(scenario: Scenario, start: int = 0) -> Agents:
    """The ego (n,) as it drove in the log from a step on, in double precision."""
    return precise(scenario.log[start:, 0])


def precise(agents: Agents) -> Agents:
    """In float64, so that a world far from its origin is judged as one near it."""
    return agents.map(lambda x: x.double() if x.is_floating_point() else x)


def over_steps(values: Tensor, rollout: Rollout) -> Tensor:
    """A series (T,) float32 over all steps of the rollout from `values` (n,) at those from `start` on."""
    before = torch.full((rollout.start,), torch.nan)
    return torch.cat([before, values.float()])


def track_name(track_ids: Sequence[str], agent: int) -> str:
    """The log's name of an agent; agents that were added to the drive have their number alone."""
    return track_ids[agent] if agent < len(track_ids) else f"agent {agent}"
