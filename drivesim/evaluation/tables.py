"""Figures summed up: which columns each table has, and what it says of its rows. Cells are text, "–" where unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .figures import Figure, summary

ROWS = ("real", "nearest photo", "layout raster", "lidar splats", "full")

Column = tuple[str, str, str, str]
"""Heading, measure, region, how a number is written."""

LIKENESS: tuple[Column, ...] = (
    ("PSNR", "psnr", "all", ".1f"), ("SSIM", "ssim", "all", ".2f"), ("LPIPS-HEDVGG", "lpips-hedvgg", "all", ".2f"),
    ("static", "psnr", "static", ".1f"), ("SSIM", "ssim", "static", ".2f"), ("moving", "psnr", "moving", ".1f"),
    ("static reproj.", "psnr", "static reprojected", ".1f"), ("SSIM", "ssim", "static reprojected", ".2f"),
    ("moving reproj.", "psnr", "moving reprojected", ".1f"), ("proxy", "psnr", "proxy", ".1f"),
    ("generated", "psnr", "generated", ".1f"),
)  # fmt: skip
GEOMETRY: tuple[Column, ...] = (
    ("warp dB", "warp", "static", ".1f"), ("overlap dB", "overlap", "static", ".1f"),
    ("pose deg", "pose angle", "all", ".3f"), ("pose m", "pose distance", "all", ".3f"),
    ("found", "pose found", "all", ".0%"), ("depth m", "lidar depth", "static", ".3f"),
    ("within 5 %", "depth within 5 %", "static", ".0%"),
)  # fmt: skip
BESIDE: tuple[Column, ...] = (
    ("PSNR", "psnr", "all", ".1f"), ("SSIM", "ssim", "all", ".2f"), 
    ("static reproj.", "psnr", "static reprojected", ".1f"), ("SSIM", "ssim", "static reprojected", ".2f"),
    ("moving", "psnr", "moving", ".1f"),
    ("pose deg", "pose angle", "all", ".3f"), ("pose m", "pose distance", "all", ".3f"),
    ("depth m", "lidar depth", "static", ".3f"), ("coverage", "coverage", "all", ".0%"),
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(figures: Sequence[Figure]) -> list[Table]:
    gaps = list(dict.fromkeys(f.gap for f in figures if f.where == "log" and f.gap >= 0))
    found = [_columns(f"no photo within {gaps[0]:g} s", LIKENESS, {"": _at(figures, "log", gaps[0])})] if gaps else []
    if gaps:
        found.append(_columns("agreement and geometry", GEOMETRY, {"": _at(figures, "log", gaps[0])}))
        found.append(_by_camera(figures, gaps[0]))
    if len(gaps) > 1:
        found.append(_by_gap(figures, gaps))
    places = list(dict.fromkeys(f.where for f in figures if f.where != "log"))
    if places:
        found.append(_columns("beside the log, with all photos", BESIDE, {p: _at(figures, p) for p in places}))
    shares = [_shares(place, _at(figures, place)) for place in ("log", *places)]
    names = sorted({name for _, told in shares for name in told})
    if names:
        rows = tuple((place, *(_spelled(told.get(n, math.nan), ".1%") for n in names)) for place, told in shares)
        found.append(Table("where pixels of the full row are from", ("", *names), rows))
    found.append(_facts(figures))
    return [table for table in found if table.rows]


def _at(figures: Sequence[Figure], where: str, gap: float | None = None) -> list[Figure]:
    return [f for f in figures if f.where == where and gap in (None, f.gap)]


def _columns(title: str, columns: Sequence[Column], figures: Mapping[str, Sequence[Figure]]) -> Table:
    """A row for each place and painter; columns that nobody has a number for are left out."""
    cells = {
        (place, row): [summary(here, row, measure, region) for _, measure, region, _ in columns]
        for place, here in figures.items()
        for row in ROWS
    }
    kept = [i for i in range(len(columns)) if any(math.isfinite(values[i]) for values in cells.values())]
    rows = tuple(
        (f"{place}: {row}" if place else row, *(_spelled(values[i], columns[i][3]) for i in kept))
        for (place, row), values in cells.items()
        if any(math.isfinite(values[i]) for i in kept)
    )
    return Table(title, ("", *(columns[i][0] for i in kept)), rows)


def _by_camera(figures: Sequence[Figure], gap: float) -> Table:
    here = _at(figures, "log", gap)
    cameras = sorted({f.camera for f in here if f.camera})
    rows = []
    for row in ROWS:
        for region in ("all", "static reprojected"):
            values = [summary(here, row, "psnr", region, camera) for camera in cameras]
            if any(map(math.isfinite, values)) and (region == "all" or row == "full"):
                label = row if region == "all" else f"{row}, {region}"
                rows.append((label, *(_spelled(value, ".1f") for value in values)))
    return Table("PSNR by camera", ("", *cameras), tuple(rows))


def _by_gap(figures: Sequence[Figure], gaps: Sequence[float]) -> Table:
    rows = []
    for row in ("nearest photo", "full"):
        for label, measure, region, form in LIKENESS:
            if (measure, region) not in (
                ("psnr", "all"),
                ("psnr", "static reprojected"),
                ("ssim", "static reprojected"),
            ):
                continue
            values = [summary(_at(figures, "log", gap), row, measure, region) for gap in gaps]
            if any(map(math.isfinite, values)):
                name = f"{row}, {label} {region}" if measure == "ssim" else f"{row}, PSNR {region}"
                rows.append((name, *(_spelled(value, form) for value in values)))
    return Table("by gap", ("", *(f"{gap:g} s" for gap in gaps)), tuple(rows))


def _shares(place: str, figures: Sequence[Figure]) -> tuple[str, dict[str, float]]:
    """Of all pixels of the full row."""
    mine = [f for f in figures if f.row == "full"]
    pictures = {(f.camera, f.time, f.gap) for f in mine if f.measure.startswith("share ")}
    total: dict[str, float] = {}
    for f in mine:
        if f.measure.startswith("share "):
            name = f.measure.removeprefix("share ")
            total[name] = total.get(name, 0.0) + f.value / len(pictures)
    coverage = [f.value for f in mine if f.measure == "coverage"]
    return place, {**total, **({"covered where deep": float(np.mean(coverage))} if coverage else {})}


def _facts(figures: Sequence[Figure]) -> Table:
    wanted: dict[str, Callable[[str], bool]] = {
        "revisit": lambda name: name.startswith("revisit"),
        "edit": lambda name: name.startswith(("removed", "moved", "inserted")),
    }
    rows = []
    for label, fits in wanted.items():
        for name in dict.fromkeys(f.measure for f in figures if fits(f.measure)):
            values = [f.value for f in figures if f.measure == name and math.isfinite(f.value)]
            form = ".1f" if "psnr" in name else ".1%"
            if values:
                rows.append((label, name, _spelled(float(np.mean(values)), form)))
    return Table("memory and edits", ("", "", ""), tuple(rows))


def _spelled(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"
