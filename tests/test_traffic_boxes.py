"""Overlap of boxes: by hand, against geometry, and near-ties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.geometry import box_corners, boxes_overlap
from drivesim.traffic.boxes import overlaps, touch

CAR = (0.0, 0.0, 0.0, 4.0, 2.0)


def pair(a, b) -> bool:
    """Whether two boxes (x, y, yaw, length, width) overlap; the kernel for one pair and the one for many agree."""
    out = overlaps(np.array([[a, b]]))
    assert out.shape == (1, 2, 2) and not out[0].diagonal().any() and (out[0] == out[0].T).all()
    ends = [(x, y, np.cos(yaw), np.sin(yaw), length / 2, width / 2) for x, y, yaw, length, width in (a, b)]
    assert touch(*ends[0], *ends[1]) == touch(*ends[1], *ends[0]) == out[0, 0, 1]
    return bool(out[0, 0, 1])


def gaps(boxes: np.ndarray) -> np.ndarray:
    """Signed gap (T, N, N) along the best of the axes, by corners in float64: a second way to the same answer."""
    at = torch.from_numpy(boxes)
    corners = box_corners(at[..., :2], at[..., 2], at[..., 3:]).numpy()
    axis = np.stack([np.cos(boxes[..., 2]), np.sin(boxes[..., 2])], -1)
    axes = np.stack([axis, np.stack([-axis[..., 1], axis[..., 0]], -1)], -2)
    mine = np.einsum("tiad,tjcd->tijac", axes, corners)  # everybody's corners along the axes of i
    own = np.einsum("tiad,ticd->tiac", axes, corners)[:, :, None]
    gap = np.maximum(mine.min(-1) - own.max(-1), own.min(-1) - mine.max(-1)).max(-1)
    return np.maximum(gap, gap.swapaxes(1, 2))


@pytest.mark.parametrize(
    "other, expected",
    [
        ((3.0, 1.0, 0.0, 4.0, 2.0), True),  # a corner inside
        ((4.0, 0.0, 0.0, 4.0, 2.0), True),  # bumper touches bumper
        ((4.0 + 1e-9, 0.0, 0.0, 4.0, 2.0), False),
        ((4.0 - 1e-9, 0.0, 0.0, 4.0, 2.0), True),
        ((4.0, 2.0, 0.0, 4.0, 2.0), True),  # corner touches corner
        ((0.0, 2.0, 0.0, 4.0, 2.0), True),  # side touches side
        ((0.0, 2.0 + 1e-9, 0.0, 4.0, 2.0), False),
        ((0.5, 0.2, 1.0, 0.5, 0.5), True),  # nested
        ((0.0, 0.0, np.pi / 2, 4.0, 2.0), True),  # a cross: no corner of one is in the other
        ((0.0, 0.0, 0.0, 4.0, 2.0), True),  # the same box
        ((2.7, 1.7, np.pi / 4, 2.0, 2.0), True),  # a diamond over the corner
        ((2.72, 1.72, np.pi / 4, 2.0, 2.0), False),  # their bounding boxes overlap, the boxes do not
        ((-2.05, 1.0, -np.pi / 4, 0.2, 6.0), True),  # a long one shaves off a corner
        ((-2.5, 1.0, -np.pi / 4, 0.2, 6.0), False),  # and passes it: only an axis of its own tells
        ((np.nan, 0.0, 0.0, 4.0, 2.0), False),
        ((0.0, 0.0, np.nan, 4.0, 2.0), False),
        ((0.0, 0.0, 0.0, np.nan, 2.0), False),
        ((np.inf, 0.0, 0.0, 4.0, 2.0), False),
    ],
)  # fmt: skip
def test_by_hand(other, expected):
    with np.errstate(invalid="ignore"):
        assert pair(CAR, other) is expected


@pytest.mark.parametrize("shift", [0.0, 1e3, 5e5])
def test_a_millionth_of_a_metre_decides_anywhere(shift):
    """Also where single precision could not tell it: the far box spreads the scene over kilometres."""
    near, apart, far = (
        [shift + x, -shift, 0.0, 4.0, 2.0] for x in (0.0, 4.0 + 1e-6, 3e3)
    )  # fmt: skip
    touching = [shift + 4.0 - 1e-6, -shift, 0.0, 4.0, 2.0]
    assert overlaps(np.array([[near, apart, far], [near, touching, far]]))[:, 0, 1].tolist() == [False, True]


box = st.tuples(
    st.floats(-8, 8), st.floats(-8, 8), st.floats(-4, 4), st.floats(0.2, 12), st.floats(0.2, 3)
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(box, min_size=1, max_size=40), st.sampled_from([0.0, 250.0, -3000.0]))
def test_equals_geometry(boxes, shift):
    boxes = np.array([boxes])
    boxes[..., :2] += shift
    at = torch.from_numpy(boxes)
    corners = box_corners(at[..., :2], at[..., 2], at[..., 3:])
    expected = boxes_overlap(corners[:, :, None], corners[:, None]).numpy() & ~np.eye(boxes.shape[1], dtype=bool)
    clear = np.abs(gaps(boxes)) > 1e-9  # on the very edge the two round differently
    assert (overlaps(boxes) == expected)[clear].all()


@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 31, 33, 64, 130])
def test_any_number_of_boxes(n):
    rng = np.random.default_rng(n)
    boxes = np.stack(
        [*rng.uniform(-20, 20, (2, 5, n)), rng.uniform(-4, 4, (5, n)), *rng.uniform(0.3, 6, (2, 5, n))], -1
    )
    boxes[rng.random((5, n)) < 0.1] = np.nan
    gap = gaps(boxes)
    out = overlaps(boxes)
    there = ~np.isnan(gap) & ~np.eye(n, dtype=bool)
    assert out.shape == (5, n, n) and (out == (there & (gap <= 0))).all()
    assert n < 15 or out.any()


def test_turning_the_world_changes_nothing():
    rng = np.random.default_rng(3)
    boxes = np.stack(
        [*rng.uniform(-30, 30, (2, 8, 50)), rng.uniform(-4, 4, (8, 50)), *rng.uniform(1, 6, (2, 8, 50))], -1
    )
    turned = boxes.copy()
    c, s = np.cos(0.7), np.sin(0.7)
    turned[..., 0], turned[..., 1] = c * boxes[..., 0] - s * boxes[..., 1], s * boxes[..., 0] + c * boxes[..., 1]
    turned[..., 2] += 0.7
    assert np.abs(gaps(boxes)).min() > 1e-9
    assert (overlaps(turned) == overlaps(boxes)).all()
