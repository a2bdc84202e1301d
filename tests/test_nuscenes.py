"""nuScenes scenes: real ones where they are, and a small release written here in the documented schema."""

import json
import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch
from PIL import Image

from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import apply, invert
from drivesim.loading import Track
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, Marking
from scenarios.nuscenes import NuScenes
from scenarios.nuscenes.boxes import kind_of, smooth
from scenarios.nuscenes.heights import climb, ground_under, heights
from scenarios.nuscenes.raster import outline, read_window

REAL = Path(__file__).parents[2] / "shared/data/nuscenes"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the nuScenes tables in shared/data/nuscenes")

ZERO = 1_533_151_603_000_000  # [us]
START = np.array([100.0, 60.0])  # ego at step 0 in the map
SPEED = 8.0
FRONT = [0.5, -0.5, 0.5, -0.5]


def dump(root, name, rows, version="v1.0-mini"):
    (root / version).mkdir(parents=True, exist_ok=True)
    (root / version / f"{name}.json").write_text(json.dumps(rows))


def frames(scene, count):
    """Key frames at 2 Hz: samples, sample_data, ego poses, boxes of a parked car, a bicycle that leaves for 2 s."""
    samples, data, poses, boxes = [], [], [], []
    for i in range(count):
        time, token = ZERO + i * 500_000, f"{scene}-{i}"
        link = {"prev": f"{scene}-{i - 1}" if i else "", "next": f"{scene}-{i + 1}" if i + 1 < count else ""}
        samples.append({"token": token, "timestamp": time, "scene_token": scene, **link})
        for channel, calibration, late in (("CAM_FRONT", "cal-front", 20_000), ("LIDAR_TOP", "cal-top", 0)):
            own = {k: f"{v}-{channel}" if v else "" for k, v in link.items()}
            kind = "jpg" if channel == "CAM_FRONT" else "pcd.bin"
            x = START[0] + SPEED * (i * 0.5 + late * 1e-6)
            poses.append({"token": f"{token}-{channel}", "timestamp": time + late, "rotation": [1, 0, 0, 0],
                          "translation": [x, START[1], 0.0]})  # fmt: skip
            data.append({"token": f"{token}-{channel}", "sample_token": token, "ego_pose_token": f"{token}-{channel}",
                         "calibrated_sensor_token": calibration, "timestamp": time + late, "fileformat": kind[:3],
                         "is_key_frame": True, "height": 900, "width": 1600, **own,
                         "filename": f"samples/{channel}/n008__{channel}__{time + late}.{kind}"})  # fmt: skip
        yaw = math.radians(30)
        row = {"sample_token": token, "visibility_token": "", "attribute_tokens": [], "num_lidar_pts": 1,
               "num_radar_pts": 0, "prev": "", "next": ""}  # fmt: skip
        boxes.append({"token": f"car-{token}", "instance_token": f"{scene}-car", "translation": [130.0, 63.0, 1.0],
                      "size": [2.0, 4.0, 1.6], **row,
                      "rotation": [math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)]})  # fmt: skip
        if i < 2 or i > 5:
            boxes.append({"token": f"bike-{token}", "instance_token": f"{scene}-bike", "size": [0.6, 1.8, 1.5],
                          "translation": [100.0 + i, 58.0, 0.75], "rotation": [1, 0, 0, 0], **row})  # fmt: skip
    return samples, data, poses, boxes


def write(root, scenes=(("scene-0001", 9), ("scene-0002", 1)), picture=True):
    tables = {name: [] for name in ("sample", "sample_data", "ego_pose", "sample_annotation", "instance", "scene")}
    for name, count in scenes:
        samples, data, poses, boxes = frames(name, count)
        tables["sample"] += samples
        tables["sample_data"] += data
        tables["ego_pose"] += poses
        tables["sample_annotation"] += boxes
        for thing, category in (("car", "c-car"), ("bike", "c-bike")):
            of = [b["token"] for b in boxes if b["instance_token"] == f"{name}-{thing}"]
            tables["instance"].append({"token": f"{name}-{thing}", "category_token": category,
                                       "nbr_annotations": len(of), "first_annotation_token": of[0],
                                       "last_annotation_token": of[-1]})  # fmt: skip
        tables["scene"].append({"token": name, "log_token": "log", "nbr_samples": count, "name": name,
                                "first_sample_token": f"{name}-0", "last_sample_token": f"{name}-{count - 1}",
                                "description": ""})  # fmt: skip
    lens = [[1266.0, 0, 800.0], [0, 1266.0, 450.0], [0, 0, 1]]
    tables |= {
        "category": [
            {"token": "c-car", "name": "vehicle.car", "description": ""},
            {"token": "c-bike", "name": "vehicle.bicycle", "description": ""},
        ],
        "attribute": [{"token": "a", "name": "x", "description": ""}],
        "visibility": [{"token": "1", "level": "v0-40", "description": ""}],
        "sensor": [
            {"token": "front", "channel": "CAM_FRONT", "modality": "camera"},
            {"token": "top", "channel": "LIDAR_TOP", "modality": "lidar"},
        ],
        "calibrated_sensor": [
            {"token": "cal-front", "sensor_token": "front", "translation": [1.7, 0.0, 1.5], "rotation": FRONT,
             "camera_intrinsic": lens},
            {"token": "cal-top", "sensor_token": "top", "translation": [0.9, 0.0, 1.8], "rotation": [1, 0, 0, 0],
             "camera_intrinsic": []},
        ],
        "log": [{"token": "log", "logfile": "n008", "vehicle": "n008", "date_captured": "2018-08-01",
                 "location": "boston-seaport"}],
        "map": [{"token": "map", "category": "semantic_prior", "filename": "maps/m.png", "log_tokens": ["log"]}],
    }  # fmt: skip
    for name, rows in tables.items():
        dump(root, name, rows)
    (root / "maps").mkdir(exist_ok=True)
    if picture:  # 300 m x 120 m; the road is 50 <= y < 70, with an island
        pixels = np.zeros((1200, 3000), np.uint8)
        pixels[500:700] = 255
        pixels[560:580, 2000:2100] = 0
        Image.fromarray(pixels).save(root / "maps/m.png")
    return root


def write_files(root):
    """Photo and sweep of the second key frame."""
    stamp = ZERO + 500_000
    photo = root / f"samples/CAM_FRONT/n008__CAM_FRONT__{stamp + 20_000}.jpg"
    sweep = root / f"samples/LIDAR_TOP/n008__LIDAR_TOP__{stamp}.pcd.bin"
    for path in (photo, sweep):
        path.parent.mkdir(parents=True)
    Image.new("RGB", (1600, 900), (30, 200, 30)).save(photo)
    np.array([[10, 2, -1.8, 5, 0]], np.float32).tofile(sweep)
    return photo, sweep


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


def test_the_raster_map_is_drivable(scenario):
    road = RoadMap.of(scenario.scene.map)
    places = torch.tensor([[0.0, 9.5], [0.0, -9.5], [0.0, 10.6], [0.0, -10.6], [105.0, 3.0], [105.0, 5.0]])
    # the island is 2 m x 10 m at y 62..64 of the map, x 200..210: rows count from the top of the picture
    assert road.inside(places).tolist() == [True, True, False, False, False, True]
    lane, _, lateral = road.nearest_lane(scenario.log.xy[:, 0], scenario.log.yaw[:, 0])
    assert (lane >= 0).all() and lateral.abs().max() < 0.3
    assert "map:raster, lanes from driven paths" in scenario.tags


def test_without_a_picture_the_road_is_where_traffic_drove(tmp_path):
    loaded = NuScenes(str(write(tmp_path, picture=False))).load("scene-0001")
    road = RoadMap.of(loaded.scene.map)
    assert road.inside(loaded.log.xy[:, 0]).all()
    assert not road.inside(torch.tensor([[10.0, 8.0]])).any()
    assert "map:none, road and lanes from driven paths" in loaded.tags


def test_outline_covers_the_picture_to_two_decimetres():
    y, x = np.mgrid[:400, :500]
    far = np.hypot(x - 250, y - 200)
    mask = (far < 150) & (far >= 40)
    area = outline(mask)
    assert area.area == pytest.approx(math.pi * (150**2 - 40**2), rel=0.01)
    off = shapely.contains_xy(area, x + 0.5, y + 0.5) != mask
    assert np.abs(far[off][:, None] - [40, 150]).min(1).max() < 2.0


def test_outline_of_nothing_is_empty():
    assert outline(np.zeros((50, 50), bool)).is_empty


def png(pixels, filters):
    """A grey PNG whose rows use these filters (0 none, 1 sub, 2 up)."""
    rows = b""
    for i, (row, kind) in enumerate(zip(pixels, filters, strict=True)):
        left = np.concatenate([[0], row[:-1]]).astype(np.uint8)
        above = pixels[i - 1] if i else np.zeros_like(row)
        rows += bytes([kind]) + (row - (0 * row, left, above)[kind]).astype(np.uint8).tobytes()
    data = zlib.compress(rows)
    pieces = [(b"IHDR", struct.pack(">IIBBBBB", *pixels.shape[::-1], 8, 0, 0, 0, 0)), (b"IDAT", data[:99]),
              (b"IDAT", data[99:]), (b"IEND", b"")]  # fmt: skip
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in pieces)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("kinds", [(0, 1), (1, 1), (1, 2)], ids=["none and sub", "sub", "up is left to Pillow"])
def test_a_window_of_a_picture_is_what_pillow_sees(tmp_path, kinds):
    pixels = np.random.default_rng(0).integers(0, 2, (60, 80)).astype(np.uint8) * 255
    path = tmp_path / "m.png"
    path.write_bytes(png(pixels, [kinds[i % 2] for i in range(60)]))
    assert (np.asarray(Image.open(path)) == pixels).all()
    window = read_window(path, 10, 20, 50, 45)
    assert (window == pixels[20:45, 10:50]).all() if 2 not in kinds else window is None


def expansion(root):
    """Two lanes side by side, one connector that leads on, in the schema of the map expansion 1.3."""
    nodes, polygons, lines = {}, [], []

    def node(x, y):
        token = f"n{x}_{y}"
        nodes[token] = {"token": token, "x": x, "y": y}
        return token

    def polygon(token, x0, y0, x1, y1):
        ring = [node(x0, y0), node(x1, y0), node(x1, y1), node(x0, y1)]
        polygons.append({"token": token, "exterior_node_tokens": ring, "holes": []})
        return token

    def line(token, *points):
        lines.append({"token": token, "node_tokens": [node(*p) for p in points]})
        return token

    def straight(x0, x1, y):
        ends = {"start_pose": [x0, y, 0.0], "end_pose": [x1, y, 0.0]}
        return [{**ends, "shape": "LSR", "radius": 999.0, "segment_length": [0.0, float(x1 - x0), 0.0]}]

    def lane(token, x0, x1, y):
        polygon(f"p-{token}", x0, y - 2, x1, y + 2)
        edges = {"from_edge_line_token": "", "to_edge_line_token": ""}
        dividers = {"left_lane_divider_segments": [], "right_lane_divider_segments": []}
        return {"token": token, "polygon_token": f"p-{token}", "lane_type": "CAR", **edges, **dividers}

    segments = [
        (80, "DOUBLE_DASHED_WHITE"),
        (100, "DOUBLE_DASHED_WHITE"),
        (120, "SINGLE_SOLID_WHITE"),
        (150, "NIL"),
    ]
    layers = {
        "version": "1.3", "canvas_edge": [300, 120],
        "lane": [lane("a", 50, 150, 60), lane("b", 50, 150, 64)],
        "lane_connector": [{"token": "c", "polygon_token": polygon("p-c", 150, 58, 180, 62)}],
        "drivable_area": [{"token": "d", "polygon_tokens": [polygon("p-d", 20, 50, 180, 70),
                                                            polygon("p-e", 180, 55, 290, 65)]}],
        "ped_crossing": [{"token": "x", "polygon_token": polygon("p-x", 140, 50, 144, 70), "road_segment_token": ""}],
        "stop_line": [{"token": "s", "polygon_token": polygon("p-s", 137, 58, 138, 62), "stop_line_type": "STOP_SIGN",
                       "ped_crossing_tokens": [], "traffic_light_tokens": [], "road_block_token": ""}],
        "lane_divider": [{"token": "ld", "line_token": line("l-ld", *[(x, 62) for x, _ in segments]),
                          "lane_divider_segments": [{"node_token": node(x, 62), "segment_type": t}
                                                    for x, t in segments]}],
        "road_divider": [{"token": "rd", "line_token": line("l-rd", (50, 66), (150, 66)), "road_segment_token": ""}],
        "arcline_path_3": {"a": straight(50, 150, 60), "b": straight(50, 150, 64), "c": straight(150, 180, 60)},
        "connectivity": {"a": {"incoming": [], "outgoing": ["c", "dangling"]}, "b": {"incoming": [], "outgoing": []},
                         "c": {"incoming": ["a"], "outgoing": []}},
        **{name: [] for name in ("road_segment", "road_block", "walkway", "carpark_area", "traffic_light")},
    }  # fmt: skip
    layers |= {"polygon": polygons, "line": lines, "node": list(nodes.values())}
    path = root / "maps/expansion/boston-seaport.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(layers))
    return path


def test_the_map_expansion_wins_where_it_exists(tmp_path):
    expansion(write(tmp_path))
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert "map:expansion" in loaded.tags
    lanes, road = loaded.scene.map.lanes, RoadMap.of(loaded.scene.map)
    assert len(lanes) == 3 and lanes.intersection.tolist() == [False, False, True]
    assert lanes.center.line(0)[[0, -1], :2].tolist() == [[-50, 0], [50, 0]]
    assert lanes.width[:2].tolist() == pytest.approx([4, 4])
    assert lanes.successors.tolist() == [[0, 2]], "links to lanes that are not there are left out"
    assert lanes.neighbours.tolist() == [[0, 1, 1], [1, 0, -1]]
    assert road.inside(torch.tensor([[0.0, -9.9], [100.0, -4.9], [100.0, 9.0]])).tolist() == [
        True,
        True,
        False,
    ]
    assert len(loaded.scene.map.crosswalks) == 1
    painted = loaded.scene.map.markings
    assert painted.kind.tolist() == [
        Marking.DASHED_WHITE, Marking.SOLID_WHITE, Marking.DOUBLE_YELLOW, Marking.STOP_LINE,
    ]  # fmt: skip
    assert painted.line(0)[:, :2].tolist() == [[-20, 2], [0, 2], [20, 2]]
    assert painted.line(1)[:, :2].tolist() == [[20, 2], [50, 2]]
    stop = painted.line(3)[:, :2]
    assert sorted(stop.tolist()) == [pytest.approx([37.5, -2]), pytest.approx([37.5, 2])], "across the lane"


def test_a_broken_map_expansion_is_named(tmp_path):
    path = expansion(write(tmp_path))
    path.write_text(path.read_text()[:500])
    with pytest.raises(InputError, match="boston-seaport.json"):
        NuScenes(str(tmp_path)).load("scene-0001")
    path.write_text('{"version": "1.0"}')
    with pytest.raises(InputError, match="boston-seaport.json"):
        NuScenes(str(tmp_path)).load("scene-0001")


@pytest.mark.parametrize("name", ["scene", "sample_data", "ego_pose", "map"])
def test_a_table_cut_in_half_or_missing_is_named(tmp_path, name):
    path = write(tmp_path) / "v1.0-mini" / f"{name}.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=f"{name}.json"):
        NuScenes(str(tmp_path)).load("scene-0001")
    path.unlink()
    with pytest.raises(InputError, match=f"{name}.json"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_a_picture_cut_in_half_is_named(tmp_path):
    path = write(tmp_path) / "maps/m.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="m.png"):
        NuScenes(str(tmp_path)).load("scene-0001")


@pytest.mark.parametrize("table, column", [("ego_pose", "translation"), ("sample_annotation", "rotation")])
def test_nan_poses_are_named(tmp_path, table, column):
    path = write(tmp_path) / "v1.0-mini" / f"{table}.json"
    rows = json.loads(path.read_text())
    rows[3][column] = [float("nan")] * len(rows[3][column])
    path.write_text(json.dumps(rows))
    with pytest.raises(InputError, match=f"{table}.*{rows[3]['token']}"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_a_dangling_token_is_an_input_error(tmp_path):
    dump(write(tmp_path), "ego_pose", json.loads((tmp_path / "v1.0-mini/ego_pose.json").read_text())[4:])
    with pytest.raises(InputError, match="scene-0001-0-LIDAR_TOP"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_wrong_roots_versions_and_ids(tmp_path, root):
    with pytest.raises(InputError, match="nowhere"):
        NuScenes(str(tmp_path / "nowhere")).ids()
    with pytest.raises(InputError, match="no nuScenes tables"):
        NuScenes(str(tmp_path)).ids()
    with pytest.raises(InputError, match="v1.0-trainval.*v1.0-mini"):
        NuScenes(str(root), version="v1.0-trainval").ids()
    with pytest.raises(InputError, match="scene-9999"):
        NuScenes(str(root)).load("scene-9999")


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
    from scenarios.nuscenes import boxes, sensors
    from scenarios.nuscenes.source import _scene
    from scenarios.nuscenes.tables import open_tables, table_folder
    from scenarios.nuscenes.world import World

    source = NuScenes(str(REAL))
    tables, checked = open_tables(source.root, ""), 0
    for id in source.undrivable():
        _, samples = _scene(tables, id, table_folder(source.root, ""))
        rows = sensors.recorded_rows(tables, samples)
        zero = samples[0]["timestamp"]
        world = World(sensors.ego_poses(tables, rows)[1][0, :3, 3].clone(), zero, np.zeros(1), np.zeros(1))
        cameras = sensors.cameras_of(tables, rows, 400, 224)
        log, _ = sensors.sensor_log(tables, REAL, rows, cameras, world)
        if log is None or not log.sweeps:
            continue
        points = log.sweeps[0].read().double()
        for track in boxes.agent_tracks(tables, samples, world):
            if track.kind != Kind.CAR or np.hypot(*track.xyz[0, :2]) > 20:
                continue
            yaw = torch.tensor(track.yaw[0])
            c, s = yaw.cos(), yaw.sin()
            pose = torch.eye(4, dtype=torch.float64)
            pose[:2, :2] = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
            pose[:3, 3] = torch.from_numpy(track.xyz[0])
            local = apply(invert(pose), points)
            half = torch.tensor([track.size[0] / 2, track.size[1] / 2])
            within = (local[:, :2].abs() < half + 0.1).all(1) & (local[:, 2] > 0.2) & (local[:, 2] < track.size[2])
            around = (local[:, :2].abs() < half + 0.6).all(1) & (local[:, 2] > 0.4) & (local[:, 2] < track.size[2])
            assert within.sum() > 5 and within.sum() > 3 * (around & ~within).sum()
            checked += 1
    assert checked > 0 or not source.undrivable()


def test_a_release_without_boxes_is_driven_alone(tmp_path):
    write(tmp_path)
    dump(tmp_path, "sample_annotation", [])
    dump(tmp_path, "instance", [])
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert loaded.track_ids == ("ego",) and loaded.log.valid.all()
    assert torch.isfinite(loaded.scene.map.ground.z).all()
