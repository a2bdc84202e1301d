"""Points to pixels and back, with the numbers checked by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.camera import distort, project, rays, undistort, valid_radius, world_from_camera
from drivesim.errors import InputError
from drivesim.geometry import rotation_from_euler, transform
from drivesim.types import Camera

T = torch.tensor
LENSES = [
    (), (-0.3, 0.1, 0.001, -0.002, 0.0), (-0.05, 0.01), (0.12, -0.03, 0.0, 0.0005, 0.004),
    (-0.356, 0.1726, -0.0002, 0.0005, -0.05),
]  # fmt: skip


def camera(distortion=(), width=400, height=224, focal=300.0):
    k = T([[focal, 0.0, 200.0], [0.0, focal, 110.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Camera("front", width, height, k, torch.eye(4, dtype=torch.float64), distortion)


def test_pinhole_by_hand():
    pixels, depth = project(camera(), T([[0.0, 0.0, 5.0], [1.0, 2.0, 10.0], [-1.0, -0.5, 2.0]]))
    assert torch.equal(pixels, T([[200.0, 110.0], [230.0, 170.0], [50.0, 35.0]], dtype=torch.float64))
    assert depth.tolist() == [5.0, 10.0, 2.0]


def test_distortion_by_hand():
    # at (0.5, 0) r2 = 0.25: radial 1 + 0.2 * 0.25 + 0.4 * 0.0625 + 0.8 * 0.015625 = 1.0875
    xy = distort(T([[0.5, 0.0]], dtype=torch.float64), (0.2, 0.4, 0.0, 0.0, 0.8))
    assert torch.allclose(xy, T([[0.54375, 0.0]], dtype=torch.float64))
    # tangential at (0.5, 0.4), r2 = 0.41: x + 2 p1 x y + p2 (r2 + 2 x2), y + p1 (r2 + 2 y2) + 2 p2 x y
    xy = distort(T([[0.5, 0.4]], dtype=torch.float64), (0.0, 0.0, 0.01, 0.02, 0.0))
    assert torch.allclose(xy, T([[0.5 + 0.004 + 0.0182, 0.4 + 0.0073 + 0.008]], dtype=torch.float64))


def test_behind_and_folded_points_have_no_pixel():
    pixels, depth = project(camera(), T([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0]]))
    assert pixels.isnan().all() and depth.tolist() == [-1.0, 0.0]
    # r (1 - 0.3 r2) turns back at r = 1 / sqrt(0.9)
    assert valid_radius((-0.3,)) == pytest.approx(1.0540926)
    pixels, _ = project(camera((-0.3,)), T([[1.05, 0.0, 1.0], [1.06, 0.0, 1.0]]))
    assert pixels[0].isfinite().all() and pixels[1].isnan().all()


@pytest.mark.parametrize("distortion", LENSES)
def test_rays_project_onto_their_own_pixel_centres(distortion):
    cam = camera(distortion)
    at = rays(cam).reshape(-1, 3)
    pixels, _ = project(cam, at * 7.0)
    j, i = torch.meshgrid(torch.arange(224) + 0.5, torch.arange(400) + 0.5, indexing="ij")
    assert torch.allclose(pixels, torch.stack([i, j], -1).reshape(-1, 2).double(), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LENSES), st.floats(-0.7, 0.7), st.floats(-0.5, 0.5))
def test_undistort_inverts_distort(distortion, x, y):
    xy = T([[x, y]], dtype=torch.float64)
    assert torch.allclose(undistort(distort(xy, distortion), distortion), xy, atol=1e-9)


def test_more_coefficients_are_refused_by_name():
    with pytest.raises(InputError, match="8 distortion coefficients"):
        project(camera((0.1,) * 8), torch.ones(1, 3))


def test_resized_camera_sees_the_same():
    pixels, _ = project(camera(), T([[1.0, 0.5, 8.0]]))
    smaller, _ = project(camera().resized(200, 56), T([[1.0, 0.5, 8.0]]))
    assert torch.allclose(smaller, pixels * T([0.5, 0.25], dtype=torch.float64))


def test_world_from_camera_keeps_double_precision():
    ego = transform(rotation_from_euler(T(0.3), T(0.02), T(-0.01)), T([1.0, 2.0, 0.1])).float()
    pose = world_from_camera(ego, camera())
    assert pose.dtype == torch.float64 and torch.allclose(pose, ego.double())
