"""Tables of the size of nuScenes v1.0-trainval, made up: 850 scenes, 2.67 M sensor rows and ego poses, 1.17 M boxes.

The rows are written as the release writes them (a line each for every value), 2.6 GB in all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
RADARS = ("RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT")
RATES = {**dict.fromkeys(CAMERAS, 12), **dict.fromkeys(RADARS, 13), "LIDAR_TOP": 20}  # [Hz]
FRAMES, THINGS = 40, 76  # key frames and road users of a scene
ZERO = 1_532_402_927_647_951  # [us]

_DATA = (
    '{{\n"token": "{token}",\n"sample_token": "{sample}",\n"ego_pose_token": "{token}",\n'
    '"calibrated_sensor_token": "{setup}",\n"timestamp": {time},\n"fileformat": "{kind}",\n"is_key_frame": {key},\n'
    '"height": {height},\n"width": {width},\n"filename": "{folder}/{channel}/{log}__{channel}__{time}.{kind}",\n'
    '"prev": "{prev}",\n"next": "{next}"\n}}'
)
_POSE = (
    '{{\n"token": "{token}",\n"timestamp": {time},\n"rotation": [\n{qw},\n0.0,\n0.0,\n{qz}\n],\n'
    '"translation": [\n{x},\n{y},\n0.0\n]\n}}'
)
_BOX = (
    '{{\n"token": "{token}",\n"sample_token": "{sample}",\n"instance_token": "{thing}",\n"visibility_token": "4",\n'
    '"attribute_tokens": [\n"{attribute}"\n],\n"translation": [\n{x},\n{y},\n0.9\n],\n'
    '"size": [\n1.95,\n4.6,\n1.73\n],\n"rotation": [\n{qw},\n0.0,\n0.0,\n{qz}\n],\n'
    '"prev": "",\n"next": "",\n"num_lidar_pts": 12,\n"num_radar_pts": 1\n}}'
)


def token(table: int, n: int) -> str:
    """32 digits that look drawn at random; no two are alike, for the factor is odd."""
    return f"{((table << 40) + n) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}"


def write(root: Path, scenes: int = 850) -> Path:
    """A folder v1.0-trainval below `root`; a map picture that shows nothing, no photos or sweeps."""
    folder = root / "v1.0-trainval"
    folder.mkdir(parents=True)
    _small(folder, scenes)
    _stream(folder / "sample.json", (_sample(s, k) for s in range(scenes) for k in range(FRAMES)))
    _stream(folder / "sample_data.json", _data(scenes))
    _stream(folder / "ego_pose.json", _poses(scenes))
    _stream(folder / "sample_annotation.json", _boxes(scenes))
    return folder


def _stream(path: Path, rows: Iterable[str]) -> None:
    with path.open("w", buffering=1 << 22) as file:
        file.write("[\n")
        for i, row in enumerate(rows):
            file.write(",\n" * bool(i) + row)
        file.write("\n]")


def _dump(folder: Path, name: str, rows: list[dict]) -> None:
    (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))


def _sample(scene: int, k: int) -> str:
    n = scene * FRAMES + k
    ends = {"prev": token(0, n - 1) if k else "", "next": token(0, n + 1) if k + 1 < FRAMES else ""}
    row = {"token": token(0, n), "timestamp": _time(scene, k * 0.5), **ends, "scene_token": token(4, scene)}
    return json.dumps(row, indent=0)


def _time(scene: int, seconds: float) -> int:
    return ZERO + scene * 60_000_000 + round(seconds * 1e6)


def _recorded(scenes: int):
    """Number, scene, channel, time since the scene's start [s] of all sensor rows."""
    n, last = 0, (FRAMES - 1) * 0.5
    for scene in range(scenes):
        for channel, rate in RATES.items():
            count = int(last * rate) + 1
            for k in range(count):
                yield n, scene, channel, k / rate, k == 0, k == count - 1
                n += 1


def _data(scenes: int):
    for n, scene, channel, seconds, first, final in _recorded(scenes):
        key = abs(seconds * 2 - round(seconds * 2)) < 1e-9
        camera = channel.startswith("CAM")
        yield _DATA.format(
            token=token(1, n), sample=token(0, scene * FRAMES + min(math.ceil(seconds * 2 - 1e-9), FRAMES - 1)),
            setup=token(6, scene * len(RATES) + list(RATES).index(channel)), time=_time(scene, seconds),
            kind="jpg" if camera else "pcd.bin" if channel == "LIDAR_TOP" else "pcd", key=str(key).lower(),
            height=900 * camera, width=1600 * camera, folder="samples" if key else "sweeps", channel=channel,
            log="n015-2018-07-24-11-22-45+0800", prev="" if first else token(1, n - 1),
            next="" if final else token(1, n + 1),
        )  # fmt: skip


def _poses(scenes: int):
    for n, scene, _, seconds, _, _ in _recorded(scenes):
        half = (scene * 0.37 + 0.01 * seconds) / 2
        x, y = 400 + scene + 7.123456789 * seconds * math.cos(2 * half), 900 + 7.1 * seconds * math.sin(2 * half)
        yield _POSE.format(
            token=token(1, n), time=_time(scene, seconds), qw=math.cos(half), qz=math.sin(half), x=x, y=y
        )


def _boxes(scenes: int):
    n = 0
    for scene in range(scenes):
        for thing in range(THINGS):
            seen = range(FRAMES) if thing % 4 == 0 else range(thing % 20, thing % 20 + 11)
            for k in seen:
                half, x, y = 0.05 * thing, 380.0 + scene + thing + 0.31 * k, 880.0 + 1.7 * thing
                yield _BOX.format(
                    token=token(2, n), sample=token(0, scene * FRAMES + k), thing=token(3, scene * THINGS + thing),
                    attribute=token(9, 0), x=round(x, 3), y=round(y, 3), qw=math.cos(half), qz=math.sin(half),
                )  # fmt: skip
                n += 1


def _small(folder: Path, scenes: int) -> None:
    channels = list(RATES)
    kinds = {"CAM": "camera", "RAD": "radar", "LID": "lidar"}
    lens = [[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]]
    _dump(folder, "sensor", [{"token": token(5, i), "channel": c, "modality": kinds[c[:3]]}
                             for i, c in enumerate(channels)])  # fmt: skip
    _dump(folder, "calibrated_sensor", [
        {"token": token(6, s * len(channels) + i), "sensor_token": token(5, i), "translation": [1.7, 0.0, 1.5],
         "rotation": [0.5, -0.5, 0.5, -0.5], "camera_intrinsic": lens if c.startswith("CAM") else []}
        for s in range(scenes) for i, c in enumerate(channels)])  # fmt: skip
    _dump(folder, "scene", [
        {"token": token(4, s), "log_token": token(7, 0), "nbr_samples": FRAMES, "name": f"scene-{s:04d}",
         "first_sample_token": token(0, s * FRAMES), "last_sample_token": token(0, s * FRAMES + FRAMES - 1),
         "description": ""} for s in range(scenes)])  # fmt: skip
    per = [FRAMES if t % 4 == 0 else 11 for t in range(THINGS)]
    starts = [sum(per) * s + sum(per[:t]) for s in range(scenes) for t in range(THINGS)]
    _dump(folder, "instance", [
        {"token": token(3, i), "category_token": token(8, 0), "nbr_annotations": per[i % THINGS],
         "first_annotation_token": token(2, start), "last_annotation_token": token(2, start + per[i % THINGS] - 1)}
        for i, start in enumerate(starts)])  # fmt: skip
    _dump(folder, "category", [{"token": token(8, 0), "name": "vehicle.car", "description": ""}])
    _dump(folder, "attribute", [{"token": token(9, 0), "name": "vehicle.moving", "description": ""}])
    _dump(folder, "visibility", [{"token": "4", "level": "v80-100", "description": ""}])
    _dump(folder, "log", [{"token": token(7, 0), "logfile": "n015", "vehicle": "n015", "date_captured": "2018-07-24",
                           "location": "singapore-onenorth"}])  # fmt: skip
    (folder.parent / "maps").mkdir()
    Image.new("L", (20, 20), 255).save(folder.parent / "maps/made-up.png")  # the devkit does not start without one
    _dump(folder, "map", [{"token": token(10, 0), "category": "semantic_prior", "log_tokens": [token(7, 0)],
                           "filename": "maps/made-up.png"}])  # fmt: skip
