"""Which lane a driver would rather be in, and whether it may go there: the criteria of MOBIL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from drivesim.roadmap import RoadMap
from drivesim.traffic.following import SPACING
from drivesim.types import Map

from .lane_change import AFTER, SHORTEST, LaneChange, change_into, length_of
from .lane_gaps import NOBODY, Around, Gaps, gaps_in, project
from .lane_graph import HORIZON
from .outlook import Outlook

if TYPE_CHECKING:
    from .mobil import MOBIL

SIGHT = (80.0, 120.0)
"""Behind and ahead, up to which others in a lane count [m]."""

SLOWEST = 2.0
"""At which one changes lanes, unless one has to [m/s]."""

STEADY = (1.0, 0.15)
"""Beside the middle of its lane [m] and against its direction [rad], up to which a driver begins a change."""

APART = (2.0, 6.0)
"""Between the middles of lanes side by side, at least and at most [m]."""

BUMPERS = 1.0
"""To either side of a body that comes into a lane, that have to be free [m]."""

DEAF = 0.5
"""What a follower would have to brake with who may not react, because it follows its log or is the ego [m/s^2]."""

CLEAR = 0.55
"""Share of a change after which a body has left its old lane: the quintic is then at 0.6 of its width."""

ENDING = (100.0, 10.0)
"""Before the end of a lane, at which one has to look for another: metres and seconds, whichever is more."""

FARTHER = 50.0
"""Than one's own lane, by which another has to lead to be worth a change for that [m]."""


class Why(IntEnum):
    """Why a driver changes lanes."""

    INCENTIVE = 0  # it gains by it
    MANDATORY = 1  # its lane ends, or leads elsewhere


@dataclass(frozen=True, eq=False)
class Choice:
    """A change that a driver would make now."""

    agent: int
    left: int  # lane
    to: int
    why: Why
    gain: float  # [m/s^2]
    change: LaneChange
    follows: np.ndarray  # (A,) bool: who is behind in the other lane


def choose(model: MOBIL, look: Outlook, i: int) -> Choice | None:
    """The change that driver `i` makes now, if any."""
    around, lane, speed = look.around, int(look.lane[i]), float(np.hypot(*look.around.velocity[i]))
    if lane < 0 or not np.isfinite(look.s[i]) or abs(look.aside[i]) > STEADY[0]:
        return None
    line = _own_line(look, i, lane)
    own = project(line, around.xy[i : i + 1])[0]
    if np.isnan(own[0]) or abs(np.cos(around.yaw[i]) * own[3] - np.sin(around.yaw[i]) * own[2]) > STEADY[1]:
        return None
    here, far = gaps_in(line, i, around), _reach(look, i, lane)
    must = far < max(ENDING[0], ENDING[1] * speed)
    now = around.idm(i, speed, here.ahead, here.leader_speed)
    if not must and (speed < SLOWEST or not _may_gain(model, around, i, speed, now, here)):
        return None
    road = RoadMap.of(look.map)
    options = [(side, j) for side, j in ((1, road.left(lane)), (-1, road.right(lane))) if j is not None]
    found = [o for side, j in options if (o := _option(model, look, i, side, j, here, far, must)) is not None]
    for option in sorted(found, key=lambda o: -o.gain):
        change = change_into(look, i, option.lane, option.place, option.length)
        if change is not None:
            why = Why.MANDATORY if must else Why.INCENTIVE
            return Choice(i, lane, option.lane, why, option.gain, change, option.follows)
    return None


def lane_end(look: Outlook, i: int) -> float:
    """Arc length on its route at which driver `i` waits before its lane ends, if one beside it leads on; else inf."""
    lane, s, road = int(look.lane[i]), float(look.s[i]), RoadMap.of(look.map)
    if lane < 0 or not np.isfinite(s):
        return np.inf
    anywhere = np.ones(look.graph.count, bool)
    far = look.graph.reach(lane, float(look.place[i]), anywhere, anywhere)
    speed = float(np.hypot(*look.around.velocity[i]))
    if far >= max(ENDING[0], ENDING[1] * speed) or float(look.minds.changes.logged[i]) > s + far:
        return np.inf
    for j in (road.left(lane), road.right(lane)):
        place = np.full(1, np.nan) if j is None else project(look.graph.line(j), look.around.xy[i : i + 1])[0]
        if j is not None and look.graph.reach(j, float(place[0]), anywhere, anywhere) > far + FARTHER:
            stop = s + far - SHORTEST - AFTER
            front, braking = s + float(look.around.half[i, 0]), speed**2 / (2 * float(look.around.braking[i]))
            return stop if front + braking < stop else np.inf
    return np.inf


@dataclass(frozen=True, eq=False)
class _Option:
    """A lane to go to."""

    lane: int
    place: float  # arc length on it [m]
    gain: float  # [m/s^2]
    length: float  # of the change [m]
    follows: np.ndarray  # (A,) bool: who is behind in it


def _option(
    model: MOBIL, look: Outlook, i: int, side: int, to: int, here: Gaps, far: float, must: bool
) -> _Option | None:
    """Lane `to` on the left (`side` 1) or right (-1), if a change to it is possible, safe and worth it."""
    changes, around, graph = look.minds.changes, look.around, look.graph
    wanted, goal = changes.wanted[i].numpy(), changes.goal[i].numpy()
    place = project(graph.line(to), around.xy[i : i + 1])[0]
    if not graph.for_cars(to) or np.isnan(place[0]) or not APART[0] < -side * place[1] < APART[1]:
        return None
    there, speed = graph.reach(to, float(place[0]), wanted, goal), float(np.hypot(*around.velocity[i]))
    length = length_of(around, i, model.duration)
    leads = there > far + FARTHER if must else there >= min(far - 5.0, HORIZON)
    if not leads or not _has_room(here, speed, length):
        return None
    ahead = graph.ahead(to, float(place[0]), SIGHT[1], wanted, goal, None)
    line = np.concatenate([graph.behind(to, float(place[0]), SIGHT[0]), ahead])
    gaps = gaps_in(line, i, around)
    faster = _limit_ratio(look.map, int(look.lane[i]), to)
    gain = incentive(model, around, i, speed, here, gaps, side, faster)
    if not _is_safe(model, around, i, speed, gaps) or not must and gain <= 0:
        return None
    everybody = project(line, around.xy)
    follows = (everybody[:, 0] <= everybody[i, 0]) & (np.abs(everybody[:, 1]) < APART[1])
    return _Option(to, float(place[0]), gain, length, follows)


def incentive(
    model: MOBIL, around: Around, i: int, speed: float, here: Gaps, there: Gaps, side: int, faster: float = 1.0
) -> float:
    """By how much [m/s^2] the change is worth more than the threshold."""
    before = around.idm(i, speed, here.ahead, here.leader_speed)
    after = around.idm(i, speed, there.ahead, there.leader_speed, faster)
    new, old = _follower_gain(around, there, speed, leaves=False), _follower_gain(around, here, speed, leaves=True)
    if not model.keep_right:
        return after - before + model.politeness * (new + old) - model.threshold - side * model.bias
    # nobody passes on the right: who is in the right lane goes no faster than the left one lets him
    left, right, leader = (after, before, there) if side == 1 else (before, after, here)
    right = min(right, left) if speed > leader.leader_speed and leader.leader != NOBODY else right
    if side == 1:
        return left - right + model.politeness * new - model.threshold - model.bias
    return right - left + model.politeness * old - model.threshold + model.bias


def _follower_gain(around: Around, gaps: Gaps, speed: float, leaves: bool) -> float:
    """What the follower gains [m/s^2] when I leave its lane, or loses when I come into it; 0 for who does not react."""
    k = gaps.follower
    if k == NOBODY or not around.reacts[k]:
        return 0.0
    v = gaps.follower_speed
    alone = around.idm(k, v, gaps.behind + gaps.mine + gaps.ahead, gaps.leader_speed)
    behind_me = around.idm(k, v, gaps.behind, speed)
    return alone - behind_me if leaves else behind_me - alone


def _is_safe(model: MOBIL, around: Around, i: int, speed: float, gaps: Gaps) -> bool:
    """Whether nobody has to brake harder than is safe: neither the new follower nor I."""
    if min(gaps.ahead, gaps.behind) < BUMPERS:
        return False
    k = gaps.follower
    if around.idm(i, speed, gaps.ahead, gaps.leader_speed) < -model.safe_braking:
        return False
    if k == NOBODY:
        return True
    hardest = model.safe_braking if around.reacts[k] else DEAF
    return around.idm(k, gaps.follower_speed, gaps.behind, speed) > -hardest


def _may_gain(model: MOBIL, around: Around, i: int, speed: float, now: float, here: Gaps) -> bool:
    """Whether a free lane beside would be worth a change: if not, nobody needs to look at it."""
    if model.keep_right or model.bias > 0:
        return True
    best = around.acceleration[i] - now + model.politeness * max(_follower_gain(around, here, speed, True), 0.0)
    return best > model.threshold


def _has_room(here: Gaps, speed: float, length: float) -> bool:
    """Whether I am out of my lane before I come to whoever is ahead in it."""
    way = CLEAR * length
    return here.ahead + here.leader_speed * way / max(speed, 0.1) > way


def _reach(look: Outlook, i: int, lane: int) -> float:
    """How far my lane leads where I want [m]; as far as the log shows, on the route that follows it."""
    changes = look.minds.changes
    graph = look.graph.reach(lane, float(look.place[i]), changes.wanted[i].numpy(), changes.goal[i].numpy())
    return min(max(graph, float(changes.logged[i]) - float(look.s[i])), HORIZON)


def _limit_ratio(map: Map, lane: int, to: int) -> float:
    ratio = float(map.lanes.speed_limit[to] / map.lanes.speed_limit[lane])
    return ratio if np.isfinite(ratio) else 1.0


def _own_line(look: Outlook, i: int, lane: int) -> np.ndarray:
    """My lane behind me and my route ahead, points (n, 2)."""
    points = look.minds.drivers.points[i]
    first = int(look.s[i] / SPACING) - 5
    last = min(first + 5 + int(SIGHT[1] / SPACING), int(look.minds.drivers.length[i] / SPACING) + 1)
    ahead = points[max(first, 0) : last].double().numpy()
    return np.concatenate([look.graph.behind(lane, max(float(look.place[i]) - 6.0, 0.0), SIGHT[0]), ahead])
