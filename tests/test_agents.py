"""Traffic against textbook cases: approach, platoon, stop sign, crosswalk, merge, crossing, walkers, mixed."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from drivesim.behavior.idm import IDMTraffic
from drivesim.behavior.mixed import Mixed
from drivesim.behavior.switching import Why, events
from drivesim.behavior.walkers import Walkers
from drivesim.config import part
from drivesim.dynamics.contacts import contacts_at_start, overlaps
from drivesim.dynamics.limits import limits_of
from drivesim.loading import make_lanes
from drivesim.simulator import simulate
from drivesim.traffic.following import IDM
from drivesim.traffic.routes import onward
from drivesim.types import Ground, Kind, Light, Map, Plan, Polylines, Signals, StopKind, Stops
from planners.constant_velocity import ConstantVelocity
from planners.expert import Expert

from .worlds import SIZES, path, scenario, straight_road, track

ALIKE = IDMTraffic(variation=0.0)
FAR_EGO = {"xy": (-45, 3.5)}


def ego(steps, **kwargs):
    return track(**{**FAR_EGO, **kwargs}, steps=steps)


def drive(s, behavior=ALIKE, planner=None, seed=0):
    return simulate(s, planner or ConstantVelocity(), behavior=behavior, seed=seed)


def long_road(lanes=2):
    return straight_road(lanes=lanes, length=900.0)


def lane_map(*lines, successors=(), crosswalks=(), stops=None, half=400.0):
    """Lanes along these (n, 2) lines on a plain that is drivable everywhere."""
    center = [np.column_stack([np.asarray(x, float), np.zeros(len(x))]) for x in lines]
    lanes = make_lanes(center, [3.5] * len(lines), [13.9] * len(lines), successors=list(successors))
    plain = torch.tensor([[-half, -half], [half, -half], [half, half], [-half, half]])
    rings = Polylines.of([torch.tensor(c, dtype=torch.float32) for c in crosswalks])
    return Map(
        lanes, Polylines.of([plain]), rings, Polylines.of([], dims=3), Ground.flat(), stops or Stops.none()
    )  # fmt: skip


def line(a, b, n=60):
    return np.linspace(a, b, n)


def gap_between(r, behind, ahead):
    return r.agents.xy[:, ahead, 0] - r.agents.xy[:, behind, 0] - SIZES[Kind.CAR][0]


def test_an_approach_follows_the_ode():
    """A car comes up to a trailer that keeps 5 m/s: the model's own equation, integrated finely, gives the same way."""
    steps, model = 121, IDM(gap=2.0)
    s = scenario(
        ego(steps), track((50, 0), speed=5, kind=Kind.TRAILER, steps=steps), track((0, 0), speed=12, steps=steps),
        map=long_road(),
    )  # fmt: skip
    r = drive(s)
    lead = r.agents.xy[:, 1, 0].double().numpy()
    lead_v = r.agents.speed[:, 1].double().numpy()
    time = np.arange(steps) * 0.1

    def rate(t, y):
        gap = np.interp(t, time, lead) - y[0] - SIZES[Kind.CAR][0]
        a = model.accelerate(
            *(torch.tensor(float(x)) for x in (y[1], 13.9, gap, np.interp(t, time, lead_v), model.headway))
        )
        return [y[1], float(a)]

    solved = solve_ivp(rate, (0, time[-1]), [0.0, 12.0], t_eval=time, max_step=0.02)
    # discs a metre apart find the leader to 0.1 m, and Euler's steps lag by half of one: 0.05 s at 13.9 m/s
    assert np.abs(r.agents.xy[:, 2, 0].numpy() - solved.y[0]).max() < 0.9
    assert np.abs(r.agents.speed[:, 2].numpy() - solved.y[1]).max() < 0.35


def test_a_platoon_is_string_stable():
    """The leader brakes for two seconds; with a long headway every follower dips less than the one ahead."""
    steps, n, space = 301, 6, 35.0
    wave = torch.full((steps,), 10.0)
    wave[20:40] = torch.linspace(10, 6, 20)
    wave[40:60] = torch.linspace(6, 10, 20)
    x = torch.cat([torch.zeros(1), (wave[:-1] * 0.1).cumsum(0)])
    first = path(torch.stack([x + 250, torch.zeros(steps)], -1), torch.zeros(steps), kind=Kind.TRAILER)
    others = [track((250 - space * (k + 1), 0), speed=10, steps=steps) for k in range(n)]
    driver = IDM(acceleration=2.0, headway=2.2)
    road = straight_road(lanes=2, length=1500.0, behind=300.0)
    r = drive(scenario(ego(steps), first, *others, map=road), IDMTraffic(driver=driver, variation=0.0))
    dips = [10 - float(r.agents.speed[:, 2 + k].min()) for k in range(n)]
    settled = [float((r.agents.speed[-1, 2 + k] - r.agents.speed[-1, 1]).abs()) for k in range(n)]
    assert all(b < a + 0.02 for a, b in zip([4.0, *dips], dips, strict=False)), dips
    assert max(settled) < 0.6
    assert min(float(gap_between(r, 2 + k, 1 + k).min()) for k in range(n)) > 1.5


def test_a_stop_sign_is_stopped_at_and_left():
    steps = 201
    stops = Stops(torch.tensor([0]), torch.tensor([[40.0, 0]]), torch.tensor([int(StopKind.STOP_SIGN)]))
    road = long_road().replace(stops=stops)
    r = drive(scenario(ego(steps), track((0, 0), speed=8, steps=steps), map=road))
    front, speed = r.agents.xy[:, 1, 0] + 2.3, r.agents.speed[:, 1]
    standing = speed < 0.5
    assert bool(standing.any()) and float(front[standing].max()) < 40.5 and float(front[standing].min()) > 35
    assert 1.0 <= float(standing.sum()) * 0.1 <= 4.0
    assert float(front[-1]) > 60


def test_a_yield_sign_alone_does_not_stop():
    steps = 101
    stops = Stops(torch.tensor([0]), torch.tensor([[40.0, 0]]), torch.tensor([int(StopKind.YIELD)]))
    r = drive(scenario(ego(steps), track((0, 0), speed=8, steps=steps), map=long_road().replace(stops=stops)))
    assert float(r.agents.speed[:, 1].min()) > 7


def crossing_roads(**kwargs):
    return lane_map(line((-150, 0), (150, 0)), line((0, -150), (0, 150)), half=200.0, **kwargs)


@pytest.mark.parametrize("offset", [-8.0, -3.0, 0.0, 3.0, 8.0])
def test_two_who_cross_do_not_meet(offset):
    steps = 151
    a, b = track((-60, 0), speed=9, steps=steps), track((0, -60 + offset), yaw=math.pi / 2, speed=9, steps=steps)
    r = drive(scenario(ego(steps, xy=(-140, 60)), a, b, map=crossing_roads()))
    assert not any(bool(overlaps(x).any()) for x in r.agents)
    assert float(r.agents.xy[-1, 1, 0]) > 10 and float(r.agents.xy[-1, 2, 1]) > 10  # and both get across


def test_who_has_a_yield_sign_lets_the_other_pass():
    steps = 151
    stops = Stops(torch.tensor([1]), torch.tensor([[0.0, -8.0]]), torch.tensor([int(StopKind.YIELD)]))
    a, b = track((-60, 0), speed=9, steps=steps), track((0, -50), yaw=math.pi / 2, speed=9, steps=steps)
    r = drive(scenario(ego(steps, xy=(-140, 60)), a, b, map=crossing_roads(stops=stops)))
    across = [int((r.agents.xy[:, 1, 0] > 4).long().argmax()), int((r.agents.xy[:, 2, 1] > 4).long().argmax())]
    assert 0 < across[0] < across[1]  # though it was nearer
    assert float(r.agents.speed[:, 1].min()) > 7.5


def test_four_way_with_lights():
    steps = 201
    state = torch.full((steps, 2), int(Light.RED))
    state[:, 0] = int(Light.GREEN)
    state[100:, 0], state[120:, 1] = int(Light.RED), int(Light.GREEN)
    signals = Signals(torch.tensor([0, 1]), torch.tensor([[-8.0, 0], [0, -8.0]]), torch.zeros(2, 4), state)
    cars = [track((-30.0 - 12 * k, 0), speed=8, steps=steps) for k in range(4)]
    cars += [track((0, -30.0 - 12 * k), yaw=math.pi / 2, speed=8, steps=steps) for k in range(4)]
    r = drive(scenario(ego(steps, xy=(-140, 60)), *cars, map=crossing_roads(), signals=signals))
    assert not any(bool(overlaps(x).any()) for x in r.agents)
    south = r.agents.xy[:120, 5:9, 1] + 2.3
    assert float(south.max()) < -8.0  # nobody over the line while it is red
    assert float(r.agents.xy[-1, 5, 1]) > 10 and float(r.agents.xy[90, 1, 0]) > 10


def test_merging_traffic_zips():
    steps = 201
    ramp = np.concatenate([line((-120, -30), (0, 0), 60), line((0, 0), (200, 0), 60)[1:]])
    road = lane_map(line((-150, 0), (200, 0), 120), ramp, half=300.0)
    yaw = math.atan2(30, 120)
    cars = []
    for k in range(3):
        cars.append(track((-40.0 - 18 * k, 0), speed=9, steps=steps))
        cars.append(track((-40 - 18 * k, -10 - 4.5 * k), yaw=yaw, speed=9, steps=41))
    padded = [c if len(c.yaw) == steps else _gone(c, steps) for c in cars]
    r = drive(scenario(ego(steps, xy=(-140, 90)), *padded, map=road))
    assert not any(bool(overlaps(x).any()) for x in r.agents)
    assert (
        float(r.agents.xy[-1, 1:, 0].nan_to_num(999).min()) > 0
        and float(r.agents.xy[-1, 1:, 1].nan_to_num(0).abs().max()) < 1
    )


def _gone(short, steps):
    """A track that the log loses."""
    n = len(short.yaw)
    tail = short[-1:].map(lambda x: x.expand(steps - n, *x.shape[1:]))
    tail = tail.map(lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x)
    tail = tail.replace(valid=torch.zeros(steps - n, dtype=torch.bool), size=short.size[-1:].expand(steps - n, 3))
    return type(short).cat([short, tail])


def test_traffic_waits_at_a_crosswalk_for_who_is_about_to_step_on_it():
    steps = 201
    ring = [(38.0, -8.0), (42.0, -8.0), (42.0, 8.0), (38.0, 8.0)]
    road = long_road().replace(crosswalks=Polylines.of([torch.tensor(ring)]))
    walker = track((40, -9), yaw=math.pi / 2, speed=1.3, kind=Kind.PEDESTRIAN, steps=steps)
    r = drive(scenario(ego(steps), track((0, 0), speed=8, steps=steps), walker, map=road))
    on_way = r.agents.xy[:, 2, 1].abs() < 2.0
    assert float((r.agents.xy[on_way, 1, 0] + 2.3).max()) < 38.0
    assert float(r.agents.xy[-1, 1, 0]) > 45  # and goes on
    assert not any(bool(overlaps(x).any()) for x in r.agents)


@pytest.mark.parametrize("yields", [True, False])
def test_walkers_wait_for_who_does_not_stop_unless_they_are_careless(yields):
    steps = 101
    walker = track((0, -8), yaw=math.pi / 2, speed=1.4, kind=Kind.PEDESTRIAN, steps=steps)
    braking = track((-46, 0), speed=8.0, acceleration=-0.79, steps=steps)  # in the log it stops short of the walker
    s = scenario(braking, walker)
    r = drive(s, IDMTraffic(walkers=Walkers(yields=yields)))  # the planner keeps 8 m/s
    speed = r.agents.velocity[:, 1].norm(dim=-1)
    met = r.contacts[0].step if r.contacts else len(speed)
    assert float(speed[: met + 1].max()) < 3.5
    if yields:
        assert not r.contacts and not any(bool(overlaps(x)[0, 1]) for x in r.agents)
        assert float(r.agents.xy[-1, 1, 1]) > 2.0  # waits and then crosses


def test_mixed_is_the_log_when_the_ego_is():
    s = scenario(
        track((0, 0), speed=6), track((25, 0), speed=6), track((-15, 0), speed=6), track((10, 3.5), speed=8),
        track((5, -4), speed=1.3, kind=Kind.PEDESTRIAN), start=5,
    )  # fmt: skip
    r = simulate(s, Expert(), behavior=Mixed(), control=part("control", "perfect"))
    assert torch.equal(r.agents.xy[:, 1:], s.log.xy[:, 1:]) and torch.equal(r.agents.yaw[:, 1:], s.log.yaw[:, 1:])


class Watch(Mixed):
    """Keeps the mind."""

    def act(self, state, history, scene):
        action, state = super().act(state, history, scene)
        object.__setattr__(self, "mind", state.mind)
        return action, state


def test_mixed_switches_who_the_ego_gets_in_the_way_of_without_a_jump():
    steps = 101
    fast = track((0, 0), speed=10, steps=steps)
    behind = track((-20, 0), speed=10, steps=steps)
    beside = track((-20, 10.5), speed=10, steps=steps)
    s = scenario(fast, behind, beside, map=straight_road(lanes=4, length=400.0, behind=60.0), start=5)
    slow = type("Slow", (), {"sensors": (), "period": 0.1, "privileged": False})()
    slow.reset = lambda briefing: None

    def plan(observation):
        v = max(float(observation.ego.velocity[-1, 0]) - 2.0 * 0.1, 3.0)
        time = torch.arange(1, 31) * 0.1
        return Plan(torch.stack([v * time, 0 * time, 0 * time], -1), time)

    slow.plan = plan
    traffic = Watch()
    r = simulate(s, slow, behavior=traffic)
    switches = traffic.mind.switches
    assert (
        int(switches.step[1]) >= 5 and int(switches.by[1]) == 0 and int(switches.why[1]) in (Why.CONFLICT, Why.LEADER)
    )
    assert int(switches.step[2]) == -1 and torch.equal(r.agents.xy[:, 2], s.log.xy[:, 2])
    assert not any(bool(overlaps(x).any()) for x in r.agents)
    moved = (r.agents.xy[1:, 1] - r.agents.xy[:-1, 1]).norm(dim=-1)
    assert float((moved[1:] - moved[:-1]).abs().max()) < 0.1 * 0.1 * 9.5  # no jump in speed beyond what brakes do
    (event,) = events(switches, s, r.agents)
    assert event.kind == "left_log" and event.agents == (1, 0) and event.detail["because_of"] == "ego"


def test_agents_that_start_in_contact_are_named_and_do_not_drive_through_each_other():
    steps = 101
    s = scenario(
        ego(steps), track((0, 0), speed=4, steps=steps), track((4.2, 0), speed=4, steps=steps), map=long_road()
    )
    assert contacts_at_start(s) == ("track 1 and track 2 are in contact when the log starts them",)
    r = drive(s)
    assert float(gap_between(r, 1, 2)[-1]) > 1.0
    assert float(gap_between(r, 1, 2).min()) > -0.45  # the one behind waits
    assert contacts_at_start(scenario(ego(steps), track((0, 0), steps=steps))) == ()


def test_routes_branch_at_random_but_by_the_seed():
    fork = lane_map(
        line((0, 0), (50, 0)), line((50, 0), (120, 40)), line((50, 0), (120, -40)), successors=[(0, 1), (0, 2)]
    )
    end = lambda seed: float(onward(fork, line((0, 0), (40, 0), 41), 80.0, np.random.default_rng(seed))[-1, 1])  # noqa: E731
    ends = [end(seed) for seed in range(12)]
    assert any(y > 20 for y in ends) and any(y < -20 for y in ends)
    assert ends == [end(seed) for seed in range(12)]


def test_nobody_exceeds_the_limits_of_its_kind():
    steps = 151
    cars = [
        track((-20.0 * k, 0), speed=12, kind=kind, steps=steps)
        for k, kind in enumerate((Kind.CAR, Kind.BUS, Kind.TRUCK, Kind.BICYCLE))
    ]
    blocker = track((40, 0), steps=steps)
    r = drive(scenario(ego(steps, xy=(-45, 7)), blocker, *cars, map=long_road(3)))
    speed = r.agents.speed
    change = (speed[1:] - speed[:-1]) / 0.1
    limits = limits_of(r.agents.kind[0])
    assert bool((change[:, 1:] <= limits.acceleration[1:] + 1e-3).all())
    assert bool((change[:, 1:] >= -limits.braking[1:] - 1e-3).all())
    assert not any(bool(overlaps(x).any()) for x in r.agents[60:])
