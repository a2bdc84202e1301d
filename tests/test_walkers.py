"""People on foot: they wait, go round, keep together, and touch nobody whom they did not touch before."""

import math
from pathlib import Path

import pytest
import torch

from drivesim.behavior.clearance import Ways, ahead, expected
from drivesim.behavior.idm import IDMTraffic
from drivesim.behavior.stride import STEPS, stride
from drivesim.behavior.switching import Switches, look
from drivesim.config import source
from drivesim.dynamics.contacts import overlaps
from drivesim.dynamics.holonomic import Holonomic
from drivesim.simulator import simulate
from drivesim.traffic import World
from drivesim.types import WALKERS, Agents, Body, Kind, State, Vehicle, is_kind
from planners.constant_velocity import ConstantVelocity
from planners.expert import Expert

from .worlds import move, scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared"
NORTH, SOUTH = math.pi / 2, -math.pi / 2
SIZE = (0.7, 0.7, 1.75)
STEPS_OF_A_DRIVE = 121


def walker(xy, yaw, speed=1.3, **kwargs):
    return track(xy, yaw=yaw, speed=speed, kind=Kind.PEDESTRIAN, size=SIZE, **{"steps": STEPS_OF_A_DRIVE, **kwargs})


def drive(s, planner=None):
    return simulate(s, planner or ConstantVelocity(), behavior=IDMTraffic(variation=0.0))


def braking_ego():
    """In the log it stops short of x = 0, the planner keeps its 8 m/s: whoever crosses there leaves his log."""
    return track((-46, 0), speed=8.0, acceleration=-0.79, steps=STEPS_OF_A_DRIVE)


def touching(r, who):
    """Steps at which one of `who` touches anybody."""
    return [t for t, a in enumerate(r.agents) if bool(overlaps(a)[who].any())]


def state_of(*tracks, step=0):
    agents = Agents.stack(list(tracks), dim=1)
    zero = torch.zeros_like(agents.yaw[0])
    return agents, State(agents[step], Body(zero, zero), torch.tensor(step), torch.tensor(0))


def test_a_group_waits_together_and_nobody_is_pushed_through():
    group = [walker((x, -8.0 + y), NORTH) for x, y in ((0.0, 0.0), (0.75, 0.05), (1.5, 0.0), (0.4, -0.85))]
    r = drive(scenario(braking_ego(), *group, map=straight_road(length=400.0, behind=100.0)))
    assert touching(r, [1, 2, 3, 4]) == []
    end = r.agents.xy[-1, 1:]
    assert float(end[:, 1].min()) > 1.5  # they crossed after it
    assert float((end[1] - end[0]).norm()) < 2.5 and float((end[2] - end[1]).norm()) < 2.5  # and still as a group


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_two_groups_that_meet_pass_through_each_other_without_contact(offset):
    far = track((-90, 0), speed=8.0, steps=STEPS_OF_A_DRIVE)
    up = [walker((x + offset, 13.0), NORTH) for x in (0.0, 0.9)]
    down = [walker((x, 23.0), SOUTH) for x in (0.1, 1.1)]
    r = drive_from_the_start(scenario(far, *up, *down, map=straight_road(length=400.0, behind=100.0)))
    assert touching(r, [1, 2, 3, 4]) == []
    assert float(r.agents.xy[-1, 1:3, 1].min()) > 22 and float(r.agents.xy[-1, 3:, 1].max()) < 15


class FromTheStart(IDMTraffic):
    """Walkers decide by themselves at once."""

    def begin(self, state, scenario, seed):
        state = super().begin(state, scenario, seed)
        switches = state.mind.switches.map(torch.clone)
        switches.step[state.mind.paths.walks] = int(state.step)
        return state.replace(mind=state.mind.replace(switches=switches))


def drive_from_the_start(s):
    return simulate(s, ConstantVelocity(), behavior=FromTheStart(variation=0.0))


def test_a_parked_car_that_stands_in_the_way_is_gone_round():
    """The log walks through the box, as boxes of logs do."""
    parked = track((0.3, -10.0), yaw=NORTH, steps=STEPS_OF_A_DRIVE)
    road = straight_road(length=400.0, behind=100.0)
    r = drive_from_the_start(scenario(track((-90, 0), steps=121), walker((0.0, -16.0), NORTH), parked, map=road))
    assert touching(r, [1]) == []
    assert float(r.agents.xy[-1, 1, 1]) > -6.0  # and goes on


def test_who_is_in_contact_at_the_start_does_not_come_nearer_and_gets_free():
    pair = [walker((0.0, -16.0), NORTH), walker((0.55, -16.1), NORTH)]
    road = straight_road(length=400.0, behind=100.0)
    r = drive_from_the_start(scenario(track((-90, 0), steps=121), *pair, map=road))
    apart = (r.agents.xy[:, 1] - r.agents.xy[:, 2]).norm(dim=-1)
    assert float(apart.min()) > 0.54
    times = touching(r, [1, 2])
    assert times[0] == 0 and times == list(range(len(times))) and len(times) < 15


def test_a_stride_stops_short_of_a_wall():
    wall = track((2.0, 0.0), yaw=NORTH, kind=Kind.BARRIER, size=(8.0, 0.5, 1.0))
    me = walker((1.0, 0.0), 0.0, speed=1.5, steps=41)
    log, state = state_of(track((-40, 0)), me, wall)
    people = World.of([scenario(track((-40, 0)), me, wall)]).records.agents[0]
    walks = torch.tensor([False, True, False])
    for _ in range(10):
        soon = expected(state, log, walks, None, 0.1, torch.arange(STEPS + 1))
        command = torch.zeros(3, 2)
        command[1] = stride(state.agents, people, torch.tensor([1]), torch.tensor([[3.0, 0.0]]), soon, 0.1)
        agents, body = Holonomic().step(state.agents, state.body, command, 0.1, Vehicle())
        state = state.replace(agents=Agents.where(walks, agents, state.agents), body=body)
        assert not bool(overlaps(state.agents)[1, 2])
    assert 1.2 < float(state.agents.xy[1, 0]) < 1.4  # the wall begins at 1.75, the body is 0.35 before its middle


def test_bodies_are_expected_along_their_ways():
    """A quarter circle of radius 10 m at 5 m/s for 2 s: an angle of one radian."""
    angle = torch.arange(0, 31) / 10.0
    circle = torch.stack([10 * torch.sin(angle), 10 * (1 - torch.cos(angle))], -1)
    _, state = state_of(track((-40, 0)), track((0.0, 0.0), speed=5.0))
    still = torch.zeros_like(circle)
    ways = Ways(torch.stack([still, circle]), torch.tensor([0.0, 30.0]), torch.tensor([torch.nan, 0.0]))
    later = ahead(state.agents, state.body, torch.tensor([2.0]), ways)[0, 1]
    assert torch.allclose(later.xy, torch.tensor([10 * math.sin(1), 10 * (1 - math.cos(1))]), atol=0.05)
    assert abs(float(later.yaw) - 1.0) < 0.06
    straight = ahead(state.agents, state.body, torch.tensor([2.0]))[0, 1]
    assert torch.allclose(straight.xy, torch.tensor([10.0, 0.0]))


def test_nobody_leaves_his_log_for_a_car_that_turns_off_before_him():
    still = walker((10.0, 0.0), NORTH, speed=0.0, steps=41)
    late = track((0.0, 0.5), speed=5.0)  # half a metre off its log
    log, state = state_of(track((-40, 0)), still, track((0.0, 0.0)))
    state = state.replace(agents=Agents.where(torch.tensor([False, False, True]), late[0], state.agents))
    fit = torch.tensor([False, True, False])
    y = torch.cat([torch.zeros(3), torch.arange(0, 28.0)])
    x = torch.cat([torch.arange(0, 3.0), torch.full((28,), 2.0)])
    way = torch.stack([x, 0.5 + y], -1)
    ways = Ways(way.expand(3, -1, -1), torch.tensor([0.0, 0.0, 30.0]), torch.tensor([torch.nan, torch.nan, 0.0]))
    for given, leaves in ((None, True), (ways, False)):
        switches = Switches.none(3)
        look(switches, log, state, fit, given)
        assert bool(switches.done[1]) == leaves


def test_walkers_in_a_turned_world_walk_the_same():
    group = [walker((x, -8.0 + y), NORTH) for x, y in ((0.0, 0.0), (0.8, 0.05), (0.4, -0.85))]
    s = scenario(braking_ego(), *group, map=straight_road(length=400.0, behind=100.0))
    here, there = drive(s), drive(move(s, 0.9, (20.0, -7.0)))
    back = move(here, 0.9, (20.0, -7.0))
    assert float((back.agents.xy - there.agents.xy)[:90].abs().max()) < 0.02


def test_a_crowd_on_real_roads_brings_about_no_contact_among_itself():
    if not (SHARED / "data/nuscenes").exists():
        pytest.skip("shared/data/nuscenes is not here")
    s = source("nuscenes", SHARED / "data/nuscenes").load("scene-0916")
    r = simulate(s, Expert(), behavior=IDMTraffic())
    walks = is_kind(s.log.kind.amax(0), WALKERS)
    moved = ((r.agents.xy - s.log.xy).norm(dim=-1).nan_to_num(0) > 1e-3).any(0) & walks
    assert int(moved.sum()) >= 2  # some left their logs
    moved = moved[:, None] & walks
    before = overlaps(s.log[s.start])
    for a, logged in zip(r.agents[s.start + 1 :], s.log[s.start + 1 :], strict=True):
        now = overlaps(a)
        assert not bool((now & ~before & ~overlaps(logged))[moved].any())
        before = now
