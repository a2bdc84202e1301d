from dataclasses import replace

import pytest
import torch

from drivesim.behavior.idm import IDMTraffic
from drivesim.control.perfect import Perfect
from drivesim.errors import InputError, PlannerFailure
from drivesim.rigs import rig
from drivesim.simulator import simulate, state_at
from drivesim.types import Agents, Cause, Command, Light, Plan, Signals
from planners.constant_velocity import ConstantVelocity
from planners.expert import Expert
from planners.idm import IDM

from .worlds import move, path, scenario, straight_road, track


def curvy(start=10):
    t = torch.arange(61) * 0.1
    yaw = 0.25 * torch.sin(t)
    v = 6 + torch.sin(0.7 * t)
    xy = torch.cumsum(torch.stack([v * yaw.cos(), v * yaw.sin()], -1) * 0.1, 0)
    others = [track((30, 0), speed=4, steps=61), track((-15, 3.5), speed=8, steps=61)]
    return scenario(path(xy, yaw), *others, start=start)


def same(a: Agents, b: Agents) -> bool:
    return all(torch.equal(x.nan_to_num(-9), y.nan_to_num(-9)) for x, y in ((a.xy, b.xy), (a.yaw, b.yaw), (a.z, b.z)))


def test_expert_on_perfect_tracks_is_the_log():
    s = curvy()
    r = simulate(s, Expert(), control=Perfect())
    assert float((r.agents.xy - s.log.xy).norm(dim=-1).max()) < 0.01
    assert float((r.agents.yaw - s.log.yaw).abs().max()) < 1e-4
    assert r.cause == Cause.END_OF_LOG and len(r.plans) == s.steps - 1 - s.start


def test_expert_with_lqr_stays_near_the_log():
    s = curvy()
    assert float((simulate(s, Expert()).agents.xy[:, 0] - s.log.xy[:, 0]).norm(dim=-1).max()) < 0.6


def test_history_before_the_start_is_the_log():
    s = curvy(start=20)
    r = simulate(s, ConstantVelocity(), behavior=IDMTraffic())
    assert same(r.agents[:21], s.log[:21]) and r.start == 20 and r.plan_steps[0] == 20


def test_twice_the_same_bits():
    s = curvy()
    a, b = (simulate(s, IDM(), behavior=IDMTraffic(), seed=3) for _ in range(2))
    assert torch.equal(a.agents.xy, b.agents.xy) and torch.equal(a.body.steering, b.body.steering)
    assert all(torch.equal(p.poses, q.poses) for p, q in zip(a.plans, b.plans, strict=True))


def test_short_and_long_routes_turn_with_the_world():
    """A car seen for one second beside one seen for fifteen: the shorter route must not brake its driver."""
    tracks = [track((20, 0), speed=12, steps=151, valid=slice(0, 11)), track((-30, 3.5), speed=12, steps=151)]
    s = scenario(track((0, 7), speed=1, steps=151), *tracks, map=straight_road(lanes=3, length=400))
    for angle in (0.0, 1.5, -2.5):
        moved = move(s, angle, (0.0, 0.0))
        drive = simulate(moved, ConstantVelocity(), behavior=IDMTraffic(variation=0.0))
        assert float(drive.agents.speed[-1, 1]) > 11, f"turned by {angle}"


def test_what_a_planner_writes_into_stays_its_own():
    class Scribbles(IDM):
        def reset(self, briefing):
            super().reset(briefing)
            briefing.route.mul_(0)
            briefing.cameras[0].intrinsics.mul_(0)

        def plan(self, observation):
            plan = super().plan(observation)
            world = observation.world
            for x in (world.agents.xy, world.map.drivable.points, world.signals.state, observation.route):
                x.mul_(0)
            return plan

    s, untouched = (replace(curvy(), scene=replace(curvy().scene, briefing=equipped(curvy()))) for _ in range(2))
    drive = simulate(s, Scribbles())
    assert torch.equal(s.log.xy, untouched.log.xy) and torch.equal(drive.agents.xy[:, 1:], s.log.xy[:, 1:])
    assert torch.equal(s.scene.briefing.route, untouched.scene.briefing.route)
    assert torch.equal(s.scene.map.drivable.points, untouched.scene.map.drivable.points)
    assert float(s.scene.briefing.cameras[0].intrinsics.abs().sum()) > 0


def equipped(s):
    return replace(s.scene.briefing, cameras=rig("nuscenes"))


def test_plans_of_other_numbers_are_taken_as_float32():
    time = torch.arange(1, 31)
    for dtype in (torch.float16, torch.float64, torch.bfloat16):
        poses = torch.zeros(30, 3, dtype=dtype, requires_grad=True)
        drive = simulate(curvy(), Bad(lambda o, poses=poses: Plan(poses, time)))
        plan = drive.plans[0]
        assert plan.poses.dtype == plan.time.dtype == torch.float32 and not plan.poses.requires_grad


def test_signals_are_known_up_to_now_only():
    lengths = []

    class Looks(IDM):
        def plan(self, observation):
            lengths.append(len(observation.world.signals.state))
            return super().plan(observation)

    red = Signals(torch.tensor([0]), torch.tensor([[90.0, 0]]), torch.zeros(1, 4), torch.full((600, 1), int(Light.RED)))
    simulate(scenario(track((0, 0), speed=5), track((30, 3.5)), signals=red, start=10), Looks())
    assert lengths[:3] == [11, 12, 13]


def test_the_command_follows_the_route():
    seen = []

    class Looks(ConstantVelocity):
        def plan(self, observation):
            seen.append(observation.command)
            return super().plan(observation)

    bend = torch.tensor([[-50.0, 0], [45, 0], [50, 5], [50, 90]])
    simulate(scenario(track((0, 0), speed=10), track((30, 7)), route=bend), Looks())
    assert seen[0] == Command.STRAIGHT and seen[-1] == Command.LEFT


@pytest.mark.parametrize("period", [0.25, 0.04, -1.0, float("nan")])
def test_a_period_that_no_step_meets_is_refused(period):
    with pytest.raises(InputError, match="period"):
        simulate(curvy(), ConstantVelocity(period=period))


@pytest.mark.parametrize("planner", [ConstantVelocity, IDM, Expert])
def test_the_drive_does_not_depend_on_where_the_world_is(planner):
    s = curvy()
    moved = move(s, 2.0, (30.0, -20.0))
    a, b = simulate(s, planner(), behavior=IDMTraffic()), simulate(moved, planner(), behavior=IDMTraffic())
    assert torch.allclose(move(a, 2.0, (30.0, -20.0)).agents.xy, b.agents.xy, atol=0.02)


def test_what_the_planner_gets():
    seen = []

    class Looks(ConstantVelocity):
        def plan(self, observation):
            seen.append(observation)
            return super().plan(observation)

    s = curvy()
    simulate(s, Looks(period=0.5))
    assert [o.step for o in seen] == list(range(10, 60, 5))
    first = seen[0]
    assert first.world is None and first.frames == {}
    assert len(first.ego.time) == 11 and float(first.ego.time[-1]) == 0 and first.ego.poses[-1].abs().max() < 1e-5
    assert float(first.ego.poses[0, 0]) < -5  # where it came from lies behind
    assert abs(float(first.ego.velocity[-1, 0]) - float(s.log.speed[10, 0])) < 1e-4


def test_only_an_oracle_gets_the_future():
    futures = []

    class Curious(IDM):
        def plan(self, observation):
            futures.append(observation.world.future)
            return super().plan(observation)

    simulate(curvy(), Curious())
    assert set(futures) == {None}


def test_between_plans_the_old_one_is_followed():
    s = scenario(track((0, 0), speed=5, steps=41), track((50, 7)))
    r = simulate(s, ConstantVelocity(period=2.0), control=Perfect())
    assert len(r.plans) == 2 and float((r.agents.xy[:, 0] - s.log.xy[:, 0]).norm(dim=-1).max()) < 1e-3


def test_a_stored_state_can_be_had_again():
    r = simulate(curvy(), ConstantVelocity())
    state = state_at(curvy(), r, 30)
    assert torch.equal(state.agents.xy, r.agents.xy[30]) and int(state.step) == 30


class Bad:
    sensors, period, privileged = (), 0.1, False

    def __init__(self, plan):
        self._plan = plan

    def reset(self, briefing):
        pass

    def plan(self, observation):
        return self._plan(observation)


def boom(observation):
    raise RuntimeError("no weights")


@pytest.mark.parametrize(
    ("plan", "cause"),
    [
        (boom, "raised RuntimeError in plan at step 10: no weights"),
        (lambda o: None, "returned NoneType instead of a Plan at step 10"),
        (lambda o: Plan(torch.full((3, 3), torch.nan), torch.arange(1.0, 4)), "not a number at step 10"),
        (lambda o: Plan(torch.zeros(3, 2), torch.arange(1.0, 4)), r"poses \(3, 2\) and time \(3,\)"),
        (lambda o: Plan(torch.zeros(3, 3), torch.tensor([1.0, 1, 2])), "not positive and increasing"),
        (lambda o: Plan(torch.zeros(0, 3), torch.zeros(0)), "H >= 1"),
        (lambda o: Plan([[0, 0, 0]], [1.0]), "no tensor"),
        (lambda o: Plan(torch.zeros(1, 3), torch.tensor([1e5])), "30 s is the most"),
        (lambda o: Plan(torch.zeros(2, 3), torch.tensor([0.5, 1.0]), torch.zeros(4, 3, 3)), "shape"),
    ],
)
def test_a_broken_planner_is_a_failure_with_its_cause(plan, cause):
    with pytest.raises(PlannerFailure, match=cause):
        simulate(curvy(), Bad(plan))


def test_cameras_need_a_generator_and_must_exist():
    with pytest.raises(InputError, match="generation=raster"):
        looks = ConstantVelocity()
        looks.sensors = ("*",)
        s = curvy()
        simulate(scenario(track((0, 0)), cameras=rig("nuscenes"), start=0), looks)
    with pytest.raises(InputError, match="wants camera TOP; this log has none"):
        looks.sensors = ("TOP",)
        simulate(s, looks)
