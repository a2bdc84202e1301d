import math

import pytest
import torch

from drivesim.config import part
from drivesim.control.lqr import LQR
from drivesim.control.pure_pursuit import PurePursuit
from drivesim.dynamics.bicycle import Bicycle
from drivesim.dynamics.center_bicycle import CenterBicycle
from drivesim.dynamics.single_track import SingleTrack
from drivesim.geometry import from_frame
from drivesim.simulator import simulate
from drivesim.types import Agents, Body, State, Trajectory, Vehicle

from .worlds import scenario, track

DT, VEHICLE = 0.1, Vehicle()


def reference(speed, curvature=0.0, seconds=4.0, offset=(0.0, 0.0, 0.0), acceleration=0.0):
    t = torch.arange(0, seconds + DT / 2, DT, dtype=torch.float64)
    way = speed * t + acceleration * t**2 / 2
    yaw = curvature * way
    xy = (
        torch.stack([torch.sin(yaw), 1 - torch.cos(yaw)], -1) / curvature
        if curvature
        else torch.stack([way, 0 * t], -1)
    )
    poses = torch.cat([xy, yaw[:, None]], -1)
    return Trajectory(from_frame(poses, torch.tensor(offset, dtype=torch.float64)), t)


def state(speed=5.0, pose=(0.0, 0.0, 0.0)):
    """An ego whose rear axle is at `pose`, and one other."""
    box = VEHICLE.center(torch.tensor(pose))
    s = scenario(track((float(box[0]), float(box[1])), pose[2], speed), track((50, 5)))
    zero = torch.zeros(2)
    return State(s.log[0], Body(zero, zero), torch.tensor(0), torch.tensor(0))


def command(trajectory, speed=5.0, pose=(0.0, 0.0, 0.0), control=None):
    action = (control or PurePursuit()).track(state(speed, pose), trajectory, DT, VEHICLE)
    assert action.valid.tolist() == [True, False]
    return action.command[0].tolist()


def test_circle_to_the_point_ahead_by_hand():
    """1 m left of a straight path at 5 m/s: reach 0.8 * 5 = 4 m, the point is 1 m right: curvature -2 * 1 / 16, and
    steering atan(-3.089 / 8) = -0.3685."""
    _, steering = command(reference(5.0), pose=(0.0, 1.0, 0.0))
    assert steering == pytest.approx(-0.3685, abs=2e-3)


def test_steers_to_the_side_it_should():
    assert command(reference(5.0), pose=(0, 0.5, 0))[1] < 0 < command(reference(5.0), pose=(0, -0.5, 0))[1]
    assert command(reference(5.0), pose=(0, 0, 0.1))[1] < 0 < command(reference(5.0), pose=(0, 0, -0.1))[1]
    assert command(reference(6.0))[0] > 0 > command(reference(4.0))[0]
    assert command(reference(5.0, curvature=0.05))[1] == pytest.approx(math.atan(3.089 * 0.05), rel=0.02)


def test_the_pid_by_hand():
    """2 m/s too slow, on the path: 1.5 * 2 = 3 m/s^2; 1 m behind at the right speed: 0.5 * 1 m/s^2."""
    assert command(reference(7.0), speed=5.0)[0] == pytest.approx(3.0, abs=1e-5)
    assert command(reference(5.0, offset=(1.0, 0, 0)))[0] == pytest.approx(0.5, abs=1e-5)
    assert command(reference(5.0, acceleration=1.0))[0] == pytest.approx(1.0 + 0.1, abs=1e-3)


def test_stands_when_told():
    acceleration, steering = command(reference(0.0), speed=0.02)
    assert acceleration == pytest.approx(-0.2, abs=1e-4) and steering == 0


def test_backs_along_a_straight_line():
    acceleration, steering = command(reference(-2.0), speed=-2.0)
    assert abs(acceleration) < 1e-6 and abs(steering) < 1e-6
    _, left = command(reference(-2.0), speed=-2.0, pose=(0, -0.5, 0))
    assert left > 0, "the point is behind to the left: the rear goes there on a circle that turns left"


def test_comes_to_the_path_and_stays():
    """From 1 m beside a circle of 40 m, 6 m/s for 10 s: within 0.3 m of it, without swinging out on the other side."""
    path, model = reference(6.0, curvature=1 / 40, seconds=14.0), Bicycle()
    now, off = state(6.0, (0.0, -1.0, 0.0)), []
    center = torch.tensor([0.0, 40.0])
    for k in range(100):
        action = PurePursuit().track(now, path.replace(time=path.time - k * DT), DT, VEHICLE)
        agents, body = model.step(now.agents, now.body, action.command, DT, VEHICLE)
        keep = torch.tensor([True, False])
        now = now.replace(agents=Agents.where(keep, agents, now.agents), body=Body.where(keep, body, now.body))
        off.append(40.0 - float((VEHICLE.rear_axle(now.agents.poses[0])[:2] - center).norm()))
    assert abs(off[-1]) < 0.3 and max(off) < 0.3
    assert float(now.agents.speed[0]) == pytest.approx(6.0, abs=0.1)


def test_batch_equals_singles():
    scenes = [
        (reference(5.0), state(5.0)),
        (reference(7.0, 0.03), state(6.0, (0, 0.4, 0.05))),
        (reference(0.0), state(0.0)),
    ]
    path = Trajectory(torch.stack([r.poses for r, _ in scenes]), torch.stack([r.time for r, _ in scenes]))
    states = State(Agents.stack([s.agents for _, s in scenes]), Body.stack([s.body for _, s in scenes]),
                   torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))  # fmt: skip
    together = PurePursuit().track(states, path, DT, VEHICLE).command
    for i, (one, now) in enumerate(scenes):
        alone = PurePursuit().track(now, one, DT, VEHICLE).command
        assert torch.allclose(alone[0], together[i, 0], atol=1e-6)


def test_a_drive_with_it_follows_the_log():
    s = scenario(track((0, 0), speed=6, acceleration=0.5), track((60, 3.5), speed=6))
    rollout = simulate(s, part("planner", "constant_velocity"), control=part("control", "pure_pursuit"))
    ego = rollout.agents[:, 0]
    assert float(ego.xy[:, 1].abs().max()) < 0.05 and float(ego.speed[-1]) == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize("tracker", [PurePursuit, LQR])
@pytest.mark.parametrize("body", [CenterBicycle(), SingleTrack(), SingleTrack(friction=0.3)])
def test_trackers_drive_every_wheeled_body(tracker, body):
    """Commands mean the same to all of them: on a road at 6 m/s none leaves its lane."""
    s = scenario(track((0, 0), yaw=0.04, speed=6), track((60, 3.5), speed=6))
    rollout = simulate(s, part("planner", "idm"), control=tracker(body=body))
    ego = rollout.agents[:, 0]
    assert float(ego.xy[:, 1].abs().max()) < 1.0 and float(ego.xy[-1, 0]) > 20
