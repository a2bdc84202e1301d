"""Who draws: the rows of the table. Each gets a view and the gap: photos closer to it in time may not be used.

The lazy and the naive answers are here because a world that is not better than them is worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..protocols import WorldGenerator
from ..types import RecordedImage, Scenario
from .views import View, resized


class Drawn(NamedTuple):
    rgb: np.ndarray  # (h, w, 3) uint8
    depth: np.ndarray | None = None  # (h, w) float32 [m]
    provenance: np.ndarray | None = None  # (h, w) uint8


class Painter(Protocol):
    name: str

    def draw(self, view: View, gap: float) -> Drawn | None:
        """The view, without any photo taken within `gap` [s] of it, by whatever camera; None if it cannot be had."""
        ...


def allowed(images: Sequence[RecordedImage], time: float, gap: float) -> list[RecordedImage]:
    """The photos farther than `gap` [s] from a time; all, if the gap is negative."""
    return [image for image in images if abs(image.time - time) > gap]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The photo of the same camera that was taken next to the view, as it is: the lazy answer."""

    scenario: Scenario
    name: str = "nearest photo"

    def draw(self, view: View, gap: float) -> Drawn | None:
        photo = nearest(self.scenario, view, gap)
        if photo is None:
            return None
        return Drawn(resized(photo.read().permute(1, 2, 0).numpy(), view.camera.width, view.camera.height))


def nearest(scenario: Scenario, view: View, gap: float) -> RecordedImage | None:
    """The allowed photo of the view's camera that is next in time, the earlier one of two."""
    images = allowed(scenario.sensors.images.get(view.name, ()), view.time, gap)
    return min(images, key=lambda image: (round(abs(image.time - view.time), 3), image.time), default=None)


@dataclass(eq=False)
class Generated:
    """A WorldGenerator's picture; one with a memory of photos leaves out those that are not allowed."""

    name: str
    scenario: Scenario
    generator: WorldGenerator

    @cached_property
    def world(self) -> Any:
        return self.generator.remember(self.scenario)

    def draw(self, view: View, gap: float) -> Drawn:
        world = self.world
        if gap >= 0 and hasattr(world, "without"):
            world = world.without(view.time, gap)
        frame = self.generator.render(view.state, world, [view.camera])[0][view.name]
        rgb = np.ascontiguousarray(frame.rgb.permute(1, 2, 0).numpy())
        return Drawn(rgb, frame.depth.numpy(), frame.provenance.numpy())
