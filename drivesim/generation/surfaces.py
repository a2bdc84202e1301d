"""What faces show: the table of surfaces, with texture, colour, gloss, glow and class of each."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ..types import Semantic
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


BOTH_SIDES = np.array([_LOOKS[s][6] for s in Surface])
"""Which surfaces are seen from behind as well, by `Surface`."""


def surfaces() -> Surfaces:
    rows = [_LOOKS[s] for s in Surface]
    shade = [{Surface.ROAD: Shade.ROAD, Surface.BESIDE: Shade.BESIDE}.get(s, Shade.TEXTURE) for s in Surface]
    column = lambda i, dtype: np.array([row[i] for row in rows], dtype)  # noqa: E731
    return Surfaces(
        column(0, np.int16), np.array(shade, np.uint8), column(1, np.float32), column(2, np.int8),
        column(3, np.float32), column(4, np.float32), column(5, np.uint8),
    )  # fmt: skip
