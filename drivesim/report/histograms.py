"""A population's fit as a picture: what the tracks told, and the law that was drawn through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from drivesim.errors import InputError
from drivesim.traffic.fitting.distributions import Distribution, likely
from drivesim.traffic.population import PARAMETERS, Population

from .style import ALARM, EGO, KINDS, LAND, PANEL, QUIET, TEXT, Kind, write

CELL = (320, 230)  # of one law [px]
HEAD = 64  # above the first row [px]
MARGIN = 16
BAR = KINDS[Kind.CAR]


def draw(population: Population, values: Mapping[str, Sequence[Mapping[str, float]]], path: str | Path) -> Path:
    """Write a PNG with a row for each class and a histogram for each law; `values` are what `Population.fit` was given.

    InputError for another suffix, and where nothing can be written.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: a picture is written as .png")
    rows = [(name, own) for name, own in population.classes.items() if own.laws]
    columns = max([len(own.laws) for _, own in rows] + [1])
    size = (MARGIN + columns * (CELL[0] + MARGIN), HEAD + len(rows) * (CELL[1] + 32 + MARGIN))
    image = Image.new("RGB", size, LAND)
    write(image, (MARGIN, 22), "Driving styles: logged tracks and fitted laws", 18)
    told = ", ".join(f"{x.name} {x.scenes} scenes" for x in population.sources)
    write(image, (MARGIN, 46), f"{told}; bars: tracks, line: law, dashes: 10 %, median, 90 % of the tracks", 13, QUIET)
    for k, (name, own) in enumerate(rows):
        top = HEAD + k * (CELL[1] + 32 + MARGIN)
        write(image, (MARGIN, top + 16), f"{name}: {own.tracks} tracks", 15)
        for j, (parameter, law) in enumerate(own.laws.items()):
            seen = np.array([track[parameter] for track in values[name] if parameter in track])
            _cell(image, (MARGIN + j * (CELL[0] + MARGIN), top + 32), parameter, law, seen)
    try:
        image.save(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; choose another place") from None
    return path


def _cell(image: Image.Image, corner: tuple[int, int], name: str, law: Distribution, seen: np.ndarray) -> None:
    """One histogram, as densities, with the law's density over it."""
    pen, (x0, y0), (wide, high) = ImageDraw.Draw(image), corner, CELL
    pen.rectangle((x0, y0, x0 + wide, y0 + high), fill=PANEL)
    left, right, top, bottom = x0 + 14, x0 + wide - 14, y0 + 50, y0 + high - 26
    low, high_end = min(law.least, seen.min()), max(law.most, seen.max())
    pad = 0.04 * (high_end - low)
    low, high_end = max(low - pad, 0.0), high_end + pad
    count, edges = np.histogram(seen, int(np.clip(2 * np.sqrt(len(seen)), 8, 40)), (low, high_end))
    tall = count / len(seen) / np.diff(edges)
    x = np.linspace(law.least, law.most, 200)
    curve = law.density(x)
    peak = 1.05 * max(tall.max(), curve.max())
    at = lambda v: left + (v - low) / (high_end - low) * (right - left)  # noqa: E731
    up = lambda d: bottom - d / peak * (bottom - top)  # noqa: E731
    for d, a, b in zip(tall, edges[:-1], edges[1:], strict=True):
        pen.rectangle((at(a), up(d), at(b) - 1, bottom), fill=BAR)
    for value in np.quantile(seen, [0.1, 0.5, 0.9]):
        for y in range(top, bottom, 8):
            pen.line((at(value), y, at(value), y + 3), fill=QUIET)
    shape = [(at(law.least), bottom), *zip(at(x), up(curve), strict=True), (at(law.most), bottom)]
    pen.line([(float(a), float(b)) for a, b in shape], fill=EGO, width=3, joint="curve")
    pen.line((left, bottom, right, bottom), fill=QUIET)
    _words(image, corner, name, law)
    for value in _ticks(low, high_end):
        pen.line((at(value), bottom, at(value), bottom + 4), fill=QUIET)
        write(image, (at(value), bottom + 14), f"{value:g}", 12, QUIET, "mm")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within [low, high], six at most."""
    rough = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    return [round(float(k * step), 9) for k in range(int(np.ceil(low / step)), int(high / step) + 1)]


def _words(image: Image.Image, corner: tuple[int, int], name: str, law: Distribution) -> None:
    x, y = corner
    unit = PARAMETERS[name][1]
    ten, half, ninety = law.quantile(np.array([0.1, 0.5, 0.9]))
    write(image, (x + 14, y + 16), f"{name}{f' [{unit}]' * bool(unit)}", 14, TEXT)
    write(image, (x + CELL[0] - 14, y + 16), f"{law.tracks} tracks", 12, QUIET, "rm")
    write(image, (x + 14, y + 36), f"law {ten:.2f}  {half:.2f}  {ninety:.2f}", 12, EGO)
    ink = QUIET if law.ks <= likely(law.tracks) else ALARM
    write(image, (x + CELL[0] - 14, y + 36), f"KS {law.ks:.3f}", 12, ink, "rm")
