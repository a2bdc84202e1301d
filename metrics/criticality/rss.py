"""Responsibility-Sensitive Safety: safe distances and the proper response (Shalev-Shwartz et al., arXiv 1708.06374).

Pure functions over tensors (...) that broadcast, checked against ad-rss 5.0.0 (`benchmarks/rss.py`). SI units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from drivesim.struct import Struct, tensor


@dataclass(frozen=True)
class Rss:
    """What is assumed of drivers. Defaults: ad-rss's parameter discussion (ad-rss-lib, Appendix), none is regulated."""

    response: float = 1.0  # time in which the ego responds [s]
    other_response: float = 2.0  # time in which the others do, taken to be human [s]
    accelerate: float = 3.5  # most that one accelerates while responding [m/s^2]
    brake_min: float = 4.0  # least that one brakes in response [m/s^2] (a driving school's rule of thumb)
    brake_max: float = 8.0  # most that one in front may brake [m/s^2] (likewise)
    brake_min_correct: float = 3.0  # least of who is in the right lane when somebody comes towards him [m/s^2]
    lateral_accelerate: float = 0.2  # most sideways while responding [m/s^2]
    lateral_brake: float = 0.8  # least sideways in response [m/s^2]
    margin: float = 0.1  # lateral room for swaying, mu [m]
    speed_limit: float = math.inf  # nobody accelerates beyond it [m/s]


def stated_braking(
    speed: Tensor, response: float, accelerate: float, brake: float, speed_limit: float = math.inf
) -> Tensor:
    """Way (...) [m] of who accelerates while responding and then brakes to a stop; `speed` [m/s] counts from 0 up.

    Nobody accelerates beyond `speed_limit`, who is faster keeps his speed (ad-rss).
    """
    speed = speed.clamp_min(0)
    fastest = torch.minimum(speed + accelerate * response, speed.clamp_min(speed_limit))
    rising = (fastest - speed) / accelerate if accelerate > 0 else torch.zeros_like(speed)
    way = speed * rising + accelerate * rising.square() / 2 + fastest * (response - rising)
    return way + fastest.square() / (2 * brake)


def same_direction(rear: Tensor, front: Tensor, rss: Rss, response: float | None = None) -> Tensor:
    """Safe distance (...) [m] behind who drives the same way; speeds [m/s] of the one behind and the one in front.

    The one behind responds in `response` [s], the ego's unless given; the one in front brakes with `brake_max`.
    """
    response = rss.response if response is None else response
    way = stated_braking(rear, response, rss.accelerate, rss.brake_min, rss.speed_limit)
    return (way - front.clamp_min(0).square() / (2 * rss.brake_max)).clamp_min(0)


def opposite_direction(
    correct: Tensor,
    opposite: Tensor,
    rss: Rss,
    correct_response: float | None = None,
    opposite_response: float | None = None,
) -> Tensor:
    """Safe distance (...) [m] between two who drive at each other, with their speeds [m/s], both >= 0.

    `correct` is the one in his lane, who need only brake with `brake_min_correct`. Response times default to the ego's
    for him and the others' for the other.
    """
    one = rss.response if correct_response is None else correct_response
    two = rss.other_response if opposite_response is None else opposite_response
    way = stated_braking(correct, one, rss.accelerate, rss.brake_min_correct, rss.speed_limit)
    return way + stated_braking(opposite, two, rss.accelerate, rss.brake_min, rss.speed_limit)


def lateral(
    left: Tensor,
    right: Tensor,
    rss: Rss,
    left_response: float | None = None,
    right_response: float | None = None,
) -> Tensor:
    """Safe lateral distance (...) [m] of two with lateral speeds [m/s], both positive to the left.

    Each drifts towards the other while responding and then brakes that drift, as far as there is any; the paper's
    [mu + ways]_+. ad-rss adds mu to the boxes instead. Both respond as the ego unless said.
    """
    one = rss.response if left_response is None else left_response
    two = rss.response if right_response is None else right_response
    return (rss.margin + _drift(-left, one, rss) + _drift(right, two, rss)).clamp_min(0)


def _drift(towards: Tensor, response: float, rss: Rss) -> Tensor:
    """Way (...) [m] towards the other from a speed towards it [m/s]; negative where it leads away."""
    then = towards + rss.lateral_accelerate * response
    way = towards * response + rss.lateral_accelerate * response**2 / 2
    return way + then.clamp_min(0).square() / (2 * rss.lateral_brake)


class Response(Struct):
    """What is asked of the ego at each step."""

    dangerous: Tensor = tensor()  # (..., T) bool: neither distance is safe
    longitudinal: Tensor = tensor()  # (..., T) bool: it has to respond by braking
    lateral: Tensor = tensor()  # (..., T) bool: it has to respond by stopping its drift
    most_acceleration: Tensor = tensor()  # (..., T) along the lane [m/s^2]
    most_lateral: Tensor = tensor()  # (..., T) towards the other [m/s^2]


def proper_response(safe: Tensor, lateral_safe: Tensor, dt: float, rss: Rss) -> Response:
    """The proper response over the last dimension, steps `dt` [s] apart, of pairs (..., T) that are safe or not.

    A situation is dangerous while neither distance is safe. The distance that was safe just before decides how to
    respond; if both were, or the situation was dangerous from the beginning, in both ways. While responding
    (`rss.response`) up to `accelerate` and `lateral_accelerate` are allowed, from then on no more than -`brake_min`
    along the lane and -`lateral_brake` towards the other, until safe again or at rest. (ad-rss asks for it at once.)
    """
    dangerous = ~safe & ~lateral_safe
    steps = torch.arange(safe.shape[-1], device=safe.device).expand(safe.shape)
    last = torch.where(dangerous, -1, steps).cummax(-1).values
    before = lambda x: (last < 0) | x.gather(-1, last.clamp_min(0))  # noqa: E731
    along, aside = dangerous & before(safe), dangerous & before(lateral_safe)
    late = (steps - last - 1) * dt >= rss.response - 1e-9
    free = torch.full(safe.shape, rss.accelerate, dtype=torch.float64, device=safe.device)
    most = torch.where(along & late, -rss.brake_min, free)
    most_aside = torch.where(aside & late, -rss.lateral_brake, torch.full_like(free, rss.lateral_accelerate))
    return Response(dangerous, along, aside, most, most_aside)
