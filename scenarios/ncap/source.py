"""Crash tests as scenarios, around any other source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from drivesim import parts
from drivesim.errors import InputError, NotDrivable
from drivesim.loading import fingerprint
from drivesim.loading.coasting import Touch, coast, first_touch
from drivesim.loading.compose import SHORTEST
from drivesim.types import CYCLES, DT, VEHICLES, Scenario, is_kind
from drivesim.windows import nearest, restart

from . import spec as files
from .cast import as_neuro_ncap, cast
from .drawn import Run, run
from .staged import KINDS, stage

_ID = re.compile(r"(.+)#(.+)-(\d+)")


@dataclass(frozen=True)
class Ncap:
    """`runs` crash tests on each scenario of a source; ids are `<scenario>#<test>-<run>`.

    root, source: where the logs lie and who reads them (a name, or a part with options). spec: a NeuroNCAP file or a
    folder of them, or `stationary`, `frontal`, `side` for a test built on whatever log. Run n is drawn with
    `seed` + n (NeuroNCAP: 100 runs, seed 0); without `jitter` all runs are the nominal one. `others`: which logged
    road users stay, `standing` (as in NeuroNCAP), `all` or `none`. `box`: the ego's, NeuroNCAP's (by default for its
    own files: one jittered run misses the car that was driven by centimetres) or the log's own. `time`: from taking
    over to the crash in tests built here [s]. Actors have a motion of their own: drive with `behavior=replay`, or a
    behaviour will drive them too.
    """

    root: str | None = None
    source: Any = "synthetic"
    spec: str = "stationary"
    runs: int = 10
    seed: int = 0
    jitter: bool = True
    others: Literal["standing", "all", "none"] = "standing"
    box: Literal["neuro_ncap", "own"] | None = None
    time: float = 4.0

    def __post_init__(self) -> None:
        if not 1 <= self.runs <= 10_000:
            raise InputError(f"scenarios.runs={self.runs}: 1 to 10000 are expected")
        if not 1 <= self.time <= 20:
            raise InputError(f"scenarios.time={self.time}: seconds from 1 to 20 are expected")
        if self.seed < 0:
            raise InputError(f"scenarios.seed={self.seed}: 0 or more is expected")

    @staticmethod
    def recognizes(root: Path) -> bool:
        return False  # it stages what another source has read

    def ids(self) -> list[str]:
        width = max(len(str(self.runs - 1)), 2)
        runs = [f"{n:0{width}d}" for n in range(self.runs)]
        return sorted(f"{id}#{test}-{n}" for test in self._tests for id in _meant(test, self._known) for n in runs)

    def undrivable(self) -> dict[str, str]:
        left_out = self._reader.undrivable() if hasattr(self._reader, "undrivable") else {}
        return {id: left_out[base] for id in self.ids() if (base := id.rpartition("#")[0]) in left_out}

    def fingerprint(self, id: str) -> str:
        base, test, n = self._parse(id)
        path = self._tests[test]
        told = f"{test} run {self.seed + n} jitter {self.jitter} others {self.others} box {self.box} {self.time} s"
        return fingerprint([path] if path else [], self._reader.fingerprint(base), told)

    def load(self, id: str) -> Scenario:
        base, test, n = self._parse(id)
        whole = self._load(base)
        if whole.script is not None:
            raise NotDrivable(f"{id}: {base} has a storyboard of its own")
        path = self._tests[test]
        spec = files.read(path) if path else None
        seed = self.seed + n
        made = run(spec, whole, seed, self.jitter) if spec else stage(test, whole, seed, self.jitter, self.time)
        scenario, told = _built(whole, made, self.others, id)
        if (self.box or ("neuro_ncap" if spec else "own")) == "neuro_ncap":
            scenario = as_neuro_ncap(scenario)
            told.append("the ego's box is NeuroNCAP's")
        told += [f"{key} means nothing to this reader" for key in (spec.unknown if spec else ())]
        touch = crash(scenario)
        if touch is None:
            raise NotDrivable(f"{id}: no crash test: an ego that keeps its speed on the logged path hits nothing")
        hit = scenario.track_ids[touch.agent]
        due = f"ncap: due at {(touch.step - scenario.start) * DT:.2f} s with {hit} at {touch.speed:.2f} m/s"
        tags = (*scenario.tags, f"ncap:{_kind(test)}", due)
        return replace(
            scenario, id=id, fingerprint=self.fingerprint(id), tags=tags, problems=(*scenario.problems, *told)
        )

    @cached_property
    def _reader(self) -> Any:
        if isinstance(self.source, Mapping):
            return parts.build(self.source)
        if not isinstance(self.source, str):
            return self.source
        given = {} if self.root is None else {"root": self.root}
        return parts.build(parts.check("scenarios", {**parts.read("scenarios", self.source), **given}))

    @cached_property
    def _known(self) -> list[str]:
        return self._reader.ids()

    def _load(self, base: str) -> Scenario:
        if self._kept.get("id") != base:
            self._kept.update(id=base, scenario=self._reader.load(base))
        return self._kept["scenario"]

    @cached_property
    def _kept(self) -> dict[str, Any]:
        """The log staged last: its tests are usually driven one after the other."""
        return {}

    @cached_property
    def _tests(self) -> dict[str, Path | None]:
        """Name and file of each test; no file for those that we build."""
        if self.spec in KINDS:
            return {self.spec: None}
        path = Path(self.spec).expanduser()
        found = [path] if path.is_file() else sorted(p for end in ("yaml", "yml") for p in path.rglob(f"*.{end}"))
        if not found:
            raise InputError(f"scenarios.spec={self.spec}: no such test; {', '.join(KINDS)}, or a NeuroNCAP yaml file")
        return {_name(p): p for p in found}

    def _parse(self, id: str) -> tuple[str, str, int]:
        match = _ID.fullmatch(id)
        if not match or match[2] not in self._tests or id not in self.ids():
            raise InputError(f"no crash test '{id[:120]}'; {nearest(id, self.ids())}")
        return match[1], match[2], int(match[3])


def crash(scenario: Scenario) -> Touch | None:
    """What an ego that keeps its speed on the logged path from `scenario.start` on runs into first; steps are of the
    scenario. NeuroNCAP counts vehicles and bicycles."""
    log = scenario.log
    ego = coast(log[:, 0], scenario.start, scenario.steps)
    who = is_kind(log.kind, (*VEHICLES, *CYCLES))
    who[:, 0] = False
    return first_touch(ego, log, who, scenario.start)


def _built(whole: Scenario, made: Run, others: str, id: str) -> tuple[Scenario, list[str]]:
    if made.stop - 1 - made.takeover < round(SHORTEST / DT):
        raise NotDrivable(f"{id}: the log ends {max(made.stop - 1 - made.takeover, 0) * DT:.1f} s after taking over")
    staged, told = cast(whole, made.parts, others)
    if whole.sensors is not None and whole.sensors.images:
        told.append("the recorded photos do not show the test's actor")
    return restart(replace(staged, start=made.takeover - made.first), made.first, made.stop), told


def _name(path: Path) -> str:
    """`frontal_0103` for `frontal/0103.yaml` (NeuroNCAP's folders) as for `frontal_0103.yaml`."""
    return f"{path.parent.name}_{path.stem}" if path.parent.name in KINDS else path.stem


def _kind(test: str) -> str:
    return next((kind for kind in KINDS if test.startswith(kind)), test)


def _meant(test: str, known: list[str]) -> list[str]:
    """The scenarios that a test is for: `frontal_0103` is for the scene with that number, where there is one."""
    number = re.search(r"(?<!\d)(\d{3,})$", test)
    named = [id for id in known if number and re.search(rf"(?<!\d){number[1]}(?!\d)", id)]
    return named or known
