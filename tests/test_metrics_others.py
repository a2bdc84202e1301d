"""AlpaSim, NeuroNCAP, HUGSIM, DriveArena, Bench2Drive and Waymax: published numbers, cases by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.config import part
from drivesim.simulator import simulate
from drivesim.types import Kind, Plan
from metrics import bench2drive, drive_arena, hugsim, waymax
from metrics.alpasim import alpasim, open_loop_collision, scene_score
from metrics.bench2drive import speed
from metrics.neuro_ncap import mean_stars, neuro_ncap, reference_speed, stars

from .worlds import rollout, scenario, track, tracks_of

ORACLES = Path(__file__).parents[2] / "shared" / "oracles"


def oracle(name):
    file = ORACLES / name
    if not file.is_file():
        pytest.skip(f"{name} is not here: the shared oracles are not part of the repository")
    return json.loads(file.read_text())


def waymax_cases(kind):
    """All cases of a kind: one or a list under its name, and more under names that begin with it."""
    found = [case for key, case in oracle("waymax_cases.json").items() if key.startswith(kind)]
    assert found, kind
    return [one for case in found for one in (case if isinstance(case, list) else [case])]


# published numbers


def test_alpasim_scene_scores():
    for case in oracle("alpasim_scene_score_cases.json")["cases"]:
        given = float(case["progress"]), case.get("gt", 10), case.get("fault", 0), case.get("offroad", 0)
        if case.get("error"):
            with pytest.raises(ValueError, match="progress"):
                scene_score(*given)
        else:
            assert scene_score(*given) == pytest.approx(case["score"]), case


def test_alpasim_open_loop_collisions():
    cases = oracle("alpasim_scene_score_cases.json")["open_loop_collision"]
    for case in cases:
        full = {**cases[case["same_as"]], **case} if "same_as" in case else case
        plan, time, agent = (torch.tensor(full[key], dtype=torch.float64) for key in ("plan", "t", "agent"))
        hit = open_loop_collision(plan, time, agent, full["box_lw"], full["horizon"])
        assert hit == bool(full["value"]), full


def test_waymax_overlaps():
    for case in waymax_cases("overlap"):
        size = torch.tensor([[case["length"], case["width"]]], dtype=torch.float64).expand(len(case["yaw"]), 2)
        hit = waymax.overlaps(torch.tensor(case["xy"]), torch.tensor(case["yaw"]), size)
        assert hit.int().tolist() == case["expected_overlap_per_object"], case


def test_waymax_road_edges():
    for case in waymax_cases("offroad"):
        edge, way, point = (torch.tensor([case[k]]).double() for k in ("road_edge_point", "road_edge_dir", "point"))
        distance = float(waymax.road_edge_distance(point, edge, way))
        assert distance == pytest.approx(case["signed_distance"], abs=1e-5) and (distance > 0) == case["offroad"]


def test_waymax_bicycle():
    for case in waymax_cases("bicycle_forward"):
        assert case["start"] == "all zeros", "other starts are not read here"
        a, k = (x * m for x, m in zip(case["action_normalised"], (case["max_accel"], case["max_steer"]), strict=True))
        zero = torch.zeros(3, dtype=torch.float64)
        pose, velocity = waymax.bicycle_forward(zero, zero[:2], torch.tensor(a), torch.tensor(k), case["dt"])
        expected = case["expected"]
        assert pose[:2].tolist() == pytest.approx([expected["x"], expected["y"]], abs=1e-6)
        assert velocity.tolist() == pytest.approx([expected["vel_x"], expected["vel_y"]], abs=1e-3)


def test_waymax_divergence():
    for case in waymax_cases("log_divergence"):
        ego, log = (track(tuple(map(float, case[k])), steps=3) for k in "ab")
        world = scenario(log, track((50, 50), steps=3))
        drive = rollout(world, ego, track((50, 50), steps=3))
        assert waymax.log_divergence([drive], world).value == pytest.approx(case["expected"])


def test_waymax_infeasibility():
    for case in waymax_cases("kinematic_infeasibility"):
        steps, dt, most = case["steps"], case["dt"], case["max_steer"]
        for name, expected in case["expected"].items():
            speed = 2 * math.pi / steps / most / dt + float(name.split()[1])
            yaw = torch.linspace(0, 2 * math.pi, steps + 1, dtype=torch.float64)[:steps]
            velocity = speed * torch.stack([yaw.cos(), yaw.sin()], -1)
            bad = waymax.infeasible(yaw, velocity, dt, case["max_acc"], most)
            assert bool(bad.all()) == bool(expected) and bool(bad.any()) == bool(expected), name


# by hand


def test_the_bicycle_and_its_inverse_agree():
    draw = torch.Generator().manual_seed(0)
    pose, velocity = torch.tensor([0.0, 0.0, 0.4]).double(), 8 * torch.tensor([math.cos(0.4), math.sin(0.4)]).double()
    yaws, velocities, actions = [pose[2]], [velocity], []
    for _ in range(20):
        a, k = (torch.rand(2, generator=draw).double() * 2 - 1) * torch.tensor([5.0, 0.25])
        pose, velocity = waymax.bicycle_forward(pose, velocity, a, k)
        yaws.append(pose[2])
        velocities.append(velocity)
        actions.append((float(a), float(k)))
    a, k = waymax.bicycle_inverse(torch.stack(yaws), torch.stack(velocities))
    assert np.allclose(np.stack([a, k], -1), actions, atol=1e-9)


def test_a_road_edge_counts_the_more_inward_side_of_a_corner():
    # the road lies left of an edge that goes east and then north: a point diagonally inside the corner
    edge = torch.tensor([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0]])
    way = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    inside, outside = torch.tensor([[9.0, 1.0]]), torch.tensor([[11.0, -1.0]])
    assert float(waymax.road_edge_distance(inside, edge, way)) == pytest.approx(-math.sqrt(2))
    assert float(waymax.road_edge_distance(outside, edge, way)) == pytest.approx(math.sqrt(2))
    # a bridge over it, whose edge is 3 m farther east: heights count twice
    above, low = torch.tensor([[10.0, 0.0, 4.0]]), torch.cat([edge, torch.zeros(3, 1)], -1)
    both = torch.cat([low, low + torch.tensor([3.0, 0.0, 4.0])])
    assert float(waymax.road_edge_distance(above, both, way.repeat(2, 1))) == pytest.approx(-3.0)


def test_off_route_and_wrong_way():
    route, other = torch.tensor([[0.0, 0.0], [10.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    xy = torch.tensor([[0.0, 4.9], [0.0, 5.1], [0.0, 2.9], [0.0, 3.1], [10.0, 1.0]])
    assert waymax.off_route_distance(xy, route, other[:0]).tolist() == pytest.approx([0, 5.1, 0, 0, 0])
    assert waymax.off_route_distance(xy, route, other).tolist() == pytest.approx([4.9, 5.1, 0, 3.1, 0])
    assert waymax.wrong_way_distance(xy, route).tolist() == pytest.approx([4.9, 5.1, 0, 0, 0])


def test_waymax_progression():
    world = scenario(track((0, 0), speed=10), track((150, 7)))
    half = waymax.progression([rollout(world, track((0, 0), speed=5), track((150, 7)))], world)
    assert half.value == pytest.approx(0.5, abs=0.02)
    assert waymax.progression([rollout(world)], world).value == pytest.approx(1.0, abs=0.02)


def test_waymax_leaving_the_lane_and_the_road():
    world = scenario(track((0, 0), speed=10), track((150, 7)))
    aside = rollout(world, track((0, 0), yaw=-0.2, speed=10), track((150, 7)))
    off = waymax.off_road([aside], world)
    assert off.value == 1 and off.evidence[0].detail["value"] == pytest.approx(float(off.series.max()), abs=1e-3)
    assert waymax.wrong_way([aside], world).value == pytest.approx(40 * math.sin(0.2), abs=0.2)
    assert waymax.off_route([aside], world).value == pytest.approx(40 * math.sin(0.2), abs=0.2)
    hasty = rollout(world, track((0, 0), acceleration=10.5), track((150, 7)))
    event = waymax.infeasibility([hasty], world).evidence[0]
    assert event.detail["acceleration"] == pytest.approx(10.5, abs=1e-2) and event.step == 1
    for name in ("off_road", "wrong_way", "off_route", "overlap", "infeasibility"):
        assert getattr(waymax, name)([rollout(world)], world).value == 0


@pytest.mark.parametrize(("impact", "reference", "score"), [
    (None, 10, 5), (0, 10, 4), (5, 10, 2), (10, 10, 0), (12, 10, 0), (2.5, 12.5, 3.2), (1, 0, 0),
])  # fmt: skip
def test_stars(impact, reference, score):
    assert stars(impact, reference) == pytest.approx(score)


def test_mean_stars_are_means_of_means():
    total, types = mean_stars({"frontal": {"0103": [5, 1], "0106": [0]}, "side": {"0103": [2]}})
    assert types == {"frontal": 1.5, "side": 2.0} and total == 1.75
    with pytest.raises(ValueError, match="side"):
        mean_stars({"side": {"0103": []}})


def crash_world(speed=8.0):
    """An ego at `speed` that stops in its log, and one that stands 40 m ahead."""
    log = track((0, 0), speed=speed, acceleration=-1.0, steps=81)
    return scenario(log, track((34, 0), steps=81), start=0)


def test_neuro_ncap_of_a_crash():
    world = crash_world()
    assert reference_speed(world, 0)[0] == pytest.approx(8.0)
    braking = rollout(world, track((0, 0), speed=8, acceleration=-0.5, steps=81), tracks_of(world)[1])
    gap = 34 - (5.176 + 4.6) / 2
    met = math.sqrt(64 - gap)  # v^2 = 64 - 2 * 0.5 * gap
    score = neuro_ncap([braking], world)
    assert score.value == pytest.approx(4 * (1 - met / 8), abs=0.04)
    detail = score.evidence[0].detail
    assert detail["impact_speed"] == pytest.approx(met, abs=0.06) and detail["reference_speed"] == pytest.approx(8)
    assert "0 km" not in detail["kept_by"] and detail["due_at_seconds"] == pytest.approx(gap / 8, abs=0.05)
    away = rollout(world, track((0, 0), yaw=0.4, speed=8, steps=81), tracks_of(world)[1])
    assert neuro_ncap([away], world).value == 5.0 and not neuro_ncap([away], world).evidence


def test_neuro_ncap_reference_of_the_peer():
    log = track((0, 0), speed=8, acceleration=-0.5, steps=101)  # 3 m/s at the end
    world = scenario(log, track((34, 0), steps=101))
    assert reference_speed(world, 0, "peer")[0] == pytest.approx(3.0, abs=0.01)
    assert reference_speed(world, 0, "strict")[0] == pytest.approx(8.0)


def test_neuro_ncap_without_a_test_is_no_score():
    world = scenario(track((0, 0), speed=5), track((0, 7), speed=5))
    score = neuro_ncap([rollout(world)], world)
    assert not score.valid and "no crash test" in score.reason
    people = scenario(track((0, 0), speed=8), track((20, 0), kind=Kind.PEDESTRIAN, size=(0.6, 0.6, 1.7)))
    assert not neuro_ncap([rollout(people)], people).valid  # it counts vehicles and bicycles


def test_alpasim_of_drives():
    world = scenario(track((0, 0), speed=10), track((30, 0)), track((60, 3.5)))
    free = tracks_of(world)[2]
    slow = rollout(world, track((0, 0), speed=4), track((60, 0)), free)
    assert alpasim([slow], world).value == pytest.approx(0.5)
    assert alpasim([slow], world).evidence[0].detail["kept_by"].startswith("16.0")
    struck = rollout(world, track((0, 0), speed=10), *tracks_of(world)[1:])
    score = alpasim([struck], world)
    assert score.value == 0 and score.evidence[0].detail["at_fault"]
    behind = rollout(world, track((0, 0), speed=9), track((-15, 0), speed=15), free)
    bumped = alpasim([behind], world)  # hit from behind after 1.7 s: what comes later does not count
    assert 0 < bumped.value < 0.6 and not bumped.evidence[0].detail["at_fault"]
    bare = replace(
        world, scene=replace(world.scene, map=world.scene.map.replace(drivable=type(world.scene.map.drivable).of([])))
    )
    assert not alpasim([slow], bare).valid


def test_alpasim_peer_keeps_the_last_collision_alone():
    # touched at once by one in front and one behind: the last is the rear one
    others = track((4.95, 0)), track((-4.95, 0), speed=2)
    world = scenario(track((0, 0), speed=1), *others)
    assert [alpasim([rollout(world)], world, form).value for form in ("strict", "peer")] == [0.0, 1.0]


def test_drive_arena_by_hand():
    whole = {"nc": 1, "dac": 1, "ttc": 1, "c": 1, "ep": 1}
    assert drive_arena.frame_score(**whole) == 1
    assert drive_arena.frame_score(1, 0.5, 1, 0, 0.5) == pytest.approx(0.5 * 7.5 / 12)
    frames = [whole, {**whole, "nc": 0}]
    assert drive_arena.pdms(frames) == 0.5 and drive_arena.ads(0.5, 0.2) == pytest.approx(0.1)
    assert drive_arena.progress(4, 4.9, 1) == 1 and drive_arena.progress(20, 10, 12) == pytest.approx(1.2)
    for wrong in (lambda: drive_arena.pdms([]), lambda: drive_arena.ads(math.nan, 1)):
        with pytest.raises(ValueError):
            wrong()


def test_bench2drive_by_hand():
    score = bench2drive.driving_score
    assert score(100, {}) == 100 and bench2drive.success(100, {})
    assert score(80, {"collisions_vehicle": 2, "red_light": 1}) == pytest.approx(80 * 0.36 * 0.7)
    assert score(100, {"collisions_pedestrian": 1, "stop_infraction": 1}, outside_lanes=10) == pytest.approx(36)
    assert score(100, {}, min_speed=[50]) == 100 and score(100, {}, min_speed=[50], leaderboard=True) == 85
    assert not bench2drive.success(99.9, {}) and not bench2drive.success(100, {"red_light": 1})
    assert bench2drive.success(100, {"min_speed_infractions": 3})
    assert bench2drive.mean_driving_score([100, 10]) == pytest.approx(0.5)
    assert bench2drive.efficiency([90, 110, 4000]) == 100 and bench2drive.efficiency([1500]) is None
    assert bench2drive.ability([(("merging",), True), (("merging", "overtaking"), False)]) == {
        "overtaking": 0, "merging": 0.5, "mean": 0.25}  # fmt: skip
    with pytest.raises(ValueError, match="flying"):
        score(100, {"flying": 1})


def test_bench2drive_smoothness_by_hand():
    still = np.zeros((60, 2))
    hard = still.copy()
    hard[20:40, 0] = -6.0
    assert bench2drive.smooth_share(still, np.zeros(60)) == 1
    assert bench2drive.smooth_share(hard, np.zeros(60)) == pytest.approx(2 / 3)
    assert bench2drive.smooth_share(hard[:35], np.zeros(35)) == 1  # the rest of a segment is dropped
    turning = np.full(20, 10.0)  # deg/s, steadily: 0.17 rad/s
    assert bench2drive.smooth_share(still[:20], turning) == 1
    assert bench2drive.smooth_share(still[:20], turning, form="peer") == 0  # 10 > 0.95
    assert bench2drive.smooth_share(still[:20], np.full(20, 0.5), form="peer") == 1
    with pytest.raises(ValueError, match="fewer"):
        bench2drive.smooth_share(still[:2], np.zeros(2))


def test_bench2drive_efficiency_by_hand():
    """40 m of route, a checkpoint each 2 m: another drives 10 m/s all along, the ego 5 m/s, then 10 m/s."""
    score = part("metrics", "bench2drive_efficiency")
    other, log = track((20, 3.5), speed=10), track((0, 0), speed=10)
    world = scenario(log, other, track((70, 3.5)))  # and one is parked
    assert score([rollout(world)], world).value == pytest.approx(100)
    half = score([rollout(world, track((0, 0), speed=5), other, track((70, 3.5)))], world)
    assert half.value == pytest.approx(50) and half.lost == pytest.approx(0.5) and half.unit == "%"
    assert len(half.evidence) == 8 and sum(e.detail["lost"] for e in half.evidence) == pytest.approx(0.5)  # 2.5 m each
    assert half.evidence[0].detail["kept_by"] == "a mean speed of 10.00 m/s on this stretch"
    fast = score([rollout(world, track((0, 0), speed=20), other, track((70, 3.5)))], world)
    assert fast.value == pytest.approx(200) and fast.perfect and not fast.evidence
    none = score([rollout(world, track((0, 0)), other, track((70, 3.5)))], world)
    assert not none.valid and "none of the 20 checkpoints" in none.reason
    alone = scenario(log, track((70, 3.5)), track((30, 0), kind=Kind.PEDESTRIAN, speed=1))
    assert score([rollout(alone)], alone).reason == "nobody else drives"


def test_bench2drive_checkpoints_by_hand():
    """Where there is nobody a step counts for neither speed; the route's end is a checkpoint from 95 % on."""
    along, ego = torch.arange(0, 41.0), torch.full((41,), 4.0)
    others = torch.where(torch.arange(41) % 2 == 0, 8.0, torch.nan)
    found = speed.checkpoints(along, 40.0, ego, others, count=4)
    assert [(p.first, p.last, p.share) for p in found] == [(0, 11, 50), (11, 22, 50), (22, 33, 50), (33, 41, 50)]
    assert len(speed.checkpoints(along[:38], 40.0, ego, others, count=4)) == 3
    nobody = speed.checkpoints(along, 40.0, ego, others * torch.nan, count=4)
    assert [p.share for p in nobody] == [100.0] * 4


def test_bench2drive_of_drives():
    world = scenario(track((0, 0), speed=10), track((36, 0)))
    half = rollout(world, track((0, 0), speed=5), tracks_of(world)[1])
    assert bench2drive.bench2drive([half], world).value == pytest.approx(50, abs=0.5)
    struck = bench2drive.bench2drive([rollout(world)], world)
    assert struck.value == pytest.approx(60) and struck.evidence[0].kind == "collisions_vehicle"
    assert not struck.evidence[-1].detail["success"] and "stop signs" in struck.evidence[-1].detail["not_covered"]
    aside = rollout(world, track((0, 3.5), yaw=math.pi, speed=0.0), track((36, 9)))
    assert bench2drive.bench2drive([aside], world).value == 0
    still = scenario(track((0, 0)), track((36, 0)))
    assert not bench2drive.bench2drive([rollout(still)], still).valid


def planned(speed, turn=0.0, seconds=3.0):
    t = torch.arange(1, int(seconds / 0.1) + 1) * 0.1
    yaw = turn * t
    return Plan(torch.stack([speed * t * torch.cos(yaw / 2), speed * t * torch.sin(yaw / 2), yaw], -1), t)


def test_hugsim_of_plans():
    world = scenario(track((0, 0), speed=8), track((60, 0)), track((0, 70)))
    drive = rollout(world)
    with_plans = lambda *plans: replace(drive, plans=plans, plan_steps=tuple(10 * i for i in range(len(plans))))  # noqa: E731
    assert not hugsim.hugsim([drive], world).valid
    good = hugsim.hugsim([with_plans(planned(8.0), planned(8.0))], world)
    assert good.value == 1.0 and "background" in good.evidence[-1].detail["not_covered"]
    into = hugsim.hugsim([with_plans(planned(8.0), planned(20.0))], world)
    assert into.value == pytest.approx(0.5) and into.evidence[0].kind == "plan_nc"
    close = hugsim.hugsim([with_plans(planned(18.0))], world)  # ends at 54 m: the next half second hits
    assert close.value == pytest.approx(2 / 7)
    behind = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + torch.tensor([12.0, -0.2, 0.3])
    assert hugsim.hugsim([with_plans(planned(8.0))], world, background=behind).value == 0


def test_hugsim_by_hand():
    assert hugsim.frame_score(1, 0.5, 1, 0) == pytest.approx(0.5 * 5 / 7)
    assert hugsim.hd_score([1, 0.5], 0.8) == pytest.approx(0.6)
    log = torch.stack([torch.arange(100.0), torch.zeros(100)], -1)
    assert hugsim.route_completion(log[:45], log) == pytest.approx(0.5)
    assert hugsim.route_completion(log[:95], log) == 1.0
    assert [hugsim.ratio_score(x) for x in (0.25, 0.3, 0.49, 0.5, 1)] == [0, 0.5, 0.5, 1, 1]
    straight = torch.stack([torch.arange(7) * 4.0, torch.zeros(7), torch.zeros(7)], -1).double()
    assert hugsim.comfortable(straight, 0.5) and hugsim.comfortable(straight[:3] ** 3, 0.5)
    angle = torch.arange(7).double() * 0.4  # 0.8 rad/s at 8 m/s: 6.4 m/s^2 sideways
    circle = torch.stack([10 * angle.sin(), 10 - 10 * angle.cos(), angle], -1)
    assert not hugsim.comfortable(circle, 0.5, "strict") and hugsim.comfortable(circle, 0.5, "peer")
    faster = straight.clone()
    faster[:, 0] = 1.5 * (torch.arange(7) * 0.5) ** 2  # 3 m/s^2
    assert not hugsim.comfortable(faster, 0.5, "strict") and hugsim.comfortable(faster, 0.5, "peer")


def test_hugsim_judges_a_drive():
    world = scenario(track((0, 0), speed=8), track((90, 0)), start=5)
    score = part("metrics", "hugsim")([simulate(world, part("planner", "constant_velocity"))], world)
    assert score.valid and 0.9 < score.value <= 1 and torch.isnan(score.series[:5]).all()
