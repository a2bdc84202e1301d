"""Drivable area compliance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from drivesim.geometry import heading
from drivesim.roadmap import RoadMap
from drivesim.types import Event, Map, Rollout, Scenario, Score

from .contacts import corners
from .drive import judged_ego, not_judged, only, over_steps, unfit

VERSION = "1"
SOURCE = "NAVSIM 0a380a9, drivable area compliance; nuPlan e924167, drivable_area_compliance (0.3 m)"
ASIDE, STRIDE = 4.0, 0.1
"""How far to the side, and in what steps, a way back is looked for [m]."""
CORNERS = ("front left", "front right", "rear right", "rear left")


def drivable_area(rollouts: Sequence[Rollout], scenario: Scenario, tolerance: float = 0.0) -> Score:
    """1 if all four corners of the ego's box stay on the drivable area at every step, else 0 (NAVSIM 0a380a9, DAC).

    `tolerance` [m]: how far outside a corner may be (NAVSIM 0; nuPlan's own score allows less than 0.3).
    Series: distance of the worst corner to the border, negative outside [m]. Not valid on a map
    without a drivable area.
    """
    rollout = only(rollouts, "drivable_area")
    reason = unfit(rollout) or ("" if len(scenario.scene.map.drivable) else "the map has no drivable area")
    if reason:
        return not_judged("drivable_area", reason, VERSION)
    boxes = corners(judged_ego(rollout))  # (n, 4, 2)
    worst, which = RoadMap.of(scenario.scene.map).border_distance(boxes).min(-1)
    steps = worst <= -tolerance
    events = []
    if steps.any():
        first = int(steps.int().argmax())
        corner = int(which[first])
        detail = {
            "corner": CORNERS[corner],
            "outside_by": round(-float(worst[first]), 3),  # [m]
            "worst_outside_by": round(-float(worst.min()), 3),
            "steps_outside": int(steps.sum()),
            "share_of_steps": round(float(steps.float().mean()), 4),
            "tolerance": tolerance,
            "lost": 1.0,
            "rule": f"all four corners on the drivable area, or less than {tolerance:g} m outside, at every step"
            if tolerance
            else "all four corners on the drivable area at every step",
            "source": SOURCE,
            "kept_by": kept_by(scenario.scene.map, boxes, worst, rollout.start, tolerance),
        }
        place = (round(float(boxes[first, corner, 0]), 3), round(float(boxes[first, corner, 1]), 3))
        events.append(Event("off_road", rollout.start + first, (0,), place, detail))
    return Score(
        "drivable_area", float(not steps.any()), better="more", series=over_steps(worst, rollout),
        evidence=tuple(events), shows="worst corner inside the border [m]", version=VERSION,
    )  # fmt: skip


def kept_by(map: Map, boxes: Tensor, worst: Tensor, start: int, tolerance: float = 0.0) -> str:
    """The least move to a side that brings the box back where it is farthest outside, tried every `STRIDE`.

    `boxes` (n, 4, 2) and the distance (n,) of the worst corner of each, negative outside.
    """
    step = int(worst.argmin())
    ahead = boxes[step, 0] - boxes[step, 3]
    left = heading(torch.atan2(ahead[1], ahead[0]) + torch.pi / 2)
    ways = STRIDE * torch.arange(1, round(ASIDE / STRIDE) + 1, dtype=boxes.dtype)
    ways = torch.stack([ways, -ways], -1).flatten()
    moved = boxes[step] + ways[:, None, None] * left
    inside = (RoadMap.of(map).border_distance(moved).amin(-1) > -tolerance).nonzero()[:, 0]
    if not len(inside):
        return f"the ego {-float(worst[step]) - tolerance:.2f} m further inside at step {start + step}, its worst"
    way = float(ways[inside[0]])
    return f"the ego {abs(way):.1f} m further {'left' if way > 0 else 'right'} at step {start + step}, its worst"
