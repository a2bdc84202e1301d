"""The memory of a real log, on a few of its sweeps and photos."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from drivesim.memory import masks
from drivesim.memory.build import Settings, build
from drivesim.memory.remembered import STANDING
from drivesim.types import SensorLog

ROOT = Path(__file__).parents[2] / "shared" / "data" / "pandaset"
pytestmark = pytest.mark.skipif(not (ROOT / "002").is_dir(), reason=f"no PandaSet sequence 002 in {ROOT}")
NAMES = ("front_camera", "left_camera", "back_camera")


@cache
def memory():
    from scenarios.pandaset import PandaSet

    s = PandaSet(str(ROOT)).load("002")
    images = {name: s.sensors.images[name][40:60:4] for name in NAMES}
    few = replace(s, sensors=SensorLog(images, s.sensors.sweeps[13::3]))
    return few, build(few, Settings(width=320), lambda n, shape, kind: np.empty(shape, kind), lambda what, share: None)


def test_each_point_has_its_own_moment():
    s, _ = memory()
    sweep = s.sensors.sweeps[-1]
    moments, points = sweep.moments().numpy(), sweep.read().numpy() - sweep.origin.numpy()
    assert moments.shape == (len(points),)
    assert np.abs(moments).max() < 0.13
    yaw = float(s.log.yaw[int(round(sweep.time / 0.1)), 0])
    leftward = (np.arctan2(points[:, 1], points[:, 0]) - yaw + np.pi) % (2 * np.pi) - np.pi
    turning = np.abs(moments + 0.1 * leftward / (2 * np.pi)) < 0.005  # the Pandar64 turns clockwise
    assert 0.55 < turning.mean() < 0.9  # the other lidar does not


def test_depth_is_that_of_the_lidar():
    s, found = memory()
    sweep = s.sensors.sweeps[-1]
    points = sweep.read().numpy().astype(float)
    photos = next(p for p in found.photos if p.camera == "front_camera")
    i = int(np.abs(photos.time - sweep.time).argmin())
    local = (
        points @ np.linalg.inv(photos.world_from_camera[i])[:3, :3].T
        + np.linalg.inv(photos.world_from_camera[i])[:3, 3]
    )
    z = local[:, 2]
    k = photos.intrinsics / [[2.0], [2.0], [1.0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        column, row = (np.floor(k[a, a] * local[:, a] / z + k[a, 2]) for a in (0, 1))
    height, width = photos.depth.shape[1:]
    there = (z > 3) & (z < 50) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = column[there].astype(int), row[there].astype(int)
    still = photos.owner[i][row, column] == STANDING
    off = photos.depth[i][row, column].astype(float)[still] / z[there][still] - 1
    assert still.sum() > 5000
    assert np.isfinite(off).mean() > 0.99
    assert abs(np.median(off)) < 0.01
    assert np.mean(np.abs(off) < 0.05) > 0.75


def test_a_photo_seen_through_the_memory_from_another_place_looks_like_the_photo_taken_there():
    _, found = memory()
    for name in NAMES:
        photos = next(p for p in found.photos if p.camera == name)
        errors, lazy = [], []
        for i in range(1, len(photos.time)):
            here, before = masks._small(photos.rgb[i]), masks._small(photos.rgb[i - 1])
            warped, known = masks._as_seen_from(photos, i, i - 1, before)
            known &= photos.usable[i] & (photos.owner[i] == STANDING) & (photos.depth[i] < 40)
            errors.append(((here - warped) ** 2)[known])
            lazy.append(((here - before) ** 2)[known])
        noise, still = (10 * np.log10(255**2 / np.concatenate(x).mean()) for x in (errors, lazy))
        assert noise > 20, name
        assert noise > still + 1, name


def test_the_rear_camera_sees_its_own_car_and_the_others_do_not():
    _, found = memory()
    moving = masks.movers(found.world_from_box)
    own = {p.camera: masks.own_car(replace(p, usable=np.ones_like(p.usable)), moving).mean() for p in found.photos}
    assert 0.15 < own["back_camera"] < 0.3
    assert own["front_camera"] == own["left_camera"] == 0


def test_no_surfel_stands_where_the_ego_drove():
    s, found = memory()
    standing = found.surfels.xyz[(found.surfels.owner == STANDING) & (found.surfels.confidence > 0)]
    for box in found.world_from_box[::5, 0]:
        local = np.abs((standing - box[:3, 3]) @ box[:3, :3])
        above = (standing - box[:3, 3]) @ box[:3, 2]
        assert not ((local[:, 0] < 2) & (local[:, 1] < 0.9) & (above > 0.3) & (above < 1.6)).any()
