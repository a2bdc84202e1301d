"""Our own scenario file: bit for bit, with provenance, refused when damaged."""

import math
from dataclasses import fields, replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from drivesim import parquet, scenario_file
from drivesim.config import source
from drivesim.errors import InputError
from drivesim.export import own
from drivesim.recordings import photo
from drivesim.rigs import rig
from drivesim.simulator import simulate
from drivesim.struct import Struct
from drivesim.types import Goal, Kind, Place, RecordedSweep, SensorLog
from planners.constant_velocity import ConstantVelocity

from .worlds import scenario, track


def full(**changes):
    """A scenario with something in every field."""
    s = scenario(track((0, 0), speed=8), track((20, 0), speed=7, valid=slice(5, 20)), cameras=rig("nuscenes", 64, 36))
    goal = Goal(torch.tensor([[0.0, 0], [1, 0], [1, 1]]), time=(1.0, math.inf), yaw=(-0.1, 0.2))
    scene = replace(s.scene, briefing=replace(s.scene.briefing, goals=(goal,)))
    return replace(
        s, id="a-b@2.0s", scene=scene, licence="CC <BY> 4.0", tags=("real", "map:x"), place=Place("x", 48.1, math.nan),
        inferred={"lanes": 0.25}, problems=("one photo missing",),
        origin=torch.tensor([1e6, 2.5, 3], dtype=torch.float64), **changes,
    )  # fmt: skip


def same(a, b, where=""):
    if isinstance(a, Struct):
        for field in fields(a):
            same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and a.shape == b.shape, where
        assert a.contiguous().numpy().tobytes() == b.contiguous().numpy().tobytes(), where
    else:
        assert a == b, where


def test_there_and_back_bit_for_bit(tmp_path):
    before = full()
    [path] = own.write(before, tmp_path)
    after = source("converted", tmp_path).load("a-b@2.0s")
    same(before.log, after.log)
    for name in ("map", "scenery", "signals"):
        same(getattr(before.scene, name), getattr(after.scene, name), name)
    same(before.scene.briefing.route, after.scene.briefing.route)
    for name in ("id", "source", "licence", "tags", "inferred", "problems", "track_ids", "start"):
        assert getattr(before, name) == getattr(after, name), name
    assert after.place.latitude == 48.1 and math.isnan(after.place.longitude)
    assert torch.equal(before.origin, after.origin)
    goal = after.scene.briefing.goals[0]
    assert goal.time == (1.0, math.inf) and goal.yaw == (-0.1, 0.2) and goal.speed == (-math.inf, math.inf)
    for one, other in zip(before.scene.briefing.cameras, after.scene.briefing.cameras, strict=True):
        assert (one.name, one.width, one.rate, one.distortion) == (
            other.name,
            other.width,
            other.rate,
            other.distortion,
        )
        assert torch.equal(one.intrinsics, other.intrinsics) and torch.equal(one.ego_from_camera, other.ego_from_camera)
    made_from = scenario_file.describe(path)["made_from"]
    assert made_from["fingerprint"] == before.fingerprint and made_from["source"] == "test"


def test_it_drives_as_the_original(tmp_path):
    before = full()
    own.write(before, tmp_path)
    after = source("converted", tmp_path / "a-b@2.0s.scenario.parquet").load("a-b@2.0s")
    one, other = (simulate(s, ConstantVelocity()) for s in (before, after))
    same(one.agents, other.agents)


def test_equal_scenarios_give_equal_files(tmp_path):
    own.write(full(), tmp_path / "one")
    own.write(full(), tmp_path / "two")
    name = "a-b@2.0s.scenario.parquet"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    reader = source("converted", tmp_path)
    assert reader.ids() == ["one__a-b@2.0s", "two__a-b@2.0s"]
    assert reader.fingerprint("one__a-b@2.0s") == reader.fingerprint("two__a-b@2.0s")
    assert reader.recognizes(tmp_path) and not reader.recognizes(tmp_path / "nothing")


def recorded(tmp_path):
    from PIL import Image

    camera = rig("nuscenes", 64, 36)[0]
    gradient = (
        torch.arange(64 * 36 * 3, dtype=torch.float32).reshape(36, 64, 3).mul(255 / (64 * 36 * 3)).to(torch.uint8)
    )
    Image.fromarray(gradient.numpy()).save(tmp_path / "there.png")
    pose = torch.eye(4, dtype=torch.float64) + 0.125
    images = (
        photo(tmp_path / "there.png", camera, 0.05, pose),
        photo(tmp_path / "gone.png", camera, 0.15, pose),
    )
    points = torch.arange(12, dtype=torch.float32).reshape(4, 3) / 7
    sweep = RecordedSweep(0.1, torch.tensor([1.0, 2, 3], dtype=torch.float64), lambda: points)
    return SensorLog({camera.name: images}, (sweep,)), points


def test_recordings_go_along_when_asked(tmp_path):
    sensors, points = recorded(tmp_path)
    out = tmp_path / "out"
    assert len(own.write(full(sensors=sensors), out, sensors=True)) == 2
    after = source("converted", out).load("a-b@2.0s")
    assert any("1 recordings could not be read" in p and "gone.png" in p for p in after.problems)
    [image] = after.sensors.images["CAM_FRONT"]
    assert image.time == 0.05 and torch.equal(image.world_from_camera, torch.eye(4, dtype=torch.float64) + 0.125)
    off = image.read().float() - sensors.images["CAM_FRONT"][0].read().float()
    assert float(off.abs().mean()) < 2.0
    assert torch.equal(after.sensors.sweeps[0].read(), points)
    own.write(full(sensors=sensors), out)  # again, without
    assert source("converted", out).load("a-b@2.0s").sensors is None


def test_when_each_point_was_hit_goes_along(tmp_path):
    sensors, points = recorded(tmp_path)
    moments = torch.tensor([-0.05, 0.0, 0.02, 0.05])
    sweeps = (sensors.sweeps[0], replace(sensors.sweeps[0], time=0.2, moments=lambda: moments))
    own.write(full(sensors=SensorLog({}, sweeps)), tmp_path / "out", sensors=True)
    plain, timed = source("converted", tmp_path / "out").load("a-b@2.0s").sensors.sweeps
    assert plain.moments is None
    assert torch.equal(timed.read(), points)
    assert torch.equal(timed.moments(), moments)


def test_recordings_of_another_conversion_are_refused(tmp_path):
    sensors, _ = recorded(tmp_path)
    own.write(full(sensors=sensors), tmp_path / "out", sensors=True)
    own.write(full(sensors=sensors, fingerprint="f" * 32), tmp_path / "other", sensors=True)
    (tmp_path / "other" / "a-b@2.0s.sensors.parquet").rename(tmp_path / "out" / "a-b@2.0s.sensors.parquet")
    with pytest.raises(InputError, match="belongs to another conversion"):
        source("converted", tmp_path / "out").load("a-b@2.0s")


def test_a_storyboard_stays_behind_and_is_told(tmp_path):
    own.write(full(script=object()), tmp_path)
    assert any("storyboard" in p for p in source("converted", tmp_path).load("a-b@2.0s").problems)


def test_damage_is_told_with_the_files_name(tmp_path):
    [path] = own.write(full(), tmp_path)
    good = path.read_bytes()
    for cut in (0, 10, len(good) // 2, len(good) - 3):
        path.write_bytes(good[:cut])
        with pytest.raises(InputError, match=r"a-b@2\.0s\.scenario\.parquet"):
            source("converted", tmp_path).load("a-b@2.0s")
    table = pq.read_table(pa.BufferReader(good))
    data = table["data"].to_pylist()
    data[0] = bytes(len(data[0]))
    pq.write_table(table.set_column(3, "data", pa.array(data, pa.large_binary())), path)
    with pytest.raises(InputError, match="digest"):
        source("converted", tmp_path).load("a-b@2.0s")
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(InputError, match="format None"):
        source("converted", tmp_path).load("a-b@2.0s")
    with pytest.raises(InputError, match="no scenario 'nobody'"):
        source("converted", tmp_path).load("nobody")


@pytest.mark.parametrize(
    "harm",
    [
        lambda meta, rows: rows["log.z"].update(shape=[3, 7]),
        lambda meta, rows: rows["scene.map.lanes.width"].update(dtype="float64"),
        lambda meta, rows: rows["cameras.0.pose"].update(shape=[16]),
        lambda meta, rows: meta["vehicle"].update(wheelbase="long"),
        lambda meta, rows: meta["vehicle"].update(length=-1.0),
        lambda meta, rows: meta.update(dt=[]),
        lambda meta, rows: meta["cameras"][0].__setitem__(1, 0),
    ],
)
def test_nonsense_under_a_fresh_digest_is_refused(tmp_path, harm):
    [path] = own.write(full(), tmp_path)
    table, meta = parquet.read(path)
    rows = {row["name"]: row for row in table.to_pylist()}
    harm(meta, rows)
    del meta["digest"]
    table = pa.Table.from_pylist(list(rows.values()), schema=table.schema)
    parquet.write(table, {**meta, "digest": scenario_file._digest(meta, table)}, path)
    with pytest.raises(InputError, match=path.name):
        source("converted", tmp_path).load("a-b@2.0s")


def test_recordings_without_a_pose_are_refused(tmp_path):
    sensors, _ = recorded(tmp_path)
    own.write(full(sensors=sensors), tmp_path / "out", sensors=True)
    path = tmp_path / "out" / "a-b@2.0s.sensors.parquet"
    table = pq.read_table(path)
    poses = [pose[:7] for pose in table["pose"].to_pylist()]
    pq.write_table(table.set_column(2, "pose", pa.array(poses, pa.list_(pa.float64()))), path)
    with pytest.raises(InputError, match=path.name):
        source("converted", tmp_path / "out").load("a-b@2.0s")


def test_linked_folders_hold_scenarios_too(tmp_path):
    own.write(full(), tmp_path / "disk")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "part").symlink_to(tmp_path / "disk")
    assert source("converted", tmp_path / "root").ids() == ["part__a-b@2.0s"]


def test_kinds_survive(tmp_path):
    s = scenario(track((0, 0), speed=8), *(track((9 * k, 9), kind=k) for k in Kind), id="kinds")
    own.write(s, tmp_path)
    same(s.log, source("converted", tmp_path).load("kinds").log)
