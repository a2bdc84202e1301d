"""The road of nuScenes scenes: from the map picture, and from the map expansion in its documented schema."""

import json
import math
import struct
import zlib

import numpy as np
import pytest
import shapely
import torch
from PIL import Image

from drivesim.errors import InputError
from drivesim.roadmap import RoadMap
from drivesim.types import Marking, StopKind
from scenarios.nuscenes import NuScenes
from scenarios.nuscenes.arclines import arcline, between_edges
from scenarios.nuscenes.layers import open_layers
from scenarios.nuscenes.raster import outline, read_window

from .nuscenes_release import expansion, own_cache, write  # noqa: F401


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return NuScenes(str(write(tmp_path_factory.mktemp("nuscenes")))).load("scene-0001")


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
        Marking.DASHED_WHITE, Marking.SOLID_WHITE, Marking.DOUBLE_YELLOW, *[Marking.STOP_LINE] * 3,
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


def test_a_picture_cut_in_half_is_named(tmp_path):
    path = write(tmp_path) / "maps/m.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="m.png"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_stop_areas_become_stops_of_the_lanes_that_cross_them(tmp_path):
    expansion(write(tmp_path))
    stops = NuScenes(str(tmp_path)).load("scene-0001").scene.map.stops
    found = [(StopKind(k).name, lane, xy) for k, lane, xy in zip(
        stops.kind.tolist(), stops.lane.tolist(), stops.xy.tolist(), strict=True)]  # fmt: skip
    assert found == [
        ("STOP_SIGN", 0, [37.5, 0]),
        ("SIGNAL", 0, [48, 0]), ("SIGNAL", 1, [48, 4]),  # the area goes across both lanes
        ("CROSSWALK", 1, [39.5, 4]),
        ("YIELD", 2, [76, 0]),  # no lane but a connector crosses it
        ("CROSSWALK", -1, [-79, -9]),  # nobody does
    ]  # fmt: skip


def test_car_parks_and_polygons_without_a_name_are_drivable(tmp_path):
    expansion(write(tmp_path))
    road = RoadMap.of(NuScenes(str(tmp_path)).load("scene-0001").scene.map)
    assert road.inside(torch.tensor([[-25.0, 18.0], [-65.0, 14.0], [-50.0, 14.0]])).tolist() == [True, True, False]


def test_the_devkit_sees_the_same_map(tmp_path):
    from nuscenes.map_expansion.arcline_path_utils import discretize_lane
    from nuscenes.map_expansion.map_api import NuScenesMap

    path = expansion(write(tmp_path))
    devkit, layers = NuScenesMap(str(tmp_path), "boston-seaport"), open_layers(path, 0)
    tokens = [t for row in devkit.drivable_area for t in row["polygon_tokens"]] + ["p-k"]
    area = shapely.union_all([devkit.extract_polygon(t) for t in tokens])
    assert area.symmetric_difference(shapely.union_all(layers.drivable)).area < 1e-9
    for row, line in zip([*devkit.lane, *devkit.lane_connector], layers.lines, strict=True):
        theirs = np.array(discretize_lane(devkit.get_arcline_path(row["token"]), 0.5))[:, :2]
        assert shapely.hausdorff_distance(shapely.LineString(theirs), shapely.LineString(line)) < 1e-6
    assert [k for _, k in layers.stops] == [
        {"STOP_SIGN": StopKind.STOP_SIGN, "TRAFFIC_LIGHT": StopKind.SIGNAL, "YIELD": StopKind.YIELD}.get(
            row["stop_line_type"], StopKind.CROSSWALK) for row in devkit.stop_line]  # fmt: skip


@pytest.mark.parametrize("shape", ["LSL", "LSR", "RSL", "RSR", "LRL", "RLR"])
def test_arcs_and_straights_are_those_of_the_devkit(shape):
    from nuscenes.map_expansion.arcline_path_utils import pose_at_length

    path = {"start_pose": [10.0, -4.0, 2.5], "shape": shape, "radius": 9.0, "segment_length": [6.0, 11.5, 4.0]}
    line = arcline([path], 0.5)
    theirs = np.array([pose_at_length(path, s)[:2] for s in np.linspace(1e-6, 21.5, 400)])
    assert np.allclose(line[0], theirs[0], atol=1e-4) and np.allclose(line[-1], theirs[-1], atol=1e-9)
    assert shapely.hausdorff_distance(shapely.LineString(line), shapely.LineString(theirs)) < 0.01
    assert np.hypot(*np.diff(line, axis=0).T).max() < 0.51


NO_PATHS = [{"radius": 0}, {"radius": math.nan}, {"segment_length": [1e12, 0, 0]}, {"shape": "XYZ"}, {"shape": "L"},
            {"start_pose": [0, 0]}, {"segment_length": [math.nan, 0, 1]}, {"start_pose": [1e300, 0, 0]}]  # fmt: skip


@pytest.mark.parametrize("change", NO_PATHS)
def test_paths_that_are_none(change):
    path = {"start_pose": [0, 0, 0], "shape": "LSL", "radius": 9.0, "segment_length": [6.0, 11.5, 4.0]} | change
    with pytest.raises((ValueError, KeyError)):
        arcline([path])


@pytest.mark.parametrize("clockwise", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_the_middle_of_a_lane_without_a_centre_line(clockwise, swapped):
    """A quarter circle of 10 m radius, 4 m wide, driven from east to north."""
    angle = np.linspace(0, np.pi / 2, 30)
    arc = lambda r: r * np.column_stack([np.cos(angle), np.sin(angle)])  # noqa: E731
    ring = np.concatenate([arc(12), arc(8)[::-1]])
    entry, exit = np.array([[8.0, 0], [12, 0]]), np.array([[0, 8.0], [0, 12]])
    line = between_edges(ring[::-1] if clockwise else ring, entry[::-1] if swapped else entry, exit)
    assert np.allclose(np.hypot(*line.T), 10, atol=0.05)
    assert np.allclose(line[[0, -1]], [[10, 0], [0, 10]], atol=1e-6), "in the direction of traffic"


def test_versions_before_centre_lines_give_the_middle_of_their_lanes(tmp_path):
    path = expansion(write(tmp_path))
    layers = json.loads(path.read_text())
    for name in ("version", "arcline_path_3", "connectivity", "lane_connector"):
        del layers[name]
    path.write_text(json.dumps(layers))
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    lanes = loaded.scene.map.lanes
    assert len(lanes) == 2 and lanes.center.line(0)[[0, -1], :2].tolist() == [[-50, 0], [50, 0]]
    assert lanes.width.tolist() == pytest.approx([4, 4]) and {"lanes", "successors"} <= set(loaded.inferred)


def test_single_broken_records_are_left_out_and_counted(tmp_path):
    path = expansion(write(tmp_path))
    layers = json.loads(path.read_text())
    layers["arcline_path_3"]["b"][0]["radius"] = math.nan
    layers["polygon"] = [p for p in layers["polygon"] if p["token"] != "p-x"]
    path.write_text(json.dumps(layers))
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert len(loaded.scene.map.lanes) == 2 and len(loaded.scene.map.crosswalks) == 0
    told = " ".join(loaded.problems)
    assert "1 lane records of boston-seaport.json" in told and "1 ped_crossing records" in told


def test_an_expansion_of_elsewhere_is_not_used(tmp_path):
    path = expansion(write(tmp_path))
    layers = json.loads(path.read_text())
    for node in layers["node"]:
        node["x"] += 5000.0
    for lane in layers["arcline_path_3"].values():
        lane[0]["start_pose"][0] += 5000.0
    path.write_text(json.dumps(layers))
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert "map:raster, lanes from driven paths" in loaded.tags and any("has no road" in p for p in loaded.problems)


@pytest.mark.parametrize("size", [(20, 20), (3000, 1200)], ids=["ends before the ego", "black"])
def test_a_picture_of_elsewhere_is_not_used(tmp_path, size):
    Image.new("L", size, 0).save(write(tmp_path) / "maps/m.png")
    loaded = NuScenes(str(tmp_path)).load("scene-0001")
    assert "map:none, road and lanes from driven paths" in loaded.tags
    assert any("m.png shows no road" in p for p in loaded.problems)
    assert RoadMap.of(loaded.scene.map).inside(loaded.log.xy[:, 0]).all()
