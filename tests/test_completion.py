"""Roads that a log does not describe, worked out: textbook lanes, and kerbs."""

import numpy as np
import pytest
import shapely
import torch

from drivesim.loading import (
    area_from_edges,
    area_from_lanes,
    ground_from_points,
    infer_links,
    infer_neighbours,
    infer_widths,
    make_lanes,
    signals_at,
    vehicle_of,
)
from drivesim.roadmap import RoadMap
from drivesim.types import Light, Map, Polylines


def line(*points, z=0.0, n=21):
    """A polyline (n, 3) through corner points, evenly spaced between each two."""
    corners = np.array(points, dtype=float)
    t = np.linspace(0, len(corners) - 1, n)
    return np.column_stack([np.interp(t, np.arange(len(corners)), corners[:, i]) for i in range(2)] + [np.full(n, z)])


def test_an_end_that_meets_a_start_goes_on():
    a, b = line((0, 0), (50, 0)), line((50, 0), (100, 0))
    oncoming, crossing = line((100, 3.5), (0, 3.5)), line((50, 0), (50, 60))
    far = line((52, 0), (100, 4))
    links, sure = infer_links([a, b, oncoming, crossing, far])
    assert links == [(0, 1)]
    assert 0 < sure <= 1
    assert infer_links([]) == ([], 0.0)


def test_forks_have_two_successors_and_confidence_counts_dead_ends():
    trunk, left, right = line((0, 0), (50, 0)), line((50, 0), (90, 10)), line((50, 0), (90, -10))
    assert infer_links([trunk, left, right])[0] == [(0, 1), (0, 2)]
    lost = line((20, -40), (50, -40))  # ends in the middle of the map and meets nothing
    rim = line((0, -60), (100, 60))
    assert infer_links([trunk, left, right, lost, rim])[1] == pytest.approx(0.5)


def test_neighbours_lie_beside_in_the_same_direction():
    lanes = [line((0, 0), (100, 0)), line((0, 3.5), (100, 3.5)), line((100, 7), (0, 7)), line((0, -12), (100, -12))]
    found, sure = infer_neighbours(lanes, [3.5] * 4)
    assert sorted(found) == [(0, 1, 1), (1, 0, -1)]
    assert sure == 1.0


def test_a_short_stretch_beside_is_no_neighbour_of_the_long_lane():
    found, sure = infer_neighbours([line((0, 0), (100, 0)), line((0, 3.5), (30, 3.5))], [3.5, 3.5])
    assert found == [(1, 0, -1)]
    assert sure == 0.0


def test_widths_come_from_the_lines_on_both_sides():
    lane = line((0, 0), (60, 0))
    both, sure = infer_widths([lane], [line((0, 1.6), (60, 1.6)), line((0, -2.0), (60, -2.0))])
    assert both[0] == pytest.approx(3.6, abs=1e-6) and sure == 1.0
    one, _ = infer_widths([lane], [line((0, 1.6), (60, 1.6))])
    assert one[0] == pytest.approx(3.2, abs=1e-6)
    none, unsure = infer_widths([lane], [line((0, 30), (60, 30))])
    assert none[0] == 3.5 and unsure == 0.0


def test_the_area_reaches_to_the_kerb_and_not_behind_it():
    lane = make_lanes([line((0, 0), (60, 0))], [3.5])
    kerbs = [line((0, -2), (60, -2)), line((60, 5), (0, 5))]  # the road on their left
    area, sure = area_from_edges(kerbs, lane)
    assert area.area == pytest.approx(60 * 7, rel=0.01)
    assert shapely.contains_xy(area, [30, 30, 30, 30], [4.8, -1.8, 5.2, -2.2]).tolist() == [True, True, False, False]
    assert sure > 0.85


def test_without_kerbs_the_area_is_the_lanes():
    lanes = make_lanes([line((0, 0), (60, 0)), line((0, 3.5), (60, 3.5))], [3.5, 3.5])
    area, sure = area_from_edges([], lanes)
    assert sure == 0.0
    assert area.area == pytest.approx(60 * 7, rel=1e-3)
    assert area.symmetric_difference(area_from_lanes(lanes)).area < 1e-6


def test_no_lanes_no_area():
    none = make_lanes([], [])
    assert area_from_lanes(none).is_empty and area_from_edges([line((0, 0), (9, 0))], none)[0].is_empty


def test_islands_need_a_kerb():
    arms = [line((0, 0), (60, 0)), line((60, 12), (0, 12)), line((20, -20), (20, 40)), line((40, 40), (40, -20))]
    lanes = make_lanes(arms, [6.0] * 4)
    outer = [line((0, -5), (60, -5)), line((60, 17), (0, 17))]
    open_middle, _ = area_from_edges(outer, lanes)
    assert shapely.contains_xy(open_middle, 30, 6)
    island = shapely.get_coordinates(shapely.box(24, 4, 36, 8).exterior)
    kerbed, _ = area_from_edges([*outer, island], lanes)
    assert not shapely.contains_xy(kerbed, 30, 6)


def test_ground_goes_through_its_points_and_on():
    x, y = np.meshgrid(np.arange(0, 100, 1.0), np.arange(0, 40, 1.0))
    slope = np.column_stack([x.ravel(), y.ravel(), 5 + 0.05 * x.ravel()])
    ground = ground_from_points(slope)
    road = RoadMap(Map(make_lanes([], []), Polylines.of([]), Polylines.of([]), Polylines.of([], dims=3), ground))
    inner = road.ground(_tensor(slope[(x.ravel() > 8) & (x.ravel() < 92)]))
    truth = slope[(x.ravel() > 8) & (x.ravel() < 92), 2]
    assert np.abs(inner.numpy() - truth).max() < 0.08
    beyond = float(road.ground(_tensor(np.array([[120.0, 20.0, 0]])))[0])
    assert 8.0 < beyond < 10.5  # about as high as the nearest of it
    assert float(ground_from_points(np.zeros((0, 3)), 2.0).z[0, 0]) == 2.0


def _tensor(points):
    return torch.from_numpy(points[:, :2]).float()


def test_lamps_hang_over_the_stop_line_and_face_the_traffic():
    lanes = make_lanes([line((0, 0), (60, 0), z=1.0)], [3.5])
    signals = signals_at(lanes, [0], np.array([[40.0, 0.0]]), np.array([[int(Light.RED)]]))
    assert signals.head[0].tolist() == pytest.approx([40, 0, 6, np.pi])
    none = signals_at(lanes, [], np.zeros((0, 2)), np.zeros((5, 0)))
    assert none.state.shape == (5, 0) and none.head.shape == (0, 4)


def test_a_vehicle_from_its_box():
    vehicle = vehicle_of(5.0, 2.0, 1.6)
    assert (vehicle.wheelbase, vehicle.rear_axle_to_center) == pytest.approx((3.0, 1.4))
