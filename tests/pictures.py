"""A world of one grey plane for tests of films, and a short drive through it with plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from drivesim.camera import rays, world_from_camera
from drivesim.rigs import rig
from drivesim.types import (
    Camera,
    Frame,
    Frames,
    Plan,
    Provenance,
    Rollout,
    Scenario,
    Semantic,
    State,
    Vehicle,
)
from tests.worlds import rollout, scenario, track

GREY, SKY = 120, 200


@dataclass(frozen=True)
class FlatGround:
    """Renders the plane z = 0 in grey under a light sky, and a wall across the road at x = `wall` if there is one."""

    wall: float = np.inf

    def remember(self, scenario: Scenario) -> Any:
        return scenario.scene.briefing.vehicle

    def render(self, state: State, world: Vehicle, cameras: Sequence[Camera]) -> tuple[Frames, Any]:
        world_from_ego = world.world_from_ego(state.agents[0])
        return {camera.name: self._frame(state, world_from_ego, camera) for camera in cameras}, world

    def _frame(self, state: State, world_from_ego: torch.Tensor, camera: Camera) -> Frame:
        pose = world_from_camera(world_from_ego, camera).numpy()
        ray = _rays(camera) @ pose[:3, :3].T
        with np.errstate(divide="ignore"):
            ground = np.where(ray[..., 2] < -1e-6, -pose[2, 3] / ray[..., 2], np.inf)
            wall = (self.wall - pose[0, 3]) / ray[..., 0]
        wall = np.where((wall > 0) & (wall < ground), wall, np.inf)
        depth = np.minimum(ground, wall)
        rgb = np.where(np.isinf(depth), SKY, GREY).astype(np.uint8)
        semantics = np.where(np.isinf(depth), Semantic.SKY, np.where(wall < ground, Semantic.BUILDING, Semantic.ROAD))
        semantics = torch.from_numpy(semantics.astype(np.uint8))
        nobody = torch.full(depth.shape, -1, dtype=torch.int16)
        return Frame(
            float(state.step) * 0.1, torch.from_numpy(np.stack([rgb] * 3)), torch.from_numpy(depth).float(),
            semantics, nobody, torch.full_like(semantics, int(Provenance.PROXY)),
        )  # fmt: skip


_RAYS: dict[tuple, np.ndarray] = {}


def _rays(camera: Camera) -> np.ndarray:
    key = camera.width, camera.height, camera.intrinsics.numpy().tobytes()
    if key not in _RAYS:
        _RAYS[key] = rays(camera).numpy()
    return _RAYS[key]


def drive(steps: int = 15, start: int = 5, cameras: Sequence[str] = (), id: str = "test") -> tuple[Scenario, Rollout]:
    """10 m/s along y = 0 with a plan straight on every 0.5 s from `start`; one car stands beside the road.

    All six cameras of the nuScenes rig, or only those named.
    """
    rigged = tuple(c for c in rig("nuscenes", 200, 112) if not cameras or c.name in cameras)
    s = scenario(
        track((0, 0), speed=10, steps=steps), track((20, 3.5), steps=steps), start=start, id=id,
        cameras=rigged,
    )  # fmt: skip
    return s, with_plans(rollout(s), straight_plan(10.0), every=5)


def straight_plan(speed: float, horizon: float = 4.0) -> Plan:
    time = torch.arange(1, round(horizon / 0.5) + 1) * 0.5
    return Plan(torch.stack([speed * time, 0 * time, 0 * time], -1), time)


def with_plans(r: Rollout, plan: Plan, every: int) -> Rollout:
    made = tuple(range(r.start, r.agents.valid.shape[0], every))
    return Rollout(**{**vars(r), "plans": (plan,) * len(made), "plan_steps": made})
