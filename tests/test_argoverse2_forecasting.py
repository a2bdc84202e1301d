"""Argoverse 2 motion forecasting: scenarios written here in the documented schema, and the real one where it is."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from drivesim.errors import InputError, NotDrivable
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, LaneKind
from scenarios.argoverse2 import Argoverse2
from scenarios.argoverse2.cities import ORIGINS, place_of

from .test_argoverse2 import write_log

REAL = Path(__file__).parents[2] / "shared/data/argoverse2/motion-forecasting"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs shared/data/argoverse2/motion-forecasting")

ID = "00000000-0000-4000-8000-000000000001"
CITY = np.array([3000.0, -1200.0])  # of the AV at its first step
Z, SLOPE = 25.0, 0.04  # height there, rise per metre east


def row(track, step, x, y, kind="vehicle", heading=0.0, speed=10.0, observed=True, **more):
    return {
        "observed": observed, "track_id": track, "object_type": kind, "object_category": 2, "timestep": step,
        "position_x": CITY[0] + x, "position_y": CITY[1] + y, "heading": heading,
        "velocity_x": speed * math.cos(heading), "velocity_y": speed * math.sin(heading),
        "scenario_id": ID, "start_timestamp": 3.15e17, "end_timestamp": 3.15e17 + 1.09e10, "num_timestamps": 110,
        "focal_track_id": "7", "city": "miami", **more,
    }  # fmt: skip


def rows(steps=110):
    out = []
    for k in range(steps):
        observed = k < 50
        out.append(row("AV", k, k, 0, observed=observed))
        if not 20 <= k < 40:
            out.append(row("7", k, 30 + 0.8 * k, 3.5, speed=8, observed=observed))
        out.append(row("8", k, 10, -5, "pedestrian", 1.5, 0.0, observed))
    return out


def lane(id, y, **more):
    line = lambda side: [  # noqa: E731
        {"x": CITY[0] + x, "y": CITY[1] + y + side, "z": Z + SLOPE * x} for x in (-50, 20, 200)
    ]
    middle = [{"x": p["x"], "y": p["y"], "z": 0.0} for p in line(0)]  # as published: without heights
    return {
        "id": id, "centerline": middle, "left_lane_boundary": line(1.75), "right_lane_boundary": line(-1.75),
        "left_lane_mark_type": "DASHED_WHITE", "right_lane_mark_type": "NONE", "is_intersection": False,
        "lane_type": "VEHICLE", "successors": [], "predecessors": [], "left_neighbor_id": None,
        "right_neighbor_id": None, **more,
    }  # fmt: skip


def archive():
    corner = lambda x, y: {"x": CITY[0] + x, "y": CITY[1] + y, "z": Z + SLOPE * x}  # noqa: E731
    area = [corner(-50, -3), corner(200, -3), corner(200, 6), corner(-50, 6), corner(-50, -3)]
    return {
        "lane_segments": {"1": lane(1, 0, left_neighbor_id=2), "2": lane(2, 3.5, lane_type="BUS", right_neighbor_id=1)},
        "drivable_areas": {"5": {"id": 5, "area_boundary": area}},
        "pedestrian_crossings": {
            "9": {"id": 9, "edge1": [corner(60, -3), corner(60, 6)], "edge2": [corner(63, -3), corner(63, 6)]}
        },
    }


def write(folder, table=None, id=ID, map=None):
    scene = folder / id
    scene.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(table or rows()), scene / f"scenario_{id}.parquet")
    (scene / f"log_map_archive_{id}.json").write_text(json.dumps(map or archive()))
    return folder


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return Argoverse2(str(write(tmp_path_factory.mktemp("mf") / "val"))).load(ID)


def test_the_world_starts_at_the_rear_axle_on_the_ground(scenario):
    assert scenario.origin[:2].tolist() == pytest.approx(CITY.tolist())
    assert float(scenario.origin[2]) == pytest.approx(Z, abs=0.1)
    assert scenario.scene.briefing.vehicle.world_from_ego(scenario.log[0, 0])[:3, 3].abs().max() < 0.02
    assert scenario.log.xy[0, 0].tolist() == pytest.approx([1.38, 0], abs=1e-3)
    assert scenario.steps == 110 and scenario.start == 10 and scenario.log.valid[:, 0].all()


def test_tracks_stand_on_the_slope(scenario):
    ego, car = scenario.log[:, 0], scenario.log[:, scenario.track_ids.index("7")]
    assert torch.allclose(ego.z[20:90], SLOPE * ego.xy[20:90, 0], atol=0.1)
    assert torch.allclose(ego.pitch[20:90], torch.tensor(-math.atan(SLOPE)), atol=0.01), "nose up"
    assert car.valid.tolist() == [not 20 <= k < 40 for k in range(110)]
    assert torch.allclose(car.velocity[:20], torch.tensor([8.0, 0.0]).expand(20, 2), atol=1e-4)
    assert car.kind[0] == Kind.CAR and car.xy[0].tolist() == pytest.approx([30, 3.5], abs=1e-3)
    walker = scenario.log[:, scenario.track_ids.index("8")]
    assert walker.kind[0] == Kind.PEDESTRIAN and walker.size[0, 2] == pytest.approx(1.78)
    assert {"sizes", "ground"} <= set(scenario.inferred)


def test_map(scenario):
    map = scenario.scene.map
    assert map.lanes.center.kind.tolist() == [LaneKind.VEHICLE, LaneKind.BUS]
    assert torch.allclose(map.lanes.width, torch.tensor(3.5), atol=1e-5)
    assert map.lanes.center.line(0)[0].tolist() == pytest.approx([-50, 0, -SLOPE * 50], abs=0.1)
    assert sorted(map.lanes.neighbours.tolist()) == [[0, 1, 1], [1, 0, -1]]
    road = RoadMap.of(map)
    assert road.inside(torch.tensor([[0.0, 0.0], [199.0, 5.9], [0.0, 6.5]])).tolist() == [True, True, False]
    assert len(map.crosswalks) == 1
    heights = road.ground(torch.tensor([[0.0, 0.0], [50.0, 0.0], [100.0, 3.0]]))
    assert heights.tolist() == pytest.approx([0.0, 50 * SLOPE, 100 * SLOPE], abs=0.1)


def test_test_scenarios_are_driven_as_far_as_they_were_observed(tmp_path):
    loaded = Argoverse2(str(write(tmp_path, rows(50)))).load(ID)
    assert loaded.steps == 50 and loaded.log.valid[:, 0].all()


def test_a_bad_track_is_left_out_and_told(tmp_path):
    table = [*rows(), row("66", 3, math.nan, 0), row("67", 3, 5e6, 0)]
    loaded = Argoverse2(str(write(tmp_path, table))).load(ID)
    assert set(loaded.track_ids) == {"ego", "7", "8"}
    assert sum("66" in p or "67" in p for p in loaded.problems) == 2


def test_both_kinds_under_one_root(tmp_path):
    write(tmp_path / "motion-forecasting" / "val")
    write_log(tmp_path / "sensor" / "val" / "log")
    source = Argoverse2(str(tmp_path))
    assert source.ids() == sorted([ID, "log"])
    for id in source.ids():
        assert source.load(id).id == id and source.load(id).fingerprint == source.fingerprint(id)
    scene = tmp_path / "motion-forecasting" / "val" / ID
    for root in (tmp_path, scene.parent.parent, scene, scene / f"scenario_{ID}.parquet", tmp_path / "sensor"):
        assert Argoverse2.recognizes(root), root
    assert Argoverse2(str(scene / f"scenario_{ID}.parquet")).ids() == Argoverse2(str(scene)).ids() == [ID]
    assert Argoverse2(str(scene / f"scenario_{ID}.parquet")).load(ID).steps == 110
    assert not Argoverse2.recognizes(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "scenario_x.parquet").write_text("no parquet")
    assert not Argoverse2.recognizes(tmp_path / "other")


def test_fingerprint_changes_with_content_and_options(tmp_path):
    write(tmp_path)
    before = Argoverse2(str(tmp_path)).fingerprint(ID)
    assert before != Argoverse2(str(tmp_path), rig="waymo").fingerprint(ID)
    write(tmp_path, rows(60))
    assert before != Argoverse2(str(tmp_path)).fingerprint(ID)


def without(column):
    return [{k: v for k, v in r.items() if k != column} for r in rows()]


@pytest.mark.parametrize(
    ("table", "error", "match"),
    [
        (without("heading"), InputError, r"scenario_.*heading"),
        ([r for r in rows() if r["track_id"] != "AV"], NotDrivable, "AV"),
        ([{**r, "position_x": math.nan} if r["track_id"] == "AV" else r for r in rows()], InputError, "ego"),
        ([r for r in rows() if r["track_id"] != "AV" or not 30 < r["timestep"] < 60], InputError, "ego"),
        (rows(15), NotDrivable, "long"),
        ([{**r, "timestep": "x"} for r in rows()], InputError, "scenario_.*numbers"),
    ],
    ids=["column", "no ego", "nan", "gap", "short", "text"],
)
def test_bad_tables_are_refused_by_name(tmp_path, table, error, match):
    with pytest.raises(error, match=match):
        Argoverse2(str(write(tmp_path, table))).load(ID)


@pytest.mark.parametrize("part", ["parquet", "json"])
@pytest.mark.parametrize("harm", ["cut", "missing"])
def test_broken_files_are_named(tmp_path, part, harm):
    path = next(write(tmp_path).rglob(f"*.{part}"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) if harm == "cut" else path.unlink()
    with pytest.raises(InputError, match=r"log_map_archive|scenario_"):
        Argoverse2(str(tmp_path)).load(ID)


def test_a_lane_of_no_width_is_refused(tmp_path):
    bad = archive()
    bad["lane_segments"]["1"]["left_lane_boundary"] = bad["lane_segments"]["1"]["right_lane_boundary"]
    with pytest.raises(InputError, match=r"log_map_archive.*lane segment 1 is 0\.0 m wide"):
        Argoverse2(str(write(tmp_path, map=bad))).load(ID)


def utm(latitude, longitude, zone):
    """Easting and northing [m]: Krueger's series to the third order."""
    f = 1 / 298.257223563
    n = f / (2 - f)
    big = 6378137.0 / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    alpha = (n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16, 13 * n**2 / 48 - 3 * n**3 / 5, 61 * n**3 / 240)
    phi, off = math.radians(latitude), math.radians(longitude - (6 * zone - 183))
    s = 2 * math.sqrt(n) / (1 + n)
    t = math.sinh(math.atanh(math.sin(phi)) - s * math.atanh(s * math.sin(phi)))
    xi, eta = math.atan2(t, math.cos(off)), math.atanh(math.sin(off) / math.sqrt(1 + t * t))
    terms = [(2 * (j + 1), a) for j, a in enumerate(alpha)]
    east = eta + sum(a * math.cos(k * xi) * math.sinh(k * eta) for k, a in terms)
    north = xi + sum(a * math.sin(k * xi) * math.cosh(k * eta) for k, a in terms)
    return np.array([500000 + 0.9996 * big * east, 0.9996 * big * north])


@pytest.mark.parametrize("city", sorted(ORIGINS))
def test_city_frames_are_utm_about_their_origin(city):
    latitude, longitude, zone = ORIGINS[city]
    origin = utm(latitude, longitude, zone)
    for xy in ((0, 0), (10_000, 0), (0, 10_000), (-7_000, 7_000), (-3_000, -4_000)):
        place = place_of(city, np.array(xy, float))
        assert np.abs(utm(place.latitude, place.longitude, zone) - origin - xy).max() < 1.0


def test_cities_by_name_and_code(scenario):
    assert scenario.place.name == "Miami" and 25.7 < scenario.place.latitude < 25.8
    for code, name in {"PIT": "pittsburgh", "WDC": "washington-dc", "PAO": "palo-alto", "DTW": "dearborn"}.items():
        assert place_of(code, np.zeros(2)) == place_of(name, np.zeros(2))
    assert place_of("atlantis", np.zeros(2)).name == "atlantis" and math.isnan(place_of("atlantis", CITY).latitude)


@real
def test_the_real_scenario_holds_together():
    source = Argoverse2(str(REAL))
    for id in source.ids():
        loaded = source.load(id)
        road, ego = RoadMap.of(loaded.scene.map), loaded.log[:, 0]
        assert loaded.steps in (50, 110) and road.inside(ego.xy).float().mean() > 0.98
        lane, _, lateral = road.nearest_lane(ego.xy, ego.yaw)
        assert (lane >= 0).float().mean() > 0.9 and lateral[lane >= 0].abs().median() < 1.0
        step = (loaded.log.xy[2:] - loaded.log.xy[:-2]) / 0.2
        fast = loaded.log.valid[2:] & loaded.log.valid[:-2] & (step.norm(dim=-1) > 2)
        off = torch.atan2(step[..., 1], step[..., 0]) - loaded.log.yaw[1:-1]
        assert torch.remainder(off + np.pi, 2 * np.pi).sub(np.pi)[fast].abs().median() < np.deg2rad(5)
        assert not math.isnan(loaded.place.latitude)
