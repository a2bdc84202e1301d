"""From a release's tables to columns, sorted so that the rows of a scene lie together, all links resolved.

Built once (see `cache`). What is wrong in the rows of a scene is found here and told when that scene is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from . import tables
from .links import Column, Faults, at, find, floats, is_pose, unique
from .names import check_names
from .tables import read_pieces, read_table

Columns = dict[str, np.ndarray]


class SceneEntry(msgspec.Struct):
    """One scene: what is said of it, and which rows are its own."""

    name: str
    location: str = ""
    picture: str = ""  # the map picture's path below the release's folder
    samples: tuple[int, int] = (0, 0)
    data: tuple[int, int] = (0, 0)
    boxes: tuple[int, int] = (0, 0)
    fault: str = ""  # why it cannot be loaded
    problems: list[str] = []
    digest: str = ""  # of its rows


class Contents(msgspec.Struct):
    """What the columns do not say."""

    scenes: list[SceneEntry]
    channels: list[str]
    categories: list[str]
    boxes: bool  # whether the release has annotations at all


def build(folder: Path) -> tuple[Contents, Columns]:
    """All columns and what they mean. Raises InputError for tables that cannot be read."""
    scenes = read_table(folder, "scene", tables.Scene)
    check_names(folder / "scene.json", [s.name for s in scenes])
    columns: Columns = {}
    builder = _Builder(folder, scenes, columns)
    channels = builder.calibrations()
    categories = builder.instances()
    owners = {"samples": builder.sample_scene, "data": builder.sample_data(), "boxes": builder.boxes()}
    entries = _entries(folder, scenes, builder.faults)
    for name, owner in owners.items():
        bounds = np.searchsorted(owner, np.arange(len(scenes) + 1)).tolist()
        for i, entry in enumerate(entries):
            setattr(entry, name, (bounds[i], bounds[i + 1]))
    for row, entry in zip(scenes, entries, strict=True):
        there = entry.samples[1] - entry.samples[0]
        if row.nbr_samples and row.nbr_samples != there:
            entry.problems.append(f"scene.json counts {row.nbr_samples} key frames, sample.json holds {there}")
        entry.digest = digest(entry, columns)
    return Contents(entries, channels, categories, bool(len(columns["box_pose"]))), columns


def digest(entry: SceneEntry, columns: Columns) -> str:
    """Of all rows of a scene, but not of where among the others they lie."""
    total = hashlib.blake2b(digest_size=16)
    (s0, s1), (d0, d1), (b0, b1) = entry.samples, entry.data, entry.boxes
    said = (entry.name, entry.location, entry.picture, entry.fault, entry.problems)
    total.update(msgspec.json.encode(said))
    used, which = np.unique(columns["data_calibration"][d0:d1], return_inverse=True)
    used = used[used >= 0]
    things, whose = np.unique(columns["box_instance"][b0:b1], return_inverse=True)
    things = things[things >= 0]
    names = columns["file_offset"][d0 : d1 + 1]
    parts = [
        columns["sample_time"][s0:s1], which, columns["calibration"][used], columns["calibration_channel"][used],
        *(columns[n][d0:d1] for n in ("data_time", "data_key", "data_size", "data_pose")),
        names - names[0], columns["file_name"][names[0] : names[-1]],
        columns["box_sample"][b0:b1] - s0, whose, columns["instance_token"][things],
        columns["instance_category"][things], *(columns[n][b0:b1] for n in ("box_pose", "box_size")),
    ]  # fmt: skip
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes() + b"\0")
    return total.hexdigest()


def _entries(folder: Path, scenes: Sequence[tables.Scene], faults: Faults) -> list[SceneEntry]:
    logs = {log.token: log for log in read_table(folder, "log", tables.Log)}
    pictures = {t: row.filename for row in read_table(folder, "map", tables.MapPicture) for t in row.log_tokens}
    entries = []
    for i, scene in enumerate(scenes):
        log, fault = logs.get(scene.log_token), faults.fatal.get(i, "")
        if log is None:
            fault = f"scene.json: row {scene.token} refers to log {scene.log_token}, which is not there"
        entry = SceneEntry(scene.name, log.location if log else "", pictures.get(scene.log_token, ""), fault=fault)
        entry.problems = faults.problems.get(i, [])
        entries.append(entry)
    return entries


class _Builder:
    """Fills `columns` table by table."""

    def __init__(self, folder: Path, scenes: Sequence[tables.Scene], columns: Columns) -> None:
        self.folder, self.columns, self.faults = folder, columns, Faults()
        rows = read_table(folder, "sample", tables.Sample)
        scene = find([r.scene_token for r in rows], unique(folder, "scene", [s.token for s in scenes]))
        time = np.array([r.timestamp for r in rows], dtype=np.int64)
        order = np.lexsort((time, scene))
        order = order[scene[order] >= 0]
        columns["sample_time"], self.sample_scene = time[order], scene[order]
        self.samples = unique(folder, "sample", [rows[i].token for i in order])

    def calibrations(self) -> list[str]:
        """Position (3), quaternion (4), and intrinsics (9), NaN where there are none; the channels' names."""
        sensors = read_table(self.folder, "sensor", tables.Sensor)
        rows = read_table(self.folder, "calibrated_sensor", tables.Calibration)
        channels = sorted({s.channel for s in sensors})
        sensor = find([r.sensor_token for r in rows], unique(self.folder, "sensor", [s.token for s in sensors]))
        places = np.array([channels.index(s.channel) for s in sensors], dtype=np.int16)
        flat = [[x for line in r.camera_intrinsic for x in line] for r in rows]
        lens = [x if len(x) == 9 else [np.nan] * 9 for x in flat]
        pose = floats(rows, ("translation", "rotation"), 7)
        self.columns["calibration"] = np.column_stack([pose, np.reshape(lens, (-1, 9))]).astype(np.float64)
        self.columns["calibration_channel"] = at(places, sensor)
        self.setups = unique(self.folder, "calibrated_sensor", [r.token for r in rows])
        return channels

    def instances(self) -> list[str]:
        """Tokens and categories of road users; the categories' names."""
        categories = read_table(self.folder, "category", tables.Category)
        rows = read_table(self.folder, "instance", tables.Instance)
        known = unique(self.folder, "category", [c.token for c in categories])
        self.columns["instance_category"] = find([r.category_token for r in rows], known).astype(np.int32)
        self.columns["instance_token"] = np.array([r.token.encode() for r in rows], dtype=bytes)
        self.things = unique(self.folder, "instance", [r.token for r in rows])
        return [c.name for c in categories]

    def sample_data(self) -> np.ndarray:
        """What sensors recorded, by scene, channel and time, each with the ego's pose then; the scenes (n,)."""
        ego_token, ego_pose = self._ego_poses()
        numbers, token, ego_name, setup, file = [np.zeros((0, 5), np.int64)], Column(), Column(), Column(), Column()
        for rows in read_pieces(self.folder, "sample_data", tables.SampleData):
            sample = find([r.sample_token for r in rows], self.samples)
            said = [(r.timestamp, r.is_key_frame, r.width or 0, r.height or 0) for r in rows]
            numbers.append(np.column_stack([np.reshape(said, (-1, 4)).astype(np.int64), sample]))
            token.add(r.token for r in rows)
            ego_name.add(r.ego_pose_token for r in rows)
            setup.add(r.calibrated_sensor_token for r in rows)
            file.add(r.filename for r in rows)
        time, key, width, height, sample = np.concatenate(numbers).T
        names, egos, setups = token.whole(), ego_name.whole(), setup.whole()
        ego, calibration = find(egos, ego_token), find(setups, self.setups)
        scene, channel = at(self.sample_scene, sample), at(self.columns["calibration_channel"], calibration)
        pose = at(ego_pose, ego, np.nan)
        self._blame_data(scene, calibration, ego, pose, (names, setups, egos))
        order = np.lexsort((time, channel, scene))
        order = order[scene[order] >= 0]
        self.columns |= {
            "data_time": time[order], "data_key": key[order].astype(bool), "data_pose": pose[order],
            "data_channel": channel[order].astype(np.int16), "data_calibration": calibration[order].astype(np.int32),
            "data_size": np.column_stack([width, height])[order].astype(np.int32), **_text(file.whole(), order),
        }  # fmt: skip
        return scene[order]

    def _blame_data(
        self, scene: np.ndarray, calibration: np.ndarray, ego: np.ndarray, pose: np.ndarray, tokens: tuple
    ) -> None:
        names, setups, egos = tokens
        lost = "sample_data.json: row {} refers to {} {}, which is not there".format
        table = "calibrated_sensor.json: row {} {}".format
        where = "ego_pose.json: row {} holds no pose: {}".format
        blame, found = self.faults.blame, calibration >= 0
        blame(~found, scene, lambda i: lost(names[i], "calibrated_sensor", setups[i]))
        blame(ego < 0, scene, lambda i: lost(names[i], "ego_pose", egos[i]))
        strange = at(self.columns["calibration_channel"], calibration) < 0
        blame(found & strange, scene, lambda i: table(setups[i], "refers to a sensor that is not there"))
        mounted = at(is_pose(self.columns["calibration"][:, :7]), calibration, True)
        blame(~mounted, scene, lambda i: table(setups[i], "holds no pose"))
        blame(~is_pose(pose) & (ego >= 0), scene, lambda i: where(egos[i], pose[i].tolist()))

    def _ego_poses(self) -> tuple[Any, np.ndarray]:
        token, poses = Column(), []
        for rows in read_pieces(self.folder, "ego_pose", tables.EgoPose):
            token.add(r.token for r in rows)
            poses.append(floats(rows, ("translation", "rotation"), 7))
        return unique(self.folder, "ego_pose", token.whole()), np.concatenate(poses)

    def boxes(self) -> np.ndarray:
        """Annotated boxes by scene, road user and time; those that are no boxes are left out. The scenes (n,)."""
        token, thing, links, poses, sizes = Column(), Column(), [], [], []
        for rows in read_pieces(self.folder, "sample_annotation", tables.Annotation):
            links.append(find([r.sample_token for r in rows], self.samples))
            token.add(r.token for r in rows)
            thing.add(r.instance_token for r in rows)
            poses.append(floats(rows, ("translation", "rotation"), 7))
            sizes.append(floats(rows, ("size",), 3))
        sample, pose, size = np.concatenate(links), np.concatenate(poses), np.concatenate(sizes)
        names, things = token.whole(), thing.whole()
        instance, scene = find(things, self.things), at(self.sample_scene, sample)
        lost = "sample_annotation.json: row {} refers to instance {}, which is not there".format
        self.faults.blame(instance < 0, scene, lambda i: lost(names[i], things[i]))
        stray = at(self.columns["instance_category"], instance, 0) < 0
        self.faults.blame(
            stray, scene, lambda i: f"instance.json: row {things[i]} refers to a category that is not there"
        )
        with np.errstate(invalid="ignore"):
            good = is_pose(pose) & ((size > 0) & (size < 100)).all(1)
        none = "{} rows of sample_annotation.json left out that hold no box, the first {}".format
        self.faults.note(~good, scene, lambda i, count: none(count, names[i]))
        order = np.lexsort((sample, instance, scene))
        order = order[(scene[order] >= 0) & good[order]]
        twice = (np.diff(sample[order], prepend=-1) == 0) & (np.diff(instance[order], prepend=-2) == 0)
        order = order[~twice]
        self.columns |= {
            "box_sample": sample[order].astype(np.int32), "box_instance": instance[order].astype(np.int32),
            "box_pose": pose[order], "box_size": size[order],
        }  # fmt: skip
        return scene[order]


def _text(column: Any, order: np.ndarray) -> Columns:
    """Strings in an order, as bytes and where each begins and ends."""
    import pyarrow as pa

    array = column.take(pa.array(order)).combine_chunks()
    if not len(order):
        return {"file_offset": np.zeros(1, np.int64), "file_name": np.zeros(0, np.uint8)}
    _, offsets, data = array.buffers()
    offsets = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return {"file_offset": offsets - offsets[0], "file_name": text[offsets[0] : offsets[-1]]}
