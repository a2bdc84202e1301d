"""What a configuration asks for: every planner x scenario x seed as a job, checked to the last option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import drive, parts
from .catalog import filters
from .catalog.filters import Filter, Sieve
from .catalog.scan import scan
from .errors import InputError, NotDrivable
from .parts import Part
from .simulator import check_loop
from .storage import Job
from .versions import contents, versions
from .windows import full_id, nearest

SELECTION = {"ids": list[str] | str | None, "limit": int | None, **filters.TYPES}
"""Keys of `scenarios` that say which of a source's scenarios to drive; they are no options of the source."""

STRETCH = {"window": float | None, "stride": float | None, "ego": str | None}
"""Keys of `scenarios` that make other scenarios of a source's: stretches of some seconds, another agent's drive."""


@dataclass(frozen=True)
class Work:
    """What a configuration asks for."""

    jobs: tuple[Job, ...]
    skipped: Mapping[str, str]  # scenarios that cannot be driven, with the reason
    broken: Mapping[str, str]  # scenarios whose data cannot be read, with the reason
    out: Path
    workers: int
    sifted: str = ""  # what filters left and what they removed, and plans that are not used, in words


def work(config: Mapping[str, Any], folders: Sequence[Path] = ()) -> Work:
    """Every planner x scenario x seed of a composed configuration.

    `folders` hold further yamls beside the package's own. Raises InputError for whatever in the configuration
    does not fit, and if no scenario is left that can be driven.
    """
    _root(config, folders)
    planners = _planners(config, folders)
    recorded = _recorded(planners)
    shared = _shared(config)
    _sighted(planners, shared["generation"])
    metrics = [parts.check(f"metrics.{name}", node) for name, node in config["metrics"].items()]
    asked, node = _scenarios(config["scenarios"])
    seeds = _seeds(config)
    origin = parts.build(node)
    stamp = versions([node, *planners.values(), *shared.values(), *metrics]) | contents(shared)
    stamps = {name: stamp | contents({"planner": planner}) for name, planner in planners.items()}
    given = {**shared, "metrics": metrics, "on_collision": config["on_collision"], "loop": config["loop"]}
    ids, limit = asked.pop("ids"), asked.pop("limit")
    if recorded and ids is None and limit is None:  # whoever gives plans alone means the scenarios that they are for
        ids = _both(recorded, origin)
    opened = " (open loop)" if config["loop"] == "open" else ""  # wherever results are shown, they say so
    wanted, limit = select(origin, ids, limit)
    skipped = {id: reason for id, reason in _undrivable(origin).items() if id in wanted}
    broken: dict[str, str] = {}
    jobs: dict[str, list[Job]] = {}
    chosen, sifted = Filter.read(asked), ""
    if chosen:
        wanted, sifted = _filtered(chosen, node, wanted, limit, config["workers"])
    for id in wanted:
        if id in skipped or (limit and len(jobs) == limit):
            continue
        try:
            fingerprint = origin.fingerprint(id)
            mine = [
                Job(node, id, fingerprint, planner, name + opened, seed=seed, **given, versions=stamps[name])
                for name, planner in planners.items()
                for seed in seeds
            ]
            if limit and not jobs:  # whoever asks for the first scenario means the first that can be driven
                drive.load(mine[0])
            jobs[id] = mine
        except NotDrivable as error:
            skipped[id] = str(error).removeprefix(f"{id}: ")
        except InputError as error:
            broken[id] = str(error).removeprefix(f"{id}: ")
    if not jobs:
        told = "; ".join(f"{id}: {reason}" for id, reason in {**skipped, **broken}.items())
        raise InputError(f"nothing to drive: {told or 'no scenario is chosen'}")
    every = tuple(job for mine in jobs.values() for job in mine)
    told = "\n".join(words for words in (sifted, _unused(recorded, jobs)) if words)
    return Work(every, skipped, broken, Path(config["out"]), config["workers"], told)


def _shared(config: Mapping[str, Any]) -> dict[str, Part]:
    """Checked parts that all planners share. In open loop nobody decides, and cameras show the log's photos."""
    node = dict(config["generation"])
    photos = node.pop("photos", None)  # beside the options of the generator itself
    shared = {group: parts.check(group, config[group]) for group in ("behavior", "control")}
    shared["generation"] = parts.check("generation", node)
    if config["loop"] == "closed":
        if photos is not None:
            raise InputError("generation.photos: an ego that drives is not where the log's photos were taken; "
                             "this is an option of loop=open")  # fmt: skip
        return shared
    if photos is None or parts.convert("generation.photos", photos, bool):
        shared["generation"] = {"_target_": "drivesim.generation.photos.Photos", "otherwise": shared["generation"]}
    return {**shared, "behavior": {"_target_": None}, "control": {"_target_": None}}


def _recorded(planners: Mapping[str, Part]) -> list[str]:
    """Scenarios of planners that have plans of some scenarios alone: a file's."""
    kinds = [(part, parts.locate(str(part["_target_"]), "planner")) for part in planners.values()]
    return list(dict.fromkeys(id for part, kind in kinds if hasattr(kind, "recorded")
                              for id in parts.build(part).recorded()))  # fmt: skip


def _both(recorded: Sequence[str], origin: Any) -> list[str]:
    """The source's scenarios that there are plans of."""
    known = origin.ids()
    found = [id for id in known if id in {*recorded}]
    if not found:
        raise InputError(f"none of the {len(recorded)} scenarios with trajectories ({_some(recorded)}) is among the "
                         f"source's: {_some(known)}")  # fmt: skip
    return found


def _unused(recorded: Sequence[str], jobs: Mapping[str, Any]) -> str:
    left = [id for id in recorded if id not in jobs]
    return f"{len(left)} of {len(recorded)} scenarios with trajectories are not driven: {_some(left)}" if left else ""


def _some(ids: Sequence[str], most: int = 8) -> str:
    return ", ".join(ids[:most]) + (", ..." if len(ids) > most else "")


def _scenarios(node: Mapping[str, Any]) -> tuple[dict[str, Any], Part]:
    """What is asked of the source (values of `SELECTION`), and the checked source with what is wrapped around it."""
    asked = {key: parts.convert(f"scenarios.{key}", node.get(key), hint) for key, hint in SELECTION.items()}
    cut = {key: parts.convert(f"scenarios.{key}", node.get(key), hint) for key, hint in STRETCH.items()}
    beside = {**SELECTION, **STRETCH}
    own = parts.check("scenarios", {key: value for key, value in node.items() if key not in beside}, beside)
    return asked, wrapped(own, **cut)


def wrapped(node: Part, window: float | None = None, stride: float | None = None, ego: str | None = None) -> Part:
    """A source's part, driven as the agent `ego`, cut into stretches of `window` seconds every `stride` seconds."""
    if ego is not None:
        own = "ego" in parts.signature(parts.locate(str(node["_target_"]), "scenarios"))  # a storyboard names its own
        other = {**node, "ego": ego} if own else {"_target_": "drivesim.windows.AsEgo", "source": node, "ego": ego}
        node = parts.check("scenarios", other)
    if window is not None:
        cut = {"_target_": "drivesim.windows.Windows", "source": node, "seconds": window, "stride": stride}
        node = parts.check("scenarios", cut)
    elif stride is not None:
        raise InputError(f"scenarios.stride={stride}: scenarios.window=SECONDS is expected with it")
    return node


def _filtered(chosen: Filter, node: Part, ids: Sequence[str], limit: int, workers: int) -> tuple[list[str], str]:
    """Ids that the filter takes, the first `limit` of them (0: all), and what it removed.

    InputError says so if none is left.
    """
    sieve, taken = Sieve(chosen, len(ids)), []
    with closing(scan(node, ids, workers)) as entries:
        for entry in entries:
            if sieve.takes(entry):
                taken.append(entry.id)
                if limit and len(taken) == limit:
                    break
    if not taken:
        raise InputError(sieve.told())
    return taken, sieve.told()


def _root(config: Mapping[str, Any], folders: Sequence[Path]) -> None:
    """Refuse what the types of the root let pass."""
    for group in parts.GROUPS:
        if not isinstance(config[group], Mapping):
            raise InputError(f"{group} is missing; {parts.among('', parts.choices(group, folders))}")
    check_loop(config["loop"], config["on_collision"])
    if config["workers"] < 0:
        raise InputError(f"workers={config['workers']}: 0 or more is expected")


def select(origin: Any, ids: Sequence[str] | str | None = None, limit: int | None = None) -> tuple[list[str], int]:
    """Ids to drive, in order and without repeats, and how many of them at most (0: all).

    All that are asked for, else all of the source but the first `limit` (1) that can be driven. Raises InputError
    for an id that the source does not have.
    """
    known = origin.ids()
    wanted = known if ids is None else [full_id(origin, id) for id in ([ids] if isinstance(ids, str) else ids)]
    for id in wanted:
        if id not in known and id not in _undrivable(origin):
            raise InputError(f"scenarios.ids: no scenario {id}; {nearest(id, known)}")
    limit = limit if limit is not None else 1 if ids is None else 0
    if limit < 0:
        raise InputError(f"scenarios.limit={limit}: 0 (all) or more is expected")
    return list(dict.fromkeys(wanted)), limit


def _undrivable(origin: Any) -> dict[str, str]:
    """What the source knows without loading; others raise NotDrivable when they are loaded."""
    return origin.undrivable() if hasattr(origin, "undrivable") else {}


def _planners(config: Mapping[str, Any], folders: Sequence[Path]) -> dict[str, Part]:
    """Checked planners by the name that tables show."""
    node = dict(config["planner"])
    if not config["planners"]:
        return {_name(node, folders): _planner(node)}
    alone = {"_target_", "timeout", *_yaml(node, folders)[1]}  # what is there unless an option is given
    extra = [key for key in node if key not in alone]
    if extra:
        raise InputError(f"planner.{extra[0]}: planners=[...] take their options from their yamls")
    timeout = {"timeout": node["timeout"]} if "timeout" in node else {}
    last = [name.rpartition(":")[2] for name in config["planners"]]
    shown = last if len({*last}) == len(last) else config["planners"]
    listed = zip(shown, config["planners"], strict=True)
    return {name: _planner({**parts.read("planner", choice, folders), **timeout}) for name, choice in listed}


def _planner(node: Mapping[str, Any]) -> Part:
    """A checked planner; one with a `timeout` [s] runs in a child process that can be killed."""
    options = {key: value for key, value in node.items() if key != "timeout"}
    where = "planner"
    if "target" in options:
        if options["target"] in (None, "???"):
            raise InputError("planner.target is missing: give planner.target=my.pkg:Mine")
        extra = [key for key in options if key not in ("target", "args")]
        if extra:
            raise InputError(f"planner.{extra[0]}: options of your own planner are written +planner.args.{extra[0]}")
        parts.locate(str(options["target"]), "planner.target")
        where, options = "planner.args", {"_target_": options["target"], **(options.get("args") or {})}
    checked = parts.check(where, options)
    if node.get("timeout") is None:
        return checked
    timeout = parts.convert("planner.timeout", node["timeout"], float)
    if not timeout > 0:
        raise InputError(f"planner.timeout={timeout}: seconds above 0 are expected")
    if hasattr(parts.locate(str(checked["_target_"]), where), "play"):
        raise InputError("planner.timeout: plans from a file are played in the process that drives; leave it out")
    return {"_target_": "drivesim.remote.child.ChildPlanner", "planner": checked, "timeout": timeout}


def _sighted(planners: Mapping[str, Part], generation: Part) -> None:
    """Refuse planners whose class names cameras where nothing makes pictures ("*" is all there are, perhaps none)."""
    if generation["_target_"] != "drivesim.generation.layout.NoImages":
        return
    for name, part in planners.items():
        part = part.get("planner", part) if part["_target_"] == "drivesim.remote.child.ChildPlanner" else part
        sensors = part.get("sensors", getattr(parts.locate(str(part["_target_"]), "planner"), "sensors", ()))
        asked = [s for s in sensors if isinstance(s, str) and s != "*"] if isinstance(sensors, tuple | list) else []
        if asked:
            raise InputError(f"generation=none makes no images, but {name} looks at {', '.join(asked)}: "
                             "use generation=raster")  # fmt: skip


def _name(node: Mapping[str, Any], folders: Sequence[Path]) -> str:
    """The yaml that names the planner's class, else the class itself."""
    target = parts.dotted(str(node.get("target") or node["_target_"]))
    return _yaml(node, folders)[0] or target.rpartition(".")[2]


def _yaml(node: Mapping[str, Any], folders: Sequence[Path]) -> tuple[str, Part]:
    """Name and content of the yaml with the planner's class; nothing if no yaml has it."""
    for name in parts.choices("planner", folders):
        content = parts.read("planner", name, folders)
        if content.get("_target_") == node.get("_target_", "none"):
            return name, content
    return "", {}


def _seeds(config: Mapping[str, Any]) -> range | list[int]:
    if config["seeds"] is None:
        if not 0 <= config["seed"] < 2**63:
            raise InputError(f"seed={config['seed']}: 0 or more is expected, and less than 2^63")
        return [config["seed"]]
    if config["seeds"] < 1:
        raise InputError(f"seeds={config['seeds']}: 1 or more is expected, for the seeds 0..N-1")
    return range(config["seeds"])
