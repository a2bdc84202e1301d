"""A Scenario proto as a Log."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivesim.errors import InputError
from drivesim.types import Kind

from .log import KINDS, MOST_POINTS, MOST_STATES, MOST_STEPS, MPH, Lane, Lights, Log, Roads, Tracks, named
from .messages import parse, rows

_BIKE_LANE = 3  # LaneCenter.LaneType
_GONE = b"\x58\x00"
"""How a state ends that is not valid: such states hold nothing else of use, and there are thousands."""


def read_scenario(record: bytes, where: str) -> Log:
    """Log of a record; InputError naming `where` it is from."""
    try:
        scene = parse("Scenario", record)
        time = np.array(scene.timestamps_seconds, np.float64)
        if len(time) > MOST_STEPS or len(time) * len(scene.tracks) > MOST_STATES:
            raise ValueError(f"has {len(time)} time stamps and {len(scene.tracks)} tracks")
        ego = scene.sdc_track_index if scene.HasField("sdc_track_index") else None
        if ego is not None and not 0 <= ego < len(scene.tracks):
            raise ValueError(f"names track {ego} of {len(scene.tracks)} as its ego")
        steps = len(time)
        return Log(
            time=time - time[0] if steps else time,
            current=scene.current_time_index if scene.HasField("current_time_index") else 10,
            ego=ego,
            tracks=_tracks(scene.tracks, steps),
            roads=_roads(scene.map_features),
            lights=_lights(scene.dynamic_map_states, steps),
        )
    except (ValueError, OverflowError) as error:
        raise InputError(f"{where}: {error}; the record is damaged or of another kind") from None


def _tracks(tracks: Any, steps: int) -> Tracks:
    parts = [list(track.states) for track in tracks]
    if any(len(p) != steps for p in parts):
        raise ValueError(f"has {steps} time stamps, but a track of {next(len(p) for p in parts if len(p) != steps)}")
    flat = [part for track in parts for part in track]
    there = np.array([not part.endswith(_GONE) for part in flat], bool)
    table = np.full((len(flat), 10), np.nan)
    table[there] = rows("ObjectState", [part for part, here in zip(flat, there, strict=True) if here])
    table = table.reshape(len(parts), steps, 10)
    return Tracks(
        ids=named([str(track.id) for track in tracks]),
        kind=[KINDS.get(track.object_type, Kind.OBJECT) for track in tracks],
        center=table[..., :3], size=table[..., 3:6], yaw=table[..., 6], velocity=table[..., 7:9],
        valid=table[..., 9] == 1,
    )  # fmt: skip


def _roads(features: Any) -> Roads:
    parts: list[bytes] = []
    ends: list[int] = []

    def shape(points: Any) -> int:
        """Number of a polyline among all, which are read at once."""
        parts.extend(points)
        ends.append(len(parts))
        return len(ends) - 1

    roads, lanes = Roads(linked=True), []
    for feature in features:
        if feature.HasField("lane"):
            lanes.append((feature.id, feature.lane, shape(feature.lane.polyline)))
        elif feature.HasField("road_line"):
            roads.paint.append((feature.road_line.type, shape(feature.road_line.polyline)))
        elif feature.HasField("road_edge"):
            roads.edges.append(shape(feature.road_edge.polyline))
        elif feature.HasField("stop_sign"):
            roads.signs.append((tuple(feature.stop_sign.lane), _point(feature.stop_sign.position)))
        elif feature.HasField("crosswalk"):
            roads.crosswalks.append(shape(feature.crosswalk.polygon))
        elif feature.HasField("driveway"):
            roads.driveways.append(shape(feature.driveway.polygon))
    if len(parts) > MOST_POINTS:
        raise ValueError(f"has a map of {len(parts)} points")
    lines = np.split(rows("MapPoint", parts, missing=0.0), ends[:-1]) if ends else []
    linked = any(len(lane.exit_lanes) for _, lane, _ in lanes)
    return Roads(
        lanes=[_lane(id, lane, lines[k]) for id, lane, k in lanes],
        linked=linked,
        paint=[(kind, lines[k]) for kind, k in roads.paint],
        edges=[lines[k] for k in roads.edges],
        signs=roads.signs,
        crosswalks=[lines[k] for k in roads.crosswalks],
        driveways=[lines[k] for k in roads.driveways],
    )


def _lane(id: int, lane: Any, line: np.ndarray) -> Lane:
    beside = [
        (other.feature_id, side, other.self_end_index - other.self_start_index + 1)
        for side, others in ((1, lane.left_neighbors), (-1, lane.right_neighbors))
        for other in others
    ]
    limit = lane.speed_limit_mph * MPH
    return Lane(
        id, line, bicycle=lane.type == _BIKE_LANE, speed_limit=limit if 0 < limit < 100 else np.nan,
        joins=lane.interpolating, exits=tuple(lane.exit_lanes), beside=tuple(beside),
    )  # fmt: skip


def _point(point: Any) -> np.ndarray:
    return np.array([point.x, point.y, point.z])


def _lights(states: Any, steps: int) -> Lights:
    seen = []
    for step, state in enumerate(states):
        for light in state.lane_states:
            stop = light.stop_point
            seen.append((step, light.lane, light.state, (stop.x, stop.y, stop.z)))
    return Lights.of(seen, steps)
