"""The json tables of a release, read piece by piece into typed rows; every complaint names the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from drivesim import files
from drivesim.errors import InputError

TABLES = (
    "calibrated_sensor", "category", "ego_pose", "instance", "log", "map", "sample", "sample_annotation",
    "sample_data", "scene", "sensor",
)  # fmt: skip
"""Those that are read; `attribute` and `visibility` say nothing that a drive needs."""

VERSIONS = ("v1.0-trainval", "v1.0-mini", "v1.0-test")

PIECE = 1 << 25
"""Bytes decoded at a time: what bounds the memory."""

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Stamp = Annotated[int, msgspec.Meta(ge=0, le=2**62)]  # [us]
Pixels = Annotated[int, msgspec.Meta(ge=0, le=2**16)]
Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]  # w x y z


class Row(msgspec.Struct, gc=False):
    token: Token


class Scene(Row):
    name: Token
    log_token: str
    description: str = ""
    nbr_samples: int = 0


class Log(Row):
    location: str = ""
    logfile: str = ""


class MapPicture(Row):
    filename: str = ""
    log_tokens: list[str] = []


class Sensor(Row):
    channel: Token


class Category(Row):
    name: str


class Calibration(Row):
    sensor_token: str
    translation: Vector
    rotation: Quaternion
    camera_intrinsic: list[list[float]] = []


class Instance(Row):
    category_token: str


class Sample(Row):
    timestamp: Stamp
    scene_token: str


class EgoPose(Row):
    translation: Vector
    rotation: Quaternion


class SampleData(Row):
    sample_token: str
    ego_pose_token: str
    calibrated_sensor_token: str
    timestamp: Stamp
    filename: str
    is_key_frame: bool = False
    width: Pixels | None = 0
    height: Pixels | None = 0


class Annotation(Row):
    sample_token: str
    instance_token: str
    translation: Vector
    size: Vector  # width, length, height [m]
    rotation: Quaternion


R = TypeVar("R", bound=Row)

_BETWEEN = re.compile(rb"\}\s*,\s*\{")  # rows hold lists, but no objects


def is_table_folder(folder: Path) -> bool:
    return (folder / "scene.json").is_file() and (folder / "sample_data.json").is_file()


def table_folder(root: str, version: str = "") -> Path:
    """Folder of the tables; without a version the largest release that is there. `root` may be that folder itself."""
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; scenarios.root is the folder that holds v1.0-mini")
    if is_table_folder(folder) and version in ("", folder.name):
        return folder
    found = [name for name in VERSIONS if (folder / name).is_dir()]
    found += sorted(p.name for p in folder.glob("v1.0-*") if p.name not in VERSIONS and is_table_folder(p))
    if version and not (folder / version).is_dir():
        raise InputError(f"{folder}: no tables of version {version}; there are {', '.join(found) or 'none'}")
    if not version and not found:
        raise InputError(f"{folder}: holds no nuScenes tables ({', '.join(VERSIONS)})")
    return folder / (version or found[0])


def looks_like(root: Path) -> bool:
    """Whether a folder is of nuScenes: a release's, or that of its tables."""
    try:
        folders = [root, *sorted(root.glob("v1.0-*"))] if root.is_dir() else []
    except OSError:
        return False
    return any(is_table_folder(p) and files.first_bytes(p / "scene.json").lstrip()[:1] == b"[" for p in folders)


def read_table(folder: Path, name: str, kind: type[R]) -> list[R]:
    """A small table at once."""
    return [row for piece in read_pieces(folder, name, kind) for row in piece]


def read_pieces(folder: Path, name: str, kind: type[R]) -> Iterator[list[R]]:
    """The rows of a table, some ten thousand at a time."""
    path = folder / f"{name}.json"
    try:
        with path.open("rb") as file:
            rest = b""
            while block := file.read(PIECE):
                rest += block
                cut = None if len(block) < PIECE else _last_gap(rest)
                if cut:
                    yield _rows(path, rest[: cut[0]] + b"]", kind)
                    rest = b"[" + rest[cut[1] :]
                elif len(rest) > files.LIMIT:
                    raise InputError(f"{path}: is not a nuScenes table (a list of rows with tokens)")
            yield _rows(path, rest, kind)
    except FileNotFoundError:
        raise InputError(f"{path}: not there; nuScenes needs all of its tables; is the download complete?") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _last_gap(data: bytes) -> tuple[int, int] | None:
    """Where the last whole row ends and the next one starts."""
    for begin in (max(len(data) - (1 << 16), 0), 0):
        gaps = [(m.start() + 1, m.end() - 1) for m in _BETWEEN.finditer(data, begin)]
        if gaps:
            return gaps[-1]
    return None


def _rows(path: Path, data: bytes, kind: type[R]) -> list[R]:
    try:
        return msgspec.json.decode(data, type=list[kind])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _slowly(path, data, kind)


def _slowly(path: Path, data: bytes, kind: type[R]) -> list[R]:
    """As Python's own json reads it, which lets NaN pass: whose it is, is found later."""
    try:
        content: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: cannot be read as json ({error or 'nested too deeply'}); download it again"
        ) from None
    try:
        return msgspec.convert(content, list[kind])
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{path}: is not a nuScenes table (a list of rows with tokens): {error}") from None
