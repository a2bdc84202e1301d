"""What a logged road user shows of its driving: whom it follows, where it stops, starts, and drives as it likes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import wrap_angle
from drivesim.loading import route_along
from drivesim.loading.paths import runs
from drivesim.loading.tracks import slopes
from drivesim.roadmap import RoadMap
from drivesim.threads import one_thread
from drivesim.traffic.following import STRAY, locate, look_ahead, uniform
from drivesim.types import CYCLES, VEHICLES, WALKERS, Agents, Kind, Scenario, is_kind

HORIZON = 60.0
"""Up to which one who drives ahead is looked for [m]."""

SHORTEST = 3.0
"""Stretch of a track that is looked at [s]."""

STANDS = 0.3
"""Below this speed one stands [m/s]."""

BENDS = 0.15
"""Above this yaw rate a stretch is no longer straight [rad/s]: bends and turns have laws of their own."""

JUMP = 0.7
"""By how much a gap changes in a step, beyond what both speeds explain, when another one is ahead now [m]."""

BEHIND = 10.0
"""Of the way that a track is followed along, before its first place [m]."""


@dataclass(frozen=True, eq=False)
class Track:
    """One road user's longest unbroken stretch; arrays (n,) float64, one entry per step of `dt` seconds."""

    id: str
    kind: Kind
    dt: float
    s: np.ndarray  # way of the front bumper along the own path [m]
    speed: np.ndarray  # [m/s]
    acceleration: np.ndarray  # [m/s^2]
    turning: np.ndarray  # yaw rate [rad/s]
    gap: np.ndarray  # to whoever drives ahead [m]; inf if nobody within HORIZON
    leader: np.ndarray  # speed of whoever is ahead [m/s]
    limit: np.ndarray  # of the lane [m/s]; NaN where unknown
    ways: np.ndarray  # (n - 1,) of the box's centre in each step, as logged [m]
    size: tuple[float, float]  # length, width [m]

    @property
    def straight(self) -> np.ndarray:
        return (np.abs(self.turning) < BENDS) | (self.speed < 1.5)


@dataclass(frozen=True, eq=False)
class Episode:
    """A stretch in which one thing decides the speed: one ahead, a place to stop at, or nothing."""

    s: np.ndarray  # (n,) of the front bumper [m]
    speed: np.ndarray  # (n,) [m/s]
    rear: np.ndarray  # (n,) where the free way ends [m]: the leader's rear, the place of the stop; inf for nothing
    leader: np.ndarray  # (n,) [m/s]
    dt: float
    line: bool = False  # a place to stop at, which the model reaches and does not keep a gap to


def observe(scenario: Scenario) -> list[Track]:
    """Tracks of all who move under their own decisions: not the ego, who may be a robot or a trained driver; not who
    reverses or goes less than 5 m (walkers 2 m); not who is seen for less than SHORTEST seconds."""
    chosen = [(i, *found) for i in range(1, scenario.log.valid.shape[1]) if (found := _stretch(scenario, i))]
    walkers = [x for x in chosen if bool(is_kind(scenario.log.kind[x[1], x[0]], WALKERS))]
    drivers = [x for x in chosen if x not in walkers]
    with one_thread():
        driven = _driven(scenario, drivers)
    return [*driven, *(_walked(scenario, *x) for x in walkers)]


def _stretch(scenario: Scenario, i: int) -> tuple[int, int] | None:
    """First and last step of agent i's longest stretch, if it shows anything."""
    dt, log = scenario.scene.briefing.dt, scenario.log[:, i]
    first, last = max(runs(log.valid.numpy()), key=lambda r: r[1] - r[0], default=(0, -1))
    seen = log[first : last + 1]
    if (last - first) * dt < SHORTEST or not bool(is_kind(seen.kind[:1], (*VEHICLES, *CYCLES, *WALKERS))):
        return None
    walks = bool(is_kind(seen.kind[:1], WALKERS))
    trailer = int(seen.kind[0]) == int(Kind.TRAILER)
    back = 0.0 if walks else float((seen.speed.nan_to_num(0) * dt).clamp_max(0).sum())
    far = float((seen.xy[-1] - seen.xy[0]).norm())
    return None if trailer or back < -1.0 or far < (2.0 if walks else 5.0) else (first, last)


def _walked(scenario: Scenario, i: int, first: int, last: int) -> Track:
    dt, log = scenario.scene.briefing.dt, scenario.log[first : last + 1, i]
    speed = np.hypot(*slopes(log.xy.double().numpy(), dt).T)
    nothing = np.full(len(speed), np.nan)
    acceleration = slopes(speed[:, None], dt)[:, 0]
    return Track(
        scenario.track_ids[i], Kind(int(log.kind[0])), dt, np.cumsum(speed) * dt, speed, acceleration,
        np.zeros(len(speed)), np.full(len(speed), np.inf), np.zeros(len(speed)), nothing, *_print(log),
    )  # fmt: skip


def _driven(scenario: Scenario, chosen: list[tuple[int, int, int]]) -> list[Track]:
    if not chosen:
        return []
    log, dt, road = scenario.log, scenario.scene.briefing.dt, RoadMap.of(scenario.scene.map)
    lines = [_way(scenario, *x) for x in chosen]
    longest = max(max(len(x) for x in lines), 5)
    points = torch.stack([torch.cat([x, x[-1:].expand(longest - len(x), 2)]) for x in lines])
    length = torch.tensor([len(x) - 1.0 for x in lines])
    who = torch.tensor([i for i, _, _ in chosen])
    s, gap, leader = (np.full((scenario.steps, len(chosen)), np.nan) for _ in range(3))
    near = torch.full((len(chosen),), BEHIND)
    for step in range(scenario.steps):
        now = log[step]
        there = torch.tensor([first <= step <= last for _, first, last in chosen])
        rows = torch.nonzero(there)[:, 0]
        if not len(rows):
            continue
        place, _ = locate(points[rows], now.xy[who[rows]], near[rows])
        near[rows] = place
        free, speed = _ahead(points[rows], length[rows], place, now, who[rows])
        at = rows.numpy()
        s[step, at], gap[step, at], leader[step, at] = place.numpy(), free.numpy(), speed.numpy()
    tracks = []
    for column, (i, first, last) in enumerate(chosen):
        part, mine = slice(first, last + 1), log[first : last + 1, i]
        lane, _, _ = road.nearest_lane(mine.xy, mine.yaw)
        limit = torch.full(lane.shape, torch.nan)
        limit[lane >= 0] = scenario.scene.map.lanes.speed_limit[lane[lane >= 0]]
        way = s[part, column] + float(mine.size[0, 0]) / 2
        speed = slopes(way[:, None], dt)[:, 0].clip(0)
        yaw = np.unwrap(mine.yaw.double().numpy())
        tracks.append(Track(
            scenario.track_ids[i], Kind(int(mine.kind[0])), dt, way, speed, slopes(speed[:, None], dt, 0.8)[:, 0],
            slopes(yaw[:, None], dt, 0.8)[:, 0], gap[part, column], leader[part, column], limit.double().numpy(),
            *_print(mine),
        ))  # fmt: skip
    return tracks


def _print(seen: Agents) -> tuple[np.ndarray, tuple[float, float]]:
    """Ways per step (n - 1,) and size of an agent (n,): alike in every scene that a log was cut into."""
    return (seen.xy[1:] - seen.xy[:-1]).double().norm(dim=-1).numpy(), (float(seen.size[0, 0]), float(seen.size[0, 1]))


def _way(scenario: Scenario, i: int, first: int, last: int) -> Tensor:
    """Points (P, 2) every metre: where agent i went, and on along its lane."""
    log = scenario.log[first : last + 1, i]
    xy, yaw = log.xy.double().numpy(), float(log.yaw[0])
    return uniform(route_along(scenario.scene.map, xy, beyond=HORIZON + STRAY, before=BEHIND, yaw=yaw, center=False))


def _ahead(points: Tensor, length: Tensor, s: Tensor, now: Agents, who: Tensor) -> tuple[Tensor, Tensor]:
    """Gaps (N,) to who drives ahead of agents `who` (N,), and speeds (N,): vehicles and cycles, going the same way."""
    drives = now.valid & is_kind(now.kind, (*VEHICLES, *CYCLES))
    same = wrap_angle(now.yaw - now.yaw[who, None]).abs() < 1.0
    front = (now.xy - now.xy[who, None]) * torch.stack([now.yaw[who].cos(), now.yaw[who].sin()], -1)[:, None]
    other = drives & same & (front.sum(-1) > 0) & (torch.arange(len(now.valid)) != who[:, None])
    seen = other.any(0)
    if not bool(seen.any()):
        return torch.full_like(s, torch.inf), torch.zeros_like(s)
    return look_ahead(points, length, s, now.size[who], now[seen], other[:, seen], HORIZON)


def episodes(track: Track) -> list[Episode]:
    """Stretches of a track by which a driver model can be calibrated."""
    return [*_following(track), *_stops(track), *_starts(track)]


def _following(track: Track, least: float = 4.0, way: float = 10.0) -> list[Episode]:
    """Behind one leader for `least` seconds and `way` metres, without turning."""
    behind = np.isfinite(track.gap) & (track.gap > 0.1) & track.straight
    expected = (track.leader - track.speed) * track.dt
    with np.errstate(invalid="ignore"):
        same = np.abs(np.diff(track.gap) - (expected[1:] + expected[:-1]) / 2) < JUMP
    found = []
    for first, last in runs(behind[1:] & behind[:-1] & same):
        first, last = _moving(track, first, last + 1)
        if (last - first) * track.dt >= least and track.s[last] - track.s[first] >= way:
            found.append(_episode(track, first, last, (track.s + track.gap)[first : last + 1]))
    return found


def _moving(track: Track, first: int, last: int) -> tuple[int, int]:
    """Without what stands at its ends, but for a second: how long one waits is no matter of style."""
    moves = np.flatnonzero(track.speed[first : last + 1] >= STANDS)
    if not len(moves):
        return first, first
    spare = round(1.0 / track.dt)
    return max(first, first + int(moves[0]) - spare), min(last, first + int(moves[-1]) + spare)


def _stops(track: Track, fast: float = 5.0, least: float = 2.0) -> list[Episode]:
    """From `fast` or more to a stand with nobody within 15 m ahead: at lights, signs and lines."""
    found = []
    for first, last in runs((track.acceleration < -0.3) & (track.speed >= STANDS)):
        end = min(last + 1, len(track.s) - 1)
        stands = track.speed[end] < 2 * STANDS
        ok = track.speed[first] >= fast and (end - first) * track.dt >= least and track.straight[first:end].all()
        if stands and ok and not (track.gap[first : end + 1] < 15.0).any():
            rest = end + int(np.argmax(track.speed[end:] < STANDS)) if (track.speed[end:] < STANDS).any() else end
            found.append(_episode(track, first, rest, np.full(rest - first + 1, track.s[rest]), line=True))
    return found


def _starts(track: Track, fast: float = 5.0, least: float = 2.5) -> list[Episode]:
    """From a stand to `fast` or more with nobody within 30 m ahead."""
    found = []
    for first, last in runs((track.acceleration > 0.2) & (track.gap > 30.0) & track.straight):
        begin = first + int(np.argmax(track.speed[first : last + 1] > STANDS))
        ok = track.speed[first] < 2 * STANDS and track.speed[last] >= fast and (last - begin) * track.dt >= least
        if ok:
            found.append(_episode(track, begin, last, np.full(last - begin + 1, np.inf)))
    return found


def _episode(track: Track, first: int, last: int, rear: np.ndarray, line: bool = False) -> Episode:
    part = slice(first, last + 1)
    leader = np.where(np.isfinite(rear) & (not line), track.leader[part], 0.0)
    return Episode(track.s[part], track.speed[part], rear, leader, track.dt, line)


# what is seen without a model


def standstill_gap(track: Track, least: float = 1.0) -> float:
    """Median gap [m] while one stands at most 10 m behind another who stands, for `least` seconds; NaN if never."""
    both = (track.speed < STANDS) & (track.leader < STANDS) & (track.gap > 0.1) & (track.gap < 10.0)
    found = [track.gap[a : b + 1] for a, b in runs(both) if (b - a) * track.dt >= least]
    return float(np.median(np.concatenate(found))) if found else np.nan


def free_speed(track: Track, least: float = 2.0, slow: float = 5.0) -> tuple[float, float]:
    """Fastest speed [m/s] over `slow` that is held for `least` seconds with nobody within 4 s (20 m) ahead, not in a
    bend, and the limit there [m/s]; NaN if never. Who changes speed by over 0.4 m/s^2 does not hold it, nor who loses
    1 m/s within the next 3 s: something is coming up."""
    width, soon = round(least / track.dt), round(3.0 / track.dt)
    later = np.array([track.speed[k : k + soon + 1].min() for k in range(len(track.speed))])
    clear = (track.gap > np.maximum(20.0, 4.0 * track.speed)) | np.isinf(track.gap)
    held = clear & track.straight & (np.abs(track.acceleration) < 0.4) & (track.speed > slow)
    held &= later > track.speed - 1.0
    best = (np.nan, np.nan)
    for first, last in runs(held):
        if last - first + 1 < width:
            continue
        means = np.convolve(track.speed[first : last + 1], np.ones(width) / width, "valid")
        k = int(means.argmax())
        if not means[k] <= best[0]:
            best = float(means[k]), float(np.median(track.limit[first + k : first + k + width]))
    return best


def bend(track: Track, radius: float = 30.0, slow: float = 2.5) -> float:
    """Largest lateral acceleration [m/s^2], held for a second, in a turn tighter than `radius`, taken at a steady speed
    of at least `slow` with nobody within 2 s (10 m) ahead, where no limit but the driver's own holds; NaN if none."""
    second = np.ones(round(1.0 / track.dt) | 1)
    weight = np.convolve(np.ones(len(track.speed)), second, "same")
    lateral = np.abs(np.convolve(track.speed * track.turning, second, "same")) / weight
    tight = (track.speed < radius * np.abs(track.turning)) & (np.abs(track.turning) > BENDS)
    clear = track.gap > np.maximum(10.0, 2.0 * track.speed)
    found = []
    for first, last in runs(tight):
        part = slice(first, last + 1)
        k = first + int(lateral[part].argmax())
        turned = np.abs(track.turning[part].sum()) * track.dt
        steady = np.abs(track.acceleration[k]) < 1.0 and track.speed[k] >= slow
        if turned > np.deg2rad(30) and first < k < last and steady and clear[k]:
            found.append(float(lateral[k]))
    return max(found, default=np.nan)


def braking(track: Track, fast: float = 5.0) -> float:
    """Median deceleration [m/s^2] of the stops from `fast` or more to a stand, at a place or behind one who stands: not
    behind one who brakes, whose deceleration is his. It is the mean while the speed falls from 0.8 to 0.2 of that at
    the beginning, (v1^2 - v2^2) / (2 s): how gently one begins and ends is left out. NaN if there is none."""
    found = []
    for first, last in runs((track.acceleration < -0.3) & (track.speed >= STANDS)):
        end, begin = min(last + 1, len(track.s) - 1), track.speed[first]
        own = np.isinf(track.gap[first]) or track.leader[first] < 2.0
        if begin >= fast and track.speed[end] < 2 * STANDS and own:
            part = track.speed[first : end + 1]
            a, b = first + int(np.argmax(part < 0.8 * begin)), first + int(np.argmax(part < 0.2 * begin))
            if track.s[b] > track.s[a]:
                found.append((track.speed[a] ** 2 - track.speed[b] ** 2) / 2 / (track.s[b] - track.s[a]))
    return float(np.median(found)) if found else np.nan


def walking_speed(track: Track) -> float:
    """Median speed [m/s] while walking (over 0.5 m/s); NaN where one walks for less than SHORTEST seconds."""
    walks = track.speed > 0.5
    return float(np.median(track.speed[walks])) if walks.sum() * track.dt >= SHORTEST else np.nan
