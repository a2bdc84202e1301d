"""The compositor: a small street whose photos are drawings, so that what any camera must see is known exactly."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from drivesim.camera import rays, world_from_camera
from drivesim.generation.layout import LayoutRaster
from drivesim.generation.remembered.bank import Bank
from drivesim.generation.remembered.blend import Target
from drivesim.generation.remembered.fill import push_pull
from drivesim.generation.remembered.reference import blend_plainly
from drivesim.generation.remembered.shadow import HALO, UNDER, darken, uncover
from drivesim.generation.remembered.world import MemoryWorld, World, _View
from drivesim.memory.remembered import STANDING, Photos, Remembered, Surfels
from drivesim.types import Camera, Provenance, Semantic
from tests.worlds import scenario, straight_road, track

OBSERVED, REPROJECTED, PROXY = int(Provenance.OBSERVED), int(Provenance.REPROJECTED), int(Provenance.PROXY)
PARKED, DRIVING = 1, 2


def camera(name: str, yaw: float = 0.0) -> Camera:
    c, s = np.cos(yaw), np.sin(yaw)
    forward, left = np.array([c, s, 0]), np.array([-s, c, 0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([-left, [0, 0, -1], forward], 1)
    pose[:3, 3] = 1.5, 0, 1.6
    matrix = torch.tensor([[60.0, 0, 48], [0, 60, 32], [0, 0, 1]], dtype=torch.float64)
    return Camera(name, 96, 64, matrix, torch.from_numpy(pose))


CAMERAS = (camera("front"), camera("left", 0.9))


@lru_cache(maxsize=1)
def street():
    """A log in which the ego drives past a parked car while another drives ahead; photos every half second."""
    return scenario(
        track((0, 0), speed=4), track((14, -3.2)), track((10, 3.5), speed=5), map=straight_road(lanes=2),
        cameras=CAMERAS,
    )  # fmt: skip


def state_at(step: int, **edits):
    from drivesim.simulator import start_state

    state, _ = start_state(street())
    agents = street().log[step].map(torch.clone)
    for name, (who, value) in edits.items():
        getattr(agents, name)[who] = value
    return state.replace(agents=agents, step=torch.tensor(step))


def drawn(state, cameras=CAMERAS):
    return LayoutRaster(1).render(state, LayoutRaster(1).remember(street()), cameras)[0]


@lru_cache(maxsize=1)
def memory() -> Remembered:
    """What perfect sensors would remember: each photo's pixels, lifted, are the surfels."""
    s = street()
    boxes = s.log.world_from_box.double().numpy()
    points, photos = [], []
    for c in CAMERAS:
        parts = []
        for step in range(0, 41, 5):
            state = state_at(step)
            frame, frame_half = (drawn(state, [x])[c.name] for x in (c, c.resized(48, 32)))
            ego = s.log[step, 0].map(lambda x: x.double() if x.is_floating_point() else x)
            pose = world_from_camera(s.scene.briefing.vehicle.world_from_ego(ego), c).numpy()
            parts.append((step * 0.1, pose, frame, frame_half))
            points.append(_lifted(c, pose, frame, boxes[step]))
        depth = np.stack([p[3].depth.numpy() for p in parts]).astype(np.float16)
        owner = np.stack([p[3].instance.numpy() for p in parts])
        photos.append(Photos(
            c.name, c.intrinsics.numpy(), np.array([p[0] for p in parts]), np.stack([p[1] for p in parts]),
            np.stack([p[2].rgb.permute(1, 2, 0).numpy() for p in parts]), np.ones((len(parts), 3), np.float32),
            depth, owner, np.ones(depth.shape, bool),
        ))  # fmt: skip
    columns = [np.concatenate(x) for x in zip(*points, strict=True)]
    order = np.argsort(columns[4], kind="stable")
    xyz, normal, radius, semantic, owner = (x[order] for x in columns)
    n = len(xyz)
    surfels = Surfels(xyz, normal, radius, semantic, owner, np.ones(n, np.float32), np.zeros(n, bool))
    return Remembered(surfels, tuple(photos), boxes, 0.1)


def _lifted(c, pose, frame, boxes):
    depth, who = frame.depth.numpy(), frame.instance.numpy().astype(np.int32)
    there = np.isfinite(depth) & (depth < 80)
    ray = rays(c).numpy()
    xyz = (ray * np.where(there, depth, 1)[..., None]) @ pose[:3, :3].T + pose[:3, 3]
    normal = np.where(np.isin(frame.semantics.numpy(), range(1, 6))[..., None], [0, 0, 1], -ray @ pose[:3, :3].T)
    out, local = [], xyz.copy()
    for a in np.unique(who[there & (who >= 0)]):
        own = who == a
        local[own] = (xyz[own] - boxes[a, :3, 3]) @ boxes[a, :3, :3]
        normal[own] = normal[own] @ boxes[a, :3, :3]
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    size = np.where(np.abs(normal[..., 2]) > 0.9, 0.02 * depth + 0.012 * depth**2 / 3, 0.012 * depth)
    for x in (local, normal, size, frame.semantics.numpy(), who):
        out.append(x[there])
    return [out[0].astype(np.float32), out[1].astype(np.float32), np.minimum(out[2], 0.6).astype(np.float32), *out[3:]]


@lru_cache(maxsize=1)
def world() -> World:
    return World.of(street(), memory())


def render(state, cameras=CAMERAS, known=None, threads=1):
    return MemoryWorld(threads).render(state, known or world(), cameras)[0]


def psnr(a, b, where):
    error = (a.float() - b.float()).square().mean(0)[where].mean()
    return 10 * float(torch.log10(255**2 / error))


def test_from_where_a_photo_was_taken_it_is_seen_again():
    frames = render(state_at(20))
    for c in CAMERAS:
        photo = next(p for p in memory().photos if p.camera == c.name).rgb[4]
        frame = frames[c.name]
        observed = frame.provenance == OBSERVED
        assert float(observed.float().mean()) > 0.85
        assert psnr(frame.rgb, torch.from_numpy(photo).permute(2, 0, 1), observed) > 38


def test_between_photos_the_street_is_reprojected():
    state = state_at(22)
    frames, truth = render(state), drawn(state)
    for c in CAMERAS:
        frame = frames[c.name]
        seen = (frame.provenance == REPROJECTED) & (frame.instance < 0)
        assert float(seen.float().mean()) > 0.6
        assert int((frame.provenance == OBSERVED).sum()) == 0, "half a metre beside every photo"
        assert psnr(frame.rgb, truth[c.name].rgb, seen) > 27
        both = seen & frame.depth.isfinite() & truth[c.name].depth.isfinite() & (truth[c.name].depth < 40)
        off = (frame.depth - truth[c.name].depth).abs() / truth[c.name].depth
        assert float(off[both].median()) < 0.01


def test_no_photo_within_the_gap_is_used():
    near = world().without(2.0, 0.25)
    assert sorted(set(np.round(near.bank.time[~near.allowed], 3))) == [2.0]
    assert int((render(state_at(20), known=near)["front"].provenance == OBSERVED).sum()) == 0
    none = world().without(2.0, 100.0)
    state = state_at(20)
    frame, layout = render(state, known=none)["front"], drawn(state)["front"]
    assert torch.equal(frame.rgb, layout.rgb) and bool((frame.provenance == PROXY).all())


def test_an_agent_is_drawn_where_it_is_now():
    state = state_at(22)
    moved = state_at(22, xy=(DRIVING, state.agents.xy[DRIVING] - torch.tensor([2.0, 0.0])))
    frame, truth = render(moved)["front"], drawn(moved)["front"]
    own, exact = frame.instance == DRIVING, truth.instance == DRIVING
    assert int((own & exact).sum()) > 0.85 * int((own | exact).sum())
    assert float((frame.provenance[own] == REPROJECTED).float().mean()) > 0.6, "it keeps its recorded looks"


def test_who_is_gone_leaves_no_ghost():
    state = state_at(22, valid=(PARKED, torch.tensor(False)))
    frame, truth = render(state)["front"], drawn(state)["front"]
    there = render(state_at(22))["front"].instance == PARKED
    assert int(there.sum()) > 60 and int((frame.instance == PARKED).sum()) == 0
    ground = there & (truth.semantics >= Semantic.ROAD) & (truth.semantics <= Semantic.TERRAIN)
    assert psnr(frame.rgb, truth.rgb, ground) > 20, "ground, not car"


def test_who_is_not_in_the_log_is_drawn_as_a_mesh():
    state = state_at(22)
    agents = state.agents.map(lambda x: torch.cat([x, x[-1:]]))
    agents.xy[3] = agents.xy[0] + torch.tensor([9.0, 0.5])
    body = state.body.map(lambda x: torch.cat([x, x[-1:]]))
    frame = render(state.replace(agents=agents, body=body))["front"]
    new = frame.instance == 3
    assert int(new.sum()) > 100 and bool((frame.provenance[new] == PROXY).all())
    assert bool((frame.semantics[new] == Semantic.VEHICLE).all())


def test_a_place_looks_the_same_when_the_ego_comes_back():
    here, there = state_at(22), state_at(33)
    generator, known = MemoryWorld(1), world()
    first, known = generator.render(here, known, CAMERAS)
    _, known = generator.render(there, known, CAMERAS)
    again, _ = generator.render(here, known, CAMERAS)
    for name in first:
        for field in ("rgb", "depth", "semantics", "instance", "provenance"):
            assert torch.equal(getattr(first[name], field), getattr(again[name], field))


def test_threads_and_company_change_nothing():
    state = state_at(22)
    one, three = render(state, threads=1), render(state, CAMERAS[::-1], threads=3)
    alone = render(state, CAMERAS[:1], threads=2)["front"]
    for name in one:
        assert torch.equal(one[name].rgb, three[name].rgb) and torch.equal(one[name].depth, three[name].depth)
    assert torch.equal(one["front"].rgb, alone.rgb)


def test_a_bent_lens_sees_the_same_street():
    bent = replace(CAMERAS[0], distortion=(-0.1, 0.01, 0.0, 0.0, 0.0))
    frame, truth = render(state_at(22), [bent])["front"], drawn(state_at(22), [bent])["front"]
    seen = frame.provenance == REPROJECTED
    assert float(seen.float().mean()) > 0.6 and psnr(frame.rgb, truth.rgb, seen & (frame.instance < 0)) > 24


@pytest.mark.parametrize("step", [20, 22])
def test_kernel_and_plain_form_agree(step):
    from drivesim.generation.remembered.eye import Eye

    state = state_at(step, xy=(DRIVING, torch.tensor([16.0, 3.0])))
    agents = state.agents.map(lambda x: x.double() if x.is_floating_point() else x)
    ego = street().scene.briefing.vehicle.world_from_ego(agents[0])
    view = _View.of(world(), agents, Eye.of(CAMERAS[0], ego), step * 0.1)
    view.place(), view.choose(), view.blend(0), view.blend(1)
    owners = world().owners
    code = (owners.owner[view.run] + 2).astype(np.int32)
    target = Target(view.eye.lens.astype(np.float32), view.seen.depth, view.seen.run, code, np.ones(3, np.float32))
    rgb, provenance = blend_plainly(target, world().album, view.sightings, view.choice)
    assert np.mean(provenance.numpy() == view.provenance) > 0.999
    both = (provenance.numpy() == view.provenance) & (view.provenance > 0)
    off = np.abs(rgb.numpy() - view.rgb).max(-1)[both]
    assert np.quantile(off, 0.99) < 0.05, "but where two photos cost the same to the last bit"
    assert set(np.unique(view.provenance)) >= {REPROJECTED}


def test_push_and_pull():
    values, weight = np.zeros((9, 13, 1), np.float32), np.zeros((9, 13), np.float32)
    values[2, 3], weight[2, 3] = 40.0, 1
    push_pull(values, weight)
    assert np.allclose(values, 40.0), "one known pixel fills all"
    values, weight = np.zeros((8, 8, 1), np.float32), np.zeros((8, 8), np.float32)
    values[:, 0], values[:, 7], weight[:, 0], weight[:, 7] = 10, 90, 1, 1
    push_pull(values, weight)
    assert (values[:, 0] == 10).all() and (values[:, 7] == 90).all()
    assert (values[:, 1:7] >= 10).all() and (values[:, 1:7] <= 90).all()
    assert values[4, 2, 0] < values[4, 5, 0]


def test_ground_under_a_box_is_dark_and_elsewhere_untouched():
    """From 5 m above, looking down, a box of 4 x 2 m is 80 x 40 px at 100 px focal length."""
    rgb, depth = np.full((100, 100, 3), 100, np.float32), np.full((100, 100), 5, np.float32)
    box_from_camera = np.array([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 5], [0, 0, 0, 1]])
    lens, half = np.array([100.0, 100, 50, 50]), np.array([[2.0, 1.0]])
    darken(rgb, depth, np.ones((100, 100), bool), lens, box_from_camera[None], half)
    assert rgb[50, 50, 0] == pytest.approx(100 * (1 - UNDER)) and rgb[2, 2, 0] == 100
    provenance = np.full((100, 100), REPROJECTED, np.uint8)
    uncover(provenance, depth, np.ones((100, 100), bool), lens, box_from_camera[None], half, np.array([1.5]))
    hole = provenance == 0
    assert hole.sum() == pytest.approx((80 + 40 * HALO) * (40 + 40 * HALO), rel=0.05)


def test_exposure_is_the_cameras_own_between_its_photos():
    m = memory()
    photos = [
        replace(p, gain=np.geomspace(1, 4, len(p.time))[:, None].repeat(3, 1).astype(np.float32)) for p in m.photos
    ]
    bank = Bank.of(replace(m, photos=tuple(photos)))
    every = np.ones(len(bank.time), bool)
    assert bank.exposure("front", 2.0, every) == pytest.approx(2.0)
    assert bank.exposure("front", 1.0, every & (bank.time > 1.4)) == pytest.approx(bank.gain[3])
    assert bank.exposure("roof", 2.0, every) == pytest.approx(1.0)
    assert (bank.memory.surfels.owner == STANDING).any()
