"""Lines at which drivers wait."""

from __future__ import annotations

import torch
from torch import Tensor

from drivesim.traffic.rules import MINOR, REACH, STANDS, STOPS_FOR
from drivesim.types import Agents, Light

from ..tables import Drivers, LineKind
from .routes import distances
from .tables import Tables


def stand(s: Tensor, stood: Tensor, front: Tensor, speed: Tensor, dt: float) -> Tensor:
    """Seconds stood (B, A, M) at lines at `s` (B, A, M), a step later for those whose bumper is at `front` (B, A)."""
    distance = s - front[..., None]
    there = (distance < REACH) & (distance > -1.0) & (speed < STANDS)[..., None]
    return torch.where(there, stood + dt, stood)


def line_gap(
    drivers: Drivers, stood: Tensor, front: Tensor, speed: Tensor, lights: Tensor, max_braking: float
) -> Tensor:  # fmt: skip
    """Distance (B, A) from the bumpers to the next sign or light that holds back, inf if none; `lights` (B, S)."""
    lines = drivers.lines
    distance = lines.s - front[..., None]
    shown = torch.nn.functional.pad(lights, (0, 1), value=int(Light.UNKNOWN))  # a map may have no light at all
    light = shown[:, None].expand(*lines.ref.shape[:2], -1).gather(2, lines.ref.clamp_max(shown.shape[1] - 1))
    late = distance < (speed.square() / (2 * drivers.style.braking))[..., None]
    red = (light == int(Light.RED)) | ((light == int(Light.YELLOW)) & ~late)
    red = red | ((light == int(Light.FLASHING_RED)) & (stood < STOPS_FOR))
    holds = (lines.kind == int(LineKind.LIGHT)) & red
    holds = holds | ((lines.kind == int(LineKind.STOP)) & (stood < STOPS_FOR))
    cannot = distance < (speed.square() / (2 * max_braking))[..., None] - 1.0  # it comes too late: it drives over
    return torch.where(holds & (distance > -0.5) & ~cannot, distance, torch.inf).clamp_min(0.1).amin(-1)


def minor(drivers: Drivers, s: Tensor) -> Tensor:
    """Whether a stop or yield sign rules the next or the last metres (B, A) of a route."""
    kind = drivers.lines.kind
    sign = (kind == int(LineKind.STOP)) | (kind == int(LineKind.YIELD))
    return (sign & ((drivers.lines.s - s[..., None]).abs() < MINOR)).any(-1)


def crosswalk_gap(tables: Tables, agents: Agents, front: Tensor, speed: Tensor, max_braking: float) -> Tensor:
    """Distance (B, A) to the next crosswalk on which somebody walks, or is about to step, into the driver's way.

    Counted is who on foot or on a bicycle is on the crosswalk now or will be in 1 or 2 s, and is in the way (a metre
    beside the body) or goes to it. Who can no longer stop goes on.
    """
    lines = tables.drivers.lines
    ahead = lines.s - front[..., None]
    distance = ahead - 1.0
    with torch.no_grad():
        stops = (speed.square() / (2 * max_braking))[..., None] < distance.clamp_min(0) + 0.5
        held = (lines.kind == int(LineKind.CROSSWALK)) & (ahead > -0.5) & (ahead < 60) & stops
        held = held & _held(tables, agents)
    return torch.where(held, distance.clamp_min(0.1), torch.inf).amin(-1)


def _held(tables: Tables, agents: Agents) -> Tensor:
    """Whether, at each line (B, A, M), one of the people on that crosswalk is, or goes, into the way behind it."""
    drivers, people = tables.drivers, tables.people
    pick = lambda x: x.gather(1, people.clamp_min(0)[..., None].expand(*people.shape, 2))  # noqa: E731
    xy, velocity = pick(agents.xy), pick(agents.velocity)
    there = agents.valid.gather(1, people.clamp_min(0)) & (people >= 0)
    later = torch.stack([xy + t * velocity for t in (0.0, 1.0, 2.0)], 2)
    on = _in_rings(tables.crosswalks, later).any(-1) & there[:, None]
    which = drivers.lines.ref.clamp_max(on.shape[1] - 1)
    on = on.gather(1, which.flatten(1)[..., None].expand(-1, -1, on.shape[2])).unflatten(1, which.shape[1:])
    near = torch.where(drivers.lines.s.isfinite(), drivers.lines.s + 2.0, 0.0)
    now, soon = (distances(drivers.points, drivers.length, x, near) for x in (xy, xy + velocity))
    clear = (agents.size[..., 1] / 2 + 1.0)[..., None, None]
    oneself = people[:, None] == torch.arange(on.shape[1], device=people.device)[:, None]
    on = on & ~oneself[:, :, None]
    return (on & ((now < clear) | ((soon < now - 0.2) & (now < 8.0)))).any(-1)


def _in_rings(rings: Tensor, xy: Tensor) -> Tensor:
    """Whether places (B, W, 3, 2) are within rings (B, C, V, 2): (B, C, W, 3)."""
    a = rings[:, :, None, None]
    return odd_crossings(a, a.roll(-1, -2), xy[:, None, :, :, None])


def odd_crossings(a: Tensor, b: Tensor, xy: Tensor) -> Tensor:
    """Whether a ray towards +x from places (..., 1, 2) crosses an odd number of segments a -> b (..., E, 2)."""
    x, y = xy.unbind(-1)
    rises = (a[..., 1] > y) != (b[..., 1] > y)
    at = a[..., 0] + (y - a[..., 1]) / (b[..., 1] - a[..., 1]) * (b[..., 0] - a[..., 0])
    return (rises & (at > x)).sum(-1) % 2 == 1
