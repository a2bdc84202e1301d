"""The ego's poses and everybody's boxes as tracks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from drivesim.geometry import rotation_from_quaternion, transform
from drivesim.loading import Track
from drivesim.loading.sanity import FARTHEST
from drivesim.types import Kind, Vehicle

from .logs import Excerpt

VEHICLE = Vehicle()
"""The Chrysler Pacifica, whose measures nuplan-devkit's `get_pacifica_parameters` states."""

AXLE = 0.44
"""Height [m] of the logged frame, which sits at the rear axle, above the ground where a log cannot tell: by its lidar
the centre of the Pacifica's box, 1.777 m high, lies 0.45 m above that frame (py123d, `nuplan_constants.py`)."""

LOWEST, HIGHEST, FEWEST = 0.2, 0.7, 5

TRUCK = 6.5
"""The category `vehicle` covers lorries and buses too; longer boxes [m] are no cars."""

_KINDS = {
    "vehicle": Kind.CAR,
    "bicycle": Kind.BICYCLE,
    "pedestrian": Kind.PEDESTRIAN,
    "traffic_cone": Kind.CONE,
    "barrier": Kind.BARRIER,
}  # czone_sign, generic_object and what the format may add are objects


def axle_height(log: Excerpt) -> tuple[float, bool]:
    """How far [m] the logged frame lies above the ground, and whether the log tells: by the bottoms of at least FEWEST
    vehicles while they are within 20 m, whose median neither a slope nor a kerb moves."""
    mine = (log.category == "vehicle") & np.isfinite(log.boxes).all(1)
    boxes, tracks = log.boxes[mine], log.track[mine]
    x, y, z = (np.interp(boxes[:, 0], log.time, log.ego[:, i]) for i in range(3))
    near = np.hypot(boxes[:, 1] - x, boxes[:, 2] - y) < 20.0
    above = (z - boxes[:, 3] + boxes[:, 6] / 2)[near]
    heights = [np.median(above[tracks[near] == track]) for track in np.unique(tracks[near])]
    height = float(np.median(heights)) if len(heights) >= FEWEST else np.nan
    return (height, True) if LOWEST <= height <= HIGHEST else (AXLE, False)


def ground_poses(poses: np.ndarray, height: float) -> Tensor:
    """(n, 4, 4) float64 in the log's coordinates of the ego frame on the ground, from rows x, y, z, qw, qx, qy, qz."""
    values = torch.from_numpy(np.ascontiguousarray(poses))
    down = torch.eye(4, dtype=torch.float64)
    down[2, 3] = -height
    return transform(rotation_from_quaternion(values[:, 3:]), values[:, :3]) @ down


def ego_track(log: Excerpt, world_from_ego: Tensor) -> Track:
    xy, z, yaw, pitch, roll = VEHICLE.box_from_ego(world_from_ego)
    xyz = torch.cat([xy, z[:, None]], -1).numpy()
    size = np.array([VEHICLE.length, VEHICLE.width, VEHICLE.height])
    return Track("ego", Kind.CAR, size, log.time, xyz, yaw.numpy(), pitch.numpy(), roll.numpy())


def other_tracks(log: Excerpt, origin: np.ndarray) -> list[Track]:
    """Everybody else, by token. The logged velocities are left aside: a network guessed them for each frame, and the
    schema warns that they may not agree with the positions."""
    if not len(log.track):
        return []
    order = np.lexsort((log.boxes[:, 0], log.track))
    names, first = np.unique(log.track[order], return_index=True)
    tracks = []
    for name, rows in zip(names.tolist(), np.split(order, first[1:]), strict=True):
        boxes = log.boxes[rows]
        boxes = boxes[np.concatenate([[True], ~(np.diff(boxes[:, 0]) <= 0)])]  # a frame holds a track once
        size, kind = np.median(boxes[:, 4:7], axis=0), _KINDS.get(str(log.category[rows[0]]), Kind.OBJECT)
        if kind == Kind.CAR and size[0] > TRUCK:
            kind = Kind.TRUCK
        xyz = boxes[:, 1:4] - origin
        xyz[:, 2] -= boxes[:, 6] / 2
        tracks.append(Track.flat(name, kind, size, boxes[:, 0], xyz, boxes[:, 7]))
    return tracks


def on_wheels(tracks: list[Track]) -> list[Track]:
    """Cars and lorries whose places are sound: they show where the road is."""
    return [t for t in tracks if t.kind in (Kind.CAR, Kind.TRUCK) and bool((np.abs(t.xyz) < FARTHEST).all())]
