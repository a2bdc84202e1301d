import json
import math
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from drivesim.errors import InputError
from drivesim.types import Kind, Vehicle
from metrics.criticality import braking, conflict, evasion, exposure, steering, time
from metrics.criticality.conflict_score import post_encroachment_time
from metrics.criticality.evasion_score import time_to_react, worst_time_to_collision
from metrics.criticality.following import situation
from metrics.criticality.rss import Rss, same_direction
from metrics.criticality.scores import (
    brake_threat,
    deceleration_to_avoid_crash,
    steer_threat,
    time_exposed,
    time_headway,
)

from .worlds import path, rollout, scenario, straight_road, track

CASES = Path(__file__).parents[2] / "shared" / "oracles" / "criticality_cases.json"
CAR = (4.0, 2.0, 1.5)


def number(*values):
    return tuple(torch.tensor(v, dtype=torch.float64) for v in values)


def score(metric, *tracks, **rules):
    world = scenario(*tracks, **{k: rules.pop(k) for k in ("map", "route", "start") if k in rules})
    return metric([rollout(world)], world, **rules)


# the oracles: one function per kind of case, from its inputs to its expected value


def _closing(case):
    return case["dv"] if "dv" in case else case["v_ego"] - case["v_lead"]


def _gap(case):
    return case.get("gap", case.get("gap_front_to_rear"))


ORACLES = {
    "ttc_const_speed": ("ttc", lambda c: time.time_to_collision(*number(_gap(c), _closing(c)))),
    "ttc_const_accel": (
        "ttc", lambda c: time.time_to_collision_accelerating(*number(_gap(c), _closing(c), c["da"])),
    ),
    "drac": ("drac", lambda c: braking.deceleration_to_avoid_crash(*number(_gap(c), _closing(c)))),
    "thw": ("thw", lambda c: time.time_headway(*number(_gap(c), c["v_ego"]))),
    "pet": ("pet", lambda c: time.post_encroachment_time(*number(c["first_leaves"], c["second_enters"]))),
    "a_req": (
        "a_long_req", lambda c: braking.required_acceleration(*number(_gap(c), _closing(c), c.get("a_lead", 0))),
    ),
    "rss": (
        "d",
        lambda c: same_direction(
            *number(c["v_r"], c["v_f"]),
            Rss(response=c["rho"], accelerate=c["a"], brake_min=c["b_min"], brake_max=c["b_max"]),
        ),
    ),
}  # fmt: skip


def cases():
    if not CASES.exists():
        return [pytest.param("", None, marks=pytest.mark.skip(reason=f"{CASES.name} is not here"))]
    found = json.loads(CASES.read_text())
    rows = [(k, c) for k, v in found.items() if k != "note" for c in (v if isinstance(v, list) else [v])]
    return [pytest.param(kind, case, id=f"{kind}-{i}") for i, (kind, case) in enumerate(rows)]


@pytest.mark.parametrize(("kind", "case"), cases())
def test_oracles(kind, case):
    key, function = ORACLES[max((known for known in ORACLES if kind.startswith(known)), key=len)]
    expected, tolerance = case[key], 1e-9
    if isinstance(expected, str):  # a closed form and its value, rounded: "(...)/1=4.633"
        expected, tolerance = float(expected.rsplit("=", 1)[1]), 5e-4
    assert float(function(case)) == pytest.approx(expected, abs=tolerance)


# the measures, by hand


def test_time_to_collision_never_and_now():
    gap, closing = number([20.0, 20.0, 20.0, 0.0, -1.0, math.nan], [5.0, 0.0, -3.0, -3.0, 5.0, 1.0])
    assert_close(
        time.time_to_collision(gap, closing), number([4, math.inf, math.inf, 0, 0, math.nan])[0], equal_nan=True
    )


def test_accelerating_solves_its_own_equation():
    draw = torch.Generator().manual_seed(0)
    gap = torch.rand(5000, generator=draw, dtype=torch.float64) * 50
    closing, more = (torch.randn(5000, generator=draw, dtype=torch.float64) * k for k in (8, 2))
    when = time.time_to_collision_accelerating(gap, closing, more)
    met = torch.isfinite(when)
    left = gap - closing * when - more * when**2 / 2
    assert float(left[met].abs().max()) < 1e-9
    for t in torch.linspace(0, 1, 50, dtype=torch.float64)[:-1]:  # and nothing before
        early = torch.where(met, when, 20.0) * t
        assert bool((gap - closing * early - more * early**2 / 2 > -1e-9).all())


def test_accelerating_leader_that_pulls_away_is_never_met():
    # 5 m/s closing, pulling away with 1 m/s^2: at most 12.5 m are gained
    when = time.time_to_collision_accelerating(*number([12.0, 13.0], 5.0, -1.0))
    assert float(when[0]) == pytest.approx(4.0) and float(when[1]) == math.inf
    # standing behind who comes back: 8 m at 1 m/s^2
    assert float(time.time_to_collision_accelerating(*number(8.0, 0.0, 1.0))) == pytest.approx(4.0)


def test_the_peers_form_takes_small_accelerations_for_none():
    gap, closing, little = number(20.0, 2.0, 0.1)
    assert float(time.time_to_collision_accelerating(gap, closing, little, form="peer")) == 10.0
    assert float(time.time_to_collision_accelerating(gap, closing, little)) < 8.3


def test_headway_as_driven():
    along = number([0.0, 1, 2, 3, 4, 5, 6])[0]
    times = time.time_headway_driven(along, number(2.0)[0], number([4.5, 4.5, 9, 9, 9, math.nan, 1])[0], 0.1)
    # front at 2, 3, ... 8: it is beyond 4.5 at step 3, never beyond 9, and beyond 1 at once
    assert_close(times, number([0.3, 0.2, math.inf, math.inf, math.inf, math.nan, 0])[0], equal_nan=True)


def test_required_acceleration_while_the_gap_grows():
    gap, opening, braking_leader = number(20.0, -5.0, -2.0)
    assert float(braking.required_acceleration(gap, opening, number(0.0)[0])) == 0
    assert float(braking.required_acceleration(gap, opening, braking_leader)) == -2
    assert float(braking.required_acceleration(gap, opening, braking_leader, form="peer")) == -2.625


def test_time_to_brake_just_avoids():
    # 20 m, closing at 10 m/s, 8 m/s^2: braking takes 6.25 m, so 13.75 m are left
    gap, closing = number(20.0, 10.0)
    assert float(braking.time_to_brake(gap, closing)) == pytest.approx(1.375)
    after = gap - closing * 1.375
    assert float(braking.brake_threat_number(-braking.deceleration_to_avoid_crash(after, closing))) == pytest.approx(1)
    assert float(braking.time_to_brake(number(5.0)[0], closing)) < 0
    assert float(braking.time_to_brake(gap, -closing)) == math.inf


def test_steering_past_the_nearer_side():
    # 2 m wide both, 0.5 m to the left: 1.5 m to the right in 2 s need 0.75 m/s^2
    required = steering.required_lateral_acceleration(*number(2.0, 0.5, 2.0))
    assert float(required) == pytest.approx(0.75)
    assert float(steering.required_lateral_acceleration(*number(2.0, 0.5, 2.0), velocity=0.75)) == pytest.approx(0)
    assert float(steering.required_lateral_acceleration(*number(2.0, 2.5, 2.0))) == 0
    assert float(steering.required_lateral_acceleration(*number(math.inf, 0.0, 2.0))) == 0
    assert float(steering.required_lateral_acceleration(*number(0.0, 0.0, 2.0))) == math.inf
    assert float(steering.steer_threat_number(required)) == pytest.approx(0.75 / 8)
    # started that late, exactly all of it is needed
    late = steering.time_to_steer(*number(2.0, 0.5, 2.0))
    assert float(steering.required_lateral_acceleration(2.0 - late, *number(0.5, 2.0))) == pytest.approx(8.0)


def test_exposure():
    times = number([3.0, 1.5, 1.0, 0.5, math.inf, math.nan, 0.0])[0]
    assert float(exposure.time_exposed(times, 1.5, 0.1)) == pytest.approx(0.3)
    assert float(exposure.time_integrated(times, 1.5, 0.1)) == pytest.approx((0.5 + 1.0 + 1.5) * 0.1)


def test_closest_encounter():
    when, far = time.closest_encounter(
        *number([[30.0, 4.0], [30.0, 4.0], [3.0, 4.0]], [[-10.0, 0], [10.0, 0], [0.0, 0]])
    )
    assert when.tolist() == [3, 0, 0] and far.tolist() == pytest.approx([4, math.hypot(30, 4), 5])


def test_worst_time_is_the_first_root():
    draw = torch.Generator().manual_seed(1)
    offset = torch.randn(400, 2, generator=draw, dtype=torch.float64) * 20
    velocity = torch.randn(400, 2, generator=draw, dtype=torch.float64) * 15
    reach = torch.rand(400, generator=draw, dtype=torch.float64) * 3
    power = 1 + torch.rand(400, generator=draw, dtype=torch.float64) * 20
    found = time.worst_time_to_collision(offset, velocity, reach, power)
    grid = torch.linspace(0, 1, 2000, dtype=torch.float64) * (found[:, None] + 1)
    apart = (offset[:, None] + velocity[:, None] * grid[..., None]).norm(dim=-1) - reach[:, None]
    first = (apart <= power[:, None] * grid**2 / 2).int().argmax(-1)
    step = (found + 1) / 1999
    assert bool(((grid.gather(-1, first[:, None])[:, 0] - found).abs() <= step).all())


def test_worst_time_head_on_and_at_rest():
    # 22 m less 2 m of bodies: 10 t + 20 t^2 / 2 = 20 from 10 m/s; 20 t^2 / 2 = 20 from rest
    worst = time.worst_time_to_collision(
        *number([[22.0, 0.0]] * 3, [[-10.0, 0.0], [0, 0], [10, 0]], [2.0] * 3, [20.0] * 3)
    )
    assert worst.tolist() == pytest.approx([1.0, math.sqrt(2), 2.0])


def test_measures_take_any_batch():
    gap, closing = number([[20.0, 10.0], [5.0, 1.0]], [5.0, 2.0])
    assert time.time_to_collision(gap, closing).shape == (2, 2)
    assert braking.deceleration_to_avoid_crash(gap, closing).tolist() == [[0.625, 0.2], [2.5, 2.0]]


# whom the ego follows


def test_the_leader_and_its_gap():
    drive = [track((0, 0), speed=10), track((40, 0), speed=6, size=CAR), track((24, 0), speed=8, size=CAR)]
    world = scenario(*drive, track((20, 3.5), speed=2))
    lead = situation(rollout(world), world).lead
    assert lead.who.tolist() == [2] * 41
    # bumper to bumper 24 - 2 - 2.588, two metres a second less each second
    assert_close(lead.gap, 19.412 - 0.2 * torch.arange(41, dtype=torch.float64), atol=1e-4, rtol=0)
    assert_close(lead.closing, torch.full((41,), 2.0, dtype=torch.float64), atol=1e-5, rtol=0)
    assert float(lead.offset.abs().max()) < 1e-5 and float(lead.room[0]) == pytest.approx(1 + 1.1485)


def bend(radius, speed, steps=61, start=0.0, side=0.0):
    """Along a left bend: `start` [m] further than its beginning, `side` [m] to its left."""
    angle = (start + speed * 0.1 * torch.arange(steps)) / radius
    there = radius - side
    return path(torch.stack([there * torch.sin(angle), radius - there * torch.cos(angle)], -1), angle)


def test_in_a_bend_the_leader_is_on_the_path_and_not_straight_ahead():
    straight_ahead = track((25, 0), steps=61)
    world = scenario(bend(30, 8), straight_ahead, bend(30, 6, start=20), bend(30, 6, start=10, side=4))
    lead = situation(rollout(world), world).lead
    assert lead.who[:30].tolist() == [2] * 30
    assert float(lead.gap[0]) == pytest.approx(20 - 2.588 - 2.3, abs=0.3)  # along the arc
    assert float(lead.closing[5]) == pytest.approx(2, abs=0.1)


def test_beyond_its_own_drive_the_ego_follows_the_route():
    # at the last step the ego has no path of its own left: the route turns left, so does its way
    corner = torch.tensor([[-50.0, 0.0], [20.0, 0.0], [20.0, 80.0]])
    turned, straight_on = track((20, 15), yaw=math.pi / 2, steps=5), track((35, 0), steps=5)
    world = scenario(track((0, 0), speed=10, steps=5), straight_on, turned, route=corner)
    assert situation(rollout(world), world).lead.who.tolist() == [2] * 5


def test_who_is_beside_behind_or_gone_is_no_leader():
    ghost = track((15, 0), valid=slice(5, 9))
    world = scenario(track((0, 0), speed=5), track((-12, 0), speed=9), track((2, 3.5), speed=5), ghost)
    lead = situation(rollout(world), world).lead
    assert lead.who.tolist() == [-1] * 5 + [3] * 4 + [-1] * 32
    assert torch.isnan(lead.gap[0]) and torch.isnan(lead.closing[20])


def test_an_oncoming_car_on_the_path_is_a_leader_with_negative_speed():
    world = scenario(track((0, 0), speed=5), track((80, 0), yaw=math.pi, speed=7))
    assert float(situation(rollout(world), world).lead.closing[0]) == pytest.approx(12)


# the scores


def test_time_headway_score():
    # 19.112 m behind at 10 m/s: 1.911 s; it closes by 5 m/s, so it is below 0.9 s once 10.112 m are gone: 2.1 s
    got = score(time_headway, track((0, 0), speed=10), track((24, 0), speed=5))
    assert got.series[0] == pytest.approx(1.9112, abs=1e-4) and got.series[20] == pytest.approx(0.9112, abs=1e-4)
    (event,) = got.evidence
    assert event.kind == "time_headway" and event.detail["first_step"] == 21 and event.agents == (0, 1)
    # leader until they touch at step 39: 40 steps, 21 of them kept
    assert event.detail["last_step"] == 39 and got.value == pytest.approx(21 / 40)
    assert "m/s" in event.detail["kept_by"] and event.detail["value"] == 0


def test_a_queue_is_no_tailgating():
    got = score(time_headway, track((0, 0), speed=0.5, steps=11), track((6.5, 0), speed=0.5, steps=11))
    assert got.value == 1.0 and got.evidence[0].kind == "closest"


def test_headway_of_the_peer_follows_the_drive():
    # braking at 2 m/s^2 from 10 m/s takes 25 m: a leader 12 m ahead is reached later than 12 / 10 s, one at 30 m never
    ego = track((0, 0), speed=10, acceleration=-2, steps=51)
    near = score(time_headway, ego, track((12 + 2.588 + 2.3, 0), speed=12, steps=51), form="peer")
    assert float(near.series[0]) == pytest.approx(1.4, abs=0.051)  # 10 t - t^2 = 12: 1.394 s
    far = score(time_headway, ego, track((30 + 2.588 + 2.3, 0), speed=12, steps=51), form="peer")
    assert math.isnan(float(far.series[0]))


def test_exposure_score_has_both_measures():
    got = score(time_exposed, track((0, 0), speed=10), track((24, 0), speed=5))
    # TTC = 3.8224 - 0.1 k: below 1.5 from step 24 to the contact at 39
    below = [3.8224 - 0.1 * k for k in range(24, 39)] + [0]
    detail = got.evidence[0].detail
    assert detail["first_step"] == 24 and detail["time_exposed"] == pytest.approx(1.6)
    assert detail["time_integrated"] == pytest.approx(sum(1.5 - t for t in below) * 0.1, abs=2e-3)
    assert got.value == pytest.approx(24 / 40)


def test_exposure_with_accelerations():
    brakes = track((30, 0), speed=10, acceleration=-4, steps=21)
    ego = track((0, 0), speed=10, steps=21)
    assert math.isnan(float(score(time_exposed, ego, brakes).series[0]))
    got = score(time_exposed, ego, brakes, accelerating=True)
    assert float(got.series[0]) == pytest.approx(math.sqrt(2 * (30 - 4.888) / 4), abs=0.02)


@pytest.mark.parametrize(
    ("metric", "value"), [(deceleration_to_avoid_crash, 25 / (2 * 19.112)), (brake_threat, 25 / (2 * 19.112) / 8)]
)
def test_braking_scores(metric, value):
    got = score(metric, track((0, 0), speed=10), track((24, 0), speed=5))
    assert float(got.series[0]) == pytest.approx(value, abs=1e-4) and 0.7 < got.value < 1
    event = got.evidence[0]
    assert event.detail["kept_by"] and event.step == 39 and event.detail["value"] == math.inf


def test_what_would_have_kept_a_brake_threat():
    """A leader who brakes harder than the ego can is no matter of speed, and a closed gap none of little speed."""
    hard = score(brake_threat, track((0, 0), speed=15, steps=11), track((20, 0), speed=15, acceleration=-9, steps=11))
    assert any("the leader alone brakes at 9.0" in event.detail["kept_by"] for event in hard.evidence)
    soft = score(brake_threat, track((0, 0), speed=20, steps=11), track((25, 0), speed=2, steps=11))
    (event,) = [event for event in soft.evidence if event.kind == "brake_threat"]
    limit = math.sqrt(2 * event.detail["gap"] * event.detail["full_brake"])
    assert event.detail["lost"] == pytest.approx(1 - soft.value, abs=1e-6)
    assert event.detail["kept_by"] == f"closing in at less than {limit:.2f} m/s" or limit < 0.005
    assert not any("0.00 m/s" in e.detail["kept_by"] for e in (*hard.evidence, *soft.evidence))


def test_steer_threat_score():
    got = score(steer_threat, track((0, 0.5), speed=10), track((24, 0), speed=5))
    room = 1.1485 + 0.95 - 0.5
    assert float(got.series[0]) == pytest.approx(2 * room / (19.112 / 5) ** 2 / 8, abs=1e-4)
    assert got.evidence[0].detail["kept_by"].endswith("left")


@pytest.mark.parametrize(
    "metric", [time_headway, time_exposed, deceleration_to_avoid_crash, brake_threat, steer_threat]
)
def test_without_a_leader_there_is_no_score(metric):
    got = score(metric, track((0, 0), speed=10), track((0, 3.5), speed=10))
    assert not got.valid and "in the ego's way" in got.reason and math.isnan(got.value)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf])
def test_useless_bounds_are_refused(bound):
    for metric in (time_headway, deceleration_to_avoid_crash, brake_threat, steer_threat, time_to_react):
        with pytest.raises(InputError, match="bound"):
            score(metric, track((0, 0)), track((20, 0)), bound=bound)
    with pytest.raises(InputError, match="form"):
        score(time_headway, track((0, 0)), track((20, 0)), form="best")


# conflict areas


def crossing(ego_speed=10.0, other_speed=8.0, distance=24.0, steps=61):
    """A car that comes from the right and crosses 20 m ahead."""
    return track((0, 0), speed=ego_speed, steps=steps), track(
        (20, -distance), yaw=math.pi / 2, speed=other_speed, steps=steps
    )


def test_conflict_area_of_two_boxes_at_a_right_angle():
    # The ego is in it from front at 19.05 m to rear at 20.95 m: 16.462 to 23.538 m, at 10 m/s. The other, of half
    # length 2.3 m, from y = -1.1485 - 2.3 to 1.1485 + 2.3: after 20.5515 to 27.4485 m, at 8 m/s.
    world = scenario(*crossing())
    found = conflict.conflicts(
        world.log.map(lambda x: x.double() if x.is_floating_point() else x), world.log.valid, 0.1
    )
    times = [found.ego_enters, found.ego_leaves, found.other_enters, found.other_leaves]
    assert [float(t) for t in times] == pytest.approx([1.6462, 2.3538, 2.5689, 3.4311], abs=2e-3)
    assert float(found.post_encroachment_time) == pytest.approx(2.5689 - 2.3538, abs=2e-3)
    assert_close(found.xy[0], torch.tensor([20.0, 0.0], dtype=torch.float64), atol=0.3, rtol=0)


def test_post_encroachment_score():
    got = score(post_encroachment_time, *crossing(), track((60, 0), speed=9, steps=61))
    (event,) = got.evidence
    assert got.value == 0.0 and event.agents == (0, 1) and event.detail["first"] == "ego" and event.step == 26
    assert event.detail["value"] == pytest.approx(0.215, abs=2e-3) and "earlier" in event.detail["kept_by"]
    assert event.detail["ego_occupies"] == pytest.approx(0.7077, abs=2e-3)
    assert int(torch.isfinite(got.series).sum()) == 1
    assert score(post_encroachment_time, *crossing(), bound=0.2).value == 1.0
    late = score(post_encroachment_time, *crossing(distance=10.0), bound=1.0)  # the other is first
    assert late.evidence[0].detail["first"] == "other" and "later" in late.evidence[0].detail["kept_by"]


def test_both_in_the_area_at_once_is_negative():
    got = score(post_encroachment_time, *crossing(distance=20.0))
    assert got.evidence[0].detail["value"] == pytest.approx(2.0689 - 2.3538, abs=3e-3) and got.value == 0.0


def test_following_merging_and_parking_are_no_crossing():
    slow = track((20, 0), speed=8)
    assert not score(post_encroachment_time, track((0, 0), speed=10), slow, track((9, -6), yaw=0.3, speed=9)).valid
    assert not score(post_encroachment_time, track((0, 0), speed=10), track((20, -5), yaw=1.6)).valid


# until when a manoeuvre helps


def evade(*tracks, **can):
    world = scenario(*tracks)
    met = situation(rollout(world), world)
    return evasion.evasion(met.agents, met.there, Vehicle(), evasion.Manoeuvres(**can))


def test_latest_brake_as_by_formula():
    found = evade(track((0, 0), speed=10, steps=3), track((24, 0), steps=3), horizon=8.0)
    closed = braking.time_to_brake(*number(24 - 2.3 - 2.588, 10.0))
    assert float(found.brake[0]) == pytest.approx(float(closed), abs=0.02)
    assert float(found.kickdown[0]) == -math.inf and found.who.tolist() == [1, 1, 1]
    assert float(found.react[0]) == max(float(found.brake[0]), float(found.steer[0]))


def test_steering_is_the_last_resort_at_speed():
    found = evade(track((0, 0), speed=30, steps=2), track((60, 0), steps=2))
    assert float(found.steer[0]) > float(found.brake[0])
    beside = evade(track((0, 0), speed=30, steps=2), track((60, 0.8), steps=2))
    assert float(beside.steer[0]) > float(found.steer[0]) and not bool(beside.left[0])


def test_no_escape_into_a_third_one():
    alone = evade(track((0, 0), speed=30, steps=2), track((60, 0), steps=2))
    walls = [track((45, side), size=(80.0, 1.0, 2.0), kind=Kind.BARRIER, steps=2) for side in (-2.2, 2.2)]
    boxed = evade(track((0, 0), speed=30, steps=2), track((60, 0), steps=2), *walls)
    assert float(alone.steer[0]) > 0 and float(boxed.steer[0]) == -math.inf


def test_who_follows_does_not_make_a_full_brake_fail():
    alone = evade(track((0, 0), speed=10, steps=2), track((24, 0), steps=2))
    followed = evade(track((0, 0), speed=10, steps=2), track((24, 0), steps=2), track((-8, 0), speed=10, steps=2))
    assert float(followed.brake[0]) == float(alone.brake[0]) > 0


def test_a_faster_car_behind_is_evaded_by_speeding_up():
    found = evade(track((0, 0), speed=10, steps=2), track((-20, 0), speed=16, steps=2), lateral=0.5)
    assert float(found.kickdown[0]) > 0 and float(found.brake[0]) == -math.inf


def test_no_collision_course_is_inf():
    found = evade(track((0, 0), speed=10, steps=2), track((0, 3.5), speed=10, steps=2))
    assert found.who.tolist() == [-1, -1] and bool(torch.isinf(found.react).all())


def test_time_to_react_score():
    got = score(time_to_react, track((0, 0), speed=10), track((24, 0), speed=5))
    (event,) = got.evidence
    assert not event.detail["avoidable"] and event.detail["kept_by"]
    below = event.detail["last_step"] - event.detail["first_step"] + 1
    assert got.value == pytest.approx(1 - below / 41) and event.detail["last_step"] == 39
    assert float(got.series[39]) == 0 and bool((got.series[:30].diff() < 0).all())
    clear = score(time_to_react, track((0, 0), speed=10), track((0, 3.5), speed=10))
    assert clear.value == 1.0 and clear.valid and torch.isnan(clear.series).all() and not clear.evidence


def test_worst_time_score_is_that_of_the_discs():
    got = score(worst_time_to_collision, track((0, 0), speed=10, steps=5), track((30, 0), speed=10, steps=5))
    gap = 30 - 5.176 / 3 - 4.6 / 3 - math.hypot(5.176 / 6, 2.297 / 2) - math.hypot(4.6 / 6, 1.9 / 2)
    assert float(got.series[0]) == pytest.approx(math.sqrt(2 * gap / (2 * 9.81)), abs=1e-4)
    cone = score(worst_time_to_collision, track((0, 0), steps=5), track((30, 0), kind=Kind.CONE, steps=5))
    assert float(cone.series[0]) > float(got.series[0])  # it does not come nearer by itself


def test_the_nearest_in_worst_time_is_found_among_many():
    draw = torch.Generator().manual_seed(3)
    others = [
        track(tuple((torch.rand(2, generator=draw) * 120 - 60).tolist()), float(i), speed=float(i % 13), steps=4)
        for i in range(30)
    ]
    ego = track((0, 0), speed=9, steps=4)
    alone = [score(worst_time_to_collision, ego, other).series for other in others]
    least = torch.stack(alone).nan_to_num(math.inf).amin(0)
    assert_close(score(worst_time_to_collision, ego, *others).series, least)


def test_a_wide_road_has_no_leader_in_the_next_lane():
    got = score(time_headway, track((0, 0), speed=10), track((20, 3.5), speed=5), map=straight_road(lanes=3))
    assert not got.valid
