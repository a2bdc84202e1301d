"""`drivesim compare` on result stores: the tables, the JSON, and what it refuses; the report's intervals."""

import json
import re
from pathlib import Path

import pytest

from drivesim.cli import main
from drivesim.report.entry import Entry
from drivesim.report.page import render
from drivesim.storage import Job, Store
from drivesim.types import Score

from . import worlds

NASTY = "mine\x1b[2J<script>alert(1)</script>[red]"


def job(planner="idm", scenario="a", seed=0, **changes):
    plain = {"source": {"_target_": "scenarios.test.Test"}, "fingerprint": "f" * 32, "planner": {"_target_": "p.P"}}
    return Job(**{**plain, "scenario": scenario, "planner_name": planner, "seed": seed, **changes})


def fill(out, passed, **changes):
    """A store with the scores of each (planner, scenario): a rate, and a score beside it; None is a failure."""
    store, drive = Store(out), worlds.rollout(worlds.scenario(worlds.track((0, 0), speed=5)))
    for (planner, scenario), value in passed.items():
        this = job(planner, scenario, **changes)
        if value is None:
            store.save_failure(this, "worker died", technical=True)
            continue
        more = 0.4 + 0.5 * value + 0.01 * len(scenario)
        scores = [Score("collision", value, better="more"), Score("progress", more, better="more")]
        scores += [Score("overlap", 1 - value, better="less"), Score("from_log", more, better="less", unit="m")]
        store.save(this, drive, [*scores, Score("lanes", float("nan"), False, "the map has no lanes")])
    return str(out)


@pytest.fixture
def out(tmp_path):
    names = [f"s{'x' * i}" for i in range(25)]
    passed = {("idm", name): 1.0 for name in names} | {("slow", name): float(i >= 8) for i, name in enumerate(names)}
    return fill(tmp_path / "out", {**passed, ("slow", "s"): None})


def told(capsys):
    return " ".join(re.sub("[│┃━─┏┓┡┩├┤└┘┼╇┳┴╈]", " ", capsys.readouterr().out).split())


def test_tables(out, capsys):
    assert main(["compare", out]) == 0
    text = told(capsys)
    assert "collision idm 1.000 [0.867, 1.000] 25 0 0" in text
    assert "collision slow 0.708 [0.508, 0.851] 24 1 (1 technical) 0" in text
    assert "lanes slow – – 0 1 (1 technical) 24" in text and "does not apply: the map has no lanes" in text
    assert "collision idm − slow +0.292" in text and "0.0156 24 7 / 0 McNemar, exact" in text
    assert "collision: idm is better than slow in sx, sxx, sxxx," in text
    assert "(0.91 against 0.41)" not in text and "(0.93 against 0.43)" in text
    assert "! 1 of 25 drives failed: in no mean: collision of slow; progress of slow" in text
    assert "1 drive without a counterpart is left out" in text and "among 4 tests, below 0.013" in text


def test_less_can_be_better(out, capsys):
    assert main(["compare", out, "--metrics", "overlap", "from_log"]) == 0
    text = told(capsys)
    assert "overlap ↓ idm − slow -0.292" in text and "0.0156 24 7 / 0 McNemar, exact" in text
    assert "overlap: idm is better than slow in sx, sxx, sxxx," in text and "↓ less is better" in text
    assert "from_log: slow is better than idm in" in text and "(0.43 against 0.93)" in text
    assert "from_log ↓ idm − slow +0.146" in text and "24 0 / 7" in text


def test_results_that_do_not_say_what_is_better(out, capsys):
    """As those stored before scores said so: they are counted, nobody is called better."""
    for file in (Path(out) / "results").glob("*.json"):
        row = json.loads(file.read_text())
        del row["format"]
        for score in row["scores"]:
            del score["better"]
        file.write_text(json.dumps(row))
    assert main(["compare", out, "--metrics", "overlap"]) == 0
    text = told(capsys)
    assert "7 less McNemar" in text and "overlap: slow has more than idm in sx," in text and "better than" not in text


def test_json_has_everything(out, tmp_path, capsys):
    assert main(["compare", out, "--json", str(tmp_path / "x.json"), "--metrics", "collision", "lanes"]) == 0
    found = json.loads((tmp_path / "x.json").read_text())
    assert [(r["planner"], r["metric"]) for r in found["planners"]] == [
        ("idm", "collision"), ("idm", "lanes"), ("slow", "collision"), ("slow", "lanes")
    ]  # fmt: skip
    slow = found["planners"][2]
    assert (slow["mean"], slow["n"], slow["failed"], slow["technical"]) == (pytest.approx(17 / 24), 24, 1, 1)
    assert found["planners"][3]["reasons"] == {"the map has no lanes": 24} and "mean" not in found["planners"][3]
    rate, lanes = found["comparisons"]
    assert (rate["a"], rate["b"], rate["mean_a"], len(rate["more"])) == ("idm", "slow", 1.0, 7)
    assert rate["more"][0] == {"scenario": "sx", "seed": 0, "a": 1.0, "b": 0.0}
    assert lanes["reason"] == "no score that counts of idm"


def test_chosen_planners_and_their_order(out, capsys):
    assert main(["compare", out, "--planners", "slow", "idm", "--metrics", "collision"]) == 0
    text = told(capsys)
    assert "slow − idm -0.292" in text and "progress" not in text
    assert main(["compare", out, "--planners", "slow"]) == 0
    assert "−" not in told(capsys), "one planner has nobody to be compared with"


def test_two_stores(tmp_path, capsys):
    names = "abcdefg"
    before = fill(tmp_path / "before", {("mine", n): 0.0 for n in names}, versions={"planners": "1"})
    after = fill(tmp_path / "after", {("mine", n): 1.0 for n in names}, versions={"planners": "2"})
    assert main(["compare", after, before, "--metrics", "collision"]) == 0
    text = told(capsys)
    assert "mine in after − mine in before" in text and "+1.000" in text and "0.0156 7 7 / 0" in text
    assert "7 scenarios, fewer than 20" in text
    assert main(["compare", after, before, "--planners", "mine"]) == 2
    assert "there are several, name one in full" in capsys.readouterr().err


def refused(capsys, *words):
    assert main(["compare", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_refusals(out, tmp_path, capsys):
    (tmp_path / "empty" / "results").mkdir(parents=True)
    assert "no results there; give the `out` of a run" in refused(capsys, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    assert "no results there yet" in refused(capsys, tmp_path / "empty")
    assert "choose from idm, slow (did you mean slow?)" in refused(capsys, out, "--planners", "slo")
    assert "choose from collision, progress, overlap, from_log, lanes" in refused(capsys, out, "--metrics", "colision")
    assert "the same folder twice" in refused(capsys, out, out)
    assert "cannot be written" in refused(capsys, out, "--json", tmp_path / "no" / "x.json")
    other = fill(tmp_path / "other", {("new", "elsewhere"): 1.0})
    assert "no scenario and seed in common" in refused(capsys, out, other, "--planners", "idm", "new")
    failed = fill(tmp_path / "failed", {("idm", "a"): None})
    assert "all 1 drives failed or were skipped" in refused(capsys, failed)


def test_hostile_names_stay_text(tmp_path, capsys):
    out = fill(tmp_path / "out", {(NASTY, f"[bold]{i}\x1b[31m"): float(i % 2) for i in range(3)} | {("idm", "a"): 1.0})
    assert main(["compare", out, "--planners", NASTY]) == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text and "[red]" in text


def entry(planner, scenario, value, status="ok"):
    scores = [Score("collision", value)] if status == "ok" else []
    return Entry(scenario, "test", "", planner, 0, status, scores=scores, steps=3)


def test_the_report_shows_intervals_and_warnings():
    entries = [entry("idm", str(i), float(i > 2)) for i in range(20)] + [entry("idm", "x", 0.0, "failed: why")]
    page = render([*entries, *(entry(NASTY, str(i), 1.0) for i in range(4))], "")
    table = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split("<tbody>")[1].split("</section>")[0]))
    assert "idm 21 20 1 0.85 0.64 to 0.948 n 20" in table
    assert "4 scenarios, fewer than 20: too few to trust the interval" in table
    assert "idm: 1 of 21 drives failed: in no mean" in table and "<script>alert" not in page
