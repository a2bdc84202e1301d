import math

import pytest
import torch
from torch.testing import assert_close

from drivesim.types import Agents, Kind, Vehicle
from metrics.collision import collision
from metrics.contacts import (
    Contact,
    clearance,
    contact_types,
    first_contacts,
    in_several_lanes,
    nearest,
    touching,
)

from .worlds import path, rollout, scenario, straight_road, track

EGO = Vehicle()  # half length 2.588, half width 1.1485
CAR = (4.0, 2.0, 1.5)


def judge(*tracks, map=None, start=0, **rules):
    world = scenario(*tracks, map=map, start=start)
    return collision([rollout(world)], world, **rules)


def the(score):
    """The one event of a score."""
    (event,) = score.evidence
    return event


def test_hitting_a_parked_car_ahead():
    # Ego front at 2.588 + t; the car's rear at 20 - 2 = 18: 15.412 m at 10 m/s, so first touched at step 16.
    score = judge(
        track((0, 0), speed=10), track((20, 0), size=CAR), track((0, 3.5), speed=10), track((-15, 0), speed=5)
    )
    event = the(score)
    assert score.value == 0.0 and score.valid
    assert (event.kind, event.step, event.agents) == ("collision", 16, (0, 1))
    assert event.detail["type"] == "stopped_track" and event.detail["at_fault"]
    assert event.detail["impact_speed"] == pytest.approx(10) and event.detail["delta_v"] == pytest.approx(5)
    assert event.xy[0] == pytest.approx((18 + 18.588) / 2, abs=1e-3) and event.xy[1] == pytest.approx(0, abs=1e-3)
    # the nearest box at step 0 is the neighbour's: 3.5 - 1.1485 - 0.95
    assert score.series[0] == pytest.approx(3.5 - EGO.width / 2 - 0.95, abs=1e-4)
    assert score.series[16] == 0.0


def test_hit_from_behind_is_not_the_egos_fault():
    score = judge(track((0, 0), speed=2), track((-10, 0), speed=8), track((30, 0), speed=8))
    event = the(score)
    # gap 10 - 2.588 - 2.3 = 5.112 m closes at 6 m/s: step 9
    assert score.value == 1.0 and event.step == 9
    assert event.detail["type"] == "rear" and not event.detail["at_fault"]
    assert event.detail["delta_v"] == pytest.approx(3, abs=1e-3)


def test_hitting_a_slower_car_in_front():
    score = judge(track((0, 0), speed=10), track((15, 0), speed=4), track((-15, 0), speed=4))
    assert score.value == 0.0 and the(score).detail["type"] == "front"
    assert the(score).agents == (0, 1)


def test_a_stopped_ego_is_never_at_fault():
    score = judge(track((0, 0)), track((15, 0), yaw=math.pi, speed=5), track((0, 9), speed=5))
    assert score.value == 1.0 and the(score).detail["type"] == "stopped_ego"


def test_lateral_contact_depends_on_where_the_ego_is():
    # A car drifts into the ego's flank from the left.
    drift = track((0, 4.5), yaw=-0.2, speed=5, size=CAR)
    other = track((40, 3.5), speed=5)
    wide = straight_road(lanes=3)
    in_lane = judge(track((0, 0), speed=5), drift, other, map=wide)
    assert in_lane.value == 1.0 and the(in_lane).detail["type"] == "lateral"
    assert not the(in_lane).detail["several_lanes"] and not the(in_lane).detail["off_road"]
    between = judge(track((0, 1.0), speed=5), drift, other, map=wide)
    assert between.value == 0.0 and the(between).detail["several_lanes"]
    off = judge(track((0, -1.0), speed=5), drift, other, map=wide)
    assert off.value == 0.0 and the(off).detail["off_road"] and not the(off).detail["several_lanes"]


def test_a_static_object_costs_half_and_a_person_all():
    cone = track((15, 0), kind=Kind.CONE)
    away = track((0, 3.5), speed=5)
    assert judge(track((0, 0), speed=10), cone, away).value == 0.5
    person = track((25, 0), kind=Kind.PEDESTRIAN)
    both = judge(track((0, 0), speed=10), cone, person, away)
    assert both.value == 0.0 and [e.agents for e in both.evidence] == [(0, 1), (0, 2)]
    # an object's velocity is noise: it stands
    rolling = track((15, 0), speed=1.0, kind=Kind.BARRIER)
    assert the(judge(track((0, 0), speed=10), rolling, away)).detail["type"] == "stopped_track"


def test_overlap_at_the_start_is_ignored_for_good_but_reported():
    # Overlaps at the start (4.5 m < 2.588 + 2.3), leads by 6.5 m after 1 s, brakes and is hit again before 4 s.
    inside = track((4.5, 0), speed=12, acceleration=-4)
    away = track((0, 3.5), speed=5)
    score = judge(track((0, 0), speed=8), inside, away)
    assert score.value == 1.0 and the(score).kind == "contact_at_start" and not the(score).detail["at_fault"]
    assert judge(track((0, 0), speed=8), inside, away, ignore_start=False).value == 0.0


def test_history_does_not_count():
    # In the history the ego drives through a car that is gone when the planner takes over.
    past = track((8, 0), size=CAR, valid=slice(0, 15))
    score = judge(track((0, 0), speed=10), past, track((0, 3.5), speed=10), start=20)
    assert score.value == 1.0 and not score.evidence
    assert torch.isnan(score.series[:20]).all() and torch.isfinite(score.series[20:]).all()


def test_each_track_counts_once_at_its_first_contact():
    # Through one car and into the next; the first is touched for several steps.
    score = judge(track((0, 0), speed=10), track((12, 0)), track((25, 0)), track((0, 3.5), speed=1))
    assert [(e.step, e.agents) for e in score.evidence] == [(8, (0, 1)), (21, (0, 2))]


def test_absent_then_present():
    # The car appears where the ego has already passed, and once more where the ego will come.
    late = track((10, 0), size=CAR, valid=slice(30, 41))
    assert judge(track((0, 0), speed=10), late, track((0, 3.5))).value == 1.0
    early = track((20, 0), size=CAR, valid=slice(12, 41))
    assert judge(track((0, 0), speed=10), early, track((0, 3.5))).evidence[0].step == 16


def test_an_invalid_agent_never_counts_even_with_numbers_in_it():
    ghost = track((10, 0), size=CAR)
    ghost = ghost.replace(valid=torch.zeros_like(ghost.valid))
    score = judge(track((0, 0), speed=10), ghost, track((0, 3.5), speed=10))
    assert score.value == 1.0 and not score.evidence


def test_alone_on_the_road():
    score = judge(track((0, 0), speed=10))
    assert score.value == 1.0 and torch.isnan(score.series).all()


def test_delta_v_of_a_crossing_contact():
    # 3 and 4 m/s at right angles: they meet at 5 m/s, each changes by 2.5.
    score = judge(track((0, 0), speed=3), track((5, -6), yaw=math.pi / 2, speed=4, size=CAR), track((30, 3.5), speed=3))
    assert the(score).detail["impact_speed"] == pytest.approx(5, abs=1e-3)
    assert the(score).detail["delta_v"] == pytest.approx(2.5, abs=1e-3)


def test_types_by_hand():
    ego = track((0, 0), speed=5, steps=1)
    cases = [
        (track((3, 0), speed=5, steps=1), Contact.FRONT),
        (track((-3, 0), speed=5, steps=1), Contact.REAR),
        (track((0, 1.5), speed=5, steps=1), Contact.LATERAL),
        (track((3, 0), speed=0.05, steps=1), Contact.STOPPED_TRACK),
        (track((2.6, 1.9), yaw=math.pi / 4, speed=5, steps=1), Contact.FRONT),  # its corner over the bumper
    ]
    for degrees, expected in (
        (149, Contact.LATERAL),
        (151, Contact.REAR),
    ):  # as the rear axle sees the track's centre
        angle = math.radians(degrees)
        place = (3 * math.cos(angle) - EGO.rear_axle_to_center, 3 * math.sin(angle))
        cases += [
            (track(place, speed=5, steps=1), expected),
            (track((place[0], -place[1]), speed=5, steps=1), expected),
        ]
    size = torch.tensor([EGO.length, EGO.width, EGO.height])[None]
    for other, expected in cases:
        kind = contact_types(ego.replace(size=size), other, EGO)
        assert Contact(int(kind)) is expected


def test_clearance_by_hand():
    cars = [track(xy, size=CAR) for xy in ((0, 0), (10, 0), (0, 5), (1, 1))]
    square = track((7, 6), yaw=math.pi / 4, size=(2.0, 2.0, 1.0))
    agents = Agents.stack([*cars[:3], square, cars[3]], dim=1)[0]
    asked = torch.tensor([False, True, True, True, True])
    gap = clearance(agents, asked)
    # the turned square's nearest corner is sqrt(2) below and left of its centre: (7 - sqrt 2, 6) or (7, 6 - sqrt 2);
    # nearest to the ego's corner (2, 1) is its lower left edge, on the line x + y = 13 - sqrt 2
    assert_close(gap[1:], torch.tensor([6.0, 3.0, (13 - 2**0.5 - 3) / 2**0.5, 0.0]))
    assert torch.isinf(gap[0])
    assert nearest(agents) == 0.0 and nearest(agents[:4]) == 3.0
    assert torch.isinf(clearance(agents, ~asked)[1:]).all()


def test_the_nearest_box_need_not_have_the_nearest_centre():
    car, bus, person = (
        track((0, 0), size=CAR),
        track((14, 0), size=(18, 2.5, 3)),
        track((0, 6), size=(0.4, 0.4, 1.7)),
    )
    agents = Agents.stack([car, person, bus, track((0, -30), size=CAR)], dim=1)
    assert_close(nearest(agents), torch.full((41,), 3.0))  # the bus: 14 - 9 - 2; the person: 6 - 1 - 0.2
    wild = Agents.stack([move_on(seed) for seed in range(12)], dim=1)
    everyone = torch.ones(41, 12, dtype=torch.bool)
    everyone[:, 0] = False
    assert_close(nearest(wild), clearance(wild, everyone).amin(-1), rtol=0, atol=0)


def move_on(seed):
    x, y, yaw, speed = (torch.rand(4, generator=torch.Generator().manual_seed(seed)) - 0.5).tolist()
    return track((60 * x, 60 * y), 6 * yaw, 20 * speed, size=(1 + seed, 2.0, 1.5))


def test_touching_counts_but_no_more():
    pair = Agents.stack([track((0, 0), size=CAR), track((4.0, 0), size=CAR), track((4.001, 0), size=CAR)], dim=1)
    assert touching(pair)[0].tolist() == [False, True, False]


def test_batch_equals_singles():
    scenes = [
        [track((0, 0), speed=10), track((20, 0)), track((0, 3.5), speed=9, valid=slice(5, 20))],
        [track((0, 0), speed=2), track((-10, 0), speed=8), track((30, 0), yaw=math.pi, speed=8)],
        [track((0, 1), speed=5), track((3, 1.2), speed=1), track((9, 9))],
    ]
    singles = [Agents.stack(tracks, dim=1) for tracks in scenes]
    batch = Agents.stack(singles)
    for function in (touching, first_contacts, nearest):
        assert_close(function(batch), torch.stack([function(x) for x in singles]), rtol=0, atol=0)


def test_a_lane_and_its_successor_are_one():
    road = straight_road(lanes=2, length=50, behind=25)
    ahead = straight_road(lanes=2, length=50, behind=-25)
    lanes = road.lanes
    points = torch.cat([lanes.center.points, ahead.lanes.center.points])
    offsets = torch.cat([lanes.center.offsets, ahead.lanes.center.offsets[1:] + lanes.center.offsets[-1]])
    both = lanes.replace(
        center=lanes.center.replace(points=points, offsets=offsets, kind=torch.zeros(4, dtype=torch.int64)),
        width=torch.full((4,), 3.5), intersection=torch.zeros(4, dtype=torch.bool),
        successors=torch.tensor([[0, 2], [1, 3]]),
    )  # fmt: skip
    box = torch.tensor([[2.0, 1.0], [2.0, -1.0], [-2.0, -1.0], [-2.0, 1.0]])
    here = torch.stack([box + torch.tensor([25.0, 0.0]), box + torch.tensor([25.0, 1.5]), box])
    assert in_several_lanes(road.replace(lanes=both), here).tolist() == [False, True, False]


def test_a_turning_ego_hits_with_its_front():
    t = torch.arange(41) * 0.1
    yaw = 0.4 * t
    bend = torch.stack([torch.sin(yaw), 1 - torch.cos(yaw)], -1) * 20  # 8 m/s on a radius of 20 m
    score = judge(path(bend, yaw), track((16, 8), yaw=2.0, speed=0.1, size=CAR), track((0, -9), speed=1),
                  map=straight_road(lanes=6))  # fmt: skip
    assert score.value == 0.0 and the(score).agents == (0, 1)
