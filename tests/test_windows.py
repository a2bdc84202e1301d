"""Stretches of logs and other agents' drives."""

from dataclasses import dataclass, replace

import pytest
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.loading import fingerprint
from drivesim.roadmap import RoadMap
from drivesim.simulator import simulate
from drivesim.types import Goal, Kind, Light, Place, RecordedSweep, Scenario, SensorLog, Signals
from drivesim.windows import AsEgo, Windows, restart
from drivesim.work import select
from planners.expert import Expert

from .worlds import scenario, track

STEPS = 101


def street(id="street") -> Scenario:
    """10 s: the ego at 8 m/s, a leader ahead from 2 s to 9 s, a walker, a car that left before 3 s."""
    lights = torch.tensor([[int(Light.RED)]] * 50 + [[int(Light.GREEN)]] * 51)
    signals = Signals(torch.tensor([0]), torch.tensor([[90.0, 0]]), torch.tensor([[90.0, 3, 5, 3.14]]), lights)
    s = scenario(
        track((0, 0), speed=8, steps=STEPS),
        track((20, 0), speed=7, steps=STEPS, valid=slice(20, 91)),
        track((30, 6), speed=1, steps=STEPS, kind=Kind.PEDESTRIAN),
        track((-9, 3.5), speed=5, steps=STEPS, valid=slice(0, 30)),
        start=10,
        signals=signals,
        id=id,
    )
    points = torch.tensor([[50.0, 1, 2]])
    sweep = RecordedSweep(5.0, torch.tensor([40.0, 0, 2], dtype=torch.float64), lambda: points)
    goal = Goal(torch.tensor([[80.0, -2], [90, -2], [90, 2], [80, 2]]), time=(8.0, 10.0))
    scene = replace(s.scene, briefing=replace(s.scene.briefing, goals=(goal,)))
    return replace(s, scene=scene, sensors=SensorLog({}, (sweep,)), place=Place("here", 60.0, 10.0))


@dataclass(frozen=True)
class Streets:
    count: int = 2

    def ids(self):
        return [f"street-{i}" for i in range(self.count)]

    def fingerprint(self, id):
        return fingerprint([], id)

    def load(self, id):
        return replace(street(id), fingerprint=self.fingerprint(id))


PART = {"_target_": "tests.test_windows.Streets", "count": 1}


def test_ids_say_where_windows_begin():
    assert Windows(PART, 4.0, 2.0).ids() == [f"street-0@{b}.0s" for b in (0, 2, 4, 6)]
    assert Windows(Streets(1), 4.0).ids() == ["street-0@0.0s", "street-0@4.0s"]
    with pytest.raises(InputError, match="no scenario is that long"):
        Windows(PART, 11.0).ids()
    with pytest.raises(InputError, match="scenarios.window"):
        Windows(PART, 0.5)


def test_a_window_is_the_log_from_there_on():
    whole, cut = street(), Windows(PART, 4.0).load("street-0@4.0s")
    shift = whole.log.xy[40, 0] - whole.scene.briefing.vehicle.rear_axle_to_center * torch.tensor([1.0, 0])
    assert cut.steps == 41 and cut.id == "street-0@4.0s" and cut.start == 10
    assert cut.track_ids == ("ego", "track 1", "track 2")  # the fourth had gone
    there = whole.log.valid[40:81, :3]
    assert torch.equal(cut.log.valid, there)
    assert torch.allclose(cut.log.xy[there], (whole.log.xy[40:81, :3] - shift)[there], atol=1e-4)
    assert torch.allclose(cut.origin[:2].float(), shift)
    assert torch.equal(cut.scene.signals.state, whole.scene.signals.state[40:81])
    assert torch.allclose(cut.scene.signals.stop_xy[0], torch.tensor([90.0, 0]) - shift)
    assert cut.scene.briefing.goals[0].time == (4.0, 6.0)
    assert torch.allclose(cut.scene.briefing.goals[0].area[0], torch.tensor([80.0, -2]) - shift)
    sweep = cut.sensors.sweeps[0]
    assert sweep.time == pytest.approx(1.0) and torch.allclose(sweep.read()[0, :2], torch.tensor([50.0, 1]) - shift)
    assert cut.place.longitude == pytest.approx(10 + float(shift[0]) / (111_320 / 2), abs=1e-6)
    inside = lambda s, at: RoadMap.of(s.scene.map).border_distance(at)  # noqa: E731
    at = torch.tensor([[60.0, 1.0]])
    assert torch.allclose(inside(cut, at - shift), inside(whole, at), atol=1e-4)


def test_windows_of_one_log_differ_in_fingerprint():
    windows = Windows(PART, 4.0, 2.0)
    prints = {windows.fingerprint(id) for id in windows.ids()}
    assert len(prints) == 4
    assert windows.load("street-0@2.0s").fingerprint == windows.fingerprint("street-0@2.0s")
    for wrong in ("street-0", "street-0@9.0s", "street-0@x"):
        with pytest.raises(InputError):
            windows.load(wrong)


def test_another_agent_becomes_the_ego_for_as_long_as_it_is_seen():
    whole, other = street(), AsEgo(PART, "track 1").load("street-0")
    assert other.steps == 71 and other.track_ids[0] == "track 1" and "ego" in other.track_ids
    vehicle = other.scene.briefing.vehicle
    assert torch.allclose(other.log.size[0, 0], torch.tensor([vehicle.length, vehicle.width, vehicle.height]))
    first = vehicle.world_from_ego(other.log[0, 0].to(torch.float64))[:3, 3]
    assert float(first.abs().max()) < 1e-5
    gap = whole.log.xy[20:91, 1] - whole.log.xy[20:91, 0]
    assert torch.allclose(other.log.xy[:, 0] - other.log.xy[:, other.track_ids.index("ego")], gap, atol=1e-4)
    assert not other.scene.briefing.goals and other.problems


def test_drives_of_other_egos_are_told_apart_by_their_ids():
    other = AsEgo(PART, "track 1")
    assert other.ids() == ["street-0#track 1"]
    assert {other.load(id).id for id in ("street-0", "street-0#track 1")} == {"street-0#track 1"}
    assert other.fingerprint("street-0") == other.load("street-0").fingerprint != Streets().fingerprint("street-0")
    assert AsEgo(PART, "a/../b").ids() == ["street-0#a___b"]
    windows = Windows(other, 3.0, 1.0)
    assert windows.ids()[0] == "street-0#track 1@0.0s"
    assert windows.load("street-0@2.0s").id == windows.load("street-0#track 1@2.0s").id == "street-0#track 1@2.0s"
    assert select(windows, "street-0@2.0s") == (["street-0#track 1@2.0s"], 0)
    assert select(other, ["street-0", "street-0#track 1"]) == (["street-0#track 1"], 0)
    with pytest.raises(InputError, match="did you mean street-0#track 1"):
        select(other, "street-1")


def test_who_cannot_be_the_ego_is_told_why():
    with pytest.raises(NotDrivable, match="no track nobody"):
        AsEgo(PART, "nobody").load("street-0")
    with pytest.raises(NotDrivable, match="no motor vehicle"):
        AsEgo(PART, "track 2").load("street-0")
    with pytest.raises(NotDrivable, match="a storyboard"):
        restart(replace(street(), script=object()), 0, 50)


def test_windows_and_other_egos_drive_and_nobody_decides_is_the_log():
    both = Windows({"_target_": "drivesim.windows.AsEgo", "source": PART, "ego": "track 1"}, 3.0, 1.0)
    cut = both.load("street-0@2.0s")
    from drivesim.control.perfect import Perfect

    drive = simulate(cut, Expert(), control=Perfect())
    valid = cut.log.valid
    assert torch.allclose(drive.agents.xy[valid], cut.log.xy[valid], atol=1e-2)
