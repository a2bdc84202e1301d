"""`drivesim compare`: planners of one or two result stores, with intervals and paired tests."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .words import clean, console

if TYPE_CHECKING:
    from ..statistics import Cell, Difference, Drive

SHOWN = 5
"""Scenarios listed of those that differ in a score that is no rate; --json has all."""

Cells = Mapping[tuple[str, str], "Cell"]
Comparison = tuple[str, str, str, "Difference | str"]
"""Metric, planner, the one it is compared with, and what came of it."""


def add(commands: Any) -> None:
    parser = commands.add_parser("compare", help="planners of stored results, with intervals", description=run.__doc__)
    parser.add_argument("outs", nargs="+", metavar="OUT", help="a run's `out`; a second one to compare with")
    parser.add_argument("--planners", nargs="+", metavar="NAME", help="these; the others are compared with the first")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="these (all)")
    parser.add_argument("--json", dest="file", metavar="FILE", help="everything, for programs")
    parser.set_defaults(run=run)


def run(
    outs: Sequence[str], planners: Sequence[str] | None = None, metrics: Sequence[str] | None = None,
    file: str | None = None,
) -> int:  # fmt: skip
    """Mean of every metric with its 95 % interval for each planner, what is in no mean and why, and how the planners
    differ on the scenarios and seeds that they share: difference, interval, p-value, which scenarios flipped."""
    from .. import parts, statistics

    drives = statistics.drives({name: stored(out) for name, out in _called(outs).items()})
    names = list(dict.fromkeys(drive.planner for drive in drives))
    names = names if planners is None else [_chosen(name, names) for name in dict.fromkeys(planners)]
    drives = [drive for drive in drives if drive.planner in names]
    known = list(dict.fromkeys(name for drive in drives for name in drive.scores))
    if not known:
        raise InputError(f"{', '.join(outs)}: no scores there: all {len(drives)} drives failed or were skipped")
    for name in metrics or ():
        if name not in known:
            raise InputError(f"--metrics {name}: not among the scores; {parts.among(name, known)}")
    wanted = list(dict.fromkeys(metrics or known))
    cells = statistics.cells(drives)
    pairs = [
        (name, names[0], other, statistics.paired(drives, names[0], other, name))
        for other in names[1:]
        for name in wanted
    ]
    if pairs and not _shared(drives, names):
        raise InputError(f"{', '.join(names)}: no scenario and seed in common; drive them on the same ones")
    if file is not None:
        _write(file, _plain(cells, pairs, wanted, names, _worlds(drives)))
    _print(cells, pairs, wanted, names)
    console().print("\n".join(["", *_driven_in(_worlds(drives))]))
    return 0


def stored(out: str) -> list[dict[str, Any]]:
    """The rows of a result store; InputError where there are none."""
    from ..storage import Store

    if not (Path(out) / "results").is_dir():
        raise InputError(f"{out}: no results there; give the `out` of a run")
    rows = Store(out, read_only=True).rows()
    if not rows:
        raise InputError(f"{out}: no results there yet")
    return rows


def _called(outs: Sequence[str]) -> dict[str, str]:
    """The stores by the last part of their paths, or by all of it where that is no name."""
    paths = [Path(out).resolve() for out in outs]
    if len({*paths}) < len(outs):
        raise InputError(f"{outs[-1]}: the same folder twice")
    short = len({path.name for path in paths}) == len(paths)
    return {path.name if short else str(path): out for path, out in zip(paths, outs, strict=True)}


def _chosen(name: str, names: Sequence[str]) -> str:
    """The planner meant: by its full name, or by its own where only one has it."""
    from .. import parts

    found = [n for n in names if n == name] or [n for n in names if n.startswith((f"{name} (", f"{name} in "))]
    if len(found) > 1:
        raise InputError(f"--planners {name}: there are several, name one in full: {'; '.join(found)}")
    if not found:
        raise InputError(f"--planners {name}: not among the results; {parts.among(name, names)}")
    return found[0]


def _shared(drives: Sequence[Drive], names: Sequence[str]) -> bool:
    """Whether any planner was asked to drive something that the first was, too."""
    asked = {name: {(d.scenario, d.seed) for d in drives if d.planner == name} for name in names}
    return any(asked[names[0]] & asked[other] for other in names[1:])


def _worlds(drives: Sequence[Drive]) -> dict[str, str]:
    """What each planner was driven in."""
    return {name: ", ".join(dict.fromkeys(d.world for d in drives if d.planner == name))
            for name in dict.fromkeys(d.planner for d in drives)}  # fmt: skip


def _driven_in(worlds: Mapping[str, str]) -> list[str]:
    if len(set(worlds.values())) == 1:
        return [clean(f"driven in {next(iter(worlds.values()))}")]
    return [clean(f"{name}: driven in {world}") for name, world in worlds.items()]


def _print(cells: Cells, pairs: Sequence[Comparison], metrics: Sequence[str], names: Sequence[str]) -> None:
    out = console()
    out.print(_table(cells, metrics, names))
    if pairs:
        out.print(_paired(pairs, cells))
        for name, a, b, found in pairs:
            if not isinstance(found, str) and (found.more or found.less):
                out.print("\n".join(_changes(name, a, b, found, _better(cells, name))))
    notes = _notes(cells, pairs, metrics, names)
    if notes:
        out.print("\n".join(["", *notes]))


def _table(cells: Cells, metrics: Sequence[str], names: Sequence[str]) -> Any:
    from rich.table import Table

    table = Table("metric", "planner")
    for column in ("mean", "95 % interval", "n", "failed", "n/a"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in metrics:
        for planner in names:
            cell, found = cells[planner, name], cells[planner, name].estimate
            mean = f"{found.mean:.3f}{cell.unit and ' ' + cell.unit}" if found else "–"
            told = (
                mean,
                interval(found) if found else "–",
                found.n if found else 0,
                _failed(cell),
                cell.not_applicable,
            )
            table.add_row(*map(clean, (_marked(name, cells), planner, *told)))
        table.add_section()
    return table


def _better(cells: Cells, name: str) -> str:
    """Which values of a metric are better: "more", "less", or empty where no result says."""
    return next((cell.better for (_, metric), cell in cells.items() if metric == name and cell.better), "")


def _marked(name: str, cells: Cells) -> str:
    return f"{name} ↓" if _better(cells, name) == "less" else name


def interval(found: Any) -> str:
    """`[low, high]` of an estimate or a difference."""
    return f"[{found.low:.3f}, {found.high:.3f}]" if math.isfinite(found.low) else "–"


def _failed(cell: Cell) -> str:
    return f"{cell.failed} ({cell.technical} technical)" if cell.technical else str(cell.failed)


def _paired(pairs: Sequence[Comparison], cells: Cells) -> Any:
    from rich.table import Table

    table = Table("paired", "planners", title_justify="left")
    for column in ("difference", "95 % interval", "p", "pairs", "better / worse"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("test")
    for name, a, b, found in pairs:
        if isinstance(found, str):
            table.add_row(*map(clean, (_marked(name, cells), f"{a} − {b}", "–", "–", "–", 0, "–", found)))
            continue
        flips = _flips(found, _better(cells, name))
        told = (f"{found.difference:+.3f}", interval(found), f"{found.p:.3g}", found.n, flips, found.test)
        table.add_row(*map(clean, (_marked(name, cells), f"{a} − {b}", *told)))
    return table


def _flips(found: Difference, better: str) -> str:
    """In how many pairs the first is better and worse; where nobody says what is better, has more and less."""
    more, less = len(found.more), len(found.less)
    return {"more": f"{more} / {less}", "less": f"{less} / {more}"}.get(better, f"{more} more / {less} less")


def _changes(name: str, a: str, b: str, found: Difference, better: str) -> list[str]:
    """The scenarios that flipped (of a rate all, of others those that differ most)."""
    rate = {x for change in (*found.more, *found.less) for x in (change.a, change.b)} <= {0.0, 1.0}
    lines = []
    for first, second, changes in ((a, b, found.more), (b, a, found.less)):
        shown = changes if rate else changes[:SHOWN]
        if not changes:
            continue
        each = [f"{c.scenario}{f' seed {c.seed}' * bool(c.seed)}{_from_to(c, better) * (not rate)}" for c in shown]
        rest = f", and {len(changes) - len(shown)} more (--json)" if len(changes) > len(shown) else ""
        words = {"more": (first, "is better than", second), "less": (second, "is better than", first)}
        who = " ".join(words.get(better, (first, "has more than", second)))
        lines.append(clean(f"{name}: {who} in {', '.join(each)}{rest}"))
    return lines


def _from_to(change: Any, better: str) -> str:
    """The two values, the one named first first."""
    low, high = sorted((change.a, change.b))
    return f" ({low:.3g} against {high:.3g})" if better == "less" else f" ({high:.3g} against {low:.3g})"


def _notes(cells: Cells, pairs: Sequence[Comparison], metrics: Sequence[str], names: Sequence[str]) -> list[str]:
    """Every warning once, with whom it is about, and how to read the table."""
    about: dict[str, list[str]] = {}
    for name in metrics:
        for planner in names:
            for warning in cells[planner, name].warnings:
                about.setdefault(warning, []).append(f"{name} of {planner}")
            for reason, count in cells[planner, name].reasons.items():
                about.setdefault(f"does not apply: {reason}", []).append(f"{name} of {planner} ({count})")
    for name, a, b, found in pairs:
        for warning in () if isinstance(found, str) else found.warnings:
            about.setdefault(warning, []).append(f"{name}, {a} − {b}")
    total = len(names) * len(metrics) + len(pairs)
    lines = [clean(f"! {text}{'' if len(who) == total else ': ' + '; '.join(who)}") for text, who in about.items()]
    if any(_better(cells, name) == "less" for name in metrics):
        lines.append("↓ less is better")
    tests = sum(not isinstance(found, str) for *_, found in pairs)
    if tests > 1:
        lines.append(
            f"each p stands alone: among {tests} tests, below {0.05 / tests:.2g} is beyond chance (Bonferroni)"
        )
    return lines


def _plain(
    cells: Cells, pairs: Sequence[Comparison], metrics: Sequence[str], names: Sequence[str], worlds: Mapping[str, str]
) -> dict[str, Any]:
    """Everything as JSON has it."""
    from ..statistics import CONFIDENCE

    rows = []
    for planner in names:
        for name in metrics:
            cell = cells[planner, name]
            found = dataclasses.asdict(cell.estimate) if cell.estimate else {}
            rest = {**dataclasses.asdict(cell), "warnings": cell.warnings}
            del rest["estimate"]
            rows.append({"planner": planner, "world": worlds[planner], "metric": name, **found, **rest})
    compared = [
        {"metric": name, "better": _better(cells, name), "a": a, "b": b}
        | ({"reason": found} if isinstance(found, str) else {**_renamed(dataclasses.asdict(found))})
        for name, a, b, found in pairs
    ]
    return {"confidence": CONFIDENCE, "planners": rows, "comparisons": compared}


def _renamed(found: dict[str, Any]) -> dict[str, Any]:
    """`a` and `b` name the planners there, so their means are `mean_a` and `mean_b`."""
    return {{"a": "mean_a", "b": "mean_b"}.get(key, key): value for key, value in found.items()}


def _write(file: str, content: Any) -> None:
    try:
        Path(file).write_text(json.dumps(_finite(content), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); choose another place") from None


def _finite(value: Any) -> Any:
    """With null where there is no number."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
