"""The way from one lane into the middle of another, and on along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from drivesim.roadmap import RoadMap
from drivesim.traffic.following import SPACING
from drivesim.traffic.routes import rounded, straight_on

from .lane_gaps import Around

if TYPE_CHECKING:
    from .outlook import Outlook

SHORTEST = 20.0
"""Change of lanes [m]: at 3.5 m of width its tightest bend has a radius of 20 m."""

KEPT = 25.0
"""Of the old route, behind the body [m]: as far back as signs count."""

AFTER = 5.0
"""Behind a change, before a line or junction that it has to be done with [m]."""

BENT = 0.35
"""Between the lane's directions at the two ends of a change, at most [rad]: nobody changes in a turn."""

MORE = 80.0
"""Of a route, beyond what the rest of the drive takes at the desired speed [m]."""


@dataclass(frozen=True, eq=False)
class LaneChange:
    """A new route for a driver."""

    points: Tensor  # (P, 2) every SPACING metres
    s: float  # where on it the driver is now [m]
    length: float  # of the change, from there on [m]
    lane: np.ndarray  # (n, 2) the other lane's middle, from beside the driver on


def length_of(around: Around, i: int, duration: float) -> float:
    """How far [m] driver `i` goes in the `duration` of a change: the other lane may be free."""
    speed = float(np.hypot(*around.velocity[i]))
    return max(duration * (speed + max(around.idm(i, speed, np.inf, 0.0), 0.0) * duration / 2), SHORTEST)


def change_into(look: Outlook, i: int, to: int, place: float, length: float) -> LaneChange | None:
    """From where driver `i` is into lane `to`, beside arc length `place` of it, within `length` metres.

    None where a line, a junction, a bend, or the road's border is in the way.
    """
    around, changes, lane = look.around, look.minds.changes, int(look.lane[i])
    if look.line[i] < look.s[i] + length + AFTER or _junction(look, lane, float(look.place[i]), length):
        return None
    if _junction(look, to, place, length):
        return None
    rest = max(float(look.minds.drivers.length[i]) - float(look.s[i]), length + MORE)
    rng = np.random.default_rng([int(changes.seed), i, 3, look.step])
    way = look.graph.ahead(to, place, rest, changes.wanted[i].numpy(), changes.goal[i].numpy(), rng)
    if len(way) < 2:
        return None
    way = straight_on(_even(way), rest)
    turn = _yaw(way, min(round(length), len(way) - 2)) - _yaw(way, 0)
    if abs((turn + np.pi) % (2 * np.pi) - np.pi) > BENT:
        return None
    eased = _eased(way, around.xy[i], float(around.yaw[i]), length)
    if not bool(RoadMap.of(look.map).inside(torch.from_numpy(eased[: round(length)]).float()).all()):
        return None
    before = _before(look, i)
    line = torch.from_numpy(np.concatenate([before, eased])).float()
    s = float(np.hypot(*np.diff(np.concatenate([before, eased[:1]]), axis=0).T).sum())
    return LaneChange(rounded(line, round(s + length)), s, length, way)


def _eased(way: np.ndarray, xy: np.ndarray, yaw: float, length: float) -> np.ndarray:
    """The way (n, 2) from a body beside its beginning on: a quintic of its offset, which leaves along the body's
    heading, without a bend, and comes onto the way after `length` metres in the same manner."""
    ahead = (way[1] - way[0]) / np.hypot(*(way[1] - way[0]))
    offset = ahead[0] * (xy - way[0])[1] - ahead[1] * (xy - way[0])[0]
    c, s = np.cos(yaw), np.sin(yaw)
    angle = np.arctan2(s * ahead[0] - c * ahead[1], c * ahead[0] + s * ahead[1])
    lean = np.tan(np.clip(angle, -0.5, 0.5)) * length
    travel = np.concatenate([[0], np.hypot(*np.diff(way, axis=0).T).cumsum()])
    u = np.clip(travel / length, 0, 1)
    # 1 - 10 u^3 + 15 u^4 - 6 u^5 for the offset, u - 6 u^3 + 8 u^4 - 3 u^5 for the lean
    aside = offset * (1 - u**3 * (10 - 15 * u + 6 * u**2)) + lean * u * (1 - u**2 * (6 - 8 * u + 3 * u**2))
    step = np.gradient(way, axis=0)
    step /= np.hypot(*step.T)[:, None]
    return way + aside[:, None] * np.column_stack([-step[:, 1], step[:, 0]])


def _even(way: np.ndarray) -> np.ndarray:
    travel = np.concatenate([[0], np.hypot(*np.diff(way, axis=0).T).cumsum()])
    at = np.append(np.arange(0, travel[-1], SPACING), travel[-1])
    at = at[:-1] if len(at) > 2 and at[-1] - at[-2] < 0.1 else at
    return np.column_stack([np.interp(at, travel, way[:, k]) for k in (0, 1)])


def _before(look: Outlook, i: int) -> np.ndarray:
    """Points (n, 2) of the own route behind the body."""
    s = float(look.s[i])
    first, last = max(int((s - KEPT) / SPACING), 0), int(s - 1.0)
    return look.minds.drivers.points[i, first : max(last, first + 1)].double().numpy()


def _junction(look: Outlook, lane: int, place: float, length: float) -> bool:
    """Whether the lane, or what follows it within the change, lies in a junction."""
    crosses, left = look.map.lanes.intersection, length + AFTER - (float(look.graph.length[lane]) - place)
    following = look.graph.following[lane] if left > 0 else []
    return bool(crosses[lane]) or any(bool(crosses[j]) for j in following)


def _yaw(way: np.ndarray, k: int) -> float:
    return float(np.arctan2(*(way[k + 1] - way[k])[::-1]))
