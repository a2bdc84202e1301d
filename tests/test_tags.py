"""Every tag on a world made for it, and on one that just misses it."""

import math

import pytest
import torch

from drivesim import tags
from drivesim.config import source
from drivesim.errors import InputError
from drivesim.types import Kind, Light, Signals, StopKind, Stops

from .worlds import move, path, scenario, straight_road, track


def names(*tracks, **options):
    return set(tags.tags(scenario(*tracks, **options)))


def only(name, s):
    found = [situation for situation in tags.situations(s) if situation.name == name]
    assert len(found) == 1, found
    return found[0]


def bend(degrees, radius=12.0, speed=6.0, before=12.0, after=12.0):
    """Straight along +x, an arc to the left (negative degrees: right), straight again."""
    angle, side = math.radians(abs(degrees)), math.copysign(1.0, degrees)
    arc = radius * angle
    s = torch.arange(0, before + arc + after, speed * 0.1)
    turned = ((s - before) / radius).clamp(0, angle)
    x = (
        torch.minimum(s, torch.tensor(before))
        + radius * turned.sin()
        + (s - before - arc).clamp_min(0) * math.cos(angle)
    )
    y = radius * (1 - turned.cos()) + (s - before - arc).clamp_min(0) * math.sin(angle)
    return path(torch.stack([x, side * y], -1), side * turned)


def sideways(begin, end, x=0.0, speed=10.0, steps=61, over=3.0, back=False):
    """Along +x at `speed`, from y = begin to end within `over` seconds from 1 s on; `back` returns."""
    t = torch.arange(steps) * 0.1
    share = ((t - 1.0) / over).clamp(0, 1)
    y = begin + (end - begin) * (1 - (math.pi * (2 if back else 1) * share).cos()) / 2
    xy = torch.stack([x + speed * t, y], -1)
    velocity = torch.gradient(xy, spacing=0.1, dim=0)[0]
    return path(xy, torch.atan2(velocity[:, 1], velocity[:, 0]))


# what the ego does


@pytest.mark.parametrize(
    ("degrees", "radius", "name"),
    [
        (90, 12, "turn_left"), (-90, 8, "turn_right"), (35, 12, "turn_left"), (25, 12, None), (60, 80, None),
        (175, 6, "u_turn"), (-175, 6, "u_turn"),
    ],
)  # fmt: skip
def test_turns(degrees, radius, name):
    found = tags.situations(scenario(bend(degrees, radius)))
    turns = [s for s in found if "turn" in s.name]
    assert [s.name for s in turns] == ([name] if name else [])
    if name:
        assert turns[0].value == pytest.approx(abs(degrees), abs=6) and turns[0].unit == "degrees"
        assert 15 < turns[0].first < 25, "12 m at 6 m/s take 20 steps"


def test_a_lane_change_goes_from_centre_to_centre():
    s = scenario(sideways(0, 3.5), map=straight_road(2))
    change = only("lane_change", s)
    assert 10 < change.first < 25 < change.last < 40 and 0.5 < change.value < 3.0
    assert "lane_change" not in names(sideways(0, 2.0, back=True), map=straight_road(2)), "out and back"
    road = straight_road(2)
    alone = road.replace(lanes=road.lanes.replace(neighbours=torch.zeros(0, 3, dtype=torch.int64)))
    assert "lane_change" not in names(sideways(0, 3.5), map=alone), "no neighbour of it"


def test_speed_braking_standing():
    assert "high_speed" in names(track((0, 0), speed=17)) and "high_speed" not in names(track((0, 0), speed=16.5))
    assert only("hard_braking", scenario(track((0, 0), speed=25, acceleration=-5))).value == pytest.approx(5, abs=0.01)
    assert "hard_braking" not in names(track((0, 0), speed=25, acceleration=-4))
    assert only("stationary", scenario(track((0, 0), steps=30))).value == pytest.approx(3.0)
    assert "stationary" not in names(track((0, 0), steps=29))
    assert "stationary" not in names(track((0, 0), speed=0.4))


def test_an_intersection_is_what_the_map_calls_one():
    road = straight_road(2)
    crossing = road.replace(lanes=road.lanes.replace(intersection=torch.tensor([True, False])))
    assert "intersection" in names(track((0, 0), speed=5), map=crossing)
    assert "intersection" not in names(track((0, 3.5), speed=5), map=crossing)


# others in its way: the ego's front is 2.588 m ahead of its centre, a car's rear 2.3 m behind


def test_following_by_time_gap():
    close = scenario(track((0, 0), speed=10), track((24.9, 0), speed=10))
    found = only("following", close)
    assert found.agents == (1,) and found.value == pytest.approx(2.0, abs=0.02)
    assert "following" not in names(track((0, 0), speed=10), track((31, 0), speed=10)), "2.6 s"
    assert "following" not in names(track((0, 0), speed=10), track((24.9, 3.5), speed=10)), "the next lane"
    assert "following" not in names(track((0, 0), speed=3), track((8, 0), speed=3)), "creeping"


def test_a_stopped_lead():
    found = only("stopped_lead", scenario(track((0, 0), speed=5), track((30, 0))))
    assert found.agents == (1,) and found.value == pytest.approx(30 - 20 - 4.888, abs=0.05)
    assert "stopped_lead" not in names(track((0, 0), speed=5), track((30, 3.5)))
    assert "stopped_lead" not in names(track((0, 0), speed=1), track((42, 0))), "33 m ahead at the end"
    assert "stopped_lead" not in names(track((0, 0), speed=5), track((30, 0), kind=Kind.BARRIER)), "no vehicle"


def test_a_cut_in():
    ego = track((0, 0), speed=10, steps=61)
    found = only("cut_in", scenario(ego, sideways(3.5, 0, x=20)))
    assert found.agents == (1,) and found.value == pytest.approx(1.51, abs=0.1) and 15 < found.last < 40
    assert "cut_in" not in names(ego, sideways(3.5, 0, x=40)), "3.5 s ahead"
    assert "cut_in" not in names(ego, sideways(3.5, 2.6, x=20)), "it stays beside"
    passing = track((-5, 3.5), speed=14, steps=61)
    assert "cut_in" not in names(sideways(0, 3.5), passing, map=straight_road(2)), "the ego itself changes lanes"


def test_dense_traffic_counts_what_moves():
    ego = track((0, 0), speed=5)
    around = [track((6.0 * i - 20, 3.5), speed=5) for i in range(7)]
    assert only("dense_traffic", scenario(ego, *around)).value == 7
    assert "dense_traffic" not in names(ego, *around[:6])
    assert "dense_traffic" not in names(ego, *[track((6.0 * i - 10, 3.5)) for i in range(7)]), "parked"


def test_construction():
    ego = track((0, 0), speed=2)
    cones = [track((8 + i, 2), kind=Kind.CONE) for i in range(3)]
    assert only("construction", scenario(ego, *cones)).agents == (1, 2, 3)
    assert "construction" not in names(ego, *cones[:2])


def test_a_near_miss_ahead_needs_braking():
    brakes = track((0, 0), speed=12, acceleration=-5, steps=24)
    found = only("near_miss", scenario(brakes, track((20, 0), steps=24)))
    assert found.agents == (1,) and found.value < 1.5 and found.first == 0
    assert "near_miss" not in names(brakes, track((20, 3.5), steps=24)), "beside"
    assert "near_miss" not in names(track((0, 0), speed=3, steps=11), track((8.9, 0), steps=11)), "walking pace"


def test_a_near_miss_of_two_that_cross():
    ego = track((0, 0), speed=10)
    found = only("near_miss", scenario(ego, track((25, -15), yaw=math.pi / 2, speed=10)))
    assert found.value == pytest.approx(0.3, abs=0.15) and found.unit == "s after one another"
    assert "near_miss" not in names(ego, track((40, -15), yaw=math.pi / 2, speed=10)), "1.8 s later"


def test_an_oncoming_car_that_passes_is_no_near_miss():
    assert "near_miss" not in names(track((0, 0), speed=12), track((60, 3.5), yaw=math.pi, speed=12))


# ways that cross


def test_a_crossing_pedestrian():
    ego = track((0, 0), speed=2)
    walker = lambda x, y, yaw: track((x, y), yaw=yaw, speed=1.5, kind=Kind.PEDESTRIAN)  # noqa: E731
    found = only("crossing_pedestrian", scenario(ego, walker(20, -3, math.pi / 2)))
    assert found.agents == (1,) and found.value == pytest.approx(20 - 4 - 2.588, abs=0.4)
    assert found.first < 20 < found.last, "it is in the swath before and after"
    assert "crossing_pedestrian" not in names(ego, walker(10, 3, 0.0)), "along the road"
    assert "crossing_pedestrian" not in names(ego, walker(-6, -3, math.pi / 2)), "behind"
    assert "crossing_pedestrian" not in names(ego, walker(20, -8, math.pi / 2)), "not there yet"


def test_an_unprotected_turn_has_oncoming_traffic_on_its_side():
    left, right = bend(90), bend(-90)
    steps = len(left.yaw)
    oncoming = track((60, 3.5), yaw=math.pi, speed=8, steps=steps)
    assert only("unprotected_turn", scenario(left, oncoming)).agents == (1,)
    assert "unprotected_turn" not in names(right, oncoming)
    assert "unprotected_turn" not in names(left, track((30, 3.5), yaw=math.pi, speed=1.5, steps=steps)), "it waits"
    assert "unprotected_turn" not in names(left, track((30, 3.5), speed=8, steps=steps)), "it drives the same way"
    mirrored = track((60, -3.5), yaw=math.pi, speed=8, steps=steps)
    assert "unprotected_turn" in names(right, mirrored), "where one drives on the left"


def light(state, lane=0, x=10.0, steps=41):
    stop = torch.tensor([[x, 3.5 * lane]])
    return Signals(torch.tensor([lane]), stop, torch.zeros(1, 4), torch.full((steps, 1), int(state)))


def test_waiting_at_a_light():
    stands = track((0, 0))
    assert only("waiting_at_light", scenario(stands, signals=light(Light.RED))).value == pytest.approx(4.1)
    assert "waiting_at_light" not in names(stands, signals=light(Light.GREEN))
    assert "waiting_at_light" not in names(stands, signals=light(Light.UNKNOWN))
    assert "waiting_at_light" not in names(stands, signals=light(Light.RED, lane=1)), "the next lane's"
    assert "waiting_at_light" not in names(stands, signals=light(Light.RED, x=-10.0)), "behind"
    assert "waiting_at_light" not in names(track((0, 0), speed=1.0), signals=light(Light.RED, x=20)), "it drives"
    assert "waiting_at_light" not in names(stands, signals=light(Light.RED, steps=15)), "1.5 s, then not known"


def test_a_stop_sign():
    road = lambda kind, y=0.0: straight_road(2).replace(  # noqa: E731
        stops=Stops(torch.tensor([0 if y == 0 else 1]), torch.tensor([[20.0, y]]), torch.tensor([int(kind)]))
    )
    drives = track((0, 0), speed=8)
    assert only("stop_sign", scenario(drives, map=road(StopKind.STOP_SIGN))).value == pytest.approx(8.0)
    assert "stop_sign" not in names(drives, map=road(StopKind.YIELD))
    assert "stop_sign" not in names(drives, map=road(StopKind.STOP_SIGN, 3.5))
    assert "stop_sign" not in names(track((0, 0), speed=2), map=road(StopKind.STOP_SIGN)), "9 m before it"


# all of them


def test_tags_do_not_depend_on_where_the_world_is():
    walker = track((20, -3), yaw=math.pi / 2, speed=1.5, kind=Kind.PEDESTRIAN)
    s = scenario(track((0, 0), speed=10), track((24.9, 0), speed=10), walker, signals=light(Light.RED))
    found = tags.situations(s)
    moved = tags.situations(move(s, 2.0, (300.0, -200.0)))
    assert [(x.name, x.agents) for x in found] == [(x.name, x.agents) for x in moved] and found
    assert [x.value for x in found] == pytest.approx([x.value for x in moved], abs=1e-2)


def test_absent_agents_and_bare_maps_do_no_harm():
    road = straight_road(2)
    nothing = road.lanes.center.of([], dims=3)
    bare = road.replace(
        lanes=road.lanes.replace(
            center=nothing, width=torch.zeros(0), speed_limit=torch.zeros(0),
            intersection=torch.zeros(0, dtype=torch.bool), neighbours=torch.zeros(0, 3, dtype=torch.int64),
        )
    )  # fmt: skip
    s = scenario(track((0, 0), speed=17), track((9, 0), valid=slice(5, 6)), map=bare, route=torch.zeros(0, 2))
    assert "high_speed" in tags.tags(s)
    assert tags.situations(scenario(track((0, 0), steps=2))) == ()


def test_a_town_is_tagged_with_known_names_and_in_bounds():
    town = source("synthetic").load("town-0003")
    found = tags.situations(town)
    assert {s.name for s in found} <= set(tags.NAMES) and "turn_right" in tags.tags(town)
    for s in found:
        assert 0 <= s.first <= s.last < town.steps and all(0 < a < len(town.track_ids) for a in s.agents)
        assert math.isfinite(s.value)


def test_names_as_people_write_them():
    assert tags.named(["turn left", "Cut-In", "turn_left"]) == ("turn_left", "cut_in")
    with pytest.raises(InputError, match="did you mean turn_left"):
        tags.named(["turn_lef"])
