"""Every scene of nuPlan's own metric tests, with every statistic that it expects; tolerance 0.01 as there.

One reader for each metric, by the scene's folder; a folder without a reader is a failure, not a gap. nuPlan's maps are
not at hand: where a metric needs one, the scene is driven on a lane along the ego's first heading.
"""

import inspect
import json
import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from drivesim.types import Kind, Lanes, Polylines
from metrics.comfort import comfort, motions, slope, smooth
from metrics.displacement import displacement, pose_error
from metrics.nuplan.aggregate import by_type, overall, weighted
from metrics.nuplan.at_fault import no_ego_at_fault_collisions
from metrics.nuplan.closed_loop import making_progress
from metrics.nuplan.direction import driving_direction
from metrics.nuplan.speed_limit import speed_limit
from metrics.nuplan.time_to_collision import time_to_collision_within_bound
from metrics.progress import progress

from .test_metrics_oracles import ORACLES, SCENES, read, worlds_of

FILES = sorted(SCENES.glob("*/*.json"))
P90 = partial(np.percentile, q=90, method="closest_observation")
MEASURES = {"MAX": np.max, "MIN": np.min, "MEAN": np.mean, "P90": P90}


def states(scene):
    return [scene["ego"], *scene.get("ego_future_states", [])]


def with_lane(world, drive, limit=13.9, width=60.0):
    """The world with one lane along the ego's first heading, 4 km long, in which all four corners fit."""
    along = torch.linspace(-2000, 2000, 9, dtype=torch.float64)
    yaw = drive.agents.yaw[0, 0].double()
    points = torch.stack([along * yaw.cos(), along * yaw.sin(), 0 * along], -1)
    lanes = Lanes(Polylines.of([points], dims=3), torch.tensor([width]), torch.tensor([limit]), torch.tensor([False]),
                  torch.zeros(0, 2).long(), torch.zeros(0, 3).long())  # fmt: skip
    map = world.scene.map.replace(lanes=lanes)
    scene = SimpleNamespace(map=map, signals=world.scene.signals, briefing=world.scene.briefing)
    return SimpleNamespace(scene=scene, log=world.log, track_ids=world.track_ids), drive


def series(values, scene, expected):
    wanted = expected.get("time_series", {}).get("values", [])
    if wanted:
        assert list(values) == pytest.approx(wanted, abs=0.01)
    for name, value in expected["statistics"]:
        if name in MEASURES:
            assert MEASURES[name](values) == pytest.approx(value, abs=0.01), name


def motion(name, scene, expected):
    acceleration = np.array([s["acceleration"] for s in states(scene)])
    yaw = np.array([s["pose"][2] for s in states(scene)])
    dt = (scene["ego_future_states"][0]["time_us"] - scene["ego"]["time_us"]) / 1e6
    values = motions(acceleration, yaw, dt)
    values["acceleration"] = smooth(np.hypot(*acceleration.T))
    values["lateral_jerk"] = slope(values["lateral_acceleration"], dt, window=15)
    series(values[name], scene, expected)


def comfortable(scene, expected):
    acceleration = np.array([s["acceleration"] for s in states(scene)])
    dt = (scene["ego_future_states"][0]["time_us"] - scene["ego"]["time_us"]) / 1e6
    values = motions(acceleration, np.array([s["pose"][2] for s in states(scene)]), dt)
    kept = True
    for name, bound in inspect.signature(comfort).parameters.items():
        if name in values:
            low, high = bound.default if isinstance(bound.default, tuple) else (-bound.default, bound.default)
            kept &= bool((values[name] > low).all() and (values[name] < high).all())
    assert kept == bool(dict(map(tuple, expected["statistics"]))["BOOLEAN"])


def collisions(scene, expected):
    world, drive = with_lane(*worlds_of(scene))
    score = no_ego_at_fault_collisions([drive], world)
    if any(e.detail["type"] == "lateral" for e in score.evidence):
        pytest.skip("which lateral contacts are at fault takes nuPlan's lanes")
    fault = [e for e in score.evidence if e.detail["at_fault"]]
    groups = [[e for e in fault if Kind[e.detail["kind"].upper()] in kinds]
              for kinds in ((Kind.PEDESTRIAN, Kind.BICYCLE), (Kind.CAR,), (Kind.OBJECT,))]  # fmt: skip
    energy = [f([e.detail["delta_v"] for e in g]) for g in groups if g for f in (max, min, np.mean)]
    wanted = [value for _, value in expected["statistics"]]
    assert wanted == pytest.approx([not fault, len(fault), *map(len, groups), *energy], abs=0.01)
    costs = (1 - len(groups[0]), 1 - len(groups[1]), 1 - len(groups[2]) / 2)
    assert score.value == math.prod(max(0.0, x) for x in costs)


def collision_time(scene, expected):
    world, drive = with_lane(*worlds_of(scene))
    rules = scene["metric_parameters"]
    score = time_to_collision_within_bound([drive], world, rules["least_min_ttc"], rules["time_horizon"],
                                           rules["time_step_size"])  # fmt: skip
    values = score.series.double().nan_to_num(torch.inf).numpy()
    series(values, scene, expected)
    assert bool(score.value) == bool(dict(map(tuple, expected["statistics"]))["BOOLEAN"])


def direction(scene, expected, file):
    world, drive = with_lane(*worlds_of(scene))
    violation = 15 if "slightly" in file.stem else 6  # as nuPlan's test calls it
    for form in ("peer", "strict"):
        score = driving_direction([drive], world, violation=violation, form=form)
        (_, value), (_, least) = expected["statistics"]
        assert score.value == value
        assert min(0.0, float(score.series.min())) == pytest.approx(least, abs=0.01)


def expert_progress(scene, expected):
    # Our route is a straight line along the ego's first heading; nuPlan's is its lane's middle, some cm different.
    *_, (_, share) = expected["statistics"]
    if len(expected["statistics"]) < 3 or "expert_ego_states" not in scene:
        pytest.skip("needs nuPlan's map: the expert has no route there")
    (_, logged), (_, made), _ = expected["statistics"]
    world, drive = worlds_of(scene)
    score = progress([drive], world)
    detail = score.evidence[-1].detail
    assert (detail["ego"], detail["expert"]) == (pytest.approx(made, abs=0.06), pytest.approx(logged, abs=0.06))
    assert score.value == pytest.approx(share, abs=0.01)


def is_making_progress(scene, expected):
    if "expert_ego_states" not in scene:
        pytest.skip("needs an expert")
    world, drive = worlds_of(scene)
    score = making_progress(progress([drive], world, least=0.1))
    assert bool(score.value) == bool(dict(map(tuple, expected["statistics"]))["BOOLEAN"])


def expert_distance(scene, expected, heading_weight=0.0):
    ego, expert = (torch.tensor([s["pose"] for s in group], dtype=torch.float64)
                   for group in (states(scene), scene["expert_ego_states"]))  # fmt: skip
    centre = lambda p: torch.cat([p[:, :2] + 1.461 * torch.stack([p[:, 2].cos(), p[:, 2].sin()], -1), p[:, 2:]], -1)  # noqa: E731
    ego, expert = centre(ego), centre(expert)
    errors = pose_error(ego, expert, heading_weight) if heading_weight else displacement(ego, expert)
    series(errors.numpy(), scene, expected)


def mean_speed(scene, expected):
    _, drive = worlds_of(scene)
    assert float(drive.agents.speed[:, 0].mean()) == pytest.approx(expected["statistics"][0][1], abs=0.01)


def speed(scene, expected):
    """The limit is the map's. It is taken from the largest excess that the scene expects, so that one pins nothing; how
    many violations there are, the smallest excess and the mean do."""
    wanted = expected["statistics"]
    world, drive = worlds_of(scene)
    fastest = float(drive.agents.speed[:, 0].max())
    most = [value for name, value in wanted if name == "MAX"]
    world, drive = with_lane(world, drive, limit=fastest - most[0] if most else fastest + 1)
    score = speed_limit([drive], world)
    worst = [e.detail["excess"] for e in score.evidence]
    last = len(drive.agents.valid) - 1
    lasted = [min(e.detail["last_step"] + 1, last) - e.detail["first_step"] for e in score.evidence]
    means = [float(score.series[e.detail["first_step"] : e.detail["last_step"] + 1].mean()) for e in score.evidence]
    found = [len(worst)]
    if worst:
        found += [max(worst), min(worst), np.dot(means, lasted) / sum(lasted)]
    assert [value for _, value in wanted] == pytest.approx([*found, not worst], abs=0.01)


def needs(what):
    def skip(scene, expected):
        pytest.skip(f"needs {what}")

    return skip


READERS = {
    "no_ego_at_fault_collision": collisions,
    "time_to_collision_within_bound": collision_time,
    "driving_direction_compliance": direction,
    "drivable_area_compliance": needs("nuPlan's map; the 0.3 m are tested by hand"),
    "ego_progress_along_expert_route": expert_progress,
    "ego_is_making_progress": is_making_progress,
    "ego_expert_l2_error": expert_distance,
    "ego_expert_l2_error_with_yaw": partial(expert_distance, heading_weight=2.5),
    "ego_mean_speed": mean_speed,
    "speed_limit_compliance": speed,
    "ego_is_comfortable": comfortable,
    "ego_lane_change": needs("nuPlan's lanes"),
    "ego_acceleration": partial(motion, "acceleration"),
    "ego_jerk": partial(motion, "jerk"),
    "ego_lat_acceleration": partial(motion, "lateral_acceleration"),
    "ego_lat_jerk": partial(motion, "lateral_jerk"),
    "ego_lon_acceleration": partial(motion, "longitudinal_acceleration"),
    "ego_lon_jerk": partial(motion, "longitudinal_jerk"),
    "ego_yaw_rate": partial(motion, "yaw_rate"),
    "ego_yaw_acceleration": partial(motion, "yaw_acceleration"),
    "planner_expert_average_l2_error_within_bound": needs("the planner's trajectories"),
    "planner_expert_final_l2_error_within_bound": needs("the planner's trajectories"),
    "planner_expert_average_heading_error_within_bound": needs("the planner's trajectories"),
    "planner_expert_final_heading_error_within_bound": needs("the planner's trajectories"),
    "planner_miss_rate_within_bound": needs("the planner's trajectories"),
}


@pytest.mark.skipif(not FILES, reason=f"no nuPlan scenes under {SCENES.parent.name}/{SCENES.name}")
@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_scene(file):
    assert file.parent.name in READERS, f"no reader for scenes of {file.parent.name}"
    reader = READERS[file.parent.name]
    scene, expected = read(file)
    more = {"file": file} if "file" in inspect.signature(reader).parameters else {}
    reader(scene, expected, **more)


def test_aggregator():
    path = ORACLES / "nuplan_inline_cases.json"
    if not path.exists():
        pytest.skip("no nuplan_inline_cases.json")
    case = json.loads(path.read_text())["aggregator"]
    for planner, wanted in case["expected_score"].items():
        rows = [row for row in case["rows"] if row["planner"] == planner]
        scores = [weighted({k: row[k] for k in row if k not in ("planner", "scenario", "type")}, case["weights"])
                  for row in rows]  # fmt: skip
        types = by_type(zip([row["type"] for row in rows], scores, strict=True))
        found = [*scores, *(mean for mean, _ in types.values()), overall(types)]
        assert sorted(found) == pytest.approx(sorted(wanted), abs=1e-9)
        assert found[-1] == pytest.approx(wanted[-1], abs=1e-9)
