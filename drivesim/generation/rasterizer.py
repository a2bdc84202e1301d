"""Which triangle does each pixel see? A z-buffer over instanced meshes, in numba.

Triangles are rasterised in homogeneous form: with camera-frame corners v0 v1 v2 and the ray d through a pixel,
e_i = (v_j x v_k) . d are the three edge functions, linear in the pixel; inside, all have the sign of
det = v0 . (v1 x v2), and 1 / depth = (e_0 + e_1 + e_2) / det. No triangle has to be cut at the near plane, and
two triangles with a common edge compute exactly opposite functions for it: no cracks, no pixel drawn twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .compiling import compiled

NEAR = 0.05  # [m] nothing closer to the camera's plane is drawn


class Geometry(NamedTuple):
    """Meshes one after the other. Faces wind counter-clockwise seen from outside."""

    points: np.ndarray  # (V, 3) float32, the mesh's own frame [m]
    normals: np.ndarray  # (V, 3) float32, unit
    uv: np.ndarray  # (V, 2) float32, in tiles of the texture
    faces: np.ndarray  # (F, 3) int32
    surface: np.ndarray  # (F,) int16, row of the surface table
    both: np.ndarray  # (F,) bool, also seen from behind


class Instances(NamedTuple):
    """Places where runs of faces stand."""

    first: np.ndarray  # (I,) int32 first face
    count: np.ndarray  # (I,) int32 number of faces
    matrix: np.ndarray  # (I, 3, 4) float64 world from mesh
    colors: np.ndarray  # (I, 2, 3) float32 linear rgb for surfaces that take the instance's paint
    agent: np.ndarray  # (I,) int16 agent index, -1 for none
    semantic: np.ndarray  # (I,) uint8 class of the surfaces that take it from the instance
    center: np.ndarray  # (I, 3) float64 bounding sphere, world [m]
    radius: np.ndarray  # (I,) float64 [m]


class View(NamedTuple):
    """An ideal pinhole."""

    camera_from_world: np.ndarray  # (3, 4) float64
    lens: np.ndarray  # (4,) float64 fx, fy, cx, cy [px]
    width: int
    height: int


class Triangles(NamedTuple):
    """Front faces of one view, ready to be filled."""

    edge: np.ndarray  # (N, 3, 3) float64: e_i = edge[i] . (px, py, 1), positive inside
    det: np.ndarray  # (N,) float64, positive
    box: np.ndarray  # (N, 4) int32 pixel range x0, x1, y0, y1, ends excluded
    face: np.ndarray  # (N,) int32
    instance: np.ndarray  # (N,) int32


def visible(instances: Instances, view: View, far: float) -> np.ndarray:
    """Instances (K,) int64 whose bounding sphere meets the view, nearest first, at least half a pixel across."""
    rotation, shift = view.camera_from_world[:, :3], view.camera_from_world[:, 3]
    center, radius = instances.center @ rotation.T + shift, instances.radius
    fx, fy, cx, cy = view.lens
    keep = (center[:, 2] > NEAR - radius) & (center[:, 2] < far + radius)
    sides = ((fx, 0, cx), (-fx, 0, view.width - cx), (0, fy, cy), (0, -fy, view.height - cy))
    for plane in sides:
        normal = np.array(plane, float)
        keep &= center @ (normal / np.linalg.norm(normal)) > -radius
    distance = np.linalg.norm(center, axis=1)
    keep &= 2 * radius * max(fx, fy) > 0.5 * (distance - radius)
    index = np.flatnonzero(keep)
    return index[np.argsort((distance - radius)[index], kind="stable")]


def triangles(geometry: Geometry, instances: Instances, view: View, far: float = np.inf) -> Triangles:
    order = visible(instances, view, far)
    n = int(instances.count[order].sum())
    out = Triangles(
        np.empty((n, 3, 3)),
        np.empty(n),
        np.empty((n, 4), np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
    )
    used = _setup(geometry, instances, order, view, out)
    return Triangles(*(x[:used] for x in out))


def see(found: Triangles, rows: tuple[int, int], nearness: np.ndarray, front: np.ndarray) -> None:
    """Fill rows [a, b) of `nearness` (h, w) float32 = 1 / depth (0 at infinity) and `front` (h, w) int32.

    `front` is the row of `found` that the pixel sees, -1 for none.
    """
    nearness[rows[0] : rows[1]] = 0
    front[rows[0] : rows[1]] = -1
    _fill(found, rows[0], rows[1], nearness, front)


@compiled
def _setup(geometry, instances, order, view, out):
    fx, fy, cx, cy = view.lens[0], view.lens[1], view.lens[2], view.lens[3]
    world, width, height = view.camera_from_world, view.width, view.height
    m, v, cross = np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 3))
    n = 0
    for i in order:
        for r in range(3):
            for c in range(4):
                m[r, c] = world[r, 3] if c == 3 else 0.0
                for k in range(3):
                    m[r, c] += world[r, k] * instances.matrix[i, k, c]
        for f in range(instances.first[i], instances.first[i] + instances.count[i]):
            x0, x1, y0, y1, behind = np.inf, -np.inf, np.inf, -np.inf, 0
            for k in range(3):
                p = geometry.faces[f, k]
                a, b, c = geometry.points[p, 0], geometry.points[p, 1], geometry.points[p, 2]
                for r in range(3):
                    v[k, r] = m[r, 0] * a + m[r, 1] * b + m[r, 2] * c + m[r, 3]
                if v[k, 2] >= NEAR:
                    px, py = fx * v[k, 0] / v[k, 2] + cx, fy * v[k, 1] / v[k, 2] + cy
                    x0, x1, y0, y1 = min(x0, px), max(x1, px), min(y0, py), max(y1, py)
                else:
                    behind += 1
            if behind == 3:
                continue
            if behind > 0:
                for k in range(3):
                    j = (k + 1) % 3
                    if (v[k, 2] >= NEAR) != (v[j, 2] >= NEAR):
                        t = (NEAR - v[k, 2]) / (v[j, 2] - v[k, 2])
                        px = fx * (v[k, 0] + t * (v[j, 0] - v[k, 0])) / NEAR + cx
                        py = fy * (v[k, 1] + t * (v[j, 1] - v[k, 1])) / NEAR + cy
                        x0, x1, y0, y1 = min(x0, px), max(x1, px), min(y0, py), max(y1, py)
            x0, y0 = max(np.ceil(x0 - 0.5), 0.0), max(np.ceil(y0 - 0.5), 0.0)
            x1, y1 = min(np.floor(x1 - 0.5) + 1, float(width)), min(np.floor(y1 - 0.5) + 1, float(height))
            if not (x0 < x1 and y0 < y1):
                continue
            det = 0.0
            for k in range(3):
                i1, i2 = (k + 1) % 3, (k + 2) % 3
                cross[k, 0] = v[i1, 1] * v[i2, 2] - v[i1, 2] * v[i2, 1]
                cross[k, 1] = v[i1, 2] * v[i2, 0] - v[i1, 0] * v[i2, 2]
                cross[k, 2] = v[i1, 0] * v[i2, 1] - v[i1, 1] * v[i2, 0]
            for r in range(3):
                det += v[0, r] * cross[0, r]
            if det == 0 or (det > 0 and not geometry.both[f]):  # positive: the camera sees the inner side
                continue
            sign = 1.0 if det > 0 else -1.0
            for k in range(3):
                a, b = sign * cross[k, 0] / fx, sign * cross[k, 1] / fy
                out.edge[n, k, 0], out.edge[n, k, 1] = a, b
                out.edge[n, k, 2] = sign * cross[k, 2] - a * cx - b * cy
            out.det[n] = abs(det)
            out.box[n, 0], out.box[n, 1], out.box[n, 2], out.box[n, 3] = int(x0), int(x1), int(y0), int(y1)
            out.face[n], out.instance[n] = f, i
            n += 1
    return n


@compiled
def _fill(found, top, bottom, nearness, front):
    for t in range(len(found.det)):
        first, last = max(found.box[t, 2], top), min(found.box[t, 3], bottom)
        if first >= last:
            continue
        edge = found.edge[t]
        scale = 1 / found.det[t]
        wx = (edge[0, 0] + edge[1, 0] + edge[2, 0]) * scale
        wy = (edge[0, 1] + edge[1, 1] + edge[2, 1]) * scale
        wc = (edge[0, 2] + edge[1, 2] + edge[2, 2]) * scale
        for y in range(first, last):
            py = y + 0.5
            left, right = float(found.box[t, 0]), float(found.box[t, 1])
            for k in range(3):
                a, rest = edge[k, 0], edge[k, 1] * py + edge[k, 2]
                # a pixel centre exactly on an edge belongs to the triangle on its right, or below if level
                if a > 0:
                    left = max(left, np.ceil(-rest / a - 0.5))
                elif a < 0:
                    right = min(right, np.ceil(-rest / a - 0.5))
                elif rest < 0 or (rest == 0 and edge[k, 1] <= 0):
                    right = left
            start = wy * py + wc + 0.5 * wx
            for x in range(int(left), int(right)):
                w = np.float32(start + wx * x)
                if w > nearness[y, x] and w <= 1 / NEAR:
                    nearness[y, x] = w
                    front[y, x] = t
