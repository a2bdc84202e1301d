"""One fine step of a body: at the speed and on the way that running actions say, else along its lane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .bodies import Body, moved, straight_on
from .line import Spot
from .running import Shift, Track
from .watching import FINE, PER_STEP

if TYPE_CHECKING:
    from .player import Play


def driven(play: Play, name: str, body: Body) -> Body:
    """A body one fine step later. An ego that a planner drives goes straight on, and its actions are mere clocks."""
    speed, stage, way = body.speed, play.stages.get(name), play.ways.get(name)
    if way is not None and _put_off(play, name, way[1]):
        play.ways[name] = (way[0], way[1]._replace(done=way[1].done + FINE))
        return body
    if stage is not None:
        speed, after = stage[1].step(name, play, FINE)
        speed = play.limited(name, speed)
        _put(play.stages, name, stage[0], after)
    ended, spot = False, body.spot
    if play.driven and name == play.board.ego:
        speed = body.speed
        spot = straight_on(spot, speed * FINE)
        if way is not None:
            _put(play.ways, name, way[0], _clock(way[1], name, play, speed * FINE))
    elif way is not None and isinstance(way[1], Track):
        spot, speed = _along(play, name, body, speed, way[0], way[1])
    else:
        path, sideways = (body.speed + speed) / 2 * FINE, 0.0
        if way is not None:
            offset, after = way[1].step(name, play, FINE, path)
            sideways = offset - spot.offset
            _put(play.ways, name, way[0], after)
        spot, ended = moved(body, play.lines, path, sideways, play.entities[name].walks)
    return _aged(body, spot, speed, ended)


def _put_off(play: Play, name: str, way: Shift | Track) -> bool:
    """Whether nobody looks at a body on a trajectory in time before it is sampled: then it need not be put in each fine
    step, only at a sample and one before, for its velocity."""
    if not (play.unwatched and isinstance(way, Track) and way.times) or (play.driven and name == play.board.ego):
        return False
    near = (play.step + 1) % PER_STEP in (PER_STEP - 1, 0)
    ends = way.done + FINE >= way.times[-1] - 1e-9
    return not (near or ends or way.done < way.times[0] + FINE)


def _clock(way: Shift | Track, name: str, play: Play, path: float) -> Shift | Track | None:
    """A way that somebody else decides about: only how far it has come."""
    if isinstance(way, Shift):
        return way.step(name, play, FINE, path)[1]
    way = way._replace(done=way.done + (FINE if way.times else path))
    return None if way.over else way


def _put(where: dict[str, Any], name: str, number: int, after: Any) -> None:
    if after is None:
        del where[name]
    else:
        where[name] = (number, after)


def _along(play: Play, name: str, body: Body, speed: float, number: int, track: Track) -> tuple[Spot, float]:
    """One step along a trajectory, and the speed then."""
    path = (body.speed + speed) / 2 * FINE
    track = track._replace(done=track.done + (FINE if track.times else path))
    if track.waiting:
        play.ways[name] = (number, track)
        return body.spot, 0.0
    x, y, z, yaw = track.at()
    speed = track.speed() if track.times else speed
    if track.over:
        del play.ways[name]
        return play.lines.locate(x, y, z, yaw), speed
    play.ways[name] = (number, track)
    if (play.step + 2) % PER_STEP == 0:
        return play.lines.locate(x, y, z, yaw), speed
    near = straight_on(body.spot, math.hypot(x - body.x, y - body.y))  # on its lane: good enough between
    return near._replace(x=x, y=y, z=z, yaw=yaw), speed


def _aged(body: Body, spot: Spot, speed: float, ended: bool) -> Body:
    dx, dy = spot.x - body.spot.x, spot.y - body.spot.y
    turn = (spot.yaw - body.spot.yaw + math.pi) % (2 * math.pi) - math.pi
    return Body(
        spot, speed, (speed - body.speed) / FINE, body.travelled + math.hypot(dx, dy),
        body.still + FINE if math.hypot(dx, dy) < 1e-3 * FINE else 0.0,
        body.ended + FINE if ended or (body.ended and not speed) else 0.0,
        body.astray + FINE if spot.line is None else 0.0, True, body.route, False, (dx / FINE, dy / FINE), turn / FINE,
    )  # fmt: skip
