import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.report import style
from drivesim.report.birdseye import Birdseye, draw, film
from drivesim.report.groundplan import TILE, GroundPlan, dashes
from drivesim.report.plan import plan_line, resample
from drivesim.report.video import decode
from drivesim.types import DT, Event, Kind, Light, Map, Plan, Polylines, Rollout, Scenario, Scene, Signals
from tests.pictures import drive, straight_plan, with_plans
from tests.worlds import rollout, scenario, straight_road, track


def is_near(picture, colour, tolerance=40):
    """Mask (h, w) of the pixels whose channels all lie within `tolerance` of a colour."""
    return (np.abs(picture.astype(int) - colour) <= tolerance).all(-1)


def pixel(view, world, ego=(0.0, 0.0)):
    """Row and column at which a view shows a world point while the ego is at `ego`."""
    scale = view.ground.scale
    corner = np.round(np.array([ego[0], -ego[1]]) * scale - view.size / 2)
    column, row = np.array([world[0], -world[1]]) * scale - corner
    return int(row), int(column)


def test_ego_is_in_the_middle_and_north_is_up():
    s = scenario(track((0, 0)), track((0, 20), kind=Kind.PEDESTRIAN, size=(2, 2, 2)), track((20, 0), kind=Kind.BUS))
    view = Birdseye(s, rollout(s))
    picture = view.draw(0)
    assert picture.shape == (480, 480, 3) and picture.dtype == np.uint8
    assert is_near(picture[235:245, 232:240], style.EGO).all()
    rows, columns = np.nonzero(is_near(picture, style.KINDS[Kind.PEDESTRIAN]))
    assert abs(columns.mean() - 240) < 2 and abs(rows.mean() - (240 - 20 * view.ground.scale)) < 2
    rows, columns = np.nonzero(is_near(picture, style.KINDS[Kind.BUS], 12))
    assert abs(rows.mean() - 240) < 3 and columns.mean() > 240 + 15 * view.ground.scale


def test_box_has_its_size_and_turns_with_yaw():
    s = scenario(track((0, 0)), track((15, 0), yaw=np.pi / 2, kind=Kind.TRUCK, size=(10, 3, 3)))
    view = Birdseye(s, rollout(s))
    truck = is_near(view.draw(0), style.KINDS[Kind.TRUCK], 25)
    truck[:, : pixel(view, (12, 0))[1]] = False
    rows, columns = np.nonzero(truck)
    assert abs((np.ptp(rows) + 1) / view.ground.scale - 10) < 0.7
    assert abs((np.ptp(columns) + 1) / view.ground.scale - 3) < 0.7


def test_drivable_area_leaves_holes_out():
    outer = torch.tensor([[-30.0, -30], [30, -30], [30, 30], [-30, 30]])
    hole = torch.tensor([[10.0, 10], [20, 10], [20, 20], [10, 20]])
    empty = straight_road(0)
    road = Map(empty.lanes, Polylines.of([outer, hole]), empty.crosswalks, empty.markings, empty.ground)
    s = scenario(track((0, 0)), map=road, route=torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    view = Birdseye(s, rollout(s))
    picture = view.draw(0)
    assert tuple(picture[pixel(view, (15, 15))]) == style.LAND
    assert tuple(picture[pixel(view, (25, 15))]) == style.ROAD
    assert tuple(picture[pixel(view, (-15, -15))]) == style.ROAD
    assert tuple(picture[pixel(view, (-15, 33))]) == style.LAND


def test_tiles_join_without_a_seam():
    s, _ = drive()
    ground = GroundPlan(s.scene, 6.0)
    whole = ground.crop(-TILE - 40, -TILE - 40, 2 * TILE, 2 * TILE)
    part = ground.crop(-30, -20, 100, 90)
    assert np.array_equal(whole[TILE + 20 : TILE + 110, TILE + 10 : TILE + 110], part)


def test_signals_show_their_state_at_the_stop_line():
    lane, head = torch.tensor([0]), torch.zeros(1, 4)
    states = torch.tensor([[int(Light.RED)], [int(Light.GREEN)]])
    signals = Signals(lane, torch.tensor([[20.0, 0.0]]), head, states)
    s = scenario(track((0, 0)), signals=signals)
    view = Birdseye(s, rollout(s))
    place = pixel(view, (20, 1.2))
    assert is_near(view.draw(0)[place], style.LIGHTS[Light.RED])
    assert is_near(view.draw(1)[place], style.LIGHTS[Light.GREEN])
    assert is_near(view.draw(2)[place], style.LIGHTS[Light.UNKNOWN])


def test_plan_lies_ahead_and_only_once_there_is_one():
    s, r = drive(steps=15, start=5)
    without = Rollout(**{**vars(r), "plans": (), "plan_steps": ()})
    blank, view = Birdseye(s, without), Birdseye(s, r)
    blank.span, blank.ground = view.span, view.ground
    assert np.array_equal(view.draw(4), blank.draw(4))
    rows, columns = np.nonzero((view.draw(5) != blank.draw(5)).any(-1))
    assert columns.min() >= 240 - 3 * view.ground.scale  # the rear axle is 1.5 m behind the middle
    assert abs(columns.max() - (240 + (40 - 1.5) * view.ground.scale)) < 4
    assert np.ptp(rows) / view.ground.scale < r.vehicle.width + 1.5


def test_plan_line_is_what_is_left_of_the_plan():
    _, r = drive(steps=15, start=5)
    line, time = plan_line(r, 8)  # made at step 5, x = 5 m: now, 0.3 s later, it wants the axle 3 m further on
    axle = 10.0 * 5 * DT - r.vehicle.rear_axle_to_center
    assert np.allclose(line[0], [axle + 3, 0], atol=1e-4) and time[0] == 0
    assert np.allclose(line[-1], [axle + 40, 0], atol=1e-4) and np.isclose(time[-1], 3.7)
    assert plan_line(r, 4) is None
    short = with_plans(r, straight_plan(10.0, horizon=0.5), every=100)
    assert plan_line(short, 9) is not None and plan_line(short, 10) is None


def test_resample_keeps_ends_and_spacing_and_survives_standing_still():
    line, time = np.array([[0.0, 0], [0, 0], [3, 4]]), np.array([0.0, 0.5, 1.0])
    xy, at = resample(line, time, 0.5)
    assert np.allclose(xy[[0, -1]], [[0, 0], [3, 4]]) and len(xy) == 11
    assert np.allclose(np.hypot(*np.diff(xy, axis=0).T), 0.5)
    s, r = drive()
    still = Plan(torch.zeros(3, 3), torch.tensor([1.0, 2.0, 3.0]))
    assert draw(s, with_plans(r, still, 5), 6).shape == (480, 480, 3)


def test_dashes():
    pieces = dashes(np.array([[0.0, 0], [10, 0]]), 3, 2)
    assert [p[[0, -1], 0].tolist() for p in pieces] == [[0, 3], [5, 8]]


def test_logged_ego_is_a_ghost_once_left():
    s = scenario(track((0, 0), speed=10))
    slower = rollout(s, track((0, 0), speed=5))
    same = rollout(s)
    ghost = is_near(draw(s, slower, 20), style.LOGGED, 30)  # log at 20 m, ego at 10 m
    ghost[:60] = ghost[440:] = False  # the writing
    scale, front = 480 / Birdseye(s, slower).span, slower.vehicle.length / 2
    assert abs(np.nonzero(ghost)[1].max() - (240 + (10 + front) * scale)) < 3
    there = is_near(draw(s, same, 20), style.LOGGED, 30)[60:440]
    assert np.nonzero(there)[1].max() < 240 + (front + 0.5) * scale


def test_events_are_ringed_while_they_happen():
    s = scenario(track((0, 0)))
    r = rollout(s)
    event = Event("collision", 20, (0, 1), (8.0, 6.0))
    calm = draw(s, r, 20)
    changed = (draw(s, r, 20, events=[event]) != calm).any(-1)
    assert changed.any() and np.array_equal(draw(s, r, 5, events=[event]), draw(s, r, 5))


def test_absent_agents_are_not_drawn():
    s = scenario(track((0, 0)), track((10, 0), valid=slice(0, 5)))
    assert is_near(draw(s, rollout(s), 2), style.KINDS[Kind.CAR], 12).sum() > 100
    assert is_near(draw(s, rollout(s), 8), style.KINDS[Kind.CAR], 12).sum() == 0


def test_film_has_a_picture_per_step_and_is_the_same_twice(tmp_path):
    s, r = drive(steps=6)
    video = film(s, r, tmp_path / "film.mp4", size=201)
    assert (tmp_path / "film.mp4").read_bytes() == video == film(s, r, size=201)
    assert decode(video).shape == (6, 202, 202, 3)


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    s, r = drive(steps=3)
    with pytest.raises(InputError, match="file/film.mp4"):
        film(s, r, tmp_path / "file" / "film.mp4", steps=[0])


def test_moved_world_gives_the_same_picture_but_for_rounding():
    s, r = drive()
    scene = s.scene
    bare = Scenario(**{**vars(s), "scene": Scene(scene.map, scene.scenery, scene.signals, scene.briefing)})
    assert np.array_equal(draw(s, r, 7), draw(bare, r, 7))
