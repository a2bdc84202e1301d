"""The columns that nuScenes tables are kept in: what the devkit reads, built once, rebuilt when stale or damaged."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drivesim.errors import InputError
from scenarios.nuscenes import NuScenes, cache, tables
from scenarios.nuscenes.cache import open_index
from scenarios.nuscenes.rows import SceneRows

from .nuscenes_release import REAL, dump, own_cache, real, table, write, write_files  # noqa: F401


@pytest.fixture
def root(tmp_path):
    return write(tmp_path)


@pytest.fixture
def built(root):
    """A release and the folder of its columns."""
    cache._open.cache_clear()
    return root, open_index(root / "v1.0-mini").home


def again(root):
    """As another process would find it."""
    cache._open.cache_clear()
    return open_index(root / "v1.0-mini")


def compare_with_the_devkit(root, version):
    """Rows of all scenes: key frames, sensor rows, poses, calibrations, boxes."""
    from nuscenes.nuscenes import NuScenes as Devkit

    devkit = Devkit(version, str(root), verbose=False)
    for scene in devkit.scene:
        rows = SceneRows.of(Path(root) / version, scene["name"])
        samples = [s for s in devkit.sample if s["scene_token"] == scene["token"]]
        assert rows.time.tolist() == sorted(s["timestamp"] for s in samples)
        assert rows.location == devkit.get("log", scene["log_token"])["location"]
        own = {s["token"] for s in samples}
        data = [d for d in devkit.sample_data if d["sample_token"] in own]
        assert {c: len(r.time) for c, r in rows.recorded.items()} == {
            c: sum(d["channel"] == c for d in data) for c in {d["channel"] for d in data}
        }
        for channel, mine in rows.recorded.items():
            theirs = sorted((d for d in data if d["channel"] == channel), key=lambda d: d["timestamp"])
            assert mine.files == tuple(d["filename"] for d in theirs)
            assert mine.time.tolist() == [d["timestamp"] for d in theirs]
            assert mine.key.tolist() == [d["is_key_frame"] for d in theirs]
            assert mine.size.tolist() == [[d["width"], d["height"]] for d in theirs]
            poses = [devkit.get("ego_pose", d["ego_pose_token"]) for d in theirs]
            assert mine.ego.tolist() == [[*p["translation"], *p["rotation"]] for p in poses]
            setups = [devkit.get("calibrated_sensor", d["calibrated_sensor_token"]) for d in theirs]
            assert mine.mount.tolist() == [[*c["translation"], *c["rotation"]] for c in setups]
            lens = [np.ravel(c["camera_intrinsic"]) if c["camera_intrinsic"] else np.full(9, np.nan) for c in setups]
            assert np.array_equal(mine.lens, np.array(lens), equal_nan=True)
        boxes = [a for a in devkit.sample_annotation if a["sample_token"] in own]
        stamp = {s["token"]: s["timestamp"] for s in samples}
        theirs = sorted((a["instance_token"], stamp[a["sample_token"]], a["category_name"], a["translation"],
                         a["rotation"], a["size"]) for a in boxes)  # fmt: skip
        mine = rows.boxes
        assert theirs == sorted((mine.names[i], t, mine.categories[i], p[:3], p[3:], s) for i, t, p, s in zip(
            mine.thing.tolist(), mine.time.tolist(), mine.pose.tolist(), mine.size.tolist(), strict=True))  # fmt: skip


def test_the_devkit_reads_the_same(root):
    compare_with_the_devkit(root, "v1.0-mini")


@real
def test_the_devkit_reads_the_same_of_real_tables():
    compare_with_the_devkit(REAL, "v1.0-mini")


def test_pieces_of_a_table_give_what_the_whole_gives(root, monkeypatch):
    whole = again(root)
    monkeypatch.setattr(tables, "PIECE", 700)  # cuts rows, strings and numbers
    rows = tables.read_table(root / "v1.0-mini", "sample_annotation", tables.Annotation)
    assert len(rows) == len(table(root, "sample_annotation"))
    os.utime(root / "v1.0-mini/scene.json", (1, 1))  # the same tables, another key
    pieces = again(root)
    assert pieces.home != whole.home and pieces.contents == whole.contents
    for name, column in whole.columns.items():
        assert np.array_equal(column, pieces.columns[name], equal_nan=column.dtype.kind == "f"), name


def test_it_is_built_once_and_mapped_from_then_on(built, monkeypatch):
    root, home = built
    monkeypatch.setattr(cache, "build", lambda folder: pytest.fail("built again"))
    index = again(root)
    assert index.home == home and index.note == ""
    assert not any(column.flags.writeable for column in index.columns.values() if len(column))
    assert {p.name for p in root.iterdir()} == {"v1.0-mini", "maps"}, "nothing is written into the data set"


def test_a_changed_table_is_read_anew_and_the_old_columns_go(built):
    root, home = built
    rows = table(root, "sample_annotation")
    rows[0]["size"][0] = 2.5
    dump(root, "sample_annotation", rows)
    index = again(root)
    assert index.home != home and not home.exists()
    assert index.columns["box_size"].max() == 4.0 and 2.5 in index.columns["box_size"][:, 0]


@pytest.mark.parametrize("how", ["cut", "gone", "foreign", "flipped", "contents", "shape", "pickle"])
def test_damaged_columns_are_rebuilt(built, how):
    root, home = built
    before = NuScenes(str(root)).fingerprint("scene-0001")
    path = home / ("contents.json" if how == "contents" else "data_pose.npy")
    data = path.read_bytes()
    path.unlink()
    match how:
        case "cut":
            path.write_bytes(data[:-100])
        case "foreign":
            path.write_bytes(b"PK\x03\x04 what is this")
        case "flipped":
            path.write_bytes(data[:300] + bytes([data[300] ^ 64]) + data[301:])
        case "contents":
            path.write_bytes(data.replace(b"boston", b"bostom"))
        case "shape":
            np.save(path, np.zeros((3, 5)))
        case "pickle":
            np.save(path, np.array([{}]), allow_pickle=True)
    cache._open.cache_clear()
    loaded = NuScenes(str(root)).load("scene-0001")
    assert loaded.fingerprint == before and path.read_bytes() == data


def test_without_a_place_to_write_the_tables_are_read_into_memory(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path / "file"))
    index = again(root)
    assert index.home is None and "cannot be written" in index.note
    loaded = NuScenes(str(root)).load("scene-0001")
    assert any("read anew by each process" in p for p in loaded.problems) and loaded.steps == 41


def test_a_disk_that_fills_up_leaves_nothing_behind(root, monkeypatch, tmp_path):
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path / "cache"))

    def full(path, *_, **__):
        if "box" in Path(path).name:
            raise OSError(28, "No space left on device")
        Path(path).write_bytes(b"")

    monkeypatch.setattr(cache.np, "save", full)
    index = again(root)
    assert index.home is None and "No space left" in index.note
    assert [p for p in (tmp_path / "cache/nuscenes").iterdir() if p.is_dir()] == []


def test_only_the_last_used_releases_stay(tmp_path):
    home = tmp_path / "v1.0-mini-0-1"
    home.mkdir()
    for i in range(10):
        other = home.parent / f"v1.0-mini-{i:012x}-0"
        other.mkdir()
        os.utime(other, (i, i))
    (home.parent / ".killed").mkdir()
    os.utime(home.parent / ".killed", (1, 1))
    cache._prune(home)
    left = {p.name for p in home.parent.iterdir() if p.is_dir()}
    assert left == {home.name, *(f"v1.0-mini-{i:012x}-0" for i in range(5, 10))}


def test_two_builders_at_once_do_not_disturb_each_other(root, tmp_path):
    code = (
        "import sys; from pathlib import Path; from scenarios.nuscenes.cache import open_index\n"
        "index = open_index(Path(sys.argv[1])); print(index.home, len(index.columns['box_pose']), index.note)"
    )
    environment = os.environ | {"DRIVESIM_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code, str(root / "v1.0-mini")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[1])
            for _ in range(2)]  # fmt: skip
    said = {p.communicate(timeout=60)[0] for p in both}
    assert len(said) == 1 and said.pop().strip() and all(p.returncode == 0 for p in both)
    assert len([p for p in (tmp_path / "cache/nuscenes").iterdir() if p.is_dir()]) == 1


@pytest.mark.parametrize(
    "name, column, missing",
    [
        ("sample_data", "ego_pose_token", "ego_pose lost"),
        ("sample_data", "calibrated_sensor_token", "calibrated_sensor lost"),
        ("sample_annotation", "instance_token", "instance lost"),
        ("scene", "log_token", "log lost"),
    ],
)
def test_a_token_that_leads_nowhere_is_told_for_its_scene_alone(tmp_path, name, column, missing):
    write(tmp_path, scenes=(("scene-0001", 9), ("scene-0003", 9)))
    rows = table(tmp_path, name)
    rows[0][column] = "lost"
    dump(tmp_path, name, rows)
    source = NuScenes(str(tmp_path))
    with pytest.raises(InputError, match=f"scene-0001 cannot be read.*{name}.json: row {rows[0]['token']}.*{missing}"):
        source.load("scene-0001")
    assert list(source.undrivable()) == ["scene-0001"] and source.load("scene-0003").steps == 41


@pytest.mark.parametrize("name, column", [("instance", "category_token"), ("calibrated_sensor", "sensor_token")])
def test_links_further_on_are_told_too(tmp_path, name, column):
    rows = table(write(tmp_path), name)
    rows[0][column] = "lost"
    dump(tmp_path, name, rows)
    with pytest.raises(InputError, match=f"{name}.json: row {rows[0]['token']} refers to"):
        NuScenes(str(tmp_path)).load("scene-0001")


def test_rows_of_no_scene_are_left_out(root):
    rows = table(root, "sample_data")
    rows[0]["sample_token"] = "lost"
    dump(root, "sample_data", rows)
    assert sum(len(r.time) for r in SceneRows.of(root / "v1.0-mini", "scene-0001").recorded.values()) == 17


def test_key_frames_that_are_missing_are_told(root):
    dump(root, "sample", [r for r in table(root, "sample") if r["token"] != "scene-0001-8"])
    assert any("counts 9 key frames, sample.json holds 8" in p for p in NuScenes(str(root)).load("scene-0001").problems)


@pytest.mark.parametrize(
    "name, change",
    [
        ("sample", {"timestamp": 10**400}),
        ("sample", {"timestamp": "soon"}),
        ("sample_annotation", {"size": [1, 2]}),
        ("sample_annotation", {"rotation": None}),
        ("ego_pose", {"translation": "x"}),
        ("sample_data", {"width": -5}),
        ("instance", {"token": ""}),
        ("instance", {"token": "x" * 500}),
        ("sensor", {"channel": 7}),
        ("scene", {"name": "../../etc/passwd"}),
        ("scene", {"name": "scene-0002"}),
        ("map", {"log_tokens": 1}),
    ],
)
def test_values_that_are_none_are_told_by_table(root, name, change):
    rows = table(root, name)
    rows[0] |= change
    dump(root, name, rows)
    with pytest.raises(InputError, match=f"{name}.json"):
        NuScenes(str(root)).load("scene-0001")


@pytest.mark.parametrize("name", ["ego_pose", "instance", "sample", "calibrated_sensor"])
def test_a_token_that_is_there_twice_is_told(root, name):
    rows = table(root, name)
    dump(root, name, [*rows, rows[0]])
    with pytest.raises(InputError, match=f"{name}.json: two rows have the token {rows[0]['token']}"):
        NuScenes(str(root)).load("scene-0001")


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[1, 2]", "null", '"x"', '[{"token": "\\ud800"}]', "\x00"])
def test_foreign_json_is_no_table(root, text):
    (root / "v1.0-mini/instance.json").write_text(text)
    with pytest.raises(InputError, match="instance.json"):
        NuScenes(str(root)).load("scene-0001")


def test_the_fingerprint_is_of_the_scene_alone(tmp_path):
    write(tmp_path, scenes=(("scene-0001", 9), ("scene-0003", 9)))
    source = NuScenes(str(tmp_path))
    before = [source.fingerprint(i) for i in source.ids()]
    rows = table(tmp_path, "sample_annotation")
    rows[-1]["translation"][0] += 0.01
    dump(tmp_path, "sample_annotation", rows)
    after = [source.fingerprint(i) for i in source.ids()]
    assert before[0] == after[0] and before[1] != after[1]


CAN = [{"utime": 1_533_151_603_000_000 + 20_000 * k, "vel": [7.9, 0.0, 0.0], "accel": [0, 0, 9.8]} for k in range(200)]


def can_bus(root, name, rows, scene="scene-0001"):
    (root / "can_bus").mkdir(exist_ok=True)
    (root / "can_bus" / f"{scene}_{name}.json").write_text(json.dumps(rows))


def test_the_velocity_of_the_ego_is_the_measured_one(root):
    can_bus(root, "pose", CAN[:150])
    loaded = NuScenes(str(root)).load("scene-0001")
    ego = loaded.log[:, 0]
    assert "can_bus:pose" in loaded.tags
    assert ego.velocity[5:29].numpy() == pytest.approx(np.tile([7.9, 0], (24, 1)), abs=1e-4), "its poses say 8 m/s"
    assert ego.velocity[-1, 0] == pytest.approx(8, abs=1e-2), "the messages end before the scene does"


def test_slower_messages_serve_where_there_are_no_poses(root):
    can_bus(root, "vehicle_monitor", [{"utime": m["utime"], "vehicle_speed": 7.8 * 3.6} for m in CAN[::25]])
    loaded = NuScenes(str(root)).load("scene-0001")
    assert "can_bus:vehicle_monitor" in loaded.tags
    assert loaded.log.velocity[20, 0].tolist() == pytest.approx([7.8, 0], abs=1e-3)


@pytest.mark.parametrize(
    "rows",
    [[], {}, [1, None], [{"utime": 1, "vel": []}], [{**m, "vel": [math.nan] * 3} for m in CAN],
     [{**m, "utime": 5 + i} for i, m in enumerate(CAN)], [{**m, "vel": [2.0, 0, 0]} for m in CAN],
     [{**m, "vel": [1e300, 0, 0]} for m in CAN], [{**m, "utime": 10**400} for m in CAN]],
)  # fmt: skip
def test_messages_that_are_no_good_are_not_used(root, rows):
    can_bus(root, "pose", rows)
    loaded = NuScenes(str(root)).load("scene-0001")
    assert any("CAN bus not used" in p for p in loaded.problems)
    assert loaded.log.velocity[20, 0].tolist() == pytest.approx([8.0, 0], abs=1e-2)


def test_the_fingerprint_follows_the_can_bus(root):
    source = NuScenes(str(root))
    before = source.fingerprint("scene-0001")
    can_bus(root, "pose", CAN)
    assert source.fingerprint("scene-0001") != before


def add_sweeps(root):
    """A photo and a lidar sweep between the first two key frames, with poses and times of their own; with files."""
    data, poses = table(root, "sample_data"), table(root, "ego_pose")
    for channel, late, end in (("CAM_FRONT", 270_000, "jpg"), ("LIDAR_TOP", 250_000, "pcd.bin")):
        first = next(r for r in data if r["token"] == f"scene-0001-0-{channel}")
        second = next(r for r in data if r["token"] == f"scene-0001-1-{channel}")
        stamp, name = first["timestamp"] - first["timestamp"] % 1_000_000 + late, f"sweep-{channel}"
        file = f"sweeps/{channel}/n008__{channel}__{stamp}.{end}"
        data.append({**first, "token": name, "ego_pose_token": name, "is_key_frame": False, "timestamp": stamp,
                     "sample_token": "scene-0001-1", "filename": file, "prev": first["token"],
                     "next": second["token"]})  # fmt: skip
        first["next"], second["prev"] = name, name
        poses.append({"token": name, "timestamp": stamp, "rotation": [1, 0, 0, 0],
                      "translation": [100.0 + 8 * late * 1e-6, 60.0, 0.0]})  # fmt: skip
        (root / file).parent.mkdir(parents=True)
    dump(root, "sample_data", data)
    dump(root, "ego_pose", poses)
    Image.new("RGB", (1600, 900), (200, 30, 30)).save(root / data[-2]["filename"])
    np.array([[10, 2, -1.8, 5, 0]], np.float32).tofile(root / data[-1]["filename"])


def test_what_lies_between_key_frames_has_its_own_pose_and_time(root):
    write_files(root)
    add_sweeps(root)
    compare_with_the_devkit(root, "v1.0-mini")
    log = NuScenes(str(root)).load("scene-0001").sensors
    assert [i.time for i in log.images["CAM_FRONT"]] == pytest.approx([0.27, 0.52])
    assert log.images["CAM_FRONT"][0].world_from_camera[:3, 3].tolist() == pytest.approx([8 * 0.27 + 1.7, 0, 1.5])
    assert log.images["CAM_FRONT"][0].read()[:, 100, 200].tolist() == pytest.approx([200, 30, 30], abs=3)
    assert [s.time for s in log.sweeps] == pytest.approx([0.25, 0.5])
    assert log.sweeps[0].read()[0].tolist() == pytest.approx([8 * 0.25 + 10.9, 2, 0], abs=1e-5)


def test_the_largest_release_is_taken_and_others_by_name(tmp_path):
    write(tmp_path)
    (tmp_path / "v1.0-mini").rename(tmp_path / "v1.0-own")
    assert NuScenes(str(tmp_path)).ids() == ["scene-0001", "scene-0002"], "any v1.0 folder with tables will do"
    write(tmp_path, scenes=(("scene-0009", 9),))
    assert NuScenes(str(tmp_path)).ids() == ["scene-0009"]
    assert NuScenes(str(tmp_path), version="v1.0-own").ids() == ["scene-0001", "scene-0002"]
