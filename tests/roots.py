"""Where a log of each format lies: among the shared data, or written by a test."""

import shutil
from pathlib import Path

import pytest

from drivesim.config import source
from drivesim.export import own

SHARED = Path(__file__).parents[2] / "shared"
ROOTS = {
    "pandaset": SHARED / "data" / "pandaset",
    "argoverse2": SHARED / "data" / "argoverse2" / "sensor" / "val",
    "nuscenes": SHARED / "data" / "nuscenes",
    "waymo": SHARED / "data" / "waymo",
    "scenarionet": SHARED / "data" / "scenarionet",
    "commonroad": SHARED / "data" / "commonroad",
    "openscenario": SHARED / "oracles" / "openscenario",
}


def write_root(name: str, folder: Path) -> Path:
    """A root of a format of which no log is at hand."""
    if name == "converted":
        own.write(source("synthetic").load("town-0000"), folder)
        return folder
    if name == "nuplan":
        from .nuplan_files import write_dataset

        return write_dataset(folder)
    raise KeyError(name)


def small_root(name: str, folder: Path) -> Path:
    """A root with one small scenario: written where a writer for the format exists, else copied from shared data."""
    folder.mkdir(parents=True, exist_ok=True)
    if name in ("converted", "nuplan"):
        return write_root(name, folder)
    if name == "pandaset":
        from .pandaset_files import write_sequence

        write_sequence(folder)
        return folder
    only = {
        "argoverse2": "7fab2350-7eaf-3b7e-a39d-6937a4c1bede",
        "waymo": "gpudrive_json/tfrecord-00001-of-01000_307.json.gz",
        "scenarionet": "waymo/sd_training.tfrecord-00000-of-01000_8a346109094cd5aa.pkl",
        "commonroad": "USA_US101-8_1_T-1.xml.gz",
    }
    return _copied(ROOTS[name] / only.get(name, ""), folder / "log")


def _copied(path: Path, to: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    if path.is_file():
        to.mkdir()
        shutil.copy(path, to)
    else:
        shutil.copytree(path, to)
    return to
