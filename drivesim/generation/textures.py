"""Procedural textures with their mip chains: asphalt, paving, grass, facades, leaves, clouds. Seeded, tileable.

Texels hold the square root of linear light in 8 bits (close to how displays encode it), so dark asphalt has no bands.
"""

from __future__ import annotations

import math
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from .compiling import inlined


class Texture(IntEnum):
    WHITE = 0
    ASPHALT = 1
    STAINS = 2
    PAVING = 3
    GRASS = 4
    CONCRETE = 5
    LEAVES = 6
    BARK = 7
    PLANKS = 8
    CLOUDS = 9
    BRICK_FACADE = 10
    PLASTER_FACADE = 11
    GLASS_FACADE = 12
    STONE_FACADE = 13
    SHOPS = 14
    DOORS = 15
    GARAGES = 16
    CLADDING = 17


class Atlas(NamedTuple):
    """All textures, all levels, one after the other."""

    texels: np.ndarray  # (N,) uint32, red in the lowest byte
    offset: np.ndarray  # (textures, levels) int32 first texel of each level
    size: np.ndarray  # (textures,) int32 side of level 0, a power of two


@lru_cache(maxsize=1)
def atlas() -> Atlas:
    chains = [_mips(_PAINTERS[texture](np.random.default_rng(int(texture)))) for texture in Texture]
    levels = max(len(chain) for chain in chains)
    offset = np.zeros((len(chains), levels), np.int32)
    total, parts = 0, []
    for i, chain in enumerate(chains):
        for level, image in enumerate(chain):
            offset[i, level:] = total
            total += len(image) ** 2
            parts.append(image.reshape(-1, 3).astype(np.uint32) @ np.array([1, 256, 65536], np.uint32))
    sizes = np.array([len(chain[0]) for chain in chains], np.int32)
    return Atlas(np.concatenate(parts), offset, sizes)


@inlined
def texel(atlas, texture, u, v, footprint):
    """Linear rgb at (u, v) [tiles, rows down], bilinear in the mip level nearest to the `footprint` [tiles]."""
    side, level = atlas.size[texture], 0
    span = footprint * side
    while span > 1.414 and side > 1:
        span *= 0.5
        side >>= 1
        level += 1
    base, mask = atlas.offset[texture, level], side - 1
    x, y = u * side - 0.5, v * side - 0.5
    fx, fy = math.floor(x), math.floor(y)
    x0, y0 = int(fx) & mask, int(fy) & mask
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    a, b = atlas.texels[np.uint64(base + y0 * side + x0)], atlas.texels[np.uint64(base + y0 * side + x1)]
    c, d = atlas.texels[np.uint64(base + y1 * side + x0)], atlas.texels[np.uint64(base + y1 * side + x1)]
    wx, wy = np.float32(x - fx), np.float32(y - fy)
    wd = wx * wy
    wb, wc = wx - wd, wy - wd
    wa = np.float32(1) - wx - wc
    return (
        _blend(a, b, c, d, wa, wb, wc, wd, 0),
        _blend(a, b, c, d, wa, wb, wc, wd, 8),
        _blend(a, b, c, d, wa, wb, wc, wd, 16),
    )


@inlined
def _blend(a, b, c, d, wa, wb, wc, wd, shift):
    """One channel, from stored square roots to linear light."""
    byte = np.uint32(255)
    value = wa * np.float32((a >> np.uint32(shift)) & byte) + wb * np.float32((b >> np.uint32(shift)) & byte)
    value += wc * np.float32((c >> np.uint32(shift)) & byte) + wd * np.float32((d >> np.uint32(shift)) & byte)
    value *= np.float32(1 / 255)
    return value * value


def _mips(linear: np.ndarray) -> list[np.ndarray]:
    chain = [linear]
    while len(chain[-1]) > 1:
        x = chain[-1]
        chain.append((x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4)
    return [(np.sqrt(np.clip(x, 0, 1)) * 255 + 0.5).astype(np.uint8) for x in chain]


def _noise(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Tileable smooth noise (size, size), zero mean, unit deviation; `scale` is the feature size in texels."""
    x = gaussian_filter(rng.standard_normal((size, size)), scale, mode="wrap")
    return (x - x.mean()) / x.std()


def _clouds(rng: np.random.Generator, size: int, coarse: float, octaves: int) -> np.ndarray:
    """Several octaves of `_noise`, zero mean, unit deviation."""
    total = sum(0.55**k * _noise(rng, size, coarse / 2**k) for k in range(octaves))
    return (total - total.mean()) / total.std()


def _tint(gray: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    return gray[..., None] * np.array(color)


def _white(rng: np.random.Generator) -> np.ndarray:
    return np.ones((1, 1, 3))


def _asphalt(rng: np.random.Generator) -> np.ndarray:
    n = 512
    gray = 0.105 + 0.020 * rng.standard_normal((n, n)) + 0.008 * _noise(rng, n, 1.5) + 0.010 * _noise(rng, n, 20)
    crack = np.abs(_clouds(rng, n, 60, 5))
    gray = gray * (1 - 0.45 * np.exp(-((crack / 0.012) ** 2)) * (_noise(rng, n, 50) > 0.7))
    return _tint(gray, (1.0, 1.0, 1.03))


def _stains(rng: np.random.Generator) -> np.ndarray:
    """Multiplies the asphalt over tens of metres: worn, patched and oily places; around 1/2 in linear light."""
    n = 256
    gray = 0.5 + 0.035 * _clouds(rng, n, 24, 4)
    for _ in range(26):
        x, y, w, h = rng.integers(0, n, 2).tolist() + rng.integers(5, 30, 2).tolist()
        gray[y : y + h, x : x + w] *= rng.choice([0.86, 0.92, 1.09])
    return _tint(gray, (1.0, 1.0, 1.0))


def _paving(rng: np.random.Generator) -> np.ndarray:
    n, slabs = 256, 4
    cell = n // slabs
    shade = np.kron(1 + 0.07 * rng.standard_normal((slabs, slabs)), np.ones((cell, cell)))
    gray = (0.36 + 0.018 * rng.standard_normal((n, n)) + 0.012 * _noise(rng, n, 12)) * shade
    seam = (np.arange(n) % cell) < 2
    gray[seam, :] *= 0.62
    gray[:, seam] *= 0.62
    return _tint(gray, (1.0, 0.97, 0.92))


def _grass(rng: np.random.Generator) -> np.ndarray:
    n = 256
    blade = _noise(rng, n, 0.8)
    patch = _clouds(rng, n, 30, 4)
    green = np.clip(0.13 + 0.030 * blade + 0.018 * patch, 0.01, 1)
    return np.stack([green * (0.72 + 0.10 * patch), green, green * 0.36], -1)


def _concrete(rng: np.random.Generator) -> np.ndarray:
    n = 128
    gray = 0.42 + 0.02 * rng.standard_normal((n, n)) + 0.03 * _clouds(rng, n, 20, 4)
    return _tint(gray, (1.0, 0.98, 0.94))


def _leaves(rng: np.random.Generator) -> np.ndarray:
    n = 128
    clump, leaf = _clouds(rng, n, 9, 3), _noise(rng, n, 1.3)
    green = np.clip(0.115 + 0.050 * clump + 0.040 * leaf, 0.012, 1)
    return np.stack([green * (0.62 + 0.08 * clump), green, green * 0.34], -1)


def _bark(rng: np.random.Generator) -> np.ndarray:
    n = 64
    ridges = gaussian_filter(rng.standard_normal((n, n)), (6, 0.8), mode="wrap")
    return _tint(np.clip(0.10 + 0.15 * ridges / ridges.std() * 0.25, 0.02, 1), (1.0, 0.82, 0.64))


def _planks(rng: np.random.Generator) -> np.ndarray:
    n, boards = 128, 8
    width = n // boards
    shade = np.repeat(1 + 0.12 * rng.standard_normal(boards), width)[None, :]
    grain = gaussian_filter(rng.standard_normal((n, n)), (8, 0.7), mode="wrap")
    gray = 0.24 * shade * (1 + 0.10 * grain / grain.std())
    gray[:, (np.arange(n) % width) < 2] *= 0.25
    return _tint(gray, (1.0, 0.78, 0.55))


def _sky(rng: np.random.Generator) -> np.ndarray:
    """How much cloud stands before the blue, 0..1."""
    cover = np.clip(0.30 + 0.42 * _clouds(rng, 256, 26, 6), 0, 1)
    return _tint(cover, (1.0, 1.0, 1.0))


def _masonry(rng: np.random.Generator, kind: str, n: int) -> np.ndarray:
    """Wall surface (n, n, 3) without openings; one tile is four bays wide and four storeys high."""
    if kind == "brick":
        row, course = np.arange(n) // 2, 5
        tone = 1 + 0.13 * rng.standard_normal((n // 2, n // course + 2))
        column = (np.arange(n)[None, :] + (row[:, None] % 2) * (course // 2)) // course
        gray = 0.26 * tone[row[:, None], column] + 0.012 * rng.standard_normal((n, n))
        return _tint(np.clip(gray, 0.02, 1), (1.0, 0.52, 0.38))
    if kind == "stone":
        row = np.arange(n) // 16
        tone = 1 + 0.045 * rng.standard_normal((n // 16, n // 32))
        column = ((np.arange(n)[None, :] + (row[:, None] % 2) * 16) // 32) % (n // 32)
        gray = 0.44 * tone[row[:, None], column] + 0.012 * rng.standard_normal((n, n))
        gray[np.arange(n) % 16 == 0] *= 0.82
        return _tint(gray, (1.0, 0.94, 0.80))
    gray = 0.55 + 0.008 * rng.standard_normal((n, n)) + 0.018 * _clouds(rng, n, 40, 4)
    return _tint(gray, (1.0, 0.97, 0.90))


def _pane(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Glass seen from outside by day: dark, a reflection that brightens upwards, at times a blind or curtains."""
    sky = np.linspace(0.17, 0.05, h)[:, None] * np.ones((1, w)) * rng.uniform(0.7, 1.3)
    image = _tint(sky, (0.80, 0.95, 1.15))
    if rng.random() < 0.45:
        drop = int(h * rng.uniform(0.15, 0.7))
        image[:drop] = np.array([0.46, 0.43, 0.37]) * rng.uniform(0.6, 1.0)
    elif rng.random() < 0.5:
        side = max(w // 5, 1)
        image[:, :side] = image[:, -side:] = (0.36, 0.33, 0.29)
    return image


def _facade(kind: str, width: float, height: float, sill: float, frame: float):
    """A tile of 4 x 4 windows; sizes as fractions of a bay and a storey."""

    def paint(rng: np.random.Generator) -> np.ndarray:
        n, cell = 256, 64
        image = _masonry(rng, kind, n)
        w, h, top = int(width * cell), int(height * cell), int((1 - sill - height) * cell)
        for i in range(4):
            for j in range(4):
                y, x = i * cell + top, j * cell + (cell - w) // 2
                image[y - 3 : y + h + 3, x - 2 : x + w + 2] = frame
                image[y + h + 2 : y + h + 5, x - 4 : x + w + 4] = frame * 1.15
                image[y + h + 5 : y + h + 7, x - 4 : x + w + 4] *= 0.6
                image[y : y + h, x : x + w] = _pane(rng, h, w)
                image[y : y + 2, x : x + w] *= 0.45  # the lintel's shade
                image[y : y + h, x + w // 2 - 1 : x + w // 2 + 1] = frame * 0.8
        return image

    return paint


def _curtain_wall(rng: np.random.Generator) -> np.ndarray:
    n, cell = 256, 32
    image = np.zeros((n, n, 3))
    for i in range(0, n, cell):
        for j in range(0, n, cell):
            spandrel = (i // cell) % 2 == 1
            tone = rng.uniform(0.75, 1.2)
            image[i : i + cell, j : j + cell] = (
                np.array([0.13, 0.17, 0.20]) * tone if spandrel else np.array([0.10, 0.15, 0.20]) * tone
            )
            if not spandrel:
                image[i : i + cell, j : j + cell] += np.linspace(0.10, 0.0, cell)[:, None, None]
    image[np.arange(n) % cell < 2] = 0.34
    image[:, np.arange(n) % cell < 2] = 0.30
    return image


def _ground_floor(kind: str):
    """The street storey, four bays wide; one tile is one storey high."""

    def paint(rng: np.random.Generator) -> np.ndarray:
        n, cell = 256, 64
        image = _masonry(rng, {"shops": "plaster", "doors": "stone", "garages": "plaster"}[kind], n) * 0.8
        for j in range(4):
            x = j * cell
            if kind == "shops":
                image[96:224, x + 5 : x + 59] = 0.10
                image[100:220, x + 8 : x + 56] = _pane(rng, 120, 48) + 0.05
                for _ in range(5):  # goods and people inside
                    gx, gh = x + 10 + int(rng.integers(0, 38)), int(rng.integers(20, 60))
                    image[220 - gh : 220, gx : gx + 8] = rng.uniform(0.05, 0.5, 3)
                image[48:84, x + 2 : x + 62] = rng.uniform(0.04, 0.55, 3)  # the sign
                image[60:72, x + 16 : x + 48] = 0.75
                image[84:96, x : x + 64] = np.where(
                    np.arange(64)[None, :, None] % 16 < 8, 0.7, rng.uniform(0.1, 0.5, 3)
                )
            elif kind == "doors" and j == 1:
                image[60:256, x + 16 : x + 48] = 0.5
                image[66:256, x + 19 : x + 45] = rng.uniform(0.03, 0.25, 3)
                image[80:130, x + 24 : x + 40] = 0.12
            elif kind == "garages" and j % 2 == 0:
                image[70:256, x + 4 : x + 60] = 0.34
                image[70:256:14, x + 4 : x + 60] = 0.2
            else:
                image[70:176, x + 14 : x + 50] = 0.55
                image[75:170, x + 18 : x + 46] = _pane(rng, 95, 28)
        image[:14] = image[:14] * 0.6 + 0.25  # cornice
        image[240:] *= 0.6  # plinth
        return image

    return paint


def _cladding(rng: np.random.Generator) -> np.ndarray:
    n = 64
    gray = 0.5 + 0.1 * np.sin(np.arange(n) / n * 2 * np.pi * 8)[None, :] + 0.02 * rng.standard_normal((n, n))
    return _tint(gray, (1.0, 1.0, 1.0))


_PAINTERS = {
    Texture.WHITE: _white,
    Texture.ASPHALT: _asphalt,
    Texture.STAINS: _stains,
    Texture.PAVING: _paving,
    Texture.GRASS: _grass,
    Texture.CONCRETE: _concrete,
    Texture.LEAVES: _leaves,
    Texture.BARK: _bark,
    Texture.PLANKS: _planks,
    Texture.CLOUDS: _sky,
    Texture.BRICK_FACADE: _facade("brick", 0.42, 0.52, 0.24, 0.60),
    Texture.PLASTER_FACADE: _facade("plaster", 0.50, 0.48, 0.28, 0.75),
    Texture.GLASS_FACADE: _curtain_wall,
    Texture.STONE_FACADE: _facade("stone", 0.36, 0.58, 0.20, 0.42),
    Texture.SHOPS: _ground_floor("shops"),
    Texture.DOORS: _ground_floor("doors"),
    Texture.GARAGES: _ground_floor("garages"),
    Texture.CLADDING: _cladding,
}
