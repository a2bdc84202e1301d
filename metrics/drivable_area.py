"""Drivable area compliance."""

from __future__ import annotations

from collections.abc import Sequence

from drivesim.roadmap import RoadMap
from drivesim.types import Event, Rollout, Scenario, Score

from .contacts import corners
from .drive import judged, not_judged, only, over_steps, unfit

VERSION = "1"
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
    boxes = corners(judged(rollout)[..., 0])  # (n, 4, 2)
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
        }
        place = (round(float(boxes[first, corner, 0]), 3), round(float(boxes[first, corner, 1]), 3))
        events.append(Event("off_road", rollout.start + first, (0,), place, detail))
    return Score(
        "drivable_area", float(not steps.any()), series=over_steps(worst, rollout), evidence=tuple(events),
        shows="worst corner inside the border [m]", version=VERSION,
    )  # fmt: skip
