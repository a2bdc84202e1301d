"""A drive seen from above, drawn while it happens."""

from __future__ import annotations

import numpy as np
import torch

from drivesim.geometry import box_corners
from drivesim.report.birdseye import SMALLEST, Birdseye
from drivesim.types import Body, Cause, Rollout, Scenario

SIZE = 480  # [px]


class Picture(Birdseye):
    """The bird's-eye view of a scene; `show` says what has happened since the log's start."""

    def __init__(self, scenario: Scenario, size: int = SIZE) -> None:
        still, briefing = torch.zeros_like(scenario.log.yaw), scenario.scene.briefing
        logged = Rollout(
            scenario.id, scenario.fingerprint, 0, scenario.start, briefing.dt, scenario.log, Body(still, still), (), (),
            briefing.vehicle, Cause.RUNNING,
        )  # fmt: skip
        super().__init__(scenario, logged, size)
        self.valid = self.valid.copy()  # the log's own array, else

    def show(self, step: int, now: np.ndarray) -> None:
        """Everybody (A,), records of `traffic.records.MOTION`, at a step."""
        now = now[: self.valid.shape[1]]
        pose = [torch.from_numpy(now[name].copy()) for name in ("x", "y", "yaw", "length", "width")]
        xy, size = torch.stack(pose[:2], -1), torch.stack(pose[3:], -1).clamp_min(SMALLEST)
        self.xy[step], self.valid[step] = xy.numpy(), now["valid"]
        self.corners[step] = box_corners(xy, pose[2], size).numpy()
