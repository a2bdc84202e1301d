"""OpenSCENARIO: hand-checked storyboards on a straight road, the laws of live play, the reference player's times."""

import math
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from drivesim.control.perfect import Perfect
from drivesim.errors import InputError, NotDrivable
from drivesim.simulator import simulate
from drivesim.types import Kind, Plan
from planners.expert import Expert
from scenarios.openscenario import OpenScenario
from scenarios.openscenario.expressions import evaluate
from scenarios.openscenario.lines import Lines
from scenarios.openscenario.player import Play
from scenarios.openscenario.profiles import Dynamics, share
from scenarios.openscenario.recording import record
from scenarios.openscenario.storyboard import read_storyboard

from .openscenario_files import (
    WALKER,
    by,
    condition,
    event,
    lane,
    lateral,
    maneuver,
    private,
    routing,
    speed,
    starts,
    state,
    story,
    time,
    when,
    write,
)  # fmt: skip

SHARED = Path(__file__).parents[2] / "shared" / "oracles" / "openscenario" / "xosc"

BOTH = starts("Ego", lane(50), 10) + starts("Other", lane(100), 10)
TRACK = "<FollowTrajectoryAction><TrajectoryRef><Trajectory name='t' closed='false'><Shape>{}</Shape></Trajectory>"
FOLLOW = TRACK + "</TrajectoryRef><TimeReference>{}</TimeReference><TrajectoryFollowingMode followingMode='position'/>"
FOLLOW += "</FollowTrajectoryAction>"


def load(folder: Path, text: str, **options):
    return OpenScenario(str(write(folder, text)), **options).load("scene")


def playing(folder: Path, text: str) -> Play:
    return playing_file(write(folder, text))


def playing_file(path: Path) -> Play:
    board = read_storyboard(path)
    return Play(board, Lines(board.roads))


def ticks(play: Play, count: int) -> None:
    for _ in range(count):
        play.tick()


def transitions(path: Path) -> list[tuple[float, str, str]]:
    """Time, name and transition of everything that happens in a story."""
    board = read_storyboard(path)
    play, out, seen = Play(board, Lines(board.roads)), [], -1
    while not play.over and play.step < 6000:
        play.tick()
        fresh = [c for c in play.changes if c[1] > seen]
        out += [(c[0] / 100, board.elements[c[2]].name, c[3]) for c in fresh]
        seen = fresh[-1][1] if fresh else seen
    return [*out, (round(play.time - 0.01, 2), "", "over")]


# The reference player


@pytest.mark.skipif(not SHARED.exists(), reason="the reference files are not here")
def test_cut_in_brakes_and_stops_when_the_reference_player_does():
    told = transitions(SHARED / "cut-in.xosc")
    assert (7.74, "OvertakerBrakeEvent", "start") in told
    assert (16.74, "OvertakerBrakeAction", "end") in told  # 36 m/s at 4 m/s^2
    assert told[-1] == (21.74, "", "over")


@pytest.mark.skipif(not SHARED.exists(), reason="the reference files are not here")
@pytest.mark.parametrize("id", ["cut-in", "cut-in_simple", "pedestrian_collision"])
def test_reference_files_load_and_play_the_same_live(id):
    scenario = OpenScenario(str(SHARED)).load(id)
    drive = simulate(scenario, Expert(), control=Perfect())
    assert torch.equal(drive.agents.valid, scenario.log.valid)
    assert float((drive.agents.xy - scenario.log.xy).norm(dim=-1).max()) < 0.01


@pytest.mark.skipif(not SHARED.exists(), reason="the reference files are not here")
def test_vehicles_from_a_maneuver_catalogue_box_the_ego_in_where_the_reference_player_has_them(tmp_path):
    """The reference player's log of synchronize.xosc: Ego at (10.20, 299.95) and NPC1 at (6.70, 305.00) after 10 s; it
    synchronises at 9.94 s and frees the speeds at 19.74 s."""
    shutil.copytree(SHARED.parent, tmp_path / "all")
    given = {
        "EgoTargetLaneId": -3,
        "NPCTargetLaneId": -2,
        "NPCFreeSpeed": 30,
        "MS1EgoS": 300,
        "MS2EgoS": 500,
        "MS1NPC": 305,
    }
    assigned = "".join(f'<ParameterAssignment parameterRef="${k}" value="{v}"/>' for k, v in given.items())
    group = (
        '<ManeuverGroup maximumExecutionCount="1" name="g"><Actors selectTriggeringEntities="false">'
        '<EntityRef entityRef="Other"/></Actors>'
        '<CatalogReference catalogName="HWManeuvers" entryName="Synchronize_NPC">'
        f"<ParameterAssignments>{assigned}</ParameterAssignments></CatalogReference></ManeuverGroup>"
    )
    where = '<ManeuverCatalog><Directory path="../xosc/Catalogs/Maneuvers"/></ManeuverCatalog>'
    text = story(
        starts("Ego", lane(100, -3), 20) + starts("Other", lane(150, -2), 0), group, stop=condition(time(25)),
        roads="../xodr/e6mini.xodr", before=f"<CatalogLocations>{where}</CatalogLocations>",
        parameters='<ParameterDeclaration name="AccRate" parameterType="double" value="3"/>',
    )  # fmt: skip
    text = text.replace('roadId="1"', 'roadId="0"').replace('"act"', '"Synchronize_Act"')
    text = text.replace("<StartTrigger/></Act>", when(condition(time(0), "none")) + "</Act>")
    path = tmp_path / "all" / "xosc" / "synchronize.xosc"
    path.write_text(text)
    told = transitions(path)
    assert (9.95, "Synchronize_NPC_Event", "end") in told and (19.74, "Free_Speed_Event_NPC", "start") in told
    scenario = OpenScenario(str(path)).load("synchronize")
    centre = 1.4 * torch.stack([torch.cos(scenario.log.yaw), torch.sin(scenario.log.yaw)], -1)
    place = scenario.log.xy - centre + scenario.origin[:2].float()
    assert place[100].flatten().tolist() == pytest.approx([10.20, 299.95, 6.70, 305.00], abs=0.01)
    # the reference player moves by the speed after each step, this one by the mean: 0.05 m on the way from 20 to 30 m/s
    assert place[250, 1].tolist() == pytest.approx([22.644, 630.990], abs=0.06)


@pytest.mark.skipif(not SHARED.exists(), reason="the reference files are not here")
def test_an_overtaker_in_left_hand_traffic_is_where_the_reference_player_has_it(tmp_path):
    """The reference player's log of left-hand-traffic_using_road_rule.xosc: e6mini with the rule LHT, so that lanes 2
    and 3 run along the road. The lane change lasts from 3.75 to 5.74 s."""
    relative = '<RelativeTargetSpeed entityRef="Ego" value="1.4" speedTargetValueType="factor" continuous="true"/>'
    beside = '<Position><RelativeLanePosition entityRef="Ego" dLane="-1" ds="-30"/></Position>'
    change = (
        '<LaneChangeAction><LaneChangeActionDynamics dynamicsShape="sinusoidal" value="2" dynamicsDimension="time"/>'
        '<LaneChangeTarget><RelativeTargetLane entityRef="Other" value="1"/></LaneChangeTarget></LaneChangeAction>'
    )
    far = (
        '<RelativeDistanceCondition entityRef="Other" relativeDistanceType="longitudinal" value="10" freespace="true" '
        'rule="greaterThan"/>'
    )
    go = event("Lane change", lateral(change), when(condition(by("Ego", far))))
    text = story(starts("Ego", lane(40, 3), 30) + starts("Other", beside, relative), maneuver("Other", go))
    path = write(tmp_path, text.replace('roadId="1"', 'roadId="0"'))
    roads = (SHARED.parent / "xodr" / "e6mini.xodr").read_text()
    (tmp_path / "road.xodr").write_text(roads.replace("<road ", '<road rule="LHT" '))
    play, places = playing_file(path), {}
    while play.step <= 901:
        places[play.step] = [(b.x, b.y) for b in (play.bodies["Ego"], play.bodies["Other"])]
        play.tick()
    expected = {
        250: ((-7.546, 115.028), (-3.971, 115.014)),
        438: ((-7.198, 171.427), (-4.253, 193.963)),
    }
    for step, both in expected.items():
        for mine, theirs in zip(places[step], both, strict=True):
            assert mine == pytest.approx(theirs, abs=0.05)
    told = transitions(path)
    assert {(3.75, "Lane change", "start"), (5.75, "Lane change", "end")} <= set(told)


# Places, speeds and boxes


def test_places_boxes_and_speeds_at_the_start(tmp_path):
    relative = '<Position><RelativeLanePosition entityRef="Ego" dLane="1" ds="20"/></Position>'
    against, beside = lane(300, 1), private(f"<TeleportAction>{lane(60, -3)}</TeleportAction>")
    car = story("").split('<ScenarioObject name="Ego">')[1].split("</ScenarioObject>")[0]
    third = f'<ScenarioObject name="Third">{car}</ScenarioObject>'
    s = load(
        tmp_path,
        story(
            starts("Other", relative, 12) + starts("Ego", lane(50, -2, 'offset="0.5"'), "${$v / 3.6}")
            + starts("Third", against, 5) + f'<Private entityRef="Man">{beside}</Private>',
            entities=third + f'<ScenarioObject name="Man">{WALKER}</ScenarioObject>',
            parameters='<ParameterDeclaration name="v" parameterType="double" value="36"/>',
        ),
    )  # fmt: skip
    assert s.track_ids == ("Ego", "Other", "Third", "Man") and s.start == 0
    ego, other, third, man = s.log.xy[0].tolist()
    assert s.origin.tolist() == pytest.approx([50, -4.75, 0])  # lane -2 is centred on t = -5.25
    assert ego == pytest.approx([1.4, 0], abs=1e-4) and other == pytest.approx([21.4, 3.0], abs=1e-4)
    assert third == pytest.approx([250 - 1.4, 1.75 + 4.75], abs=1e-4) and man == pytest.approx([10, -4.0], abs=1e-4)
    assert s.log.velocity[0].flatten().tolist() == pytest.approx([10, 0, 12, 0, -5, 0, 0, 0], abs=1e-4)
    assert abs(float(s.log.yaw[0, 2])) == pytest.approx(math.pi, abs=1e-4)
    assert s.log.kind[0].tolist() == [Kind.CAR] * 3 + [Kind.PEDESTRIAN]
    assert s.scene.briefing.vehicle.wheelbase == pytest.approx(2.9)
    assert s.scene.briefing.vehicle.rear_axle_to_center == pytest.approx(1.4)
    assert float(s.log.xy[100, 0, 0]) == pytest.approx(101.4, abs=1e-3), "the ego keeps its speed for 10 s"
    assert s.steps == 101 and s.licence == "see the file's author: me"


def test_the_ego_is_chosen_by_name_then_controller_then_order(tmp_path):
    path = write(tmp_path, story(BOTH).replace('"Ego"', '"First"'))
    assert OpenScenario(str(path)).load("scene").track_ids[0] == "First"
    assert OpenScenario(str(path), ego="Other").load("scene").track_ids[0] == "Other"
    driven = path.read_text().replace("</Vehicle></ScenarioObject><Sc", "</Vehicle></ScenarioObject><Sc", 1)
    at = driven.rindex("</Vehicle>") + len("</Vehicle>")
    path.write_text(driven[:at] + '<ObjectController><Controller name="x"/></ObjectController>' + driven[at:])
    s = OpenScenario(str(path)).load("scene")
    assert s.track_ids[0] == "Other" and any("controller of Other" in p for p in s.problems)
    with pytest.raises(InputError, match="has no entity 'Nobody'"):
        OpenScenario(str(path), ego="Nobody").load("scene")


@pytest.mark.parametrize(
    ("shape", "dimension", "value", "seconds"),
    [("linear", "rate", 2, 5), ("sinusoidal", "time", 4, 4), ("cubic", "rate", 3, 5), ("linear", "distance", 30, 2)],
)
def test_speed_actions_take_their_time_and_way(tmp_path, shape, dimension, value, seconds):
    dynamics = f'dynamicsShape="{shape}" dynamicsDimension="{dimension}" value="{value}"'
    brakes = maneuver("Other", event("go", speed(20, dynamics), when(condition(time(1), "none"))))
    told = transitions(write(tmp_path, story(BOTH, brakes)))
    assert (1.01, "go", "start") in told
    assert [t for t, name, what in told if (name, what) == ("go action", "end")] == [pytest.approx(1.01 + seconds)]
    log = load(tmp_path, story(BOTH, brakes)).log
    # all shapes are symmetric: 10 m/s until 1.01 s, a mean of 15 m/s, 20 m/s thereafter
    way = 10 * 1.01 + 15 * seconds + 20 * (9 - 1.01 - seconds)
    assert float(log.xy[90, 1, 0] - log.xy[0, 1, 0]) == pytest.approx(way, abs=0.01)


def test_a_rate_of_nothing_never_ends(tmp_path):
    nothing = speed(20, 'dynamicsShape="linear" dynamicsDimension="rate" value="0"')
    told = transitions(write(tmp_path, story(BOTH, maneuver("Other", event("go", nothing, "")))))
    assert not [x for x in told if x[1] == "go action" and x[2] == "end"]


def test_shapes():
    assert [share(x, 0.5) for x in ("linear", "sinusoidal", "cubic", "step")] == pytest.approx([0.5, 0.5, 0.5, 1])
    for shape in ("linear", "sinusoidal", "cubic"):  # a rate is the steepest slope of the shape
        rate, n = 3.0, 10_000
        span = Dynamics(shape, "rate", rate).duration(6.0, 1.0)
        slopes = [(share(shape, (i + 1) / n) - share(shape, i / n)) * 6.0 * n / span for i in range(n)]
        assert max(slopes) == pytest.approx(rate, rel=1e-4)


def test_a_lane_change_ends_in_the_middle_of_the_lane(tmp_path):
    change = (
        '<LaneChangeAction><LaneChangeActionDynamics dynamicsShape="sinusoidal" dynamicsDimension="time" value="4"/>'
        '<LaneChangeTarget><RelativeTargetLane entityRef="Other" value="-1"/></LaneChangeTarget></LaneChangeAction>'
    )
    goes = maneuver("Other", event("change", lateral(change), when(condition(time(1), "none"))))
    log = load(tmp_path, story(BOTH, goes)).log
    y = log.xy[:, 1, 1]
    assert float(y[10]) == pytest.approx(0, abs=1e-3), "the ego's lane is y = 0"
    assert float(log.xy[60, 1, 1]) == pytest.approx(-3.5, abs=1e-3)
    # the reference point is half across after 2 s, the box's centre 1.4 m ahead of it on a heading of
    # atan(pi / 2 * 3.5 / 4 / 10) to the right
    middle = int(round((1.01 + 2) * 10))
    slope = math.pi / 2 * 3.5 / 4
    assert float(y[middle]) == pytest.approx(-1.75 - 1.4 * slope / 10, abs=0.05)
    assert float(log.yaw[middle, 1]) == pytest.approx(-math.asin(slope / 10), abs=5e-3)
    assert float(log.velocity[middle, 1].norm()) == pytest.approx(10, abs=0.1), "the speed is that along the way"


def test_an_oncoming_car_changes_to_the_lane_on_its_left_and_drives_against_the_traffic(tmp_path):
    change = (
        '<LaneChangeAction><LaneChangeActionDynamics dynamicsShape="cubic" dynamicsDimension="distance" value="40"/>'
        '<LaneChangeTarget><RelativeTargetLane entityRef="Other" value="1"/></LaneChangeTarget></LaneChangeAction>'
    )
    init = starts("Ego", lane(50), 10) + starts("Other", lane(300, 1), 20)
    log = load(tmp_path, story(init, maneuver("Other", event("c", lateral(change), "")), stop=condition(time(4)))).log
    assert float(log.xy[0, 1, 1]) == pytest.approx(3.5) and float(log.xy[25, 1, 1]) == pytest.approx(0, abs=1e-3)
    assert abs(float(log.yaw[-1, 1])) == pytest.approx(math.pi, abs=1e-3), "it still drives towards the ego"
    assert float(log.xy[40, 1, 0]) == pytest.approx(250 - 80 - 1.4, abs=0.3)


def test_lane_offset_and_return(tmp_path):
    offset = (
        '<LaneOffsetAction continuous="false"><LaneOffsetActionDynamics dynamicsShape="sinusoidal" maxLateralAcc="1"/>'
        '<LaneOffsetTarget><AbsoluteTargetLaneOffset value="1"/></LaneOffsetTarget></LaneOffsetAction>'
    )
    told = transitions(write(tmp_path, story(BOTH, maneuver("Other", event("o", lateral(offset), "")))))
    assert told[-2][0] < 10 and (0.0, "o", "start") in told
    ends = next(t for t, name, what in told if (name, what) == ("o action", "end"))
    assert ends == pytest.approx(math.pi / math.sqrt(2), abs=0.011)  # peak acceleration pi^2 / 2 T^2 is 1 m/s^2
    log = load(tmp_path, story(BOTH, maneuver("Other", event("o", lateral(offset), "")))).log
    assert float(log.xy[50, 1, 1]) == pytest.approx(1.0, abs=1e-3), "to the left"


def test_trajectories_in_time_and_at_the_own_speed(tmp_path):
    def vertex(t, x, y):
        return f'<Vertex time="{t}"><Position><WorldPosition x="{x}" y="{y}"/></Position></Vertex>'

    line = "<Polyline>" + vertex(0, 100, -1.75) + vertex(4, 120, -1.75) + vertex(6, 150, -1.75) + "</Polyline>"
    timing = '<Timing domainAbsoluteRelative="relative" scale="1" offset="0"/>'
    timed = maneuver("Other", event("t", routing(FOLLOW.format(line, timing)), ""))
    log = load(tmp_path, story(BOTH, timed)).log
    x = (log.xy[:, 1, 0] + 50 - 1.4).tolist()
    assert [x[20], x[40], x[50]] == pytest.approx([110, 120, 135], abs=0.02)
    assert x[80] == pytest.approx(180, abs=0.3), "afterwards it keeps its last speed, 15 m/s"
    bent = "<Polyline>" + vertex(0, 100, -1.75) + vertex(0, 130, -1.75) + vertex(0, 130, -41.75) + "</Polyline>"
    own = maneuver("Other", event("t", routing(FOLLOW.format(bent, "<None/>")), ""))
    log = load(tmp_path, story(BOTH, own)).log
    assert float(log.yaw[50, 1]) == pytest.approx(-math.pi / 2, abs=1e-4)
    assert float(log.xy[50, 1, 1]) == pytest.approx(-20 - 1.4, abs=0.02), "50 m: 30 along, 20 to the right"


def test_curved_trajectories_are_circles_where_they_should_be(tmp_path):
    """Quarters of a circle of 10 m radius: a NURBS of three points, a clothoid of constant curvature, and a spline of
    two such from where the car is."""
    at = '<Position><WorldPosition x="50" y="-1.75" h="0"/></Position>'
    points = ((50, -1.75, 1, 1), (60, -1.75, math.sqrt(0.5), 2), (60, 8.25, 1, 3))
    control = (
        '<ControlPoint weight="{2}" time="{3}"><Position><WorldPosition x="{0}" y="{1}"/></Position></ControlPoint>'
    )
    knots = "".join(f'<Knot value="{k}"/>' for k in (0, 0, 0, 1, 1, 1))
    length = 5 * math.pi
    bend = f'<ClothoidSplineSegment curvatureStart="0.1" curvatureEnd="0.1" length="{length / 2}" timeStart="{{}}"/>'
    shapes = [
        f'<Nurbs order="3">{"".join(control.format(*p) for p in points)}{knots}</Nurbs>',
        f'<Clothoid curvature="0.1" curvatureDot="0" length="{length}" startTime="1" stopTime="3">{at}</Clothoid>',
        f'<ClothoidSpline timeEnd="3">{bend.format(1)}{bend.format(2)}</ClothoidSpline>',
    ]
    relative = '<Timing domainAbsoluteRelative="relative" scale="1" offset="0"/>'
    for shape in shapes:
        for timing in (relative, "<None/>"):
            go = event("go", routing(FOLLOW.format(shape, timing)), when(condition(time(0), "none")))
            init = starts("Ego", lane(200), 0) + starts("Other", lane(50), 5)
            play = playing(tmp_path, story(init, maneuver("Other", go)))
            ticks(play, 50 if timing == "<None/>" else 150)
            spot = play.bodies["Other"].spot
            assert math.hypot(spot.x - 50, spot.y - 8.25) == pytest.approx(10, abs=0.06)
            assert spot.yaw == pytest.approx(math.atan2(spot.x - 50, 8.25 - spot.y), abs=0.02)
            ticks(play, 400)
            assert play.ways == {}


def test_who_only_follows_trajectories_in_time_is_the_same_without_fine_steps(tmp_path):
    """Nobody looks at bodies between samples where all is a matter of time; a trajectory may still be cut short."""
    vertex = '<Vertex time="{0}"><Position><WorldPosition x="{1}" y="{2}" h="{3}"/></Position></Vertex>'
    rows = (0, 100, -1.75, 0), (2.03, 130, -1.75, 0), (6.07, 200, 1.75, 0.05)
    line = "".join(vertex.format(*row) for row in rows)
    timed = '<Timing domainAbsoluteRelative="absolute" scale="1" offset="0.5"/>'
    follow = routing(FOLLOW.format(f"<Polyline>{line}</Polyline>", timed))
    events = (
        event("go", follow, when(condition(time(0.2), "none"))),
        event("stop", speed(3), when(condition(time(4.333), "none"))),
    )
    text = story(BOTH, maneuver("Other", *events), stop=condition(time(8), "none"))
    tracks = []
    for unwatched in (True, False):
        play = playing(tmp_path, text)
        assert play.unwatched
        play.unwatched = unwatched
        tracks.append(record(play, 20.0).tracks["Other"])
    assert len(tracks[0]) == len(tracks[1]) == 81
    assert abs(tracks[0] - tracks[1]).max() < 1e-6


def test_relative_speed_is_tracked_and_distance_kept(tmp_path):
    target = '<RelativeTargetSpeed entityRef="Ego" value="2" speedTargetValueType="delta" continuous="true"/>'
    slows = maneuver("Ego", event("s", speed(4, 'dynamicsShape="linear" dynamicsDimension="rate" value="3"'),
                                  when(condition(time(2), "none"))), name="ego")  # fmt: skip
    log = load(tmp_path, story(BOTH, maneuver("Other", event("r", speed(target), "")), slows)).log
    assert log.speed[[10, 90], 1].tolist() == pytest.approx([12, 6], abs=0.05)
    gap = private(
        '<LongitudinalAction><LongitudinalDistanceAction entityRef="Ego" distance="20" freespace="false" '
        'continuous="true" displacement="leadingReferencedEntity"><DynamicConstraints maxAcceleration="5" '
        'maxDeceleration="5" maxSpeed="40"/></LongitudinalDistanceAction></LongitudinalAction>'
    )
    log = load(tmp_path, story(BOTH, maneuver("Other", event("g", gap, "")), stop=condition(time(20)))).log
    assert float(log.xy[-1, 1, 0] - log.xy[-1, 0, 0]) == pytest.approx(20, abs=0.1)


def test_synchronised_arrival(tmp_path):
    sync = private(
        f'<SynchronizeAction masterEntityRef="Ego"><TargetPositionMaster>{lane(130)[10:-11]}</TargetPositionMaster>'
        f'<TargetPosition>{lane(240)[10:-11]}</TargetPosition><FinalSpeed><AbsoluteSpeed value="15"/></FinalSpeed>'
        "</SynchronizeAction>"
    )
    told = transitions(write(tmp_path, story(BOTH, maneuver("Other", event("s", sync, "")))))
    ends = next(t for t, name, what in told if (name, what) == ("s action", "end"))
    assert ends == pytest.approx(8.0, abs=0.02), "the master needs 80 m / 10 m/s"
    log = load(tmp_path, story(BOTH, maneuver("Other", event("s", sync, "")))).log
    assert float(log.xy[80, 1, 0]) + 50 - 1.4 == pytest.approx(240, abs=0.3)
    assert float(log.speed[80, 1]) == pytest.approx(15, abs=0.3)


def test_entities_come_and_go(tmp_path):
    gone = '<GlobalAction><EntityAction entityRef="Other"><DeleteEntityAction/></EntityAction></GlobalAction>'
    back = (
        '<GlobalAction><EntityAction entityRef="Other"><AddEntityAction>' + lane(300) +
        "</AddEntityAction></EntityAction></GlobalAction>"
    )  # fmt: skip
    group = maneuver("Other", event("gone", gone, when(condition(time(2), "none"))),
                     event("back", back, when(condition(time(5), "none"))))  # fmt: skip
    s = load(tmp_path, story(BOTH, group))
    assert s.log.valid[:, 1].tolist() == [True] * 21 + [False] * 30 + [True] * 50
    assert float(s.log.xy[60, 1, 0]) == pytest.approx(250 + 1.4, abs=1e-3)
    drive = simulate(s, Expert(), control=Perfect())
    assert torch.equal(drive.agents.valid, s.log.valid)


# Triggers


@pytest.mark.parametrize(
    ("test", "at"),
    [
        ('<TimeHeadwayCondition entityRef="Other" value="4.5" freespace="false" rule="lessThan" '
         'coordinateSystem="road" relativeDistanceType="longitudinal"/>', 1.01),  # 50 - 5 t < 45
        ('<TimeHeadwayCondition entityRef="Other" value="4" freespace="true" rule="lessThan" '
         'coordinateSystem="entity" relativeDistanceType="longitudinal"/>', 1.01),  # the boxes are 5 m longer
        ('<TimeToCollisionCondition value="8" freespace="false" rule="lessThan"><TimeToCollisionConditionTarget>'
         '<EntityRef entityRef="Other"/></TimeToCollisionConditionTarget></TimeToCollisionCondition>', 2.01),
        ('<RelativeDistanceCondition entityRef="Other" relativeDistanceType="cartesianDistance" value="30" '
         'freespace="false" rule="lessThan"/>', 4.01),
        ('<TraveledDistanceCondition value="30"/>', 3.0),
        (f'<ReachPositionCondition tolerance="2">{lane(82)}</ReachPositionCondition>', 3.0),
        (f'<DistanceCondition value="10" freespace="false" rule="lessThan">{lane(100)}</DistanceCondition>', 4.01),
        ('<SpeedCondition value="9.999" rule="greaterThan"/>', 0.0),
        ('<RelativeSpeedCondition entityRef="Other" value="4" rule="greaterThan"/>', 0.0),
        ('<CollisionCondition><EntityRef entityRef="Other"/></CollisionCondition>', 9.01),
    ],
)  # fmt: skip
def test_conditions_by_entity(tmp_path, test, at):
    init = starts("Ego", lane(50), 10) + starts("Other", lane(100), 5)
    group = maneuver("Ego", event("e", speed(10), when(condition(by("Ego", test), "none"))))
    told = transitions(write(tmp_path, story(init, group)))
    assert next(t for t, name, what in told if (name, what) == ("e", "start")) == pytest.approx(at, abs=1e-9)


def test_edges_delays_states_groups_and_priorities(tmp_path):
    group = maneuver(
        "Other",
        event("first", speed(20, 'dynamicsShape="linear" dynamicsDimension="time" value="3"'),
              when(condition(time(1), "rising", 0.5))),
        event("second", speed(10), when(condition(state("event", "m::first", "endTransition"), "rising"))),
        event("skipped", speed(1), when(condition(time(2), "rising")), priority="skip"),
        event("never", speed(1), when(condition(time(1), "none"), condition(state("act", "act", "completeState")))),
    )  # fmt: skip
    told = transitions(
        write(tmp_path, story(BOTH, group, stop=condition(state("event", "second", "endTransition"), delay=2)))
    )
    assert (1.51, "first", "start") in told and (2.01, "skipped", "skip") in told
    assert (4.51, "first", "end") in told and (4.51, "second", "start") in told
    assert told[-1] == (6.52, "", "over") and "never" not in {name for _, name, _ in told}


def test_an_overwritten_event_can_come_again(tmp_path):
    slow = '<RelativeTargetSpeed entityRef="Ego" value="0" speedTargetValueType="delta" continuous="true"/>'

    def at(*times):
        groups = (f"<ConditionGroup>{condition(time(t))}</ConditionGroup>" for t in times)
        return f"<StartTrigger>{''.join(groups)}</StartTrigger>"

    group = maneuver("Other", event("a", speed(slow), at(1, 3), count=2), event("b", speed(12), at(2)))
    told = transitions(write(tmp_path, story(BOTH, group)))
    assert [(t, what) for t, name, what in told if name == "a"] == [(1.01, "start"), (2.01, "stop"), (3.01, "start")]


# Live


@dataclass
class Brakes:
    """Follows the log until `at`, then stands on the brakes."""

    at: float
    sensors: tuple = ()
    period: float = 0.1
    privileged: bool = True
    oracle: bool = True

    def reset(self, briefing):
        self.expert = Expert()
        self.expert.reset(briefing)

    def plan(self, observation):
        if observation.time < self.at:
            return self.expert.plan(observation)
        v, t = float(observation.ego.velocity[-1, 0]), torch.arange(1, 31) * 0.1
        way = torch.where(t < v / 6, v * t - 3 * t**2, torch.tensor(v * v / 12))
        return Plan(torch.stack([way, 0 * way, 0 * way], -1), t)


def follower() -> str:
    """The other brakes when the ego is 30 m behind it."""
    near = by("Ego", '<RelativeDistanceCondition entityRef="Other" relativeDistanceType="longitudinal" value="30" '
                     'freespace="false" rule="lessThan"/>')  # fmt: skip
    brake = speed(0, 'dynamicsShape="linear" dynamicsDimension="rate" value="2"')
    init = starts("Ego", lane(50), 15) + starts("Other", lane(110), 10)
    return story(init, maneuver("Other", event("brake", brake, when(condition(near)))))


def test_nobody_deviates_and_the_live_story_is_the_log(tmp_path):
    s = pickle.loads(pickle.dumps(load(tmp_path, follower())))
    drive = simulate(s, Expert(), control=Perfect())
    assert float((drive.agents.xy - s.log.xy).norm(dim=-1).max()) < 0.01
    assert float(s.log.speed[62, 1]) == pytest.approx(9.6, abs=0.3) and float(s.log.speed[59, 1]) == pytest.approx(10)


def test_an_ego_that_brakes_changes_when_a_relative_trigger_fires(tmp_path):
    s = load(tmp_path, follower())
    drive = simulate(s, Brakes(at=3.0), control=Perfect())
    assert float(drive.agents.speed[-1, 0]) < 0.1
    assert float(drive.agents.speed[-1, 1]) == pytest.approx(10, abs=1e-3), "never within 30 m: it need not brake"
    assert float(s.log.speed[-1, 1]) < 4
    late = simulate(s, Brakes(at=5.4), control=Perfect())
    assert 0.2 < float(late.agents.speed[-1, 1] - s.log.speed[-1, 1]) < 1.0, "it comes near more slowly, so later"


def test_a_story_is_a_value(tmp_path):
    """Two rollouts from one scenario do not disturb each other, and a state can be played twice."""
    from drivesim.simulator import start_state

    s = load(tmp_path, follower())
    state, history = start_state(s)
    state = s.script.begin(state, s, 0)
    first, after = s.script.act(state, history, s.scene)
    again, same = s.script.act(state, history, s.scene)
    assert torch.equal(first.command.nan_to_num(0), again.command.nan_to_num(0)) and after.story == same.story
    assert state.story.step == 0 and after.story.step == 10
    assert pickle.loads(pickle.dumps(after.story)) == after.story
    assert first.valid.tolist() == [False, True]


# Parameters, catalogues, refusals


def test_expressions():
    given = {"a": "4", "b": "-2.5", "name": "x", "on": "true"}
    for text, value in {
        "$a / 3.2": 1.25, "2 + 3 * 4 - 1": 13, "(2 + 3) * 4": 20, "-$a ^ 2": -16, "2 ^ 3 ^ 2": 512, "7 % 4": 3,
        "round(2.5) + floor(2.7) + ceil(2.1)": 8, "sqrt(16) + pow(2, 3) + sign($b)": 11, "max($a, 5) - min(1, 2)": 4,
        "not $on or $on and true": True, "$b": -2.5, "1e3": 1000, "--3": 3,
    }.items():  # fmt: skip
        assert evaluate(text, given) == pytest.approx(value), text
    assert evaluate("name + _ + $a", given) == "name_4"
    for text in ("", "1 +", "(1", "1 / 0", "$none", "__import__('os')", "1; 2", "9 ^ 9 ^ 9 ^ 9", "(-8) ^ 0.5",
                 "(" * 500, "sqrt(-1)", "a.b", "[1]", "'x' * 9", "pow(1)"):  # fmt: skip
        with pytest.raises(ValueError):
            value = evaluate(text, given)
            float(value)  # a bare word stands for itself, and is no number


def test_catalogues_with_assignments_and_licence(tmp_path):
    car = story("").split('<ScenarioObject name="Ego">')[1].split("</ScenarioObject>")[0]
    car = car.replace("<ParameterDeclarations/>", '<ParameterDeclarations><ParameterDeclaration name="l" '
                      'parameterType="double" value="5"/></ParameterDeclarations>')  # fmt: skip
    car = car.replace('length="5"', 'length="$l"')
    folder = tmp_path / "all" / "catalogs"
    folder.mkdir(parents=True)
    (folder / "cars.xosc").write_text(
        f'<OpenSCENARIO><FileHeader revMajor="1" revMinor="0"/><Catalog name="Cars">{car}</Catalog></OpenSCENARIO>'
    )
    reference = (
        '<ScenarioObject name="Long"><CatalogReference catalogName="Cars" entryName="car"><ParameterAssignments>'
        '<ParameterAssignment parameterRef="l" value="7"/></ParameterAssignments></CatalogReference></ScenarioObject>'
    )
    text = story(
        BOTH + starts("Long", lane(200), 10), entities=reference,
        before='<CatalogLocations><VehicleCatalog><Directory path="./catalogs"/></VehicleCatalog></CatalogLocations>',
        header='<License name="MIT License" spdxId="MIT" resource="https://x"/>',
    )  # fmt: skip
    path = write(tmp_path / "all", text)
    s = OpenScenario(str(path.parent)).load("scene")
    assert s.log.size[0, 2].tolist() == pytest.approx([7, 2, 1.5]) and s.licence == "MIT (https://x), by me"
    source = OpenScenario(str(path.parent))
    before = source.fingerprint("scene")
    (folder / "cars.xosc").write_text((folder / "cars.xosc").read_text().replace("1.5", "1.6"))
    assert source.fingerprint("scene") != before, "a catalogue is part of the scenario"
    assert source.ids() == ["scene"], "a catalogue is no scenario"


REFUSED = {
    "Splines": FOLLOW.format("<Splines/>", "<None/>"),
    "TrajectoryPosition": "<AcquirePositionAction><Position><TrajectoryPosition/></Position></AcquirePositionAction>",
    "RandomRouteAction": "<RandomRouteAction/>",
    "GeoPosition": "<AcquirePositionAction><Position><GeoPosition/></Position></AcquirePositionAction>",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name_and_place(tmp_path, name):
    text = story(BOTH, maneuver("Other", event("e", routing(REFUSED[name]), "")))
    with pytest.raises(InputError, match=rf"scene.xosc: .*Act 'act' .* Event 'e' .*{name} is not supported"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('LogicFile filepath="road.xodr"', 'LogicFile filepath="../../../../../../etc/passwd"', "far outside"),
        ('LogicFile filepath="road.xodr"', 'LogicFile filepath="none.xodr"', "no such file"),
        ('laneId="-1" s="100"', 'laneId="-9" s="100"', "no lane -9"),
        ('laneId="-1" s="100"', 'laneId="-1" s="5000"', "no s = 5000"),
        ('s="100"', 's="nan"', "s=nan is out of range"),
        ('s="100"', 's="$far"', r"parameter \$far is not declared"),
        ('revMajor="1"', 'revMajor="2"', "OpenSCENARIO 2"),
        ('entityRef="Other"', 'entityRef="Nobody"', "entity 'Nobody', which there is not"),
        ("<SimulationTimeCondition", "<TrafficSignalCondition", "TrafficSignalCondition is not supported"),
        ('rule="greaterThan"', 'rule="about"', "rule='about' is not supported"),
    ],
)
def test_damage_is_told(tmp_path, old, new, reason):
    text = story(BOTH)
    assert old in text
    with pytest.raises(InputError, match=reason):
        load(tmp_path, text.replace(old, new))


def test_a_distribution_is_listed_and_refused(tmp_path):
    write(tmp_path, story(BOTH))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "many.xosc").write_text(
        '<OpenSCENARIO><FileHeader revMajor="1" revMinor="1"/><ParameterValueDistribution/></OpenSCENARIO>'
    )
    source = OpenScenario(str(tmp_path))
    assert source.ids() == ["deep__many", "scene"] and list(source.undrivable()) == ["deep__many"]
    with pytest.raises(NotDrivable, match="no storyboard"):
        source.load("deep__many")
    assert OpenScenario.recognizes(tmp_path) and OpenScenario.recognizes(tmp_path / "scene.xosc")
    assert not OpenScenario.recognizes(tmp_path / "road.xodr")


def test_a_place_in_a_condition_that_does_not_exist_is_told_before_anything_runs(tmp_path):
    late = when(
        condition(time(9)),
        condition(by("Ego", f'<ReachPositionCondition tolerance="1">{lane(5000)}</ReachPositionCondition>')),
    )  # noqa: E501
    with pytest.raises(InputError, match="Condition 'c' .* no s = 5000"):
        load(tmp_path, story(BOTH, maneuver("Other", event("e", speed(1), late))))


def test_a_story_without_end_ends_after_the_seconds_asked_for(tmp_path):
    s = load(tmp_path, story(BOTH, stop=""), seconds=5.0)
    assert s.steps == 51 and any("stop trigger" in p for p in s.problems)
    s = load(tmp_path, story(starts("Ego", lane(980), 10) + starts("Other", lane(900), 1)))
    assert float(s.log.speed[-1, 0]) == 0 and any("end of its road" in p for p in s.problems)


def test_curves_are_driven_at_the_speed_of_the_lane(tmp_path):
    """An arc to the left: the outer lane is longer, so that a car in it falls behind along s."""
    path = write(tmp_path, story(starts("Ego", lane(50, -2), 10) + starts("Other", lane(50, 2), 10)), curvature=0.005)
    log = OpenScenario(str(path)).load("scene").log
    turned = (log.yaw[60] - log.yaw[0]).tolist()
    assert turned[0] == pytest.approx(60 / 205.25, abs=2e-3), "radius 200 m + 5.25 m"
    assert turned[1] == pytest.approx(-50 / 200, abs=2e-3), "the other way, until its road ends"


def test_who_is_put_back_from_the_end_of_the_road_drives_on(tmp_path):
    """As in the reference player's lane_change_simple.xosc."""
    back = private(f"<TeleportAction>{lane(10)}</TeleportAction>")
    ended = when(condition(by("Other", '<EndOfRoadCondition duration="2.5"/>')))
    init = starts("Ego", lane(50), 10) + starts("Other", lane(980), 20)
    told = transitions(write(tmp_path, story(init, maneuver("Other", event("back", back, ended)))))
    assert next(t for t, name, what in told if (name, what) == ("back", "start")) == pytest.approx(3.5, abs=0.021)
    s = load(tmp_path, story(init, maneuver("Other", event("back", back, ended))))
    log = s.log
    assert log.valid[:, 1].tolist().count(False) == 1, "absent for the step in which it is put back"
    drive = simulate(s, Expert(), control=Perfect())
    assert torch.equal(drive.agents.valid, log.valid)
    assert float((drive.agents.xy - log.xy)[log.valid].norm(dim=-1).max()) < 0.01
    assert float(log.speed[20, 1]) == 0 and float(log.speed[60, 1]) == pytest.approx(20, abs=1e-3)
    assert float(log.xy[60, 1, 0]) + 50 - 1.4 == pytest.approx(10 + 20 * 2.5, abs=0.5)


def test_pedestrians_go_where_they_look_and_what_lies_across_is_carried_along(tmp_path):
    turned = '<Position><LanePosition roadId="1" laneId="-1" s="100"><Orientation type="relative" h="1.5708"/></LanePosition></Position>'  # noqa: E501
    init = starts("Ego", lane(50), 0) + starts("Other", turned, 5) + starts("Man", turned, 2)
    man = f'<ScenarioObject name="Man">{WALKER}</ScenarioObject>'
    log = load(tmp_path, story(init, entities=man)).log
    assert (log.xy[50, 1] - log.xy[0, 1]).tolist() == pytest.approx([25, 0], abs=1e-2)
    assert (log.xy[50, 2] - log.xy[0, 2]).tolist() == pytest.approx([0, 10], abs=1e-2)


def test_files_of_carlas_scenario_runner_name_a_town_and_list_criteria(tmp_path):
    """The road network without its ending, conditions of the stop trigger that only list what a drive is judged by."""
    criterion = '<ByValueCondition><ParameterCondition parameterRef="" value="" rule="lessThan"/></ByValueCondition>'
    stop = condition(criterion).replace('name="c"', 'name="criteria_CollisionTest"')
    scenario = load(tmp_path, story(BOTH, stop=stop, roads="road"), seconds=3.0)
    assert scenario.steps == 31 and any("criteria" in x for x in scenario.problems)
    assert len(OpenScenario(str(tmp_path)).fingerprint("scene")) > 8
    with pytest.raises(InputError, match="which is not declared"):
        load(tmp_path / "other", story(BOTH, stop=condition(criterion)))
