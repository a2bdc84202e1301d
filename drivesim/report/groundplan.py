"""What stands still, seen from above: painted once, tile by tile, only where somebody looks."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw

from drivesim.roadmap import lane_areas
from drivesim.types import LaneKind, Marking, Polylines, Prop, Scene

from . import style
from .plan import normals

TILE = 512  # [px]
FINE = 2  # tiles are painted this many times finer, then averaged
MARGIN = 12  # how far strokes reach beyond their line [px]
DASHED = {Marking.DASHED_WHITE, Marking.DASHED_YELLOW}
DOUBLE = {Marking.DOUBLE_WHITE, Marking.DOUBLE_YELLOW}


class GroundPlan:
    """Map, scenery and route as one endless picture; pixel (u, v) shows world (u, -v) / scale, north up."""

    def __init__(self, scene: Scene, scale: float) -> None:
        self.scale = scale  # [px/m]
        self._tiles: dict[tuple[int, int], np.ndarray] = {}
        fine = scale * FINE
        self._drivable = _rings(scene.map.drivable, fine)
        self._lanes = [
            _line(area, fine) + (style.BIKE_LANE if kind == LaneKind.BICYCLE else style.LANE,)
            for area, kind in zip(lane_areas(scene.map.lanes), scene.map.lanes.center.kind.tolist(), strict=True)
        ]
        self._crossings = _rings(scene.map.crosswalks, fine)
        self._buildings = _rings(scene.scenery.footprints, fine)
        self._strokes = list(_strokes(scene, fine))
        self._plants = _plants(scene, fine)

    def crop(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 whose upper left pixel is (left, top)."""
        out = np.empty((height, width, 3), np.uint8)
        for row in range(top // TILE, (top + height - 1) // TILE + 1):
            for column in range(left // TILE, (left + width - 1) // TILE + 1):
                x, y = column * TILE - left, row * TILE - top
                x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + TILE, width), min(y + TILE, height)
                out[y0:y1, x0:x1] = self._tile(column, row)[y0 - y : y1 - y, x0 - x : x1 - x]
        return out

    def _tile(self, column: int, row: int) -> np.ndarray:
        if (column, row) not in self._tiles:
            self._tiles[column, row] = self._paint(np.array([column, row]) * TILE * FINE)
        return self._tiles[column, row]

    def _paint(self, corner: np.ndarray) -> np.ndarray:
        """A tile whose upper left fine pixel is `corner`."""
        side = TILE * FINE
        image = Image.new("RGB", (side, side), style.LAND)
        draw = ImageDraw.Draw(image)
        near = lambda items: [i for i in items if _touches(i[1], corner, side)]  # noqa: E731
        for points, _, colour, radius in near(self._plants):
            x, y = points[0] - corner
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        for points, _ in near(self._buildings):
            draw.polygon(_xy(points, corner), fill=style.BUILDING, outline=style.BUILDING_EDGE, width=FINE)
        image.paste(style.ROAD, mask=_filled(near(self._drivable), corner, side))
        for points, _, colour in near(self._lanes):
            draw.polygon(_xy(points, corner), fill=colour)
        _zebra(image, near(self._crossings), corner, self.scale * FINE)
        for points, _, colour, width in near(self._strokes):
            draw.line(_xy(points, corner), fill=colour, width=width, joint="curve")
        return np.asarray(image.reduce(FINE))


def _line(points: torch.Tensor, fine: float) -> tuple[np.ndarray, np.ndarray]:
    """Fine pixels (n, 2) of world points, and their bounding box (2, 2)."""
    pixels = points[:, :2].double().numpy() * (fine, -fine)
    return pixels, np.stack([pixels.min(0) - MARGIN, pixels.max(0) + MARGIN])


def _rings(rings: Polylines, fine: float) -> list[tuple[np.ndarray, np.ndarray]]:
    return [_line(rings.line(i), fine) for i in range(len(rings)) if len(rings.line(i)) >= 3]


def _touches(box: np.ndarray, corner: np.ndarray, side: int) -> bool:
    return bool((box[1] >= corner).all() and (box[0] <= corner + side).all())


def _xy(points: np.ndarray, corner: np.ndarray) -> list[tuple[float, float]]:
    return [tuple(p) for p in (points - corner).tolist()]


def _filled(rings, corner: np.ndarray, side: int) -> Image.Image:
    """Mask of points inside an odd number of rings."""
    mask = Image.new("1", (side, side))
    for points, _ in rings:
        ring = Image.new("1", (side, side))
        ImageDraw.Draw(ring).polygon(_xy(points, corner), fill=1)
        mask = ImageChops.logical_xor(mask, ring)
    return mask


def _zebra(image: Image.Image, rings, corner: np.ndarray, fine: float) -> None:
    """Stripes across the walking direction, the long side of each crossing."""
    for points, box in rings:
        edges = np.roll(points, -1, 0) - points
        along = edges[np.hypot(*edges.T).argmax()]
        along = along / max(np.hypot(*along), 1e-9)
        s = points @ along
        across = np.array([-along[1], along[0]])
        reach, middle = np.hypot(*(box[1] - box[0])), points.mean(0)
        mask = Image.new("1", image.size)
        ImageDraw.Draw(mask).polygon(_xy(points, corner), fill=1)
        stripes = Image.new("1", image.size)
        draw = ImageDraw.Draw(stripes)
        for at in np.arange(s.min() + 0.3 * fine, s.max(), 1.0 * fine):
            a, b = (middle + (at + d - middle @ along) * along for d in (0.0, 0.5 * fine))
            quad = np.stack([a - reach * across, a + reach * across, b + reach * across, b - reach * across])
            draw.polygon(_xy(quad, corner), fill=1)
        image.paste(style.CROSSWALK, mask=ImageChops.logical_and(mask, stripes))


def _strokes(scene: Scene, fine: float):
    """Painted lines, or faint lane centres where no paint is known, then the route: points, box, colour, width."""
    markings = scene.map.markings
    for i in range(len(markings)):
        kind, line = Marking(int(markings.kind[i])), markings.line(i)[:, :2].double().numpy()
        width = max(1, round((0.4 if kind is Marking.STOP_LINE else 0.1 if kind in DOUBLE else 0.15) * fine))
        lines = [line + side * normals(line) for side in (-0.2, 0.2)] if kind in DOUBLE else [line]
        for part in lines:
            for piece in dashes(part, 3.0, 6.0) if kind in DASHED else [part]:
                yield *_line(torch.from_numpy(piece), fine), style.PAINTS[kind], width
    if not len(markings):
        for i in range(len(scene.map.lanes)):
            yield *_line(scene.map.lanes.center.line(i), fine), style.BUILDING_EDGE, FINE
    route = scene.briefing.route.double().numpy()
    for piece in dashes(route, 2.0, 2.0) if len(route) > 1 else ():
        yield *_line(torch.from_numpy(piece), fine), style.ROUTE, max(2, round(0.3 * fine))


def dashes(line: np.ndarray, dash: float, gap: float) -> list[np.ndarray]:
    """Pieces (m, 2) of a polyline (n, 2): `dash` m drawn, `gap` m not."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    pieces = []
    for start in np.arange(0.0, s[-1], dash + gap):
        end = min(start + dash, s[-1])
        at = np.concatenate([[start], s[(s > start) & (s < end)], [end]])
        pieces.append(np.stack([np.interp(at, s, line[:, i]) for i in (0, 1)], -1))
    return pieces


def _plants(scene: Scene, fine: float):
    scenery, plants = scene.scenery, []
    for xyz, size, kind in zip(scenery.prop_xyz, scenery.prop_size.tolist(), scenery.prop_kind.tolist(), strict=True):
        tree = kind in (Prop.TREE, Prop.BUSH)
        radius = max(size[0] / 2, 0.2) * fine
        pixels, box = _line(xyz[None], fine)
        plants.append((pixels, box + [[-radius], [radius]], style.GREEN if tree else style.BUILDING_EDGE, radius))
    return plants
