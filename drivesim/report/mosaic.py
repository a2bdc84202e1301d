"""How pictures of many cameras share one screen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivesim.types import Camera

GAP = 4  # between pictures [px]
WIDEST = 1240  # of a mosaic [px]: two videos of it decode in step on a telephone


@dataclass(frozen=True)
class Cell:
    """A camera's place: `camera` already has the size in which it is shown."""

    camera: Camera
    x: int  # left edge [px]
    y: int  # top edge [px]


@dataclass(frozen=True)
class Mosaic:
    cells: tuple[Cell, ...]
    width: int  # [px]
    height: int  # [px]

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return tuple(cell.camera for cell in self.cells)

    @property
    def rectangles(self) -> tuple[tuple[int, int, int, int], ...]:
        """x, y, width, height of each picture [px]."""
        return tuple((cell.x, cell.y, cell.camera.width, cell.camera.height) for cell in self.cells)

    def place(self, canvas: np.ndarray, cell: Cell, picture: np.ndarray, top: int = 0) -> None:
        """Copy a picture (h, w, 3) into its cell; the mosaic starts `top` px down the canvas."""
        y = top + cell.y
        canvas[y : y + cell.camera.height, cell.x : cell.x + cell.camera.width] = picture


def arrange(cameras: Sequence[Camera], width: int = 400) -> Mosaic:
    """Cameras that look ahead in the upper row, the others below, each row from left to right as seen from the seat.

    In the lower row the left-hand cameras stay left, as in a mirror. A cell is `width` px wide, less where a row
    would grow beyond `WIDEST`; pictures keep their aspect ratio and are centred in their cells.
    """
    rows = [row for row in _rows(cameras) if row]
    columns = max(len(row) for row in rows)
    wide = _even(min(width, (WIDEST + GAP) // columns - GAP))
    tall = _even(wide * float(np.median([c.height / c.width for c in cameras])))
    cells = []
    for r, row in enumerate(rows):
        indent = (columns - len(row)) * (wide + GAP) // 2
        for c, camera in enumerate(row):
            scale = min(wide / camera.width, tall / camera.height)
            shown = camera.resized(round(camera.width * scale), round(camera.height * scale))
            x = indent + c * (wide + GAP) + (wide - shown.width) // 2
            cells.append(Cell(shown, x, r * (tall + GAP) + (tall - shown.height) // 2))
    return Mosaic(tuple(cells), columns * (wide + GAP) - GAP, len(rows) * (tall + GAP) - GAP)


def camera_yaw(camera: Camera) -> float:
    """Direction of the optical axis in the ego frame [rad], left positive."""
    axis = camera.ego_from_camera[:3, 2]
    return math.atan2(float(axis[1]), float(axis[0]))


def _rows(cameras: Sequence[Camera]) -> tuple[list[Camera], list[Camera]]:
    """Cameras within 80 degrees of straight ahead, and the rest (Waymo and PandaSet have sides at 90)."""
    ahead = [c for c in cameras if abs(camera_yaw(c)) <= math.radians(80)]
    rest = [c for c in cameras if abs(camera_yaw(c)) > math.radians(80)]
    return (
        sorted(ahead, key=lambda c: (-round(camera_yaw(c), 2), c.name)),
        sorted(rest, key=lambda c: (round(camera_yaw(c) % (2 * math.pi), 2), c.name)),
    )


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))
