"""The tables of a release, loaded by the devkit once per process; every complaint names the file."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from drivesim.errors import InputError

VERSIONS = ("v1.0-trainval", "v1.0-mini", "v1.0-test")
TABLES = (
    "attribute", "calibrated_sensor", "category", "ego_pose", "instance", "log", "map", "sample", "sample_annotation",
    "sample_data", "scene", "sensor", "visibility",
)  # fmt: skip


def table_folder(root: str, version: str) -> Path:
    """Folder of the tables; without a version the largest release that is there."""
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; scenarios.root is the folder that holds v1.0-mini")
    found = [name for name in VERSIONS if (folder / name).is_dir()]
    if version and not (folder / version).is_dir():
        raise InputError(f"{folder}: no tables of version {version}; there are {', '.join(found) or 'none'}")
    if not version and not found:
        raise InputError(f"{folder}: holds no nuScenes tables ({', '.join(VERSIONS)})")
    return folder / (version or found[0])


def read_table(folder: Path, name: str) -> list[dict[str, Any]]:
    """One table as the devkit would read it, checked."""
    path = folder / f"{name}.json"
    try:
        rows = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: not there; nuScenes needs all {len(TABLES)} tables") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as json ({error}); download it again") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "token" in row for row in rows):
        raise InputError(f"{path}: is not a nuScenes table (a list of rows with tokens)")
    return rows


def open_tables(root: str, version: str) -> Any:
    """The devkit's `NuScenes` object. Kept per process until a table changes on disk."""
    folder = table_folder(root, version)
    stamps = tuple(
        (folder / f"{name}.json").stat().st_mtime_ns for name in TABLES if (folder / f"{name}.json").exists()
    )
    return _open(folder, stamps)


@lru_cache(maxsize=1)
def _open(folder: Path, stamps: tuple[int, ...]) -> Any:
    from nuscenes.nuscenes import NuScenes as Devkit

    class Tables(Devkit):
        def __load_table__(self, table_name: str) -> list[dict[str, Any]]:
            rows = read_table(folder, table_name)
            if table_name == "map":
                for row in rows:
                    # The devkit refuses to start without the map pictures, even if nobody looks at them.
                    row["picture"] = folder.parent / row["filename"]
                    if not row["picture"].is_file():
                        row["filename"] = f"{folder.name}/map.json"
            return rows

    try:
        return Tables(version=folder.name, dataroot=str(folder.parent), verbose=False)
    except (KeyError, IndexError, AssertionError) as error:
        raise InputError(f"{folder}: the tables do not fit together ({type(error).__name__}: {error})") from None
