"""A run of a test that a file describes: NeuroNCAP's own draws, so that run n is the one it makes with seed n."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drivesim.errors import NotDrivable
from drivesim.types import DT, Scenario

from .cast import Part, track
from .spec import FRAME, Actor, Jitter, Spec


@dataclass(frozen=True, eq=False)
class Run:
    """A test as it is driven. Steps are of the logged scenario."""

    first: int
    takeover: int
    stop: int  # exclusive
    parts: tuple[Part, ...]


def run(spec: Spec, whole: Scenario, seed: int, jitter: bool) -> Run:
    """Run `seed` of a test; without `jitter` the nominal one. NotDrivable if the log lacks an actor."""
    frame = spec.start_frame
    if spec.start_jitter and jitter:
        moved = np.random.default_rng(seed).integers(-spec.start_jitter, spec.start_jitter + 1)
        frame = max(0, frame + int(moved))
    first = round(frame * FRAME / DT)
    takeover = first + round(spec.priming_steps * spec.time_step / DT)
    stop = min(first + round(spec.duration / DT) + 1, whole.steps)
    draw = np.random.default_rng(seed)
    scale = 1.0
    if spec.dim_jitter > 0 and jitter:
        scale += draw.uniform(-spec.dim_jitter, spec.dim_jitter)
    order = draw.permutation(len(spec.actors)) if jitter else range(len(spec.actors))
    parts: list[Part] = []
    groups: set[str] = set()
    for actor in (spec.actors[i] for i in order):
        if actor.group in groups:
            continue
        groups |= {actor.group} - {""}
        parts.append(_part(actor, whole, draw, scale, jitter))
    target = any(actor.target for actor in spec.actors)
    if not target:
        parts = [Part(part.id, part.track, True) for part in parts]
    return Run(first, takeover, stop, tuple(parts))


def _part(actor: Actor, whole: Scenario, draw: np.random.Generator, scale: float, jitter: bool) -> Part:
    id = actor.ids[int(draw.integers(len(actor.ids)))] if actor.drawn else actor.ids[0]
    if id not in whole.track_ids:
        raise NotDrivable(f"{whole.id}: the test's actor {id} is no track of this log")
    agent = whole.track_ids.index(id)
    logged = whole.log[:, agent]
    if not bool(logged.valid.any()):
        raise NotDrivable(f"{whole.id}: the test's actor {id} is never seen in this log")
    seen = int(logged.valid.nonzero()[0, 0])
    if not actor.override:
        return Part(id, logged, actor.target)
    places, yaw = np.array(actor.positions)[:, :2], actor.yaw
    if actor.jitter and jitter:
        offset, turn = _offset(actor.jitter, draw)
        places, yaw = places + offset, yaw + turn
    if id in actor.flipped:
        yaw += np.pi
    width, length, height = actor.size or tuple(logged.size[seen, [1, 0, 2]].tolist())
    size = (length * scale, width * scale, height * scale)
    xy = _along(np.array(actor.times), places - whole.origin[:2].numpy(), whole.steps)
    return Part(id, track(xy, _headings(xy, yaw), size, int(logged.kind[seen]), whole.scene.map), actor.target)


def _offset(jitter: Jitter, draw: np.random.Generator) -> tuple[np.ndarray, float]:
    """Offset (2,) and turn, drawn in NeuroNCAP's order: along, across (positive to the right), turn."""
    number = lambda scale: draw.uniform(-scale, scale) if jitter.uniform else draw.normal(scale=scale)  # noqa: E731
    offset = np.zeros(2)
    if jitter.angle is not None:
        ahead = np.array([np.cos(jitter.angle), np.sin(jitter.angle)])
        if jitter.longitudinal is not None:
            offset += number(jitter.longitudinal) * ahead
        if jitter.lateral is not None:
            offset += number(jitter.lateral) * np.array([ahead[1], -ahead[0]])
    return offset, number(jitter.yaw) if jitter.yaw is not None else 0.0


def _along(times: np.ndarray, places: np.ndarray, steps: int) -> np.ndarray:
    """Places (steps, 2) at every step, straight from one to the next and on beyond the first and the last."""
    t = np.arange(steps) * DT
    i = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
    share = (t - times[i]) / (times[i + 1] - times[i])
    return places[i] + share[:, None] * (places[i + 1] - places[i])


def _headings(xy: np.ndarray, standing: float) -> np.ndarray:
    """Yaw (T,) along the way to the next place; `standing` where there is none."""
    step = np.diff(xy, axis=0)
    step = np.concatenate([step, step[-1:]])
    return np.where(np.hypot(*step.T) > 1e-6, np.arctan2(step[:, 1], step[:, 0]), standing)
