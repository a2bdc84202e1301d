"""`drivesim explain`: what is told of stored drives and of rollout files; what would have kept a point does keep it."""

import re
from dataclasses import replace

import pytest
import torch

from drivesim import rollout_file
from drivesim.cli import main
from drivesim.commands.evidence import Drive, points_lost, told
from drivesim.storage import Job, Store
from drivesim.types import Event, Kind, Score
from metrics.collision import collision
from metrics.comfort import comfort
from metrics.drivable_area import drivable_area
from metrics.progress import progress
from metrics.time_to_collision import time_to_collision

from .worlds import move, rollout, scenario, straight_road, track

METRICS = {f.__name__: f for f in (collision, drivable_area, progress, comfort, time_to_collision)}
PARTS = [{"_target_": f"metrics.{name}.{name}"} for name in METRICS]


def crash():
    """A log in which the ego keeps its 10 m/s, and one who stands on its lane, 20 m ahead."""
    return scenario(track((0, 0), speed=10), track((20, 0)), id="crash")


class Worlds:
    """A source without files."""

    def ids(self):
        return ["crash"]

    def fingerprint(self, id):
        return crash().fingerprint

    def load(self, id):
        return crash()


def job(**changes):
    plain = {
        "source": {"_target_": "tests.test_explain.Worlds"}, "scenario": "crash", "fingerprint": crash().fingerprint,
        "planner": {"_target_": "p.P"}, "planner_name": "straight", "metrics": PARTS,
    }  # fmt: skip
    return Job(**{**plain, **changes})


@pytest.fixture
def out(tmp_path):
    store, s = Store(tmp_path / "out"), crash()
    scores = [METRICS[name]([rollout(s)], s) for name in ("collision", "progress", "comfort", "time_to_collision")]
    store.save(job(), rollout(s), [*scores, Score("lanes", float("nan"), False, "the map has no lanes")])
    store.save_failure(job(planner_name="other"), "planner returned NaN at step 3")
    return tmp_path / "out"


def said(capsys, *words):
    assert main(["explain", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_stored_results(out, capsys):
    text = said(capsys, out)
    lines = [line.strip() for line in text.splitlines()]
    assert "crash driven by straight, seed 0: end of log" in lines
    assert "collision v1: 0, 1 lost" in lines
    assert any(
        re.fullmatch(r"collision, 1 lost: 1\.6 s \(step 16\) at \(.*\), with car 1 \(track track 1\)", x) for x in lines
    )
    assert "rule:    a contact with who stands (up to 0.05 m/s), or with an object, is the ego's fault" in lines
    assert "source:  NAVSIM 0a380a9, no at-fault collision; nuPlan e924167, no_ego_at_fault_collisions" in lines
    assert any(line.startswith("kept by: the ego ") for line in lines)
    assert "nothing lost: progress 1, comfort 1" in lines
    assert "lanes v1 does not apply: the map has no lanes" in lines
    assert "crash driven by other, seed 0: failed, without scores: planner returned NaN at step 3" in lines


def test_chosen_drives_and_scores(out, capsys):
    text = said(capsys, out, "--planner", "straight", "--metric", "progress", "--scenario", "crash", "--seed", "0")
    assert "progress v1: 1" in text and "ego 40, expert 40" in text and "other" not in text and "collision" not in text
    assert "drivable_area v1: 1" in said(capsys, out, "--planner", "straight", "--metric", "drivable_area"), "computed"


def test_scores_can_be_computed_again(out, capsys):
    store = Store(out)
    (file,) = [path for path in (out / "results").glob("*.json") if store.row(path.stem)["status"] == "ok"]
    file.write_text(file.read_text().replace("is the ego's fault", "was once the ego's fault"))
    assert "was once" in said(capsys, out) and "was once" not in said(capsys, out, "--again", "--metric", "collision")


def test_rollout_file_of_a_store(out, capsys):
    (file,) = (out / "rollouts").glob("*.parquet")
    assert "collision v1: 0, 1 lost" in said(capsys, file)


def test_rollout_file_alone(tmp_path, capsys):
    file = tmp_path / "drive.parquet"
    file.write_bytes(rollout_file.encode(rollout(crash()), "0" * 32))
    text = said(capsys, file, "tests.test_explain:Worlds")
    assert text.startswith("crash, seed 0: end of log\n") and "collision v1: 0, 1 lost" in text
    assert "drivable_area 1" in text, "the metrics of a run that names none"
    assert "collision" not in said(capsys, file, "tests.test_explain:Worlds", "--metric", "comfort")


def refused(capsys, *words):
    assert main(["explain", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_refusals(out, tmp_path, capsys):
    assert "no such folder or file" in refused(capsys, tmp_path / "nowhere")
    assert "no results there" in refused(capsys, tmp_path)
    assert "did you mean crash?" in refused(capsys, out, "--scenario", "crahs")
    assert "--planner mine: no such drive" in refused(capsys, out, "--planner", "mine")
    assert "did you mean comfort?" in refused(capsys, out, "--planner", "straight", "--metric", "confort")
    file = tmp_path / "drive.parquet"
    file.write_text("no parquet")
    assert "no stored result tells its scenario" in refused(capsys, file)
    assert "not a readable rollout" in refused(capsys, file, "tests.test_explain:Worlds")
    file.write_bytes(rollout_file.encode(replace(rollout(crash()), fingerprint="other"), "0" * 32))
    assert "its data is not what was driven" in refused(capsys, file, "tests.test_explain:Worlds")
    assert "is one drive" in refused(capsys, file, "--planner", "idm")


def test_parts_of_a_composite_score():
    """Sub-scores, most lost first, with what they lost it to below them."""
    at = (0, (0.0, 0.0))
    events = (
        Event("speed_limit", 9, (0,), at[1], {"value": 0.9, "weight": 4.0, "lost": 0.05, "rule": "R", "kept_by": "K"}),
        Event("no_collision", 9, (0,), at[1], {"value": 0.5, "factor": 0.5, "lost": 0.4}),
        Event("contact", 5, (0, 3), at[1], {"part": "no_collision", "kind": "bus", "track": "B", "with": {"x": 1.5}}),
        Event("plain", 2, (0,), at[1], {"part": "elsewhere", "x": True}),
    )
    scores = [
        Score("a", 0.9, better="more"), Score("pdms", 0.55, better="more", evidence=events),
        Score("ade", 3.0, unit="m", better="less"),
    ]  # fmt: skip
    lines = list(told(Drive("T", scores, rollout(crash()))))
    assert lines == [
        "T",
        "  pdms v1: 0.55, 0.45 lost",
        "    no_collision 0.5 (factor 0.5), 0.4 lost: 0.9 s (step 9) at (0.0, 0.0)",
        "      contact: 0.5 s (step 5) at (0.0, 0.0), with bus 3 (track B)",
        "        details: with (x 1.5)",
        "    speed_limit 0.9 (weight 4), 0.05 lost: 0.9 s (step 9) at (0.0, 0.0)",
        "      rule:    R",
        "      kept by: K",
        "    plain of elsewhere: 0.2 s (step 2) at (0.0, 0.0)",
        "      details: x yes",
        "  ade v1: 3 m",
        "  no evidence of a loss: a 0.9",
    ]
    assert [points_lost(s) for s in scores] == pytest.approx([0, 0.45, 0])


def test_what_is_better_when_lower_loses_by_being_high():
    event = (Event("e", 3, (0,), (0.0, 0.0), {"kept_by": "K"}),)
    scores = [
        Score("overlap", 1.0, better="less", evidence=event), Score("off_road", 0.0, better="less"),
        Score("wrong_way", 0.0, unit="m", better="less"), Score("from_log", 2.0, unit="m", better="less"),
        Score("brake", 1.0, better="more", evidence=event), Score("old", 1.0, evidence=event),
        Score("points", 40.0, unit="%", better="more", evidence=event), Score("all", 100.0, unit="%", better="more"),
    ]  # fmt: skip
    assert [score.lost for score in scores] == pytest.approx([1, 0, 0, 0, 0, 0, 0.6, 0])
    assert [score.perfect for score in scores] == [False, True, True, False, True, False, False, True]
    lines = list(told(Drive("T", scores, rollout(crash()))))
    assert [line.strip() for line in lines if not line.startswith("    ")][1:] == [
        "overlap v1: 1, 1 lost", "points v1: 40 %, 0.6 lost", "from_log v1: 2 m", "old v1: 1",
        "nothing lost: off_road 0, wrong_way 0, brake 1, all 100",
    ]  # fmt: skip
    assert not Score("x", float("nan"), False, "why", better="less").perfect
    with pytest.raises(ValueError, match="better='lower' is neither"):
        Score("x", 1.0, better="lower")


def test_what_goes_on_for_many_steps_is_told_a_few_times():
    events = tuple(Event("near", k, (0,), (0.0, 0.0), {"kept_by": "K"}) for k in range(2, 9))
    lines = list(told(Drive("T", [Score("overlap", 1.0, better="less", evidence=events)], rollout(crash()))))
    assert lines[1] == "  overlap v1: 1, 1 lost" and lines[-1] == "    near: 4 more, the last at 0.8 s (step 8)"
    assert sum("kept by: K" in line for line in lines) == 3


def test_hostile_names_stay_text(tmp_path, capsys):
    store, s = Store(tmp_path / "out"), crash()
    event = Event("x\x1b[2J", 0, (0, 1), (0.0, 0.0), {"track": "\x1b[31mred", "rule": "a\nb"})
    store.save(job(planner_name="p\x1b"), rollout(s), [Score("s", 0.0, evidence=(event,))])
    assert "\x1b" not in said(capsys, tmp_path / "out")


# what would have kept the points, by doing it


def kept(score):
    return score.evidence[0].detail["kept_by"]


def number(text, after="", before=""):
    return float(re.search(rf"{after}(-?[\d.]+){before}", text)[1])


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0])
@pytest.mark.parametrize(("x", "y"), [(4.0, 0.5), (4.5, -1.2), (3.0, 1.0)])
def test_an_ego_that_far_off_does_not_touch(angle, x, y):
    """The boxes overlap at step 1; moved by what is told, and a millimetre, they no longer do."""
    road = straight_road(lanes=3)
    other = track((10 + x, y), yaw=0.3)

    def drive(back, aside):
        start = track((0, 0), speed=0).replace(velocity=torch.tensor([100.0, 0.0]).expand(41, 2))
        xy = start.xy.clone()
        xy[1:] = torch.tensor([10.0 - back, aside])
        s = scenario(start, other, map=road)
        r = rollout(s, start.replace(xy=xy), other)
        return collision([move(r, angle, (30.0, 9.0))], move(s, angle, (30.0, 9.0)))

    hit = drive(0, 0)
    assert hit.value == 0.0 and hit.evidence[0].detail["lost"] == 1.0
    side = "left" if "further left" in kept(hit) else "right"
    back, aside = number(kept(hit), before=" m further back"), number(kept(hit), before=f" m further {side}")
    sign = 1 if side == "left" else -1
    assert drive(back + 0.006, 0).value == 1.0 and drive(back - 0.006, 0).value == 0.0
    assert drive(0, sign * (aside + 0.006)).value == 1.0 and drive(0, sign * (aside - 0.006)).value == 0.0
    assert drive(0, -sign * (aside - 0.006)).value == 0.0, "the other side is no nearer"


def test_a_contact_that_is_no_fault_loses_nothing():
    ego, rear = track((0, 0), speed=5), track((-12, 0), speed=12)
    s = scenario(ego, rear)
    (event,) = collision([rollout(s)], s).evidence
    assert (
        event.detail["lost"] == 0.0 and "kept_by" not in event.detail and "not the ego's fault" in event.detail["rule"]
    )
    cone = scenario(track((0, 0), speed=5), track((12, 0), kind=Kind.CONE))
    assert collision([rollout(cone)], cone).evidence[0].detail["lost"] == 0.5


def test_an_ego_that_slow_keeps_its_time():
    s = scenario(track((0, 0), speed=10, steps=8), track((14, 0), speed=2, steps=8))
    score = time_to_collision([rollout(s)], s)
    (event,) = score.evidence
    speed = number(kept(score), before=" m/s or less")

    def at(v):
        ego = rollout(s).agents[event.step]
        still = track(tuple(ego.xy[0].tolist()), speed=v, steps=1), track(tuple(ego.xy[1].tolist()), speed=2, steps=1)
        there = scenario(*still)
        return time_to_collision([rollout(there)], there).value

    assert 2 < speed < 10 and at(speed) == 1.0 and at(speed + 0.11) == 0.0 and at(speed / 2) == 1.0


def test_only_standing_keeps_the_time_to_a_wall_at_the_bumper():
    s = scenario(track((0, 0), speed=3, steps=1), track((5.0, 0), steps=1))
    assert kept(time_to_collision([rollout(s)], s)) in ("the ego standing", "the ego at 0.1 m/s or less")


@pytest.mark.parametrize("angle", [0.0, 1.1])
def test_an_ego_that_far_aside_stays_on_the_road(angle):
    s = scenario(track((0, -1.2), speed=5), map=straight_road(lanes=2))
    here = lambda y: rollout(s, track((0, y), speed=5))  # noqa: E731
    score = drivable_area([move(here(-1.2), angle, (5.0, 5.0))], move(s, angle, (5.0, 5.0)))
    aside = number(kept(score), before=" m further left")
    assert (
        drivable_area([here(-1.2 + aside)], s).value == 1.0
        and drivable_area([here(-1.2 + aside - 0.1)], s).value == 0.0
    )
    far = drivable_area([here(-30.0)], s)
    assert number(kept(far), before=" m further inside") == pytest.approx(
        far.evidence[0].detail["worst_outside_by"], abs=0.01
    )


def test_that_much_more_way_keeps_the_progress():
    s = scenario(track((0, 0), speed=10))
    score = progress([rollout(s, track((0, 0), speed=4))], s)
    more = number(kept(score), before=" m more")
    assert more == pytest.approx(24, abs=0.01) and score.evidence[0].detail["lost"] == pytest.approx(0.6)
    assert progress([rollout(s, track((0, 0), speed=4 + more / 4.0))], s).value == pytest.approx(1.0)
    assert "kept_by" not in progress([rollout(s)], s).evidence[0].detail


def test_bounds_of_comfort_are_named():
    s = scenario(track((0, 0), speed=20, acceleration=-5))
    score = comfort([rollout(s)], s)
    assert kept(score) == "longitudinal acceleration above -4.05 m/s^2: 0.95 m/s^2 more at this step"
    assert (
        score.evidence[0].detail["rule"]
        == "longitudinal acceleration strictly between -4.05 and 2.4 m/s^2 at every step"
    )
    assert "nuPlan e924167" in score.evidence[0].detail["source"]
