"""AlpaSim's scene score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from drivesim.geometry import arc_length, box_corners, boxes_overlap
from drivesim.types import Agents, Event, Rollout, Scenario, Score

from .contacts import bumper_meets, corners, off_road, touching
from .drive import judged, logged_ego, not_judged, only, over_steps, track_name, unfit
from .progress import place_on

VERSION = "1"
SATURATION = 0.8
"""Progress from which on the score is full."""
SHORT = 5.0
"""Of a recorded drive that asks for no progress [m]."""


def alpasim(rollouts: Sequence[Rollout], scenario: Scenario, form: Literal["strict", "peer"] = "strict") -> Score:
    """0 with an at-fault collision or off the road, else min(progress / 0.8, 1) (AlpaSim 3032e0c, scene_score).

    At fault are contacts at the front or the flank; at the rear not. What comes after the first incident, at fault or
    not, is not looked at, progress included. `form`: where several agents touch the ego at once, `strict` counts each,
    `peer` keeps the type of the last alone. Progress: the centre projected on the path that the log drove, over
    that path's length; 1 if the log drove less than 5 m. Not valid without a drivable area.
    Series: progress along the logged path, as a share.
    """
    rollout = only(rollouts, "alpasim")
    reason = unfit(rollout) or ("" if len(scenario.scene.map.drivable) else "the map has no drivable area")
    path = reason or driven(scenario, rollout)
    if isinstance(path, str):
        return not_judged("alpasim", path, VERSION)
    agents = judged(rollout)
    hit = touching(agents)
    fault = hit.clone()
    fault[hit] = ~rear_alone(_ego(agents)[hit], agents[hit])
    out = off_road(scenario.scene.map, corners(agents[..., 0]))
    happened = hit.any(-1) | out
    last = int(happened.int().argmax()) if bool(happened.any()) else len(out) - 1
    who = (hit if form == "strict" else hit & (torch.arange(hit.shape[-1]) == _last_true(hit)[:, None]))[last]
    collided = bool((who & fault[last]).any())
    length = float(arc_length(path)[-1])
    share = place_on(agents.xy[:, 0], path)[0] / max(length, 1e-9)
    made = float(share[last])
    value = scene_score(made, length, collided, bool(out[last]))
    events = _events(rollout, scenario, agents, last, who, fault[last], bool(out[last]), made, length)
    return Score(
        "alpasim", value, better="more", series=over_steps(share, rollout), shows="share of the logged path",
        evidence=events, version=f"{VERSION} {form}",
    )  # fmt: skip


def scene_score(progress: float, distance: float, at_fault: float, offroad: float) -> float:
    """The gate: `progress` as a share, logged `distance` [m]. ValueError if a number is not finite: a failure must not
    become a score."""
    for name, value in {"progress": progress, "distance": distance, "at_fault": at_fault, "offroad": offroad}.items():
        if not math.isfinite(value):
            raise ValueError(f"scene_score: {name} is {value}")
    if at_fault or offroad:
        return 0.0
    return 1.0 if distance < SHORT else min(min(max(progress, 0.0), 1.0) / SATURATION, 1.0)


def open_loop_collision(
    plan: Tensor,
    time: Tensor,
    agents: Tensor,
    size: Sequence[float],
    horizon: float = 3.0,
    sizes: Tensor | None = None,
) -> bool:
    """Whether a plan (H, 2) or (H, 3) of box centres at `time` (H,) meets boxes (H, 2) or (H, A, 2), or poses with yaw,
    where they are then, up to `horizon` [s] after the first. `size`: length and width of all, `sizes` (A, 2) of others.

    Where the plan has no yaw it is that of its way (of the last step that moves; 0 before)."""
    mine = _with_yaw(plan.double()[:, None])[:, 0]
    others = _with_yaw(agents.double() if agents.dim() == 3 else agents.double()[:, None], moving=False)
    box = torch.as_tensor(size, dtype=torch.float64)
    theirs = box.expand(others.shape[1], 2) if sizes is None else sizes.double()
    ego = box_corners(mine[:, :2], mine[:, 2], box.expand(len(mine), 2))
    boxes = box_corners(others[..., :2], others[..., 2], theirs.expand(*others.shape[:2], 2))
    soon = time.double() - time.double()[0] <= horizon + 1e-9
    return bool((boxes_overlap(ego[:, None], boxes) & soon[:, None]).any())


def driven(scenario: Scenario, rollout: Rollout) -> Tensor | str:
    """The path (n, 2) of the logged ego from the start on, or why there is none."""
    log = logged_ego(scenario, rollout.start)
    there = log.valid & torch.isfinite(log.xy).all(-1)
    if int(there.sum()) < 2:
        return "the log does not show how the ego drove on from the start"
    return log.xy[there]


def rear_alone(ego: Agents, other: Agents) -> Tensor:
    """Whether the line between an ego's rear corners meets the other's box, and its front bumper does not (...)."""
    return bumper_meets(ego.replace(yaw=ego.yaw + torch.pi), other) & ~bumper_meets(ego, other)


def _ego(agents: Agents) -> Agents:
    """The ego beside each agent (..., A)."""
    return agents[..., torch.zeros(agents.yaw.shape[-1], dtype=torch.int64)]


def _with_yaw(places: Tensor, moving: bool = True) -> Tensor:
    """Poses (H, A, 3) of places (H, A, 2); such that have a yaw stay as they are."""
    if places.shape[-1] == 3:
        return places
    yaw = torch.zeros(places.shape[:-1], dtype=places.dtype)
    step = places[1:] - places[:-1]
    for k in range(len(step) if moving else 0):
        turn = torch.atan2(step[k, :, 1], step[k, :, 0])
        known = step[k].norm(dim=-1) > 1e-6
        yaw[k + 1] = torch.where(known, turn, yaw[k])
        yaw[k] = torch.where(known, turn, yaw[k]) if k == 0 else yaw[k]
    return torch.cat([places, yaw[..., None]], -1)


def _last_true(mask: Tensor) -> Tensor:
    """Index (n,) of the last True of each row of a mask (n, A); -1 for none."""
    return torch.where(mask, torch.arange(mask.shape[-1]), -1).amax(-1)


def _events(
    rollout: Rollout,
    scenario: Scenario,
    agents: Agents,
    last: int,
    who: Tensor,
    fault: Tensor,
    out: bool,
    made: float,
    length: float,
) -> tuple[Event, ...]:
    step = rollout.start + last
    place = tuple(round(x, 3) for x in agents.xy[last, 0].tolist())
    found = []
    for i in who.nonzero()[:, 0].tolist():
        detail = {
            "at_fault": bool(fault[i]), "track": track_name(scenario.track_ids, i), "lost": float(fault[i]),
            "rule": "contact at the front or flank: 0 (AlpaSim 3032e0c, collision_at_fault)",
            "kept_by": "no contact, or one at the rear bumper",
        }  # fmt: skip
        where = tuple(round(x, 3) for x in agents.xy[last, i].tolist())
        found.append(Event("collision", step, (0, i), where, detail))
    if out:
        rule = "a corner beyond the road edge: 0 (AlpaSim, offroad)"
        detail = {"lost": 1.0, "rule": rule, "kept_by": "all corners on the road"}
        found.append(Event("off_road", step, (0,), place, detail))
    if length >= SHORT and made < SATURATION:
        detail = {
            "value": round(made, 4), "limit": SATURATION, "logged_distance": round(length, 3),
            "lost": round(1 - max(made, 0.0) / SATURATION, 6),
            "rule": "progress / 0.8 up to the first incident (AlpaSim, progress_saturation_threshold)",
            "kept_by": f"{(SATURATION - made) * length:.2f} m farther along the logged path",
        }  # fmt: skip
        found.append(Event("progress", step, (0,), place, detail))
    return tuple(found)
