"""Known answers: right on this machine, and no wrong one goes unseen by its canary, by the doctor, by a sweep."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim import canaries, config, parts, sweep
from drivesim.canaries import algebra, answer
from drivesim.cli import main
from drivesim.doctor import folders, machine
from drivesim.errors import InputError, Untrusted
from drivesim.export import own
from drivesim.storage import Store
from metrics.time_to_collision import projected

from .test_sweep import job


def slightly(function, share=1e-6):
    """The function, with results that are off by a millionth."""
    return lambda *given, **options: function(*given, **options) * (1 + share)


@pytest.mark.parametrize("name", canaries.CANARIES)
def test_this_machine_answers_right(name):
    reply = canaries.ask(name)
    assert reply.answers > 1 and reply.wrong == ()


@pytest.mark.parametrize(("name", "place", "wrong"), [
    ("matrix inverse", "numpy.linalg.inv", slightly(np.linalg.inv)),
    ("matrix inverse", "numpy.linalg.solve", slightly(np.linalg.solve)),
    ("matrix inverse", "torch.linalg.pinv", slightly(torch.linalg.pinv)),
    ("factorisation", "numpy.linalg.cholesky", slightly(np.linalg.cholesky)),
    ("LQR", "torch.linalg.pinv", slightly(torch.linalg.pinv)),
    ("LQR", "drivesim.control.lqr.curvature_profile", lambda poses, speeds, *_: torch.zeros_like(speeds)),
    ("Savitzky-Golay", "scipy.signal.savgol_filter", lambda values, *_, **__: values),
    ("box overlap", "drivesim.canaries.shapes.boxes_overlap", lambda a, b: (a.mean(-2) - b.mean(-2)).norm() < 3),
    ("point in area", "drivesim.roadmap.crossings", lambda grid, xy: np.ones(len(xy), np.int64)),
    ("collision", "metrics.collision.impact_speed", lambda ego, track: ego.speed / 2),
    ("off the road", "drivesim.geometry.rotate", lambda xy, yaw: xy + 0 * yaw[..., None]),
    ("time to collision", "metrics.time_to_collision.projected", slightly(projected, 0.1)),
    ("comfort", "metrics.comfort.smooth", lambda values: values * 1.02),
    ("ADE", "metrics.log_distance.average_displacement", lambda errors, there: errors.amax()),
    ("PDMS", "drivesim.proposals.kernel.contacts", lambda *_: (np.full((1, 2), -1), None, np.zeros((1, 2)))),
    ("PDMS", "drivesim.proposals.score.PDMS_WEIGHTS", {"TTC": 5.0, "EP": 5.0, "C": 5.0, "DDC": 0.0}),
])  # fmt: skip
def test_what_is_broken_is_seen(monkeypatch, name, place, wrong):
    monkeypatch.setattr(place, wrong)
    assert canaries.ask(name).wrong


def test_a_table_of_the_tracker_by_hand():
    """The sums behind the docstring of `lqr`, in whole numbers: steps that end in 1 s, one rate held."""
    turned = aside = 0
    for k in range(10):  # wheels turned by k tenths; turned counts in 0.1^2 v / L, aside in 0.1^3 v^2 / L
        aside, turned = aside + turned, turned + k
    assert (turned, aside) == (45, 120)
    assert 0.1**2 * 10 / 3 * turned == pytest.approx(1.5) and 0.1**3 * 100 / 3 * aside == pytest.approx(4)
    assert pytest.approx(-0.04) == -(4 * 0.395) / (16 + 22.5 + 1)
    assert pytest.approx(0.01) == (4 * 45 + 15 * 10) * (0.0395 / 33) / 39.5


@pytest.mark.parametrize("n", [1, 5, 32])
def test_the_inverses_are_exact(n):
    assert (algebra.smaller(n).astype(int) @ algebra.inverse_of_smaller(n).astype(int) == np.eye(n)).all()


def test_a_device_is_asked(monkeypatch):
    assert all(reply.right for reply in algebra.on("cpu"))
    monkeypatch.setattr("torch.linalg.inv", slightly(torch.linalg.inv))
    assert not all(reply.right for reply in algebra.on("cpu"))


def test_an_answer_is_no_number_or_of_another_shape():
    assert not answer.Answer("x", math.nan, 1.0, 1.0).right
    assert not answer.Answer("x", [1.0], [1.0, 1.0], 1.0).right
    assert not answer.Answer("x", math.inf, 1.0, 1.0).right
    assert answer.Answer("x", torch.tensor([1.0, 2.0]), [1.0, 2.1], 0.11).right


def test_a_question_that_raises_is_answered_wrong(monkeypatch):
    monkeypatch.setattr("drivesim.canaries.shapes.box_corners", lambda *_: 1 / 0)
    assert canaries.ask("box overlap").wrong == ("ZeroDivisionError: division by zero",)


def test_what_is_wrong_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setattr("numpy.linalg.inv", slightly(np.linalg.inv))
    with pytest.raises(Untrusted, match=r"matrix inverse: numpy.linalg.inv of .* is off by .*OPENBLAS_CORETYPE"):
        canaries.hold()


def test_no_answer_is_a_wrong_one(monkeypatch):
    monkeypatch.setitem(canaries.CANARIES, "LQR", lambda: iter(()))
    assert canaries.ask("LQR").wrong == ("gives no answer",)


def test_what_cannot_be_imported_is_said_without_advice_on_matrices(monkeypatch, tmp_path):
    (tmp_path / "bent.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(canaries, "CANARIES", {"ADE": lambda: parts.locate("bent.ade")})
    with pytest.raises(Untrusted, match=r"cannot be asked for \(ADE\).* importing bent raised SyntaxError") as raised:
        canaries.hold()
    assert "BLAS" not in str(raised.value)


# a sweep


def never(job):
    raise AssertionError("nothing may be driven")


def test_a_sweep_refuses_before_it_stores(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.linalg.pinv", slightly(torch.linalg.pinv))
    store, told = Store(tmp_path), []
    with pytest.raises(InputError, match="gets known answers wrong, so nothing is driven"):
        sweep.run([job()], store, never, progress=lambda *both: told.append(both))
    assert not any(path.is_file() for path in tmp_path.rglob("*")) and not told


# drivesim doctor


def test_the_doctor_finds_this_machine_fit(capsys):
    code = main(["doctor"])
    told = capsys.readouterr().out
    assert f"torch {torch.__version__}" in told and "cores for this process" in told and "cache of kernels" in told
    assert all(f"ok    {name}: " in told for name in canaries.CANARIES)
    assert (code == 0) == ("WRONG" not in told)


def test_the_doctor_survives_what_is_broken(capsys, monkeypatch):
    monkeypatch.setattr("numpy.linalg.inv", slightly(np.linalg.inv))
    monkeypatch.setattr("drivesim.report.video.encode", lambda frames: 1 / 0)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "WRONG matrix inverse: numpy.linalg.inv of min(i, j), 3 x 3 is off by" in told
    assert "WRONG video: ZeroDivisionError" in told and "ok    LQR: " in told


@pytest.fixture
def healthy(monkeypatch):
    """A doctor who examines nothing."""
    monkeypatch.setattr("drivesim.doctor.examination.EXAMINATIONS", {})
    monkeypatch.setattr("drivesim.canaries.CANARIES", {})


def test_the_doctor_looks_for_data(capsys, monkeypatch, healthy, tmp_path):
    own.write(config.source("synthetic", duration=2.0).load("town-0000"), tmp_path / "mine")
    assert main(["doctor", str(tmp_path / "mine")]) == 0
    assert f"ok    data {tmp_path / 'mine'}: converted in {tmp_path / 'mine'}" in capsys.readouterr().out
    assert main(["doctor", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such file or folder" in capsys.readouterr().out
    monkeypatch.setenv("OPENSCENE_DATA_ROOT", str(tmp_path / "mine"))
    monkeypatch.setenv("NUPLAN_DATA_ROOT", str(tmp_path / "gone"))
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "ok    data OPENSCENE_DATA_ROOT: converted" in told and "no    data NUPLAN_DATA_ROOT: " in told


def test_memory_is_at_most_what_the_container_grants(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("500000000\n")
    monkeypatch.setattr(machine, "LIMITS", (str(tmp_path / "none"), str(tmp_path / "max")))
    assert not machine.memory().ok and machine.memory().told.startswith("0.5 GB")
    (tmp_path / "max").write_text("max\n")
    assert machine._allowed() == float("inf") and machine._available() > 0


def test_the_doctor_tries_to_write(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path / "file"))
    found = folders.data()
    assert not found.ok and not found.needed and "set DRIVESIM_CACHE" in found.told
    monkeypatch.setenv("DRIVESIM_CACHE", str(tmp_path / "new"))
    assert folders.data().ok and list((tmp_path / "new").iterdir()) == []
    assert Path(folders.kernels().told).is_dir()


def compiles(task, words):
    """In place of a run: a function that calls another is compiled."""
    import numba

    assert words[0] == "scenarios.duration=2.0" and words[1] == "control=perfect" and words[2].startswith("out=")

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * 2

    return int(outer(1) != 4)


def test_the_doctor_tells_what_it_compiles(capsys, monkeypatch, healthy):
    monkeypatch.setattr("drivesim.config.main", compiles)
    assert main(["doctor", "--warm", "control=perfect"]) == 0
    told = capsys.readouterr().out
    assert "s  tests.test_canaries.outer\n" in told and "inner" not in told
    assert "ok    warm: 1 function compiled and kept, " in told


def test_what_cannot_be_run_cannot_be_warmed(capsys, healthy):
    assert main(["doctor", "--warm", "control=perfekt"]) == 1
    told = capsys.readouterr().out
    assert "WRONG warm: the run ended with code 2: error: control=perfekt: no such choice" in told


def test_who_is_ill_is_not_warmed(capsys, monkeypatch, healthy, tmp_path):
    monkeypatch.setattr("drivesim.config.main", lambda *_: 1 / 0)
    assert main(["doctor", str(tmp_path / "nowhere"), "--warm"]) == 1
    told = capsys.readouterr().out
    assert "no such file or folder" in told and "warm: " not in told
