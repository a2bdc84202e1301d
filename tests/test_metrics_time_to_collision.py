import math

import pytest
import torch
from torch.testing import assert_close

from drivesim.errors import InputError
from drivesim.types import Agents, Kind, Vehicle
from metrics.time_to_collision import projected, relevant, spans, time_to_collision

from .worlds import rollout, scenario, straight_road, track

CAR = (4.0, 2.0, 1.5)


def judge(*tracks, map=None, start=0, **rules):
    world = scenario(*tracks, map=map, start=start)
    return time_to_collision([rollout(world)], world, **rules)


def test_closing_in_on_a_slower_car():
    # Gap 20 - 2.588 - 2 = 15.412 m, closing at 5 m/s: 3.08 s, so none within 3 s at step 0 and, at step k,
    # (15.412 - 0.5 k) / 5 s rounded up to the next 0.1 s.
    score = judge(track((0, 0), speed=10), track((20, 0), speed=5, size=CAR), track((0, 3.5), speed=10))
    assert math.isnan(score.series[0]) and math.isnan(score.series[1])
    for k in (2, 5, 10, 20):
        assert score.series[k] == pytest.approx(math.ceil((15.412 - 0.5 * k) / 0.5) * 0.1, abs=1e-5)
    # 0.95 s is first broken when the next tenth is 0.9: 15.412 - 0.5 k <= 4.5, from step 22 on to the contact at 31
    (event,) = score.evidence
    assert score.value == 0.0 and event.agents == (0, 1)
    assert (event.detail["first_step"], event.detail["last_step"], event.step) == (22, 31, 31)
    assert event.detail["time_to_collision"] == 0.0
    assert torch.isnan(score.series[32:]).all()  # touched tracks are left out from then on


def test_following_at_the_same_speed():
    score = judge(track((0, 0), speed=10), track((9, 0), speed=10), track((-9, 0), speed=10))
    assert score.value == 1.0 and torch.isnan(score.series).all() and not score.evidence


def test_a_stopped_ego_has_none():
    score = judge(track((0, 0)), track((25, 0), yaw=math.pi, speed=5), track((0, 3.5), speed=5))
    assert score.value == 1.0 and torch.isnan(score.series).all()


def test_beside_counts_only_where_the_ego_leaves_its_lane():
    # A car on the left comes over: it is seen at more than 30 degrees, so it counts only between lanes.
    left = track((2, 4.5), yaw=-0.25, speed=8, size=CAR, steps=8)
    rest = track((60, 3.5), speed=8, steps=8)
    wide = straight_road(lanes=4)
    assert judge(track((0, 0), speed=8, steps=8), left, rest, map=wide).value == 1.0
    assert judge(track((0, 0.9), speed=8, steps=8), left, rest, map=wide).value == 0.0
    assert judge(track((0, -0.9), speed=8, steps=8), left, rest, map=wide, bound=2.0).value == 0.0  # off the road
    crossing = wide.replace(lanes=wide.lanes.replace(intersection=torch.tensor([True, False, False, False])))
    assert judge(track((0, 0), speed=8, steps=8), left, rest, map=crossing).value == 0.0


def test_behind_never_counts():
    score = judge(track((0, 0.9), speed=3), track((-20, 0.9), speed=8, steps=41), track((60, 0)))
    assert score.value == 1.0


def test_crossing_traffic():
    # Ego front at 2.588 with 10 m/s; the crosser's box spans x 15..17 and reaches y = -1.1485 when it has gone
    # 10 - 2 - 1.1485 = 6.8515 m at 5 m/s: 1.38 s; the ego reaches x = 15 after 1.25 s: they meet at 1.4 s.
    crosser = track((16, -10), yaw=math.pi / 2, speed=5, size=CAR)
    score = judge(track((0, 0), speed=10), crosser, track((0, 3.5), speed=10))
    # seen from the rear axle at atan(10 / 17.461) = 29.8 degrees: just ahead
    assert score.series[0] == pytest.approx(1.4, abs=1e-5)


def test_objects_stand_still_and_people_walk_where_they_go():
    cone = track((12, 0), yaw=0.0, speed=9, kind=Kind.CONE, steps=5)
    assert judge(track((0, 0), speed=10, steps=5), cone, track((0, 9), steps=5)).series[0] == pytest.approx(1.0)
    walker = track((12, 3.0), yaw=-math.pi / 2, speed=2, kind=Kind.PEDESTRIAN, steps=5)
    sideways = walker.replace(yaw=torch.zeros(5))  # its box looks along the road, it walks across
    for person in (walker, sideways):
        score = judge(track((0, 0), speed=10, steps=5), person, track((0, 9), steps=5))
        assert score.series[0] == pytest.approx(1.0)  # 9.112 m at 10 m/s, by then within 1.1485 + 0.3 of the middle


def test_a_reversing_ego_is_projected_backwards():
    ego = track((0, 0), speed=-5, steps=5)
    ahead = judge(ego, track((8, 0), steps=5), track((0, 9), steps=5))
    assert torch.isnan(ahead.series).all()


def test_contact_at_the_start_is_left_out():
    inside, away = track((4, 0), speed=1.0), track((0, 3.5), speed=9)
    assert judge(track((0, 0), speed=3), inside, away).value == 1.0
    assert judge(track((0, 0), speed=3), inside, away, ignore_start=False).series[0] == 0.0


def test_absent_agents_never_count():
    ghost = track((10, 0), size=CAR)
    ghost = ghost.replace(valid=torch.zeros_like(ghost.valid))
    late = track((20, 0), size=CAR, valid=slice(5, 9))
    score = judge(track((0, 0), speed=8), ghost, late, track((0, 3.5), speed=8))
    assert torch.isnan(score.series[:5]).all() and torch.isfinite(score.series[5:9]).all()
    assert torch.isnan(score.series[9:]).all()


def test_history_does_not_count():
    parked = track((13, 0), size=CAR, valid=slice(0, 9))
    score = judge(track((0, 0), speed=10), parked, track((0, 3.5), speed=10), start=9)
    assert score.value == 1.0 and torch.isnan(score.series).all()


def test_batch_equals_singles():
    scenes = [
        [track((0, 0), speed=10), track((20, 0)), track((0, 3.5), speed=9, valid=slice(5, 20))],
        [track((0, 0), speed=4), track((-10, 0), speed=8), track((30, 0), yaw=math.pi, speed=8)],
        [track((0, 1), speed=5), track((12, 1.2), speed=1), track((9, 9), yaw=-1.5, speed=4)],
    ]
    singles = [Agents.stack(tracks, dim=1) for tracks in scenes]
    beside = torch.rand(3, 41, generator=torch.Generator().manual_seed(0)) > 0.5
    batch, car = Agents.stack(singles), Vehicle()
    times = projected(batch, relevant(batch, beside, car))
    assert torch.isfinite(times).any()
    for i, agents in enumerate(singles):
        assert_close(times[i], projected(agents, relevant(agents, beside[i], car)), rtol=0, atol=0)


@pytest.mark.parametrize("horizon", [3.0, 5.0])
def test_the_horizon_itself_is_not_checked(horizon):
    # nuPlan looks 0.1, 0.2 ... s ahead, up to but without the horizon: at 10 m/s one second of gap less 0.1 s.
    def meets(gap):
        tracks = track((0, 0), speed=10), track((gap + 2.588 + 2.3, 0)), track((50, 9), speed=1)
        world = scenario(*(x[:1] for x in tracks))
        return bool(torch.isfinite(time_to_collision([rollout(world)], world, horizon=horizon).series[0]))

    assert meets(10 * horizon - 1.01) and not meets(10 * horizon - 0.99)


@pytest.mark.parametrize("time_step", [0.0, -0.1, 4.0, math.nan])
def test_a_useless_time_step_is_refused(time_step):
    with pytest.raises(InputError, match="time_step"):
        judge(track((0, 0), speed=5), track((20, 0)), track((-20, 0)), time_step=time_step)


def test_spans():
    assert spans(torch.tensor([1, 1, 0, 1, 0, 0, 1]).bool()) == [(0, 1), (3, 3), (6, 6)]
    assert spans(torch.zeros(3).bool()) == [] and spans(torch.ones(2).bool()) == [(0, 1)]
