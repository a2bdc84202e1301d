"""The rows of one scene, ready to use: numpy, float64, the frame of the map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from drivesim.errors import InputError

from .cache import Index, checked


@dataclass(frozen=True, eq=False)
class Recorded:
    """What one sensor recorded at and between the key frames, ordered by time."""

    channel: str
    time: np.ndarray  # (n,) int64 [us]
    key: np.ndarray  # (n,) bool, at a key frame
    size: np.ndarray  # (n, 2) width, height [px], zero for what is no picture
    ego: np.ndarray  # (n, 7) position and quaternion w x y z of the ego then
    calibration: np.ndarray  # (n,) row of the calibrations
    mount: np.ndarray  # (n, 7) position and quaternion of the sensor on the ego
    lens: np.ndarray  # (n, 9) intrinsics, NaN for what is no camera
    files: tuple[str, ...]  # below the release's folder


@dataclass(frozen=True, eq=False)
class Boxes:
    """The annotated boxes, ordered by road user and time."""

    time: np.ndarray  # (n,) int64 [us], of the key frame
    thing: np.ndarray  # (n,) which of the road users, increasing
    pose: np.ndarray  # (n, 7) of the middle of the box
    size: np.ndarray  # (n, 3) width, length, height [m]
    names: tuple[str, ...]  # tokens of the road users
    categories: tuple[str, ...]  # of the road users


@dataclass(frozen=True, eq=False)
class SceneRows:
    """All that the tables say of a scene."""

    name: str
    location: str
    picture: str  # path of the map picture below the release's folder, "" for none
    digest: str  # of all of it
    annotated: bool  # whether the release has boxes at all
    problems: tuple[str, ...]
    time: np.ndarray  # (k,) int64 key frames [us]
    index: Index
    data: tuple[int, int]
    box: tuple[int, int]

    @staticmethod
    def of(folder: Path, name: str) -> SceneRows:
        """InputError where there is no such scene, or its rows do not fit together."""
        index, entry = checked(folder, name)
        if entry.fault:
            raise InputError(f"{folder}: {name} cannot be read. {entry.fault}; download the tables again")
        time = np.array(index.columns["sample_time"][slice(*entry.samples)])
        return SceneRows(entry.name, entry.location, entry.picture, entry.digest, index.contents.boxes,
                         tuple(entry.problems), time, index, entry.data, entry.boxes)  # fmt: skip

    @cached_property
    def recorded(self) -> dict[str, Recorded]:
        """By channel, in the order of the channels' names."""
        columns, (start, stop) = self.index.columns, self.data
        channel = np.array(columns["data_channel"][start:stop])
        cuts = [0, *(np.flatnonzero(np.diff(channel)) + 1).tolist(), len(channel)]
        spans = [(start + a, start + b) for a, b in zip(cuts[:-1], cuts[1:], strict=True) if b > a]
        names = self.index.contents.channels
        return {names[columns["data_channel"][a]]: self._sensor(names[columns["data_channel"][a]], a, b)
                for a, b in spans}  # fmt: skip

    def _sensor(self, channel: str, a: int, b: int) -> Recorded:
        columns = self.index.columns
        calibration = np.array(columns["data_calibration"][a:b])
        setup = columns["calibration"][calibration]
        ends = columns["file_offset"][a : b + 1].tolist()
        text = columns["file_name"][ends[0] : ends[-1]].tobytes().decode("latin-1")  # a letter for each byte
        files = tuple(text[i - ends[0] : j - ends[0]] for i, j in pairwise(ends))
        if not text.isascii():
            files = tuple(name.encode("latin-1").decode(errors="replace") for name in files)
        return Recorded(channel, np.array(columns["data_time"][a:b]), np.array(columns["data_key"][a:b]),
                        np.array(columns["data_size"][a:b]), np.array(columns["data_pose"][a:b]), calibration,
                        setup[:, :7], setup[:, 7:], files)  # fmt: skip

    @cached_property
    def boxes(self) -> Boxes:
        columns, (a, b) = self.index.columns, self.box
        things, thing = np.unique(columns["box_instance"][a:b], return_inverse=True)
        names = tuple(token.decode(errors="replace") for token in columns["instance_token"][things].tolist())
        categories = tuple(self.index.contents.categories[i] for i in columns["instance_category"][things])
        time = columns["sample_time"][columns["box_sample"][a:b]]
        pose, size = np.array(columns["box_pose"][a:b]), np.array(columns["box_size"][a:b])
        return Boxes(time, thing, pose, size, names, categories)
