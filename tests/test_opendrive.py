"""OpenDRIVE: textbook curves by hand, lanes and their graph, damaged files, and real maps."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.roadmap import RoadMap
from drivesim.types import LaneKind, Marking, StopKind
from scenarios.openscenario.lines import Lines
from scenarios.openscenario.opendrive import read_opendrive

SHARED = Path(__file__).parents[2] / "shared"
MAPS = sorted((SHARED / "oracles/openscenario/xodr").glob("*.xodr"))
ORIGIN = np.zeros(3)

LINE = '<geometry s="0" x="0" y="0" hdg="0" length="100"><line/></geometry>'


def lane(id, width="3.5", type="driving", link="", more=""):
    return (
        f'<lane id="{id}" type="{type}" level="false"><link>{link}</link>'
        f'<width sOffset="0" a="{width}" b="0" c="0" d="0"/>{more}</lane>'
    )


def section(left="", right="", s=0.0, centre='<lane id="0" type="none"/>', more=""):
    return (
        f'<laneSection s="{s}"{more}>{f"<left>{left}</left>" if left else ""}<center>{centre}</center>'
        f"{f'<right>{right}</right>' if right else ''}</laneSection>"
    )


def road(id="1", geometry=LINE, length=100.0, lanes=None, link="", junction="-1", more="", rule="", offset=""):
    lanes = section(lane(1), lane(-1)) if lanes is None else lanes
    return (
        f'<road id="{id}" name="" length="{length}" junction="{junction}"{rule}><link>{link}</link>'
        f"<planView>{geometry}</planView>{more}<lanes>{offset}{lanes}</lanes></road>"
    )


def network(tmp_path, *roads, more="", header=""):
    path = tmp_path / "roads.xodr"
    path.write_text(
        f'<OpenDRIVE><header revMajor="1" revMinor="6">{header}</header>{"".join(roads or [road()])}{more}</OpenDRIVE>'
    )
    return read_opendrive(path)


def curve(shape, length, hdg=0.0):
    return f'<geometry s="0" x="0" y="0" hdg="{hdg}" length="{length}">{shape}</geometry>'


def end_of(tmp_path, shape, length):
    return network(tmp_path, road(geometry=curve(shape, length), length=length)).position("1", length)


def test_an_arc_of_a_quarter_circle_ends_beside_its_centre(tmp_path):
    x, y, z, yaw = end_of(tmp_path, '<arc curvature="0.1"/>', 5 * math.pi)
    assert (x, y, z, yaw) == pytest.approx((10, 10, 0, math.pi / 2), abs=1e-9)


@pytest.mark.parametrize("side", [1, -1])
def test_a_clothoid_ends_at_the_fresnel_integrals(tmp_path, side):
    """C(1) and S(1) of Abramowitz and Stegun, table 7.7, 0.7798934 and 0.4382591, ten times as large."""
    x, y, _, yaw = end_of(tmp_path, f'<spiral curvStart="0" curvEnd="{side * math.pi / 10}"/>', 10.0)
    assert (x, y) == pytest.approx((7.798934, side * 4.382591), abs=1e-6)
    assert abs(yaw) == pytest.approx(math.pi / 2)


@pytest.mark.parametrize("start, end", [(0.02, -0.05), (-0.1, 0.03), (0.05, 0.05000002), (0.05, 0.0503), (0.0, 0.0)])
def test_a_spiral_is_the_integral_of_its_direction(tmp_path, start, end):
    s = (np.arange(200_000) + 0.5) * 40.0 / 200_000
    turn = start * s + (end - start) / 40.0 * s * s / 2
    x, y, _, _ = end_of(tmp_path, f'<spiral curvStart="{start}" curvEnd="{end}"/>', 40.0)
    assert (x, y) == pytest.approx((np.cos(turn).mean() * 40, np.sin(turn).mean() * 40), abs=1e-6)


def test_a_poly3_is_as_long_as_it_says(tmp_path):
    """v = u^2 / 2 from 0 to 1 is (sqrt 2 + asinh 1) / 2 long."""
    length = (math.sqrt(2) + math.asinh(1)) / 2
    x, y, _, yaw = end_of(tmp_path, '<poly3 a="0" b="0" c="0.5" d="0"/>', length)
    assert (x, y, yaw) == pytest.approx((1, 0.5, math.pi / 4), abs=1e-6)


@pytest.mark.parametrize("range, k", [("normalized", 1.0), ("arcLength", 20.0)])
def test_a_parametric_cubic_in_both_ranges(tmp_path, range, k):
    v = f'cV="{1 / k**2}" dV="{-2 / k**3}"'
    shape = f'<paramPoly3 pRange="{range}" aU="0" bU="{20 / k}" cU="0" dU="0" aV="0" bV="0" {v}/>'
    x, y, _, _ = end_of(tmp_path, shape, 20.0)
    assert (x, y) == pytest.approx((20, -1), abs=1e-6)


def test_widths_offsets_and_heights_follow_their_polynomials(tmp_path):
    """At s = 60: offset 1 + 0.01 * 60, lane -1 2 + 0.1 * (60 - 50) wide, height 2 + 0.02 * 60 + 0.001 * 60^2."""
    narrow = '<width sOffset="50" a="2" b="0.1" c="0" d="0"/>'
    height = '<elevationProfile><elevation s="0" a="2" b="0.02" c="0.001" d="0"/></elevationProfile>'
    found = network(
        tmp_path,
        road(
            lanes=section("", lane(-1, more=narrow) + lane(-2)), more=height,
            offset='<laneOffset s="0" a="1" b="0.01" c="0" d="0"/>',
        ),
    )  # fmt: skip
    assert found.position("1", 60.0) == pytest.approx((60, 1.6, 6.8, 0))
    assert found.position("1", 60.0, -1)[:2] == pytest.approx((60, 1.6 - 1.5))
    assert found.position("1", 60.0, -2, offset=0.25)[:2] == pytest.approx((60, 1.6 - 3 - 1.75 + 0.25))
    assert found.position("1", 60.0, lateral=-4.0)[:2] == pytest.approx((60, -4))


def test_a_banked_road_lifts_its_left_side(tmp_path):
    bank = '<lateralProfile><superelevation s="0" a="0.1" b="0" c="0" d="0"/></lateralProfile>'
    found = network(tmp_path, road(more=bank))
    assert found.position("1", 10.0, lateral=5.0)[:3] == pytest.approx((10, 5 * math.cos(0.1), 5 * math.sin(0.1)))


def test_borders_state_where_a_lane_ends(tmp_path):
    edge = '<lane id="-1" type="driving"><border sOffset="0" a="-3" b="0" c="0" d="0"/></lane>'
    far = '<lane id="-2" type="driving"><border sOffset="0" a="-7" b="0" c="0" d="0"/></lane>'
    found = network(tmp_path, road(lanes=section("", edge + far)))
    assert found.position("1", 5.0, -2)[1] == pytest.approx(-5)


def test_traffic_keeps_to_the_side_of_the_rule(tmp_path):
    right = network(tmp_path)
    assert right.position("1", 10.0, -1)[3] == 0 and abs(right.position("1", 10.0, 1)[3]) == pytest.approx(math.pi)
    assert right.path(right.lane_of("1", 1, 10.0))[0, 0] == pytest.approx(100)
    left = network(tmp_path, road(rule=' rule="LHT"'))
    assert left.position("1", 10.0, 1)[3] == 0 and abs(left.position("1", 10.0, -1)[3]) == pytest.approx(math.pi)
    assert left.path(left.lane_of("1", 1, 10.0))[0, 0] == 0


def test_kinds_limits_neighbours_and_the_drivable_area(tmp_path):
    mph = '<speed sOffset="0" max="30" unit="mph"/>'
    free = '<speed sOffset="0" max="no limit"/>'
    right = lane(-1, more=mph) + lane(-2, type="bus", more=free) + lane(-3, "1.5", "biking") + lane(-4, "2", "sidewalk")
    kind = '<type s="0" type="town"><speed max="50" unit="km/h"/></type>'
    found = network(tmp_path, road(lanes=section(lane(1, type="none") + lane(2), right), more=kind))
    index = {id: found.lane_of("1", id, 50.0) for id in (-4, -3, -2, -1, 1, 2)}
    assert index[-4] is None and index[1] is None and found.lane_of("1", -9, 5.0) is None
    map = found.map(ORIGIN)
    limits = [float(map.lanes.speed_limit[index[i]]) for i in (-1, -2, 2)]
    assert limits == pytest.approx([30 * 0.44704, 50 / 3.6, 50 / 3.6], rel=1e-6)
    kinds = [LaneKind(int(map.lanes.center.kind[index[i]])) for i in (-1, -2, -3)]
    assert kinds == [LaneKind.VEHICLE, LaneKind.BUS, LaneKind.BICYCLE]
    assert {tuple(x) for x in map.lanes.neighbours.tolist()} == {
        (index[-1], index[-2], -1), (index[-2], index[-1], 1),
    }  # fmt: skip
    inside = RoadMap.of(map).inside(torch.tensor([[50.0, -8.4], [50.0, -9.0], [50.0, 1.0], [50.0, 5.0]]))
    assert inside.tolist() == [True, False, False, True]


def test_markings_by_type_colour_and_place(tmp_path):
    marks = '<roadMark sOffset="0" type="broken" color="standard"/><roadMark sOffset="40" type="solid" color="yellow"/>'
    centre = '<lane id="0" type="none"><roadMark sOffset="0" type="solid solid" color="yellow"/></lane>'
    found = network(tmp_path, road(lanes=section("", lane(-1, more=marks), centre=centre))).map(ORIGIN).markings
    lines = {Marking(int(found.kind[i])): found.line(i) for i in range(len(found))}
    assert set(lines) == {Marking.DASHED_WHITE, Marking.SOLID_YELLOW, Marking.DOUBLE_YELLOW}
    assert lines[Marking.DASHED_WHITE][[0, -1], :2].tolist() == [[0, -3.5], [40, -3.5]]
    assert lines[Marking.SOLID_YELLOW][[0, -1], :2].tolist() == [[40, -3.5], [100, -3.5]]


def pairs(found):
    return {tuple(found.lane_index[i] for i in pair) for pair in found.successors}


def link(**ends):
    return "".join(f'<{name} id="{id}"/>' for name, id in ends.items())


def test_lanes_go_on_through_sections_and_a_side_may_carry_on_alone(tmp_path):
    first = section(lane(1, link=link(successor=1)), lane(-1, link=link(successor=-2)))
    second = section("", lane(-1, "0") + lane(-2, link=link(predecessor=-1)), s=50.0, more=' singleSide="true"')
    found = network(tmp_path, road(lanes=first + second))
    assert pairs(found) == {(("1", 0, -1), ("1", 1, -2)), (("1", 1, 1), ("1", 0, 1))}
    assert found.position("1", 60.0, 1)[1] == pytest.approx(1.75)


def test_roads_that_meet_head_on_link_by_their_contact_points(tmp_path):
    """Road 2 runs back from x = 200: its left lane goes on from road 1's right one."""
    on = '<successor elementType="road" elementId="2" contactPoint="end"/>'
    back = '<successor elementType="road" elementId="1" contactPoint="end"/>'
    far = f'<geometry s="0" x="200" y="0" hdg="{math.pi}" length="100"><line/></geometry>'
    one = road("1", link=on, lanes=section(lane(1, link=link(successor=-1)), lane(-1, link=link(successor=1))))
    two = road("2", far, link=back, lanes=section(lane(1, link=link(successor=-1)), lane(-1, link=link(successor=1))))
    assert pairs(network(tmp_path, one, two)) == {(("1", 0, -1), ("2", 0, 1)), (("2", 0, -1), ("1", 0, 1))}


def crossing(tmp_path, signals="", on_way=""):
    into = '<successor elementType="junction" elementId="9"/>'
    ends = (
        '<predecessor elementType="road" elementId="1" contactPoint="end"/>'
        '<successor elementType="road" elementId="3" contactPoint="start"/>'
    )
    straight = '<geometry s="0" x="100" y="0" hdg="0" length="20"><line/></geometry>'
    beyond = '<geometry s="0" x="120" y="0" hdg="0" length="100"><line/></geometry>'
    turn = '<geometry s="0" x="100" y="0" hdg="0" length="20"><arc curvature="0.05"/></geometry>'
    way = section("", lane(-1, link=link(predecessor=-1, successor=-1)))
    junction = (
        '<junction id="9" name=""><connection id="0" incomingRoad="1" connectingRoad="2" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection><connection id="1" incomingRoad="1" connectingRoad="4" '
        'contactPoint="start"><laneLink from="-1" to="-1"/></connection></junction>'
    )
    return network(
        tmp_path, road("1", link=into, more=signals), road("2", straight, 20.0, way, ends, "9", more=on_way),
        road("4", turn, 20.0, section("", lane(-1, link=link(predecessor=-1))),
             '<predecessor elementType="road" elementId="1" contactPoint="end"/>', "9"),
        road("3", beyond, link='<predecessor elementType="junction" elementId="9"/>'), more=junction,
    )  # fmt: skip


def test_a_junction_ties_its_ways_to_the_roads(tmp_path):
    found = crossing(tmp_path)
    one, two, three, four = (("1", 0, -1), ("2", 0, -1), ("3", 0, -1), ("4", 0, -1))
    assert pairs(found) == {(one, two), (two, three), (one, four)} and not found.problems
    map = found.map(ORIGIN)
    assert [found.lane_index[i][0] for i in map.lanes.intersection.nonzero().flatten().tolist()] == ["2", "4"]


def test_a_direct_junction_splits_a_road(tmp_path):
    far = '<geometry s="0" x="100" y="0" hdg="0" length="50"><line/></geometry>'
    junction = (
        '<junction id="9" type="direct"><connection id="0" incomingRoad="1" linkedRoad="2" contactPoint="start">'
        '<laneLink from="-1" to="-1"/></connection></junction>'
    )
    one = road("1", link='<successor elementType="junction" elementId="9"/>')
    two = road("2", far, 50.0, link='<predecessor elementType="junction" elementId="9"/>')
    assert pairs(network(tmp_path, one, two, more=junction)) == {(("1", 0, -1), ("2", 0, -1))}


def test_seams_without_length_are_bridged(tmp_path):
    on = link(predecessor=-1, successor=-1)
    parts = [section("", lane(-1, link=on), s=s) for s in (0.0, 50.0, 50.001)]
    found = network(tmp_path, road(lanes="".join(parts)))
    assert pairs(found) == {(("1", 0, -1), ("1", 2, -1))}


def test_lights_rule_the_ways_into_the_junction_and_signs_the_lane(tmp_path):
    light = '<signal s="98" t="-5" id="7" type="1000001" subtype="-1" orientation="+" zOffset="4" height="1"/>'
    valid = '<validity fromLane="-1" toLane="-1"/>'
    stop = f'<signal s="97" t="-5" id="8" type="206" subtype="-1" orientation="+">{valid}</signal>'
    found = crossing(tmp_path, f"<signals>{light}{stop}</signals>")
    seen = found.signals(np.array([10.0, 0.0, 0.0]))
    ruled = {(x.id, x.kind, found.lane_index[x.lane][0]): x for x in seen}
    assert set(ruled) == {("7", StopKind.SIGNAL, "2"), ("7", StopKind.SIGNAL, "4"), ("8", StopKind.STOP_SIGN, "1")}
    lamp = ruled["7", StopKind.SIGNAL, "2"]
    assert lamp.stop_xy == pytest.approx([88, -1.75]) and lamp.head[:3] == pytest.approx([88, -5, 4.5])
    assert abs(lamp.head[3]) == pytest.approx(math.pi)  # shines back at who comes
    stops = found.map(ORIGIN).stops
    assert stops.kind.tolist() == [int(StopKind.STOP_SIGN)] and stops.xy[0].tolist() == [97, -1.75]


def test_a_reference_puts_a_light_over_the_way_it_rules(tmp_path):
    light = '<signals><signal s="98" t="-5" id="7" type="1000001" orientation="-"/></signals>'
    other = '<signals><signalReference s="1" t="0" id="7" orientation="+"/></signals>'
    found = crossing(tmp_path, light, other)
    assert {found.lane_index[x.lane][:1] + found.lane_index[x.lane][2:] for x in found.signals(ORIGIN)} == {
        ("1", 1), ("2", -1),
    }  # fmt: skip


def test_crosswalks_from_outlines_of_both_kinds(tmp_path):
    local = "".join(f'<cornerLocal u="{u}" v="{v}" z="0"/>' for u, v in ((-1, -2), (1, -2), (1, 2), (-1, 2)))
    along = "".join(f'<cornerRoad s="{s}" t="{t}" dz="0"/>' for s, t in ((60, -2), (62, -2), (62, 2)))
    objects = (
        f'<objects><object id="1" type="crosswalk" s="30" t="0.5" hdg="{math.pi / 2}"><outline>{local}</outline>'
        f'</object><object id="2" type="crosswalk" s="60" t="0"><outlines><outline>{along}</outline></outlines>'
        "</object></objects>"
    )
    rings = network(tmp_path, road(more=objects)).map(ORIGIN).crosswalks
    assert rings.line(0).tolist() == [
        pytest.approx(x, abs=1e-5) for x in [[32, -0.5], [32, 1.5], [28, 1.5], [28, -0.5]]
    ]
    assert rings.line(1).tolist() == [[60, -2], [62, -2], [62, 2]]


def test_places_on_earth(tmp_path):
    """The CN Tower in UTM 17, as Wikipedia's article on UTM has it; and the origin of a local projection."""
    utm = network(tmp_path, header="<geoReference><![CDATA[+proj=utm +zone=17 +datum=WGS84]]></geoReference>")
    assert utm.place_of(630084.0, 4833438.0) == pytest.approx((43.642567, -79.387139), abs=2e-5)
    assert utm.place is None  # no easting of UTM
    local = "<geoReference>+proj=tmerc +lat_0=48.1 +lon_0=11.5 +k=1 +x_0=100</geoReference><offset x='100' hdg='0'/>"
    assert network(tmp_path, header=local).place == pytest.approx((48.1, 11.5), abs=1e-8)
    assert network(tmp_path, header="<geoReference>+proj=laea</geoReference>").place is None


def test_a_namespace_and_another_order_of_records_do_not_matter(tmp_path):
    path = tmp_path / "named.xodr"
    path.write_text(
        f'<OpenDRIVE xmlns="http://code.asam.net/x"><header revMajor="1" revMinor="8"/>{road()}</OpenDRIVE>'
    )
    assert len(read_opendrive(path).lane_index) == 2


@pytest.mark.parametrize(
    "roads, says",
    [
        ([road(geometry=LINE.replace('x="0"', 'x="nan"'))], "no usable number"),
        ([road(length=-5.0)], "below zero"),
        ([road(length=1e12)], "no usable number"),
        ([road(length=2e6)], "at most"),
        ([road(geometry=LINE.replace('length="100"', 'length="0"'))], "no planView geometry"),
        ([road(geometry=curve("<spline/>", 100.0))], "none of line"),
        ([road(geometry=curve('<arc curvature="1e6"/>', 100.0))], "winds"),
        ([road(geometry=curve('<paramPoly3 aU="0"/>', 100.0))], "stands still"),
        ([road(), road()], "two roads have the id 1"),
        ([road(lanes=section("", lane(-1) + lane(-1)))], "two lanes of the same id"),
        ([road(lanes=section("", lane(-1, "9999")))], "reaches beyond"),
        ([road(lanes=section("", lane(-1, type="sidewalk")))], "has a lane that one may drive on"),
        ([road(lanes="<x/>")], "no lane section"),
        ([road(str(i), LINE.replace('"100"', '"1e6"'), 1e6) for i in range(40)], "points to be drawn"),
    ],
)
def test_what_cannot_be_a_road_is_told(tmp_path, roads, says):
    with pytest.raises(InputError, match=says) as told:
        network(tmp_path, *roads)
    assert "roads.xodr" in str(told.value)


def test_what_is_mended_or_left_out_is_told(tmp_path):
    lost = '<successor elementType="road" elementId="77" contactPoint="start"/>'
    halves = (f'<geometry s="{s}" x="{x}" y="0" hdg="0" length="50"><line/></geometry>' for s, x in ((0, 0), (50, 51)))
    jump = "".join(halves)
    shape = '<lateralProfile><shape s="0" t="0" a="0" b="0" c="0" d="0"/></lateralProfile>'
    loop = '<predecessor elementType="road" elementId="1" contactPoint="end"/>'
    round_ = road(link=loop, lanes=section("", lane(-1, link=link(predecessor=-1))))
    assert "road 77, which does not exist" in network(tmp_path, road(link=lost)).problems[0]
    assert "jumps by 1.00 m" in network(tmp_path, road(geometry=jump)).problems[0]
    assert "shape is not read" in network(tmp_path, road(more=shape)).problems[0]
    assert "more than 2 m apart" in network(tmp_path, round_).problems[0]


def test_places_that_do_not_exist_are_told(tmp_path):
    found = network(tmp_path)
    for ask, says in (("9", 1.0, -1), "no road '9'"), (("1", 200.0, -1), "no s"), (("1", 5.0, -3), "no lane -3"):
        with pytest.raises(InputError, match=says):
            found.position(*ask)
    assert found.lanes_at(50.0, 30.0) == []


def test_damaged_files_fail_in_plain_words(tmp_path):
    whole = MAPS[1].read_bytes() if MAPS else road().encode()
    dice, path = random.Random(3), tmp_path / "damaged.xodr"
    numbers = [b'"nan"', b'"-1"', b'"1e308"', b'"99999999"', b'""', b'"x"']
    for _ in range(60):
        data = bytearray(whole)
        if dice.random() < 0.2:
            data = data[: dice.randrange(len(data))]
        for _ in range(dice.randrange(1, 8)):
            at = dice.randrange(len(data)) if data else 0
            if dice.random() < 0.7 and data.count(b'="', at):
                begin = data.index(b'="', at) + 1
                data[begin : data.find(b'"', begin + 1) + 1] = dice.choice(numbers)
            elif data:
                data[at] = dice.randrange(256)
        path.write_bytes(bytes(data))
        try:
            found = read_opendrive(path)
            found.map(ORIGIN)
            found.signals(ORIGIN)
        except InputError as error:
            assert "damaged.xodr" in str(error)


@pytest.mark.skipif(not MAPS, reason="shared/oracles/openscenario is not there")
@pytest.mark.parametrize("path", MAPS, ids=lambda p: p.stem)
def test_real_maps_are_continuous_and_places_come_back(path):
    found = read_opendrive(path)
    lines = Lines(path)
    assert not found.problems and found.lane_index
    heading = lambda step: math.atan2(step[1], step[0])  # noqa: E731
    for a, b in found.successors:
        end, start = found.path(a), found.path(b)
        assert np.linalg.norm(end[-1] - start[0]) < 0.05
        turn = heading(end[-1] - end[-2]) - heading(start[1] - start[0])
        assert abs(math.remainder(turn, 2 * math.pi)) < math.radians(1)
    for road_id, number, id in found.lane_index:
        part = found.roads[road_id].sections[number]
        s = part.start + 0.37 * (part.end - part.start)
        x, y, z, yaw = found.position(road_id, s, id, 0.3)
        if part.lanes and not found.roads[road_id].junction:  # in a junction lanes lie over each other
            spot = lines.locate(x, y, 0.0, yaw)
            assert spot.line == (road_id, number, id) and abs(spot.turned) < 0.02
            assert (lines.road_of(spot)[1], abs(spot.offset)) == (
                pytest.approx(s, abs=0.01),
                pytest.approx(0.3, abs=1e-3),
            )
    map = found.map(ORIGIN)
    middles = torch.stack(
        [map.lanes.center.line(i)[len(map.lanes.center.line(i)) // 2, :2] for i in range(len(map.lanes))]
    )
    assert bool(RoadMap.of(map).inside(middles).all())


@pytest.mark.skipif(len(MAPS) < 3, reason="shared/oracles/openscenario is not there")
def test_the_crossing_of_fabriksgatan():
    """Four arms of a lane in and out, twelve ways through."""
    found = read_opendrive(next(p for p in MAPS if p.stem == "fabriksgatan"))
    assert len(found.lane_index) == 20 and len(found.successors) == 24
    assert int(found.map(ORIGIN).lanes.intersection.sum()) == 12
