import math

import pytest
import torch

from drivesim.dynamics.attitude import Attitude
from drivesim.dynamics.bicycle import Bicycle, axles
from drivesim.dynamics.exact import Exact
from drivesim.dynamics.logged import logged_bodies
from drivesim.dynamics.road_users import RoadUsers
from drivesim.dynamics.step import step
from drivesim.geometry import rotate
from drivesim.simulator import start_state
from drivesim.types import Action, Agents, Body, Ground, Kind, Vehicle

from .worlds import move, scenario, straight_road, track

VEHICLE = Vehicle()


def one(speed=5.0, yaw=0.0, steering=0.0, n=3):
    s = scenario(*[track((10.0 * i, 0), yaw=yaw, speed=speed) for i in range(n)])
    agents = s.log[0]
    return agents, Body(torch.full((n,), steering), torch.zeros(n))


def drive(model, agents, body, command, steps):
    for _ in range(steps):
        agents, body = model.step(agents, body, command, 0.1, VEHICLE)
    return agents, body


def test_straight_on_by_hand():
    agents, body = one(speed=5.0)
    moved, _ = drive(Bicycle(), agents, body, torch.zeros(3, 2), 10)
    assert torch.allclose(moved.xy[:, 0] - agents.xy[:, 0], torch.full((3,), 5.0), atol=1e-5)


def test_lag_of_the_first_step():
    agents, body = one()
    command = torch.tensor([[1.0, 0.1]]).expand(3, 2)
    _, after = Bicycle().step(agents, body, command, 0.1, VEHICLE)
    assert torch.allclose(after.acceleration, torch.full((3,), 0.1 / 0.3))
    assert torch.allclose(after.steering, torch.full((3,), 0.1 * 0.1 / 0.15))


def test_the_rear_axle_drives_a_circle_of_the_bicycle_radius():
    agents, body = one(speed=5.0, steering=0.2, n=1)
    command = torch.tensor([[0.0, 0.2]])
    model = Bicycle(0.0, 0.0)
    radius = VEHICLE.wheelbase / math.tan(0.2)
    start = VEHICLE.rear_axle(agents.poses)[0]
    center = start[:2] + torch.tensor([0.0, radius])
    for _ in range(60):
        agents, body = model.step(agents, body, command, 0.1, VEHICLE)
        here = VEHICLE.rear_axle(agents.poses)[0]
        assert abs(float((here[:2] - center).norm()) - radius) < 0.02 * radius
    assert abs(float(agents.yaw[0])) > 0.5


def test_steering_is_limited_and_traffic_does_not_roll_back():
    agents, body = one(speed=0.3)
    command = torch.tensor([[-6.0, 9.0]]).expand(3, 2)
    moved, after = drive(Bicycle(0.0, 0.0, forward_only=True), agents, body, command, 5)
    assert torch.allclose(after.steering, torch.full((3,), math.pi / 3))
    assert float(moved.speed.abs().max()) < 1e-6
    assert float(after.acceleration.abs().max()) < 1e-4


def test_speed_survives_the_velocity_of_the_centre():
    agents, body = one(speed=7.0, steering=0.3)
    moved, _ = Bicycle().step(agents, body, torch.tensor([[0.0, 0.3]]).expand(3, 2), 0.1, VEHICLE)
    assert torch.allclose(moved.speed, torch.full((3,), 7.0), atol=1e-5)
    assert float(moved.velocity[0, 1]) > 0  # the centre of a car that turns left moves to the left


def test_a_batch_of_scenes_equals_its_scenes():
    scenes = [one(speed=v, yaw=y, steering=d) for v, y, d in ((3, 0.2, 0.1), (9, -1.0, -0.2), (0, 2.0, 0.0))]
    commands = [torch.tensor([[0.5, 0.1]]).expand(3, 2), torch.zeros(3, 2), torch.tensor([[2.0, -0.3]]).expand(3, 2)]
    batch = Agents.stack([a for a, _ in scenes]), Body.stack([b for _, b in scenes]), torch.stack(commands)
    together, _ = Bicycle().step(*batch, 0.1, VEHICLE)
    for i, ((agents, body), command) in enumerate(zip(scenes, commands, strict=True)):
        alone, _ = Bicycle().step(agents, body, command, 0.1, VEHICLE)
        assert torch.equal(alone.xy, together[i].xy) and torch.equal(alone.yaw, together[i].yaw)


def test_turning_the_world_turns_the_motion():
    agents, body = one(speed=6, steering=0.1)
    command = torch.tensor([[1.0, 0.2]]).expand(3, 2)
    angle = torch.tensor(1.1)
    turned = agents.replace(
        xy=rotate(agents.xy, angle), yaw=agents.yaw + angle, velocity=rotate(agents.velocity, angle)
    )
    a, _ = drive(Bicycle(), agents, body, command, 10)
    b, _ = drive(Bicycle(), turned, body, command, 10)
    assert torch.allclose(rotate(a.xy, angle), b.xy, atol=1e-4)


def test_exact_goes_where_it_is_told():
    agents, body = one()
    target = torch.tensor([[1.0, 2.0, 0.3], [4, 5, 0.1], [7, 8, 0]])
    moved, _ = Exact().step(agents, body, target, 0.1, VEHICLE)
    assert torch.equal(moved.poses, target)
    assert torch.allclose(moved.velocity, (target[:, :2] - agents.xy) / 0.1)


def world(**kwargs):
    return scenario(
        track((0, 0), speed=5),
        track((12, 0), speed=5),
        track((30, 3.5)),
        track((9, 0), valid=slice(20, None)),
        **kwargs,
    )


def after_one(s, at, decided, shift=0.0):
    """The world one step after log step `at`, with Exact commands that shift the decided agents sideways."""
    bodies = logged_bodies(s)
    state, _ = start_state(s)
    state = state.replace(agents=s.log[at], body=bodies[at], step=torch.tensor(at))
    command = s.log[at + 1].poses + torch.tensor([0.0, shift, 0.0])
    action = Action(command, torch.tensor(decided))
    attitude = Attitude.of(s.log, s.scene.map)
    return step(state, [(Exact(), action)], (s.log[at + 1], bodies[at + 1]), attitude, s.scene.map, 0.1, VEHICLE)


def same(a, b):
    return all(
        torch.equal(getattr(a, f).nan_to_num(-9), getattr(b, f).nan_to_num(-9))
        for f in ("xy", "z", "yaw", "pitch", "roll")
    ) and torch.equal(a.valid, b.valid)


def test_nobody_decides_is_the_log():
    s = world()
    for at in (0, 19, 30):
        assert same(after_one(s, at, [False] * 4).agents, s.log[at + 1])


def test_one_decides_and_the_others_follow_the_log():
    s = world()
    after = after_one(s, 5, [False, True, False, False], shift=1.0).agents
    assert torch.allclose(after.xy[1], s.log.xy[6, 1] + torch.tensor([0.0, 1.0]))
    assert same(after[torch.tensor([0, 2, 3])], s.log[6][torch.tensor([0, 2, 3])])


def test_who_would_appear_inside_a_body_that_left_its_log_is_held_back():
    s = world()  # agent 3 appears at step 20 at x = 9; the ego, at x = 10 then, is moved by hand
    after = after_one(s, 19, [True, False, False, False], shift=0.3).agents
    assert not bool(after.valid[3]) and bool(after.xy[3].isnan().all())
    for nobody_astray in ([False] * 4, [True, False, False, False]):
        assert bool(after_one(s, 19, nobody_astray).agents.valid[3])


def test_attitude_is_the_logs_on_the_log_and_the_slopes_beside_it():
    slope = Ground(torch.tensor([-100.0, -100]), 200.0, torch.tensor([[0.0, 20], [0, 20]]))  # 10 % up to the east
    road = straight_road()
    s = world(map=road.replace(ground=slope))
    tilted = s.log.replace(
        z=s.log.xy[..., 0] * 0.1 + 10.5, pitch=torch.full_like(s.log.yaw, -0.06), roll=s.log.yaw + 0.02
    )
    attitude = Attitude.of(tilted, s.scene.map)
    here = attitude.settle(tilted[7], s.scene.map)
    for field in ("z", "pitch", "roll"):
        seen = getattr(here, field)[:3]
        assert torch.allclose(seen, getattr(tilted[7], field)[:3], atol=1e-4)
    moved = attitude.settle(tilted[7].replace(xy=tilted[7].xy + torch.tensor([10.0, 0])), s.scene.map)
    assert torch.allclose(moved.z[:3] - here.z[:3], torch.tensor(1.0), atol=1e-4)


def test_bodies_follow_from_the_log():
    s = move(scenario(track((0, 0), speed=5, acceleration=1.0), track((9, 9))), 0.7, (4.0, 2.0))
    body = logged_bodies(s)
    assert torch.allclose(body.acceleration[5:, 0], torch.tensor(1.0), atol=1e-2)
    assert float(body.steering.abs().max()) < 1e-3


def test_axles():
    s = scenario(track((0, 0)), track((9, 0), kind=Kind.BUS))
    wheelbase, rear = axles(s.log[0], VEHICLE)
    assert wheelbase.tolist() == pytest.approx([3.089, 7.2]) and float(rear[0]) == pytest.approx(1.461)


def test_exact_bodies_steer_as_they_turn():
    agents, body = one(speed=8.0, steering=0.3)
    straight = agents.poses + torch.tensor([0.8, 0.0, 0.0])
    _, after = Exact().step(agents, body, straight, 0.1, VEHICLE)
    assert float(after.steering.abs().max()) < 1e-6
    _, turning = Exact().step(agents, body, straight + torch.tensor([0.0, 0.0, 0.05]), 0.1, VEHICLE)
    assert float(turning.steering[0]) == pytest.approx(math.atan(0.5 * VEHICLE.wheelbase / 8.0), rel=0.02)


def test_traffic_on_ice_brakes_and_turns_less():
    road = straight_road()
    s = scenario(track((0, 0), speed=10), track((30, 0), speed=10), map=road)
    state, vehicle = start_state(s)[0], s.scene.briefing.vehicle
    command = torch.tensor([-6.0, 0.5]).expand(2, 2)
    after = {}
    for friction in (1.0, 0.1):
        moved, body = RoadUsers(friction).step(state.agents, state.body, command, 0.1, vehicle)
        after[friction] = (state.agents.speed - moved.speed) / 0.1, body.steering
    assert torch.allclose(after[1.0][0], torch.tensor(6.0))
    assert torch.allclose(after[0.1][0], torch.tensor(0.1 * 0.95 * 9.81), atol=1e-3)  # what the circle leaves to pedals
    assert float(after[0.1][1][1]) < 0.03 < float(after[1.0][1][1])
