"""Until when a manoeuvre of the ego still avoids a predicted collision: TTB, TTK, TTS and TTR by bisection.

The ego goes on straight at its speed, then brakes, accelerates or steers as a kinematic bicycle about its rear axle;
the others keep their velocities and headings. Compiled, over all steps at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import heading
from drivesim.struct import Struct, tensor
from drivesim.traffic.boxes import touch
from drivesim.types import OBJECTS, Agents, Vehicle, is_kind

from .braking import FULL_BRAKE
from .steering import LATERAL


@dataclass(frozen=True)
class Manoeuvres:
    """What the ego can do and how far ahead one looks. SI units."""

    full_brake: float = FULL_BRAKE
    kickdown: float = 4.0  # full acceleration of a passenger car at city speeds; ad-rss names 3.4 to 7
    lateral: float = LATERAL  # in a full steer
    most_steering: float = math.pi / 3  # of the front wheels (nuPlan's bicycle)
    horizon: float = 4.0  # how far ahead a collision counts, and what a manoeuvre must stay clear for; own choice
    time_step: float = 0.1  # between checks for contact
    resolution: float = 0.01  # of the latest starts


class Evasion(Struct):
    """Per step (n,): inf where no collision is predicted, -inf where the manoeuvre is too late or no help."""

    who: Tensor = tensor()  # int64, whom the ego would hit first; -1 for nobody
    collision: Tensor = tensor()  # time to that collision, TTC [s]
    brake: Tensor = tensor()  # TTB [s]
    kickdown: Tensor = tensor()  # TTK [s]
    steer: Tensor = tensor()  # TTS [s], to the better side
    left: Tensor = tensor()  # bool, whether that is the left

    @property
    def react(self) -> Tensor:
        """TTR (n,) [s]: the latest of all."""
        return torch.stack([self.brake, self.kickdown, self.steer]).amax(0)


def evasion(agents: Agents, there: Tensor, vehicle: Vehicle, can: Manoeuvres | None = None) -> Evasion:
    """Latest starts of the ego's manoeuvres at each step of agents (n, A); `there` (n, A) says who counts.

    A manoeuvre avoids if the ego touches nobody until the horizon, seen from now: running into a third one while
    evading the first is no escape. Who is behind the ego and would not have run into it keeps his distance himself: a
    full brake does not fail because of him. Where the road ends does not matter. Bisection assumes, as the field does,
    that what still works at some time worked at all times before.
    """
    can = can or Manoeuvres()
    mask = there & agents.valid & agents.valid[:, :1]
    mask[:, 0] = False
    velocity = agents.velocity.masked_fill(is_kind(agents.kind, OBJECTS)[..., None], 0)
    direction = heading(agents.yaw)
    half = agents.size[..., :2] / 2
    boxes = torch.cat([agents.xy, direction, half, velocity], -1).double().contiguous().numpy()
    speed = (agents.velocity[:, 0] * direction[:, 0]).sum(-1).double().contiguous().numpy()
    rear = vehicle.rear_axle_to_center
    result = _latest_starts(
        boxes, mask.numpy(), speed, rear, vehicle.wheelbase, can.full_brake,
        can.kickdown, can.lateral, can.most_steering, can.horizon, can.time_step, can.resolution,
    )  # fmt: skip
    who, collision, brake, kickdown, steer, left = (torch.from_numpy(x) for x in result)
    return Evasion(who, collision, brake, kickdown, steer, left)


@numba.njit(cache=True, error_model="numpy")
def _latest_starts(
    boxes, mask, speed, rear, wheelbase, full_brake, kickdown, lateral, most_steering, horizon, dt, resolution
):
    n, agents, _ = boxes.shape
    who, left = np.full(n, -1, np.int64), np.zeros(n, np.bool_)
    collision, brake, kick, steer = (
        np.full(n, np.inf), np.full(n, np.inf), np.full(n, np.inf), np.full(n, np.inf)
    )  # fmt: skip
    near = np.empty((agents, 8))
    index = np.empty(agents, np.int64)
    for t in range(n):
        ego, v = boxes[t, 0], speed[t]
        # an evading ego stays within its speed and the manoeuvre's acceleration of where it is now
        strongest = max(full_brake, kickdown, lateral)
        reach = np.hypot(ego[4], ego[5]) + abs(v) * horizon + strongest * horizon * horizon / 2
        count = 0
        for a in range(agents):
            if not mask[t, a]:
                continue
            other = boxes[t, a]
            far = reach + np.hypot(other[4], other[5]) + np.hypot(other[6], other[7]) * horizon
            if np.hypot(other[0] - ego[0], other[1] - ego[1]) <= far:
                near[count], index[count] = other, a
                count += 1
        hit, when = _first_contact(ego, v, 0.0, 0.0, np.inf, near[:count], rear, horizon, dt)
        if hit < 0:
            continue
        who[t], collision[t] = index[hit], when
        # the tightest curve that both the tyres and the steering allow
        bend = min(lateral / max(v * v, 1e-6), np.tan(most_steering) / wheelbase)
        others = near[_minded(ego, near[:count], hit)]
        brake[t] = _latest(ego, v, -full_brake, 0.0, others, rear, horizon, dt, when, resolution)
        kick[t] = _latest(ego, v, kickdown, 0.0, others, rear, horizon, dt, when, resolution)
        to_left = _latest(ego, v, 0.0, bend, others, rear, horizon, dt, when, resolution)
        to_right = _latest(ego, v, 0.0, -bend, others, rear, horizon, dt, when, resolution)
        steer[t], left[t] = max(to_left, to_right), to_left >= to_right
    return who, collision, brake, kick, steer, left


@numba.njit(error_model="numpy")
def _minded(ego, others, hit):
    """Whom a manoeuvre must spare: the one that would be `hit`, and all whose centre is not behind the ego's rear."""
    keep = np.empty(len(others), np.int64)
    count = 0
    for j in range(len(others)):
        ahead = (others[j, 0] - ego[0]) * ego[2] + (others[j, 1] - ego[1]) * ego[3]
        if j == hit or ahead >= -ego[4]:
            keep[count] = j
            count += 1
    return keep[:count]


@numba.njit(error_model="numpy")
def _latest(ego, v, acceleration, bend, others, rear, horizon, dt, when, resolution):
    """Latest start in 0..when after which the ego touches nobody; -inf where even at once is too late."""
    if _first_contact(ego, v, acceleration, bend, 0.0, others, rear, horizon, dt)[0] >= 0:
        return -np.inf
    low, high = 0.0, when
    while high - low > resolution:
        middle = (low + high) / 2
        if _first_contact(ego, v, acceleration, bend, middle, others, rear, horizon, dt)[0] >= 0:
            high = middle
        else:
            low = middle
    return low


@numba.njit(error_model="numpy")
def _first_contact(ego, v, acceleration, bend, start, others, rear, horizon, dt):
    """Whom the ego touches first, and when, if its manoeuvre begins at `start`; -1 and inf for nobody."""
    x0, y0 = ego[0] - rear * ego[2], ego[1] - rear * ego[3]
    for k in range(int(np.ceil(horizon / dt - 1e-9)) + 1):
        t = min(k * dt, horizon)
        turned, ahead, aside = 0.0, v * min(t, start), 0.0
        if t > start:
            after = t - start
            if acceleration * v < 0:
                after = min(after, -v / acceleration)  # it stops
            way = v * after + acceleration * after * after / 2
            turned = bend * way
            if abs(turned) < 1e-9:
                ahead += way
            else:
                ahead += np.sin(turned) / bend
                aside = (1 - np.cos(turned)) / bend
        c, s = np.cos(turned), np.sin(turned)
        cos, sin = ego[2] * c - ego[3] * s, ego[3] * c + ego[2] * s
        x = x0 + ahead * ego[2] - aside * ego[3] + rear * cos
        y = y0 + ahead * ego[3] + aside * ego[2] + rear * sin
        for j in range(len(others)):
            o = others[j]
            ox, oy = o[0] + o[6] * t, o[1] + o[7] * t
            dx, dy, r = ox - x, oy - y, ego[4] + ego[5] + o[4] + o[5]
            if dx * dx + dy * dy > r * r:
                continue
            if touch(x, y, cos, sin, ego[4], ego[5], ox, oy, o[2], o[3], o[4], o[5]):
                return j, t
    return -1, np.inf
