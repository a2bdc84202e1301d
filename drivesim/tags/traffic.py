"""Who drives with the ego, and how close."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..geometry import box_corners, boxes_overlap
from ..loading.paths import runs
from ..types import VEHICLES, WALKERS, Kind
from .manoeuvres import STANDS, lane_change
from .scene import Recording, Situation, members

TIME_GAP = 2.5  # [s] a follower in the Highway Capacity Manual, 6th edition
FOLLOWS = 3.5  # [m/s] both drive faster: nuPlan's following_lane_with_lead
FOLLOWS_FOR = 2.0  # [s]
LOOKS = 30.0  # [m] a standing vehicle farther ahead is not yet the ego's concern
CUT_IN_GAP = 3.0  # [s] time gap that is left to the ego; beyond it nobody needs to react
CUT_IN_TIME = 4.0  # [s] from beside the ego's way into it
MANY, AROUND = 6, 25.0  # more than this many (nuPlan's near_multiple_vehicles), within [m]
COLLISION_TIME = 1.5  # [s] critical: van der Horst and Hogema 1993
BRAKING = 3.35  # [m/s^2] needed to avoid the collision: Archer 2005
ENCROACHMENT = 1.0  # [s] between the one's leaving and the other's arrival: Allen et al. 1978
CONES, BESIDE = 3, 10.0  # of the row that bounds a site of works, within [m]


def following(r: Recording) -> Iterator[Situation]:
    who, gap, speed = r.lead
    ego = r.speed[:, 0]
    time_gap = gap / np.maximum(ego, 1e-6)
    drives = (who >= 0) & (ego > FOLLOWS) & (speed > FOLLOWS)
    for first, last in r.lasting(drives & (time_gap < TIME_GAP), FOLLOWS_FOR):
        median = float(np.median(time_gap[first : last + 1]))
        yield Situation("following", first, last, members(who[first : last + 1]), median, "s time gap")


def stopped_lead(r: Recording) -> Iterator[Situation]:
    who, gap, speed = r.lead
    for first, last in r.lasting((who >= 0) & (np.abs(speed) < STANDS) & (gap < LOOKS), 1.0):
        nearest = float(gap[first : last + 1].min())
        yield Situation("stopped_lead", first, last, members(who[first : last + 1]), nearest, "m ahead")


def cut_in(r: Recording) -> Iterator[Situation]:
    """A vehicle whose whole box was beside the ego's swath has its centre in it; not while the ego changes lanes."""
    changes = [(s.first, s.last) for s in lane_change(r)]
    beside = np.abs(r.d) - r.reach[1] > r.half_width
    inside = (np.abs(r.d) < r.half_width) & (r.gap > 0) & (np.abs(r.turned) < np.pi / 4)
    near = r.gap < CUT_IN_GAP * np.maximum(r.speed[:, :1], 0)
    enters = inside[1:] & ~inside[:-1] & near[1:] & (r.speed[1:, :1] > FOLLOWS)
    for t, agent in np.argwhere(enters & (r.among(*VEHICLES) & r.traffic)) + (1, 0):
        begin = max(0, t - r.steps(CUT_IN_TIME))
        out = np.flatnonzero(beside[begin:t, agent] & (np.abs(r.turned[begin:t, agent]) < np.pi / 4))
        if not len(out) or any(a <= t and begin + out[-1] <= b for a, b in changes):
            continue
        time_gap = float(r.gap[t, agent] / r.speed[t, 0])
        yield Situation("cut_in", int(begin + out[-1]), int(t), (int(agent),), time_gap, "s time gap")


def dense_traffic(r: Recording) -> Iterator[Situation]:
    """More than six that move at some time of the log: rows of parked cars are not dense."""
    close = r.traffic & (np.hypot(*np.moveaxis(r.xy - r.xy[:, :1], -1, 0)) < AROUND)
    count = close.sum(1)
    for first, last in r.lasting(count > MANY, 1.0):
        there = np.flatnonzero(close[first : last + 1].any(0))
        yield Situation("dense_traffic", first, last, members(there), float(count[first : last + 1].max()), "vehicles")


def near_miss(r: Recording) -> Iterator[Situation]:
    """In the ego's own swath: an oncoming car in a bend points at the ego without ever being in its way."""
    yield from _closing_in(r)
    yield from _crossing(r)


def _closing_in(r: Recording) -> Iterator[Situation]:
    """Both keep their speed, the ego on its way and the other straight on: their boxes meet."""
    driven = r.s - r.reach[0] < r.front[-1] + 3.0  # beyond, the way is a guess
    fastest = np.abs(r.speed[:, :1]) + np.abs(r.speed)
    ahead = (r.s > r.ego_s[:, None]) & driven & r.among(*VEHICLES, *_LIVING)
    inside = ahead & (np.abs(r.d) - r.reach[1] < r.half_width) & (2 * BRAKING * r.gap < fastest**2)
    step, agent = np.nonzero(inside)
    time, closing = _time_to_collision(r, step, agent)
    critical = np.zeros_like(inside)
    critical[step, agent] = closing / (2 * time) > BRAKING
    shortest = np.full(inside.shape, np.inf)
    shortest[step, agent] = time
    for other in np.flatnonzero(critical.any(0)):
        for first, last in r.lasting(critical[:, other], 0.2):
            least = float(shortest[first : last + 1, other].min())
            yield Situation("near_miss", first, last, (int(other),), least, "s to collision")


def _time_to_collision(r: Recording, step: np.ndarray, agent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds (N,), inf beyond `COLLISION_TIME`, and relative speeds (N,) of the ego and an agent at a step (N,)."""
    ahead = np.arange(0.1, COLLISION_TIME + 0.05, 0.1)
    xy, yaw = r.at(r.ego_s[step][:, None] + r.speed[step, 0][:, None] * ahead)
    heads = np.stack([np.cos(r.yaw[step, agent]), np.sin(r.yaw[step, agent])], -1)
    velocity = r.speed[step, agent][:, None] * heads
    other = r.xy[step, agent][:, None] + velocity[:, None] * ahead[:, None]
    mine = _corners(xy, yaw, r.size[step, 0])
    theirs = _corners(other, np.repeat(r.yaw[step, agent][:, None], len(ahead), 1), r.size[step, agent])
    meets = boxes_overlap(mine, theirs).numpy()
    time = np.where(meets.any(-1), ahead[meets.argmax(-1)], np.inf)
    own = r.speed[step, 0][:, None] * np.stack([np.cos(r.yaw[step, 0]), np.sin(r.yaw[step, 0])], -1)
    return time, np.hypot(*(own - velocity).T)


def _corners(xy: np.ndarray, yaw: np.ndarray, size: np.ndarray) -> torch.Tensor:
    return box_corners(*(torch.from_numpy(x) for x in (xy, yaw, np.repeat(size[:, None], yaw.shape[1], 1))))


def _crossing(r: Recording) -> Iterator[Situation]:
    """Post-encroachment time of who crosses the ego's swath at more than 45 degrees while both move."""
    across = (np.abs(np.sin(r.turned)) > np.sin(np.pi / 4)) & (np.abs(r.speed) > 0.5)
    near, far = _taken(r)
    takes = np.isfinite(near) & across & r.among(*VEHICLES, *_LIVING)
    step = np.arange(len(r.speed), dtype=float)
    rising, half = r.ego_s + 1e-9 * step, r.size[0, 0, 0] / 2
    for agent in np.flatnonzero(takes.any(0)):
        t = np.flatnonzero(takes[:, agent])
        arrives = np.interp(near[t, agent] - half, rising, step, left=-np.inf, right=np.inf)
        leaves = np.interp(far[t, agent] + half, rising, step, left=-np.inf, right=np.inf)
        apart = np.maximum(np.maximum(arrives - t, t - leaves), 0) * r.dt
        best = int(apart.argmin())
        moves = r.speed[max(0, t[0] - r.steps(ENCROACHMENT)) : t[-1] + r.steps(ENCROACHMENT), 0].max() > 0.5
        if apart[best] < ENCROACHMENT and moves:
            first, last = int(t[0]), int(t[-1])
            yield Situation("near_miss", first, last, (int(agent),), float(apart[best]), "s after one another")


def _taken(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """From where to where along the way each box takes of the ego's swath (T, A), NaN for none of it.

    The part of the box's long axis that lies in the swath, widened by the box's half width.
    """
    sin, cos, half = np.sin(r.turned), np.cos(r.turned), r.size[..., 0] / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(-r.half_width - r.d) / sin, (r.half_width - r.d) / sin])
    low, high = np.maximum(ends.min(0), -half), np.minimum(ends.max(0), half)
    along = np.stack([low * cos, high * cos])
    wide = r.size[..., 1] / 2 * np.abs(sin)
    there = low < high
    return (np.where(there, r.s + along.min(0) - wide, np.nan), np.where(there, r.s + along.max(0) + wide, np.nan))


_LIVING = (Kind.BICYCLE, *WALKERS)


def construction(r: Recording) -> Iterator[Situation]:
    close = r.among(Kind.CONE, Kind.BARRIER) & (np.hypot(*np.moveaxis(r.xy - r.xy[:, :1], -1, 0)) < BESIDE)
    count = close.sum(1)
    for a, b in runs(count >= CONES):
        there = np.flatnonzero(close[a : b + 1].any(0))
        yield Situation("construction", a, b, members(there), float(count[a : b + 1].max()), "cones and barriers")
