"""Roll-out and judgement of proposals: equal to the tracker and body that the loop drives with, and to a plain form."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.control.lqr import LQR
from drivesim.control.trajectory import anchor
from drivesim.proposals import score
from drivesim.proposals.comfort import alike, differences, filtered, motions
from drivesim.proposals.follow import follow
from drivesim.proposals.gaps import box_to_box, box_to_ring
from drivesim.proposals.judge import Rules, judge, red_lights
from drivesim.proposals.road import Course, Road
from drivesim.proposals.roll_out import _profiles, _speed_fit, roll_out, sampled
from drivesim.proposals.states import ego_states
from drivesim.proposals.tracks import Tracks
from drivesim.simulator import start_state
from drivesim.types import Agents, Body, Kind, Light, Plan, Signals, Trajectory, Vehicle

from . import plain_navsim as plain
from .worlds import move, scenario, straight_road, track

ORACLES = Path(__file__).parents[2] / "shared" / "oracles"
CAR = Vehicle()
TIMES = 0.5 * np.arange(1, 9)


def start(x=0.0, y=0.0, yaw=0.0, speed=5.0, acceleration=0.0, steering=0.0):
    """A state whose rear axle is at (x, y)."""
    return np.array([x, y, yaw, speed, acceleration, steering, speed * math.tan(steering) / CAR.wheelbase])


def arc(speed, curvature, times=TIMES):
    """Poses (H, 3) at a constant speed on a circle, from the origin."""
    s = speed * times
    if abs(curvature) < 1e-9:
        return np.stack([s, 0 * s, 0 * s], -1)
    return np.stack([np.sin(curvature * s) / curvature, (1 - np.cos(curvature * s)) / curvature, curvature * s], -1)


def draws(seed, count):
    draw = np.random.default_rng(seed)
    proposals = np.stack([arc(draw.uniform(0, 14), draw.uniform(-0.08, 0.08)) for _ in range(count)])
    return proposals, start(0.0, 0.1, 0.03, draw.uniform(0, 12), draw.uniform(-2, 2), draw.uniform(-0.1, 0.1))


def straight(speed, y=0.0, x=0.0, steps=41):
    """States (1, K, 7) of an ego whose middle drives along +x from (x, y)."""
    states = np.zeros((1, steps, 7))
    states[0, :, 0] = x - CAR.rear_axle_to_center + speed * 0.1 * np.arange(steps)
    states[..., 1], states[..., 3] = y, speed
    return states


def judged(states, *tracks, map=None, rules=None, route=None, red=None):
    world = scenario(track((0, 0), steps=50), *tracks, map=map or straight_road(2), route=route)
    road = Road.of(world.scene.map, CAR)
    course = Course.of(world.scene.map, world.scene.briefing.route)
    return judge(states, Tracks.of(world.log), road, course, CAR, rules, red)


# roll-out


def test_the_first_step_is_the_trackers_and_the_bodys():
    proposals, begin = draws(1, 8)
    states = roll_out(proposals, TIMES, begin, CAR)
    for n, poses in enumerate(proposals):
        way = Trajectory(torch.from_numpy(np.vstack([begin[:3], poses])), torch.from_numpy(np.r_[0.0, TIMES]))
        pose, speed = torch.from_numpy(begin[:3]), torch.tensor(begin[3])
        command, rate = LQR().command(pose, speed, torch.tensor(begin[5]), way, 0.1, CAR.wheelbase)
        assert states[n, 1, 4] == pytest.approx(begin[4] + (float(command) - begin[4]) / 3, abs=1e-9)
        assert states[n, 1, 5] == pytest.approx(begin[5] + 0.1 / 0.15 * 0.1 * float(rate), abs=1e-9)


def test_a_step_is_that_of_the_loop():
    """The same wish, through the simulator's own controller and body."""
    world = scenario(track((0, 0), speed=6), start=3)
    state, _ = start_state(world)
    poses = arc(7.0, 0.04)
    plan = Plan(torch.from_numpy(poses).float(), torch.from_numpy(TIMES).float())
    control, vehicle = LQR(), world.scene.briefing.vehicle
    action = control.track(state, anchor(plan, vehicle.rear_axle(state.agents.poses[0])), 0.1, vehicle)
    agents, body = control.body.step(state.agents, state.body, action.command, 0.1, vehicle)
    begin = ego_states(state.agents[0], state.body[0], vehicle)
    placed = poses + [begin[0], begin[1], 0]
    mine = roll_out(placed[None], TIMES, begin, vehicle)[0, 1]
    assert mine == pytest.approx(ego_states(agents[0], body[0], vehicle), abs=2e-5)


@pytest.mark.parametrize("seed", range(4))
def test_roll_out_is_the_plain_form(seed):
    proposals, begin = draws(seed, 12)
    states = roll_out(proposals, TIMES, begin, CAR)
    for n, poses in enumerate(sampled(proposals, TIMES, begin, 0.1 * np.arange(41))):
        assert states[n] == pytest.approx(plain.roll_out(poses, begin, CAR), abs=1e-6)


def test_many_at_once_are_each_alone():
    proposals, begin = draws(9, 6)
    together = roll_out(proposals, TIMES, begin, CAR)
    for n in range(6):
        assert (together[n] == roll_out(proposals[n : n + 1], TIMES, begin, CAR)[0]).all()


def test_sampling_starts_at_the_ego_turns_the_short_way_and_keeps_the_end():
    poses = np.array([[[1.0, 0.0, 3.1], [2.0, 0.0, -3.1]]])
    found = sampled(poses, np.array([0.5, 1.0]), start(yaw=3.0), np.array([0.0, 0.25, 0.75, 2.0]))[0]
    assert found[0] == pytest.approx([0, 0, 3.0]) and found[1] == pytest.approx([0.5, 0, 3.05])
    assert abs(plain.wrap(found[2, 2] - np.pi)) < 1e-9 and found[3, 0] == 2.0
    now = sampled(np.array([[[5.0, 0, 0], [6.0, 0, 0]]]), np.array([0.0, 1.0]), start(), np.array([0.0, 0.5]))[0]
    assert now[:, 0].tolist() == [5.0, 5.5], "a proposal that begins now says where itself"


def test_least_squares_recovers_a_known_drive():
    """nuPlan's own test of its fit: accelerations +-3 cos i, curvature rates +-0.05 cos i, dt 0.2."""
    for sign_a, sign_k in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        n, dt = 20, 0.2
        speed, curvature, poses = [3.0], [0.0], [np.array([5.0, 1.0, 0.1])]
        for i in range(n):
            x, y, yaw = poses[-1]
            v, k = speed[-1], curvature[-1]
            poses.append(np.array([x + dt * v * math.cos(yaw), y + dt * v * math.sin(yaw), yaw + dt * v * k]))
            speed.append(v + dt * sign_a * 3 * math.cos(i))
            curvature.append(k + dt * sign_k * 0.05 * math.cos(i))
        found = np.empty(n), np.empty(n)
        _profiles(np.array(poses), _speed_fit(n, dt, 1e-10), dt, 1e-10, *found)
        assert found[0] == pytest.approx(speed[:n], rel=1e-6)
        assert found[1] == pytest.approx(curvature[:n], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("sign", [-1, 1])
def test_signs_of_the_tracker(sign):
    """nuPlan's: steering opposes lateral and heading error, follows curvature; too slow accelerates."""
    ahead = arc(5.0, 0.0)
    reference = np.concatenate([np.zeros((1, 3)), ahead])[None]
    times = np.r_[0.0, TIMES]
    steer = lambda begin, poses=reference: roll_out(poses, times, begin, CAR)[0, 1, 5]  # noqa: E731
    assert steer(start(y=3.0 * sign)) * sign < 0
    assert steer(start(yaw=0.1 * sign)) * sign < 0
    assert steer(start(), np.concatenate([np.zeros((1, 3)), arc(5.0, 0.1 * sign)])[None]) * sign > 0
    assert roll_out(reference, times, start(speed=5 - sign), CAR)[0, 1, 4] * sign > 0


# following


def test_idm_steps_as_nuplans():
    path = ORACLES / "nuplan_inline_cases.json"
    if not path.exists():
        pytest.skip("shared/oracles/nuplan_inline_cases.json is not here")
    case = json.loads(path.read_text())["idm"]
    p, lead, agent = case["params"], case["lead"], case["agent"]
    gap = lead["progress"] - agent["progress"] - lead["length_rear"]
    s = np.arange(0, 60.0)
    line = np.column_stack([s, 0 * s, 0 * s, s])
    half = 2.0  # the middle of the ego is over its rear axle here
    front = agent["progress"] + half + gap + 1.0
    boxes = np.array([[[front], [0.0], [1.0], [0.0], [1.0], [1.0]]])
    nobody = np.zeros(1, bool)
    poses = follow(
        line, float(agent["progress"]), float(agent["velocity"]), np.array([float(p["v0"])]), 2, case["dt"],
        60.0, float(p["s0"]), p["T"], p["a"], p["b"], float(p["delta"]), half, 1.0, 0.0, boxes,
        np.array([[float(lead["velocity"])]]), np.zeros((1, 1)), nobody, nobody, np.zeros((0, 2)),
        np.zeros(1, np.int64), np.zeros(0, bool),
    )  # fmt: skip
    assert poses[0, 1, 0] == pytest.approx(case["euler"][0])
    assert (poses[0, 2, 0] - poses[0, 1, 0]) / case["dt"] == pytest.approx(case["euler"][1], abs=1e-6)


def test_gaps_by_hand():
    assert box_to_box(0, 0, 1, 0, 2, 1, 7, 0, 1, 0, 2, 1) == pytest.approx(3)
    assert box_to_box(0, 0, 1, 0, 2, 1, 5, 5, 1, 0, 1, 1) == pytest.approx(math.hypot(2, 3))
    assert box_to_box(0, 0, 1, 0, 2, 1, 3, 0, 1, 0, 2, 1) == 0
    ring = np.array([[10.0, -5], [20, -5], [20, 5], [10, 5]])
    assert box_to_ring(0, 0, 1, 0, 2, 1, ring) == pytest.approx(8)
    assert box_to_ring(15, 0, 1, 0, 2, 1, ring) == 0, "inside is no distance"


# the rules, by hand


def test_who_hits_whom():
    still, slow = track((20, 0), steps=50), track((20, 0), speed=2, steps=50)
    behind = track((-8, 0), speed=14, steps=50)
    cone = track((20, 0), kind=Kind.CONE, steps=50)
    for others, states, value, fault in (
        ([still], straight(8), 0.0, True), ([slow], straight(8), 0.0, True), ([cone], straight(8), 0.5, True),
        ([behind], straight(4), 1.0, False), ([behind], straight(0), 1.0, False), ([still], straight(2), 1.0, None),
    ):  # fmt: skip
        j = judged(states, *others)
        assert j.no_collision[0] == value
        assert (None if j.contact[0, 0] < 0 else bool(j.contact_fault[0, 0])) == fault
    # 20 m less half of both cars at 0.8 m a step: 20 - 2.588 - 2.3 = 15.112 -> step 19
    assert judged(straight(8), still).contact[0, 0] == 19


def test_a_side_swipe_is_a_fault_in_several_lanes_only():
    beside = lambda y: track((-2, y), yaw=-0.25, speed=5.1, steps=50)  # noqa: E731
    one = judged(straight(5), beside(3.0))
    assert one.contact_kind[0, 0] == 4 and one.no_collision[0] == 1, "it comes into the ego's lane"
    both = judged(straight(5, y=1.2), beside(4.2))
    assert both.contact_kind[0, 0] == 4 and both.no_collision[0] == 0, "the ego is in both"


def test_contacts_at_the_start_are_left_alone_but_by_the_peers_code():
    over = track((3, 0), steps=50)
    assert judged(straight(5), over).no_collision[0] == 1
    assert judged(straight(5), over).time_to_collision[0] == 1
    assert judged(straight(5), over, rules=Rules.of(1, "peer")).no_collision[0] == 0


def test_the_peers_code_takes_the_speed_that_a_track_was_first_seen_with():
    braking = track((25, 3.3), yaw=-0.05, speed=3, acceleration=-3, steps=50)
    stopped = braking.replace(velocity=torch.where(torch.arange(50)[:, None] > 10, 0.0, braking.velocity))
    frozen = stopped.replace(xy=torch.where(torch.arange(50)[:, None] > 10, stopped.xy[10], stopped.xy))
    side = straight(8, y=1.2)
    mine, peer = judged(side, frozen), judged(side, frozen, rules=Rules.of(1, "peer"))
    assert mine.contact_kind[0, 0] == 1 and peer.contact_kind[0, 0] != 1


def test_time_to_collision_looks_nine_steps_ahead():
    # the front passes 15.112 m at step 19; with a look of 0.9 s the ego first sees it at step 10
    j = judged(straight(8), track((20, 0), steps=50))
    assert (j.time_to_collision[0], j.ahead_step[0], j.ahead_later[0]) == (0, 10, 9)
    away = judged(straight(8), track((20, 3.5), steps=50))
    assert away.time_to_collision[0] == 1, "who stands in the next lane is not met"
    # at 8 m/s the front is at 30.6 m after 3.5 s: only a look after 3.1 s finds who stands 6 m further
    far = track((2.588 + 2.3 + 8 * 4.45, 0), steps=50)
    assert judged(straight(8), far).time_to_collision[0] == 0
    assert judged(straight(8), far, rules=Rules.of(2)).time_to_collision[0] == 1


def test_off_the_road_is_a_corner():
    # two lanes of 3.5 m: the border is at -1.75, the ego's side at y - 1.1485
    assert judged(straight(5, y=-0.60)).on_road[0] == 1
    j = judged(straight(5, y=-0.61))
    assert (j.on_road[0], j.off_road_step[0], j.off_road_corner[0]) == (0, 0, 1)


def test_direction_is_displacement_outside_the_routes_lanes():
    road = straight_road(2)
    road = road.replace(lanes=road.lanes.replace(neighbours=torch.zeros(0, 3, dtype=torch.int64)))
    for speed, value, peer in ((1.9, 1.0, 0.5), (2.1, 0.5, 0.5), (5.9, 0.5, 0.0), (6.1, 0.0, 0.0)):
        j = judged(straight(speed, y=3.5), map=road)
        assert j.direction[0] == value and j.oncoming[0] == pytest.approx(speed), "1 s of it"
        assert judged(straight(speed, y=3.5), map=road, rules=Rules.of(1, "peer")).direction[0] == peer, "1.1 s of it"
    assert judged(straight(9, y=3.5)).direction[0] == 1, "a lane beside the route's, in its direction, is on the route"
    crossing = road.replace(lanes=road.lanes.replace(intersection=torch.tensor([False, True])))
    assert judged(straight(9, y=3.5), map=crossing).direction[0] == 0
    assert judged(straight(9, y=3.5), map=crossing, rules=Rules.of(2)).direction[0] == 1, "v2 spares intersections"


def test_the_lane_is_kept_for_all_but_two_seconds():
    def swerve(steps):
        states = straight(5)
        states[0, 5 : 5 + steps, 1] = 0.6
        return states

    assert judged(swerve(19)).lane[0] == 1
    j = judged(swerve(20))
    assert (j.lane[0], j.lane_step[0]) == (0, 24)
    road = straight_road(2)
    road = road.replace(lanes=road.lanes.replace(intersection=torch.tensor([True, False])))
    assert judged(swerve(30), map=road).lane[0] == 1, "not judged on intersections"


def test_red_is_a_lane_of_the_route_while_it_is_red():
    road = straight_road(2)
    state = torch.full((50, 1), int(Light.GREEN))
    state[20:] = int(Light.RED)
    for lane, value in ((0, 0.0), (1, 1.0)):
        signals = Signals(torch.tensor([lane]), torch.zeros(1, 2), torch.zeros(1, 4), state)
        course = Course.of(road, torch.tensor([[-50.0, 0.0], [150.0, 0.0]]))
        lanes = course.lanes & (np.arange(2) == 0)
        red = red_lights(signals, Course(course.line, course.s, lanes), 0, 41)
        j = judged(straight(5), red=red[:2])
        assert j.lights[0] == value and j.light_step[0] == (20 if value == 0 else -1)


def test_progress_is_that_of_the_middle_and_never_negative():
    assert judged(straight(5)).progress[0] == pytest.approx(20)
    assert judged(straight(-1)).progress[0] == 0
    bend = torch.tensor([[-50.0, 0.0], [10.0, 0.0], [10.0, 50.0]])
    assert judged(straight(5), route=bend).progress[0] == pytest.approx(10), "what goes on beside it is none"


@pytest.mark.parametrize("seed", range(6))
def test_judgement_is_the_plain_form(seed):
    draw = np.random.default_rng(seed)
    road = straight_road(3)
    road = road.replace(lanes=road.lanes.replace(intersection=torch.tensor([False, True, False])))
    between = draw.uniform
    others = [
        track((between(-10, 40), between(-2, 8)), between(-3, 3), between(0, 8),
              kind=Kind.CONE if draw.random() < 0.2 else Kind.CAR, steps=50,
              valid=slice(int(between(0, 10)), int(between(30, 50))))
        for _ in range(14)
    ]  # fmt: skip
    world = scenario(track((0, 0), steps=50), *others, map=road)
    proposals = np.stack([arc(between(1, 12), between(-0.02, 0.02)) for _ in range(12)])
    states = roll_out(proposals, TIMES, start(y=between(-0.5, 6), speed=between(0, 10)), CAR)
    course = Course.of(road, world.scene.briefing.route)
    course = Course(course.line, course.s, np.array([True, False, False]))
    j = judge(states, Tracks.of(world.log), Road.of(road, CAR), course, CAR)
    reference = plain.World(world.log, road, course.lanes, course.line)
    for n in range(len(states)):
        expected = plain.judge(states[n], reference, CAR)
        mine = {
            "NC": j.no_collision[n], "DAC": j.on_road[n], "TTC": j.time_to_collision[n], "DDC": j.direction[n],
            "progress": j.progress[n],
        }  # fmt: skip
        assert mine == pytest.approx(expected, abs=1e-9), n


def test_the_world_may_stand_anywhere():
    others = [track((20, 0), speed=3, steps=50), track((5, 3.4), yaw=-0.1, speed=6, steps=50)]
    world = scenario(track((0, 0), steps=50), *others)
    states = roll_out(np.stack([arc(v, 0.01) for v in (3, 6, 9)]), TIMES, start(speed=6), CAR)
    angle, shift = 2.2, (310.0, -95.0)
    moved, turn = (
        move(world, angle, shift),
        np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]),
    )
    there = states.copy()
    there[..., :2] = states[..., :2] @ turn.T + shift
    there[..., 2] = plain.wrap(states[..., 2] + angle)
    both = [
        judge(x, Tracks.of(w.log), Road.of(w.scene.map, CAR), Course.of(w.scene.map, w.scene.briefing.route), CAR)
        for x, w in ((states, world), (there, moved))
    ]
    for name in ("no_collision", "contact", "on_road", "direction", "time_to_collision", "lane", "comfort"):
        assert (getattr(both[0], name) == getattr(both[1], name)).all(), name
    assert both[0].progress == pytest.approx(both[1].progress, abs=1e-3)


def test_forecasts_keep_speed_and_heading_and_roll_backwards():
    log = [track((0, 0)), track((10, 0), yaw=0.5, speed=4), track((20, 0), speed=-2), track((30, 0), kind=Kind.CONE)]
    now = Agents.stack(log, dim=1)[0]
    tracks = Tracks.forecast(now, 10, 0.1)
    assert tracks.boxes[10, :2, 0] == pytest.approx([10 + 4 * math.cos(0.5), 4 * math.sin(0.5)], abs=1e-5)
    assert tracks.boxes[10, 0, 1] == pytest.approx(18) and tracks.boxes[10, 0, 2] == 30
    assert Tracks.forecast(now, 1, 0.1, radius=15).index.tolist() == [1]


# comfort


def test_filters_are_scipys():
    from scipy.signal import savgol_filter

    values = np.random.default_rng(0).normal(size=(3, 41))
    assert filtered(values, 8) == pytest.approx(np.round(savgol_filter(values, 8, 2), 8))
    assert filtered(values, 15, 2, 1, 0.1) == pytest.approx(np.round(savgol_filter(values, 15, 2, 1, 0.1), 8))


def test_motions_of_known_drives():
    t = 0.1 * np.arange(41)
    found = motions(0.5 * t, 0 * t, 0.1 * t**2, 0.1)
    assert found["yaw_acceleration"] == pytest.approx(0.2) and found["yaw_rate"] == pytest.approx(0.2 * t)
    # a window of 8 has no middle: away from the ends, where the fit is one-sided, it lags by half a step
    inner = slice(12, -12)
    assert found["longitudinal_jerk"][inner] == pytest.approx(0.5)
    assert np.diff(found["longitudinal_acceleration"][inner]) == pytest.approx(0.05)
    assert abs(found["longitudinal_acceleration"] - 0.5 * t)[inner] == pytest.approx(0.025)


def test_two_plans_alike():
    proposals, begin = draws(3, 1)
    states = roll_out(proposals, TIMES, begin, CAR)[0]
    same = np.concatenate([states[5:], states[-1:].repeat(5, 0)])
    assert max(differences(states, same, 5, 0.1).values()) == 0
    harder = same.copy()
    harder[:, 4] += 0.8
    found = differences(np.abs(states) * [1, 1, 1, 0, 0, 0, 0], harder * [1, 1, 1, 0, 0, 0, 0], 5, 0.1)
    assert alike(differences(states, same, 5, 0.1)) and found["acceleration"] == 0
    plain_, pushed = states * 0, states * 0
    pushed[:, 4] = 0.71
    found = differences(plain_, pushed, 5, 0.1)
    assert found["acceleration"] == pytest.approx(0.71) and not alike(found)


# the arithmetic


def test_the_published_products():
    path = ORACLES / "navsim_formula_cases.json"
    if not path.exists():
        pytest.skip("shared/oracles/navsim_formula_cases.json is not here")
    cases = json.loads(path.read_text())["formula_cases"]
    for case in cases:
        name = "EPDMS" if "EPDMS" in case else "PDMS"
        parts = {key: value for key, value in case.items() if key != name}
        formula = score.epdms if name == "EPDMS" else score.pdms
        assert formula(parts) == pytest.approx(case[name], abs=1e-12)


def test_products_come_before_means():
    one = dict.fromkeys(("NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC"), 1.0)
    frames = [one, {**one, "NC": 0.0, "EP": 0.0}, {**one, "DAC": 0.0}]
    averaged = {name: float(np.mean([f[name] for f in frames])) for name in one}
    assert score.mean_of_products(frames) == pytest.approx(1 / 3)
    assert score.epdms(averaged) != pytest.approx(1 / 3)


def test_parts_that_do_not_apply_give_their_weight_away():
    parts = {"NC": 1, "DAC": 1, "DDC": 1, "TLC": 1, "EP": 0.5, "TTC": 1, "LK": 1, "HC": 1}
    assert score.epdms(parts) == pytest.approx((2.5 + 5 + 2 + 2) / 14)
    assert score.epdms({**parts, "EC": math.nan}) == score.epdms(parts)
    for wrong in ({**parts, "X": 1}, {k: v for k, v in parts.items() if k != "NC"}):
        with pytest.raises(ValueError):
            score.epdms(wrong)


def test_progress_is_compared_above_five_metres():
    raw = np.array([10.0, 8.0])
    assert score.progress_v1(raw, np.array([1, 1])).tolist() == [1, 0.8]
    assert score.progress_v1(raw, np.array([0.5, 1])).tolist() == [0.625, 1], "the reference by its product, too"
    assert score.progress_v1(raw, np.array([1, 0])).tolist() == [1, 0]
    assert score.progress_v1(np.array([5.0, 1]), np.array([1, 1])).tolist() == [1, 1]
    assert score.progress_v1(np.array([5.0, 1]), np.array([1, 0])).tolist() == [1, 0]
    assert score.progress_v2(raw, np.array([1, 0])).tolist() == [1, 0.8], "v2: the plan's own is not multiplied"
    assert score.progress_v2(raw, np.array([0, 1])).tolist() == [1, 1], "and never above 1"
    assert score.progress_v2(np.array([5.0, 1]), np.array([1, 0])).tolist() == [1, 1]


def test_the_human_is_not_asked_for_more_than_he_did():
    parts = {"NC": 0.5, "DAC": 0.0, "TTC": 0.0, "EC": math.nan}
    found = score.human_filter(parts, {"NC": 0.5, "DAC": 0.0, "TTC": 1.0, "EC": 0.0})
    assert (found["NC"], found["DAC"], found["TTC"]) == (0.5, 1.0, 0.0) and math.isnan(found["EC"])


def test_weights_of_the_second_stage():
    weights = score.stage_weights([0.0, 0.0], [[0, 0], [math.sqrt(0.2), 0], [0, math.sqrt(0.4)]])
    expected = np.exp([0.0, -1.0, -2.0])
    assert weights == pytest.approx(expected / expected.sum())
    assert score.stage_weights([0, 0], [[50, 0], [60, 0]]).tolist() == [0.5, 0.5], "where the sum vanishes"
    assert score.two_stage(0.5, [0, 0], [[50, 0], [60, 0]], [1.0, 0.5]) == pytest.approx(0.375)
    assert score.pseudo_simulation([[0.2, 0.4], [1.0]]) == pytest.approx(0.65)
    for wrong in (lambda: score.stage_weights([0, 0], []), lambda: score.pseudo_simulation([[]])):
        with pytest.raises(ValueError):
            wrong()


def test_states_of_a_drive():
    agents = Agents.stack([track((0, 0), speed=5)], dim=1)
    steering = torch.full((41, 1), 0.1)
    states = ego_states(agents[:, 0], Body(steering, 0 * steering)[:, 0], CAR)
    assert states[0] == pytest.approx([-CAR.rear_axle_to_center, 0, 0, 5, 0, 0.1, 5 * math.tan(0.1) / CAR.wheelbase])


def test_on_the_route_are_its_lanes_those_beside_them_and_what_joins_them():
    """An approach with a lane beside it, an exit, three ways between them or off, and a lane that crosses."""
    road = straight_road(2)
    line = lambda *points: torch.tensor([[*point, 0.0] for point in points])  # noqa: E731
    lines = [
        line((-50, 0), (0, 0)), line((-50, 3.5), (0, 3.5)), line((20, 0), (150, 0)),  # approach, beside it, exit
        line((0, 0), (20, 0)), line((0, 3.5), (8, 3), (14, 0.8), (20, 0)),  # straight on; from the other lane
        line((0, 0), (10, -2), (14, -12)), line((10, -30), (10, 30)),  # a turn; what crosses
    ]  # fmt: skip
    lanes = road.lanes.replace(
        center=road.lanes.center.of(lines, dims=3), width=torch.full((7,), 3.5), speed_limit=torch.full((7,), 13.9),
        intersection=torch.tensor([False, False, False, True, True, True, True]),
        successors=torch.tensor([[0, 3], [1, 4], [0, 5], [3, 2], [4, 2]]),
        neighbours=torch.tensor([[0, 1, 1], [1, 0, -1]]),
    )  # fmt: skip
    course = Course.of(road.replace(lanes=lanes), torch.tensor([[-50.0, 0.0], [150.0, 0.0]]))
    assert course.lanes.tolist() == [True, True, True, True, True, False, False]
