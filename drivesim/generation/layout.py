"""Generation v1: what the layout says, drawn. No photo is used and nothing is learned, so every pixel is a proxy.

The pictures are a function of the scene (map, scenery, signal plan, briefing) and the state alone; the log's future is
out of reach.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import torch
from torch import Tensor

from ..camera import distort, rays, world_from_camera
from ..errors import InputError
from ..geometry import rotate
from ..types import Agents, Camera, Frame, Frames, Kind, Provenance, Scenario, Scene, Semantic, Signals, State
from .agents import SEMANTICS, models, shape_of
from .antialias import soften
from .rasterizer import Instances, View, see, triangles
from .shading import SUN, Lens, Picture, shade
from .stage import FAR_TREE, Stage, build, hashed, instances
from .surfaces import surfaces
from .surroundings import Shadows, shadows
from .textures import atlas


@dataclass(frozen=True, eq=False)
class LayoutWorld:
    """What the raster remembers of a scenario: its scene, as meshes."""

    scene: Scene
    stage: Stage


@dataclass(frozen=True)
class LayoutRaster:
    """WorldGenerator that draws the layout in software. Frames do not depend on `threads`."""

    threads: int = 0  # 0: as many as numba may use

    def remember(self, scenario: Scenario) -> LayoutWorld:
        return LayoutWorld(scenario.scene, build(scenario.scene))

    def render(self, state: State, world: LayoutWorld, cameras: Sequence[Camera]) -> tuple[Frames, LayoutWorld]:
        """Frames by camera name. Provenance is PROXY for all that was drawn, the sky included; NONE (black) where a
        lens lets no light reach the pixel. Depth lies on the flat faces of the meshes, which stand for round things."""
        agents = state.agents.map(lambda x: x.double() if x.is_floating_point() else x)
        step = int(state.step)
        briefing = world.scene.briefing
        ego = briefing.vehicle.world_from_ego(agents[..., 0])
        shown = _shown(world.stage, agents, world.scene.signals, step)
        dark = shadows(world.stage.paint, np.concatenate([world.stage.shade, _shade(agents)]))
        pool = each(self.threads or numba.get_num_threads())
        shots = [_Shot.of(camera, world_from_camera(ego, camera)) for camera in cameras]
        _draw(world.stage, shown, dark, shots, pool, bands=2 if len(shots) < 4 else 1)
        return {s.camera.name: s.frame(step * briefing.dt) for s in shots}, world


@dataclass(frozen=True)
class NoImages:
    """WorldGenerator without pictures, for planners that look at nothing."""

    def remember(self, scenario: Scenario) -> None:
        return None

    def render(self, state: State, world: None, cameras: Sequence[Camera]) -> tuple[Frames, None]:
        if len(cameras):
            names = ", ".join(camera.name for camera in cameras)
            raise InputError(
                f"generation=none makes no images, but the planner asks for {names}: use generation=raster"
            )
        return {}, world


# one picture


@dataclass(frozen=True, eq=False)
class _Shot:
    camera: Camera
    view: View
    lens: Lens
    reached: np.ndarray | None  # (h, w) bool pixels that light can reach; None: all
    nearness: np.ndarray
    front: np.ndarray
    out: Picture
    soft: np.ndarray  # (3, h, w) uint8, the final colours

    @staticmethod
    def of(camera: Camera, world_from_camera: Tensor) -> _Shot:
        lens, params, (width, height), reached = optics(
            camera.width,
            camera.height,
            tuple(camera.intrinsics.double().flatten().tolist()),
            tuple(camera.distortion),
        )
        pose = world_from_camera.numpy()
        rotation = pose[:3, :3].T
        view = View(np.concatenate([rotation, -rotation @ pose[:3, 3:]], 1), params, width, height)
        h, w = camera.height, camera.width
        out = Picture(
            np.empty((3, h, w), np.uint8), np.empty((h, w), np.float32), np.empty((h, w), np.uint8),
            np.empty((h, w), np.int16),
        )  # fmt: skip
        nearness, front = np.empty((height, width), np.float32), np.empty((height, width), np.int32)
        return _Shot(camera, view, lens, reached, nearness, front, out, np.empty_like(out.rgb))

    def frame(self, time: float) -> Frame:
        provenance = np.full(self.out.depth.shape, int(Provenance.PROXY), np.uint8)
        if self.reached is not None:
            provenance[~self.reached] = int(Provenance.NONE)
            self.soft[:, ~self.reached] = 0
        parts = (self.soft, self.out.depth, self.out.semantics, self.out.instance, provenance)
        return Frame(time, *(torch.from_numpy(x) for x in parts))


@lru_cache(maxsize=64)
def optics(
    width: int, height: int, intrinsics: tuple[float, ...], distortion: tuple[float, ...]
) -> tuple[Lens, np.ndarray, tuple[int, int], np.ndarray | None]:
    """The lens, the ideal pinhole behind it (fx, fy, cx, cy and size) and the pixels that light reaches.

    With distortion the pinhole is enlarged to hold every ray, and at least as fine as the picture everywhere.
    """
    matrix = torch.tensor(intrinsics, dtype=torch.float64).reshape(3, 3)
    camera = Camera("", width, height, matrix, torch.eye(4, dtype=torch.float64), distortion)
    plane = rays(camera)[..., :2]
    fx, skew, cx, _, fy, cy = intrinsics[:6]
    if not any(distortion) and skew == 0:
        pick = np.arange(width * height, dtype=np.int32).reshape(height, width)
        return Lens(plane.float().numpy(), pick), np.array([fx, fy, cx, cy]), (width, height), None
    ones = torch.ones_like(plane[..., :1])
    back = (torch.cat([distort(plane, distortion), ones], -1) @ matrix.T)[..., :2].numpy()
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    reached = np.hypot(back[..., 0] - x, back[..., 1] - y) < 0.1
    p = plane.numpy()
    low, high = p[reached].min(0), p[reached].max(0)
    focal = np.array([_finest(p[..., 0], reached, 1, fx), _finest(p[..., 1], reached, 0, fy)])
    focal = np.minimum(focal, 3 * np.array([width, height]) / (high - low))
    size = np.ceil((high - low) * focal).astype(int) + 2
    params = np.concatenate([focal, 1 - low * focal])
    column, row = (np.floor(p[..., k] * params[k] + params[2 + k]).astype(np.int64) for k in (0, 1))
    pick = np.where(reached, row * size[0] + column, -1).astype(np.int32)
    return Lens(plane.float().numpy(), pick), params, (int(size[0]), int(size[1])), reached


def _finest(plane: np.ndarray, reached: np.ndarray, axis: int, focal: float) -> float:
    """Focal length at which a step of one ideal pixel is nowhere wider than one of the picture's."""
    both = np.minimum(reached, np.roll(reached, -1, axis))
    both[(slice(None), -1) if axis else -1] = False
    step = np.roll(plane, -1, axis) - plane
    return max(focal, 1 / step[both].min()) if both.any() else focal


def _draw(stage: Stage, shown: Instances, dark: Shadows, shots: Sequence[_Shot], each: Callable, bands: int) -> None:
    looks, texels = surfaces(), atlas()
    found = each(lambda shot: triangles(stage.geometry, _leafy(stage, shown, shot.view), shot.view), shots)
    jobs = [(shot, f, k / bands, (k + 1) / bands) for shot, f in zip(shots, found, strict=True) for k in range(bands)]

    def rows(height: int, a: float, b: float) -> tuple[int, int]:
        return int(height * a), int(height * b)

    each(lambda j: see(j[1], rows(j[0].view.height, j[2], j[3]), j[0].nearness, j[0].front), jobs)
    each(
        lambda j: shade(
            rows(j[0].camera.height, j[2], j[3]), j[0].lens, j[0].view, j[0].nearness, j[0].front, j[1],
            stage.geometry, shown, looks, texels, stage.paint, dark, j[0].out,
        ),
        jobs,
    )  # fmt: skip
    each(
        lambda j: soften(
            rows(j[0].camera.height, j[2], j[3]), j[0].out.rgb, j[0].out.depth, j[0].out.semantics,
            j[0].out.instance, j[0].soft,
        ),
        jobs,
    )  # fmt: skip


def _leafy(stage: Stage, shown: Instances, view: View) -> Instances:
    """The instances with coarse meshes where they stand far from this camera."""
    n = len(stage.coarse)
    eye = -view.camera_from_world[:, :3].T @ view.camera_from_world[:, 3]
    far = (stage.coarse >= 0) & (np.linalg.norm(shown.center[:n] - eye, axis=1) > FAR_TREE)
    first, count = shown.first.copy(), shown.count.copy()
    first[:n][far], count[:n][far] = stage.coarse[far], stage.coarse_count[far]
    return shown._replace(first=first, count=count)


def each(threads: int) -> Callable[[Callable, Iterable], list]:
    if threads <= 1:
        return lambda function, items: [function(item) for item in items]
    pool = _pool(os.getpid(), threads)
    return lambda function, items: list(pool.map(function, items))


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Kept per process: threads do not survive a fork."""
    return ThreadPoolExecutor(threads, thread_name_prefix="raster")


# what moves


def _shown(stage: Stage, agents: Agents, signals: Signals, step: int) -> Instances:
    """The still instances, the lamps of the signals, then all valid agents but the ego."""
    lamps = stage.lamps[signals.at(step).numpy()]
    heads = stage.heads._replace(first=lamps[:, 0], count=lamps[:, 1])
    rows, owners = [], []
    boxes, sizes, kinds = agents.world_from_box.numpy(), agents.size.numpy(), agents.kind.tolist()
    for i in _drawable(agents):
        kind, size = kinds[i], tuple(sizes[i].tolist())
        stride = float(boxes[i, :2, 0] @ boxes[i, :2, 3]) if kind == Kind.PEDESTRIAN else 0.0
        name, colors = shape_of(kind, size, hashed(i, 3), stride), _colors(kind, hashed(i, 3))
        scale = np.divide(size, models()[name].size)
        matrix = np.concatenate([boxes[i, :3, :3] * scale, boxes[i, :3, 3:]], 1)
        first, count, radius = stage.runs[name]
        rows.append((first, count, matrix, colors, boxes[i, :3, 3], radius * scale.max()))
        owners.append((i, SEMANTICS.get(Kind(kind), Semantic.VEHICLE)))
    parts = [stage.still, heads, *([instances(rows, owners)] if rows else [])]
    return Instances(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _drawable(agents: Agents) -> list[int]:
    """Agents that are there, have a body and are not the ego."""
    known = torch.cat([agents.poses, agents.z[:, None], agents.pitch[:, None], agents.roll[:, None], agents.size], -1)
    there = agents.valid & known.isfinite().all(-1) & (agents.size > 0).all(-1)
    there[0] = False
    return there.nonzero()[:, 0].tolist()


_CAR_COLORS = np.array([
    (0.62, 0.62, 0.60), (0.70, 0.70, 0.68), (0.30, 0.31, 0.32), (0.30, 0.31, 0.33), (0.085, 0.088, 0.092),
    (0.012, 0.012, 0.014), (0.016, 0.016, 0.018), (0.022, 0.055, 0.20), (0.03, 0.10, 0.26), (0.38, 0.022, 0.02),
    (0.16, 0.014, 0.018), (0.34, 0.29, 0.21), (0.03, 0.10, 0.06), (0.14, 0.10, 0.07),
])  # fmt: skip
_CLOTHES = np.array([
    (0.02, 0.02, 0.025), (0.03, 0.05, 0.13), (0.45, 0.45, 0.43), (0.30, 0.04, 0.04), (0.05, 0.16, 0.10),
    (0.50, 0.34, 0.06), (0.10, 0.18, 0.36), (0.16, 0.11, 0.08), (0.42, 0.30, 0.34), (0.07, 0.07, 0.075),
])  # fmt: skip


@lru_cache(maxsize=4096)
def _colors(kind: int, draw: int) -> np.ndarray:
    """Two plausible colours (2, 3), linear, from a random number."""
    a, b = draw >> 4, draw >> 12
    if kind in (Kind.PEDESTRIAN, Kind.BICYCLE, Kind.MOTORCYCLE):
        return np.stack([_CLOTHES[a % len(_CLOTHES)], _CLOTHES[b % 8 if b % 3 else b % 2]])
    if kind in (Kind.TRUCK, Kind.BUS, Kind.TRAILER):
        return np.stack([_CAR_COLORS[(0, 1, 2, 7, 9, 1)[a % 6]], _CAR_COLORS[(7, 9, 12, 4)[b % 4]]])
    if kind == Kind.OBJECT:
        return np.ones((2, 3)) * (0.6 + (a % 5) * 0.12)
    return np.stack([_CAR_COLORS[a % len(_CAR_COLORS)], _CAR_COLORS[b % len(_CAR_COLORS)]])


def _shade(agents: Agents) -> np.ndarray:
    """Shadows (N, 7) of the agents, the ego's too: a dark one underneath and a paler one away from the sun."""
    who = [*([0] if bool(agents.valid[0]) else []), *_drawable(agents)]
    yaw, size, one = agents.yaw[who], agents.size[who], torch.ones(len(who), 1, dtype=torch.float64)
    turn, half = torch.stack([yaw.cos(), yaw.sin()], -1), size[:, :2] / 2
    drift = 0.5 * size[:, 2:] * torch.from_numpy(SUN[:2] / SUN[2])
    longer = half + rotate(drift, -yaw).abs() * 0.8  # from the foot to where the top's shadow falls
    under = torch.cat([agents.xy[who], turn, half, 0.78 * one], -1)
    cast = torch.cat([agents.xy[who] - drift, turn, longer, 0.42 * one], -1)
    return torch.cat([under, cast]).numpy()
