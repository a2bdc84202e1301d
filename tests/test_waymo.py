"""Waymo Open Motion scenes in all forms: a street written here with known numbers, and real ones where they are."""

import gzip
import json
import math
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import rotate
from drivesim.roadmap import RoadMap
from drivesim.types import VEHICLES, Kind, LaneKind, Light, Marking, StopKind, is_kind
from scenarios.waymo import Waymo, tfrecord
from tests import waymo_files as files

REAL = Path(__file__).parents[2] / "shared/data/waymo"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the Waymo scenes in shared/data/waymo")
FORMS = ("Scenario", "tf.Example", "gpudrive", "later", "nocturne")


def write(folder, form, record):
    folder.mkdir(parents=True, exist_ok=True)
    if form == "Scenario":
        return files.tfrecord(folder / "training.tfrecord-00000-of-01000", record)
    if form == "tf.Example":
        return files.tfrecord(folder / "training_tfexample.tfrecord-00000-of-01000", files.as_example(record))
    return files.write_json(folder / f"tfrecord-00000-of-01000_{form}.json", files.as_json(record, form))


def only(path, **options):
    source = Waymo(str(path), **options)
    (id,) = source.ids()
    return source.load(id)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """The street in every form."""
    folder, record = tmp_path_factory.mktemp("waymo"), files.scenario()
    return {form: only(write(folder / form, form, record)) for form in FORMS}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def local(scenario, xy):
    """Points (..., 2) of the world along and across the street, from where the ego's box centre starts."""
    start = torch.from_numpy(files.place(0, 0)[:2]) - scenario.origin[:2]
    return rotate(xy.double() - start, torch.tensor(-files.TURN))


# the numbers of the street


def test_the_ego_starts_at_the_origin_and_drives_as_written(street, form):
    s = street[form]
    vehicle, ego = s.scene.briefing.vehicle, s.log[:, 0]
    assert (vehicle.length, vehicle.width) == pytest.approx(files.EGO[:2], abs=1e-6)
    assert vehicle.height == pytest.approx(2.33, abs=1e-6), "Nocturne has no heights; the fleet's is known"
    place = local(s, ego.xy)
    assert torch.allclose(place[:, 0], torch.arange(91).double(), atol=2e-3), "10 m/s"
    assert torch.allclose(place[:, 1], torch.zeros(91).double(), atol=2e-3)
    assert torch.allclose(ego.speed, torch.tensor(10.0), atol=1e-4)
    assert torch.allclose(ego.yaw, torch.tensor(files.TURN).float(), atol=1e-5)
    assert float(ego.z.abs().max()) < 1e-5 and s.start == 10 and s.steps == 91
    assert float(vehicle.world_from_ego(s.log[0, 0].to(torch.float64))[:2, 3].abs().max()) < 1e-4
    height = 0.0 if form == "nocturne" else 30.0
    assert s.origin[2] == pytest.approx(height, abs=1e-5), "the bottom of the box, not its centre"


def test_others_are_there_when_they_are_seen(street, form):
    s = street[form]
    car, walker, parked = s.log[:, 1], s.log[:, 2], s.log[:, 3]
    assert car.kind[0] == Kind.CAR and walker.kind[0] == Kind.PEDESTRIAN
    assert walker.valid.nonzero()[:, 0].tolist() == list(range(30, 60))
    assert torch.allclose(local(s, car.xy[50]), torch.tensor([60.0, 3.5]).double(), atol=2e-3)
    assert torch.allclose(walker.velocity[40].norm(), torch.tensor(1.5), atol=1e-3)
    assert walker.yaw[40] == pytest.approx(files.TURN + math.pi / 2, abs=1e-5)
    assert parked.size[0, :2].tolist() == pytest.approx([4.5, 1.9])
    assert float(parked.speed.abs().max()) < 1e-4
    assert torch.isnan(walker.xy[0]).all()


def test_lanes_and_their_links(street, form):
    lanes = street[form].scene.map.lanes
    given = form == "Scenario"
    assert len(lanes) == 5, "the one that is a mere point is none"
    assert lanes.successors.tolist() == [[0, 2], [1, 3]], "gone through the mere point, or found by what meets"
    beside = {tuple(row) for row in lanes.neighbours.tolist()}
    assert {(0, 1, 1), (1, 0, -1), (2, 3, 1), (3, 2, -1)} <= beside
    assert torch.allclose(lanes.width, torch.tensor([3.75, 3.45, 3.75, 3.5, 3.0]), atol=0.3)
    limits = [35 * 0.44704] * 2 if given else [math.nan] * 2
    assert lanes.speed_limit[:2].tolist() == pytest.approx(limits, nan_ok=True)
    bicycle = LaneKind.VEHICLE if form == "nocturne" else LaneKind.BICYCLE
    assert lanes.center.kind.tolist() == [LaneKind.VEHICLE] * 4 + [bicycle]
    assert not bool(lanes.intersection.any())
    line = local(street[form], lanes.center.line(0)[:, :2])
    assert torch.allclose(line[[0, -1]], torch.tensor([[-20.0, 0.0], [60.0, 0.0]]).double(), atol=2e-3)


def test_what_was_worked_out_is_said(street):
    worked_out = {form: set(street[form].inferred) for form in FORMS}
    always = {"widths", "drivable area", "ground"}
    links = always | {"successors", "neighbours", "stop lines"}
    assert worked_out["Scenario"] == always
    assert worked_out["tf.Example"] == worked_out["gpudrive"] == links
    assert worked_out["later"] == worked_out["nocturne"] == links | {"ego"}
    assert street["nocturne"].inferred["ground"] == 0.0 and street["gpudrive"].inferred["ground"] > 0.9
    assert street["later"].inferred["ego"] == 0.95
    assert any("who the ego is" in told for told in street["later"].problems)
    assert street["Scenario"].problems == () and street["gpudrive"].problems == ()


def test_area_between_the_edges_and_driveways(street, form):
    s = street[form]
    places = [[0, 0], [0, 5.2], [0, 5.8], [0, -4.7], [0, -5.3], [23, -7], [-15, -7]]
    inside = [True, True, False, True, False, True, False]
    start = torch.from_numpy(files.place(0, 0)[:2]) - s.origin[:2]
    world = rotate(torch.tensor(places).double(), torch.tensor(files.TURN)) + start
    assert RoadMap.of(s.scene.map).inside(world.float()).tolist() == inside
    assert float(RoadMap.of(s.scene.map).ground(world.float()).abs().max()) < 1e-3


def test_paint_crosswalk_and_stop_sign(street, form):
    road = street[form].scene.map
    painted = [] if form == "nocturne" else [Marking.DASHED_WHITE, Marking.DOUBLE_YELLOW]
    assert road.markings.kind.tolist() == painted, "what is unknown is not painted"
    ring = local(street[form], road.crosswalks.line(0))
    assert torch.allclose(ring.amin(0), torch.tensor([55.0, -5.0]).double(), atol=2e-3)
    assert torch.allclose(ring.amax(0), torch.tensor([58.0, 5.5]).double(), atol=2e-3)
    assert road.stops.lane.tolist() == [2] and road.stops.kind.tolist() == [StopKind.STOP_SIGN]
    assert torch.allclose(local(street[form], road.stops.xy), torch.tensor([[60.0, 0.0]]).double(), atol=2e-3)


@pytest.mark.parametrize("form", FORMS[:-1])
def test_lights_step_by_step(street, form):
    signals = street[form].scene.signals
    assert signals.lane.tolist() == [2]
    states = [Light.RED] * 20 + [Light.GREEN] * 20 + [Light.UNKNOWN] * 20 + [Light.FLASHING_YELLOW] * 31
    assert signals.state[:, 0].tolist() == states
    assert torch.allclose(local(street[form], signals.stop_xy), torch.tensor([[60.0, 0.0]]).double(), atol=2e-3)
    shines = (float(signals.head[0, 3]) - files.TURN) % (2 * math.pi)
    assert shines == pytest.approx(math.pi, abs=1e-3), "against the traffic"


# ids and files


def test_forms_lie_side_by_side_and_gzipped(tmp_path):
    record = files.scenario()
    write(tmp_path / "a", "Scenario", record)
    plain = write(tmp_path / "b", "tf.Example", files.scenario("other"))
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    data = json.dumps(files.as_json(files.scenario("third"))).encode()
    (tmp_path / "b" / "x.json.gz").write_bytes(gzip.compress(data))
    (tmp_path / "b" / "summary.json").write_text('{"scenes": 3}')
    write(tmp_path / "c", "nocturne", record)
    source = Waymo(str(tmp_path))
    assert source.ids() == [files.ID, "other", "tfrecord-00000-of-01000_nocturne", "third"]
    forms = {next(t for t in source.load(id).tags if t.startswith("format:")) for id in source.ids()}
    assert forms == {"format:Scenario", "format:tf.Example", "format:json"} and source.undrivable() == {}


def test_records_of_one_file_and_the_same_scene_twice(tmp_path):
    records = [files.scenario(id) for id in ("b", "a", "", "../up")]
    path = files.tfrecord(tmp_path / "x.tfrecord", *records)
    assert Waymo(str(path)).ids() == ["a", "b", "x.tfrecord-2", "x.tfrecord-3"]
    write(tmp_path, "gpudrive", files.scenario("a"))
    ids = Waymo(str(tmp_path)).ids()
    assert ids == ["a.tfrecord-00000-of-01000_gpudrive.json", "a.x.tfrecord", "b", "x.tfrecord-2", "x.tfrecord-3"]
    assert [Waymo(str(tmp_path)).load(id).id for id in ids] == ids


def test_recognizes_its_own_and_nothing_else(tmp_path, form):
    path = write(tmp_path / "yes", form, files.scenario())
    assert Waymo.recognizes(path) and Waymo.recognizes(tmp_path / "yes")
    other = tmp_path / "no"
    other.mkdir()
    (other / "log.json").write_text('{"objects": 3, "roads": []}')
    (other / "list.json").write_text('[{"objects": []}]')
    # a record of the Perception dataset: a context message, then time stamps
    files.tfrecord(other / "segment.tfrecord", files.inner(1, b"\x0a\x03abc") + files.whole(2, 7))
    (other / "cut.tfrecord").write_bytes(path.read_bytes()[:7])
    assert not any(Waymo.recognizes(p) for p in [other, *other.iterdir(), tmp_path / "nowhere"])


def test_fingerprint_follows_content_and_options(tmp_path, form):
    path = write(tmp_path, form, files.scenario())
    source = Waymo(str(path))
    (id,) = source.ids()
    before = source.fingerprint(id)
    assert before == source.load(id).fingerprint == Waymo(str(tmp_path)).fingerprint(id)
    assert before != Waymo(str(path), rig="nuscenes").fingerprint(id)
    write(tmp_path, form, files.scenario(first_x=0.5))
    assert before != source.fingerprint(id), "also where the file changes under a running process"


def test_camera_presets(tmp_path):
    path = write(tmp_path, "Scenario", files.scenario())
    assert [c.name for c in only(path).scene.briefing.cameras][0] == "FRONT"
    cameras = only(path, rig="nuscenes", width=320, height=160).scene.briefing.cameras
    assert len(cameras) == 6 and {(c.width, c.height) for c in cameras} == {(320, 160)}


# the ego


@pytest.mark.parametrize("form", ["Scenario", "gpudrive"])
def test_an_ego_with_a_gap_is_driven_where_it_is_longest_there(tmp_path, form):
    s = only(write(tmp_path, form, files.scenario(ego_gone=(20, 21))))
    assert s.steps == 69 and s.start == 10, "a second of history before it drives"
    assert any("2.2 .. 9.0 s" in told for told in s.problems)
    assert float(local(s, s.log.xy[0, :1])[0, 0]) == pytest.approx(22.0, abs=1e-3)
    assert s.scene.signals.state[18, 0] == Light.UNKNOWN and s.scene.signals.state[17, 0] == Light.GREEN
    assert s.log[:, 2].valid.nonzero()[:, 0].tolist() == list(range(8, 38))


def test_an_ego_that_is_never_or_briefly_there_cannot_be_driven(tmp_path):
    with pytest.raises(NotDrivable, match="never there"):
        only(write(tmp_path / "a", "Scenario", files.scenario(ego_gone=range(91))))
    with pytest.raises(NotDrivable, match="long"):
        only(write(tmp_path / "b", "Scenario", files.scenario(steps=11)))


def test_without_a_car_of_the_fleet_the_one_that_moves_farthest(tmp_path):
    data = files.as_json(files.scenario(), "nocturne")
    for row in data["objects"]:
        row["length"] += 0.3
    s = only(files.write_json(tmp_path / "x.json", data))
    assert s.track_ids[0] == "2" and s.inferred["ego"] == 0.3 and "moves farthest" in " ".join(s.problems)
    for row in data["objects"]:
        row["valid"][5] = False
    with pytest.raises(NotDrivable, match="who the ego is"):
        only(files.write_json(tmp_path / "x.json", data))


def test_degrees_are_told_from_radians_by_how_agents_move(tmp_path):
    data = files.as_json(files.scenario(), "later")
    data["objects"] = [row for row in data["objects"] if row["velocity"][0]["x"] > 1]  # the car and the ego
    c, s = math.cos(files.TURN), math.sin(files.TURN)
    for row in data["objects"]:
        row["heading"] = [2.0] * 91  # all small enough to be radians
        for p in (*row["position"], *row["velocity"]):
            p["x"], p["y"] = c * p["x"] + s * p["y"], c * p["y"] - s * p["x"]
    yaw = only(files.write_json(tmp_path / "x.json", data)).log.yaw
    assert torch.allclose(yaw, torch.tensor(math.radians(2.0)), atol=1e-6)


# damage


def test_the_checksum_is_crc_32c():
    assert tfrecord.crc32c(b"123456789") == 0xE3069283
    assert tfrecord.crc32c(bytes(32)) == 0x8A9136AA
    long = random.Random(3).randbytes(1001)
    assert tfrecord.crc32c(long) == tfrecord._short(long)
    length = struct.pack("<Q", 9)
    assert tfrecord.frame(b"123456789")[:8] == length and tfrecord.is_tfrecord(tfrecord.frame(b"123456789"))


@pytest.mark.parametrize("at", [5, 2000, -2], ids=["length", "record", "checksum"])
def test_a_flipped_bit_in_the_second_record_is_named(tmp_path, at):
    first, second = (tfrecord.frame(files.scenario(id)) for id in ("one", "two"))
    broken = bytearray(second)
    broken[at] ^= 4
    path = tmp_path / "x.tfrecord"
    path.write_bytes(first + broken)
    source = Waymo(str(path))
    assert len(source.ids()) == 2 and source.load("one").id == "one"
    (bad,) = set(source.ids()) - {"one"}
    with pytest.raises(InputError, match=r"x\.tfrecord, record 1.*checksum"):
        source.load(bad)


def test_a_file_cut_short_keeps_what_is_whole(tmp_path):
    path = files.tfrecord(tmp_path / "x.tfrecord", files.scenario("one"), files.scenario("two"))
    path.write_bytes(path.read_bytes()[:-100])
    source = Waymo(str(path))
    assert source.ids() == ["one", "x.tfrecord-1"]
    assert "cut short" in source.undrivable()["x.tfrecord-1"]
    with pytest.raises(InputError, match="record 1.*cut short"):
        source.load("x.tfrecord-1")


def test_wrong_roots_and_ids(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        Waymo(str(tmp_path / "nowhere")).ids()
    with pytest.raises(InputError, match="no Waymo Open Motion scene"):
        Waymo(str(tmp_path)).ids()
    path = write(tmp_path, "Scenario", files.scenario())
    with pytest.raises(InputError, match=f"'other'.*{files.ID}"):
        Waymo(str(path)).load("other")


def test_one_bad_track_and_one_bad_feature_are_left_out(tmp_path):
    jump = [files.state(0 if i % 2 else 900, 40, (4, 2, 1.5)) for i in range(91)]
    huge = [files.state(10, 40, (4e4, 2, 1.5))] * 91
    nan = [files.state(math.nan, 40, (4, 2, 1.5))] * 91
    tracks = b"".join(files.track(i, 1, states) for i, states in ((60, jump), (61, huge), (62, nan)))
    wild = files.inner(8, files.whole(1, 80) + files.inner(5, files.line(2, 0, 1e9, 0, step=1e8)))
    s = only(write(tmp_path, "Scenario", files.scenario(more=tracks + wild)))
    assert s.track_ids == ("99", "7", "8", "12")
    told = " ".join(s.problems)
    assert all(f"track {i}" in told for i in (60, 61, 62)) and "1 map features" in told


def test_nan_in_json_as_python_writes_it(tmp_path):
    data = files.as_json(files.scenario())
    data["objects"][0]["position"][50]["x"] = math.nan
    data["objects"][0]["heading"][51] = None
    s = only(files.write_json(tmp_path / "x.json", data))
    assert any("track 7: 2 states" in told for told in s.problems)
    assert s.log[:, 1].valid.all(), "two steps are bridged"


def test_a_velocity_that_cannot_be_is_estimated(tmp_path):
    data = files.as_json(files.scenario())
    data["objects"][2]["velocity"][50]["x"] = 1e30
    s = only(files.write_json(tmp_path / "x.json", data))
    assert torch.allclose(s.log.speed[:, 0], torch.tensor(10.0), atol=1e-3)


@pytest.mark.parametrize("what, match", [
    ({"objects": [], "metadata": None}, "0 tracks"),
    ({"objects": {}}, "no Waymo Open Motion"),
    ({"metadata": {"sdc_track_index": 77}}, "object 77 of 4"),
    ({"roads": [{"type": "lane"}]}, "geometry"),
    ({"tl_states": {"3": {"state": ["go"], "x": [], "y": []}}}, "light of lane 3"),
])  # fmt: skip
def test_json_that_is_no_scene_is_refused(tmp_path, what, match):
    path = files.write_json(tmp_path / "x.json", {**files.as_json(files.scenario()), **what})
    with pytest.raises(InputError, match=match):
        only(path)


def test_a_road_without_any_feature_can_be_driven(tmp_path):
    data = files.as_json(files.scenario())
    data["roads"], data["tl_states"] = [], None
    s = only(files.write_json(tmp_path / "x.json", data))
    assert len(s.scene.map.lanes) == 0 and float(local(s, s.scene.briefing.route)[-1, 0]) > 80


def test_damaged_records_are_refused_or_loaded_but_nothing_else(tmp_path):
    """Bytes are changed under a right checksum, so that the readers see them."""
    chance = random.Random(5)
    record = files.scenario(steps=41)
    wholes = {"Scenario": record, "tf.Example": files.as_example(record, agents=6, points=1500)}
    data = json.dumps(files.as_json(record))
    refused = 0
    for number in range(60):
        form = ("Scenario", "tf.Example", "json")[number % 3]
        path = tmp_path / ("x.json" if form == "json" else "x.tfrecord")
        broken = bytearray(data.encode() if form == "json" else wholes[form])
        for _ in range(chance.choice((1, 4, 30))):
            at = chance.randrange(len(broken))
            broken[at : at + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
        path.write_bytes(bytes(broken) if form == "json" else tfrecord.frame(bytes(broken)))
        try:
            only(path)
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
        path.unlink()
    assert refused > 20


# real scenes


def real_ids():
    return Waymo(str(REAL)).ids() if REAL.is_dir() else []


@real
@pytest.mark.parametrize("id", real_ids())
def test_real_scenes_fit_their_road(id):
    s = Waymo(str(REAL)).load(id)
    road, log = RoadMap.of(s.scene.map), s.log
    assert s.steps == 91 and s.start == 10
    assert log.size[0, 0, :2].tolist() == pytest.approx(files.EGO[:2], abs=0.02), "the fleet's car"
    moving = log.valid & (log.velocity.norm(dim=-1) > 2)
    way = torch.atan2(log.velocity[..., 1], log.velocity[..., 0])
    turned = torch.remainder(log.yaw - way + torch.pi, 2 * torch.pi) - torch.pi
    if moving.any():
        assert float(turned[moving].abs().median()) < math.radians(3)
    followed, _, _ = road.nearest_lane(log.xy[:, 0], log.yaw[:, 0])
    assert float((followed >= 0).float().mean()) > 0.8, "the ego drives along lanes in their direction"
    assert float(road.inside(log.xy[:, 0]).float().mean()) > 0.9
    vehicles = moving & is_kind(log.kind, VEHICLES)
    if int(vehicles.sum()) > 200:
        assert float(road.inside(log.xy[vehicles]).float().mean()) > 0.7
    assert float((road.ground(log.xy[:, 0]) - log.z[:, 0]).abs().max()) < 0.15
    assert s.inferred["widths"] > 0.3 and s.inferred["drivable area"] > 0.3
    if "format:json" in s.tags:
        assert s.inferred["successors"] > 0.05


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory):
    """The real Scenario proto, and the same as GPUDrive's json and as a tf.Example."""
    if not REAL.is_dir():
        pytest.skip("needs the Waymo scenes in shared/data/waymo")
    path = next((REAL / "tfrecord").iterdir())
    (part,) = tfrecord.frames(tfrecord.content(path))
    record = tfrecord.record(path, *part)
    folder = tmp_path_factory.mktemp("forms")
    return {form: only(write(folder / form, form, record)) for form in ("Scenario", "gpudrive", "tf.Example")}


@pytest.mark.parametrize("form", ["gpudrive", "tf.Example"])
def test_forms_of_a_real_scene_agree(rewritten, form):
    a, b = rewritten["Scenario"], rewritten[form]
    assert a.track_ids == b.track_ids and torch.equal(a.log.valid, b.log.valid)
    shift = (b.origin - a.origin).float()
    assert float(shift.abs().max()) < 1e-3
    there = a.log.valid
    assert float((a.log.xy - b.log.xy - shift[:2])[there].abs().max()) < 0.05, "json has no time stamps but 10 Hz"
    assert float((a.log.velocity - b.log.velocity)[there].abs().max()) < 0.2
    assert float(torch.sin(a.log.yaw - b.log.yaw)[there].abs().max()) < 0.02
    assert torch.equal(a.scene.signals.state, b.scene.signals.state)
    assert torch.equal(a.scene.signals.lane, b.scene.signals.lane)
    assert torch.equal(a.scene.map.markings.kind, b.scene.map.markings.kind)
    lanes = a.scene.map.lanes, b.scene.map.lanes
    assert len(lanes[0]) == len(lanes[1])
    given, found = ({tuple(pair) for pair in x.successors.tolist()} for x in lanes)
    assert len(given & found) / len(given) > 0.95 and len(given & found) / len(found) > 0.95
    area = [RoadMap.of(x.scene.map).inside(torch.from_numpy(GRID).float()) for x in (a, b)]
    assert float((area[0] == area[1]).float().mean()) > 0.99


GRID = np.stack(np.meshgrid(np.arange(-80, 80, 2.0), np.arange(-80, 80, 2.0)), -1).reshape(-1, 2)
