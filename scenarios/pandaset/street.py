"""The street of a PandaSet sequence: map and scenery from its sweeps, lane lines and traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import torch

from drivesim.errors import InputError
from drivesim.geometry import box_corners
from drivesim.lidar.ground import Cloud, Grid, Surface, drivable_area, ground_height
from drivesim.lidar.lines import paint_kinds, painted_lines
from drivesim.lidar.scenery import scenery_of
from drivesim.loading import Track, lanes_from_paths, rings, support
from drivesim.types import VEHICLES, Agents, Map, Marking, Polylines, Scenery, is_kind

from .cuboids import FORWARD
from .recording import TYRE, Poses, columns, numbered, read_json, read_sweep

SWEEPS = 24
"""How many sweeps the map is made from, spread evenly; more change little."""

_CLASSES = {
    5: Surface.PLANT, 6: Surface.GROUND, 7: Surface.ROAD, 8: Surface.MARKING, 9: Surface.MARKING,
    10: Surface.MARKING, 11: Surface.WALK, 12: Surface.ROAD, 35: Surface.STATIC, 36: Surface.SIGN,
    38: Surface.SIGN, 41: Surface.BUILDING, 42: Surface.STATIC,
}  # fmt: skip
"""PandaSet's 42 classes by number; what is not listed moves, has a cuboid, or is no surface (smoke, reflections)."""


@dataclass(frozen=True, eq=False)
class Street:
    """What the sequence's files say of the street, in PandaSet's world."""

    cloud: Cloud
    axle: float  # height of the rear axle above the road [m]
    lines: tuple[np.ndarray, ...]  # lane lines (n, 3)
    sweeps: int  # how many are there

    @property
    def lanes_from(self) -> str:
        return "lines" if len(self.lines) > 1 else "traffic"

    def build(self, log: Agents, origin: np.ndarray, ego: np.ndarray) -> tuple[Map, Scenery, dict[str, float]]:
        """Map and scenery in the project's world: shifted by `origin` (3,). ego: poses (T, 3) of its rear axle.

        All of the map is worked out; the dict says with what confidence: lanes by the traffic that bears them out, the
        area by the share of it that the lidar saw as road.
        """
        cloud = Cloud(self.cloud.xyz - origin.astype(np.float32), self.cloud.surface)
        lines = [line - origin for line in self.lines]
        ground = ground_height(cloud, ego)
        paths = _paths(log)
        boxes, swept = _boxes(log), _swept(log)
        area = drivable_area(cloud, ground, paths, boxes, swept)
        lanes = lanes_from_paths([*_between(lines, paths), *paths])
        paint = painted_lines(cloud.of(Surface.MARKING))
        kinds = paint_kinds(paint, paths)
        if not paint:
            paint, kinds = lines, [int(Marking.DASHED_WHITE)] * len(lines)
        markings = Polylines.of([torch.from_numpy(line) for line in paint], kinds, dims=3)
        map = Map(lanes, rings(area), Polylines.of([]), markings, ground)
        seen = cloud.of(Surface.ROAD, Surface.MARKING, Surface.UNKNOWN)
        sure = {"lanes": support(lanes, paths), "drivable area": _seen(area, seen), "ground": float(len(seen) > 0)}
        return map, scenery_of(cloud, ground, area, ego[:, :2]), sure


def read_street(folder: Path, lines: Path, poses: Poses, tracks: Sequence[Track], start: float) -> Street:
    """Read the sweeps (with classes where they are given) and the lane lines; both may be missing."""
    sweeps = {i: p for i, p in numbered(folder / "lidar", "pkl.gz", "pkl").items() if i < len(poses.time)}
    classes = numbered(folder / "annotations" / "semseg", "pkl.gz", "pkl")
    usable = [i for i in sweeps if i in classes] or list(sweeps)
    evenly = np.unique(np.linspace(0, len(usable) - 1, SWEEPS).round().astype(int)) if usable else ()
    parts, heights = [], []
    world_from_pose = poses.matrices()
    for i in (usable[k] for k in evenly):
        xyz = read_sweep(sweeps[i])
        surface = _surfaces(classes[i], len(xyz)) if i in classes else np.zeros(len(xyz), np.uint8)
        if i not in classes:
            surface[_on_tracks(xyz, tracks, poses.time[i] - FORWARD - start)] = Surface.IGNORED
        keep = (surface != Surface.IGNORED) & np.isfinite(xyz).all(1) & ~_on_own_car(xyz, world_from_pose[i])
        parts.append(Cloud(xyz[keep], surface[keep]))
        heights.append(_axle_height(parts[-1], world_from_pose[i]))
    known = [h for h in heights if 0.2 < h < 0.55]
    axle = float(np.median(known)) if known else TYRE
    if parts:
        cloud = Cloud(np.concatenate([p.xyz for p in parts]), np.concatenate([p.surface for p in parts]))
    else:
        cloud = Cloud(np.zeros((0, 3), np.float32), np.zeros(0, np.uint8))
    return Street(cloud, axle, _lane_lines(lines), len(sweeps))


def _surfaces(path: Path, points: int) -> np.ndarray:
    (number,) = columns(path, "class")
    if len(number) != points:
        raise InputError(f"{path}: {len(number)} classes for {points} points of the sweep; download both again")
    table = np.full(256, int(Surface.IGNORED), np.uint8)
    for i, surface in _CLASSES.items():
        table[i] = int(surface)
    return table[number.astype(np.uint8)]


def _on_tracks(xyz: np.ndarray, tracks: Sequence[Track], time: float) -> np.ndarray:
    """Which points (n, 3) lie on or beside a road user (n,), where the sweep has no classes."""
    seen = [t for t in tracks if t.time[0] - 0.1 <= time <= t.time[-1] + 0.1]
    boxes = [[*(np.interp(time, t.time, v) for v in (*t.xyz.T[:2], np.unwrap(t.yaw))), *t.size[:2]] for t in seen]
    grid = Grid.around(xyz[:, :2].astype(float), 1.0, 0.25)
    flat, inside = grid.index(xyz)
    return inside & grid.covered(np.array(boxes).reshape(-1, 5), 0.2).ravel()[flat]


def _on_own_car(xyz: np.ndarray, world_from_pose: np.ndarray) -> np.ndarray:
    """Which points (n, 3) lie on the car that carries the lidar (n,)."""
    x, y, z = ((xyz - world_from_pose[:3, 3].astype(np.float32)) @ world_from_pose[:3, :3].astype(np.float32)).T
    return (np.abs(x) < 1.3) & (y > -1.4) & (y < 4.3) & (z > 0) & (z < 2.5)


def _axle_height(cloud: Cloud, world_from_pose: np.ndarray) -> float:
    """Height of the pose frame above the road; NaN where too little of the road is seen.

    The lidar cannot look under the car: a surface through the road around it, cambered across, is followed inwards.
    """
    xyz = (cloud.xyz - world_from_pose[:3, 3]) @ world_from_pose[:3, :3]
    near = (np.abs(xyz[:, 0]) < 5) & (np.abs(xyz[:, 1] - 1.4) < 8) & (np.abs(xyz[:, 2] + TYRE) < 0.4)
    near &= np.isin(cloud.surface, [int(Surface.ROAD), int(Surface.MARKING), int(Surface.UNKNOWN)])
    road = xyz[near].astype(float)
    for reach in (0.3, 0.15, 0.08, 0.05):
        if len(road) < 50:
            return float("nan")
        terms = np.column_stack([np.ones(len(road)), road[:, :2], road[:, 0] ** 2])
        surface, *_ = np.linalg.lstsq(terms, road[:, 2], rcond=None)
        road = road[np.abs(road[:, 2] - terms @ surface) < reach]
    return -float(surface[0])


def _lane_lines(path: Path) -> tuple[np.ndarray, ...]:
    if not path.is_file():
        return ()
    try:
        lines = [np.array(line, float).reshape(-1, 3) for line in read_json(path)]
    except (TypeError, ValueError):
        raise InputError(f"{path}: is no list of lines of x, y, z; download it again or delete it") from None
    bad = [i for i, line in enumerate(lines) if not np.isfinite(line).all()]
    if bad:
        raise InputError(f"{path}: line {bad[0]} has a point that is not a number; delete the file to go without")
    return tuple(line for line in lines if len(line) > 1)


def _paths(log: Agents) -> list[np.ndarray]:
    """Where vehicles drove more than 3 m (n, 3); the ego's path is always the first."""
    motor = is_kind(log.kind[0], VEHICLES).numpy()
    xyz = np.concatenate([log.xy.double().numpy(), log.z.double().numpy()[..., None]], -1)
    paths = [xyz[log.valid[:, i].numpy(), i] for i in range(xyz.shape[1])]
    return [p for i, p in enumerate(paths) if i == 0 or (motor[i] and np.ptp(p[:, :2], axis=0).max() > 3)]


def _boxes(log: Agents) -> np.ndarray:
    """Every place of a vehicle (m, 5): x, y, yaw, length, width; those that hardly differ once."""
    motor = log.valid & is_kind(log.kind, VEHICLES)
    rows = torch.cat([log.poses, log.size[..., :2]], -1)[motor].double().numpy()
    _, first = np.unique(np.round(rows[:, :3] / [0.3, 0.3, 0.1]), axis=0, return_index=True)
    return rows[np.sort(first)]


def _swept(log: Agents) -> shapely.Geometry:
    """The ground that the ego covered."""
    corners = box_corners(log.xy[:, 0], log.yaw[:, 0], log.size[:, 0]).double().numpy()
    pairs = np.concatenate([corners[:-1], corners[1:]], axis=1)
    return shapely.union_all([shapely.MultiPoint(pair).convex_hull for pair in pairs])


def _seen(area: shapely.Geometry, points: np.ndarray) -> float:
    """Share of an area's square metres that hold a point (n, 3)."""
    if area.is_empty:
        return 0.0
    x0, y0, x1, y1 = (math.floor(v) for v in area.bounds)
    x, y = np.meshgrid(np.arange(x0, x1 + 1) + 0.5, np.arange(y0, y1 + 1) + 0.5)
    inside = shapely.contains_xy(area, x, y)
    cells = np.floor(points[:, :2] - [x0, y0]).astype(int)
    cells = cells[((cells >= 0) & (cells < x.shape[::-1])).all(1)]
    hit = np.zeros(x.shape, bool)
    hit[cells[:, 1], cells[:, 0]] = True
    return float((hit & inside).sum() / max(inside.sum(), 1))


def _between(lines: Sequence[np.ndarray], paths: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Centres (n, 3) of the lanes between neighbouring lines, in the direction in which traffic uses them."""
    centers = []
    for i, left in enumerate(lines):
        for right in lines[:i] + lines[i + 1 :]:
            gap = right[None, :, :2] - left[:, None, :2]
            nearest = np.hypot(gap[..., 0], gap[..., 1])
            j = nearest.argmin(1)
            width = nearest[np.arange(len(left)), j]
            facing = (j > 0) & (j < len(right) - 1) & (width > 2.4) & (width < 5.0)
            if facing.sum() < 5:
                continue
            center = (left[facing] + right[j[facing]]) / 2
            normal = np.stack([-np.gradient(center[:, 1]), np.gradient(center[:, 0])], 1)
            if ((left[facing] - center)[:, :2] * normal).sum() < 0:
                continue  # the other line of the pair gives this lane in its own direction
            centers += [center if _along(center, paths) else center[::-1]]
    return centers


def _along(center: np.ndarray, paths: Sequence[np.ndarray]) -> bool:
    """Whether traffic within 1.5 m of a line mostly drives in its direction."""
    vote = 0.0
    for path in paths:
        distance = np.hypot(*(path[:-1, None, :2] - center[None, :, :2]).transpose(2, 0, 1))
        k = distance.argmin(1)
        step = np.diff(path[:, :2], axis=0)
        vote += (step * np.gradient(center[:, :2], axis=0)[k])[distance.min(1) < 1.5].sum()
    return vote >= 0
