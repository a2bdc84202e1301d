"""Colours and type of the pictures, in one place so that film, bird's-eye and page agree."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from drivesim.types import Kind, Light, Marking

Colour = tuple[int, int, int]
Plate = tuple[np.ndarray, np.ndarray]

EGO = (54, 211, 176)
PLAN = (54, 211, 176)
LATE = (120, 170, 255)  # the far end of a plan shades into this
ROUTE = (148, 132, 214)
LOGGED = (235, 238, 240)
ALARM = (255, 92, 92)

LAND = (26, 30, 35)
ROAD = (47, 53, 60)
LANE = (54, 61, 69)
BIKE_LANE = (50, 66, 64)
CROSSWALK = (112, 120, 128)
BUILDING = (35, 40, 46)
BUILDING_EDGE = (52, 59, 67)
GREEN = (36, 52, 43)
PANEL = (16, 19, 23)
TEXT = (232, 235, 237)
QUIET = (150, 160, 170)

KINDS = {
    Kind.CAR: (133, 175, 232), Kind.TRUCK: (98, 134, 214), Kind.BUS: (98, 134, 214), Kind.TRAILER: (98, 134, 214),
    Kind.CONSTRUCTION: (214, 170, 92), Kind.MOTORCYCLE: (240, 196, 92), Kind.BICYCLE: (240, 196, 92),
    Kind.PEDESTRIAN: (255, 146, 102), Kind.ANIMAL: (255, 146, 102), Kind.CONE: (178, 142, 120),
    Kind.BARRIER: (140, 146, 152), Kind.OBJECT: (140, 146, 152),
}  # fmt: skip
LIGHTS = {
    Light.UNKNOWN: (120, 126, 132), Light.GREEN: (64, 214, 120), Light.YELLOW: (250, 200, 70),
    Light.RED: (255, 82, 82), Light.FLASHING_YELLOW: (250, 200, 70), Light.FLASHING_RED: (255, 82, 82),
}  # fmt: skip
WHITE_PAINT, YELLOW_PAINT = (176, 184, 190), (206, 170, 84)
PAINTS = {
    Marking.SOLID_WHITE: WHITE_PAINT, Marking.DASHED_WHITE: WHITE_PAINT, Marking.DOUBLE_WHITE: WHITE_PAINT,
    Marking.SOLID_YELLOW: YELLOW_PAINT, Marking.DASHED_YELLOW: YELLOW_PAINT, Marking.DOUBLE_YELLOW: YELLOW_PAINT,
    Marking.STOP_LINE: (214, 220, 224),
}  # fmt: skip


@lru_cache
def font(size: int) -> ImageFont.ImageFont:
    """The typeface that Pillow carries: no system font is needed."""
    return ImageFont.load_default(size)


def write(image: Image.Image, xy: tuple[float, float], text: str, size: int = 13, fill=TEXT, anchor: str = "lm") -> int:
    """Put text at `xy` (Pillow's anchors) and return the x where it ends."""
    draw = ImageDraw.Draw(image)
    draw.text(xy, text, font=font(size), fill=fill, anchor=anchor)
    return round(draw.textbbox(xy, text, font=font(size), anchor=anchor)[2])


@lru_cache(256)
def label(text: str, size: int = 12, ink: Colour = TEXT, alpha: float = 0.6) -> Plate:
    """A small dark plate with text: colours (h, w, 3) and opacity (h, w, 1), float32, to blend with `paste`."""
    left, _, right, _ = font(size).getbbox(text, anchor="ls")
    width, height = round(right - left) + 12, size + 8
    letters = Image.new("L", (width, height))
    write(letters, (6, height / 2), text, size, 255)
    corners = Image.new("L", (width, height))
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, width - 1, height - 1), 3, fill=255)
    share = np.asarray(letters, np.float32)[..., None] / 255
    opacity = np.maximum(share, alpha) * np.asarray(corners, np.float32)[..., None] / 255
    return np.float32(PANEL) * (1 - share) + np.float32(ink) * share, opacity


def paste(canvas: np.ndarray, plate: Plate, x: int, y: int) -> None:
    """Blend a plate into a picture (h, w, 3) uint8 in place; what lies outside is cut off."""
    colour, opacity = plate
    target = canvas[y : y + colour.shape[0], x : x + colour.shape[1]]
    colour, opacity = (part[: target.shape[0], : target.shape[1]] for part in (colour, opacity))
    target[:] = (target * (1 - opacity) + colour * opacity + 0.5).astype(np.uint8)
