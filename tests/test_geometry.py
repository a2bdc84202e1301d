import math

import hypothesis.strategies as st
import numpy as np
import shapely
import torch
from hypothesis import given, settings

from drivesim import geometry as g

angles = st.floats(-3.1, 3.1)
metres = st.floats(-50, 50)


def pose(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(metres, metres, angles, metres, metres, angles)
def test_frames_invert(x, y, yaw, ox, oy, oyaw):
    p, origin = pose(x, y, yaw), pose(ox, oy, oyaw)
    back = g.from_frame(g.to_frame(p, origin), origin)
    assert torch.allclose(back[:2], p[:2], atol=1e-9)
    assert abs(float(g.wrap_angle(back[2] - p[2]))) < 1e-9


def test_a_point_ahead_is_positive_x_and_left_is_positive_y():
    origin = pose(10, 5, math.pi / 2)  # looks north
    assert torch.allclose(g.to_frame(pose(10, 8, math.pi / 2), origin), pose(3, 0, 0))
    assert torch.allclose(g.to_frame(pose(9, 5, math.pi), origin), pose(0, 1, math.pi / 2))


@given(angles, st.floats(-1.2, 1.2), angles)
def test_euler_angles_round_trip(yaw, pitch, roll):
    r = g.rotation_from_euler(*pose(yaw, pitch, roll))
    assert torch.allclose(r @ r.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    for a, b in zip(g.euler_from_rotation(r), (yaw, pitch, roll), strict=True):
        assert abs(float(g.wrap_angle(a - b))) < 1e-9


def test_positive_pitch_lowers_the_nose_and_positive_roll_the_right_side():
    ahead, left = pose(1, 0, 0), pose(0, 1, 0)
    assert float((g.rotation_from_euler(*pose(0, 0.1, 0)) @ ahead)[2]) < 0
    assert float((g.rotation_from_euler(*pose(0, 0, 0.1)) @ left)[2]) > 0


def test_quaternion_of_a_quarter_turn():
    half = math.sqrt(0.5)
    r = g.rotation_from_quaternion(pose(half, 0, 0, half))
    assert torch.allclose(r @ pose(1, 0, 0), pose(0, 1, 0))


def test_invert_and_apply():
    m = g.transform(g.rotation_from_euler(*pose(0.3, -0.1, 0.2)), pose(1, 2, 3))
    points = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(g.apply(g.invert(m), g.apply(m, points)), points)


def test_overlap_textbook_cases_with_three_boxes():
    xy = torch.tensor([[0.0, 0], [3.9, 0], [4.1, 4.0]])
    corners = g.box_corners(xy, torch.zeros(3), torch.tensor([4.0, 2.0, 1.5]).expand(3, 3))
    hit = g.boxes_overlap(corners[:, None], corners[None])
    assert hit.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    # diagonal neighbours whose bounding boxes overlap but that do not touch
    turned = g.box_corners(
        torch.tensor([[0.0, 0], [2.6, 2.6]]), torch.full((2,), -math.pi / 4), torch.tensor([4.0, 2.0])
    )
    assert not bool(g.boxes_overlap(turned[0], turned[1]))


def test_overlap_agrees_with_shapely_and_ignores_nan():
    rng = np.random.default_rng(1)
    xy = torch.from_numpy(rng.uniform(-6, 6, (40, 2)))
    corners = g.box_corners(xy, torch.from_numpy(rng.uniform(-3, 3, 40)), torch.from_numpy(rng.uniform(1, 5, (40, 2))))
    hit = g.boxes_overlap(corners[:, None], corners[None]).numpy()
    polygons = shapely.polygons(corners.numpy())
    assert (hit == shapely.intersects(polygons[:, None], polygons[None])).all()
    corners[3] = torch.nan
    assert not bool(g.boxes_overlap(corners[3], corners).any())


@settings(max_examples=30)
@given(angles, metres, metres)
def test_overlap_does_not_depend_on_where_the_world_is(turn, x, y):
    rng = np.random.default_rng(2)
    xy, yaw = torch.from_numpy(rng.uniform(-8, 8, (15, 2))), torch.from_numpy(rng.uniform(-3, 3, 15))
    size = torch.from_numpy(rng.uniform(1, 5, (15, 2)))
    angle = torch.tensor(turn, dtype=torch.float64)

    def hits(xy, yaw):
        c = g.box_corners(xy, yaw, size)
        return g.boxes_overlap(c[:, None], c[None])

    assert torch.equal(hits(xy, yaw), hits(g.rotate(xy, angle) + pose(x, y), yaw + angle))


def test_polyline_projection_by_hand():
    line = torch.tensor([[0.0, 0], [10, 0], [10, 10]])
    s, d, yaw = g.project_to_polyline(torch.tensor([[4.0, 2], [12, 5], [-3, 0], [4.0, -1]]), line)
    assert torch.allclose(s, torch.tensor([4.0, 15, 0, 4]))
    assert torch.allclose(d, torch.tensor([2.0, -2, 3, -1]))
    assert torch.allclose(yaw, torch.tensor([0.0, math.pi / 2, 0, 0]))
    xy, tangent = g.along_polyline(line, torch.tensor([4.0, 15, 99]))
    assert torch.allclose(xy, torch.tensor([[4.0, 0], [10, 5], [10, 10]])) and float(tangent[1]) > 1.5
