"""Help answers from source alone; `drivesim` says in plain words what is wrong, with the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from drivesim import manual, parts
from drivesim.check import check_planner, trial
from drivesim.cli import main
from drivesim.types import Plan

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


# drivesim check | scenarios | report | doctor


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
        (["scenarios", "pandsaet", "x"], "did you mean pandaset?"),
        (["scenarios", "argoverse2", "/no/such/folder"], "/no/such/folder"),
        (["report", "/no/such/folder"], "no results there"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(capsys, words, told):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and told in error and len(error.splitlines()) == 1


def test_scenarios_are_listed_with_what_they_hold(capsys):
    assert main(["scenarios", "synthetic", "--arg", "count=2", "--arg", "duration=3.0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["town-0000", "town-0001"]
    assert "6 cameras" in lines[0] and "agents" in lines[0] and "Apache-2.0" in lines[0]


def test_the_doctor_finds_this_machine_fit(capsys):
    code = main(["doctor"])
    told = capsys.readouterr().out
    assert "linear algebra" in told and f"torch {torch.__version__}" in told and "video" in told
    assert (code == 0) == ("WRONG" not in told)


def test_the_doctor_survives_what_is_broken(capsys, monkeypatch):
    monkeypatch.setattr("numpy.linalg.inv", lambda matrix: matrix)
    monkeypatch.setattr("drivesim.report.video.encode", lambda frames: 1 / 0)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "WRONG linear algebra" in told and "WRONG video: ZeroDivisionError" in told


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
