import math

import pytest
import torch
from torch.testing import assert_close

from drivesim.errors import InputError
from metrics.criticality.rss import Rss, lateral, opposite_direction, proper_response, same_direction, stated_braking
from metrics.criticality.rss_score import rss

from .worlds import path, rollout, scenario, straight_road, track

PLAIN = Rss(response=1.0, other_response=1.0)


def number(*values):
    return tuple(torch.tensor(v, dtype=torch.float64) for v in values)


def driven(speed, response, accelerate, brake, dt=1e-4):
    """The way of stated braking by small steps."""
    way, v = 0.0, speed
    for _ in range(round(response / dt)):
        way, v = way + v * dt + accelerate * dt * dt / 2, v + accelerate * dt
    return way + v * v / (2 * brake)


def test_same_direction_by_hand():
    # 15 + 1.75 + 18.5^2 / 8 - 100 / 16
    assert float(same_direction(*number(15.0, 10.0), PLAIN)) == pytest.approx(15 + 1.75 + 18.5**2 / 8 - 6.25)
    assert float(same_direction(*number(0.0, 40.0), PLAIN)) == 0
    assert float(stated_braking(number(12.0)[0], 1.3, 2.0, 4.0)) == pytest.approx(driven(12, 1.3, 2, 4), abs=1e-3)


def test_nobody_accelerates_beyond_the_limit():
    slow = Rss(speed_limit=16.0)
    # from 15 m/s: 1 m/s more after 1 / 3.5 s, then 16 m/s
    rising = 1 / 3.5
    way = 15.5 * rising + 16 * (1 - rising) + 16**2 / 8
    assert float(same_direction(*number(15.0, 0.0), slow)) == pytest.approx(way)
    assert float(same_direction(*number(20.0, 0.0), slow)) == pytest.approx(20 + 400 / 8)  # faster already: keeps it


def test_opposite_direction_adds_both_ways():
    apart = opposite_direction(*number(10.0, 12.0), PLAIN)
    assert float(apart) == pytest.approx(10 + 1.75 + 13.5**2 / 6 + 12 + 1.75 + 15.5**2 / 8)
    default = opposite_direction(*number(10.0, 12.0), Rss())
    assert float(default) == pytest.approx(10 + 1.75 + 13.5**2 / 6 + 24 + 7 + 19**2 / 8)


def test_lateral_by_hand():
    # at rest both drift 0.1 m and stop 0.2 m/s in 0.025 m; 0.1 m between them
    assert float(lateral(*number(0.0, 0.0), PLAIN)) == pytest.approx(0.35)
    # the left one moves right with 1 m/s: 1 + 0.1 + 1.2^2 / 1.6
    assert float(lateral(*number(-1.0, 0.0), PLAIN)) == pytest.approx(0.1 + 1.1 + 0.9 + 0.125)
    # it moves away with 1 m/s and goes on doing so: 0.9 m in a second, no braking counts
    assert float(lateral(*number(1.0, 1.0), PLAIN)) == pytest.approx(0.1 - 0.9 + 2.0)
    assert float(lateral(*number(3.0, 0.0), PLAIN)) == 0


def test_mirrored_worlds_need_the_same_room():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 100, generator=draw, dtype=torch.float64)
    rules = Rss()
    assert_close(lateral(a, b, rules, 1.0, 2.0), lateral(-b, -a, rules, 2.0, 1.0))


def test_safe_distances_grow_with_speed_and_shape():
    speeds = torch.linspace(0, 40, 50, dtype=torch.float64)
    table = same_direction(speeds[:, None], speeds[None], Rss())
    assert table.shape == (50, 50) and bool((table.diff(dim=0) >= 0).all()) and bool((table.diff(dim=1) <= 0).all())


def test_who_keeps_the_distance_never_crashes():
    """What the distance is for: the worst that RSS allows of both, played through."""
    rules, dt = Rss(), 1e-3
    draw = torch.Generator().manual_seed(2)
    rear, front = torch.rand(2, 200, generator=draw, dtype=torch.float64) * 30
    gap = same_direction(rear, front, rules)
    least, t = gap.clone(), 0.0
    while bool((rear > 0).any()):
        push = rules.accelerate if t < rules.response else -rules.brake_min
        new_rear, new_front = (rear + push * dt).clamp_min(0), (front - rules.brake_max * dt).clamp_min(0)
        gap = gap + (front + new_front - rear - new_rear) * dt / 2
        rear, front, t = new_rear, new_front, t + dt
        least = torch.minimum(least, gap)
    assert float(least.min()) > -0.05
    assert float(gap[gap < 1].abs().min()) < 0.05  # and no further than needed


def test_proper_response_follows_what_was_safe_before():
    safe = torch.tensor([[1, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    aside = torch.tensor([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 1], [0, 0, 0, 0, 1]]).bool()
    asked = proper_response(safe, aside, 0.5, Rss(response=1.0))
    assert asked.dangerous.tolist()[0] == [False, True, True, True, False]
    assert asked.longitudinal.any(-1).tolist() == [True, False, True, True]
    assert asked.lateral.any(-1).tolist() == [False, True, True, True]
    # two steps to respond in, then brake; the lateral one may go on accelerating along the lane
    assert asked.most_acceleration[0].tolist() == [3.5, 3.5, 3.5, -4.0, 3.5]
    assert asked.most_lateral[1].tolist() == [0.2, 0.2, 0.2, 0.2, -0.8]
    assert asked.most_acceleration[1].tolist() == [3.5] * 5


def judge(*tracks, map=None, **rules):
    world = scenario(*tracks, map=map or straight_road(lanes=3))
    return rss([rollout(world)], world, **rules)


def test_tailgating_is_dangerous_and_named():
    # at 15 m/s both, 15 + 1.75 + 18.5^2 / 8 - 225 / 16 = 45.47 m are needed, 15.1 m are there
    got = judge(track((0, 0), speed=15, steps=21), track((20, 0), speed=15, steps=21))
    (event,) = got.evidence
    needed = 15 + 1.75 + 18.5**2 / 8 - 225 / 16
    assert got.value == 0.0 and event.kind == "rss" and event.agents == (0, 1)
    assert event.detail["safe_distance"] == pytest.approx(needed, abs=1e-3)
    assert float(got.series[0]) == pytest.approx((20 - 4.888) / needed, abs=1e-4)
    assert "brake" in event.detail["response"] and event.detail["responded"] is False
    assert f"{needed - 15.112:.2f} m more distance" in event.detail["kept_by"]


def test_enough_distance_is_safe():
    got = judge(track((0, 0), speed=15), track((60, 0), speed=15), track((-8, 0), speed=15))
    assert got.value == 1.0 and got.evidence[0].kind == "closest"  # who drives up behind has the duty himself


def test_a_car_in_the_next_lane_is_safe_until_it_drifts():
    # side by side 3.5 m apart: 3.5 - 1.1485 - 0.95 = 1.4 m; standing drift needs 0.1 + 0.125 + 0.4 + 0.1
    beside = judge(track((0, 0), speed=15), track((0, 3.5), speed=15))
    assert beside.value == 1.0
    angle = 0.08  # 1.2 m/s towards the ego
    drifts = judge(track((0, 0), speed=15, steps=11), track((0, 3.5), yaw=-angle, speed=15, steps=11))
    assert drifts.value == 0.0 and drifts.evidence[0].detail["side"] == "left"


def test_oncoming_in_the_own_lane():
    got = judge(track((0, 0), speed=10, steps=3), track((70, 0), yaw=math.pi, speed=12, steps=3), other_response=1.0)
    detail = got.evidence[0].detail
    assert detail["direction"] == "opposite"
    assert detail["safe_distance"] == pytest.approx(10 + 1.75 + 13.5**2 / 6 + 12 + 1.75 + 15.5**2 / 8, abs=1e-2)
    wrong = judge(  # the ego itself is on the wrong side: now it has to brake like the other
        track((0, 0), yaw=math.pi, speed=10, steps=3), track((-70, 0), speed=12, steps=3), other_response=1.0
    )  # fmt: skip
    assert wrong.evidence[0].detail["safe_distance"] == pytest.approx(
        10 + 1.75 + 13.5**2 / 8 + 12 + 1.75 + 15.5**2 / 6, abs=1e-2
    )


def test_braking_in_time_is_a_response():
    # cut in too close: the ego goes on for a second and then brakes with 4.5 m/s^2
    t = torch.arange(61) * 0.1
    speed = 15 - 4.5 * (t - 0.9).clamp_min(0).clamp_max(15 / 4.5)
    way = torch.cat([torch.zeros(1), ((speed[1:] + speed[:-1]) / 2 * 0.1).cumsum(0)])
    zero = torch.zeros_like(t)
    ego = path(torch.stack([way, zero], -1), zero, torch.stack([speed, zero], -1))
    got = judge(ego, track((20, 0), speed=15, steps=61))
    first = got.evidence[0]
    assert first.detail["first_step"] == 0 and first.detail["responded"] is True
    assert 0 < got.value < 1  # safe again later


@pytest.mark.parametrize("rules", [{"response": -1.0}, {"brake_min": 0.0}, {"brake_min": 9.0}, {"margin": math.nan}])
def test_useless_parameters_are_refused(rules):
    with pytest.raises(InputError, match=f"rss: {next(iter(rules))}"):
        judge(track((0, 0)), track((20, 0)), **rules)


def test_alone_there_is_no_score():
    assert not judge(track((0, 0), speed=5), track((-20, 0), speed=3)).valid
