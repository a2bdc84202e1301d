import math

import numpy as np
import pytest
import torch

from drivesim.types import Agents, Vehicle
from metrics.comfort import comfort, motions, rear_axle_motion

from .worlds import path, rollout, scenario, straight_road, track


def judge(ego, start=0, **bounds):
    others = track((0, 3.5), speed=5, steps=len(ego.yaw)), track((30, 0), steps=len(ego.yaw))
    world = scenario(ego, *others, map=straight_road(lanes=8), start=start)
    return comfort([rollout(world)], world, **bounds)


def circle(speed, radius, steps=41):
    """The box centre of a car whose rear axle drives on a circle."""
    yaw = speed / radius * torch.arange(steps) * 0.1
    axle = radius * torch.stack([torch.sin(yaw), 1 - torch.cos(yaw)], -1)
    reach = Vehicle().rear_axle_to_center
    along, aside = torch.stack([yaw.cos(), yaw.sin()], -1), torch.stack([-yaw.sin(), yaw.cos()], -1)
    return path(axle + reach * along, yaw, speed * along + reach * speed / radius * aside)


def test_steady_driving_is_comfortable():
    score = judge(track((0, 0), speed=10))
    assert score.value == 1.0 and not score.evidence
    assert score.series == pytest.approx(torch.zeros(41), abs=1e-4)


@pytest.mark.parametrize(("acceleration", "value"), [(2.3, 1.0), (2.5, 0.0), (-4.0, 1.0), (-4.1, 0.0)])
def test_constant_acceleration(acceleration, value):
    score = judge(track((0, 0), speed=20, acceleration=acceleration))
    assert score.value == value
    assert score.series == pytest.approx(torch.full((41,), acceleration), abs=1e-3)
    if not value:
        (event,) = score.evidence
        assert event.kind == "longitudinal_acceleration" and event.detail["steps_beyond"] == 41
        assert event.detail["limit"] == (2.40 if acceleration > 0 else -4.05)
        assert event.detail["value"] == pytest.approx(acceleration, abs=1e-3)


@pytest.mark.parametrize(("speed", "radius", "broken"), [
    (10, 25, []),  # v^2/r = 4 m/s^2, v/r = 0.4 rad/s
    (10, 20, ["lateral_acceleration"]),  # 5 m/s^2, 0.5 rad/s
    (4, 4, ["yaw_rate"]),  # 4 m/s^2, 1 rad/s
])  # fmt: skip
def test_circle(speed, radius, broken):
    score = judge(circle(speed, radius))
    assert [e.kind for e in score.evidence] == broken
    assert score.value == float(not broken)


def test_rear_axle_of_a_circle():
    ego = circle(8, 20)
    acceleration, _ = rear_axle_motion(ego.map(lambda x: x.double() if x.is_floating_point() else x), Vehicle(), 0.1)
    assert acceleration[2:-2, 1] == pytest.approx(np.full(37, 8**2 / 20), rel=2e-3)
    assert acceleration[2:-2, 0] == pytest.approx(np.zeros(37), abs=1e-3)


def test_jerk_of_a_ramp():
    # a = 3 t (jerk 3 m/s^3) stays within 4.13; a = 5 t does not. Speed is the exact integral.
    for jerk, value in ((3.0, 1.0), (5.0, 0.0)):
        t = torch.arange(8) * 0.1
        x, v = 10 * t + jerk * t**3 / 6, 10 + jerk * t**2 / 2
        zero = torch.zeros(8)
        ego = path(torch.stack([x, zero], -1), zero, torch.stack([v, zero], -1))
        score = judge(ego, longitudinal_acceleration=(-9.0, 9.0))
        assert score.value == value
        assert [e.kind for e in score.evidence] == ([] if value else ["longitudinal_jerk"])


def test_bounds_are_strict_and_can_be_set():
    acceleration = np.zeros((10, 2)) + [2.0, 0.0]
    assert motions(acceleration, np.zeros(10), 0.1)["longitudinal_acceleration"] == pytest.approx(2.0, abs=1e-8)
    ego = track((0, 0), speed=10)
    strict = judge(ego, lateral_acceleration=0.0)  # 0 is not less than 0
    assert strict.value == 0.0 and strict.evidence[0].detail["steps_beyond"] == 41
    assert judge(track((0, 0), speed=20, acceleration=3.0), longitudinal_acceleration=(-5.0, 3.5)).value == 1.0


def test_polynomials_come_out_exactly():
    # Polynomials up to a filter's order pass it unchanged, at the ends too: 2 for rates, 3 for the yaw acceleration.
    t = np.arange(30) * 0.1
    parabola = motions(np.stack([t**2, 0 * t], -1), 0.1 * t + 0.2 * t**2, 0.1)
    assert parabola["yaw_rate"] == pytest.approx(0.1 + 0.4 * t, abs=1e-7)
    assert parabola["yaw_acceleration"] == pytest.approx(np.full(30, 0.4), abs=1e-6)
    cubic = motions(np.zeros((30, 2)), 0.05 * t**3, 0.1)
    assert cubic["yaw_acceleration"] == pytest.approx(0.3 * t, abs=1e-6)


def test_windows_by_an_impulse():
    # An impulse reaches as far as the filter is wide: 8 steps; 8 + 15 - 1 = 22; 5, of which the middle is 0 for a
    # first derivative. Its weights are those of the textbook: (-2 -1 0 1 2) / 10 dt and (2 -1 -2 -1 2) / 7 dt^2.
    impulse = np.zeros(61)
    impulse[30] = 1.0
    result = motions(np.stack([impulse, impulse], -1), impulse, 0.1)
    reach = {name: int((np.abs(values) > 1e-7).sum()) for name, values in result.items()}
    assert reach["longitudinal_acceleration"] == reach["lateral_acceleration"] == 8
    assert reach["longitudinal_jerk"] == reach["jerk"] == 22
    assert result["yaw_rate"][28:33] == pytest.approx(np.array([2, 1, 0, -1, -2]), abs=1e-7)
    assert result["yaw_acceleration"][28:33] == pytest.approx(np.array([2, -1, -2, -1, 2]) / 7 * 100, abs=1e-6)
    # the length of two equal accelerations is sqrt(2) times one
    assert result["jerk"] == pytest.approx(2**0.5 * result["longitudinal_jerk"], abs=1e-6)


def test_heading_across_pi_is_unwrapped():
    yaw = 3.0 + 0.02 * torch.arange(41)
    xy = torch.zeros(41, 2)
    score = judge(path(xy, yaw, torch.zeros(41, 2)))
    assert "yaw_rate" not in [e.kind for e in score.evidence]


def test_history_does_not_count():
    ego = track((0, 0), speed=10)
    jolt = ego.velocity.clone()
    jolt[:10, 0] = 3.0
    assert judge(ego.replace(velocity=jolt), start=10).value == 1.0
    assert judge(ego.replace(velocity=jolt), start=9).value == 0.0


def test_too_short():
    score = judge(track((0, 0), speed=10), start=38)
    assert not score.valid and math.isnan(score.value) and "needs 4" in score.reason
    assert judge(track((0, 0), speed=10), start=37).valid


def test_batch_equals_singles():
    singles = [circle(8, 20), circle(5, 10), track((0, 0), speed=3, acceleration=1)]
    batch = Agents.stack(singles).map(lambda x: x.double() if x.is_floating_point() else x)
    together = motions(*rear_axle_motion(batch, Vehicle(), 0.1), 0.1)
    for i in range(3):
        alone = motions(*rear_axle_motion(batch[i], Vehicle(), 0.1), 0.1)
        for name, values in alone.items():
            assert np.array_equal(values, together[name][i])
