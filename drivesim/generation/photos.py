"""In open loop the ego is where it was recorded, so a camera shows what it showed then: the log's own photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import parts
from ..errors import InputError
from ..types import Camera, Frame, Frames, Provenance, RecordedImage, Scenario, State

UNKNOWN = 255
"""In `Frame.semantics` of a photo: nobody has said what its pixels show."""


@dataclass(frozen=True, eq=False)
class PhotoWorld:
    """The scenario's photos, and what draws the rest once there is need of it."""

    scenario: Scenario
    drawn: Any = None  # the other generator's world

    @property
    def images(self) -> Mapping[str, tuple[RecordedImage, ...]]:
        return self.scenario.sensors.images if self.scenario.sensors else {}


@dataclass(frozen=True)
class Photos:
    """WorldGenerator that shows the log's photos, and has `otherwise` draw where the log has none; open loop alone.

    A camera gets its last photo if that is at most as old as its photos are apart, and one step more; the half step to
    come counts as now, because steps are rounded times. What a photo does not tell is left open: depth NaN, semantics
    UNKNOWN (255), instance -1; the provenance is OBSERVED, `time` the photo's own.
    """

    otherwise: Mapping[str, Any] = field(default_factory=lambda: {"_target_": None})

    def remember(self, scenario: Scenario) -> PhotoWorld:
        return PhotoWorld(scenario)

    def render(self, state: State, world: PhotoWorld, cameras: Sequence[Camera]) -> tuple[Frames, PhotoWorld]:
        dt = world.scenario.scene.briefing.dt
        frames: dict[str, Frame] = {}
        for camera in cameras:
            photo = _newest(world.images.get(camera.name, ()), int(state.step) * dt, camera, dt)
            if photo is not None:
                frames[camera.name] = _frame(photo, camera)
        rest = [camera for camera in cameras if camera.name not in frames]
        if rest:
            drawn, world = self._draw(state, world, rest)
            frames |= drawn
        return frames, world

    @cached_property
    def drawer(self) -> Any:
        """The generator that draws what was not photographed; None for none."""
        return parts.build(self.otherwise)

    def _draw(self, state: State, world: PhotoWorld, cameras: Sequence[Camera]) -> tuple[Frames, PhotoWorld]:
        if self.drawer is None:
            time = int(state.step) * world.scenario.scene.briefing.dt
            raise InputError(
                f"{world.scenario.id}: no photo of {', '.join(c.name for c in cameras)} at {time:.1f} s, and nothing "
                "draws one: choose generation=raster"
            )
        drawn = world.drawn if world.drawn is not None else self.drawer.remember(world.scenario)
        frames, drawn = self.drawer.render(state, drawn, cameras)
        return frames, replace(world, drawn=drawn)


def _newest(photos: Sequence[RecordedImage], now: float, camera: Camera, dt: float) -> RecordedImage | None:
    taken = np.array([photo.time for photo in photos])
    last = int(np.searchsorted(taken, now + dt / 2, side="right")) - 1
    apart = max(1 / camera.rate, float(np.median(np.diff(taken))) if len(taken) > 1 else 0.0)
    return photos[last] if last >= 0 and now - taken[last] <= apart + dt + 1e-6 else None


def _frame(photo: RecordedImage, camera: Camera) -> Frame:
    rgb = _sized(photo.read(), camera)
    shape = rgb.shape[1:]
    return Frame(
        photo.time, rgb, torch.full(shape, torch.nan), torch.full(shape, UNKNOWN, dtype=torch.uint8),
        torch.full(shape, -1, dtype=torch.int16), torch.full(shape, int(Provenance.OBSERVED), dtype=torch.uint8),
    )  # fmt: skip


def _sized(rgb: Tensor, camera: Camera) -> Tensor:
    """The picture (3, h, w) uint8 at the camera's size."""
    if rgb.shape[1:] == (camera.height, camera.width):
        return rgb
    size = (camera.height, camera.width)
    scaled = torch.nn.functional.interpolate(rgb[None].float(), size, mode="bilinear", antialias=True)
    return scaled[0].round().clamp(0, 255).to(torch.uint8)
