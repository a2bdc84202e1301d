"""From what a log says to the nouns: tracks to agents, shapes to rings, driven paths to lanes and a route.

Shared by the scenario sources, so that every format is resampled, typed and routed in the same way.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import torch
from scipy.ndimage import gaussian_filter1d
from shapely.geometry.base import BaseGeometry
from torch import Tensor

from .errors import InputError
from .geometry import along_polyline, polyline_yaw, project_to_polyline
from .roadmap import RoadMap
from .types import DT, Agents, Command, Kind, LaneKind, Lanes, Map, Polylines


@dataclass(frozen=True, eq=False)
class Track:
    """One road user as logged: numpy float64, times in seconds since step 0, angles in radians, world frame."""

    id: str
    kind: Kind
    size: np.ndarray  # (3,) length, width, height [m]
    time: np.ndarray  # (n,) increasing
    xyz: np.ndarray  # (n, 3) centre of the box's bottom
    yaw: np.ndarray  # (n,)
    pitch: np.ndarray  # (n,)
    roll: np.ndarray  # (n,)


def assemble(tracks: Sequence[Track], steps: int, dt: float = DT, max_gap: float = 1.1) -> Agents:
    """Agents (T, A) on the grid k * dt; `tracks[0]` is the ego.

    Poses are interpolated linearly (angles along the shorter way) between observations that are at most `max_gap`
    seconds apart; elsewhere the agent is absent (NaN). Velocities are central differences of the positions.
    Raises InputError where a track has NaN, or times that do not increase.
    """
    columns = [_on_grid(track, np.arange(steps) * dt, max_gap) for track in tracks]
    poses = torch.from_numpy(np.stack(columns, 1))  # (T, A, 6) float64
    valid = torch.isfinite(poses).all(-1)
    size = torch.tensor(np.stack([t.size for t in tracks]), dtype=torch.float32).expand(steps, -1, -1)
    kind = torch.tensor([int(t.kind) for t in tracks]).expand(steps, -1)
    x, y, z, yaw, pitch, roll = poses.float().unbind(-1)
    velocity = _velocities(poses[..., :2], dt).float()
    return Agents(torch.stack([x, y], -1), z, yaw, pitch, roll, velocity, size.clone(), kind.clone(), valid)


def _on_grid(track: Track, grid: np.ndarray, max_gap: float) -> np.ndarray:
    poses = np.column_stack([track.xyz, track.yaw, track.pitch, track.roll])
    if not np.isfinite(poses).all():
        bad = int(np.flatnonzero(~np.isfinite(poses).all(1))[0])
        raise InputError(f"track {track.id} has a pose that is not a number at {track.time[bad]:.2f} s: {poses[bad]}")
    if len(track.time) > 1 and not (np.diff(track.time) > 0).all():
        raise InputError(f"track {track.id} has times that do not increase")
    poses[:, 3:] = np.unwrap(poses[:, 3:], axis=0)
    after = np.clip(np.searchsorted(track.time, grid), 1, max(len(track.time) - 1, 1))
    before = after - 1
    if len(track.time) == 1:
        after = before
    # an observation stands for the grid point next to it, half a step to either side
    tolerance = 0.5 * (grid[1] - grid[0]) if len(grid) > 1 else 0.05
    t0, t1 = track.time[before], track.time[after]
    share = np.clip((grid - t0) / np.maximum(t1 - t0, 1e-9), 0, 1)
    out = poses[before] + share[:, None] * (poses[after] - poses[before])
    near = np.minimum(np.abs(grid - t0), np.abs(grid - t1)) <= tolerance
    bridged = (t1 - t0 <= max_gap) & (grid >= t0) & (grid <= t1)
    out[~(near | bridged)] = np.nan
    out[:, 3:] = (out[:, 3:] + np.pi) % (2 * np.pi) - np.pi
    return out


def _velocities(xy: Tensor, dt: float) -> Tensor:
    """Central differences (T, A, 2), one-sided at the ends of each stretch, zero where a stretch is one step."""
    gap = torch.full_like(xy[:1], torch.nan)
    forward = torch.cat([(xy[1:] - xy[:-1]) / dt, gap])
    backward = torch.cat([gap, (xy[1:] - xy[:-1]) / dt])
    both = torch.nanmean(torch.stack([forward, backward]), 0)
    return torch.where(torch.isnan(xy), torch.nan, both.nan_to_num(0))


def rings(geometry: BaseGeometry) -> Polylines:
    """Borders and holes of a (multi)polygon as rings (P, 2), for `Map.drivable` (even-odd)."""
    polygons = [p for p in shapely.get_parts(geometry) if isinstance(p, shapely.Polygon) and not p.is_empty]
    lines = [ring for p in polygons for ring in (p.exterior, *p.interiors)]
    return Polylines.of([torch.from_numpy(shapely.get_coordinates(line)[:-1]) for line in lines])


def lanes_from_paths(paths: Sequence[np.ndarray], width: float = 3.5, spacing: float = 1.0) -> Lanes:
    """Lanes from where traffic drove, for logs without a map.

    Paths (n, 3) are taken longest first. The part of a path that runs along a lane already found (within half a
    `width` and 30 degrees) belongs to that lane; each remaining stretch of 5 m or more becomes a lane of its own,
    from the last point beside the lane it leaves to the first beside the one it joins, and linked to both.
    """
    smooth = sorted((q for q in (_smooth(p, spacing) for p in paths) if _span(q) >= 5.0), key=_span, reverse=True)
    lines: list[np.ndarray] = []
    links: list[tuple[int, int]] = []
    for path in smooth:
        owner = _owners(path, lines, width)
        for first, last in _runs(owner < 0):
            if _span(path[first : last + 1]) < 5.0:
                continue
            new = len(lines)
            if first > 0:
                links.append((int(owner[first - 1]), new))
            if last < len(path) - 1:
                links.append((new, int(owner[last + 1])))
            lines.append(path[max(first - 1, 0) : last + 2])
    return _split_at_links(lines, links, width)


def _split_at_links(lines: list[np.ndarray], links: list[tuple[int, int]], width: float) -> Lanes:
    """Cut lanes where others leave or join; a successor starts at most half a width beside its predecessor's end."""
    cuts: list[set[int]] = [{0, len(line) - 1} for line in lines]
    place = []
    for a, b in links:
        end_of_a = a < b  # the newer lane b leaves a, or the newer lane a joins b
        old, tip = (a, lines[b][0]) if end_of_a else (b, lines[a][-1])
        at = int(np.hypot(*(lines[old] - tip)[:, :2].T).argmin())
        cuts[old].add(at)
        place.append((a, b, old, at))
    pieces: list[np.ndarray] = []
    first: list[dict[int, int]] = []  # per line: cut -> the piece that starts there
    last: list[dict[int, int]] = []  # per line: cut -> the piece that ends there
    successors = []
    for line, marks in zip(lines, map(sorted, cuts), strict=True):
        first.append({})
        last.append({})
        for start, stop in zip(marks[:-1], marks[1:], strict=True):
            first[-1][start] = last[-1][stop] = len(pieces)
            if start:
                successors.append((len(pieces) - 1, len(pieces)))
            pieces.append(line[start : stop + 1])
    for a, b, old, at in place:
        source = last[a].get(at if old == a else len(lines[a]) - 1)
        target = first[b].get(at if old == b else 0)
        if source is not None and target is not None:
            successors.append((source, target))
    return make_lanes(pieces, [width] * len(pieces), successors=successors)


def make_lanes(
    lines: Sequence[np.ndarray | Tensor],
    width: Sequence[float],
    speed_limit: Sequence[float] | None = None,
    intersection: Sequence[bool] | None = None,
    successors: Sequence[tuple[int, int]] = (),
    neighbours: Sequence[tuple[int, int, int]] = (),
    kinds: Sequence[LaneKind] | None = None,
) -> Lanes:
    """Lanes from centre lines (n, 3) and plain lists; what is not given is unknown (NaN, False, VEHICLE)."""
    n = len(lines)
    return Lanes(
        center=Polylines.of(
            [torch.as_tensor(np.ascontiguousarray(x)) for x in lines],
            [int(k) for k in kinds] if kinds else None,
            dims=3,
        ),
        width=torch.tensor(list(width), dtype=torch.float32),
        speed_limit=torch.tensor(list(speed_limit) if speed_limit else [float("nan")] * n, dtype=torch.float32),
        intersection=torch.tensor(list(intersection) if intersection else [False] * n, dtype=torch.bool),
        successors=torch.tensor(list(successors), dtype=torch.int64).reshape(-1, 2),
        neighbours=torch.tensor(list(neighbours), dtype=torch.int64).reshape(-1, 3),
    )


ROUTE = 300.0
"""Routes are a multiple of this long [m]."""


def route_length(driven: float) -> float:
    """Length [m] of the route ahead of the start for a log that drove `driven` metres."""
    return ROUTE * math.ceil((driven + 60.0) / ROUTE)


def route_along(
    map: Map,
    path: np.ndarray,
    beyond: float | None = None,
    before: float = 10.0,
    yaw: float | None = None,
    center: bool = True,
) -> Tensor:
    """The line (R, 2) to follow, about a point per metre: from `before` metres behind a logged path's start
    to `beyond` metres after its end.

    By default it goes on until it is a multiple of ROUTE metres long, at least 60 m after the path's end: its length
    must not tell a planner how far the log drove.

    Where the path runs along lanes (within 2.5 m and 60 degrees) the line is their centre, else the path itself, and
    the changes are smoothed over a few metres. It goes on along the straightest successors, else straight on.
    With `center=False` the path is kept as driven and only its continuation follows lanes.
    An ego that stands still all the time (under 1 m) gets its route from its `yaw`; InputError if that is None.
    """
    line = _smooth(np.column_stack([path[:, :2], np.zeros(len(path))]), 1.0)[:, :2]
    if _span(line) < 1.0:
        if yaw is None:
            raise InputError("a route needs a path of at least 1 m, or the yaw of an ego that stands still")
        line = path[0, :2] + np.arange(4)[:, None] * np.array([np.cos(yaw), np.sin(yaw)])
    road = RoadMap.of(map)
    tangent = polyline_yaw(torch.from_numpy(line)).float()
    lane, s, _ = road.nearest_lane(torch.from_numpy(line).float(), tangent, reach=2.5)
    normal = np.column_stack([-np.sin(tangent), np.cos(tangent)])
    if center:
        shift = np.where(lane.numpy()[:, None] >= 0, _toward_center(road, lane, s, line, normal), 0.0)
        line = line + normal * gaussian_filter1d(shift[:, 0], 4.0, mode="nearest")[:, None]
    if beyond is None:
        beyond = route_length(_span(line)) - _span(line)
    ahead = _onward(road, int(lane[-1]), line, beyond) if int(lane[-1]) >= 0 else None
    step = _unit(line[-1] - line[max(len(line) - 4, 0)])
    tail = ahead if ahead is not None else line[-1] + step * np.arange(1, beyond)[:, None]
    head = line[0] - _unit(line[min(3, len(line) - 1)] - line[0]) * np.arange(before, 0, -1)[:, None]
    return torch.from_numpy(np.concatenate([head, line, tail])).float()


def _toward_center(road: RoadMap, lane: Tensor, s: Tensor, line: np.ndarray, normal: np.ndarray) -> np.ndarray:
    center = np.array(line)
    for i in torch.unique(lane[lane >= 0]).tolist():
        mask = (lane == i).numpy()
        center[mask] = along_polyline(road.center(i)[:, :2], s[lane == i])[0].double().numpy()
    return ((center - line) * normal).sum(1, keepdims=True)


def _onward(road: RoadMap, lane: int, line: np.ndarray, beyond: float) -> np.ndarray | None:
    """Points ahead of the line's end along its lane and the straightest successors; straight on where they end."""
    step = _unit(line[-1] - line[max(len(line) - 4, 0)])
    here = _smooth(road.center(lane).double().numpy(), 1.0)[:, :2]
    ahead = here[int(np.hypot(*(here - line[-1]).T).argmin()) :]
    ahead = ahead[int(((ahead[:3] - line[-1]) @ step < 0.5).sum()) :]
    seen = {lane}
    while _span(ahead) < beyond:
        following = [j for j in road.successors(lane) if j not in seen]
        if not following:
            break
        end = ahead[-1] - ahead[-2] if len(ahead) > 1 else step
        starts = [road.center(j)[:2, :2].double().numpy() for j in following]
        lane = following[int(np.argmax([_unit(s[1] - s[0]) @ _unit(end) for s in starts]))]
        seen.add(lane)
        ahead = np.concatenate([ahead, _smooth(road.center(lane).double().numpy(), 1.0)[int(len(ahead) > 0) :, :2]])
    if len(ahead) < 2:
        return None
    # ease the lateral offset between the line's end and the centre line out over 10 m
    side = np.array([-step[1], step[0]])
    fade = np.clip(1 - np.arange(1, len(ahead) + 1) / 10, 0, 1)
    ahead = ahead + ((line[-1] - ahead[0]) @ side) * side * fade[:, None]
    short = beyond - _span(ahead)
    if short > 1:
        ahead = np.concatenate([ahead, ahead[-1] + _unit(ahead[-1] - ahead[-2]) * np.arange(1, short)[:, None]])
    return ahead[: int(beyond) + 1]


def command_of(route: Tensor, ego: Tensor, within: float = 30.0) -> Command:
    """Where the route (R, 2) turns over the next `within` metres from the ego (2,): more than 20 degrees is a turn."""
    s, _, yaw = project_to_polyline(ego, route)
    _, later = along_polyline(route, s + within)
    turn = float((later - yaw + torch.pi) % (2 * torch.pi) - torch.pi)
    if abs(turn) < np.deg2rad(20):
        return Command.STRAIGHT
    return Command.LEFT if turn > 0 else Command.RIGHT


def fingerprint(files: Iterable[Path], *more: str) -> str:
    """blake2b (hex) of the files' names and contents, and of any `more` that shapes the load; order matters."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    for text in more:
        digest.update(b"\1" + text.encode())
    return digest.hexdigest()


def _owners(path: np.ndarray, lines: Sequence[np.ndarray], width: float) -> np.ndarray:
    """Line that each point of a path runs along, -1 for none."""
    owner, best = np.full(len(path), -1), np.full(len(path), width / 2)
    direction = np.gradient(path[:, :2], axis=0)
    for i, line in enumerate(lines):
        nearest = np.hypot(*(path[:, None, :2] - line[None, :, :2]).T).T
        k = nearest.argmin(1)
        along = np.gradient(line[:, :2], axis=0)[k]
        cos = (direction * along).sum(1) / np.maximum(np.hypot(*direction.T) * np.hypot(*along.T), 1e-9)
        distance = nearest[np.arange(len(path)), k]
        closer = (distance < best) & (cos > np.cos(np.deg2rad(30)))
        owner[closer], best[closer] = i, distance[closer]
    return owner


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Inclusive (first, last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _smooth(path: np.ndarray, spacing: float) -> np.ndarray:
    """Points (n, 3) every `spacing` metres along a path, standing still and jitter removed."""
    keep = [0]
    for i in range(1, len(path)):
        if np.hypot(*(path[i] - path[keep[-1]])[:2]) >= 0.1:
            keep.append(i)
    kept = path[keep]
    if len(kept) < 2:
        return kept
    s = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(kept[:, :2], axis=0).T))])
    grid = np.linspace(0, s[-1], max(int(round(s[-1] / spacing)), 1) + 1)
    line = np.column_stack([np.interp(grid, s, kept[:, i]) for i in range(kept.shape[1])])
    if len(line) > 3:
        inner = gaussian_filter1d(line, 1.5, axis=0, mode="nearest")
        line[1:-1] = inner[1:-1]
    return line


def _span(path: np.ndarray) -> float:
    return float(np.hypot(*np.diff(path[:, :2], axis=0).T).sum()) if len(path) > 1 else 0.0


def _unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.hypot(*v)), 1e-9)
