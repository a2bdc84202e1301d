"""Pictures to look at: recorded, drawn, their difference, and where each pixel is from, a row for each camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..errors import InputError
from ..types import Provenance

COLORS = {
    Provenance.NONE: (0, 0, 0), Provenance.OBSERVED: (60, 120, 216), Provenance.REPROJECTED: (90, 170, 90),
    Provenance.PROXY: (230, 160, 40), Provenance.GENERATED: (200, 60, 160),
}  # fmt: skip
LOUDER = 3  # times that differences are shown larger
GAP = 2  # [px]


@dataclass
class Plates:
    """Writes one picture for each step into a folder."""

    folder: Path
    row: str = "full"  # whose pictures are shown

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be made ({error.strerror}); choose another place") from None

    def __call__(self, where: str, shots: Sequence) -> None:
        strips = [self._strip(shot) for shot in shots]
        if not strips:
            return
        width, height = max(s.shape[1] for s in strips), sum(s.shape[0] + GAP for s in strips)
        sheet, top = np.full((height, width, 3), 32, np.uint8), 0
        for strip in strips:
            sheet[top : top + strip.shape[0], : strip.shape[1]] = strip
            top += strip.shape[0] + GAP
        name = re.sub(r"[^\w.]+", "_", f"{where} {shots[0].step:03d}")
        Image.fromarray(sheet).save(self.folder / f"{name}.png")

    def _strip(self, shot) -> np.ndarray:
        view = shot.view
        h, w = view.moving.shape
        drawn = shot.drawn.get(self.row) or shot.drawn.get("nearest photo")
        parts = [(f"{view.name} {view.time:.2f} s", view.truth)]
        if drawn is not None:
            parts.append((self.row if self.row in shot.drawn else "nearest photo", drawn.rgb))
        if drawn is not None and view.truth is not None:
            error = np.abs(view.truth.astype(int) - drawn.rgb) * LOUDER
            parts.append((f"difference x{LOUDER}", error.clip(0, 255).astype(np.uint8)))
        if drawn is not None and drawn.provenance is not None:
            parts.append(("provenance", _colored(drawn.provenance)))
        parts = [(label, picture) for label, picture in parts if picture is not None]
        strip = np.full((h, len(parts) * (w + GAP), 3), 32, np.uint8)
        for i, (label, picture) in enumerate(parts):
            image = Image.fromarray(np.ascontiguousarray(picture))
            ImageDraw.Draw(image).text((4, 2), label, fill=(255, 255, 0))
            strip[:, i * (w + GAP) : i * (w + GAP) + w] = np.asarray(image)
        return strip


def _colored(provenance: np.ndarray) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    for kind, color in COLORS.items():
        table[int(kind)] = color
    return table[provenance]
