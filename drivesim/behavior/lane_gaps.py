"""Who is ahead and who is behind in a lane, and the acceleration that the Intelligent Driver Model gives each."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

SIDE = 0.2
"""Beside a body, within which others are in its way [m]."""

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Around:
    """All bodies (A,) at a moment, and how they drive."""

    xy: np.ndarray  # (A, 2)
    yaw: np.ndarray
    velocity: np.ndarray  # (A, 2)
    half: np.ndarray  # (A, 2) of length and width
    valid: np.ndarray  # bool
    later: np.ndarray  # (A, 2) where its route has it after `travel` metres; NaN without a route
    travel: np.ndarray
    reacts: np.ndarray  # bool: drives by itself
    desired: np.ndarray  # [m/s]
    acceleration: np.ndarray  # [m/s^2]
    braking: np.ndarray  # comfortable [m/s^2]
    headway: np.ndarray  # [s]
    gap: np.ndarray  # at standstill [m]
    exponent: float

    def idm(self, i: int, speed: float, gap: float, leader: float, faster: float = 1.0) -> float:
        """Acceleration [m/s^2] of agent `i` at `speed`, `gap` metres (inf: free) behind one of speed `leader`, where
        it likes `faster` times its desired speed."""
        a, desired = self.acceleration[i], max(self.desired[i] * faster, 0.1)
        closing = speed * (speed - leader) / (2 * (a * self.braking[i]) ** 0.5)
        wanted = self.gap[i] + max(speed * self.headway[i] + closing, 0.0)
        return float(min(a * (1 - (speed / desired) ** self.exponent - (wanted / max(gap, 0.1)) ** 2), a))


@dataclass(frozen=True)
class Gaps:
    """The two bodies next to mine in a lane; gaps are from bumper to bumper, inf and speed 0 where there is nobody."""

    leader: int
    ahead: float  # [m]
    leader_speed: float  # along the lane [m/s]
    follower: int
    behind: float  # [m]
    follower_speed: float
    mine: float  # length of my body along the lane [m]


def gaps_in(line: np.ndarray, me: int, around: Around) -> Gaps:
    """Next to `me` in the lane along `line` (n, 2), which reaches past both.

    In the lane is whose box stands in the way of a body as wide as mine, and who is about to come there on its route:
    drivers who change into it from either side hold their place already.
    """
    place = project(line, around.xy)
    along, cross = np.abs(_local(around.yaw, place))
    length = along * around.half[:, 0] + cross * around.half[:, 1]
    width = cross * around.half[:, 0] + along * around.half[:, 1]
    s, wide = place[:, 0].copy(), around.half[me, 1] + SIDE
    inside = np.abs(place[:, 1]) < wide + width
    later = project(line, around.later)
    comes = ~inside & (np.abs(later[:, 1]) < wide)
    s[comes] = later[comes, 0] - around.travel[comes]
    inside = (inside | comes) & around.valid & np.isfinite(s)
    inside[me] = False
    speed = (around.velocity * place[:, 2:]).sum(1)
    speed[comes] = np.hypot(*around.velocity[comes].T)
    room = np.abs(s - place[me, 0]) - length - length[me]
    front = _nearest(inside & (s > place[me, 0]), room)
    rear = _nearest(inside & (s <= place[me, 0]), room)
    pick = lambda x, i, none: float(x[i]) if i >= 0 else none  # noqa: E731
    return Gaps(
        front, pick(room, front, np.inf), max(pick(speed, front, 0.0), 0.0),
        rear, pick(room, rear, np.inf), max(pick(speed, rear, 0.0), 0.0), 2 * float(length[me]),
    )  # fmt: skip


def _nearest(who: np.ndarray, room: np.ndarray) -> int:
    return int(np.where(who, room, np.inf).argmin()) if who.any() else NOBODY


def _local(yaw: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of bodies' headings against the lane's."""
    c, s = np.cos(yaw), np.sin(yaw)
    return c * place[:, 2] + s * place[:, 3], s * place[:, 2] - c * place[:, 3]


@numba.njit(cache=True)
def project(line: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Places (B, 4) of points (B, 2) on a polyline (n, 2): arc length, lateral offset (left positive), tangent; NaN
    for a point that is NaN or lies beyond an end."""
    out = np.full((len(xy), 4), np.nan)
    for b in range(len(xy)):
        best, total = np.inf, 0.0
        if np.isnan(xy[b, 0]):
            continue
        for k in range(len(line) - 1):
            dx, dy = line[k + 1, 0] - line[k, 0], line[k + 1, 1] - line[k, 1]
            n = np.sqrt(dx * dx + dy * dy)
            if n < 1e-9:
                continue
            rx, ry = xy[b, 0] - line[k, 0], xy[b, 1] - line[k, 1]
            t = (rx * dx + ry * dy) / n
            past = t - min(max(t, 0.0), n)
            side = (dx * ry - dy * rx) / n
            d = past * past + side * side
            if d < best:
                best = d
                end = (k == 0 and t < 0) or (k == len(line) - 2 and t > n)
                out[b, 0] = np.nan if end else total + min(max(t, 0.0), n)
                out[b, 1] = np.nan if end else np.sqrt(d) * (1.0 if side >= 0 else -1.0)
                out[b, 2], out[b, 3] = dx / n, dy / n
            total += n
    return out
