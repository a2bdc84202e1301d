"""nuScenes scenes: real ones where they are, and a small release written in the documented schema."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import apply, invert
from drivesim.loading import Track
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, Scenery
from scenarios.nuscenes import NuScenes
from scenarios.nuscenes.boxes import agent_tracks, ego_track, kind_of, smooth, smoothed
from scenarios.nuscenes.heights import climb, ground_under, heights
from scenarios.nuscenes.rows import SceneRows
from scenarios.nuscenes.sensors import cameras_of, ego_poses, sensor_log
from scenarios.nuscenes.world import World, place_of

from .nuscenes_release import REAL, SPEED, dump, expansion, own_cache, real, table, write, write_files  # noqa: F401


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("nuscenes"))
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def scenario(root):
    return NuScenes(str(root)).load("scene-0001")


def test_ids_name_all_scenes_and_undrivable_says_why(root):
    source = NuScenes(str(root))
    assert source.ids() == ["scene-0001", "scene-0002"]
    assert list(source.undrivable()) == ["scene-0002"] and "1 key frame" in source.undrivable()["scene-0002"]
    with pytest.raises(NotDrivable, match="scene-0002.*1 key frame"):
        source.load("scene-0002")


def test_key_frames_become_ten_a_second(scenario):
    assert scenario.steps == 41 and scenario.start == 10
    assert scenario.origin.tolist() == [100, 60, 0]
    ego = scenario.log[:, 0]
    assert torch.allclose(ego.xy[:, 0], 1.38 + SPEED * 0.1 * torch.arange(41.0), atol=1e-4)
    assert torch.allclose(ego.velocity[:, 0], torch.tensor(SPEED).expand(41), atol=1e-3)
    assert ego.z.abs().max() < 1e-6 and ego.valid.all()


def test_boxes_keep_size_order_centre_and_yaw(scenario):
    car = scenario.log[:, scenario.track_ids.index("scene-0001-car")]
    assert car.size[0].tolist() == pytest.approx([4.0, 2.0, 1.6]), "the tables say width, length, height"
    assert torch.allclose(car.xy, torch.tensor([30.0, 3.0]).expand(41, 2), atol=1e-4)
    assert torch.allclose(car.z, torch.tensor(0.2).expand(41), atol=1e-5), "bottom of a box centred at 1.0 m"
    assert torch.allclose(car.yaw, torch.tensor(math.radians(30)).float().expand(41), atol=1e-5)
    assert car.valid.all() and (car.kind == Kind.CAR).all() and car.velocity.abs().max() < 1e-5


def test_two_seconds_without_a_box_are_a_gap(scenario):
    bike = scenario.log[:, scenario.track_ids.index("scene-0001-bike")]
    assert bike.valid[:6].all() and not bike.valid[6:30].any() and bike.valid[30:].all()
    assert (bike.kind == Kind.BICYCLE).all()


def test_smoothing_keeps_key_frames_rounds_corners_and_does_not_overshoot():
    time = np.arange(9) * 0.5
    angle = time * 0.6
    poses = np.column_stack([10 * np.sin(angle), 10 - 10 * np.cos(angle), 0 * time, angle, 0 * time, 0 * time])
    t, rows = smooth(time, poses)
    assert np.allclose(t, np.arange(41) * 0.1) and np.allclose(rows[::5], poses)
    inner = (t > 0.9) & (t < 3.1)
    assert np.abs(np.hypot(rows[inner, 0], rows[inner, 1] - 10) - 10).max() < 0.03, "a chord would miss by 0.11 m"
    stop = np.array([0.0, 4, 8, 10, 10, 10, 10, 10, 10])
    assert smooth(time, np.column_stack([stop, *[0 * time] * 5]))[1][:, 0].max() <= 10 + 1e-9
    turn = np.column_stack([0 * time] * 3 + [np.array([3.0, -3.1] * 4 + [3.0])] + [0 * time] * 2)
    assert np.abs(np.diff(smooth(time, turn)[1][:, 3])).max() < 0.2, "yaw goes the short way round"


def test_tracks_are_smoothed_together_as_alone():
    rng, time = np.random.default_rng(0), np.arange(12) * 0.5
    still = np.zeros(12)
    walk = lambda i: rng.normal(size=(12 - i, 3))  # noqa: E731
    tracks = [Track(str(i), Kind.CAR, np.ones(3), time[i:], walk(i), *[still[i:]] * 3) for i in (0, 0, 3, 0)]
    for together, track in zip(smoothed(tracks), tracks, strict=True):
        alone = smoothed([track])[0]
        assert np.array_equal(together.time, alone.time) and np.allclose(together.xyz, alone.xyz, atol=1e-12)


def hill(pitch_seen, noise=0.0):
    """An ego that climbs 6 % for 60 m, as nuScenes tells it: at height zero, boxes relative to it."""
    time, still = np.arange(17) * 0.5, np.zeros(17)
    x, true = 7.5 * time, 0.06 * 7.5 * time
    ego = Track("ego", Kind.CAR, np.ones(3), time, np.column_stack([x, still, still]), still,
                still - np.arctan(pitch_seen), still)  # fmt: skip
    rng, parked = np.random.default_rng(1), []
    for i in range(12):
        z = 0.06 * 6 * i - true + noise * rng.standard_normal(17)
        xyz = np.column_stack([still + 6 * i, still + (-1) ** i * 4, z])
        parked.append(Track(str(i), Kind.CAR, np.ones(3), time, xyz, still, still, still))
    return time, true, [ego, *parked]


@pytest.mark.parametrize("pitch_seen", [0.06, 0.05], ids=["level sensor", "car that pitches by half a degree"])
def test_the_climb_is_rebuilt_from_what_stands_still(pitch_seen):
    time, true, tracks = hill(pitch_seen, noise=0.05)
    at, rise = climb(tracks)
    assert np.abs(np.interp(time, at, rise) - true).max() < 0.15
    lifted = [replace(t, xyz=t.xyz + np.outer(np.interp(t.time, at, rise), [0, 0, 1])) for t in tracks]
    ground = ground_under(lifted)
    places = np.column_stack([np.linspace(0, 60, 7), np.linspace(-4, 4, 7)])
    assert np.abs(heights(ground, places) - 0.06 * places[:, 0]).max() < 0.2


def test_without_boxes_the_climb_is_where_the_nose_points():
    time, true, (ego, *_) = hill(0.06)
    at, rise = climb([ego])
    assert np.abs(np.interp(time, at, rise) - true).max() < 0.02


def test_camera_and_files_that_exist(scenario):
    (camera,) = scenario.scene.briefing.cameras
    assert (camera.name, camera.width, camera.height) == ("CAM_FRONT", 400, 224)
    assert camera.intrinsics[0, 0] == pytest.approx(1266 / 4)
    assert camera.ego_from_camera[:3, 3].tolist() == [1.7, 0, 1.5]
    assert camera.ego_from_camera[:3, 2].tolist() == pytest.approx([1, 0, 0]), "looks ahead"
    (image,) = scenario.sensors.images["CAM_FRONT"]
    assert image.time == pytest.approx(0.52)
    assert image.read().shape == (3, 224, 400)
    assert image.world_from_camera[:3, 3].tolist() == pytest.approx([SPEED * 0.52 + 1.7, 0, 1.5])
    (sweep,) = scenario.sensors.sweeps
    assert sweep.origin.tolist() == pytest.approx([SPEED * 0.5 + 0.9, 0, 1.8])
    assert torch.allclose(sweep.read(), torch.tensor([[SPEED * 0.5 + 10.9, 2.0, 0.0]]), atol=1e-5)
    assert "sensor files:2 of 18" in scenario.tags


def test_vanished_and_broken_files_are_named(tmp_path):
    photo, sweep = write_files(write(tmp_path))
    sensors = NuScenes(str(tmp_path)).load("scene-0001").sensors
    photo.unlink()
    sweep.write_bytes(b"123456789")
    with pytest.raises(InputError, match=photo.name):
        sensors.images["CAM_FRONT"][0].read()
    with pytest.raises(InputError, match=sweep.name):
        sensors.sweeps[0].read()


def test_one_broken_sweep_does_not_sink_the_scene(tmp_path):
    _, sweep = write_files(write(tmp_path))
    sweep.write_bytes(b"123456789")
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert loaded.sensors.sweeps == () and any("1 lidar files are cut short" in p for p in loaded.problems)
    assert any("16 of 18 photos and sweeps" in p for p in loaded.problems)


@pytest.mark.parametrize("value", [np.nan, 1e30, 4000.0])
def test_sweeps_of_wild_numbers_give_no_scenery_and_no_harm(tmp_path, value):
    _, sweep = write_files(write(tmp_path))
    np.full((50, 5), value, np.float32).tofile(sweep)
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert any("no scenery" in p and sweep.name in p for p in loaded.problems)
    with pytest.raises(InputError, match=sweep.name):
        loaded.sensors.sweeps[0].read()


def test_scenery_is_made_of_the_sweeps_that_are_there(tmp_path, monkeypatch):
    from scenarios.nuscenes import source

    _, sweep = write_files(write(tmp_path))
    made, asked = Scenery.none(), []
    monkeypatch.setattr(source, "scenery_from_sweeps", lambda sweeps, log, road: asked.append(sweeps) or made)
    assert NuScenes(str(tmp_path)).load("scene-0001").scene.scenery is made and len(asked[0]) == 1
    sweep.unlink()
    assert len(NuScenes(str(tmp_path)).load("scene-0001").scene.scenery.footprints) == 0 and len(asked) == 1


def test_names_that_lead_elsewhere_are_not_opened(tmp_path):
    write_files(write(tmp_path / "set"))
    shutil.copy(next((tmp_path / "set/samples/CAM_FRONT").iterdir()), tmp_path / "secret.jpg")
    rows = table(tmp_path / "set", "sample_data")
    for row, name in zip([r for r in rows if "CAM" in r["filename"]], ["../secret.jpg", str(tmp_path / "secret.jpg")]):  # noqa: B905
        row["filename"] = name
    dump(tmp_path / "set", "sample_data", rows)
    loaded = NuScenes(str(tmp_path / "set")).load("scene-0001")
    assert "CAM_FRONT" not in loaded.sensors.images


def test_a_camera_without_intrinsics_is_left_out_and_a_rig_taken_where_none_is_left(tmp_path):
    rows = table(write(tmp_path), "calibrated_sensor")
    rows[0]["camera_intrinsic"] = []
    dump(tmp_path, "calibrated_sensor", rows)
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert len(loaded.scene.briefing.cameras) == 6 and any("CAM_FRONT has no intrinsics" in p for p in loaded.problems)


def test_where_on_earth():
    assert place_of("boston-seaport", 0, 0).latitude == pytest.approx(42.336849169438615)
    place = place_of("singapore-onenorth", 1000.0, 2000.0)
    # a degree of latitude measures 111.32 km on the devkit's sphere, one of longitude as much at the equator
    assert place.latitude == pytest.approx(1.2882100868743724 + 2 / 111.319, abs=1e-6)
    assert place.longitude == pytest.approx(103.78475189208984 + 1 / 111.291, abs=1e-6)
    assert math.isnan(place_of("elsewhere", 1, 2).latitude)


@pytest.mark.parametrize("name", ["scene", "sample_data", "ego_pose", "map"])
def test_a_table_cut_in_half_or_missing_is_named(tmp_path, name):
    path = write(tmp_path) / "v1.0-mini" / f"{name}.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=f"{name}.json"):
        NuScenes(str(tmp_path)).load("scene-0001")
    path.unlink()
    with pytest.raises(InputError, match=f"{name}.json"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_a_nan_pose_of_the_ego_is_named(tmp_path):
    rows = table(write(tmp_path), "ego_pose")
    rows[3]["translation"] = [float("nan")] * 3
    dump(tmp_path, "ego_pose", rows)
    with pytest.raises(InputError, match=f"ego_pose.*{rows[3]['token']}"):
        NuScenes(str(tmp_path)).load("scene-0001")


@pytest.mark.parametrize("column, value", [("rotation", math.nan), ("translation", 1e308), ("size", -1.0)])
def test_a_box_that_is_none_is_left_out_and_told(tmp_path, column, value):
    rows = table(write(tmp_path), "sample_annotation")
    rows[0][column] = [value] * len(rows[0][column])
    dump(tmp_path, "sample_annotation", rows)
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert any(rows[0]["token"] in p and "1 rows" in p for p in loaded.problems)
    car = loaded.log[:, loaded.track_ids.index("scene-0001-car")]
    assert not car.valid[0] and car.valid[5:].all(), "its other boxes stay"


def test_a_box_beyond_all_sight_is_left_out(tmp_path):
    rows = table(write(tmp_path), "sample_annotation")
    rows[2]["translation"][0] = 30_000.0
    dump(tmp_path, "sample_annotation", rows)
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert any("1 boxes left out" in p for p in loaded.problems)


def test_an_ego_that_jumps_is_refused(tmp_path):
    rows = table(write(tmp_path), "ego_pose")
    next(r for r in rows if r["token"] == "scene-0001-3-LIDAR_TOP")["translation"][0] = 90_000.0
    dump(tmp_path, "ego_pose", rows)
    with pytest.raises(InputError, match="scene-0001.*ego_pose.json jump"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_key_frames_years_apart_are_refused_without_making_room_for_them(tmp_path):
    rows = table(write(tmp_path), "sample")
    rows[8]["timestamp"] += 10**15
    dump(tmp_path, "sample", rows)
    source = NuScenes(str(tmp_path))
    assert "sample.json" in source.undrivable()["scene-0001"]
    with pytest.raises(NotDrivable, match="1e\\+09 s apart"):
        source.load("scene-0001")


def test_wrong_roots_versions_and_ids(tmp_path, root):
    with pytest.raises(InputError, match="nowhere"):
        NuScenes(str(tmp_path / "nowhere")).ids()
    with pytest.raises(InputError, match="no nuScenes tables"):
        NuScenes(str(tmp_path)).ids()
    with pytest.raises(InputError, match="v1.0-trainval.*v1.0-mini"):
        NuScenes(str(root), version="v1.0-trainval").ids()
    with pytest.raises(InputError, match="scene-9999"):
        NuScenes(str(root)).load("scene-9999")


def test_the_tables_folder_itself_is_a_root_and_is_recognized(root, tmp_path):
    assert NuScenes(str(root / "v1.0-mini")).ids() == ["scene-0001", "scene-0002"]
    assert NuScenes.recognizes(root) and NuScenes.recognizes(root / "v1.0-mini")
    (tmp_path / "v1.0-mini").mkdir()
    assert not NuScenes.recognizes(tmp_path) and not NuScenes.recognizes(tmp_path / "nowhere")
    assert not NuScenes.recognizes(root / "maps") and not NuScenes.recognizes(root / "v1.0-mini/scene.json")


def test_fingerprint_follows_tables_maps_and_options(tmp_path):
    source = NuScenes(str(write(tmp_path)))
    before = source.fingerprint("scene-0001")
    assert before == source.load("scene-0001").fingerprint != source.fingerprint("scene-0002")
    assert before != NuScenes(str(tmp_path), width=800).fingerprint("scene-0001")
    write_files(tmp_path)
    swept = source.fingerprint("scene-0001")
    assert before != swept, "scenery is made of sweeps"
    expansion(tmp_path)
    assert swept != source.fingerprint("scene-0001")


def test_kinds_of_the_category_table():
    names = {
        "vehicle.bus.bendy": Kind.BUS,
        "human.pedestrian.construction_worker": Kind.PEDESTRIAN,
        "vehicle.emergency.police": Kind.CAR,
        "movable_object.trafficcone": Kind.CONE,
        "movable_object.debris": Kind.OBJECT,
        "static_object.bicycle_rack": Kind.OBJECT,
    }
    assert {name: kind_of(name) for name in names} == names


@real
def test_real_scenes_stand_on_their_road():
    source = NuScenes(str(REAL))
    drivable = [i for i in source.ids() if i not in source.undrivable()]
    for id in drivable:
        loaded = source.load(id)
        road, ego = RoadMap.of(loaded.scene.map), loaded.log[:, 0]
        assert ego.valid.all() and road.inside(ego.xy).all()
        assert (road.ground(ego.xy) - ego.z).abs().max() < 0.2
        lane, _, lateral = road.nearest_lane(ego.xy, ego.yaw)
        assert (lane >= 0).all() and lateral.abs().median() < 0.3
        assert len(loaded.scene.briefing.cameras) == 6
        near = (loaded.log.xy - ego.xy[:, None]).norm(dim=-1) < 25
        feet = (loaded.log.z - road.ground(loaded.log.xy))[near & loaded.log.valid]
        assert feet.abs().median() < 0.25


@real
def test_real_headings_agree_with_motion():
    source = NuScenes(str(REAL))
    for id in set(source.ids()) - set(source.undrivable()):
        log = source.load(id).log
        rolling = log.valid & (log.velocity.norm(dim=-1) > 2) & (log.kind == Kind.CAR)
        way = torch.atan2(log.velocity[..., 1], log.velocity[..., 0])
        off = ((way - log.yaw + math.pi) % (2 * math.pi) - math.pi)[rolling].abs()
        assert rolling.sum() > 50 and off.median() < math.radians(4)


@real
def test_real_boxes_are_those_of_the_devkit_at_key_frames():
    from nuscenes.nuscenes import NuScenes as Devkit

    source = NuScenes(str(REAL))
    id = next(i for i in source.ids() if i not in source.undrivable())
    loaded, devkit = source.load(id), Devkit(source.version or "v1.0-mini", str(REAL), verbose=False)
    scene = next(s for s in devkit.scene if s["name"] == id)
    sample = devkit.get("sample", scene["first_sample_token"])
    for token in sample["anns"]:
        box, row = devkit.get_box(token), devkit.get("sample_annotation", token)
        a = loaded.log[0, loaded.track_ids.index(row["instance_token"])]
        center = apply(a.world_from_box.double(), torch.tensor([[0.0, 0.0, box.wlh[2] / 2]], dtype=torch.float64))[0]
        assert torch.allclose(center + loaded.origin, torch.tensor(box.center, dtype=torch.float64), atol=2e-3)
        ahead = a.world_from_box[:3, 0].double().numpy()
        assert np.allclose(ahead, box.orientation.rotation_matrix[:, 0], atol=1e-4)


@real
def test_real_sweep_points_lie_on_the_boxes():
    """Calibration, ego pose and box frames agree: cars near the ego hold lidar points where a photo shows them."""
    source, checked = NuScenes(str(REAL)), 0
    folder = REAL / "v1.0-mini"
    for id in source.undrivable():
        rows = SceneRows.of(folder, id)
        time, map_from_ego = ego_poses(rows.recorded, int(rows.time[0]))
        world = World(map_from_ego[0, :3, 3].clone(), int(rows.time[0]), np.zeros(1), np.zeros(1))
        log, _, _ = sensor_log(rows.recorded, REAL, cameras_of(rows.recorded, 400, 224)[0], world)
        if log is None or not log.sweeps:
            continue
        assert len(log.images) == 6
        points = log.sweeps[0].read().double()
        for track in agent_tracks(rows.boxes, world, ego_track(world, time, map_from_ego))[0]:
            checked += _holds_points(track, points)
    assert checked > 0 or not source.undrivable()


def _holds_points(track, points) -> bool:
    """Whether a box was near enough to check that the points on it lie inside."""
    if track.kind != Kind.CAR or np.hypot(*track.xyz[0, :2]) > 20:
        return False
    c, s = math.cos(track.yaw[0]), math.sin(track.yaw[0])
    pose = torch.eye(4, dtype=torch.float64)
    pose[:2, :2] = torch.tensor([[c, -s], [s, c]])
    pose[:3, 3] = torch.from_numpy(track.xyz[0])
    local = apply(invert(pose), points)
    half = torch.tensor([track.size[0] / 2, track.size[1] / 2])
    within = (local[:, :2].abs() < half + 0.1).all(1) & (local[:, 2] > 0.2) & (local[:, 2] < track.size[2])
    around = (local[:, :2].abs() < half + 0.6).all(1) & (local[:, 2] > 0.4) & (local[:, 2] < track.size[2])
    assert within.sum() > 5 and within.sum() > 3 * (around & ~within).sum()
    return True


def test_a_release_without_boxes_is_driven_alone(tmp_path):
    write(tmp_path)
    dump(tmp_path, "sample_annotation", [])
    dump(tmp_path, "instance", [])
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert loaded.track_ids == ("ego",) and loaded.log.valid.all()
    assert "boxes:none" in loaded.tags and any("drives alone" in p for p in loaded.problems)
    assert torch.isfinite(loaded.scene.map.ground.z).all()
