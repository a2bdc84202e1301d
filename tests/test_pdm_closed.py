"""PDM-Closed: stays on the road, stops for who stands and for red, brakes in an emergency, drives a town and a log."""

from pathlib import Path

import numpy as np
import pytest
import torch

import drivesim
from drivesim.config import part
from drivesim.proposals.closed import PDMClosed
from drivesim.proposals.road import Course
from drivesim.proposals.states import X, Y
from drivesim.types import Light, Signals, Vehicle

from .worlds import move, scenario, straight_road, track

LOGS = Path(__file__).parents[2] / "shared" / "data" / "argoverse2" / "sensor" / "val"
CAR = Vehicle()
FRONT = CAR.rear_axle_to_center + CAR.length / 2


LONG = torch.tensor([[-50.0, 0.0], [1950.0, 0.0]])
"""A route and a road whose end is too far away to matter."""


def chosen(*others, speed=5.0, y=0.0, road=None, red=(), model=None, route=None):
    """What PDM-Closed decides with its rear axle at x = 0."""
    ego = track((CAR.rear_axle_to_center, y), speed=speed)
    world = scenario(ego, *others, map=road or straight_road(2), route=route)
    start = np.array([0.0, y, 0, speed, 0, 0, 0])
    course = Course.of(world.scene.map, world.scene.briefing.route)
    red = np.array(red, np.int64)
    return (model or PDMClosed()).choose(start, world.log[0], world.scene.map, course, red, CAR)


def in_a_row(split):
    """Two lanes along y = 0, one behind the other; the second begins at x = `split`."""
    road = straight_road(1)
    x = [torch.linspace(-50, split, 17), torch.linspace(split, 150, 25)]
    lanes = road.lanes.replace(
        center=road.lanes.center.of([torch.stack([v, 0 * v, 0 * v], -1) for v in x], dims=3),
        width=torch.full((2,), 3.5), speed_limit=torch.full((2,), 13.9), successors=torch.tensor([[0, 1]]),
        intersection=torch.zeros(2, dtype=torch.bool), neighbours=torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip
    return road.replace(lanes=lanes)


def drive(world, period=0.2, behavior="replay"):
    planner = drivesim.planner("pdm_closed", period=period)
    return drivesim.simulate(world, planner, behavior=part("behavior", behavior))


def scores(rollout, world, *names):
    return {score.name: score for score in drivesim.score(rollout, world, names)}


# one decision


def test_fifteen_proposals_at_fractions_of_the_limit_and_beside_the_route():
    choice = chosen(speed=10, road=straight_road(2, length=2000), route=LONG)
    assert choice.proposals.shape == (15, 81, 3) and choice.scores.shape == (15,)
    assert choice.poses.shape == (81, 3) and choice.time[-1] == pytest.approx(8)
    aside = choice.proposals[:, -1, Y]
    assert aside.reshape(3, 5).tolist() == pytest.approx(np.repeat([[0.0], [-1.0], [1.0]], 5, 1))
    speeds = np.diff(choice.proposals[:5, -2:, X], axis=1)[:, 0] / 0.1
    assert speeds == pytest.approx(np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * 13.9, rel=0.03)


def test_the_free_road_is_driven_at_the_limit_in_the_middle():
    choice = chosen(speed=10)
    assert int(choice.scores.argmax()) == 4 and choice.scores[4] == 1 and not choice.braking
    unknown = straight_road(2, length=2000)
    unknown = unknown.replace(lanes=unknown.lanes.replace(speed_limit=torch.full((2,), torch.nan)))
    faster = np.diff(chosen(speed=10, road=unknown, route=LONG).poses[-2:, X])[0] / 0.1
    assert faster == pytest.approx(15, rel=0.03), "15 m/s where no limit is known"


def test_it_stops_behind_who_stands():
    choice = chosen(track((40, 0)), speed=8)
    rear = 40 - 2.3
    assert choice.poses[-1, X] + FRONT < rear and choice.poses[-1, X] + FRONT > rear - 6
    assert not choice.braking and choice.judgement.no_collision.max() == 1


def test_it_passes_who_stands_beside_its_way():
    free, beside = chosen(speed=8), chosen(track((40, 3.5)), speed=8)
    assert beside.poses == pytest.approx(free.poses)
    edge = chosen(track((40, -1.9)), speed=8)
    assert edge.poses[-1, X] > 60 and edge.poses[-1, Y] == pytest.approx(1), "a metre aside there is room"


def test_it_stops_before_a_red_lane_and_not_in_one():
    road = in_a_row(30)
    assert chosen(speed=8, road=road).poses[-1, X] > 60
    waits = chosen(speed=8, road=road, red=[1])
    assert 24 < waits.poses[-1, X] + FRONT < 30
    assert chosen(speed=8, road=road, red=[0]).poses[-1, X] > 60, "whose light turns red behind it, drives on"


def test_who_touches_it_already_is_no_leader():
    assert chosen(track((4.5, 0)), speed=5).poses[-1, X] > 40


def test_it_brakes_in_an_emergency_only_when_slow():
    near = track((8.2, 0))  # 1.8 m ahead of the front
    choice = chosen(near, speed=4)
    assert choice.braking and choice.poses[-1, X] < 0.1 * choice.proposals[4, -1, X] + 1
    assert not chosen(track((12.0, 0)), speed=6).braking, "faster than 5 m/s it takes the best proposal"
    assert not chosen(near, speed=4, model=PDMClosed(emergency=-np.inf)).braking


def test_the_known_road_ends_and_so_does_the_way():
    choice = chosen(speed=8, road=straight_road(2, length=90.0))  # to x = 40
    assert 30 < choice.poses[-1, X] + FRONT < 40
    assert choice.judgement.on_road[int(choice.scores.argmax())] == 1


@pytest.mark.parametrize("version", [1, 2])
def test_the_best_has_the_best_score_of_its_version(version):
    others = [track((25, 0.5), speed=3), track((18, 3.4), yaw=-0.1, speed=6)]
    choice = chosen(*others, speed=8, model=PDMClosed(version=version))
    j = choice.judgement
    if version == 1:
        product = j.no_collision * j.on_road
        rest = 5 * j.time_to_collision + 2 * j.comfort
        total = 12
    else:
        product = j.no_collision * j.on_road * j.direction * j.lights
        rest, total = 5 * j.time_to_collision + 2 * j.lane + 2, 14
    made = j.progress * product
    progress = made / made.max() if made.max() > 5 else (product > 0) * 1.0
    assert choice.scores == pytest.approx(product * (rest + 5 * progress) / total)
    assert choice.poses == pytest.approx(choice.proposals[choice.scores.argmax()])


def test_a_shorter_horizon_decides_the_same():
    others = [track((30, 0), speed=2), track((60, 0))]
    long, short = chosen(*others, speed=8), chosen(*others, speed=8, model=PDMClosed(horizon=4.0))
    assert short.proposals == pytest.approx(long.proposals[:, :41])
    assert short.scores.tolist() == long.scores.tolist()


# in the loop


def test_behind_a_leader_that_stops_it_stops():
    braking = track((30, 0), speed=8, acceleration=-2, steps=121)
    stopped = braking.replace(
        xy=torch.where(torch.arange(121)[:, None] > 40, braking.xy[40], braking.xy),
        velocity=torch.where(torch.arange(121)[:, None] > 40, 0.0, braking.velocity),
    )
    world = scenario(track((0, 0), speed=8, steps=121), stopped)
    rollout = drive(world)
    assert rollout.agents.speed[-1, 0] < 0.3
    found = scores(rollout, world, "collision", "drivable_area", "comfort")
    assert all(score.value == 1 for score in found.values())
    assert 0.3 < float(rollout.agents.xy[-1, 1, 0] - rollout.agents.xy[-1, 0, 0]) - 2.3 - CAR.length / 2 < 5


def test_it_waits_at_red_and_goes_at_green():
    state = torch.full((151, 1), int(Light.RED))
    state[80:] = int(Light.GREEN)
    signals = Signals(torch.tensor([1]), torch.tensor([[40.0, 0.0]]), torch.zeros(1, 4), state)
    world = scenario(track((0, 0), speed=8, steps=151), map=in_a_row(40), signals=signals)
    rollout = drive(world)
    front = rollout.agents.xy[:, 0, 0] + CAR.length / 2
    assert float(front[80]) < 40 < float(front[-1])
    assert scores(rollout, world, "traffic_light")["traffic_light"].value == 1


def test_the_same_drive_twice_and_elsewhere():
    world = scenario(track((0, 0.4), speed=6), track((35, 0), speed=3), track((20, 3.5), speed=4))
    one, two = drive(world), drive(world)
    assert torch.equal(one.agents.xy, two.agents.xy)
    there = move(world, 0.7, (200.0, -90.0))
    turned = drive(there)
    assert torch.allclose(turned.agents.xy[:, 0], move(one, 0.7, (200.0, -90.0)).agents.xy[:, 0], atol=0.02)


def test_it_drives_the_town():
    world = drivesim.load("synthetic")
    rollout = drive(world)
    found = scores(rollout, world, "collision", "drivable_area", "progress", "comfort", "time_to_collision", "pdms")
    assert {name: round(score.value, 2) for name, score in found.items() if score.value < 0.99} == {}


def test_it_drives_a_real_log():
    if not LOGS.is_dir():
        pytest.skip(f"no Argoverse 2 logs under {LOGS.parents[2]}")
    world = drivesim.load("argoverse2", str(LOGS))
    rollout = drive(world, period=0.5, behavior="idm")
    found = scores(rollout, world, "collision", "drivable_area", "progress")
    assert all(score.value == 1 for score in found.values()), found
