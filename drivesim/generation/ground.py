"""The ground as a mesh: road and what lies beside it, cut exactly along the drivable border, with kerbs between.

A grid follows the height of the ground; cells that the border crosses are clipped to it, so the edge of the road is
geometry and as sharp as the map. Beyond the map the grid widens towards the horizon.
"""

from __future__ import annotations

import numpy as np
import shapely
import torch
from shapely.geometry.base import BaseGeometry

from ..roadmap import RoadMap, lane_areas
from ..types import Map
from .compiling import compiled
from .mesh import Mesh, quads
from .surfaces import Surface

MARGIN = 60.0  # [m] fine grid around the mapped area
HORIZON = 3000.0  # [m] from the mapped area to the end of the world
KERB_HEIGHT = 0.12  # [m] a usual kerb; less where the map's heights hold the step already
KERB_WIDTH = 0.18  # [m] of the stone's top
FLATNESS = 0.02  # [m] how far a grid cell may leave the ground


def drivable_area(map: Map) -> BaseGeometry:
    """The drivable surface as polygons: inside an odd number of rings; the lanes' own area where a map has none."""
    rings = [map.drivable.line(i)[:, :2].double().numpy() for i in range(len(map.drivable))]
    rings = [ring for ring in rings if len(ring) >= 3 and np.isfinite(ring).all()]
    if not rings:
        areas = [shapely.Polygon(a.double().numpy()).buffer(0.1) for a in lane_areas(map.lanes) if len(a) >= 4]
        return shapely.union_all(areas).simplify(0.02) if areas else shapely.Polygon()
    lines = shapely.union_all([shapely.LinearRing(ring) for ring in rings])  # nodes them where they touch
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    if not len(faces):
        return shapely.Polygon()
    middle = shapely.get_coordinates(shapely.point_on_surface(faces))
    inside = RoadMap.of(map).inside(torch.from_numpy(middle)).numpy()
    return shapely.union_all(faces[inside]).simplify(0.02)


def ground_mesh(map: Map, area: BaseGeometry, bounds: tuple[float, float, float, float]) -> Mesh:
    """Road, surroundings up to the horizon and kerbs; `bounds` (x0, y0, x1, y1) is what to cover finely."""
    rise = kerb_rise(map, area)
    cell = _cell(map, bounds)
    x, y = _axis(bounds[0], bounds[2], cell), _axis(bounds[1], bounds[3], cell)
    outside = shapely.box(x[0], y[0], x[-1], y[-1]).difference(area)
    parts = [_layer(map, area, x, y, Surface.ROAD, 0.0), _layer(map, outside, x, y, Surface.BESIDE, rise)]
    return Mesh.join([*parts, _kerbs(map, area, rise)])


def heights(map: Map, xy: np.ndarray) -> np.ndarray:
    """Height of the ground (N,) under points (N, 2)."""
    return RoadMap.of(map).ground(torch.from_numpy(np.ascontiguousarray(xy, float))).double().numpy()


def kerb_rise(map: Map, area: BaseGeometry) -> float:
    """How much to raise the surroundings so that a kerb of usual height stands, given what the heights hold."""
    rings = borders(area)
    if not rings:
        return 0.0
    a = np.concatenate(rings)
    b = np.concatenate([np.roll(ring, -1, 0) for ring in rings])
    outward = _right(b - a)
    middle = (a + b) / 2
    step = heights(map, middle + 0.6 * outward) - heights(map, middle - 0.6 * outward)
    return float(np.clip(KERB_HEIGHT - np.median(step), 0.0, KERB_HEIGHT))


def _cell(map: Map, bounds: tuple[float, float, float, float]) -> float:
    """The widest grid that stays on the ground, with at most about 80 000 cells."""
    area = (bounds[2] - bounds[0] + 2 * MARGIN) * (bounds[3] - bounds[1] + 2 * MARGIN)
    least = np.sqrt(area / 80_000)
    for cell in (16.0, 8.0, 4.0):
        gx, gy = np.arange(bounds[0], bounds[2], cell), np.arange(bounds[1], bounds[3], cell)
        low = np.stack(np.meshgrid(gx, gy), -1).reshape(-1, 2)
        if cell <= least or not len(low):
            return cell if len(low) else 16.0
        corners = [heights(map, low + cell * np.array(c)) for c in ((0, 0), (1, 0), (0, 1), (1, 1))]
        if np.quantile(np.abs(np.mean(corners, 0) - heights(map, low + cell / 2)), 0.98) < FLATNESS:
            return cell
    return 4.0


def _axis(low: float, high: float, cell: float) -> np.ndarray:
    """Grid lines: even ones over the mapped range and its margin, then ever wider up to the horizon."""
    low, high = low - MARGIN, high + MARGIN
    inner = np.linspace(low, high, max(int(np.ceil((high - low) / cell)), 1) + 1)
    outer = np.array([40.0, 120.0, 300.0, 800.0, HORIZON])
    return np.concatenate([low - outer[::-1], inner, high + outer])


def _layer(map: Map, area: BaseGeometry, x: np.ndarray, y: np.ndarray, surface: Surface, rise: float) -> Mesh:
    full: list[tuple[int, int]] = []
    pieces: list[BaseGeometry] = []
    _split(area, x, y, 0, len(x) - 1, 0, len(y) - 1, full, pieces)
    parts = []
    if full:
        i, j = np.array(full).T
        xy = np.stack([_pair(x[i], y[j]), _pair(x[i + 1], y[j]), _pair(x[i + 1], y[j + 1]), _pair(x[i], y[j + 1])], 1)
        parts.append(quads(_lift(map, xy.reshape(-1, 2), rise).reshape(-1, 4, 3), surface))
    if pieces:
        points, offsets = _simple(pieces)
        faces = clip_ears(points, offsets)
        up = np.tile([0.0, 0.0, 1.0], (len(points), 1))
        lifted = _lift(map, points, rise)
        parts.append(Mesh(lifted, up, np.zeros((len(points), 2)), faces, np.full(len(faces), int(surface))))
    mesh = Mesh.join(parts)
    return Mesh(mesh.points, _ground_normals(map, mesh.points), mesh.uv, mesh.faces, mesh.surface)


def _split(area, x, y, i0, i1, j0, j1, full, pieces) -> None:
    """Halve the grid until a block is empty, wholly covered, or one cell: then keep the clipped polygons."""
    area = shapely.clip_by_rect(area, x[i0], y[j0], x[i1], y[j1])
    size = (x[i1] - x[i0]) * (y[j1] - y[j0])
    if area.is_empty or area.area < 1e-6:
        return
    if area.area > size * (1 - 1e-9):
        full.extend((i, j) for i in range(i0, i1) for j in range(j0, j1))
    elif i1 - i0 == 1 and j1 - j0 == 1:
        pieces.append(area)
    elif i1 - i0 >= j1 - j0:
        middle = (i0 + i1) // 2
        _split(area, x, y, i0, middle, j0, j1, full, pieces)
        _split(area, x, y, middle, i1, j0, j1, full, pieces)
    else:
        middle = (j0 + j1) // 2
        _split(area, x, y, i0, i1, j0, middle, full, pieces)
        _split(area, x, y, i0, i1, middle, j1, full, pieces)


def _simple(areas: list[BaseGeometry]) -> tuple[np.ndarray, np.ndarray]:
    """All polygons as counter-clockwise rings: points (P, 2), offsets (N + 1,)."""
    parts = shapely.get_parts(areas)
    parts = parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 1e-6)]
    holed = shapely.get_num_interior_rings(parts) > 0
    whole = [*parts[~holed], *(piece for part in parts[holed] for piece in _cut_holes(part))]
    points, ring = shapely.get_coordinates(shapely.get_exterior_ring(whole), return_index=True)
    last = np.r_[ring[1:] != ring[:-1], True] if len(ring) else np.zeros(0, bool)
    following = np.roll(points, -1, 0)
    twice = np.where(last, 0, points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0])
    clockwise = np.bincount(ring, twice, minlength=len(whole)) < 0
    points, ring = points[~last], ring[~last]  # rings repeat their first point
    size = np.bincount(ring, minlength=len(whole))
    offsets = np.concatenate([[0], np.cumsum(size)])
    mirrored = offsets[ring] + offsets[ring + 1] - 1 - np.arange(len(ring))
    return points[np.where(clockwise[ring], mirrored, np.arange(len(ring)))], offsets


def _cut_holes(area: BaseGeometry) -> list[BaseGeometry]:
    """The same area as polygons without holes: cut through one hole after the other."""
    done = []
    for part in shapely.get_parts(area):
        if part.geom_type != "Polygon" or part.area < 1e-6:
            continue
        if len(part.interiors):
            x0, y0, x1, y1 = part.bounds
            middle = shapely.get_coordinates(part.interiors[0].centroid)[0, 0]
            done += _cut_holes(shapely.clip_by_rect(part, x0, y0, middle, y1))
            done += _cut_holes(shapely.clip_by_rect(part, middle, y0, x1, y1))
        else:
            done.append(part)
    return done


@compiled
def clip_ears(points, offsets):
    """Triangles (M, 3) of simple counter-clockwise polygons points[offsets[k]:offsets[k + 1]], by ear clipping."""
    faces = np.empty((max(len(points) - 2 * (len(offsets) - 1), 0), 3), np.int64)
    made = 0
    for k in range(len(offsets) - 1):
        left = list(range(offsets[k], offsets[k + 1]))
        while len(left) > 3:
            n, best, choice = len(left), -np.inf, 0
            for i in range(n):
                a, b, c = left[i - 1], left[i], left[(i + 1) % n]
                abx, aby = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1]
                acx, acy = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1]
                area = abx * acy - aby * acx
                if area < 0:
                    continue
                free = True
                for p in left:
                    if p in (a, b, c):
                        continue
                    x, y = points[p, 0] - points[a, 0], points[p, 1] - points[a, 1]
                    u, w = x * acy - y * acx, abx * y - aby * x
                    if u > 0 and w > 0 and u + w < area:
                        free = False
                        break
                bcx, bcy = acx - abx, acy - aby
                longest = max(abx * abx + aby * aby, acx * acx + acy * acy, bcx * bcx + bcy * bcy)
                if free and area / (longest + 1e-30) > best:  # the fattest ear first
                    best, choice = area / (longest + 1e-30), i
            faces[made, 0] = left[choice - 1]
            faces[made, 1] = left[choice]
            faces[made, 2] = left[(choice + 1) % n]
            made += 1
            left.pop(choice)
        faces[made, 0], faces[made, 1], faces[made, 2] = left[0], left[1], left[2]
        made += 1
    return faces[:made]


def _kerbs(map: Map, area: BaseGeometry, rise: float) -> Mesh:
    """The stones: a face towards the road and a top, along every border."""
    parts = []
    for ring in borders(shapely.segmentize(area, 4.0)):
        a, b = ring, np.roll(ring, -1, 0)
        outward = _right(b - a)
        corner = outward + np.roll(outward, 1, 0)  # mitred
        corner /= np.maximum((corner * outward).sum(1, keepdims=True), 0.4)
        rim = _lift(map, a, 0.0)
        top, foot = rim + [0, 0, rise + 0.005], rim - [0, 0, 0.05]
        back = _lift(map, a + KERB_WIDTH * corner, rise + 0.005)
        after = lambda p: np.roll(p, -1, 0)  # noqa: E731
        face = np.stack([after(foot), foot, top, after(top)], 1)
        cover = np.stack([back, after(back), after(top), top], 1)
        length = np.linalg.norm(b - a, axis=1)
        uv = np.zeros((len(a), 4, 2))
        uv[:, 0, 0] = uv[:, 3, 0] = length / 2
        uv[:, 2:, 1] = 0.1
        parts += [quads(face, Surface.KERB, uv), quads(cover, Surface.KERB, uv)]
    return Mesh.join(parts)


def borders(area: BaseGeometry) -> list[np.ndarray]:
    """All rings (n, 2), the road on their left."""
    rings = []
    for part in shapely.get_parts(area):
        if part.geom_type == "Polygon" and not part.is_empty:
            part = shapely.geometry.polygon.orient(part)
            rings += [shapely.get_coordinates(r)[:-1] for r in (part.exterior, *part.interiors)]
    return [ring for ring in rings if len(ring) >= 3]


def _right(step: np.ndarray) -> np.ndarray:
    normal = np.stack([step[:, 1], -step[:, 0]], 1)
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)


def _lift(map: Map, xy: np.ndarray, rise: float) -> np.ndarray:
    return np.concatenate([xy, (heights(map, xy) + rise)[:, None]], 1)


def _ground_normals(map: Map, points: np.ndarray) -> np.ndarray:
    if not len(points):
        return np.zeros((0, 3))
    slope = [
        (heights(map, points[:, :2] + d) - heights(map, points[:, :2] - d)) / 4.0
        for d in np.array([[2.0, 0], [0, 2.0]])
    ]
    normal = np.stack([-slope[0], -slope[1], np.ones(len(points))], 1)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _pair(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([x, y], -1)
