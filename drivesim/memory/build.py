"""From a scenario's recordings to what is remembered of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..types import Scenario
from . import exposure, masks, walls
from . import photos as bank
from .cut import Boxes
from .photos import Album, New
from .remembered import Photos, Remembered, Surfels
from .surfels import surfels

Progress = Callable[[str, float], None]
"""Told what is being done and which share of it is done."""

THREADS = 2
"""Cameras at a time; more want more memory."""


@dataclass(frozen=True)
class Settings:
    """How much is remembered."""

    width: int = 640  # of the photos [px]
    megabytes: int = 380  # of the photos, at most [MiB]; more of them are thinned out
    surfels: int = 500_000  # of the standing world, at most


def build(scenario: Scenario, settings: Settings, new: New, progress: Progress) -> Remembered:
    """The memory of a log; its arrays are made by `new`."""
    boxes = boxes_of(scenario)
    ego = scenario.log[:, 0]
    path = np.column_stack([ego.xy.double().numpy(), ego.z.double().numpy()])[ego.valid.numpy()]
    progress("surfels from the sweeps", 0.0)
    found, problems = surfels(scenario, boxes, path, settings.surfels)
    images = dict(scenario.sensors.images) if scenario.sensors else {}
    albums, thinned = bank.albums(images, settings.width, settings.megabytes * 2**20)
    problems += thinned
    with ThreadPoolExecutor(THREADS) as pool:
        developed: list[Photos] = []
        for i, (photos, missing) in enumerate(pool.map(partial(_develop, new=new), range(len(albums)), albums)):
            progress(f"photos of {albums[i].camera.name}", (i + 1) / (2 * len(albums)))
            problems += missing
            developed += [photos] if len(photos.time) else []
        seats = [sweep.origin.numpy() for sweep in scenario.sensors.sweeps] if scenario.sensors else []
        found = walls.grown(found, developed, np.array(seats).reshape(-1, 3))
        for i, _ in enumerate(pool.map(partial(_look, found=found, boxes=boxes), developed)):
            progress(f"what {developed[i].camera} sees", 0.5 + (i + 1) / (2 * len(developed)))
    progress("exposure", 1.0)
    for photos, gain in zip(developed, exposure.gains(developed, found), strict=True):
        photos.gain[:] = gain
    return Remembered(found, tuple(developed), boxes.world_from_box, boxes.dt, tuple(problems))


def _develop(number: int, album: Album, new: New) -> tuple[Photos, list[str]]:
    return bank.develop(album, lambda name, *shape: new(f"photos.{number}.{name}", *shape))


def _look(photos: Photos, found: Surfels, boxes: Boxes) -> None:
    """Fill in what each pixel of the photos shows and whether it may be used."""
    bank.look(photos, found, boxes.world_from_box, boxes.dt)
    photos.usable[:, masks.own_car(photos, masks.movers(boxes.world_from_box))] = False
    masks.spare_movers(photos, boxes.world_from_box, boxes.size, boxes.dt)


def boxes_of(scenario: Scenario) -> Boxes:
    """The log's agents as boxes."""
    world_from_box = scenario.log.world_from_box.double().numpy()
    world_from_box[~scenario.log.valid.numpy()] = np.nan
    return Boxes(world_from_box, scenario.log.size.double().numpy(), scenario.scene.briefing.dt)
