"""Building meshes from primitives: boxes, lofts, tubes, balls. A mesh knows which surface each face shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .rasterizer import Geometry
from .surfaces import BOTH_SIDES


@dataclass(frozen=True, eq=False)
class Mesh:
    points: np.ndarray  # (V, 3) float64 [m]
    normals: np.ndarray  # (V, 3)
    uv: np.ndarray  # (V, 2) tiles
    faces: np.ndarray  # (F, 3) int
    surface: np.ndarray  # (F,) int

    @staticmethod
    def join(meshes: Sequence[Mesh]) -> Mesh:
        meshes = [m for m in meshes if len(m.faces)]
        if not meshes:
            return Mesh(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 3), int), np.zeros(0, int))
        start = np.cumsum([0] + [len(m.points) for m in meshes])
        return Mesh(
            np.concatenate([m.points for m in meshes]),
            np.concatenate([m.normals for m in meshes]),
            np.concatenate([m.uv for m in meshes]),
            np.concatenate([m.faces + s for m, s in zip(meshes, start, strict=False)]),
            np.concatenate([m.surface for m in meshes]),
        )

    def moved(self, shift: Sequence[float] = (0, 0, 0), yaw: float = 0.0, scale: Sequence[float] = (1, 1, 1)) -> Mesh:
        """Scaled, then turned about z, then shifted."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        normals = self.normals / np.array(scale)
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        points = (self.points * np.array(scale)) @ turn.T + np.array(shift)
        return Mesh(points, normals @ turn.T, self.uv, self.faces, self.surface)


def geometry(mesh: Mesh) -> Geometry:
    return Geometry(
        mesh.points.astype(np.float32), mesh.normals.astype(np.float32), mesh.uv.astype(np.float32),
        mesh.faces.astype(np.int32), mesh.surface.astype(np.int16), BOTH_SIDES[mesh.surface],
    )  # fmt: skip


def quads(corners: np.ndarray, surface: int, uv: np.ndarray | None = None) -> Mesh:
    """Flat quadrilaterals (N, 4, 3), corners counter-clockwise seen from outside; uv (N, 4, 2)."""
    corners = np.asarray(corners, float).reshape(-1, 4, 3)
    n = len(corners)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    uv = np.zeros((n, 4, 2)) if uv is None else np.asarray(uv, float).reshape(n, 4, 2)
    first = 4 * np.arange(n)[:, None]
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]], 1).reshape(-1, 3)
    return Mesh(
        corners.reshape(-1, 3),
        np.repeat(normal, 4, 0),
        uv.reshape(-1, 2),
        faces,
        np.full(2 * n, int(surface)),
    )


def box(low: Sequence[float], high: Sequence[float], surface: int, uv_scale: float = 1.0) -> Mesh:
    (a, b, c), (d, e, f) = low, high
    corners = [
        [(d, b, c), (d, e, c), (d, e, f), (d, b, f)],
        [(a, e, c), (a, b, c), (a, b, f), (a, e, f)],
        [(d, e, c), (a, e, c), (a, e, f), (d, e, f)],
        [(a, b, c), (d, b, c), (d, b, f), (a, b, f)],
        [(a, b, f), (d, b, f), (d, e, f), (a, e, f)],
        [(a, e, c), (d, e, c), (d, b, c), (a, b, c)],
    ]
    corners = np.array(corners, float)
    width = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1) * uv_scale
    height = np.linalg.norm(corners[:, 3] - corners[:, 0], axis=1) * uv_scale
    uv = np.zeros((6, 4, 2))
    uv[:, 1, 0] = uv[:, 2, 0] = width
    uv[:, 2, 1] = uv[:, 3, 1] = height
    return quads(corners, surface, uv)


def loft(sections: np.ndarray, surface: int, caps: bool = True, smooth: bool = True) -> Mesh:
    """Skin over rings (n, m, 3). Rings turn counter-clockwise seen from the end towards which they advance."""
    sections = np.asarray(sections, float)
    n, m, _ = sections.shape
    i, j = np.meshgrid(np.arange(n - 1), np.arange(m), indexing="ij")
    k = (j + 1) % m
    corners = np.stack([sections[i, j], sections[i, k], sections[i + 1, k], sections[i + 1, j]], -2).reshape(-1, 4, 3)
    skin = quads(corners, surface)
    if smooth:
        skin = _smooth(skin)
    parts = [skin]
    if caps:
        parts += [disc(sections[-1], surface), disc(sections[0][::-1], surface)]
    return Mesh.join(parts)


def tube(
    start: Sequence[float], end: Sequence[float], radii: tuple[float, float], surface: int, sides: int = 8
) -> Mesh:
    """A closed, possibly tapered cylinder from `start` to `end`."""
    a, b = np.array(start, float), np.array(end, float)
    axis = (b - a) / np.linalg.norm(b - a)
    u = np.cross(axis, [0, 0, 1] if abs(axis[2]) < 0.9 else [1, 0, 0])
    u /= np.linalg.norm(u)
    angle = 2 * np.pi * np.arange(sides) / sides
    ring = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * np.cross(axis, u)
    skin = loft(np.stack([a + radii[0] * ring, b + radii[1] * ring]), surface)
    return skin


def ball(center: Sequence[float], radii: Sequence[float], surface: int, sides: int = 8, rings: int = 5) -> Mesh:
    """An ellipsoid with smooth normals; texture coordinates wrap around it."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    la, lo = np.meshgrid(latitude, angle, indexing="ij")
    unit = np.stack([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)], -1)
    i, j = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    a = (i * (sides + 1) + j).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + sides + 2], 1), np.stack([a, a + sides + 2, a + sides + 1], 1)])
    normals = (unit / np.array(radii)).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    uv = np.stack([lo / np.pi, la / np.pi], -1).reshape(-1, 2)
    points = (unit * np.array(radii) + np.array(center)).reshape(-1, 3)
    return Mesh(points, normals, uv, faces, np.full(len(faces), int(surface)))


def disc(ring: np.ndarray, surface: int) -> Mesh:
    """A flat convex cap, counter-clockwise."""
    m = len(ring)
    normal = np.cross(ring[1] - ring[0], ring[max(m // 2, 2)] - ring[0])
    normal = normal / max(np.linalg.norm(normal), 1e-12)
    faces = np.stack([np.zeros(m - 2, int), np.arange(1, m - 1), np.arange(2, m)], 1)
    return Mesh(ring, np.tile(normal, (m, 1)), np.zeros((m, 2)), faces, np.full(m - 2, int(surface)))


def _smooth(mesh: Mesh) -> Mesh:
    """Average the normals of coinciding corners that differ by less than about 50 degrees."""
    key = np.round(mesh.points * 1e4).astype(np.int64)
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.ravel()
    total = np.zeros((group.max() + 1, 3))
    np.add.at(total, group, mesh.normals)
    mean = total[group] / np.maximum(np.linalg.norm(total[group], axis=1, keepdims=True), 1e-12)
    keep = (mean * mesh.normals).sum(1, keepdims=True) < 0.8
    return Mesh(mesh.points, np.where(keep, mesh.normals, mean), mesh.uv, mesh.faces, mesh.surface)
