"""All surfels of a log: the standing world, its ground, and each agent in its box."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from ..errors import InputError
from ..roadmap import RoadMap
from ..types import CYCLES, VEHICLES, WALKERS, Kind, Scenario, Semantic
from . import ghosts, ground, voxels
from .agents import shell
from .cut import Boxes, Cut, cut
from .patches import Patches, patches
from .remembered import STANDING, Surfels

CELLS = ((12.0, 0.06), (25.0, 0.12), (60.0, 0.24), (np.inf, 0.48))
"""Edge of the standing world's voxels [m] up to a distance from the ego's path [m]."""

MOST = 500_000
"""Surfels of a log; the least sure of the standing ones go."""

VIEWS = 60
"""About so many sweeps, spread evenly, are asked what they looked through."""

_EMPTY = Cut(*np.zeros((3, 0, 3), np.float32), np.zeros(0, np.int32))


@dataclass(frozen=True, eq=False)
class Points:
    """Cut points of all sweeps."""

    xyz: np.ndarray  # (n, 3) float32
    seat: np.ndarray  # (n, 3) float32
    owner: np.ndarray  # (n,) int32
    sweep: np.ndarray  # (n,) int32, ascending

    def of(self, owner: int) -> Points:
        rows = self.owner == owner
        return Points(self.xyz[rows], self.seat[rows], self.owner[rows], self.sweep[rows])

    def __getitem__(self, rows: np.ndarray) -> Points:
        return Points(self.xyz[rows], self.seat[rows], self.owner[rows], self.sweep[rows])


def surfels(scenario: Scenario, boxes: Boxes, path: np.ndarray, most: int = MOST) -> tuple[Surfels, list[str]]:
    """Surfels of a log, at most about `most`, and what went wrong in plain words; path (T, 3): the ego's."""
    points, views, problems = read(scenario, boxes)
    standing = points.of(STANDING)
    reference = ground.reference(scenario.scene.map.ground, standing.xyz, path)
    floor = ground.surface(standing.xyz, reference, scenario.scene.map, path)
    parts = [_floor(floor, scenario), *_standing(standing, views, floor, path, boxes, most)]
    order = np.argsort(points.owner, kind="stable")
    points = points[order]
    first = np.searchsorted(points.owner, np.arange(len(scenario.track_ids) + 1))
    kind = scenario.log.kind[0].tolist()
    for a in range(1, len(kind)):
        rows = slice(first[a], first[a + 1])
        found, mirrored = shell(points.xyz[rows], points.seat[rows], points.sweep[rows], kind[a])
        parts.append(_surfels(found, semantic_of(kind[a]), a, mirrored))
    names = Surfels.__dataclass_fields__
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    order = np.lexsort((_along(columns["xyz"]), columns["owner"]))
    return Surfels(**{name: values[order] for name, values in columns.items()}), problems


def _along(xyz: np.ndarray) -> np.ndarray:
    """Place (n,) of points (n, 3) on a curve (Morton's) that keeps neighbours together: a renderer passes over many."""
    cell = np.clip(np.floor(xyz / 0.1) + 2**17, 0, 2**18 - 1).astype(np.int64)
    code = np.zeros(len(xyz), np.int64)
    for bit in range(18):
        for axis in range(3):
            code |= (cell[:, axis] >> bit & 1) << (3 * bit + axis)
    return code


def read(scenario: Scenario, boxes: Boxes) -> tuple[Points, list[ghosts.View], list[str]]:
    """Cut points of all sweeps that can be read, how far some of them saw, and what could not be read."""
    cuts, views, problems = [_EMPTY], [], []
    sweeps = scenario.sensors.sweeps if scenario.sensors else ()
    for i, sweep in enumerate(sweeps):
        try:
            found = cut(sweep, boxes)
        except InputError as error:
            problems.append(f"a sweep is left out: {error}")
            continue
        if i % max(len(sweeps) // VIEWS, 1) == 0:
            views.append(ghosts.view(found.world, sweep.origin.numpy()))
        cuts.append(replace(found, world=_EMPTY.world))
    number = np.repeat(np.arange(len(cuts), dtype=np.int32), [len(c.xyz) for c in cuts])
    columns = (np.concatenate([getattr(c, name) for c in cuts]) for name in ("xyz", "seat", "owner"))
    return Points(*columns, number), views, problems


def _standing(
    points: Points, views: list[ghosts.View], floor: ground.Surface, path: np.ndarray, boxes: Boxes, most: int
) -> list[Surfels]:
    """What stands on the ground: walls, trees, poles."""
    above = floor.height(points.xyz)
    own = points[~(np.abs(above) < ground.KNOWN) & ~(above < -0.4)]
    if not len(own.xyz):
        return []
    coarse = (np.floor(own.xyz[:, :2] / 0.96) + 0.5) * 0.96  # a multiple of every edge: voxels fit into blocks
    apart = cKDTree(path[:, :2]).query(coarse)[0]
    cell = np.select([apart < limit for limit, _ in CELLS], [edge for _, edge in CELLS]).astype(np.float32)
    found = voxels.merge(own.xyz, own.seat, own.sweep, cell)
    looked = ghosts.passed(found.xyz, found.cell, views)
    found = found[~(ghosts.ghosts(_near_sweeps(own, found), looked) | boxes.swept(found.xyz))]
    if len(found.xyz) > most:
        found = found[np.sort(np.argsort(-found.hits, kind="stable")[:most])]
    made = patches(found)
    height = floor.height(made.xyz)
    semantic = np.full(len(height), int(Semantic.OBJECT), np.uint8)
    semantic[made.flat < 0.75] = int(Semantic.VEGETATION)
    semantic[(made.flat > 0.85) & (np.abs(made.normal[:, 2]) < 0.35) & ~(height < 1.0)] = int(Semantic.BUILDING)
    return [_surfels(made, semantic, STANDING)]


def _near_sweeps(points: Points, found: voxels.Merged) -> np.ndarray:
    """In how many sweeps (n,) something within half a metre or so of the voxels was hit."""
    wide = np.full(len(points.xyz), 0.5, np.float32)
    coarse = voxels.merge(points.xyz, points.seat, points.sweep, wide)
    near = cKDTree(coarse.xyz).query(found.xyz)[1]
    return np.maximum(coarse.sweeps[near], found.sweeps)


def _surfels(made: Patches, semantic: int | np.ndarray, owner: int, mirrored: np.ndarray | bool = False) -> Surfels:
    n = len(made.xyz)
    sure = (1 - np.exp(-np.maximum(made.hits, 1) / 3)) * (0.4 + 0.6 * made.flat)
    return Surfels(
        made.xyz, made.normal, made.radius, np.full(n, semantic, np.uint8), np.full(n, owner, np.int32),
        sure.astype(np.float32), np.zeros(n, bool) | mirrored,
    )  # fmt: skip


def _floor(found: ground.Surface, scenario: Scenario) -> Surfels:
    xyz, normal, radius, seen = ground.discs(found)
    n = len(xyz)
    semantic = np.full(n, int(Semantic.TERRAIN), np.uint8)
    semantic[RoadMap.of(scenario.scene.map).inside(torch.from_numpy(xyz[:, :2])).numpy()] = int(Semantic.ROAD)
    return Surfels(
        xyz, normal, radius, semantic, np.full(n, STANDING, np.int32), (0.2 + 0.8 * seen).astype(np.float32),
        np.zeros(n, bool),
    )  # fmt: skip


def semantic_of(kind: int) -> int:
    """What an agent's surfels show, a Semantic."""
    if kind in (*CYCLES, Kind.MOTORCYCLE):
        return int(Semantic.CYCLE)
    if kind in VEHICLES:
        return int(Semantic.VEHICLE)
    return int(Semantic.PERSON if kind in WALKERS else Semantic.OBJECT)
