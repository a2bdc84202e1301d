"""Which scenes an environment has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from drivesim.catalog import part_of
from drivesim.errors import InputError, NotDrivable
from drivesim.parts import build
from drivesim.types import Scenario
from drivesim.windows import nearest
from drivesim.work import select

Scenes = str | Scenario | Sequence[Scenario]


def scenes(
    scenarios: Scenes = "synthetic", root: str | Path | None = None, ids: Sequence[str] | str | None = None,
    limit: int | None = None, source: Mapping[str, Any] | None = None,
) -> list[Scenario]:  # fmt: skip
    """Scenarios that are given, or those of a source as the command line names it ("auto": whichever reads `root`).

    ids, limit: as `scenarios.ids` and `scenarios.limit`; by default the first that can be driven, 0 is all. source: the
    source's own options. Raises InputError if nothing is left to drive.
    """
    if not isinstance(scenarios, str):
        given = [scenarios] if isinstance(scenarios, Scenario) else list(scenarios)
        if not given or not all(isinstance(scenario, Scenario) for scenario in given):
            raise InputError("scenarios: a source's name, a Scenario or several are expected")
        if root is not None or ids is not None or limit is not None or source:
            raise InputError(
                "root, ids, limit and source choose scenarios of a source: leave them out beside Scenarios"
            )
        return _told_apart(given)
    origin = build(part_of(scenarios, root, **dict(source or {})))
    wanted, most = select(origin, ids, limit)
    found, reasons = [], []
    for id in wanted:
        try:
            found.append(origin.load(id))
        except NotDrivable as reason:
            reasons.append(f"{id}: {str(reason).removeprefix(f'{id}: ')}")
        if most and len(found) == most:
            break
    if not found:
        raise InputError(f"nothing to drive: {'; '.join(reasons) or f'{scenarios} has no scenarios'}")
    return found


def _told_apart(scenarios: list[Scenario]) -> list[Scenario]:
    ids = [scenario.id for scenario in scenarios]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        raise InputError(f"scenarios: {twice} is there twice; each is to have an id of its own")
    return scenarios


def index_of(scenarios: Sequence[Scenario], id: Any) -> int:
    """Which of the scenarios has this id; InputError names those near it."""
    ids = [scenario.id for scenario in scenarios]
    if id not in ids:
        raise InputError(f"options['scenario']={id!r}: no such scenario here; {nearest(str(id), ids)}")
    return ids.index(id)
