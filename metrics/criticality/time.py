"""Times between two road users: to collision, between them, at a conflict area, in the worst case.

Pure functions over tensors (...) that broadcast. SI units; `inf` is never, NaN in gives NaN out.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor


def time_to_collision(gap: Tensor, closing: Tensor) -> Tensor:
    """TTC (...) [s] at constant speeds: gap / closing (Hayward 1972); inf unless closing, 0 where they touch.

    `gap` [m] from bumper to bumper, `closing` [m/s] speed of the follower less that of the leader.
    """
    time = gap.clamp_min(0) / torch.where(closing > 0, closing, 1.0)
    time = torch.where(closing > 0, time, torch.inf)
    return _undefined(torch.where(gap <= 0, 0.0, time), gap, closing)


def time_to_collision_accelerating(
    gap: Tensor, closing: Tensor, acceleration: Tensor, form: str = "strict", nearly: float = 0.1
) -> Tensor:
    """TTC (...) [s] at constant accelerations: least t >= 0 with gap - closing t - acceleration t^2 / 2 = 0 (Jansson
    2005, eq. 5.24); inf without one.

    `closing` [m/s] and `acceleration` [m/s^2] are the follower's less the leader's. Nobody is stopped at speed zero, as
    in the literature. `form="peer"` is commonroad-crime 0.4.5: while closing, an acceleration of at most `nearly` in
    size counts as none.
    """
    plain = time_to_collision(gap, closing)
    inside = closing.square() + 2 * gap * acceleration
    root = inside.clamp_min(0).sqrt()
    below = closing + root
    # two ways to write the same root, each without cancellation where it is used
    near = 2 * gap / torch.where(below > 0, below, 1.0)
    turning = (root - closing) / torch.where(acceleration > 0, acceleration, 1.0)
    time = torch.where((inside >= 0) & (below > 0), near, torch.inf)
    time = torch.where((closing < 0) & (acceleration > 0), turning, time)
    time = torch.where(gap <= 0, 0.0, time)
    if form == "peer":
        time = torch.where((closing > 0) & (acceleration.abs() <= nearly), plain, time)
    return _undefined(time, gap, closing, acceleration)


def time_headway(gap: Tensor, speed: Tensor) -> Tensor:
    """THW (...) [s]: until the follower's front, at its `speed` [m/s], is where the leader's rear is now; inf if it
    does not move forward, 0 where they touch."""
    return time_to_collision(gap, speed)


def time_headway_driven(along: Tensor, front: Tensor, rear: Tensor, dt: float) -> Tensor:
    """THW (..., T) [s] as driven (commonroad-crime): from each step until the follower's front has passed the leader's
    rear of that step, a multiple of `dt`; inf if it never does.

    `along` (..., T) is where the follower is on its path and `rear` (..., T) the leader's rear [m]; `front` (...) is
    how far its front is ahead of it [m].
    """
    most = along.cummax(-1).values + front[..., None]
    steps = torch.arange(along.shape[-1], device=along.device)
    passed = torch.searchsorted(most.contiguous(), rear.nan_to_num(torch.inf).contiguous(), right=True)
    time = (passed - steps).clamp_min(0) * dt
    return _undefined(torch.where(passed < along.shape[-1], time.to(along), torch.inf), rear)


def post_encroachment_time(first_leaves: Tensor, second_enters: Tensor) -> Tensor:
    """PET (...) [s]: the second enters the conflict area less the first leaves it (Allen et al. 1978).

    Negative where the second enters before the first has left; the literature then calls it undefined.
    """
    return second_enters - first_leaves


def encroachment_time(enters: Tensor, leaves: Tensor) -> Tensor:
    """ET (...) [s] for which a road user occupies the conflict area (Allen et al. 1978)."""
    return leaves - enters


def closest_encounter(offset: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
    """TTCE [s] and DCE [m] (...) at constant velocities: when two centres are closest from now on, and how close.

    `offset` (..., 2) [m] of one from the other, `velocity` (..., 2) [m/s] likewise. Now, if they do not approach.
    """
    square = velocity.square().sum(-1)
    time = -(offset * velocity).sum(-1) / torch.where(square > 0, square, 1.0)
    time = time.clamp_min(0)
    return time, (offset + time[..., None] * velocity).norm(dim=-1)


def worst_time_to_collision(offset: Tensor, velocity: Tensor, reach: Tensor, acceleration: Tensor) -> Tensor:
    """WTTC (...) [s]: when two could first meet whatever they do (Wachenfeld et al. 2016).

    Whoever accelerates at up to `a` in any direction is at time t within a circle of radius a t^2 / 2 about where it
    would be at constant velocity. `offset` (..., 2) [m] and `velocity` (..., 2) [m/s] are those of one seen from the
    other, `reach` (...) [m] the sum of the radii of the bodies, `acceleration` (...) > 0 [m/s^2] the sum of the two.
    Least t >= 0 with |offset + velocity t| = reach + acceleration t^2 / 2; always finite.
    """
    distance, square = offset.square().sum(-1), velocity.square().sum(-1)
    drift = (offset * velocity).sum(-1)
    c4, c2, c1, c0 = acceleration.square() / 4, reach * acceleration - square, -2 * drift, reach.square() - distance

    def excess(t: Tensor) -> Tensor:
        return ((c4 * t * t + c2) * t + c1) * t + c0

    sure = (square.sqrt() + (square + 2 * acceleration * distance.sqrt()).sqrt()) / acceleration
    # between the zeros of its derivative the excess is monotone, so its first change of sign is found for certain
    turns = torch.sort(_cubic_roots(2 * c2 / acceleration.square(), c1 / acceleration.square()), -1).values
    turns = torch.minimum(turns.nan_to_num(0).clamp_min(0), sure[..., None])
    bounds = torch.cat([torch.zeros_like(sure)[..., None], turns, sure[..., None]], -1).sort(-1).values
    reached = torch.stack([excess(t) for t in bounds.unbind(-1)], -1) >= 0
    reached[..., -1] = True
    i = reached[..., 1:].int().argmax(-1, keepdim=True)
    low, high = bounds.gather(-1, i)[..., 0], bounds.gather(-1, i + 1)[..., 0]
    flat = [x.double().contiguous().numpy().ravel() for x in torch.broadcast_tensors(c4, c2, c1, c0, low, high)]
    high = torch.from_numpy(_bisected(*flat)).to(high).reshape(high.shape)
    return _undefined(torch.where(c0 >= 0, 0.0, high), distance, square, reach)


@numba.njit(cache=True, error_model="numpy")
def _bisected(c4, c2, c1, c0, low, high):
    """Where (N,) the excess turns positive between `low` and `high` (N,), to a part in 2^34 of what is between them."""
    out = np.empty(len(low))
    for i in range(len(low)):
        a, b = low[i], high[i]
        for _ in range(34):
            middle = (a + b) / 2
            if ((c4[i] * middle * middle + c2[i]) * middle + c1[i]) * middle + c0[i] >= 0:
                b = middle
            else:
                a = middle
        out[i] = b
    return out


def _cubic_roots(p: Tensor, q: Tensor) -> Tensor:
    """Real roots (..., 3) of t^3 + p t + q; NaN for those that are not real."""
    inside = (q / 2).square() + (p / 3) ** 3
    root = inside.clamp_min(0).sqrt()
    one = _cube_root(-q / 2 + root) + _cube_root(-q / 2 - root)
    size = 2 * (-p / 3).clamp_min(0).sqrt()
    angle = torch.acos((3 * q / (p * torch.where(size > 0, size, 1.0))).nan_to_num(0).clamp(-1, 1))
    three = [size * torch.cos((angle - 2 * torch.pi * k) / 3) for k in range(3)]
    lone, none = inside > 0, torch.full_like(one, torch.nan)
    return torch.stack([torch.where(lone, one, three[0]), *(torch.where(lone, none, x) for x in three[1:])], -1)


def _cube_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs() ** (1 / 3)


def _undefined(time: Tensor, *inputs: Tensor) -> Tensor:
    """NaN wherever an input is."""
    for x in inputs:
        time = torch.where(torch.isnan(x), torch.nan, time)
    return time
