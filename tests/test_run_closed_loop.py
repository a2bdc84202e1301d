"""The command as a user types it, from beginning to end on small towns."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import run_closed_loop
from drivesim import cli
from drivesim.report.video import decode
from drivesim.sweep import Summary

ROOT = Path(__file__).parents[1]
SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = ("scenarios.duration=3.0", "scenarios.width=96", "scenarios.height=56")

PILOT = """
import time
import torch
from drivesim.types import Plan


class Pilot:
    sensors, period, privileged = (), 0.1, False

    def __init__(self, gain: float = 1.0, trouble: str = ""):
        self.gain, self.trouble = gain, trouble

    def reset(self, briefing): ...

    def plan(self, observation):
        if self.trouble == "raise":
            raise ValueError("no idea")
        if self.trouble == "hang":
            time.sleep(600)
        t = torch.arange(1, 31) * 0.1
        x = self.gain * observation.ego.velocity[-1, 0] * t
        return Plan(torch.stack([x, 0 * x, 0 * x], -1) * (torch.nan if self.trouble == "nan" else 1), t)
"""


@pytest.fixture
def drive(tmp_path, monkeypatch, capsys):
    """Give a command in a folder that holds `my_pilot.py`: (code, output, error)."""
    (tmp_path / "my_pilot.py").write_text(PILOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("my_pilot", "my_logs"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def give(*words):
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(sys, "argv", ["run_closed_loop.py", *words])
        code = run_closed_loop.main()
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        told = capsys.readouterr()
        return code, told.out, told.err

    return give


def rows(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((folder / "results").glob("*.json"))]


def films_of(page: str) -> list[bytes]:
    return [base64.b64decode(film) for film in re.findall(r'<script type="text/plain"[^>]*>([^<]+)<', page)]


def test_the_command_as_a_process(tmp_path):
    """A planner from the folder that the command is given in, and an exit code for scripts."""
    (tmp_path / "my_pilot.py").write_text(PILOT)
    command = [sys.executable, str(ROOT / "run_closed_loop.py"), *SMALL, "generation=none", "planner=my_pilot:Pilot"]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert (told.returncode, told.stderr) == (0, "")
    told = subprocess.run([*command, "sede=1"], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert told.returncode == 2 and told.stderr.startswith("error: sede")


def test_cameras_films_scores_and_the_command_to_repeat_it(drive, tmp_path):
    code, told, error = drive(*SMALL, "planner=constant_velocity", "seed=7")
    assert (code, error) == (0, "")
    (out,) = (tmp_path / "outputs").iterdir()
    assert f"report: {out / 'report.html'}" in told and told.count("data licence:") == 1
    page = (out / "report.html").read_text()
    assert [len(decode(film)) for film in films_of(page)] == [31, 31]  # the cameras and the bird's eye, 3 s
    assert "planner=constant_velocity seed=7" in page
    (row,) = rows(out)
    assert row["status"] == "ok" and row["seed"] == 7
    names = [score["name"] for score in row["scores"]]
    assert names == ["collision", "drivable_area", "progress", "comfort", "time_to_collision"]
    assert all(name in told for name in names)
    assert {path.name for path in tmp_path.iterdir()} == {"my_pilot.py", "outputs"}


def test_results_are_kept_reused_and_added_to(drive, tmp_path):
    flat = (*SMALL, "generation=none", "out=kept", "metrics=[progress]")
    assert drive(*flat, "planner=my_pilot:Pilot", "+planner.args.gain=0.9")[0] == 0
    (first,) = (tmp_path / "kept" / "results").iterdir()
    before = first.stat().st_mtime_ns, first.read_bytes()

    (film,) = (tmp_path / "kept" / "films").glob("*.birdseye.mp4")
    filmed = film.stat().st_mtime_ns
    code, told, _ = drive(*flat, "planner=my_pilot:Pilot", "+planner.args.gain=0.9")
    assert code == 0 and "reused" in told
    assert film.stat().st_mtime_ns == filmed
    assert (first.stat().st_mtime_ns, first.read_bytes()) == before

    assert drive(*flat, "planner=my_pilot:Pilot", "+planner.args.gain=0.5")[0] == 0
    assert len(rows(tmp_path / "kept")) == 2 and first.read_bytes() == before[1]
    page = (tmp_path / "kept" / "report.html").read_text()
    assert "gain=0.9" in page and "gain=0.5" in page
    assert len(films_of(page)) == 2, "the film of the first run is still there"

    (tmp_path / "kept" / "report.html").unlink()
    assert cli.main(["report", "kept"]) == 0
    assert len(films_of((tmp_path / "kept" / "report.html").read_text())) == 2
    assert film.stat().st_mtime_ns > filmed


def test_a_planner_that_fails_is_a_result_and_the_others_drive_on(drive, tmp_path):
    (tmp_path / "own" / "planner").mkdir(parents=True)
    (tmp_path / "own" / "planner" / "lost.yaml").write_text("_target_: my_pilot.Pilot\ntrouble: 'nan'\n")
    code, told, error = drive(
        *SMALL, "generation=none", "out=o", "planners=[lost,my_pilot:Pilot]", "--config-dir", "own", "metrics=[comfort]"
    )
    assert code == 1 and error == ""
    found = {row["planner"]: row for row in rows(tmp_path / "o")}
    assert found["Pilot"]["status"] == "ok"
    assert found["lost"]["status"] == "failed" and "not a number" in found["lost"]["cause"]
    assert "failed" in told and "not a number" in told
    assert "not a number" in (tmp_path / "o" / "report.html").read_text()


LOGS = '''
from dataclasses import dataclass
from drivesim.config import source
from drivesim.errors import InputError, NotDrivable


@dataclass(frozen=True)
class Logs:
    """Towns under other names, two of which cannot be driven and one of which is damaged."""

    def town(self): return source("synthetic", duration=3.0)
    def ids(self): return ["a-short", "b-parked", "c-damaged", "d", "e"]
    def undrivable(self): return {"a-short": "one key frame"}

    def fingerprint(self, id):
        if id == "c-damaged":
            raise InputError("boxes.feather: cut in half; copy it again")
        return self.town().fingerprint("town-0000")

    def load(self, id):
        if id == "b-parked":
            raise NotDrivable("the ego never moves")
        return self.town().load("town-0000")
'''


def test_scenes_that_cannot_be_driven_are_listed_and_damaged_ones_fail_the_run(drive, tmp_path):
    (tmp_path / "my_logs.py").write_text(LOGS)
    (tmp_path / "own" / "scenarios").mkdir(parents=True)
    (tmp_path / "own" / "scenarios" / "mine.yaml").write_text("_target_: my_logs.Logs\n")
    mine = ("--config-dir=own", "scenarios=mine", "planner=constant_velocity", "generation=none", "metrics=[]", "out=o")

    code, told, _ = drive(*mine, "scenarios.limit=0")
    assert code == 1
    assert {row["scenario"]: row["status"] for row in rows(tmp_path / "o")} == {
        "b-parked": "skipped",
        "d": "ok",
        "e": "ok",
    }
    page = (tmp_path / "o" / "report.html").read_text()
    for reason in ("one key frame", "the ego never moves", "boxes.feather: cut in half"):
        assert reason in told and reason in page

    code, told, _ = drive(*mine, "scenarios.ids=[a-short,d]")
    assert code == 0 and "skipped a-short: one key frame" in told
    code, _, error = drive(*mine, "scenarios.ids=[a-short,b-parked]")
    assert code == 2 and "a-short: one key frame; b-parked: the ego never moves" in error


def test_an_interrupted_run_says_how_to_go_on(drive, monkeypatch):
    monkeypatch.setattr("drivesim.run.sweep.run", lambda jobs, *_: Summary((jobs[0].key,), interrupted=True))
    code, told, _ = drive(*SMALL, "planner=constant_velocity")
    assert (
        code == 1
        and "interrupted with 0 of 1 done; to go on: python run_closed_loop.py" in told
        and "out=outputs" in told
    )


def test_a_planner_that_hangs_in_a_child_is_killed(drive, tmp_path):
    code, _, _ = drive(
        *SMALL,
        "generation=none",
        "out=o",
        "planner=my_pilot:Pilot",
        "+planner.args.trouble=hang",
        "planner.timeout=0.5",
    )
    (row,) = rows(tmp_path / "o")
    assert code == 1 and row["planner"] == "Pilot" and "timeout" in row["cause"]


def test_every_combination_lands_in_one_folder(drive, tmp_path):
    code, _, error = drive("-m", *SMALL, "generation=none", "out=o", "metrics=[]", "control=lqr,perfect")
    assert (code, error) == (0, "")
    found = sorted((row["job"]["control"]["_target_"].split(".")[-1], row["seed"]) for row in rows(tmp_path / "o"))
    assert found == [("LQR", 0), ("Perfect", 0)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["planner=imd"], "did you mean idm?"),
        (["planner.cruis=3"], "planner.cruis: no such option of planners.idm.IDM"),
        (["scenarios.duration=long"], "scenarios.duration=long: a number is expected"),
        (["scenarios=argoverse2"], "scenarios.root is missing"),
        (["scenarios=argoverse2", "scenarios.root=nowhere"], "nowhere"),
        (["scenarios.ids=[town-x]"], "town-x"),
        (["planner=nowhere:Pilot"], "no module named nowhere"),
        (["planner=lane_follow", "generation=none", "scenarios.duration=3.0", "out=o"], "generation=raster"),
        (["out=my_pilot.py", "scenarios.duration=3.0"], "out=my_pilot.py: cannot write there"),
    ],
)
def test_wrong_input_is_one_plain_line_and_code_2(drive, words, told):
    code, _, error = drive(*words)
    assert code == 2 and told in error
    assert error.startswith("error: ") and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "root"), [("argoverse2", "argoverse2/sensor/val"), ("pandaset", "pandaset"), ("nuscenes", "nuscenes")]
)
def test_a_real_log(drive, tmp_path, name, root):
    if not (SHARED / root).exists():
        pytest.skip(f"shared/data/{root} is not here")
    code, told, error = drive(f"scenarios={name}", f"scenarios.root={SHARED / root}", "generation=none", "out=o")
    assert code == 0, told + error
    (row,) = rows(tmp_path / "o")
    assert row["status"] == "ok" and row["licence"] in told
    if name == "nuscenes":
        assert "skipped scene-0003: 1 key frame" in told
