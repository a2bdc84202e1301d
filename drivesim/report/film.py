"""The rollout as its cameras see it, and the recorded photos beside what was generated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from drivesim.errors import InputError
from drivesim.geometry import invert, wrap_angle
from drivesim.protocols import WorldGenerator
from drivesim.simulator import state_at
from drivesim.types import Camera, Frames, RecordedImage, Rollout, Scenario, State

from . import style
from .mosaic import GAP, Cell, Mosaic, arrange
from .ribbon import Ribbon
from .video import ahead, encode, save

BAR = 32  # height of the title bar above the pictures [px]
ON_LOG = (0.1, math.radians(1.0))  # the ego counts as being on its logged pose within this [m], [rad]


def mosaic(
    scenario: Scenario,
    rollout: Rollout,
    generator: WorldGenerator,
    path: str | Path | None = None,
    *,
    cameras: Sequence[Camera] | None = None,
    width: int = 400,
    steps: Sequence[int] | None = None,
    title: str | None = None,
) -> bytes:
    """An mp4 of all cameras side by side in real time, with the plan drawn on the ground.

    The frames are rendered again from the stored rollout: the world is a function of it. `width` [px] is that of one
    camera's picture; `cameras` default to the scenario's, `steps` to all. Raises InputError if there is no camera or
    `path` cannot be written.
    """
    steps = range(rollout.agents.valid.shape[0]) if steps is None else steps
    pictures = mosaic_frames(scenario, rollout, generator, cameras=cameras, width=width, steps=steps, title=title)
    video = encode(pictures, 1 / rollout.dt)
    if path is not None:
        save(path, video)
    return video


def mosaic_frames(
    scenario: Scenario,
    rollout: Rollout,
    generator: WorldGenerator,
    *,
    steps: Sequence[int],
    cameras: Sequence[Camera] | None = None,
    width: int = 400,
    title: str | None = None,
) -> Iterator[np.ndarray]:
    """The pictures of `mosaic`, (h, w, 3) uint8 each."""
    cameras = scenario.scene.briefing.cameras if cameras is None else cameras
    if not cameras:
        raise InputError(f"scenario {scenario.id} has no cameras to film with: give it a camera rig")
    layout = arrange(cameras, width)
    plates = [style.label(cell.camera.name) for cell in layout.cells]
    for step, state, frames in ahead(_renders(scenario, rollout, generator, layout.cameras, steps)):
        ribbon = Ribbon(scenario.scene.map, rollout, step)
        world_from_ego = rollout.vehicle.world_from_ego(state.agents[0])
        canvas = np.full((BAR + layout.height, layout.width, 3), style.PANEL, np.uint8)
        canvas[:BAR] = _bar(rollout, step, title or scenario.id, layout.width)
        for cell, plate in zip(layout.cells, plates, strict=True):
            frame = frames[cell.camera.name]
            picture = _pixels(frame.rgb)
            ribbon.draw(picture, frame, cell.camera, world_from_ego)
            style.paste(picture, plate, 6, 6)
            layout.place(canvas, cell, picture, top=BAR)
        yield canvas


def _renders(scenario, rollout, generator, cameras, steps) -> Iterator[tuple[int, State, Frames]]:
    world = generator.remember(scenario)
    for step in steps:
        state = state_at(scenario, rollout, step)
        frames, world = generator.render(state, world, cameras)
        yield step, state, frames


@dataclass(frozen=True)
class Comparison:
    """Recorded photos above what was generated for the same place and time."""

    video: bytes  # mp4: a mosaic of photos, below it the same mosaic generated
    size: tuple[int, int]  # width and height of either [px]
    cells: tuple[tuple[int, int, int, int], ...]  # x, y, width, height of each camera's picture in it [px]
    steps: tuple[int, ...]  # that are shown
    missing: tuple[str, ...]  # why photos are absent, one line each


def compare(
    scenario: Scenario, rollout: Rollout, generator: WorldGenerator, *, width: int = 400, limit: int = 40
) -> Comparison | None:
    """Photos and generated pictures at steps at which the ego is still on its logged pose; None without photos.

    Each picture is generated from the photo's own pose and calibration, so what stands still must coincide. At most
    `limit` steps, spread evenly; the film runs in real time. A photo that cannot be read is left dark and listed.
    """
    photos = scenario.sensors.images if scenario.sensors else {}
    pairs = [(step, _photos_at(photos, step * rollout.dt, rollout.dt)) for step in on_log_steps(scenario, rollout)]
    pairs = [(step, found) for step, found in pairs if found]
    if not pairs:
        return None
    stride = math.ceil(len(pairs) / limit)
    pairs = pairs[::stride]
    rigged = {c.name: c for c in scenario.scene.briefing.cameras}
    names = [name for name in photos if any(name in found for _, found in pairs)]
    first = [rigged.get(name) or next(f[name].camera for _, f in pairs if name in f) for name in names]
    layout = arrange([_upright(c, name) for c, name in zip(first, names, strict=True)], width)
    missing: dict[str, None] = {}
    video = encode(_pairs(scenario, rollout, generator, pairs, layout, missing), 1 / (rollout.dt * stride))
    return Comparison(
        video, (layout.width, layout.height), layout.rectangles, tuple(s for s, _ in pairs), tuple(missing)
    )


def on_log_steps(scenario: Scenario, rollout: Rollout) -> list[int]:
    """Steps from the first on, without a gap, at which the ego is where it was recorded (`ON_LOG`)."""
    steps = min(scenario.steps, rollout.agents.valid.shape[0])
    logged, ego = scenario.log[:steps, 0], rollout.agents[:steps, 0]
    near = (logged.xy - ego.xy).norm(dim=-1) <= ON_LOG[0]
    straight = wrap_angle(logged.yaw - ego.yaw).abs() <= ON_LOG[1]
    there = (near & straight & logged.valid & ego.valid).int().cumprod(0)
    return list(range(int(there.sum())))


def _pairs(scenario, rollout, generator, pairs, layout: Mosaic, missing: dict[str, None]) -> Iterator[np.ndarray]:
    world = generator.remember(scenario)
    below, generated = layout.height + GAP, style.label("generated")
    names = {c.camera.name: style.label(f"{c.camera.name} recorded") for c in layout.cells}
    for step, photos in pairs:
        state = state_at(scenario, rollout, step)
        ego_from_world = invert(rollout.vehicle.world_from_ego(state.agents[0]).double())
        posed = {c.camera.name: _posed(c.camera, photos.get(c.camera.name), ego_from_world) for c in layout.cells}
        frames, world = generator.render(state, world, [posed[c.camera.name] for c in layout.cells])
        canvas = np.full((layout.height + below, layout.width, 3), style.PANEL, np.uint8)
        for cell in layout.cells:
            name, right = cell.camera.name, cell.x + cell.camera.width
            layout.place(canvas, cell, _photo(photos.get(name), cell, missing))
            layout.place(canvas, cell, _pixels(frames[name].rgb), top=below)
            style.paste(canvas, names[name], cell.x + 6, cell.y + 6)
            style.paste(canvas, generated, right - generated[0].shape[1] - 6, below + cell.y + 6)
        yield canvas


def _photos_at(photos, time: float, dt: float) -> dict[str, RecordedImage]:
    """The photo of each camera that was taken nearest to `time`, if any was within half a step."""
    found = {}
    for name, images in photos.items():
        if images and abs((best := min(images, key=lambda i: abs(i.time - time))).time - time) <= dt / 2 + 1e-6:
            found[name] = best
    return found


def _upright(camera: Camera, name: str) -> Camera:
    return camera if camera.name == name else replace(camera, name=name)


def _posed(camera: Camera, photo: RecordedImage | None, ego_from_world: torch.Tensor) -> Camera:
    """The camera as it stood when the photo was taken."""
    if photo is None:
        return camera
    taken = photo.camera.resized(camera.width, camera.height)
    return replace(taken, name=camera.name, ego_from_camera=ego_from_world @ photo.world_from_camera.double())


def _photo(photo: RecordedImage | None, cell: Cell, missing: dict[str, None]) -> np.ndarray:
    size = cell.camera.width, cell.camera.height
    if photo is None:
        return np.full((*size[::-1], 3), style.LAND, np.uint8)
    try:
        picture = Image.fromarray(_pixels(photo.read()))
    except (InputError, OSError, ValueError) as error:
        missing[f"{cell.camera.name}: {error}"] = None
        return np.full((*size[::-1], 3), style.LAND, np.uint8)
    return np.asarray(picture.resize(size, Image.Resampling.BOX if size[0] < picture.width else None))


def _pixels(rgb: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(rgb.permute(1, 2, 0).cpu().numpy())


def _bar(rollout: Rollout, step: int, title: str, width: int) -> np.ndarray:
    image = Image.new("RGB", (width, BAR), style.PANEL)
    speed = float(rollout.agents[step, 0].speed)
    driven = step >= rollout.start
    middle = BAR / 2
    style.write(image, (width - 12, middle), f"{step * rollout.dt:5.1f} s", 15, anchor="rm")
    style.write(image, (width - 92, middle), f"{speed:.1f} m/s", 15, anchor="rm")
    end = style.write(image, (width - 192, middle), f"{3.6 * speed:.0f} km/h", 13, style.QUIET, anchor="rm")
    who, colour = ("planner drives", style.PLAN) if driven else ("log drives", style.QUIET)
    style.write(image, (end - 80, middle), who, 13, colour, anchor="rm")
    return np.asarray(_titled(image, title, end - 190))


def _titled(image: Image.Image, title: str, room: int) -> Image.Image:
    shown = title
    while len(shown) > 4 and style.font(14).getlength(shown) > room:
        shown = shown[:-2].rstrip("…") + "…"
    style.write(image, (12, image.height / 2), shown, 14)
    return image
