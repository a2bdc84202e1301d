"""Discs to depth: held to a plain reference, and by hand."""

import numpy as np
import pytest

from drivesim.memory.discs import BLOCK, NEAR, Discs, Placed, Seen, mend, see

LENS = np.array([60.0, 50.0, 24.3, 15.8])
SHAPE = (32, 48)
HERE = np.eye(4)[None]


def discs(xyz, normal, radius):
    normal = np.asarray(normal, np.float64)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return Discs.of(np.asarray(xyz, np.float32), normal.astype(np.float32), np.asarray(radius, np.float32))


def looked(found, placed=None, camera=None, shape=SHAPE):
    placed = placed or Placed(np.array([0]), np.array([len(found.xyz)]), HERE)
    seen = Seen.nothing(*shape)
    see(found, placed, np.eye(4) if camera is None else camera, LENS, seen)
    return seen


def plain(found, shape=SHAPE):
    """Every pixel against every disc, as the module's first paragraph says; camera frame."""
    fx, fy, cx, cy = LENS
    depth, disc = np.full(shape, np.inf), np.full(shape, -1)
    for row in range(shape[0]):
        for column in range(shape[1]):
            ray = np.array([(column + 0.5 - cx) / fx, (row + 0.5 - cy) / fy, 1.0])
            best = np.inf
            for i, (c, n, r) in enumerate(zip(found.xyz, found.normal, found.radius, strict=True)):
                c, n, r = c.astype(float), n.astype(float), float(r)
                if c[2] < NEAR + r:
                    continue
                t = (n @ c) / (n @ ray)
                off = ((t * ray - c) ** 2).sum()
                if not off <= r * r:
                    u, v = fx * c[0] / c[2] + cx, fy * c[1] / c[2] + cy
                    if (column + 0.5 - u) ** 2 + (row + 0.5 - v) ** 2 > 0.5:
                        continue
                    deep = r * np.sqrt(1 - n[2] ** 2)
                    t = np.clip(t, c[2] - deep, c[2] + deep) if t > 0 else c[2]
                    off = r * r
                if t + off / r < best:
                    best = t + off / r
                    depth[row, column], disc[row, column] = t, i
    return depth, disc


def cloud(seed, n=300):
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.3, 30, n)
    xyz = np.column_stack([rng.uniform(-0.6, 0.6, n) * z, rng.uniform(-0.5, 0.5, n) * z, z])
    return discs(xyz, rng.normal(size=(n, 3)), rng.uniform(0.01, 0.5, n))


@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_as_the_plain_reference(seed):
    found = cloud(seed)
    seen = looked(found)
    depth, disc = plain(found)
    same = seen.disc == disc
    assert same.mean() > 0.995  # single precision decides some rims otherwise
    assert (disc >= 0).sum() > 300
    np.testing.assert_allclose(seen.depth[same], depth[same], rtol=2e-4)
    assert ((seen.run >= 0) == (seen.disc >= 0)).all()


def test_a_slanted_wall_has_the_depth_of_its_plane():
    u, v = np.meshgrid(np.arange(-6, 6, 0.2), np.arange(-4, 4, 0.2))
    xyz = np.stack([u, v, 8 + 0.5 * u], -1).reshape(-1, 3)
    seen = looked(discs(xyz, np.tile([0.5, 0, -1.0], (len(xyz), 1)), np.full(len(xyz), 0.2)))
    dx = (np.arange(SHAPE[1]) + 0.5 - LENS[2]) / LENS[0]
    inside = np.abs(8 * dx / (1 - 0.5 * dx)) < 5.5
    np.testing.assert_allclose(seen.depth[5:25, inside], np.tile((8 / (1 - 0.5 * dx))[inside], (20, 1)), rtol=1e-5)


def test_seen_edge_on_a_disc_still_takes_its_pixel():
    seen = looked(discs([[0, 0, 10]], [[0, 1, 0]], [0.02]))
    assert (seen.disc >= 0).sum() == 1
    assert abs(seen.depth[int(LENS[3]), int(LENS[2])] - 10) <= 0.02


def test_runs_stand_where_they_are_placed_and_may_be_placed_twice():
    found = discs([[0, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]], [0.3, 0.3])
    left, right = np.eye(4), np.eye(4)
    left[:3, 3], right[:3, 3] = [-1, 0, 6], [1, 0, 6]
    seen = looked(found, Placed(np.array([1, 1]), np.array([2, 2]), np.stack([left, right])))
    row = int(LENS[3])
    assert seen.run[row, int(LENS[2] - 10)] == 0
    assert seen.run[row, int(LENS[2] + 10)] == 1
    assert set(np.unique(seen.disc)) == {-1, 1}


def test_what_is_nearer_already_stays():
    found = discs([[0, 0, 5]], [[0, 0, 1]], [50])
    seen = Seen.nothing(*SHAPE)
    seen.depth[:, :10] = 4
    see(found, Placed(np.array([0]), np.array([1]), HERE), np.eye(4), LENS, seen)
    assert (seen.disc[:, :10] == -1).all()


def test_of_equal_discs_the_first_is_seen_whatever_the_blocks():
    xyz = np.tile([[0.0, 0, 5]], (3 * BLOCK, 1))
    seen = looked(discs(xyz, np.tile([0, 0, 1.0], (len(xyz), 1)), np.full(len(xyz), 0.5)))
    assert set(np.unique(seen.disc)) == {-1, 0}


def test_moving_the_camera_and_the_world_alike_changes_nothing():
    found = cloud(7)
    move = np.eye(4)
    move[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    move[:3, 3] = [3, -2, 1]
    moved = looked(found, Placed(np.array([0]), np.array([len(found.xyz)]), move[None]), np.linalg.inv(move))
    still = looked(found)
    assert (moved.disc == still.disc).mean() > 0.995


def test_nothing_to_see_and_nobody_placed():
    assert (looked(discs(np.zeros((0, 3)), np.ones((0, 3)), [])).disc == -1).all()
    found = cloud(1)
    nobody = Placed(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4, 4)))
    assert (looked(found, nobody).disc == -1).all()


def test_a_pinhole_is_closed_and_a_gap_is_not():
    seen = Seen.nothing(9, 12)
    seen.depth[:], seen.disc[:], seen.run[:] = 5, 3, 0
    seen.depth[4, 4], seen.disc[4, 4], seen.run[4, 4] = 20, 7, 1
    seen.depth[:, 8:10] = 20
    mend(seen)
    assert (seen.depth[4, 4], seen.disc[4, 4], seen.run[4, 4]) == (5, 3, 0)
    assert (seen.depth[1:-1, 8:10] == 20).all()
