"""Photos: what each pixel shows and whether it may be used, exposure, lenses; on a street whose every ray is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy import ndimage

from drivesim.errors import InputError
from drivesim.memory import masks
from drivesim.memory.build import Settings, boxes_of, build
from drivesim.memory.photos import albums, develop
from drivesim.memory.remembered import STANDING, Photos
from drivesim.types import RecordedImage

from .cast import HIGH, MOVER, PARKED, WALL, camera, image, pose, recorded, seen, street, sweep

SWEEPS = np.arange(0.2, 2.7, 0.4)
TIMES = np.arange(0.0, 2.9, 0.35)


def new(name, shape, kind):
    return np.empty(shape, kind)


def remembered(s, settings=None):
    return build(s, settings or Settings(width=128), new, lambda what, share: None)


@cache
def log():
    s = street()
    front, left = camera("front"), camera("left")
    images = {
        "front": tuple(image(s, front, t) for t in TIMES),
        "left": tuple(image(s, left, t + 0.05, gain=0.8 if t < 1.5 else 0.7) for t in TIMES),
    }
    return recorded(s, [sweep(s, t)[0] for t in SWEEPS], images)


@cache
def memory():
    return remembered(log())


def photos(name):
    (found,) = (p for p in memory().photos if p.camera == name)
    return found


def truth(name, time):
    """Depth and owner at half size, NaN where the four pixels of one do not agree, and where the sky is."""
    found = seen(street(), camera(name), time)[1]
    far, owner = (x.reshape(40, 2, 64, 2) for x in (found.far, found.owner))
    agree = (owner.min((1, 3)) == owner.max((1, 3))) & (far.max((1, 3)) < 1.2 * far.min((1, 3)))
    return np.where(agree, far.mean((1, 3)), np.nan), np.where(agree, owner[:, 0, :, 0], -9)


@pytest.mark.parametrize("name", ["front", "left"])
def test_each_pixel_knows_whose_it_is_and_how_far(name):
    found = photos(name)
    for i in (2, 5):
        depth, owner = truth(name, found.time[i])
        known = np.isfinite(depth) & (depth < 35)
        assert (np.isfinite(found.depth[i]) & known).sum() > 0.94 * known.sum()
        assert (found.owner[i] == owner)[known].mean() > 0.93
        right = known & (found.owner[i] == owner) & np.isfinite(found.depth[i])
        off = np.abs(found.depth[i][right].astype(float) / depth[right] - 1)
        assert np.median(off) < 0.01
        assert np.percentile(off, 95) < 0.1


def test_a_wall_goes_on_above_the_lidar_as_far_as_photos_bear_it_out():
    by_lidar, found = remembered(replace(log(), sensors=replace(log().sensors, images={}))), memory()
    heights = []
    for surfels in (by_lidar.surfels, found.surfels):
        wall = (np.abs(surfels.xyz[:, 1] - WALL) < 0.3) & (np.abs(surfels.xyz[:, 0] - 5) < 3)
        heights.append(surfels.xyz[wall, 2].max())
    assert heights[0] < 4.2
    assert HIGH - 0.4 < heights[1] < HIGH + 0.5
    new = (found.surfels.xyz[:, 2] > heights[0] + 0.1) & (np.abs(found.surfels.xyz[:, 0] - 5) < 3)
    assert np.abs(found.surfels.xyz[new, 1] - WALL).max() < 0.05
    assert (found.surfels.normal[new, 1] < -0.98).all()
    assert found.surfels.confidence[new].max() < 0.3


def test_photos_keep_their_pixels_poses_and_times():
    found = photos("front")
    np.testing.assert_allclose(found.time, TIMES)
    np.testing.assert_allclose(found.world_from_camera[3], pose("front", TIMES[3]))
    np.testing.assert_array_equal(found.rgb[3], log().sensors.images["front"][3].read().permute(1, 2, 0))
    np.testing.assert_allclose(found.intrinsics, camera("front").intrinsics)


def test_pixels_that_a_mover_touches_are_not_used_and_its_own_are():
    found = photos("front")
    _, owner = truth("front", found.time[5])
    mine = found.owner[5] == MOVER
    assert mine.sum() > 20
    assert found.usable[5][mine].all()
    around = ndimage.binary_dilation(mine)
    assert not found.usable[5][around & ~mine].any()
    assert not found.usable[5][(owner == MOVER) & ~mine].any()
    assert found.usable[5].mean() > 0.8
    parked = found.owner[5] == PARKED
    assert found.usable[5][parked].all()


def test_the_shadow_beside_a_mover_is_not_used():
    found, s = photos("left"), street()
    i = int(np.argmax([(photos("left").owner[k] == MOVER).sum() for k in range(len(found.time))]))
    rows, columns = np.nonzero((found.owner[i] == STANDING) & np.isfinite(found.depth[i]))
    ray = np.stack([columns + 0.5 - 32, rows + 0.5 - 20, np.full(len(rows), 35.0)], 1) / 35
    place = found.depth[i][rows, columns].astype(float)[:, None] * ray
    place = place @ found.world_from_camera[i][:3, :3].T + found.world_from_camera[i][:3, 3]
    box = np.linalg.inv(memory().boxes_at(found.time[i])[MOVER])
    local = np.abs(place @ box[:3, :3].T + box[:3, 3])
    size = s.log.size[0, MOVER].double().numpy()
    close = (local[:, 0] < size[0] / 2 + 0.5) & (local[:, 1] < size[1] / 2 + 0.5) & (place[:, 2] < 0.05)
    assert close.sum() > 5
    assert not found.usable[i][rows[close], columns[close]].any()


def test_gains_tell_how_bright_a_camera_was():
    front, left = photos("front").gain, photos("left").gain
    ratio = np.median(left[:5], 0) / np.median(front[:5], 0)
    np.testing.assert_allclose(ratio, 0.8, atol=0.03)
    np.testing.assert_allclose(np.median(left[-3:], 0) / np.median(front[-3:], 0), 0.7, atol=0.04)
    every = np.concatenate([front, left])
    np.testing.assert_allclose(np.log(every).mean(0), 0, atol=1e-5)


def _with_bonnet(moving):
    s = street()

    def paint(picture):
        picture[64:] = [90, 20, 140]
        picture[70:74, ::3] = 255

    times = TIMES if moving else np.full(len(TIMES), 0.3) + 0.01 * np.arange(len(TIMES))
    taken = tuple(image(s, camera("front"), t, paint=paint) for t in times)
    found = remembered(recorded(s, [sweep(s, t)[0] for t in SWEEPS[:3]], {"front": taken}))
    return found.photos[0].usable


def test_the_bonnet_is_not_used_and_the_road_above_it_is():
    usable = _with_bonnet(moving=True)
    assert not usable[:, 34:, :60].any()
    assert usable[:, :28].mean() > 0.85


def test_while_the_car_stands_nothing_tells_its_bonnet():
    assert _with_bonnet(moving=False)[:, 33:].mean() > 0.5


def test_a_bent_lens_is_straightened():
    s, bent = street(), camera("front", distortion=(-0.25, 0.06, 0.001, -0.001, 0.0))
    album, _ = albums({"front": [image(s, bent, 1.0)]}, 128, 1e9)
    straight = develop(album[0], new)[0]
    expected = 255 * seen(s, camera("front"), 1.0)[0]
    there = np.repeat(np.repeat(straight.usable[0], 2, 0), 2, 1)
    assert 0.6 < there.mean() <= 1
    off = np.abs(straight.rgb[0].astype(float) - expected).mean(-1)
    assert np.median(off[there]) < 3
    naive = np.abs(image(s, bent, 1.0).read().permute(1, 2, 0).numpy() - expected).mean(-1)
    assert np.median(off[there]) < 0.25 * np.median(naive)
    corner = develop(albums({"front": [image(s, camera("front", distortion=(0.3,)), 1.0)]}, 128, 1e9)[0][0], new)[0]
    assert not corner.usable[0][0, 0]
    assert corner.usable[0][20, 32]


def test_photos_are_made_smaller_and_fewer_to_fit():
    s = street()
    log = {"front": [image(s, camera("front"), t) for t in TIMES]}
    (small,), told = albums(log, 63, 1e9)
    assert (small.camera.width, small.camera.height) == (62, 38)
    assert not told
    assert develop(small, new)[0].rgb.shape == (len(TIMES), 38, 62, 3)
    (few,), told = albums(log, 128, 3.5 * 128 * 80 * 4.25)
    assert len(few.images) == 3
    assert [few.images[0].time, few.images[-1].time] == [TIMES[0], TIMES[-1]]
    assert told and f"3 of {len(TIMES)} photos" in told[0]


def test_a_photo_that_cannot_be_read_is_told_and_a_camera_without_any_is_left_out():
    s = street()

    def broken():
        raise InputError("a.jpg: gone")

    good = [image(s, camera("front"), t) for t in TIMES[:4]]
    bad = replace(good[1], read=broken)
    images = {
        "front": (good[0], bad, good[2]),
        "left": (RecordedImage(camera("left"), 0.0, torch.eye(4).double(), broken),),
    }
    found = remembered(recorded(s, images=images))
    assert [p.camera for p in found.photos] == ["front"]
    np.testing.assert_allclose(found.photos[0].time, TIMES[[0, 2]])
    assert found.photos[0].depth.shape == (2, 40, 64)
    assert len(found.problems) == 2
    assert all("a.jpg: gone" in p for p in found.problems)


def test_who_moves_within_the_log():
    assert masks.movers(boxes_of(street()).world_from_box).tolist() == [MOVER]


def test_no_photo_at_all_has_no_own_car():
    nothing = Photos(
        "x", np.eye(3), np.zeros(0), np.zeros((0, 4, 4)), np.zeros((0, 8, 8, 3), np.uint8), np.ones((0, 3)),
        np.zeros((0, 4, 4), np.float16), np.zeros((0, 4, 4), np.int16), np.ones((0, 4, 4), bool),
    )  # fmt: skip
    assert not masks.own_car(nothing, np.zeros(0, int)).any()
