"""The plan as a translucent ribbon on the ground of a camera's picture."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw

from drivesim.camera import project, world_from_camera
from drivesim.roadmap import RoadMap
from drivesim.types import Camera, Frame, Map, Rollout, Semantic

from .plan import normals, plan_line, resample
from .style import LATE, PLAN

NEAR = 0.5  # nothing closer to the lens than this is drawn [m]
FINE = 2  # the ribbon is drawn this many times finer, then averaged
EDGE = 0.14  # width of the ribbon's brighter borders [m]
SPACING = 0.5  # of its cross-sections [m]
SOLID = tuple(s for s in Semantic if s >= Semantic.BUILDING)


class Ribbon:
    """The current plan of one step, as wide as the ego, ready to be drawn into any camera's picture."""

    def __init__(self, map: Map, rollout: Rollout, step: int) -> None:
        self.sections: np.ndarray | None = None  # (n, 4, 3) world: left edge, inner left, inner right, right edge
        found = plan_line(rollout, step)
        if found is None or np.hypot(*np.diff(found[0], axis=0).T).sum() < SPACING:
            return
        line, time = resample(*found, SPACING)
        half = rollout.vehicle.width / 2
        across = np.array([half, half - EDGE, EDGE - half, -half])
        xy = line[:, None] + across[:, None] * normals(line)[:, None]
        z = RoadMap.of(map).ground(torch.from_numpy(xy).float()).double().numpy()
        self.sections = np.concatenate([xy, z[..., None]], -1)
        late = (time / max(time[-1], 1e-6))[:-1, None]
        self.colour = np.float32(PLAN) * (1 - late) + np.float32(LATE) * late  # (n - 1, 3) of each piece
        self.fade = 1 - 0.6 * late[:, 0]

    def draw(self, picture: np.ndarray, frame: Frame, camera: Camera, world_from_ego: torch.Tensor) -> None:
        """Blend into `picture` (h, w, 3) uint8, in place, where `frame` shows nothing nearer."""
        if self.sections is None:
            return
        pose = world_from_camera(world_from_ego, camera).numpy()
        points = (self.sections.reshape(-1, 3) - pose[:3, 3]) @ pose[:3, :3]
        if not _ahead(points, camera).any():
            return
        px, depth = project(camera, torch.from_numpy(points))
        px, depth = px.numpy().reshape(-1, 4, 2), depth.numpy().reshape(-1, 4)
        pieces = self._pieces(px, depth, camera)
        if not pieces:
            return
        box = _bounds([corners for _, _, corners in pieces], camera)
        index = _paint(pieces, box)
        middle = depth.reshape(-1, 4).mean(1)
        middle = (middle[1:] + middle[:-1]) / 2
        self._blend(picture, frame, box, index, middle, float(camera.intrinsics[1, 1]))

    def _pieces(self, px, depth, camera) -> list[tuple[int, bool, np.ndarray]]:
        """What touches the picture, far first: section, whether it is border, corners (4, 2) [px]."""
        size = np.array([camera.width, camera.height])
        pieces = []
        for i in range(len(px) - 2, -1, -1):
            if depth[i : i + 2].min() < NEAR or not np.isfinite(px[i : i + 2]).all():
                continue
            if (px[i : i + 2].max((0, 1)) < 0).any() or (px[i : i + 2].min((0, 1)) > size).any():
                continue
            for j in range(3):
                corners = np.stack([px[i, j], px[i, j + 1], px[i + 1, j + 1], px[i + 1, j]])
                pieces.append((i, j != 1, corners))
        return pieces

    def _blend(self, picture, frame, box, index, middle, focal) -> None:
        left, top, right, bottom = box
        view = slice(top, bottom), slice(left, right)
        piece, border = np.maximum(index - 1, 0) // 2, (index - 1) % 2 == 1
        fine = lambda x: np.asarray(x[view]).repeat(FINE, 0).repeat(FINE, 1)  # noqa: E731
        ground = middle[piece]
        slack = 0.3 + 0.02 * ground + ground**2 / (1.5 * focal)  # one pixel spans d^2 / (f h) of the ground
        seen = fine(frame.depth.numpy())
        solid = np.isin(fine(frame.semantics.numpy()), SOLID)
        visible = (index > 0) & (seen > ground - slack) & ~(solid & (seen < ground + slack))
        opacity = np.where(visible, np.where(border, 0.85, 0.38) * self.fade[piece], 0.0)
        colour = (self.colour[piece] * opacity[..., None]).astype(np.float32)
        opacity, colour = _coarse(opacity[..., None]), _coarse(colour)
        picture[view] = (picture[view] * (1 - opacity) + colour + 0.5).astype(np.uint8)


def _ahead(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Which points (n, 3) of the camera frame may be in view: a cone of twice the field's width."""
    wide = np.maximum(camera.width / camera.intrinsics[0, 0].item() * points[:, 2], 1.0)
    return (points[:, 2] > NEAR) & (np.abs(points[:, 0]) < wide)


def _bounds(corners: list[np.ndarray], camera: Camera) -> tuple[int, int, int, int]:
    points = np.concatenate(corners)
    low = np.floor(points.min(0)).clip(0, [camera.width - 1, camera.height - 1]).astype(int)
    high = np.ceil(points.max(0)).clip(1, [camera.width, camera.height]).astype(int)
    return (*low.tolist(), *np.maximum(high, low + 1).tolist())


def _paint(pieces: list[tuple[int, bool, np.ndarray]], box: tuple[int, int, int, int]) -> np.ndarray:
    """Which piece each fine pixel of the box shows: 0 none, 1 + 2 section + is border."""
    left, top, right, bottom = box
    image = Image.new("I", ((right - left) * FINE, (bottom - top) * FINE), 0)
    draw = ImageDraw.Draw(image)
    for section, border, corners in pieces:
        # a fine pixel k covers [k, k + 1) / FINE and Pillow names it by its centre
        place = (corners - (left, top)) * FINE - 0.5
        draw.polygon([tuple(p) for p in place.tolist()], fill=1 + 2 * section + border)
    return np.asarray(image)


def _coarse(fine: np.ndarray) -> np.ndarray:
    height, width, channels = fine.shape
    return fine.reshape(height // FINE, FINE, width // FINE, FINE, channels).mean((1, 3))
