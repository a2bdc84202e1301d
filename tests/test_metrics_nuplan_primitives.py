"""What several benchmarks share: lanes step by step, lights and stop lines, displacement, the route."""

import math
from dataclasses import replace

import pytest
import torch

from drivesim.types import Agents, Light, Polylines, Signals
from metrics.displacement import (
    average_displacement,
    best_final,
    best_mode,
    displacement,
    final_displacement,
    heading_error,
    miss_rate,
    pose_error,
)  # fmt: skip
from metrics.lane_keeping import lane_keeping
from metrics.lanes import Places, followed_lanes, in_common_lanes, one_lane, run_length
from metrics.log_distance import log_distance
from metrics.route import log_completion, route_completion, route_distance
from metrics.signals import stop_line_crossings
from metrics.traffic_light import traffic_light

from .worlds import move, path, rollout, scenario, straight_road, track

ROAD = straight_road(lanes=2)


def fork():
    """Lane 0 leads x 0..20 into lanes 1 (straight on) and 2 (bends left), both cross an intersection; then 3 and 4."""
    bend = [[20.0 + 20 * math.sin(a), 20 - 20 * math.cos(a), 0] for a in torch.linspace(0, math.pi / 2, 9).tolist()]
    lines = [torch.tensor(x) for x in ([[0.0, 0, 0], [20, 0, 0]], [[20.0, 0, 0], [40, 0, 0]], bend,
                                       [[40.0, 0, 0], [80, 0, 0]], [[40.0, 20, 0], [40, 60, 0]])]  # fmt: skip
    lanes = ROAD.lanes.replace(
        center=Polylines.of(lines, dims=3), width=torch.full((5,), 3.5), speed_limit=torch.full((5,), 10.0),
        intersection=torch.tensor([False, True, True, False, False]),
        successors=torch.tensor([[0, 1], [0, 2], [1, 3], [2, 4]]), neighbours=torch.zeros(0, 3).long(),
    )  # fmt: skip
    return ROAD.replace(lanes=lanes)


def along_x(first, last):
    return torch.stack([torch.arange(first, last, 1.0), torch.zeros(last - first)], -1).double()


def held(map, xy):
    from drivesim.roadmap import RoadMap

    return RoadMap.of(map).lanes_at(xy)


def test_lanes_of_a_crossing_are_narrowed_to_the_one_taken():
    map, xy = fork(), along_x(15, 60) + 0.5
    route = followed_lanes(map, xy, held(map, xy))
    assert len(held(map, xy)[6].nonzero()) == 2, "the two lanes overlap where they part"
    assert [lanes for lanes in route if len(lanes) != 1] == []
    picked = one_lane(map, route, xy, torch.zeros(len(xy)))
    assert picked.unique_consecutive().tolist() == [0, 1, 3]


def test_no_lane_is_no_lane():
    map, xy = fork(), along_x(-5, 3) + 0.5
    route = followed_lanes(map, xy, held(map, xy))
    assert route == [[]] * 5 + [[0]] * 3
    assert one_lane(map, route, xy, torch.zeros(len(xy))).tolist() == [-1] * 5 + [0] * 3


def test_common_and_connected_lanes():
    """Across a seam and across a whole lane it is together; beside, or with a corner in none, it is not."""
    map = fork()
    at = lambda x, y: torch.tensor([[[x + 2.5, y + 1], [x + 2.5, y - 1], [x - 2.5, y - 1], [x - 2.5, y + 1]]])  # noqa: E731
    together = lambda x, y, m=map: bool(in_common_lanes(m, held(m, at(x, y))))  # noqa: E731
    assert together(10, 0) and together(20, 0) and together(40, 0)
    assert not together(10, 1.5) and not together(10, 50)
    assert together(0, 0, ROAD) and not together(0, 1.75, ROAD)
    short = map.lanes.replace(center=Polylines.of([torch.tensor([[a, 0.0, 0], [b, 0, 0]]) for a, b in
                                                   ((0, 20), (20, 23), (23, 40), (40, 60), (60, 80))], dims=3),
                              successors=torch.tensor([[0, 1], [1, 2]]))  # fmt: skip
    assert together(21.5, 0, map.replace(lanes=short)), "one short lane between the rear and the front"
    assert not together(40, 0, map.replace(lanes=short)), "lanes that do not lead into each other"


def test_places_answer_as_the_map_does():
    ego = track((0, 0.2), speed=5)
    world = scenario(ego, map=ROAD)
    agents = rollout(world).agents[:, 0]
    places = Places.of(agents, ROAD, world.scene.briefing.vehicle)
    assert places.centre[:, 0].all() and not places.centre[:, 1].any() and places.together.all()


def test_run_length():
    on = torch.tensor([1, 1, 0, 1, 1, 1]).bool()
    skip = torch.tensor([0, 0, 0, 0, 1, 0]).bool()
    assert run_length(on, skip).tolist() == [1, 2, 0, 1, 1, 2]


@pytest.mark.parametrize(("aside", "value"), [(0.45, 1.0), (0.55, 0.0)])
def test_lane_keeping(aside, value):
    world = scenario(track((0, aside), speed=5), map=ROAD)
    score = lane_keeping([rollout(world)], world)
    assert score.value == value
    assert [e.detail["kept_by"] for e in score.evidence] == ([] if value else ["0.05 m further right"])


def test_lane_keeping_needs_two_seconds_in_a_row():
    x = torch.arange(41) * 0.5
    for steps, value in ((19, 1.0), (20, 0.0)):
        y = torch.zeros(41)
        y[5 : 5 + steps] = 0.8
        world = scenario(
            path(torch.stack([x, y], -1), torch.zeros(41), torch.tensor([[5.0, 0]]).expand(41, 2)), map=ROAD
        )
        assert lane_keeping([rollout(world)], world).value == value
    crossing = ROAD.replace(lanes=ROAD.lanes.replace(intersection=torch.ones(2, dtype=torch.bool)))
    assert lane_keeping([rollout(world)], replace(world, scene=replace(world.scene, map=crossing))).value == 1


# lights


def lit(state, x=10.0, lane=0, steps=41):
    states = torch.full((steps, 1), int(state)) if isinstance(state, Light) else torch.tensor(state)[:, None]
    return Signals(torch.tensor([lane]), torch.tensor([[x, 3.5 * lane]]), torch.zeros(1, 4), states)


def judged(signals, ego=None, map=ROAD, form="strict"):
    world = scenario(track((0, 0), speed=5) if ego is None else ego, map=map, signals=signals)
    return traffic_light([rollout(world)], world, form=form)


def test_red_lights():
    """The front, 2.588 m ahead of the centre, is at x = 10 m after 1.48 s."""
    score = judged(lit(Light.RED))
    assert score.value == 0 and [(e.kind, e.step) for e in score.evidence] == [("red_light", 15)]
    assert judged(lit(Light.RED, x=60)).value == 1, "not reached"
    assert judged(lit(Light.RED, lane=1)).value == 1, "another lane's"
    for light in (Light.GREEN, Light.YELLOW, Light.FLASHING_RED, Light.UNKNOWN):
        assert not judged(lit(light)).valid
    turns = [int(Light.GREEN)] * 15 + [int(Light.RED)] * 26
    assert judged(lit(turns)).value == 0 and judged(lit([int(Light.GREEN)] * 16 + [int(Light.RED)] * 25)).value == 1


def test_the_peers_rule_blames_who_is_still_there():
    """On green over the line, red a second later: strict is content, NAVSIM's rule is not."""
    map = fork()
    signals = lit([int(Light.GREEN)] * 20 + [int(Light.RED)] * 21, x=20.0, lane=1).replace(
        stop_xy=torch.tensor([[20.0, 0]])
    )
    ego = track((16, 0), speed=5)
    assert judged(signals, ego, map).value == 1
    peer = judged(signals, ego, map, form="peer")
    assert peer.value == 0 and peer.evidence[0].step == 20


def test_stop_lines_have_ends_and_a_direction():
    front = torch.tensor([[8.0, 0.0], [12.0, 0.0]])
    line = lambda y=0.0, turn=0.0: (torch.tensor([[10.0, y]]), torch.tensor([turn]), torch.tensor([3.5]))  # noqa: E731
    crosses = lambda *args, yaw=0.0: stop_line_crossings(front, torch.full((2,), yaw), *args).any(0).item()  # noqa: E731
    assert crosses(*line()) and crosses(*line(y=1.7)) and not crosses(*line(y=1.8))
    assert not crosses(*line(turn=math.pi)) and not crosses(*line(), yaw=1.2)
    assert not stop_line_crossings(front.flip(0), torch.zeros(2), *line()).any(), "backing over it is no crossing"


def test_moving_the_world_moves_no_light():
    world = scenario(track((0, 0), speed=5), map=ROAD, signals=lit(Light.RED))
    far = move(world, 1.1, (300.0, -80.0))
    for form in ("strict", "peer"):
        a, b = traffic_light([rollout(world)], world, form), traffic_light([rollout(far)], far, form)
        assert (a.value, [e.step for e in a.evidence]) == (b.value, [e.step for e in b.evidence])


# displacement and route


def test_displacement_by_hand():
    a, b = torch.tensor([[0.0, 0], [3, 4], [0, 0]]), torch.zeros(3, 2)
    errors = displacement(a, b)
    assert errors.tolist() == [0, 5, 0]
    assert float(average_displacement(errors)) == pytest.approx(5 / 3) and float(final_displacement(errors)) == 0
    there = torch.tensor([True, True, False])
    assert float(average_displacement(errors, there)) == 2.5 and float(final_displacement(errors, there)) == 5
    assert torch.isnan(final_displacement(errors, torch.zeros(3).bool()))
    assert torch.isnan(average_displacement(errors, torch.zeros(3).bool()))
    assert float(heading_error(torch.tensor(3.1), torch.tensor(-3.1))) == pytest.approx(2 * math.pi - 6.2, abs=1e-5)
    poses = torch.tensor([[3.0, 4, 0.2]])
    assert float(pose_error(poses, torch.zeros(1, 3))) == pytest.approx(5.5)
    modes = torch.tensor([[1.0, 5.0], [2.0, 2.0]])
    assert float(best_mode(modes)) == 2 and float(best_final(modes)) == 2
    assert float(miss_rate(torch.tensor([[1.0, 2.0], [1.0, 2.1]]), 2.0)) == 0.5, "exactly the limit is no miss"


def test_route():
    route = torch.tensor([[0.0, 0], [100, 0]])
    xy = torch.stack([torch.linspace(20, 60, 41), torch.full((41,), 1.0)], -1)
    assert route_distance(xy, route).tolist() == pytest.approx([1.0] * 41)
    assert float(route_completion(xy, route)) == pytest.approx(0.5)
    back = torch.cat([xy, xy.flip(0)])
    assert float(route_completion(back, route)) == pytest.approx(0.5), "the farthest place counts"
    assert float(route_completion(xy, route, corridor=0.5)) == 0
    log = torch.stack([torch.arange(20.0), torch.zeros(20)], -1)
    assert float(log_completion(torch.tensor([8.2, 1.0]), log)) == pytest.approx(9 / 18)
    assert float(log_completion(torch.tensor([30.0, 1.0]), log)) == 1


def test_log_distance():
    world = scenario(track((0, 0), speed=10), map=ROAD)
    score = log_distance([rollout(world, track((0, 1), speed=10))], world)
    assert score.value == pytest.approx(1) and score.unit == "m" and score.evidence[0].detail["beyond_4_m"] == 0
    slow = log_distance([rollout(world, track((0, 0), speed=5))], world)
    assert slow.value == pytest.approx(10.0, abs=1e-4) and slow.evidence[0].detail["final"] == pytest.approx(20)


def test_an_absent_expert_has_no_distance():
    world = scenario(track((0, 0), speed=10, valid=slice(0, 5)), map=ROAD, start=10)
    drive = rollout(world, track((0, 0), speed=10))
    assert isinstance(drive.agents, Agents) and not log_distance([drive], world).valid
