"""The drivable area from the map picture that every release has."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from drivesim.errors import InputError

PIXEL = 0.1  # [m]; the devkit's MapMask reads the pictures at ten pixels per metre, y up from the lower edge
LARGEST = 1.5e9  # pixels; the largest of the four maps has 1.2e9


def drivable_in_picture(path: Path, low: np.ndarray, high: np.ndarray) -> BaseGeometry:
    """The white area (map frame) within the rectangle from `low` to `high` (2,) [m]; empty beyond the picture."""
    from PIL import Image

    try:
        with _unlimited(), Image.open(path) as picture:
            width, height = picture.size
            left, right = (int(np.clip(x / PIXEL, 0, width)) for x in (low[0], high[0]))
            top, bottom = (int(np.clip(height - y / PIXEL, 0, height)) for y in (high[1], low[1]))
            if left >= right or top >= bottom:
                return shapely.Polygon()
            if width * height > LARGEST:
                raise ValueError(f"{width} x {height} pixels")
            mask = read_window(path, left, top, right, bottom)
            if mask is None:
                mask = np.asarray(picture.crop((left, top, right, bottom)).convert("L"))
    except (OSError, SyntaxError, ValueError, zlib.error, struct.error, MemoryError) as error:
        raise InputError(f"{path}: cannot be read as a map picture ({error}); download it again") from None
    place = lambda p: np.column_stack([left + p[:, 0], height - top - p[:, 1]]) * PIXEL  # noqa: E731
    return shapely.transform(outline(mask > 127), place)


@contextmanager
def _unlimited() -> Iterator[None]:
    """Pillow takes a map of a gigapixel for an attack."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def read_window(path: Path, left: int, top: int, right: int, bottom: int) -> np.ndarray | None:
    """A rectangle of a grey PNG, read row by row; None where the picture is of another make.

    The pictures hold up to 1.2 gigapixels: whole they take 8 s and more memory than a small machine has.
    """
    with open(path, "rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return None
        length, _ = struct.unpack(">I4s", file.read(8))
        width, _, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(length)[:13])
        if (depth, color, interlaced) != (8, 0, 0):
            return None
        file.seek(4, 1)
        window = np.zeros((bottom - top, right - left), np.uint8)
        for i, row in enumerate(_rows(file, width + 1)):
            if i >= bottom:
                break
            if row[0] > 1:  # filters that look at the row above
                return None
            if i >= top:
                pixels = np.frombuffer(row, np.uint8, right, 1)
                window[i - top] = (np.cumsum(pixels, dtype=np.uint8) if row[0] else pixels)[left:]
        else:
            if i + 1 < bottom:
                raise ValueError(f"ends at row {i + 1}")
    return window


def _rows(file, size: int) -> Iterator[bytes]:
    """Rows of `size` bytes, the filter's first, of a PNG from its second chunk on."""
    inflate, rest = zlib.decompressobj(), b""
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        data = file.read(length)
        file.seek(4, 1)
        while name == b"IDAT" and data:
            rest += inflate.decompress(data, 1 << 22)  # bounded, so that a small file cannot fill the memory
            data = inflate.unconsumed_tail
            whole = len(rest) - len(rest) % size
            yield from (rest[k : k + size] for k in range(0, whole, size))
            rest = rest[whole:]


def outline(mask: np.ndarray, tolerance: float = 1.5) -> BaseGeometry:
    """Area of the True pixels (h, w); x right, y down, pixel (i, j) covers [j, j + 1] x [i, i + 1].

    Slits under three pixels are closed, specks under a hundred pixels dropped, corners cut by `tolerance` pixels.
    """
    import cv2  # comes with the devkit

    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    pieces = []
    for contour, (_, _, hole, parent) in zip(contours, tree[0] if tree is not None else (), strict=True):
        if parent < 0 and len(contour) > 3:
            pieces.append(_polygon(contour, [contours[i] for i in _siblings(tree[0], hole)]))
    # Contours run through pixel centres: half a pixel outwards, and as much again and back to close slits.
    area = shapely.union_all(pieces).buffer(2.0, join_style="mitre").buffer(-1.5, join_style="mitre")
    parts = [p for p in shapely.get_parts(area) if p.area > 100]
    return shapely.make_valid(shapely.union_all(parts).simplify(tolerance))


def _siblings(tree: np.ndarray, first: int) -> Iterator[int]:
    while first >= 0:
        yield int(first)
        first = tree[first][0]


def _polygon(contour: np.ndarray, holes: list[np.ndarray]) -> BaseGeometry:
    rings = [hole[:, 0] + 0.5 for hole in holes if len(hole) > 3]
    return shapely.make_valid(shapely.Polygon(contour[:, 0] + 0.5, rings))
