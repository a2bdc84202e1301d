"""Sweeps to surfels, on a street whose every ray is known."""

from functools import cache

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.memory.build import Settings, boxes_of, build
from drivesim.memory.cut import cut
from drivesim.memory.remembered import STANDING, between
from drivesim.types import RecordedSweep, Semantic

from .cast import HIGH, MOVER, PARKED, STEPS, WALL, boxes, recorded, street, sweep

TIMES = np.arange(0.2, 2.7, 0.4)


def remembered(s):
    return build(s, Settings(width=128), lambda name, shape, kind: np.empty(shape, kind), lambda what, share: None)


@cache
def memory():
    s = street()
    return remembered(recorded(s, [sweep(s, t)[0] for t in TIMES]))


def of(owner):
    found = memory().surfels
    rows = found.owner == owner
    return type(found)(*(getattr(found, name)[rows] for name in found.__dataclass_fields__))


def test_boxes_between_steps_by_hand():
    poses = np.tile(np.eye(4), (3, 2, 1, 1))
    poses[:, 0, 0, 3] = [0, 1, 3]
    poses[1:, 1] = np.nan
    poses[1, 0, :2, :2] = [[0, -1], [1, 0]]
    half = between(poses, 0.5)
    np.testing.assert_allclose(half[0, :3, 3], [0.5, 0, 0])
    np.testing.assert_allclose(half[0, :2, :2], np.sqrt(0.5) * np.array([[1, -1], [1, 1]]), atol=1e-12)
    assert np.isnan(half[1]).all()
    assert np.isfinite(between(poses, 0.4)[1]).all()
    assert between(poses, 2.4)[0, 0, 3] == pytest.approx(3.8)
    assert between(poses, -0.4)[0, 0, 3] == pytest.approx(-0.4)
    assert np.isnan(between(poses, 2.6)).all()


def test_points_get_their_owner_and_its_frame():
    s = street()
    scan, truth = sweep(s, 1.0)
    found = cut(scan, boxes_of(s))
    size = s.log.size[0].double().numpy()
    for owner in (MOVER, PARKED):
        mine = found.xyz[found.owner == owner]
        assert len(mine) > 0.9 * (truth.place[truth.owner == owner][:, 2] > 0.12).sum() > 50
        beyond = np.abs(np.abs(mine - [0, 0, size[owner, 2] / 2]) - size[owner] / 2).min(1)
        assert np.percentile(beyond, 95) < 0.02  # on a face
    assert (np.abs(found.xyz[found.owner == STANDING][:, 2]) < 1e-3).sum() > 5000


def test_a_sweep_that_tells_no_moments_smears_movers():
    s = street()
    spread = []
    for told in (True, False):
        found = cut(sweep(s, 1.6, told)[0], boxes_of(s))
        x = found.xyz[(found.owner == MOVER) & (found.xyz[:, 2] > 0.3)][:, 0]
        spread.append(abs(np.abs(x).max() - 2.3))
    assert spread[0] < 0.01 < 0.05 < spread[1]


def test_the_wall_is_where_it_is_and_faces_the_road():
    found = of(STANDING)
    wall = np.abs(found.xyz[:, 1] - WALL) < 0.5
    wall &= (found.xyz[:, 2] > 0.5) & (found.xyz[:, 2] < 3) & (np.abs(found.xyz[:, 0] - 5) < 12)
    assert wall.sum() > 1000
    assert np.abs(found.xyz[wall, 1] - WALL).max() < 0.02
    assert (found.normal[wall, 1] < -0.99).mean() > 0.99
    assert (found.semantic[wall & (found.xyz[:, 2] > 1.2)] == int(Semantic.BUILDING)).mean() > 0.95
    assert found.xyz[:, 2].max() < HIGH + 0.1


def test_the_wall_is_closed_between_the_rings():
    found = of(STANDING)
    x, z = np.meshgrid(np.arange(0, 10, 0.1), np.arange(0.5, 3, 0.1))
    spots = np.stack([x, np.full_like(x, WALL), z], -1).reshape(-1, 3)
    from scipy.spatial import cKDTree

    wall = np.abs(found.xyz[:, 1] - WALL) < 0.1
    distance, near = cKDTree(found.xyz[wall]).query(spots)
    assert (distance < found.radius[wall][near] + 0.02).mean() > 0.99


def test_the_road_has_ground_everywhere_also_where_no_ring_fell():
    found = of(STANDING)
    ground = np.isin(found.semantic, (int(Semantic.ROAD), int(Semantic.TERRAIN))) & (np.abs(found.xyz[:, 2]) < 0.3)
    from scipy.spatial import cKDTree

    spots = np.stack(np.meshgrid(np.arange(-2, 15, 0.1), np.arange(-5, 5, 0.1)), -1).reshape(-1, 2)
    distance, near = cKDTree(found.xyz[ground][:, :2]).query(spots)
    assert (distance < found.radius[ground][near]).all()
    close = ground & (np.abs(found.xyz[:, 0] - 6) < 8) & (np.abs(found.xyz[:, 1]) < 6)
    assert np.abs(found.xyz[close, 2]).max() < 0.02
    assert (found.normal[close, 2] > 0.999).mean() > 0.99
    assert found.confidence[close].min() < 0.5 < found.confidence[close].max()


def test_a_mover_leaves_nothing_standing_behind():
    found = of(STANDING)
    lane = (np.abs(found.xyz[:, 1] - 3.5) < 2) & (np.abs(found.xyz[:, 0]) < 35) & (found.xyz[:, 2] > 0.3)
    assert not lane.any()


def test_agents_lie_on_their_boxes_and_get_their_other_side():
    car = of(PARKED)
    size = street().log.size[0, PARKED].double().numpy()
    assert (np.abs(car.xyz[:, :2]) < size[:2] / 2 + 0.05).all()
    assert (car.xyz[:, 2] < size[2] + 0.05).all()
    left, right = car.xyz[:, 1] > 0.9, car.xyz[:, 1] < -0.9
    assert left.sum() > 200
    assert not car.mirrored[left].any()
    assert right.sum() > 0.75 * left.sum()  # nobody saw it, apart from what the glance along it caught
    assert car.mirrored[right & (np.abs(car.xyz[:, 0]) < 2) & (car.xyz[:, 2] < 1.2)].all()
    assert (car.normal[right & car.mirrored, 1] < -0.8).mean() > 0.9


def test_a_thing_without_a_box_that_was_there_once_is_a_ghost():
    s = street()
    scans = [sweep(s, t)[0] for t in TIMES]
    spot = np.random.default_rng(0).uniform([5, -1, 0.8], [6, 0, 1.6], (200, 3)).astype(np.float32)
    with_it = scans[0].read()
    before = torch.cat([with_it, torch.from_numpy(spot)])
    moments = torch.cat([scans[0].moments(), torch.zeros(200)])
    scans[0] = RecordedSweep(scans[0].time, scans[0].origin, lambda: before, lambda: moments)
    found = remembered(recorded(s, scans)).surfels.xyz
    assert not ((found > [4.8, -1.2, 0.6]) & (found < [6.2, 0.2, 1.8])).all(1).any()


def test_standing_things_that_are_seen_again_and_again_stay():
    s = street()
    post = np.stack([np.full(40, 12.0), np.full(40, -6.5), np.linspace(0.1, 3, 40)], 1).astype(np.float32)
    scans = []
    for t in TIMES:
        scan = sweep(s, t)[0]
        points = torch.cat([scan.read(), torch.from_numpy(post)])
        moments = torch.cat([scan.moments(), torch.zeros(40)])
        scans.append(RecordedSweep(scan.time, scan.origin, lambda p=points: p, lambda m=moments: m))
    found = remembered(recorded(s, scans)).surfels.xyz
    assert (np.abs(found - [12, -6.5, 2]) < [0.2, 0.2, 1]).all(1).sum() > 5


def test_surfels_are_sorted_by_owner_finite_and_bounded():
    found = memory().surfels
    assert (np.diff(found.owner) >= 0).all()
    assert set(np.unique(found.owner)) == {STANDING, MOVER, PARKED}
    for name in ("xyz", "normal", "radius", "confidence"):
        assert np.isfinite(getattr(found, name)).all(), name
    np.testing.assert_allclose(np.linalg.norm(found.normal, axis=1), 1, atol=1e-4)
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    s = street()
    few = build(
        recorded(s, [sweep(s, t)[0] for t in TIMES]), Settings(surfels=500),
        lambda name, shape, kind: np.empty(shape, kind), lambda what, share: None,
    )  # fmt: skip
    standing = few.surfels.semantic[few.surfels.owner == STANDING]
    assert (~np.isin(standing, (int(Semantic.ROAD), int(Semantic.TERRAIN)))).sum() < 6000


def test_the_same_sweeps_give_the_same_bytes():
    s = street()
    again = remembered(recorded(s, [sweep(s, t)[0] for t in TIMES])).surfels
    for name in again.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(memory().surfels, name))


def test_without_sweeps_there_is_the_ground_of_the_road():
    found = remembered(street())
    assert (found.surfels.owner == STANDING).all()
    assert set(np.unique(found.surfels.semantic)) <= {int(Semantic.ROAD), int(Semantic.TERRAIN)}
    assert np.abs(found.surfels.xyz[:, 1] - 3.5).max() < 6.5
    assert len(found.photos) == 0
    assert found.world_from_box.shape == (STEPS, 3, 4, 4)
    np.testing.assert_allclose(found.boxes_at(1.05)[MOVER], between(boxes(street()), 10.5)[MOVER])


def test_a_sweep_that_cannot_be_read_is_told():
    s = street()

    def broken():
        raise InputError("x.bin: cut short")

    scan = sweep(s, 1.0)[0]
    found = remembered(recorded(s, [scan, RecordedSweep(1.2, scan.origin, broken)]))
    assert found.problems == ("a sweep is left out: x.bin: cut short",)
    assert (found.surfels.owner == PARKED).any()
