"""One job from beginning to end: build its parts, load the scenario, drive, score.

A process keeps the sources, scenarios and generators that it used last, so that a sweep over planners loads a log once.
Planners, behaviours, controllers and metrics are built anew for every job, and the global random generators are seeded
for it: what one drive leaves behind must not reach the next, or the order of jobs would show in the results.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from . import parts
from .errors import InputError, MetricFailure, PlannerFailure
from .simulator import Watch, simulate
from .storage import Job, Outcome, canonical, parse
from .types import Rollout, Scenario, Score

NOT_DRIVEN = "open loop: the ego follows its log, and this score judges a drive, not plans"

_KEPT = 3  # scenarios per process; one with its map takes some tens of MB


def drive(job: Job, watch: Watch | None = None) -> Outcome:
    """Drive and score one job.

    Raises PlannerFailure or MetricFailure if either broke its contract, NotDrivable if the scene cannot be driven,
    InputError if data or configuration are wrong; `sweep` makes results of them. `watch` is handed to `simulate`.
    """
    scenario = load(job)
    seconds: list[float] = []

    def listen(step: int, state: Any, frames: Any, plan: Any, taken: float) -> None:
        if plan is not None:
            seconds.append(taken)
        if watch:
            watch(step, state, frames, plan, taken)

    with _seeded(job.seed), _planner(job.planner) as planner:
        rollout = simulate(
            scenario, planner, _generation(canonical(job.generation or {})), _built(job.behavior), _built(job.control),
            seed=job.seed, watch=listen, on_collision=job.on_collision, loop=job.loop,
        )  # fmt: skip
        scores = tuple(score(metric, rollout, scenario) for metric in job.metrics)
    return Outcome(rollout, scores, licence=scenario.licence, sidecar={"plan_s": seconds})


def load(job: Job) -> Scenario:
    """The job's scenario, from memory if it was among the last ones; InputError if its data changed meanwhile."""
    scenario = _scenario(canonical(job.source), job.scenario, job.fingerprint)
    if scenario.fingerprint != job.fingerprint:
        _scenario.cache_clear()
        raise InputError(f"{job.scenario}: its data changed while the jobs were waiting; run again")
    return scenario


@lru_cache(maxsize=_KEPT)
def _scenario(source: str, id: str, fingerprint: str) -> Scenario:
    return _source(source).load(id)


@lru_cache(maxsize=_KEPT)
def _source(part: str) -> Any:
    return parts.build(parse(part))


@lru_cache(maxsize=_KEPT)
def _generation(part: str) -> Any:
    return _built(parse(part))


def _built(part: Mapping[str, Any] | None) -> Any:
    return parts.build(part) if part else None


@contextmanager
def _planner(part: Mapping[str, Any]) -> Iterator[Any]:
    """A new planner; one that holds on to something (a child process) has `close`."""
    try:
        planner = parts.build(part)
    except (PlannerFailure, InputError):
        raise
    except Exception as error:
        raise PlannerFailure(f"planner raised {type(error).__name__} while it was built: {error}") from error
    try:
        yield planner
    finally:
        if hasattr(planner, "close"):
            planner.close()


def score(part: Mapping[str, Any], rollout: Rollout, scenario: Scenario) -> Score:
    """What a metric says of a rollout; MetricFailure if it raises or returns no Score.

    In open loop the drive is the log's, so only what judges plans (`judges_plans`) applies.
    """
    metric = parts.build(part)
    try:
        found = metric([rollout], scenario)
    except InputError:
        raise
    except Exception as error:
        raise MetricFailure(f"metric {part['_target_']} raised {type(error).__name__}: {error}") from error
    if not isinstance(found, Score):
        raise MetricFailure(f"metric {part['_target_']} returned {type(found).__name__} instead of a Score")
    if rollout.loop == "open" and not getattr(getattr(metric, "func", metric), "judges_plans", False):
        return found.replace(value=float("nan"), valid=False, reason=NOT_DRIVEN, series=None, shows="", evidence=())
    return found


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global generators start from `seed` within the block; after it they go on as if nothing had been drawn."""
    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
