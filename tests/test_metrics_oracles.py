"""nuPlan's own test scenes, with nuPlan's expected numbers; tolerance 0.01 as there.

The scenes come without nuPlan's map. What needs it is checked as far as it can be: see each test.
"""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.geometry import box_corners, boxes_overlap
from drivesim.types import (
    Agents,
    Briefing,
    Command,
    Kind,
    Polylines,
    Scenario,
    Scene,
    Scenery,
    Signals,
    Vehicle,
)
from metrics.collision import collision
from metrics.comfort import motions
from metrics.progress import progress
from metrics.time_to_collision import time_to_collision

from .worlds import path, rollout, straight_road

ORACLES = Path(__file__).parents[2] / "shared" / "oracles"
SCENES = ORACLES / "nuplan_scenes"
KINDS = {
    "vehicles": Kind.CAR, "bicycles": Kind.BICYCLE, "pedestrians": Kind.PEDESTRIAN, "genericobjects": Kind.OBJECT,
}  # fmt: skip


def scenes(*folders):
    """Paths of the scenes in these folders, to be shown by name; one that skips if they are not there."""
    paths = [p for folder in folders for p in sorted((SCENES / folder).glob("*.json"))]
    if not paths:
        why = pytest.mark.skip(reason=f"no nuPlan scenes under {SCENES.parent.name}/{SCENES.name}")
        return [pytest.param(None, marks=why, id="none")]
    return [pytest.param(p, id=f"{p.parent.name}/{p.name}") for p in paths]


def read(file):
    scene = json.loads(file.read_text())
    expected = scene["expected"]
    return scene, (expected[0] if isinstance(expected, list) else expected)


def ego_states(states, origin):
    """The ego (T,) from poses of its rear axle and velocities in its own frame."""
    poses = torch.tensor([s["pose"] for s in states], dtype=torch.float64)
    poses = torch.cat([poses[:, :2] - origin, poses[:, 2:]], -1)
    center = Vehicle().center(poses)
    speed = torch.tensor([s["velocity"][0] for s in states], dtype=torch.float64)
    velocity = speed[:, None] * torch.stack([poses[:, 2].cos(), poses[:, 2].sin()], -1)
    return path(center[:, :2], poses[:, 2], velocity, size=(5.176, 2.297, 1.777))


def tracks(worlds, origin):
    """Every track (T,) of the scene's snapshots, absent where a snapshot lacks it."""
    found = {}
    for t, world in enumerate(worlds):
        for group, kind in KINDS.items():
            for box in world.get(group, []):
                found.setdefault((group, box["id"]), (kind, {}))[1][t] = box
    result = []
    for kind, boxes in found.values():
        xy, yaw, speed = (
            torch.full((len(worlds), 2), torch.nan),
            torch.zeros(len(worlds)),
            torch.zeros(len(worlds)),
        )
        for t, box in boxes.items():
            pose = torch.tensor(box["box"]["pose"], dtype=torch.float64)
            xy[t], yaw[t], speed[t] = pose[:2] - origin, pose[2], box["speed"]
        width, length = next(iter(boxes.values()))["box"]["size"]
        one = path(xy, yaw, speed[:, None] * torch.stack([yaw.cos(), yaw.sin()], -1), kind, (length, width, 1.6))
        result.append(one.replace(valid=torch.isfinite(xy[:, 0])))
    return result


def worlds_of(scene):
    """Scenario and rollout of a scene on an endless surface without lanes, at the scene's own step."""
    states = [scene["ego"], *scene.get("ego_future_states", [])]
    origin = torch.tensor(scene["ego"]["pose"][:2], dtype=torch.float64)
    ego = ego_states(states, origin)
    others = tracks([scene["world"], *scene.get("world_future_states", [])], origin)
    expert = ego_states(scene.get("expert_ego_states", states), origin)
    yaw = scene["ego"]["pose"][2]
    route = torch.linspace(-100, 100, 2)[:, None] * torch.tensor([math.cos(yaw), math.sin(yaw)])
    square = 1e3 * torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    plane = straight_road().replace(drivable=Polylines.of([square]))
    lanes = plane.lanes.replace(center=Polylines.of([torch.tensor([[900.0, 900, 0], [901, 900, 0]])], dims=3),
                                width=torch.ones(1), speed_limit=torch.ones(1), neighbours=torch.zeros(0, 3).long(),
                                intersection=torch.zeros(1).bool())  # fmt: skip
    briefing = Briefing(route.float(), Command.UNKNOWN, Vehicle(), (), dt=_dt(states))
    log = Agents.stack([expert, *([] if len(expert.yaw) != len(ego.yaw) else others)], dim=1)
    world = Scenario("scene", "nuplan", "", Scene(plane.replace(lanes=lanes), Scenery.none(), Signals.none(), briefing),
                     log, ("ego",), 0, None, torch.zeros(3), "")  # fmt: skip
    return world, replace(rollout(world), agents=Agents.stack([ego, *others], dim=1))


def _dt(states):
    times = [s["time_us"] for s in states]
    return (times[1] - times[0]) / 1e6 if len(times) > 1 else 1.0


# How nuPlan's test names each scene's collisions.
TYPES = {
    "no_collision": [],
    "active_front_collision": ["front"],
    "active_lateral_collision": ["lateral"],
    "active_rear_collision": ["rear"],
    "stopped_track_collision": ["stopped_track"],
    "stopped_ego_collision": ["stopped_ego"],
    "multiple_collisions": ["lateral", "front", "front"],
}


@pytest.mark.parametrize("file", scenes("no_ego_at_fault_collision"))
def test_collision(file):
    scene, expected = read(file)
    world, drive = worlds_of(scene)
    score = collision([drive], world, ignore_start=False)
    assert [e.detail["type"] for e in score.evidence] == TYPES[file.stem]
    # Which lateral ones are at fault takes nuPlan's lanes; the others do not.
    if "lateral" in TYPES[file.stem]:
        return
    fault = [e for e in score.evidence if e.detail["at_fault"]]
    statistics = [value for _, value in expected["statistics"]]
    assert statistics[:2] == [not fault, len(fault)]
    people, cars, things = (
        [e for e in fault if e.detail["kind"] in kinds] for kinds in (("pedestrian", "bicycle"), ("car",), ("object",))
    )
    assert statistics[2:5] == [len(people), len(cars), len(things)]
    energies = [f([e.detail["delta_v"] for e in group]) for group in (people, cars, things) if group
                for f in (max, min, np.mean)]  # fmt: skip
    assert energies == pytest.approx(statistics[5:], abs=0.01)


@pytest.mark.parametrize("file", scenes("time_to_collision_within_bound"))
def test_time_to_collision(file):
    scene, expected = read(file)
    world, drive = worlds_of(scene)
    rules = scene["metric_parameters"]
    score = time_to_collision([drive], world, rules["least_min_ttc"], rules["time_horizon"], rules["time_step_size"],
                              ignore_start=False)  # fmt: skip
    series = score.series.nan_to_num(torch.inf)
    assert series.tolist() == pytest.approx(expected["time_series"]["values"], abs=0.01)
    assert [float(series.min()), bool(score.value)] == pytest.approx([v for _, v in expected["statistics"]], abs=0.01)


# Which motion each scene's series is.
MOTIONS = {
    "ego_jerk": "jerk",
    "ego_lon_jerk": "longitudinal_jerk",
    "ego_lon_acceleration": "longitudinal_acceleration",
    "ego_lat_acceleration": "lateral_acceleration",
    "ego_yaw_rate": "yaw_rate",
    "ego_yaw_acceleration": "yaw_acceleration",
}


@pytest.mark.parametrize("file", scenes(*MOTIONS))
def test_comfort(file):
    scene, expected = read(file)
    states = [scene["ego"], *scene["ego_future_states"]]
    acceleration = np.array([s["acceleration"] for s in states])
    values = motions(acceleration, np.array([s["pose"][2] for s in states]), _dt(states))[MOTIONS[file.parent.name]]
    assert values == pytest.approx(expected["time_series"]["values"], abs=0.01)
    p90 = partial(np.percentile, q=90, method="closest_observation")
    measures = {"MAX": np.max, "MIN": np.min, "MEAN": np.mean, "P90": p90}
    for name, value in expected["statistics"]:
        if name in measures:
            assert measures[name](values) == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("file", scenes("ego_progress_along_expert_route"))
def test_progress(file):
    # Our route is a straight line along the ego's first heading; nuPlan's is its lane's middle, 0.06 m different.
    scene, expected = read(file)
    if "expert_ego_states" not in scene:
        pytest.skip("this scene has no expert")
    (_, logged), (_, made), (_, share) = expected["statistics"]
    world, drive = worlds_of(scene)
    score = progress([drive], world)
    (event,) = score.evidence
    assert (event.detail["ego"], event.detail["expert"]) == (
        pytest.approx(made, abs=0.06),
        pytest.approx(logged, abs=0.06),
    )
    assert score.value == pytest.approx(share, abs=0.01)


def waymax_cases():
    file = ORACLES / "waymax_cases.json"
    cases = json.loads(file.read_text()) if file.exists() else {}
    if not cases:
        return [pytest.param(None, marks=pytest.mark.skip(reason="no waymax_cases.json"), id="none")]
    return [pytest.param(value, id=name) for name, value in cases.items() if name.startswith("overlap")]


@pytest.mark.parametrize("case", waymax_cases())
def test_overlap(case):
    xy, yaw = torch.tensor(case["xy"]).float(), torch.tensor(case["yaw"])
    boxes = box_corners(xy, yaw, torch.tensor([case["length"], case["width"]]).expand(len(xy), 2).float())
    meets = boxes_overlap(boxes[:, None], boxes[None]) & ~torch.eye(len(xy)).bool()
    assert meets.any(-1).int().tolist() == case["expected_overlap_per_object"]
