"""One camera of the simulation as the kernels want it: a pinhole, and where a lens bends light, which pixel shows which
of the pinhole's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...camera import world_from_camera
from ...types import Camera, Frame, Provenance
from ..layout import optics


@dataclass(frozen=True, eq=False)
class Eye:
    """A pinhole at a place."""

    camera: Camera  # the pinhole
    lens: np.ndarray  # (4,) float64: fx, fy, cx, cy [px]
    world_from_camera: np.ndarray  # (4, 4) float64
    size: tuple[int, int]  # of the picture that was asked for: width, height [px]
    pick: np.ndarray | None  # (h, w) int32 pixel of the pinhole that each pixel shows, -1: no light; None: the same

    @staticmethod
    def of(camera: Camera, world_from_ego: Tensor) -> Eye:
        lens, params, (width, height), reached = optics(
            camera.width, camera.height, tuple(camera.intrinsics.double().flatten().tolist()), tuple(camera.distortion)
        )
        fx, fy, cx, cy = params
        matrix = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
        pinhole = Camera(camera.name, width, height, matrix, camera.ego_from_camera, (), camera.rate)
        pose = world_from_camera(world_from_ego, camera).numpy()
        pick = None if reached is None else lens.pick
        return Eye(pinhole, np.asarray(params, np.float64), pose, (camera.width, camera.height), pick)

    @property
    def camera_from_world(self) -> np.ndarray:
        return np.linalg.inv(self.world_from_camera)

    def frame(self, time: float, rgb, depth, semantics, instance, provenance) -> Frame:
        """From buffers (h, w, ...) of the pinhole to the frame that was asked for."""
        parts = [np.ascontiguousarray(rgb.transpose(2, 0, 1)), depth, semantics, instance, provenance]
        if self.pick is not None:
            dark = self.pick < 0
            at = np.where(dark, 0, self.pick)
            parts = [np.ascontiguousarray(p.reshape(*p.shape[:-2], -1)[..., at]) for p in parts]
            parts[0][:, dark], parts[4][dark] = 0, int(Provenance.NONE)
        return Frame(time, *(torch.from_numpy(p) for p in parts))
