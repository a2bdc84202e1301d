"""Meshes of people on foot and on two wheels, and of a dog: x forward, y left, z up, on the ground [m]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .mesh import Mesh, ball, box, loft, tube
from .surfaces import Surface as S
from .vehicles import hull


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


def bicycle() -> Mesh:
    crank, saddle, head = (-0.05, 0, 0.30), (-0.22, 0, 0.88), (0.38, 0, 0.85)
    bars = [(crank, saddle), (crank, head), (saddle, head), (crank, (-0.52, 0, 0.34)), (saddle, (-0.52, 0, 0.34)),
            (head, (0.52, 0, 0.34)), ((0.38, -0.25, 1.0), (0.38, 0.25, 1.0)), (head, (0.38, 0, 1.0))]  # fmt: skip
    frame = [tube(a, b, (0.025, 0.025), S.STEEL, 5) for a, b in bars]
    wheels = [_ring_wheel(-0.52, 0.33, 0.028), _ring_wheel(0.52, 0.33, 0.028)]
    return Mesh.join(frame + wheels + _rider(-0.20, 0.95, (0.36, 1.03), 0.28, 0.26))


def motorcycle() -> Mesh:
    wheels = [tube((x, -0.07, 0.31), (x, 0.07, 0.31), (0.31, 0.31), S.TYRE, 14) for x in (-0.68, 0.72)] + [
        tube((x, -0.075, 0.31), (x, 0.075, 0.31), (0.17, 0.17), S.RIM, 10) for x in (-0.68, 0.72)
    ]
    body = [
        hull(
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


def walker(phase: int) -> Callable[[], Mesh]:
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
            parts.append(box((foot[0] - 0.07, s * 0.10 - 0.045, 0), (foot[0] + 0.18, s * 0.10 + 0.045, 0.09), S.TRIM))
            elbow = (-step * 0.45, s * 0.24, 1.14)
            hand = (-step * 0.75 + 0.08, s * 0.22, 0.90)
            parts.append(_limb((0.01, s * 0.20, 1.42), elbow, 0.058, S.PAINT_MATT))
            parts.append(_limb(elbow, hand, 0.048, S.PAINT_MATT))
            parts.append(ball(hand, (0.05, 0.035, 0.06), S.SKIN, 6, 4))
        return Mesh.join(parts)

    return draw


def dog() -> Mesh:
    parts = [
        ball((0, 0, 0.45), (0.42, 0.15, 0.17), S.FUR, 10, 6),
        ball((0.48, 0, 0.66), (0.15, 0.09, 0.10), S.FUR, 8, 5),
    ]
    parts.append(tube((0.30, 0, 0.50), (0.45, 0, 0.64), (0.10, 0.08), S.FUR, 6))
    parts.append(tube((-0.38, 0, 0.52), (-0.60, 0, 0.68), (0.03, 0.015), S.FUR, 5))
    parts += [tube((x, y, 0.42), (x, y, 0.0), (0.05, 0.035), S.FUR, 6) for x in (-0.28, 0.28) for y in (-0.09, 0.09)]
    return Mesh.join(parts)
