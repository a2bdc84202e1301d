"""`drivesim plans`: the plans of stored drives as a file of trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .compare import stored


def add(commands: Any) -> None:
    parser = commands.add_parser("plans", help="plans of stored drives as a file", description=run.__doc__)
    parser.add_argument("out", metavar="OUT", help="a run's `out`")
    parser.add_argument("file", metavar="FILE", help="what to write: .jsonl or .parquet")
    parser.add_argument("--planner", metavar="NAME", help="drives of this planner")
    parser.add_argument("--seed", type=int, metavar="N", help="drives with this seed")
    parser.set_defaults(run=run)


def run(out: str, file: str, planner: str | None = None, seed: int | None = None) -> int:
    """Writes every plan of the drives, in the ego frame of its step, as planner=trajectories reads it. One drive a
    scenario: where there are several, --planner and --seed choose. Exit code 1 if a drive had failed."""
    from .. import plan_file
    from ..storage import Store

    rows = _chosen(stored(out), planner, seed)
    driven = [row for row in rows if row["status"] == "ok"]
    if not driven:
        raise InputError(f"{out}: none of {len(rows)} drives has plans: all failed or were skipped")
    ids = [row["scenario"] for row in driven]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice is not None:
        several = sorted({f"{r['planner']} seed {r['seed']}" for r in driven if r["scenario"] == twice})
        raise InputError(f"{twice} was driven several times ({', '.join(several)}); choose by --planner and --seed")
    store = Store(out)
    plans = []
    for row in driven:
        rollout = store.load_rollout(row["key"])
        plans += [(row["scenario"], k, plan) for k, plan in zip(rollout.plan_steps, rollout.plans, strict=True)]
    count = plan_file.write(file, plans)
    left = f"; {len(rows) - len(driven)} drives without plans are left out" * (len(driven) < len(rows))
    print(f"{count} trajectories of {len(driven)} scenarios in {file}{left}")
    return int(len(driven) < len(rows))


def _chosen(rows: Sequence[dict[str, Any]], planner: str | None, seed: int | None) -> list[dict[str, Any]]:
    from .. import parts

    for key, value in (("planner", planner), ("seed", seed)):
        known = list(dict.fromkeys(str(row[key]) for row in rows))
        rows = [row for row in rows if value is None or row[key] == value]
        if not rows:
            raise InputError(f"--{key} {value}: no such drive; {parts.among(str(value), known)}")
    return list(rows)
