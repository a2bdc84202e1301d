"""Which scenes there are: found by the frames of TFRecords and the first bytes of json files, none of them parsed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from drivesim.errors import InputError
from drivesim.files import first_bytes

from . import jsons, tfrecord

HEAD = 4096
"""Bytes of a file that tell what it is."""

FEW = 20
"""Files of a folder at which `recognizes` looks."""

_OTHER = (".pkl", ".pickle", ".txt", ".md", ".csv", ".npz", ".npy", ".parquet", ".html", ".yaml", ".py", ".zip", ".tar")
_FEATURES = (b"state/", b"roadgraph_samples/", b"traffic_light_state/", b"scenario/", b"path_samples/", b"sdc_paths/")


@dataclass(frozen=True)
class Scene:
    """Where a scene is."""

    id: str
    path: Path
    form: str  # "json", "Scenario" or "tf.Example"; "" for what is damaged
    record: int = 0  # number of the record in a TFRecord
    begin: int = 0  # bytes of the record
    end: int = 0
    damage: str = ""

    @property
    def where(self) -> str:
        return str(self.path) if self.form == "json" else f"{self.path}, record {self.record}"


def recognizes(root: Path) -> bool:
    """Whether a file is of one of the forms, or one of the first files of a folder that look like it."""
    try:
        if root.is_file():
            return bool(_form(root))
        found = _candidates(root)
        return any(_form(path) for path, _ in zip(found, range(FEW), strict=False))
    except OSError:
        return False


def scenes(root: str) -> dict[str, Scene]:
    """All scenes under a root by their ids; InputError where there is none."""
    top = Path(root).expanduser()
    if not top.exists():
        raise InputError(f"{top}: no such file or folder; scenarios.root is a folder of Waymo scenes or one file")
    files = [top] if top.is_file() else list(_candidates(top))
    found = [scene for path in files for scene in _scenes_of(path)]
    if not found:
        raise InputError(
            f"{top}: no Waymo Open Motion scene in it (TFRecord of Scenario protos or tf.Examples, json of GPUDrive)"
        )
    _LISTED[root] = {scene.id: scene for scene in _told_apart(found, top)}
    return _LISTED[root]


def scene(root: str, id: str) -> Scene:
    """One scene; from the last listing, if its file has not changed since."""
    known = _LISTED.get(root, {}).get(id)
    if known and any(replace(s, id=id) == known for s in _scenes_of(known.path)):
        return known
    listed = scenes(root)
    if id not in listed:
        raise InputError(f"no Waymo scene '{id}' under {root}; there are {', '.join(sorted(listed)[:4])} ...")
    return listed[id]


_LISTED: dict[str, dict[str, Scene]] = {}


def _candidates(top: Path) -> Iterator[Path]:
    """Files that may hold scenes, by their names, in order."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            plain = name.removesuffix(".gz")
            if plain.endswith(".json") or ("tfrecord" in plain and not plain.endswith(_OTHER)):
                yield Path(folder, name)


def _form(path: Path) -> str:
    head = first_bytes(path, HEAD)
    if tfrecord.is_tfrecord(head):
        length = int.from_bytes(head[:8], "little")
        return _message(head, tfrecord.HEAD, tfrecord.HEAD + length)
    return "json" if jsons.is_scene(head) else ""


def _scenes_of(path: Path) -> tuple[Scene, ...]:
    try:
        state = path.stat()
    except OSError:
        return ()
    return _indexed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=100_000)
def _indexed(path: Path, mtime: int, size: int) -> tuple[Scene, ...]:
    head = first_bytes(path, HEAD)
    stem = re.sub(r"[^\w.\-]+", "_", path.name.removesuffix(".gz").removesuffix(".json")).replace("..", "_")
    if tfrecord.is_tfrecord(head):
        return tuple(_records(path, stem))
    if jsons.is_scene(head):
        return (Scene(_name(jsons.scene_id(head)) or stem, path, "json"),)
    if "tfrecord" in path.name and not path.name.removesuffix(".gz").endswith(".json"):
        return (Scene(stem, path, "", damage=f"{path}: is no TFRecord, or its first bytes are damaged"),)
    if not head:
        return (Scene(stem, path, "", damage=f"{path}: is empty or cannot be unpacked; download it again"),)
    return ()


def _records(path: Path, stem: str) -> Iterator[Scene]:
    try:
        data = tfrecord.content(path)
    except InputError as error:
        yield Scene(stem, path, "", damage=str(error))
        return
    for number, part in enumerate(tfrecord.frames(data)):
        name = f"{stem}-{number}"
        if isinstance(part, str):
            yield Scene(name, path, "", number, damage=f"{path}, record {number}: {part}; download the file again")
            continue
        form = _message(data, *part)
        if form:
            try:
                id = _id_of_example(data, *part) if form == "tf.Example" else _id_of_scenario(data, *part)
            except (ValueError, IndexError):
                id = ""
            yield Scene(_name(id) or name, path, form, number, *part)
        else:
            told = f"{path}, record {number}: is neither a Scenario proto nor a tf.Example of the Motion dataset"
            yield Scene(name, path, "", number, *part, damage=told)


def _name(id: str) -> str:
    """An id as the file states it, if it can be one."""
    return id if re.fullmatch(r"[\w\-][\w.\-]{0,127}", id) and ".." not in id else ""


def _told_apart(found: list[Scene], top: Path) -> list[Scene]:
    """Scenes of the same id, as the same scene in two forms has, get their file's name added."""
    several = Counter(scene.id for scene in found)
    out, taken = [], set()
    for s in found:
        id = s.id
        if several[id] > 1:
            file = s.path.name if s.path == top else str(s.path.relative_to(top))
            id = f"{id}.{re.sub(r'[^A-Za-z0-9_.-]+', '_', file)}".replace("..", "_")
        if id in taken:
            id = f"{id}-{s.record}"
        while id in taken:
            id += "_"
        taken.add(id)
        out.append(replace(s, id=id))
    return out


# the wire format (https://protobuf.dev/programming-guides/encoding), as far as it takes to find an id


def _message(data: tfrecord.Buffer, begin: int, end: int) -> str:
    """What a record is, by its first field: time stamps, or features that fill all of it."""
    try:
        number, wire, first, last = next(_fields(data, begin, end))
        if (number, wire) == (1, 1):
            return "Scenario" if data[last] in (0x09, 0x12) else ""
        if (number, wire) != (1, 2):
            return ""
        if last == end:
            key = next(_fields(data, *next(_fields(data, first, last))[2:]))
            return "tf.Example" if bytes(data[key[2] : key[3]]).startswith(_FEATURES) else ""
        packed = (last - first) % 8 == 0 and data[last] == 0x12
        return "Scenario" if packed else ""
    except (ValueError, IndexError, StopIteration):
        return ""


def _id_of_scenario(data: tfrecord.Buffer, begin: int, end: int) -> str:
    for number, wire, first, last in _fields(data, begin, end):
        if (number, wire) == (5, 2):
            return bytes(data[first : min(last, first + 200)]).decode()
    return ""


def _id_of_example(data: tfrecord.Buffer, begin: int, end: int) -> str:
    features = next(_fields(data, begin, end))
    for _, _, first, last in _fields(data, *features[2:]):
        parts = list(_fields(data, first, last))
        if len(parts) == 2 and bytes(data[parts[0][2] : parts[0][3]]) == b"scenario/id":
            values = next(_fields(data, *parts[1][2:]))
            value = next(_fields(data, *values[2:]))
            return bytes(data[value[2] : min(value[3], value[2] + 200)]).decode()
    return ""


def _fields(data: tfrecord.Buffer, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, begin and end of each field of a message."""
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            first, (_, at) = at, _varint(data, at)
        elif wire == 2:
            length, first = _varint(data, at)
            at = first + length
        elif wire in (1, 5):
            first, at = at, at + (8 if wire == 1 else 4)
        else:
            raise ValueError("no wire type")
        if at > end:
            raise ValueError("beyond the end")
        yield tag >> 3, wire, first, at


def _varint(data: tfrecord.Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no varint")
