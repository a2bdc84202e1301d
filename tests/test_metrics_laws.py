"""What must hold for every metric that has a yaml."""

import importlib
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch.testing import assert_close

from drivesim.types import Agents, Kind, Light, Plan, Score, Signals

from .worlds import move, path, rollout, scenario, straight_road, track, tracks_of

CONF = Path(__file__).parents[1] / "drivesim" / "conf" / "metrics"
NAMES = sorted(file.stem for file in CONF.glob("*.yaml"))
STEPS = 31
COARSE = {"waymax_progression": 0.04}
"""It counts by the nearest of points 0.5 m apart, and two may be equally near."""


def metric(name):
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert config["_partial_"] is True
    module, function = config["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), function)


def crowd(seed):
    """An ego that weaves among seven others, some absent at times, and plans straight on; the drive of a slower expert;
    a light that turns red."""
    draw = torch.Generator().manual_seed(seed)

    def between(low, high):
        return low + (high - low) * float(torch.rand((), generator=draw))

    t = torch.arange(STEPS) * 0.1
    speed, sway = between(3, 12), between(-0.3, 0.3)
    yaw = sway * torch.sin(t * 2)
    way = torch.stack([yaw.cos(), yaw.sin()], -1) * speed
    ego = path(torch.cumsum(way, 0) * 0.1 + torch.tensor([0.0, between(-1, 4)]), yaw, way)
    others = []
    for _ in range(7):
        kind = Kind(int(between(0, 12)))
        size = (0.6, 0.6, 1.7) if kind >= Kind.PEDESTRIAN else None
        first = int(between(0, 8))
        others.append(
            track((between(-15, 40), between(-4, 8)), between(-3.1, 3.1), between(0, 9), kind=kind, size=size,
                  steps=STEPS, valid=slice(first, int(between(15, 31))))
        )  # fmt: skip
    log = track((0, 0), speed=6, steps=STEPS)
    lights = torch.tensor([int(Light.GREEN), int(Light.RED)]).expand(STEPS // 2, 2).T.reshape(-1, 1)
    at = torch.tensor([[between(4, 20), 0.0]])
    signals = Signals(torch.tensor([0]), at, torch.tensor([[*at[0], 5.0, torch.pi]]), lights)
    road = straight_road(lanes=2)
    road = road.replace(lanes=road.lanes.replace(speed_limit=torch.full((2,), 8.0)))
    world = scenario(log, *others, map=road, start=3, signals=signals)
    ahead = torch.arange(1, 9) * 0.5
    plan = Plan(torch.stack([speed * ahead, torch.zeros(8), torch.zeros(8)], -1), ahead)
    return world, replace(rollout(world, ego, *others), plans=(plan,) * 3, plan_steps=(3, 12, 25))


def reordered(agents, order):
    return agents.map(lambda x: x[:, order])


def same(a: Score, b: Score) -> None:
    assert (a.name, a.valid, a.reason) == (b.name, b.valid, b.reason)
    assert a.value == pytest.approx(b.value, abs=COARSE.get(a.name, 2e-3 if a.unit else 1e-4), nan_ok=True)
    if a.valid:
        assert_close(a.series, b.series, equal_nan=True, atol=COARSE.get(a.name, 2e-3), rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_moving_the_world_changes_no_score(name):
    for seed in range(2):
        world, drive = crowd(seed)
        angle, shift = 0.37 + seed, (140.0 - 20 * seed, -90.0)
        before = metric(name)([drive], world)
        after = metric(name)([move(drive, angle, shift)], move(world, angle, shift))
        same(before, after)
        assert told(before) == told(after)


def told(score):
    return [(event.kind, event.step, event.agents) for event in score.evidence]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_others_does_not_matter(name):
    for seed in range(2):
        world, drive = crowd(seed)
        order = torch.tensor([0, 5, 2, 7, 1, 3, 6, 4])
        names = tuple(world.track_ids[i] for i in order)
        turned = replace(world, log=reordered(world.log, order), track_ids=names)
        before = metric(name)([drive], world)
        after = metric(name)([replace(drive, agents=reordered(drive.agents, order))], turned)
        same(before, after)
        for score, ids in ((before, world.track_ids), (after, names)):
            assert all(ids[e.agents[1]] == e.detail["track"] for e in score.evidence if "track" in e.detail)
        found = [sorted((e.kind, e.step, str(e.detail)) for e in score.evidence) for score in (before, after)]
        assert found[0] == found[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_absent_never_count(name):
    for seed in range(2):
        world, drive = crowd(seed)
        ghosts = [track((float(x), 0.0), speed=1.0, steps=STEPS) for x in (2, 9, 20)]
        ghosts = [g.replace(valid=torch.zeros_like(g.valid)) for g in ghosts]  # numbers, but not valid
        ghosts.append(track((5, 0), steps=STEPS, valid=slice(0, 0)))  # NaN
        tracks = [drive.agents[..., i] for i in range(8)]
        fuller = scenario(
            *tracks_of(world), *ghosts, map=world.scene.map, start=world.start, signals=world.scene.signals
        )
        more = replace(rollout(fuller, *tracks, *ghosts), plans=drive.plans, plan_steps=drive.plan_steps)
        same(metric(name)([drive], world), metric(name)([more], fuller))


@pytest.mark.parametrize("name", NAMES)
def test_what_happened_before_the_start_never_counts(name):
    world, drive = crowd(1)
    agents = drive.agents
    noise = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0)) * 20
    wild = agents.replace(xy=torch.cat([agents.xy[:3] + noise, agents.xy[3:]]))
    same(metric(name)([drive], world), metric(name)([replace(drive, agents=wild)], world))


@pytest.mark.parametrize("name", NAMES)
def test_one_rollout_only(name):
    world, drive = crowd(0)
    for rollouts in ([], [drive, drive]):
        with pytest.raises(ValueError, match=f"{name} judges one rollout"):
            metric(name)(rollouts, world)


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_ego_is_no_score(name):
    world, drive = crowd(0)
    applies = metric(name)([drive], world).valid
    valid = drive.agents.valid.clone()
    valid[17, 0] = False
    gone = replace(drive, agents=drive.agents.replace(valid=valid))
    score = metric(name)([gone], world)
    assert not score.valid and math.isnan(score.value) and score.reason and ("step 17" in score.reason or not applies)
    for field in ("xy", "velocity"):
        values = getattr(drive.agents, field).clone()
        values[9, 0] = torch.nan
        lost = replace(drive, agents=drive.agents.replace(**{field: values}))
        reason = metric(name)([lost], world).reason
        assert "step 9" in reason or (reason and not applies)


@pytest.mark.parametrize("name", NAMES)
def test_what_every_score_says(name):
    """Its name, version and direction, a series over all steps; what it lost has an event that says so and why."""
    for seed in range(4):
        world, drive = crowd(seed)
        score = metric(name)([drive], world)
        assert score.name == name and score.version
        if not score.valid:
            assert score.reason and math.isnan(score.value) and not score.better
            continue
        assert score.better in ("more", "less") and score.value >= 0
        assert score.unit or 0 <= score.value <= 1 or name == "waymax_progression"
        assert score.series.shape == (STEPS,) and torch.isnan(score.series[:3]).all()
        assert score.lost == pytest.approx(0, abs=1e-9) or any(event.detail.get("lost") for event in score.evidence)
        for event in score.evidence:
            assert 3 <= event.step < STEPS and event.agents[0] == 0 and all(map(math.isfinite, event.xy))
            part = event.detail.keys() & {"weight", "factor"}
            assert part or not event.detail.get("lost") or {"rule", "kept_by"} <= event.detail.keys(), event


CONSTANT = {"driving_direction", "neuro_ncap", "waymax_infeasibility", "waymax_off_route", "waymax_wrong_way"}
"""In these worlds; they have their own in test_metrics_others.py and test_metrics_nuplan_primitives.py."""
ELSEWHERE = {"ade", "fde", "miss_rate", "nuplan_ols", "pdms", "epdms"}
"""Do not apply in these worlds: they judge plans of a whole horizon, or plans that were not driven."""


def test_the_crowds_are_worth_judging():
    """The laws above say something only if the worlds differ in their scores."""
    for name in set(NAMES) - CONSTANT - ELSEWHERE:
        scores = [metric(name)([drive], world) for world, drive in map(crowd, range(12))]
        assert len({round(score.value, 2) for score in scores if score.valid}) > 1, name


def test_agents_stay_as_they_are():
    world, drive = crowd(2)
    kept = Agents.stack([drive.agents[..., i].map(torch.clone) for i in range(8)], dim=1)
    for name in NAMES:
        metric(name)([drive], world)
    for field in ("xy", "yaw", "velocity", "size", "valid"):
        assert_close(getattr(drive.agents, field), getattr(kept, field), equal_nan=True, atol=0, rtol=0)
