"""The laws that all body models keep: limits, energy, symmetry, batches, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.dynamics.bicycle import Bicycle, axles
from drivesim.dynamics.center_bicycle import CenterBicycle
from drivesim.dynamics.limits import GRAVITY, TABLE, Road, limits_of
from drivesim.dynamics.single_track import SingleTrack
from drivesim.dynamics.unicycle import Unicycle
from drivesim.geometry import rotate, wrap_angle
from drivesim.types import Agents, Body, Kind

from .test_bodies import DT, KINDS, MODELS, VEHICLE, WHEELED, bodies, drive, width

commands = st.lists(st.tuples(st.floats(-30, 30), st.floats(-3, 3), st.floats(-3, 3)), min_size=5, max_size=12)
friction = st.sampled_from([r.value for r in Road])
speeds = st.lists(st.floats(0, 8), min_size=6, max_size=6)


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=25, deadline=None)
@given(commands=commands, friction=friction, speeds=speeds)
def test_nobody_exceeds_the_limits_of_its_kind(name, commands, friction, speeds):
    model = MODELS[name](friction=friction)
    agents, body = bodies(speeds, kinds=list(KINDS))
    limits = limits_of(agents.kind, friction, torch.float64)
    slack = 1e-6
    for command in commands:
        before, memory = agents, body
        agents, body = drive(model, agents, body, command[: width(model)], 1)
        speed, was = agents.velocity.norm(dim=-1), before.velocity.norm(dim=-1)
        hold = GRAVITY * limits.grip
        if name in WHEELED:
            assert bool((body.steering.abs() <= limits.steering + slack).all()) or name == "unicycle"
            assert bool((agents.speed <= limits.speed + slack).all())
            # a body that spins goes backward as fast as it went forward
            assert bool((agents.speed >= -limits.reverse - slack).all()) or name == "single"
        if name in ("center", "single"):
            turned = (body.steering - memory.steering).abs()
            assert bool((turned <= limits.steering_rate * DT + slack).all())
        if name in ("center", "unicycle"):
            lateral = (agents.speed * body.yaw_rate).abs()
            assert bool((lateral <= torch.minimum(limits.lateral, hold) + slack).all())
            assert bool((lateral**2 + body.acceleration**2 <= hold**2 + slack).all()), "the friction circle"
        if name == "unicycle":
            assert bool((body.yaw_rate.abs() <= limits.yaw_rate + slack).all())
        if name == "holonomic":
            assert bool((speed <= limits.speed + slack).all())
            assert bool(((agents.velocity - before.velocity).norm(dim=-1) <= limits.braking * DT + slack).all())
        if name == "single":  # pedals alone feed it: speed in the sense of energy, at the front axle's pace at most
            gained = (2 * energy(agents, body)).sqrt() - (2 * energy(before, memory)).sqrt()
            assert bool((gained <= 1.35 * limits.acceleration * DT + slack).all())
        elif name != "delta":
            gained = of_gravity(agents, body) - of_gravity(before, memory) if name == "center" else speed - was
            assert bool((gained <= limits.acceleration * DT + slack).all())
            assert bool((-gained <= limits.braking * DT + slack).all())
        assert bool(agents.xy.isfinite().all()) and bool(agents.yaw.isfinite().all())


def of_gravity(agents, body):
    """Speed (A,) of the centre of gravity of bodies that roll."""
    wheelbase, _ = axles(agents, VEHICLE)
    return torch.hypot(agents.speed, CenterBicycle().gravity_share * wheelbase * body.yaw_rate.nan_to_num(0))


def energy(agents, body, share=0.552, inertia=0.995):
    """Kinetic energy per mass (A,) of bodies whose centre of gravity and yaw inertia are the single-track's."""
    wheelbase, rear = axles(agents, VEHICLE)
    ahead, left = rotate(agents.velocity, -agents.yaw).unbind(-1)
    rate = torch.where(body.yaw_rate.isnan(), 0.0, body.yaw_rate)
    left = left + rate * (share * wheelbase - rear)
    return (ahead**2 + left**2 + inertia * share * (1 - share) * wheelbase**2 * rate**2) / 2


@settings(max_examples=12, deadline=None)
@given(
    steering=st.lists(st.floats(-1, 1), min_size=6, max_size=12),
    brake=st.floats(-12, 0),
    friction=friction,
    speed=st.floats(0.5, 30),
)
def test_energy_never_appears_from_nothing(steering, brake, friction, speed):
    """No pedal, or the brake, and wild steering: the single-track only loses energy, the others never speed up."""
    agents, body = bodies([speed, speed / 2], kinds=[Kind.CAR, Kind.TRUCK])
    for angle in steering:
        pedal = brake if float(agents.speed.min()) > 1.5 else 0.0
        before = energy(agents, body)
        agents, body = drive(SingleTrack(friction=friction), agents, body, [pedal, angle], 1)
        assert bool((energy(agents, body) <= before * (1 + 2e-3) + 1e-4).all())
    for model in (CenterBicycle(friction=friction), Unicycle(friction=friction)):
        agents, body = bodies([speed, speed / 2])
        for angle in steering:
            pedal = brake if float(agents.speed.min()) > 1.5 else 0.0
            after, body = drive(model, agents, body, [pedal, angle], 1)
            reach = (after.xy - agents.xy).norm(dim=-1)
            assert bool((reach <= speed * DT * 1.05 + 0.06).all())
            agents = after
        assert bool((agents.speed <= torch.tensor([speed, speed / 2]).double() * (1 + 1e-6)).all())


@pytest.mark.parametrize("name", MODELS)
def test_no_command_keeps_speed_and_heading(name):
    agents, body = bodies([0.0, 0.7, 3.0, 8.0], kinds=[Kind.CAR, Kind.CAR, Kind.BICYCLE, Kind.PEDESTRIAN])
    command = torch.zeros(4, width(MODELS[name]()), dtype=torch.float64)
    if name == "delta":
        command[:, 0] = agents.speed * DT
    after, _ = drive(MODELS[name](), agents, body, command, 20)
    assert torch.allclose(after.velocity, agents.velocity, atol=1e-9)
    assert torch.allclose(after.xy, agents.xy + 2.0 * agents.velocity, atol=1e-9)
    assert torch.allclose(after.yaw, agents.yaw, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_turning_and_shifting_the_world_turns_and_shifts_the_motion(name):
    agents, body = bodies([0.0, 1.0, 3.0, 8.0], kinds=[Kind.CAR, Kind.TRUCK, Kind.BICYCLE, Kind.PEDESTRIAN])
    angle, shift = torch.tensor(2.2).double(), torch.tensor([300.0, -40.0]).double()
    turn = lambda a: a.replace(  # noqa: E731
        xy=rotate(a.xy, angle) + shift, yaw=wrap_angle(a.yaw + angle), velocity=rotate(a.velocity, angle)
    )
    command = torch.tensor([0.2, 0.05, 0.02]).double() if name == "delta" else torch.tensor([1.0, 0.2]).double()
    turned = rotate(command, angle) if name == "holonomic" else command
    a, ab = drive(MODELS[name](), agents, body, command, 15)
    b, bb = drive(MODELS[name](), turn(agents), body, turned, 15)
    assert torch.allclose(turn(a).xy, b.xy, atol=1e-8) and torch.allclose(turn(a).velocity, b.velocity, atol=1e-8)
    assert torch.allclose(wrap_angle(turn(a).yaw - b.yaw), torch.zeros(4).double(), atol=1e-9)
    assert torch.allclose(ab.yaw_rate, bb.yaw_rate, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_left_is_the_mirror_of_right(name):
    if name == "delta":
        left, right = [0.3, 0.1, 0.05], [0.3, -0.1, -0.05]
    else:
        left, right = [0.5, 0.3], [0.5, -0.3]
    a, _ = drive(MODELS[name](), *bodies([2.0, 9.0], yaw=0.0), left, 20)
    b, _ = drive(MODELS[name](), *bodies([2.0, 9.0], yaw=0.0), right, 20)
    mirrored = torch.stack([b.xy[:, 0], 8.0 - b.xy[:, 1]], -1)
    assert torch.allclose(a.xy, mirrored, atol=1e-9) and torch.allclose(a.yaw, -b.yaw, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_of_scenes_equals_its_scenes(name):
    model = MODELS[name]()
    scenes = [bodies([v, 2 * v, 6.0], yaw=y, kinds=list(KINDS[:3])) for v, y in ((3.0, 0.2), (9.0, -1.0), (0.0, 2.0))]
    wish = [torch.full((3, width(model)), x, dtype=torch.float64) for x in (0.1, -0.2, 0.3)]
    batch = Agents.stack([a for a, _ in scenes]), Body.stack([b for _, b in scenes]), torch.stack(wish)
    together, memory = model.step(*batch, DT, VEHICLE)
    deep, _ = model.step(*(x[None] for x in batch), DT, VEHICLE)
    assert torch.equal(deep.xy[0], together.xy)
    for i, ((agents, body), command) in enumerate(zip(scenes, wish, strict=True)):
        alone, own = model.step(agents, body, command, DT, VEHICLE)
        for field in ("xy", "yaw", "velocity"):
            assert torch.allclose(getattr(alone, field), getattr(together[i], field), atol=1e-12)
        assert torch.allclose(own.yaw_rate, memory.yaw_rate[i], atol=1e-12)


@pytest.mark.parametrize("name", [*MODELS, "rear"])
@pytest.mark.parametrize("speed", [1.2, 3.0, 7.0])
def test_gradients_are_the_finite_differences(name, speed):
    model = Bicycle() if name == "rear" else MODELS[name]()
    agents, body = bodies([speed, speed], kinds=[Kind.CAR, Kind.BICYCLE])

    def end(command):
        a, b = agents, body
        for k in range(3):
            a, b = model.step(a, b, command[k], DT, VEHICLE)
        return torch.cat([a.xy, a.yaw[:, None], a.velocity], -1)

    scale = torch.tensor([speed * DT, 0.001, 0.001] if name == "delta" else [0.4, 0.03], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    shape = (3, 2, width(model))
    command = scale * (1 + 0.2 * torch.rand(shape, generator=generator, dtype=torch.float64))
    assert torch.autograd.gradcheck(end, command.requires_grad_(), eps=1e-6, atol=1e-5, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_at_rest_are_numbers(name):
    model = MODELS[name]()
    agents, body = bodies([0.0, 0.0])
    command = torch.zeros(2, width(model), dtype=torch.float64, requires_grad=True)
    moved, _ = model.step(agents, body, command, DT, VEHICLE)
    (slope,) = torch.autograd.grad(moved.xy.sum() + moved.yaw.sum() + moved.velocity.sum(), command)
    assert bool(slope.isfinite().all())


def test_the_single_track_survives_anything():
    """Full lock at every speed, forward and backward, on every road, with long and short steps."""
    agents, body = bodies([0.01, 0.5, 2.0, 3.9, 10.0, 60.0])
    for road in Road:
        for dt in (0.02, 0.1, 0.3):
            a, b = agents, body
            for k in range(10):
                a, b = drive(SingleTrack(friction=road.value), a, b, [(-1) ** (k // 7) * 9.0, 0.7], 1, dt)
            assert bool(a.xy.isfinite().all()) and bool((b.yaw_rate.abs() < 15).all())


def test_finer_steps_change_little():
    ends = []
    for steps, dt in ((30, 0.1), (60, 0.05), (600, 0.005)):
        agents, body = bodies([12.0], yaw=0.0)
        agents, body = drive(SingleTrack(), agents, body, [0.2, 0.03], steps, dt)
        ends.append(agents.xy[0])
    assert float((ends[0] - ends[2]).norm()) < 0.05 and float((ends[1] - ends[2]).norm()) < 0.05


def test_every_kind_has_a_row_and_every_limit_is_sane():
    assert set(TABLE) == set(Kind)
    limits = limits_of(torch.arange(len(Kind)))
    assert all(bool((getattr(limits, f) >= 0).all()) for f in ("acceleration", "braking", "lateral", "speed", "grip"))
    assert bool((limits.lateral <= limits.grip * GRAVITY + 0.2).all())
