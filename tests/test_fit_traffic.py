"""`drivesim fit-traffic`, on written logs and on the shared ones."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from drivesim.cli import main
from drivesim.errors import InputError
from drivesim.export import own
from drivesim.report.histograms import draw
from drivesim.traffic.following import IDM
from drivesim.traffic.population import Class, Population, Source
from drivesim.types import Kind

from .roots import ROOTS, small_root
from .test_population import driven, law, stop_and_go, way
from .worlds import scenario, straight_road, track

STEPS = 150


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Two scenes, each with twelve lanes of a leader and two IDM drivers of headway 1.0 s and gap 2.5 m behind it."""
    from drivesim.traffic.fitting.calibration import simulate

    folder, rng = tmp_path_factory.mktemp("crowd"), np.random.default_rng(3)
    for k in range(2):
        tracks = []
        for lane in range(12):
            leader = np.abs(stop_and_go(STEPS, rng) + rng.normal(0, 0.03, STEPS))  # no two drive alike
            rear, first = way(leader, 60.0), leader[0]
            tracks.append(driven(leader, 60.0, 6.0 * lane))
            for _ in range(2):
                s = rear[0] - 4.6 - 2.5 - 1.0 * first
                values = (rng.uniform(1.3, 1.7), 2.0, 1.0 * np.exp(rng.normal(0, 0.05)), 2.5, rng.uniform(14, 16))
                ways, speed = simulate(s + 2.3, first, rear - 2.3, leader, 0.1, *values)
                tracks.append(driven(speed, ways[0] - 2.3, 6.0 * lane))
                rear, leader = ways - 2.3, speed
        world = scenario(
            track((0, -60.0), speed=0.1, steps=STEPS), *tracks, map=straight_road(1, 600.0), id=f"crowd{k}"
        )
        own.write(world, folder)
    return folder


def test_a_population_comes_out_of_logs(crowd, tmp_path, capsys):
    out, picture = tmp_path / "traffic.yaml", tmp_path / "fit.png"
    words = ["fit-traffic", str(crowd), "--out", str(out), "--picture", str(picture)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "2 scenes, 72 tracks that move\n" in told and str(out) in told and str(picture) in told
    assert re.search(r"car *│ headway \(s\) *│ *\d\d │", told) and "did not count (tracks):" in told
    assert re.search(r"car headway: .*no episode \d+", told) and "car lateral: NOT FITTED, 0 known" in told
    made = Population.read(out)
    assert made.sources[0].scenes == 2 and made.sources[0].licence and made.made_by.startswith("drivesim ")
    assert float(made.classes["car"].laws["headway"].quantile(0.5)) == pytest.approx(1.0, rel=0.15)
    styles = made.draw(torch.full((200,), int(Kind.CAR)), 0)
    assert float(styles.headway[1:].median()) == pytest.approx(1.0, rel=0.15) and len(styles.headway.unique()) > 150
    pixels = np.asarray(Image.open(picture))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    again = tmp_path / "again.yaml"
    assert main([*words[:2], "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()


def test_the_same_logs_given_twice_count_once(crowd, tmp_path, capsys):
    assert main(["fit-traffic", str(crowd), str(crowd), "--out", str(tmp_path / "t.yaml")]) == 0
    again = re.search(r"(\d+) tracks? that move, and (\d+) that repeat", capsys.readouterr().out)
    new, repeated = int(again[1]), int(again[2])
    assert new + repeated == 72 and new <= 4  # who goes like a clock cannot be told from others who do
    assert sum(source.tracks for source in Population.read(tmp_path / "t.yaml").sources) == 72 + new


def test_limit_and_named_source(crowd, tmp_path, capsys):
    words = ["fit-traffic", str(crowd), "--source", "converted", "--limit", "1", "--fewest", "5"]
    assert main([*words, "--out", str(tmp_path / "t.yaml")]) == 0
    assert "1 scene, 36 tracks that move" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "ROOT is missing"),
        (["{logs}", "--limit", "-1"], "--limit is 0 or more"),
        (["{logs}", "--fewest", "2"], "--fewest 5 or more"),
        (["{logs}", "--picture", "fit.jpg"], "a .png is written"),
        (["{logs}", "--out", "{logs}"], "a file in a folder that is there is expected"),
        (["{logs}", "--out", "{logs}/none/t.yaml"], "a file in a folder that is there is expected"),
        (["{logs}", "--source", "wymo"], "did you mean waymo"),
        (["nowhere"], "neither a folder or file nor a source"),
        (["{empty}"], "empty"),
    ],
)
def test_wrong_words_are_told(crowd, tmp_path, capsys, words, told):
    (tmp_path / "empty").mkdir()
    words = [word.format(logs=crowd, empty=tmp_path / "empty") for word in words]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "t.yaml")]
    assert main(["fit-traffic", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and told in error and "Traceback" not in error
    assert not (tmp_path / "t.yaml").exists()


def test_logs_that_tell_too_little_are_an_error(crowd, tmp_path, capsys):
    code = main(["fit-traffic", str(crowd), "--limit", "1", "--fewest", "500", "--out", str(tmp_path / "t.yaml")])
    assert code == 2 and not (tmp_path / "t.yaml").exists()
    told = capsys.readouterr().err
    assert re.search(r"nothing could be fitted: 36 tracks move in 1 scene, a law needs 500 .*most tell of car", told)


def test_a_scene_that_cannot_be_read_costs_itself_alone(crowd, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for file in crowd.rglob("*"):
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    last = sorted(folder.iterdir())[-1]
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    code = main(["fit-traffic", str(folder), "--fewest", "5", "--out", str(tmp_path / "t.yaml")])
    told = capsys.readouterr()
    assert code == 1 and "crowd1" in told.err and "1 scene, 36 tracks" in told.out


def test_written_logs_of_another_format(tmp_path, capsys):
    root = small_root("nuplan", tmp_path / "logs")
    code = main(["fit-traffic", str(root), "--fewest", "5", "--out", str(tmp_path / "t.yaml")])
    told = capsys.readouterr()
    assert code in (0, 2) and ("nuplan" in told.out) and "Traceback" not in told.err


@pytest.mark.parametrize(("name", "limit"), [("waymo", 5), ("commonroad", 14)])
def test_shared_logs(name, limit, tmp_path, capsys):
    if not ROOTS[name].exists():
        pytest.skip(f"the shared {name} logs are not here")
    out = tmp_path / "t.yaml"
    assert main(["fit-traffic", str(ROOTS[name]), "--limit", str(limit), "--out", str(out), "--fewest", "5"]) == 0
    laws = Population.read(out).classes["car"].laws
    assert 0.6 < float(laws["headway"].quantile(0.5)) < 2.5 and laws["headway"].tracks >= 5
    assert "tracks that move" in capsys.readouterr().out


def test_a_picture_needs_a_place(tmp_path):
    people = Population({"car": Class(5, {"gap": law()})}, (Source("s", 1, 5, "none"),), driver=IDM())
    values = {"car": [{"gap": float(x)} for x in law().quantile(np.linspace(0.05, 0.95, 5))]}
    assert draw(people, values, tmp_path / "a.png").is_file()
    for bad, told in (("a.jpg", "written as .png"), ("no/a.png", "cannot write")):
        with pytest.raises(InputError, match=told):
            draw(people, values, tmp_path / bad)
