"""From a cast to a log: run the traffic, check that nobody touched and nobody jumped a light, say what happened."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
import torch
from scipy.interpolate import CubicSpline

from drivesim.geometry import box_corners, boxes_overlap
from drivesim.types import DT, Kind, Light

from . import curves
from .cast import WARM_UP, Cast
from .lanes import Network
from .paths import SPACING, Driver
from .people import Walker
from .town import Town
from .traffic import Traffic


@dataclass
class Drive:
    """Boxes of everyone over the log; a row of `poses` is NaN where absent."""

    poses: np.ndarray  # (T, A, 3) box centre x, y, yaw
    size: np.ndarray  # (A, 3)
    kind: list[Kind]
    names: list[str]
    s: np.ndarray  # (T, D) of the drivers' rear axles along their paths
    speed: np.ndarray  # (T, D)
    cast: Cast


def record(town: Town, cast: Cast, duration: float, tries: int = 3) -> Drive | None:
    """Run the traffic; who touches somebody or jumps a light is taken out and the traffic run again.

    After `tries` runs offenders are only taken out: the others then merely drove as if they had been there.
    None if the ego does not get anywhere.
    """
    for attempt in range(tries + 1):
        s, speed = _run(town.net, cast, duration)
        if not _gets_on(town.net, cast, s):
            return None
        drive = _assemble(cast, s, speed)
        guilty = _offenders(town.net, drive)
        moving = len(cast.drivers)
        rerun = attempt < tries and any(i < moving for i in guilty)
        cast = _without(cast, guilty)
        if not rerun:
            stay = [i for i in range(moving) if i not in guilty]
            drive = _assemble(cast, s[:, stay], speed[:, stay])
            return drive if _on_road(drive, town.road) else None
    raise AssertionError("the last try returns")


def _run(net: Network, cast: Cast, duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Arc lengths and speeds (T, D) from time 0 on; NaN once a driver has left the town."""
    traffic = Traffic(net, cast.plans, cast.drivers, cast.windows, -WARM_UP)
    rows = []
    steps = int(round(duration / DT)) + 1
    for k in range(-int(round(WARM_UP / DT)), steps):
        if k >= 0:
            rows.append((np.where(traffic.active, traffic.s, np.nan), np.where(traffic.active, traffic.v, np.nan)))
        traffic.step()
    return np.stack([s for s, _ in rows]), np.stack([v for _, v in rows])


def _assemble(cast: Cast, s: np.ndarray, speed: np.ndarray) -> Drive:
    time = np.arange(len(s)) * DT
    columns = [_driver_poses(d, s[:, i], ego=i == 0) for i, d in enumerate(cast.drivers)]
    columns += [np.tile(pose, (len(s), 1)) for pose, _ in cast.parked]
    columns += [_walker_poses(walker, time) for walker in cast.walkers]
    size = [d.size for d in cast.drivers] + [x for _, x in cast.parked] + [w.size for w in cast.walkers]
    kind = [d.kind for d in cast.drivers] + [Kind.CAR] * len(cast.parked) + [Kind.PEDESTRIAN] * len(cast.walkers)
    names = ["ego"] + [f"{d.kind.name.lower()}-{i:02d}" for i, d in enumerate(cast.drivers) if i]
    names += [f"parked-{i:02d}" for i in range(len(cast.parked))]
    names += [f"pedestrian-{i:02d}" for i in range(len(cast.walkers))]
    return Drive(np.stack(columns, 1), np.array(size), kind, names, s, speed, cast)


def _driver_poses(driver: Driver, s: np.ndarray, ego: bool) -> np.ndarray:
    """Box poses (T, 3) of a driver whose rear axle is at arc lengths s (T,).

    The ego's heading is its path's tangent, as a kinematic bicycle's is; the others have both axles on the path,
    which keeps long vehicles in their lane.
    """
    spline = CubicSpline(np.arange(len(driver.path.xy)) * SPACING, driver.path.xy)
    rear = spline(s)
    ahead = spline(s, 1) if ego else spline(s + driver.axles[0]) - rear
    ahead /= np.hypot(*ahead.T)[:, None]
    return np.column_stack([rear + driver.axles[1] * ahead, np.arctan2(ahead[:, 1], ahead[:, 0])])


def _walker_poses(walker: Walker, time: np.ndarray) -> np.ndarray:
    along, grid, yaw = walker.along(time), curves.lengths(walker.line), curves.yaws(walker.line)
    return np.column_stack([np.interp(along, grid, x) for x in (*walker.line.T, yaw)])


def _offenders(net: Network, drive: Drive) -> set[int]:
    moving = len(drive.cast.drivers)
    guilty = {i for i in range(1, moving) if _jumps_light(net, drive.cast, drive.s, i)}
    restless = np.flatnonzero([not name.startswith("parked") for name in drive.names])
    for i, j in touching(drive.poses, drive.size + np.array([0.1, 0.1, 0.0]), restless):
        if i not in guilty and j not in guilty:
            guilty.add(j)  # the later one: people before parked cars before drivers, never the ego
    return guilty


def _without(cast: Cast, guilty: set[int]) -> Cast:
    groups, first = [], 0
    for group in (cast.drivers, cast.parked, cast.walkers):
        groups.append([x for i, x in enumerate(group) if first + i not in guilty])
        first += len(group)
    return replace(cast, drivers=groups[0], parked=groups[1], walkers=groups[2])


def touching(poses: np.ndarray, size: np.ndarray, moving: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (i < j) of boxes (T, A, 3), (A, 3) that overlap at any step, one of them among `moving` (M,)."""
    reach = np.hypot(size[:, 0], size[:, 1]) / 2
    x, y = poses[..., 0].astype(np.float32), poses[..., 1].astype(np.float32)
    with np.errstate(invalid="ignore"):
        square = (x[:, moving, None] - x[:, None]) ** 2 + (y[:, moving, None] - y[:, None]) ** 2
        t, m, j = np.nonzero(square < (reach[moving, None] + reach[None] + 0.1) ** 2)
    i = moving[m]
    t, i, j = t[i != j], i[i != j], j[i != j]
    boxes = torch.from_numpy(poses)
    corners = box_corners(boxes[..., :2], boxes[..., 2], torch.from_numpy(size).expand(len(poses), -1, -1))
    hit = boxes_overlap(corners[t, i], corners[t, j]).numpy()
    return sorted({(min(a, b), max(a, b)) for a, b in zip(i[hit].tolist(), j[hit].tolist(), strict=True)})


def _jumps_light(net: Network, cast: Cast, s: np.ndarray, i: int) -> bool:
    driver, front = cast.drivers[i], s[:, i] + cast.drivers[i].front
    for start, lane in zip(driver.path.starts, driver.path.lanes, strict=True):
        connector = net.lanes[lane]
        entered = np.flatnonzero((front[:-1] <= start) & (front[1:] > start))
        if connector.crossing < 0 or not len(entered):
            continue
        state = cast.plans[connector.crossing].light(connector.arm, (entered[0] + 1) * DT)
        if state == Light.RED:
            return True
    return False


def _gets_on(net: Network, cast: Cast, s: np.ndarray) -> bool:
    """Whether the ego stays in town and, in a log of 10 s or more, enters its crossing, and on green."""
    ego = cast.drivers[0]
    gate = ego.path.starts[1] + 2.0 - ego.front if len(s) > 10 / DT else s[0, 0] + 3.0
    return bool(s[-1, 0] > gate) and not _jumps_light(net, cast, s, 0)  # NaN, having left, is not greater


def _on_road(drive: Drive, road: shapely.Geometry) -> bool:
    """Whether the ego keeps to the road with all corners."""
    boxes = torch.from_numpy(drive.poses[:, 0])
    corners = box_corners(boxes[:, :2], boxes[:, 2], torch.from_numpy(drive.size[0])).numpy().reshape(-1, 2)
    return bool(shapely.contains_xy(road, corners[:, 0], corners[:, 1]).all())


def tags(net: Network, drive: Drive) -> tuple[str, ...]:
    """What the ego meets in the log."""
    ego, s, speed = drive.cast.drivers[0], drive.s[:, 0], drive.speed[:, 0]
    connector = net.lanes[ego.path.lanes[1]]
    to_line = ego.path.starts[1] - (s + ego.front)
    turns = {"left": "left_turn", "right": "right_turn", "straight": "crossing_straight"}
    out = [turns[connector.turn]] if to_line[-1] < 0 else []
    plan = drive.cast.plans[connector.crossing]
    red = np.array([plan.light(connector.arm, k * DT) == Light.RED for k in range(len(s))])
    if (red & (speed < 3.0) & (to_line > 0) & (to_line < 15)).any():
        out.append("red_light")
    out += _meetings(drive, speed)
    return tuple(out)


def _meetings(drive: Drive, speed: np.ndarray) -> list[str]:
    pose = drive.poses[:, :1]
    c, si = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    offset = drive.poses[:, 1:, :2] - pose[..., :2]
    x, y = c * offset[..., 0] + si * offset[..., 1], -si * offset[..., 0] + c * offset[..., 1]
    turn = (drive.poses[:, 1:, 2] - pose[..., 2] + np.pi) % (2 * np.pi) - np.pi
    v = np.hypot(*np.gradient(drive.poses[:, 1:, :2], axis=0).transpose(2, 0, 1)) / DT
    kind = np.array([int(k) for k in drive.kind[1:]])
    walks, cycles = kind == Kind.PEDESTRIAN, kind == Kind.BICYCLE
    with np.errstate(invalid="ignore"):
        ahead = (x > 2) & (x < 25) & (np.abs(y) < 1.8)
        along, across = np.abs(turn) < 0.5, (np.abs(np.sin(turn)) > 0.6) & (v > 1.0)
        slow = ahead & along & ~walks & (v < 7) & (v > 1) & (speed[:, None] > 1)
        found = {
            "slow_leader": (slow & ~cycles).sum(0).max(initial=0) > 40,
            "cyclist_ahead": (ahead & along & cycles).sum(0).max(initial=0) > 15,
            "crossing_traffic": (ahead & across & ~walks & ~cycles).any(),
            "pedestrian_crossing": ((x > 2) & (x < 18) & (np.abs(y) < 2.5) & across & walks).any(),
            "oncoming_traffic": ((x > 3) & (x < 30) & (np.abs(y) < 7) & (np.abs(turn) > 2.6) & ~walks & (v > 2)).any(),
        }
    return [name for name, is_so in found.items() if is_so]
