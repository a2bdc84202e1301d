"""Planning problems: where the ego starts and what counts as arrived."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import torch

from drivesim.types import Goal

from .elements import middle, references, span
from .lanelets import Lanelet
from .obstacles import Clock
from .shapes import center_of, rings_of

FASTEST = 100.0  # [m/s]


@dataclass(frozen=True, eq=False)
class Task:
    id: str
    xy: np.ndarray  # (2,) centre of the ego's box, coordinates of the file
    yaw: float
    speed: float  # [m/s]
    step: float  # of the file at which it starts
    element: Element


def read_tasks(root: Element) -> list[Task]:
    """Raises ValueError for one that lacks its initial state."""
    return [_task(e) for e in root.findall("planningProblem")]


def _task(element: Element) -> Task:
    name = (element.get("id") or "").strip()
    start = element.find("initialState")
    if start is None:
        raise ValueError(f"planning problem {name} has no initial state")
    values = {}
    for tag in ("orientation", "velocity", "time"):
        part = start.find(tag)
        if part is None and tag != "time":
            raise ValueError(f"the initial state of planning problem {name} has no {tag}")
        values[tag] = middle(part, tag) if part is not None else 0.0
    if abs(values["velocity"]) > FASTEST:
        raise ValueError(f"planning problem {name} starts at {values['velocity']:.0f} m/s")
    xy = np.array(center_of(start.find("position")))
    return Task(name, xy, values["orientation"], values["velocity"], values["time"], element)


def goals_of(task: Task, lanelets: Mapping[str, Lanelet], origin: np.ndarray, clock: Clock) -> tuple[Goal, ...]:
    """A Goal for each area of each goal state: reaching any of them is arriving."""
    goals = []
    for state in task.element.findall("goalState"):
        time = _interval(state, "time", (clock.zero, math.inf))
        yaw = _interval(state, "orientation", (-math.inf, math.inf))
        shared = {
            "time": tuple(max((t - clock.zero) * clock.dt, 0.0) for t in time),
            "yaw": yaw if yaw[0] <= yaw[1] else (yaw[0], yaw[1] + 2 * math.pi),
            "speed": _interval(state, "velocity", (-math.inf, math.inf)),
        }
        areas = _areas(state.find("position"), lanelets, task.id)
        goals += [Goal(torch.from_numpy(ring - origin).float(), **shared) for ring in areas]
        if state.find("position") is None:
            goals.append(Goal(torch.zeros(0, 2), **shared))
    return tuple(goals)


def _areas(position: Element | None, lanelets: Mapping[str, Lanelet], name: str) -> list[np.ndarray]:
    if position is None:
        return []
    named = references(position, "lanelet")
    unknown = [i for i in named if i not in lanelets]
    if unknown:
        raise ValueError(f"the goal of planning problem {name} is lanelet {unknown[0]}, which is not there")
    areas = [lanelets[i].ring for i in named] + rings_of(position)
    if not areas:
        raise ValueError(f"the goal position of planning problem {name} is no area")
    return areas


def _interval(state: Element, tag: str, otherwise: tuple[float, float]) -> tuple[float, float]:
    part = state.find(tag)
    return span(part, tag) if part is not None else otherwise
