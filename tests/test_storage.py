"""What is stored comes back bit for bit, once, or not at all."""

import dataclasses
import json
import math
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.errors import InputError
from drivesim.storage import Job, Store, canonical, job_of, parse, scores_of
from drivesim.types import Body, Event, Plan, Score

from . import worlds


def job(**changes):
    plain = {
        "source": {"_target_": "scenarios.test.Test", "root": "data"}, "scenario": "a", "fingerprint": "f",
        "planner": {"_target_": "planners.test.Test", "gain": 0.5}, "planner_name": "test", "seed": 3,
        "metrics": ({"_target_": "metrics.test.test"},), "versions": {"drivesim": "1"},
    }  # fmt: skip
    return Job(**{**plain, **changes})


def drive():
    """A rollout with all that is hard to store: absence, NaNs of different bits, -0, plans of different lengths."""
    scenario = worlds.scenario(worlds.track((0, 0), speed=5), worlds.track((20, 0), valid=slice(3, 9)))
    rollout = worlds.rollout(scenario)
    yaw = rollout.agents.yaw.clone()
    yaw[0, 0], yaw[1, 0] = -0.0, float("inf")
    yaw.numpy().view(np.uint32)[2:4, 0] = 0x7FC00001, 0xFFC12345
    agents = rollout.agents.replace(yaw=yaw)
    body = Body(torch.rand(41, 2), torch.rand(41, 2, dtype=torch.float64))
    plans = (
        Plan(torch.rand(8, 3), torch.arange(1, 9) * 0.5, torch.rand(4, 8, 3)),
        Plan(torch.rand(3, 3), torch.tensor([0.1, 0.2, 0.3])),
        Plan(torch.rand(2, 3), torch.tensor([0.1, 0.2]), torch.zeros(0, 2, 3)),
    )
    return dataclasses.replace(
        rollout, agents=agents, body=body, plans=plans, plan_steps=(0, 5, 40), seed=3, versions={"torch": "2 ü"}
    )


def scores():
    event = Event("hit", 3, (0, 1), (1.5, -math.inf), {"speed": np.float32(0.1), "text": "NaN", "none": math.nan})
    series = torch.tensor([1.0, math.nan, -math.inf, 0.1])
    return (Score("collision", 0.25, unit="m", series=series, evidence=(event,)), Score("x", math.nan, False, "why"))


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.contiguous().numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    return a == b


def contents(out, *folders):
    return {p.relative_to(out).as_posix(): p.read_bytes() for f in folders for p in sorted((out / f).iterdir())}


def test_a_rollout_comes_back_bit_for_bit(tmp_path):
    store, saved = Store(tmp_path), drive()
    store.save(job(), saved, scores())
    assert same(saved, store.load_rollout(job().key))


def test_equal_jobs_meet_in_equal_bytes(tmp_path):
    for out, wall in (("a", 1.0), ("b", 2.0)):
        Store(tmp_path / out).save(job(), drive_of_seed(), scores(), {"wall_s": wall})
    a, b = (contents(tmp_path / out, "results", "rollouts") for out in "ab")
    assert a == b and len(a) == 2
    assert contents(tmp_path / "a", "sidecar") != contents(tmp_path / "b", "sidecar")
    assert Store(tmp_path / "b").sidecar(job().key) == {"wall_s": 2.0}


def drive_of_seed():
    torch.manual_seed(0)
    return drive()


def test_a_row_says_what_was_driven_and_how_it_went(tmp_path):
    store = Store(tmp_path)
    store.save(job(), drive(), scores(), licence="CC BY 4.0")
    (row,) = store.rows()
    assert {k: row[k] for k in ("status", "cause", "licence", "scenario", "planner", "seed", "key")} == {
        "status": "ok", "cause": "", "licence": "CC BY 4.0", "scenario": "a", "planner": "test", "seed": 3,
        "key": job().key,
    }  # fmt: skip
    assert job_of(row) == job()
    assert job_of(row).key == job().key
    for got, want in zip(scores_of(row), scores(), strict=True):
        assert same(dataclasses.replace(got, evidence=()), dataclasses.replace(want, evidence=()))
    (event,) = scores_of(row)[0].evidence
    assert (event.agents, event.xy, event.detail["text"]) == ((0, 1), (1.5, -math.inf), "NaN")
    assert math.isnan(event.detail["none"])


def test_rows_are_sorted_and_any_tool_reads_them(tmp_path):
    store = Store(tmp_path)
    for scenario, planner in (("b", "p"), ("a", "q"), ("a", "p")):
        store.save_failure(job(scenario=scenario, planner_name=planner), "planner raised")
    assert [(r["scenario"], r["planner"]) for r in store.rows()] == [("a", "p"), ("a", "q"), ("b", "p")]
    for path in (tmp_path / "results").iterdir():
        json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"fingerprint": "g"}, {"planner": {"_target_": "planners.test.Test", "gain": 0.6}}, {"metrics": ()},
     {"scenario": "b"}, {"source": {}}, {"behavior": {"_target_": "x"}}, {"versions": {"drivesim": "2"}}],
)  # fmt: skip
def test_whatever_a_job_says_is_in_its_key(change):
    assert job(**change).key != job().key


def test_key_does_not_depend_on_spelling():
    turned = job(planner={"gain": 0.5, "_target_": "planners.test.Test"}, metrics=[{"_target_": "metrics.test.test"}])
    assert turned.key == job().key == pickle.loads(pickle.dumps(job())).key
    with pytest.raises(TypeError, match="no plain data"):
        job(planner={"_target_": object()})


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["NaN", "\\NaN", "-Infinity"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(plain)
@settings(max_examples=200, deadline=None)
def test_plain_data_survives_json(value):
    again = parse(canonical(value))
    assert canonical(again) == canonical(value)
    assert repr(again) == repr(parse(canonical(again)))
    assert str(again) == str(value) or isinstance(value, dict | list), "dicts come back sorted, all else as it was"


def test_a_stored_drive_is_never_replaced(tmp_path):
    store = Store(tmp_path)
    first = drive()
    store.save(job(), first, scores())
    before = contents(tmp_path, "results", "rollouts")
    store.save(job(), first, scores())
    store.save_failure(job(), "too late")
    with pytest.raises(InputError, match="other results"):
        store.save(job(), dataclasses.replace(first, seed=9), scores())
    assert contents(tmp_path, "results", "rollouts") == before


def test_a_stored_failure_gives_way(tmp_path):
    store = Store(tmp_path)
    store.save_failure(job(), "worker died", technical=True)
    assert not store.has(job().key), "worth another attempt"
    store.save_failure(job(), "planner raised")
    assert store.has(job().key), "the same job fails the same way"
    store.save(job(), drive(), ())
    assert store.row(job().key)["status"] == "ok"


def test_a_row_without_its_rollout_does_not_count(tmp_path):
    store = Store(tmp_path)
    store.save(job(), drive(), ())
    store.rollout_path(job().key).unlink()
    assert not store.has(job().key)
    with pytest.raises(InputError, match="no such rollout"):
        store.load_rollout(job().key)


def test_unfinished_files_are_not_seen(tmp_path, monkeypatch):
    store = Store(tmp_path)
    (tmp_path / "results" / f".{job().key}.json.1.tmp").write_text("{")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as m:
        m.setattr("os.fsync", full)
        with pytest.raises(InputError, match="No space left"):
            store.save(job(), drive(), ())
    assert store.rows() == [] and not store.has(job().key)
    assert list((tmp_path / "rollouts").iterdir()) == []


def test_an_out_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="cannot write there"):
            Store(out)
    with pytest.raises(InputError, match="cannot write there"):
        Store("/proc/out")


def test_what_is_there_already_is_kept(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    Store(tmp_path).save(job(), drive(), ())
    Store(tmp_path).save(job(seed=4), drive(), ())
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert len(Store(tmp_path).rows()) == 2


@pytest.mark.parametrize("how", ["cut", "flip", "empty", "text", "other key", "columns", "lengths", "meta"])
def test_a_damaged_rollout_is_named(tmp_path, how):
    store, key = Store(tmp_path), job().key
    store.save(job(), drive(), ())
    path = store.rollout_path(key)
    data = path.read_bytes()
    if how == "other key":
        key = job(seed=4).key
        path.rename(path := store.rollout_path(key))
    elif how in ("columns", "lengths", "meta"):
        table = pq.read_table(path)
        if how == "columns":
            table = table.drop_columns(["agents.yaw"])
        elif how == "lengths":
            table = table.set_column(1, "agents.z", pa.array([[0.0]] * 41, pa.list_(pa.float32())))
        else:
            meta = json.loads(table.schema.metadata[b"drivesim"])
            table = table.replace_schema_metadata({"drivesim": json.dumps({**meta, "start": 7})})
        pq.write_table(table, path)
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:middle], "flip": flipped, "empty": b"", "text": b"hello"}[how])
    with pytest.raises(InputError) as error:
        store.load_rollout(key)
    assert path.name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"key": "x"}', "[" * 100000])
def test_a_damaged_row_is_named(tmp_path, content):
    store = Store(tmp_path)
    path = tmp_path / "results" / f"{job().key}.json"
    path.write_text(content)
    with pytest.raises(InputError, match=path.name):
        store.rows()


def test_rows_of_other_formats(tmp_path):
    """Those without a number are older: their scores do not say what is better. Newer ones are refused."""
    store = Store(tmp_path)
    store.save(job(), drive(), (*scores(), Score("y", 1.0, better="less")))
    file = tmp_path / "results" / f"{job().key}.json"
    row = json.loads(file.read_text())
    assert row["format"] == 2 and [s.better for s in scores_of(store.row(job().key))] == ["", "", "less"]
    old = {key: value for key, value in row.items() if key != "format"}
    old["scores"] = [{key: value for key, value in score.items() if key != "better"} for score in row["scores"]]
    file.write_text(json.dumps(old))
    assert [s.better for s in scores_of(store.row(job().key))] == [""] * 3
    for unknown in (3, 0, "2", None):
        file.write_text(json.dumps({**row, "format": unknown}))
        with pytest.raises(InputError, match="format .*, this drivesim reads up to 2: use the drivesim that"):
            store.rows()


def test_a_key_is_no_path(tmp_path):
    with pytest.raises(InputError, match="no key"):
        Store(tmp_path).load_rollout("../../secrets")


def test_a_plan_that_does_not_fit_is_refused(tmp_path):
    odd = Plan(torch.zeros(4, 3), torch.arange(1, 5) * 0.5, torch.zeros(2, 6, 3))
    for changes in ({"plan_steps": (0, 5, 41)}, {"plan_steps": (0, 5, 5)}, {"plans": (odd,) * 3}):
        with pytest.raises(ValueError, match="41|5, 5|proposals"):
            Store(tmp_path).save(job(), dataclasses.replace(drive(), **changes), ())
