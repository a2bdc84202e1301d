"""PDMS and EPDMS of plans on small worlds: values by hand, both forms, evidence for every point lost."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.proposals import score
from drivesim.proposals.judge import Rules
from drivesim.proposals.roll_out import roll_out
from drivesim.types import Kind, Light, Plan, Score, Signals, Vehicle
from metrics import epdms as v2
from metrics import pdms as v1
from metrics.epdms import epdms
from metrics.navsim.frame import Frame
from metrics.navsim.stages import Stage, pseudo_simulation
from metrics.pdms import pdms
from metrics.signals import red_lane_contacts

from .worlds import move, rollout, scenario, straight_road, track, tracks_of

CAR = Vehicle()
TIMES = 0.5 * torch.arange(1, 9)


def plan(speed=5.0, curvature=0.0, aside=0.0, times=TIMES):
    """Poses on a circle at a constant speed, `aside` to the left from the first on."""
    s = speed * times
    if abs(curvature) < 1e-9:
        return Plan(torch.stack([s, aside + 0 * s, 0 * s], -1), times)
    x, y = torch.sin(curvature * s) / curvature, (1 - torch.cos(curvature * s)) / curvature
    return Plan(torch.stack([x, y + aside, curvature * s], -1), times)


def world(*others, speed=5.0, y=0.0, lanes=2, steps=60, start=0, **options):
    """An ego whose middle drives along +x, on two lanes of 3.5 m."""
    return scenario(track((0, y), speed=speed, steps=steps), *others, map=options.pop("map", straight_road(lanes)),
                    start=start, **options)  # fmt: skip


def driven(frame_of, speed):
    """States (41, 7) of an ego that keeps a speed from the frame's start: a reference known by hand."""
    start = Frame.of_log(frame_of, 0).start
    poses = start[:3] + np.stack([speed * TIMES.numpy(), 0 * TIMES.numpy(), 0 * TIMES.numpy()], -1)
    return roll_out(poses[None], TIMES.numpy(), start, CAR)[0]


def parts_of(found: Score):
    """Value of each part as its own event has it."""
    roles = [e for e in found.evidence if "factor" in e.detail or "weight" in e.detail]
    return {e.kind: e.detail.get("factor", e.detail.get("value")) for e in roles}


def losses(found: Score, part=None):
    return [e for e in found.evidence if "part" in e.detail and "rule" in e.detail and part in (None, e.detail["part"])]


# the formulas, by their definition


@pytest.mark.parametrize("seed", range(3))
def test_products_and_means_by_definition(seed):
    draw = np.random.default_rng(seed)
    for nc, dac, ddc, tlc in itertools.product((0.0, 0.5, 1.0), (0.0, 1.0), (0.0, 0.5, 1.0), (0.0, 1.0)):
        ep, ttc, c, lk, ec = draw.random(), *draw.integers(0, 2, 4).astype(float)
        first = {"NC": nc, "DAC": dac, "TTC": ttc, "EP": ep, "C": c, "DDC": ddc}
        assert score.pdms(first) == pytest.approx(nc * dac * (5 * ttc + 5 * ep + 2 * c) / 12)
        second = {"NC": nc, "DAC": dac, "DDC": ddc, "TLC": tlc, "EP": ep, "TTC": ttc, "LK": lk, "HC": c, "EC": ec}
        expected = nc * dac * ddc * tlc * (5 * ep + 5 * ttc + 2 * lk + 2 * c + 2 * ec) / 16
        assert score.epdms(second) == pytest.approx(expected)


# PDMS


def test_progress_is_the_share_of_the_references():
    s = world()
    found = v1.score_trajectory(s, 0, plan(5), reference=driven(s, 10))
    reference, own = (driven(s, v)[-1, 0] - driven(s, v)[0, 0] for v in (10, 5))
    assert own == pytest.approx(20, abs=0.01)
    assert parts_of(found)["EP"] == pytest.approx(own / reference, abs=1e-5)
    assert found.value == pytest.approx((5 + 5 * own / reference + 2) / 12)
    (event,) = losses(found)
    assert event.detail["kept_by"] == f"{reference - own:.2f} m more along the route"


def test_who_makes_more_progress_than_the_reference_loses_none():
    s = world()
    assert v1.score_trajectory(s, 0, plan(5), reference=driven(s, 4)).value == 1


def test_the_reference_is_pdm_closed():
    s = world(track((20, 0), speed=0, steps=60))
    frame = Frame.of_log(s, 0)
    assert (frame.reference() == frame.reference(1)).all()
    assert frame.reference()[-1, 0] + 1.461 + 2.588 < 20 - 2.3, "it stops behind who stands"
    assert pdms([replace(rollout(s), plans=(plan(1.0),), plan_steps=(0,))], s).valid


def test_a_crash_takes_all_and_the_evidence_says_what_would_have_kept_it():
    # the front is at 2.588 m, the car's rear at 17.7 m: at 0.8 m a step they meet at step 19
    s = world(track((20, 0), steps=60), speed=8)
    found = v1.score_trajectory(s, 0, plan(8))
    assert found.value == 0 and parts_of(found)["NC"] == 0 and parts_of(found)["TTC"] == 0
    (event,) = losses(found, "NC")
    assert (event.step, event.agents, event.detail["type"]) == (19, (0, 1), "stopped_track")
    assert event.detail["impact_speed"] == pytest.approx(8, abs=0.01)
    assert event.xy[0] == pytest.approx(8 * 1.9, abs=0.02)
    (ahead,) = losses(found, "TTC")
    assert (ahead.step, ahead.agents, ahead.detail["value"]) == (10, (0, 1), 0.9)


def test_objects_cost_half():
    found = v1.score_trajectory(world(track((20, 0), kind=Kind.CONE, steps=60), speed=8), 0, plan(8))
    assert parts_of(found)["NC"] == 0.5 and losses(found, "NC")[0].detail["lost"] == 0.5
    assert found.value == pytest.approx(0.5 * (5 * parts_of(found)["EP"] + 2) / 12)


def test_a_corner_off_the_road_takes_all():
    found = v1.score_trajectory(world(y=-0.7), 0, plan(5))
    assert found.value == 0 and parts_of(found)["DAC"] == 0
    (event,) = losses(found, "DAC")
    assert event.step == 0 and event.detail["corner"] == "front right"
    assert event.detail["worst_outside_by"] == pytest.approx(0.7 + 2.297 / 2 - 1.75, abs=0.01)


def test_comfort_is_two_of_twelve():
    s = world(speed=12)
    found = v1.score_trajectory(s, 0, plan(2), reference=driven(s, 2))
    assert parts_of(found)["C"] == 0 and found.value == pytest.approx(10 / 12)
    assert {"longitudinal_acceleration", "longitudinal_jerk"} & {e.kind for e in losses(found, "C")}


def test_direction_weighs_nothing_in_the_first_version():
    road = straight_road(2)
    road = road.replace(lanes=road.lanes.replace(neighbours=torch.zeros(0, 3, dtype=torch.int64)))
    s = world(y=3.5, speed=9, map=road)
    found = v1.score_trajectory(s, 0, plan(9), reference=driven(s, 9))
    assert parts_of(found)["DDC"] == 0 and found.value == 1
    assert losses(found, "DDC")[0].detail["value"] == pytest.approx(9, abs=0.1)


def test_forms():
    over = world(track((3, 0), steps=60), speed=5)
    strict, peer = (v1.score_trajectory(over, 0, plan(5), form=form) for form in ("strict", "peer"))
    assert (parts_of(strict)["NC"], parts_of(peer)["NC"]) == (1, 0), "NAVSIM's code counts overlaps at the start"
    assert (strict.version, peer.version) == ("1 strict", "1 peer")
    # 8 m/s on a circle of 10 m is 6.4 m/s^2 to the side, which NAVSIM's bicycle does not know
    round_ = world(y=3.5, speed=8, lanes=12)
    strict, peer = (v1.judged(Frame.of_log(round_, 0), plan(8, 0.1), form).motion for form in ("strict", "peer"))
    assert np.abs(strict["lateral_acceleration"]).max() > 4.89
    assert np.abs(peer["lateral_acceleration"]).max() < 1


def test_what_cannot_be_judged_says_why():
    s = world()
    for wrong, words in (
        (lambda: v1.score_trajectory(s, 0, plan(times=TIMES[:6])), "reaches 3.0 s; 4 s are judged"),
        (lambda: v1.score_trajectory(s, 30, plan()), "known for 2.9 s after step 30"),
        (lambda: v1.score_trajectory(replace(s, scene=replace(s.scene, map=no_road(s))), 0, plan()), "no drivable"),
        (lambda: pdms([rollout(s)], s), "has no plans"),
    ):
        found = wrong()
        assert not found.valid and words in found.reason and math.isnan(found.value)
    for wrong in (lambda: v1.score_trajectory(s, 99, plan()), lambda: pdms([rollout(s)], s, form="loose"),
                  lambda: pdms([rollout(s)], s, each=0)):  # fmt: skip
        with pytest.raises(InputError):
            wrong()


def no_road(s):
    return s.scene.map.replace(drivable=s.scene.map.drivable.of([]))


def test_each_is_the_mean_over_the_drives_plans():
    s = world(track((35, 0), steps=81), steps=81, speed=5)
    drive = replace(rollout(s), plans=tuple(plan(v) for v in (5, 5, 5, 5)), plan_steps=(0, 10, 20, 30))
    one, each = pdms([drive], s), pdms([drive], s, each=1.0)
    assert one.value == pytest.approx(float(one.series[0])) and int(torch.isfinite(one.series).sum()) == 1
    scored = torch.isfinite(each.series).nonzero()[:, 0].tolist()
    assert scored == [0, 10, 20, 30]
    assert each.value == pytest.approx(float(each.series[scored].mean()))
    assert each.value < one.value, "later plans come to who stands"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("metric", [v1, v2])
def test_every_point_lost_has_its_reason(metric, seed):
    draw = np.random.default_rng(seed)
    others = [
        track((draw.uniform(6, 40), draw.uniform(-2, 6)), draw.uniform(-0.5, 0.5), draw.uniform(0, 6), steps=80,
              kind=Kind.BARRIER if draw.random() < 0.2 else Kind.CAR)
        for _ in range(4)
    ]  # fmt: skip
    s = world(*others, y=draw.uniform(-0.8, 3), speed=draw.uniform(2, 10), lanes=3, start=20, steps=80)
    mine = plan(draw.uniform(2, 11), draw.uniform(-0.03, 0.03))
    found = metric.score_trajectory(s, 20, mine)
    parts = parts_of(found)
    formula = score.pdms if metric is v1 else score.epdms
    assert formula(parts) == pytest.approx(found.value, abs=1e-5)
    for part, value in parts.items():
        told = losses(found, part)
        assert bool(told) == (value < 1), part
        for event in told:
            assert event.detail["lost"] > 0 and event.detail["kept_by"] and event.detail["source"]
            assert 20 <= event.step <= 60 and all(math.isfinite(x) for x in event.xy)
            assert all(0 <= agent < 5 for agent in event.agents)


@pytest.mark.parametrize("metric", [v1, v2])
def test_neither_place_nor_order_matter(metric):
    others = [track((22, 0.5), speed=3, steps=80), track((12, 3.4), yaw=-0.2, speed=6, steps=80)]
    s, back = (world(*those, start=20, steps=80) for those in (others, others[::-1]))
    found = metric.score_trajectory(s, 20, plan(7, 0.005))
    for other in (metric.score_trajectory(move(s, 2.1, (300.0, -80.0)), 20, plan(7, 0.005)),
                  metric.score_trajectory(back, 20, plan(7, 0.005))):  # fmt: skip
        assert other.value == pytest.approx(found.value, abs=1e-4)
        assert [(e.kind, e.step) for e in other.evidence] == [(e.kind, e.step) for e in found.evidence]


# EPDMS


def test_single_stage_by_hand():
    s = world(start=20, steps=80)
    frame = Frame.of_log(s, 20)
    found = v2.score_trajectory(s, 20, plan(5), plan(5), reference=frame.rolled(plan(5)))
    assert found.value == 1 and parts_of(found)["EC"] == 1
    without = v2.score_trajectory(s, 20, plan(5), reference=frame.rolled(plan(5)))
    assert without.value == 1 and "EC" not in parts_of(without)
    assert without.evidence[0].detail["left_out"] == {"EC": v2.NO_SECOND}


def test_extended_comfort_compares_two_plans():
    s = world(start=20, steps=80)
    found = v2.score_trajectory(s, 20, plan(5), plan(9), reference=Frame.of_log(s, 20).rolled(plan(5)))
    assert parts_of(found)["EC"] == 0 and found.value == pytest.approx(14 / 16)
    kinds = {e.kind for e in losses(found, "EC")}
    assert "other_acceleration" in kinds and "other_yaw_rate" not in kinds
    for event in losses(found, "EC"):
        assert event.detail["value"] > event.detail["limit"]


def test_progress_counts_without_the_plans_own_multipliers():
    s = world(track((20, 0), steps=60), speed=8)
    first, second = v1.score_trajectory(s, 0, plan(8)), v2.score_trajectory(s, 0, plan(8), human=False)
    assert first.value == second.value == 0
    assert (parts_of(first)["EP"], parts_of(second)["EP"]) == (0, 1)


def test_history_counts_to_comfort():
    steps = torch.arange(80)
    calm = track((0, 0), speed=6, steps=80)
    jolt = torch.where((steps >= 12) & (steps < 15), 3.0, 6.0)[:, None] * torch.tensor([1.0, 0.0])
    rough = calm.replace(velocity=jolt)
    for log, value in ((calm, 1.0), (rough, 0.0)):
        s = scenario(log, start=20)
        found = v2.score_trajectory(s, 20, plan(6), human=False)
        assert parts_of(found)["HC"] == value
    assert any(event.detail["in_the_past"] for event in losses(found, "HC"))
    assert parts_of(v2.score_trajectory(s, 20, plan(6)))["HC"] == 1, "the human had the same past"


def test_the_human_filter_spares_what_the_human_does():
    s = world(y=-0.7)
    assert v2.score_trajectory(s, 0, plan(5)).value > 0.9, "the log drives there, too"
    assert v2.score_trajectory(s, 0, plan(5), human=False).value == 0
    elsewhere = scenario(track((0, -0.7), yaw=0.02, speed=5, steps=60), map=straight_road(2))
    strays = v2.score_trajectory(elsewhere, 0, plan(5, -0.03))
    assert parts_of(strays)["DAC"] == 1 and not losses(strays, "DAC")
    drive = replace(rollout(s), plans=(plan(5),), plan_steps=(0,))
    assert epdms([drive], s).value > 0.9 and epdms([drive], s, each=1.0).value == 0, "in the loop nobody is human"


def red_from(step, steps, lane=1):
    state = torch.full((steps, 1), int(Light.GREEN))
    state[step:] = int(Light.RED)
    return Signals(torch.tensor([lane]), torch.zeros(1, 2), torch.zeros(1, 4), state)


def crossing():
    """A lane that ends at x = 10, then another, on an intersection behind a light."""
    road = straight_road(2)
    x = [torch.linspace(-50, 10, 13), torch.linspace(10, 150, 29)]
    line = lambda v: torch.stack([v, 0 * v, 0 * v], -1)  # noqa: E731
    lanes = road.lanes.replace(
        center=road.lanes.center.of([line(v) for v in x], dims=3), intersection=torch.tensor([False, True]),
        successors=torch.tensor([[0, 1]]), neighbours=torch.zeros(0, 3, dtype=torch.int64),
    )  # fmt: skip
    return road.replace(lanes=lanes)


@pytest.mark.parametrize("turns_red, value", [(0, 0.0), (30, 0.0), (41, 1.0)])
def test_a_red_light_takes_all(turns_red, value):
    """The box reaches the lane behind the light, at 10 m, at step 15; NAVSIM blames also who is there already."""
    s = world(map=crossing(), signals=red_from(turns_red, 60))
    found = v2.score_trajectory(s, 0, plan(5), human=False)
    assert parts_of(found)["TLC"] == value and (found.value > 0) == (value > 0)
    if value == 0:
        (event,) = losses(found, "TLC")
        assert event.step == max(turns_red, 15) and event.detail["lane"] == 1
    assert parts_of(v2.score_trajectory(s, 0, plan(5)))["TLC"] == 1, "the log did the same"


@pytest.mark.parametrize("seed", range(4))
def test_red_lights_are_the_traffic_light_metrics_peer_form(seed):
    draw = np.random.default_rng(seed)
    s = world(map=crossing(), signals=red_from(int(draw.integers(0, 40)), 60), speed=float(draw.uniform(0, 6)),
              y=float(draw.uniform(-4, 4)), steps=60)  # fmt: skip
    frame = Frame.of_log(s, 0)
    ego = frame.human()
    mine = frame.judge([frame.ego[:41]], Rules.of(2))
    theirs = red_lane_contacts(s.log[:41, 0], s.scene.map, s.scene.signals, 0).any(-1)
    assert ego is not None
    assert mine.light_step[0] == (int(theirs.int().argmax()) if theirs.any() else -1)


def test_lane_keeping_is_measured_on_the_route():
    s = world(y=0.6, start=20, steps=80)
    found = v2.score_trajectory(s, 20, plan(5), human=False, reference=Frame.of_log(s, 20).rolled(plan(5)))
    assert parts_of(found)["LK"] == 0 and found.value == pytest.approx(12 / 14)
    (event,) = losses(found, "LK")
    assert event.step == 39 and event.detail["kept_by"] == "the ego 0.10 m further right by this step"


def test_no_lane_on_the_route_is_no_score():
    far = torch.tensor([[-50.0, 40.0], [150.0, 40.0]])
    found = v2.score_trajectory(world(route=far), 0, plan(5))
    assert not found.valid and found.reason == "no lane of the map is on the route"
    assert v1.score_trajectory(world(route=far), 0, plan(5)).evidence[0].detail["left_out"].keys() == {"DDC"}


def test_in_the_loop_the_next_plan_is_the_second():
    s = world(steps=81)
    plans = [plan(5)] * 8
    drive = replace(rollout(s), plans=tuple(plans), plan_steps=tuple(range(0, 40, 5)))
    found = epdms([drive], s, each=0.5, human=False)
    assert parts_of(found)["EC"] == 1
    jumpy = replace(drive, plans=tuple(plan(5 if k % 2 else 9) for k in range(8)))
    assert parts_of(epdms([jumpy], s, each=0.5, human=False))["EC"] == 0
    assert tracks_of(s)[0].speed[0] == 5


# two stages


def stage(speed, x=0.0, now=5.0, before=5.0, *others):
    """A stage whose ego's middle is at x at its step 20, driving at a speed."""
    log = track((x - 2 * speed, 0), speed=speed, steps=80)
    return Stage(scenario(log, *others, map=straight_road(2), start=20), 20, plan(now), plan(before))


def test_two_stages_by_hand():
    """The plans end 20 m ahead, now and before; of the seconds one starts there, one 0.3 m and one 0.6 m behind."""
    first = stage(5)
    blocked = track((40, 0), steps=80)
    seconds = [stage(5, 20.0), stage(5, 19.7, 5, 5, blocked), stage(5, 19.4)]
    value, (group,) = pseudo_simulation([(first, seconds)])
    ends = [Frame.of_log(first.scenario, step).rolled(plan(5))[-1, 0] for step in (20, 15)]
    for k, end in enumerate(ends):
        # rear axles start at these places, 2.5 m earlier half a second before
        gaps = end - (np.array([20.0, 19.7, 19.4]) - CAR.rear_axle_to_center - 2.5 * k)
        expected = np.exp(-(gaps**2) / 0.2)
        assert [w[k] for w in group.weights] == pytest.approx(expected / expected.sum(), abs=1e-3)
        mine = (group.now, group.before)[k]
        weighed = sum(w[k] * s[k] for w, s in zip(group.weights, group.second, strict=True))
        assert mine == pytest.approx(group.first[k] * weighed)
    assert group.second[1][0] == 0 < group.second[0][0], "20 m ahead of the second somebody stands"
    assert value == group.value == pytest.approx((group.now + group.before) / 2)
    both, groups = pseudo_simulation([(first, seconds), (first, seconds[:1])])
    assert both == pytest.approx((groups[0].value + groups[1].value) / 2) and groups[1].weights == ((1.0, 1.0),)


def test_stages_share_their_extended_comfort_and_filter_the_first_alone():
    smooth, jumpy = stage(5), stage(5, 0, 5, 9)
    _, (calm,) = pseudo_simulation([(smooth, [smooth])])
    _, (rough,) = pseudo_simulation([(jumpy, [smooth])])
    assert calm.first[0] - rough.first[0] == pytest.approx(2 / 16), "the plan of now is the same, EC is not"
    off = Stage(world(y=-0.7, start=20, steps=80), 20, plan(5), plan(5))
    _, (group,) = pseudo_simulation([(off, [off])])
    assert min(group.first) > 0.9 and group.second == ((0.0, 0.0),)


def test_stages_that_cannot_be_judged_are_refused():
    good = stage(5)
    for wrong, words in (
        (replace(good, step=3), "begins before the log"),
        (replace(good, now=plan(times=TIMES[:4])), "4 s are judged"),
        (replace(good, step=60), "known for 1.9 s"),
    ):
        with pytest.raises(InputError, match=words):
            pseudo_simulation([(good, [wrong])])
    with pytest.raises(InputError, match="strict or peer"):
        pseudo_simulation([(good, [good])], form="loose")
