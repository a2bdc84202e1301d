"""Realism: Waymo's own numbers, cases by hand, laws."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.types import Kind, Lanes, Light, Polylines, Signals
from metrics.realism import BINS, WEIGHTS, evaluated, realism
from metrics.realism.features import Tracks, measure
from metrics.realism.interaction import LONGEST, nearest_object, time_to_collision
from metrics.realism.kinematics import angular, central_and, central_difference, linear
from metrics.realism.likelihood import Histogram, bernoulli, mean_likelihood
from metrics.realism.road import edge_distance, red_light_runs

from .worlds import move, path, rollout, scenario, straight_road, track, tracks_of

SHARED = Path(__file__).parents[2] / "shared"
ORACLE = SHARED / "oracles" / "wosac_feature_cases.json"
WAYMO = SHARED / "data" / "waymo"


@pytest.fixture(scope="module")
def oracle():
    if not ORACLE.exists():
        pytest.skip("the numbers of Waymo's tests are not here")
    return json.loads(ORACLE.read_text())


def kind(oracle, name):
    """All cases of a kind: one or a list under its name, and more under names that begin with it."""
    found = [case for key, case in oracle.items() if key.startswith(name)]
    return [one for case in found for one in (case if isinstance(case, list) else [case])]


def boxes(*rows):
    """One rollout of one step: (1, A, 1, 5) and who is there."""
    array = np.array(rows, float)[None, :, None]
    return array, np.ones(array.shape[:-1], bool)


def everybody(array):
    return np.arange(array.shape[1])


# Waymo's numbers


def test_central_and_as_in_waymos_test(oracle):
    for case in kind(oracle, "central_and"):
        got = central_and(np.array(case["x"], bool), bool(case["pad"]))
        assert got.astype(int).tolist() == case["expected"]


def test_box_distances_as_in_waymos_tests(oracle):
    for case in kind(oracle, "box_distance_no_rounding"):
        array, there = boxes(*([x, y, h, length, width] for x, y, _, length, width, _, h in case["boxes_xyzlwhh"]))
        got = nearest_object(array, there, everybody(array), rounding=0.0)
        assert got == pytest.approx(np.full((1, 2, 1), case["d"]), abs=1e-9)


def times():
    """The names of the worlds in which times to collision are known."""
    found = json.loads(ORACLE.read_text())["ttc"] if ORACLE.exists() else {}
    return [name for name, case in found.items() if isinstance(case, dict)] or ["grid9"]


@pytest.mark.parametrize("name", times())
def test_times_to_collision_as_in_waymos_tests(oracle, name):
    case = oracle["ttc"][name]
    limit = math.radians(75)
    turns = {"0": 0.0, "75deg+0.01": limit + 0.01, "75deg-0.01": limit - 0.01}
    yaw = [turns[x] if isinstance(x, str) else x for x in case["heading"]]
    array, there = boxes(*([*xy, h, *case["size_lw"]] for xy, h in zip(case["xy"], yaw, strict=True)))
    speed = np.array(case["speed"], float)[None, :, None]
    got = time_to_collision(array, speed, there, everybody(array))[0, :, 0]
    assert got == pytest.approx(case["expected"], abs=1e-9)


def test_histogram_as_in_waymos_test(oracle):
    for case, pseudocount in itertools.product(kind(oracle, "histogram"), (0.0, 1e-4)):
        bins = Histogram(case["min"], case["max"], case["bins"], pseudocount)
        log, simulated = np.array(case["log"])[:, None], np.array(case["sim"])[None]
        got = np.exp(bins.log_likelihood(log, simulated))[:, 0]
        assert got == pytest.approx(case["expected_likelihood"], abs=case["atol"])


# by hand


def test_central_differences_by_hand():
    assert central_difference(np.array([0, 0.5, 1.5, 2, 3.5]))[1:-1].tolist() == [0.75, 0.75, 1.0]
    place = np.zeros((5, 3))
    place[:, 0] = [5, 6, 8, 9, 9]
    speed, change = linear(place, 1.0)
    assert speed[1:-1].tolist() == [1.5, 1.5, 0.5] and change[2] == -0.5
    turn, turn_change = angular(np.array([0.0, 1, 3, 2, 0]), 1.0)
    assert turn[1:-1] == pytest.approx([1.5, 0.5, -1.5]) and turn_change[2] == pytest.approx(-1.5)
    for x in (speed, change, turn, turn_change):
        assert np.isnan(x[0]) and np.isnan(x[-1])


def test_acceleration_and_yaw_rate_of_a_known_motion():
    t = np.arange(20) * 0.1
    speed, change = linear(np.stack([t**2, 0 * t], -1), 0.1)
    assert change[2:-2] == pytest.approx(2.0)
    turn, turn_change = angular((5 * t + np.pi) % (2 * np.pi) - np.pi, 0.1)
    assert turn[1:-1] == pytest.approx(5.0) and turn_change[2:-2] == pytest.approx(0.0, abs=1e-9)


def test_rounded_boxes():
    """4 x 2 m: corners of radius 0.7 m. Side by side nothing changes; corner to corner the gap is wider."""
    side, there = boxes([0, 0, 0, 4, 2], [0, 3, 0, 4, 2])
    assert nearest_object(side, there, everybody(side))[0, 0, 0] == pytest.approx(1.0)
    corner, there = boxes([0, 0, 0, 4, 2], [5, 3, 0, 4, 2])
    sharp = nearest_object(corner, there, everybody(corner), rounding=0.0)[0, 0, 0]
    assert sharp == pytest.approx(math.sqrt(2))
    assert nearest_object(corner, there, everybody(corner))[0, 0, 0] == pytest.approx(2.4 * math.sqrt(2) - 1.4)
    deep, there = boxes([0, 0, 0, 4, 2], [3.5, 0, 0, 4, 2])
    assert nearest_object(deep, there, everybody(deep))[0, 0, 0] == pytest.approx(-0.5)


def test_the_pruned_distance_is_that_of_all_pairs():
    draw = np.random.default_rng(5)
    n = 25
    array = np.concatenate(
        [draw.uniform(-20, 20, (n, 2)), draw.uniform(-9, 9, (n, 1)), draw.uniform(0.5, 6, (n, 2))], -1
    )[None, :, None]
    there = np.ones((1, n, 1), bool)
    got = nearest_object(array, there, np.arange(n))[0, :, 0]
    for i in range(n):
        pairs = [nearest_object(array[:, [i, j]], there[:, [i, j]], np.array([0]))[0, 0, 0] for j in range(n) if j != i]
        assert got[i] == pytest.approx(min(pairs))


def test_who_is_absent_is_near_nobody():
    array, there = boxes([0, 0, 0, 4, 2], [8, 0, 0, 4, 2], [20, 0, 0, 4, 2])
    there[0, 1] = False
    got = nearest_object(array, there, everybody(array))[0, :, 0]
    assert got[0] == pytest.approx(16.0) and np.isnan(got[1])
    there[0, 2] = False
    assert nearest_object(array, there, everybody(array))[0, 0, 0] == np.inf
    ttc = time_to_collision(array, np.full((1, 3, 1), 5.0), there, everybody(array))[0, :, 0]
    assert ttc[0] == LONGEST and np.isnan(ttc[1])


def test_a_small_overlap_counts_only_when_well_aligned():
    def ttc(turn):
        array, there = boxes([0, 0, 0, 4, 2], [10, 1.7, turn, 4, 2])
        return time_to_collision(array, np.array([[[6.0], [0.0]]]), there, everybody(array))[0, 0, 0]

    assert ttc(0.0) == pytest.approx(1.0)  # 0.3 m of overlap, 6 m ahead
    assert ttc(math.radians(11)) == pytest.approx(
        (10 - 2 - 2 * math.cos(math.radians(11)) - math.sin(math.radians(11))) / 6
    )  # turned so far that the overlap is 0.66 m
    assert ttc(math.radians(-170)) == LONGEST
    near, there = boxes([0, 0, math.pi - 0.05, 4, 2], [-10, 0, -math.pi + 0.05, 4, 2])
    speed = np.array([[[6.0], [0.0]]])
    assert time_to_collision(near, speed, there, everybody(near))[0, 0, 0] < LONGEST, "headings differ by 0.1 rad"


def test_bernoulli_by_hand():
    log = np.array([False, True, True, False, True])
    simulated = np.array([[0, 1, 0, 1, 1], [0, 1, 0, 1, 0], [0, 1, 0, 1, 0], [0, 1, 0, 1, 0]], bool)
    got = np.exp(bernoulli(log, simulated))
    assert got == pytest.approx([4.001 / 4.002, 4.001 / 4.002, 0.001 / 4.002, 0.001 / 4.002, 1.001 / 4.002])


def test_histogram_by_hand():
    bins = BINS["linear_speed"]  # 2.5 m/s each
    simulated = np.array([[[0.0, 2.4, 2.5, 99.0]], [[1.0, np.nan, 2.6, 24.0]]])
    got = np.exp(bins.log_likelihood(np.array([[1.0, 3.0, 26.0, 12.0]]), simulated))[0]
    assert got == pytest.approx([3.1 / 8, 2.1 / 8, 2.1 / 8, 0.1 / 8])
    assert mean_likelihood(np.log(got), np.array([True, True, False, False])) == pytest.approx(math.sqrt(3.1 * 2.1) / 8)


def test_weights_are_a_whole():
    for weights in WEIGHTS.values():
        assert sum(weights.values()) == pytest.approx(1.0)


def test_road_edge_is_that_of_the_worst_corner():
    road = straight_road(lanes=2)  # y from -1.75 to 5.25
    array, there = boxes([0, 0, 0, 4, 2], [0, -1.25, 0, 4, 2], [0, -5, math.pi / 2, 4, 2])
    got = edge_distance(array, there, road)[0, :, 0]
    assert got == pytest.approx([-0.75, 0.5, 5.25], abs=1e-5)


def lights(state, lane=1, stop=(10.0, 0.0)):
    plan = torch.full((41, 1), int(state))
    return Signals(torch.tensor([lane]), torch.tensor([stop]), torch.zeros(1, 4), plan)


def two_in_a_row(kinds=(0, 0)):
    """Lane 0 from x = -50 to 10 m leads to lane 1, from there to 100 m."""
    lines = [torch.tensor([[-50.0, 0, 0], [10.0, 0, 0]]), torch.tensor([[10.0, 0, 0], [100.0, 0, 0]])]
    return Lanes(
        Polylines.of(lines, list(kinds), dims=3), torch.full((2,), 3.5), torch.full((2,), 13.9),
        torch.zeros(2, dtype=torch.bool), torch.tensor([[0, 1]]), torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip


def test_red_light_runs():
    x = np.arange(41) * 0.5 + 0.2
    ahead = np.stack([x, 0 * x], -1)[None, None]
    runs = red_light_runs(ahead, two_in_a_row(), lights(Light.RED))
    assert np.flatnonzero(runs[0, 0]).tolist() == [20], "0.2 + 20 * 0.5 is the first x beyond 10 m"
    assert not red_light_runs(ahead, two_in_a_row(), lights(Light.GREEN)).any()
    assert not red_light_runs(ahead[:, :, ::-1], two_in_a_row(), lights(Light.RED)).any(), "the other way"
    assert not red_light_runs(ahead[:, :, :15], two_in_a_row(), lights(Light.RED)).any(), "it stops before"
    assert not red_light_runs(ahead, two_in_a_row(), lights(Light.RED, lane=0)).any(), "another lane is the nearest"
    assert not red_light_runs(ahead, two_in_a_row((0, 2)), lights(Light.RED)).any(), "bicycle lanes do not count"


# laws


def braking():
    """The ego follows a leader that brakes; one overtakes; one is parked; one comes later."""
    later = track((60, 0), speed=3, valid=slice(20, None))
    return scenario(
        track((0, 0), speed=9, acceleration=-1), track((18, 0), speed=8, acceleration=-1.2),
        track((-10, 3.5), speed=12), track((40, 6.2)), later, start=5,
    )  # fmt: skip


def perturbed(s, seed):
    draw = np.random.default_rng(seed)
    tracks = []
    for agent in tracks_of(s):
        drift = torch.from_numpy(draw.normal(0, [0.6, 0.15]) * np.arange(len(agent.yaw))[:, None] * 0.1).float()
        tracks.append(agent.replace(xy=agent.xy + drift))
    return rollout(s, *tracks)


def test_the_log_against_itself_is_best():
    s = braking()
    own = realism([rollout(s)] * 8, s)
    assert own.valid and own.value > 0.7
    others = [realism([perturbed(s, seed + 10 * i) for i in range(8)], s).value for seed in range(3)]
    assert own.value > max(others)
    crash = rollout(s, *[tracks_of(s)[0].replace(xy=tracks_of(s)[1].xy), *tracks_of(s)[1:]])
    worse = realism([crash] * 8, s)
    detail = worse.evidence[-1].detail
    assert worse.value < own.value - 0.1 and detail["collision_rate"] > detail["log_collision_rate"] == 0.0


def test_the_meta_metric_is_the_weighted_sum():
    s = braking()
    for year in WEIGHTS:
        score = realism([perturbed(s, 1)] * 2, s, year=year)
        parts = [e.detail for e in score.evidence[:-1]]
        assert score.value == pytest.approx(sum(p["likelihood"] * p["weight"] for p in parts), abs=1e-3)
    assert len(parts) == 10 and score.series.shape == (41,)
    assert bool(score.series[: s.start + 1].isnan().all()) and bool(score.series[s.start + 2 :].isfinite().all())


def test_order_of_rollouts_and_place_of_the_world_do_not_matter():
    s = braking()
    rollouts = [perturbed(s, i) for i in range(6)]
    value = realism(rollouts, s).value
    assert realism(rollouts[::-1], s).value == pytest.approx(value, abs=1e-12)
    for angle, shift in ((2.5, (300.0, -200.0)), (-0.7, (0.0, 50.0))):
        moved = [move(r, angle, shift) for r in rollouts]
        assert realism(moved, move(s, angle, shift)).value == pytest.approx(value, abs=0.01)


def test_features_do_not_turn_with_the_world():
    s = braking()
    turned = move(s, 2.0, (40.0, -10.0))
    a, b = (measure(Tracks.of([x.log[:, :4]], x.steps), np.arange(4), x.start, x.scene) for x in (s, turned))
    for name in BINS:
        assert getattr(b, name) == pytest.approx(getattr(a, name), abs=5e-3, nan_ok=True), name


def test_the_order_of_other_agents_does_not_matter():
    s = braking()
    r, order = [perturbed(s, i) for i in range(3)], [0, 3, 2, 1, 4]
    other = replace(s, log=s.log[:, order], track_ids=tuple(s.track_ids[i] for i in order))
    same = [replace(x, agents=x.agents[:, order]) for x in r]
    assert realism(same, other).value == pytest.approx(realism(r, s).value, abs=1e-12)


def test_who_is_evaluated():
    s = braking()
    assert evaluated(s) == [0, 1, 2], "not the parked one, not the one who comes later"
    assert evaluated(s, most=1) == [0, 2] or evaluated(s, most=1) == [0, 1]
    cones = scenario(track((0, 0), speed=5), track((9, 3), speed=5, kind=Kind.CONE), start=5)
    assert evaluated(cones) == [0]
    score = realism([rollout(s)], s, agents=["track 3", "ego"])
    assert score.evidence[0].agents == (0, 3)
    with pytest.raises(ValueError, match="track 4"):
        realism([rollout(s)], s, agents=["ego", "track 4"])


def test_who_comes_after_the_start_is_no_obstacle():
    s = braking()
    agents = tracks_of(s)
    in_the_way = track((0, 0), speed=9, valid=slice(20, None))
    a = realism([rollout(s)], s).evidence
    b = realism([rollout(s, *agents[:4], in_the_way)], s).evidence
    assert [x.detail for x in a] == [x.detail for x in b]


def test_a_rollout_that_ends_early_counts_as_far_as_it_goes():
    s = braking()
    short = replace(rollout(s), agents=s.log[:20])
    a, b = realism([short, rollout(s)], s), realism([rollout(s), short], s)
    assert a.valid and a.value == pytest.approx(b.value, abs=1e-12) and a.series.shape == b.series.shape == (41,)
    assert realism([short], s).series.shape == (20,)


def test_what_cannot_be_scored_says_why():
    s = braking()
    bare = replace(s, scene=replace(s.scene, map=s.scene.map.replace(drivable=Polylines.of([]))))
    score = realism([rollout(bare)], bare)
    assert not score.valid and "drivable" in score.reason and math.isnan(score.value)
    late = replace(s, start=38)
    assert "5" in realism([rollout(late)], late).reason
    with pytest.raises(ValueError, match="32"):
        realism([], s)
    with pytest.raises(ValueError, match="another|other"):
        realism([replace(rollout(s), scenario_id="other")], s)
    with pytest.raises(ValueError, match="2023"):
        realism([rollout(s)], s, year=2023)


def test_displacement_by_hand():
    s = braking()
    aside = [agent.replace(xy=agent.xy + torch.tensor([0.0, 0.5])) for agent in tracks_of(s)]
    detail = realism([rollout(s, *aside), rollout(s)], s).evidence[-1].detail
    assert detail["displacement"] == pytest.approx(0.25) and detail["least_displacement"] == 0.0


def test_pedestrians_have_no_time_to_collision_since_2025():
    walker = path(torch.stack([torch.arange(41) * 0.12 + 6, torch.full((41,), 3.0)], -1), torch.zeros(41),
                  kind=Kind.PEDESTRIAN)  # fmt: skip
    s = scenario(track((0, 0), speed=5), walker, track((8, 3), kind=Kind.PEDESTRIAN), start=5)
    r = [rollout(s, tracks_of(s)[0], walker.replace(xy=walker.xy + 9), *tracks_of(s)[2:])] * 4
    likelihood = {year: realism(r, s, year=year).evidence for year in WEIGHTS}
    ttc = {year: next(e for e in found if e.kind == "time_to_collision").detail for year, found in likelihood.items()}
    assert ttc[2025]["likelihood"] > ttc[2024]["likelihood"]


def test_a_real_scene_against_itself():
    if not WAYMO.exists():
        pytest.skip("no Waymo scenes here")
    from drivesim.config import source

    reader = source("waymo", WAYMO / "gpudrive_json")
    s = reader.load(reader.ids()[0])
    score = realism([rollout(s)] * 4, s)
    detail = score.evidence[-1].detail
    assert 0.6 < score.value < 1 and detail["displacement"] == 0.0
    assert all(detail[x] == detail[f"log_{x}"] for x in ("collision_rate", "offroad_rate", "red_light_rate"))
    assert 2 <= len(score.evidence[0].agents) <= 9
