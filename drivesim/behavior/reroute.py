"""Another way for a driver on the road: all tables of its row are made anew."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.dynamics.bicycle import axles
from drivesim.traffic.conflicts import Zones, find_zones
from drivesim.traffic.following import SPACING, speed_limits
from drivesim.traffic.routes import end_of_road
from drivesim.traffic.tables import Drivers, Lines, Progress, cruise, lines_of, noses, trailing
from drivesim.types import Agents, Scenario

CHANGING = 60.0
"""Ahead of a driver who changes lanes, within which it does not wait for those who come behind it there [m]."""


def rerouted(
    drivers: Drivers, progress: Progress, i: int, way: tuple[Tensor, float, float], agents: Agents,
    scenario: Scenario, follows: Tensor,
) -> tuple[Drivers, Progress]:  # fmt: skip
    """Drivers of whom `i` takes another way, and their progress.

    `way` is points (P, 2) every SPACING metres, the arc length at which the driver is on them, and the one up to which
    they are known to be road. Those of `follows` (A,) bool come behind it on that way and have been found to have
    room: it does not wait for them where it comes into their lane.
    """
    points, s, known = way
    map, scene = scenario.scene.map, scenario.scene
    drivers = _as_long_as(drivers, len(points))
    row = torch.cat([points, points[-1:].expand(drivers.points.shape[1] - len(points), 2)])
    length = torch.tensor(SPACING * (len(points) - 1))
    _, rear = axles(agents, scene.briefing.vehicle)
    axle = trailing(row[None], rear[i : i + 1])
    drivers = drivers.replace(
        points=put(drivers.points, i, row), length=put(drivers.length, i, length),
        limit=put(drivers.limit, i, _limit(drivers, i, row, len(points), scenario)),
        end=put(drivers.end, i, length.clamp_max(end_of_road(map, points, known))),
        axle=put(drivers.axle, i, axle[0]),
        nose=put(drivers.nose, i, noses(row[None], axle, agents.size[i : i + 1])[0]),
    )  # fmt: skip
    progress = progress.replace(s=put(progress.s, i, torch.tensor(s)))
    fresh = lines_of(row[None], length[None], scene.signals, map)
    drivers, progress = _with_lines(drivers, progress, i, fresh)
    return drivers.replace(zones=_zones(drivers, progress.s, i, agents.size[:, 1], follows)), progress


def put(table: Tensor, i: int, row: Tensor | float) -> Tensor:
    """A copy of a table whose row `i` is another."""
    table = table.clone()
    table[i] = row
    return table


def _as_long_as(drivers: Drivers, n: int) -> Drivers:
    """With room for ways of `n` points: rows are padded with their last entry."""
    more = n - drivers.points.shape[1]
    if more <= 0:
        return drivers
    longer = lambda x: torch.cat([x, x[:, -1:].expand(-1, more, *x.shape[2:])], 1)  # noqa: E731
    tables = ("points", "limit", "axle", "nose")
    return drivers.replace(**{name: longer(getattr(drivers, name)) for name in tables})


def _limit(drivers: Drivers, i: int, row: Tensor, count: int, scenario: Scenario) -> Tensor:
    """Speed (P,) that lanes and bends allow along the way `row` (P, 2) of `count` points, which is padded."""
    rows, style = torch.zeros_like(drivers.points), drivers.style[i : i + 1]
    rows[i] = row
    usual = cruise(scenario, rows, drivers.style.pace)[i : i + 1]
    limit = speed_limits(row[None], usual, style.lateral, style.braking)[0]
    return limit[torch.arange(len(row)).clamp_max(count - 1)]


def _with_lines(drivers: Drivers, progress: Progress, i: int, fresh: Lines) -> tuple[Drivers, Progress]:
    """With the lines (1, M) of driver `i`, who has stood at those that it met before as long as it has."""
    old, stood = drivers.lines[i], progress.stood[i]
    same = (fresh.kind[0][:, None] == old.kind) & (fresh.ref[0][:, None] == old.ref) & old.s.isfinite()
    since = torch.where(same, stood, 0.0).amax(1)
    most = max(fresh.s.shape[1], old.s.shape[0])
    wide = lambda x, fill: torch.nn.functional.pad(x, (0, most - x.shape[-1]), value=fill)  # noqa: E731
    table = lambda name, fill: put(wide(getattr(drivers.lines, name), fill), i, wide(getattr(fresh, name)[0], fill))  # noqa: E731
    lines = Lines(table("s", torch.inf), table("kind", 0), table("ref", 0))
    return drivers.replace(lines=lines), progress.replace(stood=put(wide(progress.stood, 0.0), i, wide(since, 0.0)))


def _zones(drivers: Drivers, s: Tensor, i: int, width: Tensor, follows: Tensor) -> Zones:
    """All zones, those of driver `i` found anew from where everybody is now."""
    old, length = drivers.zones, torch.minimum(drivers.length, drivers.end)
    low, high = drivers.points[i].amin(0) - 5, drivers.points[i].amax(0) + 5
    tables = [old[(old.me != i) & (old.other != i)]]
    for j in torch.nonzero((length > 0) & (torch.arange(len(length)) != i))[:, 0].tolist():
        way = drivers.points[j]
        if bool((way.amin(0) > high).any()) or bool((way.amax(0) < low).any()):
            continue
        pair = torch.tensor([i, j])
        start = (s[pair].nan_to_num(0) - 5).clamp_min(0)
        found = find_zones(drivers.points[pair], length[pair], width[pair].nan_to_num(0), start)
        found = found.replace(me=pair[found.me], other=pair[found.other])
        waits = (found.me == i) & found.merges & follows[j] & (found.begin < s[i] + CHANGING)
        tables.append(found[~waits])
    return Zones.cat(tables)
