"""What sees it: cameras, their frames, and what a log's sensors recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import torch
from torch import Tensor

from ..struct import Struct, tensor


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera. Optical frame: x right, y down, z forward; pixel centres lie at +0.5."""

    name: str
    width: int  # [px]
    height: int  # [px]
    intrinsics: Tensor  # (3, 3) float64 [px]
    ego_from_camera: Tensor  # (4, 4) float64
    distortion: tuple[float, ...] = ()  # Brown-Conrady k1, k2, p1, p2, k3 as OpenCV orders them; () is a pinhole
    rate: float = 10.0  # [Hz]

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another resolution."""
        scale = torch.diag(torch.tensor([width / self.width, height / self.height, 1.0], dtype=torch.float64))
        return Camera(
            self.name,
            width,
            height,
            scale @ self.intrinsics,
            self.ego_from_camera,
            self.distortion,
            self.rate,
        )


class ReadImage(Protocol):
    def __call__(self) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class RecordedImage:
    """A lazy handle on a photo; `read()` gives rgb (3, h, w) uint8 or raises with the file's name."""

    camera: Camera
    time: float  # [s] since step 0
    world_from_camera: Tensor  # (4, 4) float64, at the photo's own time stamp
    read: ReadImage


@dataclass(frozen=True, eq=False)
class RecordedSweep:
    """A lazy handle on a lidar sweep; `read()` gives points (N, 3) float32 in the world frame."""

    time: float  # [s] since step 0
    origin: Tensor  # (3,) float64 sensor position, world
    read: ReadImage
    moments: ReadImage | None = None  # gives (N,) float32: when each point was hit, after `time` [s]; None: not told


@dataclass(frozen=True, eq=False)
class SensorLog:
    images: Mapping[str, tuple[RecordedImage, ...]]  # by camera name, ordered by time
    sweeps: tuple[RecordedSweep, ...] = ()
    drawn_by: Any = None  # the WorldGenerator that drew them: it knows what any other view shows; None: the world itself


class Provenance(IntEnum):
    """Where a pixel comes from."""

    NONE = 0
    OBSERVED = 1
    REPROJECTED = 2
    PROXY = 3
    GENERATED = 4


class Semantic(IntEnum):
    """What a pixel shows."""

    SKY = 0
    ROAD = 1
    MARKING = 2
    CROSSWALK = 3
    SIDEWALK = 4
    TERRAIN = 5
    BUILDING = 6
    VEGETATION = 7
    POLE = 8
    SIGNAL = 9
    VEHICLE = 10
    CYCLE = 11
    PERSON = 12
    OBJECT = 13


class Frame(Struct):
    """One camera's picture with all that is known of it."""

    time: float  # [s] since step 0
    rgb: Tensor = tensor(event=3)  # (3, h, w) uint8
    depth: Tensor = tensor(event=2)  # (h, w) float32, along the optical axis [m]; inf for the sky
    semantics: Tensor = tensor(event=2)  # (h, w) uint8, a Semantic
    instance: Tensor = tensor(event=2)  # (h, w) int16, agent index; -1 for none
    provenance: Tensor = tensor(event=2)  # (h, w) uint8, a Provenance


Frames = Mapping[str, Frame]
"""By camera name; only the cameras that were asked for."""
