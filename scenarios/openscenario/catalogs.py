"""What a scenario takes from catalogues: files beside it with ready-made vehicles, routes, trajectories, maneuvers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drivesim.errors import InputError

from .nodes import Node, read_root

KINDS = {
    "Vehicle": "VehicleCatalog", "Pedestrian": "PedestrianCatalog", "MiscObject": "MiscObjectCatalog",
    "Controller": "ControllerCatalog", "Maneuver": "ManeuverCatalog", "Trajectory": "TrajectoryCatalog",
    "Route": "RouteCatalog", "Environment": "EnvironmentCatalog",
}  # fmt: skip

MOST = 300
"""Files in a catalogue's folder."""


def near(scenario: Path, node: Node, name: str) -> Path:
    """A path that a scenario states, relative to its file. It must stay among what was downloaded together: under the
    third folder above the scenario, which holds the road networks and catalogues of all layouts of the field."""
    if not name.strip():
        node.fail("states an empty path")
    top = scenario.resolve().parents[min(2, len(scenario.resolve().parents) - 1)]
    path = (scenario.resolve().parent / name.strip().replace("\\", "/")).resolve()
    if len(top.parts) < 2:  # never the whole disk
        top = scenario.resolve().parent
    if not path.is_relative_to(top):
        node.fail(f"names a file far outside the scenario's folder, {name[:120]!r}; not opened")
    return path


@dataclass(frozen=True)
class Catalogs:
    """The catalogue folders of one scenario."""

    folders: dict[str, Path]  # by location's tag

    @staticmethod
    def of(root: Node) -> Catalogs:
        folders = {}
        for location in root.all("CatalogLocations"):
            for node in location.all():
                directory = node.get("Directory")
                if directory is not None:
                    folders[node.tag] = near(root.file, directory, directory.text("path"))
        return Catalogs(folders)

    def files(self) -> list[Path]:
        """Every file that a reference may be looked up in."""
        found = {path for folder in self.folders.values() for path in _files(folder)}
        return sorted(found)

    def find(self, reference: Node, kind: str) -> Node:
        """The element of a CatalogReference, in the scope of its ParameterAssignments."""
        name, entry = reference.text("catalogName"), reference.text("entryName")
        folder = self.folders.get(KINDS[kind])
        if folder is None:
            reference.fail(f"refers to {entry} of {name}, and the scenario states no {KINDS[kind]}")
        given = {}
        for node in reference.all("ParameterAssignments"):
            for x in node.all("ParameterAssignment"):
                given[x.reference("parameterRef")] = x.text("value")
        for path in _files(folder):
            root = read_root(path)
            for catalog in root.all("Catalog"):
                if catalog.text("name", "") != name and path.stem != name:
                    continue
                for node in catalog.all(kind):
                    if node.label() == entry:
                        outer = {**reference.parameters, **node.parameters}  # some entries count on the scenario's
                        return Node(node.element, node.file, outer, node.where).scoped(given)
        reference.fail(f"there is no {kind} '{entry}' in a catalogue '{name}' under {folder}")

    def resolve(self, node: Node, kind: str) -> Node | None:
        """The child `kind` of a node, its own or from a catalogue; None where it has neither."""
        own = node.get(kind)
        if own is not None:
            return own.scoped()
        reference = node.get("CatalogReference")
        return self.find(reference, kind) if reference is not None else None


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    found = sorted(folder.glob("*.xosc")) if folder.is_dir() else []
    if len(found) > MOST:
        raise InputError(f"{folder}: holds more than {MOST} catalogue files")
    return found
