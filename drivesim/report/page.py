"""One self-contained HTML file from rollouts: no server, no network, nothing trusted."""

from __future__ import annotations

import base64
import hashlib
import io
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from drivesim import statistics
from drivesim.types import Kind

from . import style
from .entry import Entry, loses
from .film import Comparison
from .mosaic import GAP
from .timeline import number, timeline
from .video import first, save

VIDEO_NAMES = {"mosaic": "Cameras", "birdseye": "Bird’s-eye"}
LEGEND = (
    ("ego and its plan", style.EGO), ("recorded ego", style.LOGGED), ("route", style.ROUTE),
    ("vehicle", style.KINDS[Kind.CAR]), ("cycle", style.KINDS[Kind.BICYCLE]), ("walker", style.KINDS[Kind.PEDESTRIAN]),
)  # fmt: skip
HERE = Path(__file__).parent


def write_report(
    path: str | Path,
    entries: Sequence[Entry],
    command: str,
    *,
    title: str = "Closed-loop report",
    versions: Mapping[str, str] | None = None,
) -> Path:
    """Write the report of `entries`, in their order, with the `command` that repeats it.

    The file appears whole or not at all; raises InputError that names a place that cannot be written.
    `versions` default to those installed.
    """
    return save(path, render(entries, command, title=title, versions=versions).encode())


def render(
    entries: Sequence[Entry],
    command: str,
    *,
    title: str = "Closed-loop report",
    versions: Mapping[str, str] | None = None,
) -> str:
    """The report as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"number": number, "plain": plain}
    planners = _planners(entries)
    script = (HERE / "report.js").read_text()
    return environment.get_template("report.html").render(
        title=title,
        command=command,
        style=(HERE / "report.css").read_text(),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        legend=LEGEND,
        counts=_counts(entries),
        planners=planners,
        warnings=_warnings(planners),
        metrics=_metrics(entries),
        less={score.name for entry in entries for score in entry.scores if score.better == "less"},
        rollouts=[_rollout(i, entry) for i, entry in enumerate(entries)],
        licences=dict.fromkeys((entry.source, entry.licence) for entry in entries if entry.licence),
        versions=installed() if versions is None else versions,
    )


def installed() -> dict[str, str]:
    """Versions of what made the report."""
    found = {"python": platform.python_version()}
    for name in ("drivesim", "torch", "numpy", "av"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def plain(value: Any) -> str:
    """A detail in words: no underscores, yes and no, few decimals."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)} {plain(item)}" for key, item in value.items())
    return number(value) if isinstance(value, float) else str(value).replace("_", " ")


def _counts(entries: Sequence[Entry]) -> dict[str, int]:
    run, skipped = sum(entry.ok for entry in entries), sum(entry.skipped for entry in entries)
    return {"asked": len(entries), "run": run, "skipped": skipped, "failed": len(entries) - run - skipped}


def _metrics(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(score.name for entry in entries for score in entry.scores))


def _planners(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Each planner's counts and the cell of every metric: the mean with its interval, and what is not in it."""
    cells, rows = statistics.cells([_drive(entry) for entry in entries]), []
    for planner in dict.fromkeys(entry.planner for entry in entries):
        mine = [entry for entry in entries if entry.planner == planner]
        rows.append({"planner": planner, **_counts(mine), "cells": {n: cells[planner, n] for n in _metrics(entries)}})
    return rows


def _drive(entry: Entry) -> statistics.Drive:
    status = "ok" if entry.ok else "skipped" if entry.skipped else "failed"
    scores = {score.name: score for score in entry.scores}
    return statistics.Drive(entry.planner, entry.scenario, entry.seed, status, scores=scores)


def _warnings(planners: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the table of planners is to be read with."""
    return statistics.warnings(
        {(row["planner"], name): cell for row in planners for name, cell in row["cells"].items()}
    )


def _rollout(index: int, entry: Entry) -> dict[str, Any]:
    """What the template shows of one entry."""
    lines = {score.name: timeline(score) for score in entry.scores}
    videos = [_video(f"v{index}-{i}", name, data) for i, (name, data) in enumerate(entry.videos.items())]
    comparison = entry.comparison
    return {
        "index": index,
        "entry": entry,
        "scores": {score.name: score for score in entry.scores},
        "rows": [(score, lines[score.name], not loses(score)) for score in entry.scores],
        "videos": videos,
        "comparison": comparison and _comparison(f"v{index}-c", comparison),
        "timing": list(_flat(entry.timing)),
        "data": {
            "dt": entry.dt,
            "steps": entry.steps,
            "series": [line and line.values for line in lines.values()],
        },
    }


def _video(key: str, name: str, data: bytes, poster: np.ndarray | None = None) -> dict[str, Any]:
    """What the template needs of a video; its poster is shown until it can play, and on paper."""
    shown = first(data)
    return {
        "id": key, "name": VIDEO_NAMES.get(name, name), "legend": name == "birdseye",
        "width": shown.shape[1], "height": shown.shape[0], "poster": _jpeg(shown if poster is None else poster),
        "base64": base64.b64encode(data).decode(),
    }  # fmt: skip


def _comparison(key: str, comparison: Comparison) -> dict[str, Any]:
    width, height = comparison.size
    below = height + GAP
    both = first(comparison.video)
    poster = both[below:].copy()
    for x, y, wide, tall in comparison.cells:
        poster[y : y + tall, x : x + wide // 2] = both[y : y + tall, x : x + wide // 2]
    shown = {"cells": comparison.cells, "below": below, "shown_width": width, "shown_height": height}
    return {**_video(key, "comparison", comparison.video, poster), **shown}


def _jpeg(picture: np.ndarray) -> str:
    """As a data URI."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _flat(timing: Mapping[str, Any], prefix: str = ""):
    for key, value in timing.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield plain(f"{prefix}{key}"), plain(value)
