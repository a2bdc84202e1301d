"""Scenery from sweeps: a wall stands where points are, road users leave nothing behind."""

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.lidar.sweeps import scenery_from_sweeps
from drivesim.loading import Track, assemble, make_lanes
from drivesim.types import Ground, Kind, Map, Polylines, RecordedSweep


def track(id, kind, size, x, y):
    time = np.arange(20) * 0.1
    still = np.zeros(20)
    return Track(id, kind, np.array(size), time, np.stack([x, y * np.ones(20), still], 1), still, still, still)


LOG = assemble(
    [
        track("ego", Kind.CAR, [4.5, 2.0, 1.5], np.arange(20.0), 0.0),
        track("van", Kind.TRUCK, [8.0, 2.5, 3.0], 10 * np.ones(20), 6.0),
    ],
    20,
)
ROAD = Polylines.of([torch.tensor([[-20.0, -4], [60, -4], [60, 8], [-20, 8]])])
MAP = Map(make_lanes([], []), ROAD, Polylines.of([]), Polylines.of([], dims=3), Ground.flat())


def plane(x, y, z):
    grid = np.stack(np.meshgrid(x, y, z, indexing="ij"), -1).reshape(-1, 3)
    return torch.from_numpy(grid).float()


def sweep(points, time=0.5):
    return RecordedSweep(time, torch.tensor([0.0, 0, 2], dtype=torch.float64), lambda: points)


FLOOR = plane(np.arange(-20, 60, 0.4), np.arange(-15, 15, 0.4), [0.0])
WALL = plane(np.arange(0, 30, 0.1), [12.0, 12.1], np.arange(0.2, 6, 0.2))
VAN = torch.cat([plane(np.arange(6, 14, 0.1), [4.8, 7.2], np.arange(0.3, 3, 0.15))])


def test_a_wall_becomes_a_building_and_a_van_nothing():
    scenery = scenery_from_sweeps([sweep(torch.cat([FLOOR, WALL, VAN]))], LOG, MAP)
    assert len(scenery.footprints) > 0
    points = scenery.footprints.points
    assert (points[:, 1] > 9).all(), "nothing where the van stood or on the road"
    tall = scenery.height > 4
    assert tall.any() and scenery.base.abs().max() < 0.5
    near = (scenery.prop_xyz[:, :2] - torch.tensor([10.0, 6.0])).norm(dim=-1)
    assert (near > 5).all()


def test_no_sweeps_no_scenery():
    assert len(scenery_from_sweeps([], LOG, MAP).footprints) == 0


def test_a_sweep_that_cannot_be_read_says_so():
    def broken():
        raise InputError("sweep 7 is broken")

    with pytest.raises(InputError, match="sweep 7"):
        scenery_from_sweeps([RecordedSweep(0.0, torch.zeros(3), broken)], LOG, MAP)


def test_points_that_no_lidar_sees_are_left_out():
    wild = torch.tensor([[float("nan"), 0, 0], [1e30, 0, 0], [0, -5000.0, 0]])
    alone = scenery_from_sweeps([sweep(wild)], LOG, MAP)
    assert len(alone.footprints) == 0
    one, other = (scenery_from_sweeps([sweep(p)], LOG, MAP) for p in (FLOOR, torch.cat([FLOOR, wild])))
    assert torch.equal(one.footprints.points, other.footprints.points)
    assert len(scenery_from_sweeps([sweep(torch.zeros(0, 3))], LOG, MAP).footprints) == 0
