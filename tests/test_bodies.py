"""Body models against textbook numbers worked by hand."""

import math

import pytest
import torch

from drivesim.dynamics.bicycle import Bicycle
from drivesim.dynamics.center_bicycle import CenterBicycle
from drivesim.dynamics.delta import Delta
from drivesim.dynamics.holonomic import Holonomic
from drivesim.dynamics.limits import GRAVITY, TABLE, TRACTION, Road, lateral_bound, limits_of, next_speed
from drivesim.dynamics.single_track import SingleTrack
from drivesim.dynamics.unicycle import Unicycle
from drivesim.geometry import heading, wrap_angle
from drivesim.types import Body, Kind, Vehicle

from .worlds import scenario, track

VEHICLE, DT = Vehicle(), 0.1
WHEELED = {"center": CenterBicycle, "single": SingleTrack, "unicycle": Unicycle}
MODELS = {**WHEELED, "holonomic": Holonomic, "delta": lambda **k: Delta(clamped=True, **k)}
KINDS = (Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.MOTORCYCLE, Kind.BICYCLE, Kind.PEDESTRIAN)


def double(x):
    return x.map(lambda t: t.double() if t.is_floating_point() else t)


def bodies(speeds, yaw=0.3, kinds=None, steering=0.0):
    """Agents (A,) and bodies that roll straight on, float64; agent 0 has the ego's size."""
    kinds = kinds or [Kind.CAR] * len(speeds)
    s = scenario(*[track((30.0 * i, 4.0), yaw, v, kind=k) for i, (v, k) in enumerate(zip(speeds, kinds, strict=True))])
    agents = double(s.log[0])
    zero = torch.zeros(len(speeds), dtype=torch.float64)
    return agents.replace(z=zero, pitch=zero, roll=zero), Body(zero + steering, zero)


def drive(model, agents, body, command, steps, dt=DT):
    command = torch.as_tensor(command, dtype=torch.float64)
    command = command.expand(*agents.yaw.shape, command.shape[-1])
    for _ in range(steps):
        agents, body = model.step(agents, body, command, dt, VEHICLE)
    return agents, body


def width(model):
    return 3 if isinstance(model, Delta) else 2


def test_centre_form_drives_the_circle_of_the_textbook():
    """Steering 0.2 and L = 3.089: the rear axle on R = L / tan(0.2) = 15.2385 m, the centre of gravity, 1.668 m ahead
    of it, on 15.329 m; at 5 m/s the yaw rate is 5 / 15.329 = 0.3262 rad/s."""
    agents, body = bodies([5.0], yaw=0.0, steering=0.2)
    agents, body = drive(CenterBicycle(), agents, body, [0.0, 0.2], 1)
    start = VEHICLE.rear_axle(agents.poses)[0]
    center = start[:2] + 15.2385 * heading(start[2] + math.pi / 2)
    speed = math.hypot(5.0, 5.0 * math.tan(0.2) * 0.54)  # a body that rolls at 5 m/s ahead on that circle
    assert float(body.yaw_rate[0]) == pytest.approx(speed / 15.329, rel=1e-3)
    for _ in range(100):
        agents, body = drive(CenterBicycle(), agents, body, [0.0, 0.2], 1)
        assert float((VEHICLE.rear_axle(agents.poses)[0, :2] - center).norm()) == pytest.approx(15.2385, abs=1e-3)


def test_steering_does_not_change_the_speed_of_the_centre_of_gravity():
    agents, body = bodies([3.0])
    for k in range(30):
        agents, body = drive(CenterBicycle(), agents, body, [0.0, 0.5 * math.sin(k)], 1)
        speed = math.hypot(float(agents.speed[0]), 0.54 * 3.089 * float(body.yaw_rate[0]))
        assert speed == pytest.approx(3.0, abs=1e-6)  # axles are float32


def test_forms_of_the_bicycle_agree():
    """Both forms and the dynamic single-track at 0.5 m/s^2 of lateral acceleration, 4 s."""
    for model in (CenterBicycle(), SingleTrack(understeer=0.0)):
        agents, body = bodies([10.0], yaw=0.0)
        reference, other = bodies([10.0], yaw=0.0)
        steering = math.atan(3.089 * 0.5 / 100)
        a, _ = drive(model, agents, body, [0.0, steering], 40)
        b, _ = drive(Bicycle(0.0, 0.0), reference, other, [0.0, steering], 40)
        assert float((a.xy - b.xy).norm()) < 0.35, type(model).__name__
        assert float(wrap_angle(a.yaw - b.yaw).abs()) < 0.015


@pytest.mark.parametrize("speed", [8.0, 15.0, 25.0])
def test_single_track_corners_as_the_understeer_formula_says(speed):
    """Steady state: steering = L / R + K * a_y / g with the gradient K = 0.035 rad per g (Gillespie 1992, ch. 6)."""
    wanted = 1.5  # lateral acceleration [m/s^2]
    steering = 3.089 * wanted / speed**2 + 0.035 * wanted / 9.81
    agents, body = bodies([speed], yaw=0.0)
    for _ in range(60):
        pedal = 2.0 * (speed - float(agents.speed[0]))  # holds the speed against the drag of the front tyres
        agents, body = drive(SingleTrack(load_transfer=False), agents, body, [pedal, steering], 1)
    assert float(agents.speed[0]) * float(body.yaw_rate[0]) == pytest.approx(wanted, rel=0.01)


def test_derivative_of_the_single_track_matches_commonroad():
    """The state of CommonRoad's own unit test of its single-track model (BMW 320i, 0.63 g ahead). Its linear model
    leaves out the push of the front wheels to the side, a_f sin(steering), and a beta / v; both are taken out here."""
    a, steering, speed, rate, beta = 5.3536773276413925, 0.0197545248559617, 15.7216236334290116, 0.0529001056654038, 0.0033012170610298  # noqa: E501  # fmt: skip
    l_f, l_r, height, inertia = 1.1561957, 1.4227170, 0.6137270, 1791.5995 / 1093.2952
    wheelbase = l_f + l_r
    model = SingleTrack(understeer=0.0, gravity_share=l_r / wheelbase, inertia=inertia / (l_f * l_r))
    t = lambda x: torch.tensor([x], dtype=torch.float64)  # noqa: E731
    motion = (t(speed * math.cos(beta)), t(speed * math.sin(beta)), t(rate))
    limits = limits_of(torch.tensor([0]), dtype=torch.float64).replace(grip=t(1.0489), lateral=t(99.0))
    ahead, left, yaw = model.derivative(motion, t(a), t(steering), t(wheelbase), t(height), limits)
    push = a * (l_r - a * height / 9.81) / wheelbase * math.sin(steering)
    assert float(yaw) - l_f * push / inertia == pytest.approx(0.6435589397748606, rel=0.01)
    slip_rate = (float(left) - push - math.tan(beta) * (float(ahead) - a)) / speed
    assert slip_rate == pytest.approx(0.0313297971641291, rel=0.01)


@pytest.mark.parametrize("road", Road)
def test_friction_bounds_the_acceleration_of_a_skid(road):
    """0.3 rad at 25 m/s asks for 63 m/s^2 and slides on any road; tyres give their friction and no more."""
    model, worst, last = SingleTrack(friction=road.value), 0.0, None
    agents, body = bodies([25.0], yaw=0.0)
    to_gravity = model.gravity_share * VEHICLE.wheelbase - VEHICLE.rear_axle_to_center
    for _ in range(40):
        agents, body = drive(model, agents, body, [0.0, 0.3], 1)
        now = agents.velocity + to_gravity * body.yaw_rate[:, None] * heading(agents.yaw + math.pi / 2)
        worst = worst if last is None else max(worst, float((now - last).norm()) / DT)
        last = now
    most = min(road.value * GRAVITY, TABLE[Kind.CAR][7])
    assert 0.8 * most < worst < 1.001 * most


def test_full_braking_on_ice_takes_ten_times_the_way_and_some():
    """v^2 / (2 * 0.95 * mu * g) from 8 m/s: 34.3 m on ice; dry, where the brakes' 9 m/s^2 bind, v^2 / 18 = 3.56 m."""
    for friction, way in ((0.1, 34.3), (1.0, 3.56)):
        for model in (CenterBicycle(friction=friction, forward_only=True), SingleTrack(friction=friction)):
            agents, body = bodies([8.0], yaw=0.0)
            x, farthest = float(agents.xy[0, 0]), 0.0
            for _ in range(95):
                pedal = -20.0 if float(agents.speed[0]) > 0.2 else 0.0
                agents, body = drive(model, agents, body, [pedal, 0.0], 1)
                farthest = max(farthest, float(agents.xy[0, 0]) - x)
                if abs(float(agents.speed[0])) < 0.2:
                    break
            assert farthest == pytest.approx(way, rel=0.02)


def test_power_bounds_acceleration():
    """A truck of 15 W/kg: 15 / 20 = 0.75 m/s^2 at 20 m/s, 2.5 m/s^2 from standing."""
    limits = limits_of(torch.tensor([int(Kind.TRUCK)] * 2), dtype=torch.float64)
    speed = torch.tensor([20.0, 0.0], dtype=torch.float64)
    after = next_speed(speed, torch.full_like(speed, 9.0), limits, DT)
    assert after.tolist() == pytest.approx([20.075, 0.25])


def test_brakes_stop_and_do_not_reverse():
    limits = limits_of(torch.tensor([0]), dtype=torch.float64)
    slow = torch.tensor([0.3], dtype=torch.float64)
    assert float(next_speed(slow, torch.tensor([-9.0]).double(), limits, DT)) == pytest.approx(-0.6)
    none = limits.replace(reverse=torch.zeros(1).double())
    assert float(next_speed(slow, torch.tensor([-9.0]).double(), none, DT)) == 0


def test_who_is_faster_than_its_kind_slows_down_gently():
    agents, body = bodies([30.0], kinds=[Kind.CAR])
    agents = agents.replace(kind=torch.full_like(agents.kind, int(Kind.BICYCLE)))
    after, _ = drive(Unicycle(), agents, body, [2.0, 0.0], 1)
    assert float(after.speed[0]) == pytest.approx(30.0 - 0.55)
    walker, _ = drive(Holonomic(), agents.replace(kind=torch.full_like(agents.kind, 7)), body, [0.0, 0.0], 1)
    assert float(walker.velocity.norm()) == pytest.approx(30.0 - 0.6)


def test_walkers_step_aside_and_turn_to_where_they_go():
    agents, body = bodies([1.0], yaw=0.0, kinds=[Kind.PEDESTRIAN])
    after, _ = drive(Holonomic(), agents, body, [0.0, 2.0], 10)
    assert after.velocity[0].tolist() == pytest.approx([1.0, 2.0])
    assert float(after.yaw[0]) == pytest.approx(math.atan2(2.0, 1.0), abs=1e-6)
    assert after.xy[0].tolist() == pytest.approx([1.0 + float(agents.xy[0, 0]), 1.0 + 4.0])


def test_a_standing_cyclist_cannot_turn():
    agents, body = bodies([0.0], kinds=[Kind.BICYCLE])
    after, moved = drive(Unicycle(), agents, body, [0.0, 1.0], 5)
    assert torch.equal(after.poses, agents.poses) and float(moved.yaw_rate) == 0


def test_free_deltas_go_where_they_are_told():
    agents, body = bodies([2.0], yaw=math.pi / 2)
    after, _ = drive(Delta(), agents, body, [1.0, 0.5, 0.1], 1)
    expected = agents.xy[0] + torch.tensor([-0.5, 1.0], dtype=torch.float64)
    assert torch.allclose(after.xy[0], expected) and float(after.yaw[0]) == pytest.approx(math.pi / 2 + 0.1)


def test_lags_are_first_order():
    agents, body = bodies([5.0])
    _, after = drive(CenterBicycle(acceleration_lag=0.2, steering_lag=0.1), agents, body, [1.0, 0.1], 1)
    assert float(after.acceleration[0]) == pytest.approx(0.1 / 0.3)
    assert float(after.steering[0]) == pytest.approx(0.05)


def test_what_brakes_leave_of_friction():
    """On a wet road a car holds 0.7 * 9.81 = 6.867; braking with 0.95 of it leaves 6.867 sqrt(1 - 0.9025) = 2.144."""
    limits = limits_of(torch.tensor([0]), Road.WET.value, torch.float64)
    assert float(limits.braking) == pytest.approx(TRACTION * 6.867)
    assert float(lateral_bound(limits.braking, limits)) == pytest.approx(2.144, abs=1e-3)


def test_first_step_of_waymax():
    """From rest, 0.1 of 6 m/s^2 and of 0.3 1/m over 0.1 s: x = a t^2 / 2 = 0.003 m, 0.06 m/s (Waymax's unit test)."""
    for model in (CenterBicycle(), SingleTrack()):
        agents, body = bodies([0.0], yaw=0.0)
        after, _ = drive(model, agents, body, [0.6, math.atan(3.089 * 0.03)], 1)
        assert (after.xy - agents.xy)[0].tolist() == pytest.approx([0.003, 0.0], abs=3e-4)
        assert after.velocity[0].tolist() == pytest.approx([0.06, 0.0], abs=3e-3)
