"""The tables of many scenes, padded to the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from drivesim.dynamics.logged import logged_bodies
from drivesim.kernels import SegmentGrid
from drivesim.struct import Struct, tensor
from drivesim.types import CYCLES, WALKERS, Agents, Body, Light, Polylines, Scenario, is_kind

from ..tables import Drivers


class Tables(Struct):
    """What does not change over a drive, of B scenes with A agents each."""

    drivers: Drivers = tensor(event=1)  # (B, A)
    log: Agents = tensor(event=2)  # (B, T, A); an agent's kind is the same at all steps
    body: Body = tensor(event=2)  # (B, T, A) of the log
    signals: Tensor = tensor(event=2)  # (B, T, S) int64, a Light
    crosswalks: Tensor = tensor(event=3)  # (B, C, V, 2) rings, padded by their last vertex; NaN if there is none
    people: Tensor = tensor(event=1)  # (B, W) int64, who goes on foot or by bicycle; padded with -1
    border_a: Tensor = tensor(event=2)  # (B, E, 2) from where to where borders of the drivable area go; padded with NaN
    border_b: Tensor = tensor(event=2)  # (B, E, 2)
    wheelbase: Tensor = tensor()  # (B,) of the ego [m]
    rear: Tensor = tensor()  # (B,) from the ego's rear axle to its box's middle [m]
    begin: Tensor = tensor()  # (B,) int64, step at which the drive starts
    steps: Tensor = tensor()  # (B,) int64, of the log


FILL = {
    "kind": 0, "valid": False, "steering": 0.0, "acceleration": 0.0, "length": 0.0, "end": 0.0, "last": -1,
    "active": False, "style": 1.0, "s": torch.inf, "ref": 0, "zones": 0.0, "me": -1, "other": -1, "merges": False,
    "points": 0.0, "axle": 0.0, "nose": 0.0, "limit": 0.0, "along": 0.0, "size": 0.0,
}  # fmt: skip
"""What padding is, by field; NaN where nothing is said. It holds for the fields of a field, too."""

EDGE = {"points": 1, "axle": 1, "nose": 1, "limit": 1, "along": 0}
"""Dimensions that are padded by their last entry."""


def tables_of(scenarios: Sequence[Scenario], drivers: Sequence[Drivers], dtype: torch.dtype = torch.float32) -> Tables:
    """Tables of scenes with their drivers, numbers in `dtype`; scenes with fewer agents get rows never valid."""
    scenes = [s.scene for s in scenarios]
    borders = [SegmentGrid.of_rings(x.map.drivable) for x in scenes]
    vehicles = [x.briefing.vehicle for x in scenes]
    logs = [s.log.replace(kind=s.log.kind.amax(0).expand(s.log.kind.shape)) for s in scenarios]
    number = lambda x: torch.tensor(x, dtype=torch.float64)  # noqa: E731
    tables = Tables(
        drivers=_stacked(drivers),
        log=_stacked(logs),
        body=_stacked([logged_bodies(s) for s in scenarios]),
        signals=padded([x.signals.state for x in scenes], int(Light.UNKNOWN)),
        crosswalks=padded([_rings(x.map.crosswalks) for x in scenes], torch.nan),
        people=padded([_people(log) for log in logs], -1),
        border_a=padded([torch.from_numpy(x.a) for x in borders], torch.nan),
        border_b=padded([torch.from_numpy(x.b) for x in borders], torch.nan),
        wheelbase=number([v.wheelbase for v in vehicles]),
        rear=number([v.rear_axle_to_center for v in vehicles]),
        begin=torch.tensor([s.start for s in scenarios]),
        steps=torch.tensor([s.steps for s in scenarios]),
    )
    return tables.map(lambda x: x.to(dtype) if x.is_floating_point() else x)


def padded(items: Sequence[Tensor], fill: float, edge: int | None = None) -> Tensor:
    """Tensors stacked at their greatest sizes: filled up by `fill`, along dimension `edge` by the last entry."""
    shape = [max(sizes) for sizes in zip(*(x.shape for x in items), strict=True)]
    out = torch.full((len(items), *shape), fill, dtype=items[0].dtype)
    for row, item in zip(out, items, strict=True):
        if edge is not None and item.shape[edge]:
            where = torch.arange(shape[edge]).clamp_max(item.shape[edge] - 1)
            item = item.index_select(edge, where)
        row[tuple(slice(n) for n in item.shape)] = item
    return out


def _stacked(items: Sequence[Any], fill: float = torch.nan) -> Any:
    changes = {}
    for f, x in items[0]._parts():
        values, by = [getattr(item, f.name) for item in items], FILL.get(f.name, fill)
        changes[f.name] = _stacked(values, by) if isinstance(x, Struct) else padded(values, by, EDGE.get(f.name))
    return items[0].replace(**changes)


def _rings(crosswalks: Polylines) -> Tensor:
    """Rings (C, V, 2), at least one; those that do not exist are NaN."""
    rings = [crosswalks.line(c)[:, :2] for c in range(len(crosswalks))] or [torch.full((1, 2), torch.nan)]
    return padded([ring if len(ring) else torch.full((1, 2), torch.nan) for ring in rings], torch.nan, 0)


def _people(log: Agents) -> Tensor:
    """Who goes on foot or by bicycle (W,), at least one; -1 is nobody."""
    people = torch.nonzero(is_kind(log.kind[0], WALKERS + CYCLES))[:, 0]
    return people if len(people) else torch.full((1,), -1)
