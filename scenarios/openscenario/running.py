"""Actions that take time, as immutable values that are stepped: one for the speed and one for the way of an entity."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple, Protocol

from .actions import KeepDistance, OffsetLane, SetSpeed, Synchronize
from .bodies import Body
from .checks import Measure, World
from .nodes import LARGEST
from .positions import Position
from .profiles import share

GRIP, RIGID = 1.0, 10.0
"""Stiffness [1/s] with which a distance is kept: critically damped, settled within a few seconds; and without limits of
acceleration, where the standard wants it to be kept at once."""


class Stage(Protocol):
    """Something that sets the speed."""

    def step(self, name: str, world: World, dt: float) -> tuple[float, Stage | None]:
        """The speed after `dt` seconds and the stage then, None when it is done."""
        ...


class Ramp(NamedTuple):
    """A SpeedAction under way."""

    spec: SetSpeed
    start: float
    duration: float
    elapsed: float = 0.0

    def step(self, name: str, world: World, dt: float) -> tuple[float, Ramp | None]:
        elapsed = self.elapsed + dt
        target = target_speed(self.spec, world)
        done = elapsed >= self.duration - 1e-9
        part = 1.0 if done else share(self.spec.dynamics.shape, elapsed / self.duration)
        speed = self.start + (target - self.start) * part
        stays = self.spec.continuous and bool(self.spec.reference)
        return speed, None if done and not stays else self._replace(elapsed=elapsed)


class Stages(NamedTuple):
    """A SpeedProfileAction under way."""

    speeds: tuple[float, ...]  # the first is the one at its start
    ends: tuple[float, ...]  # seconds at which each is reached, the first 0
    elapsed: float = 0.0

    def step(self, name: str, world: World, dt: float) -> tuple[float, Stages | None]:
        elapsed = self.elapsed + dt
        if elapsed >= self.ends[-1] - 1e-9:
            return self.speeds[-1], None
        i = bisect_right(self.ends, elapsed)
        part = (elapsed - self.ends[i - 1]) / (self.ends[i] - self.ends[i - 1])
        return self.speeds[i - 1] + part * (self.speeds[i] - self.speeds[i - 1]), self._replace(elapsed=elapsed)


class Gap(NamedTuple):
    """A LongitudinalDistanceAction under way: a spring towards the distance, within the limits."""

    spec: KeepDistance
    side: int

    def step(self, name: str, world: World, dt: float) -> tuple[float, Gap | None]:
        spec, body, other = self.spec, world.bodies[name], world.bodies[self.spec.reference]
        way = Measure(spec.freespace, "road", "longitudinal").between(name, spec.reference, world)
        if way is None:
            way = Measure(spec.freespace, "entity", "longitudinal").between(name, spec.reference, world)
        if way is None:
            return body.speed, None if not spec.continuous else self
        wanted = spec.distance if spec.distance is not None else (spec.seconds or 0.0) * body.speed
        beyond = way + self.side * wanted  # metres to go until the distance is as wanted
        grip = GRIP if spec.acceleration < LARGEST else RIGID
        pull = grip * grip * beyond + 2 * grip * (other.speed - body.speed)
        speed = body.speed + min(max(pull, -spec.deceleration), spec.acceleration) * dt
        speed = min(max(speed, 0.0), spec.fastest)
        done = abs(beyond) < 0.1 and abs(other.speed - speed) < 0.1 and not spec.continuous
        return (other.speed if done else speed), None if done else self


class Sync(NamedTuple):
    """A SynchronizeAction under way: at every step the speed profile of least change that arrives in time."""

    spec: Synchronize

    def step(self, name: str, world: World, dt: float) -> tuple[float, Sync | None]:
        spec, body, master = self.spec, world.bodies[name], world.bodies[self.spec.master]
        far = distance_to(spec.master, spec.there, world) - spec.tolerances[0]
        near = distance_to(name, spec.here, world) - spec.tolerances[1]
        left = far / master.speed if master.speed > 1e-3 else math.inf
        final = final_speed(spec, master)
        if far <= 0 or left <= dt or near <= 0:
            return (body.speed if final is None else final), None
        if math.isinf(left):
            return body.speed, self
        if final is None:
            pull = 2 * (near - body.speed * left) / left**2
        else:
            pull = (6 * near - (4 * body.speed + 2 * final) * left) / left**2
        return max(body.speed + pull * dt, 0.0), self


def target_speed(spec: SetSpeed, world: World) -> float:
    if not spec.reference:
        return spec.value
    base = world.bodies[spec.reference].speed
    return base * spec.value if spec.factor else base + spec.value


def final_speed(spec: Synchronize, master: Body) -> float | None:
    if spec.final is None or not spec.relative:
        return spec.final
    return master.speed * spec.final if spec.relative == "factor" else master.speed + spec.final


def distance_to(name: str, position: Position, world: World) -> float:
    """Metres to go to a place: along the trajectory that is followed, along the lanes, else straight; 0 when passed."""
    body, place = world.bodies[name], world.place(position)
    track = world.track_of(name)
    if track is not None:
        return track.nearest(place.x, place.y) - track.done
    road = world.lines.road_of(place.spot)
    if body.line is not None and road is not None and math.cos(body.turned) > 0:
        way = world.lines.ahead(body.line, body.spot.u, road[0], road[1], body.route)
        if way is not None:
            return way
    dx, dy = place.x - body.x, place.y - body.y
    ahead = dx * math.cos(body.yaw) + dy * math.sin(body.yaw)
    return math.hypot(dx, dy) if ahead > 0 else 0.0


class Shift(NamedTuple):
    """A lane change or lane offset under way: the distance from the lane's middle goes from one to another."""

    start: float
    end: float
    shape: str
    duration: float  # [s], or [m] where `by_way`
    by_way: bool = False
    elapsed: float = 0.0
    follow: OffsetLane | None = None  # whose reference is tracked after its end

    def step(self, name: str, world: World, dt: float, way: float) -> tuple[float, Shift | None]:
        """The distance from the middle after `dt` seconds and `way` metres."""
        elapsed = self.elapsed + (abs(way) if self.by_way else dt)
        done = elapsed >= self.duration - 1e-9
        part = 1.0 if done else share(self.shape, elapsed / self.duration)
        end = self.end
        if self.follow is not None:
            end = self.follow.offset + world.bodies[self.follow.reference].spot.offset
        offset = self.start + (end - self.start) * part
        return offset, None if done and self.follow is None else self._replace(elapsed=elapsed)


class Track(NamedTuple):
    """A trajectory under way."""

    points: tuple[tuple[float, float, float, float | None], ...]  # x, y, z, yaw where the file has one
    way: tuple[float, ...]  # metres from the first point
    times: tuple[float, ...]  # seconds from the action's start; () where the entity's own speed counts
    done: float = 0.0  # metres, or seconds where there are times

    @property
    def over(self) -> bool:
        return self.done >= (self.times or self.way)[-1] - 1e-9

    @property
    def waiting(self) -> bool:
        return bool(self.times) and self.done < self.times[0]

    def at(self) -> tuple[float, float, float, float]:
        """x, y, z, yaw now."""
        scale = self.times or self.way
        i = min(max(bisect_right(scale, self.done) - 1, 0), len(scale) - 2)
        part = min(max((self.done - scale[i]) / max(scale[i + 1] - scale[i], 1e-12), 0.0), 1.0)
        (x0, y0, z0, yaw0), (x1, y1, z1, yaw1) = self.points[i], self.points[i + 1]
        if yaw0 is not None and yaw1 is not None:
            turn = (yaw1 - yaw0 + math.pi) % (2 * math.pi) - math.pi
            yaw = yaw0 + part * turn
        else:
            yaw = self._direction(i)
        return x0 + part * (x1 - x0), y0 + part * (y1 - y0), z0 + part * (z1 - z0), yaw

    def speed(self) -> float:
        """Of a timed trajectory, now [m/s]."""
        i = min(max(bisect_right(self.times, self.done) - 1, 0), len(self.times) - 2)
        if self.waiting:
            return 0.0
        return (self.way[i + 1] - self.way[i]) / (self.times[i + 1] - self.times[i])

    def nearest(self, x: float, y: float) -> float:
        """Metres along it of the place nearest to a point."""
        best, found = math.inf, 0.0
        for (ax, ay, *_), (bx, by, *_), a, b in zip(self.points, self.points[1:], self.way, self.way[1:], strict=False):
            span = max((b - a) ** 2, 1e-12)
            part = min(max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / span, 0.0), 1.0)
            far = math.hypot(x - ax - part * (bx - ax), y - ay - part * (by - ay))
            if far < best:
                best, found = far, a + part * (b - a)
        return found

    def _direction(self, i: int) -> float:
        """Of the nearest segment that has a length."""
        order = sorted(range(len(self.points) - 1), key=lambda j: (abs(j - i), j))
        j = next((j for j in order if self.way[j + 1] - self.way[j] > 1e-6), i)
        (x0, y0, *_), (x1, y1, *_) = self.points[j], self.points[j + 1]
        return math.atan2(y1 - y0, x1 - x0)
