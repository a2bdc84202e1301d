"""What a reader sees of a run: its final table, and what tells drives of one planner apart."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from drivesim.cli import main
from drivesim.report.entry import Entry
from drivesim.report.stored import report
from drivesim.run import table
from drivesim.storage import Store

from .test_compare import fill, job, told

REPLAY = {"_target_": "drivesim.behavior.replay.Replay"}
IDM = {"_target_": "drivesim.behavior.idm.IDMTraffic"}


def shown(rows):
    """The final table's rows as words, and the lines below it."""
    rich, notes = table(rows)
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(rich)
    lines = [re.sub(r"[│┃]", " ", line).split() for line in console.export_text().splitlines()]
    return [" ".join(words) for words in lines], notes


def test_the_final_table_has_intervals_and_counts(tmp_path):
    passed = {("idm", f"s{i:02}"): float(i >= 4) for i in range(20)} | {("idm", "t"): None}
    lines, notes = shown(Store(fill(tmp_path, passed)).rows())
    assert "driven 20 of 21" in lines and "failed 1 of 21, 1 technical" in lines
    assert "collision 0.8 [0.584, 0.919]" in lines  # Wilson's interval of 16 of 20
    assert "overlap ↓ 0.2 [0.0807, 0.416]" in lines
    assert any(re.fullmatch(r"progress 0\.83 \[0\.\d+, 0\.\d+\]", line) for line in lines)
    assert "lanes does not apply" in lines
    assert "! 1 of 21 drives failed: in no mean" in notes and "↓ less is better" in notes
    assert not any("fewer than" in note for note in notes)


def test_one_drive_says_nothing_of_others(tmp_path):
    lines, notes = shown(Store(fill(tmp_path, {("idm", "s"): 1.0})).rows())
    assert "progress 0.91" in lines and "from_log ↓ 0.91 m" in lines
    assert notes[0] == "! 1 scenario, fewer than 20: too few to trust the interval"


def test_several_planners_stand_side_by_side(tmp_path):
    lines, notes = shown(Store(fill(tmp_path, {("idm", "s"): 1.0, ("mine", "s"): None})).rows())
    assert "idm mine" in lines and "driven 1 of 1 0 of 1" in lines and "failed 0 of 1 1 of 1, 1 technical" in lines
    assert "lanes does not apply –" in lines and "! mine: 1 of 1 drives failed: in no mean" in notes


@pytest.fixture
def both(tmp_path):
    """One planner with both behaviours, in one store as `-m` leaves it, and one failure."""
    out = fill(tmp_path / "both", {("idm", "s"): 1.0, ("idm", "t"): 1.0}, behavior=IDM)
    fill(out, {("idm", "s"): 0.0, ("idm", "t"): None}, behavior=REPLAY)
    return out


def test_compare_tells_behaviours_apart(both, capsys):
    assert main(["compare", both, "--metrics", "collision"]) == 0
    text = told(capsys)
    assert "collision idm (behavior idm) 1.000" in text and "collision idm (behavior replay) 0.000" in text
    assert "idm (behavior replay): driven in behavior=replay control=none generation=none" in text


def test_compare_names_the_world_that_all_share(tmp_path, capsys):
    own = {"_target_": "my.pkg.Traffic", "speed": 3.0}
    assert main(["compare", fill(tmp_path, {("idm", "s"): 1.0, ("mine", "s"): 1.0}, behavior=own)]) == 0
    text = told(capsys)
    assert text.count("driven in") == 1 and "driven in behavior=Traffic speed=3.0 control=none" in text


def test_the_report_tells_them_apart(both, monkeypatch):
    monkeypatch.setattr("drivesim.report.stored._worth", lambda rows: [])  # nothing is filmed
    store = Store(both)
    mine = [row["key"] for row in store.rows() if row["job"]["behavior"] == REPLAY]
    left_out = Entry("u", "test", "", "idm", 0, "skipped: too short")
    page = report(store, first=mine, beside=[left_out]).read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "idm (behavior replay) 3 1 1 1" in text  # asked, run, skipped, failed
    assert "idm (behavior idm) 2 2 0 0" in text
    assert text.count("World behavior=replay") == 2 and text.count("World behavior=idm") == 2


def test_the_report_adds_nothing_where_nothing_differs(tmp_path, monkeypatch):
    monkeypatch.setattr("drivesim.report.stored._worth", lambda rows: [])
    page = report(Store(fill(tmp_path, {("idm", "s"): 1.0}, behavior=IDM))).read_text()
    assert "<dd>idm</dd>" in page and "idm (" not in page


# a folder that may only be read


def test_what_only_reads_writes_nothing(both, monkeypatch, capsys):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    for name in ("mkdir", "touch", "write_bytes", "write_text"):
        monkeypatch.setattr(Path, name, refused)
    assert main(["compare", both]) == 0
    assert main(["explain", both, "--scenario", "s"]) == 0
    key = next(row["key"] for row in Store(both, read_only=True).rows() if row["status"] == "ok")
    assert main(["explain", f"{both}/rollouts/{key}.parquet"]) == 0
    assert main(["report", both]) == 2
    assert "cannot write there (Permission denied)" in capsys.readouterr().err


def test_a_store_to_read_makes_no_folder(tmp_path):
    store = Store(tmp_path / "none", read_only=True)
    assert store.rows() == [] and not store.has(job().key) and not (tmp_path / "none").exists()
