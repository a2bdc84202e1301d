"""Building meshes from primitives: boxes, lofts, tubes, balls. A mesh knows which surface each face shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ..types import Semantic
from .rasterizer import Geometry
from .textures import Texture


class Shade(IntEnum):
    """How a surface gets its colour."""

    TEXTURE = 0  # by the mesh's texture coordinates
    ROAD = 1  # by the place in the world: asphalt, what is painted on it, shadows
    BESIDE = 2  # by the place in the world: paving near the road, grass away from it


class Surface(IntEnum):
    ROAD = 0
    BESIDE = 1
    KERB = 2
    PAINT = 3  # the instance's first colour, glossy
    PAINT_MATT = 4
    SECOND = 5  # the instance's second colour
    GLASS = 6
    TYRE = 7
    RIM = 8
    TRIM = 9
    HEAD_LIGHT = 10
    TAIL_LIGHT = 11
    PLATE = 12
    SKIN = 13
    HAIR = 14
    STEEL = 15
    CONE = 16
    CONE_BAND = 17
    CONCRETE = 18
    BRICK_WALL = 19
    PLASTER_WALL = 20
    GLASS_WALL = 21
    STONE_WALL = 22
    SHOP = 23
    DOOR = 24
    GARAGE = 25
    ROOF = 26
    HEDGE = 27
    FENCE = 28
    BARK = 29
    LEAVES = 30
    POLE = 31
    SIGN_FACE = 32
    SIGN_BACK = 33
    HOUSING = 34
    LAMP_OFF = 35
    RED = 36
    YELLOW = 37
    GREEN = 38
    LANTERN = 39
    FUR = 40
    BOX = 41
    CARGO = 42
    WINDOW_BAND = 43
    BARRIER = 44
    SIGNAL_RED = 45
    SIGNAL_YELLOW = 46
    SIGNAL_GREEN = 47


_AGENT = 255  # the class follows from the agent's kind
_V, _B, _P, _S, _O = (Semantic.VEGETATION, Semantic.BUILDING, Semantic.POLE, Semantic.SIGNAL, Semantic.OBJECT)

# texture, linear rgb, slot of the instance's colours (-1: none), gloss 0..1, glow, semantic, seen from both sides
_LOOKS: dict[Surface, tuple] = {
    Surface.ROAD: (Texture.ASPHALT, (1, 1, 1), -1, 0, 0, Semantic.ROAD, False),
    Surface.BESIDE: (Texture.PAVING, (1, 1, 1), -1, 0, 0, Semantic.TERRAIN, False),
    Surface.KERB: (Texture.CONCRETE, (1.1, 1.1, 1.1), -1, 0, 0, Semantic.SIDEWALK, True),
    Surface.PAINT: (Texture.WHITE, (1, 1, 1), 0, 0.35, 0, _AGENT, False),
    Surface.PAINT_MATT: (Texture.WHITE, (1, 1, 1), 0, 0, 0, _AGENT, True),
    Surface.SECOND: (Texture.WHITE, (1, 1, 1), 1, 0, 0, _AGENT, True),
    Surface.GLASS: (Texture.WHITE, (0.018, 0.022, 0.026), -1, 0.75, 0, _AGENT, True),
    Surface.TYRE: (Texture.WHITE, (0.016, 0.016, 0.017), -1, 0, 0, _AGENT, True),
    Surface.RIM: (Texture.WHITE, (0.30, 0.31, 0.33), -1, 0.3, 0, _AGENT, True),
    Surface.TRIM: (Texture.WHITE, (0.025, 0.025, 0.027), -1, 0.05, 0, _AGENT, True),
    Surface.HEAD_LIGHT: (Texture.WHITE, (0.95, 0.95, 0.90), -1, 0.3, 0.35, _AGENT, True),
    Surface.TAIL_LIGHT: (Texture.WHITE, (0.60, 0.02, 0.02), -1, 0.2, 0.25, _AGENT, True),
    Surface.PLATE: (Texture.WHITE, (0.70, 0.70, 0.66), -1, 0, 0, _AGENT, True),
    Surface.SKIN: (Texture.WHITE, (0.50, 0.30, 0.21), -1, 0, 0, _AGENT, False),
    Surface.HAIR: (Texture.WHITE, (0.035, 0.025, 0.018), -1, 0, 0, _AGENT, False),
    Surface.STEEL: (Texture.WHITE, (0.20, 0.20, 0.21), -1, 0.2, 0, _AGENT, True),
    Surface.CONE: (Texture.WHITE, (0.90, 0.16, 0.02), -1, 0, 0.05, _AGENT, True),
    Surface.CONE_BAND: (Texture.WHITE, (0.85, 0.85, 0.85), -1, 0, 0.05, _AGENT, True),
    Surface.CONCRETE: (Texture.CONCRETE, (1, 1, 1), -1, 0, 0, _B, True),
    Surface.BRICK_WALL: (Texture.BRICK_FACADE, (1, 1, 1), 0, 0.02, 0, _B, False),
    Surface.PLASTER_WALL: (Texture.PLASTER_FACADE, (1, 1, 1), 0, 0.02, 0, _B, False),
    Surface.GLASS_WALL: (Texture.GLASS_FACADE, (1, 1, 1), 0, 0.45, 0, _B, False),
    Surface.STONE_WALL: (Texture.STONE_FACADE, (1, 1, 1), 0, 0.02, 0, _B, False),
    Surface.SHOP: (Texture.SHOPS, (1, 1, 1), 0, 0.06, 0, _B, False),
    Surface.DOOR: (Texture.DOORS, (1, 1, 1), 0, 0.02, 0, _B, False),
    Surface.GARAGE: (Texture.GARAGES, (1, 1, 1), 0, 0.02, 0, _B, False),
    Surface.ROOF: (Texture.CONCRETE, (0.45, 0.43, 0.41), -1, 0, 0, _B, True),
    Surface.HEDGE: (Texture.LEAVES, (0.95, 1.0, 0.95), -1, 0, 0, _V, True),
    Surface.FENCE: (Texture.PLANKS, (1, 1, 1), -1, 0, 0, _O, True),
    Surface.BARK: (Texture.BARK, (1, 1, 1), -1, 0, 0, _V, True),
    Surface.LEAVES: (Texture.LEAVES, (1, 1, 1), 0, 0, 0, _V, True),
    Surface.POLE: (Texture.WHITE, (0.20, 0.21, 0.21), -1, 0.1, 0, _P, True),
    Surface.SIGN_FACE: (Texture.WHITE, (1, 1, 1), 0, 0, 0.10, _S, True),
    Surface.SIGN_BACK: (Texture.WHITE, (0.35, 0.36, 0.37), -1, 0.1, 0, _S, True),
    Surface.HOUSING: (Texture.WHITE, (0.030, 0.032, 0.030), -1, 0, 0, _S, True),
    Surface.LAMP_OFF: (Texture.WHITE, (0.07, 0.06, 0.05), -1, 0.1, 0, _S, True),
    Surface.RED: (Texture.WHITE, (0.50, 0.02, 0.02), -1, 0, 0, _AGENT, True),
    Surface.YELLOW: (Texture.WHITE, (0.80, 0.42, 0.03), -1, 0.2, 0, _AGENT, True),
    Surface.GREEN: (Texture.WHITE, (0.05, 0.35, 0.12), -1, 0, 0, _AGENT, True),
    Surface.LANTERN: (Texture.WHITE, (0.80, 0.80, 0.76), -1, 0.2, 0.15, _P, True),
    Surface.FUR: (Texture.WHITE, (0.16, 0.10, 0.06), -1, 0, 0, _AGENT, False),
    Surface.BOX: (Texture.WHITE, (0.40, 0.30, 0.19), 0, 0, 0, _AGENT, False),
    Surface.CARGO: (Texture.CLADDING, (1.6, 1.6, 1.6), 0, 0.05, 0, _AGENT, False),
    Surface.WINDOW_BAND: (Texture.WHITE, (0.020, 0.025, 0.030), -1, 0.65, 0, _AGENT, True),
    Surface.BARRIER: (Texture.CONCRETE, (1.1, 1.08, 1.0), -1, 0, 0, _AGENT, True),
    Surface.SIGNAL_RED: (Texture.WHITE, (1.0, 0.03, 0.02), -1, 0, 1.0, _S, True),
    Surface.SIGNAL_YELLOW: (Texture.WHITE, (1.0, 0.62, 0.02), -1, 0, 1.0, _S, True),
    Surface.SIGNAL_GREEN: (Texture.WHITE, (0.05, 1.0, 0.45), -1, 0, 1.0, _S, True),
}


class Surfaces(NamedTuple):
    """The table of surfaces as arrays, row by `Surface`."""

    texture: np.ndarray  # int16
    shade: np.ndarray  # uint8, a Shade
    color: np.ndarray  # (S, 3) float32 linear
    slot: np.ndarray  # int8
    gloss: np.ndarray  # float32
    glow: np.ndarray  # float32
    semantic: np.ndarray  # uint8; 255: by the agent's kind


def surfaces() -> Surfaces:
    rows = [_LOOKS[s] for s in Surface]
    shade = [{Surface.ROAD: Shade.ROAD, Surface.BESIDE: Shade.BESIDE}.get(s, Shade.TEXTURE) for s in Surface]
    column = lambda i, dtype: np.array([row[i] for row in rows], dtype)  # noqa: E731
    return Surfaces(
        column(0, np.int16), np.array(shade, np.uint8), column(1, np.float32), column(2, np.int8),
        column(3, np.float32), column(4, np.float32), column(5, np.uint8),
    )  # fmt: skip


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
            return Mesh(
                np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 3), int), np.zeros(0, int)
            )
        start = np.cumsum([0] + [len(m.points) for m in meshes])
        return Mesh(
            np.concatenate([m.points for m in meshes]),
            np.concatenate([m.normals for m in meshes]),
            np.concatenate([m.uv for m in meshes]),
            np.concatenate([m.faces + s for m, s in zip(meshes, start, strict=False)]),
            np.concatenate([m.surface for m in meshes]),
        )

    def moved(
        self, shift: Sequence[float] = (0, 0, 0), yaw: float = 0.0, scale: Sequence[float] = (1, 1, 1)
    ) -> Mesh:
        """Scaled, then turned about z, then shifted."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        normals = self.normals / np.array(scale)
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        points = (self.points * np.array(scale)) @ turn.T + np.array(shift)
        return Mesh(points, normals @ turn.T, self.uv, self.faces, self.surface)


def geometry(mesh: Mesh) -> Geometry:
    both = np.array([_LOOKS[s][6] for s in Surface])
    return Geometry(
        mesh.points.astype(np.float32), mesh.normals.astype(np.float32), mesh.uv.astype(np.float32),
        mesh.faces.astype(np.int32), mesh.surface.astype(np.int16), both[mesh.surface],
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
    corners = np.stack([sections[i, j], sections[i, k], sections[i + 1, k], sections[i + 1, j]], -2).reshape(
        -1, 4, 3
    )
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


def ball(
    center: Sequence[float], radii: Sequence[float], surface: int, sides: int = 8, rings: int = 5
) -> Mesh:
    """An ellipsoid with smooth normals; texture coordinates wrap around it."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    angle = 2 * np.pi * np.arange(sides + 1) / sides
    la, lo = np.meshgrid(latitude, angle, indexing="ij")
    unit = np.stack([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)], -1)
    i, j = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    a = (i * (sides + 1) + j).ravel()
    faces = np.concatenate(
        [np.stack([a, a + 1, a + sides + 2], 1), np.stack([a, a + sides + 2, a + sides + 1], 1)]
    )
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
