"""Points on the drivable area: by hand, against ray casting, on real maps."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.config import source
from drivesim.kernels import SegmentGrid, crossings
from drivesim.roadmap import RoadMap
from drivesim.traffic import area
from drivesim.traffic.area import CELL, areas_of
from drivesim.types import Map, Polylines

from .roots import ROOTS
from .worlds import straight_road


def town(*rings) -> Map:
    """A map with this drivable area."""
    return straight_road().replace(drivable=Polylines.of([torch.tensor(ring, dtype=torch.float32) for ring in rings]))


SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]
HOLE = [(4, 4), (6, 4), (6, 6), (4, 6)]


def apart(map: Map, points: np.ndarray, by: float = 1e-9) -> np.ndarray:
    """Which points lie further than this from every border [m]."""
    grid = SegmentGrid.of_rings(map.drivable)
    step, to = grid.b - grid.a, points[:, None] - grid.a
    t = ((to * step).sum(-1) / np.maximum((step * step).sum(-1), 1e-300)).clip(0, 1)
    return (np.linalg.norm(to - t[..., None] * step, axis=-1) > by).all(1)


def test_by_hand():
    areas = areas_of([town(SQUARE, HOLE)])
    xy = np.array([[1, 1], [5, 5], [9.999, 9.999], [10.001, 5], [-0.001, 5], [5, 3.999], [5, 4.001], [1e9, -1e9]])
    assert areas.inside(0, xy).tolist() == [True, False, True, False, False, True, False, False]
    assert not areas.inside(0, np.array([[np.nan, 5], [5, np.nan], [np.inf, 5], [5, -np.inf]])).any()
    assert areas.inside(0, xy.reshape(2, 4, 2)).shape == (2, 4)


def test_on_a_border():
    """Left and lower sides belong to the area, right and upper ones do not; of a hole it is the other way round."""
    map = town(SQUARE, HOLE)
    xy = np.array([
        [0, 5], [5, 0], [10, 5], [5, 10], [0, 0], [10, 0], [0, 10], [10, 10],
        [4, 5], [5, 4], [6, 5], [5, 6], [4, 4], [6, 4], [4, 6], [6, 6],
    ], dtype=float)  # fmt: skip
    expected = [True, True, False, False, True, False, False, False]
    expected += [False, False, True, True, False, True, True, True]
    assert areas_of([map]).inside(0, xy).tolist() == expected
    assert RoadMap.of(map).inside(torch.from_numpy(xy)).tolist() == expected


@pytest.mark.parametrize(
    "a, b", [((0, 4), (8, 4)), ((0, 0), (8, 8)), ((0, 8), (8, 0)), ((0, 1), (8, 7)), ((0, 6), (8, 2))]
)
@pytest.mark.parametrize("flip", [False, True])
def test_two_halves_cover_every_point_of_their_seam_once(a, b, flip):
    """Also where the seam runs through cells' centres and corners, or along their diagonals."""
    halves = [(0, 0), (8, 0), b, a], [a, b, (8, 8), (0, 8)]
    if flip:
        halves = [[(y, x) for x, y in ring] for ring in halves]
    areas = areas_of([town(*halves), *(town(ring) for ring in halves)])
    xy = np.stack(np.meshgrid(np.arange(0.0, 8.0, 0.25), np.arange(0.0, 8.0, 0.25)), -1)
    both, first, second = (areas.inside(k, xy) for k in range(3))
    assert both.all() and (first != second).all() and first.any() and second.any()


coarse, fine = st.integers(-12, 12).map(float), st.floats(-12, 12, width=32)
ring = st.lists(st.tuples(coarse, coarse), min_size=3, max_size=9)
rough = st.lists(st.tuples(fine, fine), min_size=3, max_size=9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(ring, rough), min_size=1, max_size=4), st.integers(0, 9))
def test_equals_ray_casting(rings, seed):
    """Rings that cross each other and themselves, with corners on the cells' lines."""
    map, rng = town(*rings), np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(np.arange(-13, 13.5, 0.5), np.arange(-13, 13.5, 0.5)), -1).reshape(-1, 2)
    points = np.concatenate([rng.uniform(-13, 13, (500, 2)), lattice])
    expected = crossings(SegmentGrid.of_rings(map.drivable), points) % 2 == 1
    clear = apart(map, points)
    assert (areas_of([map]).inside(0, points) == expected)[clear].all()


@pytest.mark.parametrize("cell", [0.3, 1.0, 7.0, 1000.0])
def test_cells_of_any_size_answer_alike(cell, monkeypatch):
    rng = np.random.default_rng(1)
    turn = np.sort(rng.uniform(0, 2 * np.pi, 60))
    star = (rng.uniform(5, 40, 60) * np.stack([np.cos(turn), np.sin(turn)])).T
    map, points = town(star, HOLE), rng.uniform(-45, 45, (20_000, 2))
    expected = RoadMap.of(map).inside(torch.from_numpy(points)).numpy()
    monkeypatch.setattr(area, "CELL", cell)
    assert (areas_of([map]).inside(0, points) == expected).all() and 0.1 < expected.mean() < 0.9


def test_many_maps():
    square, moved, none = town(SQUARE), town([(x + 100, y - 50) for x, y in SQUARE], HOLE), town()
    areas = areas_of([square, none, moved, square])
    assert areas.of_map.tolist() == [0, 1, 2, 0] and len(areas.records) == 3
    xy = np.array([[5, 5], [105, -45], [1, 1]], dtype=float)
    answers = [areas.inside(k, xy).tolist() for k in range(4)]
    assert answers == [[True, False, True], [False] * 3, [True, True, False], [True, False, True]]
    assert areas_of([]).of_map.shape == (0,)
    assert areas_of([none]).inside(0, xy).tolist() == [False] * 3


def test_a_country_fits_in_memory():
    size = 50_000.0
    areas = areas_of([town([(0, 0), (size, 0), (size, size), (0, size)], [(7, 7), (9, 7), (8, 9)])])
    assert areas.starts.nbytes + areas.parity.nbytes < 25e6 and areas.records["cell"][0] > CELL
    xy = np.array([[8, 8], [7.1, 8.9], [size / 2, size / 2], [size - 0.01, 1], [size + 0.01, 1]])
    assert areas.inside(0, xy).tolist() == [False, True, True, True, False]


@cache
def real(name: str) -> Map:
    if not ROOTS[name].exists():
        pytest.skip(f"{ROOTS[name].relative_to(ROOTS[name].parents[1])} is not here")
    logs = source(name, ROOTS[name])
    left_out = logs.undrivable() if hasattr(logs, "undrivable") else {}
    return logs.load(next(i for i in logs.ids() if i not in left_out)).scene.map


@pytest.mark.parametrize("name", ["waymo", "argoverse2", "nuscenes", "scenarionet"])
def test_real_maps(name):
    """Everywhere, near borders, and at the borders' own vertices as seen from a hair's breadth away."""
    map, rng = real(name), np.random.default_rng(0)
    corners = map.drivable.points[:, :2].double().numpy()
    low, high = corners.min(0), corners.max(0)
    some = corners[rng.integers(0, len(corners), 20_000)]
    points = np.concatenate([
        rng.uniform(low - 5, high + 5, (20_000, 2)), some + rng.normal(0, 1, some.shape),
        corners + 1e-5, corners - 1e-5, corners * [1, 0] + [0, 1e-5],
    ])  # fmt: skip
    expected = RoadMap.of(map).inside(torch.from_numpy(points)).numpy()
    assert (areas_of([map]).inside(0, points) == expected).all() and expected.any() and not expected.all()
