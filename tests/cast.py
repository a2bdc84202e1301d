"""A street whose every ray is known: lidar sweeps and photos of it, for tests of what is remembered.

Flat ground, a wall along y = 9, a parked car to the right that stands, an oncoming one to the left that moves; the ego
drives along +x at 4 m/s. Colours are a smooth pattern of the place on what was hit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from drivesim.memory.remembered import between
from drivesim.types import Camera, RecordedImage, RecordedSweep, Scenario, SensorLog

from .worlds import scenario, straight_road, track

WALL, HIGH = 9.0, 5.0
STEPS = 31
MOVER, PARKED = 1, 2
EYE = 2.0  # height of the lidar and the cameras [m]

_CAMERA_FROM_EGO = {
    "front": np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]),
    "left": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
}


@dataclass(frozen=True)
class Hits:
    """What rays meet first."""

    far: np.ndarray  # (n,) in lengths of the ray; inf: nothing
    owner: np.ndarray  # (n,) -1 for the standing world
    place: np.ndarray  # (n, 3) in the frame of what was hit


def street() -> Scenario:
    """The log, without sensors."""
    return scenario(
        track((0, 0), speed=4, steps=STEPS), track((30, 3.5), yaw=np.pi, speed=9, steps=STEPS),
        track((8, -3.2), steps=STEPS), map=straight_road(3),
    )  # fmt: skip


def boxes(s: Scenario) -> np.ndarray:
    return s.log.world_from_box.double().numpy()


def cast(s: Scenario, origin: np.ndarray, rays: np.ndarray, time: np.ndarray) -> Hits:
    """Rays (n, 3) from origin (n, 3), each at its own time (n,)."""
    far, owner, place = np.full(len(rays), np.inf), np.full(len(rays), -1), np.zeros((len(rays), 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        for t in (-origin[:, 2] / rays[:, 2], (WALL - origin[:, 1]) / rays[:, 1]):
            hit = origin + t[:, None] * rays
            good = (t > 0) & (t < far) & (hit[:, 2] > -1e-6) & (hit[:, 2] < HIGH) & (np.abs(hit[:, :2]) < 100).all(1)
            far[good], place[good] = t[good], hit[good]
    for moment in np.unique(time):
        rows = np.flatnonzero(time == moment)
        for a in (MOVER, PARKED):
            box = np.linalg.inv(between(boxes(s), moment / 0.1)[a])
            size = s.log.size[0, a].double().numpy()
            eye, ray = origin[rows] @ box[:3, :3].T + box[:3, 3], rays[rows] @ box[:3, :3].T
            low, high = np.array([-size[0] / 2, -size[1] / 2, 0]), np.array([size[0] / 2, size[1] / 2, size[2]])
            with np.errstate(divide="ignore", invalid="ignore"):
                one, two = (low - eye) / ray, (high - eye) / ray
            enter, leave = np.minimum(one, two).max(1), np.maximum(one, two).min(1)
            good = (enter < leave) & (enter > 0) & (enter < far[rows])
            k = rows[good]
            far[k], owner[k], place[k] = enter[good], a, (eye + enter[:, None] * ray)[good]
    return Hits(far, owner, place)


def ego_at(time: np.ndarray) -> np.ndarray:
    """Where the sensors are (n, 3)."""
    return np.stack([4 * time, 0 * time, EYE + 0 * time], -1)


def sweep(s: Scenario, time: float, told: bool = True, beams: int = 40) -> tuple[RecordedSweep, Hits]:
    """A turning lidar: directions behind the car are hit 0.05 s before and after `time`."""
    azimuth = np.linspace(-np.pi, np.pi, 600, endpoint=False)
    elevation = np.radians(np.linspace(-25, 8, beams))
    a, e = (x.ravel() for x in np.meshgrid(azimuth, elevation))
    rays = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], 1)
    moment = 0.005 * np.round(20 * a / (2 * np.pi))
    origin = ego_at(time + moment)
    found = cast(s, origin, rays, time + moment)
    good = found.far < 60
    points = torch.from_numpy((origin + found.far[:, None] * rays)[good].astype(np.float32))
    moments = torch.from_numpy(moment[good].astype(np.float32))
    seat = torch.from_numpy(ego_at(np.array(time)))
    kept = Hits(*(getattr(found, name)[good] for name in ("far", "owner", "place")))
    return RecordedSweep(time, seat, lambda: points, (lambda: moments) if told else None), kept


def camera(name: str, width: int = 128, height: int = 80, focal: float = 70.0, distortion=()) -> Camera:
    k = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float64)
    return Camera(name, width, height, k, torch.eye(4, dtype=torch.float64), distortion)


def pose(name: str, time: float) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = _CAMERA_FROM_EGO[name].T, ego_at(np.array(time))
    return out


def seen(s: Scenario, view: Camera, time: float) -> tuple[np.ndarray, Hits]:
    """The picture (h, w, 3) in 0..1 that a camera takes, and what its pixels hit."""
    from drivesim.camera import rays

    world = pose(view.name, time)
    directions = rays(view).numpy().reshape(-1, 3) @ world[:3, :3].T
    found = cast(s, np.broadcast_to(world[:3, 3], directions.shape), directions, np.full(len(directions), time))
    x, y, z = np.where(np.isfinite(found.far)[:, None], found.place, 0.0).T
    colour = np.stack([np.sin(1.3 * x + y), np.sin(0.9 * y + 2 * z), np.sin(0.7 * x - 1.1 * z)], 1)
    picture = 0.5 + 0.3 * colour * np.isfinite(found.far)[:, None]
    return picture.reshape(view.height, view.width, 3), found


def image(s: Scenario, view: Camera, time: float, gain: float = 1.0, paint=None) -> RecordedImage:
    """A photo; `paint` may draw over the picture."""
    picture = np.clip(255 * gain * seen(s, view, time)[0], 0, 255).astype(np.uint8)
    if paint is not None:
        paint(picture)
    shown = torch.from_numpy(picture).permute(2, 0, 1)
    return RecordedImage(view, time, torch.from_numpy(pose(view.name, time)), lambda: shown)


def recorded(s: Scenario, sweeps=(), images=None) -> Scenario:
    return replace(s, sensors=SensorLog(images or {}, tuple(sweeps)))
