"""Figures: one number about one picture (or pair), tidy, so that any table can be made of them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ..errors import InputError

ROUNDING = 1 / 12
"""Mean square of rounding to whole numbers: no 8-bit picture is known better, so no PSNR counts more than 58.9 dB."""

MEDIANS = {"pose angle", "pose distance", "lidar depth"}
"""Measures that are summed up by their median, for a few failures would drown the rest."""


@dataclass(frozen=True)
class Figure:
    where: str  # "log", or where beside it
    gap: float  # [s] photos closer in time were not used; negative: all were
    row: str  # who drew
    camera: str
    time: float  # [s] since step 0
    region: str  # which pixels
    measure: str
    value: float
    count: int = 0  # pixels, points or matches behind it


def summary(figures: Iterable[Figure], row: str, measure: str, region: str = "all", camera: str | None = None) -> float:
    """Mean over pictures of each camera, then over cameras, all alike (medians: over all); NaN if there is none."""
    by_camera: dict[str, list[float]] = {}
    for f in figures:
        fits = f.row == row and f.measure == measure and f.region == region and camera in (None, f.camera)
        if fits and math.isfinite(f.value):
            by_camera.setdefault(f.camera, []).append(f.value)
    if not by_camera:
        return math.nan
    if measure in MEDIANS:
        return float(np.median([x for values in by_camera.values() for x in values]))
    return float(np.mean([np.mean(values) for values in by_camera.values()]))


def spread(items: Sequence, most: int) -> list:
    """At most so many of them, evenly, the first and the last among them; the middle one for 1, all for 0."""
    if not most or len(items) <= most:
        return list(items)
    if most == 1:
        return [items[len(items) // 2]]
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]


def write_csv(figures: Sequence[Figure], path: str | Path) -> None:
    with _opened(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Figure)])
        writer.writerows(asdict(figure).values() for figure in figures)


def write_json(figures: Sequence[Figure], about: dict, path: str | Path) -> None:
    rows = [{k: _plain(v) for k, v in asdict(figure).items()} for figure in figures]
    with _opened(path) as file:
        json.dump({"about": about, "figures": rows}, file, indent=1, allow_nan=False)
        file.write("\n")


def _plain(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _opened(path: str | Path):
    try:
        return open(path, "w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
