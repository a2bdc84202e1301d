import math

import pytest
import torch
from torch.testing import assert_close

from metrics.progress import follow, progress, ratio

from .worlds import rollout, scenario, track, tracks_of


def judge(ego, expert, route=None, start=0):
    world = scenario(expert, track((50, 3.5), speed=5), track((-20, 0)), route=route, start=start)
    return progress([rollout(world, ego, *tracks_of(world)[1:])], world)


def test_half_as_far():
    score = judge(track((0, 0), speed=5), track((0, 0), speed=10))
    assert score.value == pytest.approx(0.5) and score.valid
    assert score.evidence[0].detail["ego"] == pytest.approx(20) and score.evidence[0].detail["expert"] == pytest.approx(
        40
    )
    assert score.series[10] == pytest.approx(5)


def test_farther_than_the_expert_is_one():
    assert judge(track((0, 0), speed=12), track((0, 0), speed=10)).value == 1.0


def test_backwards():
    assert judge(track((0, 0), yaw=math.pi, speed=1), track((0, 0), speed=10)).value == 0.0
    # one metre back counts as two forward (nuPlan)
    assert judge(track((0, 0), yaw=math.pi, speed=0.25), track((0, 0), speed=10)).value == pytest.approx(2 / 40)


def test_both_stand():
    assert judge(track((0, 0)), track((0, 0))).value == 1.0


@pytest.mark.parametrize(
    ("ego", "expert", "value"),
    [
        (41.04, 41.99, 41.04 / 41.99),
        (-13.0, 10.0, 0.0),
        (1.0, 1.5, 1.0),
        (-1.9, 4.0, 0.5),
        (5.0, -3.0, 1.0),
        (-2.0, 2.0, 1.0),
    ],
)
def test_rule_by_hand(ego, expert, value):
    assert ratio(ego, expert) == pytest.approx(value)


def test_sideways_is_no_progress():
    score = judge(track((0, 0), yaw=math.pi / 2, speed=2), track((0, 0), speed=10))
    assert score.value == pytest.approx(2 / 40)


def test_history_does_not_count():
    score = judge(track((0, 0), speed=10), track((0, 0), speed=10), start=20)
    assert score.evidence[0].detail["ego"] == pytest.approx(20)
    assert torch.isnan(score.series[:20]).all() and score.series[20] == 0


def test_longer_than_the_log():
    expert, ego = track((0, 0), speed=10, steps=21), track((0, 0), speed=5, steps=41)
    world = scenario(expert, track((9, 9), steps=21), track((9, -9), steps=21))
    score = progress([rollout(world, ego, track((9, 9)), track((9, -9)))], world)
    assert score.value == pytest.approx(0.5)  # 10 of 20 m when the log ends, though 20 m later on


def test_round_a_corner():
    route = torch.tensor([[-20.0, 0.0], [10.0, 0.0], [10.0, 60.0]])
    xy = torch.tensor([[0.0, 0.5], [9.0, 0.5], [10.5, 3.0], [10.0, 20.0]])
    assert_close(follow(xy, route), torch.tensor([0.0, 9.0, 13.0, 30.0]))


def test_missing_a_turn_is_no_progress():
    # The route turns left at x = 10; the ego drives on. It counts up to 10 m beyond the corner: s = 30 + 0 there.
    route = torch.tensor([[-20.0, 0.0], [10.0, 0.0], [10.0, 60.0]])
    along = torch.arange(0.0, 60.0, 2.0)
    astray = follow(torch.stack([along, 0.5 * along.clamp_min(10) - 5], -1), route)
    assert_close(astray[:6], along[:6])  # up to the corner
    assert astray[10] == pytest.approx(15.0)  # x = 20, y = 5: abreast of 5 m behind the corner, 10 m from it
    assert (astray[11:] == 15.0).all()  # farther than that it stands still, though y grows on
    back = torch.tensor([[0.0, 0.0], [8.0, 0.0], [30.0, 8.0], [30.0, 20.0], [12.0, 24.0]])
    assert_close(follow(back, route), torch.tensor([0.0, 8.0, 8.0, 8.0, 34.0]))  # back on the route it counts again


def test_a_route_that_crosses_itself_is_no_shortcut():
    # An eight: out along y = 0, round, and back across the first leg at x = 20.
    route = torch.tensor([[0.0, 0.0], [60.0, 0.0], [60.0, 40.0], [20.0, 40.0], [20.0, -40.0]])
    along = torch.linspace(0, 58, 30)
    straight = torch.stack([along, torch.full_like(along, 0.2)], -1)
    assert_close(follow(straight, route), along)
    down = torch.stack([torch.full_like(along, 20.2), 38 - along], -1)
    assert_close(follow(down, route), along, atol=1e-4, rtol=0)


def test_batch_equals_singles():
    torch.manual_seed(0)
    route = torch.tensor([[-20.0, 0.0], [10.0, 0.0], [10.0, 60.0]])
    xy = torch.cumsum(torch.rand(3, 4, 20, 2), -2)
    assert_close(follow(xy, route)[1, 2], follow(xy[1, 2], route), rtol=0, atol=0)


def test_no_route_is_no_score():
    score = judge(track((0, 0), speed=5), track((0, 0), speed=5), route=torch.zeros(1, 2))
    assert not score.valid and "route" in score.reason and math.isnan(score.value)


def test_leaving_the_route_is_told_although_the_distance_suffices():
    s = scenario(track((0, 0), speed=5), track((90, 7)))
    away = rollout(s, track((0, 0), yaw=0.8, speed=5), *tracks_of(s)[1:])
    event = next(e for e in progress([away], s).evidence if e.kind == "left_route")
    assert 10.0 < event.xy[1] < 10.6 and event.step == pytest.approx(10 / (0.5 * math.sin(0.8)), abs=1.5)
    assert not [e for e in progress([rollout(s)], s).evidence if e.kind == "left_route"]
