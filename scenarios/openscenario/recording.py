"""The storyboard played with everybody as it says, the ego too: the log."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from drivesim.errors import InputError, NotDrivable
from drivesim.loading import Track, vehicle_of
from drivesim.loading.sanity import FASTEST
from drivesim.types import DT, Vehicle

from .bodies import Body
from .entities import Entity
from .player import Play
from .watching import PER_STEP

WORK = 2_000_000
"""Steps of bodies and looks at conditions that a play may take: some ten seconds of computing."""


@dataclass(frozen=True)
class Recording:
    """Samples of every entity that was ever there, in the coordinates of the road network."""

    tracks: dict[str, np.ndarray]  # (n, 10) time, x, y, z of the box's bottom, yaw, pitch, velocity x y, speed, there
    steps: int
    problems: list[str]
    gaps: frozenset[tuple[str, int]]  # who is put elsewhere in the middle of the story is absent for that one step


def record(play: Play, seconds: float) -> Recording:
    """Play until the stop trigger or for `seconds`, sampled every DT."""
    rows: dict[str, list[list[float]]] = {name: [] for name in play.bodies}
    last, work = round(seconds / DT), 0
    problems: list[str] = []
    ended: set[str] = set()
    gaps: set[tuple[str, int]] = set()
    for k in range(last + 1):
        for name, body in play.bodies.items():
            if body.present:
                row = sample(body, play.entities[name], k * DT)
                if name != play.board.ego and rows[name] and _jumps(rows[name][-1], row):
                    gaps.add((name, k))
                else:
                    rows[name].append(row)
            if body.ended and name not in ended:
                ended.add(name)
                problems.append(f"{name} comes to the end of its road at {play.time:.1f} s and stands there")
        for _ in range(PER_STEP if k < last else 0):
            play.tick()
            work += sum(b.present for b in play.bodies.values()) + len(play.board.conditions)
            if work > WORK:
                raise NotDrivable(
                    f"{play.board.file}: takes too long to play: {len(play.bodies)} entities and "
                    f"{len(play.board.conditions)} conditions for {seconds:g} s; lower scenarios.seconds"
                )
            if play.over:
                break
        if play.over:
            break
    if not play.over:
        problems.append(f"its stop trigger does not come within {seconds:g} s: it ends there")
    tracks = {name: np.array(x) for name, x in rows.items() if x}
    problems += [f"{name} never appears" for name in rows if name not in tracks]
    return Recording(tracks, k + 1, problems + play.told, frozenset(gaps))


def _jumps(before: list[float], after: list[float]) -> bool:
    """Whether no body can have come from one sample to the next."""
    far = math.hypot(after[1] - before[1], after[2] - before[2])
    return after[0] - before[0] < 1.5 * DT and far > FASTEST * DT


def sample(body: Body, entity: Entity, time: float) -> list[float]:
    """Time, the box's pose (middle of its bottom) and velocity."""
    x, y, z, yaw, velocity = box(body, entity)
    return [time, x, y, z, yaw, body.spot.pitch, *velocity]


def box(body: Body, entity: Entity) -> tuple[float, float, float, float, tuple[float, float]]:
    """x, y, z of the middle of the box's bottom, yaw, and the velocity of its centre."""
    forward, left, up = entity.center
    c, s = math.cos(body.yaw), math.sin(body.yaw)
    dx, dy = c * forward - s * left, s * forward + c * left
    rise = -math.tan(body.spot.pitch) * forward
    vx, vy = body.velocity
    if math.hypot(vx, vy) > abs(body.speed) * 1.5 + 2.0:  # put there, not driven
        vx, vy, turning = body.speed * c, body.speed * s, 0.0
    else:
        turning = body.turning if abs(body.turning) < 5.0 else 0.0
    z = body.z + rise + up - entity.size[2] / 2
    return body.x + dx, body.y + dy, z, body.yaw, (vx - turning * dy, vy + turning * dx)


def track_of(name: str, rows: np.ndarray, entity: Entity, origin: np.ndarray) -> Track:
    size = np.array(entity.size)
    level = np.zeros(len(rows))
    return Track(
        name, entity.kind, size, rows[:, 0], rows[:, 1:4] - origin, rows[:, 4], rows[:, 5], level, rows[:, 6:8]
    )


def vehicle(entity: Entity) -> Vehicle:
    """The ego's body, with axles as the file has them."""
    length, width, height = entity.size
    usual = vehicle_of(length, width, height)
    if entity.front is None or entity.front - entity.rear < 0.3:
        return usual
    return Vehicle(length, width, height, entity.front - entity.rear, entity.center[0] - entity.rear)


def axle(entity: Entity, car: Vehicle) -> float:
    """The rear axle ahead of the reference point [m], where the ego's frame is."""
    return entity.center[0] - car.rear_axle_to_center


def ego_entity(entity: Entity, problems: list[str]) -> Entity:
    """The ego with its box on the ground and its axles in the middle, as the simulator's vehicles have them."""
    forward, left, _ = entity.center
    if abs(left) > 0.05:
        problems.append(f"the ego's box lies {left:+.2f} m beside its axles: taken for centred")
    if max(entity.size) >= 100 or min(entity.size) < 0.1:
        raise InputError(f"{entity.name}: a box of {' x '.join(f'{x:g}' for x in entity.size)} m is no vehicle")
    return replace(entity, center=(forward, 0.0, entity.size[2] / 2))
