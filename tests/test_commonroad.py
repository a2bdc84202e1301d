"""CommonRoad: small files written here in both versions with hand-checked numbers, and the real ones where they are."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.errors import InputError, NotDrivable
from drivesim.geometry import box_corners, boxes_overlap
from drivesim.roadmap import RoadMap
from drivesim.types import Kind, LaneKind, Light, Marking, StopKind
from scenarios.commonroad import CommonRoad

REAL = Path(__file__).parents[2] / "shared/data/commonroad"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the CommonRoad files in shared/data/commonroad")

REAR = 1.4227  # rear axle of the BMW 320i behind its centre
SHAPE = "<shape><rectangle><length>4</length><width>2</width></rectangle></shape>"
AT = (1000.0, 500.0)  # of the ego's centre in the file


def points(*xy):
    return "".join(f"<point><x>{x}</x><y>{y}</y></point>" for x, y in xy)


def lanelet(id, x, y, more="", paint=("", ""), width=4.0):
    """A lane along +x from x[0] to x[1], centred on y, relative to AT; the ego starts at (0, 0)."""
    low, high = AT[0] + x[0], AT[0] + x[1]
    middle = (low + high) / 2
    sides = []
    for tag, offset, mark in (("leftBound", width / 2, paint[0]), ("rightBound", -width / 2, paint[1])):
        line = points(*((px, AT[1] + y + offset) for px in (low, middle, high)))
        sides.append(f"<{tag}>{line}{f'<lineMarking>{mark}</lineMarking>' if mark else ''}</{tag}>")
    return f'<lanelet id="{id}">{"".join(sides)}{more}</lanelet>'


def exact(tag, value):
    return f"<{tag}><exact>{value}</exact></{tag}>"


def interval(tag, low, high):
    return f"<{tag}><intervalStart>{low}</intervalStart><intervalEnd>{high}</intervalEnd></{tag}>"


def state(tag, step, x, y, yaw=0.0, speed=None, position=None):
    place = position or f"<position>{points((AT[0] + x, AT[1] + y))}</position>"
    turn = exact("orientation", yaw) if yaw is not None else ""
    return f"<{tag}>{place}{turn}{exact('time', step)}{exact('velocity', speed) if speed is not None else ''}</{tag}>"


def moving(id, x, y, speed, steps, type="car", shape=None, dt=0.1, old=False, yaw=0.0, first=0):
    shape = shape or "<rectangle><length>4.0</length><width>2.0</width></rectangle>"
    later = "".join(
        state("state", k, x + speed * (k - first) * dt, y, yaw, speed) for k in range(first + 1, first + steps)
    )
    start = state("initialState", first, x, y, yaw, speed)
    tag, role = ("obstacle", "<role>dynamic</role>") if old else ("dynamicObstacle", "")
    body = f"{role}<type>{type}</type><shape>{shape}</shape>{start}<trajectory>{later}</trajectory>"
    return f'<{tag} id="{id}">{body}</{tag}>'


def rectangle(x, y, length=4.0, width=2.0, turn=0.0):
    return (
        f"<rectangle><length>{length}</length><width>{width}</width><orientation>{turn}</orientation>"
        f"<center><x>{AT[0] + x}</x><y>{AT[1] + y}</y></center></rectangle>"
    )


def task(id=900, speed=10.0, goal=None, time=(28, 32), yaw=0.0, step=0, more=""):
    goal = goal if goal is not None else f"<position>{rectangle(30, 0)}</position>"
    start = (
        f"<initialState><position>{points(AT)}</position>{exact('velocity', speed)}{exact('orientation', yaw)}"
        f"{exact('yawRate', 0)}{exact('slipAngle', 0)}{exact('time', step)}</initialState>"
    )
    end = (
        f"<goalState>{interval('time', *time)}{goal}{more}</goalState>"
        if time
        else f"<goalState>{goal}{more}</goalState>"
    )
    return f'<planningProblem id="{id}">{start}{end}</planningProblem>'


ROAD = (
    lanelet(
        1, (-20, 60), 0,
        '<successor ref="2"/><adjacentLeft ref="3" drivingDir="same"/><adjacentRight ref="4" drivingDir="opposite"/>',
    )
    + lanelet(2, (60, 160), 0, '<predecessor ref="1"/>')
    + lanelet(3, (-20, 60), 4, '<adjacentRight ref="1" drivingDir="same"/>')
    + lanelet(4, (-20, 60), -4)
)  # fmt: skip


def document(*parts, version="2020a", benchmark="ZAM_Test-1_1_T-1", dt=0.1, tags="", road=ROAD):
    head = f'commonRoadVersion="{version}" benchmarkID="{benchmark}" timeStepSize="{dt}" date="2020-01-01"'
    people = 'author="Somebody" affiliation="Somewhere" source="by hand"'
    return f'<?xml version="1.0"?><commonRoad {head} {people} {tags}>{road}{"".join(parts)}</commonRoad>'


def write(folder, *parts, name="ZAM_Test-1_1_T-1.xml", **options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(document(*parts, **options))
    return folder


def load(folder, *parts, **options):
    source = CommonRoad(str(write(folder, *parts, **options)))
    (id,) = source.ids()
    return source.load(id)


def test_the_world_starts_at_the_rear_axle(tmp_path):
    s = load(tmp_path, task(yaw=0.1))
    assert s.origin.tolist() == pytest.approx([AT[0] - REAR * math.cos(0.1), AT[1] - REAR * math.sin(0.1), 0.0])
    vehicle = s.scene.briefing.vehicle
    assert (vehicle.length, vehicle.width, vehicle.wheelbase) == (4.508, 1.610, 2.5789)
    assert vehicle.world_from_ego(s.log[0, 0])[:3, 3].abs().max() < 1e-5
    assert s.log.yaw[0, 0] == pytest.approx(0.1, abs=1e-6) and s.log.speed[0, 0] == pytest.approx(10.0, abs=1e-4)
    assert s.start == 0 and s.steps == 33, "the last step is the latest of the goal's time"
    assert "the ego's log is a reference drive, not a recording" in s.problems and 0 < s.inferred["ego"] < 1
    assert "by hand" in s.licence and "Somebody" in s.licence
    other = CommonRoad(str(tmp_path), vehicle=3).load(s.id)
    assert other.scene.briefing.vehicle.length == 4.569 and other.fingerprint != s.fingerprint


def test_lanes_area_and_paint(tmp_path):
    types = "<laneletType>{}</laneletType>"
    road = (
        lanelet(1, (-20, 60), 0, '<successor ref="2"/>' + types.format("urban"), ("dashed", "solid"))
        + lanelet(2, (60, 160), 0, types.format("intersection"))
        + lanelet(3, (-20, 60), 4, types.format("busLane"), ("no_marking", "dashed"))
        + lanelet(5, (-20, 60), 7, types.format("bicycleLane") + "<userOneWay>bicycle</userOneWay>", width=2.0)
        + lanelet(6, (-20, 60), -4, types.format("sidewalk") + "<userBidirectional>pedestrian</userBidirectional>")
        + lanelet(7, (30, 34), 0, types.format("crosswalk"), width=8.0)
    )
    s = load(tmp_path, task(), road=road)
    m = s.scene.map
    assert len(m.lanes) == 4 and torch.allclose(m.lanes.width, torch.tensor([4.0, 4.0, 4.0, 2.0]))
    assert m.lanes.center.kind.tolist() == [LaneKind.VEHICLE, LaneKind.VEHICLE, LaneKind.BUS, LaneKind.BICYCLE]
    assert m.lanes.intersection.tolist() == [False, True, False, False]
    assert m.lanes.center.line(0)[0].tolist() == pytest.approx([-20 + REAR, 0, 0], abs=1e-4)
    inside = RoadMap.of(m).inside(torch.tensor([[0.0, 0.0], [100.0, 1.9], [0.0, 5.9], [0.0, 7.0], [0.0, -3.0]]))
    assert inside.tolist() == [True, True, True, False, False], "neither cycle lane nor pavement is road"
    assert len(m.crosswalks) == 1 and m.crosswalks.line(0).amax(0).tolist() == pytest.approx([34 + REAR, 4], abs=1e-4)
    assert sorted(m.markings.kind.tolist()) == [Marking.SOLID_WHITE, Marking.DASHED_WHITE], "a shared bound is one line"
    assert "markings" not in s.inferred


def test_the_graph(tmp_path):
    lanes = load(tmp_path, task()).scene.map.lanes
    assert lanes.successors.tolist() == [[0, 1]]
    assert sorted(lanes.neighbours.tolist()) == [[0, 2, 1], [2, 0, -1]], "the oncoming lane is no neighbour"


def test_limits_are_in_metres_per_second_in_both_versions(tmp_path):
    part = "<trafficSignElement><trafficSignID>R2-1</trafficSignID><additionalValue>13.4</additionalValue>"
    sign = f'<trafficSign id="50">{part}</trafficSignElement></trafficSign>'
    road = lanelet(1, (-20, 60), 0, '<successor ref="2"/><trafficSignRef ref="50"/>') + lanelet(2, (60, 160), 0)
    limits = load(tmp_path / "new", sign, task(), road=road, benchmark="USA_Test-1_1_T-1").scene.map.lanes.speed_limit
    assert limits[0] == pytest.approx(13.4) and torch.isnan(limits[1])
    road = lanelet(1, (-20, 60), 0, "<speedLimit>11.176</speedLimit>") + lanelet(2, (60, 160), 0)
    limits = load(tmp_path / "old", task(), road=road, version="2018b").scene.map.lanes.speed_limit
    assert limits[0] == pytest.approx(11.176) and torch.isnan(limits[1])


@pytest.mark.parametrize("country, name", [("FRA", "B14"), ("RUS", "3.24"), ("GRC", "\u03a1-32"), ("BEL", "274")])
def test_limits_of_other_countries(tmp_path, country, name):
    part = f"<trafficSignElement><trafficSignID>{name}</trafficSignID><additionalValue>13.9</additionalValue>"
    road = lanelet(1, (-20, 60), 0, '<trafficSignRef ref="50"/>')
    sign = f'<trafficSign id="50">{part}</trafficSignElement></trafficSign>'
    s = load(tmp_path, sign, task(), road=road, benchmark=f"{country}_Test-1_1_T-1")
    assert s.scene.map.lanes.speed_limit[0] == pytest.approx(13.9)


@pytest.mark.parametrize("name", ["successors", "outgoing"])
def test_turns_as_intersections_state_them(tmp_path, name):
    """The lane behind goes straight on; the intersection calls it a left turn, which the light rules."""
    incoming = f'<incomingLanelet ref="1"/><{name}Left ref="2"/>'
    cross = f'<intersection id="80"><incoming id="81">{incoming}</incoming></intersection>'
    s = load(tmp_path, LIGHT.format(0, "left", "true"), cross, task(), road=LIT)
    assert s.scene.signals.lane.tolist() == [1] and s.scene.map.lanes.intersection.tolist() == [False, True]
    assert "intersections" not in s.inferred


def test_stop_lines(tmp_path):
    sign = (
        '<trafficSign id="{}"><trafficSignElement><trafficSignID>{}</trafficSignID></trafficSignElement></trafficSign>'
    )
    line = points((AT[0] + 50, AT[1] - 2), (AT[0] + 50, AT[1] + 2))
    road = (
        lanelet(
            1, (-20, 60), 0, f'<stopLine>{line}<lineMarking>solid</lineMarking><trafficSignRef ref="50"/></stopLine>'
        )
        + lanelet(2, (60, 160), 0, '<trafficSignRef ref="51"/>')
        + lanelet(3, (-20, 60), 4, "<stopLine><lineMarking>solid</lineMarking></stopLine>")
    )
    s = load(tmp_path, sign.format(50, "206"), sign.format(51, "205"), task(), road=road)
    stops = s.scene.map.stops
    assert stops.lane.tolist() == [0, 1] and stops.kind.tolist() == [StopKind.STOP_SIGN, StopKind.YIELD]
    assert torch.allclose(stops.xy, torch.tensor([[50 + REAR, 0.0], [160 + REAR, 0.0]]), atol=1e-4)
    assert s.scene.map.markings.kind.tolist().count(Marking.STOP_LINE) == 2


LIGHT = (
    '<trafficLight id="70"><cycle><cycleElement><duration>10</duration><color>green</color></cycleElement>'
    "<cycleElement><duration>5</duration><color>yellow</color></cycleElement>"
    "<cycleElement><duration>20</duration><color>red</color></cycleElement>"
    "<cycleElement><duration>5</duration><color>redYellow</color></cycleElement><timeOffset>{}</timeOffset></cycle>"
    "<direction>{}</direction><active>{}</active></trafficLight>"
)
LIT = (
    lanelet(
        1, (-20, 60), 0,
        '<successor ref="2"/><stopLine><lineMarking>solid</lineMarking></stopLine><trafficLightRef ref="70"/>',
    )
    + lanelet(2, (60, 160), 0)
)  # fmt: skip


def test_lights_go_through_their_cycle(tmp_path):
    s = load(tmp_path / "a", LIGHT.format(3, "all", "true"), task(time=(28, 60)), road=LIT)
    signals = s.scene.signals
    assert signals.lane.tolist() == [1] and signals.stop_xy[0].tolist() == pytest.approx([60 + REAR, 0], abs=1e-4)
    assert s.scene.map.stops.kind.tolist() == [StopKind.SIGNAL]
    expected = [Light.RED] * 3 + [Light.GREEN] * 10 + [Light.YELLOW] * 5 + [Light.RED] * 25 + [Light.GREEN] * 10
    assert signals.state[:53, 0].tolist() == expected, "red and yellow together is still red"
    off = load(tmp_path / "b", LIGHT.format(3, "all", "false"), task(), road=LIT)
    assert set(off.scene.signals.state.flatten().tolist()) == {Light.UNKNOWN}
    left = load(tmp_path / "c", LIGHT.format(3, "left", "true"), task(), road=LIT)
    assert len(left.scene.signals.lane) == 0, "nobody turns left here"
    slow = load(tmp_path / "d", LIGHT.format(0, "all", "true"), task(time=(10, 12)), road=LIT, dt=0.5)
    assert slow.scene.signals.state[:, 0].tolist()[49:53] == [Light.GREEN, Light.YELLOW, Light.YELLOW, Light.YELLOW]


def test_the_reference_drive_waits_at_red(tmp_path):
    slow = LIGHT.replace("<duration>5</duration><color>yellow", "<duration>20</duration><color>yellow")
    slow = slow.replace("<duration>20</duration><color>red<", "<duration>40</duration><color>red<")
    goal = f"<position>{rectangle(100, 0)}</position>"
    s = load(tmp_path, slow.format(-45, "all", "true"), task(time=(110, 150), goal=goal), road=LIT)
    state = s.scene.signals.state[:, 0]
    crossed = s.log.xy[:, 0, 0] + 2.254 > 60 + REAR  # the nose
    assert state[60:105].eq(Light.RED).all() and not crossed[60:105].any() and crossed[-1]
    assert s.log.speed[104, 0] < 0.5 and s.log.xy[104, 0, 0] > 50, "it stands near the line"


def test_obstacles(tmp_path):
    circle = "<circle><radius>0.5</radius></circle>"
    wedge = f"<polygon>{points((0, -1), (6, -1), (6, 1), (0, 1))}</polygon>"
    turned = "<rectangle><length>4.0</length><width>2.0</width><orientation>0.5</orientation></rectangle>"
    body = f"<type>parkedVehicle</type><shape>{turned}</shape>{state('initialState', 0, 20, 5, 0.2)}"
    parked = f'<staticObstacle id="20">{body}</staticObstacle>'
    s = load(
        tmp_path, moving(10, 30, 0, 8, 20), moving(11, 0, 5, 1, 50, "pedestrian", circle),
        moving(12, 40, -4, 5, 50, "truck", wedge), moving(13, 10, 4, 5, 10, "bicycle", first=12), parked, task(),
    )  # fmt: skip
    car, walker, truck, cycle, still = (s.log[:, s.track_ids.index(name)] for name in ("10", "11", "12", "13", "20"))
    assert car.xy[0].tolist() == pytest.approx([30 + REAR, 0], abs=1e-4) and car.kind[0] == Kind.CAR
    assert car.valid.tolist() == [k < 20 for k in range(33)], "absent after its recording"
    assert torch.allclose(car.velocity[:20], torch.tensor([8.0, 0.0]).expand(20, 2), atol=1e-4)
    assert walker.kind[0] == Kind.PEDESTRIAN and walker.size[0, :2].tolist() == [1.0, 1.0]
    assert truck.size[0, :2].tolist() == [6.0, 2.0]
    assert truck.xy[0].tolist() == pytest.approx([40 + REAR + 3, -4], abs=1e-4), "the polygon lies ahead of its point"
    assert cycle.valid.tolist() == [12 <= k < 22 for k in range(33)]
    assert still.valid.all() and still.yaw[0] == pytest.approx(0.7, abs=1e-5) and still.speed.abs().max() < 1e-5


def test_intervals_count_with_their_middle(tmp_path):
    fuzzy = (
        f"<state><position>{rectangle(22, 1)}</position>{interval('orientation', -0.1, 0.3)}{exact('time', 20)}"
        f"{interval('velocity', 0, 4)}</state>"
    )
    body = f"<type>car</type>{SHAPE}{state('initialState', 0, 20, 1, 0.1, 1)}"
    s = load(
        tmp_path, f'<dynamicObstacle id="5">{body}<trajectory>{fuzzy}</trajectory></dynamicObstacle>', task(), dt=0.05
    )
    car = s.log[:, 1]
    assert car.valid.sum() == 11 and car.xy[10].tolist() == pytest.approx([22 + REAR, 1], abs=1e-3)
    assert car.yaw[10] == pytest.approx(0.1, abs=1e-5) and car.speed[10] == pytest.approx(2.0, abs=1e-4)


def test_states_without_orientation_look_where_they_go(tmp_path):
    def states(more):
        return "".join(
            f"<state><position>{points((AT[0] + 20, AT[1] + 0.3 * k))}</position>{exact('time', k)}{more}</state>"
            for k in range(1, 40)
        )

    body = f"<type>car</type>{SHAPE}{state('initialState', 0, 20, 0, math.pi / 2, 3)}"
    speeds = exact("velocity", 0.0) + exact("velocityY", 3.0)  # a point mass: along x and y
    pointmass = f'<dynamicObstacle id="5">{body}<trajectory>{states(speeds)}</trajectory></dynamicObstacle>'
    silent = f'<dynamicObstacle id="6">{body}<trajectory>{states("")}</trajectory></dynamicObstacle>'
    s = load(tmp_path, pointmass, silent, task())
    for i in (1, 2):
        assert torch.allclose(s.log.yaw[:, i], torch.tensor(math.pi / 2), atol=1e-4)
        assert torch.allclose(s.log.velocity[:, i], torch.tensor([0.0, 3.0]), atol=1e-3)


def test_what_is_no_road_user_is_told(tmp_path):
    boxes = "<shape><rectangle><length>9</length><width>3</width></rectangle></shape>"
    set_ = f"<occupancySet><occupancy>{boxes}{exact('time', 1)}</occupancy></occupancySet>"
    phantom = f'<phantomObstacle id="30">{set_}</phantomObstacle>'
    based = f'<dynamicObstacle id="31"><type>car</type>{boxes}{state("initialState", 0, 9, 0)}{set_}</dynamicObstacle>'
    rim = f'<staticObstacle id="32"><type>roadBoundary</type>{boxes}{state("initialState", 0, 9, 0)}</staticObstacle>'
    bad = moving(33, 9, 0, 8, 5).replace(f"<x>{AT[0] + 9}</x>", "<x>nan</x>")
    corners = points((AT[0], AT[1] + 10), (AT[0] + 9, AT[1] + 10), (AT[0], AT[1] + 20))
    body = f"<type>building</type><shape><polygon>{corners}</polygon></shape>"
    house = f'<environmentObstacle id="34">{body}</environmentObstacle>'
    s = load(tmp_path, phantom, based, rim, bad, house, moving(10, 40, 0, 10, 40), task())
    assert s.track_ids == ("ego", "10")
    told = " ".join(s.problems)
    assert all(word in told for word in ("phantom", "occupancySet", "road boundaries", "33", "no number"))
    assert len(s.scene.scenery.footprints) == 1 and s.scene.scenery.height.tolist() == [8.0]


def test_interactive_scenarios_are_refused_by_name(tmp_path):
    body = f"<type>car</type>{SHAPE}{state('initialState', 0, 20, 0, 0, 5)}"
    alone = f'<dynamicObstacle id="5">{body}</dynamicObstacle>'
    with pytest.raises(NotDrivable, match="interactive"):
        load(tmp_path, alone, task())


def test_goals(tmp_path):
    more = interval("orientation", 3.0, -3.0) + interval("velocity", 5, 15)
    s = load(tmp_path, task(goal=f"<position>{rectangle(30, 1, turn=0.0)}</position>", more=more))
    (goal,) = s.scene.briefing.goals
    assert goal.time == pytest.approx((2.8, 3.2)) and goal.speed == (5, 15)
    assert goal.yaw == pytest.approx((3.0, 2 * math.pi - 3.0)), "counter-clockwise across half a turn"
    assert goal.area.mean(0).tolist() == pytest.approx([30 + REAR, 1], abs=1e-4)
    assert goal.area.amax(0).tolist() == pytest.approx([32 + REAR, 2], abs=1e-4)
    s = load(tmp_path / "lanes", task(goal='<position><lanelet ref="2"/><lanelet ref="3"/></position>'))
    assert [g.area.amin(0).tolist() for g in s.scene.briefing.goals] == [
        pytest.approx([60 + REAR, -2], abs=1e-4), pytest.approx([-20 + REAR, 2], abs=1e-4)
    ]  # fmt: skip
    s = load(tmp_path / "late", task(goal="", time=(20, 25), step=5))
    assert s.scene.briefing.goals[0].time == pytest.approx((1.5, 2.0)) and len(s.scene.briefing.goals[0].area) == 0
    assert s.steps == 21


def test_the_reference_drive_arrives_in_time_with_bounded_acceleration(tmp_path):
    s = load(tmp_path, moving(10, 60, 0, 9, 80), task(goal=f"<position>{rectangle(30, 4)}</position>", time=(30, 36)))
    ego, (goal,) = s.log[:, 0], s.scene.briefing.goals
    at = ego.xy[30:37].numpy()
    low, high = goal.area.amin(0).numpy(), goal.area.amax(0).numpy()
    assert ((at > low) & (at < high)).all(1).any(), "it changes to the left lane and is there in time"
    assert (ego.speed.diff() / 0.1).abs().max() < 7.5
    turn = torch.atan2(*ego.velocity.T.flip(0)) - ego.yaw
    assert turn.abs().max() < 0.1 and ego.yaw.diff().abs().max() < 0.06
    assert s.inferred["ego"] == pytest.approx(0.6) and len(s.problems) == 1


def test_the_reference_drive_keeps_behind_a_slow_lead_at_any_time_step(tmp_path):
    for dt in (0.1, 0.2, 0.04):
        end = round(6 / dt)
        far = task(goal=f"<position>{rectangle(100, 0)}</position>", time=(end - 2, end))
        road = lanelet(1, (-20, 200), 0)
        s = load(tmp_path / str(dt), moving(10, 25, 0, 3, end, dt=dt), far, dt=dt, road=road)
        corners = [box_corners(s.log.xy[:, i], s.log.yaw[:, i], s.log.size[:, i]) for i in (0, 1)]
        both = s.log.valid[:, 1]
        assert both.sum() > 55 and not boxes_overlap(corners[0][both], corners[1][both]).any()
        assert any("does not reach" in p for p in s.problems), "it cannot arrive and says so"


def test_start_beside_all_lanes(tmp_path):
    s = load(tmp_path, task(), road=lanelet(1, (-20, 160), 30))
    assert any("beside all lanes" in p for p in s.problems)
    assert torch.allclose(s.log.yaw[:, 0], torch.zeros(s.steps), atol=1e-6)


def test_ids(tmp_path):
    write(tmp_path / "a", task(), benchmark="DEU_A-1_1_T-1")
    write(tmp_path / "b", task(1), task(2), benchmark="DEU_B-1_1_T-1", name="other name.xml")
    zipped = tmp_path / "c" / "deep" / "DEU_C-1_1_T-1.xml.gz"
    zipped.parent.mkdir(parents=True)
    zipped.write_bytes(gzip.compress(document(task(), benchmark="DEU_C-1_1_T-1").encode()))
    write(tmp_path / "d", benchmark="DEU_D-1", name="map.xml")
    (tmp_path / "note.xml").write_text("<html/>")
    source = CommonRoad(str(tmp_path))
    drivable = ["DEU_A-1_1_T-1", "DEU_B-1_1_T-1-1", "DEU_B-1_1_T-1-2", "DEU_C-1_1_T-1"]
    assert source.ids() == sorted([*drivable, "DEU_D-1"])
    assert list(source.undrivable()) == ["DEU_D-1"]
    with pytest.raises(NotDrivable, match="planning problem"):
        source.load("DEU_D-1")
    for id in drivable:
        assert source.load(id).id == id and source.load(id).fingerprint == source.fingerprint(id)
    assert CommonRoad(str(zipped)).ids() == ["DEU_C-1_1_T-1"]
    for root in (tmp_path, tmp_path / "a", zipped):
        assert CommonRoad.recognizes(root)
    assert not CommonRoad.recognizes(tmp_path / "note.xml") and not CommonRoad.recognizes(tmp_path / "nowhere")
    (tmp_path / "c" / "deep" / "DEU_C-1_1_T-1.xml").write_bytes(gzip.decompress(zipped.read_bytes()))
    assert source.ids() == sorted([*drivable, "DEU_D-1"]), "the same file, unzipped beside"
    write(tmp_path / "e", task(), benchmark="DEU_A-1_1_T-1")
    both = [id for id in source.ids() if id.startswith("DEU_A")]
    assert len(both) == 2 and all(source.load(id).id == id for id in both)


def test_linked_folders_are_looked_into_once(tmp_path):
    write(tmp_path / "disk", task())
    (tmp_path / "root" / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "disk")
    (tmp_path / "root" / "disk" / "circle").parent.mkdir()
    (tmp_path / "root" / "disk" / "circle").symlink_to(tmp_path / "root")
    source = CommonRoad(str(tmp_path / "root"))
    assert source.ids() == ["ZAM_Test-1_1_T-1"] and source.load("ZAM_Test-1_1_T-1").steps == 33


def test_names_cannot_lead_out_of_a_folder(tmp_path):
    (id,) = CommonRoad(str(write(tmp_path, task(), benchmark="../../etc/passwd"))).ids()
    assert "/" not in id and ".." not in id


def test_place_and_tags(tmp_path):
    gps = "<gpsLatitude>{}</gpsLatitude><gpsLongitude>{}</gpsLongitude>"
    location = f"<location><geoNameId>2867714</geoNameId>{gps}</location>"
    tags = "<scenarioTags><urban/><turn_left/></scenarioTags>"
    s = load(tmp_path / "a", location.format(48.0, 11.0), tags, task(), benchmark="DEU_Muc-4_1_T-1")
    assert s.place.name == "DEU_Muc-4"
    assert s.place.latitude == pytest.approx(48.0 + 500 / 111_195, abs=1e-4)
    assert s.place.longitude == pytest.approx(11.0 + (1000 - REAR) / (111_195 * math.cos(math.radians(48))), abs=1e-4)
    assert {"commonroad:urban", "commonroad:turn_left", "map:DEU_Muc-4"} <= set(s.tags)
    unknown = load(tmp_path / "b", location.format(999, 999), task())
    assert math.isnan(unknown.place.latitude)
    old = load(tmp_path / "c", task(), version="2018b", tags='tags="highway lane_change"')
    assert {"commonroad:highway", "commonroad:lane_change"} <= set(old.tags)


def test_the_old_version(tmp_path):
    s = load(tmp_path, moving(10, 30, 0, 8, 40, old=True), task(), version="2018b")
    assert s.track_ids == ("ego", "10") and s.log.valid[:, 1].all()
    assert "intersections" in s.inferred and "markings" in s.inferred


BROKEN = {"version": {"version": "2017a"}, "time step": {"dt": "0"}}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_headers_are_refused_by_name(tmp_path, what):
    with pytest.raises(InputError, match=rf"ZAM_Test.*{what}"):
        load(tmp_path, task(), **BROKEN[what])


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("</commonRoad>", "", "XML|cut short"),
        ("<commonRoad", "<!DOCTYPE x><commonRoad", "document type"),
        (f"<x>{AT[0]}</x>", "<x>inf</x>", "position is inf"),
        ("<exact>10.0</exact>", "<exact>1e7</exact>", "m/s"),
        ('<lanelet ref="2"/>', '<lanelet ref="77"/>', "lanelet 77"),
        ("<intervalEnd>32</intervalEnd>", "<intervalEnd>x</intervalEnd>", "could not convert"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, before, after, match):
    path = write(tmp_path, task(goal='<position><lanelet ref="2"/></position>')) / "ZAM_Test-1_1_T-1.xml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(InputError, match=match) as told:
        CommonRoad(str(tmp_path)).load("ZAM_Test-1_1_T-1")
    assert path.name in str(told.value)


def test_too_short_to_drive(tmp_path):
    with pytest.raises(NotDrivable, match="long"):
        load(tmp_path, task(time=(3, 7)))


@real
def test_real_ids():
    source = CommonRoad(str(REAL))
    ids = source.ids()
    assert len(ids) == len(list(REAL.glob("*.xml.gz"))) and not source.undrivable()


@real
@pytest.mark.parametrize("id", ["USA_US101-3_3_T-1", "USA_US101-11_1_T-1", "USA_Lanker-1_16_T-1", "USA_Lanker-2_2_T-1"])
def test_real_files_hold_together(id):
    s = CommonRoad(str(REAL)).load(id)
    log, road = s.log, RoadMap.of(s.scene.map)
    step = (log.xy[2:] - log.xy[:-2]) / 0.2
    fast = log.valid[2:] & log.valid[:-2] & (step.norm(dim=-1) > 2)
    off = torch.atan2(step[..., 1], step[..., 0]) - log.yaw[1:-1]
    assert torch.remainder(off + np.pi, 2 * np.pi).sub(np.pi)[fast].abs().median() < np.deg2rad(2)
    assert ((log.velocity[1:-1] - step).norm(dim=-1)[fast] / step.norm(dim=-1)[fast]).median() < 0.05
    assert road.inside(log.xy[log.valid]).float().mean() > 0.97
    on = road.nearest_lane(log.xy[1:-1][fast], log.yaw[1:-1][fast])[0] >= 0
    assert on.float().mean() > 0.95, "whoever moves keeps to lanes, in their direction"
    assert road.inside(log.xy[:, 0]).all()


def test_a_file_that_is_cut_short_is_damage_and_not_undrivable(tmp_path):
    folder = write(tmp_path, task())
    path = next(folder.glob("*.xml"))
    whole = path.read_text()
    path.write_text(whole[: whole.index("<planningProblem")])
    source = CommonRoad(str(folder))
    (id,) = source.ids()
    assert not source.undrivable()
    with pytest.raises(InputError, match="cannot be read as XML") as caught:
        source.load(id)
    assert not isinstance(caught.value, NotDrivable) and path.name in str(caught.value)
