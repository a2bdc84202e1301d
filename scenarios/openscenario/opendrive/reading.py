"""From a file to a Network."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from drivesim.errors import InputError
from drivesim.files import read_xml

from .attributes import number
from .geodesy import projection
from .links import read_junction
from .network import Network
from .roads import read_road


def read_opendrive(path: Path) -> Network:
    """The road network of an .xodr file, gzipped or not. InputError names the file, the road and what is wrong."""
    root = read_xml(path)
    for element in root.iter():  # 1.7 and later may state a namespace
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "OpenDRIVE":
        raise InputError(f"{path}: is no OpenDRIVE file; its root is <{root.tag[:40]}>")
    try:
        network = _network(path, root)
        network.strips, network.successors  # noqa: B018  what is wrong with them is told here, not later
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not network.lane_index:
        raise InputError(f"{path}: none of its {len(network.roads)} roads has a lane that one may drive on")
    return network


def _network(path: Path, root: Element) -> Network:
    header = root.find("header")
    problems = _version(header)
    roads = {}
    for element in root.findall("road"):
        told: list[str] = []
        name = element.get("id", "without id")
        try:
            road = read_road(element, told)
        except InputError as error:
            raise InputError(f"road {name}: {error}") from None
        if road.id in roads:
            raise InputError(f"two roads have the id {road.id}")
        roads[road.id] = road
        problems += [f"road {name}: {x}" for x in told]
    if not roads:
        raise InputError("holds no road")
    if root.find("road/railroad/switch") is not None:
        problems.append("railway switches are not read")
    junctions = {x.id: x for x in map(read_junction, root.findall("junction"))}
    proj = header.findtext("geoReference") if header is not None else None
    offset = header.find("offset") if header is not None else None
    shift = tuple(number(offset, k, 0.0) for k in ("x", "y", "hdg")) if offset is not None else (0.0, 0.0, 0.0)
    return Network(path.name, roads, junctions, projection(proj), shift, problems)  # type: ignore[arg-type]


def _version(header: Element | None) -> list[str]:
    if header is None:
        return ["has no header: taken for OpenDRIVE 1.4"]
    try:
        version = int(header.get("revMajor", "1")), int(header.get("revMinor", "4"))
    except ValueError:
        return ["its version is no number: taken for OpenDRIVE 1.4"]
    if version[0] != 1:
        raise InputError(f"is OpenDRIVE {version[0]}.{version[1]}; 1.4 to 1.8 are read")
    return [] if version[1] <= 8 else [f"is OpenDRIVE 1.{version[1]}: what came after 1.8 is not read"]
