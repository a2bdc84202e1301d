"""Laws of the whole: on the synthetic town and on every real log that is here."""

import pytest
import torch

from drivesim.camera import project, rays, world_from_camera
from drivesim.config import source
from drivesim.control.perfect import Perfect
from drivesim.generation.layout import LayoutRaster
from drivesim.geometry import apply, invert
from drivesim.roadmap import RoadMap
from drivesim.simulator import simulate, start_state
from drivesim.types import Semantic
from planners.expert import Expert

from .roots import ROOTS


@pytest.fixture(scope="module", params=["synthetic", *ROOTS])
def scenario(request):
    root = ROOTS.get(request.param)
    if root is not None and not root.exists():
        pytest.skip(f"{root.relative_to(root.parents[1])} is not here")
    reader = source(request.param, root)
    left_out = reader.undrivable() if hasattr(reader, "undrivable") else {}
    return reader.load(next(id for id in reader.ids() if id not in left_out))


def test_expert_on_perfect_tracks_among_replayed_traffic_is_the_log(scenario):
    drive = simulate(scenario, Expert(), control=Perfect())
    log = scenario.log
    assert torch.equal(drive.agents.valid, log.valid)
    assert float((drive.agents.xy - log.xy)[log.valid].norm(dim=-1).max()) < 0.01
    assert float((drive.agents.z - log.z)[log.valid].abs().max()) < 0.01
    for angle in ("yaw", "pitch", "roll"):
        off = (getattr(drive.agents, angle) - getattr(log, angle))[log.valid]
        assert float(torch.remainder(off + torch.pi, 2 * torch.pi).sub(torch.pi).abs().max()) < 1e-3, angle


@pytest.fixture(scope="module")
def shown(scenario):
    """Per camera: the frame and where its pixels lie in the world (h, w, 3), from depth and calibration alone."""
    state, _ = start_state(scenario)
    generator, cameras = LayoutRaster(), scenario.scene.briefing.cameras
    frames, _ = generator.render(state, generator.remember(scenario), cameras)
    world_from_ego = scenario.scene.briefing.vehicle.world_from_ego(state.agents[0].to(torch.float64))
    views = []
    for camera in cameras:
        world_from, frame = world_from_camera(world_from_ego, camera), frames[camera.name]
        places = apply(world_from, (rays(camera) * frame.depth[..., None].double()).reshape(-1, 3))
        views.append((camera, frame, places.reshape(*frame.depth.shape, 3), world_from))
    return state, views


def test_road_pixels_lie_on_the_maps_ground(scenario, shown):
    """Unproject each road pixel by its depth: it lies on the ground, and that ground projects onto the pixel."""
    road, heights, misses = RoadMap.of(scenario.scene.map), [], []
    for camera, frame, places, world_from in shown[1]:
        paved = torch.isin(frame.semantics, torch.tensor([int(Semantic.ROAD), int(Semantic.MARKING)]).to(torch.uint8))
        near = paved & (frame.depth < 30)
        ground = places[near].clone()
        ground[:, 2] = road.ground(ground[:, :2].float()).double()
        heights.append((ground - places[near])[:, 2].abs())
        pixels, _ = project(camera, apply(invert(world_from), ground))
        y, x = torch.nonzero(near).double().unbind(-1)
        misses.append((pixels - torch.stack([x, y], -1) - 0.5).norm(dim=-1))
    height, miss = torch.cat(heights), torch.cat(misses)
    assert len(height) > 2000
    if scenario.source == "synthetic":
        assert float((miss <= 0.5).double().mean()) > 0.999
    else:  # measured ground is rough: the raster's grid keeps within centimetres of it
        assert float(height.quantile(0.98)) < 0.08


def test_pixels_of_agents_lie_in_their_boxes(shown):
    state, views = shown
    seen = 0
    for _, frame, places, _ in views:
        for agent in torch.unique(frame.instance[frame.instance > 0]).tolist():
            local = apply(invert(state.agents[agent].to(torch.float64).world_from_box), places[frame.instance == agent])
            half = state.agents.size[agent].double() / 2
            outside = (local - torch.stack([0 * half[0], 0 * half[0], half[2]])).abs() - half
            assert float(outside.amax()) < 0.05 + 0.02 * float(half.amax()), f"agent {agent}"
            seen += len(local)
    assert seen > 100
