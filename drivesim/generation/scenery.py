"""Meshes beside the road: buildings with storeys and bays of real size, hedges, fences, trees, poles, signals."""

from __future__ import annotations

import numpy as np
import shapely

from ..types import Material
from .ground import clip_ears
from .mesh import Mesh, ball, box, disc, quads, tube
from .surfaces import Surface as S

BAY = 3.2  # [m] usual distance between windows
STOREY = 3.1  # [m]
GROUND_FLOOR = 3.8  # [m]
WALL_TINTS = np.array([
    (1.0, 1.0, 1.0), (1.05, 0.92, 0.76), (0.88, 0.90, 0.94), (1.08, 0.84, 0.70), (0.80, 0.88, 0.82), (1.1, 1.03, 0.86),
    (0.78, 0.74, 0.72), (0.95, 0.80, 0.80),
])  # fmt: skip
LEAF_TINTS = np.array([(1.0, 1.0, 1.0), (1.25, 1.05, 0.75), (0.75, 0.9, 0.85), (0.9, 1.15, 0.8), (1.35, 1.1, 0.6)])


def prism(ring: np.ndarray, material: int, base: float, height: float, draw: int) -> Mesh:
    """A footprint (n, 2) raised from `base` by `height`; `draw` is a random number that chooses its style."""
    ring = _counter_clockwise(ring)
    if len(ring) < 3 or height <= 0:
        return Mesh.join([])
    if material == Material.FACADE and height >= 2.5:
        return _building(ring, base, height, draw)
    wall, top = {
        Material.HEDGE: (S.HEDGE, S.HEDGE), Material.FENCE: (S.FENCE, S.FENCE),
    }.get(Material(material), (S.CONCRETE, S.ROOF if height > 2.5 else S.CONCRETE))  # fmt: skip
    tile = 1.6 if material != Material.CONCRETE else 3.0
    return Mesh.join([_walls(ring, base, base + height, wall, tile, tile), _cap(ring, base + height, top, tile)])


def _building(ring: np.ndarray, base: float, height: float, draw: int) -> Mesh:
    style = [S.BRICK_WALL, S.PLASTER_WALL, S.PLASTER_WALL, S.STONE_WALL, S.GLASS_WALL][draw % 5]
    if height < 9 and style == S.GLASS_WALL:
        style = S.PLASTER_WALL
    floor = [S.SHOP, S.DOOR, S.DOOR, S.GARAGE][(draw // 5) % 4]
    ground = min(GROUND_FLOOR, height)
    parts = [_walls(ring, base, base + ground, floor, 4 * BAY, ground, snap=4)]
    if height - ground > 1.0:
        storeys = max(round((height - ground) / STOREY), 1)
        tile = 4 * (height - ground) / storeys
        parts.append(_walls(ring, base + ground, base + height, style, 4 * BAY, tile, snap=4))
    parts.append(_cap(ring, base + height - 0.4, S.ROOF, 4.0))
    return Mesh.join(parts)


def _walls(ring: np.ndarray, low: float, high: float, surface: S, wide: float, tall: float, snap: int = 0) -> Mesh:
    """Vertical quads; a texture tile is `wide` x `tall` [m], stretched to whole 1/snap tiles along each wall."""
    a, b = ring, np.roll(ring, -1, 0)
    length = np.linalg.norm(b - a, axis=1)
    count = length / wide
    if snap:
        count = np.maximum(np.round(count * snap), 1) / snap
    corner = lambda p, z: np.concatenate([p, np.full((len(p), 1), z)], 1)  # noqa: E731
    corners = np.stack([corner(a, low), corner(b, low), corner(b, high), corner(a, high)], 1)
    uv = np.zeros((len(a), 4, 2))
    uv[:, 1, 0] = uv[:, 2, 0] = count
    uv[:, 2:, 1] = (high - low) / tall
    if snap:  # start each wall at another window
        uv[:, :, 0] += (np.arange(len(a)) % snap / snap)[:, None]
    return quads(corners, surface, uv)


def _cap(ring: np.ndarray, z: float, surface: S, tile: float) -> Mesh:
    faces = clip_ears(np.ascontiguousarray(ring), np.array([0, len(ring)]))
    points = np.concatenate([ring, np.full((len(ring), 1), z)], 1)
    return Mesh(points, np.tile([0.0, 0, 1], (len(ring), 1)), ring / tile, faces, np.full(len(faces), int(surface)))


def _counter_clockwise(ring: np.ndarray) -> np.ndarray:
    ring = np.asarray(ring, float)[:, :2]
    if len(ring) < 3 or not np.isfinite(ring).all():
        return np.zeros((0, 2))
    polygon = shapely.make_valid(shapely.Polygon(ring).simplify(0.02))
    if polygon.geom_type != "Polygon":
        polygon = max(
            (p for p in shapely.get_parts(polygon) if p.geom_type == "Polygon"),
            key=lambda p: p.area,
            default=None,
        )
        if polygon is None:
            return np.zeros((0, 2))
    return shapely.get_coordinates(shapely.geometry.polygon.orient(polygon).exterior)[:-1]


def tree(seed: int, fine: bool = True) -> Mesh:
    """A broad-leaved tree in a unit box: width 1, height 1, foot at the origin."""
    rng = np.random.default_rng(seed)
    lean = rng.uniform(-0.03, 0.03, 2)
    parts = [tube((0, 0, -0.02), (*lean, 0.5), (0.045, 0.026), S.BARK, 6)]
    parts += [
        tube((*lean * 0.8, 0.36), (0.18 * np.cos(a), 0.18 * np.sin(a), 0.58), (0.018, 0.010), S.BARK, 4)
        for a in rng.uniform(0, 6.28, 3 if fine else 0)
    ]
    count = 9 if fine else 3
    for k in range(count):
        angle, out = 2.4 * k + rng.uniform(-0.3, 0.3), 0.27 * np.sqrt((k + 0.3) / count)
        center = (out * np.cos(angle), out * np.sin(angle), rng.uniform(0.50, 0.80) - 0.3 * (out - 0.13))
        size = rng.uniform(0.17, 0.23) if fine else 0.27
        parts.append(_blob(center, (size, size, size * 0.82), rng, 10 if fine else 6, 6 if fine else 4))
    return Mesh.join(parts)


def bush(seed: int) -> Mesh:
    rng = np.random.default_rng(seed)
    blobs = [
        ((0, 0, 0.42), 0.40),
        ((0.22, 0.1, 0.32), 0.28),
        ((-0.2, -0.15, 0.34), 0.28),
        ((0.02, 0.24, 0.30), 0.26),
    ]
    return Mesh.join([_blob(c, (r, r, r * 1.3), rng, 8, 5) for c, r in blobs])


def _blob(center, radii, rng: np.random.Generator, sides: int, rings: int) -> Mesh:
    """A ragged ball of leaves."""
    mesh = ball(center, radii, S.LEAVES, sides, rings)
    offset = mesh.points - np.array(center)
    key = np.round(mesh.points * 1e4).astype(np.int64)
    _, group = np.unique(key, axis=0, return_inverse=True)
    swell = rng.uniform(0.78, 1.2, group.max() + 1)[group.ravel()]
    points = np.array(center) + offset * swell[:, None]
    return Mesh(points, mesh.normals, mesh.uv * 1.5, mesh.faces, mesh.surface)


def pole() -> Mesh:
    """Width 1, height 1."""
    return tube((0, 0, 0), (0, 0, 1), (0.5, 0.42), S.POLE, 8)


def lamp() -> Mesh:
    """A street lamp of 1 m height whose arm reaches 0.22 m ahead (x)."""
    return Mesh.join([
        tube((0, 0, 0), (0, 0, 0.97), (0.011, 0.007), S.POLE, 7),
        tube((0, 0, 0.96), (0.20, 0, 1.0), (0.006, 0.005), S.POLE, 5),
        box((0.15, -0.014, 0.985), (0.25, 0.014, 1.0), S.POLE),
        box((0.16, -0.012, 0.981), (0.24, 0.012, 0.986), S.LANTERN),
    ])  # fmt: skip


def sign(style: int) -> Mesh:
    """A traffic sign that faces +x: plate 0.7 m wide at 2.2 m; drawn at its real size."""
    parts = [tube((0, 0, 0), (0, 0, 2.5), (0.035, 0.035), S.POLE, 6)]
    sides = (8, 4, 20, 3)[style % 4]
    turn = {8: np.pi / 8, 4: np.pi / 4, 20: 0.0, 3: np.pi / 2}[sides]
    angle = 2 * np.pi * np.arange(sides) / sides + turn
    plate = lambda x, r: np.stack([np.full(sides, x), r * np.cos(angle), 2.15 + r * np.sin(angle)], -1)  # noqa: E731
    parts.append(disc(plate(0.045, 0.38), S.CONE_BAND if sides == 8 else S.SIGN_FACE))
    parts.append(disc(plate(0.055, 0.33), S.SIGN_FACE if sides == 8 else S.PLATE))
    parts.append(disc(plate(0.035, 0.38)[::-1], S.SIGN_BACK))
    if sides == 8:
        parts.append(box((0.06, -0.22, 2.09), (0.065, 0.22, 2.21), S.PLATE))
    return Mesh.join(parts)


def signal_head(state: int) -> Mesh:
    """Three lamps that shine towards +x, red on top; `state` is a Light. Origin in the middle of the housing."""
    parts = [box((-0.16, -0.20, -0.56), (0.02, 0.20, 0.56), S.HOUSING)]
    yellow, red = (1, S.SIGNAL_YELLOW), (0, S.SIGNAL_RED)
    lit = {1: (2, S.SIGNAL_GREEN), 2: yellow, 3: red, 4: yellow, 5: red}.get(state)
    angle = 2 * np.pi * np.arange(12) / 12
    for k, z in enumerate((0.36, 0.0, -0.36)):
        ring = np.stack([np.full(12, 0.03), 0.145 * np.cos(angle), z + 0.145 * np.sin(angle)], -1)
        parts.append(disc(ring, lit[1] if lit and lit[0] == k else S.LAMP_OFF))
        parts.append(box((0.02, -0.17, z + 0.14), (0.20, 0.17, z + 0.165), S.HOUSING))
    return Mesh.join(parts)
