import math

import pytest
import torch

from drivesim.types import Polylines
from metrics.drivable_area import drivable_area

from .worlds import rollout, scenario, straight_road, track

# The road of two lanes reaches from y = -1.75 to 5.25; the ego's half width is 1.1485.
MARGIN = 1.75 - 1.1485


def judge(ego, start=0, map=None, **rules):
    world = scenario(ego, track((20, 3.5), speed=5), track((20, -30)), start=start, map=map)
    return drivable_area([rollout(world)], world, **rules)


def test_inside():
    score = judge(track((0, 0), speed=5))
    assert score.value == 1.0 and not score.evidence
    assert score.series == pytest.approx(torch.full((41,), MARGIN), abs=1e-4)


def test_drifting_off_to_the_right():
    # y falls by 0.1 m a step from 0 with the yaw of 0: the right corners are out once 0.1 k > 0.6015, from step 7 on.
    ego = track((0, 0), speed=5)
    y = -0.1 * torch.arange(41.0)
    score = judge(ego.replace(xy=torch.stack([ego.xy[:, 0], y], -1)))
    (event,) = score.evidence
    assert score.value == 0.0 and (event.kind, event.step, event.agents) == ("off_road", 7, (0,))
    assert event.detail["corner"] in ("front right", "rear right")
    assert event.detail["outside_by"] == pytest.approx(0.7 - MARGIN, abs=1e-3)
    assert event.detail["steps_outside"] == 34
    assert event.detail["share_of_steps"] == pytest.approx(34 / 41, abs=1e-3)
    assert event.xy[1] == pytest.approx(-0.7 - 1.1485, abs=1e-3)
    assert score.series[20] == pytest.approx(MARGIN - 2.0, abs=1e-4)


def test_one_corner_is_enough():
    # Turned by 30 degrees about its centre, only the front right corner of a negative turn leaves the road.
    score = judge(track((0, 0), yaw=-math.pi / 6))
    low = 2.588 * math.sin(math.pi / 6) + 1.1485 * math.cos(math.pi / 6)
    (event,) = score.evidence
    assert score.value == 0.0 and event.detail["corner"] == "front right"
    assert event.detail["outside_by"] == pytest.approx(low - 1.75, abs=1e-3)


def test_tolerance():
    ego = track((0, -MARGIN - 0.2), speed=5)  # 0.2 m out
    assert judge(ego).value == 0.0
    assert judge(ego, tolerance=0.3).value == 1.0  # nuPlan's
    assert judge(ego, tolerance=0.1).value == 0.0


def test_history_does_not_count():
    ego = track((0, 0), speed=5)
    xy = ego.xy.clone()
    xy[:10, 1] = -9.0
    assert judge(ego.replace(xy=xy), start=10).value == 1.0
    assert judge(ego.replace(xy=xy), start=9).value == 0.0


def test_a_hole_in_the_road_is_not_drivable():
    island = torch.tensor([[18.0, -0.5], [22.0, -0.5], [22.0, 0.5], [18.0, 0.5]])
    road = straight_road()
    holed = road.replace(drivable=Polylines.of([road.drivable.line(0), island]))
    # The corners pass the narrow island on both sides; a wide one they cannot pass.
    assert judge(track((0, 0), speed=10), map=holed).value == 1.0
    wide = road.replace(drivable=Polylines.of([road.drivable.line(0), island * torch.tensor([1.0, 3.0])]))
    score = judge(track((0, 0), speed=10), map=wide)
    assert score.value == 0.0 and score.evidence[0].step == 16  # 15.412 m to the island at 10 m/s


def test_no_drivable_area_is_no_score():
    bare = straight_road().replace(drivable=Polylines.of([]))
    score = judge(track((0, 0), speed=5), map=bare)
    assert not score.valid and math.isnan(score.value) and "no drivable area" in score.reason
