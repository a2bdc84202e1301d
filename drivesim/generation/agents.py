"""Meshes of road users: a few shapes per kind, drawn at a usual size and stretched to the agent's box.

Frame of a mesh: that of the box, x forward, y left, z up, origin at the centre of the bottom [m].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..types import Kind, Semantic
from .mesh import Mesh, ball, box, loft, quads, tube
from .mesh import Surface as S

SEMANTICS = {
    Kind.MOTORCYCLE: Semantic.CYCLE, Kind.BICYCLE: Semantic.CYCLE, Kind.PEDESTRIAN: Semantic.PERSON,
    Kind.ANIMAL: Semantic.PERSON, Kind.CONE: Semantic.OBJECT, Kind.BARRIER: Semantic.OBJECT,
    Kind.OBJECT: Semantic.OBJECT,
}  # fmt: skip
"""Class of each kind; what is missing is a vehicle."""


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh and the size (length, width, height) [m] that it was drawn at."""

    mesh: Mesh
    size: tuple[float, float, float]


@lru_cache(maxsize=1)
def models() -> dict[str, Model]:
    """Every shape by name."""
    made = {name: Model(_fit(draw(), size), size) for name, (draw, size) in _SHAPES.items()}
    return made


def shape_of(kind: int, size: tuple[float, float, float], draw: int, stride: float) -> str:
    """Name of the shape for an agent: by its kind and size [m], its own random number, and metres walked."""
    length, width, height = size
    if kind == Kind.CAR:
        if height > 1.95:
            return "van"
        if height > 1.62 or length < 4.0:
            return "suv" if length > 4.2 else "hatchback"
        return "sedan" if draw % 4 else "hatchback"
    if kind == Kind.TRUCK:
        return "pickup" if height < 2.3 else "truck"
    if kind == Kind.BARRIER:
        return "barrier" if width >= length else "long_barrier"
    if kind == Kind.OBJECT and height > 2.2 * max(length, width):
        return "post"
    if kind == Kind.PEDESTRIAN:
        return f"walker{int(np.floor(stride / 0.35)) % 4}"
    return _BY_KIND.get(Kind(kind), "box")


def _fit(mesh: Mesh, size: tuple[float, float, float]) -> Mesh:
    """Stretch to exactly fill the box."""
    low, high = mesh.points.min(0), mesh.points.max(0)
    scale = np.array(size) / (high - low)
    centered = mesh.moved(-np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]))
    return centered.moved(scale=scale)


def _hull(stations: list[tuple[float, float, float, float]], surface: int, chamfer: float = 0.09) -> Mesh:
    """A body along x from stations (x, half width, bottom, top) with chamfered edges."""
    rings = []
    for x, half, low, high in stations:
        c = min(chamfer, (high - low) / 3)
        side = [(half * 0.93, low), (half, low + c), (half, high - c), (half * 0.90, high)]
        rings.append([(x, y, z) for y, z in side] + [(x, -y, z) for y, z in side[::-1]])
    return loft(np.array(rings), surface)


def _cabin(
    low: tuple[float, float, float], high: tuple[float, float, float], half: tuple[float, float]
) -> Mesh:
    """Glass all round under a painted roof, with pillars; low, high are (rear x, front x, z)."""
    ring = lambda r, f, z, y: [(f, -y, z), (f, y, z), (r, y, z), (r, -y, z)]  # noqa: E731
    a, b = ring(*low, half[0]), ring(*high, half[1])
    thick = 0.05
    lid = ring(high[0] + 0.06, high[1] - 0.06, high[2] + thick, half[1] - 0.07)
    parts = [loft(np.array([a, b]), S.GLASS, smooth=False), loft(np.array([b, lid]), S.PAINT)]
    pairs = list(zip(a, b, strict=True))
    for y in (-1, 1):  # the pillar between the doors
        foot = (0.45 * low[0] + 0.55 * low[1] - 0.25, y * half[0], low[2])
        pairs.append((foot, (0.45 * high[0] + 0.55 * high[1] - 0.05, y * half[1], high[2])))
    parts += [tube(p, q, (0.045, 0.04), S.PAINT, 5) for p, q in pairs]
    return Mesh.join(parts)


def _wheel(x: float, y: float, radius: float, width: float = 0.22) -> Mesh:
    side = np.sign(y)
    return Mesh.join([
        tube((x, y - side * 0.3, radius), (x, y + side * 0.004, radius), (radius + 0.06, radius + 0.06), S.TRIM, 14),
        tube((x, y - side * width, radius), (x, y + side * 0.012, radius), (radius, radius), S.TYRE, 14),
        tube((x, y, radius), (x, y + side * 0.018, radius), (radius * 0.62, radius * 0.56), S.RIM, 10),
    ])  # fmt: skip


def _axles(xs: tuple[float, ...], half: float, radius: float) -> list[Mesh]:
    return [_wheel(x, side * half, radius) for x in xs for side in (-1, 1)]


def _lights(front: float, rear: float, half: float, zf: float, zr: float) -> list[Mesh]:
    """Two head lights and two tail lights, and plates; x of the front and rear faces, z of their middles."""
    parts = []
    for side in (-1, 1):
        y0, y1 = sorted((side * half * 0.52, side * half * 0.94))
        parts.append(box((front - 0.12, y0, zf - 0.07), (front, y1, zf + 0.07), S.HEAD_LIGHT))
        parts.append(box((rear, y0, zr - 0.09), (rear + 0.14, y1, zr + 0.09), S.TAIL_LIGHT))
    parts.append(box((rear - 0.01, -0.26, zr - 0.24), (rear + 0.08, 0.26, zr - 0.12), S.PLATE))
    parts.append(box((front - 0.1, -0.5, zf - 0.20), (front + 0.005, 0.5, zf - 0.09), S.TRIM))
    return parts


def _mirrors(x: float, half: float, z: float) -> list[Mesh]:
    return [
        box((x - 0.07, s * half - 0.09, z), (x + 0.05, s * half + 0.09, z + 0.13), S.PAINT)
        for s in (-0.98, 0.98)
    ]


def _car(cabin: tuple, half: float, length: float, belt: float, hood: float, boot: float) -> Mesh:
    e = length / 2
    body = _hull(
        [
            (-e, half * 0.86, 0.34, boot - 0.10), (-e + 0.12, half * 0.95, 0.24, boot),
            (-e * 0.62, half, 0.20, boot + (belt - boot) * 0.6), (-e * 0.1, half, 0.20, belt),
            (e * 0.34, half, 0.20, belt - 0.02), (e * 0.72, half * 0.98, 0.21, hood),
            (e - 0.14, half * 0.92, 0.24, hood - 0.10), (e, half * 0.80, 0.32, hood - 0.22),
        ],
        S.PAINT,
    )  # fmt: skip
    low, high, halves = cabin
    parts = [body, _cabin(low, high, halves), *_axles((-e * 0.58, e * 0.60), half, 0.33)]
    parts += _lights(e - 0.02, -e - 0.005, half * 0.88, hood - 0.17, boot - 0.15)
    parts += _mirrors(low[1] - 0.35, half, belt)
    return Mesh.join(parts)


def _sedan() -> Mesh:
    return _car(((-1.85, 1.15, 0.90), (-1.10, 0.35, 1.40), (0.86, 0.66)), 0.92, 4.7, 0.92, 0.84, 0.90)


def _hatchback() -> Mesh:
    return _car(((-1.92, 1.05, 0.92), (-1.50, 0.30, 1.46), (0.84, 0.66)), 0.89, 4.1, 0.94, 0.86, 0.92)


def _suv() -> Mesh:
    return _car(((-2.20, 1.15, 1.05), (-1.85, 0.45, 1.66), (0.90, 0.72)), 0.96, 4.75, 1.08, 1.00, 1.05)


def _van() -> Mesh:
    e, half = 2.6, 1.0
    body = _hull(
        [
            (-e, half * 0.95, 0.35, 2.10), (-e + 0.08, half, 0.24, 2.18), (0.6, half, 0.24, 2.18),
            (1.15, half * 0.99, 0.24, 2.06), (1.72, half * 0.98, 0.24, 1.25), (2.35, half * 0.95, 0.26, 1.02),
            (e, half * 0.86, 0.34, 0.78),
        ],
        S.PAINT,
    )  # fmt: skip
    shield = np.array([(1.20, -0.86, 1.99), (1.72, -0.88, 1.29), (1.72, 0.88, 1.29), (1.20, 0.86, 1.99)])
    parts = [body, quads(shield + [0.03, 0, 0.02], S.GLASS)]
    for s in (-1, 1):
        parts.append(box((0.55, s * 0.98 - 0.03, 1.30), (1.35, s * 0.98 + 0.03, 1.88), S.GLASS))
        parts.append(box((-0.9, s * 0.99 - 0.02, 1.32), (0.40, s * 0.99 + 0.02, 1.88), S.GLASS))
    parts.append(box((-e - 0.005, -0.75, 1.35), (-e + 0.1, 0.75, 1.95), S.GLASS))
    parts += _axles((-1.65, 1.62), half, 0.35) + _lights(e - 0.02, -e - 0.01, half * 0.92, 0.72, 1.0)
    return Mesh.join(parts + _mirrors(1.3, half, 1.25))


def _pickup() -> Mesh:
    e, half = 2.8, 0.99
    body = _hull(
        [
            (-e, half * 0.95, 0.42, 1.08), (-0.6, half, 0.36, 1.10), (1.2, half, 0.36, 1.12),
            (2.35, half * 0.97, 0.38, 1.06), (e, half * 0.88, 0.45, 0.85),
        ],
        S.PAINT,
    )  # fmt: skip
    bed = box((-e + 0.12, -half + 0.14, 1.02), (-0.75, half - 0.14, 1.105), S.TRIM)
    cabin = _cabin((-0.75, 1.45, 1.10), (-0.60, 0.75, 1.80), (0.92, 0.74))
    parts = [body, bed, cabin, *_axles((-1.75, 1.75), half, 0.39)]
    return Mesh.join(parts + _lights(e - 0.02, -e - 0.01, half * 0.9, 0.80, 0.92) + _mirrors(1.1, half, 1.12))


def _truck() -> Mesh:
    e, half = 4.2, 1.22
    cab = _hull(
        [
            (2.25, half * 0.98, 0.5, 2.62),
            (3.5, half * 0.97, 0.5, 2.58),
            (4.05, half * 0.93, 0.5, 1.65),
            (e, half * 0.9, 0.5, 1.1),
        ],
        S.PAINT,
    )
    parts = [
        cab,
        box((-e, -half, 0.95), (2.1, half, 3.35), S.CARGO, 0.4),
        box((-e + 0.1, -0.45, 0.55), (3.0, 0.45, 0.95), S.TRIM),
        box((3.62, -1.0, 1.72), (3.86, 1.0, 2.42), S.GLASS),
        box((-e - 0.02, -0.9, 0.62), (-e + 0.05, 0.9, 0.74), S.TRIM),
    ]
    for s in (-1, 1):
        parts.append(box((2.75, s * 1.19 - 0.03, 1.65), (3.55, s * 1.19 + 0.03, 2.35), S.GLASS))
    return Mesh.join(
        parts + _axles((-2.9, -1.9, 3.0), half * 0.97, 0.48) + _lights(e, -e - 0.02, half * 0.9, 0.85, 0.75)
    )


def _bus() -> Mesh:
    e, half = 6.0, 1.27
    body = _hull(
        [
            (-e, half * 0.96, 0.42, 3.0),
            (-e + 0.15, half, 0.32, 3.1),
            (e - 0.3, half, 0.32, 3.1),
            (e, half * 0.95, 0.38, 2.98),
        ],
        S.PAINT,
        0.12,
    )
    parts = [body]
    for s in (-1, 1):
        for k in range(7):
            x = -e + 0.5 + k * 1.62
            parts.append(box((x, s * half - 0.015, 1.30), (x + 1.50, s * half + 0.015, 2.45), S.WINDOW_BAND))
        parts.append(box((-e + 0.3, s * half - 0.012, 0.85), (e - 0.3, s * half + 0.012, 1.10), S.SECOND))
    parts.append(box((e - 0.1, -1.12, 1.05), (e + 0.015, 1.12, 2.50), S.WINDOW_BAND))
    parts.append(box((e - 0.1, -0.8, 2.60), (e + 0.01, 0.8, 2.86), S.YELLOW))
    parts.append(box((-e - 0.01, -1.0, 1.5), (-e + 0.1, 1.0, 2.5), S.WINDOW_BAND))
    return Mesh.join(
        parts + _axles((-3.4, 3.3), half * 0.98, 0.48) + _lights(e + 0.01, -e - 0.01, half * 0.94, 0.72, 0.85)
    )


def _trailer() -> Mesh:
    e, half = 4.5, 1.25
    parts = [
        box((-e, -half, 1.05), (e, half, 3.6), S.CARGO, 0.4),
        box((-e + 0.1, -0.5, 0.8), (e - 0.2, 0.5, 1.05), S.TRIM),
        tube((e - 1.2, -0.5, 0.0), (e - 1.2, -0.5, 0.9), (0.08, 0.08), S.STEEL, 6),
        tube((e - 1.2, 0.5, 0.0), (e - 1.2, 0.5, 0.9), (0.08, 0.08), S.STEEL, 6),
    ]
    for s in (-1, 1):
        y0, y1 = sorted((s * 0.8, s * 1.15))
        parts.append(box((-e - 0.03, y0, 0.82), (-e + 0.05, y1, 1.0), S.TAIL_LIGHT))
    return Mesh.join(parts + _axles((-3.6, -2.5), half * 0.97, 0.5))


def _excavator() -> Mesh:
    parts = [box((-2.0, s * 1.0 - 0.28, 0), (2.0, s * 1.0 + 0.28, 0.85), S.TYRE) for s in (-1, 1)]
    parts += [
        box((-1.9, -1.15, 0.95), (1.3, 1.15, 1.75), S.YELLOW),
        box((-1.9, -1.15, 1.75), (-0.4, 0.2, 2.3), S.YELLOW),
        box((-0.2, 0.25, 1.7), (1.25, 1.1, 2.95), S.GLASS),
        box((-0.25, 0.2, 2.9), (1.3, 1.15, 3.05), S.YELLOW),
        tube((1.1, -0.3, 1.7), (2.6, -0.3, 3.4), (0.25, 0.2), S.YELLOW, 6),
        tube((2.6, -0.3, 3.4), (3.3, -0.3, 1.4), (0.2, 0.16), S.YELLOW, 6),
        box((2.9, -0.75, 0.6), (3.6, 0.15, 1.5), S.STEEL),
    ]
    return Mesh.join(parts)


def _limb(a: tuple, b: tuple, radius: float, surface: int) -> Mesh:
    return tube(a, b, (radius, radius * 0.8), surface, 6)


def _rider(x: float, seat: float, reach: tuple[float, float], feet: float, lean: float) -> list[Mesh]:
    """A person who sits at (x, seat); hands at `reach` (x, z), feet at height `feet`, shoulders `lean` ahead."""
    shoulder = (x + lean, seat + 0.50)
    parts = [
        loft(_torso((x, seat - 0.02), shoulder), S.PAINT_MATT),
        ball((x + lean + 0.08, 0, seat + 0.72), (0.12, 0.10, 0.14), S.SKIN, 8, 5),
        ball((x + lean + 0.06, 0, seat + 0.78), (0.145, 0.125, 0.125), S.SECOND, 8, 5),
    ]
    for s, lift in ((-1, 0.16), (1, 0.0)):
        knee = (x + 0.34, s * 0.13, (seat + feet) / 2 + 0.08 + lift)
        parts.append(_limb((x, s * 0.10, seat), knee, 0.085, S.SECOND))
        parts.append(_limb(knee, (x + 0.22, s * 0.13, feet + lift), 0.07, S.SECOND))
        hand, arm = (reach[0], s * 0.24, reach[1]), (shoulder[0], s * 0.19, shoulder[1] - 0.04)
        parts.append(_limb(arm, hand, 0.055, S.PAINT_MATT))
    return parts


def _torso(low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    rings = []
    for share, half, deep in ((0.0, 0.16, 0.11), (0.5, 0.16, 0.11), (0.9, 0.20, 0.12), (1.0, 0.10, 0.08)):
        x, z = (low[k] + share * (high[k] - low[k]) for k in (0, 1))
        angle = np.arange(8) * np.pi / 4 + np.pi / 8
        rings.append(np.stack([x + deep * np.cos(angle), half * np.sin(angle), np.full(8, z)], -1))
    return np.array(rings)


def _ring_wheel(x: float, radius: float, thick: float) -> Mesh:
    """A spoked wheel in the x-z plane: a thin torus of boxes."""
    angle = 2 * np.pi * np.arange(17) / 16
    rim = np.stack([x + radius * np.cos(angle), 0 * angle, radius * (1 + np.sin(angle))], -1)
    parts = [tube(rim[i], rim[i + 1], (thick, thick), S.TYRE, 4) for i in range(16)]
    parts += [tube(rim[i], rim[i + 8], (0.008, 0.008), S.STEEL, 3) for i in (0, 2, 4, 6)]
    return Mesh.join(parts)


def _bicycle() -> Mesh:
    crank, saddle, head = (-0.05, 0, 0.30), (-0.22, 0, 0.88), (0.38, 0, 0.85)
    bars = [(crank, saddle), (crank, head), (saddle, head), (crank, (-0.52, 0, 0.34)), (saddle, (-0.52, 0, 0.34)),
            (head, (0.52, 0, 0.34)), ((0.38, -0.25, 1.0), (0.38, 0.25, 1.0)), (head, (0.38, 0, 1.0))]  # fmt: skip
    frame = [tube(a, b, (0.025, 0.025), S.STEEL, 5) for a, b in bars]
    wheels = [_ring_wheel(-0.52, 0.33, 0.028), _ring_wheel(0.52, 0.33, 0.028)]
    return Mesh.join(frame + wheels + _rider(-0.20, 0.95, (0.36, 1.03), 0.28, 0.26))


def _motorcycle() -> Mesh:
    wheels = [tube((x, -0.07, 0.31), (x, 0.07, 0.31), (0.31, 0.31), S.TYRE, 14) for x in (-0.68, 0.72)] + [
        tube((x, -0.075, 0.31), (x, 0.075, 0.31), (0.17, 0.17), S.RIM, 10) for x in (-0.68, 0.72)
    ]
    body = [
        _hull(
            [
                (-0.95, 0.10, 0.68, 0.82),
                (-0.3, 0.15, 0.62, 0.82),
                (0.05, 0.19, 0.55, 0.98),
                (0.45, 0.14, 0.62, 0.96),
            ],
            S.PAINT,
            0.05,
        ),
        box((-0.25, -0.15, 0.25), (0.30, 0.15, 0.62), S.TRIM),
        tube((0.72, 0, 0.31), (0.45, 0, 0.98), (0.06, 0.05), S.STEEL, 6),
        tube((0.40, -0.36, 1.02), (0.40, 0.36, 1.02), (0.025, 0.025), S.TRIM, 5),
        ball((0.60, 0, 0.86), (0.08, 0.10, 0.10), S.HEAD_LIGHT, 8, 5),
        box((-0.99, -0.09, 0.70), (-0.93, 0.09, 0.80), S.TAIL_LIGHT),
        tube((-0.8, -0.18, 0.36), (0.1, -0.18, 0.34), (0.05, 0.04), S.RIM, 6),
    ]
    return Mesh.join(wheels + body + _rider(-0.30, 0.85, (0.38, 1.03), 0.32, 0.22))


def _walker(phase: int) -> Callable[[], Mesh]:
    def draw() -> Mesh:
        swing = (0.26, 0.08, -0.26, -0.08)[phase]
        parts = [
            loft(_torso((0, 0.86), (0.02, 1.48)), S.PAINT_MATT),
            tube((0.02, 0, 1.44), (0.03, 0, 1.54), (0.06, 0.055), S.SKIN, 6),
            ball((0.03, 0, 1.62), (0.105, 0.085, 0.13), S.SKIN, 8, 6),
            ball((0.005, 0, 1.66), (0.115, 0.095, 0.11), S.HAIR, 8, 5),
        ]
        for s in (-1, 1):
            step = s * swing
            knee = (step * 0.55 + 0.05 * (step < 0), s * 0.10, 0.48)
            foot = (step - 0.06 * (step < 0), s * 0.10, 0.07)
            parts.append(_limb((0, s * 0.095, 0.92), knee, 0.095, S.SECOND))
            parts.append(_limb(knee, foot, 0.072, S.SECOND))
            parts.append(
                box((foot[0] - 0.07, s * 0.10 - 0.045, 0), (foot[0] + 0.18, s * 0.10 + 0.045, 0.09), S.TRIM)
            )
            elbow = (-step * 0.45, s * 0.24, 1.14)
            hand = (-step * 0.75 + 0.08, s * 0.22, 0.90)
            parts.append(_limb((0.01, s * 0.20, 1.42), elbow, 0.058, S.PAINT_MATT))
            parts.append(_limb(elbow, hand, 0.048, S.PAINT_MATT))
            parts.append(ball(hand, (0.05, 0.035, 0.06), S.SKIN, 6, 4))
        return Mesh.join(parts)

    return draw


def _dog() -> Mesh:
    parts = [
        ball((0, 0, 0.45), (0.42, 0.15, 0.17), S.FUR, 10, 6),
        ball((0.48, 0, 0.66), (0.15, 0.09, 0.10), S.FUR, 8, 5),
    ]
    parts.append(tube((0.30, 0, 0.50), (0.45, 0, 0.64), (0.10, 0.08), S.FUR, 6))
    parts.append(tube((-0.38, 0, 0.52), (-0.60, 0, 0.68), (0.03, 0.015), S.FUR, 5))
    parts += [
        tube((x, y, 0.42), (x, y, 0.0), (0.05, 0.035), S.FUR, 6) for x in (-0.28, 0.28) for y in (-0.09, 0.09)
    ]
    return Mesh.join(parts)


def _cone() -> Mesh:
    radius = lambda z: 0.15 - 0.125 * z / 0.75  # noqa: E731
    parts = [box((-0.2, -0.2, 0), (0.2, 0.2, 0.04), S.CONE)]
    for low, high, surface in (
        (0.04, 0.3, S.CONE),
        (0.3, 0.45, S.CONE_BAND),
        (0.45, 0.55, S.CONE),
        (0.55, 0.65, S.CONE_BAND),
        (0.65, 0.75, S.CONE),
    ):
        parts.append(tube((0, 0, low), (0, 0, high), (radius(low), radius(high)), surface, 12))
    return Mesh.join(parts)


def _barrier() -> Mesh:
    """A concrete barrier that lies across its heading."""
    profile = [
        (0.30, 0.0),
        (0.30, 0.10),
        (0.14, 0.36),
        (0.10, 0.90),
        (-0.10, 0.90),
        (-0.14, 0.36),
        (-0.30, 0.10),
        (-0.30, 0.0),
    ]
    ends = [[(x, y, z) for x, z in profile] for y in (-1.0, 1.0)]
    return loft(np.array(ends)[:, ::-1], S.BARRIER, smooth=False)


def _crate() -> Mesh:
    return Mesh.join(
        [box((-0.5, -0.5, 0), (0.5, 0.5, 0.94), S.BOX), box((-0.52, -0.52, 0.90), (0.52, 0.52, 1.0), S.TRIM)]
    )


def _post() -> Mesh:
    bands = [tube((0, 0, z), (0, 0, z + 0.1), (0.052, 0.052), S.CONE_BAND, 10) for z in (0.65, 0.82)]
    return Mesh.join([tube((0, 0, 0), (0, 0, 1.0), (0.05, 0.048), S.STEEL, 10), *bands])


_SHAPES: dict[str, tuple[Callable[[], Mesh], tuple[float, float, float]]] = {
    "sedan": (_sedan, (4.7, 1.85, 1.45)),
    "hatchback": (_hatchback, (4.1, 1.78, 1.5)),
    "suv": (_suv, (4.75, 1.92, 1.7)),
    "van": (_van, (5.2, 2.0, 2.18)),
    "pickup": (_pickup, (5.6, 1.98, 1.85)),
    "truck": (_truck, (8.4, 2.44, 3.35)),
    "bus": (_bus, (12.0, 2.54, 3.1)),
    "trailer": (_trailer, (9.0, 2.5, 3.6)),
    "excavator": (_excavator, (5.6, 2.56, 3.4)),
    "motorcycle": (_motorcycle, (2.05, 0.75, 1.7)),
    "bicycle": (_bicycle, (1.75, 0.55, 1.75)),
    "dog": (_dog, (1.1, 0.3, 0.76)),
    "cone": (_cone, (0.4, 0.4, 0.75)),
    "barrier": (_barrier, (0.6, 2.0, 0.9)),
    "long_barrier": (lambda: _barrier().moved(yaw=np.pi / 2), (2.0, 0.6, 0.9)),
    "post": (_post, (0.2, 0.2, 1.0)),
    "box": (_crate, (1.0, 1.0, 1.0)),
    **{f"walker{k}": (_walker(k), (0.72, 0.56, 1.75)) for k in range(4)},
}

_BY_KIND = {
    Kind.BUS: "bus", Kind.TRAILER: "trailer", Kind.CONSTRUCTION: "excavator", Kind.MOTORCYCLE: "motorcycle",
    Kind.BICYCLE: "bicycle", Kind.ANIMAL: "dog", Kind.CONE: "cone",
}  # fmt: skip
