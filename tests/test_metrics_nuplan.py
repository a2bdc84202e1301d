"""nuPlan's closed-loop and open-loop scores: cases worked by hand."""

import math
from dataclasses import replace

import pytest
import torch

from drivesim.errors import InputError
from drivesim.geometry import to_frame
from drivesim.types import Event, Kind, Plan, Polylines
from metrics.nuplan.aggregate import by_type, overall, weighted
from metrics.nuplan.at_fault import collision_score, no_ego_at_fault_collisions
from metrics.nuplan.closed_loop import MULTIPLIERS, WEIGHTS, making_progress, nuplan_cls
from metrics.nuplan.direction import direction_score, driving_direction, window_sums
from metrics.nuplan.open_loop import nuplan_ols, open_loop_parts
from metrics.nuplan.speed_limit import limits, speed_limit
from metrics.progress import progress

from .test_metrics_laws import crowd, metric, reordered, same
from .worlds import move, path, rollout, scenario, straight_road, track

ROAD = straight_road(lanes=2)


def driven(ego, *others, map=ROAD, log=None, **kwargs):
    world = scenario(log if log is not None else track((0, 0), speed=10), *others, map=map, **kwargs)
    return world, rollout(world, ego, *others)


def composition(score):
    (event,) = [e for e in score.evidence if e.kind == "composition"]
    return event.detail


def part(score, name):
    (event,) = [e for e in score.evidence if e.kind == name]
    return event.detail.get("factor", event.detail.get("value"))


def test_a_clean_drive_scores_one():
    world, drive = driven(track((0, 0), speed=10))
    score = nuplan_cls([drive], world)
    assert score.value == 1.0 and [e.kind for e in score.evidence] == ["composition", *MULTIPLIERS, *WEIGHTS]
    assert all(e.detail["lost"] == 0 for e in score.evidence[1:])
    assert composition(score)["traffic"] == "non_reactive" and composition(score)["left_out"] == {}


def test_the_score_is_the_product_times_the_weighted_mean():
    """Half the expert's way, 2 m/s too fast nowhere, brakes comfortably: (5 * .5 + 5 + 4 + 2) / 16."""
    world, drive = driven(track((0, 0), speed=5))
    assert nuplan_cls([drive], world).value == pytest.approx((5 * 0.5 + 5 + 4 + 2) / 16, abs=1e-4)


def test_what_does_not_apply_is_left_out_with_its_reason():
    lanes = ROAD.lanes.replace(speed_limit=torch.full((2,), torch.nan))
    world, drive = driven(track((0, 0), speed=5), map=ROAD.replace(lanes=lanes))
    score = nuplan_cls([drive], world)
    assert score.value == pytest.approx((5 * 0.5 + 5 + 2) / 12, abs=1e-4)
    left_out = composition(score)["left_out"]
    assert list(left_out) == ["speed_limit_compliance"] and "no speed limit" in left_out["speed_limit_compliance"]
    lost = sum(e.detail["lost"] for e in score.evidence if "weight" in e.detail)
    assert lost == pytest.approx(1 - score.value, abs=1e-5)


def test_a_map_without_lanes_or_area_still_has_a_score():
    no = ROAD.lanes.replace(
        center=Polylines.of([], dims=3), width=torch.zeros(0), speed_limit=torch.zeros(0),
        intersection=torch.zeros(0, dtype=torch.bool), neighbours=torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip
    world, drive = driven(track((0, 0), speed=10), map=ROAD.replace(lanes=no, drivable=Polylines.of([])))
    score = nuplan_cls([drive], world)
    assert score.value == 1
    assert set(composition(score)["left_out"]) == {
        "drivable_area_compliance", "driving_direction_compliance", "speed_limit_compliance",
    }  # fmt: skip


def test_too_little_progress_costs_everything():
    world, drive = driven(track((0, 0), speed=1.9))
    assert nuplan_cls([drive], world).value == 0
    assert nuplan_cls([drive], world, least_progress=0.15).value > 0.6
    assert making_progress(progress([drive], world), 0.18).value == 1


def test_traffic_is_told_by_the_tracks_or_by_the_caller():
    other = track((30, 3.5), speed=8)
    world, drive = driven(track((0, 0), speed=10), other)
    assert composition(nuplan_cls([drive], world))["traffic"] == "non_reactive"
    reacting = rollout(world, track((0, 0), speed=10), track((30, 3.5), speed=8, acceleration=-0.5))
    assert composition(nuplan_cls([reacting], world))["traffic"] == "reactive"
    assert composition(nuplan_cls([drive], world, traffic="reactive"))["traffic"] == "reactive"
    # a replayed track that was hit moves as the hit says, not as a driver does; nobody else is excused by it
    two = rollout(world, track((0, 0), speed=10), track((30, 3.5), speed=8, acceleration=-0.5))
    other_hit = replace(two, contacts=(Event("contact", 20, (0, 1), (0.0, 0.0)),))
    assert composition(nuplan_cls([other_hit], world))["traffic"] == "reactive"
    hit = replace(reacting, contacts=(Event("contact", 0, (0, 1), (0.0, 0.0)),))
    assert composition(nuplan_cls([hit], world))["traffic"] == "non_reactive"
    with pytest.raises(InputError, match="non_reactive"):
        nuplan_cls([drive], world, traffic="idm")


@pytest.mark.parametrize(
    ("kinds", "value"),
    [([], 1), ([Kind.CONE], 0.5), ([Kind.CONE, Kind.BARRIER], 0), ([Kind.CAR], 0), ([Kind.BICYCLE], 0),
     ([Kind.CONE, Kind.PEDESTRIAN], 0)],
)  # fmt: skip
def test_collisions_cost_by_number_and_kind(kinds, value):
    assert collision_score(torch.tensor([int(k) for k in kinds], dtype=torch.int64)) == value


def test_contacts_at_the_start_count_unless_told_otherwise():
    world, drive = driven(track((0, 0), speed=5), track((3, 0)))
    assert no_ego_at_fault_collisions([drive], world).value == 0
    assert no_ego_at_fault_collisions([drive], world, ignore_start=True).value == 1


def test_a_lateral_contact_is_at_fault_outside_one_lane():
    """A wide truck drifts into the ego's side: the ego leans over the line (1.75 m) or does not."""
    for y, value in ((1.0, 0.0), (0.3, 1.0)):
        y_then = torch.linspace(y + 4.5, y + 2.0, 41)
        drift = path(torch.stack([torch.arange(41) * 0.5 - 0.5, y_then], -1), torch.zeros(41))
        world, drive = driven(track((0, y), speed=5), replace_width(drift, 3.0))
        score = no_ego_at_fault_collisions([drive], world)
        (event,) = score.evidence
        assert event.detail["type"] == "lateral" and score.value == value
        assert ("kept_by" in event.detail) is (value == 0)


def replace_width(agents, width):
    size = agents.size.clone()
    size[:, 1] = width
    return agents.replace(size=size)


@pytest.mark.parametrize(("outside", "value"), [(0.29, 1.0), (0.31, 0.0)])
def test_a_corner_may_be_less_than_30_cm_outside(outside, value):
    """The road ends at y = -1.75, half the car is 1.1485 m."""
    world, drive = driven(track((0, -1.75 + 1.1485 - outside), speed=10))
    score = nuplan_cls([drive], world)
    assert part(score, "drivable_area_compliance") == value
    assert (score.value > 0) is (value == 1)
    if not value:
        (event,) = [e for e in score.evidence if e.kind == "off_road"]
        assert "further left" in event.detail["kept_by"] and event.detail["part"] == "drivable_area_compliance"


@pytest.mark.parametrize(("speed", "value"), [(1.7, 1.0), (4.0, 0.5), (8.0, 0.0)])
def test_driving_against_the_lane(speed, value):
    """In 1.1 s (nuPlan adds a step): 1.87 m, 4.4 m and 8.8 m."""
    world, drive = driven(track((60, 0), yaw=math.pi, speed=speed))
    score = driving_direction([drive], world)
    assert score.value == value
    assert float(score.series.min()) == pytest.approx(-1.1 * speed, abs=1e-3)
    assert len(score.evidence) == (value < 1)


def test_the_strict_second_is_a_second():
    world, drive = driven(track((60, 0), yaw=math.pi, speed=1.9))
    assert driving_direction([drive], world, form="peer").value == 0.5
    strict = driving_direction([drive], world, form="strict")
    assert strict.value == 1 and float(strict.series.min()) == pytest.approx(-1.9, abs=1e-3)
    with pytest.raises(InputError, match="peer or strict"):
        driving_direction([drive], world, form="mine")


def test_direction_bounds_are_exclusive():
    assert [direction_score(x) for x in (1.999, 2.0, 5.999, 6.0)] == [1, 0.5, 0.5, 0]
    assert window_sums(torch.tensor([1.0, 2, 3, 4]), 2).tolist() == [1, 3, 5, 7]


def test_speed_limit_weighs_excess_by_time():
    """1 m/s above 13.9 throughout 41 steps: 41 dt / (2.23 * 40 dt)."""
    world, drive = driven(track((0, 0), speed=14.9))
    score = speed_limit([drive], world)
    assert score.value == pytest.approx(1 - 41 / 40 / 2.23, abs=1e-4)
    (event,) = score.evidence
    assert event.detail["kept_by"] == "speed below 13.9 m/s" and event.detail["excess"] == pytest.approx(1, abs=1e-3)
    assert score.value == pytest.approx(1 - event.detail["lost"], abs=1e-3)
    assert speed_limit([rollout(world, track((0, 0), speed=50))], world).value == 0


def test_a_crossing_has_the_limits_of_its_neighbours():
    x = torch.tensor([[0.0, 0, 0], [10, 0, 0]])
    line = [x + torch.tensor([10.0 * i, 0, 0]) for i in range(4)]
    lanes = ROAD.lanes.replace(
        center=Polylines.of(line, dims=3), width=torch.full((4,), 3.5),
        speed_limit=torch.tensor([8.0, 30.0, 12.0, torch.nan]), intersection=torch.tensor([False, True, False, True]),
        successors=torch.tensor([[0, 1], [1, 2]]), neighbours=torch.zeros(0, 3).long(),
    )  # fmt: skip
    found = limits(ROAD.replace(lanes=lanes), [[0], [1], [2], [3], []])
    assert found.tolist() == pytest.approx([8, 12, 12, math.nan, math.nan], nan_ok=True)


def test_weighted_means_and_types():
    parts = dict.fromkeys((*MULTIPLIERS, *WEIGHTS), 1.0)
    assert weighted(parts, WEIGHTS, MULTIPLIERS) == 1
    assert weighted({**parts, "ego_is_comfortable": 0.0, MULTIPLIERS[0]: 0.5}, WEIGHTS, MULTIPLIERS) == 0.5 * 14 / 16
    assert weighted({**parts, "speed_limit_compliance": None}, WEIGHTS, MULTIPLIERS) == 1
    assert math.isnan(weighted({MULTIPLIERS[0]: 1.0}, WEIGHTS, MULTIPLIERS))
    types = by_type([("left", 1.0), ("left", 0.0), ("stop", 0.25)])
    assert types == {"left": (0.5, 2), "stop": (0.25, 1)} and overall(types) == pytest.approx(1.25 / 3)
    with pytest.raises(ValueError, match="leave it out"):
        by_type([("left", math.nan)])


# laws, in crowds

ALONE = ("nuplan_cls", "driving_direction", "speed_limit", "lane_keeping", "log_distance")


@pytest.mark.parametrize("name", ALONE)
def test_moving_the_world_or_renumbering_agents_changes_nothing(name):
    order = torch.tensor([0, 5, 2, 7, 1, 3, 6, 4])
    seen = set()
    for seed in range(8):
        world, drive = crowd(seed)
        before = metric(name)([drive], world)
        angle, shift = 0.37 + seed, (140.0, -90.0)
        same(before, metric(name)([move(drive, angle, shift)], move(world, angle, shift)))
        turned = replace(world, log=reordered(world.log, order), track_ids=tuple(world.track_ids[i] for i in order))
        same(before, metric(name)([replace(drive, agents=reordered(drive.agents, order))], turned))
        assert before.series.shape == (31,) and torch.isnan(before.series[:3]).all()
        assert all(3 <= e.step < 31 and e.agents[0] == 0 for e in before.evidence)
        seen.add(round(before.value, 2))
    assert len(seen) > 1 or name in ("driving_direction", "speed_limit"), "the crowds differ"


# open loop

SECONDS = 121


def planned(speed, aside=0.0, reach=8.0, every=5):
    """A drive that replays its log at 10 m/s, with plans every half second at `speed`, shifted by `aside` at once."""
    log = track((0, 0), speed=10, steps=SECONDS)
    world = scenario(log, map=ROAD)
    drive, time = rollout(world), torch.arange(1, round(reach * 2) + 1) / 2
    steps = tuple(range(0, SECONDS, every))
    plans = tuple(Plan(torch.stack([speed * time, 0 * time + aside, 0 * time], -1), time) for _ in steps)
    return world, replace(drive, plans=plans, plan_steps=steps)


def test_the_experts_own_plan_scores_one():
    world, drive = planned(10)
    score = nuplan_ols([drive], world)
    assert score.value == pytest.approx(1) and not score.evidence
    # 12 s of log: frames at 0, 1, 2, 3 and 4 s see 8 s ahead
    assert torch.isfinite(score.series).nonzero()[:, 0].tolist() == [0, 10, 20, 30, 40]


def test_open_loop_by_hand():
    """0.5 m/s slower: errors 0.5, 1, ... 4 m. ADE .5 * mean(2, 3, 4.5) = 1.583; FDE .5 * mean(3, 5, 8) = 2.667."""
    world, drive = planned(9.5)
    score = nuplan_ols([drive], world)
    ade, fde = 1 - 0.5 * (2 + 3 + 4.5) / 3 / 8, 1 - 0.5 * 16 / 3 / 8
    assert score.value == pytest.approx((ade + fde + 2 + 2) / 6, abs=1e-4)
    assert {e.detail["error_of"] for e in score.evidence} == {name for name in WEIGHTS_OLS if "l2" in name}


WEIGHTS_OLS = ("planner_expert_average_l2_error_within_bound", "planner_expert_final_l2_error_within_bound")


def test_missing_too_often_costs_everything():
    world, drive = planned(10, aside=6.1)
    assert nuplan_ols([drive], world).value == 0  # beyond 6 m within 3 s, in every plan
    distance, turn = torch.zeros(10, 8).double(), torch.zeros(10, 8).double()
    for misses, value in ((3, 1.0), (4, 0.0)):
        distance[:misses, 2] = 6.5
        assert open_loop_parts(distance, turn)[0]["planner_miss_rate_within_bound"] == value


def test_a_plan_may_lack_less_than_a_second():
    world, drive = planned(10, reach=7.5)
    score = nuplan_ols([drive], world)
    assert score.value == pytest.approx(1)
    world, drive = planned(10, reach=4)
    short = nuplan_ols([drive], world)
    assert not short.valid and "reaches 4.0 s, this score needs 8 s" in short.reason


def test_open_loop_needs_a_drive_along_the_log():
    world, drive = planned(10)
    away = path(torch.stack([torch.arange(SECONDS) * 1.0, torch.full((SECONDS,), 2.0)], -1), torch.zeros(SECONDS))
    off = nuplan_ols([replace(drive, agents=rollout(world, away).agents)], world)
    assert not off.valid and "2.00 m off its log at step 0" in off.reason
    assert "no plans" in nuplan_ols([rollout(world)], world).reason


def test_plans_are_of_the_rear_axle_and_compared_at_the_centre():
    """On a circle the centre of the car swings out of its rear axle's way; a perfect plan must still score 1."""
    t = torch.arange(SECONDS, dtype=torch.float64) * 0.1
    yaw, radius = 0.2 * t, 30.0
    xy = radius * torch.stack([yaw.sin(), 1 - yaw.cos()], -1)
    world = scenario(path(xy, yaw), map=ROAD)
    drive = rollout(world)
    rear = drive.vehicle.rear_axle(drive.agents.poses[:, 0].double())
    steps = tuple(range(0, 41, 10))
    plans = tuple(Plan(to_frame(rear[k + 5 : k + 81 : 5], rear[k]).float(), torch.arange(1, 17) / 2) for k in steps)
    score = nuplan_ols([replace(drive, plans=plans, plan_steps=steps)], world)
    assert score.value == pytest.approx(1, abs=1e-5)
