"""Options are refused by name, selections are what was asked for, jobs are every combination once."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
from hydra.errors import MissingConfigException

from drivesim import config, drive, parts, scenario_file
from drivesim.catalog import detection
from drivesim.errors import InputError, NotDrivable
from drivesim.types import Kind
from drivesim.versions import contents, versions
from drivesim.work import select, work

from .worlds import scenario as world
from .worlds import track

HERE = "tests.test_config"


@dataclass
class Driver:
    headway: float = 1.5


@dataclass
class Mine:
    speed: float
    count: int = 1
    name: str | None = None
    loud: bool = False
    sides: tuple[float, float] = (0.0, 1.0)
    cameras: tuple[str, ...] = ()
    mode: Literal["soft", "hard"] = "soft"
    kind: Kind = Kind.CAR
    driver: Driver = field(default_factory=Driver)
    folder: Path | None = None


def metric(rollouts, scenario, bound: float = 1.0):
    return rollouts, scenario, bound


class Anything:
    def __init__(self, **options):
        self.options = options


@dataclass
class Logs:
    """Five scenarios: b cannot be driven and the source knows, c cannot and it does not, d is broken."""

    root: str = "here"

    def ids(self):
        return ["a", "b", "c", "d", "e"]

    def undrivable(self):
        return {"b": "one key frame"}

    def fingerprint(self, id):
        if id == "d":
            raise InputError("d: cut in half")
        return f"print of {id}"

    def load(self, id):
        if id == "c":
            raise NotDrivable("c: parked")
        return replace(world(track((0, 0), speed=5)), id=id, fingerprint=self.fingerprint(id))


def mine(**options):
    return {"_target_": f"{HERE}:Mine", **options}


def composed(**changes):
    plain = {
        "scenarios": {"_target_": f"{HERE}.Logs"}, "planner": mine(speed=1), "generation": {"_target_": None},
        "behavior": {"_target_": None}, "control": {"_target_": None},
        "metrics": {"metric": {"_target_": f"{HERE}.metric"}},
        "planners": [], "seed": 0, "seeds": None, "on_collision": "continue", "loop": "closed", "workers": 0, "out": "o",
    }  # fmt: skip
    return {**plain, **changes}


# parts


def test_values_take_their_types():
    given = mine(speed=3, sides=[1, 2], cameras=["a", "b"], kind="bus", driver={"headway": 2}, folder="/tmp/x", name=7)
    checked = parts.check("planner", given)
    assert checked["speed"] == 3.0 and isinstance(checked["speed"], float)
    assert checked["sides"] == [1.0, 2.0] and checked["kind"] == "bus" and checked["folder"] == "/tmp/x"
    built = parts.build(checked)
    assert built == Mine(3.0, 1, "7", False, (1.0, 2.0), ("a", "b"), "soft", Kind.BUS, Driver(2.0), Path("/tmp/x"))


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("sped", 1, "choose from speed, count"),
        ("sped", 1, "did you mean speed?"),
        ("speed", "fast", "a number is expected"),
        ("speed", True, "a number is expected"),
        ("speed", None, "a number is expected"),
        ("count", 1.5, "an integer is expected"),
        ("loud", 1, "true or false is expected"),
        ("sides", [1.0], "2 values"),
        ("sides", [1.0, "x"], "a number is expected"),
        ("cameras", "front", "a list"),
        ("mode", "sotf", "did you mean soft?"),
        ("kind", "boat", "choose from car"),
        ("name", [1], "a text or null is expected"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(option, value, told):
    with pytest.raises(InputError, match=rf"^planner\.{option}") as error:
        parts.check("planner", mine(**{"speed": 1.0, option: value}))
    assert told in str(error.value)


def test_an_option_of_an_option_is_refused_by_its_whole_name():
    with pytest.raises(InputError, match=r"^planner\.driver\.headwy: .*did you mean headway"):
        parts.check("planner", mine(speed=1, driver={"headwy": 2}))


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match=r"^planner\.speed is missing"):
        parts.check("planner", mine())


def test_no_part_has_no_options():
    assert parts.build(parts.check("generation", {"_target_": None})) is None
    with pytest.raises(InputError, match=r"generation\.x"):
        parts.check("generation", {"_target_": None, "x": 1})


def test_a_class_that_takes_anything_gets_anything():
    assert parts.build(parts.check("planner", {"_target_": f"{HERE}:Anything", "x": [1]})).options == {"x": [1]}


def test_a_function_has_its_options_bound_and_not_its_inputs():
    bound = parts.build(parts.check("metrics.metric", {"_target_": f"{HERE}.metric", "bound": 2}))
    assert bound("r", "s") == ("r", "s", 2.0)
    with pytest.raises(InputError, match="choose from bound"):
        parts.check("metrics.metric", {"_target_": f"{HERE}.metric", "rollouts": 1})


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("no_such_module:X", "no module named no_such_module"),
        (f"{HERE}:Mein", "did you mean Mine?"),
        (f"{HERE}:HERE", "not a class or function"),
        ("Mine", "an import path is expected"),
    ],
)
def test_targets_that_are_not_there(target, told):
    with pytest.raises(InputError) as error:
        parts.check("planner", {"_target_": target})
    assert told in str(error.value)


def test_a_module_that_breaks_while_it_is_imported_is_told_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "breaks_here.py").write_text("import math\nmath.no_such_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"AttributeError.*breaks_here\.py, line 2"):
        parts.check("planner", {"_target_": "breaks_here:X"})


@pytest.mark.parametrize("group", parts.GROUPS)
def test_every_yaml_fits_its_class(group):
    names = parts.choices(group)
    assert names
    for name in names:
        node = parts.read(group, name)
        if "target" in node:
            continue
        options = parts.signature(parts.locate(node["_target_"])) if node["_target_"] else {}
        given = {key: "somewhere" for key in ("root", "path") if key in options}
        assert parts.check(group, {**node, **given})["_target_"] == node["_target_"]


def test_every_metric_has_a_place_of_its_own():
    """Hydra merges the yamls of several choices; only with a package of its own does each metric survive."""
    for name in parts.choices("metrics"):
        first = (parts.CONF / "metrics" / f"{name}.yaml").read_text().splitlines()[0]
        assert first == f"# @package metrics.{name}"


def test_the_python_door_refuses_likewise():
    with pytest.raises(InputError, match="planner=imd.*did you mean idm"):
        config.part("planner", "imd")
    with pytest.raises(InputError, match=r"planner\.speed"):
        config.part("planner", "idm", speed=1)
    with pytest.raises(InputError, match=r"scenarios\.root is missing"):
        config.source("argoverse2")
    assert config.source(f"{HERE}:Logs", Path("/x")) == Logs("/x")


# work


def ids(found):
    return list(dict.fromkeys(job.scenario for job in found.jobs))


def test_the_first_that_can_be_driven_is_driven():
    found = work(composed())
    assert ids(found) == ["a"] and found.skipped == {"b": "one key frame"}


def test_a_scene_that_only_loading_refuses_is_passed_over(monkeypatch):
    class Late(Logs):
        def ids(self):
            return ["c", "d", "e"]

    monkeypatch.setattr(sys.modules[HERE], "Late", Late, raising=False)
    found = work(composed(scenarios={"_target_": f"{HERE}.Late"}))
    assert ids(found) == ["e"]
    assert found.skipped == {"c": "parked"} and found.broken == {"d": "cut in half"}


def test_limits_and_ids():
    chosen = {"_target_": f"{HERE}.Logs"}
    assert ids(work(composed(scenarios={**chosen, "limit": 0}))) == ["a", "c", "e"]
    assert ids(work(composed(scenarios={**chosen, "limit": 2}))) == ["a", "c"]
    assert ids(work(composed(scenarios={**chosen, "ids": ["e", "a", "e"]}))) == ["e", "a"]
    assert ids(work(composed(scenarios={**chosen, "ids": "e"}))) == ["e"]
    assert ids(work(composed(scenarios={**chosen, "ids": ["e", "a"], "limit": 1}))) == ["e"]


@pytest.mark.parametrize(
    ("scenarios", "told"),
    [
        ({"ids": ["x"]}, "no scenario x; there are a, b, c, ... 2 more"),
        ({"ids": ["b"]}, "nothing to drive: b: one key frame"),
        ({"ids": ["d"]}, "d: cut in half"),
        ({"ids": []}, "no scenario is chosen"),
        ({"limit": -1}, "scenarios.limit=-1"),
        ({"limit": "many"}, "scenarios.limit=many"),
        ({"rot": 1}, "did you mean root?"),
    ],
)
def test_selections_that_cannot_be(scenarios, told):
    with pytest.raises(InputError) as error:
        work(composed(scenarios={"_target_": f"{HERE}.Logs", **scenarios}))
    assert told in str(error.value)


def test_selection_without_what_cannot_be_driven_needs_no_such_method():
    class Plain:
        def ids(self):
            return ["a"]

    assert select(Plain()) == (["a"], 1)


def test_filters_choose_and_tell(tmp_path, monkeypatch):
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path))
    chosen = {"_target_": f"{HERE}.Logs", "max_agents": 0}
    found = work(composed(scenarios={**chosen, "limit": 0}))
    assert ids(found) == ["a", "e"] and found.jobs[0].source == {"_target_": f"{HERE}.Logs"}
    assert found.sifted == "2 of 5 scenes left: 2 cannot be driven, 1 cannot be read"
    first = work(composed(scenarios=chosen))
    assert ids(first) == ["a"] and first.sifted == "1 of 1 scene left (looked at 1 of 5)", "enough is enough"
    assert ids(work(composed(scenarios={**chosen, "ids": ["e"]}))) == ["e"]
    with pytest.raises(InputError, match="0 of 5 scenes left: 2 cannot be driven, 2 had no u_turn, 1 cannot be read"):
        work(composed(scenarios={"_target_": f"{HERE}.Logs", "tag": ["u turn"]}))
    with pytest.raises(InputError, match="did you mean u_turn"):
        work(composed(scenarios={"_target_": f"{HERE}.Logs", "tag": "uturn"}))
    with pytest.raises(InputError, match=r"scenarios\.min_agents=many"):
        work(composed(scenarios={"_target_": f"{HERE}.Logs", "min_agents": "many"}))


@dataclass
class Streets(Logs):
    """Logs with another car in each."""

    def load(self, id):
        other = track((20, 0), speed=5)
        return replace(world(track((0, 0), speed=5), other), id=id, fingerprint=self.fingerprint(id))

    def ids(self):
        return ["a"]


@dataclass
class Story(Streets):
    ego: str = ""


def test_stretches_and_other_egos_are_part_of_the_job():
    node = {"_target_": f"{HERE}.Streets"}
    cut = {"window": 2, "stride": 1.0}
    jobs = work(composed(scenarios={**node, **cut, "ego": "track 1", "limit": 0})).jobs
    inner = {"_target_": "drivesim.windows.AsEgo", "source": node, "ego": "track 1"}
    assert jobs[0].source == {
        "_target_": "drivesim.windows.Windows", "source": inner, "seconds": 2.0, "stride": 1.0,
    }  # fmt: skip
    assert [job.scenario for job in jobs] == [f"a#track 1@{k}.0s" for k in range(3)]
    plain = work(composed(scenarios={**node, **cut, "ids": "a@1.0s"})).jobs
    assert plain[0].key != jobs[1].key
    assert drive.load(jobs[1]).track_ids == ("track 1", "ego") and drive.load(plain[0]).track_ids[0] == "ego"
    own = work(composed(scenarios={"_target_": f"{HERE}.Story", "ego": "me"})).jobs
    assert own[0].source == {"_target_": f"{HERE}.Story", "ego": "me"}, "an option of the source itself"
    with pytest.raises(InputError, match=r"scenarios\.window=SECONDS is expected"):
        work(composed(scenarios={**node, "stride": 1.0}))
    with pytest.raises(InputError, match=r"scenarios\.window=long"):
        work(composed(scenarios={**node, "window": "long"}))


def test_every_combination_is_one_job():
    logs = {"_target_": f"{HERE}.Logs", "limit": 2}
    planner = parts.read("planner", "idm")  # as it is there when nothing is said
    found = work(composed(planner=planner, planners=[f"{HERE}:Anything", "idm"], seeds=3, scenarios=logs))
    asked = [(job.scenario, job.planner_name, job.seed) for job in found.jobs]
    assert asked == [(i, p, s) for i in ("a", "c") for p in ("Anything", "idm") for s in range(3)]
    assert len({job.key for job in found.jobs}) == 12
    assert found.jobs[0].fingerprint == "print of a" and found.jobs[0].metrics == [{"_target_": f"{HERE}.metric"}]


def test_the_same_configuration_gives_the_same_keys():
    assert [j.key for j in work(composed()).jobs] == [j.key for j in work(composed(out="elsewhere", workers=2)).jobs]
    assert work(composed()).jobs[0].key != work(composed(seed=1)).jobs[0].key


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seeds": 0}, "seeds=0"),
        ({"workers": -1}, "workers=-1"),
        ({"planner": {"target": "???", "args": {}}}, "planner.target is missing"),
        ({"planner": {"target": "nowhere:X", "args": {}}}, "planner.target=nowhere:X"),
        ({"planner": {"target": f"{HERE}:Mine", "args": {}}}, "planner.args.speed is missing"),
        ({"planner": {"target": f"{HERE}:Mine", "speed": 1}}, "+planner.args.speed"),
        ({"planner": mine(speed=1, timeout=0)}, "planner.timeout"),
        ({"planner": mine(speed=1, timeout="x")}, "planner.timeout=x: a number is expected"),
        ({"planners": ["imd"], "planner": {"_target_": "planners.idm.IDM"}}, "did you mean idm?"),
        ({"planners": ["idm"], "planner": mine(speed=1)}, "planner.speed: planners=[...]"),
        ({"control": "???"}, "control is missing; choose from lqr"),
    ],
)
def test_configurations_that_cannot_be(changes, told):
    with pytest.raises(InputError) as error:
        work(composed(**changes))
    assert told in str(error.value)


def test_names_of_planners(monkeypatch):
    def names(**changes):
        return [job.planner_name for job in work(composed(**changes)).jobs]

    assert names() == ["Mine"]
    assert names(planner={"target": f"{HERE}:Mine", "args": {"speed": 1}}) == ["Mine"]
    assert names(planner=parts.read("planner", "constant_velocity")) == ["constant_velocity"]
    assert names(planner=parts.read("planner", "idm"), planners=["planners.idm:IDM"]) == ["IDM"]
    assert names(planner=parts.read("planner", "idm"), planners=["idm", "planners.expert:Expert"]) == ["idm", "Expert"]
    two = [f"{HERE}:Anything", "tests.test_config_twin:Anything"]
    monkeypatch.setitem(sys.modules, "tests.test_config_twin", sys.modules[HERE])
    assert names(planner=parts.read("planner", "idm"), planners=two) == two


def test_a_planner_with_a_timeout_runs_in_a_child():
    (job,) = work(composed(planner=mine(speed=1, timeout=2))).jobs
    assert job.planner_name == "Mine"
    assert job.planner["_target_"] == "drivesim.remote.child.ChildPlanner" and job.planner["timeout"] == 2.0
    assert job.planner["planner"] == {"_target_": f"{HERE}.Mine", "speed": 1.0}


def test_results_depend_on_the_source_of_what_made_them(tmp_path, monkeypatch):
    (tmp_path / "pilot_of_mine.py").write_text("class Pilot: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = versions([{"_target_": "pilot_of_mine.Pilot"}])
    assert {"drivesim", "torch", "python", "pilot_of_mine"} <= before.keys()
    from drivesim.versions import _digest

    (tmp_path / "pilot_of_mine.py").write_text("class Pilot: changed = True\n")
    _digest.cache_clear()
    after = versions([{"_target_": "pilot_of_mine.Pilot"}])
    assert after["pilot_of_mine"] != before["pilot_of_mine"] and after["drivesim"] == before["drivesim"]


# the command line


@pytest.fixture
def line(monkeypatch, capsys, tmp_path):
    """Compose a command line: (code, what was composed, what was told)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    composed = []

    def compose(*argv, code=0):
        def keep(plain, folders):
            composed.append(plain)
            return plain

        monkeypatch.setattr(config, "work", keep)
        monkeypatch.setattr(sys, "argv", ["run_closed_loop.py"])
        monkeypatch.setattr(sys, "path", list(sys.path))
        composed.clear()
        got = config.main(lambda plain, command: code, argv)
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        return got, list(composed), capsys.readouterr().err

    return compose


def test_defaults(line):
    code, (plain,), _ = line()
    assert code == 0
    assert plain["planner"]["_target_"] == "planners.idm.IDM"
    assert list(plain["metrics"]) == ["collision", "drivable_area", "progress", "comfort", "time_to_collision"]
    assert all(node["_target_"].startswith("metrics.") for node in plain["metrics"].values())
    assert plain["out"].startswith("outputs/") and plain["seed"] == 0 and plain["workers"] == 0


def test_options_that_only_the_classes_know(line):
    _, (plain,), _ = line(
        "scenarios=pandaset", "scenarios.root=/x", "scenarios.ids=[0061, 1e5]", "scenarios.limit=0",
        "planner=custom", "planner.target=my.pkg:Mine", "+planner.args.x=1", "planners=[idm,my.pkg:Mine]",
        "metrics=[comfort]", "metrics.comfort.jerk=2",
    )  # fmt: skip
    assert plain["scenarios"] | {"_target_": ""} == {"_target_": "", "root": "/x", "ids": ["0061", "1e5"], "limit": 0}
    assert plain["planner"] == {"target": "my.pkg:Mine", "args": {"x": 1}}
    assert list(plain["metrics"]) == ["comfort"] and plain["metrics"]["comfort"]["jerk"] == 2
    assert plain["planners"] == ["idm", "my.pkg:Mine"]


def test_filters_in_plain_words(line):
    _, (plain,), _ = line(
        "scenarios.tag=[turn left,cut-in]", "scenarios.has=pedestrian", "scenarios.near=[42.3,-71.0,500]",
        "scenarios.map=us-ma-boston", "scenarios.min_agents=3", "scenarios.ego=0061", "scenarios.window=8",
    )  # fmt: skip
    assert plain["scenarios"] | {"_target_": ""} == {
        "_target_": "", "tag": ["turn left", "cut-in"], "has": "pedestrian", "near": [42.3, -71.0, 500],
        "map": "us-ma-boston", "min_agents": 3, "ego": "0061", "window": 8,
    }  # fmt: skip


def test_the_format_may_be_recognised(line, tmp_path, monkeypatch):
    scenario_file.write(world(track((0, 0), speed=5)), tmp_path / "street.scenario.parquet")
    _, (plain,), _ = line("scenarios=auto", f"scenarios.root={tmp_path}")
    assert plain["scenarios"] == {"_target_": "scenarios.converted.Converted", "root": str(tmp_path)}
    (tmp_path / "out er").mkdir()
    (tmp_path / "street.scenario.parquet").rename(tmp_path / "out er" / "street.scenario.parquet")
    monkeypatch.setattr(detection, "_pairs", lambda path: [("converted", tmp_path / "out er")])
    _, (plain,), _ = line("scenarios=auto", f"scenarios.root={tmp_path}")
    assert plain["scenarios"]["root"] == str(tmp_path / "out er")
    monkeypatch.setattr(detection, "_pairs", lambda path: [("converted", path / "a"), ("waymo", path / "b")])
    told = line("scenarios=auto", f"scenarios.root={tmp_path}", code=2)[2]
    assert f"waymo in {tmp_path / 'b'}; choose one: scenarios=converted scenarios.root={tmp_path / 'a'}" in told
    assert line("scenarios=auto", code=2)[2] == "error: scenarios=auto: give scenarios.root=DIR to look at\n"


def test_a_planner_by_its_import_path(line):
    _, (plain,), _ = line("planner=my.pkg:Mine", "+planner.args.x=1")
    assert plain["planner"] == {"target": "my.pkg:Mine", "args": {"x": 1}}


def test_flags_may_stand_anywhere():
    words = ["seed=1", "--config-dir", "a", "planner.x=1", "-m", "--config-dir=b", "-c", "job", "out=o"]
    spelled = ["seed=1", "++planner.x=1", "out=o", "--config-dir", "a", "-m", "--config-dir=b", "-c", "job"]
    assert config.spell(words) == spelled


def test_no_metrics(line):
    assert line("metrics=[]")[1][0]["metrics"] == {}


def test_a_yaml_of_the_users_own(line, tmp_path):
    (tmp_path / "mine" / "planner").mkdir(parents=True)
    (tmp_path / "mine" / "planner" / "pilot.yaml").write_text("_target_: my.pkg.Mine\nx: 2\n")
    _, (plain,), _ = line("seed=1", "--config-dir", "mine", "planner=pilot")
    assert plain["planner"] == {"_target_": "my.pkg.Mine", "x": 2}
    assert parts.read("planner", "pilot", [tmp_path / "mine"]) == {"_target_": "my.pkg.Mine", "x": 2}


def test_every_combination_runs_and_the_worst_code_counts(line):
    code, composed, _ = line("-m", "planner=idm,expert", "seed=1,2", "scenarios.limit=3", code=1)
    assert code == 1
    found = [(plain["planner"]["_target_"], plain["seed"]) for plain in composed]
    assert found == [(t, s) for t in ("planners.idm.IDM", "planners.expert.Expert") for s in (1, 2)]


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("planner=imd", "planner=imd: no such choice; choose from constant_velocity"),
        ("planner=imd", "did you mean idm?"),
        ("metrics=[colision]", "did you mean collision?"),
        ("sede=1", "sede: no such option; choose from scenarios"),
        ("+sede=1", "did you mean seed?"),
        ("seed=abc", "seed=abc: an integer is expected"),
        ("workers=1.5", "workers=1.5: an integer is expected"),
        ("planners=idm", "planners: a list is expected, planners=[a,b]"),
        ("planner=idm,expert", "several values need -m"),
        ("scenarios.ids=[a", "scenarios.ids=[a: cannot be read"),
        ("seed", "seed: cannot be read"),
        ("--seed=1", "written without dashes, seed=1"),
    ],
)
def test_a_command_line_that_cannot_be_is_one_plain_line_and_code_2(line, argument, told):
    code, composed, error = line(argument)
    assert code == 2 and (argument.startswith("+") or not composed)
    assert told in error and error.startswith("error: ") and len(error.splitlines()) == 1


def test_hydra_full_error_is_respected(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["run_closed_loop.py"])
    with pytest.raises(MissingConfigException, match="imd"):
        config.main(lambda work, command: 0, ["planner=imd"])


def test_a_bug_is_not_told_as_wrong_input(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_closed_loop.py"])
    monkeypatch.setattr(config, "work", lambda plain, folders: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        config.main(lambda work, command: 0, [])


def test_the_command_repeats_the_run():
    told = config.command(["++scenarios.root=/a b", "planner=idm", "+planner.args.x=1"], [Path("/c")], seed=3)
    assert told == (
        "python run_closed_loop.py 'scenarios.root=/a b' planner=idm +planner.args.x=1 seed=3 --config-dir=/c"
    )
    assert config.command(["seeds=2"], [], 0) == "python run_closed_loop.py seeds=2"


def test_nothing_is_left_behind(line, tmp_path):
    line("planner=expert")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_an_option_names_counts_by_its_content(tmp_path):
    """Whoever fits traffic again, or trains on, into the same file gets new results."""
    people, weights = tmp_path / "traffic.yaml", tmp_path / "weights.pt"
    node = {"behavior": {"_target_": "x", "population": str(people)}, "planner": {"deep": {"weights": str(weights)}}}
    assert contents(node) == {}
    people.write_text("a"), weights.write_text("b")
    first = contents(node)
    assert sorted(first) == ["behavior.population", "planner.deep.weights"]
    people.write_text("c")
    second = contents(node)
    assert second["behavior.population"] != first["behavior.population"]
    assert second["planner.deep.weights"] == first["planner.deep.weights"]
    assert contents({"planner": {"text": "x" * 5000, "number": 3, "none": None}}) == {}
