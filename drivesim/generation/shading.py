"""Colour of each pixel, once its triangle is known: textures, road paint, light, reflections, haze, sky.

Everything runs in linear light; the picture stores its square root (a display gamma of 2).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from ..types import Semantic
from .mesh import Shade
from .paint import AWAY_CELL, BAR, CELL, GAP, REACH, Ink
from .textures import Texture

SUN = np.array([0.38, 0.46, 0.80]) / np.linalg.norm([0.38, 0.46, 0.80])  # towards the sun: a high sun behind haze
HAZE = 1 / 900.0  # [1/m] extinction: at 900 m, 37 % of an object's own colour is left
SIDEWALK_WIDTH = 2.6  # [m] paving beside the road where a map says nothing of sidewalks

_SUN_X, _SUN_Y, _SUN_Z = float(SUN[0]), float(SUN[1]), float(SUN[2])
_ROAD, _BESIDE = int(Shade.ROAD), int(Shade.BESIDE)
_SKY, _MARKING, _CROSSWALK = int(Semantic.SKY), int(Semantic.MARKING), int(Semantic.CROSSWALK)
_SIDEWALK, _TERRAIN = int(Semantic.SIDEWALK), int(Semantic.TERRAIN)
_YELLOW, _ZEBRA = int(Ink.YELLOW), int(Ink.ZEBRA)
_WHITE, _ASPHALT, _STAINS, _PAVING = (int(t) for t in (Texture.WHITE, Texture.ASPHALT, Texture.STAINS, Texture.PAVING))
_GRASS, _CLOUDS = int(Texture.GRASS), int(Texture.CLOUDS)


class Lens(NamedTuple):
    """Where each pixel of the picture looks and which pixel of the ideal view holds its triangle."""

    plane: np.ndarray  # (h, w, 2) float32 ray at z = 1
    pick: np.ndarray  # (h, w) int32 flat index into the ideal view, -1 where no ray exists


class Shadows(NamedTuple):
    """Soft dark patches under agents, listed by the cells of the paint's grid."""

    starts: np.ndarray
    items: np.ndarray
    boxes: np.ndarray  # (N, 6) float32 x, y, cos, sin of the yaw, half length, half width


class Picture(NamedTuple):
    rgb: np.ndarray  # (3, h, w) uint8
    depth: np.ndarray  # (h, w) float32
    semantics: np.ndarray  # (h, w) uint8
    instance: np.ndarray  # (h, w) int16


@numba.njit(cache=True, nogil=True)
def _texel(atlas, texture, u, v, footprint, channel_out):
    """Bilinear look-up in the nearest mip level; `footprint` in tiles."""
    size = atlas.size[texture]
    level = 0
    span = footprint * size
    if span > 1:
        level = min(int(math.log2(span) + 0.5), atlas.offset.shape[1] - 1)
    side = max(size >> level, 1)
    base = atlas.offset[texture, level]
    x, y = u * side - 0.5, v * side - 0.5
    fx, fy = math.floor(x), math.floor(y)
    wx, wy = np.float32(x - fx), np.float32(y - fy)
    mask = side - 1
    x0, y0 = int(fx) & mask, int(fy) & mask
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    a, b = base + y0 * side + x0, base + y0 * side + x1
    c, d = base + y1 * side + x0, base + y1 * side + x1
    for k in range(3):
        t = atlas.texels
        low = t[a, k] + wx * (np.float32(t[b, k]) - t[a, k])
        high = t[c, k] + wx * (np.float32(t[d, k]) - t[c, k])
        value = (low + wy * (high - low)) * np.float32(1 / 255)
        channel_out[k] = value * value


@numba.njit(cache=True, nogil=True)
def _sky(x, y, z, atlas, clouds, out):
    """Light from direction (x, y, z), unit."""
    rise = max(z, 0.0)
    blue = 1 - math.exp(-3.6 * rise)
    out[0], out[1], out[2] = 0.74 - 0.54 * blue, 0.80 - 0.42 * blue, 0.86 - 0.18 * blue
    if clouds and z > 0.01:
        scale = 0.11 / (rise + 0.10)
        cover = np.empty(3, np.float32)
        _texel(atlas, _CLOUDS, x * scale, y * scale, 0.004 * scale / (rise + 0.05), cover)
        share = 0.85 * cover[0] * min(rise * 7, 1.0)
        out[0] += share * (0.88 - out[0])
        out[1] += share * (0.89 - out[1])
        out[2] += share * (0.91 - out[2])
    glare = max(x * _SUN_X + y * _SUN_Y + z * _SUN_Z, 0.0) ** 24 * 0.35
    out[0] += glare
    out[1] += 0.9 * glare
    out[2] += 0.7 * glare


@numba.njit(cache=True, nogil=True)
def _painted(paint, x, y, dx, dy, color, wear):
    """Lay the strips near (x, y) over `color`; returns the semantic class that shows, 0 for bare road.

    dx, dy are the footprint's two edges (x, y components). Coverage is the product of two box-filtered profiles.
    """
    column, row = int((x - paint.origin[0]) / CELL), int((y - paint.origin[1]) / CELL)
    if not (x >= paint.origin[0] and y >= paint.origin[1] and column < paint.columns and row < paint.rows):
        return 0
    cell = row * paint.columns + column
    white, yellow, zebra = 0.0, 0.0, False
    for j in range(paint.starts[cell], paint.starts[cell + 1]):
        i = paint.items[j]
        ux, uy = paint.strips[i, 2], paint.strips[i, 3]
        rx, ry = x - paint.strips[i, 0], y - paint.strips[i, 1]
        s, t = rx * ux + ry * uy, ry * ux - rx * uy
        wide = min(max(abs(dx[1] * ux - dx[0] * uy) + abs(dy[1] * ux - dy[0] * uy), 1e-3), 2 * REACH)
        half = paint.strips[i, 5]
        if paint.ink[i] == _ZEBRA and 0 <= s <= paint.strips[i, 4] and abs(t) <= (BAR + GAP) / 2:
            zebra = True
        across = min(t + wide / 2, half) - max(t - wide / 2, -half)
        if across <= 0:
            continue
        long = min(max(abs(dx[0] * ux + dx[1] * uy) + abs(dy[0] * ux + dy[1] * uy), 1e-3), 2 * REACH)
        a, b = max(s - long / 2, 0.0), min(s + long / 2, float(paint.strips[i, 4]))
        if b <= a:
            continue
        filled = b - a
        dash, period, phase = paint.strips[i, 6], paint.strips[i, 7], paint.strips[i, 8]
        if dash > 0:
            a, b = a + phase, b + phase
            na, nb = math.floor(a / period), math.floor(b / period)
            filled = (nb - na) * dash + min(b - nb * period, dash) - min(a - na * period, dash)
        cover = across / wide * filled / long
        if paint.ink[i] == _YELLOW:
            yellow += cover
        else:
            white += cover
    white, yellow = min(white, 1.0), min(yellow, 1.0)
    shown = 0
    if white + yellow > 0:
        worn = min(max(1.15 - wear, 0.55), 0.97)
        for k in range(3):
            color[k] += white * worn * (np.float32(0.62) - color[k])
        color[0] += yellow * worn * (np.float32(0.60) - color[0])
        color[1] += yellow * worn * (np.float32(0.38) - color[1])
        color[2] += yellow * worn * (np.float32(0.035) - color[2])
        if white + yellow > 0.5:
            shown = _MARKING
    return _CROSSWALK if zebra else shown


@numba.njit(cache=True, nogil=True)
def _from_road(paint, x, y):
    """Distance to the road [m], bilinear; 25.5 at most and beyond the raster."""
    gx, gy = (x - paint.origin[0]) / AWAY_CELL - 0.5, (y - paint.origin[1]) / AWAY_CELL - 0.5
    rows, columns = paint.away.shape
    if not (gx >= 0 and gy >= 0 and gx < columns - 1 and gy < rows - 1):
        return 25.5
    i, j = int(gy), int(gx)
    fy, fx = gy - i, gx - j
    low = paint.away[i, j] * (1 - fx) + paint.away[i, j + 1] * fx
    high = paint.away[i + 1, j] * (1 - fx) + paint.away[i + 1, j + 1] * fx
    return (low * (1 - fy) + high * fy) * 0.1


@numba.njit(cache=True, nogil=True)
def _shaded(paint, shadows, x, y):
    """Share of light (0..1) that reaches the ground at (x, y) between the agents."""
    column, row = int((x - paint.origin[0]) / CELL), int((y - paint.origin[1]) / CELL)
    if not (x >= paint.origin[0] and y >= paint.origin[1] and column < paint.columns and row < paint.rows):
        return 1.0
    cell = row * paint.columns + column
    light = 1.0
    for j in range(shadows.starts[cell], shadows.starts[cell + 1]):
        i = shadows.items[j]
        rx, ry = x - shadows.boxes[i, 0], y - shadows.boxes[i, 1]
        c, s = shadows.boxes[i, 2], shadows.boxes[i, 3]
        u = abs(rx * c + ry * s) - shadows.boxes[i, 4]
        v = abs(ry * c - rx * s) - shadows.boxes[i, 5]
        out = math.sqrt(max(u, 0.0) ** 2 + max(v, 0.0) ** 2) + min(max(u, v), 0.0)
        edge = min(max((0.45 - out) / 0.75, 0.0), 1.0)
        light *= 1 - 0.72 * edge * edge * (3 - 2 * edge)
    return light


@numba.njit(cache=True, nogil=True)
def shade(rows, lens, view, nearness, front, found, geometry, instances, looks, atlas, paint, shadows, out):
    """Fill rows [a, b) of the picture."""
    fx, fy, cx, cy = view.lens[0], view.lens[1], view.lens[2], view.lens[3]
    turn = view.camera_from_world  # its transposed rotation turns camera rays into the world
    eye = np.empty(3)
    for r in range(3):
        eye[r] = -(turn[0, r] * turn[0, 3] + turn[1, r] * turn[1, 3] + turn[2, r] * turn[2, 3])
    ray, normal, weight, uvs = np.empty(3), np.empty(3), np.empty(3), np.empty((3, 2))
    dx, dy, place = np.empty(3), np.empty(3), np.empty(3)
    color, tex, sky = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    width = view.width
    for y in range(rows[0], rows[1]):
        for x in range(lens.pick.shape[1]):
            px, py = lens.plane[y, x, 0], lens.plane[y, x, 1]
            for r in range(3):
                ray[r] = turn[0, r] * px + turn[1, r] * py + turn[2, r]
            length = math.sqrt(ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2)
            pick = lens.pick[y, x]
            t = front[pick // width, pick % width] if pick >= 0 else -1
            if t < 0:
                _sky(ray[0] / length, ray[1] / length, ray[2] / length, atlas, True, sky)
                for k in range(3):
                    out.rgb[k, y, x] = int(math.sqrt(min(sky[k], np.float32(1))) * 255 + 0.5)
                out.depth[y, x], out.semantics[y, x], out.instance[y, x] = np.inf, _SKY, -1
                continue
            # weights of the corners and depth, at the pixel's own ray
            face, i = found.face[t], found.instance[t]
            ix, iy = px * fx + cx, py * fy + cy
            total, kept, ex, ey = 0.0, 0.0, 0.0, 0.0
            for k in range(3):
                e = found.edge[t, k, 0] * ix + found.edge[t, k, 1] * iy + found.edge[t, k, 2]
                ex += found.edge[t, k, 0]
                ey += found.edge[t, k, 1]
                total += e
                weight[k] = max(e, 0.0)
                kept += weight[k]
            near = total / found.det[t]
            seen = nearness[pick // width, pick % width]
            if not (0.67 * seen < near < 1.5 * seen):  # a silhouette seen edge-on, half a pixel aside
                near = seen
            depth = 1 / near
            surface = geometry.surface[face]
            for k in range(3):
                weight[k] /= max(kept, 1e-300)
                place[k] = eye[k] + ray[k] * depth
                normal[k] = 0.0
            # the normal: interpolated in the mesh, turned into the world, towards the eye
            for k in range(3):
                p = geometry.faces[face, k]
                uvs[k, 0], uvs[k, 1] = geometry.uv[p, 0], geometry.uv[p, 1]
                for r in range(3):
                    tex[r] = geometry.normals[p, r]
                for r in range(3):
                    normal[r] += weight[k] * tex[r]
            nx, ny, nz = normal[0], normal[1], normal[2]
            m = instances.matrix
            sx = m[i, 0, 0] ** 2 + m[i, 1, 0] ** 2 + m[i, 2, 0] ** 2
            sy = m[i, 0, 1] ** 2 + m[i, 1, 1] ** 2 + m[i, 2, 1] ** 2
            sz = m[i, 0, 2] ** 2 + m[i, 1, 2] ** 2 + m[i, 2, 2] ** 2
            for r in range(3):
                normal[r] = m[i, r, 0] * nx / sx + m[i, r, 1] * ny / sy + m[i, r, 2] * nz / sz
            size = math.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + 1e-12
            facing = (normal[0] * ray[0] + normal[1] * ray[1] + normal[2] * ray[2]) / (size * length)
            sign = -1.0 if facing > 0 else 1.0
            for r in range(3):
                normal[r] *= sign / size
            facing = -abs(facing)
            # base colour
            semantic = looks.semantic[surface]
            if semantic == 255:
                semantic = instances.semantic[i]
            kind = looks.shade[surface]
            light = 1.0
            if kind == _ROAD or kind == _BESIDE:
                zx, zy = -depth * ex / (near * found.det[t]), -depth * ey / (near * found.det[t])
                for r in range(3):
                    dx[r] = zx * ray[r] + depth * turn[0, r] / fx
                    dy[r] = zy * ray[r] + depth * turn[1, r] / fy
                wide, high = math.sqrt(dx[0] ** 2 + dx[1] ** 2), math.sqrt(dy[0] ** 2 + dy[1] ** 2)
                spot = max(math.sqrt(wide * high), max(wide, high) * 0.2)
                light = _shaded(paint, shadows, place[0], place[1])
                if kind == _ROAD:
                    _texel(atlas, _ASPHALT, place[0] / 9.0, place[1] / 9.0, spot / 9.0, color)
                    _texel(atlas, _STAINS, place[0] / 83.0, place[1] / 83.0, spot / 83.0, tex)
                    for k in range(3):
                        color[k] *= 2 * tex[k]
                    shown = _painted(paint, place[0], place[1], dx, dy, color, tex[0] * 1.2)
                    if shown > 0:
                        semantic = shown
                else:
                    away = _from_road(paint, place[0], place[1])
                    if away < SIDEWALK_WIDTH:
                        _texel(atlas, _PAVING, place[0] / 4.0, place[1] / 4.0, spot / 4.0, color)
                        semantic = _SIDEWALK
                    else:
                        _texel(atlas, _GRASS, place[0] / 6.0, place[1] / 6.0, spot / 6.0, color)
                        _texel(atlas, _STAINS, place[0] / 61.0, place[1] / 61.0, spot / 61.0, tex)
                        for k in range(3):
                            color[k] *= 2 * tex[k]
                        semantic = _TERRAIN
            else:
                texture = looks.texture[surface]
                if texture == _WHITE:
                    color[0] = color[1] = color[2] = 1
                else:
                    u, v, ux, vx, uy, vy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                    for k in range(3):
                        u += weight[k] * uvs[k, 0]
                        v += weight[k] * uvs[k, 1]
                        ux += found.edge[t, k, 0] * uvs[k, 0]
                        vx += found.edge[t, k, 0] * uvs[k, 1]
                        uy += found.edge[t, k, 1] * uvs[k, 0]
                        vy += found.edge[t, k, 1] * uvs[k, 1]
                    sum_ = near * found.det[t]
                    ux, vx = (ux - u * ex) / sum_, (vx - v * ex) / sum_
                    uy, vy = (uy - u * ey) / sum_, (vy - v * ey) / sum_
                    wide, high = math.sqrt(ux * ux + vx * vx), math.sqrt(uy * uy + vy * vy)
                    spot = max(math.sqrt(wide * high), max(wide, high) * 0.5)
                    _texel(atlas, texture, u, -v, spot, color)
                slot = looks.slot[surface]
                for k in range(3):
                    color[k] *= looks.color[surface, k]
                    if slot >= 0:
                        color[k] *= instances.colors[i, slot, k]
            # light, reflection, haze
            sun = max(normal[0] * _SUN_X + normal[1] * _SUN_Y + normal[2] * _SUN_Z, 0.0)
            up = 0.5 + 0.5 * normal[2]
            glow, gloss = looks.glow[surface], looks.gloss[surface]
            red = (0.80 * sun + 0.36 + 0.24 * up) * light
            green = (0.76 * sun + 0.37 + 0.30 * up) * light
            blue = (0.68 * sun + 0.38 + 0.38 * up) * light
            color[0] *= red + glow * (1.25 - red)
            color[1] *= green + glow * (1.25 - green)
            color[2] *= blue + glow * (1.25 - blue)
            if gloss > 0:
                rx = ray[0] / length - 2 * facing * normal[0]
                ry = ray[1] / length - 2 * facing * normal[1]
                rz = ray[2] / length - 2 * facing * normal[2]
                share = gloss * (0.10 + 0.90 * (1 + facing) ** 3)
                if rz > 0:
                    _sky(rx, ry, rz, atlas, False, sky)
                else:
                    sky[0], sky[1], sky[2] = 0.16, 0.16, 0.16
                for k in range(3):
                    color[k] += share * (sky[k] - color[k])
            veil = 1 - math.exp(-depth * length * HAZE)
            _sky(ray[0] / length, ray[1] / length, 0.0, atlas, False, sky)
            for k in range(3):
                value = color[k] + veil * (sky[k] - color[k])
                out.rgb[k, y, x] = int(math.sqrt(min(max(value, 0.0), 1.0)) * 255 + 0.5)
            out.depth[y, x], out.semantics[y, x], out.instance[y, x] = depth, semantic, instances.agent[i]
