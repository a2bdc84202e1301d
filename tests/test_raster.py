"""The rasteriser against plain visibility, planes, edges; textures and road paint against hand integrals."""

import numpy as np
import pytest
import torch

from drivesim.generation.ground import clip_ears
from drivesim.generation.mesh import Mesh, ball, box, geometry, quads, tube
from drivesim.generation.paint import _filled, _stroke, _zebra, cell_lists, paint, painted
from drivesim.generation.rasterizer import View, see, triangles, visible
from drivesim.generation.reference import see_plainly
from drivesim.generation.stage import hashed, instances
from drivesim.generation.surfaces import Surface
from drivesim.generation.textures import Texture, atlas, texel
from drivesim.types import Ground, Lanes, Map, Marking, Polylines

VIEW = View(np.eye(4)[:3], np.array([90.0, 100.0, 62.3, 41.7]), 128, 80)


def placed(*meshes, matrices=None):
    """Geometry and instances of meshes in the camera frame."""
    rows, first = [], 0
    for k, mesh in enumerate(meshes):
        m = np.eye(4)[:3] if matrices is None else matrices[k]
        points = mesh.points @ m[:, :3].T + m[:, 3]
        center = points.mean(0)
        radius = np.linalg.norm(points - center, axis=1).max()
        rows.append((first, len(mesh.faces), m, (1, 1, 1), center, radius))
        first += len(mesh.faces)
    return geometry(Mesh.join(meshes)), instances(rows, [(-1, 0)] * len(rows))


def look(geo, inst, view=VIEW):
    found = triangles(geo, inst, view)
    nearness, front = (
        np.empty((view.height, view.width), np.float32),
        np.empty((view.height, view.width), np.int32),
    )
    see(found, (0, view.height), nearness, front)
    face, instance = (np.append(x, -1)[front] for x in (found.face, found.instance))  # -1 picks the last
    with np.errstate(divide="ignore"):
        return 1 / nearness.astype(float), face, instance


def soup(seed, n=60, surface=Surface.PAINT_MATT):
    """Random triangles around the camera, some behind it, some across its plane."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-4, -3, -3), (4, 3, 12), (n, 1, 3)) + rng.normal(0, 1.5, (n, 3, 3))
    faces = np.arange(3 * n).reshape(-1, 3)
    return Mesh(points.reshape(-1, 3), np.ones((3 * n, 3)), np.zeros((3 * n, 2)), faces, np.full(n, int(surface)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("surface", [Surface.PAINT_MATT, Surface.BRICK_WALL])  # seen from both sides, from outside
def test_equals_plain_visibility(seed, surface):
    turn = np.array([[0.8, -0.6, 0, 0.3], [0.6, 0.8, 0, -0.2], [0, 0, 1.3, 0.5]])
    geo, inst = placed(soup(seed, surface=surface), ball((0, 0, 5), (1, 2, 1), surface), matrices=[np.eye(4)[:3], turn])
    depth, face, instance = look(geo, inst)
    plain_depth, plain_face, plain_instance = see_plainly(geo, inst, VIEW)
    assert (face >= 0).mean() > 0.3
    assert (face == plain_face).all() and (instance == plain_instance).all()
    assert np.allclose(depth, plain_depth, rtol=1e-5)


def test_depth_of_a_plane_that_reaches_behind_the_camera():
    ground = quads([[(-50, 1.5, -40), (-50, 1.5, 90), (50, 1.5, 90), (50, 1.5, -40)]], Surface.TYRE)
    depth, face, _ = look(*placed(ground))
    y = (np.arange(80) + 0.5 - 41.7) / 100.0  # of the ray; the plane y = 1.5 lies at z = 1.5 / y
    rows = (y > 1.5 / 90) & (face[:, 64] >= 0)
    assert rows.sum() == (y > 1.5 / 90).sum() > 30
    assert np.allclose(depth[rows, 64], 1.5 / y[rows], rtol=1e-6)
    assert (face[y <= 0] == -1).all()


def test_neighbours_share_an_edge_without_crack_or_overlap():
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(np.linspace(-6, 6, 18), np.linspace(-5, 5, 15))
    grid = np.stack([x, y, 4 + rng.uniform(0, 2, x.shape)], -1)
    grid[1:-1, 1:-1, :2] += rng.uniform(-0.2, 0.2, grid[1:-1, 1:-1, :2].shape)
    corners = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], 2).reshape(-1, 4, 3)
    sheet = quads(corners, Surface.TYRE)
    _, face, _ = look(*placed(sheet))
    assert (face >= 0).all()  # the sheet is wider than the view: no hole
    count = np.zeros(face.shape, int)
    geo, inst = placed(sheet)
    for f in range(len(sheet.faces)):
        alone = inst._replace(first=np.array([f], np.int32), count=np.array([1], np.int32))
        count += look(geo, alone)[1] >= 0
    assert (count >= 1).all()
    flat = quads(np.concatenate([corners[..., :2], np.full((*corners.shape[:2], 1), 5.0)], -1), Surface.TYRE)
    geo, inst = placed(flat)
    count[:] = 0
    for f in range(len(flat.faces)):
        alone = inst._replace(first=np.array([f], np.int32), count=np.array([1], np.int32))
        count += look(geo, alone)[1] >= 0
    assert (count == 1).all()


def test_pixel_centres_on_an_edge_are_drawn_once():
    view = View(np.eye(4)[:3], np.array([8.0, 8.0, 8.0, 8.0]), 16, 16)
    # the edge x = 0.0625 at z = 1 falls on the centres of column 8, y = -0.0625 on those of row 7
    halves = [
        quads([[(-9, -9, 1), (-9, 9, 1), (0.0625, 9, 1), (0.0625, -9, 1)]], Surface.TYRE),
        quads([[(0.0625, -9, 1), (0.0625, 9, 1), (9, 9, 1), (9, -9, 1)]], Surface.TYRE),
        quads([[(-9, -9, 1), (-9, -0.0625, 1), (9, -0.0625, 1), (9, -9, 1)]], Surface.TYRE),
        quads([[(-9, -0.0625, 1), (-9, 9, 1), (9, 9, 1), (9, -0.0625, 1)]], Surface.TYRE),
    ]
    seen = [look(*placed(half), view)[1] >= 0 for half in halves]
    assert (seen[0] ^ seen[1]).all() and (seen[2] ^ seen[3]).all()
    assert seen[1][0, 8] and not seen[0][0, 8]


def test_culling_drops_nothing_that_is_seen():
    rng = np.random.default_rng(3)
    matrices = []
    for _ in range(300):
        at = rng.uniform((-60, -60, -60), (60, 60, 60))
        matrices.append(np.concatenate([np.eye(3) * rng.uniform(0.3, 3), at[:, None]], 1))
    geo, inst = placed(*[box((-1, -1, -1), (1, 1, 1), Surface.TYRE)] * 300, matrices=matrices)
    kept = visible(inst, VIEW, np.inf)
    assert 0 < len(kept) < 150
    everywhere = inst._replace(radius=np.full(300, 500.0))
    assert (look(geo, inst)[2] == look(geo, everywhere)[2]).all()


def test_closed_shapes_face_outwards():
    """Seen from far outside, a closed mesh shows nothing of its inner side: culling changes no pixel."""
    shapes = [
        box((-1, -1, -1), (1, 1, 1), Surface.BRICK_WALL),
        ball((0, 0, 0), (1, 1, 1), Surface.BRICK_WALL),
    ]
    shapes += [tube((0, 0, -1), (0.3, 0.2, 1), (0.5, 0.8), Surface.BRICK_WALL)]
    for mesh in shapes:
        moved = mesh.moved((0.3, 0.2, 6.0), yaw=0.4)
        geo, inst = placed(moved)
        culled = look(geo, inst)
        both = look(geo._replace(both=np.ones_like(geo.both)), inst)
        assert (culled[1] >= 0).sum() > 300
        assert (culled[1] == both[1]).all()
        outward = (moved.normals * (moved.points - np.array([0.3, 0.2, 6.0]))).sum(1)
        assert (outward > 0).all()


def test_ears_tile_polygons():
    star = np.array([(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 24, endpoint=False)])
    star *= np.where(np.arange(24) % 2, 0.4, 1.0)[:, None]
    comb = np.array(
        [(0, 0), (7, 0), (7, 2), (6, 2), (6, 1), (5, 1), (5, 2), (4, 2), (4, 1), (3, 1), (3, 2), (0, 2)],
        float,
    )
    faces = clip_ears(np.concatenate([star, comb]), np.array([0, 24, 36]))
    assert len(faces) == 22 + 10
    p = np.concatenate([star, comb])[faces]
    area = 0.5 * np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    assert (area >= 0).all()
    shoelace = lambda q: 0.5 * np.sum(q[:, 0] * np.roll(q[:, 1], -1) - q[:, 1] * np.roll(q[:, 0], -1))  # noqa: E731
    assert area[:22].sum() == pytest.approx(shoelace(star)) and area[22:].sum() == pytest.approx(12.0)


def test_textures_keep_their_mean_through_the_mips():
    table = atlas()
    for texture in Texture:
        side, base = table.size[texture], table.offset[texture, 0]
        packed = table.texels[base : base + side * side]
        linear = ((np.stack([packed >> s & 255 for s in (0, 8, 16)], -1) / 255.0) ** 2).mean(0)
        far = texel(table, int(texture), 0.3, 0.8, 100.0)
        assert np.allclose(far, linear, atol=0.02), texture


def test_texel_is_bilinear_and_tiles():
    table = atlas()
    side, base = int(table.size[Texture.GRASS]), int(table.offset[Texture.GRASS, 0])
    red = lambda x, y: float(table.texels[base + (y % side) * side + x % side] & 255) / 255  # noqa: E731
    at = lambda x, y: texel(table, int(Texture.GRASS), x / side, y / side, 0.0)[0]  # noqa: E731
    assert at(3.5, 7.5) == pytest.approx(red(3, 7) ** 2, rel=1e-4)
    assert at(4.0, 7.5) == pytest.approx(((red(3, 7) + red(4, 7)) / 2) ** 2, rel=1e-4)
    assert at(0.0, 0.5) == pytest.approx(((red(-1, 0) + red(0, 0)) / 2) ** 2, rel=1e-4)
    assert at(3.5 + 5 * side, 7.5 - 2 * side) == pytest.approx(at(3.5, 7.5), rel=1e-4)


def test_dashes_by_hand():
    # 3 m of paint every 9 m, a strip of 20 m that starts 2 m into its period: paint at [0, 1], [7, 10], [16, 19]
    filled = lambda a, b: _filled(a, b, 20.0, 3.0, 9.0, 2.0)  # noqa: E731
    assert filled(-5.0, 25.0) == pytest.approx(7.0)
    assert filled(0.5, 8.0) == pytest.approx(1.5)
    assert filled(2.0, 6.0) == 0.0
    assert _filled(3.0, 5.5, 20.0, 0.0, 1.0, 0.0) == 2.5


def lined(*lines, kinds, crosswalks=()):
    lanes = Lanes(
        Polylines.of([], dims=3), torch.zeros(0), torch.zeros(0), torch.zeros(0, dtype=torch.bool),
        torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip
    area = Polylines.of([torch.tensor([[-50.0, -50], [50, -50], [50, 50], [-50, 50]])])
    markings = Polylines.of([torch.tensor(line) for line in lines], list(kinds), dims=3)
    map = Map(lanes, area, Polylines.of([torch.tensor(c) for c in crosswalks]), markings, Ground.flat())
    import shapely

    return paint(map, shapely.box(-50, -50, 50, 50), (-50.0, -50.0, 50.0, 50.0))


def coverage(sheet, x, y, width):
    """How much of a square pixel of `width` at (x, y) is painted, from the colour laid over black."""
    r, _, _, shown = painted(sheet, x, y, width, 0.0, 0.0, width, 0.0, 0.0, 0.0, 0.97)
    return r / 0.62 / 0.97, shown


def test_painted_line_covers_its_width():
    sheet = lined([[-20.0, 3.0, 0], [20.0, 3.0, 0]], kinds=[int(Marking.SOLID_WHITE)])
    assert coverage(sheet, 1.0, 3.0, 0.01) == (pytest.approx(1.0), 2)
    assert coverage(sheet, 1.0, 3.07, 0.01)[0] == pytest.approx(1.0)
    assert coverage(sheet, 1.0, 3.08, 0.01)[0] == pytest.approx(0.0, abs=1e-5)
    assert coverage(sheet, 1.0, 3.075, 0.10)[0] == pytest.approx(0.5)  # half over the edge
    assert coverage(sheet, 1.0, 3.0, 0.60)[0] == pytest.approx(0.25)  # a 0.15 m line in a 0.6 m pixel
    assert coverage(sheet, 20.0, 3.0, 0.10)[0] == pytest.approx(0.5)  # half over the end
    assert coverage(sheet, 4.0, 3.0, 0.02)[0] == pytest.approx(1.0)  # where two pieces of 8 m meet


def test_paint_of_a_map_is_conserved():
    """Summed over pixels of any size, the paint has the area of the markings."""
    slanted = [[-12.0, -7.0, 0], [9.0, 11.0, 0]]
    sheet = lined(slanted, kinds=[int(Marking.DASHED_WHITE)])
    length = np.hypot(21, 18)
    exact = 0.15 * sum(min(3.0, length - s) for s in np.arange(0, length, 9.0))
    for width in (0.25, 0.7):
        at = np.arange(-16, 16, width)
        total = sum(coverage(sheet, x, y, width)[0] for x in at for y in at) * width**2
        assert total == pytest.approx(exact, rel=0.02)


def test_zebra_bars_run_along_the_traffic():
    ring = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 12.0), (0.0, 12.0)])  # walked along y, 12 m wide a road
    empty = lined(kinds=[], crosswalks=[ring.tolist()])
    bars = empty.strips
    assert len(bars) == 11 and np.allclose(np.abs(bars[:, 2]), 1.0) and np.allclose(bars[:, 4], 4.0)
    assert coverage(empty, 2.0, 6.0, 0.05) == (pytest.approx(1.0), 3)  # the middle bar
    assert coverage(empty, 2.0, 6.55, 0.05) == (pytest.approx(0.0), 3)  # a gap belongs to the crossing
    assert coverage(empty, 4.5, 6.0, 0.05) == (pytest.approx(0.0), 0)


def test_strips_follow_a_bend_and_shift_to_the_left():
    rows = _stroke(np.array([(0.0, 0.0), (10.0, 0.0), (10.0, 4.0)]), 0.2, shift=0.5)
    assert rows[:, 4].tolist() == [5.0, 5.0, 4.0]
    assert np.allclose(rows[:, :2], [(0.0, 0.5), (5.0, 0.5), (9.5, 0.0)])
    assert len(_stroke(np.array([(1.0, 1.0), (1.0, 1.0)]), 0.2)) == 0
    assert _zebra(np.array([(0.0, 0.0), (np.nan, 1.0), (1.0, 1.0)]), None) == []


def test_cell_lists_by_hand():
    low, high = (
        np.array([(0.5, 0.5), (3.0, 1.0), (100.0, 0.0)]),
        np.array([(1.0, 1.0), (5.0, 5.0), (101.0, 1.0)]),
    )
    starts, items = cell_lists(low, high, np.zeros(2), rows=2, columns=3)  # cells of 4 m
    lists = [items[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True)]
    assert lists == [[0, 1], [1], [2], [1], [1], []]  # what lies beyond the grid is kept in its last column


def test_hashes_spread_and_stay():
    assert hashed(1, 2) != hashed(2, 1) and hashed(7) == hashed(7)
    low = np.bincount([hashed(i, 3) % 16 for i in range(4000)], minlength=16)
    assert low.min() > 180
