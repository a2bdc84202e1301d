"""All that stands still in a scene, as instances of meshes, and the shapes that agents will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..roadmap import RoadMap
from ..types import Light, Map, Prop, Scene, Semantic
from . import scenery as shapes
from .agents import models
from .ground import drivable_area, ground_mesh, heights
from .mesh import Mesh, geometry
from .paint import Paint, paint
from .rasterizer import Geometry, Instances
from .shading import SUN

CHUNK = 32.0  # [m] ground and kerbs are culled in blocks of this size
FAR_TREE = 60.0  # [m] farther trees are drawn with fewer leaves


@dataclass(frozen=True, eq=False)
class Stage:
    """Everything static, ready for the kernels."""

    geometry: Geometry
    still: Instances
    coarse: np.ndarray  # (I,) int32 first face of the mesh to use when far away, -1: the same
    coarse_count: np.ndarray  # (I,) int32
    heads: Instances  # the signals' lamps; which faces they show depends on their state
    lamps: np.ndarray  # (4, 2) int32 first face and number of faces by Light
    runs: dict[str, tuple[int, int, float]]  # faces and bounding radius of each shape that moves
    paint: Paint
    shade: np.ndarray  # (N, 7) shadows of what stands still, see Shadows.boxes


@dataclass
class _Builder:
    meshes: list[Mesh] = field(default_factory=list)
    faces: int = 0
    rows: list[tuple] = field(default_factory=list)

    def mesh(self, mesh: Mesh) -> tuple[int, int, Mesh]:
        run = (self.faces, len(mesh.faces), mesh)
        self.meshes.append(mesh)
        self.faces += len(mesh.faces)
        return run

    def place(
        self,
        run: tuple[int, int, Mesh],
        matrix: np.ndarray | None = None,
        tint: Sequence[float] = (1, 1, 1),
        far: tuple[int, int, Mesh] | None = None,
    ) -> None:
        first, count, mesh = run
        if count == 0 or (matrix is not None and not np.isfinite(matrix).all()):
            return
        matrix = np.eye(4)[:3] if matrix is None else matrix
        points = mesh.points @ matrix[:, :3].T + matrix[:, 3]
        center, radius = _sphere(points)
        self.rows.append((first, count, matrix, tint, center, radius, far[0] if far else -1, far[1] if far else 0))


def build(scene: Scene) -> Stage:
    bounds = _bounds(scene)
    area = drivable_area(scene.map)
    builder = _Builder()
    _ground(builder, scene.map, area, bounds)
    _buildings(builder, scene)
    _props(builder, scene)
    _signal_poles(builder, scene)
    rows = builder.rows
    runs = {}
    for name, model in models().items():
        first, count, _ = builder.mesh(model.mesh)
        runs[name] = (first, count, float(np.linalg.norm(model.mesh.points, axis=1).max()))
    lamps = [builder.mesh(shapes.signal_head(int(light))) for light in Light]
    heads = [
        (*lamps[0][:2], placed((x, y, z), yaw, (1, 1, 1)), (1, 1, 1), (x, y, z), 0.7)
        for x, y, z, yaw in scene.signals.head.double().tolist()
    ]
    return Stage(
        geometry(Mesh.join(builder.meshes)), instances(rows, [(-1, Semantic.OBJECT)] * len(rows)),
        np.array([row[6] for row in rows], np.int32), np.array([row[7] for row in rows], np.int32),
        instances(heads, [(-1, Semantic.SIGNAL)] * len(heads)), np.array([lamp[:2] for lamp in lamps], np.int32), runs,
        paint(scene.map, area, bounds), _tree_shade(scene),
    )  # fmt: skip


def instances(rows: Sequence[tuple], owners: Sequence[tuple[int, int]]) -> Instances:
    """From (first, count, matrix, tint (3,) or (2, 3), center, radius, ...) and (agent, semantic)."""
    n = len(rows)
    colors = np.ones((n, 2, 3), np.float32)
    matrix, center = np.zeros((n, 3, 4)), np.zeros((n, 3))
    for i, row in enumerate(rows):
        matrix[i], center[i] = row[2], row[4]
        colors[i] = row[3]
    return Instances(
        np.array([r[0] for r in rows], np.int32), np.array([r[1] for r in rows], np.int32), matrix, colors,
        np.array([o[0] for o in owners], np.int16), np.array([o[1] for o in owners], np.uint8),
        center, np.array([r[5] for r in rows], float),
    )  # fmt: skip


def hashed(*numbers: int) -> int:
    """A well-mixed 32-bit number (splitmix64) from integers, the same on every machine."""
    x = 0x9E3779B97F4A7C15
    for number in numbers:
        x = (x + int(number) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 31
    return x & 0xFFFFFFFF


def placed(xyz: Sequence[float], yaw: float, scale: Sequence[float]) -> np.ndarray:
    """(3, 4) of a mesh that is scaled, turned about z and put at a place."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) * np.asarray(scale, float)
    return np.concatenate([turn, np.asarray(xyz, float)[:, None]], 1)


def _sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    center = (points.min(0) + points.max(0)) / 2
    return center, float(np.linalg.norm(points - center, axis=1).max())


def _bounds(scene: Scene) -> tuple[float, float, float, float]:
    """What the scene covers in x and y, at least 40 m around the origin, where the ego starts."""
    clouds = [
        scene.map.drivable.points, scene.map.lanes.center.points, scene.map.markings.points,
        scene.map.crosswalks.points, scene.scenery.footprints.points, scene.scenery.prop_xyz,
    ]  # fmt: skip
    xy = np.concatenate([c[:, :2].double().numpy() for c in clouds] + [np.array([[-40.0, -40], [40, 40]])])
    xy = xy[np.isfinite(xy).all(1)]
    return (*xy.min(0).tolist(), *xy.max(0).tolist())


def _ground(builder: _Builder, map: Map, area, bounds) -> None:
    mesh = ground_mesh(map, area, bounds)
    cell = np.floor(mesh.points[mesh.faces].mean(1)[:, :2] / CHUNK).astype(np.int64)
    _, block = np.unique(cell, axis=0, return_inverse=True)
    order = np.argsort(block.ravel(), kind="stable")
    first, _, _ = builder.mesh(Mesh(mesh.points, mesh.normals, mesh.uv, mesh.faces[order], mesh.surface[order]))
    ends = np.cumsum(np.bincount(block.ravel()))
    for a, b in zip([0, *ends[:-1]], ends, strict=True):
        center, radius = _sphere(mesh.points[mesh.faces[order[a:b]].ravel()])
        builder.rows.append((first + int(a), int(b - a), np.eye(4)[:3], (1, 1, 1), center, radius, -1, 0))


def _buildings(builder: _Builder, scene: Scene) -> None:
    s = scene.scenery
    for i in range(len(s.footprints)):
        ring = s.footprints.line(i)[:, :2].double().numpy()
        draw = hashed(i, round(float(ring[0, 0]) * 10), 7) if len(ring) else 0
        mesh = shapes.prism(ring, int(s.footprints.kind[i]), float(s.base[i]), float(s.height[i]), draw)
        builder.place(builder.mesh(mesh), tint=shapes.WALL_TINTS[(draw >> 8) % len(shapes.WALL_TINTS)])


def _props(builder: _Builder, scene: Scene) -> None:
    s = scene.scenery
    if not len(s.prop_kind):
        return
    trees = [(builder.mesh(shapes.tree(k)), builder.mesh(shapes.tree(k, fine=False))) for k in range(5)]
    bushes = [builder.mesh(shapes.bush(k)) for k in range(3)]
    signs = [builder.mesh(shapes.sign(k)) for k in range(4)]
    pole, lamp = builder.mesh(shapes.pole()), builder.mesh(shapes.lamp())
    sizes = s.prop_size.double().numpy()
    for i, kind in enumerate(s.prop_kind.tolist()):
        xyz, yaw, (width, height) = s.prop_xyz[i].double().numpy(), float(s.prop_yaw[i]), sizes[i]
        if not (np.isfinite(xyz).all() and np.isfinite(yaw) and width > 0 and height > 0):
            continue
        draw = hashed(i, 11)
        if kind == Prop.TREE:
            near, far = trees[draw % 5]
            matrix = placed(xyz, (draw >> 8) % 360 * 0.0174, (width, width, height))
            builder.place(near, matrix, shapes.LEAF_TINTS[(draw >> 16) % len(shapes.LEAF_TINTS)], far)
        elif kind == Prop.BUSH:
            matrix = placed(xyz, (draw >> 8) % 360 * 0.0174, (width, width, height / 0.95))
            builder.place(bushes[draw % 3], matrix, shapes.LEAF_TINTS[(draw >> 16) % len(shapes.LEAF_TINTS)])
        elif kind == Prop.LAMP:
            builder.place(lamp, placed(xyz, yaw, (height, height, height)))
        elif kind == Prop.SIGN:
            tint = [(0.55, 0.02, 0.02), (0.75, 0.42, 0.02), (0.02, 0.10, 0.45), (0.55, 0.02, 0.02)][draw % 4]
            builder.place(signs[draw % 4], placed(xyz, yaw, (1, width / 0.76, height / 2.53)), tint)
        else:
            builder.place(pole, placed(xyz, yaw, (width, width, height)))


def _signal_poles(builder: _Builder, scene: Scene) -> None:
    """A pole for each lamp head; one that hangs over the road gets an arm to a pole beside it."""
    heads = scene.signals.head.double().numpy()
    road = RoadMap.of(scene.map)
    pole = builder.mesh(shapes.pole())
    for x, y, z, yaw in heads[np.isfinite(heads).all(1)] if len(heads) else heads:
        back = np.array([x, y]) - 0.22 * np.array([np.cos(yaw), np.sin(yaw)])
        aside = np.array([-np.sin(yaw), np.cos(yaw)])  # the right of the drivers who look at it
        reach = np.arange(0.0, 14.0, 0.5)
        free = ~road.inside(torch.from_numpy(back + reach[:, None] * aside)).numpy()
        arm = float(reach[free.argmax()] + 0.4) if free.any() and not free[0] else 0.0
        foot = back + arm * aside
        base = float(heights(scene.map, foot[None])[0])
        top = max(z + (0.75 if not arm else 0.3), base + 1.0)
        builder.place(pole, placed((*foot, base), 0.0, (0.16, 0.16, top - base)))
        if arm:
            lie = np.zeros((3, 4))  # the pole's z axis along the arm
            lie[:, 2] = np.array([*(-aside * (arm + 0.2)), 0.0])
            lie[:, 0], lie[:, 1] = (0, 0, 0.11), np.array([-aside[1], aside[0], 0]) * -0.11
            lie[:, 3] = (*foot, top - 0.25)
            builder.place(pole, lie)


def _tree_shade(scene: Scene) -> np.ndarray:
    """Soft patches under crowns and bushes, away from the sun."""
    s = scene.scenery
    leafy = (s.prop_kind == int(Prop.TREE)) | (s.prop_kind == int(Prop.BUSH))
    xy, (width, height) = s.prop_xyz[leafy, :2].double().numpy(), s.prop_size[leafy].double().numpy().T
    drift = np.where(s.prop_kind[leafy].numpy() == int(Prop.TREE), 0.55, 0.2) * height / SUN[2]
    boxes = np.concatenate(
        [xy - drift[:, None] * SUN[:2], np.tile([1.0, 0.0], (len(xy), 1)), np.tile(0.30 * width[:, None], (1, 2)),
         np.full((len(xy), 1), 0.38)], 1,
    )  # fmt: skip
    foot = np.concatenate([xy, boxes[:, 2:4], np.full((len(xy), 2), 0.25), np.full((len(xy), 1), 0.35)], 1)
    boxes = np.concatenate([boxes, foot])
    return boxes[np.isfinite(boxes).all(1)]
