import math

import pytest
import torch

from drivesim.control.lqr import LQR
from drivesim.control.profile import curvature_profile, speed_profile
from drivesim.control.trajectory import anchor, pose_at
from drivesim.types import Plan, Trajectory

DT = 0.1


def straight(speed, seconds=4.0, curvature=0.0):
    t = torch.arange(0, seconds + DT / 2, DT, dtype=torch.float64)
    yaw = curvature * speed * t
    if curvature:
        xy = torch.stack([torch.sin(yaw), 1 - torch.cos(yaw)], -1) / curvature
    else:
        xy = torch.stack([speed * t, 0 * t], -1)
    return Trajectory(torch.cat([xy, yaw[:, None]], -1), t)


def command(reference, pose=(0, 0, 0), speed=5.0, steering=0.0):
    args = (torch.tensor(x, dtype=torch.float64) for x in (pose, speed, steering))
    acceleration, rate = LQR().command(*args, reference, DT, 3.089)
    return float(acceleration), float(rate)


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_least_squares_recovers_a_known_drive(signs):
    """nuPlan's own case: a discrete unicycle with accelerations +-3 cos(i) and curvature rates +-0.05 cos(i)."""
    dt, n = 0.2, 10
    i = torch.arange(n - 1, dtype=torch.float64)
    a, rate = signs[0] * 3 * torch.cos(i), signs[1] * 0.05 * torch.cos(i)
    v = 3 + dt * torch.cat([torch.zeros(1, dtype=torch.float64), a.cumsum(0)])
    kappa = dt * torch.cat([torch.zeros(1, dtype=torch.float64), rate.cumsum(0)])
    poses = [torch.tensor([5.0, 1.0, 0.1], dtype=torch.float64)]
    for k in range(n):
        x, y, h = poses[-1]
        poses.append(torch.stack([x + dt * v[k] * h.cos(), y + dt * v[k] * h.sin(), h + dt * v[k] * kappa[k]]))
    poses = torch.stack(poses)
    speeds = speed_profile(poses, dt, 1e-10)
    assert torch.allclose(speeds, v, rtol=1e-6)
    assert torch.allclose(curvature_profile(poses, speeds, dt, 1e-10), kappa, rtol=1e-5, atol=1e-7)


def test_signs_of_nuplan():
    assert command(straight(5.0), (0, 3, 0))[1] < 0 < command(straight(5.0), (0, -3, 0))[1]
    assert command(straight(5.0), (0, 0, 0.1))[1] < 0 < command(straight(5.0), (0, 0, -0.1))[1]
    assert command(straight(5.0, curvature=0.1))[1] > 0
    assert command(straight(6.0))[0] > 0 > command(straight(4.0))[0]


def test_longitudinal_gain_is_ten_elevenths():
    assert command(straight(6.0), speed=5.0)[0] == pytest.approx(10 / 11, abs=1e-6)


def test_on_the_reference_nothing_is_to_do():
    acceleration, rate = command(straight(5.0))
    assert abs(acceleration) < 1e-6 and abs(rate) < 1e-9


def test_stop_mode_holds():
    acceleration, rate = command(straight(0.0), (0, 0.5, 0.2), speed=0.1, steering=0.1)
    assert acceleration == pytest.approx(-0.05, abs=1e-6) and rate == 0


def test_batch_equals_singles():
    references = [straight(5.0), straight(7.0, curvature=0.05), straight(2.0, curvature=-0.1)]
    poses = torch.tensor([[0.0, 1, 0.1], [0.5, -1, 0], [0, 0, -0.2]], dtype=torch.float64)
    speeds, steering = torch.tensor([5.0, 6, 3]).double(), torch.tensor([0.0, 0.1, -0.1]).double()
    batch = Trajectory(torch.stack([r.poses for r in references]), torch.stack([r.time for r in references]))
    together = LQR().command(poses, speeds, steering, batch, DT, 3.089)
    for i, reference in enumerate(references):
        alone = LQR().command(poses[i], speeds[i], steering[i], reference, DT, 3.089)
        assert torch.allclose(together[0][i], alone[0], atol=1e-9) and torch.allclose(
            together[1][i], alone[1], atol=1e-9
        )


def test_a_plan_is_anchored_where_it_was_made():
    plan = Plan(torch.tensor([[5.0, 0, 0], [10, 0, 0]]), torch.tensor([1.0, 2.0]))
    trajectory = anchor(plan, torch.tensor([100.0, 50, math.pi / 2]))
    assert torch.allclose(trajectory.poses[:, 1], torch.tensor([50.0, 55, 60]), atol=1e-4)
    later = trajectory.replace(time=trajectory.time - 0.5)
    assert torch.allclose(pose_at(later, torch.tensor([0.0, 9.0]))[:, 1], torch.tensor([52.5, 60.0]), atol=1e-4)


def test_angles_are_interpolated_the_short_way():
    trajectory = Trajectory(torch.tensor([[0.0, 0, 3.1], [1, 0, -3.1]]), torch.tensor([0.0, 1.0]))
    assert abs(float(pose_at(trajectory, torch.tensor([0.5]))[0, 2])) > 3.1
