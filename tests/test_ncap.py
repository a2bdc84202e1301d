"""Crash tests: NeuroNCAP's files, tests built on any log, and the ego that takes no action."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from drivesim.config import part, source
from drivesim.control.perfect import Perfect
from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import wrap_angle
from drivesim.loading import fingerprint
from drivesim.loading.coasting import coast, first_touch, path_left
from drivesim.simulator import simulate
from drivesim.types import DT, Kind
from metrics.neuro_ncap import neuro_ncap, reference_speed
from planners.expert import Expert
from scenarios.ncap import Ncap
from scenarios.ncap.source import crash
from scenarios.ncap.spec import parse
from scenarios.ncap.staged import KINDS

from .worlds import scenario, straight_road, track

SHARED = Path(__file__).parents[2] / "shared"
TESTS = SHARED / "oracles" / "neuro_ncap"
LOGS = SHARED / "data" / "scenarionet" / "nuscenes"
NOMINAL = {"stationary_0061": (8.72, 5.95), "stationary_0103": (7.16, 4.85), "frontal_0103": (12.96, 4.20)}
"""Impact speed [m/s] and time since the test's start [s]. This log is resampled from key frames: its speed at taking
over differs by up to 0.35 m/s from that of nuScenes itself, and the time by what comes of that."""


class Street:
    """A source of one log: 15 s, the ego at 8 m/s, one that moves, one that stands."""

    def ids(self):
        return ["street-0007"]

    def fingerprint(self, id):
        return fingerprint([], id)

    def load(self, id):
        s = scenario(
            track((0, 0), speed=8, steps=151), track((60, 3.5), speed=5, steps=151), track((30, 7), steps=151),
            map=straight_road(lanes=3, length=400), start=10, id=id,
        )  # fmt: skip
        return replace(
            s, fingerprint=self.fingerprint(id), origin=torch.tensor([1000.0, 500.0, 0], dtype=torch.float64)
        )


FILE = """
general:
  start-frame: 4
  time-step: 0.5
  priming-steps: 2
  duration: 8.0
actors:
  - uuid: track 1
    mode: override
    times: [0.0, 10.0, 20.0]
    positions: [[1100, 500, 0], [1060, 500, 0], [1000, 500, 0]]
    is-target-actor: true
    jitter: {longitudinal: 4.0, lateral: 0.5, long-lat-angle: 0.0}
"""


def ncap_of(tmp_path, text=FILE, name="frontal_0007.yaml", **options):
    file = tmp_path / name
    file.write_text(text)
    return Ncap(source=Street(), spec=str(file), **options)


# the ego that takes no action


def test_coasting_keeps_speed_and_path():
    log = track((0, 0), speed=8, acceleration=-1.0, steps=81)
    ego = coast(log, 20, 101)
    assert torch.equal(ego.xy[:20], log.xy[:20].double()) and len(ego.yaw) == 101
    assert torch.allclose(ego.xy[20:].diff(dim=0).norm(dim=-1), torch.tensor(0.6).double(), atol=1e-3)
    assert torch.allclose(ego.velocity[20:].norm(dim=-1), torch.tensor(6.0).double(), atol=1e-3)
    assert path_left(log, 20) == pytest.approx(18, abs=0.4)
    assert float(ego.xy[-1, 1].abs()) < 1e-6  # straight on beyond the log's end


def test_coasting_round_a_bend():
    t = torch.arange(101) * DT
    yaw = 0.2 * t
    from .worlds import path

    way = torch.stack([40 * yaw.sin(), 40 - 40 * yaw.cos()], -1)
    log = path(way, yaw, 8 * torch.stack([yaw.cos(), yaw.sin()], -1))
    assert torch.allclose(coast(log, 10, 101).xy, log.xy.double(), atol=0.05)
    assert torch.allclose(coast(log, 10, 101).yaw, yaw.double(), atol=0.01)


def test_first_touch_is_between_steps_and_at_the_speed_before():
    ego, other = track((0, 0), speed=8, steps=41), track((20.7, 0), steps=41)  # apart by 16.1 m: 2.0125 s
    world = scenario(ego, other)
    who = torch.tensor([False, True]).expand(41, 2)
    touch = first_touch(world.log[:, 0], world.log, who, 0)
    gap = 20.7 - (5.176 + 4.6) / 2
    assert touch.step == pytest.approx(math.ceil(gap / 8 / DT * 2) / 2) and touch.agent == 1
    assert touch.speed == pytest.approx(8) and first_touch(world.log[:, 0], world.log, ~who, 30) is not None
    assert first_touch(world.log[:, 0], world.log, torch.zeros_like(who), 0) is None


# NeuroNCAP's files


def test_keys_with_dashes_and_ids_that_yaml_would_make_numbers_of():
    text = """
general: {start-frame: 8, duration: 7.5, start_jitter: 1}
actors:
  - uuids: [0103, 9e51151, 12345678901234567890, 0x1f, on, 2024-01-02, 1_000]
    flip-uuids: [0103]
    mode: override
    times: [0, 20]
    positions: [[1e2, -2, 0], [1.0e+2, -2.0, 0.0]]
    initial-yaw: -0.8
    exclusive-group: left
    something-new: 3
  - {uuid: 017, mode: optimized}
"""
    spec = parse(text, "here")
    first, second = spec.actors
    assert first.ids == ("0103", "9e51151", "12345678901234567890", "0x1f", "on", "2024-01-02", "1_000")
    assert first.flipped == ("0103",) and second.ids == ("017",) and not second.override
    assert (spec.start_frame, spec.duration, spec.start_jitter, first.yaw) == (8, 7.5, 1, -0.8)
    assert first.positions[0] == first.positions[1] == (100.0, -2.0, 0.0) and first.group == "left"
    assert spec.unknown == ("here: actor 1: something-new",)


@pytest.mark.parametrize(("text", "told"), [
    ("a: [", "no yaml"),
    ("general: {}", "actors"),
    ("actors: [{uuid: a, mode: fly}]", "override or optimized"),
    ("actors: [{mode: optimized}]", "uuid"),
    ("actors: [{uuid: a, mode: override, times: [0], positions: [[0, 0, 0]]}]", "two or more"),
    ("actors: [{uuid: a, mode: override, times: [1, 0], positions: [[0, 0, 0], [0, 0, 0]]}]", "increasing"),
    ("actors: [{uuid: a, mode: override, times: [0, x], positions: [[0, 0, 0], [0, 0, 0]]}]", "x is no number"),
    ("actors: [{uuid: a, mode: override, times: [0, .inf], positions: [[0, 0, 0], [0, 0, 0]]}]", "no number"),
    ("general: {duration: -1}\nactors: []", "out of range"),
    ("general: {start-pose: override}\nactors: []", "start-pose"),
    ("general: &a {duration: 1}\nactors: [*a]", "aliases"),
    ("actors: [3]", "key: value"),
    ("actors: !!python/object/apply:os.system ['true']", "key: value"),  # text, never run
])  # fmt: skip
def test_what_is_wrong_with_a_file_is_told(text, told):
    with pytest.raises(InputError, match=told):
        parse(text, "file.yaml")


def test_a_file_makes_a_scenario_of_its_own(tmp_path):
    tests = ncap_of(tmp_path, jitter=False, runs=1, box="own")
    assert tests.ids() == ["street-0007#frontal_0007-00"]
    s = tests.load(tests.ids()[0])
    assert (s.start, s.steps) == (10, 81) and s.id == tests.ids()[0] and s.fingerprint == tests.fingerprint(s.id)
    assert set(s.track_ids) == {"ego", "track 1", "track 2"}  # the one that moves is the actor; the other stands
    actor = s.log[:, s.track_ids.index("track 1")]
    shift = s.origin[:2].float() - torch.tensor([1000.0, 500.0])
    at = lambda t: torch.tensor([100 - 4.0 * t if t <= 10 else 60 - 6 * (t - 10), 0]) - shift  # noqa: E731
    for step in (0, 40, 80):
        assert torch.allclose(actor.xy[step], at(2 + step * DT), atol=1e-3)
    assert torch.allclose(actor.velocity[0], torch.tensor([-4.0, 0]), atol=1e-3)
    assert torch.allclose(wrap_angle(actor.yaw - math.pi).abs(), torch.tensor(0.0), atol=1e-4)
    touch = crash(s)
    assert touch.speed == pytest.approx(12, abs=0.1) and "ncap:frontal" in s.tags
    # ego centre at 24 m (log 3 s) + 8 t, actor at 88 - 4 t: boxes meet when 64 - 12 t = half of both lengths
    assert (touch.step - s.start) * DT == pytest.approx((64 - (5.176 + 4.6) / 2) / 12, abs=0.06)


def test_runs_are_drawn_as_neuro_ncap_draws_them(tmp_path):
    import numpy as np

    tests = ncap_of(tmp_path, runs=3, seed=5)
    nominal = ncap_of(tmp_path, runs=1, jitter=False)
    places = {}
    for k, reader in (("nominal", nominal), ("drawn", tests)):
        s = reader.load(reader.ids()[-1])
        places[k] = s.log.xy[0, s.track_ids.index("track 1")] + s.origin[:2].float()
    draw = np.random.default_rng(7)  # run 2 with seed 5
    draw.permutation(1)
    along, across = draw.uniform(-4, 4), draw.uniform(-0.5, 0.5)
    offset = (places["drawn"] - places["nominal"]).tolist()
    assert offset == pytest.approx([along, -across], abs=2e-3)  # across is to the right


def test_what_a_test_needs_and_does_not_find(tmp_path):
    with pytest.raises(NotDrivable, match="nobody"):
        reader = ncap_of(tmp_path, FILE.replace("track 1", "nobody"))
        reader.load(reader.ids()[0])
    with pytest.raises(NotDrivable, match="hits nothing"):
        reader = ncap_of(tmp_path, FILE.replace("500, 0]", "600, 0]"))
        reader.load(reader.ids()[0])
    with pytest.raises(NotDrivable, match="the log ends"):
        reader = ncap_of(tmp_path, FILE.replace("start-frame: 4", "start-frame: 28"))
        reader.load(reader.ids()[0])
    with pytest.raises(InputError, match="no such test"):
        Ncap(spec=str(tmp_path / "none.yaml")).ids()
    with pytest.raises(InputError, match="no crash test"):
        ncap_of(tmp_path).load("street-0007#frontal_0007-77")
    for wrong in ({"runs": 0}, {"seed": -1}, {"time": 0.0}):
        with pytest.raises(InputError, match="scenarios"):
            Ncap(**wrong)


def test_a_file_is_for_the_scene_of_its_number(tmp_path):
    class Streets(Street):
        def ids(self):
            return ["street-0007", "street-0008", "street-10007"]

    folder = tmp_path / "side"
    folder.mkdir()
    (folder / "0007.yaml").write_text(FILE)
    assert Ncap(source=Streets(), spec=str(tmp_path), runs=1).ids() == ["street-0007#side_0007-00"]
    (folder / "0007.yaml").rename(folder / "any.yaml")
    assert len(Ncap(source=Streets(), spec=str(folder), runs=2).ids()) == 6


@pytest.mark.parametrize("name", sorted({*NOMINAL, *(file.stem for file in TESTS.glob("*.yaml"))}))
def test_neuro_ncap_on_its_scenes(name):
    """Its own files: the nominal crash where and as fast as theirs (if known), and a crash in every jittered run."""
    if not (TESTS.is_dir() and any(LOGS.glob(f"*{name[-4:]}*"))):
        pytest.skip("the shared logs and oracles, or this test's scene, are not here")
    options = {"source": "scenarionet", "spec": str(TESTS / f"{name}.yaml")}
    nominal = source("ncap", LOGS, **options, runs=1, jitter=False)
    (id,) = nominal.ids()
    s = nominal.load(id)
    touch = crash(s)
    speed, seconds = NOMINAL.get(name, (touch.speed, touch.step * DT))
    assert touch.speed == pytest.approx(speed, abs=0.35) and touch.step * DT == pytest.approx(seconds, abs=0.16)
    assert reference_speed(s, s.start)[0] == pytest.approx(touch.speed)
    tests = source("ncap", LOGS, **options, runs=10)
    made = [tests.load(id) for id in tests.ids()]
    assert all(crash(s) is not None for s in made) and len({s.tags[-1] for s in made}) > 1


# tests for any log


@pytest.mark.parametrize("kind", KINDS)
def test_a_test_on_any_log_cannot_be_missed(kind):
    tests = Ncap(source=Street(), spec=kind, runs=40, time=3.0)
    ids, due, speeds = tests.ids(), [], []
    assert ids[0] == f"street-0007#{kind}-00" and len(ids) == 40
    for id in ids:
        s = tests.load(id)
        touch = crash(s)
        due.append((touch.step - s.start) * DT)
        speeds.append(touch.speed)
        assert s.track_ids[touch.agent] == f"ncap {kind}" and s.start == 10
        assert "track 1" not in s.track_ids  # who moves is left out, as in NeuroNCAP
    assert min(due) > 2.3 and max(due) < 3.7 and max(due) - min(due) > 0.5
    if kind == "stationary":
        assert speeds == pytest.approx([8.0] * 40, abs=0.01)
    else:
        assert max(speeds) - min(speeds) > 1.5


def test_an_oncoming_actor_comes_in_the_next_lane():
    s = Ncap(source=Street(), spec="frontal", runs=1, jitter=False).load("street-0007#frontal-00")
    actor = s.log[:, s.track_ids.index("ncap frontal")]
    assert float(actor.xy[0, 1]) == pytest.approx(3.5, abs=0.05) and float(actor.xy[50, 1]) == pytest.approx(
        0, abs=0.05
    )
    assert float(actor.velocity[0, 0]) == pytest.approx(-6.0, abs=0.05)


def test_a_crossing_actor_meets_the_flank():
    s = Ncap(source=Street(), spec="side", runs=1, jitter=False).load("street-0007#side-00")
    touch = crash(s)
    assert abs(float(touch.other.xy[0] - touch.ego.xy[0])) < 0.8  # abreast of the ego
    assert touch.speed == pytest.approx(10.0, abs=0.05) and (touch.step - s.start) * DT == pytest.approx(4.0, abs=0.06)


def test_others_stay_as_asked():
    def count(others):
        tests = Ncap(source=Street(), spec="stationary", others=others, jitter=False)
        return len(tests.load("street-0007#stationary-00").track_ids)

    assert (count("none"), count("standing"), count("all")) == (2, 3, 4)


def test_a_log_without_a_place_for_a_test():
    class Standing(Street):
        def load(self, id):
            return scenario(track((0, 0), steps=151), track((60, 0), steps=151), start=10, id=id)

    with pytest.raises(NotDrivable, match="no crash test here"):
        Ncap(source=Standing(), spec="side").load("street-0007#side-00")


def test_driving_on_crashes_and_braking_does_not():
    """The whole way: the test is driven, the score says what a planner made of it."""
    s = Ncap(source=Street(), spec="stationary", runs=1, jitter=False).load("street-0007#stationary-00")
    blind = simulate(s, Expert(), behavior=part("behavior", "replay"), control=Perfect())
    score = neuro_ncap([blind], s)
    assert score.value == pytest.approx(0, abs=0.05) and score.evidence[0].detail["impact_speed"] == pytest.approx(
        8, abs=0.1
    )
    careful = simulate(s, part("planner", "idm"), behavior=part("behavior", "replay"))
    assert neuro_ncap([careful], s).value == 5.0


def test_runs_are_told_apart_and_repeat():
    first, second = (Ncap(source=Street(), spec="side", runs=3) for _ in range(2))
    a, b = first.load("street-0007#side-02"), second.load("street-0007#side-02")
    assert torch.equal(a.log.xy.nan_to_num(-9), b.log.xy.nan_to_num(-9)) and a.fingerprint == b.fingerprint
    assert len({first.fingerprint(id) for id in first.ids()}) == 3
    assert a.log.kind[0, -1] == Kind.CAR and not Ncap.recognizes(Path("/"))
