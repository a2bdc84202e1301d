"""Recordings of the synthetic town: exact, repeatable, asked for."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.evaluation.views import SHIFTS, Shift, beside, moment, shifted
from drivesim.roadmap import RoadMap
from scenarios.synthetic import Synthetic
from scenarios.synthetic.recordings import Lidar


@cache
def town():
    return Synthetic(sensors=True, duration=2.0, beams=32).load("town-0003")


def test_recordings_of_the_town_are_the_raster_exactly():
    scenario = town()
    raster, log = scenario.sensors.drawn_by, scenario.sensors
    camera = scenario.scene.briefing.cameras[2]
    photo = log.images[camera.name][7]
    frame = raster.render(moment(scenario, 0.7), raster.remember(scenario), [camera])[0][camera.name]
    assert torch.equal(photo.read(), frame.rgb) and torch.equal(photo.read(), photo.read())
    assert {len(images) for images in log.images.values()} == {21} and len(log.images) == 6
    ego = scenario.scene.briefing.vehicle.world_from_ego(moment(scenario, 0.7).agents[0])
    torch.testing.assert_close(photo.world_from_camera, ego @ camera.ego_from_camera)


def test_lidar_points_lie_on_what_is_drawn():
    scenario = town()
    sweep = scenario.sensors.sweeps[7]
    points = sweep.read()
    away = (points.double() - sweep.origin).norm(dim=-1)
    assert 15_000 < len(points) < 32 * 1800 and away.max() < 120.1 and away.min() > 0.5
    above = points[:, 2] - RoadMap.of(scenario.scene.map).ground(points[:, :2])
    assert (above > -0.1).float().mean() > 0.999, "nothing lies under the ground"
    assert (above.abs() < 0.05).float().mean() > 0.2, "much of it is ground"
    noisy, again = (
        replace(scenario.sensors.drawn_by, lidar=Lidar(32, 30.0, 0.05)).log().sweeps[7].read() for _ in "ab"
    )
    assert torch.equal(noisy, again)
    near = (noisy.double() - sweep.origin).norm(dim=-1)
    assert near.max() < 30.4 and len(noisy) == (away <= 30.0).sum()
    assert 0.045 < (near - away[away <= 30.0]).std() < 0.055


def test_sensors_change_the_fingerprint_and_nothing_else():
    plain, seeing = Synthetic(duration=2.0), Synthetic(duration=2.0, sensors=True)
    assert plain.fingerprint("town-0003") != seeing.fingerprint("town-0003")
    assert seeing.fingerprint("town-0003") != Synthetic(duration=2.0, sensors=True, beams=32).fingerprint("town-0003")
    assert plain.fingerprint("town-0003") == Synthetic(duration=2.0, beams=32, reach=50.0).fingerprint("town-0003")
    assert plain.load("town-0003").sensors is None
    assert torch.equal(plain.load("town-0003").log.yaw.nan_to_num(-9), town().log.yaw.nan_to_num(-9))
    with pytest.raises(InputError, match="beams=16"):
        Synthetic(beams=16)
    with pytest.raises(InputError, match="noise"):
        Synthetic(noise=-1.0)


def test_the_truth_beside_the_log_meets_the_photos_on_it():
    scenario = town()
    camera = scenario.scene.briefing.cameras[0]
    (here,) = beside(scenario, shifted(scenario, 10, Shift("here", 0, 0)), [camera])
    photo = scenario.sensors.images[camera.name][10].read().permute(1, 2, 0).numpy()
    assert np.abs(here.truth.astype(int) - photo).mean() < 0.01
    for shift in SHIFTS[:3]:
        moved = shifted(scenario, 10, shift)
        turn = moved.agents.yaw[0] - scenario.log.yaw[10, 0]
        way = moved.agents.xy[0] - scenario.log.xy[10, 0]
        assert way.norm() == pytest.approx(abs(shift.left), abs=0.02) and abs(float(turn)) < 1e-3
    turned = shifted(scenario, 10, Shift("turn", 0, 30))
    assert float(turned.agents.yaw[0] - scenario.log.yaw[10, 0]) == pytest.approx(np.deg2rad(30), abs=1e-3)
    axle = scenario.scene.briefing.vehicle.rear_axle
    torch.testing.assert_close(
        axle(turned.agents.poses[0])[:2].float(), axle(scenario.log.poses[10, 0])[:2], atol=0.02, rtol=0
    )
