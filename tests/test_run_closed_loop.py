"""The command as a user types it, from beginning to end on small towns."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import run_closed_loop
from drivesim.report.video import decode

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
    monkeypatch.delitem(sys.modules, "my_pilot", raising=False)

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
    films = [base64.b64decode(film) for film in re.findall(r'<script type="text/plain"[^>]*>([^<]+)<', page)]
    assert [len(decode(film)) for film in films] == [31, 31]  # the cameras and the bird's eye, 3 s
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

    code, told, _ = drive(*flat, "planner=my_pilot:Pilot", "+planner.args.gain=0.9")
    assert code == 0 and "reused" in told
    assert (first.stat().st_mtime_ns, first.read_bytes()) == before

    assert drive(*flat, "planner=my_pilot:Pilot", "+planner.args.gain=0.5")[0] == 0
    assert len(rows(tmp_path / "kept")) == 2 and first.read_bytes() == before[1]
    page = (tmp_path / "kept" / "report.html").read_text()
    assert "gain=0.9" in page and "gain=0.5" in page


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
