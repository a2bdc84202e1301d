"""What is found in a folder, what is said of it, what filters take and what they tell of the rest."""

import json
import os
import signal
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from drivesim import catalog, parts
from drivesim.catalog import Entry, Filter, Sieve
from drivesim.catalog import cache as kept
from drivesim.errors import InputError, NotDrivable
from drivesim.loading import fingerprint
from drivesim.types import Kind, Place

from .worlds import scenario, track

HERE = "tests.test_catalog"


@dataclass(frozen=True)
class Streets:
    """Twelve streets: `log` gets a line for each that is loaded; some cannot be driven, some are broken."""

    log: str = ""
    deadly: str = ""  # the scene whose reader dies
    count: int = 12

    def ids(self):
        return [f"s{i:02d}" for i in range(self.count)]

    def undrivable(self):
        return {"s01": "one key frame"}

    def fingerprint(self, id):
        return fingerprint([], id)

    def load(self, id):
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{id}\n")
        if id == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if id == "s02":
            raise NotDrivable(f"{id}: no ego")
        if id == "s03":
            raise InputError(f"{id}: cut short")
        if id == "s04":
            raise ZeroDivisionError("a bug")
        i = int(id[1:])
        walker = [track((20, -3), yaw=1.57, speed=1.5, kind=Kind.PEDESTRIAN)] if i % 2 else []
        place = Place("us-ma-boston", 42.0 + i / 1000, -71.0) if i > 6 else Place("somewhere")
        s = scenario(track((0, 0), speed=i), *[track((30 + 9 * k, 3.5)) for k in range(i)], *walker, id=id)
        return replace(s, place=place, licence="CC0", inferred={"lanes": 0.5}, problems=("a wheel is missing",))


def part(**options):
    return {"_target_": f"{HERE}.Streets", **options}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def loaded(log: Path):
    return log.read_text().split() if log.exists() else []


# entries


def test_an_entry_says_what_there_is():
    entry = catalog.examine(Streets(), "s07")
    assert entry.status == "drivable" and entry.seconds == 4.0
    assert entry.agents == {"car": 7, "pedestrian": 1} and entry.map["lanes"] == 2 and entry.map["crosswalks"] == 0
    assert (entry.place, entry.latitude) == ("us-ma-boston", 42.007)
    assert "crossing_pedestrian" in entry.tags and entry.inferred == {"lanes": 0.5}
    (crossing,) = [s for s in entry.situations if s["name"] == "crossing_pedestrian"]
    assert crossing["agents"] == ["track 8"] and crossing["unit"] == "m ahead"
    assert ("problem", "a wheel is missing") in entry.told() and ("worked out", "lanes 0.50") in entry.told()
    assert Entry.read(json.loads(json.dumps(entry.plain()))) == entry


@pytest.mark.parametrize(
    ("id", "status", "reason"),
    [
        ("s02", "not drivable", "no ego"),
        ("s03", "unreadable", "cut short"),
        ("s04", "unreadable", "reading it raised ZeroDivisionError: a bug"),
    ],
)
def test_an_entry_says_why_not(id, status, reason):
    entry = catalog.examine(Streets(), id)
    assert (entry.status, entry.reason) == (status, reason)


# scanning


def test_scanning_is_the_same_on_all_cores_and_in_order():
    here = list(catalog.scan(part(), keep=False))
    assert [entry.id for entry in here] == Streets().ids()
    assert here[1] == Entry("s01", "not drivable", "one key frame")
    assert list(catalog.scan(part(), workers=2, keep=False)) == here
    assert list(catalog.scan(Streets(), ["s07", "s00"])) == [here[7], here[0]]


def test_a_reader_that_dies_costs_its_own_scene_alone():
    entries = list(catalog.scan(part(deadly="s05"), workers=2))
    assert [entry.id for entry in entries] == Streets().ids()
    assert entries[5].status == "unreadable" and "died (signal SIGKILL)" in entries[5].reason
    assert [entry.status for entry in entries[6:]] == ["drivable"] * 6


def test_whoever_has_enough_stops_the_scan(tmp_path):
    log = tmp_path / "log"
    with closing(catalog.scan(part(log=str(log)))) as entries:
        assert next(entries).id == "s00"
    assert loaded(log) == ["s00"]
    with closing(catalog.scan(part(count=1000), workers=2, keep=False)) as entries:
        assert next(entries).id == "s00"


def test_a_second_scan_loads_nothing_that_was_read(tmp_path, own_cache):
    log = tmp_path / "log"
    first = list(catalog.scan(part(log=str(log))))
    assert len(loaded(log)) == 11
    log.unlink()
    assert list(catalog.scan(part(log=str(log)))) == first
    assert loaded(log) == ["s03", "s04"], "what could not be read is looked at again"
    for file in own_cache.rglob("*.json"):
        file.write_text('{"id": 1')
    assert list(catalog.scan(part(log=str(log)))) == first


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path / "file"))
    assert [entry.status for entry in catalog.scan(part(), ["s00"])] == ["drivable"]


def test_the_cache_knows_options_and_content():
    paths = {
        kept.Cache(part()).path("s00", "a"), kept.Cache(part()).path("s00", "b"),
        kept.Cache(part(count=3)).path("s00", "a"), kept.Cache(part()).path("s01", "a"),
    }  # fmt: skip
    assert len(paths) == 4


# filters


def left(**values):
    sieve = Sieve(Filter(**values))
    return [e.id for e in catalog.scan(part()) if sieve.takes(e)], sieve.told()


def test_filters_tell_what_they_removed():
    ids, told = left(has="pedestrian", min_agents=8)
    assert ids == ["s07", "s09", "s11"]
    assert told == (
        "3 of 12 scenes left: 4 had no pedestrian, 2 cannot be driven, 2 cannot be read, 1 had fewer than 8 agents"
    )


@pytest.mark.parametrize(
    ("values", "ids", "reason"),
    [
        ({"tag": "crossing pedestrian"}, ["s05", "s07"], "6 had no crossing_pedestrian"),
        ({"max_agents": 5}, ["s00"], "7 had more than 5 agents"),
        ({"min_seconds": 5.0}, [], "8 were shorter than 5 s"),
        ({"max_seconds": 3.0}, [], "8 were longer than 3 s"),
        ({"map": "Boston"}, ["s07", "s08", "s09", "s10", "s11"], "3 were not of Boston"),
        ({"near": [42.009, -71.0, 150.0]}, ["s08", "s09", "s10"], "2 were farther than 150 m from 42.009,-71"),
        ({"near": [42.009, -71.0]}, ["s07", "s08", "s09", "s10", "s11"], "3 did not say where on earth"),
        ({"has": ["car", "lights"]}, [], "7 had no lights"),
    ],
)
def test_every_filter(values, ids, reason):
    taken, told = left(**values)
    assert taken == ids and reason in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tag": ["turn_lft"]}, "did you mean turn_left"),
        ({"has": ["pedestrians"]}, "did you mean pedestrian"),
        ({"near": [42.0]}, "latitude,longitude"),
        ({"near": [142.0, 0.0]}, "latitude,longitude"),
        ({"min_agents": -3}, "min agents -3: 0 or more"),
        ({"max_seconds": -0.5}, "max seconds -0.5: 0 or more"),
        ({"near": [42.0, 0.0, -1.0]}, "latitude,longitude"),
    ],
)
def test_filters_that_make_no_sense(values, told):
    with pytest.raises(InputError, match=told):
        Filter(**values)


def test_a_filter_knows_whether_it_asks_for_anything():
    assert not Filter() and not Filter(tag=[]) and Filter(tag="u_turn") and Filter(min_agents=0)
    with pytest.raises(InputError, match="scenarios.min_agents=many"):
        Filter.read({"min_agents": "many"})


def test_a_search_that_stopped_early_says_so():
    sieve = Sieve(Filter(tag=["turn_left,cut_in"]), 33)
    assert sieve.filter.tag == ["turn_left", "cut_in"]
    sieve.takes(Entry("a", "drivable"))
    assert sieve.told() == "0 of 1 scene left (looked at 1 of 33): 1 had no turn_left"


# detection


class Letters:
    """Reads folders with a file of a letter."""

    letter = "a"

    def __init__(self, root: str):
        self.root = root

    @classmethod
    def recognizes(cls, root):
        return root.is_dir() and (root / cls.letter).exists()


class Others(Letters):
    letter = "b"


class Raises(Letters):
    @classmethod
    def recognizes(cls, root):
        raise OSError("no")


@pytest.fixture
def formats(tmp_path, monkeypatch):
    conf = tmp_path / "conf"
    (conf / "scenarios").mkdir(parents=True)
    for name in ("Letters", "Others", "Raises"):
        (conf / "scenarios" / f"{name.lower()}.yaml").write_text(f"_target_: {HERE}.{name}\n")
    monkeypatch.setattr(parts, "CONF", conf)
    monkeypatch.setattr(parts.choices, "__defaults__", ((),))
    data = tmp_path / "data" / "inner"
    data.mkdir(parents=True)
    return data


def test_a_format_is_recognised(formats):
    (formats / "a").touch()
    assert catalog.detect(formats) == [("letters", formats)]
    for name in (None, "auto"):
        assert catalog.part_of(name, formats) == {"_target_": f"{HERE}.Letters", "root": str(formats)}
    (formats / "b").touch()
    assert catalog.detect(formats) == [("letters", formats), ("others", formats)]
    with pytest.raises(InputError, match="several formats are here, letters in .*, others in .*; choose one: drivesim"):
        catalog.part_of(root=formats)


def test_a_folder_of_several_formats_is_a_collection(formats):
    root = formats.parent
    for name, file in (("x", "a"), ("y", "b"), ("z", "c"), (".hidden", "b")):
        (root / name).mkdir()
        (root / name / file).touch()
    assert catalog.detect(root) == [("letters", root / "x"), ("others", root / "y")]
    (root / "a").touch()  # a log that lies in the root itself, and has a sub-folder of its own format
    assert catalog.detect(root) == [("letters", root / "x"), ("others", root / "y")]
    (root / "x" / "a").unlink()
    assert catalog.detect(root) == [("letters", root), ("others", root / "y")]
    for k in range(50):
        (root / f"many-{k}").mkdir()
    assert catalog.detect(root) == [("letters", root)], "a root with many sub-folders is one big log"


def test_files_beside_folders_of_other_formats_are_not_lost(formats, monkeypatch):
    named = classmethod(lambda cls, path: path.name == cls.letter or (path / cls.letter).exists())
    monkeypatch.setattr(Letters, "recognizes", named)
    for name, file in (("x", "a"), ("y", "b")):
        (formats / name).mkdir()
        (formats / name / file).touch()
    (formats / "a").touch()
    assert catalog.detect(formats) == [("letters", formats), ("others", formats / "y")]


def test_nothing_recognised_names_what_was_looked_for(formats):
    with pytest.raises(InputError, match="looked for letters, others, raises"):
        catalog.detect(formats)
    with pytest.raises(InputError, match="no such file or folder"):
        catalog.detect(formats / "gone")


def test_a_hint_names_what_lies_inside_or_what_it_is_a_part_of(formats):
    deep = formats / "one" / "two"
    deep.mkdir(parents=True)
    (deep / "b").touch()
    with pytest.raises(InputError, match=f"{deep} is others; give that"):
        catalog.detect(formats)
    (deep / "part").mkdir()
    with pytest.raises(InputError, match=f"{deep} is others; give that"):
        catalog.detect(deep / "part")
    (formats / "one" / "beside").mkdir()
    with pytest.raises(InputError, match="looked for"):
        catalog.detect(formats / "one" / "beside")
