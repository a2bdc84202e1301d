"""What is measured of each evaluated agent at each step, in the log and in every rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivesim.types import Agents, Scene

from .interaction import nearest_object, time_to_collision
from .kinematics import angular, linear
from .road import edge_distance, red_light_runs


@dataclass(frozen=True, eq=False)
class Tracks:
    """Boxes of A agents over T steps, history included, in R rollouts; NaN where absent."""

    xyz: np.ndarray  # (R, A, T, 3) middle of the bottom [m]
    boxes: np.ndarray  # (R, A, T, 5) x, y, yaw, length, width
    there: np.ndarray  # (R, A, T) bool

    @staticmethod
    def of(drives: Sequence[Agents], steps: int) -> Tracks:
        """From drives (T, A) of the same agents, cut or filled up with nobody to `steps`."""
        parts = [_arrays(drive, steps) for drive in drives]
        xyz, boxes, there = (np.stack(x) for x in zip(*parts, strict=True))
        there &= np.isfinite(boxes).all(-1)
        return Tracks(np.where(there[..., None], xyz, np.nan), np.where(there[..., None], boxes, np.nan), there)


@dataclass(frozen=True, eq=False)
class Features:
    """Of E agents over N simulated steps in R rollouts, each (R, E, N); NaN where not defined."""

    there: np.ndarray  # bool
    linear_speed: np.ndarray  # [m/s]
    linear_acceleration: np.ndarray  # [m/s^2]
    angular_speed: np.ndarray  # [rad/s]
    angular_acceleration: np.ndarray  # [rad/s^2]
    distance_to_nearest_object: np.ndarray  # [m]
    time_to_collision: np.ndarray  # [s]
    distance_to_road_edge: np.ndarray  # [m], positive off the road
    traffic_light_violation: np.ndarray  # bool

    @property
    def collision_indication(self) -> np.ndarray:
        return self.distance_to_nearest_object < 0  # boxes that touch do not collide

    @property
    def offroad_indication(self) -> np.ndarray:
        return self.distance_to_road_edge > 0


def measure(tracks: Tracks, who: np.ndarray, start: int, scene: Scene) -> Features:
    """Features of agents `who` (E,) among `tracks` at the steps after `start`."""
    dt, after = scene.briefing.dt, slice(start + 1, None)
    speed, acceleration = linear(tracks.xyz[:, who], dt)
    turn, turn_change = angular(tracks.boxes[:, who][..., 2], dt)
    flat_speed, _ = linear(tracks.boxes[..., :2], dt)
    boxes, there = tracks.boxes[:, :, after], tracks.there[:, :, after]
    own, own_there = boxes[:, who], there[:, who]
    red = red_light_runs(tracks.boxes[:, who, :, :2], scene.map.lanes, scene.signals)
    return Features(
        there=own_there,
        linear_speed=speed[..., after],
        linear_acceleration=acceleration[..., after],
        angular_speed=turn[..., after],
        angular_acceleration=turn_change[..., after],
        distance_to_nearest_object=nearest_object(boxes, there, who),
        time_to_collision=time_to_collision(boxes, flat_speed[..., after], there, who),
        distance_to_road_edge=edge_distance(own, own_there, scene.map),
        traffic_light_violation=red[..., after],
    )


def displacement(tracks: Tracks, log: Tracks, who: np.ndarray, start: int) -> np.ndarray:
    """Mean distance (R, E) [m] from the logged places at the steps after `start` at which both are there."""
    apart = tracks.xyz[:, who, start + 1 :] - log.xyz[:, who, start + 1 :]
    apart = np.sqrt((apart**2).sum(-1))
    both = ~np.isnan(apart)
    return np.where(both.any(-1), np.nansum(apart, -1) / np.maximum(both.sum(-1), 1), np.nan)


def _arrays(drive: Agents, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """xyz (A, T, 3), boxes (A, T, 5) and whether there (A, T)."""
    columns = [*drive.xy.unbind(-1), drive.z, drive.yaw, drive.size[..., 0], drive.size[..., 1]]
    x, y, z, yaw, length, width = (_filled(column.double().numpy().T, steps, np.nan) for column in columns)
    there = _filled(drive.valid.numpy().T, steps, False)
    return np.stack([x, y, z], -1), np.stack([x, y, yaw, length, width], -1), there


def _filled(values: np.ndarray, steps: int, empty: float) -> np.ndarray:
    out = np.full((len(values), steps), empty, values.dtype)
    out[:, : values.shape[1]] = values[:, :steps]
    return out
