"""Lane changes: MOBIL against cases worked by hand, its laws, a highway, a lane that ends, a real motorway."""

from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.behavior.idm import IDMTraffic
from drivesim.behavior.lane_choice import Why, incentive
from drivesim.behavior.lane_gaps import NOBODY, Around, Gaps, gaps_in, project
from drivesim.behavior.lane_graph import HORIZON, LaneGraph
from drivesim.behavior.mixed import Mixed
from drivesim.behavior.mobil import MOBIL, events
from drivesim.config import source
from drivesim.dynamics.contacts import overlaps
from drivesim.loading import make_lanes
from drivesim.simulator import simulate, start_state
from drivesim.types import Ground, Kind, Light, Map, Polylines, Signals
from planners.constant_velocity import ConstantVelocity
from planners.expert import Expert

from .worlds import move, path, scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared"
ALIKE = IDMTraffic(variation=0.0)


class Remembered:
    """A behaviour whose last mind can be looked at."""

    def __init__(self, inner):
        self.inner, self.body, self.mind = inner, inner.body, None

    def begin(self, state, scenario, seed):
        return self.inner.begin(state, scenario, seed)

    def act(self, state, history, scene):
        action, after = self.inner.act(state, history, scene)
        self.mind = after.mind
        return action, after


def drive(s, planner=None, seed=0, traffic=ALIKE, **kwargs):
    """The rollout and the mind at its end."""
    behavior = Remembered(MOBIL(traffic=traffic, **kwargs))
    return simulate(s, planner or ConstantVelocity(), behavior=behavior, seed=seed), behavior.mind


def made(mind):
    """Changes as (step, who, from, to, why)."""
    return [tuple(row) for row in mind.changes.made.tolist()]


def touching(r):
    return torch.stack([overlaps(a) for a in r.agents]).any()


def accelerations(r):
    """Along the heading and across it (T - 1, A), of everybody but the ego."""
    v = r.agents.velocity[:, 1:]
    a, yaw = (v[1:] - v[:-1]) / 0.1, r.agents.yaw[:-1, 1:]
    ahead = torch.cos(yaw) * a[..., 0] + torch.sin(yaw) * a[..., 1]
    left = -torch.sin(yaw) * a[..., 0] + torch.cos(yaw) * a[..., 1]
    return ahead.nan_to_num(0), left.nan_to_num(0)


def slow(x, y, steps, speed=5.0):
    """A leader that nothing impresses: a trailer follows its log."""
    return track((x, y), speed=speed, kind=Kind.TRAILER, steps=steps)


def ego(steps, y=7.0):
    return track((-49, y), speed=1.0, steps=steps)


def world(*others, lanes=3, y=7.0, length=900.0, **kwargs):
    return scenario(ego(len(others[0].yaw), y), *others, map=straight_road(lanes=lanes, length=length), **kwargs)


# by hand


def around(**columns):
    """Three cars: me, one behind me, one behind me in the other lane; all of them the same driver."""
    n = 3
    alike = {"acceleration": 1.5, "braking": 2.0, "headway": 1.5, "gap": 2.0, "desired": 13.9}
    return Around(
        xy=np.zeros((n, 2)), yaw=np.zeros(n), velocity=np.zeros((n, 2)), half=np.ones((n, 2)),
        valid=np.ones(n, bool), later=np.full((n, 2), np.nan), travel=np.zeros(n), exponent=4.0,
        reacts=np.ones(n, bool), **{k: np.full(n, x) for k, x in (alike | columns).items()},
    )  # fmt: skip


def idm(v, gap, leader):
    """The model of Treiber, Hennecke and Helbing with the parameters of `around`."""
    wanted = 2.0 + max(0.0, v * 1.5 + v * (v - leader) / (2 * np.sqrt(1.5 * 2.0)))
    return min(1.5, 1.5 * (1 - (v / 13.9) ** 4 - (wanted / gap) ** 2))


HERE = Gaps(NOBODY, 20.0, 6.0, 1, 25.0, 10.0, 4.0)  # I do 10 m/s, 20 m behind one at 6 m/s; one comes 25 m behind
THERE = Gaps(NOBODY, 60.0, 12.0, 2, 15.0, 12.0, 4.0)


@pytest.mark.parametrize("politeness", [0.0, 0.2, 1.0])
def test_the_incentive_is_the_papers(politeness):
    mine = idm(10, 60, 12) - idm(10, 20, 6)
    new = idm(12, 15, 10) - idm(12, 15 + 4 + 60, 12)
    old = idm(10, 25 + 4 + 20, 6) - idm(10, 25, 10)
    value = incentive(MOBIL(politeness=politeness, threshold=0.1), around(), 0, 10.0, HERE, THERE, side=1)
    assert value == pytest.approx(mine + politeness * (new + old) - 0.1, abs=1e-9)
    assert mine > 1 and new < -1


def test_bias_and_rule_for_the_right():
    model = MOBIL(politeness=0.0, threshold=0.1, bias=0.3)
    left, right = (incentive(model, around(), 0, 10.0, HERE, THERE, side) for side in (1, -1))
    assert right - left == pytest.approx(0.6)
    # where one keeps right nobody gains by passing a slow left lane on the right
    keeps = MOBIL(politeness=0.0, threshold=0.1, keep_right=True)
    behind_slow = Gaps(7, 20.0, 6.0, NOBODY, np.inf, 0.0, 4.0)
    free = Gaps(NOBODY, np.inf, 0.0, NOBODY, np.inf, 0.0, 4.0)
    assert incentive(keeps, around(), 0, 10.0, behind_slow, free, -1) == pytest.approx(-0.1)
    assert incentive(MOBIL(politeness=0.0), around(), 0, 10.0, behind_slow, free, -1) > 1


def test_places_on_a_line():
    line = np.array([[0.0, 0], [10, 0], [10, 10]])
    place = project(line, np.array([[4.0, 1], [12, 6], [-1, 0], [np.nan, 0]]))
    assert place[0].tolist() == [4, 1, 1, 0]
    assert place[1, :2].tolist() == [16, -2]
    assert np.isnan(place[2:, 0]).all()


def test_gaps_count_who_is_about_to_come_into_the_lane():
    four = around()
    xy = np.array([[50.0, 0], [80.0, 0.5], [40, 7.0]])
    later = np.array([[np.nan, np.nan], [np.nan, np.nan], [65.0, 0.0]])  # the third changes from two lanes away
    seen = Around(**{**vars(four), "xy": xy, "later": later, "travel": np.array([0, 0, 25.0])})
    gaps = gaps_in(np.array([[0.0, 0], [200, 0]]), 0, seen)
    assert (gaps.leader, gaps.follower) == (1, 2)
    assert gaps.ahead == pytest.approx(30 - 2) and gaps.behind == pytest.approx(10 - 2)


# one decision at a time


def test_behind_a_slow_leader_with_a_free_lane_beside():
    s = world(track((0, 0), speed=12, steps=101), slow(40, 0, 101))
    r, mind = drive(s)
    (change,) = made(mind)
    assert change[1:] == (1, 0, 1, int(Why.INCENTIVE)) and change[0] < 20
    y, speed = r.agents.xy[:, 1, 1], r.agents.speed[:, 1]
    assert float((y[-20:] - 3.5).abs().max()) < 0.05 and float(y.max()) < 3.6
    assert float(speed[-1]) > 13
    took = (int((y > 3.4).long().argmax()) - change[0]) * 0.1
    assert 3.0 < took < 6.0
    ahead, left = accelerations(r)
    assert float(left[:, 0].abs().max()) < 1.5 and not bool(touching(r))
    (event,) = events(mind, s, r.agents)
    assert (event.kind, event.step, event.agents) == ("lane_change", change[0], (1,))
    assert event.detail == {"track": s.track_ids[1], "from": 0, "to": 1, "why": "incentive"}


def test_not_into_the_way_of_a_fast_follower():
    """One comes from behind in the left lane: the change waits until it has passed."""
    steps = 121
    s = world(track((0, 0), speed=6, steps=steps), slow(20, 0, steps, 6.0), track((-22, 3.5), speed=13.9, steps=steps))
    r, mind = drive(s)
    mine = [c for c in made(mind) if c[1] == 1]
    alone, without = drive(world(track((0, 0), speed=6, steps=steps), slow(20, 0, steps, 6.0)))
    assert made(without)[0][0] < 10, "without the follower it changes at once"
    assert mine and float(r.agents.xy[mine[0][0], 3, 0] - r.agents.xy[mine[0][0], 1, 0]) > 4.6
    assert not bool(touching(r))
    assert float(accelerations(r)[0][:, 2].min()) > -1.0, "the fast one is not made to brake"


@pytest.mark.parametrize(("politeness", "changes"), [(0.0, True), (1.0, False)])
def test_politeness_spares_the_follower(politeness, changes):
    """A change gains me 0.5 m/s^2 and costs the follower more: the selfish make it, the polite do not."""
    steps = 8
    s = world(track((0, 0), speed=11, steps=steps), slow(38, 0, steps, 10.0), track((-25, 3.5), speed=13, steps=steps))
    _, mind = drive(s, politeness=politeness)
    assert bool(made(mind)) is changes


def test_left_and_right_are_alike():
    """A world and its mirror image about the middle lane."""
    steps = 101
    one = world(track((0, 3.5), speed=12, steps=steps), slow(40, 3.5, steps), slow(30, 7.0, steps, 6.0), y=7.0)
    two = world(track((0, 3.5), speed=12, steps=steps), slow(40, 3.5, steps), slow(30, 0.0, steps, 6.0), y=0.0)
    a, mind_a = drive(one)
    b, mind_b = drive(two)
    assert [c[:2] for c in made(mind_a)] == [c[:2] for c in made(mind_b)] != []
    assert made(mind_a)[0][2:4] == (1, 0) and made(mind_b)[0][2:4] == (1, 2)
    mirrored = torch.stack([b.agents.xy[..., 0], 7.0 - b.agents.xy[..., 1]], -1)
    assert float((a.agents.xy[:, 1] - mirrored[:, 1]).norm(dim=-1).max()) < 0.02


def test_the_world_may_be_turned():
    steps = 81
    s = world(track((0, 0), speed=12, steps=steps), slow(40, 0, steps), track((-30, 3.5), speed=9, steps=steps))
    a, mind_a = drive(s)
    b, mind_b = drive(move(s, 2.0, (100.0, -50.0)))
    assert made(mind_a) == made(mind_b) != []
    back = move(move(b, 0.0, (-100.0, 50.0)), -2.0, (0.0, 0.0))
    assert float((a.agents.xy - back.agents.xy).norm(dim=-1).max()) < 0.05


def test_two_do_not_take_the_same_gap_from_both_sides():
    steps = 121
    s = world(
        track((0, 0), speed=10, steps=steps), track((0, 7.0), speed=10, steps=steps), slow(30, 0, steps),
        slow(30, 7.0, steps), y=3.5,
    )  # fmt: skip
    r, mind = drive(s)
    assert len(made(mind)) >= 1 and not bool(touching(r))
    into = [c for c in made(mind) if c[3] == 1]
    assert len({c[0] for c in into}) == len(into), "not at the same moment"
    near = (r.agents.xy[:, 1] - r.agents.xy[:, 2]).norm(dim=-1).min()
    assert float(near) > 4.6


def test_nobody_changes_before_a_stop_line():
    steps, signals = 61, red_light(60.0, 61)
    follows = track((0, 0), speed=8, steps=steps)
    _, mind = drive(world(follows, slow(25, 0, steps, 3.0), signals=signals))
    assert made(mind) == []
    _, mind = drive(world(follows, slow(25, 0, steps, 3.0)))
    assert made(mind) != []


def red_light(x, steps):
    lanes = 3
    head = torch.tensor([[x + 10, 3.5 * i, 5.0, np.pi] for i in range(lanes)])
    return Signals(
        torch.arange(lanes), torch.tensor([[x, 3.5 * i] for i in range(lanes)]), head,
        torch.full((steps, lanes), int(Light.RED)),
    )  # fmt: skip


def test_nobody_leaves_the_lane_that_leads_where_he_wants():
    """The right lane bends off to an exit, which the log takes; the left one goes straight on."""
    steps = 121
    bend = [(120 + 80 * np.sin(t), -80 + 80 * np.cos(t)) for t in np.linspace(0, np.pi / 3, 25)]
    lines = [[(-50, 0), (35, 0), (120, 0)], [(-50, 3.5), (35, 3.5), (120, 3.5)], bend, [(120, 3.5), (400, 3.5)]]
    road = fork(lines, [(0, 2), (1, 3)])
    way = np.concatenate([[(0.0, 0.0), (120.0, 0.0)], bend[1:]])
    length = np.concatenate([[0], np.hypot(*np.diff(way, axis=0).T).cumsum()])
    s = np.clip(13.0 * np.arange(steps) * 0.1, 0, length[-1])
    xy = torch.from_numpy(np.column_stack([np.interp(s, length, way[:, k]) for k in (0, 1)]))
    turns = path(xy, torch.atan2(*xy.double().diff(dim=0, prepend=2 * xy[:1] - xy[1:2]).flip(1).T))
    leader = track((25, 0), speed=4, kind=Kind.TRAILER, steps=steps)
    _, mind = drive(scenario(ego(steps, 3.5), turns, leader, map=road))
    assert made(mind) == []
    straight = track((0, 0), speed=10, steps=60)
    _, mind = drive(scenario(ego(60, 3.5), straight, track((25, 0), speed=4, kind=Kind.TRAILER, steps=60), map=road))
    assert made(mind) != [], "whose log goes straight on does"
    graph = LaneGraph.of(road)
    wanted, goal = graph.wanted(xy)
    assert graph.reach(0, 50.0, wanted, goal) > 190 and graph.reach(1, 50.0, wanted, goal) == pytest.approx(120.0)
    assert graph.reach(1, 50.0, np.ones(4, bool), np.ones(4, bool)) == HORIZON


def fork(lines, successors):
    center = [np.column_stack([np.asarray(x, float), np.zeros(len(x))]) for x in lines]
    lanes = make_lanes(center, [3.5] * len(lines), [13.9] * len(lines), successors=successors)
    lanes = lanes.replace(neighbours=torch.tensor([(0, 1, 1), (1, 0, -1)]))
    plain = torch.tensor([[-400.0, -400], [400, -400], [400, 400], [-400, 400]])
    none = Polylines.of([])
    return Map(lanes, Polylines.of([plain]), none, Polylines.of([], dims=3), Ground.flat())


def test_whose_lane_ends_merges():
    """A lane ends after 150 m beside a lane in which cars pass: its driver comes in between them, in time."""
    steps, w = 251, 3.5
    road = straight_road(lanes=2, length=700.0)
    x = torch.linspace(-50, 150, 41)
    short = torch.stack([x, 0 * x, 0 * x], -1)
    lanes = road.lanes.replace(center=Polylines.of([short, road.lanes.center.line(1)], dims=3))
    ring = torch.tensor([[-50, -w / 2], [150, -w / 2], [151, w / 2], [650, w / 2], [650, 1.5 * w], [-50, 1.5 * w]])
    road = road.replace(lanes=lanes, drivable=Polylines.of([ring]))
    merging = track((20, 0), speed=8, steps=steps, valid=slice(0, 31))
    stream = [track((45 - 16 * k, w), speed=10, steps=steps) for k in range(6)]
    r, mind = drive(scenario(track((-49, w), steps=steps), merging, *stream, map=road))
    mine = [c for c in made(mind) if c[1] == 1]
    assert mine and mine[0][2:] == (0, 1, int(Why.MANDATORY))
    assert bool(r.agents.valid[-1, 1]) and float(r.agents.xy[-1, 1, 0]) > 150
    assert float((r.agents.xy[-1, 1, 1] - w).abs()) < 0.1
    assert not bool(touching(r))
    assert float(accelerations(r)[0].min()) > -6.1


# over time


@pytest.fixture(scope="module")
def highway():
    """Thirty drivers, of whom each likes another speed, on three lanes for a minute."""
    rng, steps, cars = np.random.default_rng(3), 601, []
    for lane in range(3):
        for k in range(10):
            place = (40 * k + 10 * lane + float(rng.uniform(-4, 4)), 3.5 * lane)
            kind = Kind.CAR if rng.random() < 0.8 else Kind.TRUCK
            cars.append(track(place, speed=float(rng.uniform(8, 12)), steps=steps, kind=kind))
    s = scenario(track((-45, 0), speed=6, steps=steps), *cars, map=straight_road(lanes=3, length=2000.0))
    return drive(s, traffic=IDMTraffic(variation=0.3), seed=3)


def test_a_minute_on_a_highway_without_a_collision(highway):
    r, mind = highway
    assert 10 < len(made(mind)) < 150
    assert not bool(touching(r))
    y = r.agents.xy[-1, 1:, 1]
    assert float((y - 3.5 * (y / 3.5).round()).abs().max()) < 1.8


def test_changes_are_comfortable(highway):
    r, mind = highway
    _, left = accelerations(r)
    assert float(left.abs().max()) < 1.5
    jerk = (left[3:] - left[:-3]).abs() / 0.3
    assert float(jerk.max()) < 3.0


def test_nobody_changes_twice_at_once(highway):
    _, mind = highway
    for i in range(1, 31):
        steps = [c[0] for c in made(mind) if c[1] == i]
        assert all(b - a >= 100 for a, b in zip(steps, steps[1:], strict=False)), "a change and a rest, 5 s each"


# what a behaviour owes


def test_the_past_stays_as_it_was():
    steps = 61
    s = world(track((0, 0), speed=12, steps=steps), slow(40, 0, steps))
    behavior = MOBIL(traffic=ALIKE)
    state, history = start_state(s)
    state = behavior.begin(state, s, seed=0)
    for _ in range(8):
        before = [x.clone() for x in tensors(state.mind)]
        _, after = behavior.act(state, history, s.scene)
        assert all(torch.equal(a, b) for a, b in zip(before, tensors(state.mind), strict=True))
        state = after.replace(step=after.step + 1)
    assert len(state.mind.changes.made) == 1


def tensors(thing):
    out = []
    thing.map(lambda x: out.append(x.nan_to_num(-9) if x.is_floating_point() else x) or x)
    return out


def test_with_mixed_traffic_who_keeps_to_its_log_keeps_its_lane():
    steps = 81
    s = world(track((0, 0), speed=8, steps=steps), slow(25, 0, steps, 8.0), y=3.5)
    r, mind = drive(s, planner=Expert(), traffic=Mixed(traffic=ALIKE))
    assert made(mind) == []
    assert torch.equal(r.agents.xy[:, 1:], s.log.xy[:, 1:])


def test_a_real_motorway():
    root = SHARED / "data" / "commonroad"
    reader = source("commonroad", root) if root.exists() else None
    id = "USA_US101-24_2_T-1"
    if reader is None or id not in reader.ids():
        pytest.skip("no US 101 recordings here")
    s = reader.load(id)
    r, mind = drive(s, planner=Expert(), traffic=IDMTraffic())
    plain = simulate(s, Expert(), behavior=IDMTraffic(), seed=0)
    hit, before = (int(torch.stack([overlaps(a) for a in x.agents]).any(-1).any(0).sum()) for x in (r, plain))
    assert len(made(mind)) > 0
    assert hit <= before
