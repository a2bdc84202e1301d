import math

import numpy as np
import shapely
import torch

from drivesim.loading import lanes_from_paths, make_lanes, rings
from drivesim.roadmap import RoadMap
from drivesim.types import Ground, Map, Polylines

from .worlds import straight_road


def world(drivable, lanes=None, ground=None):
    return Map(
        lanes or make_lanes([], []),
        rings(drivable),
        Polylines.of([]),
        Polylines.of([], dims=3),
        ground or Ground.flat(),
    )


def blobs(seed):
    rng = np.random.default_rng(seed)
    circles = [shapely.Point(*rng.uniform(0, 60, 2)).buffer(rng.uniform(2, 12)) for _ in range(25)]
    return shapely.union_all(circles)


def test_inside_and_border_distance_agree_with_shapely():
    rng = np.random.default_rng(0)
    for seed in range(3):
        shape = blobs(seed)
        road = RoadMap.of(world(shape))
        xy = torch.from_numpy(rng.uniform(-30, 90, (2000, 2))).float()
        points = xy.double().numpy()
        inside = shapely.contains_xy(shape, *points.T)
        assert (road.inside(xy).numpy() == inside).all()
        exact = shapely.distance(shape.boundary, shapely.points(points)) * np.where(inside, 1, -1)
        assert np.abs(road.border_distance(xy).numpy() - exact).max() < 1e-4


def test_a_hole_is_outside():
    square = shapely.box(0, 0, 10, 10).difference(shapely.box(4, 4, 6, 6))
    road = RoadMap.of(world(square))
    assert road.inside(torch.tensor([[1.0, 1], [5, 5], [11, 5]])).tolist() == [True, False, False]
    assert torch.allclose(road.border_distance(torch.tensor([[5.0, 5], [1, 5], [12, 5]])), torch.tensor([-1.0, 1, -2]))


def test_nothing_drivable_and_nan_points():
    empty = RoadMap.of(world(shapely.Polygon()))
    assert not bool(empty.inside(torch.zeros(2)))
    assert float(empty.border_distance(torch.zeros(2))) == -math.inf
    assert RoadMap.of(straight_road()).inside(torch.tensor([[torch.nan, 0.0]])).tolist() == [False]


def test_ground_is_bilinear_and_constant_beyond():
    ground = Ground(torch.tensor([0.0, 0.0]), 10.0, torch.tensor([[0.0, 1], [2, 3]]))
    road = RoadMap.of(world(shapely.box(0, 0, 1, 1), ground=ground))
    xy = torch.tensor([[0.0, 0], [10, 0], [0, 10], [5, 5], [99, 99]])
    assert torch.allclose(road.ground(xy), torch.tensor([0.0, 1, 2, 1.5, 3]))
    # it rises by 0.1 per metre to the east: driving east the nose is up, driving north the right side is up
    pitch, _ = road.slope(torch.tensor([5.0, 1.0]), torch.tensor(0.0))
    _, roll = road.slope(torch.tensor([5.0, 1.0]), torch.tensor(math.pi / 2))
    assert abs(float(pitch) + math.atan(0.1)) < 1e-5 and abs(float(roll) + math.atan(0.1)) < 1e-5


def test_nearest_lane_wants_the_direction_too():
    road = RoadMap.of(straight_road(lanes=2))
    lane, s, lateral = road.nearest_lane(
        torch.tensor([[0.0, 0.5], [0, 3.0], [0, 0.0], [0, 30]]), torch.tensor([0.1, 0, 3.1, 0])
    )
    assert lane.tolist() == [0, 1, -1, -1]
    assert torch.allclose(s[:2], torch.tensor([50.0, 50]))  # the road begins 50 m behind
    assert torch.allclose(lateral[:2], torch.tensor([0.5, -0.5]))


def test_lanes_at_and_neighbours():
    road = RoadMap.of(straight_road(lanes=3))
    held = road.lanes_at(torch.tensor([[0.0, 0], [0, 1.7], [0, 7.0], [0, 9]]))
    assert held.tolist() == [[True, False, False], [True, False, False], [False, False, True], [False, False, False]]
    assert road.left(0) == 1 and road.right(1) == 0 and road.left(2) is None


def test_driven_lanes_fork_where_traffic_turns_off():
    x = np.arange(0, 61.0)
    straight = np.column_stack([x, 0 * x, 0 * x])
    bend = np.linspace(0.1, np.pi / 2, 15)
    curve = np.column_stack([29 + 12 * np.sin(bend), 12 - 12 * np.cos(bend), 0 * bend])
    onward = np.column_stack([np.full(30, 41.0), np.arange(13, 43.0), np.zeros(30)])
    lanes = lanes_from_paths([straight, np.concatenate([straight[:30], curve, onward])])
    road = RoadMap.of(world(shapely.box(0, 0, 1, 1), lanes))
    entry, _, _ = road.nearest_lane(torch.tensor([5.0, 0]), torch.tensor(0.0))
    ends = sorted(tuple(np.round(road.center(j)[-1, :2].numpy())) for j in road.successors(int(entry)))
    assert len(ends) == 2 and ends[0][1] > 30 and ends[1] == (60.0, 0.0)
