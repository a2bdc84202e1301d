"""Files of our own as scenarios."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from drivesim import files, scenario_file, sensor_file
from drivesim.errors import InputError
from drivesim.loading import fingerprint
from drivesim.types import Scenario

ENTRIES = 20_000
"""Folder entries that `recognizes` looks at."""


@dataclass(frozen=True)
class Converted:
    """All `*.scenario.parquet` under `root`, or the one file that it names. Ids are the files' names, with `__` for
    each folder below the root."""

    root: str

    @staticmethod
    def recognizes(root: Path) -> bool:
        try:
            if root.name.endswith(scenario_file.SUFFIX):
                return root.is_file()
            return next(files.walk(root, (scenario_file.SUFFIX,), most=ENTRIES), None) is not None
        except OSError:
            return False

    def ids(self) -> list[str]:
        return sorted(self._files())

    def fingerprint(self, id: str) -> str:
        return self._fingerprint(self._file(id))

    def load(self, id: str) -> Scenario:
        path = self._file(id)
        scenario = scenario_file.read(path)
        recorded = _sensors(path)
        if recorded.is_file():
            sensors = sensor_file.read(recorded, scenario.scene.briefing.cameras, scenario.fingerprint)
            scenario = replace(scenario, sensors=sensors)
        return replace(scenario, id=id, fingerprint=self._fingerprint(path))

    def _fingerprint(self, path: Path) -> str:
        """The file's own digest, which loading verifies, and which recordings lie beside it."""
        recorded = _sensors(path)
        beside = str(recorded.stat().st_size) if recorded.is_file() else ""
        return fingerprint([], str(scenario_file.describe(path)["digest"]), beside)

    def _files(self) -> dict[str, Path]:
        root = Path(self.root).expanduser()
        if root.is_file() and root.name.endswith(scenario_file.SUFFIX):
            return {_stem(root.name): root}
        if not root.is_dir():
            raise InputError(f"{root}: no such folder and no *{scenario_file.SUFFIX}; `drivesim convert` writes them")
        paths = [p for p in files.walk(root, (scenario_file.SUFFIX,)) if p.name[0] != "."]
        found = {"__".join([*p.relative_to(root).parts[:-1], _stem(p.name)]): p for p in paths}
        if not found:
            raise InputError(f"{root}: no *{scenario_file.SUFFIX} in it; `drivesim convert` writes them")
        return found

    def _file(self, id: str) -> Path:
        found = self._files()
        if id not in found:
            raise InputError(f"no scenario '{id[:80]}' under {self.root}; there are {', '.join(sorted(found)[:4])} ...")
        return found[id]


def _stem(name: str) -> str:
    return name.removesuffix(scenario_file.SUFFIX)


def _sensors(path: Path) -> Path:
    return path.with_name(_stem(path.name) + sensor_file.SUFFIX)
