"""Car following along a route: who is ahead, how fast may one go, how hard to brake. For agents and for planners."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import along_polyline, arc_length, heading, rotate, wrap_angle
from drivesim.roadmap import RoadMap
from drivesim.types import WALKERS, Agents, Lanes, Light, Signals, is_kind

SPACING = 1.0
"""Of the points of a route [m]."""

STRAY = 20.0
"""How far along its route a body may be from where it was expected [m]."""


@dataclass(frozen=True)
class IDM:
    """Intelligent Driver Model (Treiber, Hennecke, Helbing 2000).

    Headway and exponent are the paper's; acceleration, braking and gap lie between nuPlan's traffic (1, 2, 1) and
    the PDM planner's (1.5, 3, 1), with a larger gap at standstill.
    """

    acceleration: float = 1.5  # [m/s^2]
    braking: float = 2.0  # comfortable [m/s^2]
    headway: float = 1.5  # [s]
    gap: float = 2.0  # at standstill [m]
    exponent: float = 4.0
    max_braking: float = 6.0  # what a driver gets out of the brakes [m/s^2]
    lateral: float = 2.0  # acceleration in curves [m/s^2]

    def accelerate(self, speed: Tensor, desired: Tensor, gap: Tensor, leader: Tensor, headway: Tensor) -> Tensor:
        """Acceleration (...) [m/s^2] behind a leader of speed `leader` that is `gap` metres ahead (inf: none)."""
        closing = speed * (speed - leader) / (2 * (self.acceleration * self.braking) ** 0.5)
        wanted = self.gap + (speed * headway + closing).clamp_min(0)
        free = (speed / desired.clamp_min(0.1)) ** self.exponent
        value = self.acceleration * (1 - free - (wanted / gap.clamp_min(0.1)) ** 2)
        return value.clamp(-self.max_braking, self.acceleration)


def uniform(line: Tensor) -> Tensor:
    """A polyline (N, 2) as points (P, 2) every SPACING metres."""
    s = torch.arange(0, float(arc_length(line)[-1]), SPACING)
    return along_polyline(line, s)[0]


def locate(points: Tensor, xy: Tensor, near: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Arc length s (A,) and lateral offset (A,), left positive, of points (A, 2), each on its own route (A, P, 2).

    Routes go straight on beyond both ends: s may be negative or more than the length. With `near` (A,) only what lies
    within STRAY metres of these arc lengths counts: a route may cross itself, or come by a second time.
    """
    step = points[:, 1:] - points[:, :-1]
    relative = xy[:, None] - points[:, :-1]
    length = step.norm(dim=-1)
    place = (relative * step).sum(-1) / length.square().clamp_min(1e-9)
    distance = (relative - place.clamp(0, 1)[..., None] * step).square().sum(-1).nan_to_num(torch.inf)
    last = ((length > 1e-6).sum(1, keepdim=True) - 1).clamp_min(0)  # what follows is padding
    if near is not None:
        along = SPACING * torch.arange(distance.shape[1])
        close = (along - torch.minimum(near, SPACING * last[:, 0])[:, None]).abs() <= STRAY
        distance = torch.where(close, distance, torch.inf)
    best = torch.minimum(distance.argmin(-1, keepdim=True), last)
    pick = lambda x: x.gather(1, best)[:, 0]  # noqa: E731
    low = torch.where(best == 0, -torch.inf, 0.0)[:, 0]
    high = torch.where(best == last, torch.inf, 1.0)[:, 0]
    t = pick(place).clamp(low, high)
    away = pick(relative[..., 0]) - t * pick(step[..., 0]), pick(relative[..., 1]) - t * pick(step[..., 1])
    cross = pick(step[..., 0] * relative[..., 1] - step[..., 1] * relative[..., 0])
    lateral = torch.hypot(*away) * torch.where(cross < 0, -1.0, 1.0)
    return SPACING * best[:, 0] + t * pick(length), lateral


def at(points: Tensor, length: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Points (A, K, 2) and tangent yaws (A, K) of routes (A, P, 2) at arc lengths (A, K); straight on past the end."""
    last = (length / SPACING).long().clamp(1, points.shape[1] - 1)[:, None]
    i = torch.minimum((s.nan_to_num(0) / SPACING).floor().long().clamp_min(0), last - 1)
    index = i[..., None].expand(-1, -1, 2)
    start, end = points.gather(1, index), points.gather(1, index + 1)
    step = end - start
    xy = start + step * ((s / SPACING - i)[..., None])
    return xy, torch.atan2(step[..., 1], step[..., 0])


def ease(offset: Tensor, slope: Tensor, travel: Tensor, over: float) -> tuple[Tensor, Tensor]:
    """Lateral offset (H,) and its slope (H,) after `travel` (H,) metres of a return to a line from `offset` and
    `slope` now: a cubic that ends on the line, along it, after `over` metres."""
    u = (travel / over).clamp(0, 1)
    value = offset * (1 + 2 * u) * (1 - u) ** 2 + slope * over * u * (1 - u) ** 2
    lean = -offset * 6 * u * (1 - u) / over + slope * (1 - u) * (1 - 3 * u)
    return value, lean


def look_ahead(
    points: Tensor, length: Tensor, s: Tensor, size: Tensor, agents: Agents, other: Tensor, horizon: float = 60.0
) -> tuple[Tensor, Tensor]:
    """Free distance ahead and who ends it, for followers (N,) on routes (N, P, 2) among `agents` (B,).

    A disc as wide as the follower (and 0.1 m to each side) slides along the route from its front; the first box that
    it touches is the leader, whatever lane it belongs to: this finds leaders across successors, merges and crossings.
    `other` (N, B) says which agents count. Returns gap (N,) [m], inf if free within `horizon`, and the leader's speed
    along the route (N,) [m/s], 0 if none.
    """
    radius = size[:, 1] / 2 + 0.1
    begin = s + size[:, 0] / 2 - radius
    k = torch.arange(0, horizon, SPACING)
    discs, yaw = at(points, length, begin[:, None] + k)
    distance = _distance_to_boxes(discs, agents) - radius[:, None, None]
    distance = torch.where(other[:, None, :], distance.nan_to_num(torch.inf), torch.inf)
    nearest, who = distance.min(-1)
    hit = nearest <= 0
    first = hit.long().argmax(1)
    # the place of touch between the last free disc and the first that overlaps
    row = torch.arange(len(s))
    outside = nearest[row, (first - 1).clamp_min(0)].clamp(0, 1e3)
    inside = -nearest[row, first].clamp_max(0)
    back = torch.where(first > 0, SPACING * inside / (inside + outside).clamp_min(1e-6), 0.0)
    gap = torch.where(hit.any(1), k[first] - back, torch.inf)
    leader = who[row, first]
    speed = (agents.velocity[leader].nan_to_num(0) * heading(yaw[row, first])).sum(-1).clamp_min(0)
    return gap, torch.where(hit.any(1), speed, 0.0)


def _distance_to_boxes(points: Tensor, agents: Agents) -> Tensor:
    """Distance (N, K, B) from points (N, K, 2) to boxes (B,); 0 inside, NaN where an agent is absent."""
    local = rotate(points[:, :, None] - agents.xy, -agents.yaw)
    return (local.abs() - agents.size[:, :2] / 2).clamp_min(0).norm(dim=-1)


def with_steps_of_walkers(agents: Agents, seconds: tuple[float, ...] = (1.0, 2.0, 3.0)) -> Agents:
    """Agents (B,), then those on foot where they will be if they keep walking: drivers yield to who will cross."""
    walkers = agents[is_kind(agents.kind, WALKERS) & agents.valid]
    later = [walkers.replace(xy=walkers.xy + t * walkers.velocity) for t in seconds]
    return Agents.cat([agents, *later])


def red_gap(stop: Tensor, front: Tensor, speed: Tensor, lights: Tensor, driver: IDM) -> Tensor:
    """Distance (N,) to the next stop line that holds the follower back, inf if none.

    stop (N, S) arc lengths, front (N,) arc length of the bumpers, lights (S,). Red always holds; yellow holds who can
    stop at comfortable braking. Whoever is more than half a metre over the line has entered and goes on.
    """
    distance = stop - front[:, None]
    braking = speed.square() / (2 * driver.braking)
    holds = (lights == int(Light.RED)) | ((lights == int(Light.YELLOW)) & (distance > braking[:, None]))
    held = torch.where(holds & (distance > -0.5), distance.clamp_min(0.1), torch.inf)
    return held.amin(1) if held.shape[1] else torch.full_like(front, torch.inf)


def stop_lines(points: Tensor, length: Tensor, signals: Signals, lane_yaw: Tensor) -> Tensor:
    """Arc length (A, S) at which each route passes each signal's stop line; inf where it does not.

    A route passes a line if it comes within 2 m of its middle while it heads, within 45 degrees, like the lane.
    """
    a, n = len(points), len(signals.lane)
    out = torch.full((a, n), torch.inf)
    for i in range(n):
        xy = signals.stop_xy[i].expand(a, 2)
        s, lateral = locate(points, xy)
        _, yaw = at(points, length, s[:, None])
        same = wrap_angle(yaw[:, 0] - lane_yaw[i]).abs() < torch.pi / 4
        out[:, i] = torch.where((lateral.abs() < 2) & same & (s < length), s, torch.inf)
    return out


def lane_yaws(signals: Signals, road: RoadMap) -> Tensor:
    """Direction (S,) of the lane that each signal rules, at its start."""
    steps = [road.center(i)[1, :2] - road.center(i)[0, :2] for i in signals.lane.tolist()]
    return torch.tensor([float(torch.atan2(d[1], d[0])) for d in steps])


def lane_limits(points: Tensor, lanes: Lanes, road: RoadMap, otherwise: Tensor) -> Tensor:
    """Speed limit (A, P) of the lane under each point of routes (A, P, 2), `otherwise` (A, P) where none states one."""
    step = points[:, 1:] - points[:, :-1]
    yaw = torch.atan2(step[..., 1], step[..., 0])
    lane, _, _ = road.nearest_lane(points, torch.cat([yaw, yaw[:, -1:]], 1))
    limit = torch.full(lane.shape, torch.nan)
    limit[lane >= 0] = lanes.speed_limit[lane[lane >= 0]]
    return torch.where(limit.isnan(), otherwise, limit)


def speed_limits(points: Tensor, cruise: Tensor, lateral: Tensor | float, braking: Tensor | float) -> Tensor:
    """Speed (A, P) allowed along routes (A, P, 2): cruise speeds (A, P), curves, and braking ahead of both.

    lateral (A,) is the acceleration liked in bends, braking (A,) the comfortable one [m/s^2].
    """
    lateral, braking = (torch.as_tensor(x).reshape(-1, 1) for x in (lateral, braking))
    step = points[:, 2:] - points[:, :-2]
    yaw = torch.where(step.abs().sum(-1) > 1e-6, torch.atan2(step[..., 1], step[..., 0]), torch.nan)
    turn = wrap_angle(yaw[:, 2:] - yaw[:, :-2]).abs().nan_to_num(0) / (2 * SPACING)  # padding has no direction
    turn = torch.nn.functional.pad(turn[:, None], (2, 2), mode="replicate")[:, 0]
    limit = torch.minimum(cruise, (lateral / turn.clamp_min(1e-4)).sqrt())
    return torch.from_numpy(_braked(limit.double().numpy(), braking.double().numpy().ravel())).to(limit)


@numba.njit(cache=True)
def _braked(limit, braking):
    """Speeds (A, P) from which braking of (A,) or one [m/s^2] reaches every limit (A, P) further on."""
    out = limit.copy()
    for i in range(len(out)):
        for k in range(out.shape[1] - 2, -1, -1):
            reach = np.sqrt(out[i, k + 1] ** 2 + 2 * braking[i % len(braking)] * SPACING)
            out[i, k] = min(out[i, k], reach)
    return out
