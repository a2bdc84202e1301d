"""A small nuScenes release written in the documented schema, for the tests of its reader."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REAL = Path(__file__).parents[2] / "shared/data/nuscenes"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the nuScenes tables in shared/data/nuscenes")

ZERO = 1_533_151_603_000_000  # [us]
START = np.array([100.0, 60.0])  # ego at step 0 in the map
SPEED = 8.0
FRONT = [0.5, -0.5, 0.5, -0.5]


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """No test leaves anything in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("DRIVESIM_CACHE", str(folder))
        yield folder / "nuscenes"


def table(root, name, version="v1.0-mini"):
    return json.loads((root / version / f"{name}.json").read_text())


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


def expansion(root):
    """Two lanes side by side, one connector that leads on, in the schema of the map expansion 1.3; with the oddities
    of the published maps: a link to a lane that is not there, a polygon whose token is null."""
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
        edges = {"from_edge_line_token": line(f"from-{token}", (x0, y - 2), (x0, y + 2)),
                 "to_edge_line_token": line(f"to-{token}", (x1, y - 2), (x1, y + 2))}  # fmt: skip
        dividers = {"left_lane_divider_segments": [], "right_lane_divider_segments": []}
        return {"token": token, "polygon_token": f"p-{token}", "lane_type": "CAR", **edges, **dividers}

    def stop(token, kind, *box):
        return {"token": token, "polygon_token": polygon(f"p-{token}", *box), "stop_line_type": kind,
                "ped_crossing_tokens": ["x"] if kind in ("PED_CROSSING", "TURN_STOP") else [],
                "traffic_light_tokens": ["lamp"] if kind == "TRAFFIC_LIGHT" else [],
                "road_block_token": None}  # fmt: skip

    nowhere = dict.fromkeys(("tx", "ty", "tz", "rx", "ry", "rz"), 0.0)
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
                                                            polygon("p-e", 180, 55, 290, 65),
                                                            polygon(None, 30, 70, 40, 75)]}],
        "carpark_area": [{"token": "k", "polygon_token": polygon("p-k", 60, 70, 90, 80), "orientation": 1.5,
                          "road_block_token": None}],
        "traffic_light": [{"token": "lamp", "line_token": line("l-lamp", (149, 66), (148, 66)), "items": [],
                           "traffic_light_type": "VERTICAL", "from_road_block_token": "", "pose": nowhere}],
        "ped_crossing": [{"token": "x", "polygon_token": polygon("p-x", 140, 50, 144, 70), "road_segment_token": ""}],
        "stop_line": [stop("s", "STOP_SIGN", 137, 58, 138, 62), stop("t", "TRAFFIC_LIGHT", 147, 58, 149, 66),
                      stop("u", "PED_CROSSING", 139, 62, 140, 66), stop("v", "YIELD", 175, 58, 177, 62),
                      stop("w", "TURN_STOP", 20, 50, 22, 52)],
        "lane_divider": [{"token": "ld", "line_token": line("l-ld", *[(x, 62) for x, _ in segments]),
                          "lane_divider_segments": [{"node_token": node(x, 62), "segment_type": t}
                                                    for x, t in segments]}],
        "road_divider": [{"token": "rd", "line_token": line("l-rd", (50, 66), (150, 66)), "road_segment_token": ""}],
        "arcline_path_3": {"a": straight(50, 150, 60), "b": straight(50, 150, 64), "c": straight(150, 180, 60)},
        "connectivity": {"a": {"incoming": [], "outgoing": ["c", "dangling"]}, "b": {"incoming": [], "outgoing": []},
                         "c": {"incoming": ["a"], "outgoing": []}},
        **{name: [] for name in ("road_segment", "road_block", "walkway")},
    }  # fmt: skip
    layers |= {"polygon": polygons, "line": lines, "node": list(nodes.values())}
    path = root / "maps/expansion/boston-seaport.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(layers))
    return path
