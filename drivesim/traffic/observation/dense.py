"""The observation in torch, one scene after the other: the reference of `kernel`."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.geometry import heading, rotate
from drivesim.traffic.following import SPACING, at, locate
from drivesim.types import Light

from ..tables import Drivers, LineKind
from ..world import Batch
from . import about
from .layout import AHEAD, FAR, KINDS, LANE_REACH, LANES, LOOK, NEIGHBOURS, most
from .sights import Sights

SHOWS = (Light.GREEN, Light.YELLOW, Light.RED, Light.FLASHING_YELLOW, Light.FLASHING_RED)


def observe(batch: Batch, normalised: bool = True) -> Tensor:
    """As `observation.observe`: (B, A, D) float32."""
    out = torch.stack([_scene(batch, b) for b in range(len(batch))])
    bound = torch.from_numpy(most()).double()
    out = out.clamp(-bound, bound)
    return (out / bound if normalised else out).float()


def _scene(batch: Batch, b: int) -> Tensor:
    u, a = int(batch.which[b]), batch.world.agents
    sights, drivers = Sights.of(batch.world), batch.world.drivers[u]
    kinds = torch.from_numpy(sights.kinds[u]).long()
    column = lambda name: torch.from_numpy(batch.now[name][b].copy()).nan_to_num(0)  # noqa: E731
    xy, yaw, velocity = batch.xy[b].nan_to_num(0), column("yaw"), batch.velocity[b].nan_to_num(0)
    size, valid, kind = batch.size[b], batch.valid[b], _one_hot(kinds)
    speed = (velocity * heading(yaw)).sum(-1)
    own = torch.stack([speed, column("steering"), column("acceleration")], -1)
    near = torch.from_numpy(about(batch, a)[b])
    lights = batch.world.scenarios[u].scene.signals.at(int(batch.step[b]))
    n = len(drivers.length)
    route = torch.cat([_route(drivers, xy[:n], yaw[:n], size[:n], near[:n], lights), torch.zeros(a - n, 51)])
    tables = [
        torch.cat([own, size, kind, torch.ones(a, 1)], -1),
        route,
        _others(xy, yaw, velocity, size, valid, kind),
        _lanes(torch.from_numpy(sights.lanes[_cells(sights, u)]).double(), xy, yaw),
    ]
    return torch.where(valid[:, None], torch.cat(tables, -1), 0.0)


def _cells(sights: Sights, u: int) -> slice:
    """Where the lanes of scene u lie."""
    grid = sights.grids[u]
    first = int(grid["first"])
    return slice(int(sights.starts[first]), int(sights.starts[first + int(grid["columns"] * grid["rows"])]))


def _one_hot(kinds: Tensor) -> Tensor:
    return (kinds[..., None] == torch.arange(len(KINDS))).double()


def _route(drivers: Drivers, xy: Tensor, yaw: Tensor, size: Tensor, near: Tensor, lights: Tensor) -> Tensor:
    """Tables from `route` to `crosswalk` (n, 51) of agents (n,)."""
    points, limit, length = drivers.points.double(), drivers.limit.double(), drivers.length.double()
    s, left = (torch.where(near.isnan(), x, y) for x, y in zip(
        locate(points, xy), locate(points, xy, near.nan_to_num(0)), strict=True))  # fmt: skip
    _, tangent = at(points, length, s[:, None])
    turn = tangent[:, 0] - yaw
    front = s + size[:, 0] / 2
    one = torch.ones_like(s)
    here = torch.stack([left, turn.cos(), turn.sin(), _limit(limit, length, s[:, None])[:, 0],
                        drivers.end - front, one], -1)  # fmt: skip
    places = s[:, None] + torch.tensor(AHEAD, dtype=torch.float64)
    ahead = rotate(at(points, length, places)[0] - xy[:, None], -yaw[:, None])
    ahead = torch.cat([ahead, torch.stack([_limit(limit, length, places), torch.ones_like(places)], -1)], -1)
    ahead = torch.where((places <= length[:, None])[..., None], ahead, 0.0)
    out = torch.cat([here, ahead.flatten(1), _lines(drivers, front, lights)], -1)
    return torch.where((length > 0)[:, None], out, 0.0)


def _limit(limit: Tensor, length: Tensor, s: Tensor) -> Tensor:
    """Speed (n, K) allowed at arc lengths (n, K)."""
    last = (length / SPACING).round().long().clamp_min(1)[:, None]
    k = torch.minimum((s / SPACING).floor().long().clamp_min(0), last - 1)
    low, high = limit.gather(1, k), limit.gather(1, k + 1)
    return low + (high - low) * (s / SPACING - k).clamp(0, 1)


def _lines(drivers: Drivers, front: Tensor, lights: Tensor) -> Tensor:
    """Tables light, stop, yield and crosswalk (n, 13)."""
    distance = drivers.lines.s.double() - front[:, None]
    out = []
    for kind in (LineKind.LIGHT, LineKind.STOP, LineKind.YIELD, LineKind.CROSSWALK):
        there = (drivers.lines.kind == int(kind)) & (distance > -0.5) & (distance < FAR)
        first = there.long().argmax(1, keepdim=True)
        present = there.any(1, keepdim=True).double()
        row = [torch.where(present > 0, distance.gather(1, first), 0.0)]
        if kind == LineKind.LIGHT:
            ref = drivers.lines.ref.gather(1, first)
            state = lights[ref] if len(lights) else torch.zeros_like(ref)
            row += [(state == int(show)) * present for show in SHOWS]
        out += [*row, present]
    return torch.cat(out, -1)


def _others(xy: Tensor, yaw: Tensor, velocity: Tensor, size: Tensor, valid: Tensor, kind: Tensor) -> Tensor:
    """The nearest neighbours (A, NEIGHBOURS * 12), nearest first."""
    offset = xy - xy[:, None]
    square = torch.where(valid & ~torch.eye(len(xy), dtype=torch.bool), offset.square().sum(-1), torch.inf)
    frame = -yaw[:, None]
    relative = velocity - velocity[:, None]
    alike = lambda x: x.expand(len(xy), *x.shape)  # noqa: E731
    rows = torch.cat([
        rotate(offset, frame), heading(yaw + frame), rotate(relative, frame), alike(size), alike(kind),
        torch.ones(len(xy), len(xy), 1),
    ], -1)  # fmt: skip
    return _nearest(rows, square, NEIGHBOURS, FAR)


def _lanes(lanes: Tensor, xy: Tensor, yaw: Tensor) -> Tensor:
    """The nearest points of lanes (A, LANES * 6)."""
    frame = -yaw[:, None]
    square = (lanes[:, :2] - (xy + LOOK * heading(yaw))[:, None]).square().sum(-1)
    direction = rotate(lanes[:, 2:4].expand(len(xy), -1, 2), frame)
    width = lanes[:, 4:].expand(len(xy), -1, 1)
    rows = torch.cat([rotate(lanes[:, :2] - xy[:, None], frame), direction, width, torch.ones_like(width)], -1)
    return _nearest(rows, square, LANES, LANE_REACH)


def _nearest(rows: Tensor, square: Tensor, most: int, reach: float) -> Tensor:
    """Of rows (A, N, C) the `most` nearest, nearest first, (A, most * C); zeros beyond `reach`."""
    short = max(most - rows.shape[1], 0)
    rows = torch.nn.functional.pad(rows, (0, 0, 0, short))
    square = torch.nn.functional.pad(square, (0, short), value=torch.inf)
    distance, order = square.sort(dim=1, stable=True)
    near = rows.gather(1, order[:, :most, None].expand(-1, -1, rows.shape[2]))
    return torch.where(distance[:, :most, None] < reach**2, near, 0.0).flatten(1)
