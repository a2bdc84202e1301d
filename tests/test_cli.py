"""Help answers from source alone; `drivesim` says in plain words what is wrong, with the right exit code."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import drivesim
from drivesim import manual, parts, scenario_file
from drivesim.catalog import Entry, detection
from drivesim.check import check_planner, trial
from drivesim.cli import main
from drivesim.commands.scenarios import line
from drivesim.errors import InputError
from drivesim.types import Plan
from drivesim.windows import nearest

from .worlds import scenario as world
from .worlds import track

ROOT = Path(__file__).parents[1]
HERE = "tests.test_cli"
HEAVY = {"torch", "ray", "hydra", "omegaconf", "numpy", "numba", "nuscenes", "av"}


class Straight:
    """Keeps its speed."""

    sensors: tuple = ()
    period = 0.1
    privileged = False

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def reset(self, briefing):
        self.drives = getattr(self, "drives", 0) + 1

    def plan(self, observation):
        time = torch.arange(1, 31) * 0.1
        x = self.gain * observation.ego.velocity[-1, 0] * time
        return Plan(torch.stack([x, 0 * x, 0 * x], -1), time)


class NaN(Straight):
    def plan(self, observation):
        plan = super().plan(observation)
        return plan.replace(poses=plan.poses * torch.nan)


class Flat(Straight):
    def plan(self, observation):
        plan = super().plan(observation)
        return plan.replace(poses=plan.poses[:, :2])


class Backwards(Straight):
    def plan(self, observation):
        plan = super().plan(observation)
        return plan.replace(time=-plan.time)


class Array(Straight):
    def plan(self, observation):
        return super().plan(observation).poses.numpy()


class Fails(Straight):
    def plan(self, observation):
        raise KeyError("no weights")


class FailsInReset(Straight):
    def reset(self, briefing):
        raise OSError("no weights")


class FailsSecondTime(Straight):
    def reset(self, briefing):
        super().reset(briefing)
        assert self.drives == 1, "once only"


class Remembers(Straight):
    def plan(self, observation):
        plan = super().plan(observation)
        return plan.replace(poses=plan.poses + self.drives)


class Writes(Straight):
    def plan(self, observation):
        observation.route[:] = 0
        return super().plan(observation)


class Short(Straight):
    period = 5.0


class Hangs(Straight):
    def plan(self, observation):
        while True:
            pass


class OneCamera(Straight):
    sensors = "front"


class NoSuchCamera(Straight):
    sensors = ("CAM_FRNT",)


class OddPeriod(Straight):
    period = 0.25


class NoPeriod(Straight):
    period = 0


class Half:
    sensors = ()

    def plan(self, observation): ...


class TwoArguments(Straight):
    def plan(self, observation, frames): ...


@pytest.fixture(scope="module")
def road():
    return world(track((0, 0), speed=5), track((25, 0), speed=4), start=5)


def test_a_planner_that_keeps_its_contract(road):
    found = trial(Straight(), road)
    assert found.problems == () and len(found.seconds) == 8


@pytest.mark.parametrize(
    ("planner", "told"),
    [
        (NaN, "not a number at step 5"),
        (Flat, "poses (30, 2) and time (30,)"),
        (Backwards, "not positive and increasing"),
        (Array, "ndarray instead of a Plan"),
        (Fails, "plan at step 5 raised KeyError"),
        (FailsInReset, "reset raised OSError: no weights"),
        (FailsSecondTime, "in the second drive: reset raised AssertionError: once only"),
        (Remembers, "plan 1 differs for the same observations"),
        (Writes, "changed its observation in place"),
        (Short, "ends after 3.00 s"),
        (OneCamera, "sensors is 'front'"),
        (NoSuchCamera, "CAM_FRNT; this log has none"),
        (OddPeriod, "a multiple of the step of 0.1 s"),
        (NoPeriod, "period is 0"),
        (Half, "has no period, privileged, reset"),
        (TwoArguments, "plan must take one argument"),
    ],
)
def test_what_is_wrong_is_told_once_and_plainly(road, planner, told):
    problems = check_planner(planner(), road)
    assert len(problems) == 1 and told in problems[0]


def test_a_failure_names_the_line_of_the_planner(road):
    (problem,) = check_planner(Fails(), road)
    assert "no weights" in problem and "test_cli.py, line" in problem


def test_a_planner_that_hangs_is_interrupted(road):
    (problem,) = trial(Hangs(), road, timeout=0.2).problems
    assert "plan at step 5 took longer than 0.2 s" in problem


# drivesim check | scenarios | report


def test_check_says_how_to_drive_it(capsys):
    assert main(["check", f"{HERE}:Straight", "--arg", "gain=0.5"]) == 0
    assert f"planner={HERE}:Straight +planner.args.gain=0.5" in capsys.readouterr().out


def test_check_fails_with_what_is_wrong(capsys):
    assert main(["check", f"{HERE}:NaN"]) == 1
    assert "wrong: in the first drive: planner returned" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "imd"], "did you mean idm?"),
        (["check", f"{HERE}:Strait"], "did you mean Straight?"),
        (["check", f"{HERE}:Straight", "--arg", "gian=1"], "did you mean gain?"),
        (["check", f"{HERE}:Straight", "--arg", "gain=x"], "--arg.gain=x: a number is expected"),
        (["check", f"{HERE}:Straight", "--arg", "gain"], "key=value is expected"),
        (["check", "no.such:Mine"], "error: planner=no.such:Mine: no module named no"),
        (["scenarios", "waymo"], "error: root is missing: drivesim scenarios waymo DIR"),
        (["view", "waymo"], "error: root is missing: drivesim view waymo DIR"),
        (["scenarios", "synthetic", "--min-agents", "-3"], "min agents -3: 0 or more is expected"),
        (["scenarios", "pandsaet", "x"], "did you mean pandaset?"),
        (["scenarios", "argoverse2", "/no/such/folder"], "/no/such/folder"),
        (["scenarios", "/no/such/folder"], "neither a folder or file nor a source"),
        (["scenarios", "synthetic", "--tag", "turnleft"], "did you mean turn_left?"),
        (["scenarios", "synthetic", "--has", "cars"], "did you mean car"),
        (["scenarios", "synthetic", "--near", "here"], "--near here: LAT,LON"),
        (["scenarios", "synthetic", "--stride", "2"], "scenarios.window=SECONDS is expected with it"),
        (["scenarios", "synthetic", "elsewhere"], "elsewhere: one source and one root"),
        (["view", "synthetic", "town-9999999"], "no scenario town-9999999"),
        (["view", "synthetic", "town-0000", "--step", "99999"], "no step 99999; it has 0 to"),
        (["view", "synthetic", "town-0000", "--out", "x.gif"], "ends in .png or .html"),
        (["report", "/no/such/folder"], "no results there"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(capsys, words, told):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and told in error and len(error.splitlines()) == 1


FEW = ["scenarios", "synthetic", "--arg", "count=2", "--arg", "duration=3.0", "--workers", "0"]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path))


def test_scenarios_are_listed_with_what_they_hold(capsys, own_cache):
    assert main(FEW) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "synthetic: 2 scenes"
    assert [line.split()[0] for line in lines[1:3]] == ["town-0000", "town-0001"]
    assert "3.0 s" in lines[1] and "6 cameras" in lines[1] and "agents (" in lines[1] and " lights" in lines[1]
    assert lines[3] == "2 of 2 can be driven, 6.0 s in all" and "Apache-2.0" in lines[4]


def test_scenarios_for_programs(capsys, own_cache):
    assert main([*FEW, "--json", "--has", "pedestrian"]) == 0
    (section,) = json.loads(capsys.readouterr().out)
    assert section["source"] == "synthetic" and section["seen"] == 2 and section["removed"] == {}
    assert [scene["id"] for scene in section["scenes"]] == ["town-0000", "town-0001"]
    assert section["scenes"][0]["agents"]["pedestrian"] > 0 and section["scenes"][0]["licence"]


def test_nothing_left_is_an_error_that_says_why(capsys, own_cache):
    assert main([*FEW, "--min-agents", "100000"]) == 2
    out, error = capsys.readouterr()
    assert error == "error: 0 of 2 scenes left: 2 had fewer than 100000 agents\n" and "town" not in out


def test_enough_is_enough(capsys, own_cache):
    assert main([*FEW, "--limit", "1"]) == 0
    assert "town-0001" not in capsys.readouterr().out


def test_a_folder_is_recognised(capsys, own_cache, road, tmp_path):
    (tmp_path / "logs").mkdir()
    scenario_file.write(road, tmp_path / "logs" / "street.scenario.parquet")
    assert main(["scenarios", str(tmp_path / "logs")]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"converted in {tmp_path / 'logs'}: 1 scene\nstreet  4.0 s  1 agent (1 car)")
    assert main(["view", str(tmp_path / "logs"), "--out", str(tmp_path / "x.png")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'x.png'}\n"
    assert main(["scenarios", str(tmp_path / "logs"), "--window", "2", "--stride", "1"]) == 0
    told = capsys.readouterr().out
    assert "street@0.0s  2.0 s" in told and "street@2.0s" in told
    assert drivesim.load(root=str(tmp_path / "logs")).id == "street"
    assert drivesim.load("auto", str(tmp_path / "logs")).id == "street"
    with pytest.raises(InputError, match=r'root is missing: drivesim.load\("waymo", DIR\)'):
        drivesim.load("waymo")


@pytest.fixture
def collection(monkeypatch, tmp_path, road):
    """A folder with two formats side by side, one of them a stranger to what is at the root."""
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        scenario_file.write(replace(road, id=name), tmp_path / name / f"{name}.scenario.parquet")
    found = [("converted", tmp_path / "left"), ("converted", tmp_path / "right")]
    monkeypatch.setattr(detection, "_pairs", lambda path: found if path == tmp_path else [("converted", path)])
    return tmp_path


def test_a_collection_has_a_section_per_folder(capsys, own_cache, collection):
    assert main(["scenarios", str(collection), "--workers", "0"]) == 0
    told = capsys.readouterr().out
    for name in ("left", "right"):
        assert f"converted in {collection / name}: 1 scene\n{name}  4.0 s" in told
    assert main(["convert", str(collection), str(collection / "out")]) == 0
    assert "2 scenarios in" in capsys.readouterr().out
    assert main(["convert", str(collection), str(collection / "one"), "--limit", "1"]) == 0
    assert "1 scenario in" in capsys.readouterr().out
    assert main(["convert", str(collection), str(collection / "named"), "--id", "right"]) == 0
    assert [path.name for path in (collection / "named").iterdir()] == ["right.scenario.parquet"]


def test_one_of_a_collection_must_be_named(capsys, collection):
    assert main(["view", str(collection)]) == 2
    told = capsys.readouterr().err
    assert f"choose one: drivesim view converted {collection / 'left'}" in told and str(collection / "right") in told
    with pytest.raises(InputError, match=r'choose one: drivesim.load\("converted", ".*left"\)'):
        drivesim.load(root=str(collection))


def test_a_broken_folder_does_not_hide_the_others(capsys, own_cache, collection):
    (collection / "left" / "left.scenario.parquet").unlink()
    assert main(["scenarios", str(collection), "--workers", "0"]) == 1
    told = capsys.readouterr()
    assert f"converted in {collection / 'left'}: " in told.err and "right  4.0 s" in told.out


def test_all_kinds_are_listed_traffic_first():
    agents = {"pedestrian": 9, "car": 2, "cone": 20, "truck": 3, "bicycle": 1}
    told = line(Entry("a", "drivable", agents=agents, map={"lanes": 1, "crosswalks": 1}, cameras=1))
    assert "35 agents (3 truck, 2 car, 20 cone, 9 pedestrian, 1 bicycle)  1 camera  1 lane," in told
    assert "1 crosswalk" in told and "1 crosswalks" not in told


def test_a_wrong_id_is_answered_with_the_nearest():
    ids = [f"town-{i:04d}" for i in range(99)]
    assert nearest("0042", ids) == "did you mean town-0042?"
    assert len(nearest("town-04", ids).split(", ")) == 3
    assert nearest("x", ids) == "there are town-0000, town-0001, town-0002, ... 96 more"


def test_tags_explain_themselves(capsys):
    assert main(["scenarios", "any", "--tag", "?"]) == 0
    assert "turn_left " in capsys.readouterr().out


def test_what_a_log_calls_itself_cannot_move_the_cursor():
    entry = Entry("a\x1b[2J", "drivable", licence="x", problems=("\x07 rings", "two", "three", "four"))
    assert line(entry).splitlines() == [
        "a?[2J  0.0 s  0 agents  0 cameras  0 lanes, without links, no drivable area",
        "    ! ? rings", "    ! two", "    ! three", "    ! and 1 more (--json)",
    ]  # fmt: skip


# --help and --version


@pytest.mark.parametrize("words", [["run_closed_loop.py", "--help"], ["run_closed_loop.py", "--version"]])
def test_help_imports_nothing_heavy(words):
    code = (
        f"import runpy, sys; sys.argv = {words!r}\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        f"print('heavy:', sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_help_names_every_choice_and_every_option_with_its_default():
    told = manual.text()
    for group in parts.GROUPS:
        for name in parts.choices(group):
            assert f"\n  {name} " in told or f"\n  {name}\n" in told
            node = parts.read(group, name)
            if not node.get("_target_"):
                continue
            prefix = f"{group}.{name}" if group == "metrics" else group
            for option in parts.signature(parts.locate(node["_target_"])):
                assert f"{prefix}.{option}=" in told or f"{prefix}.{option}." in told or option == "body"
    assert "planner.driver.headway=1.5" in told and "exit codes" in told
    assert "planner: the system under test; default idm" in told


def test_an_option_is_described_by_its_type_and_comment(tmp_path, monkeypatch):
    (tmp_path / "somewhere.py").write_text("from other import Thing as Pilot\n")
    (tmp_path / "other.py").write_text(
        'LIMIT = 3.0\n\nclass Thing:\n    """Drives.\n\n    More.\n    """\n\n'
        "    speed: float = LIMIT  # [m/s]\n    names: list[str] = field(default_factory=list)\n"
        "    hidden: ClassVar[int] = 1\n    _own: int = 1\n    root: str\n"
    )
    monkeypatch.setattr(manual, "PACKAGE", tmp_path / "drivesim")
    assert manual.describe("somewhere.Pilot") == (
        "Drives.", [("speed=3.0", "float, [m/s]"), ("names=...", "list[str]"), ("root=...", "str")],
    )  # fmt: skip
    assert manual.describe("nowhere.Pilot") == ("", [])


def test_the_installed_command_answers():
    done = subprocess.run(
        [sys.executable, "-m", "drivesim.cli", "--version"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == f"drivesim {manual.release()}\n"
