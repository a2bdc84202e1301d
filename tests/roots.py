"""Where a log of each format lies: among the shared data, or written by a test."""

from pathlib import Path

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
    "openscenario": SHARED / "oracles" / "openscenario" / "xosc",
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
