"""Our own file: everything of a scenario, and with `sensors` its photos and sweeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .. import scenario_file, sensor_file
from ..files import inside
from ..types import Scenario


def write(scenario: Scenario, folder: Path, sensors: bool = False) -> list[Path]:
    """Write `<id>.scenario.parquet`, and with `sensors` `<id>.sensors.parquet`; returns what was written.

    Recordings that cannot be read are counted in the scenario's `problems`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, recorded = (inside(folder, f"{scenario.id}{suffix}") for suffix in (scenario_file.SUFFIX, sensor_file.SUFFIX))
    recorded.unlink(missing_ok=True)  # of an earlier conversion
    written = [path]
    if sensors and scenario.sensors is not None:
        missing = sensor_file.write(scenario.sensors, recorded, scenario.fingerprint)
        if missing:
            told = f"{len(missing)} recordings could not be read and were left out, the first: {missing[0]}"
            scenario = replace(scenario, problems=(*scenario.problems, told))
        written.append(recorded)
    scenario_file.write(scenario, path)
    return written
