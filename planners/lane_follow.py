"""A planner that really looks: it steers from the pixels of the front camera alone, by classical vision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from drivesim.camera import project
from drivesim.geometry import apply, invert
from drivesim.traffic.following import ease
from drivesim.types import Briefing, Camera, Observation, Plan

NEAR, FAR, SIDE = 5.0, 30.0, 7.0  # what is looked at of the ground, ego frame [m]
ROW, COLUMN = 0.25, 0.1  # its resolution [m]
HALF_LANE = 1.75  # prior of half a lane's width, and how sure it is [m]
HALF_LANE_SPREAD = 0.2


@dataclass
class LaneFollow:
    """Looks at the ground ahead as if from above, finds painted lines and the road's edge, and keeps between them.

    Nothing but the front camera's pixels and the ego's own speed is used: no map, no route, no other agents. It slows
    down in bends and where the road-coloured ground ahead ends (a car, a kerb). It does not turn at crossings and
    knows no lights. When it sees nothing it goes straight on.
    """

    cruise: float = 7.0  # [m/s]
    horizon: float = 3.0  # [s]
    sensors: tuple[str, ...] = ("front",)
    period: float = 0.1
    privileged: bool = False

    def reset(self, briefing: Briefing) -> None:
        self._dt = briefing.dt
        camera = max(briefing.cameras, key=lambda c: float(c.ego_from_camera[0, 2]))
        self._name, self._lookup = camera.name, _lookup(camera)
        self._path = np.array([0.0, 0.0, 0.0, HALF_LANE])

    def plan(self, observation: Observation) -> Plan:
        image = observation.frames[self._name].rgb.permute(1, 2, 0).numpy().astype(np.float32)
        speed = max(float(observation.ego.velocity[-1, 0]), 0.0)
        ground = _from_above(image, self._lookup)
        road = _road(ground)
        free = FAR
        if road is not None:
            self._path = _fit(*_borders(ground, road, self._path), self._path)
            free = _free(road | _paint(ground) | np.isnan(ground[..., 0]), self._path)
        else:
            self._path = np.array([0.0, 0.0, 0.0, HALF_LANE])
        return self._drive(speed, free)

    def _drive(self, speed: float, free: float) -> Plan:
        """Poses along the lane's centre; the present offset from it eases out."""
        a, b, c, _ = self._path
        bend = np.sqrt(2.0 / max(abs(2 * c), 1e-3))  # 2 m/s^2 of lateral acceleration
        stop = np.sqrt(2 * 2.0 * max(free - 9.0, 0.0))  # 2 m/s^2 of braking, 5 m before what is there
        target = min(self.cruise, bend, stop)
        steps = round(self.horizon / self._dt)
        x, places = 0.0, []
        for _ in range(steps):
            speed = float(np.clip(target, speed - 3.0 * self._dt, speed + 1.5 * self._dt))
            x += speed * self._dt
            places.append(x)
        x = torch.tensor(places)
        offset, lean = ease(torch.tensor(-a), torch.tensor(-b), x, max(2.0 * speed, 8.0))
        slope = b + 2 * c * x + lean
        poses = torch.stack([x, a + b * x + c * x * x + offset, torch.atan(slope)], -1)
        return Plan(poses.float(), torch.arange(1, steps + 1) * self._dt)


def _lookup(camera: Camera) -> np.ndarray:
    """Pixel (rows, columns, 2) of each place of the ground; NaN where the camera does not see it."""
    x = np.arange(NEAR, FAR, ROW)
    y = np.arange(SIDE, -SIDE - COLUMN / 2, -COLUMN)
    places = torch.from_numpy(np.stack([*np.meshgrid(x, y, indexing="ij"), np.zeros((len(x), len(y)))], -1))
    pixels, _ = project(camera, apply(invert(camera.ego_from_camera.double()), places.reshape(-1, 3)))
    pixels = pixels.reshape(len(x), len(y), 2).numpy()
    outside = (pixels < 0.5).any(-1) | (pixels > np.array([camera.width, camera.height]) - 0.5).any(-1)
    pixels[outside] = np.nan
    return pixels


def _from_above(image: np.ndarray, lookup: np.ndarray) -> np.ndarray:
    """The ground's colours (rows, columns, 3), bilinear; NaN where not seen."""
    place = lookup - 0.5
    known = np.isfinite(place).all(-1)
    x, y = np.where(known[..., None], place, 0.0).transpose(2, 0, 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, image.shape[1] - 1), np.minimum(y0 + 1, image.shape[0] - 1)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return np.where(known[..., None], top * (1 - fy) + bottom * fy, np.nan)


def _road(ground: np.ndarray) -> np.ndarray | None:
    """Which places have the colour of the ground right ahead; None in the dark."""
    columns = np.abs(_lateral()) < 1.0
    sample = ground[: int(5.0 / ROW), columns].reshape(-1, 3)
    sample = sample[np.isfinite(sample).all(-1)]
    if len(sample) < 50 or np.median(sample) < 5:
        return None
    typical = np.median(sample, 0)
    spread = 4.0 * 1.48 * np.median(np.abs(sample - typical), 0) + 14.0
    tint = (ground - ground.mean(-1, keepdims=True)) - (typical - typical.mean())
    return (np.abs(ground - typical) < spread).all(-1) & (np.abs(tint) < 12.0).all(-1)


def _paint(ground: np.ndarray) -> np.ndarray:
    """Narrow places brighter than the ground half a metre to both sides: painted lines."""
    light = ground.max(-1)
    k = int(0.5 / COLUMN)
    padded = np.pad(light, ((0, 0), (k, k)), constant_values=np.nan)
    beside = np.fmax(padded[:, : -2 * k], padded[:, 2 * k :])
    return light - beside > np.maximum(14.0, 0.12 * beside)


def _borders(ground: np.ndarray, road: np.ndarray, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) on the left and on the right border of the lane: per row the nearest line, else the road's edge."""
    y, paint = _lateral(), _paint(ground)
    blurred = np.stack([np.convolve(row, np.ones(5) / 5, "same") for row in (road | paint).astype(float)])
    found: tuple[list, list] = ([], [])
    for i, x in enumerate(np.arange(NEAR, FAR, ROW)):
        center = path[0] + path[1] * x + path[2] * x * x
        for side, points in zip((1, -1), found, strict=True):
            away = side * (y - center)
            line = paint[i] & (away > 0.9) & (away < 3.0)
            edge = (blurred[i] < 0.3) & (away > 0.9) & (away < 5.0) & np.isfinite(ground[i, :, 0])
            for mask in (line, edge):
                if mask.any():
                    nearest = away[mask].min()
                    group = mask & (away < nearest + 0.3)
                    points.append((x, float(y[group].mean() if mask is line else center + side * nearest)))
                    break
    return np.array(found[0]).reshape(-1, 2), np.array(found[1]).reshape(-1, 2)


def _fit(left: np.ndarray, right: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Centre y = a + b x + c x^2 and half width w that explain both borders, by robust least squares (Cauchy, 0.25 m).

    Without points it falls back to straight ahead; with them it stays near the lane of the frame `before`.
    """
    points = np.concatenate([left, right])
    side = np.concatenate([np.ones(len(left)), -np.ones(len(right))])
    prior = np.array([0.7 * before[0], 0.7 * before[1], 0.7 * before[2], HALF_LANE])
    strength = 1 / np.array([1.0, 0.1, 0.01, HALF_LANE_SPREAD]) ** 2
    x = points[:, 0] if len(points) else np.zeros(0)
    rows = np.stack([np.ones_like(x), x, x * x, side], -1)
    path = before.copy()
    for _ in range(8):
        miss = (points[:, 1] - rows @ path) if len(points) else np.zeros(0)
        weight = 1 / (1 + (miss / 0.25) ** 2)
        normal = rows.T @ (weight[:, None] * rows) + np.diag(strength)
        path = np.linalg.solve(normal, rows.T @ (weight * points[:, 1]) + strength * prior)
    path[3] = np.clip(path[3], 1.3, 2.3)
    return path


def _free(road: np.ndarray, path: np.ndarray) -> float:
    """How far [m] the strip that the car will sweep is road, or not seen: to the first metre that is something else."""
    y, blocked = _lateral(), 0
    for i, x in enumerate(np.arange(NEAR, FAR, ROW)):
        strip = np.abs(y - (path[0] + path[1] * x + path[2] * x * x)) < 0.9
        blocked = blocked + 1 if strip.any() and road[i, strip].mean() < 0.35 else 0
        if blocked * ROW >= 1.0:
            return float(x - 1.0)
    return FAR


def _lateral() -> np.ndarray:
    return np.arange(SIDE, -SIDE - COLUMN / 2, -COLUMN)
