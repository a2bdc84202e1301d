"""ScenarioNet files: real ones where they are, and small ones written here as each converter writes them."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import project_to_polyline, rotate
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, LaneKind, Light, Marking, StopKind
from scenarios.scenarionet import ScenarioNet

SHARED = Path(__file__).parents[2] / "shared/data"
REAL = SHARED / "scenarionet"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the ScenarioNet files in shared/data/scenarionet")

STEPS = 31
EAST, NORTH = 400.0, 1200.0  # where the scene lies in the file's coordinates


def state(xy, yaw=0.0, size=(4.5, 1.9, 1.6), z=0.0, velocity=None, valid=slice(None), columns=False):
    """State arrays of positions (T, 2), 0 where absent; `columns` as the nuScenes converter shapes sizes."""
    xy, there = np.asarray(xy, float), np.zeros(STEPS, bool)
    there[valid] = True
    shape = (STEPS, 1) if columns else (STEPS,)
    velocity = np.gradient(xy, 0.1, axis=0) + 0.01 if velocity is None else velocity
    out = {
        "position": np.column_stack([xy, np.full(STEPS, z)]),
        "heading": np.full(STEPS, yaw),
        "velocity": np.asarray(velocity, float),
        **{k: np.full(shape, v) for k, v in zip(("length", "width", "height"), size, strict=True)},
        "valid": there,
    }
    for value in out.values():
        value[~there] = 0
    return out


def drive(x=0.0, y=0.0, speed=10.0):
    """Positions (T, 2) eastwards."""
    return np.column_stack([EAST + x + speed * 0.1 * np.arange(STEPS), np.full(STEPS, NORTH + y)])


def track(kind="VEHICLE", word="", **states):
    return {"type": kind, "state": state(**states), "metadata": {"type": word or kind, "object_id": "x"}}


def line(x0, x1, y, z=None, y1=None):
    x = np.linspace(x0, x1, 21)
    columns = [EAST + x, np.linspace(NORTH + y, NORTH + (y if y1 is None else y1), 21)]
    return np.column_stack(columns if z is None else [*columns, np.broadcast_to(z, 21)])


def ring(x0, x1, y0, y1, closed=True):
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    return np.array([(EAST + x, NORTH + y) for x, y in corners[: 4 + closed]])


def content(tracks, features, lights=None, **metadata):
    about = {
        "dataset": "waymo", "coordinate": "waymo", "metadrive_processed": False, "sdc_id": "ego",
        "ts": np.arange(STEPS) * 0.1, **metadata,
    }  # fmt: skip
    return {
        "id": "a", "version": "MetaDrive v0.3.0.1", "length": STEPS, "tracks": tracks, "map_features": features,
        "dynamic_map_states": lights or {}, "metadata": about,
    }  # fmt: skip


def nuscenes():
    """Key frames every fifth step joined by straight lines; the third column of a lane is its direction."""
    keys = np.arange(0, STEPS, 5)
    bend = np.column_stack([EAST + 20 + keys, NORTH + 0.01 * keys**2])  # another car, turning left
    other = np.column_stack([np.interp(np.arange(STEPS), keys, c) for c in bend.T])
    raw = np.diff(other, axis=0, append=other[-1:]) / 0.1
    tracks = {
        "ego": track(word="vehicle.car", xy=drive(), size=(1.73, 4.08, 1.56), velocity=[(10, 0)] * STEPS, columns=True),
        "bus": track(word="vehicle.bus.rigid", xy=other, size=(11, 2.8, 3), z=1.9, velocity=raw, columns=True),
        "cone": track("TRAFFIC_CONE", "movable_object.trafficcone", xy=drive(30, 3, 0), size=(0.4, 0.4, 1.0), z=0.9),
    }
    features = {
        "boundary_0": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": ring(-20, 200, -5, 9)},
        "boundary_1": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": ring(50, 60, 6, 8)},
        "a": {
            "type": "LANE_SURFACE_STREET", "polyline": [tuple(p) for p in line(-20, 60, 0, z=0.0)],
            "polygon": ring(-20, 60, -1.75, 1.75), "entry_lanes": [], "exit_lanes": ["b", "gone"],
            "left_neighbor": [], "right_neighbor": [],
        },
        "b": {
            "type": "LANE_SURFACE_UNSTRUCTURE", "polyline": line(60, 160, 0, z=0.46, y1=50), "speed_limit_kmh": 100,
            "entry_lanes": ["a"], "exit_lanes": [],
        },
        "c": {"type": "LANE_SURFACE_STREET", "polyline": line(-20, 60, 3.5, z=0.0), "polygon": ring(-20, 60, 2, 5)},
        "d": {"type": "ROAD_LINE_BROKEN_SINGLE_WHITE", "polyline": line(-20, 60, 1.75)},
        "p": {"type": "CROSSWALK", "polygon": ring(40, 44, -5, 9)},
        "w": {"type": "ROAD_EDGE_SIDEWALK", "polygon": ring(-20, 200, -9, -5)},
    }  # fmt: skip
    about = {"dataset": "nuscenes", "coordinate": "right-handed", "map": "boston-seaport"}
    return {**content(tracks, features, **about), "version": "nuscenesv1.0-mini"}


def waymo():
    """Boxes by their centres on a road 30 m up that climbs by 1 in 100."""
    slope = 30.0 + 0.01 * np.linspace(-20, 100, 21)
    features = {
        "1": {
            "type": "LANE_SURFACE_STREET", "polyline": line(-20, 100, 0, slope), "speed_limit_mph": 25.0,
            "speed_limit_kmh": 40.2, "interpolating": False, "entry_lanes": [], "exit_lanes": [3],
            "left_neighbor": [{"feature_id": "2", "self_start_index": "0"}], "right_neighbor": [],
            "width": np.column_stack([np.full(21, 1.6), np.zeros(21)]),
        },
        "2": {
            "type": "LANE_BIKE_LANE", "polyline": line(-20, 100, 3, slope), "speed_limit_mph": 0.0, "exit_lanes": [],
            "interpolating": False, "left_neighbor": [], "right_neighbor": [], "width": np.full((21, 2), 0.9),
        },
        "3": {
            "type": "LANE_SURFACE_STREET", "polyline": line(100, 140, 0, 31.0, y1=40), "interpolating": True,
            "entry_lanes": [1], "exit_lanes": [], "width": np.zeros((21, 2)), "left_neighbor": [],
        },
        "4": {"type": "ROAD_EDGE_BOUNDARY", "polyline": line(-20, 100, -4, slope)},
        "5": {"type": "ROAD_EDGE_MEDIAN", "polyline": line(100, -20, 6, slope[::-1])},
        "6": {"type": "STOP_SIGN", "lane": [1, 77], "position": np.array([EAST + 90, NORTH - 5, 30.9])},
        "7": {"type": "ROAD_LINE_SOLID_DOUBLE_YELLOW", "polyline": line(-20, 100, 4.5, slope)},
        "8": {"type": "SPEED_BUMP", "polygon": ring(10, 12, -4, 6)},
        "9": {"type": "LANE_SURFACE_STREET", "polyline": line(0, 0, 0, 30.0)},
    }  # fmt: skip
    heights = 30.0 + 0.01 * (drive()[:, 0] - EAST)
    tracks = {
        "7": track(xy=drive(20, 0, 8), size=(4, 2, 1.5), z=30.0 + 0.75),
        "ego": track(xy=drive(), size=(5.0, 2.1, 2.0), z=31.0),
        "8": track("CYCLIST", xy=drive(0, 3, 4), size=(1.8, 0.7, 1.7), z=30.85, valid=slice(5, 20)),
    }
    tracks["ego"]["state"]["position"][:, 2] = heights + 1.0
    states = [None] * 10 + ["LANE_STATE_GO"] * 10 + ["LANE_STATE_FLASHING_STOP"] * (STEPS - 20)
    light = {"type": "TRAFFIC_LIGHT", "state": {"object_state": states}, "lane": 3, "metadata": {"dataset": "waymo"}}
    lights = {"3": {**light, "stop_point": np.array([EAST + 101.0, NORTH + 1.0, 31])}, "99": {**light, "lane": 99}}
    return content(tracks, features, lights)


def write(path, data, protocol=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(data, protocol))
    return path


def load(tmp_path, data, **options):
    return ScenarioNet(str(write(tmp_path / "sd_x.pkl", data)), **options).load("x")


def agent(s, name):
    return s.log[:, s.track_ids.index(name)]


# nuScenes


def test_the_ego_of_nuscenes_is_logged_by_its_rear_axle_and_wider_than_long(tmp_path):
    s = load(tmp_path, nuscenes())
    vehicle = s.scene.briefing.vehicle
    assert (vehicle.length, vehicle.width, vehicle.wheelbase) == (4.084, 1.73, 2.588)
    assert s.origin.tolist() == [EAST, NORTH, 0.0]
    assert s.log.xy[0, 0].tolist() == pytest.approx([1.38, 0.0], abs=1e-5)
    assert s.log.size[0, 0].tolist() == pytest.approx([4.084, 1.73, 1.562])
    assert any("swapped" in p for p in s.problems)
    assert s.log.speed[:, 0].tolist() == pytest.approx([10.0] * STEPS, abs=1e-3)


def test_only_nuscenes_egos_that_are_swapped_are_swapped_back(tmp_path):
    data = nuscenes()
    data["tracks"]["ego"] = track(xy=drive(), size=(4.08, 1.73, 1.56))
    mended = load(tmp_path, data)
    assert mended.scene.briefing.vehicle.length == 4.084 and not mended.problems
    data = waymo()
    data["tracks"]["ego"]["state"] |= {"length": np.full(STEPS, 2.0), "width": np.full(STEPS, 3.0)}
    wide = load(tmp_path, data)
    assert (wide.scene.briefing.vehicle.length, wide.scene.briefing.vehicle.width) == (2.0, 3.0)
    data = nuscenes()
    data["tracks"]["bus"]["state"] |= {"length": np.full((STEPS, 1), 2.0), "width": np.full((STEPS, 1), 3.0)}
    assert agent(load(tmp_path, data), "bus").size[0].tolist() == [2.0, 3.0, 3.0], "others may be wider than long"


def test_nuscenes_boxes_run_smoothly_through_their_key_frames(tmp_path):
    bus = agent(load(tmp_path, nuscenes()), "bus")
    assert bus.kind[0] == Kind.BUS
    steps = torch.arange(STEPS)
    curve = torch.stack([20.0 + steps, 0.01 * steps**2], -1)
    assert torch.allclose(bus.xy[::5], curve[::5].float(), atol=1e-4), "key frames stay"
    middle = [i for i in range(5, 25) if i % 5]
    chord = 0.01 * 25 * 0.25  # how far straight lines cut the corner in the middle between key frames
    assert float((bus.xy - curve)[middle].norm(dim=-1).max()) < chord / 3
    assert float((bus.velocity[middle, 1] - 0.2 * steps[middle]).abs().max()) < 0.3, "raw differences are not used"


def test_what_the_nuscenes_converter_keeps_as_height_is_the_lanes_direction(tmp_path):
    s = load(tmp_path, nuscenes())
    assert float(s.scene.map.lanes.center.points[:, 2].abs().max()) == 0.0
    assert s.log.z.nan_to_num().abs().max() == 0.0 and s.inferred["heights"] < 0.5, "all stand on a flat ground"


def test_the_nuscenes_map(tmp_path):
    s = load(tmp_path, nuscenes())
    lanes = s.scene.map.lanes
    assert len(lanes) == 3 and lanes.successors.tolist() == [[0, 1]]
    assert lanes.width.tolist() == pytest.approx([3.5, 3.5, 3.0]), "from the polygons; b takes that of a"
    assert sorted(lanes.neighbours.tolist()) == [[0, 2, 1], [2, 0, -1]] and "neighbours" in s.inferred
    assert lanes.speed_limit.isnan().all(), "the converter's 100 km/h is nobody's limit"
    assert lanes.intersection.tolist() == [False, True, False]
    inside = RoadMap.of(s.scene.map).inside(torch.tensor([[0.0, 0], [150, 8.5], [55, 7], [0, -6]]))
    assert inside.tolist() == [True, True, False, False], "rings of the drivable area, one a hole"
    assert s.scene.map.markings.kind.tolist() == [Marking.DASHED_WHITE], "the rings are not painted"
    assert s.scene.map.crosswalks.points.shape == (4, 2) and len(s.scene.map.stops) == 0
    assert s.place.name == "boston-seaport"
    assert s.place.latitude == pytest.approx(42.33685 + np.rad2deg(NORTH / 6378137), abs=1e-4)
    assert s.place.longitude == pytest.approx(
        -71.05785 + np.rad2deg(EAST / 6378137 / np.cos(np.deg2rad(42.34))), abs=1e-4
    )
    assert s.scene.briefing.cameras[0].name == "CAM_FRONT" and "nuScenes" in s.licence


def test_older_nuscenes_files_have_no_links(tmp_path):
    data = nuscenes()
    for feature in data["map_features"].values():
        for key in ("entry_lanes", "exit_lanes", "left_neighbor", "right_neighbor"):
            feature.pop(key, None)
    data["map_features"]["b"]["polyline"] = line(60, 160, 0, z=0.0)
    s = load(tmp_path, data)
    assert s.scene.map.lanes.successors.tolist() == [[0, 1]] and "successors" in s.inferred


# Waymo


def test_waymo_boxes_stand_on_the_climbing_road(tmp_path):
    s = load(tmp_path, waymo())
    back = s.scene.briefing.vehicle.rear_axle_to_center
    assert s.origin.tolist() == pytest.approx([EAST - back, NORTH, 30.0])
    assert s.log.z[:, 0].tolist() == pytest.approx((0.1 * np.arange(STEPS) / 10 * 1.0).tolist(), abs=1e-4)
    car = agent(s, "7")
    assert car.xy[0].tolist() == pytest.approx([20 + back, 0], abs=1e-4) and car.z[0] == pytest.approx(0.0, abs=1e-4)
    assert car.velocity[0].tolist() == pytest.approx([8.01, 0.01], abs=1e-3), "as logged"
    ground = RoadMap.of(s.scene.map).ground(torch.tensor([[back, 0.0], [back + 80, 0.0]]))
    assert ground.tolist() == pytest.approx([0.0, 0.8], abs=0.05)
    rider = agent(s, "8")
    assert rider.valid.tolist() == [5 <= i < 20 for i in range(STEPS)] and rider.kind[6] == Kind.BICYCLE


def test_the_waymo_map(tmp_path):
    s = load(tmp_path, waymo())
    lanes, back = s.scene.map.lanes, s.scene.briefing.vehicle.rear_axle_to_center
    assert lanes.successors.tolist() == [[0, 2]], "lane ids of the file are numbers in lists and texts as keys"
    assert lanes.neighbours.tolist() == [[0, 1, 1]]
    assert lanes.center.kind.tolist() == [LaneKind.VEHICLE, LaneKind.BICYCLE, LaneKind.VEHICLE]
    assert lanes.width.tolist() == pytest.approx([3.2, 1.8, 3.2]), "0 is unknown; the connector takes its neighbour's"
    assert lanes.speed_limit[0] == pytest.approx(25 * 0.44704) and lanes.speed_limit[1:].isnan().all()
    assert lanes.intersection.tolist() == [False, False, True]
    stops = s.scene.map.stops
    assert (stops.lane.tolist(), stops.kind.tolist()) == ([0], [StopKind.STOP_SIGN])
    assert stops.xy[0].tolist() == pytest.approx([90 + back, 0], abs=1e-3), "on the lane, beside the sign"
    assert s.scene.map.markings.kind.tolist() == [Marking.DOUBLE_YELLOW]
    inside = RoadMap.of(s.scene.map).inside(torch.tensor([[50.0, -3.5], [50, 5.5], [50, -4.5], [50, 6.5]]))
    assert inside.tolist() == [True, True, False, False], "between the edges" and 0 < s.inferred["drivable area"] <= 1
    assert any("1 map features" in p for p in s.problems), "lane 9 is a point"
    assert s.scene.briefing.cameras[0].name == "FRONT" and "Waymo" in s.licence


def test_waymo_lights(tmp_path):
    s = load(tmp_path, waymo())
    signals, back = s.scene.signals, s.scene.briefing.vehicle.rear_axle_to_center
    assert signals.lane.tolist() == [2] and signals.state.shape == (STEPS, 1)
    expected = [Light.UNKNOWN] * 10 + [Light.GREEN] * 10 + [Light.FLASHING_RED] * 11
    assert signals.state[:, 0].tolist() == expected
    assert signals.stop_xy[0].tolist() == pytest.approx([101 + back, 1.0], abs=0.01)
    assert any("1 traffic lights" in p for p in s.problems), "of lane 99"


# the others


def test_nuplan(tmp_path):
    data = waymo()
    light = data["dynamic_map_states"]["3"]
    light |= {"stop_point": [EAST + 108.0, NORTH + 8.0], "lane": "3", "metadata": {"dataset": "nuplan"}}
    light["state"] = {"object_state": ["TRAFFIC_LIGHT_RED"] * STEPS}
    pacifica = {"wheel_base": 3.089, "length": 5.176, "rear_length": 1.127, "width": 2.297, "height": 1.777}
    data["metadata"] |= {"dataset": "nuplan", "map": "us-nv-las-vegas-strip", "ego_vehicle_parameters": pacifica}
    for one in data["tracks"].values():
        one["state"]["position"][:, 2] = 0.0
    ego = data["tracks"]["ego"]["state"]
    ego |= {"length": np.full((STEPS, 1), 5.176), "width": np.full((STEPS, 1), 2.297), "height": np.full(STEPS, 1.777)}
    for feature in data["map_features"].values():
        if "polyline" in feature:
            feature["polyline"] = feature["polyline"][:, :2]
    s = load(tmp_path, data)
    vehicle = s.scene.briefing.vehicle
    assert vehicle.rear_axle_to_center == pytest.approx(1.461) and vehicle.wheelbase == 3.089
    assert s.log.xy[0, 0].tolist() == pytest.approx([1.461, 0.0], abs=1e-4), "logged by its centre"
    assert s.scene.signals.stop_xy[0].tolist() == pytest.approx([101.461, 0], abs=1e-3), "at the connector's start"
    assert s.scene.signals.state[:, 0].unique().tolist() == [Light.RED]
    assert s.log.z.nan_to_num().abs().max() == 0 and s.place.name == "us-nv-las-vegas-strip"
    assert "nuPlan" in s.licence


def test_argoverse(tmp_path):
    data = waymo()
    data["metadata"] |= {"dataset": "av2", "sdc_id": "AV", "current_time_index": 20}
    data["tracks"]["AV"] = data["tracks"].pop("ego")
    for one in data["tracks"].values():
        one["state"]["position"][:, 2] = 0.0
        one["state"]["height"][:] = 1.0
    for feature in data["map_features"].values():
        feature |= {"interpolating": True, "width": np.zeros((21, 2)), "speed_limit_mph": 85.0, "left_neighbor": []}
    s = load(tmp_path, data)
    assert s.scene.briefing.vehicle.length == 4.877 and s.start == 10
    assert s.scene.briefing.cameras[0].name == "ring_front_center"
    assert s.scene.map.lanes.speed_limit.isnan().all() and not s.scene.map.lanes.intersection.any()
    assert s.inferred["sizes"] < 0.5 and "widths" in s.inferred
    on = RoadMap.of(s.scene.map).ground(s.log.xy[:, 0])
    assert torch.allclose(s.log.z[:, 0], on, atol=1e-5) and float(on.max()) > 0.2, "lifted onto the road"
    assert ScenarioNet(str(tmp_path), rig="pandaset").load("x").scene.briefing.cameras[0].name == "front_camera"


def test_what_metadrive_asks_for_is_enough(tmp_path):
    """Positions, headings and centre lines; no sizes, velocities, valid, ts, dataset or links."""
    bare = lambda x, y, v: {"position": drive(x, y, v), "heading": [0.0] * STEPS}  # noqa: E731
    tracks = {
        "ego": {"type": "VEHICLE", "state": bare(0, 0, 10), "metadata": {}},
        "p": {"type": "PEDESTRIAN", "state": bare(20, 5, 1)},
        "l": {"type": "TRAFFIC_LIGHT", "state": {}},
    }
    features = {"1": {"type": "LANE_UNKNOWN", "polyline": line(-20, 100, 0)}}
    s = load(tmp_path, {"tracks": tracks, "map_features": features, "metadata": {"coordinate": "metadrive"}})
    assert s.track_ids == ("ego", "p") and s.inferred["sizes"] == 0.0
    assert s.log.speed[:, 0].tolist() == pytest.approx([10.0] * STEPS, abs=1e-3)
    assert agent(s, "p").size[0].tolist() == pytest.approx([0.8, 0.7, 1.75])
    assert any("time stamps" in p for p in s.problems) and "synthetic" in s.tags
    without = load(tmp_path, {"tracks": tracks, "map_features": {}, "metadata": {}})
    assert len(without.scene.map.lanes) > 0 and without.inferred["lanes"] < 0.5
    assert RoadMap.of(without.scene.map).inside(without.log.xy[:, 0]).all()
    assert "not stated" in without.licence


# time


@pytest.mark.parametrize("unit", [1.0, 1e6, 1e9])
def test_time_stamps_in_any_unit_are_put_on_the_grid(tmp_path, unit):
    data = waymo()
    data["metadata"]["ts"] = (np.arange(STEPS) * 0.2 + 1.5e4) * unit
    s = load(tmp_path, data)
    assert s.steps == 61 and s.scene.signals.state.shape == (61, 1)
    assert s.log.xy[20, 0, 0] - s.log.xy[0, 0, 0] == pytest.approx(10.0, abs=1e-3)
    assert s.scene.signals.state[[18, 20, 38, 40], 0].tolist() == [0, Light.GREEN, Light.GREEN, Light.FLASHING_RED]


@pytest.mark.parametrize(
    "ts", [None, np.zeros(STEPS), np.arange(3), "x", np.full(STEPS, np.nan), np.arange(STEPS) * 1e3]
)
def test_without_usable_time_stamps_there_are_ten_steps_a_second(tmp_path, ts):
    data = waymo()
    data["metadata"]["ts"] = ts
    s = load(tmp_path, data)
    assert s.steps == STEPS and any("time stamps" in p for p in s.problems)


def test_the_drive_is_cut_to_where_the_ego_is(tmp_path):
    data = waymo()
    ego = data["tracks"]["ego"]["state"]
    ego["valid"][:4] = ego["valid"][28:] = False
    s = load(tmp_path, data)
    assert s.steps == 24 and any("step 4 to 27 of 31" in p for p in s.problems)
    assert agent(s, "8").valid.tolist() == [1 <= i < 16 for i in range(24)]
    assert s.scene.signals.state[:8, 0].tolist() == [0] * 6 + [Light.GREEN] * 2
    ego["valid"][:] = False
    with pytest.raises(InputError, match=r"sd_x.pkl.*ego"):
        load(tmp_path, data)
    ego["valid"][:9] = True
    with pytest.raises(NotDrivable, match=r"sd_x.pkl.*long"):
        load(tmp_path, data)


# damage


def test_one_bad_track_or_step_sinks_nothing(tmp_path):
    data, good = waymo(), load(tmp_path, waymo())
    data["tracks"]["7"]["state"]["position"][3, 0] = np.nan
    data["tracks"]["8"]["state"]["position"][9, 1] = 1e308
    data["tracks"]["7"]["state"]["velocity"][6] = 1e30
    data["tracks"] |= {
        "nan": track(xy=np.full((STEPS, 2), np.nan)),
        "short": {"type": "VEHICLE", "state": {"position": np.zeros((3, 3)), "heading": np.zeros(3)}},
        "far": track(xy=drive(x=1e9)),
        "never": track(xy=drive(), valid=slice(0)),
        "text": {"type": "VEHICLE", "state": {"position": "here", "heading": None}},
        "nothing": None,
    }
    data["map_features"] |= {"n": {"type": "LANE_FREEWAY", "polyline": [[0, "x"]]}, "m": {"type": "CROSSWALK"}, "k": 3}
    s = load(tmp_path, data)
    assert sorted(s.track_ids) == sorted(good.track_ids)
    assert torch.equal(s.log.xy[:, 0], good.log.xy[:, 0])
    assert torch.allclose(agent(s, "7").velocity, agent(good, "7").velocity, atol=0.02)
    assert agent(s, "8").xy[9].tolist() == pytest.approx(agent(good, "8").xy[9].tolist(), abs=1e-3), "bridged"
    told = " ".join(s.problems)
    assert "5 tracks without usable poses" in told and "2 tracks have steps that are no places" in told
    assert "3 map features" in told


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"metadata": {"sdc_id": "gone"}}, NotDrivable, "ego.*gone"),
        ({"tracks": {}}, NotDrivable, "ego"),
        ({"tracks": []}, InputError, "no ScenarioNet scenario"),
        ({"metadata": None}, InputError, "no ScenarioNet scenario"),
    ],
)
def test_what_is_no_scenario_is_named(tmp_path, change, error, match):
    with pytest.raises(error, match=match) as raised:
        load(tmp_path, {**waymo(), **change})
    assert "sd_x.pkl" in str(raised.value)


def test_hours_and_endless_maps_are_refused(tmp_path):
    data = waymo()
    data["metadata"]["ts"] = np.append(np.arange(STEPS - 1) * 0.1, 1e9)
    with pytest.raises(InputError, match="hour"):
        load(tmp_path, data)
    data, long = waymo(), np.zeros((100_000, 2))  # one array, named a thousand times: a small file
    data["map_features"] = {str(i): {"type": "ROAD_EDGE_BOUNDARY", "polyline": long} for i in range(1000)}
    with pytest.raises(InputError, match="points"):
        load(tmp_path, data)
    nested = [0.0] * 10
    for _ in range(12):
        nested = [nested] * 10
    data["map_features"] = {"1": {"type": "LANE_FREEWAY", "polyline": nested}}
    data["tracks"]["7"]["state"]["position"] = nested
    assert load(tmp_path, data).inferred["lanes"] < 0.5, "lists of lists of lists are no line"


class Shell:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class Evaluated:
    def __reduce__(self):
        return eval, ("1 + 1",)


class Loaded:
    def __reduce__(self):
        return np.load, ("x.npy",)


@pytest.mark.parametrize(
    ("hostile", "name"),
    [(Shell, "system"), (Evaluated, "builtins.eval"), (Loaded, "numpy.*load"), (lambda: Path("x"), "pathlib")],
)
@pytest.mark.parametrize("where", ["tracks", "metadata", "mapping"])
def test_a_hostile_pickle_is_refused_by_name(tmp_path, hostile, name, where):
    mark = tmp_path / "mark"
    thing = hostile(mark) if hostile is Shell else hostile()
    data = waymo()
    if where != "mapping":
        data[where]["x"] = thing
    write(tmp_path / "sd_x.pkl", data)
    if where == "mapping":
        write(tmp_path / "dataset_mapping.pkl", {"sd_x.pkl": thing})
    with pytest.raises(InputError, match=name) as error:
        ScenarioNet(str(tmp_path)).load("x")
    assert str(tmp_path) in str(error.value) and not mark.exists()


def test_bent_files_give_one_clear_error_or_a_scenario(tmp_path):
    path, generator = tmp_path / "sd_x.pkl", np.random.default_rng(0)
    data = pickle.dumps(waymo(), 4)
    outcomes = {"loaded": 0, "refused": 0}
    for round in range(120):
        bent = bytearray(data)
        for _ in range(generator.integers(1, 4)):
            bent[generator.integers(len(bent))] = generator.integers(256)
        path.write_bytes(bytes(bent[: generator.integers(len(bent))]) if round % 5 == 0 else bytes(bent))
        try:
            s = ScenarioNet(str(path)).load("x")
            assert s.log.valid[:, 0].all() and s.log.xy[s.log.valid].isfinite().all()
            assert s.log.velocity[s.log.valid].isfinite().all() and s.scene.map.lanes.center.points.isfinite().all()
            outcomes["loaded"] += 1
        except InputError as error:
            assert "sd_x.pkl" in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10, outcomes


WRONG = [None, "x", -1, 1e300, float("nan"), [], [[]], {}, {"a": 1}, np.zeros(0), np.full((STEPS, 3), np.inf), b"x"]


def test_any_value_may_be_anything(tmp_path):
    """Every value of the tree in turn is something else."""
    generator = np.random.default_rng(1)

    def places(tree, path=()):
        for key, value in tree.items():
            yield (*path, key)
            if isinstance(value, dict):
                yield from places(value, (*path, key))

    for place in list(places(waymo())):
        data = waymo()
        tree = data
        for key in place[:-1]:
            tree = tree[key]
        tree[place[-1]] = WRONG[generator.integers(len(WRONG))]
        try:
            load(tmp_path, data)
        except InputError as error:
            assert "sd_x.pkl" in str(error)


# folders


def test_a_database_and_its_sub_folders(tmp_path):
    write(tmp_path / "part_0/sd_b.pkl", waymo())
    write(tmp_path / "part_1/sd_a.pkl", nuscenes())
    write(tmp_path / "part_1/sd_unlisted.pkl", nuscenes())
    write(tmp_path.parent / f"{tmp_path.name}-out/sd_c.pkl", waymo())
    mapping = {
        "sd_b.pkl": "part_0", "sd_a.pkl": "part_1", "sd_c.pkl": f"../{tmp_path.name}-out", "sd_d.pkl": "part_1",
        "../../e.pkl": "", "sd_f.pkl": "/etc",
    }  # fmt: skip
    write(tmp_path / "dataset_mapping.pkl", mapping)
    source = ScenarioNet(str(tmp_path))
    assert source.ids() == ["a", "b", "c", "d", "e", "f"]
    lost = source.undrivable()
    assert sorted(lost) == ["c", "d", "e", "f"] and "outside" in lost["c"] and "not there" in lost["d"]
    assert source.load("b").id == "b" and source.fingerprint("b") == source.load("b").fingerprint
    for id, word in (("c", "outside"), ("d", "not there"), ("f", "outside")):
        with pytest.raises(InputError, match=word):
            source.load(id)
    assert ScenarioNet(str(tmp_path / "dataset_mapping.pkl")).ids() == source.ids()
    assert ScenarioNet.recognizes(tmp_path) and ScenarioNet.recognizes(tmp_path / "part_0")


def test_a_folder_without_a_mapping(tmp_path):
    write(tmp_path / "x/sd_a.pkl", waymo())
    write(tmp_path / "y/sd_a.pkl", nuscenes())
    write(tmp_path / "y/sd_b.pkl", nuscenes(), protocol=2)
    source = ScenarioNet(str(tmp_path))
    assert source.ids() == ["b", "x~a", "y~a"]
    assert source.load("x~a").tags[1] == "dataset:waymo" and source.load("b").tags[1] == "dataset:nuscenes"
    single = ScenarioNet(str(tmp_path / "x/sd_a.pkl"))
    assert single.ids() == ["a"] and single.load("a").fingerprint == source.load("x~a").fingerprint
    assert source.fingerprint("b") != ScenarioNet(str(tmp_path), rig="waymo").fingerprint("b")
    with pytest.raises(InputError, match="'zz'.*x~a"):
        source.load("zz")
    with pytest.raises(InputError, match="no ScenarioNet scenario"):
        ScenarioNet(str(_empty(tmp_path))).ids()
    with pytest.raises(InputError, match="nowhere"):
        ScenarioNet(str(tmp_path / "nowhere")).ids()


def test_deep_and_linked_folders_are_searched_and_names_in_a_mapping_may_be_links(tmp_path):
    real = write(tmp_path / "disk/sd_a.pkl", waymo())
    (tmp_path / "root/waymo/v1.2").mkdir(parents=True)
    (tmp_path / "root/waymo/v1.2/training").symlink_to(tmp_path / "disk")
    assert ScenarioNet.recognizes(tmp_path / "root") and ScenarioNet(str(tmp_path / "root")).ids() == ["a"]
    write(tmp_path / "base/dataset_mapping.pkl", {"sd_a.pkl": ""})
    (tmp_path / "base/sd_a.pkl").symlink_to(real)
    database = ScenarioNet(str(tmp_path / "base"))
    assert not database.undrivable() and database.load("a").id == "a"


def _empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_only_its_own_are_recognized(tmp_path):
    path = write(tmp_path / "s/sd_a.pkl", waymo())
    assert ScenarioNet.recognizes(path) and ScenarioNet.recognizes(path.parent) and ScenarioNet.recognizes(tmp_path)
    numbered = write(tmp_path / "n/0.pkl", waymo())
    assert ScenarioNet.recognizes(numbered) and ScenarioNet(str(numbered.parent)).ids() == ["0"]
    frame = write(tmp_path / "f/00.pkl", {"columns": ["a"]})
    text = tmp_path / "t" / "sd_notes.pkl"
    text.parent.mkdir()
    text.write_text("tracks")
    for other in (frame, frame.parent, text, text.parent, _empty(tmp_path), tmp_path / "nowhere"):
        assert not ScenarioNet.recognizes(other)
    for name in ("pandaset", "argoverse2", "nuscenes", "waymo", "commonroad"):
        assert not ScenarioNet.recognizes(SHARED / name)


# real files

IDS = sorted(p.stem.removeprefix("sd_") for p in REAL.rglob("sd_*.pkl")) if REAL.is_dir() else []


@real
@pytest.mark.parametrize("id", IDS)
def test_real_files_drive_on_their_map(id):
    s = ScenarioNet(str(REAL)).load(id)
    road, ego = RoadMap.of(s.scene.map), s.log[:, 0]
    assert road.inside(ego.xy).float().mean() > 0.95
    lane, _, aside = road.nearest_lane(ego.xy, ego.yaw)
    assert (lane >= 0).float().mean() > 0.95 and aside[lane >= 0].abs().median() < 1.2
    fast = s.log.valid & (s.log.velocity.norm(dim=-1) > 2) & (s.log.kind <= int(Kind.CONSTRUCTION))
    course = torch.atan2(s.log.velocity[..., 1], s.log.velocity[..., 0]) - s.log.yaw
    off = torch.remainder(course[fast] + torch.pi, 2 * torch.pi) - torch.pi
    assert off.abs().median() < np.deg2rad(3)
    fast[:, 0] = False
    assert (road.nearest_lane(s.log.xy[fast], s.log.yaw[fast])[0] >= 0).float().mean() > 0.85
    gap = s.log.z[fast] - road.ground(s.log.xy[fast])
    assert gap.abs().median() < 0.35, "on the ground"
    assert not [p for p in s.problems if "headings" in p]
    # one that crosses a red light would mean lights on the wrong lanes
    signals = s.scene.signals
    for k in range(s.steps - 1):
        red = signals.lane[signals.at(k) == int(Light.RED)]
        entered = road.nearest_lane(ego.xy[k + 1 : k + 2], ego.yaw[k + 1 : k + 2])[0]
        before = road.nearest_lane(ego.xy[k : k + 1], ego.yaw[k : k + 1])[0]
        assert not (entered in red and before != entered and float(ego.speed[k]) > 3)


@real
@pytest.mark.parametrize("scene", ["scene-0103", "scene-0916"])
def test_nuscenes_files_agree_with_the_tables(scene):
    """The converter takes key frames to be exactly half a second apart: places agree, moments by up to 0.1 s."""
    if not (SHARED / "nuscenes/v1.0-mini").is_dir():
        pytest.skip("needs the nuScenes tables in shared/data/nuscenes")
    from scenarios.nuscenes import NuScenes

    a = NuScenes(str(SHARED / "nuscenes")).load(scene)
    b = ScenarioNet(str(REAL / "nuscenes")).load(f"nuscenes_v1.0-mini_{scene}")
    shift = (b.origin - a.origin)[:2].float()
    assert shift.norm() < 0.05
    axles = [s.scene.briefing.vehicle.rear_axle(s.log.poses[:, 0])[:, :2] for s in (a, b)]
    _, aside, _ = project_to_polyline(axles[1] + shift, axles[0])
    assert aside.abs().max() < 0.05, "its position is the rear axle"
    common = sorted(set(a.track_ids) & set(b.track_ids))
    assert len(common) > 0.9 * len(b.track_ids)
    steps, off = min(a.steps, b.steps), []
    for name in common:
        one, other = agent(a, name)[:steps], agent(b, name)[:steps]
        both = one.valid & other.valid
        off.append(float((one.xy - other.xy - shift)[both].norm(dim=-1).median()) if both.any() else 0.0)
        if name != "ego":
            assert torch.allclose(one.size[0], other.size[0], atol=0.01) and one.kind[0] == other.kind[0]
    assert np.median(off) < 0.1


@real
def test_scene_0061_lies_where_its_photos_were_taken():
    path = SHARED / "nuscenes/v1.0-mini"
    if not path.is_dir():
        pytest.skip("needs the nuScenes tables in shared/data/nuscenes")
    import json

    s = ScenarioNet(str(REAL / "nuscenes")).load("nuscenes_v1.0-mini_scene-0061")
    poses = {row["token"]: row for row in json.loads((path / "ego_pose.json").read_text())}
    scene = next(r for r in json.loads((path / "scene.json").read_text()) if r["name"] == "scene-0061")
    sample = scene["first_sample_token"]
    rows = [r for r in json.loads((path / "sample_data.json").read_text()) if r["sample_token"] == sample]
    taken = torch.tensor([poses[row["ego_pose_token"]]["translation"][:2] for row in rows], dtype=torch.float64)
    yaw = s.log.yaw[0, 0].double()
    along, aside = rotate(taken - s.origin[:2], -yaw).unbind(-1)  # from the rear axle at step 0
    assert aside.abs().max() < 0.25 and along.abs().max() < 0.6, "the cameras fire within 50 ms of the lidar"
