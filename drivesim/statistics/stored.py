"""Rows of result stores as drives, each planner under a name that no other has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from .. import parts
from ..types import Score
from .table import Drive

SETUP = ("planner", "behavior", "control", "generation", "on_collision", "loop", "metrics", "versions")
"""What of a job makes two drives of one planner's name drives of two planners to compare."""

WORLD = ("behavior", "control", "generation")
"""Groups whose choice a planner's name does not tell, and a reader wants to know."""


def drives(stores: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Drive]:
    """The drives of the rows of stores by name.

    Planners keep their names where these are unique. Where one store holds a planner in several settings, what differs
    is added (`idm (control LQR)`), and where several stores hold it, the store is. A scenario whose content differs
    between rows is several scenarios, told apart by its fingerprint.
    """
    names = _names(stores)
    contents: dict[str, set[str]] = {}
    for rows in stores.values():
        for row in rows:
            contents.setdefault(row["scenario"], set()).add(row["fingerprint"])
    return [
        Drive(
            names[store, row["planner"], _setup(row)],
            row["scenario"] + (f" ({row['fingerprint'][:8]})" if len(contents[row["scenario"]]) > 1 else ""),
            row["seed"], row["status"], bool(row["technical"]), {s["name"]: _score(s) for s in row["scores"]},
            world(row["job"]),
        )
        for store, rows in stores.items()
        for row in rows
    ]  # fmt: skip


def world(job: Mapping[str, Any]) -> str:
    """What a job was driven in, as one would ask for it: `behavior=idm control=lqr generation=raster`."""
    return " ".join(f"{group}={_named(group, job.get(group))}" for group in WORLD)


def _score(entry: Mapping[str, Any]) -> Score:
    """Without series and evidence, which take most of a row."""
    return Score(**{**entry, "series": None, "evidence": ()})


def _setup(row: Mapping[str, Any]) -> str:
    return json.dumps([row["job"].get(key) for key in SETUP], sort_keys=True, default=str)


def _names(stores: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[tuple[str, str, str], str]:
    """The name to show of each (store, planner, setup)."""
    setups: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for store, rows in stores.items():
        for row in rows:
            setups.setdefault((store, row["planner"]), {}).setdefault(_setup(row), row["job"])
    held = Counter(planner for _, planner in setups)
    names: dict[tuple[str, str, str], str] = {}
    for (store, planner), jobs in setups.items():
        where = f" in {store}" if held[planner] > 1 else ""
        for setup, job in jobs.items():
            told = f" ({_apart(job, list(jobs.values()))})" if len(jobs) > 1 else ""
            name, more = f"{planner}{told}{where}", sum(n.startswith(f"{planner}{told}{where}") for n in names.values())
            names[store, planner, setup] = f"{name} #{more + 1}" if name in names.values() else name
    return names


def _apart(job: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """How a job's setup differs from the others', in few words."""
    words = []
    for key in SETUP:
        if len({json.dumps(other.get(key), sort_keys=True, default=str) for other in others}) == 1:
            continue
        if key == "versions":
            mine = job.get(key) or {}
            changed = [name for name in mine if len({(other.get(key) or {}).get(name) for other in others}) > 1]
            words += [f"{name} {str(mine[name])[:8]}" for name in changed]
        elif key == "metrics":
            words.append(f"metrics {' '.join(_named('metrics', part) for part in job[key])}")
        else:
            words.append(f"{key} {_named(key, job.get(key))}")
    return ", ".join(words)


def _named(group: str, part: Any) -> str:
    """A part by the yaml of its class, else by its class, with the options that it was given."""
    if not isinstance(part, Mapping):
        return str(part or "none")
    target = part.get("_target_")
    if target is None:
        return "none"
    name = _yamls(group).get(target) or str(target).rpartition(".")[2]
    options = (f"{key}={_named(group, value)}" for key, value in part.items() if key != "_target_")
    return " ".join([name, *options])


@cache
def _yamls(group: str) -> dict[str, str]:
    """The yaml of each class of a group of plug-ins."""
    return {parts.read(group, name).get("_target_", ""): name for name in parts.choices(group)}
