"""Scenarios in ScenarioNet's layout: what MetaDrive's sanity check asks for, and what comes back."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.export.scenarionet import describe, write
from drivesim.restricted_pickle import read_pickle
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, LaneKind, Polylines, Stops, Vehicle
from scenarios.scenarionet import ScenarioNet
from scenarios.synthetic import Synthetic

from .worlds import scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared/data"

# the types that MetaDrive knows for tracks and lights, and for lanes (metadrive.type.MetaDriveType)
ACTORS = {
    "VEHICLE", "PEDESTRIAN", "CYCLIST", "OTHER", "TRAFFIC_LIGHT", "TRAFFIC_BARRIER", "TRAFFIC_CONE", "TRAFFIC_OBJECT",
}  # fmt: skip
LANES = {"LANE_SURFACE_STREET", "LANE_SURFACE_UNSTRUCTURE", "LANE_UNKNOWN", "LANE_FREEWAY", "LANE_BIKE_LANE"}


@pytest.fixture(scope="module")
def town():
    return Synthetic().load("town-0001")


def small():
    tracks = [
        track((Vehicle().rear_axle_to_center, 0), speed=5),
        track((20, 0), kind=Kind.TRUCK, valid=slice(7, 30)),
        track((5, 6), yaw=1.5, speed=1, kind=Kind.PEDESTRIAN),
        track((9, 6), kind=Kind.CONE, valid=slice(0, 0)),
    ]
    road = straight_road(lanes=2)
    stops = Stops(torch.tensor([1, 0]), torch.tensor([[30.0, 3.5], [40.0, 0.0]]), torch.tensor([0, 1]))
    return scenario(*tracks, map=road.replace(stops=stops))


def plain(value):
    """Whether MetaDrive's check of types passes."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(plain(v) for v in value)
    return isinstance(value, int | float | str | np.ndarray | tuple | set | None)


def check(content):
    """The rules of MetaDrive's ScenarioDescription.sanity_check with valid_check, written anew."""
    assert {"tracks", "version", "id", "dynamic_map_states", "map_features", "length", "metadata"} <= content.keys()
    assert plain(content)
    steps, about = content["length"], content["metadata"]
    assert {"metadrive_processed", "coordinate", "ts"} <= about.keys() and about["ts"].shape == (steps,)
    assert about["sdc_id"] in content["tracks"]
    for name, thing in [*content["tracks"].items(), *content["dynamic_map_states"].items()]:
        assert {"type", "state", "metadata"} <= thing.keys() and thing["type"] in ACTORS
        assert thing["metadata"]["object_id"] == name and "type" in thing["metadata"]
        assert all(len(x) == steps for x in thing["state"].values())
    for thing in content["tracks"].values():
        state = thing["state"]
        assert state["position"].shape == (steps, 3) and state["velocity"].shape == (steps, 2)
        assert state["valid"].dtype == bool and state["valid"].any()
        for key in ("position", "heading", "velocity", "length", "width", "height"):
            assert state[key].dtype == np.float32 and np.isfinite(state[key]).all()
            assert not state[key][~state["valid"]].any(), "absent is 0 in this layout"
    for feature in content["map_features"].values():
        shape = feature.get("polyline", feature.get("polygon"))
        assert "position" in feature or np.isfinite(shape).all()
        assert feature["type"] not in LANES or feature["polyline"].shape[1] == 3


def test_the_layout(town):
    for s in (town, small()):
        check(describe(s))


def test_numbers_by_hand():
    content = describe(small())
    assert sorted(content["tracks"]) == sorted(small().track_ids[:3]), "who is never there is left out"
    truck = content["tracks"][small().track_ids[1]]
    assert truck["type"] == "VEHICLE" and truck["metadata"]["type"] == "TRUCK"
    assert truck["state"]["position"][7].tolist() == pytest.approx([20, 0, 3.2 / 2]), "the box's centre"
    lane, other = content["map_features"]["0"], content["map_features"]["1"]
    assert lane["width"].tolist() == [[1.75, 1.75]] * len(lane["polyline"])
    assert lane["left_neighbor"][0]["feature_id"] == "1" and other["right_neighbor"][0]["feature_id"] == "0"
    assert lane["speed_limit_kmh"] == pytest.approx(13.9 * 3.6) and other["left_neighbor"] == []
    edge = content["map_features"]["boundary_0"]
    assert edge["type"] == "ROAD_EDGE_BOUNDARY" and (edge["polyline"][0] == edge["polyline"][-1]).all()
    x, y = edge["polyline"].T
    assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0, "the road on its left"
    signs = [f for f in content["map_features"].values() if f["type"] == "STOP_SIGN"]
    assert len(signs) == 1 and signs[0]["lane"] == ["1"] and signs[0]["position"].tolist() == [30.0, 3.5, 0.0]
    about = content["metadata"]
    summary = about["object_summary"]
    assert summary[small().track_ids[0]]["moving_distance"] == pytest.approx(20.0, abs=0.01)
    truck = summary[small().track_ids[1]]
    assert truck["valid_length"] == truck["continuous_valid_length"] == 23
    assert about["number_summary"]["num_objects_each_type"] == {"PEDESTRIAN": 1, "VEHICLE": 2}
    assert about["number_summary"]["num_moving_objects"] == 2 and about["licence"] == small().licence


def test_holes_turn_the_other_way():
    s = small()
    outer = torch.tensor([[0.0, 0], [0, 9], [9, 9], [9, 0]])
    hole, island = outer / 3 + 3, outer / 9 + 4
    road = s.scene.map.replace(drivable=Polylines.of([outer, hole, island]))
    features = describe(scenario(track((0, 0), speed=5), map=road))["map_features"]
    areas = []
    for i in range(3):
        x, y = features[f"boundary_{i}"]["polyline"].T
        areas.append((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)
    assert areas == pytest.approx([81, -9, 1], rel=1e-4)


def same(a, b):
    """What the layout keeps."""
    there = a.log.valid
    kept = [i for i in range(len(a.track_ids)) if there[:, i].any()]
    assert [str(a.track_ids[i]) for i in kept] == list(b.track_ids)
    one, other, there = a.log[:, kept], b.log, there[:, kept]
    assert torch.equal(there, other.valid)
    assert float((one.xy - other.xy)[there].abs().max()) < 1e-3 and float((one.z - other.z)[there].abs().max()) < 1e-3
    turn = torch.remainder(one.yaw - other.yaw + torch.pi, 2 * torch.pi) - torch.pi
    assert float(turn[there].abs().max()) < 1e-3
    assert float((one.pitch - other.pitch)[there].abs().max()) < 1e-3
    assert float((one.velocity - other.velocity)[there].abs().max()) < 1e-3
    assert torch.allclose(one.size[there], other.size[there]) and torch.equal(one.kind[there], other.kind[there])
    m, n = a.scene.map, b.scene.map
    for x, y in ((m.lanes.center, n.lanes.center), (m.crosswalks, n.crosswalks), (m.markings, n.markings)):
        assert torch.equal(x.offsets, y.offsets) and torch.allclose(x.points, y.points, atol=1e-3)
        assert torch.equal(x.kind, y.kind)
    assert torch.allclose(m.lanes.width, n.lanes.width, atol=1e-3)
    assert torch.allclose(m.lanes.speed_limit, n.lanes.speed_limit, atol=1e-3, equal_nan=True)
    assert torch.equal(m.lanes.intersection, n.lanes.intersection)
    assert sorted(m.lanes.successors.tolist()) == sorted(n.lanes.successors.tolist())
    assert sorted(m.lanes.neighbours.tolist()) == sorted(n.lanes.neighbours.tolist())
    places = a.log.xy[a.log.valid]
    assert torch.equal(RoadMap.of(m).inside(places), RoadMap.of(n).inside(places))
    signals, read = a.scene.signals, b.scene.signals
    assert torch.equal(signals.lane, read.lane) and torch.allclose(signals.stop_xy, read.stop_xy, atol=1e-2)
    assert all(torch.equal(signals.at(k), read.at(k)) for k in range(a.steps)) or not len(signals.lane)
    assert torch.equal(a.origin, b.origin) and a.start == b.start and a.licence == b.licence
    assert a.scene.briefing.vehicle == b.scene.briefing.vehicle
    assert all(b.inferred[key] == pytest.approx(value) for key, value in a.inferred.items())


def test_a_town_comes_back(town, tmp_path):
    write(town, tmp_path)
    back = ScenarioNet(str(tmp_path)).load("drivesim_town-0001")
    same(town, back)
    assert "synthetic" in back.tags and len(back.scene.signals.lane) > 0 and len(back.scene.map.crosswalks) > 0


def test_a_small_world_comes_back(tmp_path):
    s = small()
    write(s, tmp_path)
    back = ScenarioNet(str(tmp_path)).load(f"drivesim_{s.id}")
    assert back.scene.map.stops.lane.tolist() == [1] and back.scene.map.stops.xy.tolist() == [[30.0, 3.5]]
    assert back.scene.map.lanes.center.kind.tolist() == [int(LaneKind.VEHICLE)] * 2
    assert back.start == s.start


REAL = [
    ("argoverse2/sensor/val", "scenarios.argoverse2", "Argoverse2"),
    ("scenarionet/waymo", "scenarios.scenarionet", "ScenarioNet"),
    ("scenarionet/nuscenes", "scenarios.scenarionet", "ScenarioNet"),
]


@pytest.mark.parametrize(("folder", "module", "name"), REAL, ids=[r[0] for r in REAL])
def test_real_logs_come_back(tmp_path, folder, module, name):
    root = SHARED / folder
    if not root.is_dir():
        pytest.skip(f"needs the logs in shared/data/{folder}")
    source = getattr(__import__(module, fromlist=[name]), name)(str(root))
    a = source.load(source.ids()[0])
    write(a, tmp_path)
    check(read_pickle(tmp_path / f"sd_drivesim_{a.id}.pkl"))
    same(a, ScenarioNet(str(tmp_path)).load(f"drivesim_{a.id}"))


def test_a_file_that_metadrive_has_moved_to_the_ego_still_loads(tmp_path):
    s = small()
    (path, *_) = write(s, tmp_path)
    content = read_pickle(path)
    for thing in content["tracks"].values():
        thing["state"]["position"] = thing["state"]["position"] - np.array([7.0, 3.0, 0.0], np.float32)
    for feature in content["map_features"].values():
        for key in feature.keys() & {"polyline", "polygon"}:
            feature[key] = feature[key] - np.array([7.0, 3.0, 0.0][: feature[key].shape[1]])
    path.write_bytes(pickle.dumps(content, 4))
    moved = ScenarioNet(str(tmp_path)).load(path.stem.removeprefix("sd_"))
    first = moved.scene.briefing.vehicle.world_from_ego(moved.log[0, 0])[:3, 3]
    assert float(first.abs().max()) < 0.01
    away = s.log.xy[:, 1] - s.log.xy[0, 0]
    assert torch.allclose((moved.log.xy[:, 1] - moved.log.xy[0, 0])[8:29], away[8:29], atol=1e-4)


def test_the_database_grows_and_python_reads_it(tmp_path):
    a = small()
    b = scenario(track((0, 0), speed=3), track((9, 0)), id="../odd id")
    first = write(a, tmp_path)
    assert [p.name for p in first] == [f"sd_drivesim_{a.id}.pkl", "dataset_summary.pkl", "dataset_mapping.pkl"]
    second = write(b, tmp_path)
    assert second[0] == tmp_path / "sd_drivesim_.._odd_id.pkl"
    for read in (lambda p: pickle.loads(p.read_bytes()), read_pickle):
        mapping, summary = read(tmp_path / "dataset_mapping.pkl"), read(tmp_path / "dataset_summary.pkl")
        assert mapping == {p.name: "" for p in {first[0], second[0]}} and set(summary) == set(mapping)
        assert summary[first[0].name]["number_summary"]["num_objects"] == 3
    assert not list(tmp_path.glob("*.part")) and len(ScenarioNet(str(tmp_path)).ids()) == len(mapping)


@pytest.mark.parametrize("table", ["dataset_summary.pkl", "dataset_mapping.pkl"])
@pytest.mark.parametrize("harm", [b"no pickle", pickle.dumps([1]), pickle.dumps(eval)])
def test_a_spoilt_database_is_not_overwritten(tmp_path, table, harm):
    (tmp_path / table).write_bytes(harm)
    with pytest.raises(InputError, match=table):
        write(small(), tmp_path)
    assert (tmp_path / table).read_bytes() == harm and not list(tmp_path.glob("sd_*"))
