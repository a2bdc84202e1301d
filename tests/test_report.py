import html
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace

import pytest
import torch

from drivesim.errors import InputError
from drivesim.report.entry import Entry, _happenings
from drivesim.report.film import Comparison
from drivesim.report.mosaic import GAP, arrange
from drivesim.report.page import render, write_report
from drivesim.report.timeline import number, timeline
from drivesim.report.video import encode
from drivesim.rigs import rig
from drivesim.types import Event, Score
from tests.pictures import FlatGround, drive

NAN = float("nan")
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def entry():
    s, r = drive(steps=20, cameras=("CAM_FRONT", "CAM_BACK"))
    rising = torch.arange(20) / 10
    detail = {"type": "front", "speed": 3.25, "at_fault": True}
    scores = [
        Score("collision", 1.0, series=(rising > 1).float(),
              evidence=(Event("collision", 11, (0, 1), (5.0, 0.0), detail),)),
        Score("progress", 12.5, unit="m", series=rising),
        Score("comfort", NAN, valid=False, reason="the rollout is shorter than 1.5 s"),
    ]  # fmt: skip
    return Entry.of(s, r, "idm", scores, FlatGround(), {"plan_s": [0.01, 0.02], "host": {"cores": 2}})


def failed(**changes):
    base = {
        "scenario": "town/1",
        "source": "synthetic",
        "licence": "Apache-2.0",
        "planner": "mine",
        "seed": 3,
    }
    return Entry(**{**base, "status": "failed: planner returned NaN at step 12", **changes})


def text_of(page):
    """What a reader sees, roughly: no scripts, styles or tags."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_tags_are_computed_and_notes_are_the_sources(monkeypatch):
    s, r = drive(steps=20, cameras=())
    monkeypatch.setattr("drivesim.report.entry.tags.tags", lambda scenario: ("turn_left",))
    entry = Entry.of(replace(s, tags=("rain",)), r, "idm")
    assert (entry.tags, entry.notes) == (("turn_left",), ("rain",))
    told = text_of(render([entry], "typed"))
    assert "Tags turn_left" in told and "Notes rain" in told and "1.9 s, planner from 0.5 s" in told


def test_entry_holds_films_and_facts(entry):
    assert set(entry.videos) == {"mosaic", "birdseye"} and entry.comparison is None
    assert (entry.steps, entry.start, entry.end, entry.duration) == (20, 5, "end of log", pytest.approx(1.9))


def test_what_sums_a_drive_up_is_no_happening():
    crash, off = Event("collision", 9, (0, 4), (0.0, 0.0)), Event("drivable_area", 5, (0,), (0.0, 0.0))
    total = Event("progress", 9, (0,), (0.0, 0.0))
    scores = [
        Score("a", 0.0, better="more", evidence=(crash,)),
        Score("b", 0.4, better="more", evidence=(total, off)),
        Score("c", 1.0, better="more", evidence=(off,)),
    ]
    assert _happenings(scores, last=9) == [crash, off]


def test_entry_without_a_generator_is_filmed_from_above(entry):
    s, r = drive(steps=3)
    assert set(Entry.of(s, r, "idm").videos) == {"birdseye"}


def test_page_tells_all(entry):
    page = text_of(render([entry, failed()], "python run_closed_loop.py planner=idm seed=7", title="A title"))
    for fact in (
        "A title", "python run_closed_loop.py planner=idm seed=7", "2 rollouts asked for, 1 run, 1 failed",
        "failed: planner returned NaN at step 12", "12.5", "collision", "agents 0, 1", "type front", "speed 3.25",
        "Does not apply: the rollout is shorter than 1.5 s", "v1", "Apache-2.0",
        "host cores 2", "at fault yes", "1.1 s",
    ):  # fmt: skip
        assert fact in page, fact


def test_failures_count_in_no_mean_but_are_shown(entry):
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', render([entry, failed(planner="idm")], ""), re.S)
    cells = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", rows[0][1])).split()
    assert rows[0][0] == "idm"
    assert cells[:4] == ["2", "1", "1", "1"] and "12.5" in cells  # asked, run, failed, then means


def test_what_could_not_be_driven_is_neither_run_nor_failed(entry):
    page = text_of(render([entry, failed(status="skipped: one key frame")], ""))
    assert "2 rollouts asked for, 1 run, 1 skipped, none failed" in page and "skipped: one key frame" in page


def test_nothing_asked_is_still_a_page():
    assert "0 rollouts asked for" in text_of(render([], "python run_closed_loop.py"))


def test_hostile_names_stay_text(entry):
    quotes = "a\"b'c</title>"
    hostile = failed(
        scenario=quotes, planner=NASTY, status=f"failed: {NASTY}", tags=(NASTY,), licence=NASTY, source=NASTY,
        scores=[Score(NASTY, 1.0, unit=NASTY, series=torch.arange(3.0),
                      evidence=(Event(NASTY, 1, (0,), (0.0, 0.0), {NASTY: NASTY}),))],
        timing={NASTY: NASTY}, end=NASTY, steps=3,
    )  # fmt: skip
    page = render([entry, hostile], f"x </pre>{NASTY}", title=NASTY, versions={NASTY: NASTY})
    assert "<script>alert" not in page and quotes not in page
    assert page.count("</script>") == len(re.findall(r"<script\b", page))
    assert f"failed: {NASTY}" in text_of(page) or NASTY in html.unescape(page)
    for data in re.findall(r'<script type="application/json" class="data">(.*?)</script>', page, re.S):
        json.loads(data)


def test_page_is_alone_and_the_same_twice(entry):
    page = render([entry], "x")
    assert page == render([entry], "x")
    assert not re.search(r"""(src|href)=["']?(?!#|data:)""", page.split("<body>")[1].split("<script>")[0])
    assert "http://" not in page and "https://" not in page


def test_write_report_is_whole_or_nothing(tmp_path, entry):
    path = write_report(tmp_path / "deep" / "report.html", [entry], "x")
    assert path.read_text().endswith("</html>") or path.read_text().endswith("</html>\n")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/report.html"):
        write_report(tmp_path / "file" / "report.html", [entry], "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder"):
        write_report(tmp_path / "folder", [entry], "x")
    assert not list((tmp_path / "folder").iterdir()) and not list(tmp_path.glob(".folder*"))


def test_bytes_that_are_no_video_are_refused():
    with pytest.raises(ValueError, match="no video"):
        render([failed(status="ok", videos={"mosaic": b"nonsense"})], "x")


def test_timeline_breaks_where_nothing_is_defined():
    line = timeline(Score("x", 1.0, series=torch.tensor([0.0, 1.0, NAN, torch.inf, 0.5])))
    assert line.path.count("M") == 2 and line.path.count("L") == 1
    assert line.values == (0.0, 1.0, None, None, 0.5)
    heights = {float(x): float(y) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.path)}
    assert heights[0.5] > heights[4.5] > heights[1.5], "larger values lie higher"
    assert (line.low, line.high) == (0, 1) and heights[0.5] == pytest.approx(line.zero, abs=1e-4)
    assert abs(heights[4.5] - 0.5) < 1e-6 and all(0 < y < 1 for y in heights.values())
    assert timeline(Score("x", 1.0)) is None
    assert timeline(Score("x", 1.0, series=torch.full((4,), NAN))) is None
    flat = timeline(Score("x", 1.0, series=torch.zeros(3)))
    assert flat.zero == 0.5 and " 0.5000" in flat.path


def test_numbers():
    shown = [number(x) for x in (1.0, 0.12345, -2.5, 12345.6, NAN, float("inf"), -0.0001, 100.0)]
    assert shown == ["1", "0.123", "−2.5", "12346", "–", "∞", "0", "100"]


class Browser:
    """Headless Chromium on a pipe (DevTools protocol): opens a file, evaluates, collects complaints."""

    def __init__(self, profile):
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --remote-debugging-pipe"
        )
        command = f"exec chromium {flags} --user-data-dir='{profile}' about:blank 3<&{down_read} 4>&{up_write}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["bash", "-c", command], pass_fds=(down_read, up_write), **quiet)
        os.close(down_read)
        os.close(up_write)
        self.down, self.up = os.fdopen(down_write, "wb"), os.fdopen(up_read, "rb", buffering=0)
        self.rest, self.count, self.session, self.events = b"", 0, {}, []
        page = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")
        session = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.session = {"sessionId": session}
        for domain in ("Runtime", "Log", "Page", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params, **self.session}
        self.down.write(json.dumps(message).encode() + b"\0")
        self.down.flush()
        while (answer := self._next()).get("id") != self.count:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self):
        while b"\0" not in self.rest:
            part = self.up.read(1 << 16)
            assert part, "chromium ended"
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def __getitem__(self, expression):
        answer = self("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path):
        self("Page.navigate", url=path.as_uri())
        self.until(f"location.href === '{path.as_uri()}' && document.documentElement?.dataset.ready === 'true'")

    def until(self, expression, seconds=30):
        end = time.monotonic() + seconds
        while not self[expression]:
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.1)

    def complaints(self):
        """Exceptions, console errors and requests that left the page."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(params)
            if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(params)
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                found += [] if url.startswith(("file:", "data:", "blob:", "about:")) else [url]
        return found

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.down.close()
        self.up.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_both_videos_play_in_chromium(tmp_path, entry, browser):
    hostile = failed(scenario="a\"b'c", planner=NASTY, scores=[Score(f"</script>{NASTY}", 1.0)])
    browser.open(write_report(tmp_path / "report.html", [entry, hostile], f"x {NASTY}", title=NASTY))
    films = "[...document.querySelectorAll('#r0 [data-player] video')]"
    browser.until(f"{films}.length === 2 && {films}.every((v) => v.readyState >= 2)")
    assert browser["document.querySelectorAll('svg.plot path').length"] == 2
    browser["document.querySelector('#r0 .play').click()"]
    browser.until(f"{films}.every((v) => v.currentTime > 0.5 && v.readyState >= 2)")
    browser.until(f"{films}.every((v) => v.ended)")
    assert browser["document.querySelector('#r0 .clock').textContent"] == "1.9 s"
    assert browser.complaints() == []


def test_events_and_slider_seek_both_videos(tmp_path, entry, browser):
    browser.open(write_report(tmp_path / "report.html", [entry], "x"))
    films = "[...document.querySelectorAll('[data-player] video')]"
    browser["document.querySelector('[data-step]').click()"]
    browser.until(f"{films}.every((v) => Math.abs(v.currentTime - 1.15) < 1e-3 && !v.seeking)")
    assert browser["document.querySelector('.clock').textContent"] == "1.1 s"
    assert browser["document.querySelector('.cursor').getAttribute('x1')"] == "11.5"
    assert browser["document.querySelectorAll('[data-now]')[1].textContent"] == "1.1"
    browser["(() => { const s = document.querySelector('.seek'); s.value = 4; s.dispatchEvent(new Event('input')) })()"]
    browser.until(f"{films}.every((v) => Math.abs(v.currentTime - 0.45) < 1e-3 && !v.seeking)")
    assert browser.complaints() == []


def test_rollout_that_was_not_filmed_has_time_lines(tmp_path, entry, browser):
    bare = failed(status="ok", scores=entry.scores, steps=20)
    browser.open(write_report(tmp_path / "report.html", [bare], "x"))
    browser["document.querySelector('[data-step]').click()"]
    assert browser["document.querySelector('.cursor').getAttribute('x1')"] == "11.5"
    assert browser["document.querySelectorAll('[data-now]')[1].textContent"] == "1.1"
    assert browser.complaints() == []


def test_page_fits_a_phone_and_shows_the_comparison(tmp_path, entry, browser):
    layout = arrange(rig("nuscenes", 60, 30)[:2], 60)
    grey = encode(
        [
            torch.full((2 * layout.height + GAP, layout.width, 3), 90 + 10 * k, dtype=torch.uint8).numpy()
            for k in range(10)
        ]
    )
    both = failed(
        status="ok",
        steps=10,
        comparison=Comparison(
            grey, (layout.width, layout.height), layout.rectangles, tuple(range(10)), (f"CAM_FRONT: {NASTY}",)
        ),
    )
    browser("Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=1, mobile=True)
    browser.open(write_report(tmp_path / "report.html", [entry, both], "python run_closed_loop.py " + "x" * 300))
    assert browser["document.documentElement.scrollWidth"] <= 360
    browser["document.querySelector('.compare').scrollIntoView()"]
    browser["document.querySelector('.compare .play').click()"]
    browser.until("document.querySelector('.compare video').currentTime > 0.2")
    pixel = "document.querySelector('.compare canvas').getContext('2d').getImageData(5, 5, 1, 1).data[0]"
    assert 80 < browser[pixel] < 190
    assert browser.complaints() == []
    browser("Emulation.clearDeviceMetricsOverride")
