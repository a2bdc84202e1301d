"""Argoverse 2 logs: real ones where they are, and a small one written here in the documented schema."""

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import feather

from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import apply, invert
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, LaneKind, Marking
from scenarios.argoverse2 import Argoverse2

REAL = Path(__file__).parents[2] / "shared/data/argoverse2/sensor/val"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the Argoverse 2 logs in shared/data/argoverse2/sensor/val")

ZERO = 315966265260000000  # [ns]
CITY = np.array([5000.0, 2000.0, 60.0])  # rear axle of the ego at step 0
PITCH = 0.05
CAR, RIDER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
DRIVABLE = [(-50, -4), (150, -4), (150, 8), (-50, 8)]


def quaternion(yaw=0.0, pitch=0.0):
    c, s, d, t = np.cos(yaw / 2), np.sin(yaw / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    return {"qw": c * d, "qx": -s * t, "qy": c * t, "qz": s * d}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.Table.from_pylist(rows), path)


def lane(id, low, high, left, right, **more):
    line = lambda y: [{"x": CITY[0] + x, "y": CITY[1] + y, "z": CITY[2] - 0.32} for x in (low, high)]  # noqa: E731
    fields = {"successors": [], "predecessors": [], "left_neighbor_id": None, "right_neighbor_id": None}
    marks = {"left_lane_mark_type": "DASHED_WHITE", "right_lane_mark_type": "NONE"}
    lines = {"left_lane_boundary": line(left), "right_lane_boundary": line(right)}
    return {"id": id, "is_intersection": False, "lane_type": "VEHICLE", **fields, **marks, **lines, **more}


def ego_rows(steps):
    """20 poses a second, 10 m/s along x, nose down by PITCH."""
    times = range(-1, 2 * steps)
    return [
        {"timestamp_ns": ZERO + i * 50_000_000, **quaternion(0, PITCH), "tx_m": CITY[0] + 0.5 * i,
         "ty_m": CITY[1], "tz_m": CITY[2]}
        for i in times
    ]  # fmt: skip


def box_rows(steps):
    """A car 20 m ahead at the ego's speed, and a rider who is missing for 2 s."""
    base = {"num_interior_pts": 5, **quaternion(0.1)}
    rows = []
    for i in range(steps):
        at = {"timestamp_ns": ZERO + i * 100_000_000, **base}
        size = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.5}
        rows.append(
            {
                **at,
                **size,
                "track_uuid": CAR,
                "category": "REGULAR_VEHICLE",
                "tx_m": 20.0,
                "ty_m": 3.5,
                "tz_m": 0.5,
            }
        )
        if not 5 < i < 25:
            rows.append(
                {
                    **at,
                    **size,
                    "track_uuid": RIDER,
                    "category": "BICYCLE",
                    "tx_m": 5.0,
                    "ty_m": -2.0,
                    "tz_m": 0.5,
                }
            )
    return rows


def write_log(folder, steps=30, calibration=False, sensors=False):
    write(folder / "city_SE3_egovehicle.feather", ego_rows(steps))
    write(folder / "annotations.feather", box_rows(steps))
    lanes = [
        lane(1, -50, 50, 2, -2, successors=[2, 99], left_neighbor_id=3),
        lane(2, 50, 150, 2, -2, is_intersection=True),
        lane(3, -50, 50, 6, 2, right_neighbor_id=1, lane_type="BUS", right_lane_mark_type="DASHED_WHITE"),
        lane(4, 150, -50, 6, 8, lane_type="BIKE", left_neighbor_id=1, left_lane_mark_type="DOUBLE_SOLID_YELLOW"),
    ]
    corner = lambda x, y: {"x": CITY[0] + x, "y": CITY[1] + y, "z": CITY[2]}  # noqa: E731
    area = {"id": 7, "area_boundary": [corner(*p) for p in DRIVABLE]}
    inner = {"id": 8, "area_boundary": [corner(x, y + 4) for x, y in DRIVABLE]}
    crossing = {"id": 9, "edge1": [corner(30, -4), corner(30, 8)], "edge2": [corner(33, 8), corner(33, -4)]}
    archive = {
        "lane_segments": {str(s["id"]): s for s in lanes},
        "drivable_areas": {"7": area, "8": inner},
        "pedestrian_crossings": {"9": crossing},
    }
    (folder / "map").mkdir()
    (folder / "map" / "log_map_archive_x____PIT_city_1.json").write_text(json.dumps(archive))
    sim = {"R": [1.0, 0.0, 0.0, 1.0], "t": [60 - CITY[0], 10 - CITY[1]], "s": 2.0}
    (folder / "map" / "x___img_Sim2_city.json").write_text(json.dumps(sim))
    heights = np.full((50, 440), CITY[2] - 0.32, np.float16)
    heights[:5] = np.nan
    np.save(folder / "map" / "x_ground_height_surface____PIT.npy", heights)
    if calibration:
        lens = {
            "fx_px": 1000.0,
            "fy_px": 1000.0,
            "cx_px": 500.0,
            "cy_px": 1000.0,
            "k1": -0.2,
            "k2": 0.1,
            "k3": 0.0,
        }
        name = {"sensor_name": "ring_front_center"}
        write(folder / "calibration/intrinsics.feather", [{**name, **lens, "height_px": 2000, "width_px": 1000}])
        place = {"qw": 0.5, "qx": -0.5, "qy": 0.5, "qz": -0.5, "tx_m": 1.5, "ty_m": 0.0, "tz_m": 1.4}
        write(folder / "calibration/egovehicle_SE3_sensor.feather", [{**name, **place}])
    if sensors:
        from PIL import Image

        photos = folder / "sensors/cameras/ring_front_center"
        photos.mkdir(parents=True)
        Image.new("RGB", (1000, 2000), (200, 30, 30)).save(photos / f"{ZERO + 50_000_000}.jpg")
        point = {k: np.float16(v) for k, v in {"x": 10, "y": 2, "z": -0.32}.items()}
        path = folder / f"sensors/lidar/{ZERO + 100_000_000}.feather"
        path.parent.mkdir(parents=True)
        feather.write_feather(pa.table({k: pa.array([v], pa.float16()) for k, v in point.items()}), path)
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("av2") / "val" / "log", calibration=True, sensors=True)


@pytest.fixture(scope="module")
def scenario(written):
    return Argoverse2(str(written)).load("log")


def test_ids_from_a_log_its_folder_and_the_folder_above(written):
    for root in (written, written.parent, written.parent.parent):
        assert Argoverse2(str(root)).ids() == ["log"]


def test_world_starts_at_the_ego_on_the_ground(scenario):
    down = torch.tensor([-0.32 * np.sin(PITCH), 0, -0.32 * np.cos(PITCH)])
    assert torch.allclose(scenario.origin, torch.from_numpy(CITY) + down, atol=1e-9)
    ego = scenario.log[:, 0]
    ahead = torch.tensor([1.38 * np.cos(PITCH), 0.0])
    assert torch.allclose(ego.xy[0], ahead.float(), atol=1e-5)
    assert torch.allclose(ego.z[0], torch.tensor(-1.38 * np.sin(PITCH)).float(), atol=1e-5)
    assert torch.allclose(ego.pitch, torch.tensor(PITCH).float().expand(30), atol=1e-6)
    assert torch.allclose(ego.speed, torch.tensor(10.0).expand(30), atol=1e-3)
    assert scenario.steps == 30 and scenario.start == 10 and ego.valid.all()


def test_boxes_follow_the_tilted_ego(scenario):
    car = scenario.log[:, scenario.track_ids.index(CAR)]
    c, s = np.cos(PITCH), np.sin(PITCH)
    bottom_x = 20 * c + (0.5 + 0.32 - 0.75) * s  # centre in the ego frame on the ground, then half a height down
    bottom_z = -20 * s + (0.5 + 0.32 - 0.75) * c
    assert torch.allclose(car.xy[0], torch.tensor([bottom_x, 3.5]).float(), atol=0.01)
    assert car.z[0] == pytest.approx(bottom_z, abs=0.01)
    assert car.yaw[0] == pytest.approx(0.1, abs=1e-3)
    assert car.pitch[0] == pytest.approx(PITCH, abs=1e-3)
    assert torch.allclose(car.velocity[5], torch.tensor([10.0, 0.0]), atol=1e-3)
    assert car.size[0].tolist() == [4.0, 2.0, 1.5] and car.kind[0] == Kind.CAR


def test_a_track_that_is_missing_for_two_seconds_is_absent_then(scenario):
    rider = scenario.log[:, scenario.track_ids.index(RIDER)]
    assert rider.valid[:6].all() and not rider.valid[6:25].any() and rider.valid[25:].all()
    assert torch.isnan(rider.xy[10]).all()


def test_the_lanes_are_those_of_the_map(scenario):
    lanes = scenario.scene.map.lanes
    assert len(lanes) == 4
    first = lanes.center.line(0)
    offset = -float(scenario.origin[1]) + CITY[1]
    assert torch.allclose(first[:, 1], torch.tensor(offset).float(), atol=1e-4)
    assert torch.allclose(lanes.width, torch.tensor([4.0, 4.0, 4.0, 2.0]), atol=1e-5)
    assert lanes.successors.tolist() == [[0, 1]], "lane 99 is not in the map"
    assert sorted(lanes.neighbours.tolist()) == [[0, 2, 1], [2, 0, -1]], "the oncoming bicycle lane is no neighbour"
    assert lanes.center.kind.tolist() == [LaneKind.VEHICLE, LaneKind.VEHICLE, LaneKind.BUS, LaneKind.BICYCLE]
    assert lanes.intersection.tolist() == [False, True, False, False]
    assert torch.isnan(lanes.speed_limit).all()


def test_shared_boundaries_are_painted_once(scenario):
    kinds = scenario.scene.map.markings.kind.tolist()
    # left of 1 is right of 3; left of 2 and of 3 are their own, left of 4 is the yellow line
    assert sorted(kinds) == [Marking.DASHED_WHITE] * 3 + [Marking.DOUBLE_YELLOW]


def test_drivable_crossing_and_ground(scenario):
    road = RoadMap.of(scenario.scene.map)
    places = torch.tensor([[0.0, 0.0], [100.0, 11.5], [0.0, 12.5], [0.0, -4.5], [151.0, 0.0]])
    assert road.inside(places).tolist() == [True, True, False, False, False]
    assert len(scenario.scene.map.drivable) == 1, "overlapping areas are one"
    ring = scenario.scene.map.crosswalks.line(0)
    x, y = ring.T.double()
    area = (x * y.roll(-1) - x.roll(-1) * y).sum().abs() / 2
    assert area == pytest.approx(3 * 12, abs=0.01)
    # half floats give 59.68 as 59.6875; the strip of NaN takes its neighbours' height
    assert road.ground(torch.tensor([[0.0, 0.0], [0.0, -9.9]])).tolist() == pytest.approx([0.0, 0.0], abs=0.02)


def test_own_cameras_keep_their_aspect_ratio_and_stand_on_the_ground(scenario):
    (camera,) = scenario.scene.briefing.cameras
    assert (camera.name, camera.width, camera.height) == ("ring_front_center", 112, 224)
    assert camera.intrinsics[0, 0] == pytest.approx(112) and camera.distortion == ()
    assert camera.ego_from_camera[:3, 3].tolist() == pytest.approx([1.5, 0, 1.72])


def test_photo_and_sweep_carry_their_own_pose(scenario):
    (image,) = scenario.sensors.images["ring_front_center"]
    assert image.time == pytest.approx(0.05)
    rgb = image.read()
    assert rgb.shape == (3, 224, 112) and rgb[0].float().mean() > 180 > 60 > rgb[1].float().mean()
    # 10 m/s for 0.05 s ahead of where the camera stands at step 0
    start = scenario.scene.briefing.vehicle.world_from_ego(scenario.log[0, 0]).double() @ image.camera.ego_from_camera
    moved = image.world_from_camera[:3, 3] - start[:3, 3]
    assert torch.allclose(moved, torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64), atol=1e-5)
    (sweep,) = scenario.sensors.sweeps
    ego = scenario.scene.briefing.vehicle.world_from_ego(scenario.log[1, 0])
    assert torch.allclose(apply(invert(ego), sweep.read()), torch.tensor([[10.0, 2.0, 0.0]]), atol=2e-3)


def test_without_calibration_the_preset_is_used(tmp_path):
    loaded = Argoverse2(str(write_log(tmp_path / "log")), rig="waymo", width=320, height=160).load("log")
    assert [c.name for c in loaded.scene.briefing.cameras][0] == "FRONT"
    assert {(c.width, c.height) for c in loaded.scene.briefing.cameras} == {(320, 160)}
    assert loaded.sensors is None and "cameras:waymo preset" in loaded.tags


def test_fingerprint_changes_with_content_and_options(tmp_path):
    log = write_log(tmp_path / "log")
    source = Argoverse2(str(log))
    before = source.fingerprint("log")
    assert before == Argoverse2(str(tmp_path)).fingerprint("log") == source.load("log").fingerprint
    assert before != Argoverse2(str(log), rig="waymo").fingerprint("log")
    write(log / "annotations.feather", box_rows(29))
    assert before != source.fingerprint("log")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_nan(path):
    rows = feather.read_table(path).to_pylist()
    rows[3]["tx_m"] = float("nan")
    write(path, rows)


@pytest.mark.parametrize("harm", [cut, Path.unlink, with_nan], ids=["half", "missing", "nan"])
@pytest.mark.parametrize("name", ["annotations.feather", "city_SE3_egovehicle.feather"])
def test_a_broken_table_is_named(tmp_path, name, harm):
    log = write_log(tmp_path / "log")
    harm(log / name)
    with pytest.raises(InputError, match=name):
        Argoverse2(str(tmp_path)).load("log")


@pytest.mark.parametrize("pattern", ["log_map_archive_*.json", "*.npy", "*Sim2*.json"])
@pytest.mark.parametrize("harm", [cut, Path.unlink], ids=["half", "missing"])
def test_a_broken_map_is_named(tmp_path, pattern, harm):
    log = write_log(tmp_path / "log")
    harm(next((log / "map").glob(pattern)))
    with pytest.raises(InputError, match="log_map_archive|ground_height|Sim2"):
        Argoverse2(str(tmp_path)).load("log")


def test_broken_sensor_files_are_named_when_they_are_read(tmp_path):
    log = write_log(tmp_path / "log", calibration=True, sensors=True)
    sensors = Argoverse2(str(log)).load("log").sensors
    photo, sweep = next(log.rglob("*.jpg")), next(log.glob("sensors/lidar/*"))
    cut(photo)
    sweep.unlink()
    with pytest.raises(InputError, match=photo.name):
        sensors.images["ring_front_center"][0].read()
    with pytest.raises(InputError, match=sweep.name):
        sensors.sweeps[0].read()


def test_one_frame_is_not_drivable(tmp_path):
    log = write_log(tmp_path / "log")
    write(log / "annotations.feather", box_rows(1))
    with pytest.raises(NotDrivable, match=r"log.*0\.1 s long"):
        Argoverse2(str(tmp_path)).load("log")


@pytest.mark.parametrize(
    "name, column, value",
    [
        ("calibration/intrinsics", "height_px", 0),
        ("calibration/intrinsics", "fx_px", "wide"),
        ("calibration/intrinsics", "sensor_name", "../x"),
        ("calibration/egovehicle_SE3_sensor", "sensor_name", 7),
        ("annotations", "track_uuid", None),
        ("annotations", "timestamp_ns", "now"),
        ("city_SE3_egovehicle", "tz_m", [1.0]),
    ],
)
def test_columns_of_other_types_are_refused_by_name(tmp_path, name, column, value):
    path = write_log(tmp_path / "log", calibration=True) / f"{name}.feather"
    write(path, [{**row, column: value} for row in feather.read_table(path).to_pylist()])
    with pytest.raises(InputError, match=path.parent.name):
        Argoverse2(str(tmp_path)).load("log")


def test_a_box_without_size_is_left_out_and_told(tmp_path):
    path = write_log(tmp_path / "log") / "annotations.feather"
    rows = feather.read_table(path).to_pylist()
    write(path, [{**row, "width_m": -1.0} if row["track_uuid"] == CAR else row for row in rows])
    loaded = Argoverse2(str(tmp_path)).load("log")
    assert CAR not in loaded.track_ids and RIDER in loaded.track_ids
    assert any(CAR in p and "size" in p for p in loaded.problems)


def test_logs_without_annotations_are_listed_with_the_reason(tmp_path):
    write_log(tmp_path / "train" / "a")
    (write_log(tmp_path / "test" / "b") / "annotations.feather").unlink()
    source = Argoverse2(str(tmp_path))
    assert source.ids() == ["a", "b"] and list(source.undrivable()) == ["b"]
    with pytest.raises(NotDrivable, match=r"b/annotations\.feather.*test split"):
        source.load("b")


def test_a_log_is_called_what_its_link_is_called(tmp_path):
    write_log(tmp_path / "store" / "4f3a")
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "log").symlink_to(tmp_path / "store" / "4f3a")
    source = Argoverse2(str(tmp_path / "val"))
    assert source.ids() == ["log"] and source.load("log").id == "log"


def test_wrong_roots_and_ids(tmp_path, written):
    with pytest.raises(InputError, match="nowhere"):
        Argoverse2(str(tmp_path / "nowhere")).ids()
    with pytest.raises(InputError, match="no Argoverse 2 sensor log"):
        Argoverse2(str(tmp_path)).ids()
    with pytest.raises(InputError, match="'other'.*log"):
        Argoverse2(str(written)).load("other")


def test_a_gap_in_the_poses_is_told(tmp_path):
    log = write_log(tmp_path / "log")
    rows = ego_rows(30)
    write(log / "city_SE3_egovehicle.feather", [r for i, r in enumerate(rows) if not 20 < i < 50])
    with pytest.raises(InputError, match=r"log: .*the ego.*not there at 1\.1 s"):
        Argoverse2(str(log)).load("log")


def test_boxes_of_another_log_are_refused(tmp_path):
    log = write_log(tmp_path / "log")
    rows = [{**row, "timestamp_ns": row["timestamp_ns"] + 10**12} for row in box_rows(30)]
    write(log / "annotations.feather", rows)
    with pytest.raises(InputError, match="different logs"):
        Argoverse2(str(log)).load("log")


def test_a_log_copied_to_another_name_loads_the_same_agents(tmp_path, scenario, written):
    shutil.copytree(written, tmp_path / "copy")
    other = Argoverse2(str(tmp_path)).load("copy")
    assert torch.equal(other.log.xy.nan_to_num(), scenario.log.xy.nan_to_num())


@real
@pytest.mark.parametrize("id", sorted(p.name for p in REAL.glob("*")) if REAL.is_dir() else [])
def test_real_logs_drive_on_their_map(id):
    loaded = Argoverse2(str(REAL)).load(id)
    road, ego = RoadMap.of(loaded.scene.map), loaded.log[:, 0]
    assert 150 <= loaded.steps <= 165 and ego.valid.all()
    assert road.inside(ego.xy).all()
    axle = loaded.scene.briefing.vehicle.rear_axle(ego.poses)[:, :2]
    assert (road.ground(axle) - loaded.scene.briefing.vehicle.world_from_ego(ego)[:, 2, 3]).abs().max() < 0.15
    lane, _, lateral = road.nearest_lane(ego.xy, ego.yaw)
    assert (lane >= 0).float().mean() > 0.9 and lateral[lane >= 0].abs().median() < 1.0
    cars = (loaded.log.kind == Kind.CAR) & loaded.log.valid & (loaded.log.speed.abs() > 2)
    cars[:, 0] = False
    cars &= (loaded.log.xy - ego.xy[:, None]).norm(dim=-1) < 60  # lanes end before the lidar does
    on = road.nearest_lane(loaded.log.xy[cars], loaded.log.yaw[cars])[0]
    assert (on >= 0).float().mean() > 0.8, "moving cars keep to lanes"
    assert (loaded.log.z[cars] - road.ground(loaded.log.xy[cars])).abs().median() < 0.3


@real
def test_real_sweeps_lie_on_the_ground():
    for id in Argoverse2(str(REAL)).ids():
        loaded = Argoverse2(str(REAL)).load(id)
        for sweep in loaded.sensors.sweeps if loaded.sensors else ():
            points = sweep.read()
            near = points[(points[:, :2] - sweep.origin[:2]).norm(dim=1) < 8]
            above = near[:, 2] - RoadMap.of(loaded.scene.map).ground(near[:, :2])
            assert above.quantile(0.02).abs() < 0.15
            assert 1.7 < float(sweep.origin[2] - RoadMap.of(loaded.scene.map).ground(sweep.origin[:2].float())) < 2.2
