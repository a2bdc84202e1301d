"""Meshes of vehicles, drawn at usual sizes [m]: x forward, y left, z up, on the ground."""

from __future__ import annotations

import numpy as np

from .mesh import Mesh, box, loft, quads, tube
from .surfaces import Surface as S


def hull(stations: list[tuple[float, float, float, float]], surface: int, chamfer: float = 0.09) -> Mesh:
    """A body along x from stations (x, half width, bottom, top) with chamfered edges."""
    rings = []
    for x, half, low, high in stations:
        c = min(chamfer, (high - low) / 3)
        side = [(half * 0.93, low), (half, low + c), (half, high - c), (half * 0.90, high)]
        rings.append([(x, y, z) for y, z in side] + [(x, -y, z) for y, z in side[::-1]])
    return loft(np.array(rings), surface)


def _cabin(low: tuple[float, float, float], high: tuple[float, float, float], half: tuple[float, float]) -> Mesh:
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
    return [box((x - 0.07, s * half - 0.09, z), (x + 0.05, s * half + 0.09, z + 0.13), S.PAINT) for s in (-0.98, 0.98)]


def _car(cabin: tuple, half: float, length: float, belt: float, hood: float, boot: float) -> Mesh:
    e = length / 2
    body = hull(
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


def sedan() -> Mesh:
    return _car(((-1.85, 1.15, 0.90), (-1.10, 0.35, 1.40), (0.86, 0.66)), 0.92, 4.7, 0.92, 0.84, 0.90)


def hatchback() -> Mesh:
    return _car(((-1.92, 1.05, 0.92), (-1.50, 0.30, 1.46), (0.84, 0.66)), 0.89, 4.1, 0.94, 0.86, 0.92)


def suv() -> Mesh:
    return _car(((-2.20, 1.15, 1.05), (-1.85, 0.45, 1.66), (0.90, 0.72)), 0.96, 4.75, 1.08, 1.00, 1.05)


def van() -> Mesh:
    e, half = 2.6, 1.0
    body = hull(
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


def pickup() -> Mesh:
    e, half = 2.8, 0.99
    body = hull(
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


def truck() -> Mesh:
    e, half = 4.2, 1.22
    cab = hull(
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


def bus() -> Mesh:
    e, half = 6.0, 1.27
    body = hull(
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


def trailer() -> Mesh:
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


def excavator() -> Mesh:
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
