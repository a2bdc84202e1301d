"""What a town's cameras and lidar would have recorded, drawn by the layout raster when somebody looks.

The drawings are exact and repeatable, so that a photo from any other place can be had, too: `SensorLog.drawn_by` is
who draws them. A sweep is taken in an instant, without the turn of a real lidar's head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drivesim.camera import rays
from drivesim.errors import InputError
from drivesim.types import Agents, Body, Camera, Cause, Frames, RecordedImage, RecordedSweep, Scenario, SensorLog, State

SEAT = (0.94, 0.0, 1.84)
"""Where the lidar sits in the ego frame [m]: nuScenes' LIDAR_TOP, rounded."""

ELEVATIONS = {32: (-30.67, 10.67), 64: (-25.0, 15.0)}
"""Lowest and highest beam [deg] by their number: Velodyne's HDL-32E; Hesai's Pandar64, its beams spread evenly."""

TURN = 0.2  # [deg] between two columns of a sweep: Pandar64 at 10 Hz
PIXELS = 768  # across a quarter of the horizon: at most 0.15 degrees from one to the next


@dataclass(frozen=True)
class Lidar:
    beams: int = 64
    reach: float = 120.0  # [m] along the beam
    noise: float = 0.0  # standard deviation along the beam [m]

    def __post_init__(self) -> None:
        if self.beams not in ELEVATIONS:
            raise InputError(f"scenarios.beams={self.beams}: a lidar here has {' or '.join(map(str, ELEVATIONS))}")
        if not (0 < self.reach <= 1000 and 0 <= self.noise <= 1):
            raise InputError(f"scenarios.reach={self.reach}, noise={self.noise}: reach is 0 to 1000 m, noise 0 to 1 m")


@dataclass(frozen=True, eq=False)
class Recorder:
    """WorldGenerator of one town: draws it as it was at a step of its log, or as it would have been."""

    scenario: Scenario  # without sensors
    lidar: Lidar

    @cached_property
    def _raster(self):
        from drivesim.generation.layout import LayoutRaster

        return LayoutRaster()

    @cached_property
    def _world(self):
        return self._raster.remember(self.scenario)

    def __getstate__(self) -> dict:
        return {"scenario": self.scenario, "lidar": self.lidar}

    def log(self) -> SensorLog:
        """Photos of every camera and a sweep at every step."""
        scene, steps = self.scenario.scene, range(self.scenario.steps)
        dt, ego = scene.briefing.dt, scene.briefing.vehicle.world_from_ego(_double(self.scenario.log[:, 0]))
        images = {
            camera.name: tuple(
                RecordedImage(camera, k * dt, ego[k] @ camera.ego_from_camera.double(), _Photo(self, k, camera))
                for k in steps
            )
            for camera in scene.briefing.cameras
        }
        seat = torch.tensor([*SEAT, 1.0], dtype=torch.float64)
        sweeps = tuple(RecordedSweep(k * dt, (ego[k] @ seat)[:3], _Sweep(self, k)) for k in steps)
        return SensorLog(images, sweeps, self)

    def remember(self, scenario: Scenario):
        """The world of the town that it was made for, whose scene the scenario must have."""
        if scenario.scene is not self.scenario.scene:
            raise InputError(f"{scenario.id}: these recordings are drawings of {self.scenario.id}, another scene")
        return self._world

    def render(self, state: State, world, cameras: Sequence[Camera]):
        return self._raster.render(state, world, cameras)

    def frames(self, step: int, cameras: Sequence[Camera]) -> Frames:
        """What cameras see at a step of the log."""
        agents = self.scenario.log[step]
        still = torch.zeros_like(agents.yaw)
        state = State(agents, Body(still, still), torch.tensor(step), torch.tensor(int(Cause.RUNNING)))
        return self._raster.render(state, self._world, cameras)[0]


class _Photo(NamedTuple):
    recorder: Recorder
    step: int
    camera: Camera

    def __call__(self) -> Tensor:
        return self.recorder.frames(self.step, (self.camera,))[self.camera.name].rgb


class _Sweep(NamedTuple):
    recorder: Recorder
    step: int

    def __call__(self) -> Tensor:
        """Points lie exactly on what is drawn: a beam takes the pixel nearest to it, and that pixel's own ray."""
        recorder, lidar = self.recorder, self.recorder.lidar
        cameras, (view, row, column) = _pattern(lidar.beams)
        frames = recorder.frames(self.step, cameras)
        depth = np.stack([frames[camera.name].depth.numpy() for camera in cameras])[view, row, column].astype(float)
        beam = rays(cameras[0]).numpy()[row, column]
        distance = depth * np.linalg.norm(beam, axis=1)
        hit = distance <= lidar.reach
        points = beam[hit] * depth[hit, None]
        if lidar.noise:
            seed = int(recorder.scenario.fingerprint[:16], 16)
            error = np.random.default_rng([seed, self.step]).normal(0.0, lidar.noise, hit.sum())
            points *= (1 + error / distance[hit])[:, None]
        scenario = recorder.scenario
        ego = scenario.scene.briefing.vehicle.world_from_ego(_double(scenario.log[self.step, 0]))
        pose = torch.stack([ego @ camera.ego_from_camera for camera in cameras]).numpy()[view[hit]]
        world = np.einsum("nij,nj->ni", pose[:, :3, :3], points) + pose[:, :3, 3]
        return torch.from_numpy(world.astype(np.float32))


@lru_cache(maxsize=2)
def _pattern(beams: int) -> tuple[tuple[Camera, ...], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Four cameras around the lidar, and the view, row and column (N,) of the pixel that each beam takes."""
    low, high = np.deg2rad(ELEVATIONS[beams])
    focal = PIXELS / 2
    up, down = (int(np.ceil(focal * np.sqrt(2) * abs(np.tan(a)))) + 1 for a in (high, low))
    matrix = torch.tensor([[focal, 0, focal], [0, focal, up], [0, 0, 1]], dtype=torch.float64)
    cameras = tuple(Camera(f"lidar {q}", PIXELS, up + down, matrix, _facing(q * np.pi / 2)) for q in range(4))
    azimuth, elevation = np.meshgrid(np.deg2rad(np.arange(-45, 315, TURN)), np.linspace(low, high, beams))
    view = np.floor((azimuth + np.pi / 4) / (np.pi / 2) + 1e-9).astype(int)
    aside = azimuth - view * np.pi / 2
    column = np.clip(np.floor(focal - focal * np.tan(aside)), 0, PIXELS - 1).astype(int)
    row = np.floor(up - focal * np.tan(elevation) / np.cos(aside)).astype(int)
    taken = np.unique(np.stack([view, row, column], -1).reshape(-1, 3), axis=0)
    return cameras, tuple(taken.T)


def _facing(yaw: float) -> Tensor:
    """ego_from_camera (4, 4) of a level camera in the lidar's seat."""
    c, s = np.cos(yaw), np.sin(yaw)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[s, 0, c], [-c, 0, s], [0, -1, 0]])
    pose[:3, 3] = SEAT
    return torch.from_numpy(pose)


def _double(agents: Agents) -> Agents:
    return agents.map(lambda x: x.double() if x.is_floating_point() else x)
