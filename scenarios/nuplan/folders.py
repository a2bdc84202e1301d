"""Where things lie in nuPlan's download: logs, maps, photos."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from drivesim.errors import InputError
from drivesim.files import first_bytes, open_sqlite, read_json

_PLACES = (
    "*.db", "*/*.db", "splits/*/*.db", "*/splits/*/*.db", "*/*/splits/*/*.db", "data/cache/*/*.db",
    "*/data/cache/*/*.db", "*/*/*.db",
)  # fmt: skip
LOOKS = 20
"""Files that `recognizes` opens before it says no."""
_TABLES = {"lidar_pc", "ego_pose", "lidar_box", "track", "category"}

CITIES = {
    "sg-one-north": 32648,
    "us-ma-boston": 32619,
    "us-nv-las-vegas-strip": 32611,
    "us-pa-pittsburgh-hazelwood": 32617,
}
"""The four maps of nuPlan v1.1 and the EPSG codes of their UTM zones."""


def is_sqlite(path: Path) -> bool:
    return first_bytes(path, 16) == b"SQLite format 3\0"


def is_log(path: Path) -> bool:
    """Whether a file is a log: never raises."""
    if path.suffix != ".db" or not is_sqlite(path):
        return False
    try:
        with open_sqlite(path, 5.0) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (InputError, OSError):
        return False
    return tables >= _TABLES


def logs(root: Path) -> dict[str, Path]:
    """Logs under a root by their names: one file, the folder of a split, or a folder above. A log that is in several
    splits counts once."""
    if root.is_file():
        return {root.stem: root} if is_sqlite(root) else {}
    for pattern in _PLACES:
        found = {path.stem: path for path in sorted(root.glob(pattern), reverse=True) if is_sqlite(path)}
        if found:
            return found
    return {}


def looks_like_nuplan(root: Path) -> bool:
    if root.is_file():
        return is_log(root)
    return any(is_log(path) for pattern in _PLACES for path in islice(root.glob(pattern), LOOKS))


def map_of(log: Path, names: tuple[str, ...], given: str) -> Path | None:
    """The map.gpkg of a log whose map or city is called one of `names`: in the folder (or the file) `given`, else in
    a folder `maps` beside or above the log, else where NUPLAN_MAPS_ROOT points."""
    if given:
        root = Path(given).expanduser()
        if root.is_file():
            return root
        if not root.is_dir():
            raise InputError(f"{root}: no such folder; scenarios.maps is nuPlan's folder of maps, or one map.gpkg")
        return _map_in(root, names) or _map_in(root / "maps", names)
    around = [folder / "maps" for folder in _above(log)]
    if "NUPLAN_MAPS_ROOT" in os.environ:
        around.append(Path(os.environ["NUPLAN_MAPS_ROOT"]).expanduser())
    return next((m for folder in around for m in [_map_in(folder, names)] if m), None)


def _above(log: Path) -> list[Path]:
    """The folders above a log, and where it is a link those above what that leads to."""
    return list(dict.fromkeys([*log.absolute().parents[:6], *log.resolve().parents[:6]]))


def _map_in(folder: Path, names: tuple[str, ...]) -> Path | None:
    if not folder.is_dir():
        return None
    cities = {p.name: p for p in folder.iterdir() if p.is_dir()}
    for name in (*(n.removesuffix(".gpkg") for n in names), city_of(names)):
        if name in cities:
            versions = sorted(cities[name].glob("*/map.gpkg"), key=lambda p: _version(p.parent.name))
            stated = [v for v in versions if v.parent.name in _stated(folder, name)]
            if versions:
                return (stated or versions)[-1]
    return None


def _stated(folder: Path, city: str) -> set[str]:
    """Versions that `nuplan-maps-v1.0.json` names for a city."""
    versions = set()
    for path in sorted(folder.glob("nuplan-maps-v*.json")):
        data = read_json(path, 2**24)
        entry = data.get(city) if isinstance(data, dict) else None
        versions.add(str(entry.get("version")) if isinstance(entry, dict) else "")
    return versions


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(x[:9]) for x in re.findall(r"\d+", name))


def city_of(names: tuple[str, ...]) -> str:
    """The map's name among what a log calls its map and its city: `las_vegas` is us-nv-las-vegas-strip. A name that
    fits none of CITIES stays as it is."""
    for name in (x.removesuffix(".gpkg") for x in names):
        words = set(re.split(r"[-_ ]", name.lower()))
        alike = [city for city in CITIES if words <= {*city.split("-")}]
        if len(alike) == 1:
            return alike[0]
    return names[0].removesuffix(".gpkg") if names else ""


def photos_of(log: Path) -> Path | None:
    """The folder `sensor_blobs` with photos of a log: above it, or where NUPLAN_SENSOR_ROOT points."""
    return next((folder for folder in _blobs(log) if (folder / log.stem).is_dir()), None)


def _blobs(log: Path) -> Iterator[Path]:
    yield from (folder / "sensor_blobs" for folder in _above(log))
    if "NUPLAN_SENSOR_ROOT" in os.environ:
        yield Path(os.environ["NUPLAN_SENSOR_ROOT"]).expanduser()
