import json
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.camera import project
from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import apply, box_corners, invert, rotate, wrap_angle
from drivesim.restricted_pickle import read_frame
from drivesim.roadmap import RoadMap
from drivesim.types import VEHICLES, Kind, Marking, Material, is_kind
from scenarios.pandaset import PandaSet

from .pandaset_files import AXLE, SPEED, mover, write_sequence

SHARED = Path(__file__).parents[2] / "shared"
REAL = SHARED / "data" / "pandaset"
real = pytest.mark.skipif(not (REAL / "002").is_dir(), reason="needs shared/data/pandaset/002 beside the repository")


@pytest.fixture(scope="module", params=["new pickles", "old pickles"])
def small(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("pandaset")
    write_sequence(root, old=request.param == "old pickles")
    return PandaSet(str(root)).load("001")


def agent(scenario, name):
    return scenario.log[:, scenario.track_ids.index(name)]


# conventions, on a street written for the purpose


def test_the_ego_starts_at_the_origin_on_the_ground_and_heads_along_x(small):
    ego = small.log[:, 0]
    axle = small.scene.briefing.vehicle.world_from_ego(ego)
    time = 0.1 * torch.arange(small.steps)
    assert small.steps == 16 and small.start == 7
    assert axle[0, :3, 3] == pytest.approx(torch.zeros(3), abs=1e-5)
    assert axle[:, 0, 3] == pytest.approx(SPEED * time, abs=1e-4)
    assert ego.yaw == pytest.approx(torch.zeros(16), abs=1e-5)
    assert ego.speed == pytest.approx(torch.full((16,), SPEED), abs=1e-3)
    # step 0 lies half a turn of the lidar before frame 0; the pose frame rides AXLE above the road
    assert small.origin.numpy() == pytest.approx([-0.05 * SPEED, 0, -AXLE], abs=0.01)


def test_a_cuboid_holds_for_the_moment_at_which_the_beam_passed_it(small):
    ahead, beside = agent(small, "m-roof"), agent(small, "beside")
    time = 0.1 * torch.arange(small.steps)
    assert ahead.valid.all()
    assert ahead.xy[:, 0] + small.origin[0] == pytest.approx(mover(time - 0.05), abs=1e-3)
    assert ahead.velocity[:, 0] == pytest.approx(torch.full((16,), 10.0), abs=0.01)
    assert beside.xy[1:-1, 0] + small.origin[0] == pytest.approx(SPEED * (time - 0.05)[1:-1] + 1.49, abs=0.02)


def test_boxes_stand_on_their_bottom_with_length_along_their_heading(small):
    parked, walker = agent(small, "parked"), agent(small, "walker")
    assert parked.size[0].tolist() == pytest.approx([4.4, 2.0, 1.5])
    assert abs(float(parked.yaw[0])) == pytest.approx(np.pi, abs=1e-4)
    assert float(parked.z[0]) == pytest.approx(0.42 - 0.75 + AXLE, abs=0.01)
    assert float(walker.yaw[0]) == pytest.approx(np.pi / 2, abs=1e-4)
    assert [int(agent(small, n).kind[0]) for n in ("m-roof", "parked", "beside", "walker")] == [
        Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.PEDESTRIAN,
    ]  # fmt: skip


def test_what_both_lidars_saw_is_one_track(small):
    assert set(small.track_ids) == {"ego", "m-roof", "parked", "beside", "walker"}


def test_the_camera_is_mounted_where_its_poses_say(small):
    (camera,) = small.scene.briefing.cameras
    expected = np.eye(4)
    expected[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    expected[:3, 3] = [0.85, 0, 1.8 + AXLE]
    assert (camera.width, camera.height) == (400, 224)
    assert camera.ego_from_camera.numpy() == pytest.approx(expected, abs=0.01)
    assert camera.intrinsics[0, 0] == pytest.approx(200 * 400 / 192)
    image = small.sensors.images["front_camera"][3]
    assert image.time == pytest.approx(0.3, abs=1e-5)
    assert image.world_from_camera[0, 3] == pytest.approx(0.3 * SPEED + 0.85, abs=1e-4)
    assert image.read().shape == (3, 108, 192)


def test_the_street_comes_from_the_classes(small):
    road, scene = RoadMap.of(small.scene.map), small.scene
    across = torch.tensor([[10.0, y] for y in (-8.0, -5.0, 0.0, 5.0, 8.0)])
    assert road.inside(across).tolist() == [False, True, True, True, False]
    assert road.ground(torch.tensor([[10.0, 0.0], [10.0, 7.5]])) == pytest.approx(torch.tensor([0.0, 0.15]), abs=0.03)
    house = scene.scenery.footprints.kind == int(Material.FACADE)
    assert float(scene.scenery.height[house].max()) == pytest.approx(8.0, abs=1.0)
    assert scene.map.markings.points[:, 1] == pytest.approx(torch.full((len(scene.map.markings.points),), 1.8), abs=0.1)
    assert set(scene.map.markings.kind.tolist()) == {int(Marking.SOLID_WHITE)}


def test_points_of_a_sweep_lie_in_the_world(small):
    sweep = small.sensors.sweeps[1]
    points = sweep.read()
    assert sweep.time == pytest.approx(0.5, abs=1e-5) and points.dtype == torch.float32
    flat = points[(points[:, 1].abs() < 5) & (points[:, 0].abs() < 20)]
    assert flat[:, 2] == pytest.approx(torch.zeros(len(flat)), abs=0.07)
    assert sweep.origin[0] == pytest.approx(0.5 * SPEED + 0.25 + 1.49, abs=1e-3)


# what is missing or broken


@pytest.fixture
def sequence(tmp_path):
    return write_sequence(tmp_path, frames=8)


def load(folder):
    return PandaSet(str(folder.parent)).load(folder.name)


@pytest.mark.parametrize("gone", ["annotations/semseg/*", "lidar/*.pkl.gz", "lidar/05*", "camera/*/0[0-6].jpg"])
def test_a_log_without_some_files_loads(sequence, gone):
    for path in sequence.glob(gone):
        path.unlink()
    scenario = load(sequence)
    ego = scenario.log[:, 0]
    assert ego.valid.all() and bool(RoadMap.of(scenario.scene.map).inside(box_corners(ego.xy, ego.yaw, ego.size)).all())
    assert len(scenario.sensors.images["front_camera"]) == len(list(sequence.glob("camera/front_camera/*.jpg")))


def test_a_log_without_cameras_takes_the_preset_rig(sequence):
    for path in sequence.glob("camera/front_camera/*"):
        path.unlink()
    scenario = load(sequence)
    assert len(scenario.scene.briefing.cameras) == 6 and not scenario.sensors.images


def test_a_photo_that_went_away_is_named(sequence):
    scenario = load(sequence)
    (sequence / "camera" / "front_camera" / "03.jpg").unlink()
    with pytest.raises(InputError, match="03.jpg"):
        scenario.sensors.images["front_camera"][3].read()


def test_missing_photos_are_counted(sequence):
    frames = len(load(sequence).sensors.images["front_camera"])
    assert load(sequence).problems == ()
    (sequence / "camera" / "front_camera" / "03.jpg").unlink()
    assert load(sequence).problems == (f"front_camera has photos of {frames - 1} of {frames} frames",)


def test_the_place_comes_from_gps(sequence):
    assert load(sequence).place.name == ""
    gps = sequence / "meta" / "gps.json"
    gps.parent.mkdir(exist_ok=True)
    gps.write_text(json.dumps([{"lat": 37.77, "long": -122.4, "height": 3.0}]))
    place = load(sequence).place
    assert (place.name, place.latitude, place.longitude) == ("san-francisco", 37.77, -122.4)
    gps.write_text("[]")
    with pytest.raises(InputError, match="gps.json"):
        load(sequence)


def test_one_frame_is_not_drivable(tmp_path):
    folder = write_sequence(tmp_path, frames=1)
    assert PandaSet(str(tmp_path)).ids() == ["001"]
    with pytest.raises(NotDrivable, match="one frame"):
        load(folder)


@pytest.mark.parametrize("sensor", ["lidar", "camera/front_camera"])
@pytest.mark.parametrize("value", [float("nan"), None, "x"])
def test_a_pose_that_is_no_number_is_named_by_file_and_frame(sequence, sensor, value):
    path = sequence / sensor / "poses.json"
    poses = json.loads(path.read_text())
    poses[3]["position"]["y"] = value
    path.write_text(json.dumps(poses))
    with pytest.raises(InputError, match=r"poses.json.* frame 3"):
        load(sequence)


@pytest.mark.parametrize("name", ["lidar/05.pkl.gz", "annotations/cuboids/02.pkl.gz", "annotations/semseg/00.pkl.gz"])
def test_a_pickle_cut_in_half_is_named(sequence, name):
    path = sequence / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=name):
        load(sequence)


@pytest.mark.parametrize("name", ["lidar/poses.json", "lidar/timestamps.json", "camera/front_camera/intrinsics.json"])
def test_a_json_cut_in_half_is_named(sequence, name):
    path = sequence / name
    path.write_text(path.read_text()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=name):
        load(sequence)


def test_classes_of_another_sweep_are_refused(sequence):
    folder = sequence / "annotations" / "semseg"
    short = read_frame(folder / "00.pkl.gz")["class"][:-1]
    from .frames import pickled_frame

    (folder / "00.pkl.gz").write_bytes(pickled_frame({"class": short}))
    with pytest.raises(InputError, match="classes for"):
        load(sequence)


def test_no_cuboids_is_an_incomplete_download(sequence):
    for path in sequence.glob("annotations/cuboids/*"):
        path.unlink()
    with pytest.raises(InputError, match="cuboids"):
        load(sequence)


@pytest.mark.parametrize("root", ["", "nowhere", "empty"])
def test_a_root_without_sequences_says_what_to_do(tmp_path, root):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="PandaSet"):
        PandaSet(str(tmp_path / root) if root else "").ids()


def test_an_unknown_sequence_names_the_known_ones(sequence):
    with pytest.raises(InputError, match="001"):
        PandaSet(str(sequence.parent)).load("999")


def test_the_fingerprint_follows_the_content(sequence):
    source = PandaSet(str(sequence.parent))
    before = source.fingerprint("001")
    assert before == source.fingerprint("001") == load(sequence).fingerprint
    path = sequence / "lidar" / "timestamps.json"
    path.write_text(path.read_text().replace("1500000000.0", "1500000000.001"))
    assert source.fingerprint("001") != before


# the real log


@pytest.fixture(scope="module")
def street():
    return PandaSet(str(REAL)).load("002")


@real
def test_the_log_is_the_one_on_disk(street):
    ego = street.log[:, 0]
    path = ego.xy.diff(dim=0).norm(dim=-1).sum()
    assert street.steps == 60 and street.start == 10 and ego.valid.all()
    assert float(path) == pytest.approx(10.9, abs=0.5)
    assert float(ego.roll[0]) == pytest.approx(0.036, abs=0.005)  # the road's camber, as logged
    assert len(street.scene.briefing.cameras) == 6
    assert {len(images) for images in street.sensors.images.values()} == {60} and len(street.sensors.sweeps) == 22
    assert -float(street.origin[2]) == pytest.approx(0.32, abs=0.04)


@real
def test_the_ego_always_is_on_the_drivable_area_and_on_the_ground(street):
    ego, road = street.log[:, 0], RoadMap.of(street.scene.map)
    assert bool(road.inside(box_corners(ego.xy, ego.yaw, ego.size)).all())
    axle = street.scene.briefing.vehicle.world_from_ego(ego)[:, :3, 3]
    assert (axle[:, 2] - road.ground(axle[:, :2])).abs().max() < 0.1
    cars = street.log.valid & is_kind(street.log.kind, VEHICLES) & (street.log.speed > 2)
    assert road.inside(street.log.xy[cars]).float().mean() > 0.98


@real
def test_vehicles_face_where_they_drive_and_stand_on_the_road(street):
    log = street.log
    fast = log.valid & is_kind(log.kind, VEHICLES) & (log.velocity.norm(dim=-1) > 3)
    drift = wrap_angle(torch.atan2(log.velocity[..., 1], log.velocity[..., 0]) - log.yaw)[fast].abs()
    assert int(fast.sum()) > 300 and drift.quantile(0.95) < np.deg2rad(10)
    near = log.valid & is_kind(log.kind, VEHICLES) & (log.xy.norm(dim=-1) < 40)
    gap = (log.z - RoadMap.of(street.scene.map).ground(log.xy))[near]
    assert gap.median().abs() < 0.15 and gap.abs().quantile(0.9) < 0.5


@real
def test_no_object_is_there_twice(street):
    centres = street.log.xy[30][street.log.valid[30]]
    apart = torch.cdist(centres, centres) + 100 * torch.eye(len(centres))
    assert apart.min() > 0.4


@real
def test_cameras_sit_where_every_photo_was_taken(street):
    for camera in street.scene.briefing.cameras:
        for image in street.sensors.images[camera.name][:-1]:
            found = ego_at(street, image.time) @ camera.ego_from_camera
            assert (found[:3, 3] - image.world_from_camera[:3, 3]).norm() < 0.02
            assert (found[:3, :3] - image.world_from_camera[:3, :3]).abs().max() < 0.003


def ego_at(street, time):
    """world_from_ego between two steps."""
    place = min(max(time / 0.1, -0.5), street.steps - 0.5)
    before = min(max(int(np.floor(place)), 0), street.steps - 2)
    world_from_ego = street.scene.briefing.vehicle.world_from_ego(street.log[:, 0]).double()
    return world_from_ego[before] + (place - before) * (world_from_ego[before + 1] - world_from_ego[before])


def boxes_at(street, time):
    """Centres and headings of all agents between two steps."""
    before = min(max(int(np.floor(time / 0.1)), 0), street.steps - 2)
    a, b = street.log[before], street.log[before + 1]
    share = time / 0.1 - before
    return a.replace(xy=a.xy + share * (b.xy - a.xy), z=a.z + share * (b.z - a.z), valid=a.valid & b.valid)


@real
@pytest.mark.parametrize("name", ["front_camera", "front_left_camera", "back_camera"])
def test_points_on_cars_lie_in_the_boxes_drawn_into_the_photos(street, name):
    """The Pandar64 passes what a camera looks at when the camera fires: points, photo and box must agree."""
    counts = {True: [0, 0], False: [0, 0]}  # moving or not: points in the drawn box, points in all
    for frame in (30, 33, 36, 39, 42, 45, 48, 51, 54):
        image = street.sensors.images[name][frame]
        agents = boxes_at(street, image.time)
        points, lidar = car_points(street, frame)
        pixels, depth = project(image.camera, apply(invert(image.world_from_camera), points[lidar]))
        for i in torch.nonzero(agents.valid & is_kind(agents.kind, VEHICLES)).flatten().tolist():
            if i == 0 or (agents.xy[i] - agents.xy[0]).norm() > 40:
                continue
            box, size = agents.world_from_box[i].double(), agents.size[i].double()
            local = apply(invert(box), points[lidar])
            about = (local[:, :2].abs() < size[:2] / 2 + 1.0).all(-1) & (local[:, 2] > 0.2) & (local[:, 2] < size[2])
            corners = torch.tensor([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (0, 2)]) * size / 2
            drawn, ahead = project(image.camera, apply(invert(image.world_from_camera), apply(box, corners)))
            if (ahead < 1).any() or int(about.sum()) < 30:
                continue
            low, high = drawn.amin(0) - 2, drawn.amax(0) + 2
            inside = ((pixels[about] >= low) & (pixels[about] <= high)).all(-1) & (depth[about] > 0)
            moving = bool(agents.velocity[i].norm() > 3)
            counts[moving][0] += int(inside.sum())
            counts[moving][1] += int(about.sum())
    for moving in (True, False) if name != "back_camera" else (True,):
        assert counts[moving][1] > 300
        assert counts[moving][0] / counts[moving][1] > 0.9


def car_points(street, frame):
    """Points (n, 3) of a sweep that are classified as vehicles, float64, and which of them the Pandar64 gave."""
    sweep = read_frame(REAL / "002" / "lidar" / f"{frame:02d}.pkl.gz")
    label = read_frame(REAL / "002" / "annotations" / "semseg" / f"{frame:02d}.pkl.gz")["class"]
    points = np.stack([sweep["x"], sweep["y"], sweep["z"]], 1).astype(float) - street.origin.numpy()
    car = (label >= 13) & (label <= 16)
    return torch.from_numpy(points[car]), torch.from_numpy(sweep["d"][car] == 0)


@real
def test_points_on_moving_cars_lie_in_their_boxes_at_the_points_own_times(street):
    """Holds 0.99 of them; boxes stamped with the sweep's end, as the files have it, would hold 0.93."""
    first = json.loads((REAL / "002" / "lidar" / "timestamps.json").read_text())[0]
    held = []
    for frame in (30, 36, 42, 48, 54):
        points, lidar = car_points(street, frame)
        points, time = points[lidar], torch.from_numpy(car_times(frame))[lidar] - first + 0.05
        step, log = (time / 0.1).floor().long(), street.log
        share = (time / 0.1 - step)[:, None]
        for i in torch.nonzero(
            log.valid[frame - 1 : frame + 2].all(0) & (log.velocity[frame].norm(dim=-1) > 3)
        ).flatten():
            centre = log.xy[step, i] + share * (log.xy[step + 1, i] - log.xy[step, i])
            local = rotate(points[:, :2] - centre, -log.yaw[frame, i].double().expand(len(points)))
            half = log.size[frame, i, :2].double() / 2
            about = (local.abs() < half + 1.0).all(-1)
            if i > 0 and int(about.sum()) >= 30 and (log.xy[frame, i] - log.xy[frame, 0]).norm() < 50:
                held.append((local[about].abs() < half + 0.1).all(-1))
    assert len(torch.cat(held)) > 5000
    assert torch.cat(held).double().mean() > 0.975


def car_times(frame):
    """Of the same points as `car_points`."""
    label = read_frame(REAL / "002" / "annotations" / "semseg" / f"{frame:02d}.pkl.gz")["class"]
    return read_frame(REAL / "002" / "lidar" / f"{frame:02d}.pkl.gz")["t"][(label >= 13) & (label <= 16)]
