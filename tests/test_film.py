from dataclasses import replace

import numpy as np
import pytest
import torch

from drivesim.errors import InputError
from drivesim.geometry import invert
from drivesim.report import film
from drivesim.report.film import BAR, compare, mosaic, mosaic_frames, on_log_steps
from drivesim.report.mosaic import GAP, arrange, camera_yaw
from drivesim.report.video import ahead, decode, encode
from drivesim.rigs import rig
from drivesim.types import RecordedImage, Scenario, SensorLog
from tests.pictures import GREY, FlatGround, drive, straight_plan, with_plans
from tests.worlds import rollout, scenario, track


def names(rig_name):
    rows = {}
    for cell in arrange(rig(rig_name)).cells:
        rows.setdefault(cell.y // 100, []).append((cell.x, cell.camera.name))
    return [[name for _, name in sorted(row)] for row in rows.values()]


def test_cameras_lie_as_seen_from_the_seat():
    assert names("nuscenes") == [
        ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"],
        ["CAM_BACK_LEFT", "CAM_BACK", "CAM_BACK_RIGHT"],
    ]
    assert names("waymo") == [["FRONT_LEFT", "FRONT", "FRONT_RIGHT"], ["SIDE_LEFT", "SIDE_RIGHT"]]
    assert names("pandaset") == [
        ["front_left_camera", "front_camera", "front_right_camera"],
        ["left_camera", "back_camera", "right_camera"],
    ]
    assert len(names("argoverse2")[0]) == 5 and len(names("argoverse2")[1]) == 4


@pytest.mark.parametrize("name", ["nuscenes", "waymo", "argoverse2", "pandaset"])
def test_cells_neither_overlap_nor_leave_the_mosaic(name):
    layout = arrange(rig(name))
    taken = np.zeros((layout.height, layout.width), int)
    for cell in layout.cells:
        area = taken[cell.y : cell.y + cell.camera.height, cell.x : cell.x + cell.camera.width]
        assert area.shape == (cell.camera.height, cell.camera.width)
        area += 1
    assert taken.max() == 1 and layout.width <= 1240


def test_portrait_camera_keeps_its_shape_and_one_camera_is_fine():
    front, *rest = rig("nuscenes", 400, 224)
    portrait = replace(front.resized(300, 400), name="tall")
    cell = next(c for c in arrange([portrait, *rest]).cells if c.camera.name == "tall")
    assert cell.camera.height == 224 and cell.camera.width == 168
    alone = arrange([front])
    assert (alone.width, alone.height) == (400, 224) and alone.cells[0].camera.height == 224


def test_mosaic_is_a_film_of_every_step_the_same_twice(tmp_path):
    s, r = drive(steps=6, start=2)
    video = mosaic(s, r, FlatGround(), tmp_path / "a.mp4", width=100)
    assert (tmp_path / "a.mp4").read_bytes() == video == mosaic(s, r, FlatGround(), width=100)
    pictures = decode(video)
    assert pictures.shape == (6, BAR + 2 * 56 + GAP, 3 * 100 + 2 * GAP, 3)


def ribbon_mask(s, r, step, generator=None, **kwargs):
    """What the plan changed: mask (h, w) of the front camera's picture."""
    bare = with_plans(r, straight_plan(0.0), 1)
    pictures = [next(mosaic_frames(s, x, generator or FlatGround(), steps=[step], **kwargs)) for x in (r, bare)]
    layout = arrange(kwargs.get("cameras", s.scene.briefing.cameras))
    front = min(layout.cells, key=lambda c: abs(camera_yaw(c.camera)))
    view = (
        slice(BAR + front.y, BAR + front.y + front.camera.height),
        slice(front.x, front.x + front.camera.width),
    )
    changed = (pictures[0] != pictures[1]).any(-1)
    return changed[view], changed, front.camera


def test_plan_lies_where_the_ground_projects():
    """10 m ahead of the axle on the ground the ribbon is as wide as the ego, by the pinhole's own arithmetic."""
    s, r = drive(steps=6, start=2, cameras=("CAM_FRONT", "CAM_BACK"))
    front, _, camera = ribbon_mask(s, r, 2)
    ahead, height = 10.0 - float(camera.ego_from_camera[0, 3]), float(camera.ego_from_camera[2, 3])
    pitch = -np.arcsin(float(camera.ego_from_camera[2, 2]))  # of the optical axis, down positive
    fy, cy = float(camera.intrinsics[1, 1]), float(camera.intrinsics[1, 2])
    row = int(cy + fy * np.tan(np.arctan(height / ahead) - pitch))
    columns = np.flatnonzero(front[row])
    distance = height / np.tan(pitch + np.arctan((row + 0.5 - cy) / fy))
    assert abs(distance - ahead) < 0.3
    assert abs(len(columns) - float(camera.intrinsics[0, 0]) * r.vehicle.width / distance) < 2.5
    assert not front[: round(cy - fy * np.tan(pitch))].any()  # nothing above the horizon


def test_plan_is_not_seen_behind_and_not_before_the_planner_drives():
    s, r = drive(steps=6, start=2, cameras=("CAM_FRONT", "CAM_BACK"))
    _, changed, _ = ribbon_mask(s, r, 2)
    layout = arrange(s.scene.briefing.cameras)
    back = next(c for c in layout.cells if c.camera.name == "CAM_BACK")
    assert not changed[BAR + back.y : BAR + back.y + back.camera.height, back.x : back.x + back.camera.width].any()
    assert not ribbon_mask(s, r, 1)[1].any()


def test_plan_hides_behind_what_is_nearer():
    s, r = drive(steps=6, start=2, cameras=("CAM_FRONT", "CAM_BACK"))
    free = ribbon_mask(s, r, 2)[0]
    wall = FlatGround(wall=20.0)
    hidden, _, camera = ribbon_mask(s, r, 2, wall)
    frame = wall.render(film.state_at(s, r, 2), r.vehicle, [camera])[0][camera.name]
    blocked = frame.semantics.numpy() == 6
    assert free[blocked].sum() > 50, "without the wall the plan reaches there"
    assert hidden[blocked].sum() == 0
    assert (hidden & ~blocked).sum() > 0.95 * (free & ~blocked).sum()


def test_plan_behind_a_turned_camera_leaves_no_trace():
    """A plan that runs below and behind the lens is cut there instead of being mirrored into the picture."""
    s, r = drive(steps=6, start=2, cameras=("CAM_FRONT", "CAM_BACK"))
    backwards = with_plans(r, straight_plan(-6.0), 1)
    front, changed, _ = ribbon_mask(s, backwards, 2)
    assert not front.any() and changed.any()


def test_no_cameras_is_an_input_error():
    s = scenario(track((0, 0)))
    with pytest.raises(InputError, match="no cameras"):
        mosaic(s, rollout(s), FlatGround())


def test_encode_rejects_nothing_and_keeps_colours():
    with pytest.raises(ValueError):
        encode([])
    flat = np.broadcast_to(np.array([200, 60, 40], np.uint8), (35, 61, 3))
    picture = decode(encode([flat] * 3))
    assert picture.shape == (3, 36, 62, 3)
    assert np.abs(picture.astype(int) - [200, 60, 40]).max() <= 4


def test_ahead_keeps_order_and_tells_of_errors():
    assert list(ahead(iter(range(5)))) == [0, 1, 2, 3, 4] and list(ahead([])) == []

    def failing():
        yield 1
        raise KeyError("lost")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(KeyError, match="lost"):
        next(items)


def recorded(s: Scenario, r, broken: int | None = None) -> Scenario:
    """The same scenario with a photo of every camera at every step: the number of the step as brightness."""

    def photo(camera, step):
        def read():
            if step == broken:
                raise InputError(f"image {camera.name}/{step:02d}.jpg is cut short")
            return torch.full((3, camera.height, camera.width), 10 * step, dtype=torch.uint8)

        pose = r.vehicle.world_from_ego(s.log[step, 0]).double() @ camera.ego_from_camera
        return RecordedImage(camera, step * 0.1 + 0.02, pose, read)

    cameras = s.scene.briefing.cameras
    images = {c.name: tuple(photo(c, k) for k in range(s.steps)) for c in cameras}
    return Scenario(**{**vars(s), "sensors": SensorLog(images)})


def test_on_log_steps_end_where_the_ego_leaves_the_log():
    s = scenario(track((0, 0), speed=10, steps=20))
    assert on_log_steps(s, rollout(s)) == list(range(20))
    r = rollout(s, track((0, 0), speed=9.55, steps=20))  # falls 0.045 m back in each step
    assert on_log_steps(s, r) == [0, 1, 2]
    turned = rollout(s, track((0, 0), yaw=np.radians(1.5), speed=10, steps=20))
    assert on_log_steps(s, turned) == []


def test_recorded_lies_above_generated():
    s, r = drive(steps=6)
    found = compare(recorded(s, r), r, FlatGround(), width=100)
    assert found.steps == (0, 1, 2, 3, 4, 5) and found.missing == ()
    pictures = decode(found.video)
    layout = arrange(s.scene.briefing.cameras, 100)
    assert pictures.shape[1:3] == (2 * layout.height + GAP, layout.width)
    back = next(c for c in layout.cells if c.camera.name == "CAM_BACK")
    y, x = back.y + back.camera.height - 8, back.x + 50
    assert abs(int(pictures[4, y, x, 0]) - 40) < 6
    assert abs(int(pictures[4, layout.height + GAP + y, x, 0]) - GREY) < 6


def test_generated_picture_is_taken_from_the_photos_own_pose():
    s, r = drive(steps=6)
    s = recorded(s, r)
    camera = s.scene.briefing.cameras[0]
    photo = replace(s.sensors.images[camera.name][0])
    moved = photo.world_from_camera.clone()
    moved[0, 3] += 0.7
    ego_from_world = invert(r.vehicle.world_from_ego(s.log[0, 0]).double())
    posed = film._posed(camera, replace(photo, world_from_camera=moved), ego_from_world)
    shift = posed.ego_from_camera - camera.ego_from_camera
    assert abs(float(shift[0, 3]) - 0.7) < 1e-5
    shift[0, 3] = 0
    assert float(shift.abs().max()) < 1e-5


def test_photo_that_cannot_be_read_is_told_and_fails_nothing():
    s, r = drive(steps=6)
    found = compare(recorded(s, r, broken=3), r, FlatGround(), width=100)
    assert len(found.steps) == 6
    assert any("CAM_FRONT/03.jpg is cut short" in line for line in found.missing) and len(found.missing) == 6


def test_no_photos_no_comparison():
    s, r = drive(steps=6)
    assert compare(s, r, FlatGround()) is None
    none = Scenario(**{**vars(s), "sensors": SensorLog({c.name: () for c in s.scene.briefing.cameras})})
    assert compare(none, r, FlatGround()) is None


def test_long_comparison_is_thinned_evenly():
    s, r = drive(steps=13)
    found = compare(recorded(s, r), r, FlatGround(), width=60, limit=5)
    assert found.steps == (0, 3, 6, 9, 12)
