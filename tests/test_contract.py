"""One contract over every plug-in that has a yaml: add a yaml and it is tested."""

import pytest
import torch

from drivesim import parts
from drivesim.config import part, source
from drivesim.control.trajectory import anchor
from drivesim.geometry import wrap_angle
from drivesim.loading import check
from drivesim.simulator import simulate, start_state
from drivesim.types import DT, VEHICLES, Action, Frame, Plan, Provenance, Scenario, Score, is_kind

from .roots import ROOTS, write_root
from .worlds import scenario as world
from .worlds import track

WRITTEN = {"converted", "nuplan"}
"""Formats of which no log is at hand: the test writes one."""


@pytest.fixture(scope="module", params=parts.choices("scenarios"))
def format(request, tmp_path_factory):
    """Name of a source and a root for it, None for the one that needs none."""
    name = request.param
    if name in WRITTEN:
        return name, write_root(name, tmp_path_factory.mktemp(name))
    root = ROOTS.get(name)
    if root is not None and not root.exists():
        pytest.skip(f"{root.relative_to(root.parents[1])} is not here")
    return name, root


def driven():
    return world(track((0, 0), speed=6), track((25, 0), speed=4), track((10, 3.5), speed=8), start=5)


@pytest.fixture(scope="module")
def town():
    return source("synthetic").load(source("synthetic").ids()[0])


def test_scenario_source(format):
    name, root = format
    reader = source(name, root)
    ids = reader.ids()
    assert ids == sorted(set(ids)) and ids
    left_out = reader.undrivable() if hasattr(reader, "undrivable") else {}
    id = next(i for i in ids if i not in left_out)
    s = reader.load(id)
    assert isinstance(s, Scenario) and s.id == id and s.fingerprint == reader.fingerprint(id)
    assert check(s) is s and s.licence
    assert len(set(s.track_ids)) == len(s.track_ids), "every track has a name of its own"
    log = s.log
    for field in ("xy", "z", "yaw", "pitch", "roll", "velocity"):
        assert bool(getattr(log, field)[~log.valid].isnan().all()), f"{field} of an absent agent is a number"
    first = s.scene.briefing.vehicle.world_from_ego(log[0, 0].to(torch.float64))[:3, 3]
    assert float(first.abs().max()) < 0.05, "the world's origin is the ego's first pose"
    assert float(s.scene.briefing.route.diff(dim=0).norm(dim=-1).sum()) > 20
    assert len(s.scene.briefing.cameras) > 0
    assert all(0 <= sure <= 1 for sure in s.inferred.values())
    again = source(name, root).load(id)
    assert torch.equal(again.log.xy.nan_to_num(-9), log.xy.nan_to_num(-9))


def test_headings_and_velocities_are_those_of_the_motion(format):
    """One convention for all: what moves forward heads where it goes, and its velocity is its displacement."""
    name, root = format
    reader = source(name, root)
    left_out = reader.undrivable() if hasattr(reader, "undrivable") else {}
    log = reader.load(next(i for i in reader.ids() if i not in left_out)).log
    step = log.xy[1:] - log.xy[:-1]
    speed = step.norm(dim=-1) / DT
    moving = log.valid[1:] & log.valid[:-1] & (speed > 3) & is_kind(log.kind[1:], VEHICLES)
    assert int(moving.sum()) > 10
    turn = wrap_angle(torch.atan2(step[..., 1], step[..., 0]) - log.yaw[1:])[moving].abs()
    assert float(turn.median()) < 0.05 and float((turn > 0.5).float().mean()) < 0.02
    off = (log.velocity[1:] - step / DT)[moving].norm(dim=-1)
    assert float(off.median()) < 0.5


def test_a_root_is_recognized_by_its_own_source_alone(format, tmp_path):
    name, root = format
    for other in parts.choices("scenarios"):
        recognizes = parts.locate(parts.read("scenarios", other)["_target_"]).recognizes
        assert recognizes(tmp_path) is False, f"{other} sees itself in an empty folder"
        if root is not None:
            assert recognizes(root) is (other == name), f"{other} about a root of {name}"


@pytest.mark.parametrize("name", [n for n in parts.choices("planner") if n not in ("custom", "trajectories")])
def test_planner(name, town):
    from drivesim.check import check_planner

    assert check_planner(part("planner", name), town) == []


@pytest.mark.parametrize("name", [n for n in parts.choices("generation") if n != "none"])
def test_world_generator(name, town):
    generator = part("generation", name)
    state, _ = start_state(town)
    cameras = town.scene.briefing.cameras[:2]
    frames, _ = generator.render(state, generator.remember(town), cameras)
    again, _ = generator.render(state, generator.remember(town), cameras[::-1])
    assert set(frames) == {c.name for c in cameras}
    for camera in cameras:
        frame, h, w = frames[camera.name], camera.height, camera.width
        assert isinstance(frame, Frame) and frame.rgb.shape == (3, h, w) and frame.rgb.dtype == torch.uint8
        shapes = [frame.depth.shape, frame.semantics.shape, frame.instance.shape, frame.provenance.shape]
        assert shapes == [(h, w)] * 4
        assert bool((frame.depth > 0).all()) and frame.time == pytest.approx(int(state.step) * 0.1)
        assert bool((frame.provenance != int(Provenance.NONE)).all()), "every pixel says where it comes from"
        assert torch.equal(frame.rgb, again[camera.name].rgb), "the order of cameras changes nothing"


@pytest.mark.parametrize("name", parts.choices("behavior"))
def test_agent_behavior(name):
    behavior, s = part("behavior", name), driven()
    state, history = start_state(s)
    begun = behavior.begin(state, s, seed=1)
    action, after = behavior.act(begun, history, s.scene)
    again, _ = behavior.act(begun, history, s.scene)
    assert torch.equal(action.command.nan_to_num(-9), again.command.nan_to_num(-9)), "acting changes no past state"
    assert after.agents is begun.agents
    assert isinstance(action, Action) and action.valid.shape == state.agents.valid.shape
    assert not bool(action.valid[0]), "the ego is not its business"
    assert bool(action.command[action.valid].isfinite().all())
    a, b = (
        simulate(s, part("planner", "constant_velocity"), behavior=part("behavior", name), seed=4) for _ in range(2)
    )
    assert torch.equal(a.agents.xy, b.agents.xy), "the same seed gives the same drive"


@pytest.mark.parametrize("name", parts.choices("control"))
def test_controller(name):
    controller, s = part("control", name), driven()
    state, _ = start_state(s)
    vehicle = s.scene.briefing.vehicle
    time = torch.arange(1, 41) * 0.1
    plan = Plan(torch.stack([6 * time, 0 * time, 0 * time], -1), time)
    action = controller.track(state, anchor(plan, vehicle.rear_axle(state.agents.poses[0])), 0.1, vehicle)
    assert action.valid.tolist() == [True, False, False], "it decides for the ego alone"
    agents, _ = controller.body.step(state.agents, state.body, action.command, 0.1, vehicle)
    assert float((agents.xy[0] - state.agents.xy[0]).norm()) == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("name", parts.choices("metrics"))
def test_metric(name):
    s = driven()
    r = simulate(s, part("planner", "constant_velocity"))
    score = part("metrics", name)([r], s)
    assert isinstance(score, Score) and score.name and score.version
    assert score.valid or (score.reason and score.value != score.value), "what does not apply says why and is NaN"
    assert score.series is None or score.series.shape == (len(r.agents.valid),)
    for event in score.evidence:
        assert r.start <= event.step < len(r.agents.valid)
