"""The others as proposals meet them: boxes over time, as they were or as they will be if nothing changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from drivesim.types import OBJECTS, Agents, is_kind


@dataclass(frozen=True, eq=False)
class Tracks:
    """T steps of A others; one that is absent has NaN in its box."""

    boxes: np.ndarray  # (T, 6, A) x, y, cos, sin, half length, half width [m]
    speed: np.ndarray  # (T, A) [m/s]
    yaw: np.ndarray  # (T, A)
    static: np.ndarray  # (A,) bool, a cone, a barrier, an object
    index: np.ndarray  # (A,) number of each in the scene

    def __len__(self) -> int:
        return len(self.boxes)

    @staticmethod
    def of(agents: Agents) -> Tracks:
        """Of agents (T, A), without agent 0, the ego; who is never there is left out."""
        index = 1 + torch.nonzero(agents.valid[:, 1:].any(0))[:, 0]
        others = agents[:, index]
        static = is_kind(others.kind, OBJECTS).any(0).numpy()
        values = [others.xy.unbind(-1)[0], others.xy.unbind(-1)[1], others.yaw.cos(), others.yaw.sin(),
                  others.size[..., 0] / 2, others.size[..., 1] / 2]  # fmt: skip
        boxes = torch.stack([x.double() for x in values], 1)
        boxes = boxes.masked_fill(~others.valid[:, None], torch.nan)
        speed = others.velocity.double().norm(dim=-1).masked_fill(others.valid & is_kind(others.kind, OBJECTS), 0)
        return Tracks(boxes.contiguous().numpy(), speed.numpy(), others.yaw.double().numpy(), static, index.numpy())

    @staticmethod
    def forecast(now: Agents, steps: int, dt: float, radius: float = np.inf) -> Tracks:
        """Of agents (A,) within `radius` [m] of agent 0, at now and `steps` steps on: each keeps its speed along its
        heading, or backwards where it rolls so (PDM-Closed)."""
        near = now.valid & ((now.xy - now.xy[0]).norm(dim=-1) <= radius)
        first = Tracks.of(now.replace(valid=near)[None])
        x, y, cos, sin = first.boxes[0, :4]
        backwards = now.speed.double().numpy()[first.index] < 0
        way = np.where(backwards, -1.0, 1.0) * first.speed[0] * (~first.static)
        t = dt * np.arange(steps + 1)[:, None]
        boxes = np.repeat(first.boxes, steps + 1, 0)
        boxes[:, 0], boxes[:, 1] = x + t * way * cos, y + t * way * sin
        keep = lambda values: np.repeat(values, steps + 1, 0)  # noqa: E731
        return Tracks(boxes, keep(first.speed), keep(first.yaw), first.static, first.index)
