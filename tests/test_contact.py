"""Collisions in a drive: what it shows, who goes on, what is stored."""

import math
from dataclasses import replace

import pytest
import torch

import drivesim
from drivesim import rollout_file
from drivesim.behavior.idm import IDMTraffic
from drivesim.config import part, source
from drivesim.control.perfect import Perfect
from drivesim.dynamics.contact import spin_of
from drivesim.dynamics.contacts import overlaps
from drivesim.dynamics.impact import Bodies, depth_of
from drivesim.errors import InputError
from drivesim.simulator import simulate
from drivesim.types import Agents, Cause, Kind
from metrics.collision import collision
from planners.constant_velocity import ConstantVelocity
from planners.expert import Expert

from .roots import ROOTS
from .worlds import move, path, scenario, straight_road, track


def depth_in(agents, i, j):
    there = agents.map(lambda x: x.nan_to_num(0) if x.is_floating_point() else x)
    return depth_of(Bodies.of(there, torch.zeros(len(agents.valid))), i, j)


# drives


def rear_end(ahead=25.0, steps=61):
    """A log that brakes for a parked car; who keeps its speed runs into it."""
    return scenario(track((0, 0), speed=10, acceleration=-2.2, steps=steps), track((ahead, 0), steps=steps))


def test_the_metrics_see_the_impact_and_then_the_bodies_stay_apart():
    s = rear_end()
    drive = simulate(s, ConstantVelocity())
    (first, *_) = drive.contacts
    assert first.kind == "contact" and first.agents == (0, 1) and drive.cause == Cause.END_OF_LOG
    assert bool(overlaps(drive.agents[first.step])[0, 1]) and not bool(overlaps(drive.agents[first.step - 1])[0, 1])
    assert first.detail["speed"] == pytest.approx(10, abs=0.7)
    score = collision([drive], s)
    assert score.value == 0 and score.evidence[0].step == first.step
    assert score.evidence[0].detail["impact_speed"] == pytest.approx(first.detail["speed"], abs=0.01)
    again = {e.step for e in drive.contacts}
    for k in range(first.step + 1, s.steps):
        assert k in again or depth_in(drive.agents[k], 0, 1) < 0.01
    assert bool((drive.agents.xy[:, 0, 0] < drive.agents.xy[:, 1, 0]).all()), "nobody drives through"
    assert float(drive.agents.xy[-1, 1, 0]) > 26 and float(drive.agents.velocity[-1, 1].norm()) < 0.5


def test_the_drive_is_the_same_again_and_elsewhere():
    s = scenario(track((0, 0), speed=10, acceleration=-2, steps=61), track((25, -19), math.pi / 2, speed=8, steps=61))
    a, b = simulate(s, ConstantVelocity()), simulate(s, ConstantVelocity())
    assert a.contacts and torch.equal(a.agents.xy, b.agents.xy) and a.contacts == b.contacts
    moved = simulate(move(s, 1.0, (40.0, 20.0)), ConstantVelocity())
    assert torch.allclose(move(a, 1.0, (40.0, 20.0)).agents.xy, moved.agents.xy, atol=0.05)
    assert [e.step for e in moved.contacts] == [e.step for e in a.contacts]


def test_stop_ends_the_rollout_at_the_contact_and_it_can_be_judged():
    s = rear_end()
    whole, cut = (drivesim.simulate(s, ConstantVelocity(), on_collision=x) for x in ("continue", "stop"))
    end = cut.contacts[0].step
    assert cut.cause == Cause.COLLISION and len(cut.agents.valid) == end + 1
    assert torch.equal(cut.agents.xy, whole.agents.xy[: end + 1]) and len(whole.agents.valid) == s.steps
    scores = {score.name: score for score in drivesim.score(cut, s)}
    assert scores["collision"].value == 0 and all(math.isfinite(x.value) or x.reason for x in scores.values())
    free = scenario(track((0, 0), speed=5), track((50, 0)))
    assert simulate(free, ConstantVelocity(), on_collision="stop").cause == Cause.END_OF_LOG
    with pytest.raises(InputError, match="on_collision=halt: continue or stop is expected"):
        simulate(s, ConstantVelocity(), on_collision="halt")


def test_logs_that_cross_each_other_are_left_alone():
    """Two that follow their logs, and an ego on its own, go through each other as the log has it."""
    crossing = [track((20, 0), steps=61), track((40, 3.5), speed=5, steps=61), track((50, 3.5), steps=61)]
    s = scenario(track((0, 0), speed=8, steps=61), *crossing)
    drive = simulate(s, Expert(), control=Perfect())
    assert torch.equal(drive.agents.xy[:, 1:], s.log.xy[:, 1:]) and drive.contacts == ()
    assert float((drive.agents.xy[:, 0] - s.log.xy[:, 0]).norm(dim=-1).max()) < 0.01
    elsewhere = path(s.log.xy[:, 0] + torch.tensor([0.0, -6.0]), s.log.yaw[:, 0])
    beside = simulate(scenario(elsewhere, *crossing, map=straight_road(lanes=4)), ConstantVelocity())
    assert torch.equal(beside.agents.xy[:, 1:], s.log.xy[:, 1:]) and beside.contacts == ()


def test_who_is_run_over_flies_no_faster_than_momentum_allows_and_slides_to_rest():
    walker = track((25, -1.5), math.pi / 2, speed=0.5, kind=Kind.PEDESTRIAN, steps=61)
    s = scenario(track((0, 0), speed=10, acceleration=-2.0, steps=61), walker)
    drive = simulate(s, ConstantVelocity())
    hit = drive.contacts[0]
    impact, top = hit.detail["speed"], float(drive.agents.velocity[hit.step :, 1].norm(dim=-1).max())
    assert 0.7 * impact < top <= 1.1 * impact + 0.1 and drive.body.yaw_rate[hit.step + 1 :, 1].isfinite().all()
    ego = drive.agents.speed[:, 0]
    assert float(ego[hit.step] - ego[hit.step + 1]) < 0.7, "a car of two tons does not stop for 75 kg"


def test_a_lorry_pushes_the_ego_aside_and_then_it_drives_on():
    lorry = track((20, -30), math.pi / 2, speed=12, kind=Kind.TRUCK, steps=71)
    s = scenario(track((0, 0), speed=8, acceleration=-2.0, steps=71), lorry)
    states = []
    drive = simulate(s, ConstantVelocity(), watch=lambda step, state, *_: states.append(state))
    hit = drive.contacts[0].step
    struck = [bool(state.struck[0]) for state in states]
    assert any(struck) and not struck[-1], "the ego slides first, and grips again"
    assert float(drive.agents.xy[hit + 20, 0, 1]) > 2 and float(drive.agents.velocity[hit:, 0].norm(dim=-1).max()) < 14
    assert not bool(states[hit - 1].struck.any()), "states of the past keep what they were"


def test_an_ego_that_is_put_on_its_plan_does_not_go_through_either():
    lorry = track((25, 0), kind=Kind.TRUCK, steps=61)
    through = scenario(track((0, 0), speed=10, steps=61), track((60, 0), steps=61))
    s = scenario(track((0, 0), speed=10, acceleration=-2.3, steps=61), lorry)
    drive = simulate(s, Blind(through), control=Perfect())
    assert drive.contacts and bool((drive.agents.xy[:, 0, 0] < drive.agents.xy[:, 1, 0]).all())
    assert float(drive.agents.velocity[:, 0].norm(dim=-1).max()) < 11


class Blind(ConstantVelocity):
    """Wants 10 m/s, whatever it runs into."""

    def __init__(self, scenario):
        super().__init__()

    def plan(self, observation):
        plan = super().plan(observation)
        return plan.replace(poses=torch.stack([10 * plan.time, 0 * plan.time, 0 * plan.time], -1))


@pytest.mark.parametrize("beside", [1.9, 2.05, 2.09])
def test_boxes_that_start_in_each_other_or_graze_do_not_explode(beside):
    neighbours = [track((1.0, beside), steps=61), track((20.0, -beside), steps=61), track((-4.7, 0), steps=61)]
    s = scenario(track((0, 0), speed=4, acceleration=-1.0, steps=61), *neighbours)
    drive = simulate(s, ConstantVelocity())
    assert float(drive.agents.velocity.norm(dim=-1).max()) < 4.5
    assert float(drive.agents.xy.diff(dim=0).norm(dim=-1).max()) < 0.65
    assert bool(drive.agents.xy.isfinite().all())


def test_energy_only_falls_in_a_pile_of_cars_that_nobody_drives():
    queue = [track((24 + 5.5 * i, 0.4 * i), steps=61) for i in range(4)]
    s = scenario(track((0, 0), speed=14, acceleration=-4.0, steps=61), *queue)
    states = []
    drive = simulate(s, ConstantVelocity(), watch=lambda step, state, *_: states.append(state))
    assert len(drive.contacts) >= 3
    vehicle = s.scene.briefing.vehicle
    first = drive.contacts[0].step
    energy = [Bodies.of(x.agents, spin_of(x.agents, x.body, vehicle)).energy() for x in states[first:]]
    assert all(b <= a * 1.001 + 1.0 for a, b in zip(energy, energy[1:], strict=False))


def test_a_driver_who_is_hit_drives_no_more():
    s = scenario(
        track((0, 0), speed=14, acceleration=-2.5, steps=61), track((18, 0), speed=5, steps=61),
        map=straight_road(length=400),
    )  # fmt: skip
    drive = simulate(s, ConstantVelocity(), behavior=IDMTraffic(variation=0.0))
    hit = drive.contacts[0]
    assert hit.agents == (0, 1) and float(drive.agents.velocity[-1, 1].norm()) < 0.5
    alone = simulate(s, Expert(), behavior=IDMTraffic(variation=0.0), control=Perfect())
    assert float(alone.agents.velocity[-1, 1].norm()) > 4


# stored and asked for


def test_contacts_are_stored_and_older_files_are_read(tmp_path):
    drive = simulate(rear_end(), ConstantVelocity(), on_collision="stop")
    file = tmp_path / "drive.parquet"
    file.write_bytes(rollout_file.encode(drive, "0" * 32))
    again = rollout_file.read(file, "0" * 32)
    assert again.contacts == drive.contacts and again.cause == Cause.COLLISION
    assert torch.equal(again.agents.xy, drive.agents.xy)


def test_format_two_is_read(tmp_path, monkeypatch):
    drive = simulate(scenario(track((0, 0), speed=5), track((50, 0))), ConstantVelocity())
    monkeypatch.setattr(rollout_file, "FORMAT", 2)
    written = rollout_file.encode(drive, "0" * 32)
    monkeypatch.undo()
    (tmp_path / "old.parquet").write_bytes(written)
    assert rollout_file.read(tmp_path / "old.parquet", "0" * 32).contacts == ()
    monkeypatch.setattr(rollout_file, "FORMAT", 1)
    (tmp_path / "older.parquet").write_bytes(rollout_file.encode(drive, "0" * 32))
    monkeypatch.undo()
    with pytest.raises(InputError, match="format 1, this version reads 2 to 4"):
        rollout_file.read(tmp_path / "older.parquet", "0" * 32)


def test_the_option_is_part_of_what_is_asked_for():
    from drivesim.storage import Job
    from drivesim.work import work

    job = Job({"_target_": "a"}, "s", "f", {"_target_": "p"}, "p")
    assert job.key != replace(job, on_collision="stop").key
    config = {
        "scenarios": {"_target_": "scenarios.synthetic.Synthetic"}, "on_collision": "halt", "loop": "closed", "workers": 0,
        "planner": {}, "generation": {}, "behavior": {}, "control": {}, "metrics": {},
    }  # fmt: skip
    with pytest.raises(InputError, match="on_collision=halt: continue or stop is expected"):
        work(config)


def test_a_real_scene_stays_sane():
    """Ego at constant velocity among replayed traffic: it runs into people, and nothing odd comes of it."""
    root = ROOTS["argoverse2"]
    if not root.exists():
        pytest.skip(f"{root.relative_to(root.parents[1])} is not here")
    reader = source("argoverse2", root)
    s = reader.load(reader.ids()[0])
    drive = simulate(s, part("planner", "constant_velocity"))
    agents, log = drive.agents, s.log
    assert bool(agents.xy[agents.valid].isfinite().all()) and bool(agents.velocity[agents.valid].isfinite().all())
    fastest = float(log.velocity.nan_to_num(0).norm(dim=-1).max())
    assert float(agents.velocity.nan_to_num(0).norm(dim=-1).max()) <= 1.1 * fastest + 0.5
    met = {i for event in drive.contacts for i in event.agents}
    free = [i for i in range(1, len(s.track_ids)) if i not in met]
    there = agents.valid[:, free]
    assert torch.equal(agents.xy[:, free][there], log.xy[:, free][there]), "who is not hit follows the log"


def test_stacked_states_keep_their_struck():
    from drivesim.simulator import start_state
    from drivesim.types import State

    state, _ = start_state(rear_end())
    both = State.stack([state, state.replace(struck=torch.tensor([False, True]))])
    assert both.struck.tolist() == [[False, False], [False, True]] and isinstance(both.agents, Agents)
