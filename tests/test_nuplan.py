"""nuPlan: no real file was at hand; logs and maps are written here in the documented schema."""

import pickle
import shutil
import sqlite3

import numpy as np
import pytest
import shapely
import torch

from drivesim.config import source
from drivesim.errors import InputError, NotDrivable
from drivesim.restricted_pickle import Refused
from drivesim.roadmap import RoadMap
from drivesim.simulator import simulate
from drivesim.types import Kind, LaneKind, Light, Marking, StopKind
from planners.idm import IDM
from scenarios.nuplan import NuPlan
from scenarios.nuplan.cameras import _numbers
from scenarios.nuplan.projection import TransverseMercator, utm

from .nuplan_files import (
    AXLE,
    CITY,
    DISTORTION,
    LOG,
    ORIGIN,
    SPEED,
    TAKEN,
    devkit_pickle,
    map_rows,
    write_dataset,
    write_log,
    write_map,
)

FIRST = f"{LOG}-0600000000000000"


@pytest.fixture(autouse=True)
def no_maps_elsewhere(monkeypatch):
    monkeypatch.delenv("NUPLAN_MAPS_ROOT", raising=False)
    monkeypatch.delenv("NUPLAN_SENSOR_ROOT", raising=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("nuplan"))


@pytest.fixture(scope="module")
def scenario(written):
    return NuPlan(str(written)).load(FIRST)


def db_of(root):
    return root / "nuplan-v1.1/splits/mini" / f"{LOG}.db"


def map_file(root):
    return root / "maps" / CITY / "9.15.1915/map.gpkg"


def change(path, *statements):
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(*statement) if isinstance(statement, tuple) else db.execute(statement)
    db.close()


PROJ = [  # PROJ 9.5.1, EPSG:4326 to EPSG:x: the four cities, the south, high up, the zone's edge on the equator
    (32611, -115.1728, 36.1147, 664450.9751, 3998216.3353),
    (32617, -79.9400, 40.4080, 589941.2998, 4473582.1723),
    (32619, -71.0400, 42.3467, 331968.8900, 4690286.5629),
    (32648, 103.7880, 1.2995, 365159.0852, 143666.3895),
    (32719, -70.6693, -33.4489, 344846.7203, 6297700.1556),
    (32617, -84.0, 60.0, 332705.1789, 6655205.4836),
    (32617, -78.0, 0.0, 833978.5569, 0.0),
]


@pytest.mark.parametrize(("epsg", "longitude", "latitude", "x", "y"), PROJ)
def test_projection_agrees_with_proj(epsg, longitude, latitude, x, y):
    plane = utm(epsg)
    assert plane.forward(np.array([[longitude, latitude]]))[0] == pytest.approx([x, y], abs=2e-4)
    back = plane.inverse(np.array([[x, y]]))[0]
    assert np.abs(back - [longitude, latitude]).max() < 2e-9


def test_projection_agrees_with_the_epsg_guidance_note():
    """Guidance note 7-2, Transverse Mercator: British National Grid on Airy 1830."""
    plane = TransverseMercator(-2.0, 0.0, 400_000.0, 0.9996012717, 6377563.396, 1 / 299.32496)
    place, start = plane.forward(np.array([[0.5, 50.5], [-2.0, 49.0]]))
    assert place[0] == pytest.approx(577274.99, abs=0.01)
    assert place[1] - start[1] - 100_000 == pytest.approx(69740.50, abs=0.01)


def test_only_utm_codes_are_zones():
    assert utm(4326) is None and utm(32661) is None and utm(32601).meridian == -177 and utm(32760).meridian == 177


def test_roots_and_ids(written):
    ids = [FIRST, f"{LOG}-{0x0600000000000190:016x}"]
    for root in (
        written,
        written / "nuplan-v1.1",
        written / "nuplan-v1.1/splits",
        db_of(written).parent,
        db_of(written),
    ):
        assert NuPlan.recognizes(root)
        assert NuPlan(str(root)).ids() == ids, root
    assert not NuPlan.recognizes(written / "maps") and not NuPlan.recognizes(map_file(written))
    assert not NuPlan.recognizes(written / "nowhere")
    assert source("nuplan", written).ids() == ids


def test_a_stranger_s_database_is_not_recognized(tmp_path):
    change(tmp_path / "x.db", "CREATE TABLE lidar_pc (token BLOB)")
    assert not NuPlan.recognizes(tmp_path) and not NuPlan.recognizes(tmp_path / "x.db")
    (tmp_path / "x.db").write_text("SQLite")
    assert not NuPlan.recognizes(tmp_path)
    with pytest.raises(InputError, match="no nuPlan log"):
        NuPlan(str(tmp_path)).ids()
    with pytest.raises(InputError, match="nowhere"):
        NuPlan(str(tmp_path / "nowhere")).ids()


def test_windows_of_other_lengths_and_any_lidar_pc(written):
    assert len(NuPlan(str(written), seconds=5.0).ids()) == 6, "the last second of 30 is no scenario"
    with pytest.raises(InputError, match="seconds"):
        NuPlan(str(written), seconds=1.0)
    later = NuPlan(str(written), seconds=4.0).load(f"{LOG}-{0x0600000000000021:016x}")  # 33 frames, 1.65 s
    assert later.steps == 41 and float(later.origin[0]) == pytest.approx(ORIGIN[0] + 1.65 * SPEED)
    with pytest.raises(InputError, match="no lidar_pc 0700"):
        NuPlan(str(written)).load(f"{LOG}-0700000000000000")
    with pytest.raises(InputError, match="ids are"):
        NuPlan(str(written)).load("other-00")


def test_a_pause_ends_a_scenario(tmp_path):
    path = write_log(tmp_path / f"{LOG}.db", seconds=20, pause=(7.99, 11.01))
    reader = NuPlan(str(path))
    assert [id[-4:] for id in reader.ids()] == ["0000", f"{221:04x}"]
    assert reader.load(reader.ids()[0]).steps == 80


def test_ego_and_agents_stand_where_the_log_says(scenario):
    assert scenario.steps == 201 and scenario.start == 10
    assert scenario.origin.tolist() == pytest.approx(ORIGIN.tolist(), abs=1e-6)
    vehicle, log = scenario.scene.briefing.vehicle, scenario.log
    assert torch.allclose(vehicle.world_from_ego(log[50, 0])[:3, 3], torch.tensor([40.0, 0.0, 0.0]), atol=1e-4)
    agents = {name: i for i, name in enumerate(scenario.track_ids)}
    assert scenario.track_ids[0] == "ego" and len(agents) == 12
    lead = log[:, agents["0800000000000001"]]
    assert lead.xy[0].tolist() == pytest.approx([26.461, 0.0], abs=1e-4)
    assert lead.z[0] == pytest.approx(0.0, abs=1e-4), "boxes are logged by their centres"
    assert lead.size[0].tolist() == pytest.approx([4.6, 1.9, 1.5])
    assert lead.velocity[20].tolist() == pytest.approx([8.0, 0.0], abs=1e-3), "the guessed 99 m/s are not taken"
    kinds = {name[-2:]: int(log.kind[60, i]) for name, i in agents.items()}
    assert kinds["01"] == Kind.CAR and kinds["02"] == Kind.TRUCK and kinds["03"] == Kind.PEDESTRIAN
    assert kinds["04"] == Kind.CONE and kinds["05"] == Kind.OBJECT
    walker = log[:, agents["0800000000000003"]]
    assert walker.valid.nonzero()[[0, -1], 0].tolist() == [50, 150]
    moving = log.valid & (log.velocity.norm(dim=-1) > 1.0)
    course = torch.atan2(log.velocity[moving][:, 1], log.velocity[moving][:, 0])
    assert float((course - log.yaw[moving]).abs().max()) < 0.01


def test_the_ego_frame_turns_and_tilts_with_its_quaternion(tmp_path):
    """Heading north on a slope of 0.1 rad upwards: Rz(90 deg) Ry(-0.1)."""
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    c, s, d, t = np.cos(np.pi / 4), np.sin(np.pi / 4), np.cos(0.05), -np.sin(0.05)
    turned = (c * d, -s * t, c * t, s * d)
    change(path, ("UPDATE ego_pose SET qw = ?, qx = ?, qy = ?, qz = ?", turned), "DELETE FROM lidar_box")
    loaded = NuPlan(str(path)).load(FIRST)
    ego = loaded.log[0, 0]
    assert (float(ego.yaw), float(ego.pitch)) == pytest.approx((np.pi / 2, -0.1), abs=1e-5)
    assert ego.xy.tolist() == pytest.approx([0, 1.461 * np.cos(0.1)], abs=1e-4)
    assert float(ego.z) == pytest.approx(1.461 * np.sin(0.1), abs=1e-4)
    down = [0.0, -0.44 * np.sin(-0.1), AXLE - 0.44 * np.cos(0.1)]
    assert (loaded.origin.numpy() - ORIGIN).tolist() == pytest.approx(down, abs=1e-6), (
        "down is the car's, not the world's"
    )


def test_height_of_the_logged_frame_is_told_by_boxes_else_assumed(tmp_path, scenario):
    assert scenario.inferred["axle height"] == 0.8 and abs(float(scenario.log.z[0, 0])) < 1e-4
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    change(path, "DELETE FROM lidar_box WHERE x < 664450 + 100 AND y < 3998216 - 8")
    alone = NuPlan(str(path)).load(FIRST)
    assert alone.inferred["axle height"] == 0.5
    assert float(alone.origin[2]) == pytest.approx(ORIGIN[2] + AXLE - 0.44)


def test_lanes(scenario):
    lanes, names = scenario.scene.map.lanes, [101, 102, 103, 104, 105, 106, 201, 202, 203]
    assert len(lanes) == 9, "lane 190 lies 5 km away"
    named = lambda pairs: sorted((names[a], names[b], *rest) for a, b, *rest in pairs.tolist())  # noqa: E731
    assert named(lanes.successors) == [(101, 201), (101, 203), (102, 202), (201, 103), (202, 104), (203, 105)]
    assert named(lanes.neighbours) == [
        (101, 102, 1), (101, 106, -1), (102, 101, -1), (103, 104, 1), (104, 103, -1), (106, 101, 1),
    ]  # fmt: skip
    assert lanes.center.line(1)[[0, -1], :2].tolist() == pytest.approx(torch.tensor([[-100, 3.6], [50, 3.6]]), abs=1e-3)
    assert lanes.width.tolist() == pytest.approx([3.6] * 5 + [1.6] + [3.6] * 3, abs=2e-3)
    assert lanes.speed_limit.tolist() == pytest.approx([11.176] * 4 + [8.9, np.nan] + [11.176] * 3, nan_ok=True)
    assert lanes.intersection.tolist() == [False] * 6 + [True] * 3
    assert lanes.center.kind.tolist() == [LaneKind.VEHICLE] * 5 + [LaneKind.BICYCLE] + [LaneKind.VEHICLE] * 3
    turn = lanes.center.line(8)[:, :2]
    assert ((turn - torch.tensor([50.0, -20.0])).norm(dim=-1) - 20).abs().max() < 0.02


def test_branches_are_no_intersections(tmp_path):
    rows = map_rows()
    rows["intersections"] = [(shape, {**row, "intersection_type_fid": 4}) for shape, row in rows["intersections"]]
    write_map(tmp_path / "map.gpkg", rows=rows)
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    assert not NuPlan(str(path), maps=str(tmp_path / "map.gpkg")).load(FIRST).scene.map.lanes.intersection.any()


def test_area_crossings_markings_and_stops(scenario):
    made = scenario.scene.map
    inside = [[-50, 0], [65, -10], [200, 3], [70, -50], [105, -5], [120, -8]]
    outside = [[-50, 6], [60, -21], [200, -3], [75, -50], [90, -5], [120, -13]]
    road = RoadMap.of(made)
    assert road.inside(torch.tensor(inside, dtype=torch.float32)).all()
    assert not road.inside(torch.tensor(outside, dtype=torch.float32)).any()
    assert made.crosswalks.line(0).sort(0).values[[0, -1]].tolist() == pytest.approx(
        torch.tensor([[40.0, -6.0], [44.0, 7.0]]), abs=1e-3
    )
    assert sorted(made.markings.kind.tolist()) == [Marking.SOLID_WHITE, Marking.DASHED_WHITE]
    found = sorted(zip(made.stops.kind.tolist(), made.stops.lane.tolist(), made.stops.xy.tolist(), strict=True))
    assert [(kind, lane) for kind, lane, _ in found] == [
        (StopKind.STOP_SIGN, 4), (StopKind.SIGNAL, 0), (StopKind.SIGNAL, 1),
    ]  # fmt: skip
    assert found[0][2] == pytest.approx([70, -89], abs=1e-3) and found[2][2] == pytest.approx([TAKEN, 3.6], abs=1e-3)


def test_lights_rule_the_connector_from_the_stop_line_on(scenario):
    signals = scenario.scene.signals
    assert signals.lane.tolist() == [6] and signals.stop_xy[0].tolist() == pytest.approx([TAKEN, 0.0], abs=1e-3)
    assert signals.state[[0, 39, 40, 200], 0].tolist() == [Light.RED, Light.RED, Light.GREEN, Light.GREEN]
    assert abs(float(signals.head[0, 3])) == pytest.approx(np.pi, abs=1e-3), "it shines against the traffic"
    assert "traffic lights of 1 lane connectors" in scenario.problems[0]


def test_tags_place_and_licence(scenario):
    assert {"real", f"city:{CITY}", "following_lane_with_lead", "roadblocks:11,21,12"} <= {*scenario.tags}
    assert (scenario.place.name, scenario.licence[:15]) == (CITY, "CC BY-NC-SA 4.0")
    assert scenario.place.latitude == pytest.approx(36.1147, abs=1e-8)
    assert scenario.place.longitude == pytest.approx(-115.1728, abs=1e-8)


def test_idm_drives_behind_the_lead(scenario):
    drive = simulate(scenario, IDM())
    assert bool(RoadMap.of(scenario.scene.map).inside(drive.agents.xy[:, 0]).all())
    assert float(drive.agents.xy[-1, 0, 0]) > 90 and float(drive.agents.xy[:, 0, 1].abs().max()) < 0.3


@pytest.mark.parametrize(
    "how", [{"rtree": False}, {"rtree": False, "envelope": False}, {"order": ">"}, {"degrees": False}, {"epsg": 32611}],
    ids=lambda how: "-".join(how),
)  # fmt: skip
def test_every_way_to_write_a_geopackage_is_read(tmp_path, scenario, how):
    root = shutil.copytree(write_dataset(tmp_path / "a", seconds=4), tmp_path / "b")
    map_file(root).unlink()
    write_map(map_file(root), **how)
    made, other = scenario.scene.map, NuPlan(str(root)).load(FIRST).scene.map
    for i in range(len(made.lanes)):
        ends, others = (m.lanes.center.line(i)[[0, -1], :2] for m in (made, other))
        assert torch.allclose(ends, others, atol=1e-3)
    assert torch.equal(made.lanes.successors, other.lanes.successors) and len(other.drivable) == len(made.drivable)


def test_ids_in_reals_and_texts(tmp_path):
    rows = map_rows()
    for name, column in (("baseline_paths", "lane_fid"), ("lane_connectors", "exit_lane_fid")):
        rows[name] = [(s, {**r, column: f"{r[column]}.0"} if r.get(column) else r) for s, r in rows[name]]
    write_map(tmp_path / "map.gpkg", rows=rows)
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    assert len(NuPlan(str(path), maps=str(tmp_path / "map.gpkg")).load(FIRST).scene.map.lanes.successors) == 6


def test_where_maps_are_looked_for(tmp_path, written, monkeypatch):
    path = write_log(tmp_path / f"{LOG}.db", seconds=4, names=("las_vegas", "9.15.1915"))
    bare = NuPlan(str(path)).load(FIRST)
    assert any("no map of" in p for p in bare.problems)
    assert {"lanes", "drivable area", "successors"} <= bare.inferred.keys() and len(bare.scene.map.lanes) > 0
    assert bool(RoadMap.of(bare.scene.map).inside(bare.log.xy[:, 0]).all())
    for maps in (written, written / "maps", map_file(written)):
        assert len(NuPlan(str(path), maps=str(maps)).load(FIRST).scene.map.lanes) == 9
    monkeypatch.setenv("NUPLAN_MAPS_ROOT", str(written / "maps"))
    assert len(NuPlan(str(path)).load(FIRST).scene.map.lanes) == 9
    with pytest.raises(InputError, match="nowhere"):
        NuPlan(str(path), maps=str(tmp_path / "nowhere")).load(FIRST)


def test_a_linked_log_finds_the_maps_beside_the_link_too(tmp_path):
    root = write_dataset(tmp_path / "a", seconds=4)
    store = tmp_path / "store" / "0b1c"
    store.parent.mkdir()
    path = db_of(root).rename(store)
    (root / f"nuplan-v1.1/splits/mini/{LOG}.db").symlink_to(path)
    assert len(NuPlan(str(root)).load(FIRST).scene.map.lanes) == 9


def test_a_database_of_somebody_else_beside_the_logs_is_passed_over(tmp_path, written):
    change(tmp_path / "Thumbs.db", "CREATE TABLE pictures (token BLOB)")
    (tmp_path / "z.db").symlink_to(db_of(written))
    assert NuPlan.recognizes(tmp_path)


def test_the_version_is_the_one_that_the_maps_json_names(tmp_path):
    root = write_dataset(tmp_path / "a", seconds=4)
    rows = {name: [] for name in map_rows()}
    write_map(root / "maps" / CITY / "9.20.1/map.gpkg", rows=rows)
    assert len(NuPlan(str(root)).load(FIRST).scene.map.lanes) == 9
    (root / "maps/nuplan-maps-v1.0.json").unlink()
    newest = NuPlan(str(root)).load(FIRST)
    assert "holds no lane near" in newest.problems[0]


def test_a_map_with_only_baselines_is_completed(tmp_path):
    rows = {name: found if name == "baseline_paths" else [] for name, found in map_rows().items()}
    write_map(tmp_path / "map.gpkg", rows=rows)
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    loaded = NuPlan(str(path), maps=str(tmp_path / "map.gpkg")).load(FIRST)
    assert len(loaded.scene.map.lanes) == 9 and len(loaded.scene.map.lanes.successors) == 6
    assert {"widths", "successors", "drivable area"} <= loaded.inferred.keys()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_calibrations_are_read_as_the_devkit_pickles_them(protocol):
    for name, value in (("Translation", [1.5, 0.0, 2.0]), ("CameraIntrinsic", [[1.0, 0.0, 2.0]] * 3)):
        blob = devkit_pickle(name, value, protocol)
        assert b"nuplan.database.common.data_types" in blob
        assert _numbers(blob, np.shape(value)).tolist() == value
    assert _numbers(pickle.dumps(np.arange(4.0), protocol), (4,)).tolist() == [0, 1, 2, 3]


def test_photos_carry_their_own_pose(tmp_path):
    root = write_dataset(tmp_path / "a", seconds=4, photos=tmp_path / "a/nuplan-v1.1/sensor_blobs")
    loaded = NuPlan(str(root)).load(FIRST)
    (camera,) = loaded.scene.briefing.cameras
    assert (camera.name, camera.width, camera.height) == ("CAM_F0", 398, 224)
    assert camera.distortion == pytest.approx(DISTORTION)
    assert camera.ego_from_camera[:3, 3].tolist() == pytest.approx([1.66, -0.02, 1.57 + AXLE])
    images = loaded.sensors.images["CAM_F0"]
    assert [round(i.time, 3) for i in images] == [0.02, 0.12, 0.22]
    assert images[1].world_from_camera[:3, 3].tolist() == pytest.approx([0.8 + 1.66, -0.02, 1.57 + AXLE], abs=1e-5)
    rgb = images[0].read()
    assert rgb.shape == (3, 224, 398) and rgb[0].float().mean() > 180 > 60 > rgb[1].float().mean()
    assert any("1 of 4 photos" in p for p in loaded.problems)


class Harm:
    def __reduce__(self):
        return print, ("harm",)


@pytest.mark.parametrize("blob", [pickle.dumps(Harm()), b"", b"\x80\x04junk", pickle.dumps([1.0, 2.0]), None])
def test_a_calibration_that_is_none_gives_way_to_the_preset(tmp_path, blob, capsys):
    root = write_dataset(tmp_path / "a", seconds=4, photos=tmp_path / "a/nuplan-v1.1/sensor_blobs")
    change(db_of(root), ("UPDATE camera SET translation = ?", (blob,)))
    loaded = NuPlan(str(root)).load(FIRST)
    assert len(loaded.scene.briefing.cameras) == 6 and loaded.sensors is None
    assert any("preset nuscenes" in p for p in loaded.problems) and "harm" not in capsys.readouterr().out
    with pytest.raises(Refused):
        _numbers(blob, (3,))


@pytest.mark.parametrize("name", ["../../../secret.jpg", "x" * 5000, "a\0b", b"\xff", None, 7])
def test_photos_outside_their_folder_are_not_opened(tmp_path, name):
    root = write_dataset(tmp_path / "a", seconds=4, photos=tmp_path / "a/nuplan-v1.1/sensor_blobs")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    change(db_of(root), ("UPDATE image SET filename_jpg = ?", (name,)))
    loaded = NuPlan(str(root)).load(FIRST)
    assert loaded.sensors is None and any("4 of 4 photos" in p for p in loaded.problems)


def test_fingerprint_changes_with_content_and_options(tmp_path, written, scenario):
    before = NuPlan(str(written)).fingerprint(FIRST)
    assert before == scenario.fingerprint == NuPlan(str(db_of(written))).fingerprint(FIRST)
    assert before != NuPlan(str(written), rig="waymo").fingerprint(FIRST)
    assert before != NuPlan(str(written), seconds=10.0).fingerprint(FIRST)
    root = shutil.copytree(written, tmp_path / "copy")
    assert before == NuPlan(str(root)).fingerprint(FIRST)
    change(db_of(root), "UPDATE lidar_box SET x = x + 1")
    changed = NuPlan(str(root)).fingerprint(FIRST)
    change(map_file(root), "DELETE FROM crosswalks")
    assert len({before, changed, NuPlan(str(root)).fingerprint(FIRST)}) == 3


def test_older_logs_lack_optional_tables(tmp_path):
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    optional = ("scenario_tag", "traffic_light_status", "camera", "image", "lidar", "log")
    change(path, *(f"DROP TABLE {t}" for t in optional), "ALTER TABLE scene DROP COLUMN roadblock_ids")
    loaded = NuPlan(str(path)).load(FIRST)
    assert loaded.steps == 41 and loaded.place.latitude == pytest.approx(36.1147, abs=1e-8), "by ego_pose.epsg"


def test_a_bad_track_is_left_out_and_told(tmp_path):
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    change(path, ("UPDATE lidar_box SET yaw = 'x' WHERE track_token = ?", (bytes.fromhex("0800000000000004"),)))
    loaded = NuPlan(str(path)).load(FIRST)
    assert "0800000000000004" not in loaded.track_ids
    assert any("0800000000000004 left out: a pose is not a number" in p for p in loaded.problems)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE ego_pose SET x = NULL", "pose at 0.00 s holds no number"),
        ("UPDATE ego_pose SET qw = 3", "no unit quaternion"),
        ("DELETE FROM ego_pose", "no ego_pose"),
        ("DROP TABLE lidar_box", "no such table: lidar_box"),
        ("UPDATE ego_pose SET x = x + 1e6 WHERE rowid > 10", "pose at 0.50 s is out of this world"),
        ("UPDATE ego_pose SET z = 1e308", "pose at 0.00 s is out of this world"),
    ],
)
def test_a_damaged_log_is_told(tmp_path, statement, told):
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    change(path, statement)
    with pytest.raises(InputError, match=told):
        NuPlan(str(path)).load(FIRST)


def test_a_short_log_is_not_drivable_and_a_broken_one_sinks_no_other(tmp_path):
    write_log(tmp_path / "short.db", seconds=1.5)
    with pytest.raises(NotDrivable, match="1.6 s long"):
        NuPlan(str(tmp_path)).load("short-0600000000000000")
    data = write_log(tmp_path / "broken.db", seconds=4).read_bytes()
    (tmp_path / "broken.db").write_bytes(data[:5000])
    reader = NuPlan(str(tmp_path))
    assert reader.ids() == ["broken", "short-0600000000000000"] and "broken.db" in reader.undrivable()["broken"]
    with pytest.raises(NotDrivable, match="broken.db"):
        reader.load("broken")
    with pytest.raises(InputError, match="broken.db"):
        NuPlan(str(tmp_path / "broken.db")).ids()


def test_a_map_cut_short_is_named(tmp_path):
    root = write_dataset(tmp_path / "a", seconds=4)
    map_file(root).write_bytes(map_file(root).read_bytes()[:30_000])
    with pytest.raises(InputError, match="map.gpkg"):
        NuPlan(str(root)).load(FIRST)


def test_damage_ends_in_one_clear_error(tmp_path):
    """Flipped bytes and cuts in log and map: loaded all the same, or one InputError."""
    root = write_dataset(tmp_path / "a", seconds=3)
    random, told = np.random.default_rng(3), 0
    for path in (db_of(root), map_file(root)):
        whole = path.read_bytes()
        for i in range(40):
            data = bytearray(whole)
            for k in random.integers(0, len(data), int(random.integers(1, 200))):
                data[k] = int(random.integers(256))
            path.write_bytes(data[: int(random.integers(len(data)))] if i % 5 == 0 else data)
            try:
                reader = NuPlan(str(root))
                for id in reader.ids()[:1]:
                    reader.load(id)
            except InputError as error:
                told += 1
                assert len(str(error)) > 20
        path.write_bytes(whole)
    assert told > 10
    assert NuPlan(str(root)).load(FIRST).steps == 31


def test_shapes_that_reach_to_the_end_of_the_world_are_left_out(tmp_path):
    rows = map_rows()
    rows["crosswalks"].append((shapely.LineString([(0, 0), (4e6, 1e6)]).buffer(1.0), {"fid": 52}))
    write_map(tmp_path / "map.gpkg", rows=rows)
    path = write_log(tmp_path / f"{LOG}.db", seconds=4)
    assert len(NuPlan(str(path), maps=str(tmp_path / "map.gpkg")).load(FIRST).scene.map.crosswalks) == 1
