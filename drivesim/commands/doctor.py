"""`drivesim doctor`: what this machine has, and whether it computes right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .words import clean


def add(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="what this machine has, known answers", description=run.__doc__)
    parser.add_argument("roots", nargs="*", metavar="ROOT", help="folders that must hold data (the usual places)")
    parser.add_argument("--warm", nargs="*", metavar="KEY=VALUE",
                        help="then run for two seconds, with these words of run_closed_loop.py, so that nothing is "
                        "left to compile in a first run: one or two minutes")  # fmt: skip
    parser.set_defaults(run=run)


def run(roots: Sequence[str] = (), warm: Sequence[str] | None = None) -> int:
    """Versions and abilities of this machine, folders to write to, data found, and questions whose answers are known;
    1 if something that a run needs is wrong."""
    from ..doctor import examine

    wrong = 0
    for finding in examine(roots):
        wrong += finding.needed and not finding.ok
        mark = "ok   " if finding.ok else "WRONG" if finding.needed else "no   "
        print(clean(f"{mark} {finding.name}: {finding.told}"), flush=True)
    if warm is not None and not wrong:
        from . import warming

        print("warming, one or two minutes ...", flush=True)
        code, *rest = warming.warm(warm)
        print("\n".join(map(clean, warming.told(code, *rest))))
        wrong += bool(code)
    return 1 if wrong else 0
