"""The evaluation of a world: nothing leaks, and the command says what it found."""

import csv
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from drivesim.cli import main
from drivesim.config import part
from drivesim.errors import InputError
from drivesim.evaluation import splats, world
from drivesim.evaluation.painters import Generated, Nearest, allowed
from drivesim.evaluation.splats import Splats
from drivesim.evaluation.views import SHIFTS, recorded
from drivesim.evaluation.world import ALL, Plan, evaluate
from drivesim.types import Provenance, RecordedImage, SensorLog
from scenarios.synthetic import Synthetic

MAGENTA = np.array([255, 0, 255], np.uint8)


@cache
def town():
    return Synthetic(sensors=True, duration=2.0, beams=32).load("town-0003")


def test_leave_one_out_uses_no_photo_that_is_left_out():
    scenario = town()
    images = {
        name: tuple(_painted(i) if abs(i.time - 1.0) <= 0.25 else i for i in log)
        for name, log in scenario.sensors.images.items()
    }
    painted = replace(
        scenario, sensors=replace(scenario.sensors, images=images, sweeps=scenario.sensors.sweeps[10::10])
    )
    (view,) = recorded(scenario, 10, 160, 90, ["CAM_FRONT"])
    for painter in (Nearest(painted), Splats(painted)):
        clean, dirty = painter.draw(view, 0.25).rgb, painter.draw(view, 0.05).rgb
        assert not _magenta(clean).any() and _magenta(dirty).mean() > 0.1, painter.name
    times = [i.time for i in allowed(scenario.sensors.images["CAM_FRONT"], 1.0, 0.25)]
    assert len(times) == 16 and min(abs(t - 1.0) for t in times) == pytest.approx(0.3)
    assert len(allowed(scenario.sensors.images["CAM_FRONT"], 1.0, -1.0)) == 21


def test_the_memory_uses_no_photo_that_is_left_out(tmp_path, monkeypatch):
    """Photos within the gap are painted before the memory is built; nothing of it may show, from any camera."""
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path))
    small = Synthetic(sensors=True, duration=2.0, beams=32, width=160, height=90).load("town-0003")
    keep = ("CAM_FRONT", "CAM_FRONT_LEFT")
    images = {
        name: tuple(_painted(i) if abs(i.time - 1.0) <= 0.25 else i for i in small.sensors.images[name][::2])
        for name in keep
    }
    sensors = replace(small.sensors, images=images, sweeps=small.sensors.sweeps[::7])
    painted = replace(small, sensors=sensors, fingerprint="painted")
    row = Generated("full", painted, part("generation", "memory"))
    for view in recorded(small, 10, 160, 90, keep):
        clean, dirty = row.draw(view, 0.25), row.draw(view, ALL)
        assert (clean.provenance == Provenance.REPROJECTED).mean() > 0.3
        assert not _magenta(clean.rgb).any() and _magenta(dirty.rgb).mean() > 0.3, view.name


def _painted(image: RecordedImage) -> RecordedImage:
    picture = torch.from_numpy(np.tile(MAGENTA, (image.camera.height, image.camera.width, 1))).permute(2, 0, 1)
    return replace(image, read=lambda: picture)


def _magenta(rgb: np.ndarray) -> np.ndarray:
    return (np.abs(rgb.astype(int) - MAGENTA) < 40).all(-1)


def test_the_command_on_the_town(tmp_path, capsys, monkeypatch):
    """The raster as the generator to be judged: it is the truth there, and every pixel is a proxy."""
    monkeypatch.setattr(splats, "SWEEPS", 2)
    monkeypatch.setattr(world, "SHIFTS", SHIFTS[2:3])
    files = ["--json", str(tmp_path / "f.json"), "--csv", str(tmp_path / "f.csv"), "--pictures", str(tmp_path / "p")]
    small = ["--width", "160", "--height", "90", "--frames", "2", "--beside", "1", "--perceptual", "0"]
    options = ["sensors=true", "duration=2", "beams=32", "width=160", "height=90"]
    source = ["synthetic", "town-0003", *(word for option in options for word in ("--arg", option))]
    assert main(["evaluate", "world", *source, *small, "--generation", "raster", *files]) == 0
    printed = capsys.readouterr().out
    assert "nearest photo" in printed and "lateral 2 m" in printed and "lidar splats" in printed
    with open(tmp_path / "f.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    told = json.loads((tmp_path / "f.json").read_text())
    assert len(rows) == len(told["figures"]) > 100 and told["about"]["steps"] == [0, 20]
    assert len(list((tmp_path / "p").glob("log_*.png"))) == 2
    exact = [float(r["value"]) for r in rows if (r["row"], r["measure"], r["region"]) == ("full", "psnr", "all")]
    assert len(exact) == 18 and min(exact) > 50
    kinds = {r["measure"] for r in rows if r["row"] == "full" and r["measure"].startswith("share")}
    assert kinds == {"share proxy"}


def test_what_cannot_be_evaluated_is_refused(capsys, tmp_path):
    blind = Synthetic(duration=2.0).load("town-0003")
    with pytest.raises(InputError, match="no photos"):
        list(evaluate(Plan(blind, None, [0], [])))
    with pytest.raises(InputError, match="no photos"):
        list(evaluate(Plan(replace(blind, sensors=SensorLog({})), None, [0], [])))
    town_of_two = ["synthetic", "town-0003", "--arg", "sensors=true", "--arg", "duration=2"]
    for words in (["--gap", "-1"], ["--from-frame", "99"], ["--frames", "-2"], ["--generation", "nobody"]):
        assert main(["evaluate", "world", *town_of_two, *words]) == 2
        assert capsys.readouterr().err.startswith("error: ")
