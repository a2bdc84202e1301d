"""The kernel's drivers in a single scene, for the closed loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from drivesim.traffic.following import IDM
from drivesim.types import State

from .kernel.advance import commands
from .records import Records, motion
from .tables import Progress


def drive(records: Records, progress: Progress, state: State, decides: Tensor, driver: IDM) -> tuple[Tensor, Progress]:
    """Acceleration and steering (A, 2) of those drivers who decide (A,) bool, NaN for everybody else.

    Whoever does not decide keeps its way and speed, and the others give way to it. Who comes to the end of its road
    after the end of its log no longer decides either, and so leaves the world.
    """
    now = motion(state.agents, state.body, progress)
    stood = progress.stood.double().numpy().copy()
    r = records
    command = commands()(
        now, stood, decides.numpy(), int(state.step), r.scenes, r.agents[0], r.points, r.corridors, r.lines, r.zones,
        r.log, r.signals, r.walks, r.rings, driver.max_braking, driver.exponent,
    )  # fmt: skip
    column = lambda name: torch.from_numpy(np.ascontiguousarray(now[name]))  # noqa: E731
    after = Progress(column("s"), column("settled"), column("headway"), torch.from_numpy(stood))
    return torch.from_numpy(command).float(), after
