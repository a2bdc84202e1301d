import numpy as np
import pytest
import shapely
import torch

from drivesim.lidar.ground import Cloud, Grid, Surface, drivable_area, ground_height, height_above
from drivesim.lidar.lines import paint_kinds, painted_lines, wall_lines
from drivesim.lidar.scenery import scenery_of
from drivesim.types import Marking, Material, Prop

HALF, KERB = 6.0, 0.15  # half the road's width, height of the pavement [m]


def plane(low, high, z, surface, spacing=0.15, seed=0):
    """Points scattered over a rectangle, 1 cm of noise."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(np.subtract(high, low)) / spacing**2)
    xy = rng.uniform(low, high, (n, 2))
    heights = z(xy[:, 0]) if callable(z) else np.full(n, z)
    return np.column_stack([xy, heights + rng.normal(0, 0.01, n)]), np.full(n, int(surface))


def wall(x0, x1, y, top, surface=Surface.BUILDING, seed=1):
    rng = np.random.default_rng(seed)
    n = int((x1 - x0) * top * 20)
    xyz = np.column_stack([rng.uniform(x0, x1, n), y + rng.normal(0, 0.02, n), rng.uniform(0, top, n)])
    return xyz, np.full(n, int(surface))


def cloud(*parts, classified=True):
    xyz = np.concatenate([p for p, _ in parts]).astype(np.float32)
    surface = np.concatenate([s for _, s in parts]).astype(np.uint8)
    return Cloud(xyz, surface if classified else np.zeros_like(surface))


def street(classified=True, slope=0.0):
    """A straight road along x between pavements, a house on the left, a tree and a pole on the right."""
    rng = np.random.default_rng(2)
    crown = rng.normal(0, 1, (3000, 3)) / [1, 1, 1]
    crown = 1.5 * crown / np.linalg.norm(crown, axis=1, keepdims=True) + [10, -11, 4]
    pole = np.column_stack([rng.normal(-10, 0.05, 400), rng.normal(-8, 0.05, 400), rng.uniform(0.2, 6, 400)])
    lift = lambda part, z=0.0: (part[0] + [0, 0, z], part[1])  # noqa: E731
    return cloud(
        plane((-40, -HALF), (40, HALF), lambda x: slope * x, Surface.ROAD),
        plane((-40, HALF), (40, HALF + 3), lambda x: slope * x + KERB, Surface.WALK, seed=3),
        plane((-40, -HALF - 8), (40, -HALF), lambda x: slope * x + KERB, Surface.WALK, seed=4),
        lift(wall(-20, 20, HALF + 3, 7.0), KERB),
        (crown, np.full(len(crown), int(Surface.PLANT))),
        (pole, np.full(len(pole), int(Surface.STATIC))),
        classified=classified,
    )


PATH = np.column_stack([np.linspace(-15, 15, 31), np.full(31, -2.0), np.zeros(31)])
EGO = shapely.LineString(PATH[:, :2]).buffer(1.1, cap_style="flat")
NONE = np.zeros((0, 5))


def area_of(cloud, boxes=NONE):
    return drivable_area(cloud, ground_height(cloud, PATH, margin=30), [PATH], boxes, EGO)


@pytest.mark.parametrize("classified", [True, False])
def test_the_ground_follows_a_slope_and_the_kerb(classified):
    points = street(classified, slope=0.04)
    path = PATH + np.column_stack([np.zeros((31, 2)), 0.04 * PATH[:, 0]])
    ground = ground_height(points, path, margin=30)
    x = np.linspace(-14, 14, 15)
    for y, step in ((0.0, 0.0), (HALF + 1.5, KERB)):
        points = np.column_stack([x, np.full(15, y), np.zeros(15)])
        assert -height_above(ground, points) == pytest.approx(0.04 * x + step, abs=0.05)


def test_ground_without_any_point_is_the_path():
    nothing = Cloud(np.zeros((0, 3), np.float32), np.zeros(0, np.uint8))
    ground = ground_height(nothing, PATH + [0, 0, 3.0], margin=20)
    assert ground.z == pytest.approx(torch.full_like(ground.z, 3.0))


def test_classes_tell_road_from_pavement():
    area = area_of(street())
    for x in (-15, 0, 15):
        low, high = (shapely.LineString([(x, 0), (x, y)]).intersection(area).length for y in (-30, 30))
        assert low == pytest.approx(HALF, abs=0.4)
        assert high == pytest.approx(HALF, abs=0.4)


def test_without_classes_the_kerb_bounds_the_road():
    area = area_of(street(classified=False))
    for x in (-10, 0, 10):
        assert area.contains(shapely.box(x - 1, -5, x + 1, 5))
        assert not area.intersects(shapely.Point(x, HALF + 2))
        assert not area.intersects(shapely.Point(x, -HALF - 3))


def test_the_road_goes_on_under_a_parked_car():
    points = street()
    hidden = (np.abs(points.xyz[:, 0]) < 2.4) & (np.abs(points.xyz[:, 1] - 4.5) < 1.3)
    holed = Cloud(points.xyz[~hidden], points.surface[~hidden])
    assert area_of(holed, np.array([[0, 4.5, 0, 4.6, 1.9]])).contains(shapely.Point(0, 4.5))


def test_what_the_ego_swept_is_drivable_whatever_the_lidar_says():
    walk = cloud(plane((-40, -20), (40, 20), 0.0, Surface.WALK))
    assert area_of(walk).contains(EGO)


def test_a_yard_behind_a_wall_is_left_out():
    yard = plane((-15, 15), (15, 25), 0.0, Surface.ROAD, seed=5)
    base = street()
    both = Cloud(np.concatenate([base.xyz, yard[0]]).astype(np.float32), np.concatenate([base.surface, yard[1]]))
    assert not area_of(both).intersects(shapely.Point(0, 20))


@pytest.mark.parametrize("classified", [True, False])
def test_house_tree_and_pole_stand_where_they_were_seen(classified):
    points = street(classified)
    ground, area = ground_height(points, PATH, margin=30), area_of(points)
    scenery = scenery_of(points, ground, area, PATH[:, :2])
    house = [i for i in range(len(scenery.footprints)) if int(scenery.footprints.kind[i]) == Material.FACADE]
    front = shapely.union_all([shapely.Polygon(scenery.footprints.line(i).numpy()) for i in house])
    assert front.distance(shapely.Point(0, HALF + 3)) < 0.3
    assert front.intersection(shapely.box(-20, 8, 20, 10)).bounds[2] == pytest.approx(20, abs=1.5)
    assert float(scenery.height[house].max()) == pytest.approx(7.0, abs=1.0)
    tree = scenery.prop_kind == int(Prop.TREE)
    assert (scenery.prop_xyz[tree, :2] - torch.tensor([10.0, -11.0])).norm(dim=-1).min() < 1.0
    assert float(scenery.prop_size[tree, 1].max()) == pytest.approx(5.5, abs=0.6)
    pole = scenery.prop_kind == int(Prop.POLE)
    assert (scenery.prop_xyz[pole, :2] - torch.tensor([-10.0, -8.0])).norm(dim=-1).min() < 0.3
    standing = [*scenery.prop_xyz[:, :2].tolist(), *(scenery.footprints.line(i).mean(0).tolist() for i in house)]
    assert not any(area.buffer(-1.0).contains(shapely.Point(p)) for p in standing)


def test_nothing_seen_gives_no_scenery():
    nothing = Cloud(np.zeros((0, 3), np.float32), np.zeros(0, np.uint8))
    scenery = scenery_of(nothing, ground_height(nothing, PATH, margin=20), EGO, PATH[:, :2])
    assert len(scenery.footprints) == 0 and len(scenery.prop_kind) == 0


def test_dashes_are_traced_one_by_one_and_a_curve_as_one():
    rng = np.random.default_rng(6)
    paint = [np.array([x, 0, 0]) + rng.uniform(0, 1, (200, 3)) * [3, 0.1, 0] for x in (0, 9, 18)]
    angle = rng.uniform(0, 1, 3000)
    curve = np.column_stack([30 * np.sin(angle), 40 - 30 * np.cos(angle), np.zeros(3000)])
    lines = painted_lines(np.concatenate([*paint, curve + rng.normal(0, 0.03, (3000, 3))]))
    lengths = sorted(np.hypot(*np.diff(line[:, :2], axis=0).T).sum() for line in lines)
    assert len(lines) == 4
    assert lengths[:3] == pytest.approx([3.0] * 3, abs=0.7)
    assert lengths[3] == pytest.approx(30.0, abs=1.5)


def test_walls_meet_at_their_corner():
    a, b = wall(0, 10, 0, 5)[0], wall(0, 10, 0, 5, seed=8)[0]
    lines = wall_lines(np.concatenate([a, b[:, [1, 0, 2]]]))
    ends = [line[i, :2] for line in lines for i in (0, -1)]
    assert len(lines) == 2
    assert sum(np.hypot(*end) < 1.2 for end in ends) == 2


def test_paint_between_opposite_traffic_is_yellow():
    east = np.column_stack([np.linspace(-20, 20, 41), np.full(41, -2.0), np.zeros(41)])
    west = east[::-1] * [1, -1, 1]
    middle, edge = (np.array([[-2, y, 0], [0, y, 0], [2, y, 0]], float) for y in (0.0, -4.0))
    assert paint_kinds([middle, edge], [east, west]) == [Marking.SOLID_YELLOW, Marking.SOLID_WHITE]


def test_a_mask_becomes_the_polygon_of_its_cells():
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    shape = Grid((10.0, 20.0), 0.5, (4, 6)).polygons(mask)
    assert shape.equals(shapely.box(11.0, 20.5, 12.5, 21.5))


def test_cells_under_a_turned_box():
    grid = Grid((-5.0, -5.0), 0.5, (20, 20))
    covered = grid.covered(np.array([[0.0, 0.0, np.pi / 2, 4.0, 2.0]]))
    rows, columns = np.nonzero(covered)
    xy = grid.centers(rows, columns)
    assert np.abs(xy).max(0) == pytest.approx([1.0, 2.0], abs=0.5)
