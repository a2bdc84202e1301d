import gzip
import os
import pickle
import pickletools
import subprocess
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest

from drivesim.errors import InputError
from drivesim.restricted_pickle import Refused, dump, loads, read_frame, read_pickle

from .frames import pickled_frame

COLUMNS = {
    "uuid": np.array(["a", "b", float("nan")], dtype=object),
    "x": np.array([1.5, -2.0, 3.25]),
    "y": np.array([4.0, 5.0, 6.0]),
    "stationary": np.array([True, False, True]),
    "z": np.array([7.0, 8.0, 9.0]),
    "class": np.array([1, 2, 255], dtype=np.uint8),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_frame_comes_back_column_by_column(tmp_path, protocol, old, zipped):
    data = pickled_frame(COLUMNS, protocol, old)
    path = tmp_path / "00.pkl.gz"
    path.write_bytes(gzip.compress(data) if zipped else data)
    frame = read_frame(path)
    assert list(frame) == list(COLUMNS)
    assert frame["uuid"][:2].tolist() == ["a", "b"]
    for name in ("x", "y", "z", "stationary", "class"):
        assert frame[name].dtype == COLUMNS[name].dtype
        assert np.array_equal(frame[name], COLUMNS[name])


def test_trees_of_arrays_come_back(tmp_path):
    shared = np.arange(6.0).reshape(2, 3)
    fortran = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
    tree = {
        "a": [shared, shared],
        "b": (1, "two", None),
        "c": np.float32(2.5),
        "d": fortran,
        "e": np.array(["xy", "z"]),
    }
    path = tmp_path / "tree.pkl"
    path.write_bytes(pickle.dumps(tree, protocol=4))
    back = read_pickle(path)
    assert np.array_equal(back["a"][0], shared) and back["a"][0] is back["a"][1]
    assert back["b"] == (1, "two", None) and back["c"] == np.float32(2.5)
    assert np.array_equal(back["d"], fortran) and back["e"].tolist() == ["xy", "z"]


class Shell:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class Run:
    def __reduce__(self):
        return subprocess.Popen, (["true"],)


class Builtin:
    def __reduce__(self):
        return eval, ("1 + 1",)


@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (Run(), "subprocess.Popen"),
        (Builtin(), "builtins.eval"),
        (OrderedDict(a=1), "collections.OrderedDict"),
        (Path("x"), "pathlib"),
        (np.ma.zeros(2), "numpy.ma"),
        (np.random.default_rng(0), "numpy.random"),
    ],
)
def test_a_hostile_pickle_is_refused_by_name(tmp_path, hostile, name):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(InputError, match=name) as error:
        read_pickle(path)
    assert "hostile.pkl" in str(error.value)


def test_nothing_of_a_hostile_pickle_runs(tmp_path):
    path, mark = tmp_path / "hostile.pkl", tmp_path / "mark"
    path.write_bytes(pickle.dumps([1, Shell(mark)]))
    with pytest.raises(InputError, match="system"):
        read_pickle(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",  # dotted names lead out of the stand-ins
        b"cbuiltins\nslice.__class__\n.",
        b"cnumpy\nload\n.",
        b"\x80\x04cnumpy\nndarray\n}X\x0c\x00\x00\x00__setstate__Nsb.",  # alters the stand-in itself
        b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8K\x00K\x01\x87R.",  # raw memory
        b"cnumpy\nndarray\n.",  # a class, not data
        b"P0\n.",  # a persistent id
        b"\x80\x04]\x94h\x00a.",  # a list that holds itself
        b"",
        b"no pickle",
    ],
)
def test_tricks_and_damage_give_one_clear_error(tmp_path, program):
    path = tmp_path / "trick.pkl"
    path.write_bytes(program)
    with pytest.raises(InputError, match="trick.pkl"):
        read_pickle(path)


def test_the_stand_ins_stay_as_they_are_after_an_attack(tmp_path):
    path = tmp_path / "00.pkl"
    path.write_bytes(b"\x80\x04cnumpy\nndarray\n}X\x0c\x00\x00\x00__setstate__Nsb.")
    with pytest.raises(InputError):
        read_pickle(path)
    path.write_bytes(pickled_frame(COLUMNS))
    assert np.array_equal(read_frame(path)["x"], COLUMNS["x"])


@pytest.mark.parametrize("cut", [5, 40, 200])
def test_a_file_cut_short_is_named(tmp_path, cut):
    path = tmp_path / "07.pkl.gz"
    path.write_bytes(gzip.compress(pickled_frame(COLUMNS))[:cut])
    with pytest.raises(InputError, match="07.pkl.gz"):
        read_frame(path)


def test_a_pickle_cut_short_inside_is_named(tmp_path):
    path = tmp_path / "07.pkl.gz"
    path.write_bytes(gzip.compress(pickled_frame(COLUMNS)[:-30]))
    with pytest.raises(InputError, match="07.pkl.gz"):
        read_frame(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.pkl.gz"
    path.write_bytes(gzip.compress(b"\0" * 1_000_000))
    with pytest.raises(InputError, match="more than 100000 bytes"):
        read_pickle(path, limit=100_000)


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    data = pickle.dumps(np.zeros(4), protocol=4)
    path = tmp_path / "claim.pkl"
    path.write_bytes(data.replace(b"K\x04\x85", b"K\x09\x85"))
    assert data != path.read_bytes()
    with pytest.raises(InputError, match="damaged"):
        read_pickle(path)


def test_what_is_no_frame_is_refused(tmp_path):
    path = tmp_path / "list.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="instead of a pandas DataFrame"):
        read_frame(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.pkl"):
        read_pickle(tmp_path / "gone.pkl")


def test_a_few_bytes_cannot_make_the_reader_allocate_gigabytes():
    with pytest.raises(Refused, match="memo index"):
        loads(b"K\x01r\x00\x00\x00\x08.")


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_sets_and_counters_come_back_as_plain_ones(protocol):
    counts = defaultdict(int, a=2)
    back = loads(pickle.dumps({"kinds": {"x", "y"}, "counts": counts, "lists": defaultdict(list)}, protocol))
    assert back == {"kinds": {"x", "y"}, "counts": {"a": 2}, "lists": {}}
    assert type(back["counts"]) is dict


@pytest.mark.parametrize(
    "program",
    [
        pickle.dumps(defaultdict(eval)),
        b"cbuiltins\nint\nX\x01\x00\x00\x009\x85R.",  # the counter's type is no function here
        b"cbuiltins\nint\n.",
        b"ccollections\ndefaultdict\nX\x01\x00\x00\x00x\x85R.",
        b"ccollections\ndefaultdict\n)R}X\x01\x00\x00\x00aK\x01sb.",  # gives it a state
        b"cbuiltins\nset\nK\x05\x85R.",
        b"cbuiltins\ngetattr\n.",
        b"ccollections\nnamedtuple\n.",
    ],
)
def test_counters_open_no_door(program):
    with pytest.raises(Refused):
        loads(program)


TREE = {
    "text": "\u00fc", "number": -3, "big": 2**80, "real": 0.1, "nothing": None, "yes": True, "raw": b"\0\xff",
    "nested": [1, (2, {"a": {"b"}})], "set": {1, 2}, "empty": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 3)),
        np.array([True, False]),
        np.array(["ab", "c"]),
        np.array(5),
        np.arange(4, dtype=">i2")[::2],
    ],
)
def test_what_is_dumped_loads_here_and_in_python(array):
    data = dump({**TREE, "array": array})
    for back in (loads(data), pickle.loads(data)):
        assert np.array_equal(back["array"], array) and back["array"].dtype.newbyteorder(
            "="
        ) == array.dtype.newbyteorder("=")
        assert {k: v for k, v in back.items() if k != "array"} == TREE
    assert pickle.loads(data)["array"].flags.writeable


def test_a_dump_names_nothing_that_some_numpy_lacks():
    data = dump([np.zeros(3), np.zeros(2, np.int8), {"x"}])
    names = [argument for op, argument, _ in pickletools.genops(data) if op.name == "SHORT_BINUNICODE"]
    assert [n for n in names if "numpy" in n] == ["numpy"] and not [n for n in names if "_reconstruct" in n]
    assert data[:2] == b"\x80\x04"


@pytest.mark.parametrize(
    "value", [Path("x"), np.float64(1), OrderedDict(), eval, Run(), np.array([{}]), np.zeros(2, "i4,f4"), 1 + 2j]
)
def test_only_plain_data_is_dumped(value):
    with pytest.raises(TypeError, match="no builtin value"):
        dump({"x": [value]})


BOMBS = {
    "doubled": b"\x80\x04K\x01\x85" + b"2\x86" * 60,
    "doubled by memo": b"\x80\x04K\x01\x85\x94" + b"".join(b"h%ch%c\x86\x94" % (i, i) for i in range(60)),
    "deep": b"\x80\x04)" + b"\x85" * 300_000,
    "deep by marks": b"\x80\x04" + b"(" * 200_000 + b"t" * 200_000,
    "frozen": b"\x80\x04(K\x01\x91" + b"\x85" * 300_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_tuple_that_takes_forever_to_hash_is_refused(bomb):
    program = BOMBS[bomb]
    program = program[:2] + b"}" + program[2:] + b"K\x01s."
    with pytest.raises(Refused, match="nested|damaged"):
        loads(program)


def test_tuples_as_data_writes_them_pass():
    lines = {("a", (1, 2)): [tuple((float(i), 0.5) for i in range(20_000))], "b": {(1,), (2, (3, (4,)))}}
    for protocol in (0, 1, 2, 4, 5):
        assert loads(pickle.dumps(lines, protocol)) == lines
