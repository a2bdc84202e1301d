"""`drivesim convert`."""

import json

import pytest

from drivesim.cli import main
from drivesim.config import source


def run(capsys, *words):
    code = main(["convert", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_town_becomes_a_file_that_is_recognized(tmp_path, capsys):
    code, told, _ = run(capsys, "synthetic", tmp_path, "--arg", "duration=3.0", "--limit", "2")
    assert code == 0 and "2 scenarios in" in told
    assert source("converted", tmp_path).ids() == ["town-0000", "town-0001"]
    assert main(["scenarios", str(tmp_path), "--json"]) == 0
    [section] = json.loads(capsys.readouterr().out)
    assert section["source"] == "converted" and len(section["scenes"]) == 2


def test_filters_ids_and_windows_choose(tmp_path, capsys):
    small = ("--arg", "duration=4.0", "--arg", "count=3")
    assert run(capsys, "synthetic", tmp_path / "a", *small, "--id", "town-0002")[0] == 0
    assert source("converted", tmp_path / "a").ids() == ["town-0002"]
    code, _, wrong = run(capsys, "synthetic", tmp_path / "b", *small, "--min-agents", "9999")
    assert code == 2 and "0 of 3 scenes left: 3 had fewer than 9999 agents" in wrong
    assert run(capsys, "synthetic", tmp_path / "c", *small, "--window", "2", "--limit", "2")[0] == 0
    assert source("converted", tmp_path / "c").ids() == ["town-0000@0.0s", "town-0000@2.0s"]
    assert run(capsys, "synthetic", tmp_path / "d", *small, "--id", "village")[0] == 2


def test_to_scenarionet_and_back(tmp_path, capsys):
    code, told, _ = run(capsys, "synthetic", tmp_path, "--arg", "duration=3.0", "--limit", "1", "--to", "scenarionet")
    assert code == 0 and "sd_drivesim_town-0000.pkl" in told
    reader = source("scenarionet", tmp_path)
    assert reader.load(reader.ids()[0]).steps == 31


def test_scenes_without_recordings_are_told_when_sensors_are_asked_for(tmp_path, capsys):
    words = ("synthetic", tmp_path, "--arg", "duration=3.0", "--limit", "1")
    assert "without sensors: it has no recordings" in run(capsys, *words, "--sensors")[1]
    assert "no recordings" not in run(capsys, *words)[1]


def test_a_place_that_cannot_be_written_is_told_before_anything_is_loaded(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("drivesim.parts.build", lambda part: pytest.fail("loaded"))
    (tmp_path / "file").touch()
    places = {
        tmp_path / "file": "this is a file",
        tmp_path / "file" / "x": "cannot write",
        "/proc/nope": "cannot write",
    }
    for out, told in places.items():
        code, _, wrong = run(capsys, "synthetic", out)
        assert code == 2 and told in wrong and len(wrong.splitlines()) == 1


def test_nothing_written_leaves_nothing_behind(tmp_path, capsys):
    assert run(capsys, "synthetic", tmp_path / "out", "--id", "village")[0] == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words, reason",
    [
        (["synthetic"], "the folder to write to"),
        (["/nowhere", "/tmp/x"], "neither a folder or file nor a source"),
        (["synthetic", "/tmp/x", "--sensors", "--to", "scenarionet"], "hold none"),
        (["synthetic", "/tmp/x", "--limit", "-1"], "--limit"),
    ],
)
def test_what_is_refused(capsys, words, reason):
    code, _, wrong = run(capsys, *words)
    assert code == 2 and reason in wrong and "Traceback" not in wrong
