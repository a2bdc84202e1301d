"""What an action does at the moment it starts: at once, or by setting something running."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from drivesim.errors import InputError

from . import actions
from .bodies import Body
from .distances import in_frame
from .expressions import spelled, typed
from .lines import Lines
from .positions import next_lane, place, waypoint_keys
from .running import Gap, Ramp, Shift, Stages, Sync, Track, target_speed

if TYPE_CHECKING:
    from .player import Play

SHARPNESS = {"sinusoidal": math.pi**2 / 2, "cubic": 6.0, "linear": 4.0}
"""Largest lateral acceleration of each shape for 1 m in 1 s; a linear one is taken as two parabolas would have it."""


def start(play: Play, spec: actions.Act, name: str, number: int) -> None:
    """Start an action for an entity; `number` is the action's element, -1 before the story."""
    if isinstance(spec, actions.SetSpeed | actions.SpeedProfile | actions.KeepDistance | actions.Synchronize):
        _speed(play, spec, name, number)
    elif isinstance(spec, actions.ChangeLane):
        _change_lane(play, spec, name, number)
    elif isinstance(spec, actions.OffsetLane):
        _offset_lane(play, spec, name, number)
    elif isinstance(spec, actions.FollowTrajectory):
        _follow(play, spec, name, number)
    elif isinstance(spec, actions.Teleport):
        body = play.bodies[name]
        spot = place(spec.position, play.lines, play.bodies)
        play.bodies[name] = body._replace(spot=spot, present=True, ended=0.0, jumped=True)
    elif isinstance(spec, actions.TakeRoute):
        _route(play, spec, name)


def start_global(play: Play, spec: actions.Act) -> None:
    """Start an action that has no actor."""
    if isinstance(spec, actions.Presence):
        body = play.bodies[spec.entity]
        if spec.position is None:
            play.drop(spec.entity)
            play.bodies[spec.entity] = body._replace(present=False, speed=0.0, acceleration=0.0)
        else:
            spot = place(spec.position, play.lines, play.bodies)
            play.bodies[spec.entity] = Body(spot, present=True, jumped=True)
    elif isinstance(spec, actions.SetValue):
        play.variables[spec.name] = _changed(play.variables.get(spec.name, "0"), spec)


def _changed(now: str, spec: actions.SetValue) -> str:
    if spec.operation == "set":
        return spec.value
    a, b = typed(now), float(spec.value)
    if isinstance(a, str):
        raise InputError(f"the value of {spec.name}, '{now[:40]}', is no number: it cannot be added to or multiplied")
    return spelled(a + b if spec.operation == "add" else a * b)


def _speed(play: Play, spec: actions.Act, name: str, number: int) -> None:
    body = play.bodies[name]
    if isinstance(spec, actions.KeepDistance):
        other = play.bodies[spec.reference]
        leads = in_frame(body, other.x, other.y)[0] < 0
        play.set_speed(name, number, Gap(spec, spec.side or (1 if leads else -1)))
        return
    if isinstance(spec, actions.Synchronize):
        play.set_speed(name, number, Sync(spec))
        return
    if isinstance(spec, actions.SpeedProfile):
        base = play.bodies[spec.reference].speed if spec.reference else 0.0
        speeds, ends = [body.speed], [0.0]
        for speed, seconds in spec.entries:
            speeds.append(base + speed)
            ends.append(ends[-1] + max(seconds, 1e-6))
        play.set_speed(name, number, Stages(tuple(speeds), tuple(ends)))
        return
    assert isinstance(spec, actions.SetSpeed)
    target = target_speed(spec, play)
    seconds = spec.dynamics.duration(target - body.speed, (target + body.speed) / 2)
    if seconds <= 0:
        play.bodies[name] = body = body._replace(speed=play.limited(name, target))
    stays = spec.continuous and spec.reference
    play.set_speed(name, number, Ramp(spec, body.speed, seconds) if seconds > 0 or stays else None)


def _change_lane(play: Play, spec: actions.ChangeLane, name: str, number: int) -> None:
    body, lines = play.bodies[name], play.lines
    here = lines.road_of(body.spot)
    if here is None:
        raise InputError(f"{name} is on no lane that it could change")
    road, s, t = here
    lane = spec.lane
    if spec.reference:
        lane = next_lane(*_lane_of(play.bodies[spec.reference], lines, spec.lane))
    spot = lines.on_lane(road, lane, s)
    line = lines.line(spot.line) if spot.line else None
    if line is None or spot.line is None:
        raise InputError(f"{name} cannot change to lane {lane} of road {road}")
    offset = (t - line.road_at(spot.u)[1]) * line.direction
    turned = math.pi if math.cos(body.yaw - spot.yaw) < 0 else 0.0
    play.bodies[name] = body._replace(spot=lines.spot(spot.line, spot.u, offset, turned))
    _shift(play, name, number, offset, spec.offset * line.direction, spec.dynamics.shape, spec.dynamics, body.speed)


def _lane_of(body: Body, lines: Lines, to_left: int) -> tuple[int, int]:
    """Lane of a body, and how many lanes along the reference line's left are `to_left` lanes to its own left."""
    here = lines.road_of(body.spot)
    if here is None or body.line is None:
        raise InputError("the entity that a lane is relative to is on no lane")
    line = lines.line(body.line)
    assert line is not None
    facing = line.direction * (1 if math.cos(body.turned) >= 0 else -1)
    return lines.lane_beside(*here), to_left * facing


def _shift(play: Play, name: str, number: int, offset: float, end: float, shape: str, dynamics, speed: float) -> None:
    by_way = dynamics.dimension == "distance"
    span = dynamics.value if by_way and dynamics.shape != "step" else dynamics.duration(end - offset, speed)
    if span <= 0:
        body = play.bodies[name]
        assert body.line is not None
        spot = play.lines.spot(body.line, body.spot.u, end, body.turned)
        play.bodies[name] = body._replace(spot=spot, jumped=True)
    play.set_way(name, number, Shift(offset, end, shape, span, by_way) if span > 0 else None)


def _offset_lane(play: Play, spec: actions.OffsetLane, name: str, number: int) -> None:
    body = play.bodies[name]
    if body.line is None:
        raise InputError(f"{name} is on no lane that it could be offset in")
    line = play.lines.line(body.line)
    assert line is not None
    end = spec.offset * line.direction  # the file's offsets count to the left of the reference line
    if spec.reference:
        end = spec.offset + play.bodies[spec.reference].spot.offset
    change = abs(end - body.spot.offset)
    seconds = math.sqrt(SHARPNESS.get(spec.shape, 0.0) * change / spec.sharpest) if spec.shape != "step" else 0.0
    follow = spec if spec.continuous and spec.reference else None
    shift = Shift(body.spot.offset, end, spec.shape, seconds, follow=follow)
    if seconds <= 0:
        spot = play.lines.spot(body.line, body.spot.u, end, body.turned)
        play.bodies[name] = body._replace(spot=spot, jumped=change > 0.01)
    play.set_way(name, number, shift if seconds > 0 or follow else None)


def _follow(play: Play, spec: actions.FollowTrajectory, name: str, number: int) -> None:
    here = play.bodies[name].spot
    points, stated = spec.shape.draw(lambda p: place(p, play.lines, play.bodies), here, play.lines)
    if spec.closed and not spec.timed and points[0][:2] != points[-1][:2]:
        points.append(points[0])
    way = [0.0]
    for a, b in zip(points, points[1:], strict=False):
        way.append(way[-1] + math.hypot(b[0] - a[0], b[1] - a[1]))
    times: tuple[float, ...] = ()
    if spec.timed:
        shift = spec.offset - (play.time if spec.absolute else 0.0)
        times = tuple(t * spec.scale + shift for t in stated)
    elif way[-1] < 1e-6:
        raise InputError(f"the trajectory of {name} has no length")
    begin = 0.0 if spec.timed else min(max(spec.begin, 0.0), way[-1])
    track = Track(tuple(points), tuple(way), times, begin)
    if spec.timed:
        play.set_speed(name, -1, None)
    play.set_way(name, number, track)
    if not track.waiting:
        x, y, z, yaw = track.at()
        body = play.bodies[name]
        spot = play.lines.locate(x, y, z, yaw)
        far = math.hypot(x - body.x, y - body.y)
        play.bodies[name] = body._replace(spot=spot, present=True, jumped=body.jumped or far > 0.5)


def _route(play: Play, spec: actions.TakeRoute, name: str) -> None:
    body = play.bodies[name]
    keys = waypoint_keys(spec.points, play.lines, play.bodies)
    if len(spec.points) == 1 and body.line is not None:
        keys = [body.line, *keys]
    play.bodies[name] = body._replace(route=play.lines.roads_between(keys))
