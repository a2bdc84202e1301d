"""Laws of the synthetic town, over several seeds."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.geometry import arc_length, box_corners, boxes_overlap, wrap_angle
from drivesim.roadmap import RoadMap, polyline_yaw
from drivesim.types import CYCLES, DT, VEHICLES, WALKERS, Kind, Light, Marking, Scenario, is_kind
from scenarios.synthetic import Synthetic, curves
from scenarios.synthetic.lights import Plan

IDS = [f"town-{i:04d}" for i in range(4)]


@cache
def town(id: str) -> Scenario:
    return Synthetic().load(id)


def fields(struct) -> list[torch.Tensor]:
    out = []
    struct.map(lambda x: out.append(x) or x)
    return out


def test_ids_are_listed_and_any_number_loads_but_nothing_else():
    source = Synthetic(count=3)
    assert source.ids() == ["town-0000", "town-0001", "town-0002"]
    assert source.load("town-98765").id == "town-98765"
    with pytest.raises(InputError, match="town-0000"):
        source.load("village-1")
    with pytest.raises(InputError, match="duration"):
        Synthetic(duration=0.1)


def test_a_seed_makes_the_same_bytes_and_another_makes_another_town():
    again = Synthetic().load(IDS[0])
    scenario = town(IDS[0])
    pairs = [(scenario.log, again.log), (scenario.scene.map, again.scene.map)]
    pairs += [(scenario.scene.scenery, again.scene.scenery), (scenario.scene.signals, again.scene.signals)]
    for one, other in pairs:
        for a, b in zip(fields(one), fields(other), strict=True):
            assert a.dtype == b.dtype and torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))
    assert scenario.fingerprint == again.fingerprint == Synthetic(count=7).fingerprint(IDS[0])
    other = Synthetic(seed=1)
    assert len({Synthetic().fingerprint(id) for id in IDS} | {other.fingerprint(IDS[0])}) == len(IDS) + 1
    drives = [town(id).log.xy[:, 0] for id in IDS] + [other.load(IDS[0]).log.xy[:, 0]]
    for i in range(len(drives)):
        assert not any(torch.allclose(drives[i], drives[j], atol=1.0) for j in range(i))


@pytest.mark.parametrize("id", IDS)
def test_the_log_is_complete_and_starts_at_the_origin(id):
    scenario = town(id)
    log, vehicle = scenario.log, scenario.scene.briefing.vehicle
    assert log.valid.shape == (121, len(scenario.track_ids)) and scenario.start == 10
    assert log.valid[:, 0].all() and log.valid.any(0).all()
    for value in (log.xy, log.z, log.yaw, log.pitch, log.roll, log.velocity):
        assert torch.isfinite(value[log.valid]).all() and torch.isnan(value[~log.valid]).all()
    torch.testing.assert_close(vehicle.world_from_ego(log[0, 0])[:3, 3], torch.zeros(3), atol=1e-5, rtol=0)
    travelled = arc_length(log.xy[:, 0])[-1]
    assert travelled > 15


@pytest.mark.parametrize("id", IDS)
def test_nobody_touches_anybody(id):
    log = town(id).log
    i, j = torch.triu_indices(log.xy.shape[1], log.xy.shape[1], 1)
    near = ((log.xy[:, i] - log.xy[:, j]).norm(dim=-1) < 14).any(0)
    i, j = i[near], j[near]
    corners = box_corners(log.xy, log.yaw, log.size)
    hit = boxes_overlap(corners[:, i], corners[:, j])
    names = town(id).track_ids
    assert not hit.any(), [(names[i[k]], names[j[k]]) for k in hit.any(0).nonzero().ravel()]


@pytest.mark.parametrize("id", IDS)
def test_motion_is_plausible(id):
    log = town(id).log
    wheels = is_kind(log.kind, VEHICLES + CYCLES)[0]
    velocity = (log.xy[1:] - log.xy[:-1]) / DT
    speed = velocity.norm(dim=-1)
    assert speed[:, wheels].nan_to_num(0).max() < 15 and speed[:, ~wheels].nan_to_num(0).max() < 2
    along = (speed[1:] - speed[:-1]) / DT
    assert along[:, wheels].nan_to_num(0).abs().max() < 4.0
    turn = wrap_angle(log.yaw[1:] - log.yaw[:-1]).abs()
    assert turn[speed < 1e-3].nan_to_num(0).max() < 1e-4, "whoever stands does not turn"
    assert (turn[:, wheels] / DT).nan_to_num(0).max() < 1.2
    course = torch.atan2(velocity[..., 1], velocity[..., 0])
    slip = wrap_angle(course - (log.yaw[1:] + wrap_angle(log.yaw[:-1] - log.yaw[1:]) / 2)).abs()
    assert slip[(speed > 1.0) & wheels].max() < 0.35, "bodies move where they point"


@pytest.mark.parametrize("id", IDS)
def test_agents_stand_on_the_ground_and_lean_with_it(id):
    scenario = town(id)
    log, road = scenario.log, RoadMap.of(scenario.scene.map)
    valid = log.valid
    torch.testing.assert_close(log.z[valid], road.ground(log.xy[valid]), atol=2e-3, rtol=0)
    pitch, roll = road.slope(log.xy[valid], log.yaw[valid])
    torch.testing.assert_close(log.pitch[valid], pitch, atol=2e-3, rtol=0)
    torch.testing.assert_close(log.roll[valid], roll, atol=2e-3, rtol=0)
    assert scenario.scene.map.ground.z.max() - scenario.scene.map.ground.z.min() > 1


@pytest.mark.parametrize("id", IDS)
def test_vehicles_keep_to_the_road(id):
    scenario = town(id)
    log, road = scenario.log, RoadMap.of(scenario.scene.map)
    corners = box_corners(log.xy, log.yaw, log.size)
    assert road.inside(corners[:, 0]).all(), "the ego, all four corners"
    wheels = is_kind(log.kind, VEHICLES + CYCLES) & log.valid
    assert (road.border_distance(corners[wheels].reshape(-1, 2)) > -0.3).all()


@pytest.mark.parametrize("id", IDS)
def test_lanes_join_and_lie_on_the_road(id):
    scenario = town(id)
    lanes, road = scenario.scene.map.lanes, RoadMap.of(scenario.scene.map)
    assert road.inside(lanes.center.points[:, :2]).all()
    assert (lanes.speed_limit > 8).all() and (lanes.speed_limit < 14).all()
    for a, b in lanes.successors.tolist():
        one, other = lanes.center.line(a), lanes.center.line(b)
        assert (one[-1] - other[0]).norm() < 0.05
        bend = wrap_angle(polyline_yaw(one[:, :2])[-1] - polyline_yaw(other[:, :2])[0]).abs()
        assert bend < np.deg2rad(3), (a, b, float(bend))
    linked = set(lanes.successors[:, 0].tolist())
    leaving = [i for i in range(len(lanes)) if i not in linked]
    edge = scenario.scene.map.drivable.points
    assert all((edge - lanes.center.line(i)[-1, :2]).norm(dim=-1).min() < 20 for i in leaving)
    pairs = lanes.neighbours.tolist()
    for a, b, side in pairs:
        assert [b, a, -side] in pairs
        yaw = polyline_yaw(lanes.center.line(a)[:, :2])[0]
        across = lanes.center.line(b)[0, :2] - lanes.center.line(a)[0, :2]
        left = float(torch.cos(yaw) * across[1] - torch.sin(yaw) * across[0])
        assert left * side == pytest.approx(float(lanes.width[a]), rel=0.02)


@pytest.mark.parametrize("id", IDS)
def test_signals_rule_connectors_and_nobody_enters_on_red(id):
    scenario = town(id)
    scene, log = scenario.scene, scenario.log
    signals, lanes = scene.signals, scene.map.lanes
    assert lanes.intersection[signals.lane].all() and len(signals.state) >= 1200
    assert set(signals.state.unique().tolist()) == {Light.GREEN, Light.YELLOW, Light.RED}
    starts = torch.stack([lanes.center.line(int(i))[0, :2] for i in signals.lane])
    torch.testing.assert_close(signals.stop_xy, starts, atol=0.01, rtol=0)
    toward = signals.stop_xy - signals.head[:, :2]
    shine = torch.stack([torch.cos(signals.head[:, 3]), torch.sin(signals.head[:, 3])], -1)
    assert ((toward * shine).sum(-1) > 0.9 * toward.norm(dim=-1) - 6).all(), "heads face their stop line"
    yaw = torch.stack([polyline_yaw(lanes.center.line(int(i))[:, :2])[0] for i in signals.lane])
    wheels = is_kind(log.kind, VEHICLES + CYCLES)[0].nonzero().ravel()
    front = log.xy + log.size[..., :1] / 2 * torch.stack([torch.cos(log.yaw), torch.sin(log.yaw)], -1)
    crossed = 0
    for a in wheels.tolist():
        offset = front[:, a, None] - signals.stop_xy  # (T, S, 2)
        ahead = offset[..., 0] * torch.cos(yaw) + offset[..., 1] * torch.sin(yaw)
        beside = (offset[..., 1] * torch.cos(yaw) - offset[..., 0] * torch.sin(yaw)).abs()
        aligned = wrap_angle(log.yaw[:, a, None] - yaw).abs() < 0.3
        enters = (ahead[:-1] <= 0) & (ahead[1:] > 0) & (beside[1:] < 1.6) & aligned[1:]
        crossed += int(enters.any(1).sum())
        states = signals.state[1 : len(enters) + 1][enters]
        assert (states != Light.RED).all(), scenario.track_ids[a]
    assert crossed > 0


@pytest.mark.parametrize("id", IDS)
def test_the_scene_is_furnished_and_the_route_is_driven(id):
    scenario = town(id)
    scene, log = scenario.scene, scenario.log
    kinds = set(scene.map.markings.kind.tolist())
    assert Marking.STOP_LINE in kinds and len(kinds) >= 3
    assert len(scene.map.crosswalks) >= 24
    assert len(scene.scenery.footprints) > 100 and len(scene.scenery.prop_kind) > 150
    assert (scene.scenery.height > 0.5).all()
    road = RoadMap.of(scene.map)
    assert (
        not road.inside(scene.scenery.footprints.points).any() and not road.inside(scene.scenery.prop_xyz[:, :2]).any()
    )
    route = scene.briefing.route
    rear = scene.briefing.vehicle.rear_axle(log.poses[:, 0])[:, :2]
    assert torch.cdist(rear, route).amin(1).max() < 0.6
    assert (route[-1] - rear[-1]).norm() > 30
    assert len(scene.briefing.cameras) == 6 and scenario.sensors is None


def test_all_kinds_of_road_users_and_situations_occur():
    kinds, tags = set(), set()
    for i in range(9):
        scenario = town(f"town-{i:04d}")
        kinds |= set(scenario.log.kind.unique().tolist())
        tags |= set(scenario.tags)
    assert {Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.MOTORCYCLE, Kind.BICYCLE, Kind.PEDESTRIAN} <= kinds
    assert {"left_turn", "right_turn", "crossing_straight", "red_light", "slow_leader", "pedestrian_crossing"} <= tags


@pytest.mark.parametrize("id", IDS)
def test_most_people_walk_beside_the_road_and_cross_on_crosswalks(id):
    scenario = town(id)
    log, scene = scenario.log, scenario.scene
    people = is_kind(log.kind, WALKERS)[0]
    xy = log.xy[:, people].reshape(-1, 2)
    on_road = RoadMap.of(scene.map).border_distance(xy) > 0.3
    zebra = RoadMap.of(scene.map.__class__(**{**vars(scene.map), "drivable": scene.map.crosswalks}))
    assert (zebra.border_distance(xy[on_road]) > -1.5).all()
    assert people.sum() >= 5


def test_logs_of_other_lengths():
    for seconds, steps in ((4.0, 41), (20.0, 201)):
        log = Synthetic(duration=seconds).load("town-0002").log
        assert len(log.valid) == steps and log.valid[:, 0].all()


def test_parallel_curve_of_a_circle_is_a_circle():
    angle = np.linspace(0, np.pi, 400)
    circle = 20 * np.stack([np.cos(angle), np.sin(angle)], -1)  # counter-clockwise: left is inwards
    inner = curves.shift(circle, 3.0)
    np.testing.assert_allclose(np.hypot(*inner[5:-5].T), 17.0, atol=1e-3)
    np.testing.assert_allclose(curves.curvature(circle)[5:-5], 1 / 20, rtol=1e-3)


def test_a_blend_meets_both_poses_without_curvature():
    line = curves.blend(np.array([0.0, 0.0]), 0.0, np.array([12.0, 10.0]), np.pi / 2, 0.5)
    np.testing.assert_allclose(line[[0, -1]], [[0, 0], [12, 10]], atol=1e-9)
    np.testing.assert_allclose(curves.yaws(line)[[0, -1]], [0, np.pi / 2], atol=5e-3)
    bend = np.abs(curves.curvature(line))
    assert bend[0] < 0.02 and bend[-1] < 0.02 and 1 / 12 < bend.max() < 1 / 6


def test_a_light_goes_green_yellow_red_and_never_green_both_ways():
    plan = Plan(green=(10.0, 12.0), offset=3.0)  # 10 + 3.5 + 2 + 12 + 3.5 + 2 = 33 s
    assert plan.cycle == 33.0
    shown = [plan.light(0, t) for t in (2.9, 3.0, 12.9, 13.0, 16.4, 16.6, 35.9, 36.0)]
    assert shown == [Light.RED, *[Light.GREEN] * 2, *[Light.YELLOW] * 2, *[Light.RED] * 2, Light.GREEN]
    assert plan.light(1, 18.4) == Light.RED and plan.light(3, 18.5) == Light.GREEN and plan.onset(1, 60.0) == 51.5
    go = (Light.GREEN, Light.YELLOW)
    assert not any(plan.light(0, t) in go and plan.light(1, t) in go for t in np.arange(0, 66, 0.1))
