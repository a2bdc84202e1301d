"""The frames matter: a planner that looks keeps its lane, a blindfolded one leaves the road."""

import dataclasses
import math

import numpy as np
import pytest
import shapely
import torch

from drivesim.generation.layout import LayoutRaster
from drivesim.geometry import project_to_polyline
from drivesim.loading import make_lanes, rings
from drivesim.rigs import rig
from drivesim.roadmap import RoadMap
from drivesim.simulator import simulate
from drivesim.types import Ground, Map, Marking, Polylines
from planners.lane_follow import LaneFollow

from .worlds import path, scenario

SPEED, RADIUS = 8.0, 45.0


@pytest.fixture(scope="module")
def bend():
    """Two lanes: 20 m straight, then a bend to the left of 45 m radius."""
    s = np.arange(-30, 160.0)
    yaw = np.clip(s - 20, 0, RADIUS * math.pi * 0.75) / RADIUS
    center = np.stack([np.minimum(s, 20) + RADIUS * np.sin(yaw), RADIUS * (1 - np.cos(yaw))], -1)
    normal = np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    flat = lambda line: np.column_stack([line, 0 * s])  # noqa: E731
    lanes = make_lanes([flat(center), flat(center + 3.5 * normal)[::-1]], [3.5, 3.5])
    lines = [torch.from_numpy(flat(center + o * normal)) for o in (-1.75, 1.75, 5.25)]
    kinds = [int(Marking.SOLID_WHITE), int(Marking.DASHED_WHITE), int(Marking.SOLID_WHITE)]
    area = shapely.LineString(center + 1.75 * normal).buffer(3.9, cap_style="flat")
    map = Map(lanes, rings(area), Polylines.of([]), Polylines.of(lines, kinds, dims=3), Ground.flat())
    way = SPEED * 0.1 * np.arange(86)
    xy = np.stack([np.interp(way, s, center[:, i]) for i in (0, 1)], -1)
    ego = path(torch.from_numpy(xy), torch.from_numpy(np.interp(way, s, yaw)))
    return scenario(ego, map=map, route=torch.from_numpy(center).float(), cameras=rig("nuscenes"))


class Altered(LayoutRaster):
    """The raster with something done to its camera or to its picture."""

    def render(self, state, world, cameras):
        frames, world = super().render(state, world, [self.move(c) for c in cameras])
        return {name: f.replace(rgb=self.show(f.rgb)) for name, f in frames.items()}, world

    def move(self, camera):
        return camera

    def show(self, rgb):
        return rgb


class Blindfold(Altered):
    def show(self, rgb):
        return torch.zeros_like(rgb)


class Shifted(Altered):
    """The camera hangs 0.6 m further left than its calibration says."""

    def move(self, camera):
        shift = torch.eye(4, dtype=torch.float64)
        shift[1, 3] = 0.6
        return dataclasses.replace(camera, ego_from_camera=shift @ camera.ego_from_camera)


def outside(rollout, bend):
    return ~RoadMap.of(bend.scene.map).inside(rollout.agents.xy[:, 0])


def test_it_keeps_its_lane_in_a_bend(bend):
    rollout = simulate(bend, LaneFollow(cruise=SPEED), LayoutRaster())
    _, lateral, _ = project_to_polyline(rollout.agents.xy[:, 0], bend.scene.briefing.route)
    assert float(lateral.abs().max()) < 0.8 and not bool(outside(rollout, bend).any())
    assert float(rollout.agents.yaw[-1, 0]) > 0.7 and float(rollout.agents.speed[-1, 0]) > 5


def test_blindfolded_it_leaves_the_road(bend):
    rollout = simulate(bend, LaneFollow(cruise=SPEED), Blindfold())
    assert bool(outside(rollout, bend)[-1]) and float(rollout.agents.yaw[-1, 0].abs()) < 0.05


def test_with_its_camera_moved_it_steers_otherwise(bend):
    plans = {}
    for generator in (LayoutRaster, Shifted):
        short = dataclasses.replace(bend, log=bend.log[:3])
        plans[generator] = simulate(short, LaneFollow(), generator()).plans[0]
    aside = plans[Shifted].poses[-1, 1] - plans[LayoutRaster].poses[-1, 1]
    assert float(aside) == pytest.approx(-0.6, abs=0.25)  # it believes to be too far left


def test_it_stops_before_what_is_no_road(bend):
    class Wall(Altered):
        def show(self, rgb):
            rgb = rgb.clone()
            rgb[:, 100:205, 130:270] = torch.tensor([180, 20, 20], dtype=torch.uint8)[:, None, None]
            return rgb

    rollout = simulate(bend, LaneFollow(cruise=SPEED), Wall())
    assert float(rollout.agents.speed[-1, 0]) < 1.0
