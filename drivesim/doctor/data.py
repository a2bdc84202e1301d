"""Data that lie where the field's tools look for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError
from .finding import Finding

VARIABLES = ("NUPLAN_DATA_ROOT", "NUPLAN_MAPS_ROOT", "OPENSCENE_DATA_ROOT", "NUSCENES")
"""Of nuplan-devkit, NAVSIM and nuscenes-devkit."""
PLACES = ("data", "datasets", "~/data", "~/datasets", "~/nuplan/dataset", "/data", "/data/sets/nuscenes", "/datasets")
"""Folders that the guides of these tools use."""
MAPS = ("NUPLAN_MAPS_ROOT",)
"""Roots that hold maps alone: nothing to drive, but `scenarios=nuplan` reads them."""


def found(roots: Sequence[str] = ()) -> Iterator[Finding]:
    """A finding for each root given, which must hold data; else for each of the usual places that is there."""
    if roots:
        yield from (_of(root, root, needed=True) for root in roots)
        return
    named = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    places = {place: place for place in PLACES if Path(place).expanduser().is_dir()}
    there = [_of(name, root, needed=False) for name, root in {**named, **places}.items()]
    there = [finding for finding in there if finding.ok or finding.name.partition(" ")[2] in named]
    nowhere = f"none in {', '.join(VARIABLES)} and the usual places; drivesim doctor ROOT looks at yours"
    yield from there or [Finding("data", False, f"{nowhere}; scenarios=synthetic needs none", needed=False)]


def _of(name: str, root: str, needed: bool) -> Finding:
    from ..catalog import detect

    try:
        if name in MAPS:
            ok = Path(root).expanduser().is_dir()
            return Finding(f"data {name}", ok, root if ok else f"{root}: no such folder", needed)
        told = ", ".join(f"{source} in {folder}" for source, folder in detect(root))
        return Finding(f"data {name}", True, told, needed)
    except (InputError, OSError) as error:
        return Finding(f"data {name}", False, str(error), needed)
