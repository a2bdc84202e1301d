import json
from pathlib import Path

import pytest
import torch
from scipy.integrate import solve_ivp

from drivesim.behavior.idm import IDMTraffic
from drivesim.simulator import simulate
from drivesim.traffic.following import (
    IDM,
    at,
    locate,
    look_ahead,
    red_gap,
    speed_limits,
    stop_lines,
    uniform,
    with_steps_of_walkers,
)
from drivesim.types import Kind, Light, Signals
from planners.constant_velocity import ConstantVelocity

from .worlds import scenario, straight_road, track

ORACLE = Path(__file__).parents[2] / "shared" / "oracles" / "nuplan_inline_cases.json"
STRAIGHT = uniform(torch.tensor([[0.0, 0], [200, 0]]))[None]
LENGTH = torch.tensor([199.0])


@pytest.mark.skipif(not ORACLE.exists(), reason="../shared/oracles is not here")
def test_idm_of_nuplan():
    case = json.loads(ORACLE.read_text())["idm"]
    p, me, lead = case["params"], case["agent"], case["lead"]
    driver = IDM(p["a"], p["b"], p["T"], p["s0"], p["delta"])
    gap = lead["progress"] - me["progress"] - lead["length_rear"]
    value = driver.accelerate(
        *(torch.tensor(float(x)) for x in (me["velocity"], p["v0"], gap, lead["velocity"], p["T"]))
    )
    assert float(value) == pytest.approx(case["expected_derivative"][1], abs=1e-5)
    assert me["velocity"] + case["dt"] * float(value) == pytest.approx(case["euler"][1], abs=1e-5)

    def derivative(_, state):
        x, v = (torch.tensor(float(k)).double() for k in state)
        left = lead["progress"] - lead["length_rear"] - x  # nuPlan's leader stands where it is within a step
        faster = torch.tensor(float(lead["velocity"])).double()
        return [float(v), float(driver.accelerate(v, torch.tensor(p["v0"]), left, faster, torch.tensor(p["T"])))]

    begin = [me["progress"], me["velocity"]]
    solved = solve_ivp(derivative, (0, case["dt"]), begin, rtol=1e-9, atol=1e-9).y[:, -1]
    assert solved == pytest.approx(case["solve_ivp"], abs=2e-5) and solved == pytest.approx(
        case["odeint_2_points"], abs=2e-5
    )


def test_idm_limits():
    idm = IDM()
    f = lambda *x: float(idm.accelerate(*(torch.tensor(float(v)) for v in (*x, 1.5))))  # noqa: E731
    assert f(0, 10, torch.inf, 0) == pytest.approx(1.5)
    assert f(10, 10, torch.inf, 0) == pytest.approx(0.0)
    assert f(10, 10, 1.0, 0) == -6.0
    assert f(0, 10, 2.0, 0) == pytest.approx(0.0)  # stands at its standstill gap


def box(x, y, yaw=0.0, speed=0.0, kind=Kind.CAR):
    return track((x, y), yaw=yaw, speed=speed, kind=kind)


def ahead(*others, points=STRAIGHT, s=10.0):
    world = scenario(box(s, 0), *others).log[0]
    other = torch.tensor([[False] + [True] * len(others)])
    gap, speed = look_ahead(points, LENGTH, torch.tensor([s]), world.size[:1], world, other)
    return float(gap[0]), float(speed[0])


def test_gap_is_bumper_to_bumper():
    front = 10 + 5.176 / 2
    gap, speed = ahead(box(40, 0.3, speed=4.0), box(60, 0), box(30, 3.5))
    assert gap == pytest.approx(40 - 2.3 - front, abs=0.15) and speed == pytest.approx(4.0)
    assert ahead(box(30, 3.5), box(-5, 0))[0] == torch.inf


def test_a_long_crossing_truck_ends_the_way_although_no_corner_is_on_it():
    gap, speed = ahead(box(30, 2.0, yaw=torch.pi / 2, speed=5, kind=Kind.BUS), box(50, 0))
    assert gap == pytest.approx(30 - 1.3 - 12.588, abs=0.2) and speed == pytest.approx(0.0, abs=1e-4)


def test_the_leader_is_found_round_the_bend():
    bend = uniform(torch.tensor([[0.0, 0], [30, 0], [30, 60]]))[None]
    gap, speed = ahead(box(30, 20, yaw=torch.pi / 2, speed=3), points=bend)
    assert 30 < gap + 12.588 < 50 and speed == pytest.approx(3.0, abs=0.2)


def test_who_walks_towards_the_lane_counts_before_being_there():
    world = scenario(box(0, 0), box(20, -3.0, yaw=torch.pi / 2, speed=1.5, kind=Kind.PEDESTRIAN)).log[0]
    seen = with_steps_of_walkers(world)
    assert seen.xy[:, 1].tolist() == pytest.approx([0, -3, -1.5, 0, 1.5])
    other = seen.valid & (torch.arange(5) != 0)
    now = look_ahead(STRAIGHT, LENGTH, torch.zeros(1), world.size[:1], world, other[None, :2])
    soon = look_ahead(STRAIGHT, LENGTH, torch.zeros(1), world.size[:1], seen, other[None])
    assert float(now[0]) == torch.inf and float(soon[0]) < 20


def test_locate_and_at_invert():
    line = uniform(torch.tensor([[0.0, 0], [40, 0], [40, 40]]))
    points, length = line[None].expand(3, -1, -1), torch.full((3,), 79.0)
    xy = torch.tensor([[10.0, 1], [41, 20], [39.5, 30]])
    s, lateral = locate(points, xy)
    assert torch.allclose(s, torch.tensor([10.0, 60, 70]), atol=0.02)
    assert torch.allclose(lateral, torch.tensor([1.0, -1, 0.5]), atol=0.02)
    back, _ = at(points, length, s[:, None])
    assert torch.allclose((back[:, 0] - xy).norm(dim=-1), lateral.abs(), atol=0.02)


def test_routes_go_straight_on_beyond_their_ends():
    padded = torch.cat([STRAIGHT[:, :50], STRAIGHT[:, 49:50].expand(-1, 20, -1)], 1)
    s, lateral = locate(padded.expand(2, -1, -1), torch.tensor([[60.0, 2], [-5, -1]]))
    assert s.tolist() == pytest.approx([60, -5]) and lateral.tolist() == pytest.approx([2, -1])


def test_lights():
    stop, front = torch.tensor([[50.0, torch.inf]]), torch.tensor([40.0])
    gap = lambda light, v: float(red_gap(stop, front, torch.tensor([v]), torch.tensor([light, 3]), IDM()))  # noqa: E731
    assert gap(Light.RED, 5.0) == 10 and gap(Light.GREEN, 5.0) == torch.inf
    assert gap(Light.YELLOW, 5.0) == 10 and gap(Light.YELLOW, 15.0) == torch.inf  # too late to brake
    over = red_gap(stop, torch.tensor([50.8]), torch.tensor([5.0]), torch.tensor([3, 3]), IDM())
    assert float(over) == torch.inf


def test_stop_lines_belong_to_those_who_drive_over_them_in_the_lanes_direction():
    signals = Signals(
        torch.tensor([0, 0]), torch.tensor([[50.0, 0], [50, 20]]), torch.zeros(2, 4), torch.zeros(1, 2).long()
    )
    there = STRAIGHT
    back = STRAIGHT.flip(1)
    stop = stop_lines(torch.cat([there, back]), LENGTH.expand(2), signals, torch.zeros(2))
    assert float(stop[0, 0]) == pytest.approx(50) and stop[0, 1] == stop[1, 0] == torch.inf


def test_curves_slow_down_ahead_of_themselves():
    t = torch.linspace(0, torch.pi / 2, 40)
    curve = torch.stack([100 + 10 * torch.sin(t), 10 - 10 * torch.cos(t)], -1)
    points = uniform(torch.cat([torch.tensor([[0.0, 0]]), curve]))[None]
    limit = speed_limits(points, torch.full((1, points.shape[1]), 15.0), 2.0, 2.0)[0]
    assert float(limit[0]) == 15 and float(limit[-4]) == pytest.approx((2.0 * 10) ** 0.5, rel=0.15)
    assert bool((limit[1:] ** 2 >= limit[:-1] ** 2 - 2 * 2.0 * 1.0 - 1e-3).all())


def test_traffic_follows_brakes_and_lets_the_parked_stay():
    s = scenario(
        track((0, 3.5), speed=0), track((30, 0), speed=3), track((10, 0), speed=10), track((20, 7)),
        track((60, 2.0), speed=2, kind=Kind.PEDESTRIAN), map=straight_road(lanes=2), start=5,
    )  # fmt: skip
    r = simulate(s, ConstantVelocity(), behavior=IDMTraffic(variation=0.0))
    behind, leader = r.agents.xy[-1, 2, 0], r.agents.xy[-1, 1, 0]
    assert 4.6 < float(leader - behind) < 20  # neither through it nor lost
    assert torch.equal(r.agents.xy[:, 3], s.log.xy[:, 3]) and torch.equal(r.agents.xy[:, 4], s.log.xy[:, 4])


def test_red_light_stops_traffic_and_green_does_not():
    for light, passes in ((Light.RED, False), (Light.GREEN, True)):
        signals = Signals(
            torch.tensor([0]), torch.tensor([[25.0, 0]]), torch.zeros(1, 4), torch.full((60, 1), int(light))
        )
        s = scenario(track((-40, 3.5)), track((0, 0), speed=8), track((-20, 0), speed=8), signals=signals)
        r = simulate(s, ConstantVelocity(), behavior=IDMTraffic())
        front = float(r.agents.xy[-1, 1, 0]) + 2.3
        assert (front > 25.0) == passes


def test_variation_is_drawn_from_the_seed():
    s = scenario(track((-20, 3.5)), track((0, 0), speed=8), track((40, 0), speed=9))
    drive = lambda seed: simulate(s, ConstantVelocity(), behavior=IDMTraffic(), seed=seed).agents.xy[-1]  # noqa: E731
    assert torch.equal(drive(1), drive(1)) and not torch.equal(drive(1), drive(2))


def test_a_route_that_crosses_itself_is_followed_in_order():
    """A figure of eight: at the crossing both branches are equally near, and `near` says which one is meant."""
    angle = torch.linspace(0, 2 * torch.pi, 400)
    eight = uniform(torch.stack([60 * torch.sin(angle), 30 * torch.sin(2 * angle)], -1))[None]
    middle = torch.zeros(1, 2)
    half = eight.shape[1] / 2
    first, _ = locate(eight, middle, torch.tensor([5.0]))
    second, _ = locate(eight, middle, torch.tensor([half + 6.0]))
    assert abs(float(first)) < 1.0 and abs(float(second) - half) < 1.5
    beyond, _ = locate(eight, eight[:, -1] + 30 * (eight[:, -1] - eight[:, -2]), torch.tensor([eight.shape[1] + 25.0]))
    assert float(beyond) > eight.shape[1] + 20  # past the end the route goes straight on
