"""From a town and a drive through it to a Scenario, its origin moved to the ego's first rear axle."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import rotation_from_euler
from drivesim.loading import Track, assemble, make_lanes, rings, route_length
from drivesim.types import DT, Agents, Ground, Map, Polylines, Prop, Scenery, Signals

from .cast import EGO
from .drives import Drive
from .houses import Stage
from .lanes import neighbours
from .lights import Plan, timetable
from .surface import Hills
from .town import Town

SIGNAL_SECONDS = 120.0
"""The lights' plan goes on this long, past the log's end."""


def axle_origin(drive: Drive, hills: Hills) -> np.ndarray:
    """The rear axle (3,) of the ego's first pose, town coordinates."""
    x, y, yaw = drive.poses[0, 0]
    pitch, roll = hills.tilt(np.array([x, y]), np.array(yaw))
    turn = rotation_from_euler(*(torch.tensor(float(a), dtype=torch.float64) for a in (yaw, pitch, roll))).numpy()
    return np.array([x, y, hills.height(np.array([x, y]))]) - EGO.rear_axle_to_center * turn[:, 0]


def agents(drive: Drive, hills: Hills, origin: np.ndarray) -> Agents:
    """Everyone's boxes, standing on the ground and tilted with it."""
    time = np.arange(len(drive.poses)) * DT
    tracks = []
    for i, (name, kind) in enumerate(zip(drive.names, drive.kind, strict=True)):
        here = np.isfinite(drive.poses[:, i, 0])
        xy, yaw = drive.poses[here, i, :2], drive.poses[here, i, 2]
        pitch, roll = hills.tilt(xy, yaw)
        xyz = np.column_stack([xy, hills.height(xy)]) - origin
        tracks.append(Track(name, kind, drive.size[i], time[here], xyz, yaw, pitch, roll))
    return assemble(tracks, len(time))


def town_map(town: Town, origin: np.ndarray) -> Map:
    net, hills = town.net, town.hills
    lanes = make_lanes(
        [_raised(lane.line, hills, origin) for lane in net.lanes],
        [lane.width for lane in net.lanes],
        [lane.limit for lane in net.lanes],
        [lane.crossing >= 0 for lane in net.lanes],
        [(i, j) for i, lane in enumerate(net.lanes) for j in lane.successors],
        neighbours(net),
    )
    drivable = rings(town.road)
    shift = torch.from_numpy(origin[:2])
    drivable = drivable.replace(points=(drivable.points.double() - shift).float())
    zebra = Polylines.of([torch.from_numpy(ring - origin[:2]) for ring, _ in town.walks.values()])
    markings = Polylines.of(
        [torch.from_numpy(_raised(line, hills, origin)) for line, _ in town.lines],
        [int(k) for _, k in town.lines],
        dims=3,
    )
    ground = Ground(_float(hills.origin - origin[:2]), hills.cell, _float(hills.z - origin[2]))
    return Map(lanes, drivable, zebra, markings, ground)


def signals(town: Town, plans: list[Plan], origin: np.ndarray, seconds: float) -> Signals:
    """A signal for every connector; those from one lane share a head."""
    net, hills, heads = town.net, town.hills, town.heads
    source = {c: i for i, lane in enumerate(net.lanes) if lane.street >= 0 for c in lane.successors}
    ruled = net.connectors()
    stop = np.stack([net.lanes[source[c]].line[-1] for c in ruled]) - origin[:2]
    head = np.stack([heads[source[c]] for c in ruled])
    head[:, 2] += hills.height(head[:, :2]) - origin[2]
    head[:, :2] -= origin[:2]
    head[:, 3] = (head[:, 3] + np.pi) % (2 * np.pi) - np.pi
    states = timetable(plans, net, ruled, max(seconds, SIGNAL_SECONDS))
    return Signals(torch.tensor(ruled), _float(stop), _float(head), torch.from_numpy(states.astype(np.int64)))


def scenery(stage: Stage, hills: Hills, origin: np.ndarray) -> Scenery:
    """Prisms stand on the lowest ground under them, a hand deeper; their tops keep their height above the middle."""
    base, height = [], []
    for ring, tall in zip(stage.rings, stage.heights, strict=True):
        z = hills.height(ring)
        base.append(z.min() - 0.2 - origin[2])
        height.append(tall + z.mean() - z.min() + 0.2)
    props = np.array([p[1:] for p in stage.props])
    xyz = np.column_stack([props[:, :2], hills.height(props[:, :2])]) - origin
    return Scenery(
        Polylines.of([torch.from_numpy(r - origin[:2]) for r in stage.rings], [int(m) for m in stage.materials]),
        _float(np.array(base)),
        _float(np.array(height)),
        _float(xyz),
        _float((props[:, 2] + np.pi) % (2 * np.pi) - np.pi),
        _float(props[:, 3:]),
        torch.tensor([int(Prop(p[0])) for p in stage.props]),
    )


def route(drive: Drive, origin: np.ndarray) -> Tensor:
    """The ego's path (R, 2), a point a metre, from 10 m behind its first pose on, as far as ROUTE and the town go."""
    path = drive.cast.drivers[0].path
    first, last = drive.s[0, 0], drive.s[0, 0] + route_length(drive.s[-1, 0] - drive.s[0, 0])
    line = path.xy[max(int(2 * first) - 20, 0) : int(2 * last) : 2]
    return _float(line - origin[:2])


def _raised(line: np.ndarray, hills: Hills, origin: np.ndarray) -> np.ndarray:
    return np.column_stack([line, hills.height(line)]) - origin


def _float(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x)).float()
