"""`drivesim explain`: where each point of a drive was lost, to whom, by which rule, and what would have kept it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .compare import stored
from .evidence import Drive, told
from .options import sources
from .words import clean

if TYPE_CHECKING:
    from ..types import Rollout, Scenario, Score

EXAMPLE = "drivesim explain ROLLOUT {name} {root}"


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "explain", help="where a drive's points were lost", description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("words", nargs="+", metavar="OUT | ROLLOUT [SOURCE]",
                        help="a run's `out`; or a rollout's file, with the folder of its scenario (or a source's name "
                        "and its folder) where no stored result tells it")  # fmt: skip
    parser.add_argument("--metric", action="append", metavar="NAME", dest="metrics",
                        help="this score alone; computed where it is not stored")  # fmt: skip
    parser.add_argument("--scenario", metavar="ID", help="drives of this scenario")
    parser.add_argument("--planner", metavar="NAME", help="drives of this planner")
    parser.add_argument("--seed", type=int, metavar="N", help="drives with this seed")
    parser.add_argument("--again", action="store_true", help="compute stored scores again, with today's metrics")
    parser.add_argument("--arg", action="append", default=[], dest="options", metavar="KEY=VALUE",
                        help="an option of the source")  # fmt: skip
    parser.set_defaults(run=run)


def run(
    words: Sequence[str], metrics: Sequence[str] | None = None, scenario: str | None = None,
    planner: str | None = None, seed: int | None = None, again: bool = False, options: Sequence[str] = (),
) -> int:  # fmt: skip
    """Says of each score of a drive what was lost, most first: when and where, with whom, the rule with its constant
    and source, and what would have kept it. A score that does not apply stands below with its reason."""
    if len(words) == 1 and Path(words[0]).is_dir():
        asked = {"scenario": scenario, "planner": planner, "seed": seed}
        rows = _rows(words[0], {name: value for name, value in asked.items() if value is not None})
        drives = (_of_row(words[0], row, metrics, again) for row in rows)
    else:
        for name, value in (("scenario", scenario), ("planner", planner), ("seed", seed)):
            if value is not None:
                raise InputError(f"--{name} chooses among the drives of an `out`; {words[0]} is one drive")
        drives = (_of_file(words, options, metrics, again),)
    for i, drive in enumerate(drives):
        print("\n" * bool(i) + "\n".join(map(clean, told(drive, bool(metrics)))))
    return 0


def _rows(out: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    from .. import parts

    rows = stored(out)
    for key, value in asked.items():
        known = list(dict.fromkeys(str(row[key]) for row in rows))
        rows = [row for row in rows if row[key] == value]
        if not rows:
            raise InputError(f"--{key} {value}: no such drive in {out}; {parts.among(str(value), known)}")
    return rows


def _of_row(out: str, row: Mapping[str, Any], metrics: Sequence[str] | None, again: bool) -> Drive:
    """A stored drive; what is asked for and not stored is computed."""
    from ..report.entry import ended
    from ..storage import Store, job_of, scores_of

    title = f"{row['scenario']} driven by {row['planner']}, seed {row['seed']}: "
    if row["status"] != "ok":
        told = "technical failure" if row["technical"] else row["status"]
        return Drive(f"{title}{told}, without scores: {row['cause']}", (), None)
    rollout = Store(out, read_only=True).load_rollout(row["key"])
    scores = {score.name: score for score in scores_of(row)}
    names = list(metrics or scores)
    missing = [name for name in names if again or name not in scores]
    if missing:
        from .. import drive

        job = job_of(row)
        ready = {_metric_name(part): part for part in job.metrics}
        found = [_part(name, ready, scores) for name in missing]
        scenario = drive.load(job)
        scores |= {name: _compute(name, part, rollout, scenario) for name, part in zip(missing, found, strict=True)}
    return Drive(title + ended(rollout), [scores[name] for name in names], rollout)


def _of_file(words: Sequence[str], options: Sequence[str], metrics: Sequence[str] | None, again: bool) -> Drive:
    """A rollout's file: of a store, with its row, or a lone one with the source of its scenario."""
    from .. import parquet, rollout_file
    from ..report.entry import ended

    path = Path(words[0])
    if not path.is_file():
        raise InputError(f"{path}: no such folder or file; give a run's `out` or a rollout's .parquet")
    out = path.absolute().parent.parent
    if len(words) == 1:
        from ..storage import Store

        if not (out / "results" / f"{path.stem}.json").is_file():
            raise InputError(
                f"{path}: no stored result tells its scenario; {EXAMPLE.format(name='SOURCE', root='DIR')}"
            )
        return _of_row(str(out), Store(out, read_only=True).row(path.stem), metrics, again)
    try:
        key = parquet.read(path)[1]["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a readable rollout ({str(error).splitlines()[0]})") from None
    rollout = rollout_file.read(path, key)
    scenario = _scenario(rollout, words[1:], options)
    names = list(metrics or _defaults())
    scores = [_compute(name, _part(name, {}, ()), rollout, scenario) for name in names]
    return Drive(f"{rollout.scenario_id}, seed {rollout.seed}: {ended(rollout)}", scores, rollout)


def _scenario(rollout: Rollout, words: Sequence[str], options: Sequence[str]) -> Scenario:
    from .. import parts

    found, rest = sources(words, options, EXAMPLE)
    if rest or len(found) != 1:
        raise InputError(f"{' '.join(words)}: one source is expected, that of {rollout.scenario_id}")
    source = parts.build(found[0][2])
    if rollout.scenario_id not in source.ids():
        raise InputError(f"{' '.join(words)}: has no scenario {rollout.scenario_id}, which the rollout drives")
    scenario = source.load(rollout.scenario_id)
    if scenario.fingerprint != rollout.fingerprint:
        raise InputError(f"{rollout.scenario_id}: its data is not what was driven; give the same files and options")
    return scenario


def _defaults() -> list[str]:
    """Metrics of a run that names none."""
    from omegaconf import OmegaConf

    from ..parts import CONF

    for entry in OmegaConf.load(CONF / "config.yaml").defaults:
        if not isinstance(entry, str) and "metrics" in entry:
            return list(entry["metrics"])
    return []


def _metric_name(part: Mapping[str, Any]) -> str:
    """The name of a metric's score: of its yaml, else of its function."""
    from .. import parts

    for name in parts.choices("metrics"):
        if parts.read("metrics", name).get("_target_") == part["_target_"]:
            return name
    return str(part["_target_"]).rpartition(".")[2]


def _part(name: str, ready: Mapping[str, Any], scores: Iterable[str]) -> Any:
    """The metric to compute: with the options that a job gave it, else as its yaml says."""
    from .. import parts

    if name in ready:
        return ready[name]
    known = parts.choices("metrics")
    if name not in known:
        raise InputError(f"--metric {name}: no such score; {parts.among(name, sorted({*known, *scores}))}")
    return parts.check(f"metrics.{name}", parts.read("metrics", name))


def _compute(name: str, part: Any, rollout: Rollout, scenario: Scenario) -> Score:
    from .. import drive
    from ..errors import MetricFailure

    try:
        return drive.score(part, rollout, scenario)
    except MetricFailure as error:  # a metric of the user's own
        raise InputError(f"{name}: {error}") from error
