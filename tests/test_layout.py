"""What the layout raster draws: laws of the pictures, and a street whose places are known by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch

from drivesim.camera import project, rays, world_from_camera
from drivesim.errors import InputError
from drivesim.generation.layout import LayoutRaster, NoImages
from drivesim.geometry import apply, invert, rotation_from_euler, transform
from drivesim.types import (
    Body,
    Camera,
    Ground,
    Kind,
    Map,
    Marking,
    Material,
    Polylines,
    Prop,
    Provenance,
    Scenery,
    Semantic,
    Signals,
    State,
)
from tests.worlds import scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared"
T = torch.tensor
BENT = (-0.32, 0.11, 0.002, -0.001, -0.01)
HOUSE = [(30.0, 9.0), (42.0, 10.0), (41.0, 20.0), (29.0, 19.0)]


def camera(name="front", yaw=0.0, distortion=(), width=400, height=224, focal=260.0):
    """1.6 m above the rear axle, looking along `yaw` and slightly down."""
    k = T([[focal, 0, width / 2 + 3.5], [0, focal, height / 2 - 7.25], [0, 0, 1.0]], dtype=torch.float64)
    optical = T([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=torch.float64)
    zero = torch.zeros((), dtype=torch.float64)
    turn = rotation_from_euler(zero + yaw, zero + 0.04, zero + 0.01) @ optical
    return Camera(name, width, height, k, transform(turn, T([1.2, 0.1, 1.6], dtype=torch.float64)), distortion)


def street():
    """Two lanes along x, a marking between them, a crossing, a house on the left, a tree, a signal, cars, a walker."""
    road = straight_road()
    line = T([[-50.0, 1.75, 0], [150.0, 1.75, 0]])
    crossing = T([[24.0, -1.75], [27.0, -1.75], [27.0, 5.25], [24.0, 5.25]])
    road = road.replace(
        markings=Polylines.of([line], [int(Marking.SOLID_WHITE)], dims=3), crosswalks=Polylines.of([crossing])
    )
    scenery = Scenery(
        Polylines.of([T(HOUSE)], [int(Material.FACADE)]), torch.zeros(1), T([9.0]), T([[20.0, -6.0, 0.0]]),
        torch.zeros(1), T([[4.0, 6.0]]), T([int(Prop.TREE)]),
    )  # fmt: skip
    signals = Signals(T([0]), T([[22.0, 0.0]]), T([[23.0, -2.5, 3.0, math.pi]]), T([[3]] * 5 + [[1]] * 5))
    s = scenario(
        track((0, 0)), track((14, 0.2)), track((10, 3.6), yaw=math.pi), track((9, -3.2), yaw=1.0, kind=Kind.PEDESTRIAN),
        track((18, 3.5), valid=slice(5, 9)), map=road, signals=signals,
    )  # fmt: skip
    return replace(s, scene=replace(s.scene, scenery=scenery))


def state_at(s, step=0):
    agents = s.log[step]
    zero = torch.zeros(agents.valid.shape)
    return State(agents, Body(zero, zero), T(step), T(0))


def shoot(s, *cameras, step=0, generator=None, state=None):
    generator = generator or LayoutRaster(threads=1)
    frames, _ = generator.render(state or state_at(s, step), generator.remember(s), cameras)
    return list(frames.values())


def same(a, b):
    return all(
        torch.equal(getattr(a, k), getattr(b, k)) for k in ("rgb", "depth", "semantics", "instance", "provenance")
    )


def camera_from_world(s, cam, step=0):
    ego = s.scene.briefing.vehicle.world_from_ego(s.log[step][..., 0].map(lambda x: x.double()))
    return invert(world_from_camera(ego, cam))


SCENARIO = street()
WORLD = LayoutRaster().remember(SCENARIO)
CAMERAS = [
    camera("front"),
    camera("left", 1.3),
    camera("back", math.pi),
    camera("wide", 0.2, BENT, 320, 240, 190.0),
]


def render(cameras, state=None, threads=1):
    return LayoutRaster(threads).render(state or state_at(SCENARIO), WORLD, cameras)[0]


def test_shapes_types_and_provenance():
    for cam in CAMERAS:
        frame = render([cam])[cam.name]
        h, w = cam.height, cam.width
        assert frame.rgb.shape == (3, h, w) and frame.rgb.dtype == torch.uint8
        assert frame.depth.shape == (h, w) and frame.depth.dtype == torch.float32
        assert frame.semantics.dtype == frame.provenance.dtype == torch.uint8 and frame.instance.dtype == torch.int16
        assert (frame.provenance == int(Provenance.PROXY)).all()
        assert (frame.depth > 0).all() and torch.equal(frame.depth.isinf(), frame.semantics == int(Semantic.SKY))
        assert frame.instance.max() < 5 and frame.instance.min() == -1


def test_twice_threads_and_order_give_the_same_bytes():
    once = render(CAMERAS)
    for other in (render(CAMERAS), render(CAMERAS, threads=2), render(CAMERAS[::-1], threads=2)):
        assert all(same(once[c.name], other[c.name]) for c in CAMERAS)
    for cam in CAMERAS:
        assert same(once[cam.name], render([cam], threads=2)[cam.name])


@pytest.mark.parametrize("distortion", [(), BENT])
def test_points_land_on_the_pixels_that_the_raster_gave_them(distortion):
    """The house's silhouette is the projection of its corners, to half a pixel; the kerb's 12 cm hide its foot."""
    s = replace(SCENARIO, scene=replace(SCENARIO.scene, scenery=_house_alone()))
    cam = camera("c", 0.42, distortion)
    frame = shoot(s, cam, state=_alone(s))[0]
    most, least = (_silhouette(cam, camera_from_world(s, cam), low, 9.0) for low in (0.0, 0.125))
    x, y = np.meshgrid(np.arange(cam.width) + 0.5, np.arange(cam.height) + 0.5)
    seen = frame.semantics.numpy() == int(Semantic.BUILDING)
    assert seen.sum() > 3000
    assert not (seen & ~shapely.contains_xy(most.buffer(0.5), x, y)).any()
    assert not (shapely.contains_xy(least.buffer(-0.5), x, y) & ~seen).any()
    if not distortion:
        assert (shapely.contains_xy(least.buffer(-1e-5), x, y) <= seen).all()
        assert (seen <= shapely.contains_xy(most.buffer(1e-5), x, y)).all()


def _silhouette(cam, pose, low, high):
    """What the house's walls cover in the picture; a lens bends their edges, so those are walked in small steps."""
    ring, share = T(HOUSE, dtype=torch.float64), torch.linspace(0, 1, 200, dtype=torch.float64)[:, None]
    walls = []
    for a, b in zip(ring, ring.roll(-1, 0), strict=True):
        corners = [T([*a, low]), T([*b, low]), T([*b, high]), T([*a, high])]
        rim = [p + share * (q - p) for p, q in zip(corners, corners[1:] + corners[:1], strict=True)]
        pixels, _ = project(cam, apply(pose, torch.cat(rim).double()))
        walls.append(shapely.Polygon(pixels.numpy()).buffer(0))
    return shapely.union_all(walls)


def _house_alone():
    scenery = SCENARIO.scene.scenery
    return replace(scenery, prop_xyz=torch.zeros(0, 3), prop_yaw=torch.zeros(0), prop_size=torch.zeros(0, 2),
                   prop_kind=torch.zeros(0, dtype=torch.int64))  # fmt: skip


def _alone(s, step=0):
    state = state_at(s, step)
    return state.replace(agents=state.agents.replace(valid=torch.arange(len(state.agents.valid)) == 0))


@pytest.mark.parametrize("distortion", [(), BENT])
def test_depth_is_that_of_the_road(distortion):
    """On the flat road the depth is the analytic one, at the pixel's own ray, lens or no lens."""
    cam = camera("c", 0.1, distortion)
    frame = shoot(SCENARIO, cam)[0]
    pose = invert(camera_from_world(SCENARIO, cam))
    down = rays(cam) @ pose[:3, :3].T
    exact = -pose[2, 3] / down[..., 2]
    road = torch.isin(
        frame.semantics,
        T([int(Semantic.ROAD), int(Semantic.MARKING), int(Semantic.CROSSWALK)], dtype=torch.uint8),
    )
    assert road.sum() > 20_000
    assert torch.allclose(frame.depth[road].double(), exact[road], rtol=1e-5)


def test_the_marking_is_where_the_map_says():
    cam = CAMERAS[0]
    frame = render([cam])["front"]
    points = T([[x, y, 0.0] for x in (5.0, 6.0, 7.0) for y in (1.75, 0.9)], dtype=torch.float64)
    pixels, _ = project(cam, apply(camera_from_world(SCENARIO, cam), points))
    at = pixels.floor().long()
    kinds = frame.semantics[at[:, 1], at[:, 0]].tolist()
    assert kinds == [int(Semantic.MARKING), int(Semantic.ROAD)] * 3
    bright = frame.rgb[:, at[:, 1], at[:, 0]].float().mean(0)
    assert (bright[::2] > 1.5 * bright[1::2]).all()


def projected_box(cam, agents, i, pose):
    """Smallest pixel rectangle (low, high) around the projection of an agent's box; depths of its corners."""
    half = agents.size[i].double() / 2
    corners = T([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (0, 2)], dtype=torch.float64) * half
    box = agents.map(lambda v: v.double() if v.is_floating_point() else v).world_from_box[i]
    pixels, depth = project(cam, apply(pose, apply(box, corners)))
    return pixels.amin(0), pixels.amax(0), depth


def extent(mask):
    """First and last pixel centre (x, y) of a mask."""
    y, x = mask.nonzero().double().add(0.5).unbind(-1)
    return torch.stack([x.min(), y.min()]), torch.stack([x.max(), y.max()])


@pytest.mark.parametrize("roll", [0.0, 0.5, -0.5])
def test_agents_fill_their_boxes(roll):
    cam, state = CAMERAS[0], state_at(SCENARIO)
    agents = state.agents.replace(roll=T([0.0, roll, 0.0, 0.0, 0.0]))
    frame = render([cam], state.replace(agents=agents))["front"]
    for i, kind in ((1, Semantic.VEHICLE), (2, Semantic.VEHICLE), (3, Semantic.PERSON)):
        low, high, _ = projected_box(cam, agents, i, camera_from_world(SCENARIO, cam))
        first, last = extent(frame.instance == i)
        assert (first > low - 0.5).all() and (last < high + 0.5).all()
        assert ((last - first) > 0.6 * (high - low)).all()
        assert set(frame.semantics[frame.instance == i].tolist()) == {int(kind)}


def test_the_ego_and_the_absent_are_not_drawn():
    assert not (render([camera("down", 0.0, height=900)])["down"].instance == 0).any()
    assert not (render([CAMERAS[0]])["front"].instance == 4).any()
    assert (render([CAMERAS[0]], state_at(SCENARIO, 5))["front"].instance == 4).any()


def test_the_signal_shows_its_state_of_the_moment():
    cam = camera("far", -0.05, focal=900.0)
    red, green = (render([cam], state_at(SCENARIO, step))["far"] for step in (0, 6))
    lamp = red.semantics == int(Semantic.SIGNAL)
    assert lamp.sum() > 50
    r, g, _ = red.rgb.float()
    assert ((r > 200) & (g < 90) & lamp).any() and not ((g > 180) & (r < 120) & lamp).any()
    r, g, _ = green.rgb.float()
    assert ((g > 180) & (r < 120) & lamp).any() and not ((r > 200) & (g < 90) & lamp).any()


def test_pitch_and_roll_tilt_the_picture():
    """Far from everything: sky per column, with f = 260 px; nose down 0.05 rad lifts the horizon by 13 px."""
    state = _alone(SCENARIO)

    def sky(**angle):
        agents = state.agents.replace(xy=torch.full((5, 2), 2000.0))
        agents = agents.replace(**{name: torch.full((5,), value) for name, value in angle.items()})
        return render([CAMERAS[0]], state.replace(agents=agents))["front"].depth.isinf().sum(0).float()

    assert (sky(pitch=0.05) - sky() + 13).abs().max() < 1.5
    tilt = sky(roll=0.06) - sky()  # right side down: the horizon falls on the left and rises on the right
    assert abs(tilt[0] - 0.06 * 203) < 2 and abs(tilt[399] + 0.06 * 196) < 2


def test_the_future_is_out_of_reach():
    blank = replace(
        SCENARIO,
        log=SCENARIO.log.map(lambda x: torch.full_like(x, torch.nan) if x.is_floating_point() else x),
    )
    state = state_at(SCENARIO)
    assert same(shoot(SCENARIO, CAMERAS[0], state=state)[0], shoot(blank, CAMERAS[0], state=state)[0])


def test_off_the_road_and_far_from_the_map():
    for xy in ([500.0, -900.0], [20_000.0, 3.0], [35.0, 14.0]):  # the last one inside the house
        state = state_at(SCENARIO)
        agents = state.agents.replace(xy=torch.cat([T([xy]), state.agents.xy[1:]]))
        frame = render([CAMERAS[0]], state.replace(agents=agents))["front"]
        assert (frame.semantics != int(Semantic.ROAD)).any() and frame.rgb.float().std() > 3


def test_a_bare_scenario_renders():
    empty = Polylines.of([])
    lanes = straight_road().lanes
    none = lanes.replace(
        center=Polylines.of([], dims=3), width=torch.zeros(0), speed_limit=torch.zeros(0),
        intersection=torch.zeros(0, dtype=torch.bool), neighbours=torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip
    lines = Polylines.of([], dims=3)
    bare = scenario(track((0, 0)), map=Map(none, empty, empty, lines, Ground.flat(0.0)))
    frame = shoot(bare, CAMERAS[0])[0]
    assert set(frame.semantics.unique().tolist()) == {int(Semantic.SKY), int(Semantic.TERRAIN)}
    only_lanes = scenario(track((0, 0)), map=Map(lanes, empty, empty, lines, Ground.flat(0.0)))
    kinds = set(shoot(only_lanes, CAMERAS[0])[0].semantics.unique().tolist())
    assert {int(Semantic.ROAD), int(Semantic.MARKING), int(Semantic.SIDEWALK)} <= kinds


def test_ground_follows_the_height_and_kerbs_stand():
    ramp = Ground(T([-100.0, -100.0]), 50.0, (torch.arange(7)[None] * 50.0 - 100.0).expand(5, 7) * 0.04)
    hill = scenario(track((0, 0)), map=straight_road().replace(ground=ramp))
    cam = CAMERAS[0]
    frame = shoot(hill, cam)[0]
    world = invert(camera_from_world(hill, cam))
    at = apply(world, (rays(cam) * frame.depth.double()[..., None]).reshape(-1, 3)).reshape(224, 400, 3)
    road = (frame.semantics == int(Semantic.ROAD)) & (at[..., 0] < 140)
    assert (at[..., 2] - 0.04 * at[..., 0])[road].abs().max() < 0.03
    aside = (frame.semantics == int(Semantic.SIDEWALK)) & (at[..., 0] < 40)
    rise = (at[..., 2] - 0.04 * at[..., 0])[aside]
    assert rise.max() < 0.14 and rise.median() > 0.1


def test_every_kind_and_prop_draws():
    kinds = [track((12 + 4 * i, 8.0 - 1.5 * (i % 7)), kind=k, size=(0.6, 0.6, 1.2)) for i, k in enumerate(Kind)]
    s = scenario(track((0, 0)), *kinds, map=straight_road())
    n, m = len(Prop), len(Material)
    block = T([[10.0, -9.0], [13.0, -9.0], [13.0, -7.0], [10.0, -7.0]])
    foot = torch.stack([torch.arange(n) * 4.0 + 8, torch.full((n,), -4.0), torch.zeros(n)], -1)
    props = Scenery(
        Polylines.of([block + T([5.0 * k, 0.0]) for k in Material], [int(k) for k in Material]), torch.zeros(m),
        torch.full((m,), 1.5), foot, torch.full((n,), math.pi), torch.full((n, 2), 2.0), torch.arange(n),
    )  # fmt: skip
    s = replace(s, scene=replace(s.scene, scenery=props))
    frame = shoot(s, camera("c", 0.0, width=1200, height=600, focal=700.0))[0]
    assert set(range(1, len(Kind) + 1)) <= set(frame.instance.unique().tolist())
    wanted = (
        Semantic.VEGETATION,
        Semantic.POLE,
        Semantic.SIGNAL,
        Semantic.BUILDING,
        Semantic.OBJECT,
        Semantic.CYCLE,
    )
    assert {int(k) for k in wanted} <= set(frame.semantics.unique().tolist())


def test_pixels_beyond_the_lens_are_black_and_of_no_provenance():
    cam = camera("fold", distortion=(-0.45,), focal=150.0)
    frame = render([cam])["fold"]
    none = frame.provenance == int(Provenance.NONE)
    assert none[0, 0] and not none[112, 200] and (frame.rgb[:, none] == 0).all()


def test_no_images_says_so():
    frames, _ = NoImages().render(state_at(SCENARIO), NoImages().remember(SCENARIO), [])
    assert frames == {}
    with pytest.raises(InputError, match="generation=raster"):
        NoImages().render(state_at(SCENARIO), None, CAMERAS[:1])


@pytest.mark.skipif(not (SHARED / "data/pandaset").exists(), reason="needs the PandaSet log in ../shared/data")
def test_pandaset_calibration_agrees_with_the_raster():
    """Vehicles of a real log, in all of its cameras: each mask lies in the projection of its box."""
    from scenarios.pandaset import PandaSet

    source = PandaSet(str(SHARED / "data/pandaset"))
    s = source.load(source.ids()[0])
    frames = shoot(s, *s.scene.briefing.cameras, step=30)
    seen = 0
    for cam, frame in zip(s.scene.briefing.cameras, frames, strict=True):
        for i in set(frame.instance.unique().tolist()) - {-1}:
            low, high, depth = projected_box(cam, s.log[30], i, camera_from_world(s, cam, 30))
            if (depth > 0.5).all():
                first, last = extent(frame.instance == i)
                assert (first > low - 0.5).all() and (last < high + 0.5).all()
                seen += 1
    assert seen > 20
