"""What two bodies do to each other where they meet: impulses between rigid boxes in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from drivesim.types import Agents, Kind

RESTITUTION = 0.1
"""Of the closing speed, left as parting speed: crashes have 0 to 0.3, the less the faster (Antonetti 1998,
SAE 980552; Brach and Brach, Vehicle Accident Analysis and Reconstruction Methods)."""

FRICTION = 0.5
"""Between two bodies that scrape along each other; reconstructions use 0.3 to 0.6 (Brach and Brach), 0.5 [E]."""

CRUSH = 0.2
"""Depth at which the impulse acts on average [m]; it makes the place of contact change smoothly with the angle [E]."""

ROUNDS = 30
"""Of impulses over all contacts: a pile of cars takes several until nobody drives into anybody."""

SETTLED = 1e-3
"""Closing speed that counts as none [m/s]."""

PUSH = 0.2
"""Most by which boxes that still overlap after their impulse are moved apart in a step [m]."""

#                     kg    kg/m^3 of the box
MASS: dict[Kind, tuple[float, float]] = {
    Kind.CAR:          (0.0, 115.0),
    Kind.TRUCK:        (0.0, 150.0),
    Kind.BUS:          (0.0, 150.0),
    Kind.TRAILER:      (0.0, 130.0),
    Kind.CONSTRUCTION: (0.0, 210.0),
    Kind.MOTORCYCLE:   (285.0, 0.0),
    Kind.BICYCLE:      (90.0, 0.0),
    Kind.PEDESTRIAN:   (75.0, 0.0),
    Kind.ANIMAL:       (30.0, 0.0),
    Kind.CONE:         (3.2, 0.0),
    Kind.BARRIER:      (0.0, 1200.0),
    Kind.OBJECT:       (0.0, 100.0),
}  # fmt: skip
"""Vehicles by the volume of their box, because logs call vans and lorries cars: kerb weight and driver over
length x width x height of VW Golf, Toyota Camry, Tesla Model 3, BMW X5, Ford F-150, Chrysler Pacifica: 93 to 147, mean
115; a half laden 18 t lorry of 9.5 x 2.5 x 3.6 m and a half full Mercedes Citaro 150; a half laden 13.6 m trailer 130;
a wheel loader of 13 t 210. With rider: motorcycle 210 kg, bicycle 15 kg; a rider, a walker 75 kg. A cone of 28 inches 7
lb. Barriers: New Jersey profile, 400 lb/ft in a box of 0.61 x 0.81 m. Animals, other objects [E]."""


@dataclass
class Bodies:
    """Boxes as numbers to be written into; each (A, ...) float64."""

    xy: np.ndarray  # (A, 2) centre [m]
    yaw: np.ndarray  # (A,)
    velocity: np.ndarray  # (A, 2) of the centre [m/s]
    spin: np.ndarray  # (A,) yaw rate [rad/s]
    size: np.ndarray  # (A, 2) length, width [m]
    mass: np.ndarray  # (A,) [kg]

    @staticmethod
    def of(agents: Agents, spin: Tensor) -> Bodies:
        """Agents (A,) that turn at `spin` (A,); the mass lies evenly in the box, the centre of gravity in its middle.

        Gradients end here: an impact is a jump.
        """
        fixed, dense = np.array([MASS[kind] for kind in Kind])[agents.kind.numpy()].T
        box = agents.size.detach().double().clamp_min(0.05).numpy()  # a box without extent still has a mass
        numbers = (x.detach().double().numpy().copy() for x in (agents.xy, agents.yaw, agents.velocity, spin))
        return Bodies(*numbers, box[:, :2].copy(), np.maximum(fixed + dense * box.prod(-1), 1.0))

    @property
    def inertia(self) -> np.ndarray:
        """About the vertical through the centre (A,) [kg m^2]: m (l^2 + w^2) / 12."""
        return self.mass * (self.size**2).sum(-1) / 12

    def energy(self) -> float:
        """Kinetic [J]."""
        return float((self.mass * (self.velocity**2).sum(-1) + self.inertia * self.spin**2).sum() / 2)

    def corners(self, i: int) -> np.ndarray:
        """(4, 2) in order round the box."""
        half = self.size[i, :, None] / 2 * _axes(self.yaw[i])
        return self.xy[i] + np.array([half[0] + half[1], half[0] - half[1], -half[0] - half[1], half[1] - half[0]])

    def moves(self, i: int, arm: np.ndarray) -> np.ndarray:
        """Velocity (2,) of the point of body i at `arm` (2,) from its centre."""
        return self.velocity[i] + self.spin[i] * _left(arm)


class Touch(NamedTuple):
    """Two bodies in contact."""

    i: int
    j: int
    normal: np.ndarray  # (2,) from i to j
    arms: tuple[np.ndarray, np.ndarray]  # (2,) from each centre to where they meet
    ago: float  # when they met [s]


def collide(bodies: Bodies, pairs: Sequence[tuple[int, int]], dt: float) -> None:
    """Let pairs that overlap after a step of `dt` exchange momentum, and put them where they would be by now.

    Bodies go back to the moment at which they met and make its time good with the velocity after the impact.
    """
    touches = [touch for i, j in pairs if (touch := meeting(bodies, i, j, dt)) is not None]
    for _ in range(ROUNDS):
        if max([_exchange(bodies, touch) for touch in touches], default=0.0) < SETTLED:
            break
    _part(bodies, pairs)


def meeting(bodies: Bodies, i: int, j: int, dt: float) -> Touch | None:
    """How bodies i and j met within the last `dt`; None if they do not touch.

    Of the sides through which the boxes can have entered each other, the one that they came through last is the one
    where they met: least depth over closing speed. The deepest overlap alone would call a fast rear-end impact a
    scrape. Bodies that have been in each other for longer, or part, touch at the nearest side.
    """
    normals, depth = _sides(bodies, i, j)
    if depth.min() < 0:
        return None
    middle = shared(bodies.corners(i), bodies.corners(j))
    ways = [bodies.moves(k, middle - bodies.xy[k]) for k in (i, j)]
    closing = normals @ (ways[0] - ways[1])
    ago = np.where(closing > SETTLED, depth / np.maximum(closing, SETTLED), np.inf)
    side = int(ago.argmin())
    if ago[side] > 1.5 * dt:
        side = int(depth.argmin())
        ago[side] = dt if closing[side] > SETTLED else 0.0
    back = min(max(depth[side] - CRUSH, 0.0) / max(closing[side], SETTLED), ago[side])
    place = shared(bodies.corners(i) - back * ways[0], bodies.corners(j) - back * ways[1])
    arms = tuple(place - bodies.xy[k] + back * way for k, way in zip((i, j), ways, strict=True))
    return Touch(i, j, normals[side], arms, min(float(ago[side]), dt))


def depth_of(bodies: Bodies, i: int, j: int) -> float:
    """How far boxes i and j are in each other [m]; negative: at least so far apart."""
    return float(_sides(bodies, i, j)[1].min())


def shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Centre (2,) of the area that two boxes (4, 2) share; between their centres if there is none."""
    from shapely.geometry import Polygon

    area = Polygon(a).intersection(Polygon(b))
    if area.is_empty:
        return (a.mean(0) + b.mean(0)) / 2
    return np.array([area.centroid.x, area.centroid.y])


def _exchange(bodies: Bodies, touch: Touch) -> float:
    """One impulse; returns the closing speed before it [m/s].

    Chatterjee and Ruina 1998 (J. Applied Mechanics 65, 939) without tangential restitution: between the impulse that
    stops the bodies along the normal and the one at which they stick, as far as Coulomb's friction allows. Unlike
    Newton's restitution with friction it never adds energy.
    """
    i, j, normal, arms, ago = touch
    speed = bodies.moves(i, arms[0]) - bodies.moves(j, arms[1])
    closing = float(normal @ speed)
    if closing <= 0:
        return 0.0
    give = np.zeros((2, 2))  # relative velocity per impulse
    for k, arm in zip((i, j), arms, strict=True):
        give += np.eye(2) / bodies.mass[k] + np.outer(_left(arm), _left(arm)) / bodies.inertia[k]
    stop = closing / (normal @ give @ normal)
    stick = np.linalg.solve(give, speed)
    aside, pressed = abs(float(_left(normal) @ stick)), float(normal @ stick) - stop
    share = 1.0
    if aside > FRICTION * ((1 + RESTITUTION) * stop + pressed):
        share = FRICTION * (1 + RESTITUTION) * stop / (aside - FRICTION * pressed)
    impulse = (1 + RESTITUTION) * stop * normal + share * (stick - stop * normal)
    for k, arm, sign in ((i, arms[0], -1.0), (j, arms[1], 1.0)):
        change, turn = sign * impulse / bodies.mass[k], sign * float(_left(arm) @ impulse) / bodies.inertia[k]
        bodies.velocity[k] += change
        bodies.spin[k] += turn
        bodies.xy[k] += ago * change
        bodies.yaw[k] += ago * turn
    return closing


def _part(bodies: Bodies, pairs: Sequence[tuple[int, int]]) -> None:
    """Move apart what still overlaps, the lighter body more; the common centre of gravity stays."""
    left = dict.fromkeys(pairs, PUSH)
    for _ in range(ROUNDS):
        moved = False
        for i, j in pairs:
            normals, depth = _sides(bodies, i, j)
            side = int(depth.argmin())
            push = min(float(depth[side]) + 1e-4, left[i, j])
            if depth[side] < 0 or push <= 0:
                continue
            moved, left[i, j] = True, left[i, j] - push
            share = bodies.mass[j] / (bodies.mass[i] + bodies.mass[j])
            bodies.xy[i] -= share * push * normals[side]
            bodies.xy[j] += (1 - share) * push * normals[side]
        if not moved:
            break


def _sides(bodies: Bodies, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions (8, 2) from i to j across the sides of both boxes, and how deep they are in each other along each."""
    axes = np.concatenate([_axes(bodies.yaw[i]), _axes(bodies.yaw[j])])
    normals = np.concatenate([axes, -axes])
    return normals, (bodies.corners(i) @ normals.T).max(0) - (bodies.corners(j) @ normals.T).min(0)


def _axes(yaw: float) -> np.ndarray:
    """Ahead and left (2, 2)."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s], [-s, c]])


def _left(vector: np.ndarray) -> np.ndarray:
    """Turned by 90 degrees counter-clockwise (2,)."""
    return np.array([-vector[1], vector[0]])
