"""Does a planner keep its contract? Tried on a real scenario, told in plain words."""

from __future__ import annotations

import inspect
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from . import parts
from .asking import check_plan, choose_cameras, observe
from .errors import InputError, PlannerFailure
from .protocols import WorldGenerator
from .simulator import start_state
from .struct import Struct
from .types import Frames, Observation, Plan, Scenario

TRIES = 4
"""Observations in a row that the planner gets."""


@dataclass(frozen=True)
class Trial:
    """What came of a check."""

    problems: tuple[str, ...]  # none: the contract is kept
    seconds: tuple[float, ...] = ()  # per plan, where it came that far


def check_planner(planner: Any, scenario: Scenario, generation: WorldGenerator | None = None) -> list[str]:
    """What is wrong with a planner, nothing if all is well; see `trial`."""
    return list(trial(planner, scenario, generation).problems)


def trial(
    planner: Any, scenario: Scenario, generation: WorldGenerator | None = None, timeout: float | None = None
) -> Trial:
    """Ask for its attributes, then for plans along the first logged steps of a scenario, twice after two resets.

    Without `generation` the layout raster draws the frames that it asks for. A call that takes longer than
    `timeout` [s] is a problem too (in the main thread alone: that is where Python can be interrupted).
    """
    problems = attributes(planner, scenario)
    if problems:
        return Trial(tuple(problems))
    observations = along_the_log(planner, scenario, generation)
    before = [_fingerprint(observation) for observation in observations]
    plans: list[list[Plan]] = []
    seconds: list[float] = []
    for which in ("first", "second"):
        try:
            plans.append(_drive(planner, scenario, observations, timeout, seconds))
        except PlannerFailure as failure:
            return Trial((f"in the {which} drive: {failure.cause}",), tuple(seconds))
    problems += _horizon(planner, plans[0])
    problems += _same(plans)
    if before != [_fingerprint(observation) for observation in observations]:
        problems.append("plan changed its observation in place; clone a tensor before writing to it")
    return Trial(tuple(problems), tuple(seconds))


def _drive(
    planner: Any, scenario: Scenario, observations: Sequence[Observation], timeout: float | None, seconds: list[float]
) -> list[Plan]:
    """Plans for all observations after a reset; their durations are added to `seconds`."""
    plans = []
    place = "reset"
    try:
        with _limit(timeout, place):
            planner.reset(scenario.scene.briefing)
        for observation in observations:
            place = f"plan at step {observation.step}"
            begun = time.perf_counter()
            with _limit(timeout, place):
                plan = planner.plan(observation)
            seconds.append(time.perf_counter() - begun)
            plans.append(check_plan(plan, observation.step))
    except PlannerFailure:
        raise
    except Exception as error:  # whatever a planner may raise
        raise PlannerFailure(f"{place} raised {_tell(error)}") from error
    return plans


def attributes(planner: Any, scenario: Scenario) -> list[str]:
    """Problems with what a planner says of itself."""
    wanted = ("sensors", "period", "privileged", "reset", "plan")
    missing = [name for name in wanted if not hasattr(planner, name)]
    if missing:
        return [f"{type(planner).__name__} has no {', '.join(missing)}; a planner has {', '.join(wanted)}"]
    return _sensors(planner.sensors, scenario) + _period(planner.period, scenario) + _methods(planner)


def along_the_log(
    planner: Any, scenario: Scenario, generation: WorldGenerator | None = None, tries: int = TRIES
) -> list[Observation]:
    """What the planner would see if it drove as logged, `period` after `period`."""
    dt, every = scenario.scene.briefing.dt, max(round(planner.period / scenario.scene.briefing.dt), 1)
    cameras = choose_cameras(planner.sensors, scenario.scene.briefing.cameras)
    if cameras and generation is None:
        generation = parts.build(parts.read("generation", "raster"))
    world = generation.remember(scenario) if cameras and generation else None
    observations = []
    for step in range(scenario.start, min(scenario.start + tries * every, scenario.steps), every):
        state, history = start_state(replace(scenario, start=step))
        frames: Frames = {}
        if cameras and generation:
            frames, world = generation.render(state, world, cameras)
        observations.append(observe(scenario, state, history, frames, planner))
    if not observations:
        raise InputError(f"{scenario.id}: too short to check a planner on ({scenario.steps} steps of {dt} s)")
    return observations


def _sensors(sensors: Any, scenario: Scenario) -> list[str]:
    if isinstance(sensors, str) or not isinstance(sensors, Sequence):
        return [f"sensors is {sensors!r}; a list of camera names is expected: () for none, ('*',) for all"]
    try:
        choose_cameras(sensors, scenario.scene.briefing.cameras)
    except InputError as error:
        return [f"sensors: {error}"]
    return []


def _period(period: Any, scenario: Scenario) -> list[str]:
    dt = scenario.scene.briefing.dt
    if isinstance(period, bool) or not isinstance(period, int | float) or not period > 0:
        return [f"period is {period!r}; seconds between plans are expected, such as {dt}"]
    if abs(period / dt - round(period / dt)) > 1e-6 or round(period / dt) < 1:
        return [f"period is {period} s; a multiple of the step of {dt} s is expected"]
    return []


def _methods(planner: Any) -> list[str]:
    problems = []
    if not isinstance(planner.privileged, bool):
        problems.append(f"privileged is {planner.privileged!r}; True or False is expected")
    for name, argument in (("reset", "briefing"), ("plan", "observation")):
        method = getattr(planner, name)
        try:
            inspect.signature(method).bind(None)
        except (TypeError, ValueError):
            problems.append(f"{name} must take one argument, {name}({argument})")
    return problems


def _horizon(planner: Any, plans: Sequence[Plan]) -> list[str]:
    shortest = min(float(plan.time[-1]) for plan in plans)
    if shortest < planner.period - 1e-6:
        return [f"a plan ends after {shortest:.2f} s, before the next one is made (period {planner.period} s)"]
    return []


def _same(plans: Sequence[Sequence[Plan]]) -> list[str]:
    for i, (first, second) in enumerate(zip(*plans, strict=True)):
        if not (torch.equal(first.poses, second.poses) and torch.equal(first.time, second.time)):
            return [
                f"after reset, plan {i + 1} differs for the same observations: "
                "reset must forget the last drive, and randomness must be seeded in reset"
            ]
    return []


def _fingerprint(value: Any) -> Any:
    """Content of all tensors below `value`."""
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().cpu().numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: _fingerprint(item) for key, item in value.items()}
    if isinstance(value, Struct | Observation):
        return {name: _fingerprint(item) for name, item in vars(value).items() if name != "world"}
    return repr(value)


def _tell(error: Exception) -> str:
    """The error with the last place in the planner's own file."""
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


@contextmanager
def _limit(seconds: float | None, what: str) -> Iterator[None]:
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise PlannerFailure(f"{what} took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
