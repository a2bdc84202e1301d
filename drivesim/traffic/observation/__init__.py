"""What agents observe, as vectors: `observe(batch)`, columns in `layout.TABLES`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..world import Batch, spreads
from . import layout
from .kernel import observe_scenes, place_scenes
from .layout import TABLES, column, most, size
from .sights import Sights

__all__ = ["TABLES", "column", "layout", "most", "observe", "place", "size"]


def observe(batch: Batch, agents: int | None = None, normalised: bool = True, near: np.ndarray | None = None) -> Tensor:
    """What the first `agents` (all) of each scene observe, (B, agents, D) float32: always finite, zeros for who is
    absent.

    Values are in the layout's units and cut to its bounds, or, `normalised`, divided by them: within [-1, 1]. near (B,
    agents) is about where each is on its route [m], NaN for anywhere; by default where its driver last saw it.
    """
    n = batch.now.shape[1] if agents is None else agents
    sights, r = Sights.of(batch.world), batch.world.records
    out = np.empty((len(batch), n, size()), np.float32)
    near = about(batch, n) if near is None else np.ascontiguousarray(near, np.float64)
    observe_scenes(spreads(batch))(
        out, batch.now, near, batch.steps, batch.which, r.scenes, r.agents, r.points, r.lines, r.signals, sights.kinds,
        sights.grids, sights.starts, sights.lanes, most(), normalised,
    )  # fmt: skip
    return torch.from_numpy(out)


def place(batch: Batch, agents: int | None = None, near: np.ndarray | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Where the first `agents` (all) of each scene are on their routes, each (B, agents) float64: arc length [m], way
    to its left [m], and the speed allowed there [m/s]; NaN without a route. For `near` see `observe`."""
    n = batch.now.shape[1] if agents is None else agents
    r, out = batch.world.records, np.empty((len(batch), n, 3))
    near = about(batch, n) if near is None else np.ascontiguousarray(near, np.float64)
    place_scenes()(out, batch.now, near, batch.which, r.agents, r.points)
    return torch.from_numpy(out).unbind(-1)


def about(batch: Batch, agents: int) -> np.ndarray:
    """Arc length (B, agents) at which drivers last saw themselves, before that where the log has them; NaN for an ego
    that nobody has seen yet."""
    r, near = batch.world.records, batch.now["s"][:, :agents].copy()
    along = r.log["along"][r.scenes["log"][batch.which] + batch.steps, :agents].astype(np.float64)
    along[:, 0] = np.nan
    return np.where(np.isnan(near), along, near)
