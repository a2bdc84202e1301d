"""OpenSCENARIO 1.2 with OpenDRIVE 1.7, written with the `scenariogeneration` package.

Kept: every agent's box and logged poses, the ego's axles, who is there when, lanes with centre lines, heights, mean
widths, kinds, speed limits and successors, the place on earth, licence and provenance.
Lost: neighbours of lanes (each lane is a road of its own), changes of width within a lane, crosswalks, paint, traffic
lights, stop lines, the drivable area beyond the lanes, scenery, sensors, cameras, goals and scripts. Where lanes of a
crossing and others follow the same lane, all of them are tied by a direct junction.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from ..errors import InputError
from ..files import inside
from ..types import Scenario
from .roads import road_network
from .storyboard import storyboard


def write(scenario: Scenario, folder: Path) -> list[Path]:
    """Write `<id>.xodr` and `<id>.xosc`, which refers to it, in the scenario's world frame.

    Raises InputError without `scenariogeneration`, or where there is no lane to make a road of.
    """
    try:
        import scenariogeneration  # noqa: F401
    except ImportError:
        raise InputError(
            "OpenSCENARIO and OpenDRIVE are written with scenariogeneration; pip install drivesim[openx]"
        ) from None
    name = re.sub(r"[^A-Za-z0-9._-]", "_", scenario.id)
    roads, story = inside(folder, f"{name}.xodr"), inside(folder, f"{name}.xosc")
    contents = {roads: road_network(scenario), story: storyboard(scenario, roads.name)}
    folder.mkdir(parents=True, exist_ok=True)
    for path, element in contents.items():
        ElementTree.indent(element)
        path.write_bytes(ElementTree.tostring(element, encoding="utf-8", xml_declaration=True) + b"\n")
    return [roads, story]
