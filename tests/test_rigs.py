"""Camera rigs: known directions, valid rotations, fields of view."""

import json
import math
from pathlib import Path

import pytest
import torch

from drivesim.errors import InputError
from drivesim.rigs import rig

SHARED = Path(__file__).parents[2] / "shared"
SIZES = {"nuscenes": 6, "waymo": 5, "argoverse2": 9, "pandaset": 6}
NATIVE = {
    "nuscenes": (1600, 900),
    "waymo": (1920, 1280),
    "argoverse2": (2048, 1550),
    "pandaset": (1920, 1080),
}


@pytest.mark.parametrize("name", SIZES)
def test_rig_is_a_set_of_rigid_upright_cameras(name):
    cameras = rig(name)
    assert len(cameras) == len({c.name for c in cameras}) == SIZES[name]
    for camera in cameras:
        assert (camera.width, camera.height) == (400, 224)
        rotation = camera.ego_from_camera[:3, :3]
        assert torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
        assert torch.det(rotation) > 0
        assert rotation[2, 1] < -0.99, "image down is ego down"
        assert 1.3 < camera.ego_from_camera[2, 3] < 2.3, "metres above the ground"


@pytest.mark.parametrize(
    "name, camera, yaw",
    [
        ("nuscenes", "CAM_FRONT", 0),
        ("nuscenes", "CAM_BACK", 180),
        ("nuscenes", "CAM_FRONT_LEFT", 55),
        ("nuscenes", "CAM_BACK_RIGHT", -112),
        ("waymo", "FRONT", 0),
        ("waymo", "SIDE_RIGHT", -90),
        ("argoverse2", "ring_front_center", 0),
        ("argoverse2", "ring_side_left", 99),
        ("pandaset", "front_camera", 0),
        ("pandaset", "left_camera", 92),
        ("pandaset", "back_camera", -178),
    ],
)
def test_cameras_look_where_their_names_say(name, camera, yaw):
    view = {c.name: c for c in rig(name)}[camera]
    x, y = view.ego_from_camera[:2, 2].tolist()
    assert math.degrees(math.atan2(y, x)) == pytest.approx(yaw, abs=2)


@pytest.mark.parametrize("name", SIZES)
def test_resizing_keeps_the_fields_of_view(name):
    native, small = rig(name, *NATIVE[name]), rig(name, 400, 224)
    for a, b in zip(native, small, strict=True):
        assert b.width / b.intrinsics[0, 0] == pytest.approx(float(a.width / a.intrinsics[0, 0]))
        assert b.height / b.intrinsics[1, 1] == pytest.approx(float(a.height / a.intrinsics[1, 1]))
        assert b.intrinsics[0, 2] / b.width == pytest.approx(float(a.intrinsics[0, 2] / a.width))


def test_the_waymo_front_camera_sees_the_documented_angle():
    front = rig("waymo")[0]
    assert 2 * math.degrees(math.atan(front.width / 2 / float(front.intrinsics[0, 0]))) == pytest.approx(50.4, abs=0.1)


def test_unknown_rig_and_empty_picture_are_refused_with_the_choices():
    with pytest.raises(InputError, match="'kitti'.*argoverse2, nuscenes, pandaset, waymo"):
        rig("kitti")
    with pytest.raises(InputError, match="400x0"):
        rig("nuscenes", 400, 0)


def test_the_nuscenes_preset_is_a_calibration_of_the_data_set():
    table = SHARED / "data/nuscenes/v1.0-mini/calibrated_sensor.json"
    if not table.is_file():
        pytest.skip("needs the nuScenes tables in shared/data/nuscenes")
    rows = [row for row in json.loads(table.read_text()) if row["camera_intrinsic"]]
    for camera in rig("nuscenes", 1600, 900):
        position = camera.ego_from_camera[:3, 3]
        row = min(rows, key=lambda r: float((position - torch.tensor(r["translation"])).norm()))
        assert torch.allclose(position, torch.tensor(row["translation"], dtype=torch.float64), atol=1e-3)
        assert camera.intrinsics[0, 0] == pytest.approx(row["camera_intrinsic"][0][0], abs=0.1)
