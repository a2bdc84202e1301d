"""ScenarioNet's layout, as MetaDrive's `ScenarioDescription` defines it: one pickle per scenario in a database folder.

Kept: boxes with kinds, sizes, velocities, pitch and roll (keys `pitch` and `roll`, which MetaDrive passes over), lanes
with graph, widths, limits and areas, the drivable area's rings, crossings, painted lines, stop signs, traffic lights,
the ego's axles, licence and provenance. Lost: scenery, sensors and cameras, the ground away from the lanes, lamp heads,
stops other than stop signs, goals, scripts, and the moment at which the planner takes over.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..files import inside
from ..restricted_pickle import dump, read_pickle
from ..roadmap import lane_areas
from ..types import CYCLES, VEHICLES, Kind, LaneKind, Light, Map, Marking, Scenario, StopKind

SUMMARY, MAPPING = "dataset_summary.pkl", "dataset_mapping.pkl"

VERSION = "drivesim 1"
"""Of this layout's extra keys."""

_MARKINGS = {
    Marking.SOLID_WHITE: "ROAD_LINE_SOLID_SINGLE_WHITE",
    Marking.DASHED_WHITE: "ROAD_LINE_BROKEN_SINGLE_WHITE",
    Marking.SOLID_YELLOW: "ROAD_LINE_SOLID_SINGLE_YELLOW",
    Marking.DASHED_YELLOW: "ROAD_LINE_BROKEN_SINGLE_YELLOW",
    Marking.DOUBLE_WHITE: "ROAD_LINE_SOLID_DOUBLE_WHITE",
    Marking.DOUBLE_YELLOW: "ROAD_LINE_SOLID_DOUBLE_YELLOW",
    Marking.STOP_LINE: "UNKNOWN_LINE",  # MetaDrive has none; the key `marking` says it
}
_LIGHTS = {
    Light.UNKNOWN: "LANE_STATE_UNKNOWN",
    Light.GREEN: "LANE_STATE_GO",
    Light.YELLOW: "LANE_STATE_CAUTION",
    Light.RED: "LANE_STATE_STOP",
    Light.FLASHING_YELLOW: "LANE_STATE_FLASHING_CAUTION",
    Light.FLASHING_RED: "LANE_STATE_FLASHING_STOP",
}
_TYPES = {
    **dict.fromkeys(VEHICLES, "VEHICLE"),
    **dict.fromkeys(CYCLES, "CYCLIST"),
    Kind.PEDESTRIAN: "PEDESTRIAN",
    Kind.ANIMAL: "OTHER",
    Kind.CONE: "TRAFFIC_CONE",
    Kind.BARRIER: "TRAFFIC_BARRIER",
    Kind.OBJECT: "TRAFFIC_OBJECT",
}


def write(scenario: Scenario, folder: Path) -> list[Path]:
    """Write `sd_drivesim_<id>.pkl` into a database folder, and enter it into the folder's summary and mapping.

    Raises InputError where those two are there and cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"sd_drivesim_{re.sub(r'[^A-Za-z0-9._-]', '_', scenario.id)}.pkl"
    content = describe(scenario)
    tables = {SUMMARY: content["metadata"], MAPPING: ""}
    written = [inside(folder, name)]
    known = {table: _table(folder / table) for table in tables}
    _replace(written[0], content)
    for table, entry in tables.items():
        _replace(folder / table, {**known[table], name: entry})
        written.append(folder / table)
    return written


def describe(scenario: Scenario) -> dict[str, Any]:
    """The scenario as a ScenarioDescription of builtin values and arrays, in its own world frame."""
    tracks = _tracks(scenario)
    features = _features(scenario.scene.map)
    lights = _traffic_lights(scenario)
    about = _metadata(scenario)
    about["object_summary"] = {name: _summary(name, track) for name, track in tracks.items()}
    about["number_summary"] = _numbers(tracks, lights, features)
    return {
        "id": scenario.id,
        "version": VERSION,
        "length": scenario.steps,
        "metadata": about,
        "tracks": tracks,
        "dynamic_map_states": lights,
        "map_features": features,
    }


def _metadata(scenario: Scenario) -> dict[str, Any]:
    vehicle, place = scenario.scene.briefing.vehicle, scenario.place
    origin = scenario.origin.double().numpy()
    return {
        "dataset": "drivesim",
        "id": scenario.id,
        "scenario_id": scenario.id,
        "coordinate": "right-handed",
        "metadrive_processed": False,
        "sample_rate": float(scenario.scene.briefing.dt),
        "ts": np.arange(scenario.steps) * scenario.scene.briefing.dt,
        "sdc_id": str(scenario.track_ids[0]),
        "map": str(place.name),
        "latitude": float(place.latitude),
        "longitude": float(place.longitude),
        "current_time_index": scenario.start,
        "old_origin_in_current_coordinate": -origin[:2],  # MetaDrive's key, planar
        "origin": origin,
        "ego_vehicle_parameters": {
            "length": vehicle.length,
            "width": vehicle.width,
            "height": vehicle.height,
            "wheel_base": vehicle.wheelbase,
            "rear_axle_to_center": vehicle.rear_axle_to_center,
        },
        "licence": str(scenario.licence),
        "source": str(scenario.source),
        "fingerprint": str(scenario.fingerprint),
        "tags": [str(tag) for tag in scenario.tags],
        "inferred": {str(key): float(value) for key, value in scenario.inferred.items()},
        "problems": [str(problem) for problem in scenario.problems],
    }


def _tracks(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """By name; 0 where somebody is absent, as the layout wants it. Positions are the boxes' centres."""
    log, tracks = scenario.log, {}
    middle = torch.cat([log.xy, (log.z + log.size[..., 2] / 2)[..., None]], -1)
    for i, name in enumerate(map(str, scenario.track_ids)):
        valid = log.valid[:, i].numpy()
        if not valid.any():
            continue
        kind = Kind(int(log.kind[int(valid.argmax()), i]))
        size = log.size[:, i]
        state = {
            "position": middle[:, i],
            "heading": log.yaw[:, i],
            "velocity": log.velocity[:, i],
            "length": size[:, 0],
            "width": size[:, 1],
            "height": size[:, 2],
            "pitch": log.pitch[:, i],
            "roll": log.roll[:, i],
        }
        state = {key: np.where(_beside(valid, x), x.numpy(), np.float32(0)) for key, x in state.items()}
        about = {"type": kind.name, "object_id": name, "original_id": name, "track_length": scenario.steps}
        tracks[name] = {"type": _TYPES[kind], "state": {**state, "valid": valid.copy()}, "metadata": about}
    return tracks


def _beside(valid: np.ndarray, values: torch.Tensor) -> np.ndarray:
    return valid.reshape(-1, *[1] * (values.ndim - 1))


def _features(road: Map) -> dict[str, dict[str, Any]]:
    features = _lanes(road)
    for i in range(len(road.markings)):
        kind = Marking(int(road.markings.kind[i]))
        line = _array(road.markings.line(i))
        features[f"line_{i}"] = {"type": _MARKINGS[kind], "polyline": line, "marking": kind.name}
    for i, ring in enumerate(_oriented(road)):
        features[f"boundary_{i}"] = {"type": "ROAD_EDGE_BOUNDARY", "polyline": np.concatenate([ring, ring[:1]])}
    for i in range(len(road.crosswalks)):
        features[f"crosswalk_{i}"] = {"type": "CROSSWALK", "polygon": _array(road.crosswalks.line(i))}
    signs = (road.stops.kind == int(StopKind.STOP_SIGN)).nonzero().flatten().tolist()
    for i in signs:
        lane, (x, y) = int(road.stops.lane[i]), road.stops.xy[i].tolist()
        place = np.array([x, y, 0.0])
        features[f"stop_{i}"] = {"type": "STOP_SIGN", "lane": [str(lane)] if lane >= 0 else [], "position": place}
    return features


def _lanes(road: Map) -> dict[str, dict[str, Any]]:
    lanes, features = road.lanes, {}
    areas = lane_areas(lanes)
    links, beside = lanes.successors.tolist(), lanes.neighbours.tolist()
    for i in range(len(lanes)):
        kind = LaneKind(int(lanes.center.kind[i]))
        line, width, limit = _array(lanes.center.line(i)), float(lanes.width[i]), float(lanes.speed_limit[i])
        street = "LANE_SURFACE_UNSTRUCTURE" if bool(lanes.intersection[i]) else "LANE_SURFACE_STREET"
        features[str(i)] = {
            "type": "LANE_BIKE_LANE" if kind == LaneKind.BICYCLE else street,
            "lane_kind": kind.name,
            "interpolating": bool(lanes.intersection[i]),
            "polyline": line,
            "polygon": _array(areas[i]),
            "width": np.full((len(line), 2), width / 2),
            "entry_lanes": [],
            "exit_lanes": [],
            "left_neighbor": [],
            "right_neighbor": [],
            **({"speed_limit_kmh": limit * 3.6, "speed_limit_mph": limit / 0.44704} if math.isfinite(limit) else {}),
        }
    for a, b in links:
        features[str(a)]["exit_lanes"].append(str(b))
        features[str(b)]["entry_lanes"].append(str(a))
    for a, b, side in beside:
        features[str(a)]["left_neighbor" if side > 0 else "right_neighbor"].append(_whole(features, a, b))
    return features


def _whole(features: dict[str, dict[str, Any]], lane: int, other: int) -> dict[str, Any]:
    """A neighbour as Waymo's converter writes one: beside the lane for all of its length."""
    last = {key: str(len(features[str(i)]["polyline"]) - 1) for key, i in (("self", lane), ("neighbor", other))}
    return {
        "feature_id": str(other),
        "self_start_index": "0",
        "self_end_index": last["self"],
        "neighbor_start_index": "0",
        "neighbor_end_index": last["neighbor"],
        "boundaries": [],
    }


def _oriented(road: Map) -> list[np.ndarray]:
    """The drivable area's rings (n, 2) with the road on their left: borders counter-clockwise, holes clockwise."""
    import shapely

    rings = [_array(road.drivable.line(i)) for i in range(len(road.drivable))]
    rings = [ring for ring in rings if len(ring) > 2]
    areas, out = [shapely.Polygon(ring) for ring in rings], []
    for i, ring in enumerate(rings):
        around = sum(j != i and bool(shapely.contains_xy(area, *ring[0])) for j, area in enumerate(areas))
        hole = around % 2 == 1
        out.append(ring if areas[i].exterior.is_ccw != hole else ring[::-1])
    return out


def _traffic_lights(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """By the id of the lane they rule, where MetaDrive looks for them; a second light of a lane gets a longer name."""
    signals, lights = scenario.scene.signals, {}
    states = [[_LIGHTS[Light(s)] for s in signals.at(k).tolist()] for k in range(scenario.steps)]
    for i, lane in enumerate(signals.lane.tolist()):
        name = str(lane) if str(lane) not in lights else f"{lane}_{i}"
        height = float(scenario.scene.map.lanes.center.line(lane)[0, 2])
        lights[name] = {
            "type": "TRAFFIC_LIGHT",
            "state": {"object_state": [row[i] for row in states]},
            "lane": str(lane),
            "stop_point": np.array([*signals.stop_xy[i].tolist(), height]),
            "metadata": {"type": "TRAFFIC_LIGHT", "object_id": name, "track_length": scenario.steps},
        }
    return lights


def _summary(name: str, track: dict[str, Any]) -> dict[str, Any]:
    valid, xy = track["state"]["valid"], track["state"]["position"][:, :2].astype(np.float64)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(int), [0]])))
    return {
        "type": track["type"],
        "object_id": name,
        "track_length": len(valid),
        "moving_distance": float(np.hypot(*np.diff(xy[valid], axis=0).T).sum()),
        "valid_length": int(valid.sum()),
        "continuous_valid_length": int(ends[1] - ends[0]),  # of the first stretch
    }


def _numbers(tracks: dict, lights: dict, features: dict) -> dict[str, Any]:
    types = [track["type"] for track in tracks.values()]
    shown = [state for light in lights.values() for state in light["state"]["object_state"]]
    moving = [t["type"] for n, t in tracks.items() if _summary(n, t)["moving_distance"] > 1.0]
    z = [f["polyline"][:, 2] for f in features.values() if f["type"] in _MARKINGS.values()]
    return {
        "num_objects": len(types),
        "object_types": set(types),
        "num_objects_each_type": {t: types.count(t) for t in sorted(set(types))},
        "num_moving_objects": len(moving),
        "num_moving_objects_each_type": {t: moving.count(t) for t in sorted(set(moving))},
        "num_traffic_lights": len(lights),
        "num_traffic_light_types": set(shown),
        "num_traffic_light_each_step": {s: shown.count(s) for s in sorted(set(shown))},
        "num_map_features": len(features),
        "map_height_diff": float(np.ptp(np.concatenate(z))) if z else -math.inf,
    }


def _array(points: torch.Tensor) -> np.ndarray:
    return points.double().numpy().copy()


def _table(path: Path) -> dict[str, Any]:
    """A database's summary or mapping; empty where there is none yet."""
    if not path.is_file():
        return {}
    table = read_pickle(path)
    if not isinstance(table, dict):
        raise InputError(f"{path}: holds no table of scenarios; write to another folder")
    return table


def _replace(path: Path, content: Any) -> None:
    """Whole or not at all: a reader never sees half a file."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(dump(content))
    os.replace(part, path)
