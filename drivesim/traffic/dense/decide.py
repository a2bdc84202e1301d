"""What drivers do for one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from drivesim.dynamics.bicycle import REAR_AXLE_PER_LENGTH, WHEELBASE_PER_LENGTH
from drivesim.dynamics.limits import bounded, limits_of
from drivesim.geometry import heading, rotate
from drivesim.traffic.following import IDM, SPACING
from drivesim.traffic.styles import Styles
from drivesim.types import DT, Agents, Light

from ..kernel.decide import EAGER, LATERAL, ON_ROUTE, SHORTEST
from ..tables import Drivers, Progress
from .conflicts import Traffic, give_way
from .leaders import leaders
from .routes import at, locate
from .rules import crosswalk_gap, line_gap, minor, stand
from .tables import Tables

if TYPE_CHECKING:
    from .advance import Now

FARTHEST = 1e6
"""A gap as long as makes no difference [m]: infinite ones have no gradient."""


def decide(tables: Tables, now: Now, decides: Tensor, driver: IDM) -> tuple[Tensor, Progress]:
    """Acceleration and steering (B, A, 2) of those who decide (B, A), NaN for the others, and what drivers remember.

    Whoever does not decide keeps its way and speed, and the others give way to it. Who comes to the end of its road
    after the end of its log no longer decides either. See docs/dynamics.md for the rules; of `driver` only
    `max_braking` and `exponent` count, the manners are each one's own.
    """
    drivers, agents = tables.drivers, there_or_zero(now.agents)
    decides = decides & drivers.active & agents.valid
    progress, off = place(tables, agents, now.progress, now.step)
    here, half = torch.where(progress.s.isnan(), 0.0, progress.s), agents.size[..., 0] / 2
    speed = agents.speed.clamp_min(0)
    index = (here / SPACING).long().clamp(0, drivers.limit.shape[2] - 1)
    desired = drivers.limit.gather(2, index[..., None])[..., 0]
    front = here + half

    gap, pace = leaders(drivers, agents, here)
    calm = (1 - (speed / desired.clamp_min(0.1)) ** driver.exponent).clamp_min(EAGER).sqrt()
    progress = _settled(progress, drivers, decides, calm * gap.clamp_max(FARTHEST), speed)
    stop = line_gap(drivers, progress.stood, front, speed, _lights(tables, now.step), driver.max_braking)
    stop = torch.minimum(stop, crosswalk_gap(tables, agents, front, speed, driver.max_braking))
    over = now.step[:, None] >= drivers.last  # nothing but the map's end is ahead: it may leave the world there
    stop = torch.minimum(stop, torch.where(over, torch.inf, (drivers.end - front).clamp_min(0.1)))
    free = torch.where(decides, torch.minimum(gap, stop), torch.inf)
    traffic = Traffic(
        here, half, speed, torch.where(decides, desired, speed), free, drivers.style.acceleration,
        decides & minor(drivers, here), ~decides, agents.valid & (drivers.length > 0) & (off < ON_ROUTE),
    )  # fmt: skip

    headway, style = progress.headway, drivers.style
    least = accelerate(style, driver, speed, desired, gap, pace, headway)
    # a line is reached to within half a metre; a leader is kept at the standstill gap
    line = accelerate(style, driver, speed, desired, stop + style.gap - 0.5, torch.zeros_like(speed), 0.5 * headway)
    least = torch.minimum(torch.minimum(least, line), _in_zones(drivers, traffic, driver, headway))
    limits = limits_of(agents.kind, dtype=speed.dtype)
    least = torch.minimum(torch.maximum(least, -limits.braking), limits.acceleration)
    command = torch.stack([least, steer(tables, agents, here)], -1)
    leaves = over & (front >= drivers.end - 3.0)
    return torch.where((decides & ~leaves)[..., None], command, torch.nan), progress


def place(tables: Tables, agents: Agents, progress: Progress, step: Tensor) -> tuple[Progress, Tensor]:
    """Everybody's arc length and who stands at a line, and how far beside the own route each is (B, A)."""
    drivers = tables.drivers
    k = torch.minimum(step, tables.steps - 1)[:, None, None].expand(-1, 1, agents.valid.shape[1])
    ego = torch.arange(agents.valid.shape[1], device=step.device) == 0
    expected = torch.where(ego, torch.nan, drivers.along.gather(1, k)[:, 0])
    near = torch.where(progress.s.isnan(), expected, progress.s)
    s, off = locate(drivers.points, drivers.length, agents.xy, near)
    has = agents.valid & (drivers.length > 0)
    s = torch.where(has, s, progress.s)
    stood = stand(drivers.lines.s, progress.stood, s + agents.size[..., 0] / 2, agents.speed.abs(), DT)
    stood = torch.where((has & drivers.active)[..., None], stood, progress.stood)
    return progress.replace(s=s, stood=stood), torch.where(has, off, torch.inf)


def _settled(progress: Progress, drivers: Drivers, decides: Tensor, gap: Tensor, speed: Tensor) -> Progress:
    """Drivers who take over behind a leader keep the headway that the log left them with, if it is the shorter: that
    which lets them go on as fast with `gap` (B, A), the part of the way to the leader that they may wish for."""
    left = (gap - drivers.style.gap) / speed.clamp_min(0.1)
    shorter = torch.minimum(progress.headway, left.clamp_min(SHORTEST))
    headway = torch.where(decides & ~progress.settled, shorter, progress.headway)
    return progress.replace(headway=headway, settled=progress.settled | decides)


def accelerate(
    style: Styles, driver: IDM, speed: Tensor, desired: Tensor, gap: Tensor, leader: Tensor, headway: Tensor
) -> Tensor:  # fmt: skip
    """Acceleration (...) behind a leader of speed `leader`, `gap` metres ahead (inf: none); see following.IDM."""
    closing = speed * (speed - leader) / (2 * (style.acceleration * style.braking).sqrt())
    wanted = style.gap + (speed * headway + closing).clamp_min(0)
    free = (speed / desired.clamp_min(0.1)) ** driver.exponent
    value = style.acceleration * (1 - free - (wanted / gap.clamp_min(0.1)) ** 2)
    return torch.minimum(value.clamp_min(-driver.max_braking), style.acceleration)


def _in_zones(drivers: Drivers, traffic: Traffic, driver: IDM, headway: Tensor) -> Tensor:
    """Acceleration (B, A) that giving way allows, inf where nobody needs to."""
    yields, room, pace = give_way(drivers.zones, traffic, driver.max_braking)
    me = drivers.zones.me.clamp_min(0)
    pick = lambda x: x.gather(1, me)  # noqa: E731
    wish = accelerate(
        drivers.style.map(pick), driver, pick(traffic.speed), pick(traffic.desired), room, pace, 0.5 * pick(headway)
    )
    unbound = torch.full_like(traffic.s, torch.inf)
    return unbound.scatter_reduce(1, me, torch.where(yields, wish, torch.inf), "amin")


def steer(tables: Tables, agents: Agents, s: Tensor) -> Tensor:
    """Angles (B, A) that bring the rear axles to a point of the route 0.6 s, at least 3 m, ahead."""
    drivers, limits = tables.drivers, limits_of(agents.kind, dtype=agents.yaw.dtype)
    wheelbase, rear = axles(tables, agents)
    speed = agents.speed.abs()
    reach = torch.maximum(0.6 * speed, (0.7 * agents.size[..., 0]).clamp_min(3.0))
    target, _ = at(drivers.axle, drivers.length, (s + reach)[..., None])
    local = rotate(target[:, :, 0] - (agents.xy - rear[..., None] * heading(agents.yaw)), -agents.yaw)
    angle = torch.atan(2 * wheelbase * local[..., 1] / local.square().sum(-1).clamp_min(1.0))
    most = torch.atan(wheelbase * limits.lateral.clamp_max(LATERAL) / speed.square().clamp_min(1e-2))
    return bounded(angle, torch.minimum(most, limits.steering))


def axles(tables: Tables, agents: Agents) -> tuple[Tensor, Tensor]:
    """Wheelbase (B, A) and distance from the rear axle to the box's middle (B, A); row 0 is the ego."""
    ego = torch.arange(agents.valid.shape[1], device=agents.xy.device) == 0
    length = agents.size[..., 0]
    wheelbase = torch.where(ego, tables.wheelbase[:, None], WHEELBASE_PER_LENGTH * length)
    return wheelbase, torch.where(ego, tables.rear[:, None], REAR_AXLE_PER_LENGTH * length)


def there_or_zero(agents: Agents) -> Agents:
    """Agents (B, A) with zeros for who is absent: a NaN would spoil the gradient of whoever is compared with it."""
    zero = agents.map(torch.zeros_like).replace(kind=agents.kind)
    return Agents.where(agents.valid, agents, zero)


def _lights(tables: Tables, step: Tensor) -> Tensor:
    """What each signal (B, S) shows at the scenes' steps (B,)."""
    lights = tables.signals
    if not lights.shape[1]:
        return lights.new_zeros(lights.shape[0], lights.shape[2])
    k = step.clamp(0, lights.shape[1] - 1)[:, None, None].expand(-1, 1, lights.shape[2])
    known = (step >= 0) & (step < lights.shape[1])
    return torch.where(known[:, None], lights.gather(1, k)[:, 0], int(Light.UNKNOWN))
