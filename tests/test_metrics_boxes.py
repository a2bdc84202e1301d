"""The compiled tests of boxes, held to `geometry.boxes_overlap`; what is kept for many scores."""

import gc
import weakref

import numpy as np
import torch

from drivesim.geometry import box_corners, boxes_overlap
from drivesim.types import Agents
from metrics.boxes import boxes, first_touches, meeting, touching_first
from metrics.collision import collision
from metrics.contacts import corners
from metrics.drive import judged, judged_ego, kept, precise
from metrics.nuplan.direction import driving_direction
from metrics.plan_error import ade

from .worlds import rollout, scenario, straight_road, track


def crowd(steps=30, count=12, seed=1):
    """Agents that stand and turn about each other at random, some of them absent."""
    draw = np.random.default_rng(seed)
    tracks = [
        track(
            tuple(draw.uniform(-6, 6, 2)), draw.uniform(-3, 3), draw.uniform(0, 8), steps=steps,
            size=(draw.uniform(0.5, 6), draw.uniform(0.5, 2.5), 1.5),
        )
        for _ in range(count)
    ]  # fmt: skip
    return precise(Agents.stack(tracks, 1))


def by_corners(agents):
    box = corners(agents)
    return boxes_overlap(box[:, :1], box)


def test_who_touches_the_ego_is_as_by_separating_axes():
    agents = crowd()
    absent = agents.valid.clone()
    absent[3:9, 2] = False
    agents = agents.replace(valid=absent)
    found, expected = touching_first(boxes(agents)), by_corners(agents).numpy()
    assert expected[:, 1:].any() and not expected.all()
    np.testing.assert_array_equal(found[:, 1:], expected[:, 1:])
    assert not found[3:9, 2].any() and not found[:, 0].any()


def test_boxes_moved_on_touch_first_when_they_do_one_by_one():
    agents = crowd(seed=2)
    draw, times = np.random.default_rng(3), np.array([0.1, 0.5, 1.0, 2.0])
    closing, mask = draw.normal(0, 4, (*agents.yaw.shape, 2)), draw.random(agents.yaw.shape) < 0.7
    found = first_touches(boxes(agents), closing, mask, times)
    expected = np.full(mask.shape, np.inf)
    for time in times[::-1]:
        moved = agents.replace(xy=agents.xy + torch.from_numpy(closing * time))
        ego = box_corners(agents.xy, agents.yaw, agents.size)[:, :1]
        hit = boxes_overlap(ego, box_corners(moved.xy, moved.yaw, moved.size)).numpy() & mask
        expected[hit] = time
    assert len(np.unique(expected)) == 5
    np.testing.assert_array_equal(found, expected)


def test_placed_boxes_meet_those_of_their_row_alone():
    agents = crowd(seed=4)
    rows = np.array([0, 10, 20, 29])
    who = np.zeros(agents.yaw.shape, bool)
    who[:, 1::2] = True
    placed = boxes(agents)[rows, 0]
    expected = (by_corners(agents).numpy() & who)[rows].any(-1)
    np.testing.assert_array_equal(meeting(placed, rows, boxes(agents), who), expected)
    nobody = np.zeros_like(who)
    assert not meeting(placed, rows, boxes(agents), nobody).any()


def test_what_is_kept_is_worked_out_once_and_goes_with_its_subject():
    asked = []

    @kept
    def twice(about, factor=2):
        asked.append(factor)
        return torch.full((3,), float(factor))

    agents = crowd(count=2)
    assert twice(agents) is twice(agents) and asked == [2]
    assert twice(agents, 3)[0] == 3 and twice(agents, factor=4)[0] == 4 and asked == [2, 3, 4]
    assert twice(agents.replace(z=agents.z)) is not twice(agents)
    gone = weakref.ref(agents)
    del agents
    gc.collect()
    assert gone() is None


def test_nothing_that_is_kept_holds_a_rollout():
    world = scenario(track((0, 0), speed=5), track((20, 0)), map=straight_road())
    drive = rollout(world, track((0, 0), speed=6), track((20, 0)))
    for metric in (collision, driving_direction, ade):
        metric([drive], world)
    ego, held = judged_ego(drive), weakref.ref(judged(drive))
    assert ego is judged_ego(drive) and ego.xy.dtype == torch.float64
    gone = weakref.ref(drive)
    del drive
    gc.collect()
    assert gone() is None and held() is None
