"""Colour of each pixel, once its triangle is known: textures, light, reflections, haze, sky.

Everything runs in linear light; the picture stores its square root (a display gamma of 2). Helpers pass colours as
three numbers: tuples stay in registers, small arrays would not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..types import Semantic
from .compiling import compiled, inlined
from .paint import painted
from .surfaces import Shade
from .surroundings import beside, light_on
from .textures import Texture, texel

SUN = np.array([0.38, 0.46, 0.80]) / np.linalg.norm([0.38, 0.46, 0.80])  # towards the sun: a high sun behind haze
HAZE = 1 / 900.0  # [1/m] extinction: at 900 m, 37 % of an object's own colour is left

_SUN_X, _SUN_Y, _SUN_Z = (float(x) for x in SUN)
_ROAD, _BESIDE, _BY_AGENT = int(Shade.ROAD), int(Shade.BESIDE), 255
_SKY = int(Semantic.SKY)
_WHITE, _ASPHALT, _STAINS, _CLOUDS = (int(Texture[n]) for n in ("WHITE", "ASPHALT", "STAINS", "CLOUDS"))
_HORIZON = (0.74, 0.80, 0.86)  # linear rgb of the haze


class Lens(NamedTuple):
    """Where each pixel of the picture looks and which pixel of the ideal view holds its triangle."""

    plane: np.ndarray  # (h, w, 2) float32 ray at z = 1
    pick: np.ndarray  # (h, w) int32 flat index into the ideal view, -1 where no ray exists


class Picture(NamedTuple):
    rgb: np.ndarray  # (3, h, w) uint8
    depth: np.ndarray  # (h, w) float32
    semantics: np.ndarray  # (h, w) uint8
    instance: np.ndarray  # (h, w) int16


@compiled
def shade(rows, lens, view, nearness, front, found, geometry, instances, looks, atlas, paint, shadows, out):
    """Fill rows [a, b) of the picture."""
    c = view.camera_from_world  # its transposed rotation turns camera rays into the world
    eye_x = -(c[0, 0] * c[0, 3] + c[1, 0] * c[1, 3] + c[2, 0] * c[2, 3])
    eye_y = -(c[0, 1] * c[0, 3] + c[1, 1] * c[1, 3] + c[2, 1] * c[2, 3])
    width = view.width
    for y in range(rows[0], rows[1]):
        for x in range(lens.pick.shape[1]):
            px, py = float(lens.plane[y, x, 0]), float(lens.plane[y, x, 1])
            dx = c[0, 0] * px + c[1, 0] * py + c[2, 0]
            dy = c[0, 1] * px + c[1, 1] * py + c[2, 1]
            dz = c[0, 2] * px + c[1, 2] * py + c[2, 2]
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            pick = lens.pick[y, x]
            t = front[pick // width, pick % width] if pick >= 0 else -1
            if t < 0:
                r, g, b = _clouded(dx / length, dy / length, dz / length, atlas)
                out.rgb[0, y, x], out.rgb[1, y, x], out.rgb[2, y, x] = _display(r), _display(g), _display(b)
                out.depth[y, x], out.semantics[y, x], out.instance[y, x] = np.inf, _SKY, -1
                continue
            face, i = found.face[t], found.instance[t]
            near, u, v, w, ex, ey = _weights(found, t, px, py, view.lens, nearness[pick // width, pick % width])
            depth = 1 / near
            surface = geometry.surface[face]
            nx, ny, nz, facing = _normal(geometry, instances.matrix, face, i, u, v, w, dx, dy, dz, length)
            semantic, light = looks.semantic[surface], 1.0
            if semantic == _BY_AGENT:
                semantic = instances.semantic[i]
            kind = looks.shade[surface]
            if kind in (_ROAD, _BESIDE):
                # the footprint on the ground: how the place moves with one pixel to the right and one down
                zx, zy = -depth * ex / (near * found.det[t]), -depth * ey / (near * found.det[t])
                fx, fy = depth / view.lens[0], depth / view.lens[1]
                ax, ay = zx * dx + fx * c[0, 0], zx * dy + fx * c[0, 1]
                bx, by = zy * dx + fy * c[1, 0], zy * dy + fy * c[1, 1]
                at_x, at_y = eye_x + dx * depth, eye_y + dy * depth
                wide, high = math.sqrt(ax * ax + ay * ay), math.sqrt(bx * bx + by * by)
                spot = max(math.sqrt(wide * high), 0.2 * max(wide, high))
                light = light_on(paint, shadows, at_x, at_y)
                if kind == _ROAD:
                    r, g, b = texel(atlas, _ASPHALT, at_x / 9.0, at_y / 9.0, spot / 9.0)
                    stain, _, _ = texel(atlas, _STAINS, at_x / 83.0, at_y / 83.0, spot / 83.0)
                    stain *= 2
                    r, g, b, shown = painted(
                        paint, at_x, at_y, ax, ay, bx, by, r * stain, g * stain, b * stain, 1.75 - stain
                    )
                    if shown > 0:
                        semantic = shown
                else:
                    r, g, b, semantic = beside(atlas, paint, at_x, at_y, spot)
            else:
                r, g, b = looks.color[surface, 0], looks.color[surface, 1], looks.color[surface, 2]
                if looks.texture[surface] != _WHITE:
                    tr, tg, tb = _pattern(
                        geometry, found, atlas, looks.texture[surface], face, t, u, v, w, near, ex, ey
                    )
                    r, g, b = r * tr, g * tg, b * tb
                slot = looks.slot[surface]
                if slot >= 0:
                    r *= instances.colors[i, slot, 0]
                    g *= instances.colors[i, slot, 1]
                    b *= instances.colors[i, slot, 2]
            r, g, b = _lit(r, g, b, nx, ny, nz, light, looks.glow[surface])
            gloss = looks.gloss[surface]
            if gloss > 0:
                share = gloss * (0.10 + 0.90 * (1 - facing) ** 3)
                mx, my, mz = dx / length, dy / length, dz / length
                mr, mg, mb = _sky(mx + 2 * facing * nx, my + 2 * facing * ny, mz + 2 * facing * nz)
                r, g, b = r + share * (mr - r), g + share * (mg - g), b + share * (mb - b)
            veil = 1 - math.exp(-depth * length * HAZE)
            out.rgb[0, y, x] = _display(r + veil * (_HORIZON[0] - r))
            out.rgb[1, y, x] = _display(g + veil * (_HORIZON[1] - g))
            out.rgb[2, y, x] = _display(b + veil * (_HORIZON[2] - b))
            out.depth[y, x], out.semantics[y, x], out.instance[y, x] = depth, semantic, instances.agent[i]


@inlined
def _weights(found, t, px, py, lens, seen):
    """1 / depth, the corners' weights, and the sums of the edge functions' slopes, for the pixel's own ray."""
    x, y = px * lens[0] + lens[2], py * lens[1] + lens[3]
    e, det = found.edge, found.det[t]
    a = e[t, 0, 0] * x + e[t, 0, 1] * y + e[t, 0, 2]
    b = e[t, 1, 0] * x + e[t, 1, 1] * y + e[t, 1, 2]
    c = e[t, 2, 0] * x + e[t, 2, 1] * y + e[t, 2, 2]
    near = (a + b + c) / det
    if not (0.67 * seen < near < 1.5 * seen):  # a face seen edge-on, half a pixel beside it
        near = float(seen)
    a, b, c = max(a, 0.0), max(b, 0.0), max(c, 0.0)
    total = max(a + b + c, 1e-300)
    return (
        near, a / total, b / total, c / total,
        e[t, 0, 0] + e[t, 1, 0] + e[t, 2, 0], e[t, 0, 1] + e[t, 1, 1] + e[t, 2, 1],
    )  # fmt: skip


@inlined
def _normal(geometry, matrix, face, i, u, v, w, dx, dy, dz, length):
    """Unit normal in the world, on the side of the eye, and the cosine of the angle between the two."""
    p, q, o = geometry.faces[face, 0], geometry.faces[face, 1], geometry.faces[face, 2]
    n, m = geometry.normals, matrix[i]
    a = u * n[p, 0] + v * n[q, 0] + w * n[o, 0]
    b = u * n[p, 1] + v * n[q, 1] + w * n[o, 1]
    c = u * n[p, 2] + v * n[q, 2] + w * n[o, 2]
    a /= m[0, 0] * m[0, 0] + m[1, 0] * m[1, 0] + m[2, 0] * m[2, 0]  # a rotation times a scale, inverted and transposed
    b /= m[0, 1] * m[0, 1] + m[1, 1] * m[1, 1] + m[2, 1] * m[2, 1]
    c /= m[0, 2] * m[0, 2] + m[1, 2] * m[1, 2] + m[2, 2] * m[2, 2]
    x = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c
    y = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c
    z = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c
    size = math.sqrt(x * x + y * y + z * z) + 1e-12
    cosine = (x * dx + y * dy + z * dz) / (size * length)
    if cosine > 0:
        size = -size
    return x / size, y / size, z / size, abs(cosine)


@inlined
def _pattern(geometry, found, atlas, texture, face, t, u, v, w, near, ex, ey):
    """The texture at the mesh's own coordinates, at the mip level of the pixel's footprint."""
    p, q, o = geometry.faces[face, 0], geometry.faces[face, 1], geometry.faces[face, 2]
    uv, e = geometry.uv, found.edge
    a = u * uv[p, 0] + v * uv[q, 0] + w * uv[o, 0]
    b = u * uv[p, 1] + v * uv[q, 1] + w * uv[o, 1]
    ax = e[t, 0, 0] * uv[p, 0] + e[t, 1, 0] * uv[q, 0] + e[t, 2, 0] * uv[o, 0] - a * ex
    bx = e[t, 0, 0] * uv[p, 1] + e[t, 1, 0] * uv[q, 1] + e[t, 2, 0] * uv[o, 1] - b * ex
    ay = e[t, 0, 1] * uv[p, 0] + e[t, 1, 1] * uv[q, 0] + e[t, 2, 1] * uv[o, 0] - a * ey
    by = e[t, 0, 1] * uv[p, 1] + e[t, 1, 1] * uv[q, 1] + e[t, 2, 1] * uv[o, 1] - b * ey
    scale = 1 / (near * found.det[t])
    wide, high = math.sqrt(ax * ax + bx * bx) * scale, math.sqrt(ay * ay + by * by) * scale
    return texel(atlas, texture, a, -b, max(math.sqrt(wide * high), 0.5 * max(wide, high)))


@inlined
def _lit(r, g, b, nx, ny, nz, light, glow):
    """Sun, and a sky that is brighter from above; `light` is the share that reaches the place."""
    sun = max(nx * _SUN_X + ny * _SUN_Y + nz * _SUN_Z, 0.0)
    up = 0.5 + 0.5 * nz
    lr, lg, lb = 0.80 * sun + 0.36 + 0.24 * up, 0.76 * sun + 0.37 + 0.30 * up, 0.68 * sun + 0.38 + 0.38 * up
    keep, own = light * (1 - glow), 1.25 * glow
    return r * (lr * keep + own), g * (lg * keep + own), b * (lb * keep + own)


@inlined
def _sky(x, y, z):
    """Light from the unit direction (x, y, z) without clouds; from below, the street's."""
    if z < 0:
        return 0.17, 0.17, 0.17
    blue = 1 - math.exp(-3.6 * z)
    glare = max(x * _SUN_X + y * _SUN_Y + z * _SUN_Z, 0.0)
    glare *= glare
    glare *= glare
    glare *= glare
    glare = 0.35 * glare * glare * glare  # power 24
    return 0.74 - 0.54 * blue + glare, 0.80 - 0.42 * blue + 0.9 * glare, 0.86 - 0.18 * blue + 0.7 * glare


@inlined
def _clouded(x, y, z, atlas):
    """The sky as one looks at it."""
    if z < 0.01:
        return _HORIZON
    r, g, b = _sky(x, y, z)
    scale = 0.11 / (z + 0.10)
    cover, _, _ = texel(atlas, _CLOUDS, x * scale, y * scale, 0.004 * scale / (z + 0.05))
    share = 0.85 * cover * min(7 * z, 1.0)
    return r + share * (0.88 - r), g + share * (0.89 - g), b + share * (0.91 - b)


@inlined
def _display(linear):
    return int(math.sqrt(min(max(linear, 0.0), 1.0)) * 255 + 0.5)
