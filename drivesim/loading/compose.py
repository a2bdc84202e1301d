"""The last steps of every load: agents on the grid, the ego's route and command, the Scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..errors import InputError, NotDrivable
from ..threads import one_thread
from ..types import DT, Briefing, Camera, Goal, Map, Place, Scenario, Scene, Scenery, SensorLog, Signals, Vehicle
from .route import command_of, route_along
from .sanity import FARTHEST, FASTEST, check
from .tracks import Track, assemble

SHORTEST = 1.0
"""Seconds that must be left to drive after `start`."""


@one_thread()
def compose(
    *,
    id: str,
    source: str,
    fingerprint: str,
    tracks: Sequence[Track],
    steps: int,
    map: Map,
    vehicle: Vehicle,
    cameras: tuple[Camera, ...],
    licence: str,
    origin: Any,
    start: int = 10,
    max_gap: float = 1.1,
    signals: Signals | None = None,
    scenery: Scenery | None = None,
    sensors: SensorLog | None = None,
    goals: tuple[Goal, ...] = (),
    tags: Sequence[str] = (),
    place: Place | None = None,
    inferred: Mapping[str, float] | None = None,
    problems: Sequence[str] = (),
    script: Any = None,
) -> Scenario:
    """A Scenario from tracks in the world frame, `tracks[0]` the ego's; `origin` (3,) holds the source's coordinates
    of the world's origin, which is the ego's first rear-axle pose on the ground.

    Raises NotDrivable for logs that are too short, InputError where the ego is missing at a step or something in the
    log cannot be (`sanity.check`).
    """
    if steps < start + round(SHORTEST / DT) + 1:
        raise NotDrivable(
            f"{id}: {steps * DT:.1f} s long; {start * DT:.1f} s of history and {SHORTEST:.0f} s to drive are needed"
        )
    tracks, left_out = _sound(tracks)
    agents = assemble(tracks, steps, max_gap=max_gap)
    moved = (agents.xy[1:] - agents.xy[:-1]).norm(dim=-1).nan_to_num(0).amax(0) / DT
    slow = torch.maximum(agents.velocity.norm(dim=-1).nan_to_num(0).amax(0), moved) <= FASTEST
    slow[0] = True
    if not bool(slow.all()):
        left_out += [f"track {tracks[i].id} left out: it jumps" for i in (~slow).nonzero()[:, 0].tolist()]
        tracks, agents = [tracks[i] for i in slow.nonzero()[:, 0].tolist()], agents[:, slow]
    if not bool(agents.valid[:, 0].all()):
        gap = int((~agents.valid[:, 0]).nonzero()[0])
        raise InputError(f"{id}: the ego {tracks[0].id} is not there at {gap * DT:.1f} s")
    route = route_along(map, agents.xy[:, 0].double().numpy(), yaw=float(agents.yaw[0, 0]))
    command = command_of(route, agents.xy[start, 0])
    briefing = Briefing(route, command, vehicle, cameras, goals=goals)
    return check(Scenario(
        id=id, source=source, fingerprint=fingerprint,
        scene=Scene(map, scenery or Scenery.none(), signals or Signals.none(), briefing),
        log=agents, track_ids=tuple(t.id for t in tracks), start=start, sensors=sensors,
        origin=torch.as_tensor(origin, dtype=torch.float64), licence=licence, tags=tuple(tags), place=place or Place(),
        inferred=dict(inferred or {}), problems=(*problems, *left_out), script=script,
    ))  # fmt: skip


def _sound(tracks: Sequence[Track]) -> tuple[list[Track], list[str]]:
    """The tracks without those that are damaged, and what is wrong with these. The ego's is kept: it is needed."""
    reasons = {track.id: _damage(track) for track in tracks[1:]}
    told = [f"track {id} left out: {reason}" for id, reason in reasons.items() if reason]
    return [tracks[0], *(t for t in tracks[1:] if not reasons[t.id])], told


def _damage(track: Track) -> str:
    poses = np.column_stack([track.xyz, track.yaw, track.pitch, track.roll])
    if not np.isfinite(poses).all() or not np.isfinite(track.time).all():
        return "a pose is not a number"
    if not (np.abs(track.xyz) <= FARTHEST).all():
        return "it is out of this world"
    if not ((track.size > 0) & (track.size < 100)).all():
        return f"its size is {' x '.join(f'{x:g}' for x in track.size)} m"
    if not (np.diff(track.time) > 0).all():
        return "its times do not increase"
    return ""
