"""Who is on the road in a test: tracks with a motion of their own among those of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from drivesim.geometry import box_corners, boxes_overlap, heading, wrap_angle
from drivesim.roadmap import RoadMap
from drivesim.types import DT, Agents, Map, Scenario

MOVES = 0.5
"""A logged track whose places deviate by more than this [m] in x or y moves; NeuroNCAP's renderer (NeuRAD) takes these
out of the scene, and what does not move stays."""

BOX, BOX_AHEAD = (4.018, 1.85), 0.5
"""Length and width of NeuroNCAP's ego, and how far its centre is ahead of the rear axle [m] (evaluation/collision.py);
the car of nuScenes has 4.084 x 1.73 m and 1.38 m."""


@dataclass(frozen=True, eq=False)
class Part:
    """A track to be put into the log."""

    id: str
    track: Agents  # (T,)
    target: bool = True


def track(xy: np.ndarray, yaw: np.ndarray, size: Sequence[float], kind: int, map: Map) -> Agents:
    """A body (T,) at places (T, 2) with yaw (T,), on the ground; its velocity is the way to its next place."""
    place, turn = torch.from_numpy(xy).float(), torch.from_numpy(yaw).float()
    road = RoadMap.of(map)
    pitch, roll = road.slope(place, turn)
    step = np.diff(xy, axis=0) / DT
    velocity = torch.from_numpy(np.concatenate([step, step[-1:]])).float()
    count = len(xy)
    box = torch.tensor(size, dtype=torch.float32).expand(count, 3)
    return Agents(
        place, road.ground(place), turn, pitch, roll, velocity, box,
        torch.full((count,), int(kind)), torch.ones(count, dtype=torch.bool),
    )  # fmt: skip


def cast(whole: Scenario, parts: Sequence[Part], others: str) -> tuple[Scenario, list[str]]:
    """The scenario with the parts in its log, and what was left out for them.

    `others`: which logged road users stay besides, `standing`, `all` or `none`. One that a part runs into is left out.
    """
    log, names = whole.log, whole.track_ids
    taken = {part.id for part in parts}
    keep = torch.tensor([i == 0 or (others != "none" and name not in taken) for i, name in enumerate(names)])
    if others == "standing":
        keep[1:] &= ~_moving(log)[1:]
    struck = torch.zeros_like(keep)
    for part in parts:
        struck |= _meets(log, part.track)
    struck[0] = False
    told = [f"track {names[i]} left out: the {part_names(parts)} of the test runs into it"
            for i in (struck & keep).nonzero()[:, 0].tolist()]  # fmt: skip
    stay = (keep & ~struck).nonzero()[:, 0].tolist()
    mine = Agents.stack([part.track for part in parts], dim=1)
    ids = (*(names[i] for i in stay), *(part.id for part in parts))
    gone = int((~keep).sum()) - len(taken & set(names))
    if gone > 0:
        told.append(f"{gone} logged road users left out, as in NeuroNCAP: others={others}")
    return _with(whole, Agents.cat([log[:, stay], mine], dim=1), ids), told


def as_neuro_ncap(scenario: Scenario) -> Scenario:
    """The scenario with NeuroNCAP's ego: its box and where that stands over the rear axle, which stays where it is."""
    vehicle = scenario.scene.briefing.vehicle
    ego, shift = scenario.log[:, 0], BOX_AHEAD - vehicle.rear_axle_to_center
    box = replace(vehicle, length=BOX[0], width=BOX[1], rear_axle_to_center=BOX_AHEAD)
    rate = wrap_angle(ego.yaw[1:] - ego.yaw[:-1]) / DT
    rate = torch.cat([rate, rate[-1:]])[:, None]
    ego = ego.replace(
        xy=ego.xy + shift * heading(ego.yaw), velocity=ego.velocity + shift * rate * heading(ego.yaw + torch.pi / 2),
        size=torch.cat([torch.tensor(BOX).expand(scenario.steps, 2), ego.size[:, 2:]], -1),
    )  # fmt: skip
    briefing = replace(scenario.scene.briefing, vehicle=box)
    log = Agents.cat([Agents.stack([ego], dim=1), scenario.log[:, 1:]], dim=1)
    return replace(scenario, log=log, scene=replace(scenario.scene, briefing=briefing))


def part_names(parts: Sequence[Part]) -> str:
    return ", ".join(part.id for part in parts)


def _with(whole: Scenario, log: Agents, ids: tuple[str, ...]) -> Scenario:
    return replace(whole, log=log, track_ids=ids)


def _moving(log: Agents) -> torch.Tensor:
    """Which tracks (A,) of a log (T, A) move."""
    xy = log.xy.double().masked_fill(~log.valid[..., None], torch.nan)
    mean = xy.nanmean(0)
    return ((xy - mean).square().nanmean(0).sqrt() > MOVES).any(-1)


def _meets(log: Agents, track: Agents) -> torch.Tensor:
    """Which agents (A,) of a log (T, A) a track (T,) overlaps at any step."""
    mine = box_corners(track.xy, track.yaw, track.size)[:, None]
    return (boxes_overlap(mine, box_corners(log.xy, log.yaw, log.size)) & log.valid & track.valid[:, None]).any(0)
